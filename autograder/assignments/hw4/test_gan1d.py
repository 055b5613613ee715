"""Exercise 4.1: three losses, two steps that each move one player, and samples where the data are."""

import numpy as np
import pytest

from autograder.checks import Recipe, hint, points, require
from autograder.families import games as family
from autograder.families.games import DRAWS, Game, decided, logistic, of_function
from autograder.properties import adversarial, hygiene, samples
from autograder.properties.finding import Finding
from autograder.student import expect
from deepul_utils import toy

DATA = toy.get("three_bumps")
LATENTS = 4
DRAWN = 20_000
PROMISED = 0.10  # W₁ for full points, in standard deviations of the data
RATE = 0.1
RECIPE = Recipe("Adam", lr=8e-3, steps=2500, batch=512, discriminator_steps=2)


def small(student, seed: int) -> Game:
    """A small game with random weights."""
    return Game(student.new("GAN1d", latents=LATENTS, hidden=16, seed=seed, perturb=1.0), (1,))


def data(n: int, seed: int) -> np.ndarray:
    return DATA.sample(n, seed=seed, split="test")


suite = family.Suite(of="GAN1d", shape=(1,), data=data, small=small, artifacts=("gan1d",))


@pytest.fixture(scope="module")
def for_discriminator(student, session) -> tuple[Game, dict, np.ndarray]:
    """A game in which the gradient of the discriminator's loss is known; that gradient; and the data of it.

    It is told from that of data in the place of samples.
    """
    seed = session.seed("for discriminator")
    x = data(DRAWS, seed)
    right, slip = (lambda g, z: g.of_both(x, z, logistic)), (lambda g, z: g.of_these(x, x, logistic))
    return *decided(lambda k: small(student, k), right, seed, slip=slip), x


@pytest.fixture(scope="module")
def for_generator(student, session) -> dict[bool, tuple[Game, dict]]:
    """The same of both of the generator's losses, saturating or not; each is told from the other there."""
    known = {}
    slopes = {saturating: generator_slopes(student, saturating)[0] for saturating in (False, True)}
    for saturating, own in slopes.items():
        mine, other = (lambda g, z, s=s: g.by_generator(z, s) for s in (own, slopes[not saturating]))
        seed = session.seed(f"for generator {saturating}")
        known[saturating] = decided(lambda k: small(student, k), mine, seed, slip=other)
    return known


test_shapes = suite.shapes(
    0.5, "generator: (B, latents) to (B, 1). discriminator: (B, 1) to (B,), as nn.Flatten(0) makes it."
)
test_called_with_one_example = suite.one_example(0.5)
test_the_discriminator_gives_logits = suite.logits(
    1, "Its last layer is linear, and nothing comes after it: the losses take σ themselves."
)


@points(4, "Discriminator’s loss")
@hint("−mean log σ(real) − mean log(1 − σ(fake)): F.softplus(-real).mean() is the first of them.")
def test_discriminator_loss(student, seed):
    require(adversarial.discriminator_loss_is_right(lambda *a: number(student, "discriminator_loss", *a), seed))


@points(2.5, "Minimax loss")
@hint("mean log(1 − σ(fake)): what the discriminator would have as large as it can, the generator minimises.")
def test_minimax_loss(student, seed):
    require(adversarial.generator_loss_is_right(lambda a: number(student, "minimax_loss", a), True, seed))


@points(3, "Non-saturating loss")
@hint("−mean log σ(fake): as if the samples were data.")
def test_nonsaturating_loss(student, seed):
    require(adversarial.generator_loss_is_right(lambda a: number(student, "nonsaturating_loss", a), False, seed))


@points(3.5, "Discriminator’s step")
@hint("Draw samples; then zero_grad(), backward() of the loss, and optimizer.step(). Data x are real, samples fake.")
def test_discriminator_step(student, for_discriminator, seed):
    game, wanted, x = for_discriminator
    moved, _ = game.handle.descend(discriminator_step(x), seed=seed, train=False)
    require(adversarial.moves_alone(moved, "discriminator"))
    may = discriminator_gradients(student, game, x, wanted, seed)
    require(nearest(gradient_of(moved), may, "the discriminator’s loss"))


@points(0.5, "In the discriminator’s step samples are constants")
@hint(family.CONSTANTS)
def test_samples_are_constants_of_the_discriminators_step(student, seed):
    game = small(student, seed)
    _, left = game.handle.descend(discriminator_step(data(50, seed)), seed=seed, train=False)
    require(adversarial.leaves_none(left, "generator"))


@points(3.5, "Generator’s step")
@hint(
    "New noise, G(z), its logits, one of both losses of them; zero_grad(), backward() and optimizer.step(). Nothing is "
    "detached here: the gradient passes the discriminator on its way."
)
def test_generator_step(student, for_generator, seed):
    for saturating, (game, wanted) in for_generator.items():
        moved, _ = game.handle.descend(generator_step(saturating), seed=seed, train=False)
        require(adversarial.moves_alone(moved, "generator"))
        name = "minimax" if saturating else "non-saturating"
        what = f"the {name} loss, which saturating={saturating} asks for"
        may = generator_gradients(game, generator_slopes(student, saturating), wanted, seed)
        require(nearest(gradient_of(moved), may, what))


