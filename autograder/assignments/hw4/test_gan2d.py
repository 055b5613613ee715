"""Exercise 4.2: both games' losses, a penalty that is what it says, and samples that cover the data."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families.games import DRAWS, Game, decided, draws_like, says_logits
from autograder.properties import adversarial, hygiene, samples
from autograder.properties.finding import Finding
from deepul_utils import toy

EIGHT, SMILEY = toy.get("eight_gaussians"), toy.get("smiley")
SIGMA = 0.2  # of each of the eight
LATENTS = 4
BATCH, CALLS = 256, 40  # of a loss that draws noise: how many values of it, each over so many samples
PENALTIES = {1: 200, 32: 120}  # of so many pairs a batch, how many batches
FLAT = 0.05  # a penalty that changes less than so between two points tells little, beside what float32 rounds
DRAWN, COMPARED = 4000, 500
GOOD = 0.05  # share of bad samples that the notebook promises full points for
PROMISED = 0.20  # the same for the root of the energy distance
RECIPES = {"eight": Recipe("Adam", lr=8e-3, steps=3000, batch=256, discriminator_steps=2),
           "smiley": Recipe("Adam", lr=8e-3, steps=2000, batch=256, discriminator_steps=2)}  # fmt: skip


def small(student, name: str, seed: int) -> Game:
    """A small game with random weights."""
    return Game(student.new(name, latents=LATENTS, hidden=16, seed=seed, perturb=1.0), (2,))


def trained(student, name: str) -> Game:
    return Game(student.trained(f"gan2d.{name}", "WGAN2d"), (2,))


@points(0.5, "One answer for each example")
@hint("generator: (B, latents) to (B, 2). discriminator: (B, 2) to (B,). Both in both games.")
def test_shapes(student, seed):
    for name in ("GAN2d", "WGAN2d"):
        game, x = small(student, name, seed), data(50, seed)
        require(hygiene.finite(game.generator(game.noise(50, seed)), "of the generator"))
        require(hygiene.rows_are_independent(game.logits, x))
        require(hygiene.rows_are_independent(game.generator, game.noise(50, seed)))


@points(0.5, "Called with one example")
@hint(
    "A batch of one is a batch: squeeze() without a dimension drops it, too; nn.Flatten(0), squeeze(-1), [:, 0] do not."
)
def test_called_with_one_example(student, seed):
    game = small(student, "WGAN2d", seed)
    require(hygiene.one_example(game.discriminator, data(5, seed)))
    require(hygiene.one_example(game.generator, game.noise(5, seed)))


@points(0.5, "The discriminator gives logits")
@hint("Its last layer is linear, and nothing comes after it: the losses take σ themselves, and a critic has none.")
def test_the_discriminator_gives_logits(student, seed):
    x = data(50, seed)
    for name in ("GAN2d", "WGAN2d"):
        require(says_logits(lambda k, name=name: small(student, name, k), np.concatenate([x, 30 * x, -30 * x]), seed))


@points(1.5, "First game: the discriminator’s loss")
@hint("The loss of 4.1, of the logits of x and of as many samples; softplus, and means over the batch.")
def test_discriminator_loss_of_the_first_game(student, seed):
    x = data(BATCH, seed)
    # Labels of 0.9 change the loss by a tenth of the mean logit: it must not be near 0.
    game = max((small(student, "GAN2d", seed + k) for k in range(6)), key=lambda g: abs(g.discriminator(x).mean()))
    real, fake, softplus = game.discriminator(x), rounds_of(game, seed), adversarial.softplus
    of_real, of_fake = softplus(-real).mean(), softplus(fake).mean(axis=1)
    require(adversarial.objective_is(losses(game, "discriminator_loss", x, seed=seed), of_real + of_fake,
            "−mean log D(x) − mean log(1 − D(G(z)))", {
        "Data and samples are exchanged.": softplus(real).mean() + softplus(-fake).mean(axis=1),
        "It is half of the sum of both means.": (of_real + of_fake) / 2,
        "Its sign is wrong.": -of_real - of_fake,
        "The term of the samples is missing.": of_real + 0 * of_fake,
        "The term of the data is missing.": of_fake,
        "The labels are smoothed, 0.9 for data: here they are 1.": of_real + 0.1 * real.mean() + of_fake,
    }))  # fmt: skip


@points(1, "First game: the generator’s loss")
@hint("−mean log D(G(z)), the non-saturating loss of 4.1: softplus of minus the logits of n new samples.")
def test_generator_loss_of_the_first_game(student, seed):
    game, softplus = small(student, "GAN2d", seed), adversarial.softplus
    fake = rounds_of(game, seed)
    require(adversarial.objective_is(losses(game, "generator_loss", BATCH, seed=seed), softplus(-fake).mean(axis=1),
            "−mean log D(G(z))", {
        "This is the minimax loss: it saturates.": -softplus(fake).mean(axis=1),
        "Its sign is wrong: this drives samples away from the data.": -softplus(-fake).mean(axis=1),
        "This is the discriminator's term: the generator wants the opposite.": softplus(fake).mean(axis=1),
    }))  # fmt: skip


@points(0.5, "First game: in the discriminator’s loss samples are constants")
@hint("fake = self.generator(…).detach(), or draw them under torch.no_grad().")
def test_samples_are_constants_of_the_first_loss(student, seed):
    require(moves_its_own_player(small(student, "GAN2d", seed), seed))


@points(4, "Gradient penalty")
@hint("(‖∇f(x̂)‖ − 1)², the norm over dimension 1, one for each pair, then the mean: slope.norm(dim=1).")
def test_gradient_penalty(student, seed):
    got, slopes = [], []
    for k, scale in enumerate((0.3, 1.0, 3.0, 1.0)):
        game = small(student, "WGAN2d", seed + k)
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
    game = small(student, "WGAN2d", seed)
    x, fake = data(50, seed), game.fakes(50, seed)
    # Biases move no slope but where they bend the network: only weights are asked about.
    grads = game.handle.gradient("gradient_penalty", x, fake, wrt="parameters", seed=seed)
    require(adversarial.only_of(grads, "discriminator", game.handle.parameters()))


@points(2.5, "The critic’s loss")
@hint("mean f(G(z)) − mean f(x) + λ · penalty: small where f is large for data; the penalty is added.")
def test_critic_loss(student, seed):
    game, x = small(student, "WGAN2d", seed), data(BATCH, seed)
    real, fake = game.discriminator(x).mean(), rounds_of(game, seed).mean(axis=1)
    # The student's own penalty, which has a check of its own, of as many batches with other noise and ε.
    made = np.split(game.fakes(CALLS * BATCH, seed), CALLS)
    penalty = np.array([game.number("gradient_penalty", x, f, seed=seed + k) for k, f in enumerate(made)])
    for weight in (0.0, 0.5, 5.0):
        got = losses(game, "discriminator_loss", x, seed=seed, penalty=weight)
        wanted = fake - real + weight * penalty
        require(adversarial.objective_is(got, wanted, f"mean f(G(z)) − mean f(x) + {weight:g} · penalty", {
            "Data and samples are exchanged: f should be larger for data.": real - fake + weight * penalty,
            "The penalty is taken away: it is added.": fake - real - weight * penalty,
            "The penalty is missing.": fake - real,
            "The weight of the penalty is not used.": fake - real + penalty,
            "The weight is ten times what was asked for, or always 10.": fake - real + 10 * penalty,
        }))  # fmt: skip


@points(0.5, "In the critic’s loss samples are constants")
@hint("fake = self.generator(…).detach(), or draw them under torch.no_grad().")
def test_samples_are_constants_of_the_critics_loss(student, seed):
    require(moves_its_own_player(small(student, "WGAN2d", seed), seed))


@points(1, "The generator’s loss in the critic’s game")
@hint("−mean f(G(z)): the generator goes where the critic says data.")
def test_generator_loss_of_the_critics_game(student, seed):
    game = small(student, "WGAN2d", seed)
    fake = rounds_of(game, seed).mean(axis=1)
    require(adversarial.objective_is(losses(game, "generator_loss", BATCH, seed=seed), -fake, "−mean f(G(z))", {
        "Its sign is wrong: this drives samples away from the data.": fake,
        "A critic has no sigmoid: only f itself counts.":
            adversarial.softplus(-rounds_of(game, seed)).mean(axis=1),
    }))  # fmt: skip

    game, wanted = decided(
        lambda k: small(student, "WGAN2d", k), lambda g, z: g.by_generator(z, lambda f: -np.ones_like(f)), seed
    )
    grads = game.handle.gradient("generator_loss", DRAWS, wrt="parameters", seed=seed)
    of_generator = {k: g if k.startswith("generator.") else None for k, g in grads.items()}
    require(adversarial.same_direction(of_generator, wanted, "−mean f(G(z))"))


@points(1, "Samples are G(z) of fresh noise")
@hint("G(z) of fresh z = self.noise(n), n of them, all of them new: no data, no noise used twice.")
def test_samples_are_of_the_generator(student, seed):
    for finding in draws_like([small(student, "WGAN2d", seed), small(student, "GAN2d", seed + 1)], COMPARED, seed):
        require(finding)


@points(0.5, "The generator is a function of its noise")
@hint("x = G(z), of a network whose only chance is z: no data are kept in it, and nothing is drawn inside.")
def test_the_generator_is_a_function_of_its_noise(student, seed):
    for name in ("eight", "smiley"):
        for finding in trained(student, name).is_a_function_of_noise(seed):
            require(finding)


@points(1.5, "Trained: all modes are covered", needs=test_the_generator_is_a_function_of_its_noise)
@hint("Two steps of the critic in a round, no momentum, a learning rate that falls to zero; then more rounds.")
def test_all_modes_are_covered(student, seed):
    made = trained(student, "eight").fakes(DRAWN, seed)
    require(hygiene.finite(made, "among samples"))
    require(better_than_a_blob(good(made), good(blob(data(DRAWN, seed), seed))))
    require(samples.modes(made, EIGHT.means, SIGMA))
    require(samples.keeps_spread(made, EIGHT.means, SIGMA))


@points(2.5, "Trained: samples are good", needs=test_the_generator_is_a_function_of_its_noise)
@hint("Two steps of the critic in a round, no momentum, a learning rate that falls to zero; then more rounds.")
def test_samples_are_good(student, graded, seed):
    def bad() -> float:
        made = trained(student, "eight").fakes(DRAWN, seed)
        require(hygiene.finite(made, "among samples"))
        return 1 - good(made)

    baseline = 1 - good(blob(data(DRAWN, seed), seed))
    graded("gan2d.eight", bad, limit=None, baseline=baseline, unit="bad samples, a share", examples=DRAWN,
           promised=GOOD, recipe=RECIPES["eight"], few=bad)  # fmt: skip


def good(made: np.ndarray) -> float:
    return samples.mode_shares(made, EIGHT.means, SIGMA)[0]  # type: ignore[attr-defined]  # it is a mixture


def blob(x: np.ndarray, seed: int) -> np.ndarray:
    """The naive baseline: one Gaussian with the data's mean and spread. It has 20 % good samples of eight modes."""
    return x.mean(axis=0) + x.std(axis=0) * np.random.default_rng(seed).normal(size=x.shape)


