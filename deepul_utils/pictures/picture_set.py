"""What every set of small pictures is: a name, a shape, a number of levels, a seeded sampler, and an exact entropy."""

import numpy as np

from deepul_utils.toy.distribution import as_array, check_count, stream


class PictureSet:
    """Pictures of `shape` (C, H, W), each value an integer 0 … levels − 1, drawn in raster order.

    name, about: what it is called, and one sentence on what it is. A subclass has `_draw`, `_conditionals` and
    `_entropy`.
    """

    def __init__(self, name: str, about: str, shape: tuple[int, int, int], levels: int):
        self.name, self.about, self.shape, self.levels = name, about, shape, levels

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {'×'.join(map(str, self.shape))}, {self.levels} levels>"

    def sample(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """n pictures, levels as uint8 (n, C, H, W). `split` is "train", "validation" or "test": separate streams.

        A byte a level, to save memory; models take them as int64 (`torch.from_numpy(x).long()`). Raises ValueError
        for a negative n or seed and for an unknown split.
        """
        return self._draw(check_count(n), stream(self.name, seed, split))

    def log_prob(self, x) -> np.ndarray:
        """log p(x) in nats, float64 (n,), of levels (n, C, H, W); −inf where nothing has that probability.

        Raises ValueError for another shape, and for what is not an integer 0 … levels − 1.
        """
        return self.log_conditionals(x).sum(axis=(1, 2, 3))

    def log_conditionals(self, x) -> np.ndarray:
        """log p of every value given those before it, nats, float64 (n, C, H, W), of levels (n, C, H, W)."""
        x = self.checked(x)
        with np.errstate(divide="ignore"):  # what nothing has that probability is −∞
            return np.log(np.take_along_axis(self._conditionals(x), x[..., None], axis=-1)[..., 0])

    def conditionals(self, x) -> np.ndarray:
        """p of every level of each value given those before it, float64 (n, C, H, W, levels)."""
        return self._conditionals(self.checked(x))

    @property
    def entropy(self) -> float:
        """−E[log p(x)] of a picture in nats: the loss that no model beats."""
        return self._entropy()

    def checked(self, x) -> np.ndarray:
        """Pictures as int64 (n, C, H, W). Raises ValueError for what is none."""
        x = as_array(x)
        if x.ndim != 4 or x.shape[1:] != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise ValueError(f"{self.name} expects pictures of shape (n, {expected}), got {x.shape}.")
        valid = (x >= 0) & (x < self.levels) & (x == np.floor(x))
        if not valid.all():
            raise ValueError(f"{self.name} has integer levels 0 … {self.levels - 1}, got {x[~valid][0]}.")
        return x.astype(np.int64)

    def _draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError

    def _conditionals(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _entropy(self) -> float:
        raise NotImplementedError
