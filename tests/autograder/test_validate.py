"""Validation tells right from wrong about the checks themselves: each kind of failure, on purpose."""

import json
import re

import pytest
import torch
from typer.testing import CliRunner

from autograder import assignments, cli, runner, sources
from autograder.assignments import ROOT
from autograder.proof import changes, cheats, matrix, starts, stubs, validate
from autograder.proof.changes import Mutant, Start, Variant
from autograder.proof.validate import Case, Verdict

MIXTURE = assignments.get_exercise("logistic_mixture")
CLIP = "return level.clamp(0, self.levels - 1).long()[:, None]"
EDGES = "log_p = torch.where(x == 0, left, torch.where(x == self.levels - 1, right, inside))"
FORGOTTEN = Mutant(
    "edge-forgotten",
    "logistic_mixture",
    "no upper edge",
    ((EDGES, "log_p = torch.where(x == 0, left, inside)"),),
    "probabilities_sum_to_one",
    "edge bins reach to infinity",
    also=("samples_follow_the_density",),
)
SAME = Variant(
    "same", "logistic_mixture", "nothing", (("left = F.logsigmoid(b)", "left = -F.softplus(-b)"),), "reference"
)


@pytest.fixture
def few_salts(monkeypatch):
    monkeypatch.setattr(validate, "RIGHT", 4)


def judged(change: Mutant | Variant) -> Verdict:
    return validate.evaluate(Case(MIXTURE, type(change).__name__.lower(), change))


@pytest.fixture
def few(monkeypatch, tmp_path):
    """An assignment with one mutant and one variant, and a record of its own."""
    monkeypatch.setattr(changes, "mutants", lambda assignment: [FORGOTTEN])
    monkeypatch.setattr(changes, "variants", lambda assignment: [SAME])
    for others in (starts, stubs):
        monkeypatch.setattr(others, "of_exercise", lambda exercise: [])
    monkeypatch.setattr(cheats, "of_exercise", lambda exercise: [])
    monkeypatch.setattr(validate, "_record_file", lambda assignment: tmp_path / f"{assignment}.json")
    monkeypatch.setattr(validate, "RIGHT", 4)
    return tmp_path / "hw1.json"


def test_the_solution_earns_everything_and_the_blank_handout_nothing(few_salts):
    assert validate.evaluate(Case(MIXTURE, "solution")).problem == ""
    blank = validate.evaluate(Case(MIXTURE, "blank"))
    assert blank.problem == ""
    assert blank.points == 0
    assert set(blank.outcomes.values()) == {"skipped"}, "a blank is not implemented; it is not ungraded"


def test_a_mutant_is_caught_by_its_check_with_words_that_help():
    found = judged(FORGOTTEN)
    assert found.problem == ""
    assert found.outcomes["probabilities_sum_to_one"] == "failed"
    assert "edge bins reach to infinity" in found.said


def replaced(**changes) -> Mutant:
    from dataclasses import replace

    return replace(FORGOTTEN, **changes)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (replaced(edits=(("left = F.logsigmoid(b)", "left = -F.softplus(-b)"),)), "is caught by nothing"),
        (replaced(caught_by="called_with_one_example"), "only by “Probabilities sum to one”, “Trained"),
        (replaced(caught_by="no_such_check"), "there is no such check"),
        (replaced(hint="turn it off and on"), "does not read “turn it off and on”"),
        (replaced(edits=(("this is not in the source", ""),)), "'this is not in the source' occurs 0 times"),
        (replaced(edits=(("torch", "numpy"),)), "it must occur once"),
        (replaced(edits=(("self.pi_logits = nn", "self.other = nn"),)), "does not read “edge bins reach to infinity”"),
        (Variant("wrong", "logistic_mixture", "", FORGOTTEN.edits, "reference"), "“Probabilities sum to one” says"),
        (
            Variant("broken", "logistic_mixture", "", ((CLIP, "return leve"),), "reference"),
            "name 'leve' is not defined",
        ),
    ],
)
def test_what_is_wrong_with_a_case_is_said(change, problem):
    assert problem in judged(change).problem


