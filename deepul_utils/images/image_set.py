"""What every image set is: a name, a shape, a number of levels and a seeded sampler."""

import operator
from typing import TYPE_CHECKING

import numpy as np

from deepul_utils.toy.distribution import SPLITS, as_array, check_count, stream


class ImageSet:
    """Labelled images of `shape` (C, 32, 32) with integer values 0 … levels − 1.

    entropy: of one image in nats, exactly; None where it is unknown. label_names: what the labels mean, where an
    image has one label. factor_names, factor_sizes: what the columns of y are and how many values each takes,
    where an image has several. about: one sentence, the first of the class.
    A subclass has `_draw`: n images with 256 levels and their labels, from a generator.
    """

    name = "unnamed"
    shape: tuple[int, int, int] = (1, 32, 32)
    choices: tuple[int, ...] = (256,)  # the numbers of levels it comes in, the usual one first
    label_names: tuple[str, ...] = ()
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    entropy: float | None = None
    if TYPE_CHECKING:
        configurations: int  # how many images there are, where the entropy is known

    def __init__(self, levels: int | None = None):
        self.about = type(self).__doc__.splitlines()[0]  # type: ignore[union-attr]  # every set says what it is
        self.levels = self.choices[0] if levels is None else operator.index(levels)
        if self.levels not in self.choices:
            listed = ", ".join(map(str, sorted(self.choices)))
            raise ValueError(f"{self.name} comes in {listed} levels, not in {levels}.")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {'×'.join(map(str, self.shape))}, {self.levels} levels>"

    def sample(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """n images, levels as uint8 (n, C, 32, 32). `split` is "train", "validation" or "test": separate streams.

        A byte a level, to save memory; models take them as int64 (`torch.from_numpy(x).long()`) or as floats
        (`unit`). Raises ValueError for a negative n or seed and for an unknown split.
        """
        return self.sample_labelled(n, seed, split)[0]

    def sample_labelled(
        self, n: int, seed: int | np.random.Generator = 0, split: str = "train"
    ) -> tuple[np.ndarray, np.ndarray]:
        """(x, y): the images that `sample` gives, and their labels, int64 (n,), or factors, int64 (n, F).

        Raises ValueError for a negative n or seed and for an unknown split.
        """
        n = check_count(n)
        if split not in SPLITS:
            raise ValueError(f"There is no split called {split!r}. Splits: {', '.join(SPLITS)}.")
        x, y = self._draw(n, stream(self.name, seed, split), split)
        return x, y

    def unit(self, x) -> np.ndarray:
        """Levels → float32 in [0, 1]: x / (levels − 1), of an array or a tensor of any shape."""
        return as_array(x).astype(np.float32) / np.float32(self.levels - 1)

    def _draw(self, n: int, rng: np.random.Generator, split: str) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


def quantized(x: np.ndarray, levels: int) -> np.ndarray:
    """uint8 with 256 levels → with `levels`, a power of two: ⌊x · levels / 256⌋."""
    return x >> np.uint8(8 - (levels.bit_length() - 1))
