"""Exercise E9: slices and blocks of a video, attention inside of blocks, and what layers of them see."""

from collections.abc import Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import autoregressive as family
from autograder.families import gradients as trained_by
from autograder.families import wholes
from autograder.families.autoregressive import Conditionals
from autograder.families.besides import besides
from autograder.properties import autoregressive, reach
from autograder.properties.autoregressive import MOVED
from autograder.properties.finding import Finding
from autograder.student import StudentCodeError, expect
from deepul_utils import videos

DATA = videos.get("bounce1", length=3)
SAME = 1e-4  # of numbers of order one in float32
LOW = 300.0  # of questions and keys that point away from each other: their scores are below −10⁴
COUNT = 1500  # draws of a small model
WIDTH, MANY = 8, 100  # of a layer that is asked how many weights it has, and by so many videos
NETWORKS = 4  # in one of them a relu is open
# In double precision, of weights that a softmax gives: nothing, and what shows.
EXACT, SHOWS = 1e-4, 1e-3
FINE, SHUT = (2e-5, 1e-7), 0.1  # steps between the kinks of relus, and how much of a derivative these may take
Triple = tuple[int, int, int]

# The trained model's slices; and small ones: 2 × 2 × 2 to enumerate, slices of 2 × 2 × 1; 2 × 2 × 4 with slices of
# 2 × 2 × 2 to look for what is seen, 2 × 4 × 4 with more of them; 4 × 2 × 2 with slices that are apart in time, too.
S = (1, 4, 4)
TINY, TINY_S, TINY_BLOCKS = (2, 1, 2, 2), (1, 1, 2), ((2, 2, 1),)
SEEN, SEEN_S = (2, 1, 2, 4), (1, 1, 2)
WIDE, WIDE_S = (2, 1, 4, 4), (1, 2, 2)
WHOLE = ((2, 2, 2),)  # one block that is the slice
IN_TIME, IN_TIME_S = (4, 1, 2, 2), (2, 1, 2)
# (size, what it is cut by) of slices and of blocks: no two sides the same, and sides that are not cut.
CUTS = (((4, 6, 4), (2, 3, 2)), ((2, 4, 6), (1, 2, 3)), ((6, 2, 4), (3, 2, 1)), ((2, 3, 4), (1, 1, 1)))


def subscale_order(shape: tuple[int, ...], by: Triple) -> np.ndarray:
    """Places in raster order, in the order of the model: slice by slice, each in raster order."""
    T, _, H, W = shape
    at = np.arange(T * H * W).reshape(1, T, 1, H, W)
    return apart(at, by)[0].ravel()


def conditionals(handle, shape: tuple[int, ...], levels: int, by: Triple = S) -> Conditionals:
    """A student's model, its variables in the order of the slices."""
    return Conditionals(handle, shape, levels, order=subscale_order(shape, by))


def small(
    student,
    seed: int,
    shape: tuple[int, ...] = TINY,
    by: Triple = TINY_S,
    read: tuple[Triple, ...] = TINY_BLOCKS,
    blocks: tuple[Triple, ...] = TINY_BLOCKS,
    levels: int = 2,
    width: int = 8,
    heads: int = 2,
    **strength: float,
) -> Conditionals:
    """A small VideoTransformer with random weights."""
    size = dict(shape=list(shape), levels=levels, S=list(by), read=_lists(read), blocks=_lists(blocks))
    handle = student.new("VideoTransformer", seed=seed, **size, width=width, heads=heads, **strength)
    return conditionals(handle, shape, levels, by)


def _lists(blocks: tuple[Triple, ...]) -> list[list[int]]:
    return [list(block) for block in blocks]


