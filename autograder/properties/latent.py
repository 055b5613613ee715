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
MOST = 0.9
# Bounds are means over data. Their differences may be out of order by this many standard errors …
ERRORS = 5.0
# The same numbers computed in batches of another size, or summed in another order.
SAME = 1e-4
# A latent whose posterior differs from the prior by less, in nats on average, says nothing that a decoder could use.
ACTIVE = 0.05
# … and by this much (nats): rounding, and the grid of a quadrature.
ORDER_TOLERANCE = 5e-3
# Mutual-information gaps of two models differ when they do so by this many standard deviations of the images drawn.
DEVIATIONS = 3.0


# ---- formulas ------------------------------------------------------------------------------------------


def gaussian_nll(x: np.ndarray, mu: np.ndarray, log_sigma: np.ndarray) -> np.ndarray:
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
    right = gaussian_kl(m, s)
    return formula("KL", got, right, {
        "Its sign is wrong: a divergence is never negative.": -right,
        "It is averaged over the dimensions of z, and must be summed.": right / dims,
        "It takes log σ for σ.": (-np.log(np.abs(s)) + s**2 / 2 + m**2 / 2 - 0.5).sum(1),
        "It takes σ where σ² belongs.": (-s + sigma / 2 + m**2 / 2 - 0.5).sum(1),
        "It reads log σ as log σ².": (-s / 2 + sigma / 2 + m**2 / 2 - 0.5).sum(1),
        "The ½ that is taken away in each dimension is missing.": right + dims / 2,
        "The sign of log σ is wrong.": right + 2 * s.sum(1),
        "It is the divergence the other way round, of the prior from q.":
            (s + (1 + m**2) / (2 * sigma**2) - 0.5).sum(1),
        "It is twice the divergence: is a ½ missing?": 2 * right,
    })  # fmt: skip


def nll_is_right(nll: Callable, dims: int, seed: int = 0) -> Finding:
    """nll(x, μ, log σ) is −log N(x; μ, σ²), with every constant, for random points and Gaussians."""
    (mu, log_sigma), rng = gaussians(300, dims, seed), np.random.default_rng(seed + 1)
    m, s = mu.astype(np.float64), log_sigma.astype(np.float64)
    sigma = np.exp(s)
    x = (m + 1.5 * sigma * rng.normal(size=m.shape)).astype(np.float32)
    right, squares = gaussian_nll(x, m, s), (x - m) ** 2
    constant = 0.5 * np.log(2 * np.pi)
    return formula("the reconstruction term", nll(x, mu, log_sigma), right, {
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
    })  # fmt: skip


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
    worst = min(tests, key=tests.get)
    p_value = min(1.0, len(tests) * tests[worst])
    ok = p_value > P_VALUE
    measured = f"(z − μ)/σ of {len(mu):,} draws: {worst} has p = {tests[worst]:.2g}"
    return Finding(float(ok), measured, required, p_value, P_VALUE, "p-value",
                   slip="" if ok else _noise_slip(residuals, sigma, log_sigma))  # fmt: skip


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
    for scale, said in (
        (np.ones_like(sigma), "The noise is not multiplied by σ."), (sigma**2, "The noise is multiplied by σ², not σ."),
        (np.sqrt(sigma), "log σ is read as log σ²: the noise is multiplied by √σ."),
        (np.abs(log_sigma), "The noise is multiplied by log σ, not by σ."),
    ):  # fmt: skip
        if kstest((first / scale).ravel(), "norm").pvalue > 1e-3:
            return said
    if np.abs(noise - noise[:1]).max() < 1e-3 * np.abs(noise).max():
        return "All examples of a batch share one draw of noise: each needs its own."
    if noise.shape[1] > 1 and np.abs(noise - noise[:, :1]).max() < 1e-3 * np.abs(noise).max():
        return "All dimensions of an example share one draw of noise: each needs its own."
    if kstest(noise.ravel(), "uniform").pvalue > 1e-3:
        return "The noise is uniform: it should be normal."
    return ""


def passes_the_gradient(z: np.ndarray, mu: np.ndarray, by_mu: np.ndarray, by_log_sigma: np.ndarray) -> Finding:
    """∂z/∂μ = 1 and ∂z/∂log σ = z − μ: the gradient of a mean over the noise is the mean of the gradients."""
    required = "∂z/∂μ = 1 and ∂z/∂log σ = z − μ"
    for by, right, name in ((by_mu, np.ones_like(mu), "μ"), (by_log_sigma, z - mu, "log σ")):
        if not (_off(by, right) <= 1e-3).all():
            none = "no gradient reaches" if not np.any(by) else "another gradient reaches"
            return Finding(0.0, f"{none} {name}", required)
    return Finding(1.0, "the gradient reaches μ and log σ through the sample", required)


