"""Does a result rest on the weights that were trained? What a model gives with other weights in their place.

A density that was looked up, a table of the data or a constant stays what it is, whatever the weights are; what was
trained does about as well with weights that are a little off, and much worse with shuffled ones, or with those that it
began with. The grader sends all of them by value, so that nothing in a request says which are the real ones.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from autograder.properties.finding import Finding

SLIGHTLY = 1e-3  # of each weight
SHUFFLES = 3  # one of them must do worse: by chance a shuffled small model may still be a fair one
# Of the points that the real weights earn, others may earn this share; weights a little off must.
MOST = 0.5
# A model as it begins must be farther from the limit, by this share of the way to the baseline.
BEGUN = 0.05
SLIP = (
    "What is measured does not come from the trained weights: is it the data, an exact density, a table or a constant? "
    "Everything that a model has learnt is in its parameters."
)


def slightly(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Weights a thousandth off; zeros, which may be a mask's work, stay."""
    return (values * (1 + SLIGHTLY * rng.standard_normal(values.shape))).astype(values.dtype)


def shuffled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The weights of a tensor in another order, and noise of their size. A mask, of zeros and ones, stays."""
    if np.isin(values, (0, 1)).all() and values.ndim > 1:
        return values
    size = max(float(np.sqrt(np.mean(values.astype(np.float64) ** 2))), 0.1)
    mixed = rng.permuted(values.ravel()).reshape(values.shape)
    return (mixed + size * rng.standard_normal(values.shape)).astype(values.dtype)


OTHERS = ("fresh", "shuffled")  # weights with which a model need not work
CHANGES: dict[str, Callable] = {"slightly": slightly, "shuffled": shuffled}


def changed(weights: dict[str, np.ndarray], parameters, how: str, seed: int) -> dict[str, np.ndarray]:
    """The weights of a model, changed where they are of its `parameters`, and not of buffers. "fresh": none at all."""
    if how == "fresh":
        return {}
    rng = np.random.default_rng(seed)
    real = {k for k in parameters if k in weights and weights[k].dtype.kind == "f" and weights[k].size}
    return {k: CHANGES[how](v, rng) if k in real else v for k, v in weights.items()}


def carry_it(measure: Callable[[str, int], float], share: Callable[[float], float], baseline: float, what: str):
    """A Finding: the result is that of the weights of `what`.

    measure: (how the weights are changed, "" for not at all; a number) -> the loss, nan where the model breaks. share:
    of a loss, of the points. baseline: the loss that earns nothing.
    """
    required = "worse with other weights, and as good with weights a thousandth off"

    def broken(how: str) -> Finding:
        return Finding(0.0, f"{what} {how}", required, slip=SLIP)

    real = measure("", 0)
    least = MOST * share(real)
    if not share(measure("slightly", 0)) >= least:
        return broken("breaks down when its weights are a thousandth off")
    if measure("fresh", 0) - real < BEGUN * abs(baseline - real):
        return broken("is as good with the weights that it begins with")
    if all(share(measure("shuffled", k)) > least for k in range(SHUFFLES)):
        return broken("is as good with its weights shuffled")
    if not share(measure("", 0)) >= least:
        return broken("is worse when it is asked again")
    return Finding(1.0, f"{what} rests on its weights", required)


def carry(finding: Finding, again: Callable[[int], Finding | None]) -> Finding:
    """What was found of a trained model, unless it holds as well with its weights shuffled, again(number).

    None: with these weights it is no model.
    """
    for k in range(SHUFFLES):
        other = again(k)
        if other is None or other.share <= MOST * finding.share:
            return finding
    if TYPE_CHECKING:
        assert other is not None
    return Finding(0.0, f"with all weights shuffled, too: {other.measured}", finding.required, slip=SLIP)
