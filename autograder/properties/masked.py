"""Masked (absorbing) diffusion over tokens: the masks, the bound on −log p, and the chain that draws samples.

A token is a level 0 … levels − 1, or the mask, which is the level `levels`. Until time t each token has been masked
with probability t, by itself. A network tells `nats`, −log p(x_i | z), of the masked tokens given those that are shown;
everything else follows from these, exactly, wherever the masks and states are few enough to count.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import permutations
from math import comb

import numpy as np

from autograder.properties import discrete
from autograder.properties.finding import Finding

# Float32 sums of a few nats, divided by t: rounding moves the fifth digit.
EXACT = 1e-4
P_VALUE = 1e-6  # see discrete.P_VALUE
# What explains a slip has to agree this well: of a wrong explanation p is far smaller.
EXPLAINS = 1e-3
TOLD = "The network sees everything: give it z, of which some is masked, and not x."


# ---- masks and states ----------------------------------------------------------------------------------


def masks(dims: int) -> np.ndarray:
    """Every mask, bool (2**dims, dims), the empty one first: which tokens are hidden."""
    return discrete.states(dims, 2).astype(bool)


def mask_number(hidden: np.ndarray) -> np.ndarray:
    """Which of `masks` each row of hidden, bool (n, dims), is: int (n,)."""
    return hidden @ (1 << np.arange(hidden.shape[1])[::-1])


def mask_probabilities(t: float, dims: int) -> np.ndarray:
    """Of each of `masks` at time t: t^k (1 − t)^(d − k) for k hidden tokens of d."""
    k = masks(dims).sum(axis=1)
    return t**k * (1 - t) ** (dims - k)


def hide(x: np.ndarray, hidden: np.ndarray, levels: int) -> np.ndarray:
    """x with the mask where hidden."""
    return np.where(hidden, levels, x)


def partly_hidden(dims: int, levels: int) -> np.ndarray:
    """Every z of which something is hidden: int64 (n, dims)."""
    z = discrete.states(dims, levels + 1)
    return z[(z == levels).any(axis=1)]


class Conditionals:
    """log p(x_i | z) of every hidden token of every partly hidden z, as a network tells them.

    logits: int64 (B, dims) -> (B, dims, levels), which is asked once for each z, in shuffled order.
    """

    def __init__(self, logits: Callable[[np.ndarray], np.ndarray], dims: int, levels: int, seed: int = 0):
        from scipy.special import log_softmax

        self.dims, self.levels = dims, levels
        z = np.random.default_rng(seed).permutation(partly_hidden(dims, levels))
        with np.errstate(invalid="ignore"):  # of what is shown any logits will do
            log_p = log_softmax(np.asarray(logits(z), dtype=np.float64), axis=-1)
        self._table = np.full(((levels + 1) ** dims, dims, levels), np.nan)
        self._table[self._number(z)] = np.where((z == levels)[..., None], log_p, np.nan)

    def _number(self, z: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index(z.T, (self.levels + 1,) * self.dims)

    def log_p(self, z: np.ndarray) -> np.ndarray:
        """(n, dims) -> (n, dims, levels); nan of what is shown."""
        return self._table[self._number(z)]

    def nats(self, x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """−log p(x_i | z) of each token that is hidden in x, 0 of the others: (n, dims) both -> (n, dims)."""
        log_p = self.log_p(hide(x, hidden, self.levels))
        picked = np.take_along_axis(log_p, x[..., None], axis=-1)[..., 0]
        return np.where(hidden, -picked, 0.0)

    def by_mask(self, x: np.ndarray) -> np.ndarray:
        """Nats of all that is hidden, for each mask and example: (n, dims) -> (2**dims, n)."""
        return np.stack([self.nats(x, np.broadcast_to(m, x.shape)).sum(axis=1) for m in masks(self.dims)])

    def of_order(self, x: np.ndarray, order: Iterable[int]) -> np.ndarray:
        """−log p(x) where the tokens are drawn in this order: (n, dims) -> (n,)."""
        hidden, total = np.ones(x.shape, dtype=bool), np.zeros(len(x))
        for i in order:
            total += self.nats(x, hidden)[:, i]
            hidden[:, i] = False
        return total

    def of_orders(self, x: np.ndarray) -> np.ndarray:
        """The same for every order: (dims!, n)."""
        return np.stack([self.of_order(x, order) for order in permutations(range(self.dims))])

    def bound(self, x: np.ndarray) -> np.ndarray:
        """The bound on −log p(x): (n, dims) -> (n,).

        Σ over masks of ∫ t^(k−1) (1 − t)^(d−k) dt = 1 / (k C(d, k)) times the nats of the k that are hidden.
        """
        return bound_weights(self.dims) @ self.by_mask(x)


def bound_weights(dims: int) -> np.ndarray:
    """What each of `masks` counts in the bound: 1 / (k C(d, k)), and nothing where nothing is hidden."""
    return np.array([1 / (k * comb(dims, k)) if k else 0.0 for k in masks(dims).sum(axis=1)])


def excess_nats(conditionals: Conditionals, pmf: np.ndarray) -> float:
    """E[bound] − entropy in nats over an exact pmf, (levels,) * dims: never below zero, whatever the network."""
    x, p = discrete.states(pmf.ndim, pmf.shape[0]), pmf.ravel()
    x, p = x[p > 0], p[p > 0]
    return float(p @ conditionals.bound(x) + p @ np.log(p))


# ---- hiding tokens -------------------------------------------------------------------------------------


def hides_with_probability_t(z: np.ndarray, x: np.ndarray, t: np.ndarray, levels: int) -> Finding:
    """z is x with each token masked with probability t, by itself: int (n, dims), (n, dims), t (n,) of a few values."""
    required = f"each token is masked with probability t, by itself (p > {P_VALUE:g})"
    hidden = z == levels
    changed = int(((z != x) & ~hidden).sum())
    if changed:
        slip = "" if hidden.any() else f"The mask is the token {levels}, one more than the last level."
        return Finding(0.0, f"{changed:,} tokens are neither x nor the mask", required, slip=slip)
    for time, wanted, said in ((0.0, False, "none"), (1.0, True, "all")):
        wrong = int((hidden[t == time] != wanted).sum())
        if wrong:
            measured = f"at t = {time:g} {int(hidden[t == time].sum())} of {hidden[t == time].size} tokens are masked"
            return Finding(0.0, measured, f"{said} of them", slip=_how_hidden(hidden, t))
    between = [time for time in np.unique(t) if 0 < time < 1]
    p_values = [as_frequent(hidden[t == time], mask_probabilities(time, x.shape[1])) for time in between]
    worst = int(np.argmin(p_values))
    p_value = min(1.0, len(p_values) * p_values[worst])
    share = hidden[t == between[worst]].mean()
    measured = (
        f"at t = {between[worst]:g} {share:.1%} of the tokens are masked, p = {p_value:.2g} for how they go together"
    )
    ok = p_value > P_VALUE
    return Finding(
        float(ok), measured, required, p_value, P_VALUE, "p-value", slip="" if ok else _how_hidden(hidden, t)
    )


def as_frequent(hidden: np.ndarray, p: np.ndarray) -> float:
    """The p-value of χ²: masks (n, dims) are as frequent as p says."""
    from scipy.stats import chisquare

    counts = np.bincount(mask_number(hidden), minlength=len(p))
    return float(chisquare(counts, len(hidden) * p / p.sum()).pvalue)


def _how_hidden(hidden: np.ndarray, t: np.ndarray) -> str:
    """What the masks look like that are not as they should be."""
    shares = {float(time): hidden[t == time].mean() for time in np.unique(t)}
    if all(abs(share - (1 - time)) < 0.05 for time, share in shares.items()):
        return "Tokens are shown with probability t: it is the probability of the mask, torch.rand(…) < t."
    if len({round(share, 1) for share in shares.values()}) == 1:
        return "All examples are masked alike, whatever their t: compare with t[:, None], a time for each example."
    if (hidden.all(axis=1) | ~hidden.any(axis=1)).all():
        return "All tokens of an example are masked together: draw a number for each token, torch.rand(x.shape)."
    if all((hidden[t == time] == hidden[t == time][:1]).all() for time in shares):
        return "The same tokens are masked in every example: draw a number for each token of each example."
    return ""


# ---- the loss and the bound ----------------------------------------------------------------------------


def counts_what_is_hidden(
    got: np.ndarray, conditionals: Conditionals, x: np.ndarray, hidden: np.ndarray, told: np.ndarray
) -> Finding:
    """got (n,) is the sum of −log p(x_i | z) over the hidden tokens of x (n, dims).

    told: −log p(x_i | x) of each token, by a network that sees the example itself, (n, dims).
    """
    nats, k = conditionals.nats(x, hidden), hidden.sum(axis=1)
    total = nats.sum(axis=1)
    slips = {
        "It is the mean over the masked tokens, not their sum.": total / np.maximum(k, 1),
        "It is divided by the number of tokens: it is a sum, not a mean.": total / x.shape[1],
        "Its sign is wrong: nats are −log p.": -total,
        "It is in bits: take the natural logarithm.": total / np.log(2),
        TOLD: np.where(hidden, told, 0).sum(axis=1),
    }
    slip = next((s for s, wrong in slips.items() if _largest(got, wrong) <= EXACT), "")
    more = "Tokens that are shown count, too: they are no surprise, add those that are masked only."
    if not slip and _largest(got[k == x.shape[1]], total[k == x.shape[1]]) <= EXACT:
        slip = more
    return same_numbers(got, total, "nats(x, z)", "Σ over the masked tokens of −log softmax(logits_i(z))[x_i]", slip)


def is_weighted(
    got: np.ndarray,
    t: np.ndarray,
    by_mask: np.ndarray,
    told: np.ndarray,
    frequent: Callable[[np.ndarray, np.ndarray], float],
) -> Finding:
    """Draws of the loss are the nats of what a mask hides, divided by t, with masks as frequent as they should be.

    got, t: (n,), of one example at several times. by_mask: (2**dims,), the nats that each mask hides.
    told: the same of a network that sees the example itself. frequent: (numbers of the masks, t) -> the p-value of
    their frequencies.
    """
    required = "1 / t · Σ over the masked tokens of −log p(x_i | z), z drawn at time t"
    if not np.isfinite(got).all():
        return Finding(0.0, f"{int((~np.isfinite(got)).sum())} of {len(got)} losses are nan or infinite", required)
    number, off = _nearest(got, by_mask / t[:, None])
    if off > EXACT:
        slip = next((s for s, wrong in _weightings(by_mask, told, t).items() if _nearest(got, wrong)[1] <= EXACT), "")
        measured = f"some losses are those of no mask, by {off:.2g} of their size"
        return Finding(0.0, measured, required, off, EXACT, slip=slip)
    p_value = frequent(number, t)
    measured = f"the loss of {len(np.unique(number))} masks, p = {p_value:.2g} for how often each comes up"
    slip = "" if p_value > P_VALUE else "Its masks are not those of time t: draw z = corrupt(x, t) with the t of each."
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value", slip=slip)


def _weightings(by_mask: np.ndarray, told: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
    """{slip: what the loss would be of each mask, (n, 2**dims)}."""
    k = masks(int(np.log2(len(by_mask)))).sum(axis=1)
    t, dims = t[:, None], int(k.max())
    with np.errstate(divide="ignore"):
        return {
            "It is not weighted: divide by t.": by_mask + 0 * t,
            "The weight is inverted: divide by t, do not multiply.": by_mask * t,
            "The weight is that of the tokens that are shown: 1 / t, not 1 / (1 − t).": by_mask / (1 - t),
            "It is divided by the number of masked tokens, not by t.": by_mask / np.maximum(k, 1) + 0 * t,
            "It is divided by the number of tokens, too: sum over the tokens.": by_mask / t / dims,
            "The sum is divided by t twice.": by_mask / t**2,
            TOLD: told / t,
        }


def _nearest(got: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, float]:
    """(which of its candidates each is nearest to, how far off the farthest is, relative to its size)."""
    error = np.abs(got[:, None] - candidates)
    number = error.argmin(axis=1)
    least = error[np.arange(len(got)), number] / (1 + np.abs(got))
    return number, float(np.nan_to_num(least, nan=np.inf).max())


def is_the_bound(got: np.ndarray, conditionals: Conditionals, x: np.ndarray) -> Finding:
    """got (n,) is the bound of each of x (n, dims), over all masks."""
    dims, by_mask, orders = x.shape[1], conditionals.by_mask(x), conditionals.of_orders(x)
    k = masks(dims).sum(axis=1)
    wanted, some = conditionals.bound(x), np.maximum(k, 1)
    of_size = np.array([1 / comb(dims, n) for n in k])
    slips = {
        "1 / k is missing: masks that hide k tokens weigh 1 / (k C(d, k)).": of_size @ by_mask,
        "C(d, k) is missing: there are that many masks with k tokens, and they share the weight 1 / k.": (1 / some)
        @ by_mask,
        "All masks weigh alike: a mask that hides k tokens weighs 1 / (k C(d, k)).": by_mask[1:].mean(axis=0),
        "All masks weigh one: a mask that hides k tokens weighs 1 / (k C(d, k)).": by_mask.sum(axis=0),
        "That is the chain rule in one order: the bound is the mean over all orders.": conditionals.of_order(
            x, range(dims)
        ),
        "That is the one mask that hides everything.": by_mask[-1],
        "It is divided by the number of tokens: it is a sum, not a mean.": wanted / dims,
        "Its sign is wrong: it bounds −log p(x).": -wanted,
        "That is −log of the mean over the orders, which the bound is never below: average the nats.": -_log_mean(
            -orders
        ),
    }
    slip = next((s for s, wrong in slips.items() if _largest(got, wrong) <= EXACT), "")
    found = same_numbers(
        got, wanted, "bound(x)", "Σ over masks of 1 / (k C(d, k)) · the nats of the k that it hides", slip
    )
    below = float((-_log_mean(-orders) - got).max())
    if not found.passed and not slip and below > EXACT:
        return replace(found, slip=f"It lies {below:.3g} nats below −log p(x): no bound does. Is every mask there?")
    return found


def _log_mean(log_p: np.ndarray) -> np.ndarray:
    """log of the mean of exp(log_p) over the first axis."""
    from scipy.special import logsumexp

    return logsumexp(log_p, axis=0) - np.log(len(log_p))


def _largest(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, relative to the size."""
    with np.errstate(invalid="ignore"):
        error = np.abs(got - wanted) / (1 + np.abs(wanted))
    return float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).max(initial=0.0))


