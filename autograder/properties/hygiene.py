"""What any model must do: finite numbers, one row an example, the same answer twice."""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding

# Rows computed in batches of another size may be summed in another order: float32 rounding.
SAME = 1e-4


def finite(values: np.ndarray, where: str) -> Finding:
    """Every value is finite."""
    bad = int((~np.isfinite(values)).sum())
    measured = "all finite" if not bad else f"{bad} of {values.size} values are nan or infinite"
    return Finding(float(not bad), measured, f"finite values {where}")


def rows_are_independent(function: Callable, x: np.ndarray) -> Finding:
    """f(x)[i] depends on x[i] alone: not on its neighbours in the batch, their order or their number."""
    whole = np.asarray(function(x), dtype=np.float64)
    backwards = np.asarray(function(x[::-1].copy()), dtype=np.float64)[::-1]
    single = np.asarray(function(x[:1]), dtype=np.float64)
    error = max(_difference(whole, backwards, whole), _difference(whole[:1], single, whole))
    ok = error <= SAME
    measured = "rows are independent" if ok else f"a row changes by {error:.2g} with the rest of its batch"
    return Finding(
        float(ok), measured, "each row depends on its own example alone", error, SAME,
        slip="Something mixes the examples of a batch: a sum or a normalisation over dimension 0.",
    )  # fmt: skip


def _difference(a: np.ndarray, b: np.ndarray, scale: np.ndarray) -> float:
    """The largest difference, relative to the size of `scale`; infinite where only one is finite, or either nan."""
    same = a == b  # infinities of one sign too
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0, np.nan_to_num(np.abs(a - b), nan=np.inf)).max()
    return float(error / (1 + np.abs(scale[np.isfinite(scale)]).max(initial=0)))


def in_range(samples: np.ndarray, levels: int) -> Finding:
    """Integer samples lie in 0 … levels − 1."""
    required = f"levels from 0 to {levels - 1}"
    if not np.issubdtype(samples.dtype, np.integer):
        return Finding(0.0, f"samples of type {samples.dtype}", f"integer {required}")
    low, high = int(samples.min()), int(samples.max())
    return Finding(float(low >= 0 and high < levels), f"levels from {low} to {high}", required)
