"""Flows: what becomes of a mass, a density and a grid."""

import numpy as np

from deepul_utils import toy
from deepul_utils.plots.common import BLUE, GREY, INK, ORANGE, _asked, _figure_class, _legend, _styled, _subplots
from deepul_utils.plots.distributions import _density_2d, _points


@_styled
def pushed_through(x, z, xlabel: str = "$x$", zlabel: str = "$z$", bins: int = 60):
    """A histogram of x (n,) or (n, 1) pushed through a function: x below, the curve z(x), and z (n, …) on its left.

    One bar is followed through: its points, and no others, land in the coloured strip.
    """
    x, z = (toy.as_array(a).reshape(-1) for a in (x, z))
    figure = _figure_class()(figsize=(7.2, 4.6), layout="compressed")
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 3.2], height_ratios=[2.6, 1])
    curve = figure.add_subplot(grid[0, 1])
    left, below = figure.add_subplot(grid[0, 0], sharey=curve), figure.add_subplot(grid[1, 1], sharex=curve)
    window = np.quantile(x, [0.002, 0.998])
    order = np.argsort(x)
    curve.plot(x[order], z[order], color=INK, linewidth=1.6)
    edges = np.linspace(*window, bins + 1)  # type: ignore[call-overload]  # a window is a pair
    counts = _bars(below, x, edges, vertical=True)
    _bars(left, z, np.linspace(0, 1, bins // 2 + 1), vertical=False)
    at = counts.argmax()
    low, high = edges[at], edges[at + 1]
    inside = z[(x >= low) & (x < high)]
    for draw, span, own in ((curve.axvspan, (low, high), 0), (below.axvspan, (low, high), 0),
                            (curve.axhspan, (inside.min(), inside.max()), 1),
                            (left.axhspan, (inside.min(), inside.max()), 1)):  # fmt: skip
        draw(*span, color=ORANGE, alpha=0.28 if own else 0.45, linewidth=0)
    left.axvline(1, color=INK, linestyle="--", linewidth=1.2)
    left.invert_xaxis()
    curve.set(xlim=window, ylim=(-0.02, 1.02))
    curve.tick_params(labelbottom=False, labelleft=False)
    below.set(xlabel=xlabel, yticks=[])
    left.set(ylabel=zlabel, xticks=[0, 1])
    share = counts[at] / len(x)
    curve.set_title(f"one bar, {share:.1%} of the mass, becomes a strip of height {np.ptp(inside):.3f}")
    return figure


@_styled
def density_1d(dist, log_prob, samples=None):
    """The density of a 1-D toy distribution, the model's over it, and the model's samples (n, 1), if given.

    log_prob: a model's, float32 tensor (n, 1) -> (n,).
    """
    figure, axes = _subplots(1, 3.0, width=7)
    ax = axes[0, 0]
    x = np.linspace(*np.quantile(dist.sample(5000), [0.001, 0.999]), 1500)[:, None]
    if samples is not None:
        drawn = toy.as_array(samples).reshape(-1)
        ax.hist(drawn, bins=np.linspace(x[0, 0], x[-1, 0], 120), density=True, color=GREY, label="samples")
    ax.plot(x, np.exp(dist.log_prob(x)), color=BLUE, label="true")
    ax.plot(x, np.exp(_asked(log_prob, x)), color=ORANGE, linestyle=(0, (4, 2)), label="model")
    ax.set(xlabel="x", ylabel="density", xlim=(x[0, 0], x[-1, 0]), ylim=(0, None))
    _legend(ax)
    return figure


@_styled
def density_2d(dist, log_prob, samples=None):
    """The density of a 2-D toy distribution and the model's on one colour scale, and samples (n, 2), if given.

    log_prob: a model's, float32 tensor (n, 2) -> (n,).
    """
    columns = 2 if samples is None else 3
    figure, axes = _subplots(columns, 3.3, width=3.0 * columns)
    truth = _density_2d(axes[0, 0], dist)
    _density_2d(axes[0, 1], dist, log_prob=log_prob, top=truth)
    titles = [f"true {dist.name.replace('_', ' ')}", "model"]
    if samples is not None:
        _points(axes[0, 2], samples, dist)
        axes[0, 2].collections[0].set(sizes=[3])
        titles.append(f"{len(samples):,} samples")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set(title=title, xlabel="$x_1$")
    axes[0, 0].set_ylabel("$x_2$")
    for ax in axes[0, 1:]:
        ax.tick_params(labelleft=False)
    return figure


@_styled
def latent_space(flow, x, lines: int = 17):
    """Data x (n, 2) and their latents, every point in its own colour; and what becomes of a straight grid.

    flow: a callable, float32 tensor (n, 2) -> (z (n, 2), log_det); or z alone.
    """
    x = toy.as_array(x)
    figure, axes = _subplots(2, 4.3, width=8.6)
    colors = _plane_colors(x)
    middle, half = (x.min(axis=0) + x.max(axis=0)) / 2, 0.53 * np.ptp(x, axis=0).max()
    low, high = middle - half, middle + half
    straight = _grid_lines(low, high, lines)
    z, bent = _asked(flow, x), _asked(flow, straight.reshape(-1, 2)).reshape(straight.shape)
    for ax, points, grid in ((axes[0, 0], x, straight), (axes[0, 1], z, bent)):
        for line in grid:
            ax.plot(*line.T, color="#8A9099", linewidth=0.6, alpha=0.65, zorder=1)
        ax.scatter(*points.T, s=5, c=colors, linewidths=0, zorder=2)
        ax.grid(False)
    axes[0, 0].set(title="data", xlabel="$x_1$", ylabel="$x_2$", box_aspect=1)
    axes[0, 1].set(title="latents", xlabel="$z_1$", ylabel="$z_2$", box_aspect=1)
    _latent_window(axes[0, 1], z)
    return figure


def _bars(ax, values: np.ndarray, edges: np.ndarray, vertical: bool) -> np.ndarray:
    """A histogram as a density, upwards or to the side; returns the counts."""
    counts, _ = np.histogram(values, edges)
    density = counts / len(values) / np.diff(edges)
    draw = ax.bar if vertical else ax.barh
    draw((edges[:-1] + edges[1:]) / 2, density, np.diff(edges), color=BLUE, alpha=0.55, linewidth=0)
    return counts


def _plane_colors(x: np.ndarray) -> np.ndarray:
    """A colour for every point (n, 2): its hue goes round the middle, and its lightness falls outwards."""
    from matplotlib.colors import hsv_to_rgb

    centred = (x - x.mean(axis=0)) / x.std(axis=0).clip(1e-9)
    hue = np.arctan2(centred[:, 1], centred[:, 0]) / (2 * np.pi) % 1
    radius = np.hypot(*centred.T)
    far = np.clip(radius / np.quantile(radius, 0.95), 0, 1)
    return hsv_to_rgb(np.stack([hue, 0.55 + 0.45 * far, 0.92 - 0.27 * far], axis=1))


def _grid_lines(low: np.ndarray, high: np.ndarray, lines: int, points: int = 600) -> np.ndarray:
    """Straight lines along both axes, (2 · lines, points, 2)."""
    t = np.linspace(0, 1, points)
    result = []
    for along in (0, 1):
        for at in np.linspace(0, 1, lines):
            line = np.empty((points, 2))
            line[:, along], line[:, 1 - along] = t, at
            result.append(low + line * (high - low))
    return np.stack(result)


def _latent_window(ax, z: np.ndarray) -> None:
    """The unit square for latents in it, else what holds nearly all of them: the grid may go far out."""
    if z.min() >= -1e-3 and z.max() <= 1 + 1e-3:
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        return
    middle, half = np.median(z, axis=0), np.quantile(np.abs(z - np.median(z, axis=0)), 0.998) * 1.15
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
