"""Real handwriting: the 1,797 digits of 8×8 pixels that scikit-learn bundles, enlarged three times."""

from functools import cache

import numpy as np

from deepul_utils import turn
from deepul_utils.images.glyphs import DATA
from deepul_utils.images.image_set import ImageSet, quantized
from deepul_utils.toy.distribution import SPLITS

SIDE = 32  # pixels: side of an image
ENLARGED = 26  # pixels: eight times three, and a faint edge around it
INK = 12  # of 16: what counts as full ink, or thin strokes would break in two levels
MARGIN = 3  # pixels: how far a digit is shifted, at most; 26 + 2 · 3 = 32


class Digits(ImageSet):
    """Handwritten digits (UCI), enlarged and shifted by up to three pixels.

    Each split has originals of its own, and draws them with replacement.
    """

    name = "digits32"
    choices = (16, 2, 256)
    label_names = tuple("0123456789")

    def _draw(self, n, rng, split):
        images, labels = originals(split)
        which = rng.integers(len(images), size=n)
        top, left = rng.integers(2 * MARGIN + 1, size=(2, n))
        shifts = np.lib.stride_tricks.sliding_window_view(_padded(split), (SIDE, SIDE), axis=(1, 2))
        x = shifts[which, top, left]  # (n, 32, 32)
        return turn.levels(quantized(x[:, None], self.levels), self.levels), labels[which]


@cache
def originals(split: str) -> tuple[np.ndarray, np.ndarray]:
    """(images, labels) of a split: uint8 (N, 8, 8) with values 0 … 16, int64 (N,). Read-only.

    Of each digit's originals every sixth is for validation and every sixth for testing: whatever their order
    (they are sorted by writer), the splits have the same mixture.
    """
    with np.load(DATA / "digits.npz") as file:
        images, labels = file["images"], file["labels"].astype(np.int64)
    rank = np.array([np.sum(labels[:k] == labels[k]) for k in range(len(labels))])
    part = np.where(rank % 6 == 5, "test", np.where(rank % 6 == 4, "validation", "train"))
    chosen = {name: (images[part == name], labels[part == name]) for name in SPLITS}[split]
    for shared in chosen:
        shared.flags.writeable = False
    return chosen


@cache
def _padded(split: str) -> np.ndarray:
    """The originals enlarged, with 2 · MARGIN black pixels around: uint8 (N, 38, 38)."""
    room = ((0, 0), (MARGIN * 2, MARGIN * 2), (MARGIN * 2, MARGIN * 2))
    return np.pad(enlarged(originals(split)[0]), room)


def enlarged(images: np.ndarray) -> np.ndarray:
    """0 … 16, (N, 8, 8) → 0 … 255, uint8 (N, 26, 26): three times as large, interpolated bilinearly in integers."""
    weights = _weights()
    ninths = np.minimum(weights @ images.astype(np.int64) @ weights.T, 9 * INK)
    return ((ninths * 255 + 9 * INK // 2) // (9 * INK)).astype(np.uint8)


def _weights() -> np.ndarray:
    """Each new pixel's share of each old one, in thirds: int64 (26, 8). Black lies beyond the edge."""
    weights = np.zeros((ENLARGED, 8), dtype=np.int64)
    for old in range(8):
        weights[3 * old : 3 * old + 5, old] = (1, 2, 3, 2, 1)
    return weights
