"""Matrices as grids of cells: masks, and which output depends on which input."""

import functools

import numpy as np

from deepul_utils import toy
from deepul_utils.plots.common import BLUE, _colors, _styled, _subplots, _ticks


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


@functools.cache
def _two_colors():
    """For masks: hidden pale, seen blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("mask", ["#EDF0F4", BLUE])
