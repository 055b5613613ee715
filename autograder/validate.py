"""Grading the grader: what does a check make of solutions that are known to be right or wrong?"""

import tempfile
from pathlib import Path

from autograder import exercises, mutants, notebooks, runner
from autograder.exercises import ROOT
from autograder.handout.submit import solution_cells
from autograder.score import Score


def score(homework: str, exercise: str, change: mutants.Mutant | mutants.Variant | None = None) -> Score:
    """The score of the solution of one exercise, with a change made to it.

    Trains where the change asks for it; otherwise the reference weights are loaded. Raises RuntimeError if
    the changed notebook does not run.
    """
    cells = solution_cells(homework)
    if change:
        cells = mutants.apply(change, cells)
    cells = notebooks.section(cells, exercises.get(exercise).number)
    folder = ROOT / "solutions" / homework
    with tempfile.TemporaryDirectory() as scratch:
        artifacts = Path(scratch) if change and change.retrain else folder / "artifacts"
        ran = notebooks.run_cells(cells, folder, artifacts, homework)
        if ran.errors:
            raise RuntimeError(f"{change.name if change else homework} does not run: {next(iter(ran.errors.values()))}")
        return runner.check(exercise, ran.student)
