"""Exercise 4.3: kernels divided by their largest singular value, hinge losses, and images that are digits."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from autograder.checks import Recipe, hint, points, require
from autograder.families import games as family
from autograder.families.games import Game
from autograder.properties import adversarial, hygiene, samples, spectral
from autograder.properties.finding import Finding
from autograder.student import expect
from autograder.workbench import StudentCodeError
from deepul_utils import classifier, images

DATA = images.get("glyphs32", levels=256)
LATENTS, WIDTH = 32, 4
KERNELS = ((3, 8, 4), (6, 5, 3), (1, 4, 4))  # in, out, side of small layers
BATCH, CALLS = 16, 25
MANY_CALLS = 80  # by which it shows whether the samples of a batch hang together
ONLY_THE_KERNEL = "The bias is divided by σ, too: only the kernel is."
STRONG = 6.0  # of the noise on weights, with which tanh comes to both of its ends
HUGE = 1e4  # so large is the noise on kernels beside which their initial values do not count
DRAWN, DIVERSE, FEATURES = 2000, 500, 5000
TRAINING, NEIGHBOURS = 20_000, 150
RECIPE = Recipe("Adam", lr=4e-3, steps=2500, batch=32, discriminator_steps=1)


def small(student, seed: int, biases: float = 0.5, perturb: float = 0.5) -> Game:
    """A small game with random weights."""
    handle = student.new("DCGAN", latents=LATENTS, width=WIDTH, seed=seed, perturb=perturb, biases=biases)
    return Game(handle, DATA.shape)


def warmed(student, seed: int) -> Game:
    """One more, after so many calls in training mode that σ moves no more. Several layers take longer than one."""
    game, x = small(student, seed), pictures(2, seed)
    for _ in range(2 * spectral.WARM):
        game.discriminator(x, train=True)
    return game


def trained(student) -> Game:
    return suite.trained(student, "dcgan")


@pytest.fixture(scope="module")
def seen(student, session) -> tuple[np.ndarray, np.ndarray]:
    """Features (DRAWN, d) and labels (DRAWN,) of what the trained generator makes, by the frozen classifier."""
    made = unit(trained(student).fakes(DRAWN, session.seed("shown")))
    return judge().features(made), judge().probabilities(made).argmax(axis=1)


@pytest.fixture(scope="module")
def bent(student, session) -> list[Game]:
    """Games with logits near 0, where a hinge is a line; and below and above both its bends."""
    seed = session.seed("bent")
    return [small(student, seed), *beyond_the_bends(student, seed)]


@pytest.fixture(scope="module")
def telling(student, session) -> int:
    """The seed of a small game in which it shows whether the generator is in training mode, as it is while it learns.

    It has to be made anew for each loss: in training mode the statistics for eval mode are learned.
    """
    return tells_modes_apart(student, session.seed("telling"))


@pytest.fixture
def shown(student, seen) -> tuple[np.ndarray, np.ndarray]:
    """What was seen of the trained generator, which a check is about that asks for it."""
    trained(student)
    return seen


def pictures(n: int, seed: int, split: str = "test") -> np.ndarray:
    """Images in [−1, 1]."""
    return 2 * DATA.unit(DATA.sample(n, seed=seed, split=split)) - 1


suite = family.Suite(
    of="DCGAN", shape=DATA.shape, data=pictures, small=small, artifacts=("dcgan",), batch=BATCH, calls=CALLS
)


class Layer:
    """A layer of the student's, without padding, whose kernel is read off its answers."""

    def __init__(self, student, kernel: tuple[int, int, int], seed: int):
        self.channels, self.out, self.side = kernel
        self.handle = student.new("SpectralConv2d", self.channels, self.out, self.side, seed=seed, perturb=2.0)
        self.name, self.weight = self._kernel()

    def _kernel(self) -> tuple[str, np.ndarray]:
        """Its name is weight; torch's own spectral norms call it otherwise."""
        shape = (self.out, self.channels, self.side, self.side)
        found = [(k, p) for k, p in self.handle.parameters().items() if p.size == np.prod(shape) and p.ndim > 1]
        if len(found) != 1:
            raise StudentCodeError("missing", f"SpectralConv2d should have one parameter of shape {shape}, its kernel.")
        return found[0][0], found[0][1].reshape(shape)

    def gap(self) -> float:
        """σ₁/σ₂ of its kernel: where it is one, power iteration hardly gets on."""
        sigma = np.linalg.svd(self.weight.reshape(self.out, -1), compute_uv=False)
        return float(sigma[0] / sigma[1])

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        said = self.handle.call("__call__", x, train=train)
        return expect(said, (len(x), self.out, 1, 1), "SpectralConv2d.forward(x)")

    def used(self) -> np.ndarray:
        """The kernel of one call."""
        return spectral.kernel_of(self.forward, self.channels, self.side)

    def adds_its_bias(self) -> bool:
        """Of nothing but zeros it makes its bias, as it stands there."""
        zeros = np.zeros((1, self.channels, self.side, self.side), dtype=np.float32)
        biases = [p for p in self.handle.parameters().values() if p is not None and p.shape == (self.out,)]
        return not biases or any(np.allclose(self.forward(zeros)[0, :, 0, 0], b, atol=1e-5) for b in biases)

    def warm_up(self, calls: int = spectral.WARM) -> None:
        for _ in range(calls):
            self.forward(np.zeros((1, self.channels, self.side, self.side), dtype=np.float32), train=True)


