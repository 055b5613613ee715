"""What every toy distribution is: a seeded sampler and an exact density."""

import operator
import zlib
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from deepul_utils import turn

SPLITS = ("train", "validation", "test")
# Keeps the kit's streams apart from those of a notebook that seeds NumPy with the same small integers.
KIT = 0x6465_6570
# Beyond it x² leaves float64; the density there is zero to every digit.
FAR = 1e140
# Numbers in one block of the table of points × components: half a megabyte, whatever the number of points.
# It stays in the processor's cache; blocks of 4 MB took seven times as long.
BLOCK = 2**16


def stream(name: str, seed: int | np.random.Generator = 0, split: str = "train") -> np.random.Generator:
    """The random stream of one data set, split and seed; no two of them overlap.

    A Generator is returned as it is, and then `split` is not used.
    Raises ValueError for an unknown split or a negative seed, TypeError for a seed that is no integer.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if split not in SPLITS:
        raise ValueError(f"There is no split called {split!r}. Splits: {', '.join(SPLITS)}.")
    seed = operator.index(seed)
    if seed < 0:
        raise ValueError(f"A seed is a non-negative integer, got {seed}.")
    key = [KIT, zlib.crc32(name.encode()), SPLITS.index(split), seed]
    key += [turn.number()] if turn.number() else []
    return np.random.default_rng(np.random.SeedSequence(key))


def as_array(x) -> np.ndarray:
    """`x` as a NumPy array; a torch tensor may need gradients or live on an accelerator."""
    if not hasattr(x, "detach"):
        return np.asarray(x)
    x = x.detach().cpu()
    return np.asarray(x.float() if str(x.dtype) == "torch.bfloat16" else x)  # NumPy has no such numbers


def check_count(n: int) -> int:
    """`n` as an int. Raises ValueError for a negative number of samples."""
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"The number of samples is a non-negative integer, got {n}.")
    return n


def check_shape(x: np.ndarray, dims: int, name: str) -> None:
    """Raises ValueError unless `x` is (n, dims)."""
    if x.ndim != 2 or x.shape[1] != dims:
        raise ValueError(f"{name} expects points of shape (n, {dims}), got {x.shape}.")


class Distribution:
    """A continuous distribution over `dims` dimensions, with its exact density.

    support: the plotting box, one (lo, hi) per dimension; mass may lie outside it.
    A subclass has `draw` (samples from a generator), `_log_density` (of a block of points), `_entropy`,
    `bin_mass` (the mass of each cell of a grid), `is_along_axes` and `moved`.
    """

    if TYPE_CHECKING:
        support: tuple[tuple[float, float], ...]

    def __init__(self, dims: int, support=None, name: str = "unnamed", about: str = ""):
        self.dims, self.name, self.about = dims, name, about
        self.support = tuple(support or ((-4.0, 4.0),) * dims)

    def __repr__(self) -> str:
        return f"<{self.dims}-D {type(self).__name__} {self.name!r}>"

    def sample(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """n draws, float32 (n, dims). `split` is "train", "validation" or "test": separate streams.

        Raises ValueError for a negative n or seed and for an unknown split.
        """
        return self.draw(check_count(n), stream(self.name, seed, split)).astype(np.float32)

    def log_prob(self, x) -> np.ndarray:
        """log p(x) in nats, float64 (n,), of points (n, dims), an array or a tensor.

        Points with an infinite coordinate have log p = −inf, with a nan coordinate nan.
        Raises ValueError for any other shape.
        """
        x = as_array(x).astype(np.float64)
        check_shape(x, self.dims, self.name)
        log_p = np.where(np.isnan(x).any(axis=1), np.nan, -np.inf)
        near = np.flatnonzero((np.abs(x) < FAR).all(axis=1))
        for start in range(0, len(near), self._block):
            rows = near[start : start + self._block]
            log_p[rows] = self._log_density(x[rows])
        return log_p

    @cached_property
    def entropy(self) -> float:
        """−E[log p(x)] in nats: the loss that no model beats."""
        return float(self._entropy())

    @property
    def is_along_axes(self) -> bool:
        """Whether its shape is aligned with the axes: turned by an angle, it would be another kind of set."""
        return False

    @property
    def _block(self) -> int:
        """Points to evaluate at once."""
        return BLOCK

    def moved(self, M: np.ndarray) -> "Distribution":
        """The distribution of M x. M: orthogonal, (dims, dims); where the set is along the axes, it exchanges or
        mirrors them only.
        """
        raise NotImplementedError

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n draws in double precision, float64 (n, dims)."""
        raise NotImplementedError

    def bin_mass(self, edges: list[np.ndarray]) -> np.ndarray:
        """P(x in cell) of the grid with these edges, one increasing array of bins + 1 per dimension.

        The outermost edges may be infinite. Returns float64, shape (bins,) * dims.
        """
        raise NotImplementedError

    def _log_density(self, x: np.ndarray) -> np.ndarray:
        """log p of finite points: float64 (n, dims) → (n,)."""
        raise NotImplementedError

    def _entropy(self) -> float:
        raise NotImplementedError


class Checkerboard(Distribution):
    """Uniform on the squares of one colour of a 4 × 4 board with squares of side 2."""

    side = 2.0
    is_along_axes = True

    def __init__(self, corners=None, **labels):
        super().__init__(dims=2, **labels)
        i, j = np.indices((4, 4)).reshape(2, -1)
        even = (i + j) % 2 == 0
        ours = np.stack([i, j], axis=1)[even] * self.side - 4.0
        self.corners = ours if corners is None else corners  # of each square the lower left one, (8, 2)

    def moved(self, M):
        """The board of M x, where M exchanges or mirrors axes."""
        return Checkerboard((self.corners + self.side / 2) @ M.T - self.side / 2)

    def draw(self, n, rng):
        """n draws in double precision, float64 (n, 2): a square at random, then a point of it."""
        square = rng.integers(len(self.corners), size=n)
        return self.corners[square] + self.side * rng.random((n, 2))

    def bin_mass(self, edges):
        """P(x in cell), float64 (bins, bins): of each square the share of its area that lies in the cell."""
        first, second = (self._overlap(corner, e) for corner, e in zip(self.corners.T, edges, strict=True))
        return first.T @ second / len(self.corners)

    def _overlap(self, corner: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """Share of each square's side that lies in each bin: (squares, bins)."""
        lo, hi = corner[:, None], corner[:, None] + self.side
        length = np.minimum(hi, edges[1:]) - np.maximum(lo, edges[:-1])
        return np.maximum(length, 0.0) / self.side

    def _log_density(self, x):
        # Closed squares: a draw that float32 rounds up to a square's far edge keeps its density.
        inside = (x[:, None] >= self.corners) & (x[:, None] <= self.corners + self.side)  # (n, 8, 2)
        return np.where(inside.all(axis=2).any(axis=1), -self._entropy(), -np.inf)

    def _entropy(self):
        return np.log(len(self.corners) * self.side**2)  # log of the area
