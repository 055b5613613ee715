"""Statistics of samples, on cases with known answers."""

import numpy as np
import pytest
import sample_statistics

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
    assert dropped.share == 6 / 7
    assert samples.modes(ring(2000, modes=1), MEANS, SIGMA).share == 0
    assert "7 of 8" in dropped.measured
    assert samples.mode_shares(np.full((10, 2), np.nan), MEANS, SIGMA)[0] == 0


def test_modes_that_shrank_to_points():
    assert samples.keeps_spread(ring(2000), MEANS, SIGMA).passed
    assert samples.keeps_spread(ring(2000, width=0.1), MEANS, SIGMA).share == 0
    assert samples.keeps_spread(ring(2000), MEANS, SIGMA).value == pytest.approx(1, abs=0.15)


def test_modes_that_are_not_covered_have_no_width():
    """They are what `modes` is for; of those that are there a part may have shrunk."""
    assert samples.keeps_spread(ring(2000, modes=7), MEANS, SIGMA).passed
    half = np.concatenate(
        [ring(2000, modes=4, width=0.1), MEANS[4:][RNG.integers(4, size=2000)] + ring(2000, 1) - MEANS[0]]
    )
    found = samples.keeps_spread(half, MEANS, SIGMA)
    assert found.share == 0.5
    assert "shrunk" in found.slip
    assert samples.keeps_spread(np.full((10, 2), 50.0), MEANS, SIGMA).share == 0
    assert samples.keeps_spread(np.full((10, 2), np.nan), MEANS, SIGMA).share == 0


# ---- the map from noise ----------------------------------------------------------------------------------

TABLE, W, V = RNG.normal(size=(64, 5)), RNG.normal(size=(3, 40)), RNG.normal(size=(40, 5))


@pytest.mark.parametrize(
    ("function", "ok"),
    [
        (lambda z: np.tanh(z @ W) @ V, True),
        (lambda z: np.maximum(0, 30 * z @ W) @ V, True),
        (lambda z: np.tanh(300 * z @ W[:, :1]) * V[:1], True),  # steep
        (lambda z: 0 * z, True),
        (lambda z: TABLE[(z > 0) @ [1, 2, 4]] + 1e-3 * z[:, :1], False),
        (lambda z: TABLE[np.abs(1e5 * z @ [1.0, 3, 5]).astype(int) % 64], False),
    ],
)
def test_a_table_jumps_and_a_network_does_not(function, ok):
    for seed in range(5):
        z = np.random.default_rng(seed).normal(size=(8, 3)).astype(np.float32)
        found = samples.is_continuous(function, z)
        assert found.passed == ok
        assert ("stored data" in found.slip) == (not ok)


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
    assert found.share == 8 / 9
    assert samples.labels_covered(0 * even, 10).share == 0
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
    assert "sigmoid" in samples.in_range(np.array([0.0, 0.99])).slip
    assert "missing" in samples.in_range(np.array([-3.0, 2.0])).slip
    assert not samples.in_range(np.array([-1.0, 1.1])).passed
    assert not samples.in_range(np.array([np.nan, 0.1])).passed
    z = RNG.normal(size=(8, 3))
    assert samples.depends_on_the_batch(lambda z: z - z.mean(axis=0), z).passed
    plain = samples.depends_on_the_batch(lambda z: np.tanh(2 * z), z)
    assert not plain.passed
    assert "Batch normalisation is missing" in plain.slip
    alone = samples.depends_on_the_batch(lambda z: np.tanh(z / z.std(axis=1, keepdims=True)), z)
    assert not alone.passed
    assert "normalised by itself" in alone.slip


# ---- every statistic on every case whose answer is known ------------------------------------------------

# What must be found wanting, in every draw; all else in none.
CAUGHT = {
    "shifted by 0.2, one σ of a mode": {"same"},
    "one mode dropped": {"modes"},
    "one mode kept": {"same", "modes"},
    "modes shrunk to a fifth of their width": {"spread"},
    "one digit dropped": {"labels"},
    "collapsed to a point": {"same", "modes", "spread"},
    "collapsed to one image": {"labels", "diversity"},
    "training images": {"no copies"},
    "training images with a little noise": {"no copies"},
}


@pytest.mark.parametrize(
    ("data", "name"), [(data, name) for data in ("Eight Gaussians", "Glyphs") for name in sample_statistics.CASES[data]]
)
def test_a_case_is_caught_by_what_is_meant_for_it_and_by_nothing_else(data, name):
    draws = 2 if data == "Glyphs" else 10
    found = sample_statistics.judged(sample_statistics.CASES[data][name], draws)
    wanting = {statistic: count for statistic, (_, _, count) in found.items() if count is not None}
    if name in ("one mode dropped", "modes shrunk to a fifth of their width"):
        del wanting["same"]  # sees it in some draws: so much is near what 500 samples can tell
    assert wanting == {s: draws if s in CAUGHT.get(name, ()) else 0 for s in wanting}


def test_graded_statistics_grow_with_what_is_wrong():
    def of(data, statistic):
        return {
            name: sample_statistics.judged(case, 2)[statistic][0]
            for name, case in sample_statistics.CASES[data].items()
        }

    line = of("Three bumps", "W₁ / sd")
    assert line[sample_statistics.RIGHT] < 0.03
    assert line["shifted by 0.1 standard deviations"] == pytest.approx(0.1, abs=0.03)
    assert line["one side dropped"] > 0.5
    pictures = of("Glyphs", "Fréchet distance")
    assert pictures[sample_statistics.RIGHT] < 25 < 100 < pictures["blurred by one pixel"]
    assert pictures["one digit dropped"] > 100
    assert pictures["collapsed to one image"] > 1000


def test_p_values_are_not_too_small():
    """Of one distribution p or less is said in p of the draws, or fewer: two tests share the p-value."""
    for p, share in sample_statistics.p_values(draws=200):
        assert share <= p + 4 * np.sqrt(p / 200)


def test_the_jensen_shannon_divergence_of_known_distributions():
    x = RNG.normal(size=20_000)
    assert samples.jensen_shannon_1d(x, RNG.normal(size=20_000)) < 2e-3
    assert samples.jensen_shannon_1d(x, x + 100) == pytest.approx(np.log(2), abs=1e-3)
    assert samples.jensen_shannon_1d(np.zeros(100), np.ones(50)) == pytest.approx(np.log(2))
    # Of N(0, 1) and N(1, 1) by quadrature.
    t = np.linspace(-10, 11, 20_001)
    p, q = (np.exp(-((t - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0, 1))
    exact = (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))).sum() * (t[1] - t[0]) / 2
    assert samples.jensen_shannon_1d(x, 1 + RNG.normal(size=20_000)) == pytest.approx(exact, rel=0.05)
