"""Known wrong solutions: each a small substitution on the solution source, and the check that must catch it."""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from autograder import assignments, notebooks
from autograder.notebooks import Cell


@dataclass(frozen=True)
class Body:
    """In an edit: all that the solution writes in a method, as Body("MADE.sample")."""

    name: str


Edits = tuple[tuple[str | Body, str], ...]


@dataclass(frozen=True)
class Mutant:
    """A realistic slip.

    exercise: whose solution it changes. edits: (find, replace) pairs, each to be found exactly once in
    the section of the exercise.
    caught_by: the check (test name without "test_") that must catch it. hint: words that the student must read
    with it. also: checks that are skipped because of the slip and cost points, though nothing wrong was measured: their
    results would mean nothing. weights: "reference" where those keep their meaning; "trained" where the slip is in the
    training or shows in what was trained; "none" where they would not load, and the check needs none.
    """

    name: str
    exercise: str
    slip: str
    edits: Edits
    caught_by: str
    hint: str
    weights: str = "reference"
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """A right solution written differently; it must earn full marks."""

    name: str
    exercise: str
    difference: str
    edits: Edits
    weights: str = "trained"


@dataclass(frozen=True)
class Start:
    """The solution with other weights to begin with; its checks of random weights must hold all the same.

    weights: how matrices and kernels start, a name in `starts.WEIGHTS`. frozen: masks that are buffers become
    parameters without a gradient.
    """

    name: str
    exercise: str
    start: str
    frozen: bool
    weights: str = "none"


def apply(change: Mutant | Variant, cells: list[Cell]) -> list[Cell]:
    """The cells with the change made. Raises ValueError if an edit does not match once in the exercise's section."""
    sources = [cell.source for cell in cells]
    section = {id(cell) for cell in notebooks.section(cells, assignments.get_exercise(change.exercise).number)}
    for find, replace in change.edits:
        places = [(i, span) for i, cell in enumerate(cells) if id(cell) in section for span in _spans(find, sources[i])]
        if len(places) != 1:
            raise ValueError(f"{change.name}: {find!r} occurs {len(places)} times in the solution; it must occur once.")
        i, (start, end) = places[0]
        sources[i] = sources[i][:start] + replace + sources[i][end:]
    return [Cell(cell.kind, source) for cell, source in zip(cells, sources, strict=True)]


def _spans(find: str | Body, source: str) -> list[tuple[int, int]]:
    """Where it stands in a source."""
    if isinstance(find, str):
        return [match.span() for match in re.finditer(re.escape(find), source)]
    owner, method = find.name.split(".")
    body = re.compile(
        rf"^class {owner}\b.*?^    def {method}\b.*?^        ### BEGIN SOLUTION\n(.*?)^        ### END SOLUTION",
        re.MULTILINE | re.DOTALL,
    )
    return [match.span(1) for match in body.finditer(source)]


def mutants(assignment: str) -> list[Mutant]:
    """The known wrong solutions of an assignment."""
    return list(_private(assignment, "mutants").MUTANTS)


def variants(assignment: str) -> list[Variant]:
    """The right solutions written differently of an assignment."""
    return list(_private(assignment, "variants").VARIANTS)


def mutant(assignment: str, name: str) -> Mutant:
    return next(m for m in mutants(assignment) if m.name == name)


@cache
def _private(assignment: str, what: str) -> ModuleType:
    """solutions/<assignment>/<what>.py, which quotes solutions and lies among them."""
    file = assignments.get(assignment).solution / f"{what}.py"
    spec = importlib.util.spec_from_file_location(f"solutions_{assignment}_{what}", file)
    if TYPE_CHECKING:
        assert spec is not None
        assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