def test_a_cascade_is_a_problem_unless_it_is_meant():
    found = judged(replaced(also=()))
    assert found.problem.startswith("costs 3 points more than it breaks: “Samples follow the density” needs “Prob")
    assert judged(FORGOTTEN).problem == ""


def test_points_lost_stand_beside_those_of_the_check_that_is_meant(few_salts):
    found = judged(FORGOTTEN)
    meant = next(r for r in validate.score(Case(MIXTURE, "mutant", FORGOTTEN)).results if r.name == FORGOTTEN.caught_by)
    assert found.meant == meant.max_points
    assert found.lost >= found.meant
    assert judged(SAME).lost == 0


def test_a_verdict_holds_under_every_salt(monkeypatch):
    assert judged(FORGOTTEN).salts == validate.WRONG
    assert judged(SAME).salts == validate.RIGHT
    check = runner.check

    def lenient(name, student, salt=runner.LIVE_SALT, only=""):
        score = check(name, student, salt, only)
        for r in score.results:
            if salt == "salt 3":
                r.outcome, r.measured = "passed", ""
        return score

    monkeypatch.setattr(runner, "check", lenient)
    found = judged(FORGOTTEN)
    assert "under another salt (salt 3) it is not caught by “Probabilities sum to one”" in found.problem

    run = runner.run

    def strict(exercise, session):
        run(exercise, session)
        if session.salt == "salt 3":
            session.results[0].outcome, session.results[0].measured = "failed", "by chance"

    monkeypatch.setattr(runner, "run", strict)
    assert re.match(r"under another salt \(salt 3\) it earns .* says by chance", judged(SAME).problem)


def test_right_answers_are_asked_how_near_to_their_bounds_they_come(few, monkeypatch):
    found = validate.validate("hw1", "logistic_mixture")
    assert "samples_follow_the_density" in next(v for v in found if v.name == "same").strain
    assert not next(v for v in found if v.kind == "mutant").strain
    assert validate.false_failures(found) == {}, "two answers say nothing about how often"
    drawn = [Verdict("made", "variant", str(k), "", strain={"a": 0.1 + k / 50, "b": 0.5}, salts=20) for k in range(9)]
    rates = validate.false_failures([*drawn, *drawn])  # the same numbers once more are no further draws
    assert rates == validate.false_failures(drawn)
    assert set(rates) == {"a"}
    assert 0 < rates["a"] < 1e-3
    monkeypatch.setattr(validate, "false_failures", lambda verdicts: rates | {"shapes": 0.01})
    assert "logistic_mixture: a right answer fails the check shapes by chance once in 100" in validate.weaknesses(
        "hw1", found
    )


def test_more_salts_than_last_time_are_asked(few, monkeypatch):
    validate.validate("hw1", "logistic_mixture")
    ran = []
    monkeypatch.setattr(validate, "RIGHT", validate.RIGHT + 1)
    monkeypatch.setattr(validate, "SALTS", (*validate.SALTS, "one more"))
    validate.validate("hw1", "logistic_mixture", done=lambda verdict, fresh: ran.append(verdict.kind) if fresh else 0)
    assert sorted(ran) == ["solution", "variant"]


