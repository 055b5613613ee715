"""Latent-variable properties both ways: they accept what the theorem allows, and reject what is only nearly so."""

import numpy as np
import pytest
from scipy.stats import norm

from autograder.properties import latent
from deepul_utils import information

SEEDS = range(5)


# ---- formulas ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_the_closed_forms_are_those_of_scipy_and_of_monte_carlo(seed):
    (mu, log_sigma), rng = latent.gaussians(20, 3, seed), np.random.default_rng(seed)
    sigma = np.exp(log_sigma.astype(float))
    x = rng.normal(size=mu.shape)
    assert latent.gaussian_nll(x, mu, log_sigma) == pytest.approx(-norm(mu, sigma).logpdf(x).sum(axis=1), rel=1e-9)
    z = mu + sigma * rng.normal(size=(40_000, *mu.shape))
    log_ratio = (norm(mu, sigma).logpdf(z) - norm(0, 1).logpdf(z)).sum(axis=2)
    error = log_ratio.std(axis=0) / 200
    assert (np.abs(log_ratio.mean(axis=0) - latent.gaussian_kl(mu, log_sigma)) < 5 * error + 1e-3).all()


@pytest.mark.parametrize("dims", [1, 2, 5])
@pytest.mark.parametrize("seed", SEEDS)
def test_right_formulas_pass_in_float32(dims, seed):
    assert latent.kl_is_right(lambda *a: latent.gaussian_kl(*a).astype(np.float32), dims, seed).passed
    assert latent.nll_is_right(lambda *a: latent.gaussian_nll(*a).astype(np.float32), dims, seed).passed


KL_SLIPS = {
    "never negative": lambda m, s: -latent.gaussian_kl(m, s),
    "averaged": lambda m, s: latent.gaussian_kl(m, s) / m.shape[1],
    "log σ for σ": lambda m, s: (-np.log(np.abs(s)) + s**2 / 2 + m**2 / 2 - 0.5).sum(1),
    "σ where σ²": lambda m, s: (-s + np.exp(s) / 2 + m**2 / 2 - 0.5).sum(1),
    "log σ as log σ²": lambda m, s: (-0.5 * (1 + s - m**2 - np.exp(s))).sum(1),
    "½ that is taken away": lambda m, s: latent.gaussian_kl(m, s) + m.shape[1] / 2,
    "the other way round": lambda m, s: (s + (1 + m**2) / (2 * np.exp(2 * s)) - 0.5).sum(1),
    "twice the divergence": lambda m, s: 2 * latent.gaussian_kl(m, s),
    "sign of log σ": lambda m, s: (s + np.exp(2 * s) / 2 + m**2 / 2 - 0.5).sum(1),
}


@pytest.mark.parametrize("said", KL_SLIPS)
def test_a_wrong_divergence_is_rejected_and_its_slip_named(said):
    finding = latent.kl_is_right(KL_SLIPS[said], 3, 1)
    assert not finding.passed
    assert said in finding.slip


NLL_SLIPS = {
    "½ log 2π in every": lambda x, m, s: latent.gaussian_nll(x, m, s) - x.shape[1] * 0.5 * np.log(2 * np.pi),
    "one ½ log 2π": lambda x, m, s: latent.gaussian_nll(x, m, s) - (x.shape[1] - 1) * 0.5 * np.log(2 * np.pi),
    "averaged": lambda x, m, s: latent.gaussian_nll(x, m, s) / x.shape[1],
    "sign is wrong": lambda x, m, s: -latent.gaussian_nll(x, m, s),
    "divides by σ": lambda x, m, s: (0.5 * np.log(2 * np.pi) + s + (x - m) ** 2 / (2 * np.exp(s))).sum(1),
    "½ before": lambda x, m, s: (0.5 * np.log(2 * np.pi) + s + (x - m) ** 2 / np.exp(2 * s)).sum(1),
    "log σ is missing": lambda x, m, s: latent.gaussian_nll(x, m, s) - s.sum(1),
    "squared error alone": lambda x, m, s: ((x - m) ** 2).sum(1),
}


@pytest.mark.parametrize("said", NLL_SLIPS)
def test_a_wrong_reconstruction_is_rejected_and_its_slip_named(said):
    finding = latent.nll_is_right(NLL_SLIPS[said], 3, 1)
    assert not finding.passed
    assert said in finding.slip


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.001, 0.999])
def test_one_wrong_value_is_enough(wrong):
    def nearly(mu, log_sigma):
        value = latent.gaussian_kl(mu, log_sigma)
        value[value.argmax()] *= wrong
        return value

    assert not latent.kl_is_right(nearly, 2).passed


