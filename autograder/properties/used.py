"""Is everything used that a network is made of? What gets no gradient was made and not called, or is cut off."""

from collections.abc import Iterable, Mapping

import numpy as np

from autograder.properties.finding import Finding

Arrays = Mapping[str, np.ndarray | None]
# Of the numbers that a slip would leave without a gradient, so many are enough: a ReLU that is shut leaves a few.
PART = 0.75
ROUNDING = 1e-9  # a gradient that is zero by mathematics is hardly more than this in float32, relative to the others
BOUNDED = 2.5  # softmax, sigmoid and tanh give numbers of which no two are further apart than 2


def unused(networks: Iterable[tuple[Arrays, Arrays]]) -> int:
    """How many rows of parameters get no gradient, in none of several random networks of one size.

    networks: the parameters and their gradients. A row of a weight belongs to one output of a layer, and stands for
    all its numbers: some of them may be masked. Masks that are parameters are not asked.
    """
    idle: dict[str, np.ndarray] = {}
    for parameters, gradients in networks:
        for name, values in parameters.items():
            if values is None or not values.size or np.isin(values, (0, 1)).all():
                continue
            gradient = gradients.get(name)
            moved = np.zeros(values.shape) if gradient is None else np.abs(gradient)
            rows = moved.reshape(len(values), -1).max(axis=1) if values.ndim else moved[None]
            idle[name] = idle.get(name, True) & (rows == 0)
    return sum(int(rows.sum()) for rows in idle.values())


def none_is_left_out(few: int, many: int, more: str, least: int, slip: str) -> Finding:
    """A network of more layers has no more rows of weights that do nothing.

    few, many: `unused` rows of two networks, the second of more layers; more: what it has more of, in words. least: so
    many rows at least would be idle, if one matrix of each of these layers were.
    """
    idle, required = many - few, "every layer’s weights have a part in log_prob"
    if idle < PART * least:
        return Finding(1.0, required, required)
    return Finding(0.0, f"with {more}, {idle} rows of weights more get no gradient of log_prob", required, slip=slip)


def is_trained_by(inner: Arrays, outer: Arrays, what: str, slip: str) -> Finding:
    """Every parameter that has a part in `what` gets a gradient of log_prob, too.

    inner, outer: gradients of `what` and of log_prob, by the parameters' names.
    """
    required = f"log_prob has a gradient by the weights that {what} is computed with"
    sizes = {name: float(np.abs(g).max()) for name, g in inner.items() if g is not None and g.size}
    large = max(sizes.values(), default=0.0)
    for name, size in sizes.items():
        g = outer.get(name)
        if size > ROUNDING * large and (g is None or not np.any(g)):
            return Finding(0.0, f"{name} has a part in {what}, and gets no gradient of log_prob", required, slip=slip)
    return Finding(1.0, required, required)


def are_unnormalised(logits: np.ndarray) -> Finding:
    """Logits of large random weights, (…, levels), lie far apart, as no probabilities do; some are below zero."""
    apart = float(np.ptp(logits, axis=-1).max())
    required = "logits may be any numbers"
    if apart < BOUNDED:
        low, high = logits.min(), logits.max()
        return Finding(
            0.0,
            f"however large the weights are, logits lie between {low:.2g} and {high:.2g}",
            required,
            slip="Logits are what the last layer gives: no softmax, no sigmoid and no tanh behind it. log_prob takes "
            "the log_softmax of them.",
        )
    if logits.min() == 0 and (logits == 0).any(axis=tuple(range(logits.ndim - 1))).sum() > 1:
        return Finding(
            0.0, "no logit is below zero, and many are 0", required, slip="No ReLU comes after the last layer."
        )
    return Finding(1.0, "logits lie far apart", required)
