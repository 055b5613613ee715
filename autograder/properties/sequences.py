"""Sequences: which values an output sees, and draws that are those of the conditionals, number for number."""

from collections.abc import Callable, Iterable

import numpy as np

from autograder.properties.autoregressive import dependencies
from autograder.properties.finding import Finding

# Float32 probabilities of some hundred levels, summed, err by less; a draw this near to the edge of a level says
# nothing.
EDGE = 1e-4


def sees_exactly(networks: Iterable[Callable], dims: int, levels: int, window: int, seed: int = 0) -> Finding:
    """Output i depends on the `window` inputs before it, and on no others.

    networks: several of one architecture with random weights, int64 (B, dims) -> logits (B, dims, levels). Together
    they must see everything: in a single tiny one a path may be shut by chance.
    """
    moved = np.any([dependencies(outputs, dims, levels, seed) for outputs in networks], axis=0)
    back = np.arange(dims)[:, None] - np.arange(dims)
    wanted = (back > 0) & (back <= window)
    required = f"every output sees the {window} values before it, and no others"
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    if np.array_equal(moved, wanted):
        return Finding(1.0, f"every output sees the {window} values before it", required, plot=plot)
    if moved[back <= 0].any():
        i, j = np.argwhere(moved & (back <= 0))[0] + 1
        return Finding(0.0, f"output {i} sees input {j}, its own or a later one", required, plot=plot)
    furthest = int(back[moved].max()) if moved.any() else 0
    if furthest != window:
        return Finding(0.0, f"outputs see up to {furthest} values back", required, plot=plot)
    i, j = np.argwhere(wanted & ~moved)[0] + 1
    return Finding(0.0, f"output {i} does not see input {j}", required, plot=plot)


def falls_into(
    x: np.ndarray, u: np.ndarray, log_p: np.ndarray, explain: Callable[[int], str] = lambda t: ""
) -> Finding:
    """Every value of x is the level that its number u falls into: the sum of the probabilities below it is < u.

    x: int (n, dims). u: (n, dims) in [0, 1). log_p: log-conditionals of every level at x, (n, dims, levels). explain:
    the place, from 1 on, where draws first go wrong -> the likely slip.
    """
    p = np.exp(log_p)
    above = np.cumsum(p, axis=-1)
    inside = (x >= 0) & (x < p.shape[-1])
    at = np.where(inside, x, 0)[..., None]
    top, own = (np.take_along_axis(values, at, axis=-1)[..., 0] for values in (above, p))
    right = inside & (u <= top + EDGE) & (u >= top - own - EDGE)
    wrong = int((~right).sum())
    required = "each value is the level that its u falls into, given those before it"
    if not wrong:
        return Finding(1.0, f"all {x.size:,} values are the levels that their u fall into", required)
    first = int(np.flatnonzero((~right).any(axis=0))[0]) + 1
    measured = f"{wrong:,} of {x.size:,} values are other levels, from value {first} on"
    return Finding(0.0, measured, required, slip=explain(first))


def saves_work(cached: float, naive: float, least: float) -> Finding:
    """Drawing takes less time than a whole pass a value: seconds of both, and how many times faster it must be."""
    ratio = naive / max(cached, 1e-9)
    return Finding(
        float(ratio >= least),
        f"drawing is {ratio:.3g} times as fast as a whole pass a value",
        f"at least {least:g} times",
        ratio,
        least,
        "at least",
    )
