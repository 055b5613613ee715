"""Diffusion and flow matching: what is known exactly of data with noise, and what samplers and solvers must do.

The data are mixtures of Gaussians. With Gaussian noise they are mixtures of Gaussians again, so that at every noise
level x_t = α x_0 + σ ε the density, the best denoiser, the least loss and the velocity of the flow are known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autograder.properties.finding import Finding

EXACT = 2e-4  # relative to the size of the numbers: single precision, over a few dozen operations
P_VALUE = 1e-6  # a right answer is rejected once in a million
ORDER = 0.6  # an order is measured to so much where a few hundred points are followed
ROUNDING = 3e-6  # of points of unit size in single precision, over some dozens of steps
TRACE = 1e-3  # of a divergence, relative: it may be computed in single precision

Field = Callable[[np.ndarray, float], np.ndarray]


@dataclass(frozen=True)
class Mixture:
    """Σ_k π_k N(μ_k, Σ_k): weights (K,), means (K, D), covariances (K, D, D). Of one component: a Gaussian."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @property
    def dims(self) -> int:
        """D, of x_0."""
        return self.means.shape[1]

    @property
    def arguments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, means and covariances."""
        return self.weights, self.means, self.covariances

    def draw(self, n: int, seed: int) -> np.ndarray:
        """n draws, float64 (n, D)."""
        rng = np.random.default_rng(seed)
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        roots = np.linalg.cholesky(self.covariances)
        return self.means[k] + np.einsum("nij,nj->ni", roots[k], rng.standard_normal((n, self.dims)))

    def log_prob(self, x: np.ndarray, alpha=1.0, sigma=0.0) -> np.ndarray:
        """log density of α x_0 + σ ε at x (B, D): (B,)."""
        log_joint, _, _ = self._parts(x, alpha, sigma)
        largest = log_joint.max(axis=1)
        return largest + np.log(np.exp(log_joint - largest[:, None]).sum(axis=1))

    def noise(self, x: np.ndarray, alpha, sigma) -> np.ndarray:
        """E[ε | α x_0 + σ ε = x]: (B, D). The score is that, divided by −σ."""
        return self.density_and_noise(x, alpha, sigma)[1]

    def density_and_noise(self, x: np.ndarray, alpha, sigma) -> tuple[np.ndarray, np.ndarray]:
        """The density of α x_0 + σ ε at x, (B,), and E[ε | α x_0 + σ ε = x], (B, D)."""
        log_joint, y, spread = self._parts(x, alpha, sigma)
        largest = log_joint.max(axis=1, keepdims=True)
        joint = np.exp(log_joint - largest)
        total = joint.sum(axis=1, keepdims=True)
        noise = _column(sigma) * self._turned_back((joint / total)[..., None] * y / spread)
        return (np.exp(largest) * total)[:, 0], noise

    def denoised(self, x: np.ndarray, alpha, sigma) -> np.ndarray:
        """E[x_0 | α x_0 + σ ε = x]: (B, D)."""
        log_joint, y, spread = self._parts(x, alpha, sigma)
        p, variances = _softmax(log_joint), self._axes[0]
        return p @ self.means + self._turned_back(p[..., None] * _column(alpha)[..., None] * variances * y / spread)

    def velocity(self, x: np.ndarray, t) -> np.ndarray:
        """E[x_1 − x_0 | (1 − t) x_0 + t x_1 = x], with data x_1 and noise x_0: (B, D)."""
        return self.denoised(x, t, 1 - np.asarray(t)) - self.noise(x, t, 1 - np.asarray(t))

    @cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Σ_k = U_k diag(λ_k) U_kᵀ: λ (K, D), U (K, D, D)."""
        return np.linalg.eigh(self.covariances)

    def _parts(self, x: np.ndarray, alpha, sigma) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log π_k N(x; α μ_k, S_k), (B, K), with S_k = α² Σ_k + σ² I; along their axes x − α μ_k and S_k, (B, K, D)."""
        a, s = (_column(v)[..., None] for v in (alpha, sigma))  # (B or 1, 1, 1)
        (variances, axes), (K, D) = self._axes, self.means.shape
        turned = (x @ axes.transpose(1, 0, 2).reshape(D, K * D)).reshape(-1, K, D)
        y = turned - a * np.einsum("kij,ki->kj", axes, self.means)
        spread = a**2 * variances + s**2
        squares = y**2 / spread + np.log(2 * np.pi * spread)
        log_normal = -sum(squares[..., i] for i in range(D)) / 2  # np.sum is slow along a short axis
        return np.log(self.weights) + log_normal, y, spread

    def _turned_back(self, y: np.ndarray) -> np.ndarray:
        """Σ_k U_k y_k: (B, K, D) -> (B, D)."""
        K, D = self.means.shape
        return y.reshape(-1, K * D) @ self._axes[1].transpose(0, 2, 1).reshape(K * D, D)


def mixture(dims: int, seed: int, components: int = 3, narrowest: float = 0.35) -> Mixture:
    """A random mixture, of about unit size. One component: a Gaussian, tilted and off centre."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(5 * np.ones(components))
    means = rng.normal(size=(components, dims)) * (1.2 if components > 1 else 0.7)
    turns = np.linalg.qr(rng.normal(size=(components, dims, dims)))[0]
    widths = rng.uniform(narrowest, 1.1, size=(components, dims))
    return Mixture(weights, means, np.einsum("kij,kj,klj->kil", turns, widths**2, turns))


