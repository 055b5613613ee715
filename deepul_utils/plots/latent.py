"""Latent variables: what they cost, what they tell, and codes."""

import functools

import numpy as np

from deepul_utils import toy
from deepul_utils.plots.common import BLUE, GREEN, INK, ORANGE, PINK, SKY, _legend, _styled, _subplots, _ticks
from deepul_utils.plots.distributions import _density_2d, _points
from deepul_utils.plots.matrices import _cells, _matrix_of
from deepul_utils.plots.pixels import image_rows


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
