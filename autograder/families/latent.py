"""A student's variational autoencoder as plain functions of arrays, with every shape checked."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from autograder.properties import latent
from autograder.properties.finding import Finding
from autograder.student import Handle, expect
from autograder.workbench import StudentCodeError

if TYPE_CHECKING:
    Model = TypeVar("Model", bound="ImageVAE")


def several(values, names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], what: str) -> list[np.ndarray]:
    """As many arrays as there are names, each of its shape."""
    if not isinstance(values, list) or len(values) != len(names):
        got = f"{len(values)} values" if isinstance(values, list) else "None" if values is None else "one value"
        wanted = f"{len(names)} values, {', '.join(names)}"
        raise StudentCodeError("wrong type", f"{what} should return {wanted}; got {got}.")
    return [expect(v, s, f"{n} of {what}") for v, n, s in zip(values, names, shapes, strict=True)]


def either(*ways: Callable[[], Finding]) -> Finding:
    """Of several ways to say the same, one that passes; where none does, the first.

    The first asks by our formulas, the others by the student's own: what is wrong in those costs where they are asked
    for themselves, and not once more wherever they are used.
    """
    first = ways[0]()
    for way in ways[1:]:
        if first.passed:
            break
        with contextlib.suppress(StudentCodeError):  # a function of theirs may be missing
            finding = way()
            if finding.passed:
                return finding
    return first


def gradient_or_none(gradient: Callable[[], np.ndarray], x: np.ndarray) -> np.ndarray:
    """A gradient, shaped like x; zero where the student's code lets none through."""
    try:
        return gradient()
    except StudentCodeError as error:
        if error.kind != "no gradient":
            raise
        return np.zeros_like(x)


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

    def rows(self, x: np.ndarray) -> np.ndarray:
        """What encode says of x as one array, (B, 2 · latents)."""
        return np.concatenate(self.encode(x), axis=1)

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


def telling(vae: VAE, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of some examples the one whose σ_z are farthest from one: there it shows what they are used for.

    It, (1, …), and its μ_z and log σ_z, (1, latents) each. It is not encoded alone, which is a question of its own.
    """
    mu, log_sigma = vae.encode(x)
    k = [np.abs(log_sigma).sum(axis=1).argmax()]
    return x[k], mu[k], log_sigma[k]


class ImageVAE(VAE):
    """A VAE whose decoder gives the mean of every pixel only."""

    def decode(self, z: np.ndarray) -> np.ndarray:  # type: ignore[override]  # it has no σ
        what = f"{self.handle.label}.decode(z)"
        return expect(self.handle.call("decode", z), (len(z), *self.shape), what)

    def squares(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """‖x − μ_x(z)‖² of one image, (1, …), for codes (n, latents)."""
        errors = x - self.decode(z.astype(np.float32)).astype(np.float64)
        return (errors**2).reshape(len(z), -1).sum(axis=1)

    def by_noise(self, x: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, dict[str, Callable]]:
        """(the image of x that tells most, {what is wrong with the noise of z: its squares for draws of such z})."""
        image, mu, log_sigma = telling(self, x)
        codes = latent.noises(mu, log_sigma, draws, seed)
        return image, {name: partial(self.squares, image, z) for name, z in codes.items()}

    def ill_conditioned(self, x: np.ndarray, seed: int) -> float:
        """How far random weights are from what shows a slip: 0 where σ_z is not near one and a code is seen in x."""
        image, mu, log_sigma = telling(self, x)
        size, squares = np.abs(log_sigma), self.squares(image, latent.noises(mu, log_sigma, 50, seed)[""])
        parts = [size.max() - latent.WIDEST, latent.FAR_FROM_ONE - size.mean(),
                 np.log(squares.mean() / (5 * image.size)), np.log(10 / squares.std())]  # fmt: skip
        return float(np.maximum(parts, 0).sum())  # nan where one of them is


SIZES = (1.2, 1.2, 1.2, 1.0, 1.0, 1.5, 1.5, 0.8, 0.6, 0.4)  # of the noise of random weights, tried in turn


def best_conditioned(new: Callable[[int, float], "Model"], x: np.ndarray, seed: int) -> "Model":
    """Of a few models with random weights, new(seed, size), the first that tells enough at x, or the best."""
    tried = []
    for k, size in enumerate(SIZES):
        model = new(seed + 1000 * k, size)
        with np.errstate(all="ignore"):
            far = model.ill_conditioned(x, seed)
        tried.append((far if np.isfinite(far) else np.inf, k, model))
        if not far:
            break
    return min(tried)[2]
