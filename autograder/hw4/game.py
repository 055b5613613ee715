"""A student's game as plain functions of arrays, with every shape checked, and its gradients as we compute them."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from autograder.properties import adversarial
from autograder.student import Handle, expect
from autograder.workbench import StudentCodeError

DRAWS = 20_000  # of noise, behind a gradient
# Gradients over DRAWS differ by so much of their size in most random games; those of samples all alike by so much in a
# quarter of them: CANDIDATES hold one that does both.
KNOWN, TOLD, CANDIDATES = adversarial.GRADIENT / 5, 2 * adversarial.GRADIENT, 40


# (game, noise z) -> {parameter: array or None}
Gradient = Callable[["Game", np.ndarray], dict]


class Game:
    """generator: z (B, latents) -> x (B, *shape). discriminator: x -> (B,)."""

    def __init__(self, handle: Handle, shape: tuple[int, ...]):
        self.handle, self.shape = handle, shape

    @cached_property
    def latents(self) -> int:
        """How many numbers a z has: a student may have trained with more of them, or fewer."""
        z = self.handle.call("noise", 2)
        if np.ndim(z) != 2 or len(z) != 2:
            what = f"{self.handle.label}.noise(2)"
            raise StudentCodeError("wrong shape", f"{what} should have shape (2, latents), got {np.shape(z)}.")
        return z.shape[1]

    def noise(self, n: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(n, self.latents)).astype(np.float32)

    def generator(self, z: np.ndarray, train: bool = False) -> np.ndarray:
        made = self.handle.call("generator", z, train=train)
        return expect(made, (len(z), *self.shape), f"{self.handle.label}.generator(z)")

    def discriminator(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        said = self.handle.call("discriminator", x, train=train)
        return expect(said, (len(x),), f"{self.handle.label}.discriminator(x)")

    def fakes(self, n: int, seed: int) -> np.ndarray:
        """n samples with our own noise."""
        return self.generator(self.noise(n, seed))

    def sample(self, n: int, seed: int) -> np.ndarray:
        return self.handle.sample(n, *self.shape, seed=seed)

    def number(self, method: str, *arguments, seed: int, **options) -> float:
        """A loss: one number."""
        what = f"{self.handle.label}.{method}(…)"
        value = expect(self.handle.call(method, *arguments, seed=seed, differentiate=True, **options), (), what)
        return float(value)

    def by_discriminator(self, x: np.ndarray, cotangent: np.ndarray) -> dict:
        """∇ Σ cotangent · D(x) by the parameters."""
        return self.handle.gradient("discriminator", x, wrt="parameters", cotangent=cotangent.astype(np.float32))

    def by_generator(self, z: np.ndarray, slope) -> dict:
        """∇ mean h(D(G(z))) by the generator's parameters, slope: h′ of logits."""
        x = self.generator(z)
        cotangent = (slope(self.discriminator(x)) / len(z)).astype(np.float32)
        of_x = self.handle.gradient("discriminator", x, cotangent=cotangent)
        grads = self.handle.gradient("generator", z, wrt="parameters", cotangent=of_x)
        return {k: g if k.startswith("generator.") else None for k, g in grads.items()}

    def logistic_gradient(self, x: np.ndarray, z: np.ndarray) -> dict:
        """∇ of −mean log σ(D(x)) − mean log(1 − σ(D(G(z)))) by the discriminator's parameters."""
        fake, n = self.generator(z), len(x)
        real_part = self.by_discriminator(x, -adversarial.sigmoid(-self.discriminator(x)) / n)
        fake_part = self.by_discriminator(fake, adversarial.sigmoid(self.discriminator(fake)) / n)
        return adversarial.combined((1.0, real_part), (1.0, fake_part))


def decided(make: Callable[[int], Game], gradient: Gradient, seed: int, slip: Gradient | None = None):
    """A random game make(seed) in which its gradient can be told from those of slips; and that gradient.

    Where a gradient nearly cancels, the noise of the draws is all there is to compare; where the generator hardly
    heeds its noise, a z that is the same for all samples would do. slip: the gradient of another loss.
    """
    known = []
    for candidate in range(CANDIDATES):
        game = make(seed + candidate)
        z, others = (game.noise(DRAWS, seed + candidate + k) for k in range(2))
        found = gradient(game, z)
        if _off(gradient(game, others), found) <= KNOWN:
            known.append((game, found))
            wrong = [gradient(game, np.ones_like(z)), gradient(game, np.repeat(z[:1], DRAWS, axis=0))]
            wrong += [slip(game, z)] if slip else []
            if min(_off(w, found) for w in wrong) >= TOLD:
                return game, found
    return known[0] if known else (game, found)


def _off(got: dict, wanted: dict) -> float:
    return adversarial.same_direction(got, wanted, "").value
