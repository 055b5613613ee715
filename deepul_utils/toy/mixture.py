"""Mixtures of Gaussians in one or two dimensions: density, entropy and the mass of grid cells."""

import numpy as np

from deepul_utils.toy.distribution import BLOCK, Distribution

# The trapezoid rule on a Gaussian errs by exp(−2π²(σ/h)²) at step h: below rounding at a third of σ.
STEPS_PER_SIGMA = 3
# A Gaussian beyond this many σ adds less than 1e-18 to an entropy …
ENTROPY_REACH = 9.0
# … and less than 1e-196 to a cell, so that log p stays finite in the far corners of a grid.
CELL_REACH = 30.0


class GaussianMixture(Distribution):
    """p(x) = Σ_k π_k N(x; μ_k, Σ_k), for x of one or two dimensions.

    weights π (K,) positive, summing to one; means μ (K, D); covariances Σ (K, D, D) positive definite.
    Raises ValueError for other weights or shapes, numpy.linalg.LinAlgError for a covariance that is not
    positive definite.
    """

    def __init__(self, weights, means, covariances, **labels):
        pi, mu, sigma = (np.array(a, dtype=np.float64) for a in (weights, means, covariances))
        K, D = mu.shape
        if pi.shape != (K,) or sigma.shape != (K, D, D) or D not in (1, 2):
            raise ValueError(f"Shapes {pi.shape}, {mu.shape}, {sigma.shape} are not (K,), (K, D), (K, D, D).")
        if not (pi > 0).all() or abs(pi.sum() - 1) > 1e-12:
            raise ValueError(f"Weights are positive and sum to one, got a sum of {pi.sum()}.")
        super().__init__(dims=D, **labels)
        self.weights, self.means, self.covariances = pi, mu, sigma
        for shared in (pi, mu, sigma):  # `toy.get` gives everyone the same object
            shared.flags.writeable = False
        self._cholesky = np.linalg.cholesky(sigma)
        self._quadratic = self._coefficients()

    @property
    def is_along_axes(self):
        """Whether its Gaussians are wider along one axis than along the other, and none is tilted."""
        return self.dims == 2 and not self.covariances[:, 0, 1].any() and not self._is_round().all()

    def moved(self, M):
        """The mixture of M x, for an orthogonal M: means M μ_k, covariances M Σ_k Mᵀ."""
        kept = self._is_round()[:, None, None]  # to the last bit, or they would count as tilted
        return GaussianMixture(
            self.weights, self.means @ M.T, np.where(kept, self.covariances, M @ self.covariances @ M.T)
        )

    def _is_round(self) -> np.ndarray:
        """Which components are as wide in every direction, bool (K,)."""
        widths = self.covariances[:, :1, :1] * np.eye(self.dims)
        return (self.covariances == widths).all(axis=(1, 2))

    def draw(self, n, rng):
        """n draws in double precision, float64 (n, D): μ_k + L_k z with k ~ π and L_k L_kᵀ = Σ_k."""
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        z = rng.standard_normal((n, self.dims))
        return self.means[k] + np.einsum("nij,nj->ni", self._cholesky[k], z)

    def bin_mass(self, edges):
        """P(x in cell) = Σ_k π_k P_k(x in cell), float64 (bins,) * D."""
        if self.dims == 1:
            return self.weights @ self._axis_mass(0, edges[0])
        tilted = self.covariances[:, 0, 1] != 0
        pi = np.where(tilted, 0.0, self.weights)[:, None]
        mass = (pi * self._axis_mass(0, edges[0])).T @ self._axis_mass(1, edges[1])
        for k in np.flatnonzero(tilted):
            mass += self.weights[k] * _tilted_mass(self.means[k], self.covariances[k], edges)
        return mass

    def _axis_mass(self, dim: int, edges: np.ndarray) -> np.ndarray:
        """Each component's mass in each bin of one dimension: (K, bins)."""
        sd = np.sqrt(self.covariances[:, dim, dim])
        return _interval_mass((edges - self.means[:, dim, None]) / sd[:, None])

    def _coefficients(self) -> np.ndarray:
        """log π_k N(x; μ_k, Σ_k) is quadratic in x: its coefficients, (D² + D + 1, K)."""
        K, D = self.means.shape
        precision = np.linalg.inv(self.covariances)
        linear = np.einsum("kij,kj->ki", precision, self.means)
        log_det = 2 * np.log(np.diagonal(self._cholesky, axis1=1, axis2=2)).sum(axis=1)
        constant = np.log(self.weights) - (D * np.log(2 * np.pi) + log_det) / 2
        constant -= (linear * self.means).sum(axis=1) / 2
        return np.concatenate([-precision.reshape(K, D * D).T / 2, linear.T, constant[None]])

    def _log_density(self, x):
        n, D = x.shape
        squares = (x[:, :, None] * x[:, None, :]).reshape(n, D * D)
        log_terms = np.concatenate([squares, x, np.ones((n, 1))], axis=1) @ self._quadratic  # (n, K)
        largest = log_terms.max(axis=1)
        return largest + np.log(np.exp(log_terms - largest[:, None]).sum(axis=1))

    @property
    def _block(self):
        return max(1, BLOCK // len(self.weights))

    def _entropy(self):
        """Closed form for one Gaussian; else the trapezoid rule on a grid finer than the narrowest width."""
        if len(self.weights) == 1:
            return np.linalg.slogdet(2 * np.pi * np.e * self.covariances[0]).logabsdet / 2
        step = np.sqrt(np.linalg.eigvalsh(self.covariances).min()) / STEPS_PER_SIGMA
        reach = ENTROPY_REACH * np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))  # (K, D)
        lows, highs = (self.means - reach).min(axis=0), (self.means + reach).max(axis=0)
        axes = [np.arange(lo, hi + step, step) for lo, hi in zip(lows, highs, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.dims)
        log_p = self.log_prob(grid)
        return -np.sum(np.exp(log_p) * log_p) * step**self.dims


def _interval_mass(z: np.ndarray) -> np.ndarray:
    """Φ(z_{j+1}) − Φ(z_j) along the last axis, (…, bins + 1) → (…, bins).

    Intervals above zero are mirrored into the lower tail, where the difference keeps its digits.
    """
    from scipy.special import ndtr

    lo, hi = z[..., :-1], z[..., 1:]
    above = lo > 0
    return ndtr(np.where(above, -lo, hi)) - ndtr(np.where(above, -hi, lo))


def _tilted_mass(mu: np.ndarray, sigma: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    """Cell masses of one Gaussian with correlated axes, (bins, bins).

    mass_ij = ∫_{bin i} φ(u) P(x₂ in bin j | u) du, with u = (x₁ − μ₁)/σ₁: Gauss–Legendre on panels that
    end at the bin edges and are no wider than the conditional probability's own rise.
    """
    sd = np.sqrt(sigma[0, 0])
    slope = sigma[0, 1] / sd  # E[x₂ | u] = μ₂ + slope·u
    rest = np.sqrt(sigma[1, 1] - slope**2)  # SD[x₂ | u]
    cuts = np.clip((edges[0] - mu[0]) / sd, -CELL_REACH, CELL_REACH)
    width = min(0.5, rest / abs(slope))
    panels = np.unique(np.concatenate([cuts, np.arange(-CELL_REACH, CELL_REACH, width)]))
    nodes, weights = np.polynomial.legendre.leggauss(16)
    middle, half = (panels[1:] + panels[:-1]) / 2, np.diff(panels) / 2
    u = middle[:, None] + half[:, None] * nodes  # (panels, 16)
    phi = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    given_u = _interval_mass((edges[1] - mu[1] - slope * u[..., None]) / rest)  # (panels, 16, bins)
    panel_mass = np.einsum("pn,pnj->pj", half[:, None] * weights * phi, given_u)
    mass = np.zeros((len(edges[0]) - 1, len(edges[1]) - 1))
    np.add.at(mass, np.searchsorted(cuts, middle, side="right") - 1, panel_mass)
    return mass
