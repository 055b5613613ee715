"""Properties of diffusion both ways: what is known against simulation, findings that reject what is nearly so."""

import numpy as np
import pytest
import torch

from autograder.properties import chains, diffusion
from deepul_utils import toy

SEEDS = range(3)
MANY = 200_000


def mixture_of(name: str) -> diffusion.Mixture:
    dist = toy.get(name)
    return diffusion.Mixture(dist.weights, dist.means, dist.covariances)


# ---- what is known of the data -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dims", [1, 2])
def test_a_floor_is_the_loss_of_the_perfect_denoiser_and_of_no_other(dims, seed):
    data, rng, (alpha, sigma) = diffusion.mixture(dims, seed), np.random.default_rng(seed), (0.8, 0.6)
    x, eps = data.draw(MANY, seed), rng.normal(size=(MANY, dims))
    x_t = alpha * x + sigma * eps
    best, other = data.noise(x_t, alpha, sigma), np.sin(x_t)
    losses = {k: ((eps - guess) ** 2).sum(axis=1) for k, guess in (("best", best), ("other", other))}
    error = 5 * losses["best"].std() / MANY**0.5
    assert diffusion.floor(data, alpha, sigma) == pytest.approx(losses["best"].mean(), abs=error)
    above = losses["other"] - losses["best"]
    assert above.mean() == pytest.approx(((other - best) ** 2).sum(axis=1).mean(), abs=5 * above.std() / MANY**0.5)
    assert diffusion.not_below_the_floor(above).passed
    assert not diffusion.not_below_the_floor(-above).passed


def test_without_noise_nothing_of_it_can_be_guessed():
    assert diffusion.floor(diffusion.mixture(2, 0), 1.0, 0.0) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_flow_of_the_mean_velocity_carries_noise_to_the_data(seed):
    """And its density is the mixture's: −∫ of the divergence along the way back."""
    data, x = diffusion.mixture(2, seed), diffusion.mixture(2, seed).draw(200, seed)

    def rates(state, t):
        v = data.velocity(state[:, :2], t)
        jacobian = diffusion.jacobian(lambda points: data.velocity(points, t), state[:, :2])
        return np.concatenate([v, np.trace(jacobian, axis1=1, axis2=2)[:, None]], axis=1)

    end = diffusion.solved(rates, np.concatenate([x, np.zeros((200, 1))], axis=1), 1.0, 0.0, 60)
    base = -(end[:, :2] ** 2).sum(axis=1) / 2 - np.log(2 * np.pi)
    assert base + end[:, 2] == pytest.approx(data.log_prob(x), abs=1e-3)
    assert diffusion.is_the_density(base + end[:, 2], data.log_prob(x), base, 0.01).passed
    turned = diffusion.is_the_density(base - end[:, 2], data.log_prob(x), base, 0.01)
    assert "The sign" in turned.slip
    assert "a constant" in diffusion.is_the_density(base + end[:, 2] + 1, data.log_prob(x), base, 0.01).slip


# ---- chains --------------------------------------------------------------------------------------------


def chain(seed: int, steps: int = 6) -> np.ndarray:
    return np.append(1.0, np.cumprod(1 - np.random.default_rng(seed).uniform(0.05, 0.5, steps)))


def test_the_posterior_is_what_bayes_rule_gives():
    """On a grid: the product of the two densities, normalised."""
    x_t, x_0, here, before = 0.7, -0.4, 0.3, 0.6
    x = np.linspace(-8, 8, 20_001)
    log_product = -((x_t - np.sqrt(here / before) * x) ** 2) / (2 * (1 - here / before))
    log_product -= (x - np.sqrt(before) * x_0) ** 2 / (2 * (1 - before))
    p = np.exp(log_product) / np.exp(log_product).sum()
    mean, variance = chains.posterior(np.array([[x_t]]), np.array([[x_0]]), here, before)
    assert mean.item() == pytest.approx(p @ x)
    assert float(variance) == pytest.approx(p @ x**2 - (p @ x) ** 2)


