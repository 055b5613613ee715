"""Exercise E2: rows that see a triangle, diagonals that see the whole past, and a skew that can be undone."""

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import parameters, slopes
from autograder.families import pictures as family
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.properties import layers
from autograder.properties.autoregressive import MOVED
from autograder.properties.finding import Finding
from autograder.student import Handle, expect
from deepul_utils.pictures.echoes import Echoes

DATA = Echoes()
LEVELS = 2
SIDES = (4, 5)  # rows and columns of the features that a layer is asked about
TOLD = 1e-7  # in double precision what is not seen moves by nothing at all, and what is seen by more
NETWORKS = 3  # that must see everything together
FAR = 1e4  # times features of order one: gates are open or shut
ONCE = 0.77  # tanh 1 = 0.762, the most that a cell shows into which nothing was written before
BEGUN = 0.99  # and tanh 2.6 = 0.989, where the biases alone wrote into the free places of the skewed picture
SHOWN = 1 + 1e-6  # and what a state cannot exceed, σ(o) tanh(c)
PASSES = 1.0  # `begin` adds 1.5 to the weights by which half of the cells start from the state above
MEADOW, MIDDLE = (1, 3, 14), slice(5, 9)  # in whose middle a row of layer one sees no edge to either side
# Small shapes: 2 × 3 to enumerate, 3 × 4 to look for what is not seen, and one that is too large to count its states.
TINY, WIDE, TALL = (1, 2, 3), (1, 3, 4), (1, 5, 3)
TRIANGLE = (1, 4, 7)  # where a row sees less than the whole past


def small(
    student,
    seed: int,
    shape: tuple[int, ...] = TINY,
    levels: int = LEVELS,
    width: int = 8,
    layers: int = 1,
    kind: str = "diagonal",
    precise: bool = False,
    **strength: float,
) -> Conditionals:
    """A small PixelRNN with random weights."""
    size = dict(shape=list(shape), levels=levels, width=width, layers=layers, kind=kind)
    return Conditionals(student.new("PixelRNN", seed=seed, precise=precise, **size, **strength), shape, levels)


suite = family.Suite(
    exercise="pixelrnn",
    of="PixelRNN",
    small=small,
    data=(DATA,),
    recipe=Recipe("Adam", lr=1e-2, steps=300, batch=32),
    says="logits(x) is (B, 1, H, W, levels) and log_prob(x) is (B,)",
    wide={"shape": WIDE},
    deep={"layers": 2},
    tall={"shape": TALL, "layers": 2, **STRONG},
    whole={"shape": DATA.shape},
)


def features(seed: int, shape: tuple[int, ...] = (2, 3, *SIDES)) -> np.ndarray:
    """Random features, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def skewed(x: np.ndarray) -> np.ndarray:
    """Row i moved i places to the right: (B, C, H, W) -> (B, C, H, H + W − 1)."""
    B, C, H, W = x.shape
    out = np.zeros((B, C, H, H + W - 1), x.dtype)
    for i in range(H):
        out[:, :, i, i : i + W] = x[:, :, i]
    return out


def same(what: str, got: np.ndarray, wanted: np.ndarray, required: str) -> Finding:
    """Numbers that are only moved are the same to the last bit."""
    wrong = int((got != wanted).sum())
    measured = f"{wrong} of {wanted.size} numbers of {what} are others" if wrong else f"{what} is right"
    return Finding(float(not wrong), measured, required)


def seen(student, seed: int, name: str, *size: int) -> np.ndarray:
    """Whether the state of pixel a moves with the features of pixel b, in some of the networks: bool (N, N)."""
    H, W = SIDES
    N, x = H * W, features(seed, (1, 2, *SIDES)).astype(np.float64)
    changed = np.repeat(x, N, axis=0).reshape(N, 2, N)
    changed[np.arange(N), :, np.arange(N)] += 1
    moved = np.zeros((N, N))
    for k in range(NETWORKS):
        layer: Handle = student.new(name, 2, 8, *size, seed=seed + k, precise=True)
        every = np.concatenate([x, changed.reshape(N, 2, H, W)])
        h = expect(layer.call("forward", every), (N + 1, 8, H, W), f"{name}(…)(x)").reshape(N + 1, 8, N)
        moved = np.maximum(moved, np.abs(h[1:] - h[0]).max(axis=1).T)
    return moved > TOLD


def sees(moved: np.ndarray, wanted: np.ndarray, sides: tuple[int, int], what: str, required: str) -> Finding:
    """What is seen is exactly what is wanted: bool (N, N), outputs by inputs in raster order."""
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    wrong = np.argwhere(moved != wanted)
    if not len(wrong):
        return Finding(1.0, f"{what} sees exactly that", required, plot=plot)
    (i, j), (row, column) = (divmod(int(n), sides[1]) for n in wrong[0])
    does = "sees" if moved[tuple(wrong[0])] else "does not see"
    measured = f"{what} at row {i + 1}, column {j + 1} {does} row {row + 1}, column {column + 1}"
    return Finding(0.0, measured, required, plot=plot)


def steps(sides: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows up and columns to the right from output to input, (N, N) each."""
    i, j = (of.ravel() for of in np.indices(sides))
    return i[:, None] - i, j - j[:, None]


