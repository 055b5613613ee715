"""What any model must do: finite numbers, one row an example, the same answer twice."""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding

# Rows computed in batches of another size may be summed in another order: float32 rounding.
SAME = 1e-4
RANDOM = (
    "Is something random here? Dropout that is on in eval mode, noise that is added where none belongs, or a draw in "
    "the place of a mean."
)
THE_FIRST_ONES = (
    "All examples read the numbers of the batch's first one in the place of their own: [:1] or [0] where [:, …] "
    "belongs?"
)
BY_CHANCE = -14.0  # log of the probability of what happens to one student in a million


def finite(values: np.ndarray, where: str) -> Finding:
    """Every value is finite."""
    bad = int((~np.isfinite(values)).sum())
    measured = "all finite" if not bad else f"{bad} of {values.size} values are nan or infinite"
    return Finding(float(not bad), measured, f"finite values {where}")


def rows_are_independent(function: Callable, x: np.ndarray) -> Finding:
    """f(x)[i] depends on x[i] alone: not on its neighbours in the batch, its place among them, or their number.

    Every second example stays while others take the places between: what is drawn at random is drawn alike, so what
    moves in the rows that stayed was moved by their neighbours. Then the batch is turned round, and cut in half.
    """
    whole = np.asarray(function(x), dtype=np.float64)
    if np.isnan(whole).any():
        return Finding(0.0, f"{int(np.isnan(whole).sum())} of {whole.size} values are nan", "numbers")
    other, half = x.copy(), -(-len(x) // 2)
    other[1::2] = x[0]
    among_others = np.asarray(function(other), dtype=np.float64)
    backwards = np.asarray(function(x[::-1].copy()), dtype=np.float64)[::-1]
    mixed, moved = _difference(whole[::2], among_others[::2], whole), _difference(whole, backwards, whole)
    if max(mixed, moved) <= SAME:
        mixed = _difference(whole[:half], np.asarray(function(x[:half].copy()), dtype=np.float64), whole)
    required = "each row depends on its own example alone"
    if mixed > SAME:
        return Finding(
            0.0,
            f"a row changes by {mixed:.2g} with the rest of its batch",
            required,
            mixed,
            SAME,
            slip="Something mixes the examples of a batch: a sum, a softmax or a normalisation over dimension 0, or a "
            "view that reads another example's numbers.",
        )
    if moved > SAME:
        without_first = np.concatenate([x[-1:], x[1:]])
        reads_first = _difference(whole[1:], np.asarray(function(without_first), dtype=np.float64)[1:], whole) > SAME
        return Finding(
            0.0,
            f"the same example gives another number ({moved:.2g} apart) at another place in the batch",
            required,
            moved,
            SAME,
            slip=THE_FIRST_ONES if reads_first else RANDOM,
        )
    return Finding(1.0, "rows are independent", required, max(mixed, moved), SAME)


def one_example(function: Callable, x: np.ndarray) -> Finding:
    """f of a batch of one is what it says of that example among others; `function` checks the shape.

    Where its rows hang on each other anyway, one example alone is no slip of its own, and that is what is said.
    """
    among_others = np.asarray(function(x), dtype=np.float64)
    alone = np.asarray(function(x[:1]), dtype=np.float64)
    error = _difference(among_others[:1], alone, among_others)
    required = "one example alone gives what it gives in a batch"
    if error <= SAME:
        return Finding(1.0, "the same alone as among others", required, error, SAME)
    slip = "squeeze() without a dimension drops the batch, too, when it holds one example: squeeze(-1), or [:, 0]."
    if len(x) > 2 and _difference(among_others[:2], np.asarray(function(x[:2]), dtype=np.float64), among_others) > SAME:
        slip = (
            "Two examples differ from what they give among others, too: something is computed over the batch, such as "
            "the statistics of a batch norm in training mode, or it is random."
        )
    measured = (
        f"alone an example gives {error:.2g} more or less" if np.isfinite(error) else "alone it is nan or infinite"
    )
    return Finding(0.0, measured, required, error, SAME, slip=slip)


def drawn_anew(
    draw: Callable[[int], np.ndarray], seed: int, what: str = "sample(n)", log_p: Callable | None = None
) -> Finding:
    """draw(seed) -> (n, …): two calls after different seeds of torch, NumPy and Python do not give the same.

    log_p: (n, …) -> (n,), of what is discrete: where the same may come twice by chance it is not asked.
    """
    first, again = draw(seed), draw(seed + 1)
    required = "other draws at every call"
    if not np.array_equal(first, again):
        return Finding(1.0, f"{what} draws anew", required)
    if log_p and log_p(first).sum() > BY_CHANCE:
        return Finding(1.0, "not asked: there is hardly anything else to be drawn", required)
    slip = (
        "A seed is set inside, by torch.manual_seed or in a generator that is made there: take it out, and seed once, "
        "at the top of the notebook. Or nothing is drawn at all: torch.linspace is no noise."
    )
    return Finding(0.0, f"{what} gives the very same draws at every call", required, slip=slip)


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