suite = wholes.Suite(
    exercise="video_transformer",
    of="VideoTransformer",
    small=small,
    data=(DATA,),
    adapter=conditionals,
    recipe=Recipe("Adam", lr=1e-2, steps=1500, batch=32),
    says="logits(x) is (B, T, 1, H, W, levels) and log_prob(x) is (B,)",
    example="video",
    wide={"shape": SEEN, "by": SEEN_S, "read": WHOLE, "blocks": WHOLE},
    deep={"read": TINY_BLOCKS * 2, "blocks": TINY_BLOCKS * 2},
    tall={"shape": WIDE, "by": WIDE_S, "read": WHOLE, "blocks": WHOLE, **family.STRONG},
    whole={"shape": (2, 1, 8, 8), "by": WIDE_S, "read": ((2, 2, 4),), "blocks": ((2, 4, 2),)},
)


# ---- slices and blocks -----------------------------------------------------------------------------------


def apart(x: np.ndarray, by: Triple) -> np.ndarray:
    """Slices: (B, T, 1, H, W) -> (B, n, T/s_t, H/s_h, W/s_w)."""
    s_t, s_h, s_w = by
    return np.stack([x[:, a::s_t, 0, b::s_h, c::s_w] for a, b, c in np.ndindex(s_t, s_h, s_w)], axis=1)


def boxes(h: np.ndarray, block: Triple) -> np.ndarray:
    """Blocks: (B, T, H, W, C) -> (B, blocks, p, C)."""
    corners = [range(0, side, n) for side, n in zip(h.shape[1:4], block, strict=True)]
    t, a, b = block
    parts = [h[:, i : i + t, j : j + a, c : c + b] for i in corners[0] for j in corners[1] for c in corners[2]]
    return np.stack([part.reshape(len(h), -1, h.shape[-1]) for part in parts], axis=1)


def numbered(size: Triple, B: int = 2) -> np.ndarray:
    """Videos in which no two pixels are the same: int64 (B, T, 1, H, W)."""
    T, H, W = size
    return np.arange(B * T * H * W).reshape(B, T, 1, H, W)


def places(size: Triple, B: int = 2, C: int = 3) -> np.ndarray:
    """Features of which no two are the same: float32 (B, T, H, W, C)."""
    return np.arange(B * int(np.prod(size)) * C, dtype=np.float32).reshape(B, *size, C)


@points(0.5, "Slices are interleaved in time and space")
@hint(
    "Slice (a s_h + b) s_w + c is x[:, a::s_t, 0, b::s_h, c::s_w]: not a box of neighbours. In reshape a side becomes "
    "two dimensions, the place in the slice first, then the offset; then the offsets come to the front, c fastest."
)
def test_slices_are_interleaved(student, seed):
    for size, by in CUTS:
        x = numbered(size)
        wanted = apart(x, by)
        got = expect(student.call("slices", x, list(by)), wanted.shape, f"slices(x, {by})")
        wrong = float((got != wanted).mean())
        measured = f"with S = {by}, {wrong:.0%} of the pixels of {size} lie elsewhere"
        require(Finding(float(not wrong), measured, "every s-th frame, row and column, from its offset"))


@points(0.5, "Merging undoes slicing")
@hint(
    "merge takes the steps of slices backwards: reshape to (B, s_t, s_h, s_w, t, h, w), bring each offset behind its "
    "place, and only then reshape to (B, T, 1, H, W). What comes after the first five dimensions stays behind."
)
def test_merging_undoes_slicing(student, seed):
    for size, by in CUTS:
        x = numbered(size)
        several = np.stack([x, 1000 + x, 2000 + x], axis=-1)
        s = apart(x, by)
        for given, wanted, what in (
            (s, x, "pixels"),
            (np.stack([s, 1000 + s, 2000 + s], axis=-1), several, "numbers of pixels with three each"),
        ):
            got = expect(student.call("merge", given, list(by)), wanted.shape, f"merge(s, {by})")
            off = float((got != wanted).mean())
            measured = f"with S = {by}, {off:.0%} of the {what} are not back where they were"
            require(Finding(float(off == 0), measured, "merge(slices(x, S), S) is x"))


