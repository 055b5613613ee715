"""Exercise E10: attention as a mean of the past, a pre-norm block, kept keys and values, byte pairs."""

from collections.abc import Callable, Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import gradients as trained_by
from autograder.families import sequences as family
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.families.besides import besides
from autograder.properties import attention, byte_pairs, reach, sequences
from autograder.properties.autoregressive import log_conditionals
from autograder.properties.finding import Finding
from autograder.student import expect, listed, whole
from deepul_utils import sequences as data
from deepul_utils.sequences.contexts import above_limit

DATA = data.get("text")
LEVELS = 3
NEAR = 1e-3  # nats: float32 in another order of sums
BATCH, HEADS = 2, 3
TOPS, TOP_LEVELS = 500, 27  # values that are drawn with the largest u, and levels, whose sum is rounded
WIDE_APART = 4e4  # between the scores of two keys: no number in the place of −∞ may be among them
WIDTH, PLACES = 8, 5  # of small layers
NETWORKS = 3  # in one of which no unit of a relu is shut
MANY = 200  # examples, so that no unit of a relu is shut for all of them
FAR = 1e4  # x this large: beside it, what attention adds is lost in norm_2(x')
MOVED = 0.02  # random networks move by 0.1 and more, rounding of numbers near FAR by a tenth of this
# With matrices that are LARGE times as large logits are so, too, and no more than LARGE² times with another layer
# behind the last norm; without that norm LARGE³ times.
LARGE, MOST = 1e3, 3e7
# Of the texts that are encoded: with fewer merges the longest token that fits is the right one too often.
LETTERS, MERGES, LONG = 6, 24, 300
FIRST_STEP = "The first letter is wrong. Does the first step read the beginning? Is x_1 the level that u_1 falls into?"


def small(
    student,
    seed: int,
    length: int = 4,
    levels: int = LEVELS,
    width: int = 8,
    heads: int = 2,
    depth: int = 1,
    **strength: float,
) -> Conditionals:
    """A small GPT with random weights."""
    size = dict(length=length, levels=levels, width=width, heads=heads, depth=depth)
    return Conditionals(student.new("GPT", seed=seed, **size, **strength), (length,), levels)


suite = family.Suite(
    exercise="gpt",
    of="GPT",
    small=small,
    data=(DATA,),
    recipe=Recipe("Adam", lr=5e-3, steps=600, batch=16),
    says="logits(x) is (B, T, levels) and log_prob(x) is (B,)",
    variable="letter",
    before="letter",
    example="text",
    parts=DATA.length,
    deep={"depth": 3},
    tall={"length": 20, "depth": 2, **STRONG},
    long={"length": 20, "depth": 2},
)


# ---- attention and the block -----------------------------------------------------------------------------


