"""A student's masked diffusion as plain functions of tokens, and the checks that each must pass."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families.autoregressive import STRONG
from autograder.properties import hygiene, masked
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect, whole
from autograder.workbench import StudentCodeError
from deepul_utils import toy

DRAWS = 3000  # of a random number whose distribution is compared, at each time
TIMES = (0.2, 0.5, 0.85)
STEPS = ((0.9, 0.4), (0.5, 0.35), (0.3, 0.0))  # from t to s
CHAINS = (1, 2, 5)  # numbers of steps of the sampler


class Model:
    """A model that hides tokens and draws them anew. dims: tokens; levels: of each, 0 … levels − 1, and the mask."""

    def __init__(self, handle: Handle, dims: int, levels: int):
        self.handle, self.dims, self.levels = handle, dims, levels

    def logits(self, z: np.ndarray) -> np.ndarray:
        """(B, dims) -> (B, dims, levels)."""
        return self._array("logits", "z", (len(z), self.dims, self.levels), z)

    def corrupt(self, x: np.ndarray, t: np.ndarray, seed: int = 0) -> np.ndarray:
        """z ~ q(z | x) at the time t (B,) of each: int64 (B, dims)."""
        return self._tokens("corrupt", "x, t", x, t, seed=seed)

    def nats(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(B,)."""
        return self._array("nats", "x, z", (len(x),), x, z)

    def loss(self, x: np.ndarray, t: np.ndarray, seed: int = 0) -> np.ndarray:
        """(B,)."""
        return self._array("loss", "x, t", (len(x),), x, t, seed=seed)

    def bound(self, x: np.ndarray) -> np.ndarray:
        """(B,)."""
        return self._array("bound", "x", (len(x),), x)

    def reverse_step(self, z: np.ndarray, t: float, s: float, seed: int = 0) -> np.ndarray:
        """int64 (B, dims)."""
        return self._tokens("reverse_step", "z, t, s", z, t, s, seed=seed)

    def sample(self, n: int, steps: int, seed: int = 0) -> np.ndarray:
        """int64 (n, dims)."""
        what = f"{self.handle.label}.sample({n}, steps={steps})"
        return whole(expect(self.handle.call("sample", n, steps, seed=seed), (n, self.dims), what), what)

    def conditionals(self, seed: int) -> masked.Conditionals:
        """What its network says of all that can be hidden."""
        return masked.Conditionals(self.logits, self.dims, self.levels, seed)

    def told(self, x: np.ndarray) -> np.ndarray:
        """−log p(x_i | x) of each token, where the network sees the example itself: (B, dims)."""
        from scipy.special import log_softmax

        with np.errstate(invalid="ignore"):
            log_p = log_softmax(self.logits(x).astype(np.float64), axis=-1)
        return -np.take_along_axis(log_p, x[..., None], axis=-1)[..., 0]

    def _array(self, method: str, names: str, shape: tuple[int, ...], *arguments, seed: int = 0) -> np.ndarray:
        return expect(self.handle.call(method, *arguments, seed=seed), shape, f"{self.handle.label}.{method}({names})")

    def _tokens(self, method: str, names: str, x: np.ndarray, *arguments, seed: int = 0) -> np.ndarray:
        what = f"{self.handle.label}.{method}({names})"
        return whole(self._array(method, names, (len(x), self.dims), x, *arguments, seed=seed), what)


