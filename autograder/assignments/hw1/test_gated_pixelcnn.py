"""Exercise 1.4: two stacks see exactly the past, the class reaches every pixel, and the density classifies."""

import numpy as np

from autograder.assignments.hw1.test_pixelcnn import FRESH, baseline
from autograder.checks import Recipe, hint, points, require
from autograder.families import autoregressive as family
from autograder.families.autoregressive import Rows
from autograder.properties import autoregressive, discrete, hygiene
from autograder.properties.finding import Finding
from deepul_utils import images

DATA = images.get("glyphs32", levels=2)
LEVELS, CLASSES = 2, 3
HELD_OUT, CLASSIFIED = 200, 40
NETWORKS = 6  # random ones that must see everything together
# Shapes of the small instances: 2 × 3 to enumerate, 4 × 5 to look for blind spots, which need room to the right, and
# one that is too large for it, higher than the first layers reach: a sampler that leaves rows out shows.
TINY, WIDE, TALL = (1, 2, 3), (1, 4, 5), (1, 14, 3)

RECIPE = Recipe("Adam", lr=1e-2, steps=1600, batch=16)


def small(student, seed: int, y: int, shape: tuple[int, int, int] = TINY, **strength: float) -> Rows:
    """A gated PixelCNN of tiny images with random weights, asked about class y."""
    made = student.new("GatedPixelCNN", shape=shape, levels=LEVELS, classes=CLASSES, width=8, depth=4, seed=seed,
                       **strength)  # fmt: skip
    return Rows(made, shape, LEVELS, y)


@points(3, "Each pixel depends only on earlier pixels")
@hint(
    "Some output sees its own pixel or a later one. Kind A (first layer) leaves out the own row in the vertical stack, "
    "the own column in the horizontal one; the vertical stack may be read only where it saw nothing but rows above."
)
def test_each_pixel_depends_only_on_earlier_pixels(student, seed):
    made = small(student, seed, 0, WIDE)
    require(autoregressive.is_strict_order(made.logits, made.dims, LEVELS, seed, mixed=family.MIXED))


@points(5, "No blind spot")
@hint(
    "Some pixel of the past reaches no output: the horizontal stack must read the vertical one in every layer (L), "
    "and the vertical one sees all columns of the rows above, right of the pixel too."
)
def test_no_blind_spot(student, seed):
    networks = (small(student, seed + k, 0, WIDE).logits for k in range(NETWORKS))
    require(autoregressive.sees_its_past(networks, 20, LEVELS, seed, explain=blind_spot))


@points(1, "The class reaches every pixel")
@hint(
    "V y is added before the gate, at every pixel: with another class all logits move, also those of the first pixel."
)
def test_the_class_reaches_every_pixel(student, seed):
    x = np.random.default_rng(seed).integers(LEVELS, size=(16, 6))
    first, second = (small(student, seed, y).logits(x) for y in (0, 2))
    require(class_finding(first, second))


@points(0.5, "Every example for itself")
@hint("logits(x, y) is (B, 1, H, W, levels) and log_prob(x, y) is (B,), each row of its own image and class alone.")
def test_every_example_for_itself(student, seed):
    made, x = small(student, seed, 1), discrete.states(6, LEVELS)
    require(hygiene.rows_are_independent(made.logits, x))
    require(hygiene.rows_are_independent(made.log_prob, x))
    require(its_own_class(made, x))


@points(0.5, "Called with one example")
@hint("logits(x, y) is (B, 1, H, W, levels) and log_prob(x, y) is (B,), also where B is one.")
def test_called_with_one_example(student, seed):
    made, x = small(student, seed, 1), discrete.states(6, LEVELS)
    require(hygiene.one_example(made.logits, x))
    require(hygiene.one_example(made.log_prob, x))


@points(2, "Probabilities sum to one in every class")
@hint("For every class p(x | y) sums to one over all images: softmax over the levels, sum over the pixels, in nats.")
def test_probabilities_sum_to_one_in_every_class(student, seed):
    for y in range(CLASSES):
        require(discrete.sums_to_one(small(student, seed, y).log_prob, 6, LEVELS, seed))


@points(1, "Exact for images that are hardly possible")
@hint(autoregressive.FLOORED)
def test_exact_for_images_that_are_hardly_possible(student, seed):
    def build(strength: float) -> Rows:
        return small(student, seed, 1, DATA.shape, perturb=strength)

    require(family.exact_far(small(student, seed, 1), build, seed))


@points(2, "Samples follow the conditionals of their class", needs=test_each_pixel_depends_only_on_earlier_pixels)
@hint("Draw each pixel from its conditional given those before it and its own class, in raster order.")
def test_samples_follow_the_density_of_their_class(student, seed):
    for y in range(CLASSES):
        made = small(student, seed + y, y, **family.STRONG)
        found = discrete.sampler_matches(made.sample(4000, seed), autoregressive.chain_rule(made.logits), LEVELS, seed)
        require(family.in_eval_mode(made, found, seed))
    tall = (small(student, seed + y, y, TALL, perturb=4.0, biases=0.2) for y in range(CLASSES))
    require(family.samplers_of(tall, 32, seed))


