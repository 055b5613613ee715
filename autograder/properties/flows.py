"""Flows: invertible, with the log-determinant of their own Jacobian, and a density that integrates to one.

A flow is a callable `forward`: x (B, D) -> (z (B, D), log_det (B,)), and `inverse`: z -> x.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from autograder.properties.finding import Finding

Forward = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Inverse = Callable[[np.ndarray], np.ndarray]
LogProb = Callable[[np.ndarray], np.ndarray]
Rows = Callable[[np.ndarray, np.ndarray], np.ndarray]

# A float32 has 7 digits; a flow of a few layers stretches and shrinks by factors of a hundred, and keeps 4 or 5.
# A wrong inverse is off by 0.1 and more.
INVERSE_TOLERANCE = 1e-3
# Each entry of a Jacobian computed in float32 errs by about 1e-6 of its size (a few hundred roundings of 6e-8, in
# both signs). How far that moves log|det| follows from the Jacobian itself, and is allowed for on top.
LOG_DET_TOLERANCE = 1e-3
ENTRY_ERROR = 2e-6
# A CDF is between 0 and 1, where float32 has steps of 6e-8; sums over a thousand steps of it err by 1e-5.
CDF_TOLERANCE = 1e-3
# The trapezoid rule on a grid whose step is below the finest width errs by far less; a trained flow has thin sheets
# of a few percent of its mass, which the grid sees with an error of a few percent of them.
PLANE_TOLERANCE = 0.01
# Cells in each dimension of the grids that are tried in turn, until one changes the integral by less than this.
GRIDS = (160, 320, 640)
SETTLED = 1e-3
# Rare enough for a class of hundreds with several such checks each; see discrete.P_VALUE.
P_VALUE = 1e-6
# Entries of a Jacobian below this share of its largest are zero: autograd's zeros are exact, those of a finite
# difference are not.
ZERO = 1e-6
# Where a flow of one or two dimensions is flatter than e^−25, as a CDF is between its components and in its tails,
# float32 sees no slope; of more dimensions each may shrink as much.
FLAT = -25.0
# e^20 is a stretch of half a milliard; what grows with x passes it long before x = 1e6.
LARGEST_LOG_DET = 20.0
# Wrong log-densities may be huge; beyond this their exponentials would overflow when summed.
HUGE = 600.0


# ---- the inverse ---------------------------------------------------------------------------------------


def inverts(forward: Forward, inverse: Inverse, points: np.ndarray, start: str = "x") -> Finding:
    """inverse(forward(x)) = x at points x, or with start="z", forward(inverse(z)) = z at points z."""
    if start == "x":
        back, said = inverse(forward(points)[0]), "inverse(forward(x)) differs from x"
    else:
        back, said = forward(inverse(points))[0], "forward(inverse(z)) differs from z"
    error = np.abs(np.asarray(back, dtype=np.float64) - points) / (1 + np.abs(points))
    worst = float(np.nan_to_num(error, nan=np.inf).max())
    required = f"the same point again, within {INVERSE_TOLERANCE:g}"
    return Finding(
        float(worst <= INVERSE_TOLERANCE), f"{said} by up to {worst:.2g}", required, worst, INVERSE_TOLERANCE
    )


# ---- the Jacobian --------------------------------------------------------------------------------------


def jacobian(rows: Rows, x: np.ndarray) -> np.ndarray:
    """∂z_i/∂x_j at every point, float64 (B, D, D), row by row.

    rows: (x, cotangent (B, D)) -> the gradient of Σ cotangent · z(x) by x, (B, D). One row of every example's
    Jacobian is a gradient, because an example's z depends on its own x alone.
    """
    directions = np.eye(x.shape[1], dtype=x.dtype)
    return np.stack([np.asarray(rows(x, np.tile(e, (len(x), 1))), dtype=np.float64) for e in directions], axis=1)


def log_det_is_of_jacobian(log_det: np.ndarray, jac: np.ndarray) -> Finding:
    """log_det (B,) = log |det J| for J (B, D, D), up to what rounding of J's entries may do to its determinant.

    Points where J is singular in float32 are left out; there may not be many.
    """
    required = f"log|det ∂z/∂x|, within {LOG_DET_TOLERANCE:g} and rounding"
    if not np.isfinite(jac).all():
        return Finding(0.0, "the Jacobian ∂z/∂x is nan or infinite", required)
    wanted = np.linalg.slogdet(jac).logabsdet
    seen = wanted > FLAT * max(1, jac.shape[1] / 2)
    if seen.mean() < 0.5:
        return Finding(0.0, "the Jacobian ∂z/∂x is singular: z does not tell every x apart", required)
    log_det, jac, wanted = log_det[seen], jac[seen], wanted[seen]
    # δ log|det J| = tr(J⁻¹ δJ), so entries with relative error ε move it by at most ε Σ |J⁻¹_ij| |J_ji|.
    allowed = LOG_DET_TOLERANCE + ENTRY_ERROR * np.einsum("bij,bji->b", np.abs(np.linalg.inv(jac)), np.abs(jac))
    error = np.nan_to_num(np.abs(log_det - wanted), nan=HUGE, posinf=HUGE)
    worst = int((error / allowed).argmax())
    ratio = float(error[worst] / allowed[worst])
    measured = f"log_det is off by up to {error[worst]:.2g} (it is {log_det[worst]:.4g}, should be {wanted[worst]:.4g})"
    if ratio <= 1:
        measured = f"log_det is right to {error.max():.1g} at {len(jac):,} points"
    return Finding(
        float(ratio <= 1), measured, required, ratio, 1.0,
        slip="" if ratio <= 1 else _log_det_slip(log_det, wanted, jac, allowed),
    )  # fmt: skip


def _log_det_slip(got: np.ndarray, wanted: np.ndarray, jac: np.ndarray, allowed: np.ndarray) -> str:
    """What a wrong log_det is the right answer to."""
    diagonal = np.diagonal(jac, axis1=1, axis2=2)
    D = jac.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        answers = {
            "It has the wrong sign: that is the log-determinant of the inverse.": -wanted,
            "It is averaged over the dimensions, and must be summed." if D > 1 else "": wanted / D,
            "It is zero everywhere: the log-determinant was forgotten.": 0 * wanted,
            "It is the determinant itself: its logarithm is wanted.": np.exp(wanted),
            "It has half of the terms twice, or all of them: it is twice what it should be.": 2 * wanted,
            "It is log|det| of the diagonal only, but the Jacobian is not triangular.": np.log(np.abs(diagonal)).sum(1),
        }
    found = (said for said, value in answers.items() if said and (np.abs(got - value) <= allowed).all())
    return next(found, "")


def is_triangular(jac: np.ndarray) -> Finding:
    """In some order of the dimensions, z_i depends on x_1 … x_i, on all of them, and rises with x_i."""
    depends = (np.abs(jac) > ZERO * np.abs(jac).max()).any(axis=0)
    plot = {"kind": "matrix", "values": depends, "x": "x", "y": "z"}
    D = len(depends)
    required = "a triangular Jacobian: z_i depends on x_i and on those before it, in some order"
    if not np.isfinite(jac).all():
        return Finding(0.0, "the Jacobian is nan or infinite", required)
    order = np.argsort(depends.sum(axis=1), kind="stable")
    sorted_depends = depends[np.ix_(order, order)]
    extra = np.argwhere(sorted_depends & ~np.tri(D, dtype=bool))
    missing = np.argwhere(~sorted_depends & np.tri(D, dtype=bool))
    if len(missing):
        i, j = order[missing[0]] + 1
        return Finding(
            0.0, f"z_{i} does not depend on x_{j}" + (", in any order" if i != j else ""), required, plot=plot
        )
    if len(extra):
        i, j = order[extra[0]] + 1
        return Finding(0.0, f"z_{i} depends on x_{j}, and z_{j} on x_{i}", required, plot=plot)
    falls = int((np.diagonal(jac, axis1=1, axis2=2) < 0).any(axis=1).sum())
    if falls:
        return Finding(0.0, f"z_i falls with x_i at {falls} of {len(jac)} points", "z_i rises with x_i")
    return Finding(1.0, f"triangular at {len(jac):,} points, and rising", required, plot=plot)


def is_dense(jac: np.ndarray) -> Finding:
    """Every z depends on every x."""
    depends = (np.abs(jac) > ZERO * np.abs(jac).max()).any(axis=0)
    plot = {"kind": "matrix", "values": depends, "x": "x", "y": "z"}
    missing = np.argwhere(~depends) + 1
    measured = f"z_{missing[0][0]} does not depend on x_{missing[0][1]}" if len(missing) else "every z sees every x"
    return Finding(float(not len(missing)), measured, "every z depends on every x", plot=plot)


def keeps(function: Inverse, x: np.ndarray, dim: int) -> Finding:
    """function(x) has x's own numbers in this dimension, to the last bit, and others in the rest."""
    y = np.asarray(function(x))
    required = f"x_{dim + 1} unchanged, the other half changed"
    moved = float(np.nan_to_num(np.abs(y[:, dim] - x[:, dim]), nan=np.inf).max())
    if moved > 0:
        return Finding(0.0, f"x_{dim + 1} is to be kept, and changes by up to {moved:.2g}", required)
    others = np.delete(y - x, dim, axis=1)
    if not np.abs(others).max() > 0:
        return Finding(0.0, "nothing changes at all", required)
    return Finding(1.0, f"x_{dim + 1} is kept, the other half changes", required)


