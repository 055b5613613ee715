"""Statistics of samples, on cases with known answers."""

import numpy as np
import pytest

from autograder.properties import samples

RNG = np.random.default_rng(0)
ANGLES = np.arange(8) * np.pi / 4
MEANS, SIGMA = 3 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1), 0.2


def ring(n: int, modes: int = 8, shift: float = 0.0, width: float = 1.0) -> np.ndarray:
    return MEANS[RNG.integers(modes, size=n)] + width * SIGMA * RNG.normal(size=(n, 2)) + shift


# ---- distances -----------------------------------------------------------------------------------------


def test_wasserstein_of_a_shift_is_the_shift():
    x = RNG.normal(size=5000)
    assert samples.wasserstein_1d(x, x + 0.3) == pytest.approx(0.3)
    assert samples.wasserstein_1d(x, x[::-1]) == pytest.approx(0)


def test_the_energy_distance_is_unbiased_and_knows_its_closed_form():
    """Of N(0, 1) and N(μ, 1) in one dimension: 2 E|X − Y| − 2 E|X − X′|, with E|N(m, 2)| in closed form."""
    from scipy.stats import norm

    def mean_absolute(m):
        return 2 * norm.pdf(m / np.sqrt(2)) * np.sqrt(2) + m * (1 - 2 * norm.cdf(-m / np.sqrt(2)))

    def drawn(shift):
        return np.mean(
            [samples.energy(RNG.normal(size=(400, 1)), shift + RNG.normal(size=(400, 1))) for _ in range(60)]
        )

    assert drawn(1.0) == pytest.approx(2 * mean_absolute(1.0) - 2 * mean_absolute(0.0), rel=0.1)
    assert abs(drawn(0.0)) < 2e-3


def test_mmd_is_unbiased_and_sees_a_shift():
    same = [samples.mmd(ring(200), ring(200)) for _ in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(40) + 1e-4
    assert samples.mmd(ring(200), ring(200, shift=1.0)) > 5 * np.std(same)


def test_permuted_statistics_are_the_energy_distance():
    a, b = ring(60), ring(50, modes=4)
    value, null = samples.permuted(a, b, lambda d: d)
    assert value == pytest.approx(samples.energy(a, b), rel=1e-6)
    assert abs(null.mean()) < 0.3 * value


def test_the_same_distribution_fails_rarely_and_others_always():
    right = [samples.same(ring(300), ring(300), "", seed=k).value for k in range(60)]
    assert min(right) > 1e-4
    for wrong in (ring(300, shift=1.5), ring(300, modes=4), np.repeat(ring(1), 300, axis=0)):
        assert samples.same(wrong, ring(300), "").share == 0
    assert samples.same(np.full((300, 2), np.nan), ring(300), "").share == 0


def test_repeated_samples_are_found():
    x = ring(100)
    assert samples.differ(x).passed
    assert samples.differ(x.reshape(100, 1, 2)).passed
    assert "1 of 100" in samples.differ(np.concatenate([x[:99], x[:1]])).measured


# ---- modes ---------------------------------------------------------------------------------------------


def test_modes_and_good_samples():
    good, shares = samples.mode_shares(ring(4000), MEANS, SIGMA)
    assert good > 0.999
    assert shares == pytest.approx(np.full(8, 1 / 8), abs=0.03)
    assert samples.modes(ring(2000), MEANS, SIGMA).passed
    dropped = samples.modes(ring(2000, modes=7), MEANS, SIGMA)
    assert dropped.share == 7 / 8
    assert "7 of 8" in dropped.measured
    assert samples.mode_shares(np.full((10, 2), np.nan), MEANS, SIGMA)[0] == 0


def test_modes_that_shrank_to_points():
    assert samples.keeps_spread(ring(2000), MEANS, SIGMA).passed
    assert samples.keeps_spread(ring(2000, width=0.1), MEANS, SIGMA).share == 0
    assert samples.keeps_spread(ring(2000), MEANS, SIGMA).value == pytest.approx(1, abs=0.15)


# ---- images --------------------------------------------------------------------------------------------


def test_the_frechet_distance_of_gaussians():
    a, b = RNG.normal(size=(2, 5, 5))
    one, other = (RNG.normal(size=5), a @ a.T), (RNG.normal(size=5), b @ b.T)
    from scipy.linalg import sqrtm

    exact = ((one[0] - other[0]) ** 2).sum() + np.trace(one[1] + other[1] - 2 * sqrtm(one[1] @ other[1]).real)
    assert samples.frechet(one, other) == pytest.approx(exact)
    assert samples.frechet(one, one) == pytest.approx(0, abs=1e-6)
    assert samples.frechet(one, other) == pytest.approx(samples.frechet(other, one))


def test_labels():
    even = np.arange(1000) % 10
    assert samples.labels_covered(even, 10).passed
    found = samples.labels_covered(even[even != 3], 10)
    assert found.share == 9 / 10
    assert "rarest, 3" in found.measured


def test_diversity():
    x = RNG.normal(size=(300, 8))
    assert samples.diversity(RNG.normal(size=(300, 8)), x).passed
    assert not samples.diversity(0.5 * x, x).passed
    assert not samples.diversity(np.repeat(x[:1], 300, axis=0), x).passed


def test_copies():
    training, fresh = RNG.normal(size=(2000, 30)), RNG.normal(size=(300, 30))
    assert samples.no_copies(RNG.normal(size=(300, 30)), fresh, training).passed
    assert not samples.no_copies(training[:300], fresh, training).passed
    assert not samples.no_copies(training[:300] + 0.05 * RNG.normal(size=(300, 30)), fresh, training).passed


def test_pixels_and_batches():
    assert samples.in_range(np.array([-1.0, 1.0])).passed
    assert not samples.in_range(np.array([-1.0, 1.1])).passed
    assert not samples.in_range(np.array([np.nan, 0.1])).passed
    z = RNG.normal(size=(8, 3))
    assert samples.depends_on_the_batch(lambda z: z - z.mean(axis=0), z).passed
    assert not samples.depends_on_the_batch(lambda z: 2 * z, z).passed


def test_error_rates_on_known_answers():
    rates = samples.error_rates(draws=15, n=300)
    assert rates["the same distribution"] == (0, 0, 0)
    assert rates["one mode of eight dropped"][1] == 15
    assert rates["one mode"][:2] == (15, 15)
    assert rates["collapsed to a point"] == (15, 15, 15)


def test_error_rates_of_images():
    rates = samples.image_error_rates(draws=2, n=300)
    real, copied, dropped, one, blurred = rates.values()
    assert real[1:] == (0, 0, 0)
    assert copied[3] == 2
    assert dropped[1] == 2
    assert one[2] == 2
    assert real[0] < blurred[0] < one[0]
