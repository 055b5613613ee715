"""The statistics that grade samples, on cases whose answer is known: what they cost, how often they err, what they see.

    python benchmarks/sample_statistics.py > docs/samples.md     # ten minutes

Prints Markdown: for every statistic the time of one call, its typical value, and how often a case was found wanting.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from tqdm import tqdm

from autograder.properties import samples
from autograder.properties.finding import Finding
from deepul_utils import classifier, images, toy

DRAWS, IMAGE_DRAWS = 50, 20  # of each case
EIGHT, BUMPS = toy.get("eight_gaussians"), toy.get("three_bumps")
SIGMA = 0.2  # of each of the eight


@dataclass
class Sizes:
    """How many samples each statistic gets, as the checks of HW4 have it, and what they are compared with."""

    line: int = 20_000
    same: int = 500
    modes: int = 4000
    images: int = 2000
    diverse: int = 500
    nearest: int = 300
    training: int = 5000
    pairs: int = 1000  # of samples, for the p-values
    draws: int = DRAWS
    image_draws: int = IMAGE_DRAWS


SMALL = Sizes(2000, 100, 400, 100, 50, 50, 200, 5, 2, 2)  # only to see that it runs
size = Sizes()

# {statistic: what it says of a case, drawn with this seed}
Case = Callable[[int], dict[str, Finding | float]]


def in_one_dimension(draw: Callable[[int, int], np.ndarray]) -> Case:
    """draw(n, seed) -> (n, 1): a case for the statistics in 1-D."""

    def case(seed: int) -> dict[str, Finding | float]:
        x, y = draw(size.line, seed), BUMPS.sample(size.line, seed=seed, split="test")
        return {"W₁ / sd": samples.wasserstein_1d(x, y) / y.std(), "JS": samples.jensen_shannon_1d(x, y)}

    return case


def in_the_plane(draw: Callable[[int, int], np.ndarray]) -> Case:
    """draw(n, seed) -> (n, 2): a case for the statistics of the eight Gaussians."""

    def case(seed: int) -> dict[str, Finding | float]:
        x, y = draw(size.modes, seed), EIGHT.sample(size.same, seed=seed, split="test")
        return {
            "same": samples.same(x[: size.same], y, "", seed),
            "modes": samples.modes(x, EIGHT.means, SIGMA),
            "spread": samples.keeps_spread(x, EIGHT.means, SIGMA),
            "good samples": samples.mode_shares(x, EIGHT.means, SIGMA)[0],
        }

    return case


def of_images(draw: Callable[[int, int], np.ndarray]) -> Case:
    """draw(n, seed) -> (n, 1, 32, 32) in [0, 1]: a case for the statistics of images."""

    def case(seed: int) -> dict[str, Finding | float]:
        x, fresh, judge = draw(size.images, seed), glyphs(size.nearest, seed), classifier.get("glyphs32")
        features, labels = judge.features(x), judge.probabilities(x).argmax(axis=1)
        return {
            "Fréchet distance": samples.frechet(samples.gaussian(features), of_many()),
            "labels": samples.labels_covered(labels, 10),
            "diversity": samples.diversity(features[: size.diverse], judge.features(glyphs(size.diverse, seed + 1))),
            "no copies": samples.no_copies(x[: size.nearest], fresh, training()),
        }

    return case


def glyphs(n: int, seed: int, split: str = "test", without: int | None = None) -> np.ndarray:
    """Images in [0, 1]; without a digit, if one is named."""
    data = images.get("glyphs32", levels=256)
    x, y = data.sample_labelled(n if without is None else 2 * n, seed=seed, split=split)
    return data.unit(x if without is None else x[y != without])[:n]


@cache
def training() -> np.ndarray:
    return glyphs(size.training, 0, "train")


@cache
def of_many() -> tuple[np.ndarray, np.ndarray]:
    return samples.gaussian(classifier.get("glyphs32").features(glyphs(size.training, 10**6, "validation")))


def any_of(x: np.ndarray, n: int, seed: int) -> np.ndarray:
    return x[np.random.default_rng(seed).integers(len(x), size=n)]


def modes(n: int, seed: int, kept: int = 8, width: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Samples at the first `kept` of the eight modes, of another width, all shifted."""
    rng = np.random.default_rng([seed, 1])
    return EIGHT.means[rng.integers(kept, size=n)] + SIGMA * width * rng.normal(size=(n, 2)) + shift


