"""What every figure shares: its colours, style and size, how it is shown, and whether it is drawn at all.

One look for light and dark pages: the data lie on a white plate, all around it is transparent, and words are in a tone
between, which both kinds of page let stand out. Pictures have two pixels for one of the page's, so that they are sharp.
"""

import functools
import io
import re
import sys

import numpy as np

from deepul_utils import plots
from deepul_utils.errors import CannotDraw

# Okabe and Ito's palette: told apart with any colour vision. GREY is for what lies behind, INK for lines that are no
# data, TEXT for words: it has a contrast of four and more on white and on JupyterLab's black.
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
GREY, INK, TEXT, BLACK = "#B8BEC6", "#5F6670", "#727882", "#1B1E23"
PLATE, LINES = "#FFFFFF", "#E6E8EB"  # behind the data, and the grid on it

_style = {
    "axes.edgecolor": "#8A9099",
    "axes.facecolor": PLATE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": TEXT,
    "axes.labelsize": 10,
    "axes.prop_cycle": f"cycler('color', {[BLUE, ORANGE, GREEN, PINK, SKY]})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": TEXT,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.dpi": 110,
    "figure.facecolor": "none",
    "font.size": 10,
    "grid.color": LINES,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.labelcolor": TEXT,
    "lines.linewidth": 1.8,
    "text.color": TEXT,
    "xtick.color": "#8A9099",
    "xtick.labelcolor": TEXT,
    "xtick.labelsize": 9,
    "ytick.color": "#8A9099",
    "ytick.labelcolor": TEXT,
    "ytick.labelsize": 9,
}  # type: dict

WIDTH = 9.0  # inches: a notebook's column
DPI = _style["figure.dpi"]  # of the page's pixels
SHARP = 2  # pixels of the picture, a side, for each of the page's
MARGIN = 0.06  # inches around a figure


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
    """Draws in the kit's style and leaves matplotlib's own settings as they were; or does not draw at all.

    What is given to it and cannot be drawn is said with the name of the function.
    """

    @functools.wraps(plot)
    def styled(*args, **kwargs):
        __tracebackhide__ = True
        if not _draws():
            return NotDrawn()
        import matplotlib

        try:
            with matplotlib.rc_context(_style):
                figure = plot(*args, **kwargs)
                _wrap_titles(figure)
        except CannotDraw as error:
            raise CannotDraw(f"plots.{plot.__name__}: {error}") from None
        figure.about = figure.about or _first_sentence(plot.__doc__)
        return figure

    return styled


def _wrap_titles(figure) -> None:
    """A title that would run out of its figure goes on in the next line."""
    for ax in figure.axes:
        for place in ("left", "center"):
            if title := ax.get_title(place):
                ax.set_title(title, loc=place, wrap=True)


def _first_sentence(text: str) -> str:
    """Of a docstring, as one says it: without the shapes in brackets, and what is given in braces."""
    return re.sub(r" \([^)]*\)|`", "", re.split(r"[;:.](?:\s|$)|, \{|, if given", text, maxsplit=1)[0]).strip()


@functools.cache
def _figure_class() -> type:
    """Jupyter shows a plain Figure only after pyplot was imported; this one it shows always, and once."""
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        about = ""  # what it shows, for those who cannot see it

        @property
        def alt(self) -> str:
            """What stands in the place of the picture where it cannot be seen."""
            return ". ".join(filter(None, [self.about, *_words_of(self)])) + "."

        def _repr_png_(self) -> tuple[bytes, dict]:
            width, height = (round(inches * self.dpi) for inches in self.get_size_inches())
            return _png(self), {"width": width, "height": height, "alt": self.alt}

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell:
        _show_as_it_is(shell, NotebookFigure)
    return NotebookFigure


def _png(figure) -> bytes:
    """Its picture. Lines, points and words need few colours, and are a quarter of the bytes with a palette."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    dpi, canvas = figure.dpi, FigureCanvasAgg(figure)
    try:  # savefig() would lay it out and draw it twice
        figure.dpi = SHARP * dpi
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    finally:
        figure.dpi = dpi
    png = io.BytesIO()
    if not any(ax.images or _has_mesh(ax) for ax in figure.axes if ax.get_label() != "<colorbar>"):
        picture = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.save(png, "png", compress_level=4, dpi=2 * (SHARP * dpi,))
    return png.getvalue()


def _has_mesh(ax) -> bool:
    from matplotlib.collections import QuadMesh

    return any(isinstance(part, QuadMesh) for part in ax.collections)


def _show_as_it_is(shell, figure_class: type) -> None:
    """What pyplot registers with IPython for all figures is not for ours: it knows neither sharpness nor words."""
    shell.display_formatter.formatters["image/png"].for_type(figure_class, figure_class._repr_png_)  # type: ignore[attr-defined]


def _words_of(figure) -> list[str]:
    """Its titles, axes and legends, as sentences."""
    sentences = []
    axes = [ax for ax in figure.axes if ax.get_visible()]
    titles = [title for ax in axes if (title := ax.get_title("left") or ax.get_title())]
    labels = [label for ax in axes for label in (ax.get_xlabel(), ax.get_ylabel()) if label]
    legends = [legend for owner in (figure, *axes) if (legend := _legend_of(owner))]
    entries = [text.get_text() for legend in legends for text in legend.get_texts()]
    for kind, words in (("Titles", titles), ("Axes", labels), ("Legend", entries)):
        if words:
            sentences.append(f"{kind}: {', '.join(dict.fromkeys(word.replace(chr(10), ' ') for word in words))}")
    return sentences


def _legend_of(owner):
    return owner.get_legend() if hasattr(owner, "get_legend") else next(iter(owner.legends), None)


def _subplots(columns: int, height: float, rows: int = 1, width: float = WIDTH):
    """A new figure of this size (inches) and its axes, (rows, columns)."""
    figure = _figure_class()(figsize=(min(width, WIDTH), height), layout="compressed")
    figure.get_layout_engine().set(w_pad=MARGIN, h_pad=MARGIN)
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
def _code_colors(n: int):
    """n colours in an order in which neighbours differ: hues by the golden angle, in three lightnesses."""
    from matplotlib.colors import ListedColormap, hsv_to_rgb

    k = np.arange(n)
    hues, saturations, values = k * 0.618034 % 1, 0.45 + 0.2 * (k % 3), 0.95 - 0.2 * (k % 3)
    return ListedColormap(hsv_to_rgb(np.stack([hues, saturations, values], axis=1)))


def _legend(ax, **options) -> None:
    """Above the plot, right of the title: it never hides a curve."""
    handles = ax.get_legend_handles_labels()[0]
    if handles:
        place = dict(loc="lower right", bbox_to_anchor=(1.01, 0.99), borderaxespad=0.2, columnspacing=1.2)
        ax.legend(ncols=len(handles), **place | options)


def _color_bar(figure, image, axes, label: str, **options):
    """A scale beside these axes, with what it counts and in what unit."""
    bar = figure.colorbar(image, ax=list(axes), label=label, **dict(shrink=0.85, pad=0.02, aspect=18) | options)
    bar.outline.set_visible(False)
    bar.ax.minorticks_off()
    return bar


def _ticks(cells: int) -> range:
    """At most nine cells to number, in round steps."""
    return range(0, cells, next((step for step in (1, 2, 5, 10, 20, 50, 100) if cells <= 9 * step), cells))
