"""What the solutions define, for benchmarks that train or ask them."""

import contextlib
import io
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from autograder import notebooks
from autograder.assignments import ROOT
from autograder.grading.pictures import only_pictures
from autograder.handout.submit import solution_cells

ANSWERS = re.compile(r"^ *### BEGIN SOLUTION|^(from|import) ", re.MULTILINE)
GIVES = re.compile(r"^(\w+) = ", re.MULTILINE)
MISSING = re.compile(r"NameError: name '(\w+)' is not defined")


def defined(assignment: str, number: str = "", change: Callable[[str], str] = lambda source: source) -> dict:
    """The names that the solution's cells give, those of one exercise or of all, its cells changed by `change`.

    Nothing is trained or drawn, and cells that only show something are left out; what asks for a trained model stops.
    Raises RuntimeError where a cell that imports, or holds a solution, stops for another reason.
    """
    cells = [c for c in solution_cells(assignment) if c.kind == "code" or notebooks.HEADING.search(c.source)]
    shown = only_pictures([c.source if c.kind == "code" else "" for c in cells], assignment)
    cells = [replace(c, source=change(c.source)) for k, c in enumerate(cells) if k not in shown]
    cells = notebooks.section(cells, number) if number else cells
    trains = [bool(notebooks.TRAINED.search(c.source) or notebooks.DRAWN.search(c.source)) for c in cells]
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as nothing:
        folder, wanted = ROOT / "solutions" / assignment, [c for c, t in zip(cells, trains, strict=True) if not t]
        ran = notebooks.run_cells(wanted, folder, Path(nothing), assignment)
    models = {name for c, t in zip(cells, trains, strict=True) if t for name in GIVES.findall(c.source)}
    for source, error in ran.errors.items():
        missing = MISSING.search(error)
        if ANSWERS.search(source) and not (missing and missing[1] in models):
            line = source.strip().splitlines()[0]
            raise RuntimeError(f"The solution of {assignment} {number}: the cell “{line}” stopped with {error}")
    return ran.namespace
