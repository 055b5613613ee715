"""What the last few letters of a text tell of the next one: the best that a short context allows."""

import numpy as np

from deepul_utils.sequences.grammar import Grammar


def above_limit(text: Grammar, windows, n: int = 500, seed: int = 0) -> np.ndarray:
    """Nats of the last letter that is lost by who sees so many letters before it only, float64 (len(windows),).

    The mean of log p(x_T | x_1 … x_{T−1}) − log p(x_T | x_{T−w} … x_{T−1}) over n texts of the test stream; both are
    exact. The second sums over the states that the grammar may have been in before the window began. Raises ValueError
    for a window that is no number of letters before the last.
    """
    windows = np.asarray(windows, dtype=np.int64)
    if ((windows < 0) | (windows >= text.length)).any():
        raise ValueError(f"A window is from 0 to {text.length - 1} letters, got {windows.tolist()}.")
    x = text.sample(n, seed, "test").astype(np.int64)
    before = _states(text, text.length - 1 - windows)
    seen = _of_suffixes(text, x[:, :-1], before, windows)
    more = _of_suffixes(text, x, before, windows + 1)
    told = text.log_conditionals(x)[:, -1]
    return (told[:, None] - np.log(more) + np.log(seen)).mean(axis=0)


def _states(text: Grammar, places: np.ndarray) -> np.ndarray:
    """How probable each state of the chain is before letter number t + 1, for each t of places: (len(places), S)."""
    p, every = text._at_first, []
    for _ in range(int(places.max()) + 1):
        every.append(p)
        p = text._moved(p)
    return np.stack(every)[places]


def _of_suffixes(text: Grammar, x: np.ndarray, before: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """p of the last `size` letters of each x, given only how probable the states before them are: (n, len(sizes)).

    One pass from the end: p(x_s … x_T | state) = p(x_s | state) p(x_{s+1} … x_T | the state that x_s leads to).
    """
    n, length = x.shape
    p, found = np.ones((n, len(text._chances))), np.empty((n, len(sizes)))
    chances, following = text._chances.T, text._next.T  # (levels, S)
    for size in range(int(sizes.max()) + 1):
        here = sizes == size
        found[:, here] = p @ before[here].T
        if size < length:
            letter = x[:, length - 1 - size]
            p = chances[letter] * np.take_along_axis(p, following[letter], axis=1)
    return found