@points(1, "Images in [−1, 1], and one answer for each")
@hint("generator: (B, 32) to (B, 1, 32, 32) in [−1, 1], tanh at the end. discriminator: to (B,).")
def test_shapes(student, seed):
    games, x = [small(student, seed + k) for k in range(2)], pictures(8, seed)
    strong = small(student, seed, perturb=STRONG)  # a norm at the generator's beginning undoes the size of its noise
    made = np.concatenate([game.generator(100 * game.noise(20, seed)) for game in (*games, strong)])
    require(hygiene.finite(made, "of the generator"))
    require(samples.in_range(made))
    require(hygiene.finite(games[0].logits(10 * x), "of the discriminator"))
    require(hygiene.rows_are_independent(games[0].generator, games[0].noise(8, seed)))
    # A game of its own for each call: that u stays in eval mode is for another check.
    require(hygiene.rows_are_independent(lambda x: small(student, seed).logits(x), x))


@points(0.5, "Called with one example")
@hint("A batch of one is a batch: squeeze() without a dimension drops it, too; nn.Flatten(0) does not.")
def test_called_with_one_example(student, seed):
    require(hygiene.one_example(lambda x: small(student, seed).discriminator(x), pictures(3, seed)))
    game = small(student, seed)
    require(hygiene.one_example(game.generator, game.noise(3, seed)))


test_the_discriminator_gives_logits = suite.logits(
    0.5,
    "Its last layer is a convolution, and no activation comes after it: hinges have no σ.",
    n=6,
    far=100.0,
    of=partial(small, biases=4.0),
)


@points(8, "Kernels are divided by their spectral norm")
@hint("W = weight.flatten(1), a row an output channel; σ = uᵀ W v; the kernel that is used is weight / σ.")
def test_kernels_are_divided_by_their_spectral_norm(student, seed):
    for k, kernel in enumerate(KERNELS):
        layer = max((Layer(student, kernel, seed + 100 * k + n) for n in range(8)), key=lambda layer: layer.gap())
        layer.warm_up()
        require(spectral.is_the_kernel_over_its_norm(layer.used(), layer.weight))
        learning = spectral.kernel_of(partial(layer.forward, train=True), layer.channels, layer.side)
        found = spectral.is_the_kernel_over_its_norm(learning, layer.weight)
        require(found if found.passed else replace(found, measured=f"in training mode, {found.measured}"))


@points(3, "Power iteration runs in training mode only")
@hint("In eval mode u stays as it is; in training mode every call takes one step: if self.training.")
def test_power_iteration_runs_in_training_mode_only(student, seed):
    layer = Layer(student, KERNELS[0], seed)
    evaluated = [layer.used() for _ in range(3)]
    require(spectral.stays(evaluated))
    layer.warm_up(1)
    require(spectral.moves(evaluated[0], layer.used()))


