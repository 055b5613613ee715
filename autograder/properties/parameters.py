"""Are all parameters of a model used?"""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from autograder.properties.finding import Finding

Gradients = Mapping[str, np.ndarray | None]


def trainable(some: Gradients, more: Gradients) -> set[str]:
    """The names of the matrices and kernels that are trained.

    some, more: the parameters of two models that differ by how much noise they got: frozen ones get none.
    """
    values = {name: (v, some.get(name)) for name, v in more.items() if v is not None and v.ndim > 1}
    return {name for name, (a, b) in values.items() if b is not None and not np.array_equal(a, b)}


def are_all_used(gradients: Iterable[Gradients], names: Collection[str], of: str) -> Finding:
    """Every one of these parameters moves the output of one of the models at least, in which units may be dead.

    gradients: of the same output of several models with random weights. of: what the output is called.
    """
    used = {name for found in gradients for name, g in found.items() if g is not None and np.any(g)}
    idle, required = sorted(set(names) - used), "every layer that is made counts"
    if not idle:
        return Finding(1.0, required, required)
    more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
    slip = (
        f"{idle[0]} is a parameter of the model, and {of} does not depend on it: its layer is made and not called, or "
        "what it gives is thrown away or detached."
    )
    return Finding(0.0, f"{of} does not move with {idle[0]}{more}", required, slip=slip)
