"""Exercise 3.1: both terms of the bound are right, the noise is, and the bounds come in their order."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import latent as family
from autograder.families.latent import VAE, either, gradient_or_none, telling
from autograder.properties import hygiene, latent
from autograder.student import expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

HIDDEN = 16
DRAWS = 4000  # of a random number whose distribution is compared
SETS = {"axis": "axis_gaussian", "rotated": "rotated_gaussian", "moons": "moons"}
HELD_OUT, BOUNDED = 10_000, 200  # points of a graded loss; points at which the marginal is integrated
K = 16
SIZES = (0.7, 0.5, 0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.1)  # of the noise of random weights, tried in turn
FAR = 50.0  # standard deviations from the mean: the density itself, e^(−1250), is zero in any floating point
RARE = 300.0  # nats: so little probability is zero in single precision, and its logarithm must still be a number
RECIPE = Recipe("Adam", lr=1e-2, steps=2000, batch=512)
RECIPE_MOONS = Recipe("Adam", lr=1e-2, steps=3000, batch=512)


def small(student, seed: int, precise: bool = False) -> VAE:
    """A small VAE with random weights, of a few the best: its σ are neither all one, nor 0 or ∞ to a float."""

    def new(number: int, size: float) -> VAE:
        return VAE(student.new("VAE2d", hidden=HIDDEN, seed=number, perturb=size, precise=precise), (2,), 2)

    return family.best_conditioned(new, points_around(100, seed), seed, SIZES)


def trained(student, name: str) -> VAE:
    return VAE(student.trained(f"vae2d.{name}", "VAE2d"), (2,), 2)


def points_around(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


suite = family.Suite(
    exercise="vae2d", of="VAE2d", shape=(2,), latents=2, examples=points_around, small=small, recipe=RECIPE
)
test_shapes = suite.shapes(
    0.5, "encode, decode: μ and log σ, (B, 2) each, finite, and each row of its own example alone.", n=50
)


@points(4, "The KL is the closed form")
@hint("In each dimension −log σ + σ²/2 + μ²/2 − ½, summed over the dimensions, one number an example.")
def test_kl_is_the_closed_form(student, seed):
    for dims in (1, 2, 5):
        require(latent.kl_is_right(lambda *a: function(student, "kl_to_prior", *a), dims, seed + dims))


@points(3.5, "The reconstruction is the Gaussian with all constants")
@hint("In each dimension ½ log 2π + log σ + (x − μ)²/2σ², summed over the dimensions, one number an example.")
def test_reconstruction_is_the_gaussian_with_all_constants(student, seed):
    for dims in (1, 2, 5):
        require(latent.nll_is_right(lambda *a: function(student, "gaussian_nll", *a), dims, seed + dims))


@points(3.5, "Noise is scaled and fresh")
@hint("z = μ + σ ε with σ = exp(log σ), and ε ~ N(0, I): new in every dimension, for every example and every call.")
def test_noise_is_scaled_and_fresh(student, seed):
    for dims in (2, 5):
        require(latent.noise_is_fresh(lambda *a: drawn(student, *a), dims, seed + dims))


@points(3, "The gradient reaches the encoder")
@hint(
    "The gradient of the reconstruction must reach the encoder through z = μ + σ ε: no detach, no no_grad, no .data, "
    "and noise that does not depend on the parameters."
)
def test_gradient_reaches_the_encoder(student, seed):
    ones = np.ones((100, 2), dtype=np.float32)

    def draw(mu: np.ndarray, log_sigma: np.ndarray) -> np.ndarray:
        return drawn(student, mu, log_sigma, seed)

    def gradient(mu: np.ndarray, log_sigma: np.ndarray, k: int) -> np.ndarray:
        of = partial(student.gradient, "reparameterize", mu, log_sigma, argument=k, cotangent=ones, seed=seed)
        return gradient_or_none(of, mu)

    require(latent.passes_the_gradient(draw, gradient, *latent.gaussians(100, 2, seed), seed))
    x = points_around(200, seed)
    for k in range(4):  # in a single one the code may hardly matter
        vae = small(student, seed + k, precise=True)
        for output in (0, 1):
            slope = partial(vae.handle.gradient, "elbo_terms", output=output, seed=seed)
            require(latent.gradient_is_of_the_loss(partial(term, vae, output, seed), slope, x, seed))


def term(vae: VAE, output: int, seed: int, x: np.ndarray) -> np.ndarray:
    return vae.elbo_terms(x, seed)[output]


@points(4, "elbo_terms are those of encoder and decoder")
@hint("elbo_terms: encode x, draw one z for each example, decode it; −log p(x | z) first, then the KL of q(z | x).")
def test_elbo_terms_are_of_its_encoder_and_decoder(student, seed):
    """By our formulas and our noise, or by your own functions and the very noise that they draw."""
    for k in range(3):
        vae = small(student, seed + k)
        many = np.repeat(telling(vae, points_around(64, seed + k))[0], DRAWS, axis=0)
        reconstruction, kl = vae.elbo_terms(many, seed)
        require(kl_agrees(student, vae, many[:5], kl[:5]))
        require(reconstruction_agrees(student, vae, many, reconstruction, seed))


@points(3, "Samples with and without noise")
@hint(
    "z ~ N(0, I), decoded: without noise μ_x itself, with noise μ_x + σ_x ε. The prior is drawn from, not the encoder."
)
def test_samples_with_and_without_noise(student, seed):
    for k in range(2):
        vae, rng = small(student, seed + k), np.random.default_rng(seed + k)
        mu, log_sigma = vae.decode(rng.normal(size=(DRAWS, 2)).astype(np.float32))
        require(latent.same_distribution(vae.sample(DRAWS, seed, noise=False), mu, "samples without noise"))
        noisy = vae.sample(DRAWS, seed, noise=True)
        require(noise_agrees(student, noisy, mu, log_sigma, seed + k + 9))  # z was drawn from seed + k
        require_too(hygiene.drawn_anew(partial(vae.sample, 3, noise=True), seed))


@points(2.5, "The importance-weighted bound")
@hint(
    "−log of the mean of p(x | z_k) p(z_k) / q(z_k | x): the mean over K stands inside the logarithm, all three "
    "densities are there, with fresh z_k ~ q(z | x) for every example."
)
def test_importance_weighted_bound(student, seed):
    """At one point, asked many times; then at two in one batch, each still with its own draws."""
    for k in (1, 8):
        vae = small(student, seed + k)
        here, there = apart(vae, seed + k)
        require(bound_agrees(student, vae, here, weighted(vae, np.repeat(here, DRAWS, axis=0), k, seed), k, seed))
    first = np.random.default_rng(seed).permutation(DRAWS) < DRAWS // 2
    got = weighted(vae, np.where(first[:, None], here, there), k, seed)
    slip = (
        "It mixes the examples: draws of one count for another. x.repeat_interleave(k, dim=0) goes with .view(B, k) "
        "and dim=1; x.repeat(k, 1) goes with .view(k, B) and dim=0."
    )
    for point, part in ((here, got[first]), (there, got[~first])):
        require(bound_agrees(student, vae, point, part, k, seed, " among other points", slip))


def one_of_each(vae: VAE, x: np.ndarray, seed: int):
    yield weighted(vae, x[:1], 3, seed), "of importance_weighted"
    yield vae.sample(1, seed), "of one sample"


test_called_with_one_example = suite.one_example(
    0.5, "A batch of one keeps its dimension: (1, 2), (1,).", more=one_of_each
)


@points(0.5, "Finite far from the data")
@hint(
    "Where a density is too small for floating point its logarithm is still a number: write the logarithm out, with no "
    "exp inside that a log undoes; over the K draws, torch.logsumexp."
)
def test_finite_far_from_the_data(student, seed):
    mu, log_sigma = latent.gaussians(100, 2, seed)
    away = (mu + FAR * np.exp(log_sigma)).astype(np.float32)
    require(hygiene.finite(function(student, "gaussian_nll", away, mu, log_sigma), f"{FAR:g} σ from the mean"))
    # In some random networks σ itself underflows that far out: a right answer is finite in most, a wrong one in none.
    where = f"of importance_weighted where p(x) is below e^−{RARE:g}"
    for k in range(3):
        vae = small(student, seed + k)
        try:
            found = hygiene.finite(weighted(vae, rare(vae, seed), 4, seed), where)
        except StudentCodeError:
            if k == 2:
                raise
            continue
        if found.passed:
            break
    require(found)


@points(1, "The bounds come in their order")
@hint(
    "On the trained moons −ELBO must be the largest, then the importance-weighted bounds, then −log p(x). Below them "
    "it is no bound: is z a draw in eval mode, too, and are both terms whole?"
)
def test_bounds_come_in_their_order(student, seed):
    model, data = trained(student, "moons"), toy.get("moons")
    marginal = latent.Marginal(model.decode)  # before the model sees the points
    x = data.sample(BOUNDED, seed=seed, split="test")
    bounds = {f"with {k}": latent.importance_weighted(x, model.encode, model.decode, k, seed) for k in (4, K)}
    elbo = {"−ELBO": sum(model.elbo_terms(x, seed))}
    require(latent.in_order(elbo | bounds | {"−log p": -marginal.log_prob(x), "limit": -data.log_prob(x)}))


@points(2, "Trained: the bound is tight on the axis-aligned Gaussian")
@hint("Train longer, let the learning rate fall towards the end, and minimise reconstruction + KL, the mean over x.")
def test_bound_is_tight_on_the_axis_aligned_gaussian(student, graded, seed):
    grade(student, graded, "axis", 1, seed, RECIPE)


@points(1, "Trained: close to the limit on the rotated Gaussian")
@hint("Train longer, and let the learning rate fall towards the end. One latent should explain the tilt.")
def test_close_to_the_limit_on_the_rotated_gaussian(student, graded, seed):
    grade(student, graded, "rotated", 1, seed, RECIPE)


@points(1, "Trained: well on the moons")
@hint(
    "One latent has collapsed, or nearly so. Begin with 0.1 · KL for 1,500 steps, then train 3,000 steps more with the "
    "whole KL and a new optimiser."
)
def test_trained_well_on_the_moons(student, graded, seed):
    grade(student, graded, "moons", K, seed, RECIPE_MOONS)


def grade(student, graded, name: str, k: int, seed: int, recipe: Recipe) -> None:
    """Nats above the limit of the bound with k draws, between the reference and one round Gaussian.

    The bound may not be better than the decoder's own density, which is known before the model sees the points. Where
    fewer latents are used than the data need, the check's own hint says so; else what differs from the recipe.
    """
    vae, data = trained(student, name), toy.get(SETS[name])
    marginal = latent.Marginal(vae.decode)
    x = data.sample(HELD_OUT, seed=seed, split="test")
    log_p = data.log_prob(x)

    def excess(n: int = HELD_OUT) -> np.ndarray:
        model = trained(student, name)
        return latent.importance_weighted(x[:n], model.encode, model.decode, k, seed) + log_p[:n]

    over = excess()
    some = np.random.default_rng(seed).permutation(HELD_OUT)[:BOUNDED]
    require(latent.in_order({"the bound": (over - log_p)[some], "−log p": -marginal.log_prob(x[some])}))
    best = over.argsort()[:BOUNDED]  # where it claims most, it may claim no more than the density has
    require(latent.none_far_below((over - log_p)[best], -marginal.log_prob(x[best])))
    used = latent.used_latents(*vae.encode(x[:1000])) >= {"axis": 0, "rotated": 1, "moons": 2}[name]
    graded(
        f"vae2d.{name}",
        lambda: over.mean(),
        limit=data.entropy,
        baseline=independent(data),
        recipe=recipe if used else None,
        few=lambda: excess(1000).mean(),
    )


def independent(data) -> float:
    """The naive baseline: nats above the limit of the standard normal stretched alike in both dimensions."""
    x = data.sample(50_000, seed=0, split="validation").astype(np.float64)
    variance = ((x - x.mean(axis=0)) ** 2).mean()
    return float(np.log(2 * np.pi * np.e * variance) - data.entropy)  # type: ignore[misc, unused-ignore]


OWN = "the same as by your own functions"


def kl_agrees(student, vae: VAE, x: np.ndarray, kl: np.ndarray):
    mu, log_sigma = vae.encode(x)
    return either(
        lambda: latent.formula("the KL", kl, latent.gaussian_kl(mu, log_sigma), {}),
        lambda: latent.same_arrays(kl, function(student, "kl_to_prior", mu, log_sigma), "the KL", OWN),
    )


def reconstruction_agrees(student, vae: VAE, x: np.ndarray, got: np.ndarray, seed: int):
    """`got` are draws of −log p(x | z), z ~ q(z | x), at one x, repeated."""
    mu, log_sigma = vae.encode(x)

    def term(z: np.ndarray, nll) -> np.ndarray:
        return nll(x, *vae.decode(z.astype(np.float32)))

    def own(*arguments: np.ndarray) -> np.ndarray:
        return function(student, "gaussian_nll", *arguments)

    name, ours = "the reconstruction term", latent.normal_draw(seed)(mu, log_sigma)
    return either(
        lambda: latent.same_distribution(got, term(ours, latent.gaussian_nll), name),
        lambda: latent.same_distribution(got, term(ours, own), name),
        lambda: latent.same_arrays(got, term(drawn(student, mu, log_sigma, seed), own), name, OWN),
    )


def draws(student, seed: int) -> list:
    """Two ways to draw from a Gaussian: ours, and the student's reparameterize."""
    return [latent.normal_draw(seed), lambda mu, log_sigma: drawn(student, mu, log_sigma, seed)]


