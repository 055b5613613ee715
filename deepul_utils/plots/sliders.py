"""Figures to choose among with a handle: rounds of a game, layers of a flow, places in a latent space."""

import base64
import html
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

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """The handle for whoever can show it, the picture for all others."""
        png, shown = self.picture(self.start)
        bundle = {"image/png": base64.b64encode(png).decode(), "text/plain": f"[{shown['alt']}]"}
        return bundle | self._handle(), {"image/png": shown}

    def _handle(self) -> dict:
        """The slider as a widget of a live notebook; nothing where there is none, or no ipywidgets."""
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython else None
        if len(self.values) < 2 or not hasattr(shell, "kernel"):
            return {}
        try:
            import ipywidgets
        except ImportError:
            return {}
        picture = ipywidgets.HTML(self._tag(self.start))
        options = [(_word(value), k) for k, value in enumerate(self.values)]
        wide = {"width": "min(36em, 100%)"}
        style = {"description_width": "initial"}
        handle = ipywidgets.SelectionSlider(
            options=options, value=self.start, description=self.label, layout=wide, style=style
        )
        handle.observe(lambda change: setattr(picture, "value", self._tag(change["new"])), "value")
        box = ipywidgets.VBox([handle, picture])
        return box._repr_mimebundle_() if hasattr(box, "_repr_mimebundle_") else {}

    def _tag(self, k: int) -> str:
        """The picture of values[k] in HTML; what went wrong where it cannot be drawn: nobody sees a widget's errors."""
        try:
            png, shown = self.picture(k)
        except Exception as error:  # whatever the student's model raises
            return f"<pre>{html.escape(describe(error))}</pre>"
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        alt, width = html.escape(shown["alt"]), shown.get("width", "")
        return f'<img src="{source}" alt="{alt}" width="{width}" style="max-width: 100%; height: auto">'


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
