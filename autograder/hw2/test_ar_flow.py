"""Exercise 2.2: an autoregressive flow has a triangular Jacobian, whose diagonal are its conditional densities."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.hw2.door import BOX, CELLS, Flow, around, baseline_nats
from autograder.properties import flows, hygiene
from deepul_utils import toy

COMPONENTS, HIDDEN = 3, 16
REACH = 30.0  # of a small flow's density; at x_1 far beyond, σ(x_1) of a random network is zero in float32
LATENTS = 1000


def small(student, seed: int) -> Flow:
    """A small flow with random weights, of a density that a grid can follow."""
    return Flow(student.new("ARFlow", components=COMPONENTS, hidden=HIDDEN, seed=seed, perturb=0.5), 2)


@points(1)
@hint("forward takes (B, 2) and gives z (B, 2) and log_det (B,); inverse and sample give (…, 2); log_prob gives (B,).")
def test_shapes(student, seed):
    flow, x = small(student, seed), around(toy.get("moons"), 100, seed)
    z, log_det = flow.forward(x)
    require(hygiene.finite(np.concatenate([z.ravel(), log_det, flow.log_prob(x)]), "on and off the data"))
    require(hygiene.rows_are_independent(flow.log_prob, x))
    require(hygiene.rows_are_independent(flow.latents, x))
    require(hygiene.finite(flow.sample(100, seed), "among samples"))
    far = np.array([[-100.0, 100.0], [100.0, -100.0]], dtype=np.float32)
    require(hygiene.finite(flow.log_prob(far), "far from every component"))


@points(3, needs="shapes")
@hint(
    "z_1 is a function of x_1 alone. z_2 rises with x_2, and the parameters of its mixture come out of a network that "
    "sees x_1 and nothing else."
)
def test_jacobian_is_triangular(student, seed):
    for k in range(2):
        flow = small(student, seed + k)
        require(flows.is_triangular(flow.jacobian(middle(flow, seed))))


@points(4, needs="shapes")
@hint(
    "log_det is the sum of log dz_1/dx_1 and log dz_2/dx_2, one number an example: the logarithms of the two mixture "
    "densities, with their 1/σ and 1/√2π."
)
def test_log_det_is_that_of_the_jacobian(student, seed):
    for k in range(3):
        flow = small(student, seed + k)
        x = middle(flow, seed)
        require(flows.log_det_is_of_jacobian(flow.forward(x)[1], flow.jacobian(x)))


@points(3, needs="shapes")
@hint(
    "log p(x) = log U(z_1) + log U(z_2) + log_det, and U[0, 1] has log-density 0. The weights π of every mixture sum "
    "to one: a softmax over its components. Nats, summed."
)
def test_density_integrates_to_one(student, seed):
    log_probs = (small(student, seed + k).log_prob for k in range(9))
    require(flows.integrate_to_one(log_probs, seed, reach=REACH))


@points(3, needs="shapes")
@hint(
    "First x_1 from z_1; then the mixture of x_2 given that x_1; then x_2 from z_2. Bisection needs a bracket beyond "
    "every component, and some 50 halvings."
)
def test_inverse_undoes_forward(student, seed):
    z = np.random.default_rng(seed).uniform(0.002, 0.998, (200, 2)).astype(np.float32)
    for k in range(3):
        flow = small(student, seed + k)
        require(flows.inverts(flow.forward, flow.inverse, z, start="z"))


@points(1, needs="jacobian_is_triangular")
@hint("Draw both z from U[0, 1], independently, and give inverse(z).")
def test_samples_follow_the_density(student, seed):
    for k in range(2):
        flow = small(student, seed + k)
        require(flows.latents_are_uniform(flow.latents(flow.sample(2000, seed + k))))


@points(1, needs=("jacobian_is_triangular", "log_det_is_that_of_the_jacobian"))
@hint("Once the conditionals fit, the latents of data fill the square evenly. Is each model trained on its own set?")
def test_latents_of_held_out_data_are_uniform(student, held_out):
    for name in ("smiley", "moons"):
        flow = Flow(student.trained(f"ar_flow.{name}"), 2)
        require(flows.latents_are_uniform(flow.latents(held_out(toy.get(name), LATENTS))))


@points(2, needs="density_integrates_to_one")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_smiley(student, graded, held_out, seed):
    grade_trained("smiley", student, graded, held_out, seed)


@points(2, needs="density_integrates_to_one")
@hint("Train longer, let the learning rate fall towards the end, or use more hidden units.")
def test_trained_close_to_the_limit_on_moons(student, graded, held_out, seed):
    grade_trained("moons", student, graded, held_out, seed)


def grade_trained(name: str, student, graded, held_out, seed: int) -> None:
    """KL to the exact density on fresh data, between the reference and one Gaussian."""
    data, flow = toy.get(name), Flow(student.trained(f"ar_flow.{name}"), 2)
    x = held_out(data, 20_000)
    asked = flows.plane(flow.log_prob, BOX, CELLS, seed, extra=x)
    require(asked.integrates_to_one())
    excess = flows.excess_nats(data.log_prob(x), asked.extra)
    graded(f"ar_flow.{name}", excess, limit=data.entropy, baseline=baseline_nats(data))


def middle(flow: Flow, seed: int, n: int = 200) -> np.ndarray:
    """Points that are not in a tail, where a CDF is flat and float32 sees no slope: of moons, and of the flow."""
    x = around(toy.get("moons"), n, seed)
    z = flow.latents(x)
    return x[((z > 1e-3) & (z < 1 - 1e-3)).all(axis=1)]
