"""HW1's checks on the reference solution. That they catch what they must is proved by `make validate`."""

import pytest

from autograder import assignments, runner
from autograder.assignments import ROOT
from autograder.notebooks import run_notebook
from autograder.proof import changes
from autograder.properties import discrete

MUTANTS, VARIANTS = changes.mutants("hw1"), changes.variants("hw1")
EXERCISES = [e.name for e in assignments.get("hw1").exercises]


@pytest.fixture(scope="module")
def solution():
    return run_notebook(ROOT / "solutions" / "hw1" / "hw1.py").student


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
