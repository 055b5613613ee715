"""What each trick of homework 4 is worth: the games again, with one of them switched off, under several seeds.

    python benchmarks/tricks.py gan1d --seeds 5
    python benchmarks/tricks.py gan2d --seeds 3
    python benchmarks/tricks.py dcgan --seeds 2      # minutes a game

All in one run, with the solutions' own code; prints for every switch the mean and the worst over seeds.
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch

from autograder import exercises, notebooks
from autograder.exercises import ROOT
from autograder.handout.submit import solution_cells
from autograder.properties import samples
from deepul_utils import classifier, images, toy
from deepul_utils.training import seeded

SWITCHES = {
    "gan1d": {"all tricks": {}, "momentum 0.5": {"momentum": 0.5}, "momentum 0.9": {"momentum": 0.9},
              "one step of D": {"discriminator_steps": 1}, "no decay": {"decay": False},
              "minimax": {"saturating": True}},
    "gan2d": {"all tricks": {}, "momentum 0.5": {"momentum": 0.5}, "one step of D": {"discriminator_steps": 1},
              "no decay": {"decay": False}, "penalty of 10": {"penalty": 10.0}},
    "dcgan": {"all tricks": {}, "momentum 0.5": {"momentum": 0.5}, "no decay": {"decay": False}},
}  # fmt: skip


def defined(exercise: str) -> dict:
    """What the section of an exercise defines, without its training."""
    e = exercises.get(exercise)
    cells = notebooks.section(solution_cells(e.homework), e.number)
    wanted = [c for c in cells if c.kind == "code" and not notebooks.TRAINED.search(c.source)]
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as scratch:
        return notebooks.run_cells(wanted, ROOT / "solutions" / e.homework, Path(scratch), e.homework).namespace


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
    names["train_dcgan"](gan, **options)
    gan.eval()
    drawn = ((gan.sample(2000) + 1) / 2).numpy()
    real = judge.features(glyphs.unit(glyphs.sample(5000, split="test")))
    counts = np.bincount(judge.probabilities(drawn).argmax(axis=1), minlength=10)
    distance = samples.frechet(samples.gaussian(judge.features(drawn)), samples.gaussian(real))
    return distance, float(10 * counts.min() / 2000)


MEASURES = {"gan1d": ("W₁ / sd", "mean |D − ½|"), "gan2d": ("bad samples", "modes"),
            "dcgan": ("Fréchet distance", "rarest digit")}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exercise", choices=SWITCHES)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    names, (first, second) = defined(given.exercise), MEASURES[given.exercise]
    print(f"{given.exercise}, {given.seeds} seeds: {first} (each) and mean {second}")
    for switch, options in SWITCHES[given.exercise].items():
        rows = []
        for seed in range(given.seeds):
            with seeded(seed), contextlib.redirect_stdout(io.StringIO()):
                rows.append(play(given.exercise, names, options))
        found = np.array(rows)
        each = " ".join(f"{v:.3g}" for v in sorted(found[:, 0]))
        print(f"  {switch:16} {found[:, 0].mean():8.3g}   ({each})   {found[:, 1].mean():.3g}", flush=True)


if __name__ == "__main__":
    main()
