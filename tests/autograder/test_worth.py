"""A change of what checks are worth grades nothing again; a change of what they do grades their assignment again."""

import ast

import pytest

from autograder import assignments
from autograder.grading import cache, worth
from autograder.grading.execute import Execution, shown
from autograder.grading.normalise import Normalised, checked
from autograder.score import MIME, CheckResult, Score
from tests.autograder import test_grading
from tests.autograder.test_grading import command, made, made_once, recorded  # noqa: F401

TEST = """
from autograder.checks import hint, points

suite = Suite(DIMS, tolerance=0.5)

@points(2, "A check")
@hint("Why")
def test_one(student):
    require(0.5, 2)

test_two = suite.samples(1.5, "Why", count=200)
test_three = suite.shapes(worth=3, title="Shapes")
"""


@pytest.mark.parametrize("name", assignments.names())
def test_the_points_of_every_check_are_found_in_its_source(name):
    for exercise in assignments.get(name).exercises:
        finder = worth._Worthless()
        finder.visit(ast.parse(exercise.test_file.read_text(encoding="utf-8")))
        every = {n: t.points for n, t in vars(exercise.module).items() if n.startswith("test_")}
        assert finder.found == every, "one that is missing would grade everybody again"


def digest(tmp_path, text: str) -> bytes:
    (tmp_path / "test_x.py").write_text(text, encoding="utf-8")
    return worth.digest(tmp_path / "test_x.py")


def test_only_points_are_left_out_of_what_a_test_does(tmp_path):
    before = digest(tmp_path, TEST)
    for old, new in (("points(2,", "points(7.5,"), ("samples(1.5,", "samples(0.25,"), ("worth=3", "worth=1")):
        assert old in TEST
        assert digest(tmp_path, TEST.replace(old, new)) == before
    assert digest(tmp_path, TEST + "\n# a comment\n") == before
    for old, new in (
        ("0.5, 2)", "0.5, 3)"),
        ("count=200", "count=201"),
        ("tolerance=0.5", "tolerance=0.6"),
        ("Why", "How"),
    ):
        assert digest(tmp_path, TEST.replace(old, new)) != before


def cell(source: str, points: float | None = None) -> dict:
    about = {} if points is None else {"nbgrader": {"grade": True, "grade_id": "check-made", "points": points}}
    return {"id": "a", "cell_type": "code", "source": source, "metadata": about, "outputs": []}


def test_what_cells_are_worth_is_no_part_of_the_key():
    def key(points: float, source: str = 'check("made")') -> str:
        return cache.key(Normalised({"cells": [cell(source, points)]}, {}), "hw1", "salt", cache.Limits())

    assert key(20) == key(30)
    assert key(20) != key(20, 'check("made") ')
    one, two = ({"cells": [cell('check("made")', points)]} for points in (20, 30))
    assert worth.signature(one, {}) != worth.signature(two, {})


@pytest.fixture
def dearer(monkeypatch):
    """Everything about MADE is worth twice as much, and one check of it three times."""
    here = assignments.get_exercise("made")
    tests = [t for n, t in vars(here.module).items() if n.startswith("test_")]

    def change() -> None:
        for test in tests:
            monkeypatch.setattr(test, "points", test.points * 2)
        monkeypatch.setattr(tests[0], "points", tests[0].points * 1.5)
        for exercise in assignments.get("hw1").exercises:
            exercise.__dict__.pop("points", None)

    yield change
    monkeypatch.undo()
    for exercise in assignments.get("hw1").exercises:
        exercise.__dict__.pop("points", None)


def half(student: str, job, missing: str = "") -> dict:
    """A result in which the first check of an exercise holds, the second half, and no other."""
    scores = {}
    for exercise in assignments.get("hw1").exercises:
        tests = [(n.removeprefix("test_"), t) for n, t in vars(exercise.module).items() if n.startswith("test_")]
        shares = [1.0, 0.5, *[0.0] * (len(tests) - 2)]
        outcomes = {1.0: "passed", 0.5: "partial", 0.0: "failed"}
        scores[exercise.name] = Score(
            exercise,
            [
                CheckResult(n, t.title, t.points, t.points * share, outcomes[share], "measured")
                for (n, t), share in zip(tests, shares, strict=True)
            ],
        )
    notebook = {**job.submission.notebook, "cells": [dict(c) for c in job.submission.notebook["cells"]]}
    for one in notebook["cells"]:
        if name := checked(one):
            one["outputs"] = [shown(scores[name]) | {"execution_count": 1}]
    return Execution(notebook, {n: s.to_json() for n, s in scores.items()}).to_json()


def test_a_class_with_other_points_is_not_graded_again(made, monkeypatch, capsys, dearer):  # noqa: F811
    monkeypatch.setattr(test_grading, "_result", half)
    assert command(monkeypatch, capsys, made)[0] == 0
    tests = worth.of_assignment("hw1")["made"].values()
    first, second, *_ = tests
    before, graded = recorded(made), list(test_grading.GRADED)
    assert graded
    dearer()
    ended, printed = command(monkeypatch, capsys, made)
    assert graded == test_grading.GRADED, "nobody was graded"
    assert ended == 0
    assert "0 graded in" in printed
    assert "3 had not changed" in printed
    more = 2 * first + 0.5 * second
    assert recorded(made) == {student: pytest.approx(points + more) for student, points in before.items()}
    assert f"+{more:g}" in printed, "what changed is said"
    command(monkeypatch, capsys, made)
    assert graded == test_grading.GRADED


def test_points_are_applied_to_the_shares_that_were_measured(dearer):
    submission = Normalised({"cells": [cell('check("made")', 20.0)]}, {})
    result = half("ada", type("Job", (), {"submission": submission}))
    result["scores"] = {"made": result["scores"]["made"]}
    assert worth.applied(result, submission.notebook, "hw1") is result, "nothing to do"
    old = result["scores"]["made"]
    dearer()
    now = Normalised({"cells": [cell('check("made")', 44.0)]}, {})
    new = worth.applied(result, now.notebook, "hw1")
    shares = [(c["points"] / c["max_points"], c["outcome"]) for c in new["scores"]["made"]["checks"]]
    assert shares == [(c["points"] / c["max_points"], c["outcome"]) for c in old["checks"]]
    most = [c["max_points"] for c in new["scores"]["made"]["checks"]]
    assert most == list(worth.of_assignment("hw1")["made"].values())
    assert new["scores"]["made"]["max_points"] == sum(most)
    [output] = new["notebook"]["cells"][0]["outputs"]
    assert output["data"][MIME] == new["scores"]["made"]
    assert float(output["data"]["text/plain"]) == new["scores"]["made"]["points"]
    assert new["notebook"]["cells"][0]["metadata"]["nbgrader"]["points"] == 44.0


def test_what_cannot_be_applied_is_graded_anew(dearer):
    submission = Normalised({"cells": [cell('check("made")', 20.0)]}, {})
    result = half("ada", type("Job", (), {"submission": submission}))
    result["scores"]["made"]["checks"][0]["name"] = "gone"
    assert worth.applied(result, submission.notebook, "hw1") is None
    own = Normalised({"cells": [cell("1.0", 2.0)]}, {})
    kept = Execution(own.notebook, unprotected=["check-made"]).to_json()
    assert worth.applied(kept, own.notebook, "hw1") is kept
    assert worth.applied(kept, {"cells": [cell("1.0", 1.0)]}, "hw1") is None
