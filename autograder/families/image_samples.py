"""What samples of images are judged by, and what naive models of images reach."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from autograder.properties.finding import Finding
from deepul_utils import classifier, images

# No right model loses by it: the chance that so few labels come out of 64 draws of ten equal classes is below 1e-9.
FEWEST_LABELS = 5

# Samples are told from fresh images of the data by how far both lie from this many training images. Those of the
# reference, 64 or 80, are told apart with p-values below 1e-9; fresh images pass for them this often.
NEIGHBOURS, BY_CHANCE = 5000, 0.01
FRESH = 200  # images beside the samples

# A right model's samples fail so seldom; its probability of perfect pictures is taken to be larger by so many standard
# errors.
SELDOM, CERTAIN = 1e-6, 4.0


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


@cache
def known(name: str, levels: int, n: int, split: str) -> np.ndarray:
    """The first n images of a set, as every notebook draws them, (n, C, H, W): the same for all submissions."""
    return images.get(name, levels=levels).sample(n, split=split)


def are_no_data(samples: np.ndarray, data, seed: int) -> Iterator[Finding]:
    """Samples of black and white, (n, 1, H, W), are no images of `data`: none that a notebook has, and no new ones."""
    fresh = data.sample(FRESH, seed=seed, split="test")
    training = known(data.name, data.levels, 20_000, "train")
    validation = known(data.name, data.levels, 400, "validation")
    yield no_copies(samples, training, validation)
    yield farther_than_the_data(samples, fresh, training[:NEIGHBOURS])


def farther_than_the_data(samples: np.ndarray, fresh: np.ndarray, training: np.ndarray) -> Finding:
    """Samples lie farther from the training images than fresh images of the data do; (n, 1, H, W) each.

    No model of this size draws as the data are: each of its images has strokes that no typeface has. What is measured
    is the number of pixels that differ from the most similar training image, wherever in the picture both are put.
    """
    from scipy.stats import mannwhitneyu

    drawn, new, old = (to_the_corner(x[:, 0].astype(np.uint8)).reshape(len(x), -1) for x in (samples, fresh, training))
    old, ink = old.astype(np.float32), old.sum(axis=1, dtype=np.float32)
    off = [(x.sum(axis=1, keepdims=True) + ink - 2 * (x.astype(np.float32) @ old.T)).min(axis=1) for x in (drawn, new)]
    p_value = float(mannwhitneyu(*off, alternative="greater").pvalue)
    sizes = [float(np.median(values)) for values in off]
    measured = f"samples are {sizes[0]:.0f} pixels from the nearest training image, fresh data {sizes[1]:.0f} (medians)"
    required = "farther than fresh images of the data, as draws of a model are"
    slip = "These look like images of the data, and not like draws of the model, which are never as clean."
    return Finding(float(p_value <= BY_CHANCE), measured, required, p_value, BY_CHANCE, slip=slip)


def no_copies(samples: np.ndarray, *of: np.ndarray) -> Finding:
    """None of the samples is a known image, pixel by pixel, wherever in the picture it is put.

    samples, of: of black and white, (n, 1, H, W) each; the last of them is the validation set.
    """
    drawn = samples.astype(np.uint8)[:, 0]
    ink = np.unique(drawn.sum(axis=(1, 2)))
    copies = {}
    for name, x in zip(("training", "validation"), of, strict=False):
        like = x[np.isin(x.sum(axis=(1, 2, 3)), ink), 0].astype(np.uint8)  # the others are no copies
        forms = {image.tobytes() for image in to_the_corner(like)}
        copies[name] = sum(image.tobytes() in forms for image in to_the_corner(drawn))
    measured = " and ".join(f"{n} of {len(samples)} samples are {name} images" for name, n in copies.items() if n)
    slip = "These are images of the data, if moved by some pixels, and not draws of the model."
    return Finding(float(not measured), measured or "no image of the data among them", "new images", slip=slip)


def to_the_corner(images: np.ndarray) -> np.ndarray:
    """(n, H, W), each rolled so that its first row and its first column with ink come first."""
    n, H, W = images.shape
    top, left = images.any(axis=2).argmax(axis=1), images.any(axis=1).argmax(axis=1)
    rows, columns = (np.arange(H) + top[:, None]) % H, (np.arange(W) + left[:, None]) % W
    return images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def as_flawed(samples: np.ndarray, data, log_q: np.ndarray) -> Finding:
    """Of the samples no more are perfect pictures of `data` (shapes32) than the model gives probability to.

    log_q: the model's log-probabilities of fresh images of `data`, (n,). All its pictures are as frequent, so the model
    gives them ⟨q / p⟩ together: a model that often errs does not draw none but perfect ones.
    """
    from scipy.stats import binom

    share = np.exp(log_q + data.entropy)
    together = float(min(1.0, share.mean() + CERTAIN * share.std(ddof=1) / np.sqrt(len(share))))
    perfect = int(is_a_shape(samples, data).sum())
    measured = f"{perfect} of {len(samples)} samples are images of the data"
    required = f"about as many as the model makes: {share.mean():.0%}"
    p_value = float(min(1.0, binom.sf(perfect - 1, len(samples), together)))
    slip = "These are images of the data, and no draws of the model: it draws images without a flaw more seldom."
    return Finding(float(p_value > SELDOM), measured, required, p_value, SELDOM, "p-value", slip=slip)


def is_a_shape(images: np.ndarray, data) -> np.ndarray:
    """Which images, (n, 3, H, W), are pictures of shapes32: one of its shapes, in one of its colours on another."""
    kinds = np.stack(np.unravel_index(np.arange(np.prod(data.factor_sizes[:4])), data.factor_sizes[:4]), axis=1)
    pictures = data.render(np.pad(kinds, ((0, 0), (0, 2))))
    known = {mask.tobytes() for mask in silhouettes(pictures)}
    pairs = np.indices(data.factor_sizes[4:6]).reshape(2, -1).T  # of a colour and a background
    palette = data.render(np.pad(pairs, ((0, 0), (4, 0))))
    colours = {(p[:, 0, 0].tobytes(), p[:, 8, 8].tobytes()) for p in palette}
    result = []
    for image, mask in zip(images.astype(np.uint8), silhouettes(images), strict=True):
        inside = image[:, mask]
        plain = inside.size > 0 and (inside == inside[:, :1]).all()
        result.append(
            plain and mask.tobytes() in known and (image[:, 0, 0].tobytes(), inside[:, 0].tobytes()) in colours
        )
    return np.array(result)


def silhouettes(images: np.ndarray) -> np.ndarray:
    """(n, H, W): where an image differs from its first corner."""
    return (images != images[:, :, :1, :1]).any(axis=1)


def covers_the_labels(images: np.ndarray, levels: int) -> Finding:
    """Samples look like several digits, not like one."""
    found = len(np.unique(digits_in(images, levels)))
    required = f"at least {FEWEST_LABELS} different digits among {len(images)} samples"
    return Finding(
        float(found >= FEWEST_LABELS), f"{found} different digits", required, found, FEWEST_LABELS, "at least"
    )
