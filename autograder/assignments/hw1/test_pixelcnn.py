"""Exercise 1.3: masks hide what they must, a PixelCNN is causal and normalised, its samples are its own."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import autoregressive as family
from autograder.families.autoregressive import Rows
from autograder.properties import autoregressive, discrete, hygiene, layers
from autograder.properties.finding import Finding
from deepul_utils import images

DATA = images.get("glyphs32", levels=2)
TINY, LEVELS = (1, 3, 3), 2
DIMS = 9
# Too large to count its states, and higher than the first layers reach: a sampler that leaves rows out shows.
TALL, DEEP = (1, 14, 3), 4
NETWORKS = 6  # random ones that must see everything together; in a single tiny one a path may be shut by chance
CANDIDATES, SHARPEST = 5, 2  # networks that are drawn, and those of them that depend most on the past
HELD_OUT = 300  # images; their mean is known to one nat of sixty, a twelfth of the slack
FRESH = 200  # images beside the samples

RECIPE = Recipe("Adam", lr=1e-2, steps=3000, batch=16)


def small(student, seed: int, shape: tuple[int, int, int] = TINY, depth: int = 2, **strength: float) -> Rows:
    """A PixelCNN of small binary images with random weights."""
    made = student.new("PixelCNN", shape=shape, levels=LEVELS, width=8, depth=depth, seed=seed, **strength)
    return Rows(made, shape, LEVELS)


@points(4, "Mask A hides the centre, mask B shows it")
@hint(
    "In raster order the mask is one before the kernel's centre and zero after it; at the centre A is zero, B is one. "
    "It multiplies the weights, not the output."
)
def test_mask_a_hides_the_centre_and_mask_b_shows_it(student, seed):
    for kind, k in (("A", 3), ("B", 3), ("A", 5), ("B", 1)):
        require(mask_finding(student, kind, k, seed))


@points(4, "Each pixel depends only on earlier pixels")
@hint(
    "Some output sees its own pixel or a later one: kind A in the first layer, kind B in all others, masks everywhere."
)
def test_each_pixel_depends_only_on_earlier_pixels(student, seed):
    for k in range(2):
        made = small(student, seed + k)
        require(autoregressive.is_strict_order(made.logits, DIMS, LEVELS, seed, mixed=family.MIXED))


@points(2, "Each pixel sees its left and upper neighbour")
@hint("A pixel's neighbours are lost where kind A is used after the first layer: from then on, B shows the centre.")
def test_each_pixel_sees_its_left_and_upper_neighbour(student, seed):
    networks = [small(student, seed + k) for k in range(NETWORKS)]
    moved = [autoregressive.dependencies(made.logits, DIMS, LEVELS, seed) for made in networks]
    require(neighbours_finding(np.any(moved, axis=0)))


@points(1, "Every layer has weights of its own")
@hint(layers.SHARED)
def test_every_layer_has_weights_of_its_own(student, seed):
    made = small(student, seed, depth=DEEP).handle
    require(layers.are_their_own(made.call("state_dict"), made.parameters()))


@points(0.5, "Every example for itself")
@hint("logits(x) is (B, 1, H, W, levels) and log_prob(x) is (B,), each row of its own image alone.")
def test_every_example_for_itself(student, seed):
    made, x = small(student, seed), discrete.states(DIMS, LEVELS)[::9].copy()
    require(hygiene.rows_are_independent(made.logits, x))
    require(hygiene.rows_are_independent(made.log_prob, x))


@points(0.5, "Called with one example")
@hint("logits(x) is (B, 1, H, W, levels) and log_prob(x) is (B,), also where B is one.")
def test_called_with_one_example(student, seed):
    made, x = small(student, seed), discrete.states(DIMS, LEVELS)[::9].copy()
    require(hygiene.one_example(made.logits, x))
    require(hygiene.one_example(made.log_prob, x))


@points(3, "Probabilities sum to one")
@hint(
    "Over all 512 images of 3 × 3 pixels p sums to one: softmax over the levels, pick the level that the pixel has, "
    "sum over the pixels, not average, in nats."
)
def test_probabilities_sum_to_one(student, seed):
    for k in range(2):
        require(discrete.sums_to_one(small(student, seed + k).log_prob, DIMS, LEVELS, seed))


@points(1, "Exact for images that are hardly possible")
@hint(autoregressive.FLOORED)
def test_exact_for_images_that_are_hardly_possible(student, seed):
    def build(strength: float) -> Rows:
        return small(student, seed, DATA.shape, perturb=strength)

    require(family.exact_far(small(student, seed), build, seed))


@points(4, "Samples follow the conditionals", needs=test_each_pixel_depends_only_on_earlier_pixels)
@hint(
    "Draw each pixel from its conditional given those drawn before it, in raster order, with the logits at that very "
    "pixel; draw, do not take the most likely."
)
def test_samples_follow_the_density(student, seed):
    drawn = [small(student, seed + k, **family.STRONG) for k in range(CANDIDATES)]
    for k in autoregressive.sharpest([made.logits for made in drawn], DIMS, LEVELS, SHARPEST, seed):
        made = drawn[k]
        found = discrete.sampler_matches(made.sample(8000, seed), autoregressive.chain_rule(made.logits), LEVELS, seed)
        require(family.in_eval_mode(made, found, seed))
    tall = (small(student, seed + k, TALL, DEEP, **family.STRONG) for k in range(3))
    require(family.samplers_of(tall, 48, seed))


@points(3, "Trained: well on held out glyphs", needs=test_each_pixel_depends_only_on_earlier_pixels)
@hint("Train longer, let the learning rate fall towards the end, or add layers.")
def test_trained_well_on_held_out_glyphs(student, graded, held_out, seed):
    x = held_out(DATA, HELD_OUT).astype(np.int64)

    def bits(n: int = HELD_OUT) -> float:
        return -family.log_probs(trained(student), x[:n], LEVELS).mean() / (x[0].size * np.log(2))

    require(family.sees_no_later_pixel(trained(student), x, LEVELS, seed))
    graded("pixelcnn", bits, limit=None, baseline=baseline(), unit="bits/dim", recipe=RECIPE,
           few=lambda: bits(family.FEW))  # fmt: skip


@points(2, "Saved samples are the model’s own", needs=test_each_pixel_depends_only_on_earlier_pixels)
@hint(
    'Draw them with the trained model, in eval mode: drawn("pixelcnn", lambda: pixelcnn.sample(64)), without changing '
    "the logits."
)
def test_saved_samples_are_the_models_own(student, held_out, seed):
    samples, model = family.saved(student, "pixelcnn", DATA, 32), trained(student)
    require(hygiene.in_range(samples, LEVELS))
    for found in family.are_no_data(samples, DATA, held_out(DATA, FRESH)):
        require(found)
    require(family.sees_no_later_pixel(model, samples, LEVELS, seed))
    log_p = family.log_conditionals(model, samples, LEVELS)
    require(autoregressive.knows_something(log_p))
    require(autoregressive.typical(family.as_rows(samples), log_p))
    require(family.covers_the_labels(samples, LEVELS))


def trained(student):
    return student.trained("pixelcnn", "PixelCNN")


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


def neighbours_finding(moved: np.ndarray) -> Finding:
    """moved: (9, 9), whether output i moved with input j, in raster order of 3 × 3 pixels."""
    lost = [i for i in range(9) if (i % 3 and not moved[i, i - 1]) or (i >= 3 and not moved[i, i - 3])]
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    measured = f"{len(lost)} of 8 pixels do not see the one left of them or above them" if lost else "all see both"
    return Finding(float(not lost), measured, "every pixel sees the one left of it and the one above it", plot=plot)


def baseline() -> float:
    """Bits a pixel of independent pixels."""
    return family.bernoulli_nats(DATA.sample(5000), LEVELS) / (1024 * np.log(2))
