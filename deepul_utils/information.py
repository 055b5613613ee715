"""What latents tell of known factors: mutual information, and its gap (Chen et al. 2018, arXiv:1802.04942)."""

import numpy as np

from deepul_utils.toy import as_array

BINS = 20  # of a latent, between its extremes


def shares(codes, factors) -> np.ndarray:
    """I(z_j; v_k) / H(v_k), between 0 and 1: codes (n, D), factors int (n, F) -> (D, F)."""
    codes, factors = as_array(codes), as_array(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise ValueError(f"Codes are (n, D) and factors (n, F), got {codes.shape} and {factors.shape}.")
    return of_binned(binned(codes), factors, np.ones(len(codes)))


def gaps(codes, factors) -> np.ndarray:
    """The mutual-information gap of each factor (F,): the difference of the two largest shares."""
    return gaps_of(shares(codes, factors))


def gaps_of(shares: np.ndarray) -> np.ndarray:
    """The same from the shares (D, F), D at least 2."""
    ranked = np.sort(shares, axis=0)
    return ranked[-1] - ranked[-2]


def binned(codes: np.ndarray) -> np.ndarray:
    """The bin of every code between the extremes of its latent: (n, D) -> int (n, D)."""
    low, high = codes.min(axis=0), codes.max(axis=0)
    return ((codes - low) / np.maximum(high - low, 1e-12) * BINS).astype(int).clip(0, BINS - 1)


def of_binned(places: np.ndarray, factors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Shares of binned codes (n, D) and factors (n, F), example i counted weights[i] times: (D, F)."""
    shares = np.empty((places.shape[1], factors.shape[1]))
    for k, factor in enumerate(factors.T):
        values = factor.max() + 1
        for j, place in enumerate(places.T):
            p = np.bincount(place * values + factor, weights, BINS * values).reshape(BINS, values) / weights.sum()
            a, b = p.sum(axis=1, keepdims=True), p.sum(axis=0)
            seen, likely = p > 0, b[b > 0]
            mutual = (p[seen] * np.log(p[seen] / (a * b)[seen])).sum()
            shares[j, k] = mutual / max(-(likely * np.log(likely)).sum(), 1e-12)
    return shares