def noise_agrees(student, got: np.ndarray, mu: np.ndarray, log_sigma: np.ndarray, seed: int):
    """`got` are draws of these Gaussians, by our noise or by the student's own."""
    ours, theirs = draws(student, seed)
    name = "samples with noise"
    return either(
        lambda: latent.same_distribution(got, ours(mu, log_sigma), name),
        lambda: latent.same_distribution(got, theirs(mu, log_sigma), name),
    )


def bound_agrees(student, vae: VAE, x: np.ndarray, got: np.ndarray, k: int, seed: int, where: str = "", slip: str = ""):
    """`got` are draws of the bound at x: by our formulas and noise, or by the student's own."""
    many = np.repeat(x, DRAWS, axis=0)

    def agrees(nll, draw):
        ours = latent.importance_weighted(many, vae.encode, vae.decode, k, seed, nll, draw)
        return latent.same_distribution(got, ours, f"the bound with K = {k}{where}", slip)

    ours, theirs = draws(student, seed)

    def own(*arguments: np.ndarray) -> np.ndarray:
        return function(student, "gaussian_nll", *arguments)

    return either(
        lambda: agrees(latent.gaussian_nll, ours),
        lambda: agrees(own, ours),
        lambda: agrees(latent.gaussian_nll, theirs),
        lambda: agrees(own, theirs),
    )


