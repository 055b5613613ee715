"""A student's diffusion model or flow as plain functions of arrays, with every shape checked, and what all must do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families.flows import one_gaussian
from autograder.properties import diffusion, flows, hygiene
from autograder.properties.diffusion import Mixture
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

HIDDEN = 16  # units in a layer of a small model
SIZES = (1.5, 2.5, 1.0, 3.5, 2.0, 3.0, 1.5, 2.5)  # of the noise of random weights, tried in turn
GENTLE = (1.0, 0.6, 1.4, 0.8, 0.5, 2.0, 1.2, 0.7)  # in a loss of large outputs the product with the noise is lost
CALLS, ROWS = 40, 100  # a random loss is drawn in so many calls, of so many examples each
TELLS = 1e-12  # a p-value: with such a network two losses are told apart
SAMPLES = 2000
AT_ONCE = 20_000  # points in one call
NEARER = 0.4  # samples are this much nearer to the data than those of one Gaussian; chance alone gives 0.2


class Model:
    """forward: (x, t) -> (B, D), and every other method by its name."""

    def __init__(self, handle: Handle, dims: int):
        self.handle, self.dims = handle, dims

    def at(self, x: np.ndarray, t) -> np.ndarray:
        """forward(x, t), (B, D), at one time for all examples or at (B,) of them."""
        times = np.broadcast_to(np.asarray(t), (len(x),)).copy()
        return self._points(self.handle.call("forward", x, times), len(x), "(x, t)")

    def ask(self, method: str, n: int, *arguments, seed: int = 0, shape: tuple[int, ...] | None = None, **options):
        """What a method gives: (n, D), or (n, *shape)."""
        said = f"{self.handle.label}.{method}"
        got = self.handle.call(method, *arguments, seed=seed, **options)
        return expect(got, (n, self.dims) if shape is None else (n, *shape), f"{said}({_named(method)})")

    def loss(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        return self.ask("loss", len(x), x, seed=seed, shape=())

    def _points(self, got, n: int, said: str) -> np.ndarray:
        return expect(got, (n, self.dims), f"{self.handle.label}{said}")


def _named(method: str) -> str:
    return {"loss": "x", "bound": "x", "log_prob": "x", "sample": "n", "ddim": "n, …"}.get(method, "…")


def small(student: Student, of: str, *arguments, dims: int, seed: int, size: float = 1.0, draw: int = 0) -> Model:
    """A small model of the class `of` with random weights of this size; draw: which of several with one seed."""
    number = seed + 1009 * draw
    made = student.new(of, *arguments, dims=dims, hidden=HIDDEN, seed=number, perturb=size, precise=True)
    return Model(made, dims)


def perfect(student: Student, name: str, data: Mixture, *arguments) -> Model:
    """The notebook's own class `name`, with what a perfect network gives for these data. It is given, and asked for."""
    try:
        handle = student.new(name, *arguments, *data.arguments, perturb=0.0, precise=True)
    except StudentCodeError as error:
        if error.kind != "missing":
            raise
        raise StudentCodeError(
            "missing", f"the notebook defines no {name}: its cell is given, under “Look”, and the checks use it."
        ) from None
    return Model(handle, data.dims)


# ---- losses, which are random --------------------------------------------------------------------------


def drawn_losses(model: Model, x: np.ndarray, seed: int, rows: int = ROWS) -> np.ndarray:
    """Draws of the loss of one example, (D,): (CALLS, rows)."""
    many = np.repeat(x[None], rows, axis=0).astype(np.float32)
    return np.stack([model.loss(many, seed + k) for k in range(CALLS)])


def loss_finding(
    new: Callable[[float, int], Model],
    x: np.ndarray,
    losses: Callable[[Model, np.ndarray, int], dict[str, np.ndarray]],
    required: str,
    seed: int,
    hardest: str = "",
    rows: int = ROWS,
) -> Finding:
    """Whether the loss of one example, (D,), is what it should be, for a network with random weights.

    new: (how large weights are, which draw of them) -> a model. losses: (model, x repeated, seed) -> {"": draws of the
    right loss, what is wrong: draws of that}. Of a few random networks that one counts in which they differ most; after
    it, where a wrong one is the hardest to tell, that in which this one does, over so many rows a call.
    """
    finding = _loss_finding(new, x, losses, required, seed, SIZES, lambda name: name != hardest)
    if not finding.passed or not hardest:
        return finding
    return _loss_finding(new, x, losses, required, seed + 1, GENTLE, lambda name: name == hardest, rows)


