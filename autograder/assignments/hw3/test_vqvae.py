"""Exercise 3.4: nearest codes, gradients that flow where they must and nowhere else, and a prior over the codes."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import codes as family
from autograder.families.codes import Quantizer
from autograder.families.latent import either, several
from autograder.properties import autoregressive, discrete, hygiene, latent
from autograder.properties.adversarial import combined
from autograder.properties.finding import Finding
from autograder.student import expect, whole
from deepul_utils import classifier, images

DATA = images.get("shapes32", levels=4)
CODES, DIMS = 7, 3  # of a small quantizer
FULL = 64
TINY, LEVELS = (2, 2), 3  # a prior of 3⁴ = 81 states
PRIORS = 6  # random ones, of which the sharpest are sampled
HELD_OUT = 500
SHARE = 0.5
CAUSAL = 2  # grids on which a trained prior is asked whether it sees later codes
RECIPE = Recipe("Adam", lr=5e-3, steps=2000, batch=64)
RECIPE_PRIOR = Recipe("Adam", lr=4e-3, steps=1200, batch=64)


def colours(n: int, seed: int) -> np.ndarray:
    """Held-out images in [−1, 1]."""
    return 2 * DATA.unit(DATA.sample(n, seed=seed, split="test")) - 1


def quantizer(student, seed: int) -> Quantizer:
    """A small quantizer with random codes."""
    return Quantizer(student.new("VectorQuantizer", CODES, DIMS, seed=seed, perturb=0.5), CODES, DIMS)


suite = family.Suite(small=quantizer)


class Small:
    """A narrow VQ-VAE with random weights: encode, decode, and its losses."""

    def __init__(self, student, seed: int):
        self.handle = student.new("VQVAE", shape=DATA.shape, codes=CODES, dims=DIMS, width=6, seed=seed)

    def encode(self, x: np.ndarray) -> np.ndarray:
        return encoded(self.handle, x)

    def decode(self, k: np.ndarray) -> np.ndarray:
        return decoded(self.handle, k)

    def losses(self, x: np.ndarray) -> list[np.ndarray]:
        names = ("reconstruction", "codebook", "commitment")
        return several(self.handle.call("losses", x), names, ((), (), ()), "VQVAE.losses(x)")

    def moved(self, method: str, *arguments, **options) -> dict:
        return self.handle.gradient(method, *arguments, wrt="parameters", **options)


class Prior:
    """A prior of a grid as a model of rows of variables in raster order."""

    def __init__(self, student, seed: int, size: tuple[int, int] = TINY, codes: int = LEVELS, **strength: float):
        self.handle = student.new("CodePrior", size=size, codes=codes, width=12, depth=2, seed=seed, **strength)
        self.size, self.codes = size, codes

    def logits(self, x: np.ndarray) -> np.ndarray:
        shape = (len(x), *self.size, self.codes)
        logits = expect(self.handle.call("logits", x.reshape(-1, *self.size)), shape, "CodePrior.logits(k)")
        return logits.reshape(len(x), -1, self.codes)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        return self.handle.log_prob(x.reshape(-1, *self.size))

    def sample(self, n: int, seed: int) -> np.ndarray:
        return self.handle.sample(n, *self.size, seed=seed, integer=True).reshape(n, -1)


@points(0.5, "Shapes of encoder and decoder")
@hint("encode: int64 (B, 8, 8) from 0 to K − 1; decode: (B, 3, 32, 32), each image of its own codes alone.")
def test_shapes(student, seed):
    made, x = Small(student, seed), colours(8, seed)
    require(hygiene.in_range(made.encode(x), CODES))
    codes = np.random.default_rng(seed).integers(CODES, size=(8, 8, 8))
    require(hygiene.finite(made.decode(codes), "from the decoder"))
    require(hygiene.rows_are_independent(made.decode, codes))
    require(hygiene.rows_are_independent(made.encode, x))


test_codes_are_the_nearest = suite.nearest(
    3, "The code with the smallest ‖z − e_j‖² at every place, the vectors along dimension 1."
)
test_codes_are_looked_up = suite.looked_up(
    1, "lookup(k) gives e_k at every place, the vectors along dimension 1: (B, dims, H, W)."
)
test_straight_through = suite.straight_through(
    3.5,
    "z + (e_k − z).detach(): its value is e_k, its gradient goes to z unchanged, and none of it to the codebook.",
)
test_each_loss_moves_its_own_side = suite.losses(
    4,
    "The codebook loss stops the gradient at z, the commitment loss at e: means of the same squares, with the detach "
    "on different sides.",
)


@points(3, "The three losses add up")
@hint("reconstruction + codebook + β · commitment, all three means over their entries; only the last one has a β.")
def test_the_three_losses_add_up(student, seed):
    """What each of the three moves follows from where the gradients of your quantizer flow, which is asked above."""
    made, x = Small(student, seed), colours(8, seed)
    wanted = np.array(((x - made.decode(made.encode(x)).astype(np.float64)) ** 2).mean())
    require(latent.same_arrays(made.losses(x)[0], wanted, "the reconstruction", "the mean of (x − decode(encode(x)))²"))
    _, codebook_loss, commitment = made.losses(x)
    same = "the mean of (z − e)² over all entries, as the codebook loss: β comes in with the whole loss"
    require(latent.same_arrays(commitment, codebook_loss, "the commitment loss", same))
    parts = [made.moved("losses", x, output=k) for k in range(3)]
    own_quantizer = quantizer(student, seed)
    codebook = {key for key in parts[0] if key.endswith(own_quantizer.name)}
    decoder = {key for key, grad in made.moved("decode", made.encode(x)).items() if moved(grad)} - codebook
    encoder = {key for part in parts for key, grad in part.items() if moved(grad)} - decoder - codebook
    flows = own_quantizer.flows(own_quantizer.vectors(seed))
    names = ("the reconstruction", "the codebook loss", "the commitment loss")
    for grads, (to_z, to_codes), own, name in zip(parts, flows, (decoder, set(), set()), names, strict=True):
        own = own | (encoder if to_z else set()) | (codebook if to_codes else set())
        require(latent.moves(grads, own, name))
    for beta in (0.25, 2.0):
        total = combined((1, parts[0]), (1, parts[1]), (beta, parts[2]))
        require(latent.same_gradients(made.moved("loss", x, beta=beta), total, "the whole loss"))


@points(0.5, "Called with one image")
@hint("A batch of one keeps its dimension: (1, 8, 8), (1, 3, 32, 32).")
def test_called_with_one_image(student, seed):
    made, x = Small(student, seed), colours(4, seed)
    require(hygiene.one_example(made.encode, x))
    require(hygiene.one_example(made.decode, np.random.default_rng(seed).integers(CODES, size=(4, 8, 8))))


@points(2, "The prior sees only earlier codes")
@hint("Some place sees its own code or a later one: mask A in the first layer, mask B in all others.")
def test_the_prior_sees_only_earlier_codes(student, seed):
    for k in range(2):
        require(autoregressive.is_strict_order(Prior(student, seed + k, (3, 3)).logits, 9, LEVELS, seed))


@points(2, "The prior sums to one")
@hint(
    "Over all 81 grids of 2 × 2 codes p sums to one: softmax over the codes, pick the code there, sum over the places."
)
def test_the_prior_sums_to_one(student, seed):
    for k in range(2):
        require(discrete.sums_to_one(Prior(student, seed + k).log_prob, 4, LEVELS, seed))


@points(2, "The prior samples its density")
@hint(
    "Draw each code from its conditional given those drawn before it, in raster order; draw, do not take the largest."
)
def test_the_prior_samples_its_density(student, seed):
    """By your logits, whatever log_prob makes of them; or by log_prob, whatever the order of the places.

    Asked of those of several random priors whose conditionals depend most on what was drawn before.
    """
    priors = [Prior(student, seed + k, perturb=3.0, biases=0.2) for k in range(PRIORS)]
    for k in autoregressive.sharpest([prior.logits for prior in priors], 4, LEVELS, 2, seed):
        drawn = priors[k].sample(8000, seed + k)
        require(hygiene.in_range(drawn, LEVELS))
        require(samples_agree(priors[k], drawn, seed))
    require_too(hygiene.drawn_anew(partial(priors[k].sample, 200), seed, log_p=priors[k].log_prob))


@points(0.5, "The prior, called with one grid")
@hint("A batch of one keeps its dimension: log_prob (1,), sample (1, H, W).")
def test_the_prior_called_with_one_grid(student, seed):
    prior = Prior(student, seed)
    require(hygiene.one_example(prior.log_prob, discrete.states(4, LEVELS)))
    require(hygiene.in_range(prior.sample(1, seed), LEVELS))


@points(2, "Trained: images come back from their codes")
@hint("Train longer, or with more codes in use: begin where the encoder's vectors are, and revive those nobody uses.")
def test_images_come_back_from_their_codes(student, graded, seed):
    x, training = colours(HELD_OUT, seed), colours(2000, 0)

    def error(n: int = HELD_OUT) -> float:
        model = trained(student)
        return ((x[:n] - decoded(model, encoded(model, x[:n]))) ** 2).mean()

    baseline, few = float(training.var(axis=0).mean()), partial(error, 100)
    graded("vqvae", error, limit=None, baseline=baseline, unit="mean squares", recipe=RECIPE, few=few)


@points(2, "Trained: most codes are used")
@hint("Codes that are never the nearest get no gradient: put them where the encoder's vectors are, and train on.")
def test_most_codes_are_used(student, seed):
    require(latent.usage(encoded(trained(student), colours(HELD_OUT, seed)), FULL, SHARE))


@points(2, "Trained: the prior needs few bits a code")
@hint("Train the prior on the codes of the trained model, longer, and let the learning rate fall towards the end.")
def test_the_prior_needs_few_bits_a_code(student, graded, seed):
    """By the prior's logits, normalised here: a log_prob that is none costs where it is asked for."""
    codes, prior = encoded(trained(student), colours(HELD_OUT, seed)), trained_prior(student)
    log_p = log_conditionals(prior, codes)

    def in_another_order() -> Finding:
        def of_rows(k: np.ndarray) -> np.ndarray:
            return log_conditionals(prior, k.reshape(-1, 8, 8))

        return autoregressive.is_strict_order(of_rows, codes[0].size, FULL, seed)

    require(either(lambda: sees_no_later_code(prior, codes[:CAUSAL], log_p[:CAUSAL]), in_another_order))

    def bits(codes: np.ndarray = codes) -> float:
        flat, log_p = codes.reshape(len(codes), -1, 1), log_conditionals(trained_prior(student), codes)
        return -np.take_along_axis(log_p, flat, axis=-1).sum(axis=(1, 2)).mean() / (codes[0].size * np.log(2))

    baseline, few = float(np.log2(FULL)), partial(bits, codes[:100])
    graded("vqvae.prior", bits, limit=None, baseline=baseline, unit="bits a code", recipe=RECIPE_PRIOR, few=few)


