"""HW1's checks, graded themselves: what must pass passes, what must fail fails, by the check meant for it."""

import pytest

from autograder import exercises, mutants, runner, validate, variants
from autograder.exercises import ROOT
from autograder.notebooks import run_notebook
from autograder.properties import discrete

MUTANTS, VARIANTS = mutants.of_homework("hw1"), variants.of_homework("hw1")
EXERCISES = [e.name for e in exercises.of_homework("hw1")]
QUICK = ("hardly-trained", "distributions-library")  # trained in a second: one of either kind in every test run


def cases(changes):
    """Each as a test of its own; what must be trained is slow."""
    slow = [c.retrain and c.name not in QUICK for c in changes]
    return [pytest.param(c, id=c.name, marks=[pytest.mark.slow] * s) for c, s in zip(changes, slow, strict=True)]


@pytest.fixture(scope="module")
def solution():
    return run_notebook(ROOT / "solutions" / "hw1" / "hw1.py").student


def outcomes(score) -> dict[str, str]:
    return {r.name: r.outcome for r in score.results}


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("salt", range(20))
def test_the_solution_earns_everything_whatever_the_salt(solution, exercise, salt):
    score = runner.check(exercise, solution, salt=f"salt {salt}")
    assert score == score.max_points == exercises.get(exercise).points, score.text()


@pytest.mark.parametrize("mutant", cases(MUTANTS))
def test_a_known_wrong_solution_is_caught_by_the_check_meant_for_it(mutant):
    score = validate.score("hw1", mutant.exercise, mutant)
    assert outcomes(score)[mutant.caught_by] in ("failed", "partial"), score.text()
    assert score < score.max_points


@pytest.mark.parametrize("variant", cases(VARIANTS))
def test_a_right_solution_written_differently_earns_everything(variant):
    score = validate.score("hw1", variant.exercise, variant)
    assert score == score.max_points, score.text()


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_check_catches_something(exercise):
    checks = set(outcomes(validate.score("hw1", exercise)))
    caught = {m.caught_by for m in MUTANTS if m.exercise == exercise}
    assert caught <= checks, "a mutant names a check that does not exist"
    # Shapes are proved in test_check.py; the two data sets of MADE share one way to be trained badly.
    assert checks - caught <= {"shapes_and_levels", "trained_close_to_the_limit_on_moons"}


def test_there_are_enough_of_both_and_their_names_differ():
    names = [c.name for c in (*MUTANTS, *VARIANTS)]
    assert len(names) == len(set(names))
    for exercise in EXERCISES:
        assert sum(m.exercise == exercise for m in MUTANTS) >= 8
        assert sum(v.exercise == exercise for v in VARIANTS) >= 3


def test_an_edit_that_no_longer_matches_is_an_error():
    stale = mutants.Mutant("stale", "made", "", (("this is not in the source", ""),), "shapes_and_levels")
    with pytest.raises(ValueError, match="stale: 'this is not in the source' occurs 0 times"):
        validate.score("hw1", "made", stale)
    vague = mutants.Mutant("vague", "made", "", (("torch", "numpy"),), "shapes_and_levels")
    with pytest.raises(ValueError, match="it must occur once"):
        validate.score("hw1", "made", vague)


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
