"""Exercise E7: slices and back, a network of one slice that is told all earlier ones, and the rest drawn from some."""

from collections.abc import Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import gradients as trained_by
from autograder.families import wholes
from autograder.families.autoregressive import STRONG, Conditionals, sharpest
from autograder.properties import autoregressive, discrete, reach
from autograder.properties.autoregressive import MOVED
from autograder.properties.finding import Finding
from autograder.student import expect, whole
from deepul_utils import pictures

DATA = pictures.get("corners")
LEVELS, S = 2, 2
# Small shapes: 2 × 4 to enumerate, slices of 1 × 2; 4 × 4, slices of 2 × 2, to look for what is not seen; 4 × 6 to
# look for more; 3 × 3 to enumerate as one slice, which has rows and columns; 6 × 6, to enumerate the last slice; and
# 16 × 16, whose slices of 8 × 8 have room for a kernel of 7 × 7.
TINY, SQUARE, WIDE, TALL, ONE, LARGE = (1, 2, 4), (1, 4, 4), (1, 4, 6), (1, 6, 4), (1, 3, 3), (1, 6, 6)
ROOM = (1, 16, 16)
HIGH = (1, 4, 2)  # slices of 2 × 1, to enumerate
FAR, MOST = 1e4, 100.0  # e this large: what the own slice adds to it stays as it is, to a factor that is no more
APART = 1e-2  # random networks are so far from a linear embedding, and from places that have one bias, and more
# Many relus have their kinks within longer steps; those that are left move a derivative by hundredths of it, and what
# is cut off is a large part.
FINE, SHUT = (2e-5, 1e-7), 0.1
KNOWN = 2  # slices that are given, where the others are drawn
COUNT = 1500  # draws of a small model


def subscale_order(shape: tuple[int, ...], S: int) -> np.ndarray:
    """Places in raster order, in the order of the model: slice by slice, each in raster order."""
    _, H, W = shape
    at = np.arange(H * W).reshape(H, W)
    return np.concatenate([at[a::S, b::S].ravel() for a in range(S) for b in range(S)])


def conditionals(handle, shape: tuple[int, ...], levels: int) -> Conditionals:
    """A student's model, its variables in the order of the slices."""
    return Conditionals(handle, shape, levels, order=subscale_order(shape, S))


def small(
    student,
    seed: int,
    shape: tuple[int, ...] = TINY,
    levels: int = LEVELS,
    width: int = 8,
    depth: int = 1,
    side: int = S,
    **strength: float,
) -> Conditionals:
    """A small SPN with random weights, of side² slices."""
    size = dict(shape=list(shape), levels=levels, S=side, width=width, depth=depth)
    made = student.new("SPN", seed=seed, **size, **strength)
    return Conditionals(made, shape, levels, order=subscale_order(shape, side))


def drawn_from(student, seed):
    """Strong models that depend most on the past: of four slices of one row, and of one slice of several."""
    for shape, side in ((TINY, S), (ONE, 1)):
        yield from sharpest([small(student, seed + k, shape=shape, side=side, **STRONG) for k in range(3)], seed)


suite = wholes.Suite(
    exercise="spn",
    of="SPN",
    small=small,
    data=(DATA,),
    adapter=conditionals,
    recipe=Recipe("Adam", lr=5e-3, steps=600, batch=64),
    says="logits(x) is (B, 1, H, W, levels) and log_prob(x) is (B,)",
    wide={"shape": WIDE},
    deep={"depth": 2},
    tall={"shape": TALL, "depth": 2, **STRONG},
    whole={"shape": DATA.shape},
)


def apart(x: np.ndarray, S: int) -> np.ndarray:
    """(B, 1, H, W) -> (B, S², H/S, W/S)."""
    return np.stack([x[:, 0, a::S, b::S] for a in range(S) for b in range(S)], axis=1)


def numbered(H: int, W: int, B: int = 2) -> np.ndarray:
    """Pictures in which no two pixels are the same: int64 (B, 1, H, W)."""
    return np.arange(B * H * W).reshape(B, 1, H, W)


