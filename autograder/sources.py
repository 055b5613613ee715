"""What a result rests on: the kit's own sources behind a check, and the data. A key made of these goes stale with them.

Nothing is imported here: which module uses which is read from the syntax.
"""

import ast
import contextlib
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from autograder.assignments import ROOT

# What a figure or a table looks like changes no result, and where an assignment or a notebook lies changes none.
DECIDE_NOTHING = {
    "autograder.display",
    "autograder.assignments",
    "deepul_utils.check",
    "deepul_utils.exercises",
    "deepul_utils.places",
}
FIGURES = "deepul_utils.plots"
DATA = (".npz", ".png", ".csv", ".safetensors", ".txt")


def digest(file: Path) -> bytes:
    """Of what a file does: comments, documentation, layout and types of a source do nothing."""
    return _digest(file, file.stat().st_mtime_ns)


@cache
def _digest(file: Path, changed: int) -> bytes:
    if file.suffix != ".py":
        return hashlib.sha256(file.read_bytes()).digest()
    tree = _Bare().visit(ast.parse(file.read_text(encoding="utf-8")))
    return hashlib.sha256(ast.unparse(tree).encode()).digest()


class _Bare(ast.NodeTransformer):
    """Leaves of a source what is run for its results."""

    def generic_visit(self, node: Any) -> ast.AST:
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        bare: Any = super().generic_visit(node)
        if documented and not bare.body:
            bare.body = [ast.Pass()]
        return bare

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Name("object")  # a field of a dataclass stays one
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module in ("typing", "collections.abc") else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)


@cache
def data() -> tuple[Path, ...]:
    """The files of data/ that come with the kit."""
    folder = ROOT / "data"
    return tuple(sorted(f for f in folder.iterdir() if f.suffix in DATA))


@cache
def closure(file: Path) -> frozenset[Path]:
    """The file and the kit's own files that it imports, directly or through others."""
    files, pending = set(), [file]
    while pending:
        here = pending.pop()
        if here not in files:
            files.add(here)
            pending += _used(here)
    return frozenset(files)


@cache
def _used(file: Path) -> tuple[Path, ...]:
    """The kit's own files that a file imports itself. Kept, since hundreds of closures meet the same files."""
    return tuple(imported(file.read_text(encoding="utf-8"), ".".join(file.relative_to(ROOT).parent.parts)))


def needed(files: Iterable[Path], without: Path) -> set[Path]:
    """All of the kit that some of its files import, themselves too: what must be there for them to run.

    without: a file that is not needed, and what only it imports.
    """
    all_files: set[Path] = set()
    ask = [file for file in files if file.suffix == ".py"]
    while ask:
        here = ask.pop()
        if here not in all_files and here != without:
            all_files.add(here)
            ask += [p / "__init__.py" for p in here.parents if p != ROOT and (p / "__init__.py").exists()]
            modules = _ours(here.read_text(encoding="utf-8"), ".".join(here.relative_to(ROOT).parent.parts))
            ask += [file for module in modules for file in _files(module)]
    return all_files


def imported(source: str, package: str = "") -> list[Path]:
    """The kit's own files that a source imports. package: where it stands, for its relative imports."""
    return [file for module in sorted(_modules(source, package)) for file in _files(module)]


def _modules(source: str, package: str) -> set[str]:
    """Those of the kit's modules that a source imports and that decide something."""
    ours = _ours(source, package) - DECIDE_NOTHING
    return {n for n in ours if n != FIGURES and not n.startswith(f"{FIGURES}.")}


def _ours(source: str, package: str) -> set[str]:
    with contextlib.suppress(SyntaxError):  # a known wrong solution may be one
        tree = ast.parse("\n".join("" if line.startswith("%") else line for line in source.splitlines()))
        names = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {a.name for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module or package} | {f"{node.module or package}.{a.name}" for a in node.names}
        return {n for n in names if n.startswith(("autograder", "deepul_utils"))}
    return set()


def _files(module: str) -> list[Path]:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return [file] if file.exists() else []
