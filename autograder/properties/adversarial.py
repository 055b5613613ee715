"""Games of a generator and a discriminator: losses at given logits, steps that move the right player, penalties.

Logits are (B,); gradients and moves are {parameter: array or None}.
"""

from collections.abc import Callable

import numpy as np

from autograder.properties.finding import Finding
from autograder.properties.latent import formula

# Float32 losses of a thousand logits keep five digits.
EXACT = 1e-4
# Both sides of a comparison of gradients are means over draws of noise. With 20,000 draws they differ by 1 to 2 % of
# their size; a wrong sign, a wrong loss or half of it missing by a half and more.
GRADIENT = 0.15
# What may move although it must not: nothing, but for rounding in θ − rate · 0.
STILL = 1e-7
# Rare enough for a class of hundreds with several such checks each; see discrete.P_VALUE.
P_VALUE = 1e-6
# A discriminator's loss may be so far above the least possible, in nats: one that was trained beside its generator is
# 0.05 and less above it at the end, and one that knows nothing, beside a generator that knows nothing, more than 1.
REGRET = 0.3
# So many spreads apart may the mean and the spread of a few dozen values be, and still be those of a known slip.
NAMED = 1.2
SHARED = 2.0  # times as wide: means over a batch whose samples hang together
UNTOLD = 0.02  # nats by which a discriminator that tells anything beats log 4
EXTREME = 100.0  # σ(±100) is 0 or 1 in float32, and its logarithm infinite; σ(30) too
ROUNDED = 0.02  # so far off is the logarithm of a σ in float32 at logits of 10 and less


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + eˣ), of any x."""
    return np.logaddexp(0, np.asarray(x, dtype=np.float64))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """σ(x) = 1 / (1 + e⁻ˣ), of any x."""
    return np.exp(-softplus(-np.asarray(x)))


def hinge(x: np.ndarray) -> np.ndarray:
    """max(0, 1 + x)."""
    return np.maximum(0, 1 + np.asarray(x, dtype=np.float64))


# ---- losses at given logits ----------------------------------------------------------------------------


def logits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of data and of samples, small and large: float32 (n,) each."""
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(0.5, 3, size=n), rng.normal(-0.5, 3, size=n)
    return real.astype(np.float32), fake.astype(np.float32)


def discriminator_loss_is_right(loss: Callable[[np.ndarray, np.ndarray], float], seed: int = 0) -> Finding:
    """loss(real, fake) = −mean log σ(real) − mean log(1 − σ(fake)), also at ±100."""

    def right(real, fake):
        return softplus(-real).mean() + softplus(fake).mean()

    slips = {
        "Data and samples are exchanged: data should be called data.": lambda r, f: right(-r, -f),
        "Its sign is wrong: it is minimised, so it is minus the logarithms.": lambda r, f: -right(r, f),
        "It is half of the sum of both means.": lambda r, f: right(r, f) / 2,
        "It is summed over the batch: it is a mean over data plus a mean over samples.": lambda r, f: (
            len(r) * right(r, f)
        ),
        "The term of the samples is missing.": lambda r, f: softplus(-r).mean(),
        "The term of the data is missing.": lambda r, f: softplus(f).mean(),
        "The samples are called data, too.": lambda r, f: softplus(-r).mean() + softplus(-f).mean(),
    }
    return _at_logits(loss, right, slips, 2, "the discriminator's loss", seed)


def generator_loss_is_right(loss: Callable[[np.ndarray], float], saturating: bool, seed: int = 0) -> Finding:
    """loss(fake) = mean log(1 − σ(fake)) where saturating, else −mean log σ(fake); also at ±100."""
    minimax, better = (lambda f: -softplus(f).mean()), (lambda f: softplus(-f).mean())
    right, other = (minimax, better) if saturating else (better, minimax)
    names = ("minimax", "non-saturating")
    name, theirs = names if saturating else names[::-1]
    does = "is what the discriminator minimises for samples" if saturating else "drives samples away from the data"
    slips = {
        f"This is the {theirs} loss.": other,
        f"Its sign is wrong: this {does}.": lambda f: -right(f),
        "It is summed over the batch, and should be a mean.": lambda f: len(f) * right(f),
        "Its sign is wrong, and it is the other loss.": lambda f: -other(f),
    }
    return _at_logits(loss, right, slips, 1, f"the {name} loss", seed)


