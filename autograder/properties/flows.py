"""Flows: invertible, with the log-determinant of their own Jacobian, and a density that integrates to one.

A flow is a callable `forward`: x (B, D) -> (z (B, D), log_det (B,)); `latents`: x -> z alone; `inverse`: z -> x.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from autograder.properties.finding import Finding

Forward = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Map = Callable[[np.ndarray], np.ndarray]
LogProb = Callable[[np.ndarray], np.ndarray]

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
# A trained density's integral may err upwards by this: a hundredth and a half of a nat.
SURPLUS = 0.015
# Sums of a few large numbers in float32, relative.
EXACT_SUM = 1e-5
# Cells in each dimension of the grids that are tried in turn, until one changes the integral by less than this.
GRIDS = (160, 320, 640)
SETTLED = 1e-3
# Rare enough for a class of hundreds with several such checks each; see discrete.P_VALUE.
P_VALUE = 1e-6
# Latents of data that were trained on are not this many times as large as those of the base.
STRETCHED = 50.0
# Entries of a Jacobian below this share of its largest are zero: autograd's zeros are exact, those of a finite
# difference are not.
ZERO = 1e-6
# Where a flow of one or two dimensions is flatter than e^−25, as a CDF is between its components and in its tails,
# float32 sees no slope; of more dimensions each may shrink as much.
FLAT = -25.0
# e^20 is a stretch of half a milliard; what grows with x passes it long before x = 1e6.
LARGEST_LOG_DET = 20.0
# Further out than any mass of a model whose parameters are of order one, and than any data.
FAR = 1e6
# A CDF is followed in steps of this, on a grid of so many points at most.
STEP, LONGEST = 0.01, 20_000
# Latents this far inside the base are no rounded 0 or 1, and no tail.
INSIDE = 1e-3
# A flow onto N(0, I) reaches beyond this many standard deviations in every dimension.
SPREAD = 3.0
# From a thousand to a million, even a density of the heaviest tail falls by more than this; one that is floored does
# not fall at all.
FALL = 1.0
# Wrong log-densities may be huge; beyond this their exponentials would overflow when summed.
HUGE = 600.0


# ---- the inverse ---------------------------------------------------------------------------------------


def inverts(latents: Map, inverse: Map, points: np.ndarray, start: str = "x") -> Finding:
    """inverse(z(x)) = x at points x, or with start="z", z(inverse(z)) = z at points z."""
    if start == "x":
        back, said = inverse(latents(points)), "inverse(forward(x)) differs from x"
    else:
        back, said = latents(inverse(points)), "forward(inverse(z)) differs from z"
    error = np.abs(np.asarray(back, dtype=np.float64) - points) / (1 + np.abs(points))
    worst = float(np.nan_to_num(error, nan=np.inf).max())
    required = f"the same point again, within {INVERSE_TOLERANCE:g}"
    return Finding(
        float(worst <= INVERSE_TOLERANCE), f"{said} by up to {worst:.2g}", required, worst, INVERSE_TOLERANCE
    )


# ---- the Jacobian --------------------------------------------------------------------------------------


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
        float(ratio <= 1),
        measured,
        required,
        ratio,
        1.0,
        slip="" if ratio <= 1 else _log_det_slip(log_det, wanted, jac, allowed),
    )


def is_the_slope(function: Callable, x: np.ndarray, jac: np.ndarray, seed: int) -> Finding:
    """J (B, D, D) is what differences of z = function(x) say it is, (B, D) -> (B, D), along a few random directions.

    Automatic differentiation believes whatever stands in a backward pass. Small steps suit double precision, large ones
    single precision: one of them must agree, for most of the points.
    """
    required = f"the slopes of z, within {SLOPE:.0%}"
    again = -(-DIRECTIONS // len(x))
    x, jac = (np.concatenate(again * [a]).astype(np.float64) for a in (x, jac))
    v = np.random.default_rng(seed).normal(size=x.shape)
    told, least = np.einsum("bij,bj->bi", jac, v), np.inf
    for step in STEPS:
        z = np.asarray(function(np.concatenate([x + step * v, x - step * v])), dtype=np.float64)
        slope = (z[: len(x)] - z[len(x) :]) / (2 * step)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.linalg.norm(slope - told, axis=1) / np.linalg.norm(slope, axis=1)
        least = min(least, float(np.median(np.nan_to_num(off, nan=np.inf, posinf=HUGE))))
    return Finding(
        float(least <= SLOPE),
        f"the gradient of z differs from its slope by {least:.1%}",
        required,
        least,
        SLOPE,
        slip="The gradient is not that of what forward computes: is something detached, or an autograd.Function of its "
        "own?",
    )


STEPS, DIRECTIONS, SLOPE = (1e-4, 1e-2), 8, 0.05


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
    mistakes = (said for said, value in answers.items() if said and (np.abs(got - value) <= allowed).all())
    return next(mistakes, "")


def is_triangular(jac: np.ndarray) -> Finding:
    """In some order of the dimensions, z_i depends on x_1 … x_i, on all of them, and rises with x_i."""
    depends = _depends(jac)
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
    falls = int((np.diagonal(jac, axis1=1, axis2=2) < -ZERO * np.abs(jac).max()).any(axis=1).sum())
    if falls:
        return Finding(0.0, f"z_i falls with x_i at {falls} of {len(jac)} points", "z_i rises with x_i")
    return Finding(1.0, f"triangular at {len(jac):,} points, and rising", required, plot=plot)


def is_dense(jac: np.ndarray) -> Finding:
    """Every z depends on every x."""
    required = "every z depends on every x"
    if not np.isfinite(jac).all():
        return Finding(0.0, "the Jacobian ∂z/∂x is nan or infinite", required)
    depends = _depends(jac)
    plot = {"kind": "matrix", "values": depends, "x": "x", "y": "z"}
    missing = np.argwhere(~depends) + 1
    measured = f"z_{missing[0][0]} does not depend on x_{missing[0][1]}" if len(missing) else "every z sees every x"
    return Finding(float(not len(missing)), measured, required, plot=plot)


def _depends(jac: np.ndarray) -> np.ndarray:
    """Which z depends on which x anywhere, (D, D); how large a row of the Jacobian is makes no difference."""
    size = np.abs(jac)
    return (size > ZERO * size.max(axis=(0, 2), keepdims=True)).any(axis=0)


def condition(jac: np.ndarray) -> float:
    """‖J‖ ‖J⁻¹‖ at its worst over J (B, D, D): how many times an error may grow on the way there and back."""
    if not np.isfinite(jac).all():
        return float("inf")
    singular = np.linalg.svd(jac, compute_uv=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(singular[:, 0] / singular[:, -1], nan=np.inf).max(initial=0))


def keeps(function: Map, x: np.ndarray, dim: int) -> Finding:
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


def line(n: int = 1601, reach: float = FAR) -> np.ndarray:
    """A grid (n, 1) from −reach to reach, fine near zero, coarser the farther out: x = sinh(t) / 100, even in t.

    Numbers that a float32 has, so that code of either precision is asked at the same places.
    """
    return _float32(np.sinh(np.linspace(-1, 1, n) * np.arcsinh(100 * reach)) / 100)[:, None]


def line_of(latents: Map, rounds: int = 24) -> np.ndarray:
    """A grid (n, 1) on which z goes from end to end in small steps, however far out or narrow its components are."""
    x = line()
    z = np.asarray(latents(x), dtype=np.float64)[:, 0]
    moving = np.flatnonzero((np.abs(z - z[0]) > 1e-9) & (np.abs(z - z[-1]) > 1e-9))
    reach = 2 * np.abs(x[moving, 0]).max() if len(moving) else FAR
    x = line(reach=reach)[:, 0]
    for _ in range(rounds):
        z = np.asarray(latents(x[:, None]), dtype=np.float64)[:, 0]
        coarse = np.abs(np.diff(z)) > STEP
        if not coarse.any() or len(x) > LONGEST:
            break
        finer = np.unique(np.concatenate([x, _float32((x[1:] + x[:-1])[coarse] / 2)]))
        if len(finer) == len(x):
            break
        x = finer
    return x[:, None]


def is_a_cdf(latents: Map, grid: np.ndarray, name: str = "z") -> Finding:
    """z rises from 0 to 1 along an increasing grid (n, 1) whose ends lie beyond all mass, and never falls."""
    z = np.asarray(latents(grid), dtype=np.float64)[:, 0]
    required = f"{name} rises from 0 to 1 and never falls"
    if not np.isfinite(z).all():
        return Finding(0.0, f"{name} is nan or infinite", required)
    fall = float(-np.diff(z).min())
    plot = _curve(grid, {f"{name}(x)": z})
    if fall > CDF_TOLERANCE:
        where = float(grid[np.diff(z).argmin(), 0])
        return Finding(0.0, f"{name} falls near x = {where:.3g}", required, plot=plot)
    error = float(max(np.abs(z[0]), np.abs(z[-1] - 1), fall))
    measured = f"{name} runs from {z[0]:.4g} to {z[-1]:.4g}"
    slip = ""
    if error > CDF_TOLERANCE and z.min() >= -CDF_TOLERANCE and z.max() <= 1 + CDF_TOLERANCE:
        last = float(np.abs(grid[1:][np.diff(z) > 1e-9]).max(initial=0))
        slip = (
            f"Beyond |x| = {last:.3g} nothing changes any more, and z is not 0 or 1 yet. Is x clamped? Then all points "
            "out there have one z. Or do the weights π not sum to one?"
        )
    return Finding(float(error <= CDF_TOLERANCE), measured, required, error, CDF_TOLERANCE, plot=plot, slip=slip)


def log_det_is_the_slope(forward: Forward, grid: np.ndarray, rounds: int = 16) -> Finding:
    """exp(log_det) is the derivative of z: between any two points its integral is what z rises by.

    An integral, not a difference: float32's rounding of z would spoil a derivative, and does not touch this. The grid
    (n, 1) is made finer where Simpson's rule and the rise do not agree yet, however narrow a component is.
    """
    required = f"∫ exp(log_det) dx = the rise of z, within {CDF_TOLERANCE:g}"

    def asked(x):
        z, log_det = (np.asarray(a, dtype=np.float64) for a in forward(x[:, None]))
        return z[:, 0], np.exp(np.minimum(log_det, HUGE))

    x = grid[:, 0]
    (z, slope), middle = asked(x), _float32((x[1:] + x[:-1]) / 2)
    z_middle, slope_middle = asked(middle)
    parts = np.array([x[:-1], middle, x[1:], z[:-1], z_middle, z[1:], slope[:-1], slope_middle, slope[1:]])
    for _ in range(rounds):
        differs = np.abs(_simpson(parts) - (parts[5] - parts[3]))
        wide = (parts[1] > parts[0]) & (parts[2] > parts[1])
        coarse = wide & ~(differs <= CDF_TOLERANCE / 1e4)
        if not coarse.any() or not np.nansum(differs) > CDF_TOLERANCE / 20:
            break
        coarse[np.argsort(-np.nan_to_num(differs, nan=np.inf))[2000:]] = False
        parts = np.concatenate([parts[:, ~coarse], _halved(parts[:, coarse], asked)], axis=1)
    parts = parts[:, np.argsort(parts[0], kind="stable")]
    integral, rise = np.cumsum(_simpson(parts)), np.cumsum(parts[5] - parts[3])
    error = float(np.nan_to_num(np.abs(integral - rise), nan=np.inf, posinf=np.inf).max())
    measured = f"∫ exp(log_det) dx differs from the rise of z by up to {error:.2g}"
    plot = _curve(parts[2][:, None], {"z": rise, "∫ exp(log_det)": integral}) if np.isfinite(error) else {}
    slip = ""
    if error > CDF_TOLERANCE and np.isfinite(error):
        measured = f"∫ exp(log_det) dx is {integral[-1]:.4g} where z rises by {rise[-1]:.4g}, up to {error:.2g} off"
        slip = _without_weights(integral[-1]) if abs(rise[-1] - 1) <= CDF_TOLERANCE else ""
    return Finding(float(error <= CDF_TOLERANCE), measured, required, error, CDF_TOLERANCE, plot=plot, slip=slip)


def integrates_to_one_on_the_line(log_prob: LogProb, grid: np.ndarray, rounds: int = 16) -> Finding:
    """∫ p(x) dx = 1 by Simpson's rule over an increasing grid (n, 1), made finer where that still changes it."""

    def asked(x):
        log_p = np.asarray(log_prob(x[:, None]), dtype=np.float64)
        p = np.exp(np.minimum(log_p, HUGE))
        return p, p

    x = grid[:, 0]
    middle = _float32((x[1:] + x[:-1]) / 2)
    p, p_middle = asked(x)[0], asked(middle)[0]
    parts = np.array([x[:-1], middle, x[1:], p[:-1], p_middle, p[1:], p[:-1], p_middle, p[1:]])
    mass = 0.0
    for _ in range(rounds):
        halves = _halved(parts, asked)
        finer = _simpson(halves).reshape(2, -1)
        settled = np.abs(finer.sum(axis=0) - _simpson(parts)) <= CDF_TOLERANCE / 1e4
        mass += float(finer[:, settled].sum())
        parts = halves[:, np.tile(~settled, 2)]
        if not parts.shape[1]:
            break
        parts = parts[:, np.argsort(-np.nan_to_num(_simpson(parts), nan=np.inf))[:4000]]
    return _is_one(mass + float(_simpson(parts).sum()), CDF_TOLERANCE, "line")


