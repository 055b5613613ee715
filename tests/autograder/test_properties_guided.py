"""Guided diffusion: what is right passes, and each slip is told by its own words."""

import numpy as np
import pytest

from autograder.families import guided_diffusion as family
from autograder.properties import guided

RNG = np.random.default_rng(0)
X = RNG.permutation(2 * 3 * 8 * 12).reshape(2, 3, 8, 12).astype(np.float32)
SQUARES = X.reshape(2, 3, 2, 4, 3, 4).transpose(0, 2, 4, 1, 3, 5)  # (B, H', W', C, p, p)


@pytest.mark.parametrize(
    ("tokens", "right"),
    [
        (SQUARES.reshape(2, 6, 48), True),
        (SQUARES.transpose(0, 2, 1, 4, 5, 3).reshape(2, 6, 48), True),  # in another order
        (X.reshape(2, 6, 48), False),
        (X.reshape(2, 3, 2, 4, 3, 4).transpose(0, 2, 4, 1, 3, 5)[:, :, :, :, ::-1].reshape(2, 6, 48), True),
        (np.repeat(SQUARES.reshape(2, 6, 48)[:, :1], 6, axis=1), False),  # one square six times
        (SQUARES.reshape(2, 6, 48) + 1, False),
    ],
)
def test_tokens_are_squares_in_whatever_order(tokens, right):
    assert guided.patches_are_squares(tokens, X, 4).passed == right


def test_what_comes_back_is_the_same_to_the_last_bit():
    assert guided.comes_back(X, X, "x").passed
    assert "2 of 576 numbers" in guided.comes_back(np.where((X == 5) | (X == 7), -1, X), X, "x").measured


def test_a_block_is_the_identity_and_can_leave_it():
    assert guided.is_the_identity(X, X).passed
    assert "no gate is open" in guided.is_the_identity(X * 1.001, X).slip
    assert guided.can_learn({"gate": np.ones(2), "rest": np.zeros(2), "none": None}).passed
    assert "no gradient reaches" in guided.can_learn({"gate": np.zeros(2), "none": None}).slip
    assert guided.moves(X, X + (X == 0), "it moves", "it moves", "").passed
    assert not guided.moves(X, X.copy(), "it moves", "it moves", "").passed


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda y, rng: np.where(rng.random(len(y)) < 0.1, 10, y), None),
        (lambda y, rng: np.where(rng.random(len(y)) > 0.1, 10, y), "kept with probability"),
        (lambda y, rng: np.where(rng.random(len(y)) < 0.1, 0, y), "not 0"),
        (lambda y, rng: y, "All labels are dropped, or none"),
        (lambda y, rng: np.full_like(y, 10), "All labels are dropped, or none"),
        (lambda y, rng: np.where(np.repeat(rng.random(len(y) // 2) < 0.1, 2), 10, y), ""),  # in pairs
        (lambda y, rng: np.where(rng.random(len(y)) < 0.15, 10, y), ""),
    ],
)
def test_labels_that_are_dropped(rule, said):
    y = RNG.integers(10, size=6000)
    found = guided.labels_are_dropped(rule(y, np.random.default_rng(1)), y, 0.1, 10)
    assert found.passed == (said is None)
    assert (said or "") in found.slip


def test_a_rate_of_zero_drops_none_and_of_one_all():
    y, none = np.arange(10), np.full(10, 10)
    assert guided.none_or_all(y, y, 0.0, 10).passed
    assert guided.none_or_all(none, y, 1.0, 10).passed
    assert not guided.none_or_all(none, y, 0.0, 10).passed
    assert not guided.none_or_all(y, y, 1.0, 10).passed


# A velocity that depends on everything it is told.
A = RNG.normal(size=(12, 12)).astype(np.float32)


def velocity(x: np.ndarray, t: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.tanh(x @ A) + np.reshape(t + 0.3 * y, (-1, 1)) * x).astype(np.float32)


DATA, NOISE = (RNG.normal(size=(6, 12)).astype(np.float32) for _ in range(2))
T, Y = np.linspace(0.1, 0.8, 6).astype(np.float32), np.arange(6) % 3


def error(target, at, t=T):
    return ((velocity(at, t, Y) - target) ** 2).mean(axis=1)


X_T, SWAPPED = guided.between(NOISE, DATA, T), guided.between(DATA, NOISE, T)


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (error(DATA - NOISE, X_T), None),
        (12 * error(DATA - NOISE, X_T), "take their mean"),
        (error(NOISE - DATA, X_T), "sign of the target"),
        (error(DATA - NOISE, DATA), "is given x"),
        (error(DATA - NOISE, SWAPPED), "exchanged"),
        (error(NOISE - DATA, SWAPPED), "backwards"),
        (error(DATA, X_T), "target is the image"),
        (error(NOISE, X_T), "target is the noise"),
        (error(DATA - NOISE, X_T, 1 - T), "told 1 − t"),
        (error(DATA - NOISE, X_T, 0 * T), "not told t"),
        (error(DATA - NOISE, X_T) + 1, ""),
        (error(DATA - NOISE, X_T) * np.nan, ""),
    ],
)
def test_the_loss(got, said):
    found = guided.is_the_velocitys_error(got, velocity, DATA, Y, T, NOISE)
    assert found.passed == (said is None)
    assert (said or "") in found.slip


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (lambda a, b, w: b + w * (a - b), None),
        (lambda a, b, w: w * a + (1 - w) * b, None),
        (lambda a, b, w: a + w * (b - a), "exchanged"),
        (lambda a, b, w: a + w * (a - b), "another convention"),
        (lambda a, b, w: b, "labels are dropped"),
        (lambda a, b, w: a, "whatever w is"),
        (lambda a, b, w: w * (a - b), "v(none) is missing"),
        (lambda a, b, w: b + w * a, "added as it is"),
        (lambda a, b, w: b + w**2 * (a - b), ""),
    ],
)
def test_guidance(got, said):
    found = guided.is_guided(got(DATA, NOISE, 2.5), DATA, NOISE, 2.5)
    assert found.passed == (said is None)
    assert (said or "") in found.slip


