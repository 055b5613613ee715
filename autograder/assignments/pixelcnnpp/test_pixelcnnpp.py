"""Exercise E3: a discretised mixture of logistics that ties three colours, shifted convolutions, two sizes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import parameters
from autograder.families import pictures as family
from autograder.families.autoregressive import Conditionals
from autograder.properties import discrete, layers
from autograder.properties.autoregressive import AGREE, FLOORED, MOVED, log_conditionals
from autograder.properties.finding import Finding
from autograder.student import expect
from deepul_utils import pictures

DATA = pictures.get("tints")
LEVELS = 3  # of the small instances: 1 × 2 pixels in colour have 3⁶ = 729 states
SAME = 1e-4  # of numbers of order one in float32
CUBE, K = 4, 3  # levels of a cube of colours, and components
FAR = 0.01  # of the size of a log-probability that is a difference of some hundreds in float32
BLOCKS = 6  # three for each of the two streams
COMES_IN = 4  # what comes in aside while half the size says nothing: u in ul, twice, and both that were kept
MANY, DRAWS = 64, 16_000  # levels and draws that tell one bump from another
PAIR, SQUARE, TALL = (3, 1, 2), (3, 3, 3), (3, 5, 3)


def small(
    student, seed: int, shape: tuple[int, ...] = PAIR, levels: int = LEVELS, width: int = 8, components: int = 2,
    **strength: float,
) -> Conditionals:  # fmt: skip
    """A small PixelCNN++ with random weights; its variables are R, G, B of pixel 1, then of pixel 2 …"""
    size = dict(shape=list(shape), levels=levels, width=width, components=components)
    return Conditionals(student.new("PixelCNNpp", seed=seed, **size, **strength), shape, levels)


suite = family.Suite(
    exercise="pixelcnnpp",
    of="PixelCNNpp",
    small=small,
    data=(DATA,),
    recipe=Recipe("Adam", lr=1e-2, steps=1000, batch=16),
    variable="value",
    before="value",
    says="logits(x) is (B, 3, H, W, levels) and log_prob(x) is (B,)",
    wide={"shape": SQUARE},
    tall={"shape": TALL},
    whole={"shape": (3, 6, 6)},
)


def exact_bins(x: np.ndarray, mu: np.ndarray, log_s: np.ndarray, levels: int) -> np.ndarray:
    """log P(x | μ, s) in double precision."""
    delta, s = 2 / (levels - 1), np.exp(log_s.astype(float))
    centre = x * delta - 1
    b, a = (centre + delta / 2 - mu) / s, (centre - delta / 2 - mu) / s
    below, above = -np.logaddexp(0, -b), -np.logaddexp(0, a)
    inside = below + above + np.log(-np.expm1(-delta / s))
    return np.where(x == 0, below, np.where(x == levels - 1, above, inside))


def bins(student, x: np.ndarray, mu: np.ndarray, log_s: np.ndarray, levels: int) -> np.ndarray:
    """What log_bins gives, its shape checked."""
    shape = np.broadcast_shapes(x.shape, mu.shape, log_s.shape)
    return expect(student.call("log_bins", x, mu, log_s, levels), shape, "log_bins(x, mu, log_s, levels)")


@points(0.75, "The bins of a channel sum to one")
@hint(
    "The lowest bin begins at −∞, so it is σ(b) alone, and the highest ends at +∞: σ(−a). All others are σ(b) − σ(a)."
)
def test_the_bins_of_a_channel_sum_to_one(student, seed):
    rng = np.random.default_rng(seed)
    for levels in (CUBE, 64):
        mu, log_s = rng.uniform(-1.5, 1.5, 40).astype(np.float32), rng.uniform(-5, 1, 40).astype(np.float32)
        log_p = bins(student, np.arange(levels)[:, None], mu, log_s, levels)
        off = float(np.abs(np.exp(log_p.astype(float)).sum(axis=0) - 1).max())
        measured = f"the probabilities of {levels} levels sum to 1 within {off:.2g}"
        require(Finding(float(off <= SAME), measured, f"1 within {SAME:g}"))


@points(1, "Bins are exact, at the ends and far away")
@hint(
    "log P = log σ(b) + log σ(−a) + log(1 − e^(−δ/s)) inside, F.logsigmoid of b alone at level 0 and of −a at level "
    "L − 1, with b, a = (x̃ ± δ/2 − μ)/s, x̃ = xδ − 1 and δ = 2/(L − 1). Nothing is clamped, no 1e-8 is added."
)
def test_bins_are_exact_at_the_ends_and_far_away(student, seed):
    rng, levels = np.random.default_rng(seed), 64
    mu = rng.uniform(-1, 1, 60).astype(np.float32)
    x = np.arange(levels)[:, None]
    for log_s, where in ((-1.5, "near"), (-5.0, "far away")):
        log_s = np.full(60, log_s, np.float32)
        wanted = exact_bins(x, mu, log_s, levels)
        error = np.abs(bins(student, x, mu, log_s, levels) - wanted) / (1 + np.abs(wanted))
        ends, inside = float(error[[0, -1]].max()), float(error[1:-1].max())
        slip = FLOORED if where != "near" and ends <= AGREE else ""
        measured = f"log P is off by {ends:.2g} of its size at the ends, by {inside:.2g} inside ({where})"
        require(Finding(float(max(ends, inside) <= AGREE), measured, f"within {AGREE:g} of its size", slip=slip))


@points(0.5, "Means are straight lines in the colours before")
@hint(
    "μ_R stays, μ_G + α R, μ_B + β R + γ G: α, β, γ are the three numbers of `tied` of a component, and R and G are "
    "colours of the pixel on [−1, 1], the same for all components."
)
def test_means_are_straight_lines_in_the_colours_before(student, seed):
    rng = np.random.default_rng(seed)
    mu, tied = (rng.normal(size=(2, K, 3, 2, 3)).astype(np.float32) for _ in range(2))
    x = rng.uniform(-1, 1, size=(2, 3, 2, 3)).astype(np.float32)
    got = expect(student.call("tied_means", mu, tied, x), mu.shape, "tied_means(mu, tied, x)")
    R, G = x[:, None, 0], x[:, None, 1]
    of_blue = tied[:, :, 1] * R + tied[:, :, 2] * G
    wanted = mu + np.stack([0 * of_blue, tied[:, :, 0] * R, of_blue], axis=2)
    off = np.abs(got - wanted).max(axis=(0, 1, 3, 4))
    measured = "means are off by " + ", ".join(
        f"{v:.2g} ({c})" for c, v in zip(("red", "green", "blue"), off, strict=True)
    )
    require(Finding(float(off.max() <= SAME), measured, f"the straight lines, within {SAME:g}"))


@points(0.75, "The colours of a pixel sum to one")
@hint(
    "log Σ_k π_k P_k(R) P_k(G | R) P_k(B | R, G): the colours are multiplied within a component, π counts once for the "
    "pixel, and the sum over the components comes last (logsumexp)."
)
def test_the_colours_of_a_pixel_sum_to_one(student, seed):
    channels = np.random.default_rng(seed).normal(size=(1, 10 * K, 1, 1)).astype(np.float32)

    def log_prob(colours: np.ndarray) -> np.ndarray:
        told = np.repeat(channels, len(colours), axis=0)
        got = student.call("pixel_log_prob", told, colours[:, :, None, None], CUBE)
        return expect(got, (len(colours), 1, 1), "pixel_log_prob(channels, x, levels)")[:, 0, 0]

    require(discrete.sums_to_one(log_prob, 3, CUBE, seed))
    require(of_its_components(student, channels, log_prob))


def of_its_components(student, channels: np.ndarray, log_prob) -> Finding:
    """The mixture of the components that `parts` tells of, every one with its own weight for the whole pixel."""
    log_pi, of_colours = components(student, channels)
    wanted = np.logaddexp.reduce(log_pi + of_colours.sum(axis=2), axis=1)
    off = float(np.abs(wanted - log_prob(discrete.states(3, CUBE))).max())
    return Finding(float(off <= 1e-3), f"log p(R, G, B) is off by {off:.2g}", "that of the mixture, within 0.001")


def components(student, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log π, (K,), and the log-probability of each colour of every state in each component, (states, K, 3)."""
    x = discrete.states(3, CUBE)
    log_pi, mu, log_s, tied = (np.asarray(part, float)[0, ..., 0, 0] for part in student.call("parts", channels))
    R, G = (2 * x[:, None, c] / (CUBE - 1) - 1 for c in (0, 1))
    lines = np.stack([0 * R + 0 * tied[:, 0], tied[:, 0] * R, tied[:, 1] * R + tied[:, 2] * G], axis=2)
    return log_pi, exact_bins(x[:, None], mu + lines, log_s, CUBE)


