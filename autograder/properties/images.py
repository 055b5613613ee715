"""What flows of images are made of: noise on levels, masks, the squeeze, couplings by masks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from autograder.properties.finding import Finding

# float32 has 7 digits; sums over a few hundred numbers, and logarithms near 0, keep 5.
EXACT = 1e-4
# Rare enough for a class of hundreds with several such checks each; see discrete.P_VALUE.
P_VALUE = 1e-6
# A draw of u may be rounded to the next level's edge in float32.
EDGE = 1e-5


def is_exactly(value: np.ndarray, wanted: np.ndarray, name: str, formula: str, tolerance: float = EXACT) -> Finding:
    """Two arrays are equal up to rounding, relative to their size."""
    error = np.abs(np.asarray(value, dtype=np.float64) - wanted) / (1 + np.abs(wanted))
    worst = float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).max())
    at = np.unravel_index(int(np.nan_to_num(error, nan=np.inf).argmax()), np.shape(wanted))
    measured = f"{name} is right to {worst:.1g}"
    if worst > tolerance:
        measured = f"{name} is {float(value[at]):.5g} where it should be {float(wanted[at]):.5g}"
    return Finding(float(worst <= tolerance), measured, f"{name} = {formula}, within {tolerance:g}", worst, tolerance)


def noise_is_uniform(y: np.ndarray, x: np.ndarray, levels: int) -> Finding:
    """levels · y − x is a sample of U[0, 1): every number has noise of its own, and stays in its level's cell."""
    from scipy.stats import kstest

    required = f"u = levels · y − x, even on [0, 1), a draw for each number (p > {P_VALUE:g})"
    u = levels * y.astype(np.float64) - x
    if not np.isfinite(u).all():
        return Finding(0.0, "y is nan or infinite", required)
    outside = int(((u < -EDGE * levels) | (u > 1 + EDGE * levels)).sum())
    if outside:
        return Finding(0.0, f"u lies outside [0, 1) in {outside:,} of {u.size:,} numbers", required)
    u = u.reshape(len(u), -1)
    # Of independent uniform draws, differences mod 1 are uniform, too: of neighbours in an image and of images.
    p_values = {
        "u": kstest(u.ravel(), "uniform").pvalue,
        "u of neighbouring pixels": kstest((u[:, 1::2] - u[:, ::2]).ravel() % 1, "uniform").pvalue,
        "u of different images": kstest((u[1::2] - u[::2]).ravel() % 1, "uniform").pvalue,
    }
    worst = min(p_values, key=p_values.get)  # type: ignore[arg-type]  # each has its value
    p_value = float(min(1.0, len(p_values) * p_values[worst]))
    measured = f"{worst}, {u.size:,} numbers: p = {p_values[worst]:.2g}"
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value")


def is_drawn_anew(first: np.ndarray, second: np.ndarray, name: str) -> Finding:
    """Two calls on the same images, under two seeds of torch, NumPy and Python, give different numbers."""
    same = float((first == second).mean())
    slip = (
        "The noise is the same at every call: a generator or a seed is set anew each time. Fixed noise is no bound on "
        "log P(x); draw it with torch.rand, without a seed of its own."
    )
    measured = f"{name} gives {same:.0%} of its numbers again at the next call"
    return Finding(float(same < 0.5), measured, "noise drawn at every call", slip="" if same < 0.5 else slip)


def is_a_checkerboard(first: np.ndarray, second: np.ndarray) -> Finding:
    """Two masks (C, H, W) of 0 and 1 that complete each other; each differs from pixel to next pixel."""
    required = "1 and 0 in turns, in rows and columns, the same in every channel; keep=1 is the opposite of keep=0"
    C, H, W = first.shape
    wanted = np.broadcast_to((np.add.outer(np.arange(H), np.arange(W)) % 2 == 0).astype(float), (C, H, W))
    return _masks({"keep 0": (first, wanted), "keep 1": (second, 1 - wanted)}, required)


