"""Exercise 5.2: the posterior of a step, ancestral sampling and DDIM by their means and covariances, and the bound."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import diffusion as family
from autograder.families.diffusion import Denoiser, Model, squares
from autograder.properties import chains, diffusion, hygiene
from autograder.properties.diffusion import Mixture
from autograder.student import Student, expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

DRAWS = 4000
BOUNDS = 12_000
STEPS = 100  # of the chain that is trained
GENTLE, NOTHING = 0.011, 0.011  # the largest β_1, and what may be left of the data; 0.01 is asked for
TWICE = "ε is drawn twice: the target is the noise that is in x_t."


def chain(seed: int, steps: int = 6, most: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """A random schedule β (T,), in no order, up to `most`, and its ᾱ (T + 1,)."""
    betas = np.random.default_rng(seed).uniform(0.05, most, size=steps).astype(np.float32).astype(np.float64)
    return betas, np.append(1.0, np.cumprod(1 - betas))


def small(
    student: Student, seed: int, dims: int = 2, size: float = 1.0, draw: int = 0, betas: np.ndarray | None = None
) -> Model:
    """A small model with random weights, of a random chain where none is given."""
    betas = (chain(seed)[0] if betas is None else betas).astype(np.float32)
    return family.small(student, "DDPM", betas, dims=dims, seed=seed, size=size, draw=draw)


def perfect(student: Student, data: Mixture, betas: np.ndarray, alpha_bar: np.ndarray) -> Model:
    return family.perfect(student, "PerfectDDPM", data, betas.astype(np.float32), alpha_bar)


def places(seed: int, n: int = 40, dims: int = 2, steps: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, D) and steps (n,) of the chain."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dims)), rng.integers(1, steps + 1, size=n)


@points(0.5, "Shapes")
@hint("forward takes (B, D) and whole numbers (B,) and gives (B, D); loss and bound give (B,), one number an example.")
def test_shapes(student, seed):
    for dims in (1, 2):
        x, t = places(seed, dims=dims)
        model = small(student, seed, dims)
        family.shapes(model, t, x)
        require(hygiene.finite(model.ask("bound", len(x), x, shape=()), "of the bound"))


@points(0.5, "Called with one example")
@hint("One example is a batch, too: forward, step and ddim_step give (1, D), loss and bound give (1,).")
def test_called_with_one_example(student, seed):
    model, (x, t) = small(student, seed), places(seed, n=5)
    family.one_example(model, t, x)
    require(hygiene.finite(model.ask("bound", 1, x[:1], shape=()), "of the bound of one example"))
    require(hygiene.finite(model.ask("step", 1, x[:1], 3), "of a step of one example"))
    require(hygiene.finite(model.ask("ddim_step", 1, x[:1], 3, 1, 0.5), "of a DDIM step of one example"))
    require(hygiene.finite(model.handle.sample(1, 2), "in one sample"))


@points(1, "The schedule is one")
@hint("Each β between 0 and 1, β_1 at most 0.01, and ᾱ_T at most 0.01; torch.clamp keeps the last ones below 1.")
def test_schedule_is_one(student):
    for steps in (50, STEPS, 1000):
        betas = expect(student.call("schedule", steps), (steps,), f"schedule({steps})").astype(np.float64)
        require(chains.is_a_schedule(betas, GENTLE, NOTHING))


@points(1.5, "ᾱ begins with one")
@hint("ᾱ_t is the product of 1 − β_s over s = 1 … t: (T + 1,) numbers, of which the first, before any step, is 1.")
def test_alpha_bar_begins_with_one(student, seed):
    for k in range(3):
        betas, right = chain(seed + k, 5 + k)
        got = expect(student.call("alpha_bars", betas), right.shape, "alpha_bars(betas)")
        slips = {
            "The 1 stands at the end: ᾱ_0, before the first step, is 1.": np.append(right[1:], 1.0),
            "ᾱ_0 is 1, and not ᾱ_1 once more.": np.append(right[1], right[1:]),
            "That is the product of the β, not of 1 − β.": np.append(1.0, np.cumprod(betas)),
            "That is one minus it.": 1 - right,
        }
        require(diffusion.agrees("ᾱ", got, right, "Π (1 − β_s), from ᾱ_0 = 1 on", slips))


@points(3.5, "The posterior is the product of the two Gaussians")
@hint(
    "With β = 1 − ᾱ_t/ᾱ_s, all over 1 − ᾱ_t: x_0 has √ᾱ_s β beside it, x_t has √(1 − β) (1 − ᾱ_s), and the variance is "
    "β (1 − ᾱ_s)."
)
def test_posterior_is_the_product_of_two_gaussians(student, seed):
    rng = np.random.default_rng(seed)
    here, before = chains.levels_of_pairs(rng, 60)
    x_t, x_0 = rng.normal(size=(2, len(here), 2))
    got = student.call("posterior", x_t, x_0, here, before)
    if not isinstance(got, list) or len(got) != 2:
        raise StudentCodeError("wrong type", "posterior(…) should return two values, (mean, variance).")
    mean = expect(got[0], x_t.shape, "mean of posterior(…)")
    variance = expect(got[1], here.shape, "variance of posterior(…)")
    require(chains.posterior_is_right(mean, variance, x_t, x_0, here, before))


@points(2.5, "The denoising loss")
@hint("‖ε − ε̂(x_t, t)‖² with t uniform in 1 … T and x_t = √ᾱ_t x + √(1 − ᾱ_t) ε, summed over the dimensions.")
def test_denoising_loss(student, seed):
    model, (x, _) = small(student, seed), places(seed)
    outputs = [model.at(x, np.full(len(x), t)) for t in (1, 3, 6)]
    require(diffusion.uses("ε̂(x, t)", "t", outputs, "Is t given to the network, as it came to forward?"))
    required = f"‖ε − ε̂(x_t, t)‖² of fresh t and ε (p > {diffusion.P_VALUE:g})"
    for k in range(4):  # in one chain alone, some slips hardly show
        _, alpha_bar = chain(seed + k)
        new = partial(small, student, seed + k, 2)
        require(
            family.loss_finding(
                new, family.example(seed + k), partial(kinds_of_loss, alpha_bar), required, seed + 10 * k, TWICE
            )
        )


def kinds_of_loss(alpha_bar: np.ndarray, model: Model, x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Draws of the right loss of x, (B, D), and of what it may be in its place."""
    rng, T = np.random.default_rng(seed), len(alpha_bar) - 1
    t, eps = rng.integers(1, T + 1, size=len(x)), rng.normal(size=x.shape)

    def noisy(level: np.ndarray) -> np.ndarray:
        return np.sqrt(level)[:, None] * x + np.sqrt(1 - level)[:, None] * eps

    x_t = noisy(alpha_bar[t])
    guess = model.at(x_t, t)
    return {
        "": squares(eps - guess),
        "It is the mean over the dimensions: sum over them.": squares(eps - guess) / x.shape[1],
        "The network is given the clean x in the place of x_t.": squares(eps - model.at(x, t)),
        TWICE: squares(rng.normal(size=x.shape) - guess),
        "The target is x_0: ε̂ guesses the noise.": squares(x - guess),
        "ᾱ is that of the step before: t counts from 1, and ᾱ_t is of the same t.": squares(
            eps - model.at(noisy(alpha_bar[t - 1]), t)
        ),
        "x_t has ᾱ and 1 − ᾱ in the place of their roots.": squares(
            eps - model.at(alpha_bar[t, None] * x + (1 - alpha_bar[t, None]) * eps, t)
        ),
        "The roots of ᾱ and of 1 − ᾱ are exchanged.": squares(eps - model.at(noisy(1 - alpha_bar[t]), t)),
        "The network is given another t than the one of the noise.": squares(eps - model.at(x_t, T + 1 - t)),
    }


