"""What a figure is given and cannot show is said in one sentence: what was expected, and what came."""

import inspect

import numpy as np
import pytest
import torch

from deepul_utils import plots, toy
from deepul_utils.errors import KitError
from deepul_utils.training import History

MOONS, BUMPS = toy.get("moons"), toy.get("three_bumps")
X, LINE = MOONS.sample(40, seed=0), np.linspace(-5, 5, 30)
IMAGES = np.zeros((3, 1, 8, 8), dtype=np.float32)
RUN = History([1, 2, 3], [3.0, 2.0, 1.0], [3], [1.0], generator=[1.0, 1.0, 1.0])
FILM = {"round": [0, 5], "samples": np.zeros((2, 9, 2)), "logits": np.zeros((2, 5, 5))}
FILM_1D = {"round": [0, 5], "samples": np.zeros((2, 9)), "logits": np.zeros((2, 30))}
P = np.full(4, 0.25)
SHARES = np.array([[0.5, 0.1], [0.2, 0.6]])
LOST, DEEP, TEXT = np.full((40, 2), np.nan), np.zeros((5, 3, 2)), "moons"


def column(points):
    """A log_prob as students often have it at first: (B, 1)."""
    return -(points**2).sum(dim=1, keepdim=True)


def scalar(points):
    return -(points**2).sum()


def both(points):
    return points, torch.zeros(len(points))


def inwards(points, t):
    return -points


def normal(points, t):
    return -(points**2).sum(dim=1) / 2