@points(0.75, "Skew, and back")
@hint(
    "skew(x)[…, i, i + j] = x[…, i, j], rows are moved to the right by their number, and zeros fill the rest, "
    "H + W − 1 columns in all. unskew takes the W columns from i on of row i: unskew(skew(x)) is x."
)
def test_skew_and_back(student, seed):
    for H, W in ((4, 5), (3, 2), (1, 3)):
        x = features(seed, (2, 3, H, W))
        there = expect(student.call("skew", x), (2, 3, H, H + W - 1), "skew(x)")
        require(same("skew(x)", there, skewed(x), "row i moved by i, between zeros"))
        noise = features(seed + 1, (2, 3, H, H + W - 1))
        noise[skewed(np.ones_like(x)) == 1] = x.ravel()
        back = expect(student.call("unskew", noise), (2, 3, H, W), "unskew(x)")
        require(same("unskew(x)", back, x, "unskew(skew(x)) = x, whatever stands between"))


@points(0.75, "Rows: a triangle of the rows above")
@hint(
    "Row i sees its own row through input to state alone: k // 2 pixels to the left and the pixel itself, none to the "
    "right. The states of row i − 1 it sees k // 2 pixels to either side, unmasked; those have seen the rows above."
)
def test_rows_see_a_triangle(student, seed):
    up, right = steps(SIDES)
    for k in (3, 5):
        r = k // 2
        wanted = (up == 0) & (right <= 0) & (right >= -r)
        wanted |= (up > 0) & (right <= r * up) & (right >= -r * (up + 1))
        required = f"its own row as far as k // 2 = {r} to the left, and a triangle above"
        require(sees(seen(student, seed, "RowLSTM", k), wanted, SIDES, "RowLSTM’s state", required))
    h = np.abs(driven(student, seed, "RowLSTM", 3))
    require_too(is_no_cell(h))
    top = float(h.max())
    measured = "cells grow down the rows" if top > ONCE else f"no state is above {top:.2g}: no cell comes from above"
    slip = "h, c = lstm_step(…, c): both go on from row to row, c, too; it is zero above the first row only."
    require_too(Finding(float(top > ONCE), measured, "cells that grow down the rows", slip=slip))


def driven(student, seed: int, name: str, *size: int) -> np.ndarray:
    """States (32, 8, *SIDES) with gates that are open or shut, the same everywhere."""
    layer: Handle = student.new(name, 2, 8, *size, seed=seed)
    x = np.broadcast_to(FAR * features(seed, (32, 2, 1, 1)), (32, 2, *SIDES)).astype(np.float32)
    return expect(layer.call("forward", x), (32, 8, *SIDES), f"{name}(…)(x)")


def is_no_cell(h: np.ndarray) -> Finding:
    """A state is σ(o) tanh(c), of which none is above one; of cells some are."""
    top = float(h.max())
    slip = "lstm_step gives h and c in this order: h, which is never above 1, are the states, and c stays inside."
    measured = f"a state is {top:.3g}: that is a cell c" if top > SHOWN else "states are between −1 and 1"
    return Finding(float(top <= SHOWN), measured, "states h = σ(o) ⊙ tanh(c)", slip=slip)


