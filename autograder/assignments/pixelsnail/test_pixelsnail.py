"""Exercise E4: attention over the strict past, a gated residual block, and the whole past in one block."""

from collections.abc import Callable, Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import gradients as trained_by
from autograder.families import pictures as family
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.properties import reach
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
OPEN = 1e-3  # of what a gate lets through there, against FAR
BELOW = 40.0  # below −40, elu is −1, and moves no more
ADDITIVE = 1e-2  # of numbers of order one; and the share of them that are near where a gate opens
LONE, FIELD = ((6, 8), (6, 11)), 20  # two places of a pixel in a field, far from its sides and from the last row
TOLD_APART = {np.dtype("float64"): 1e-9, np.dtype("float32"): 1e-5}
# Small shapes: 2 × 3 to enumerate, 4 × 4 to look for what is not seen, and one that is too large to count its states.
TINY, WIDE, TALL = (1, 2, 3), (1, 4, 4), (1, 5, 3)
TOLD = (3, 4)  # rows and columns that an attention is asked about
OVERFLOW = (
    "exp of a score that is far above 0 is ∞, and ∞ / ∞ or 0 · ∞ is nan: take the largest score of the row off first, "
    "or call softmax, which does."
)
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
    require_too(hides(weights_of(student, LOW * np.abs(q), LOW * np.abs(k)), past))
    require(hides(weights_of(student, LOW * np.abs(q), -LOW * np.abs(k)), past))


def hides(w: np.ndarray, past: np.ndarray) -> Finding:
    """Rows of weights (B, N, N) sum to one over the past, and all else is 0; the first row is not asked."""
    w, required = w[:, 1:], "all weight on the past, exactly"
    if np.isnan(w).any():
        return Finding(0.0, "some weights are nan", required, slip=OVERFLOW)
    outside = float(np.abs(np.where(past[1:], 0, w)).max())
    if outside != 0:
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


@points(0.75, "The first pixel is defined")
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
    told = np.zeros((3, 2, H, W), dtype=np.float32) + np.array([0, 1, -1], dtype=np.float32)[:, None, None, None]
    of_told = out(np.repeat(asks[:1], 3, axis=0), told)[:, :, 1:]
    off = float(np.abs(of_told[1] + of_told[2] - 2 * of_told[0]).max())
    slip = "Values are a 1 × 1 convolution of what pixels tell, and nothing else."
    require_too(_found(off <= SAME, f"values are {off:.2g} off what is linear", "a linear layer", slip))
    one, N = tells[:1], H * W
    changed = np.repeat(one, N, axis=0).reshape(N, 2, N)
    changed[np.arange(N), :, np.arange(N)] += 1
    moved = np.abs(out(np.repeat(asks[:1], N, axis=0), changed.reshape(N, 2, H, W)) - out(asks[:1], one)).max(axis=1).T
    require(of_the_past(moved > MOVED))
    moved = float(np.abs(out(asks, tells) - out(asks + rng.normal(size=asks.shape), tells)).max())
    slip = "Every pixel weighs the others by its own question: scores are products of questions and keys."
    ok = moved > MOVED
    require_too(Finding(float(ok), f"outputs move by {moved:.2g} with what asks", "they move", slip="" if ok else slip))
    precise = student.new("CausalAttention", 3, 2, 4, 6, seed=seed, precise=True)
    cotangent = rng.normal(size=(2, 6, H, W))
    gradients = precise.gradient("forward", asks, tells, wrt="parameters", cotangent=cotangent)
    made_of = "4 × 3 for questions, 4 × 2 for keys and 6 × 2 for values"
    slip = "A layer for questions, keys or values is missing, is made and not called, or stands for another."
    require_too(reach.reaches(gradients, 32, "CausalAttention(3, 2, 4, 6)", made_of, slip))


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
    require_too(saturates(added_by(beside), seed))
    blocks = [added_by(student.new("GatedResidual", width, 1, 3, seed=seed + k)) for k in range(3)]
    require_too(grows_with_both(blocks[0], seed))
    for found in gates(blocks, seed):
        require_too(found)
    three = student.new("GatedResidual", width, 3, seed=seed, precise=True)
    gradients = three.gradient("forward", x, wrt="parameters", cotangent=rng.normal(size=x.shape))
    slip = "W_1 or W_2 is missing, is made and not called, or its kernel is not k × k."
    of, made_of = f"GatedResidual({width}, 3)", "3 × 3 · 16 · 16 of W_1 and twice as many of W_2"
    require_too(reach.reaches(gradients, 27 * width**2, of, made_of, slip))


def added_by(block) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """What a block adds to x, (B, 16, H, W), beside s, (B, 3, H, W)."""

    def added(x: np.ndarray, s: np.ndarray) -> np.ndarray:
        return expect(block.call("forward", x, s), x.shape, "GatedResidual(…)(x, s)") - x

    return added


def saturates(added: Callable, seed: int) -> Finding:
    """Far below 0 elu is −1: what is added there is the same, whatever x and s are."""
    rng = np.random.default_rng(seed)
    x, s = (-BELOW * (1 + rng.random((2, 2, c, 4, 4))).astype(np.float32) for c in (16, 3))
    moved = float(np.abs(added(x[0], s[0]) - added(x[1], s[1])).max())
    ok, measured = moved <= OPEN, f"what a block adds moves by {moved:.2g} where all of x and s is below −{BELOW:g}"
    slip = "elu(x) and elu(s) are −1 there, and x itself is added as it is: is an elu missing, or is x changed?"
    return Finding(float(ok), measured, "it stays", slip="" if ok else slip)


