"""A student's code as a reader sees it: numbered lines of a cell, the one that is meant marked. Nothing is run."""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autograder.notebooks import MAGIC

Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
MOST_LINES = 80  # of one listing
AROUND = 4  # lines above and below one that is meant, where no function is found around it
# How workbench.py says where an error arose: "… — in sample, line 12 of its cell: x = f(x), called in …".
PLACE = re.compile(r"\bin ([\w.<>]+), line (\d+) of its cell: (.+?)(?=, called in [\w.<>]+, line \d|\Z)", re.DOTALL)

IN_LINE = re.compile(r"\w+ in line (\d{1,6}): ")  # "SyntaxError in line 3: …", as kernel.py says it


@dataclass(frozen=True)
class Listing:
    """Lines of a cell. first: the number of the first of them, from 1 on. marked: that of the one meant, or 0."""

    title: str
    lines: tuple[str, ...]
    first: int = 1
    marked: int = 0

    @property
    def numbered(self) -> list[tuple[int, str, bool]]:
        """(number, line, whether it is the one that is meant)."""
        return [(k, line, k == self.marked) for k, line in enumerate(self.lines, self.first)]


def whole(source: str) -> Listing:
    """A cell as it is, called after its first line."""
    lines = source.splitlines()
    return Listing((lines or [""])[0].strip(), tuple(lines))


def of_function(sources: Iterable[str], name: str) -> Listing | None:
    """The definition of "MADE.sample", or of a function, in the last cell that has one: the one that counts.

    A method that its class does not define gives the class's first lines. None where nothing is defined so.
    """
    owner, _, method = name.rpartition(".")
    for source in reversed(list(sources)):
        outer = _definition(_tree(source), owner or method)
        inner = _definition(outer, method) if outer is not None and owner else outer
        if node := inner if inner is not None else outer:
            return _lines(name, source, _begins(node), node.end_lineno or node.lineno)
    return None


def of_errors(sources: Iterable[str], said: str) -> list[Listing]:
    """The places that the words of an error name, each with the function around it; the innermost first."""
    sources, listings = list(sources), []
    for function, number, line in PLACE.findall(said):
        listing = _around(sources, function, int(number), line.strip())
        listings += [listing] if listing else []
    return listings


def of_cells(errors: Mapping[str, str]) -> list[Listing]:
    """The line of each cell that stopped, where its error names one. errors: {source of a cell: its error}."""
    listings = []
    for source, error in errors.items():
        if (line := IN_LINE.match(error)) and 0 < int(line[1]) <= len(source.splitlines()):
            listings.append(_lines(error, source, int(line[1]) - AROUND, int(line[1]) + AROUND, int(line[1])))
    return listings


def _around(sources: list[str], function: str, number: int, line: str) -> Listing | None:
    """The place in the last cell that has this line there."""
    for source in reversed(sources):
        lines = source.splitlines()
        if not (0 < number <= len(lines) and lines[number - 1].strip().startswith(line[:200])):
            continue
        defined = [n for n in _definitions(_tree(source)) if _begins(n) <= number <= (n.end_lineno or 0)]
        if defined:
            inner = max(defined, key=lambda n: n.lineno)
            return _lines(function, source, _begins(inner), inner.end_lineno or number, number)
        return _lines(function, source, number - AROUND, number + AROUND, number)
    return None


def _lines(title: str, source: str, first: int, last: int, marked: int = 0) -> Listing:
    """These lines of a cell, as far as they exist and anybody reads; the marked one is among them."""
    lines = source.splitlines()
    first, last = max(1, first), min(len(lines), last)
    if last - first >= MOST_LINES:
        first = max(first, min(marked - MOST_LINES // 2, last - MOST_LINES + 1)) if marked else first
        last = first + MOST_LINES - 1
    return Listing(title, tuple(lines[first - 1 : last]), first, marked)


def _tree(source: str) -> ast.Module:
    """The syntax of a cell; empty where it has none."""
    try:
        return ast.parse(MAGIC.sub("pass", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a student's
        return ast.Module([], [])


def _definition(tree: Defined | ast.Module | None, name: str) -> Defined | None:
    """The last class or function of this name in a body."""
    definitions = [node for node in (tree.body if tree else ()) if isinstance(node, Defined) and node.name == name]
    return definitions[-1] if definitions else None


def _definitions(tree: ast.Module) -> list[Defined]:
    return [node for node in ast.walk(tree) if isinstance(node, Defined)]


def _begins(node: Defined) -> int:
    """Its first line, decorators with it."""
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])