def either(found: Finding, *others: Callable[[], Finding]) -> Finding:
    """What was found; where it does not hold, another one that does, of what the student's own parts give.

    A slip costs the check whose theorem it breaks: what is built of a wrong part may still be built rightly.
    """
    for other in others if not found.passed else ():
        try:
            found_so = other()
        except StudentCodeError:  # that part has a check of its own
            continue
        if found_so.passed:
            return found_so
    return found


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Each method makes one check, which is worth so many points.

    exercise: its name, and that of what it trains. of: the class that is asked for. data: what it is trained on, a
    toy.discrete. dims, levels: of small models with random weights, few enough to count all their states.
    """

    exercise: str
    of: str
    data: toy.DiscreteDistribution
    recipe: Recipe
    dims: int = 3
    levels: int = 3

    def small(self, student: Student, seed: int, **strength: float) -> Model:
        """A small model with random weights."""
        strength = strength or STRONG
        made = student.new(self.of, self.dims, self.levels, seed=seed, precise=True, **strength)
        return Model(made, self.dims, self.levels)

    def every_example(self, worth: float, why: str) -> Callable:
        @points(worth, "Every example for itself")
        @hint(why)
        def test_every_example_for_itself(student, seed):
            model, z = self.small(student, seed), self._some(seed, 20)
            require(hygiene.finite(model.logits(z)[z == self.levels], "of the tokens that are masked"))
            require(hygiene.rows_are_independent(model.logits, z))

        return test_every_example_for_itself

    def one_example(self, worth: float, why: str) -> Callable:
        @points(worth, "Called with one example")
        @hint(why)
        def test_called_with_one_example(student, seed):
            model, z = self.small(student, seed), self._some(seed, 20)
            require(hygiene.one_example(model.logits, z))
            require(hygiene.one_example(lambda z: model.nats(np.minimum(z, self.levels - 1), z), z))
            require(hygiene.one_example(model.bound, np.minimum(z, self.levels - 1)))

        return test_called_with_one_example

    def hides(self, worth: float, why: str) -> Callable:
        @points(worth, "Tokens are masked with probability t")
        @hint(why)
        def test_tokens_are_masked_with_probability_t(student, seed):
            model, (x, t) = self.small(student, seed), self._at_times(seed, (0.0, *TIMES, 1.0))
            require(masked.hides_with_probability_t(model.corrupt(x, t, seed), x, t, self.levels))

        return test_tokens_are_masked_with_probability_t

    def nats(self, worth: float, why: str) -> Callable:
        @points(worth, "Only what is masked counts")
        @hint(why)
        def test_only_what_is_masked_counts(student, seed):
            model, rng = self.small(student, seed), np.random.default_rng(seed)
            x = rng.integers(self.levels, size=(40, self.dims))
            hidden = np.resize(masked.masks(self.dims), x.shape)
            got = model.nats(x, masked.hide(x, hidden, self.levels))
            require(masked.counts_what_is_hidden(got, model.conditionals(seed), x, hidden, model.told(x)))

        return test_only_what_is_masked_counts

    def weighted(self, worth: float, why: str) -> Callable:
        @points(worth, "The loss is weighted by 1 / t")
        @hint(why)
        def test_the_loss_is_weighted_by_one_over_t(student, seed):
            model, rng = self.small(student, seed), np.random.default_rng(seed)
            conditionals = model.conditionals(seed)
            for one in rng.integers(self.levels, size=(2, 1, self.dims)):
                x, t = one.repeat(len(TIMES) * DRAWS, axis=0), np.tile(TIMES, DRAWS)
                told = masked.masks(self.dims) @ model.told(one)[0]
                found = partial(masked.is_weighted, model.loss(x, t, seed), t, told=told)
                by_mask, expected = conditionals.by_mask(one)[:, 0], self._frequent
                own = partial(self._as_corrupted, model, x, seed)
                require(
                    either(
                        found(by_mask=by_mask, frequent=expected),
                        lambda found=found, by_mask=by_mask, own=own: found(by_mask=by_mask, frequent=own),
                        lambda found=found, one=one, own=own: found(by_mask=self._own_nats(model, one), frequent=own),
                    )
                )

        return test_the_loss_is_weighted_by_one_over_t

    def bound(self, worth: float, why: str) -> Callable:
        @points(worth, "The bound is exact")
        @hint(why)
        def test_the_bound_is_exact(student, seed):
            model = self.small(student, seed)
            x = np.random.default_rng(seed).permutation(masked.discrete.states(self.dims, self.levels))
            got = model.bound(x)

            def of_own_nats() -> Finding:
                by_mask = np.stack([self._own_nats(model, one[None]) for one in x], axis=1)
                wanted = masked.bound_weights(self.dims) @ by_mask
                return masked.same_numbers(got, wanted, "bound(x)", "the weighted sum of nats(x, z) over all masks")

            require(either(masked.is_the_bound(got, model.conditionals(seed), x), of_own_nats))

        return test_the_bound_is_exact

    def steps(self, worth: float, why: str) -> Callable:
        @points(worth, "Each step lifts the masks that it should")
        @hint(why)
        def test_each_step_lifts_the_masks_that_it_should(student, seed):
            model, rng = self.small(student, seed), np.random.default_rng(seed)
            conditionals = model.conditionals(seed)
            shown = rng.integers(self.levels, size=self.dims)
            partly = np.where(np.arange(self.dims) == rng.integers(self.dims), shown, self.levels)
            for k, (t, s) in enumerate(STEPS):
                for z in (np.full(self.dims, self.levels), partly):
                    after = model.reverse_step(np.tile(z, (DRAWS, 1)), t, s, seed + k)
                    require(masked.steps_back(after, z, t, s, conditionals))

        return test_each_step_lifts_the_masks_that_it_should

    def keeps(self, worth: float, why: str) -> Callable:
        @points(worth, "What is shown never changes")
        @hint(why)
        def test_what_is_shown_never_changes(student, seed):
            model, z = self.small(student, seed), self._some(seed, 300)
            for t, s in STEPS:
                require(masked.keeps_what_is_shown(model.reverse_step(z, t, s, seed), z, self.levels))

        return test_what_is_shown_never_changes

    def samples(self, worth: float, why: str) -> Callable:
        @points(worth, "Samples are drawn in so many even steps")
        @hint(why)
        def test_samples_are_drawn_in_so_many_even_steps(student, seed):
            model = self.small(student, seed)
            conditionals = model.conditionals(seed)
            for steps in CHAINS:
                drawn = model.sample(DRAWS, steps, seed)
                require(hygiene.in_range(drawn, self.levels + 1))
                explained = {
                    f"It takes {n} steps, in the place of {steps}.": n for n in (steps + 1, steps - 1, 1) if n > 0
                } | {"It takes many more steps than are asked for.": 60}
                found = masked.samples_follow(drawn, steps, conditionals, explained, seed)
                require(either(found, partial(self._by_own_steps, model, drawn, steps, seed)))
            require_too(hygiene.drawn_anew(partial(model.sample, 200, steps), seed))

        return test_samples_are_drawn_in_so_many_even_steps

    def trained(self, worth: float, why: str) -> Callable:
        def trained(student, graded, seed):
            data = self.data

            def excess() -> float:
                model = Model(student.trained(self.exercise, self.of), data.dims, data.bins)
                return masked.excess_nats(model.conditionals(seed), data.pmf)

            baseline = data.independent_entropy - data.entropy
            graded(self.exercise, excess, limit=data.entropy, baseline=baseline, recipe=self.recipe, few=excess)

        trained.__name__ = f"test_trained_close_to_the_limit_on_{self.data.name}"
        return points(worth, f"Trained: close to the limit on {self.data.name}")(hint(why)(trained))

    def _some(self, seed: int, n: int) -> np.ndarray:
        """Some states, partly hidden, int64 (n, dims)."""
        z = masked.partly_hidden(self.dims, self.levels)
        return np.random.default_rng(seed).permutation(z)[np.arange(n) % len(z)]

    def _at_times(self, seed: int, times: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """DRAWS examples at each of these times, one beside the other: x (n, dims), t (n,)."""
        t = np.tile(times, DRAWS)
        return np.random.default_rng(seed).integers(self.levels, size=(len(t), self.dims)), t

    def _frequent(self, number: np.ndarray, t: np.ndarray) -> float:
        """The p-value of masks, by their numbers, at the times t."""
        every = masked.masks(self.dims)
        p_values = [
            masked.as_frequent(every[number[t == time]], masked.mask_probabilities(time, self.dims)) for time in TIMES
        ]
        return min(1.0, len(p_values) * min(p_values))

    def _as_corrupted(self, model: Model, x: np.ndarray, seed: int, number: np.ndarray, t: np.ndarray) -> float:
        """The same, beside those that the student's own `corrupt` makes."""
        own = model.corrupt(x, t, seed + 1) == self.levels
        drawn = masked.masks(self.dims)[number]
        return min(1.0, 3 * min(masked.drawn_alike(own[t == a] * 1, drawn[t == a] * 1, 2) for a in TIMES))

    def _own_nats(self, model: Model, one: np.ndarray) -> np.ndarray:
        """What the student's own nats(x, z) says of each mask of one example (1, dims): (2**dims,)."""
        every = masked.masks(self.dims)
        x = one.repeat(len(every), axis=0)
        return model.nats(x, masked.hide(x, every, self.levels)).astype(np.float64)

    def _by_own_steps(self, model: Model, drawn: np.ndarray, steps: int, seed: int) -> Finding:
        """Samples are drawn as the student's own steps draw them, whatever these are."""
        z = np.full((DRAWS, self.dims), self.levels)
        for k in range(steps):
            z = model.reverse_step(z, 1 - k / steps, 1 - (k + 1) / steps, seed + 1 + k)
        p_value = masked.drawn_alike(z, drawn, self.levels + 1)
        ok = p_value > masked.P_VALUE and not (drawn == self.levels).any()
        measured = f"with {steps} steps, samples are those of reverse_step (p = {p_value:.2g})"
        return Finding(float(ok), measured, "even steps from t = 1 to 0", p_value, masked.P_VALUE, "p-value")
