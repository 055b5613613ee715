"""Exercise E5: μ-law and its inverse, a receptive field that is exactly what the dilations make it, kept draws."""

from collections.abc import Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import sequences as family
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.families.besides import besides, unused
from autograder.properties import layers, sequences, used
from autograder.properties.autoregressive import MOVED, log_conditionals
from autograder.properties.finding import Finding
from autograder.student import StudentCodeError, expect, whole
from deepul_utils import signals

DATA = signals.get("echo")
LEVELS = 3
SAME = 1e-4  # of numbers of order one in float32
NETWORKS = 3  # that must see everything together
FIELDS = ((2, (1, 2, 4)), (3, (1, 3)))  # (kernel, dilations) whose receptive fields are 8 and 9
FAR = 1e4  # here a gate is open or shut
ENTER = 4  # levels of a network whose entrance is looked at
LARGE = 8.0  # the size of random weights whose logits are large
NEAR_EDGE = 0.01  # of a level: nearer to the edge of a part, rounding may lead to its neighbour
FEW, MANY = (1, 2), (1, 2, 1, 2, 1)  # dilations of networks of which the second has three blocks more
USED = 5  # networks in none of which a weight does anything: a ReLU may be shut in one
TOP = np.float32(1 - 2**-24)  # the largest number that torch.rand gives
DRAWN, NEARLY_ONE = 8, 100  # signals of 256 levels, and of those that are drawn where u is nearly 1
BYTES = "These are no levels: int8 ends at 127. Keep levels as int64."
FIRST_STEP = "The first value is wrong. What does the first step read? Is x_1 the level that u_1 falls into?"


def small(
    student,
    seed: int,
    length: int = 4,
    levels: int = LEVELS,
    width: int = 8,
    kernel: int = 2,
    dilations: tuple[int, ...] = (1, 2),
    **strength: float,
) -> Conditionals:
    """A small WaveNet with random weights."""
    size = dict(length=length, levels=levels, width=width, kernel=kernel, dilations=list(dilations))
    return Conditionals(student.new("WaveNet", seed=seed, **size, **strength), (length,), levels)


def field_of(kernel: int, dilations: tuple[int, ...]) -> int:
    """1 + Σ dilation · (kernel − 1)."""
    return 1 + sum(dilations) * (kernel - 1)


suite = family.Suite(
    exercise="wavenet",
    of="WaveNet",
    small=small,
    data=(DATA,),
    recipe=Recipe("Adam", lr=1e-2, steps=600, batch=16),
    says="logits(x) is (B, T, levels) and log_prob(x) is (B,)",
    variable="value",
    before="value",
    example="signal",
    parts=DATA.length,
    deep={"dilations": (1, 2, 4)},
    tall={"length": 20, "dilations": (1, 2, 4), **STRONG},
    long={"length": 20, "kernel": 3, "dilations": (1, 2, 4)},
)


@points(1, "μ-law and its inverse")
@hint(
    "f(x) = sign(x) log(1 + μ|x|) / log(1 + μ) with μ = levels − 1 goes from −1 to 1, cut into even levels. Back: "
    "the middle of the level, and x = sign(f) ((1 + μ)^|f| − 1) / μ."
)
def test_mu_law_and_its_inverse(student, seed):
    rng = np.random.default_rng(seed)
    for levels in (256, 16):
        every = np.arange(levels)
        loud = rng.uniform(-1, 1, 200)
        x = np.concatenate([[-1.0, 1.0], loud, loud * 10.0 ** rng.uniform(-4, 0, 200)]).astype(np.float32)
        coded = whole(expect(student.call("mu_law", x, levels), x.shape, "mu_law(x)"), "mu_law(x)")
        back = expect(student.call("mu_law_inverse", every, levels), every.shape, "mu_law_inverse(levels)")
        again = whole(student.call("mu_law", back.astype(np.float32), levels), "mu_law(mu_law_inverse(levels))")
        require(keeps_levels(coded, again, levels))
        require(are_the_middles(back, levels))
        require(are_the_parts(x, coded, levels))


def keeps_levels(coded: np.ndarray, again: np.ndarray, levels: int) -> Finding:
    """Levels are 0 … levels − 1, from end to end, and come back from μ-law's inverse as they were."""
    required = f"levels 0 … {levels - 1}, and each comes back as itself"
    ends = (int(coded.min()), int(coded.max()))
    if ends != (0, levels - 1):
        return Finding(0.0, f"−1 … 1 becomes the levels {ends[0]} … {ends[1]}", required)
    wrong = int((again != np.arange(levels)).sum())
    measured = f"{wrong} of {levels} levels come back as others" if wrong else f"all {levels} levels come back"
    return Finding(float(not wrong), measured, required)


