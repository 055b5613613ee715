"""Known wrong solutions: each a small substitution on the solution source, and the check that must catch it."""

import importlib
from dataclasses import dataclass

from autograder.notebooks import Cell


@dataclass(frozen=True)
class Mutant:
    """A realistic slip.

    exercise: whose solution it changes. edits: (find, replace) pairs, each to be found exactly once.
    caught_by: the check (test name without "test_") that must catch it. hint: words that the student must read
    with it. weights: "reference" where those keep their meaning; "trained" where the slip is in the training or
    shows in what was trained; "none" where they would not load, and the check needs none.
    """

    name: str
    exercise: str
    slip: str
    edits: tuple[tuple[str, str], ...]
    caught_by: str
    hint: str
    weights: str = "reference"


@dataclass(frozen=True)
class Variant:
    """A right solution written differently; it must earn full marks."""

    name: str
    exercise: str
    difference: str
    edits: tuple[tuple[str, str], ...]
    weights: str = "trained"


def apply(change: Mutant | Variant, cells: list[Cell]) -> list[Cell]:
    """The cells with the change made. Raises ValueError if an edit does not match exactly once."""
    sources = [cell.source for cell in cells]
    for find, replace in change.edits:
        matches = [i for i, source in enumerate(sources) if find in source]
        count = sum(sources[i].count(find) for i in matches)
        if count != 1:
            raise ValueError(f"{change.name}: {find!r} occurs {count} times in the solution; it must occur once.")
        sources[matches[0]] = sources[matches[0]].replace(find, replace)
    return [Cell(cell.kind, source) for cell, source in zip(cells, sources, strict=True)]


def of_homework(homework: str) -> list[Mutant]:
    return list(importlib.import_module(f"autograder.mutants.{homework}").MUTANTS)


def by_name(homework: str, name: str) -> Mutant:
    return next(m for m in of_homework(homework) if m.name == name)