def turning(x: np.ndarray, t: float, w: float, labels: bool) -> np.ndarray:
    return velocity(x, np.full(len(x), t), w * Y if labels else 9 + 0 * Y)


def steps(times, w=2.0, labels=True):
    return guided.euler(lambda x, t: turning(x, t, w, labels), NOISE, times)


EVEN = np.linspace(0, 1, 5)


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (steps(EVEN), None),
        (steps(EVEN[::-1]), "from 1 to 0"),
        (steps(np.linspace(0, 1, 6)), "One step more"),
        (steps(EVEN[:-1]), "last step is left out"),
        (steps(EVEN, labels=False), "labels are dropped"),
        (steps(EVEN, w=1.0), "as if w were 1"),
        (steps(EVEN, w=0.0), "as if w were 0"),
        (steps(EVEN) + 0.1, ""),
    ],
)
def test_eulers_steps(got, said):
    found = guided.follows_euler(got, NOISE, 4, turning, 2.0)
    assert found.passed == (said is None)
    assert (said or "") in found.slip


def test_images_may_be_clamped_at_the_end():
    assert guided.follows_euler(steps(EVEN).clip(-1, 1), NOISE, 4, turning, 2.0).passed


@pytest.mark.parametrize(
    ("accuracy", "right"),
    [
        ({0.0: 0.1, 1.0: 0.5, 3.0: 0.9}, True),
        ({0.0: 0.1, 1.0: 0.99, 3.0: 0.97}, True),  # no lower but by chance
        ({0.0: 0.9, 1.0: 0.9, 3.0: 0.9}, False),  # of their label without one
        ({0.0: 0.1, 1.0: 0.1, 3.0: 0.1}, False),
        ({0.0: 0.1, 1.0: 0.9, 3.0: 0.6}, False),
    ],
)
def test_labels_steer(accuracy, right):
    assert guided.labels_steer(accuracy, 300).passed == right


def test_guidance_narrows():
    assert guided.guidance_narrows({0.0: 3.0, 1.0: 2.0, 3.0: 1.5}).passed
    assert not guided.guidance_narrows({0.0: 3.0, 1.0: 2.0, 3.0: 2.0}).passed


def test_the_naive_model_is_the_best_of_its_kind():
    """Of Gaussian pixels it is the posterior mean: no other gain is better."""
    rng = np.random.default_rng(0)
    x, held_out = (0.3 + 0.5 * rng.normal(size=(4000, 1, 2, 2)) for _ in range(2))
    t, noise = np.linspace(0.01, 0.95, 4000).astype(np.float32), rng.normal(size=held_out.shape)
    best = family.naive_loss(x, held_out, t, noise)
    assert best < family.naive_loss(x + 0.2, held_out, t, noise)
    assert best < family.naive_loss(0.3 + 2 * (x - 0.3), held_out, t, noise)
    wanted = (0.25 / (t**2 * 0.25 + (1 - t) ** 2)).mean()  # Var[x − ε | x_t]
    assert best == pytest.approx(wanted, rel=0.1)


def test_samples_of_one_label_are_compared_among_themselves():
    y = np.arange(100) % 2
    features = 50.0 * y[:, None] + np.random.default_rng(0).normal(size=(100, 3))
    assert family.within_labels(features, y) < 5


# ---- what stands behind a block's gates ----------------------------------------------------------------


def test_two_gates_are_two():
    assert guided.has_two_gates(24, 12).passed
    assert "One gate serves both halves" in guided.has_two_gates(12, 12).slip
    assert not guided.has_two_gates(18, 12).passed


def test_what_is_gated_is_a_function_of_the_normalised():
    f, g, h = RNG.normal(size=(3, 24))
    assert guided.is_of_the_normalised(f, f + 1e-6, g).passed
    assert "its factor is 1 + α" in guided.is_of_the_normalised(f, f, f).slip
    assert "its factor is 1 + α" in guided.is_of_the_normalised(f, f, np.append(f[:12], g[12:])).slip, "of one half"
    assert "another norm" in guided.is_of_the_normalised(f, h, g).slip


def mixtures(sharpness: list[float], shares: int = 4, width: int = 12) -> np.ndarray:
    """Attention of a token that stands k times among copies of another: each head with values of its own."""
    values, others = RNG.normal(size=(2, len(sharpness), width))
    rows = []
    for k in range(1, shares + 1):
        p = k / (k + (shares + 1 - k) * np.exp(np.array(sharpness)))
        rows.append((p[:, None] * values + (1 - p[:, None]) * others).sum(axis=0))
    return np.array(rows)


def test_one_head_stays_on_its_line_and_several_leave_it():
    assert guided.heads_attend_apart(mixtures([0.4]), 1).passed
    assert guided.heads_attend_apart(mixtures([0.4, -0.3, 0.1]), 3).passed
    assert "All heads attend alike" in guided.heads_attend_apart(mixtures([0.4]), 3).slip
    assert "not the one that is asked for" in guided.heads_attend_apart(mixtures([0.4, -0.3]), 1).slip
    assert "over dimension 1" in guided.heads_attend_apart(np.zeros((4, 0)), 3).slip, "no output hangs on others"
    assert not guided.heads_attend_apart(np.full((4, 12), np.nan), 3).passed
