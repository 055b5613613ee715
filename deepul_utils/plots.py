"""Figures for the notebooks. Every function returns a Figure, and neither saves nor shows.

Arrays may be NumPy arrays or torch tensors. matplotlib loads with the first plot; its pyplot, which would
show a figure a second time, is not used. While a notebook is graded nothing is drawn, unless `for_grades` says so: a
figure decides no grade, and takes as long as all that does.
"""

import functools
import io
import sys

import numpy as np

from deepul_utils import toy

# Okabe and Ito's palette: told apart with any colour vision.
BLUE, ORANGE, GREEN, PINK, SKY, GREY, INK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#B8BEC6", "#2B2F36",
)  # fmt: skip

_style = {
    "axes.edgecolor": "#8A9099",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.prop_cycle": f"cycler('color', {[BLUE, ORANGE, GREEN, PINK, SKY]})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.dpi": 110,
    "font.size": 10,
    "grid.color": "#E6E8EB",
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.8,
    "xtick.color": "#5A616B",
    "xtick.labelsize": 9,
    "ytick.color": "#5A616B",
    "ytick.labelsize": 9,
}

WIDTH = 9.0  # inches: a notebook's column
PIXELS = 160  # per side of a density's picture
OUTLINE = 0.1  # of the largest density: where a line is drawn round the data
BAND = "± 2 standard errors: validation in here, also below the limit, may be chance"
STEEP = 0.2  # the share of a training whose losses may leave the picture


for_grades = False  # whether to draw while a notebook is graded


class NotDrawn:
    """Stands in the place of a figure that is not drawn: what is done to it does nothing, and gives it again."""

    def __getattr__(self, name: str):
        if name.startswith("_"):  # it takes no part in any protocol but those below
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __getitem__(self, key):
        return self

    def __iter__(self):
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "[a figure, which is not drawn for a grade]"


def _draws() -> bool:
    """Whether to draw: always, but while a notebook is graded."""
    training = sys.modules.get("deepul_utils.training")  # where it was not even imported, nothing is graded
    return for_grades or training is None or not training.session.grading


def _styled(plot):
    """Draws in the kit's style and leaves matplotlib's own settings as they were; or does not draw at all."""

    @functools.wraps(plot)
    def styled(*args, **kwargs):
        if not _draws():
            return NotDrawn()
        import matplotlib

        with matplotlib.rc_context(_style):
            return plot(*args, **kwargs)

    return styled


@functools.cache
def _figure_class() -> type:
    """Jupyter shows a plain Figure only after pyplot was imported; this one it shows always, and once."""
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            png = io.BytesIO()
            self.savefig(png, format="png", dpi=self.dpi, bbox_inches="tight", pad_inches=0.08)
            return png.getvalue()

    return NotebookFigure


def _subplots(columns: int, height: float, rows: int = 1, width: float = WIDTH):
    """A new figure of this size (inches) and its axes, (rows, columns)."""
    figure = _figure_class()(figsize=(min(width, WIDTH), height), layout="compressed")
    return figure, figure.subplots(rows, columns, squeeze=False)


@functools.cache
def _colors():
    """matplotlib's magma from white at zero to black, so that no mass is no ink; lightness falls evenly."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    t, magma = np.linspace(0, 1, 256)[:, None], matplotlib.colormaps["magma_r"]
    white = np.maximum(0, 1 - t / 0.2)
    return ListedColormap(white + (1 - white) * magma(np.maximum(t[:, 0], 0.2))[:, :3], name="ink")


@functools.cache
def _two_colors():
    """For masks: hidden pale, seen blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("mask", ["#EDF0F4", BLUE])


@_styled
def distribution(dist, n: int = 2000, seed: int = 0):
    """A toy distribution, continuous or discrete: its density, and n samples of its training stream."""
    discrete = isinstance(dist, toy.DiscreteDistribution)
    samples = dist.sample(n, seed=seed)
    title = f"{dist.name.replace('_', ' ')} · entropy {dist.entropy:.3f} nats"
    if dist.dims == 1:
        figure, axes = _subplots(1, 2.9, width=7)
        _samples_1d(axes[0, 0], samples, dist.pmf) if discrete else _density_1d(axes[0, 0], dist, samples)
        axes[0, 0].set_title(title)
        return figure
    figure, axes = _subplots(2, 3.7, width=7.4)
    if discrete:
        _heatmaps(figure, axes[0], {title: dist.pmf, f"{n:,} samples": samples})
    else:
        _density_2d(axes[0, 0], dist)
        _points(axes[0, 1], samples, dist)
        axes[0, 0].set_title(title)
        axes[0, 1].set_title(f"{n:,} samples")
    return figure


