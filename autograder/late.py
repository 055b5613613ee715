"""What it costs to hand in late: a course's policy, as course.toml has it, and a student's extension."""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from autograder.display import counted

LENGTH = re.compile(r"\+? ?(\d+(?:[.,]\d+)?) ?(m|min|minutes?|h|hours?|d|days?|w|weeks?|)", re.IGNORECASE)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
DAY = timedelta(days=1)
MOST_DAYS = 366  # of an extension: more is a slip, such as a date without its dashes
ALLOWED = f'it must be such as "3 days", "12 h", 2027-02-15 or 2027-02-15 18:00, and no more than {MOST_DAYS} days'


@dataclass(frozen=True)
class Amount:
    """So many points, or so many per cent of the points that there are."""

    value: float
    is_share: bool = False

    def of(self, most: float) -> float:
        """In points, where there are `most`."""
        return self.value * most / 100 if self.is_share else self.value

    def __str__(self) -> str:
        return f"{self.value:g} %" if self.is_share else counted(self.value, "point")


@dataclass(frozen=True)
class LatePolicy:
    """per_day: what each day that has begun costs. grace: minutes that are no delay. days: what comes later than that
    has no points; None: it always has. most: more is never taken off. free_days: so many days each student may be late
    in the whole term, all assignments together, at no cost.
    """

    per_day: Amount = Amount(0.0)
    grace: float = 0.0
    days: float | None = None
    most: Amount | None = None
    free_days: int = 0

    def days_late(self, late: timedelta) -> int:
        """How many days have begun; none within the grace, and behind it the grace counts, too."""
        return 0 if late <= timedelta(minutes=self.grace) else math.ceil(late / DAY)

    def penalty(self, days: int, free: int, score: float, most: float) -> float:
        """The points that a submission loses. free: of these days, how many cost nothing. score: earned, of `most`."""
        if self.days is not None and days - free > self.days:
            return max(score, 0.0)
        taken = self.per_day.of(most) * (days - free)
        taken = taken if self.most is None else min(taken, self.most.of(most))
        return round(min(taken, max(score, 0.0)), 3)

    def needed(self, days: int, left: int, score: float, most: float) -> int:
        """Of the free days that are left, how many a submission takes: none that would save it no point."""
        least = self.penalty(days, min(days, left), score, most)
        return next(free for free in range(days + 1) if self.penalty(days, free, score, most) <= least)

    @property
    def text(self) -> str:
        """In a sentence or two for students; "" where being late costs nothing."""
        said = []
        if self.per_day.value:
            most = f", {self.most} at most" if self.most else ""
            said.append(f"Each day that has begun after that takes off {self.per_day}{most}.")
        if self.days is not None:
            said.append(f"What comes more than {counted(self.days, 'day')} late has no points.")
        if said and self.grace:
            said.append(f"{counted(self.grace, 'minute is', 'minutes are')} no delay.")
        if said and self.free_days:
            free = counted(self.free_days, "day of the term costs", "days of the term cost")
            said.append(f"{free} nothing, whichever you need.")
        return " ".join(said)


def extension(text: str, due: datetime | None, zone: tzinfo) -> timedelta:
    """How much longer a student has: "3 days", "+36 h", "3" (days), or until a moment, in that time zone.

    A day without a time is all of that day; a moment before the due date extends nothing. Raises ValueError: what is
    allowed.
    """
    if found := LENGTH.fullmatch(text.strip()):
        days = float(found[1].replace(",", ".")) * (UNITS[found[2][:1].lower() or "d"] / DAY)
    else:
        until = _moment(text.strip(), zone)
        days = max(0.0, (until - due) / DAY) if due else 0.0
    if days > MOST_DAYS:
        raise ValueError(ALLOWED)
    return days * DAY


def _moment(text: str, zone: tzinfo) -> datetime:
    try:
        if len(text) == len("2027-02-12"):
            return datetime.combine(date.fromisoformat(text), time.max, zone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(ALLOWED) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
