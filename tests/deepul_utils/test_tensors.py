"""Reductions, units, and levels to reals and back."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepul_utils.tensors import (
    bits_per_dim,
    dequantize,
    from_logits,
    quantize,
    receptive_field,
    squeeze,
    sum_except_batch,
    to_levels,
    to_logits,
    to_reals,
    unsqueeze,
)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 3, 2, 4), (5, 0), (0, 3)])
def test_sum_except_batch(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    total = sum_except_batch(x)
    assert total.shape == shape[:1]
    expected = [math.fsum(row.ravel().tolist()) for row in x]
    assert total.tolist() == pytest.approx(expected, abs=1e-5)


def test_sum_except_batch_of_a_scalar():
    with pytest.raises(ValueError, match="scalar"):
        sum_except_batch(torch.tensor(1.0))


def test_bits_per_dim():
    uniform = torch.full((2,), 3072 * math.log(256))  # a uniform 8-bit image costs 8 bits a number
    assert bits_per_dim(uniform, 3072).tolist() == pytest.approx([8.0, 8.0])
    assert bits_per_dim(math.log(2), 1) == 1.0
    with pytest.raises(ValueError, match="got 0"):
        bits_per_dim(1.0, 0)


def test_quantize_cuts_the_range_into_equal_steps():
    x = torch.tensor([[0.0, 0.2499, 0.25], [0.5, 0.7501, 1.0]])
    levels = quantize(x, 4)
    assert levels.dtype == torch.int64
    assert levels.tolist() == [[0, 0, 1], [2, 3, 3]]


def test_quantize_clips():
    x = torch.tensor([-1e30, -math.inf, -4.01, -4.0, -3.9, 3.9, 4.0, 1e30, math.inf])
    assert quantize(x, 100, low=-4, high=4).tolist() == [0, 0, 0, 0, 1, 98, 99, 99, 99]


def test_quantize_refuses_what_has_no_level():
    with pytest.raises(ValueError, match="nan"):
        quantize(torch.tensor([0.5, math.nan]), 4)
    with pytest.raises(ValueError, match="at least one level"):
        quantize(torch.tensor([0.5]), 0)
    with pytest.raises(ValueError, match="empty"):
        quantize(torch.tensor([0.5]), 4, low=1, high=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2**16), st.integers(0, 2**32))
def test_quantize_undoes_dequantize(levels, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(levels, (500,), generator=generator)
    y = dequantize(x, levels, generator)
    assert y.dtype == torch.float32
    assert ((y >= 0) & (y < 1)).all()
    assert torch.equal(quantize(y, levels), x)


@pytest.mark.parametrize("u", [0.0, 2**-24, 1 - 2**-24])
@pytest.mark.parametrize("levels", [2, 3, 100, 256, 65536])
def test_rounding_never_leaves_the_level(monkeypatch, u, levels):
    """The extreme draws, which chance shows once in millions: 0.29 in float32 is level 28 of 100."""
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(tuple(shape), u))
    x = torch.arange(levels)
    y = dequantize(x, levels)
    assert (y < 1).all()
    assert torch.equal(quantize(y, levels), x)


def test_dequantize_noise_is_uniform_within_the_level():
    x = torch.full((20_000,), 3)
    u = dequantize(x, 8, torch.Generator().manual_seed(0)) * 8 - 3
    # Standard errors of the moments of 20,000 uniform draws: below 0.0021; four of them.
    assert [(u**k).mean().item() for k in (1, 2, 3)] == pytest.approx([1 / 2, 1 / 3, 1 / 4], abs=0.0085)
    assert u.min() < 0.01
    assert u.max() > 0.99


def test_dequantize_repeats_with_its_generator():
    x = torch.arange(4).repeat(50)
    a, b = (dequantize(x, 4, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(dequantize(x, 4), dequantize(x, 4))


@pytest.mark.parametrize("x", [torch.tensor([0, 4]), torch.tensor([-1]), torch.tensor([0.0, 1.0])])
def test_dequantize_wants_levels(x):
    with pytest.raises(ValueError, match="integer levels 0 … 3, got"):
        dequantize(x, 4)


def test_receptive_field_finds_the_pixels_that_move_an_output():
    def above_and_left(x):
        padded = torch.nn.functional.pad(x.double(), (1, 0, 1, 0))
        return (2 * padded[:, :, :-1, 1:] + padded[:, :, 1:, :-1])[..., None]

    for around in (None, torch.randint(4, (1, 4, 5))):
        seen = receptive_field(above_and_left, (1, 4, 5), at=(2, 3), around=around)
        assert seen.shape == (4, 5)
        assert seen.nonzero().tolist() == [[1, 3], [2, 2]]
    assert receptive_field(above_and_left, (1, 4, 5), at=(2, 3))[1, 3] == 2


def test_receptive_field_takes_no_rounding_for_seeing():
    """Float32 sums come out differently in batches of another size; a real influence is larger."""
    noise = torch.randn(200, generator=torch.Generator().manual_seed(0))

    def logits(x):
        rounding = 3e-8 * noise[: len(x)].roll(len(x))[:, None, None, None]
        seen = torch.zeros(x.shape)
        seen[..., 1:] = x[..., :-1] * 1e-4
        return 1 + seen + rounding

    seen = receptive_field(logits, (1, 3, 4), at=(1, 2))
    assert (seen != 0).nonzero().tolist() == [[1, 1]]


# ---- levels for a flow ---------------------------------------------------------------------------------


def test_to_logits_has_the_log_determinant_of_its_own_jacobian():
    y = torch.rand(20, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t, log_det = to_logits(y)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: to_logits(row[None])[0][0]))(y)
    wanted = torch.linalg.slogdet(jacobian.reshape(20, 6, 6)).logabsdet
    assert t.shape == y.shape
    assert (log_det - wanted).abs().max() < 1e-9
    assert (from_logits(t) - y).abs().max() < 1e-12


def test_to_logits_is_finite_at_the_ends_and_refuses_what_is_no_alpha():
    t, log_det = to_logits(torch.tensor([[0.0, 1.0]]))
    assert t[0].tolist() == pytest.approx([-math.log(19), math.log(19)], abs=1e-4)
    assert torch.isfinite(log_det).all()
    with pytest.raises(ValueError, match="got 0"):
        to_logits(torch.zeros(1, 1), alpha=0.0)
    with pytest.raises(ValueError, match=r"got 0\.5"):
        from_logits(torch.zeros(1, 1), alpha=0.5)


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_to_levels_undoes_to_reals(levels):
    x = torch.randint(levels, (50, 1, 8, 8), generator=torch.Generator().manual_seed(levels))
    torch.manual_seed(0)
    t, log_det = to_reals(x, levels)
    assert (to_levels(t, levels) != x).float().mean() < 1e-3  # float32 rounds a draw onto an edge now and then
    assert to_levels(torch.tensor([-99.0, 99.0]), levels).tolist() == [0, levels - 1]
    assert log_det.shape == (50,)


def test_bits_per_dim_of_a_known_likelihood():
    """A logistic density, cut to what levels reach, is uniform over them: log2(levels) bits a number."""
    torch.manual_seed(0)
    x = torch.randint(16, (200, 1, 16, 16))
    t, log_det = to_reals(x, 16)
    log_p = torch.nn.functional.logsigmoid(t) + torch.nn.functional.logsigmoid(-t) - math.log(0.9)
    bits = bits_per_dim(-(sum_except_batch(log_p) + log_det), 256)
    assert (bits - 4).abs().max() < 1e-3


def test_squeeze_makes_channels_of_squares_and_unsqueeze_undoes_it():
    x = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    z = squeeze(x)
    assert z.shape == (2, 12, 2, 3)
    assert sorted(z[0, :4, 0, 0].tolist()) == [0, 1, 6, 7]  # the four pixels of the first square
    assert torch.equal(unsqueeze(z), x)
