"""Exercise 2.5: ActNorm starts from its data, the 1 × 1 convolution has the determinant of its LU form."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw2 import pictures
from autograder.hw2.pictures import ImageFlow
from autograder.properties import flows, hygiene
from autograder.properties import images as on_images
from autograder.student import expect
from deepul_utils import images

DATA = images.get("digits32", levels=16)
TINY, WIDE = (1, 4, 4), (6, 4, 4)
LEVELS, CHANNELS = 16, 6


def layer(student, name: str, *args, seed: int, perturb: float = 0.5) -> ImageFlow:
    """One layer of images of 4 × 4 pixels and six channels, with random weights."""
    return ImageFlow(student.new(name, CHANNELS, *args, seed=seed, perturb=perturb), WIDE, LEVELS)


def act_norm(student, seed: int) -> ImageFlow:
    """An ActNorm that has seen its first batch: of channels with other means and spreads."""
    made = layer(student, "ActNorm", seed=seed)
    made.handle.call("forward", batch(seed), train=True)
    return made


def small(student, seed: int, scales: int = 2) -> ImageFlow:
    """A small Glow with random weights that has seen its first batch."""
    made = student.new("Glow", shape=TINY, levels=LEVELS, scales=scales, steps=2, width=8, seed=seed, perturb=0.5)
    flow = ImageFlow(made, TINY, LEVELS)
    made.call("forward", pictures.shaped(flow.reals(64, seed + 9), TINY), train=True)
    return flow


def layers(student, seed: int) -> list[ImageFlow]:
    """One of each kind."""
    made = [act_norm(student, seed), layer(student, "InvertibleConv", seed=seed)]
    return [*made, layer(student, "ChannelCoupling", 8, seed=seed)]


def batch(seed: int, n: int = 64) -> np.ndarray:
    """Images whose channels differ in mean and spread, float32 (n, 6, 4, 4)."""
    rng = np.random.default_rng(seed)
    mean, spread = rng.normal(scale=3, size=(2, CHANNELS, 1, 1))
    return (mean + np.exp(spread / 3) * rng.normal(size=(n, *WIDE))).astype(np.float32)


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
@hint(
    "In training mode the first batch sets b = −mean and l = −log(standard deviation) of each channel, over batch, "
    "rows and columns. Later batches change nothing: remember that it has happened."
)
def test_act_norm_starts_from_its_first_batch(student, seed):
    made = layer(student, "ActNorm", seed=seed)
    first, second = batch(seed), batch(seed + 1)
    z = [made.handle.call("forward", x, train=True)[0] for x in (first, first, second)]
    z = [expect(a, first.shape, "z of ActNorm.forward(x)") for a in z]
    require(on_images.is_standardised(z[0]))
    require(on_images.is_exactly(z[1], z[0], "z of the same batch again", "z of the first call"))
    require(on_images.is_one_map_a_channel(np.stack([first, second]), np.stack([z[0], z[2]])))


@points(2)
@hint(
    "Every pixel is multiplied by the same matrix W = P L (U + diag(s)), and log_det is H · W · Σ log|s|: once for "
    "every pixel. Masks keep L's diagonal at one and U's at s, whatever training does to the other entries."
)
def test_convolution_has_the_determinant_of_its_matrix(student, seed):
    for k in range(2):
        made = layer(student, "InvertibleConv", seed=seed + k)
        matrix = made.ask("weight", (CHANNELS, CHANNELS)).astype(np.float64)
        x = batch(seed + k, 8)
        z, log_det = made.forward(x.reshape(8, -1))
        wanted = np.einsum("ij,bjhw->bihw", matrix, x.astype(np.float64)).reshape(8, -1)
        require(on_images.is_exactly(z, wanted, "z", "W x at every pixel"))
        known = np.full(8, 16 * np.linalg.slogdet(matrix).logabsdet)
        require(on_images.is_exactly(log_det, known, "log_det", "H · W · log|det W|", 1e-3))


@points(1, needs="convolution_has_the_determinant_of_its_matrix")
@hint("Begin with a random rotation: the Q of torch.linalg.qr of a random matrix, taken apart by torch.linalg.lu.")
def test_convolution_starts_as_a_rotation(student, seed):
    made = layer(student, "InvertibleConv", seed=seed, perturb=0)
    require(on_images.is_a_rotation(made.ask("weight", (CHANNELS, CHANNELS))))


@points(1, needs="shapes_and_levels")
@hint("A coupling hands one half of the channels on as they are, and changes the other by amounts that depend on it.")
def test_coupling_keeps_one_half_of_the_channels(student, seed):
    made = layer(student, "ChannelCoupling", 8, seed=seed)
    t = made.reals(30, seed)
    require(on_images.keeps_half_the_channels(made.latents, t, WIDE))
    require(on_images.keeps_half_the_channels(made.inverse, t, WIDE))


@points(3, needs="shapes_and_levels")
@hint(
    "ActNorm: H · W · Σ l. Convolution: H · W · Σ log|s|. Coupling: the sum of log σ. A squeeze has 0, and those of a "
    "composition add."
)
def test_log_det_is_that_of_the_jacobian(student, seed):
    for flow in (*layers(student, seed), small(student, seed, scales=1), small(student, seed, scales=2)):
        require(pictures.log_det_finding(flow, seed))


@points(2, needs="shapes_and_levels")
@hint(
    "Each layer is undone by its own inverse, the last one first: (z − μ) ∘ exp(−log σ), the inverse matrix, "
    "z ∘ exp(−l) − b; and a squeeze where forward has an unsqueeze."
)
def test_inverse_undoes_forward(student, seed):
    for flow in (*layers(student, seed), small(student, seed, scales=1), small(student, seed, scales=2)):
        t = flow.reals(50, seed)
        require(flows.inverts(flow.forward, flow.inverse, t))
        require(flows.inverts(flow.forward, flow.inverse, flow.latents(t), start="z"))


@points(1, needs="log_det_is_that_of_the_jacobian")
@hint("log p(x) = log N(z; 0, I) + the log_det of to_reals + that of forward, each once; sums over the image, in nats.")
def test_log_prob_adds_base_and_all_log_dets(student, seed):
    flow, x = small(student, seed), pictures.levels(1, TINY, LEVELS, seed).repeat(1500, axis=0)
    asked, own = flow.log_prob(x, seed), flow.own_log_prob(x, seed + 1)
    require(on_images.same_distribution(asked, own, "log_prob", "log N(z; 0, I) + all log_dets"))


@points(1, needs=("log_det_is_that_of_the_jacobian", "inverse_undoes_forward"))
@hint("Train longer, let the learning rate rise first and fall to zero, or take more steps and wider networks.")
def test_trained_bits_per_dimension(student, graded, held_out, seed):
    flow = ImageFlow(student.trained("glow"), DATA.shape, LEVELS)
    bits = pictures.bits_of_trained(flow, held_out(DATA, pictures.HELD_OUT), seed)
    graded("glow", bits, limit=None, baseline=pictures.baseline_bits(DATA), unit="bits/dim")


@points(1, needs="inverse_undoes_forward")
@hint("Draw z from N(0, I), then inverse, then tensors.to_levels.")
def test_samples_look_like_the_data(student, held_out, seed):
    require(pictures.sampler_finding(small(student, seed), seed))
    flow = ImageFlow(student.trained("glow"), DATA.shape, LEVELS)
    require(pictures.samples_finding(flow, DATA, held_out(DATA, pictures.SAMPLES), seed))