@points(1, "Diagonals: all above and to the left")
@hint(
    "In column s of the skewed picture, row i takes the states of column s − 1 in row i (left) and row i − 1 (above): "
    "put the zero above the first row. The cell c comes from the left neighbour alone. Input to state is 1 × 1. Unskew "
    "the states, not the input."
)
def test_diagonals_see_all_above_and_to_the_left(student, seed):
    up, right = steps(SIDES)
    found = seen(student, seed, "DiagonalLSTM")
    require(sees(found, (up >= 0) & (right <= 0), SIDES, "DiagonalLSTM’s state", "all pixels above and to the left"))
    require(cell_from_the_left(student, seed))


def cell_from_the_left(student, seed: int) -> Finding:
    """With gates that are open or shut, the same everywhere, a cell grows along the rows, and not down the columns.

    In the first column no pixel comes from the left: c' = i ⊙ g there, so |h| ≤ tanh 1, or a little more where the
    input was skewed, and biases make states of the free places.
    """
    h = np.abs(driven(student, seed, "DiagonalLSTM"))
    if h.max() > SHOWN:
        return is_no_cell(h)
    column, row = float(h[..., 0].max()), float(h[:, :, 0].max())
    if column > BEGUN:
        measured = f"in the first column a state is {column:.2g}: its cell comes from above"
        return Finding(0.0, measured, "hardly more than tanh 1 = 0.76 where no cell comes from the left")
    measured = f"along the first row no state is above {row:.2g}: no cell comes from the left"
    return Finding(float(row > ONCE), measured, "cells that grow along a row")


@points(0.25, "Both LSTMs begin with `begin`")
@hint(
    "begin(input_to_state, state_to_state, above) in __init__ of RowLSTM and of DiagonalLSTM, once their convolutions "
    "are made. above: the place in the kernel of state to state that reads the state above: k // 2 of k, 0 of two."
)
def test_both_lstms_begin_with_begin(student, seed):
    for name, size, above in (("RowLSTM", (5,), 2), ("DiagonalLSTM", (), 0)):
        layer: Handle = student.new(name, 2, 8, *size, seed=seed, perturb=0.0)
        kernels = {k: v for k, v in layer.parameters().items() if v.shape == (32, 8, 5 if size else 2)}
        if len(kernels) != 1:
            continue  # of another layout nothing can be said
        ((key, kernel),) = kernels.items()
        passed_on = np.diagonal(np.split(kernel, 4)[3][:4, :4]).min(axis=1)  # of each place in the kernel
        required = f"half of the cells of {name} start from the state above"
        if not (passed_on > PASSES).any():
            require(Finding(0.0, f"no cell of {name} does: `begin` was not called", required))
        if not size and not sees_above(layer, key, kernel, above, seed):
            above = 1
        found = int(passed_on.argmax())
        measured = f"those of {name} start from place {found} of the kernel, what is above stands at {above}"
        require(Finding(float(found == above), measured if found != above else required, required))


def sees_above(layer: Handle, key: str, kernel: np.ndarray, place: int, seed: int) -> bool:
    """Whether a state sees the one above through this place of a kernel of two. The layer keeps its weights."""
    only = kernel.copy()
    only[..., 1 - place] = 0
    layer.load({key: only})
    x = features(seed, (1, 2, *SIDES))
    other = x.copy()
    other[:, :, 0, 0] += 1
    h = np.asarray(layer.call("forward", np.concatenate([x, other])))
    layer.load({key: kernel})
    return bool(np.abs(h[1] - h[0])[:, 1, 0].max() > 0)


@points(0.5, "Shifted one row down")
@hint("Row i gets what row i − 1 had; the first row is zeros, and what the last row had is left out: no roll.")
def test_shifted_one_row_down(student, seed):
    x = features(seed)
    down = expect(student.call("shift_down", x), x.shape, "shift_down(x)")
    wanted = np.concatenate([np.zeros_like(x[:, :, :1]), x[:, :, :-1]], axis=2)
    require(same("shift_down(x)", down, wanted, "zeros, and then all rows but the last"))


@points(1, "Two directions: the whole past")
@hint(
    "The second direction goes through the picture flipped from left to right; its states are flipped back, and then "
    "shifted one row down, so that it sees nothing of the own row. Together the two see all before a pixel, and itself."
)
def test_two_directions_see_the_whole_past(student, seed):
    wanted = np.tri(SIDES[0] * SIDES[1], dtype=bool)
    found = seen(student, seed, "DiagonalBiLSTM")
    require(sees(found, wanted, SIDES, "DiagonalBiLSTM’s state", "all before it in raster order, and itself"))
    require_too(two_are_added(student, seed))