def _halved(parts: np.ndarray, asked: Callable) -> np.ndarray:
    """Every interval (x, z and slope at its left end, middle and right end: nine rows) as two of half the width."""
    left, right = (_float32((parts[k] + parts[k + 1]) / 2) for k in (0, 1))
    z, slope = (v.reshape(2, -1) for v in asked(np.concatenate([left, right])))
    first = [parts[0], left, parts[1], parts[3], z[0], parts[4], parts[6], slope[0], parts[7]]
    second = [parts[1], right, parts[2], parts[4], z[1], parts[5], parts[7], slope[1], parts[8]]
    return np.concatenate([first, second], axis=1)


def _simpson(parts: np.ndarray) -> np.ndarray:
    """∫ slope over each interval. The middle may be a rounded one: both halves have weights of their own widths."""
    h, k = parts[1] - parts[0], parts[2] - parts[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = (h + k) / 6 * ((2 - k / h) * parts[6] + (h + k) ** 2 / (h * k) * parts[7] + (2 - h / k) * parts[8])
    trapezoid = h * (parts[6] + parts[7]) / 2 + k * (parts[7] + parts[8]) / 2
    return np.where((h > 0) & (k > 0), exact, trapezoid)


def _float32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32).astype(np.float64)


def _without_weights(total: float, dims: int = 1) -> str:
    """What a mixture's total says that is a whole number."""
    if not 0 < total < HUGE:
        return ""
    components = round(total ** (1 / dims))
    if not 2 <= components <= 20 or abs(total / components**dims - 1) > 2e-3:
        return ""
    in_each = "" if dims == 1 else f", {components} in each dimension"
    return (
        f"It integrates to {components**dims}{in_each}: to the number of components, as a mixture without its weights "
        "does. log π is missing inside the logsumexp."
    )


