"""What checks are worth, apart from what they measure: a change of points grades nothing again.

Results are kept with what was measured and the share of it that holds; the points that stand in the tests are applied
when a result is used.
"""

import ast
import copy
import hashlib
import json
from pathlib import Path

from autograder import assignments, sources
from autograder.grading.execute import shown
from autograder.grading.normalise import checked
from autograder.score import MIME, CheckResult, Score

MARKER = "points"  # the decorator of a check that is written out
NAMES = ("worth", "number", "points")  # what the number is called where it is given by name


def digest(test_file: Path) -> bytes:
    """Of what a test file does, whatever its checks are worth."""
    tree = _Worthless().visit(ast.parse(test_file.read_text(encoding="utf-8")))
    return hashlib.sha256(ast.unparse(tree).encode()).digest()


class _Worthless(sources._Bare):
    """Takes the points from checks: `@points(2, …)`, `test_… = suite.…(2, …)`, and `besides(suite.…(2, …), …)`. found:
    {test: its points}."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target, call = node.targets[0], node.value
        if isinstance(target, ast.Name) and target.id.startswith("test_") and isinstance(call, ast.Call):
            inner = call.args[:1]  # besides(suite.…(2, …), …): a check that asks for more
            self._take(target.id, inner[0] if inner and isinstance(inner[0], ast.Call) else call)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == MARKER:
                self._take(node.name, mark)
        return super().visit_FunctionDef(node)

    def _take(self, test: str, call: ast.Call) -> None:
        given = [*call.args[:1], *(k.value for k in call.keywords if k.arg in NAMES)]
        for number in given:
            if isinstance(number, ast.Constant) and isinstance(number.value, int | float):
                self.found[test], number.value = float(number.value), 0


def bare(notebook: dict) -> dict:
    """A notebook without what its cells are worth."""
    cells = [c | {"metadata": _bare_metadata(c["metadata"])} for c in notebook["cells"]]
    return notebook | {"cells": cells}


def _bare_metadata(metadata: dict) -> dict:
    about = metadata.get("nbgrader")
    return metadata | {"nbgrader": {k: v for k, v in about.items() if k != "points"}} if about else metadata


def signature(notebook: dict, scores: dict[str, dict]) -> str:
    """Changes with what anything is worth, and earns: each check, and each cell of the notebook."""
    cells = {a.get("grade_id", ""): a.get("points") for c in notebook["cells"] if (a := c["metadata"].get("nbgrader"))}
    earned = {name: [(c["name"], c["points"], c["max_points"]) for c in s["checks"]] for name, s in scores.items()}
    return hashlib.sha256(json.dumps([cells, earned], sort_keys=True).encode()).hexdigest()[:16]


def of_assignment(assignment: str) -> dict[str, dict[str, float]]:
    """{exercise: {check: its points}}."""
    return {
        e.name: {n.removeprefix("test_"): test.points for n, test in vars(e.module).items() if n.startswith("test_")}
        for e in assignments.get(assignment).exercises
    }


def applied(result: dict, notebook: dict, assignment: str) -> dict | None:
    """A result that was kept (Execution.to_json()), with the points of today; None where it has to be made anew.

    notebook: the submission as it would be graded now, whose cells say what they are worth.
    """
    worth = of_assignment(assignment)
    if all(_is_worth_that(score, worth.get(name, {})) for name, score in result["scores"].items()):
        return result if _same_cells(result["notebook"], notebook) else _with_metadata(result, notebook)
    scores = {name: _scored(name, score, worth.get(name, {})) for name, score in result["scores"].items()}
    changed = _with_metadata(result, notebook)
    if changed is None or any(score is None for score in scores.values()):
        return None
    changed["scores"] = {name: score.to_json() for name, score in scores.items() if score is not None}
    for cell in changed["notebook"]["cells"]:
        if (name := checked(cell)) and (score := scores.get(name)) is not None:
            count = cell.get("execution_count")
            cell["outputs"] = [shown(score) | {"execution_count": count} for o in cell["outputs"] if MIME in o["data"]]
    return changed


def _is_worth_that(score: dict, worth: dict[str, float]) -> bool:
    return all(worth.get(c["name"]) == c["max_points"] for c in score["checks"] if c["name"])


def _scored(name: str, score: dict, worth: dict[str, float]) -> Score | None:
    """The same shares of other points; None where a check is unknown, or its share is not."""
    results = []
    for check in score["checks"]:
        most = worth.get(check["name"])
        if most is None or not check["max_points"]:
            return None
        points = None if check["points"] is None else check["points"] / check["max_points"] * most
        results.append(CheckResult(**check | {"max_points": most, "points": points}))
    made = Score(assignments.get_exercise(name), results, score["printed"])
    made.notes = score.get("notes", [])
    return made


def _same_cells(kept: dict, notebook: dict) -> bool:
    pairs = zip(kept["cells"], notebook["cells"], strict=True)
    return all(old["metadata"] == new["metadata"] for old, new in pairs)


def _with_metadata(result: dict, notebook: dict) -> dict | None:
    """The result with what its cells are worth now; None where a cell that grades itself is worth something else."""
    changed = copy.deepcopy(result)
    for old, new in zip(changed["notebook"]["cells"], notebook["cells"], strict=True):
        about = new["metadata"].get("nbgrader", {})
        if about.get("grade_id") in result["unprotected"] and old["metadata"] != new["metadata"]:
            return None
        old["metadata"] = copy.deepcopy(new["metadata"])
    return changed
