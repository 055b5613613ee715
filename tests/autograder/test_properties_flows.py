"""The flow properties both ways: right flows pass whatever they look like, nearly right ones do not."""

import json

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import norm

from autograder.properties import flows
from autograder.properties.finding import Finding
from autograder.score import _plain
from deepul_utils import toy

SEEDS = range(5)


def passed(finding: Finding) -> bool:
    """What is shown must be shown in any case: two phrases, and a plot of finite numbers."""
    assert finding.measured
    assert finding.required
    assert "null" not in json.dumps(_plain(finding.plot), allow_nan=False)
    return finding.passed


class Wave:
    """A flow of the plane that is no coupling: shears along sines, a turn, a stretch; float32 like a student's.

    x ↦ S(R(x)): R adds a·sin(x_1) to x_2, S adds b·sin(x_2) to x_1 and scales by exp(c). Exact by hand.
    """

    def __init__(self, seed: int = 0, size: float = 1.0):
        self.a, self.b, self.c = np.random.default_rng(seed).uniform(0.5, 1.2, 3) * size

    def forward(self, x):
        x1, x2 = np.asarray(x, dtype=np.float64).T
        x2 = x2 + self.a * np.sin(x1)
        x1 = (x1 + self.b * np.sin(x2)) * np.exp(self.c)
        return np.stack([x1, x2], axis=1).astype(np.float32), np.full(len(x), self.c, dtype=np.float32)

    def inverse(self, z):
        x1, x2 = np.asarray(z, dtype=np.float64).T
        x1 = x1 * np.exp(-self.c) - self.b * np.sin(x2)
        return np.stack([x1, x2 - self.a * np.sin(x1)], axis=1).astype(np.float32)

    def rows(self, x, cotangent):
        x1, x2 = np.asarray(x, dtype=np.float64).T
        slope = self.a * np.cos(x1)
        bend = self.b * np.cos(x2 + self.a * np.sin(x1))
        e = np.exp(self.c)
        jac = np.array([[e * (1 + bend * slope), e * bend], [slope, np.ones_like(x1)]])  # (2, 2, B)
        return np.einsum("bi,ijb->bj", cotangent, jac).astype(np.float32)

    def log_prob(self, x):
        z, log_det = self.forward(x)
        return norm.logpdf(z).sum(axis=1) + log_det


def points(n: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=2, size=(n, 2)).astype(np.float32)


# ---- the inverse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["x", "z"])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_inverse_is_accepted_from_both_ends(seed, start):
    wave = Wave(seed)
    assert passed(flows.inverts(wave.forward, wave.inverse, points(seed=seed), start))


@pytest.mark.parametrize("start", ["x", "z"])
@pytest.mark.parametrize(
    "wrong",
    [lambda x: x * 1.01, lambda x: np.add(x, 0.005), lambda x: x[::-1], lambda x: x * np.nan, lambda x: x * 0],
    ids=["stretched", "shifted", "reversed", "nan", "zero"],
)
def test_what_is_nearly_an_inverse_is_not(wrong, start):
    wave = Wave()
    assert not passed(flows.inverts(wave.forward, lambda z: wrong(wave.inverse(z)), points(), start))


# ---- the Jacobian --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_the_jacobian_row_by_row(seed):
    wave, x = Wave(seed), points(50, seed)
    jac = flows.jacobian(wave.rows, x)
    h = 1e-3
    for j in range(2):
        step = h * np.eye(2)[j]
        difference = (wave.forward(x + step)[0].astype(np.float64) - wave.forward(x - step)[0]) / (2 * h)
        assert jac[:, :, j] == pytest.approx(difference, abs=0.02)
    assert np.linalg.slogdet(jac).logabsdet == pytest.approx(np.full(50, wave.c), abs=1e-5)


