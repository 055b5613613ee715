"""Tones and chirps with labels. Every configuration has its own signal, so the entropy is exact."""

import math

import numpy as np

from deepul_utils.sequences.sequence_set import SequenceSet
from deepul_utils.toy.distribution import check_count, stream

LEVELS = 256
PITCHES = (2, 3, 4, 5, 6, 8, 10, 12)  # cycles in LONG values
LONG = 128
PHASES = 32  # places in a cycle at which a signal may begin
LOUDNESS = (0.9, 0.3, 0.1, 0.03)  # of full scale: from a shout to a whisper


class Tones(SequenceSet):
    """A tone of one pitch; it begins anywhere in its cycle, and is loud or quiet."""

    label_names = tuple(f"{pitch} cycles" for pitch in PITCHES)
    sizes: tuple[int, ...] = (len(PITCHES), len(LOUDNESS), PHASES)  # of what is drawn; the first is the label

    def __init__(self, length: int):
        kind = type(self)
        super().__init__(kind.__name__.lower(), str(kind.__doc__).splitlines()[0], length, LEVELS)
        self.configurations = math.prod(self.sizes)

    def draw(self, n, rng):
        """n signals, uint8 (n, length), and their labels, int64 (n,)."""
        factors = rng.integers(self.sizes, size=(n, len(self.sizes)))
        return self.levels_of(self.render(factors)), np.ascontiguousarray(factors[:, 0])

    def waves(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """What `sample` gives, before it is cut into levels: float32 (n, length) in [−1, 1]."""
        rng = stream(self.name, seed, split)
        return self.render(rng.integers(self.sizes, size=(check_count(n), len(self.sizes)))).astype(np.float32)

    def levels_of(self, waves: np.ndarray) -> np.ndarray:
        """[−1, 1] in 256 even levels: uint8."""
        return np.floor((waves + 1) / 2 * LEVELS).clip(0, LEVELS - 1).astype(np.uint8)

    def render(self, factors: np.ndarray) -> np.ndarray:
        """The signal of each configuration: int (n, factors) -> float64 (n, length) in [−1, 1]."""
        pitch, loudness, phase = factors.T
        cycles = np.asarray(PITCHES)[pitch, None] * np.arange(self.length) / LONG
        return np.asarray(LOUDNESS)[loudness, None] * np.sin(2 * np.pi * (cycles + phase[:, None] / PHASES))

    def _entropy(self):
        return math.log(self.configurations)


class Chirps(Tones):
    """A tone whose pitch rises or falls by an octave; it begins anywhere in its cycle, and is loud or quiet."""

    label_names = ("rises", "falls")
    sizes = (2, len(LOUDNESS), PHASES, len(PITCHES))

    def render(self, factors):
        """The signal of each configuration: int (n, factors) -> float64 (n, length) in [−1, 1]."""
        falls, loudness, phase, pitch = factors.T
        low, t = np.asarray(PITCHES)[pitch, None] / LONG, np.arange(self.length)
        # Cycles so far, of a pitch that goes evenly from `low` to twice that, or back.
        rise = low * (t + t**2 / (2 * LONG))
        fall = low * (2 * t - t**2 / (2 * LONG))
        cycles = np.where(falls[:, None] == 1, fall, rise)
        return np.asarray(LOUDNESS)[loudness, None] * np.sin(2 * np.pi * (cycles + phase[:, None] / PHASES))
