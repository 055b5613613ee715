"""Causality: which outputs move when one input is changed."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from autograder.properties.finding import Finding

# Masked weights are exactly zero, so an output that may not see an input does not move by one bit when
# both queries have the same shape. The margin is for kernels that sum in another order from call to call:
# those move float32 outputs by 1e-7 of their size, a real dependence in a random network by 1e-3.
MOVED = 1e-5
# Conditionals below e^LOWEST are worth nothing; logits beyond LARGE are no reason to expect more rounding.
LOWEST, LARGE = -30.0, 1e3
# A model whose conditionals have on average more than this share of the entropy of equal levels has learnt nothing.
KNOWS = 0.9
BASE_POINTS = 64
# A sum of tens of thousands of bounded terms is close to normal; a right sampler fails so seldom.
TYPICAL = 1e-6
# Float32 sums of a thousand terms err by 1e-5 of their size; a logarithm that stops at −100 by much more.
AGREE = 1e-3
FLOORED = (
    "log_prob does not follow its conditionals to where they are hardly possible: something is clamped, or stands "
    "inside a logarithm (log(p + 1e-8), the log of a softmax or of a sigmoid, binary_cross_entropy, which stops at "
    "−100). F.log_softmax and F.cross_entropy of the logits need none of that."
)


def dependencies(outputs: Callable, dims: int, levels: int, seed: int = 0) -> np.ndarray:
    """Boolean (dims, dims): entry [i, j] says whether output i moved when only input j was changed.

    outputs: int64 (B, dims) -> logits (B, dims, levels). What moves is the conditional that they make, so that a number
    that is added to all of them counts for nothing, and one that is huge hides nothing.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(levels, size=(BASE_POINTS, dims))
    base, rounding = _told(outputs(x))
    moved = np.zeros((dims, dims), dtype=bool)
    for j in range(dims):
        changed = x.copy()
        changed[:, j] = (x[:, j] + rng.integers(1, levels, size=BASE_POINTS)) % levels
        now, _ = _told(outputs(changed))
        with np.errstate(invalid="ignore"):
            same = (now == base) | (np.abs(now - base) <= rounding)  # nan counts as moved
        moved[:, j] = ~same.all(axis=(0, 2))
    return moved