def same_numbers(got: np.ndarray, wanted: np.ndarray, name: str, formula: str, slip: str = "") -> Finding:
    """Two arrays (n,) are equal, up to rounding."""
    off = _largest(got, wanted)
    worst = int(np.nan_to_num(np.abs(got - wanted) / (1 + np.abs(wanted)), nan=np.inf).argmax())
    measured = f"{name} is right to {off:.1g}"
    if off > EXACT:
        measured = f"{name} is {got[worst]:.5g} where it should be {wanted[worst]:.5g}"
    required = f"{formula}, within {EXACT:g}"
    return Finding(float(off <= EXACT), measured, required, off, EXACT, slip=slip if off > EXACT else "")


# ---- steps back, and the chain that they make ----------------------------------------------------------


def keeps_what_is_shown(after: np.ndarray, before: np.ndarray, levels: int) -> Finding:
    """A step back changes no token that is shown: int (n, dims) both."""
    shown = before != levels
    changed = int((after != before)[shown].sum())
    measured = f"{changed:,} of {int(shown.sum()):,} tokens that were shown have changed"
    return Finding(float(not changed), measured, "what is shown stays as it is")


def step_probabilities(conditionals: Conditionals, z: np.ndarray, stay: float) -> np.ndarray:
    """Of every state, tokens and masks, after a step back from z (dims,): ((levels + 1)**dims,).

    stay: the probability that a mask stays one.
    """
    d, levels = len(z), conditionals.levels
    p = np.ones(())
    log_p = conditionals.log_p(z[None])[0]
    for i in range(d):
        of_token = np.zeros(levels + 1)
        if z[i] == levels:
            of_token[:levels], of_token[levels] = (1 - stay) * np.exp(log_p[i]), stay
        else:
            of_token[z[i]] = 1.0
        p = np.multiply.outer(p, of_token)
    return p.ravel()