def gradient_is_of_the_loss(value: Callable, gradient: Callable, x: np.ndarray, seed: int = 0) -> Finding:
    """gradient(x), (B, …), is the derivative of value(x), (B,), at the same noise, by central differences.

    Each example's value depends on its own x alone, so that one random direction an example is enough. What is
    missing where a sample is cut off from the encoder is the derivative on the way through it.
    """
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=x.shape).astype(np.float32)
    steps = [value(x + sign * np.float32(STEP) * direction).astype(np.float64) for sign in (1, -1)]
    difference = (steps[0] - steps[1]) / (2 * STEP)
    along = (np.asarray(gradient(x), dtype=np.float64) * direction).reshape(len(x), -1).sum(axis=1)
    scale = np.maximum(np.abs(along), np.abs(difference))
    off = np.where(scale == 0, 0, np.abs(along - difference) / np.maximum(scale, 1e-30))
    error = float(np.sort(np.nan_to_num(off, nan=np.inf))[int(MOST * len(off))])
    measured = f"the gradient differs from the slope of the loss by {error:.1%} at one example in ten and more"
    if not along.any() and difference.any():
        measured = "no gradient arrives"
    return Finding(float(error <= GRADIENT_TOLERANCE), measured, f"at most {GRADIENT_TOLERANCE:.0%}", error,
                   GRADIENT_TOLERANCE)  # fmt: skip


# ---- two ways to draw the same thing -------------------------------------------------------------------


def same_distribution(got: np.ndarray, wanted: np.ndarray, name: str, slip: str = "") -> Finding:
    """Two samples of one distribution, (n,) or (n, D): each dimension, and sums and differences of pairs, by
    Kolmogorov–Smirnov."""
    from itertools import combinations

    from scipy.stats import ks_2samp

    required = f"agreement with the encoder's and decoder's own Gaussians (p > {P_VALUE:g})"
    a, b = (np.asarray(s, dtype=np.float64).reshape(len(s), -1) for s in (got, wanted))
    if not np.isfinite(a).all():
        return Finding(0.0, f"{name} is nan or infinite", required)
    scale = b.std(axis=0) + 1e-12
    a, b = a / scale, b / scale
    views = [(a[:, i], b[:, i]) for i in range(a.shape[1])]
    for i, j in combinations(range(a.shape[1]), 2):
        views += [(a[:, i] + a[:, j], b[:, i] + b[:, j]), (a[:, i] - a[:, j], b[:, i] - b[:, j])]
    p_value = min(1.0, len(views) * min(float(ks_2samp(*view).pvalue) for view in views))
    measured = f"{name}: p = {p_value:.2g} over {len(a):,} draws"
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value", slip=slip)


# ---- bounds --------------------------------------------------------------------------------------------


def importance_weighted(x: np.ndarray, encode: Callable, decode: Callable, k: int, seed: int = 0) -> np.ndarray:
    """−log (1/K) Σ_k p(x | z_k) p(z_k) / q(z_k | x), with our own noise: (B, D) -> (B,). K = 1 is a draw of −ELBO."""
    from scipy.special import logsumexp

    rng = np.random.default_rng(seed)
    mu, log_sigma = (np.asarray(a, dtype=np.float64)[:, None] for a in encode(x))
    B, _, D = mu.shape
    z = mu + np.exp(log_sigma) * rng.normal(size=(B, k, D))
    mu_x, log_sigma_x = (np.asarray(a).reshape(B, k, -1) for a in decode(z.reshape(B * k, D).astype(np.float32)))
    zero = np.zeros(())
    log_w = -gaussian_nll(x[:, None], mu_x, log_sigma_x) - gaussian_nll(z, zero, zero) + gaussian_nll(z, mu, log_sigma)
    return np.log(k) - logsumexp(log_w, axis=1)


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
        self.mu, self.log_sigma, self.log_weight = mu, log_sigma, self.log_weight[order]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """(B, D) -> (B,)."""
        from scipy.special import logsumexp

        return np.array([logsumexp(self.log_weight - gaussian_nll(row, self.mu, self.log_sigma)) for row in x])


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
            strain, worst = rise.mean() / allowed, f"{names[k]} {values[k].mean():.3f} is below {names[k + 1]} " \
                f"{values[k + 1].mean():.3f}"  # fmt: skip
    ok = strain <= 1
    return Finding(float(ok), measured if ok else worst, required, strain, 1.0)


# ---- images --------------------------------------------------------------------------------------------


