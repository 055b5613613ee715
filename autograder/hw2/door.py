"""A student's flow as plain functions of arrays, with every shape checked."""

import numpy as np

from autograder.properties import flows
from autograder.student import Handle, expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

BOX = ((-6.0, 6.0), (-6.0, 6.0))  # beyond it none of the 2-D sets has any mass to speak of
CELLS = 320  # steps of 0.04, a third of the sets' finest width


class Flow:
    """forward: x -> (z, log_det); inverse: z -> x; rows: rows of the Jacobian ∂z/∂x; log_prob and sample."""

    def __init__(self, handle: Handle, dims: int):
        self.handle, self.dims = handle, dims
        self.inverse, self.log_prob = handle.verb("inverse", dims), handle.log_prob

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out, what = self.handle.call("forward", x), f"{self.handle.label}.forward(x)"
        if not isinstance(out, list) or len(out) != 2:
            got = f"{len(out)} values" if isinstance(out, list) else "None" if out is None else "one value"
            raise StudentCodeError("wrong type", f"{what} should return two values, (z, log_det), got {got}.")
        z, log_det = out
        return expect(z, x.shape, f"z of {what}"), expect(log_det, (len(x),), f"log_det of {what}")

    def rows(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        return self.handle.gradient("forward", x, cotangent=cotangent)

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        return flows.jacobian(self.rows, x)

    def latents(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)[0]

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        return self.handle.sample(n, self.dims, seed=seed)


def one_gaussian(data: toy.Distribution, n: int = 100_000) -> toy.GaussianMixture:
    """The naive baseline: the Gaussian with the data's mean and covariance."""
    x = data.sample(n, seed=0, split="validation").astype(np.float64)
    covariance = np.cov(x.T).reshape(1, data.dims, data.dims)
    return toy.GaussianMixture([1.0], x.mean(axis=0)[None], covariance, name=f"one Gaussian for {data.name}")


def baseline_nats(data: toy.Distribution) -> float:
    """Nats above the limit of the best single Gaussian: its cross-entropy is its own entropy."""
    return one_gaussian(data).entropy - data.entropy


def around(data: toy.Distribution, n: int, seed: int) -> np.ndarray:
    """Points where the data are, and as many where they are not: float32 (2n, D)."""
    rng = np.random.default_rng(seed)
    anywhere = np.stack([rng.uniform(low, high, n) for low, high in data.support], axis=1)
    return np.concatenate([data.sample(n, seed=seed, split="test"), anywhere]).astype(np.float32)
