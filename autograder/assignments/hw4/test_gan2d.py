"""Exercise 4.2: both games' losses, a penalty that is what it says, and samples that cover the data."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import games as family
from autograder.families.games import CRITICS_GENERATOR, DRAWN, DRAWS, Game, blob, called_data, decided
from autograder.properties import adversarial, hygiene, samples
from autograder.properties.finding import Finding
from deepul_utils import toy

EIGHT, SMILEY = toy.get("eight_gaussians"), toy.get("smiley")
SIGMA = 0.2  # of each of the eight
LATENTS = 4
BATCH, CALLS = 256, 40  # of a loss that draws noise: how many values of it, each over so many samples
PENALTIES = {1: 200, 32: 120}  # of so many pairs a batch, how many batches
FLAT = 0.05  # a penalty that changes less than so between two points tells little, beside what float32 rounds
GOOD = 0.05  # share of bad samples that the notebook promises full points for
PROMISED = 0.20  # the same for the root of the energy distance
RECIPES = {
    "eight": Recipe("Adam", lr=8e-3, steps=3000, batch=256, discriminator_steps=2),
    "smiley": Recipe("Adam", lr=8e-3, steps=2000, batch=256, discriminator_steps=2),
}


def first_game(student, seed: int, of: str = "GAN2d") -> Game:
    """A small game with random weights."""
    return Game(student.new(of, latents=LATENTS, hidden=16, seed=seed, perturb=1.0), (2,))


def critics_game(student, seed: int) -> Game:
    return first_game(student, seed, "WGAN2d")


def data(n: int, seed: int) -> np.ndarray:
    return EIGHT.sample(n, seed=seed, split="test")


suite = family.Suite(
    of="WGAN2d",
    shape=(2,),
    data=data,
    small=critics_game,
    others=(first_game,),
    artifacts=("gan2d.eight", "gan2d.smiley"),
    batch=BATCH,
    calls=CALLS,
)


test_shapes = suite.shapes(
    0.5, "generator: (B, latents) to (B, 2). discriminator: (B, 2) to (B,). Both in both games.", stretched=0
)
test_called_with_one_example = suite.one_example(0.5)
test_the_discriminator_gives_logits = suite.logits(
    0.5, "Its last layer is linear, and nothing comes after it: the losses take σ themselves, and a critic has none."
)
test_discriminator_loss_of_the_first_game = suite.discriminator_loss(
    1.5,
    "The loss of 4.1, of the logits of x and of as many samples; softplus, and means over the batch.",
    of=first_game,
    title="First game: the discriminator’s loss",
    name="discriminator_loss_of_the_first_game",
)
test_generator_loss_of_the_first_game = suite.generator_loss(
    1,
    "−mean log D(G(z)), the non-saturating loss of 4.1: softplus of minus the logits of n new samples.",
    of=first_game,
    title="First game: the generator’s loss",
    name="generator_loss_of_the_first_game",
)
test_samples_are_constants_of_the_first_loss = suite.samples_are_constants(
    0.5,
    of=first_game,
    title="First game: in the discriminator’s loss samples are constants",
    name="samples_are_constants_of_the_first_loss",
)


@points(4, "Gradient penalty")
@hint("(‖∇f(x̂)‖ − 1)², the norm over dimension 1, one for each pair, then the mean: slope.norm(dim=1).")
def test_gradient_penalty(student, seed):
    got, slopes = [], []
    for k, scale in enumerate((0.3, 1.0, 3.0, 1.0)):
        game = critics_game(student, seed + k)
        x = (scale * np.random.default_rng(seed + k).normal(size=(3 + 20 * k, 2))).astype(np.float32)
        got.append(game.number("gradient_penalty", x, x, seed=seed))  # x̂ = x, whatever ε is
        slopes.append(slope_of(game, x))
    require(adversarial.penalty_is_right(got, slopes))


@points(3, "Every pair has its own place between")
@hint("torch.rand(len(x), 1): one ε for every pair, the same for both coordinates.")
def test_every_pair_has_its_own_place_between(student, seed):
    game, ends = telling_pair(student, seed)

    def penalties(epsilon: np.ndarray) -> np.ndarray:
        """The student's own, of batches that lie where we say: there data and samples are the same points."""
        places = (epsilon * ends[0] + (1 - epsilon) * ends[1]).astype(np.float32)
        return np.array([game.number("gradient_penalty", x, x, seed=seed) for x in places])

    for pairs, batches in PENALTIES.items():
        x, fake = (np.repeat(end[None], pairs, axis=0) for end in ends)
        got = [game.number("gradient_penalty", x, fake, seed=seed + k) for k in range(batches)]
        require(adversarial.interpolates(np.array(got), penalties, pairs, seed))


