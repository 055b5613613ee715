"""Videos by name, of shapes that move, bounce and turn at random, with exact probabilities and entropies.

    data = videos.get("bounce2")
    x = data.sample(1000, seed=0, split="train")   # uint8 (1000, 8, 1, 16, 16): frames of one channel
    data.entropy, data.entropies                   # nats: of a video, and of each frame given those before it
    data.log_conditionals(x)                       # float64 (1000, 8): of each frame
    data.rgb(x)                                    # uint8 (1000, 8, 3, 16, 16), to look at

`python -m deepul_utils.videos` prints the table of all sets.
"""

from functools import cache

from deepul_utils.sequences.sequence_set import closest
from deepul_utils.videos.bounces import KINDS, Bounces

__all__ = ["Bounces", "get", "names", "table"]

SETS = {f"bounce{shapes}": shapes for shapes in range(1, len(KINDS) + 1)}


@cache
def get(name: str, length: int = 8, side: int = 16) -> Bounces:
    """The set called `name`, of videos of so many frames, 16 or 32 pixels a side.

    Raises ValueError for an unknown name, with the closest, and for another length or side than there may be.
    """
    if name not in SETS:
        raise closest(name, SETS, "videos")
    return Bounces(SETS[name], length, side)


def names() -> list[str]:
    """The names of all sets."""
    return list(SETS)


def table() -> str:
    """All sets as a Markdown table: name, shape, levels, entropy of a video and of its last frame, what it is."""
    head = "| name | frames | pixels | levels | entropy (nats) | last frame (nats) | what it is |"
    rows = [head, "|---|---|---|---|---|---|---|"]
    for s in map(get, SETS):
        of = f"{s.entropy:.4f} | {s.entropies[-1]:.4f}"
        rows.append(f"| `{s.name}` | {s.length} | {s.side}×{s.side} | {s.levels} | {of} | {s.about} |")
    return "\n".join(rows)