def two_are_added(student, seed: int) -> Finding:
    """Its states are those of from_left, and of from_right of the picture turned, turned back and shifted down."""
    both: Handle = student.new("DiagonalBiLSTM", 2, 8, seed=seed)
    weights, x = both.call("state_dict"), features(seed, (2, 2, *SIDES))

    def alone(name: str, x: np.ndarray) -> np.ndarray:
        layer: Handle = student.new("DiagonalLSTM", 2, 8, seed=seed)
        layer.load({k.removeprefix(name): v for k, v in weights.items() if k.startswith(name)})
        return expect(layer.call("forward", x), (2, 8, *SIDES), "DiagonalLSTM(…)(x)")

    from_right = alone("from_right.", np.ascontiguousarray(x[..., ::-1]))[..., ::-1]
    wanted = alone("from_left.", x).copy()
    wanted[:, :, 1:] += from_right[:, :, :-1]
    off = float(np.abs(expect(both.call("forward", x), wanted.shape, "DiagonalBiLSTM(…)(x)") - wanted).max())
    measured = "the two are added" if off <= MOVED else f"the states are off by {off:.2g}"
    return Finding(float(off <= MOVED), measured, "from_left(x) + shift_down(from_right of x, turned and back)")


test_each_pixel_depends_only_on_earlier_pixels = suite.causal(
    1,
    "Some output sees its own pixel or a later one. What goes into the LSTMs are features of the strict past and "
    "places, never the pixels themselves.",
)
test_no_blind_spot = suite.no_blind_spot(
    0.5,
    "With kind='diagonal' one layer sees the whole past. The last pixel of a row needs a column more, to its right; "
    "and every layer is a DiagonalBiLSTM, whose states are added.",
    networks=4,
)


@points(0.5, "The network of rows sees a triangle")
@hint("With kind='row' every layer is a RowLSTM, of kernel 3, with features of the strict past going in.")
def test_the_network_of_rows_sees_a_triangle(student, seed):
    sides, rng = TRIANGLE[1:], np.random.default_rng(seed)
    up, right = steps(sides)
    N = len(up)
    moved = np.zeros((N, N))
    for k in range(NETWORKS):
        model = small(student, seed + k, shape=TRIANGLE, kind="row", precise=True)
        for _ in range(2):
            x = rng.integers(LEVELS, size=(1, N))
            logits = model.logits(np.concatenate([x, np.where(np.eye(N, dtype=bool), 1 - x, x)]))
            moved = np.maximum(moved, np.abs(logits[1:] - logits[0]).max(axis=-1).T)
    wanted = (up == 0) & (right < 0) & (right >= -2) | (up > 0) & (right <= up) & (right >= -up - 2)
    require(sees(moved > TOLD, wanted, sides, "the output", "two pixels to the left, and a triangle above"))


@points(0.25, "Every layer has weights of its own")
@hint(layers.SHARED)
def test_every_layer_has_weights_of_its_own(student, seed):
    made = small(student, seed, layers=2).handle
    require(layers.are_their_own(made.call("state_dict"), made.parameters()))
    require(both_directions_are_used(student, seed))


def both_directions_are_used(student, seed: int) -> Finding:
    """The states of a DiagonalBiLSTM move with weights of from_left and of from_right."""
    both: Handle = student.new("DiagonalBiLSTM", 2, 8, seed=seed)
    rng = np.random.default_rng(seed)
    gradients = both.gradient(
        "forward", features(seed, (2, 2, *SIDES)), wrt="parameters", cotangent=rng.normal(size=(2, 8, *SIDES))
    )
    required = "each direction has an LSTM with weights of its own"
    for name in ("from_left", "from_right"):
        of_one = [g for key, g in gradients.items() if key.startswith(f"{name}.")]
        if of_one and not any(g is not None and g.any() for g in of_one):
            slip = "One LSTM goes in both directions: self.from_left from the left, self.from_right from the right."
            return Finding(0.0, f"the states do not move with any weight of {name}", required, slip=slip)
    return Finding(1.0, required, required)


