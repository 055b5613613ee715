"""A student's variational autoencoder as plain functions of arrays, with every shape checked, and its suite."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.properties import hygiene, latent
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect
from autograder.workbench import StudentCodeError

if TYPE_CHECKING:
    Model = TypeVar("Model", bound="VAE")


def several(values, names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], what: str) -> list[np.ndarray]:
    """As many arrays as there are names, each of its shape."""
    if not isinstance(values, list) or len(values) != len(names):
        got = f"{len(values)} values" if isinstance(values, list) else "None" if values is None else "one value"
        wanted = f"{len(names)} values, {', '.join(names)}"
        raise StudentCodeError("wrong type", f"{what} should return {wanted}; got {got}.")
    return [expect(v, s, f"{n} of {what}") for v, n, s in zip(values, names, shapes, strict=True)]


def either(*ways: Callable[[], Finding]) -> Finding:
    """Of several ways to say the same, one that passes; where none does, the first.

    The first asks by our formulas, the others by the student's own: what is wrong in those costs where they are asked
    for themselves, and not once more wherever they are used.
    """
    first = ways[0]()
    for way in ways[1:]:
        if first.passed:
            break
        with contextlib.suppress(StudentCodeError):  # a function of theirs may be missing
            finding = way()
            if finding.passed:
                return finding
    return first


def gradient_or_none(gradient: Callable[[], np.ndarray], x: np.ndarray) -> np.ndarray:
    """A gradient, shaped like x; zero where the student's code lets none through."""
    try:
        return gradient()
    except StudentCodeError as error:
        if error.kind != "no gradient":
            raise
        return np.zeros_like(x)


class VAE:
    """encode, decode: (μ, log σ) each; elbo_terms: (reconstruction, KL).

    shape: of an example. latents: how many numbers a code has.
    """

    def __init__(self, handle: Handle, shape: tuple[int, ...], latents: int):
        self.handle, self.shape, self.latents = handle, shape, latents

    def encode(self, x: np.ndarray) -> list[np.ndarray]:
        return self._several("encode", x, ("μ_z", "log σ_z"), (len(x), self.latents))

    def decode(self, z: np.ndarray) -> list[np.ndarray]:
        return self._several("decode", z, ("μ_x", "log σ_x"), (len(z), *self.shape))

    def encoded(self, x: np.ndarray) -> np.ndarray:
        """What encode says of x as one array, (B, 2 · latents)."""
        return np.concatenate(self.encode(x), axis=1)

    def decoded(self, z: np.ndarray) -> np.ndarray:
        """What decode says of z as one array, (B, …)."""
        return np.concatenate(self.decode(z), axis=1)

    def elbo_terms(self, x: np.ndarray, seed: int = 0) -> list[np.ndarray]:
        return self._several("elbo_terms", x, ("reconstruction", "KL"), (len(x),), seed)

    def _several(self, method: str, x: np.ndarray, names: tuple[str, ...], size: tuple[int, ...], seed: int = 0):
        """Several results of one method, all of one size."""
        what = f"{self.handle.label}.{method}({'z' if method == 'decode' else 'x'})"
        return several(self.handle.call(method, x, seed=seed), names, (size,) * len(names), what)

    def sample(self, n: int, seed: int, **options) -> np.ndarray:
        said = ", ".join([str(n), *(f"{k}={v}" for k, v in options.items())])
        drawn = self.handle.call("sample", n, seed=seed, **options)
        return expect(drawn, (n, *self.shape), f"{self.handle.label}.sample({said})")

    def ill_conditioned(self, x: np.ndarray, seed: int) -> float:
        """How far random weights are from what shows a slip: 0 where σ are neither all one, nor 0 or ∞ to a float."""
        return latent.ill_conditioned(self.encode, self.decode, x, seed)