@points(4, "The gradient knows σ")
@hint("Only u and v are made under no_grad; σ = u @ W @ v outside of it.")
def test_the_gradient_knows_sigma(student, seed):
    for k, kernel in enumerate(KERNELS):
        layer = Layer(student, kernel, seed + k)
        layer.warm_up(3)
        rng = np.random.default_rng(seed + k)
        x = rng.normal(size=(5, layer.channels, layer.side, layer.side)).astype(np.float32)
        cotangent = rng.normal(size=(5, layer.out, 1, 1)).astype(np.float32)
        grads = layer.handle.gradient("__call__", x, wrt="parameters", cotangent=cotangent)
        gradient = np.zeros_like(layer.weight) if grads[layer.name] is None else grads[layer.name]
        found = spectral.knows_sigma(gradient, layer.weight)
        require(found if found.passed or layer.adds_its_bias() else replace(found, slip=ONLY_THE_KERNEL))


@points(4, "Every layer of the discriminator is normalised")
@hint("SpectralConv2d for every convolution of the discriminator, the last one too.")
def test_every_layer_of_the_discriminator_is_normalised(student, seed):
    x = pictures(20, seed)
    game, twice = (small(student, seed, perturb=p) for p in (HUGE, 2 * HUGE))
    said, stretched = game.discriminator(x), twice.discriminator(x)
    grads = game.by_discriminator(x, said - said.mean())
    kernels = {k: p for k, p in game.handle.parameters().items() if k.startswith("discriminator.") and p.ndim > 1}
    require(spectral.stretching_changes_nothing(said, stretched, grads, kernels))


@points(2, "The discriminator sees one image at a time")
@hint("No batch normalisation in the discriminator: it judges every image by itself, also while it is trained.")
def test_discriminator_sees_one_image_at_a_time(student, seed):
    x = pictures(16, seed)
    others = np.where(np.arange(8)[:, None, None, None] % 2, x[8:], x[:8])
    # Two games that are alike: a call in training mode moves u.
    said, among_others = (small(student, seed).discriminator(batch, train=True) for batch in (x[:8], others))
    require(adversarial.sees_one_at_a_time(said, among_others))


@points(2, "The generator normalises its batches")
@hint(
    "Batch normalisation after every layer of the generator but the last, with the batch's own statistics in training."
)
def test_generator_normalises_its_batches(student, seed):
    game = small(student, seed)
    z = game.noise(64, seed)
    half = len(z) // 2

    def bent(z: np.ndarray) -> np.ndarray:
        """Other codes for the rest of the batch, of another direction: a norm of each z undoes its size."""
        return game.generator(np.concatenate([z[:half], z[half:] + z[half:] ** 2]), train=True)

    found = samples.depends_on_the_batch(lambda z: game.generator(z, train=True), z)
    require(found if found.passed else max(found, samples.depends_on_the_batch(bent, z), key=lambda f: f.share))


@points(2, "The discriminator’s hinge loss")
@hint("mean max(0, 1 − f(x)) + mean max(0, 1 + f(G(z))): F.relu(1 - real) for data, F.relu(1 + fake) for samples.")
def test_hinge_losses(student, bent, telling, seed):
    x, played = pictures(BATCH, seed), warmed(student, telling)
    for game in bent:
        require(is_the_hinge_loss(game, x, seed))
    require(is_the_hinge_loss(across_a_bend(student, seed), x, seed))
    require(is_the_hinge_loss(widest(student, seed), x, seed, calls=MANY_CALLS))
    require(samples_teach([bent[0], *(small(student, seed + k) for k in range(1, 8))], x, seed))
    two_batches = is_the_hinge_loss(played, x, seed, train=True)
    one_batch = two_batches if two_batches.passed else is_the_hinge_loss(played, x, seed, train=True, together=True)
    require(one_batch if one_batch.passed else two_batches)


GENERATORS = family.CRITICS_GENERATOR.may_be(
    {
        "The generator has no hinge: it is −mean f(G(z)).": lambda fake: adversarial.hinge(-fake).mean(axis=-1),
        "These are the logistic losses of 4.1, not hinges.": family.called_data,
    }
)


