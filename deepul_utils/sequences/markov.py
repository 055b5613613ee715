"""Markov sources: each value depends on the last few, by a table of probabilities."""

from functools import cached_property

import numpy as np

from deepul_utils.sequences.sequence_set import SequenceSet
from deepul_utils.toy.distribution import stream

ALPHABET = 6
SHARP = 4  # uniform numbers to this power: most probabilities are small, some are large
ROUNDS = 4000  # of the chain, to where it stays


class Markov(SequenceSet):
    """p(x_t | x_{t−order} … x_{t−1}) = table[x_{t−order}, …, x_t]; the first values are as if it had run for ever.

    order: 1 or more. table: float64, shape (levels,) * (order + 1).
    """

    def __init__(self, order: int, length: int, levels: int = ALPHABET):
        last = "the last value" if order == 1 else f"the last {order} values"
        super().__init__(f"markov{order}", f"Each value depends on {last}, by a table.", length, levels)
        if length <= order:
            raise ValueError(f"{self.name}: a sequence is longer than {order} values, got a length of {length}.")
        self.order = order
        u = stream(f"{self.name} table", 0).random((levels,) * (order + 1)) ** SHARP
        self.table = u / u.sum(axis=-1, keepdims=True)

    @cached_property
    def first(self) -> np.ndarray:
        """Probabilities of `order` values in a row, float64 (levels,) * order."""
        p = np.full((self.levels,) * self.order, float(self.levels) ** -self.order)
        for _ in range(ROUNDS):
            p = (p[..., None] * self.table).sum(axis=0)
        return p / p.sum()

    @cached_property
    def entropy_rate(self) -> float:
        """Nats of one more value, given those before it."""
        return float((self.first * _entropies(self.table)).sum())

    def draw(self, n, rng):
        """n sequences, uint8 (n, length), and zeros for labels."""
        u = rng.random((self.length, n))
        x = np.empty((self.length, n), dtype=np.int64)
        for t in range(self.length):
            p = self._conditional(x[max(0, t - self.order) : t])
            x[t] = (p.cumsum(axis=-1)[..., :-1] <= u[t, :, None]).sum(axis=-1)
        return np.ascontiguousarray(x.T.astype(np.uint8)), np.zeros(n, dtype=np.int64)

    def _conditional(self, past: np.ndarray) -> np.ndarray:
        """Probabilities of every level after the last values (k, n), oldest first: (n or 1, levels)."""
        k = len(past)
        if k == self.order:
            return self.table[tuple(past)]
        joint = self.first.sum(axis=tuple(range(k + 1, self.order)))  # of k + 1 values
        return (joint / joint.sum(axis=-1, keepdims=True))[tuple(past)] if k else joint[None]

    def _log_conditionals(self, x):
        columns, log_p = x.T, np.empty(x.shape)
        with np.errstate(divide="ignore"):
            for t in range(self.length):
                p = self._conditional(columns[max(0, t - self.order) : t])
                p = np.broadcast_to(p, (len(x), self.levels))
                log_p[:, t] = np.log(p[np.arange(len(x)), columns[t]])
        return log_p

    def _entropy(self):
        start = float(-(self.first[self.first > 0] * np.log(self.first[self.first > 0])).sum())
        return start + (self.length - self.order) * self.entropy_rate


def _entropies(p: np.ndarray) -> np.ndarray:
    """Of the last axis, in nats."""
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)
