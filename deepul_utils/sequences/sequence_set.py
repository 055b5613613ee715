"""What every set of sequences is: a name, a length, a number of levels, a seeded sampler, and an exact entropy."""

import operator

import numpy as np

from deepul_utils.toy.distribution import as_array, check_count, stream


class SequenceSet:
    """Sequences of `length` values, each an integer 0 … levels − 1.

    name, about: what it is called, and one sentence on what it is. shape: (length,). label_names: what labels mean,
    where a sequence has one.
    A subclass has `draw` (sequences from a generator) and `_entropy`; where probabilities are known, `_log_prob`; where
    sequences have labels, `draw` gives them, too.
    """

    label_names: tuple[str, ...] = ()

    def __init__(self, name: str, about: str, length: int, levels: int):
        self.name, self.about = name, about
        self.length, self.levels = operator.index(length), operator.index(levels)
        if self.length < 1:
            raise ValueError(f"{name}: a sequence has at least one value, got a length of {length}.")
        self.shape = (self.length,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.length} values, {self.levels} levels>"

    def sample(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """n sequences, levels as uint8 (n, length). `split` is "train", "validation" or "test": separate streams.

        A byte a level, to save memory; models take them as int64 (`torch.from_numpy(x).long()`). Raises ValueError
        for a negative n or seed and for an unknown split.
        """
        return self._drawn(n, seed, split)[0]

    def sample_labelled(
        self, n: int, seed: int | np.random.Generator = 0, split: str = "train"
    ) -> tuple[np.ndarray, np.ndarray]:
        """(x, y): the sequences that `sample` gives, and their labels, int64 (n,). Raises ValueError without labels."""
        if not self.label_names:
            raise ValueError(f"The sequences of {self.name} have no labels: sample(n) gives them.")
        x, y = self._drawn(n, seed, split)
        return x, y

    def log_prob(self, x) -> np.ndarray:
        """log p(x) in nats, float64 (n,), of levels (n, length); −inf where nothing has that probability.

        Raises ValueError for another shape, and for what is not an integer 0 … levels − 1.
        """
        return self.log_conditionals(x).sum(axis=1)

    def log_conditionals(self, x) -> np.ndarray:
        """log p(x_t | x_1 … x_{t−1}) in nats, float64 (n, length), of levels (n, length)."""
        return self._log_conditionals(self.checked(x))

    @property
    def entropy_rate(self) -> float | None:
        """Nats of one more value of a sequence that began long ago; None where there is no such limit."""
        return None

    @property
    def entropy(self) -> float:
        """−E[log p(x)] of a sequence in nats: the loss that no model beats."""
        return self._entropy()

    def checked(self, x) -> np.ndarray:
        """Sequences as int64 (n, length). Raises ValueError for what is none."""
        x = as_array(x)
        if x.ndim != 2 or x.shape[1] != self.length:
            raise ValueError(f"{self.name} expects sequences of shape (n, {self.length}), got {x.shape}.")
        valid = (x >= 0) & (x < self.levels) & (x == np.floor(x))
        if not valid.all():
            raise ValueError(f"{self.name} has integer levels 0 … {self.levels - 1}, got {x[~valid][0]}.")
        return x.astype(np.int64)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """n sequences, uint8 (n, length), and their labels, int64 (n,), zeros where there are none."""
        raise NotImplementedError

    def _drawn(self, n: int, seed: int | np.random.Generator, split: str) -> tuple[np.ndarray, np.ndarray]:
        return self.draw(check_count(n), stream(self.name, seed, split))

    def _log_conditionals(self, x: np.ndarray) -> np.ndarray:
        raise ValueError(f"The conditionals of {self.name} have no formula.")

    def _entropy(self) -> float:
        raise NotImplementedError


def table(sets) -> str:
    """Sets as a Markdown table: name, levels, values, entropy of one and its rate in nats, labels, what it is."""
    head = "| name | values | levels | entropy (nats) | rate (nats a value) | labels | what it is |"
    rows = [head, "|---|---|---|---|---|---|---|"]
    for s in sets:
        rate = "" if s.entropy_rate is None else f"{s.entropy_rate:.4f}"
        labels = len(s.label_names) or ""
        rows.append(f"| `{s.name}` | {s.length} | {s.levels} | {s.entropy:.4f} | {rate} | {labels} | {s.about} |")
    return "\n".join(rows)


def closest(name: object, known, kind: str) -> ValueError:
    """What to raise for a name that no set has: with the closest, and all that there are."""
    import difflib

    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return ValueError(f"There is no set of {kind} called {name!r}.{hint} Sets: {', '.join(known)}.")
