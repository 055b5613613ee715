"""32×32 images by name: integer levels, labels or factors, separate streams, and exact entropies where known.

    glyphs = images.get("glyphs32", levels=2)
    x = glyphs.sample(1000, seed=0, split="train")   # uint8 (1000, 1, 32, 32)
    x, y = glyphs.sample_labelled(1000)              # y int64 (1000,)

    shapes = images.get("shapes32", levels=4)
    shapes.entropy, shapes.factor_names              # nats; ("kind", "size", "x", "y", "colour", "background")

`python -m deepul_utils.images` prints the table of all sets.
"""

import difflib
from functools import cache
from typing import TYPE_CHECKING, Literal, overload

from deepul_utils.images.digits import Digits
from deepul_utils.images.glyphs import Glyphs
from deepul_utils.images.image_set import ImageSet
from deepul_utils.images.originals import Cifar10, Mnist32, Svhn
from deepul_utils.images.shapes import Shapes

__all__ = ["ImageSet", "get", "names", "table"]

SETS = {cls.name: cls for cls in (Glyphs, Shapes, Digits, Mnist32, Svhn, Cifar10)}


if TYPE_CHECKING:

    @overload
    def get(name: Literal["shapes32"], levels: int | None = None) -> Shapes: ...
    @overload
    def get(name: str, levels: int | None = None) -> ImageSet: ...


def get(name: str, levels: int | None = None) -> ImageSet:
    """The image set called `name`, with `levels` levels per number (None: its usual ones).

    Raises ValueError for an unknown name, with the closest, and for levels that the set does not come in.
    """
    if name not in SETS:
        close = difflib.get_close_matches(str(name), SETS, n=1, cutoff=0.4)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"There is no image set called {name!r}.{hint} Sets: {', '.join(SETS)}.")
    return _get(name, SETS[name].choices[0] if levels is None else levels)


@cache
def _get(name: str, levels: int) -> ImageSet:
    return SETS[name](levels)


def names() -> list[str]:
    """The names of all sets."""
    return list(SETS)


def table() -> str:
    """All sets as a Markdown table: name, channels, levels, entropy in nats, labels or factors, what it is."""
    rows = ["| name | channels | levels | entropy (nats) | labels | what it is |", "|---|---|---|---|---|---|"]
    return "\n".join(rows + [row for name in SETS for row in _rows(name)])


def _rows(name: str) -> list[str]:
    """One row for the numbers of levels that share everything else."""
    groups: dict[str, list[int]] = {}
    for levels in sorted(SETS[name].choices):
        s = get(name, levels)
        entropy = "unknown" if s.entropy is None else f"{s.entropy:.4f} = log {s.configurations:,}"
        factors = [f"{factor} {size}" for factor, size in zip(s.factor_names, s.factor_sizes, strict=True)]
        said = f"{entropy} | {', '.join(factors) or len(s.label_names)} | {s.about} |"
        groups.setdefault(f"{s.shape[0]} | {{}} | {said}", []).append(levels)
    return [f"| `{name}` | {row.format(', '.join(map(str, levels)))}" for row, levels in groups.items()]
