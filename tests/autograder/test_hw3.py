"""HW3's checks on the reference solution. That they catch what they must is proved by `make validate`."""

import numpy as np
import pytest
import torch

from autograder import assignments, runner
from autograder.assignments import ROOT
from autograder.assignments.hw3 import test_beta_vae as beta_vae
from autograder.families import latent as family
from autograder.notebooks import run_notebook
from autograder.proof import changes
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError
from deepul_utils import information

MUTANTS, VARIANTS = changes.mutants("hw3"), changes.variants("hw3")
EXERCISES = [e.name for e in assignments.get("hw3").exercises]
POINTS = {"vae2d": 30, "vae32": 25, "beta_vae": 15, "vqvae": 30}
SECONDS = {"vae2d": 20, "vae32": 120, "beta_vae": 120, "vqvae": 150}


@pytest.fixture(scope="module")
def ran():
    return run_notebook(ROOT / "solutions" / "hw3" / "hw3.py")


@pytest.fixture(scope="module")
def solution(ran):
    return ran.student


def test_the_points():
    assert {e.name: e.points for e in assignments.get("hw3").exercises} == POINTS


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
    assert sum(took) <= SECONDS[exercise]


def test_the_bound_reaches_the_limit_where_a_diagonal_posterior_can():
    reference = runner.references("hw3")
    for name in ("vae2d.axis", "vae2d.rotated"):
        assert max(reference[name]["runs"]) < 0.05


def test_every_factor_has_its_latent_with_the_larger_beta_only(solution):
    """The reference, factor by factor: gaps of β = 12 above those of β = 1 by far more than another draw changes."""
    gaps = {
        name: np.array(
            [
                information.gaps(beta_vae.codes(solution, name, seed), beta_vae.pictures(beta_vae.HELD_OUT, seed)[1])
                for seed in range(5)
            ]
        )
        for name in ("beta_vae", "beta_vae.plain")
    }
    spread = max(g.std(axis=0, ddof=1).max() for g in gaps.values())
    assert (gaps["beta_vae"].min(axis=0) - gaps["beta_vae.plain"].max(axis=0) > 3 * spread).all()


# ---- the adapter to a student's VAE --------------------------------------------------------------------


class Constant(torch.nn.Module):
    """Encodes everything alike; `broken` says what it returns instead."""

    def __init__(self, broken: str = ""):
        super().__init__()
        self.b, self.broken = torch.nn.Parameter(torch.zeros(2)), broken

    def encode(self, x):
        mu = torch.zeros(len(x), 2) + self.b
        return {"": (mu, mu), "alone": mu, "three": (mu, mu, mu), "nothing": None, "flat": (mu[:, 0], mu)}[self.broken]


def vae_of(broken: str) -> family.VAE:
    return family.VAE(LocalStudent({"Constant": Constant}, {}).new("Constant", broken), (2,), 2)


def test_a_vae_as_plain_functions():
    mu, log_sigma = vae_of("").encode(np.ones((3, 2), dtype=np.float32))
    assert mu.shape == log_sigma.shape == (3, 2)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("alone", "should return 2 values, μ_z, log σ_z; got one value"),
        ("three", "got 3 values"),
        ("nothing", "got None"),
        ("flat", "μ_z of Constant.encode(x) should have shape (3, 2), got (3,)"),
    ],
)
def test_what_is_no_vae_is_said(broken, said):
    with pytest.raises(StudentCodeError) as error:
        vae_of(broken).encode(np.ones((3, 2), dtype=np.float32))
    assert said in error.value.message


# ---- what the suite of VAEs measures -------------------------------------------------------------------


class Known(torch.nn.Module):
    """q(z | x) = N(μ, I) with one latent, the mean of x, and μ_x(z) = (z, z): its bound is known."""

    def encode(self, x):
        mu = x.mean(dim=1, keepdim=True)
        return mu, torch.zeros_like(mu)

    def decode(self, z):
        return z.expand(-1, 2)


def test_the_bound_of_a_trained_vae_is_that_of_its_formulas():
    known = family.UnitVAE(LocalStudent({"Known": Known}, {}).new("Known"), (2,), 1)
    x = np.tile(np.array([[1.0, 3.0]], dtype=np.float32), (20_000, 1))
    # E ‖x − (z, z)‖² = 1 + 1 + 2 with z ~ N(2, 1); the KL is μ²/2.
    exact = np.log(2 * np.pi) + 4 / 2 + 2**2 / 2
    assert family.bound(known, x, seed=1).mean() == pytest.approx(exact, abs=0.05)


def test_the_naive_vae_is_the_mean_example_with_unit_variance():
    x = 3 + 2 * np.random.default_rng(0).normal(size=(50_000, 4))
    assert family.mean_example_nats(x) == pytest.approx(4 * (0.5 * np.log(2 * np.pi) + 2), rel=0.01)


class Seen(Known):
    """One with another σ_z, whose decoder sees so much of the code."""

    def __init__(self, log_sigma: float, seen: float):
        super().__init__()
        self.log_sigma, self.seen = log_sigma, seen

    def encode(self, x):
        mu, zero = super().encode(x)
        return mu, zero + self.log_sigma

    def decode(self, z):
        return super().decode(self.seen * z)


def test_a_model_is_telling_where_sigma_is_not_one_and_its_code_is_seen():
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    models = {"telling": (-1.0, 1.0), "σ is one": (0.0, 1.0), "hidden": (-1.0, 1e-3), "huge": (-1.0, 1e3)}
    student = LocalStudent({"Seen": Seen}, {})
    made = {name: family.UnitVAE(student.new("Seen", *how, perturb=0), (2,), 1) for name, how in models.items()}
    far = {name: model.ill_conditioned(x, 0) for name, model in made.items()}
    assert [name for name, amount in far.items() if amount == 0] == ["telling"]
    assert (
        family.best_conditioned(lambda seed, size: list(made.values())[(seed // 1000 + 1) % 4], x, 0) is made["telling"]
    )