def test_comments_documentation_layout_and_types_change_no_verdict(tmp_path):
    def hashed(text: str) -> bytes:
        file = tmp_path / "module.py"
        file.write_text(text)
        return sources.digest(file)

    plain = hashed("def f(x):\n    return x + 1\n")
    assert hashed('"""A module."""\ndef f(x):\n    """Adds."""\n    return (x\n            + 1)  # one\n') == plain
    assert hashed("def f(x):\n    return x + 2\n") != plain
    assert hashed("def f(x: int) -> float:\n    return x + 1\n") == plain
    imports = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
    assert hashed(f"{imports}def f(x: 'torch.Tensor'):\n    return x + 1\n") == plain
    field = hashed("class A:\n    x: int\n    y: int = 3\n")
    assert hashed("class A:\n    x: str\n    y: object = 3\n") == field
    assert hashed("class A:\n    x: str\n    y: object = 4\n") != field
    assert hashed("class A:\n    y: int = 3\n") != field
    assert hashed("def f(x=1):\n    return x + 1\n") != plain
    assert hashed("def f(x):\n    'only this'\n") != hashed("def f(x):\n    return 0\n")


def test_another_start_is_the_same_answer():
    start = Start("N(0, 1)", "logistic_mixture", "standard-normal", False)
    found = judged(start)
    assert (found.problem, found.salts) == ("", validate.STARTED)
    with validate.student_of(Case(MIXTURE, "start", start)) as student:
        plain = student.new("DiscretizedLogisticMixture", levels=9, components=50, perturb=1e-6).parameters()
    assert abs(plain["mu"].std() - 1) < 0.3
    assert plain["mu"].max() > 1.01, "the reference starts within [−1, 1]"


@pytest.mark.parametrize("start", starts.WEIGHTS)
def test_starts_leave_masks_and_frozen_weights_alone(start):
    torch.manual_seed(0)
    mask = torch.tril(torch.ones(6, 6))
    made = torch.nn.ParameterDict(
        {
            "weight": torch.nn.Parameter(torch.randn(6, 6) * mask),
            "frozen": torch.nn.Parameter(mask.clone(), requires_grad=False),
            "zero": torch.nn.Parameter(torch.zeros(6, 6)),
        }
    )
    made.register_buffer("mask", mask.clone())
    before = made["weight"].detach().clone()
    starts.initialise(Start("", "", start, True))(made, 3)
    assert ((made["weight"] == 0) == (mask == 0)).all()
    assert torch.equal(made["frozen"], mask)
    assert isinstance(made.mask, torch.nn.Parameter)
    assert not made.mask.requires_grad
    assert torch.equal(made["weight"], before) == (start == "zeros-filled")
    assert made["zero"].any()


def test_a_fault_of_the_checks_is_a_problem_of_every_case(few_salts, monkeypatch):
    from autograder.properties import discrete

    monkeypatch.setattr(discrete, "sums_to_one", lambda *_: 1 / 0)
    assert "could not be graded: ZeroDivisionError" in judged(FORGOTTEN).problem
    assert "could not be graded" in validate.evaluate(Case(MIXTURE, "solution")).problem


def test_only_what_changed_is_run_again(few, monkeypatch):
    def run(**options) -> list[str]:
        ran = []
        note = lambda verdict, fresh: ran.append(verdict.name) if fresh else None  # noqa: E731
        found = validate.validate("hw1", "logistic_mixture", done=note, **options)
        assert [v.problem for v in found] == [""] * 4
        return ran

    assert sorted(run()) == ["blank", "edge-forgotten", "same", "solution"]
    assert {row["name"] for row in json.loads(few.read_text())} == {"solution", "blank", "edge-forgotten", "same"}
    assert run() == []
    assert len(run(force=True)) == 4
    monkeypatch.setattr(changes, "mutants", lambda assignment: [replaced(slip="said otherwise")])
    assert run() == ["edge-forgotten"]
    properties = ROOT / "autograder" / "properties" / "discrete.py"
    hashed = sources.digest
    monkeypatch.setattr(sources, "digest", lambda file: b"changed" if file == properties else hashed(file))
    assert len(run()) == 4


