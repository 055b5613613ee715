"""A student's game as plain functions of arrays, with every shape checked; its gradients as we compute them; its suite.

A game is a generator and a discriminator, or a critic, of one module.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.properties import adversarial, hygiene, samples
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

DRAWS = 20_000  # of noise, behind a gradient
# Gradients over DRAWS differ by so much of their size in most random games; those of samples all alike by so much in a
# quarter of them: CANDIDATES hold one that does both.
KNOWN, TOLD, CANDIDATES = adversarial.GRADIENT / 5, 2 * adversarial.GRADIENT, 40
NETS = 10  # random discriminators, which together say more than a sigmoid can
IN_TRAINING = (
    "sample() draws in training mode: batch normalisation then takes the statistics of the batch that is drawn, and "
    "dropout drops. Leave the mode as it is: trained(…) has set eval mode."
)


# (game, noise z) -> {parameter: array or None}
Gradient = Callable[["Game", np.ndarray], dict]
# The slopes of a player's loss by its logits: (of data, of samples) -> the same two shapes.
Slopes = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Game:
    """generator: z (B, latents) -> x (B, *shape). discriminator: x -> (B,).

    Logits in a column, (B, 1), are a slip that has a check of its own; everywhere else they are taken as (B,).
    """

    def __init__(self, handle: Handle, shape: tuple[int, ...]):
        self.handle, self.shape = handle, shape

    def noise(self, n: int, seed: int) -> np.ndarray:
        """n draws of the student's own z, (n, latents)."""
        z, what = self.handle.call("noise", n, seed=seed), f"{self.handle.label}.noise({n})"
        if not isinstance(z, np.ndarray):
            expect(z, (n, 0), what)  # says what it is
        if np.ndim(z) != 2 or len(z) != n:
            raise StudentCodeError("wrong shape", f"{what} should have shape ({n}, latents), got {np.shape(z)}.")
        return np.asarray(z, dtype=np.float32)

    def generator(self, z: np.ndarray, train: bool = False, seed: int = 0) -> np.ndarray:
        made = self.handle.call("generator", z, train=train, seed=seed)
        return expect(made, (len(z), *self.shape), f"{self.handle.label}.generator(z)")

    def discriminator(self, x: np.ndarray, train: bool = False, seed: int = 0) -> np.ndarray:
        said = self.handle.call("discriminator", x, train=train, seed=seed)
        if np.shape(said) == (len(x), 1):
            said = said[:, 0]
        return expect(said, (len(x),), f"{self.handle.label}.discriminator(x)")

    def logits(self, x: np.ndarray) -> np.ndarray:
        """What the discriminator says, of the shape that the exercise asks for."""
        return expect(self.handle.call("discriminator", x), (len(x),), f"{self.handle.label}.discriminator(x)")

    def judged(self, real: np.ndarray, fake: np.ndarray, train: bool, together: bool, seed: int = 0):
        """Logits of data and of samples; together: of both in one batch, as batch normalisation may ask for."""
        if not together:
            return self.discriminator(real, train, seed), self.discriminator(fake, train, seed + 1)
        both = self.discriminator(np.concatenate([real, fake]), train, seed)
        return both[: len(real)], both[len(real) :]

    def fakes(self, n: int, seed: int) -> np.ndarray:
        """n samples, with noise that we asked for."""
        return self.generator(self.noise(n, seed))

    def sample(self, n: int, seed: int) -> np.ndarray:
        return self.handle.sample(n, *self.shape, seed=seed)

    def number(self, method: str, *arguments, seed: int, **options) -> float:
        """A loss: one number."""
        what = f"{self.handle.label}.{method}(…)"
        value = expect(self.handle.call(method, *arguments, seed=seed, differentiate=True, **options), (), what)
        return float(value)

    def losses(self, method: str, *arguments, calls: int, seed: int, **options) -> np.ndarray:
        """Values of a loss that draws its own noise, (calls,)."""
        return np.array([self.number(method, *arguments, seed=seed + 10 + k, **options) for k in range(calls)])

    def of_batches(self, calls: int, size: int, seed: int, train: bool = False) -> np.ndarray:
        """What the discriminator says of batches of samples, (calls, size); train: both are in that mode."""
        z = self.noise(calls * size, seed + 1)
        if not train:
            return self.discriminator(self.generator(z)).reshape(calls, size).astype(np.float64)
        batches = enumerate(np.split(z, calls))
        said = [self.discriminator(self.generator(batch, train), train, seed + k) for k, batch in batches]
        return np.stack(said).astype(np.float64)

    # ---- gradients ----

    def by_discriminator(self, x: np.ndarray, cotangent: np.ndarray, train: bool = False, seed: int = 0) -> dict:
        """∇ Σ cotangent · D(x) by the parameters."""
        return self._back(x, cotangent, wrt="parameters", train=train, seed=seed)

    def by_generator(self, z: np.ndarray, slope: Callable[[np.ndarray], np.ndarray], train: bool = False) -> dict:
        """∇ mean h(D(G(z))) by the generator's parameters, slope: h′ of logits."""
        x = self.generator(z, train)
        of_x = self._back(x, slope(self.discriminator(x, train)) / len(z), train=train)
        grads = self.handle.gradient("generator", z, wrt="parameters", cotangent=of_x, train=train)
        return {k: g if k.startswith("generator.") else None for k, g in grads.items()}

    def of_both(self, x: np.ndarray, z: np.ndarray, slopes: Slopes, train: bool = False, together: bool = False):
        """The gradient of a loss of the logits of data x and of samples G(z), by the discriminator's parameters."""
        return self.of_these(x, self.generator(z, train), slopes, train, together)

    def of_these(self, x: np.ndarray, fake: np.ndarray, slopes: Slopes, train: bool = False, together: bool = False):
        """The same of given samples."""
        of_real, of_fake = slopes(*self.judged(x, fake, train, together))
        if together:
            return self.by_discriminator(np.concatenate([x, fake]), np.concatenate([of_real, of_fake]), train)
        parts = self.by_discriminator(x, of_real, train), self.by_discriminator(fake, of_fake, train, seed=1)
        return adversarial.combined((1.0, parts[0]), (1.0, parts[1]))

    def _back(self, x: np.ndarray, cotangent: np.ndarray, **options):
        """A gradient of Σ cotangent · D(x)."""
        cotangent = np.asarray(cotangent, dtype=np.float32)
        try:
            return self.handle.gradient("discriminator", x, cotangent=cotangent, **options)
        except StudentCodeError as error:
            if error.kind != "wrong shape":
                raise
            return self.handle.gradient("discriminator", x, cotangent=cotangent[:, None], **options)

    # ---- what every game must be ----

    def is_a_function_of_noise(self, seed: int) -> Iterator[Finding]:
        """The generator turns plain noise into samples: the same one for the same z, a near one for a near z."""
        yield adversarial.is_plain_noise(self.noise(2000, seed))
        z = self.noise(8, seed + 1)
        yield adversarial.repeats(self.generator(z, seed=seed), self.generator(z, seed=seed + 1))
        yield samples.is_continuous(self.generator, z)


