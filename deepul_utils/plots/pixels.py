"""Images in grids and rows, and which of their pixels reach an output."""

import functools

import numpy as np

from deepul_utils import toy
from deepul_utils.plots.common import INK, ORANGE, WIDTH, _figure_class, _style, _styled, _subplots
from deepul_utils.plots.matrices import _binary, _cells, _matrix_of

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
