"""Half an answer: the solution with one method left as it is handed out, which costs the checks that call it alone."""

import ast
import re
from dataclasses import dataclass
from functools import cache

from autograder import assignments, notebooks
from autograder.handout.submit import solution_cells
from autograder.notebooks import Cell
from autograder.score import CheckResult, Score

REGION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Stub:
    """The solution without what it writes in one method or function, "MADE.sample"."""

    name: str
    exercise: str
    weights: str = "reference"


def of_exercise(exercise: str) -> list[Stub]:
    """One for each method that the student writes."""
    return [Stub(name, exercise) for name in _cells(exercise)]


def cells(stub: Stub) -> list[Cell]:
    """The cells of the exercise."""
    return _cells(stub.exercise)[stub.name]


@cache
def _cells(exercise: str) -> dict[str, list[Cell]]:
    here = assignments.get_exercise(exercise)
    every = notebooks.section(solution_cells(here.assignment.name), here.number)
    left: dict[str, list[Cell]] = {}
    for k, cell in enumerate(every):
        for region in REGION.finditer(cell.source) if cell.kind == "code" else ():
            name = _owner(cell.source, cell.source.count("\n", 0, region.start()) + 1)
            stub = f'{region[1]}raise NotImplementedError("{here} is not implemented yet: {name}")\n'
            source = cell.source[: region.start()] + stub + cell.source[region.end() :]
            left[name] = [*every[:k], Cell("code", source), *every[k + 1 :]]
    return left


def _owner(source: str, line: int) -> str:
    """The method or function that stands round a line: "MADE.sample"."""
    names = []

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and child.lineno <= line <= (child.end_lineno or 0):
                names.append(child.name)
                visit(child)

    visit(ast.parse(re.sub(r"^%", "#", source, flags=re.MULTILINE)))
    return ".".join(names)


def problem(stub: Stub, earned: Score) -> str:
    """ "" where every check holds that does not call the method, and each of the others names it."""
    wrong = [r for r in earned.results if not (r.outcome == "passed" or _is_told(stub, r))]
    if wrong:
        return f"costs “{wrong[0].title}”, which says {wrong[0].measured}"
    lost = any(r.outcome != "passed" for r in earned.results)
    if lost and not re.search("still to do|not implemented yet", earned.headline):
        return f"is not named in the headline: {earned.headline}"
    return ""


def _is_told(stub: Stub, result: CheckResult) -> bool:
    """It waits for the method, by its name, or for a training that came to nothing without it."""
    short = stub.name.rpartition(".")[2]
    named = any(f"`{name}`" in result.measured for name in (short, stub.name))
    return result.kind == "untrained" or (result.kind == "not implemented" and named)
