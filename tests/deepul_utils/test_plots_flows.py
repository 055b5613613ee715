"""The figures of the flow exercises show the numbers they were given."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from deepul_utils import plots, toy

LINE, MOONS = toy.get("two_bumps"), toy.get("moons")
X = MOONS.sample(300, seed=0)


def turn(x):
    """A quarter turn and a stretch: (z, log_det)."""
    return torch.stack([2 * x[:, 1], -x[:, 0]], dim=1), torch.full((len(x),), 0.693)


def exact(dist):
    return lambda x: torch.tensor(dist.log_prob(x), requires_grad=True)


EVERY = {
    "pushed_through": lambda: plots.pushed_through(X[:, :1], (X[:, :1] + 5) / 10),
    "density_1d": lambda: plots.density_1d(LINE, exact(LINE), LINE.sample(200)),
    "density_2d": lambda: plots.density_2d(MOONS, exact(MOONS), X),
    "density_2d without samples": lambda: plots.density_2d(MOONS, exact(MOONS)),
    "latent_space": lambda: plots.latent_space(turn, X),
}


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_is_a_figure_that_fits_the_notebook_and_changes_no_settings(draw):
    before = dict(matplotlib.rcParams)
    figure = draw()
    assert isinstance(figure, Figure)
    _, shown = figure._repr_png_()
    assert 1.5 * 110 < shown["width"] <= 9 * 110
    assert shown["height"] < 7 * 110
    assert dict(matplotlib.rcParams) == before


def areas(ax) -> float:
    return sum(p.get_width() * p.get_height() for p in ax.patches if p.get_width() and p.get_facecolor()[2] > 0.5)


def test_a_bar_goes_through_the_curve_with_all_of_its_mass():
    x = np.sort(LINE.sample(5000, seed=0), axis=0)
    z = LINE.bin_mass([np.append(-np.inf, x)]).cumsum()
    figure = plots.pushed_through(torch.tensor(x), z, xlabel="here", zlabel="there")
    curve, left, below = figure.axes
    assert np.array_equal(curve.lines[0].get_data(), (x[:, 0], z))
    assert (below.get_xlabel(), left.get_ylabel()) == ("here", "there")
    assert areas(left) == pytest.approx(1, abs=0.02)
    assert areas(below) == pytest.approx(1, abs=0.02)  # all but the ends of the window
    title = curve.get_title("left")
    share, height = float(title.split("%")[0].split()[-1]) / 100, float(title.split()[-1])
    assert share == pytest.approx(height, abs=0.01)  # the same mass on both sides: that is the theorem


def test_density_1d_shows_both_densities():
    ax = plots.density_1d(LINE, lambda x: torch.zeros(len(x)) - 2).axes[0]
    lines = {line.get_label(): line.get_data() for line in ax.lines}
    x, p = lines["true"]
    assert p == pytest.approx(np.exp(LINE.log_prob(np.asarray(x)[:, None])))
    assert lines["model"][1] == pytest.approx(np.full(len(x), np.exp(-2)))


def test_density_2d_has_one_scale_and_the_model_where_it_is():
    """The model here is the data's mirror image: its picture must be the mirror image of the first."""
    mirrored = exact(MOONS)
    figure = plots.density_2d(MOONS, lambda x: mirrored(x * torch.tensor([-1.0, 1.0])), X)
    true, model = (ax.images[0] for ax in figure.axes[:2])
    assert np.array(model.get_array()) == pytest.approx(np.array(true.get_array())[:, ::-1], abs=1e-4)
    assert true.get_clim() == model.get_clim()
    assert tuple(true.get_extent()) == (-4, 4, -4, 4)
    assert [ax.get_title("left") for ax in figure.axes] == ["true moons", "model", "300 samples", ""]
    assert np.array_equal(figure.axes[2].collections[0].get_offsets(), X)


def test_density_2d_of_a_model_that_is_no_density():
    for wrong in (np.inf, 1e4, -np.inf):
        plots.density_2d(MOONS, lambda x, wrong=wrong: torch.full((len(x),), wrong))._repr_png_()
    with pytest.raises(plots.CannotDraw, match="log_prob should give numbers, got nan in 25,600 of 25,600"):
        plots.density_2d(MOONS, lambda x: torch.full((len(x),), np.nan))


def test_latents_keep_their_colours_and_the_grid_is_carried_along():
    figure = plots.latent_space(turn, torch.tensor(X), lines=5)
    data, latents = figure.axes
    before, after = data.collections[0], latents.collections[0]
    assert np.array_equal(before.get_offsets(), X)
    assert np.array(after.get_offsets()) == pytest.approx(np.stack([2 * X[:, 1], -X[:, 0]], axis=1))
    assert np.array_equal(before.get_facecolors(), after.get_facecolors())
    assert len(data.lines) == len(latents.lines) == 10
    for straight, bent in zip(data.lines, latents.lines, strict=True):
        x, y = straight.get_data()
        assert np.ptp(x) == 0 or np.ptp(y) == 0
        assert np.stack(bent.get_data()) == pytest.approx(np.stack([2 * y, -x]), abs=1e-5)


def test_latents_in_the_unit_square_are_shown_in_it():
    assert plots.latent_space(torch.sigmoid, X).axes[1].get_xlim() == pytest.approx((-0.03, 1.03))
    x = MOONS.sample(2000, seed=0)
    far = plots.latent_space(lambda points: points + 100 * (points[:, :1] >= x[:, 0].max()), x).axes[1]
    assert far.get_xlim()[1] < 20  # a few that are far out do not decide the window
