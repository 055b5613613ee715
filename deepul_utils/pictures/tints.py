"""Small pictures in colour whose values are numbers, not names: near levels are alike, and many lie at the ends.

Every value depends on one other: red on the red of the pixel to its left (of the one above, in the first column), green
on red, blue on green. So everything is exact, by the probabilities of single levels.
"""

from functools import cached_property

import numpy as np

from deepul_utils.pictures.picture_set import PictureSet

SIDE, LEVELS = 8, 64
MIDDLE = (LEVELS - 1) / 2
SATURATED = 0.2  # the share of a new red that is 0, and as much that is as bright as can be
NEW = 0.15  # of the pixels have a new red, wherever their neighbour's lies
SPREAD = (1.5, 2.5, 2.5)  # levels: the width of the noise of each channel
SLOPE = (1.0, 1.1, -0.7)  # how a channel follows what it depends on, from the middle


class Tints(PictureSet):
    """p(x) = Π p(R | R beside it) p(G | R) p(B | G)."""

    def __init__(self) -> None:
        about = "Stripes of changing tints; many values are as dark or as bright as can be."
        super().__init__("tints", about, (3, SIDE, SIDE), LEVELS)

    @cached_property
    def new(self) -> np.ndarray:
        """p(R) of the first pixel, and of every new red: (LEVELS,)."""
        p = np.full(LEVELS, (1 - 2 * SATURATED) / LEVELS)
        p[[0, -1]] += SATURATED
        return p

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """p(R' | R) of the next pixel, p(G | R) and p(B | G), a row for each level given: (LEVELS, LEVELS) each."""
        red, green, blue = (_followed(slope, spread) for slope, spread in zip(SLOPE, SPREAD, strict=True))
        return (1 - NEW) * red + NEW * self.new, green, blue

    def _draw(self, n, rng):
        u = rng.random((3, SIDE, SIDE, n))
        x = np.zeros((3, SIDE, SIDE, n), dtype=np.uint8)
        first, (red, green, blue) = self.new.cumsum(), (table.cumsum(axis=1) for table in self.tables)
        for i, j in np.ndindex(SIDE, SIDE):
            given = x[0, i, j - 1] if j else x[0, i - 1, 0]
            rows = red[given] if i or j else np.broadcast_to(first, (n, LEVELS))
            x[0, i, j] = _level(u[0, i, j], rows)
            x[1, i, j] = _level(u[1, i, j], green[x[0, i, j]])
            x[2, i, j] = _level(u[2, i, j], blue[x[1, i, j]])
        return np.ascontiguousarray(np.moveaxis(x, -1, 0))

    def _conditionals(self, x):
        red, green, blue = self.tables
        R, G = x[:, 0], x[:, 1]
        p = np.empty((*x.shape, LEVELS))
        p[:, 0, :, 1:] = red[R[:, :, :-1]]
        p[:, 0, 1:, 0] = red[R[:, :-1, 0]]
        p[:, 0, 0, 0] = self.new
        p[:, 1], p[:, 2] = green[R], blue[G]
        return p

    def _entropy(self):
        """Σ over the values of E[−log p(value | the one that it depends on)], by the probabilities of each level."""
        green, total = self.tables[1], 0.0
        nats = [_entropies(table) for table in self.tables]  # given each level
        for i, j in np.ndindex(SIDE, SIDE):
            p = self.reds[i + j]
            of_red = self.reds[i + j - 1] @ nats[0] if i + j else _entropies(p)
            total += float(of_red + p @ nats[1] + (p @ green) @ nats[2])
        return total

    @cached_property
    def reds(self) -> np.ndarray:
        """p(R) of a pixel so many steps from the first one, (2 · SIDE − 1, LEVELS)."""
        p = [self.new]
        while len(p) < 2 * SIDE - 1:
            p.append(p[-1] @ self.tables[0])
        return np.stack(p)

    @property
    def beside(self) -> float:
        """What it costs not to look at the pixels beside, nats a picture: all that they tell about a red."""
        alone = [_entropies(self.reds[i + j]) for i, j in np.ndindex(SIDE, SIDE)]
        given = [self.reds[i + j - 1] @ _entropies(self.tables[0]) for i, j in np.ndindex(SIDE, SIDE) if i + j]
        return float(sum(alone[1:]) - sum(given))


def _followed(slope: float, spread: float) -> np.ndarray:
    """p(level | level given): a rounded Gaussian round a straight line, what lies beyond the ends at the ends."""
    from scipy.special import ndtr

    at = np.arange(LEVELS)
    mean = MIDDLE + slope * (at - MIDDLE)
    edges = np.concatenate([[-np.inf], at[1:] - 0.5, [np.inf]])
    p = np.diff(ndtr((edges - mean[:, None]) / spread), axis=1)
    return (1 - 1e-3) * p + 1e-3 / LEVELS  # nothing is impossible


def _entropies(p: np.ndarray) -> np.ndarray:
    """−Σ p log p over the last axis, nats; nothing in p is 0."""
    return -(p * np.log(p)).sum(axis=-1)


def _level(u: np.ndarray, cdf: np.ndarray) -> np.ndarray:
    """The level that each u falls into: (n,), cumulative probabilities (n, LEVELS) -> (n,)."""
    return (cdf[:, :-1] <= u[:, None]).sum(axis=1)