def steps_back(after: np.ndarray, z: np.ndarray, t: float, s: float, conditionals: Conditionals) -> Finding:
    """States `after` (n, dims) of steps from time t to s, all from the same z (dims,), are as frequent as they should.

    Of the tokens that are hidden in z; those that are shown are for `keeps_what_is_shown`.
    """
    levels, hidden = conditionals.levels, z == conditionals.levels
    outside = int(((after < 0) | (after > levels)).sum())
    required = f"each mask is lifted with probability (t − s) / t, and then drawn from p(x_i | z) (p > {P_VALUE:g})"
    if outside:
        return Finding(0.0, f"{outside:,} tokens lie outside the levels 0 … {levels}", required)
    after = np.where(hidden, after, z)
    if s == 0 and (after == levels).any():
        share = float((after == levels)[:, hidden].mean())
        return Finding(0.0, f"{share:.1%} of the masks are still there at s = 0", "none: the last step lifts them all")
    p_value, distance = _fits(after, step_probabilities(conditionals, z, s / t), levels)
    ok = p_value > P_VALUE
    slip = "" if ok else _how_stepped(after, z, t, s, conditionals)
    lifted = float((after != levels)[:, hidden].mean())
    measured = (
        f"{lifted:.1%} of the masks are lifted from t = {t:g} to s = {s:g}, {distance:.1%} of the states misplaced"
    )
    return Finding(float(ok), f"{measured} (p = {p_value:.2g})", required, p_value, P_VALUE, "p-value", slip=slip)


