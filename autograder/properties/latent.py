"""Latent-variable models: Gaussian densities and divergences, reparameterised noise, bounds in their order.

Arrays of a Gaussian are its μ and log σ, (B, D) each. Sums over dimensions are (B,), in nats.
"""

from collections.abc import Callable, Sequence

import numpy as np

from autograder.properties.finding import Finding
from deepul_utils import information

# Sums of a few float32 terms of size e^4 err by about 1e-5 of them; a wrong formula is off by a tenth and more.
FORMULA_TOLERANCE = 1e-4
# Rare enough for a class of hundreds with several such checks each; see discrete.P_VALUE.
P_VALUE = 1e-6
# Central differences of a float32 function with steps of 1e-2 err by about 1e-4 of it, and by a little more where a
# network has a kink or a slope is nearly zero: at this share of examples it must be right. A gradient that misses the
# way through the sample is off by a half at nearly all of them.
GRADIENT_TOLERANCE = 0.05
STEP = 1e-2
PRECISE_STEP = 1e-5  # in double precision
MOST = 0.9
# Bounds are means over data. Their differences may be out of order by this many standard errors …
ERRORS = 5.0
# The same numbers computed in batches of another size, or summed in another order.
SAME = 1e-4
# A latent whose posterior differs from the prior by less, in nats on average, says nothing that a decoder could use.
ACTIVE = 0.05
# … and by this much (nats): rounding, and the grid of a quadrature.
ORDER_TOLERANCE = 5e-3
# Random models have |log σ| up to WIDEST, so that bounds fit a float, and above PLAIN, so that σ is not simply one.
# No density of theirs is below e^−DEEP, the smallest number in single precision being about e^−87.
WIDEST, PLAIN, DEEP = 2.5, 0.2, 15.0
# At the one example whose σ are farthest from one they are so on average, |log σ|: σ, σ² and √σ are told apart.
FAR_FROM_ONE = 0.9
# Mutual-information gaps of two models differ when they do so by this many standard deviations of the images drawn.
DEVIATIONS = 3.0


# ---- formulas ------------------------------------------------------------------------------------------


def gaussian_nll(x: np.ndarray, mu: np.ndarray, log_sigma: np.ndarray | float) -> np.ndarray:
    """−log N(x; μ, σ²), with all constants, over the last dimension."""
    x, mu, log_sigma = (np.asarray(a, dtype=np.float64) for a in (x, mu, log_sigma))
    return (0.5 * np.log(2 * np.pi) + log_sigma + (x - mu) ** 2 * np.exp(-2 * log_sigma) / 2).sum(axis=-1)


def gaussian_kl(mu: np.ndarray, log_sigma: np.ndarray) -> np.ndarray:
    """KL(N(μ, σ²) ‖ N(0, I)), over the last dimension."""
    mu, log_sigma = (np.asarray(a, dtype=np.float64) for a in (mu, log_sigma))
    return (-log_sigma + np.exp(2 * log_sigma) / 2 + mu**2 / 2 - 0.5).sum(axis=-1)


