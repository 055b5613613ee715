"""A student's variational autoencoder as plain functions of arrays, with every shape checked."""

import numpy as np

from autograder.student import Handle, expect
from autograder.workbench import StudentCodeError


def several(values, names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], what: str) -> list[np.ndarray]:
    """As many arrays as there are names, each of its shape."""
    if not isinstance(values, list) or len(values) != len(names):
        got = f"{len(values)} values" if isinstance(values, list) else "None" if values is None else "one value"
        wanted = f"{len(names)} values, {', '.join(names)}"
        raise StudentCodeError("wrong type", f"{what} should return {wanted}; got {got}.")
    return [expect(v, s, f"{n} of {what}") for v, n, s in zip(values, names, shapes, strict=True)]


class VAE:
    """encode, decode: (μ, log σ) each; elbo_terms: (reconstruction, KL).

    shape: of an example. latents: how many numbers a code has.
    """

    def __init__(self, handle: Handle, shape: tuple[int, ...], latents: int):
        self.handle, self.shape, self.latents = handle, shape, latents

    def encode(self, x: np.ndarray) -> list[np.ndarray]:
        return self._several("encode", x, ("μ_z", "log σ_z"), (len(x), self.latents))

    def decode(self, z: np.ndarray) -> list[np.ndarray]:
        return self._several("decode", z, ("μ_x", "log σ_x"), (len(z), *self.shape))

    def elbo_terms(self, x: np.ndarray, seed: int = 0) -> list[np.ndarray]:
        return self._several("elbo_terms", x, ("reconstruction", "KL"), (len(x),), seed)

    def _several(self, method: str, x: np.ndarray, names: tuple[str, ...], size: tuple[int, ...], seed: int = 0):
        """Several results of one method, all of one size."""
        what = f"{self.handle.label}.{method}({'z' if method == 'decode' else 'x'})"
        return several(self.handle.call(method, x, seed=seed), names, (size,) * len(names), what)

    def sample(self, n: int, seed: int, **options) -> np.ndarray:
        said = ", ".join([str(n), *(f"{k}={v}" for k, v in options.items())])
        drawn = self.handle.call("sample", n, seed=seed, **options)
        return expect(drawn, (n, *self.shape), f"{self.handle.label}.sample({said})")


class ImageVAE(VAE):
    """A VAE whose decoder gives the mean of every pixel only."""

    def decode(self, z: np.ndarray) -> np.ndarray:
        what = f"{self.handle.label}.decode(z)"
        return expect(self.handle.call("decode", z), (len(z), *self.shape), what)
