"""The figures of the latent-variable exercises."""

import numpy as np

from deepul_utils import plots, toy


def bars(figure) -> list[tuple[float, float]]:
    """(left end, width) of every bar."""
    return [(patch.get_x(), patch.get_width()) for patch in figure.axes[0].patches]


def test_the_terms_of_the_bound_follow_each_other():
    figure = plots.elbo_terms({"a": (2.0, 0.5), "b": (-1.0, 3.5)}, {"a": 2.2})
    assert bars(figure) == [(0, 2.0), (0, -1.0), (2.0, 0.5), (-1.0, 3.5)]
    sums, limits = ([path[0, 0] for path in lines.get_segments()] for lines in figure.axes[0].collections)
    assert sums == [2.5, 2.5]
    assert limits == [2.2]  # the one that is known
    assert [t.get_text() for t in figure.axes[0].texts] == ["2.50, 0.30 above the limit", "2.50"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_samples_without_noise_stand_above_those_with_noise():
    data = toy.get("moons")
    means, noisy = np.zeros((5, 2)), np.ones((7, 2))
    figure = plots.decoder_noise({"one": (data, means, noisy), "two": (data, means, noisy)})
    upper, lower = figure.axes[:2], figure.axes[2:]
    assert all(len(ax.collections[0].get_offsets()) == 5 for ax in upper)
    assert all(len(ax.collections[0].get_offsets()) == 7 for ax in lower)
    assert [ax.get_title(loc="left") for ax in upper] == ["one", "two"]
    assert upper[0].get_xlim() == data.support[0]


def test_latents_by_their_cost_and_codes_by_their_label():
    rng = np.random.default_rng(0)
    labels = np.array([0, 1, 2] * 10)
    figure = plots.latents([0.1, 2.0, 1.0], rng.normal(size=(30, 2)), labels, names=("zero", "one", "two"))
    assert [patch.get_height() for patch in figure.axes[0].patches] == [2.0, 1.0, 0.1]
    assert [len(points.get_offsets()) for points in figure.axes[1].collections] == [10, 10, 10]
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == ["zero", "one", "two"]
    colors = {tuple(points.get_facecolor()[0]) for points in figure.axes[1].collections}
    assert len(colors) == 3
    many = plots.latents([1.0], rng.normal(size=(30, 2)), np.arange(30) % 10)
    assert len({tuple(points.get_facecolor()[0]) for points in many.axes[1].collections}) == 10


def test_cells_of_a_codebook():
    cells = np.arange(16).reshape(4, 4) % 3
    figure = plots.code_cells(cells, np.zeros((3, 2)), reach=2.0)
    ax = figure.axes[0]
    assert np.array_equal(ax.images[0].get_array(), cells.T)
    assert ax.images[0].get_extent() == [-2.0, 2.0, -2.0, 2.0]
    assert len(ax.collections[0].get_offsets()) == 3


def test_maps_of_codes_have_a_colour_a_code():
    x, codes = np.zeros((5, 3, 32, 32)), np.arange(5 * 64).reshape(5, 8, 8) % 64
    figure = plots.code_maps(x, codes, x, size=64)
    assert [t.get_text() for t in figure.axes[0].texts] == ["original", "codes", "rebuilt"]
    colors = plots.latent._code_colors(64)(np.arange(64))[:, :3]
    assert len(np.unique(colors.round(3), axis=0)) == 64
