"""Guided diffusion of images: patches, blocks that begin as the identity, dropped labels, guidance, Euler's steps.

Times run from 0, noise, to 1, data: x_t = (1 − t) ε + t x, whose velocity is x − ε.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from autograder.properties.finding import Finding

# Float32: the same network in a batch of another size, summed in another order, and a few more operations after it.
EXACT = 1e-3
P_VALUE = 1e-6  # see discrete.P_VALUE
MOVED = 1e-5  # of the size of the outputs: with random weights what is seen moves them by far more
# A share of the pairs' mean distance by which stronger guidance brings samples of one label together, at least.
NEARER = 0.97
NORMALISED = 1e-3  # LayerNorm's ε moves what it gives by some 1e-5
ONE_LINE = 1e-5  # of the length of a line: single precision leaves it by less than 1e-6, two heads by 1e-3 and more


# ---- patches -------------------------------------------------------------------------------------------


def patches_are_squares(tokens: np.ndarray, x: np.ndarray, size: int) -> Finding:
    """tokens (B, N, C · size²) are the squares of x (B, C, H, W), whose numbers all differ; in whatever order."""
    B, C, H, W = x.shape
    squares = x.reshape(B, C, H // size, size, W // size, size).transpose(0, 2, 4, 1, 3, 5)
    squares = np.sort(squares.reshape(B, -1, C * size**2), axis=-1)
    required = f"each token has the numbers of one square of {size} × {size} pixels, and each square is one token"
    for of_image, wanted in zip(np.sort(tokens, axis=-1), squares, strict=True):
        known = {row.tobytes() for row in wanted}
        wrong = sum(row.tobytes() not in known for row in of_image)
        if wrong or len({row.tobytes() for row in of_image}) < len(known):
            measured = f"{wrong} of {len(of_image)} tokens are no square of pixels"
            slip = (
                "A reshape alone cuts rows into pieces: split H and W into (H / p, p) and (W / p, p), and bring both p "
                "beside the channels with permute before you reshape again."
            )
            return Finding(0.0, measured, required, slip=slip)
    return Finding(1.0, "all are squares", required)


def comes_back(got: np.ndarray, wanted: np.ndarray, what: str) -> Finding:
    """Two arrays are the same, to the last bit: nothing was computed, only moved."""
    wrong = int((got != wanted).sum())
    measured = f"{wrong:,} of {wanted.size:,} numbers are not where they were" if wrong else "all are where they were"
    return Finding(float(not wrong), measured, what)


# ---- the block -----------------------------------------------------------------------------------------


def is_the_identity(after: np.ndarray, before: np.ndarray) -> Finding:
    """A fresh block gives back what it was given."""
    off = _apart(after, before)
    slip = "The layer that makes shift, scale and gate of c starts with weights and biases of zero: no gate is open."
    measured = f"a fresh block changes its tokens by up to {off:.2g}"
    return Finding(float(off <= MOVED), measured, "nothing, at the start", off, MOVED, slip=slip if off > MOVED else "")


def can_learn(gradients: Mapping[str, np.ndarray | None]) -> Finding:
    """A fresh block is not stuck: the gradient reaches some of its parameters."""
    size = max((float(np.abs(g).max()) for g in gradients.values() if g is not None and g.size), default=0.0)
    slip = (
        "The gates are zero, and so is what they gate: then no gradient reaches either. Only the layer that makes the "
        "gates starts at zero; attention and MLP start as they come."
    )
    measured = f"the largest gradient of a fresh block is {size:.2g}"
    return Finding(float(size > 0), measured, "above zero: its gates can open", slip="" if size > 0 else slip)


# What stands behind the gates is read from a fresh block h + γ_1 f + γ_2 g, whose gates γ are zero: the derivative of
# output e by its gate is f_e, and by the other gate g_e.


def has_two_gates(entries: int, width: int) -> Finding:
    """So many numbers of what c is made into open a gate of a fresh block."""
    slip = {width: "One gate serves both halves: attention and MLP have a gate γ of their own."}.get(entries, "")
    ok = entries == 2 * width
    measured = f"{entries} numbers of the layer on c open a gate"
    return Finding(float(ok), measured, f"{2 * width}: two gates of width {width}", slip="" if ok else slip)


def is_of_the_normalised(base: np.ndarray, scaled: np.ndarray, other: np.ndarray) -> Finding:
    """What is gated, (2 · width,), is a function of LN(h): of h it hangs on, but not on its scale and its mean.

    scaled: the same of a · h + b. other: of another h.
    """
    required = "attention and MLP are given LN(h), where α and β are zero"
    size = float(np.abs(base).max()) + 1e-12
    moved, off = np.abs(other - base) / size, float(np.abs(scaled - base).max()) / size
    if (moved > MOVED).mean() < 0.9:
        slip = "With α = 0 nothing of h is left: its factor is 1 + α, not α."
        return Finding(0.0, "what is gated does not move with h", required, slip=slip)
    slip = "Attention and MLP are given h itself, or another norm: LN(h) has mean 0 and variance 1 in each token."
    measured = f"for a · h + b what is gated changes by {off:.1g} of its size"
    ok = off <= NORMALISED
    return Finding(float(ok), measured, f"{required}: at most {NORMALISED:g}", off, NORMALISED, slip="" if ok else slip)


def heads_attend_apart(mixtures: np.ndarray, heads: int) -> Finding:
    """Of one token among copies of itself and of another, in several shares, (shares, width): what attention gives.

    One head can only move along the line between two values. Several, each with its own weights, leave it.
    """
    required = f"{heads} heads weigh two tokens each in its way" if heads > 1 else "one head weighs them in one way"
    if mixtures.shape[1] < 2:
        slip = "Attention is over dimension 1 of (B, N, width), of every token to all."
        return Finding(0.0, "what is gated hangs on no other token", required, slip=slip)
    spread = np.linalg.svd(np.diff(np.nan_to_num(mixtures), axis=0), compute_uv=False)
    aside = float(spread[1] / max(spread[0], 1e-30))
    if heads > 1:
        slip = "All heads attend alike: q, k and v of (B, N, width) are cut into heads, before the attention."
        measured, ok = f"{heads} heads weigh two tokens {_alike(aside)}", aside > ONE_LINE
    else:
        slip = "The number of heads is not the one that is asked for."
        measured, ok = f"with heads=1 two tokens are weighed {_alike(aside)}", aside <= ONE_LINE
    return Finding(float(ok), measured, required, slip="" if ok else slip)


def _alike(aside: float) -> str:
    return "in one way" if aside <= ONE_LINE else "in several ways"


def moves(base: np.ndarray, changed: np.ndarray, measured: str, required: str, slip: str) -> Finding:
    """What is given matters: the numbers that should move do, (n, …), in some example: in one a path may be shut."""
    off = np.abs(np.asarray(changed, dtype=np.float64) - base).reshape(len(base), -1).max(axis=1)
    seen = off / (1 + np.abs(base).max()) > MOVED
    share = float(seen.mean())
    return Finding(float(seen.any()), f"{measured} in {share:.0%} of the examples", required, slip=slip)


# ---- labels, loss, guidance ----------------------------------------------------------------------------


def labels_are_dropped(after: np.ndarray, y: np.ndarray, rate: float, none: int) -> Finding:
    """Each label of y (n,) is `none` with probability `rate`, by itself, and else as it was."""
    from scipy.stats import binomtest

    dropped = after == none
    required = f"each label is {none} with probability {rate:g}, by itself (p > {P_VALUE:g})"
    changed = int(((after != y) & ~dropped).sum())
    if changed:
        slip = f"A dropped label is the label {none}, `none`: not another class, and not 0."
        return Finding(0.0, f"{changed:,} labels are neither y nor {none}", required, slip=slip)
    share, n = float(dropped.mean()), len(y)
    # Beside the number, how many neighbours go together: by one draw for all, or for pairs, they all do.
    both = int((dropped[::2] & dropped[1::2]).sum())
    p_values = [binomtest(int(dropped.sum()), n, rate).pvalue, binomtest(both, n // 2, rate**2).pvalue]
    p_value = float(min(1.0, 2 * min(p_values)))
    slips = {
        "Labels are kept with probability `rate`: it is the probability of dropping them.": 1 - rate,
        "All labels are dropped, or none: draw a number for each of them.": float(round(share)),
    }
    slip = next((s for s, other in slips.items() if abs(share - other) < 0.01), "")
    ok = p_value > P_VALUE
    measured = f"{share:.1%} of {n:,} labels are dropped (p = {p_value:.2g})"
    return Finding(float(ok), measured, required, p_value, P_VALUE, "p-value", slip="" if ok else slip)


def none_or_all(after: np.ndarray, y: np.ndarray, rate: float, none: int) -> Finding:
    """With a rate of 0 no label is dropped, with 1 all are."""
    wanted = y if rate == 0 else np.full_like(y, none)
    wrong = int((after != wanted).sum())
    measured = f"with rate {rate:g} {int((after == none).sum())} of {len(y)} labels are dropped"
    return Finding(float(not wrong), measured, "all of them" if rate else "none of them")


def between(noise: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """x_t = (1 − t) ε + t x: (B, …), (B, …), (B,)."""
    t = t.reshape(-1, *(1,) * (x.ndim - 1))
    return ((1 - t) * noise + t * x).astype(np.float32)


Velocity = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def is_the_velocitys_error(
    got: np.ndarray, velocity: Velocity, x: np.ndarray, y: np.ndarray, t: np.ndarray, noise: np.ndarray
) -> Finding:
    """The loss (B,) is the mean over an image's numbers of the squared error of v(x_t, t, y) as x − ε."""

    def error(target: np.ndarray, at: np.ndarray, times: np.ndarray = t, labels: np.ndarray = y) -> np.ndarray:
        return ((velocity(at, times, labels).astype(np.float64) - target) ** 2).reshape(len(x), -1).mean(axis=1)

    x_t, swapped = between(noise, x, t), between(x, noise, t)
    wanted = error(x - noise, x_t)
    slips: dict[str, Callable[[], np.ndarray]] = {
        "It is the sum over the image's numbers: take their mean.": lambda: wanted * x[0].size,
        "The sign of the target is wrong: from noise to data the velocity is x − ε.": lambda: error(noise - x, x_t),
        "The network is given x, the image itself, in the place of x_t.": lambda: error(x - noise, x),
        "Data and noise are exchanged in x_t: at t = 1 it is the data, x_t = (1 − t) ε + t x.": lambda: error(
            x - noise, swapped
        ),
        "Times run backwards here: x_t = t ε + (1 − t) x, with the target ε − x.": lambda: error(noise - x, swapped),
        "The target is the image: that of a velocity is x − ε.": lambda: error(x, x_t),
        "The target is the noise: that of a velocity is x − ε.": lambda: error(noise, x_t),
        "The network is told 1 − t.": lambda: error(x - noise, x_t, times=1 - t),
        "The network is not told t.": lambda: error(x - noise, x_t, times=0 * t),
        "All images have the time of the first.": lambda: error(
            x - noise, between(noise, x, np.full_like(t, t[0])), np.full_like(t, t[0])
        ),
        "The network is told the time of the first image for all.": lambda: error(
            x - noise, x_t, np.full_like(t, t[0])
        ),
    }
    return _equal(got, wanted, "loss(x, y, t, noise)", "mean of (v(x_t, t, y) − (x − ε))² over the image", slips)