@points(1, "x̂_0 is what ε̂ leaves")
@hint("x_t = √ᾱ_t x̂_0 + √(1 − ᾱ_t) ε̂(x_t, t), solved for x̂_0.")
def test_denoised_is_what_the_noise_leaves(student, seed):
    model, (x, t) = small(student, seed), places(seed)
    alpha, sigma = (root[:, None] for root in chains.roots(chain(seed)[1][t]))
    eps = model.at(x, t)
    slips = {
        "It is not divided by √ᾱ_t.": x - sigma * eps,
        "The noise has the factor √(1 − ᾱ_t), not 1 − ᾱ_t.": (x - sigma**2 * eps) / alpha,
        "It is divided by ᾱ_t, not by its root.": (x - sigma * eps) / alpha**2,
    }
    got = model.ask("denoised", len(x), x, t)
    require(diffusion.agrees("x̂_0", got, (x - sigma * eps) / alpha, "(x_t − √(1 − ᾱ_t) ε̂)/√ᾱ_t", slips))


@points(3, "An ancestral step, by its mean and covariance")
@hint(
    "x_{t−1} is drawn: the posterior's mean with x̂_0 in the place of x_0, and the root of its variance times fresh z."
)
def test_ancestral_step_by_its_mean_and_covariance(student, seed):
    """With the perfect denoiser of a Gaussian, which is linear; and the last step draws nothing."""
    for t in (1, 4, 6):
        (betas, alpha_bar), data = chain(seed + t), diffusion.mixture(2, seed + t, components=1)
        model, here, before = perfect(student, data, betas, alpha_bar), alpha_bar[t], alpha_bar[t - 1]

        def mean(x: np.ndarray, data=data, here=here, before=before) -> np.ndarray:
            return chains.posterior(x, data.denoised(x, *chains.roots(here)), here, before)[0]

        variance = float(chains.posterior(np.zeros((1, 2)), np.zeros((1, 2)), here, before)[1])
        beta = betas[t - 1]
        slips = {
            "Its variance is β_t: asked is that of the posterior, β_t (1 − ᾱ_{t−1})/(1 − ᾱ_t).": (mean, beta),
            "The noise is scaled by the variance, not by its root.": (mean, variance**2),
        }
        require(of_step(partial(model.ask, "step", DRAWS), (t,), mean, variance, slips, seed, "a step"))


