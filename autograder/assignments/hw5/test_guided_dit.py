"""Exercise 5.5: patches, blocks that begin as the identity, dropped labels, guidance, and images of their digits."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from autograder.checks import Recipe, hint, points, require
from autograder.families import guided_diffusion as family
from autograder.families.guided_diffusion import Model
from autograder.properties import guided, hygiene, layers, samples
from autograder.properties.finding import Finding
from autograder.student import expect
from deepul_utils import classifier, images

DATA = images.get("glyphs32", levels=256)
TINY, CLASSES = (1, 16, 16), 3
SMALL = {"patch": 4, "width": 16, "depth": 2, "heads": 2}
WIDTH, HEADS, TOKENS = 12, 3, 5  # of a single block
PATCHES = ((2, 1, 8, 8), (2, 3, 8, 12))  # B, C, H, W
WEIGHTS = (0.0, 1.0, 3.0)  # of guidance, of what is trained
BEST = 2.0  # the weight at which samples are compared with images
LATEST = 0.8  # times of the loss: later all is decided, and a small error of the image a large one of the velocity
DRAWN, STEPS = 300, 15  # samples for each weight, and Euler's steps
HELD_OUT, FEW, COARSE = 400, 100, 8
RECIPE = Recipe("Adam", lr=1e-2, steps=2500, batch=32)


def small(student, seed: int, **size) -> Model:
    """A small model with random weights."""
    return Model(student.new("DiT", TINY, CLASSES, seed=seed, **(SMALL | size)), TINY, CLASSES)


def block(student, seed: int, fresh: bool = False):
    """A block as a function (h, c) -> h, with random weights, or as it begins."""
    handle = student.new("DiTBlock", WIDTH, HEADS, seed=seed, perturb=0.0 if fresh else 1.0)
    return handle, lambda h, c: expect(handle.call("__call__", h, c), h.shape, "DiTBlock.forward(h, c)")


def given(seed: int, n: int = 8):
    """Random x_t, times, labels and noise of small images."""
    rng = np.random.default_rng(seed)
    x, noise = (rng.normal(size=(n, *TINY)).astype(np.float32) for _ in range(2))
    return x, rng.uniform(0.1, 0.8, size=n).astype(np.float32), rng.integers(CLASSES, size=n), noise


def of_block(seed: int, n: int = 6):
    """Random tokens and conditions of a block."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, TOKENS, WIDTH)).astype(np.float32), rng.normal(size=(n, WIDTH)).astype(np.float32)


@points(2, "Patches are squares, and come back")
@hint("Every token holds the C · p² numbers of one p × p square; unpatchify puts every number where it was.")
def test_patches_are_squares_and_come_back(student, seed):
    rng = np.random.default_rng(seed)
    for shape in PATCHES:
        x = rng.permutation(np.prod(shape)).reshape(shape).astype(np.float32)
        n, wide = shape[2] * shape[3] // 16, 16 * shape[1]
        tokens = expect(student.call("patchify", x, 4), (shape[0], n, wide), "patchify(x, 4)")
        require(guided.patches_are_squares(tokens, x, 4))
        back = expect(student.call("unpatchify", tokens, 4, list(shape[1:])), shape, "unpatchify(tokens, 4, shape)")
        require(guided.comes_back(back, x, "unpatchify(patchify(x)) = x"))


@points(2, "A block is the identity at the start")
@hint("x + gate · f(x), with a gate that is zero at the start, in both halves of the block.")
def test_a_block_is_the_identity_at_the_start(student, seed):
    handle, forward = block(student, seed, fresh=True)
    h, c = of_block(seed)
    require(guided.is_the_identity(forward(h, c), h))
    cotangent = np.random.default_rng(seed).normal(size=h.shape).astype(np.float32)
    require(guided.can_learn(handle.gradient("__call__", h, c, wrt="parameters", cotangent=cotangent)))