def attended(student, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """out and w of the student's attention, their shapes checked."""
    out, w = pair(student.call("attention", q, k, v))
    shape = q.shape[:-1]
    return expect(out, (*shape, v.shape[-1]), "attention(q, k, v)[0]"), expect(
        w, (*shape, k.shape[-2]), "attention(q, k, v)[1]"
    )


def pair(answer) -> tuple:
    """Two things that came back; where it was one, and nothing."""
    return tuple(answer) if isinstance(answer, list) and len(answer) == 2 else (answer, None)


def drawn_qkv(seed: int, T: int, d: int) -> np.ndarray:
    """Queries, keys and values of T places, float32 (3, B, heads, T, d)."""
    return np.random.default_rng(seed).normal(size=(3, BATCH, HEADS, T, d)).astype(np.float32)


@points(1, "Weights are softmax(q · k / √d)")
@hint(
    "The score of a query and a key is their product by √d, d the channels of one head: it is of order one, whatever d "
    "is. Scores of later keys are −∞ before the softmax, which goes over the keys."
)
def test_weights_are_a_softmax_of_products(student, seed):
    for d in (4, 9, 32):
        q, k, v = drawn_qkv(seed + d, 6, d)
        _, w = attended(student, q, k, v)
        require(attention.is_softmax(q, k, w))
    require_too(hides_later(student))


def hides_later(student) -> Finding:
    """Later keys have no weight where scores are large, either, of one sign or the other."""
    T, d = 6, 4
    k = np.broadcast_to(WIDE_APART * np.arange(1, T + 1, dtype=np.float32)[:, None], (1, 1, T, d)) / d**0.5
    for sign in (1, -1):
        w = attended(student, sign * np.ones_like(k), k, k)[1]
        most = float(np.abs(np.nan_to_num(np.where(np.tri(T) > 0, 0, w))).max())  # exp without a maximum overflows
        if most:
            measured = (
                f"where scores are as large as {sign * WIDE_APART * T:.0e}, later keys have weights of up to {most:.2g}"
            )
            slip = "A number in the place of −∞ is not below all scores: put −torch.inf there, before the softmax."
            return Finding(0.0, measured, "later keys have the weight 0, exactly", slip=slip)
    return Finding(1.0, "later keys have no weight", "the same")


@points(0.25, "With equal keys it is the mean of the past")
@hint(
    "Nothing tells the keys apart, so all weights of a row are equal and sum to one: 1/t. Mask the scores, before the "
    "softmax: weights that are set to zero afterwards do not sum to one any more."
)
def test_equal_keys_give_the_mean_of_the_past(student, seed):
    q, k, v = drawn_qkv(seed, 7, 8)
    out, _ = attended(student, q, np.repeat(k[:, :, :1], 7, axis=2), v)
    require(attention.is_running_mean(v, out))


@points(0.5, "The last queries alone get the same")
@hint(
    "Of S queries and T keys, query i stands at the place T − S + i and sees the keys up to there: the diagonal of the "
    "mask begins T − S further right. A single query sees all keys."
)
def test_the_last_queries_alone_get_the_same(student, seed):
    q, k, v = drawn_qkv(seed, 7, 8)
    all_of_them, _ = attended(student, q, k, v)
    for S in (1, 3):
        require(attention.last_queries_agree(all_of_them, attended(student, q[:, :, -S:], k, v)[0]))


@points(0.25, "Heads look for themselves")
@hint(
    "The W channels are cut into `heads` parts, each with queries, keys and values of its own: W_q, W_k and W_v are "
    "linear layers of what comes in, and what the heads bring back goes through one more, W_o."
)
def test_heads_look_for_themselves(student, seed):
    x = np.random.default_rng(seed).normal(size=(BATCH, PLACES, WIDTH))
    brought = {}
    for heads in (1, 2, 4):
        layer = student.new("CausalAttention", WIDTH, heads, seed=seed)
        what = f"CausalAttention({WIDTH}, {heads})(x)[0]"
        brought[heads] = expect(pair(layer.call("forward", x))[0], x.shape, what)
    for few, many in ((1, 2), (1, 4), (2, 4)):
        moved = float(np.abs(brought[few] - brought[many]).max())
        measured = f"with {few} and with {many} heads the outputs are {moved:.2g} apart"
        slip = "" if moved else "`heads` decides nothing: is it the number of parts that the channels are cut into?"
        require(Finding(float(moved > 0), measured, "other heads, other outputs", slip=slip))
    four = "W_q, W_k, W_v and W_o, W × W each"
    slip = "One of W_q, W_k, W_v and W_o is missing, is made and not called, or stands for another."
    require_too(weighs(student, "CausalAttention", 4 * WIDTH**2, four, slip, seed))


def weighs(student, name: str, number: int, made_of: str, slip: str, seed: int) -> Finding:
    """Of a layer of one head so many weights decide what comes out."""
    layer = student.new(name, WIDTH, 1, seed=seed, precise=True)
    x, cotangent = np.random.default_rng(seed).normal(size=(2, MANY, PLACES, WIDTH))
    gradients = layer.gradient("forward", x, wrt="parameters", cotangent=cotangent)
    return reach.reaches(gradients, number, f"{name}({WIDTH}, 1)", made_of, slip)


@points(0.5, "A block adds to what it is given")
@hint(
    "x' = x + attention(norm(x)), x'' = x' + mlp(norm(x')): both read what was normalised, and x itself never is. So "
    "what they add is of the same size, however large x is."
)
def test_a_block_adds_to_what_it_is_given(student, seed):
    block = student.new("Block", 8, 2, seed=seed)
    x = np.random.default_rng(seed).normal(size=(4, 5, 8))

    def outputs(x: np.ndarray) -> np.ndarray:
        return expect(pair(block.call("forward", x))[0], x.shape, "Block(…)(x)[0]")

    require(attention.adds_to_what_it_is_given(outputs, x))
    made_of = "four matrices of W × W in the attention, two of W × 4W in the mlp"
    slip = "A layer of the block is missing, too small, or made and not called."
    require_too(weighs(student, "Block", 12 * WIDTH**2, made_of, slip, seed))
    require_too(mlp_reads_what_was_added(outputs, x))
    require_too(mlp_is_not_linear(outputs, seed))


def mlp_reads_what_was_added(block: Callable, x: np.ndarray) -> Finding:
    """norm_2 reads x + attention(norm_1(x)): what attention adds counts there, unless x is far larger.

    norm_1(x) does not hang on the size of x, nor does attention; so if the mlp read x alone, nothing that is added did.
    """
    near, far = block(x) - x, block((FAR * x).astype(np.float32)) - FAR * x
    moved = float(np.abs(near - far).max())
    measured = (
        f"what a block adds moves by {moved:.2g} where x, but not what attention adds to it, is {FAR:g} times as large"
    )
    slip = "The second step reads norm_2(x'), with x' = x + attention(norm_1(x)), neither x nor what attention gave."
    ok = moved > MOVED
    return Finding(float(ok), measured, "the mlp reads the sum of both", slip="" if ok else slip)


def mlp_is_not_linear(block: Callable, seed: int) -> Finding:
    """What is added to x and −x has a sum that hangs on x: of a linear mlp only the biases would be left.

    At a single place attention is linear in norm_1(x), and where x is large norm(−x) is −norm(x).
    """
    x = FAR * np.random.default_rng(seed).normal(size=(2 * PLACES, 1, WIDTH)).astype(np.float32)
    even = (block(x) - x) + (block(-x) + x)
    moved = float(np.abs(even - even[:1]).max())
    slip = "Between the two linear layers of the mlp stands GELU: without it they are no more than one linear layer."
    ok, measured = moved > MOVED, "what a block adds is linear in norm(x)"
    return Finding(float(ok), measured, "an mlp with GELU", slip="" if ok else slip)


# ---- the network -----------------------------------------------------------------------------------------

test_each_letter_depends_only_on_earlier_letters = suite.causal(
    1,
    "Some output sees its own letter: what goes in at place t is x_{t−1}, and the beginning at the first. Or heads are "
    "cut out of places: (B, S, W) becomes (B, S, heads, d) first, and its middle axes change places then.",
    mixed="Everything sees everything: a mask is missing, or heads are cut out of places. (B, S, W) becomes "
    "(B, S, heads, d) first, and then its middle axes change places.",
)

test_each_letter_depends_on_all_earlier_letters = suite.whole_past(
    0.25, "Attention looks at every place up to its own, and logits_t reads x_{t−1}: the last letter counts, too."
)


@points(0.25, "The order of the letters counts")
@hint(
    "To attention a set of places has no order: add a vector of its own to what stands at each place, before the "
    "blocks."
)
def test_the_order_of_the_letters_counts(student, seed):
    model = small(student, seed)  # one block: the last place sees a set of vectors
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.zeros(24), np.ones(24), *rng.integers(LEVELS, size=(2, 24))]).astype(np.int64)
    require(attention.tells_places_apart(model.logits, x, x[:, [1, 0, 2, 3]]))


