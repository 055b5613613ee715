"""Exercise 3.2: the bound for images of unit variance, latents that are used, and straight lines between codes."""

from collections.abc import Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families.latent import ImageVAE, best_conditioned
from autograder.properties import hygiene, latent
from autograder.student import expect
from deepul_utils import images

DATA = images.get("glyphs32", levels=256)
SHAPE, LATENTS = (1, 32, 32), 16
TINY = {"latents": 3, "width": 4}
MODELS = 2  # random models, so that a σ near one in a single model hides no slip
DRAWS = 800  # of a random number whose distribution is compared
PROJECTIONS = 5  # directions along which samples are compared
HELD_OUT, BATCH = 2000, 500
FEWEST = 6
RECIPE = Recipe("Adam", lr=4e-3, steps=1000, batch=64)


def small(student, seed: int, size: float = 1.0) -> ImageVAE:
    """A narrow VAE with random weights."""
    return ImageVAE(student.new("VAE32", shape=SHAPE, seed=seed, perturb=size, **TINY), SHAPE, TINY["latents"])


def expressive(student, seed: int) -> ImageVAE:
    """One whose σ_z are not near one, and whose codes are seen in its images."""
    return best_conditioned(lambda seed, size: small(student, seed, size), digits(20, seed), seed)


def digits(n: int, seed: int) -> np.ndarray:
    """Held-out images in [−1, 1]."""
    return 2 * DATA.unit(DATA.sample(n, seed=seed, split="test")) - 1


@points(0.5, "Shapes of encoder and decoder")
@hint("encode: (B, latents) twice; decode: (B, 1, 32, 32); finite, and each row of its own example alone.")
def test_shapes(student, seed):
    vae, x = small(student, seed), digits(12, seed)
    z = np.random.default_rng(seed).normal(size=(12, TINY["latents"]))
    require(hygiene.finite(vae.rows(x), "from the encoder"))
    require(hygiene.rows_are_independent(vae.rows, x))
    require(hygiene.finite(vae.decode(z), "from the decoder"))
    require(hygiene.rows_are_independent(vae.decode, z))


@points(4, "The KL is that of the encoder")
@hint("Per latent −log σ + σ²/2 + μ²/2 − ½, summed over the latents, one number an example.")
def test_kl_is_that_of_the_encoder(student, seed):
    for k in range(2):
        vae, x = expressive(student, seed + k), digits(30, seed + k)
        kl = vae.elbo_terms(x)[1]
        mu, log_sigma = (a.astype(np.float64) for a in vae.encode(x))
        require(latent.kl_of(kl, mu, log_sigma))


@points(3, "The reconstruction is the Gaussian of unit variance")
@hint("d/2 · log 2π + ½ ‖x − μ_x(z)‖², its squares summed over all pixels; one number an example.")
def test_reconstruction_is_the_gaussian_of_unit_variance(student, seed):
    """Whatever noise is in z: the next check asks for that."""
    for finding, _ in reconstructions(student, seed, 1):
        require(finding)


@points(2, "Codes are drawn: z = μ + σ ε")
@hint("z = μ_z + σ_z ε, also in eval mode: one draw of ε ~ N(0, I) for every example and every latent.")
def test_codes_are_drawn(student, seed):
    for _, finding in reconstructions(student, seed, MODELS):
        require(finding)


@points(3, "The gradient reaches the encoder")
@hint(
    "The gradient of the reconstruction must reach the encoder through z = μ + σ ε: no detach, no no_grad, no .data on "
    "the way, neither for μ nor for σ."
)
def test_gradient_reaches_the_encoder(student, seed):
    """In training mode: that is where gradients are used."""
    vae, x = small(student, seed), digits(20, seed)
    by = [vae.handle.gradient("encode", x, wrt="parameters", output=k, train=True) for k in (0, 1)]
    loss = vae.handle.gradient("elbo_terms", x, wrt="parameters", seed=seed, train=True)
    require(latent.gradient_reaches(*by, loss))


@points(2, "Samples are decoded draws of the prior")
@hint("z ~ N(0, I), one for each sample, and then μ_x(z) itself.")
def test_samples_are_decoded_draws_of_the_prior(student, seed):
    vae, rng = expressive(student, seed), np.random.default_rng(seed)
    ours = vae.decode(rng.normal(size=(DRAWS, TINY["latents"])).astype(np.float32))
    directions = rng.normal(size=(ours[0].size, PROJECTIONS)) / 32
    drawn = vae.sample(DRAWS, seed)
    require(latent.same_distribution(*(a.reshape(DRAWS, -1) @ directions for a in (drawn, ours)), "projected samples"))


