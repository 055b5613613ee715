"""HW4's checks on the reference solution. That they catch what they must is proved by `make validate`."""

import numpy as np
import pytest
import torch
from torch import nn

from autograder import assignments, runner
from autograder.assignments import ROOT
from autograder.assignments.hw4 import test_gan1d
from autograder.families import games as family
from autograder.families.games import DRAWS, HINGE, LOGISTIC, NON_SATURATING, Game, Objective, decided, logistic
from autograder.notebooks import run_notebook
from autograder.proof import changes
from autograder.properties import adversarial, loss
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError

MUTANTS, VARIANTS = changes.mutants("hw4"), changes.variants("hw4")
EXERCISES = [e.name for e in assignments.get("hw4").exercises]
POINTS = {"gan1d": 30, "gan2d": 25, "dcgan": 45}
SECONDS = {"gan1d": 30, "gan2d": 60, "dcgan": 240}
BUSY = 1.2  # the machine that trained the reference weights does other things, too


@pytest.fixture(scope="module")
def ran():
    return run_notebook(ROOT / "solutions" / "hw4" / "hw4.py")


@pytest.fixture(scope="module")
def solution(ran):
    return ran.student


def test_the_points():
    assert {e.name: e.points for e in assignments.get("hw4").exercises} == POINTS


def test_there_are_enough_of_both_and_their_names_differ():
    names = [(c.exercise, c.name) for c in (*MUTANTS, *VARIANTS)]
    assert len(names) == len(set(names))
    for exercise in EXERCISES:
        assert sum(m.exercise == exercise for m in MUTANTS) >= 8
        assert sum(v.exercise == exercise for v in VARIANTS) >= 3


@pytest.mark.parametrize("exercise", EXERCISES)
def test_training_keeps_to_its_budget(ran, exercise):
    """All models of an exercise together, as the histories beside the reference weights say."""
    took = [history.seconds for name, history in ran.session.histories.items() if name.split(".")[0] == exercise]
    assert took
    assert sum(took) <= BUSY * SECONDS[exercise]


def test_twenty_seeds_reach_full_points_but_for_one():
    """With the reference; and 4.1 and 4.2 as the notebook promises it."""
    reference, promised = runner.references("hw4"), {"gan1d": 0.10, "gan2d.eight": 0.05}
    for key in ("gan1d", "gan1d.half", "gan2d.eight", "gan2d.smiley", "dcgan"):
        runs = np.array(reference[key]["runs"])
        full = max(loss.threshold(reference[key], reference[key]["baseline"]), promised.get(key, 0))
        assert len(runs) >= 20
        assert (runs <= full).sum() >= 19
    assert (np.array(reference["gan1d"]["runs"]) < 0.10).all()


# ---- the adapter to a student's game -------------------------------------------------------------------


class Linear(nn.Module):
    """D(x) = w x and G(z) = a z, in one dimension; `broken` says what the discriminator gives instead."""

    def __init__(self, broken: str = ""):
        super().__init__()
        self.generator = nn.Linear(2, 1, bias=False)
        self.judge, self.broken = nn.Linear(1, 1), broken

    def noise(self, n):
        return torch.randn(2) if self.broken == "noise" else torch.randn(n, 2)

    def discriminator(self, x):
        logits = self.judge(x)
        return {"": logits[:, 0], "column": logits, "one": logits.mean(), "none": None}[self.broken]


def game_of(broken: str = "") -> Game:
    return Game(LocalStudent({"Linear": Linear}, {}).new("Linear", broken, seed=3), (1,))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("column", r"should have shape \(5,\), got \(5, 1\)"),
        ("one", r"got \(\)"),
        ("none", "returned None"),
    ],
)
def test_what_is_no_game_is_said(broken, said):
    with pytest.raises(StudentCodeError, match=said):
        game_of(broken).logits(np.zeros((5, 1), dtype=np.float32))


def test_a_column_of_logits_costs_its_own_check_and_no_other():
    column, game = game_of("column"), game_of()
    x, z = np.linspace(-1, 1, 5, dtype=np.float32)[:, None], game.noise(5, 1)
    np.testing.assert_array_equal(column.discriminator(x), game.discriminator(x))
    for gradient in (lambda g: g.by_generator(z, np.cos), lambda g: g.of_both(x, z, logistic)):
        ours, wanted = gradient(column), gradient(game)
        assert all((ours[k] is None) == (wanted[k] is None) for k in wanted)
        assert all(np.allclose(ours[k], wanted[k]) for k in wanted if wanted[k] is not None)


def test_noise_is_the_students_own():
    assert game_of().noise(7, 1).shape == (7, 2)
    with pytest.raises(StudentCodeError, match=r"noise\(7\) should have shape \(7, latents\), got \(2,\)"):
        game_of("noise").noise(7, 1)


