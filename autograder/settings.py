"""A course's settings: course.toml in the course folder. Without the file, the defaults.

```toml
title = "Deep Unsupervised Learning, spring 2027"
contact = "the forum, https://forum.example.edu/dul"
kit = "https://git.example.edu/dul/homework.git"
time_zone = "America/Los_Angeles"
turn = 0

[late]
per_day = "10 %"
grace = 15
days = 3

[assignments.hw1]
due = 2027-02-12T23:59:00
written = "ungraded"
without = ["color_pixelcnn"]
points = { made = 30 }
```
"""

import difflib
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import Any

from autograder import assignments, words
from autograder.assignments import Assignment, Exercise
from autograder.late import Amount, LatePolicy
from autograder.words import Catalogue
from deepul_utils import turn

NAME = "course.toml"
COLLABORATION = (
    "Talk about the exercises with whom you like, and write your code and your answers by yourself. You may ask an AI "
    "model to explain an idea or an error message, as you would ask a friend; do not let it write what you hand in. "
    "Say in your answers who and what helped you."
)
MOST_POINTS = 1e6
YEARS = range(1990, 2200)  # of due dates
WRITTEN = ("points", "ungraded")
LATE = ("per_day", "grace", "days", "most", "free_days")
OF_ASSIGNMENT = ("due", "written", "late", "without", "points", "excused", "questions", "weight")
OF_QUESTION = ("exercise", "text", "points")
MARKS = re.compile("SOLUTION|HIDDEN TESTS|MARK SCHEME")  # nbgrader cuts between such lines
PER_CENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


class SettingsError(ValueError):
    """course.toml is not in order: says where, what is wrong, and what is allowed; a line for each mistake."""


@dataclass(frozen=True)
class OwnQuestion:
    """A written question of the course's own, behind those of an exercise. text: Markdown."""

    exercise: str
    text: str
    points: float


@dataclass(frozen=True)
class AssignmentSettings:
    """due: with its time zone; None if it is not set. written: whether written questions have points. late: what a late
    submission costs. without: exercises that are left out. points: {exercise: what its checks are worth together}, of
    those where that is not what their tests say. excused: checks, such as "made.samples", of which everybody has all
    points. questions: beside those that the source asks. weight: of the assignment in the course's total.
    """

    due: datetime | None = None
    written: str = "points"
    late: LatePolicy = field(default_factory=LatePolicy)
    without: tuple[str, ...] = ()
    points: Mapping[str, float] = field(default_factory=dict)
    excused: tuple[str, ...] = ()
    questions: tuple[OwnQuestion, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True)
