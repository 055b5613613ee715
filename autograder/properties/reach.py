"""Gradients: do they reach what a network is made of, and say by how much its outputs change?"""

from collections.abc import Mapping, Sequence

import numpy as np

from autograder.properties.finding import Finding

CUT = "Or its gradient is cut on the way: by detach(), .data or no_grad."
# Units that a relu shuts for all examples count for nothing; a matrix that is missing is a larger part than this.
SPARE = 0.06
# Of directions in which all parameters move at once, and how far, in single and in double precision.
DIRECTIONS = 4
STEP = (1e-4, 1e-6)
# Of the size of a derivative: what is cut off is a large part of it; rounding, and kinks of relu, a thousandth.
AGREE = 0.05


def reached(gradients: Mapping[str, np.ndarray | None]) -> int:
    """How many numbers of matrices and kernels have a gradient that is not zero.

    Of biases nothing is asked: those of keys have none by mathematics, as a softmax knows no shift.
    """
    return sum(int(np.count_nonzero(g)) for g in gradients.values() if g is not None and g.ndim > 1)


def in_any(gradients: Sequence[Mapping[str, np.ndarray | None]]) -> dict[str, np.ndarray]:
    """What has a gradient in any of several random networks of one shape: in a single one a relu shuts some units."""
    found: dict[str, np.ndarray] = {}
    for of_one in gradients:
        for name, g in of_one.items():
            if g is not None:
                found[name] = np.abs(g) + found.get(name, 0)
    return found


def reaches(gradients: Mapping[str, np.ndarray | None], number: int, of: str, made_of: str, slip: str) -> Finding:
    """About so many weights count, or more. made_of: what these are; slip: what one may have done instead."""
    counted = reached(gradients)
    ok = counted >= (1 - SPARE) * number
    measured = f"of {of} {counted:,} weights decide what comes out, as its gradient says"
    return Finding(float(ok), measured, f"about {number:,}, or more: {made_of}", slip="" if ok else f"{slip} {CUT}")


def agree(said: np.ndarray, found: np.ndarray, of: str, within: float = AGREE) -> Finding:
    """Derivatives in random directions, by the gradient and by differences, (n,) both, are the same."""
    size = float(np.sqrt((found**2).mean()))
    k = int(np.abs(said - found).argmax())
    ok = bool(abs(said[k] - found[k]) <= within * size)  # nan is none
    measured = f"{of} changes by {found[k]:.3g} a step where its gradient says {said[k]:.3g}"
    slip = "The gradient is cut on its way to some of the parameters: by detach(), .data, .item() or no_grad."
    return Finding(float(ok), measured, "the gradient says by how much", slip="" if ok else slip)
