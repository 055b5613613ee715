"""Matrices as grids of cells: masks, and which output depends on which input."""

import functools

import numpy as np

from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import BLUE, LINES, _color_bar, _colors, _styled, _subplots, _ticks


@_styled
def matrix(array, xlabel: str = "", ylabel: str = "", title: str = "", label: str = ""):
    """A matrix as a grid of cells, first row on top: which output depends on which input, or a mask.

    label: what its numbers are, for the scale beside it.
    """
    array = _matrix_of(array)
    height, width = np.clip(0.3 * np.array(array.shape), 1.8, 5.0)
    figure, axes = _subplots(1, height + 0.8, width=width + 1.2)
    image = _cells(axes[0, 0], array, *_value_range([array]))
    axes[0, 0].set(xlabel=xlabel, ylabel=ylabel, title=title)
    if not _binary(array):
        _color_bar(figure, image, axes[0], label)
    return figure


@_styled
def masks(arrays, titles=(), label: str = ""):
    """Masks or other matrices side by side, on one colour scale. Raises CannotDraw if the titles are not as many.

    label: what their numbers are, for a scale beside them; none is drawn without it.
    """
    arrays = [_matrix_of(array, f"mask {k}") for k, array in enumerate(arrays)]
    if not arrays:
        raise CannotDraw("arrays should be one mask at least, got none.")
    titles = given.titles(titles, "titles", len(arrays), "masks") or [""] * len(arrays)
    figure, axes = _subplots(len(arrays), 2.5, width=2.3 * len(arrays) + 0.4 + bool(label))
    for ax, array, title in zip(axes[0], arrays, titles, strict=True):
        image = _cells(ax, array, *_value_range(arrays), as_masks=all(map(_binary, arrays)))
        ax.set_title(title)
    if label:
        _color_bar(figure, image, axes[0], label)
    return figure


def _matrix_of(array, name: str = "array") -> np.ndarray:
    array = given.numbers(array, name)
    if array.ndim != 2 or not array.size:
        raise CannotDraw(f"{name} should be a matrix, which has two dimensions, got shape {array.shape}.")
    return array.astype(np.float64)


def _binary(array: np.ndarray) -> bool:
    return bool(np.isin(array, (0.0, 1.0)).all())


def _value_range(arrays: list[np.ndarray]) -> tuple[float, float]:
    """One colour scale for all: 0 to 1 for masks, else from zero or the smallest to the largest value."""
    if all(_binary(a) for a in arrays):
        return 0.0, 1.0
    return min(0.0, *(a.min() for a in arrays)), max(a.max() for a in arrays)


def _cells(ax, array: np.ndarray, low: float, high: float, as_masks: bool | None = None):
    """One square a cell, with lines between them, while there are few enough, that are seen beside cells of zero, too.

    as_masks: whether in two colours; left out, where there is nothing but zeros and ones.
    """
    rows, columns = array.shape
    as_masks = _binary(array) if as_masks is None else as_masks
    colors, edges = (_two_colors(), "white") if as_masks else (_colors(), LINES)
    edges = edges if max(rows, columns) <= 40 else "none"
    sides = (np.arange(cells + 1) - 0.5 for cells in (columns, rows))
    image = ax.pcolormesh(*sides, array, vmin=low, vmax=high, cmap=colors, edgecolors=edges, linewidth=0.8)
    ax.set(aspect="equal", ylim=(rows - 0.5, -0.5), xticks=_ticks(columns), yticks=_ticks(rows))
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return image


@functools.cache
def _two_colors():
    """For masks: hidden pale, seen blue."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("mask", [LINES, BLUE])
