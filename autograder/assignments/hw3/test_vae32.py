"""Exercise 3.2: the bound for images of unit variance, latents that are used, and straight lines between codes."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import latent as family
from autograder.families.latent import UnitVAE
from autograder.properties import latent
from autograder.student import expect
from deepul_utils import images

DATA = images.get("glyphs32", levels=256)
SHAPE, LATENTS = (1, 32, 32), 16
TINY = {"latents": 3, "width": 4}


def small(student, seed: int, size: float = 1.0) -> UnitVAE:
    """A narrow VAE with random weights."""
    return UnitVAE(student.new("VAE32", shape=SHAPE, seed=seed, perturb=size, **TINY), SHAPE, TINY["latents"])


def digits(n: int, seed: int) -> np.ndarray:
    """Held-out images in [−1, 1]."""
    return 2 * DATA.unit(DATA.sample(n, seed=seed, split="test")) - 1


def one_of_each(vae: UnitVAE, x: np.ndarray, seed: int):
    yield from family.one_sample(vae, x, seed)
    between = vae.handle.call("interpolate", x[:1], x[1:2], 3)
    yield expect(between, (1, 3, *SHAPE), "interpolate(a, b, 3) of one pair"), "of one pair"


expressive = family.expressive(small, digits)
suite = family.Suite(
    exercise="vae32",
    of="VAE32",
    shape=SHAPE,
    latents=LATENTS,
    examples=digits,
    small=small,
    telling=expressive,
    quiet=lambda student, seed: small(student, seed, size=0.5),
    baseline=lambda: family.mean_example_nats(2 * DATA.unit(DATA.sample(5000)) - 1),
    recipe=Recipe("Adam", lr=4e-3, steps=1000, batch=64),
)

test_shapes = suite.shapes(
    0.5, "encode: (B, latents) twice; decode: (B, 1, 32, 32); finite, and each row of its own example alone."
)
test_kl_is_that_of_the_encoder = suite.kl(
    4, "Per latent −log σ + σ²/2 + μ²/2 − ½, summed over the latents, one number an example."
)
test_reconstruction_is_the_gaussian_of_unit_variance = suite.reconstruction(
    3, "d/2 · log 2π + ½ ‖x − μ_x(z)‖², its squares summed over all pixels; one number an example."
)
test_codes_are_drawn = suite.codes_are_drawn(
    2, "z = μ_z + σ_z ε, also in eval mode: one draw of ε ~ N(0, I) for every example and every latent."
)
test_gradient_reaches_the_encoder = suite.gradient(
    3,
    "The gradient of the reconstruction must reach the encoder through z = μ + σ ε: no detach, no no_grad, no .data on "
    "the way, neither for μ nor for σ.",
)
test_samples_are_decoded_draws_of_the_prior = suite.samples(
    2, "z ~ N(0, I), one for each sample, and then μ_x(z) itself."
)


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


test_called_with_one_example = suite.one_example(
    0.5, "A batch of one keeps its dimension: (1, latents), (1,), (1, 1, 32, 32).", more=one_of_each
)
test_trained_well_on_held_out_digits = suite.trained(
    4, "Train longer, let the learning rate fall towards the end, or use wider layers.", on="digits"
)
test_latents_are_used = suite.latents_are_used(
    3,
    "Latents that are not used cost nothing and say nothing. Are both terms sums, over pixels and over latents?",
    fewest=6,
)