def is_half_the_channels(first: np.ndarray, second: np.ndarray) -> Finding:
    """Two masks (C, H, W) of 0 and 1: the first half of the channels, and the second."""
    required = "1 in one half of the channels, at every pixel, and 0 in the other; keep=1 is the opposite of keep=0"
    wanted = np.zeros_like(first)
    wanted[: len(first) // 2] = 1
    return _masks({"keep 0": (first, wanted), "keep 1": (second, 1 - wanted)}, required)


def _masks(masks: dict[str, tuple[np.ndarray, np.ndarray]], required: str) -> Finding:
    for name, (got, wanted) in masks.items():
        wrong = int((got != wanted).sum())
        if wrong:
            plot = {
                "kind": "matrix",
                "values": np.nan_to_num(got.reshape(-1, got.shape[-1])),
                "x": "column",
                "y": "row",
            }
            return Finding(0.0, f"{name}: {wrong} of {got.size} entries are wrong", required, plot=plot)
    return Finding(1.0, "both masks are right", required)


def squares_become_channels(x: np.ndarray, z: np.ndarray) -> Finding:
    """z (B, 4C, H/2, W/2) has at each pixel the numbers of one square of 2 × 2 pixels of x, and no others.

    x: numbers that are all different. In which order the four channels come is free.
    """
    B, C, H, W = x.shape
    required = "at every pixel the numbers of its square of 2 × 2 pixels, each once"
    squares = x.reshape(B, C, H // 2, 2, W // 2, 2).transpose(0, 2, 4, 1, 3, 5).reshape(B, H // 2, W // 2, -1)
    channels = z.transpose(0, 2, 3, 1)
    wrong = (np.sort(squares, axis=-1) != np.sort(channels, axis=-1)).any(axis=-1)
    if not np.array_equal(np.sort(x.ravel()), np.sort(z.ravel())):
        return Finding(0.0, "numbers are lost, changed or doubled", required)
    measured = f"{int(wrong.sum())} of {wrong.size} pixels hold numbers of other squares" if wrong.any() else "all do"
    return Finding(float(not wrong.any()), measured, required)


def keeps_where(function: Callable[[np.ndarray], np.ndarray], t: np.ndarray, mask: np.ndarray) -> Finding:
    """function(t) has t's own numbers, to the last bit, where mask (D,) is 1, and others where it is 0."""
    y, kept = np.asarray(function(t)), mask == 1
    required = "unchanged where the mask is 1, changed everywhere else"
    moved = float(np.nan_to_num(np.abs(y - t)[:, kept], nan=np.inf).max(initial=0))
    if moved > 0:
        return Finding(0.0, f"numbers that the mask keeps change by up to {moved:.2g}", required)
    idle = int((np.abs(y - t)[:, ~kept].max(axis=0) == 0).sum())
    if idle:
        return Finding(0.0, f"{idle} of {int((~kept).sum())} numbers that are not kept never change", required)
    return Finding(1.0, "kept and changed as the mask says", required)


def same_distribution(got: np.ndarray, wanted: np.ndarray, name: str, formula: str) -> Finding:
    """Two samples of numbers have one distribution (Kolmogorov–Smirnov); what was measured says how they differ."""
    from scipy.stats import ks_2samp

    required = f"{name} distributed like {formula} (p > {P_VALUE:g})"
    if not np.isfinite(got).all():
        return Finding(0.0, f"{name} is nan or infinite", required)
    p_value = float(ks_2samp(got, wanted).pvalue)
    measured = f"{name} {got.mean():.2f} ± {got.std():.2f}, should be {wanted.mean():.2f} ± {wanted.std():.2f}"
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value")


def samples_are_of(got: np.ndarray, wanted: np.ndarray, levels: int, seed: int) -> Finding:
    """Integer images (n, D) are distributed alike, by what several numbers of each image say.

    Their mean (a step between levels moves it), their distance from the middle (a temperature changes it), and a sum
    with random weights, in which every pixel counts in its own way.
    """
    weights = np.random.default_rng(seed).normal(size=got.shape[1])
    looks = {
        "the mean level of a sampled image": lambda x: x.mean(axis=1),
        "how far sampled levels are from the middle": lambda x: np.abs(x - (levels - 1) / 2).mean(axis=1),
        "a sum over sampled pixels": lambda x: x @ weights,
    }
    findings = [
        same_distribution(look(got), look(wanted), name, "that of z ~ N(0, I), brought back")
        for name, look in looks.items()
    ]
    worst = min(findings, key=lambda finding: finding.value or 0.0)
    p_value = min(1.0, len(findings) * (worst.value or 0.0))
    return replace(worst, share=float(p_value > P_VALUE), value=p_value)


# ---- layers of Glow ------------------------------------------------------------------------------------

# A variance over n numbers may be taken with n or n − 1: with a thousand of them the spreads differ by 5e-4.
STANDARD = 5e-3


def is_standardised(z: np.ndarray) -> Finding:
    """Every channel of (B, C, H, W) has mean 0 and standard deviation 1."""
    required = f"mean 0 and standard deviation 1 in every channel, within {STANDARD:g}"
    mean, spread = z.mean(axis=(0, 2, 3), dtype=np.float64), z.std(axis=(0, 2, 3), dtype=np.float64)
    error = np.nan_to_num(np.maximum(np.abs(mean), np.abs(spread - 1)), nan=np.inf)
    c = int(error.argmax())
    measured = f"channel {c + 1} has mean {mean[c]:.3g} and standard deviation {spread[c]:.3g} after the first batch"
    return Finding(float(error[c] <= STANDARD), measured, required, float(error[c]), STANDARD)


def is_one_map_a_channel(x: np.ndarray, z: np.ndarray) -> Finding:
    """z = a x + c with one a and one c for each channel, over all batches: (batches, B, C, H, W) both."""
    required = "the same scale and shift for every batch, pixel and example, one each a channel"
    if not np.isfinite(z).all():
        return Finding(0.0, "z is nan or infinite", required)
    rows_x, rows_z = (np.moveaxis(v, 2, 0).reshape(v.shape[2], -1).astype(np.float64) for v in (x, z))
    worst = 0.0
    for u, v in zip(rows_x, rows_z, strict=True):
        design = np.stack([u, np.ones_like(u)], axis=1)
        fitted = design @ np.linalg.lstsq(design, v, rcond=None)[0]
        worst = max(worst, float(np.nan_to_num(np.abs(fitted - v), nan=np.inf).max() / (1 + np.abs(v).max())))
    measured = "one scale and shift a channel" if worst <= STANDARD else "scale or shift differ from batch to batch"
    return Finding(float(worst <= STANDARD), measured, required, worst, STANDARD)


def is_a_rotation(matrix: np.ndarray) -> Finding:
    """W Wᵀ = I, and W mixes the channels: it is no permutation."""
    required = "W Wᵀ = I, with no channel left alone"
    matrix = matrix.astype(np.float64)
    error = float(np.nan_to_num(np.abs(matrix @ matrix.T - np.eye(len(matrix))), nan=np.inf).max())
    plot = {"kind": "matrix", "values": np.abs(np.nan_to_num(matrix)), "x": "channel in", "y": "channel out"}
    if error > 1e-3:
        return Finding(0.0, f"W Wᵀ differs from I by up to {error:.2g}", required, plot=plot)
    alone = int((np.abs(matrix).max(axis=1) > 1 - 1e-6).sum())
    measured = f"{alone} of {len(matrix)} channels are not mixed" if alone else f"a rotation, to {error:.1g}"
    return Finding(float(not alone), measured, required, plot=plot)


def mixes_and_bends(jacobians: np.ndarray) -> Finding:
    """∂z/∂t of a Glow at several images, (B, D, D): every z hangs on more than one t, and on some in a curved way."""
    required = "every number of z hangs on several of t, and not linearly"
    J = np.nan_to_num(jacobians)
    largest = np.abs(J).max(axis=(0, 2), keepdims=True)
    alone = int(((np.abs(J) > 1e-9 * largest).any(axis=0).sum(axis=1) <= 1).sum())
    if alone:
        slip = "Is InvertibleConv among the layers of every step? It mixes the channels."
        return Finding(0.0, f"{alone} of {J.shape[1]} numbers of z hang on one number of t each", required, slip=slip)
    if np.abs(J - J[:1]).max() <= 1e-6 * np.abs(J).max():
        slip = "Is ChannelCoupling among the layers of every step? The other layers are linear."
        return Finding(0.0, "z is a linear function of t", required, slip=slip)
    return Finding(1.0, required, required)


def keeps_half_the_channels(
    function: Callable[[np.ndarray], np.ndarray], t: np.ndarray, shape: tuple[int, int, int]
) -> Finding:
    """Half of the channels, whichever, come out as they went in, to the last bit; the others change everywhere."""
    change = np.abs(np.asarray(function(t)) - t).reshape(len(t), *shape)
    kept = (change == 0).all(axis=(0, 2, 3))
    required = f"{shape[0] // 2} of {shape[0]} channels unchanged, the others changed at every pixel"
    measured = f"{int(kept.sum())} of {shape[0]} channels are unchanged"
    if kept.sum() != shape[0] // 2:
        return Finding(0.0, measured, required)
    idle = int((change[:, ~kept].max(axis=0) == 0).sum())
    return Finding(float(not idle), f"{idle} numbers of the others never change" if idle else measured, required)