@pytest.mark.parametrize("size", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_log_det_in_float32_is_accepted(seed, size):
    wave, x = Wave(seed, size), points(seed=seed)
    assert passed(flows.log_det_is_of_jacobian(wave.forward(x)[1], flows.jacobian(wave.rows, x)))


def test_rounding_that_cancels_is_allowed_for_and_no_more():
    """A Jacobian of entries 1000 and determinant 1: float32 cannot know its log_det to a thousandth."""
    exact = np.array([[1000.0, 999.0], [1001.0, 1000.0]])  # det 1
    rounded = exact * (1 + 1e-7 * np.array([[1, -1], [-1, 1]]))
    finding = flows.log_det_is_of_jacobian(np.zeros(1), rounded[None])
    assert abs(np.linalg.slogdet(rounded).logabsdet) > 0.1
    assert finding.passed
    assert not flows.log_det_is_of_jacobian(np.full(1, 20.0), rounded[None]).passed


SLIPS = {
    "wrong sign": lambda d: -d,
    "averaged": lambda d: d / 2,
    "zero everywhere": lambda d: 0 * d,
    "determinant itself": np.exp,
    "twice": lambda d: 2 * d,
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_wrong_log_det_is_failed_and_said(slip):
    wave, x = Wave(3), points()
    wrong = SLIPS[slip](wave.forward(x)[1])
    finding = flows.log_det_is_of_jacobian(wrong, flows.jacobian(wave.rows, x))
    assert not passed(finding)
    assert slip in finding.slip


@pytest.mark.parametrize("off", [0.005, -0.02, np.nan, np.inf])
def test_a_log_det_that_is_off_is_failed_though_nobody_knows_why(off):
    wave, x = Wave(), points()
    log_det = wave.forward(x)[1].copy()
    log_det[7] += off  # one point of many
    finding = flows.log_det_is_of_jacobian(log_det, flows.jacobian(wave.rows, x))
    assert not passed(finding)
    assert finding.slip == ""


def test_a_flow_that_is_none():
    constant = np.zeros((3, 2, 2))
    nearly = np.tile(np.eye(2), (3, 1, 1)) * np.array([1e-20, 1, 1])[:, None, None]
    assert passed(flows.log_det_is_of_jacobian(np.array([-77.0, 0, 0]), nearly))  # one flat point of three
    assert not passed(flows.log_det_is_of_jacobian(np.array([-92.1, 0, 0.1]), nearly))
    assert "singular" in flows.log_det_is_of_jacobian(np.zeros(3), constant).measured
    assert "nan" in flows.log_det_is_of_jacobian(np.zeros(3), constant * np.nan).measured


def jacobians(pattern, diagonal=1.0, n: int = 6) -> np.ndarray:
    """Random Jacobians that are nonzero where the pattern is, with positive diagonals."""
    rng = np.random.default_rng(0)
    jac = rng.normal(size=(n, *np.shape(pattern))) * np.array(pattern, dtype=float)
    d = np.arange(len(pattern))
    jac[:, d, d] = np.abs(jac[:, d, d]) * diagonal
    return jac


@pytest.mark.parametrize("pattern", [[[1, 0], [1, 1]], [[1, 1], [0, 1]], [[1, 1, 1], [0, 1, 0], [0, 1, 1]]])
def test_triangular_in_some_order(pattern):
    assert passed(flows.is_triangular(jacobians(pattern)))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ([[1, 1], [1, 1]], "z_1 depends on x_2, and z_2 on x_1"),
        ([[1, 0], [0, 1]], "does not depend on"),
        ([[1, 0], [1, 0]], "does not depend on"),
        ([[0, 0], [1, 1]], "z_1 does not depend on x_1"),
        ([[1, 1, 0], [0, 1, 1], [1, 0, 1]], "does not depend on"),
    ],
)
def test_not_triangular(pattern, said):
    finding = flows.is_triangular(jacobians(pattern))
    assert not passed(finding)
    assert said in finding.measured


