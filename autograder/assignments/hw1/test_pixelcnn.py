"""Exercise 1.3: masks hide what they must, a PixelCNN is causal and normalised, its samples are its own."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import autoregressive as family
from autograder.families import image_samples
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.properties import autoregressive
from autograder.properties.finding import Finding
from deepul_utils import images

DATA = images.get("glyphs32", levels=2)
# 3 × 3 pixels to enumerate, and an image that is higher than the first layers reach: a sampler that leaves rows out
# shows.
TINY, TALL, DEEP, LEVELS = (1, 3, 3), (1, 14, 3), 4, 2
NETWORKS = 6  # random ones that must see everything together; in a single tiny one a path may be shut by chance


def small(student, seed: int, shape: tuple[int, ...] = TINY, depth: int = 2, **strength: float) -> Conditionals:
    """A PixelCNN of small binary images with random weights."""
    made = student.new("PixelCNN", shape=shape, levels=LEVELS, width=8, depth=depth, seed=seed, **strength)
    return Conditionals(made, shape, LEVELS)


suite = family.Suite(
    exercise="pixelcnn",
    of="PixelCNN",
    small=small,
    data=(DATA,),
    recipe=Recipe("Adam", lr=1e-2, steps=3000, batch=16),
    says="logits(x) is (B, 1, H, W, levels) and log_prob(x) is (B,)",
    deep={"depth": DEEP},
    tall={"shape": TALL, "depth": DEEP, **STRONG},
    whole={"shape": DATA.shape},
)


@points(4, "Mask A hides the centre, mask B shows it")
@hint(
    "In raster order the mask is one before the kernel's centre and zero after it; at the centre A is zero, B is one. "
    "It multiplies the weights, not the output."
)
def test_mask_a_hides_the_centre_and_mask_b_shows_it(student, seed):
    for kind, k in (("A", 3), ("B", 3), ("A", 5), ("B", 1)):
        require(mask_finding(student, kind, k, seed))
    require(is_dilated(student, seed))


test_each_pixel_depends_only_on_earlier_pixels = suite.causal(
    4,
    "Some output sees its own pixel or a later one: kind A in the first layer, kind B in all others, masks everywhere.",
    also=family.keeps_its_order,
)


@points(2, "Each pixel sees its left and upper neighbour")
@hint("A pixel's neighbours are lost where kind A is used after the first layer: from then on, B shows the centre.")
def test_each_pixel_sees_its_left_and_upper_neighbour(student, seed):
    networks = [small(student, seed + k) for k in range(NETWORKS)]
    moved = [autoregressive.dependencies(made.logits, made.dims, LEVELS, seed) for made in networks]
    require(neighbours_finding(np.any(moved, axis=0)))


test_every_layer_has_weights_of_its_own = suite.own_layers(1)
test_every_example_for_itself = suite.every_example(0.5)
test_called_with_one_example = suite.one_example(0.5)
test_probabilities_sum_to_one = suite.sums_to_one(
    3,
    "Over all 512 images of 3 × 3 pixels p sums to one: softmax over the levels, pick the level that the pixel has, "
    "sum over the pixels, not average, in nats.",
)
test_exact_for_images_that_are_hardly_possible = suite.exact_far(1)
test_samples_follow_the_density = suite.samples(
    4,
    "Draw each pixel from its conditional given those drawn before it, in raster order, with the logits at that very "
    "pixel; draw, do not take the most likely.",
    count=8000,
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)
test_trained_well_on_held_out_glyphs = suite.trained(
    3,
    "Train longer, let the learning rate fall towards the end, or add layers.",
    title="Trained: well on held out glyphs",
    baseline=lambda: image_samples.bernoulli_nats(DATA.sample(5000), LEVELS),
    held_out=300,  # their mean is known to one nat of sixty, a twelfth of the slack
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)
test_saved_samples_are_the_models_own = suite.own_samples(
    2,
    'Draw them with the trained model, in eval mode: drawn("pixelcnn", lambda: pixelcnn.sample(64)), without changing '
    "the logits.",
    fewest=32,
    first=lambda samples, seed: image_samples.are_no_data(samples, DATA, seed),
    last=lambda samples, *_: require(image_samples.covers_the_labels(samples, LEVELS)),
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)


def mask_finding(student, kind: str, k: int, seed: int) -> Finding:
    """Change each pixel of an image k × k: the output at its centre moves for those before it, and for B at it."""
    conv = student.new("MaskedConv2d", kind, 2, 3, k, seed=seed)
    x = np.random.default_rng(seed).normal(size=(1, 2, k, k)).astype(np.float32).repeat(k * k + 1, axis=0)
    for at in range(k * k):
        x[at, :, at // k, at % k] += 1
    out = family.asked(conv, "forward", (x,), 3, k, k)[:, :, k // 2, k // 2]
    moved = np.abs(out[:-1] - out[-1]).max(axis=1) > autoregressive.MOVED
    wanted = np.arange(k * k) < k * k // 2 + (kind == "B")
    required = f"with kind {kind} the centre of a {k} × {k} kernel sees {int(wanted.sum())} pixels, those before it"
    required += " and itself" if kind == "B" else ""
    plot = {"kind": "matrix", "values": moved.reshape(k, k), "x": "column", "y": "row"}
    ok = np.array_equal(moved, wanted)
    what = f"kind {kind} sees {'the right' if ok else 'other'} pixels ({int(moved.sum())} of {k * k})"
    return Finding(float(ok), what, required, plot=plot)


def is_dilated(student, seed: int) -> Finding:
    """With dilation=2 the centre of a 3 × 3 kernel sees pixels that are two apart."""
    conv = student.new("MaskedConv2d", "B", 2, 3, 3, 2, seed=seed)
    x = np.random.default_rng(seed).normal(size=(1, 2, 5, 5)).astype(np.float32).repeat(26, axis=0)
    for at in range(25):
        x[at, :, at // 5, at % 5] += 1
    out = family.asked(conv, "forward", (x,), 3, 5, 5)[:, :, 2, 2]
    moved = np.flatnonzero(np.abs(out[:-1] - out[-1]).max(axis=1) > autoregressive.MOVED)
    ok = moved.tolist() == [0, 2, 4, 10, 12]
    slip = "F.conv2d wants dilation=self.dilation, too." if not ok else ""
    measured = "positions two apart" if ok else "dilation=2 is not used"
    return Finding(float(ok), measured, "with dilation=2, pixels two apart", slip=slip)


def neighbours_finding(moved: np.ndarray) -> Finding:
    """moved: (9, 9), whether output i moved with input j, in raster order of 3 × 3 pixels."""
    lost = [i for i in range(9) if (i % 3 and not moved[i, i - 1]) or (i >= 3 and not moved[i, i - 3])]
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    measured = f"{len(lost)} of 8 pixels do not see the one left of them or above them" if lost else "all see both"
    return Finding(float(not lost), measured, "every pixel sees the one left of it and the one above it", plot=plot)