@points(3, "A DDIM step, by its mean and covariance")
@hint("x_s = √ᾱ_s x̂_0 + √(1 − ᾱ_s − σ²) ε̂ + σ z, with σ = η √((1 − ᾱ_s)/(1 − ᾱ_t)) √(1 − ᾱ_t/ᾱ_s).")
def test_ddim_step_by_its_mean_and_covariance(student, seed):
    """Of any η, and over any number of steps; η = 1 is ancestral sampling, and η = 0 draws nothing."""
    for t, s, eta in ((4, 3, 1.0), (6, 2, 0.0), (5, 1, 0.5), (3, 0, 0.0)):
        (betas, alpha_bar), data = chain(seed + t), diffusion.mixture(2, seed + t, components=1)
        model, here, before = perfect(student, data, betas, alpha_bar), alpha_bar[t], alpha_bar[s]
        sigma, whole = (chains.ddim_sigma(here, before, e) for e in (eta, 1.0))
        half = eta * np.sqrt(1 - here / before)

        def mean(x: np.ndarray, sigma=sigma, data=data, here=here, before=before) -> np.ndarray:
            return chains.ddim_mean(x, data.noise(x, *chains.roots(here)), here, before, sigma)

        slips = {
            "The noise is scaled by σ², not by σ.": (mean, sigma**4),
            "The noise does not hang on η.": (partial(mean, sigma=whole), whole**2),
            "That is η times √(1 − ᾱ_t/ᾱ_s), without the first root of σ.": (partial(mean, sigma=half), half**2),
            "x̂_0 and ε̂ are those of σ = 0: the noise that is added has to be taken off ε̂.": (
                partial(mean, sigma=0.0),
                sigma**2,
            ),
        }
        require(
            of_step(partial(model.ask, "ddim_step", DRAWS), (t, s, eta), mean, sigma**2, slips, seed, "a DDIM step")
        )


def of_step(step, arguments: tuple, mean, variance: float, slips: dict, seed: int, name: str):
    """The worst of two findings: how the noise spreads, and where the mean of a difference goes.

    slips: {what is wrong: (the mean, as a function of x, and the variance)}.
    """
    rng = np.random.default_rng(seed)
    x, other = rng.normal(size=(2, DRAWS, 2))
    out, eye = step(x, *arguments, seed=seed), np.eye(2)
    moved = step(x + other, *arguments, seed=seed) - out
    turned = {said: wrong(x + other) - wrong(x) for said, (wrong, _) in slips.items() if wrong is not mean}
    by = "what its formula makes of it"
    where = diffusion.agrees(f"a difference of two starts of {name}", moved, mean(x + other) - mean(x), by, turned)
    if variance == 0:
        drawn = diffusion.noise_is(step(x, *arguments, seed=seed + 1) - out, 0 * eye, name)
        exact = diffusion.agrees(name, out, mean(x), "the mean that its formula gives")
        return min(drawn, exact, where, key=lambda f: f.share)
    others = {said: (out - wrong(x), v * eye) for said, (wrong, v) in slips.items()}
    spread = diffusion.noise_is(out - mean(x), variance * eye, name, others)
    return min(spread, where, key=lambda f: f.share)


@points(1.5, "Samples of a whole chain, by their mean and covariance")
@hint("From x_T ~ N(0, I) all steps T, T − 1, …, 1, each once; the last one, to x_0, adds no noise.")
def test_samples_of_a_whole_chain(student, seed):
    (betas, alpha_bar), data = chain(seed), diffusion.mixture(2, seed, components=1)
    model = perfect(student, data, betas, alpha_bar)
    mean, covariance = chains.of_ancestral_sampling(data, alpha_bar)
    drawn = model.handle.sample(DRAWS, 2, seed=seed)
    kinds = {
        "The last step adds noise: x_0 is the mean alone.": chains.of_ancestral_sampling(data, alpha_bar, betas[0]),
        "The last step is left out.": chains.of_ancestral_sampling(data, alpha_bar, until=1),
    }
    slips = {said: (drawn - wrong, spread) for said, (wrong, spread) in kinds.items()}
    require(diffusion.noise_is(drawn - mean, covariance, "samples", slips))
    require_too(hygiene.drawn_anew(lambda k: model.handle.sample(3, 2, seed=k), seed))


