"""A student's autoregressive model as plain functions of rows of variables, and the checks that each must pass.

Sequences, images in raster order or in another, videos: an example becomes a row of its variables in the order in which
the model draws them, and what is asked for is asked of rows.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.properties import autoregressive, discrete, hygiene, layers
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect, whole
from autograder.workbench import StudentCodeError
from deepul_utils import toy

# Large weights and small biases: conditionals that depend strongly on what was drawn before. With weights as they
# come, a tiny random model is almost a product of independent variables, and a wrong sampler would look right.
STRONG = {"perturb": 2.0, "biases": 0.2}
SHARPEST = 2  # of the networks that are drawn, those that depend most on the past
FEW_DRAWS = 200  # that two calls of a sampler do not make alike
STATES = 100  # about so many of the states of a small model are asked about
ORDINARY, LARGE = 1.0, (8.0, 4.0, 2.0)  # sizes of random weights; of the large ones the first that keeps finite

MIXED = (
    "Everything sees everything. Either a layer has no mask, or something mixes the pixels: a norm over (C, H, W), as "
    "LayerNorm, GroupNorm or InstanceNorm make it, does. A norm may go over the channels of one pixel (of one colour, "
    "where there are three); BatchNorm is right, too."
)
MIXED_UP = (
    "Everything sees everything. Either a layer has no mask, or something mixes the values: a norm or a sum over the "
    "whole sequence does. A norm may go over the channels of one value; BatchNorm is right, too."
)
CROPPED = (
    "On an image of a few pixels the sampler is right, on a larger one it is not: does each pass see all the rows "
    "above that the network can see, and all columns of them, and is the image filled row by row?"
)
CUT = (
    "On a few values the sampler is right, on more of them it is not: does each pass see, or keep, all values before "
    "that the network can see, and are they drawn in the order of the model?"
)
TRAINING_MODE = (
    "This model gives other logits in training mode (BatchNorm, Dropout): sample in eval mode, and leave self.train() "
    "out of sample."
)

# In so many examples a trained model is asked whether it sees what is to come; by so many its loss is compared with
# that of other weights.
PLACES, FEW = 20, 16
TELLS = 1e-3  # nats: a leak that is worth anything tells more, and a thousand float32 terms round to less


# ---- rows of variables -----------------------------------------------------------------------------------


def as_rows(shape: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    """Examples (B, *shape, …) -> (B, dims, …): in raster order, the channels of a pixel together.

    shape: (T,) of a sequence, (C, H, W) of an image, (T, C, H, W) of a video.
    """
    moved = np.moveaxis(x, len(shape) - 2, len(shape)) if len(shape) >= 3 else x  # (B, …, H, W, C, …)
    return moved.reshape(len(x), -1, *x.shape[1 + len(shape) :])


def as_examples(shape: tuple[int, ...], rows: np.ndarray) -> np.ndarray:
    """(B, dims) -> (B, *shape), the inverse of `as_rows`."""
    if len(shape) < 3:
        return np.ascontiguousarray(rows.reshape(-1, *shape))
    *frames, C, H, W = shape
    return np.ascontiguousarray(np.moveaxis(rows.reshape(-1, *frames, H, W, C), -1, -3))


class Model:
    """A model that tells log_prob and sample only: what its conditionals are nobody is told.

    shape: of an example, as in `as_rows`. levels: of each variable, 0 … levels − 1. y: the class of every query, if the
    model has classes. order: places in raster order, (dims,), in the order in which they are drawn, if it is another;
    the channels of a pixel stay together.
    """

    def __init__(
        self, handle: Handle, shape: tuple[int, ...], levels: int, y: int | None = None, order: np.ndarray | None = None
    ):
        self.handle, self.shape, self.levels, self.y, self.order = handle, tuple(shape), levels, y, order
        self.dims = int(np.prod(self.shape))

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B,)."""
        return self.asked("log_prob", self.arguments(x))

    def sample(self, n: int, seed: int, *labels: np.ndarray) -> np.ndarray:
        """n draws, int64 (n, dims): of the labels, or all of the class y."""
        first = labels[0] if labels else n if self.y is None else np.full(n, self.y)
        what = f"{self.handle.label}.sample({n if first is n else 'y'})"
        drawn = expect(self.handle.call("sample", first, seed=seed), (n, *self.shape), what)
        return self.rows(whole(drawn, what))

    def density(self, x: np.ndarray) -> np.ndarray:
        """log p, (B, dims) -> (B,), that is trained and drawn from."""
        return self.log_prob(x)

    def densities(self, x: np.ndarray, *labels: np.ndarray, batch: int = 64) -> np.ndarray:
        """The same of many examples, each with its own label, a batch at a time."""
        parts = [self.asked("log_prob", self.arguments(*part)) for part in _batches(batch, x, *labels)]
        return np.concatenate(parts)

    @property
    def is_picture(self) -> bool:
        """Whether it is of images or videos, whose variables are pixels, and not of sequences."""
        return len(self.shape) >= 3

    @property
    def functions(self) -> list[Callable[[np.ndarray], np.ndarray]]:
        """What says something of every example of a batch."""
        return [self.log_prob]

    def hides_the_future(self, x: np.ndarray, seed: int, *labels: np.ndarray) -> Iterator[Finding]:
        """What is required of its conditionals at the real size. What tells none cannot be asked."""
        return iter(())

    def has_drawn(self, x: np.ndarray, seed: int, *labels: np.ndarray) -> Iterator[Finding]:
        """What is required of samples x (n, dims) that it is said to have drawn: as probable as those it draws now."""
        fresh = self.sample(len(x), seed, *labels)
        yield autoregressive.as_probable(self.densities(x, *labels), self.densities(fresh, *labels))

    def rows(self, x: np.ndarray) -> np.ndarray:
        """(B, *shape, …) -> (B, dims, …), in the order in which they are drawn."""
        rows = as_rows(self.shape, x)
        return rows if self.order is None else rows[:, self.order]

    def examples(self, rows: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B, *shape)."""
        return as_examples(self.shape, rows if self.order is None else rows[:, np.argsort(self.order)])

    def arguments(self, x: np.ndarray, *labels: np.ndarray) -> tuple[np.ndarray, ...]:
        """What its methods take for rows x, and for their labels, or all for the class y."""
        given = labels or (() if self.y is None else (np.full(len(x), self.y),))
        return (self.examples(x), *given)

    def asked(self, method: str, arguments: tuple[np.ndarray, ...], *shape: int) -> np.ndarray:
        """method(*arguments), its shape (B, *shape) checked."""
        return asked(self.handle, method, arguments, *shape)


class Conditionals(Model):
    """A model whose logits are the conditionals of every variable, given those before it."""

    def logits(self, x: np.ndarray, *labels: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B, dims, levels)."""
        try:
            return self.rows(self.asked("logits", self.arguments(x, *labels), *self.shape, self.levels))
        except StudentCodeError as error:
            raise StudentCodeError(error.kind, error.message + self._one_logit(error, len(x))) from None

    def density(self, x: np.ndarray) -> np.ndarray:
        """By the chain rule from the logits: log_prob itself has checks of its own."""
        return autoregressive.chain_rule(self.logits)(x)

    def densities(self, x: np.ndarray, *labels: np.ndarray, batch: int = 64) -> np.ndarray:
        parts = []
        for part in _batches(batch, x, *labels):
            log_p = autoregressive.log_conditionals(self.logits(*part))
            parts.append(np.take_along_axis(log_p, part[0][..., None], axis=-1)[..., 0].sum(axis=1))
        return np.concatenate(parts)

    def log_conditionals(self, x: np.ndarray, *labels: np.ndarray, batch: int = 32) -> np.ndarray:
        """Normalised log-probabilities of every level, (B, dims) -> (B, dims, levels), a batch at a time."""
        parts = [self.logits(*part) for part in _batches(batch, x, *labels)]
        return autoregressive.log_conditionals(np.concatenate(parts))

    @property
    def functions(self) -> list[Callable[[np.ndarray], np.ndarray]]:
        return [self.logits, self.log_prob]

    def hides_the_future(self, x: np.ndarray, seed: int, *labels: np.ndarray) -> Iterator[Finding]:
        yield sees_no_later(self, x, seed, *labels)

    def has_drawn(self, x: np.ndarray, seed: int, *labels: np.ndarray) -> Iterator[Finding]:
        yield from self.hides_the_future(x, seed, *labels)
        log_p = self.log_conditionals(x, *labels)
        yield autoregressive.knows_something(log_p)
        yield autoregressive.typical(x, log_p)

    def _one_logit(self, error: StudentCodeError, n: int) -> str:
        """What to do with one logit a variable of two levels, if that is what came."""
        one = (str((n, *self.shape)), str((n, *self.shape, 1)))
        if error.kind != "wrong shape" or self.levels != 2 or not error.message.rstrip(".").endswith(one):
            return ""
        return " Is it one logit l a pixel? The logits of its two levels are 0 and l: torch.stack([0 * l, l], dim=-1)."


