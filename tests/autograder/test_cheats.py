"""Trained points are for training: for every exercise, what earns them without."""

import contextlib
import dataclasses
import sys

import numpy as np
import pytest
import torch
from torch import nn

from autograder import assignments, notebooks, runner
from autograder.assignments import ROOT
from autograder.handout.submit import solution_cells
from autograder.proof import cheats, lint, validate
from autograder.properties import weights
from autograder.student import LocalStudent
from deepul_utils import origins
from deepul_utils.images import image_set
from deepul_utils.toy import distribution
from tests.core import CORE

EXERCISES = [e for a in (*CORE, "hw5") for e in assignments.get(a).exercises]


def run(exercise, code: str = "", artifacts=None):
    """The student of the solution's cells of an exercise, with its weights, and a cell more."""
    folder = ROOT / "solutions" / exercise.assignment.name
    cells = notebooks.section(solution_cells(exercise.assignment.name), exercise.number)
    cells = [*cells, notebooks.Cell("code", cheats.BEGIN + code)] if code else cells
    ran = notebooks.run_cells(cells, folder, artifacts or folder / "artifacts")
    assert not ran.errors, ran.errors
    return ran


@pytest.fixture(autouse=True)
def forgotten():
    """What is known of models holds on to their notebooks, whose data are gigabytes after a hundred."""
    yield
    origins._origins.clear()


def test_every_exercise_has_a_cheat_of_every_kind():
    """Of the homeworks; an extension is checked by the suite of its family, whose cheats these are."""
    homeworks = [a for a in assignments.names() if a.startswith("hw")]
    for name in homeworks:
        wanted = [(e.name, kind) for e in assignments.get(name).exercises for kind in cheats.KINDS]
        assert sorted((c.exercise, c.kind) for c in cheats.of_assignment(name)) == sorted(wanted)


def case(exercise: str, kind: str) -> validate.Case:
    here = assignments.get_exercise(exercise)
    every = cheats.of_assignment(here.assignment.name)
    return validate.Case(here, "cheat", next(c for c in every if (c.exercise, c.kind) == (exercise, kind)))


@pytest.mark.parametrize(("exercise", "kind"), [("cdf_flow", "gradient"), ("made", "exact"), ("made", "constant")])
def test_a_cheat_earns_no_trained_point(exercise, kind):
    """Of all exercises: `deepul validate --kind cheat`."""
    assert validate.evaluate(case(exercise, kind)).problem == ""


@pytest.mark.parametrize(
    ("exercise", "kind", "said"),
    [("cdf_flow", "gradient", "earns "), ("made", "constant", "would earn nothing where nothing is asked")],
)
def test_a_cheat_that_earns_or_proves_nothing_is_a_problem(exercise, kind, said):
    cheat = case(exercise, kind)
    eager = validate.Case(cheat.exercise, "cheat", dataclasses.replace(cheat.change, works=True))
    with cheats.undefended() if said == "earns " else contextlib.nullcontext():
        assert validate.evaluate(eager).problem.startswith(said)


def test_lint_names_what_would_never_be_judged(monkeypatch):
    """Of an exercise that there is not, of no kind that there is, or under another one's name."""
    first, second = (case("made", kind).change for kind in ("exact", "constant"))
    odd = [dataclasses.replace(first, exercise="maid"), dataclasses.replace(first, kind="luck"), second, second]
    monkeypatch.setitem(lint.CATALOGUES, "cheats", lambda assignment: odd)
    monkeypatch.setattr(cheats, "of_assignment", lambda assignment: odd)
    said = lint.problems("hw1")
    assert any("exact is of 'maid', no exercise of hw1, and is never judged" in line for line in said)
    assert any("2 of 'made' are called constant, and one only is judged" in line for line in said)
    assert any("'luck' is no kind of cheat; there are exact, constant" in line for line in said)
    assert len(said) == 3


def test_a_cheat_that_does_not_run_proves_nothing():
    cheat = case("made", "exact")
    broken = validate.Case(cheat.exercise, "cheat", dataclasses.replace(cheat.change, code="MAID"))
    assert "it does not run" in validate.evaluate(broken).problem


def put_in(code: str = cheats.PUT_IN) -> validate.Case:
    exercise = assignments.get_exercise("made")
    return validate.Case(exercise, "cheat", cheats.Cheat("made", cheats.SESSION, code, works=False))


def test_every_exercise_has_models_put_into_its_session():
    """Of every assignment, without a line of its own: `deepul validate --kind cheat`."""
    for name in assignments.names():
        judged = [c for c in validate.cases(name) if c.kind == "cheat" and c.name == cheats.SESSION]
        assert [c.exercise.name for c in judged] == [e.name for e in assignments.get(name).exercises]


