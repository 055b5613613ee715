"""HW1's checks on the reference solution. That they catch what they must is proved by `make validate`."""

import pytest

from autograder import assignments, demo, runner
from autograder.assignments import ROOT
from autograder.notebooks import run_notebook
from autograder.proof import changes
from autograder.properties import discrete

MUTANTS, VARIANTS = changes.mutants("hw1"), changes.variants("hw1")
EXERCISES = [e.name for e in assignments.get("hw1").exercises]


@pytest.fixture(scope="module")
def solution():
    return run_notebook(ROOT / "solutions" / "hw1" / "hw1.py").student


def salts(exercise: str) -> list:
    """Twenty; of the image exercises, whose checks take seconds, all but the first two among the slow tests."""
    seconds = exercise not in demo.QUICK
    return [pytest.param(exercise, k, marks=pytest.mark.slow if seconds and k > 1 else ()) for k in range(20)]


@pytest.mark.parametrize(("exercise", "salt"), [p for e in EXERCISES for p in salts(e)])
def test_the_solution_earns_everything_whatever_the_salt(solution, exercise, salt):
    score = runner.check(exercise, solution, salt=f"salt {salt}")
    assert score == score.max_points == assignments.get_exercise(exercise).points, score.text()


def test_there_are_enough_of_both_and_their_names_differ():
    names = [(c.exercise, c.name) for c in (*MUTANTS, *VARIANTS)]
    assert len(names) == len(set(names))
    for exercise in EXERCISES:
        assert sum(m.exercise == exercise for m in MUTANTS) >= 8
        assert sum(v.exercise == exercise for v in VARIANTS) >= 3


def test_a_fault_of_ours_is_never_the_students(solution, monkeypatch):
    def broken(*_arguments, **_options):
        raise TypeError("a bug in the kit")

    monkeypatch.setattr(discrete, "sums_to_one", broken)
    score = runner.check("made", solution)
    fault = next(r for r in score.results if r.name == "probabilities_sum_to_one")
    assert fault.outcome == "not graded"
    assert fault.points is None
    assert "a bug in the kit" in fault.fault
    assert "through no fault of yours" in score.headline
    assert not [r for r in score.results if r.outcome == "failed"]
