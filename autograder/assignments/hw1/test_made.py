"""Exercise 1.2: MADE is causal in some order, normalised, and its sampler draws from it."""

from autograder.checks import Recipe
from autograder.families import autoregressive as family
from autograder.families.autoregressive import Conditionals
from deepul_utils import toy

DIMS, BINS = 4, 3


def small(student, seed: int, dims: int = DIMS, **strength: float) -> Conditionals:
    """A small MADE with random weights."""
    return Conditionals(student.new("MADE", dims=dims, bins=BINS, seed=seed, **strength), (dims,), BINS)


suite = family.Suite(
    exercise="made",
    of="MADE",
    small=small,
    data=(toy.discrete("smiley", bins=25), toy.discrete("moons", bins=25)),
    says="logits(x) is (B, dims, bins) and log_prob(x) is (B,)",
    variable="output",
    before="input",
    example="example",
    networks=3,
    strong={"perturb": 3.0, "biases": 0.3},
    recipe=Recipe("Adam", lr=2e-2, steps=2500, batch=1024),
)

test_each_output_depends_only_on_earlier_inputs = suite.causal(
    4,
    "Some output sees its own input. Hidden layers compare degrees with ≥, the output layer with >; every layer has "
    "its mask, and masks its weights; all bins of one dimension share its degree. A norm over a layer's units mixes "
    "their degrees; BatchNorm does not.",
    mixed="",
    also=family.keeps_its_order,
)
test_each_output_depends_on_all_earlier_inputs = suite.whole_past(
    2, "Some output misses an earlier input: with > in a hidden layer too, a degree is lost at every layer."
)
test_every_layer_has_weights_of_its_own = suite.own_layers(0.5)
test_every_example_for_itself = suite.every_example(0.5)
test_called_with_one_example = suite.one_example(0.5)
test_log_density_is_the_sum_of_the_conditionals = suite.chain_rule(
    2,
    "log p(x) = Σ_i log softmax(logits_i)[x_i]: softmax over the bins, pick the bin that x_i is in, sum over the "
    "dimensions, in nats.",
)
test_exact_far_from_the_data = suite.exact_far(1)
test_probabilities_sum_to_one = suite.sums_to_one(
    2.5,
    "Over all states p sums to one. If no mask leaks: is log_prob summed, not averaged, over the dimensions, in nats?",
    models=lambda student, seed: (small(student, seed, dims) for dims in (3, DIMS)),
)
test_samples_follow_the_density = suite.samples(
    3,
    "Draw x_i from its conditional given the values drawn before it, in the model's own order; draw, do not take "
    "the most likely.",
    count=10_000,
    networks=6,
    needs=test_each_output_depends_only_on_earlier_inputs,
)
LONGER = "Train longer, let the learning rate fall towards the end, or use more hidden units."
test_trained_close_to_the_limit_on_smiley = suite.trained(2, LONGER, on="smiley")
test_trained_close_to_the_limit_on_moons = suite.trained(2, LONGER, on="moons")
