"""Which cells of a source a course hands out: without the exercises that it leaves out, and what rests on them."""

import ast
import re
from collections.abc import Iterable

from autograder.assignments import Assignment
from autograder.course import SourceError
from autograder.handout import source
from autograder.notebooks import Cell

SECTION = re.compile(r"^## ", re.MULTILINE)


def cells(given: Assignment, listed: list[Cell]) -> list[int]:
    """The places of the cells that are handed out. listed: all of the source's.

    A section that is no exercise goes with those that it rests on. Raises SourceError where an exercise rests on one
    that is left out.
    """
    parts = _parts(listed)
    kept = [p for p in parts if p.exercise is None or p.exercise in {e.number for e in given.exercises}]
    lost = _defined(p for p in parts if p not in kept) - _defined(kept)
    for part in list(kept):
        missing = sorted(lost & _used(part))
        if missing and part.exercise is None and part is not parts[0]:
            kept.remove(part)
        elif missing:
            where = f"Exercise {part.exercise}" if part.exercise else "The beginning of the notebook"
            raise SourceError(
                f"{where} of {given} uses {', '.join(missing)}, of an exercise that course.toml leaves out (without = "
                "…): leave both out, or neither."
            )
    return [place for part in kept for place in part.places]


def ends(given: Assignment, listed: list[Cell]) -> dict[str, int]:
    """{exercise: the place behind its last cell}."""
    names = {e.number: e.name for e in given.exercises}
    return {names[p.exercise]: p.places[-1] + 1 for p in _parts(listed) if p.exercise in names}


class _Part:
    """A section of a notebook. exercise: its number, if it is one's."""

    def __init__(self, exercise: str | None):
        self.exercise = exercise
        self.places: list[int] = []
        self.code: list[str] = []


def _parts(listed: list[Cell]) -> list[_Part]:
    parts = [_Part(None)]
    for place, cell in enumerate(listed):
        if cell.kind == "markdown" and SECTION.search(cell.source):
            heading = source.HEADING.search(cell.source)
            parts.append(_Part(heading[1] if heading else None))
        parts[-1].places.append(place)
        if cell.kind == "code":
            parts[-1].code.append(cell.source)
    return parts


def _trees(part: _Part) -> list[ast.Module]:
    return [ast.parse("\n".join("" if line.startswith("%") else line for line in c.splitlines())) for c in part.code]


def _defined(parts: Iterable[_Part]) -> set[str]:
    """The classes, functions, modules and variables that sections leave behind."""
    names: set[str] = set()
    for statement in (s for part in parts for tree in _trees(part) for s in tree.body):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
        else:
            names |= _bound([statement])
    return names


def _used(part: _Part) -> set[str]:
    """The names that a section needs from others."""
    nodes = [n for tree in _trees(part) for n in ast.walk(tree)]
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - _bound(_trees(part))


def _bound(trees: Iterable[ast.AST]) -> set[str]:
    """Every name that is given a value, wherever it stands."""
    nodes = [n for tree in trees for n in ast.walk(tree)]
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    names |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    return names | {(n.asname or n.name).partition(".")[0] for n in nodes if isinstance(n, ast.alias)}