@points(0.25, "Exact for colours that are hardly possible")
@hint(
    "The sum over the components is torch.logsumexp of log-probabilities: exp(…).sum().log() is −∞ where all of them "
    "are far away, and with 1e-12 inside the logarithm it stops there."
)
def test_exact_for_colours_that_are_hardly_possible(student, seed):
    rng, x = np.random.default_rng(seed), discrete.states(3, CUBE)
    raw = 0.3 * rng.normal(size=(10, K))
    raw[4:7] = -3  # `parts` makes log s = −5 of it: bumps far narrower than a bin
    channels = raw.reshape(1, 10 * K, 1, 1).astype(np.float32)
    log_pi, of_colours = components(student, channels)
    told = np.repeat(channels, len(x), axis=0), x[:, :, None, None], CUBE
    log_p = expect(student.call("pixel_log_prob", *told), (len(x), 1, 1), "pixel_log_prob(channels, x, levels)")
    wanted = np.logaddexp.reduce(log_pi + of_colours.sum(axis=2), axis=1)
    require(far_off(log_p[:, 0, 0], wanted, "log p(R, G, B)"))
    logits = expect(student.call("level_logits", *told), (len(x), 3, 1, 1, CUBE), "level_logits(channels, x, levels)")
    require(far_off(log_conditionals(logits[:, :, 0, 0]), conditionals(wanted), "log p of a level, given those before"))