def bumps(n: int, seed: int, **change: float) -> np.ndarray:
    x = BUMPS.sample(n, seed=seed, split="validation")
    return x[x > 0][: n // 2] if change.get("half") else x + change.get("shift", 0.0) * x.std()


def with_noise(x: np.ndarray, seed: int, scale: float = 0.05) -> np.ndarray:
    return (x + scale * np.random.default_rng(seed).normal(size=x.shape)).clip(0, 1).astype(np.float32)


def blurred(x: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Images (n, C, H, W) blurred by a Gaussian of so many pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(x, (0, 0, sigma, sigma))


RIGHT = "the same distribution"
CASES: dict[str, dict[str, Case]] = {
    "Three bumps": {
        RIGHT: in_one_dimension(bumps),
        "shifted by 0.1 standard deviations": in_one_dimension(lambda n, k: bumps(n, k, shift=0.1)),
        "one side dropped": in_one_dimension(lambda n, k: bumps(2 * n, k, half=True)),
        "collapsed to a point": in_one_dimension(lambda n, k: np.repeat(bumps(1, k), n, axis=0)),
    },
    "Eight Gaussians": {
        RIGHT: in_the_plane(modes),
        "shifted by 0.2, one σ of a mode": in_the_plane(lambda n, k: modes(n, k, shift=0.2)),
        "one mode dropped": in_the_plane(lambda n, k: modes(n, k, kept=7)),
        "one mode kept": in_the_plane(lambda n, k: modes(n, k, kept=1)),
        "modes shrunk to a fifth of their width": in_the_plane(lambda n, k: modes(n, k, width=0.2)),
        "collapsed to a point": in_the_plane(lambda n, k: np.repeat(modes(1, k), n, axis=0)),
    },
    "Glyphs": {
        RIGHT: of_images(lambda n, k: glyphs(n, k, "validation")),
        "blurred by one pixel": of_images(lambda n, k: blurred(glyphs(n, k, "validation"))),
        "one digit dropped": of_images(lambda n, k: glyphs(n, k, "validation", without=k % 10)),
        "collapsed to one image": of_images(lambda n, k: np.repeat(glyphs(1, k), n, axis=0)),
        "training images": of_images(lambda n, k: any_of(training(), n, k)),
        "training images with a little noise": of_images(lambda n, k: with_noise(any_of(training(), n, k), k)),
    },
}


def judged(case: Case, draws: int) -> dict[str, tuple[float, float, int | None]]:
    """{statistic: (mean value, its standard deviation, how often it found the case wanting; None: it is graded)}."""
    found: dict[str, list] = {}
    for seed in range(draws):
        for name, said in case(1000 + 7 * seed).items():
            found.setdefault(name, []).append(said)
    return {name: summary(said) for name, said in found.items()}


def summary(said: list) -> tuple[float, float, int | None]:
    graded = not isinstance(said[0], Finding)
    values = np.array([s if graded else s.value for s in said])
    return float(values.mean()), float(values.std(ddof=1)), None if graded else sum(not s.passed for s in said)


def p_values(n: int = 100, draws: int | None = None) -> Iterator[tuple[float, float]]:
    """(p, how often two samples of one distribution were found so unlike): not more often than p."""
    said = np.array(
        [
            samples.same(modes(n, k), EIGHT.sample(n, seed=k, split="test"), "", k).value
            for k in tqdm(range(draws or size.pairs), "p-values")
        ]
    )
    yield from ((p, float((said <= p).mean())) for p in (0.1, 0.03, 0.01, 0.003, 0.001))


def costs() -> Iterator[tuple[str, str, float]]:
    """(statistic, its samples, milliseconds of one call on one core)."""
    x, y, rows, judge = bumps(size.line, 0), bumps(size.line, 1), glyphs(size.images, 0), classifier.get("glyphs32")
    ring, other = modes(size.modes, 0), modes(size.same, 1)
    features = judge.features(rows)
    calls = {
        "`wasserstein_1d`": (f"{size.line:,} + {size.line:,}", lambda: samples.wasserstein_1d(x, y)),
        "`jensen_shannon_1d`": (f"{size.line:,} + {size.line:,}", lambda: samples.jensen_shannon_1d(x, y)),
        "`same`": (f"{size.same:,} + {size.same:,}", lambda: samples.same(ring[: size.same], other, "")),
        "`modes`": (f"{size.modes:,}", lambda: samples.modes(ring, EIGHT.means, SIGMA)),
        "`keeps_spread`": (f"{size.modes:,}", lambda: samples.keeps_spread(ring, EIGHT.means, SIGMA)),
        "features of images": (f"{size.images:,}", lambda: judge.features(rows)),
        "`frechet`": (f"{size.images:,}", lambda: samples.frechet(samples.gaussian(features), of_many())),
        "`labels_covered`": (f"{size.images:,}", lambda: samples.labels_covered(np.arange(size.images) % 10, 10)),
        "`diversity`": (
            f"{size.diverse:,}",
            lambda: samples.diversity(features[: size.diverse], features[-size.diverse :]),
        ),
        "`no_copies`": (
            f"{size.nearest:,} beside {size.training:,}",
            lambda: samples.no_copies(rows[: size.nearest], rows[-size.nearest :], training()),
        ),
    }
    for name, (n, call) in calls.items():
        call()
        began = time.perf_counter()
        for _ in range(3):
            call()
        yield name, n, (time.perf_counter() - began) / 3 * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--image-draws", type=int, default=IMAGE_DRAWS)
    parser.add_argument("--small", action="store_true", help="a few draws of a few: only to see that it runs")
    given = parser.parse_args()
    size.draws, size.image_draws = given.draws, given.image_draws
    if given.small:
        vars(size).update(asdict(SMALL))
    print(
        "# The statistics that grade samples\n\nWhere a GAN has no likelihood, these carry the grade "
        "(`autograder/properties/samples.py`). Measured on cases whose\nanswer is known: mean ± standard deviation "
        "of the value, and in how many draws the case was found wanting. What is graded\nbetween a reference and a "
        "baseline has no verdict of its own. `same` gives a p-value; modes and labels, the rarest one's part of its\n"
        "even share; spread, the narrowest mode's width in that of the data; diversity, how far samples are apart,\n"
        "relative to images; no copies, the share that is nearer to a training image than 95% of fresh images are.\n"
        "Written by `python benchmarks/sample_statistics.py > docs/samples.md`."
    )
    for data, cases in CASES.items():
        draws = size.image_draws if data == "Glyphs" else size.draws
        rows = {name: judged(case, draws) for name, case in tqdm(cases.items(), data)}
        names = list(rows[RIGHT])
        print(f"\n## {data}\n\n| samples | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
        for case, found in rows.items():
            print(f"| {case} | {' | '.join(shown(*found[name], draws) for name in names)} |")
    print(
        "\n## Two samples of one distribution\n\nHow often `same` says p or less (energy distance and MMD together, "
        f"100 samples each, {size.pairs:,} draws):\n\n| p | share |\n|---|---|"
    )
    for p, share in p_values():
        print(f"| {p:g} | {share:.4f} |")
    print("\n## Time\n\n| statistic | samples | ms |\n|---|---|---|")
    for name, n, milliseconds in costs():
        print(f"| {name} | {n} | {milliseconds:.1f} |")


def shown(mean: float, sd: float, wanting: int | None, draws: int) -> str:
    value = f"{mean:.3g} ± {sd:.2g}"
    return value if wanting is None else f"{value}; **{wanting}** of {draws}"


if __name__ == "__main__":
    main()
