"""check(name): the very checks that grade, run on what this notebook defines so far."""

import re
import sys

from deepul_utils import training
from deepul_utils.errors import KitError

# Cells that stopped with an error, by their source: a name that a check misses is often defined in one.
_failed_cells: dict[str, str] = {}


def check(name: str):
    """Check exercise `name` on what the notebook has defined and trained, and return its `Score`.

    The score is a plain float, the points earned, and shows itself as a table. Raises KitError for a name
    that is no exercise.
    """
    from autograder import exercises

    if not isinstance(name, str):
        raise KitError('check wants the name of an exercise, in quotes: check("made").')
    try:
        exercises.get(name)
    except ValueError as error:
        raise KitError(str(error)) from None
    if training.session.grading:
        print(f'check("{name}") is graded outside this notebook.')
        return None
    from autograder import runner
    from autograder.student import LocalStudent

    caller = sys._getframe(1).f_globals
    score = runner.check(name, LocalStudent(caller, training.session.models, training.session.samples))
    explain_missing(score.results, _failed_cells)
    return score


def explain_missing(results: list, failed_cells: dict[str, str]) -> None:
    """Where a check misses a name, say which failed cell was to define it. failed_cells: {source: error}."""
    for result in results:
        missing = re.search(r"defines no (\w+)\.", result.measured) if result.kind == "missing" else None
        if not missing:
            continue
        definition = re.compile(rf"^\s*(class|def)\s+{missing[1]}\b|^{missing[1]}\s*=", re.MULTILINE)
        errors = [error for source, error in failed_cells.items() if definition.search(source)]
        result.measured = (
            f"{missing[1]} is not defined: its cell stopped with {errors[-1]}"
            if errors
            else f"{missing[1]} is not defined: run the cell that defines it (Run → Run All Above)."
        )


def describe(error: BaseException) -> str:
    """One line about an error in a cell: its type, its message, and for a syntax error its line."""
    if isinstance(error, SyntaxError) and error.lineno:
        line = (error.text or "").strip()
        return f"{type(error).__name__} in line {error.lineno}: {error.msg}" + (f" — {line}" if line else "")
    return f"{type(error).__name__}: {error}"


def _remember(result) -> None:
    source = result.info.raw_cell
    error = result.error_before_exec or result.error_in_exec
    _failed_cells.pop(source, None)
    if error is not None and source:
        _failed_cells[source] = describe(error)


def _watch_cells() -> None:
    """In IPython, note which cells fail. Importing the kit again does not register twice."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell and not getattr(shell, "_deepul_watched", False):
        shell.events.register("post_run_cell", _remember)
        shell._deepul_watched = True


_watch_cells()
