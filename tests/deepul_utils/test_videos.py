"""Videos: what they draw has the probabilities that they tell, and their entropies are exact."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chisquare

from autograder.assignments import ROOT
from deepul_utils import videos
from deepul_utils.videos import Bounces
from deepul_utils.videos.bounces import KINDS, template

P_VALUE = 1e-4
SETS = [videos.get(name) for name in videos.names()] + [videos.get("bounce2", 5, 32)]
every_set = pytest.mark.parametrize("data", SETS, ids=lambda s: f"{s.name}-{s.side}")
# Of 50 videos of seed 3: they are the same on every machine.
CHECKSUMS = {"bounce1": "8de9b09df25fe8bf", "bounce2": "9c4482a97a3ac8ab", "bounce3": "ad16d87c14fa4423"}


def every_track(data: Bounces) -> np.ndarray:
    """All videos of one shape, as tracks (n, length, 1, 2), with some that cannot be."""
    tracks = np.stack(np.meshgrid(*2 * [np.arange(data.places)], indexing="ij"), axis=-1).reshape(-1, 1, 1, 2)
    moves = np.array([(a, b) for a in (-1, 1) for b in (-1, 1)])
    for _ in range(data.length - 1):
        after = (tracks[:, None, -1:] + moves[:, None, None]).clip(0, data.places - 1)
        tracks = np.concatenate([np.repeat(tracks[:, None], 4, axis=1), after], axis=2).reshape(
            -1, tracks.shape[1] + 1, 1, 2
        )
    return np.unique(tracks, axis=0)


@every_set
def test_samples_are_levels_of_their_own_streams(data):
    draws = [data.sample(60, seed, split) for split in ("train", "validation", "test") for seed in (0, 1)]
    assert all(x.dtype == np.uint8 and x.shape == (60, *data.shape) and x.max() == data.levels - 1 for x in draws)
    assert len({x.tobytes() for x in draws}) == len(draws)
    assert np.array_equal(data.sample(60, 1, "test"), draws[5])
    assert data.sample(0).shape == (0, *data.shape)


@pytest.mark.parametrize("data", SETS[:3], ids=lambda s: s.name)
def test_the_same_on_every_machine(data):
    assert hashlib.sha256(data.sample(50, seed=3).tobytes()).hexdigest()[:16] == CHECKSUMS[data.name]


@every_set
def test_the_entropy_is_the_mean_of_what_is_drawn(data):
    log_p = data.log_conditionals(data.sample(3000, seed=5))
    assert np.isfinite(log_p).all()
    off = np.abs(log_p.mean(axis=0) + data.entropies)
    assert (off[1:] < 4.5 * log_p.std(axis=0)[1:] / np.sqrt(len(log_p))).all()
    assert off[0] < 1e-12
    assert data.entropy == pytest.approx(data.entropies.sum())


def test_probabilities_of_all_videos_sum_to_one():
    data = Bounces(1, length=3)
    tracks = every_track(data)
    p = np.exp(data.log_prob(data.render(tracks)))
    assert p.sum() == pytest.approx(1, abs=1e-10)
    assert -(p[p > 0] * np.log(p[p > 0])).sum() == pytest.approx(data.entropy, abs=1e-10)


def test_moves_are_as_frequent_as_they_are_probable():
    """Of the last of four frames, by how often either axis turned."""
    data = videos.get("bounce1", 4)
    tracks = data.tracks(20_000, seed=2)
    moves = np.diff(tracks[:, :, 0], axis=1)
    free = ((tracks[:, 2, 0] > 0) & (tracks[:, 2, 0] < data.places - 1)).all(axis=1)
    turned = (moves[:, 2] != moves[:, 1]).sum(axis=1)[free]
    expected = len(turned) * np.array([0.81, 0.18, 0.01])
    assert chisquare(np.bincount(turned, minlength=3), expected).pvalue > P_VALUE
    log_p = data.log_conditionals(data.render(tracks))[free, 3]
    assert np.allclose(log_p, np.log([0.81, 0.09, 0.01])[turned])


def test_a_wall_leaves_one_way():
    data = Bounces(1, length=3)
    down = data.places - 1
    tracks = np.array(
        [
            [[[1, 5]], [[0, 6]], [[1, 7]]],
            [[[1, 5]], [[0, 6]], [[0, 7]]],
            [[[down, 5]], [[down - 1, 4]], [[down - 2, 3]]],
        ]
    )
    log_p = data.log_conditionals(data.render(tracks))
    assert log_p[0] == pytest.approx([-2 * np.log(12), -2 * np.log(2), np.log(0.9)])  # up or down at first, then back
    assert log_p[1, 2] == -np.inf  # it must move
    assert log_p[2] == pytest.approx([-2 * np.log(12), -np.log(2), 2 * np.log(0.9)])


def test_what_is_read_is_where_the_shapes_are():
    data = videos.get("bounce3")
    assert np.array_equal(data.read(data.sample(200, seed=4)), data.tracks(200, seed=4))
    spoilt = data.sample(3, seed=4)
    spoilt[1, 2, 0, 0, 0] ^= 1
    assert np.isinf(data.log_conditionals(spoilt)[1, 2:]).all()
    assert np.isfinite(data.log_conditionals(spoilt)[1, :2]).all()
    assert np.isfinite(data.log_prob(spoilt)[[0, 2]]).all()
    assert (data.read(spoilt)[1, 2] == -1).all()


def test_frames_alone_tell_less():
    data = videos.get("bounce1", 1)
    assert data.entropy == pytest.approx(2 * np.log(12))
    assert data.entropy_without_time == pytest.approx(2 * np.log(12))
    longer = videos.get("bounce1", 8)
    assert longer.entropy_without_time < 8 * 2 * np.log(12)  # walls are left, and come to again
    assert longer.entropy_without_time > 4 * longer.entropy


@pytest.mark.parametrize("radius", [2, 4])
def test_shapes_differ_and_touch_their_sides(radius):
    shapes = [template(kind, radius) for kind in KINDS]
    assert len({s.tobytes() for s in shapes}) == len(KINDS)
    assert all(s[edge].any() and s[:, edge].any() for s in shapes for edge in (0, -1))


def test_a_colour_is_a_shape():
    for name in videos.names():
        data = videos.get(name)
        x = data.sample(2)
        rgb = data.rgb(x)
        assert rgb.shape == (2, 8, 3, 16, 16)
        for k in range(data.shapes):
            assert np.array_equal(rgb[:, :, k] == 255, (x[:, :, 0] >> k) & 1 == 1)
    assert np.array_equal(videos.get("bounce1").rgb(x * 0)[:, :, 0], 0 * x[:, :, 0])


def test_what_is_no_video_is_said():
    data = videos.get("bounce2")
    x = data.sample(3).astype(int)
    with pytest.raises(ValueError, match=r"expects videos of shape \(n, 8, 1, 16, 16\), got"):
        data.log_prob(x[:, 1:])
    for wrong in (-1, 4, 0.5):
        changed = x.astype(float)
        changed[1, 2] = wrong
        with pytest.raises(ValueError, match="integer levels 0 … 3, got"):
            data.log_prob(changed)
    for arguments, said in (
        (("bounce4",), "no set of videos called 'bounce4'. Did you mean 'bounce"),
        (("bounce1", 0), "at least one frame, got a length of 0"),
        (("bounce1", 8, 20), "16 or 32 pixels, not 20"),
    ):
        with pytest.raises(ValueError, match=said):
            videos.get(*arguments)
    with pytest.raises(ValueError, match="from 1 to 3 shapes, not 4"):
        Bounces(4)
    with pytest.raises(ValueError, match="no split called 'valid'"):
        data.sample(3, split="valid")


def test_readme_has_the_table():
    command = [sys.executable, "-m", "deepul_utils.videos"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == videos.table() + "\n"
    assert printed in (ROOT / "data" / "README.md").read_text(encoding="utf-8")
