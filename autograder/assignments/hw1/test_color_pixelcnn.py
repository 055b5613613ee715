"""Exercise 1.5: red before green before blue, in every pixel, and nats above the exact entropy."""

from dataclasses import replace

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import autoregressive as family
from autograder.families import image_samples
from autograder.families.autoregressive import Conditionals
from autograder.properties import autoregressive
from autograder.properties.finding import Finding
from deepul_utils import images

DATA = images.get("shapes32", levels=4)
LEVELS = 3  # of the small instances: 1 × 2 pixels in colour have 3⁶ = 729 states
PAIR, SQUARE, PIXEL = (3, 1, 2), (3, 2, 2), (3, 1, 1)
TALL = (3, 8, 3)  # too large to count its states, higher and wider than the first layers reach
EXAMPLES = 60
NETWORKS = 20  # random ones that must see everything together; with few channels a path is often shut
CANDIDATES = 12  # networks of one pixel that are drawn; those count where a colour tells most of the next
COLOURS = ("red", "green", "blue")


def small(
    student, seed: int, shape: tuple[int, ...] = PAIR, width: int = 12, depth: int = 2, **strength: float
) -> Conditionals:
    """A colour PixelCNN of tiny images with random weights; its variables are R, G, B of pixel 1, then of pixel 2 …"""
    made = student.new("ColorPixelCNN", shape=shape, levels=LEVELS, width=width, depth=depth, seed=seed, **strength)
    return Conditionals(made, shape, LEVELS)


suite = family.Suite(
    exercise="color_pixelcnn",
    of="ColorPixelCNN",
    small=small,
    data=(DATA,),
    variable="value",
    before="value",
    says="logits(x) is (B, 3, H, W, levels) and log_prob(x) is (B,)",
    wide={"shape": SQUARE},
    deep={"depth": 4},
    tall={"shape": TALL, "depth": 4, "perturb": 4.0, "biases": 0.2},
    whole={"shape": (3, 16, 16)},
    recipe=Recipe("Adam", lr=1e-2, steps=2000, batch=16),
)

test_each_value_depends_only_on_earlier_values = suite.causal(
    4,
    "Some output sees itself or what comes after it. At the kernel's centre kind A shows a group the groups before it, "
    "kind B its own, too; are the outputs R, G, B in the order of the groups? A norm may go over the channels of one "
    "colour at a pixel, not of all three.",
    also=family.keeps_its_order,
)


@points(3.5, "Colours see what comes before")
@hint("Green must see the pixel's red, blue its red and green: at the centre, kind A is not zero for earlier groups.")
def test_green_sees_red_and_blue_sees_both(student, seed):
    networks = [small(student, seed + k, PIXEL).logits for k in range(NETWORKS)]
    found = autoregressive.sees_its_past(networks, 3, LEVELS, seed)
    require(found if found.passed else order_of_colours(networks, found, seed))
    larger = [small(student, seed + k, SQUARE).logits for k in range(NETWORKS)]
    moved = np.any([autoregressive.dependencies(outputs, 12, LEVELS, seed) for outputs in larger], axis=0)
    require(sees_neighbours(moved.reshape(4, 3, 4, 3)))


test_every_layer_has_weights_of_its_own = suite.own_layers(0.5)
test_every_example_for_itself = suite.every_example(0.5)
test_called_with_one_example = suite.one_example(0.5)
test_probabilities_sum_to_one = suite.sums_to_one(
    2,
    "Over all 729 images of two pixels p sums to one: softmax over the levels, pick the one that the channel has, sum "
    "over pixels and channels.",
)
test_exact_for_images_that_are_hardly_possible = suite.exact_far(1)


def pixels_and_a_pair(student, seed: int) -> list[Conditionals]:
    """Strong networks: of one pixel, where a colour tells most of the next, and of two."""
    pixels = [small(student, seed + k, PIXEL, 36, 1, perturb=6.0, biases=0.2) for k in range(CANDIDATES)]
    return [*family.sharpest(pixels, seed), small(student, seed, perturb=3.0, biases=0.2)]


test_samples_follow_the_density = suite.samples(
    3,
    "In every pixel draw R, then G given R, then B given both: a forward pass for each of the three.",
    count=5000,
    models=pixels_and_a_pair,
    tall=(2, 24),
    needs=test_each_value_depends_only_on_earlier_values,
)
test_trained_close_to_the_limit = suite.trained(
    3,
    "Train longer, let the learning rate fall towards the end, or add blocks.",
    baseline=lambda: image_samples.markov_nats(DATA.sample(5000), 4),
    needs=test_each_value_depends_only_on_earlier_values,
)


def as_often_without_a_flaw(samples: np.ndarray, model: Conditionals, seed: int, graded) -> None:
    data = model.rows(DATA.sample(EXAMPLES, seed=seed, split="test").astype(np.int64))
    require(image_samples.as_flawed(samples, DATA, model.densities(data)))


test_saved_samples_are_the_models_own = suite.own_samples(
    2,
    'Draw them with the trained model, in eval mode: drawn("color_pixelcnn", lambda: color_pixelcnn.sample(36)).',
    fewest=16,
    most=36,
    last=as_often_without_a_flaw,
    needs=test_each_value_depends_only_on_earlier_values,
)


def sees_neighbours(moved: np.ndarray) -> Finding:
    """moved: of 2 × 2 pixels, (pixel, colour, pixel, colour), whether an output hangs on an input."""
    required = "each colour sees all three colours of the pixels to the left and above"
    for pixel, other, where in ((1, 0, "to the left"), (2, 0, "above")):
        missing = np.argwhere(~moved[pixel, :, other])
        if len(missing):
            own, theirs = (COLOURS[c] for c in missing[0])
            slip = (
                "At the kernel's centre a group sees some of the groups; at all places before it, all of them: is the "
                "mask one there, for every pair of groups?"
            )
            return Finding(0.0, f"{own} does not see {theirs} of the pixel {where}", required, slip=slip)
    return Finding(1.0, required, required)


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
