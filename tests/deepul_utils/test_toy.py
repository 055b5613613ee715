"""The toy sets are what the limits rest on: exact densities, exact entropies, separate streams."""

import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, ndtri
from scipy.stats import chisquare, multivariate_normal

from deepul_utils import toy, turn

ROOT = Path(__file__).resolve().parents[2]
MIXTURES = [name for name in toy.names() if name != "checkerboard"]
BINS = {1: 100, 2: 25}
# A wrong sampler or pmf shows p-values below 1e-20 here; the seeds are fixed, so this never flickers.
P_VALUE = 1e-4

every_set = pytest.mark.parametrize("name", toy.names())
every_mixture = pytest.mark.parametrize("name", MIXTURES)


def grid_of(dist) -> toy.DiscreteDistribution:
    return toy.discrete(dist.name, BINS[dist.dims])


# ---- density -------------------------------------------------------------------------------------------


@every_set
def test_density_integrates_to_one(name):
    dist = toy.get(name)
    # Cells end on the checkerboard's lines; the step is half the narrowest width or less.
    step, reach = {1: (1 / 64, 16), 2: (1 / 16, 10)}[dist.dims]
    axis = np.arange(-reach + step / 2, reach, step)
    points = np.stack(np.meshgrid(*[axis] * dist.dims), axis=-1).reshape(-1, dist.dims)
    assert np.exp(dist.log_prob(points)).sum() * step**dist.dims == pytest.approx(1, abs=1e-6)


@every_mixture
def test_log_prob_is_the_mixture_of_scipys_gaussians(name):
    dist = toy.get(name)
    x = np.random.default_rng(0).uniform(-6, 6, (300, dist.dims))
    x[-1] = 1e4
    terms = [
        np.log(pi) + multivariate_normal(mu, sigma).logpdf(x).reshape(-1)
        for pi, mu, sigma in zip(dist.weights, dist.means, dist.covariances, strict=True)
    ]
    assert dist.log_prob(x) == pytest.approx(logsumexp(terms, axis=0), rel=1e-9, abs=1e-9)


@every_mixture
def test_log_prob_far_away(name):
    dist = toy.get(name)
    x = np.full((4, dist.dims), 1e30)
    x[1], x[2], x[3, 0] = np.inf, -1e200, np.nan
    log_p = dist.log_prob(x)
    assert np.isfinite(log_p[0])
    assert np.isneginf(log_p[1:3]).all()
    assert np.isnan(log_p[3])


def test_checkerboard_density():
    board = toy.get("checkerboard")
    inside = [[-4, -4], [-3, -3], [1, 1], [-1, 3], [4, 4]]
    outside = [[-3, -1], [1, -1], [1, 3], [4.001, 3], [100, 100]]
    assert board.log_prob(inside) == pytest.approx(-np.log(32))
    assert np.isneginf(board.log_prob(outside)).all()


@every_set
def test_log_prob_takes_tensors_and_gives_float64(name):
    dist = toy.get(name)
    x = dist.sample(50)
    log_p = dist.log_prob(torch.tensor(x, requires_grad=True))
    assert log_p.dtype == np.float64
    assert log_p.shape == (50,)
    assert np.array_equal(log_p, dist.log_prob(x))