def _how_stepped(after: np.ndarray, z: np.ndarray, t: float, s: float, conditionals: Conditionals) -> str:
    levels, hidden = conditionals.levels, z == conditionals.levels
    lifted = (after != levels)[:, hidden]
    others = {
        "Masks are lifted with probability t − s: of those that are still there it is (t − s) / t.": 1 - (t - s),
        "Masks stay with probability (t − s) / t, and should be lifted with it.": 1 - s / t,
        "Masks are lifted with probability 1 − s: of those that are there at t it is (t − s) / t.": s,
        "All masks are lifted at once: that is right at s = 0 only.": 0.0,
    }
    for slip, stay in others.items():
        if _fits(after, step_probabilities(conditionals, z, stay), levels)[0] > EXPLAINS:
            return slip
    if hidden.sum() > 1 and not lifted.all() and (lifted.all(axis=1) | ~lifted.any(axis=1)).all():
        return "All masks of an example are lifted together: draw a number for each token."
    likely = conditionals.log_p(z[None])[0].argmax(axis=-1)
    if (np.where(after == levels, likely, after) == likely)[:, hidden].all():
        return "The most likely token is taken: draw one from softmax(logits)."
    return ""


def _fits(states: np.ndarray, p: np.ndarray, levels: int) -> tuple[float, float]:
    """(p-value, total variation) of states with masks, (n, dims), against probabilities ((levels + 1)**dims,)."""
    counts = np.bincount(np.ravel_multi_index(states.T, (levels + 1,) * states.shape[1]), minlength=len(p))
    if counts[p <= 0].any():
        return 0.0, float(np.abs(counts / counts.sum() - p).sum() / 2)
    return discrete._p_value(counts, len(states) * p), float(np.abs(counts / counts.sum() - p).sum() / 2)


