"""A handle where it can be moved, a picture everywhere else."""

import base64
import html
import re
import sys
from types import SimpleNamespace

import IPython
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from deepul_utils import plots, toy, training

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def live(monkeypatch):
    """As in a notebook with a kernel; the widgets that were made."""
    import ipywidgets

    made = []

    class Noted(ipywidgets.VBox):
        def __init__(self, children):
            super().__init__(children)
            made.append(self)

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object(), display_formatter=None))
    monkeypatch.setattr(ipywidgets, "VBox", Noted)
    return made


@pytest.fixture
def drawn():
    """drawn.draw, and the values it was asked for."""
    asked = []

    def draw(k):
        asked.append(k)
        return plots.matrix(np.eye(3) * k, title=f"number {k}")

    draw(0)  # the class of figures is made here, where there is no notebook
    asked.clear()
    return SimpleNamespace(draw=draw, asked=asked)


def test_elsewhere_it_is_a_picture_like_any_other(drawn):
    slider = plots.slider(drawn.draw, [3, 5, 9], "size")
    assert drawn.asked == []
    bundle, told = slider._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert told["image/png"]["alt"].startswith("size 9. A matrix as a grid of cells")
    assert drawn.asked == [9]
    assert slider._repr_png_()[0] == base64.b64decode(bundle["image/png"])
    assert drawn.asked == [9]


def test_in_a_notebook_there_is_a_handle_and_figures_are_drawn_when_they_are_looked_at(live, drawn):
    bundle, _ = plots.slider(drawn.draw, [3, 5, 9], "size", start=0)._repr_mimebundle_()
    assert {VIEW, "image/png"} <= set(bundle)
    handle, picture = live[0].children
    assert drawn.asked == [3]
    assert [label for label, _ in handle.options] == ["3", "5", "9"]
    assert handle.description == "size"
    first = picture.value
    handle.value = 2
    assert drawn.asked == [3, 9]
    assert 'alt="size 9. ' in picture.value != first
    assert re.search(r'width="\d+"', picture.value)
    handle.value = 0
    assert picture.value == first
    assert drawn.asked == [3, 9], "what was drawn is kept"


def test_what_a_model_raises_while_the_handle_moves_is_shown_in_its_place(live, drawn):
    def draw(k):
        if k:
            raise ValueError("no <such> layer")
        return drawn.draw(k)

    plots.slider(draw, [0, 1], start=0)._repr_mimebundle_()
    handle, picture = live[0].children
    handle.value = 1
    assert html.unescape(picture.value) == "<pre>ValueError: no <such> layer</pre>"
    with pytest.raises(ValueError, match="such"):
        plots.slider(draw, [0, 1])._repr_mimebundle_()


def test_without_ipywidgets_it_is_a_picture(drawn, monkeypatch):
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    bundle, _ = plots.slider(drawn.draw, [3, 5])._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/plain"}


def test_nothing_is_drawn_and_no_layer_asked_while_a_notebook_is_graded(tmp_path, monkeypatch):
    session = training.Session(tmp_path)
    session.grading = True
    monkeypatch.setattr(training, "session", session)

    def draw(value):
        pytest.fail("drawn")

    flow = torch.nn.Linear(2, 2)
    flow.register_forward_hook(draw)
    monkeypatch.setattr(Figure, "__init__", draw)
    for plotted in (
        plots.slider(draw, [1, 2]),
        plots.film(draw, {}),
        plots.layers(flow, np.zeros((3, 2)), torch.nn.Linear),
    ):
        assert isinstance(plotted, plots.NotDrawn)


def test_other_figures_and_words_are_shown_too():
    assert plots.slider(lambda word: Figure(figsize=(1, 1)), ["β = 1", "β = 12"])._repr_png_()[1] == {"alt": "β = 12"}
    with pytest.raises(plots.CannotDraw, match="should return a figure, got int"):
        plots.slider(lambda word: 3, ["a"])._repr_png_()


def test_a_film_goes_picture_by_picture():
    frames = {"round": torch.tensor([0, 10, 40]), "samples": torch.randn(3, 50, 2), "logits": torch.zeros(3, 9, 9)}
    seen = []

    def draw(frame):
        seen.append(frame)
        return plots.game_2d(toy.get("moons"), frame)

    slider = plots.film(draw, frames)
    assert slider.values == [0, 10, 40]
    slider.picture(1)
    assert torch.equal(seen[0]["samples"], frames["samples"][1:2])
    assert slider.label == "round"


class Turn(torch.nn.Module):
    def forward(self, x):
        return torch.stack([x[:, 1], -x[:, 0]], dim=1), torch.zeros(len(x))


class Turns(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.turns = torch.nn.ModuleList([Turn(), Turn()])

    def forward(self, x):
        for turn in [*self.turns, self.turns[0]]:  # one is used twice
            x, _ = turn(x)
        return x, torch.zeros(len(x))


def test_layers_show_what_each_makes_of_the_data(monkeypatch):
    x, flow = toy.get("moons").sample(30), Turns()
    slider = plots.layers(flow, torch.tensor(x), Turn)
    assert slider.values == [1, 2, 3]
    for k, expected in ((1, np.stack([x[:, 1], -x[:, 0]], axis=1)), (2, -x)):
        latents = slider.draw(k).axes[1].collections[0].get_offsets()
        assert np.array(latents) == pytest.approx(expected)
    assert not any(turn._forward_hooks for turn in flow.turns), "the model is left as it was"
