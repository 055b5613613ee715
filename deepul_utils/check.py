"""check(name): the very checks that grade, run on what this notebook defines so far; submit(id) packs it."""

import re
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

from deepul_utils.errors import KitError, describe

# Cells that stopped with an error, by their source: a name that a check misses is often defined in one.
_failed_cells: dict[str, str] = {}
# Names of classes and functions that a cell was to define anew when it stopped, and with what error: what the
# notebook has under such a name is older than what stands there to read.
_outdated: dict[str, str] = {}

DEFINITION = re.compile(r"^(?:class|def)[ \t]+(\w+)", re.MULTILINE)


def check(name: str = "", only: str = ""):
    """Check exercise `name` on what the notebook has defined and trained, and return its `Score`.

    Without a name, or with an assignment's: check all exercises, and return a table of the whole `Homework`.
    only: words of a check's title, as in check("made", only="samples"): those checks alone are run.
    The score is a plain float, the points earned, and shows itself as a table. Raises KitError for a name
    that is no exercise, or words that are in no title.
    """
    from deepul_utils import training

    if not isinstance(name, str):
        raise KitError('check wants the name of an exercise, in quotes: check("made").')
    if not isinstance(only, str):
        raise KitError('check(only=…) wants words of a check\'s title, in quotes: check("made", only="samples").')
    if training.session.grading:
        if name:
            print(f'check("{name}") is graded outside this notebook.')
        return None
    from autograder import assignments

    namespace, exercises = sys._getframe(1).f_globals, [e.name for a in assignments.every() for e in a.exercises]
    if not name or (name in assignments.names() and name not in exercises):
        return _overview(namespace, name, only)
    try:
        assignments.get_exercise(name)
    except ValueError as error:
        raise KitError(str(error)) from None
    return _score(name, namespace, only)


def submit(student: str = "", check: bool = True):
    """Pack the zip that is handed in, `hw1-<student>.zip` beside the notebook, and show what it has and has not.

    student: your id, as the course knows you. check: run the saved notebook first, from top to bottom and by itself,
    and its checks. Returns what was packed, which shows itself as a table. Raises KitError for a notebook that is not
    saved, an id that is none, what no grader would take, and a disk that is full.
    """
    from deepul_utils import places, training

    if training.session.grading:
        return None
    from autograder import handin

    notebook = places.notebook()
    if notebook is None:
        raise KitError(
            "The file of this notebook is not found here. Save it into a folder with its artifacts, and call there: "
            "deepul submit NOTEBOOK.ipynb --student YOUR-ID."
        )
    try:
        handin.require_saved(notebook, _ran())
        return handin.submit(notebook, student, training.session.folder, check)
    except ValueError as error:
        raise KitError(str(error)) from None


def _ran() -> list[str]:
    """The cells that this notebook has run, as they were written, the last one, which runs now, at the end."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return list(shell.history_manager.input_hist_raw) if shell else []


def _overview(namespace: dict, name: str, only: str):
    """The whole homework: the one that is named, or the one that this notebook is."""
    from autograder import assignments, homework
    from deepul_utils import places, training

    if only:
        raise KitError('check(only=…) wants the name of an exercise, too: check("made", only="samples").')
    notebook = places.notebook()
    here = assignments.get(name) if name else homework.assignment_of(notebook)
    if here is None and len(assignments.every()) == 1:
        here = assignments.every()[0]
    if here is None:
        raise KitError(f'Which homework? check("{assignments.names()[0]}"), or check("made") for one exercise.')
    exercises = lambda found: training.progress(found, f"checking {here}")  # noqa: E731
    return homework.overview(
        here, notebook, training.session.folder, lambda e: _score(e.name, namespace, "").to_json(), exercises
    )


def _score(name: str, namespace: dict, only: str):
    from autograder import runner, weights
    from autograder.student import LocalStudent
    from deepul_utils import training

    names, session = _Names(namespace), training.session
    student = LocalStudent(names, session.models, session.samples, session.histories, session.kept)
    try:
        # As grading does: what a check asks for is small, and threads cost it more than they save, on a busy machine
        # several times as much.
        with threadpool_limits(1):
            score = weights.of_course(runner.check(name, student, only=only))
    except ValueError as error:
        raise KitError(str(error)) from None
    explain_missing(score.results, _failed_cells)
    score.notes += [
        f"{used}: its cell stopped with {error}. What is checked is the {used} from before."
        for used, error in _outdated.items()
        if used in names.asked | _classes(student.bench.objects)
    ]
    return score


class _Names(dict):
    """What the notebook defines; `asked`: what was looked up."""

    def __init__(self, namespace: dict):
        super().__init__(namespace)
        self.asked: set[str] = set()

    def __getitem__(self, name: str):
        self.asked.add(name)
        return super().__getitem__(name)


def _classes(models: list) -> set[str]:
    """The names of the classes that models are made of."""
    return {base.__name__ for model in models for part in model.modules() for base in type(part).__mro__}


def explain_missing(results: list, failed_cells: dict[str, str]) -> None:
    """Where a check misses a name, say which failed cell was to define it. failed_cells: {source: error}."""
    for result in results:
        missing = re.search(r"defines no (\w+)\.", result.measured) if result.kind == "missing" else None
        if not missing:
            continue
        definition = re.compile(rf"^[ \t]*(class|def)[ \t]+{missing[1]}\b|^{missing[1]}[ \t]*=", re.MULTILINE)
        errors = [error for source, error in failed_cells.items() if definition.search(source)]
        result.measured = (
            f"{missing[1]} is not defined: its cell stopped with {errors[-1]}"
            if errors
            else f"{missing[1]} is not defined: run the cell that defines it (Run → Run All Above)."
        )


def _remember(result) -> None:
    source = result.info.raw_cell
    error = result.error_before_exec or result.error_in_exec
    _failed_cells.pop(source, None)
    stopped_at = 0 if result.error_before_exec else _line_of(error)
    for definition in DEFINITION.finditer(source):
        name, line = definition[1], source.count("\n", 0, definition.start()) + 1
        _outdated.pop(name, None)
        if error is not None and line >= stopped_at:
            _outdated[name] = describe(error)
    if error is not None and source:
        _failed_cells[source] = describe(error)


def _line_of(error: BaseException | None) -> int:
    """The line of a cell, at its top level, at which it stopped."""
    frame = error.__traceback__ if error else None
    while frame and Path(frame.tb_frame.f_code.co_filename).parent.name in ("core", "ipykernel"):  # IPython's own
        frame = frame.tb_next
    return frame.tb_lineno if frame else 0


def _watch_cells() -> None:
    """In IPython, note which cells fail. Importing the kit again does not register twice."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell and not getattr(shell, "_deepul_watched", False):
        shell.events.register("post_run_cell", _remember)
        shell._deepul_watched = True


_watch_cells()
