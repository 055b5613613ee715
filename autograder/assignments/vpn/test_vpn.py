"""Exercise E6: frames folded into a batch, a convolutional LSTM over them, and a decoder that is told its state."""

from collections.abc import Iterator

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import autoregressive as family
from autograder.families import wholes
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.families.besides import besides, gradients, unused
from autograder.properties import discrete, used
from autograder.properties.autoregressive import MOVED
from autograder.properties.finding import Finding
from autograder.student import Handle, expect, whole
from deepul_utils import videos

DATA = videos.get("bounce1")
LEVELS = 2
# Small shapes, (T, 1, H, W): to enumerate; to look for what is seen; and to look for what is drawn.
TINY, SQUARE, TALL = (3, 1, 2, 2), (3, 1, 3, 3), (3, 1, 4, 4)
SAME = 1e-4  # of numbers of order one in float32
FAR = 1e4  # here a gate is open or shut
OPEN = 0.5
NETWORKS = 4  # in a single one a path may be shut by chance
COUNT = 3000  # draws of a small model
LARGE = 8.0  # the size of random weights whose logits are large
DEEPER, USED = 3, 5  # depth, and networks in none of which a weight does anything: a ReLU may be shut in one
AROUND = 3  # places away that a code sees: 2 by a 5 × 5 convolution, and 1 by the residual block
ABOVE = 5  # rows above that an output sees: 4 by a 9 × 9 convolution, and 1 by a residual block
ALIKE = 16  # the side of a frame in whose middle, with one residual block, no wall is seen
VIDEOS = 6  # of which the trained model is asked by its parts


def small(
    student,
    seed: int,
    shape: tuple[int, ...] = TINY,
    levels: int = LEVELS,
    width: int = 8,
    depth: int = 1,
    time: bool = True,
    **strength: float,
) -> Conditionals:
    """A small VPN with random weights."""
    size = dict(shape=list(shape), levels=levels, width=width, depth=depth, time=time)
    return Conditionals(student.new("VPN", seed=seed, **size, **strength), shape, levels)


suite = wholes.Suite(
    exercise="vpn",
    of="VPN",
    small=small,
    data=(DATA,),
    recipe=Recipe("Adam", lr=5e-3, steps=1000, batch=8),
    says="logits(x) is (B, T, 1, H, W, levels) and log_prob(x) is (B,)",
    example="video",
    parts=DATA.length,
    wide={"shape": SQUARE},
    deep={"depth": 2},
    tall={"shape": TALL, "depth": 2, **STRONG},
    whole={"shape": DATA.shape},
)


@points(0.5, "Frames become a batch, and videos again")
@hint(
    "Frame t of video b is number bT + t: first all frames of the first video, in time. flatten(0, 1) does it, and "
    "unflatten(0, (B, T)) undoes it, not (T, B); dimensions are not permuted."
)
def test_frames_become_a_batch_and_videos_again(student, seed):
    required = "frame t of video b is number bT + t, and back"
    for shape in ((2, 3, 1, 2, 4), (3, 2, 4), (1, 4, 2, 2, 2, 3), (4, 1, 5)):
        x = np.arange(np.prod(shape)).reshape(shape)
        (B, T), rest = shape[:2], shape[2:]
        batch = expect(student.call("fold", x), (B * T, *rest), "fold(x)")
        off = float((batch != x.reshape(B * T, *rest)).mean())
        require(Finding(float(off == 0), f"fold puts {off:.0%} of the numbers elsewhere", required))
        back = expect(student.call("unfold", x.reshape(B * T, *rest), T), shape, "unfold(frames, T)")
        off = float((back != x).mean())
        require(Finding(float(off == 0), f"unfold puts {off:.0%} of the numbers elsewhere", required))


