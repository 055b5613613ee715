"""E8: codes that an auxiliary decoder asks for; no other loss reaches them; nats of codes and of pixels add up."""

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import codes, wholes
from autograder.families.autoregressive import STRONG, Conditionals
from autograder.families.codes import Quantizer
from autograder.families.latent import several
from autograder.properties import autoregressive, discrete, latent, parameters
from autograder.properties.adversarial import combined
from autograder.properties.autoregressive import MOVED
from autograder.properties.finding import Finding
from autograder.student import Handle, expect, whole
from deepul_utils import mosaics

DATA = mosaics.Mosaics()
WORDS, DIMS = 5, 3  # of a small quantizer
LEVELS, S = 2, 2  # of small models; of these, as many codes as levels
# Small shapes: 2 × 4 pixels and two codes to enumerate, 4 × 4 and four codes to look for what is not seen.
TINY, WIDE, TALL = (1, 2, 4), (1, 4, 4), (1, 8, 4)
SQUARE = (1, 8, 8)  # of 4 × 4 codes
MEADOW, REACH = (11, 12), 4  # a grid whose middle is as far from all edges as a first layer and a block reach
NETWORKS = 3  # that must see everything together
COUNT = 1500  # draws of a small model
IMPOSSIBLE = -1e4  # the logit of a level that only the codes have, or only the pixels
ENOUGH = 200  # pictures whose codes are read