# ---- noise ---------------------------------------------------------------------------------------------


def right_draw(mu, log_sigma, seed):
    return mu + np.exp(log_sigma) * np.random.default_rng(seed).normal(size=mu.shape)


def test_right_noise_is_hardly_ever_failed():
    findings = [latent.noise_is_fresh(right_draw, 2 + seed % 3, 7 * seed) for seed in range(200)]
    assert all(f.passed for f in findings)
    assert np.mean([f.value < 0.1 for f in findings]) < 0.2


def scaled(scale):
    return lambda mu, s, seed: mu + scale(s) * np.random.default_rng(seed).normal(size=mu.shape)


NOISE_SLIPS = {
    "there is no noise": lambda mu, s, seed: mu,
    "not multiplied by σ": scaled(lambda s: 1.0),
    "σ², not σ": scaled(lambda s: np.exp(2 * s)),
    "√σ": scaled(lambda s: np.exp(s / 2)),
    "by log σ": scaled(lambda s: s),
    "share one draw of noise: each needs": lambda mu, s, seed: (
        mu + np.exp(s) * np.random.default_rng(seed).normal(size=(1, mu.shape[1]))
    ),
    "All dimensions": lambda mu, s, seed: mu + np.exp(s) * np.random.default_rng(seed).normal(size=(len(mu), 1)),
    "the same noise": lambda mu, s, seed: right_draw(mu, s, 0),
    "uniform": lambda mu, s, seed: mu + np.exp(s) * np.random.default_rng(seed).random(mu.shape),
}


