"""Exercise 1.1: a mixture of discretised logistics is a density on its levels, and its sampler draws from it."""

import numpy as np

from autograder.checks import hint, points, require
from autograder.properties import discrete, hygiene
from deepul_utils import toy

DATA = toy.discrete("edges", bins=100)
LEVELS, COMPONENTS = 12, 3


def small(student, seed: int, perturb: float = 2.0):
    """A small mixture with random parameters, wide enough to leave mass on both edges."""
    return student.new("DiscretizedLogisticMixture", levels=LEVELS, components=COMPONENTS, seed=seed, perturb=perturb)


@points(1)
@hint("log_prob takes int64 (B, 1) and gives one number an example, (B,); sample(n) gives integer levels (n, 1).")
def test_shapes_and_levels(student, seed):
    mixture = small(student, seed)
    x = discrete.states(1, LEVELS)
    require(hygiene.finite(mixture.log_prob(x), "on every level"))
    require(hygiene.rows_are_independent(mixture.log_prob, x))
    require(hygiene.in_range(mixture.sample(500, 1, seed=seed, integer=True), LEVELS))


@points(4, needs="shapes_and_levels")
@hint(
    "A level's mass is a difference of two CDFs, half a level to either side of it. The edge bins reach to infinity: "
    "level 0 takes all mass below its upper edge, level L − 1 all mass above its lower edge. The weights π sum to one "
    "(softmax over the components) and stand inside the logarithm: logsumexp of log π + log P."
)
def test_probabilities_sum_to_one(student, seed):
    for k in range(5):
        require(discrete.sums_to_one(small(student, seed + k, perturb=1.0 + k).log_prob, 1, LEVELS, seed))


@points(2, needs="shapes_and_levels")
@hint("Far from μ both sigmoids round to the same number; log σ(b) + log σ(−a) + log(1 − e^{−1/s}) does not.")
def test_finite_far_from_every_component(student, seed):
    x = discrete.states(1, 400)
    for k in range(10):
        sharp = student.new("DiscretizedLogisticMixture", levels=400, components=1, seed=seed + k, perturb=6.0)
        require(hygiene.finite(sharp.log_prob(x), "on all 400 levels, also 50 scales from μ"))


@points(3, needs="probabilities_sum_to_one")
@hint("Draw a component by its weight π, then μ + s · logit(u), round to the nearest level, clip at both ends.")
def test_samples_follow_the_density(student, seed):
    for k in range(3):
        mixture = small(student, seed + k)
        samples = mixture.sample(4000, 1, seed=seed + k, integer=True)
        require(discrete.sampler_matches(samples, mixture.log_prob, LEVELS, seed))


@points(5, needs="probabilities_sum_to_one")
@hint("Train longer, let the learning rate fall towards the end, or use more components.")
def test_trained_close_to_the_limit(student, graded, seed):
    mixture = student.trained("logistic_mixture")
    require(discrete.sums_to_one(mixture.log_prob, 1, 100, seed))
    excess = discrete.excess_nats(mixture.log_prob, DATA.pmf, seed)
    uniform = np.log(100) - DATA.entropy
    graded("logistic_mixture", excess, limit=DATA.entropy, baseline=min(uniform, one_logistic()))


def one_logistic() -> float:
    """The naive baseline: nats above the limit of the best single discretised logistic, by direct search."""
    from scipy.optimize import minimize
    from scipy.special import expit

    edges = np.concatenate([[-np.inf], np.arange(99) + 0.5, [np.inf]])

    def excess(parameters: np.ndarray) -> float:
        mu, log_s = parameters
        q = np.diff(expit((edges - mu) / np.exp(log_s)))
        return float(np.sum(DATA.pmf * (np.log(DATA.pmf) - np.log(q))))

    return minimize(excess, x0=[50.0, 3.0], method="Nelder-Mead").fun
