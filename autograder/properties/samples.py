"""What samples of an implicit model show: statistics with a known rate of error.

| statistic | function | samples | a right model fails |
|---|---|---|---|
| Wasserstein distance in 1-D | `wasserstein_1d` | 20,000 | graded: by the spread over seeds |
| energy distance, MMD, p-values by permutation | `same`, of `energy`, `mmd` | 500 | below 1e-4 |
| modes covered, and none of them shrunk | `modes`, `keeps_spread` | 4,000 | below 1e-4 |
| share of good samples | `mode_shares` | 4,000 | graded: by the spread over seeds |
| Fréchet distance in features | `frechet` | 2,000 | graded: by the spread over seeds |
| share of the rarest label | `labels_covered` | 2,000 | below 1e-6 at half its share |
| diversity, against collapse | `diversity` | 500 | below 1e-6 |
| nearest training images, against copies | `no_copies` | 300 | below 1e-6 |

`benchmarks/sample_statistics.py` measures what they cost, how often they err and what they catch, on cases whose
answer is known (docs/samples.md); `deepul calibrate` measures it on the trained solutions (reference.json).
"""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding

# Permutations are dear. A few will do where samples are alike; where these say DOUBTFUL there are MANY. Among N of them
# no p-value is smaller than 1/N: beyond the largest, the tail is that of a distribution fitted to them.
PERMUTATIONS, MANY, DOUBTFUL = 200, 5000, 3e-3
P_VALUE = 1e-6  # rare enough for a class of hundreds with several such checks each
BANDWIDTHS = (0.05, 0.5)  # of the MMD, as quantiles of the distances between two samples
COINCIDENCE = 0.01  # share of samples that may equal another: of 500 float32 numbers two do once in a few hundred draws
# A mode is covered with this share of what it should have; a good sample lies this many σ from a mode.
COVERED, GOOD_SIGMAS = 0.25, 4.0
# A label is covered with this share of what it should have.
LABELS = 0.2
# Mean distances between samples, relative to those between images.
DIVERSE = 0.7
# Copies lie nearer to a training image than fresh images do: nearer than the nearest 5 % of these.
NEAR, COPIES = 0.05, 0.30


# ---- distances -----------------------------------------------------------------------------------------