def _at_logits(loss: Callable, right: Callable, slips: dict[str, Callable], inputs: int, name: str, seed: int):
    """A loss of so many arrays of logits, at small and at extreme ones."""
    required = f"the formula, within {EXACT:g} of its size, at logits from −{EXTREME:g} to {EXTREME:g}"
    cases = [logits(n, seed + n)[-inputs:] for n in (1, 7, 300)]
    signs = ((-1, -1, -1), (1, 1, 1), (-1, 0, 1))
    extremes = [size * np.array(s, dtype=np.float32) for size in (EXTREME, 0.3 * EXTREME) for s in signs]
    cases += [(e, -e[::-1].copy())[-inputs:] for e in extremes]
    got, wanted = (np.array([float(f(*case)) for case in cases]) for f in (loss, right))
    off = np.nan_to_num(np.abs(got - wanted) / (1 + np.abs(wanted)), nan=np.inf)
    worst = int(off.argmax())
    if off[worst] <= EXACT:
        return Finding(1.0, f"{name} is right, to {off[worst]:.0e}", required)
    few = slice(0, 3)
    if off[few].max() <= ROUNDED:
        measured = f"{name} is right at small logits, and {got[worst]:.4g} where it should be {wanted[worst]:.4g}"
        slip = "σ(±100) is 0 or 1 in float32: use softplus or logsigmoid of the logits, not the logarithm of σ."
        return Finding(0.0, measured, required, slip=slip)
    measured = f"{name} is {got[worst]:.4g} where it should be {wanted[worst]:.4g}"
    with np.errstate(over="ignore"):
        said = (s for s, f in slips.items() if np.allclose([float(f(*c)) for c in cases[few]], got[few], rtol=1e-3))
        slip = next(said, "") or _smoothed(cases[few], got[few], wanted[few])
    return Finding(0.0, measured, required, slip=slip)


def _smoothed(cases: list, got: np.ndarray, wanted: np.ndarray) -> str:
    """The labels with which a cross-entropy of real and fake logits would be `got`, if they are smoothed ones.

    With labels a and b in place of 1 and 0 the loss grows by (1 − a) mean(real) + b mean(−fake).
    """
    if len(cases[0]) != 2 or not np.isfinite(got).all():
        return ""
    means = np.array([[real.mean(), -fake.mean()] for real, fake in cases], dtype=np.float64)
    (of_data, of_samples), *_ = np.linalg.lstsq(means, got - wanted, rcond=None)
    if not np.allclose(means @ (of_data, of_samples), got - wanted, atol=1e-3):
        return ""
    if min(of_data, of_samples) < -0.01 or max(of_data, of_samples) > 0.5:
        return ""
    labels = f"{round(1 - of_data, 2):g} for data, {round(max(0, of_samples), 2):g} for samples"
    return f"The labels are smoothed ({labels}). Here they are 1 and 0: with others D is not ½ at the fixed point."


# ---- the players ---------------------------------------------------------------------------------------


def are_logits(said: np.ndarray) -> Finding:
    """What discriminators with random weights say of data and of points far away, (B,), has no bounds and both signs.

    A sigmoid at a discriminator's end keeps to [0, 1]; the losses take a second one of it.
    """
    required = "logits: any number, below 0 and above, larger than 1 too"
    low, high = float(np.min(said)), float(np.max(said))
    measured = f"discriminators with random weights say {low:.3g} to {high:.3g}, also of points far away"
    if not np.isfinite(said).all():
        return Finding(0.0, "what they say is nan or infinite", required)
    slip = ""
    if low >= 0 and high <= 1:
        slip = "A sigmoid at the discriminator's end: the losses take σ themselves. Its last layer is linear."
    elif low >= -1 and high <= 1:
        slip = "A tanh at the discriminator's end? Its last layer is linear."
    elif low >= 0 or high <= 0:
        slip = "An activation at the discriminator's end? Its last layer is linear."
    return Finding(float(not slip), measured, required, slip=slip)


