"""What the image exercises share: images as rows of variables, in raster order, and the judge of their samples."""

import numpy as np

from autograder.properties.finding import Finding
from deepul_utils import classifier

# No right model loses by it: the chance that so few labels come out of 64 draws of ten equal classes is below 1e-9.
FEWEST_LABELS = 5
# Large weights and small biases: conditionals that depend strongly on what was drawn before. With weights as they
# come, a tiny random model is almost a product of independent pixels, and a wrong sampler would look right.
STRONG = {"perturb": 2.0, "biases": 0.2}


def as_images(shape: tuple[int, int, int], x: np.ndarray) -> np.ndarray:
    """Rows of variables, (B, H · W · C), in raster order, channels of a pixel together -> (B, C, H, W)."""
    C, H, W = shape
    return np.ascontiguousarray(x.reshape(-1, H, W, C).transpose(0, 3, 1, 2))


def as_rows(images: np.ndarray) -> np.ndarray:
    """(B, C, H, W, …) -> (B, H · W · C, …), the inverse of `as_images`."""
    moved = np.moveaxis(images, 1, 3)  # (B, H, W, C, …)
    return moved.reshape(len(images), -1, *images.shape[4:])


class Rows:
    """A handle of an image model as a model of rows of variables. y: the class of every query, if there is one."""

    def __init__(self, handle, shape: tuple[int, int, int], levels: int, y: int | None = None):
        self.handle, self.shape, self.levels, self.y = handle, shape, levels, y

    def logits(self, x: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B, dims, levels)."""
        return as_rows(self._ask("logits", x, *self.shape, self.levels))

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B,)."""
        return self._ask("log_prob", x)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """n draws, (n, dims)."""
        first = n if self.y is None else np.full(n, self.y)
        return as_rows(sampled(self.handle, first, n, self.shape, seed))

    def _ask(self, method: str, x: np.ndarray, *shape: int) -> np.ndarray:
        images = as_images(self.shape, x)
        given = () if self.y is None else (np.full(len(x), self.y),)
        return asked(self.handle, method, (images, *given), *shape)


def asked(handle, method: str, arguments: tuple, *shape: int) -> np.ndarray:
    """handle.method(*arguments), its shape (B, *shape) checked."""
    from autograder.student import expect

    names = "x" if len(arguments) == 1 else "x, y"
    what = f"{handle.label}.{method}({names})"
    return expect(handle.call(method, *arguments), (len(arguments[0]), *shape), what)


def sampled(handle, first, n: int, shape: tuple[int, int, int], seed: int, limit: float = 20.0) -> np.ndarray:
    """n images of handle.sample(first) as integer levels."""
    from autograder.student import expect, whole

    what = f"{handle.label}.sample({first if np.isscalar(first) else 'y'})"
    drawn = expect(handle.call("sample", first, seed=seed, limit=limit), (n, *shape), what)
    return whole(drawn, what)


def saved(student, name: str, data, fewest: int) -> np.ndarray:
    """The samples that were drawn of `name`, int64 (n, C, H, W), at least so many."""
    from autograder.student import whole
    from autograder.workbench import StudentCodeError

    samples = whole(student.drawn(name, *data.shape), f"drawn({name!r}, …)")
    if len(samples) < fewest:
        raise StudentCodeError("wrong shape", f"drawn({name!r}, …) holds {len(samples)} samples; at least {fewest}.")
    return samples


def log_conditionals(handle, images: np.ndarray, levels: int, *labels: np.ndarray, batch: int = 32) -> np.ndarray:
    """Normalised log-probabilities of every level: (B, C, H, W) -> (B, dims, levels), a batch at a time."""
    from scipy.special import log_softmax

    C, H, W = images.shape[1:]
    parts = [
        log_softmax(as_rows(asked(handle, "logits", (images[k : k + batch], *(y[k : k + batch] for y in labels)),
                                  C, H, W, levels)).astype(np.float64), axis=-1)
        for k in range(0, len(images), batch)
    ]  # fmt: skip
    return np.concatenate(parts)


def log_probs(handle, images: np.ndarray, *labels: np.ndarray, batch: int = 64) -> np.ndarray:
    """(B,) log-probabilities in nats, a batch at a time."""
    return np.concatenate([
        asked(handle, "log_prob", (images[k : k + batch], *(y[k : k + batch] for y in labels)))
        for k in range(0, len(images), batch)
    ])  # fmt: skip


def bernoulli_nats(images: np.ndarray, levels: int) -> float:
    """The naive baseline: nats an image of independent pixels, each with its own frequencies in `images`."""
    counts = np.stack([(images == level).sum(axis=0) for level in range(levels)], axis=-1) + 0.5
    p = counts / counts.sum(axis=-1, keepdims=True)
    return float(-(p * np.log(p)).sum())


def markov_nats(images: np.ndarray, levels: int) -> float:
    """A better naive baseline: nats an image where each pixel's colour depends on that of its left neighbour only.

    The first pixel of a row depends on the one above it. images: int (n, C, H, W).
    """
    C, colours = images.shape[1], levels ** images.shape[1]
    codes = np.tensordot(levels ** np.arange(C), images.astype(np.int64), axes=(0, 1))  # (n, H, W)
    before = np.concatenate([np.roll(codes[..., :1], 1, axis=1), codes[..., :-1]], axis=-1)
    counts = np.bincount((before * colours + codes).ravel(), minlength=colours**2).reshape(colours, colours)
    p = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return float(-(counts[counts > 0] * np.log(p[counts > 0])).sum() / len(images))


def digits_in(images: np.ndarray, levels: int) -> np.ndarray:
    """The digit that the frozen classifier sees in each image: (n,)."""
    return classifier.get("glyphs32").probabilities(images / (levels - 1), "digit").argmax(axis=1)


def no_copies(samples: np.ndarray, training: np.ndarray) -> Finding:
    """None of the samples is an image of the training set, pixel by pixel."""
    known = {image.tobytes() for image in training.astype(np.uint8)}
    copies = sum(image.tobytes() in known for image in samples.astype(np.uint8))
    measured = f"{copies} of {len(samples)} samples are training images" if copies else "no training image among them"
    slip = "These are images that the model was trained on, not draws of the model."
    return Finding(float(not copies), measured, "new images", slip=slip)


def covers_the_labels(images: np.ndarray, levels: int) -> Finding:
    """Samples look like several digits, not like one."""
    found = len(np.unique(digits_in(images, levels)))
    required = f"at least {FEWEST_LABELS} different digits among {len(images)} samples"
    return Finding(
        float(found >= FEWEST_LABELS), f"{found} different digits", required, found, FEWEST_LABELS, "at least"
    )
