"""Diffusion and flow matching: fields as arrows, losses above their floor, paths, and what steps cost."""

from collections.abc import Callable, Sequence

import numpy as np

from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import BLUE, GREY, INK, ORANGE, _legend, _styled, _subplots
from deepul_utils.plots.distributions import PIXELS, _density_2d, _points

ARROWS = 17  # on a side
LONGEST = 0.95  # of the space between two arrows


@_styled
def vector_fields(fields: dict, times: Sequence[float], log_prob: Callable, reach: float = 4.0):
    """Vector fields over the density that they belong to, a row for each, a column for each time, {title: field}.

    fields: tensors x (n, 2), t (n,) -> (n, 2). log_prob: the same -> (n,). Arrows are as long as the root of what they
    stand for, on one scale in each column; where the density is too small to speak of, they are faint.
    """
    given.table(fields, "fields", '{"exact": exact, "learned": model.score}')
    times = given.numbers(times, "times", ("times",))
    rows, columns = len(fields), len(times)
    figure, axes = _subplots(columns, 2.25 * rows + 0.4, rows, width=2.2 * columns + 0.4)
    at = np.linspace(-reach, reach, ARROWS + 2)[1:-1]
    places = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)
    for column, t in enumerate(times):
        density = _density(axes[:, column], log_prob, t, reach)
        near = np.exp(_at(log_prob, places, t, "log_prob")) > 1e-3 * density
        arrows = [_at(field, places, t, title, 2) for title, field in fields.items()]
        longest = np.sqrt(np.linalg.norm(arrows[0][near], axis=1)).max(initial=1e-9)
        for ax, title, arrow in zip(axes[:, column], fields, arrows, strict=True):
            _arrows(ax, places, arrow, near, longest, 2 * reach / (ARROWS + 1))
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], box_aspect=1)
            ax.set_title(f"{title}, t = {t:.3g}")
    return figure


def _at(function: Callable, x: np.ndarray, t: float, name: str, *shape: int) -> np.ndarray:
    """A function of points and times at one time."""
    import torch

    def here(points):
        return function(points, torch.full((len(points),), float(t), dtype=points.dtype, device=points.device))

    if not callable(function):
        raise CannotDraw(f"{name} should be a function of points and times, as model.score.")
    return given.asked(here, x, name, *shape)


def _density(axes, log_prob: Callable, t: float, reach: float) -> float:
    """The density at one time, faint, in all of these axes; returns its largest."""
    middles = -reach + (np.arange(PIXELS) + 0.5) * 2 * reach / PIXELS
    grid = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(np.minimum(_at(log_prob, grid, t, "log_prob"), 50)).reshape(PIXELS, PIXELS)
    for ax in axes:
        box = (-reach, reach, -reach, reach)
        ax.imshow(density.T, origin="lower", extent=box, vmin=0, cmap="Greys", alpha=0.6, interpolation="bilinear")
        ax.grid(False)
    return float(density.max())


def _arrows(ax, places: np.ndarray, arrows: np.ndarray, near: np.ndarray, longest: float, space: float) -> None:
    length = np.linalg.norm(arrows, axis=1, keepdims=True)
    drawn = arrows / np.maximum(length, 1e-12) * np.minimum(np.sqrt(length) / longest, 1.5) * LONGEST * space
    for chosen, alpha in ((near, 0.95), (~near, 0.18)):
        look = dict(angles="xy", scale_units="xy", scale=1, width=0.006, color=BLUE, alpha=alpha, pivot="mid")
        ax.quiver(*places[chosen].T, *drawn[chosen].T, **look)


@_styled
def above_floor(times, losses: dict, floor, xlabel: str = "$t$"):
    """Losses at each time over the floor that no network goes below, and how far above it they are, {title: (n,)}.

    floor: (n,), what a perfect network loses.
    """
    times, floor = given.numbers(times, "times", ("n",)), given.numbers(floor, "floor", ("n",))
    given.table(losses, "losses", '{"yours": losses}')
    figure, axes = _subplots(2, 2.9, width=9)
    left, right = axes[0]
    left.fill_between(times, 0, floor, color=GREY, alpha=0.6, linewidth=0, label="the floor")
    for color, (title, values) in zip((ORANGE, BLUE), losses.items(), strict=False):
        values = given.numbers(values, title, ("n",))
        given.same_length(times=times, floor=floor, **{"losses": values})
        left.plot(times, values, color=color, label=title)
        right.plot(times, values - floor, color=color, label=title)
    right.axhline(0, color=INK, linestyle="--", linewidth=1.2)
    left.set(xlabel=xlabel, ylabel="squared error", ylim=(0, None))
    right.set(xlabel=xlabel, title="above the floor")
    _legend(left)
    return figure


@_styled
def trajectories(paths, dist):
    """Paths (steps + 1, n, 2) of points over the density that they lead to: beginnings grey, ends blue.

    Some dozens of points are enough.
    """
    paths = given.numbers(paths, "paths", ("steps", "n", 2))
    given.distribution(dist, dims=2)
    figure, axes = _subplots(1, 4.4, width=4.6)
    ax = axes[0, 0]
    _density_2d(ax, dist, faint=True)
    for k in range(paths.shape[1]):
        ax.plot(*paths[:, k].T, color=ORANGE, linewidth=0.7, alpha=0.55, zorder=2)
    ax.scatter(*paths[0].T, s=10, color=INK, linewidths=0, zorder=3, label="noise")
    ax.scatter(*paths[-1].T, s=10, color=BLUE, linewidths=0, zorder=4, label="samples")
    low, high = min(dist.support[0][0], paths.min()), max(dist.support[0][1], paths.max())
    ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(low, high), ylim=(low, high), box_aspect=1)
    _legend(ax)
    return figure


@_styled
def against_steps(series: dict, noise: float | None = None, xlabel: str = "evaluations of the network"):
    """How far samples are from the data against how much they cost, {title: {steps: distance}}, both logarithmic.

    noise: the distance of data from other data; samples can hardly be nearer.
    """
    given.table(series, "series", '{"Euler": {10: 0.1, 20: 0.05}}')
    figure, axes = _subplots(1, 3.2, width=6.2)
    ax = axes[0, 0]
    for title, points in series.items():
        steps = given.numbers(list(given.table(points, title, "{10: 0.1}")), f"steps of {title}", ("n",))
        distance = given.numbers(list(points.values()), f"distances of {title}", ("n",))
        ax.plot(steps, np.maximum(distance, 1e-6), marker="o", markersize=4, label=title)
    if noise is not None:
        ax.axhline(noise, color=INK, linestyle="--", linewidth=1.2, label="data")
    every = sorted({int(k) for points in series.values() for k in points})
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel="distance to the data")
    ax.set_xticks(every, every)
    ax.minorticks_off()
    _legend(ax)
    return figure


@_styled
def cloud(x, dist, title: str = "", before=None):
    """One frame of a film of denoising: points x (n, 2), and with lines where they were before (n, 2), if given."""
    x = given.numbers(x, "x", ("n", 2))
    figure, axes = _subplots(1, 4.2, width=4.2)
    ax = axes[0, 0]
    _density_2d(ax, given.distribution(dist, dims=2), faint=True)
    if before is not None:
        before = given.numbers(before, "before", ("n", 2))
        given.same_length(x=x, before=before)
        ax.plot(*np.stack([before, x]).transpose(2, 0, 1), color=GREY, linewidth=0.5, zorder=1)
    _points(ax, x, dist, size=5)
    ax.set(title=title, xlabel="$x_1$", ylabel="$x_2$")
    return figure
