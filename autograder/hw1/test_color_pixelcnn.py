"""Exercise 1.5: red before green before blue, in every pixel, and nats above the exact entropy."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw1 import pixels
from autograder.hw1.pixels import Rows
from autograder.properties import autoregressive, discrete, hygiene
from deepul_utils import images

DATA = images.get("shapes32", levels=4)
LEVELS = 3  # of the tiny instances: 1 × 2 pixels in colour have 3⁶ = 729 states
PAIR, SQUARE, PIXEL = (3, 1, 2), (3, 2, 2), (3, 1, 1)
HELD_OUT = 200
NETWORKS = 20  # random ones that must see everything together; with few channels a path is often shut


def small(student, seed: int, shape: tuple[int, int, int] = PAIR, **strength: float) -> Rows:
    """A colour PixelCNN of tiny images with random weights; its variables are R, G, B of pixel 1, then of pixel 2 …"""
    made = student.new("ColorPixelCNN", shape=shape, levels=LEVELS, width=12, depth=2, seed=seed, **strength)
    return Rows(made, shape, LEVELS)


@points(1)
@hint("logits(x) is (B, 3, H, W, levels), log_prob(x) is (B,), sample(n) is (n, 3, H, W) integer levels.")
def test_shapes_and_levels(student, seed):
    made, x = small(student, seed), discrete.states(6, LEVELS)[::5].copy()
    require(hygiene.finite(made.logits(x), "on every state"))
    require(hygiene.rows_are_independent(made.log_prob, x))
    require(hygiene.in_range(made.sample(100, seed), LEVELS))


@points(4, needs="shapes_and_levels")
@hint(
    "Some output sees itself or what comes after it. At the kernel's centre kind A shows a group the groups before it, "
    "kind B its own, too; are the outputs R, G, B in the order of the groups?"
)
def test_each_value_depends_only_on_earlier_values(student, seed):
    require(autoregressive.is_strict_order(small(student, seed, SQUARE).logits, 12, LEVELS, seed))


@points(4, needs="each_value_depends_only_on_earlier_values")
@hint("Green must see the pixel's red, blue its red and green: at the centre, kind A is not zero for earlier groups.")
def test_green_sees_red_and_blue_sees_both(student, seed):
    networks = (small(student, seed + k, PIXEL).logits for k in range(NETWORKS))
    require(autoregressive.sees_exactly_its_past(networks, 3, LEVELS, seed))


@points(3, needs="shapes_and_levels")
@hint(
    "Over all 729 images of two pixels p sums to one: softmax over the levels, pick the one that the channel has, sum "
    "over pixels and channels."
)
def test_probabilities_sum_to_one(student, seed):
    for k in range(2):
        require(discrete.sums_to_one(small(student, seed + k).log_prob, 6, LEVELS, seed))


@points(3, needs="probabilities_sum_to_one")
@hint("In every pixel draw R, then G given R, then B given both: a forward pass for each of the three.")
def test_samples_follow_the_density(student, seed):
    for k in range(2):
        made = small(student, seed + k, perturb=3.0, biases=pixels.STRONG["biases"])
        require(discrete.sampler_matches(made.sample(8000, seed), made.log_prob, LEVELS, seed))


@points(3, needs="probabilities_sum_to_one")
@hint("Train longer, let the learning rate fall towards the end, or add blocks.")
def test_trained_close_to_the_limit(student, graded, held_out):
    x = held_out(DATA, HELD_OUT).astype(np.int64)
    nats = -pixels.log_probs(student.trained("color_pixelcnn"), x).mean()
    baseline = pixels.markov_nats(DATA.sample(5000), 4) - DATA.entropy
    graded("color_pixelcnn", nats - DATA.entropy, limit=DATA.entropy, baseline=baseline)


@points(2, needs="probabilities_sum_to_one")
@hint('Draw them with the trained model: drawn("color_pixelcnn", lambda: color_pixelcnn.sample(36)).')
def test_saved_samples_are_the_models_own(student):
    samples, model = pixels.saved(student, "color_pixelcnn", DATA, 16), student.trained("color_pixelcnn")
    require(hygiene.in_range(samples, 4))
    samples = samples[:36]
    require(autoregressive.typical(pixels.as_rows(samples), pixels.log_conditionals(model, samples, 4)))
