"""Flows: what becomes of a mass, a density and a grid."""

from collections.abc import Callable

import numpy as np

from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import (
    BLUE,
    GREY,
    INK,
    MARGIN,
    ORANGE,
    NotDrawn,
    _color_bar,
    _draws,
    _figure_class,
    _legend,
    _styled,
    _subplots,
)
from deepul_utils.plots.distributions import _density_2d, _points
from deepul_utils.plots.sliders import slider


@_styled
def pushed_through(x, z, xlabel: str = "$x$", zlabel: str = "$z$", bins: int = 60):
    """A histogram of x (n,) or (n, 1) pushed through a function: x below, the curve z(x), and z (n, …) on its left.

    One bar is followed through: its points, and no others, land in the coloured strip.
    """
    x, z = (given.numbers(a, name, ("n",), ("n", 1)).reshape(-1) for a, name in ((x, "x"), (z, "z")))
    given.same_length(x=x, z=z)
    if len(x) < 2 or x.min() == x.max():
        raise CannotDraw("x should have several values, to make a histogram of.")
    figure, curve, left, below = _corner()
    window = np.quantile(x, [0.002, 0.998])
    order = np.argsort(x)
    curve.plot(x[order], z[order], color=INK, linewidth=1.6)
    edges = np.linspace(*window, bins + 1)  # type: ignore[call-overload]  # a window is a pair
    counts = _bars(below, x, edges, vertical=True)
    _bars(left, z, np.linspace(0, 1, bins // 2 + 1), vertical=False)
    low, high = edges[counts.argmax()], edges[counts.argmax() + 1]
    inside = z[(x >= low) & (x < high)]
    for ax in (curve, below):
        ax.axvspan(low, high, color=ORANGE, alpha=0.45, linewidth=0)
    for ax in (curve, left):
        ax.axhspan(inside.min(), inside.max(), color=ORANGE, alpha=0.28, linewidth=0)
    curve.set(xlim=window)
    below.set_xlabel(xlabel)
    left.set_ylabel(zlabel)
    share = counts.max() / len(x)
    curve.set_title(f"one bar, {share:.1%} of the mass, becomes a strip of height {np.ptp(inside):.3f}")
    return figure


def _corner() -> tuple:
    """A new figure, and its axes: of a curve onto [0, 1], of what lies on its left, and of what lies below."""
    figure = _figure_class()(figsize=(7.2, 4.6), layout="compressed")
    figure.get_layout_engine().set(w_pad=MARGIN, h_pad=MARGIN)
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 3.2], height_ratios=[2.6, 1])
    curve = figure.add_subplot(grid[0, 1])
    left, below = figure.add_subplot(grid[0, 0], sharey=curve), figure.add_subplot(grid[1, 1], sharex=curve)
    left.axvline(1, color=INK, linestyle="--", linewidth=1.2)
    left.invert_xaxis()
    left.set(xticks=[0, 1])
    below.set(yticks=[])
    curve.set(ylim=(-0.02, 1.02))
    curve.tick_params(labelbottom=False, labelleft=False)
    return figure, curve, left, below


@_styled
def density_1d(dist, log_prob, samples=None):
    """The density of a 1-D toy distribution, the model's over it, and the model's samples (n, 1), if given.

    log_prob: a model's, float32 tensor (n, 1) -> (n,).
    """
    given.distribution(dist, dims=1)
    figure, axes = _subplots(1, 3.0, width=7)
    ax = axes[0, 0]
    x = np.linspace(*np.quantile(dist.sample(5000), [0.001, 0.999]), 1500)[:, None]
    if samples is not None:
        drawn = given.numbers(samples, "samples", ("n",), ("n", 1)).reshape(-1)
        ax.hist(drawn, bins=np.linspace(x[0, 0], x[-1, 0], 120), density=True, color=GREY, label="samples")
    ax.plot(x, np.exp(dist.log_prob(x)), color=BLUE, label="true")
    ax.plot(
        x,
        np.exp(np.minimum(given.asked(log_prob, x, "log_prob"), 50)),
        color=ORANGE,
        linestyle=(0, (4, 2)),
        label="model",
    )
    ax.set(xlabel="x", ylabel="density", xlim=(x[0, 0], x[-1, 0]), ylim=(0, None))
    _legend(ax)
    return figure