def _batches(size: int, *arrays: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    return [tuple(a[k : k + size] for a in arrays) for k in range(0, len(arrays[0]), size)]


def asked(handle: Handle, method: str, arguments: tuple[np.ndarray, ...], *shape: int) -> np.ndarray:
    """handle.method(*arguments), its shape (B, *shape) checked."""
    names = "x" if len(arguments) == 1 else "x, y"
    what = f"{handle.label}.{method}({names})"
    return expect(handle.call(method, *arguments), (len(arguments[0]), *shape), what)


def saved(student: Student, name: str, shape: tuple[int, ...], fewest: int) -> np.ndarray:
    """The samples that were drawn of `name`, int64 (n, *shape), at least so many."""
    samples = whole(student.drawn(name, *shape), f"drawn({name!r}, …)")
    if len(samples) < fewest:
        raise StudentCodeError("wrong shape", f"drawn({name!r}, …) holds {len(samples)} samples; at least {fewest}.")
    return samples


# ---- what is required of a model -------------------------------------------------------------------------


def keeps_its_order(model: Conditionals, seed: int) -> Finding:
    """After a step of training no output sees its own input, either: a step of a random loss of the logits."""
    rng = np.random.default_rng(seed)
    x = rng.integers(model.levels, size=(8, model.dims))
    cotangent = rng.normal(size=(8, *model.shape, model.levels)).astype(np.float32)
    grads = model.handle.gradient("logits", *model.arguments(x), wrt="parameters", cotangent=cotangent)
    moved = {}
    for name, values in model.handle.parameters().items():
        grad = grads.get(name)
        if values is not None and grad is not None and grad.shape == values.shape and np.any(grad):
            step = max(1.0, float(np.linalg.norm(values))) / float(np.linalg.norm(grad))
            moved[name] = values + step * np.nan_to_num(grad)
    model.handle.load(moved)
    found = autoregressive.is_strict_order(model.logits, model.dims, model.levels, seed)
    if found.passed:
        return found
    return Finding(0.0, f"after a step of training {found.measured}", found.required, plot=found.plot, slip=ONCE)


ONCE = (
    "Masks hold at the start and not after a step of training: multiply the weights by the mask in forward, at every "
    "call, and keep the mask in a buffer, which no optimiser moves."
)


def sees_no_later(model: Conditionals, x: np.ndarray, seed: int, *labels: np.ndarray) -> Finding:
    """A trained model, at its real size: what it says of a pixel is the same, whatever comes from there on.

    x: held out or drawn, int (n, dims). Of some, all from a pixel on, in its order, is that of another example. Within
    a pixel, no colour may be told of itself, not even through others.
    """
    rng, C = np.random.default_rng(seed), model.shape[-3] if model.is_picture else 1
    rows, others, dims = x[:PLACES], np.roll(x, 1, axis=0)[:PLACES], np.arange(model.dims)
    cut = C * rng.integers(model.dims // C, size=len(rows))[:, None]
    changed = [np.where(dims >= cut, others, rows)]
    for c in range(C if C > 1 else 0):
        other = (rows + rng.integers(1, model.levels, size=rows.shape)) % model.levels
        changed.append(np.where(dims == cut + c, other, rows))
    off = _differences(model, [rows, *changed], rng, *labels)  # (changes, examples, dims)
    before = dims < cut + (C == 1)  # a pixel of one number is not told of itself
    moved, what = float(np.where(before, off[0], 0).max()), "pixel" if model.is_picture else "value"
    required = "the same, whatever comes from there on"
    if not moved <= TELLS:
        measured = f"what the trained model says of a {what} moves by {moved:.2g} nats with later ones"
        return Finding(0.0, measured, required)
    told = np.array([(np.take_along_axis(of, cut + np.arange(C), axis=1) > TELLS).any(axis=0) for of in off[1:]])
    if C > 1 and len(autoregressive.in_loops(told.T)):
        return Finding(0.0, "the trained model tells a pixel’s colour of itself", required)
    return Finding(1.0, f"the trained model sees no later {what}", required)


def _differences(
    model: Conditionals, queries: list[np.ndarray], rng: np.random.Generator, *labels: np.ndarray
) -> np.ndarray:
    """How far the log-conditionals of the first of several queries, (n, dims) each, are from those of the others.

    (queries − 1, n, dims), in nats. All are asked in one shuffled order: no code can tell which belong together.
    """
    n = len(queries[0])
    order = rng.permutation(len(queries) * n)
    given = [np.tile(y[:n], len(queries))[order] for y in labels]
    log_p = np.empty((len(order), model.dims, model.levels))
    log_p[order] = model.log_conditionals(np.concatenate(queries)[order], *given)
    log_p = np.maximum(log_p, autoregressive.LOWEST).reshape(len(queries), n, model.dims, model.levels)
    return np.abs(log_p[1:] - log_p[0]).max(axis=-1)


def exact_far(near: Conditionals, build: Callable[[float], Conditionals], ask: Callable, ordinary: bool) -> Finding:
    """log_prob is the sum of its conditionals where examples are hardly possible, too.

    near: an ordinary small model. build: the size of random weights -> a model. ask: of which rows each is asked.
    ordinary: whether such a model is asked with weights of ordinary size, too: a whole image of noise has a
    log-probability far below −100; with large weights single values have one below −100, too.
    """

    def both(model: Conditionals) -> tuple[np.ndarray, np.ndarray]:
        x = ask(model)
        return model.log_prob(x), model.density(x)

    for strength in LARGE:
        sharp = both(build(strength))
        if np.isfinite(sharp[1]).all():
            break
    of_near = both(near)
    return autoregressive.exact_far(of_near, *([both(build(ORDINARY))] if ordinary else []), sharp)


def samplers_of(models: Iterable[Conditionals], n: int, seed: int) -> Finding:
    """n draws of each of several models, whose states are too many to count, are as probable as they say.

    In one random network a conditional may hardly depend on what a wrong sampler leaves out; together they tell.
    """
    drawn, log_p = [], []
    for model in models:
        samples = model.sample(n, seed)
        outside = int(((samples < 0) | (samples >= model.levels)).sum())
        if outside:
            measured = f"{outside:,} values lie outside the levels 0 … {model.levels - 1}"
            return Finding(0.0, measured, "levels of the data")
        drawn.append(samples)
        log_p.append(autoregressive.log_conditionals(model.logits(samples)))
    found = autoregressive.typical(np.concatenate(drawn), np.concatenate(log_p))
    if found.passed:
        return found
    size = f"{' × '.join(map(str, model.shape[-2:]))} pixels" if model.is_picture else f"{model.dims} values"
    return replace(found, measured=f"of {size}, {found.measured}", slip=CROPPED if model.is_picture else CUT)


def in_eval_mode(model: Model, found: Finding, seed: int) -> Finding:
    """A finding on samples; if it does not hold and the model is another in training mode, that is the likely slip."""
    if found.passed or not isinstance(model, Conditionals):
        return found
    x = np.random.default_rng(seed).integers(model.levels, size=(16, model.dims))
    trains = model.handle.call("logits", *model.arguments(x), train=True)
    differs = np.abs(model.rows(np.asarray(trains)) - model.logits(x)).max() > autoregressive.MOVED
    return replace(found, slip=TRAINING_MODE) if differs else found


def some_states(model: Model) -> np.ndarray:
    """About STATES of the states of a small model, or all if they are not more: int64 (n, dims)."""
    x = discrete.states(model.dims, model.levels)
    while len(x) > STATES:
        x = x[::9]
    return x.copy()


# ---- the checks that every autoregressive model must pass ------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Each method makes one check, which is worth so many points: `test_exact_far_from_the_data = suite.exact_far(1)`.

    Of its keywords, `needs` are checks that must hold first, `title` what the check is called, from which follows the
    name that it must be kept under, and `why` the hint.

    exercise: its name, which is that of what it trains; with the suffix of its data, if there are several. of: the
    class that is asked for. small: (student, seed, **options) -> a Model with random weights, of few enough states to
    count them; its options are those of the class, `perturb` and `biases` (see Student.new), and y where there are
    classes. data: what it is trained on: sets of `images`, or `toy.discrete`. adapter: of a trained handle, its data's
    shape and levels. says: what its methods give, as a student reads it. variable, before, example: what one output is
    of, what it may see, and a whole.
    networks: how many random ones a check looks at. classes: of which everything is asked in turn. strong: options of
    models whose conditionals depend strongly on what came before. wide, deep, tall, whole: options of small ones that
    have room for what is to be seen, that have more layers, that are too large to count their states, and that are
    as large as the data.
    """

    exercise: str
    of: str
    small: Callable[..., Any]
    data: tuple
    recipe: Recipe
    says: str
    adapter: Callable[[Handle, tuple[int, ...], int], Any] = Conditionals
    variable: str = "pixel"
    before: str = "pixel"
    example: str = "image"
    networks: int = 2
    classes: int = 0
    strong: dict = field(default_factory=lambda: STRONG)
    wide: dict = field(default_factory=dict)
    deep: dict = field(default_factory=dict)
    tall: dict = field(default_factory=dict)
    whole: dict = field(default_factory=dict)

    def causal(
        self, worth: float, why: str, mixed: str | None = None, also: Callable[..., Finding] | None = None
    ) -> Callable:
        """No output sees its own input, in whatever order. mixed: the likely slip where everything sees everything.

        also: (one more such model, seed) -> a Finding, required besides.
        """

        def check(student, seed):
            for k in range(self.networks):
                model = self._telling(student, seed + k, **self.wide)
                slip = mixed if mixed is not None else MIXED if model.is_picture else MIXED_UP
                require(autoregressive.is_strict_order(model.logits, model.dims, model.levels, seed, mixed=slip))
            if also:
                require(also(self._telling(student, seed, **self.wide), seed))

        return _named(check, f"Each {self.variable} depends only on earlier {self.before}s", worth, why)

    def whole_past(self, worth: float, why: str) -> Callable:
        """Every output sees all that comes before it in one order, whichever it is."""

        def check(student, seed):
            outputs, first = self._outputs(student, seed, self.networks)
            require(autoregressive.misses_nothing(outputs, first.dims, first.levels, seed))

        return _named(check, f"Each {self.variable} depends on all earlier {self.before}s", worth, why)

    def no_blind_spot(self, worth: float, why: str, networks: int, explain: Callable = lambda missing: "") -> Callable:
        """Every output sees all that comes before it, in the order of the rows. explain: see sees_its_past."""

        def check(student, seed):
            outputs, first = self._outputs(student, seed, networks)
            require(autoregressive.sees_its_past(outputs, first.dims, first.levels, seed, explain=explain))

        return _named(check, "No blind spot", worth, why)

    def own_layers(self, worth: float) -> Callable:
        """No layer stands in two places."""

        def check(student, seed):
            made = self.small(student, seed, **self.deep).handle
            require(layers.are_their_own(made.call("state_dict"), made.parameters()))
            if "depth" in self.deep:
                few, many = (
                    sum(p.size for p in m.parameters().values()) for m in (self.small(student, seed).handle, made)
                )
                require(layers.grows(few, many, self.of, "layers"))

        return _named(check, "Every layer has weights of its own", worth, layers.SHARED)

    def every_example(self, worth: float, why: str = "", also: Callable | None = None) -> Callable:
        """What is said of an example hangs on it alone. also: (a small model, rows) -> a Finding, required besides."""

        def check(student, seed):
            model = self.small(student, seed)
            x = some_states(model)
            for function in model.functions:
                require(hygiene.rows_are_independent(function, x))
            if also:
                require(also(model, x))

        why = why or f"{self.says}, each row of its own {self.example} alone."
        return _named(check, "Every example for itself", worth, why)

    def one_example(self, worth: float) -> Callable:
        """A batch of one is a batch."""

        def check(student, seed):
            model = self.small(student, seed)
            x = some_states(model)
            for function in model.functions:
                require(hygiene.one_example(function, x))

        return _named(check, "Called with one example", worth, f"{self.says}, also where B is one.")

    def chain_rule(self, worth: float, why: str) -> Callable:
        """log_prob is what the logits say, on the states of a small model."""

        def check(student, seed):
            model = self._telling(student, seed)
            x = some_states(model)
            require(autoregressive.sums_its_conditionals(model.log_prob(x), model.density(x)))

        name = "log_density_is_the_sum_of_the_conditionals"
        return _named(check, "log_prob is the sum of the conditionals", worth, why, name=name)

    def sums_to_one(
        self, worth: float, why: str, models: Callable | None = None, explain: Callable[..., str] | None = None
    ) -> Callable:
        """Over all states of a small model. models: (student, seed) -> other ones than the suite's.

        explain: (student, seed) -> the likely slip, where they do not.
        """

        def check(student, seed):
            for model in (models or self._counted)(student, seed):
                found = discrete.sums_to_one(model.log_prob, model.dims, model.levels, seed)
                require(found if found.passed or not explain else replace(found, slip=explain(student, seed)))

        of_class = " in every class" if self.classes else ""
        return _named(check, f"Probabilities sum to one{of_class}", worth, why)

    def exact_far(self, worth: float) -> Callable:
        """Where hardly anything is possible: of whole examples of noise, or, without `whole`, with large weights."""

        def check(student, seed):
            def noise(model: Conditionals) -> np.ndarray:
                return np.random.default_rng(seed).integers(model.levels, size=(6, model.dims))

            near = self._telling(student, seed)

            def build(strength: float) -> Conditionals:
                return self.small(student, seed, perturb=strength, **self.whole)

            require(exact_far(near, build, noise if self.whole else some_states, ordinary=bool(self.whole)))

        title = f"Exact for {self.example}s that are hardly possible" if self.whole else "Exact far from the data"
        return _named(check, title, worth, autoregressive.FLOORED)

    def samples(
        self,
        worth: float,
        why: str,
        count: int,
        networks: int = 5,
        tall: tuple[int, int] = (3, 48),
        models: Callable | None = None,
        needs: Callable | tuple = (),
        title: str = "",
        also: Callable[..., Finding] | None = None,
    ) -> Callable:
        """Draws of small models are as frequent as their states are probable.

        count: draws of each. networks: how many strong ones are drawn; those that depend most on the past are asked.
        models: (student, seed) -> other ones. tall: how many of those that are too large to count, if there are any,
        and how many draws of each. also: (student, seed) -> a Finding, required besides.
        """

        def check(student, seed):
            for model in models(student, seed) if models else self._sharpest(student, seed, networks):
                found = discrete.sampler_matches(model.sample(count, seed), model.density, model.levels, seed)
                require(in_eval_mode(model, found, seed))
            draw = partial(model.sample, FEW_DRAWS)
            require_too(hygiene.drawn_anew(draw, seed, f"sample({'y' if self.classes else 'n'})", model.density))
            if self.tall:
                several = ((seed + k, {"y": k} if self.classes else {}) for k in range(self.classes or tall[0]))
                large = (self._telling(student, at, **self.tall, **given) for at, given in several)
                require(samplers_of(large, tall[1], seed))
            if also:
                require(also(student, seed))

        of_class = " of their class" if self.classes else ""
        title, name = title or f"Samples follow the conditionals{of_class}", f"samples_follow_the_density{of_class}"
        return _named(check, title, worth, why, needs, name)

    def trained(
        self,
        worth: float,
        why: str,
        baseline: Callable[[], float] | None = None,
        held_out: int = 200,
        on: str = "",
        first: Callable | None = None,
        needs: Callable | tuple = (),
        title: str = "",
    ) -> Callable:
        """Nats above the limit where it is known, else bits a dimension; where all states can be counted, the exact KL.

        baseline: nats an example of a naive model; if the states are counted, that of independent variables, if no
        other is given. held_out: on so many examples. on: the name of one of the data. first: (student, seed), to
        require something else before.
        """
        data = self._data(on)
        counted = isinstance(data, toy.DiscreteDistribution)
        if not counted and baseline is None:
            raise ValueError(f"suite.trained of {self.exercise} needs a baseline: nats an example of a naive model.")

        def check(student, graded, seed):
            if first:
                first(student, seed)
            if counted:
                self._grade_counted(student, graded, seed, data, baseline)
            else:
                self._grade_held_out(student, graded, seed, data, baseline, held_out)

        title = title or ("Trained: close to the limit" + (f" on {on}" if on else ""))
        return _named(check, title, worth, why, needs)

    def own_samples(
        self,
        worth: float,
        why: str,
        fewest: int,
        most: int | None = None,
        labels: np.ndarray | None = None,
        first: Callable | None = None,
        last: Callable | None = None,
        needs: Callable | tuple = (),
        title: str = "Saved samples are the model’s own",
    ) -> Callable:
        """Saved samples are draws of the trained model's conditionals; of at least `fewest` the first `most` count.

        A model that tells no conditionals is asked to draw as many again, in one call.
        labels: of each, (most,). first: (samples, seed) -> findings, before the model is asked. last: (samples, model,
        seed, graded), to require something else afterwards. samples: int64 (n, *shape).
        """
        data, given = self._data(""), () if labels is None else (labels,)

        def check(student, graded, seed):
            samples = saved(student, self.exercise, data.shape, fewest)
            model = self._trained(student, data)
            require(hygiene.in_range(samples, data.levels))
            samples = samples[:most]
            for found in first(samples, seed) if first else ():
                require(found)
            for found in model.has_drawn(model.rows(samples), seed, *given):
                require(found)
            if last:
                last(samples, model, seed, graded)

        return _named(check, title, worth, why, needs)

    def _telling(self, student: Student, seed: int, **options) -> Conditionals:
        """A small model that has logits. Raises TypeError where it has none: the check would say nothing."""
        model = self.small(student, seed, **options)
        if not isinstance(model, Conditionals):
            raise TypeError(f"this check is about logits: `small` of {self.exercise} must give Conditionals")
        return model

    def _outputs(self, student: Student, seed: int, networks: int) -> tuple[Iterable[Callable], Conditionals]:
        """The logits of several models that have room for what is to be seen, and the first of these models."""
        first = self._telling(student, seed, **self.wide)
        others = (self.small(student, seed + k, **self.wide) for k in range(1, networks))
        return (model.logits for model in chain([first], others)), first

    def _counted(self, student: Student, seed: int) -> Iterable[Model]:
        """Small models, a few of them or one of each class."""
        if self.classes:
            return (self.small(student, seed, y=y) for y in range(self.classes))
        return (self.small(student, seed + k) for k in range(self.networks))

    def _sharpest(self, student: Student, seed: int, networks: int) -> Iterable[Conditionals]:
        """Strong models, one of each class or of several those that depend most on the past."""
        if self.classes:
            return (self.small(student, seed + y, y=y, **self.strong) for y in range(self.classes))
        return sharpest([self.small(student, seed + k, **self.strong) for k in range(networks)], seed)

    def _grade_counted(self, student: Student, graded: Callable, seed: int, data, baseline: Callable | None) -> None:
        """The KL to the exact pmf; none from the product of the marginals on, if no baseline is given."""

        def excess() -> float:
            return discrete.excess_nats(self._trained(student, data).density, data.pmf, seed)

        naive = (baseline() if baseline else data.independent_entropy) - data.entropy
        graded(self._artifact(data), excess, limit=data.entropy, baseline=naive, recipe=self.recipe, few=excess)

    def _grade_held_out(self, student: Student, graded: Callable, seed: int, data, baseline: Callable, n: int) -> None:
        examples, *labels = self._held_out(data, n, seed)
        model, limit = self._trained(student, data), data.entropy
        x = model.rows(examples)
        unit, scale = ("bits/dim", model.dims * np.log(2)) if limit is None else ("nats", 1.0)

        def counted(nats: float) -> float:
            """Above the limit, in the unit."""
            return (nats - (limit or 0.0)) / scale

        def loss(number: int = n) -> float:
            log_p = self._trained(student, data).densities(x[:number], *(y[:number] for y in labels))
            return counted(-log_p.mean())

        for found in model.hides_the_future(x, seed, *labels):
            require(found)
        few, naive, key = partial(loss, FEW), counted(baseline()), self._artifact(data)
        graded(key, loss, limit=limit, baseline=naive, unit=unit, recipe=self.recipe, few=few)

    def _held_out(self, data, n: int, seed: int) -> list[np.ndarray]:
        """Fresh examples, int64 (n, *shape), and their labels if there are classes."""
        drawn = data.sample_labelled if self.classes else data.sample
        x = drawn(n, seed=seed, split="test")
        x, *labels = x if self.classes else (x,)
        return [x.astype(np.int64), *labels]

    def _data(self, name: str):
        """One of the data, by its name, or the first. Raises ValueError naming them."""
        by_name = {data.name: data for data in self.data}
        if name and name not in by_name:
            raise ValueError(f"{self.exercise} is not trained on {name!r}. Its data: {', '.join(by_name)}.")
        return by_name[name] if name else self.data[0]

    def _artifact(self, data) -> str:
        return f"{self.exercise}.{data.name}" if len(self.data) > 1 else self.exercise

    def _trained(self, student: Student, data) -> Any:
        counted = isinstance(data, toy.DiscreteDistribution)
        shape, levels = ((data.dims,), data.bins) if counted else (data.shape, data.levels)
        return self.adapter(student.trained(self._artifact(data), self.of), shape, levels)


def sharpest(models: list[Conditionals], seed: int) -> list[Conditionals]:
    """Of several models with random weights those whose conditionals depend most on what was drawn before."""
    of = models[0]
    chosen = autoregressive.sharpest([model.logits for model in models], of.dims, of.levels, SHARPEST, seed)
    return [models[k] for k in chosen]


def _named(
    check: Callable, title: str, worth: float, why: str, needs: Callable | tuple[Callable, ...] = (), name: str = ""
) -> Callable:
    """A check of this title: its name is made of the same words, if no other is given."""
    words = name or title.replace("’", "")
    check.__name__ = "test_" + re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return points(worth, title, needs=needs)(hint(why)(check))
