"""Black and white patches, and a corner that comes again: what the last pixels are is told by the first ones alone.

The first corner is thrown with a coin, pixel by pixel. Every other pixel depends on the two beside it, to the left and
above, but for those of the last corner, which is the first once more, turned by half.
"""

from functools import cached_property

import numpy as np

from deepul_utils.pictures.picture_set import PictureSet

SIDE, CORNER = 8, 3  # pixels of the picture and of its corners
SPLIT = 0.5  # the probability of white where the two neighbours differ
WHITE = np.array([[0.2, SPLIT], [SPLIT, 0.8]])  # by the pixel to the left and the one above


class Corners(PictureSet):
    """p(x) = Π p(x_ij | x_i,j−1, x_i−1,j), outside the corners."""

    def __init__(self) -> None:
        about = "Patches of black and white; the last corner repeats the first, which is coins."
        super().__init__("corners", about, (1, SIDE, SIDE), 2)
        self.first = np.zeros((SIDE, SIDE), dtype=bool)
        self.first[:CORNER, :CORNER] = True
        self.last = self.first[::-1, ::-1]

    @property
    def repeated(self) -> float:
        """What the last corner costs who does not see the first, nats a picture: a coin for each of its pixels."""
        return CORNER**2 * float(np.log(2))

    def _draw(self, n, rng):
        u = rng.random((SIDE, SIDE, n))
        x = np.zeros((SIDE, SIDE, n), dtype=np.uint8)
        for i, j in np.ndindex(SIDE, SIDE):
            white = u[i, j] < self._white(i, j, *_beside(x, i, j))
            x[i, j] = x[SIDE - 1 - i, SIDE - 1 - j] if self.last[i, j] else white
        return np.ascontiguousarray(np.moveaxis(x, -1, 0)[:, None])

    def _white(self, i: int, j: int, left: np.ndarray, above: np.ndarray) -> np.ndarray:
        """The probability that pixel (i, j) is white, outside the last corner, given its neighbours: (…) -> (…)."""
        if self.first[i, j]:
            return np.full(left.shape, 0.5)
        return WHITE[left if j else above, above if i else left]

    def _conditionals(self, x):
        of = np.moveaxis(x[:, 0], 0, -1)  # (H, W, n)
        white = np.empty(of.shape)
        for i, j in np.ndindex(SIDE, SIDE):
            told = of[SIDE - 1 - i, SIDE - 1 - j]
            white[i, j] = told if self.last[i, j] else self._white(i, j, *_beside(of, i, j))
        return np.moveaxis(np.stack([1 - white, white], axis=-1), 2, 0)[:, None]

    def _entropy(self):
        return float(self.entropies.sum())

    @cached_property
    def entropies(self) -> np.ndarray:
        """Of each pixel given those before it, nats, (H, W); exact.

        By passing over the picture with the probabilities of all states of the last SIDE pixels, which are all that
        the next one may depend on: bit SIDE − k of a state is the pixel k places back.
        """
        states = np.arange(2**SIDE)
        p, result = np.zeros(2**SIDE), np.zeros((SIDE, SIDE))
        p[0] = 1.0
        for i, j in np.ndindex(SIDE, SIDE):
            left, above = states >> (SIDE - 1), states & 1
            white = np.zeros(len(states)) if self.last[i, j] else self._white(i, j, left, above)
            result[i, j] = (p * _of_coin(white)).sum()
            p = _after(p, white)
        return result


def _beside(x: np.ndarray, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels to the left of (i, j) and above it, of pictures (H, W, …) -> twice (…); any, where there is none."""
    return x[i, j - 1], x[i - 1, j]


def _of_coin(p: np.ndarray) -> np.ndarray:
    """The entropy of a coin, nats."""
    q = np.clip(p, 1e-300, 1.0)
    r = np.clip(1 - p, 1e-300, 1.0)
    return -(p * np.log(q) + (1 - p) * np.log(r))


def _after(p: np.ndarray, white: np.ndarray) -> np.ndarray:
    """The probabilities of the states after one pixel more, which is white with probability `white`: (2^n,)."""
    half = len(p) // 2
    parts = [(p * of).reshape(half, 2).sum(axis=1) for of in (1 - white, white)]  # the oldest pixel goes
    return np.concatenate(parts)
