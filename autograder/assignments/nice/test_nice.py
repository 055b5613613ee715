"""Exercise E1: couplings that add, one scaling for all, and so a volume that changes by one factor everywhere."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import flows as family
from autograder.families.flows import Flow, around
from autograder.properties import flows
from autograder.properties.finding import Finding
from autograder.properties.flows import LOGISTIC
from autograder.student import expect
from deepul_utils import toy

HIDDEN = 16
SAME = 1e-5  # of numbers of order one in float32
STEPS, RATE = 20, 1e-3


def coupling(student, seed: int, keep: int) -> Flow:
    return family.drawn(student, "AdditiveCoupling", 2, LOGISTIC, seed, keep=keep, hidden=HIDDEN)


def small(student, seed: int) -> Flow:
    return family.drawn(student, "NICE", 2, LOGISTIC, seed, couplings=4, hidden=HIDDEN)


def parts(student, seed: int) -> list[Flow]:
    return [coupling(student, seed, keep=0), coupling(student, seed, keep=1), small(student, seed)]


suite = family.Suite(
    exercise="nice",
    of="NICE",
    base=LOGISTIC,
    small=small,
    parts=parts,
    sets=("moons",),
    networks=2,
    recipe=Recipe(optimizer="Adam", lr=4e-3, steps=2500, batch=1024),
)

test_shapes = suite.shapes(0.5)
test_called_with_one_example = suite.one_example(0.5)


@points(1, "A coupling adds")
@hint("A coupling hands x_keep on as it is, and adds m(x_keep) to the other half: no more than that.")
def test_a_coupling_adds(student, seed):
    x, (by,) = around(toy.get("moons"), 100, seed), np.random.default_rng(seed).uniform(1, 3, 1).astype(np.float32)
    for keep in (0, 1):
        flow = coupling(student, seed, keep)
        require(flows.keeps(flow.latents, x, keep))
        further = x.copy()
        further[:, 1 - keep] += by
        require(moves_with(flow.latents(further) - flow.latents(x), 1 - keep, float(by)))


def moves_with(moved: np.ndarray, dim: int, by: float) -> Finding:
    """z_other moves by as much as x_other did."""
    error = float(np.abs(moved[:, dim] - by).max())
    measured = f"x_{dim + 1} moves by {by:.2f}, z_{dim + 1} by {moved[:, dim].min():.3g} to {moved[:, dim].max():.3g}"
    return Finding(float(error <= 1e-3), measured, "z_other moves with x_other, by as much")


@points(1.5, "The volume changes by one factor everywhere")
@hint("Couplings have log_det 0. The scaling layer has one s for each dimension, and log_det is their sum.")
def test_the_volume_changes_by_one_factor_everywhere(student, seed):
    x = around(toy.get("moons"), 100, seed)
    for keep in (0, 1):
        log_det = coupling(student, seed, keep).log_det(x)
        require(is_constant(log_det, "of a coupling", 0.0))
    scaled = small(student, seed)
    require(is_constant(scaled.log_det(x), "of the flow", None))
    # Weights that are random have Σ s ≠ 0: a flow without its scaling has none.
    others = [small(student, seed + k).log_det(x[:1])[0] for k in range(3)]
    varies = np.ptp(others) > SAME
    measured = "log_det moves with the weights" if varies else "log_det is the same, whatever the weights"
    require(
        Finding(float(varies), measured, "Σ s, which is learned", slip="" if varies else "Where is the scaling layer?")
    )


def is_constant(log_det: np.ndarray, what: str, value: float | None) -> Finding:
    spread = float(np.ptp(log_det) if value is None else np.abs(log_det - value).max())
    wanted = "the same at all points" if value is None else f"{value:g} at all points"
    return Finding(float(spread <= SAME), f"log_det {what} differs by up to {spread:.2g}", wanted)


test_log_det_is_that_of_the_jacobian = suite.log_det(
    1.5, "log_det is Σ s_i, with the scaling z_i = exp(s_i) h_i: the sum, not the product, and for every example."
)
test_the_base_is_logistic = suite.of_base(
    0.5, "The density of one z is −z − 2 log(1 + exp(−z)), the logarithm of σ(z)(1 − σ(z)), and log_det is added once."
)
test_density_integrates_to_one = suite.density(
    1,
    "log p(x) = Σ log p_L(z_i) + log_det, and log p_L(z) = −z − 2 log(1 + exp(−z)): summed over dimensions, in nats.",
)
test_inverse_undoes_forward = suite.inverse(
    1, "z_other − m(z_keep); the scaling first, by exp(−s); and then the couplings in reverse order."
)
test_samples_follow_the_density = suite.samples(
    1, "Draw z from the logistic distribution, logit(u) of a uniform u, and give inverse(z)."
)


@points(0.5, "Inpainting climbs, and keeps what is known")
@hint("x ← x + rate · ∂ log p / ∂x where a number is not known; what is known stays as it is, to the last digit.")
def test_inpainting_climbs_and_keeps_what_is_known(student, seed):
    rng = np.random.default_rng(seed)
    for k in range(2):
        flow = small(student, seed + k)
        x = rng.normal(size=(50, 2)).astype(np.float32)
        known = np.tile([[True, False], [False, True]], (25, 1))
        inpainted = flow.handle.call("inpaint", x, known, steps=STEPS, rate=RATE, differentiate=True)
        inpainted = expect(inpainted, x.shape, f"{flow.handle.label}.inpaint(x, known)")
        require(stays(inpainted, x, known))
        require(climbs(flow.log_prob(inpainted) - flow.log_prob(x)))


def stays(inpainted: np.ndarray, x: np.ndarray, known: np.ndarray) -> Finding:
    moved = int((inpainted[known] != x[known]).sum())
    still = not (inpainted[~known] != x[~known]).any()
    measured = (
        f"{moved} known numbers moved" if moved else "nothing moved" if still else "known numbers stay, others move"
    )
    return Finding(float(not moved and not still), measured, "known numbers stay, others move")


def climbs(rise: np.ndarray) -> Finding:
    """In a step as short as these log p rises, but for rounding."""
    share = float((rise > -1e-4).mean())
    measured = f"log p rises at {share:.0%} of the points, by {np.median(rise):.2g} nats"
    return Finding(float(share > 0.95 and np.median(rise) > 0), measured, "log p rises")


test_trained_close_to_the_limit = suite.trained(
    1, "Train longer, in larger batches, with a learning rate that rises first and falls to zero."
)