def _loss_finding(
    new: Callable,
    x: np.ndarray,
    losses: Callable,
    required: str,
    seed: int,
    sizes: Sequence[float],
    is_told: Callable[[str], bool],
    rows: int = ROWS,
) -> Finding:
    """In the network in which those that are to be told differ most; any is named."""
    many = np.repeat(x[None], CALLS * ROWS, axis=0)
    best, least = None, np.inf
    for draw, size in enumerate(sizes):
        model = new(size, draw)
        kinds = losses(model, many, seed)
        worst = 0.0
        with np.errstate(all="ignore"):
            for slip, other in kinds.items():
                if slip and is_told(slip) and worst < least:  # otherwise another network was better
                    worst = max(worst, diffusion.p_of_same(kinds[""], other))
        if best is None or worst < least:
            best, least = (model, kinds), worst
        if worst < TELLS:
            break
    model, kinds = best  # type: ignore[misc]  # one was tried at least
    if rows > ROWS:
        kinds = losses(model, np.repeat(x[None], CALLS * rows, axis=0), seed)
    got = drawn_losses(model, x, seed, rows)
    alone = diffusion.drawn_for_each(got)
    if not alone.passed:
        return alone
    return diffusion.same_draws("the loss", got.ravel(), kinds[""], required, {k: v for k, v in kinds.items() if k})


def example(seed: int) -> np.ndarray:
    """An example whose loss is asked for, (2,), not near the origin."""
    return np.random.default_rng(seed).normal(size=2) + np.array([1.5, -1.0])


def squares(errors: np.ndarray) -> np.ndarray:
    return (errors.astype(np.float64) ** 2).sum(axis=1)


# ---- trained models ------------------------------------------------------------------------------------


