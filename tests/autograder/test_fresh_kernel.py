"""A cell that ends its kernel costs itself: what follows is run and asked in a fresh one."""

import pytest

from autograder.grading.execute import Execution, Grader
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised
from tests.autograder.machine import OF_TORCH

pytestmark = pytest.mark.slow
MEMORY = (3 << 29) + OF_TORCH
CRASH = "import os\nos._exit(3)"
HOLDS = f"import os, time\nfor _ in range(2): os.fork()\nhold = bytearray(b'x' * {MEMORY // 3})\ntime.sleep(20)"
STOPPED = "grading of this notebook stopped"


@pytest.fixture(scope="module")
def grader():
    made = Grader(Limits(cell=5, total=60, memory=MEMORY))
    yield made
    made.close()


def code(source: str, **nbgrader) -> dict:
    metadata = {"nbgrader": nbgrader} if nbgrader else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def check(name: str) -> dict:
    return code(f'check("{name}")', grade=True, grade_id=f"check-{name}", points=20)


def graded(grader: Grader, *cells: dict) -> Execution:
    named = [cell | {"id": f"cell-{k}"} for k, cell in enumerate(cells)]
    return grader.grade(Normalised({"cells": named}, {}), "hw1", "salt")


def printed(result: Execution, number: int) -> str:
    return "".join(o.get("text", "") for o in result.notebook["cells"][number]["outputs"])


def measured(result: Execution, name: str) -> list[str]:
    return [c["measured"] for c in result.scores[name]["checks"]]


@pytest.mark.parametrize(("ends", "how"), [(CRASH, "exit code 3"), (HOLDS, "memory limit")])
def test_what_follows_goes_on_without_the_cell(grader, ends, how):
    cells = [code("x = 1"), code(ends), check("logistic_mixture"), code("x += 1\nprint(x)"), check("made")]
    result = graded(grader, *cells)
    assert printed(result, 3) == "2\n", "the cell before was run once more, and what follows once"
    for name in ("logistic_mixture", "made"):
        assert not [m for m in measured(result, name) if STOPPED in m]
    assert not result.stopped
    assert not result.fault
    [said] = result.left_out
    assert how in said
    assert said.endswith("in the cell “import os”" if ends == CRASH else "in the cell “import os, time”")
    assert result.notebook["cells"][1]["outputs"][0]["ename"] == "Stopped"


def test_a_check_that_ends_the_kernel_costs_its_own_exercise(grader):
    kills = "import os, torch\n"
    kills += "class DiscretizedLogisticMixture(torch.nn.Module):\n    def __init__(self, *_, **__): os._exit(4)"
    result = graded(grader, code(kills), check("logistic_mixture"), code("print(7)"), check("made"))
    assert [m for m in measured(result, "logistic_mixture") if STOPPED in m]
    assert not [m for m in measured(result, "made") if STOPPED in m]
    assert printed(result, 2) == "7\n"
    assert "exit code 4" in result.left_out[0]


def test_the_last_check_is_named_where_it_ends_the_kernel_and_not_what_follows(grader):
    kills = "import torch\nclass MADE(torch.nn.Module):\n    def __init__(self, *_, **__): __import__('os')._exit(4)"
    result = graded(grader, code(kills), check("made"), code("print(7)"), code("print(8)"))
    assert result.stopped.endswith('in the cell “check("made")”')
    assert "exit code 4" in result.stopped


def test_it_is_begun_anew_once_an_exercise_and_not_for_what_nobody_checks(grader):
    result = graded(grader, *[code(CRASH)] * 7, check("made"), code("print(1)"))
    assert len(result.left_out) == 5, "as many as there are exercises"
    assert "exit code 3" in result.stopped
    assert any(STOPPED in m for m in measured(result, "made"))
    result = graded(grader, check("made"), code(CRASH), code("print(1)"))
    assert not result.left_out
    assert "exit code 3" in result.stopped


def test_time_for_the_whole_notebook_is_not_begun_anew():
    grader = Grader(Limits(cell=5, total=2, memory=MEMORY))
    try:
        result = graded(grader, code("import time\ntime.sleep(4)"), check("made"))
    finally:
        grader.close()
    assert not result.left_out
    assert "for the whole notebook" in result.stopped
