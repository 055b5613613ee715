"""Exercise 2.4: levels become reals, masks choose halves, and the flow of images has the log_det of its Jacobian."""

from collections.abc import Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import image_flows as family
from autograder.families.image_flows import ALPHA, ImageFlow
from autograder.properties import flows
from autograder.properties import images as on_images
from autograder.properties import layers as on_layers
from deepul_utils import images

DATA = images.get("digits32", levels=16)
TINY, WIDE = (1, 4, 4), (4, 4, 4)
LEVELS = 16
KINDS = ("checkerboard", "channel")


def small(student, seed: int, scales: int = 2, sizes: tuple[float, ...] = family.SIZES) -> ImageFlow:
    """A flow of 4 × 4 images with random weights."""
    kwargs = dict(shape=TINY, levels=LEVELS, scales=scales, width=8)  # type: dict
    return family.drawn(student, "ImageRealNVP", TINY, LEVELS, seed, sizes=sizes, **kwargs)


def coupling(student, kind: str, keep: int, seed: int) -> ImageFlow:
    """One coupling of 4 × 4 images with four channels, with random weights."""
    return family.drawn(student, "MaskedCoupling", WIDE, LEVELS, seed, kind, keep, WIDE, 8)


def layers(student, seed: int) -> list[ImageFlow]:
    return [coupling(student, "channel", 1, seed)]


def parts(student, seed: int) -> Iterator[ImageFlow]:
    """Couplings of every kind, and flows of one scale and of two."""
    for kind in KINDS:
        for keep in (0, 1):
            yield coupling(student, kind, keep, seed)
    for scales in (1, 2):
        yield small(student, seed, scales)


suite = family.Suite(
    exercise="realnvp_images",
    of="ImageRealNVP",
    data=DATA,
    small=small,
    recipe=Recipe(optimizer="Adam", lr=5e-3, steps=1000, batch=32),
    own=("dequantize", "to_logits"),
)

test_shapes = suite.shapes(0.5)
test_called_with_one_example = suite.one_example(0.5, layers)


@points(2, "dequantize adds uniform noise")
@hint("y = (x + u) / levels, with a u of its own for every number, from U[0, 1). Its log_det is −D log levels.")
def test_dequantize_adds_uniform_noise(student, seed):
    for levels, shape in ((2, (1, 8, 8)), (16, (2, 4, 6))):
        x = family.levels(60, shape, levels, seed)
        y, log_det = family.pair(student, "dequantize", x, levels, seed=seed)
        require(on_images.noise_is_uniform(y, x, levels))
        require(on_images.is_exactly(log_det, np.full(len(x), -x[0].size * np.log(levels)), "log_det", "−D log levels"))
        again, _ = family.pair(student, "dequantize", x, levels, seed=seed + 1)
        require(on_images.is_drawn_anew(y, again, "dequantize"))


@points(2, "The logit and its log_det")
@hint(
    "t = log s − log(1 − s) with s = α + (1 − 2α) y. Its slope dt/dy is (1 − 2α) / (s (1 − s)); log_det sums "
    "their logarithms, one number an image. The way back is y = (σ(t) − α) / (1 − 2α)."
)
def test_logit_and_its_log_det(student, seed):
    y = np.random.default_rng(seed).random((50, 2, 4, 4), dtype=np.float32)
    y[0], y[1] = 0, 1  # the ends are what α is for
    t, log_det = family.pair(student, "to_logits", y)
    s = ALPHA + (1 - 2 * ALPHA) * y.astype(np.float64)
    log_slopes = np.log(1 - 2 * ALPHA) - np.log(s) - np.log1p(-s)
    require(on_images.is_exactly(t, np.log(s) - np.log1p(-s), "t", "log s − log(1 − s)"))
    require(on_images.is_exactly(log_det, log_slopes.sum(axis=(1, 2, 3)), "log_det", "Σ log dt/dy"))
    back = family.answer(student, "from_logits", y.shape, t.astype(np.float32))
    require(on_images.is_exactly(back, y, "from_logits(to_logits(y))", "y"))


@points(2, "Masks keep one half")
@hint(
    "checkerboard: 1 where (row + column) % 2 is keep, the same in all channels. channel: 1 in the first half of "
    "the channels or in the second, over the whole image."
)
def test_masks_keep_one_half(student):
    for shape in (WIDE, (2, 4, 6)):
        require(on_images.is_a_checkerboard(*(family.mask(student, "checkerboard", shape, k) for k in (0, 1))))
        require(on_images.is_half_the_channels(*(family.mask(student, "channel", shape, k) for k in (0, 1))))