def _told(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What logits (B, dims, levels) tell, each beside the largest of its output; and how far rounding may move it.

    Only numbers of LARGE and below round much: one that is huge, or is added to all, hides nothing.
    """
    logits = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(logits)
    top = np.where(finite, logits, -np.inf).max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    size = np.minimum(np.abs(np.where(finite, logits, 0.0)), LARGE) + np.minimum(np.abs(top), LARGE)
    return logits - top, MOVED * (1 + size)


def is_strict_order(outputs: Callable, dims: int, levels: int, seed: int = 0, mixed: str = "") -> Finding:
    """No output depends on its own input, not even through others: "depends on" is a strict partial order.

    Any ordering of the variables is accepted. mixed: the likely slip where every output moves with every input.
    """
    moved = dependencies(outputs, dims, levels, seed)
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    required = "no output sees its own input"
    loops = in_loops(moved) + 1
    if not len(loops):
        return Finding(1.0, "no output sees its own input", required, plot=plot)
    direct = np.flatnonzero(moved.diagonal()) + 1
    slip = ""
    if len(direct):
        which = f"output {direct[0]} moves" if len(direct) == 1 else f"outputs {_listed(direct)} move"
        what = f"{which} when their own input changes" if len(direct) > 1 else f"{which} when its own input changes"
    else:
        what = f"outputs {_listed(loops)} of {dims} depend on each other in a circle"
    if moved.any(axis=0).sum() > 2 and moved[:, moved.any(axis=0)].all():  # the last input may be seen by none
        what, slip = "every output moves with every input that is seen at all", mixed
    return Finding(0.0, what, required, plot=plot, slip=slip)


def misses_nothing(networks: Iterable[Callable], dims: int, levels: int, seed: int = 0) -> Finding:
    """Of any two outputs one depends on the other's input: where no output sees itself, there is one order in which
    every output depends on *all* inputs before it.

    networks: several of one architecture with random weights, as in `sees_its_past`.
    """
    moved = _together(networks, dims, levels, seed)
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    apart = np.argwhere(np.triu(~(moved | moved.T), k=1)) + 1
    required = "of any two variables one sees the other"
    if not len(apart):
        return Finding(1.0, "every output sees all before it", required, plot=plot)
    i, j = apart[0]
    others = f"; so do {len(apart) - 1} other pairs" if len(apart) > 1 else ""
    return Finding(0.0, f"neither output {i} sees input {j} nor output {j} input {i}{others}", required, plot=plot)


def sees_its_past(
    networks: Iterable[Callable], dims: int, levels: int, seed: int = 0, explain: Callable = lambda missing: ""
) -> Finding:
    """Output i depends on all inputs 1 … i − 1, in the order of the variables; whether on others, too, is not asked.

    networks: several of one architecture with random weights. Together they must see everything: in a single tiny
    one a path may be shut by chance. explain: bool (dims, dims), the pairs that are missing -> the likely slip, or "".
    """
    moved = _together(networks, dims, levels, seed)
    plot = {"kind": "matrix", "values": moved, "x": "input", "y": "output"}
    missing = np.tri(dims, k=-1, dtype=bool) & ~moved
    required = "every output sees all inputs before it"
    if not missing.any():
        return Finding(1.0, required, required, plot=plot)
    i, j = np.argwhere(missing)[0] + 1
    others = f"; so do {int(missing.sum()) - 1} other pairs" if missing.sum() > 1 else ""
    return Finding(0.0, f"output {i} does not see input {j}{others}", required, plot=plot, slip=explain(missing))


def _together(networks: Iterable[Callable], dims: int, levels: int, seed: int) -> np.ndarray:
    """Boolean (dims, dims): which output moved with which input, in any of the networks."""
    return np.any([dependencies(outputs, dims, levels, seed) for outputs in networks], axis=0)


def log_conditionals(logits: np.ndarray) -> np.ndarray:
    """log softmax of the logits of every variable, (…, levels), in double precision."""
    from scipy.special import log_softmax

    return log_softmax(np.asarray(logits, dtype=np.float64), axis=-1)


def chain_rule(outputs: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """The density that conditionals make: x (B, dims) -> Σ_i log softmax(logits_i)[x_i], (B,).

    outputs: int64 (B, dims) -> logits (B, dims, levels).
    """

    def log_prob(x: np.ndarray) -> np.ndarray:
        log_p = log_conditionals(outputs(x))
        return np.take_along_axis(log_p, x[..., None].astype(np.int64), axis=-1)[..., 0].sum(axis=1)

    return log_prob


def sums_its_conditionals(got: np.ndarray, wanted: np.ndarray) -> Finding:
    """log_prob, (B,), is the sum of the log-conditionals, (B,)."""
    required = f"the same within {AGREE:g} of its size"
    if not np.isfinite(got).all():
        return Finding(0.0, f"{int((~np.isfinite(got)).sum())} of {got.size} log_prob are nan or infinite", required)
    error = np.abs(got - wanted) / (1 + np.abs(wanted))
    worst = int(error.argmax())
    ok = error[worst] <= AGREE
    measured = f"log_prob is {got[worst]:.5g} where Σ log softmax(logits) is {wanted[worst]:.5g}"
    if ok:
        measured = f"log_prob is Σ log softmax(logits), from {got.min():.4g} to {got.max():.4g}"
    return Finding(float(ok), measured, required, float(error[worst]), AGREE)


def exact_far(near: tuple[np.ndarray, np.ndarray], *far: tuple[np.ndarray, np.ndarray]) -> Finding:
    """log_prob is the sum of its conditionals where x is hardly possible, too.

    Pairs (log_prob, sum of the log-conditionals) of ordinary x, and of such x.
    """
    worst = min((sums_its_conditionals(*pair) for pair in far), key=lambda finding: finding.share)
    if worst.passed:
        return worst
    slip = FLOORED if sums_its_conditionals(*near).passed else "Near the data log_prob is not their sum either."
    return replace(worst, slip=slip)


def sharpest(networks: Iterable[Callable], dims: int, levels: int, count: int, seed: int = 0) -> list[int]:
    """The `count` of the networks, by number, in which every conditional depends most on what came before it.

    In a random network a conditional may hardly depend on one of its inputs, and a sampler that leaves that one out
    would pass. A network is as sharp as the weakest of its dependences: the mean distance, in total variation, that
    a conditional goes when that input is drawn anew.
    """
    grades = []
    for outputs in networks:
        rng = np.random.default_rng(seed)
        x = rng.integers(levels, size=(BASE_POINTS, dims))
        base = np.exp(log_conditionals(outputs(x)))
        weakest = np.inf
        for j in range(dims - 1):
            changed = x.copy()
            changed[:, j] = (x[:, j] + rng.integers(1, levels, size=len(x))) % levels
            distance = np.abs(np.exp(log_conditionals(outputs(changed))) - base).sum(axis=-1).mean(axis=0) / 2
            weakest = min(weakest, distance[j + 1])  # the next variable is where a wrong order shows
        grades.append(weakest if np.isfinite(weakest) else 0.0)
    return np.argsort(grades)[::-1][:count].tolist()


def knows_something(log_p: np.ndarray) -> Finding:
    """Conditionals (n, dims, levels) are not nearly even: of those any samples whatever would be typical."""
    p, levels = np.exp(log_p), log_p.shape[-1]
    entropy = float(-(p * np.where(p > 0, log_p, 0.0)).sum(axis=-1).mean())
    share = entropy / np.log(levels)
    return Finding(
        float(share <= KNOWS),
        f"the trained model’s conditionals have {share:.0%} of the entropy of equal levels",
        f"at most {KNOWS:.0%}",
        share,
        KNOWS,
        slip="A model that knows nothing gives every level the same probability.",
    )


def typical(samples: np.ndarray, log_p: np.ndarray) -> Finding:
    """Saved samples are draws of the model whose conditionals they are measured under.

    samples: int (n, dims). log_p: normalised conditional log-probabilities of every level, (n, dims, levels), at
    these samples. `Σ_i (log p(x_i | x_{<i}) + H_i)`, with H_i the entropy of the i-th conditional, is a sum of
    martingale differences: its mean is zero and its variance is the sum of the conditional ones, whatever the model.
    """
    from scipy.stats import norm

    chosen = np.take_along_axis(log_p, samples[..., None].astype(np.int64), axis=-1)[..., 0]
    p = np.exp(log_p)
    surprise = np.where(p > 0, log_p, 0.0)
    mean = (p * surprise).sum(axis=-1)  # −H_i
    variance = float((p * (surprise - mean[..., None]) ** 2).sum())
    required = f"as probable as the model's own draws (p > {TYPICAL:g})"
    if not np.isfinite(chosen).all():
        return Finding(0.0, "the model gives some of the samples no probability at all", required)
    off = float((chosen - mean).sum())
    rounding = 1e-6 * chosen.size  # a model of equal or of certain levels only has no variance
    p_value = 2 * norm.sf(abs(off) / max(np.sqrt(variance), rounding))
    nats = f"{abs(off) / len(samples):.3g} nats an image {'more' if off > 0 else 'less'} probable than its own draws"
    ok = p_value > TYPICAL
    return Finding(float(ok), f"samples are {nats} (p = {p_value:.2g})", required, p_value, TYPICAL, "p-value")


def as_probable(log_p: np.ndarray, fresh: np.ndarray) -> Finding:
    """Samples are as probable under a model as those that it draws now: log-probabilities of both, (n,) and (m,).

    For a model that tells no conditionals; where it tells them, `typical` sees more.
    """
    from scipy.stats import ks_2samp

    required = f"as probable as the model's own draws (p > {TYPICAL:g})"
    if not np.isfinite(log_p).all():
        return Finding(0.0, "the model gives some of the samples no probability at all", required)
    p_value = float(ks_2samp(log_p, fresh).pvalue)
    medians = f"log p of the samples is {np.median(log_p):.4g}, of what it draws now {np.median(fresh):.4g} (medians)"
    return Finding(float(p_value > TYPICAL), medians, required, p_value, TYPICAL, "p-value")


def in_loops(moved: np.ndarray) -> np.ndarray:
    """The outputs that depend on their own input, directly or through others."""
    reach = moved.copy()
    for k in range(len(reach)):  # Warshall's transitive closure
        reach |= np.outer(reach[:, k], reach[k])
    return np.flatnonzero(reach.diagonal())


def _listed(indices: np.ndarray) -> str:
    return ", ".join(map(str, indices))