def conditionals(log_p: np.ndarray) -> np.ndarray:
    """log p of every level of each colour, given those before it: (levels³,) -> (levels³, 3, levels)."""
    joint = log_p.reshape(CUBE, CUBE, CUBE)
    two = np.logaddexp.reduce(joint, axis=2)
    R, G, _ = discrete.states(3, CUBE).T
    of = np.stack([np.logaddexp.reduce(two, axis=1)[None].repeat(len(R), axis=0), two[R], joint[R, G]], axis=1)
    return log_conditionals(of)


def far_off(got: np.ndarray, wanted: np.ndarray, what: str) -> Finding:
    """Near to what it should be, by its size, down to where all components are far away."""
    with np.errstate(invalid="ignore"):
        error = np.nan_to_num(np.abs(got - wanted) / (1 + np.abs(wanted)), nan=np.inf)
    worst = np.unravel_index(error.argmax(), error.shape)
    ok = bool(error[worst] <= FAR)
    measured = f"{what} is {got[worst]:.5g} where it should be {wanted[worst]:.5g}"
    if ok:
        measured = f"{what} is exact down to {wanted.min():.4g}"
    return Finding(float(ok), measured, f"within {FAR:.0%} of its size")


def moved_by_inputs(call, H: int, W: int, at: tuple[int, int]) -> np.ndarray:
    """Whether the output at `at` moves with each input pixel: bool (H, W). call: (B, 2, H, W) -> (B, …)."""
    x = np.random.default_rng(0).normal(size=(1, 2, H, W)).astype(np.float32)
    changed = np.repeat(x, H * W, axis=0).reshape(-1, 2, H * W)
    changed[np.arange(H * W), :, np.arange(H * W)] += 1
    out, same = call(changed.reshape(-1, 2, H, W)), call(x)
    return (np.abs(out - same)[:, :, at[0], at[1]].max(axis=1) > MOVED).reshape(H, W)