def _curve(grid: np.ndarray, series: dict[str, np.ndarray], most: int = 64) -> dict:
    """A picture of a few bars: curves over the grid, thinned; where nothing changes any more it ends."""
    moving = [np.flatnonzero(np.abs(np.diff(v)) > 1e-6) for v in series.values()]
    at = np.concatenate(moving)
    chosen = slice(at.min(), at.max() + 2) if len(at) else slice(None)
    every = -(-len(grid[chosen]) // most)
    return {"kind": "bars", "series": {k: v[chosen][::every] for k, v in series.items()}, "x": "x"}


# ---- the plane -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plane:
    """log p at the points of a grid over a box, and at further points that were asked for among them.

    log_p: (cells, cells), or of a line (cells,). area: of one cell. extra: log p of the further points, in their order.
    """

    log_p: np.ndarray
    area: float
    extra: np.ndarray

    @property
    def mass(self) -> float:
        """∫ p(x) dx over the box, by the trapezoid rule."""
        return float(np.exp(np.minimum(self.log_p, HUGE)).sum() * self.area)

    def integrates_to_one(self) -> Finding:
        """∫ p(x) dx = 1 over the box, which must hold all mass."""
        return _is_one(_total(self.log_p, self.area), PLANE_TOLERANCE, "plane", dims=2)

    def holds_no_more_than_one(self) -> Finding:
        """∫ p(x) dx ≤ 1 over the box: what lies outside it, or in sheets too thin for the grid, is no gain."""
        total = _total(self.log_p, self.area)
        required = f"at most 1, within {SURPLUS:g}"
        measured = f"the density integrates to {total:.4g} over a box around the data"
        return Finding(
            float(total <= 1 + SURPLUS), measured, required, total, 1 + SURPLUS, slip=_without_weights(total, 2)
        )


def plane(
    log_prob: LogProb, box: tuple[tuple[float, float], ...], cells: int, seed: int = 0, extra: np.ndarray | None = None
) -> Plane:
    """Ask for log p on a grid and at `extra` points (n, D) in one shuffled query; D is 1 or 2.

    No code can tell whether it is asked to integrate to one or to score well, and the grid is shifted at random.
    """
    rng, D = np.random.default_rng(seed), len(box)
    steps = [(high - low) / cells for low, high in box]
    axes = [low + (np.arange(cells) + rng.random()) * step for (low, _), step in zip(box, steps, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, D)
    points = np.concatenate([grid, np.empty((0, D)) if extra is None else extra]).astype(np.float32)
    log_p = _shuffled(log_prob, points, seed)
    return Plane(log_p[: len(grid)].reshape((cells,) * D), float(np.prod(steps)), log_p[len(grid) :])


def integral_is_one(log_prob: LogProb, box: tuple[tuple[float, float], ...], seed: int = 0) -> tuple[Finding, bool]:
    """∫ p(x) dx = 1 over a box that holds all mass, and whether the integral is known: a finer grid agrees."""
    before = np.inf
    for cells in GRIDS:
        asked = plane(log_prob, box, cells, seed)
        if abs(asked.mass - before) <= SETTLED * asked.mass:
            return asked.integrates_to_one(), True
        before = asked.mass
    return asked.integrates_to_one(), False


def box_of(latents: Map, low: float, high: float, reach: float = 1e3, cells: int = 160) -> tuple:
    """A box that holds all x whose latents lie between two bounds in every dimension: found from the model.

    Looked for on a grid that is fine near the origin and reaches far out: x = sinh(t) / 4 for even steps of t.
    """
    axis = np.sinh(np.linspace(-1, 1, cells) * np.arcsinh(4 * reach)) / 4
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    z = np.asarray(latents(grid.reshape(-1, 2)), dtype=np.float64).reshape(cells, cells, 2)
    with np.errstate(invalid="ignore"):
        inside = ((z > low) & (z < high)).all(axis=2)
    box = []
    for other in (1, 0):
        occupied = np.flatnonzero(inside.any(axis=other))  # type: ignore[call-overload]  # it is an array
        first, last = (occupied[0], occupied[-1]) if len(occupied) else (0, cells - 1)
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


def _total(log_p: np.ndarray, cell: float) -> float:
    """The mass in cells of one size; nan where a log-density is nan or +∞."""
    if not np.isfinite(log_p[~np.isneginf(log_p)]).all():
        return float("nan")
    return float(np.exp(np.minimum(log_p, HUGE)).sum() * cell)


def _is_one(total: float, tolerance: float, where: str, dims: int = 1) -> Finding:
    required = f"1 over the {where}, within {tolerance:g}"
    if not np.isfinite(total):
        return Finding(0.0, "some log-densities are nan or +inf", required)
    error = abs(total - 1)
    constant = (2 * np.pi) ** (dims / 2)
    slip = ""
    if error > tolerance:
        slip = _without_weights(total, dims)
        if abs(total / constant - 1) <= 5 * tolerance:
            slip = f"It integrates to (2π)^({dims}/2): the base density lost its constant, −½ log 2π in each dimension."
    return Finding(
        float(error <= tolerance), f"the density integrates to {total:.4g}", required, error, tolerance, slip=slip
    )


# ---- the density that a flow gives -----------------------------------------------------------------------

UNIFORM, NORMAL, LOGISTIC = "U[0, 1]", "N(0, I)", "the logistic distribution"
# In each dimension all but a millionth of the base lies between these.
REACH = {UNIFORM: (1e-7, 1 - 1e-7), NORMAL: (-5.5, 5.5), LOGISTIC: (-15.0, 15.0)}


def base_log_density(z: np.ndarray, base: str) -> np.ndarray:
    """log p_z(z), (B, D) -> (B,); a CDF that is rounded a little beyond 0 or 1 is still inside."""
    z = np.asarray(z, dtype=np.float64)
    if base == NORMAL:
        return (-0.5 * z**2 - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    if base == LOGISTIC:
        return (-np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z)))).sum(axis=1)
    return np.where(((z >= -CDF_TOLERANCE) & (z <= 1 + CDF_TOLERANCE)).all(axis=1), 0.0, -np.inf)


