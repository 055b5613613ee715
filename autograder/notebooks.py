"""Reading notebooks, and running a trusted one in this process."""

import ast
import contextlib
import json
import linecache
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepul_utils.errors import describe

if TYPE_CHECKING:  # what runs notebooks needs torch; what only reads them does not wait for it
    from autograder.student import LocalStudent
    from deepul_utils import training

CHECK_CALL = re.compile(r"""^[ \t]*check\(\s*["']([\w.]+)["']\s*(?:,[^()\n]*)?\)[ \t]*$""", re.MULTILINE)

HAND_IN = re.compile(r"^[ \t]*(check\([ \t]*\)|submit\()", re.MULTILINE)  # the last cell of a notebook
TRAINED = re.compile(r"""\btrained\(\s*["']([\w.]+)["']""")
DRAWN = re.compile(r"""\bdrawn\(\s*["']([\w.]+)["']""")
HEADING = re.compile(r"^## Exercise (\S+) ", re.MULTILINE)
MAGIC = re.compile(r"^%.*$", re.MULTILINE)  # IPython's own lines


@dataclass
class Cell:
    kind: str  # "code" or "markdown"
    source: str


@dataclass
class Ran:
    """A notebook that was run: its student, and the error of each cell that stopped, {source: error}."""

    student: "LocalStudent"
    namespace: dict
    session: "training.Session"
    errors: dict[str, str]
    values: list[object]  # what each cell ends in, as Jupyter would display it; None for all else


def read(path: Path) -> list[Cell]:
    """The cells of an .ipynb, or of a jupytext percent script. Raises ValueError if it is neither."""
    if path.suffix == ".py":
        return read_percent(path.read_text(encoding="utf-8"))
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [Cell(c["cell_type"], "".join(c["source"])) for c in cells]
    except (ValueError, KeyError, TypeError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ValueError(f"{path.name} is not a Jupyter notebook ({type(error).__name__}: {error}).") from None


def read_percent(text: str) -> list[Cell]:
    """The cells of a jupytext percent script."""
    import jupytext

    return [Cell(c.cell_type, c.source) for c in jupytext.reads(text, fmt="py:percent").cells]


def run_notebook(path: Path, artifacts: Path | None = None) -> Ran:
    """Run a notebook that is trusted, in its own folder; see `run_cells`."""
    return run_cells(read(path), path.parent, artifacts or path.parent / "artifacts", path.stem)


def run_cells(
    cells: list[Cell],
    folder: Path,
    artifacts: Path,
    name: str = "notebook",
    keeps_samples: bool = True,
    grading: bool = False,
) -> Ran:
    """Run the code cells in this process, as Jupyter would: a cell that fails does not stop the others.

    Cells that call check() or submit() are left out: the caller runs the checks. keeps_samples: of the solution's
    weights, since known wrong answers share them, whose sampler may be slow. grading: as for a grade: nothing that is
    in `artifacts` is trained anew, and no figure is drawn.
    """
    from autograder.student import LocalStudent
    from deepul_utils import training

    before, training.session = training.session, training.Session(artifacts)
    session = training.session
    session.grading, session.keeps_samples = grading, keeps_samples
    namespace = {"__name__": "__main__", "display": lambda *values: None}
    errors: dict[str, str] = {}
    values: list[object] = []
    path = sys.path.copy()  # its first cell puts the kit there
    try:
        with contextlib.chdir(folder):
            for number, cell in enumerate(cells):
                runs = cell.kind == "code" and not (CHECK_CALL.search(cell.source) or HAND_IN.search(cell.source))
                values.append(_run(cell.source, f"<{name} cell {number}>", namespace, errors) if runs else None)
    finally:
        training.session, sys.path[:] = before, path
    return Ran(
        LocalStudent(namespace, session.models, session.samples, session.histories, session.kept),
        namespace,
        session,
        errors,
        values,
    )


def _run(source: str, filename: str, namespace: dict, errors: dict[str, str]) -> object:
    """Run one cell; the value of its last expression, as Jupyter would display it."""
    code = MAGIC.sub("pass", source)
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    try:
        tree = ast.parse(code, filename)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, filename, "exec", dont_inherit=True), namespace)
        if last is not None:
            if TYPE_CHECKING:
                assert isinstance(last, ast.Expr)
            return eval(compile(ast.Expression(last.value), filename, "eval", dont_inherit=True), namespace)
    except (Exception, SystemExit) as error:
        errors[source] = describe(error)
    return None


def check_name(source: str) -> str | None:
    """The exercise that a cell checks."""
    found = CHECK_CALL.search(source)
    return found[1] if found else None


def trained(cells: list[Cell]) -> list[str]:
    """The names that these cells train under, whatever their settings: not what stands behind an `if`."""
    return list(dict.fromkeys(name for cell in cells if cell.kind == "code" for name in _trained(cell.source)))


def _trained(source: str) -> list[str]:
    if not TRAINED.search(source):
        return []
    try:
        statements = ast.parse(MAGIC.sub("pass", source)).body
    except SyntaxError:  # a student's; then what it says has to do
        return TRAINED.findall(source)
    always = [part for s in statements if not isinstance(s, ast.If) for part in ast.walk(s)]
    calls = [part for part in always if isinstance(part, ast.Call) and getattr(part.func, "id", "") == "trained"]
    names = [call.args[0].value for call in calls if call.args and isinstance(call.args[0], ast.Constant)]
    return [name for name in names if isinstance(name, str)]


def section(cells: list[Cell], number: str) -> list[Cell]:
    """The cells of one exercise, and those before the first: what it needs to run alone."""
    kept, here = [], True
    for cell in cells:
        heading = HEADING.search(cell.source) if cell.kind == "markdown" else None
        if heading:
            here = heading[1] == number
        if here:
            kept.append(cell)
    return kept
