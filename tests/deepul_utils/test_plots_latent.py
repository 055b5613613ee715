"""The figures of the latent-variable exercises."""

import numpy as np

from deepul_utils import plots, toy


def bars(figure) -> list[tuple[float, float]]:
    """(left end, width) of every bar."""
    return [(patch.get_x(), patch.get_width()) for patch in figure.axes[0].patches]


def test_the_terms_of_the_bound_follow_each_other():
    figure = plots.elbo_terms({"a": (2.0, 0.5), "b": (-1.0, 3.5)}, {"a": 2.2})
    assert bars(figure) == [(0, 2.0), (2.0, 0.5), (0, -1.0), (-1.0, 3.5)]
    ends = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert ends == [2.5, 2.2, 2.5, 0]  # both sums, the one limit that is known, and the zero
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