def wasserstein_1d(a: np.ndarray, b: np.ndarray) -> float:
    """W₁ of two samples (n,), (m,): the area between their cumulative distributions."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(np.ravel(a), np.ravel(b)))


def jensen_shannon_1d(a: np.ndarray, b: np.ndarray, cells: int = 80) -> float:
    """JS of two samples (n,), (m,), in nats, from their shares in cells that hold equally many of both together."""
    a, b = np.ravel(a), np.ravel(b)
    inner = np.unique(np.quantile(np.concatenate([a, b]), np.linspace(0, 1, cells + 1)[1:-1]))
    p, q = (np.bincount(np.searchsorted(inner, s), minlength=len(inner) + 1) / len(s) for s in (a, b))
    middle = (p + q) / 2

    def divergence(r: np.ndarray) -> float:
        """KL(r ‖ middle)."""
        return float((r[r > 0] * np.log(r[r > 0] / middle[r > 0])).sum())

    return (divergence(p) + divergence(q)) / 2


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))


def energy(a: np.ndarray, b: np.ndarray) -> float:
    """2 E‖a − b‖ − E‖a − a′‖ − E‖b − b′‖, of samples (n, D), (m, D); means without the diagonal: unbiased.

    Székely and Rizzo (2004). It is zero for equal distributions only.
    """
    n, m = len(a), len(b)
    within = _distances(a, a).sum() / (n * (n - 1)) + _distances(b, b).sum() / (m * (m - 1))
    return float(2 * _distances(a, b).mean() - within)


def mmd(a: np.ndarray, b: np.ndarray, bandwidth: float | None = None) -> float:
    """Squared maximum mean discrepancy with a Gaussian kernel, unbiased, of samples (n, D), (m, D).

    Gretton et al. (2012). bandwidth: the median distance, unless given.
    """
    between = _distances(a, b)
    h = np.median(between) if bandwidth is None else bandwidth

    def k(d: np.ndarray) -> np.ndarray:
        return np.exp(-(d**2) / (2 * h**2))

    n, m = len(a), len(b)
    within = (k(_distances(a, a)).sum() - n) / (n * (n - 1)) + (k(_distances(b, b)).sum() - m) / (m * (m - 1))
    return float(within - 2 * k(between).mean())


def permuted(
    a: np.ndarray, b: np.ndarray, kernel: Callable[[np.ndarray], np.ndarray], seed: int = 0, count: int = PERMUTATIONS
) -> tuple[float, np.ndarray]:
    """(statistic, its values with labels exchanged (count,)): Σ over pairs of −kernel(distance), unbiased.

    kernel: of distances: d itself gives the energy distance; −exp(−d²/2h²) gives the MMD.
    """
    rng, n = np.random.default_rng(seed), len(a)
    both = np.concatenate([a, b])
    k = kernel(_distances(both, both))
    np.fill_diagonal(k, 0)
    N, m = len(both), len(b)
    labels = np.zeros((N, count + 1))
    labels[:n, 0] = 1
    for j in range(1, count + 1):
        labels[rng.permutation(N)[:n], j] = 1
    own = np.einsum("ij,ij->j", labels, k @ labels)
    cross = np.einsum("ij,ij->j", 1 - labels, k @ labels)
    rest = k.sum() - own - 2 * cross
    values = 2 * cross / (n * m) - own / (n * (n - 1)) - rest / (m * (m - 1))
    return float(values[0]), values[1:]


def same(a: np.ndarray, b: np.ndarray, name: str, seed: int = 0, required: str = "", slip: str = "") -> Finding:
    """Two samples (n, D), (m, D) have one distribution: energy distance and MMD of two bandwidths, by permutation.

    A wide kernel sees where samples are, a narrow one what each mode looks like. The p-value is Bonferroni-corrected
    for the three.
    """
    scale = b.std(axis=0) + 1e-12
    a, b = (np.asarray(s, dtype=np.float64).reshape(len(s), -1) / scale for s in (a, b))
    required = f"{required or 'the same distribution'} (p > {P_VALUE:g})"
    if not np.isfinite(a).all():
        return Finding(0.0, f"{name}: nan or infinite", required)
    pairs = _distances(b[:200], b[:200])[np.triu_indices(min(200, len(b)), 1)]
    kernels = [lambda d: d]  # type: list[Callable[[np.ndarray], np.ndarray]]
    kernels += [
        lambda d, h=h: -np.exp(-(d**2) / (2 * h**2))  # type: ignore[misc]  # mypy has no type for h=h
        for h in np.quantile(pairs, BANDWIDTHS) + 1e-12
    ]
    p_value = min(1.0, len(kernels) * min(_p_value(a, b, kernel, seed) for kernel in kernels))
    measured = f"{name}: energy distance {energy(a, b):.2g}, p = {p_value:.2g}"
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value", slip=slip)


def as_wide(a: np.ndarray, b: np.ndarray) -> Finding:
    """Samples (n, D), (m, D) are spread alike, number by number: Brown and Forsythe's test, Bonferroni-corrected.

    It sees noise that is narrower sooner than distances do.
    """
    from scipy.stats import levene

    p_values = [levene(x, y, center="median").pvalue for x, y in zip(a.T, b.T, strict=True) if np.ptp(y)]
    p_value = float(min(1.0, len(p_values) * min(p_values, default=1.0)))
    ratio = float(np.median(a.std(axis=0) / (b.std(axis=0) + 1e-12)))
    return Finding(
        float(p_value > P_VALUE),
        f"samples are {ratio:.2f} times as wide as G(z), p = {p_value:.2g}",
        f"as wide (p > {P_VALUE:g})",
        p_value,
        P_VALUE,
        "p-value",
    )


def _p_value(a: np.ndarray, b: np.ndarray, kernel: Callable[[np.ndarray], np.ndarray], seed: int) -> float:
    p = _tail(*permuted(a, b, kernel, seed))
    return _tail(*permuted(a, b, kernel, seed + 1, MANY)) if p < DOUBTFUL else p


def _tail(value: float, null: np.ndarray) -> float:
    """P(as large): the share of the permuted values, (N,), that are.

    If none is, by a gamma distribution fitted to them by three moments (Pearson type III); that may be too small, where
    the tail is a heavier one.
    """
    from scipy.stats import pearson3, skew

    reached = float((null >= value).mean())
    if reached:
        return reached
    spread = null.std()
    if spread == 0:
        return 0.0
    return float(pearson3.sf((value - null.mean()) / spread, max(float(skew(null)), 1e-3)))


def differ(samples: np.ndarray) -> Finding:
    """No sample comes up twice, (n, …), but for numbers of one dimension that rounding makes one."""
    rows = np.ascontiguousarray(samples).reshape(len(samples), -1)
    twice = len(rows) - len(np.unique(rows, axis=0))
    measured = f"{twice} of {len(rows)} samples came up before" if twice else "all samples differ"
    share = twice / len(rows)
    return Finding(float(share <= COINCIDENCE), measured, "no sample twice", share, COINCIDENCE)


# ---- modes ---------------------------------------------------------------------------------------------


def mode_shares(samples: np.ndarray, means: np.ndarray, sigma: float) -> tuple[float, np.ndarray]:
    """(share of samples within GOOD_SIGMAS σ of a mode, share of these at each mode): (n, D), (K, D)."""
    distance = _distances(np.nan_to_num(samples, nan=1e9), means)
    good = distance.min(axis=1) < GOOD_SIGMAS * sigma
    counts = np.bincount(distance.argmin(axis=1)[good], minlength=len(means))
    return float(good.mean()), counts / max(1, counts.sum())


def modes(samples: np.ndarray, means: np.ndarray, sigma: float) -> Finding:
    """Every mode is covered, by COVERED of its even share and more."""
    _, shares = mode_shares(samples, means, sigma)
    K = len(means)
    covered = int((shares * K > COVERED).sum())
    plot = {"kind": "bars", "series": {"share": shares}, "x": "mode"}
    rarest = float(shares.min() * K)
    return Finding(
        max(covered - 1, 0) / (K - 1),
        f"{covered} of {K} modes are covered, the rarest with {rarest:.2f} of its share",
        f"{K} of {K}, each with {COVERED:.0%} of its share",
        rarest,
        COVERED,
        "at least",
        plot,
    )


def keeps_spread(samples: np.ndarray, means: np.ndarray, sigma: float) -> Finding:
    """Within a mode samples are as far from their mean as data are: no mode has collapsed to a point.

    Standard deviation per dimension of the good samples, in σ, mode by mode. Modes that are not covered have no width
    to speak of, and are left out.
    """
    distance = _distances(np.nan_to_num(samples, nan=1e9), means)
    mode, nearest = distance.argmin(axis=1), distance.min(axis=1)
    good = nearest < GOOD_SIGMAS * sigma
    covered = np.flatnonzero(mode_shares(samples, means, sigma)[1] * len(means) > COVERED)
    required = f"at least {SPREAD:.2f} of the data's width in every mode"
    if not len(covered):
        return Finding(0.0, "no mode is covered", required, 0.0, SPREAD, "at least")
    spread = np.array([np.sqrt(samples[good & (mode == k)].var(axis=0).mean()) / sigma for k in covered])
    low, k = float(spread.min()), int(covered[spread.argmin()])
    plot = {"kind": "bars", "series": {"spread / σ": spread}, "x": "mode"}
    measured = f"the narrowest mode, {k + 1}, has {low:.2f} of the data's width"
    slip = "" if low > SPREAD else "A mode has shrunk to a point: every z near it gives one sample."
    return Finding(float((spread > SPREAD).mean()), measured, required, low, SPREAD, "at least", plot, slip)


SPREAD = 0.3  # of a mode's own width; games leave modes narrower or wider than data by up to a third


# ---- the map from noise ----------------------------------------------------------------------------------


def is_continuous(function: Callable[[np.ndarray], np.ndarray], z: np.ndarray) -> Finding:
    """x = G(z) moves a little when z moves a little: on straight lines between pairs of z, (2 B, latents), no jumps.

    A table of images, looked up by z, jumps from one to the next. The largest of STEPS steps is cut into as many
    again: of a step of a continuous function a small part is left, of a jump all of it.
    """
    apart = function(z)
    scale = np.sqrt(_squares(apart - apart.mean(axis=0)).mean())
    jump = 0.0
    for a, b in zip(z[::2], z[1::2], strict=True):
        low, high, largest = 0.0, 1.0, np.inf
        for _ in range(2):
            t = np.linspace(low, high, STEPS + 1)
            step = np.sqrt(_squares(np.diff(function((a + t[:, None] * (b - a)).astype(np.float32)), axis=0)))
            k, before, largest = int(step.argmax()), largest, float(step.max())
            low, high = t[k], t[k + 1]
        if largest > before / 2 and largest > JUMP * scale:
            jump = max(jump, largest / (scale + 1e-12))
    measured = (
        f"x jumps by {jump:.2f} of the samples' spread where z hardly moves" if jump else "no jumps between two z"
    )
    return Finding(
        float(not jump),
        measured,
        "x = G(z), a continuous function of z",
        slip="Are these stored data, looked up by z? G is a network that has never seen an image." if jump else "",
    )


STEPS = 150
JUMP = 0.05  # of the spread of samples; float32's rounding and pixels of 256 levels are smaller


def _squares(x: np.ndarray) -> np.ndarray:
    return (np.asarray(x, dtype=np.float64).reshape(len(x), -1) ** 2).sum(axis=1)


# ---- images --------------------------------------------------------------------------------------------


def gaussian(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of features (n, d)."""
    f = np.asarray(features, dtype=np.float64)
    return f.mean(axis=0), np.cov(f.T)


