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

    def latents(self, x):
        return self.forward(x)[0]

    def jacobian(self, x):
        x1, x2 = np.asarray(x, dtype=np.float64).T
        slope = self.a * np.cos(x1)
        bend = self.b * np.cos(x2 + self.a * np.sin(x1))
        e = np.exp(self.c)
        jac = np.array([[e * (1 + bend * slope), e * bend], [slope, np.ones_like(x1)]])  # (2, 2, B)
        return jac.transpose(2, 0, 1).astype(np.float32).astype(np.float64)

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
    assert passed(flows.inverts(wave.latents, wave.inverse, points(seed=seed), start))


@pytest.mark.parametrize("start", ["x", "z"])
@pytest.mark.parametrize(
    "wrong",
    [lambda x: x * 1.01, lambda x: np.add(x, 0.005), lambda x: x[::-1], lambda x: x * np.nan, lambda x: x * 0],
    ids=["stretched", "shifted", "reversed", "nan", "zero"],
)
def test_what_is_nearly_an_inverse_is_not(wrong, start):
    wave = Wave()
    assert not passed(flows.inverts(wave.latents, lambda z: wrong(wave.inverse(z)), points(), start))


# ---- the Jacobian --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_log_det_in_float32_is_accepted(seed, size):
    wave, x = Wave(seed, size), points(seed=seed)
    assert passed(flows.log_det_is_of_jacobian(wave.forward(x)[1], wave.jacobian(x)))


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
    finding = flows.log_det_is_of_jacobian(wrong, wave.jacobian(x))
    assert not passed(finding)
    assert slip in finding.slip


@pytest.mark.parametrize("off", [0.005, -0.02, np.nan, np.inf])
def test_a_log_det_that_is_off_is_failed_though_nobody_knows_why(off):
    wave, x = Wave(), points()
    log_det = wave.forward(x)[1].copy()
    log_det[7] += off  # one point of many
    finding = flows.log_det_is_of_jacobian(log_det, wave.jacobian(x))
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
    assert not passed(flows.is_dense(jacobians([[1, 1], [1, 1]]) * np.nan))
    flat = jacobians([[1, 1], [1, 1]]) * np.array([1.0, 1e-9])[:, None]  # a row is judged by its own size
    assert passed(flows.is_dense(flat))


def test_the_condition_is_how_errors_grow():
    assert flows.condition(np.tile(np.eye(2), (3, 1, 1))) == pytest.approx(1)
    assert flows.condition(np.array([np.diag([1.0, 1e-3]), np.eye(2)])) == pytest.approx(1e3)
    assert flows.condition(np.zeros((1, 2, 2))) == flows.condition(np.full((1, 2, 2), np.nan)) == np.inf


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

LINE = flows.line()
MU, SIGMA, PI = np.array([-3.0, 0.5, 4.0]), np.array([0.2, 1.5, 0.5]), np.array([0.2, 0.5, 0.3])
float32 = np.float32


def mixture(x, pi=PI, sigma=SIGMA, mu=MU, dtype=np.float64):
    """z and log dz/dx of a mixture; sigma: the widths of the slopes alone."""
    z = (pi * ndtr((x - mu) / SIGMA)).sum(axis=1, keepdims=True).astype(dtype)
    with np.errstate(divide="ignore"):
        return z, np.log((PI * norm.pdf(x, mu, sigma)).sum(axis=1)).astype(dtype)


def part_of_the_line():
    """The part of the line where z changes."""
    return flows.line_of(lambda t: mixture(t)[0])


def test_the_line_has_numbers_of_float32_and_its_reach_is_the_models():
    assert (LINE.astype(float32) == LINE).all()
    assert (np.diff(LINE[:, 0]) > 0).all()
    assert LINE[-1] == -LINE[0] == flows.FAR
    assert 8 < flows.line_of(lambda x: mixture(x)[0]).max() < 60
    assert 8e3 < flows.line_of(lambda x: mixture(x / 1000)[0]).max() < 60e3


@pytest.mark.parametrize("dtype", [np.float64, float32])
def test_a_cdf_and_its_slope(dtype):
    assert passed(flows.is_a_cdf(lambda x: mixture(x, dtype=dtype)[0], LINE))
    assert passed(flows.log_det_is_the_slope(lambda x: mixture(x, dtype=dtype), part_of_the_line()))
    assert passed(flows.integrates_to_one_on_the_line(lambda x: mixture(x, dtype=dtype)[1], part_of_the_line()))


