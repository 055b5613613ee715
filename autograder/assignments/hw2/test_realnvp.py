"""Exercise 2.3: couplings that keep one half, composed into a flow whose log_det is that of its Jacobian."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import flows as family
from autograder.families.flows import Flow, around
from autograder.properties import flows, layers
from autograder.properties.flows import NORMAL
from deepul_utils import toy

HIDDEN, COUPLINGS = 16, 4


def coupling(student, seed: int, keep: int) -> Flow:
    """One coupling with random weights."""
    return family.drawn(student, "AffineCoupling", 2, NORMAL, seed, keep=keep, hidden=HIDDEN)


def small(student, seed: int, couplings: int = COUPLINGS) -> Flow:
    """A small flow of a few couplings with random weights."""
    return family.drawn(student, "RealNVP", 2, NORMAL, seed, couplings=couplings, hidden=HIDDEN)


def every(student, seed: int) -> list[Flow]:
    """Both kinds of coupling, and a flow made of them."""
    return [coupling(student, seed, keep=0), coupling(student, seed, keep=1), small(student, seed)]


suite = family.Suite(
    exercise="realnvp",
    of="RealNVP",
    base=NORMAL,
    small=small,
    parts=every,
    sets=("smiley", "moons"),
    networks=2,
    places=lambda flow, seed: around(toy.get("moons"), 100, seed),
    recipe=Recipe(optimizer="Adam", lr=4e-3, steps=3500, batch=1024),
)
test_shapes = suite.shapes(0.5)
test_called_with_one_example = suite.one_example(0.5)


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


test_log_det_is_that_of_the_jacobian = suite.log_det(
    4,
    "Each coupling's log_det is its log σ, (B,): the Jacobian is triangular, with 1 and exp(log σ) on its diagonal. "
    "The determinant of a composition is the product of determinants, so log_dets add.",
)


@points(2, "Every z depends on every x")
@hint("Couplings take turns: one keeps x_1, the next keeps x_2. Else one half goes through the whole flow unchanged.")
def test_every_z_depends_on_every_x(student, seed):
    few, many = (parameters(student, couplings) for couplings in (2, COUPLINGS))
    require(layers.grows(few, many, "RealNVP", "couplings"))
    require(flows.is_dense(small(student, seed).jacobian(around(toy.get("moons"), 100, seed))))


def parameters(student, couplings: int) -> int:
    """How many numbers a flow of so many couplings has as its parameters."""
    made = student.new("RealNVP", couplings=couplings, hidden=HIDDEN)
    return sum(values.size for values in made.parameters().values())


def keeps_backwards(student, seed: int) -> None:
    z = np.random.default_rng(seed).standard_normal((200, 2)).astype(np.float32)
    for keep in (0, 1):
        require(flows.keeps(coupling(student, seed, keep).inverse, z, keep))


test_inverse_undoes_forward = suite.inverse(
    3,
    "x = (z − μ) · exp(−log σ), in that order, with μ and log σ of the half that was kept; and the couplings in "
    "reverse order: the last one is undone first.",
    first=keeps_backwards,
)
test_density_integrates_to_one = suite.density(
    3,
    "log p(x) = log N(z; 0, I) + log_det. The base has −½ log 2π − ½ z² in each dimension; sum over dimensions, in "
    "nats, and add log_det once.",
)
test_samples_follow_the_density = suite.samples(
    2, "Draw z from N(0, I), with as much spread as the base density says, and give inverse(z)."
)
test_latents_of_held_out_data_are_normal = suite.latents(
    1, "Once the flow fits, the latents of data are round: normal in each dimension, independent, of the right radius."
)
test_samples_look_like_the_data = suite.near_the_data(
    1, "Samples of the trained flow miss the data: was it trained on the data as they are, and long enough?"
)
LONGER = "Train longer, in larger batches, with a learning rate that rises first and falls to zero."
test_trained_close_to_the_limit_on_smiley = suite.trained(2, LONGER, on="smiley")
test_trained_close_to_the_limit_on_moons = suite.trained(2, LONGER, on="moons")
