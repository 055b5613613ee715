"""Exercise 3.1: both terms of the bound are right, the noise is, and the bounds come in their order."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw3.door import VAE
from autograder.properties import hygiene, latent
from autograder.student import expect
from deepul_utils import toy

HIDDEN = 16
DRAWS = 4000  # of a random number whose distribution is compared
SETS = {"axis": "axis_gaussian", "rotated": "rotated_gaussian", "moons": "moons"}
HELD_OUT, BOUNDED = 20_000, 400  # points of a graded loss; points at which the marginal is integrated
K = 16


def small(student, seed: int) -> VAE:
    """A small VAE with random weights."""
    return VAE(student.new("VAE2d", hidden=HIDDEN, seed=seed, perturb=0.5), (2,), 2)


def trained(student, name: str) -> VAE:
    return VAE(student.trained(f"vae2d.{name}"), (2,), 2)


def points_around(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


@points(1)
@hint("encode, decode: μ and log σ, (B, 2) each. elbo_terms: (B,) each. importance_weighted: (B,). sample: (n, 2).")
def test_shapes(student, seed):
    vae, x = small(student, seed), points_around(50, seed)
    require(hygiene.finite(np.concatenate([*vae.encode(x), *vae.decode(x)]), "of encoder and decoder"))
    require(hygiene.finite(np.stack(vae.elbo_terms(x)), "in both terms"))
    require(hygiene.finite(weighted(vae, x, 3, seed), "of importance_weighted"))
    require(hygiene.finite(np.stack([vae.sample(50, seed), vae.sample(50, seed, noise=False)]), "among samples"))
    require(hygiene.rows_are_independent(lambda x: np.concatenate(vae.encode(x), axis=1), x))
    require(hygiene.rows_are_independent(lambda z: np.concatenate(vae.decode(z), axis=1), x))


@points(4)
@hint("In each dimension −log σ + σ²/2 + μ²/2 − ½, summed over the dimensions, one number an example.")
def test_kl_is_the_closed_form(student, seed):
    for dims in (1, 2, 5):
        require(latent.kl_is_right(lambda *a: function(student, "kl_to_prior", *a), dims, seed + dims))


@points(4)
@hint("In each dimension ½ log 2π + log σ + (x − μ)²/2σ², summed over the dimensions, one number an example.")
def test_reconstruction_is_the_gaussian_with_all_constants(student, seed):
    for dims in (1, 2, 5):
        require(latent.nll_is_right(lambda *a: function(student, "gaussian_nll", *a), dims, seed + dims))


@points(4)
@hint("z = μ + σ ε with σ = exp(log σ), and ε ~ N(0, I): new in every dimension, for every example and every call.")
def test_noise_is_scaled_and_fresh(student, seed):
    for dims in (2, 5):
        require(latent.noise_is_fresh(
            lambda mu, log_sigma, seed: expect(
                student.call("reparameterize", mu, log_sigma, seed=seed), mu.shape, "reparameterize(mu, log_sigma)"),
            dims, seed + dims))  # fmt: skip


@points(3, needs="shapes")
@hint(
    "The gradient of the reconstruction must reach the encoder through z = μ + σ ε: no detach, no no_grad, no .data, "
    "and noise that does not depend on the parameters."
)
def test_gradient_reaches_the_encoder(student, seed):
    mu, log_sigma = latent.gaussians(100, 2, seed)
    z = student.call("reparameterize", mu, log_sigma, seed=seed)
    ones = np.ones_like(mu)
    by_mu, by_log_sigma = (
        student.gradient("reparameterize", mu, log_sigma, argument=k, cotangent=ones, seed=seed) for k in (0, 1)
    )
    require(latent.passes_the_gradient(z, mu, by_mu, by_log_sigma))
    vae, x = small(student, seed), points_around(200, seed)
    for output in (0, 1):
        require(latent.gradient_is_of_the_loss(
            lambda x, output=output: vae.elbo_terms(x, seed)[output],
            lambda x, output=output: vae.handle.gradient("elbo_terms", x, output=output, seed=seed), x, seed,
        ))  # fmt: skip


@points(4, needs="shapes")
@hint("elbo_terms: encode x, draw one z for each example, decode it; −log p(x | z) first, then the KL of q(z | x).")
def test_elbo_terms_are_of_its_encoder_and_decoder(student, seed):
    for k in range(3):
        vae, x = small(student, seed + k), points_around(1, seed + k)
        reconstruction, kl = vae.elbo_terms(np.repeat(x, DRAWS, axis=0), seed)
        require(latent.formula("the KL", kl[:5], latent.gaussian_kl(*vae.encode(np.repeat(x, 5, axis=0))), {}))
        require(latent.same_distribution(reconstruction, reconstructions(vae, x, seed), "the reconstruction term"))


@points(3, needs="shapes")
@hint(
    "z ~ N(0, I), decoded: without noise μ_x itself, with noise μ_x + σ_x ε. The prior is drawn from, not the encoder."
)
def test_samples_with_and_without_noise(student, seed):
    for k in range(2):
        vae, rng = small(student, seed + k), np.random.default_rng(seed + k)
        mu, log_sigma = vae.decode(rng.normal(size=(DRAWS, 2)).astype(np.float32))
        noisy = mu + np.exp(log_sigma) * rng.normal(size=mu.shape)
        require(latent.same_distribution(vae.sample(DRAWS, seed, noise=False), mu, "samples without noise"))
        require(latent.same_distribution(vae.sample(DRAWS, seed, noise=True), noisy, "samples with noise"))


@points(3, needs="elbo_terms_are_of_its_encoder_and_decoder")
@hint(
    "−log of the mean of p(x | z_k) p(z_k) / q(z_k | x): the mean over K stands inside the logarithm, all three "
    "densities are there, with fresh z_k ~ q(z | x) for every example."
)
def test_importance_weighted_bound(student, seed):
    for k in (1, 8):
        vae, x = small(student, seed + k), points_around(1, seed + k)
        many = np.repeat(x, DRAWS, axis=0)
        ours = latent.importance_weighted(many, vae.encode, vae.decode, k, seed)
        require(latent.same_distribution(weighted(vae, many, k, seed), ours, f"the bound with K = {k}"))
    model, data = trained(student, "moons"), toy.get("moons")
    marginal = latent.Marginal(model.decode)  # before the model sees the points
    x = data.sample(BOUNDED, seed=seed, split="test")
    bounds = {f"with {k}": latent.importance_weighted(x, model.encode, model.decode, k, seed) for k in (4, K)}
    require(latent.in_order({
        "−ELBO": sum(model.elbo_terms(x, seed)), **bounds, "−log p": -marginal.log_prob(x), "limit": -data.log_prob(x),
    }))  # fmt: skip


@points(2, needs=("elbo_terms_are_of_its_encoder_and_decoder", "kl_is_the_closed_form"))
@hint("Train longer, let the learning rate fall towards the end, and minimise reconstruction + KL, the mean over x.")
def test_bound_is_tight_on_the_axis_aligned_gaussian(student, graded, seed):
    grade(student, graded, "axis", 1, seed)


@points(1, needs=("elbo_terms_are_of_its_encoder_and_decoder", "kl_is_the_closed_form"))
@hint("Train longer, and let the learning rate fall towards the end. One latent should explain the tilt.")
def test_close_to_the_limit_on_the_rotated_gaussian(student, graded, seed):
    grade(student, graded, "rotated", K, seed)


@points(1, needs=("elbo_terms_are_of_its_encoder_and_decoder", "kl_is_the_closed_form"))
@hint("Has one latent collapsed? Begin with a small weight on the KL, and give it its full weight for the rest.")
def test_trained_well_on_the_moons(student, graded, seed):
    grade(student, graded, "moons", K, seed)


def grade(student, graded, name: str, k: int, seed: int) -> None:
    """Nats above the limit of the bound with k draws, between the reference and one round Gaussian.

    The bound may not be better than the decoder's own density, which is known before the model sees the points.
    """
    vae, data = trained(student, name), toy.get(SETS[name])
    marginal = latent.Marginal(vae.decode)
    x = data.sample(HELD_OUT, seed=seed, split="test")
    loss = latent.importance_weighted(x, vae.encode, vae.decode, k, seed)
    some = slice(BOUNDED)
    require(latent.in_order({"the bound": loss[some], "−log p": -marginal.log_prob(x[some])}))
    graded(f"vae2d.{name}", np.mean(loss + data.log_prob(x)), limit=data.entropy, baseline=independent(data))


def independent(data) -> float:
    """The naive baseline: nats above the limit of the standard normal stretched alike in both dimensions."""
    x = data.sample(50_000, seed=0, split="validation").astype(np.float64)
    variance = ((x - x.mean(axis=0)) ** 2).mean()
    return float(np.log(2 * np.pi * np.e * variance) - data.entropy)


def reconstructions(vae: VAE, x: np.ndarray, seed: int) -> np.ndarray:
    """Draws of −log p(x | z), z ~ q(z | x), at one x, with our own noise."""
    mu, log_sigma = vae.encode(x)
    z = mu + np.exp(log_sigma) * np.random.default_rng(seed).normal(size=(DRAWS, mu.shape[1]))
    return latent.gaussian_nll(x, *vae.decode(z.astype(np.float32)))


def weighted(vae: VAE, x: np.ndarray, k: int, seed: int) -> np.ndarray:
    what = f"{vae.handle.label}.importance_weighted(x, {k})"
    return expect(vae.handle.call("importance_weighted", x, k, seed=seed), (len(x),), what)


def function(student, name: str, *arguments: np.ndarray) -> np.ndarray:
    return expect(student.call(name, *arguments), (len(arguments[0]),), f"{name}(…)")
