"""Reading notebooks, and running a trusted one in this process."""

import ast
import asyncio
import contextlib
import inspect
import json
import linecache
import re
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepul_utils.errors import describe

if TYPE_CHECKING:  # what runs notebooks needs torch; what only reads them does not wait for it
    from autograder.student import LocalStudent
    from deepul_utils import training

CHECK_CALL = re.compile(r"""^[ \t]*check\(\s*["']([\w.]+)["']\s*(?:,[^()\n]*)?\)[ \t]*$""", re.MULTILINE)

TRAINED = re.compile(r"""\btrained\(\s*["']([\w.]+)["']""")
DRAWN = re.compile(r"""\bdrawn\(\s*["']([\w.]+)["']""")
HEADING = re.compile(r"^## Exercise (\S+) ", re.MULTILINE)
CONFLICT = re.compile(r"^<{7}( |$)", re.MULTILINE)
LINE = 60  # characters of a cell's first line
MAGIC = re.compile(r"^%.*$", re.MULTILINE)  # IPython's own lines
FIGURES = re.compile(r"^%matplotlib\b.*$", re.MULTILINE)  # where figures are shown: here nobody looks at them
UNREADABLE = (
    SyntaxError,
    ValueError,
    RecursionError,
    MemoryError,
    ImportError,
)  # a cell's syntax; the last: no IPython


@dataclass
class Cell:
    kind: str  # "code" or "markdown"
    source: str

    @property
    def called(self) -> str:
        """Its first line, by which a reader finds it."""
        return (self.source.strip().splitlines() or [""])[0][:LINE]


@dataclass
class Ran:
    """A notebook that was run: its student, and the error of each cell that stopped, {source: error}."""

    student: "LocalStudent"
    namespace: dict
    session: "training.Session"
    errors: dict[str, str]
    values: list[object]  # what each cell ends in, as Jupyter would display it; None for all else
    kernel: "_Kernel"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Its code, when it is called, finds what it found in its cells: its folder, its modules, its classes."""
        with self.kernel.entered():
            yield


def read(path: Path) -> list[Cell]:
    """The cells of an .ipynb, or of a jupytext percent script. Raises ValueError if it is neither."""
    if path.suffix == ".py":
        return read_percent(path.read_text(encoding="utf-8"))
    content = path.read_bytes()
    try:
        cells = json.loads(content)["cells"]
        # Half a character, which somebody wrote as an escape, is a question mark, as in grading.
        return [Cell(c["cell_type"], "".join(c["source"]).encode("utf-8", "replace").decode()) for c in cells]
    except (ValueError, KeyError, TypeError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        text = content.decode("utf-8", "replace")
        if mark := CONFLICT.search(text):
            line = text.count("\n", 0, mark.start()) + 1
            raise ValueError(
                f"{path.name} has the marks of a merge conflict, the first in line {line}: git left two versions in "
                f"one file. Take one of them, git checkout --ours {path.name} or --theirs, and copy into it what you "
                "miss of the other."
            ) from None
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
    begins: Callable[[int], None] = lambda number: None,
) -> Ran:
    """Run the code cells in this process, as Jupyter would: a cell that fails does not stop the others.

    Statements that call check() or submit() are left out: the caller runs the checks. keeps_samples: of the solution's
    weights, since known wrong answers share them, whose sampler may be slow. grading: as for a grade: nothing that is
    in `artifacts` is trained anew, and no figure is drawn; an interrupt is the cell's own. begins: is told the number
    of each code cell before it runs.
    """
    from autograder.student import LocalStudent
    from deepul_utils import training

    before, training.session = training.session, training.Session(artifacts)
    session, kernel = training.session, _Kernel(folder)
    session.grading, session.keeps_samples = grading, keeps_samples
    values: list[object] = []
    try:
        with kernel.entered(), kernel.ready():
            for number, cell in enumerate(cells):
                values.append(None)
                if cell.kind == "code":
                    begins(number)
                    values[-1] = kernel.run(cell.source, f"<{name} cell {number}>", grading)
    finally:
        training.session = before
    student = LocalStudent(kernel.namespace, session.models, session.samples, session.histories, session.kept)
    return Ran(student, kernel.namespace, session, kernel.errors, values, kernel)


class _Kernel:
    """What a cell finds in a kernel: the module __main__, its folder to import from, an event loop, IPython's shell.

    errors: of the cells that stopped, {source: error}.
    """

    def __init__(self, folder: Path):
        self.errors: dict[str, str] = {}
        self._main, self._folder, self._path = types.ModuleType("__main__"), folder, sys.path.copy()
        first = next((k for k, path in enumerate(sys.path) if path.endswith("-packages")), 0)
        self._path.insert(first, "")  # modules beside the notebook, after Python's own, as IPython has it
        self.namespace = vars(self._main)
        self.namespace["display"] = lambda *values, **options: None

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Where its code runs. What it changes of that stays for the next time, and is undone in between."""
        main, path = sys.modules["__main__"], sys.path.copy()
        sys.modules["__main__"], sys.path[:] = self._main, self._path
        try:
            with contextlib.chdir(self._folder):
                yield
                self._folder, self._path = Path.cwd(), sys.path.copy()
        finally:
            sys.modules["__main__"], sys.path[:] = main, path

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """With a loop for cells that await something, and a shell for those that ask IPython."""
        self._shell: Any = None
        with asyncio.Runner() as self._loop:
            try:
                yield
            finally:
                if self._shell is not None:
                    type(self._shell).clear_instance()

    def run(self, source: str, filename: str, grading: bool) -> object:
        """Run one cell; the value of its last expression, as Jupyter would display it."""
        try:
            code = as_python(source)
            linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
            tree = _WithoutChecks().visit(ast.parse(code, filename))
            if self._shell is None and _asks_ipython(tree):
                self._shell = _shell(self._main)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            self._value(compile(tree, filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True))
            if last is not None:
                whole = ast.Expression(last.value)
                return self._value(compile(whole, filename, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True))
        except BaseException as error:  # whatever it raises: a kernel shows it, and goes on
            if isinstance(error, KeyboardInterrupt) and not grading:
                raise
            self.errors[source] = describe(error)
        return None

    def _value(self, code: types.CodeType) -> object:
        value = eval(code, self.namespace)
        return self._loop.run(value) if code.co_flags & inspect.CO_COROUTINE else value


