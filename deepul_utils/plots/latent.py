"""Latent variables: what they cost, what they tell, and codes."""

import numpy as np

from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PINK,
    PLATE,
    SKY,
    _code_colors,
    _color_bar,
    _legend,
    _styled,
    _subplots,
    _ticks,
)
from deepul_utils.plots.distributions import _density_2d, _points
from deepul_utils.plots.matrices import _cells, _matrix_of
from deepul_utils.plots.pixels import image_rows


@_styled
def elbo_terms(models: dict, limits: dict | None = None, unit: str = "nats"):
    """−ELBO of several models, {name: (reconstruction, KL)}: the reconstruction, and the KL on top of it.

    The reconstruction of a density may be negative: then the KL begins on the left of zero. limits: {name: the least
    that −ELBO can be}; how far each is from there stands beside it.
    """
    limits, sums = limits or {}, _terms(models)
    figure, axes = _subplots(1, 0.9 + 0.55 * len(models), width=8)
    ax = axes[0, 0]
    reconstructions, kls = (np.array([terms[k] for terms in sums.values()]) for k in (0, 1))
    rows = np.arange(len(sums))
    ax.barh(rows - 0.19, reconstructions, 0.36, color=BLUE, label="reconstruction")
    ax.barh(rows + 0.19, kls, 0.36, left=reconstructions, color=ORANGE, label="+ KL")
    ends = reconstructions + kls
    ax.vlines(ends, rows - 0.42, rows + 0.42, color=INK, linewidth=2.2, label="= −ELBO")
    _limits(ax, list(sums), ends, limits)
    left, right = min(0.0, reconstructions.min()), max(0.0, ends.max(), reconstructions.max(), *limits.values())
    ax.axvline(0, color="#8A9099", linewidth=0.8)
    ax.set(yticks=rows, yticklabels=list(sums), xlabel=f"{unit} an example")
    ax.set(ylim=(len(sums) - 0.5, -0.5), xlim=(left - 0.03 * (right - left), right + 0.55 * (right - left)))
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    _legend(ax)
    return figure


def _limits(ax, names: list[str], ends: np.ndarray, limits: dict) -> None:
    """The least that each −ELBO can be, and in words at the right how far above it is."""
    known = [(row, limits[name]) for row, name in enumerate(names) if name in limits]
    if known:
        rows, least = np.array(known).T
        look = dict(color=GREEN, linewidth=2.2, linestyle=(0, (1.5, 1)))
        ax.vlines(least, rows - 0.42, rows + 0.42, label="limit", **look)
    for row, (name, end) in enumerate(zip(names, ends, strict=True)):
        above = f", {max(end - limits[name], 0):.2f} above the limit" if name in limits else ""
        place = dict(transform=ax.get_yaxis_transform(), ha="right", va="center")
        ax.text(0.99, row, f"{end:.2f}{above}", fontsize=9, **place)


def _terms(models: dict) -> dict[str, np.ndarray]:
    """{name: (reconstruction, KL)} as numbers."""
    given.table(models, "models", '{"moons": (reconstruction, KL)}')
    return {name: given.numbers(terms, f"(reconstruction, KL) of {name}", (2,)) for name, terms in models.items()}


@_styled
def decoder_noise(models: dict):
    """Samples without and with the decoder's noise, {name: (toy distribution, μ_x (n, 2), x (n, 2))}, over the data."""
    given.table(models, "models", '{"moons": (distribution, means, samples)}')
    for name, triple in models.items():
        if not isinstance(triple, tuple | list) or len(triple) != 3:
            raise CannotDraw(f"{name} should be three things, (toy distribution, means, samples).")
    names = list(models)
    figure, axes = _subplots(len(names), 4.8, rows=2, width=2.3 * len(names) + 0.4)
    for column, (name, (dist, means, noisy)) in zip(axes.T, models.items(), strict=True):
        given.distribution(dist, f"the first of {name}", dims=2)
        for ax, points, what in zip(column, (means, noisy), ("means", "samples"), strict=True):
            _density_2d(ax, dist, faint=True)
            _points(ax, given.numbers(points, f"{what} of {name}", ("n", 2)), dist, size=4)
            ax.tick_params(labelbottom=False, labelleft=False, length=0)
        column[0].set_title(name)
    axes[0, 0].set_ylabel("without noise: $\\mu_x$")
    axes[1, 0].set_ylabel("with noise: $\\mu_x + \\sigma_x\\epsilon$")
    return figure


@_styled
def latents(kl, codes, labels, names=(), xlabel: str = "", ylabel: str = ""):
    """The KL of each latent (D,), largest first; and codes (n, 2), coloured by label (n,).

    names: what the labels are called. A label of up to two letters stands in the middle of its codes, too: with ten
    colours, nobody has to tell them apart.
    """
    kl, codes = given.numbers(kl, "kl", ("D",)), given.numbers(codes, "codes", ("n", 2))
    labels = given.integers(labels, "labels", ("n",), ("n", 1)).reshape(-1)
    given.same_length(codes=codes, labels=labels)
    if not len(kl) or not len(codes):
        raise CannotDraw("kl and codes should have a latent and an example at least, got none.")
    if len(names) and (labels.min() < 0 or labels.max() >= len(names)):
        raise CannotDraw(f"There are {len(names)} names for labels {labels.min()} … {labels.max()}.")
    figure, axes = _subplots(2, 4.0, width=9)
    bars, ax = axes[0]
    bars.bar(range(len(kl)), np.sort(kl)[::-1], color=BLUE)
    bars.set(xlabel="latent, largest KL first", ylabel="KL (nats)", xticks=_ticks(len(kl)), box_aspect=1)
    bars.set_title("what each latent costs")
    bars.grid(False, axis="x")
    for label, color in zip(np.unique(labels), _label_colors(len(np.unique(labels))), strict=True):
        _cloud(ax, codes[labels == label], color, str(names[int(label)]) if len(names) else str(label))
    ax.set(xlabel=xlabel, ylabel=ylabel, title="codes, coloured by label", box_aspect=1)
    reach = np.quantile(codes, [0.002, 0.998], axis=0) if len(codes) > 50 else np.stack([codes.min(0), codes.max(0)])
    room = 0.06 * np.ptp(reach, axis=0) + 1e-9
    ax.set(xlim=(reach[0, 0] - room[0], reach[1, 0] + room[0]), ylim=(reach[0, 1] - room[1], reach[1, 1] + room[1]))
    legend = ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2.2, handlelength=0.8)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    return figure