@points(1.5, "The generator’s loss")
@hint("−mean f(G(z)), of n new samples: no hinge, no logarithm.")
def test_generators_loss(student, bent, telling, seed):
    for game, train in (*((game, False) for game in bent), (warmed(student, telling), True)):
        losses = game.losses("generator_loss", BATCH, calls=CALLS, seed=seed, train=train)
        require(GENERATORS.is_that_of(losses, game.of_batches(CALLS, BATCH, seed, train)))
    wide = widest(student, seed)
    losses = wide.losses("generator_loss", BATCH, calls=MANY_CALLS, seed=seed)
    require(GENERATORS.is_that_of(losses, wide.of_batches(MANY_CALLS, BATCH, seed)))
    require(family.teaches_the_generator(bent[0], BATCH, seed))


# Where all logits lie beyond the bend of the hinge, as by chance they may, it has no gradient at all.
test_samples_are_constants_of_the_discriminators_loss = suite.samples_are_constants(0.5, tries=4)
test_samples_are_of_the_generator = suite.samples(
    1.5, "G(z) of fresh z = self.noise(n), n of them, all of them new: no data, no noise used twice.", n=400
)
test_the_generator_is_a_function_of_its_noise = suite.function_of_noise(
    0.5, "x = G(z), of a network whose only chance is z: no images are kept in it, and nothing is drawn inside."
)


@points(2, "No training image is copied")
@hint("Samples are training images: they should be G(z) of fresh noise, of a generator that has never seen an image.")
def test_no_training_image_is_copied(student, seed):
    made = unit(trained(student).fakes(NEIGHBOURS, seed))
    require(samples.no_copies(made, unit(pictures(NEIGHBOURS, seed)), training_images()))


# What is measured of samples means something where they are the generator's, and not images that were there before.
MADE = (test_the_generator_is_a_function_of_its_noise, test_no_training_image_is_copied)


@points(6, "Trained: Fréchet distance", needs=MADE)
@hint("No momentum (betas=(0.0, 0.9)), a learning rate that falls to zero, more rounds.")
def test_frechet_distance(student, shown, graded, seed):
    def distance(features: np.ndarray) -> float:
        return samples.frechet(samples.gaussian(features), reference_features()[0])

    def of_few() -> float:
        return distance(judge().features(unit(trained(student).fakes(DIVERSE, seed))))

    graded(
        "dcgan",
        lambda: distance(shown[0]),
        limit=None,
        baseline=reference_features()[1],
        unit="Fréchet distance",
        recipe=RECIPE,
        few=of_few,
    )


@points(3, "Trained: every digit comes up", needs=MADE)
@hint("Some digit hardly comes up: the generator has dropped a mode. No momentum, and a learning rate that falls.")
def test_every_digit_comes_up(shown):
    require(samples.labels_covered(shown[1], 10))


@points(3, "Trained: samples are diverse", needs=MADE)
@hint("Samples are too much alike: the generator has collapsed. No momentum, and a learning rate that falls.")
def test_samples_are_diverse(shown, seed):
    require(samples.diversity(shown[0][:DIVERSE], judge().features(unit(pictures(DIVERSE, seed)))))


HINGE = family.HINGE.may_be(
    {
        "These are the logistic losses of 4.1, not hinges.": family.LOGISTIC.of,
        "The hinges are of means: take a hinge of every answer, and the mean of the hinges.": lambda real, fake: (
            adversarial.hinge(-real.mean(axis=-1)) + adversarial.hinge(fake.mean(axis=-1))
        ),
    }
)


def is_the_hinge_loss(
    game: Game, x: np.ndarray, seed: int, train: bool = False, together: bool = False, calls: int = CALLS
) -> Finding:
    """The discriminator's loss beside ours, so many times; together: data and samples in one batch."""
    losses = game.losses("discriminator_loss", x, calls=calls, seed=seed, train=train)
    if not train:
        real = np.tile(game.discriminator(x), (calls, 1))
        return HINGE.is_that_of(losses, real.astype(np.float64), game.of_batches(calls, BATCH, seed))
    # Dropout, and batch normalisation where it should not be: what is said of data is chance, too.
    made = [game.generator(z, train) for z in np.split(game.noise(calls * BATCH, seed + 1), calls)]
    pairs = [game.judged(x, fake, True, together, seed + 2 * k) for k, fake in enumerate(made)]
    return HINGE.is_that_of(losses, *(np.stack(said).astype(np.float64) for said in zip(*pairs, strict=True)))


def unit(x: np.ndarray) -> np.ndarray:
    """[−1, 1] to [0, 1]; what is not finite is grey."""
    return ((np.nan_to_num(x) + 1) / 2).clip(0, 1).astype(np.float32)


