"""The figures of the games."""

import numpy as np
import pytest

from deepul_utils import plots, toy
from deepul_utils.training import History

RNG = np.random.default_rng(0)


def test_curves_have_their_names_and_an_axis():
    figure = plots.curves(range(5), {"one": np.arange(5), "two": -np.arange(5)}, xlabel="logit", title="slopes")
    ax = figure.axes[0]
    assert [line.get_label() for line in ax.lines[1:]] == ["one", "two"]
    assert ax.lines[0].get_ydata()[0] == 0
    assert ax.get_xlabel() == "logit"


def test_losses_of_both_players_with_their_fixed_point():
    history = History(list(range(1, 101)), list(np.linspace(9, 1, 100)), generator=list(np.linspace(0, 1, 100)))
    figure = plots.game_history(history, fixed_point={"D": 1.386, "G": 0.693})
    labels = [ax.get_legend().get_texts()[-1].get_text() for ax in figure.axes]
    assert labels == ["fixed point 1.386", "fixed point 0.693"]
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["discriminator", "generator"]
    means = figure.axes[0].lines[1]
    assert len(means.get_xdata()) == 20
    assert means.get_ydata()[0] == pytest.approx(np.mean(history.train[:5]))
    assert figure.axes[1].lines[1].get_ydata()[0] == pytest.approx(np.mean(history.generator[:5]))


def test_a_strip_of_frames_in_one_dimension():
    bumps, x = toy.get("three_bumps"), np.linspace(-5, 5, 50)
    frames = {"round": np.array([0, 10, 40]), "samples": RNG.normal(size=(3, 300)), "logits": np.zeros((3, 50))}
    figure = plots.game_1d(bumps, frames, x)
    titled = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert titled == ["round 0", "round 10", "round 40"]
    beside = [ax for ax in figure.axes if ax.get_ylim()[1] == pytest.approx(1.03)]
    assert len(beside) == 3
    assert all((ax.lines[0].get_ydata() == 0.5).all() for ax in beside)


def test_a_strip_of_frames_in_the_plane():
    frames = {
        "round": [0, 10, 40, 90, 160],
        "samples": RNG.normal(size=(5, 30, 2)),
        "logits": RNG.normal(size=(5, 21, 21)),
    }
    figure = plots.game_2d(toy.get("eight_gaussians"), frames)
    *strip, scale = figure.axes
    assert [ax.get_title(loc="left") for ax in strip] == [f"round {r}" for r in frames["round"]]
    assert scale.get_ylim() == (0, 1)
    for ax in strip:
        _, outline, points = ax.collections
        assert len(points.get_offsets()) == 30
        rings = outline.get_paths()[0].to_polygons(closed_only=False)
        middles = np.array([ring.mean(axis=0) for ring in rings])
        means = toy.get("eight_gaussians").means
        assert len(middles) == 8
        assert np.linalg.norm(middles[:, None] - means, axis=-1).min(axis=0).max() < 0.1


def test_samples_over_their_densities():
    figure = plots.samples_2d(
        {"one": (toy.get("moons"), RNG.normal(size=(20, 2))), "two": (toy.get("smiley"), np.zeros((5, 2)))}
    )
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["one", "two"]
    assert figure.axes[0].get_xlim() == toy.get("moons").support[0]


def test_a_training_without_a_film_says_so():
    with pytest.raises(ValueError, match="no pictures of this training"):
        plots.game_1d(toy.get("three_bumps"), {}, np.zeros(3))
    with pytest.raises(ValueError, match="logits"):
        plots.game_2d(toy.get("moons"), {"round": [0], "samples": np.zeros((1, 3, 2))})