@points(0.25, "The network has all its parts")
@hint(
    "Levels go onto [−1, 1], 2x / (L − 1) − 1. Then, in each layer, h ← h + U lstm(h, places), with an LSTM and a U of "
    "its own; places are channels of the LSTM's input."
)
def test_the_network_has_all_its_parts(student, seed):
    rng = np.random.default_rng(seed)
    for kind in ("diagonal", "row"):
        x = rng.integers(LEVELS, size=(6, *WIDE))

        def new(seed: int, perturb: float, kind=kind):
            return small(student, seed, shape=WIDE, layers=2, kind=kind, perturb=perturb).handle

        require(parameters.are_all_used(new, "log_prob", (x,), seed))
        made = small(student, seed, shape=WIDE, layers=2, kind=kind, precise=True).handle
        require(slopes.gradient_is_the_slope(made, "log_prob", (x,)))
    require(levels_come_in(student, seed))
    require(h_goes_on(student, seed))
    require(each_layer_has_its_u(student, seed))
    require(places_are_told(student, seed))


def levels_come_in(student, seed: int) -> Finding:
    """StrictPast is told −1, 0, 1 of three levels: of an even picture, the gradients by its two channels say what."""
    model, told = small(student, seed, shape=WIDE, levels=3), []
    required = "levels on [−1, 1]"
    for level in range(3):
        cotangent = np.random.default_rng(seed).normal(size=(2, *WIDE, 3))
        x = np.full((2, *WIDE), level)
        found = model.handle.gradient("logits", x, wrt="parameters", cotangent=cotangent)
        first = [g for k, g in found.items() if g is not None and k.endswith("left.weight") and g.shape == (8, 2, 1, 1)]
        if len(first) != 1:
            return Finding(1.0, required, required)
        of_level, ones = first[0].astype(float).reshape(8, 2).T
        told.append(float(of_level @ ones / max(ones @ ones, 1e-30)))
    ok = bool(np.abs(np.array(told) - (-1, 0, 1)).max() <= 0.01)
    measured = required if ok else "levels 0, 1, 2 of three come in as " + ", ".join(f"{v:.3g}" for v in told)
    return Finding(float(ok), measured, required)


def the_u(values: dict[str, np.ndarray]) -> list[str]:
    """The names of the weights of 1 × 1 convolutions of as many channels as come in."""
    return [k for k, v in values.items() if k.endswith(".weight") and v.shape[:2] == (8, 8) and v.size == 64]


def h_goes_on(student, seed: int) -> Finding:
    """Without what U adds, h still tells of the pixels beside. A model without one U is not asked."""
    model, required = small(student, seed, shape=WIDE), "h + U lstm(h, places)"
    values = model.handle.parameters()
    if len(the_u(values)) != 1:
        return Finding(1.0, required, required)
    (name,) = the_u(values)
    model.handle.load({name: 0 * values[name]})
    x = np.random.default_rng(seed).integers(LEVELS, size=(16, model.dims))
    ok = float(np.ptp(model.logits(x), axis=0).max()) > MOVED
    measured = required if ok else "where U is zero no pixel is seen: h itself is lost"
    return Finding(float(ok), measured, required)


def each_layer_has_its_u(student, seed: int) -> Finding:
    """As many U as layers, where one layer has one."""
    one, two = (len(the_u(small(student, seed, layers=n).handle.parameters())) for n in (1, 2))
    ok = one != 1 or two != 1
    measured = "each layer has its U" if ok else "two layers have one U"
    return Finding(float(ok), measured, "a U of its own for each layer")


def places_are_told(student, seed: int) -> Finding:
    """In the middle of an even picture, where a RowLSTM sees no edge to either side, columns differ by their places."""
    model = small(student, seed, shape=MEADOW, kind="row")
    logits = model.logits(np.zeros((1, model.dims), dtype=np.int64)).reshape(*MEADOW[1:], LEVELS)[:, MIDDLE]
    ok = float(np.ptp(logits, axis=1).max()) > MOVED
    measured = "columns differ" if ok else "far from the edges all columns are the same"
    return Finding(float(ok), measured, "places among the channels that go into the LSTMs")


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
    "10 nats above the limit it guesses all echoes; about 5: those of the rows, or those of the columns. Do both LSTMs "
    "begin with `begin`, and does what goes into them tell the places?",
    baseline=lambda: DATA.repeated,
    held_out=100,  # a mean difference of log-probabilities, which chance moves little
)
