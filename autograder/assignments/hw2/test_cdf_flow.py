"""Exercise 2.1: a mixture's CDF is a flow to U[0, 1]; its log_det is the log-density."""

from dataclasses import replace

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import flows as family
from autograder.families.flows import Flow, around
from autograder.properties import flows, hygiene
from autograder.properties.flows import UNIFORM
from autograder.workbench import StudentCodeError
from deepul_utils import toy

DATA = toy.get("skewed")
COMPONENTS = 3
NEAR, CELLS = ((-12.0, 12.0),), 4800  # around the data: steps of a twelfth of their narrowest width


def small(student, seed: int) -> Flow:
    """A small flow with random parameters."""
    return family.drawn(student, "CDFFlow", 1, UNIFORM, seed, components=COMPONENTS)


suite = family.Suite(
    exercise="cdf_flow",
    of="CDFFlow",
    base=UNIFORM,
    small=small,
    sets=(DATA.name,),
    networks=5,
    box=NEAR,
    cells=CELLS,
    places=lambda flow, seed: around(DATA, 100, seed),
    recipe=Recipe(optimizer="Adam", lr=0.05, steps=1500, batch=1024),
)

test_shapes = suite.shapes(0.5)
test_called_with_one_example = suite.one_example(0.5)


@points(1, "The log-density is finite far away")
@hint("Far from every μ the densities round to zero, and the logarithm of their sum to −∞: logsumexp of logs does not.")
def test_log_density_is_finite_far_away(student, seed):
    x = np.array([[-300.0], [-60.0], [60.0], [300.0]], dtype=np.float32)
    for k in range(5):
        flow = Flow(student.new("CDFFlow", components=COMPONENTS, seed=seed + k, perturb=0.5), 1, UNIFORM)
        # Not log_prob: torch's Uniform(0, 1) holds 0 and not 1, so that z = 1 exactly has density 0.
        require(hygiene.finite(flow.log_det(x), "hundreds of σ from every component"))


@points(2, "z rises from 0 to 1")
@hint(
    "A CDF runs from 0 to 1 and never falls. The weights π are positive and sum to one: a softmax over the components."
)
def test_z_rises_from_0_to_1(student, seed):
    for k in range(5):
        require(flows.is_a_cdf(small(student, seed + k).latents, flows.line()))


@points(2, "log_det is the slope of z")
@hint(
    "log_det = log dz/dx. The derivative of Φ((x − μ)/σ) by x is the Gaussian density N(x; μ, σ²), with its 1/σ and "
    "its 1/√2π; the sum over components stands inside the logarithm."
)
def test_log_det_is_the_slope_of_z(student, seed):
    for k in range(5):
        flow = small(student, seed + k)
        found = flows.log_det_is_the_slope(flow.forward, flows.line_of(flow.latents))
        require(found if found.passed or found.slip else named(found, flow, seed))


def named(found: flows.Finding, flow: Flow, seed: int) -> flows.Finding:
    """The finding with the slip that the derivative of z at single points gives away."""
    try:
        x = family.middle(flow, seed)
        return replace(found, slip=flows.log_det_is_of_jacobian(flow.log_det(x), flow.jacobian(x)).slip)
    except StudentCodeError:
        return found


def onto(flow: Flow) -> flows.Finding:
    return flows.is_a_cdf(flow.latents, flows.line())


def integral(flow: Flow) -> tuple[flows.Finding, bool]:
    return flows.integrates_to_one_on_the_line(flow.log_prob, flows.line_of(flow.latents)), True


test_density_integrates_to_one = suite.density(
    2, "log p(x) = log U(z) + log_det, and U[0, 1] has log-density 0. All of it in nats.", onto=onto, box=integral
)
test_inverse_undoes_forward = suite.inverse(
    2,
    "Bisection keeps a bracket [low, high] with z(low) ≤ z ≤ z(high): where the middle's z is too small, low moves, "
    "else high. Start it far outside every component, and halve it some 50 times.",
)
test_samples_follow_the_density = suite.samples(1, "Draw z from U[0, 1], one for each sample, and give inverse(z).")
test_latents_of_held_out_data_are_uniform = suite.latents(
    1, "The latents of data are even on [0, 1] once the mixture fits: train longer, or start with wider components."
)
test_trained_close_to_the_limit = suite.trained(
    3, "Train longer, let the learning rate fall towards the end, or use more components."
)