class Cell:
    """A student's ConvLSTM with random weights, and inputs for it."""

    def __init__(self, student, seed: int, B: int = 3, H: int = 5, W: int = 6, kernel: tuple[int, ...] = ()):
        self.handle: Handle = student.new("ConvLSTM", 2, 3, *kernel, seed=seed)
        rng = np.random.default_rng(seed)
        self.x, self.h, self.c = (rng.normal(size=(B, n, H, W)).astype(np.float32) for n in (2, 3, 3))

    def step(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
        """h', c'."""
        answer = self.handle.call("forward", x, h, c)
        pair = answer if isinstance(answer, list) and len(answer) == 2 else (answer, None)
        return tuple(expect(v, h.shape, f"ConvLSTM(…)(x, h, c)[{k}]").astype(np.float64) for k, v in enumerate(pair))

    def gates(self, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """f, i ⊙ g and o, by what the cell does with memories of zeros, of ones and its own. o is nan where there is
        too little to show."""
        x, h = scale * self.x, scale * self.h
        shown, written = self.step(x, h, np.zeros_like(h))
        kept = self.step(x, h, np.ones_like(h))[1] - written
        large, memory = self.step(x, h, 10 * np.sign(self.c) + self.c)
        wanted = kept * (10 * np.sign(self.c) + self.c) + written
        require(within(memory - wanted, 10, "c′ is {} off", "c′ = f ⊙ c + i ⊙ g, where f and i ⊙ g know nothing of c"))
        with np.errstate(divide="ignore", invalid="ignore"):
            o = np.where(np.abs(memory) > 1, large / np.tanh(memory), np.nan)
            again = np.where(np.abs(written) > 0.05, shown / np.tanh(written), np.nan)
        known = np.isfinite(o) & np.isfinite(again)
        off = (again - o)[known]
        require(within(off, 10, "h′ / tanh(c′) differs by {} where c does", "h′ = o ⊙ tanh(c′): o knows nothing of c"))
        return kept, written, np.where(np.isfinite(o), o, again)


def within(off: np.ndarray, scale: float, measured: str, required: str) -> Finding:
    """Numbers that are zero but for the rounding of others of this size."""
    most = float(np.abs(off).max(initial=0.0))
    return Finding(float(most <= SAME * scale), measured.format(f"{most:.2g}"), required)


@points(1, "The memory keeps and adds, and is shown")
@hint(
    "c′ = f ⊙ c + i ⊙ g, and h′ = o ⊙ tanh(c′) of the new c′. i, f and o go through a sigmoid, g through tanh; each "
    "has a part of the channels of its own: chunk(4, dim=1)."
)
def test_the_memory_keeps_and_adds_and_is_shown(student, seed):
    cell = Cell(student, seed)
    kept, written, shown = cell.gates()
    for name, low, values in (("f", 0, kept), ("i ⊙ g", -1, written), ("o", 0, shown[np.isfinite(shown)])):
        found = f"{name} is from {values.min():.3g} to {values.max():.3g}"
        ok = low - SAME < values.min() and values.max() < 1 + SAME and np.ptp(values) > SAME
        require(Finding(float(ok), found, f"between {low} and 1, and not always the same"))
    kept, written, shown = cell.gates(FAR)
    i = np.abs(written)  # where |g| is one
    for name, values in (("f", kept), ("i", i), ("o", shown[np.isfinite(shown)])):
        shut, open_ = float((values < 0.1).mean()), float((values > 0.9).mean())
        found = f"where its inputs are huge, {name} is shut in {shut:.0%} of the places and open in {open_:.0%}"
        require(Finding(float(min(shut, open_) > 0.02), found, "a gate: some are shut, and some are open"))
    found = f"where its inputs are huge, i ⊙ g is from {written.min():.2g} to {written.max():.2g}"
    require(Finding(float(written.min() < -0.5 and written.max() > 0.5), found, "g = tanh(…): it adds and takes away"))
    require(apart("f", kept, "i", i))
    some = np.isfinite(shown) & (i > OPEN)  # here o is known, whatever f is
    require(apart("f", kept[some], "o", shown[some]))
    some = np.isfinite(shown) & (kept > OPEN)
    require(apart("i", i[some], "o", shown[some]))


def apart(name: str, gate: np.ndarray, other: str, another: np.ndarray) -> Finding:
    """Where inputs are huge, one gate may be open or shut whether the other one is open or shut."""
    ways = {}
    for here, word in ((gate > OPEN, "open"), (gate <= OPEN, "shut")):
        for there, word_there in ((another > OPEN, "open"), (another <= OPEN, "shut")):
            ways[f"{name} is {word} and {other} is {word_there}"] = float((here & there).mean())
    rarest = min(ways, key=lambda way: ways[way])
    measured = f"where their inputs are huge, {rarest} in {ways[rarest]:.0%} of the places"
    return Finding(float(ways[rarest] > 0.02), measured, "each gate has channels of its own: all four ways occur")


@points(0.5, "The gates look at frame and state, around")
@hint(
    "One convolution of torch.cat([x, h], dim=1), k × k with padding=k // 2: the gates at a place see both of them "
    "there and at its neighbours, and not the memory c of other places."
)
def test_the_gates_look_at_frame_and_state_around(student, seed):
    for name in ("x", "h", "c"):
        require(looks_around(Cell(student, seed, B=1), name, 0 if name == "c" else 1))
    require_too(looks_around(Cell(student, seed, B=1, kernel=(5,)), "x", 2, " with kernel 5"))


def looks_around(cell: Cell, name: str, reach: int, of: str = "") -> Finding:
    """c′ at the place (2, 3) moves with this argument at the places that are so far away at most, and no others."""
    H, W = cell.x.shape[2:]
    near = np.maximum(*np.abs(np.indices((H, W)) - np.array([2, 3])[:, None, None]))  # rings around the place (2, 3)
    given = {"x": cell.x, "h": cell.h, "c": cell.c}
    base = cell.step(**given)[1]
    queries = np.repeat(given[name], H * W, axis=0)
    places = np.arange(H * W)
    queries.reshape(H * W, -1, H * W)[places, :, places] += 1
    others = {key: np.repeat(v, H * W, axis=0) for key, v in given.items()} | {name: queries}
    moved = (np.abs(cell.step(**others)[1] - base) > MOVED).any(axis=1)[:, 2, 3].reshape(H, W)
    measured = f"c′ at a place sees {name} at {int(moved.sum())} places{of}"
    required = f"the {(2 * reach + 1) ** 2} places of {name} that are at most {reach} away{of}"
    return Finding(float(np.array_equal(moved, near <= reach)), measured, required)


def codes(model: Conditionals, method: str, x: np.ndarray) -> np.ndarray:
    """model.method(x) of videos (B, T, 1, H, W), which is (B, T, width, H, W)."""
    _, _, H, W = model.shape
    return expect(model.handle.call(method, x), (len(x), x.shape[1], 8, H, W), f"VPN(…).{method}(x)")


def sees_frames(student, seed: int, method: str) -> np.ndarray:
    """Whether the code of frame t moves with pixel i of frame u, in one of two networks: bool (T, T, H · W)."""
    T, _, H, W = SQUARE
    moved, rng = np.zeros((T, T, H * W), dtype=bool), np.random.default_rng(seed)
    for network in range(NETWORKS):
        model = small(student, seed + network, shape=SQUARE)
        x = rng.integers(LEVELS, size=(8, *SQUARE))
        base = codes(model, method, x)
        for u, pixel in np.ndindex(T, H * W):
            changed = x.copy()
            changed.reshape(len(x), T, -1)[:, u, pixel] ^= 1
            off = np.abs(codes(model, method, changed) - base)
            moved[:, u, pixel] |= (off > MOVED).any(axis=(0, 2, 3, 4))
    return moved


@points(0.5, "Frames are encoded by themselves")
@hint(
    "encode(x) is the same network for every frame: fold the videos, and unfold the codes. Its code keeps the frame's "
    "size, and sees this frame alone, all around: its convolutions are not masked."
)
def test_frames_are_encoded_by_themselves(student, seed):
    moved, required = sees_frames(student, seed, "encode"), "frame t alone, all of it"
    for t, u in np.ndindex(moved.shape[:2]):
        if t != u and moved[t, u].any():
            require(Finding(0.0, f"the code of frame {t + 1} moves with frame {u + 1}", required))
        if t == u and not moved[t, t].all():
            require(Finding(0.0, f"the code of frame {t + 1} sees {moved[t, t].mean():.0%} of it", required))
    model = small(student, seed, shape=SQUARE)
    x = np.random.default_rng(seed).integers(LEVELS, size=(4, *SQUARE))
    off = codes(model, "encode", x)[:, ::-1] - codes(model, "encode", x[:, ::-1].copy())
    require(
        within(off, 1 + np.abs(off).max(), "frames in another order have codes that are {} others", "the same codes")
    )
    first = corners(model, "encode", x)
    require(Finding(float(first), "a place is told by " + ("all around" if first else "one side"), "all around"))
    require_too(sees_around(student, seed))


def sees_around(student, seed: int) -> Finding:
    """The code of the place in the middle moves with the pixels in the corners of a 7 × 7 frame, in some network."""
    side = 2 * AROUND + 1
    seen = np.zeros((2, 2), dtype=bool)
    for network in range(NETWORKS):
        model = small(student, seed + network, shape=(1, 1, side, side))
        x = np.random.default_rng(seed + network).integers(LEVELS, size=(8, *model.shape))
        base = codes(model, "encode", x)
        for corner in np.ndindex(2, 2):
            changed = x.copy()
            changed[..., -corner[0], -corner[1]] ^= 1
            off = np.abs(codes(model, "encode", changed) - base)[..., AROUND, AROUND]
            seen[corner] |= bool((off > MOVED).any())
    measured = f"a code is told of {int(seen.sum())} of the 4 pixels that are {AROUND} rows and columns away"
    slip = "A 5 × 5 convolution sees 2 rows and columns around, and the residual block, not masked, one more."
    return Finding(float(seen.all()), measured, "all four", slip="" if seen.all() else slip)


def corners(model: Conditionals, method: str, x: np.ndarray) -> bool:
    """Whether the first place of a frame moves with its last pixel, and the last place with its first pixel."""
    base = codes(model, method, x)
    seen = []
    for pixel, place in ((-1, 0), (0, -1)):
        changed = x.copy()
        changed[:, :, 0, pixel, pixel] ^= 1
        seen.append(np.abs(codes(model, method, changed) - base)[..., place, place].max() > MOVED)
    return all(seen)


@points(1, "The state holds all frames before, and no other")
@hint(
    "s_t is the h that the LSTM has after frame t − 1: put h into the list before the LSTM takes frame t, not after. "
    "Before the first frame h and c are zero, for every video anew; then both are handed on from frame to frame."
)
def test_the_state_holds_all_frames_before_and_no_other(student, seed):
    moved, required = sees_frames(student, seed, "states"), "all of the frames before, and nothing else"
    for t, u in np.ndindex(moved.shape[:2]):
        if u >= t and moved[t, u].any():
            require(Finding(0.0, f"the state of frame {t + 1} moves with frame {u + 1}", required))
        if u < t and not moved[t, u].all():
            require(
                Finding(0.0, f"the state of frame {t + 1} sees {moved[t, u].mean():.0%} of frame {u + 1}", required)
            )
    model = small(student, seed, shape=SQUARE)
    x = np.random.default_rng(seed).integers(LEVELS, size=(4, *SQUARE))
    first = float(np.abs(codes(model, "states", x)[:, 0]).max())
    require(Finding(float(first == 0), f"the state of the first frame is up to {first:.2g}", "zero"))
    require(is_the_lstm(model, x))
    require(is_handed_on(student, model, x))


def is_the_lstm(model: Conditionals, x: np.ndarray) -> Finding:
    """|s| < 1, as o ⊙ tanh(c) is, and videos in another order have the states in that order."""
    s = codes(model, "states", x)
    turned = codes(model, "states", x[::-1].copy())[::-1]
    most, off = float(np.abs(s).max()), float(np.abs(turned - s).max())
    if most > 1:
        return Finding(0.0, f"states are up to {most:.2g}", "h = o ⊙ tanh(c), which is at most 1")
    return Finding(
        float(off <= SAME), f"videos in another order have states that are {off:.2g} others", "the same states"
    )


def is_handed_on(student, model: Conditionals, x: np.ndarray) -> Finding:
    """The states are those of the model's own ConvLSTM, which is given the codes of the frames, one by one, h and c.

    A model whose ConvLSTM is not found, under one name of its own, is not asked.
    """
    required = "h′, c′ of each frame are the h, c of the next one"
    lstm = its_lstm(student, model)
    if not lstm:
        return Finding(1.0, required, required)
    e, s = (codes(model, method, x).astype(np.float32) for method in ("encode", "states"))
    for slip, keeps_h, keeps_c in (("", 1, 1), ("c", 1, 0), ("h", 0, 1)):
        off = np.abs(rolled(model, lstm, e, keeps_h, keeps_c) - s).max(axis=(0, 2, 3, 4))
        if off.max() <= SAME:
            measured = f"{slip} begins anew in every frame" if slip else "h and c are handed on"
            return Finding(float(not slip), measured, required)
        if not slip:
            t, most = int((off > SAME).argmax()), float(off.max())
    measured = f"from frame {t + 1} on states are up to {most:.2g} from what the ConvLSTM makes of codes, h and c"
    return Finding(0.0, measured, required)


def rolled(model: Conditionals, lstm: str, e: np.ndarray, keeps_h: float, keeps_c: float) -> np.ndarray:
    """What states should be of the codes e (B, T, width, H, W), if so much of h and c is handed on."""
    h = c = np.zeros_like(e[:, 0])
    rows = [h]
    for t in range(e.shape[1] - 1):
        pair = model.handle.call(lstm, e[:, t], keeps_h * h, keeps_c * c)
        h, c = (expect(v, h.shape, "ConvLSTM(…)(x, h, c)") for v in pair)
        rows.append(h)
    return np.stack(rows, axis=1)


def its_lstm(student, model: Conditionals, width: int = 8) -> str:
    """The name of the ConvLSTM that a model holds, by its parameters; "" where none is found, or several are."""
    cell = {name: v.shape for name, v in student.new("ConvLSTM", width, width).parameters().items()}
    inside = {name: v.shape for name, v in model.handle.parameters().items()}
    names = {name.split(".")[0] for name in inside}
    found = [n for n in names if {k[len(n) + 1 :]: v for k, v in inside.items() if k.startswith(n + ".")} == cell]
    return found[0] if len(found) == 1 and cell else ""


@points(0.5, "A frame is decoded with its own state")
@hint(
    "logits(x) of frame t is decode(x[:, t], states(x)[:, t]). For all at once fold the videos and fold the states, in "
    "the same order; and the state is added in decode, so that every pixel is told of it."
)
def test_a_frame_is_decoded_with_its_own_state(student, seed):
    rng, here = np.random.default_rng(seed), 0.0
    for network in range(NETWORKS):
        model = small(student, seed + network, shape=SQUARE)
        x = rng.integers(LEVELS, size=(5, *SQUARE))
        s = codes(model, "states", x).astype(np.float32)
        require(by_frames(model, x, s))
        here = here + told_here(model, x[:, 1], s[:, 1])
    told = float((here > 0).mean())
    require(Finding(float(told == 1), f"{told:.0%} of the pixels hang on the state at their place", "all of them"))
    for found in reads_what_it_should(student, seed):
        require_too(found)


def reads_what_it_should(student, seed: int) -> Iterator[Finding]:
    """A pixel is told of the state around it, of its frame far above and to the left, and of its place."""
    states, frames, places = np.zeros((3, 3), dtype=bool), np.zeros(2, dtype=bool), False
    for network in range(NETWORKS):
        rng = np.random.default_rng(seed + network)
        model = small(student, seed + network, shape=SQUARE)
        frame, s = rng.integers(LEVELS, size=(5, 1, 3, 3)), rng.normal(size=(5, 8, 3, 3)).astype(np.float32)
        base = decoded(model, frame, s)[:, 0, 1, 1]
        for at in np.ndindex(3, 3):
            changed = s.copy()
            changed[:, :, *at] += 1
            states[at] |= bool((np.abs(decoded(model, frame, changed)[:, 0, 1, 1] - base) > MOVED).any())
        side = ABOVE + 1
        model = small(student, seed + network, shape=(1, 1, side, side))
        frame, s = rng.integers(LEVELS, size=(20, 1, side, side)), np.zeros((20, 8, side, side), dtype=np.float32)
        base = decoded(model, frame, s)[:, 0, -1, -1]
        for k, at in enumerate(((0, -1), (-1, 0))):
            changed = frame.copy()
            changed[:, 0, *at] ^= 1
            frames[k] |= bool((np.abs(decoded(model, changed, s)[:, 0, -1, -1] - base) > MOVED).any())
        model, far = small(student, seed + network, shape=(1, 1, ALIKE, ALIKE)), ABOVE + 1
        zeros = np.zeros((1, 8, ALIKE, ALIKE), dtype=np.float32)
        middle = decoded(model, np.zeros((1, 1, ALIKE, ALIKE), dtype=np.int64), zeros)[0, 0, far:-far, far:-far]
        places |= bool(np.ptp(middle, axis=(0, 1)).max() > SAME)
    slip = "Is the state read by a 3 × 3 convolution that is not masked?"
    measured = f"a pixel hangs on the state at {int(states.sum())} of the 9 places around it"
    yield Finding(float(states.all()), measured, "all nine", slip=slip)
    ways = " or ".join(way for way, is_seen in zip(("above", "to the left"), frames, strict=True) if not is_seen)
    measured = f"with one residual block a pixel does not see what is {ABOVE} places {ways}"
    slip = "Is the masked convolution of the frame 9 × 9, and are the residual blocks called?"
    yield Finding(float(frames.all()), measured, "4 by the 9 × 9 convolution, 1 by the block", slip=slip)
    measured = "of an empty frame, logits are the same at all places that are far from the walls"
    slip = "Add a bias for each channel and place, of shape (width, H, W): it tells where the walls are."
    yield Finding(float(places), measured, "a bias for each place makes them others", slip=slip)


def told_here(model: Conditionals, frame: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Whether the logits of a pixel, of one of several frames, move with the state at its place: bool (H · W,)."""
    n, places = len(frame), np.arange(frame[0].size)
    frames, states = (np.repeat(v, len(places), axis=0) for v in (frame, s))
    changed = states.copy().reshape(n, len(places), -1, len(places))
    changed[:, places, :, places] += 1
    off = np.abs(decoded(model, frames, changed.reshape(states.shape)) - decoded(model, frames, states))
    return (off > MOVED).reshape(n, len(places), len(places), -1).any(axis=(0, 3)).diagonal()


def decoded(model: Conditionals, frame: np.ndarray, s: np.ndarray) -> np.ndarray:
    """model.decode(frame, s), (n, 1, H, W, levels)."""
    size = (len(frame), *model.shape[1:], model.levels)
    return expect(model.handle.call("decode", frame, s), size, "VPN(…).decode(frame, s)")


def by_frames(model: Conditionals, x: np.ndarray, s: np.ndarray) -> Finding:
    """logits(x), of videos (B, T, 1, H, W), is decode of each frame with its state (B, T, width, H, W)."""
    logits = expect(model.handle.call("logits", x), (*x.shape, model.levels), "VPN(…).logits(x)")
    for t in range(x.shape[1]):
        one = decoded(model, x[:, t], s[:, t])
        off = float(np.abs(one - logits[:, t]).max())
        if not off <= SAME * (1 + np.abs(one).max()):
            measured = f"logits of frame {t + 1} are up to {off:.2g} from those of the frame asked alone"
            return Finding(0.0, measured, "the same")
    return Finding(1.0, "logits of every frame are those of the frame asked alone", "the same")


test_each_pixel_depends_only_on_earlier_pixels = suite.causal(
    0.5,
    "Some output sees its own pixel or a later one. In its own frame a pixel sees its strict past: the first "
    "convolution is masked with own=False; and the state tells nothing of frame t and those after it.",
    mixed="Everything sees everything: the first convolution is not masked, or the state is that of the same frame.",
)
test_no_blind_spot = suite.no_blind_spot(
    0.5,
    "Every output sees all earlier frames, by the state, and all of its own frame before it, by the masked 9 × 9 "
    "convolution: is the state added, and is the decoder given the frame itself?",
    networks=NETWORKS,
)
IDLE = "The decoder has `depth` residual blocks: is each of them called, one after the other?"
CUT_OFF = "Is there a detach() or a no_grad() on the way from {} to log_prob? Training has to go through the states."


def all_is_trained(student, seed: int) -> Iterator[Finding]:
    """Each residual block has a part in log_prob, whose gradient reaches what codes and states are computed with."""
    models = [[small(student, seed + k, depth=depth) for k in range(USED)] for depth in (1, DEEPER)]
    few, many = (unused(of, seed) for of in models)
    yield used.none_is_left_out(few, many, f"{DEEPER - 1} residual blocks more", 8 * (DEEPER - 1), IDLE)
    model = models[0][0]
    x, outer = np.random.default_rng(seed).integers(LEVELS, size=(8, *TINY)), gradients(model, seed)
    for method, what in (("encode", "the codes"), ("states", "the states")):
        inner = model.handle.gradient(method, x, wrt="parameters")
        yield used.is_trained_by(inner, outer, what, CUT_OFF.format(what))


test_every_layer_has_weights_of_its_own = besides(suite.own_layers(0.25), all_is_trained)
test_every_example_for_itself = suite.every_example(0.25)
test_called_with_one_example = suite.one_example(0.25)


def unnormalised(student, seed: int) -> Iterator[Finding]:
    """Logits of networks with large weights are no probabilities."""
    models = [small(student, seed + k, perturb=LARGE) for k in range(NETWORKS)]
    yield used.are_unnormalised(np.concatenate([model.logits(family.some_states(model)) for model in models]))


test_log_density_is_the_sum_of_the_conditionals = besides(
    suite.chain_rule(
        0.5,
        "log p(x) = Σ_t Σ_i log softmax(logits_{t,i})[x_{t,i}]: softmax over the levels, the one that x_{t,i} has, "
        "summed over the pixels of all frames.",
    ),
    unnormalised,
)
test_exact_for_videos_that_are_hardly_possible = suite.exact_far(0.25)
test_probabilities_sum_to_one = suite.sums_to_one(
    0.5, "Over all 4,096 videos of three frames of 2 × 2 pixels p sums to one: log_prob is summed, not averaged."
)
test_samples_follow_the_density = suite.samples(
    0.5,
    "Draw frame after frame, and each pixel of a frame from its conditional, given those before it; not the most "
    "likely level. The state is made anew for each frame, when those before it are drawn.",
    count=COUNT,
    networks=3,
    tall=(1, 48),
    needs=test_each_pixel_depends_only_on_earlier_pixels,
)


@points(0.5, "Without the state it is an image model")
@hint(
    "With time=False all states are zero, so every frame is a picture by itself, with the same probability wherever it "
    "stands in the video. With time=True a frame hangs on those before it."
)
def test_without_the_state_it_is_an_image_model(student, seed):
    still = small(student, seed, shape=SQUARE, time=False)
    x = np.random.default_rng(seed).integers(LEVELS, size=(6, *SQUARE))
    most = float(np.abs(codes(still, "states", x)).max())
    require(Finding(float(most == 0), f"without time the states are up to {most:.2g}", "zero"))
    size, what = (*x.shape, LEVELS), "VPN(…, time=False).logits(x)"
    logits = expect(still.handle.call("logits", x), size, what)
    turned = expect(still.handle.call("logits", x[:, ::-1].copy()), size, what)[:, ::-1]
    off = float(np.abs(logits - turned).max())
    measured = f"without time, frames in another order have logits that are up to {off:.2g} others"
    require(Finding(float(off <= SAME * (1 + np.abs(logits).max())), measured, "the same"))
    moving = small(student, seed, shape=SQUARE)
    differs = float(np.abs(moving.handle.call("logits", x) - logits).max())
    require(Finding(float(differs > MOVED), f"with time, logits are {differs:.2g} others than without", "others"))


@points(0.5, "Going on keeps what is given", needs=test_each_pixel_depends_only_on_earlier_pixels)
@hint(
    "go_on(x) begins with frame K + 1, where K is the number of frames that are given: these stay as they are, at the "
    "beginning of the video, and the others are drawn given them."
)
def test_going_on_keeps_what_is_given(student, seed):
    model = small(student, seed, **STRONG)
    rng, (T, *frame) = np.random.default_rng(seed), TINY
    known = rng.integers(LEVELS, size=(20, T, *frame))
    required = "the frames that are given stay"
    for K in (1, 2, T):
        x = expect(model.handle.call("go_on", known[:, :K], seed=seed), (20, *TINY), "VPN(…).go_on(x)")
        off = float((x[:, :K] != known[:, :K]).mean())
        require(Finding(float(off == 0), f"{off:.0%} of the given pixels are others afterwards", required))
    given = np.repeat(known[:1, :2], COUNT, axis=0)
    drawn = whole(model.handle.call("go_on", given, seed=seed), "VPN(…).go_on(x)")
    told = given[0].ravel()
    rest = model.dims - len(told)

    def density(x: np.ndarray) -> np.ndarray:
        """log p of what is drawn, (B, rest), and of what is given, together."""
        return model.density(np.concatenate([np.broadcast_to(told, (len(x), len(told))), x], axis=1))

    total = np.logaddexp.reduce(density(discrete.states(rest, LEVELS)))
    require(discrete.sampler_matches(model.rows(drawn)[:, len(told) :], lambda x: density(x) - total, LEVELS, seed))


test_trained_close_to_the_limit = suite.trained(
    1,
    "If it is several nats above the limit, the network does not use the past: do the states reach the decoder, and "
    "are h and c handed on from frame to frame?",
    baseline=lambda: (DATA.entropy_without_time - DATA.entropy) / DATA.length,
    held_out=200,
)


@points(0.5, "The trained model is made of its parts")
@hint(
    "What is true of small models is to be true of the trained one: logits of frame t are decode(x[:, t], s) with s "
    "its state, and this state is the same whatever comes from frame t on."
)
def test_the_trained_model_is_made_of_its_parts(student, seed):
    model = Conditionals(student.trained("vpn", "VPN"), DATA.shape, DATA.levels)
    x = DATA.sample(VIDEOS, seed=seed, split="test").astype(np.int64)
    s = np.asarray(model.handle.call("states", x))
    s = expect(s, (*x.shape[:2], *s.shape[2:3], *x.shape[3:]), "VPN(…).states(x)").astype(np.float32)
    require(by_frames(model, x, s))
    t = int(np.random.default_rng(seed).integers(1, DATA.length))
    changed = np.concatenate([x[:, :t], np.roll(x, 1, axis=0)[:, t:]], axis=1)
    off = float(np.abs(np.asarray(model.handle.call("states", changed))[:, : t + 1] - s[:, : t + 1]).max())
    require(
        Finding(
            float(off <= SAME), f"states up to frame {t + 1} move by {off:.2g} with what comes from it on", "the same"
        )
    )
    differs = float(np.abs(s[:, 1:]).max())
    require(
        Finding(float(differs > MOVED), f"states of the trained model are up to {differs:.2g}", "they tell something")
    )