def test_what_needs_training_can_be_left(few, monkeypatch):
    trained = replaced(weights="trained")
    monkeypatch.setattr(changes, "mutants", lambda assignment: [trained])
    found = validate.validate("hw1", "logistic_mixture", training=False)
    assert [v.key == validate.STALE for v in found] == [False, False, True, False]
    assert "edge-forgotten" not in {row["name"] for row in json.loads(few.read_text())}
    said = CliRunner().invoke(cli.app, ["validate", "--exercise", "logistic_mixture", "-j", "1", "--no-training"])
    assert "1 that need training have changed since they were judged" in re.sub(r"\s+", " ", said.output)
    validate.validate("hw1", "logistic_mixture")
    found = validate.validate("hw1", "logistic_mixture", training=False)
    assert validate.STALE not in {v.key for v in found}, "judged, and not changed since"


def test_two_validations_at_once_keep_each_others_verdicts(few, monkeypatch):
    validate.validate("hw1", "logistic_mixture")
    row = next(r for r in json.loads(few.read_text()) if r["name"] == "blank")
    evaluated = validate._evaluated

    def meanwhile(todo: list[Case], jobs: int):
        rows = [r | {"said": "by another"} if r["name"] == "blank" else r for r in json.loads(few.read_text())]
        few.write_text(json.dumps(rows))
        yield from evaluated(todo, jobs)

    monkeypatch.setattr(validate, "_evaluated", meanwhile)
    monkeypatch.setattr(changes, "mutants", lambda assignment: [replaced(slip="said otherwise")])
    validate.validate("hw1", "logistic_mixture")
    now = next(r for r in json.loads(few.read_text()) if r["name"] == "blank")
    assert now == row | {"said": "by another"}


def test_a_problem_is_run_again_and_the_command_fails(few, monkeypatch):
    monkeypatch.setattr(changes, "mutants", lambda assignment: [replaced(hint="turn it off and on")])
    for _ in range(2):
        said = CliRunner().invoke(cli.app, ["validate", "--exercise", "logistic_mixture", "-j", "1"])
        assert said.exit_code == 1
        text = re.sub(r"\s+", " ", said.output)
        assert "edge-forgotten (mutant) is caught, but the student does not read" in text
        assert "mutant 0 of 1 are caught" in text
    assert "no mutant is meant for the check called_with_one_example" in text


def test_the_key_rests_on_what_decides_and_on_nothing_else():
    files = sources.closure(MIXTURE.test_file) | sources.closure(ROOT / "autograder" / "runner.py")
    names = {f.relative_to(ROOT).as_posix() for f in files}
    assert {
        "autograder/properties/discrete.py",
        "autograder/properties/finding.py",
        "autograder/workbench.py",
        "autograder/student.py",
        "deepul_utils/toy/mixture.py",
        "deepul_utils/training/randomness.py",
    } <= names
    others = {
        "autograder/display.py",
        "autograder/assignments/hw1/test_made.py",
        "deepul_utils/exercises.py",
        "autograder/properties/flows.py",
    }
    assert not others & names
    assert not [n for n in names if n.startswith("deepul_utils/plots")]


def test_the_matrix_tells_who_caught_what(tmp_path, few):
    found = validate.validate("hw1", "logistic_mixture")
    row = matrix.rows_of("logistic_mixture", found)[0]
    assert row["cells"][:2] == ["meant", "passed"]
    assert row["lost"] >= row["meant"] > 0
    page = matrix.page(tmp_path / "hw1.html", "hw1", found, ["a check nobody proved"]).read_text(encoding="utf-8")
    assert "edge-forgotten" in page
    assert "a check nobody proved" in page
    assert "no upper edge" in page


def test_a_mutant_that_draws_anew_leaves_the_reference_samples_alone():
    folder = validate.ROOT / "solutions" / "hw1" / "artifacts"
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    change = changes.mutant("hw1", "training-images-for-samples")
    earned = validate.score(validate.Case(assignments.get_exercise("pixelcnn"), "mutant", change))
    assert next(r for r in earned.results if r.name == change.caught_by).outcome == "failed"
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before
