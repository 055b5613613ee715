"""The toy sets by name. Each builder's docstring is the set's description in data/README.md."""

import numpy as np

from deepul_utils.toy.distribution import Checkerboard
from deepul_utils.toy.mixture import GaussianMixture

# Components this many widths apart make a ripple of 2·exp(−2π²/1.2²) ≈ 2e-6 along a curve: a smooth line.
SPACING = 1.2


def smiley():
    """Two eyes and a mouth."""
    mouth = _along(_arc(2.6, 200, 340) + np.array([0, 0.6]), 0.15)
    return _union((0.6, mouth, 0.15), (0.4, np.array([[-1.3, 1.7], [1.3, 1.7]]), 0.3))


def face():
    """The smiley in a circle: what has a hole is hard for a flow."""
    circle = _along(_arc(3.2, 0, 360), 0.12)
    mouth = _along(_arc(1.9, 205, 335), 0.12)
    eyes = np.array([[-1.15, 1.0], [1.15, 1.0]])
    return _union((0.5, circle, 0.12), (0.26, mouth, 0.12), (0.24, eyes, 0.24))


def moons():
    """Two interleaved half circles."""
    upper = _along(_arc(2.2, 0, 180) - np.array([1.1, 0.55]), 0.15)
    return _union((0.5, upper, 0.15), (0.5, -upper, 0.15))


def spirals():
    """Two arms of an Archimedean spiral, one and a half turns each."""
    t = np.linspace(0.35, 3 * np.pi, 2000)
    arm = _along((3.4 * t / t[-1])[:, None] * _directions(t), 0.12)
    return _union((0.5, arm, 0.12), (0.5, -arm, 0.12))


def rings():
    """Three concentric circles of equal brightness."""
    return _union(*((r / 6.6, _along(_arc(r, 0, 360), 0.12), 0.12) for r in (1.1, 2.2, 3.3)))


def eight_gaussians():
    """Eight round Gaussians on a circle."""
    return _union((1.0, 3.0 * _directions(np.arange(8) * np.pi / 4), 0.2))


def checkerboard():
    """Uniform on the eight dark squares of a 4 × 4 board."""
    return Checkerboard()


def pinwheel():
    """Five bent blades, widening outwards."""
    r = np.linspace(0.7, 3.3, 14)
    bend = 0.32 * (r - r[0])
    means, covariances = [], []
    for blade in np.arange(5) * 2 * np.pi / 5:
        x = r[:, None] * _directions(blade + bend)
        along = np.gradient(x, axis=0)
        means.append(x)
        covariances.append(_oriented(along, 0.2, 0.06 + 0.09 * r))
    return GaussianMixture(np.full(70, 1 / 70), np.concatenate(means), np.concatenate(covariances))


def rotated_gaussian():
    """One Gaussian with correlated coordinates, widths 1.6 and 0.45, turned by 35°."""
    axis = _directions(np.deg2rad([35.0]))
    return GaussianMixture([1.0], [[0.3, -0.2]], _oriented(axis, 1.6, np.array([0.45])))


def axis_gaussian():
    """One Gaussian with independent coordinates, widths 1.5 and 0.4, off centre."""
    return GaussianMixture([1.0], [[0.5, -1.0]], [np.diag([1.5, 0.4]) ** 2])


def two_bumps():
    """Two Gaussians of unequal weight."""
    return _line((0.4, -1.6, 0.5), (0.6, 1.3, 0.7))


def three_bumps():
    """Three Gaussians of unequal weight and width."""
    return _line((0.3, -2.4, 0.35), (0.45, -0.1, 0.6), (0.25, 2.3, 0.25))


def skewed():
    """A sharp rise and a long tail: eight widths, from 1 to 0.06 (Marron and Wand 1992, density 3)."""
    scale = (2 / 3) ** np.arange(8)
    return _line(*((1 / 8, 3 * (s - 1), s) for s in scale))


def edges():
    """Three modes, one sharp, and a tenth of the mass beyond the ends of the box."""
    return _line((0.05, -6.0, 1.0), (0.38, -1.9, 0.6), (0.15, 0.55, 0.07), (0.36, 2.2, 0.4), (0.06, 6.5, 1.3))


_ALL = (
    smiley,
    face,
    moons,
    spirals,
    rings,
    eight_gaussians,
    checkerboard,
    pinwheel,
    rotated_gaussian,
    axis_gaussian,
    two_bumps,
    three_bumps,
    skewed,
    edges,
)
BUILDERS = {build.__name__: build for build in _ALL}


def _directions(angle: np.ndarray) -> np.ndarray:
    """Unit vectors (m, 2) at these angles (radians)."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _arc(radius: float, start: float, stop: float) -> np.ndarray:
    """A dense polyline (2000, 2) on a circle about the origin; start and stop in degrees."""
    return radius * _directions(np.deg2rad(np.linspace(start, stop, 2000)))


def _along(curve: np.ndarray, sigma: float) -> np.ndarray:
    """Points (m, 2) evenly spaced by arc length in the middle of each stretch of a polyline."""
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1)))
    m = int(np.ceil(length[-1] / (SPACING * sigma)))
    at = (np.arange(m) + 0.5) / m * length[-1]  # the middles, so that a closed curve has no double point
    return np.stack([np.interp(at, length, c) for c in curve.T], axis=1)


def _union(*parts: tuple[float, np.ndarray, float]) -> GaussianMixture:
    """Parts (weight, means (m, 2), sigma), each with its weight shared evenly among round Gaussians."""
    weights = np.concatenate([np.full(len(mu), weight / len(mu)) for weight, mu, _ in parts])
    means = np.concatenate([mu for _, mu, _ in parts])
    covariances = np.concatenate([np.tile(sigma**2 * np.eye(2), (len(mu), 1, 1)) for _, mu, sigma in parts])
    return GaussianMixture(weights, means, covariances)


def _oriented(axis: np.ndarray, along: float, across: np.ndarray) -> np.ndarray:
    """Covariances (m, 2, 2) with width `along` on each axis (m, 2), `across` (m,) at right angles."""
    a = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    b = np.stack([-a[:, 1], a[:, 0]], axis=1)
    outer = [v[:, :, None] * v[:, None, :] for v in (a, b)]
    return along**2 * outer[0] + across[:, None, None] ** 2 * outer[1]


def _line(*parts: tuple[float, float, float]) -> GaussianMixture:
    """A 1-D mixture of (weight, mean, sigma)."""
    weights, means, sigmas = np.array(parts).T
    return GaussianMixture(weights, means[:, None], sigmas[:, None, None] ** 2)