def log_det_is_bounded(forward: Forward, far: np.ndarray) -> Finding:
    """At points far out (n, D), z is finite and |log_det| stays below a bound that no good scale comes near."""
    z, log_det = forward(far)
    required = f"finite, and |log_det| below {LARGEST_LOG_DET:g}"
    worst = float(np.abs(log_det).max())
    if not (np.isfinite(z).all() and np.isfinite(worst)):
        return Finding(0.0, f"z or log_det overflows for x up to {np.abs(far).max():.0e}", required)
    measured = f"|log_det| up to {worst:.3g} for x up to {np.abs(far).max():.0e}"
    return Finding(float(worst <= LARGEST_LOG_DET), measured, required, worst, LARGEST_LOG_DET)


# ---- one dimension -------------------------------------------------------------------------------------


def is_a_cdf(forward: Forward, grid: np.ndarray) -> Finding:
    """z rises from 0 to 1 along an increasing grid (n, 1) whose ends lie beyond all mass, and never falls."""
    z = np.asarray(forward(grid)[0], dtype=np.float64)[:, 0]
    required = "z rises from 0 to 1 and never falls"
    if not np.isfinite(z).all():
        return Finding(0.0, "z is nan or infinite", required)
    fall = float(-np.diff(z).min())
    if fall > CDF_TOLERANCE:
        where = float(grid[np.diff(z).argmin(), 0])
        return Finding(0.0, f"z falls near x = {where:.3g}", required, plot=_curve(grid, {"z(x)": z}))
    error = float(max(np.abs(z[0]), np.abs(z[-1] - 1), fall))
    measured = f"z runs from {z[0]:.4g} to {z[-1]:.4g}"
    plot = _curve(grid, {"z(x)": z})
    return Finding(float(error <= CDF_TOLERANCE), measured, required, error, CDF_TOLERANCE, plot=plot)