@_styled
def density_2d(dist, log_prob, samples=None):
    """The density of a 2-D toy distribution and the model's on one colour scale, and samples (n, 2), if given.

    log_prob: a model's, float32 tensor (n, 2) -> (n,).
    """
    given.distribution(dist, dims=2)
    columns = 2 if samples is None else 3
    figure, axes = _subplots(columns, 3.3, width=3.0 * columns)
    truth = _density_2d(axes[0, 0], dist)
    _density_2d(axes[0, 1], dist, log_prob=log_prob, top=truth)
    titles = [f"true {dist.name.replace('_', ' ')}", "model"]
    if samples is not None:
        samples = given.numbers(samples, "samples", ("n", 2))
        _points(axes[0, 2], samples, dist, size=3)
        titles.append(f"{len(samples):,} samples")
    _color_bar(figure, axes[0, 0].images[0], axes[0], "density", shrink=0.75, format="%.2g")
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
    x = given.numbers(x, "x", ("n", 2))
    if len(x) < 2 or not np.ptp(x, axis=0).all():
        raise CannotDraw("x should be several points that differ in both coordinates.")
    figure, axes = _subplots(2, 4.3, width=8.6)
    colors = _plane_colors(x)
    middle, half = (x.min(axis=0) + x.max(axis=0)) / 2, 0.53 * np.ptp(x, axis=0).max()
    low, high = middle - half, middle + half
    straight = _grid_lines(low, high, lines)
    z = given.asked(flow, x, "flow", 2)
    given.require_finite(z, "the latents of x")
    bent = given.asked(flow, straight.reshape(-1, 2), "flow", 2).reshape(straight.shape)
    for ax, points, grid in ((axes[0, 0], x, straight), (axes[0, 1], z, bent)):
        for line in grid:
            ax.plot(*line.T, color="#8A9099", linewidth=0.6, alpha=0.65, zorder=1)
        ax.scatter(*points.T, s=5, c=colors, linewidths=0, zorder=2)
        ax.grid(False)
    axes[0, 0].set(title="data", xlabel="$x_1$", ylabel="$x_2$", box_aspect=1)
    axes[0, 1].set(title="latents", xlabel="$z_1$", ylabel="$z_2$", box_aspect=1)
    _latent_window(axes[0, 1], z)
    return figure


def layers(flow, x, layer: type, label: str = "layers"):
    """A handle to move through a flow: data x (n, 2) and what the first, the second, … layer of it makes of them.

    flow: a module, (n, 2) -> (z, log_det) or z. layer: the class of its layers, whose outputs are looked at.
    Raises CannotDraw where the flow calls none of that class.
    """
    if not _draws():
        return NotDrawn()
    try:
        x = given.numbers(x, "x", ("n", 2))
        many = len(_outputs(flow, layer, x[:2]))
        if not many:
            raise CannotDraw(f"flow should call its layers of class {layer.__name__} as layer(x), it calls none.")
    except CannotDraw as error:
        raise CannotDraw(f"plots.layers: {error}") from None
    return slider(lambda k: latent_space(_stage(flow, layer, k), x), range(1, many + 1), label)


def _stage(flow, layer: type, k: int) -> Callable:
    """A flow up to its k-th layer of a class, as a function of points."""
    return lambda x: _outputs(flow, layer, x)[k - 1]


def _outputs(flow, layer: type, x) -> list:
    """What each layer of this class gives, in the order in which the flow calls them."""
    import torch

    from deepul_utils import devices

    if not isinstance(flow, torch.nn.Module):
        raise CannotDraw(f"flow should be a module, got {type(flow).__name__}.")
    outputs: list = []
    parts = [part for part in flow.modules() if isinstance(part, layer)]
    hooks = [part.register_forward_hook(lambda part, given, output: outputs.append(output)) for part in parts]
    try:
        with torch.no_grad():
            flow(torch.as_tensor(x, dtype=torch.float32, device=devices.of_model(flow)))
    finally:
        for hook in hooks:
            hook.remove()
    return outputs


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