def test_log_prob_needs_little_memory():
    dist = toy.get("rings")
    x = np.zeros((100_000, 2))  # a table of all points and components would take 230 MB
    tracemalloc.start()
    log_p = dist.log_prob(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert (log_p == log_p[0]).all()


# ---- entropy -------------------------------------------------------------------------------------------


def stratified_entropy(dist, rng) -> float:
    """−E[log p] by randomised quasi-Monte Carlo, an unbiased estimate.

    In each component, normals from a Fibonacci lattice with its own random shift, folded by the baker's
    transform. What varies most, z²/2 with its mean of D/2, is taken out (a control variate).
    """
    K, D = dist.means.shape
    points, generator = (10_946, [1]) if D == 1 else (233, [1, 144])
    u = (np.arange(points)[:, None] * generator / points + rng.random((K, 1, D))) % 1
    z = ndtri(np.clip(1 - np.abs(2 * u - 1), 1e-12, 1 - 1e-12))  # (K, points, D)
    x = dist.means[:, None] + np.einsum("kij,kpj->kpi", np.linalg.cholesky(dist.covariances), z)
    loss = -dist.log_prob(x.reshape(-1, D)).reshape(K, points)
    return dist.weights @ ((loss - (z**2).sum(axis=2) / 2).mean(axis=1) + D / 2)


@every_mixture
def test_entropy_against_monte_carlo(name):
    dist, rng = toy.get(name), np.random.default_rng(1)
    estimates = [stratified_entropy(dist, rng) for _ in range(8)]
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert error < 2e-4
    assert abs(np.mean(estimates) - dist.entropy) + 4 * error < 1e-3


def test_entropy_of_the_checkerboard_is_the_log_of_its_area():
    assert toy.get("checkerboard").entropy == pytest.approx(np.log(32))


def test_entropy_of_one_gaussian_agrees_with_quadrature():
    mu, sigma = [[0.3, -0.2]], [[[2.0, 0.6], [0.6, 0.5]]]
    one, halves = toy.GaussianMixture([1.0], mu, sigma), toy.GaussianMixture([0.5, 0.5], mu * 2, sigma * 2)
    assert one.entropy == pytest.approx(halves.entropy, abs=1e-9)


@every_set
def test_entropy_is_the_mean_loss_of_fresh_samples(name):
    dist = toy.get(name)
    loss = -dist.log_prob(dist.sample(20_000, seed=3, split="test"))
    assert abs(loss.mean() - dist.entropy) <= 4 * loss.std() / np.sqrt(len(loss)) + 1e-12


# ---- samples -------------------------------------------------------------------------------------------


def fits(levels: np.ndarray, pmf: np.ndarray) -> float:
    """p-value of a χ² test of levels (n, dims) against a pmf; cells expected below five times merge."""
    n = len(levels)
    counts = np.zeros(pmf.shape)
    np.add.at(counts, tuple(levels.T), 1)
    assert not counts[pmf == 0].any()
    rare = n * pmf < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(n * pmf[~rare], n * pmf[rare].sum())
    keep = expected > 0
    return chisquare(observed[keep], expected[keep] * n / expected.sum()).pvalue


@every_set
def test_samples_follow_the_density(name):
    dist = toy.get(name)
    x = dist.sample(20_000, seed=1).astype(np.float64)
    assert x.shape == (20_000, dist.dims)
    lo, hi = np.array(dist.support).T
    bins = BINS[dist.dims]
    levels = np.clip(np.floor((x - lo) / (hi - lo) * bins), 0, bins - 1).astype(int)
    assert fits(levels, grid_of(dist).pmf) > P_VALUE


@every_set
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_levels_follow_the_pmf(name, split):
    grid = grid_of(toy.get(name))
    levels = grid.sample(20_000, seed=2, split=split)
    assert (levels.dtype, levels.shape) == (np.int64, (20_000, grid.dims))
    assert fits(levels, grid.pmf) > P_VALUE


def test_levels_are_the_quantized_samples():
    x, levels = toy.get("smiley").sample(500, seed=5), toy.discrete("smiley", 25).sample(500, seed=5)
    centers = toy.discrete("smiley", 25).centers(0)
    assert np.abs(centers[levels] - x).max() <= 0.16 + 1e-6  # half a bin


@every_set
def test_streams_are_separate_and_repeatable(name):
    dist = toy.get(name)
    draws = [dist.sample(4000, seed, split) for split in ("train", "validation", "test") for seed in (0, 1, 2**200)]
    rows = np.concatenate(draws)
    # float32 pairs hardly ever meet by chance, single float32 numbers now and then
    allowed = 0 if dist.dims == 2 else len(rows) // 50
    assert len(rows) - len(np.unique(rows, axis=0)) <= allowed
    for a in range(len(draws)):
        assert all(not np.array_equal(draws[a][:5], draws[b][:5]) for b in range(a))
    assert np.array_equal(dist.sample(100, 7, "test"), dist.sample(100, 7, "test"))
    levels = [grid_of(dist).sample(50, seed, split).tobytes() for split in ("train", "test") for seed in (0, 1)]
    assert len(set(levels)) == 4


def test_streams_share_no_random_number():
    heads = [
        tuple(toy.stream(name, seed, split).integers(2**63, size=3))
        for name in toy.names()
        for split in ("train", "validation", "test")
        for seed in (0, 1, 2, 2**32, 2**32 + 1, 2**64, 2**200)
    ]
    assert len(set(heads)) == len(heads)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**300), st.integers(0, 2**300))
