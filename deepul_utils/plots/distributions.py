"""Toy distributions of one and two dimensions: densities, probabilities and samples."""

import numpy as np

from deepul_utils import toy
from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    _color_bar,
    _colors,
    _legend,
    _styled,
    _subplots,
)

PIXELS = 160  # per side of a density's picture


@_styled
def distribution(dist, n: int = 2000, seed: int = 0):
    """A toy distribution, continuous or discrete: its density, and n samples of its training stream."""
    discrete = isinstance(given.distribution(dist, discrete=True), toy.DiscreteDistribution)
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
        axes[0, 0].set(title=title, xlabel="$x_1$", ylabel="$x_2$")
        axes[0, 1].set(title=f"{n:,} samples", xlabel="$x_1$")
    return figure


@_styled
def gallery(names: list[str] | None = None):
    """The densities of all toy sets, or of those named."""
    sets = [_named(name) for name in (toy.names() if names is None else names)]
    if not sets:
        raise CannotDraw("names should name a toy set at least, got none.")
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

    Raises CannotDraw for samples that are no integers, or outside the levels.
    """
    figure, axes = _subplots(1, 2.9, width=7)
    _samples_1d(axes[0, 0], samples, pmf, model_pmf)
    axes[0, 0].set_title(title)
    return figure


@_styled
def pmf_1d(true, model=None, title: str = ""):
    """Two pmfs (bins,) over the same levels: the true one filled, the model's as a line."""
    true = given.numbers(true, "true", ("bins",))
    figure, axes = _subplots(1, 2.9, width=7)
    _steps(axes[0, 0], true, GREY, "true", fill=True)
    if model is not None:
        _steps(axes[0, 0], given.numbers(model, "model", true.shape), ORANGE, "model")
    _label_levels(axes[0, 0], title)
    return figure


@_styled
def pmf_2d(**panels):
    """Heat maps side by side on one colour scale, titled by keyword: pmf_2d(true=p, model=q, samples=x).

    Each is a pmf, float (bins, bins) with [i, j] = P(x₁ = i, x₂ = j), or levels, int (n, 2), drawn as their
    frequencies on the grid of the first pmf. Raises CannotDraw for anything else.
    """
    given.table(panels, "what to show", "pmf_2d(true=p, model=q)")
    figure, axes = _subplots(len(panels), 3.4, width=3.2 * len(panels) + 0.6)
    _heatmaps(figure, axes[0], panels)
    return figure


@_styled
def scatter_2d(samples, dist=None, title: str = ""):
    """Points (n, 2), over the density of the toy distribution they should follow, if given."""
    samples = given.numbers(samples, "samples", ("n", 2))
    dist = dist if dist is None else given.distribution(dist, dims=2)
    figure, axes = _subplots(1, 4.2, width=4.4)
    if dist is not None:
        _density_2d(axes[0, 0], dist, faint=True)
    _points(axes[0, 0], samples, dist)
    axes[0, 0].set(title=title or (dist.name.replace("_", " ") if dist else ""), xlabel="$x_1$", ylabel="$x_2$")
    return figure


def _named(name: str):
    try:
        return toy.get(name)
    except (ValueError, TypeError) as error:
        raise CannotDraw(str(error)) from None


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


def _density_2d(ax, dist, faint: bool = False, log_prob=None, top: float | None = None) -> float:
    """The density over the box, from white at zero to `top` or its largest, which is returned.

    `faint` keeps it in the background of a scatter plot. log_prob: of a model, drawn instead of the exact one.
    """
    middles = [lo + (np.arange(PIXELS) + 0.5) * (hi - lo) / PIXELS for lo, hi in dist.support]
    grid = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 2)
    log_p = dist.log_prob(grid) if log_prob is None else given.asked(log_prob, grid, "log_prob")
    density = np.exp(np.minimum(log_p, 50)).reshape(PIXELS, PIXELS)
    top = float(np.nanmax(density)) if top is None else top
    look = {"cmap": "Greys", "alpha": 0.45} if faint else {"cmap": _colors()}
    box = (*dist.support[0], *dist.support[1])
    ax.imshow(density.T, origin="lower", extent=box, vmin=0, vmax=top, interpolation="bilinear", **look)
    ax.grid(False)
    return top