def apart(vae: VAE, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two points, (1, 2) each, whose bounds differ as much as those of few others."""
    x = points_around(64, seed)
    order = latent.importance_weighted(x, vae.encode, vae.decode, 8, seed).argsort()
    return x[order[[2]]], x[order[[-3]]]


def rare(vae: VAE, seed: int) -> np.ndarray:
    """Points in some direction, just so far away that they are as improbable as RARE, if there are such."""
    for reach in 2.0 ** np.arange(1, 12):
        x = np.float32(reach) * points_around(20, seed)
        bound = latent.importance_weighted(x, vae.encode, vae.decode, 4, seed)
        if (usable := (bound > RARE) & (bound < 10 * RARE)).any():
            return np.repeat(x[usable], 2, axis=0)  # never a batch of one
    return x


def weighted(vae: VAE, x: np.ndarray, k: int, seed: int) -> np.ndarray:
    what = f"{vae.handle.label}.importance_weighted(x, {k})"
    return expect(vae.handle.call("importance_weighted", x, k, seed=seed), (len(x),), what)


def function(student, name: str, *arguments: np.ndarray) -> np.ndarray:
    return expect(student.call(name, *arguments), (len(arguments[0]),), f"{name}(…)")


def drawn(student, mu: np.ndarray, log_sigma: np.ndarray, seed: int) -> np.ndarray:
    return expect(student.call("reparameterize", mu, log_sigma, seed=seed), mu.shape, "reparameterize(mu, log_sigma)")