@points(0.25, "All blocks, then a norm")
@hint(
    "The vectors go through all blocks, one after the other, then through a last LayerNorm and a linear layer, and all "
    "of these are trained: their gradient is not cut anywhere."
)
def test_all_blocks_then_a_norm(student, seed):
    depth, width = 2, 2 * WIDTH
    size = dict(length=12, width=width, heads=1, depth=depth, precise=True)
    model, *others = (small(student, seed + k, **size) for k in range(NETWORKS))
    x = np.random.default_rng(seed).integers(LEVELS, size=(MANY, model.dims))
    gradients = [each.handle.gradient("log_prob", x, wrt="parameters") for each in (model, *others)]
    slip = "Does each block read what the one before it gave, and are there `depth` of them?"
    made_of = "as many as twelve matrices of W × W in each block"
    require_too(reach.reaches(reach.in_any(gradients), depth * 12 * width**2, f"{depth} blocks", made_of, slip))
    require_too(trained_by.told(model.handle, x[:16], seed=seed))
    require(ends_in_a_norm(student, seed))


def ends_in_a_norm(student, seed: int) -> Finding:
    """Logits are a linear layer of what was normalised: with larger matrices they grow as that layer does."""
    x = np.random.default_rng(seed).integers(LEVELS, size=(64, 4))

    def size(perturb: float) -> float:
        logits = small(student, seed, perturb=perturb, biases=0.0).logits(x)
        return float((logits - logits.mean(axis=-1, keepdims=True)).std())

    ordinary, large = size(1.0), size(LARGE)
    ok = not large > MOST * ordinary
    measured = f"with matrices {LARGE:g} times as large, logits are {large / max(ordinary, 1e-30):.1g} times as large"
    slip = (
        "Behind the blocks, x is as large as what all of them added: a last LayerNorm stands before the linear layer."
    )
    return Finding(float(ok), measured, "they grow as the last linear layer does", slip="" if ok else slip)