def unit_gaussian(got: np.ndarray, squares: np.ndarray, dims: int) -> Finding:
    """Draws of a reconstruction term are d/2 log 2π + ½ ‖x − μ_x‖², whose squares we drew ourselves, (n,) each."""
    constant = 0.5 * np.log(2 * np.pi) * dims
    slips = {
        "The constant d/2 · log 2π is missing.": squares / 2,
        "The ½ before the squares is missing.": constant + squares,
        "The squares are averaged over the pixels, and must be summed.": constant + squares / dims / 2,
        "It is the mean squared error: sum over the pixels, halve, and add the constant.": squares / dims,
        "It is the squared error: halve it, and add the constant.": squares,
        "One ½ log 2π is not enough: every pixel has its own.": 0.5 * np.log(2 * np.pi) + squares / 2,
        "Everything is divided by the number of pixels: it must be summed.": (constant + squares / 2) / dims,
    }
    near = {said: abs(np.mean(got) - v.mean()) / (1e-9 + v.std() + 1e-3 * abs(v.mean())) for said, v in slips.items()}
    likely = min(near, key=near.get)
    return same_distribution(got, constant + squares / 2, "the reconstruction term", likely if near[likely] < 1 else "")


def gradient_reaches(by_mu: dict, by_log_sigma: dict, by_loss: dict) -> Finding:
    """The loss has a gradient for the encoder's parameters: for those of μ alone and for those of log σ alone.

    Gradients {name: array or None} of Σ μ_z, of Σ log σ_z and of the reconstruction term by the parameters.
    """
    required = "the gradient of the reconstruction reaches μ_z and σ_z"
    for own, other, name in ((by_mu, by_log_sigma, "μ_z"), (by_log_sigma, by_mu, "σ_z")):
        wanted = arrived = 0
        for key, grad in own.items():
            if grad is None:
                continue
            alone = (grad != 0) & (True if other[key] is None else other[key] == 0)
            wanted += int(alone.sum())
            arrived += 0 if by_loss[key] is None else int((alone & (by_loss[key] != 0)).sum())
        if arrived <= MOST * wanted * (wanted > 0):
            got = "none" if not arrived else f"{arrived:,} of {wanted:,}"
            return Finding(0.0, f"of the parameters that make {name}, {got} get a gradient", required)
    return Finding(1.0, "the gradient arrives", required)


def active_latents(mu: np.ndarray, log_sigma: np.ndarray, fewest: int) -> Finding:
    """At least so many latents say something: a mean KL of ACTIVE nats, over the posteriors of data, (n, D) each."""
    kl = np.stack([gaussian_kl(mu[:, [i]], log_sigma[:, [i]]).mean() for i in range(mu.shape[1])])
    active = int((kl > ACTIVE).sum())
    required = f"at least {fewest} of {len(kl)} with a KL above {ACTIVE:g} nats"
    plot = {"kind": "bars", "series": {"KL": np.sort(np.nan_to_num(kl, nan=0, posinf=0))[::-1]}, "x": "latent"}
    return Finding(float(active >= fewest), f"{active} active latents", required, active, fewest, "at least", plot)


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
    """More than this share of the codes occurs in chosen, whole numbers of any shape."""
    counts = np.bincount(chosen.ravel(), minlength=codes)
    used, fewest = int((counts > 0).sum()), int(share * codes) + 1
    plot = {"kind": "bars", "series": {"places": np.sort(counts)[::-1]}, "x": "code"}
    return Finding(float(used >= fewest), f"{used} of {codes} codes are used", f"at least {fewest}", used, fewest,
                   "at least", plot)  # fmt: skip


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
    rng, n = np.random.default_rng(0), len(factors)
    places = [information.binned(c) for c in (codes, others)]
    here, there = (information.gaps(c, factors) for c in (codes, others))
    drawn = np.empty((replicates, factors.shape[1]))
    for k in range(replicates):
        weights = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        gaps = [information.gaps_of(information.of_binned(p, factors, weights)) for p in places]
        drawn[k] = gaps[0] - gaps[1].mean()
    away = (here - there.mean()) / np.maximum(drawn.std(axis=0, ddof=1), 1e-6)  # in standard deviations
    larger = here.mean() - there.mean() > DEVIATIONS * drawn.mean(axis=1).std(ddof=1)
    low = int(away.argmin())
    said = ", ".join(f"{name} {a:.2f} against {b:.2f}" for name, a, b in zip(names, here, there, strict=True))
    plot = {"kind": "bars", "series": {"gap": here, "the other's": there}, "x": "factor"}
    measured = f"gaps of {said}; {names[low]} is {away[low]:.1f} standard deviations above their mean"
    required = f"every gap above the other's mean, by {DEVIATIONS:g} standard deviations"
    share = float(larger * (away > DEVIATIONS).mean())
    return Finding(share, measured, required, float(away[low]), DEVIATIONS, "at least", plot=plot)