def test_any_two_seeds_differ(a, b):
    same = np.array_equal(toy.get("moons").sample(3, a), toy.get("moons").sample(3, b))
    assert same == (a == b)


SMILEY = [[-2.5427415, -0.33072728], [0.70093495, -1.6724826], [2.0876968, -0.8410403]]
EDGES = [86, 78, 83, 76, 99, 56, 31, 99]


@pytest.mark.skipif(turn.number() > 0, reason="data of another turn have other numbers")
def test_data_never_change():
    """Calibrated losses rest on these numbers: whoever changes them calibrates again."""
    x = toy.get("smiley").sample(3, seed=0)
    assert x.dtype == np.float32
    assert x == pytest.approx(np.array(SMILEY), abs=1e-5)
    assert toy.discrete("edges", 100).sample(8, seed=0, split="test")[:, 0].tolist() == EDGES


def test_a_generator_is_the_seed():
    smiley = toy.get("smiley")
    a, b = (smiley.sample(5, np.random.default_rng(3), split) for split in ("train", "test"))
    assert np.array_equal(a, b)
    rng = np.random.default_rng(3)
    assert not np.array_equal(smiley.sample(5, rng), smiley.sample(5, rng))


def test_no_samples():
    assert toy.get("moons").sample(0).shape == (0, 2)
    assert toy.discrete("edges", 10).sample(0).shape == (0, 1)
    assert toy.get("moons").log_prob(np.zeros((0, 2))).shape == (0,)


# ---- on a grid -----------------------------------------------------------------------------------------


def integrated_pmf(dist, bins: int) -> np.ndarray:
    """Cell masses by integrating the density itself; what lies outside the box joins the end cells."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    (lo, hi), reach = dist.support[0], np.abs(dist.means).max() + 8 * np.sqrt(dist.covariances.max())
    width = (hi - lo) / bins
    margin = int(np.ceil(max(0, reach - hi) / width))
    starts = lo + width * np.arange(-margin, bins + margin)
    axis = (starts[:, None] + width * (nodes + 1) / 2).ravel()
    points = np.stack(np.meshgrid(*[axis] * dist.dims, indexing="ij"), axis=-1).reshape(-1, dist.dims)
    mass = np.exp(dist.log_prob(points)).reshape((len(axis),) * dist.dims)
    cell = np.clip(np.arange(len(starts)) - margin, 0, bins - 1)
    gather = np.zeros((bins, len(axis)))
    gather[np.repeat(cell, 12), np.arange(len(axis))] = np.tile(weights * width / 2, len(starts))
    for _ in range(dist.dims):
        mass = np.tensordot(mass, gather, axes=(0, 1))  # each axis in turn moves to the back
    return mass


@every_mixture
def test_pmf_is_the_integral_of_the_density(name):
    dist = toy.get(name)
    pmf = grid_of(dist).pmf
    assert pmf.shape == (BINS[dist.dims],) * dist.dims
    assert np.abs(pmf - integrated_pmf(dist, BINS[dist.dims])).max() < 1e-9


@pytest.mark.parametrize("correlation", [-0.999, -0.9, 0.0, 0.5, 0.99])
@pytest.mark.parametrize("bins", [2, 7, 30])
def test_pmf_of_correlated_gaussians(correlation, bins):
    """Against SciPy's bivariate normal CDF, corner by corner."""
    mu, sigma = np.array([0.4, -1.0]), np.array([[1.0, 0.5 * correlation], [0.5 * correlation, 0.25]])
    pmf = toy.DiscreteDistribution(toy.GaussianMixture([1.0], [mu], [sigma]), bins).pmf
    ends = np.linspace(-4, 4, bins + 1)[1:]
    ends[-1] = 50.0
    corners = np.stack(np.meshgrid(ends, ends, indexing="ij"), axis=-1)
    cdf = multivariate_normal.cdf(corners, mu, sigma, abseps=1e-12, releps=1e-12)
    assert np.abs(np.cumsum(np.cumsum(pmf, axis=0), axis=1) - cdf).max() < 1e-8


