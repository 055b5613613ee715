"""Exercise 4.3: kernels divided by their largest singular value, hinge losses, and images that are digits."""

from functools import cache

import numpy as np
import pytest

from autograder.checks import hint, points, require
from autograder.hw4.game import Game
from autograder.properties import adversarial, hygiene, samples, spectral
from autograder.student import expect
from deepul_utils import classifier, images

DATA = images.get("glyphs32", levels=256)
LATENTS, WIDTH = 32, 4
KERNELS = ((3, 8, 4), (6, 5, 3), (1, 4, 4))  # in, out, side of small layers
BATCH, CALLS = 16, 25
DRAWN, DIVERSE, FEATURES = 2000, 500, 5000
TRAINING, NEIGHBOURS = 5000, 300


def small(student, seed: int, biases: float = 0.5) -> Game:
    """A small game with random weights."""
    handle = student.new("DCGAN", latents=LATENTS, width=WIDTH, seed=seed, perturb=0.5, biases=biases)
    return Game(handle, DATA.shape)


def warmed(student, seed: int) -> Game:
    """One more, after so many calls in training mode that σ moves no more. Several layers take longer than one."""
    game, x = small(student, seed), pictures(1, seed)
    for _ in range(5 * spectral.WARM):
        game.discriminator(x, train=True)
    return game


@pytest.fixture(scope="module")
def warm(student, session) -> Game:
    return warmed(student, session.seed("warm"))


def trained(student) -> Game:
    return Game(student.trained("dcgan"), DATA.shape)


@pytest.fixture(scope="module")
def shown(student, session) -> tuple[np.ndarray, np.ndarray]:
    """Features (DRAWN, d) and labels (DRAWN,) of samples of the trained game, as the frozen classifier has them."""
    drawn = unit(trained(student).sample(DRAWN, session.seed("shown")))
    return judge().features(drawn), judge().probabilities(drawn).argmax(axis=1)


def pictures(n: int, seed: int, split: str = "test") -> np.ndarray:
    """Images in [−1, 1]."""
    return 2 * DATA.unit(DATA.sample(n, seed=seed, split=split)) - 1


class Layer:
    """A layer of the student's, without padding, whose kernel is read off its answers."""

    def __init__(self, student, kernel: tuple[int, int, int], seed: int):
        self.channels, self.out, self.side = kernel
        self.handle = student.new("SpectralConv2d", self.channels, self.out, self.side, seed=seed, perturb=2.0)
        shape = (self.out, self.channels, self.side, self.side)
        self.weight = expect(self.handle.parameters().get("weight"), shape, "SpectralConv2d.weight")

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        said = self.handle.call("forward", x, train=train)
        return expect(said, (len(x), self.out, 1, 1), "SpectralConv2d.forward(x)")

    def used(self, train: bool = False) -> np.ndarray:
        """The kernel of one call."""
        return spectral.kernel_of(lambda x: self.forward(x, train), self.channels, self.side)

    def warm_up(self) -> None:
        for _ in range(spectral.WARM):
            self.forward(np.zeros((1, self.channels, self.side, self.side), dtype=np.float32), train=True)


@points(2)
@hint("generator: (B, 32) to (B, 1, 32, 32) in [−1, 1], tanh at the end. discriminator: to (B,). Losses: one number.")
def test_shapes(student, seed):
    game, x = small(student, seed), pictures(8, seed)
    made = game.generator(8 * game.noise(20, seed))
    require(hygiene.finite(made, "of the generator"))
    require(samples.in_range(made))
    require(hygiene.finite(game.discriminator(10 * x), "of the discriminator"))
    require(hygiene.rows_are_independent(game.generator, game.noise(8, seed)))
    values = [game.number("discriminator_loss", x, seed=seed), game.number("generator_loss", 8, seed=seed)]
    require(hygiene.finite(np.array(values), "in the losses"))


@points(8)
@hint("W = weight.flatten(1), a row an output channel; σ = uᵀ W v; the kernel that is used is weight / σ.")
def test_kernels_are_divided_by_their_spectral_norm(student, seed):
    for k, kernel in enumerate(KERNELS):
        layer = Layer(student, kernel, seed + k)
        layer.warm_up()
        require(spectral.is_the_kernel_over_its_norm(layer.used(), layer.weight))


