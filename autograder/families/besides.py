"""Checks of a suite that ask for more, and what may be asked besides."""

import functools
from collections.abc import Callable, Iterable

import numpy as np

from autograder.checks import require_too
from autograder.families.autoregressive import Conditionals
from autograder.properties import used
from autograder.properties.finding import Finding

EXAMPLES = 8  # by whose log_prob gradients are asked


def besides(check: Callable, *more: Callable[..., Iterable[Finding]]) -> Callable:
    """The check, which requires more, too: (student, seed) -> findings. Its hint is shown where they bring none."""

    @functools.wraps(check)
    def both(student, seed):
        check(student, seed)
        for findings in more:
            for found in findings(student, seed):
                require_too(found)

    return both


def gradients(model: Conditionals, seed: int) -> dict:
    """Of log p of a few random examples, each with a weight of its own, by the parameters."""
    rng = np.random.default_rng(seed)
    x, weight = rng.integers(model.levels, size=(EXAMPLES, model.dims)), rng.normal(size=EXAMPLES).astype(np.float32)
    return model.handle.gradient("log_prob", *model.arguments(x), wrt="parameters", cotangent=weight)


def unused(models: Iterable[Conditionals], seed: int) -> int:
    """How many rows of parameters get no gradient, in none of several networks of one size.

    Their biases are set to zero: large ones, summed over many layers, shut a ReLU for all examples.
    """
    networks = []
    for k, model in enumerate(models):
        parameters = model.handle.parameters()
        model.handle.load({name: np.zeros_like(v) for name, v in parameters.items() if name.endswith("bias")})
        networks.append((parameters, gradients(model, seed + k)))
    return used.unused(networks)
