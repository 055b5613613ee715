"""Exercise E1: couplings that add, one scaling for all, and so a volume that changes by one factor everywhere."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import flows as family
from autograder.families import parameters, slopes
from autograder.families.besides import besides
from autograder.families.flows import Flow, around
from autograder.properties import flows, layers
from autograder.properties.finding import Finding
from autograder.properties.flows import LOGISTIC
from autograder.student import expect
from deepul_utils import toy

HIDDEN = 16
SAME = 1e-5  # of numbers of order one in float32
CLIMBS = ((20, 1e-3), (3, 0.02))  # steps, and their rate
FAR = 1e4  # from there exp(−z) is infinite in double precision, too
TAIL, DRAWS, CHANCE = 0.004, 20_000, 1e-6  # of a logistic beyond ±6.2; how many are drawn, and how seldom it fails


def coupling(student, seed: int, keep: int) -> Flow:
    return family.drawn(student, "AdditiveCoupling", 2, LOGISTIC, seed, keep=keep, hidden=HIDDEN)


def small(student, seed: int, couplings: int = 4) -> Flow:
    return family.drawn(student, "NICE", 2, LOGISTIC, seed, couplings=couplings, hidden=HIDDEN)


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
        require_too(is_no_line(flow.latents(x) - x, x, keep))


def moves_with(moved: np.ndarray, dim: int, by: float) -> Finding:
    """z_other moves by as much as x_other did."""
    error = float(np.abs(moved[:, dim] - by).max())
    measured = f"x_{dim + 1} moves by {by:.2f}, z_{dim + 1} by {moved[:, dim].min():.3g} to {moved[:, dim].max():.3g}"
    return Finding(float(error <= 1e-3), measured, "z_other moves with x_other, by as much")


def is_no_line(added: np.ndarray, x: np.ndarray, keep: int) -> Finding:
    """m of random weights bends: an MLP, and not one linear layer."""
    kept, m = x[:, keep].astype(float), added[:, 1 - keep].astype(float)
    off = m - np.polyval(np.polyfit(kept, m, 1), kept)
    ok = np.abs(off).max() > 1e-4 * np.ptp(m)
    slip = "m is an MLP, with nonlinear units between its layers: linear layers alone make a straight line."
    return Finding(float(ok), "m bends" if ok else "m is a straight line", "m that bends", slip="" if ok else slip)


@points(1.25, "The volume changes by one factor everywhere")
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
    require_too(has_two_scales([small(student, seed + k, couplings=1).jacobian(x[:1])[0] for k in range(3)]))


def has_two_scales(jacobians: list[np.ndarray]) -> Finding:
    """With one coupling the diagonal of ∂z/∂x is exp(s): two numbers."""
    ok = any(abs(np.ptp(np.abs(np.diagonal(j)))) > SAME for j in jacobians)
    measured = "each dimension has its own s" if ok else "both dimensions are stretched by the same factor"
    slip = "" if ok else "s has one number for each dimension, nn.Parameter(torch.zeros(2)): not one for both."
    return Finding(float(ok), measured, "s_1 and s_2", slip=slip)


def is_constant(log_det: np.ndarray, what: str, value: float | None) -> Finding:
    spread = float(np.ptp(log_det) if value is None else np.abs(log_det - value).max())
    wanted = "the same at all points" if value is None else f"{value:g} at all points"
    return Finding(float(spread <= SAME), f"log_det {what} differs by up to {spread:.2g}", wanted)


@points(0.5, "Couplings take turns, and each of them learns")
@hint(
    "As many couplings as `couplings` says, which keep x_1 and x_2 in turns, AdditiveCoupling(i % 2, hidden): each is "
    "an object of its own, and nn.ModuleList tells the optimiser of them."
)
def test_couplings_take_turns_and_each_of_them_learns(student, seed):
    made = small(student, seed)
    require(layers.are_their_own(made.handle.call("state_dict"), made.handle.parameters()))
    new = partial(student.new, "NICE", seed=seed)
    few, many, wide = (
        sum(p.size for p in new(couplings=n, hidden=h).parameters().values())
        for n, h in ((2, HIDDEN), (4, HIDDEN), (2, 2 * HIDDEN))
    )
    require(layers.grows(few, many, "NICE", "couplings"))
    found = layers.grows(few, wide, "NICE", "hidden units")
    require(found if found.passed else replace(found, slip="The networks m are as wide as `hidden` says."))
    x = around(toy.get("moons"), 50, seed)
    require(take_turns([small(student, seed + k, couplings=2).jacobian(x) for k in range(3)]))

    def flow(seed: int, perturb: float):
        return student.new("NICE", couplings=4, hidden=HIDDEN, seed=seed, perturb=perturb)

    require(parameters.are_all_used(flow, "log_prob", (x,), seed))
    require(slopes.gradient_is_the_slope(made.handle, "log_prob", (x,)))


def take_turns(jacobians: list[np.ndarray]) -> Finding:
    """Of two couplings one moves x_1, the other x_2: both z move with both x."""
    required = "of two couplings one keeps x_1, the other x_2"
    for i in (0, 1):
        if not any(np.abs(j[:, i, 1 - i]).max() > SAME for j in jacobians):
            return Finding(
                0.0, f"after two couplings z_{i + 1} does not move with x_{2 - i}: x_{i + 1} is kept", required
            )
    return Finding(1.0, required, required)


test_log_det_is_that_of_the_jacobian = suite.log_det(
    1.25, "log_det is Σ s_i, with the scaling z_i = exp(s_i) h_i: the sum, not the product, and for every example."
)


def far_away(student, seed: int) -> Iterator[Finding]:
    flow, x = small(student, seed), FAR * np.random.default_rng(seed).normal(size=(20, 2)).astype(np.float32)
    z, log_det = flow.forward(x)
    yield is_exact_far(flow.log_prob(x), flows.base_log_density(z, LOGISTIC) + log_det)


def is_exact_far(got: np.ndarray, wanted: np.ndarray) -> Finding:
    """Where exp(−z) overflows, or σ(z) is zero, the density of the logistic is e^(−|z|)."""
    with np.errstate(invalid="ignore"):
        off = np.nan_to_num(np.abs(got - wanted) / (1 + np.abs(wanted)), nan=np.inf)
    worst = int(off.argmax())
    ok = bool(off[worst] <= 1e-3)
    slip = "exp(−z) overflows: F.softplus(−z) is log(1 + exp(−z)) for every z."
    measured = f"far away log p is {got[worst]:.5g} where it should be {wanted[worst]:.5g}"
    return Finding(float(ok), measured, "exact far away", slip="" if ok else slip)


test_the_base_is_logistic = besides(
    suite.of_base(
        0.5,
        "The density of one z is −z − 2 log(1 + exp(−z)), the logarithm of σ(z)(1 − σ(z)), and log_det is added once.",
    ),
    far_away,
)

test_density_integrates_to_one = suite.density(
    1,
    "log p(x) = Σ log p_L(z_i) + log_det, and log p_L(z) = −z − 2 log(1 + exp(−z)): summed over dimensions, in nats.",
)
test_inverse_undoes_forward = suite.inverse(
    1, "z_other − m(z_keep); the scaling first, by exp(−s); and then the couplings in reverse order."
)


def far_out(student, seed: int) -> Iterator[Finding]:
    flow = small(student, seed)
    yield reaches_far(flow.latents(flow.sample(DRAWS, seed)))


def reaches_far(z: np.ndarray) -> Finding:
    """As many latents lie far out as of a logistic: none do where u is kept from 0 and 1 by much."""
    from scipy.stats import binom

    edge, beyond = np.log(2 / TAIL - 1), 0
    beyond = int((np.abs(z) > edge).sum())
    p_value = min(1.0, 2 * float(min(binom.cdf(beyond, z.size, TAIL), binom.sf(beyond - 1, z.size, TAIL))))
    measured = f"{beyond} of {z.size:,} latents of samples lie beyond ±{edge:.1f} (p = {p_value:.2g})"
    ok = p_value > CHANCE
    slip = "u is kept away from 0 and 1 by too much, or z by hand: clamp(1e-6, 1 − 1e-6) is enough against infinities."
    required = f"about {TAIL * z.size:.0f} (p > {CHANCE:g})"
    return Finding(float(ok), measured, required, p_value, CHANCE, "p-value", slip="" if ok else slip)


test_samples_follow_the_density = besides(
    suite.samples(1, "Draw z from the logistic distribution, logit(u) of a uniform u, and give inverse(z)."), far_out
)


@points(0.5, "Inpainting climbs, and keeps what is known")
@hint("x ← x + rate · ∂ log p / ∂x where a number is not known; what is known stays as it is, to the last digit.")
def test_inpainting_climbs_and_keeps_what_is_known(student, seed):
    rng = np.random.default_rng(seed)
    for k in range(2):
        flow = small(student, seed + k)
        x = rng.normal(size=(50, 2)).astype(np.float32)
        known = np.tile([[True, False], [False, True]], (25, 1))
        for steps, rate in CLIMBS:
            inpainted = flow.handle.call("inpaint", x, known, steps=steps, rate=rate, differentiate=True)
            inpainted = expect(inpainted, x.shape, f"{flow.handle.label}.inpaint(x, known)")
            if (steps, rate) == CLIMBS[0]:
                require(stays(inpainted, x, known))
                require(climbs(flow.log_prob(inpainted) - flow.log_prob(x)))
            require_too(went_as_far(inpainted - x, climbed(flow, x, known, steps, rate) - x, steps, rate))


def climbed(flow: Flow, x: np.ndarray, known: np.ndarray, steps: int, rate: float) -> np.ndarray:
    """What inpaint should give, by gradients of the flow's log_prob."""
    for far in [rate] * steps:
        x = np.where(known, x, x + far * flow.handle.gradient("log_prob", x))
    return x


def went_as_far(moved: np.ndarray, wanted: np.ndarray, steps: int, rate: float) -> Finding:
    """Nearly all points; at a kink of the density rounding decides."""
    off = np.abs(moved - wanted).max(axis=1) > 1e-5 + 0.02 * np.abs(wanted).max(axis=1)
    size, right = (float(np.abs(of).sum()) for of in (moved, wanted))
    measured = f"with steps={steps} and rate={rate:g} points go {size / right:.3g} times as far as they should"
    slip = (
        "`steps` steps, each by `rate` times the gradient of log p: of its sum over the batch, so that each example "
        "has its own slope (a mean divides it by the batch), as long as it is, no sign and no exp."
    )
    ok = off.mean() <= 0.05
    return Finding(float(ok), measured, "steps · rate · ∂ log p / ∂x", slip="" if ok else slip)


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
