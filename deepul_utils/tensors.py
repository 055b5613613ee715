"""Small tensor functions that every model uses."""

import contextlib
import functools
import math
from collections.abc import Callable
from contextvars import ContextVar

import torch
from torch import Tensor

from deepul_utils import devices
from deepul_utils.errors import KitError

ROUNDING = 1e-6  # of float32 sums, relative
ALPHA = 0.05  # of the logit transform: numbers in [0, 1] go into [α, 1 − α] first


_withheld: ContextVar[bool] = ContextVar("withheld", default=False)


@contextlib.contextmanager
def withheld():
    """For a while what an exercise asks for cannot be had from here: a function of the student's is being checked."""
    token = _withheld.set(True)
    try:
        yield
    finally:
        _withheld.reset(token)


def _asked_for(function: Callable) -> Callable:
    """A function that Exercise 2.4 asks for; the exercises after it take it from here."""

    @functools.wraps(function)
    def given(*args, **kwargs):
        if _withheld.get():
            raise KitError(
                f"tensors.{function.__name__} is for the exercises after 2.4, which asks for a function of your own."
            )
        return function(*args, **kwargs)

    return given


def sum_except_batch(x: Tensor) -> Tensor:
    """Sum over all dimensions but the first: (B, …) → (B,). Raises ValueError for a scalar."""
    if x.ndim == 0:
        raise ValueError("A batch has at least one dimension, got a scalar.")
    return x.flatten(1).sum(dim=1) if x.ndim > 1 else x


def bits_per_dim(nats: Tensor | float, dims: int) -> Tensor | float:
    """nats per example → bits per dimension: nats / (dims · log 2). dims: numbers in one example."""
    if dims < 1:
        raise ValueError(f"An example has at least one dimension, got {dims}.")
    return nats / (dims * math.log(2))


def quantize(x: Tensor, levels: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Real numbers → int64 levels 0 … levels − 1, in equal steps from `low` to `high`; clips what is outside.

    Raises ValueError for levels < 1, an empty range, or a nan.
    """
    _check_levels(levels)
    if not low < high:
        raise ValueError(f"The range [{low}, {high}] is empty.")
    if torch.isnan(x).any():
        raise ValueError("A nan has no level.")
    # Clipped before the cast: a huge float has no int64.
    return ((x - low) / (high - low) * levels).floor().clamp(0, levels - 1).long()


@_asked_for
def dequantize(x: Tensor, levels: int, generator: torch.Generator | None = None) -> Tensor:
    """Integer levels → float32 in [0, 1): (x + u) / levels with u ~ U[0, 1); `quantize` undoes it.

    Uniform noise turns a density p into a lower bound on log P(x): E_u[log p(x + u)] ≤ log P(x)
    (Theis et al. 2016, eq. 9; in units of one level, so add D·log levels for D numbers in [0, 1)).
    Raises ValueError for what is not an integer in 0 … levels − 1.
    """
    _check_levels(levels)
    if x.is_floating_point() or (x.numel() and (x.min() < 0 or x.max() >= levels)):
        raise ValueError(f"Expected integer levels 0 … {levels - 1}, got {_span(x)}.")
    y = (x + torch.rand(x.shape, generator=generator, device=x.device)) / levels
    # float32 rounds one draw in a million onto the next level's edge: it goes to its level's middle.
    inside = (quantize(y, levels) == x) & (y < 1)
    return torch.where(inside, y, (x + 0.5) / levels)


@_asked_for
def to_logits(y: Tensor, alpha: float = ALPHA) -> tuple[Tensor, Tensor]:
    """[0, 1] → the real line, and its log-determinant: t = log s − log(1 − s) with s = α + (1 − 2α)·y.

    (B, …) → (B, …), (B,). α keeps the ends of the interval from going to infinity; log dt/dy = log(1 − 2α) − log s
    − log(1 − s) for each number (Dinh et al. 2017, section 4.1). Raises ValueError unless 0 < α < ½.
    """
    _check_alpha(alpha)
    s = alpha + (1 - 2 * alpha) * y
    log_s, log_rest = s.log(), (1 - s).log()
    return log_s - log_rest, sum_except_batch(math.log(1 - 2 * alpha) - log_s - log_rest)


@_asked_for
def from_logits(t: Tensor, alpha: float = ALPHA) -> Tensor:
    """The inverse of `to_logits`: y = (σ(t) − α) / (1 − 2α); outside [0, 1] for t beyond the logits of α and 1 − α."""
    _check_alpha(alpha)
    return (t.sigmoid() - alpha) / (1 - 2 * alpha)


def to_reals(x: Tensor, levels: int, alpha: float = ALPHA) -> tuple[Tensor, Tensor]:
    """Integer levels → reals for a flow, and log|det| per example: (B, …) → (B, …), (B,).

    `dequantize`, then `to_logits`. For a density p of the reals t, log P(x) ≥ E_u[log p(t) + log_det] in nats: the
    log-determinant counts from x + u on, so it holds the −D·log levels of D numbers that were divided by `levels`.
    """
    t, log_det = to_logits(dequantize(x, levels), alpha)
    return t, log_det - t[0].numel() * math.log(levels)


def to_levels(t: Tensor, levels: int, alpha: float = ALPHA) -> Tensor:
    """The way back of `to_reals`, reals → int64 levels; clips what is outside."""
    return quantize(from_logits(t, alpha), levels)


@_asked_for
def squeeze(x: Tensor) -> Tensor:
    """(B, C, H, W) → (B, 4C, H/2, W/2): every square of 2 × 2 pixels becomes four channels."""
    return torch.nn.functional.pixel_unshuffle(x, 2)


@_asked_for
def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of `squeeze`: (B, 4C, H, W) → (B, C, 2H, 2W)."""
    return torch.nn.functional.pixel_shuffle(x, 2)


def receptive_field(
    logits: Callable[[Tensor], Tensor], shape: tuple[int, int, int], at: tuple[int, int], around: Tensor | None = None
) -> Tensor:
    """How far the outputs at pixel `at` move when each pixel in turn is changed: (H, W), zero where nothing is seen.

    logits: int64 (B, C, H, W) -> (B, C, H, W, …). around: the image to change, int64 (C, H, W); all zero if none.
    """
    C, H, W = shape
    where = devices.of_function(logits)
    base = torch.zeros(C, H, W, dtype=torch.long, device=where) if around is None else around.to(where)
    changed = base.repeat(H * W, 1, 1, 1)
    for k in range(H * W):
        changed[k, :, k // W, k % W] = 1 - changed[k, :, k // W, k % W].clamp(max=1)
    same = logits(base[None])[0, :, at[0], at[1]].flatten()
    out = torch.cat([logits(part)[:, :, at[0], at[1]].flatten(1) for part in changed.split(128)])
    moved = (out - same).abs()
    moved[moved <= ROUNDING * same.abs().max()] = 0  # sums in another order, as batches of another size are computed
    return moved.amax(dim=1).view(H, W)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"α lies between 0 and ½, got {alpha}.")


def _check_levels(levels: int) -> None:
    if levels < 1:
        raise ValueError(f"There is at least one level, got {levels}.")


def _span(x: Tensor) -> str:
    return f"{x.dtype} from {x.min()} to {x.max()}" if x.numel() else f"{x.dtype}"