@points(1, "Samples by DDIM, by their mean and covariance")
@hint("From x_T ~ N(0, I) over the times torch.linspace(T, 0, steps + 1).round(), which end at 0.")
def test_samples_by_ddim(student, seed):
    data = diffusion.mixture(2, seed, components=1)
    for steps, eta, most in ((4, 0.0, 0.5), (6, 1.0, 0.5), (12, 1.0, 0.2)):  # in many small steps η is seen best
        betas, alpha_bar = chain(seed, 12, most)
        times = np.linspace(12, 0, steps + 1).round().astype(int)
        mean, covariance = chains.of_ddim(data, alpha_bar, times, eta)
        drawn = perfect(student, data, betas, alpha_bar).ask("ddim", 2 * DRAWS, 2 * DRAWS, steps, eta, seed=seed)
        early, spread = chains.of_ddim(data, alpha_bar, times[:-1], eta)
        center, narrow = chains.of_ddim(data, alpha_bar, times, 1 - eta)
        slips = {
            "It ends before the time 0.": (drawn - early, spread),
            f"It draws with η = {1 - eta:g}, whatever η is given.": (drawn - center, narrow),
        }
        require(diffusion.noise_is(drawn - mean, covariance, f"samples in {steps} steps with η = {eta:g}", slips))
    model = perfect(student, data, betas, alpha_bar)
    require_too(hygiene.drawn_anew(lambda k: model.ask("ddim", 3, 3, steps, eta, seed=k), seed, "ddim(n, steps, eta)"))


@points(3, "The bound, over all of its terms")
@hint(
    "KL(q(x_T | x_0) ‖ N(0, I)), a KL of two Gaussians for each t from 2 to T, and −log N(x_0; x̂_0(x_1), β_1 I) with "
    "its constant; the variance of every p is β_t; sums over the dimensions, in nats."
)
def test_bound_over_all_terms(student, seed):
    """For any network it has the distribution that the noise gives it; with a perfect one it is above the entropy."""
    for k, (steps, most) in enumerate(((6, 0.5), (3, 0.2))):  # of a short chain much of x is left, and the prior tells
        betas, alpha_bar = chain(seed + k, steps, most)
        model = small(student, seed + k, betas=betas)
        x = np.repeat(np.random.default_rng(seed + k).normal(size=(1, 2)), BOUNDS, axis=0)
        kinds = chains.kinds_of_bound(model.at, x, alpha_bar, seed)
        required = f"the sum of the three parts (p > {diffusion.P_VALUE:g})"
        slips = {name: draws for name, draws in kinds.items() if name}
        got = model.ask("bound", len(x), x, seed=seed, shape=())
        require(diffusion.same_draws("the bound", got, kinds[""], required, slips))
    (betas, alpha_bar), data = chain(seed, 4), diffusion.mixture(2, seed)
    x = data.draw(DRAWS, seed)
    got = perfect(student, data, betas, alpha_bar).ask("bound", DRAWS, x, seed=seed, shape=())
    require(chains.bound_is_that_of_a_perfect_network(got, x, data, alpha_bar))


def above_a_perfect_network(made, data: toy.Distribution, held_out, seed: int) -> dict:
    """Nats of the bound above that of a perfect network with the same chain."""
    model = made()
    betas = np.asarray(model.handle.call("chain"))
    betas = expect(betas, (betas.size,), f"{model.handle.label}.chain()").astype(np.float64)
    require(chains.is_a_schedule(betas, GENTLE, NOTHING))
    alpha_bar = np.append(1.0, np.cumprod(1 - betas))
    t, weights = np.arange(1, len(alpha_bar)), chains.weights_of_bound(alpha_bar)
    of = list(zip(t, *chains.roots(alpha_bar[1:]), weights, strict=True))
    net = Denoiser(data, held_out(data, 500).astype(np.float64), of, made, seed, whole=True)
    limit = chains.bound_of_perfect(net.exact, alpha_bar)
    return {"excess": net.excess, "few": net.few, "limit": limit, "baseline": net.baseline()}


trained = family.Trained(
    exercise="ddpm",
    of="DDPM",
    samples_of=("smiley", "moons"),
    goal="a perfect network",
    recipe=Recipe(optimizer="Adam", lr=5e-3, steps=8000, batch=512),
    measured=above_a_perfect_network,
)
LONGER = "Train longer, with a learning rate that rises first and falls to zero."

test_samples_look_like_the_data = trained.samples(
    1, "Samples of the trained chain miss the data: was it trained on the data as they are, and long enough?"
)
test_trained_close_to_a_perfect_network_on_smiley = trained.close(1, LONGER, on="smiley")
test_trained_close_to_a_perfect_network_on_moons = trained.close(1, LONGER, on="moons")
