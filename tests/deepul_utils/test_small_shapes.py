"""Small shapes: every picture once, what they tell of their probabilities, and an exact entropy."""

import hashlib

import numpy as np
import pytest

from autograder.assignments import ROOT
from deepul_utils.pictures.small_shapes import SmallShapes, above_limit

SHAPES = SmallShapes()
NUMBER = 6 * 3 * 7 * 7 * 12  # kinds, sizes, places, shades of the shape and the ground


def test_samples_are_levels_of_their_own_streams():
    draws = [SHAPES.sample(200, seed, split) for split in ("train", "validation", "test") for seed in (0, 1)]
    assert all(x.dtype == np.uint8 and x.shape == (200, 1, 16, 16) and x.max() < 4 for x in draws)
    assert len({x.tobytes() for x in draws}) == len(draws)
    assert SHAPES.sample(0).shape == (0, 1, 16, 16)


def test_the_same_on_every_machine():
    assert hashlib.sha256(SHAPES.sample(50, seed=3).tobytes()).hexdigest()[:16] == "8f6c45b9deee9635"


def test_every_picture_is_another_and_has_two_shades():
    assert len(SHAPES.pictures) == NUMBER
    assert len(np.unique(SHAPES.pictures.reshape(NUMBER, -1), axis=0)) == NUMBER
    assert all(len(np.unique(x)) == 2 for x in SHAPES.pictures[:: NUMBER // 200])
    with pytest.raises(ValueError, match="read-only"):
        SHAPES.pictures[0, 0, 0] = 1


def test_all_are_equally_likely_and_nothing_else_is():
    x = SHAPES.pictures[::37, None]
    assert SHAPES.log_prob(x) == pytest.approx(-np.log(NUMBER))
    assert SHAPES.entropy == pytest.approx(np.log(NUMBER))
    other = x.copy()
    other[:, 0, 8, 8] = (other[:, 0, 8, 8] + 1) % 4
    assert np.isneginf(SHAPES.log_prob(other)).mean() > 0.99


def test_conditionals_are_shares_of_the_pictures_that_begin_alike():
    x = SHAPES.sample(6, seed=5)
    p = SHAPES.conditionals(x).reshape(6, -1, 4)
    assert p.sum(axis=-1) == pytest.approx(1)
    pixels, every = x.reshape(6, -1), SHAPES.pictures.reshape(NUMBER, -1)
    for row, told in zip(pixels, p, strict=True):
        for t in (0, 1, 40, 100, 150, 255):
            alike = every[(every[:, :t] == row[:t]).all(axis=1), t]
            assert told[t] == pytest.approx(np.bincount(alike, minlength=4) / len(alike))


def test_what_no_picture_begins_like_tells_nothing():
    x = SHAPES.sample(1, seed=6)
    x[0, 0, 0, :3] = 0, 1, 2
    p = SHAPES.conditionals(x).reshape(-1, 4)
    assert p[2, 2] == 0  # there are two shades
    assert p[3:] == pytest.approx(0.25)


def test_entropies_of_pixels_add_up_and_are_means_of_the_conditionals():
    assert SHAPES.entropies.sum() == pytest.approx(SHAPES.entropy)
    nats = -SHAPES.log_conditionals(SHAPES.sample(20_000, seed=7))[:, 0]
    error = nats.std(axis=0) / np.sqrt(len(nats))
    assert (np.abs(nats.mean(axis=0) - SHAPES.entropies) < 5 * error + 1e-3).all()


def test_what_a_window_costs_is_counted():
    x = np.array([[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]])  # the third is the first
    assert above_limit(x, [0, 1, 2]) == pytest.approx([np.log(2), np.log(2), 0])
    tokens = SHAPES.pictures[:, ::4, ::4].reshape(NUMBER, -1)
    costs = above_limit(tokens, [0, 1, 4, 8, 15])
    assert (np.diff(costs) < 0).all()
    assert costs[-1] == pytest.approx(0, abs=1e-9)


def test_readme_tells_its_entropy():
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert f"- **small shapes** ({SHAPES.entropy:.4f} nats" in readme