@points(1, "Slices are interleaved")
@hint(
    "Slice aS + b is x[:, 0, a::S, b::S]: every S-th row from row a, every S-th column from column b, not a tile of "
    "neighbours. In reshape the number iS + a has i first, then a; a counts rows, b columns, and b runs faster."
)
def test_slices_are_interleaved(student, seed):
    for side, (H, W) in ((2, (4, 6)), (3, (6, 9)), (1, (2, 3)), (2, (6, 4))):
        x = numbered(H, W)
        got = expect(student.call("slices", x, side), (2, side**2, H // side, W // side), f"slices(x, {side})")
        wrong = got != apart(x, side)
        measured = f"with S = {side}, {wrong.mean():.0%} of the pixels of {H} × {W} lie elsewhere"
        require(Finding(float(not wrong.any()), measured, "pixel (iS + a, jS + b) at (i, j) of slice aS + b"))


@points(1, "Merging undoes slicing")
@hint(
    "merge takes the steps of slices backwards: reshape to (B, S, S, h, w), bring a behind i and b behind j, and only "
    "then reshape to (B, 1, H, W). What comes after the first four dimensions, as the levels of logits, stays behind."
)
def test_merging_undoes_slicing(student, seed):
    for side, (H, W) in ((2, (4, 6)), (3, (6, 9)), (1, (2, 3)), (2, (6, 4))):
        x = numbered(H, W)
        for s, wanted in ((apart(x, side), x), (np.stack([apart(x, side)] * 3, -1), np.stack([x] * 3, -1))):
            wanted = wanted + np.arange(3) * 1000 if wanted.ndim == 5 else wanted
            s = s + np.arange(3) * 1000 if s.ndim == 5 else s
            got = expect(student.call("merge", s, side), wanted.shape, f"merge(s, {side})")
            off = float((got != wanted).mean())
            what = "pixels" if s.ndim == 4 else "numbers of pixels with three each"
            measured = f"with S = {side}, {off:.0%} of the {what} are not back where they were"
            require(Finding(float(off == 0), measured, "merge(slices(x, S), S) is x"))


@points(1, "A slice is told those before it")
@hint(
    "Channel l of the first S² is slice l where l < k, not l ≤ k, and 0 elsewhere; of the other S² it is 1 where l < k "
    "and 0 elsewhere. k is one number for each example: compare arange(S²) with k[:, None]."
)
def test_a_slice_is_told_those_before_it(student, seed):
    v = np.random.default_rng(seed).normal(size=(5, 4, 2, 3)).astype(np.float32)
    k = np.array([2, 0, 3, 1, 2])
    got = expect(student.call("told", v, k), (5, 8, 2, 3), "told(v, k)")
    known = np.broadcast_to((np.arange(4) < k[:, None])[:, :, None, None], v.shape)
    for part, wanted, what in (
        (got[:, :4], np.where(known, v, 0), "of the slices"),
        (got[:, 4:], known, "that say which are told"),
    ):
        off = float(np.abs(part - wanted).max())
        measured = f"the channels {what} are up to {off:.2g} off"
        require(Finding(float(off <= MOVED), measured, "slices l < k, and ones for them"))


@points(0.75, "The embedding sees earlier slices, whole")
@hint(
    "embed(s, k) is made of told(…) for slice k: every place sees every pixel of the slices l < k, in all directions, "
    "so its convolutions are not masked; and nothing of slice k and those after it."
)
def test_the_embedding_sees_earlier_slices_whole(student, seed):
    (_, H, W), n = SQUARE, S * S
    h, w, rng = H // S, W // S, np.random.default_rng(seed)
    moved = np.zeros((n, n, h * w, h * w), dtype=bool)  # slice k, slice l, place of the output, pixel that changed
    for network in range(2):
        model = small(student, seed + network, shape=SQUARE).handle
        s = rng.integers(LEVELS, size=(8, n, h, w))
        for k in range(n):
            at = np.full(len(s), k)
            base = expect(model.call("embed", s, at), (len(s), 8, h, w), "SPN(…).embed(s, k)")
            for slot, pixel in np.ndindex(n, h * w):
                changed = s.copy()
                changed.reshape(len(s), n, -1)[:, slot, pixel] ^= 1
                now = expect(model.call("embed", changed, at), base.shape, "SPN(…).embed(s, k)")
                moved[k, slot, :, pixel] |= (np.abs(now - base) > MOVED).any(axis=(0, 1)).ravel()
    required = "all of the slices before, and nothing else"
    for k, slot in np.ndindex(n, n):
        seen = moved[k, slot]
        if slot >= k and seen.any():
            require(Finding(0.0, f"what slice {k} is told moves with slice {slot}", required))
        if slot < k and not seen.all():
            require(Finding(0.0, f"what slice {k} is told sees {seen.mean():.0%} of slice {slot}", required))
    require_too(embeds_by_relu(small(student, seed, shape=ROOM).handle, seed))
    require(Finding(1.0, "every slice is told all before it, as a whole", required))


def embeds_by_relu(model, seed: int) -> Finding:
    """What embed gives for a picture and for its negative has a sum that hangs on it: a linear layer’s would not."""
    s = np.random.default_rng(seed).integers(LEVELS, size=(8, S * S, 8, 8))
    k = np.full(len(s), S * S - 1)
    both = expect(model.call("embed", s, k), (8, 8, 8, 8), "SPN(…).embed(s, k)") + model.call("embed", 1 - s, k)
    moved = float(np.abs(both - both[:1]).max())
    slip = "Between the two convolutions of the embedding stands relu: without it they are no more than one of 9 × 9."
    return _found(moved > APART, "the embedding is linear in the pixels", "convolution, relu, convolution", slip)


def _found(ok: bool, measured: str, required: str, slip: str) -> Finding:
    return Finding(float(ok), measured, required, slip="" if ok else slip)


@points(0.25, "All of the network counts")
@hint(
    "e is a convolution 7 × 7, relu, a convolution 3 × 3, and a bias for each slice and place; it is added to a masked "
    "7 × 7 convolution of the slice itself, then come `depth` residual blocks. All of these are trained: no gradient "
    "is cut anywhere."
)
def test_all_of_the_network_counts(student, seed):
    rng, w, depth, h, n = np.random.default_rng(seed), 16, 2, ROOM[1] // S, S * S
    model = small(student, seed, shape=ROOM, width=w, depth=depth, precise=True)
    s = rng.integers(LEVELS, size=(2, n, h, h))
    e = expect(model.handle.call("embed", s[:1], np.zeros(1, dtype=np.int64)), (1, w, h, h), "SPN(…).embed(s, k)")
    inner = e[..., 1:-1, 1:-1]  # at a side, zeros around what is told may be seen
    apart = float(np.abs(inner - inner[..., :1, :1]).max())
    slip = (
        "self.bias has a number for each slice, channel and place: (S², width, H/S, W/S), and slice k is told its own."
    )
    measured = f"what the first slice, which is told nothing, is given differs by {apart:.2g} from place to place"
    require_too(_found(apart > APART, measured, "a bias for each place", slip))
    for found in adds_before_the_blocks(model.handle, s[:, 0], rng.normal(size=(2, w, h, h))):
        require_too(found)
    x = rng.integers(LEVELS, size=(16, *ROOM))
    read = 2 * (n - 1) * w * 49 + 9 * w**2  # nobody is told the last slice
    number = read + n * w * h**2 + 2 * w * 24 + depth * (5 + 1) * w**2 + w * LEVELS
    slip = "A convolution, a residual block or the biases are missing, smaller, or made and not called."
    made_of = "all kernels, and a bias for each slice and place"
    several = [small(student, seed + k, shape=ROOM, width=w, depth=depth, biases=0.1, precise=True) for k in range(4)]
    gradients = [one.handle.gradient("log_prob", x, wrt="parameters") for one in several]
    require_too(reach.reaches(reach.in_any(gradients), number, "SPN((1, 16, 16), 2)", made_of, slip))
    require(trained_by.told(model.handle, x[:8], seed=seed, steps=FINE, within=SHUT))


def adds_before_the_blocks(model, own: np.ndarray, e: np.ndarray) -> Iterator[Finding]:
    """decode adds e to what it makes of the slice itself, and only then come the blocks, which see other places."""
    what, shape = "SPN(…).decode(own, e)", (2, *own.shape[1:], LEVELS)

    def moved(other: np.ndarray, size: float) -> float:
        first, second = (expect(model.call("decode", of, size * e), shape, what) for of in (own, other))
        return float(np.abs(first - second).max())

    times = moved(1 - own, FAR) / max(moved(1 - own, 1.0), 1e-30)
    measured = f"with e {FAR:g} times as large the own slice moves logits {times:.3g} times as far"
    slip = "e is added to the convolution of the own slice: it multiplies nothing."
    yield _found(times < MOST, measured, "about as far", slip)
    changed = e.copy()
    changed[:, :, 0, 0] += 1
    before, after = model.call("decode", own, e), model.call("decode", own, changed)
    later = float(np.abs(after - before)[:, 0, 1].max())
    measured = f"what e says of the first pixel moves the logits of the second by {later:.2g}"
    slip = "e is added before the residual blocks, which then see it at the pixels before, too."
    yield _found(later > MOVED, measured, "it does: the blocks see it", slip)


@points(0.5, "The order is strict, and by slices")
@hint(
    "A pixel of slice k hangs on the slices before k and on its own slice's pixels before it in raster order, not on "
    "the whole picture's raster order. Is each logit merged back to its own pixel, and asked with its own k?"
)
def test_the_order_is_strict_and_by_slices(student, seed):
    required = "a pixel sees earlier slices, and its own slice before it"
    for network in range(2):
        model = small(student, seed + network, shape=SQUARE)
        moved = autoregressive.dependencies(model.logits, model.dims, model.levels, seed)
        wrong = np.argwhere(np.triu(moved))
        plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
        if len(wrong):
            (i, j), one = wrong[0], model.dims // S**2
            what = f"pixel {i % one + 1} of slice {i // one} moves with pixel {j % one + 1} of slice {j // one}"
            require(Finding(0.0, what, required, plot=plot))
        require(Finding(1.0, "slice by slice, in raster order in each", required, plot=plot))


@points(0.5, "Slices stand side by side")
@hint(
    "logits(x) of slice k is decode(s[:, k], embed(s, k)) with s = slices(x, S): in a batch of B · S² questions each "
    "has its own s, k and slice, in the same order. repeat_interleave(n, dim=0) repeats each picture n times in a row, "
    "repeat(n) all of them n times."
)
def test_slices_stand_side_by_side(student, seed):
    model = small(student, seed, shape=SQUARE).handle
    x = np.random.default_rng(seed).integers(LEVELS, size=(5, *SQUARE))
    s, whole_picture = apart(x, S), expect(model.call("logits", x), (5, *SQUARE, LEVELS), "SPN(…).logits(x)")
    for k in range(S * S):
        e = model.call("embed", s, np.full(5, k))
        one = expect(model.call("decode", s[:, k], e), (5, 2, 2, LEVELS), "SPN(…).decode(own, e)")
        off = float(np.abs(one - whole_picture[:, 0, k // S :: S, k % S :: S]).max())
        measured = f"logits of slice {k} are up to {off:.2g} from those of the slice asked alone"
        require(Finding(float(off <= 1e-4 * (1 + np.abs(one).max())), measured, "the same"))


test_each_pixel_depends_only_on_earlier_pixels = suite.causal(
    0.5,
    "Some output sees its own pixel or a later one. In its own slice a pixel sees its strict past: the first "
    "convolution is masked with own=False; and e tells nothing of slice k and those after it.",
)
test_no_blind_spot = suite.no_blind_spot(
    0.5,
    "Every output sees all earlier slices, by e, and all of its own slice before it, by the masked 7 × 7 convolution: "
    "is e added, and is the decoder given the slice itself?",
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
    0.5,
    "Over all pictures of eight or nine pixels p sums to one: log_prob is summed over the pixels, not averaged.",
    models=lambda student, seed: (
        *(small(student, seed + k, shape=shape) for k, shape in enumerate((TINY, HIGH))),
        small(student, seed + 2, shape=ONE, side=1),
    ),
)
test_samples_follow_the_density = suite.samples(
    0.5,
    "Draw slice after slice, and each pixel of a slice from its conditional, given those before it; not the most "
    "likely level. A slice is drawn row by row, each from left to right. The embedding is made anew for each slice, "
    "when those before it are drawn.",
    count=COUNT,
    models=drawn_from,
    tall=(1, 48),
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)


@points(
    0.5,
    "Upscaling keeps what is given",
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)
@hint(
    "upscale(s) begins with slice K, the number of slices that are given: these stay as they are, and the others are "
    "drawn given them, each row by row, from left to right. The given slices are not changed in place."
)
def test_upscaling_keeps_what_is_given(student, seed):
    model = small(student, seed, **STRONG)
    rng, required = np.random.default_rng(seed), "the slices that are given stay"
    known = given(rng, TINY, KNOWN, 20)
    for K in (1, KNOWN):
        x = expect(model.handle.call("upscale", known[:, :K], seed=seed), (20, *TINY), "SPN(…).upscale(s)")
        off = float((apart(x, S)[:, :K] != known[:, :K]).mean())
        require(Finding(float(off == 0), f"{off:.0%} of the given pixels are others afterwards", required))
    require(draws_the_rest(model, known[:1], seed))
    for model in sharpest([small(student, seed + k, shape=LARGE, **STRONG) for k in range(3)], seed):
        require(draws_the_rest(model, given(rng, LARGE, S**2 - 1), seed))


def given(rng: np.random.Generator, shape: tuple[int, ...], K: int, B: int = 1) -> np.ndarray:
    """K random slices, (B, K, h, w)."""
    _, H, W = shape
    return rng.integers(LEVELS, size=(B, K, H // S, W // S))


def draws_the_rest(model: Conditionals, known: np.ndarray, seed: int) -> Finding:
    """What upscale draws, given known (1, K, h, w), is as frequent as it is probable."""
    drawn = whole(model.handle.call("upscale", np.repeat(known, COUNT, axis=0), seed=seed), "SPN(…).upscale(s)")
    told = known.ravel()
    free = model.dims - len(told)

    def rest(x: np.ndarray) -> np.ndarray:
        """log p of what is drawn, (B, free), given what is told; not normalised."""
        return model.density(np.concatenate([np.broadcast_to(told, (len(x), len(told))), x], axis=1))

    total = np.logaddexp.reduce(rest(discrete.states(free, LEVELS)))
    return discrete.sampler_matches(model.rows(drawn)[:, len(told) :], lambda x: rest(x) - total, LEVELS, seed)


test_trained_close_to_the_limit = suite.trained(
    1,
    "If it is several nats above the limit, the network guesses the last corner: does the embedding see all of the "
    "earlier slices, and has each slice and place its bias?",
    baseline=lambda: DATA.repeated,
    held_out=200,
)