@pytest.mark.parametrize("said", NOISE_SLIPS)
def test_wrong_noise_is_rejected_and_its_slip_named(said):
    finding = latent.noise_is_fresh(NOISE_SLIPS[said], 3, 0)
    assert not finding.passed
    assert said in finding.slip


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_that_depends_on_its_neighbour_is_rejected(seed):
    """Every second example takes the noise of the one before it: each alone is standard normal."""

    def paired(mu, log_sigma, seed):
        return mu + np.exp(log_sigma) * np.random.default_rng(seed).normal(size=mu.shape)[np.arange(len(mu)) // 2]

    assert not latent.noise_is_fresh(paired, 2, seed).passed


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_noise_of_another_width_is_rejected(scale):
    assert not latent.noise_is_fresh(scaled(lambda s: scale * np.exp(s)), 2, 0).passed


@pytest.mark.parametrize("scale", [np.exp, lambda s: np.exp(2 * s), lambda s: s, lambda s: 1 + 0 * s, lambda s: 0 * s])
def test_the_gradient_through_a_sample(scale):
    """It is asked of any draw, right or not, whether its gradient is that of the draw."""
    (mu, log_sigma), epsilon = latent.gaussians(50, 2, 0), np.random.default_rng(3).normal(size=(50, 2))
    tiny = 1e-4

    def draw(mu, log_sigma):
        return mu + scale(log_sigma.astype(float)) * epsilon

    def right(mu, log_sigma, k):
        if k == 0:
            return np.ones_like(mu)
        return (draw(mu, log_sigma.astype(float) + tiny) - draw(mu, log_sigma.astype(float) - tiny)) / (2 * tiny)

    assert latent.passes_the_gradient(draw, right, mu, log_sigma).passed
    wrong = [
        (lambda m, s, k: right(m, s, k) * (k != 0), "no gradient reaches μ"),
        (lambda m, s, k: right(m, s, k) * (1 + (k == 0)), "another gradient reaches μ"),
    ]
    if np.any(right(mu, log_sigma, 1)):
        wrong += [
            (lambda m, s, k: right(m, s, k) * (k != 1), "no gradient reaches log σ"),
            (lambda m, s, k: right(m, s, k) / (1 + (k == 1)), "another gradient reaches log σ"),
        ]
    for gradient, said in wrong:
        finding = latent.passes_the_gradient(draw, gradient, mu, log_sigma)
        assert not finding.passed
        assert said in finding.measured


@pytest.mark.parametrize("seed", SEEDS)
def test_in_double_precision_a_kink_is_no_error(seed):
    """|x| has another slope on the other side of 0: a step of 1e-2 crosses it at points like these, one of 1e-5 not."""
    x = np.random.default_rng(seed + 50).normal(size=(200, 2)) / 50
    x += np.sign(x) * 1e-3

    def slope(x):
        return np.sign(x)

    assert latent.gradient_is_of_the_loss(lambda x: np.abs(x).sum(axis=1), slope, x, seed).passed
    single = latent.gradient_is_of_the_loss(lambda x: np.abs(x).sum(axis=1).astype(np.float32), slope, x, seed)
    assert not single.passed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gradient_that_misses_a_path_is_rejected(seed):
    """f(x) = (x − g(x))² with g(x) = sin 2x: the way through g is like the way through a sample."""
    x = np.random.default_rng(seed).normal(size=(100, 2)).astype(np.float32)

    def value(x):
        return ((x - np.sin(2 * x)) ** 2).sum(axis=1)

    def right(x):
        return 2 * (x - np.sin(2 * x)) * (1 - 2 * np.cos(2 * x))

    def cut(x):
        return 2 * (x - np.sin(2 * x))

    assert latent.gradient_is_of_the_loss(value, right, x, seed).passed
    for wrong in (cut, lambda x: 0 * x, lambda x: 1.1 * right(x), lambda x: np.nan * x):
        assert not latent.gradient_is_of_the_loss(value, wrong, x, seed).passed


# ---- distributions and bounds --------------------------------------------------------------------------


def test_two_samples_of_one_distribution_are_hardly_ever_told_apart():
    rng = np.random.default_rng(0)
    assert all(
        latent.same_distribution(rng.gamma(1.5, size=(1000, 2)), rng.gamma(1.5, size=(1000, 2)), "x").passed
        for _ in range(200)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_two_distributions_are_told_apart(seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(2000, 2))
    turned = a @ np.array([[1, 0.8], [0, 1]])
    turned /= turned.std(axis=0)
    for wrong in (1.6 * a, a + 0.3, turned, np.full_like(a, np.nan), 0 * a):
        assert not latent.same_distribution(wrong, rng.normal(size=(2000, 2)), "x").passed


class Linear:
    """x = w z₁ + noise: its posterior is Gaussian, and its density that of a Gaussian with covariance w wᵀ + σ²."""

    w, sigma = np.array([1.5, -0.7]), 0.4

    def decode(self, z):
        return z[:, :1] * self.w, np.full((len(z), 2), np.log(self.sigma))

    def encode(self, x, worse: float = 1.0):
        precision = 1 + self.w @ self.w / self.sigma**2
        mu = np.stack([x @ self.w / self.sigma**2 / precision, 0 * x[:, 0]], axis=1)
        return mu, np.log(worse * np.stack([np.full(len(x), precision**-0.5), np.ones(len(x))], axis=1))

    def nll(self, x):
        covariance = np.outer(self.w, self.w) + self.sigma**2 * np.eye(2)
        inverse = np.linalg.inv(covariance)
        return np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] / 2 + np.einsum("ni,ij,nj->n", x, inverse, x) / 2


def test_importance_weighting_is_exact_with_the_true_posterior_and_a_bound_without():
    model, x = Linear(), np.random.default_rng(0).normal(size=(500, 2))
    exact = model.nll(x)
    for k in (1, 8):
        assert latent.importance_weighted(x, model.encode, model.decode, k) == pytest.approx(exact, abs=1e-5)
    bounds = [latent.importance_weighted(x, lambda x: model.encode(x, 2.0), model.decode, k).mean() for k in (1, 8, 64)]
    assert bounds[0] > bounds[1] > bounds[2] > exact.mean() - 0.01
    assert bounds[2] < exact.mean() + 0.05 < bounds[0]


def test_the_marginal_is_the_density_of_the_decoder():
    model, x = Linear(), np.random.default_rng(0).normal(size=(50, 2))
    assert -latent.Marginal(model.decode).log_prob(x) == pytest.approx(model.nll(x), abs=1e-3)


def test_bounds_in_order_and_out_of_it():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400)
    assert latent.in_order({"a": noise + 0.5, "b": noise + 0.2, "c": noise}).passed
    assert latent.in_order({"a": noise, "b": noise + 0.002}).passed  # within what a quadrature may err
    assert latent.in_order({"a": noise, "b": noise + 0.1 * rng.normal(size=400)}).passed
    broken = latent.in_order({"a": noise, "b": noise + 0.1})
    assert not broken.passed
    assert broken.measured.startswith("a ")
    assert "is below b" in broken.measured
    assert not latent.in_order({"a": noise, "b": np.full(400, np.nan)}).passed