@points(3, needs="kernels_are_divided_by_their_spectral_norm")
@hint("In eval mode u stays as it is; in training mode every call takes one step: if self.training.")
def test_power_iteration_runs_in_training_mode_only(student, seed):
    layer = Layer(student, KERNELS[0], seed)
    evaluated = [layer.used() for _ in range(3)]
    require(spectral.stays(evaluated))
    layer.forward(np.zeros((1, layer.channels, layer.side, layer.side), dtype=np.float32), train=True)
    require(spectral.moves(evaluated[0], layer.used()))


@points(4, needs="kernels_are_divided_by_their_spectral_norm")
@hint("Only u and v are made under no_grad; σ = u @ W @ v outside of it.")
def test_the_gradient_knows_sigma(student, seed):
    for k, kernel in enumerate(KERNELS):
        layer = Layer(student, kernel, seed + k)
        layer.warm_up()
        rng = np.random.default_rng(seed + k)
        x = rng.normal(size=(5, layer.channels, layer.side, layer.side)).astype(np.float32)
        cotangent = rng.normal(size=(5, layer.out, 1, 1)).astype(np.float32)
        grads = layer.handle.gradient("forward", x, wrt="parameters", cotangent=cotangent)
        gradient = np.zeros_like(layer.weight) if grads["weight"] is None else grads["weight"]
        require(spectral.knows_sigma(gradient, layer.weight))


@points(4, needs=("shapes", "the_gradient_knows_sigma"))
@hint("SpectralConv2d for every convolution of the discriminator, the last one too.")
def test_every_layer_of_the_discriminator_is_normalised(warm, seed):
    # Σ (f − mean f)² grows with every kernel that is stretched, if stretching it does anything.
    x = pictures(20, seed)
    said = warm.discriminator(x)
    grads = warm.by_discriminator(x, said - said.mean())
    kernels = {k: p for k, p in warm.handle.parameters().items() if k.startswith("discriminator.") and p.ndim > 1}
    require(spectral.all_know_sigma(grads, kernels))


@points(2, needs="shapes")
@hint("No batch normalisation in the discriminator: it judges every image by itself, also while it is trained.")
def test_discriminator_sees_one_image_at_a_time(warm, seed):
    require(hygiene.rows_are_independent(lambda x: warm.discriminator(x, train=True), pictures(8, seed)))


@points(2, needs="shapes")
@hint(
    "Batch normalisation after every layer of the generator but the last, with the batch's own statistics in training."
)
def test_generator_normalises_its_batches(student, seed):
    game = small(student, seed)
    z = game.noise(64, seed)
    require(samples.depends_on_the_batch(lambda z: game.generator(z, train=True), z))


@points(4, needs="shapes")
@hint("mean max(0, 1 − f(x)) + mean max(0, 1 + f(G(z))): F.relu(1 - real) for data, F.relu(1 + fake) for samples.")
def test_hinge_losses(student, seed):
    x, hinge, telling = pictures(BATCH, seed), adversarial.hinge, tells_modes_apart(student, seed)
    # Logits near 0, where a hinge is a line; below and above both bends; and the mode in which a GAN is trained.
    games = [(game, False) for game in (small(student, seed), *beyond_the_bends(student, seed))]
    for game, train in (*games, (warmed(student, telling), True)):
        got = losses(game, "discriminator_loss", x, seed=seed, train=train)
        real, fake = game.discriminator(x), batches_of(game, seed, train)
        of_real, of_fake = hinge(-real).mean(), hinge(fake).mean(axis=1)
        require(adversarial.objective_is(got, of_real + of_fake,
                "mean max(0, 1 − f(x)) + mean max(0, 1 + f(G(z)))", {
            "Data and samples are exchanged.": hinge(real).mean() + hinge(-fake).mean(axis=1),
            "It is half of the sum of both means.": (of_real + of_fake) / 2,
            "There is no hinge: max(0, …) is missing.": 2 - real.mean() + fake.mean(axis=1),
            "These are the logistic losses of 4.1, not hinges.":
                adversarial.softplus(-real).mean() + adversarial.softplus(fake).mean(axis=1),
            "The term of the samples is missing.": of_real + 0 * of_fake,
            "The term of the data is missing.": of_fake,
            "The hinge bends at 0: it is max(0, 1 − f(x)).":
                np.maximum(0, -real).mean() + np.maximum(0, fake).mean(axis=1),
        }))  # fmt: skip
    for game, train in (*games, (warmed(student, telling), True)):
        got = losses(game, "generator_loss", BATCH, seed=seed, train=train)
        fake = batches_of(game, seed, train)
        require(adversarial.objective_is(got, -fake.mean(axis=1),
                "−mean f(G(z))", {
            "Its sign is wrong: this drives samples away from the data.": fake.mean(axis=1),
            "The generator has no hinge: it is −mean f(G(z)).": hinge(-fake).mean(axis=1),
            "These are the logistic losses of 4.1, not hinges.": adversarial.softplus(-fake).mean(axis=1),
        }))  # fmt: skip
    grads = game.handle.gradient("discriminator_loss", x, wrt="parameters", seed=seed)
    require(adversarial.only_of(grads, "discriminator", game.handle.parameters()))


