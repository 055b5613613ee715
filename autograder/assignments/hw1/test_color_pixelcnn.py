"""Exercise 1.5: red before green before blue, in every pixel, and nats above the exact entropy."""

from dataclasses import replace

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import autoregressive as family
from autograder.families.autoregressive import Rows
from autograder.properties import autoregressive, discrete, hygiene, layers
from autograder.properties.finding import Finding
from deepul_utils import images

DATA = images.get("shapes32", levels=4)
LEVELS = 3  # of the small instances: 1 × 2 pixels in colour have 3⁶ = 729 states
PAIR, SQUARE, PIXEL = (3, 1, 2), (3, 2, 2), (3, 1, 1)
TALL = (3, 8, 3)  # too large to count its states, higher and wider than the first layers reach
HELD_OUT, EXAMPLES = 200, 60
NETWORKS = 20  # random ones that must see everything together; with few channels a path is often shut
CANDIDATES, SHARPEST = 12, 2  # networks of one pixel that are drawn, and those where a colour tells most of the next
COLOURS = ("red", "green", "blue")

RECIPE = Recipe("Adam", lr=1e-2, steps=2000, batch=16)


def small(
    student, seed: int, shape: tuple[int, int, int] = PAIR, width: int = 12, depth: int = 2, **strength: float
) -> Rows:
    """A colour PixelCNN of tiny images with random weights; its variables are R, G, B of pixel 1, then of pixel 2 …"""
    made = student.new("ColorPixelCNN", shape=shape, levels=LEVELS, width=width, depth=depth, seed=seed, **strength)
    return Rows(made, shape, LEVELS)


@points(4, "Each value depends only on earlier values")
@hint(
    "Some output sees itself or what comes after it. At the kernel's centre kind A shows a group the groups before it, "
    "kind B its own, too; are the outputs R, G, B in the order of the groups? A norm may go over the channels of one "
    "colour at a pixel, not of all three."
)
def test_each_value_depends_only_on_earlier_values(student, seed):
    for k in range(2):
        made = small(student, seed + k, SQUARE)
        require(autoregressive.is_strict_order(made.logits, made.dims, LEVELS, seed, mixed=family.MIXED))


@points(3.5, "Green sees red and blue sees both")
@hint("Green must see the pixel's red, blue its red and green: at the centre, kind A is not zero for earlier groups.")
def test_green_sees_red_and_blue_sees_both(student, seed):
    networks = [small(student, seed + k, PIXEL).logits for k in range(NETWORKS)]
    found = autoregressive.sees_its_past(networks, 3, LEVELS, seed)
    require(found if found.passed else order_of_colours(networks, found, seed))


@points(0.5, "Every layer has weights of its own")
@hint(layers.SHARED)
def test_every_layer_has_weights_of_its_own(student, seed):
    made = small(student, seed, depth=4).handle
    require(layers.are_their_own(made.call("state_dict"), made.parameters()))


@points(0.5, "Every example for itself")
@hint("logits(x) is (B, 3, H, W, levels) and log_prob(x) is (B,), each row of its own image alone.")
def test_every_example_for_itself(student, seed):
    made, x = small(student, seed), discrete.states(6, LEVELS)[::9].copy()
    require(hygiene.rows_are_independent(made.logits, x))
    require(hygiene.rows_are_independent(made.log_prob, x))


@points(0.5, "Called with one example")
@hint("logits(x) is (B, 3, H, W, levels) and log_prob(x) is (B,), also where B is one.")
def test_called_with_one_example(student, seed):
    made, x = small(student, seed), discrete.states(6, LEVELS)[::9].copy()
    require(hygiene.one_example(made.logits, x))
    require(hygiene.one_example(made.log_prob, x))


@points(2, "Probabilities sum to one")
@hint(
    "Over all 729 images of two pixels p sums to one: softmax over the levels, pick the one that the channel has, sum "
    "over pixels and channels."
)
def test_probabilities_sum_to_one(student, seed):
    for k in range(2):
        require(discrete.sums_to_one(small(student, seed + k).log_prob, 6, LEVELS, seed))