def _cloud(ax, codes: np.ndarray, color, name: str) -> None:
    """The codes of one label, faint, and its name where their middle is."""
    ax.scatter(*codes.T, s=9, color=color, alpha=0.5, linewidths=0, label=name)
    if len(name) <= 2 and len(codes) >= 5:
        plate = dict(boxstyle="circle,pad=0.18", facecolor=PLATE, edgecolor=color, linewidth=1.4, alpha=0.9)
        ax.text(*np.median(codes, axis=0), name, ha="center", va="center", weight="bold", color=INK, bbox=plate)


@_styled
def information(models: dict, names=()):
    """What each latent tells of each factor, and the gap of each factor below it, one panel a model.

    models: {title: shares (D, F)}, as `information.shares` gives them. names: of the F factors.
    """
    from deepul_utils.information import gaps_of

    given.table(models, "models", '{"β = 1": shares}')
    panels = {title: _matrix_of(shares, f"shares of {title}") for title, shares in models.items()}
    rows, columns = next(iter(panels.values())).shape
    for title, shares in panels.items():
        given.numbers(shares, f"shares of {title}", (rows, columns))
    if rows < 2:
        raise CannotDraw("shares should be of two latents at least, to have a gap.")
    names = given.titles(names, "names", columns, "factors") or range(columns)
    figure, axes = _subplots(len(panels), 0.42 * rows + 1.3, width=(0.8 * columns + 0.9) * len(panels) + 0.9)
    for ax, (title, shares) in zip(axes[0], panels.items(), strict=True):
        image = _cells(ax, shares, 0.0, 1.0, as_masks=False)
        ax.set(aspect="auto", title=f"{title}: mean gap {gaps_of(shares).mean():.2f}", yticks=range(rows))
        below = [f"{name}\n{gap:.2f}" for name, gap in zip(names, gaps_of(shares), strict=True)]
        ax.set_xticks(range(columns), below)
    axes[0, 0].set(ylabel="latent", xlabel="factor, and its gap")
    _color_bar(figure, image, axes[0], "share of the factor's entropy")
    return figure


def _label_colors(n: int) -> list:
    """n colours that are told apart: the palette, and beyond it ten of different lightness."""
    import matplotlib

    palette = [BLUE, ORANGE, GREEN, PINK, SKY, INK]
    return palette[:n] if n <= len(palette) else [matplotlib.colormaps["tab10"](i % 10) for i in range(n)]


@_styled
def code_cells(cells, codebook, reach: float):
    """Which code is the nearest at each point of a square [−reach, reach]²: cells, int (n, n), first index x₁.

    codebook: the codes themselves, (K, 2).
    """
    codes = given.numbers(codebook, "codebook", ("K", 2))
    cells = _codes(cells, len(codes), "cells", ("n", "n"))
    figure, axes = _subplots(1, 4.1, width=4.4)
    ax = axes[0, 0]
    box = (-reach, reach, -reach, reach)
    span = dict(vmin=-0.5, vmax=len(codes) - 0.5, cmap=_code_colors(len(codes)))
    ax.imshow(cells.T, origin="lower", extent=box, interpolation="nearest", alpha=0.75, **span)
    ax.scatter(*codes.T, s=26, color=INK, zorder=3)
    ax.set(xlim=box[:2], ylim=box[2:], xlabel="$z_1$", ylabel="$z_2$", title="nearest codes")
    ax.grid(False)
    return figure


@_styled
def code_maps(originals, codes, rebuilt, size: int):
    """Images, the maps of their codes, int (n, h, w) below `size`, a colour a code, and what is rebuilt from them."""
    codes = _codes(codes, size, "codes", ("n", "h", "w"))
    width = given.numbers(originals, "originals", ("n", "C", "H", "W")).shape[-1]
    if not codes.size or width % codes.shape[-1]:
        raise CannotDraw(f"codes should divide images of width {width} into cells, got {codes.shape}.")
    side = width // codes.shape[-1]
    colors = _code_colors(size)(codes.repeat(side, axis=1).repeat(side, axis=2))[..., :3]  # (n, H, W, 3)
    rows = {"original": originals, "codes": np.moveaxis(colors, -1, 1), "rebuilt": rebuilt}
    return image_rows.__wrapped__(rows)


def _codes(value, size: int, name: str, shape: given.Shape) -> np.ndarray:
    """Numbers of codes, below `size`."""
    codes = given.integers(value, name, shape)
    if codes.size and (codes.min() < 0 or codes.max() >= size):
        raise CannotDraw(f"{name} should be codes 0 … {size - 1}, got {codes.min()} … {codes.max()}.")
    return codes
