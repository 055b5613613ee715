"""Half an answer: whatever is still a stub costs the checks that call it, and no others."""

import ast
import re
from functools import cache

import pytest

from autograder import assignments, notebooks, runner
from autograder.handout.submit import solution_cells
from autograder.notebooks import Cell
from autograder.proof import validate
from tests.core import CORE

pytestmark = pytest.mark.slow
REGION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.MULTILINE | re.DOTALL)


def owner(source: str, line: int) -> str:
    """The method or function that stands round a line: "MADE.sample"."""
    names = []

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and child.lineno <= line <= child.end_lineno:
                names.append(child.name)
                visit(child)

    visit(ast.parse(re.sub(r"^%", "#", source, flags=re.MULTILINE)))
    return ".".join(names)


@cache
def stubs(name: str) -> dict[str, list[Cell]]:
    """{method: the cells of the exercise with this one left as it is handed out}."""
    exercise = assignments.get_exercise(name)
    cells = notebooks.section(solution_cells(exercise.assignment.name), exercise.number)
    found = {}
    for k, cell in enumerate(cells):
        for region in REGION.finditer(cell.source) if cell.kind == "code" else ():
            stub = f'{region[1]}raise NotImplementedError("Exercise {exercise.number}")\n'
            source = cell.source[: region.start()] + stub + cell.source[region.end() :]
            method = owner(cell.source, cell.source.count("\n", 0, region.start()) + 1)
            found[method] = [*cells[:k], Cell("code", source), *cells[k + 1 :]]
    return found


CASES = [(e.name, method) for a in (*CORE, "hw5") for e in assignments.get(a).exercises for method in stubs(e.name)]


@pytest.mark.parametrize(("name", "method"), CASES, ids=[f"{n}-{m}" for n, m in CASES])
def test_a_stub_costs_the_checks_that_call_it(name, method, monkeypatch):
    exercise = assignments.get_exercise(name)
    monkeypatch.setattr(validate.Case, "cells", lambda case: stubs(name)[method])
    # A stub in what is trained leaves nothing trained: that is said by the checks of the trained model.
    case = validate.Case(exercise, "mutant")
    monkeypatch.setattr(validate.Case, "weights", "reference")
    with validate._silence(), validate.student_of(case) as student:
        score = runner.check(name, student)
    short = method.rpartition(".")[2]
    wrong = [
        f"{r.title}: {r.outcome}, {r.measured}"
        for r in score.results
        if r.outcome != "passed"
        and not (r.kind == "not implemented" and (f"`{short}`" in r.measured or f"`{method}`" in r.measured))
        and r.kind != "untrained"
    ]
    assert not wrong, "\n".join([score.headline, *wrong])
    if any(r.outcome != "passed" for r in score.results):
        assert "still to do" in score.headline or "not implemented yet" in score.headline