def law(x: np.ndarray, levels: int) -> np.ndarray:
    """f(x) = sign(x) log(1 + μ|x|) / log(1 + μ), in double precision."""
    x, mu = x.astype(np.float64), levels - 1
    return np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)


def are_the_middles(back: np.ndarray, levels: int) -> Finding:
    """What comes back of every level is the middle of its part, in μ-law's scale."""
    off = np.abs(law(back, levels) - (2 * (np.arange(levels) + 0.5) / levels - 1)) * levels / 2
    measured = f"what comes back of {levels} levels is up to {off.max():.2g} levels from the middle"
    return Finding(float(off.max() <= NEAR_EDGE), measured, "the middle of each of the equal parts, in μ-law’s scale")


def are_the_parts(x: np.ndarray, coded: np.ndarray, levels: int) -> Finding:
    """The level of x is the part of [−1, 1] that f(x) lies in, of as many equal ones as there are levels."""
    place = (law(x, levels) + 1) / 2 * levels
    inside = np.abs(place - np.round(place)) > NEAR_EDGE
    wrong = int((coded != np.floor(place))[inside].sum())
    measured = f"{wrong} of {int(inside.sum())} numbers get another level than the part, of {levels}, that f(x) lies in"
    return Finding(float(not wrong), measured, f"{levels} equal parts of [−1, 1], in μ-law’s scale")


@points(1, "A causal convolution, and one step of it")
@hint(
    "The output at t is W_0 x_{t−(k−1)d} + … + W_{k−1} x_t + b: pad (k − 1)·d zeros on the left, none on the right. "
    "step gives the same, from x_t and the (k − 1)·d inputs before it, and hands on the last (k − 1)·d of all."
)
def test_a_causal_convolution_and_one_step_of_it(student, seed):
    rng, T = np.random.default_rng(seed), 9
    for k, d in ((2, 1), (2, 3), (3, 2)):
        conv = student.new("CausalConv1d", 2, 3, k, d, seed=seed)
        x = rng.normal(size=(2, 2, T)).astype(np.float32)
        out = expect(conv.call("forward", x), (2, 3, T), "CausalConv1d(…)(x)")
        require(reads(conv, x, out, k, d))
        past, stepped = np.zeros((2, 2, (k - 1) * d), np.float32), []
        for t in range(T):
            got, past = pair(conv.call("step", x[:, :, t], past))
            stepped.append(expect(got, (2, 3), "CausalConv1d.step(x, past)[0]"))
            past = expect(past, (2, 2, (k - 1) * d), "CausalConv1d.step(x, past)[1]").astype(np.float32)
        off = float(np.abs(np.stack(stepped, axis=2) - out).max())
        measured = f"steps with k = {k}, d = {d} differ from the whole by {off:.2g}"
        require(Finding(float(off <= SAME * (1 + np.abs(out).max())), measured, "step by step the same as the whole"))
        require_too(keeps_the_oldest_first(past, x, (k - 1) * d))
        require_too(adds_its_bias(conv, x))


def keeps_the_oldest_first(past: np.ndarray, x: np.ndarray, kept: int) -> Finding:
    """What a step hands on are the last inputs, oldest first."""
    off = float(np.abs(past - x[:, :, x.shape[2] - kept :]).max())
    measured = f"the past that step hands on is {off:.2g} from the last {kept} inputs, oldest first"
    return Finding(float(off <= SAME), measured, f"the {kept} inputs before the next one, oldest first")


def adds_its_bias(conv, x: np.ndarray) -> Finding:
    """Where all inputs are zero, y_t = b. One that has no parameter of this name is not asked."""
    b, required = conv.parameters().get("bias"), "where all inputs are zero, y_t = b"
    if b is None:
        return Finding(1.0, required, required)
    out = np.asarray(conv.call("forward", np.zeros_like(x)))
    off = float(np.abs(out - b[:, None]).max())
    return Finding(float(off <= SAME), f"where all inputs are zero, y_t is {off:.2g} from b", required)


def pair(answer) -> tuple:
    """Two things that came back; where it was one, and nothing."""
    return tuple(answer) if isinstance(answer, list) and len(answer) == 2 else (answer, None)


