"""Mosaics: what they draw has the probabilities that they tell, and their entropy is exact."""

import hashlib

import numpy as np
import pytest

from deepul_utils.mosaics import GRID, HALF, KINDS, MARK, NEW, PHASES, Mosaics

DATA = Mosaics()


def test_samples_are_levels_of_their_own_streams():
    draws = [DATA.sample(200, seed, split) for split in ("train", "validation", "test") for seed in (0, 1)]
    assert all(x.dtype == np.uint8 and x.shape == (200, *DATA.shape) and x.max() < DATA.levels for x in draws)
    assert len({x.tobytes() for x in draws}) == len(draws)
    assert np.array_equal(DATA.sample(200, 1, "test"), draws[5])
    assert DATA.sample(0).shape == (0, *DATA.shape)


def test_the_same_on_every_machine():
    assert hashlib.sha256(DATA.sample(50, seed=3).tobytes()).hexdigest()[:16] == "f4e0c369e12f5927"


def test_the_entropy_is_the_mean_of_what_is_drawn():
    log_p = DATA.log_prob(DATA.sample(6000, seed=5))
    assert np.isfinite(log_p).all()
    assert abs(log_p.mean() + DATA.entropy) < 4.5 * log_p.std() / np.sqrt(len(log_p))


def test_the_entropy_of_each_phase_is_that_of_a_sample():
    """Of the first tile it is a die's, in the first row that of one neighbour, elsewhere what a sample tells of two."""
    p = np.array([1 - NEW + NEW / PHASES, *[NEW / PHASES] * (PHASES - 1)])
    assert DATA.entropies[0, 0] == pytest.approx(np.log(PHASES))
    assert DATA.entropies[0, 1:] == pytest.approx(-(p * np.log(p)).sum())
    assert DATA.entropies[1:, 0] == pytest.approx(-(p * np.log(p)).sum())
    assert DATA.entropy == pytest.approx(DATA.repeated + DATA.entropies.sum())
    phases = DATA.phases(DATA.sample(20_000, seed=6))
    apart = (phases[:, -1, -2] != phases[:, -2, -1]).mean()  # where the two neighbours of the last tile differ
    q = np.array([(1 - NEW) / 2 + NEW / PHASES] * 2 + [NEW / PHASES] * (PHASES - 2))
    wanted = apart * -(q * np.log(q)).sum() + (1 - apart) * -(p * np.log(p)).sum()
    assert DATA.entropies[-1, -1] == pytest.approx(wanted, abs=5 * np.sqrt(apart / 20_000))


def test_conditionals_are_those_of_the_whole():
    """By Bayes' rule over a row of tiles, or at once: the same log p; and less the codes where these are told."""
    x = DATA.sample(60, seed=1)
    assert DATA.log_conditionals(x).sum(axis=(1, 2, 3)) == pytest.approx(DATA.log_prob(x), abs=1e-9)
    assert DATA.conditionals(x).sum(axis=-1) == pytest.approx(1, abs=1e-9)
    told = np.take_along_axis(DATA.conditionals(x, DATA.kinds(x)), x[..., None].astype(int), axis=-1)
    assert np.log(told).sum(axis=(1, 2, 3, 4)) == pytest.approx(DATA.log_prob(x) + DATA.repeated, abs=1e-9)


def test_the_marks_of_the_lower_half_are_those_of_the_upper():
    x = DATA.sample(2000, seed=4)
    kinds = DATA.kinds(x)
    assert np.array_equal(kinds[:, :HALF], kinds[:, HALF:])
    shares = np.bincount(kinds[:, :HALF].ravel(), minlength=KINDS) / kinds[:, :HALF].size
    assert np.abs(shares - 1 / KINDS).max() < 4.5 * np.sqrt(3 / 16 / kinds[:, :HALF].size)
    assert ((x == MARK).sum(axis=(1, 2, 3)) == 2 * GRID**2).all()
    moved = x.copy()
    moved[0, 0, :4], moved[1, 0, 0, 0] = x[0, 0, 4:8], MARK  # another row of tiles, and a mark too many
    log_p = DATA.log_prob(moved)
    assert np.isneginf(log_p[:2]).all()
    assert np.isfinite(log_p[2:]).all()
    assert np.isneginf(DATA.log_conditionals(moved[:2]).sum(axis=(1, 2, 3))).all()


def test_what_is_no_picture_is_said():
    x = DATA.sample(3).astype(int)
    with pytest.raises(ValueError, match=r"mosaics expects pictures of shape \(n, 1, 16, 16\), got"):
        DATA.log_prob(x[:, :, 1:])
    with pytest.raises(ValueError, match=r"mosaics has integer levels 0 … 2, got 3"):
        DATA.kinds(x + 1)