def _column(value) -> np.ndarray:
    """A number, or one for each example, as a column."""
    return np.asarray(value, dtype=np.float64).reshape(-1, 1)


def _softmax(log_p: np.ndarray) -> np.ndarray:
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


# ---- what no network goes below ------------------------------------------------------------------------


def floor(data: Mixture, alpha: float, sigma: float) -> float:
    """E‖ε − E[ε | x_t]‖² = D − E‖E[ε | x_t]‖²: the least loss at a noise level, by the trapezoid rule on a grid,
    which for Gaussians is exact to rounding."""
    if sigma == 0:
        return float(data.dims)
    x, cell = _grid(data, alpha, sigma)
    p, noise = data.density_and_noise(x, alpha, sigma)
    return float(data.dims - (p @ noise**2).sum() * cell)


def _grid(data: Mixture, alpha: float, sigma: float) -> tuple[np.ndarray, float]:
    """Points (n, D) that hold all of α x_0 + σ ε, half of its narrowest width apart, and the volume of a cell."""
    covariances = alpha**2 * data.covariances + sigma**2 * np.eye(data.dims)
    step = np.sqrt(np.linalg.eigvalsh(covariances).min()) / 2
    reach = 8 * np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))  # (K, D)
    low, high = (alpha * data.means - reach).min(axis=0), (alpha * data.means + reach).max(axis=0)
    axes = [np.arange(a, b + step, step) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, data.dims)
    return grid, step**data.dims


# ---- findings ------------------------------------------------------------------------------------------


def agrees(
    name: str,
    got: np.ndarray,
    right: np.ndarray,
    required: str,
    slips: dict[str, np.ndarray] | None = None,
    within=EXACT,
) -> Finding:
    """got = right, up to rounding. slips: what else it may be, {what is wrong: the values}."""
    error = _off(got, right)
    if error.max() <= within:
        return Finding(1.0, f"{name} is right at {error.size:,} numbers", required)
    at = np.unravel_index(int(error.argmax()), error.shape)
    measured = f"{name} is {got[at]:.4g} where it should be {right[at]:.4g}"
    said = next((s for s, wrong in (slips or {}).items() if (_off(got, wrong) <= within).all()), "")
    return Finding(0.0, measured, required, slip=said)