@points(0.75, "Blocks part the video")
@hint(
    "A block is a box of neighbours: reshape each side to (blocks along it, places in a block), then permute, so that "
    "the three numbers of the block come first and the three places after them, before p = t · h · w is made. A "
    "reshape alone takes p places in a row."
)
def test_blocks_part_the_video(student, seed):
    for size, block in CUTS:
        h = places(size)
        wanted = boxes(h, block)
        got = expect(student.call("cut", h, list(block)), wanted.shape, f"cut(h, {block})")
        lost = len(np.setdiff1d(h, got))
        wrong = float((got != wanted).mean())
        measured = f"with blocks of {block}, {wrong:.0%} of {size} lie elsewhere, {lost} are in no block"
        require(Finding(float(not wrong), measured, "each place once, in raster order of blocks and inside of each"))


@points(0.5, "Joining undoes cutting")
@hint(
    "join takes the steps of cut backwards: reshape to (B, blocks in time, down, across, t, h, w, C), bring each place "
    "behind its block, and reshape to (B, T, H, W, C)."
)
def test_joining_undoes_cutting(student, seed):
    for size, block in CUTS:
        h = places(size)
        got = expect(student.call("join", boxes(h, block), list(block), list(size)), h.shape, f"join(z, {block}, size)")
        off = float((got != h).mean())
        measured = f"with blocks of {block}, {off:.0%} of {size} are not back where they were"
        require(Finding(float(off == 0), measured, "join(cut(h, block), block, size) is h"))


# ---- attention in a block --------------------------------------------------------------------------------


def softmax(q: np.ndarray, k: np.ndarray, bias: np.ndarray, strict: bool) -> np.ndarray:
    """w_ij in double precision, a first row of zeros if strict: (…, p, d) twice, (…, p, p) -> (…, p, p)."""
    p, d = q.shape[-2:]
    scores = q.astype(float) @ np.swapaxes(k.astype(float), -1, -2) / np.sqrt(d) + bias
    known = np.tri(p, k=-1, dtype=bool) if strict else np.ones((p, p), dtype=bool)
    top = np.where(known, scores, -np.inf).max(axis=-1, keepdims=True, initial=-1e30)
    w = np.where(known, np.exp(np.where(known, scores - top, 0.0)), 0.0)
    return w / np.maximum(w.sum(axis=-1, keepdims=True), 1e-300)


def questions(seed: int, p: int = 6, d: int = 5) -> tuple[np.ndarray, ...]:
    """Random q, k, v, float32 (2, 3, 2, p, d), and a bias (2, p, p)."""
    rng = np.random.default_rng(seed)
    q, k, v = rng.normal(size=(3, 2, 3, 2, p, d)).astype(np.float32)
    return q, k, v, rng.normal(size=(2, p, p)).astype(np.float32)


def attended(student, q, k, v, bias, strict: bool) -> tuple[np.ndarray, np.ndarray]:
    """out and w of the student's attention, their shapes checked."""
    out, w = pair(student.call("attention", q, k, v, bias, strict), "attention(q, k, v, bias, strict)")
    w = expect(w, (*q.shape[:-1], q.shape[-2]), "w of attention(q, k, v, bias, strict)")
    return expect(out, v.shape, "out of attention(q, k, v, bias, strict)"), w


def pair(value, what: str) -> list:
    """What a function returns as (out, w). Raises StudentCodeError for anything else."""
    if not isinstance(value, list) or len(value) != 2:
        raise StudentCodeError("wrong type", f"{what} should return a pair, (out, w).")
    return value


