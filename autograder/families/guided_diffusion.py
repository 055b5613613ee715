"""A student's guided diffusion of images as plain functions of arrays."""

import numpy as np

from autograder.properties import guided
from autograder.student import Handle, expect, whole

BATCH = 100  # images in one call


class Model:
    """velocity, loss, guided and generate of a model of images of `shape` (C, H, W), with `classes` labels.

    The label `classes` means that there is none.
    """

    def __init__(self, handle: Handle, shape: tuple[int, int, int], classes: int):
        self.handle, self.shape, self.classes = handle, shape, classes

    def velocity(self, x: np.ndarray, t: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(B, *shape), (B,), (B,) -> (B, *shape)."""
        return self._images("velocity", "x, t, y", x, t, y)

    def guided(self, x: np.ndarray, t: np.ndarray, y: np.ndarray, w: float) -> np.ndarray:
        """(B, *shape)."""
        return self._images("guided", f"x, t, y, {w:g}", x, t, y, w)

    def loss(self, x: np.ndarray, y: np.ndarray, t: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """(B,)."""
        what = f"{self.handle.label}.loss(x, y, t, noise)"
        return expect(self.handle.call("loss", x, y, t, noise), (len(x),), what)

    def generate(self, noise: np.ndarray, y: np.ndarray, w: float, steps: int) -> np.ndarray:
        """(B, *shape)."""
        return self._images("generate", f"noise, y, {w:g}, {steps}", noise, y, w, steps)

    def by_hand(self, x: np.ndarray, t: np.ndarray, y: np.ndarray, w: float) -> np.ndarray:
        """The guided velocity, made of two of `velocity`."""
        without = self.velocity(x, t, np.full_like(y, self.classes))
        return without + np.float32(w) * (self.velocity(x, t, y) - without) if w else without

    def integrated(self, noise: np.ndarray, y: np.ndarray, w: float, steps: int) -> np.ndarray:
        """Images in [0, 1] by Euler's steps of ours, of the velocity that is trained: (B, *shape)."""
        times = np.linspace(0, 1, steps + 1)
        parts = []
        for part, labels in zip(_batches(noise), _batches(y), strict=True):

            def velocity(x: np.ndarray, t: float, labels: np.ndarray = labels) -> np.ndarray:
                return self.by_hand(x, np.full(len(x), t, dtype=np.float32), labels, w)

            parts.append(guided.euler(velocity, part, times))
        return (np.nan_to_num(np.concatenate(parts)).clip(-1, 1) + 1) / 2

    def _images(self, method: str, names: str, x: np.ndarray, *arguments) -> np.ndarray:
        said = self.handle.call(method, x, *arguments)
        return expect(said, (len(x), *self.shape), f"{self.handle.label}.{method}({names})")


def labels(values, n: int, what: str) -> np.ndarray:
    """Labels that came back, int64 (n,)."""
    return whole(expect(values, (n,), what), what)


def within_labels(features: np.ndarray, y: np.ndarray) -> float:
    """The mean distance of two samples of one label: features (n, d), labels (n,)."""
    from scipy.spatial.distance import pdist

    return float(np.mean([pdist(features[y == label]).mean() for label in np.unique(y)]))


def naive_loss(x: np.ndarray, held_out: np.ndarray, t: np.ndarray, noise: np.ndarray) -> float:
    """The loss of the best velocity that knows only the mean and the variance of each pixel of images x."""
    mean, variance = x.mean(axis=0), x.var(axis=0)
    at = guided.between(noise, held_out, t)
    t = t.reshape(-1, 1, 1, 1)
    gain = t * variance / (t**2 * variance + (1 - t) ** 2)
    guess = mean + gain * (at - t * mean)  # E[x | x_t] of a Gaussian
    return float(((guess - (at - t * guess) / (1 - t) - (held_out - noise)) ** 2).mean())


def _batches(x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, range(BATCH, len(x), BATCH))
