"""Echoes: what they repeat, what they tell of their probabilities, and an exact entropy."""

import hashlib

import numpy as np
import pytest

from autograder.assignments import ROOT
from deepul_utils.pictures.echoes import Echoes

ECHOES = Echoes()
COINS = 49


def test_samples_are_levels_of_their_own_streams():
    draws = [ECHOES.sample(200, seed, split) for split in ("train", "validation", "test") for seed in (0, 1)]
    assert all(x.dtype == np.uint8 and x.shape == (200, 1, 8, 8) and x.max() < 2 for x in draws)
    assert len({x.tobytes() for x in draws}) == len(draws)
    assert ECHOES.sample(0).shape == (0, 1, 8, 8)


def test_the_same_on_every_machine():
    assert hashlib.sha256(ECHOES.sample(50, seed=3).tobytes()).hexdigest()[:16] == "a83cd3dfcca57aa4"


def test_last_row_and_column_repeat_the_first_and_all_else_is_coins():
    x = ECHOES.sample(4000, seed=4)[:, 0].astype(float)
    assert np.array_equal(x[:, :, -1], x[:, :, 0])
    assert np.array_equal(x[:, -1], x[:, 0])
    coins = x[:, ECHOES.coins] - 0.5
    assert coins.shape[1] == COINS
    assert np.abs(4 * coins.T @ coins / len(x) - np.eye(COINS)).max() < 5 / np.sqrt(len(x))  # fair, and of no two


def test_probabilities_are_those_of_coins():
    x = ECHOES.sample(20, seed=5)
    assert ECHOES.log_prob(x) == pytest.approx(-COINS * np.log(2))
    assert ECHOES.entropy == pytest.approx(COINS * np.log(2))
    assert ECHOES.repeated == pytest.approx(15 * np.log(2))
    assert ECHOES.conditionals(x).sum(axis=-1) == pytest.approx(1)
    for i, j in ((7, 3), (3, 7), (7, 7)):
        wrong = x.copy()
        wrong[:, 0, i, j] ^= 1
        assert np.isneginf(ECHOES.log_prob(wrong)).all()


def test_partners_come_before_and_are_the_same():
    x = ECHOES.sample(30, seed=6)[:, 0]
    for i, j in np.ndindex(8, 8):
        partners = ECHOES.partners(i, j)
        assert bool(partners) != ECHOES.coins[i, j]
        assert all(at < (i, j) and np.array_equal(x[:, *at], x[:, i, j]) for at in partners)


def test_readme_tells_its_entropy():
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert f"- **echoes** ({ECHOES.entropy:.4f} nats" in readme
