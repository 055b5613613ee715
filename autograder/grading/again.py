"""One check of one student, asked again as it was asked for the grade.

The notebook runs in the sandbox up to the cell of that check, with the seeds of the course's own salt; what the
student's code is asked and answers is noted on the way. Nothing is recorded.
"""

import time
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from autograder import runner
from autograder.assignments import Exercise
from autograder.course import Course, CourseError
from autograder.display import counted
from autograder.grading import batch, execute, listings, outputs, report, submissions
from autograder.grading.kernel import Kernel, KernelStudent
from autograder.grading.limits import Limits
from autograder.grading.listings import Listing
from autograder.grading.normalise import Normalised, normalise
from autograder.grading.submissions import Submission
from autograder.workbench import StudentCodeError, decode
from deepul_utils.check import explain_missing

MOST_CALLS = 400  # of one check that are noted; those of the homeworks make a tenth
MOST_KEPT = 64 * 2**20  # bytes of arrays that are kept of them
MOST_SHOWN = 60  # characters of a value that is no array


@dataclass(frozen=True)
class Check:
    """A check of an exercise, as its test names it."""

    exercise: Exercise
    name: str
    title: str

    def __str__(self) -> str:
        return f"{self.exercise.name}.{self.name}"


@dataclass
class Call:
    """What the student's code was asked, and what it answered, in words; how many times in a row the same.

    function: what of the student's was called, such as "MADE.sample"; "" if nothing. arrays: {"asked_0": …,
    "answered_0": …} of the first time.
    """

    asked: str
    answered: str = ""
    function: str = ""
    times: int = 1
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Shown:
    """What came of asking again: result, and before, what the grade had; a CheckResult each, as a dictionary.

    seed: of this check alone. alone: what it gave without the others of its exercise, if that was something else.
    code: what was called, and where errors arose. figure: the student's own, base64 PNG. told: what a TA should know.
    """

    student: str
    check: Check
    seed: int
    result: dict
    before: dict | None
    alone: dict | None
    calls: list[Call]
    code: list[Listing]
    printed: str
    figure: str
    told: list[str]

    @property
    def agrees(self) -> bool:
        """Whether it earns what the grade gave; True where there was none."""
        return self.before is None or _rounded(self.before["points"]) == _rounded(self.result["points"])


def _rounded(points: float | None) -> float | None:
    return None if points is None else round(points, 3)


def ask(course: Course, assignment: str, handed_in: Submission, check: Check, limits: Limits) -> Shown:
    """Ask one check again, with the seeds of the grade. Raises CourseError, or SandboxError."""
    student = handed_in.student
    files, left_out = submissions.read(handed_in, assignment)
    normal = normalise(files, assignment, batch.prepare(course, assignment), left_out)
    before = _before(report.earlier_result(course, assignment, student), check)
    run = _Run(normal, assignment, course.salt, limits, check, before)
    sandbox = execute.opened(limits)
    try:
        run.grade(sandbox, time.monotonic() + limits.total)
    finally:
        sandbox.close()
    return run.shown(student)


def _before(graded: batch.Graded | None, check: Check) -> dict | None:
    """What the last grade had of a check."""
    scores = graded.scores if graded else []
    here = [c for s in scores if s["exercise"] == check.exercise.name for c in s["checks"] if c["name"] == check.name]
    return here[0] if here else None


class _Session(runner.Session):
    """Tells the student's witness which check is under way."""

    def pytest_runtest_setup(self, item):
        self.student.noting = item.function.__name__.removeprefix("test_") == self.student.wanted
        super().pytest_runtest_setup(item)


