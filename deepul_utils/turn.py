"""The turn of the data: equivalent data for another term, on which nothing that was trained in the last one is right.

With every odd turn the plane is turned by an angle and mirrored, the line is mirrored, and pictures are inverted; turns
2 and 3 have the plane upside down. Everything that is drawn are other draws. Densities stay known, and entropies as
they were. The number stands in data/turn.txt; without that file it is 0, and the data are as they were made. `deepul
turn` writes it.
"""

from functools import cache
from pathlib import Path

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "data" / "turn.txt"
TURNS = 4  # then they come again
ANGLE = np.deg2rad(22.5)  # half of what eight Gaussians are apart; a column still meets each moon about once


@cache
def number() -> int:
    """Which turn of the data this is, 0 … TURNS − 1. Raises ValueError where the file says something else."""
    text = FILE.read_text(encoding="utf-8").strip() if FILE.exists() else "0"
    if text not in map(str, range(TURNS)):
        raise ValueError(f"{FILE} holds {text[:20]!r}, and no turn of the data: a number from 0 to {TURNS - 1}.")
    return int(text)


def turn_to(turn: int) -> None:
    """Make this the turn of the kit's data: for processes that begin now."""
    FILE.write_text(f"{turn}\n", encoding="utf-8") if turn else FILE.unlink(missing_ok=True)
    number.cache_clear()


def is_reversed() -> bool:
    """Whether left and right, and black and white, are exchanged, and the plane is turned by ANGLE."""
    return number() % 2 == 1


def matrix(dims: int, along_axes: bool = False) -> np.ndarray:
    """The orthogonal matrix that turns points of one or two dimensions, (dims, dims).

    along_axes: for sets whose shape is aligned with the axes, and has to stay so.
    """
    if dims == 1:
        return np.array([[-1.0 if is_reversed() else 1.0]])
    across, upright = (-1.0 if is_reversed() else 1.0), (1.0 if number() < 2 else -1.0)
    if along_axes:
        return np.diag([upright, upright * across])
    mirror = np.diag([across, upright])
    if not is_reversed():
        return mirror
    return np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]]) @ mirror


def levels(x: np.ndarray, of: int) -> np.ndarray:
    """Levels 0 … of − 1 of pictures as this turn has them, and back again."""
    return (of - 1 - x).astype(x.dtype) if is_reversed() else x


def unit(x: np.ndarray) -> np.ndarray:
    """Pictures in [0, 1] as this turn has them, and back again."""
    return 1 - x if is_reversed() else x
