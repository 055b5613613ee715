"""Do gradients by the parameters of a model say what they do?"""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding
from autograder.properties.parameters import Gradients

# A gradient in double precision is a difference's to a millionth, by steps so short that hardly a kink of a ReLU lies
# in them; in single precision, with larger steps, to some percent. What is detached is missing.
STEPS, SLOPE = (1e-6, 1e-4, 1e-2), 0.05


def gradient_is_the_slope(
    value: Callable[[dict], float], parameters: Gradients, gradients: Gradients, of: str
) -> Finding:
    """Gradients by the parameters are what differences of the output say they are, of one parameter after the other.

    value: {name: values} -> the output, a number, with these parameters in the place of their own. Exact zeros stay:
    they may be a mask's work, which a forward puts back.
    """
    both = {k: (v, gradients.get(k)) for k, v in parameters.items()}
    known = {
        k: (v.astype(float), g * ((v != 0) | (not v.any())))
        for k, (v, g) in both.items()
        if not (v is None or g is None)
    }
    size = max((float(np.linalg.norm(g)) for _, g in known.values()), default=0.0)
    worst, name = 0.0, ""
    for k, (v, g) in known.items():
        told = float(np.linalg.norm(g))
        if told <= SLOPE * size:
            continue
        along = g.astype(float) / told
        off = np.inf
        for step in STEPS:
            slope = (value({k: v + step * along}) - value({k: v - step * along})) / (2 * step)
            off = min(off, abs(slope - told) / max(abs(slope), told))
            if off <= SLOPE:
                break
        worst, name = max((worst, name), (float(off), k))
    required = f"the slopes of {of}, within {SLOPE:.0%}"
    measured = f"the gradient of {of} differs from its slope by up to {worst:.1%}" + (f" ({name})" if name else "")
    slip = f"The gradient is not that of what {of} computes: something on the way is detached, or under no_grad."
    return Finding(float(worst <= SLOPE), measured, required, slip=slip)
