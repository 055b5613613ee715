"""Signals, and what a receptive field is worth."""

import numpy as np

from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import BLUE, INK, ORANGE, _legend, _styled, _subplots

MARKS = ("o", "s", "D", "^", "v")


@_styled
def signals(panels: dict, levels: int = 256):
    """Signals over time, {title: levels (n, T)}, one below the other in each panel, side by side.

    levels: of the data, for the scale. Raises CannotDraw for panels with different numbers of signals.
    """
    given.table(panels, "panels", '{"data": x[:4], "samples": samples[:4]}')
    arrays = {title: given.numbers(x, title, ("n", "T")) for title, x in panels.items()}
    rows = {len(x) for x in arrays.values()}
    if len(rows) > 1 or 0 in rows:
        raise CannotDraw(f"All panels should have equally many signals, got {', '.join(map(str, sorted(rows)))}.")
    (n,) = rows
    figure, axes = _subplots(len(arrays), 0.75 * n + 0.6, n)
    for column, (title, x) in zip(axes.T, arrays.items(), strict=True):
        for ax, signal in zip(column, x, strict=True):
            ax.plot(np.arange(len(signal)), signal, color=BLUE, linewidth=1.1, drawstyle="steps-mid")
            ax.set(ylim=(0, levels - 1), yticks=[0, levels // 2, levels - 1])
            ax.tick_params(labelbottom=ax is column[-1], labelleft=ax in axes[:, 0])
            ax.margins(x=0.01)
        column[0].set_title(title)
        column[-1].set_xlabel("value")
    return figure


@_styled
def reach(windows, best, models: dict, unit: str = "nats a value above the limit"):
    """What can be reached with so many values in sight, (n,) over windows (n,), and what models reach.

    models: {name: (how many values it sees, its loss above the limit)}.
    """
    windows = given.integers(windows, "windows", ("n",))
    best = given.numbers(best, "best", (len(windows),))
    given.table(models, "models", '{"WaveNet": (32, 0.02)}')
    figure, axes = _subplots(1, 3.2, width=8)
    ax = axes[0, 0]
    ax.plot(windows, best, color=INK, linestyle="--", label="the best that sees no more", drawstyle="steps-post")
    for k, (name, pair) in enumerate(models.items()):
        sees, loss = given.numbers(pair, name, (2,)).astype(float)
        mark = dict(marker=MARKS[k % len(MARKS)], color=(BLUE, ORANGE)[k % 2], linestyle="none", markersize=8)
        ax.plot([sees], [loss], label=f"{name}, {loss:.3f}", **mark)
    ax.set(xlabel="values that are seen", ylabel=unit)
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    ax.margins(x=0.02)
    _legend(ax)
    return figure
