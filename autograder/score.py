"""What a check returns: a plain float that shows itself as a table."""

import math
import os
import re
from dataclasses import asdict, dataclass, field

from autograder.assignments import Exercise

MIME = "application/vnd.deepul.score+json"


@dataclass
class CheckResult:
    """One row: a check and what came of it.

    outcome: "passed", "partial", "failed", "skipped" (something it rests on is missing; no points), or
    "not graded" (our fault: points is None, and `fault` holds the traceback for whoever maintains the kit).
    kind: for an error in the student's code, what kind (see workbench.StudentCodeError). statistic: whether what was
    measured is one, and differs from salt to salt.
    """

    name: str
    title: str
    max_points: float
    points: float | None = 0.0
    outcome: str = "failed"
    measured: str = ""
    required: str = ""
    hint: str = ""
    plot: dict | None = field(default_factory=dict)
    seconds: float = 0.0
    kind: str = ""
    statistic: bool = False
    fault: str = ""

    @property
    def missing(self) -> str:
        """What a check waits for: a method that is still a stub, or something to train; "" if for nothing."""
        forms = {
            "not implemented": "(`[^`]{1,200}`)",
            "untrained": "nothing was (train)ed under the name '([^']{1,200})'",
        }
        found = re.match(forms.get(self.kind, "(?!)"), self.measured)
        return "" if not found else found[1] if self.kind == "not implemented" else f"{found[1]}ing {found[2]}"

    @property
    def undefined(self) -> str:
        """The name that a check asks for in vain, as after a restart, when no cell has run; "" if it asks for none."""
        found = re.match(r"the notebook defines no (\w+)|(\w+) is not defined", self.measured)
        return (found[1] or found[2]) if found and self.kind == "missing" else ""


class Score(float):
    """The points earned in one exercise: a real float that shows itself as a table, in every form."""

    def __new__(cls, exercise: Exercise, results: list[CheckResult], printed: str = "", left_out: int = 0):
        # Rounded to a thousandth, so that 0.1 + 0.2 is no 0.30000000000000004 in anybody's gradebook.
        return super().__new__(cls, round(sum(r.points or 0.0 for r in results), 3))

    def __init__(self, exercise: Exercise, results: list[CheckResult], printed: str = "", left_out: int = 0):
        self.exercise, self.results, self.printed, self.left_out = exercise, results, printed, left_out
        self.notes: list[str] = []  # what to know beside the checks: weights of another version of the code, say

    @property
    def max_points(self) -> float:
        return sum(r.max_points for r in self.results)

    @property
    def headline(self) -> str:
        """One sentence or two on where the exercise stands: what holds, what does not, what is missing."""
        missing = _listed([r.missing for r in self.results])
        held = sum(r.outcome == "passed" for r in self.results)
        wrong = sum(r.outcome in ("failed", "partial") and not r.undefined for r in self.results)
        undefined = _listed([r.undefined for r in self.results])
        if not held and not wrong and any(r.kind == "not implemented" for r in self.results):
            return f"{self.exercise} is not implemented yet."
        if any(r.outcome == "not graded" for r in self.results):
            return "Some checks could not be run, through no fault of yours: please tell the course staff."
        if undefined and not held and not wrong:
            return f"There is nothing to check yet: {undefined} {'are' if ',' in undefined else 'is'} not defined."
        said = ["Everything holds." if held == len(self.results) else f"{held} of {len(self.results)} checks hold"]
        if wrong:
            said[0] += f", {wrong} found something wrong"
        if undefined:
            said[0] += f"; not defined: {undefined}"
        if missing:
            said[0] += f"; still to do: {missing}"
        if self.left_out:
            said.append(f"{self.left_out} other checks were not run.")
        return f"{said[0].rstrip('.')}. {' '.join(said[1:])}".strip()

    def to_json(self) -> dict:
        """Everything the table shows, as plain JSON values."""
        return _plain(
            {
                "exercise": self.exercise.name,
                "number": self.exercise.number,
                "title": self.exercise.title,
                "points": float(self),
                "max_points": self.max_points,
                "headline": self.headline,
                "printed": self.printed[-2000:],
                "notes": self.notes,
                "checks": [asdict(r) for r in self.results],
            }
        )

    def __repr__(self) -> str:
        alone = os.environ.get("NBGRADER_EXECUTION") == "autograde"  # nbgrader without the kit's configuration
        return self.figure if alone else self.text()

    @property
    def figure(self) -> str:
        """The number alone, as nbgrader reads it in a grade cell; anything else would be full marks to it."""
        return float.__repr__(self)

    def __reduce__(self):
        return float, (float(self),)

    def _repr_html_(self) -> str:
        from autograder.display import score_html

        return score_html(self.to_json())

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": repr(self), "text/html": self._repr_html_(), MIME: self.to_json()}

    def text(self) -> str:
        """The table for a terminal, VS Code's plain view, or nbconvert: 80 columns."""
        from autograder.display import score_text

        return score_text(self.to_json())


def _listed(names: list[str]) -> str:
    """Each once, four of them, and how many more there are; "" for none."""
    names = [name for name in dict.fromkeys(names) if name]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _plain(value):
    """The same value with numpy arrays and numbers as lists and Python numbers, for JSON, which has no nan."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
