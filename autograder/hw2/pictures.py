"""What the flows of images share: images as rows of numbers, and bits per dimension that the grader counts itself."""

import numpy as np

from autograder.checks import require
from autograder.properties import flows
from autograder.properties import images as on_images
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect, whole
from autograder.workbench import StudentCodeError

ALPHA = 0.05  # of the logit transform, as the exercise says
HELD_OUT = 300  # images: their mean is known to a hundredth of a bit
SAMPLES = 200
# Samples of a trained flow are this much nearer to the data than images of independent pixels: at a third of their
# distance, or two thirds. Both are looked at in blocks of 4 × 4 pixels: there the structure is, and not the grain that
# a flow leaves on black.
NEARER, BLOCK = 0.8, 4
PROBED = 128  # rows of a Jacobian at a time


class ImageFlow:
    """A flow of images (C, H, W) as a flow of rows of D = C·H·W reals; log_prob and sample speak of integer levels."""

    def __init__(self, handle: Handle, shape: tuple[int, int, int], levels: int):
        self.handle, self.shape, self.levels = handle, shape, levels
        self.dims = int(np.prod(shape))

    def forward(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, log_det = two(self.handle.call("forward", shaped(t, self.shape)), f"{self.handle.label}.forward(t)")
        what = f"of {self.handle.label}.forward(t)"
        z = expect(z, (len(t), *self.shape), f"z {what}").reshape(len(t), -1)
        return z, expect(log_det, (len(t),), f"log_det {what}")

    def latents(self, t: np.ndarray) -> np.ndarray:
        return self.forward(t)[0]

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return self.ask("inverse", (len(z), *self.shape), shaped(z, self.shape)).reshape(len(z), -1)

    def rows(self, t: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        grad = self.handle.gradient("forward", shaped(t, self.shape), cotangent=shaped(cotangent, self.shape))
        return expect(grad, (len(t), *self.shape), f"the gradient of {self.handle.label}.forward").reshape(len(t), -1)

    def jacobian(self, t: np.ndarray) -> np.ndarray:
        return flows.jacobian(self.rows, t)

    def log_prob(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        """Of integer images (B, C, H, W); the student draws the noise."""
        return self.ask("log_prob", (len(x),), x, seed=seed)

    def own_log_prob(self, x: np.ndarray, seed: int) -> np.ndarray:
        """The same from z and log_det of `forward`, with noise, logit and base density of the grader's own."""
        t, log_det = to_reals(x, self.levels, seed)
        z, log_det_z = self.forward(t)
        return base_density(z) + log_det + log_det_z

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """(n, C, H, W), int64."""
        what = f"{self.handle.label}.sample({n})"
        return whole(expect(self.handle.call("sample", n, seed=seed), (n, *self.shape), what), what)

    def ask(self, method: str, shape: tuple[int, ...], *args, seed: int = 0, **kwargs) -> np.ndarray:
        """A method's answer, its shape checked."""
        return expect(self.handle.call(method, *args, seed=seed, **kwargs), shape, f"{self.handle.label}.{method}")

    def reals(self, n: int, seed: int) -> np.ndarray:
        """n random images as rows of reals, spread as logits of levels are: float32 (n, D)."""
        return np.random.default_rng(seed).normal(scale=1.5, size=(n, self.dims)).astype(np.float32)


def shaped(rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    return np.ascontiguousarray(rows, dtype=np.float32).reshape(len(rows), *shape)


def two(out, what: str) -> tuple:
    """(value, log_det) that a function should return."""
    if not isinstance(out, list) or len(out) != 2:
        got = f"{len(out)} values" if isinstance(out, list) else "None" if out is None else "one value"
        raise StudentCodeError("wrong type", f"{what} should return two values, the second of them log_det; got {got}.")
    return out[0], out[1]


def pair(student: Student, function: str, x: np.ndarray, *args, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(y, log_det) of a function of the notebook: y of x's shape, log_det (B,)."""
    y, log_det = two(student.call(function, x, *args, seed=seed), f"{function}(x)")
    return expect(y, x.shape, f"the first value of {function}"), expect(log_det, (len(x),), f"log_det of {function}")


def answer(student: Student, function: str, shape: tuple[int, ...], *args) -> np.ndarray:
    """What a function of the notebook returns, its shape checked."""
    return expect(student.call(function, *args), shape, function)


def mask(student: Student, kind: str, shape: tuple[int, int, int], keep: int) -> np.ndarray:
    """The student's mask, (C, H, W)."""
    return answer(student, f"{kind}_mask", shape, list(shape), keep).astype(np.float64)


def levels(n: int, shape: tuple[int, int, int], count: int, seed: int) -> np.ndarray:
    """n random images of integer levels 0 … count − 1, int64 (n, C, H, W)."""
    return np.random.default_rng(seed).integers(count, size=(n, *shape))


def to_reals(x: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer images as rows of reals, and the log-determinants of dequantisation and logit: float32 (B, D), (B,)."""
    y = (x + np.random.default_rng(seed).random(x.shape)).reshape(len(x), -1) / count
    s = y * (1 - 2 * ALPHA) + ALPHA
    log_slopes = np.log(1 - 2 * ALPHA) - np.log(s) - np.log1p(-s) - np.log(count)
    return (np.log(s) - np.log1p(-s)).astype(np.float32), log_slopes.sum(axis=1)


def base_density(z: np.ndarray) -> np.ndarray:
    """log N(z; 0, I) of rows, (B, D) -> (B,)."""
    return (-0.5 * z.astype(np.float64) ** 2 - 0.5 * np.log(2 * np.pi)).sum(axis=1)


def log_det_finding(flow: ImageFlow, seed: int, n: int = 20) -> Finding:
    """log_det against the Jacobian, at random images."""
    t = flow.reals(n, seed)
    return flows.log_det_is_of_jacobian(flow.forward(t)[1], flow.jacobian(t))


def bits_of_trained(flow: ImageFlow, x: np.ndarray, seed: int) -> float:
    """Bits per dimension of held-out images under a trained flow, counted by the grader.

    Noise, logit and base density are the grader's; z and log_det are the student's. That z comes from an invertible
    function and log_det is that of its Jacobian is required of one image of the same query, which one is not known
    beforehand: so the likelihood is that of a normalised density, whatever the student's own log_prob says.
    """
    t, log_det = to_reals(x, flow.levels, seed)
    asked = [flow.forward(part) for part in np.array_split(t, -(-len(t) // 100))]
    z, log_det_z = (np.concatenate(parts) for parts in zip(*asked, strict=True))
    probed = int(np.random.default_rng(seed).integers(len(t)))
    require(flows.inverts(lambda part: (z[: len(part)], None), flow.inverse, t[:64]))
    require(flows.log_det_is_of_jacobian(log_det_z[[probed]], whole_jacobian(flow, t[probed])))
    nats = -(base_density(z) + log_det + log_det_z)
    return float(nats.mean() / (flow.dims * np.log(2)))


def whole_jacobian(flow: ImageFlow, t: np.ndarray) -> np.ndarray:
    """∂z/∂t at one image, (1, D, D), some rows at a time: an image's z depends on its own t alone."""
    directions = np.eye(flow.dims, dtype=np.float32)
    parts = [directions[k : k + PROBED] for k in range(0, flow.dims, PROBED)]
    rows = [flow.rows(np.tile(t, (len(part), 1)), part) for part in parts]
    return np.concatenate(rows).astype(np.float64)[None]


def baseline_bits(data) -> float:
    """The naive baseline: bits a number of independent pixels, each with its own frequencies."""
    x = data.sample(5000)
    counts = np.stack([(x == level).sum(axis=0) for level in range(data.levels)], axis=-1) + 0.5
    p = counts / counts.sum(axis=-1, keepdims=True)
    return float(-(p * np.log2(p)).sum() / x[0].size)


def samples_finding(flow: ImageFlow, data, fresh: np.ndarray, seed: int) -> Finding:
    """Samples lie nearer to fresh images than images whose pixels are drawn independently of each other."""
    rng = np.random.default_rng(seed)
    plain = rng.permuted(data.sample(len(fresh), seed=seed).reshape(len(fresh), -1), axis=0).reshape(fresh.shape)
    rows = [blocks(x / (data.levels - 1)) for x in (flow.sample(SAMPLES, seed), fresh, plain)]
    return flows.samples_are_nearer_than(*rows, NEARER, against="independent pixels")


def sampler_finding(flow: ImageFlow, seed: int, n: int = 2000) -> Finding:
    """Samples of a flow with random weights are distributed like draws of N(0, I) that the grader brings back."""
    rng = np.random.default_rng(seed)
    t = flow.inverse(rng.standard_normal((n, flow.dims)).astype(np.float32)).astype(np.float64)
    y = (1 / (1 + np.exp(-np.clip(t, -50, 50))) - ALPHA) / (1 - 2 * ALPHA)
    own = np.clip(np.floor(y * flow.levels), 0, flow.levels - 1)
    asked = flow.sample(n, seed).reshape(n, -1)
    weights = rng.normal(size=flow.dims)  # one number an image, in which every pixel counts
    return on_images.same_distribution(
        asked @ weights, own @ weights, "a sum over sampled pixels", "that of z from N(0, I)"
    )


def blocks(x: np.ndarray) -> np.ndarray:
    """The means of blocks of 4 × 4 pixels: (B, C, H, W) -> (B, C · H/4 · W/4)."""
    B, C, H, W = x.shape
    return x.reshape(B, C, H // BLOCK, BLOCK, W // BLOCK, BLOCK).mean(axis=(3, 5)).reshape(B, -1)
