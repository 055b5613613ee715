"""The assignments: what is handed out as one notebook, and where everything that belongs to one lies.

An assignment is two folders. `autograder/assignments/<name>/` is what grades it, and goes to its students:
assignment.toml, a test file for each exercise, reference.json. `solutions/<name>/` never leaves the course's staff: the
source notebook, its weights, and what is known of wrong and right answers. A folder with an assignment.toml is an
assignment; nothing else lists it.
"""

import difflib
import importlib
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # of an assignment, and of an exercise: a module's
NUMBER = re.compile(r"[A-Z]?\d+(\.\d+)*")
MOST_QUESTIONS = 26  # of one exercise: they are told apart by a letter
ROW = ("name", "paper", "data", "shows")  # of a model, in the table of models


class AssignmentError(ValueError):
    """An assignment.toml is not in order: says which, what is wrong, and what to do."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: `name` is its id in heading, stub, check, artifact, test file and reference.

    difficulty: from 1 to 3. thinking, training: minutes, those of training on a laptop with two cores. written: the
    points of its written questions, in their order. model: what the table of models says of it, {"name", "paper",
    "data", "shows"} and perhaps "arxiv", its number there; empty where it has no row. worth: what its checks are worth
    together, where a course says so.
    """

    name: str
    number: str
    title: str
    difficulty: int
    thinking: int
    training: float
    written: tuple[float, ...]
    model: dict[str, str] = field(hash=False, compare=False)
    assignment: "Assignment"
    worth: float | None = None

    @property
    def test_file(self) -> Path:
        return self.assignment.checks / f"test_{self.name}.py"

    @property
    def module(self) -> ModuleType:
        """Its tests."""
        return importlib.import_module(f"autograder.assignments.{self.assignment}.test_{self.name}")

    @property
    def points(self) -> float:
        """What it is worth: the sum of its checks' points, unless a course says otherwise."""
        return self.worth or self.points_of_checks

    @cached_property
    def points_of_checks(self) -> float:
        """Sum of the points of the exercise's checks, where points are written."""
        return sum(test.points for name, test in vars(self.module).items() if name.startswith("test_"))

    @property
    def questions(self) -> tuple["Question", ...]:
        """Its written questions."""
        return tuple(Question(self, k, worth) for k, worth in enumerate(self.written))

    def __str__(self) -> str:
        return f"Exercise {self.number}"


@dataclass(frozen=True)
class Question:
    """A written question, which people grade: the `place`-th of its exercise, from 0 on, and what it is worth."""

    exercise: Exercise
    place: int
    points: float

    @property
    def id(self) -> str:
        """The grade id of the cell with its answer."""
        return f"answer-{self.exercise.name}" + (f"-{self.place + 1}" if self.place else "")

    @property
    def number(self) -> str:
        """ "1.2", or "1.2a", "1.2b", … where there are several."""
        letter = "abcdefghijklmnopqrstuvwxyz"[self.place] if len(self.exercise.written) > 1 else ""
        return self.exercise.number + letter

    @property
    def placeholder(self) -> str:
        """What stands in the cell until it is answered."""
        return f"*Your answer to question {self.number}: write it here, in place of this line.*"

    def __str__(self) -> str:
        return f"Question {self.number}"


def is_answered(text: str, placeholder: str) -> bool:
    """Whether an answer's cell says anything: more than space, and than what it said when it was handed out."""
    return bool(text.replace(placeholder, "").strip())


@dataclass(frozen=True)
class Assignment:
    """An assignment by its name, and all its paths. Whether it exists, `get` says.

    given: its exercises as a course gives them, if that is not all of them, as they are.
    """

    name: str
    given: tuple[Exercise, ...] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name

    @property
    def checks(self) -> Path:
        """What grades it: tests, assignment.toml, reference.json."""
        return FOLDER / self.name

    @property
    def reference(self) -> Path:
        """The calibrated losses."""
        return self.checks / "reference.json"

    @property
    def solution(self) -> Path:
        """The private folder."""
        return ROOT / "solutions" / self.name

    @property
    def source(self) -> Path:
        """The one notebook that people edit, as a percent script."""
        return self.solution / f"{self.name}.py"

    @property
    def artifacts(self) -> Path:
        """The reference weights and samples."""
        return self.solution / "artifacts"

    @property
    def verdicts(self) -> Path:
        """What `deepul validate` found."""
        return self.solution / "verdicts.json"

    @property
    def handout(self) -> Path:
        """The generated folder that students get."""
        return ROOT / "homeworks" / self.name

    @property
    def title(self) -> str:
        return self._settings["title"]

    @property
    def minutes(self) -> int:
        """How long its trainings take together, on a laptop with two cores."""
        return max(1, round(sum(e.training for e in self.exercises)))

    @property
    def questions(self) -> tuple[Question, ...]:
        """The written questions of all its exercises."""
        return tuple(q for e in self.exercises for q in e.questions)

    @property
    def order(self) -> float:
        """Its place among the assignments; those of one order stand by their names, hw2 before hw10."""
        return self._settings["order"]

    @cached_property
    def exercises(self) -> tuple[Exercise, ...]:
        if self.given is not None:
            return self.given
        return tuple(
            Exercise(
                e["name"],
                e["number"],
                e["title"],
                e["difficulty"],
                e["thinking"],
                e["training"],
                tuple(e.get("written", ())),
                e.get("model", {}),
                self,
                e.get("worth"),
            )
            for e in self._settings["exercises"]
        )

    def chosen(self, exercise: str = "") -> list[Exercise]:
        """All its exercises, or the one of that name. Raises ValueError if it has none of that name."""
        if not exercise:
            return list(self.exercises)
        only = get_exercise(exercise)
        if only not in self.exercises:
            raise ValueError(f"{exercise} is an exercise of {only.assignment}, not of {self}.")
        return [only]

    @property
    def _settings(self) -> dict:
        return _read(self.checks / "assignment.toml")


