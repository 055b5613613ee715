"""How often a right answer fails a check by chance: from the largest strains of many right answers, under many salts.

A statistic differs from draw to draw, and a check may ask for several. None of some hundred draws failed; how far the
nearest of them stayed from its bound says how many more would be needed for one.
"""

from collections.abc import Iterable

import numpy as np

from autograder.properties.finding import Finding

TARGET = 1e-3  # a right answer may lose a check by chance this often


def strain(finding: Finding) -> float:
    """How much of the way to its bound a statistic went: beyond 1 it fails. Its tail is close to exponential."""
    value, bound = finding.value, finding.bound
    assert value is not None, "a finding without one is no statistic"
    assert bound is not None, "a finding without one is no statistic"
    if finding.kind == "p-value":
        return float(np.log(max(value, 1e-300)) / np.log(bound))
    return float(bound / max(value, 1e-300) if finding.kind == "at least" else value / bound)


def largest(findings: Iterable[Finding]) -> float | None:
    """The largest strain of a check's findings; None where it asks for no statistic. Trained losses are left out: their
    thresholds are of one more model (properties/loss.py)."""
    return max((strain(f) for f in findings if f.value is not None and f.bound and f.kind != "loss"), default=None)


def rate(strains: list[float], draws: list[int]) -> float:
    """P(strain > 1) in one draw, from the largest strain of each answer in so many draws.

    Where a strain has an exponential tail of scale b, the largest of n is Gumbel distributed, at b log n: b is
    taken from the spread of the maxima, √6/π times their standard deviation, and the place from their mean. Exact for
    p-values of an exact test; for lighter tails, such as a normal one, it says too much rather than too little.
    Designs that differ widen the spread, and so the estimate.
    """
    x, n = np.asarray(strains, float), np.asarray(draws, float)
    if x.max() > 1:
        return float((x > 1).sum() / n.sum())
    scale = np.sqrt(6) / np.pi * x.std(ddof=1) if len(x) > 1 else 0.0
    if not scale:
        return 0.0
    place = (x - scale * np.log(n)).mean() - np.euler_gamma * scale
    return float(min(1.0, np.exp((place - 1) / scale)))
