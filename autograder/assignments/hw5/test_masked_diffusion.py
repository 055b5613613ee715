"""Exercise 5.4: tokens are masked and drawn anew; the loss, the bound and the sampler, exactly, on 27 states."""

from autograder.checks import Recipe
from autograder.families import masked_diffusion as family
from deepul_utils import toy

suite = family.Suite(
    exercise="masked_diffusion",
    of="MaskedDiffusion",
    data=toy.discrete("smiley", bins=25),
    recipe=Recipe("Adam", lr=1e-2, steps=2500, batch=1024),
)

test_every_example_for_itself = suite.every_example(
    0.5, "logits(z) is (B, dims, bins), one logit for every level and none for the mask; each row of its own z alone."
)
test_called_with_one_example = suite.one_example(
    0.5, "A batch of one keeps its dimension: logits(z) is (1, dims, bins), nats(x, z) and bound(x) are (1,)."
)
test_tokens_are_masked_with_probability_t = suite.hides(
    2, "z is x, but each token is the mask where a number of its own, torch.rand(x.shape), is below its example’s t."
)
test_only_what_is_masked_counts = suite.nats(
    2, "−log softmax(logits_i(z))[x_i], summed over the tokens that are masked in z, and over no others."
)
test_the_loss_is_weighted_by_one_over_t = suite.weighted(
    2.5, "nats(x, z) / t, with one draw z = corrupt(x, t) for each example: (B,)."
)
test_the_bound_is_exact = suite.bound(
    2, "Over all 2^d − 1 masks with k ≥ 1 tokens: nats(x, z) / (k C(d, k)), added up. Nothing is drawn."
)
test_what_is_shown_never_changes = suite.keeps(
    0.5, "Only what is masked in z is drawn; everything else is returned as it came."
)
test_each_step_lifts_the_masks_that_it_should = suite.steps(
    2,
    "Each mask is lifted with probability (t − s) / t, by a number of its own, and replaced by a draw from "
    "softmax(logits_i(z)).",
)
test_samples_are_drawn_in_so_many_even_steps = suite.samples(
    1.5,
    "From all masks at t = 1, `steps` times reverse_step(z, t, s): t from 1 to 1 / steps, s = t − 1 / steps.",
)
test_trained_close_to_the_limit_on_smiley = suite.trained(
    1.5, "Train longer, let the learning rate fall towards the end, or use more hidden units."
)
