"""Chains of denoising steps: their posterior, what becomes of a Gaussian, and the bound on log p.

ᾱ is the whole of a chain, ᾱ_0 = 1, …, ᾱ_T, (T + 1,): x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε.
"""

import itertools
from collections.abc import Callable

import numpy as np

from autograder.properties.diffusion import P_VALUE, Mixture, agrees, floor
from autograder.properties.finding import Finding


def roots(alpha_bar) -> tuple:
    """α and σ of a level."""
    return np.sqrt(alpha_bar), np.sqrt(1 - np.asarray(alpha_bar))


def is_a_schedule(betas: np.ndarray, gentle: float, nothing: float) -> Finding:
    """β_1, …, β_T between 0 and 1, which begin gently and leave next to nothing of the data."""
    required = f"0 < β < 1, β_1 at most {gentle:.2g}, and ᾱ_T at most {nothing:.2g}"
    if not np.isfinite(betas).all():
        return Finding(0.0, "some β are nan or infinite", required)
    left = float(np.prod(1 - betas))
    measured = f"{len(betas)} β from {betas.min():.3g} to {betas.max():.3g}, the first {betas[0]:.3g}; ᾱ_T = {left:.2g}"
    inside = betas.min() > 0 and betas.max() < 1
    slip = ""
    if inside and betas[0] > gentle and betas[-1] < betas[0]:
        slip = "It runs the wrong way round: β_1, the first, is the smallest."
    elif inside and left > nothing:
        slip = (
            "Too much of the data is left at the end, and sampling begins with pure noise: β must sum to five or more."
        )
    return Finding(float(inside and betas[0] <= gentle and left <= nothing), measured, required, slip=slip)


# ---- one step ------------------------------------------------------------------------------------------


def posterior(x_t: np.ndarray, x_0: np.ndarray, here, before) -> tuple[np.ndarray, np.ndarray]:
    """Mean (B, D) and variance of q(x_s | x_t, x_0), with ᾱ_t `here` and ᾱ_s `before`: a product of two Gaussians.

    Precisions add, and the mean is that of both centres by their precisions.
    """
    here, before = np.asarray(here, dtype=np.float64), np.asarray(before, dtype=np.float64)
    beta = 1 - here / before
    of_x_t = (1 - beta) / beta  # the precision of q(x_t | x_s) in x_s, whose centre is x_t/√(1 − β)
    with np.errstate(divide="ignore"):
        variance = 1 / (of_x_t + 1 / (1 - before))
    share = np.reshape(variance * of_x_t, (-1, 1))  # of the mean; the rest is of q(x_s | x_0)
    centre = x_t / np.sqrt(1 - beta).reshape(-1, 1)
    return share * centre + (1 - share) * np.sqrt(before).reshape(-1, 1) * x_0, variance


