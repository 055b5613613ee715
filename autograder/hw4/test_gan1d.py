"""Exercise 4.1: three losses, two steps that each move one player, and samples where the data are."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw4.game import DRAWS, Game, decided
from autograder.properties import adversarial, hygiene, samples
from autograder.student import expect
from deepul_utils import toy

DATA = toy.get("three_bumps")
LATENTS = 4
DRAWN, COMPARED = 20_000, 500
PROMISED = 0.10  # W₁ for full points, in standard deviations of the data
RATE = 0.1


def small(student, seed: int) -> Game:
    """A small game with random weights."""
    return Game(student.new("GAN1d", latents=LATENTS, hidden=16, seed=seed, perturb=1.0), (1,))


def trained(student) -> Game:
    return Game(student.trained("gan1d"), (1,))


def data(n: int, seed: int) -> np.ndarray:
    return DATA.sample(n, seed=seed, split="test")


@points(1)
@hint("generator: (B, latents) to (B, 1). discriminator: (B, 1) to (B,), as nn.Flatten(0) makes it. sample: (n, 1).")
def test_shapes(student, seed):
    game, x = small(student, seed), data(50, seed)
    require(hygiene.finite(game.fakes(50, seed), "of the generator"))
    require(hygiene.finite(game.discriminator(10 * x), "of the discriminator"))
    require(hygiene.rows_are_independent(game.discriminator, x))
    require(hygiene.rows_are_independent(game.generator, game.noise(50, seed)))


@points(4)
@hint("−mean log σ(real) − mean log(1 − σ(fake)): F.softplus(-real).mean() is the first of them.")
def test_discriminator_loss(student, seed):
    require(adversarial.discriminator_loss_is_right(lambda *a: number(student, "discriminator_loss", *a), seed))


@points(3)
@hint("mean log(1 − σ(fake)): what the discriminator would have as large as it can, the generator minimises.")
def test_minimax_loss(student, seed):
    require(adversarial.generator_loss_is_right(lambda a: number(student, "minimax_loss", a), True, seed))


@points(3)
@hint("−mean log σ(fake): as if the samples were data.")
def test_nonsaturating_loss(student, seed):
    require(adversarial.generator_loss_is_right(lambda a: number(student, "nonsaturating_loss", a), False, seed))


@points(5, needs=("shapes", "discriminator_loss"))
@hint(
    "Draw samples, detach them; clear the gradients, which the generator's step left; then backward() and "
    "optimizer.step(). Data x are real, samples fake."
)
def test_discriminator_step(student, seed):
    x = data(DRAWS, seed)
    before = ("generator_step", "generator", 0.0, [50], {})  # moves nothing, but leaves gradients
    step = ("discriminator_step", "discriminator", RATE, [x], {})
    game, wanted = decided(lambda k: small(student, k), lambda g, z: g.logistic_gradient(x, z), seed)
    for steps in ([step], [before, step]):
        moved, left = game.handle.descend(*steps, seed=seed)
        require(adversarial.moves_alone(moved, "discriminator"))
        if len(steps) == 1:
            require(adversarial.leaves_none(left, "generator"))
        got = {k: -v / RATE for k, v in moved.items()}
        slip = "Gradients that the generator's step left in the discriminator were not cleared: zero_grad()."
        require(adversarial.same_direction(got, wanted, "the discriminator's loss", slip if len(steps) > 1 else ""))


@points(4, needs=("shapes", "minimax_loss", "nonsaturating_loss"))
@hint(
    "New noise, G(z), its logits, one of both losses of them; zero_grad(), backward() and optimizer.step(). Nothing is "
    "detached here: the gradient passes the discriminator on its way."
)
def test_generator_step(student, seed):
    before = ("discriminator_step", "discriminator", 0.0, [data(50, seed)], {})
    slopes = {False: lambda f: -adversarial.sigmoid(-f), True: lambda f: -adversarial.sigmoid(f)}
    for saturating, slope in slopes.items():
        mine, other = (lambda g, z, s=s: g.by_generator(z, s) for s in (slope, slopes[not saturating]))
        game, wanted = decided(lambda k: small(student, k), mine, seed, slip=other)
        step = ("generator_step", "generator", RATE, [DRAWS], {"saturating": saturating})
        moved, _ = game.handle.descend(before, step, seed=seed)
        require(adversarial.moves_alone(moved, "generator"))
        got = {k: -v / RATE for k, v in moved.items()}
        name = "minimax" if saturating else "non-saturating"
        require(adversarial.same_direction(got, wanted, f"the {name} loss, which saturating={saturating} asks for"))


@points(2, needs="shapes")
@hint("G(z) of fresh z ~ N(0, I), n of them: torch.randn, not torch.rand, and no data.")
def test_samples_are_of_the_generator(student, seed):
    for k, game in enumerate((small(student, seed), small(student, seed + 1), trained(student))):
        drawn, ours = game.sample(COMPARED, seed + k), game.fakes(COMPARED, seed + k)
        require(samples.same(drawn, ours, "sample(n) beside G(z)", seed, "samples like G(z) of our own noise"))


@points(5, needs=("discriminator_step", "generator_step", "samples_are_of_the_generator"))
@hint("More rounds, no momentum, two steps of the discriminator in a round, a learning rate that falls to zero.")
def test_samples_are_where_the_data_are(student, graded, seed):
    game = trained(student)
    drawn, x = game.sample(DRAWN, seed), data(DRAWN, seed)
    require(hygiene.finite(drawn, "among samples"))
    distance = samples.wasserstein_1d(drawn, x) / x.std()
    normal = x.mean() + x.std() * np.random.default_rng(seed).normal(size=DRAWN)
    baseline = samples.wasserstein_1d(normal, x) / x.std()
    graded("gan1d", distance, limit=None, baseline=max(baseline, 2 * PROMISED), unit="standard deviations of W₁",
           promised=PROMISED)  # fmt: skip


@points(3, needs=("discriminator_step", "generator_step"))
@hint("At the fixed point D is ½ wherever data are. Let the learning rate fall to zero; is D's last layer linear?")
def test_the_discriminator_is_undecided_at_the_end(student, graded, seed):
    game, x = trained(student), data(DRAWN, seed)
    made = game.sample(DRAWN, seed)
    real, fake = game.discriminator(x), game.discriminator(made)
    # One that never learned is undecided, too.
    require(adversarial.is_nearly_the_best(real, fake, samples.jensen_shannon_1d(x, made)))
    graded("gan1d.half", np.abs(adversarial.sigmoid(real) - 0.5).mean(), limit=None, baseline=0.25,
           unit="from ½, mean |D − ½|", promised=0.05)  # fmt: skip


def number(student, name: str, *arguments: np.ndarray) -> float:
    return float(expect(student.call(name, *arguments), (), f"{name}(…)"))
