"""Exercise 1.4: two stacks see exactly the past, the class reaches every pixel, and the density classifies."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw1 import pixels
from autograder.hw1.pixels import Rows
from autograder.hw1.test_pixelcnn import baseline
from autograder.properties import autoregressive, discrete, hygiene
from autograder.properties.finding import Finding
from deepul_utils import images

DATA = images.get("glyphs32", levels=2)
LEVELS, CLASSES = 2, 3
HELD_OUT, CLASSIFIED = 200, 40
NETWORKS = 6  # random ones that must see everything together
# Shapes of the tiny instance: 2 × 3 to enumerate, 4 × 5 to look for blind spots, which need room to the right.
TINY, WIDE = (1, 2, 3), (1, 4, 5)


def small(student, seed: int, y: int, shape: tuple[int, int, int] = TINY, **strength: float) -> Rows:
    """A gated PixelCNN of tiny images with random weights, asked about class y."""
    made = student.new("GatedPixelCNN", shape=shape, levels=LEVELS, classes=CLASSES, width=8, depth=4, seed=seed,
                       **strength)  # fmt: skip
    return Rows(made, shape, LEVELS, y)


@points(1)
@hint("logits(x, y) is (B, 1, H, W, levels), log_prob(x, y) is (B,), sample(y) is (len(y), 1, H, W) integer levels.")
def test_shapes_and_levels(student, seed):
    made, x = small(student, seed, 1), discrete.states(6, LEVELS)
    require(hygiene.finite(made.logits(x), "on every state"))
    require(hygiene.rows_are_independent(made.log_prob, x))
    require(hygiene.in_range(made.sample(50, seed), LEVELS))


@points(3, needs="shapes_and_levels")
@hint(
    "Some output sees its own pixel or a later one. Kind A (first layer) leaves out the own row in the vertical stack, "
    "the own column in the horizontal one; the vertical stack may be read only where it saw nothing but rows above."
)
def test_each_pixel_depends_only_on_earlier_pixels(student, seed):
    require(autoregressive.is_strict_order(small(student, seed, 0, WIDE).logits, 20, LEVELS, seed))


@points(5, needs="each_pixel_depends_only_on_earlier_pixels")
@hint(
    "Some pixel of the past reaches no output: the horizontal stack must read the vertical one in every layer (L), "
    "and the vertical one sees all columns of the rows above, right of the pixel too."
)
def test_no_blind_spot(student, seed):
    networks = (small(student, seed + k, 0, WIDE).logits for k in range(NETWORKS))
    require(autoregressive.sees_exactly_its_past(networks, 20, LEVELS, seed))


@points(1, needs="shapes_and_levels")
@hint(
    "V y is added before the gate, at every pixel: with another class all logits move, also those of the first pixel."
)
def test_the_class_reaches_every_pixel(student, seed):
    x = np.random.default_rng(seed).integers(LEVELS, size=(16, 6))
    first, second = (small(student, seed, y).logits(x) for y in (0, 2))
    require(class_finding(first, second))


@points(3, needs="shapes_and_levels")
@hint("For every class p(x | y) sums to one over all images: softmax over the levels, sum over the pixels, in nats.")
def test_probabilities_sum_to_one_in_every_class(student, seed):
    for y in range(CLASSES):
        require(discrete.sums_to_one(small(student, seed, y).log_prob, 6, LEVELS, seed))


@points(2, needs="probabilities_sum_to_one_in_every_class")
@hint("Draw each pixel from its conditional given those before it and its own class, in raster order.")
def test_samples_follow_the_density_of_their_class(student, seed):
    for y in range(CLASSES):
        made = small(student, seed + y, y, **pixels.STRONG)
        require(discrete.sampler_matches(made.sample(4000, seed), made.log_prob, LEVELS, seed))


@points(2, needs="probabilities_sum_to_one_in_every_class")
@hint("Train longer, let the learning rate fall towards the end, and give fit the labels of the images it gets.")
def test_trained_well_on_held_out_glyphs(student, graded, seed):
    x, y = DATA.sample_labelled(HELD_OUT, seed=seed, split="test")
    nats = -pixels.log_probs(student.trained("gated_pixelcnn"), x.astype(np.int64), y).mean()
    graded("gated_pixelcnn", nats / (1024 * np.log(2)), limit=None, baseline=baseline(), unit="bits/dim")


@points(1, needs="the_class_reaches_every_pixel")
@hint("p(y | x) ∝ p(x | y). If the class hardly matters to the density: does its bias reach both stacks in all layers?")
def test_classifies_by_bayes_rule(student, graded, seed):
    x, y = DATA.sample_labelled(CLASSIFIED, seed=seed, split="test")
    every = np.tile(np.arange(10), CLASSIFIED)
    log_p = pixels.log_probs(student.trained("gated_pixelcnn"), x.astype(np.int64).repeat(10, axis=0), every)
    wrong = float((log_p.reshape(-1, 10).argmax(axis=1) != y).mean())
    graded("gated_pixelcnn.errors", wrong, limit=None, baseline=0.9, unit="of the images misclassified",
           examples=CLASSIFIED)  # fmt: skip


@points(2, needs="probabilities_sum_to_one_in_every_class")
@hint("Eight of each class in order: y = torch.arange(10).repeat_interleave(8), drawn with the trained model.")
def test_saved_samples_are_of_their_class(student, graded):
    samples, model = pixels.saved(student, "gated_pixelcnn", DATA, 80), student.trained("gated_pixelcnn")
    labels = np.arange(10).repeat(8)
    samples = samples[:80]
    require(hygiene.in_range(samples, LEVELS))
    require(pixels.no_copies(samples, DATA.sample(20_000)))
    require(autoregressive.typical(pixels.as_rows(samples), pixels.log_conditionals(model, samples, LEVELS, labels)))
    missed = float((pixels.digits_in(samples, LEVELS) != labels).mean())
    graded("gated_pixelcnn.samples", missed, limit=None, baseline=0.9, unit="of the samples taken for another digit",
           examples=len(samples))  # fmt: skip


def class_finding(first: np.ndarray, second: np.ndarray) -> Finding:
    """Logits (B, dims, levels) of the same images under two classes: do they differ at every pixel?"""
    moved = np.abs(first - second).max(axis=(0, 2)) > autoregressive.MOVED
    measured = "all pixels move" if moved.all() else f"{int((~moved).sum())} of {len(moved)} pixels do not move"
    return Finding(float(moved.all()), measured, "every pixel's logits depend on the class")