def levels_of_pairs(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """ᾱ_t and ᾱ_s of random steps s < t, (n,) each; a quarter of them end at s = 0, and some begin in pure noise."""
    before = rng.uniform(0.02, 0.999, size=n)
    before[: n // 4] = 1.0
    here = before * rng.uniform(0.05, 0.98, size=n)
    here[:3] = (0.999, 1e-4, 0.5)
    return here, before


def posterior_is_right(mean, variance, x_t, x_0, here, before) -> Finding:
    """Mean (B, D) and variance (B,) are those of the product of the two Gaussians."""
    right, known = posterior(x_t, x_0, here, before)
    beta, required = 1 - here / before, "the product of q(x_t | x_s) and q(x_s | x_0)"
    with np.errstate(divide="ignore", invalid="ignore"):
        slips = {
            "Its 1 − ᾱ are exchanged: what was there at s stands above, over 1 − ᾱ_t.": beta
            * (1 - here)
            / (1 - before),
            "It is β, the noise that came in: some of that is explained by x_t.": beta,
            "β and ᾱ are exchanged: it is β (1 − ᾱ_s)/(1 − ᾱ_t).": here * (1 - before) / beta,
            "That is its root, the standard deviation.": np.sqrt(known),
            "β is 1 − ᾱ_t/ᾱ_s, not 1 − ᾱ_t.": (1 - here) * (1 - before) / (1 - here),
        }
        spread = agrees("the variance", variance, known, required, slips)
        x, first = x_t, x_0
        of_x_0, of_x_t = np.sqrt(before) * beta / (1 - here), np.sqrt(1 - beta) * (1 - before) / (1 - here)
        means = {
            "x_0 and x_t are exchanged.": of_x_0[:, None] * x + of_x_t[:, None] * first,
            "x_0 has √ᾱ_s beside it, and not √ᾱ_t.": (of_x_0 * np.sqrt(here / before))[:, None] * first
            + of_x_t[:, None] * x,
            "x_t has √(1 − β) beside it: the root is missing.": of_x_0[:, None] * first
            + (of_x_t * np.sqrt(1 - beta))[:, None] * x,
            "x_t has √(1 − β) beside it, √(ᾱ_t/ᾱ_s), and that is missing.": of_x_0[:, None] * first
            + (of_x_t / np.sqrt(1 - beta))[:, None] * x,
        }
        where = agrees("the mean", mean, right, required, means)
    return min(spread, where, key=lambda f: f.share)


def ddim_sigma(here: float, before: float, eta: float) -> float:
    """σ of a step of DDIM from ᾱ_t `here` to ᾱ_s `before`."""
    return float(eta * np.sqrt((1 - before) / (1 - here)) * np.sqrt(1 - here / before))


def ddim_mean(x: np.ndarray, eps: np.ndarray, here: float, before: float, sigma: float) -> np.ndarray:
    """√ᾱ_s x̂_0 + √(1 − ᾱ_s − σ²) ε̂: (B, D)."""
    first = (x - np.sqrt(1 - here) * eps) / np.sqrt(here)
    return np.sqrt(before) * first + np.sqrt(max(1 - before - sigma**2, 0.0)) * eps


# ---- a whole chain, of a Gaussian ----------------------------------------------------------------------


def of_ancestral_sampling(
    data: Mixture, alpha_bar: np.ndarray, last: float = 0.0, until: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D) of x_0 ~ the chain with the perfect denoiser of a Gaussian, which is linear.

    last: the variance of noise that is added in the last step, as it should not be. until: the step that it ends at.
    """
    mean, covariance = np.zeros(data.dims), np.eye(data.dims)
    for t in range(len(alpha_bar) - 1, until, -1):
        here, before = alpha_bar[t], alpha_bar[t - 1]

        def step(x: np.ndarray, here=here, before=before) -> np.ndarray:
            return posterior(x, data.denoised(x, *roots(here)), here, before)[0]

        variance = float(posterior(mean[None], mean[None], here, before)[1])
        mean, covariance = _moved(step, mean, covariance, variance if t > 1 else last)
    return mean, covariance


def of_ddim(data: Mixture, alpha_bar: np.ndarray, times, eta: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of DDIM over these times, from T down."""
    mean, covariance = np.zeros(data.dims), np.eye(data.dims)
    for t, s in itertools.pairwise(times):
        here, before = alpha_bar[t], alpha_bar[s]
        sigma = ddim_sigma(here, before, eta)

        def step(x: np.ndarray, here=here, before=before, sigma=sigma) -> np.ndarray:
            return ddim_mean(x, data.noise(x, *roots(here)), here, before, sigma)

        mean, covariance = _moved(step, mean, covariance, sigma**2)
    return mean, covariance


def _moved(step: Callable, mean: np.ndarray, covariance: np.ndarray, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance after an affine step x -> A x + b (rows of points), and noise of a variance."""
    D = len(mean)
    b = step(np.zeros((1, D)))[0]
    A = (step(np.eye(D)) - b).T
    return A @ mean + b, A @ covariance @ A.T + variance * np.eye(D)


# ---- the bound -----------------------------------------------------------------------------------------


PRIOR = "The prior is missing: KL(q(x_T | x_0) ‖ N(0, I))."


def weights_of_bound(alpha_bar: np.ndarray) -> np.ndarray:
    """What E‖ε − ε̂‖² counts in −ELBO at each of the T steps, whose p(x_{t−1} | x_t) has the variance β_t: (T,)."""
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return beta / (2 * (1 - beta) * (1 - alpha_bar[1:]))


def of_variances(alpha_bar: np.ndarray) -> float:
    """What the KL of all steps from T to 2 come to in each dimension where both means are one: Σ ½ (r − 1 − log r).

    r: the variance of q(x_{t−1} | x_t, x_0) over β_t.
    """
    r = (1 - alpha_bar[1:-1]) / (1 - alpha_bar[2:])
    return float((r - 1 - np.log(r)).sum() / 2)


def constant_of_bound(alpha_bar: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What −ELBO has besides the squared errors: KL(q(x_T | x_0) ‖ N(0, I)), log √(2π β_1) and those of variances."""
    D, beta = x.shape[1], 1 - alpha_bar[1]
    return prior_of_bound(alpha_bar, x) + D / 2 * np.log(2 * np.pi * beta) + D * of_variances(alpha_bar)


def bound_of_perfect(data: Mixture, alpha_bar: np.ndarray) -> float:
    """E[−ELBO] of a perfect denoiser, in nats: the entropy of the data, and a gap that shrinks with the steps."""
    floors = [floor(data, float(np.sqrt(a)), float(np.sqrt(1 - a))) for a in alpha_bar[1:]]
    mean = data.weights @ data.means
    second = np.einsum("k,kij->ij", data.weights, data.covariances) + np.einsum(
        "k,ki,kj->ij", data.weights, data.means, data.means
    )
    at_mean = constant_of_bound(alpha_bar, mean[None])[0]
    constant = at_mean + alpha_bar[-1] * (np.trace(second) - mean @ mean) / 2
    return float(weights_of_bound(alpha_bar) @ np.array(floors) + constant)


def kinds_of_bound(at: Callable, x: np.ndarray, alpha_bar: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Draws of −ELBO of x, (B, D), for a network at(x, t), and of what it may be in its place: {"": …, slip: …}."""
    rng, weights, D = np.random.default_rng(seed), weights_of_bound(alpha_bar), x.shape[1]
    errors = []
    for t in range(1, len(alpha_bar)):
        eps = rng.normal(size=x.shape)
        alpha, sigma = roots(alpha_bar[t])
        errors.append(((eps - at(alpha * x + sigma * eps, np.full(len(x), t))) ** 2).sum(axis=1))
    squares, beta = np.array(errors), 1 - alpha_bar[1]
    right = weights @ squares + constant_of_bound(alpha_bar, x)
    prior = prior_of_bound(alpha_bar, x)
    larger = np.append(1.0, (1 - alpha_bar[2:]) / (1 - alpha_bar[1:-1]))  # β_t over the posterior's variance
    by_posterior = right + (weights * (larger - 1)) @ squares - D * of_variances(alpha_bar)
    return {
        "": right,
        PRIOR: right - prior,
        "The KL of the prior is turned round: it is KL(q(x_T | x_0) ‖ N(0, I)).": right
        - prior
        + reversed_prior(alpha_bar, x),
        "The constant of the last Gaussian is missing: D/2 · log 2πβ_1.": right - D / 2 * np.log(2 * np.pi * beta),
        "The constant of the last Gaussian is half of log 2πβ_1 for each of the D numbers, and not once for all.": right
        - (D - 1) / 2 * np.log(2 * np.pi * beta),
        "The weights are missing: a KL of two Gaussians is the distance of their means over twice the variance.": right
        - weights @ squares
        + squares.sum(axis=0),
        "The distance of the means is divided by twice the variance.": right + weights[1:] @ squares[1:],
        "The variance of each p is β_t, not that of the posterior.": by_posterior,
        "Both Gaussians of a KL have variances of their own: ½ (r − 1 − log r) is missing, r the ratio of them.": right
        - D * of_variances(alpha_bar),
        "The last step is missing, −log p(x_0 | x_1).": right
        - weights[0] * squares[0]
        - D / 2 * np.log(2 * np.pi * beta),
        "It is the ELBO, and not minus it.": -right,
        "It is the mean over the terms: sum over them.": right / len(weights),
    }


def prior_of_bound(alpha_bar: np.ndarray, x: np.ndarray) -> np.ndarray:
    """KL(q(x_T | x_0) ‖ N(0, I)), (B,)."""
    last = alpha_bar[-1]
    return (last * (x**2).sum(axis=1) - x.shape[1] * (last + np.log1p(-last))) / 2


def reversed_prior(alpha_bar: np.ndarray, x: np.ndarray) -> np.ndarray:
    """KL(N(0, I) ‖ q(x_T | x_0)), the other way round: (B,)."""
    last = alpha_bar[-1]
    return (last * (x**2).sum(axis=1) / (1 - last) + x.shape[1] * (1 / (1 - last) - 1 + np.log1p(-last))) / 2


def bound_is_that_of_a_perfect_network(got: np.ndarray, x: np.ndarray, data: Mixture, alpha_bar: np.ndarray) -> Finding:
    """Draws of −ELBO (n,), at draws x of the data, of a perfect denoiser: their mean is known, above the entropy."""
    from scipy.stats import norm

    known, error = bound_of_perfect(data, alpha_bar), got.std() / np.sqrt(len(got))
    p_value = float(2 * norm.sf(abs(got.mean() - known) / max(error, 1e-12)))
    return Finding(
        float(p_value > P_VALUE),
        f"with a perfect network {got.mean():.3f} ± {error:.2g} nats (p = {p_value:.2g})",
        f"{known:.3f} nats, which a perfect network comes to (p > {P_VALUE:g})",
        p_value,
        P_VALUE,
        "p-value",
        slip=PRIOR if abs(got.mean() + prior_of_bound(alpha_bar, x).mean() - known) < 4 * error else "",
    )