# A call of each function that is right, and what may be put in the place of one argument: {argument: [(value, words)]}.
RIGHT = {
    "distribution": ((MOONS,), {0: [(TEXT, "should be a toy distribution"), (X, r"got ndarray \(40, 2\)")]}),
    "gallery": ((["moons"],), {0: [(["mons"], "Did you mean 'moons'"), ([], "got none")]}),
    "samples_1d": (
        ([0, 1], P),
        {
            0: [([0.5], "integer levels, got fractions"), ([7], "levels 0 … 3, got 7"), (DEEP, r"\(n,\) or \(n, 1\)")],
            1: [(P[:, None], r"pmf should be of shape \(bins,\), got \(4, 1\). .squeeze\(1\)"), (P * np.nan, "finite")],
        },
    ),
    "pmf_1d": ((P, P), {0: [(DEEP, r"\(bins,\)"), (None, "nothing")], 1: [(P[:3], r"shape \(4,\), got \(3,\)")]}),
    "pmf_2d": ((), {}),
    "scatter_2d": (
        (X, MOONS),
        {
            0: [
                (DEEP, r"samples should be of shape \(n, 2\), got \(5, 3, 2\)"),
                (LOST, "nan or infinity in 80 of 80"),
                (X[:, :1], r"got \(40, 1\)"),
                (TEXT, "real numbers, got the text 'moons'"),
                (X + 1j, "real numbers"),
            ],
            1: [(BUMPS, "2 dimensions, three_bumps has 1"), (X, "toy distribution")],
        },
    ),
    "pushed_through": (
        (LINE, LINE),
        {
            0: [(LINE[:9], "one to one: x has 9, z has 30"), (X, r"\(n,\) or \(n, 1\)"), (LINE * np.nan, "finite")],
            1: [(DEEP, r"\(5, 3, 2\)")],
        },
    ),
    "density_1d": (
        (BUMPS, lambda x: -(x[:, 0] ** 2), LINE),
        {
            0: [(MOONS, "1 dimensions, moons has 2")],
            1: [(column, r"one number for each point, \(1500,\), got \(1500, 1\). .squeeze\(1\)"), (P, "function of")],
            2: [(DEEP, "samples should be")],
        },
    ),
    "density_2d": (
        (MOONS, lambda x: -(x[:, 0] ** 2), X),
        {
            0: [(BUMPS, "2 dimensions")],
            1: [
                (column, r"\(25600, 1\). .squeeze\(1\) takes"),
                (scalar, r"got \(\)"),
                (lambda x: None, "nothing"),
                (lambda x: x[:, 0] * np.nan, "got nan in 25,600"),
                (both, r"got \(25600, 2\)"),
            ],
            2: [(LOST, "finite"), (LINE, r"\(n, 2\)")],
        },
    ),
    "latent_space": (
        (both, X),
        {
            0: [(column, "2 numbers for each point"), (None, "function of points")],
            1: [(LINE, "x should"), (X[:1], "several")],
        },
    ),
    "layers": (
        (torch.nn.Sequential(torch.nn.Linear(2, 2)), X, torch.nn.Linear),
        {
            0: [(both, "a module, got function")],
            1: [(DEEP, r"\(n, 2\)")],
            2: [(torch.nn.ReLU, "calls none")],
        },
    ),
    "curves": (
        (LINE, {"f": LINE}),
        {
            0: [(DEEP, "x should be")],
            1: [({"f": P}, r"f should be of shape \(30,\)"), ({}, "empty"), (P, "dictionary")],
        },
    ),
    "game_history": (
        (RUN,),
        {0: [([3.0, 2.0], "no steps"), (History(), "got none"), (History([1], [1.0]), "one to one")]},
    ),
    "game_1d": (
        (BUMPS, FILM_1D, LINE),
        {
            0: [(MOONS, "1 dimensions")],
            2: [(X, "x should be")],
            1: [
                ({}, "no pictures of this training"),
                (FILM, "should be of shape"),
                (None, "no pictures"),
                (FILM_1D | {"round": [0]}, "one to one"),
            ],
        },
    ),
    "game_2d": (
        (MOONS, FILM),
        {
            0: [(BUMPS, "2 dimensions")],
            1: [
                ({"round": [], "samples": [], "logits": []}, "no frame"),
                (FILM | {"samples": LOST}, "should be of shape"),
                (FILM | {"logits": FILM["logits"] * np.nan}, "finite"),
            ],
        },
    ),
    "film": ((lambda frame: plots.game_2d(MOONS, frame), FILM), {1: [({}, "no pictures of this training")]}),
    "samples_2d": (
        ({"a": (MOONS, X)},),
        {0: [({"a": X}, "a pair"), ({"a": (MOONS, DEEP)}, "samples of a"), ({"a": (X, X)}, "toy distribution")]},
    ),
    "elbo_terms": (
        ({"a": (1.0, 2.0)},),
        {0: [({"a": 1.0}, r"of a should be of shape \(2,\)"), ([1.0], "dictionary"), ({"a": (np.nan, 1.0)}, "finite")]},
    ),
    "decoder_noise": (
        ({"a": (MOONS, X, X)},),
        {0: [({"a": (MOONS, X)}, "three things"), ({"a": (MOONS, X, DEEP)}, "samples of a should be")]},
    ),
    "latents": (
        (P, X, np.zeros(40, int)),
        {
            0: [(X, "kl should be")],
            1: [(DEEP, "codes should"), (LOST, "finite")],
            2: [(np.zeros(3), "one to one"), (X, "labels should"), (np.full(40, 0.5), "fractions")],
        },
    ),
    "information": (
        ({"a": SHARES}, ("x", "y")),
        {
            0: [
                ({"a": P}, "two dimensions"),
                ({}, "empty"),
                ({"a": SHARES[:1]}, "two latents"),
                ({"a": SHARES, "b": np.zeros((3, 2))}, r"shares of b should be of shape \(2, 2\)"),
            ],
            1: [(("x",), "1 names for 2 factors")],
        },
    ),
    "code_cells": (
        (np.zeros((4, 4), int), np.zeros((3, 2)), 2.0),
        {
            0: [(P, "cells should"), (np.full((4, 4), 3), "codes 0 … 2, got 3")],
            1: [(DEEP, "codebook should")],
        },
    ),
    "code_maps": (
        (IMAGES, np.zeros((3, 2, 2), int), IMAGES, 4),
        {
            0: [(P, "originals should")],
            1: [(np.full((3, 2, 2), 4), "codes 0 … 3"), (np.zeros((3, 3, 3)), "divide images of width 8")],
            2: [(IMAGES - 1, "row 'rebuilt': images should go from 0 to 1")],
        },
    ),
    "history": (
        (RUN,),
        {
            0: [
                ([3.0, 2.0], "which has no steps"),
                (None, "nothing"),
                (History([1]), "one to one"),
                (History([1], [[1.0, 2.0]]), r"history.train should be of shape \(n,\)"),
            ]
        },
    ),
    "matrix": (
        (SHARES,),
        {
            0: [
                (DEEP, "two dimensions"),
                (SHARES * np.nan, "finite"),
                ([[1], [1, 2]], "one array"),
                (np.zeros((0, 2)), "two dimensions"),
            ]
        },
    ),
    "masks": (([SHARES],), {0: [([], "got none"), ([DEEP], "mask 0 should")]}),
    "images": (
        (IMAGES,),
        {
            0: [
                (IMAGES[0], r"\(1, 8, 8\)"),
                (IMAGES * np.nan, "finite"),
                (2 + IMAGES, "Clip them"),
                (IMAGES.astype(int), "How many levels"),
                (None, "nothing"),
            ]
        },
    ),
    "image_rows": (({"a": IMAGES},), {0: [(IMAGES, "rows should be"), ({}, "empty"), ({"a": IMAGES[0]}, "row 'a'")]}),
    "receptive_field": (
        (np.zeros((5, 5)), (2, 2)),
        {
            0: [(DEEP, "two dimensions"), ({}, "empty")],
            1: [((5, 0), "outside"), ((1, 2, 3), "centre should"), (2, "centre")],
        },
    ),
    "signals": (
        ({"data": np.zeros((2, 9))},),
        {
            0: [
                (X, "panels should be a dictionary"),
                ({"a": DEEP}, r"of shape \(n, T\), got"),
                ({"a": np.zeros((2, 5)), "b": np.zeros((3, 5))}, "equally many signals, got 2, 3"),
                ({}, "empty"),
            ],
        },
    ),
    "reach": (
        ([0, 2, 8], [0.9, 0.3, 0.0], {"WaveNet": (8, 0.02)}),
        {
            0: [([0.5, 1, 2], "integer levels, got fractions")],
            1: [([0.1], r"best should be of shape \(3,\), got \(1,\)")],
            2: [({}, "empty"), ({"a": (1, 2, 3)}, r"a should be of shape \(2,\), got \(3,\)")],
        },
    ),
    "vector_fields": (
        ({"exact": inwards}, [0.5], normal),
        {
            0: [
                ({}, "empty"),
                (P, "dictionary"),
                ({"a": P}, "a should be a function of points and times"),
                ({"a": normal}, r"2 numbers for each point"),
            ],
            1: [(DEEP, "times should be")],
            2: [(P, "log_prob should be a function of points and times")],
        },
    ),
    "above_floor": (
        (LINE, {"a": LINE + 6}, LINE + 6),
        {
            0: [(DEEP, "times should be")],
            1: [({}, "empty"), ({"a": P}, "one to one")],
            2: [(DEEP, "floor should be")],
        },
    ),
    "trajectories": (
        (np.zeros((3, 4, 2)), MOONS),
        {
            0: [(X, "paths should be of shape")],
            1: [(BUMPS, "2 dimensions"), (X, "toy distribution")],
        },
    ),
    "against_steps": (({"Euler": {10: 0.1, 20: 0.05}},), {0: [({}, "empty"), ({"a": P}, "dictionary")]}),
    "cloud": ((X, MOONS), {0: [(DEEP, "x should be of shape"), (LOST, "finite")], 1: [(BUMPS, "2 dimensions")]}),
    "slider": (
        (lambda k: plots.matrix(SHARES * k), [1, 2]),
        {
            0: [(P, "a function of a value")],
            1: [([], "0 values")],
        },
    ),
}
WRONG = [
    (name, k, value, words)
    for name, (_, wrong) in RIGHT.items()
    for k, cases in wrong.items()
    for value, words in cases
]


