"""Losses of a training, beside what can be reached."""

from typing import TYPE_CHECKING

import numpy as np

from deepul_utils.plots.common import BLUE, INK, SKY, _legend, _styled, _subplots

BAND = "± 2 standard errors: validation in here, also below the limit, may be chance"

STEEP = 0.2  # the share of a training whose losses may leave the picture


@_styled
def history(history, limit: float | None = None, baseline: float | None = None, unit: str = "nats"):
    """Training and validation loss against the step; the exact limit dashed, a naive baseline dotted.

    The limit is a mean over all that could be drawn, the validation loss one over some examples: within the band, two
    standard errors on either side, the best model of all may be found by chance, also below the limit.
    history: an object with the lists `steps`, `train`, `valid_steps`, `valid`; `valid_error` if it is known.
    """
    figure, axes = _subplots(1, 3.2, width=7)
    ax = axes[0, 0]
    ax.plot(history.steps, history.train, color=SKY, linewidth=0.9, alpha=0.8, label="training")
    markers = {"marker": "o", "markersize": 3.5} if len(history.valid) <= 60 else {}
    if history.valid:
        ax.plot(history.valid_steps, history.valid, color=BLUE, label="validation", **markers)
    for value, name, line in ((baseline, "baseline", ":"), (limit, "limit", "--")):
        if value is not None:
            ax.axhline(value, color=INK, linestyle=line, linewidth=1.3, label=f"{name} {value:.3f}")
    band = 2 * _valid_error(history) if limit is not None else 0.0
    if band:
        if TYPE_CHECKING:
            assert limit is not None
        ax.axhspan(limit - band, limit + band, color=INK, alpha=0.13, linewidth=0)
        # At the left there is room: losses begin far above.
        ax.annotate(BAND, (0.01, limit - band), xycoords=("axes fraction", "data"), xytext=(0, 3),
                    textcoords="offset points", fontsize=8.5, color=INK,
                    bbox=dict(facecolor="white", alpha=0.6, linewidth=0, pad=1))  # fmt: skip
    ax.set(xlabel="step", ylabel=f"loss ({unit})")
    lines = [v for v in (limit, baseline) if v is not None]
    bottom, top = _loss_range(history, [*lines, limit - band] if band else lines)  # type: ignore[operator]  # as above
    ax.set_ylim(bottom, top)
    ax.margins(x=0.02)
    _legend(ax)
    return figure


def _valid_error(history) -> float:
    """The standard error of the validation loss; 0 where there is none.

    Weights that were trained before it was kept: as the means over stretches of the training scatter at its end, which
    are of as many examples, more or less. The validation curve itself tells nothing of it: its examples stay the same.
    """
    known = getattr(history, "valid_error", 0.0)
    end = np.asarray(history.train[-50:], dtype=float)
    if known or not len(history.valid) or len(end) < 20 or not np.isfinite(end).all():
        return float(known)
    return float(np.diff(end).std() / 2**0.5)


def _loss_range(history, lines: list[float]) -> tuple[float | None, float | None]:
    """Limits of the loss axis: what matters is the end, so the start may leave it. (None, None) without losses."""
    train, valid = ([(s, v) for s, v in zip(steps, values, strict=True) if np.isfinite(v)] for steps, values in
                    ((history.steps, history.train), (history.valid_steps, history.valid)))  # fmt: skip
    if not train + valid:
        return None, None
    begun = STEEP * max(s for s, _ in train + valid)
    late_train, late_valid = ([v for s, v in curve if s >= begun] for curve in (train, valid))
    highs = [*lines, *late_valid, *([np.quantile(late_train, 0.98)] if late_train else [])]
    bottom, top = min([v for _, v in train + valid] + lines), max(highs)
    room = 0.06 * (top - bottom) or 0.5
    return bottom - room, top + room