@points(1, "Weights are a softmax, and strict ones of the past")
@hint(
    "w_ij = softmax over j, the last axis, of q_i · k_j / √d + b_ij, and out = w @ v. Where strict, w_ij is exactly 0 "
    "for j ≥ i, the place itself included, however low the scores of the past are: fill in the lowest number of the "
    "type, or −∞, not −10⁴. Where not strict, nothing is masked."
)
def test_weights_are_a_softmax(student, seed):
    for d, strict in ((5, True), (12, True), (5, False)):
        q, k, v, bias = questions(seed, d=d)
        out, w = attended(student, q, k, v, bias, strict)
        wanted = softmax(q, k, bias, strict)
        if strict:
            require(hides(w))
        off = float(np.abs(w - wanted)[..., 1:, :].max())
        measured = f"weights{', strict,' if strict else ''} are up to {off:.2g} off, with keys of {d} numbers"
        require(Finding(float(off <= SAME), measured, f"the same within {SAME:g}"))
        off = float(np.abs(out - w @ v).max())
        require(Finding(float(off <= SAME), f"out is up to {off:.2g} from Σ_j w_ij v_j", "the same"))
    q, k, v, bias = questions(seed)
    require(hides(attended(student, LOW * np.abs(q), -LOW * np.abs(k), v, bias, True)[1]))


def hides(w: np.ndarray) -> Finding:
    """Strict weights (…, p, p) sum to one over j < i and are exactly 0 elsewhere; the first row is not asked."""
    required, w = "all weight on earlier places, exactly", w[..., 1:, :]
    past = np.tri(w.shape[-1], k=-1, dtype=bool)[1:]
    outside = float(np.abs(np.where(past, 0, w)).max())
    if outside != 0:  # nan, too
        return Finding(0.0, f"up to {outside:.2g} of the weight lies on the place itself or on later ones", required)
    off = float(np.abs(w.sum(axis=-1) - 1).max())
    return Finding(float(off <= SAME), f"the weights of a place’s past sum to {1 - off:.5g} or more", required)


@points(0.5, "The first place of a block is defined")
@hint(
    "The first place of a block has no past: its row of weights is 0. Where −∞ was added to the scores, its "
    "gradient is nan, also behind nan_to_num: fill in a finite number, and multiply by the mask again."
)
def test_the_first_place_is_defined(student, seed):
    q, k, v, bias = questions(seed)
    most = float(np.abs(attended(student, q, k, v, bias, True)[1][..., 0, :]).max())
    measured = f"weights of the first place are up to {most:.3g}"
    require(Finding(float(most == 0), measured, "the first place asks nobody: 0"))
    layer = student.new("BlockAttention", 4, 2, [1, 1, 4], True, seed=seed)
    h = np.random.default_rng(seed).normal(size=(2, 1, 2, 4, 4)).astype(np.float32)
    gradient = layer.gradient("forward", h, h, output=0, cotangent=h)
    fine = bool(np.isfinite(gradient).all())
    require(Finding(float(fine), f"the gradient is {'finite' if fine else 'nan'}", "finite gradients"))


def blockwise(student, seed: int, block: Triple, strict: bool, size: Triple) -> tuple[np.ndarray, np.ndarray]:
    """Which output of a random BlockAttention moves with what which place tells, bool (N, N); and w."""
    width, heads, N = 8, 2, int(np.prod(size))
    layer = student.new("BlockAttention", width, heads, list(block), strict, seed=seed)
    # Small, so that no weight of the attention is nearly one, and the others too small to be seen.
    h, told = np.random.default_rng(seed).normal(0, 0.1, size=(2, 1, *size, width)).astype(np.float32)
    changed = np.repeat(told, N + 1, axis=0).reshape(N + 1, N, width)
    changed[np.arange(N), np.arange(N)] += 1
    args = np.repeat(h, N + 1, axis=0), changed.reshape(N + 1, *size, width)
    out, w = pair(layer.call("forward", *args), "BlockAttention(…)(h, told)")
    out = expect(out, args[0].shape, "out of BlockAttention(…)(h, told)").reshape(N + 1, N, width)
    return (np.abs(out[:N] - out[N]) > MOVED).any(axis=-1).T, w