def test_pmf_of_the_checkerboard_is_the_area_of_overlap():
    pmf = toy.discrete("checkerboard", 25).pmf
    fine = (np.arange(100) * 8 // 200)[:, None] + (np.arange(100) * 8 // 200)  # 100 cells a side, 25 a square
    areas = ((fine % 2 == 0) / (32 / 0.0064)).reshape(25, 4, 25, 4).sum(axis=(1, 3))
    assert np.abs(pmf - areas).max() < 1e-12


@every_set
def test_pmf_sums_to_one_and_its_entropies_are_right(name):
    grid = grid_of(toy.get(name))
    p = grid.pmf
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert (p >= 0).all()
    assert grid.entropy == pytest.approx(-sum(q * np.log(q) for q in p.ravel() if q), abs=1e-9)
    marginals = [grid.marginal(dim) for dim in range(grid.dims)]
    product = marginals[0] if grid.dims == 1 else np.outer(*marginals)
    seen = p > 0
    assert grid.independent_entropy == pytest.approx(-np.sum(p[seen] * np.log(product[seen])), abs=1e-9)
    assert grid.independent_entropy >= grid.entropy - 1e-12


def test_marginals_follow_their_axis():
    grid = toy.discrete("axis_gaussian", 40)
    mean = [grid.marginal(dim) @ grid.centers(dim) for dim in (0, 1)]
    assert mean == pytest.approx([0.5, -1.0], abs=0.02)
    assert grid.independent_entropy == pytest.approx(grid.entropy, abs=1e-12)
    assert toy.discrete("smiley", 25).independent_entropy > toy.discrete("smiley", 25).entropy + 0.5


@every_set
def test_log_prob_of_levels_is_the_log_of_the_pmf(name):
    grid = grid_of(toy.get(name))
    x = grid.sample(200)
    expected = np.log([grid.pmf[tuple(row)] for row in x])
    assert np.array_equal(grid.log_prob(x), expected)
    assert np.array_equal(grid.log_prob(torch.tensor(x)), expected)
    assert grid.log_prob(x.astype(np.float32)).dtype == np.float64


def test_log_prob_of_an_empty_cell():
    assert np.isneginf(toy.discrete("checkerboard", 16).log_prob([[0, 5]])).all()


def test_cells_far_from_all_mass_keep_a_finite_log_prob():
    for name in MIXTURES:
        assert (grid_of(toy.get(name)).pmf > 0).all()
    p = toy.discrete("axis_gaussian", 25).pmf
    assert p[:, -1] / p[:, 0] == pytest.approx(p[0, -1] / p[0, 0], rel=1e-6)  # the upper tail keeps its digits


def test_edges_has_mass_beyond_both_ends():
    dist, p = toy.get("edges"), toy.discrete("edges", 100).pmf
    x = dist.sample(50_000)[:, 0]
    for end in (p[0], p[-1], np.mean(x < -4.5), np.mean(x > 4.5)):
        assert 0.03 < end < 0.08
    inside = p[1:-1]
    peaks = [i for i in range(5, 93) if inside[i] == inside[i - 5 : i + 6].max() and inside[i] > 0.01]
    assert len(peaks) >= 3
    widths = [np.sum(inside[max(0, i - 20) : i + 21] > inside[i] / 2) for i in peaks]
    assert min(widths) <= 4
    assert sorted(widths)[1] >= 9


def test_shared_arrays_are_read_only():
    for array in (toy.discrete("moons", 25).pmf, toy.get("moons").weights, toy.get("moons").means):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


# ---- names, shapes, errors -----------------------------------------------------------------------------


def test_names():
    assert set(toy.names()) >= {
        "smiley",
        "face",
        "moons",
        "spirals",
        "rings",
        "eight_gaussians",
        "checkerboard",
        "pinwheel",
        "rotated_gaussian",
        "axis_gaussian",
        "two_bumps",
        "three_bumps",
        "skewed",
        "edges",
    }
    assert sorted(toy.names(1) + toy.names(2)) == sorted(toy.names())
    assert "edges" in toy.names(1)
    for name in toy.names():
        dist = toy.get(name)
        assert (dist.name, len(dist.support)) == (name, dist.dims)
        assert isinstance(dist.entropy, float)
        assert isinstance(grid_of(dist).entropy, float)


@pytest.mark.parametrize("ask", [toy.get, lambda name: toy.discrete(name, 10)])
def test_unknown_name(ask):
    with pytest.raises(ValueError, match=r"'smily'.*Did you mean 'smiley'\?.*moons.*edges"):
        ask("smily")
    with pytest.raises(ValueError, match=r"no toy set called '0000'\. Sets"):
        ask("0000")


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros((3, 1)), np.zeros((3, 3)), np.zeros((3, 2, 1)), 1.0])
def test_wrong_shape(x):
    got = re.escape(str(np.shape(x)))
    for dist in (toy.get("smiley"), toy.discrete("smiley", 25)):
        with pytest.raises(ValueError, match=rf"smiley expects points of shape \(n, 2\), got {got}"):
            dist.log_prob(x)


