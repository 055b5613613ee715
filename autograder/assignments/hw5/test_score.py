"""Exercise 5.1: noise levels of the process, the denoising loss of any network, and Langevin dynamics."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import diffusion as family
from autograder.families.diffusion import Denoiser, Model, squares
from autograder.properties import diffusion, hygiene
from autograder.student import Student, expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

BETA_0, BETA_1 = 0.1, 20.0
CHAINS = 4000
LEVELS = 24
TWICE = "ε is drawn twice: the target is the noise that is in x_t."


def levels(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """α and σ, as they should be."""
    area = BETA_0 * t + (BETA_1 - BETA_0) * t**2 / 2
    return np.exp(-area / 2), np.sqrt(-np.expm1(-area))


def small(student: Student, seed: int, dims: int = 2, size: float = 1.0, draw: int = 0) -> Model:
    """A small model with random weights."""
    return family.small(student, "ScoreModel", dims=dims, seed=seed, size=size, draw=draw)


def perfect(student: Student, data: diffusion.Mixture) -> Model:
    return family.perfect(student, "PerfectScore", data)


def places(seed: int, n: int = 40, dims: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, D) and times (n,)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dims)), rng.uniform(0.05, 1, size=n)


def own_levels(student: Student, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """α and σ by the student's own function."""
    got = student.call("alpha_sigma", t.astype(np.float32))
    if not isinstance(got, list) or len(got) != 2:
        raise StudentCodeError("wrong type", "alpha_sigma(t) should return two values, (alpha, sigma).")
    alpha, sigma = (expect(g, t.shape, f"{name} of alpha_sigma(t)") for g, name in zip(got, ("α", "σ"), strict=True))
    return alpha.astype(np.float64), sigma.astype(np.float64)


