"""The properties of flows of images both ways: right pieces pass whatever they look like, nearly right ones do not."""

import json

import numpy as np
import pytest
from scipy.stats import special_ortho_group

from autograder.properties import flows, images
from autograder.properties.finding import Finding
from autograder.score import _plain

rng = np.random.default_rng


def passed(finding: Finding) -> bool:
    """What is shown must be shown in any case: two phrases, and a plot of finite numbers."""
    assert finding.measured
    assert finding.required
    assert "null" not in json.dumps(_plain(finding.plot), allow_nan=False)
    return finding.passed


def test_is_exactly():
    wanted = rng(0).normal(size=(5, 3)) * 1000
    assert passed(images.is_exactly(wanted.astype(np.float32), wanted, "t", "formula"))
    wrong = wanted.copy()
    wrong[2, 1] += 1
    finding = images.is_exactly(wrong, wanted, "t", "formula")
    assert not passed(finding)
    assert f"{wrong[2, 1]:.5g}" in finding.measured
    wrong[2, 1] = np.nan
    assert not passed(images.is_exactly(wrong, wanted, "t", "formula"))


# ---- dequantization ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [2, 16, 256])
def test_uniform_noise_passes(levels, seed):
    x = rng(seed).integers(levels, size=(60, 1, 8, 8))
    y = ((x + rng(seed + 99).random(x.shape)) / levels).astype(np.float32)
    assert passed(images.noise_is_uniform(y, x, levels))


@pytest.mark.parametrize(
    "noise",
    [
        lambda x, r: np.zeros(x.shape),
        lambda x, r: np.full(x.shape, 0.5),
        lambda x, r: r.random((len(x), 1, 1, 1)),
        lambda x, r: r.random((1, *x.shape[1:])),
        lambda x, r: r.random(x.shape) - 0.5,
        lambda x, r: r.random(x.shape) * 0.9,
        lambda x, r: r.beta(2, 2, x.shape),
        lambda x, r: r.random(x.shape) * np.nan,
        lambda x, r: 2 * r.random(x.shape),
        lambda x, r: r.random((*x.shape[:3], 1)),
    ],
)
def test_other_noise_fails(noise):
    x = rng(0).integers(16, size=(60, 1, 8, 8))
    y = (x + noise(x, rng(1)) + np.zeros(x.shape)) / 16
    assert not passed(images.noise_is_uniform(y.astype(np.float32), x, 16))


def test_noise_is_drawn_anew():
    first, second = rng(0).random((2, 60, 1, 8, 8))
    assert passed(images.is_drawn_anew(first, second, "dequantize"))
    same = images.is_drawn_anew(first, first.copy(), "dequantize")
    assert not passed(same)
    assert "the same at every call" in same.slip


# ---- masks and the squeeze -----------------------------------------------------------------------------


def board(shape=(2, 4, 6), keep=0):
    _, H, W = shape
    return np.broadcast_to((np.indices((H, W)).sum(axis=0) % 2 == keep).astype(float), shape).copy()


def test_a_checkerboard():
    assert passed(images.is_a_checkerboard(board(keep=0), board(keep=1)))
    assert not passed(images.is_a_checkerboard(board(keep=1), board(keep=0)))
    assert not passed(images.is_a_checkerboard(board(keep=0), board(keep=0)))
    stripes = np.zeros((2, 4, 6))
    stripes[:, ::2] = 1
    assert not passed(images.is_a_checkerboard(stripes, 1 - stripes))
    one_channel = board()
    one_channel[1] = 1 - one_channel[1]
    assert not passed(images.is_a_checkerboard(one_channel, 1 - one_channel))
    assert not passed(images.is_a_checkerboard(board() * np.nan, board(keep=1)))


def test_half_the_channels():
    half = np.zeros((4, 3, 5))
    half[:2] = 1
    assert passed(images.is_half_the_channels(half, 1 - half))
    assert not passed(images.is_half_the_channels(1 - half, half))
    assert not passed(images.is_half_the_channels(half, half))
    in_turns = np.zeros((4, 3, 5))
    in_turns[::2] = 1
    assert not passed(images.is_half_the_channels(in_turns, 1 - in_turns))


