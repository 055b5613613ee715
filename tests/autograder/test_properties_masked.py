"""Masked diffusion: the bound is what the theory says it is, and each slip is told by its own words."""

from itertools import permutations

import numpy as np
import pytest

from autograder.properties import discrete, masked
from autograder.properties.masked import Conditionals, hide, masks

DIMS, LEVELS, N = 3, 3, 4000
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=((LEVELS + 1) ** DIMS, DIMS, LEVELS)) * 2
X = discrete.states(DIMS, LEVELS)


def logits(z: np.ndarray) -> np.ndarray:
    return TABLE[np.ravel_multi_index(z.T, (LEVELS + 1,) * DIMS)]


def perfect(pmf: np.ndarray):
    """The conditionals of a distribution itself, as logits."""

    def of(z: np.ndarray) -> np.ndarray:
        out = np.zeros((*z.shape, pmf.shape[0]))
        for b, row in enumerate(z):
            p = pmf[tuple(slice(None) if k == pmf.shape[0] else slice(k, k + 1) for k in row)]
            for i in range(z.shape[1]):
                of_token = p.sum(axis=tuple(d for d in range(z.shape[1]) if d != i))
                out[b, i] = np.log(np.broadcast_to(of_token, pmf.shape[:1]))
        return out

    return of


@pytest.fixture(scope="module")
def conditionals() -> Conditionals:
    return Conditionals(logits, DIMS, LEVELS)


def test_the_bound_is_the_mean_over_all_orders_and_lies_above_their_mixture(conditionals):
    bound, orders = conditionals.bound(X), conditionals.of_orders(X)
    np.testing.assert_allclose(bound, orders.mean(axis=0))
    assert len(orders) == len(list(permutations(range(DIMS))))
    assert (bound >= -np.log(np.exp(-orders).mean(axis=0)) - 1e-12).all()
    assert np.exp(-orders).mean(axis=0).sum() == pytest.approx(1)  # the mixture is a density


def test_the_bound_is_the_integral_over_time(conditionals):
    t = (np.arange(2000) + 0.5) / 2000
    weights = np.array([masked.mask_probabilities(time, DIMS) / time for time in t]).mean(axis=0)
    np.testing.assert_allclose(weights[1:] @ conditionals.by_mask(X)[1:], conditionals.bound(X), rtol=1e-3)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_perfect_network_reaches_the_entropy_and_no_other_goes_below(dims):
    pmf = np.random.default_rng(dims).dirichlet(np.ones(3**dims)).reshape((3,) * dims)
    assert masked.excess_nats(Conditionals(perfect(pmf), dims, 3), pmf) == pytest.approx(0, abs=1e-9)
    wrong = Conditionals(lambda z: np.random.default_rng(1).normal(size=(*z.shape, 3)), dims, 3)
    assert masked.excess_nats(wrong, pmf) > 0.1


def test_one_step_draws_tokens_alone_and_many_draw_from_the_mean_over_the_orders(conditionals):
    nothing = np.full((1, DIMS), LEVELS)
    alone = np.exp(conditionals.log_p(nothing)[0])
    np.testing.assert_allclose(masked.chain(conditionals, 1), np.einsum("i,j,k->ijk", *alone))
    mixture = np.exp(-conditionals.of_orders(X)).mean(axis=0).reshape((LEVELS,) * DIMS)
    assert np.abs(masked.chain(conditionals, 200) - mixture).sum() < 0.05
    for steps in (1, 2, 5):
        assert masked.chain(conditionals, steps).sum() == pytest.approx(1)


def test_two_tokens_are_lifted_together_once_in_so_many_steps():
    pmf = np.random.default_rng(0).dirichlet(np.ones(16)).reshape(4, 4)
    both = np.outer(pmf.sum(axis=1), pmf.sum(axis=0))
    of_pairs = Conditionals(perfect(pmf), 2, 4)
    for steps in (1, 2, 7):
        np.testing.assert_allclose(masked.chain(of_pairs, steps), both / steps + (1 - 1 / steps) * pmf, atol=1e-12)


# ---- what is right passes, and each slip is named ---------------------------------------------------------


