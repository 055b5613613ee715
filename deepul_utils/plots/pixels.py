"""Images in grids and rows, and which of their pixels reach an output."""

import functools

import numpy as np

from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import (
    DPI,
    INK,
    LINES,
    ORANGE,
    TEXT,
    WIDTH,
    _color_bar,
    _colors,
    _figure_class,
    _styled,
    _subplots,
)
from deepul_utils.plots.matrices import _binary, _cells, _matrix_of

GAP = 1  # image pixels between two images

LABEL = 7  # image pixels for a label below one

MAGNIFIED = 6  # screen pixels a side of an image pixel, at most; always a whole number, so that all are equal

BAR = 70  # screen pixels for a scale beside the images


@_styled
def images(x, columns: int | None = None, levels: int | None = None, labels=(), title: str = ""):
    """Images (n, C, H, W), grey or RGB, in a grid, row by row; floats in [0, 1], or integers with `levels` levels.

    labels: a word under each image. Raises CannotDraw for another shape, for values outside their range, for
    integers without `levels` and for labels that are not as many as the images.
    """
    pixels = _pixels(x, levels)
    labels = given.titles(labels, "labels", len(pixels), "images")
    columns = columns or _columns(len(pixels))
    if columns < 1:
        raise CannotDraw(f"columns should be one at least, got {columns}.")
    rows = [pixels[start : start + columns] for start in range(0, len(pixels), columns)]
    figure, ax, steps = _contact_sheet(rows, title, below=LABEL if labels else 0)
    for k, label in enumerate(labels):
        row, column = divmod(k, columns)
        x, y = (column + 0.5) * steps[1] - GAP / 2, (row + 1) * steps[0] - LABEL
        ax.text(x, y, label, ha="center", va="top", fontsize=8, color=TEXT)
    return figure


@_styled
def image_rows(rows, levels: int | None = None, title: str = "", heat: dict | None = None):
    """Rows of images to compare, {label: images} or [(label, images)]: real above reconstructed, one class a row.

    Images as for `images`; every row may have its own number of them, and be integers or floats. heat: more rows,
    {label: maps of a quantity ≥ 0, (n, 1, H, W)}, in the colours of a scale that is drawn beside them.
    """
    from matplotlib.textpath import TextPath

    rows = _rows_of(rows)
    pixels = [_pixels(x, levels, f"row {label!r}: images") for label, x in rows.items()]
    warm, top = _heated(heat or {})
    names = [str(label).replace("_", " ") for label in [*rows, *warm]]
    widths = [TextPath((0, 0), name, size=10).get_extents().width * DPI / 72 for name in names if name.strip()]
    right = BAR if warm else 0
    figure, ax, steps = _contact_sheet([*pixels, *warm.values()], title, left=max(widths, default=0), right=right)
    for row, name in enumerate(names):
        ax.text(-GAP - 1, (row + 0.5) * steps[0] - GAP / 2, name, ha="right", va="center", fontsize=10, color=TEXT)
    if warm:
        _scale(figure, ax, top, next(iter(warm)))
    return figure


def _rows_of(rows) -> dict:
    try:
        rows = dict(rows)
    except (TypeError, ValueError, RuntimeError):  # an array, a list of arrays
        raise CannotDraw("rows should be {label: images} or [(label, images)], got neither.") from None
    return given.table(rows, "rows", '{"real": images}')


def _heated(heat: dict) -> tuple[dict[str, np.ndarray], float]:
    """Maps as pictures in the colours of quantities, and the quantity of the last colour."""
    maps = {label: given.numbers(x, str(label), ("n", 1, "H", "W"))[:, 0] for label, x in heat.items()}
    if any(x.size and x.min() < 0 for x in maps.values()):
        raise CannotDraw("heat should be quantities ≥ 0.")
    top = max((float(x.max()) for x in maps.values() if x.size), default=0.0) or 1.0
    return {label: _colors()(x / top)[..., :3] for label, x in maps.items()}, top