def sees(moved: np.ndarray, rows: range, columns: range, what: str) -> Finding:
    """An output sees exactly these rows and columns."""
    wanted = np.zeros_like(moved)
    wanted[np.ix_(list(rows), list(columns))] = True
    seen = np.argwhere(moved)
    box = (
        "nothing"
        if not len(seen)
        else "rows {}–{}, columns {}–{}".format(*(int(v) for c in (0, 1) for v in (seen[:, c].min(), seen[:, c].max())))
    )
    required = f"rows {rows[0]}–{rows[-1]}, columns {columns[0]}–{columns[-1]}"
    return Finding(float(np.array_equal(moved, wanted)), f"{what} sees {box}", required)


@points(0.5, "Shifts are by one, and zeros come in")
@hint("down_shift(x)[i] is row i − 1 and right_shift(x)[j] column j − 1, with zeros at the edge: no row comes round.")
def test_shifts_are_by_one_and_zeros_come_in(student, seed):
    x = np.random.default_rng(seed).normal(size=(2, 2, 3, 4)).astype(np.float32)
    for name, axis in (("down_shift", 2), ("right_shift", 3)):
        wanted = np.roll(x, 1, axis=axis)
        wanted[(slice(None),) * axis + (0,)] = 0
        off = float(np.abs(expect(student.call(name, x), x.shape, f"{name}(x)") - wanted).max())
        require(Finding(float(off == 0), f"{name}(x) is off by {off:.2g}", "moved by one, zeros at the edge"))


@points(1, "Convolutions end at the pixel itself, in both sizes")
@hint(
    "Zeros above: h − 1 rows. Zeros beside: w − 1 on the left where `right`, w // 2 on both sides else. With stride 2 "
    "the kernel ends at (2i, 2j). Upwards, pixel (i, j) goes to (2i, 2j) and on: cut at the end, not at the begin."
)
def test_convolutions_end_at_the_pixel_itself_in_both_sizes(student, seed):
    new = partial(student.new, seed=seed)
    for kernel, right, columns in (((2, 3), False, range(2, 5)), ((2, 2), True, range(2, 4))):
        side = "left and above" if right else "above"
        conv = new("ShiftedConv2d", 2, 3, kernel, right)

        def call(x: np.ndarray, of=conv) -> np.ndarray:
            return expect(of.call("forward", x), (len(x), 3, *x.shape[2:]), "ShiftedConv2d(…)(x)")

        require(sees(moved_by_inputs(call, 5, 6, (2, 3)), range(1, 3), columns, f"({side}) output (2, 3)"))
        half = new("ShiftedConv2d", 2, 3, kernel, right, 2)

        def down(x: np.ndarray, of=half) -> np.ndarray:
            return expect(of.call("forward", x), (len(x), 3, 2, 3), "ShiftedConv2d(…, stride=2)(x)")

        below = range(columns[0] - 1, columns[-1])  # of output (1, 1), which lies at (2, 2)
        require(sees(moved_by_inputs(down, 4, 6, (1, 1)), range(1, 3), below, f"({side}, stride 2) output (1, 1)"))
        double = new("ShiftedUp2d", 2, 3, kernel, right)

        def up(x: np.ndarray, of=double) -> np.ndarray:
            return expect(of.call("forward", x, [4, 6]), (len(x), 3, 4, 6), "ShiftedUp2d(…)(x, size)")

        odd = range(1, 2 if right else 3)  # of an odd column; without `right` it lies between two pixels
        for at, rows, beside in (((2, 2), range(1, 2), range(1, 2)), ((1, 3), range(1), odd)):
            require(sees(moved_by_inputs(up, 2, 3, at), rows, beside, f"({side}, up) output {at}"))


test_each_value_depends_only_on_earlier_values = suite.causal(
    1,
    "Some output sees itself or what comes after it. Both streams begin shifted: u by a row, ul by a row (above_ul) "
    "and by a column (left). A colour sees those before it in its pixel through the means and the weights alone.",
)
test_no_blind_spot = suite.no_blind_spot(
    0.5,
    "Some value of the past reaches no output: green sees its red, blue sees both, and all see the pixels before; ul "
    "gets u aside in every block, and what went down comes in again when the picture is as large as before.",
    networks=4,
)