@points(2, "Trained: samples are shapes")
@hint('Draw them with the trained prior: drawn("vqvae.prior", lambda: prior.sample(56)).')
def test_samples_are_shapes(student, graded, seed):
    codes = whole(student.drawn("vqvae.prior", 8, 8), "drawn('vqvae.prior', …)")[:56]
    require(hygiene.in_range(codes, FULL))
    log_p = log_conditionals(trained_prior(student), codes)
    require(autoregressive.knows_something(log_p))
    require(autoregressive.typical(codes.reshape(len(codes), -1), log_p))
    x = decoded(trained(student), codes)
    even = np.random.default_rng(seed).integers(FULL, size=codes.shape)
    baseline = no_shape(decoded(trained(student), even))
    unit = "mean squares from the shape they look like"
    graded("vqvae.samples", partial(no_shape, x), limit=None, baseline=baseline, unit=unit)


def trained(student):
    return student.trained("vqvae", "VQVAE")


def trained_prior(student):
    return student.trained("vqvae.prior", "CodePrior")


def moved(grad: np.ndarray | None) -> bool:
    return grad is not None and bool(np.any(grad))


def samples_agree(prior: Prior, drawn: np.ndarray, seed: int):
    """`drawn` are of the density; or of what raster order makes of logits that see too much."""

    def of_logits(x: np.ndarray) -> np.ndarray:
        return picked(prior.logits(x), x).sum(axis=1)

    def place_by_place(x: np.ndarray) -> np.ndarray:
        """Each code by the logits of a grid that is empty from there on."""
        places = range(x.shape[1])
        parts = [picked(prior.logits(np.where(np.arange(x.shape[1]) < i, x, 0)), x)[:, i] for i in places]
        return np.sum(parts, axis=0)

    densities = [of_logits, prior.log_prob]
    if not autoregressive.is_strict_order(prior.logits, drawn.shape[1], LEVELS, seed).passed:
        densities.append(place_by_place)
    return either(*(partial(discrete.sampler_matches, drawn, log_prob, LEVELS, seed) for log_prob in densities))