@points(3, "Interpolation is straight between codes")
@hint("Codes t μ_z(b) + (1 − t) μ_z(a) for even steps of t from 0 to 1, both ends included, each decoded.")
def test_interpolation_is_straight_between_codes(student, seed):
    vae, a, b = expressive(student, seed), digits(3, seed), digits(3, seed + 1)
    what = f"{vae.handle.label}.interpolate(a, b, 5)"
    got = expect(vae.handle.call("interpolate", a, b, 5, seed=seed), (3, 5, *SHAPE), what)
    start, end = (vae.encode(x)[0] for x in (a, b))
    for t, name in ((0.0, "the first image"), (1.0, "the last image"), (0.25, "the second image"), (0.5, "the middle")):
        wanted = vae.decode((start + np.float32(t) * (end - start)).astype(np.float32))
        required = "the ends are the reconstructions of a and b, and steps are even in z"
        require(latent.same_arrays(got[:, round(4 * t)], wanted, name, required))


@points(0.5, "Called with one example")
@hint("A batch of one keeps its dimension: (1, latents), (1,), (1, 1, 32, 32).")
def test_called_with_one_example(student, seed):
    vae, x = expressive(student, seed), digits(4, seed)
    z = np.random.default_rng(seed).normal(size=(4, TINY["latents"]))
    require(hygiene.one_example(vae.rows, x))
    require(hygiene.one_example(vae.decode, z))
    require(hygiene.finite(np.stack(vae.elbo_terms(x[:1])), "in both terms"))
    require(hygiene.finite(vae.sample(1, seed), "in one sample"))
    one = expect(vae.handle.call("interpolate", x[:1], x[1:2], 3), (1, 3, *SHAPE), "interpolate(a, b, 3) of one pair")
    require(hygiene.finite(one, "of one pair"))


@points(4, "Trained: well on held-out digits")
@hint("Train longer, let the learning rate fall towards the end, or use wider layers.")
def test_trained_well_on_held_out_digits(student, graded, seed):
    def nats(n: int = HELD_OUT) -> float:
        reconstruction, kl = measured(student, seed, n)
        return (reconstruction + kl).mean()

    graded("vae32", nats, limit=None, baseline=baseline(), recipe=RECIPE, few=lambda: nats(BATCH))


@points(3, "Latents are used")
@hint("Latents that are not used cost nothing and say nothing. Are both terms sums, over pixels and over latents?")
def test_latents_are_used(student, seed):
    vae = trained(student)
    require(latent.active_latents(*vae.encode(digits(BATCH, seed)), FEWEST))


def reconstructions(student, seed: int, models: int) -> Iterator[tuple]:
    """The two findings of latent.unit_gaussian, for a few random models."""
    for k in range(models):
        vae = expressive(student, seed + k)
        x, squares = vae.by_noise(digits(20, seed + k), DRAWS, seed + k)
        got = vae.elbo_terms(np.repeat(x, DRAWS, axis=0), seed)[0]
        yield latent.unit_gaussian(got, squares, x.size)


def trained(student) -> ImageVAE:
    return ImageVAE(student.trained("vae32", "VAE32"), SHAPE, LATENTS)


def measured(student, seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Reconstruction and KL of n held-out digits, with our own noise; codes are decoded in another order."""
    vae, rng, x = trained(student), np.random.default_rng(seed), digits(n, seed)
    mu, log_sigma = (np.concatenate(a) for a in zip(*map(vae.encode, batches(x)), strict=True))
    z = (mu + np.exp(log_sigma) * rng.normal(size=mu.shape)).astype(np.float32)
    order = rng.permutation(n)
    decoded = np.empty(x.shape)
    decoded[order] = np.concatenate([vae.decode(part) for part in batches(z[order])])
    reconstruction = latent.gaussian_nll(x.reshape(n, -1), decoded.reshape(n, -1), 0.0)
    return reconstruction, latent.gaussian_kl(mu, log_sigma)


def batches(x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, range(BATCH, len(x), BATCH))


def baseline() -> float:
    """Nats of the mean image, with no code."""
    x = 2 * DATA.unit(DATA.sample(5000)) - 1
    return float(0.5 * np.log(2 * np.pi) * x[0].size + ((x - x.mean(axis=0)) ** 2).sum(axis=(1, 2, 3)).mean() / 2)