@_styled
def gallery(names: list[str] | None = None):
    """The densities of all toy sets, or of those named."""
    sets = [toy.get(name) for name in (toy.names() if names is None else names)]
    columns = min(5, len(sets))
    rows = -(-len(sets) // columns)
    figure, axes = _subplots(columns, 2.0 * rows, rows, width=1.8 * columns)
    for ax, dist in zip(axes.flat, sets, strict=False):
        _density_1d(ax, dist) if dist.dims == 1 else _density_2d(ax, dist)
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="", box_aspect=1)
        ax.set_title(dist.name.replace("_", " "), loc="center")
    for ax in axes.flat[len(sets) :]:
        ax.remove()
    return figure


@_styled
def samples_1d(samples, pmf=None, model_pmf=None, title: str = ""):
    """Frequencies of levels, int (n,) or (n, 1), with the exact pmf (bins,) and the model's, if given.

    Raises ValueError for samples that are no integers, or outside the levels.
    """
    figure, axes = _subplots(1, 2.9, width=7)
    _samples_1d(axes[0, 0], samples, pmf, model_pmf)
    axes[0, 0].set_title(title)
    return figure


@_styled
def pmf_1d(true, model=None, title: str = ""):
    """Two pmfs (bins,) over the same levels: the true one filled, the model's as a line."""
    figure, axes = _subplots(1, 2.9, width=7)
    _steps(axes[0, 0], true, GREY, "true", fill=True)
    if model is not None:
        _steps(axes[0, 0], model, ORANGE, "model")
    _label_levels(axes[0, 0], title)
    return figure


@_styled
def pmf_2d(**panels):
    """Heat maps side by side on one colour scale, titled by keyword: pmf_2d(true=p, model=q, samples=x).

    Each is a pmf, float (bins, bins) with [i, j] = P(x₁ = i, x₂ = j), or levels, int (n, 2), drawn as their
    frequencies on the grid of the first pmf. Raises ValueError for anything else.
    """
    figure, axes = _subplots(len(panels), 3.4, width=3.2 * len(panels) + 0.6)
    _heatmaps(figure, axes[0], panels)
    return figure


@_styled
def scatter_2d(samples, dist=None, title: str = ""):
    """Points (n, 2), over the density of the toy distribution they should follow, if given."""
    figure, axes = _subplots(1, 4.2, width=4.4)
    if dist is not None:
        _density_2d(axes[0, 0], dist, faint=True)
    _points(axes[0, 0], samples, dist)
    axes[0, 0].set_title(title or (dist.name.replace("_", " ") if dist else ""))
    return figure


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
        ax.axhspan(limit - band, limit + band, color=INK, alpha=0.13, linewidth=0)
        # At the left there is room: losses begin far above.
        ax.annotate(BAND, (0.01, limit - band), xycoords=("axes fraction", "data"), xytext=(0, 3),
                    textcoords="offset points", fontsize=8.5, color=INK,
                    bbox=dict(facecolor="white", alpha=0.6, linewidth=0, pad=1))  # fmt: skip
    ax.set(xlabel="step", ylabel=f"loss ({unit})")
    lines = [v for v in (limit, baseline) if v is not None]
    bottom, top = _loss_range(history, [*lines, limit - band] if band else lines)
    ax.set_ylim(bottom, top)
    ax.margins(x=0.02)
    _legend(ax)
    return figure


@_styled
def matrix(array, xlabel: str = "", ylabel: str = "", title: str = ""):
    """A matrix as a grid of cells, first row on top: which output depends on which input, or a mask."""
    array = _matrix_of(array)
    height, width = np.clip(0.3 * np.array(array.shape), 1.8, 5.0)
    figure, axes = _subplots(1, height + 0.8, width=width + 1.2)
    image = _cells(axes[0, 0], array, *_value_range([array]))
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, title=title)
    if not _binary(array):
        figure.colorbar(image, ax=axes[0, 0], shrink=0.9)
    return figure


@_styled
def masks(arrays, titles=()):
    """Masks side by side, on one colour scale. Raises ValueError if the titles are not as many."""
    arrays = [_matrix_of(array) for array in arrays]
    titles = list(titles) or [""] * len(arrays)
    figure, axes = _subplots(len(arrays), 2.5, width=2.3 * len(arrays) + 0.4)
    for ax, array, title in zip(axes[0], arrays, titles, strict=True):
        _cells(ax, array, *_value_range(arrays))
        ax.set_title(title)
    return figure


# ---- flows ---------------------------------------------------------------------------------------------


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
    edges = np.linspace(*window, bins + 1)
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


