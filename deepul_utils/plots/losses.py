"""Losses of a training, beside what can be reached."""

import numpy as np

from deepul_utils.plots import given
from deepul_utils.plots.common import BLUE, GREEN, INK, SKY, TEXT, _legend, _styled, _subplots

BAND = "± 2 standard errors: validation in here, also below the limit, may be chance"
WORDS = 8.5  # their size, points
STEEP = 0.2  # the share of a training whose losses may leave the picture
SMOOTH = 40  # running means of the training loss that a training has, end to end
MARKED = 60  # points of validation, at most, that are marked one by one


@_styled
def history(
    history,
    limit: float | None = None,
    baseline: float | None = None,
    unit: str = "nats",
    aim: float | None = None,
    held_out: float | None = None,
):
    """Training and validation loss against the step; the exact limit dashed, a naive baseline dotted.

    The training loss is shown as it is, faintly, and as a running mean. The limit is a mean over all that could be
    drawn, the validation loss one over some examples: within the band, two standard errors on either side, the best
    model of all may be found by chance, also below the limit.
    history: an object with the lists `steps`, `train`, `valid_steps`, `valid`; `valid_error` if it is known. aim: what
    the course's own model reaches, that which `trained` was given if none is said. held_out: a validation loss of the
    trained model, where none was measured on the way.
    """
    steps, train, valid_steps, valid = given.losses(history, "steps", "train", "valid_steps", "valid")
    given.same_length(**{"history.steps": steps, "history.train": train})
    given.same_length(**{"history.valid_steps": valid_steps, "history.valid": valid})
    measured = len(valid) > 0
    if held_out is not None and len(steps) and not measured:
        valid_steps, valid = steps[-1:], np.array([float(held_out)])
    figure, axes = _subplots(1, 3.4, width=8)
    ax = axes[0, 0]
    _curves(ax, (steps, train), (valid_steps, valid))
    levels = _levels(ax, baseline, getattr(history, "aim", None) if aim is None else aim, limit)
    error = _valid_error(history, train, valid) if limit is not None and measured else 0.0
    if limit is not None and error:
        levels.append(limit - 2 * error)
    ax.set(xlabel="step", ylabel=f"loss ({unit})", ylim=_loss_range((steps, train), (valid_steps, valid), levels))
    if limit is not None and error:
        _band(ax, limit, 2 * error)
    ax.margins(x=0.02)
    _legend(ax)
    return figure


def _curves(ax, train: tuple, valid: tuple) -> None:
    """The training loss faintly, its running mean, and the validation loss; (steps, losses) each."""
    steps, losses = train
    ax.plot(steps, losses, color=SKY, linewidth=0.7, alpha=0.4)
    ax.plot(steps, _running_mean(losses), color=SKY, linewidth=1.6, label="training")
    if len(valid[1]):
        markers = {"marker": "o", "markersize": 3.5} if len(valid[1]) <= MARKED else {}
        ax.plot(*valid, color=BLUE, label="validation", **markers)


def _levels(ax, baseline: float | None, aim: float | None, limit: float | None) -> list[float]:
    """A line across for each loss that is known beforehand, and what there is of them."""
    lines = (("baseline", baseline, INK, ":"), ("to aim at", aim, GREEN, "-."), ("limit", limit, INK, "--"))
    for name, level, color, dashes in lines:
        if level is not None:
            ax.axhline(level, color=color, linestyle=dashes, linewidth=1.3, label=f"{name} {_number(level)}")
    return [level for _, level, *_ in lines if level is not None]


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _running_mean(curve: np.ndarray) -> np.ndarray:
    """Of a curve's losses around each step; at the ends of those that there are."""
    if not len(curve):
        return curve
    window = np.ones(2 * (len(curve) // (2 * SMOOTH)) + 1)
    sums, counts = (np.convolve(np.pad(v, len(window) // 2), window, "valid") for v in (curve, np.ones(len(curve))))
    return sums / counts


def _band(ax, limit: float, width: float) -> None:
    """What may be chance on either side of the limit, and the words for it: at the left, in it if it is high enough."""
    ax.axhspan(limit - width, limit + width, color=INK, alpha=0.13, linewidth=0)
    low, high = ax.get_ylim()
    points = 2 * width / (high - low) * ax.get_position().height * ax.figure.get_figheight() * 72
    inside = points > 1.5 * WORDS
    plate = dict(facecolor="white", alpha=0.7, linewidth=0, pad=1)
    place = dict(xycoords=("axes fraction", "data"), textcoords="offset points", xytext=(0, 3 if inside else -3))
    words = dict(va="bottom" if inside else "top", fontsize=WORDS, color=TEXT, bbox=plate)
    ax.annotate(BAND, (0.01, limit - width), **place, **words)


def _valid_error(history, train: np.ndarray, valid: np.ndarray) -> float:
    """The standard error of the validation loss; 0 where there is none.

    Weights that were trained before it was kept: as the means over stretches of the training scatter at its end, which
    are of as many examples, more or less. The validation curve itself tells nothing of it: its examples stay the same.
    """
    known = getattr(history, "valid_error", 0.0)
    end = train[-50:]
    if known or not len(valid) or len(end) < 20 or not np.isfinite(end).all():
        return float(known)
    return float(np.diff(end).std() / 2**0.5)


def _loss_range(train: tuple, valid: tuple, lines: list[float]) -> tuple[float | None, float | None]:
    """Limits of the loss axis: what matters is the end, so the start may leave it. (None, None) without losses.

    train, valid: (steps, losses) each.
    """
    curves = [(steps[np.isfinite(losses)], losses[np.isfinite(losses)]) for steps, losses in (train, valid)]
    last = max((steps.max() for steps, _ in curves if len(steps)), default=None)
    if last is None:
        return None, None
    late_train, late_valid = (losses[steps >= STEEP * last] for steps, losses in curves)
    highs = [*lines, *late_valid, *([np.quantile(late_train, 0.98)] if len(late_train) else [])]
    bottom, top = min(min(losses.min() for _, losses in curves if len(losses)), *lines, np.inf), max(highs)
    room = 0.06 * (top - bottom) or 0.5
    return bottom - room, top + room
