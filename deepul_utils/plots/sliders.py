"""Figures to choose among with a handle: rounds of a game, layers of a flow, places in a latent space."""

import io
import sys
from collections.abc import Callable, Sequence

from deepul_utils.errors import CannotDraw, describe
from deepul_utils.plots.common import NotDrawn, _draws


def slider(draw: Callable, values: Sequence, label: str = "", start: int = -1):
    """draw(value) for each value, with a handle to move through them: plots.slider(draw, range(8), "round").

    Each figure is drawn when it is first looked at, and then kept. values: numbers or words; start: the place in
    `values` of the one that is shown at first. Where no handle can be moved (another viewer, a printed page, no
    ipywidgets), that one is a picture like any other.
    """
    if not _draws():
        return NotDrawn()
    if not callable(draw):
        raise CannotDraw(f"plots.slider: draw should be a function of a value, got {type(draw).__name__}.")
    values = list(values)
    if not -len(values) <= start < len(values):
        raise CannotDraw(f"plots.slider: there are {len(values)} values, and none at {start} to start with.")
    return Slider(draw, values, label, start % len(values))


class Slider:
    """Some figures, of which one is shown; see `slider`."""

    def __init__(self, draw: Callable, values: list, label: str, start: int):
        self.draw, self.values, self.label, self.start = draw, values, label, start
        self._pictures: dict[int, tuple[bytes, dict]] = {}

    def picture(self, k: int) -> tuple[bytes, dict]:
        """The figure of values[k] as a PNG, and its width, height and alternative text; drawn once."""
        if k not in self._pictures:
            png, shown = _picture_of(self.draw(self.values[k]))
            alt = ". ".join(filter(None, (f"{self.label} {_word(self.values[k])}".strip(), shown.get("alt"))))
            self._pictures[k] = png, shown | {"alt": alt}
        return self._pictures[k]

    def _repr_png_(self) -> tuple[bytes, dict]:
        return self.picture(self.start)

    def _ipython_display_(self) -> None:
        """The handle above, the picture below, each an output of its own: a notebook that is opened again has no handle
        any more, and still the picture.
        """
        handle = self._handle()
        if handle is None:
            raise NotImplementedError("IPython shows the picture")
        from IPython.display import Pretty, display

        first = _Picture(self, self.start)
        first._repr_png_()  # what goes wrong here is the cell's error
        display(handle)
        shown = display(first, display_id=True)

        def show(change: dict) -> None:
            picture = _Picture(self, change["new"])
            try:
                picture._repr_png_()
            except Exception as error:  # whatever the student's model raises: nobody sees a widget's errors
                picture = Pretty(describe(error))
            shown.update(picture)

        handle.observe(show, "value")

    def _handle(self):
        """The slider as a widget of a live notebook; None where there is none, or no ipywidgets."""
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython else None
        if len(self.values) < 2 or not hasattr(shell, "kernel"):
            return None
        try:
            import ipywidgets
        except ImportError:
            return None
        options = [(_word(value), k) for k, value in enumerate(self.values)]
        look = dict(layout={"width": "min(36em, 100%)"}, style={"description_width": "initial"})
        return ipywidgets.SelectionSlider(options=options, value=self.start, description=self.label, **look)


class _Picture:
    """One of a slider's figures, as Jupyter shows it."""

    def __init__(self, slider: Slider, k: int):
        self._slider, self._k = slider, k

    def _repr_png_(self) -> tuple[bytes, dict]:
        return self._slider.picture(self._k)

    def __repr__(self) -> str:
        return f"[{self._repr_png_()[1]['alt']}]"


def _picture_of(figure) -> tuple[bytes, dict]:
    if hasattr(figure, "_repr_png_"):
        return figure._repr_png_()
    if not hasattr(figure, "savefig"):
        raise CannotDraw(f"plots.slider: draw should return a figure, got {type(figure).__name__}.")
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue(), {}


def _word(value) -> str:
    """A value as the handle shows it."""
    if isinstance(value, str):
        return value
    number = value.item() if hasattr(value, "item") else value
    return f"{number:,}" if isinstance(number, int) else f"{number:.3g}" if isinstance(number, float) else str(number)