def _density_2d(ax, dist, faint: bool = False, log_prob=None, top: float | None = None) -> float:
    """The density over the box, from white at zero to `top` or its largest, which is returned.

    `faint` keeps it in the background of a scatter plot. log_prob: of a model, drawn instead of the exact one.
    """
    middles = [lo + (np.arange(PIXELS) + 0.5) * (hi - lo) / PIXELS for lo, hi in dist.support]
    grid = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 2)
    log_p = dist.log_prob(grid) if log_prob is None else _asked(log_prob, grid)
    density = np.exp(np.minimum(log_p, 50)).reshape(PIXELS, PIXELS)
    top = float(np.nanmax(density)) if top is None else top
    ax.imshow(
        density.T, origin="lower", extent=(*dist.support[0], *dist.support[1]), vmin=0, vmax=top,
        interpolation="bilinear", **({"cmap": "Greys", "alpha": 0.45} if faint else {"cmap": _colors()}),
    )  # fmt: skip
    ax.grid(False)
    return top


def _asked(function, x: np.ndarray) -> np.ndarray:
    """A model's function of points, as an array: no gradients; the first where it returns several things."""
    import torch

    with torch.no_grad():
        out = function(torch.tensor(x, dtype=torch.float32))
    return toy.as_array(out[0] if isinstance(out, tuple) else out)


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


def _points(ax, samples, dist=None) -> None:
    x = toy.as_array(samples)
    ax.scatter(x[:, 0], x[:, 1], s=6, color=BLUE, alpha=0.5, linewidths=0)
    ax.set_aspect("equal")
    if dist is not None:
        ax.set(xlim=dist.support[0], ylim=dist.support[1])


def _density_1d(ax, dist, samples=None) -> None:
    """The density; where mass lies outside the box, the picture reaches further and marks the box's ends."""
    lo, hi = dist.support[0]
    reach = np.quantile(dist.sample(5000), [0.001, 0.999])
    left, right = min(lo, reach[0]), max(hi, reach[1])
    x = np.linspace(left, right, 1200)
    p = np.exp(dist.log_prob(x[:, None]))
    if samples is None:
        ax.fill_between(x, p, color=BLUE, alpha=0.15, linewidth=0)
    else:
        ax.hist(samples[:, 0], bins=np.linspace(left, right, 160), density=True, color=GREY, label="samples")
    ax.plot(x, p, color=BLUE, label="density")
    for end in (end for end in (lo, hi) if left < end < right):
        ax.axvline(end, color=INK, linestyle=":", linewidth=1)
    ax.set(xlim=(left, right), ylim=(0, None), xlabel="x", ylabel="density")
    if samples is not None:
        _legend(ax)


def _samples_1d(ax, samples, pmf=None, model_pmf=None) -> None:
    x = toy.as_array(samples).reshape(-1)
    if not np.array_equal(x, np.round(x)):
        raise ValueError(f"Samples are integer levels, got fractions ({x.dtype}).")
    x = x.astype(np.int64)
    given = next((p for p in (pmf, model_pmf) if p is not None), None)
    bins = len(given) if given is not None else int(x.max(initial=0)) + 1
    if len(x) and (x.min() < 0 or x.max() >= bins):
        raise ValueError(f"Samples are levels 0 … {bins - 1}, got {x.min()} … {x.max()}.")
    _steps(ax, np.bincount(x, minlength=bins) / max(len(x), 1), GREY, f"{len(x):,} samples", fill=True)
    if pmf is not None:
        _steps(ax, pmf, BLUE, "true")
    if model_pmf is not None:
        _steps(ax, model_pmf, ORANGE, "model")
    _label_levels(ax)


def _steps(ax, p, color: str, label: str, fill: bool = False) -> None:
    p = toy.as_array(p)
    ax.stairs(p, np.arange(len(p) + 1) - 0.5, color=color, label=label, fill=fill, linewidth=1.5)


def _label_levels(ax, title: str = "") -> None:
    ax.set(xlabel="level", ylabel="probability", title=title, ylim=(0, None))
    ax.margins(x=0.01)
    _legend(ax)


def _legend(ax) -> None:
    """Above the plot, right of the title: it never hides a curve."""
    entries = len(ax.get_legend_handles_labels()[0])
    ax.legend(loc="lower right", bbox_to_anchor=(1.01, 0.97), ncols=entries, columnspacing=1.2)


def _heatmaps(figure, axes, panels: dict) -> None:
    pmfs = _as_pmfs(panels)
    top = max(np.nanmax(p) for p in pmfs.values())
    for ax, (name, p) in zip(axes, pmfs.items(), strict=True):
        image = ax.imshow(p.T, origin="lower", vmin=0, vmax=top, interpolation="nearest", cmap=_colors())
        ax.set(title=name.replace("_", " "), xlabel="$x_1$")
        ax.grid(False)
    axes[0].set_ylabel("$x_2$")
    figure.colorbar(image, ax=list(axes), shrink=0.8, label="probability", format="%.2g")


