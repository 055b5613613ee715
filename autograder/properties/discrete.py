"""Discrete densities: they sum to one, and their sampler draws from them."""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding

LogProb = Callable[[np.ndarray], np.ndarray]

# Float32 log-probabilities of up to a few thousand states, exponentiated and summed, err below 1e-5.
SUM_TOLERANCE = 1e-4
# Rare enough for a class of hundreds with several such checks each: a right sampler fails a few times in a
# million (the tail is a little heavier than χ² says). A wrong one shows p-values below 1e-20 at 4,000 draws.
P_VALUE = 1e-6
# χ² wants every group of states to be expected about this often (Cochran's rule).
FEW = 5
# Wrong log-probabilities may be huge; beyond this their exponentials would overflow when summed.
HUGE = 600.0


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
    p = np.exp(np.minimum(log_p, HUGE))
    total = float(p.sum())
    ok = abs(total - 1) <= SUM_TOLERANCE
    plot = {"kind": "bars", "series": {"p(x)": p}, "x": "state"} if len(p) <= 128 else {}
    return Finding(float(ok), f"probabilities sum to {total:.5g}", required, abs(total - 1), SUM_TOLERANCE, plot=plot)


def sampler_matches(samples: np.ndarray, log_prob: LogProb, levels: int, seed: int = 0) -> Finding:
    """χ² of `samples`, int (n, dims), against the enumerated probabilities.

    States expected fewer than five times are merged, the rarest first. Those of the first group are expected
    too seldom for χ²: too many of them are judged by the Poisson distribution of their number. A draw of a
    state to which the density gives no mass at all, or of one outside the levels, fails outright.
    """
    n, dims = samples.shape
    p = np.exp(np.minimum(table(log_prob, dims, levels, seed), HUGE))
    required = f"agreement (p > {P_VALUE:g})"
    outside = int(((samples < 0) | (samples >= levels)).any(axis=1).sum())
    if outside:
        return Finding(0.0, f"{outside:,} of {n:,} samples lie outside the levels 0 … {levels - 1}", required)
    if not (np.isfinite(p).all() and p.any()):
        return Finding(0.0, "the density to compare with is not finite, or nowhere above zero", required)
    counts = np.bincount(np.ravel_multi_index(samples.T, (levels,) * dims), minlength=levels**dims)
    p_value = _p_value(counts, n * p / p.sum())
    distance = float(np.abs(counts / n - p).sum() / 2)
    plot = {"kind": "bars", "series": {"density": p, "samples": counts / n}, "x": "state"}
    measured = f"{distance:.1%} of {n:,} samples misplaced (χ² p = {p_value:.2g})"
    ok = p_value > P_VALUE and not counts[p == 0].any()
    return Finding(float(ok), measured, required, p_value, P_VALUE, "p-value", plot if len(p) <= 128 else {})


def _p_value(counts: np.ndarray, expected: np.ndarray) -> float:
    """How probable counts at least as far from `expected` are, under a right sampler."""
    from scipy.stats import chisquare, poisson

    order = np.argsort(expected)
    counts, expected = counts[order], expected[order]
    group = (np.cumsum(expected) // FEW).astype(int)
    rare = group == 0  # together expected fewer than five times
    tests = [float(poisson.sf(counts[rare].sum() - 1, expected[rare].sum()))] if rare.any() else []
    observed, wanted = (np.bincount(group[~rare], v[~rare]) for v in (counts, expected))
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    if len(wanted) > 1 and observed.any():
        tests.append(float(chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue))
    return min(1.0, len(tests) * min(tests))  # the better of two chances counts half


def excess_nats(log_prob: LogProb, pmf: np.ndarray, seed: int = 0) -> float:
    """KL(pmf ‖ model) in nats, exactly, by enumeration: the loss in nats above the limit.

    pmf: exact probabilities, shape (levels,) * dims. States without mass do not count. Of the model divided by its
    sum: that the sum is one has a check of its own, and a loss that was gained by a larger one is no loss.
    """
    log_q = table(log_prob, pmf.ndim, pmf.shape[0], seed)
    log_q = log_q - np.logaddexp.reduce(log_q)
    p = pmf.ravel()
    seen = p > 0
    return float(np.sum(p[seen] * (np.log(p[seen]) - log_q[seen])))