def grows_with_both(added: Callable, seed: int) -> Finding:
    """Where x and s are large, what is added grows as they do: elu(s) is added to the other, and multiplies nothing."""
    rng = np.random.default_rng(seed)
    x, s = (FAR * np.abs(rng.normal(size=(20, c, 4, 4))).astype(np.float32) for c in (16, 3))
    times = float(np.abs(added(10 * x, 10 * s)).max() / max(np.abs(added(x, s)).max(), 1e-30))
    ok, measured = times < 30, f"with x and s 10 times as large, a block adds {times:.3g} times as much"
    slip = "U elu(s) is added to W_1 * elu(x): neither is multiplied by the other."
    return Finding(float(ok), measured, "it adds 10 times as much", slip="" if ok else slip)


def gates(blocks: list[Callable], seed: int) -> Iterator[Finding]:
    """Where s is large, channels are shut, or add a, a linear layer of the elu of something: of either sign."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(20, 16, 4, 4)).astype(np.float32)
    one, other = np.abs(rng.normal(size=(2, 20, 3, 4, 4))).astype(np.float32)

    def added(s: np.ndarray) -> np.ndarray:
        return np.concatenate([of(x, FAR * s) for of in blocks]) / FAR

    first, second, both = added(one), added(other), added(one + other)
    let = np.abs(first) > OPEN
    shut = float(1 - let.mean())
    slip = "What comes from aside is added to W_1 * elu(x), before the second convolution and the gate."
    yield _found(SHUT[0] < shut < SHUT[1], f"where s is large, {shut:.0%} of x comes out as it was", "a part", slip)
    most = int(np.median(let.sum(axis=1)))
    slip = "Each number of b is a gate of its own, σ(b): a softmax has one for all channels."
    yield _found(most > 1, f"of the channels of most pixels {most} is open", "some of them", slip)
    less = float(first.min())
    slip = "a is added as it is, without relu, and a and b are two halves: the gate of a is not made of a itself."
    yield _found(less < -OPEN, "what a block adds is never negative", "it has either sign", slip)
    off = np.abs(both - first - second)[let & (np.abs(second) > OPEN)] > ADDITIVE
    differs = bool(off.mean() > ADDITIVE) if off.size else False
    slip = "The second elu is missing: (a, b) = W_2 * elu(…), with elu around the sum."
    yield _found(differs, "with both of two s a block adds what it adds with each", "something else", slip)


def _found(ok: bool, measured: str, required: str, slip: str) -> Finding:
    return Finding(float(ok), measured, required, slip="" if ok else slip)


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


@points(0.25, "All of the network counts")
@hint(
    "`blocks` times: `residual` gated residual blocks with k = 2, one after the other; attention, with keys of length "
    "`keys`, which asks with h and the places and is told pixels, h and places; a block with k = 1, of h and s. All of "
    "these are trained: their gradient is not cut anywhere."
)
def test_all_of_the_network_counts(student, seed):
    rng, slip = np.random.default_rng(seed), "A part is missing, is made and not called, or smaller than it is to be."
    x = rng.integers(LEVELS, size=(16, 16))
    for w, d, n, what in ((16, 1, 2, "2 blocks of 2 residual blocks"), (8, 64, 1, "a block with keys of 64 numbers")):
        model = small(student, seed, shape=WIDE, width=w, keys=d, blocks=n, residual=n, precise=True)
        asked = w * d + (w + 1) * (d + w)  # the places besides, in whatever way
        number = n * (12 * n * w**2 + asked + 4 * w**2) + 26 * w + w * LEVELS
        gradients = model.handle.gradient("log_prob", *model.arguments(x), wrt="parameters")
        require_too(reach.reaches(gradients, number, what, "kernels of all layers", slip))
        require_too(trained_by.told(model.handle, *model.arguments(x), seed=seed))
    require(knows_places(student, seed))


def knows_places(student, seed: int) -> Finding:
    """A pixel far from all sides, and from the last row, may stand at one place or another: the last pixel knows where.

    Who is told no places sees the same pixels, in another order: a mean over them has none.
    """
    shape = (1, FIELD, FIELD)
    model = student.new(
        "PixelSNAIL", list(shape), LEVELS, width=8, blocks=1, residual=1, keys=4, seed=seed, precise=True
    )
    x = np.zeros((2, *shape), dtype=np.int64)
    for field, at in zip(x, LONE, strict=True):
        field[0][at] = 1
    logits = expect(model.call("logits", x), (*x.shape, LEVELS), "PixelSNAIL(…).logits(x)")[:, 0, -1, FIELD // 2]
    moved = float(np.abs(logits[0] - logits[1]).max())
    slip = (
        "The places of the pixels are not told: concatenate them to what attention is told, and to what it asks with."
    )
    measured = f"a logit moves by {moved:.2g} where a lone pixel far above stands three columns further"
    ok = moved > TOLD_APART.get(logits.dtype, MOVED)
    return _found(ok, measured, "it moves: attention is told places", slip)


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
