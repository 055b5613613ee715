"""Pictures of one shape on a plain ground, 16 × 16 pixels of four shades: every picture is as likely as any other.

    shapes = SmallShapes()
    x = shapes.sample(1000, seed=0, split="train")   # uint8 (1000, 1, 16, 16)
    shapes.entropy, shapes.entropies                  # nats of a picture, and of each pixel given those before it
    shapes.log_prob(x)                                # nats; −inf of what is no picture of the set

Each is a kind, a size, a place, a shade of the shape and another one of the ground.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from deepul_utils.images.shapes import FULL, KINDS, _stamp
from deepul_utils.pictures.picture_set import PictureSet

SIDE = 16  # pixels of a picture's side
RADII = (3, 4, 5)  # pixels: half the width of a shape
PLACES = range(max(RADII), SIDE - max(RADII) + 1)  # the corner between pixels that is a shape's middle, on either axis
SHADES = 4


@dataclass(frozen=True)
class Level:
    """All beginnings of pictures that have the same number of pixels.

    count: pictures of each, int (N,). after: which beginning comes of each and a further shade, int (N, SHADES); −1:
    none.
    """

    count: np.ndarray
    after: np.ndarray


class SmallShapes(PictureSet):
    """p(x) = 1 / N for each of N pictures: a kind, a size, a place, a shade of the shape and another of the ground."""

    def __init__(self) -> None:
        about = "One shape on a plain ground, of every kind, size, place and pair of shades equally often."
        super().__init__("small shapes", about, (1, SIDE, SIDE), SHADES)

    @cached_property
    def pictures(self) -> np.ndarray:
        """All N of them, uint8 (N, SIDE, SIDE); no two are equal. Read-only."""
        masks = []
        for kind in KINDS:
            for r in RADII:
                stamp = _stamp(kind, r) >= FULL // 2  # a pixel is the shape's from half coverage on
                for top in PLACES:
                    for left in PLACES:
                        mask = np.zeros((SIDE, SIDE), dtype=bool)
                        mask[top - r : top + r, left - r : left + r] = stamp
                        masks.append(mask)
        shades = [(a, b) for a in range(SHADES) for b in range(SHADES) if a != b]
        every = [np.where(mask, shape, ground) for mask in masks for shape, ground in shades]
        pictures = np.array(every, dtype=np.uint8)
        pictures.flags.writeable = False
        return pictures

    @cached_property
    def entropies(self) -> np.ndarray:
        """Of each pixel given those before it, nats, (SIDE, SIDE); exact."""
        result = []
        for here, later in zip(self._beginnings, self._beginnings[1:], strict=False):
            n = np.where(here.after >= 0, later.count[here.after], 0)
            p = n / here.count[:, None]
            result.append((n * -np.log(np.where(n, p, 1))).sum() / len(self.pictures) + 0.0)  # and no -0.0
        return np.array(result).reshape(SIDE, SIDE)

    @cached_property
    def _beginnings(self) -> list[Level]:
        """By their number of pixels, 0 … SIDE²."""
        pixels = self.pictures.reshape(len(self.pictures), -1).astype(np.int64)
        at, levels = np.zeros(len(pixels), dtype=np.int64), []  # which beginning each picture has
        for column in pixels.T:
            further, which = np.unique(at * SHADES + column, return_inverse=True)
            after = np.full((at.max() + 1, SHADES), -1)
            after[further // SHADES, further % SHADES] = np.arange(len(further))
            levels.append(Level(np.bincount(at), after))
            at = which
        return [*levels, Level(np.bincount(at), np.empty((0, SHADES), dtype=np.int64))]

    def _draw(self, n, rng):
        return self.pictures[rng.integers(len(self.pictures), size=n)][:, None]

    def _conditionals(self, x):
        """Of the pictures that begin as x does, so many go on with each shade; where none does, all are equal."""
        pixels = x.reshape(len(x), -1)
        result, at = np.full((*pixels.shape, SHADES), 1 / SHADES), np.zeros(len(x), dtype=np.int64)
        for t, (here, later) in enumerate(zip(self._beginnings, self._beginnings[1:], strict=False)):
            known = at >= 0
            after = here.after[at[known]]
            result[known, t] = np.where(after >= 0, later.count[after], 0) / here.count[at[known], None]
            at[known] = np.take_along_axis(after, pixels[known, t, None], axis=1)[:, 0]
        return result.reshape(*x.shape, SHADES)

    def _entropy(self):
        return float(np.log(len(self.pictures)))


def above_limit(x, windows) -> np.ndarray:
    """What who sees so many values before loses for it, nats of an example, float64 (len(windows),); exact.

    x: all examples there are, equally likely, int (N, T).
    """
    x = np.asarray(x).astype(np.uint64)
    rng = np.random.default_rng(0)

    def entropy(part: np.ndarray) -> float:
        """Of the rows, in nats: each is told by one number of 64 bits."""
        told = part @ rng.integers(1 << 63, size=part.shape[1], dtype=np.uint64) if part.shape[1] else np.zeros(len(x))
        p = np.unique(told, return_counts=True)[1] / len(x)
        return float(-(p * np.log(p)).sum())

    def loss(window: int) -> float:
        starts = [(max(0, t - window), t) for t in range(x.shape[1])]
        return sum(entropy(x[:, a : t + 1]) - entropy(x[:, a:t]) for a, t in starts)

    return np.array([loss(w) for w in windows]) - entropy(x)