@dataclass
class Denoiser:
    """How far a trained network is from the perfect one: E‖f − f*‖² on fresh data, which is its loss above the floor.

    levels: (t, α, σ, weight) of each noise level; t is what the network is given. made: () -> the model.
    """

    data: toy.Distribution
    x: np.ndarray
    levels: Sequence[tuple[float, float, float, float]]
    made: Callable[[], Model]
    seed: int
    whole: bool = False  # whether the times are whole numbers

    def excess(self) -> float:
        """The squared distance; and it must be what it is in the mean, the loss less that of the perfect one."""
        total, below = self._excess(self.x, self.levels)
        require(below)
        return total

    def few(self, n: int = 500, levels: int = 12) -> float:
        """The same of fewer points at fewer levels."""
        chosen = self.levels[:: max(1, len(self.levels) // levels)]
        share = sum(level[3] for level in self.levels) / sum(level[3] for level in chosen)
        return share * self._excess(self.x[:n], chosen)[0]

    def baseline(self) -> float:
        """The same of the best denoiser of one Gaussian with the data's mean and covariance: linear in x."""
        plain = Mixture(*_parts(one_gaussian(self.data)))
        return self._total(lambda x, t, alpha, sigma: plain.noise(x, alpha, sigma), self.x[:500])

    @cached_property
    def exact(self) -> Mixture:
        return Mixture(*_parts(self.data))

    def floor(self) -> float:
        """What the perfect denoiser loses, over all levels."""
        return sum(w * diffusion.floor(self.exact, alpha, sigma) for _, alpha, sigma, w in self.levels)

    def _total(self, guess: Callable, x: np.ndarray) -> float:
        total = 0.0
        for t, alpha, sigma, weight in self.levels:
            _, x_t = self._noisy(x, t, alpha, sigma)
            total += weight * squares(guess(x_t, t, alpha, sigma) - self.exact.noise(x_t, alpha, sigma)).mean()
        return total

    def _excess(self, x: np.ndarray, levels) -> tuple[float, Finding]:
        """All levels in one query, in one order for all: no code can tell which points count together."""
        model, rng = self.made(), np.random.default_rng(self.seed)
        parts = [(*self._noisy(x, t, alpha, sigma), t, alpha, sigma, weight) for t, alpha, sigma, weight in levels]
        points = np.concatenate([x_t for _, x_t, *_ in parts])
        times = np.repeat([t for *_, t, _, _, _ in parts], len(x))
        order = rng.permutation(len(points))
        guessed = np.empty_like(points)
        for part in np.array_split(order, -(-len(order) // AT_ONCE)):
            guessed[part] = model.at(points[part].astype(np.float32), self._times(times[part]))
        total, gains = 0.0, []
        for k, (eps, x_t, _, alpha, sigma, weight) in enumerate(parts):
            guess, best = guessed[k * len(x) : (k + 1) * len(x)], self.exact.noise(x_t, alpha, sigma)
            total += weight * squares(guess - best).mean()
            gains.append(weight * (squares(eps - guess) - squares(eps - best)))
        return total, diffusion.not_below_the_floor(np.concatenate(gains))

    def _times(self, t: np.ndarray) -> np.ndarray:
        return t.astype(np.int64) if self.whole else t.astype(np.float32)

    def _noisy(self, x: np.ndarray, t: float, alpha: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
        eps = np.random.default_rng([self.seed, int(1e6 * t)]).normal(size=x.shape)
        return eps, (alpha * x + sigma * eps).astype(np.float32).astype(np.float64)


def _parts(data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return data.weights, data.means, data.covariances


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The checks of what an exercise trains, one model for each set of data. Each method makes one of them.

    exercise: its name; what it trains is called after it and its set. of: the class that is asked for. samples_of: the
    sets whose samples are looked at. goal: what no loss lies below, in words. measured: (() -> the model, data,
    held_out, seed) -> what `graded` is told of its loss. precise: whether the loss is asked for in double precision.
    """

    exercise: str
    of: str
    samples_of: tuple[str, ...]
    goal: str
    recipe: Recipe
    measured: Callable[[Callable[[], Model], toy.Distribution, Callable, int], dict[str, Any]]
    precise: bool = False

    def model(self, student: Student, name: str, precise: bool = False) -> Model:
        """What was trained on the set `name`."""
        return Model(student.trained(f"{self.exercise}.{name}", self.of, precise=precise), toy.get(name).dims)

    def samples(self, worth: float, why: str) -> Callable:
        """Samples are much nearer to fresh data than those of one Gaussian."""

        @points(worth, "Samples look like the data")
        @hint(why)
        def test_samples_look_like_the_data(student, held_out, seed, rests):
            def find(name: str, x: np.ndarray) -> Finding:
                data = toy.get(name)
                drawn = self.model(student, name).handle.sample(SAMPLES, data.dims, seed=seed, limit=60)
                plain = one_gaussian(data).draw(len(x), np.random.default_rng(seed))
                return flows.samples_are_nearer_than(drawn, x, plain, NEARER)

            for name in self.samples_of:
                rests(partial(find, name, held_out(toy.get(name), SAMPLES)))

        return test_samples_look_like_the_data

    def close(self, worth: float, why: str, on: str) -> Callable:
        """The loss on fresh data, between the reference and one Gaussian. on: one of the sets."""

        def trained_close(student, graded, held_out, seed):
            made = partial(self.model, student, on, precise=self.precise)
            graded(f"{self.exercise}.{on}", recipe=self.recipe, **self.measured(made, toy.get(on), held_out, seed))

        trained_close.__name__ = f"test_trained_close_to_{self.goal.replace(' ', '_')}_on_{on}"
        return points(worth, f"Trained: close to {self.goal} on {on.replace('_', ' ')}")(hint(why)(trained_close))


# ---- checks that all of them have ----------------------------------------------------------------------


def shapes(model: Model, t: np.ndarray, x: np.ndarray) -> None:
    """What the network and the loss give has its shape, is finite, and is of each example alone."""
    out = model.at(x, t)
    require(hygiene.finite(out, "of the network at ordinary points"))
    together = np.concatenate([x, t[:, None].astype(x.dtype)], axis=1)
    require(hygiene.rows_are_independent(lambda rows: model.at(rows[:, :-1], rows[:, -1].astype(t.dtype)), together))
    require(hygiene.finite(model.loss(x), "of the loss"))


def one_example(model: Model, t: np.ndarray, x: np.ndarray) -> None:
    """A batch of one gives what it gives among others, and the loss keeps its shape."""
    together = np.concatenate([x, t[:, None].astype(x.dtype)], axis=1)
    require(hygiene.one_example(lambda rows: model.at(rows[:, :-1], rows[:, -1].astype(t.dtype)), together))
    require(hygiene.finite(model.loss(x[:1]), "of the loss of one example"))


# ---- flows ---------------------------------------------------------------------------------------------

NUDGES = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 5e-3}  # for slopes by differences


def nudge_of(model: Model) -> float:
    """How far to move a point for a slope, in the precision that the student's code runs in."""
    return NUDGES.get(np.asarray(model.handle.call("forward", np.zeros((1, model.dims)), np.zeros(1))).dtype, 5e-3)


def jacobian(model: Model, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """∂v_i/∂x_j of forward(x, t) by differences: (B, D, D)."""
    return diffusion.jacobian(lambda points: model.at(points, t), x, nudge_of(model))


def log_prob_of(model: Model, x: np.ndarray, steps: int) -> np.ndarray:
    """log p of the flow dx/dt = model.at(x, t) from N(0, I) at 0 to x at 1: (B,), by Runge–Kutta.

    The divergence comes from differences of velocities. So what is integrated is the density of this flow, whatever is
    said of its gradients, and it sums to one.
    """
    D, nudge = model.dims, nudge_of(model)
    ways = nudge * np.concatenate([np.zeros((1, D)), np.eye(D)])

    def rates(state: np.ndarray, t: float) -> np.ndarray:
        points = (state[None, :, :D] + ways[:, None]).reshape(-1, D)
        v = np.concatenate([model.at(part, t) for part in np.array_split(points, -(-len(points) // AT_ONCE))])
        v = v.reshape(D + 1, len(state), D).astype(np.float64)
        spread = np.sum([v[i + 1, :, i] - v[0, :, i] for i in range(D)], axis=0) / nudge
        return np.concatenate([v[0], spread[:, None]], axis=1)

    end = diffusion.solved(rates, np.concatenate([x, np.zeros((len(x), 1))], axis=1), 1.0, 0.0, steps)
    return flows.base_log_density(end[:, :D], flows.NORMAL) + end[:, D]