def _as_pmfs(panels: dict) -> dict:
    """The panels of `pmf_2d` as float arrays, levels counted on the grid of the first pmf."""
    arrays = {name: toy.as_array(p) for name, p in panels.items()}
    shapes = [a.shape for a in arrays.values() if a.dtype.kind == "f" and a.ndim == 2]
    pmfs = {}
    for name, a in arrays.items():
        if a.dtype.kind == "f" and a.ndim == 2:
            pmfs[name] = a
        elif a.dtype.kind in "iu" and a.ndim == 2 and a.shape[1] == 2 and shapes:
            pmfs[name] = _frequencies(a, shapes[0])
        else:
            raise ValueError(
                f"{name} is neither a pmf, float (bins, bins), nor levels, int (n, 2), beside one: "
                f"got {a.dtype} {a.shape}."
            )
    return pmfs


def _frequencies(levels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    flat = np.ravel_multi_index(tuple(levels.T), shape)  # raises ValueError for a level off the grid
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape) / max(len(levels), 1)


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


def _matrix_of(array) -> np.ndarray:
    array = toy.as_array(array)
    if array.ndim != 2:
        raise ValueError(f"A matrix has two dimensions, got shape {array.shape}.")
    return array.astype(np.float64)


def _binary(array: np.ndarray) -> bool:
    return bool(np.isin(array, (0.0, 1.0)).all())


def _value_range(arrays: list[np.ndarray]) -> tuple[float, float]:
    """One colour scale for all: 0 to 1 for masks, else from zero or the smallest to the largest value."""
    if all(_binary(a) for a in arrays):
        return 0.0, 1.0
    return min(0.0, *(np.nanmin(a) for a in arrays)), max(np.nanmax(a) for a in arrays)


def _cells(ax, array: np.ndarray, low: float, high: float):
    """One square a cell, with white lines between them while there are few enough to see."""
    rows, columns = array.shape
    image = ax.pcolormesh(
        np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5, array, vmin=low, vmax=high,
        cmap=_two_colors() if _binary(array) else _colors(),
        edgecolors="white" if max(rows, columns) <= 40 else "none", linewidth=0.8,
    )  # fmt: skip
    ax.set(aspect="equal", ylim=(rows - 0.5, -0.5), xticks=_ticks(columns), yticks=_ticks(rows))
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return image


def _ticks(cells: int) -> range:
    """At most nine cells to number, in round steps."""
    return range(0, cells, next((step for step in (1, 2, 5, 10, 20, 50, 100) if cells <= 9 * step), cells))


# ---- images --------------------------------------------------------------------------------------------

GAP = 1  # image pixels between two images
LABEL = 7  # image pixels for a label below one
MAGNIFIED = 6  # screen pixels a side of an image pixel, at most; always a whole number, so that all are equal
DPI = _style["figure.dpi"]


@_styled
def images(x, columns: int | None = None, levels: int | None = None, labels=(), title: str = ""):
    """Images (n, C, H, W), grey or RGB, in a grid, row by row; floats in [0, 1], or integers with `levels` levels.

    labels: a word under each image. Raises ValueError for another shape, for values outside their range, for
    integers without `levels` and for labels that are not as many as the images.
    """
    pixels = _pixels(x, levels)
    labels = [str(toy.as_array(label)) for label in labels]
    if labels and len(labels) != len(pixels):
        raise ValueError(f"There are {len(labels)} labels for {len(pixels)} images.")
    columns = columns or _columns(len(pixels))
    rows = [pixels[start : start + columns] for start in range(0, len(pixels), columns)]
    figure, ax, steps = _contact_sheet(rows, title, below=LABEL if labels else 0)
    for k, label in enumerate(labels):
        row, column = divmod(k, columns)
        x, y = (column + 0.5) * steps[1] - GAP / 2, (row + 1) * steps[0] - LABEL
        ax.text(x, y, label, ha="center", va="top", fontsize=8, color=INK)
    return figure


@_styled
def image_rows(rows, levels: int | None = None, title: str = ""):
    """Rows of images to compare, {label: images} or [(label, images)]: real above reconstructed, one class a row.

    Images as for `images`; every row may have its own number of them, and be integers or floats.
    """
    from matplotlib.textpath import TextPath

    rows = dict(rows)
    pixels = [_pixels(x, levels) for x in rows.values()]
    names = [str(label).replace("_", " ") for label in rows]
    widths = [TextPath((0, 0), name, size=10).get_extents().width * DPI / 72 for name in names if name]
    figure, ax, steps = _contact_sheet(pixels, title, left=max(widths, default=0))
    for row, name in enumerate(names):
        ax.text(-GAP - 1, (row + 0.5) * steps[0] - GAP / 2, name, ha="right", va="center", fontsize=10, color=INK)
    return figure


