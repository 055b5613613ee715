"""Autoregressive models of small pictures whose conditionals are known: the suite of their family, in nats above them.

The loss is the mean of log p(x) − log q(x), of which chance moves less than of either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from autograder.checks import require
from autograder.families import autoregressive
from autograder.student import Student


@dataclass(frozen=True, kw_only=True)
class Suite(autoregressive.Suite):
    """The suite of the family, whose data are `pictures`."""

    def _grade_held_out(self, student: Student, graded: Callable, seed: int, data, baseline: Callable, n: int) -> None:
        """baseline: nats a picture above the entropy, of a naive model."""
        (examples,) = self._held_out(data, n, seed)
        model, truth = self._trained(student, data), data.log_prob(examples)
        x = model.rows(examples)

        def excess(number: int = n) -> float:
            log_q = self._trained(student, data).densities(x[:number])
            return float((truth[:number] - log_q).mean())

        for found in model.hides_the_future(x, seed):
            require(found)
        few = partial(excess, autoregressive.FEW)
        graded(self._artifact(data), excess, limit=data.entropy, baseline=baseline(), recipe=self.recipe, few=few)