def is_guided(got: np.ndarray, with_label: np.ndarray, without: np.ndarray, w: float) -> Finding:
    """The guided velocity is v(none) + w (v(y) − v(none)): (B, …) each."""
    formula = f"v(x, t, none) + w (v(x, t, y) − v(x, t, none)), here with w = {w:g}"
    names = {0.0: "without a label, at w = 0", 1.0: "with its label, at w = 1"}
    difference = with_label - without
    slips = {
        "The two terms are exchanged: w = 0 should know no label.": lambda: with_label - w * difference,
        "It is v(y) + w (v(y) − v(none)), another convention, whose w is less by one.": lambda: (
            with_label + w * difference
        ),
        "The labels are dropped: it is the velocity without a label, whatever w is.": lambda: without,
        "It is the velocity with its label, whatever w is.": lambda: with_label,
        "v(none) is missing: w multiplies the difference, and v(none) is added.": lambda: w * difference,
        "w multiplies v(y), and v(none) is added as it is.": lambda: without + w * with_label,
    }
    return _equal(got, without + w * difference, f"the velocity {names.get(w, f'at w = {w:g}')}", formula, slips)


def euler(velocity: Callable[[np.ndarray, float], np.ndarray], x: np.ndarray, times: np.ndarray) -> np.ndarray:
    """From the first of the times to the last: x ← x + (t′ − t) v(x, t)."""
    for t, later in pairwise(times):
        x = (x + (later - t) * velocity(x, float(t))).astype(np.float32)
    return x