def judge() -> classifier.Classifier:
    return classifier.get("glyphs32")


@cache
def reference_features() -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Mean and covariance of the features of images; and the Fréchet distance of the naive baseline.

    That is a Gaussian in the space of pixels with the images' mean and covariance, clipped to their range.
    """
    x = unit(pictures(FEATURES, 0, "validation"))
    mean, covariance = samples.gaussian(x.reshape(FEATURES, -1))
    values, vectors = np.linalg.eigh(covariance)
    noise = np.random.default_rng(0).normal(size=(DRAWN, len(mean)))
    drawn = mean + (noise * np.sqrt(values.clip(0))) @ vectors.T
    naive = drawn.clip(0, 1).reshape(-1, *DATA.shape).astype(np.float32)
    of_images = samples.gaussian(judge().features(x))
    return of_images, samples.frechet(samples.gaussian(judge().features(naive)), of_images)


@cache
def training_images() -> np.ndarray:
    """Those that the notebook trains on."""
    return unit(pictures(TRAINING, 0, "train"))


def beyond_the_bends(student, seed: int) -> list[Game]:
    """Of some games with large biases that whose logits are lowest, and that whose logits are highest."""
    games = [small(student, seed + k, biases=4.0) for k in range(12)]
    said = [game.discriminator(pictures(2, seed)).mean() for game in games]
    return [games[np.argmin(said)], games[np.argmax(said)]]


def widest(student, seed: int) -> Game:
    """Of some games that in which the hinges of samples differ most from each other."""
    games = [small(student, seed + k, biases=1.0) for k in range(8)]
    return max(games, key=lambda game: adversarial.hinge(game.discriminator(game.fakes(4 * BATCH, seed))).std())


def across_a_bend(student, seed: int) -> Game:
    """Of some games that in which the hinge of a mean is furthest from the mean of hinges, beside what chance does."""
    x = pictures(BATCH, seed)

    def apart(game: Game) -> float:
        real, fake = game.discriminator(x), game.discriminator(game.fakes(BATCH, seed))
        off = sum(adversarial.hinge(s).mean() - adversarial.hinge(s.mean()) for s in (-real, fake))
        return off / (fake.std() + 1e-3)

    games = [small(student, seed + k, biases=1.0) for k in range(30)]
    return max(games, key=apart)


def samples_teach(games: list[Game], x: np.ndarray, seed: int) -> Finding:
    """Where no hinge of data is shut, and few of samples, the gradient of the loss is not that of the data alone.

    Of the games the one in which most are open; where too few are in all of them, it is not asked.
    """
    required = "a gradient of what is said of data, and of samples"

    def are_open(game: Game) -> float:
        """The share of samples whose hinge is open, if all of the data's are."""
        said = game.discriminator(game.fakes(4 * BATCH, seed))
        return float((said > -0.99).mean()) if game.discriminator(x).max() < 0.99 else 0.0

    shares = [are_open(game) for game in games]
    if max(shares) < 0.5:  # of a batch that is drawn, all might be shut
        return Finding(1.0, "not asked: too few hinges are open", required)
    game = games[int(np.argmax(shares))]
    got = game.handle.gradient("discriminator_loss", x, wrt="parameters", seed=seed)
    alone = game.by_discriminator(x, np.full(len(x), -1 / len(x), dtype=np.float32))
    slip = "D learns from data only: detach G(z), the samples, and not what D says of them."
    ok = family.far_from(got, alone) > 1e-4
    measured = "both have one" if ok else "what is said of samples has no gradient"
    return Finding(float(ok), measured, required, slip="" if ok else slip)


def tells_modes_apart(student, seed: int) -> int:
    """The seed of that of some small games in which what D says of samples depends most on the generator's mode."""

    def difference(k: int) -> float:
        game = small(student, k)
        z = game.noise(8 * BATCH, k)
        evaluating = game.discriminator(game.generator(z)).reshape(8, BATCH).mean(axis=1)
        training = np.array([game.discriminator(game.generator(b, train=True)).mean() for b in np.split(z, 8)])
        return abs(evaluating.mean() - training.mean()) / (1e-9 + evaluating.std() + training.std())

    return max(range(seed, seed + 4), key=difference)
