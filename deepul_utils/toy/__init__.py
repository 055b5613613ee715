"""1-D and 2-D distributions by name, with exact densities and entropies, and their versions on a grid.

    smiley = toy.get("smiley")
    x = smiley.sample(1000, seed=0, split="train")  # float32 (1000, 2)
    smiley.log_prob(x), smiley.entropy              # nats

    grid = toy.discrete("smiley", bins=25)
    grid.sample(1000)                               # int64 (1000, 2)
    grid.pmf, grid.entropy                          # (25, 25), nats

`python -m deepul_utils.toy` prints the table of all sets.
"""

import difflib
from functools import cache

from deepul_utils import turn
from deepul_utils.toy.discrete import DiscreteDistribution
from deepul_utils.toy.distribution import Checkerboard, Distribution, as_array, stream
from deepul_utils.toy.mixture import GaussianMixture
from deepul_utils.toy.shapes import BUILDERS

__all__ = [
    "Checkerboard",
    "DiscreteDistribution",
    "Distribution",
    "GaussianMixture",
    "as_array",
    "discrete",
    "get",
    "names",
    "stream",
    "table",
]


@cache
def get(name: str) -> Distribution:
    """The distribution called `name`. Raises ValueError naming the known ones and the closest."""
    if name not in BUILDERS:
        close = difflib.get_close_matches(str(name), BUILDERS, n=1, cutoff=0.4)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"There is no toy set called {name!r}.{hint} Sets: {', '.join(BUILDERS)}.")
    distribution = BUILDERS[name]()
    if turn.number():
        distribution = distribution.moved(turn.matrix(distribution.dims, distribution.is_along_axes))
    distribution.name, distribution.about = name, BUILDERS[name].__doc__
    return distribution


@cache
def discrete(name: str, bins: int) -> DiscreteDistribution:
    """The distribution called `name` on a grid of `bins` levels per dimension.

    Raises ValueError for an unknown name and for fewer than two bins.
    """
    return DiscreteDistribution(get(name), bins)


def names(dims: int | None = None) -> list[str]:
    """The names of all sets, or of those with `dims` dimensions."""
    return [name for name in BUILDERS if dims in (None, get(name).dims)]


def table() -> str:
    """All sets as a Markdown table: name, dimensions, entropy in nats, what it is."""
    rows = ["| name | dims | entropy (nats) | what it is |", "|---|---|---|---|"]
    rows += [f"| `{d.name}` | {d.dims} | {d.entropy:.4f} | {d.about} |" for d in map(get, names())]
    return "\n".join(rows)