@_styled
def receptive_field(gradient, centre: tuple[int, int], title: str = ""):
    """Which pixels reach the output at the pixel `centre` = (row, column), outlined: heat maps, (H, W) each.

    gradient: the derivative of that output with respect to each pixel, drawn by its size on a logarithmic scale;
    or booleans. {title: gradient} draws several side by side. What is exactly zero is pale; the line parts the
    pixels before `centre` from the others, so a pale pixel above it is a blind spot.
    Raises ValueError for another shape and for a centre outside.
    """
    panels = gradient if isinstance(gradient, dict) else {title: gradient}
    panels = {name.replace("_", " "): np.abs(_matrix_of(array)) for name, array in panels.items()}
    figure, axes = _subplots(len(panels), 3.7, width=3.4 * len(panels) + 0.7)
    for ax, (name, array) in zip(axes[0], panels.items(), strict=True):
        image = _field(ax, array, centre)
        ax.set_title(name)
    if not all(_binary(array) for array in panels.values()):
        bar = figure.colorbar(image, ax=list(axes[0]), shrink=0.75, label="|∂ output / ∂ pixel|, relative")
        bar.ax.minorticks_off()
        bar.outline.set_visible(False)
    return figure


def _pixels(x, levels: int | None) -> np.ndarray:
    """Images as floats in [0, 1], RGB, channels last: (n, H, W, 3). Raises ValueError as `images` says."""
    x = toy.as_array(x)
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not len(x):
        raise ValueError(f"Images are (n, C, H, W), with one channel or three, got {x.shape}.")
    top = 1 if x.dtype.kind == "f" else levels and levels - 1
    if not top:
        raise ValueError(f"How many levels do these images ({x.dtype}) have? Say images(x, levels=…).")
    if not ((x >= 0) & (x <= top)).all():
        span = f"{np.min(x):.3g} to {np.max(x):.3g}"
        raise ValueError(f"These images go from 0 to {top}, got {span}. Clip them, or turn [−1, 1] into (x + 1) / 2.")
    x = np.moveaxis(x / top, 1, -1)  # (n, H, W, C)
    return np.broadcast_to(x, (*x.shape[:3], 3))


def _columns(n: int) -> int:
    """Columns for n images: wider than high, full rows if that can be."""
    if n <= 8:
        return n
    most = 14 if n <= 140 else 28  # magnified twice while they fit
    wish = int(np.clip(np.sqrt(1.7 * n), 8, most))
    return min(range(max(6, wish - 3), most + 1), key=lambda columns: (n % columns != 0, abs(columns - wish)))


def _contact_sheet(rows: list[np.ndarray], title: str, below: int = 0, left: float = 0):
    """(figure, axes, (row, column) step) of rows of images (n, H, W, 3), with room for text.

    below: image pixels under each row. left: screen pixels of text beside it. The axes count image pixels from the
    first image's corner.
    """
    H, W = rows[0].shape[1:3]
    if any(row.shape[1:3] != (H, W) for row in rows):
        raise ValueError(f"Images of one figure have one size, got {sorted({row.shape[1:3] for row in rows})}.")
    down, right = H + GAP + below, W + GAP
    sheet = np.ones((len(rows) * down + GAP, max(map(len, rows)) * right + GAP, 3))
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, side = i * down, j * right
            sheet[top : top + H + 2 * GAP, side : side + W + 2 * GAP] = _FRAME
            sheet[top + GAP : top + GAP + H, side + GAP : side + GAP + W] = image
    height, width = sheet.shape[:2]
    margin = left + 4 + MAGNIFIED if left else 0  # screen pixels
    scale = int(np.clip(min((WIDTH * DPI - margin) / width, 700 / height), 1, MAGNIFIED))
    above = 26 if title else 0  # screen pixels
    figure = _figure_class()(figsize=((width * scale + margin) / DPI, (height * scale + above) / DPI))
    share = margin / (width * scale + margin)
    ax = figure.add_axes((share, 0, 1 - share, height * scale / (height * scale + above)))
    ax.imshow(sheet, interpolation="nearest", extent=(-GAP, width - GAP, height - GAP, -GAP), aspect="auto")
    ax.set_axis_off()
    ax.set_title(title)
    return figure, ax, (down, right)


_FRAME = (0.82, 0.84, 0.87)  # around each image: white ones end somewhere, too


def _field(ax, array: np.ndarray, centre: tuple[int, int]):
    """One receptive field, with the outlined centre and the line between the past and the future."""
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    (H, W), (row, column) = array.shape, centre
    if not (0 <= row < H and 0 <= column < W):
        raise ValueError(f"The centre {tuple(centre)} lies outside the {H}×{W} pixels.")
    binary = _binary(array)
    relative = np.ma.masked_equal(array / (array.max() or 1), 0)
    image = _cells(ax, array, 0, 1) if binary else _cells(ax, array, 0, array.max() or 1)
    image.set_linewidth(0.8 if max(H, W) <= 20 else 0.4)
    if not binary:
        image.set(array=relative, cmap=_reach(), norm=LogNorm(1e-4, 1, clip=True))
    past = [(-0.5, row + 0.5), (column - 0.5, row + 0.5), (column - 0.5, row - 0.5), (W - 0.5, row - 0.5)]
    ax.plot(*zip(*past, strict=True), color=INK, linewidth=1.2, solid_capstyle="butt")
    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.2, zorder=3))
    ax.set_facecolor("#EDF0F4")
    return image