def follows_euler(
    got: np.ndarray,
    noise: np.ndarray,
    steps: int,
    guided: Callable[[np.ndarray, float, float, bool], np.ndarray],
    w: float,
) -> Finding:
    """Images are what so many of Euler's steps make of the noise, from t = 0 to 1.

    guided: (x, t, w, whether with the labels) -> the velocity. What is clamped to the range of images at the end is
    right, too.
    """

    def integrated(times: np.ndarray, weight: float = w, labels: bool = True) -> np.ndarray:
        return euler(lambda x, t: guided(x, t, weight, labels), noise, times)

    even = np.linspace(0, 1, steps + 1)
    wanted = integrated(even)

    def late() -> np.ndarray:
        x = noise
        for t in even[1:]:
            x = (x + guided(x, float(t), w, True) / steps).astype(np.float32)
        return x

    slips: dict[str, Callable[[], np.ndarray]] = {
        "Times run from 1 to 0: noise is at t = 0 here.": lambda: integrated(even[::-1]),
        "Each step asks for the velocity at its end: ask at its beginning, t = k / steps.": late,
        "One step more than asked for.": lambda: integrated(np.linspace(0, 1, steps + 2)),
        "The last step is left out.": lambda: integrated(even[:-1]),
        "The labels are dropped.": lambda: integrated(even, labels=False),
        "The weight is ignored: it is as if w were 1.": lambda: integrated(even, weight=1.0),
        "The weight is ignored: it is as if w were 0.": lambda: integrated(even, weight=0.0),
    }
    if np.abs(got).max(initial=0) <= 1:
        wanted = wanted.clip(-1, 1)
    formula = f"{steps} steps x ← x + v / steps, with the guided velocity at t = 0, 1 / steps, …"
    return _equal(got, wanted, "generate(noise, y, w, steps)", formula, slips)


