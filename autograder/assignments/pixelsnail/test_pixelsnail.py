"""Exercise E4: attention over the strict past, a gated residual block, and the whole past in one block."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import pictures as family
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.properties.autoregressive import MOVED
from autograder.properties.finding import Finding
from autograder.student import expect
from deepul_utils import pictures

DATA = pictures.get("corners")
LEVELS = 2
SAME = 1e-4  # of numbers of order one in float32
LOW = 300.0  # of questions and keys that point away from each other: their scores are below −10⁴
FAR = 1e4  # here a gate is open or shut
SHUT = (0.02, 0.98)  # the share of what a block leaves alone there: of 16 channels some are shut, and some open
# Small shapes: 2 × 3 to enumerate, 4 × 4 to look for what is not seen, and one that is too large to count its states.
TINY, WIDE, TALL = (1, 2, 3), (1, 4, 4), (1, 5, 3)
TOLD = (3, 4)  # rows and columns that an attention is asked about
EVEN = {"perturb": 0.2}  # sizes of random weights with which no pixel has nearly all the weight


def small(
    student,
    seed: int,
    shape: tuple[int, ...] = TINY,
    levels: int = LEVELS,
    width: int = 8,
    blocks: int = 1,
    residual: int = 1,
    keys: int = 4,
    **strength: float,
) -> Conditionals:
    """A small PixelSNAIL with random weights."""
    size = dict(shape=list(shape), levels=levels, width=width, blocks=blocks, residual=residual, keys=keys)
    return Conditionals(student.new("PixelSNAIL", seed=seed, **size, **strength), shape, levels)


suite = family.Suite(
    exercise="pixelsnail",
    of="PixelSNAIL",
    small=small,
    data=(DATA,),
    recipe=Recipe("Adam", lr=1e-2, steps=1200, batch=32),
    says="logits(x) is (B, 1, H, W, levels) and log_prob(x) is (B,)",
    wide={"shape": WIDE},
    deep={"blocks": 2, "residual": 2},
    tall={"shape": TALL, "blocks": 2, **STRONG},
    whole={"shape": DATA.shape},
)


def softmax_over_the_past(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """w_ij in double precision: (B, N, d) twice -> (B, N, N)."""
    N, d = q.shape[1:]
    scores = np.einsum("bid,bjd->bij", q.astype(float), k.astype(float)) / np.sqrt(d)
    scores = np.where(np.tri(N, k=-1, dtype=bool), scores, -np.inf)
    top = np.where(np.arange(N)[:, None] > 0, scores.max(axis=-1, keepdims=True), 0.0)
    w = np.exp(scores - top)
    return w / np.maximum(w.sum(axis=-1, keepdims=True), 1e-300)


def questions(seed: int, N: int = 6, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Random q and k, float32 (3, N, d)."""
    q, k = np.random.default_rng(seed).normal(size=(2, 3, N, d)).astype(np.float32)
    return q, k


