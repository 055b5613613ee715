"""Pictures: what they draw has the probabilities that they tell, and their entropies are exact."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from autograder.assignments import ROOT
from deepul_utils import pictures

SETS = [pictures.get(name) for name in pictures.names()]
every_set = pytest.mark.parametrize("data", SETS, ids=lambda s: s.name)
# Of 50 pictures of seed 3: they are the same on every machine.
CHECKSUMS = {"tints": "77b8ed9645b8f5bb", "corners": "0929525a57b21ab6"}


# ---- what all sets have in common ------------------------------------------------------------------------


@every_set
def test_samples_are_levels_of_their_own_streams(data):
    draws = [data.sample(200, seed, split) for split in ("train", "validation", "test") for seed in (0, 1)]
    assert all(x.dtype == np.uint8 and x.shape == (200, *data.shape) and x.max() < data.levels for x in draws)
    assert len({x.tobytes() for x in draws}) == len(draws)
    assert np.array_equal(data.sample(200, 1, "test"), draws[5])
    assert data.sample(0).shape == (0, *data.shape)


@every_set
def test_the_same_on_every_machine(data):
    assert hashlib.sha256(data.sample(50, seed=3).tobytes()).hexdigest()[:16] == CHECKSUMS[data.name]


@every_set
def test_the_entropy_is_the_mean_of_what_is_drawn(data):
    log_p = data.log_prob(data.sample(6000, seed=5))
    assert np.isfinite(log_p).all()
    assert abs(log_p.mean() + data.entropy) < 4.5 * log_p.std() / np.sqrt(len(log_p))


@every_set
def test_conditionals_sum_to_one(data):
    """Whatever came before: of every value in turn, over all of its levels."""
    rng, x = np.random.default_rng(0), data.sample(3, seed=1)
    for _ in range(20):
        at = tuple(rng.integers(data.shape))
        every = np.repeat(x[:, None], data.levels, axis=1).astype(int)  # (3, levels, C, H, W)
        every[(slice(None), slice(None), *at)] = np.arange(data.levels)
        log_p = data.log_conditionals(every.reshape(-1, *data.shape)).reshape(3, data.levels, *data.shape)
        one_by_one = np.exp(log_p[(slice(None), slice(None), *at)])
        assert one_by_one.sum(axis=1) == pytest.approx(1, abs=1e-9)
        assert data.conditionals(x)[(slice(None), *at)] == pytest.approx(one_by_one)


@every_set
def test_what_is_no_picture_is_said(data):
    x = data.sample(3).astype(int)
    with pytest.raises(ValueError, match=r"expects pictures of shape \(n, .*\), got"):
        data.log_prob(x[:, :, 1:])
    for wrong in (-1, data.levels, 0.5):
        changed = x.astype(float)
        changed[1, 0, 2, 2] = wrong
        with pytest.raises(ValueError, match=rf"integer levels 0 … {data.levels - 1}, got"):
            data.log_prob(changed)


def test_what_is_not_there_is_said():
    with pytest.raises(ValueError, match=r"no set of pictures called 'corner'\. Did you mean 'corners'\?"):
        pictures.get("corner")
    with pytest.raises(ValueError, match="no split called 'valid'"):
        pictures.get("corners").sample(3, split="valid")


def test_readme_has_the_table():
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    command = [sys.executable, "-m", pictures.__name__]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == pictures.table() + "\n"
    assert printed in readme


# ---- corners ---------------------------------------------------------------------------------------------


def test_the_last_corner_is_the_first_turned_by_half():
    corners = pictures.get("corners")
    x = corners.sample(2000, seed=4)[:, 0]
    assert np.array_equal(x[:, -3:, -3:], x[:, :3, :3][:, ::-1, ::-1])
    assert abs(x[:, :3, :3].mean() - 0.5) < 4.5 * 0.5 / np.sqrt(9 * len(x))
    assert len(np.unique(x[:, :3, :3].reshape(-1, 9), axis=0)) > 480  # of 512: they are independent
    x[0, -1, -1] ^= 1
    assert np.isneginf(corners.log_prob(x[:, None])[0])
    assert np.isfinite(corners.log_prob(x[:, None])[1:]).all()


def test_the_entropy_of_each_pixel_is_exact():
    """Coins in the first corner, nothing in the last, and elsewhere what a sample says of the two neighbours."""
    corners = pictures.get("corners")
    assert corners.entropies[:3, :3] == pytest.approx(np.log(2))
    assert not corners.entropies[-3:, -3:].any()
    assert corners.repeated == pytest.approx(corners.entropies[:3, :3].sum())
    nats = -corners.log_conditionals(corners.sample(6000, seed=6))[:, 0]
    error = nats.std(axis=0) / np.sqrt(len(nats))
    assert (np.abs(nats.mean(axis=0) - corners.entropies) <= 5 * error + 1e-12).all()


# ---- tints -----------------------------------------------------------------------------------------------


def test_colours_follow_each_other_and_pile_up_at_the_ends():
    tints = pictures.get("tints")
    red, green, blue = tints.tables
    assert all(table.sum(axis=1) == pytest.approx(1) for table in (red, green, blue))
    levels = np.arange(tints.levels)
    slope = np.polyfit(levels[20:44], (green @ levels)[20:44], 1)[0]
    assert slope == pytest.approx(1.1, abs=0.01)  # away from the ends
    x = tints.sample(2000, seed=4)
    ends = ((x == 0) | (x == tints.levels - 1)).mean(axis=(0, 2, 3))
    assert (ends[:2] > 0.2).all()


def test_what_the_pixels_beside_tell_is_the_difference_of_two_entropies():
    """Of a red alone, as it is counted in a sample, and given the one beside it."""
    tints = pictures.get("tints")
    x = tints.sample(20_000, seed=6)[:, 0]
    counts = np.stack([(x == level).mean(axis=0) for level in range(tints.levels)])
    alone = -(counts * np.log(counts.clip(1e-12))).sum(axis=0)
    given = -tints.log_conditionals(tints.sample(3000, seed=7))[:, 0].mean(axis=0)
    assert tints.beside == pytest.approx(alone.sum() - given.sum(), rel=0.02)


def test_each_entropy_is_that_of_a_count():
    """Of the green, given red: as often as each red occurs."""
    tints = pictures.get("tints")
    x = tints.sample(3000, seed=5)
    nats = -tints.log_conditionals(x)
    for c, table in enumerate(tints.tables[1:], start=1):
        given = np.bincount(x[:, c - 1].ravel(), minlength=tints.levels) / x[:, c - 1].size
        of_level = -(table * np.log(table)).sum(axis=1)
        assert nats[:, c].mean() == pytest.approx(given @ of_level, rel=0.01)
