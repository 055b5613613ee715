"""Exercise 1.2: MADE is causal in some order, normalised, and its sampler draws from it."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.properties import autoregressive, discrete, hygiene
from autograder.properties.finding import Finding
from deepul_utils import toy

DIMS, BINS = 4, 3


def small(student, seed: int, dims: int = DIMS):
    """A small MADE with random weights."""
    return student.new("MADE", dims=dims, bins=BINS, seed=seed)


@points(2)
@hint(
    "logits(x) is (B, dims, bins), log_prob(x) is (B,), sample(n) is (n, dims) integer levels, none outside the bins."
)
def test_shapes_and_levels(student, seed):
    made = small(student, seed)
    x = discrete.states(DIMS, BINS)
    require(hygiene.finite(made.verb("logits", DIMS, BINS)(x), "on every state"))
    require(hygiene.finite(made.log_prob(x), "on every state"))
    require(hygiene.rows_are_independent(made.log_prob, x))
    require(hygiene.in_range(made.sample(500, DIMS, seed=seed, integer=True), BINS))


@points(4, needs="shapes_and_levels")
@hint(
    "Some output sees its own input. Hidden layers compare degrees with ≥, the output layer with >; every layer has "
    "its mask, and masks its weights; all bins of one dimension share its degree."
)
def test_each_output_depends_only_on_earlier_inputs(student, seed):
    require(autoregressive.is_strict_order(small(student, seed).verb("logits", DIMS, BINS), DIMS, BINS, seed))


@points(2, needs="each_output_depends_only_on_earlier_inputs")
@hint("Some output misses an earlier input: with > in a hidden layer too, a degree is lost at every layer.")
def test_each_output_depends_on_all_earlier_inputs(student, seed):
    require(autoregressive.is_total_order(small(student, seed).verb("logits", DIMS, BINS), DIMS, BINS, seed))


@points(2, needs="shapes_and_levels")
@hint(
    "log p(x) = Σ_i log softmax(logits_i)[x_i]: softmax over the bins, pick the bin that x_i is in, sum over the "
    "dimensions, in nats."
)
def test_log_density_is_the_sum_of_the_conditionals(student, seed):
    made, x = small(student, seed), discrete.states(DIMS, BINS)
    require(agrees(made.log_prob(x), picked(made.verb("logits", DIMS, BINS)(x), x)))


@points(3, needs="shapes_and_levels")
@hint(
    "Over all states p sums to one. If no mask leaks: is log_prob summed, not averaged, over the dimensions, in nats?"
)
def test_probabilities_sum_to_one(student, seed):
    require(discrete.sums_to_one(small(student, seed, dims=3).log_prob, 3, BINS, seed))
    require(discrete.sums_to_one(small(student, seed).log_prob, DIMS, BINS, seed))


@points(3, needs="probabilities_sum_to_one")
@hint(
    "Draw x_i from its conditional given the values drawn before it, in the model's own order; draw, do not take "
    "the most likely."
)
def test_samples_follow_the_density(student, seed):
    for k in range(2):
        made = student.new("MADE", dims=DIMS, bins=BINS, seed=seed + k, perturb=2.0)  # strong conditionals
        samples = made.sample(10_000, DIMS, seed=seed + k, integer=True)
        require(discrete.sampler_matches(samples, made.log_prob, BINS, seed))


@points(2, needs="probabilities_sum_to_one")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_smiley(student, graded, seed):
    grade_trained("smiley", student, graded, seed)


@points(2, needs="probabilities_sum_to_one")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_moons(student, graded, seed):
    grade_trained("moons", student, graded, seed)


def grade_trained(name: str, student, graded, seed: int) -> None:
    """KL to the exact pmf, between the reference and the product of the marginals."""
    data, made = toy.discrete(name, bins=25), student.trained(f"made.{name}")
    require(discrete.sums_to_one(made.log_prob, 2, 25, seed))
    excess = discrete.excess_nats(made.log_prob, data.pmf, seed)
    baseline = data.independent_entropy - data.entropy
    graded(f"made.{name}", excess, limit=data.entropy, baseline=baseline)


def picked(logits: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Σ_i log softmax(logits_i)[x_i] in double precision: (B, dims, bins), (B, dims) -> (B,)."""
    from scipy.special import log_softmax

    log_p = log_softmax(logits.astype(np.float64), axis=-1)
    return np.take_along_axis(log_p, x[..., None], axis=-1)[..., 0].sum(axis=1)


def agrees(got: np.ndarray, wanted: np.ndarray, within: float = 1e-3) -> Finding:
    """Both log-probabilities are the same, up to float32 rounding of a sum of a few terms."""
    error = float(np.abs(got - wanted).max())
    measured = f"log_prob differs by up to {error:.2g} nats from Σ log softmax(logits)"
    return Finding(float(error <= within), measured, f"the same within {within:g} nats", error, within)