def reads(conv, x: np.ndarray, out: np.ndarray, k: int, d: int) -> Finding:
    """The last output moves with x_t, x_{t−d}, …, x_{t−(k−1)d}, and with no other input."""
    T = x.shape[2]
    changed = np.repeat(x[:1], T, axis=0)
    changed[np.arange(T), :, np.arange(T)] += 1
    moved = np.abs(expect(conv.call("forward", changed), (T, *out.shape[1:]), "CausalConv1d(…)(x)") - out[:1])
    seen = np.flatnonzero(moved[:, :, -1].max(axis=1) > MOVED)
    wanted = np.arange(T - 1 - (k - 1) * d, T, d)
    back = ", ".join(str(T - 1 - j) for j in seen[::-1])
    required = f"{', '.join(str(j * d) for j in range(k))} values back, with k = {k} and d = {d}"
    return Finding(
        float(np.array_equal(seen, wanted)), f"an output sees what is {back or 'nothing'} values back", required
    )


@points(0.5, "A block adds what its gate lets through")
@hint(
    "z = tanh(a) ⊙ σ(b) lies between −1 and 1, however large x is. The block gives x plus a 1×1 convolution of z, and "
    "another one of z for the skip sum: not of x, and not through a ReLU."
)
def test_a_block_adds_what_its_gate_lets_through(student, seed):
    block = student.new("GatedBlock", 6, 2, 1, seed=seed)
    x = np.random.default_rng(seed).normal(size=(40, 6, 3)).astype(np.float32)

    def parts(scale: float) -> tuple[np.ndarray, np.ndarray]:
        out, skip = pair(block.call("forward", scale * x))
        return expect(out, x.shape, "GatedBlock(…)(x)[0]") - scale * x, expect(skip, x.shape, "GatedBlock(…)(x)[1]")

    added, skip = parts(FAR)
    require(is_bounded("x' − x", added, FAR))
    require(is_bounded("skip", skip, FAR))
    require(is_gated(skip, parts(-FAR)[1]))
    require_too(has_both_signs([narrow(student, seed + k) for k in range(NETWORKS)]))
    for found in are_two_maps(added, skip):
        require_too(found)


def is_bounded(what: str, values: np.ndarray, scale: float) -> Finding:
    """Sums of a few numbers between −1 and 1 stay small where x is huge; float32 rounds x itself."""
    most = float(np.abs(values).max())
    return Finding(
        float(most < scale / 100), f"{what} is up to {most:.3g} where x is near {scale:g}", "it stays bounded"
    )


def is_gated(one: np.ndarray, other: np.ndarray) -> Finding:
    """tanh alone is odd: what it gives for −x is the same with the other sign, but for biases."""
    odd = np.abs((one + other) - (one + other).mean(axis=(0, 2), keepdims=True)).max()
    size = np.abs(one - one.mean(axis=(0, 2), keepdims=True)).max()
    ok = odd > 0.05 * size
    measured = (
        "skip(x) and skip(−x) differ by more than a sign" if ok else "skip(−x) is −skip(x): nothing shuts the gate"
    )
    return Finding(float(ok), measured, "σ(b) opens and shuts the gate")


def narrow(student, seed: int) -> np.ndarray:
    """The skip of a block of one channel, which is w z + b, where gates are open or shut: z is −1, 0 or 1."""
    x = FAR * np.random.default_rng(seed).normal(size=(400, 1, 3)).astype(np.float32)
    block = student.new("GatedBlock", 1, 2, 1, seed=seed)
    return expect(pair(block.call("forward", x))[1], x.shape, "GatedBlock(…)(x)[1]").ravel()


def has_both_signs(skips: list[np.ndarray]) -> Finding:
    """w z + b, in some of several networks, takes three values that lie evenly: z is −1, 0 and 1."""
    required, most = "z = tanh(a) ⊙ σ(b): −1, 0 and 1 where x is huge", 0
    for skip in skips:
        low, high = np.quantile(skip, (0.005, 0.995))
        at = (skip - low) / max(high - low, 1e-12)
        values = [v for v in (0, 0.5, 1) if (np.abs(at - v) < 0.02).mean() > 0.001]
        most = max(most, len(values))
    measured = f"where x is huge, what a gate lets through takes {most} of these values"
    return Finding(float(most == 3), measured, required)


