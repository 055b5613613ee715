"""Exercise 4.2: both games' losses, a penalty that is what it says, and samples that cover the data."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw4.game import DRAWS, Game, decided
from autograder.properties import adversarial, hygiene, samples
from deepul_utils import toy

EIGHT, SMILEY = toy.get("eight_gaussians"), toy.get("smiley")
SIGMA = 0.2  # of each of the eight
LATENTS = 4
BATCH, CALLS = 256, 40  # of a loss that draws noise: how many values of it, each over so many samples
PAIRS = 32
DRAWN, COMPARED = 4000, 500
GOOD = 0.05  # share of bad samples that the notebook promises full points for
PROMISED = 0.20  # the same for the root of the energy distance


def small(student, name: str, seed: int) -> Game:
    """A small game with random weights."""
    return Game(student.new(name, latents=LATENTS, hidden=16, seed=seed, perturb=1.0), (2,))


def trained(student, name: str) -> Game:
    return Game(student.trained(f"gan2d.{name}"), (2,))


@points(1)
@hint("generator: (B, latents) to (B, 2). discriminator: (B, 2) to (B,). sample: (n, 2). Both losses: one number.")
def test_shapes(student, seed):
    for name in ("GAN2d", "WGAN2d"):
        game, x = small(student, name, seed), EIGHT.sample(50, seed=seed, split="test")
        require(hygiene.finite(game.fakes(50, seed), "of the generator"))
        require(hygiene.rows_are_independent(game.discriminator, x))
        require(hygiene.rows_are_independent(game.generator, game.noise(50, seed)))
        values = [game.number("discriminator_loss", x, seed=seed), game.number("generator_loss", 50, seed=seed)]
        require(hygiene.finite(np.array(values), "in the losses"))


@points(3, needs="shapes")
@hint("The losses of 4.1, of the logits of x and of as many detached samples; softplus, and means over the batch.")
def test_losses_of_the_first_game(student, seed):
    game, x = small(student, "GAN2d", seed), EIGHT.sample(BATCH, seed=seed, split="test")
    real, fake = game.discriminator(x), rounds_of(game, seed)
    softplus = adversarial.softplus
    of_real, of_fake = softplus(-real).mean(), softplus(fake).mean(axis=1)
    require(adversarial.objective_is(losses(game, "discriminator_loss", x, seed=seed), of_real + of_fake,
            "−mean log D(x) − mean log(1 − D(G(z)))", {
        "Data and samples are exchanged.": softplus(real).mean() + softplus(-fake).mean(axis=1),
        "It is half of the sum of both means.": (of_real + of_fake) / 2,
        "Its sign is wrong.": -of_real - of_fake,
        "The term of the samples is missing.": of_real + 0 * of_fake,
        "The term of the data is missing.": of_fake,
    }))  # fmt: skip
    require(adversarial.objective_is(losses(game, "generator_loss", BATCH, seed=seed), softplus(-fake).mean(axis=1),
            "−mean log D(G(z))", {
        "This is the minimax loss: it saturates.": -softplus(fake).mean(axis=1),
        "Its sign is wrong: this drives samples away from the data.": -softplus(-fake).mean(axis=1),
        "This is the discriminator's term: the generator wants the opposite.": softplus(fake).mean(axis=1),
    }))  # fmt: skip
    grads = game.handle.gradient("discriminator_loss", EIGHT.sample(DRAWS, seed=seed), wrt="parameters", seed=seed)
    require(adversarial.only_of(grads, "discriminator", game.handle.parameters()))


@points(4, needs="shapes")
@hint("(‖∇f(x̂)‖ − 1)², the norm over dimension 1, one for each pair, then the mean: slope.norm(dim=1).")
def test_gradient_penalty(student, seed):
    got, slopes = [], []
    for k, scale in enumerate((0.3, 1.0, 3.0, 1.0)):
        game = small(student, "WGAN2d", seed + k)
        x = (scale * np.random.default_rng(seed + k).normal(size=(3 + 20 * k, 2))).astype(np.float32)
        got.append(game.number("gradient_penalty", x, x, seed=seed))  # x̂ = x, whatever ε is
        slopes.append(slope_of(game, x))
    require(adversarial.penalty_is_right(got, slopes))


@points(3, needs="gradient_penalty")
@hint("torch.rand(len(x), 1): one ε for every pair, the same for both coordinates.")
def test_every_pair_has_its_own_place_between(student, seed):
    game = small(student, "WGAN2d", seed)
    ends = far_apart(game, seed)

    def penalties(epsilon: np.ndarray) -> np.ndarray:
        return adversarial.penalty(slope_of(game, (epsilon * ends[0] + (1 - epsilon) * ends[1]).astype(np.float32)))

    for pairs in (1, PAIRS):
        x, fake = (np.repeat(end[None], pairs, axis=0) for end in ends)
        got = [game.number("gradient_penalty", x, fake, seed=seed + k) for k in range(150)]
        require(adversarial.interpolates(np.array(got), penalties, pairs, seed))


@points(2, needs="gradient_penalty")
@hint("torch.autograd.grad(…, create_graph=True): without, the penalty is a number that moves nothing.")
def test_the_penalty_moves_the_critic(student, seed):
    game = small(student, "WGAN2d", seed)
    x, fake = EIGHT.sample(50, seed=seed, split="test"), game.fakes(50, seed)
    # Biases move no slope but where they bend the network: only weights are asked about.
    grads = game.handle.gradient("gradient_penalty", x, fake, wrt="parameters", seed=seed)
    require(adversarial.only_of(grads, "discriminator", game.handle.parameters()))


@points(3, needs="gradient_penalty")
@hint("mean f(G(z)) − mean f(x) + λ · penalty: small where f is large for data; the penalty is added.")
def test_critic_loss(student, seed):
    game, x = small(student, "WGAN2d", seed), EIGHT.sample(BATCH, seed=seed, split="test")
    real, fake = game.discriminator(x).mean(), rounds_of(game, seed).mean(axis=1)
    # Our own penalties, of as many batches, with our own noise and ε.
    rng = np.random.default_rng(seed)
    epsilon, many = rng.uniform(size=(CALLS * BATCH, 1)), np.tile(x, (CALLS, 1))
    points_between = (epsilon * many + (1 - epsilon) * game.fakes(CALLS * BATCH, seed)).astype(np.float32)
    penalty = adversarial.penalty(slope_of(game, points_between)).reshape(CALLS, BATCH).mean(axis=1)
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
    grads = game.handle.gradient("discriminator_loss", x, wrt="parameters", seed=seed)
    require(adversarial.only_of(grads, "discriminator", game.handle.parameters()))


@points(1, needs="shapes")
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


@points(2, needs="shapes")
@hint("G(z) of fresh z ~ N(0, I), n of them, all of them new: no data, no noise used twice.")
def test_samples_are_of_the_generator(student, seed):
    games = [small(student, "WGAN2d", seed), trained(student, "eight"), trained(student, "smiley")]
    for k, game in enumerate(games):
        drawn = game.sample(COMPARED, seed + k)
        require(samples.differ(drawn))
        require(samples.same(drawn, game.fakes(COMPARED, seed + k), "sample(n) beside G(z)", seed,
                             "samples like G(z) of our own noise"))  # fmt: skip


@points(4, needs=("critic_loss", "samples_are_of_the_generator"))
@hint("Two steps of the critic in a round, no momentum, a learning rate that falls to zero; then more rounds.")
def test_all_modes_are_covered_by_good_samples(student, graded, seed):
    drawn = trained(student, "eight").sample(DRAWN, seed)
    require(hygiene.finite(drawn, "among samples"))
    require(samples.modes(drawn, EIGHT.means, SIGMA))
    require(samples.keeps_spread(drawn, EIGHT.means, SIGMA))
    good, _ = samples.mode_shares(drawn, EIGHT.means, SIGMA)
    # A Gaussian of the data's mean and covariance has 20 % good samples.
    rng = np.random.default_rng(seed)
    x = EIGHT.sample(DRAWN, seed=seed, split="test")
    round_blob = x.mean(axis=0) + x.std(axis=0) * rng.normal(size=x.shape)
    baseline = 1 - samples.mode_shares(round_blob, EIGHT.means, SIGMA)[0]
    graded("gan2d.eight", 1 - good, limit=None, baseline=baseline, unit="bad samples, a share", examples=DRAWN,
           promised=GOOD)  # fmt: skip


@points(2, needs=("critic_loss", "samples_are_of_the_generator"))
@hint("Train longer, and let the learning rate fall to zero.")
def test_close_to_the_smiley(student, graded, seed):
    drawn = trained(student, "smiley").sample(DRAWN, seed)
    require(hygiene.finite(drawn, "among samples"))
    x = SMILEY.sample(DRAWN, seed=seed, split="test")
    round_blob = x.mean(axis=0) + x.std(axis=0) * np.random.default_rng(seed).normal(size=x.shape)
    distance, baseline = (np.sqrt(max(samples.energy(s, x), 0)) for s in (drawn, round_blob))
    graded("gan2d.smiley", distance, limit=None, baseline=baseline, unit="root of the energy distance",
           promised=PROMISED)  # fmt: skip


def rounds_of(game: Game, seed: int) -> np.ndarray:
    """What the discriminator says of CALLS batches of samples, (CALLS, BATCH)."""
    return game.discriminator(game.fakes(CALLS * BATCH, seed + 1)).reshape(CALLS, BATCH).astype(np.float64)


def losses(game: Game, method: str, *arguments, seed: int, **options) -> np.ndarray:
    """CALLS values of a loss that draws its own noise."""
    return np.array([game.number(method, *arguments, seed=seed + 10 + k, **options) for k in range(CALLS)])


def slope_of(game: Game, x: np.ndarray) -> np.ndarray:
    """∇f at points (B, 2)."""
    return game.handle.gradient("discriminator", x)


def far_apart(game: Game, seed: int) -> np.ndarray:
    """Of some pairs of points one between which the penalty changes much, (2, 2)."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, 40)[:, None]
    pairs = 4 * rng.normal(size=(20, 2, 2))
    spread = [adversarial.penalty(slope_of(game, (t * a + (1 - t) * b).astype(np.float32))).std() for a, b in pairs]
    return pairs[int(np.argmax(spread))].astype(np.float32)