@points(1, "Attention and an MLP wait behind the gates")
@hint("γ_1 · attention((1 + α_1) LN(h) + β_1) and γ_2 · MLP((1 + α_2) LN(h) + β_2), with so many heads as asked for.")
def test_attention_and_an_mlp_wait_behind_the_gates(student, seed):
    """Where the gates of a fresh block are no numbers of a zero vector, or c = 0 opens them, it is not asked."""
    h, _ = of_block(seed, 2)
    gated = behind_the_gates(student, seed, HEADS)
    here = gated(h[:1])
    if not len(here):
        require(Finding(1.0, "not asked: no vector that is zero opens a gate", "a block that is shut by c = 0"))
        return
    require(guided.has_two_gates(len(here), WIDTH))
    require(guided.is_of_the_normalised(here, gated(2.5 * h[:1] + 0.7), gated(h[1:])))
    others = np.concatenate([h[:1, :1], h[1:, 1:]], axis=1)
    for heads in (HEADS, 1):
        gated = behind_the_gates(student, seed, heads)
        is_attention = np.abs(gated(others) - gated(h[:1])) > guided.MOVED * np.abs(gated(h[:1])).max()
        copies = [h[:1, [0] * k + [1] * (TOKENS - k)] for k in range(1, TOKENS)]
        require(guided.heads_attend_apart(np.stack([gated(tokens)[is_attention] for tokens in copies]), heads))


def behind_the_gates(student, seed: int, heads: int):
    """What the gates open to, at the first token: a function of h, (1, N, width), one number for each number of a
    vector that opens a gate. Weights are random, and all gates shut by c = 0.
    """
    handle = student.new("DiTBlock", WIDTH, heads, seed=seed, biases=0.0, precise=True)
    h, c = of_block(seed, 1)
    c, first = 0 * c, np.zeros_like(h)
    first[:, 0] = 1
    if not guided.is_the_identity(expect(handle.call("__call__", h, c), h.shape, "DiTBlock.forward(h, c)"), h).passed:
        return lambda h: np.zeros(0)
    zero = {k: p for k, p in handle.parameters().items() if p is not None and p.ndim == 1 and not p.any()}

    def gradients(h: np.ndarray) -> np.ndarray:
        found = handle.gradient("__call__", h, c, wrt="parameters", cotangent=first)
        of = [p if found.get(k) is None else expect(found[k], p.shape, f"the gradient of {k}") for k, p in zero.items()]
        return np.concatenate([np.zeros(0), *of])

    opens = gradients(h) != 0
    return lambda h: gradients(h)[opens]


@points(1.5, "A block mixes tokens, and knows c")
@hint("Attention over the tokens (dimension 1); shift, scale and gate come from c, of each example by its own.")
def test_a_block_mixes_tokens_and_knows_c(student, seed):
    _, forward = block(student, seed)
    h, c = of_block(seed)
    base = forward(h, c)
    mixed = "Attention is over dimension 1 of (B, N, width): with batch_first=False it goes over the batch."
    causal = "Attention goes to all tokens, also to those that come after: no mask, and not is_causal=True."
    for place, others, slip in ((0, np.s_[:, 1:], mixed), (-1, np.s_[:, :-1], causal)):
        changed, which = h.copy(), "first" if place == 0 else "last"
        changed[:, place] += np.random.default_rng(seed).normal(size=h[:, 0].shape)
        required = f"the others move when the {which} token changes"
        require(guided.moves(base[others], forward(changed, c)[others], "the other tokens move", required, slip))
    told = "Shift, scale and gate are made of c by a linear layer."
    required = "it moves when c changes"
    require(guided.moves(base, forward(h, -c), "the result moves", required, told))
    rows, split = np.concatenate([h.reshape(len(h), -1), c], axis=1), TOKENS * WIDTH

    def of_rows(r: np.ndarray) -> np.ndarray:
        return forward(r[:, :split].reshape(-1, TOKENS, WIDTH), r[:, split:])

    require(hygiene.rows_are_independent(of_rows, rows))


@points(0.5, "Every layer has weights of its own")
@hint(layers.SHARED)
def test_every_layer_has_weights_of_its_own(student, seed):
    made = small(student, seed, depth=3).handle
    require(layers.are_their_own(made.call("state_dict"), made.parameters()))


@points(0.5, "Every image for itself")
@hint("velocity(x, t, y) is of the size of x, each image of its own x, t and y alone; loss(x, y, t, noise) is (B,).")
def test_every_image_for_itself(student, seed):
    model, (x, t, y, _) = small(student, seed), given(seed)
    rows = np.concatenate([x.reshape(len(x), -1), t[:, None], y[:, None]], axis=1)

    def velocity(r: np.ndarray) -> np.ndarray:
        return model.velocity(r[:, :-2].reshape(-1, *TINY), r[:, -2], r[:, -1].astype(np.int64))

    require(hygiene.finite(velocity(rows), "of velocity"))
    require(hygiene.finite(model.velocity(x, np.ones_like(t), y), "of velocity at t = 1, the end"))
    require(hygiene.rows_are_independent(velocity, rows))
    require(hygiene.one_example(velocity, rows))