@cache
def _read(file: Path) -> dict:
    """An assignment.toml, looked over. Raises AssignmentError."""
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AssignmentError(f"{file.relative_to(ROOT)} cannot be read: {error}") from None
    for key, kind in (("title", str), ("order", int | float), ("exercises", list)):
        if not isinstance(settings.get(key), kind):
            raise AssignmentError(f"{file.relative_to(ROOT)} needs {key} = …, {_kind(kind)}.")
    for number, exercise in enumerate(settings["exercises"], 1):
        where = f"{file.relative_to(ROOT)}, exercise {number}"
        missing = [k for k in ("name", "number", "title") if not isinstance(exercise.get(k), str)]
        if missing:
            raise AssignmentError(f'{where} needs {missing[0]} = "…", a text.')
        if not NAME.fullmatch(exercise["name"]):
            raise AssignmentError(f"{where}: the name {exercise['name']!r} must be letters, digits and _ only.")
        if not NUMBER.fullmatch(exercise["number"]):
            raise AssignmentError(f"{where}: the number {exercise['number']!r} is not like 1.2, 12 or E7.1.")
        for key, allowed, valid in NUMBERS:
            if not valid(exercise.get(key, IF_LEFT_OUT.get(key))):
                raise AssignmentError(f"{where} needs {key} = …, {allowed}.")
        _require_row(exercise.get("model", {}), where)
    return settings


def _require_row(model: Any, where: str) -> None:
    """What the table of models says of an exercise is all there, or nothing is."""
    known = model if isinstance(model, dict) else {"": ""}
    missing = [key for key in ROW if not (isinstance(known.get(key), str) and known[key])] if known else []
    if missing:
        raise AssignmentError(f'{where} needs {missing[0]} = "…" in its [exercises.model], a text.')
    unknown = sorted(known.keys() - {*ROW, "arxiv"})
    if unknown:
        raise AssignmentError(
            f"{where} has {unknown[0]} in its [exercises.model]; there are {', '.join(ROW)} and arxiv."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_points(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_QUESTIONS and all(_is_number(v) and v > 0 for v in value)


# What else an exercise has: (key, what it must be, whether a value is that).
NUMBERS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("difficulty", "1, 2 or 3", lambda value: _is_number(value) and value in (1, 2, 3)),
    ("thinking", "a number of minutes", _is_number),
    ("training", "a number of minutes on two cores", _is_number),
    ("written", "a list of the points of its written questions, such as [2]", _is_points),
    ("worth", "a number of points that a course gives its checks together", lambda value: _is_points([value])),
)
IF_LEFT_OUT = {"written": [], "worth": 1}


def _kind(kind: Any) -> str:
    return {str: "a text", list: "a list of [[exercises]]"}.get(kind, "a number")


@cache
def every() -> tuple[Assignment, ...]:
    """All assignments, in their order. Raises AssignmentError where one is not in order, or two share an exercise."""
    registry = [Assignment(file.parent.name) for file in FOLDER.glob("*/assignment.toml")]
    for assignment in registry:
        if not NAME.fullmatch(assignment.name):
            raise AssignmentError(f"The folder {assignment.checks} must be called by letters, digits and _ only.")
    registry.sort(key=lambda a: (a.order, natural(a.name)))
    owner: dict[str, Assignment] = {}
    for assignment in registry:
        for exercise in assignment.exercises:
            other = owner.setdefault(exercise.name, assignment)
            if other is not assignment:
                raise AssignmentError(f"{other} and {assignment} both have an exercise called {exercise.name}.")
    return tuple(registry)


def natural(name: str) -> list:
    """A key to sort by: numbers in a name count as numbers, hw2 before hw10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def names() -> list[str]:
    return [a.name for a in every()]


_given: ContextVar[Mapping[str, Assignment]] = ContextVar("given")


@contextmanager
def given(course: Mapping[str, Assignment]) -> Iterator[None]:
    """Inside of it, `get` finds assignments as a course gives them: its exercises, their points and questions."""
    token = _given.set(course)
    try:
        yield
    finally:
        _given.reset(token)


def get(name: str) -> Assignment:
    """The assignment called `name`, as the course gives it. Raises ValueError naming the known ones."""
    known = {a.name: a for a in every()}
    if name not in known:
        raise ValueError(f"There is no assignment called {name!r}. Assignments: {', '.join(known)}.")
    return _given.get({}).get(name, known[name])


def get_exercise(name: str) -> Exercise:
    """The exercise called `name`; an artifact's name, such as "made.smiley", finds its exercise too.

    Raises ValueError naming the known exercises.
    """
    by_name = {e.name: e for a in every() for e in a.exercises}
    by_name |= {e.name: e for a in _given.get({}).values() for e in a.exercises}
    key = name.split(".")[0]
    if key in by_name:
        return by_name[key]
    close = difflib.get_close_matches(key, by_name, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"There is no exercise called {name!r}.{hint} Exercises: {', '.join(by_name)}.")
