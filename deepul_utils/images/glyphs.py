"""Digits in many typefaces: the committed glyph sheet, shifted, scaled, turned and slanted.

All arithmetic is on integers, so every machine makes the same pixels; no font is drawn at run time.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np

from deepul_utils import turn
from deepul_utils.images.image_set import ImageSet, quantized

DATA = Path(__file__).resolve().parents[2] / "data"
CELL = 40  # pixels: side of one cell of the sheet; the digit fills 32 of them
SIDE = 32  # pixels: side of an image
ONE = 1 << 16  # fixed point: coordinates in the sheet are counted in 1/65536 of its pixels
BLOCK = 256  # images at once: what they need stays in the processor's cache

# What is drawn for each image, as the lowest and the highest value.
SHIFT = (-3 * ONE, 3 * ONE)  # of the centre, in image pixels
HEIGHT = (17 * ONE, 24 * ONE)  # of the digit, in image pixels
TURN = (-ONE * 14 // 100, ONE * 14 // 100)  # tangent of the angle: ±8°
SLANT = (-ONE * 16 // 100, ONE * 16 // 100)  # horizontal shift per pixel of height


class Glyphs(ImageSet):
    """Digits in 48 typefaces, shifted, scaled, turned and slanted."""

    name = "glyphs32"
    choices = (2, 256)
    label_names = tuple("0123456789")

    def _draw(self, n, rng, split):
        y = rng.integers(10, size=n)
        typeface = rng.integers(len(typefaces()), size=n)
        low, high = np.array([SHIFT, SHIFT, HEIGHT, TURN, SLANT]).T
        jitter = rng.integers(low, high, size=(n, 5), endpoint=True)
        x = np.empty((n, 1, SIDE, SIDE), dtype=np.uint8)
        for start in range(0, n, BLOCK):
            rows = slice(start, start + BLOCK)
            x[rows, 0] = _warped(typeface[rows] * 10 + y[rows], jitter[rows])
        return turn.levels(quantized(x, self.levels), self.levels), y


@cache
def typefaces() -> tuple[str, ...]:
    """Names of the typefaces, in the order of the sheet's rows; data/glyphs.csv has their origin and licence."""
    with open(DATA / "glyphs.csv", encoding="utf-8", newline="") as file:
        return tuple(row["typeface"] for row in csv.DictReader(file))


@cache
def sheet() -> np.ndarray:
    """The glyph sheet, uint8 (typefaces, 10, CELL, CELL). Read-only."""
    from PIL import Image

    with Image.open(DATA / "glyphs.png") as picture:
        pixels = np.asarray(picture)
    cells = pixels.reshape(-1, CELL, 10, CELL).swapaxes(1, 2)  # (typefaces, 10, CELL, CELL)
    cells.flags.writeable = False
    return cells


@cache
def _corners() -> np.ndarray:
    """The four pixels around each point between pixels, packed into a uint32: (glyphs, CELL + 1, CELL + 1), flat.

    One look-up instead of four. Index [g, v, u] is the square whose lower right pixel is (v, u).
    """
    padded = np.pad(sheet().reshape(-1, CELL, CELL).astype(np.uint32), ((0, 0), (1, 1), (1, 1)))
    packed = padded[:, :-1, :-1] | padded[:, :-1, 1:] << 8 | padded[:, 1:, :-1] << 16 | padded[:, 1:, 1:] << 24
    return packed.ravel()


def _warped(glyph: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Glyphs (B,) under affine maps (B, 5): uint8 (B, SIDE, SIDE), interpolated bilinearly."""
    u, v = _sources(jitter)
    # The outermost ring is black, so what falls outside the cell may be read there.
    u, v = (np.clip(w + ONE, 0, (CELL + 1) * ONE - 1) for w in (u, v))
    square = (v >> 16) * (CELL + 1) + (u >> 16) + (glyph * (CELL + 1) ** 2).astype(np.int32)[:, None, None]
    p = _corners().take(square)
    a, b = ((w >> 8 & 255).astype(np.uint32) for w in (u, v))  # how far into the square, in 1/256
    above = (p & 255) * (256 - a) + (p >> 8 & 255) * a
    below = (p >> 16 & 255) * (256 - a) + (p >> 24) * a
    return ((above * (256 - b) + below * b + 32768) >> 16).astype(np.uint8)


def _sources(jitter: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where in the sheet's cell each pixel of each image comes from: u, v, int32 (B, SIDE, SIDE), in units of 1/ONE.

    The inverse map: (u, v) = zoom · [[1, turn + slant], [−turn, 1]] · (x − centre), zoom = 32 / height.
    """
    dx, dy, height, turn, slant = jitter.T[:, :, None]  # (B, 1) each
    zoom = (32 * ONE * ONE) // height
    at = (2 * np.arange(SIDE) - (SIDE - 1)) * (ONE // 2)  # pixel centres from the middle, (SIDE,)
    x, y = at - dx, at - dy  # (B, SIDE)
    middle = (CELL - 1) * (ONE // 2)
    u, v = (middle + _times(zoom, w) for w in (x, y))
    lean = _times(_times(zoom, turn + slant), y)
    turned = _times(_times(zoom, turn), x)
    u, v = u[:, None, :] + lean[:, :, None], v[:, :, None] - turned[:, None, :]  # (B, SIDE, SIDE)
    return u.astype(np.int32), v.astype(np.int32)


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of two numbers in fixed point, int64."""
    return (a * b) >> 16