def _points(ax, x: np.ndarray, dist=None, size: float = 6) -> None:
    ax.scatter(x[:, 0], x[:, 1], s=size, color=BLUE, alpha=0.5, linewidths=0)
    ax.set_aspect("equal")
    if dist is not None:
        ax.set(xlim=dist.support[0], ylim=dist.support[1])


def _samples_1d(ax, samples, pmf=None, model_pmf=None) -> None:
    x = given.integers(samples, "samples", ("n",), ("n", 1)).reshape(-1)
    pmf, model_pmf = (
        p if p is None else given.numbers(p, name, ("bins",)) for p, name in ((pmf, "pmf"), (model_pmf, "model_pmf"))
    )
    if pmf is not None and model_pmf is not None:
        given.same_length(pmf=pmf, model_pmf=model_pmf)
    known = next((p for p in (pmf, model_pmf) if p is not None), None)
    bins = len(known) if known is not None else int(x.max(initial=0)) + 1
    if len(x) and (x.min() < 0 or x.max() >= bins):
        raise CannotDraw(f"samples should be levels 0 … {bins - 1}, got {x.min()} … {x.max()}.")
    _steps(ax, np.bincount(x, minlength=bins) / max(len(x), 1), GREY, f"{len(x):,} samples", fill=True)
    if pmf is not None:
        _steps(ax, pmf, BLUE, "true")
    if model_pmf is not None:
        _steps(ax, model_pmf, ORANGE, "model")
    _label_levels(ax)


def _steps(ax, p: np.ndarray, color: str, label: str, fill: bool = False) -> None:
    ax.stairs(p, np.arange(len(p) + 1) - 0.5, color=color, label=label, fill=fill, linewidth=1.5)


def _label_levels(ax, title: str = "") -> None:
    ax.set(xlabel="level", ylabel="probability", title=title, ylim=(0, None))
    ax.margins(x=0.01)
    _legend(ax)


def _heatmaps(figure, axes, panels: dict) -> None:
    pmfs = _as_pmfs(panels)
    top = max(np.nanmax(p) for p in pmfs.values())
    for ax, (name, p) in zip(axes, pmfs.items(), strict=True):
        image = ax.imshow(p.T, origin="lower", vmin=0, vmax=top, interpolation="nearest", cmap=_colors())
        ax.set(title=name.replace("_", " "), xlabel="$x_1$")
        ax.grid(False)
    axes[0].set_ylabel("$x_2$")
    _color_bar(figure, image, axes, "probability", format="%.2g")


def _as_pmfs(panels: dict) -> dict:
    """The panels of `pmf_2d` as float arrays, levels counted on the grid of the first pmf."""
    arrays = {name: given.numbers(p, name) for name, p in panels.items()}
    shapes = [a.shape for a in arrays.values() if a.dtype.kind == "f" and a.ndim == 2]
    pmfs = {}
    for name, a in arrays.items():
        if a.dtype.kind == "f" and a.ndim == 2:
            pmfs[name] = a
        elif a.dtype.kind in "iu" and a.ndim == 2 and a.shape[1] == 2 and shapes:
            pmfs[name] = _frequencies(a, shapes[0], name)
        else:
            raise CannotDraw(
                f"{name} is neither a pmf, float (bins, bins), nor levels, int (n, 2), beside one: "
                f"got {a.dtype} {a.shape}."
            )
    return pmfs


def _frequencies(levels: np.ndarray, shape: tuple[int, int], name: str) -> np.ndarray:
    if not ((levels >= 0) & (levels < shape)).all():
        raise CannotDraw(f"{name} should be levels on the grid {shape}, got {levels.min()} … {levels.max()}.")
    flat = np.ravel_multi_index(tuple(levels.T), shape)
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape) / max(len(levels), 1)
