"""Gradients of what a student's model says, by its parameters."""

import numpy as np

from autograder.properties import slopes
from autograder.properties.finding import Finding
from autograder.student import Handle


def gradient_is_the_slope(made: Handle, method: str, arguments: tuple) -> Finding:
    """The gradients of Σ `method` by the parameters are its slopes. The model keeps its parameters."""
    gradients = made.gradient(method, *arguments, wrt="parameters")

    def value(changed: dict[str, np.ndarray]) -> float:
        made.load(changed)
        total = float(np.sum(made.call(method, *arguments), dtype=np.float64))
        made.load({name: before[name] for name in changed})
        return total

    before = {name: values for name, values in made.parameters().items() if values is not None}
    return slopes.gradient_is_the_slope(value, before, gradients, method)