def chain(conditionals: Conditionals, steps: int) -> np.ndarray:
    """What `steps` even steps back from all masks draw, exactly: probabilities of all states, (levels,) * dims."""
    dims, levels = conditionals.dims, conditionals.levels
    every = discrete.states(dims, levels + 1)
    p = np.zeros(len(every))
    p[-1] = 1.0
    for k in range(steps):
        t, s = 1 - k / steps, 1 - (k + 1) / steps
        hidden = (every == levels).any(axis=1)
        after = np.where(hidden, 0.0, p)
        for n in np.flatnonzero(hidden & (p > 0)):
            after = after + p[n] * step_probabilities(conditionals, every[n], s / t)
        p = after
    return p.reshape((levels + 1,) * dims)[(slice(levels),) * dims]


def samples_follow(
    samples: np.ndarray, steps: int, conditionals: Conditionals, explained: Mapping[str, int], seed: int = 0
) -> Finding:
    """Samples (n, dims) are drawn by the chain of so many steps. explained: {slip: the number of steps it takes}."""
    if (samples == conditionals.levels).any():
        share = float((samples == conditionals.levels).mean())
        slip = "The last step ends at s = 0, where every mask is lifted."
        return Finding(0.0, f"{share:.1%} of the sampled tokens are masks", "no mask is left", slip=slip)
    found = _match(samples, chain(conditionals, steps), seed)
    if found.passed:
        return found
    slip = next((s for s, n in explained.items() if _match(samples, chain(conditionals, n), seed).passed), "")
    return replace(found, measured=f"with {steps} steps, {found.measured}", slip=slip)


def _match(samples: np.ndarray, pmf: np.ndarray, seed: int) -> Finding:
    with np.errstate(divide="ignore"):
        log_p = np.log(pmf)
    return discrete.sampler_matches(samples, lambda x: log_p[tuple(x.T)], pmf.shape[0], seed)


def drawn_alike(a: np.ndarray, b: np.ndarray, levels: int) -> float:
    """The p-value of χ²: two samples of states (n, dims) have one distribution; 0 where one has what is no state."""
    from scipy.stats import chi2_contingency

    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= levels:
        return 0.0
    dims = a.shape[1]
    counts = np.stack(
        [np.bincount(np.ravel_multi_index(x.T, (levels,) * dims), minlength=levels**dims) for x in (a, b)]
    )
    order = np.argsort(counts.sum(axis=0))
    group = np.cumsum(counts[:, order].sum(axis=0)) // (4 * discrete.FEW)
    merged = np.stack([np.bincount(group, c[order]) for c in counts])
    merged = merged[:, merged.sum(axis=0) > 0]
    return 1.0 if merged.shape[1] < 2 else float(chi2_contingency(merged).pvalue)