def says_logits(make: Callable[[int], Game], x: np.ndarray, seed: int) -> Finding:
    """What discriminators with random weights, make(seed), say of x: data and points far away."""
    return adversarial.are_logits(np.concatenate([make(seed + k).discriminator(x) for k in range(NETS)]))


def draws_like(games: list[Game], n: int, seed: int) -> Iterator[Finding]:
    """sample(n) has the distribution of G(z); of each game."""
    for k, game in enumerate(games):
        drawn, ours = game.sample(n, seed + k), game.fakes(n, seed + k + 1)
        if samples.differ(ours).passed:  # random weights can leave a generator hardly a live unit
            yield samples.differ(drawn)
            yield hygiene.drawn_anew(partial(game.sample, 3), seed)
        size = int(np.prod(game.shape))
        directions = np.random.default_rng(seed + 1).normal(size=(size, 8)) / 32 if size > 8 else np.eye(size)

        def beside(made: np.ndarray, drawn: np.ndarray = drawn, directions: np.ndarray = directions) -> Finding:
            a, b = (s.reshape(n, -1) @ directions for s in (drawn, made))
            alike = samples.same(a, b, "sample(n) beside G(z)", seed, "samples like G(z) of your own noise(n)")
            return samples.as_wide(a, b) if alike.passed else alike

        found = beside(ours)
        if not found.passed and beside(game.generator(game.noise(n, seed + k + 2), train=True)).passed:
            found = replace(found, slip=IN_TRAINING)
        yield found


