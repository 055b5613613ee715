"""What every figure shares: its colours, style and size, and whether it is drawn at all."""

import functools
import io
import sys

import numpy as np

from deepul_utils import plots, toy

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
}  # type: dict

WIDTH = 9.0  # inches: a notebook's column


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
    return plots.for_grades or training is None or not training.session.grading


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


def _legend(ax) -> None:
    """Above the plot, right of the title: it never hides a curve."""
    entries = len(ax.get_legend_handles_labels()[0])
    ax.legend(loc="lower right", bbox_to_anchor=(1.01, 0.97), ncols=entries, columnspacing=1.2)


def _ticks(cells: int) -> range:
    """At most nine cells to number, in round steps."""
    return range(0, cells, next((step for step in (1, 2, 5, 10, 20, 50, 100) if cells <= 9 * step), cells))


def _asked(function, x: np.ndarray) -> np.ndarray:
    """A model's function of points, as an array: no gradients; the first where it returns several things."""
    import torch

    from deepul_utils import devices

    with torch.no_grad():
        out = function(torch.tensor(x, dtype=torch.float32, device=devices.of_function(function)))
    return toy.as_array(out[0] if isinstance(out, tuple) else out)
