"""Autoregressive models of small pictures whose conditionals are known: the suite of their family, in nats above them.

The loss is the mean over pictures of Σ_i KL(p_i ‖ q_i), of what each value is given those before it: the same as the
mean of log p(x) − log q(x), with less chance in it, and never below zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from autograder.checks import require
from autograder.families import autoregressive
from autograder.student import Student


@dataclass(frozen=True, kw_only=True)
class Suite(autoregressive.Suite):
    """The suite of the family, whose data are `pictures`."""

    def _grade_held_out(self, student: Student, graded: Callable, seed: int, data, baseline: Callable, n: int) -> None:
        """baseline: nats a picture above the entropy, of a naive model."""
        (examples,) = self._held_out(data, n, seed)
        model = self._trained(student, data)
        x, p = model.rows(examples), model.rows(data.conditionals(examples))

        def excess(number: int = n) -> float:
            log_q = self._trained(student, data).log_conditionals(x[:number])
            return divergence(p[:number], log_q) / number

        for found in model.hides_the_future(x, seed):
            require(found)
        few = partial(excess, autoregressive.FEW)
        graded(self._artifact(data), excess, limit=data.entropy, baseline=baseline(), recipe=self.recipe, few=few)


def divergence(p: np.ndarray, log_q: np.ndarray) -> float:
    """Σ p (log p − log q) in nats, of probabilities and log-probabilities of every level, (n, dims, levels)."""
    seen = p > 0
    return float((p[seen] * (np.log(p[seen]) - log_q[seen])).sum())