@points(2, "The penalty moves the critic")
@hint("torch.autograd.grad(…, create_graph=True): without, the penalty is a number that moves nothing.")
def test_the_penalty_moves_the_critic(student, seed):
    game = critics_game(student, seed)
    x, fake = data(50, seed), game.fakes(50, seed)
    # Biases move no slope but where they bend the network: only weights are asked about.
    grads = game.handle.gradient("gradient_penalty", x, fake, wrt="parameters", seed=seed)
    require(adversarial.only_of(grads, "discriminator", game.handle.parameters()))


@points(2.5, "The critic’s loss")
@hint("mean f(G(z)) − mean f(x) + λ · penalty: small where f is large for data; the penalty is added.")
def test_critic_loss(student, seed):
    game, x = critics_game(student, seed), data(BATCH, seed)
    real, fake = game.discriminator(x).mean(), game.of_batches(CALLS, BATCH, seed).mean(axis=1)
    # The student's own penalty, which has a check of its own, of as many batches with other noise and ε.
    made = np.split(game.fakes(CALLS * BATCH, seed), CALLS)
    penalty = np.array([game.number("gradient_penalty", x, f, seed=seed + k) for k, f in enumerate(made)])
    for weight in (0.0, 0.5, 5.0):
        got = game.losses("discriminator_loss", x, calls=CALLS, seed=seed, penalty=weight)
        wanted = fake - real + weight * penalty
        slips = {
            "Data and samples are exchanged: f should be larger for data.": real - fake + weight * penalty,
            "The penalty is taken away: it is added.": fake - real - weight * penalty,
            "The penalty is missing.": fake - real,
            "The weight of the penalty is not used.": fake - real + penalty,
            "The weight is ten times what was asked for, or always 10.": fake - real + 10 * penalty,
        }
        name = f"mean f(G(z)) − mean f(x) + {weight:g} · penalty"
        require(adversarial.objective_is(got, wanted, name, slips))
    require(penalty_counts(game, x, seed))


def penalty_counts(game: Game, x: np.ndarray, seed: int) -> Finding:
    """With another weight of the penalty the critic's loss has another gradient."""
    one, five = (
        game.handle.gradient("discriminator_loss", x, wrt="parameters", seed=seed, penalty=w) for w in (1.0, 5.0)
    )
    off = family.far_from(five, one)
    slip = "The penalty is a mere number in the loss, with .item(), .detach() or under no_grad: then it moves nothing."
    measured = f"with a penalty of 5 in the place of 1 the gradient changes by {off:.1%}"
    return Finding(float(off > 0), measured, "the penalty moves the critic", slip="" if off > 0 else slip)


test_samples_are_constants_of_the_critics_loss = suite.samples_are_constants(
    0.5, title="In the critic’s loss samples are constants", name="samples_are_constants_of_the_critics_loss"
)


GENERATORS = CRITICS_GENERATOR.may_be({"A critic has no sigmoid: only f itself counts.": called_data})


@points(1, "The generator’s loss in the critic’s game")
@hint("−mean f(G(z)): the generator goes where the critic says data.")
def test_generator_loss_of_the_critics_game(student, seed):
    game = critics_game(student, seed)
    fake = game.of_batches(CALLS, BATCH, seed)
    losses = game.losses("generator_loss", BATCH, calls=CALLS, seed=seed)
    require(GENERATORS.is_that_of(losses, fake))
    game, wanted = decided(
        partial(critics_game, student), lambda g, z: g.by_generator(z, lambda f: -np.ones_like(f)), seed
    )
    grads = game.handle.gradient("generator_loss", DRAWS, wrt="parameters", seed=seed)
    of_generator = {k: g if k.startswith("generator.") else None for k, g in grads.items()}
    require(adversarial.same_direction(of_generator, wanted, "−mean f(G(z))"))


