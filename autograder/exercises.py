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
    Exercise("vae2d", "3.1", "A variational autoencoder in the plane", "hw3"),
    Exercise("vae32", "3.2", "A convolutional VAE of 32×32 images", "hw3"),
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


def of_homework(homework: str) -> list[Exercise]:
    """The exercises of one homework, in order. Raises ValueError naming the known homeworks."""
    found = [e for e in EXERCISES if e.homework == homework]
    if not found:
        known = ", ".join(homeworks())
        raise ValueError(f"There is no homework called {homework!r}. Homeworks: {known}.")
    return found


def homeworks() -> list[str]:
    return sorted({e.homework for e in EXERCISES})