@points(0.25, "Every layer has weights of its own")
@hint(layers.SHARED)
def test_every_layer_has_weights_of_its_own(student, seed):
    model = small(student, seed, shape=SQUARE)
    require(layers.are_their_own(model.handle.call("state_dict"), model.handle.parameters()))
    require(six_blocks_are_used(model, seed))


def six_blocks_are_used(model: Conditionals, seed: int) -> Finding:
    """The logits move with the weights of six blocks, by the name of the second convolution of a Residual.

    A model that has no such names is not asked.
    """
    x = np.random.default_rng(seed).integers(model.levels, size=(4, *model.shape))
    blocks = {name: g for name, g in gradients(model, x, seed).items() if name.endswith("W_2.weight")}
    used = sum(g is not None and bool(g.any()) for g in blocks.values())
    measured = f"the logits move with the weights of {used} blocks"
    slip = "A block stands in two places: those of u and of ul are three each, and each is called once."
    return Finding(float(used >= BLOCKS or not blocks), measured, f"{BLOCKS} blocks, each with its own", slip=slip)


@points(0.25, "The network has all its parts")
@hint(
    "u ← above_u, moved down, and ul ← above_ul, moved down, plus left, moved right, of four channels: the colours on "
    "[−1, 1], and ones. In block 2 what was kept comes in aside. The head makes ten channels for each component."
)
def test_the_network_has_all_its_parts(student, seed):
    def new(seed: int, perturb: float):
        return small(student, seed, shape=SQUARE, perturb=perturb).handle

    x = np.random.default_rng(seed).integers(LEVELS, size=(6, *SQUARE))
    require(parameters.are_all_used(new, "log_prob", (x,), seed))
    require(has_components(student, seed))
    require(sees_levels_and_ones(small(student, seed, shape=SQUARE), seed))
    require(what_was_kept_comes_in(small(student, seed, shape=SQUARE), seed))


def has_components(student, seed: int) -> Finding:
    """More components, more channels of the head."""
    few, many = (
        sum(p.size for p in small(student, seed, components=n).handle.parameters().values()) for n in (K, 2 * K)
    )
    found = layers.grows(few, many, "PixelCNNpp", "components")
    return found if found.passed else replace(found, slip="The head gives 10 K channels, K as `components` says.")


def gradients(model: Conditionals, x: np.ndarray, seed: int) -> Mapping[str, np.ndarray | None]:
    """Of a random sum of the logits, by the parameters."""
    cotangent = np.random.default_rng(seed).normal(size=(*x.shape, model.levels))
    return model.handle.gradient("logits", x, wrt="parameters", cotangent=cotangent)