class _Run(execute.Run):
    """A submission's way up to the one check that is wanted; the others are not asked."""

    def __init__(self, normal: Normalised, assignment: str, salt: str, limits: Limits, check: Check, before):
        super().__init__(normal, assignment, salt, limits)
        self.wanted, self.before = check, before
        self.result_of_check: dict | None = None
        self.alone: dict | None = None
        self.printed = ""
        self.seed = 0

    def _check(self, cell, name, kernel):
        cell["outputs"] = []
        if name != self.wanted.exercise.name:
            return
        self.result_of_check = self._asked(kernel, self.wanted.name)
        earned, before = self.result_of_check["points"], self.before and self.before["points"]
        if self.before and _rounded(earned) != _rounded(before):  # another check of its exercise may have a say in it
            self.alone, self.result_of_check = self.result_of_check, self._asked(kernel, "")
        self.is_done = True

    def _asked(self, kernel: Kernel, only: str) -> dict:
        """What came of the check. only: "" for all checks of its exercise."""
        self.witness = Witness(kernel, self.files, self.wanted.name)
        exercise = self.wanted.exercise
        session = _Session(self.witness, self.salt, runner.references(exercise.assignment.name), only)
        runner.run(exercise, session)
        explain_missing(session.results, self.failed_cells)
        self.printed, self.seed = self.witness.take_printed(), session.seed(f"test_{self.wanted.name}")
        return self._in_points_of_grade(asdict(next(r for r in session.results if r.name == self.wanted.name)))

    def _in_points_of_grade(self, result: dict) -> dict:
        """A course may give other points than the tests do."""
        if not self.before or result["points"] is None:
            return result
        share, most = result["points"] / result["max_points"], self.before["max_points"]
        return result | {"max_points": most, "points": round(share * most, 3)}

    def shown(self, student: str) -> Shown:
        """All that is known now. Raises CourseError if the check was not reached."""
        if self.result_of_check is None:
            why = self.result.stopped or "the notebook has no cell with this check"
            raise CourseError(f"{self.wanted} could not be asked: {why}.")
        sources, result = [c["source"] for c in self.cells], self.result_of_check
        code = [*listings.of_cells(self.failed_cells), *listings.of_errors(sources, result["measured"])]
        shown = {listing.title for listing in code}
        called = dict.fromkeys(c.function for c in self.witness.calls if c.function)
        found = (listings.of_function(sources, name) for name in called if name.rpartition(".")[2] not in shown)
        code += [listing for listing in found if listing]
        figure = batch.figures(self.result.notebook["cells"]).get(self.wanted.exercise.name, "")
        told = [*self.result.told, *(f"A cell stopped: {said}" for said in self.failed_cells.values())]
        return Shown(
            student,
            self.wanted,
            self.seed,
            outputs.plain(result),
            self.before,
            outputs.plain(self.alone),
            [replace(c, asked=outputs.plain(c.asked), answered=outputs.plain(c.answered)) for c in self.witness.calls],
            [replace(listing, lines=tuple(map(outputs.plain, listing.lines))) for listing in code],
            outputs.plain(self.printed),
            figure,
            outputs.plain(told),
        )


class Witness(KernelStudent):
    """Notes what the student's code is asked, and what it answers, for one check; with the model's own weights only."""

    def __init__(self, kernel: Kernel, files: dict[str, bytes], wanted: str):
        super().__init__(kernel, files)
        self.wanted, self.noting = wanted, False
        self.calls: list[Call] = []
        self._room = MOST_KEPT
        self._objects: dict[int, str] = {}  # {number: name of its class, or of what was trained}

    def request(self, message, arrays, limit):
        call = self._described(message, arrays)
        try:
            result, out = super().request(message, arrays, limit)
        except StudentCodeError as error:
            call.answered = error.message
            self._note(call, arrays, [])
            raise
        if message["do"] in ("construct", "trained") and isinstance(result, int):
            self._objects[result] = str(message["name"])
            call.answered = "made"
        else:
            call.answered = _value(decode(result, out)) if out or result is not None else ""
        self._note(call, arrays, out)
        return result, out

    def _described(self, message: dict, arrays: list[np.ndarray]) -> Call:
        said = decode(message, arrays)
        what, target = said["do"], self._objects.get(said.get("target"), "")
        values = [*map(_value, said.get("args", ())), *(f"{k}={_value(v)}" for k, v in said.get("kwargs", {}).items())]
        if what == "construct":
            return Call(f"{said['name']}({', '.join(values)})", function=f"{said['name']}.__init__")
        if what in ("call", "gradient", "jacobian"):
            function = f"{target}.{said['method']}" if target else said["method"]
            before = "" if what == "call" else f"{what} of "
            return Call(f"{before}{function}({', '.join(values)})", function=function)
        if what in ("trained", "drawn", "weights"):
            return Call(f"{what}({said['name']!r})")
        return Call(f"{what} {target}".strip())

    def _note(self, call: Call, asked: list[np.ndarray], answered: list[np.ndarray]) -> None:
        if not self.noting or self._change[0] or len(self.calls) >= MOST_CALLS:
            return
        if self.calls and (self.calls[-1].asked, self.calls[-1].answered) == (call.asked, call.answered):
            self.calls[-1].times += 1
            return
        for what, values in (("asked", asked), ("answered", answered)):
            for number, array in enumerate(values):
                if array.nbytes <= self._room:
                    self._room -= array.nbytes
                    call.arrays[f"{what}_{number}"] = array
        self.calls.append(call)


def _value(value) -> str:
    """A value in a few words: what kind of array, and between what."""
    if isinstance(value, np.ndarray):
        return summary(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value[:4]))}{', …' if len(value) > 4 else ''}]"
    if isinstance(value, dict):
        return f"{counted(len(value), 'array')} by name"
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def summary(array: np.ndarray) -> str:
    """ "float32 (81, 4), from −2.1 to 3.4, mean 0.02", and how many are no numbers."""
    kind = f"{array.dtype} {array.shape}" if array.shape else str(array.dtype)
    if not array.size or array.dtype.kind not in "biuf":
        return kind
    values = array.astype(float)
    finite = values[np.isfinite(values)]
    said = [kind]
    if finite.size == 1:
        said.append(f"{finite.item():.4g}")
    elif finite.size:
        said.append(f"from {finite.min():.4g} to {finite.max():.4g}, mean {finite.mean():.4g}")
    lost = array.size - finite.size
    return ", ".join(said + ([f"{lost} of {array.size} nan or infinite"] if lost else []))
