"""Exercise 3.2: the bound for images of unit variance, latents that are used, and straight lines between codes."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw3.door import ImageVAE
from autograder.properties import hygiene, latent
from autograder.student import expect
from deepul_utils import images

DATA = images.get("glyphs32", levels=256)
SHAPE, LATENTS = (1, 32, 32), 16
TINY = {"latents": 3, "width": 4}
DRAWS = 500  # of a random number whose distribution is compared
PROJECTIONS = 5  # directions along which samples are compared
HELD_OUT, BATCH = 2000, 500
FEWEST = 6


def small(student, seed: int) -> ImageVAE:
    """A narrow VAE with random weights."""
    return ImageVAE(student.new("VAE32", shape=SHAPE, seed=seed, perturb=1.0, **TINY), SHAPE, TINY["latents"])


def digits(n: int, seed: int) -> np.ndarray:
    """Held-out images in [−1, 1]."""
    return 2 * DATA.unit(DATA.sample(n, seed=seed, split="test")) - 1


@points(1)
@hint("encode: (B, latents) twice; decode, sample: (B, 1, 32, 32); elbo_terms: (B,) twice.")
def test_shapes(student, seed):
    vae, x = small(student, seed), digits(12, seed)
    z = np.concatenate(vae.encode(x), axis=1)[:, : TINY["latents"]]
    require(hygiene.finite(np.concatenate(vae.encode(x)), "from the encoder"))
    require(hygiene.finite(np.stack(vae.elbo_terms(x)), "in both terms"))
    require(hygiene.finite(vae.sample(12, seed), "among samples"))
    require(hygiene.rows_are_independent(lambda x: np.concatenate(vae.encode(x), axis=1), x))
    require(hygiene.rows_are_independent(vae.decode, z))


@points(4, needs="shapes")
@hint("Per latent −log σ + σ²/2 + μ²/2 − ½, summed over the latents, one number an example.")
def test_kl_is_that_of_the_encoder(student, seed):
    for k in range(2):
        vae, x = small(student, seed + k), digits(30, seed + k)
        kl = vae.elbo_terms(x)[1]
        mu, log_sigma = (a.astype(np.float64) for a in vae.encode(x))
        require(latent.kl_of(kl, mu, log_sigma))


@points(5, needs="shapes")
@hint(
    "d/2 · log 2π + ½ ‖x − μ_x(z)‖² with z = μ_z + σ_z ε: one draw of ε for every example, its squares summed over all "
    "pixels."
)
def test_reconstruction_is_the_gaussian_of_unit_variance(student, seed):
    for k in range(2):
        vae, x = small(student, seed + k), digits(1, seed + k)
        got = vae.elbo_terms(np.repeat(x, DRAWS, axis=0), seed)[0]
        mu, log_sigma = vae.encode(x)
        z = mu + np.exp(log_sigma) * np.random.default_rng(seed + k).normal(size=(DRAWS, TINY["latents"]))
        squares = ((x - vae.decode(z.astype(np.float32)).astype(np.float64)) ** 2).sum(axis=(1, 2, 3))
        require(latent.unit_gaussian(got, squares, x[0].size))


@points(3, needs="shapes")
@hint(
    "The gradient of the reconstruction must reach the encoder through z = μ + σ ε: no detach, no no_grad, no .data on "
    "the way, neither for μ nor for σ."
)
def test_gradient_reaches_the_encoder(student, seed):
    vae, x = small(student, seed), digits(20, seed)
    by = [vae.handle.gradient("encode", x, wrt="parameters", output=k) for k in (0, 1)]
    require(latent.gradient_reaches(*by, vae.handle.gradient("elbo_terms", x, wrt="parameters", seed=seed)))


@points(2, needs="shapes")
@hint("z ~ N(0, I), one for each sample, and then μ_x(z) itself.")
def test_samples_are_decoded_draws_of_the_prior(student, seed):
    vae, rng = small(student, seed), np.random.default_rng(seed)
    ours = vae.decode(rng.normal(size=(DRAWS, TINY["latents"])).astype(np.float32))
    directions = rng.normal(size=(ours[0].size, PROJECTIONS)) / 32
    drawn = vae.sample(DRAWS, seed)
    require(latent.same_distribution(*(a.reshape(DRAWS, -1) @ directions for a in (drawn, ours)), "projected samples"))


@points(3, needs="shapes")
@hint("Codes t μ_z(b) + (1 − t) μ_z(a) for even steps of t from 0 to 1, both ends included, each decoded.")
def test_interpolation_is_straight_between_codes(student, seed):
    vae, a, b = small(student, seed), digits(3, seed), digits(3, seed + 1)
    what = f"{vae.handle.label}.interpolate(a, b, 5)"
    got = expect(vae.handle.call("interpolate", a, b, 5, seed=seed), (3, 5, *SHAPE), what)
    start, end = (vae.encode(x)[0] for x in (a, b))
    for t, name in ((0.0, "the first image"), (1.0, "the last image"), (0.25, "the second image"), (0.5, "the middle")):
        wanted = vae.decode((start + np.float32(t) * (end - start)).astype(np.float32))
        required = "the ends are the reconstructions of a and b, and steps are even in z"
        require(latent.same_arrays(got[:, round(4 * t)], wanted, name, required))


@points(4, needs=("reconstruction_is_the_gaussian_of_unit_variance", "kl_is_that_of_the_encoder"))
@hint("Train longer, let the learning rate fall towards the end, or use wider layers.")
def test_trained_well_on_held_out_digits(student, graded, seed):
    reconstruction, kl = measured(student, seed)
    graded("vae32", (reconstruction + kl).mean(), limit=None, baseline=baseline())


@points(3, needs="kl_is_that_of_the_encoder")
@hint("Latents that are not used cost nothing and say nothing. Are both terms sums, over pixels and over latents?")
def test_latents_are_used(student, seed):
    vae = ImageVAE(student.trained("vae32"), SHAPE, LATENTS)
    require(latent.active_latents(*vae.encode(digits(BATCH, seed)), FEWEST))


def measured(student, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Reconstruction and KL of held-out digits, with our own noise; codes are decoded in another order."""
    vae, rng, x = (
        ImageVAE(student.trained("vae32"), SHAPE, LATENTS),
        np.random.default_rng(seed),
        digits(HELD_OUT, seed),
    )
    mu, log_sigma = (np.concatenate(a) for a in zip(*map(vae.encode, batches(x)), strict=True))
    z = (mu + np.exp(log_sigma) * rng.normal(size=mu.shape)).astype(np.float32)
    order = rng.permutation(HELD_OUT)
    decoded = np.empty(x.shape)
    decoded[order] = np.concatenate([vae.decode(part) for part in batches(z[order])])
    reconstruction = latent.gaussian_nll(x.reshape(HELD_OUT, -1), decoded.reshape(HELD_OUT, -1), 0.0)
    return reconstruction, latent.gaussian_kl(mu, log_sigma)


def batches(x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, range(BATCH, len(x), BATCH))


def baseline() -> float:
    """Nats of the mean image, with no code."""
    x = 2 * DATA.unit(DATA.sample(5000)) - 1
    return float(0.5 * np.log(2 * np.pi) * x[0].size + ((x - x.mean(axis=0)) ** 2).sum(axis=(1, 2, 3)).mean() / 2)
