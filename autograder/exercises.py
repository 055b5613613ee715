"""The registry of exercises. Adding one: its notebook section, its test file, and one line here."""

import difflib
import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Exercise:
    """One exercise: `name` is its id in heading, stub, check, artifact, test file and reference."""

    name: str
    number: str
    title: str
    homework: str

    @property
    def test_file(self) -> Path:
        return ROOT / "autograder" / self.homework / f"test_{self.name}.py"

    @cached_property
    def points(self) -> int:
        """Sum of the points of the exercise's checks: the only place where points are written."""
        module = importlib.import_module(f"autograder.{self.homework}.test_{self.name}")
        return sum(f.points for n, f in vars(module).items() if n.startswith("test_"))

    def __str__(self) -> str:
        return f"Exercise {self.number}"


EXERCISES = (
    Exercise("logistic_mixture", "1.1", "A mixture of discretised logistics", "hw1"),
    Exercise("made", "1.2", "MADE: a masked autoencoder", "hw1"),
    Exercise("pixelcnn", "1.3", "PixelCNN", "hw1"),
    Exercise("gated_pixelcnn", "1.4", "Gated PixelCNN", "hw1"),
    Exercise("color_pixelcnn", "1.5", "PixelCNN in colour", "hw1"),
    Exercise("cdf_flow", "2.1", "A flow in one dimension: the CDF", "hw2"),
    Exercise("ar_flow", "2.2", "An autoregressive flow", "hw2"),
    Exercise("realnvp", "2.3", "RealNVP", "hw2"),
    Exercise("realnvp_images", "2.4", "RealNVP on images", "hw2"),
    Exercise("glow", "2.5", "Glow", "hw2"),
    Exercise("vae2d", "3.1", "A variational autoencoder in the plane", "hw3"),
    Exercise("vae32", "3.2", "A convolutional VAE of 32×32 images", "hw3"),
    Exercise("beta_vae", "3.3", "β-VAE and disentanglement", "hw3"),
    Exercise("vqvae", "3.4", "VQ-VAE and a prior over its codes", "hw3"),
    Exercise("gan1d", "4.1", "A game in one dimension", "hw4"),
    Exercise("gan2d", "4.2", "The plane, and a critic with a bounded slope", "hw4"),
    Exercise("dcgan", "4.3", "Images: DCGAN with a spectrally normalised discriminator", "hw4"),
)


def get(name: str) -> Exercise:
    """The exercise called `name`; an artifact's name, such as "made.smiley", finds its exercise too.

    Raises ValueError naming the known exercises.
    """
    by_name = {e.name: e for e in EXERCISES}
    key = name.split(".")[0]
    if key in by_name:
        return by_name[key]
    close = difflib.get_close_matches(key, by_name, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"There is no exercise called {name!r}.{hint} Exercises: {', '.join(by_name)}.")


def of_homework(homework: str, only: str = "") -> list[Exercise]:
    """The exercises of one homework, in order; or `only` one of them.

    Raises ValueError naming the known homeworks, or where the exercise is to be found.
    """
    found = [e for e in EXERCISES if e.homework == homework]
    if not found:
        known = ", ".join(homeworks())
        raise ValueError(f"There is no homework called {homework!r}. Homeworks: {known}.")
    if only and get(only) not in found:
        raise ValueError(f"{only} is an exercise of {get(only).homework}, not of {homework}.")
    return [get(only)] if only else found


def homeworks() -> list[str]:
    return sorted({e.homework for e in EXERCISES})