def same_block(size: Triple, block: Triple) -> np.ndarray:
    """Whether two places, in raster order, are in one block: bool (N, N)."""
    number = np.moveaxis(np.indices(size), 0, -1).reshape(-1, 3) // np.array(block)
    return (number[:, None] == number).all(axis=-1)


@points(0.75, "Blocks see themselves only, in order")
@hint(
    "Place i gets something of place j where both are in one block, and, where strict, j comes before i: q, k and v "
    "are all cut the same way, attention is over the p places of a block, not over the blocks, and what comes out is "
    "joined again, with the heads back behind the places."
)
def test_blocks_see_themselves_only(student, seed):
    size = (2, 4, 4)
    for block, strict in (((2, 2, 2), True), ((1, 4, 2), True), ((2, 1, 4), False)):
        moved, _ = blockwise(student, seed, block, strict, size)
        wanted = same_block(size, block)
        if strict:
            wanted &= np.tri(len(wanted), k=-1, dtype=bool)
        require(sees_exactly(moved, wanted, f"blocks of {block}{', strict' if strict else ''}"))
    for found in asks_and_tells(student, seed):
        require_too(found)


def asks_and_tells(student, seed: int) -> Iterator[Finding]:
    """Questions are of h, keys of what is told; near places have biases of their own; four matrices are in use."""
    size, rng = (2, 2, 2), np.random.default_rng(seed)
    N = int(np.prod(size))
    layer = student.new("BlockAttention", WIDTH, 2, list(size), False, seed=seed, precise=True)
    h, told = rng.normal(0, 0.3, size=(2, N, WIDTH))

    def weights(h: np.ndarray, told: np.ndarray) -> np.ndarray:
        _, w = pair(
            layer.call("forward", *(z.reshape(1, *size, WIDTH) for z in (h, told))), "BlockAttention(…)(h, told)"
        )
        return np.log(expect(w, (1, 1, 2, N, N), "w of BlockAttention(…)(h, told)")[0, 0] + 1e-30)

    def relative(w: np.ndarray, j: int) -> np.ndarray:
        """Without column j, up to a constant in each row: what a key that is told elsewhere does not touch."""
        others = np.delete(w, j, axis=-1)
        return others - others.mean(axis=-1, keepdims=True)

    w, j = weights(h, told), N // 2
    moved = [z.copy() for z in (h, told)]
    for z in moved:
        z[j] += 1
    asked, said = weights(moved[0], told), weights(h, moved[1])
    of_others = float(np.abs(np.delete(asked - w, j, axis=1)).max())
    slip = "Keys are of what is told, and h asks: with keys of h, what is told has no part in who is asked."
    yield _found(
        of_others <= EXACT, f"with h at one place, scores of others move by {of_others:.2g}", "its own row", slip
    )
    of_others = float(np.abs(relative(said, j) - relative(w, j)).max())
    slip = "Questions are of h, and not of what is told: in the decoder they would see the pixel itself."
    yield _found(
        of_others <= EXACT, f"with what one place tells, scores of others move by {of_others:.2g}", "its own", slip
    )
    for which, changed in (("h", asked), ("what is told", said)):
        off = float(np.abs(changed - w).max())
        yield _found(off > SHOWS, f"scores move by {off:.2g} with {which}", "q is of h, k of what is told", "")
    apart = float(np.abs(w[0] - w[1]).max())
    yield _found(apart > SHOWS, f"weights of two heads differ by {apart:.2g}", "each head asks for itself", "")
    flat = weights(np.zeros_like(h) + h[:1], np.zeros_like(told) + told[:1])
    apart = float(np.ptp(flat, axis=-1).max())
    slip = "Where all places say the same, the bias alone tells near ones from far ones: self.near() goes to attention."
    yield _found(
        apart > SHOWS, f"without anything else to go by, scores differ by {apart:.2g}", "a bias by nearness", slip
    )
    apart = float(np.abs(flat[0] - flat[1]).max())
    slip = "Nearness has numbers for each head: (heads, p, p)."
    yield _found(apart > SHOWS, f"biases of two heads differ by {apart:.2g}", "a bias for each head", slip)
    one = student.new("BlockAttention", WIDTH, 1, list(size), False, seed=seed, precise=True)
    x, y, cotangent = rng.normal(size=(3, MANY, *size, WIDTH))
    gradients = one.gradient("forward", x, y, wrt="parameters", output=0, cotangent=cotangent)
    slip = "A map of questions, keys, values or of what comes out is missing, is made and not called, or is another."
    made_of = "questions, keys, values and what comes out, W × W each"
    yield reach.reaches(gradients, 4 * WIDTH**2, f"BlockAttention({WIDTH}, 1, …)", made_of, slip)