def logistic(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slopes of −mean log σ(real) − mean log(1 − σ(fake))."""
    return -adversarial.sigmoid(-real) / len(real), adversarial.sigmoid(fake) / len(fake)


def of_function(student: Student, name: str, count: int) -> Callable | None:
    """The slopes of the student's own loss `name` of so many arrays of logits; None where it cannot be had."""

    def slope(k: int, logits: list[np.ndarray]) -> np.ndarray:
        try:
            return student.gradient(name, *logits, argument=k)
        except StudentCodeError as error:
            if error.kind != "no gradient":
                raise
            return np.zeros_like(logits[k])  # a term is missing

    def slopes(*logits: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(slope(k, [v.astype(np.float32) for v in logits]) for k in range(count))

    try:
        probe = slopes(*count * [np.linspace(-1, 1, 5)])
    except StudentCodeError:
        return None
    return slopes if all(np.isfinite(p).all() for p in probe) else None


def decided(
    make: Callable[[int], Game], gradient: Gradient, seed: int, slip: Gradient | None = None
) -> tuple[Game, dict]:
    """A random game make(seed) in which its gradient can be told from those of slips; and that gradient.

    Where a gradient nearly cancels, the noise of the draws is all there is to compare; where the generator hardly
    heeds its noise, a z that is the same for all samples would do. slip: the gradient of another loss. Where no game
    will do, the first whose gradient does not cancel; or else the last.
    """
    known = None
    for candidate in range(seed, seed + CANDIDATES):
        game = make(candidate)
        z, others = game.noise(DRAWS, candidate), game.noise(DRAWS, candidate + 1)
        found = gradient(game, z)
        if far_from(gradient(game, others), found) > KNOWN:
            continue
        known = known or (game, found)
        if _nearest_slip(game, z, gradient, slip, found) >= TOLD:
            return game, found
    return known or (game, found)


def _nearest_slip(game: Game, z: np.ndarray, gradient: Gradient, slip: Gradient | None, found: dict) -> float:
    """How far the nearest wrong gradient is from the right one, as a share of its size."""
    wrong = [gradient(game, np.ones_like(z)), gradient(game, np.repeat(z[:1], len(z), axis=0))]
    if slip:
        wrong.append(slip(game, z))
    return min(far_from(w, found) for w in wrong)


def far_from(got: dict, wanted: dict) -> float:
    """How far a gradient is from another, as a share of that one's size."""
    return adversarial.same_direction(got, wanted, "").value  # type: ignore[return-value]  # it is measured


# ---- losses that draw their own noise ------------------------------------------------------------------


@dataclass(frozen=True)
class Objective:
    """What a player minimises: a function of logits of data, (…, n), and of samples, (calls, n), or of samples alone.

    name: the formula. of: logits -> a value for each call, (calls,). slips: what else it may be, {what is wrong: the
    same}.
    """

    name: str
    of: Callable[..., np.ndarray]
    slips: dict[str, Callable[..., np.ndarray]]

    def is_that_of(self, losses: np.ndarray, *logits: np.ndarray) -> Finding:
        """losses (calls,), with noise of their own, are values of this objective."""
        slips = {said: slip(*logits) for said, slip in self.slips.items()}
        return adversarial.objective_is(losses, self.of(*logits), self.name, slips)

    def may_be(self, slips: dict[str, Callable[..., np.ndarray]]) -> "Objective":
        """The same, with more slips."""
        return replace(self, slips=self.slips | slips)


def called_data(logits: np.ndarray) -> np.ndarray:
    """−mean log σ(logits) of every batch."""
    return adversarial.softplus(-logits).mean(axis=-1)


def called_samples(logits: np.ndarray) -> np.ndarray:
    """−mean log(1 − σ(logits)) of every batch."""
    return adversarial.softplus(logits).mean(axis=-1)


LOGISTIC = Objective(
    "−mean log D(x) − mean log(1 − D(G(z)))",
    lambda real, fake: called_data(real) + called_samples(fake),
    {
        "Data and samples are exchanged.": lambda real, fake: called_samples(real) + called_data(fake),
        "It is half of the sum of both means.": lambda real, fake: (called_data(real) + called_samples(fake)) / 2,
        "Its sign is wrong.": lambda real, fake: -called_data(real) - called_samples(fake),
        "The term of the samples is missing.": lambda real, fake: called_data(real) + 0 * called_samples(fake),
        "The term of the data is missing.": lambda real, fake: called_samples(fake),
        "The labels are smoothed, 0.9 for data: here they are 1.": lambda real, fake: (
            called_data(real) + 0.1 * real.mean(axis=-1) + called_samples(fake)
        ),
    },
)
NON_SATURATING = Objective(
    "−mean log D(G(z))",
    called_data,
    {
        "This is the minimax loss: it saturates.": lambda fake: -called_samples(fake),
        "Its sign is wrong: this drives samples away from the data.": lambda fake: -called_data(fake),
        "This is the discriminator's term: the generator wants the opposite.": called_samples,
    },
)


def hinge_of_data(logits: np.ndarray, at: float = 1.0) -> np.ndarray:
    """mean max(0, at − logits) of every batch."""
    return np.maximum(0, at - logits).mean(axis=-1)


def hinge_of_samples(logits: np.ndarray, at: float = 1.0) -> np.ndarray:
    """mean max(0, at + logits) of every batch."""
    return np.maximum(0, at + logits).mean(axis=-1)


HINGE = Objective(
    "mean max(0, 1 − f(x)) + mean max(0, 1 + f(G(z)))",
    lambda real, fake: hinge_of_data(real) + hinge_of_samples(fake),
    {
        "Data and samples are exchanged.": lambda real, fake: hinge_of_samples(real) + hinge_of_data(fake),
        "It is half of the sum of both means.": lambda real, fake: (hinge_of_data(real) + hinge_of_samples(fake)) / 2,
        "There is no hinge: max(0, …) is missing.": lambda real, fake: 2 - real.mean(axis=-1) + fake.mean(axis=-1),
        "The term of the samples is missing.": lambda real, fake: hinge_of_data(real) + 0 * hinge_of_samples(fake),
        "The term of the data is missing.": lambda real, fake: hinge_of_samples(fake),
        "The hinge bends at 0: it is max(0, 1 − f(x)).": lambda real, fake: (
            hinge_of_data(real, 0) + hinge_of_samples(fake, 0)
        ),
    },
)
CRITICS_GENERATOR = Objective(
    "−mean f(G(z))",
    lambda fake: -fake.mean(axis=-1),
    {"Its sign is wrong: this drives samples away from the data.": lambda fake: fake.mean(axis=-1)},
)


def teaches_the_generator(game: Game, n: int, seed: int) -> Finding:
    """The generator's loss has a gradient for all of its weights."""
    grads = game.handle.gradient("generator_loss", n, wrt="parameters", seed=seed)
    of_generator = {k: g for k, g in grads.items() if k.startswith("generator.")}
    found = adversarial.only_of(of_generator, "generator", game.handle.parameters())
    slip = (
        "G learns nothing from it: its samples G(z) are not detached here, not drawn under no_grad, and not by "
        "self.sample, which is for looking."
    )
    return found if found.passed else replace(found, required="a gradient for self.generator", slip=slip)


# ---- the checks that every game must pass --------------------------------------------------------------

BATCH_OF_ONE = (
    "A batch of one is a batch: squeeze() without a dimension drops it, too; nn.Flatten(0), squeeze(-1), [:, 0] do not."
)
CONSTANTS = "fake = self.generator(…).detach(), or draw them under torch.no_grad()."
DRAWN = 4000  # samples of a trained game
GAMES = 6  # random games, of which the one whose loss tells most is asked

Small = Callable[[Student, int], Game]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Each method makes one check, which is worth so many points: `test_shapes = suite.shapes(0.5, "…")`.

    of: the class of what is trained. shape: of an example. data: (n, seed) -> held-out ones, (n, *shape). small:
    (student, seed) -> a game with random weights; others: the same, of other classes that the exercise asks for, too.
    artifacts: the names of what is trained. batch, calls: over so many examples is a loss that draws noise, and so
    often is it asked.

    `of`, of a method: whose loss it is, if not of the small one. title, name: of the check, where there are two alike.
    """

    of: str
    shape: tuple[int, ...]
    data: Callable[[int, int], np.ndarray]
    small: Small
    artifacts: tuple[str, ...]
    others: tuple[Small, ...] = ()
    batch: int = 256
    calls: int = 40

    def shapes(self, worth: float, why: str, stretched: float = 10.0) -> Callable:
        """stretched: logits are finite of data so many times as large, too; 0: that is not asked."""

        @points(worth, "One answer for each example")
        @hint(why)
        def test_shapes(student, seed):
            for small in (*self.others, self.small):
                game, x = small(student, seed), self.data(50, seed)
                require(hygiene.finite(game.generator(game.noise(50, seed)), "of the generator"))
                if stretched:
                    require(hygiene.finite(game.logits(stretched * x), "of the discriminator"))
                require(hygiene.rows_are_independent(game.logits, x))
                require(hygiene.rows_are_independent(game.generator, game.noise(50, seed)))

        return test_shapes

    def one_example(self, worth: float) -> Callable:
        @points(worth, "Called with one example")
        @hint(BATCH_OF_ONE)
        def test_called_with_one_example(student, seed):
            game = self.small(student, seed)
            require(hygiene.one_example(game.discriminator, self.data(5, seed)))
            require(hygiene.one_example(game.generator, game.noise(5, seed)))

        return test_called_with_one_example

    def logits(self, worth: float, why: str, n: int = 50, far: float = 30.0, of: Small | None = None) -> Callable:
        """Of n examples, and of the same so many times as far away, on either side."""

        @points(worth, "The discriminator gives logits")
        @hint(why)
        def test_the_discriminator_gives_logits(student, seed):
            x = self.data(n, seed)
            for small in (of,) if of else (*self.others, self.small):
                require(says_logits(partial(small, student), np.concatenate([x, far * x, -far * x]), seed))

        return test_the_discriminator_gives_logits

    def discriminator_loss(
        self,
        worth: float,
        why: str,
        objective: Objective = LOGISTIC,
        of: Small | None = None,
        title: str = "The discriminator’s loss",
        name: str = "discriminator_loss",
    ) -> Callable:
        def discriminator_loss(student, seed):
            x = self.data(self.batch, seed)
            games = ((of or self.small)(student, seed + k) for k in range(GAMES))
            # Labels of 0.9 change the loss by a tenth of the mean logit: it must not be near 0.
            game = max(games, key=lambda g: abs(g.discriminator(x).mean()))
            logits = game.discriminator(x), game.of_batches(self.calls, self.batch, seed)
            losses = game.losses("discriminator_loss", x, calls=self.calls, seed=seed)
            require(objective.is_that_of(losses, *logits))

        discriminator_loss.__name__ = f"test_{name}"
        return points(worth, title)(hint(why)(discriminator_loss))

    def generator_loss(
        self,
        worth: float,
        why: str,
        objective: Objective = NON_SATURATING,
        of: Small | None = None,
        title: str = "The generator’s loss",
        name: str = "generator_loss",
    ) -> Callable:
        def generator_loss(student, seed):
            game = (of or self.small)(student, seed)
            fake = game.of_batches(self.calls, self.batch, seed)
            losses = game.losses("generator_loss", self.batch, calls=self.calls, seed=seed)
            require(objective.is_that_of(losses, fake))
            require(teaches_the_generator(game, self.batch, seed))

        generator_loss.__name__ = f"test_{name}"
        return points(worth, title)(hint(why)(generator_loss))

    def samples_are_constants(
        self,
        worth: float,
        of: Small | None = None,
        tries: int = 1,
        title: str = "In the discriminator’s loss samples are constants",
        name: str = "samples_are_constants_of_the_discriminators_loss",
    ) -> Callable:
        """tries: of so many games the best counts, where by chance a loss may have no gradient at all."""

        def samples_are_constants(student, seed):
            def find(k: int) -> Finding:
                game, x = (of or self.small)(student, seed + k), self.data(self.batch, seed)
                grads = game.handle.gradient("discriminator_loss", x, wrt="parameters", seed=seed)
                return adversarial.only_of(grads, "discriminator", game.handle.parameters())

            require(max((find(k) for k in range(tries)), key=lambda found: found.share))

        samples_are_constants.__name__ = f"test_{name}"
        return points(worth, title)(hint(CONSTANTS)(samples_are_constants))

    def samples(self, worth: float, why: str, n: int = 500) -> Callable:
        """n samples beside n of G(z), of two games."""

        @points(worth, "Samples are G(z) of fresh noise")
        @hint(why)
        def test_samples_are_of_the_generator(student, seed):
            second = self.others[0] if self.others else self.small
            for finding in draws_like([self.small(student, seed), second(student, seed + 1)], n, seed):
                require(finding)

        return test_samples_are_of_the_generator

    def function_of_noise(self, worth: float, why: str) -> Callable:
        """Of every trained game."""

        @points(worth, "The generator is a function of its noise")
        @hint(why)
        def test_the_generator_is_a_function_of_its_noise(student, seed):
            for artifact in self.artifacts:
                for finding in self.trained(student, artifact).is_a_function_of_noise(seed):
                    require(finding)

        return test_the_generator_is_a_function_of_its_noise

    def close_to(
        self,
        worth: float,
        why: str,
        data: toy.Distribution,
        needs: Callable,
        recipe: Recipe,
        artifact: str = "",
        promised: float | None = None,
    ) -> Callable:
        """The root of the energy distance of samples of a trained game, the first if none is named, to its data.

        needs: function_of_noise; what is measured of samples means something where they are the generator's.
        """
        artifact = artifact or self.artifacts[0]

        def close_to(student, graded, seed):
            x = data.sample(DRAWN, seed=seed, split="test")

            def distance(n: int = DRAWN) -> float:
                made = self.trained(student, artifact).fakes(n, seed)
                require(hygiene.finite(made, "among samples"))
                return energy_root(made, x[:n])

            graded(
                artifact,
                distance,
                limit=None,
                baseline=energy_root(blob(x, seed), x),
                unit="root of the energy distance",
                promised=promised,
                recipe=recipe,
                few=partial(distance, 1000),
            )

        close_to.__name__ = f"test_close_to_the_{data.name}"
        title = f"Trained: close to the {data.name.replace('_', ' ')}"
        return points(worth, title, needs)(hint(why)(close_to))

    def trained(self, student: Student, artifact: str) -> Game:
        return Game(student.trained(artifact, self.of), self.shape)


def blob(x: np.ndarray, seed: int) -> np.ndarray:
    """The naive baseline: draws of one Gaussian with the mean and the spread of data (n, D)."""
    return x.mean(axis=0) + x.std(axis=0) * np.random.default_rng(seed).normal(size=x.shape)


def energy_root(a: np.ndarray, b: np.ndarray) -> float:
    """The root of the energy distance of two samples, (n, D) and (m, D)."""
    return np.sqrt(max(samples.energy(a, b), 0))
