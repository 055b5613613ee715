"""Exercise 3.3: the β objective, and latents that each tell of one factor."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw3.door import ImageVAE
from autograder.properties import hygiene, latent
from autograder.student import expect
from deepul_utils import images, information

DATA = images.get("shapes32", levels=2)
SHAPE, LATENTS = (1, 32, 32), 8
FACTORS = ("size", "x", "y")
TINY = {"latents": 3, "width": 4}
DRAWS = 500  # of a random number whose distribution is compared
HELD_OUT, BATCH = 8000, 500


class Objective(ImageVAE):
    def loss(self, x: np.ndarray, beta: float, seed: int) -> np.ndarray:
        what = f"{self.handle.label}.loss(x, {beta:g})"
        return expect(self.handle.call("loss", x, beta=beta, seed=seed), (len(x),), what)


def small(student, seed: int) -> Objective:
    """A narrow model with random weights."""
    return Objective(student.new("BetaVAE", seed=seed, perturb=1.0, **TINY), SHAPE, TINY["latents"])


def pictures(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Squares in [−1, 1], and their FACTORS (n, 3), drawn as in the notebook."""
    _, factors = DATA.sample_labelled(n, seed=seed, split="test")
    factors[:, 1] = factors[:, 0] // 2
    factors[:, 0], factors[:, 3] = 0, 4 + factors[:, 3] // 2
    return 2 * DATA.unit(DATA.render(factors)) - 1, factors[:, 1:]


@points(1)
@hint("encode: (B, latents) twice; decode: (B, 1, 32, 32); loss(x, beta): (B,).")
def test_shapes(student, seed):
    model, (x, _) = small(student, seed), pictures(12, seed)
    require(hygiene.finite(np.concatenate(model.encode(x)), "from the encoder"))
    require(hygiene.finite(model.loss(x, 2.0, seed), "of the loss"))
    require(hygiene.rows_are_independent(lambda x: np.concatenate(model.encode(x), axis=1), x))
    require(hygiene.rows_are_independent(model.decode, model.encode(x)[0]))


@points(3, needs="shapes")
@hint("β multiplies the KL, −log σ + σ²/2 + μ²/2 − ½ summed over the latents, and nothing else.")
def test_beta_weighs_the_kl(student, seed):
    """At one seed the loss is a straight line in β, and its slope is the KL."""
    model, (x, _) = small(student, seed), pictures(30, seed)
    mu, log_sigma = (a.astype(np.float64) for a in model.encode(x))
    at = {beta: model.loss(x, beta, seed).astype(np.float64) for beta in (0.0, 3.0, 200.0)}
    require(latent.slope_is_the_kl(at, mu, log_sigma))


@points(3, needs="shapes")
@hint("d/2 · log 2π + ½ ‖x − μ_x(z)‖², summed over the pixels, whatever β is, with a fresh draw z for every example.")
def test_reconstruction_has_no_beta(student, seed):
    model, (x, _) = small(student, seed), pictures(1, seed)
    mu, log_sigma = model.encode(x)
    z = mu + np.exp(log_sigma) * np.random.default_rng(seed).normal(size=(DRAWS, TINY["latents"]))
    squares = ((x - model.decode(z.astype(np.float32)).astype(np.float64)) ** 2).sum(axis=(1, 2, 3))
    got = model.loss(np.repeat(x, DRAWS, axis=0), 2.0, seed) - 2 * latent.gaussian_kl(mu, log_sigma)
    require(latent.unit_gaussian(got, squares, x[0].size))


@points(4, needs="beta_weighs_the_kl")
@hint("Train both models longer; is yours trained with its β, and the plain one with β = 1?")
def test_factors_lie_along_latents(student, graded, seed):
    gaps = information.gaps(codes(student, "beta_vae", seed), pictures(HELD_OUT, seed)[1])
    graded("beta_vae", 1 - gaps.mean(), limit=None, baseline=1.0, unit="short of a mutual-information gap of one")


@points(2, needs="reconstruction_has_no_beta")
@hint("A dearer code says less: with a larger β pictures come back worse than with β = 1, yet better than a mean.")
def test_dearer_codes_cost_squares(student, seed):
    x = pictures(HELD_OUT, seed)[0]
    squares = {
        "half the squares left by the mean picture": (x - x.mean(axis=0)) ** 2 / 2,
        "the squares with your β": (x - rebuilt(student, "beta_vae", x)) ** 2,
        "with β = 1": (x - rebuilt(student, "beta_vae.plain", x)) ** 2,
    }
    require(latent.in_order({name: s.sum(axis=(1, 2, 3)) for name, s in squares.items()}))


@points(2, needs="beta_weighs_the_kl")
@hint("With a larger β a latent that tells of two factors, or tells little, does not earn its price.")
def test_more_than_with_beta_one(student, seed):
    factors = pictures(HELD_OUT, seed)[1]
    require(latent.larger_gap(*(codes(student, name, seed) for name in ("beta_vae", "beta_vae.plain")), factors,
                              FACTORS))  # fmt: skip


def codes(student, name: str, seed: int) -> np.ndarray:
    """A draw z of q(z | x) for held-out pictures, (HELD_OUT, LATENTS)."""
    model = ImageVAE(student.trained(name), SHAPE, LATENTS)
    mu, log_sigma = np.concatenate([model.encode(part) for part in batches(pictures(HELD_OUT, seed)[0])], axis=1)
    return mu + np.exp(log_sigma) * np.random.default_rng(seed).normal(size=mu.shape)


def rebuilt(student, name: str, x: np.ndarray) -> np.ndarray:
    """x decoded from its μ_z, (HELD_OUT, 1, 32, 32)."""
    model = ImageVAE(student.trained(name), SHAPE, LATENTS)
    return np.concatenate([model.decode(model.encode(part)[0]) for part in batches(x)])


def batches(x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, range(BATCH, len(x), BATCH))