@pytest.mark.parametrize("seed", range(10))
def test_components_of_any_width_and_place_are_found(seed):
    """μ, log σ ~ N(0, 1) and far beyond: no constant says where the mass is."""
    rng = np.random.default_rng(seed)
    mu, sigma = rng.normal(size=3) * 10 ** rng.uniform(0, 3), np.exp(rng.normal(size=3) * 2)

    def flow(x):
        t = (x - mu) / sigma
        with np.errstate(divide="ignore"):
            return ndtr(t).mean(axis=1, keepdims=True), np.log((norm.pdf(t) / sigma).mean(axis=1))

    grid = flows.line_of(lambda x: flow(x)[0])
    assert passed(flows.is_a_cdf(lambda x: flow(x)[0], LINE))
    assert passed(flows.log_det_is_the_slope(flow, grid))
    assert passed(flows.integrates_to_one_on_the_line(lambda x: flow(x)[1], grid))
    assert not passed(flows.log_det_is_the_slope(lambda x: (flow(x)[0], flow(x)[1] + 0.01), grid))
    assert not passed(flows.integrates_to_one_on_the_line(lambda x: flow(x)[1] + 0.01, grid))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda x: mixture(x, pi=PI * 1.01)[0], "runs from 0 to 1.01"),
        (lambda x: 1 - mixture(x)[0], "falls near x"),
        (lambda x: mixture(x)[0] + 0.02 * np.sin(9 * x), "falls near x"),
        (lambda x: mixture(x)[0] * np.nan, "nan"),
        (lambda x: 0 * x + 0.5, "runs from 0.5 to 0.5"),
    ],
)
def test_no_cdf(wrong, said):
    finding = flows.is_a_cdf(wrong, LINE)
    assert not passed(finding)
    assert said in finding.measured


def test_a_clamp_is_said():
    finding = flows.is_a_cdf(lambda x: mixture(np.clip(x, -3, 3))[0], LINE)
    assert not passed(finding)
    assert "Is x clamped?" in finding.slip


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
    assert not passed(flows.log_det_is_the_slope(lambda x: wrong(*mixture(x)), part_of_the_line()))


def test_missing_weights_are_said_by_the_whole_number():
    with np.errstate(divide="ignore"):
        unweighted = lambda x: np.log(norm.pdf(x, MU, SIGMA).sum(axis=1))  # noqa: E731
        slope = flows.log_det_is_the_slope(lambda x: (mixture(x)[0], unweighted(x)), part_of_the_line())
        density = flows.integrates_to_one_on_the_line(unweighted, part_of_the_line())
    assert "integrates to 3" in slope.slip
    assert "integrates to 3" in density.slip
    assert "log π is missing" in density.slip


@pytest.mark.parametrize("factor", [0.995, 1.005, 0.0, 1e3, np.inf, np.nan])
def test_what_does_not_integrate_to_one_on_the_line(factor):
    with np.errstate(divide="ignore"):
        log_factor = np.log(factor)
    assert not passed(flows.integrates_to_one_on_the_line(lambda x: mixture(x)[1] + log_factor, part_of_the_line()))


# ---- the plane -----------------------------------------------------------------------------------------

BOX = ((-6.0, 6.0), (-6.0, 6.0))


@pytest.mark.parametrize("name", ["smiley", "moons", "pinwheel", "rotated_gaussian"])
def test_densities_integrate_to_one_in_one_shuffled_query(name):
    data, asked = toy.get(name), []
    x = data.sample(500, seed=1)
    found = flows.plane(lambda p: asked.append(p) or data.log_prob(p), BOX, 300, seed=2, extra=x)
    assert passed(found.integrates_to_one())
    assert passed(found.holds_no_more_than_one())
    assert found.extra == pytest.approx(data.log_prob(x), abs=1e-4)
    assert len(asked) == 1
    assert asked[0].shape == (300 * 300 + 500, 2)
    assert asked[0].dtype == np.float32
    places = np.flatnonzero((asked[0][:, None] == x[:20]).all(axis=2).any(axis=1))
    assert places.max() - places.min() > 10_000  # the held-out points stand anywhere among the others


def test_a_density_may_have_mass_outside_the_box_and_none_too_much():
    for wide in (0.0, -1.0):
        assert passed(
            flows.plane(lambda p, c=wide: toy.get("moons").log_prob(p) + c, BOX, 300).holds_no_more_than_one()
        )
    for more in (0.03, 1.0, 1e3, np.nan):
        found = flows.plane(lambda p, c=more: toy.get("moons").log_prob(p) + c, BOX, 300).holds_no_more_than_one()
        assert not passed(found)
    line = flows.plane(lambda p: toy.get("skewed").log_prob(p), ((-12.0, 12.0),), 4800)
    assert line.log_p.shape == (4800,)
    assert line.mass == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_size_and_place_of_a_density_need_not_be_known(seed):
    wave, rng = Wave(seed), np.random.default_rng(seed)
    stretch = 10 ** rng.uniform(-1.5, 1.5, 2)
    log_prob = lambda x: wave.log_prob(np.asarray(x) / stretch) - np.log(stretch).sum()  # noqa: E731
    box = flows.box_of(lambda x: wave.latents(x / stretch), -5.5, 5.5)
    found, known = flows.integral_is_one(log_prob, box, seed)
    assert known
    assert passed(found)
    found, known = flows.integral_is_one(lambda x: log_prob(x) + 0.03, box, seed)
    assert known
    assert not passed(found)


