"""What is known of mixtures with noise, and the figures that show it."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from autograder.properties import diffusion as known
from deepul_utils import diffusion, plots, toy
from deepul_utils.diffusion import NoisyMixture
from deepul_utils.errors import CannotDraw, KitError

MOONS, BUMPS = toy.get("moons"), toy.get("two_bumps")


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def places(n: int, dims: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points and a noise level for each."""
    x = np.random.default_rng(0).normal(size=(n, dims)) * 2
    return torch.as_tensor(x), torch.linspace(0.05, 1, n), torch.linspace(1, 0.05, n)


@pytest.mark.parametrize("dist", [MOONS, BUMPS, toy.get("pinwheel")], ids=lambda d: d.name)
def test_the_score_is_the_gradient_of_the_density_and_the_rest_follows_from_it(dist, double):
    exact, (x, alpha, sigma) = NoisyMixture.of(dist), places(40, dist.dims)
    x.requires_grad_()
    (score,) = torch.autograd.grad(exact.log_prob(x, alpha, sigma).sum(), x)
    assert torch.allclose(exact.score(x, alpha, sigma), score)
    assert torch.allclose(exact.noise(x, alpha, sigma), -sigma[:, None] * score)
    tweedie = (x + sigma[:, None] ** 2 * score) / alpha[:, None]
    assert torch.allclose(exact.denoised(x, alpha, sigma), tweedie)


def test_without_noise_it_is_the_distribution_itself(double):
    x = torch.as_tensor(MOONS.sample(50)).double()
    assert np.allclose(NoisyMixture.of(MOONS).log_prob(x, 1.0, 0.0).numpy(), MOONS.log_prob(x))


def test_the_grader_knows_the_same(double):
    data, (x, alpha, sigma) = known.mixture(2, 3), places(40, 2)
    exact = NoisyMixture(*data.arguments)
    for name in ("log_prob", "noise", "denoised"):
        ours = getattr(data, name)(x.numpy(), alpha.numpy(), sigma.numpy())
        assert np.allclose(getattr(exact, name)(x, alpha, sigma).numpy(), ours)


def test_a_noise_level_is_a_number_or_one_for_each_example():
    exact, x = NoisyMixture.of(MOONS), torch.randn(5, 2)
    for level in (0.6, torch.tensor(0.6), torch.full((5,), 0.6), torch.full((5, 1), 0.6)):
        assert torch.allclose(exact.noise(x, 0.8, level), exact.noise(x, 0.8, 0.6))


def test_what_is_no_mixture_of_gaussians_is_said():
    with pytest.raises(KitError, match="checkerboard is no mixture"):
        NoisyMixture.of(toy.get("checkerboard"))
    with pytest.raises(KitError, match=r"\(K,\), \(K, D\), \(K, D, D\), got \(2,\), \(2, 2\), \(1, 2, 2\)"):
        NoisyMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [np.eye(2)])


def levels(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return 1 - t, t


def test_squared_errors_are_those_of_the_floor_and_of_what_is_above_it():
    exact, times = NoisyMixture.of(MOONS), (0.2, 0.5, 0.8)
    yours, floor = diffusion.squared_errors(
        lambda x, t: exact.noise(x, *levels(t)) + 0.3, MOONS, times, levels, n=20_000
    )
    right = [known.floor(known.Mixture(MOONS.weights, MOONS.means, MOONS.covariances), 1 - t, t) for t in times]
    assert floor == pytest.approx(right, rel=0.03)
    assert yours - floor == pytest.approx(2 * 0.3**2, abs=0.03)


def test_squared_errors_of_a_chain_are_asked_for_by_whole_numbers():
    asked = []

    def guess(x, t):
        asked.append(t.dtype)
        return x

    diffusion.squared_errors(guess, MOONS, np.arange(1, 3), lambda t: (0.8, 0.6), n=10)
    assert asked == [torch.int64, torch.int64]


# ---- figures -------------------------------------------------------------------------------------------

EXACT = NoisyMixture.of(MOONS)
FIELDS = {"exact": lambda x, t: EXACT.score(x, *levels(t)), "learned": lambda x, t: EXACT.score(1.1 * x, *levels(t))}
PATHS = np.cumsum(np.random.default_rng(0).normal(size=(6, 10, 2)), axis=0)
EVERY = {
    "vector_fields": lambda: plots.vector_fields(FIELDS, (0.1, 0.5), lambda x, t: EXACT.log_prob(x, *levels(t))),
    "above_floor": lambda: plots.above_floor([0.1, 0.5, 0.9], {"yours": [0.3, 0.4, 0.6]}, [0.2, 0.3, 0.5]),
    "trajectories": lambda: plots.trajectories(PATHS, MOONS),
    "against_steps": lambda: plots.against_steps({"Euler": {4: 0.1, 8: 0.05}}, noise=0.001),
    "cloud": lambda: plots.cloud(PATHS[0], MOONS, "t = 3", before=PATHS[1]),
}


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_is_a_figure_that_fits_the_notebook(draw):
    figure = draw()
    assert isinstance(figure, Figure)
    _, shown = figure._repr_png_()
    assert 1.5 * 110 < shown["width"] <= 9 * 110
    assert shown["height"] < 7 * 110


def test_arrows_point_where_the_field_does():
    figure = plots.vector_fields(
        {"right": lambda x, t: torch.ones_like(x) * torch.tensor([2.0, 0.0])}, [0.5], lambda x, t: 0 * x[:, 0]
    )
    for arrows in (c for c in figure.axes[0].collections if hasattr(c, "U")):
        assert (arrows.U > 0).all()
        assert (arrows.V == 0).all()


def test_what_is_above_the_floor_is_drawn_on_its_own():
    figure = EVERY["above_floor"]()
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx([0.1, 0.1, 0.1])


def test_paths_begin_in_noise_and_end_in_samples():
    ax = EVERY["trajectories"]().axes[0]
    begin, end = (c.get_offsets() for c in ax.collections[-2:])
    assert np.array_equal(begin, PATHS[0])
    assert np.array_equal(end, PATHS[-1])


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: plots.vector_fields({}, [0.5], print), "plots.vector_fields: fields should be a dictionary"),
        (lambda: plots.vector_fields({"none": 3}, [0.5], lambda x, t: x[:, 0]), "none should be a function of points"),
        (lambda: plots.above_floor([1, 2], {"a": [1, 2, 3]}, [1, 2]), "belong together"),
        (lambda: plots.trajectories(PATHS[0], MOONS), "paths should be of shape"),
        (lambda: plots.against_steps({"a": {}}), "a should be a dictionary"),
    ],
)
def test_what_cannot_be_drawn_is_said(draw, said):
    with pytest.raises(CannotDraw, match=said):
        draw()
