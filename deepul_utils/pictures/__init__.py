"""Small pictures by name, whose conditionals are known, and so the exact entropy.

    corners = pictures.get("corners")
    x = corners.sample(1000, seed=0, split="train")   # uint8 (1000, 1, 8, 8)
    corners.entropy                                    # nats of a picture: the loss that no model beats
    corners.log_prob(x), corners.log_conditionals(x)   # nats, (1000,) and (1000, 1, 8, 8)

`python -m deepul_utils.pictures` prints the table of all sets.
"""

from collections.abc import Callable
from functools import cache

from deepul_utils.pictures.corners import Corners
from deepul_utils.pictures.picture_set import PictureSet
from deepul_utils.pictures.tints import Tints
from deepul_utils.sequences.sequence_set import closest

__all__ = ["Corners", "PictureSet", "Tints", "get", "names", "table"]

SETS: dict[str, Callable[[], PictureSet]] = {"corners": Corners, "tints": Tints}


@cache
def get(name: str):
    """The set called `name`. Raises ValueError for an unknown name, with the closest."""
    if name not in SETS:
        raise closest(name, SETS, "pictures")
    return SETS[name]()


def names() -> list[str]:
    """The names of all sets."""
    return list(SETS)


def table() -> str:
    """All sets as a Markdown table."""
    rows = ["| name | channels, height, width | levels | entropy (nats) | what it is |", "|---|---|---|---|---|"]
    for s in map(get, SETS):
        size = " × ".join(map(str, s.shape))
        rows.append(f"| `{s.name}` | {size} | {s.levels} | {s.entropy:.4f} | {s.about} |")
    return "\n".join(rows)