def _off(got: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How far off each number is, relative to its own size and to that of all."""
    got, right = np.asarray(got, dtype=np.float64), np.asarray(right, dtype=np.float64)
    size = np.abs(right[np.isfinite(right)]).mean() if np.isfinite(right).any() else 0.0
    with np.errstate(invalid="ignore"):
        error = np.abs(got - right) / (np.abs(right) + size + 1e-6)
    return np.where(got == right, 0.0, np.nan_to_num(error, nan=np.inf, posinf=np.inf))


def same_draws(
    name: str, got: np.ndarray, wanted: np.ndarray, required: str, slips: dict[str, np.ndarray] | None = None
) -> Finding:
    """Two samples (n,) of one distribution, by Kolmogorov–Smirnov, and their means by Student's t.

    slips: other distributions that `got` may be a sample of, {what is wrong: draws of it}.
    """
    if not np.isfinite(got).all():
        return Finding(0.0, f"{name} is nan or infinite", required)
    p_value = p_of_same(got, wanted)
    measured = f"{name}: {_mean(got)} over {len(got):,} draws, where {_mean(wanted)} is right (p = {p_value:.2g})"
    said = ""
    if p_value <= P_VALUE:
        likely = {s: p_of_same(got, other) for s, other in (slips or {}).items()}
        best = max(likely, key=likely.__getitem__, default="")
        said = best if best and likely[best] > 1e-3 else ""
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value", slip=said)


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3g} ± {values.std() / np.sqrt(len(values)):.1g}"


def p_of_same(a: np.ndarray, b: np.ndarray) -> float:
    """How likely two samples (n,) of one distribution differ so much: by ranks and by means, twice the less likely."""
    from scipy.stats import ks_2samp, ttest_ind

    a, b = (np.asarray(v, dtype=np.float64) for v in (a, b))
    if np.ptp(a) == np.ptp(b) == 0:
        return float(np.allclose(a[0], b[0], rtol=1e-3))
    by_rank = ks_2samp(a, b, method="asymp").pvalue
    by_mean = ttest_ind(a, b, equal_var=False).pvalue if np.ptp(a) or np.ptp(b) else 1.0
    return float(min(1.0, 2 * np.nanmin([by_rank, by_mean])))


def drawn_for_each(losses: np.ndarray) -> Finding:
    """losses (calls, rows) of one example: what is drawn is drawn for each row, and not once for a whole call.

    By the variance of the calls' means, which is that of one row divided by the rows. It may be less, where times
    of a batch are spread evenly.
    """
    from scipy.stats import f

    calls, rows = losses.shape
    required = f"draws of its own for each example of a batch (p > {P_VALUE:g})"
    if not np.isfinite(losses).all():
        return Finding(0.0, "the loss is nan or infinite", required)
    within = losses.var(axis=1, ddof=1).mean()
    ratio = rows * losses.mean(axis=1).var(ddof=1) / max(within, 1e-12)
    p_value = float(f.sf(ratio / HEAVY, calls - 1, calls * (rows - 1)))
    if np.ptp(losses) == 0:
        return Finding(0.0, "the loss of an example is the same at every call", required, slip=NOT_DRAWN)
    return Finding(
        float(p_value > P_VALUE),
        f"means of batches scatter {ratio:.3g} times as much as those of independent examples (p = {p_value:.2g})",
        required,
        p_value,
        P_VALUE,
        "p-value",
        slip="Is t drawn once for the whole batch, or the noise? Each example has draws of its own: t of shape (B,), ε "
        "of shape (B, D).",
    )


HEAVY = 1.5  # losses have heavier tails than the normal numbers of an F test
NOT_DRAWN = "Nothing is drawn: t and ε are new at every call."


def not_below_the_floor(gains: np.ndarray) -> Finding:
    """gains (n,): losses less those of the perfect denoiser on the same noise. In the mean they are not below zero."""
    mean, error = float(gains.mean()), float(gains.std() / np.sqrt(len(gains)))
    return Finding(
        float(mean >= -SPREAD * error - 1e-9),
        f"{mean:.4g} ± {error:.1g} from the loss of a perfect network",
        "no loss below that of a perfect network",
        slip="No function of x_t and t loses less than E[ε | x_t]: what is computed is told the noise, or the data.",
    )


SPREAD = 6.0  # standard errors


def uses(name: str, of: str, outputs: list[np.ndarray], slip: str) -> Finding:
    """What a network gives hangs on one of its inputs: it differs where that does."""
    moved = max(float(np.abs(a - outputs[0]).max()) for a in outputs[1:])
    size = float(np.abs(outputs[0]).max()) + 1e-12
    found = moved > 1e-3 * size
    return Finding(float(found), f"{name} moves by {moved:.2g} with {of}", f"another {of}, another {name}", slip=slip)


def noise_is(
    residuals: np.ndarray,
    covariance: np.ndarray,
    name: str,
    slips: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> Finding:
    """residuals (n, D) are a sample of N(0, covariance): each coordinate of the whitened ones, and products of pairs.

    slips: {what is wrong: the residuals and the covariance that there would be}. A covariance of zero asks for zeros.
    """
    required = f"the mean and the spread that are known for {name} (p > {P_VALUE:g})"
    if not np.isfinite(residuals).all():
        return Finding(0.0, f"{name} is nan or infinite", required)
    if not covariance.any():
        worst = float(np.abs(residuals).max())
        return Finding(float(worst <= 1e-3), f"{name} moves by {worst:.2g} at random", "no noise")
    p_value = _p_of_noise(residuals, covariance)
    sd, wanted = residuals.std(axis=0), np.sqrt(np.diagonal(covariance))
    off = np.abs(residuals.mean(axis=0)).max()
    measured = (
        f"standard deviations of {name} {_listed(sd)}, where {_listed(wanted)} are right; means {off:.2g} off "
        f"(p = {p_value:.2g})"
    )
    said = ""
    if p_value <= P_VALUE:
        likely = {s: _p_of_noise(*other) for s, other in (slips or {}).items() if _is_covariance(other[1])}
        best = max(likely, key=likely.__getitem__, default="")
        said = best if best and likely[best] > 1e-3 else "No noise is drawn." if sd.max() < 1e-3 * wanted.min() else ""
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value", slip=said)


def _is_covariance(c: np.ndarray) -> bool:
    return bool(np.isfinite(c).all() and np.linalg.eigvalsh(c).min() > 0)


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{v:.3g}" for v in values)


def _p_of_noise(residuals: np.ndarray, covariance: np.ndarray) -> float:
    """Of a sample (n, D) with mean zero and this covariance: means, variances and shapes, and pairs of coordinates."""
    from scipy.stats import chi2, kstest, norm

    n, D = residuals.shape
    z = np.linalg.solve(np.linalg.cholesky(covariance), residuals.astype(np.float64).T).T
    tests = [2 * norm.sf(abs(z[:, i].sum()) / np.sqrt(n)) for i in range(D)]
    squares = (z**2).sum(axis=0)
    tests += [2 * min(chi2.sf(s, n), chi2.cdf(s, n)) for s in squares]
    tests += [kstest(z[:, i], "norm").pvalue for i in range(D)]
    tests += [2 * norm.sf(abs((z[:, i] * z[:, j]).sum()) / np.sqrt(n)) for i in range(D) for j in range(i)]
    return float(min(1.0, len(tests) * min(tests)))


# ---- solvers -------------------------------------------------------------------------------------------


def solved(velocity: Field, x: np.ndarray, start: float, end: float, steps: int) -> np.ndarray:
    """x at the time `end` of dx/dt = velocity(x, t) from x at `start`, by the classical Runge–Kutta: (B, D)."""
    h = (end - start) / steps
    for k in range(steps):
        t = start + k * h
        k1 = velocity(x, t)
        k2 = velocity(x + h / 2 * k1, t + h / 2)
        k3 = velocity(x + h / 2 * k2, t + h / 2)
        k4 = velocity(x + h * k3, t + h)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


def order_is(errors: np.ndarray, order: int, name: str, rounding: float = ROUNDING) -> Finding:
    """errors of a solver with n, 2n, 4n, … steps: each 2^order times smaller than the one before.

    The last two count that are above the rounding of numbers; where all are below it, that is good enough.
    """
    required = f"{2**order} times smaller when steps double (order {order})"
    if not np.isfinite(errors).all():
        return Finding(0.0, f"{name}: the error is nan or infinite", required)
    factors = errors[:-1] / np.maximum(errors[1:], 1e-300)
    known = factors[errors[1:] > rounding]
    measured = f"{name}: the error is {', then '.join(f'{f:.3g}' for f in factors)} times smaller"
    if not len(known) or abs(np.log2(known[-1]) - order) <= ORDER:
        return Finding(1.0, measured, required)
    found, slip = float(np.log2(known[-1])), ""
    if abs(found) < ORDER:
        slip = "More steps do not help at all: is the step (end − start)/steps, and does t move with it?"
    elif found > order + ORDER:
        slip = "That is better than this method can be: is it another one under its name?"
    elif abs(found - 1) <= ORDER:
        slip = "That is of first order: one of the stages is taken at the wrong time or at the wrong point."
    return Finding(0.0, measured, required, slip=slip)


def divergence_is(got: np.ndarray, jacobian: np.ndarray, name: str) -> Finding:
    """got (B,) is the trace of the Jacobian (B, D, D)."""
    trace = np.trace(jacobian, axis1=1, axis2=2)
    slips = {
        "Only one entry of the diagonal is there: sum over all of them.": jacobian[:, 0, 0],
        "It is the sum of all entries of the Jacobian, not of its diagonal: the gradient of a sum over the dimensions. "
        "Take the gradient of one output at a time, and of it one entry.": jacobian.sum(axis=(1, 2)),
        "The sign is turned.": -trace,
        "It is the mean of the diagonal, not its sum.": trace / jacobian.shape[1],
    }
    usual = _usual(got, trace)
    slips = {said: wrong[usual] for said, wrong in slips.items()}
    return agrees(name, got[usual], trace[usual], "the trace of the Jacobian, Σ_i ∂v_i/∂x_i", slips, TRACE)


def jacobian(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, nudge: float = 1e-3) -> np.ndarray:
    """∂f_i/∂x_j by central differences, where row b of f hangs on row b of x: (B, D) -> (B, D, D)."""
    columns = []
    for way in nudge * np.eye(x.shape[1]):
        up, down = (np.asarray(function(x + s * way), dtype=np.float64) for s in (1, -1))
        columns.append((up - down) / (2 * nudge))
    return np.stack(columns, axis=2)


def estimates_the_trace(got: np.ndarray, every: np.ndarray, jacobian: np.ndarray) -> Finding:
    """got (2^D, B) for all signs `every` (2^D, D): sᵀ J s of each, whose mean is the trace."""
    each = np.einsum("ki,bij,kj->kb", every, jacobian, every)
    slips = {
        "It is the sum of sᵀ J, without the signs on the right: multiply by s once more.": np.einsum(
            "ki,bij->kb", every, jacobian
        ),
        "The signs are not used: it is the sum of all entries of the Jacobian.": np.broadcast_to(
            jacobian.sum(axis=(1, 2)), each.shape
        ),
        "It is averaged over the dimensions: sum over them.": each / every.shape[1],
        "It is the trace itself, whatever the signs: asked is sᵀ J s.": np.broadcast_to(
            np.trace(jacobian, axis1=1, axis2=2), each.shape
        ),
    }
    usual = _usual(got.max(axis=0), each.max(axis=0))
    slips = {said: wrong[:, usual] for said, wrong in slips.items()}
    required = "sᵀ J s, whose mean over all signs is the trace"
    return agrees("sᵀ J s", got[:, usual], each[:, usual], required, slips, TRACE)


def _usual(got: np.ndarray, right: np.ndarray) -> np.ndarray:
    """All but a tenth of the points, those that are farthest off: a difference may step over the kink of a ReLU."""
    return np.argsort(_off(got, right))[: len(got) - len(got) // 10]


def is_the_density(log_p: np.ndarray, right: np.ndarray, base: np.ndarray, within: float) -> Finding:
    """log p (B,) is the logarithm of the density. base: that of the normal distribution where the paths began."""
    required = f"the density, within {within:g} nats"
    if not np.isfinite(log_p).all():
        return Finding(0.0, "log p is nan or infinite", required)
    error = float(np.abs(log_p - right).mean())
    if error <= within:
        return Finding(1.0, f"log p is {error:.2g} nats from the density", required)
    spread = right - base  # −∫ ∇·v
    slips = {
        "The sign of ∫∇·v: where a flow spreads points out, the density falls.": base - spread,
        "∫∇·v is missing: that is the base density alone.": base,
    }
    said = next((s for s, wrong in slips.items() if np.abs(log_p - wrong).mean() <= within), "")
    shift = log_p - right
    if not said and shift.std() <= within:
        said = f"It is {shift.mean():+.3f} nats off at every point: a constant, such as −½ log 2π for each dimension."
    return Finding(0.0, f"log p is {error:.2g} nats from the density", required, slip=said)


def mass_is_one(mass: float, within: float) -> Finding:
    """What a density comes to over the plane."""
    return Finding(float(abs(mass - 1) <= within), f"a mass of {mass:.4g}", f"a mass of 1, within {within:g}")


def signs(dims: int) -> np.ndarray:
    """All vectors of ±1: (2^D, D)."""
    return np.array(np.meshgrid(*dims * [[-1.0, 1.0]], indexing="ij")).reshape(dims, -1).T