def is_plain_noise(z: np.ndarray) -> Finding:
    """Draws of z, (n, latents), are normal or uniform, coordinate by coordinate, and these independent."""
    from scipy.stats import kstest

    required = "noise, as N(0, I) or uniform: independent numbers that know nothing of the data"
    n, d = z.shape
    spread = z.std(axis=0)
    if not np.isfinite(z).all() or not (spread > 0).all() or len(np.unique(z, axis=0)) < n:
        return Finding(0.0, "noise(n) gives the same numbers again, or none", required)
    each = (z - z.mean(axis=0)) / spread
    related = np.abs(np.corrcoef(each.T) - np.eye(d)).max() if d > 1 else 0.0
    normal = kstest(each.ravel(), "norm").pvalue
    even = kstest(each.ravel(), "uniform", args=(-np.sqrt(3), 2 * np.sqrt(3))).pvalue
    ok = max(normal, even) > P_VALUE and related < 7 / np.sqrt(n)
    measured = "noise(n) is noise" if ok else "noise(n) is neither normal nor uniform, or its coordinates are related"
    return Finding(float(ok), measured, required)


def repeats(once: np.ndarray, again: np.ndarray) -> Finding:
    """In eval mode the generator gives the same x for the same z, (B, …), whatever else is drawn."""
    off = float(np.nan_to_num(np.abs(once - again).max(), nan=np.inf))
    ok = off <= EXACT * (1 + np.abs(once).max())
    measured = (
        "the same z gives the same x" if ok else f"the same z gives another x when it is asked again, {off:.2g} off"
    )
    slip = "" if ok else "In eval mode G draws nothing itself, and hands out no data: all chance is in z."
    return Finding(float(ok), measured, "x = G(z), a function of z", slip=slip)


def sees_one_at_a_time(said: np.ndarray, among_others: np.ndarray) -> Finding:
    """Logits (B,) of a batch, and of one in which every second example is another: the rest is as it was.

    Both with the same random numbers: dropout drops the same.
    """
    off = float(np.nan_to_num(np.abs(said - among_others)[::2].max(), nan=np.inf))
    ok = off <= EXACT * (1 + np.abs(said).max())
    measured = (
        "each row depends on its own example alone" if ok else f"a logit changes by {off:.2g} with its neighbours"
    )
    slip = "" if ok else "It mixes the examples of a batch: no batch normalisation in the discriminator."
    return Finding(float(ok), measured, "each row depends on its own example alone, in training mode too", slip=slip)


# ---- the discriminator's best -----------------------------------------------------------------------------


def is_nearly_the_best(real: np.ndarray, fake: np.ndarray, divergence: float) -> Finding:
    """A discriminator's loss, at logits of data and of samples, (B,) each, is near the least that is possible.

    That is log 4 − 2 JS(p ‖ p_G), the loss of D* = p / (p + p_G). divergence: JS(p ‖ p_G), in nats.
    Goodfellow et al. (2014), theorem 1.
    """
    with np.errstate(invalid="ignore"):
        loss, best = softplus(-real).mean() + softplus(fake).mean(), np.log(4) - 2 * divergence
    regret = float(np.nan_to_num(loss - best, nan=np.inf))
    ok = regret <= REGRET
    measured = f"its loss is {loss:.3f}, the best discriminator's would be {best:.3f}"
    if ok:
        slip = ""
    elif loss > np.log(4) + UNTOLD:
        slip = (
            "It is sure, and wrong: it takes samples for data. Either its steps do not move it, or the generator has "
            "run away from it: then more steps of D a round."
        )
    elif loss > np.log(4) - UNTOLD:
        slip = "It tells nothing, though samples and data differ: its steps do not move it, or G has just run away."
    else:
        slip = (
            "It tells samples from data, but not as well as it could: more steps of D a round, or a higher rate for it."
        )
    return Finding(float(ok), measured, f"at most {REGRET:g} above the best", regret, REGRET, slip=slip)


# ---- steps ---------------------------------------------------------------------------------------------