def are_two_maps(added: np.ndarray, skip: np.ndarray) -> Iterator[Finding]:
    """x' − x and the skip are two convolutions of z, which is −1, 0 or 1 where gates are open or shut."""
    rounding = FAR * 1e-6
    for what, values, wanted in (("x' − x", added, "W_r z"), ("skip", skip, "W_s z")):
        itself = bool((np.abs(values - np.round(np.clip(values, -1, 1))) < rounding).all())
        measured = f"where x is huge, {what} is −1, 0 or 1, as z itself is"
        yield Finding(float(not itself), measured, f"{wanted}: a 1×1 convolution of z")
    same = float(np.abs(added - skip).max())
    yield Finding(float(same > rounding), "x' − x is the same as skip", "W_r z and W_s z: each has weights of its own")


test_each_value_depends_only_on_earlier_values = suite.causal(
    1,
    "Some output sees its own value: shift what goes into the first block by one, so that output t sees x_{t−1} first.",
)


@points(1, "The receptive field is 1 + Σ d (k − 1)")
@hint(
    "The output at t sees the 1 + Σ d·(k − 1) values before it: the shift gives one, every block (k − 1)·d more. Each "
    "block has its own dilation, in the order given, and k positions that are d apart."
)
def test_the_receptive_field_is_exact(student, seed):
    for kernel, dilations in FIELDS:
        size = dict(length=12, kernel=kernel, dilations=dilations)
        networks = [small(student, seed + k, **size) for k in range(NETWORKS)]
        logits = (made.logits for made in networks)
        require(sequences.sees_exactly(logits, 12, LEVELS, field_of(kernel, dilations), seed))


IDLE = (
    "Something of each block has no part in the logits, or its gradient is cut off: are the skips of all blocks "
    "summed, does the x' of each block go into the next one, and is there a detach() or a no_grad() on the way?"
)


def every_block_counts(student, seed: int) -> Iterator[Finding]:
    """More blocks have more weights, and those of each have a part in log_prob."""
    few, many = (
        [small(student, seed + k, length=12, dilations=dilations) for k in range(USED)] for dilations in (FEW, MANY)
    )
    size, larger = (sum(p.size for p in models[0].handle.parameters().values()) for models in (few, many))
    yield layers.grows(size, larger, "WaveNet", "blocks")
    more = len(MANY) - len(FEW)
    yield used.none_is_left_out(unused(few, seed), unused(many, seed), f"{more} blocks more", 8 * more, IDLE)


test_every_layer_has_weights_of_its_own = besides(suite.own_layers(0.25), every_block_counts)
test_every_example_for_itself = suite.every_example(0.25)
test_called_with_one_example = suite.one_example(0.25)


def unnormalised(student, seed: int) -> Iterator[Finding]:
    """Logits of a network with large weights are no probabilities."""
    model = small(student, seed, length=8, perturb=LARGE)
    yield used.are_unnormalised(model.logits(np.random.default_rng(seed).integers(LEVELS, size=(16, 8))))


test_log_density_is_the_sum_of_the_conditionals = besides(
    suite.chain_rule(
        0.25,
        "log p(x) = Σ_t log softmax(logits_t)[x_t]: softmax over the levels, the one that x_t has, summed over time.",
    ),
    unnormalised,
)


@points(0.25, "Levels enter between −1 and 1")
@hint("entered(x) is a 1×1 convolution of 2x / (L − 1) − 1, where L is self.levels, not 256: level 0 enters as −1.")
def test_levels_enter_between_minus_one_and_one(student, seed):
    model, x = small(student, seed, levels=ENTER).handle, np.arange(ENTER)[:, None].repeat(4, axis=1)
    out = expect(model.call("entered", x), (ENTER, 8, 4), "WaveNet(…).entered(x)")
    alike = [k for k in range(1, ENTER) if np.array_equal(out[k], out[k - 1])]
    measured = f"of {ENTER} levels, {alike[0] - 1} and {alike[0]} enter as the same" if alike else "levels enter apart"
    require(Finding(float(not alike), measured, "each level enters as another number"))
    bent = np.abs(np.diff(out, n=2, axis=0)).max() > SAME  # an embedding of levels has no scale
    even = bent or enters_evenly(model, x, seed)
    measured = "levels enter on [−1, 1]" if even else "levels enter in even steps, but not from −1 to 1"
    require(Finding(float(even), measured, "2x / (L − 1) − 1: −1 for level 0, 1 for the last"))