test_every_layer_has_weights_of_its_own = suite.own_layers(0.25)
test_every_example_for_itself = suite.every_example(0.25)
test_called_with_one_example = suite.one_example(0.25)
test_log_density_is_the_sum_of_the_conditionals = suite.chain_rule(
    0.25,
    "log p(x) = Σ_t log softmax(logits_t)[x_t]: softmax over the levels, the one that x_t has, summed over places.",
)
test_exact_far_from_the_data = suite.exact_far(0.25)
test_probabilities_sum_to_one = suite.sums_to_one(
    0.25, "Over all 81 texts of four letters p sums to one: log_prob is summed over the letters, not averaged, in nats."
)
test_samples_follow_the_density = suite.samples(
    0.25,
    "sample(n) draws with n × T fresh uniform numbers; each is drawn given those before it, not the most likely.",
    count=4000,
    networks=4,
    needs=test_each_letter_depends_only_on_earlier_letters,
)


# ---- what is kept ----------------------------------------------------------------------------------------


@points(0.5, "Step by step, the same logits")
@hint(
    "step reads one letter. Its place is the number of keys that are kept, and its keys and values go behind those: "
    "torch.cat([kept, new]) along the places, in every block its own."
)
def test_step_by_step_the_same_logits(student, seed):
    for k in range(suite.networks):
        model = small(student, seed + k, **suite.long, **STRONG)
        x = np.random.default_rng(seed + k).integers(LEVELS, size=(6, model.dims))
        stepped = expect(model.handle.call("stepwise", x), (*x.shape, LEVELS), f"{model.handle.label}.stepwise(x)")
        require(attention.steps_agree(log_conditionals(model.logits(x)), log_conditionals(stepped), NEAR))


def draws_what_there_is(student, seed: int) -> Iterator[Finding]:
    """The largest u below 1 gives the last level at most: the cumulative probabilities of all may stay below it."""
    model = small(student, seed, length=6, levels=TOP_LEVELS)
    u = np.random.default_rng(seed).random((TOPS, model.dims)).astype(np.float32)
    u[:, -1] = np.nextafter(np.float32(1), np.float32(0))
    outside = int((family.drawn(model, u) >= model.levels).sum())
    measured = f"{outside} of {TOPS} values are level {model.levels}, which is not there, where u is 0.99999994"
    slip = "By rounding, the sum of all probabilities may be below u: count all levels but the last, cdf[:, :-1] < u."
    yield Finding(float(not outside), measured, "levels from 0 to levels − 1", slip=slip if outside else "")


test_what_is_kept_changes_no_draw = besides(
    suite.draws(
        0.5,
        "x_t is the number of levels whose cumulative probability is below u_t, under the logits given x_1 … x_{t−1}. "
        "The first step reads the beginning, each other one the letter that was drawn last.",
        explain=lambda t: FIRST_STEP if t == 1 else "",
    ),
    draws_what_there_is,
)
test_drawing_saves_work = suite.speed(
    0.25,
    "A step computes one place in each block, from what was kept. Calling logits for every letter computes all again.",
    batch=24,
    least=3,
    needs=test_what_is_kept_changes_no_draw,
    length=128,
    levels=8,
    width=32,
    depth=2,
)


# ---- tokens ----------------------------------------------------------------------------------------------


