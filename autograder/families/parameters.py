"""What the parameters of a student's model do: all of them count."""

from collections.abc import Callable

from autograder.properties import parameters
from autograder.properties.finding import Finding
from autograder.student import Handle

SIZES = (0.5, 1.0)  # of the noise of two models whose frozen parameters are the same


def are_all_used(new: Callable[..., Handle], method: str, arguments: tuple, seed: int, networks: int = 3) -> Finding:
    """Every matrix and kernel that is trained moves `method` of what new(seed, perturb=…) makes.

    arguments: of the method. Frozen parameters, and those of one dimension, are not asked: a bias may be of no effect.
    """
    some, more = (new(seed, perturb=size).parameters() for size in SIZES)
    made = (new(seed + k, perturb=SIZES[-1]) for k in range(networks))
    gradients = (of.gradient(method, *arguments, wrt="parameters") for of in made)
    return parameters.are_all_used(gradients, parameters.trainable(some, more), method)