def telling(vae: VAE, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of some examples the one whose σ_z are farthest from one: there it shows what they are used for.

    It, (1, …), and its μ_z and log σ_z, (1, latents) each. It is not encoded alone, which is a question of its own.
    """
    mu, log_sigma = vae.encode(x)
    k = [np.abs(log_sigma).sum(axis=1).argmax()]
    return x[k], mu[k], log_sigma[k]


MANY, FIRST_DRAWS, OWN_DRAWS = 100, 5, 25  # examples, draws of z for each to choose a model by, and to judge it by
FEW = 64  # numbers in an example; of an image the constant of the Gaussian, one for each, is large beside its squares


class UnitVAE(VAE):
    """A VAE whose decoder gives the mean of every number of x; the variance is one."""

    def decode(self, z: np.ndarray) -> np.ndarray:  # type: ignore[override]  # it has no σ
        what = f"{self.handle.label}.decode(z)"
        return expect(self.handle.call("decode", z), (len(z), *self.shape), what)

    def decoded(self, z: np.ndarray) -> np.ndarray:
        return self.decode(z)

    def squares(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """‖x − μ_x(z)‖² of one example, (1, …), for codes (n, latents)."""
        errors = x - self.decode(z.astype(np.float32)).astype(np.float64)
        return (errors**2).reshape(len(z), -1).sum(axis=1)

    def by_noise(self, x: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, dict[str, Callable]]:
        """(that of x which tells most, {what is wrong with the noise of z: its squares for draws of such z})."""
        example, mu, log_sigma = telling(self, x)
        codes = latent.noises(mu, log_sigma, draws, seed)
        return example, {name: partial(self.squares, example, z) for name, z in codes.items()}

    def ill_conditioned(self, x: np.ndarray, seed: int) -> float:
        """How far random weights are from what shows a slip: 0 where σ_z is not near one and a code is seen in x.

        Its squares move with z by more than rounding does; and where they are few, not by so much that the constant is
        lost in them.
        """
        example, mu, log_sigma = telling(self, x)
        size, squares = np.abs(log_sigma), self.squares(example, latent.noises(mu, log_sigma, 50, seed)[""])
        usual = example.size * max(1.0, float((example**2).mean()))
        parts = [
            size.max() - latent.WIDEST,
            latent.FAR_FROM_ONE - size.mean(),
            np.log(squares.mean() / (5 * usual)),
            np.log(min(10, 0.05 * squares.mean()) / squares.std()),
        ]
        if example.size <= FEW:
            parts.append(np.log(squares.std() / (5 * example.size)))
        return float(np.maximum(parts, 0).sum())  # nan where one of them is


SIZES = (1.2, 1.2, 1.2, 1.0, 1.0, 1.5, 1.5, 0.8, 0.6, 0.4)  # of the noise of random weights, tried in turn


def best_conditioned(
    new: Callable[[int, float], "Model"], x: np.ndarray, seed: int, sizes: tuple[float, ...] = SIZES
) -> "Model":
    """Of a few models with random weights, new(seed, size), the first that tells enough at x, or the best."""
    tried = []
    for k, size in enumerate(sizes):
        model = new(seed + 1000 * k, size)
        with np.errstate(all="ignore"):
            far = model.ill_conditioned(x, seed)
        tried.append((far if np.isfinite(far) else np.inf, k, model))
        if not far:
            break
    return min(tried)[2]


# ---- the checks that every VAE must pass ---------------------------------------------------------------

MODELS = 2  # random ones that a check looks at, so that a σ near one in a single model hides no slip
DRAWS = 800  # of the pixels of images
PROJECTIONS = 5  # directions along which samples are compared
HELD_OUT, BATCH = 2000, 500


def one_sample(vae: VAE, x: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, str]]:
    """(what else is called with one example, and where that is)."""
    yield vae.sample(1, seed), "in one sample"


def reconstruction_term(vae: VAE, x: np.ndarray, seed: int) -> list[np.ndarray]:
    """The reconstruction term of examples x, (B,): one way to read it off, or several, of which one has to be right."""
    return [vae.elbo_terms(x, seed)[0]]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Each method makes one check, which is worth so many points: `test_shapes = suite.shapes(0.5, "…")`.

    exercise: its name, which is that of what it trains. of: the class that is asked for. shape: of an example. latents:
    of the trained model. examples: (n, seed) -> held-out ones, (n, *shape). small: (student, seed) -> a VAE with random
    weights. telling: the same, of one that shows what it does (see `expressive`); the small one, if not given. quiet:
    the same, of one whose noise is small beside its KL; without it, whether the KL is in the reconstruction is not
    asked. terms: see reconstruction_term. part: what an example is made of. baseline: () -> nats of the naive model.
    limit: the entropy of the data, if it is known; losses are in nats above it. held_out: on so many examples a loss is
    measured. draws: of a random number whose distribution is compared; of an example of few numbers it takes many, or
    its constant is lost among them.

    What asks for the reconstruction term, for samples or for what is trained is for a decoder of unit variance.
    """

    exercise: str
    of: str
    shape: tuple[int, ...]
    latents: int
    examples: Callable[[int, int], np.ndarray]
    small: Callable[[Student, int], Any]
    recipe: Recipe
    telling: Callable[[Student, int], Any] | None = None
    quiet: Callable[[Student, int], UnitVAE] | None = None
    terms: Callable[[Any, np.ndarray, int], list[np.ndarray]] = reconstruction_term
    part: str = "pixel"
    baseline: Callable[[], float] | None = None
    limit: float | None = None
    held_out: int = HELD_OUT
    draws: int = DRAWS

    def shapes(self, worth: float, why: str, n: int = 12) -> Callable:
        """n: how many examples are looked at."""

        @points(worth, "Shapes of encoder and decoder")
        @hint(why)
        def test_shapes(student, seed):
            vae, x = self.small(student, seed), self.examples(n, seed)
            for rows, of, name in ((vae.encoded, x, "encoder"), (vae.decoded, _codes(vae, n, seed), "decoder")):
                require(hygiene.finite(rows(of), f"from the {name}"))
                require(hygiene.rows_are_independent(rows, of))

        return test_shapes

    def one_example(self, worth: float, why: str, more: Callable = one_sample) -> Callable:
        """more: see one_sample."""

        @points(worth, "Called with one example")
        @hint(why)
        def test_called_with_one_example(student, seed):
            vae, x = self._telling(student, seed), self.examples(4, seed)
            require(hygiene.one_example(vae.encoded, x))
            require(hygiene.one_example(vae.decoded, _codes(vae, 4, seed)))
            require(hygiene.finite(np.stack(vae.elbo_terms(x[:1])), "in both terms"))
            for values, where in more(vae, x, seed):
                require(hygiene.finite(values, where))

        return test_called_with_one_example

    def kl(self, worth: float, why: str) -> Callable:
        @points(worth, "The KL is that of the encoder")
        @hint(why)
        def test_kl_is_that_of_the_encoder(student, seed):
            for k in range(seed, seed + MODELS):
                vae, x = self._telling(student, k), self.examples(30, k)
                kl = vae.elbo_terms(x)[1]
                mu, log_sigma = (a.astype(np.float64) for a in vae.encode(x))
                require(latent.kl_of(kl, mu, log_sigma))

        return test_kl_is_that_of_the_encoder

    def reconstruction(
        self,
        worth: float,
        why: str,
        title: str = "The reconstruction is the Gaussian of unit variance",
        name: str = "reconstruction_is_the_gaussian_of_unit_variance",
    ) -> Callable:
        """Whatever noise is in z: `codes_are_drawn` asks for that."""

        def reconstruction(student, seed):
            of_formula, _ = self._reconstruction(student, seed, seed)
            require(of_formula)
            if self.quiet:
                quiet = [self.quiet(student, seed + k) for k in range(6)]
                slip = "The KL is in it already: the reconstruction term is −log p(x | z) alone."
                require(without_kl(quiet, self.examples, lambda vae, x, k: self.terms(vae, x, k)[0], slip, seed))

        reconstruction.__name__ = f"test_{name}"
        return points(worth, title)(hint(why)(reconstruction))

    def codes_are_drawn(self, worth: float, why: str) -> Callable:
        @points(worth, "Codes are drawn: z = μ + σ ε")
        @hint(why)
        def test_codes_are_drawn(student, seed):
            for k in range(seed, seed + MODELS):
                _, of_noise = self._reconstruction(student, k, seed)
                require(of_noise)

        return test_codes_are_drawn

    def gradient(self, worth: float, why: str) -> Callable:
        """In training mode: that is where gradients are used."""

        @points(worth, "The gradient reaches the encoder")
        @hint(why)
        def test_gradient_reaches_the_encoder(student, seed):
            vae, x = self.small(student, seed), self.examples(20, seed)
            by = [vae.handle.gradient("encode", x, wrt="parameters", output=k, train=True) for k in (0, 1)]
            loss = vae.handle.gradient("elbo_terms", x, wrt="parameters", seed=seed, train=True)
            require(latent.gradient_reaches(*by, loss))

        return test_gradient_reaches_the_encoder

    def samples(self, worth: float, why: str) -> Callable:
        @points(worth, "Samples are decoded draws of the prior")
        @hint(why)
        def test_samples_are_decoded_draws_of_the_prior(student, seed):
            vae, rng = self._telling(student, seed), np.random.default_rng(seed)
            ours = vae.decode(rng.normal(size=(self.draws, vae.latents)).astype(np.float32))
            directions = rng.normal(size=(ours[0].size, PROJECTIONS)) / 32
            projected = [a.reshape(len(a), -1) @ directions for a in (vae.sample(self.draws, seed), ours)]
            require(latent.same_distribution(*projected, "projected samples"))
            require_too(hygiene.drawn_anew(partial(vae.sample, 3), seed))

        return test_samples_are_decoded_draws_of_the_prior

    def trained(self, worth: float, why: str, on: str) -> Callable:
        """The bound, between the reference and the baseline. on: what the examples are, in the plural."""

        def trained_well(student, graded, seed):
            def nats(n: int = self.held_out) -> float:
                return bound(self._trained(student), self.examples(n, seed), seed).mean() - (self.limit or 0)

            baseline = self.baseline() - (self.limit or 0)
            few = partial(nats, BATCH)
            graded(self.exercise, nats, limit=self.limit, baseline=baseline, recipe=self.recipe, few=few)

        trained_well.__name__ = f"test_trained_well_on_held_out_{on}"
        return points(worth, f"Trained: well on held-out {on}")(hint(why)(trained_well))

    def latents_are_used(self, worth: float, why: str, fewest: int) -> Callable:
        @points(worth, "Latents are used")
        @hint(why)
        def test_latents_are_used(student, seed):
            vae = self._trained(student)
            require(latent.active_latents(*vae.encode(self.examples(BATCH, seed)), fewest))

        return test_latents_are_used

    def _telling(self, student: Student, seed: int) -> Any:
        return (self.telling or self.small)(student, seed)

    def _trained(self, student: Student) -> UnitVAE:
        return UnitVAE(student.trained(self.exercise, self.of), self.shape, self.latents)

    def _reconstruction(self, student: Student, model: int, seed: int) -> tuple[Finding, Finding]:
        """The two findings of latent.unit_gaussian, for the random model of this number.

        Of several ways to read the term off the first counts; another one, where its formula is right and that of the
        first is not.
        """
        vae = self._telling(student, model)
        x, squares = vae.by_noise(self.examples(20, model), self.draws, model)
        terms = self.terms(vae, np.repeat(x, self.draws, axis=0), seed)
        found = [latent.unit_gaussian(term, squares, x.size, self.part) for term in terms]
        return next((f for f in found if f[0].passed), found[0])


def without_kl(
    models: Sequence[UnitVAE],
    examples: Callable[[int, int], np.ndarray],
    term: Callable[[UnitVAE, np.ndarray, int], np.ndarray],
    slip: str,
    seed: int,
) -> Finding:
    """The mean of term(model, x, seed), (n,), is nearer to the reconstruction than to that and the KL.

    Of several models that one is asked whose KL tells most beside chance; where none tells enough, nothing is asked.
    """
    x = examples(MANY, seed)

    def tells(model: UnitVAE) -> float:
        nats, kl = _own_terms(model, x, FIRST_DRAWS, seed)
        return float(np.nan_to_num(kl / (np.std(nats, ddof=1) + 1e-9)))

    model = max(models, key=tells)
    nats, kl = _own_terms(model, x, OWN_DRAWS, seed)
    theirs = [term(model, x, seed + k).astype(np.float64).mean() for k in range(OWN_DRAWS)]
    above, chance = float(np.mean(theirs) - nats.mean()), float(np.std(nats, ddof=1) * np.sqrt(2 / OWN_DRAWS))
    wrong = kl > 8 * chance and abs(above - kl) < kl / 4
    measured = f"{above:.3g} nats above the reconstruction, where the KL is {kl:.3g}"
    return Finding(float(not wrong), measured, "the reconstruction without the KL", slip=slip if wrong else "")


def _own_terms(model: UnitVAE, x: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, float]:
    """The mean reconstruction of examples x with z of ours, in nats, (draws,); and the mean KL."""
    mu, log_sigma = (a.astype(np.float64) for a in model.encode(x))
    rng, nats = np.random.default_rng(seed), []
    for _ in range(draws):
        z = mu + np.exp(log_sigma) * rng.normal(size=mu.shape)
        errors = ((x - model.decode(z.astype(np.float32)).astype(np.float64)) ** 2).reshape(len(x), -1).sum(axis=1)
        nats.append((errors.mean() + x[0].size * np.log(2 * np.pi)) / 2)
    return np.array(nats), float(latent.gaussian_kl(mu, log_sigma).mean())


def expressive(
    small: Callable[[Student, int, float], "Model"], examples: Callable[[int, int], np.ndarray]
) -> Callable[[Student, int], "Model"]:
    """(student, seed) -> of small(student, seed, size) one whose σ_z are not near one and whose codes are seen in x."""
    return lambda student, seed: best_conditioned(partial(small, student), examples(20, seed), seed)


def _codes(vae: VAE, n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, vae.latents))


def bound(vae: UnitVAE, x: np.ndarray, seed: int) -> np.ndarray:
    """A draw of −ELBO of every example, (n, …) -> (n,), with our own noise; codes are decoded in another order."""
    n, rng = len(x), np.random.default_rng(seed)
    mu, log_sigma = (np.concatenate(a) for a in zip(*map(vae.encode, batches(x)), strict=True))
    z = (mu + np.exp(log_sigma) * rng.normal(size=mu.shape)).astype(np.float32)
    order = rng.permutation(n)
    decoded = np.empty(x.shape)
    decoded[order] = np.concatenate([vae.decode(part) for part in batches(z[order])])
    return latent.gaussian_nll(x.reshape(n, -1), decoded.reshape(n, -1), 0.0) + latent.gaussian_kl(mu, log_sigma)


def batches(x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, range(BATCH, len(x), BATCH))


def mean_example_nats(x: np.ndarray) -> float:
    """A naive baseline: nats of the mean example with unit variance, and no code; (n, …)."""
    squares = ((x - x.mean(axis=0)) ** 2).reshape(len(x), -1).sum(axis=1)
    return float(0.5 * np.log(2 * np.pi) * x[0].size + squares.mean() / 2)