def uneven(seed: int, T: int) -> np.ndarray:
    """A text in which some letters come more often, and after some: int64 (T,)."""
    rng = np.random.default_rng(seed)
    x = np.minimum(rng.geometric(0.45, size=T) - 1, LETTERS - 1)
    return np.where(np.roll(x, 1) == 1, 3, x)


def learnt(student, x: np.ndarray) -> np.ndarray:
    """The student's merges of a text, int64 (MERGES, 2)."""
    merges = expect(student.call("learn_merges", x, LETTERS, MERGES), (MERGES, 2), "learn_merges(x, levels, number)")
    return whole(merges, "learn_merges(x, levels, number)")


def reference_merges(x: np.ndarray) -> np.ndarray:
    """Merges of frequent pairs, made here: int64 (MERGES, 2)."""
    tokens, merges = x.tolist(), []
    for new in range(LETTERS, LETTERS + MERGES):
        pairs, counts = np.unique(np.column_stack([tokens[:-1], tokens[1:]]), axis=0, return_counts=True)
        merges.append(pairs[counts.argmax()].tolist())
        tokens = byte_pairs.merged(tokens, tuple(merges[-1]), new)
    return np.array(merges)


def tokens_of(student, x: np.ndarray, merges: np.ndarray) -> np.ndarray:
    """The student's tokens of a text, int64 (up to T,)."""
    tokens = student.call("encode", x, LETTERS, merges)
    return whole(listed(tokens, "encode(x, levels, merges)"), "encode(x, levels, merges)")


@points(0.5, "Each merge is of the most frequent pair")
@hint(
    "Count the neighbours of the text as it is after the merges so far: tokens that were made take part in the next "
    "count, and what they swallowed does not."
)
def test_each_merge_is_of_the_most_frequent_pair(student, seed):
    x = uneven(seed, 2 * LONG)
    require(byte_pairs.are_most_frequent(x, LETTERS, learnt(student, x)))


@points(0.5, "Merges apply in the order they were learnt")
@hint(
    "A pair that was merged first is merged first in every text: for each merge of the list, in its order, go through "
    "the text from left to right. The longest token that fits is not always what comes of it."
)
def test_merges_apply_in_the_order_they_were_learnt(student, seed):
    merges = reference_merges(uneven(seed, 2 * LONG))
    for x in (uneven(seed + 1, LONG), np.random.default_rng(seed).integers(LETTERS, size=LONG), np.ones(5, np.int64)):
        require(byte_pairs.applied_in_order(x, LETTERS, merges, tokens_of(student, x, merges)))


@points(0.5, "Decoding gives back what was encoded")
@hint(
    "A token stands for what its pair stands for, down to letters: the pair may be of tokens again. The first merge is "
    "the number `levels`."
)
def test_decoding_gives_back_what_was_encoded(student, seed):
    merges = reference_merges(uneven(seed, 2 * LONG))
    for x in (uneven(seed + 1, LONG), np.random.default_rng(seed).integers(LETTERS, size=100), np.array([2])):
        back = student.call("decode", tokens_of(student, x, merges), LETTERS, merges)
        back = whole(listed(back, "decode(tokens, levels, merges)"), "decode(tokens, levels, merges)")
        require(byte_pairs.gives_back(x, back))


# ---- what was trained ------------------------------------------------------------------------------------

test_trained_close_to_the_limit = suite.trained(
    1,
    "Train longer, let the learning rate fall to zero, or look at the places: the name comes again 35 letters later.",
    baseline=lambda: float(above_limit(DATA, [1])[0]),  # of who sees the last letter
    held_out=100,  # a mean difference of log-probabilities, whose chance is a tenth of what is to be lost
)


@points(0.25, "The trained model draws what it says")
@hint("What is true of small models is to be true of the trained one: draw(u) in eval mode, over all 96 letters.")
def test_the_trained_model_draws_what_it_says(student, seed):
    model = Conditionals(student.trained("gpt", "GPT"), DATA.shape, DATA.levels)
    u = np.random.default_rng(seed).random((4, model.dims)).astype(np.float32)
    x = family.drawn(model, u)
    require(sequences.falls_into(x, u, log_conditionals(model.logits(x.clip(0, DATA.levels - 1)))))
