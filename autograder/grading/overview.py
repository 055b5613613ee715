"""A class in numbers: its totals, its exercises, its checks, and its losses. Plain values, for the report to show."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from autograder.grading.batch import Graded

BINS = 10
FEW = 10  # students from whom on a correlation says anything
WEAK = 0.1  # of a discrimination: those who pass do no better in everything else
LINTHRESH = 0.25  # of the threshold of a loss: so far its axis is linear, and from there on it is a logarithm
# What properties/loss.py says: "1.234 nats, 0.012 above the limit", "12.3 bits/dim", and
# "at most 0.034 nats above the limit of 1.222 (no points from 0.9 on)".
MEASURED = re.compile(r"(-?[\d.]+) ([^,\d][^,]*)(?:, ([\d.]+) (above|below) the limit)?")
REQUIRED = re.compile(r"at most (-?[\d.]+) (.+?)(?: above the limit of (-?[\d.]+))? \(no points from (-?[\d.]+) on\)")


@dataclass(frozen=True)
class Spread:
    """Of some numbers: how many, mean, least, quartiles, and most; all 0 where there is none."""

    count: int = 0
    mean: float = 0.0
    least: float = 0.0
    lower: float = 0.0
    median: float = 0.0
    upper: float = 0.0
    most: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        if not values:
            return cls()
        least, lower, median, upper, most = map(float, np.percentile(values, (0, 25, 50, 75, 100)))
        return cls(len(values), statistics.fmean(values), least, lower, median, upper, most)


@dataclass
class CheckStatistics:
    """One check in a class. number: its place among all of them. lost: students who did not pass it.

    discrimination: how passing goes with the points of everything else, from −1 to 1 (point-biserial correlation);
    None where too few were graded, or all did the same.
    """

    number: int
    exercise: str
    name: str
    title: str
    max_points: float
    counts: Counter = field(default_factory=Counter)
    points: list[float] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    discrimination: float | None = None

    @property
    def passed(self) -> float:
        """Share of those that were graded."""
        return self.counts["passed"] / self.counts.total() if self.counts else 0.0

    @property
    def is_weak(self) -> bool:
        """Whether who passes it does no better in the rest: unclear, or about something else."""
        return self.discrimination is not None and self.discrimination < WEAK


def totals(graded: Sequence[Graded]) -> Spread:
    return Spread.of([g.total for g in graded])


def distribution(graded: Sequence[Graded]) -> list[dict]:
    """How many students lie in each tenth of the checks' points: {"label", "count", "height" in percent}."""
    tenths = Counter(tenth(r) for r in graded if r.max_points)
    most = max(tenths.values(), default=1)
    return [
        {"label": f"{100 * k // BINS}–{100 * (k + 1) // BINS} %", "count": tenths[k], "height": 100 * tenths[k] / most}
        for k in range(BINS)
    ]


def tenth(graded: Graded) -> int:
    """In which tenth of the checks' points a student lies, from 0 on."""
    return max(0, min(BINS - 1, int(BINS * graded.points / graded.max_points))) if graded.max_points else 0


def exercises(graded: Sequence[Graded]) -> dict[str, Spread]:
    """{exercise: the spread of its points}, in the order in which the first student has them."""
    points_of: dict[str, list[float]] = {}
    for result in graded:
        for score in result.scores:
            points_of.setdefault(score["exercise"], []).append(score["points"])
    return {name: Spread.of(points) for name, points in points_of.items()}


def checks(graded: Sequence[Graded]) -> list[CheckStatistics]:
    """All checks, by exercise, in the notebook's order."""
    statistics: dict[tuple[str, str], CheckStatistics] = {}
    for result in graded:
        for score in result.scores:
            for check in score["checks"]:
                if check["name"]:
                    row = statistics.setdefault((score["exercise"], check["name"]), _row(score, check))
                    row.counts[check["outcome"]] += 1
                    row.points.append(check["points"] or 0.0)
                    row.lost |= {result.student} if check["outcome"] != "passed" else set()
    rows = sorted(statistics.values(), key=lambda r: _natural(r.exercise))
    for number, row in enumerate(rows):
        row.number = number
        row.discrimination = _discrimination(graded, row)
    return rows


def _row(score: dict, check: dict) -> CheckStatistics:
    name = f"{score['exercise']}.{check['name']}"
    return CheckStatistics(0, score["number"], name, check["title"], check["max_points"])


def _natural(number: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", number)]


def _discrimination(graded: Sequence[Graded], row: CheckStatistics) -> float | None:
    passed, rest = [], []
    for result in graded:
        mine = next((c for c in _named(result) if c[0] == row.name), None)
        if mine:
            passed.append(mine[1]["outcome"] == "passed")
            rest.append(result.points - (mine[1]["points"] or 0.0))
    return point_biserial(passed, rest)


def _named(graded: Graded):
    return ((f"{s['exercise']}.{c['name']}", c) for s in graded.scores for c in s["checks"])


def point_biserial(passed: Sequence[bool], rest: Sequence[float]) -> float | None:
    """The correlation of yes or no with numbers; None of fewer than FEW, or where one of the two is constant."""
    if len(passed) < FEW or len(set(passed)) < 2 or np.ptp(rest) < 1e-9:
        return None
    return float(np.corrcoef(np.asarray(passed, dtype=float), rest)[0, 1])


@dataclass(frozen=True)
class Losses:
    """What a class reached in one trained loss. Each point is (student, loss above its limit, or the loss itself).

    full: points are full up to here. baseline: and none from here on. limit: the exact one, if it is known.
    """

    title: str
    exercise: str
    unit: str
    full: float
    baseline: float
    limit: float | None
    points: tuple[tuple[str, float], ...]

    def place(self, value: float) -> float:
        """Where it stands from 0 to 1: linear up to about the threshold, then a logarithm, up to a little more than
        the baseline."""
        scale = max(abs(self.full), 1e-9) * LINTHRESH
        end = math.asinh(max(self.baseline, self.full) * 1.3 / scale)
        return min(1.0, max(0.0, math.asinh(max(value, 0.0) / scale) / end))


def losses(graded: Sequence[Graded]) -> list[Losses]:
    """The losses among the checks, as their words tell them."""
    losses_of: dict[tuple[str, str], Losses] = {}
    for result in graded:
        for score in result.scores:
            for check in score["checks"]:
                if read := loss(check["measured"], check["required"]):
                    value, unit, full, baseline, limit = read
                    about = Losses(check["title"], score["number"], unit, full, baseline, limit, ())
                    known = losses_of.setdefault((score["exercise"], check["name"]), about)
                    points = (*known.points, (result.student, value))
                    losses_of[score["exercise"], check["name"]] = Losses(
                        known.title, known.exercise, known.unit, known.full, known.baseline, known.limit, points
                    )
    return sorted(losses_of.values(), key=lambda one: _natural(one.exercise))


def loss(measured: str, required: str) -> tuple[float, str, float, float, float | None] | None:
    """(value, unit, full, baseline, limit) of a check's words; None where they are not of a loss.

    The value is what is graded: above the limit, where there is one.
    """
    asked, got = REQUIRED.fullmatch(required), MEASURED.fullmatch(measured)
    if not asked or not got:
        return None
    above = got[3]
    value = float(got[1]) if above is None else float(above) * (-1 if got[4] == "below" else 1)
    limit = None if asked[3] is None else float(asked[3])
    return (value, asked[2], float(asked[1]), float(asked[4]), limit) if math.isfinite(value) else None
