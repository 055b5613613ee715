"""What is required of attention: right weights pass, each slip is seen and said."""

import numpy as np
import pytest

from autograder.properties import attention


def drawn(T: int = 6, d: int = 9):
    """q, k, v of one batch and two heads."""
    return np.random.default_rng(0).normal(size=(3, 1, 2, T, d))


def test_weights_are_a_softmax_over_the_past_by_hand():
    q, k = np.array([[[0.0], [2.0]]]), np.array([[[1.0], [3.0]]])
    w = attention.weights_of(q, k, 1.0)[0]
    assert w[0] == pytest.approx([1, 0])
    assert w[1] == pytest.approx(np.exp([2, 6]) / np.exp([2, 6]).sum())
    assert attention.weights_of(q[:, 1:], k, 1.0)[0, 0] == pytest.approx(w[1])  # the last of two places


def test_right_weights_pass():
    q, k, _ = drawn()
    assert attention.is_softmax(q, k, attention.weights_of(q, k, 1 / 3)).passed
    assert attention.is_softmax(q[..., -2:, :], k, attention.weights_of(q[..., -2:, :], k, 1 / 3)).passed


@pytest.mark.parametrize(
    ("scale", "slip"), [(1.0, "not scaled at all"), (1 / 9, "divided by d, not by √d"), (1 / 18**0.5, "")]
)
def test_another_scale_is_seen_and_named(scale, slip):
    q, k, _ = drawn()
    found = attention.is_softmax(q, k, attention.weights_of(q, k, scale))
    assert not found.passed
    assert slip in found.slip
    assert bool(slip) == bool(found.slip)


def test_weights_on_later_keys_are_seen_however_small():
    q, k, _ = drawn()
    w = attention.weights_of(q, k, 1 / 3)
    w[0, 1, 2, 3] = 1e-9
    found = attention.is_softmax(q, k, w)
    assert not found.passed
    assert "later keys have weights of up to 1e-09" in found.measured


def test_equal_keys_give_a_mean():
    v = drawn()[2]
    mean = v.cumsum(axis=-2) / np.arange(1, 7)[:, None]
    assert attention.is_running_mean(v, mean.astype(np.float32)).passed
    mean[..., 3, 0] += 0.01
    found = attention.is_running_mean(v, mean)
    assert not found.passed
    assert found.measured == "at place 4 of 6 it is 0.01 off the mean"


def test_the_last_queries_are_compared_with_the_last():
    out = drawn()[2]
    assert attention.last_queries_agree(out, out[..., -2:, :]).passed
    assert not attention.last_queries_agree(out, out[..., :2, :]).passed


def test_a_block_adds_where_it_normalises_before():
    x = drawn(5, 8)[0][0]

    def norm(x):
        return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)

    assert attention.adds_to_what_it_is_given(lambda x: x + 3 * norm(x), x).passed
    for wrong in (lambda x: norm(x + x), lambda x: x + 0.5 * x, lambda x: 3 * norm(x)):
        assert not attention.adds_to_what_it_is_given(wrong, x).passed


def test_the_first_step_that_differs_is_said():
    whole = np.random.default_rng(1).normal(size=(4, 5, 3))
    assert attention.steps_agree(whole, whole + 1e-5, 1e-3).passed
    for t, slip in ((0, "What stands at the first place?"), (2, "")):
        stepped = whole.copy()
        stepped[1, t:] += 0.5
        found = attention.steps_agree(whole, stepped, 1e-3)
        assert not found.passed
        assert f"the logits of letter {t + 1} are 0.5 nats off" in found.measured
        assert found.slip == slip


def test_a_set_of_letters_has_no_order():
    x = np.array([[0, 1, 2, 0], [2, 1, 1, 0]])
    weights = np.random.default_rng(2).normal(size=(4, 3))

    def in_order(x):
        return weights[np.arange(4), x].cumsum(axis=1)[..., None]

    assert attention.tells_places_apart(in_order, x, x[:, [1, 0, 2, 3]]).passed
    assert not attention.tells_places_apart(
        lambda x: weights[0, x].cumsum(axis=1)[..., None], x, x[:, [1, 0, 2, 3]]
    ).passed