@points(1.5, "The velocity knows image, time and label")
@hint("Time and label go into c, together; tokens know where they are, and see each other.")
def test_the_velocity_knows_image_time_and_label(student, seed):
    model, (x, t, y, _) = small(student, seed), given(seed)
    base, corner = model.velocity(x, t, y), x.copy()
    corner[:, :, :2, :2] += 1
    far = np.s_[:, :, 8:, 8:]
    moved = guided.moves
    require(moved(base[far], model.velocity(corner, t, y)[far], "far pixels move", "the whole image is seen", ""))
    time = "t is not used, or not by the network: embed it, and add it to c."
    require(moved(base, model.velocity(x, 1 - t, y), "the velocity moves with t", "it is told the time", time))
    # A velocity (x̂ − x) / (1 − t) moves by itself. At these times what the network says is found without rounding.
    early, late = (np.full(len(t), value, dtype=np.float32) for value in (0.5, 0.75))
    guess = [x + (1 - at[0]) * model.velocity(x, at, y) for at in (early, late)]
    require(moved(*guess, "the guess of the image moves with t", "the network is told the time", time))
    label = "y is not used, or none is not a label of its own: embed classes + 1 of them, and add that to c."
    of_label = [model.velocity(x, t, np.full_like(y, k)) for k in range(CLASSES + 1)]
    for one, other in combinations(of_label, 2):
        require(moved(one, other, "it moves with the label", "each label, and none, gives another", label))


@points(1.5, "Labels are dropped at the rate")
@hint("torch.where(torch.rand(len(y)) < rate, none, y).")
def test_labels_are_dropped_at_the_rate(student, seed):
    y = np.random.default_rng(seed).integers(10, size=6000)
    for k, rate in enumerate((0.1, 0.3, 0.0, 1.0)):
        what = f"drop_labels(y, {rate:g}, 10)"
        after = family.labels(student.call("drop_labels", y, rate, 10, seed=seed + k), len(y), what)
        finding = guided.none_or_all if rate in (0, 1) else guided.labels_are_dropped
        require(finding(after, y, rate, 10))


@points(2, "The loss is the velocity’s squared error")
@hint("x_t = (1 − t) noise + t x, v(x_t, t, y) − (x − noise), squared, its mean over the image: one number an image.")
def test_the_loss_is_the_velocitys_squared_error(student, seed):
    model, (x, t, y, noise) = small(student, seed), given(seed)
    require(guided.is_the_velocitys_error(model.loss(x, y, t, noise), model.velocity, x, y, t, noise))


@points(2, "Guidance goes from one velocity to the other")
@hint("v(none) + w (v(y) − v(none)): w = 0 knows no label, w = 1 is v(y), and beyond it goes on along the same line.")
def test_guidance_goes_from_one_velocity_to_the_other(student, seed):
    model, (x, t, y, _) = small(student, seed), given(seed)
    with_label, without = model.velocity(x, t, y), model.velocity(x, t, np.full_like(y, CLASSES))
    for w in (2.5, 1.0, 0.0, -0.5):
        require(guided.is_guided(model.guided(x, t, y, w), with_label, without, w))


@points(1.5, "Images are made in Euler’s steps")
@hint("x = noise; for k in range(steps): x = x + guided(x, t, y, w) / steps, with t = k / steps for every image.")
def test_images_are_made_in_eulers_steps(student, seed):
    model, (_, _, y, noise) = small(student, seed), given(seed, n=4)

    def velocity(x: np.ndarray, t: float, w: float, labels: bool, own: bool = True) -> np.ndarray:
        times, of = np.full(len(x), t, dtype=np.float32), y if labels else np.full_like(y, CLASSES)
        return (model.guided if own else model.by_hand)(x, times, of, w)

    for steps, w in ((4, 2.0), (7, 0.5)):
        require(guided.follows_euler(model.generate(noise, y, w, steps), noise, steps, velocity, w))


# ---- what was trained ----------------------------------------------------------------------------------


def trained(student) -> Model:
    return Model(student.trained("guided_dit", "DiT"), DATA.shape, 10)