@points(2, needs="shapes")
@hint("G(z) of fresh z ~ N(0, I), n of them, all of them new: no data, no noise used twice.")
def test_samples_are_of_the_generator(student, seed):
    directions = np.random.default_rng(seed + 1).normal(size=(1024, 8)) / 32
    for game in (small(student, seed), trained(student)):
        drawn, ours = game.sample(400, seed), game.fakes(2000, seed)
        if samples.differ(ours).passed:  # random weights can leave a generator hardly a live unit
            require(samples.differ(drawn))
        a, b = (s.reshape(len(s), -1) @ directions for s in (drawn, ours[:400]))
        require(samples.same(a, b, "sample(n) beside G(z)", seed, "samples like G(z) of our own noise"))


@points(6, needs=("hinge_losses", "samples_are_of_the_generator"))
@hint("No momentum (betas=(0, 0.9)), a learning rate that falls to zero, more rounds. Is the generator in train mode?")
def test_frechet_distance(shown, graded):
    distance = samples.frechet(samples.gaussian(shown[0]), reference_features()[0])
    graded("dcgan", distance, limit=None, baseline=reference_features()[1], unit="Fréchet distance")


@points(3, needs=("hinge_losses", "samples_are_of_the_generator"))
@hint("Some digit hardly comes up: the generator has dropped a mode. No momentum, and a learning rate that falls.")
def test_every_digit_comes_up(shown):
    require(samples.labels_covered(shown[1], 10))


@points(3, needs=("hinge_losses", "samples_are_of_the_generator"))
@hint("Samples are too much alike: the generator has collapsed. No momentum, and a smaller learning rate.")
def test_samples_are_diverse(shown, seed):
    require(samples.diversity(shown[0][:DIVERSE], judge().features(unit(pictures(DIVERSE, seed)))))


@points(2, needs="samples_are_of_the_generator")
@hint("Samples are training images: they should be G(z) of fresh noise, of a generator that has never seen an image.")
def test_no_training_image_is_copied(student, seed):
    drawn = unit(trained(student).sample(NEIGHBOURS, seed))
    require(samples.no_copies(drawn, unit(pictures(NEIGHBOURS, seed)), training_images()))


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
    """The first of those that the notebook trains on."""
    return unit(pictures(20_000, 0, "train")[:TRAINING])


def beyond_the_bends(student, seed: int) -> list[Game]:
    """Of some games with large biases that whose logits are lowest, and that whose logits are highest."""
    games = [small(student, seed + k, biases=4.0) for k in range(12)]
    said = [game.discriminator(pictures(1, seed))[0] for game in games]
    return [games[np.argmin(said)], games[np.argmax(said)]]


def tells_modes_apart(student, seed: int) -> int:
    """The seed of that of some small games in which what D says of samples depends most on the generator's mode.

    It has to be made anew: in training mode the statistics for eval mode are learned.
    """

    def difference(k: int) -> float:
        game = small(student, k)
        evaluating, training = (batches_of(game, k, train).mean(axis=1) for train in (False, True))
        return abs(evaluating.mean() - training.mean()) / (1e-9 + evaluating.std() + training.std())

    return max(range(seed, seed + 4), key=difference)


def batches_of(game: Game, seed: int, train: bool) -> np.ndarray:
    """What the discriminator says of CALLS batches of samples; train: of a generator in that mode. (CALLS, BATCH)."""
    batches = np.split(game.noise(CALLS * BATCH, seed + 1), CALLS)
    return np.stack([game.discriminator(game.generator(z, train)) for z in batches]).astype(np.float64)


def losses(game: Game, method: str, *arguments, seed: int, **options) -> np.ndarray:
    """CALLS values of a loss that draws its own noise."""
    return np.array([game.number(method, *arguments, seed=seed + 10 + k, **options) for k in range(CALLS)])
