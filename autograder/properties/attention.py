"""Attention: weights that are a softmax over the past, a mean where nothing tells the past apart, a residual path."""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding

SAME = 1e-4  # of numbers of order one in float32
APART = 10.0  # two candidates for a slip differ by more than so many times this
FAR = 1e4  # so large is what goes into a block; what its steps add does not grow with it


def weights_of(q: np.ndarray, k: np.ndarray, scale: float) -> np.ndarray:
    """softmax over the keys up to the place of each query of scale · q · k: (…, S, d), (…, T, d) -> (…, S, T).

    The queries are those of the last S of T places.
    """
    S, T = q.shape[-2], k.shape[-2]
    scores = scale * q.astype(np.float64) @ np.swapaxes(k.astype(np.float64), -1, -2)
    later = np.arange(T) > np.arange(T - S, T)[:, None]
    w = np.exp(np.where(later, -np.inf, scores - scores.max(axis=-1, keepdims=True)))
    return w / w.sum(axis=-1, keepdims=True)


def is_softmax(q: np.ndarray, k: np.ndarray, w: np.ndarray) -> Finding:
    """w = softmax of q · k / √d over the past, and exactly 0 on what is later. Shapes as in `weights_of`."""
    S, T, d = q.shape[-2], k.shape[-2], q.shape[-1]
    required = "softmax(q · k / √d) over the keys up to the query’s own place"
    later = np.arange(T) > np.arange(T - S, T)[:, None]
    if w[..., later].any():
        return Finding(0.0, f"later keys have weights of up to {np.abs(w[..., later]).max():.2g}", required)
    off = float(np.abs(w - weights_of(q, k, d**-0.5)).max())
    measured = f"weights differ from that by up to {off:.2g}, with d = {d}"
    return Finding(float(off <= SAME), measured, required, slip="" if off <= SAME else _other_scale(q, k, w))


def _other_scale(q: np.ndarray, k: np.ndarray, w: np.ndarray) -> str:
    d = q.shape[-1]
    for scale, said in ((1.0, "not scaled at all"), (1 / d, "divided by d, not by √d")):
        if np.abs(w - weights_of(q, k, scale)).max() < APART * SAME:
            return f"The scores are {said}."
    return ""


def is_running_mean(v: np.ndarray, out: np.ndarray) -> Finding:
    """Where all keys are equal, what comes back at place t is the mean of the values 1 … t: (…, T, d) both."""
    mean = v.astype(np.float64).cumsum(axis=-2) / np.arange(1, v.shape[-2] + 1)[:, None]
    off = np.abs(out - mean).max(axis=tuple(k for k in range(v.ndim) if k != v.ndim - 2))  # of each place
    required = "with equal keys, the mean of the values up to each place"
    if off.max() <= SAME:
        return Finding(1.0, "with equal keys, attention is the mean of the past", required)
    t = int(np.flatnonzero(off > SAME)[0])
    return Finding(0.0, f"at place {t + 1} of {len(off)} it is {off[t]:.2g} off the mean", required)


def last_queries_agree(whole: np.ndarray, last: np.ndarray) -> Finding:
    """Queries of the last places alone get what they get among all: (…, T, d) and (…, S, d)."""
    S = last.shape[-2]
    off = float(np.abs(whole[..., -S:, :] - last).max())
    measured = f"the last {S} queries, asked alone, get something that is {off:.2g} off"
    return Finding(float(off <= SAME), measured, "the same as among all queries")


def adds_to_what_it_is_given(block: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> Finding:
    """block(x) − x does not grow with x: it is added to x itself, and computed of what was normalised before."""
    added = float(np.abs(block((FAR * x).astype(np.float32)) - FAR * x).max())
    measured = f"block(x) − x is up to {added:.3g} where x is near {FAR:g}"
    return Finding(float(added < FAR / 100), measured, "it stays bounded")


def steps_agree(whole: np.ndarray, stepped: np.ndarray, most: float) -> Finding:
    """Log-conditionals of one pass and of single steps are the same: (B, T, levels) both, in nats."""
    off = np.abs(whole - stepped).max(axis=(0, 2))
    required = "the same logits as in one pass over the text"
    if off.max() <= most:
        return Finding(1.0, f"{len(off)} single steps give the logits of one pass", required)
    t = int(np.flatnonzero(off > most)[0])
    slip = "What stands at the first place?" if t == 0 else ""
    return Finding(0.0, f"the logits of letter {t + 1} are {off[t]:.2g} nats off", required, slip=slip)


def tells_places_apart(logits: Callable[[np.ndarray], np.ndarray], x: np.ndarray, swapped: np.ndarray) -> Finding:
    """The last logits of texts, and of the same letters in another order, differ: int (B, T) both."""
    moved = float(np.abs(logits(x)[:, -1] - logits(swapped)[:, -1]).max())
    ok = moved > SAME
    measured = f"with two earlier letters swapped the logits move by {moved:.2g}"
    return Finding(float(ok), measured, "the order of the letters counts")