def squeezed(x, order=(0, 1, 3, 5, 2, 4)):
    B, C, H, W = x.shape
    return x.reshape(B, C, H // 2, 2, W // 2, 2).transpose(order).reshape(B, 4 * C, H // 2, W // 2)


@pytest.mark.parametrize("order", [(0, 1, 3, 5, 2, 4), (0, 3, 5, 1, 2, 4), (0, 5, 1, 3, 2, 4)])
def test_squares_become_channels_in_any_order(order):
    x = np.arange(2 * 3 * 4 * 8, dtype=np.float32).reshape(2, 3, 4, 8)
    assert passed(images.squares_become_channels(x, squeezed(x, order)))


def test_what_is_no_squeeze():
    x = np.arange(2 * 3 * 4 * 8, dtype=np.float32).reshape(2, 3, 4, 8)
    assert not passed(images.squares_become_channels(x, x.reshape(2, 12, 2, 4)))
    assert not passed(images.squares_become_channels(x, squeezed(x)[:, :, ::-1].copy()))
    doubled = squeezed(x)
    doubled[:, 0] = doubled[:, 1]
    assert not passed(images.squares_become_channels(x, doubled))
    assert not passed(images.squares_become_channels(x, squeezed(x) + 0.5))


# ---- couplings and log_prob ----------------------------------------------------------------------------


def test_keeps_where_the_mask_is_one():
    mask, t = board((1, 4, 4)).ravel(), rng(0).normal(size=(20, 16)).astype(np.float32)
    assert passed(images.keeps_where(lambda t: np.where(mask == 1, t, 2 * t + 1), t, mask))
    assert not passed(images.keeps_where(lambda t: 2 * t + 1, t, mask))
    assert not passed(images.keeps_where(lambda t: np.where(mask == 1, t + 1e-6, 2 * t + 1), t, mask))
    assert not passed(images.keeps_where(lambda t: np.where(np.arange(16) == 1, 3 * t, t), t, mask))
    assert not passed(images.keeps_where(lambda t: t * np.nan, t, mask))


def test_the_same_distribution():
    a, b = rng(0).normal(size=(2, 1500))
    assert passed(images.same_distribution(a, b, "log_prob", "the sum"))
    assert not passed(images.same_distribution(a + 0.5, b, "log_prob", "the sum"))
    assert not passed(images.same_distribution(2 * a, b, "log_prob", "the sum"))
    assert not passed(images.same_distribution(np.zeros(1500), b, "log_prob", "the sum"))
    assert not passed(images.same_distribution(a * np.nan, b, "log_prob", "the sum"))


def sampled(z: np.ndarray, rounded=np.floor) -> np.ndarray:
    return np.clip(rounded(16 / (1 + np.exp(-z))), 0, 15)


@pytest.mark.parametrize("seed", range(5))
def test_samples_are_compared_by_what_a_slip_changes(seed):
    z, other = rng(seed).normal(size=(2, 2000, 16))
    assert passed(images.samples_are_of(sampled(z), sampled(other), 16, seed))
    for wrong in (
        sampled(z, np.round),
        sampled(0.7 * z),
        sampled(z + 0.3),
        sampled(np.abs(z)),
        sampled(z[:, :1] + 0 * z),
    ):
        assert not passed(images.samples_are_of(wrong, sampled(other), 16, seed))
    assert not passed(images.samples_are_of(sampled(z) * np.nan, sampled(other), 16, seed))


# ---- Glow ----------------------------------------------------------------------------------------------


def test_a_glow_that_mixes_and_bends_and_one_that_does_not():
    rng = np.random.default_rng(0)
    curved = rng.normal(size=(3, 8, 8))
    assert passed(images.mixes_and_bends(curved))
    linear = images.mixes_and_bends(np.tile(curved[:1], (3, 1, 1)))
    assert not passed(linear)
    assert "ChannelCoupling" in linear.slip
    curved[:, :4] = np.eye(8)[:4]
    alone = images.mixes_and_bends(curved)
    assert not passed(alone)
    assert "InvertibleConv" in alone.slip
    assert "4 of 8" in alone.measured


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_standardised_batch(ddof):
    x = rng(0).normal(3, 2, size=(64, 6, 4, 4))
    z = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / x.std(axis=(0, 2, 3), ddof=ddof, keepdims=True)
    assert passed(images.is_standardised(z))
    assert not passed(images.is_standardised(x))
    assert not passed(images.is_standardised((x - x.mean()) / x.std() + 0.01))
    assert not passed(images.is_standardised(z * np.nan))


def test_one_map_a_channel():
    x = rng(0).normal(size=(2, 16, 6, 4, 4)).astype(np.float32)
    scale, shift = rng(1).normal(size=(2, 6, 1, 1))
    assert passed(images.is_one_map_a_channel(x, x * scale + shift))
    by_batch = x * scale + shift * np.arange(1, 3)[:, None, None, None, None]
    assert not passed(images.is_one_map_a_channel(x, by_batch))
    by_pixel = x * scale + rng(2).normal(size=(6, 4, 4))
    assert not passed(images.is_one_map_a_channel(x, by_pixel))
    assert not passed(images.is_one_map_a_channel(x, np.tanh(x)))
    assert not passed(images.is_one_map_a_channel(x, x * np.nan))


def test_a_rotation():
    assert passed(images.is_a_rotation(special_ortho_group.rvs(6, random_state=0).astype(np.float32)))
    assert not passed(images.is_a_rotation(np.eye(6)))
    assert not passed(images.is_a_rotation(np.eye(6)[::-1]))
    assert not passed(images.is_a_rotation(rng(0).normal(size=(6, 6))))
    assert not passed(images.is_a_rotation(np.full((6, 6), np.nan)))


def test_half_of_the_channels_are_kept():
    t, shape = rng(0).normal(size=(20, 96)).astype(np.float32), (6, 4, 4)
    first, second = np.repeat([1, 1, 1, 0, 0, 0], 16), np.repeat([1, 0, 1, 0, 1, 0], 16)
    for kept in (first, second):  # whichever half
        assert passed(images.keeps_half_the_channels(lambda t, k=kept: np.where(k, t, 2 * t + 1), t, shape))
    assert not passed(images.keeps_half_the_channels(lambda t: 2 * t + 1, t, shape))
    assert not passed(images.keeps_half_the_channels(lambda t: t, t, shape))
    assert not passed(images.keeps_half_the_channels(lambda t: np.where(np.arange(96) < 64, t, 2 * t), t, shape))
    assert not passed(images.keeps_half_the_channels(lambda t: t * np.nan, t, shape))


# ---- log_det in many dimensions ------------------------------------------------------------------------


def test_log_det_of_many_dimensions_may_be_far_below_zero():
    jac = np.stack([np.diag(np.exp(rng(k).normal(-3, 1, size=16))) for k in range(10)])
    log_det = np.linalg.slogdet(jac).logabsdet
    assert log_det.max() < -30
    assert flows.log_det_is_of_jacobian(log_det, jac).passed
    assert not flows.log_det_is_of_jacobian(log_det + 0.01, jac).passed