def weights_of(student, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """What attention_weights(q, k) gives, its shape checked."""
    B, N, _ = q.shape
    return expect(student.call("attention_weights", q, k), (B, N, N), "attention_weights(q, k)")


@points(1, "Present and future have no weight")
@hint(
    "w_ij is exactly 0 for j ≥ i, however low the scores of the past are: mask with the lowest number of the type, or "
    "−∞, not with −10⁴. The keys are of the strict past: the diagonal is masked, too."
)
def test_present_and_future_have_no_weight(student, seed):
    past = np.tri(6, k=-1, dtype=bool)
    q, k = questions(seed)
    require(hides(weights_of(student, q, k), past))
    require(hides(weights_of(student, LOW * np.abs(q), -LOW * np.abs(k)), past))


def hides(w: np.ndarray, past: np.ndarray) -> Finding:
    """Rows of weights (B, N, N) sum to one over the past, and all else is 0; the first row is not asked."""
    required = "all weight on the past, exactly"
    w = w[:, 1:]
    outside = float(np.abs(np.where(past[1:], 0, w)).max())
    if outside != 0:  # nan, too
        return Finding(0.0, f"up to {outside:.2g} of the weight lies on the present or the future", required)
    off = float(np.abs(w.sum(axis=-1) - 1).max())
    return Finding(float(off <= SAME), f"the weights of a pixel’s past sum to {1 - off:.5g} or more", required)


@points(1, "Weights are a softmax over the past")
@hint("w_ij = exp(q_i · k_j / √d) / Σ_{l<i} exp(q_i · k_l / √d): over j, the last axis; d is the length of a key.")
def test_weights_are_a_softmax_over_the_past(student, seed):
    for d in (5, 12):
        q, k = questions(seed, d=d)
        off = float(np.abs(weights_of(student, q, k) - softmax_over_the_past(q, k))[:, 1:].max())
        measured = f"weights are up to {off:.2g} off, with keys of {d} numbers"
        require(Finding(float(off <= SAME), measured, f"the same within {SAME:g}"))


@points(1, "The first pixel is defined")
@hint(
    "The first pixel has no past: its row of weights is 0. A softmax over −∞ alone is nan, and where −∞ was added to "
    "the scores its gradient is, too, also behind nan_to_num: fill in a finite number, and multiply by the mask again."
)
def test_the_first_pixel_is_defined(student, seed):
    q, k = questions(seed)
    first = weights_of(student, q, k)[:, 0]
    most = float(np.abs(first).max())
    measured = f"weights of the first pixel are up to {most:.3g}"
    require(Finding(float(most == 0), measured, "the first pixel asks nobody: 0"))
    for argument, name in enumerate("qk"):
        gradient = student.gradient("attention_weights", q, k, argument=argument, cotangent=questions(seed + 1, d=6)[0])
        fine = bool(np.isfinite(gradient).all())
        required = "finite gradients"
        require(Finding(float(fine), f"the gradient by {name} is {'finite' if fine else 'nan'}", required))


@points(0.5, "Attention brings means of values")
@hint(
    "out_i = Σ_j w_ij v_j with the values of the pixels j before i in raster order, row by row: flatten(2), transpose, "
    "and back again the same way. Where all pixels tell the same, what they tell comes out, but at the first pixel."
)
def test_attention_brings_means_of_values(student, seed):
    (H, W), rng = TOLD, np.random.default_rng(seed)
    layer = student.new("CausalAttention", 3, 2, 4, 6, seed=seed, **EVEN)
    asks, tells = (rng.normal(size=(2, c, H, W)).astype(np.float32) for c in (3, 2))
    what = "CausalAttention(…)(asks, tells)"

    def out(asks: np.ndarray, tells: np.ndarray) -> np.ndarray:
        """(B, 6, N), in raster order."""
        return expect(layer.call("forward", asks, tells), (len(asks), 6, H, W), what).reshape(len(asks), 6, -1)

    even = out(asks, np.broadcast_to(tells[:, :, :1, :1], tells.shape).copy())[:, :, 1:]
    off = float(np.abs(even - even[:, :, :1]).max())
    require(Finding(float(off <= SAME), f"where all tell the same, outputs differ by {off:.2g}", "the same comes out"))
    one, N = tells[:1], H * W
    changed = np.repeat(one, N, axis=0).reshape(N, 2, N)
    changed[np.arange(N), :, np.arange(N)] += 1
    moved = np.abs(out(np.repeat(asks[:1], N, axis=0), changed.reshape(N, 2, H, W)) - out(asks[:1], one)).max(axis=1).T
    require(of_the_past(moved > MOVED))


def of_the_past(moved: np.ndarray) -> Finding:
    """Output i moves with what pixel j tells exactly where j comes before i: bool (N, N)."""
    required, past = "it moves with the pixels before it, in raster order", np.tri(len(moved), k=-1, dtype=bool)
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    wrong = np.argwhere(moved != past) + 1
    if not len(wrong):
        return Finding(1.0, "outputs move with all pixels before them, and no others", required, plot=plot)
    i, j = wrong[0]
    does = "moves" if moved[i - 1, j - 1] else "does not move"
    return Finding(0.0, f"output {i} {does} with what pixel {j} tells", required, plot=plot)


@points(1, "A block adds what its gate lets through")
@hint(
    "x' = x + a ⊙ σ(b): where the gate is shut, x comes out as it went in, and where it is open, a is added, with no "
    "tanh. The convolutions end at the pixel itself, and U elu(s) is added before the second."
)
def test_a_block_adds_what_its_gate_lets_through(student, seed):
    rng, width = np.random.default_rng(seed), 16
    block = student.new("GatedResidual", width, 2, seed=seed)
    x = rng.normal(size=(20, width, 4, 4)).astype(np.float32)

    def out(x: np.ndarray, *s: np.ndarray, of=block) -> np.ndarray:
        return expect(of.call("forward", x, *s), x.shape, "GatedResidual(…)(x)")

    added = np.abs(out(FAR * x) / FAR - x)
    alone = float((added < 1e-3).mean())
    measured = f"{alone:.0%} of what goes in comes out as it was, where gates are open or shut"
    require(Finding(float(SHUT[0] < alone < SHUT[1]), measured, "a part of it, not all and not none"))
    later = x.copy()
    later[:, :, 2, 2:], later[:, :, 3] = 0, 0
    moved = float(np.abs(out(later) - out(x))[:, :, :2].max())
    measured = f"outputs move by {moved:.2g} with pixels to the right and below"
    require(Finding(float(moved <= MOVED), measured, "they do not"))
    beside, s = student.new("GatedResidual", width, 1, 3, seed=seed), rng.normal(size=(2, 3, 4, 4)).astype(np.float32)
    moved = float(np.abs(out(x[:2], s, of=beside) - out(x[:2], s + 1, of=beside)).max())
    measured = f"the output moves by {moved:.2g} with what comes from aside"
    require(Finding(float(moved > MOVED), measured, "it moves"))


test_each_pixel_depends_only_on_earlier_pixels = suite.causal(
    1,
    "Some output sees its own pixel or a later one. Questions are of h, which has seen the strict past; only keys and "
    "values, which an attention reads of the strict past, may be made of the pixels themselves.",
)
test_no_blind_spot = suite.no_blind_spot(
    1,
    "In one block every output sees its whole past: attention is over all pixels before it, the last one included, and "
    "is told the pixels themselves, not only h.",
    networks=4,
)
test_every_layer_has_weights_of_its_own = suite.own_layers(0.25)
test_every_example_for_itself = suite.every_example(0.25)
test_called_with_one_example = suite.one_example(0.25)
test_log_density_is_the_sum_of_the_conditionals = suite.chain_rule(
    0.5, "log p(x) = Σ_i log softmax(logits_i)[x_i]: softmax over the levels, the one that x_i has, summed over pixels."
)
test_exact_for_images_that_are_hardly_possible = suite.exact_far(0.25)
test_probabilities_sum_to_one = suite.sums_to_one(
    0.5, "Over all 64 pictures of six pixels p sums to one: log_prob is summed over the pixels, not averaged, in nats."
)
test_samples_follow_the_density = suite.samples(
    0.5,
    "Draw each pixel from its conditional, given those before it, in raster order; not the most likely level.",
    count=1500,
    networks=3,
    tall=(1, 48),
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)
test_trained_close_to_the_limit = suite.trained(
    1,
    "If it is about 6 nats above the limit, the network guesses the last corner: train on, and look at what attention "
    "is told (the pixels) and asks with (the places).",
    baseline=lambda: DATA.repeated,
    held_out=100,  # a mean difference of log-probabilities, which chance moves little
)
