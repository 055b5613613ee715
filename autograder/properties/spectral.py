"""Spectral normalisation: the kernel that a layer really uses, and what its gradient must know of σ."""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding

# After so many steps of power iteration on random kernels of this size σ is right to 1 % in all of thousands of seeds.
WARM = 60
SINGULAR = 0.02
KNOWN = 1e-4  # power iteration from a random start is not so near after one step
# Kernels are read off a layer by its answers to single pixels: float32.
EXACT = 1e-4
# ⟨∇L, W⟩ relative to |∇L| |W|: zero but for rounding, whatever u and v are, since uᵀ W v grows with W. A gradient that
# takes σ for a constant shows 0.01 to 1.
ALONG = 0.003


def kernel_of(forward: Callable[[np.ndarray], np.ndarray], channels: int, size: int) -> np.ndarray:
    """The kernel (out, in, k, k) that a convolution without padding uses, by its answers to single pixels.

    forward: (B, channels, k, k) -> (B, out, 1, 1). Its bias is taken off.
    """
    pixels = np.eye(channels * size * size, dtype=np.float32).reshape(-1, channels, size, size)
    answers = forward(np.concatenate([np.zeros_like(pixels[:1]), pixels])).astype(np.float64)
    out = (answers[1:] - answers[:1]).reshape(len(pixels), -1)
    return out.T.reshape(-1, channels, size, size)


def is_the_kernel_over_its_norm(used: np.ndarray, kernel: np.ndarray) -> Finding:
    """used = W / σ(W), for W (out, in · k · k): its largest singular value is one, and its direction that of W."""
    required = f"W / σ(W), with a largest singular value within {SINGULAR:.0%} of 1"
    if not np.isfinite(used).all():
        return Finding(0.0, "the kernel is nan or infinite", required)
    got, W = used.reshape(len(used), -1), kernel.reshape(len(kernel), -1).astype(np.float64)
    scale = (got * W).sum() / (W * W).sum()
    if np.abs(got - scale * W).max() > EXACT * (1 + np.abs(got).max()):
        return Finding(0.0, "the kernel that is used is no multiple of W", required)
    value = float(np.linalg.svd(got, compute_uv=False)[0])
    largest = np.linalg.svd(W, compute_uv=False)
    slips = {
        "The kernel is not divided by anything.": 1.0,
        "It is divided by its Frobenius norm, not by its largest singular value.": 1 / np.sqrt((W**2).sum()),
        "It is divided by σ².": 1 / largest[0] ** 2,
        "It is divided by the smallest singular value.": 1 / largest[-1],
        "It is multiplied by σ.": largest[0],
        "σ is of another matrix: the kernel is (out, in, k, k), and W has a row an output channel, flatten(1).": None,
    }
    others = (
        kernel.swapaxes(0, 1).reshape(kernel.shape[1], -1),
        kernel.reshape(-1, kernel.shape[-1]),
        kernel.sum(axis=(2, 3)),
        kernel.reshape(-1, *kernel.shape[2:]).mean(axis=0),
    )
    wrong = [1 / np.linalg.svd(m.astype(np.float64), compute_uv=False)[0] for m in others]
    off = abs(value - 1)
    ok = off <= SINGULAR
    slip = ""
    if not ok:
        for said, factor in slips.items():
            if any(abs(scale / f - 1) < 0.01 for f in (wrong if factor is None else [factor])):
                slip = said
                break
    return Finding(float(ok), f"its largest singular value is {value:.4f}", required, off, SINGULAR, slip=slip)


def stays(kernels: list[np.ndarray]) -> Finding:
    """Calls in eval mode use one kernel."""
    off = max(float(np.abs(k - kernels[0]).max()) for k in kernels)
    ok = off <= EXACT * (1 + np.abs(kernels[0]).max())
    measured = "the same kernel" if ok else f"the kernel changes by {off:.2g} from one call to the next"
    return Finding(
        float(ok),
        measured,
        "the same kernel in every call in eval mode",
        slip="" if ok else "u moves in eval mode: take a step only if self.training.",
    )


def moves(before: np.ndarray, after: np.ndarray) -> Finding:
    """A call in training mode moved u: another kernel is used from then on.

    Unless its largest singular value was exactly one to begin with: a norm that is found exactly needs no u.
    """
    required = "u moves in training mode, and is kept"
    largest = np.linalg.svd(before.reshape(len(before), -1).astype(np.float64), compute_uv=False)[0]
    if abs(largest - 1) <= KNOWN:
        return Finding(1.0, "σ is exact from the first call on", required)
    off = float(np.abs(after - before).max() / (1e-12 + np.abs(before).max()))
    measured = f"a call in training mode changes the kernel by {off:.1%}"
    slip = "" if off > EXACT else "u is not kept from call to call: self.u must get its new value."
    return Finding(float(off > EXACT), measured, required, slip=slip)


def knows_sigma(gradient: np.ndarray, kernel: np.ndarray) -> Finding:
    """⟨∇L, W⟩ = 0 for any loss L of W / σ(W), which does not change when W is stretched."""
    g, W = (np.asarray(a, dtype=np.float64).ravel() for a in (gradient, kernel))
    required = "none along W itself: stretching W changes nothing"
    if not g.any():
        return Finding(0.0, "no gradient reaches the kernel", required)
    along = float(np.nan_to_num(abs(g @ W) / (np.linalg.norm(g) * np.linalg.norm(W)), nan=np.inf))
    measured = f"{along:.1%} of the kernel's gradient points along W"
    return Finding(
        float(along <= ALONG),
        measured,
        required,
        along,
        ALONG,
        slip="σ is taken for a constant: u and v are detached, σ = uᵀ W v is not.",
    )


def stretching_changes_nothing(said: np.ndarray, stretched: np.ndarray, grads: dict, kernels: dict) -> Finding:
    """What a discriminator says, (B,), and what it says when all its kernels, {name: W}, are twice as large.

    Biases and u are the same: where every W is divided by its σ, the numbers are too. grads: {name: array or None} of
    any loss, which point along the kernels that are not.
    """
    required = f"all {len(kernels)} kernels normalised: twice as large, they say the same"
    off = float(np.nan_to_num(np.abs(stretched - said).max() / (1 + np.abs(said).max()), nan=np.inf))
    if off <= SINGULAR:
        return Finding(1.0, f"all {len(kernels)} are", required, off, SINGULAR)
    along = {k: knows_sigma(np.zeros_like(W) if grads.get(k) is None else grads[k], W) for k, W in kernels.items()}
    plain = [name for name, finding in along.items() if not finding.passed]
    slip = ""
    if 0 < len(plain) < len(kernels):
        slip = f"{plain[0]} is not divided by its σ: every layer with weights is a SpectralConv2d, the last one too."
    return Finding(
        0.0,
        f"with kernels twice as large the logits change by {off:.2g} of their size",
        required,
        off,
        SINGULAR,
        slip=slip,
    )
