"""Submissions made from the solution: for the demo, for validation, and for tests."""

import json
import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from autograder import assignments, notebooks
from autograder.handout.source import answer
from autograder.notebooks import Cell


def solution_cells(assignment: str) -> list[Cell]:
    """The cells of the solution source."""
    source = assignments.get(assignment).source
    return [replace(cell) for cell in _cells(source, source.stat().st_mtime_ns)]


@lru_cache(8)
def _cells(source: Path, changed: int) -> tuple[Cell, ...]:
    """Read once as long as the file does not change: the proof asks for them thousands of times."""
    return tuple(notebooks.read(source))


def write_submission(
    handout: Path,
    target: Path,
    cells: list[Cell],
    solved: Collection[str],
    artifacts: Collection[str] = (),
    change: Callable[[str], str] = lambda source: source,
) -> None:
    """Write a submission into the folder `target`: the handout with some exercises' solutions and answers filled in.

    handout: a released notebook. cells: the solution's cells, perhaps changed; the n-th fills the one whose id ends
    in n. solved: exercises to fill in; the others keep their stubs. artifacts: exercises whose
    reference weights (and samples) are handed in too. change: a last change to the source of every filled cell.
    """
    notebook = json.loads(handout.read_text(encoding="utf-8"))
    for cell in from_source(notebook["cells"]):
        filled = cells[int(cell["id"].rpartition("-")[2])]
        about = cell["metadata"].get("deepul", {})
        if about.get("exercise") not in solved:
            continue
        if "answer" in about:
            cell["source"] = answer(filled)[0].splitlines(keepends=True)
        elif cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = change(without_markers(filled.source)).splitlines(keepends=True)
    (target / "artifacts").mkdir(parents=True, exist_ok=True)
    (target / handout.name).write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    for file in sorted(assignments.get(handout.stem).artifacts.glob("*.safetensors")):
        if file.name.split(".")[0] in artifacts:
            shutil.copy(file, target / "artifacts")


def from_source(cells: list[dict]) -> list[dict]:
    """The cells of a handout that are cells of its source: without those that the release added."""
    return [cell for cell in cells if not cell["metadata"].get("deepul", {}).get("made")]


def without_markers(source: str) -> str:
    """A solution as a student would hand it in: without the lines that mark it."""
    return re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", source, flags=re.MULTILINE)