def used_levels(student: Student, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the student's code goes by: what is wrong with it has a check of its own."""
    try:
        alpha, sigma = own_levels(student, t)
    except StudentCodeError as error:
        if error.kind == "not implemented":
            raise
        return levels(t)
    return (alpha, sigma) if np.isfinite([alpha, sigma]).all() and (sigma > 0).all() else levels(t)


@points(0.5, "Shapes")
@hint("forward takes (B, D) and (B,) and gives (B, D); loss takes (B, D) and gives (B,), one number an example.")
def test_shapes(student, seed):
    for dims in (1, 2):
        x, t = places(seed, dims=dims)
        family.shapes(small(student, seed, dims), t, x)


@points(0.5, "Called with one example")
@hint("One example is a batch, too: forward, score and langevin give (1, D), loss gives (1,).")
def test_called_with_one_example(student, seed):
    model, (x, t) = small(student, seed), places(seed, n=5)
    family.one_example(model, t, x)
    require(hygiene.finite(model.ask("score", 1, x[:1], t[:1]), "of the score at one point"))
    require(hygiene.finite(model.ask("langevin", 1, x[:1], 0.5, 0.01, 2, seed=seed), "of langevin with one point"))


@points(2.5, "Noise levels are those of the process")
@hint("α = exp(−½ ∫β), with ∫β = β_0 t + (β_1 − β_0) t²/2, and σ² = 1 − α².")
def test_noise_levels_are_those_of_the_process(student, seed):
    t = np.sort(np.random.default_rng(seed).uniform(0, 1, 40)).astype(np.float32).astype(np.float64)
    alpha, sigma = own_levels(student, np.append(t, [0.0, 1.0]))
    t = np.append(t, [0.0, 1.0])
    right_alpha, right_sigma = levels(t)
    slips = {
        "It is the square of α: the ½ belongs before the integral, since the point shrinks by ½ β dt.": right_alpha**2,
        "∫β is not β(t) t: β grows on the way.": np.exp(-(BETA_0 + (BETA_1 - BETA_0) * t) * t / 2),
        "α is the root of what it should be.": np.sqrt(right_alpha),
    }
    many = "what all the small steps of the process come to"
    require(diffusion.agrees("α", alpha, right_alpha, many, slips))
    of_sigma = {
        "That is σ², the variance: σ is its root.": 1 - alpha**2,
        "σ is not 1 − α: their squares sum to one.": 1 - alpha,
        "Noise is missing, or too much: α² + σ² = 1.": np.sqrt(np.maximum(1 - alpha, 0)),
    }
    require(diffusion.agrees("σ", sigma, right_sigma, "√(1 − α²)", of_sigma, within=1e-3))


@points(0.5, "The network sees the time")
@hint("ε̂(x, t) must hang on t: give it to the network, as it came.")
def test_the_network_sees_the_time(student, seed):
    model, (x, _) = small(student, seed), places(seed)
    said = "Is t given to the network, as it came to forward?"
    require(diffusion.uses("ε̂(x, t)", "t", [model.at(x, t) for t in (0.1, 0.4, 0.9)], said))
    require(diffusion.uses("ε̂(x, t)", "x", [model.at(c * x, 0.5) for c in (1, 0.3, -1)], "Is x given to the network?"))


@points(3.5, "The denoising loss")
@hint("‖ε − ε̂(x_t, t)‖², summed over the dimensions, with x_t = α x + σ ε and fresh t ~ U[0, 1] and ε ~ N(0, I).")
def test_denoising_loss(student, seed):
    """For any network: its loss at one example has the distribution that t and ε give it."""
    for k in range(2):
        required = f"‖ε − ε̂(α x + σ ε, t)‖² of fresh t and ε (p > {diffusion.P_VALUE:g})"
        new, x = partial(small, student, seed + k, 2), family.example(seed + k)
        require(family.loss_finding(new, x, partial(kinds_of_loss, student), required, seed + 10 * k, TWICE))


def kinds_of_loss(student: Student, model: Model, x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Draws of the right loss of x, (B, D), and of what it may be in its place."""
    rng = np.random.default_rng(seed)
    t, eps = rng.random(len(x)), rng.normal(size=x.shape)
    alpha, sigma = (v[:, None] for v in used_levels(student, t))
    x_t = alpha * x + sigma * eps
    guess = model.at(x_t, t)
    return {
        "": squares(eps - guess),
        "It is the mean over the dimensions: sum over them.": squares(eps - guess) / x.shape[1],
        "The network is given the clean x in the place of x_t.": squares(eps - model.at(x, t)),
        TWICE: squares(rng.normal(size=x.shape) - guess),
        "The target is x_0: ε̂ guesses the noise.": squares(x - guess),
        "The target is the score, −ε/σ: ε̂ guesses ε itself.": squares(eps / sigma + guess),
        "α and σ are exchanged: x_t = α x + σ ε.": squares(eps - model.at(sigma * x + alpha * eps, t)),
        "The loss is weighted: no 1/σ² and no σ² belongs before it.": squares(eps - guess) / sigma[:, 0] ** 2,
        "The loss is weighted by σ²: all times count alike.": squares(eps - guess) * sigma[:, 0] ** 2,
        "The network is given another time than the one of the noise.": squares(eps - model.at(x_t, 1 - t)),
        "ε is drawn from U[0, 1]: it is normal, torch.randn.": of_uniform_noise(model, x, t, alpha, sigma, rng),
    }


def of_uniform_noise(model: Model, x, t, alpha, sigma, rng) -> np.ndarray:
    eps = rng.random(x.shape)
    return squares(eps - model.at(alpha * x + sigma * eps, t))


@points(1, "The score is −ε̂/σ")
@hint("∇ log p_t(x) = −ε̂(x, t) / σ(t): the network's guess of the noise, turned round and divided by its size.")
def test_score_is_the_noise_turned_round(student, seed):
    model, (x, t) = small(student, seed), places(seed)
    alpha, sigma = (v[:, None] for v in used_levels(student, t))
    guess = model.at(x, t)
    slips = {
        "The sign: the noise points away from the data, the score towards them.": guess / sigma,
        "It is divided by σ, not by σ².": -guess / sigma**2,
        "It is not divided by σ.": -guess,
        "It is divided by α, not by σ.": -guess / alpha,
    }
    require(diffusion.agrees("the score", model.ask("score", len(x), x, t), -guess / sigma, "−ε̂/σ", slips))


@points(3, "Langevin dynamics, by its mean and covariance")
@hint("x ← x + h/2 · score + √h · z, with z ~ N(0, I) fresh in every step, as often as `steps` says.")
def test_langevin_by_its_mean_and_covariance(student, seed):
    """Of Gaussian data the score is linear, and so all is known: with steps of h on N(0, 1) the variance becomes
    1/(1 − h/4)."""
    rng = np.random.default_rng(seed)
    for dims, h, steps in ((2, 0.3, 1), (2, 0.2, 4), (1, 0.8, 30)):
        data = diffusion.mixture(dims, seed + steps, components=1)
        t = float(np.float32(rng.uniform(0.2, 0.6)))
        model = perfect(student, data)
        alpha, sigma = (float(v[0]) for v in used_levels(student, np.array([t])))
        require(of_langevin(model, data, (alpha, sigma), t, h, steps, seed))
    at = rng.normal(size=(3, dims))
    require_too(hygiene.drawn_anew(lambda k: model.ask("langevin", 3, at, t, h, 2, seed=k), seed, "langevin"))


def of_langevin(model: Model, data: diffusion.Mixture, level, t: float, h: float, steps: int, seed: int):
    """The worst of two findings: where the mean goes, and how the noise spreads."""
    x = np.random.default_rng(seed).normal(size=(CHAINS, data.dims))
    out = model.ask("langevin", CHAINS, x, t, h, steps, seed=seed)
    mean, covariance = after_langevin(data, level, h, steps, 0.5)
    whole, of_whole = after_langevin(data, level, h, steps, 1.0)
    more, of_more = after_langevin(data, level, h, steps + 1, 0.5)
    slips = {
        "The noise is scaled by h, not by √h.": (out - mean(x), covariance * h),
        "The noise is √(2h), which goes with a whole step of the score: here they are h/2 and √h.": (
            out - mean(x),
            covariance * 2,
        ),
        "The step is h · score + √(2h) · z, another convention: twice as large.": (out - whole(x), of_whole * 2),
        "The step is h · score: half of that goes with √h · z.": (out - whole(x), of_whole),
        "It is one step too many: it is `steps` of them.": (out - more(x), of_more),
    }
    spread = diffusion.noise_is(out - mean(x), covariance, "langevin", slips)
    if not spread.passed:
        return spread
    other = np.random.default_rng(seed + 1).normal(size=x.shape)
    moved = model.ask("langevin", CHAINS, x + other, t, h, steps, seed=seed) - out
    wanted = mean(x + other) - mean(x)
    doubled = {"The step is h · score: half of that goes with √h · z.": whole(x + other) - whole(x)}
    by = "what the score of a Gaussian makes of it"
    where = diffusion.agrees("a difference of two starts", moved, wanted, by, doubled)
    return min(spread, where, key=lambda f: f.share)


def after_langevin(data: diffusion.Mixture, level, h: float, steps: int, half: float):
    """x -> the mean after so many steps, and the covariance: x' = x − half · h S⁻¹ (x − α μ) + √h z."""
    alpha, sigma = level
    centre = alpha * data.means[0]
    eye = np.eye(data.dims)
    contraction = eye - half * h * np.linalg.inv(alpha**2 * data.covariances[0] + sigma**2 * eye)
    power = np.linalg.matrix_power(contraction, steps)
    covariance = h * sum(np.linalg.matrix_power(contraction, 2 * k) for k in range(steps))
    return (lambda x: centre + (x - centre) @ power.T), covariance


def above_the_floor(made, data: toy.Distribution, held_out, seed: int) -> dict:
    """The loss above the floor, which is that of a perfect network: the mean over all times."""
    t = (np.arange(LEVELS) + 0.5) / LEVELS
    of = list(zip(t, *levels(t), np.full(LEVELS, 1 / LEVELS), strict=True))
    net = Denoiser(data, held_out(data, 1500).astype(np.float64), of, made, seed)
    return {
        "excess": net.excess,
        "few": net.few,
        "limit": net.floor(),
        "baseline": net.baseline(),
        "unit": "squared error",
    }


trained = family.Trained(
    exercise="score",
    of="ScoreModel",
    samples_of=("smiley",),
    goal="the floor",
    recipe=Recipe(optimizer="Adam", lr=5e-3, steps=3000, batch=512),
    measured=above_the_floor,
)
LONGER = "Train longer, with a learning rate that rises first and falls to zero."

test_samples_look_like_the_data = trained.samples(
    1, "Begin at the largest level, with noise, and go down the levels slowly, with small steps (h about σ²/2) at each."
)
test_trained_close_to_the_floor_on_two_bumps = trained.close(1, LONGER, on="two_bumps")
test_trained_close_to_the_floor_on_smiley = trained.close(1.5, LONGER, on="smiley")