def test_a_density_too_fine_for_any_grid_is_not_known():
    def fine(x):  # right, and too fine for any grid: a needle 0.003 wide, across the box
        return norm.logpdf(x, [0, 0], [0.003, 20]).sum(axis=1)

    assert not flows.integral_is_one(fine, ((-50.0, 50.0), (-50.0, 50.0)))[1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: 0 * p[:, 0],
        lambda p: p[:, 0] * np.nan,
        lambda p: 0 * p[:, 0] + 1e4,
        lambda p: np.full(len(p), -np.inf),
    ],
)
def test_no_density_of_the_plane(wrong):
    assert not passed(flows.integral_is_one(wrong, BOX)[0])
    assert not passed(flows.plane(wrong, BOX, 50).integrates_to_one())


def test_excess_nats():
    data, other = toy.get("moons"), toy.get("smiley")
    x = data.sample(4000, seed=0)
    assert flows.excess_nats(data.log_prob(x), data.log_prob(x).astype(np.float32)) == pytest.approx(0, abs=1e-6)
    assert flows.excess_nats(data.log_prob(x), other.log_prob(x)) > 1
    nearly = flows.excess_nats(data.log_prob(x), data.log_prob(x * np.float32(1.01)))
    assert 0 < nearly < 0.05


# ---- the density that a flow gives -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_density_of_a_flow_needs_no_integral(seed, size):
    wave, x = Wave(seed, size), points(seed=seed)
    found = flows.density_is_that_of_the_flow(wave.log_prob(x), wave.latents(x), wave.jacobian(x), flows.NORMAL)
    assert passed(found)


DENSITY_SLIPS = {
    "lost its constant": lambda b, d: b + d + np.log(2 * np.pi),
    "averaged over the dimensions": lambda b, d: b / 2 + d,
    "log_det is left out": lambda b, d: b,
    "log_det is subtracted": lambda b, d: b - d,
    "add log_det once": lambda b, d: b + 2 * d,
    "base density is left out": lambda b, d: d,
    "in bits": lambda b, d: (b + d) / np.log(2),
    "wrong sign": lambda b, d: -(b + d),
    "density itself": lambda b, d: np.exp(b + d),
}


@pytest.mark.parametrize("slip", DENSITY_SLIPS)
def test_a_wrong_density_is_failed_and_said(slip):
    wave, x = Wave(3), points()
    z = wave.latents(x)
    wrong = DENSITY_SLIPS[slip](norm.logpdf(z.astype(np.float64)).sum(axis=1), np.full(len(x), wave.c))
    found = flows.density_is_that_of_the_flow(wrong, z, wave.jacobian(x), flows.NORMAL)
    assert not passed(found)
    assert slip in found.slip


@pytest.mark.parametrize("off", [0.01, -0.02, np.nan, np.inf, -np.inf])
def test_a_density_that_is_off_at_one_point_is_failed(off):
    wave, x = Wave(), points()
    log_p = wave.log_prob(x)
    log_p[7] += off
    assert not passed(flows.density_is_that_of_the_flow(log_p, wave.latents(x), wave.jacobian(x), flows.NORMAL))


def test_a_uniform_base():
    x = np.linspace(-4, 6, 50)[:, None]
    z, log_det = mixture(x)
    jac = np.exp(log_det)[:, None, None]
    assert passed(flows.density_is_that_of_the_flow(log_det, z, jac, flows.UNIFORM))
    scored = flows.density_is_that_of_the_flow(log_det + norm.logpdf(z[:, 0]), z, jac, flows.UNIFORM)
    assert "U[0, 1] has log-density 0" in scored.slip
    assert "wrong sign" in flows.density_is_that_of_the_flow(-log_det, z, jac, flows.UNIFORM).slip
    assert not passed(flows.density_is_that_of_the_flow(log_det, z + 5, jac, flows.UNIFORM))


def test_a_flow_onto_less_than_the_base_is_no_density():
    wave = Wave()
    assert passed(flows.covers_the_base(wave.latents, 2, flows.NORMAL))
    bounded = flows.covers_the_base(lambda x: np.tanh(wave.latents(x)), 2, flows.NORMAL)
    assert not passed(bounded)
    assert "Is there a tanh" in bounded.slip
    assert not passed(flows.covers_the_base(lambda x: wave.latents(np.clip(x, -1, 1)) / 3, 2, flows.NORMAL))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_density_falls_far_out(seed):
    for right in (
        Wave(seed).log_prob,
        toy.get("moons").log_prob,
        lambda x: -2 * np.log1p(np.asarray(x) ** 2).sum(axis=1),  # heavy tails
        lambda x: np.full(len(x), -np.inf),
        lambda x: np.full(len(x), np.nan),
    ):
        assert passed(flows.falls_far_out(right, 2, seed))
    for wrong in (
        lambda x: Wave(seed).log_prob(np.clip(x, -6, 6)),
        lambda x: np.maximum(Wave(seed).log_prob(x), -100),
        lambda x: np.log(np.exp(Wave(seed).log_prob(x)) + 1e-8),
    ):
        found = flows.falls_far_out(wrong, 2, seed)
        assert not passed(found)
        assert "infinite mass" in found.slip


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


def test_latents_of_a_loss_without_its_base_are_said():
    z = np.random.default_rng(0).standard_normal((1000, 2))
    assert "only stretches" in flows.latents_are_normal(500 * z).slip
    assert flows.latents_are_normal(5 * z).slip == ""  # trained on other data


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