def sees_levels_and_ones(model: Conditionals, seed: int) -> Finding:
    """The first three layers are told −1, 0, 1 of three levels, beside a channel of ones.

    Of an even picture, gradients by the weights of one channel are those of the ones times what that channel holds.
    A model without three layers of four channels, of these kernels, is not asked, nor one that normalises them.
    """
    told, wanted = [], np.linspace(-1, 1, LEVELS)
    required = "colours on [−1, 1], and a channel of ones"
    for level in range(LEVELS):
        found = gradients(model, np.full((2, *model.shape), level), seed)
        weights = [g for name, g in found.items() if g is not None and name.endswith(".weight")]
        first = [g for g in weights if g.shape[1:] in {(4, 2, 3), (4, 1, 3), (4, 2, 1)}]
        if len(first) != 3:
            return Finding(1.0, required, required)
        told.append(np.concatenate([g.astype(float).swapaxes(0, 1).reshape(4, -1) for g in first], axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        channels = np.array([[g @ ones / (ones @ ones) for ones in g] for g in told])  # (levels, ones, 4)
    for k in range(4):
        if np.abs(np.delete(channels[:, k], k, axis=1) - wanted[:, None]).max() <= 0.01:
            return Finding(1.0, required, required)
    of_last = channels[:, -1, 0]
    if not np.isfinite(of_last).all():
        return Finding(0.0, "there is no channel of ones", required)
    measured = "levels 0, 1, 2 of three come in as " + ", ".join(f"{v:.3g}" for v in of_last)
    return Finding(0.0, measured, required, slip="With L levels that are 0 … L − 1, x̃ = 2x / (L − 1) − 1.")


def what_was_kept_comes_in(model: Conditionals, seed: int) -> Finding:
    """Where what comes from half the size is zero, block 2 of each stream still gets what was kept aside.

    By the names and shapes of Residual, and the shapes of what goes down and up; without these a model is not asked.
    """
    values = model.handle.parameters()
    asides = [name for name in values if name.endswith("U.weight")]  # of u: the last block's, of ul: all three
    resized = [
        name.removesuffix(".weight")
        for name, v in values.items()
        if v.ndim == 4
        and v.shape[0] == v.shape[1]
        and v.shape[2] == 2
        and not name.endswith(("W_1.weight", "W_2.weight"))
    ]
    required = "what went down is kept, and comes in aside"
    if len(asides) != BLOCKS - 2 or len(resized) != 4:
        return Finding(1.0, required, required)
    model.handle.load(
        {k: 0 * v for k, v in values.items() if k.removesuffix(".weight").removesuffix(".bias") in resized}
    )
    x = np.random.default_rng(seed).integers(model.levels, size=(4, *model.shape))
    found = gradients(model, x, seed)
    of = [
        half for name in asides if (g := found[name]) is not None for half in np.split(g, g.shape[1] // len(g), axis=1)
    ]
    comes = sum(bool(half.any()) for half in of)
    slip = (
        "In block 2 of u the u that went down comes in aside, and in block 2 of ul both u and the ul that went down: "
        "keep them before `down`, and do not give what came up from half the size in their place."
    )
    measured = required if comes >= COMES_IN else "block 2 gets nothing but what comes from half the size"
    return Finding(float(comes >= COMES_IN), measured, required, slip=slip)


test_every_example_for_itself = suite.every_example(0.25)
test_called_with_one_example = suite.one_example(0.25)
test_log_density_is_the_sum_of_the_conditionals = suite.chain_rule(
    0.5,
    "logits give p(G | R) = Σ_k π_k P_k(R) P_k(G | R) / Σ_k π_k P_k(R): a component's weight is multiplied by what it "
    "gave to the colours before; log_prob is the sum over the pixels.",
)
test_probabilities_sum_to_one = suite.sums_to_one(
    0.5, "Over all 729 pictures of two pixels p sums to one: log_prob is summed over the pixels, not averaged, in nats."
)


def draws_are_logistic(student, seed: int) -> Finding:
    """The red of a first pixel, of many levels: a normal of the same variance is another bump."""
    model = small(student, seed, levels=MANY, perturb=0.0)
    log_p = log_conditionals(model.logits(np.zeros((1, model.dims), dtype=np.int64))[0, 0])
    red = model.sample(DRAWS, seed)[:, :1]
    found = discrete.sampler_matches(red, lambda levels: log_p[levels[:, 0]], MANY, seed)
    slip = "A draw of a logistic is μ + s log(u / (1 − u)), u uniform. A normal has other tails, whatever its variance."
    return replace(found, measured=f"of {MANY} levels, {found.measured}", slip="" if found.passed else slip)


test_samples_follow_the_density = suite.samples(
    0.75,
    "One component a pixel, for all three colours. A draw is rounded to the nearest level and kept between the ends, "
    "and the mean of the next colour depends on the level that was drawn.",
    count=3000,
    networks=3,
    tall=(1, 32),
    also=draws_are_logistic,
    needs=test_each_value_depends_only_on_earlier_values,
)
test_trained_close_to_the_limit = suite.trained(
    1,
    "Train longer, let the learning rate fall to zero, and start with widths that are small: log s near −2.",
    baseline=lambda: DATA.beside,
    held_out=60,  # a mean difference of log-probabilities, which chance moves little
)