def as_python(source: str) -> str:
    """A cell as Python. What is none is taken as IPython takes it: its own lines (%time, !ls, MADE?) are calls."""
    for plain in (source, FIGURES.sub("pass", source)):
        with contextlib.suppress(SyntaxError):
            ast.parse(plain)
            return plain
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


class _WithoutChecks(ast.NodeTransformer):
    """Leaves out the statements that check or hand in, and where figures are shown; the lines keep their numbers."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if _is_ours(node.value) else node


def _is_ours(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    match node.func:
        case ast.Name("submit"):
            return True
        case ast.Name("check"):
            return not node.args or isinstance(first, str)
        case ast.Attribute(ast.Call(ast.Name("get_ipython")), "run_line_magic" | "magic"):
            return isinstance(first, str) and first.split(" ")[0] == "matplotlib"
    return False


def _asks_ipython(tree: ast.Module) -> bool:
    """Whether a cell wants IPython's shell, in its own words or in lines that are no Python."""
    words = ((getattr(n, "id", ""), getattr(n, "attr", ""), getattr(n, "name", "")) for n in ast.walk(tree))
    return any("get_ipython" in some for some in words)


def _shell(main: types.ModuleType):
    """IPython's shell, for the notebook's names. It keeps no history, opens no window, and waits for nobody."""
    from IPython.core import page
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def enable_gui(self, gui=None):
            pass

    config, display = Config(), vars(main)["display"]
    config.HistoryManager.enabled = False
    shell = Shell.instance(user_module=main, config=config)
    shell.set_hook("show_in_pager", page.as_hook(page.display_page), 90)
    vars(main)["display"] = display
    return shell


def check_name(source: str) -> str | None:
    """The exercise that a cell checks."""
    found = CHECK_CALL.search(source)
    return found[1] if found else None


def trained(cells: list[Cell]) -> list[str]:
    """The names that these cells train under, whatever their settings: not what stands behind an `if`."""
    return _given(cells, "trained", TRAINED)


def drawn(cells: list[Cell]) -> list[str]:
    """The names that these cells draw under: not what stands behind an `if`."""
    return _given(cells, "drawn", DRAWN)


def _given(cells: list[Cell], function: str, words: re.Pattern) -> list[str]:
    """The names, in their order, with which a function of the kit's is called."""
    sources = [cell.source for cell in cells if cell.kind == "code" and words.search(cell.source)]
    return list(dict.fromkeys(name for source in sources for name in _names_of(source, function, words)))


def _names_of(source: str, function: str, words: re.Pattern) -> list[str]:
    tree = syntax(source)
    if tree is None:  # a student's error; then what it says has to do
        return words.findall(source)
    always = [part for s in tree.body if not isinstance(s, ast.If) for part in ast.walk(s)]
    calls = [part for part in always if isinstance(part, ast.Call) and getattr(part.func, "id", "") == function]
    names = [call.args[0].value for call in calls if call.args and isinstance(call.args[0], ast.Constant)]
    return [name for name in names if isinstance(name, str)]


def syntax(source: str) -> ast.Module | None:
    """What a cell says, or what stands below a first line such as %%time; None where that cannot be read."""
    try:
        return ast.parse(as_python(source.partition("\n")[2] if source.startswith("%%") else source))
    except UNREADABLE:
        return None


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