def log_det_is_the_slope(forward: Forward, grid: np.ndarray) -> Finding:
    """exp(log_det) is the derivative of z: its integral along a fine even grid (n, 1), n odd, is what z rises by.

    An integral, not a difference: float32's rounding of z would spoil a derivative, and does not touch this.
    """
    z, log_det = (np.asarray(a, dtype=np.float64) for a in forward(grid))
    slope = np.exp(np.minimum(log_det, HUGE))
    rise = z[::2, 0] - z[0, 0]
    step = float(grid[-1, 0] - grid[0, 0]) / (len(grid) - 1)
    simpson = (slope[:-2:2] + 4 * slope[1::2] + slope[2::2]) * step / 3
    integral = np.concatenate([[0.0], np.cumsum(simpson)])
    error = float(np.nan_to_num(np.abs(integral - rise), nan=np.inf).max())
    measured = f"∫ exp(log_det) dx differs from the rise of z by up to {error:.2g}"
    plot = _curve(grid[::2], {"z": rise, "∫ exp(log_det)": integral}) if np.isfinite(error) else {}
    return Finding(float(error <= CDF_TOLERANCE), measured, f"no difference, within {CDF_TOLERANCE:g}", error,
                   CDF_TOLERANCE, plot=plot)  # fmt: skip


def integrates_to_one_on_the_line(
    log_prob: LogProb, grid: np.ndarray, seed: int = 0, extra: np.ndarray | None = None
) -> tuple[Finding, np.ndarray]:
    """∫ p(x) dx = 1 by the trapezoid rule on an even grid (n, 1) that holds all mass.

    `extra` points (m, 1) are asked for in the same shuffled query; their log p comes back beside the finding.
    """
    log_p = _shuffled(log_prob, np.concatenate([grid, grid[:0] if extra is None else extra]), seed)
    step = float(grid[-1, 0] - grid[0, 0]) / (len(grid) - 1)
    return _is_one(log_p[: len(grid)], step, CDF_TOLERANCE, "line"), log_p[len(grid) :]


