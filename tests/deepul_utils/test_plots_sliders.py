"""A handle where it can be moved, a picture everywhere else."""

import sys
from types import SimpleNamespace

import IPython
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure

from deepul_utils import plots, toy, training


@pytest.fixture
def live(monkeypatch):
    """As in a notebook with a kernel: what was displayed, and what took the place of it."""
    shown = []

    def display(thing, display_id=False):
        shown.append(thing)
        return SimpleNamespace(update=shown.append)

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object(), display_formatter=None))
    monkeypatch.setattr("IPython.display.display", display)
    return shown


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


def shown_by_ipython(thing) -> tuple[dict, dict]:
    formatter = DisplayFormatter()
    formatter.active_types = list(formatter.formatters)
    formatter.ipython_display_formatter.enabled = True
    return formatter.format(thing)


def test_elsewhere_it_is_a_picture_like_any_other(drawn):
    slider = plots.slider(drawn.draw, [3, 5, 9], "size")
    assert drawn.asked == []
    bundle, told = shown_by_ipython(slider)
    assert set(bundle) == {"image/png", "text/plain"}
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert told["image/png"]["alt"].startswith("size 9. A matrix as a grid of cells")
    assert slider._repr_png_()[0] == bundle["image/png"]
    assert drawn.asked == [9]


def test_in_a_notebook_there_is_a_handle_and_figures_are_drawn_when_they_are_looked_at(live, drawn):
    assert shown_by_ipython(plots.slider(drawn.draw, [3, 5, 9], "size", start=0)) == ({}, {})
    handle, first = live
    assert drawn.asked == [3]
    assert [label for label, _ in handle.options] == ["3", "5", "9"]
    assert handle.description == "size"
    handle.value = 2
    assert drawn.asked == [3, 9]
    png, told = live[-1]._repr_png_()
    assert told["alt"].startswith("size 9. ")
    assert told["width"] > 100
    handle.value = 0
    assert live[-1]._repr_png_() == first._repr_png_() != (png, told)
    assert drawn.asked == [3, 9], "what was drawn is kept"


def test_what_a_model_raises_while_the_handle_moves_is_shown_in_its_place(live, drawn):
    def draw(k):
        if k:
            raise ValueError("no such layer")
        return drawn.draw(k)

    plots.slider(draw, [0, 1], start=0)._ipython_display_()
    live[0].value = 1
    assert live[-1].data == "ValueError: no such layer"
    with pytest.raises(ValueError, match="such"):
        plots.slider(draw, [0, 1])._ipython_display_()


def test_without_ipywidgets_it_is_a_picture(drawn, monkeypatch):
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert set(shown_by_ipython(plots.slider(drawn.draw, [3, 5]))[0]) == {"image/png", "text/plain"}


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