def test_what_was_put_into_the_session_earns_no_trained_point():
    """Not even a perfect model, whose weights are those of a solution: no file of the student's has them."""
    assert validate.evaluate(put_in()).problem == ""


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("shutil.rmtree(_own.folder)", "earns "),  # files of the student's, and what was kept of them: it is trained
        ("_own.models.update(copy.deepcopy(_training.session.models))", "is not said"),
    ],
)
def test_a_session_that_earns_or_of_which_nothing_is_said_is_a_problem(without, said):
    code = cheats.PUT_IN.replace(without, "_own.kept = _training.session.kept" if said == "earns " else "")
    assert validate.evaluate(put_in(code)).problem.startswith(said)


def test_a_trained_model_is_that_of_its_file(tmp_path):
    """Whatever became of the object in the notebook."""
    exercise = assignments.get_exercise("made")
    ran = run(exercise)
    honest = cheats.trained_points(ran.student, exercise)
    with torch.no_grad():
        for p in ran.session.models["made.smiley"].parameters():
            p.zero_()
    ran.session.models["made.moons"].logits = lambda x: torch.zeros(len(x), 2, 25)
    assert cheats.trained_points(ran.student, exercise) == honest


def test_a_model_of_another_class_is_not_what_the_exercise_asks_for():
    code = """
class Other(nn.Module):
    pass


training.session.kept["made.smiley"].fresh = Other()
"""
    exercise = assignments.get_exercise("made")
    session = runner.Session(run(exercise, code).student, "a salt", runner.references("hw1"))
    runner.run(exercise, session)
    said = [r.measured for r in session.results if r.title == "Trained: close to the limit on smiley"]
    assert said == ["trained('made.smiley', …) is given a Other; the exercise asks for a MADE."]


class Dependent(nn.Module):
    """A model whose loss is its weight's distance from 1."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(50))


def measure(loss):
    """Of weights that are as `how` says, shuffled with noise of their size."""
    w = {"": 0.0, "slightly": 1e-3, "fresh": 3.0, "shuffled": 1.4}
    return lambda how, number: loss(w[how])


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda off: 0.0, "as good with the weights that it begins with"),
        (lambda off: off > 0, "breaks down when its weights are a thousandth off"),
        (lambda off: off > 2, "as good with its weights shuffled"),
        (lambda off: off, "rests on its weights"),
        (lambda off: off if off < 1 else float("nan"), "rests on its weights"),
    ],
)
def test_a_result_rests_on_its_weights(loss, said):
    def share(value: float) -> float:
        return min(1.0, max(0.0, 1 - value)) if value == value else 0.0

    found = weights.carry_it(measure(loss), share, 1.0, "trained('x')")
    assert said in found.measured
    assert found.passed == ("rests" in said)


# ---- what a notebook can read ----------------------------------------------------------------------------


def all_seeds(monkeypatch, exercise) -> tuple[set[int], set[int]]:
    """(those that reach the notebook, those that the grader draws with) while an exercise is checked."""
    told, ours = set(), set()
    ran, request, inside = run(exercise), LocalStudent.request, []

    def watched(self, message, arrays, limit):
        told.update(message[key] for key in ("seed", "noise") if key in message)
        inside.append(1)  # what is drawn in here, the student's code draws
        try:
            return request(self, message, arrays, limit)
        finally:
            inside.pop()

    default_rng, stream = np.random.default_rng, distribution.stream

    def rng(seed=None):
        if not inside and isinstance(seed, int) and seed > 2**16:  # constants of the kit are no secrets
            ours.add(seed)
        return default_rng(seed)

    def counted(name, seed, split):
        if not inside and isinstance(seed, int) and split == "test":
            ours.add(seed)
        return stream(name, seed, split)

    monkeypatch.setattr(LocalStudent, "request", watched)
    monkeypatch.setattr(np.random, "default_rng", rng)
    for module in (distribution, image_set, sys.modules["deepul_utils.toy.discrete"]):
        monkeypatch.setattr(module, "stream", counted)
    runner.check(exercise.name, ran.student, "a secret salt")
    return told, ours


@pytest.mark.parametrize("exercise", EXERCISES, ids=[e.name for e in EXERCISES])
@pytest.mark.slow
def test_no_seed_that_a_notebook_sees_draws_anything_of_the_graders(monkeypatch, exercise):
    told, ours = all_seeds(monkeypatch, exercise)
    assert told
    assert ours
    near = {s + k for s in ours for k in range(-2000, 2001)}  # checks count on from their seed
    assert not told & near


def test_a_function_that_an_exercise_asks_for_is_not_the_kits():
    """Not imported, not by another name, not called by one of one's own."""
    code = """
from deepul_utils import tensors
from deepul_utils.tensors import dequantize, to_logits, from_logits
squeeze = lambda x: tensors.squeeze(x)
def unsqueeze(x):
    return getattr(tensors, "un" + "squeeze")(x)
"""
    exercise = assignments.get_exercise("realnvp_images")
    earned = {r.name: r for r in runner.check(exercise.name, run(exercise, code).student).results}
    for check in ("dequantize_adds_uniform_noise", "logit_and_its_log_det", "squeeze_moves_squares_into_channels"):
        assert not earned[check].points
        assert "2.4, which asks for a function of your own" in earned[check].measured