@points(1, "Steps clear the gradients that are there")
@hint(
    "optimizer.zero_grad() before backward(): every step leaves gradients, the generator’s also in the discriminator."
)
def test_steps_clear_the_gradients_that_are_there(for_discriminator, for_generator, seed):
    games = {"discriminator": for_discriminator[0], "generator": for_generator[False][0]}
    steps = {"discriminator": discriminator_step(for_discriminator[2]), "generator": generator_step(False)}
    for player, step in steps.items():
        alone = gradient_of(games[player].handle.descend(step, seed=seed, train=False)[0])
        for other, before in steps.items():
            idle = (*before[:2], 0.0, *before[3:])  # moves nothing, but leaves gradients
            moved, _ = games[player].handle.descend(idle, step, seed=seed, train=False)
            require(adversarial.is_as_without(gradient_of(moved), alone, player, other))


test_samples_are_of_the_generator = suite.samples(
    1.5, "G(z) of fresh z = self.noise(n), n of them: torch.randn, not torch.rand, and no data."
)
test_the_generator_is_a_function_of_its_noise = suite.function_of_noise(
    0.5, "x = G(z), of a network whose only chance is z: no data are kept in it, and nothing is drawn inside."
)


@points(5, "Trained: samples are where the data are", needs=test_the_generator_is_a_function_of_its_noise)
@hint("More rounds, no momentum, two steps of the discriminator in a round, a learning rate that falls to zero.")
def test_samples_are_where_the_data_are(student, graded, seed):
    x = data(DRAWN, seed)

    def distance() -> float:
        made = suite.trained(student, "gan1d").fakes(DRAWN, seed)
        require(hygiene.finite(made, "among samples"))
        return samples.wasserstein_1d(made, x) / x.std()

    normal = x.mean() + x.std() * np.random.default_rng(seed).normal(size=DRAWN)
    baseline = samples.wasserstein_1d(normal, x) / x.std()
    graded(
        "gan1d",
        distance,
        limit=None,
        baseline=max(baseline, 2 * PROMISED),
        unit="standard deviations of W₁",
        promised=PROMISED,
        recipe=RECIPE,
        few=distance,
    )


@points(3, "Trained: the discriminator is undecided at the end")
@hint("At the fixed point D is ½ wherever data are. Let the learning rate fall to zero; is D’s last layer linear?")
def test_the_discriminator_is_undecided_at_the_end(student, graded, seed):
    game, x = suite.trained(student, "gan1d"), data(DRAWN, seed)
    made = game.fakes(DRAWN, seed)
    real, fake = game.discriminator(x), game.discriminator(made)
    # One that never learned is undecided, too.
    require(adversarial.is_nearly_the_best(real, fake, samples.jensen_shannon_1d(x, made)))
    graded(
        "gan1d.half",
        lambda: np.abs(adversarial.sigmoid(real) - 0.5).mean(),
        limit=None,
        baseline=0.25,
        unit="from ½, mean |D − ½|",
        promised=0.05,
        recipe=RECIPE,
        artifact="gan1d",
    )


def discriminator_step(x: np.ndarray) -> tuple:
    return ("discriminator_step", "discriminator", RATE, [x], {})


def generator_step(saturating: bool) -> tuple:
    return ("generator_step", "generator", RATE, [DRAWS], {"saturating": saturating})


def gradient_of(moved: dict) -> dict:
    """The gradient that moved the parameters so."""
    return {k: -v / RATE for k, v in moved.items()}


def discriminator_gradients(student, game: Game, x: np.ndarray, wanted: dict, seed: int):
    """What the step may follow: the loss as it should be, or as the student wrote it, which has a check of its own.

    A step may put its networks in training mode itself; then batch normalisation sees data and samples together or
    one after the other.
    """
    z, own = game.noise(DRAWS, seed + 1), of_function(student, "discriminator_loss", 2)
    yield lambda: wanted
    if own:
        yield lambda: game.of_both(x, z, own)
    for slopes in filter(None, (logistic, own)):
        for together in (False, True):
            yield lambda s=slopes, t=together: game.of_both(x, z, s, train=True, together=t)


def generator_gradients(game: Game, slopes: list, wanted: dict, seed: int):
    """The same for the generator's step; wanted: by the first of these slopes."""
    z = game.noise(DRAWS, seed + 1)
    yield lambda: wanted
    for train in (False, True):
        for slope in slopes:
            yield lambda s=slope, t=train: game.by_generator(z, s, train=t)


def generator_slopes(student, saturating: bool) -> list:
    """The slopes of a generator's loss, as it should be; and as the student wrote it, if that can be had."""
    own = of_function(student, "minimax_loss" if saturating else "nonsaturating_loss", 1)
    right = (lambda f: -adversarial.sigmoid(f)) if saturating else (lambda f: -adversarial.sigmoid(-f))
    return [right, lambda f: own(f)[0] * len(f)] if own else [right]


def nearest(got: dict, wanted, what: str) -> Finding:
    """Of the gradients that a step may follow, {() -> gradient}, the one that it does; else how far the first is."""
    first = None
    for gradient in wanted:
        found = adversarial.same_direction(got, gradient(), what)
        first = first or found
        if found.passed:
            return found
    return first  # type: ignore[return-value]  # there is one at least


def number(student, name: str, *arguments: np.ndarray) -> float:
    return float(expect(student.call(name, *arguments), (), f"{name}(…)"))
