"""Exercise 2.2: an autoregressive flow has a triangular Jacobian, whose diagonal are its conditional densities."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.hw2 import door
from autograder.hw2.door import BOX, CELLS, Flow, around, baseline_nats
from autograder.properties import flows, hygiene
from autograder.properties.flows import UNIFORM
from autograder.workbench import StudentCodeError
from deepul_utils import toy

COMPONENTS, HIDDEN = 3, 16
LATENTS = 1000
RECIPE = Recipe(optimizer="Adam", lr=2e-2, steps=3500, batch=1024)


def small(student, seed: int) -> Flow:
    """A small flow with random weights."""
    return door.drawn(student, "ARFlow", 2, UNIFORM, seed, components=COMPONENTS, hidden=HIDDEN)


@points(0.5, "Shapes")
@hint("forward takes (B, 2) and gives z (B, 2) and log_det (B,), one row an example.")
def test_shapes(student, seed):
    flow = small(student, seed)
    x = door.middle(flow, seed)
    z, log_det = flow.forward(x)
    require(hygiene.finite(np.concatenate([z.ravel(), log_det]), "in the middle of the flow"))
    require(hygiene.rows_are_independent(flow.latents, x))
    require(hygiene.rows_are_independent(flow.log_det, x))


@points(0.5, "Called with one example")
@hint("One example is a batch, too: forward takes (1, 2) and gives (1, 2) and (1,), log_prob gives (1,).")
def test_called_with_one_example(student, seed):
    flow = small(student, seed)
    x = door.middle(flow, seed)[:5]
    require(hygiene.one_example(flow.latents, x))
    require(hygiene.one_example(flow.log_det, x))
    require(hygiene.one_example(flow.log_prob, x))


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
        require(flows.is_triangular(flow.jacobian(door.middle(flow, seed))))


@points(4, "log_det is that of the Jacobian")
@hint(
    "log_det is the sum of log dz_1/dx_1 and log dz_2/dx_2, one number an example: the logarithms of the two mixture "
    "densities, with their 1/σ and 1/√2π."
)
def test_log_det_is_that_of_the_jacobian(student, seed):
    for k in range(3):
        flow = small(student, seed + k)
        x = door.middle(flow, seed)
        jacobian = flow.jacobian(x)
        require(flows.log_det_is_of_jacobian(flow.log_det(x), jacobian))
        require(flows.is_the_slope(flow.latents, x, jacobian, seed))


@points(2.5, "The density integrates to one")
@hint(
    "log p(x) = log U(z_1) + log U(z_2) + log_det, and U[0, 1] has log-density 0. The weights π of every mixture sum "
    "to one: a softmax over its components. Nats, summed."
)
def test_density_integrates_to_one(student, seed):
    for k in range(3):
        require(door.density_finding(small(student, seed + k), seed, onto, integral))


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


def integral(flow: Flow) -> tuple[flows.Finding, bool]:
    return flows.integral_is_one(flow.log_prob, flows.box_of(flow.latents, 1e-7, 1 - 1e-7))


@points(3, "inverse undoes forward")
@hint(
    "First x_1 from z_1; then the mixture of x_2 given that x_1; then x_2 from z_2. Bisection needs a bracket beyond "
    "every component, and some 50 halvings."
)
def test_inverse_undoes_forward(student, seed):
    z = np.random.default_rng(seed).uniform(0.002, 0.998, (200, 2)).astype(np.float32)
    for k in range(3):
        flow = small(student, seed + k)
        require(flows.inverts(flow.latents, flow.inverse, z, start="z"))


@points(1, "Samples follow the density")
@hint("Draw both z from U[0, 1], independently, and give inverse(z).")
def test_samples_follow_the_density(student, seed):
    for k in range(2):
        flow = small(student, seed + k)
        require(flows.latents_are_uniform(flow.latents(flow.sample(2000, seed + k))))


@points(1, "Latents of held-out data are uniform")
@hint("Once the conditionals fit, the latents of data fill the square evenly. Is each model trained on its own set?")
def test_latents_of_held_out_data_are_uniform(student, held_out, rests):
    def find(name: str, x: np.ndarray) -> flows.Finding:
        return flows.latents_are_uniform(Flow(student.trained(f"ar_flow.{name}", "ARFlow"), 2, UNIFORM).latents(x))

    for name in ("smiley", "moons"):
        rests(partial(find, name, held_out(toy.get(name), LATENTS)))


@points(2, "Trained: close to the limit on smiley")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_smiley(student, graded, held_out, seed):
    grade_trained("smiley", student, graded, held_out, seed)


@points(2, "Trained: close to the limit on moons")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_moons(student, graded, held_out, seed):
    grade_trained("moons", student, graded, held_out, seed)


def grade_trained(name: str, student, graded, held_out, seed: int) -> None:
    """KL to the exact density on fresh data, between the reference and one Gaussian."""
    data, artifact = toy.get(name), f"ar_flow.{name}"
    trained = door.Trained(student, artifact, "ARFlow", data, UNIFORM, held_out(data, 20_000), seed, BOX, CELLS)
    graded(artifact, trained.excess, limit=data.entropy, baseline=baseline_nats(data), recipe=RECIPE,
           few=trained.of_few)  # fmt: skip