@points(1, "Exact for images that are hardly possible")
@hint(autoregressive.FLOORED)
def test_exact_for_images_that_are_hardly_possible(student, seed):
    def build(strength: float) -> Rows:
        return small(student, seed, (3, 16, 16), perturb=strength)

    require(family.exact_far(small(student, seed), build, seed))


@points(3, "Samples follow the conditionals", needs=test_each_value_depends_only_on_earlier_values)
@hint("In every pixel draw R, then G given R, then B given both: a forward pass for each of the three.")
def test_samples_follow_the_density(student, seed):
    drawn = [small(student, seed + k, PIXEL, width=36, depth=1, perturb=6.0, biases=0.2) for k in range(CANDIDATES)]
    chosen = autoregressive.sharpest([made.logits for made in drawn], 3, LEVELS, SHARPEST, seed)
    for made in [*(drawn[k] for k in chosen), small(student, seed, perturb=3.0, biases=0.2)]:
        found = discrete.sampler_matches(made.sample(5000, seed), autoregressive.chain_rule(made.logits), LEVELS, seed)
        require(family.in_eval_mode(made, found, seed))
    tall = (small(student, seed + k, TALL, depth=4, perturb=4.0, biases=0.2) for k in range(2))
    require(family.samplers_of(tall, 24, seed))


@points(3, "Trained: close to the limit", needs=test_each_value_depends_only_on_earlier_values)
@hint("Train longer, let the learning rate fall towards the end, or add blocks.")
def test_trained_close_to_the_limit(student, graded, held_out, seed):
    x = held_out(DATA, HELD_OUT).astype(np.int64)

    def excess(n: int = HELD_OUT) -> float:
        return -family.log_probs(trained(student), x[:n], DATA.levels).mean() - DATA.entropy

    require(family.sees_no_later_pixel(trained(student), x, DATA.levels, seed))
    baseline = family.markov_nats(DATA.sample(5000), 4) - DATA.entropy
    graded("color_pixelcnn", excess, limit=DATA.entropy, baseline=baseline, recipe=RECIPE,
           few=lambda: excess(family.FEW))  # fmt: skip


@points(2, "Saved samples are the model’s own", needs=test_each_value_depends_only_on_earlier_values)
@hint('Draw them with the trained model, in eval mode: drawn("color_pixelcnn", lambda: color_pixelcnn.sample(36)).')
def test_saved_samples_are_the_models_own(student, held_out, seed):
    samples, model = family.saved(student, "color_pixelcnn", DATA, 16), trained(student)
    require(hygiene.in_range(samples, 4))
    samples = samples[:36]
    require(family.sees_no_later_pixel(model, samples, 4, seed))
    log_p = family.log_conditionals(model, samples, 4)
    require(autoregressive.knows_something(log_p))
    require(autoregressive.typical(family.as_rows(samples), log_p))
    data = held_out(DATA, EXAMPLES).astype(np.int64)
    require(family.as_flawed(samples, DATA, family.log_probs(model, data, DATA.levels)))


def trained(student):
    return student.trained("color_pixelcnn", "ColorPixelCNN")


def order_of_colours(networks: list, found: Finding, seed: int) -> Finding:
    """What is wrong with a pixel's colours, if it is their order alone: half of it is right."""
    moved = np.any([autoregressive.dependencies(outputs, 3, LEVELS, seed) for outputs in networks], axis=0)
    counts = moved.sum(axis=1)
    if moved.diagonal().any() or sorted(counts) != [0, 1, 2]:
        return found
    order = ", ".join(COLOURS[c] for c in np.argsort(counts))
    return replace(
        found,
        share=0.5,
        measured=f"colours see each other in the order {order}",
        required="in the order red, green, blue",
        slip=f"The order {order} makes a right model, and the text asks for red, green, blue. Are the masks, the "
        "one-hot channels or the outputs turned round?",
    )
