"""Autoregressive models of sequences: the suite of their family, and what kept states must not change.

What is drawn is a function of uniform numbers, draw(u): value t is the level that u_t falls into. So what is kept from
value to value changes no draw, and one pass over the finished sequences proves it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autograder.checks import require
from autograder.families import autoregressive, wholes
from autograder.families.autoregressive import Conditionals
from autograder.properties import autoregressive as properties
from autograder.properties import sequences
from autograder.student import expect, whole

DRAWS = 24  # sequences whose every value is looked at
# A machine that is busy elsewhere is no slip: what does not hold is timed again. Passes are timed so often at least.
TRIES, FEWEST = 3, 3


def drawn(model: Conditionals, u: np.ndarray) -> np.ndarray:
    """What draw(u) gives, int64 (n, dims)."""
    what = f"{model.handle.label}.draw(u)"
    return whole(expect(model.handle.call("draw", u), u.shape, what), what)


@dataclass(frozen=True, kw_only=True)
class Suite(wholes.Suite):
    """The suite of the family, whose samplers keep what they have computed.

    long: options of small models that are long enough to see what is kept, and for how long.
    """

    long: dict

    def draws(self, worth: float, why: str, explain: Callable[[int], str] = lambda t: "") -> Callable:
        """draw(u) gives the levels that its numbers fall into under the logits of the finished sequences.

        explain: the place of the first that does not -> the likely slip.
        """

        def check(student, seed):
            for k in range(self.networks):
                model = self._telling(student, seed + k, **self.long, **self.strong)
                u = np.random.default_rng(seed + k).random((DRAWS, model.dims)).astype(np.float32)
                x = drawn(model, u)
                # Levels outside are found below; the model is not asked about them.
                log_p = properties.log_conditionals(model.logits(x.clip(0, model.levels - 1)))
                require(sequences.falls_into(x, u, log_p, explain))

        return autoregressive._named(check, "What is kept changes no draw", worth, why)

    def speed(self, worth: float, why: str, batch: int, least: float, needs: Callable | tuple = (), **size) -> Callable:
        """Drawing a batch takes a part of the time of a whole pass for each value. size: options of the model."""

        def check(student, seed):
            model = self._telling(student, seed, **size)
            u = np.random.default_rng(seed).random((batch, model.dims)).astype(np.float32)
            for _ in range(TRIES):
                found = sequences.saves_work(*times(model, u), least)
                if found.passed:
                    break
            require(found)

        return autoregressive._named(check, "Drawing saves work", worth, why, needs)


def times(model: Conditionals, u: np.ndarray) -> tuple[float, float]:
    """Seconds that draw(u) takes, and that a whole pass for each value would.

    Passes are timed for as long as the draw took: what else runs on the machine takes as much of either.
    """
    begun = time.perf_counter()
    x = drawn(model, u).clip(0, model.levels - 1)
    cached, passes = time.perf_counter() - begun, 0
    begun = time.perf_counter()
    while passes < FEWEST or time.perf_counter() - begun < cached:
        model.logits(x)
        passes += 1
    return cached, model.dims * (time.perf_counter() - begun) / passes
