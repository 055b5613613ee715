"""Gaussian autoregressive processes in 256 levels, whose conditionals, entropies and spectra are exact.

The process runs on what was quantised, so that nothing is hidden: given the past, a level has the mass that a Gaussian
puts between its edges.
"""

from functools import cached_property

import numpy as np

from deepul_utils.sequences.sequence_set import SequenceSet

LEVELS = 256
MIDDLE = (LEVELS - 1) / 2  # the level of silence lies between two
NODES = 40  # of Gauss and Hermite: the entropy of a conditional hardly changes with its mean
QUANTISED = 1 / 12  # the variance that rounding to whole levels adds


class Process(SequenceSet):
    """x_t = ⌊m_t + σ ε_t⌋ in levels, with m_t = middle + Σ_k a_k (x_{t−k} − middle), ε_t ~ N(0, 1), from silence on.

    coefficients: {lag k: a_k}. sigma: in levels. What would lie beyond the levels joins those at the end.
    """

    def __init__(self, name: str, about: str, length: int, coefficients: dict[int, float], sigma: float):
        super().__init__(name, about, length, LEVELS)
        self.coefficients, self.sigma = dict(coefficients), sigma

    def draw(self, n, rng):
        """n signals, uint8 (n, length), and zeros for labels."""
        noise = self.sigma * rng.standard_normal((self.length, n))
        c = np.zeros((self.length, n))  # levels, from the middle
        for t in range(self.length):
            x = np.floor(self._mean(c, t) + noise[t] + LEVELS / 2)
            c[t] = np.clip(x, 0, LEVELS - 1) - MIDDLE
        return np.ascontiguousarray((c + MIDDLE).T.astype(np.uint8)), np.zeros(n, dtype=np.int64)

    @cached_property
    def entropy_rate(self) -> float:
        """Nats a value, of a signal that began long ago."""
        return self._of_conditional(self._variance_of_mean(1024))

    def above_limit(self, window: int) -> float:
        """Nats a value above the entropy, the mean over a signal, of the best model that sees `window` values back.

        Of Gaussian signals, which these are but for the rounding: half the logarithm of how much larger the variance
        of a value is, given those in the window, than given all.
        """
        C, total = self.covariance, 0.0
        for t in range(self.length):
            known = slice(max(0, t - window), t)
            cross = C[known, t]
            left = C[t, t] - cross @ np.linalg.solve(C[known, known], cross)
            total += np.log(left / (self.sigma**2 + QUANTISED)) / 2
        return total / self.length

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of the values of a signal, in levels², (length, length)."""
        response = self._response(self.length)
        return (self.sigma**2 + QUANTISED) * response @ response.T

    def spectrum(self) -> np.ndarray:
        """The expected power |Σ_t w_t x_t e^{−iωt}|² / Σ w² at the frequencies of `power`, (length // 2 + 1,)."""
        waves = np.fft.rfft(_window(self.length)[:, None] * np.eye(self.length), axis=0)  # (frequencies, length)
        return np.einsum("ft,ts,fs->f", waves, self.covariance, waves.conj()).real

    def power(self, x) -> np.ndarray:
        """The same of signals (n, length), the mean over them; frequencies 0, 1/length, … 1/2 of a cycle a value."""
        c = self.checked(x) - MIDDLE
        return (np.abs(np.fft.rfft(_window(self.length) * c, axis=1)) ** 2).mean(axis=0)

    def _mean(self, c: np.ndarray, t: int) -> np.ndarray:
        """m_t from the middle, of levels from the middle: (length, n) -> (n,)."""
        m = np.zeros(c.shape[1])
        for k, a in self.coefficients.items():
            if k <= t:
                m += a * c[t - k]
        return m

    def _log_conditionals(self, x):
        c = (x - MIDDLE).T
        m = np.stack([self._mean(c, t) for t in range(self.length)]).T
        return _log_mass((x - LEVELS / 2 - m) / self.sigma, 1 / self.sigma, x == 0, x == LEVELS - 1)

    def _entropy(self):
        return sum(self._of_conditional(v) for v in self._variances)

    @cached_property
    def _variances(self) -> np.ndarray:
        """Of m_t for every t, (length,): of the values without their own noise."""
        return np.diagonal(self.covariance) - (self.sigma**2 + QUANTISED)

    def _variance_of_mean(self, t: int) -> float:
        """Of m_t, t values after silence."""
        return float((self.sigma**2 + QUANTISED) * (self._impulse(t)[1:] ** 2).sum())

    def _of_conditional(self, variance: float) -> float:
        """The mean entropy in nats of a conditional whose mean is N(0, variance) from the middle, by quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        m = np.sqrt(max(variance, 0.0)) * nodes[:, None]
        x = np.arange(LEVELS)[None]
        log_p = _log_mass((x - LEVELS / 2 - m) / self.sigma, 1 / self.sigma, x == 0, x == LEVELS - 1)
        p = np.exp(log_p)
        entropies = -(p * np.where(p > 0, log_p, 0.0)).sum(axis=1)
        return float((weights * entropies).sum() / weights.sum())

    def _response(self, length: int) -> np.ndarray:
        """What noise of size one at time s leaves at time t, (t, s): lower triangular."""
        lag = np.arange(length)[:, None] - np.arange(length)
        return np.where(lag >= 0, self._impulse(length)[lag.clip(0)], 0.0)

    def _impulse(self, length: int) -> np.ndarray:
        """What noise of size one leaves 0, 1, … values later, (length,)."""
        impulse = np.zeros((length, 1))
        impulse[0] = 1.0
        for t in range(1, length):
            impulse[t] = self._mean(impulse, t)
        return impulse[:, 0]


def resonance(length: int) -> Process:
    """Noise that rings at one pitch."""
    return Process("resonance", "Noise that rings at one pitch, eight values a cycle.", length, ringing(), 6.0)


def echo(length: int) -> Process:
    """The same with its echo."""
    ring, lag, strength = {0: -1.0, **ringing()}, 24, 0.8
    # (1 − Σ a_k B^k)(1 − b B^L) x = ε, with B the step back
    coefficients = {**ringing(), **{lag + k: -strength * a for k, a in ring.items()}}
    return Process("echo", "Noise that rings, and its echo 24 values later.", length, coefficients, 6.0)


def ringing(radius: float = 0.8, period: float = 8.0) -> dict[int, float]:
    """The two coefficients of a resonance."""
    return {1: 2 * radius * float(np.cos(2 * np.pi / period)), 2: -(radius**2)}


def _window(length: int) -> np.ndarray:
    """Hann's, of sum of squares one."""
    w = np.hanning(length + 2)[1:-1]
    return w / np.sqrt((w**2).sum())


def _log_mass(low: np.ndarray, width: float, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """log of what N(0, 1) puts between low and low + width; from −∞ on for the first level, up to ∞ for the last."""
    from scipy.special import log_ndtr

    lo, hi = np.where(first, -np.inf, low), np.where(last, np.inf, low + width)
    above = low + width / 2 > 0  # mirrored into the lower tail, where differences keep their digits
    lo, hi = np.where(above, -hi, lo), np.where(above, -lo, hi)
    upper, lower = log_ndtr(hi), log_ndtr(lo)
    return upper + np.log1p(-np.exp(np.minimum(lower - upper, -1e-300)))
