"""Coloured shapes with known factors. Every configuration has its own picture, so the entropy is exact."""

import math
from functools import cache

import numpy as np

from deepul_utils import turn
from deepul_utils.images.image_set import ImageSet
from deepul_utils.toy.distribution import as_array

SIDE = 32  # pixels: side of an image
FINE = 4  # subpixels per side of a pixel
FULL = FINE * FINE  # a pixel's coverage when all its subpixels are inside
KINDS = ("square", "disc", "triangle", "diamond", "cross", "ring")
RADII = (5, 6, 7, 8)  # pixels: half the width of a shape
FIRST = 8  # the shape's middle is the corner between pixels FIRST − 1 and FIRST, or up to 15 further
PLACES = 16
BLOCK = 1024  # images at once

# Of the shape and of the background, as RGB with two bits a channel, and the same in 8 bits.
COLOURS = {
    "red": ((3, 1, 1), (225, 72, 65)),
    "orange": ((3, 2, 0), (243, 156, 40)),
    "yellow": ((3, 3, 1), (247, 222, 88)),
    "green": ((1, 2, 1), (76, 166, 92)),
    "cyan": ((1, 3, 3), (92, 205, 216)),
    "blue": ((0, 1, 3), (44, 101, 208)),
    "violet": ((2, 1, 3), (146, 92, 208)),
    "pink": ((3, 2, 3), (245, 158, 204)),
}
BACKGROUNDS = {
    "black": ((0, 0, 0), (18, 20, 26)),
    "navy": ((0, 0, 1), (30, 40, 84)),
    "grey": ((2, 2, 2), (166, 170, 176)),
    "white": ((3, 3, 3), (250, 249, 244)),
}


class Shapes(ImageSet):
    """One coloured shape on a plain background: kind, size, place, colours."""

    name = "shapes32"
    choices = (4, 2, 256)

    def __init__(self, levels=None):
        super().__init__(levels)
        factors = {"kind": len(KINDS), "size": len(RADII), "x": PLACES, "y": PLACES}
        if self.levels > 2:  # a silhouette has no colours
            factors |= {"colour": len(COLOURS), "background": len(BACKGROUNDS)}
            self.shape = (3, SIDE, SIDE)
        self.factor_names, self.factor_sizes = tuple(factors), tuple(factors.values())
        self.configurations = math.prod(self.factor_sizes)
        self.entropy = math.log(self.configurations)

    def factors(self, index) -> np.ndarray:
        """Configurations by number, 0 … configurations − 1: int (n,) → factors, int64 (n, F)."""
        return np.stack(np.unravel_index(as_array(index).astype(np.int64), self.factor_sizes), axis=-1)

    def render(self, factors) -> np.ndarray:
        """The picture of each configuration: int (n, F) → uint8 (n, C, 32, 32). No two are equal.

        Raises ValueError for another shape and for a factor outside its values.
        """
        factors = as_array(factors)
        if factors.ndim != 2 or factors.shape[1] != len(self.factor_sizes) or factors.dtype.kind not in "iu":
            expected = ", ".join(self.factor_names)
            raise ValueError(f"Expected integers (n, {len(self.factor_sizes)}): {expected}; got {factors.shape}.")
        if ((factors < 0) | (factors >= self.factor_sizes)).any():
            raise ValueError(f"The factors {', '.join(self.factor_names)} are below {self.factor_sizes}.")
        x = np.empty((len(factors), *self.shape), dtype=np.uint8)
        for start in range(0, len(x), BLOCK):
            x[start : start + BLOCK] = self._rendered(factors[start : start + BLOCK])
        return x

    def _rendered(self, factors: np.ndarray) -> np.ndarray:
        coverage = silhouettes()[tuple(factors.T[:4])]  # (B, 32, 32)
        ramps = _ramps(self.levels)  # (C, palettes, FULL + 1)
        palette = factors[:, 4] * len(BACKGROUNDS) + factors[:, 5] if self.levels > 2 else np.zeros(len(factors), int)
        step = coverage + (palette * (FULL + 1)).astype(np.int32)[:, None, None]
        return np.stack([ramp.ravel().take(step) for ramp in ramps], axis=1)

    def _draw(self, n, rng, split):
        # All six, also for silhouettes: the same seed gives the same shapes in every number of levels.
        sizes = [len(KINDS), len(RADII), PLACES, PLACES, len(COLOURS), len(BACKGROUNDS)]
        y = rng.integers(sizes, size=(n, 6))[:, : len(self.factor_sizes)]
        return self.render(y), np.ascontiguousarray(y)


@cache
def silhouettes() -> np.ndarray:
    """Subpixels of each pixel that lie inside, 0 … FULL: uint8 (kinds, sizes, x, y, 32, 32). Read-only."""
    table = np.zeros((len(KINDS), len(RADII), PLACES, PLACES, SIDE, SIDE), dtype=np.uint8)
    for kind, name in enumerate(KINDS):
        for size, r in enumerate(RADII):
            stamp = _stamp(name, r)
            for x, y in np.ndindex(PLACES, PLACES):
                left, top = FIRST + x - r, FIRST + y - r
                table[kind, size, x, y, top : top + 2 * r, left : left + 2 * r] = stamp
    table.flags.writeable = False
    return table


def _stamp(kind: str, r: int) -> np.ndarray:
    """Coverage of the square around a shape of radius r: (2r, 2r)."""
    R = 2 * FINE * r  # the radius in half subpixels; subpixels have their middles at odd numbers
    at = np.arange(1 - R, R, 2)
    u, v = at[None, :], at[:, None]  # right, down
    far = np.maximum(abs(u), abs(v))
    inside = {
        "square": far <= R,
        "disc": u * u + v * v <= R * R,
        "triangle": 2 * abs(u) <= v + R,  # apex on top
        "diamond": abs(u) + abs(v) <= R,
        "cross": 3 * np.minimum(abs(u), abs(v)) <= R + 0 * far,
        "ring": (u * u + v * v <= R * R) & (4 * (u * u + v * v) >= R * R),
    }[kind]
    inside = np.broadcast_to(inside, (2 * FINE * r, 2 * FINE * r))
    return inside.reshape(2 * r, FINE, 2 * r, FINE).sum(axis=(1, 3)).astype(np.uint8)


@cache
def _ramps(levels: int) -> np.ndarray:
    """A channel's level for each palette and coverage: uint8 (C, palettes, FULL + 1).

    8-bit edges are blended; with fewer levels a pixel is the shape's from half coverage on.
    """
    coverage = np.arange(FULL + 1)
    if levels == 2:
        return turn.levels((coverage >= FULL // 2).astype(np.uint8), levels)[None, None]
    deep = int(levels == 256)
    shape = np.array([rgb[deep] for rgb in COLOURS.values()])[:, None, :, None]
    ground = np.array([rgb[deep] for rgb in BACKGROUNDS.values()])[None, :, :, None]
    blend = coverage if deep else FULL * (coverage >= FULL // 2)
    ramps = (shape * blend + ground * (FULL - blend) + FULL // 2) // FULL  # (colours, backgrounds, 3, FULL + 1)
    return turn.levels(ramps.reshape(-1, 3, FULL + 1).swapaxes(0, 1).astype(np.uint8), levels)