@functools.cache
def _reach():
    """From light to dark, and pale where nothing comes through at all."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    colors = ListedColormap(matplotlib.colormaps["YlGnBu"](np.linspace(0.22, 1, 256)), name="reach")
    return colors.with_extremes(bad="#EDF0F4")


# ---- latent variables ----------------------------------------------------------------------------------


@_styled
def elbo_terms(models: dict, limits: dict | None = None, unit: str = "nats"):
    """−ELBO of several models, {name: (reconstruction, KL)}, as its two terms one after the other; with the limits.

    The reconstruction of a density may be negative: then its bar begins on the left of zero, and the KL's is added
    from there.
    """
    limits = limits or {}
    figure, axes = _subplots(1, 0.9 + 0.5 * len(models), width=7.6)
    ax = axes[0, 0]
    for row, (name, (reconstruction, kl)) in enumerate(models.items()):
        first = row == 0
        ax.barh(row, reconstruction, -0.34, color=BLUE, align="edge", label="reconstruction" if first else None)
        ax.barh(row, kl, 0.34, left=reconstruction, color=ORANGE, align="edge", label="KL" if first else None)
        ax.plot([reconstruction + kl] * 2, [row - 0.42, row + 0.42], color=INK, linewidth=2,
                label="−ELBO" if first else None)  # fmt: skip
        if name in limits:
            ax.plot([limits[name]] * 2, [row - 0.42, row + 0.42], color=INK, linewidth=1.4, linestyle=(0, (1.5, 1.2)),
                    label="limit" if first else None)  # fmt: skip
    ax.axvline(0, color="#8A9099", linewidth=0.8)
    ax.set(yticks=range(len(models)), yticklabels=list(models), xlabel=f"{unit} an example")
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    _legend(ax)
    return figure


@_styled
def decoder_noise(models: dict):
    """Samples without and with the decoder's noise, {name: (toy distribution, μ_x (n, 2), x (n, 2))}, over the data."""
    names = list(models)
    figure, axes = _subplots(len(names), 4.6, rows=2, width=2.3 * len(names) + 0.4)
    for column, (dist, means, noisy) in zip(axes.T, models.values(), strict=True):
        for ax, points in zip(column, (means, noisy), strict=True):
            _density_2d(ax, dist, faint=True)
            _points(ax, points, dist)
            ax.collections[0].set(sizes=[4])
            ax.tick_params(labelbottom=False, labelleft=False, length=0)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name)
    axes[0, 0].set_ylabel("without noise: $\\mu_x$")
    axes[1, 0].set_ylabel("with noise: $\\mu_x + \\sigma_x\\epsilon$")
    return figure


@_styled
def latents(kl, codes, labels, names=(), xlabel: str = "", ylabel: str = ""):
    """The KL of each latent (D,), largest first; and codes (n, 2), coloured by label (n,).

    names: what the labels are called.
    """
    kl, codes, labels = (toy.as_array(a) for a in (kl, codes, labels))
    figure, axes = _subplots(2, 3.6, width=8.4)
    bars, ax = axes[0]
    bars.bar(range(len(kl)), np.sort(kl)[::-1], color=BLUE)
    bars.set(xlabel="latent, largest KL first", ylabel="KL (nats)", xticks=_ticks(len(kl)))
    bars.set_title("what each latent costs")
    bars.grid(False, axis="x")
    for label, color in zip(np.unique(labels), _label_colors(len(np.unique(labels))), strict=True):
        here = labels == label
        name = str(names[int(label)]) if len(names) else str(label)
        ax.scatter(*codes[here].T, s=7, color=color, alpha=0.75, linewidths=0, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title="codes, coloured by label", box_aspect=1)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2.2, handlelength=0.8)
    return figure


@_styled
def information(models: dict, names=()):
    """What each latent tells of each factor, and the gap of each factor below it, one panel a model.

    models: {title: shares (D, F)}, as `information.shares` gives them. names: of the F factors.
    """
    from deepul_utils.information import gaps_of

    panels = {title: _matrix_of(shares) for title, shares in models.items()}
    rows, columns = next(iter(panels.values())).shape
    figure, axes = _subplots(len(panels), 0.42 * rows + 1.3, width=(0.8 * columns + 0.9) * len(panels) + 0.6)
    for ax, (title, shares) in zip(axes[0], panels.items(), strict=True):
        image = _cells(ax, shares, 0.0, 1.0)
        ax.set(aspect="auto", title=f"{title}: mean gap {gaps_of(shares).mean():.2f}", yticks=range(rows))
        below = [f"{name}\n{gap:.2f}" for name, gap in zip(names or range(columns), gaps_of(shares), strict=True)]
        ax.set_xticks(range(columns), below)
    axes[0, 0].set_ylabel("latent")
    figure.colorbar(image, ax=axes[0, -1], shrink=0.9, label="share of the factor's entropy")
    return figure


