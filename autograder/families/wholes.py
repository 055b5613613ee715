"""Autoregressive models whose data tell how probable a whole example is, in an order that need not be the model's.

The loss is the mean of log p(x) − log q(x) over held-out examples, which chance moves less than the mean of either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from autograder.checks import require
from autograder.families import autoregressive
from autograder.families.autoregressive import Conditionals
from autograder.student import Student


@dataclass(frozen=True, kw_only=True)
class Suite(autoregressive.Suite):
    """The suite of the family. parts: of an example, a loss is in nats of one of them: frames, or letters."""

    parts: int = 1

    def _rows(self, model: Conditionals, examples: np.ndarray) -> np.ndarray:
        """What the model is asked about: examples, int (n, *shape) -> int64 (n, dims)."""
        return model.rows(examples)

    def _grade_held_out(self, student: Student, graded: Callable, seed: int, data, baseline: Callable, n: int) -> None:
        """baseline: nats of a part above the entropy, of a naive model."""
        (examples,) = self._held_out(data, n, seed)
        log_p = data.log_prob(examples)

        def excess(number: int = n) -> float:
            model = self._trained(student, data)
            log_q = model.densities(self._rows(model, examples[:number]))
            return float((log_p[:number] - log_q).mean()) / self.parts

        model = self._trained(student, data)
        for found in model.hides_the_future(self._rows(model, examples), seed):
            require(found)
        few, limit = partial(excess, autoregressive.FEW), data.entropy / self.parts
        graded(self._artifact(data), excess, limit=limit, baseline=baseline(), recipe=self.recipe, few=few)