def frechet(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), of two Gaussians (mean, covariance). Dowson and Landau (1982)."""
    (mu1, s1), (mu2, s2) = one, other
    # Σ₁ Σ₂ has the eigenvalues of a symmetric matrix, Σ₁^½ Σ₂ Σ₁^½: real, and not below zero but for rounding.
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ s2 @ root).clip(0)).sum()
    return float(((mu1 - mu2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * cross)


def in_range(x: np.ndarray, low: float = -1.0, high: float = 1.0) -> Finding:
    """Pixels lie in [low, high] and come near to both ends when codes are far out: tanh, or the like."""
    below, above = float(np.min(x)), float(np.max(x))
    quarter = (high - low) / 4
    ok = low <= below <= low + quarter and high - quarter <= above <= high
    slip = ""
    if not ok and below >= 0 and above <= high:
        slip = "A sigmoid at the generator's end? tanh goes from −1 to 1, as the images do."
    elif not ok and not (below >= low and above <= high):
        slip = "Is the tanh at the generator's end missing?"
    measured, required = f"pixels from {below:.3g} to {above:.3g}", f"pixels in [{low:g}, {high:g}], and in all of it"
    return Finding(float(ok), measured, required, slip=slip)


def depends_on_the_batch(function: Callable[[np.ndarray], np.ndarray], z: np.ndarray) -> Finding:
    """In training mode an image depends on the rest of its batch: the batch's own mean and spread are taken off."""
    half = len(z) // 2
    off = float(np.abs(function(z) - function(np.concatenate([z[:half], 3 * z[half:]])))[:half].max())
    measured = f"an image changes by {off:.2g} with the rest of its batch"
    slip = ""
    if not off > 1e-3:
        # Far out a chain of layers and ReLUs ends at both ends of tanh; what is normalised image by image does not.
        far, farther = np.abs(function(100 * z)), np.abs(function(1000 * z))
        alone = np.abs(far - farther).mean() < 0.01 and far.mean() < 0.9
        slip = "Batch normalisation is missing, or uses its running averages in training."
        if alone:
            slip = "Every image is normalised by itself (LayerNorm, GroupNorm, InstanceNorm): take BatchNorm2d."
    return Finding(float(off > 1e-3), measured, "in training mode, the mean and spread of the batch", slip=slip)