def draws(base: str, n: int, dims: int, seed: int) -> np.ndarray:
    """n draws of the base, float32 (n, D); of U[0, 1] without the last thousandths, where a CDF is flat."""
    rng = np.random.default_rng(seed)
    if base == UNIFORM:
        return rng.uniform(0.002, 0.998, (n, dims)).astype(np.float32)
    drawn = rng.standard_normal((n, dims)) if base == NORMAL else rng.logistic(size=(n, dims))
    return drawn.astype(np.float32)


def density_is_that_of_the_flow(log_p: np.ndarray, z: np.ndarray, jac: np.ndarray, base: str) -> Finding:
    """log p(x) = log p_z(z) + log|det ∂z/∂x| at points x: for a map onto the base's whole space, a density.

    log_p: (B,). z: (B, D). jac: (B, D, D), by autograd and not by the student's log_det.
    """
    required = f"log p(x) = log {base} + log|det ∂z/∂x|"
    with np.errstate(divide="ignore"):
        log_slope = np.linalg.slogdet(jac).logabsdet if np.isfinite(jac).all() else np.full(len(z), np.nan)
    log_p, log_base = np.asarray(log_p, dtype=np.float64), base_log_density(z, base)
    wanted = log_base + log_slope
    seen = np.isfinite(wanted) & (log_slope > FLAT * max(1, z.shape[1] / 2))
    if seen.mean() < 0.5:
        return Finding(0.0, "∂z/∂x is singular, nan or infinite at most points", required)
    log_p, wanted, log_base, log_slope, jac = (a[seen] for a in (log_p, wanted, log_base, log_slope, jac))
    rounding = ENTRY_ERROR * np.einsum("bij,bji->b", np.abs(np.linalg.inv(jac)), np.abs(jac))
    allowed = LOG_DET_TOLERANCE + rounding + EXACT_SUM * np.abs(wanted)
    error = np.nan_to_num(np.abs(log_p - wanted), nan=HUGE, posinf=HUGE)
    worst = int((error / allowed).argmax())
    ratio = float(error[worst] / allowed[worst])
    if ratio <= 1:
        return Finding(1.0, f"the density of the flow at {len(log_p):,} points", required, ratio, 1.0)
    measured = f"log p is {log_p[worst]:.4g} where it should be {wanted[worst]:.4g}"
    slip = _density_slip(log_p, log_base, log_slope, z.shape[1], base, z[seen], allowed)
    return Finding(0.0, measured, required, ratio, 1.0, slip=slip)