def _found(ok: bool, measured: str, required: str, slip: str) -> Finding:
    return Finding(float(ok), measured, required, slip="" if ok else slip)


def sees_exactly(moved: np.ndarray, wanted: np.ndarray, what: str, required: str = "its block, in order") -> Finding:
    """Output i moves with place j exactly where it is wanted: bool (N, N) both."""
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    wrong = np.argwhere(moved != wanted)
    if not len(wrong):
        return Finding(1.0, f"{what}: outputs see what they should, and nothing else", required, plot=plot)
    i, j = wrong[0]
    does = "moves" if moved[i, j] else "does not move"
    others = f"; and {len(wrong) - 1} other pairs are wrong" if len(wrong) > 1 else ""
    return Finding(0.0, f"{what}: output {i + 1} {does} with place {j + 1}{others}", required, plot=plot)


@points(0.5, "Twice the frames, twice the cost")
@hint(
    "The weights w are (B, blocks, heads, p, p): p² scores for each block, not N² for all places. All blocks stand "
    "side by side, each with its own scores."
)
def test_cost_grows_with_the_number_of_blocks(student, seed):
    counted = {}
    for T in (2, 4, 8):
        _, w = blockwise(student, seed, (2, 2, 2), True, (T, 2, 4))
        w = expect(w, (8 * T + 1, T, 2, 8, 8), "w of BlockAttention(…)(h, told)")
        counted[T] = int(np.prod(w.shape[1:]))
        inside = float(np.abs(w.sum(axis=-1)[..., 1:] - 1).max())
        measured = f"rows of w sum to 1 within {inside:.2g} over a block’s own places"
        require(Finding(float(inside <= SAME), measured, "they sum to 1 there"))
    linear = counted[8] == 4 * counted[2] == 2 * counted[4]
    said = ", ".join(f"{n} scores with {T} frames" for T, n in counted.items())
    require(Finding(float(linear), said, "in proportion to the number of blocks"))


# ---- the layers and the model ----------------------------------------------------------------------------


def reached(size: Triple, blocks: tuple[Triple, ...], strict: bool) -> np.ndarray:
    """What layers of such blocks let through: of place j to place i, bool (N, N); without a mask i itself, too."""
    N = int(np.prod(size))
    itself = np.eye(N, dtype=bool)
    seen = np.zeros((N, N), dtype=bool) if strict else itself
    for block in blocks:
        asks = same_block(size, block) & (np.tri(N, k=-1, dtype=bool) if strict else True)
        seen = seen | asks @ (seen | itself)
    return seen


