"""Exercise 2.4: levels become reals, masks choose halves, and the flow of images has the log_det of its Jacobian."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw2 import pictures
from autograder.hw2.pictures import ALPHA, ImageFlow
from autograder.properties import flows, hygiene
from autograder.properties import images as on_images
from deepul_utils import images

DATA = images.get("digits32", levels=16)
TINY, WIDE = (1, 4, 4), (4, 4, 4)
LEVELS = 16
KINDS = ("checkerboard", "channel")


def small(student, seed: int, scales: int = 2, shape: tuple[int, int, int] = TINY) -> ImageFlow:
    """A flow of 4 × 4 images with random weights."""
    made = student.new("ImageRealNVP", shape=shape, levels=LEVELS, scales=scales, width=8, seed=seed, perturb=0.5)
    return ImageFlow(made, shape, LEVELS)


def coupling(student, kind: str, keep: int, seed: int) -> ImageFlow:
    """One coupling of 4 × 4 images with four channels, with random weights."""
    made = student.new("MaskedCoupling", kind, keep, WIDE, 8, seed=seed, perturb=0.5)
    return ImageFlow(made, WIDE, LEVELS)


@points(1)
@hint(
    "forward takes reals (B, C, H, W) and gives z of the same shape and log_det (B,); log_prob takes integer levels "
    "and gives (B,); sample gives integer levels (n, C, H, W)."
)
def test_shapes_and_levels(student, seed):
    flow = small(student, seed)
    t = flow.reals(100, seed)
    z, log_det = flow.forward(t)
    require(hygiene.finite(np.concatenate([z.ravel(), log_det, flow.inverse(z).ravel()]), "of random images"))
    require(hygiene.finite(flow.log_prob(pictures.levels(100, TINY, LEVELS, seed), seed), "of log_prob"))
    require(hygiene.rows_are_independent(flow.latents, t))
    require(hygiene.in_range(flow.sample(100, seed), LEVELS))


@points(2)
@hint("y = (x + u) / levels, with a u of its own for every number, from U[0, 1). Its log_det is −D log levels.")
def test_dequantize_adds_uniform_noise(student, seed):
    for levels in (2, 16):
        x = pictures.levels(60, (1, 8, 8), levels, seed)
        y, log_det = pictures.pair(student, "dequantize", x, levels, seed=seed)
        require(on_images.noise_is_uniform(y, x, levels))
        require(on_images.is_exactly(log_det, np.full(len(x), -64 * np.log(levels)), "log_det", "−D log levels"))


@points(2)
@hint(
    "t = log s − log(1 − s) with s = α + (1 − 2α) y. Its slope dt/dy is (1 − 2α) / (s (1 − s)); log_det sums "
    "their logarithms, one number an image. The way back is y = (σ(t) − α) / (1 − 2α)."
)
def test_logit_and_its_log_det(student, seed):
    y = np.random.default_rng(seed).random((50, 2, 4, 4), dtype=np.float32)
    y[0], y[1] = 0, 1  # the ends are what α is for
    t, log_det = pictures.pair(student, "to_logits", y)
    s = ALPHA + (1 - 2 * ALPHA) * y.astype(np.float64)
    log_slopes = np.log(1 - 2 * ALPHA) - np.log(s) - np.log1p(-s)
    require(on_images.is_exactly(t, np.log(s) - np.log1p(-s), "t", "log s − log(1 − s)"))
    require(on_images.is_exactly(log_det, log_slopes.sum(axis=(1, 2, 3)), "log_det", "Σ log dt/dy"))
    back = pictures.answer(student, "from_logits", y.shape, t.astype(np.float32))
    require(on_images.is_exactly(back, y, "from_logits(to_logits(y))", "y"))


@points(2)
@hint(
    "checkerboard: 1 where (row + column) % 2 is keep, the same in all channels. channel: 1 in the first half of "
    "the channels or in the second, over the whole image."
)
def test_masks_keep_one_half(student):
    for shape in (WIDE, (2, 4, 6)):
        require(on_images.is_a_checkerboard(*(pictures.mask(student, "checkerboard", shape, k) for k in (0, 1))))
        require(on_images.is_half_the_channels(*(pictures.mask(student, "channel", shape, k) for k in (0, 1))))


@points(2)
@hint(
    "squeeze moves each square of 2 × 2 pixels into four channels of one pixel; nothing is added or lost. unsqueeze "
    "puts every number back where it was."
)
def test_squeeze_moves_squares_into_channels(student):
    for C, H, W in ((1, 4, 4), (3, 4, 8)):
        x = np.arange(2 * C * H * W, dtype=np.float32).reshape(2, C, H, W)
        z = pictures.answer(student, "squeeze", (2, 4 * C, H // 2, W // 2), x)
        require(on_images.squares_become_channels(x, z))
        back = pictures.answer(student, "unsqueeze", x.shape, z)
        require(on_images.is_exactly(back, x, "unsqueeze(squeeze(x))", "x"))


@points(2, needs="masks_keep_one_half")
@hint("Where the mask is 1 a coupling hands x on as it is, forwards and backwards; everywhere else it changes it.")
def test_coupling_keeps_what_the_mask_keeps(student, seed):
    for kind in KINDS:
        for keep in (0, 1):
            flow, mask = coupling(student, kind, keep, seed), pictures.mask(student, kind, WIDE, keep)
            t = flow.reals(20, seed)
            require(on_images.keeps_where(flow.latents, t, mask.ravel()))
            require(on_images.keeps_where(flow.inverse, t, mask.ravel()))


@points(4, needs="shapes_and_levels")
@hint(
    "A coupling's log_det is the sum of log σ over all numbers that it changes; those of a composition add. A squeeze "
    "only moves numbers: its log_det is 0."
)
def test_log_det_is_that_of_the_jacobian(student, seed):
    for kind in KINDS:
        for keep in (0, 1):
            require(pictures.log_det_finding(coupling(student, kind, keep, seed), seed))
    for scales in (1, 2):
        require(pictures.log_det_finding(small(student, seed, scales), seed))


@points(3, needs="shapes_and_levels")
@hint(
    "x = (z − μ) ∘ exp(−log σ), in that order; the layers in reverse order, the last one first; and a squeeze where "
    "forward has an unsqueeze."
)
def test_inverse_undoes_forward(student, seed):
    for flow in (coupling(student, "checkerboard", 1, seed), coupling(student, "channel", 0, seed),
                 small(student, seed, scales=1), small(student, seed, scales=2)):  # fmt: skip
        t = flow.reals(100, seed)
        require(flows.inverts(flow.forward, flow.inverse, t))
        require(flows.inverts(flow.forward, flow.inverse, t, start="z"))


@points(2, needs=("log_det_is_that_of_the_jacobian", "dequantize_adds_uniform_noise", "logit_and_its_log_det"))
@hint(
    "log p(x) = log N(z; 0, I) + the log_dets of dequantize, to_logits and forward, each once: sums over the image, in "
    "nats, and with noise u that is drawn anew at every call."
)
def test_log_prob_adds_base_and_all_log_dets(student, seed):
    for k in range(2):
        flow, x = small(student, seed + k), pictures.levels(1, TINY, LEVELS, seed + k).repeat(1500, axis=0)
        asked, own = flow.log_prob(x, seed), flow.own_log_prob(x, seed + 1)
        require(on_images.same_distribution(asked, own, "log_prob", "log N(z; 0, I) + all log_dets"))


@points(1, needs="inverse_undoes_forward")
@hint("z = (1 − w) f(a) + w f(b) for w in equal steps from 0 to 1, then the inverse: (B, steps, C, H, W).")
def test_interpolation_is_straight_in_latent_space(student, seed):
    flow, steps = small(student, seed), 5
    a, b = flow.reals(8, seed), flow.reals(8, seed + 1)
    way = flow.ask("interpolate", (8, steps, *TINY), pictures.shaped(a, TINY), pictures.shaped(b, TINY), steps=steps)
    z = flow.latents(way.reshape(8 * steps, -1).astype(np.float32)).reshape(8, steps, -1)
    w = np.linspace(0, 1, steps)[:, None]
    z_a, z_b = (flow.latents(end)[:, None] for end in (a, b))
    require(on_images.is_exactly(z, (1 - w) * z_a + w * z_b, "z on the way", "on the straight line", 5e-3))


@points(1, needs="inverse_undoes_forward")
@hint("Draw z from N(0, I); then inverse, from_logits, times levels, rounded down, within 0 … levels − 1.")
def test_samples_look_like_the_data(student, held_out, seed):
    require(pictures.sampler_finding(small(student, seed), seed))
    flow = ImageFlow(student.trained("realnvp_images"), DATA.shape, LEVELS)
    require(pictures.samples_finding(flow, DATA, held_out(DATA, pictures.SAMPLES), seed))


@points(3, needs=("log_det_is_that_of_the_jacobian", "inverse_undoes_forward"))
@hint("Train longer, let the learning rate rise first and fall to zero, or use wider networks and more couplings.")
def test_trained_bits_per_dimension(student, graded, held_out, seed):
    flow = ImageFlow(student.trained("realnvp_images"), DATA.shape, LEVELS)
    bits = pictures.bits_of_trained(flow, held_out(DATA, pictures.HELD_OUT), seed)
    graded("realnvp_images", bits, limit=None, baseline=pictures.baseline_bits(DATA), unit="bits/dim")
