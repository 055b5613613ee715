"""What the image exercises share: images as rows of variables, in raster order, and the judge of their samples."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from autograder.properties import autoregressive
from autograder.properties.finding import Finding
from deepul_utils import classifier, images

# No right model loses by it: the chance that so few labels come out of 64 draws of ten equal classes is below 1e-9.
FEWEST_LABELS = 5
# Large weights and small biases: conditionals that depend strongly on what was drawn before. With weights as they
# come, a tiny random model is almost a product of independent pixels, and a wrong sampler would look right.
STRONG = {"perturb": 2.0, "biases": 0.2}

MIXED = (
    "Everything sees everything. Either a layer has no mask, or something mixes the pixels: a norm over (C, H, W), as "
    "LayerNorm, GroupNorm or InstanceNorm make it, does. A norm may go over the channels of one pixel (of one colour, "
    "where there are three); BatchNorm is right, too."
)
CROPPED = (
    "On an image of a few pixels the sampler is right, on a larger one it is not: does each pass see all the rows "
    "above that the network can see, and all columns of them, and is the image filled row by row?"
)
TRAINING_MODE = (
    "This model gives other logits in training mode (BatchNorm, Dropout): sample in eval mode, and leave self.train() "
    "out of sample."
)

# In so many images a trained model is asked whether it sees what is to come; by so many its loss is compared with that
# of other weights.
PLACES, FEW = 20, 16
TELLS = 1e-3  # nats: a leak that is worth anything tells more, and a thousand float32 terms round to less

# Samples are told from fresh images of the data by how far both lie from this many training images. Those of the
# reference, 64 or 80, are told apart with p-values below 1e-9; fresh images pass for them this often.
NEIGHBOURS, BY_CHANCE = 5000, 0.01

# A right model's samples fail so seldom; its probability of perfect pictures is taken to be larger by so many standard
# errors.
SELDOM, CERTAIN = 1e-6, 4.0


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
        self.dims = int(np.prod(shape))

    def logits(self, x: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B, dims, levels)."""
        return as_rows(logits(self.handle, self._arguments(x), self.shape, self.levels))

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B,)."""
        return asked(self.handle, "log_prob", self._arguments(x))

    def sample(self, n: int, seed: int) -> np.ndarray:
        """n draws, (n, dims)."""
        first = n if self.y is None else np.full(n, self.y)
        return as_rows(sampled(self.handle, first, n, self.shape, seed))

    def _arguments(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        images = as_images(self.shape, x)
        return (images,) if self.y is None else (images, np.full(len(x), self.y))


def logits(handle, arguments: tuple, shape: tuple[int, int, int], levels: int) -> np.ndarray:
    """handle.logits(*arguments), (B, C, H, W, levels), its shape checked."""
    from autograder.workbench import StudentCodeError

    try:
        return asked(handle, "logits", arguments, *shape, levels)
    except StudentCodeError as error:
        raise StudentCodeError(error.kind, error.message + _one_logit(error, len(arguments[0]), shape)) from None


def _one_logit(error, n: int, shape: tuple[int, int, int]) -> str:
    """What to do with one logit a pixel, if that is what came."""
    one = (str((n, *shape)), str((n, *shape, 1)))
    if error.kind != "wrong shape" or not error.message.rstrip(".").endswith(one):
        return ""
    return " Is it one logit l a pixel? The logits of its two levels are 0 and l: torch.stack([0 * l, l], dim=-1)."


def asked(handle, method: str, arguments: tuple, *shape: int) -> np.ndarray:
    """handle.method(*arguments), its shape (B, *shape) checked."""
    from autograder.student import expect

    names = "x" if len(arguments) == 1 else "x, y"
    what = f"{handle.label}.{method}({names})"
    return expect(handle.call(method, *arguments), (len(arguments[0]), *shape), what)


def sampled(handle, first, n: int, shape: tuple[int, int, int], seed: int, limit: float = 20.0) -> np.ndarray:
    """n images of handle.sample(first) as integer levels."""
    from autograder.student import expect, whole

    what = f"{handle.label}.sample({first if np.isscalar(first) else 'y'})"  # type: ignore[str-bytes-safe]  # a number
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
    parts = [
        as_rows(logits(handle, (images[k : k + batch], *(y[k : k + batch] for y in labels)), images.shape[1:], levels))
        for k in range(0, len(images), batch)
    ]
    return autoregressive.log_conditionals(np.concatenate(parts))


def log_probs(handle, images: np.ndarray, levels: int, *labels: np.ndarray, batch: int = 64) -> np.ndarray:
    """(B,) log-probabilities in nats by the chain rule, from the logits: log_prob itself has checks of its own."""
    parts = []
    for k in range(0, len(images), batch):
        some = images[k : k + batch]
        log_p = log_conditionals(handle, some, levels, *(y[k : k + batch] for y in labels), batch=batch)
        parts.append(np.take_along_axis(log_p, as_rows(some)[..., None], axis=-1)[..., 0].sum(axis=1))
    return np.concatenate(parts)


def sees_no_later_pixel(handle, images: np.ndarray, levels: int, seed: int, *labels: np.ndarray) -> Finding:
    """A trained model, at its real size: what it says of a pixel is the same, whatever comes from there on.

    images: held out or drawn, int (n, C, H, W). Of some, all from a pixel on, in raster order, is that of another
    image. Within a pixel, no colour may be told of itself, not even through others.
    """
    rng, (_, C, H, W) = np.random.default_rng(seed), images.shape
    some, others = images[:PLACES], np.roll(images, 1, axis=0)[:PLACES]
    cut, rows = C * rng.integers(H * W, size=len(some)), as_rows(some)
    dims = np.arange(C * H * W)
    later = dims >= cut[:, None]
    asked = [rows, np.where(later, as_rows(others), rows)]
    for c in range(C if C > 1 else 0):
        asked.append(
            np.where(dims == cut[:, None] + c, (rows + rng.integers(1, levels, size=rows.shape)) % levels, rows)
        )
    order = rng.permutation(len(asked) * len(some))  # no code can tell which belong together
    every = as_images((C, H, W), np.concatenate(asked)[order])
    given = [np.tile(y[: len(some)], len(asked))[order] for y in labels]
    log_p = np.empty((len(order), C * H * W, levels))
    log_p[order] = log_conditionals(handle, every, levels, *given)
    log_p = np.maximum(log_p, autoregressive.LOWEST).reshape(len(asked), len(some), -1, levels)
    off = np.abs(log_p[1:] - log_p[0]).max(axis=-1)  # (changes, images, dims)
    own = dims[None] < (cut + (C == 1))[:, None]  # a pixel of one number is not told of itself
    moved = float(np.where(own, off[0], 0).max())
    required = "the same, whatever comes from there on"
    if not moved <= TELLS:
        return Finding(
            0.0, f"what the trained model says of a pixel moves by {moved:.2g} nats with later ones", required
        )
    at = cut[:, None] + np.arange(C)
    told = np.array([np.take_along_axis(off[1 + c], at, axis=1).max(axis=0) > TELLS for c in range(C if C > 1 else 0)])
    if C > 1 and len(autoregressive.in_loops(told.T)):
        return Finding(0.0, "the trained model tells a pixel’s colour of itself", required)
    return Finding(1.0, "the trained model sees no later pixel", required)


def exact_far(near: Rows, build: Callable[[float], Rows], seed: int) -> Finding:
    """log_prob is the sum of its conditionals where images are hardly possible, too.

    near: an ordinary small model. build: the size of random weights -> a model of whole images; of an image of noise
    its log-probability is far below −100, and with large weights single values have one below −100, too.
    """

    def both(made: Rows) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(seed).integers(made.levels, size=(6, made.dims))
        return made.log_prob(x), autoregressive.chain_rule(made.logits)(x)

    for strength in (8.0, 4.0, 2.0):  # as large as the numbers stay finite
        sharp = both(build(strength))
        if np.isfinite(sharp[1]).all():
            break
    return autoregressive.exact_far(both(near), both(build(1.0)), sharp)


def samplers_of(models: Iterable[Rows], n: int, seed: int) -> Finding:
    """n draws of each of several models, whose states are too many to count, are as probable as they say.

    In one random network a conditional may hardly depend on what a wrong sampler leaves out; together they tell.
    """
    drawn, log_p = [], []
    for made in models:
        samples = made.sample(n, seed)
        outside = int(((samples < 0) | (samples >= made.levels)).sum())
        if outside:
            return Finding(
                0.0, f"{outside:,} values lie outside the levels 0 … {made.levels - 1}", "levels of the data"
            )
        drawn.append(samples)
        log_p.append(autoregressive.log_conditionals(made.logits(samples)))
    found = autoregressive.typical(np.concatenate(drawn), np.concatenate(log_p))
    if found.passed:
        return found
    _, H, W = made.shape
    return replace(found, measured=f"of {H} × {W} pixels, {found.measured}", slip=CROPPED)


def in_eval_mode(made: Rows, found: Finding, seed: int) -> Finding:
    """A finding on samples; if it does not hold and the model is another in training mode, that is the likely slip."""
    if found.passed:
        return found
    x = np.random.default_rng(seed).integers(made.levels, size=(16, made.dims))
    trains = made.handle.call("logits", *made._arguments(x), train=True)
    differs = np.abs(as_rows(np.asarray(trains)) - made.logits(x)).max() > autoregressive.MOVED
    return replace(found, slip=TRAINING_MODE) if differs else found


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


def are_no_data(samples: np.ndarray, data, fresh: np.ndarray) -> Iterator[Finding]:
    """Samples of black and white are no images of `data`: none of those that a notebook has, and no new ones either.

    samples, fresh: (n, 1, H, W); fresh are images of the data that no notebook has.
    """
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
    palette = data.render(np.array([(0, 0, 0, 0, c, g) for c in range(data.factor_sizes[4])
                                    for g in range(data.factor_sizes[5])]))  # fmt: skip
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