def moves_alone(moved: dict, part: str) -> Finding:
    """A step moved parameters of self.part, and no other."""
    own = {k: v for k, v in moved.items() if k.startswith(f"{part}.")}
    required = f"it moves all of self.{part} and nothing else"
    strays = [k for k, v in moved.items() if k not in own and np.abs(v).max(initial=0) > STILL]
    if strays:
        return Finding(0.0, f"it moves {strays[0]}", required)
    still = [k for k, v in own.items() if not np.abs(v).max(initial=0) > 0]
    if len(still) == len(own):
        slip = "Is there a backward() before optimizer.step()? Or are its gradients cut off?"
        return Finding(0.0, f"it does not move self.{part} at all", required, slip=slip)
    return Finding(1.0, f"it moves self.{part}", required)


def leaves_none(left: dict, part: str) -> Finding:
    """After a step no parameter of self.part has a gradient, of {parameter: the gradient left, or None}."""
    found = [k for k, g in left.items() if k.startswith(f"{part}.") and g is not None and np.any(g)]
    measured = f"it leaves a gradient in {found[0]}" if found else f"it leaves none in self.{part}"
    slip = "The samples are constants of this step: detach them." if found else ""
    return Finding(float(not found), measured, f"no gradient in self.{part}", slip=slip)


def same_direction(got: dict, wanted: dict, what: str, slip: str = "") -> Finding:
    """Two gradients, of the same means over different draws, are the same up to the noise of the draws."""
    a, b = (_flat(g, wanted) for g in (got, wanted))
    size = np.linalg.norm(b)
    required = f"the gradient of {what}, within {GRADIENT:.0%}"
    off = float(np.nan_to_num(np.linalg.norm(a - b) / size, nan=np.inf))
    if off <= GRADIENT:
        return Finding(1.0, f"the gradient is right to {off:.1%}", required, off, GRADIENT)
    along = float(np.nan_to_num(a @ b / size**2))
    rest = np.linalg.norm(a - along * b) / size
    measured = f"it differs from the gradient of {what} by {off:.0%} of its size"
    if rest < GRADIENT and along < 0:
        measured = f"it goes the opposite way of the gradient of {what}"
        slip = slip or "A sign is wrong: descend the player's own loss."
    elif rest < GRADIENT and abs(along) > 1 + GRADIENT / 2:
        measured = f"it is {along:.2g} times the gradient of {what}"
    return Finding(0.0, measured, required, off, GRADIENT, slip=slip)


def is_as_without(got: dict, alone: dict, player: str, before: str) -> Finding:
    """A step has one gradient, {parameter: array}, whether or not a step of the player `before` went ahead of it.

    Both are means over other draws.
    """
    names = {"discriminator": "discriminator’s", "generator": "generator’s"}
    required = f"the {names[player]} step is the same after a {names[before]} step"
    if not any(np.any(g) for g in alone.values() if g is not None):
        return Finding(0.0, f"the {names[player]} step by itself moves nothing", required)
    found = same_direction(got, alone, f"the {player}")
    if found.value <= 2 * GRADIENT:  # type: ignore[operator]  # it is measured
        return Finding(1.0, "no step heeds what another left", required, found.value, 2 * GRADIENT)
    slip = (
        f"Gradients that the {names[before]} step left in the {player} were not cleared: optimizer.zero_grad() before "
        "backward()."
    )
    measured = f"after a {names[before]} step the {names[player]} step is another, by {found.value:.0%} of its size"
    return Finding(0.0, measured, required, found.value, 2 * GRADIENT, slip=slip)


def _flat(grads: dict, like: dict) -> np.ndarray:
    """Gradients as one vector; none is zero."""
    parts = [np.zeros_like(like[k]) if grads.get(k) is None else grads[k] for k in like if like[k] is not None]
    return np.concatenate([np.asarray(p, dtype=np.float64).ravel() for p in parts])


def combined(*weighted: tuple[float, dict]) -> dict:
    """Σ weight · gradient, parameter by parameter; none where all have none."""
    terms = {k: [] for _, grads in weighted for k in grads}  # type: dict[str, list]
    for weight, grads in weighted:
        for k, grad in grads.items():
            if grad is not None:
                terms[k].append(weight * grad)
    return {k: sum(parts, start=np.float64(0)) if parts else None for k, parts in terms.items()}