class Joint:
    """A hierarchy as one model of rows: the codes first, in raster order, then the pixels."""

    def __init__(self, handle: Handle, shape: tuple[int, ...], levels: int, words: int, S: int):
        _, H, W = shape
        self.handle, self.shape, self.levels, self.words = handle, shape, levels, words
        self.grid, self.label = (H // S, W // S), handle.label

    def call(self, method: str, *args, **options):
        """What the family asks for, of rows, made of what the hierarchy tells."""
        if method in ("logits", "log_prob"):
            return getattr(self, method)(*self.parts(*args), **options)
        return self.sample(*args, **options) if method == "sample" else self.handle.call(method, *args, **options)

    def parts(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, dims) -> pixels (B, 1, H, W), codes (B, h, w)."""
        first = int(np.prod(self.grid))
        k, x = rows[:, :first].reshape(-1, *self.grid), rows[:, first:].reshape(-1, *self.shape)
        return np.ascontiguousarray(x), np.ascontiguousarray(k)

    def rows(self, x: np.ndarray, k: np.ndarray) -> np.ndarray:
        """The inverse of `parts`."""
        return np.concatenate([k.reshape(len(k), -1), x.reshape(len(x), -1)], axis=1)

    def logits(self, x: np.ndarray, k: np.ndarray, **options) -> np.ndarray:
        of_codes = self.handle.call("code_logits", k, **options)
        of_codes = expect(of_codes, (*k.shape, self.words), f"{self.label}.code_logits(k)")
        of_pixels = self.handle.call("pixel_logits", x, k, **options)
        of_pixels = expect(of_pixels, (*x.shape, self.levels), f"{self.label}.pixel_logits(x, k)")
        both = [a.reshape(len(x), -1, a.shape[-1]) for a in (of_codes, of_pixels)]
        most = max(self.levels, self.words)
        return np.concatenate(
            [np.pad(a, ((0, 0), (0, 0), (0, most - a.shape[-1])), constant_values=IMPOSSIBLE) for a in both], axis=1
        )

    def log_prob(self, x: np.ndarray, k: np.ndarray) -> np.ndarray:
        return expect(self.handle.call("log_prob", x, k), (len(x),), f"{self.label}.log_prob(x, k)")

    def sample(self, n: int, seed: int) -> np.ndarray:
        what = f"{self.label}.sample_codes({n})"
        k = whole(expect(self.handle.call("sample_codes", n, seed=seed), (n, *self.grid), what), what)
        require(inside(k, self.words, "codes"))
        what = f"{self.label}.decode(k)"
        x = whole(expect(self.handle.call("decode", k, seed=seed + 1), (n, *self.shape), what), what)
        return self.rows(x, k)

    def parameters(self) -> dict[str, np.ndarray]:
        return self.handle.parameters()


def conditionals(handle: Handle, shape: tuple[int, ...], levels: int) -> Conditionals:
    """A trained hierarchy, of the real size."""
    return joint(handle, shape, levels, words=mosaics.KINDS, S=mosaics.TILE)


def joint(handle: Handle, shape: tuple[int, ...], levels: int, words: int, S: int) -> Conditionals:
    made = Joint(handle, shape, levels, words, S)
    _, H, W = shape
    return Conditionals(made, (H * W + H * W // S**2,), max(levels, words))  # type: ignore[arg-type]  # it answers as one


def small(
    student,
    seed: int,
    shape: tuple[int, ...] = TINY,
    levels: int = LEVELS,
    S: int = S,
    width: int = 8,
    depth: int = 1,
    **strength: float,
) -> Conditionals:
    """A small hierarchy with random weights."""
    size = dict(shape=list(shape), levels=levels, S=S, codes=levels, dims=DIMS, width=width, depth=depth)
    return joint(student.new("HierarchicalAR", seed=seed, **size, **strength), shape, levels, levels, S)


def hierarchy(student, seed: int, **options) -> Handle:
    """The student's own object in `small`."""
    return small(student, seed, **options).handle.handle  # type: ignore[attr-defined]  # it is that of a Joint


def quantizer(student, seed: int) -> Quantizer:
    """A small quantizer with random codes."""
    return Quantizer(student.new("VectorQuantizer", WORDS, DIMS, seed=seed, perturb=0.5), WORDS, DIMS)


class SmallCoder:
    """A coder of 3 × 2 tiles of 2 × 2 pixels with random weights, and pictures for it."""

    def __init__(self, student, seed: int, levels: int = 3):
        self.shape, self.levels, self.grid = (1, 6, 4), levels, (3, 2)
        size = dict(shape=list(self.shape), levels=levels, S=2, codes=WORDS, dims=DIMS, width=8)
        self.handle = student.new("Coder", seed=seed, **size)
        self.rng = np.random.default_rng(seed)
        self.x = self.rng.integers(levels, size=(6, *self.shape))
        self.hidden = np.repeat(np.repeat(self.rng.random((6, 1, *self.grid)) < 0.5, 2, axis=2), 2, axis=3)
        self.hidden[:, :, :2, :2], self.hidden[:, :, 4:, 2:] = True, False  # something is, and something is not

    def vectors(self, x: np.ndarray) -> np.ndarray:
        return expect(self.handle.call("vectors", x), (len(x), DIMS, *self.grid), "Coder(…).vectors(x)")

    def quantized(self, x: np.ndarray) -> np.ndarray:
        """e_k at every place, as we look it up."""
        codebook = self.handle.parameters()["quantizer.codebook"]
        z = np.moveaxis(self.vectors(x), 1, -1)
        nearest = ((z[..., None, :].astype(np.float64) - codebook) ** 2).sum(axis=-1).argmin(axis=-1)
        return np.ascontiguousarray(np.moveaxis(codebook[nearest], -1, 1))

    def predict(self, z: np.ndarray, x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        what = "Coder(…).predict(z_q, x, hidden)"
        return expect(self.handle.call("predict", z, x, hidden), (len(x), *self.shape, self.levels), what)

    def wanted(self, z: np.ndarray) -> np.ndarray:
        """The mean of −log p over the hidden pixels of x, by `predict`."""
        log_p = autoregressive.log_conditionals(self.predict(z, self.x, self.hidden))
        return np.array(-np.take_along_axis(log_p, self.x[..., None], axis=-1)[..., 0][self.hidden].mean())

    def losses(self) -> list[np.ndarray]:
        names = ("prediction", "codebook", "commitment")
        return several(self.handle.call("losses", self.x, self.hidden), names, ((), (), ()), "Coder.losses(x, hidden)")

    def moved(self, method: str, *arguments, **options) -> dict:
        return self.handle.gradient(method, *arguments, wrt="parameters", **options)


class Suite(wholes.Suite):
    """The suite of the family, of codes and pixels: log q(k(x), x) of each picture."""

    def _rows(self, model, examples):
        return model.handle.rows(examples, encoded(model.handle.handle, examples, DATA))


suite = Suite(
    exercise="hierarchical_ar",
    of="HierarchicalAR",
    small=small,
    data=(DATA,),
    adapter=conditionals,
    recipe=Recipe("Adam", lr=5e-3, steps=800, batch=32),
    says="code_logits(k) is (B, h, w, codes), pixel_logits(x, k) is (B, 1, H, W, levels) and log_prob(x, k) is (B,)",
    variable="code and pixel",
    before="one",
    example="picture",
    wide={"shape": WIDE},
    deep={"depth": 2},
    tall={"shape": TALL, "depth": 2, **STRONG},
    whole={"shape": DATA.shape, "S": mosaics.TILE},
)
suite_of_codes = codes.Suite(small=quantizer)

test_straight_through = suite_of_codes.straight_through(
    0.5,
    "z + (e − z).detach(): its value is e, its gradient goes to z unchanged, and none of it to the codebook.",
)
test_each_loss_moves_its_own_side = suite_of_codes.losses(
    0.5,
    "The second result is ‖sg[z] − e‖², which moves the codebook, the third ‖z − sg[e]‖², which moves z: means of the "
    "same squares, with the detach on different sides.",
)


@points(0.5, "What is hidden tells nothing")
@hint(
    "Plane l is 1 where a pixel has level l and is not hidden, and 0 elsewhere; the last plane is 1 where hidden is "
    "true. Level 0 is a plane, too: hidden is not the same as dark."
)
def test_what_is_hidden_tells_nothing(student, seed):
    rng = np.random.default_rng(seed)
    for levels in (3, 2):
        x, hidden = rng.integers(levels, size=(4, 1, 3, 5)), rng.random((4, 1, 3, 5)) < 0.5
        got = expect(student.call("hide", x, hidden, levels), (4, levels + 1, 3, 5), "hide(x, hidden, levels)")
        planes = np.moveaxis(np.eye(levels)[x[:, 0]], -1, 1) * ~hidden
        for part, wanted, what in ((got[:, :-1], planes, "planes of the levels"), (got[:, -1:], hidden, "last plane")):
            off = float((np.abs(part - wanted) > MOVED).mean())
            measured = f"{off:.0%} of the {what} {'is' if what == 'last plane' else 'are'} wrong"
            require(Finding(float(off == 0), measured, "levels of what can be seen, and ones where it cannot"))


@points(0.5, "The auxiliary decoder sees codes and what is around")
@hint(
    "predict(z_q, x, hidden) is made of z_q and of hide(x, hidden, levels), added on the grid of tiles, and mixed by a "
    "3 × 3 convolution: it sees both at its own tile and at the eight around, and of hidden pixels nothing."
)
def test_the_auxiliary_decoder_sees_codes_and_what_is_around(student, seed):
    required = "its own tile and those around of both, and nothing that is hidden"
    of_codes, of_pixels = np.zeros((3, 3), dtype=bool), np.zeros((3, 3), dtype=bool)
    for network in range(2):
        made = SmallCoder(student, seed + network)
        z = made.rng.normal(size=(6, DIMS, *made.grid)).astype(np.float32)
        base = made.predict(z, made.x, made.hidden)
        other = np.where(made.hidden, (made.x + 1) % made.levels, made.x)
        off = float(np.abs(made.predict(z, other, made.hidden) - base).max())
        require(Finding(float(off <= MOVED), f"logits move by {off:.2g} with what is hidden", required))
        shown = np.zeros_like(made.hidden)
        base = made.predict(z, made.x, shown)
        for a, b in np.ndindex(made.grid):
            at, other_z, other_x = np.s_[..., 2 * a : 2 * a + 2, 2 * b : 2 * b + 2], z.copy(), made.x.copy()
            other_z[:, :, a, b] += 1
            other_x[at] = (other_x[at] + 1) % made.levels
            for now, told in (
                (made.predict(other_z, made.x, shown), of_codes),
                (made.predict(z, other_x, shown), of_pixels),
            ):
                pixels = (np.abs(now - base) > MOVED).any(axis=(0, 1, 4))
                for c, d in np.argwhere(pixels.reshape(3, 2, 2, 2).any(axis=(1, 3))):
                    if max(abs(c - a), abs(d - b)) > 1:
                        require(Finding(0.0, "a tile sees further than to the tiles around it", required))
                    told[a - c + 1, b - d + 1] = True
    for told, what in ((of_codes, "code vectors"), (of_pixels, "visible pixels")):
        measured = f"of the {what} it sees {told.sum()} of the nine tiles"
        require(Finding(float(told.all()), measured, required))


@points(0.25, "The encoder sees its own tile, all of it")
@hint(
    "vectors(x): hide(x, hidden, levels) with hidden false everywhere, a convolution of S × S pixels with stride S, "
    "relu, and one of 1 × 1: of each tile a vector that hangs on all its pixels and on no other."
)
def test_the_encoder_sees_its_own_tile_all_of_it(student, seed):
    seen, bends = np.zeros((3, 2, 6, 4), dtype=bool), False
    for network in range(NETWORKS):
        made = SmallCoder(student, seed + network)
        base, of = made.vectors(made.x), {}
        for i, j in np.ndindex(6, 4):
            of[i, j] = made.vectors(changed(made, (i, j))) - base
            seen[:, :, i, j] |= (np.abs(of[i, j]) > MOVED).any(axis=(0, 1))
        for i, j in np.ndindex(6, 2):
            both = made.vectors(changed(made, (i, 2 * j), (i, 2 * j + 1))) - base
            bends |= bool(np.abs(both - of[i, 2 * j] - of[i, 2 * j + 1]).max() > MOVED)
    own = np.zeros_like(seen)
    for a, b in np.ndindex(3, 2):
        own[a, b, 2 * a : 2 * a + 2, 2 * b : 2 * b + 2] = True
    required = "all of its own tile, and nothing else"
    misses, other = int((own & ~seen).sum()), int((seen & ~own).sum())
    measured = (
        "no vector moves with any pixel" if not seen.any()
        else f"vectors do not move with {misses} of {own.sum()} pixels of their tiles" if misses
        else "a vector moves with pixels of other tiles" if other
        else "each vector sees its own tile"
    )  # fmt: skip
    require(Finding(float(not misses and not other), measured, required))
    slip = "Between the two convolutions stands relu: without it the encoder is one linear layer."
    require_too(Finding(float(bends), "the encoder is linear", "an encoder that bends", slip=slip))


def changed(made: SmallCoder, *pixels: tuple[int, int]) -> np.ndarray:
    """The coder's pictures with other levels at these pixels."""
    x = made.x.copy()
    for i, j in pixels:
        x[:, :, i, j] = (x[:, :, i, j] + 1) % made.levels
    return x


@points(0.5, "Codes are of the whole picture, the loss of what is hidden")
@hint(
    "losses(x, hidden): z_q is of vectors(x), of the picture before anything is hidden; the prediction's loss is the "
    "mean of −log p over the hidden pixels, and only these, by predict(z_q, x, hidden)."
)
def test_codes_are_of_the_whole_picture_the_loss_of_what_is_hidden(student, seed):
    made = SmallCoder(student, seed)
    z = made.rng.normal(size=(6, DIMS, *made.grid)).astype(np.float32)
    got = expect(made.handle.call("prediction_loss", z, made.x, made.hidden), (), "Coder.prediction_loss(…)")
    required = "the mean of −log p over the hidden pixels"
    require(latent.same_arrays(got, made.wanted(z), "prediction_loss(z_q, x, hidden)", required))
    required = "the mean over the hidden pixels, by the codes of the whole picture"
    wanted = made.wanted(made.quantized(made.x))
    require(latent.same_arrays(made.losses()[0], wanted, "the prediction’s loss", required))


@points(0.5, "The auxiliary decoder’s loss trains the encoder")
@hint(
    "The prediction’s loss moves the auxiliary decoder and, through the straight-through z_q, the encoder; the "
    "codebook moves by its own loss only, and commitment moves the encoder."
)
def test_the_auxiliary_decoders_loss_trains_the_encoder(student, seed):
    """The quantizer's own gradients are asked above: what is asked here is whether they arrive."""
    made = SmallCoder(student, seed)
    z = made.quantized(made.x)
    encoder = {key for key, grad in made.moved("vectors", made.x).items() if moved(grad)}
    decoder = {key for key, grad in made.moved("predict", z, made.x, made.hidden).items() if moved(grad)}
    own_quantizer = quantizer(student, seed)
    flows = own_quantizer.flows(own_quantizer.vectors(seed))
    parts = [made.moved("losses", made.x, made.hidden, output=k) for k in range(3)]
    names = ("the prediction’s loss", "the codebook loss", "the commitment loss")
    for grads, (to_z, to_codes), own, name in zip(parts, flows, (decoder, set(), set()), names, strict=True):
        own = own | (encoder if to_z else set()) | ({"quantizer.codebook"} if to_codes else set())
        require(latent.moves(grads, own, name))
    total = combined((1, parts[0]), (1, parts[1]), (2, parts[2]))
    require(latent.same_gradients(made.moved("loss", made.x, made.hidden, beta=2.0), total, "the whole loss"))


@points(1, "No other loss reaches the encoder")
@hint(
    "bound(x) moves the prior and the decoder. Codes go to them as whole numbers, which have no gradient, and the "
    "decoder makes vectors of them with an embedding of its own: not with z_q, and not with the coder’s codebook."
)
def test_no_other_loss_reaches_the_encoder(student, seed):
    required = "the coder stays as it is; the prior and the decoder move"
    made = hierarchy(student, seed, shape=WIDE)
    x = np.random.default_rng(seed).integers(LEVELS, size=(6, *WIDE))
    grads = made.gradient("bound", x, wrt="parameters")
    got = sorted(key for key, grad in grads.items() if moved(grad))
    reached = [key for key in got if key.startswith("coder.")]
    measured = f"the bound moves {reached[0]}" if reached else "the bound leaves the coder as it is"
    require(Finding(float(not reached), measured, required))
    for part in ("prior.", "decoder."):
        found = any(key.startswith(part) for key in got)
        require(Finding(float(found), f"the bound {'moves' if found else 'does not move'} the {part[:-1]}", required))


@points(0.25, "What the decoder is told")
@hint(
    "spread(k): the embedding's vectors on the grid of tiles, a 3 × 3 convolution and a transposed one with stride S: "
    "a pixel is told of its own tile's code and of the eight around. Both models add a bias of their own for each "
    "place."
)
def test_what_the_decoder_is_told(student, seed):
    told = np.zeros((4, 4, 4, 4), dtype=bool)  # tile of the pixel, tile of the code
    for network in range(NETWORKS):
        made = hierarchy(student, seed + network, shape=SQUARE)
        k = np.random.default_rng(seed + network).integers(LEVELS, size=(1, 4, 4))
        others = np.repeat(k, 16, axis=0).reshape(16, 16)
        others[np.arange(16), np.arange(16)] = 1 - others[np.arange(16), np.arange(16)]
        every = np.concatenate([k, others.reshape(16, 4, 4)])
        e = expect(made.call("spread", every), (17, 8, 8, 8), "HierarchicalAR(…).spread(k)")
        by_tile = (np.abs(e[1:] - e[0]) > MOVED).reshape(4, 4, 8, 4, 2, 4, 2).any(axis=(2, 4, 6))
        told |= by_tile.transpose(2, 3, 0, 1)
    a, b, c, d = np.indices(told.shape)
    wrong = np.argwhere(told != ((abs(a - c) <= 1) & (abs(b - d) <= 1)))
    measured = "each pixel is told of its tile’s code and of those around"
    if len(wrong):
        row, column, *code = (int(n) + 1 for n in wrong[0])
        is_ = "is" if told[tuple(wrong[0])] else "is not"
        measured = f"the tile at row {row}, column {column} {is_} told of the code at row {code[0]}, column {code[1]}"
    require(Finding(float(not len(wrong)), measured, "its own code, and the eight around"))
    require_too(all_layers_count(student, seed))
    require_too(places_have_a_bias(student, seed))


def all_layers_count(student, seed: int) -> Finding:
    """Of prior, decoder and what stands between: all but the coder, which no loss of the pixels reaches."""
    rng = np.random.default_rng(seed)
    x, k = rng.integers(LEVELS, size=(6, *SQUARE)), rng.integers(LEVELS, size=(6, 4, 4))
    made = [hierarchy(student, seed + n, shape=SQUARE) for n in range(NETWORKS)]
    less = hierarchy(student, seed, shape=SQUARE, perturb=0.5)
    names = parameters.trainable(less.parameters(), made[0].parameters())
    gradients = [of.gradient("log_prob", x, k, wrt="parameters") for of in made]
    return parameters.are_all_used(gradients, {n for n in names if not n.startswith("coder.")}, "log_prob")


def places_have_a_bias(student, seed: int) -> Finding:
    """Far from all edges, in an even grid, places differ by their bias alone."""
    middle = np.s_[:, REACH:, REACH:-REACH]
    even, ok = np.zeros((1, *MEADOW), dtype=np.int64), False
    for network in range(NETWORKS):  # in one of which relus are open
        made = student.new("Causal", list(MEADOW), levels=LEVELS, width=8, depth=1, seed=seed + network)
        logits = expect(made.call("logits", even), (1, *MEADOW, LEVELS), "Causal(…).logits(v)")[middle]
        ok |= float(np.ptp(logits, axis=(0, 1, 2)).max()) > MOVED
    slip = "Besides e stands a bias for each place, nn.Parameter(…) of shape (width, H, W), not one for all."
    measured = "places differ" if ok else "far from the edges all places are the same"
    return Finding(float(ok), measured, "a bias for each place", slip="" if ok else slip)


test_each_code_and_pixel_depends_only_on_earlier_ones = suite.causal(
    0.5,
    "Some code or pixel sees itself or a later one. The first convolution of `Causal` is masked with own=False, all "
    "others are of earlier places; and no code may see a pixel.",
    mixed="Everything sees everything: does a layer have no mask, or does something mix the places?",
)
test_no_blind_spot = suite.no_blind_spot(
    0.5,
    "Every code sees all codes before it, and every pixel all pixels before it and the codes: is e = spread(k) "
    "added, and do its convolutions look in all directions?",
    networks=4,
)
test_every_layer_has_weights_of_its_own = suite.own_layers(0.25)
test_every_example_for_itself = suite.every_example(0.25)
test_called_with_one_example = suite.one_example(0.25)
test_log_density_is_the_sum_of_the_conditionals = suite.chain_rule(
    0.5,
    "log_prob(x, k) is log p(k) + log p(x | k), each the sum over its places of log softmax(logits_i) at the value "
    "that stands there.",
)
test_exact_for_pictures_that_are_hardly_possible = suite.exact_far(0.25)
test_probabilities_sum_to_one = suite.sums_to_one(
    0.5,
    "Over all codes and pictures, 1,024 pairs, exp(log_prob(x, k)) sums to one: sums over the places, no means, and "
    "the decoder is told all codes at once, not the pixels.",
)
test_samples_follow_the_density = suite.samples(
    0.5,
    "Draw each code from the prior, given those before it, and each pixel of decode(k) given those before it and "
    "spread(k); not the most likely one. Codes that are given are used as they are.",
    count=COUNT,
    networks=3,
    tall=(1, 48),
    needs=test_each_code_and_pixel_depends_only_on_earlier_ones,
)


@points(0.5, "An upper bound, and what is drawn")
@hint(
    "bound(x) is −log_prob(x, encode(x)), of the codes of x itself, and nowhere below −log Σ_k p(k, x). sample(n) "
    "is decode(sample_codes(n)): codes of the prior, and pixels given these."
)
def test_an_upper_bound_and_what_is_drawn(student, seed):
    model = small(student, seed, **STRONG)
    of, every = model.handle, discrete.states(model.dims, LEVELS)
    x = of.parts(every)[0].reshape(LEVELS**2, -1, *TINY)  # the codes are the first two of a row
    nats = -np.logaddexp.reduce(model.density(every).reshape(LEVELS**2, -1), axis=0)
    one = np.ascontiguousarray(x[0])
    got = expect(of.handle.call("bound", one), (len(one),), "HierarchicalAR(…).bound(x)")
    below = float((nats - got).max())
    measured = f"the bound is {below:.2g} nats below −log p somewhere" if below > MOVED else "the bound is a bound"
    require(Finding(float(below <= MOVED * 10), measured, "−log p(k) − log p(x | k) ≥ −log p(x)"))
    k = whole(expect(of.handle.call("encode", one), (len(one), *of.grid), "encode(x)"), "encode(x)")
    require(latent.same_arrays(got, -model.density(of.rows(one, k)), "bound(x)", "−log_prob(x, encode(x))"))
    drawn = whole(expect(of.handle.call("sample", COUNT, seed=seed), (COUNT, *TINY), "sample(n)"), "sample(n)")

    def log_p(rows: np.ndarray) -> np.ndarray:
        """log Σ_k p(k, x), of pixels (B, 8)."""
        return -nats[rows @ LEVELS ** np.arange(rows.shape[1])[::-1]]

    require(discrete.sampler_matches(drawn.reshape(COUNT, -1), log_p, LEVELS, seed))


@points(0.5, "Trained: masked codes are what neighbours do not tell")
@hint(
    "The codes of the masked coder tell the kind of a tile, where its mark is. If they do not: is it trained with "
    "`lattice`, after the warm-up, and does its encoder see what is hidden?"
)
def test_masked_codes_are_what_neighbours_do_not_tell(student, graded, seed):
    x = DATA.sample(ENOUGH, seed=seed, split="test").astype(np.int64)
    kinds = DATA.kinds(x)

    def open_(n: int = ENOUGH) -> float:
        """H(kind | code), nats a tile."""
        k = encoded(student.trained("hierarchical_ar.masked", "Coder"), x[:n], DATA)
        return left_open(k, kinds[:n])

    graded(
        "hierarchical_ar.masked",
        open_,
        limit=0.0,
        baseline=float(np.log(mosaics.KINDS)),
        unit="nats of a tile’s kind",
        recipe=Recipe("Adam", lr=5e-3, steps=300, batch=64),
        few=lambda: open_(50),
    )


test_trained_close_to_the_limit = suite.trained(
    1,
    "If it is eleven nats above the limit, the lower half’s marks are guessed: are the codes those of the masked "
    "coder, and does the prior see all codes before?",
    baseline=lambda: DATA.repeated,
    held_out=150,
)


def inside(k: np.ndarray, words: int, what: str) -> Finding:
    """All numbers are 0 … words − 1."""
    wrong = int(((k < 0) | (k >= words)).sum())
    return Finding(float(not wrong), f"{wrong} of {k.size} {what} lie outside 0 … {words - 1}", f"{what} of the model")


def moved(grad: np.ndarray | None) -> bool:
    return grad is not None and bool(np.any(grad))


def encoded(handle: Handle, x: np.ndarray, data: mosaics.Mosaics) -> np.ndarray:
    """The codes of pictures, int64 (n, h, w). Raises StudentCodeError and CheckFailed for what is none."""
    what, side = f"{handle.label}.encode(x)", mosaics.GRID
    k = whole(expect(handle.call("encode", x), (len(x), side, side), what), what)
    require(inside(k, mosaics.KINDS, "codes"))
    return k


def left_open(k: np.ndarray, kinds: np.ndarray) -> float:
    """H(kind | code) in nats, by counting."""
    counts = np.zeros((mosaics.KINDS, mosaics.KINDS))
    np.add.at(counts, (k.ravel(), kinds.ravel()), 1)
    p = counts / counts.sum()
    of_code = np.broadcast_to(p.sum(axis=1, keepdims=True), p.shape)
    seen = p > 0
    return max(0.0, float(-(p[seen] * np.log(p[seen] / of_code[seen])).sum()))
