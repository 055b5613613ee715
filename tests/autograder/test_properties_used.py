"""What gets no gradient has no part in a network; what lies in a narrow range is no logit."""

import numpy as np

from autograder.properties import used

W = np.full((3, 2), 0.5)


def test_rows_without_a_gradient_are_counted():
    some = np.array([[0, 0], [0, 1.0], [0, 0]])
    others = np.array([[0, 0], [0, 0], [2.0, 0]])
    assert used.unused([({"W": W}, {"W": some})]) == 2
    assert used.unused([({"W": W}, {"W": some}), ({"W": W}, {"W": others})]) == 1
    assert used.unused([({"W": W, "b": W[0]}, {"W": None})]) == 5


def test_masks_are_not_asked():
    assert used.unused([({"mask": np.eye(3)}, {"mask": None})]) == 0


def test_more_layers_leave_no_more_out():
    assert used.none_is_left_out(2, 5, "3 blocks more", 24, "").passed
    found = used.none_is_left_out(8, 56, "3 blocks more", 24, "all skips?")
    assert not found.passed
    assert "48 rows" in found.measured


def test_what_codes_are_made_of_is_trained():
    inner = {"E": W, "unused": None, "zero but for rounding": W * 1e-12}
    assert used.is_trained_by(inner, {"E": W, "zero but for rounding": None}, "codes", "").passed
    assert not used.is_trained_by(inner, {"E": None}, "codes", "").passed
    assert not used.is_trained_by(inner, {"E": 0 * W}, "codes", "").passed


def test_logits_are_no_probabilities():
    logits = 20 * np.random.default_rng(0).normal(size=(50, 3))
    assert used.are_unnormalised(logits).passed
    assert used.are_unnormalised(logits - 100).passed
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    for squashed in (p / p.sum(axis=-1, keepdims=True), np.tanh(logits), logits.clip(min=0)):
        assert not used.are_unnormalised(squashed).passed
    one = np.stack([0 * logits[:, 0], logits[:, 0]], axis=-1)  # 0 and l, of two levels
    assert used.are_unnormalised(one).passed
