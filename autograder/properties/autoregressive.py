"""Causality: which outputs move when one input is changed."""

from collections.abc import Callable, Iterable

import numpy as np

from autograder.properties.finding import Finding

# Masked weights are exactly zero, so an output that may not see an input does not move by one bit when
# both queries have the same shape. The margin is for kernels that sum in another order from call to call:
# those move float32 outputs by 1e-7 of their size, a real dependence in a random network by 1e-3.
MOVED = 1e-5
BASE_POINTS = 64
# A sum of tens of thousands of bounded terms is close to normal; a right sampler fails so seldom.
TYPICAL = 1e-6


def dependencies(outputs: Callable, dims: int, levels: int, seed: int = 0) -> np.ndarray:
    """Boolean (dims, dims): entry [i, j] says whether output i moved when only input j was changed.

    outputs: int64 (B, dims) -> float (B, dims, ...).
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(levels, size=(BASE_POINTS, dims))
    base = np.asarray(outputs(x), dtype=np.float64).reshape(BASE_POINTS, dims, -1)
    size = 1 + np.abs(base[np.isfinite(base)]).max(initial=0)
    moved = np.zeros((dims, dims), dtype=bool)
    for j in range(dims):
        changed = x.copy()
        changed[:, j] = (x[:, j] + rng.integers(1, levels, size=BASE_POINTS)) % levels
        now = np.asarray(outputs(changed), dtype=np.float64).reshape(BASE_POINTS, dims, -1)
        moved[:, j] = ~np.isclose(now, base, rtol=0, atol=MOVED * size).all(axis=(0, 2))  # nan counts as moved
    return moved


def is_strict_order(outputs: Callable, dims: int, levels: int, seed: int = 0) -> Finding:
    """No output depends on its own input, not even through others: "depends on" is a strict partial order.

    Any ordering of the variables is accepted.
    """
    moved = dependencies(outputs, dims, levels, seed)
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    required = "no output sees its own input"
    loops = _in_loops(moved) + 1
    if not len(loops):
        return Finding(1.0, "no output sees its own input", required, plot=plot)
    direct = np.flatnonzero(moved.diagonal()) + 1
    if len(direct):
        which = f"output {direct[0]} moves" if len(direct) == 1 else f"outputs {_listed(direct)} move"
        what = f"{which} when their own input changes" if len(direct) > 1 else f"{which} when its own input changes"
    else:
        what = f"outputs {_listed(loops)} of {dims} depend on each other in a circle"
    return Finding(0.0, what, required, plot=plot)


def is_total_order(outputs: Callable, dims: int, levels: int, seed: int = 0) -> Finding:
    """Every output depends on *all* inputs before it: the k-th in the order on exactly those k − 1.

    Without loops, these counts leave room for one order only.
    """
    moved = dependencies(outputs, dims, levels, seed)
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    counts = np.sort(moved.sum(axis=1))
    required = f"{_listed(np.arange(dims))} inputs seen by the outputs, in some order"
    measured = f"{_listed(counts)} inputs seen"
    if len(loops := _in_loops(moved) + 1):
        measured += f", and outputs {_listed(loops)} see their own input or each other's"
    ok = not len(loops) and np.array_equal(counts, np.arange(dims))
    return Finding(float(ok), measured, required, plot=plot)


def sees_exactly_its_past(networks: Iterable[Callable], dims: int, levels: int, seed: int = 0) -> Finding:
    """Output i depends on inputs 1 … i − 1, on all of them and on nothing else, in the order of the variables.

    networks: several of one architecture with random weights. None may see too much, and together they must see
    everything: in a single tiny one a path may be shut by chance.
    """
    moved = np.any([dependencies(outputs, dims, levels, seed) for outputs in networks], axis=0)
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    past = np.tri(dims, k=-1, dtype=bool)
    required = "every output sees all inputs before it, and no other"
    for wrong, what in ((moved & ~past, "sees"), (past & ~moved, "does not see")):
        if wrong.any():
            i, j = np.argwhere(wrong)[0] + 1
            return Finding(
                0.0, f"output {i} {what} input {j}; so do {int(wrong.sum()) - 1} other pairs", required, plot=plot
            )
    return Finding(1.0, "every output sees exactly its past", required, plot=plot)


def typical(samples: np.ndarray, log_p: np.ndarray) -> Finding:
    """Saved samples are draws of the model whose conditionals they are measured under.

    samples: int (n, dims). log_p: normalised conditional log-probabilities of every level, (n, dims, levels), at
    these samples. Σ_i (log p(x_i | x_{<i}) + H_i), with H_i the entropy of the i-th conditional, is a sum of
    martingale differences: its mean is zero and its variance is the sum of the conditional ones, whatever the model.
    """
    from scipy.stats import norm

    chosen = np.take_along_axis(log_p, samples[..., None].astype(np.int64), axis=-1)[..., 0]
    p = np.exp(log_p)
    surprise = np.where(p > 0, log_p, 0.0)
    mean = (p * surprise).sum(axis=-1)  # −H_i
    variance = float((p * (surprise - mean[..., None]) ** 2).sum())
    required = f"as probable as the model's own draws (p > {TYPICAL:g})"
    if not np.isfinite(chosen).all():
        return Finding(0.0, "the model gives some of the samples no probability at all", required)
    off = float((chosen - mean).sum())
    rounding = 1e-6 * chosen.size  # a model of equal or of certain levels only has no variance
    p_value = 2 * norm.sf(abs(off) / max(np.sqrt(variance), rounding))
    nats = f"{abs(off) / len(samples):.3g} nats an image {'more' if off > 0 else 'less'} probable than its own draws"
    ok = p_value > TYPICAL
    return Finding(float(ok), f"samples are {nats} (p = {p_value:.2g})", required, p_value, TYPICAL, "p-value")


def _in_loops(moved: np.ndarray) -> np.ndarray:
    """The outputs that depend on their own input, directly or through others."""
    reach = moved.copy()
    for k in range(len(reach)):  # Warshall's transitive closure
        reach |= np.outer(reach[:, k], reach[k])
    return np.flatnonzero(reach.diagonal())


def _listed(indices: np.ndarray) -> str:
    return ", ".join(map(str, indices))
