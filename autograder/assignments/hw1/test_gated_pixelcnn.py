"""Exercise 1.4: two stacks see exactly the past, the class reaches every pixel, and the density classifies."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import autoregressive as family
from autograder.families import image_samples
from autograder.families.autoregressive import Conditionals
from autograder.families.latent import several
from autograder.properties import autoregressive, discrete, hygiene
from autograder.properties.finding import Finding
from deepul_utils import images

DATA = images.get("glyphs32", levels=2)
LEVELS, CLASSES, CLASSIFIED = 2, 3, 40
MIXED, DEVIATIONS = 2000, 6  # images of several classes in one batch, and how far chance brings them
WIDTH = 6  # of a single layer
UNLIKELY, MOST_TOLD = 300.0, 3.0  # nats: of an image, and that it tells of its class
# Shapes of the small instances: 2 × 3 to enumerate, 4 × 5 to look for blind spots, which need room to the right, and
# one that is too large for it, higher than the first layers reach: a sampler that leaves rows out shows.
TINY, WIDE, TALL = (1, 2, 3), (1, 4, 5), (1, 14, 3)


def small(
    student, seed: int, y: int = 1, shape: tuple[int, ...] = TINY, depth: int = 4, **strength: float
) -> Conditionals:
    """A gated PixelCNN of tiny images with random weights, asked about class y."""
    made = student.new(
        "GatedPixelCNN", shape=shape, levels=LEVELS, classes=CLASSES, width=8, depth=depth, seed=seed, **strength
    )
    return Conditionals(made, shape, LEVELS, y)


suite = family.Suite(
    exercise="gated_pixelcnn",
    of="GatedPixelCNN",
    small=small,
    data=(DATA,),
    networks=1,
    classes=CLASSES,
    says="logits(x, y) is (B, 1, H, W, levels) and log_prob(x, y) is (B,)",
    example="image",
    wide={"y": 0, "shape": WIDE},
    deep={"depth": 6},
    tall={"shape": TALL, "perturb": 4.0, "biases": 0.2},
    whole={"shape": DATA.shape},
    recipe=Recipe("Adam", lr=1e-2, steps=1600, batch=16),
)


def its_own_class(model: Conditionals, x: np.ndarray) -> Finding:
    """In a batch of several classes every image is asked about its own."""
    y = np.arange(len(x)) % CLASSES
    mixed, *alike = (model.asked("log_prob", model.arguments(x, of)) for of in (y, *np.indices((CLASSES, len(x)))[0]))
    wanted = np.stack(alike)[y, np.arange(len(x))]
    error = float(np.abs(mixed - wanted).max() / (1 + np.abs(wanted).max()))
    ok, what = error <= hygiene.SAME, "its own class" if error <= hygiene.SAME else "that of another"
    slip = "V y must be one vector for every image of the batch: embedding(y)[:, :, None, None], (B, channels, 1, 1)."
    measured = f"in a batch of several classes an image gets {what}"
    return Finding(float(ok), measured, "every image gets its own class", slip=slip)


def drawn_of_its_own_class(student, seed: int) -> Finding:
    """In a batch of several classes, in no order, every image is drawn of its own: by log p(x | y) − log p(x), cut off
    at a few nats, whose mean and variance are known of every class.
    """
    every = discrete.states(int(np.prod(TINY)), LEVELS)

    def told(model: Conditionals) -> tuple[np.ndarray, np.ndarray]:
        log_p = np.stack([model.densities(every, np.full(len(every), y)) for y in range(CLASSES)])
        log_p = np.maximum(log_p, -UNLIKELY)
        return np.exp(log_p), (log_p - np.log(np.exp(log_p).mean(axis=0))).clip(-MOST_TOLD, MOST_TOLD)

    models = [small(student, seed + k, perturb=size, biases=0.2) for k in range(4) for size in (2.0, 4.0)]
    known = [(model, told(model)) for model in models]
    model, (p, by_class) = max(known, key=lambda of: float((of[1][0] * of[1][1]).sum()))
    mean = (p * by_class).sum(axis=1)
    variance = (p * by_class**2).sum(axis=1) - mean**2
    y = np.random.default_rng(seed).integers(CLASSES, size=MIXED)
    drawn = model.sample(MIXED, seed, y)
    at = (drawn @ LEVELS ** np.arange(drawn.shape[1])[::-1]).clip(0, len(every) - 1)
    off = float((by_class[y, at] - mean[y]).sum() / np.sqrt(variance[y].sum() + MOST_TOLD**2))
    slip = "sample(y) draws image i of class y[i], in whatever order the classes come." if off < -DEVIATIONS else ""
    measured = f"in a batch of several classes, images tell their class {off:+.2g} standard deviations off"
    return Finding(float(abs(off) <= DEVIATIONS), measured, f"within {DEVIATIONS}", slip=slip)


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


test_each_pixel_depends_only_on_earlier_pixels = suite.causal(
    3,
    "Some output sees its own pixel or a later one. Kind A (first layer) leaves out the own row in the vertical stack, "
    "the own column in the horizontal one; the vertical stack may be read only where it saw nothing but rows above.",
    also=family.keeps_its_order,
)
test_no_blind_spot = suite.no_blind_spot(
    4.5,
    "Some pixel of the past reaches no output: the horizontal stack must read the vertical one in every layer (L), "
    "and the vertical one sees all columns of the rows above, right of the pixel too.",
    networks=6,
    explain=blind_spot,
)


@points(1, "The class reaches every pixel")
@hint(
    "V y is added before the gate, at every pixel: with another class all logits move, also those of the first pixel."
)
def test_the_class_reaches_every_pixel(student, seed):
    x = np.random.default_rng(seed).integers(LEVELS, size=(16, 6))
    first, second = (small(student, seed, y).logits(x) for y in (0, 2))
    require(class_finding(first, second))
    require(density_knows_the_class(*(small(student, seed, y).log_prob(x) for y in (0, 2))))
    require(later_layers_know_the_class(student, seed))


def density_knows_the_class(first: np.ndarray, second: np.ndarray) -> Finding:
    """log p of the same images under two classes, (B,): the logits differ, and so does their sum."""
    moved = bool((first != second).any())
    slip = "" if moved else "Is y handed on to logits(x, y)?"
    measured = "log_prob moves with the class" if moved else "log_prob is the same under every class"
    return Finding(float(moved), measured, "log p(x | y) depends on y", slip=slip)


def later_layers_know_the_class(student, seed: int) -> Finding:
    """V y is added in both stacks of every layer, not only in the first."""
    made = student.new("GatedLayer", "B", WIDTH, WIDTH, CLASSES, 3, seed=seed, perturb=1.0)
    v, h = np.random.default_rng(seed).normal(size=(2, 4, WIDTH, 3, 5)).astype(np.float32)
    of_class = [
        several(
            made.call("forward", v, h, np.full(4, y)),
            ("v'", "h'"),
            (v.shape, h.shape),
            f"{made.label}.forward(v, h, y)",
        )
        for y in (0, 2)
    ]
    for first, second, stack in zip(*of_class, ("vertical", "horizontal"), strict=True):
        if not (np.abs(first - second) > autoregressive.MOVED).any(axis=(0, 1)).all():
            slip = "V y is added in every layer, in both stacks, and not in the first layer only."
            measured = f"in a layer of kind B the {stack} stack does not heed the class"
            return Finding(0.0, measured, "every layer knows the class", slip=slip)
    return Finding(1.0, "every layer knows the class", "every layer knows the class")


test_every_layer_has_weights_of_its_own = suite.own_layers(0.5)
test_every_example_for_itself = suite.every_example(
    0.5, f"{suite.says}, each row of its own image and class alone.", also=its_own_class
)
test_called_with_one_example = suite.one_example(0.5)
test_probabilities_sum_to_one_in_every_class = suite.sums_to_one(
    2, "For every class p(x | y) sums to one over all images: softmax over the levels, sum over the pixels, in nats."
)
test_exact_for_images_that_are_hardly_possible = suite.exact_far(1)
test_samples_follow_the_density_of_their_class = suite.samples(
    2,
    "Draw each pixel from its conditional given those before it and its own class, in raster order.",
    count=4000,
    tall=(CLASSES, 32),
    needs=test_each_pixel_depends_only_on_earlier_pixels,
    also=drawn_of_its_own_class,
)
test_trained_well_on_held_out_glyphs = suite.trained(
    2,
    "Train longer, let the learning rate fall towards the end, and give fit the labels of the images it gets.",
    title="Trained: well on held out glyphs",
    baseline=lambda: image_samples.bernoulli_nats(DATA.sample(5000), LEVELS),
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)


@points(1, "Classifies by Bayes’ rule")
@hint("p(y | x) ∝ p(x | y). If the class hardly matters to the density: does its bias reach both stacks in all layers?")
def test_classifies_by_bayes_rule(student, graded, seed):
    x, y = DATA.sample_labelled(CLASSIFIED, seed=seed, split="test")
    every = np.tile(np.arange(10), CLASSIFIED)
    model = Conditionals(student.trained("gated_pixelcnn", "GatedPixelCNN"), DATA.shape, LEVELS)
    log_p = model.densities(model.rows(x.astype(np.int64)).repeat(10, axis=0), every)
    wrong = float((log_p.reshape(-1, 10).argmax(axis=1) != y).mean())
    unit, of = "of the images misclassified", {"recipe": suite.recipe, "artifact": "gated_pixelcnn"}
    graded("gated_pixelcnn.errors", lambda: wrong, limit=None, baseline=0.9, unit=unit, examples=CLASSIFIED, **of)


LABELS = np.arange(10).repeat(8)


def shows_its_digit(samples: np.ndarray, model: Conditionals, seed: int, graded) -> None:
    missed = float((image_samples.digits_in(samples, LEVELS) != LABELS).mean())
    unit, of = "of the samples taken for another digit", {"recipe": suite.recipe, "artifact": "gated_pixelcnn"}
    graded("gated_pixelcnn.samples", lambda: missed, limit=None, baseline=0.9, unit=unit, examples=len(samples), **of)


test_saved_samples_are_of_their_class = suite.own_samples(
    2,
    "Eight of each class in order: y = torch.arange(10).repeat_interleave(8), drawn with the trained model, in eval "
    "mode.",
    fewest=80,
    most=80,
    labels=LABELS,
    first=lambda samples, seed: image_samples.are_no_data(samples, DATA, seed),
    last=shows_its_digit,
    title="Saved samples are of their class",
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)
