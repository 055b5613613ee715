"""What a short context loses is exact: against sums over all texts of a tiny grammar, and against the whole."""

import numpy as np
import pytest

from autograder.properties import discrete
from deepul_utils import sequences
from deepul_utils.sequences import Grammar
from deepul_utils.sequences.contexts import above_limit

RULES = {
    "first": ((0.25, "a", "second"), (0.75, "ba", "first")),
    "second": ((0.5, "b", "first"), (0.4, "aab", "second"), (0.1, "ac", "first")),
}


def conditional_entropy(p: np.ndarray, x: np.ndarray, window: int) -> float:
    """H(last | the `window` letters before it) of texts x (n, T), whose probabilities are p (n,)."""

    def entropy(columns: np.ndarray) -> float:
        _, which = np.unique(columns, axis=0, return_inverse=True)
        of_each = np.bincount(which.ravel(), p)
        return -float((of_each[of_each > 0] * np.log(of_each[of_each > 0])).sum())

    T = x.shape[1]
    before = entropy(x[:, T - 1 - window : T - 1]) if window else 0.0
    return entropy(x[:, T - 1 - window :]) - before


def test_it_is_what_counting_all_texts_gives():
    text = Grammar("tiny", "Two states.", 6, RULES, "first")
    every = discrete.states(6, 3)
    with np.errstate(divide="ignore"):
        p = np.exp(text.log_prob(every))
    windows = [0, 1, 2, 3, 5]
    exact = [conditional_entropy(p, every, w) - text.entropies[-1] for w in windows]
    found = above_limit(text, windows, n=60_000)
    assert found == pytest.approx(exact, abs=0.02)
    assert exact[0] > exact[1] > exact[2] > 0.05


def test_who_sees_all_loses_nothing():
    text = sequences.get("text", 40)
    assert above_limit(text, [39], n=50) == pytest.approx([0], abs=1e-9)


def test_names_are_told_by_far_letters_only():
    near, far = above_limit(sequences.get("text"), [8, 40])
    assert near > 0.08
    assert abs(far) < 1e-3


def test_a_window_beyond_the_text_is_said():
    text = sequences.get("text", 40)
    for wrong in ([40], [-1]):
        with pytest.raises(ValueError, match="from 0 to 39 letters, got"):
            above_limit(text, wrong)