test_samples_are_of_the_generator = suite.samples(
    1, "G(z) of fresh z = self.noise(n), n of them, all of them new: no data, no noise used twice."
)
test_the_generator_is_a_function_of_its_noise = suite.function_of_noise(
    0.5, "x = G(z), of a network whose only chance is z: no data are kept in it, and nothing is drawn inside."
)


@points(1.5, "Trained: all modes are covered", needs=test_the_generator_is_a_function_of_its_noise)
@hint("Two steps of the critic in a round, no momentum, a learning rate that falls to zero; then more rounds.")
def test_all_modes_are_covered(student, seed):
    made = suite.trained(student, "gan2d.eight").fakes(DRAWN, seed)
    require(hygiene.finite(made, "among samples"))
    require(better_than_a_blob(good(made), good(blob(data(DRAWN, seed), seed))))
    require(samples.modes(made, EIGHT.means, SIGMA))
    require(samples.keeps_spread(made, EIGHT.means, SIGMA))


@points(2.5, "Trained: samples are good", needs=test_the_generator_is_a_function_of_its_noise)
@hint("Two steps of the critic in a round, no momentum, a learning rate that falls to zero; then more rounds.")
def test_samples_are_good(student, graded, seed):
    def bad() -> float:
        made = suite.trained(student, "gan2d.eight").fakes(DRAWN, seed)
        require(hygiene.finite(made, "among samples"))
        return 1 - good(made)

    baseline = 1 - good(blob(data(DRAWN, seed), seed))
    graded(
        "gan2d.eight",
        bad,
        limit=None,
        baseline=baseline,
        unit="bad samples, a share",
        examples=DRAWN,
        promised=GOOD,
        recipe=RECIPES["eight"],
        few=bad,
    )


def good(made: np.ndarray) -> float:
    return samples.mode_shares(made, EIGHT.means, SIGMA)[0]  # type: ignore[attr-defined]  # it is a mixture


def better_than_a_blob(share: float, of_blob: float) -> Finding:
    """One wide Gaussian lies on all modes, too: what it covers is no sign of a trained generator."""
    measured = f"{share:.0%} of the samples are good, {of_blob:.0%} of one round Gaussian’s"
    return Finding(float(share > 1.1 * of_blob), measured, "more than of one round Gaussian")


test_close_to_the_smiley = suite.close_to(
    2,
    "Train longer, and let the learning rate fall to zero.",
    SMILEY,
    needs=test_the_generator_is_a_function_of_its_noise,
    recipe=RECIPES["smiley"],
    artifact="gan2d.smiley",
    promised=PROMISED,
)


def slope_of(game: Game, x: np.ndarray) -> np.ndarray:
    """∇f at points (B, 2)."""
    return game.handle.gradient("discriminator", x)


def telling_pair(student, seed: int) -> tuple[Game, np.ndarray]:
    """Of some games and pairs of points, (2, 2), those that tell most where x̂ lies: on the line, even, and between.

    By our own penalties: that of an ε for each coordinate, or of a normal one, has another distribution there.
    """
    rng = np.random.default_rng(seed)
    even, normal = np.repeat(rng.uniform(size=(200, 1)), 2, axis=1), np.repeat(rng.normal(size=(200, 1)), 2, axis=1)
    epsilon = np.concatenate([even, rng.uniform(size=(200, 2)), normal])

    def told(game: Game, ends: np.ndarray) -> float:
        x = (epsilon * ends[0] + (1 - epsilon) * ends[1]).astype(np.float32)
        right, *slips = np.split(adversarial.penalty(slope_of(game, x)), 3)
        flat = right.std() < FLAT * (1 + right.max())
        return 0.0 if flat else min(adversarial.apart(right, slip) for slip in slips)

    games = [critics_game(student, seed + k) for k in range(4)]
    candidates = [(game, ends) for game in games for ends in (4 * rng.normal(size=(15, 2, 2))).astype(np.float32)]
    return max(candidates, key=lambda c: told(*c))