def only_of(grads: dict, part: str, parameters: dict) -> Finding:
    """A loss has a gradient for all weights of self.part; and none for any other parameter.

    parameters: {name: values}. Biases may have none: the last one shifts every logit alike.
    """
    required = f"a gradient for self.{part} and for nothing else"
    reached = {k for k, g in grads.items() if g is not None and np.any(g)}
    strays = sorted(k for k in reached if not k.startswith(f"{part}."))
    if strays:
        return Finding(0.0, f"it has a gradient for {strays[0]}", required)
    missing = [k for k, p in parameters.items() if k.startswith(f"{part}.") and k not in reached and p.ndim > 1]
    if missing:
        return Finding(0.0, f"it has no gradient for {missing[0]}", required)
    return Finding(1.0, f"it has one for self.{part} only", required)


# ---- objectives with noise -----------------------------------------------------------------------------


def objective_is(got: np.ndarray, wanted: np.ndarray, name: str, slips: dict[str, np.ndarray]) -> Finding:
    """Values of a loss that draws noise, (k,), have the mean and the spread of those that we drew ourselves, (m,).

    slips: what else they may be the values of. Welch's test of the means, that of Brown and Forsythe of the spread
    (noise that is the same at every call has none), and Kolmogorov–Smirnov for all else.
    """
    from scipy.stats import ks_2samp, levene, ttest_ind

    required = f"{name} (p > {P_VALUE:g})"
    got = np.asarray(got, dtype=np.float64)
    if not np.isfinite(got).all():
        return Finding(0.0, "it is nan or infinite", required)
    a, b = _shaken(got, wanted)
    tests = ttest_ind(a, b, equal_var=False), levene(a, b), ks_2samp(a, b)
    p_value = float(min(1.0, len(tests) * min(test.pvalue for test in tests)))
    measured = f"{got.mean():.4g} ± {got.std():.2g}, should be {wanted.mean():.4g} ± {wanted.std():.2g}"
    slip = ""
    if p_value <= P_VALUE:
        spread = max(a.std(), b.std())
        fits = {s: abs(got.mean() - v.mean()) / spread + abs(got.std() - v.std()) / spread for s, v in slips.items()}
        best = min(fits, key=fits.get, default="")  # type: ignore[arg-type]  # each has its value
        slip = best if best and fits[best] < NAMED else ""
        if tests[0].pvalue > P_VALUE and a.std() > SHARED * b.std():
            slip = "Its mean is right, and it varies too much: is every sample made of a z of its own?"
    return Finding(float(p_value > P_VALUE), measured, required, p_value, P_VALUE, "p-value", slip=slip)


def _shaken(got: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with noise larger than what float32 rounds, so that ranks of values that hardly differ mean nothing."""
    noise = EXACT * (1 + np.abs(wanted).max()) * np.random.default_rng(0).normal(size=len(got) + len(wanted))
    return got + noise[: len(got)], wanted + noise[len(got) :]


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance between the distribution functions of two samples, (n,), (m,): from 0 to 1."""
    at = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(s), at, side="right") / len(s) for s in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


# ---- the gradient penalty ------------------------------------------------------------------------------


def penalty(slopes: np.ndarray) -> np.ndarray:
    """(‖g‖ − 1)² of slopes (…, D)."""
    return (np.linalg.norm(np.asarray(slopes, dtype=np.float64), axis=-1) - 1) ** 2


