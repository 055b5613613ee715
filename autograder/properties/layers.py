"""Are the layers of a network layers of their own?"""

from collections.abc import Mapping

import numpy as np

from autograder.properties.finding import Finding

SHARED = (
    "One layer stands in several places: [layer] * n and (layer,) * n repeat the same object, weights and all. Make a "
    "new one each time: [layer() for _ in range(n)]."
)


def are_their_own(stored: Mapping[str, np.ndarray], parameters: Mapping[str, np.ndarray]) -> Finding:
    """No parameter is used under two names.

    stored: the state by name, where a shared parameter stands once for every place that it is used in. parameters:
    each of them once. With random values no two are equal by chance.
    """
    if not isinstance(stored, Mapping):
        return Finding(0.0, "state_dict() gave no weights by their names", "every layer has weights of its own")
    of_parameters = {
        values.tobytes(): name for name, values in parameters.items() if not np.isin(values, (0, 1)).all()
    }  # masks may be shared
    twins = [
        (of_parameters[values.tobytes()], name)
        for name, values in stored.items()
        if name not in parameters and isinstance(values, np.ndarray) and values.tobytes() in of_parameters
    ]
    required = "every layer has weights of its own"
    if not twins:
        return Finding(1.0, required, required)
    first, second = twins[0]
    more = f", and {len(twins) - 1} more" if len(twins) > 1 else ""
    return Finding(0.0, f"{second} is the same parameter as {first}{more}", required, slip=SHARED)


def grows(few: int, many: int, name: str, of: str) -> Finding:
    """A model of more layers has more parameters: each has its own, and the model knows of them.

    few, many: how many numbers are in the parameters of two models, the second of more layers.
    """
    required = f"more {of}, more parameters"
    if not many:
        return Finding(
            0.0,
            f"{name} has no parameters",
            required,
            slip="No parameters were found. Layers in a plain Python list are not seen, neither by the optimiser nor "
            "by the weights file: nn.ModuleList keeps them.",
        )
    measured = f"{name} has {few:,} parameters with few {of}, and {many:,} with many"
    slip = (
        f"The number of parameters does not grow with the number of {of}: either they are one and the same object "
        "([layer] * n repeats it), or in a plain Python list, and not in an nn.ModuleList; or the number is not used."
    )
    return Finding(float(many > few), measured, required, slip="" if many > few else slip)