def _apart(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, relative to the size."""
    with np.errstate(invalid="ignore"):
        error = np.abs(got - wanted) / (1 + np.abs(wanted))
    return float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _equal(
    got: np.ndarray, wanted: np.ndarray, name: str, formula: str, slips: Mapping[str, Callable[[], np.ndarray]]
) -> Finding:
    off = _apart(got, wanted)
    ok = off <= EXACT
    slip = "" if ok else next((s for s, wrong in slips.items() if _apart(got, wrong()) <= EXACT), "")
    measured = f"{name} is right to {off:.1g}" if ok else f"{name} is off by up to {off:.2g} of its size"
    return Finding(float(ok), measured, f"{formula}, within {EXACT:g}", off, EXACT, slip=slip)


# ---- what guidance does --------------------------------------------------------------------------------


def labels_steer(accuracy: Mapping[float, float], n: int) -> Finding:
    """The share of samples that a frozen classifier takes for their label rises with w: {w: share of n samples}.

    At w = 0 it is one in ten, but for chance. Where it is near one already, it cannot rise further; it falls nowhere.
    """
    from scipy.stats import binom

    shares = [share for _, share in sorted(accuracy.items())]
    shown = ", ".join(f"{share:.0%} at w = {w:g}" for w, share in sorted(accuracy.items()))
    most = float(binom.isf(P_VALUE, n, UNLABELLED)) / n
    required = f"at most {most:.0%} without a label, at w = 0, then more, and falling nowhere"
    slip = ""
    if shares[0] > most:
        slip = "Without a label the samples are of their labels already: does the velocity without a label see y?"
    elif shares[-1] <= most:
        slip = (
            "The label is not followed: are images and labels given to the loss in pairs, and do they train together?"
        )
    falls = max(a - b for a, b in pairwise(shares)) > 5 * np.sqrt(0.5 / n)
    return Finding(float(not slip and not falls), f"of their label: {shown}", required, slip=slip)


UNLABELLED = 0.13  # of samples without a label so many are of one that is not told, if digits are not quite even


def guidance_narrows(spread: Mapping[float, float]) -> Finding:
    """Samples of one label are nearer to each other the larger w is: {w: their mean distance}."""
    shown = ", ".join(f"{d:.3g} at w = {w:g}" for w, d in sorted(spread.items()))
    distances = [d for _, d in sorted(spread.items())]
    ratio = max(b / a for a, b in pairwise(distances))
    slip = "" if ratio <= NEARER else "Does w reach the velocity, and does the velocity know the label?"
    required = f"each at most {NEARER:g} of the one before"
    return Finding(float(ratio <= NEARER), f"distance within a label: {shown}", required, ratio, NEARER, slip=slip)