class CourseSettings:
    """title, contact: "" if not set. collaboration: Markdown; "" if nothing is to be said. kit: the git address of what
    students are given, unpacked, from which a notebook that stands alone, as on Colab, gets it; "" if there is none.

    turn: of the data that this course's students were given; None if it is not said. zone: of times that name none.
    late: of assignments without a policy of their own. assignments: of those that have settings of their own. words:
    what checks say in another language, words.toml beside course.toml.
    """

    title: str = ""
    contact: str = ""
    kit: str = ""
    collaboration: str = COLLABORATION
    turn: int | None = None
    zone: tzinfo = UTC
    late: LatePolicy = field(default_factory=LatePolicy)
    assignments: Mapping[str, AssignmentSettings] = field(default_factory=dict)
    words: Catalogue | None = None

    def of(self, assignment: str) -> AssignmentSettings:
        """The settings of an assignment."""
        return self.assignments.get(assignment, AssignmentSettings(late=self.late))

    def assignment(self, name: str) -> Assignment:
        """The assignment as this course gives it: its exercises, what they are worth, and what they ask."""
        own = self.of(name)
        kept = [e for e in Assignment(name).exercises if e.name not in own.without]
        return Assignment(name, tuple(_of_course(e, own) for e in kept))

    def require_turn(self) -> None:
        """Raises SettingsError where the kit's data are turned otherwise than the course's."""
        if self.turn not in (None, turn.number()):
            raise SettingsError(
                f"{NAME} says that this course has the data of turn {self.turn}, and the kit in {assignments.ROOT} has "
                f"those of turn {turn.number()}: what was trained on the ones is wrong on the others. Use the kit of "
                f"this term, or correct turn in {NAME}."
            )

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside of it, `assignments.get` finds assignments as this course gives them; checks speak its language.

        Raises SettingsError as `require_turn` does.
        """
        self.require_turn()
        changed = (n for n, own in self.assignments.items() if own.without or own.points or own.questions)
        with words.use(self.words), assignments.given({name: self.assignment(name) for name in changed}):
            yield


def _of_course(exercise: Exercise, own: AssignmentSettings) -> Exercise:
    more = tuple(q.points for q in own.questions if q.exercise == exercise.name)
    return replace(exercise, written=exercise.written + more, worth=own.points.get(exercise.name))


DEFAULTS = CourseSettings()


def read(folder: Path) -> CourseSettings:
    """The settings of the course in a folder. Raises SettingsError with all that is wrong in its course.toml."""
    file, said = folder / NAME, folder / words.NAME
    catalogue = Catalogue.read(said) if said.exists() else None
    if not file.exists():
        return replace(DEFAULTS, words=catalogue)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))  # Windows' editor may begin it with a mark
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is no UTF-8: save it as UTF-8 in your editor.") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from None
    reader = _Reader(str(file))
    settings = reader.course(table)
    if reader.problems:
        raise SettingsError("\n".join(reader.problems))
    return replace(settings, words=catalogue)


class _Wrong(Exception):
    """What is wrong with a value, and what is allowed, without where it stands."""


class _Reader:
    """Reads a table key by key, and collects what is wrong."""

    def __init__(self, file: str):
        self.file = file
        self.problems: list[str] = []

    def course(self, table: dict) -> CourseSettings:
        self._only(table, ("title", "contact", "kit", "collaboration", "turn", "time_zone", "late", "assignments"))
        zone = self._value(table, "time_zone", _zone, UTC if "time_zone" in table else None)  # one mistake is said once
        return CourseSettings(
            title=self._value(table, "title", _line, ""),
            contact=self._value(table, "contact", _line, ""),
            kit=self._value(table, "kit", _address, ""),
            collaboration=self._value(table, "collaboration", _text, COLLABORATION),
            turn=self._value(table, "turn", _turn, None),
            zone=zone or UTC,
            late=(late := self._late(table, LatePolicy(), "")),
            assignments=self._assignments(self._value(table, "assignments", _table, {}), zone, late),
        )

    def _late(self, table: dict, general: LatePolicy, where: str) -> LatePolicy:
        """A policy; what it does not say is as in the general one."""
        own, here = self._value(table, "late", _table, {}, where), f"{where}late."
        self._only(own, LATE, here)
        return LatePolicy(
            per_day=self._value(own, "per_day", _amount, general.per_day, here),
            grace=self._value(own, "grace", _number("minutes"), general.grace, here),
            days=self._value(own, "days", _number("days"), general.days, here),
            most=self._value(own, "most", _amount, general.most, here),
            free_days=self._value(own, "free_days", _number("days", whole=True), general.free_days, here),
        )

    def _assignments(self, table: dict, zone: tzinfo | None, late: LatePolicy) -> dict[str, AssignmentSettings]:
        self._only(table, assignments.names(), "assignments.", "assignments")
        found = {}
        for name in table.keys() & set(assignments.names()):
            own = self._value(table, name, _table, {}, "assignments.")
            # As the kit has it: settings may be read again where they are in use.
            found[name] = self._assignment(Assignment(name), own, zone, late)
        return found

    def _assignment(
        self, assignment: Assignment, own: dict, zone: tzinfo | None, late: LatePolicy
    ) -> AssignmentSettings:
        here, names = f"assignments.{assignment}.", tuple(e.name for e in assignment.exercises)
        self._only(own, OF_ASSIGNMENT, here)
        without = self._value(own, "without", _some_of(names), (), here)
        left = tuple(n for n in names if n not in without)
        if "free_days" in self._value(own, "late", _table, {}, here):
            self.problems.append(f"{self.file}: {here}late.free_days are of the whole term: set them in [late].")
        return AssignmentSettings(
            due=self._value(own, "due", lambda value: _moment(value, zone), None, here),
            written=self._value(own, "written", _one_of(WRITTEN), "points", here),
            late=self._late(own, late, here),
            without=without,
            points=self._points(own, left, here),
            excused=self._value(own, "excused", _checks(assignment), (), here),
            questions=tuple(self._questions(own, left, here)),
            weight=self._value(own, "weight", _number("times as much as another"), 1.0, here),
        )

    def _points(self, own: dict, names: tuple[str, ...], where: str) -> dict[str, float]:
        points = self._value(own, "points", _table, {}, where)
        self._only(points, names, f"{where}points.", "exercises")
        known = points.keys() & set(names)
        return {name: self._value(points, name, _positive, 1.0, f"{where}points.") for name in sorted(known)}

    def _questions(self, own: dict, names: tuple[str, ...], where: str) -> Iterator[OwnQuestion]:
        for number, table in enumerate(self._value(own, "questions", _tables, [], where), 1):
            here = f"{where}questions, number {number}: "
            self._only(table, OF_QUESTION, here)
            missing = [key for key in OF_QUESTION if key not in table]
            if missing:
                self.problems.append(f"{self.file}: {here}{missing[0]} is missing.")
                continue
            values = [
                self._value(table, key, parse, None, here)
                for key, parse in zip(OF_QUESTION, (_one_of(names), _some_text, _positive), strict=True)
            ]
            if None not in values:
                yield OwnQuestion(*values)

    def _only(self, table: dict, allowed: Iterable[str], where: str = "", what: str = "keys") -> None:
        """Name each key that there is not, with the nearest that there is."""
        for key in sorted(table.keys() - set(allowed)):
            near = difflib.get_close_matches(key, allowed, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            self.problems.append(f"{self.file}: there is no {where}{key}.{meant} Known {what}: {', '.join(allowed)}.")

    def _value(self, table: dict, key: str, parse: Callable[[Any], Any], default: Any, where: str = "") -> Any:
        if key not in table:
            return default
        try:
            return parse(table[key])
        except _Wrong as wrong:
            self.problems.append(f"{self.file}: {where}{key} {wrong}")
            return default


def _table(value: Any) -> dict:
    if not isinstance(value, dict):
        raise _Wrong(f"is {value!r}; it must be a table, as in [assignments.hw1].")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"is {value!r}; it must be a text in quotes.")
    if mark := MARKS.search(value):
        raise _Wrong(f"has {mark[0]} in capital letters, which marks what no student gets: write it in small ones.")
    return value.strip()


def _some_text(value: Any) -> str:
    if not _text(value):
        raise _Wrong("is empty; it must be a text in quotes.")
    return _text(value)


def _address(value: Any) -> str:
    text = _line(value)
    if "://" not in text:
        raise _Wrong(f"is {value!r}; it must be the address of a git repository, such as https://example.edu/hw.git.")
    return text


def _line(value: Any) -> str:
    text = _text(value)
    if not text or not text.isprintable():
        raise _Wrong(f"is {value!r}; it must be one line of text in quotes.")
    return text


def _turn(value: Any) -> int:
    if isinstance(value, bool) or value not in range(turn.TURNS):
        raise _Wrong(
            f"is {value!r}; it must be the turn of the data, from 0 to {turn.TURNS - 1}, as `deepul turn` says."
        )
    return value


def _tables(value: Any) -> list:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise _Wrong(f"is {value!r}; it must be tables, as in [[assignments.hw1.questions]].")
    return value


def _number(of: str, whole: bool = False) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if not _is_number(value) or (whole and not isinstance(value, int)):
            raise _Wrong(f"is {value!r}; it must be a {'whole ' * whole}number, 0 or more: {of}.")
        return value

    return parse


def _positive(value: Any) -> float:
    if not _is_number(value) or not value:
        raise _Wrong(f"is {value!r}; it must be a number of points, more than 0.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_POINTS


def _amount(value: Any) -> Amount:
    if _is_number(value):
        return Amount(float(value))
    share = PER_CENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if share is None or float(share[1]) > 100:
        raise _Wrong(f'is {value!r}; it must be a number of points, such as 5, or a share of them, such as "10 %".')
    return Amount(float(share[1]), is_share=True)


def _some_of(allowed: tuple[str, ...]) -> Callable[[Any], tuple[str, ...]]:
    """Of a list of names, which are not all that there are."""

    def parse(value: Any) -> tuple[str, ...]:
        names = value if isinstance(value, list) else [value]
        for name in names:
            if name not in allowed:
                raise _Wrong(f"is {value!r}, where {name!r} is none of {', '.join(allowed)}.")
        if set(names) == set(allowed):
            raise _Wrong(f"is {value!r}: nothing would be left.")
        return tuple(dict.fromkeys(names))

    return parse


def _checks(assignment: Assignment) -> Callable[[Any], tuple[str, ...]]:
    """Of a list of checks, each as "exercise.check"."""

    def parse(value: Any) -> tuple[str, ...]:
        known = {e.name: e for e in assignment.exercises}
        for name in value if isinstance(value, list) else [value]:
            exercise, _, check = name.partition(".") if isinstance(name, str) else ("", "", "")
            there = (
                [n.removeprefix("test_") for n in vars(known[exercise].module) if n.startswith("test_")]
                if (exercise in known)
                else []
            )
            if check not in there:
                listed = ", ".join(f"{exercise}.{n}" for n in there) if there else ", ".join(f"{e}.…" for e in known)
                raise _Wrong(f"is {value!r}, where {name!r} is no check. There are: {listed}.")
        return tuple(value) if isinstance(value, list) else (value,)

    return parse


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in allowed:
            raise _Wrong(f"is {value!r}; it must be " + " or ".join(f'"{a}"' for a in allowed) + ".")
        return value

    return parse


def _zone(value: Any) -> zoneinfo.ZoneInfo:
    name = _text(value)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones, or no name of a file
        known = zoneinfo.available_timezones()
        if not known:
            raise _Wrong("is not known: this machine has no list of time zones; pip install tzdata.") from None
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise _Wrong(f'is {value!r}; it must be a time zone such as "Europe/Berlin".{meant}') from None


def _moment(value: Any, zone: tzinfo | None) -> datetime:
    """A moment with its time zone. zone: of times that name none."""
    example = "a date and time such as 2027-02-12T23:59:00 or 2027-02-12T23:59:00-08:00"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > len("2027-02-12") else date.fromisoformat(value)
        except ValueError:
            raise _Wrong(f"is {value!r}; it must be {example}.") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        raise _Wrong(f"is {value}, a day without a time; it must be {example}.")
    if isinstance(value, time) or not isinstance(value, datetime):
        raise _Wrong(f"is {value}; it must be {example}.")
    if value.year not in YEARS:  # near the ends of the calendar, it may have no date in another zone
        raise _Wrong(f"is {value}, in a year that is no course's; it must be {example}.")
    if value.tzinfo:
        return value
    if zone is None:
        raise _Wrong(f'is {value}, in no time zone; set time_zone = "Europe/Berlin" at the top, or add +01:00 to it.')
    return _in_zone(value, zone)


def _in_zone(local: datetime, zone: tzinfo) -> datetime:
    """A local time in its zone, where the clocks show it once."""
    found = local.replace(tzinfo=zone)
    if found.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise _Wrong(f"is {local}, which clocks in {zone} never show: they are put forward then.")
    if found.utcoffset() != found.replace(fold=1).utcoffset():
        raise _Wrong(f"is {local}, which clocks in {zone} show twice: add the offset, such as +01:00.")
    return found