def gaussians(n: int, dims: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """μ and log σ of n random Gaussians, narrow and wide, near the origin and far: float32 (n, dims) each."""
    rng = np.random.default_rng(seed)
    mu, log_sigma = 2 * rng.normal(size=(n, dims)), rng.uniform(-2.5, 1.0, size=(n, dims))
    return mu.astype(np.float32), log_sigma.astype(np.float32)


def kl_is_right(kl: Callable, dims: int, seed: int = 0) -> Finding:
    """kl(μ, log σ) is KL(N(μ, σ²) ‖ N(0, I)), for random Gaussians."""
    mu, log_sigma = gaussians(300, dims, seed)
    return kl_of(kl(mu, log_sigma), mu, log_sigma)


def kl_of(got: np.ndarray, mu: np.ndarray, log_sigma: np.ndarray) -> Finding:
    """got (B,) is KL(N(μ, σ²) ‖ N(0, I)) of these Gaussians (B, D)."""
    m, s = mu.astype(np.float64), log_sigma.astype(np.float64)
    sigma, dims = np.exp(s), mu.shape[1]
    right, other_way = gaussian_kl(m, s), s + (1 + m**2) / (2 * sigma**2) - 0.5
    slips = {
        "Its sign is wrong: a divergence is never negative.": -right,
        "It is averaged over the dimensions of z, and must be summed.": right / dims,
        "It takes log σ for σ.": (-np.log(np.abs(s)) + s**2 / 2 + m**2 / 2 - 0.5).sum(1),
        "It takes σ where σ² belongs.": (-s + sigma / 2 + m**2 / 2 - 0.5).sum(1),
        "It reads log σ as log σ².": (-s / 2 + sigma / 2 + m**2 / 2 - 0.5).sum(1),
        "The ½ that is taken away in each dimension is missing.": right + dims / 2,
        "The sign of log σ is wrong.": right + 2 * s.sum(1),
        "It is the divergence the other way round, of the prior from q.": other_way.sum(1),
        "It is twice the divergence: is a ½ missing?": 2 * right,
    }
    return formula("KL", got, right, slips)


def nll_is_right(nll: Callable, dims: int, seed: int = 0) -> Finding:
    """nll(x, μ, log σ) is −log N(x; μ, σ²), with every constant, for random points and Gaussians."""
    (mu, log_sigma), rng = gaussians(300, dims, seed), np.random.default_rng(seed + 1)
    m, s = mu.astype(np.float64), log_sigma.astype(np.float64)
    sigma = np.exp(s)
    x = (m + 1.5 * sigma * rng.normal(size=m.shape)).astype(np.float32)
    right, squares = gaussian_nll(x, m, s), (x - m) ** 2
    constant = 0.5 * np.log(2 * np.pi)
    slips = {
        "A constant is missing: ½ log 2π in every dimension.": right - dims * constant,
        "There is one ½ log 2π too few or too many: it belongs to every dimension.": right - (dims - 1) * constant,
        "It is averaged over the dimensions of x, and must be summed.": right / dims,
        "Its sign is wrong: it is the negative logarithm.": -right,
        "It divides by σ where σ² belongs.": (constant + s + squares / (2 * sigma)).sum(1),
        "The ½ before the squares is missing.": (constant + s + squares / sigma**2).sum(1),
        "It reads log σ as log σ².": (constant + s / 2 + squares / (2 * sigma)).sum(1),
        "log σ is missing.": right - s.sum(1),
        "It takes log σ for σ.": (constant + np.log(np.abs(s)) + squares / (2 * s**2)).sum(1),
        "It is the squared error alone.": squares.sum(1),
    }
    return formula("the reconstruction term", nll(x, mu, log_sigma), right, slips)


def formula(
    name: str, got: np.ndarray, right: np.ndarray, slips: dict[str, np.ndarray], of: str = "Gaussians"
) -> Finding:
    """got = right, up to rounding. slips: what else it may be, {what is wrong: the values}. of: what each is of."""
    required = f"the closed form, within {FORMULA_TOLERANCE:g} of its size"
    error = _off(got, right)
    worst = int(error.argmax())
    if error[worst] <= FORMULA_TOLERANCE:
        return Finding(1.0, f"{name} is right for {len(right):,} {of}", required)
    measured = f"{name} is {got[worst]:.4g} where it should be {right[worst]:.4g}"
    if not np.isfinite(right[worst]):
        measured = f"{name} cannot be compared: what it is made of is nan or infinite"
    with np.errstate(invalid="ignore"):
        slip = next((said for said, wrong in slips.items() if (_off(got, wrong) <= FORMULA_TOLERANCE).all()), "")
    return Finding(0.0, measured, required, slip=slip)


def _off(got: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.abs(np.asarray(got, dtype=np.float64) - right) / (1 + np.abs(right)), nan=np.inf)


# ---- noise ---------------------------------------------------------------------------------------------


def noise_is_fresh(draw: Callable[[np.ndarray, np.ndarray, int], np.ndarray], dims: int, seed: int = 0) -> Finding:
    """draw(μ, log σ, seed) is μ + σ ε with ε standard normal, independent over examples, dimensions and calls."""
    mu, log_sigma = gaussians(2000, dims, seed)
    sigma = np.exp(log_sigma.astype(np.float64))
    calls = [np.asarray(draw(mu, log_sigma, seed + k), dtype=np.float64) for k in range(2)]
    required = f"z = μ + σ ε, ε ~ N(0, I) (p > {P_VALUE:g})"
    if not np.isfinite(calls).all():
        return Finding(0.0, "some draws are nan or infinite", required)
    residuals = [z - mu for z in calls]
    tests = normal_p_values(*(r / sigma for r in residuals))
    worst = min(tests, key=tests.get)  # type: ignore[arg-type]  # each has its value
    p_value = min(1.0, len(tests) * tests[worst])
    ok = p_value > P_VALUE
    measured = f"(z − μ)/σ of {len(mu):,} draws: {worst} has p = {tests[worst]:.2g}"
    slip = "" if ok else _noise_slip(residuals, sigma, log_sigma)
    return Finding(float(ok), measured, required, p_value, P_VALUE, "p-value", slip=slip)


def normal_p_values(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Tests that two calls' noise, (n, D) each, is standard normal and independent, by what they look at."""
    from scipy.stats import chi2, kstest, pearsonr

    tests = {f"dimension {i + 1}": float(kstest(column, "norm").pvalue) for i, column in enumerate(first.T)}
    below = chi2.cdf((first**2).sum(), first.size)
    tests["the size of the noise"] = float(2 * min(below, 1 - below))

    def together(a: np.ndarray, b: np.ndarray) -> float:
        if min(a.std(), b.std()) < 1e-12:
            return 0.0
        return float(min(1.0, 2 * min(pearsonr(a, b).pvalue, pearsonr(a**2, b**2).pvalue)))

    tests["the noise of neighbouring examples"] = together(first[:-1].ravel(), first[1:].ravel())
    tests["the noise of two calls"] = together(first.ravel(), second.ravel())
    if first.shape[1] > 1:
        tests["the noise of two dimensions"] = together(first[:, 0], first[:, 1])
    return tests


def _noise_slip(residuals: list[np.ndarray], sigma: np.ndarray, log_sigma: np.ndarray) -> str:
    """What else the noise may be."""
    from scipy.stats import kstest

    first, second = residuals
    if np.abs(first).max() < 1e-6:
        return "z is μ itself: there is no noise."
    noise = first / sigma
    if np.allclose(first, second, atol=1e-5):
        return "Two calls draw the same noise: it must be new every time."
    scales = {
        "The noise is not multiplied by σ.": np.ones_like(sigma),
        "The noise is multiplied by σ², not σ.": sigma**2,
        "log σ is read as log σ²: the noise is multiplied by √σ.": np.sqrt(sigma),
        "The noise is multiplied by log σ, not by σ.": np.abs(log_sigma),
    }
    for said, scale in scales.items():
        if kstest((first / scale).ravel(), "norm").pvalue > 1e-3:
            return said
    if np.abs(noise - noise[:1]).max() < 1e-3 * np.abs(noise).max():
        return "All examples of a batch share one draw of noise: each needs its own."
    if noise.shape[1] > 1 and np.abs(noise - noise[:, :1]).max() < 1e-3 * np.abs(noise).max():
        return "All dimensions of an example share one draw of noise: each needs its own."
    if kstest(noise.ravel(), "uniform").pvalue > 1e-3:
        return "The noise is uniform: it should be normal."
    return ""


def passes_the_gradient(
    draw: Callable, gradient: Callable, mu: np.ndarray, log_sigma: np.ndarray, seed: int = 0
) -> Finding:
    """What gradient(μ, log σ, k) says of Σ z is how z = draw(μ, log σ), (B, D), moves with its k-th argument.

    At the same noise, by central differences: whether z is the right draw is asked elsewhere.
    """
    required = "∂z/∂μ and ∂z/∂log σ are the slopes of z"
    direction, at = np.random.default_rng(seed).normal(size=mu.shape).astype(np.float32), (mu, log_sigma)
    for k, name in enumerate(("μ", "log σ")):
        moved = [
            draw(*(a + sign * np.float32(STEP) * direction if i == k else a for i, a in enumerate(at)))
            for sign in (1, -1)
        ]
        slope = (moved[0].astype(np.float64) - moved[1]) / (2 * STEP)
        by = np.asarray(gradient(*at, k), dtype=np.float64) * direction
        if not (_off(by, slope) <= GRADIENT_TOLERANCE).mean() >= MOST:
            none = "no gradient reaches" if not np.any(by) else "another gradient reaches"
            return Finding(0.0, f"{none} {name}", required)
    return Finding(1.0, "the gradient reaches μ and log σ through the sample", required)


def gradient_is_of_the_loss(value: Callable, gradient: Callable, x: np.ndarray, seed: int = 0) -> Finding:
    """gradient(x), (B, …), is the derivative of value(x), (B,), at the same noise, by central differences.

    Each example's value depends on its own x alone, so that one random direction an example is enough. What is
    missing where a sample is cut off from the encoder is the derivative on the way through it. Where the values come
    in double precision the step is so short that it crosses no kink of a ReLU.
    """
    x = np.asarray(x, dtype=np.float64)
    direction = np.random.default_rng(seed).normal(size=x.shape)
    step = PRECISE_STEP if np.asarray(value(x)).dtype == np.float64 else STEP
    moved = [np.asarray(value(x + sign * step * direction), dtype=np.float64) for sign in (1, -1)]
    difference = (moved[0] - moved[1]) / (2 * step)
    along = (np.asarray(gradient(x), dtype=np.float64) * direction).reshape(len(x), -1).sum(axis=1)
    scale = np.maximum(np.abs(along), np.abs(difference))
    off = np.where(scale == 0, 0, np.abs(along - difference) / np.maximum(scale, 1e-30))
    error = float(np.sort(np.nan_to_num(off, nan=np.inf))[int(MOST * len(off))])
    measured = f"the gradient differs from the slope of the loss by {error:.1%} at one example in ten and more"
    if not along.any() and difference.any():
        measured = "no gradient arrives"
    required = f"at most {GRADIENT_TOLERANCE:.0%}"
    return Finding(float(error <= GRADIENT_TOLERANCE), measured, required, error, GRADIENT_TOLERANCE)


# ---- two ways to draw the same thing -------------------------------------------------------------------


def same_distribution(got: np.ndarray, wanted: np.ndarray, name: str, slip: str = "") -> Finding:
    """Two samples of one distribution, (n,) or (n, D): each dimension, and sums and differences of pairs, by
    Kolmogorov–Smirnov."""
    from itertools import combinations

    required = f"agreement with the encoder's and decoder's own Gaussians (p > {P_VALUE:g})"
    a, b = (np.asarray(s, dtype=np.float64).reshape(len(s), -1) for s in (got, wanted))
    if not np.isfinite(a).all():
        return Finding(0.0, f"{name} is nan or infinite", required)
    scale = b.std(axis=0) + 1e-12
    a, b = a / scale, b / scale
    views = [(a[:, i], b[:, i]) for i in range(a.shape[1])]
    for i, j in combinations(range(a.shape[1]), 2):
        views += [(a[:, i] + a[:, j], b[:, i] + b[:, j]), (a[:, i] - a[:, j], b[:, i] - b[:, j])]
    p_value = min(1.0, len(views) * min(p_of_same(*view) for view in views))
    measured = f"{name}: p = {p_value:.2g} over {len(a):,} draws"
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value", slip=slip)


def p_of_same(a: np.ndarray, b: np.ndarray) -> float:
    """How probable it is that (n,) and (m,) draws of one distribution differ so much, by Kolmogorov–Smirnov.

    What is always the same number, up to rounding, is compared as a number.
    """
    from scipy.stats import ks_2samp

    size = SAME * (1 + max(np.abs(a).max(), np.abs(b).max()))
    if max(np.ptp(a), np.ptp(b)) < size:
        return float(abs(a.mean() - b.mean()) < size)
    return float(ks_2samp(a, b).pvalue)


# ---- bounds --------------------------------------------------------------------------------------------


def normal_draw(seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """draw(μ, log σ) = μ + σ ε, with our own noise: (B, D) each -> (B, D)."""
    rng = np.random.default_rng(seed)
    return lambda mu, log_sigma: mu + np.exp(log_sigma) * rng.normal(size=mu.shape)


def ill_conditioned(encode: Callable, decode: Callable, x: np.ndarray, seed: int = 0) -> float:
    """How far the log σ of a random model are from what shows a slip and fits a float: 0 where they do.

    All within ±WIDEST, over x and over the codes drawn for them and for the prior; |log σ| above PLAIN on average; and
    no point is as improbable as e^−DEEP.
    """
    with np.errstate(all="ignore"):  # what overflows is what is asked for
        z = normal_draw(seed)(*encode(x)).astype(np.float32)
        prior = np.random.default_rng(seed).normal(size=z.shape).astype(np.float32)
        found = [np.abs(encode(x)[1]), np.abs(decode(np.concatenate([z, prior]))[1])]
        far = sum(np.maximum(0, s.max() - WIDEST) + np.maximum(0, PLAIN - s.mean()) for s in found)
        far += np.maximum(0, importance_weighted(x, encode, decode, 1, seed).max() / DEEP - 1)
    return float(far) if np.isfinite(far) else np.inf


def importance_weighted(
    x: np.ndarray,
    encode: Callable,
    decode: Callable,
    k: int,
    seed: int = 0,
    nll: Callable = gaussian_nll,
    draw: Callable | None = None,
) -> np.ndarray:
    """−log (1/K) Σ_k p(x | z_k) p(z_k) / q(z_k | x): (B, D) -> (B,). K = 1 is a draw of −ELBO.

    nll: −log of a Gaussian density; draw: of z from μ and log σ. Ours, unless others are given.
    """
    mu, log_sigma = (np.repeat(a, k, axis=0) for a in encode(x))  # (B · K, D)
    z = np.asarray((draw or normal_draw(seed))(mu, log_sigma), dtype=np.float32)
    zero = np.zeros_like(z)
    log_w = -nll(np.repeat(x, k, axis=0), *decode(z)) - nll(z, zero, zero) + nll(z, mu, log_sigma)
    return np.log(k) - log_sum_exp(np.asarray(log_w, dtype=np.float64).reshape(len(x), k))


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """log Σ exp over the last dimension; what is nan stays nan."""
    top = np.maximum(values.max(axis=-1, keepdims=True), -1e300)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.exp(values - top).sum(axis=-1)) + top[..., 0]


class Marginal:
    """log p(x) = log ∫ p(x | z) p(z) dz of a decoder with two latents, by a grid over them.

    The decoder is asked once, before it has seen what x will be: whatever it answers is a mixture of Gaussians with
    our weights, and a normalised density.
    """

    def __init__(self, decode: Callable, cells: int = 200, reach: float = 4.5):
        axis = (np.arange(cells) + 0.5) / cells * 2 * reach - reach
        z = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        log_weight = -(z**2).sum(axis=1) / 2
        self.log_weight = log_weight - np.log(np.exp(log_weight).sum())
        order = np.random.default_rng(cells).permutation(len(z))
        mu, log_sigma = (np.asarray(a, dtype=np.float64) for a in decode(z[order].astype(np.float32)))
        # log w + log N(x; μ, σ²) is a polynomial in x: c + b x + a x².
        self.a = -np.exp(-2 * log_sigma) / 2
        self.b = -2 * self.a * mu
        self.c = self.log_weight[order] - gaussian_nll(np.zeros(()), mu, log_sigma)

    def log_prob(self, x: np.ndarray, rows: int = 20) -> np.ndarray:
        """(B, D) -> (B,), so many rows at a time: what they need stays in the processor's cache."""
        parts = np.split(np.asarray(x, dtype=np.float64), range(rows, len(x), rows))
        return np.concatenate([log_sum_exp(self.c + part @ self.b.T + part**2 @ self.a.T) for part in parts])


def in_order(bounds: dict[str, np.ndarray]) -> Finding:
    """Means of losses on the same data, {name: (B,)}, never rise from one to the next."""
    names, values = list(bounds), [np.asarray(v, dtype=np.float64) for v in bounds.values()]
    required = " ≥ ".join(names)
    measured = " ≥ ".join(f"{v.mean():.3f}" for v in values)
    if not np.isfinite(values).all():
        return Finding(0.0, "some bounds are nan or infinite", required)
    strain, worst = 0.0, ""
    for k in range(len(values) - 1):
        rise = values[k + 1] - values[k]
        allowed = ERRORS * rise.std() / np.sqrt(len(rise)) + ORDER_TOLERANCE
        if rise.mean() / allowed > strain:
            strain = rise.mean() / allowed
            worst = f"{names[k]} {values[k].mean():.3f} is below {names[k + 1]} {values[k + 1].mean():.3f}"
    ok = strain <= 1
    return Finding(float(ok), measured if ok else worst, required, strain, 1.0)


def none_far_below(bound: np.ndarray, exact: np.ndarray) -> Finding:
    """No bound on −log p(x), an average of K weights, lies far below −log p(x), (B,) each.

    The weights have the mean p(x), so that by Markov's inequality one lies t nats below it once in e^t times.
    """
    below = float(np.nan_to_num(exact - bound, nan=np.inf).max())
    required = f"nowhere more than {BELOW:g} nats below −log p"
    return Finding(
        float(below <= BELOW), f"the bound is up to {max(below, 0):.1f} nats below −log p", required, below, BELOW
    )


BELOW = 25.0


# ---- images --------------------------------------------------------------------------------------------


def noises(mu: np.ndarray, log_sigma: np.ndarray, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """n draws z (n, D) of one Gaussian (1, D), the right ones first, then wrong ones: {what is wrong: z}."""
    rng, sigma = np.random.default_rng(seed), np.exp(log_sigma)
    epsilon = rng.normal(size=(n, mu.shape[1]))
    return {
        "": mu + sigma * epsilon,
        "There is no noise: z is μ_z itself. The term is of a draw, in eval mode too.": mu + 0 * epsilon,
        "The noise is not multiplied by σ.": mu + epsilon,
        "The noise is multiplied by σ², not σ.": mu + sigma**2 * epsilon,
        "log σ is read as log σ²: the noise is multiplied by √σ.": mu + np.sqrt(sigma) * epsilon,
        "The noise is multiplied by log σ, not by σ.": mu + log_sigma * epsilon,
        "The noise is uniform: it should be normal.": mu + sigma * rng.random(epsilon.shape),
        "All dimensions of an example share one draw of noise: each needs its own.": mu + sigma * epsilon[:, :1],
    }


def _simplest(p_values: dict):
    """The first that agrees, of what is sorted by how likely a slip it is; two may agree about as well."""
    agree = [k for k, p in p_values.items() if p > 0.01]
    return agree[0] if agree else max(p_values, key=p_values.get)  # type: ignore[arg-type]  # each has its value


def unit_gaussian(
    got: np.ndarray, squares: dict[str, Callable[[], np.ndarray]], dims: int, part: str = "pixel"
) -> tuple[Finding, Finding]:
    """Draws of a reconstruction term, (n,), are d/2 log 2π + ½ ‖x − μ_x(z)‖², and their z are μ + σ ε.

    squares: what gives ‖x − μ_x(z)‖² of the z of `noises`, (n,) each; of the wrong ones it is asked where the right
    ones do not agree. part: what an example is made of. Two findings: the formula is right with one noise or
    another, and the noise is with one formula or another.
    """
    constant = 0.5 * np.log(2 * np.pi) * dims
    formulas = {
        "": lambda s: constant + s / 2,
        "The constant d/2 · log 2π is missing.": lambda s: s / 2,
        "The ½ before the squares is missing.": lambda s: constant + s,
        f"The squares are averaged over the {part}s, and must be summed.": lambda s: constant + s / dims / 2,
        f"It is the mean squared error: sum over the {part}s, halve, and add the constant.": lambda s: s / dims,
        "It is the squared error: halve it, and add the constant.": lambda s: s,
        f"One ½ log 2π is not enough: every {part} has its own.": lambda s: constant / dims + s / 2,
        f"Everything is divided by the number of {part}s: it must be summed.": lambda s: (constant + s / 2) / dims,
        "Its sign is wrong: it is the negative logarithm.": lambda s: -constant - s / 2,
    }
    required = f"d/2 log 2π + ½ ‖x − μ_x(z)‖², z = μ_z + σ_z ε (p > {P_VALUE:g})"
    got = np.asarray(got, dtype=np.float64)
    if not np.isfinite(got).all():
        broken = Finding(0.0, "the reconstruction term is nan or infinite", required)
        return broken, broken
    right = squares[""]()
    p = p_of_same(got, formulas[""](right))
    if p > P_VALUE:
        measured = f"the reconstruction term: p = {p:.2g} over {len(got):,} draws"
        fine = Finding(1.0, measured, required, p, P_VALUE, "p-value")
        return fine, fine
    every = {noise: draw() for noise, draw in squares.items()}
    p_values = {(f, n): p_of_same(got, formulas[f](every[n])) for f in formulas for n in every}
    formula, noise = _simplest(p_values)
    known = p_values[formula, noise] > P_VALUE
    formula_is_right = max(p_values["", n] for n in every) > P_VALUE
    noise_is_right = max(p_values[f, ""] for f in formulas) > P_VALUE
    if formula_is_right and noise_is_right:  # one of them by chance: what agrees best decides
        formula_is_right, noise_is_right = formula == "", noise == ""
    elif noise_is_right:
        formula = _simplest({f: p_values[f, ""] for f in formulas})
    elif formula_is_right:
        noise = _simplest({n: p_values["", n] for n in every})
    if not known:  # perhaps one draw for all: then the formula is right if the value is one of those it gives
        inside = {f: formulas[f](right).min() <= got.mean() <= formulas[f](right).max() for f in formulas}
        shared = np.ptp(got) < SAME * (1 + np.abs(got).max()) and any(inside.values())
        noise = "All examples of a batch share one draw of noise: each needs its own." if shared else ""
        formula_is_right = shared and inside[""]
        formula = _nearest_formula(got, {f: formulas[f](right) for f in formulas}, with_spread=not shared)
        if not shared:
            noise = "It is none of the sums that it may be: mend it first, then its draws show whether z = μ_z + σ_z ε."
    mean = f"{got.mean():.4g} on average where {formulas[''](right).mean():.4g} is right, p = {p:.2g}"
    return (
        Finding(float(formula_is_right), f"the reconstruction term: {mean}", required, slip=formula),
        Finding(float(noise_is_right), f"draws of the reconstruction term do not agree: {mean}", required, slip=noise),
    )


def _nearest_formula(got: np.ndarray, slips: dict[str, np.ndarray], with_spread: bool) -> str:
    """The slip whose mean is as good as the mean of what came, if there is one; and whose spread, where it has one."""
    off = {said: abs(got.mean() - v.mean()) / (1e-9 + v.std() + 1e-3 * abs(v.mean())) for said, v in slips.items()}
    likely = min(off, key=off.get)  # type: ignore[arg-type]  # each has its value
    spread = slips[likely].std()
    alike = not with_spread or 0.7 * spread < got.std() < 1.4 * spread
    return likely if off[likely] < 1 and alike else ""


def gradient_reaches(by_mu: dict, by_log_sigma: dict, by_loss: dict) -> Finding:
    """The loss has a gradient for the encoder's parameters: for those of μ alone and for those of log σ alone.

    Gradients {name: array or None} of Σ μ_z, of Σ log σ_z and of the reconstruction term by the parameters.
    """
    required = "the gradient of the reconstruction reaches μ_z and σ_z"
    if not any(grad is not None and np.any(grad) for key, grad in by_loss.items() if by_mu[key] is not None):
        return Finding(0.0, "of the parameters that make μ_z, none get a gradient", required)
    for own, other, name in ((by_mu, by_log_sigma, "μ_z"), (by_log_sigma, by_mu, "σ_z")):
        wanted = arrived = 0
        for key, grad in own.items():
            if grad is None:
                continue
            alone = (grad != 0) & (True if other[key] is None else other[key] == 0)
            wanted += int(alone.sum())
            arrived += 0 if by_loss[key] is None else int((alone & (by_loss[key] != 0)).sum())
        if wanted and arrived <= MOST * wanted:
            got = "none" if not arrived else f"{arrived:,} of {wanted:,}"
            return Finding(0.0, f"of the parameters that make {name}, {got} get a gradient", required)
    return Finding(1.0, "the gradient arrives", required)


def active_latents(mu: np.ndarray, log_sigma: np.ndarray, fewest: int) -> Finding:
    """At least so many latents say something: a mean KL of ACTIVE nats, over the posteriors of data, (n, D) each."""
    kl, active = _kl_of_each(mu, log_sigma), used_latents(mu, log_sigma)
    required = f"at least {fewest} of {len(kl)} with a KL above {ACTIVE:g} nats"
    plot = {"kind": "bars", "series": {"KL": np.sort(np.nan_to_num(kl, nan=0, posinf=0))[::-1]}, "x": "latent"}
    return Finding(float(active >= fewest), f"{active} active latents", required, active, fewest, "at least", plot)


def used_latents(mu: np.ndarray, log_sigma: np.ndarray) -> int:
    """How many latents say something."""
    return int((_kl_of_each(mu, log_sigma) > ACTIVE).sum())


def _kl_of_each(mu: np.ndarray, log_sigma: np.ndarray) -> np.ndarray:
    return np.stack([gaussian_kl(mu[:, [i]], log_sigma[:, [i]]).mean() for i in range(mu.shape[1])])


def same_arrays(got: np.ndarray, wanted: np.ndarray, name: str, required: str) -> Finding:
    """Two ways to compute the same thing agree, up to rounding."""
    scale = 1 + np.abs(wanted).max()
    error = float(np.nan_to_num(np.abs(got - wanted), nan=np.inf).max() / scale)
    measured = f"{name}: the same" if error <= SAME else f"{name} differs by up to {error * scale:.2g}"
    return Finding(float(error <= SAME), measured, required)


# ---- codebooks -----------------------------------------------------------------------------------------


def nearest_codes(z: np.ndarray, chosen: np.ndarray, codebook: np.ndarray) -> Finding:
    """chosen (n,) are the rows of codebook (K, D) nearest to z (n, D), by brute force; ties go either way."""
    distances = ((z[:, None].astype(np.float64) - codebook) ** 2).sum(axis=2)
    required = "the nearest code everywhere"
    if chosen.min() < 0 or chosen.max() >= len(codebook):
        return Finding(0.0, f"codes from {chosen.min()} to {chosen.max()}", f"codes 0 … {len(codebook) - 1}")
    own, least = distances[np.arange(len(z)), chosen], distances.min(axis=1)
    wrong = own > least + SAME * (1 + least)
    slip = "These are the codes that are farthest away." if np.array_equal(chosen, distances.argmax(axis=1)) else ""
    if not slip and wrong.any() and np.array_equal(chosen, (z @ codebook.T).argmax(axis=1)):
        slip = "The largest product z · e is not the smallest distance: ‖e‖² is missing."
    return Finding(
        float(not wrong.any()), f"{int(wrong.sum())} of {len(z)} codes are not the nearest", required, slip=slip
    )


def same_gradient(got: np.ndarray | None, wanted: np.ndarray, name: str) -> Finding:
    """A gradient is what it must be; where nothing may arrive, `wanted` is zero."""
    required = f"{name}: {'none' if not wanted.any() else 'the right one'}"
    got = np.zeros_like(wanted) if got is None else got
    scale = np.abs(wanted).max() or 1.0
    error = float(np.nan_to_num(np.abs(got - wanted), nan=np.inf).max() / scale)
    if error <= 1e-3:
        return Finding(1.0, f"{name} is as it must be", required)
    if not got.any():
        return Finding(0.0, f"{name} is missing", required)
    return Finding(0.0, f"{name} {'should be zero' if not wanted.any() else 'is another one'}", required)


def same_gradients(got: dict, wanted: dict, name: str) -> Finding:
    """The same of {parameter: gradient or None}."""
    for key, grad in wanted.items():
        finding = same_gradient(got[key], np.zeros(1) if grad is None else grad, f"the gradient of {name} by {key}")
        if not finding.passed:
            return finding
    return Finding(1.0, f"the gradients of {name} are as they must be", "the right gradients")


def moves(grads: dict, wanted: set[str], name: str) -> Finding:
    """Of the parameters {name: gradient or None}, all those in `wanted` get a gradient, and no other."""
    required = f"{name} moves {_listed(wanted)} and nothing else"
    moved = {key for key, grad in grads.items() if grad is not None and np.any(grad)}
    if extra := moved - wanted:
        return Finding(0.0, f"{name} moves {_listed(extra)}", required)
    if missing := wanted - moved:
        return Finding(0.0, f"{name} does not move {_listed(missing)}", required)
    return Finding(1.0, f"{name} moves what it must", required)


def _listed(names: set[str], most: int = 3) -> str:
    shown = sorted(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def usage(chosen: np.ndarray, codes: int, share: float) -> Finding:
    """More than this share of the codes occurs in chosen, whole numbers of any shape; in part where it is fewer."""
    counts = np.bincount(chosen.ravel(), minlength=codes)
    used, fewest = int((counts > 0).sum()), int(share * codes) + 1
    plot = {"kind": "bars", "series": {"places": np.sort(counts)[::-1]}, "x": "code"}
    found = min(1.0, max(used - 1, 0) / (fewest - 1))
    return Finding(found, f"{used} of {codes} codes are used", f"at least {fewest}", used, fewest, "at least", plot)


# ---- disentanglement -----------------------------------------------------------------------------------


def slope_is_the_kl(losses: dict[float, np.ndarray], mu: np.ndarray, log_sigma: np.ndarray) -> Finding:
    """A loss at several β and the same noise, {β: (B,)}, is a straight line whose slope is the KL of (μ, log σ)."""
    first, *others = losses
    slopes = [(losses[beta] - losses[first]) / (beta - first) for beta in others]
    if (_off(slopes[0], slopes[-1]) > 100 * FORMULA_TOLERANCE).any():
        return Finding(0.0, "the loss is no straight line in β", "reconstruction + β · KL")
    return kl_of(slopes[-1], mu, log_sigma)  # the longest step, where rounding counts least


def larger_gap(
    codes: np.ndarray, others: np.ndarray, factors: np.ndarray, names: Sequence[str], replicates: int = 100
) -> Finding:
    """Every factor's mutual-information gap in `codes` (n, D) is above the mean gap in `others`, of the same n images.

    By more than three standard deviations, which come from a paired bootstrap: images are drawn again with their
    factors and both codes, `replicates` times. factors: int (n, F), called `names`. The mean, because one factor or
    another lies along a latent by luck; where the means differ by less, nothing holds.
    """
    here, there = (information.gaps(c, factors) for c in (codes, others))
    lead = here - there.mean()  # (F,)
    leads = _leads_drawn_again(codes, others, factors, replicates)  # (replicates, F)
    away = lead / np.maximum(leads.std(axis=0, ddof=1), 1e-6)  # in standard deviations
    on_average = lead.mean() > DEVIATIONS * leads.mean(axis=1).std(ddof=1)
    said = ", ".join(f"{name} {a:.2f} against {b:.2f}" for name, a, b in zip(names, here, there, strict=True))
    least = int(away.argmin())
    return Finding(
        float(on_average * (away > DEVIATIONS).mean()),
        f"gaps of {said}; {names[least]} is {away[least]:.1f} standard deviations above their mean",
        f"every gap above the other's mean, by {DEVIATIONS:g} standard deviations",
        float(away[least]),
        DEVIATIONS,
        "at least",
        {"kind": "bars", "series": {"gap": here, "the other's": there}, "x": "factor"},
    )


def _leads_drawn_again(codes: np.ndarray, others: np.ndarray, factors: np.ndarray, replicates: int) -> np.ndarray:
    """How far each gap in `codes` is above the mean gap in `others`, of images drawn with replacement: (replicates, F).

    What is drawn is how often each image counts, so that the latents are put into bins once.
    """
    n, rng = len(factors), np.random.default_rng(0)
    bins, others_bins = information.binned(codes), information.binned(others)

    def lead(counts: np.ndarray) -> np.ndarray:
        gaps, theirs = (information.gaps_of(information.of_binned(b, factors, counts)) for b in (bins, others_bins))
        return gaps - theirs.mean()

    drawn = (np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64) for _ in range(replicates))
    return np.stack([lead(counts) for counts in drawn])