def test_at_the_end_the_posterior_is_the_data():
    mean, variance = chains.posterior(np.ones((1, 2)), np.full((1, 2), 3.0), 0.5, 1.0)
    assert mean.tolist() == [[3.0, 3.0]]
    assert variance == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_of_every_eta_keeps_the_marginals_that_it_is_made_for(eta, seed):
    """Given x_0 and its own ε, x_s has the mean √ᾱ_s x_0 and the variance 1 − ᾱ_s."""
    rng, (here, before) = np.random.default_rng(seed), (0.3, 0.6)
    sigma = chains.ddim_sigma(here, before, eta)
    x_0, eps = 1.3, rng.normal(size=(MANY, 1))
    x_t = np.sqrt(here) * x_0 + np.sqrt(1 - here) * eps
    x_s = chains.ddim_mean(x_t, eps, here, before, sigma) + sigma * rng.normal(size=eps.shape)
    assert x_s.mean() == pytest.approx(np.sqrt(before) * x_0, abs=0.02)
    assert x_s.var() == pytest.approx(1 - before, rel=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_eta_one_is_ancestral_sampling(seed):
    data, alpha_bar = diffusion.mixture(2, seed, components=1), chain(seed)
    times = range(len(alpha_bar) - 1, -1, -1)
    for a, b in zip(
        chains.of_ancestral_sampling(data, alpha_bar), chains.of_ddim(data, alpha_bar, times, 1.0), strict=True
    ):
        assert np.allclose(a, b)


def test_long_chains_and_small_steps_come_to_the_data():
    data, alpha_bar = diffusion.mixture(2, 0, components=1), np.append(1.0, np.cumprod(np.full(2000, 1 - 5e-3)))
    for mean, covariance in (
        chains.of_ancestral_sampling(data, alpha_bar),
        chains.of_ddim(data, alpha_bar, range(2000, -1, -1), 0.0),
    ):
        assert mean == pytest.approx(data.means[0], abs=0.01)
        assert covariance == pytest.approx(data.covariances[0], abs=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_of_a_perfect_network_is_its_mean_and_above_the_entropy(seed):
    data, alpha_bar = diffusion.mixture(2, seed), chain(seed)
    x = data.draw(20_000, seed)

    def at(x_t, t):
        return data.noise(x_t, *chains.roots(alpha_bar[t[0]]))

    draws = chains.kinds_of_bound(at, x, alpha_bar, seed)[""]
    assert chains.bound_is_that_of_a_perfect_network(draws, x, data, alpha_bar).passed
    assert chains.bound_of_perfect(data, alpha_bar) > -data.log_prob(x).mean()
    assert not chains.bound_is_that_of_a_perfect_network(draws + 0.2, x, data, alpha_bar).passed


def test_more_steps_bring_a_perfect_network_nearer_to_the_entropy():
    bounds = [
        chains.bound_of_perfect(mixture_of("two_bumps"), np.append(1.0, np.cumprod(1 - np.linspace(0.1, 20, T) / T)))
        for T in (25, 50, 100, 200, 400)
    ]
    assert (np.diff(bounds) < 0).all()
    assert 0 < bounds[-1] - toy.get("two_bumps").entropy < 0.02


def test_the_prior_turned_round_is_the_other_divergence():
    alpha_bar, x = np.array([1.0, 0.9, 0.4]), np.random.default_rng(0).normal(size=(5, 2))
    q = torch.distributions.Normal(torch.tensor(x) * 0.4**0.5, 0.6**0.5)
    standard = torch.distributions.Normal(torch.zeros(5, 2, dtype=torch.float64), 1.0)
    for found, (first, second) in (
        (chains.prior_of_bound(alpha_bar, x), (q, standard)),
        (chains.reversed_prior(alpha_bar, x), (standard, q)),
    ):
        wanted = torch.distributions.kl_divergence(first, second).sum(dim=1).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_schedules():
    linear = np.linspace(0.1, 20, 100) / 100
    assert chains.is_a_schedule(linear, 0.01, 0.01).passed
    assert "wrong way round" in chains.is_a_schedule(linear[::-1], 0.01, 0.01).slip
    assert "Too much" in chains.is_a_schedule(linear / 10, 0.01, 0.01).slip
    for broken in (np.append(linear, 1.0), np.append(linear, np.nan), -linear):
        assert not chains.is_a_schedule(broken, 0.01, 0.01).passed


# ---- findings ------------------------------------------------------------------------------------------


def test_numbers_agree_up_to_single_precision():
    right = np.random.default_rng(0).normal(size=(30, 2))
    assert diffusion.agrees("it", right.astype(np.float32), right, "so").passed
    off = right.copy()
    off[3, 1] += 0.01
    assert not diffusion.agrees("it", off, right, "so").passed
    assert diffusion.agrees("it", -right, right, "so", {"The sign.": -right}).slip == "The sign."
    off[3, 1] = np.nan
    assert not diffusion.agrees("it", off, right, "so").passed


def test_draws_of_one_distribution_and_of_another():
    rng = np.random.default_rng(0)
    a, b, wide = rng.normal(size=4000), rng.normal(size=4000), 1.5 * rng.normal(size=(2, 4000))
    assert diffusion.same_draws("it", a, b, "so").passed
    found = diffusion.same_draws("it", wide[0], b, "so", {"Too wide.": wide[1]})
    assert not found.passed
    assert found.slip == "Too wide."
    assert not diffusion.same_draws("it", np.append(a, np.inf), b, "so").passed


def test_a_draw_for_each_example_and_one_for_all():
    rng = np.random.default_rng(0)
    heavy = rng.normal(size=(40, 100)) ** 4
    assert diffusion.drawn_for_each(heavy).passed
    assert not diffusion.drawn_for_each(heavy * rng.lognormal(size=(40, 1))).passed
    assert "Nothing is drawn" in diffusion.drawn_for_each(np.ones((40, 100))).slip


def test_noise_of_a_covariance_and_of_another():
    rng, covariance = np.random.default_rng(0), np.array([[1.0, 0.5], [0.5, 2.0]])
    noise = rng.multivariate_normal(np.zeros(2), covariance, 4000)
    assert diffusion.noise_is(noise, covariance, "it").passed
    assert not diffusion.noise_is(noise + 0.2, covariance, "it").passed
    assert diffusion.noise_is(2 * noise, covariance, "it", {"Twice.": (2 * noise, 4 * covariance)}).slip == "Twice."
    assert not diffusion.noise_is(noise[:, ::-1], covariance, "it").passed
    assert diffusion.noise_is(0 * noise, 0 * covariance, "it").passed
    assert not diffusion.noise_is(noise, 0 * covariance, "it").passed
    assert "No noise" in diffusion.noise_is(1e-6 * noise, covariance, "it").slip
    assert not diffusion.noise_is(np.append(noise, [[np.nan, 0]], axis=0), covariance, "it").passed


def test_orders_of_solvers():
    errors = {p: np.array([1.0, 2.0**-p, 4.0**-p]) for p in (0, 1, 2, 4)}
    for order in (1, 2, 4):
        assert diffusion.order_is(errors[order], order, "it").passed
        assert not any(diffusion.order_is(e, order, "it").passed for p, e in errors.items() if p != order)
    assert "do not help" in diffusion.order_is(errors[0], 2, "it").slip
    assert "first order" in diffusion.order_is(errors[1], 4, "it").slip
    assert "better" in diffusion.order_is(errors[4], 1, "it").slip
    assert not diffusion.order_is(np.array([1, np.nan, 1]), 1, "it").passed
    assert diffusion.order_is(np.array([1e-4, 1e-6, 1e-6]), 4, "it").passed  # the rounding of single precision


@pytest.mark.parametrize("dims", [1, 2, 4])
def test_traces_and_their_estimator(dims):
    jacobian = np.random.default_rng(0).normal(size=(10, dims, dims))
    trace, every = np.trace(jacobian, axis1=1, axis2=2), diffusion.signs(dims)
    assert every.shape == (2**dims, dims)
    each = np.einsum("ki,bij,kj->kb", every, jacobian, every)
    assert each.mean(axis=0) == pytest.approx(trace)
    assert diffusion.divergence_is(trace, jacobian, "it").passed
    assert diffusion.estimates_the_trace(each, every, jacobian).passed
    if dims > 1:
        assert "sum of all entries" in diffusion.divergence_is(jacobian.sum(axis=(1, 2)), jacobian, "it").slip
        assert not diffusion.estimates_the_trace(np.broadcast_to(trace, each.shape), every, jacobian).passed


def test_mass():
    assert diffusion.mass_is_one(1.001, 0.01).passed
    assert not diffusion.mass_is_one(1.1, 0.01).passed
    assert not diffusion.mass_is_one(np.nan, 0.01).passed