def test_a_falling_diagonal_is_no_cdf():
    assert "falls" in flows.is_triangular(jacobians([[1, 0], [1, 1]], diagonal=-1.0)).measured
    assert not passed(flows.is_triangular(jacobians([[1, 0], [1, 1]]) * np.nan))


def test_dense():
    assert passed(flows.is_dense(jacobians([[1, 1], [1, 1]])))
    finding = flows.is_dense(jacobians([[1, 0], [1, 1]]))
    assert not passed(finding)
    assert finding.measured == "z_1 does not depend on x_2"
    assert not passed(flows.is_dense(np.zeros((3, 2, 2))))


def test_keeps():
    x = points()
    assert passed(flows.keeps(lambda x: x * [1, 2], x, 0))
    assert passed(flows.keeps(lambda x: np.add(x, [0.1, 0]), x, 1))
    assert "nothing changes" in flows.keeps(lambda x: x, x, 0).measured
    for wrong in (lambda x: x * 2, lambda x: np.add(x, [1e-6, 1]), lambda x: x[:, ::-1], lambda x: x * [np.nan, 2]):
        assert not passed(flows.keeps(wrong, x, 0))


def test_bounded_log_det():
    far = np.array([[1e6, -1e6], [10.0, 10.0]])
    assert passed(flows.log_det_is_bounded(lambda x: (x, np.tanh(x[:, 0]) * 3), far))
    for wrong in (lambda x: x[:, 0] * 1e-4, lambda x: np.where(x[:, 0] > 100, np.nan, 0), lambda x: x[:, 0]):
        assert not passed(flows.log_det_is_bounded(lambda x, wrong=wrong: (x, wrong(x)), far))
    assert not passed(flows.log_det_is_bounded(lambda x: (x * np.inf, 0 * x[:, 0]), far))


# ---- one dimension -------------------------------------------------------------------------------------

LINE = np.linspace(-30, 30, 6001, dtype=np.float32)[:, None]
MU, SIGMA, PI = np.array([-3.0, 0.5, 4.0]), np.array([0.2, 1.5, 0.5]), np.array([0.2, 0.5, 0.3])


def mixture(x, pi=PI, sigma=SIGMA):
    z = (pi * ndtr((x - MU) / SIGMA)).sum(axis=1, keepdims=True).astype(np.float32)
    with np.errstate(divide="ignore"):
        return z, np.log((PI * norm.pdf(x, MU, sigma)).sum(axis=1)).astype(np.float32)


def test_a_cdf_and_its_slope():
    assert passed(flows.is_a_cdf(mixture, LINE))
    assert passed(flows.log_det_is_the_slope(mixture, LINE))
    finding, extra = flows.integrates_to_one_on_the_line(lambda x: mixture(x)[1], LINE, 3, extra=LINE[100:103])
    assert passed(finding)
    assert extra == pytest.approx(mixture(LINE[100:103])[1].astype(np.float64))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x: mixture(x, pi=PI * 1.01), "runs from 0 to 1.01"),
        (lambda x: (1 - mixture(x)[0], mixture(x)[1]), "falls near x"),
        (lambda x: (mixture(x)[0] + 0.02 * np.sin(9 * x), mixture(x)[1]), "falls near x"),
        (lambda x: (mixture(x)[0] * np.nan, mixture(x)[1]), "nan"),
        (lambda x: (0 * x + 0.5, mixture(x)[1]), "runs from 0.5 to 0.5"),
    ],
)
def test_no_cdf(wrong, said):
    finding = flows.is_a_cdf(wrong, LINE)
    assert not passed(finding)
    assert said in finding.measured


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z, d: (z, d + 0.01),
        lambda z, d: (z, -d),
        lambda z, d: (z, np.exp(d)),
        lambda z, d: (z, 0 * d),
        lambda z, d: (z, d * np.nan),
        lambda z, d: (z**1.02, d),
    ],
)
def test_not_the_slope(wrong):
    assert not passed(flows.log_det_is_the_slope(lambda x: wrong(*mixture(x)), LINE))