def labels_covered(labels: np.ndarray, classes: int, names=()) -> Finding:
    """Every class has LABELS of its even share and more, of labels (n,)."""
    counts = np.bincount(labels, minlength=classes)
    shares = counts / len(labels) * classes
    k = int(shares.argmin())
    plot = {"kind": "bars", "series": {"share": counts / len(labels)}, "x": "label"}
    name = names[k] if len(names) else k
    covered = int((shares > LABELS).sum())
    return Finding(
        max(covered - 1, 0) / (classes - 1),
        f"{covered} of {classes} digits are covered, the rarest, {name}, with {shares[k]:.2f} of its share",
        f"all, each with {LABELS:.0%} of its share",
        float(shares[k]),
        LABELS,
        "at least",
        plot,
    )


def diversity(features: np.ndarray, of_data: np.ndarray) -> Finding:
    """Samples are as far from each other as images are: the mean distance in features (n, d), (m, d)."""
    ratio = float(_pairs(features) / _pairs(of_data))
    return Finding(
        float(ratio > DIVERSE),
        f"samples are {ratio:.2f} times as far apart as images are",
        f"at least {DIVERSE:g} times",
        ratio,
        DIVERSE,
        "at least",
    )


def _pairs(f: np.ndarray) -> float:
    return float(_distances(f, f).sum() / (len(f) * (len(f) - 1)))


def no_copies(samples: np.ndarray, fresh: np.ndarray, training: np.ndarray) -> Finding:
    """Samples are no nearer to the training images than fresh images are, pixels (n, d), (m, d), (N, d).

    Of fresh images a share NEAR lies nearer than a certain distance to its nearest training image, by definition.
    Samples may be less varied than data, and so a little nearer; of copies all are.
    """
    own, usual = (np.sqrt(_nearest(s, training)) for s in (samples, fresh))
    share = float((own < np.quantile(usual, NEAR)).mean())
    measured = f"{share:.0%} of the samples are nearer to a training image than 95% of fresh images are"
    return Finding(float(share <= COPIES), measured, f"at most {COPIES:.0%}", share, COPIES)


def _nearest(x: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Squared distance to the nearest row of `training`, (n,)."""
    x, t = (np.asarray(a, dtype=np.float32).reshape(len(a), -1) for a in (x, training))
    squares = (t**2).sum(axis=1)
    return np.maximum(((x**2).sum(axis=1)[:, None] + squares - 2 * x @ t.T).min(axis=1), 0)