def better_than_a_blob(share: float, of_blob: float) -> Finding:
    """One wide Gaussian lies on all modes, too: what it covers is no sign of a trained generator."""
    measured = f"{share:.0%} of the samples are good, {of_blob:.0%} of one round Gaussian’s"
    return Finding(float(share > 1.1 * of_blob), measured, "more than of one round Gaussian")


@points(2, "Trained: close to the smiley", needs=test_the_generator_is_a_function_of_its_noise)
@hint("Train longer, and let the learning rate fall to zero.")
def test_close_to_the_smiley(student, graded, seed):
    x = SMILEY.sample(DRAWN, seed=seed, split="test")

    def distance(n: int = DRAWN) -> float:
        made = trained(student, "smiley").fakes(n, seed)
        require(hygiene.finite(made, "among samples"))
        return apart(made, x[:n])

    graded("gan2d.smiley", distance, limit=None, baseline=apart(blob(x, seed), x), unit="root of the energy distance",
           promised=PROMISED, recipe=RECIPES["smiley"], few=lambda: distance(1000))  # fmt: skip


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return np.sqrt(max(samples.energy(a, b), 0))


def data(n: int, seed: int) -> np.ndarray:
    return EIGHT.sample(n, seed=seed, split="test")


def moves_its_own_player(game: Game, seed: int) -> Finding:
    """The discriminator's loss has a gradient for the discriminator alone."""
    grads = game.handle.gradient("discriminator_loss", data(BATCH, seed), wrt="parameters", seed=seed)
    return adversarial.only_of(grads, "discriminator", game.handle.parameters())


def rounds_of(game: Game, seed: int) -> np.ndarray:
    """What the discriminator says of CALLS batches of samples, (CALLS, BATCH)."""
    return game.discriminator(game.fakes(CALLS * BATCH, seed + 1)).reshape(CALLS, BATCH).astype(np.float64)


def losses(game: Game, method: str, *arguments, seed: int, **options) -> np.ndarray:
    """CALLS values of a loss that draws its own noise."""
    return np.array([game.number(method, *arguments, seed=seed + 10 + k, **options) for k in range(CALLS)])


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

    games = [small(student, "WGAN2d", seed + k) for k in range(4)]
    candidates = [(game, ends) for game in games for ends in (4 * rng.normal(size=(15, 2, 2))).astype(np.float32)]
    return max(candidates, key=lambda c: told(*c))