def test_every_public_function_is_here():
    functions = {name for name in plots.__all__ if inspect.isfunction(getattr(plots, name))}
    assert functions == set(RIGHT)


@pytest.mark.parametrize("name", sorted(RIGHT.keys() - {"pmf_2d"}))
def test_the_call_that_is_right_is_drawn(name):
    args, _ = RIGHT[name]
    assert getattr(plots, name)(*args)._repr_png_()[0].startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "k", "value", "words"), WRONG, ids=[f"{n}-{k}-{w[:25]}" for n, k, _, w in WRONG])
def test_what_cannot_be_drawn_is_said_in_a_sentence(name, k, value, words):
    args = list(RIGHT[name][0])
    args[k] = value
    with pytest.raises(plots.CannotDraw, match=words) as raised:
        getattr(plots, name)(*args)
    assert isinstance(raised.value, KitError)
    assert isinstance(raised.value, ValueError)
    said = str(raised.value)
    assert said.startswith(f"plots.{name}: ")
    assert len(said) < 300
    assert raised.value._render_traceback_() == [f"CannotDraw: {said}"]


def test_panels_of_pmf_2d():
    for panels, words in (({}, "empty"), ({"p": P}, "p is neither"), ({"p": np.full((2, 2), np.nan)}, "finite")):
        with pytest.raises(plots.CannotDraw, match=words):
            plots.pmf_2d(**panels)


@pytest.mark.parametrize("kind", ["grad", "bfloat16", "list of tensors", "device"])
def test_tensors_of_every_kind_are_drawn(kind):
    x = torch.tensor(X, requires_grad=True) * 1.0
    if kind == "bfloat16":
        x = x.bfloat16()
    elif kind == "list of tensors":
        x = list(x)
    elif kind == "device":
        x = OnDevice(x)
    points = plots.scatter_2d(x).axes[0].collections[0].get_offsets()
    assert np.array(points) == pytest.approx(X, abs=0.05)


class OnDevice:
    """As a tensor on a GPU: NumPy cannot have it before it was copied."""

    def __init__(self, x):
        self._x = x

    def detach(self):
        return self

    def cpu(self):
        return self._x.detach()

    def __array__(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def test_what_a_model_raises_itself_is_the_students_to_read():
    def unfinished(points):
        raise NotImplementedError("Exercise 2.3 is not implemented yet")

    with pytest.raises(NotImplementedError, match=r"Exercise 2\.3"):
        plots.density_2d(MOONS, unfinished)


def test_a_model_is_asked_where_it_is():
    class Model(torch.nn.Linear):
        def log_prob(self, x):
            assert x.device == self.weight.device
            return torch.zeros(len(x), device="cpu")

    plots.density_2d(MOONS, Model(2, 1, device="cpu").log_prob)
    elsewhere = Model(2, 1, device="meta")
    with pytest.raises(plots.CannotDraw, match="flow should"):
        plots.latent_space(elsewhere.log_prob, X)  # it passed the assertion above