class Made:
    """Images of the trained model, made once for each weight, from the same noise: w -> (labels, images in [0, 1])."""

    def __init__(self, student, seed: int):
        self.student = student
        self._known: dict[float, np.ndarray] = {}
        noise = np.random.default_rng(seed).normal(size=(DRAWN, *DATA.shape)).astype(np.float32)
        self.given = np.arange(DRAWN) % 10, noise

    def __call__(self, w: float) -> tuple[np.ndarray, np.ndarray]:
        y, noise = self.given
        if w not in self._known:
            self._known[w] = trained(self.student).integrated(noise, y, w, STEPS)
        return y, self._known[w]


@pytest.fixture(scope="module")
def made(student, session) -> Made:
    return Made(student, session.seed("made"))


@points(1.5, "Trained: the loss of held-out images")
@hint("Train longer, let the learning rate fall towards the end, or use more blocks.")
def test_loss_of_held_out_images(student, graded, seed):
    x, y = DATA.sample_labelled(HELD_OUT, seed=seed, split="test")
    x, rng = 2 * DATA.unit(x) - 1, np.random.default_rng(seed)
    t = LATEST * rng.permutation((np.arange(HELD_OUT) + 0.5) / HELD_OUT).astype(np.float32)
    noise = rng.normal(size=x.shape).astype(np.float32)

    def loss(n: int = HELD_OUT) -> float:
        v = trained(student).velocity(guided.between(noise, x, t)[:n], t[:n], y[:n])
        return float(((v - (x - noise)[:n]) ** 2).mean())

    baseline = family.naive_loss(training_images(), x, t, noise)
    graded("guided_dit", loss, limit=None, baseline=baseline, unit="mean squared error", recipe=RECIPE,
           few=lambda: loss(FEW))  # fmt: skip


@points(1.5, "Trained: guidance steers, and narrows")
@hint("Are labels dropped in training, one in ten, and given as `none`? Train longer.")
def test_guidance_steers_and_narrows(student, made, graded):
    def missed(w: float, n: int = FEW, steps: int = COARSE) -> float:
        """Of a few images, made anew: the weights may be others now."""
        y, noise = made.given
        return 1 - of_their_label(y[:n], trained(student).integrated(noise[:n], y[:n], w, steps))

    trained(student)
    shares = {w: of_their_label(*made(w)) for w in WEIGHTS}
    require(guided.labels_steer(shares, DRAWN))
    spread = {w: family.within_labels(judge().features(made(w)[1]), made(w)[0]) for w in WEIGHTS}
    require(guided.guidance_narrows(spread))
    graded("guided_dit.missed", lambda: 1 - shares[WEIGHTS[-1]], limit=None, baseline=0.9, examples=DRAWN,
           unit="of the samples, at w = 3, are not of their label", recipe=RECIPE, artifact="guided_dit",
           few=lambda: missed(WEIGHTS[-1]))  # fmt: skip


@points(1, "Trained: Fréchet distance")
@hint("Train longer, let the learning rate fall towards the end, or use more blocks.")
def test_frechet_distance(student, made, graded):
    def distance(x: np.ndarray) -> float:
        return samples.frechet(samples.gaussian(judge().features(x)), of_images()[0])

    def of_few() -> float:
        """Of a few images, made anew: the weights may be others now."""
        y, noise = made.given
        return distance(trained(student).integrated(noise[:FEW], y[:FEW], BEST, COARSE))

    trained(student)
    graded("guided_dit.frechet", lambda: distance(made(BEST)[1]), limit=None, baseline=of_images()[1],
           unit="Fréchet distance", recipe=RECIPE, artifact="guided_dit", few=of_few)  # fmt: skip


def of_their_label(y: np.ndarray, x: np.ndarray) -> float:
    """The share of images x that the classifier takes for their label y."""
    return float((judge().probabilities(x).argmax(axis=1) == y).mean())


def judge() -> classifier.Classifier:
    return classifier.get("glyphs32")


@cache
def training_images() -> np.ndarray:
    return 2 * DATA.unit(DATA.sample(2000)) - 1


@cache
def of_images() -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Mean and covariance of images in the classifier's features, and the distance of the naive model from them.

    The naive model draws Gaussian images with the mean and the variance of each pixel, clipped to their range.
    """
    x = DATA.unit(DATA.sample(3000, seed=0, split="validation"))
    noise = np.random.default_rng(0).normal(size=(DRAWN, *DATA.shape))
    naive = (x.mean(axis=0) + x.std(axis=0) * noise).clip(0, 1).astype(np.float32)
    reference = samples.gaussian(judge().features(x))
    return reference, samples.frechet(samples.gaussian(judge().features(naive)), reference)
