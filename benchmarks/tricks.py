"""What each trick of assignment 4 is worth: the games again, with one of them switched off, under several seeds.

    python benchmarks/tricks.py > docs/tricks.md                # a quarter of an hour
    python benchmarks/tricks.py gan1d --seeds 10                # one exercise

All in one run, with the solutions' own code; prints Markdown.
"""

import argparse
import contextlib
import io
from unittest import mock

import numpy as np
import torch
from solved import defined
from tqdm import tqdm

from autograder import assignments
from autograder.properties import samples
from deepul_utils import classifier, images, toy
from deepul_utils.training import seeded

SWITCHES = {
    "gan1d": {
        "all tricks": {},
        "momentum 0.5": {"momentum": 0.5},
        "momentum 0.9": {"momentum": 0.9},
        "one step of D": {"discriminator_steps": 1},
        "no decay": {"decay": False},
        "minimax": {"saturating": True},
    },
    "gan2d": {
        "all tricks": {},
        "momentum 0.5": {"momentum": 0.5},
        "one step of D": {"discriminator_steps": 1},
        "no decay": {"decay": False},
        "penalty of 10": {"penalty": 10.0},
    },
    "dcgan": {
        "all tricks": {},
        "momentum 0.5": {"momentum": 0.5},
        "no decay": {"decay": False},
        "no spectral normalisation": {"sigma": 1.0},
    },
}


def play(exercise: str, names: dict, options: dict) -> tuple[float, float]:
    """Two measures of one game: the graded statistic, and one more (see `MEASURES`)."""
    if exercise == "gan1d":
        gan = names["GAN1d"]()
        names["train_gan1d"](gan, **options)
        x = toy.get("three_bumps").sample(20_000, seed=5, split="test")
        half = (gan.discriminator(torch.as_tensor(x)).sigmoid() - 0.5).abs().mean().item()
        return samples.wasserstein_1d(gan.sample(20_000).numpy(), x) / x.std(), half
    if exercise == "gan2d":
        gan, data = names["WGAN2d"](), toy.get("eight_gaussians")
        names["train_gan2d"](data, **options)(gan)
        good, shares = samples.mode_shares(gan.sample(4000).numpy(), data.means, 0.2)
        return 1 - good, float((shares * 8 > samples.COVERED).sum())
    gan, glyphs, judge = names["DCGAN"](), images.get("glyphs32", levels=256), classifier.get("glyphs32")
    options = dict(options)
    with contextlib.ExitStack() as patches:
        if "sigma" in options:
            sigma = mock.patch.object(names["SpectralConv2d"], "sigma", return_value=options.pop("sigma"))
            patches.enter_context(sigma)
        names["train_dcgan"](gan, **options)
    gan.eval()
    drawn = ((gan.sample(2000) + 1) / 2).numpy()
    real = judge.features(glyphs.unit(glyphs.sample(5000, split="test")))
    counts = np.bincount(judge.probabilities(drawn).argmax(axis=1), minlength=10)
    distance = samples.frechet(samples.gaussian(judge.features(drawn)), samples.gaussian(real))
    return distance, float(10 * counts.min() / 2000)


MEASURES = {
    "gan1d": ("W₁ in standard deviations", "distance of D from ½"),
    "gan2d": ("bad samples", "modes covered"),
    "dcgan": ("Fréchet distance", "share of the rarest digit"),
}
SEEDS = {"gan1d": 10, "gan2d": 5, "dcgan": 4}


def table(exercise: str, seeds: int, switches: int | None = None, **options: int) -> None:
    """Print what the games of an exercise reach with the first so many switches. options: of every training."""
    e, (first, second) = assignments.get_exercise(exercise), MEASURES[exercise]
    names = defined(e.assignment.name, e.number)
    print(
        f"\n## {e.number} `{exercise}`, {seeds} seeds\n\n"
        f"| | mean {first} | of each seed, sorted | mean {second} |\n|---|---|---|---|"
    )
    for switch, changed in list(SWITCHES[exercise].items())[:switches]:
        rows = []
        for seed in tqdm(range(seeds), f"{exercise}, {switch}"):
            with seeded(seed), contextlib.redirect_stdout(io.StringIO()):
                rows.append(play(exercise, names, options | changed))
        found = np.array(rows)
        each = ", ".join(f"{v:.3g}" for v in sorted(found[:, 0]))
        print(f"| {switch} | {found[:, 0].mean():.3g} | {each} | {found[:, 1].mean():.3g} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exercise", nargs="?", choices=SWITCHES)
    parser.add_argument("--seeds", type=int, help="how many (each exercise has a number of its own)")
    parser.add_argument("--small", action="store_true", help="ten rounds of one seed: only to see that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "# What the tricks of assignment 4 are worth\n\nThe solutions' games with one trick switched off at a time "
        "(less is better; of digits, a share of one is even).\nWritten by "
        "`python benchmarks/tricks.py > docs/tricks.md`."
    )
    for exercise in [given.exercise] if given.exercise else SWITCHES:
        table(exercise, 1, 1, rounds=10) if given.small else table(exercise, given.seeds or SEEDS[exercise])


if __name__ == "__main__":
    main()
