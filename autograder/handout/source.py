"""The source notebook of an assignment: is it in order, before anything is made of it?

The one mistake that must never happen is a solution in a handout, by a mistyped marker for example. So what looks like
a marker and is none is named; and what comes out in the end is compared with the source, line by line.
"""

import ast
import difflib
import re
from collections.abc import Iterator

from autograder import notebooks
from autograder.assignments import Assignment
from autograder.notebooks import Cell

HEADING = re.compile(r"^## Exercise (\S+) · (.+)$", re.MULTILINE)
# A figure in the prose, as the source has it and as the handout does.
FIGURE = re.compile(r'(?:!\[[^\]]*\]\(|<img src=")figures/([\w.-]+\.png)')
MARKER = re.compile(r"^[ ]*### (BEGIN|END) SOLUTION$")
COMMENT = re.compile(r"(#+)\s*([^#]*)$")
ALIKE = 0.75  # how much of a marker a short comment must have, or one of its words of "solution", to be mistyped
SHORT = 30  # characters
STUB = re.compile(r"^\s*raise NotImplementedError\(.*\)$")
NOT_IMPLEMENTED = re.compile(r'raise NotImplementedError\("Exercise \S+ is not implemented yet: ([\w.]+)"\)')


def problems(assignment: Assignment, cells: list[Cell]) -> list[str]:
    """What is not in order in these cells of its source: a sentence each."""
    return [*_markers(cells), *_headings(assignment, cells), *_checks(assignment, cells), *_figures(cells)]


def _markers(cells: list[Cell]) -> Iterator[str]:
    for number, cell in enumerate(cells):
        where, begun = _where(number, cell), False
        for line in cell.source.splitlines():
            marker = MARKER.match(line)
            if not marker:
                comment = COMMENT.search(line) if cell.kind == "code" else None
                if comment and _is_mistyped(*comment.groups()):
                    yield (
                        f"{where}: {line.strip()!r} looks like a marker and is none; a marker is ### BEGIN SOLUTION "
                        "or ### END SOLUTION, letter by letter."
                    )
                continue
            if cell.kind != "code":
                yield f"{where}: a solution begins or ends in a text; markers belong into code."
            if begun == (marker[1] == "BEGIN"):
                what = "stands inside of a solution." if begun else "ends what never began."
                yield f"{where}: {line.strip()} {what}"
            begun = marker[1] == "BEGIN"
        if begun:
            yield f"{where}: a solution begins and never ends: ### END SOLUTION is missing."
        if notebooks.CHECK_CALL.search(cell.source) and "SOLUTION" in cell.source:
            yield f"{where}: the cell with check(…) must hold no solution."


def _is_mistyped(hashes: str, comment: str) -> bool:
    """Three hashes begin nothing but a marker, and no short comment of the course's speaks of a solution."""
    words = re.sub(r"[\W_]+", " ", comment).strip().lower()
    if len(hashes) == 3 or len(words) >= SHORT:
        return len(hashes) == 3
    return _are_alike(words, "begin solution", "end solution") or any(_are_alike(w, "solution") for w in words.split())


def _are_alike(words: str, *others: str) -> bool:
    return any(difflib.SequenceMatcher(None, words, other).ratio() > ALIKE for other in others)


def _headings(assignment: Assignment, cells: list[Cell]) -> Iterator[str]:
    known = {e.number: e for e in assignment.exercises}
    found = [h for c in cells if c.kind == "markdown" for h in HEADING.findall(c.source)]
    for number, title in found:
        if number not in known or known[number].title != title:
            listed = "”, “".join(f"## Exercise {e.number} · {e.title}" for e in known.values())
            yield f"The heading “## Exercise {number} · {title}” is not in its assignment.toml, which has “{listed}”."
    for number in known.keys() - {number for number, _ in found}:
        yield f"The heading “## Exercise {number} · {known[number].title}” is missing."


def _checks(assignment: Assignment, cells: list[Cell]) -> Iterator[str]:
    seen, solved, here = set(), set(), None
    by_number = {e.number: e for e in assignment.exercises}
    for number, cell in enumerate(cells):
        heading = HEADING.search(cell.source) if cell.kind == "markdown" else None
        here = by_number.get(heading[1], here) if heading else here
        if cell.kind != "code":
            continue
        name = notebooks.CHECK_CALL.search(cell.source)
        if name or "### BEGIN SOLUTION" in cell.source:
            if here is None or (name and name[1] != here.name):
                yield f"{_where(number, cell)} stands under the heading of {here or 'no exercise'}."
            elif name:
                seen.add(here)
            else:
                solved.add(here)
        if "### BEGIN SOLUTION" in cell.source and not re.search(r"^(?:class|def) \w+", cell.source, re.MULTILINE):
            yield f"{_where(number, cell)}: the solution in it defines no class and no function to stub."
    for exercise in assignment.exercises:
        if exercise not in seen:
            yield f'{exercise} has no cell check("{exercise.name}").'
        if exercise not in solved:
            yield f"{exercise} has no solution: nothing stands between ### BEGIN SOLUTION and ### END SOLUTION."


def _figures(cells: list[Cell]) -> Iterator[str]:
    """A figure that the prose shows is what the nearest code cell before it ends in."""
    for number, cell in enumerate(cells):
        for name in FIGURE.findall(cell.source) if cell.kind == "markdown" else ():
            if all(c.kind != "code" for c in cells[:number]):
                yield f"The figure {name} stands before all code, and no cell makes it."


def _where(number: int, cell: Cell) -> str:
    first = next(iter(cell.source.strip().splitlines()), "")
    return f"Cell {number} ({first[:60]!r})"


def leaks(source: list[Cell], handout: list[Cell]) -> list[str]:
    """Lines of the code of a handout that are in no part of the source that is given to students.

    Made from a source in order there is none: what a handout has, stands outside of the solutions, or is a stub.
    """
    given = {line.strip() for cell in source for line in _outside(cell)}
    return [
        line.strip() for cell in handout if cell.kind == "code" for line in cell.source.splitlines()
        if (line.strip() not in given and not STUB.match(line)) or "SOLUTION" in line
    ]  # fmt: skip


def _outside(cell: Cell) -> Iterator[str]:
    inside = False
    for line in cell.source.splitlines():
        marker = MARKER.match(line)
        inside = marker[1] == "BEGIN" if marker else inside
        if not (inside or marker):
            yield line


def stubs(handout: list[Cell]) -> set[str]:
    """What a handout asks for: names such as "MADE.sample"."""
    return {name for cell in handout if cell.kind == "code" for name in NOT_IMPLEMENTED.findall(cell.source)}


def trained(cells: list[Cell]) -> list[str]:
    """The names that these cells train under, whatever their settings: not what stands behind an `if`."""
    names: list = []
    for cell in cells:
        if cell.kind == "code" and notebooks.TRAINED.search(cell.source):
            tree = ast.parse(notebooks.MAGIC.sub("pass", cell.source))
            always = [
                part for statement in tree.body if not isinstance(statement, ast.If) for part in ast.walk(statement)
            ]
            for call in (part for part in always if isinstance(part, ast.Call)):
                if getattr(call.func, "id", "") == "trained" and isinstance(call.args[0], ast.Constant):
                    names.append(call.args[0].value)
    return list(dict.fromkeys(names))