def _scale(figure, ax, top: float, label: str) -> None:
    """The scale of the heat, at the right of the sheet."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    place = ax.get_position()
    width = figure.get_figwidth() * DPI
    beside = figure.add_axes((place.x1 + 14 / width, place.y0 + 0.06 * place.height, 10 / width, 0.88 * place.height))
    bar = figure.colorbar(ScalarMappable(Normalize(0, top), _colors()), cax=beside, label=label)
    bar.outline.set_visible(False)


@_styled
def receptive_field(gradient, centre: tuple[int, int], title: str = ""):
    """Which pixels reach the output at one pixel, outlined: heat maps, (H, W) each, and `centre` = (row, column).

    gradient: the derivative of that output with respect to each pixel, drawn by its size on a logarithmic scale;
    or booleans. {title: gradient} draws several side by side. What is exactly zero is pale; the line parts the
    pixels before `centre` from the others, so a pale pixel above it is a blind spot.
    Raises CannotDraw for another shape and for a centre outside.
    """
    panels = given.table(gradient, "gradient", "{title: array}") if isinstance(gradient, dict) else {title: gradient}
    panels = {str(name).replace("_", " "): np.abs(_matrix_of(array, "gradient")) for name, array in panels.items()}
    figure, axes = _subplots(len(panels), 3.7, width=3.4 * len(panels) + 0.7)
    for ax, (name, array) in zip(axes[0], panels.items(), strict=True):
        image = _field(ax, array, centre)
        ax.set(title=name, xlabel="column")
    axes[0, 0].set_ylabel("row")
    if not all(_binary(array) for array in panels.values()):
        _color_bar(figure, image, axes[0], "|∂ output / ∂ pixel|, relative", shrink=0.75)
    return figure


def _pixels(x, levels: int | None, name: str = "images") -> np.ndarray:
    """Images as floats in [0, 1], RGB, channels last: (n, H, W, 3). Raises CannotDraw as `images` says."""
    x = given.numbers(x, name)
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not x.size:
        raise CannotDraw(f"{name} should be (n, C, H, W), with one channel or three, got {x.shape}.")
    top = 1 if x.dtype.kind in "fb" else levels and levels - 1
    if not top:
        raise CannotDraw(f"How many levels do these images ({x.dtype}) have? Say images(x, levels=…).")
    if not ((x >= 0) & (x <= top)).all():
        span = f"{np.min(x):.3g} to {np.max(x):.3g}"
        raise CannotDraw(f"{name} should go from 0 to {top}, got {span}. Clip them, or turn [−1, 1] into (x + 1) / 2.")
    x = np.moveaxis(x / top, 1, -1)  # (n, H, W, C)
    return np.broadcast_to(x, (*x.shape[:3], 3))


def _columns(n: int) -> int:
    """Columns for n images: wider than high, full rows if that can be."""
    if n <= 8:
        return n
    most = 14 if n <= 140 else 28  # magnified twice while they fit
    wish = int(np.clip(np.sqrt(1.7 * n), 8, most))
    return min(range(max(6, wish - 3), most + 1), key=lambda columns: (n % columns != 0, abs(columns - wish)))


def _contact_sheet(rows: list[np.ndarray], title: str, below: int = 0, left: float = 0, right: float = 0):
    """(figure, axes, (row, column) step) of rows of images (n, H, W, 3), with room for text.

    below: image pixels under each row. left, right: screen pixels of text beside it. The axes count image pixels from
    the first image's corner.
    """
    H, W = rows[0].shape[1:3]
    if any(row.shape[1:3] != (H, W) for row in rows):
        raise CannotDraw(f"Images of one figure have one size, got {sorted({row.shape[1:3] for row in rows})}.")
    steps = H + GAP + below, W + GAP
    sheet = _sheet(rows, steps)
    height, width = sheet.shape[:2]
    margin = left + 4 + MAGNIFIED if left else 0  # screen pixels
    scale = int(np.clip(min((WIDTH * DPI - margin - right) / width, 700 / height), 1, MAGNIFIED))
    above = 26 if title else 0  # screen pixels
    whole = width * scale + margin + right, height * scale + above
    figure = _figure_class()(figsize=(whole[0] / DPI, whole[1] / DPI))
    ax = figure.add_axes((margin / whole[0], 0, width * scale / whole[0], height * scale / whole[1]))
    ax.imshow(sheet, interpolation="nearest", extent=(-GAP, width - GAP, height - GAP, -GAP), aspect="auto")
    ax.set_axis_off()
    ax.set_title(title)
    return figure, ax, steps


def _sheet(rows: list[np.ndarray], steps: tuple[int, int]) -> np.ndarray:
    """All images in their places, (height, width, 4), transparent where there is none."""
    (H, W), (down, across) = rows[0].shape[1:3], steps
    sheet = np.zeros((len(rows) * down + GAP, max(map(len, rows)) * across + GAP, 4))
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, side = i * down, j * across
            sheet[top : top + H + 2 * GAP, side : side + W + 2 * GAP] = (*_FRAME, 1)
            sheet[top + GAP : top + GAP + H, side + GAP : side + GAP + W, :3] = image
    return sheet


_FRAME = (0.62, 0.64, 0.67)  # around each image: white ones end somewhere, too, and black ones on a black page


def _field(ax, array: np.ndarray, centre: tuple[int, int]):
    """One receptive field, with the outlined centre and the line between the past and the future."""
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    (H, W), (row, column) = array.shape, given.integers(centre, "centre", (2,))
    if not (0 <= row < H and 0 <= column < W):
        raise CannotDraw(f"The centre {tuple(centre)} lies outside the {H}×{W} pixels.")
    binary = _binary(array)
    relative = np.ma.masked_equal(array / (array.max() or 1), 0)
    image = _cells(ax, array, 0, 1) if binary else _cells(ax, array, 0, array.max() or 1)
    image.set_linewidth(0.8 if max(H, W) <= 20 else 0.4)
    if not binary:
        image.set(array=relative, cmap=_reach(), norm=LogNorm(1e-4, 1, clip=True))
        image.set_edgecolor("white" if max(H, W) <= 40 else "none")  # beside the pale ones, through which nothing comes
    past = [(-0.5, row + 0.5), (column - 0.5, row + 0.5), (column - 0.5, row - 0.5), (W - 0.5, row - 0.5)]
    ax.plot(*zip(*past, strict=True), color=INK, linewidth=1.2, solid_capstyle="butt")
    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.2, zorder=3))
    ax.set_facecolor(LINES)
    return image


@functools.cache
def _reach():
    """From light to dark, and pale where nothing comes through at all."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    colors = ListedColormap(matplotlib.colormaps["YlGnBu"](np.linspace(0.22, 1, 256)), name="reach")
    return colors.with_extremes(bad=LINES)