def picked(logits: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log softmax of (n, places, levels) at x (n, places)."""
    from scipy.special import log_softmax

    log_p = log_softmax(logits.astype(np.float64), axis=-1)
    return np.take_along_axis(log_p, x[..., None], axis=-1)[..., 0]


def sees_no_later_code(prior, codes: np.ndarray, log_p: np.ndarray):
    """What a trained prior says of a place is the same where all codes from there on are others."""
    n, H, W = codes.shape
    later = np.arange(H * W) >= np.arange(H * W)[:, None]  # [i, j]: is place j at or after place i?
    changed = np.where(later[:, None], 0, codes.reshape(n, -1))  # (places, n, places)
    among = log_conditionals(prior, changed.reshape(-1, H, W)).reshape(H * W, n, H * W, -1)
    places = np.arange(H * W)
    got, name = among[places, :, places].swapaxes(0, 1), "what the trained prior says of a place"
    return latent.same_arrays(got, log_p, name, "the same, whatever codes come later")


def encoded(handle, x: np.ndarray) -> np.ndarray:
    what = f"{handle.label}.encode(x)"
    return whole(expect(handle.call("encode", x), (len(x), 8, 8), what), what)


def decoded(handle, k: np.ndarray) -> np.ndarray:
    return expect(handle.call("decode", k), (len(k), *DATA.shape), f"{handle.label}.decode(k)")


def log_conditionals(prior, codes: np.ndarray) -> np.ndarray:
    """Normalised log-probabilities of every code, (n, 64, FULL)."""
    from scipy.special import log_softmax

    logits = expect(prior.call("logits", codes), (*codes.shape, FULL), "logits(k)")
    return log_softmax(logits.reshape(len(codes), -1, FULL).astype(np.float64), axis=-1)


def no_shape(x: np.ndarray) -> float:
    """How far images are from the shape of the factors that the frozen classifier sees in them: mean squares."""
    judge, unit = classifier.get("shapes32"), ((x + 1) / 2).clip(0, 1)
    factors = np.stack([judge.probabilities(unit, head).argmax(axis=1) for head in DATA.factor_names], axis=1)
    return float(((2 * DATA.unit(DATA.render(factors)) - 1 - x) ** 2).mean())
