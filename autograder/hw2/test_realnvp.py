"""Exercise 2.3: couplings that keep one half, composed into a flow whose log_det is that of its Jacobian."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.hw2 import door
from autograder.hw2.door import BOX, CELLS, Flow, around, baseline_nats, one_gaussian
from autograder.properties import flows, hygiene
from autograder.properties.flows import NORMAL
from deepul_utils import toy

HIDDEN, COUPLINGS = 16, 4
LATENTS = 1000
# Samples of a trained flow lie this much nearer to the data than those of one Gaussian. Energy distance hardly sees
# the thin sheets between parts of the data, which no such flow is without.
NEARER, SAMPLES = 0.4, 2500
RECIPE = Recipe(optimizer="Adam", lr=4e-3, steps=3500, batch=1024)


def coupling(student, seed: int, keep: int) -> Flow:
    """One coupling with random weights."""
    return door.drawn(student, "AffineCoupling", 2, NORMAL, seed, keep=keep, hidden=HIDDEN)


def small(student, seed: int, couplings: int = COUPLINGS) -> Flow:
    """A small flow of a few couplings with random weights."""
    return door.drawn(student, "RealNVP", 2, NORMAL, seed, couplings=couplings, hidden=HIDDEN)


def every(student, seed: int) -> list[Flow]:
    """Both kinds of coupling, and a flow made of them."""
    return [coupling(student, seed, keep=0), coupling(student, seed, keep=1), small(student, seed)]


@points(0.5, "Shapes")
@hint("forward takes (B, 2) and gives z (B, 2) and log_det (B,), one row an example.")
def test_shapes(student, seed):
    flow, x = small(student, seed), around(toy.get("moons"), 100, seed)
    z, log_det = flow.forward(x)
    require(hygiene.finite(np.concatenate([z.ravel(), log_det]), "on and off the data"))
    require(hygiene.rows_are_independent(flow.latents, x))
    require(hygiene.rows_are_independent(flow.log_det, x))


@points(0.5, "Called with one example")
@hint("One example is a batch, too: forward takes (1, 2) and gives (1, 2) and (1,), log_prob gives (1,).")
def test_called_with_one_example(student, seed):
    flow, x = small(student, seed), around(toy.get("moons"), 5, seed)
    require(hygiene.one_example(flow.latents, x))
    for part in every(student, seed):
        require(hygiene.one_example(part.log_det, x))
    require(hygiene.one_example(flow.log_prob, x))


@points(3, "A coupling keeps one half")
@hint("A coupling hands x_keep on as it is, forwards and backwards, and changes the other half.")
def test_coupling_keeps_one_half(student, seed):
    x = around(toy.get("moons"), 100, seed)
    for keep in (0, 1):
        require(flows.keeps(coupling(student, seed, keep).latents, x, keep))


@points(1, "log σ is bounded")
@hint("log σ = scale · tanh(s(x_keep)) + shift: without the tanh it grows with x, and its exponential overflows.")
def test_log_scale_is_bounded(student, seed):
    x = np.random.default_rng(seed).choice([-1.0, 1.0], (64, 2)) * np.geomspace(10, 1e6, 64)[:, None]
    for keep in (0, 1):
        for k in range(3):
            require(flows.log_det_is_bounded(coupling(student, seed + k, keep).forward, x.astype(np.float32)))


@points(4, "log_det is that of the Jacobian")
@hint(
    "Each coupling's log_det is its log σ, (B,): the Jacobian is triangular, with 1 and exp(log σ) on its diagonal. "
    "The determinant of a composition is the product of determinants, so log_dets add."
)
def test_log_det_is_that_of_the_jacobian(student, seed):
    x = around(toy.get("moons"), 100, seed)
    for k in range(2):
        for flow in every(student, seed + k):
            jacobian = flow.jacobian(x)
            require(flows.log_det_is_of_jacobian(flow.log_det(x), jacobian))
            require(flows.is_the_slope(flow.latents, x, jacobian, seed))


@points(2, "Every z depends on every x")
@hint("Couplings take turns: one keeps x_1, the next keeps x_2. Else one half goes through the whole flow unchanged.")
def test_every_z_depends_on_every_x(student, seed):
    few, many = (parameters(student, couplings) for couplings in (2, COUPLINGS))
    require(flows.grows(few, many, "RealNVP", "couplings"))
    require(flows.is_dense(small(student, seed).jacobian(around(toy.get("moons"), 100, seed))))


def parameters(student, couplings: int) -> int:
    """How many numbers a flow of so many couplings has as its parameters."""
    made = student.new("RealNVP", couplings=couplings, hidden=HIDDEN)
    return sum(values.size for values in made.parameters().values())


@points(3, "inverse undoes forward")
@hint(
    "x = (z − μ) · exp(−log σ), in that order, with μ and log σ of the half that was kept; and the couplings in "
    "reverse order: the last one is undone first."
)
def test_inverse_undoes_forward(student, seed):
    x = around(toy.get("moons"), 100, seed)
    z = np.random.default_rng(seed).standard_normal((200, 2)).astype(np.float32)
    for keep in (0, 1):
        require(flows.keeps(coupling(student, seed, keep).inverse, z, keep))
    for k in range(2):
        for flow in every(student, seed + k):
            require(flows.inverts(flow.latents, flow.inverse, x))
            require(flows.inverts(flow.latents, flow.inverse, z, start="z"))


@points(3, "The density integrates to one")
@hint(
    "log p(x) = log N(z; 0, I) + log_det. The base has −½ log 2π − ½ z² in each dimension; sum over dimensions, in "
    "nats, and add log_det once."
)
def test_density_integrates_to_one(student, seed):
    for k in range(3):
        require(door.density_finding(small(student, seed + k), seed, onto, integral))


def onto(flow: Flow) -> flows.Finding:
    return flows.covers_the_normal(flow.latents, 2)


def integral(flow: Flow) -> tuple[flows.Finding, bool]:
    return flows.integral_is_one(flow.log_prob, flows.box_of(flow.latents, -5.5, 5.5))


@points(2, "Samples follow the density")
@hint("Draw z from N(0, I), with as much spread as the base density says, and give inverse(z).")
def test_samples_follow_the_density(student, seed):
    for k in range(2):
        flow = small(student, seed + k)
        require(flows.latents_are_normal(flow.latents(flow.sample(2000, seed + k))))


@points(1, "Latents of held-out data are normal")
@hint("Once the flow fits, the latents of data are round: normal in each dimension, independent, of the right radius.")
def test_latents_of_held_out_data_are_normal(student, held_out, rests):
    def find(name: str, x: np.ndarray) -> flows.Finding:
        return flows.latents_are_normal(trained(student, name).latents(x))

    for name in ("smiley", "moons"):
        rests(partial(find, name, held_out(toy.get(name), LATENTS)))


@points(1, "Samples look like the data")
@hint("Samples of the trained flow miss the data: was it trained on the data as they are, and long enough?")
def test_samples_look_like_the_data(student, held_out, seed, rests):
    def find(name: str, x: np.ndarray) -> flows.Finding:
        plain = one_gaussian(toy.get(name)).draw(SAMPLES, np.random.default_rng(seed))
        return flows.samples_are_nearer_than(trained(student, name).sample(SAMPLES, seed), x, plain, NEARER)

    for name in ("smiley", "moons"):
        rests(partial(find, name, held_out(toy.get(name), SAMPLES)))


@points(2, "Trained: close to the limit on smiley")
@hint("Train longer, in larger batches, with a learning rate that rises first and falls to zero.")
def test_trained_close_to_the_limit_on_smiley(student, graded, held_out, seed):
    grade_trained("smiley", student, graded, held_out, seed)


@points(2, "Trained: close to the limit on moons")
@hint("Train longer, in larger batches, with a learning rate that rises first and falls to zero.")
def test_trained_close_to_the_limit_on_moons(student, graded, held_out, seed):
    grade_trained("moons", student, graded, held_out, seed)


def grade_trained(name: str, student, graded, held_out, seed: int) -> None:
    """KL to the exact density on fresh data, between the reference and one Gaussian."""
    data, artifact = toy.get(name), f"realnvp.{name}"
    trained = door.Trained(student, artifact, "RealNVP", data, NORMAL, held_out(data, 20_000), seed, BOX, CELLS)
    graded(artifact, trained.excess, limit=data.entropy, baseline=baseline_nats(data), recipe=RECIPE,
           few=trained.of_few)  # fmt: skip


def trained(student, name: str) -> Flow:
    return Flow(student.trained(f"realnvp.{name}", "RealNVP"), 2, NORMAL)