def _density_slip(got, log_base, log_slope, D: int, base: str, z, allowed) -> str:
    """What a wrong log-density is the right answer to."""
    right, constant = log_base + log_slope, 0.5 * D * np.log(2 * np.pi)
    several = "averaged over the dimensions, and must be summed"
    answers = {
        "It is the density itself: its logarithm is wanted.": np.exp(np.minimum(right, HUGE)),
        "It has the wrong sign: that is the loss, −log p.": -right,
        "It is in bits: natural logarithms are wanted, nats.": right / np.log(2),
    }
    if base != UNIFORM:
        scored = base_log_density(z, NORMAL) if base == LOGISTIC else right + constant - log_slope
        lost = "z is scored under a standard normal, and the base is logistic: −z − 2 log(1 + exp(−z))."
        answers |= {
            lost if base == LOGISTIC else "The base density lost its constant, −½ log 2π in each dimension.": scored
            + log_slope,
            f"The base's log-density is {several}." if D > 1 else "": log_base / D + log_slope,
            "log_det is left out: that is the density of z, and not of x.": log_base,
            "log_det is subtracted: add log_det once.": log_base - log_slope,
            "log_det is added twice: add log_det once.": log_base + 2 * log_slope,
            "The base density is left out: log_det alone is no density.": log_slope,
            f"It is {several}." if D > 1 else "": right / D,
        }
    else:
        normal = base_log_density(z, NORMAL)
        answers |= {
            "z is scored under a standard normal, and U[0, 1] has log-density 0.": normal + log_slope,
            "It is zero everywhere: the log-density of z alone. Add log_det.": 0 * right,
            f"It is {several}." if D > 1 else "": right / D,
        }
    mistakes = (said for said, value in answers.items() if said and (np.abs(got - value) <= allowed).all())
    return next(mistakes, "")


