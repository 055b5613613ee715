"""Exercise 2.2: an autoregressive flow has a triangular Jacobian, whose diagonal are its conditional densities."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import flows as family
from autograder.families.flows import Flow, around
from autograder.properties import flows, hygiene
from autograder.properties.flows import UNIFORM
from autograder.workbench import StudentCodeError
from deepul_utils import toy

COMPONENTS, HIDDEN = 3, 16


def small(student, seed: int) -> Flow:
    """A small flow with random weights."""
    return family.drawn(student, "ARFlow", 2, UNIFORM, seed, components=COMPONENTS, hidden=HIDDEN)


suite = family.Suite(
    exercise="ar_flow",
    of="ARFlow",
    base=UNIFORM,
    small=small,
    sets=("smiley", "moons"),
    recipe=Recipe(optimizer="Adam", lr=2e-2, steps=3500, batch=1024),
)

test_shapes = suite.shapes(0.5)
test_called_with_one_example = suite.one_example(0.5)


@points(1, "The log-density is finite far away")
@hint("Far from every μ the densities round to zero, and the logarithm of their sum to −∞: logsumexp of logs does not.")
def test_log_density_is_finite_far_away(student, seed):
    x = np.concatenate([[[-100.0, 100.0], [100.0, -100.0]], around(toy.get("moons"), 50, seed)]).astype(np.float32)

    def find(k: int) -> flows.Finding:
        made = student.new("ARFlow", components=COMPONENTS, hidden=HIDDEN, seed=seed + k, perturb=0.5)
        # Not log_prob: torch's Uniform(0, 1) holds 0 and not 1, so that z = 1 exactly has density 0.
        return hygiene.finite(Flow(made, 2, UNIFORM).log_det(x), "on data, and far from every component")

    # In a random network σ(100) itself may overflow; where it is the logarithm of a sum, nothing far away is finite.
    require(max((find(k) for k in range(3)), key=lambda found: found.share))


@points(2.5, "The Jacobian is triangular")
@hint(
    "z_1 is a function of x_1 alone. z_2 rises with x_2, and the parameters of its mixture come out of a network that "
    "sees x_1 and nothing else."
)
def test_jacobian_is_triangular(student, seed):
    for k in range(2):
        flow = small(student, seed + k)
        require(flows.is_triangular(flow.jacobian(family.middle(flow, seed))))


test_log_det_is_that_of_the_jacobian = suite.log_det(
    4,
    "log_det is the sum of log dz_1/dx_1 and log dz_2/dx_2, one number an example: the logarithms of the two mixture "
    "densities, with their 1/σ and 1/√2π.",
)


def onto(flow: Flow) -> flows.Finding:
    """Whether each z runs from 0 to 1 with its own x, wherever the other one stands."""
    found = [runs_through(flow, dim, other) for dim in (0, 1) for other in (-1.0, 0.5)]
    return min(found, key=lambda finding: finding.share)


def runs_through(flow: Flow, dim: int, other: float) -> flows.Finding:
    """Along the line where x_dim moves and the other dimension stands still, as far out as its code goes."""

    def z(t: np.ndarray) -> np.ndarray:
        x = np.full((len(t), 2), other)
        x[:, dim] = t[:, 0]
        return flow.latents(x)[:, [dim]]

    for reach in (flows.FAR, 1e4, 1e3, 200.0):
        try:
            line = flows.line(reach=reach)
            if np.isfinite(z(line)).all():
                return flows.is_a_cdf(z, line, f"z_{dim + 1}")
        except StudentCodeError:  # where σ(x_1) is zero or infinite in any precision
            continue
    return flows.Finding(1.0, "z cannot be computed far away", "z runs from 0 to 1")


test_density_integrates_to_one = suite.density(
    2.5,
    "log p(x) = log U(z_1) + log U(z_2) + log_det, and U[0, 1] has log-density 0. The weights π of every mixture sum "
    "to one: a softmax over its components. Nats, summed.",
    onto=onto,
)
test_inverse_undoes_forward = suite.inverse(
    3,
    "First x_1 from z_1; then the mixture of x_2 given that x_1; then x_2 from z_2. Bisection needs a bracket beyond "
    "every component, and some 50 halvings.",
)
test_samples_follow_the_density = suite.samples(1, "Draw both z from U[0, 1], independently, and give inverse(z).")
test_latents_of_held_out_data_are_uniform = suite.latents(
    1, "Once the conditionals fit, the latents of data fill the square evenly. Is each model trained on its own set?"
)
LONGER = "Train longer, let the learning rate fall towards the end, or use more hidden units."
test_trained_close_to_the_limit_on_smiley = suite.trained(2, LONGER, on="smiley")
test_trained_close_to_the_limit_on_moons = suite.trained(2, LONGER, on="moons")
