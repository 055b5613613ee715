"""Exercise 1.1: a mixture of discretised logistics is a density on its levels, and its sampler draws from it."""

from itertools import pairwise

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import autoregressive as family
from autograder.families.autoregressive import Model
from autograder.properties import discrete, hygiene
from autograder.properties.finding import Finding
from deepul_utils import toy

DATA = toy.discrete("edges", bins=100)
LEVELS, COMPONENTS = 12, 3
MANY = 400  # levels, so that sharp components are far from most of them
SHARP = 40  # mixtures with parameters of all sizes: some have components that are very sharp
# Between these a tail is looked at: below e^−15 no floor that is in use is hidden by what is right, and below e^−30
# double precision does not reach either way.
DEEP, DEEPEST = -15.0, -30.0
FLAT = 1e-4  # nats a level

UNITS = (
    "The sum changes with the number of levels: {few:.3g} of 12 levels, {many:.3g} of 96. The bins are too wide or "
    "too narrow: two units are mixed. Where the levels span [−1, 1] they are δ = 2 / (L − 1) apart: half a bin is "
    "δ / 2, not ½, and b − a is δ / s, not 1 / s. And a level's mass is a difference of two CDFs, not the density."
)


def small(student, seed: int, perturb: float = 2.0, levels: int = LEVELS) -> Model:
    """A small mixture with random parameters, wide enough to leave mass on both edges."""
    return mixture(student, seed, levels, COMPONENTS, perturb)


def sharp(student, seed: int) -> Model:
    """A mixture that is far from most of its levels. Of two: with one, k / (K − 1) divides by zero."""
    return mixture(student, seed, MANY, 2, perturb=10.0)


def mixture(student, seed: int, levels: int, components: int, perturb: float) -> Model:
    made = student.new("DiscretizedLogisticMixture", levels=levels, components=components, seed=seed, perturb=perturb)
    return Model(made, (1,), levels)


def mixed_units(student, seed: int) -> str:
    """The slip, if the sum of the probabilities changes with the number of levels."""
    few, many = (mean_total(student, seed, levels) for levels in (LEVELS, 8 * LEVELS))
    known = np.isfinite([few, many]).all() and min(few, many) > 0
    return UNITS.format(few=few, many=many) if known and max(few / many, many / few) > 2 else ""


def mean_total(student, seed: int, levels: int) -> float:
    """The sum of the probabilities of a few mixtures of so many levels, on average."""
    log_p = [small(student, seed + k, 1.0, levels).log_prob(discrete.states(1, levels)) for k in range(3)]
    return float(np.mean([np.exp(np.minimum(values, 30)).sum() for values in log_p]))


suite = family.Suite(
    exercise="logistic_mixture",
    of="DiscretizedLogisticMixture",
    small=small,
    data=(DATA,),
    adapter=Model,
    says="log_prob takes int64 (B, 1) and gives (B,)",
    recipe=Recipe("Adam", lr=0.05, steps=1500, batch=1024),
)

test_probabilities_sum_to_one = suite.sums_to_one(
    4,
    "A level's mass is a difference of two CDFs, half a level to either side of it. The edge bins reach to infinity: "
    "level 0 takes all mass below its upper edge, level L − 1 all mass above its lower edge. The weights π sum to one "
    "(softmax over the components) and stand inside the logarithm: logsumexp of log π + log P.",
    models=lambda student, seed: (small(student, seed + k, perturb=1.0 + k) for k in range(5)),
    explain=mixed_units,
)
test_every_example_for_itself = suite.every_example(
    0.5, "log_prob takes int64 (B, 1) and gives one number an example, (B,)."
)
test_called_with_one_example = suite.one_example(0.5)


@points(1, "Finite far from every component")
@hint(
    "Far from μ both sigmoids round to the same number, and the logarithm of their difference is −∞ or nan; "
    "log σ(b) + log σ(−a) + log(1 − e^{−δ/s}) is finite."
)
def test_finite_far_from_every_component(student, seed):
    for k in range(SHARP):
        log_p = sharp(student, seed + k).log_prob(discrete.states(1, MANY))
        require(hygiene.finite(log_p, f"on all {MANY} levels, also 50 scales from μ"))


@points(1, "The tails go on falling")
@hint(
    "Far from μ a logistic's log P falls by δ/s from each level to the next, and that slope is what moves μ in "
    "training. A floor stops it: log(p + 1e-8), or clamp. The form with three factors needs none."
)
def test_the_tails_go_on_falling(student, seed):
    require(tails([sharp(student, seed + k).log_prob(discrete.states(1, MANY)) for k in range(SHARP)]))


test_samples_follow_the_density = suite.samples(
    3,
    "Draw a component by its weight π, then μ + s · logit(u), round to the nearest level, clip at both ends.",
    title="Samples follow the density",
    count=4000,
    models=lambda student, seed: (small(student, seed + k) for k in range(3)),
    needs=test_probabilities_sum_to_one,
)


def is_no_table(student, seed: int) -> None:
    """Of few levels and of many: logistics have as many parameters, whatever the levels."""
    made = [small(student, seed, levels=levels).handle.parameters() for levels in (LEVELS, 8 * LEVELS)]
    few, many = (sum(values.size for values in of.values()) for of in made)
    measured = f"{few} parameters with {LEVELS} levels, {many} with {8 * LEVELS}"
    slip = "This is a table of levels: the exercise is about logistics, whose parameters are few."
    required = "weight, mean and scale of every component, whatever the levels"
    require(Finding(float(many <= few), measured, required, slip=slip))


def one_logistic() -> float:
    """The naive baseline: nats of the best single discretised logistic, by direct search."""
    from scipy.optimize import minimize
    from scipy.special import expit

    edges = np.concatenate([[-np.inf], np.arange(99) + 0.5, [np.inf]])

    def excess(parameters: np.ndarray) -> float:
        mu, log_s = parameters
        q = np.diff(expit((edges - mu) / np.exp(log_s)))
        return float(np.sum(DATA.pmf * (np.log(DATA.pmf) - np.log(q))))

    return minimize(excess, x0=[50.0, 3.0], method="Nelder-Mead").fun + DATA.entropy


test_trained_close_to_the_limit = suite.trained(
    5,
    "Train longer, let the learning rate fall towards the end, or use more components.",
    baseline=lambda: min(np.log(100), one_logistic()),
    first=is_no_table,
)


def tails(mixtures: list[np.ndarray]) -> Finding:
    """log P of every level, of several mixtures: no two stay flat at the same height between e^DEEP and e^DEEPEST.

    A right one may stay flat there, if a component that is wider than anything has next to no weight; but each at a
    height of its own. What falls to −∞ on its way is not flat; that has a check of its own.
    """
    required = "log P falls on, level by level, far from every component"
    endless = sum(not np.isfinite(log_p).all() for log_p in mixtures)
    if endless:
        return Finding(
            1.0, f"no floor: log P falls to −∞, or is nan, in {endless} of {len(mixtures)} mixtures", required
        )
    heights = []
    for log_p in mixtures:
        here = (log_p[:-1] < DEEP) & (log_p[1:] > DEEPEST) & (np.abs(np.diff(log_p)) < FLAT)
        if here.sum() >= 3:
            heights.append(float(np.median(log_p[:-1][here])))
    heights.sort()
    floors = [high for low, high in pairwise(heights) if high - low < FLAT]
    if not floors:
        return Finding(1.0, "the tails go on falling", required)
    return Finding(0.0, f"in several mixtures log P stops falling at {floors[-1]:.1f}", required)