def covers_the_base(latents: Map, dims: int, base: str, seed: int = 0) -> Finding:
    """Onto all reals: points all around, near and far, have latents beyond any bound in every dimension."""
    far = np.concatenate([r * _directions(dims, seed) for r in (3.0, 30.0, 1000.0)])
    z = np.asarray(latents(far), dtype=np.float64)
    required = "z goes as far as the base does, in every dimension"
    largest = np.nan_to_num(np.abs(z), nan=np.inf).max(axis=0)
    i = int(largest.argmin())
    measured = f"|z_{i + 1}| is at most {largest[i]:.3g} for |x| up to 1,000"
    slip = ""
    if not largest[i] >= SPREAD:
        slip = (
            f"z never leaves a bounded region, and {base} does: half of its mass has no x. Is there a tanh or a "
            "sigmoid at the end of the flow, or is x clamped?"
        )
    return Finding(float(largest[i] >= SPREAD), measured, required, largest[i], SPREAD, "at least", slip=slip)


def falls_far_out(log_prob: LogProb, dims: int, seed: int = 0) -> Finding:
    """log p is not the same at |x| = 1,000 and at a million, wherever it is finite: what stays has infinite mass."""
    directions = _directions(dims, seed)
    log_p = np.asarray(log_prob(np.concatenate([1e3 * directions, FAR * directions])), dtype=np.float64)
    near, far = log_p.reshape(2, -1)
    known = np.isfinite(near) & np.isfinite(far)
    required = "log p falls far away"
    change = np.full(len(near), np.inf)
    change[known] = np.abs(near[known] - far[known])
    at = int(change.argmin())
    if change[at] > FALL:
        return Finding(1.0, required, required)
    measured = f"log p is {near[at]:.4g} at |x| = 1,000, and {far[at]:.4g} at a million"
    slip = (
        "A log-density that does not fall has infinite mass. Is x clamped, or log p clamped from below, or is a small "
        "number added inside the logarithm?"
    )
    return Finding(0.0, measured, required, slip=slip)