def let_through(shape: tuple[int, ...], by: Triple, read: tuple[Triple, ...], blocks: tuple[Triple, ...]) -> np.ndarray:
    """Which variable reaches which conditional, both in the order of the model: bool (dims, dims)."""
    T, _, H, W = shape
    size = (T // by[0], H // by[1], W // by[2])
    own = reached(size, blocks, strict=True)
    earlier = (own | np.eye(len(own), dtype=bool)) @ reached(size, read, strict=False)
    n = int(np.prod(by))
    nothing = np.zeros_like(own)
    return np.block([[earlier if of < k else own if of == k else nothing for of in range(n)] for k in range(n)])


@points(0.75, "Layers see what their blocks let through")
@hint(
    "Layer after layer with its own block: a conditional sees what a path through the blocks brings, no less and no "
    "more. Each block of `read` is a layer of the encoder, without a mask, each of `blocks` a strict one of the "
    "decoder, in their order, and each is told the pixels x; all else is at one place."
)
def test_layers_see_what_their_blocks_let_through(student, seed):
    fixed, changing = ((2, 1, 1),), ((2, 1, 2), (2, 2, 1))
    for read, blocks, what in (
        (fixed, fixed * 2, "the same blocks in all layers"),
        (changing[:1], changing, "blocks that change"),
    ):
        models = [small(student, seed + n, shape=SEEN, by=SEEN_S, read=read, blocks=blocks) for n in range(3)]
        seen = [autoregressive.dependencies(m.logits, m.dims, m.levels, seed) for m in models]
        required = "what a path through the blocks brings"
        require(sees_exactly(np.any(seen, axis=0), let_through(SEEN, SEEN_S, read, blocks), what, required))


@points(0.5, "The order is slice by slice, in time too")
@hint(
    "With S = (s_t, s_h, s_w) a frame may be drawn before one that is earlier in the video. logits(x) of slice k is "
    "decode(s[:, k], embed(s, k)), merged back to its own pixels; its own pixels are seen in raster order in the "
    "slice, not in the whole video."
)
def test_the_order_is_by_slices(student, seed):
    read = blocks = ((2, 2, 1),)
    model = small(student, seed, shape=IN_TIME, by=IN_TIME_S, read=read, blocks=blocks)
    x = np.random.default_rng(seed).integers(2, size=(5, *IN_TIME))
    s, n = apart(x, IN_TIME_S), int(np.prod(IN_TIME_S))
    every = expect(model.handle.call("logits", x), (5, *IN_TIME, 2), "VideoTransformer(…).logits(x)")
    for k in range(n):
        e = model.handle.call("embed", s, np.full(5, k))
        one = expect(model.handle.call("decode", s[:, k], e), (5, 2, 2, 1, 2), "VideoTransformer(…).decode(own, e)")
        merged = np.stack([apart(every[..., level], IN_TIME_S)[:, k] for level in range(2)], axis=-1)
        off = float(np.abs(one - merged).max())
        measured = f"logits of slice {k} are up to {off:.2g} from those of the slice asked alone"
        require(Finding(float(off <= SAME * (1 + np.abs(one).max())), measured, "the same"))
    moved = autoregressive.dependencies(model.logits, model.dims, model.levels, seed)
    later = np.triu(moved)
    measured = f"{int(later.sum())} conditionals see themselves or what is drawn later"
    require(Finding(float(not later.any()), measured, "slice by slice, in raster order in each"))


@points(0.25, "Slices add up to the video")
@hint(
    "slice_log_prob(x, k) is Σ log softmax(decode(s[b, k_b], embed(s, k)))[x] over the pixels of slice k_b, one number "
    "for each video: pick slice k_b of video b, not the same of all; all slices together are log_prob(x)."
)
def test_slices_add_up_to_the_video(student, seed):
    model = small(student, seed, shape=WIDE, by=WIDE_S, read=WHOLE, blocks=WHOLE)
    x, n, B = np.random.default_rng(seed).integers(2, size=(5, *WIDE)), int(np.prod(WIDE_S)), 5
    parts = np.zeros((n, B))
    for turn in range(n):  # another slice of each video, in each turn
        k = (np.arange(B) + turn) % n
        got = expect(model.handle.call("slice_log_prob", x, k), (B,), "VideoTransformer(…).slice_log_prob(x, k)")
        parts[turn] = got
    total = model.density(model.rows(x))
    off = float(np.abs(parts.sum(axis=0) - total).max())
    measured = f"log p of all slices add up to {off:.2g} nats from that of the video"
    require(Finding(float(off <= 1e-3 * (1 + np.abs(total).max())), measured, "the same"))


test_each_pixel_depends_only_on_earlier_pixels = suite.causal(
    0.25,
    "Some output sees its own pixel or a later one. In the decoder every layer is strict, and asks with h alone: the "
    "pixels x are only among what is told; and e tells nothing of slice k and those after it.",
)
test_no_blind_spot = suite.no_blind_spot(
    0.25,
    "Where a block is a whole slice, every output sees all earlier slices, and all of its own slice before it: is e "
    "what h begins with, and is x told in every layer?",
    networks=4,
)
LAYERS = ((2, 2, 2), (2, 2, 1))  # of encoder and decoder each


def all_counts(student, seed: int) -> Iterator[Finding]:
    """Every layer of encoder and decoder is in use, and trained, and each side has places."""
    shape, n, W = (4, 1, 4, 4), 8, 2 * WIDTH
    models = [
        small(student, seed + k, shape, (2, 2, 2), LAYERS, LAYERS, width=W, heads=1, biases=0.1, precise=True)
        for k in range(NETWORKS)
    ]
    s = np.random.default_rng(seed).integers(2, size=(1, n, 2, 2, 2))
    e = models[0].handle.call("embed", s, np.zeros(1, dtype=np.int64))
    e = expect(e, (1, 2, 2, 2, W), "VideoTransformer(…).embed(s, k)")[0]
    for axis, side in enumerate(("time", "rows", "columns")):
        off = float(np.abs(np.diff(e, axis=axis)).max())
        slip = "Places are told in all three directions: a vector for each t, each row and each column of a slice."
        yield _found(off > MOVED, f"what the first slice is told differs by {off:.2g} along {side}", "places", slip)
    x = np.random.default_rng(seed).integers(2, size=(4, *shape))
    gradients = [model.handle.gradient("log_prob", x, wrt="parameters") for model in models]
    slip = "A layer of encoder or decoder is made and not called, is in a plain list, or misses a part."
    made_of = "eight matrices of W × W in each layer of encoder and decoder"
    number = 2 * len(LAYERS) * 8 * W**2
    yield reach.reaches(reach.in_any(gradients), number, "four layers", made_of, slip)
    yield trained_by.told(models[0].handle, x, seed=seed, steps=FINE, within=SHUT)


test_every_layer_has_weights_of_its_own = besides(suite.own_layers(0.25), all_counts)
test_every_example_for_itself = suite.every_example(0.25)
test_called_with_one_example = suite.one_example(0.25)
test_log_density_is_the_sum_of_the_conditionals = suite.chain_rule(
    0.25,
    "log p(x) = Σ_i log softmax(logits_i)[x_i]: softmax over the levels, the one that x_i has, summed over pixels.",
)
test_exact_for_videos_that_are_hardly_possible = suite.exact_far(0.25)
test_probabilities_sum_to_one = suite.sums_to_one(
    0.25, "Over all 256 videos of 2 × 2 × 2 pixels p sums to one: log_prob is summed over the pixels, not averaged."
)
test_samples_follow_the_density = suite.samples(
    0.5,
    "Draw slice after slice, and each pixel of a slice from its conditional, given those before it, in raster order; "
    "not the most likely level. The embedding is made anew for each slice, when those before it are drawn.",
    count=COUNT,
    networks=3,
    tall=(1, 48),
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)
test_trained_close_to_the_limit = suite.trained(
    1,
    "If it is about nine nats above the limit, nothing crosses the blocks: do they change from layer to layer? Twelve "
    "and more: does it read the earlier slices?",
    baseline=lambda: DATA.entropy_without_time - DATA.entropy,
    held_out=100,
)