@pytest.mark.parametrize("level", [-1, 25, 0.5, np.nan, 2**40])
def test_levels_off_the_grid(level):
    with pytest.raises(ValueError, match="0 … 24, got"):
        toy.discrete("smiley", 25).log_prob([[3, 3], [3, level]])


def test_wrong_arguments():
    smiley = toy.get("smiley")
    with pytest.raises(ValueError, match=r"'valid'. Splits: train, validation, test"):
        smiley.sample(3, split="valid")
    with pytest.raises(ValueError, match="seed is a non-negative integer, got -1"):
        smiley.sample(3, seed=-1)
    with pytest.raises(TypeError):
        smiley.sample(3, seed=0.5)
    with pytest.raises(ValueError, match="got -3"):
        smiley.sample(-3)
    with pytest.raises(ValueError, match="at least 2 bins"):
        toy.discrete("smiley", 1)
    with pytest.raises(TypeError):
        toy.discrete("smiley", 2.5)


def test_wrong_mixtures():
    with pytest.raises(ValueError, match="Shapes"):
        toy.GaussianMixture([1.0], [[0.0, 0.0]], [[1.0]])
    with pytest.raises(ValueError, match="sum to one"):
        toy.GaussianMixture([0.6, 0.6], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    with pytest.raises(ValueError, match="sum to one"):
        toy.GaussianMixture([0.0, 1.0], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    with pytest.raises(np.linalg.LinAlgError):
        toy.GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]])


# ---- around it -----------------------------------------------------------------------------------------


def test_readme_has_the_table():
    command = [sys.executable, "-m", "deepul_utils.toy"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == toy.table() + "\n"
    assert printed in (ROOT / "data" / "README.md").read_text(encoding="utf-8")


def test_import_is_light():
    """The toy sets alone need NumPy only; deepul_utils itself is stubbed, because it loads torch."""
    code = (
        "import sys, types; p = types.ModuleType('deepul_utils'); p.__path__ = [sys.argv[1]];"
        "sys.modules['deepul_utils'] = p; from deepul_utils import toy; toy.get('smiley').sample(9);"
        "print(*sorted({'scipy', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, ROOT / "deepul_utils"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ""
