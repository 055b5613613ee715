"""Toy distributions on a grid of levels, with their exact probabilities."""

import operator
from functools import cached_property

import numpy as np

from deepul_utils.toy.distribution import Distribution, as_array, check_count, check_shape, stream


class DiscreteDistribution:
    """`source` cut into `bins` equal levels per dimension of its box; what lies outside joins the end levels.

    name, dims: the source's. Raises ValueError for fewer than two bins.
    """

    def __init__(self, source: Distribution, bins: int):
        self.source, self.name, self.dims = source, source.name, source.dims
        self.bins = operator.index(bins)
        if self.bins < 2:
            raise ValueError(f"A grid has at least 2 bins per dimension, got {bins}.")

    def __repr__(self) -> str:
        return f"<{self.dims}-D DiscreteDistribution {self.name!r} with {self.bins} bins>"

    @cached_property
    def pmf(self) -> np.ndarray:
        """Exact probabilities, float64, shape (bins,) * dims; pmf[i, j] = P(x₁ = i, x₂ = j). Read-only."""
        pmf = self.source.bin_mass([self._edges(dim) for dim in range(self.dims)])
        pmf.flags.writeable = False
        return pmf

    @cached_property
    def entropy(self) -> float:
        """−Σ p log p in nats: the loss that no model beats."""
        return _entropy(self.pmf)

    @cached_property
    def independent_entropy(self) -> float:
        """Sum of the marginals' entropies in nats: the loss of the best model with independent dimensions."""
        return sum(_entropy(self.marginal(dim)) for dim in range(self.dims))

    def marginal(self, dim: int) -> np.ndarray:
        """P(x_dim = i), (bins,)."""
        return self.pmf.sum(axis=tuple(d for d in range(self.dims) if d != dim))

    def sample(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """n draws, int64 (n, dims) in 0 … bins − 1: the source's draws of this seed and split, quantized."""
        # In double precision: a draw rounded to float32 could cross into an empty cell of the checkerboard.
        x = self.source.draw(check_count(n), stream(self.name, seed, split))
        lo, hi = np.array(self.source.support).T
        levels = np.floor((x - lo) / (hi - lo) * self.bins)
        return np.clip(levels, 0, self.bins - 1).astype(np.int64)

    def log_prob(self, x) -> np.ndarray:
        """log P(x) in nats, float64 (n,), of levels (n, dims); −inf where there is no mass.

        Raises ValueError for another shape and for what is not an integer in 0 … bins − 1.
        """
        x = as_array(x)
        check_shape(x, self.dims, self.name)
        valid = (x >= 0) & (x < self.bins) & (x == np.floor(x))
        if not valid.all():
            raise ValueError(f"{self.name} has integer levels 0 … {self.bins - 1}, got {x[~valid][0]}.")
        with np.errstate(divide="ignore"):
            return np.log(self.pmf[tuple(x.astype(np.int64).T)])

    def centers(self, dim: int = 0) -> np.ndarray:
        """The middle of each level on the source's axis, (bins,)."""
        lo, hi = self.source.support[dim]
        return lo + (np.arange(self.bins) + 0.5) * (hi - lo) / self.bins

    def _edges(self, dim: int) -> np.ndarray:
        edges = np.linspace(*self.source.support[dim], self.bins + 1)
        edges[[0, -1]] = -np.inf, np.inf
        return edges


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-np.sum(p * np.log(p)))
