"""Exercise 2.1: a mixture's CDF is a flow to U[0, 1]; its log_det is the log-density."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw2.door import Flow, around, baseline_nats
from autograder.properties import flows, hygiene
from deepul_utils import toy

DATA = toy.get("skewed")
COMPONENTS = 3
LINE = np.linspace(-40, 40, 16_001, dtype=np.float32)[:, None]  # holds all mass of a small random mixture
# The trained flow is sharper, and nearer: steps of a twelfth of the narrowest width in the data.
NEAR = np.linspace(-12, 12, 4801, dtype=np.float32)[:, None]
LATENTS = 1000  # enough to see a wrong latent, and too few to see the last hundredth of a nat


def small(student, seed: int) -> Flow:
    """A small flow with random parameters."""
    return Flow(student.new("CDFFlow", components=COMPONENTS, seed=seed), 1)


@points(1)
@hint("forward takes (B, 1) and gives z (B, 1) and log_det (B,); inverse and sample give (…, 1); log_prob gives (B,).")
def test_shapes(student, seed):
    flow, x = small(student, seed), around(DATA, 100, seed)
    z, log_det = flow.forward(x)
    require(hygiene.finite(np.concatenate([z[:, 0], log_det, flow.log_prob(x)]), "on data"))
    require(hygiene.rows_are_independent(flow.log_prob, x))
    require(hygiene.rows_are_independent(flow.latents, x))
    require(hygiene.finite(flow.sample(100, seed), "among samples"))


@points(1, needs="shapes")
@hint("Far from every μ the densities round to zero, and the logarithm of their sum to −∞: logsumexp of logs does not.")
def test_log_density_is_finite_far_away(student, seed):
    x = np.array([[-300.0], [-60.0], [60.0], [300.0]], dtype=np.float32)
    for k in range(5):
        require(hygiene.finite(small(student, seed + k).log_prob(x), "hundreds of σ from every component"))


@points(2, needs="shapes")
@hint(
    "A CDF runs from 0 to 1 and never falls. The weights π are positive and sum to one: a softmax over the components."
)
def test_z_rises_from_0_to_1(student, seed):
    for k in range(5):
        require(flows.is_a_cdf(small(student, seed + k).forward, LINE))


@points(2, needs="shapes")
@hint(
    "log_det = log dz/dx. The derivative of Φ((x − μ)/σ) by x is the Gaussian density N(x; μ, σ²), with its 1/σ and "
    "its 1/√2π; the sum over components stands inside the logarithm."
)
def test_log_det_is_the_slope_of_z(student, seed):
    for k in range(5):
        require(flows.log_det_is_the_slope(small(student, seed + k).forward, LINE))


@points(2, needs="shapes")
@hint("log p(x) = log U(z) + log_det, and U[0, 1] has log-density 0. All of it in nats.")
def test_density_integrates_to_one(student, seed):
    for k in range(5):
        require(flows.integrates_to_one_on_the_line(small(student, seed + k).log_prob, LINE, seed)[0])


@points(2, needs="z_rises_from_0_to_1")
@hint(
    "Bisection keeps a bracket [low, high] with z(low) ≤ z ≤ z(high): where the middle's z is too small, low moves, "
    "else high. Start it far outside every component, and halve it some 50 times."
)
def test_inverse_undoes_forward(student, seed):
    z = np.random.default_rng(seed).uniform(0.002, 0.998, (200, 1)).astype(np.float32)
    for k in range(5):
        flow = small(student, seed + k)
        require(flows.inverts(flow.forward, flow.inverse, z, start="z"))


@points(1, needs="z_rises_from_0_to_1")
@hint("Draw z from U[0, 1], one for each sample, and give inverse(z).")
def test_samples_follow_the_density(student, seed):
    for k in range(3):
        flow = small(student, seed + k)
        require(flows.latents_are_uniform(flow.latents(flow.sample(2000, seed + k))))


@points(1, needs=("z_rises_from_0_to_1", "log_det_is_the_slope_of_z"))
@hint("The latents of data are even on [0, 1] once the mixture fits: train longer, or start with wider components.")
def test_latents_of_held_out_data_are_uniform(student, held_out):
    flow = Flow(student.trained("cdf_flow"), 1)
    require(flows.latents_are_uniform(flow.latents(held_out(DATA, LATENTS))))


@points(3, needs="density_integrates_to_one")
@hint("Train longer, let the learning rate fall towards the end, or use more components.")
def test_trained_close_to_the_limit(student, graded, held_out, seed):
    flow, x = Flow(student.trained("cdf_flow"), 1), held_out(DATA, 20_000)
    found, log_p = flows.integrates_to_one_on_the_line(flow.log_prob, NEAR, seed, extra=x)
    require(found)
    graded("cdf_flow", flows.excess_nats(DATA.log_prob(x), log_p), limit=DATA.entropy, baseline=baseline_nats(DATA))