def enters_evenly(model, x: np.ndarray, seed: int) -> bool:
    """Whether what enters is W v + b of v from −1 to 1: the gradient of a W of one number a channel is as v is.

    Where there is no such W, or it is frozen, it is not asked.
    """
    cotangent = np.random.default_rng(seed).normal(size=(1, 8, x.shape[1])).astype(np.float32)
    try:
        rows = [model.gradient("entered", row[None], wrt="parameters", cotangent=cotangent) for row in x]
    except StudentCodeError as error:
        if error.kind != "no gradient":
            raise
        return True
    each = [np.stack([row[name] for row in rows]) for name, g in rows[0].items() if g is not None]
    moving = [g for g in each if g[0].size == 8 and np.abs(g - g[0]).max() > 0.01]
    v = np.linspace(1, -1, len(x))
    return not moving or any(
        np.abs(g - np.multiply.outer(v, g[0])).max() < SAME * (1 + np.abs(g).max()) for g in moving
    )


test_exact_far_from_the_data = suite.exact_far(0.25)
test_probabilities_sum_to_one = suite.sums_to_one(
    0.5, "Over all 81 signals of four values p sums to one: log_prob is summed over the values, not averaged, in nats."
)
test_samples_follow_the_density = suite.samples(
    0.5,
    "sample(n) draws with n × T fresh uniform numbers; each is drawn given those before it, not the most likely.",
    count=4000,
    networks=4,
    needs=test_each_value_depends_only_on_earlier_values,
)


def draws_of_256_levels(student, seed: int) -> Iterator[Finding]:
    """Of bytes, draws are levels, also where u is nearly 1, and the same u gives the same signal again."""
    model = small(student, seed, length=16, levels=256)
    rng = np.random.default_rng(seed)
    u = rng.random((DRAWN, model.dims)).astype(np.float32)
    x = family.drawn(model, u)
    log_p = log_conditionals(model.logits(x.clip(0, 255)))
    yield sequences.falls_into(x, u, log_p, lambda t: BYTES if x.min() < 0 or x.max() > 255 else "")
    off = float((family.drawn(model, u) != x).mean())
    measured = f"the same u gives other levels at {off:.0%} of the places when draw is called again"
    slip = "draw(u) begins every signal with pasts of zeros: nothing is kept in self from one call to the next."
    yield Finding(float(off == 0), measured, "the same u, the same signal", slip=slip)
    u = np.full((NEARLY_ONE, model.dims), TOP)
    u[:, :2] = rng.random((NEARLY_ONE, 2))  # that they are told of others
    top = family.drawn(model, u)
    measured = f"where u is nearly 1, levels of up to {top.max()} are drawn"
    slip = "Rounding: all probabilities may add up to less than u. Ask all levels but the last, cdf[:, :-1] < u."
    yield Finding(float(top.max() <= 255), measured, "levels 0 … 255", slip=slip)


test_what_is_kept_changes_no_draw = besides(
    suite.draws(
        1,
        "x_t is the number of levels whose cumulative probability is below u_t, under the logits given x_1 … x_{t−1}. "
        "The first step reads no value: zeros, as the shift puts them. Every block keeps its own (k − 1)·d inputs.",
        explain=lambda t: FIRST_STEP if t == 1 else "",
    ),
    draws_of_256_levels,
)
test_drawing_saves_work = suite.speed(
    0.5,
    "A step computes one value in each layer, from what was kept. Calling logits for every value computes all again.",
    batch=24,
    least=2,
    needs=test_what_is_kept_changes_no_draw,
    length=160,
    levels=16,
    width=16,
    dilations=(1, 2, 4, 8, 16, 32, 64),
)
test_trained_close_to_the_limit = suite.trained(
    1,
    "Train longer, let the learning rate fall to zero, or look at the receptive field: the echo comes after 24 values.",
    baseline=lambda: DATA.above_limit(0),
    held_out=60,  # a mean difference of log-probabilities, whose chance is a tenth of what is to be lost
)


@points(0.5, "The trained model draws what it says")
@hint("What is true of small models is to be true of the trained one: draw(u) in eval mode, with its own dilations.")
def test_the_trained_model_draws_what_it_says(student, seed):
    model = Conditionals(student.trained("wavenet", "WaveNet"), DATA.shape, DATA.levels)
    u = np.random.default_rng(seed).random((4, model.dims)).astype(np.float32)
    x = family.drawn(model, u)
    require(sequences.falls_into(x, u, log_conditionals(model.logits(x.clip(0, 255)))))