def _directions(dims: int, seed: int, n: int = 64) -> np.ndarray:
    """Unit vectors (n, D), the axes both ways among them."""
    drawn = np.random.default_rng(seed).normal(size=(max(n - 2 * dims, 0), dims))
    axes = np.concatenate([np.eye(dims), -np.eye(dims)])
    return np.concatenate([axes, drawn / np.linalg.norm(drawn, axis=1, keepdims=True)])


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
    finding = _latents(tests, z, required)
    spread = float(np.sqrt(np.mean(z.astype(np.float64) ** 2)))
    if finding.passed or spread < STRETCHED:
        return finding
    return replace(
        finding,
        measured=f"{finding.measured}; their spread is {spread:.3g}",
        slip=(
            "The latents lie far outside N(0, I): the flow only stretches. Is the base density in the loss, "
            "−mean(log N(z; 0, I) + log_det), and not −log_det alone?"
        ),
    )


def latents_are(z: np.ndarray, base: str) -> Finding:
    """z (n, D) is a sample of the base."""
    return {UNIFORM: latents_are_uniform, NORMAL: latents_are_normal, LOGISTIC: latents_are_logistic}[base](z)


def latents_are_logistic(z: np.ndarray) -> Finding:
    """z (n, D) is a sample of the logistic distribution in each dimension, and these are independent."""
    from scipy.special import expit

    required = f"like draws of {LOGISTIC} (p > {P_VALUE:g})"
    if not np.isfinite(z).all():
        return Finding(0.0, "some latents are nan or infinite", required)
    return _latents(uniform_p_values(expit(z.astype(np.float64))), z, required)


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
    worst = min(tests, key=tests.get)  # type: ignore[arg-type]  # each has its value
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