def penalty_is_right(got: list[float], slopes: list[np.ndarray]) -> Finding:
    """Penalties of batches in which data and samples are the same points: mean (‖∇f(x)‖ − 1)², whatever ε is.

    slopes: ∇f at the points, (B, D) each.
    """
    slips = {
        "The norm is not diminished by one.": lambda n: (n**2).mean(),
        "The square is missing: (‖∇f‖ − 1)².": lambda n: (n - 1).mean(),
        "The square is missing: (‖∇f‖ − 1)², no absolute value.": lambda n: np.abs(n - 1).mean(),
        "It takes ‖∇f‖² for ‖∇f‖: a root is missing.": lambda n: ((n**2 - 1) ** 2).mean(),
        "It is (‖∇f‖² − 1): the square belongs outside.": lambda n: (n**2 - 1).mean(),
        "One norm over the whole batch: every example has its own, over dimension 1.": lambda n: (
            (np.sqrt((n**2).sum()) - 1) ** 2
        ),
        "The mean of the norms is penalised, not every norm by itself.": lambda n: (n.mean() - 1) ** 2,
        "It is summed over the batch, and should be a mean.": lambda n: ((n - 1) ** 2).sum(),
        "Slopes below one cost nothing here; they should be one.": lambda n: (np.maximum(n - 1, 0) ** 2).mean(),
        "The slope is of the mean over the batch, smaller by its size: take it of the sum.": lambda n: (
            (n / len(n) - 1) ** 2
        ).mean(),
    }
    norms = [np.linalg.norm(s.astype(np.float64), axis=1) for s in slopes]
    values = {said: np.array([slip(n) for n in norms]) for said, slip in slips.items()}
    of_one_dimension = np.array([((np.abs(s[:, 0].astype(np.float64)) - 1) ** 2).mean() for s in slopes])
    values["The norm is over one dimension, not over both."] = of_one_dimension
    right = np.array([((n - 1) ** 2).mean() for n in norms])
    return formula("the penalty", np.asarray(got), right, values, of="batches")


def interpolates(got: np.ndarray, penalties: Callable[[np.ndarray], np.ndarray], pairs: int, seed: int = 0) -> Finding:
    """Penalties of batches of `pairs` times one pair of points, (k,): x̂ lies on the line between them, evenly, and
    every pair has an ε of its own.

    penalties: ε (m, pairs, D) -> the penalties, (m,), of batches that lie at these ε x + (1 − ε) y. Whatever the
    penalty makes of its slopes, it makes of both.
    """
    from scipy.stats import ks_2samp, levene

    rng, D = np.random.default_rng(seed), 2

    def draws(epsilon: Callable[[], np.ndarray]) -> np.ndarray:
        return penalties(np.stack([np.broadcast_to(epsilon(), (pairs, D)) for _ in got]))

    wanted = draws(lambda: rng.uniform(size=(pairs, 1)))
    required = f"x̂ = ε x + (1 − ε) G(z), an even ε for each pair (p > {P_VALUE:g})"
    measured = f"penalties of {len(got)} batches {np.mean(got):.3g} ± {np.std(got):.2g}"
    if not np.isfinite(got).all():
        return Finding(0.0, "it is nan or infinite", required)
    # Where f is piecewise linear the penalty has few values, and each of them many times.
    # An ε that all share shows in the spread, which the second test sees better.
    shaken = _shaken(got, wanted)
    p_value = float(min(1.0, 2 * min(ks_2samp(*shaken).pvalue, levene(*shaken).pvalue)))
    if p_value > P_VALUE:
        return Finding(1.0, measured, required, p_value, P_VALUE, "p-value")
    slips = {
        "All pairs of a batch share one ε: draw one for each.": draws(lambda: rng.uniform(size=(1, 1))),
        "x̂ is always in the middle.": draws(lambda: np.full((1, 1), 0.5)),
        "x̂ is the data: nothing is interpolated.": draws(lambda: np.ones((1, 1))),
        "x̂ is the sample: nothing is interpolated.": draws(lambda: np.zeros((1, 1))),
        "Every coordinate has an ε of its own: x̂ lies in a box, not on the line.": draws(
            lambda: rng.uniform(size=(pairs, D))
        ),
        "ε is normal: it should be even on [0, 1].": draws(lambda: rng.normal(size=(pairs, 1))),
    }
    fits = {said: float(ks_2samp(*_shaken(got, v)).pvalue) for said, v in slips.items()}
    best = max(fits, key=fits.get)  # type: ignore[arg-type]  # each has its value
    measured += f", should be {wanted.mean():.3g} ± {wanted.std():.2g}"
    return Finding(0.0, measured, required, p_value, P_VALUE, "p-value", slip=best if fits[best] > 1e-4 else "")
