"""Figures of signals, and of what a receptive field is worth."""

import numpy as np

from deepul_utils import plots, signals


def test_signals_side_by_side():
    x = signals.get("echo").sample(6)
    figure = plots.signals({"data": x[:3], "model": x[3:]})
    assert len(figure.axes) == 6
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["data", "model"]
    lines = [ax.lines[0].get_ydata() for ax in figure.axes]
    assert np.array_equal(lines[0], x[0])
    assert np.array_equal(lines[1], x[3])
    assert {ax.get_ylim() for ax in figure.axes} == {(0.0, 255.0)}


def test_what_a_receptive_field_is_worth():
    echo = signals.get("echo")
    windows = [0, 2, 8, 26]
    best = [echo.above_limit(w) for w in windows]
    ax = plots.reach(windows, best, {"plain": (6, 0.31), "dilated": (32, 0.012)}).axes[0]
    limit, plain, dilated = ax.lines
    assert np.allclose(limit.get_ydata(), best)
    assert (plain.get_xdata()[0], plain.get_ydata()[0]) == (6, 0.31)
    assert dilated.get_label() == "dilated, 0.012"
    assert plain.get_marker() != dilated.get_marker()
