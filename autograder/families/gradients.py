"""Is what a model is trained by the gradient of its loss? One that is cut on the way teaches only what lies behind."""

import numpy as np

from autograder.properties import reach
from autograder.properties.finding import Finding
from autograder.student import Handle, expect


def told(
    handle: Handle,
    *arguments: np.ndarray,
    seed: int = 0,
    method: str = "log_prob",
    steps: tuple[float, float] = reach.STEP,
    within: float = reach.AGREE,
) -> Finding:
    """The gradient of a random sum of log p says by how much it changes where parameters do.

    steps: how far these move, in single and in double precision. within: what share of a derivative may be missing.

    What is exactly 0 stays, as what a mask hides does, and so does what no gradient reaches: it may be frozen, or a
    row of `padding_idx`.
    """
    rng, shape = np.random.default_rng(seed), (len(arguments[0]),)
    weights = rng.normal(size=shape)

    def loss() -> tuple[float, bool]:
        values = expect(handle.call(method, *arguments), shape, f"{handle.label}.{method}(x)")
        return float(weights @ values), values.dtype == np.float64

    gradients = handle.gradient(method, *arguments, wrt="parameters", cotangent=weights)
    of = {k: g.astype(float) for k, g in gradients.items() if g is not None}
    before = {k: v for k, v in handle.parameters().items() if k in of}
    step = steps[loss()[1]]
    said, found = [], []
    for _ in range(reach.DIRECTIONS):
        along = {k: rng.normal(size=v.shape) * ((v != 0) & (of[k] != 0)) for k, v in before.items()}
        said.append(sum(float((of[k] * v).sum()) for k, v in along.items()))
        both = []
        for side in (step, -step):
            handle.load({k: v + side * along[k] for k, v in before.items()})
            both.append(loss()[0])
        found.append((both[0] - both[1]) / (2 * step))
    handle.load(before)
    return reach.agree(np.array(said), np.array(found), method, within)
