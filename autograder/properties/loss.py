"""Was it trained well? The only properties that compare with calibrated references."""

from functools import cache

import numpy as np

from autograder.properties.finding import Finding

# Points are full up to the reference mean plus this many of its standard deviations over seeds …
SEED_SPREAD = 3.0
# … plus this share of the way to the baseline: room for a right answer of another width or optimiser,
# smaller than a difference that samples could show.
SLACK = 0.02
# One more right model may lose points by chance this often. The mean and the spread of a few are estimates: where the
# two above are not enough for that, points are full further on.
CHANCE = 1e-3
# A loss this far below the exact limit (nats) is no rounding error: the density is not normalised.
BELOW_LIMIT = 1e-3
# Units of a density's loss.
DENSITY = ("nats", "bits/dim", "bits a code")
# From this share of the points on a loss is near: more of the same training may do.
NEAR = 0.5
# So many times as far from the baseline as that is from full points: no training ends there.
MANY = 10.0


# A share of a few examples, counted, may be larger than the model's own by chance once in so many times.
COUNTED = 1e-4


def threshold(reference: dict, baseline: float, examples: int | None = None) -> float:
    """Nats above the limit up to which points are full. examples: how many a share was counted in.

    The wider of two: what the reference reaches, and what the recipe that the text states reaches ("recipe", if it
    was calibrated: {"mean", "sd"}).
    """
    slack = SLACK * (baseline - reference["mean"])
    spread = [r["mean"] + SEED_SPREAD * r["sd"] for r in (reference, reference.get("recipe")) if r]
    full = max(max(spread) + slack, reference["mean"] + reference["sd"] * one_more(len(reference.get("runs", ()))))
    if examples is None:
        return full
    from scipy.stats import binom

    return max(full, float(binom.isf(COUNTED, examples, reference["mean"] + slack)) / examples)


def _by_chance(share: float, examples: int) -> float:
    """So few of the examples, a share of them, are counted by chance but seldom: less is no luck."""
    from scipy.stats import binom

    return float(binom.ppf(COUNTED, examples, min(share, 1.0))) / examples


@cache
def one_more(runs: int) -> float:
    """How many of their standard deviations one more model lies above the mean of `runs`, but for CHANCE.

    √(1 + 1/n) times a quantile of Student's t with n − 1 degrees of freedom: the prediction bound of normal losses.
    0 where there are too few to say.
    """
    if runs < 2:
        return 0.0
    from scipy.stats import t

    return float(t.isf(CHANCE, runs - 1) * np.sqrt(1 + 1 / runs))


def graded(
    excess: float,
    reference: dict,
    limit: float | None,
    baseline: float,
    unit: str = "nats",
    examples: int | None = None,
    promised: float | None = None,
) -> Finding:
    """Share of the points for a loss `excess` nats above the exact `limit`; without one, for the loss `excess` itself.

    Full up to the threshold of the reference, nothing at the naive `baseline` (counted like `excess`), linear
    between. A loss below the limit is impossible for a normalised density, and fails. examples: where the loss is a
    share of so many examples, as of images misclassified, the threshold allows for the chance in counting it.
    promised: what the notebook says is good enough, where that asks for less than the reference does.
    """
    full = max(threshold(reference, baseline, examples), -np.inf if promised is None else promised)
    if examples is not None:
        baseline = _by_chance(baseline, examples)
    of_limit = "" if limit is None else f" above the limit of {limit:.3f}"
    required = f"at most {full:.3f} {unit}{of_limit} (no points from {baseline:.3f} on)"
    if excess < (0 if limit is None else -BELOW_LIMIT):
        low = f"{excess:.3f} {unit}" if limit is None else f"{limit + excess:.3f} {unit}, {-excess:.3f} below the limit"
        return Finding(
            0.0,
            low,
            required,
            excess,
            full,
            "loss",
            slip="A loss below the entropy of the data is impossible: this is not a normalised density.",
        )
    between = (baseline - excess) / (baseline - full) if full < excess < baseline else 0.0  # nan: nothing
    share = 1.0 if excess <= full else between
    above = f"{excess:.3f} {unit}" if limit is None else f"{limit + excess:.3f} {unit}, {excess:.3f} above the limit"
    return Finding(
        share, above, required, excess, full, "loss", slip=_stage(excess, full, baseline, share, unit in DENSITY)
    )


def _stage(excess: float, full: float, baseline: float, share: float, density: bool) -> str:
    """What a loss suggests by how far off it is; nothing where it is near: the check's own hint is for that."""
    if share >= NEAR:
        return ""
    summed = " Sum over the dimensions, average over the examples." if density else ""
    if not np.isfinite(excess):
        return "The loss is nan or infinite on held-out data: look for a logarithm or a division of zero."
    if share > 0:
        return (
            "That is far from what the recipe in the text reaches. Were these weights trained by the code as it is now "
            f"(retrain=True trains anew), on these data?{summed}"
        )
    if excess > baseline + MANY * (baseline - full):
        return (
            "No training leads here: the unit is another one, or these are the weights of another version of the code "
            f"(retrain=True trains anew).{summed}"
        )
    sign = "Is the sign of the loss right, is it" if density else "Is it"
    return (
        f"A model that knows nothing of the structure does better. {sign} this model's parameters that the optimiser "
        "moves, and were these weights trained by the code as it is now?"
    )
