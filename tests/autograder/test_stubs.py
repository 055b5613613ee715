"""Half an answer: whatever is still a stub costs the checks that call it, and no others."""

import pytest

from autograder import assignments
from autograder.proof import stubs, validate
from autograder.proof.stubs import Stub
from autograder.score import CheckResult, Score

HELD = CheckResult("causal", "Causal", 5, 5, "passed")


def test_every_method_that_a_student_writes_is_left_out_once():
    names = [s.name for s in stubs.of_exercise("made")]
    assert names == [
        "MaskedLinear.__init__",
        "MaskedLinear.forward",
        "MADE.__init__",
        "MADE.logits",
        "MADE.log_prob",
        "MADE.sample",
        "train_made.train",
    ]
    for assignment in assignments.names():
        listed = [c.name for c in validate.cases(assignment) if c.kind == "stub"]
        assert len(listed) > 2, assignment


def test_only_that_method_is_a_stub():
    source = "\n".join(c.source for c in stubs.cells(Stub("MADE.sample", "made")))
    assert source.count("raise NotImplementedError") == 1
    assert 'raise NotImplementedError("Exercise 1.2' in source.partition("def sample(")[2][:500]


def judged(*results: CheckResult) -> str:
    return stubs.problem(Stub("MADE.sample", "made"), Score(assignments.get_exercise("made"), list(results)))


def waits(measured: str, kind: str = "not implemented") -> CheckResult:
    return CheckResult("samples", "Samples", 5, 0.0, "skipped", measured, kind=kind)


@pytest.mark.parametrize("said", ["`MADE.sample` is not implemented yet", "`sample` is not implemented yet"])
def test_what_it_may_cost(said):
    assert judged(HELD, waits(said)) == ""
    assert judged(HELD) == ""
    assert judged(HELD, waits("nothing was trained under the name 'made'", "untrained")) == ""


@pytest.mark.parametrize(
    "result",
    [
        CheckResult("normalised", "Normalised", 5, 0.0, "failed", "p sums to 1.2"),
        CheckResult("normalised", "Normalised", 5, 2.0, "partial", "nearly"),
        CheckResult("normalised", "Normalised", 5, 0.0, "skipped", "not run: “Causal” does not hold"),
        waits("`MADE.logits` is not implemented yet"),
        waits("`MADE.sample` raised ZeroDivisionError", "raised"),
    ],
)
def test_what_it_may_not_cost(result):
    assert judged(HELD, result).startswith(f"costs “{result.title}”")


def test_the_headline_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(Score, "headline", "1 of 2 checks hold.")
    assert judged(HELD, waits("`MADE.sample` is not implemented yet")).startswith("is not named in the headline")


def test_a_check_that_calls_more_than_its_theorem_is_found(monkeypatch):
    """Of a real exercise, once as it is, and once where everything needs the method."""
    case = validate.Case(assignments.get_exercise("cdf_flow"), "stub", Stub("CDFFlow.sample", "cdf_flow"))
    assert validate.evaluate(case).problem == ""
    change = Stub("CDFFlow.inverse", "cdf_flow")
    monkeypatch.setattr(stubs, "cells", lambda _: stubs._cells("cdf_flow")["CDFFlow.sample"])
    assert validate.evaluate(validate.Case(case.exercise, "stub", change)).problem.startswith("costs “")