def _label_colors(n: int) -> list:
    """n colours that are told apart: the palette, and beyond it even steps of a wheel of hues."""
    import matplotlib

    palette = [BLUE, ORANGE, GREEN, PINK, SKY, INK]
    return palette[:n] if n <= len(palette) else [matplotlib.colormaps["tab10"](i % 10) for i in range(n)]


@_styled
def code_cells(cells, codebook, reach: float):
    """Which code is the nearest at each point of a square [−reach, reach]²: cells, int (n, n), first index x₁.

    codebook: the codes themselves, (K, 2).
    """
    cells, codes = toy.as_array(cells), toy.as_array(codebook)
    figure, axes = _subplots(1, 3.9, width=4.2)
    ax = axes[0, 0]
    ax.imshow(cells.T, origin="lower", extent=(-reach, reach, -reach, reach), cmap=_code_colors(len(codes)),
              vmin=-0.5, vmax=len(codes) - 0.5, interpolation="nearest", alpha=0.75)  # fmt: skip
    ax.scatter(*codes.T, s=26, color=INK, zorder=3)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$z_1$", ylabel="$z_2$", title="nearest codes")
    ax.grid(False)
    return figure


@_styled
def code_maps(originals, codes, rebuilt, size: int):
    """Images, the maps of their codes, int (n, h, w) below `size`, a colour a code, and what is rebuilt from them."""
    codes = toy.as_array(codes)
    side = toy.as_array(originals).shape[-1] // codes.shape[-1]
    colors = _code_colors(size)(codes.repeat(side, axis=1).repeat(side, axis=2))[..., :3]  # (n, H, W, 3)
    rows = {"original": originals, "codes": np.moveaxis(colors, -1, 1), "rebuilt": rebuilt}
    return image_rows.__wrapped__(rows)


@functools.cache
def _code_colors(n: int):
    """n colours in an order in which neighbours differ: hues by the golden angle, in three lightnesses."""
    from matplotlib.colors import ListedColormap, hsv_to_rgb

    k = np.arange(n)
    return ListedColormap(hsv_to_rgb(np.stack([k * 0.618034 % 1, 0.45 + 0.2 * (k % 3), 0.95 - 0.2 * (k % 3)], axis=1)))


# ---- games ---------------------------------------------------------------------------------------------