@points(2, "Trained: well on held out glyphs", needs=test_each_pixel_depends_only_on_earlier_pixels)
@hint("Train longer, let the learning rate fall towards the end, and give fit the labels of the images it gets.")
def test_trained_well_on_held_out_glyphs(student, graded, seed):
    x, y = DATA.sample_labelled(HELD_OUT, seed=seed, split="test")
    x = x.astype(np.int64)

    def bits(n: int = HELD_OUT) -> float:
        return -family.log_probs(trained(student), x[:n], LEVELS, y[:n]).mean() / (1024 * np.log(2))

    require(family.sees_no_later_pixel(trained(student), x, LEVELS, seed, y))
    graded("gated_pixelcnn", bits, limit=None, baseline=baseline(), unit="bits/dim", recipe=RECIPE,
           few=lambda: bits(family.FEW))  # fmt: skip


@points(1, "Classifies by Bayes’ rule")
@hint("p(y | x) ∝ p(x | y). If the class hardly matters to the density: does its bias reach both stacks in all layers?")
def test_classifies_by_bayes_rule(student, graded, seed):
    x, y = DATA.sample_labelled(CLASSIFIED, seed=seed, split="test")
    every = np.tile(np.arange(10), CLASSIFIED)
    log_p = family.log_probs(trained(student), x.astype(np.int64).repeat(10, axis=0), LEVELS, every)
    wrong = float((log_p.reshape(-1, 10).argmax(axis=1) != y).mean())
    graded("gated_pixelcnn.errors", lambda: wrong, limit=None, baseline=0.9, unit="of the images misclassified",
           examples=CLASSIFIED, recipe=RECIPE, artifact="gated_pixelcnn")  # fmt: skip


@points(2, "Saved samples are of their class", needs=test_each_pixel_depends_only_on_earlier_pixels)
@hint(
    "Eight of each class in order: y = torch.arange(10).repeat_interleave(8), drawn with the trained model, in eval "
    "mode."
)
def test_saved_samples_are_of_their_class(student, graded, held_out, seed):
    samples, model = family.saved(student, "gated_pixelcnn", DATA, 80), trained(student)
    labels = np.arange(10).repeat(8)
    samples = samples[:80]
    require(hygiene.in_range(samples, LEVELS))
    for found in family.are_no_data(samples, DATA, held_out(DATA, FRESH)):
        require(found)
    require(family.sees_no_later_pixel(model, samples, LEVELS, seed, labels))
    log_p = family.log_conditionals(model, samples, LEVELS, labels)
    require(autoregressive.knows_something(log_p))
    require(autoregressive.typical(family.as_rows(samples), log_p))
    missed = float((family.digits_in(samples, LEVELS) != labels).mean())
    graded(
        "gated_pixelcnn.samples", lambda: missed, limit=None, baseline=0.9,
        unit="of the samples taken for another digit", examples=len(samples), recipe=RECIPE, artifact="gated_pixelcnn",
    )  # fmt: skip


def trained(student):
    return student.trained("gated_pixelcnn", "GatedPixelCNN")


def its_own_class(made: Rows, x: np.ndarray) -> Finding:
    """In a batch of several classes every image is asked about its own."""
    images, y = family.as_images(TINY, x), np.arange(len(x)) % CLASSES
    mixed = family.asked(made.handle, "log_prob", (images, y))
    alike = np.stack([family.asked(made.handle, "log_prob", (images, np.full(len(x), c))) for c in range(CLASSES)])
    wanted = alike[y, np.arange(len(x))]
    error = float(np.abs(mixed - wanted).max() / (1 + np.abs(wanted).max()))
    what = "its own class" if error <= hygiene.SAME else "that of another"
    return Finding(float(error <= hygiene.SAME), f"in a batch of several classes an image gets {what}",
                   "every image gets its own class", slip="V y must be one vector for every image of the batch: "
                   "embedding(y)[:, :, None, None], (B, channels, 1, 1).")  # fmt: skip


def blind_spot(missing: np.ndarray) -> str:
    """The likely slip where outputs of WIDE do not see these inputs, bool (20, 20)."""
    i, j = np.argwhere(missing).T
    (row, column), (above, there) = np.divmod(i, WIDE[2]), np.divmod(j, WIDE[2])
    if (row - above == 1).all() and (np.abs(there - column) > 3).all():  # beyond the first layer's 7 columns
        return (
            "The row right above is not seen as far as the others: is the vertical stack of kind A in every layer? "
            "Kind A is for the first layer alone, which reads pixels. From then on kind B shows the own row, of "
            "features that have seen less; with kind A a row is lost at every layer."
        )
    if (above < row).all() and (there > column).all():
        return (
            "What lies above and to the right is not seen: the vertical stack sees all columns of the rows above, "
            "right of the pixel, too."
        )
    return ""


def class_finding(first: np.ndarray, second: np.ndarray) -> Finding:
    """Logits (B, dims, levels) of the same images under two classes: do they differ at every pixel?"""
    moved = np.abs(first - second).max(axis=(0, 2)) > autoregressive.MOVED
    measured = "all pixels move" if moved.all() else f"{int((~moved).sum())} of {len(moved)} pixels do not move"
    return Finding(float(moved.all()), measured, "every pixel's logits depend on the class")
