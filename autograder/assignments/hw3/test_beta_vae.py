"""Exercise 3.3: the β objective, and latents that each tell of one factor."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import latent as family
from autograder.families.latent import BATCH, UnitVAE, batches
from autograder.properties import hygiene, latent
from autograder.properties.adversarial import combined
from autograder.student import expect
from deepul_utils import images, information

DATA = images.get("shapes32", levels=2)
SHAPE, LATENTS = (1, 32, 32), 8
FACTORS = ("size", "x", "y")
TINY = {"latents": 3, "width": 4}
HELD_OUT, REBUILT = 8000, 1500
RECIPE = Recipe("Adam", lr=3e-3, steps=1600, batch=64)  # of the second part, with β itself


class Objective(UnitVAE):
    def loss(self, x: np.ndarray, beta: float, seed: int) -> np.ndarray:
        what = f"{self.handle.label}.loss(x, {beta:g})"
        return expect(self.handle.call("loss", x, beta=beta, seed=seed), (len(x),), what)


def small(student, seed: int, size: float = 1.0) -> Objective:
    """A narrow model with random weights."""
    return Objective(student.new("BetaVAE", seed=seed, perturb=size, **TINY), SHAPE, TINY["latents"])


def pictures(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Squares in [−1, 1], and their FACTORS (n, 3), drawn as in the notebook."""
    _, factors = DATA.sample_labelled(n, seed=seed, split="test")
    factors[:, 1] = factors[:, 0] // 2
    factors[:, 0], factors[:, 3] = 0, 4 + factors[:, 3] // 2
    return 2 * DATA.unit(DATA.render(factors)) - 1, factors[:, 1:]


def squares(n: int, seed: int) -> np.ndarray:
    return pictures(n, seed)[0]


def reconstruction_term(model: Objective, x: np.ndarray, seed: int) -> list[np.ndarray]:
    """The loss at β = 0; of one that has the whole KL in it, whatever β is, the rest. The KL has its own check."""
    loss = model.loss(x, 0.0, seed).astype(np.float64)
    return [loss, loss - latent.gaussian_kl(*model.encode(x))]


expressive = family.expressive(small, squares)
suite = family.Suite(
    exercise="beta_vae",
    of="BetaVAE",
    shape=SHAPE,
    latents=LATENTS,
    examples=squares,
    small=small,
    telling=expressive,
    terms=reconstruction_term,
    recipe=RECIPE,
)


@points(0.5, "Shape of the loss")
@hint("loss(x, beta): one number an example, (B,).")
def test_shapes(student, seed):
    model, (x, _) = small(student, seed), pictures(12, seed)
    for beta in (1.0, 4.0):
        require(hygiene.finite(model.loss(x, beta, seed), "of the loss"))


@points(3, "β weighs the KL")
@hint("β multiplies the KL, −log σ + σ²/2 + μ²/2 − ½ summed over the latents, and nothing else.")
def test_beta_weighs_the_kl(student, seed):
    """At one seed the loss is a straight line in β, and its slope is the KL."""
    model, (x, _) = expressive(student, seed), pictures(30, seed)
    mu, log_sigma = (a.astype(np.float64) for a in model.encode(x))
    at = {beta: model.loss(x, beta, seed).astype(np.float64) for beta in (0.0, 3.0, 200.0)}
    require(latent.slope_is_the_kl(at, mu, log_sigma))
    slip = "At β = 0 the KL is still there: the loss is rec + β · KL, not rec + (1 + β) · KL."
    quiet = [small(student, seed + k, size=0.5) for k in range(6)]
    require(family.without_kl(quiet, squares, lambda model, x, k: model.loss(x, 0.0, k), slip, seed))
    by = [
        model.handle.gradient("encode", x, wrt="parameters", output=k, cotangent=slope.astype(np.float32))
        for k, slope in enumerate((mu, np.exp(2 * log_sigma) - 1))
    ]
    ends = [model.handle.gradient("loss", x, wrt="parameters", seed=seed, beta=beta) for beta in (0.0, 200.0)]
    wanted, got = combined((1, by[0]), (1, by[1])), combined((1 / 200, ends[1]), (-1 / 200, ends[0]))
    require(latent.same_gradients(got, wanted, "the KL, from β = 0 to 200"))


test_reconstruction_has_no_beta = suite.reconstruction(
    2,
    "d/2 · log 2π + ½ ‖x − μ_x(z)‖², summed over the pixels, whatever β is.",
    title="The reconstruction has no β",
    name="reconstruction_has_no_beta",
)
test_codes_are_drawn = suite.codes_are_drawn(
    1, "z = μ_z + σ_z ε, also in eval mode: a fresh draw of ε ~ N(0, I) for every example and every latent."
)


@points(0.5, "Called with one example")
@hint("The loss of a batch of one is (1,).")
def test_called_with_one_example(student, seed):
    model, (x, _) = small(student, seed), pictures(1, seed)
    require(hygiene.finite(model.loss(x, 2.0, seed), "of the loss"))


@points(4, "Trained: factors lie along latents")
@hint("Train both models longer; is yours trained with its β, and the plain one with β = 1?")
def test_factors_lie_along_latents(student, graded, seed):
    def short(n: int = HELD_OUT) -> float:
        return 1 - information.gaps(codes(student, "beta_vae", seed, n), pictures(HELD_OUT, seed)[1][:n]).mean()

    unit = "short of a mutual-information gap of one"
    graded("beta_vae", short, limit=None, baseline=1.0, unit=unit, recipe=RECIPE, few=partial(short, 4 * BATCH))


@points(2, "Trained: a larger β costs squares")
@hint(
    "Where a nat costs more, the code says less: with a larger β pictures come back worse than with β = 1, yet better "
    "than a mean."
)
def test_dearer_codes_cost_squares(student, seed):
    x = squares(REBUILT, seed)
    errors = {
        "half the squares left by the mean picture": (x - x.mean(axis=0)) ** 2 / 2,
        "the squares with your β": (x - rebuilt(student, "beta_vae", x)) ** 2,
        "with β = 1": (x - rebuilt(student, "beta_vae.plain", x)) ** 2,
    }
    require(latent.in_order({name: e.sum(axis=(1, 2, 3)) for name, e in errors.items()}))


@points(2, "Trained: more disentangled than with β = 1")
@hint("With a larger β a latent that tells of two factors, or tells little, does not earn its price.")
def test_more_than_with_beta_one(student, seed):
    factors = pictures(HELD_OUT, seed)[1]
    own, plain = (codes(student, name, seed) for name in ("beta_vae", "beta_vae.plain"))
    require(latent.larger_gap(own, plain, factors, FACTORS))


def codes(student, name: str, seed: int, n: int = HELD_OUT) -> np.ndarray:
    """A draw z of q(z | x) for held-out pictures, (n, LATENTS)."""
    model = UnitVAE(student.trained(name, "BetaVAE"), SHAPE, LATENTS)
    mu, log_sigma = np.concatenate([model.encode(part) for part in batches(pictures(HELD_OUT, seed)[0][:n])], axis=1)
    return mu + np.exp(log_sigma) * np.random.default_rng(seed).normal(size=mu.shape)


def rebuilt(student, name: str, x: np.ndarray) -> np.ndarray:
    """x decoded from its μ_z, (n, 1, 32, 32)."""
    model = UnitVAE(student.trained(name, "BetaVAE"), SHAPE, LATENTS)
    return np.concatenate([model.decode(model.encode(part)[0]) for part in batches(x)])