# ---- images --------------------------------------------------------------------------------------------


def squares_of(seed: int, n: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).chisquare(5, size=n) * 10


CONSTANT = 32 * np.log(2 * np.pi)
UNIT_SLIPS = {
    "constant d/2": lambda s: s / 2,
    "½ before the squares": lambda s: CONSTANT + s,
    "averaged over the pixels": lambda s: CONSTANT + s / 128,
    "the mean squared error": lambda s: s / 64,
    "It is the squared error": lambda s: s,
    "divided by the number of pixels": lambda s: (CONSTANT + s / 2) / 64,
    "Its sign is wrong": lambda s: -CONSTANT - s / 2,
}
MU, LOG_SIGMA = np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, 1.2, -1.8]])


def squares_by_noise(seed: int, n: int = 4000) -> dict:
    """‖x − μ_x(z)‖² of a decoder that is linear, for z with every kind of noise, when asked."""
    matrix = np.random.default_rng(9).normal(size=(3, 64)) / 8
    codes = latent.noises(MU, LOG_SIGMA, n, seed)
    return {name: lambda z=z: ((z @ matrix - 1) ** 2).sum(axis=1) for name, z in codes.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reconstruction_of_unit_variance(seed):
    got = CONSTANT + squares_by_noise(seed)[""]() / 2
    assert all(finding.passed for finding in latent.unit_gaussian(got, squares_by_noise(seed + 100), 64))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("said", UNIT_SLIPS)
def test_a_wrong_reconstruction_of_unit_variance_is_rejected_and_its_slip_named(said, seed):
    got = UNIT_SLIPS[said](squares_by_noise(seed)[""]())
    formula, noise = latent.unit_gaussian(got, squares_by_noise(seed + 100), 64)
    assert not formula.passed
    assert said in formula.slip
    assert noise.passed, "a wrong formula is no slip of the noise"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("said", list(latent.noises(MU, LOG_SIGMA, 1))[1:])
def test_wrong_noise_in_a_reconstruction_is_rejected_and_named(said, seed):
    got = CONSTANT + squares_by_noise(seed)[said]() / 2
    formula, noise = latent.unit_gaussian(got, squares_by_noise(seed + 100), 64)
    assert not noise.passed
    assert noise.slip == said
    assert formula.passed, "wrong noise is no slip of the formula"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_draw_that_is_shared_and_a_term_that_is_none_are_rejected(seed):
    got = CONSTANT + squares_by_noise(seed)[""]() / 2
    formula, noise = latent.unit_gaussian(np.full(4000, np.median(got)), squares_by_noise(seed + 100), 64)
    assert formula.passed
    assert not noise.passed
    assert "share one draw" in noise.slip
    for nothing in (np.full(1000, np.nan), np.random.default_rng(seed).normal(size=1000), np.zeros(1000)):
        assert not any(finding.passed for finding in latent.unit_gaussian(nothing, squares_by_noise(seed + 100), 64))


def test_constants_are_compared_as_numbers():
    assert latent.p_of_same(np.full(9, 3.0), np.full(7, 3.0 + 1e-6)) == 1
    assert latent.p_of_same(np.full(9, 3.0), np.full(7, 3.1)) == 0


def test_random_models_that_show_nothing_or_overflow_are_ill_conditioned():
    x = np.random.default_rng(0).normal(size=(50, 2))

    def of(log_sigma: float):
        return lambda x: (x, np.full_like(x, log_sigma))

    assert latent.ill_conditioned(of(-0.5), of(0.5), x) == 0
    for encode, decode in (
        (of(0), of(0.5)),
        (of(-0.5), of(0)),
        (of(9), of(0.5)),
        (of(-0.5), of(-3)),
        (of(99), of(99)),
        (of(np.nan), of(1)),
    ):
        assert latent.ill_conditioned(encode, decode, x) > 0


def test_a_loss_whose_gradient_misses_a_part_of_the_encoder():
    """Parameters "body" of both, "a" of μ alone, "b" of log σ alone, and "other" of neither."""
    one, zero = np.ones((3, 4)), np.zeros((3, 4))
    mu = {"body": one, "a": one, "b": None, "other": None}
    log_sigma = {"body": one, "a": zero, "b": one, "other": None}
    every = {"body": one, "a": one, "b": -one, "other": one}
    assert latent.gradient_reaches(mu, log_sigma, every).passed
    for missing, said in (("a", "that make μ_z, none"), ("b", "that make σ_z, none")):
        for nothing in (None, zero):
            finding = latent.gradient_reaches(mu, log_sigma, every | {missing: nothing})
            assert not finding.passed
            assert said in finding.measured
    half = np.array([[1.0], [0.0], [1.0]]) * one
    assert "8 of 12" in latent.gradient_reaches(mu, log_sigma, every | {"a": half}).measured
    shared = {"body": one, "mixed": one}  # no parameter is of one of them alone
    assert latent.gradient_reaches(shared, shared, shared).passed
    assert not latent.gradient_reaches(shared, shared, {"body": None, "mixed": zero}).passed


def test_latents_that_are_used_are_counted():
    rng = np.random.default_rng(0)
    mu, log_sigma = np.zeros((500, 5)), np.zeros((500, 5))
    mu[:, :3], log_sigma[:, :3] = rng.normal(size=(500, 3)), -2.0
    mu[:, 3] = 0.1 * rng.normal(size=500)  # KL 0.005: as good as the prior
    finding = latent.active_latents(mu, log_sigma, 3)
    assert finding.passed
    assert finding.value == 3
    assert not latent.active_latents(mu, log_sigma, 4).passed
    assert not latent.active_latents(np.full((9, 2), np.nan), np.zeros((9, 2)), 1).passed


def test_the_same_numbers_by_two_ways():
    wanted = np.random.default_rng(0).normal(size=(4, 5))
    assert latent.same_arrays(wanted.astype(np.float32), wanted, "it", "the same").passed
    for wrong in (wanted + 1e-2, 1.01 * wanted, np.full_like(wanted, np.nan)):
        assert not latent.same_arrays(wrong, wanted, "it", "the same").passed


# ---- codebooks -----------------------------------------------------------------------------------------


def codebook_of(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(100, 3)).astype(np.float32), rng.normal(size=(7, 3)).astype(np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_nearest_codes(seed):
    z, codebook = codebook_of(seed)
    distances = ((z[:, None] - codebook) ** 2).sum(axis=2)
    right = distances.argmin(axis=1)
    assert latent.nearest_codes(z, right, codebook).passed
    twice = np.concatenate([codebook, codebook])
    assert latent.nearest_codes(z, right + 7 * (np.arange(100) % 2), twice).passed  # a tie goes either way
    for wrong, said in ((distances.argmax(axis=1), "farthest"), ((z @ codebook.T).argmax(axis=1), "‖e‖² is missing")):
        finding = latent.nearest_codes(z, wrong, codebook)
        assert not finding.passed
        assert said in finding.slip
    one_off = right.copy()
    one_off[3] = distances[3].argsort()[1]
    assert not latent.nearest_codes(z, one_off, codebook).passed
    assert not latent.nearest_codes(z, right + 7, codebook).passed


def test_gradients_that_are_what_they_must_be():
    wanted = np.random.default_rng(0).normal(size=(4, 3))
    zero = 0 * wanted
    assert latent.same_gradient(wanted.astype(np.float32), wanted, "it").passed
    assert latent.same_gradient(None, zero, "it").passed
    assert latent.same_gradient(zero, zero, "it").passed
    for got, right, said in (
        (None, wanted, "is missing"),
        (zero, wanted, "is missing"),
        (2 * wanted, wanted, "another"),
        (wanted, zero, "should be zero"),
        (np.nan * wanted, wanted, "another"),
    ):
        finding = latent.same_gradient(got, right, "it")
        assert not finding.passed
        assert said in finding.measured
    parts = {"a": wanted, "b": None}
    assert latent.same_gradients({"a": wanted, "b": None}, parts, "loss").passed
    assert not latent.same_gradients({"a": wanted, "b": wanted}, parts, "loss").passed
    assert not latent.same_gradients({"a": None, "b": None}, parts, "loss").passed


def test_which_parameters_move():
    one, zero = np.ones(2), np.zeros(2)
    assert latent.moves({"a": one, "b": None, "c": zero}, {"a"}, "it").passed
    assert latent.moves({"a": one, "b": one}, {"a"}, "it").measured == "it moves b"
    assert latent.moves({"a": zero, "b": None}, {"a", "b"}, "it").measured == "it does not move a, b"


def test_usage_of_codes():
    used = np.repeat(np.arange(33), 2).reshape(6, 11)
    assert latent.usage(used, 64, 0.5).passed
    assert latent.usage(np.minimum(used, 31), 64, 0.5).share == pytest.approx(31 / 32)
    assert latent.usage(np.minimum(used, 8), 64, 0.5).share == pytest.approx(8 / 32)
    assert latent.usage(0 * used, 64, 0.5).share == 0


# ---- disentanglement -----------------------------------------------------------------------------------


def factors_and_codes(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Three factors of 3, 5 and 8 values, and a latent for each, with noise, beside one that tells nothing."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(values, size=n) for values in (3, 5, 8)], axis=1)
    codes = (factors - factors.mean(axis=0)) / factors.std(axis=0) + 0.1 * rng.normal(size=factors.shape)
    return factors, np.concatenate([codes, rng.normal(size=(n, 1))], axis=1)


def turned(codes: np.ndarray, which: tuple[int, int], degrees: float = 40) -> np.ndarray:
    """The codes with two of their latents rotated into each other."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    result = codes.copy()
    result[:, which] = codes[:, which] @ np.array([[c, -s], [s, c]])
    return result


def test_the_information_of_a_factor_with_itself_is_its_entropy():
    factors, codes = factors_and_codes(0)
    shares = information.shares(codes, factors)
    assert np.diag(shares[:3]) == pytest.approx(1, abs=0.08)
    assert shares[~np.eye(4, 3, dtype=bool)].max() < 0.03
    assert information.gaps(codes, factors).min() > 0.9
    assert information.gaps(turned(codes, (0, 2)), factors)[[0, 2]].max() < 0.5


def test_the_information_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not among the kit's packages")
    factors, codes = factors_and_codes(1)
    places = information.binned(turned(codes, (0, 1)))
    wanted = [[metrics.mutual_info_score(p, f) / metrics.mutual_info_score(f, f) for f in factors.T] for p in places.T]
    assert information.shares(turned(codes, (0, 1)), factors) == pytest.approx(np.array(wanted), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_gap_is_larger_along_the_factors_than_across_them(seed):
    factors, codes = factors_and_codes(seed)
    across = turned(turned(codes, (0, 1)), (1, 2))
    assert latent.larger_gap(codes, across, factors, ("a", "b", "c")).passed
    assert latent.larger_gap(across, codes, factors, ("a", "b", "c")).share == 0
    lucky = latent.larger_gap(codes, turned(codes, (0, 1)), factors, ("a", "b", "c"))
    assert lucky.passed, "the other's third factor lies along a latent as well"
    assert "c 0.9" in lucky.measured
    partly = latent.larger_gap(turned(codes, (0, 1)), across, factors, ("a", "b", "c"))
    assert 0 < partly.share < 1


def test_how_far_the_gaps_are_apart_is_what_it_always_was():
    """Frozen numbers: how many standard deviations the least gap is above the mean of the others."""
    factors, codes = factors_and_codes(0)
    across = turned(turned(codes, (0, 1)), (1, 2))
    for own, other, share, away in (
        (codes, across, 1, 88.51278934547),
        (turned(codes, (0, 1)), across, 1 / 3, -25.238112),
    ):
        found = latent.larger_gap(own, other, factors, ("a", "b", "c"))
        assert (found.share, found.value) == pytest.approx((share, away), rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_gap_is_larger_than_that_of_the_same_latents_with_other_noise(seed):
    factors, codes = factors_and_codes(seed)
    others = codes + 1e-3 * np.random.default_rng(seed + 100).normal(size=codes.shape)
    assert latent.larger_gap(codes, codes, factors, ("a", "b", "c")).share == 0
    assert latent.larger_gap(codes, others, factors, ("a", "b", "c")).share < 1


def test_codes_and_factors_of_the_same_examples():
    with pytest.raises(ValueError, match=r"got \(5, 2\) and \(4, 3\)"):
        information.shares(np.zeros((5, 2)), np.zeros((4, 3), int))


def test_a_loss_that_is_straight_in_beta():
    mu, log_sigma = latent.gaussians(20, 3, 0)
    kl = latent.gaussian_kl(mu, log_sigma)
    assert latent.slope_is_the_kl({b: 5 + b * kl for b in (0.0, 3.0, 200.0)}, mu, log_sigma).passed
    assert not latent.slope_is_the_kl({b: 5 + b * kl / 3 for b in (0.0, 3.0, 200.0)}, mu, log_sigma).passed
    assert not latent.slope_is_the_kl({b: 5 + b**2 * kl for b in (0.0, 3.0, 200.0)}, mu, log_sigma).passed
