"""Discrete densities: they sum to one, and their sampler draws from them."""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding

LogProb = Callable[[np.ndarray], np.ndarray]

# Float32 log-probabilities of up to a few thousand states, exponentiated and summed, err below 1e-5.
SUM_TOLERANCE = 1e-4
# A right sampler fails one time in ten thousand; a wrong one shows p-values below 1e-20 at 4,000 draws.
P_VALUE = 1e-4


def states(dims: int, levels: int) -> np.ndarray:
    """Every state of `dims` variables with `levels` values each: int64 (levels**dims, dims)."""
    return np.indices((levels,) * dims).reshape(dims, -1).T.astype(np.int64)


def table(log_prob: LogProb, dims: int, levels: int, seed: int = 0) -> np.ndarray:
    """log p of every state, (levels**dims,), asked for in shuffled order: no code can tell it from data."""
    grid = states(dims, levels)
    order = np.random.default_rng(seed).permutation(len(grid))
    shuffled = np.asarray(log_prob(grid[order]), dtype=np.float64)
    result = np.empty(len(grid))
    result[order] = shuffled
    return result


def sums_to_one(log_prob: LogProb, dims: int, levels: int, seed: int = 0) -> Finding:
    """Σ_x p(x) = 1 over the whole grid."""
    log_p = table(log_prob, dims, levels, seed)
    required = f"1 over all {levels**dims:,} states, within {SUM_TOLERANCE:g}"
    if not np.isfinite(log_p[~np.isneginf(log_p)]).all():
        return Finding(0.0, "some log-probabilities are nan or +inf", required)
    with np.errstate(over="ignore"):
        total = float(np.exp(log_p).sum())
    ok = abs(total - 1) <= SUM_TOLERANCE
    plot = {"kind": "bars", "series": {"p(x)": np.exp(log_p)}, "x": "state"} if len(log_p) <= 128 else {}
    return Finding(float(ok), f"probabilities sum to {total:.5g}", required, total, plot)


def sampler_matches(samples: np.ndarray, log_prob: LogProb, levels: int, seed: int = 0) -> Finding:
    """χ² of `samples`, int (n, dims), against the enumerated probabilities.

    States expected fewer than five times are merged into one (Cochran's rule); a draw of a state to which
    the density gives no mass at all fails outright.
    """
    from scipy.stats import chisquare

    n, dims = samples.shape
    p = np.exp(table(log_prob, dims, levels, seed))
    counts = np.bincount(np.ravel_multi_index(samples.T, (levels,) * dims), minlength=levels**dims)
    required = f"agreement (p > {P_VALUE:g})"
    expected = n * p / p.sum()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    if wanted[-1] < 5:  # too little to stand alone: it joins the smallest of the others
        smallest = int(np.argmin(wanted[:-1]))
        observed[smallest] += observed[-1]
        wanted[smallest] += wanted[-1]
        observed, wanted = observed[:-1], wanted[:-1]
    p_value = float(chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue) if len(wanted) > 1 else 1.0
    distance = float(np.abs(counts / n - p).sum() / 2)
    plot = {"kind": "bars", "series": {"density": p, "samples": counts / n}, "x": "state"}
    measured = f"{distance:.1%} of {n:,} samples misplaced (χ² p = {p_value:.2g})"
    ok = p_value > P_VALUE and not counts[p == 0].any()
    return Finding(float(ok), measured, required, p_value, plot if len(p) <= 128 else {})


def excess_nats(log_prob: LogProb, pmf: np.ndarray, seed: int = 0) -> float:
    """KL(pmf ‖ model) in nats, exactly, by enumeration: the loss in nats above the limit.

    pmf: exact probabilities, shape (levels,) * dims. States without mass do not count.
    """
    log_q = table(log_prob, pmf.ndim, pmf.shape[0], seed)
    p = pmf.ravel()
    seen = p > 0
    return float(np.sum(p[seen] * (np.log(p[seen]) - log_q[seen])))