def corrupted(rule):
    t = np.tile([0.0, 0.2, 0.5, 0.85, 1.0], N)
    x = np.random.default_rng(1).integers(LEVELS, size=(len(t), DIMS))
    return masked.hides_with_probability_t(rule(x, t, np.random.default_rng(2)), x, t, LEVELS)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda x, t, rng: hide(x, rng.random(x.shape) < t[:, None], LEVELS), None),
        (lambda x, t, rng: hide(x, rng.random(x.shape) >= t[:, None], LEVELS), "shown with probability t"),
        (lambda x, t, rng: hide(x, rng.random((len(x), 1)) < t[:, None], LEVELS), "masked together"),
        (lambda x, t, rng: hide(x, rng.random(x.shape) < 0.5, LEVELS), "masked alike"),
        (lambda x, t, rng: np.where(rng.random(x.shape) < t[:, None], 0, x), "one more than the last level"),
        (lambda x, t, rng: hide((x + 1) % LEVELS, rng.random(x.shape) < t[:, None], LEVELS), ""),
        (lambda x, t, rng: hide(x, rng.random(x.shape) < t[:, None] ** 1.1, LEVELS), ""),
    ],
)
def test_hiding_tokens(rule, said):
    found = corrupted(rule)
    assert found.passed == (said is None)
    assert (said or "") in found.slip


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (lambda nats, t, k: nats / t, None),
        (lambda nats, t, k: nats, "not weighted"),
        (lambda nats, t, k: nats * t, "inverted"),
        (lambda nats, t, k: nats / (1 - t), "tokens that are shown"),
        (lambda nats, t, k: nats / np.maximum(k, 1), "number of masked tokens"),
        (lambda nats, t, k: nats / t / DIMS, "number of tokens"),
        (lambda nats, t, k: nats / t + 1, ""),
        (lambda nats, t, k: nats / t * np.nan, ""),
    ],
)
def test_the_weight_of_the_loss(conditionals, weight, said):
    t, one, rng = np.tile([0.3, 0.8], N), X[5:6], np.random.default_rng(3)
    hidden = rng.random((len(t), DIMS)) < t[:, None]
    by_mask = conditionals.by_mask(one)[:, 0]
    got = weight(by_mask[masked.mask_number(hidden)], t, hidden.sum(axis=1))
    found = masked.is_weighted(got, t, by_mask, by_mask * 0.1, lambda number, t: 1.0)
    assert found.passed == (said is None)
    assert (said or "") in found.slip
    if said is None:
        assert not masked.is_weighted(got, t, by_mask, by_mask, lambda number, t: 0.0).passed


def test_masks_are_counted_by_their_numbers():
    every = masks(DIMS)
    np.testing.assert_array_equal(masked.mask_number(every), np.arange(8))
    hidden = np.random.default_rng(0).random((N, DIMS)) < 0.3
    assert masked.as_frequent(hidden, masked.mask_probabilities(0.3, DIMS)) > 1e-3
    assert masked.as_frequent(hidden, masked.mask_probabilities(0.35, DIMS)) < 1e-6


@pytest.mark.parametrize(
    ("stay", "said"),
    [(None, None), (1 - 0.5, "probability t − s"), (1 - 0.4 / 0.9, "stay with probability"), (0.0, "lifted at once")],
)
def test_steps_back(conditionals, stay, said):
    z, t, s = np.array([LEVELS, LEVELS, 1]), 0.9, 0.4
    p = masked.step_probabilities(conditionals, z, s / t if stay is None else stay)
    drawn = np.random.default_rng(0).choice(len(p), size=N, p=p)
    after = np.stack(np.unravel_index(drawn, (LEVELS + 1,) * DIMS), axis=1)
    found = masked.steps_back(after, z, t, s, conditionals)
    assert found.passed == (said is None)
    assert (said or "") in found.slip
    assert masked.keeps_what_is_shown(after, np.tile(z, (N, 1)), LEVELS).passed
    assert not masked.keeps_what_is_shown((after + 1) % LEVELS, np.tile(z, (N, 1)), LEVELS).passed
    assert masked.steps_back(after, z, t, 0.0, conditionals).passed == (stay == 0.0)  # else masks are left


def test_samples_of_another_number_of_steps_are_told_apart(conditionals):
    def drawn(steps: int) -> np.ndarray:
        p = masked.chain(conditionals, steps).ravel()
        return X[np.random.default_rng(steps).choice(len(p), size=N, p=p / p.sum())]

    assert masked.samples_follow(drawn(2), 2, conditionals, {}).passed
    found = masked.samples_follow(drawn(1), 2, conditionals, {"one": 1, "three": 3})
    assert not found.passed
    assert found.slip == "one"
    assert masked.drawn_alike(drawn(2), drawn(2)[::-1], LEVELS) > 1e-3
    assert masked.drawn_alike(drawn(1), drawn(5), LEVELS) < 1e-6
    left = np.full((10, DIMS), LEVELS)
    assert "lifted" in masked.samples_follow(left, 2, conditionals, {}).slip