@pytest.mark.parametrize("factor", [0.995, 1.005, 0.0, 1e3, np.inf, np.nan])
def test_what_does_not_integrate_to_one_on_the_line(factor):
    with np.errstate(divide="ignore"):
        log_factor = np.log(factor)
    assert not passed(flows.integrates_to_one_on_the_line(lambda x: mixture(x)[1] + log_factor, LINE)[0])


# ---- the plane -----------------------------------------------------------------------------------------

BOX = ((-6.0, 6.0), (-6.0, 6.0))


@pytest.mark.parametrize("name", ["smiley", "moons", "pinwheel", "rotated_gaussian"])
def test_densities_integrate_to_one_in_one_shuffled_query(name):
    data, asked = toy.get(name), []
    x = data.sample(500, seed=1)
    found = flows.plane(lambda p: asked.append(p) or data.log_prob(p), BOX, 300, seed=2, extra=x)
    assert passed(found.integrates_to_one())
    assert found.extra == pytest.approx(data.log_prob(x), abs=1e-4)
    assert len(asked) == 1
    assert asked[0].shape == (300 * 300 + 500, 2)
    assert asked[0].dtype == np.float32
    places = np.flatnonzero((asked[0][:, None] == x[:20]).all(axis=2).any(axis=1))
    assert places.max() - places.min() > 10_000  # the held-out points stand anywhere among the others


@pytest.mark.parametrize("seed", SEEDS)
def test_the_size_and_place_of_a_density_need_not_be_known(seed):
    rng = np.random.default_rng(seed)
    wide = toy.GaussianMixture([1.0], rng.normal(scale=20, size=(1, 2)), [np.diag(10 ** rng.uniform(-1, 1.5, 2))])
    for density in (wide.log_prob, Wave(seed).log_prob, toy.get("moons").log_prob):
        assert passed(flows.integrate_to_one([density], seed))
        assert not passed(flows.integrate_to_one([lambda x, density=density: density(x) + 0.03], seed))


def test_a_density_too_fine_for_any_grid_says_nothing_and_the_next_stands_in():
    def fine(x):  # right, and too fine for any grid: a needle 0.03 wide, 70 from a round blob
        blob = norm.logpdf(x, [50, 50], 1).sum(axis=1) + np.log(0.5)
        return np.logaddexp(blob, norm.logpdf(x, [0, 0], [0.03, 20]).sum(axis=1) + np.log(0.5))

    right, wrong = Wave().log_prob, lambda x: Wave().log_prob(x) + 0.5
    assert passed(flows.integrate_to_one([fine, right], seed=1, enough=1))
    assert not passed(flows.integrate_to_one([fine, wrong], seed=1, enough=1))
    assert not passed(flows.integrate_to_one([right, wrong, right]))
    assert passed(flows.integrate_to_one([right, right, right, wrong]))


def test_a_base_without_its_constant_is_said():
    finding = flows.integrate_to_one([lambda x: Wave().log_prob(x) + np.log(2 * np.pi)])
    assert not passed(finding)
    assert "lost its constant" in finding.slip


@pytest.mark.parametrize("wrong", [lambda p: 0 * p[:, 0], lambda p: p[:, 0] * np.nan, lambda p: 0 * p[:, 0] + 1e4,
                                   lambda p: np.full(len(p), -np.inf)])  # fmt: skip
def test_no_density_of_the_plane(wrong):
    assert not passed(flows.integrate_to_one([wrong]))
    assert not passed(flows.plane(wrong, BOX, 50).integrates_to_one())