def _curve(grid: np.ndarray, series: dict[str, np.ndarray], most: int = 64) -> dict:
    """A picture of a few bars: curves over the grid, thinned."""
    every = -(-len(grid) // most)
    return {"kind": "bars", "series": {name: values[::every] for name, values in series.items()}, "x": "x"}


# ---- the plane -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plane:
    """log p at the points of a grid over a box, and at further points that were asked for among them.

    log_p: (cells, cells). area: of one cell. extra: log p of the further points, in their order.
    """

    log_p: np.ndarray
    area: float
    extra: np.ndarray

    @property
    def mass(self) -> float:
        """∫ p(x) dx over the box, by the trapezoid rule."""
        return float(np.exp(np.minimum(self.log_p, HUGE)).sum() * self.area)

    def integrates_to_one(self) -> Finding:
        return _is_one(self.log_p.ravel(), self.area, PLANE_TOLERANCE, "plane", dims=2)


def plane(
    log_prob: LogProb, box: tuple[tuple[float, float], ...], cells: int, seed: int = 0, extra: np.ndarray | None = None
) -> Plane:
    """Ask for log p on a grid and at `extra` points (n, 2) in one shuffled query.

    No code can tell whether it is asked to integrate to one or to score well, and the grid is shifted at random.
    """
    rng = np.random.default_rng(seed)
    steps = [(high - low) / cells for low, high in box]
    axes = [low + (np.arange(cells) + rng.random()) * step for (low, _), step in zip(box, steps, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    points = np.concatenate([grid, np.empty((0, 2)) if extra is None else extra]).astype(np.float32)
    log_p = _shuffled(log_prob, points, seed)
    return Plane(log_p[: cells**2].reshape(cells, cells), float(np.prod(steps)), log_p[cells**2 :])


def integrate_to_one(log_probs: Iterable[LogProb], seed: int = 0, enough: int = 3, reach: float = 300.0) -> Finding:
    """∫ p(x) dx = 1 over the plane, for densities of unknown place and size: the worst of the first `enough`.

    A grid is made finer until two of them agree: then the integral is known, whether it is 1 or not. A density too
    fine for the finest grid (random weights may make one) says nothing, and the next stands in for it. reach: how far
    from the origin there may be mass.
    """
    known, unknown = [], []
    for number, log_prob in enumerate(log_probs):
        asked, settled = _integral(log_prob, seed + number, reach)
        (known if settled else unknown).append(asked.integrates_to_one())
        if len(known) == enough:
            break
    return max(known or unknown, key=lambda finding: (-finding.share, finding.value or 0.0))


def _integral(log_prob: LogProb, seed: int, reach: float) -> tuple[Plane, bool]:
    """log p on a grid over a box that holds it, and whether a finer one would change its integral."""
    box, before = box_of(log_prob, seed, reach), np.inf
    for cells in GRIDS:
        asked = plane(log_prob, box, cells, seed)
        if abs(asked.mass - before) <= SETTLED * asked.mass:
            return asked, True
        before = asked.mass
    return asked, False


def box_of(log_prob: LogProb, seed: int = 0, reach: float = 300.0, cells: int = 160) -> tuple:
    """A box that holds all but a millionth of the mass of a density of unknown place and size.

    Looked for on a grid that is fine near the origin and reaches far out: x = sinh(t) / 4 for even steps of t.
    """
    t = np.linspace(-1, 1, cells) * np.arcsinh(4 * reach)
    axis, width = np.sinh(t) / 4, np.cosh(t) / 4
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)
    log_p = _shuffled(log_prob, grid, seed).reshape(cells, cells)
    mass = np.exp(np.minimum(np.nan_to_num(log_p, nan=-np.inf), HUGE)) * np.outer(width, width)
    box = []
    for dim in (0, 1):
        below = np.cumsum(mass.sum(axis=1 - dim)) / max(mass.sum(), 1e-300)
        first, last = np.searchsorted(below, [5e-7, 1 - 5e-7])
        box.append((float(axis[max(first - 2, 0)]), float(axis[min(last + 2, cells - 1)])))
    return tuple(box)


def excess_nats(true_log_p: np.ndarray, log_p: np.ndarray) -> float:
    """KL(data ‖ model) in nats, the loss above the limit, from log-densities at the same held-out points.

    The mean of the difference has far less noise than the difference of a mean and an entropy: what both
    densities say of a lucky or unlucky point falls out.
    """
    return float(np.mean(true_log_p - log_p.astype(np.float64)))


def _shuffled(function: LogProb, points: np.ndarray, seed: int) -> np.ndarray:
    order = np.random.default_rng(seed).permutation(len(points))
    result = np.empty(len(points))
    result[order] = np.asarray(function(points[order].astype(np.float32)), dtype=np.float64)
    return result


def _is_one(log_p: np.ndarray, cell: float, tolerance: float, where: str, dims: int = 1) -> Finding:
    required = f"1 over the {where}, within {tolerance:g}"
    if not np.isfinite(log_p[~np.isneginf(log_p)]).all():
        return Finding(0.0, "some log-densities are nan or +inf", required)
    total = float(np.exp(np.minimum(log_p, HUGE)).sum() * cell)
    error = abs(total - 1)
    constant = (2 * np.pi) ** (dims / 2)
    slip = ""
    if abs(total / constant - 1) <= 5 * tolerance:
        slip = f"It integrates to (2π)^({dims}/2): the base density lost its constant, −½ log 2π in each dimension."
    return Finding(float(error <= tolerance), f"the density integrates to {total:.4g}", required, error, tolerance,
                   slip=slip)  # fmt: skip


# ---- the latent space ----------------------------------------------------------------------------------


def latents_are_uniform(z: np.ndarray) -> Finding:
    """z (n, D) is a sample of U[0, 1]^D: each dimension, and the dimensions of each other.

    Kolmogorov–Smirnov of each dimension; and because (u + v) mod 1 and (u − v) mod 1 of independent uniforms are
    uniform, too, of those for every pair; and χ² of a table of each pair.
    """
    required = f"even on the unit {'interval' if z.shape[1] == 1 else 'square'} (p > {P_VALUE:g})"
    if not np.isfinite(z).all():
        return Finding(0.0, "some latents are nan or infinite", required)
    outside = int(((z < -CDF_TOLERANCE) | (z > 1 + CDF_TOLERANCE)).any(axis=1).sum())
    if outside:
        return Finding(0.0, f"{outside:,} of {len(z):,} latents lie outside [0, 1]", required)
    return _latents(uniform_p_values(z), z, required)


def latents_are_normal(z: np.ndarray) -> Finding:
    """z (n, D) is a sample of N(0, I): each dimension, independence, and the radius, whose square is χ² with D."""
    from scipy.stats import chi2, kstest, norm

    required = f"like draws of N(0, I) (p > {P_VALUE:g})"
    if not np.isfinite(z).all():
        return Finding(0.0, "some latents are nan or infinite", required)
    tests = uniform_p_values(norm.cdf(z))
    if z.shape[1] > 1:
        squared = (z.astype(np.float64) ** 2).sum(axis=1)
        tests["the radius"] = float(kstest(chi2.cdf(squared, z.shape[1]), "uniform").pvalue)
    return _latents(tests, z, required)


def uniform_p_values(u: np.ndarray) -> dict[str, float]:
    """p-values of the tests of uniformity and independence, by what they look at."""
    from itertools import combinations

    from scipy.stats import chisquare, kstest

    u = np.clip(u.astype(np.float64), 0, 1)
    D = u.shape[1]
    tests = {f"z_{i + 1}" if D > 1 else "z": float(kstest(u[:, i], "uniform").pvalue) for i in range(D)}
    for i, j in combinations(range(D), 2):
        pair = f"z_{i + 1} and z_{j + 1} together"
        a, b = u[:, i], u[:, j]
        k = int(np.clip(np.sqrt(len(u) / 25), 2, 8))  # 25 expected in each cell
        cells = np.histogram2d(a, b, bins=k, range=[[0, 1], [0, 1]])[0]
        values = [kstest((a + b) % 1, "uniform").pvalue, kstest((a - b) % 1, "uniform").pvalue]
        values.append(chisquare(cells.ravel()).pvalue)
        tests[pair] = float(min(1.0, 3 * min(values)))
    return tests


def _latents(tests: dict[str, float], z: np.ndarray, required: str) -> Finding:
    p_value = min(1.0, len(tests) * min(tests.values()))  # the best of several chances counts less
    worst = min(tests, key=tests.get)
    measured = f"{worst} of {len(z):,} points: p = {tests[worst]:.2g}"
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value")


# ---- samples -------------------------------------------------------------------------------------------


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """2 E|a − b| − E|a − a′| − E|b − b′| ≥ 0, unbiased; zero on average if and only if both have one distribution."""
    from scipy.spatial.distance import cdist, pdist

    return float(2 * cdist(a, b).mean() - pdist(a).mean() - pdist(b).mean())


def samples_are_nearer_than(
    samples: np.ndarray, data: np.ndarray, plain: np.ndarray, share: float, against: str = "a single Gaussian"
) -> Finding:
    """The energy distance of samples to data is at most a share of that of a plain model's samples."""
    required = f"at most {share:.0%} of what samples of {against} have"
    if not np.isfinite(samples).all():
        return Finding(0.0, "some samples are nan or infinite", required)
    distance, naive = energy_distance(samples, data), energy_distance(plain, data)
    measured = f"energy distance to fresh data {distance:.4f}; of {against} {naive:.4f}"
    return Finding(float(distance <= share * naive), measured, required, distance / naive, share)