@points(2, "squeeze moves squares into channels")
@hint(
    "squeeze moves each square of 2 × 2 pixels into four channels of one pixel; nothing is added or lost. unsqueeze "
    "puts every number back where it was."
)
def test_squeeze_moves_squares_into_channels(student):
    for C, H, W in ((1, 4, 4), (3, 4, 8)):
        x = np.arange(2 * C * H * W, dtype=np.float32).reshape(2, C, H, W)
        z = family.answer(student, "squeeze", (2, 4 * C, H // 2, W // 2), x)
        require(on_images.squares_become_channels(x, z))
        back = family.answer(student, "unsqueeze", x.shape, z)
        require(on_images.is_exactly(back, x, "unsqueeze(squeeze(x))", "x"))


@points(2, "A coupling keeps what its mask keeps")
@hint("Where the mask is 1 a coupling hands x on as it is, forwards and backwards; everywhere else it changes it.")
def test_coupling_keeps_what_the_mask_keeps(student, seed):
    for kind in KINDS:
        for keep in (0, 1):
            flow, mask = coupling(student, kind, keep, seed), family.mask(student, kind, WIDE, keep)
            require(on_images.keeps_where(flow.latents, flow.reals(20, seed), mask.ravel()))


test_log_det_is_that_of_the_jacobian = suite.log_det(
    3.5,
    "A coupling's log_det is the sum of log σ over all numbers that it changes; those of a composition add. A squeeze "
    "only moves numbers: its log_det is 0.",
    parts,
)


@points(1, "Every z depends on every x")
@hint(
    "At one scale, couplings take turns: two checkerboards, keep 0 and 1, then channel masks, keep 0 and 1 and again. "
    "Each is a coupling of its own, with weights of its own. Else a half goes through unchanged."
)
def test_every_z_depends_on_every_x(student, seed):
    few, many = (parameters(student, scales) for scales in (1, 2))
    require(on_layers.grows(few, many, "ImageRealNVP", "scales"))
    flow = small(student, seed, scales=1)
    require(flows.is_dense(flow.jacobian(flow.reals(20, seed))))


def parameters(student, scales: int) -> int:
    """How many numbers a flow of so many scales has as its parameters."""
    made = student.new("ImageRealNVP", shape=TINY, levels=LEVELS, scales=scales, width=8)
    return sum(values.size for values in made.parameters().values())


def kept_on_the_way_back(student, seed: int) -> Iterator[ImageFlow]:
    """Couplings of either kind, which are required to keep backwards what their mask keeps; and whole flows."""
    for kind, keep in (("checkerboard", 1), ("channel", 0)):
        flow, mask = coupling(student, kind, keep, seed), family.mask(student, kind, WIDE, keep)
        require(on_images.keeps_where(flow.inverse, flow.reals(20, seed), mask.ravel()))
        yield flow
    for scales in (1, 2):
        yield small(student, seed, scales)


test_inverse_undoes_forward = suite.inverse(
    2.5,
    "x = (z − μ) ∘ exp(−log σ), in that order; the layers in reverse order, the last one first; and a squeeze where "
    "forward has an unsqueeze.",
    kept_on_the_way_back,
)
test_log_prob_adds_base_and_all_log_dets = suite.log_prob(
    2,
    "log p(x) = log N(z; 0, I) + the log_dets of dequantize, to_logits and forward, each once: sums over the image, in "
    "nats, and with noise u that is drawn anew at every call.",
    networks=2,
)


@points(1, "Interpolation is straight in latent space")
@hint("z = (1 − w) f(a) + w f(b) for w in equal steps from 0 to 1, then the inverse: (B, steps, C, H, W).")
def test_interpolation_is_straight_in_latent_space(student, seed):
    flow, steps = small(student, seed), 5
    a, b = flow.reals(8, seed), flow.reals(8, seed + 1)
    way = flow.ask("interpolate", (8, steps, *TINY), family.shaped(a, TINY), family.shaped(b, TINY), steps=steps)
    z = flow.latents(way.reshape(8 * steps, -1)).reshape(8, steps, -1)
    w = np.linspace(0, 1, steps)[:, None]
    z_a, z_b = (flow.latents(end)[:, None] for end in (a, b))
    require(on_images.is_exactly(z, (1 - w) * z_a + w * z_b, "z on the way", "on the straight line", 5e-3))


test_samples_follow_the_density = suite.samples(
    0.5, "Draw z from N(0, I); then inverse, from_logits, times levels, rounded down, within 0 … levels − 1."
)
test_samples_look_like_the_data = suite.near_the_data(
    0.5, "Samples of the trained flow are no digits yet: was it trained long enough, and on the data as they are?"
)
test_trained_bits_per_dimension = suite.trained(
    3, "Train longer, let the learning rate rise first and fall to zero, or use wider networks and more couplings."
)
