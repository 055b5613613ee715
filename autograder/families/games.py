"""A student's game as plain functions of arrays, with every shape checked, and its gradients as we compute them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from autograder.properties import adversarial, samples
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect
from autograder.workbench import StudentCodeError

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
        z = self.handle.call("noise", n, seed=seed)
        if np.ndim(z) != 2 or len(z) != n:
            what = f"{self.handle.label}.noise({n})"
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
        if _off(gradient(game, others), found) > KNOWN:
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
    return min(_off(w, found) for w in wrong)


def _off(got: dict, wanted: dict) -> float:
    return adversarial.same_direction(got, wanted, "").value  # type: ignore[return-value]  # it is measured