def test_our_gradient_of_a_generators_loss_is_autograds():
    game = game_of()
    z = game.noise(50, 1)
    ours = game.by_generator(z, lambda f: -adversarial.sigmoid(-f))
    made = game.handle._student.bench.objects[0]
    loss_of = torch.nn.functional.softplus(-made.discriminator(made.generator(torch.tensor(z)))).mean()
    (wanted,) = torch.autograd.grad(loss_of, [made.generator.weight])
    np.testing.assert_allclose(ours["generator.weight"], wanted, rtol=1e-4, atol=1e-6)
    assert ours["judge.weight"] is None


@pytest.mark.parametrize("seed", [700, 800, 1700])  # the first game of these would not do
def test_in_a_decided_game_right_noise_is_told_from_a_constant_and_a_loss_from_another(solution, seed):
    losses = [lambda g, z, sign=sign: g.by_generator(z, lambda f: -adversarial.sigmoid(sign * f)) for sign in (-1, 1)]
    game, found = decided(lambda k: test_gan1d.small(solution, k), losses[0], seed, slip=losses[1])
    fresh = game.noise(DRAWS, seed + 12345)

    def off(loss, z):
        return adversarial.same_direction(loss(game, z), found, "").value

    assert off(losses[0], fresh) < adversarial.GRADIENT / 2
    assert off(losses[0], np.ones_like(fresh)) > 1.5 * adversarial.GRADIENT
    assert off(losses[1], fresh) > 1.5 * adversarial.GRADIENT


def test_a_game_that_does_not_heed_its_noise_is_passed_over():
    made = []

    def make(seed: int) -> Game:
        made.append(game_of())
        module = made[-1].handle._student.bench.objects[0]
        module.judge.weight.data.fill_(1.0)
        module.generator.weight.data = torch.tensor([[1.0, -0.5]]) if seed >= 3 else torch.zeros(1, 2)
        return made[-1]

    game, _ = decided(make, lambda g, z: g.by_generator(z, lambda f: f), seed=0)
    assert game in made[3:]


# ---- losses that draw their own noise ------------------------------------------------------------------

SLIPS = [(objective, said) for objective in (LOGISTIC, HINGE, NON_SATURATING) for said in objective.slips]


def two_of_logits(objective: Objective) -> list[tuple[np.ndarray, ...]]:
    """Logits of the same batch of data, and of samples of two draws; or of samples alone."""
    rng = np.random.default_rng(0)
    real, *fakes = rng.normal(1.5, 2, size=256), *(rng.normal(1, 2, size=(40, 256)) for _ in range(2))
    return [(fake,) if objective is NON_SATURATING else (real, fake) for fake in fakes]


def sigma(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_an_objective_is_its_formula_of_other_draws():
    (real, fake), (_, other) = two_of_logits(LOGISTIC)
    of_data, of_samples = -np.log(sigma(real)).mean(), -np.log(1 - sigma(other)).mean(axis=1)
    assert LOGISTIC.is_that_of(of_data + of_samples, real, fake).passed
    assert not LOGISTIC.is_that_of(of_data + 1.5 * of_samples, real, fake).passed
    hinges = np.where(real < 1, 1 - real, 0).mean() + np.where(other > -1, 1 + other, 0).mean(axis=1)
    assert HINGE.is_that_of(hinges, real, fake).passed
    as_if_data = -np.log(sigma(other)).mean(axis=1)
    assert NON_SATURATING.is_that_of(as_if_data, fake).passed
    assert not NON_SATURATING.is_that_of(1.5 * as_if_data, fake).passed


@pytest.mark.parametrize(("objective", "said"), SLIPS)
def test_a_slip_in_an_objective_is_named(objective, said):
    logits, others = two_of_logits(objective)
    found = objective.is_that_of(objective.slips[said](*others), *logits)
    assert not found.passed
    assert found.slip == said


def test_what_a_discriminator_says_of_batches_is_the_same_one_by_one():
    game = game_of()
    said = game.of_batches(calls=3, size=4, seed=5)
    assert said.shape == (3, 4)
    np.testing.assert_allclose(said.ravel(), game.discriminator(game.fakes(12, seed=6)), rtol=1e-6)


def test_the_naive_game_has_the_mean_and_the_spread_of_the_data():
    x = np.random.default_rng(0).normal([1.0, -2.0], [3.0, 0.5], size=(4000, 2))
    blob = family.blob(x, seed=1)
    assert blob.mean(axis=0) == pytest.approx(x.mean(axis=0), abs=0.2)
    assert blob.std(axis=0) == pytest.approx(x.std(axis=0), rel=0.05)
    assert family.energy_root(blob, x) < 0.1 < family.energy_root(blob + 1, x)
