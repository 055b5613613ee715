"""Coins and their echoes: the last pixel of each row is its first one, and the last row is the first row.

Nothing near a pixel tells anything about it. What an echo is stands a whole row to its left, or all rows above it.
"""

import numpy as np

from deepul_utils.pictures.picture_set import PictureSet

SIDE = 8  # pixels of the picture
REACH = SIDE - 1  # pixels from an echo to what it repeats


class Echoes(PictureSet):
    """p(x) = Π p(x_ij), of coins and of what is known."""

    def __init__(self) -> None:
        about = "Coins; the last pixel of each row repeats its first, and the last row the first row."
        super().__init__("echoes", about, (1, SIDE, SIDE), 2)
        self.coins = np.zeros((SIDE, SIDE), dtype=bool)
        self.coins[:REACH, :REACH] = True

    @property
    def repeated(self) -> float:
        """What the echoes cost who sees none of them, nats a picture: a coin for each."""
        return int((~self.coins).sum()) * float(np.log(2))

    def partners(self, i: int, j: int) -> list[tuple[int, int]]:
        """The pixels before (i, j) that are the same as it, in the last row and the last column; none elsewhere."""
        beside, above = [(i, 0)] * (j == REACH), [(0, j)] * (i == REACH)
        return beside + above

    def _draw(self, n, rng):
        x = rng.integers(2, size=(n, *self.shape), dtype=np.uint8)
        x[..., REACH] = x[..., 0]
        x[:, :, REACH] = x[:, :, 0]
        return x

    def _conditionals(self, x):
        told = np.zeros(x.shape, dtype=np.int64)
        told[..., REACH] = x[..., 0]
        told[:, :, REACH, :REACH] = x[:, :, 0, :REACH]
        return np.where(self.coins[..., None], 0.5, np.eye(2)[told])

    def _entropy(self):
        return int(self.coins.sum()) * float(np.log(2))
