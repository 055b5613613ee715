"""Exercise 1.2: MADE is causal in some order, normalised, and its sampler draws from it."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.properties import autoregressive, discrete, hygiene, layers
from deepul_utils import toy

DIMS, BINS = 4, 3
NETWORKS = 3  # random ones that must see everything together: in a small one a path may be shut by chance
# Large weights and small biases: conditionals that depend strongly on what was drawn before.
STRONG = {"perturb": 3.0, "biases": 0.3}
CANDIDATES, SHARPEST = 6, 2  # networks that are drawn, and those of them that depend most on the past

RECIPE = Recipe("Adam", lr=2e-2, steps=2500, batch=1024)


def small(student, seed: int, dims: int = DIMS, **strength: float):
    """A small MADE with random weights."""
    return student.new("MADE", dims=dims, bins=BINS, seed=seed, **strength)


def logits(made, dims: int = DIMS, bins: int = BINS):
    """Its conditionals as a function of a batch."""
    return made.verb("logits", dims, bins)


def both(made, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log_prob, and the sum of the log-conditionals: (B,) each."""
    return made.log_prob(x), autoregressive.chain_rule(logits(made))(x)


@points(4, "Each output depends only on earlier inputs")
@hint(
    "Some output sees its own input. Hidden layers compare degrees with ≥, the output layer with >; every layer has "
    "its mask, and masks its weights; all bins of one dimension share its degree. A norm over a layer's units mixes "
    "their degrees; BatchNorm does not."
)
def test_each_output_depends_only_on_earlier_inputs(student, seed):
    for k in range(NETWORKS):
        require(autoregressive.is_strict_order(logits(small(student, seed + k)), DIMS, BINS, seed))


@points(2, "Each output depends on all earlier inputs")
@hint("Some output misses an earlier input: with > in a hidden layer too, a degree is lost at every layer.")
def test_each_output_depends_on_all_earlier_inputs(student, seed):
    networks = (logits(small(student, seed + k)) for k in range(NETWORKS))
    require(autoregressive.misses_nothing(networks, DIMS, BINS, seed))


@points(0.5, "Every layer has weights of its own")
@hint(layers.SHARED)
def test_every_layer_has_weights_of_its_own(student, seed):
    made = small(student, seed)
    require(layers.are_their_own(made.call("state_dict"), made.parameters()))


@points(0.5, "Every example for itself")
@hint("logits(x) is (B, dims, bins) and log_prob(x) is (B,), each row of its own example alone.")
def test_every_example_for_itself(student, seed):
    made, x = small(student, seed), discrete.states(DIMS, BINS)
    require(hygiene.rows_are_independent(logits(made), x))
    require(hygiene.rows_are_independent(made.log_prob, x))


@points(0.5, "Called with one example")
@hint("logits(x) is (B, dims, bins) and log_prob(x) is (B,), also where B is one.")
def test_called_with_one_example(student, seed):
    made, x = small(student, seed), discrete.states(DIMS, BINS)
    require(hygiene.one_example(logits(made), x))
    require(hygiene.one_example(made.log_prob, x))


@points(2, "log_prob is the sum of the conditionals")
@hint(
    "log p(x) = Σ_i log softmax(logits_i)[x_i]: softmax over the bins, pick the bin that x_i is in, sum over the "
    "dimensions, in nats."
)
def test_log_density_is_the_sum_of_the_conditionals(student, seed):
    made, x = small(student, seed), discrete.states(DIMS, BINS)
    require(autoregressive.sums_its_conditionals(*both(made, x)))


@points(1, "Exact far from the data")
@hint(autoregressive.FLOORED)
def test_exact_far_from_the_data(student, seed):
    x = discrete.states(DIMS, BINS)
    for strength in (8.0, 4.0, 2.0):  # as large as the numbers stay finite
        far = both(small(student, seed, perturb=strength), x)
        if np.isfinite(far[1]).all():
            break
    require(autoregressive.exact_far(both(small(student, seed), x), far))


@points(2.5, "Probabilities sum to one")
@hint(
    "Over all states p sums to one. If no mask leaks: is log_prob summed, not averaged, over the dimensions, in nats?"
)
def test_probabilities_sum_to_one(student, seed):
    require(discrete.sums_to_one(small(student, seed, dims=3).log_prob, 3, BINS, seed))
    require(discrete.sums_to_one(small(student, seed).log_prob, DIMS, BINS, seed))


@points(3, "Samples follow the conditionals", needs=test_each_output_depends_only_on_earlier_inputs)
@hint(
    "Draw x_i from its conditional given the values drawn before it, in the model's own order; draw, do not take "
    "the most likely."
)
def test_samples_follow_the_density(student, seed):
    drawn = [small(student, seed + k, **STRONG) for k in range(CANDIDATES)]
    for k in autoregressive.sharpest([logits(made) for made in drawn], DIMS, BINS, SHARPEST, seed):
        samples = drawn[k].sample(10_000, DIMS, seed=seed + k, integer=True)
        require(discrete.sampler_matches(samples, autoregressive.chain_rule(logits(drawn[k])), BINS, seed))


@points(2, "Trained: close to the limit on smiley")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_smiley(student, graded, seed):
    grade_trained("smiley", student, graded, seed)


@points(2, "Trained: close to the limit on moons")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_moons(student, graded, seed):
    grade_trained("moons", student, graded, seed)


def grade_trained(name: str, student, graded, seed: int) -> None:
    """KL to the exact pmf of the density that its conditionals make; none from the product of the marginals on."""
    data = toy.discrete(name, bins=25)

    def excess() -> float:
        conditionals = autoregressive.chain_rule(logits(student.trained(f"made.{name}", "MADE"), 2, 25))
        return discrete.excess_nats(conditionals, data.pmf, seed)

    baseline = data.independent_entropy - data.entropy
    graded(f"made.{name}", excess, limit=data.entropy, baseline=baseline, recipe=RECIPE, few=excess)