def test_excess_nats():
    data, other = toy.get("moons"), toy.get("smiley")
    x = data.sample(4000, seed=0)
    assert flows.excess_nats(data.log_prob(x), data.log_prob(x).astype(np.float32)) == pytest.approx(0, abs=1e-6)
    assert flows.excess_nats(data.log_prob(x), other.log_prob(x)) > 1
    nearly = flows.excess_nats(data.log_prob(x), data.log_prob(x * np.float32(1.01)))
    assert 0 < nearly < 0.05


# ---- the latent space ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_right_latents_are_hardly_ever_failed(dims):
    """400 right samples of each base, none failed; their p-values are no smaller than p-values are."""
    p_values = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        uniform = flows.latents_are_uniform(rng.random((1000, dims)).astype(np.float32))
        normal = flows.latents_are_normal(rng.standard_normal((1000, dims)).astype(np.float32))
        assert uniform.passed, (seed, uniform)
        assert normal.passed, (seed, normal)
        p_values += [uniform.value, normal.value]
    assert np.mean(np.array(p_values) < 0.05) < 0.08
    assert flows.P_VALUE <= 1e-6


WRONG = {
    "squeezed": lambda u: 0.1 + 0.8 * u,
    "bent": lambda u: u**1.4,
    "along the diagonal": lambda u: np.repeat(u[:, :1], 2, axis=1),
    "across": lambda u: np.stack([u[:, 0], 1 - u[:, 0]], axis=1),
    "shifted copies": lambda u: np.stack([u[:, 0], (u[:, 0] + 0.3) % 1], axis=1),
    "correlated": lambda u: norm.cdf(norm.ppf(u) @ np.linalg.cholesky([[1, 0.3], [0.3, 1]]).T),
    "a hole": lambda u: u[np.abs(u - 0.5).max(axis=1) > 0.2],
    "one of two": lambda u: np.stack([u[:, 0], u[:, 1] ** 2], axis=1),
    "nan": lambda u: np.where(np.arange(len(u))[:, None] == 5, np.nan, u),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_latents_are_failed(wrong, seed):
    u = WRONG[wrong](np.random.default_rng(seed).uniform(1e-6, 1 - 1e-6, (2000, 2)))
    assert not passed(flows.latents_are_uniform(u))
    assert not passed(flows.latents_are_normal(norm.ppf(u)))


@pytest.mark.parametrize("seed", SEEDS)
def test_latents_of_another_base_are_failed(seed):
    rng = np.random.default_rng(seed)
    assert "outside" in flows.latents_are_uniform(rng.standard_normal((500, 2))).measured
    assert not passed(flows.latents_are_normal(rng.random((500, 2))))
    ring = rng.standard_normal((2000, 2))
    ring /= np.linalg.norm(ring, axis=1, keepdims=True)
    assert not passed(flows.latents_are_normal(ring * 1.3))


# ---- samples -------------------------------------------------------------------------------------------


def test_energy_distance_by_hand():
    a, b = np.array([[0.0], [2.0]]), np.array([[1.0], [5.0]])
    assert flows.energy_distance(a, b) == pytest.approx(2 * (1 + 5 + 1 + 3) / 4 - 2 - 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_energy_distance_is_zero_for_the_same_distribution_and_not_for_another(seed):
    data, other = toy.get("moons"), toy.get("smiley")
    x, y, z = data.sample(1500, seed=seed), data.sample(1500, seed=seed + 100), other.sample(1500, seed=seed)
    assert abs(flows.energy_distance(x, y)) < 0.01
    assert flows.energy_distance(x, z) > 0.05
    gaussian = np.random.default_rng(seed).multivariate_normal(x.mean(axis=0), np.cov(x.T), 1500)
    assert passed(flows.samples_are_nearer_than(y, x, gaussian, 0.3))
    assert not passed(flows.samples_are_nearer_than(gaussian[::-1], x, gaussian, 0.3))
    assert not passed(flows.samples_are_nearer_than(y * np.nan, x, gaussian, 0.3))
    assert not passed(flows.samples_are_nearer_than(y / 2, x, gaussian, 0.3))