@_styled
def curves(x, series: dict, xlabel: str = "", ylabel: str = "", title: str = ""):
    """Functions of one variable, {name: values (n,)} at x (n,), with the axis y = 0."""
    figure, axes = _subplots(1, 3.0, width=7)
    ax = axes[0, 0]
    ax.axhline(0, color="#8A9099", linewidth=0.8)
    for name, y in series.items():
        ax.plot(toy.as_array(x), toy.as_array(y), label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.margins(x=0.01)
    _legend(ax)
    return figure


@_styled
def game_history(history, fixed_point: dict | None = None):
    """Both players' losses against the round, side by side, the means of twenty stretches over the single ones.

    history: an object with the lists `steps`, `train` (the discriminator's loss) and `generator`. fixed_point:
    {"D": …, "G": …}, the losses where both are at their best, dashed.
    """
    figure, axes = _subplots(2, 2.7)
    players = ((history.train, "D", "discriminator", BLUE), (history.generator, "G", "generator", ORANGE))
    for ax, (losses, name, title, color) in zip(axes[0], players, strict=True):
        steps, losses = np.asarray(history.steps), np.asarray(losses)
        ax.plot(steps, losses, color=color, linewidth=0.7, alpha=0.35)
        parts = [(s.mean(), v.mean()) for s, v in zip(np.array_split(steps, 20), np.array_split(losses, 20),
                 strict=True) if len(s)]  # fmt: skip
        ax.plot(*zip(*parts, strict=True), color=color)
        seen = [*np.quantile(losses[len(losses) // 20 :], [0.005, 0.995])]
        if fixed_point and name in fixed_point:
            label = f"at the fixed point, {fixed_point[name]:.3f}"
            ax.axhline(fixed_point[name], color=INK, linestyle="--", linewidth=1.3, label=label)
            seen.append(fixed_point[name])
            _legend(ax)
        room = 0.08 * (max(seen) - min(seen)) or 0.5
        ax.set(xlabel="round", ylim=(min(seen) - room, max(seen) + room), title=f"loss of the {title}")
        ax.margins(x=0.02)
    return figure


@_styled
def game_1d(dist, frames: dict, x):
    """A strip of a 1-D game: in each frame the density, a histogram of samples, and D(x) on an axis from 0 to 1.

    frames: of a Film, {"round": (F,), "samples": (F, n), "logits": (F, m)}; x: where the logits are, (m,) or (m, 1).
    Raises ValueError where there are no frames.
    """
    rounds, x = _require_frames(frames, "samples", "logits"), toy.as_array(x).reshape(-1)
    columns = min(4, len(rounds))
    rows = -(-len(rounds) // columns)
    figure, axes = _subplots(columns, 1.75 * rows + 0.5, rows)
    density = np.exp(dist.log_prob(x[:, None]))
    edges = np.linspace(x[0], x[-1], 60)
    for k, (ax, samples, logits) in enumerate(zip(axes.flat, *(toy.as_array(frames[n]) for n in ("samples", "logits")),
                                                  strict=False)):  # fmt: skip
        ax.fill_between(x, density, color=GREY, alpha=0.8, linewidth=0, label="density" if not k else None)
        counts, _ = np.histogram(samples, edges)
        ax.stairs(counts / len(samples) / np.diff(edges), edges, color=ORANGE, linewidth=1.3,
                  label="samples" if not k else None)  # fmt: skip
        right = ax.twinx()
        right.plot(x, 1 / (1 + np.exp(-np.clip(logits, -50, 50))), color=BLUE, linewidth=1.6)
        right.axhline(0.5, color=BLUE, linestyle=":", linewidth=1)
        right.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1])
        right.tick_params(colors=BLUE, labelright=k % columns == columns - 1, length=0)
        right.spines["right"].set_visible(False)
        right.grid(False)
        ax.set(xlim=(x[0], x[-1]), ylim=(0, 2.1 * density.max()), yticks=[], title=f"round {rounds[k]:,}")
        ax.tick_params(labelbottom=k // columns == rows - 1)
        ax.grid(False, axis="y")
    for ax in axes.flat[len(rounds) :]:
        ax.remove()
    if len(axes.flat) > 0:
        axes.flat[0].plot([], [], color=BLUE, label="D(x)")
        figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


@_styled
def game_2d(dist, frames: dict, reach: float = 4.0):
    """A strip of a 2-D game: samples over contours of what the discriminator says, the data's density outlined.

    dist: of the data, a toy distribution. frames: of a Film, {"round": (F,), "samples": (F, n, 2), "logits":
    (F, m, m)}, logits on a square grid over [−reach, reach]², first index x₁. Raises ValueError where there are no
    frames.
    """
    rounds = _require_frames(frames, "samples", "logits")
    columns = min(4, len(rounds))
    rows = -(-len(rounds) // columns)
    figure, axes = _subplots(columns, 2.25 * rows, rows)
    fine = np.linspace(-reach, reach, PIXELS)
    density = np.exp(dist.log_prob(np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)))
    density = density.reshape(PIXELS, PIXELS)
    for k, (ax, samples, logits) in enumerate(zip(axes.flat, *(toy.as_array(frames[n]) for n in ("samples", "logits")),
                                                  strict=False)):  # fmt: skip
        at = np.linspace(-reach, reach, len(logits))
        ax.contourf(at, at, logits.T, levels=12, cmap=_lights(), alpha=0.9)
        ax.contour(fine, fine, density.T, levels=[OUTLINE * density.max()], colors=[INK], linewidths=0.7)
        _points(ax, samples)
        ax.collections[-1].set(sizes=[3], color=INK, alpha=0.45)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=f"round {rounds[k]:,}", xticks=[], yticks=[])
        ax.grid(False)
    for ax in axes.flat[len(rounds) :]:
        ax.remove()
    return figure


@_styled
def samples_2d(panels: dict):
    """Samples over the density that they should follow, {title: (toy distribution, samples (n, 2))}, side by side."""
    figure, axes = _subplots(len(panels), 3.0, width=2.7 * len(panels) + 0.4)
    for ax, (title, (dist, samples)) in zip(axes[0], panels.items(), strict=True):
        _density_2d(ax, dist, faint=True)
        _points(ax, samples, dist)
        ax.collections[0].set(sizes=[4])
        ax.tick_params(labelbottom=False, labelleft=False, length=0)
        ax.set_title(title)
    return figure


def _require_frames(frames: dict, *names: str) -> np.ndarray:
    missing = [name for name in ("round", *names) if name not in frames]
    if missing:
        raise ValueError(
            f"There are no pictures of this training ({', '.join(missing)}): they are taken while it trains. Train "
            "anew with retrain=True, with film.look in the loop."
        )
    return toy.as_array(frames["round"])


@functools.cache
def _lights():
    """For what a discriminator says: orange where it says sample, white between, blue where it says data."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("lights", ["#F0B48A", "#FFFFFF", "#8FC1E3"])
