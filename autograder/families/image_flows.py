"""What the flows of images share: images as rows of numbers, bits per dimension that the grader counts, the suite."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families.flows import SIZES, WORST_CONDITION, two
from autograder.properties import flows, hygiene
from autograder.properties import images as on_images
from autograder.properties.finding import Finding
from autograder.student import Handle, Student, expect, whole
from autograder.workbench import StudentCodeError
from deepul_utils.images import ImageSet

# Weights that leave most levels between black and white: there it shows how reals are rounded to levels.
GENTLE = (0.1, 0.05, 0.02)
CANDIDATES = 60  # images, of which the most telling is taken
PROBED = 128  # rows of a Jacobian in one call, which is timed
OVERFLOWS = 1e4  # a real this large is no logit of a level, and its exponentials are not far from float32's largest
ALPHA = 0.05  # of the logit transform, as the exercise says
HELD_OUT = 300  # images: their mean is known to a hundredth of a bit
FEW = 32  # by these the loss is compared with that of other weights
SAMPLES = 200
# Samples of a trained flow are this much nearer to the data than images of independent pixels: at a third of their
# distance, or two thirds. Both are looked at in blocks of 4 × 4 pixels: there the structure is, and not the grain that
# a flow leaves on black.
NEARER, BLOCK = 0.8, 4


class ImageFlow:
    """A flow of images (C, H, W) as a flow of rows of D = C·H·W reals; log_prob and sample speak of integer levels.

    What only needs z asks for z only: a log_det of another shape is the business of the checks that need it.
    """

    def __init__(self, handle: Handle, shape: tuple[int, int, int], levels: int):
        self.handle, self.shape, self.levels = handle, shape, levels
        self.dims = int(np.prod(shape))

    def forward(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, log_det = two(self.handle.call("forward", shaped(t, self.shape)), f"{self.handle.label}.forward(t)")
        return self._z(z, t), expect(log_det, (len(t),), f"log_det of {self.handle.label}.forward(t)")

    def latents(self, t: np.ndarray) -> np.ndarray:
        out = self.handle.call("forward", shaped(t, self.shape))
        return self._z(out[0] if isinstance(out, list) and out else out, t)

    def log_det(self, t: np.ndarray) -> np.ndarray:
        return self.forward(t)[1]

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return self.ask("inverse", (len(z), *self.shape), shaped(z, self.shape)).reshape(len(z), -1)

    def jacobian(self, t: np.ndarray) -> np.ndarray:
        """∂z_i/∂t_j at every image, float64 (B, D, D): an image's z depends on its own t alone."""
        parts = range(0, self.dims, PROBED)
        rows = [self.handle.jacobian("forward", shaped(t, self.shape), first=k, last=k + PROBED) for k in parts]
        wanted = (self.dims, len(t), *self.shape)
        rows = expect(np.concatenate(rows), wanted, f"∂z/∂t of {self.handle.label}.forward")
        return rows.reshape(self.dims, len(t), -1).transpose(1, 0, 2).astype(np.float64)

    def log_prob(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        """Of integer images (B, C, H, W); the student draws the noise."""
        return self.ask("log_prob", (len(x),), x, seed=seed)

    def own_log_prob(self, x: np.ndarray, seed: int) -> np.ndarray:
        """The same from z and log_det of `forward`, with noise, logit and base density of the grader's own."""
        t, log_det = to_reals(x, self.levels, seed)
        z, log_det_z = self.forward(t)
        return base_density(z) + log_det + log_det_z

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """(n, C, H, W), int64."""
        what = f"{self.handle.label}.sample({n})"
        return whole(expect(self.handle.call("sample", n, seed=seed), (n, *self.shape), what), what)

    def ask(self, method: str, shape: tuple[int, ...], *args, seed: int = 0, **kwargs) -> np.ndarray:
        """A method's answer, its shape checked."""
        return expect(self.handle.call(method, *args, seed=seed, **kwargs), shape, f"{self.handle.label}.{method}")

    def reals(self, n: int, seed: int) -> np.ndarray:
        """n random images as rows of reals, spread as logits of levels are: float64 (n, D), numbers of float32."""
        drawn = np.random.default_rng(seed).normal(scale=1.5, size=(n, self.dims))
        return drawn.astype(np.float32).astype(np.float64)

    def _z(self, z, t: np.ndarray) -> np.ndarray:
        return expect(z, (len(t), *self.shape), f"z of {self.handle.label}.forward(t)").reshape(len(t), -1)


def drawn(
    student: Student,
    name: str,
    shape: tuple[int, int, int],
    levels: int,
    seed: int,
    /,
    *args,
    begin: Callable[[ImageFlow], object] = lambda flow: None,
    sizes: tuple[float, ...] = SIZES,
    **kwargs,
) -> ImageFlow:
    """A small flow of images with random weights, in double precision where its code runs so.

    Drawn again, and smaller, until its numbers are finite and an error would not grow much on the way there and back;
    the best of them, if none is good. begin: what is done with each before anything else.
    """
    best, least = None, np.inf
    for k, size in enumerate(sizes):
        made = student.new(name, *args, seed=seed + 1009 * k, perturb=size, precise=True, **kwargs)
        flow = ImageFlow(made, shape, levels)
        begin(flow)
        condition = _condition(flow, seed)
        if best is None or condition < least:
            best, least = flow, condition
        if condition <= WORST_CONDITION:
            break
    return best  # type: ignore[return-value]  # one was tried at least


def _condition(flow: ImageFlow, seed: int) -> float:
    """How badly conditioned a flow is at random images; infinite where it is not finite, or its samples are not."""
    try:
        condition = flows.condition(flow.jacobian(flow.reals(4, seed)))
        t = flow.inverse(np.random.default_rng(seed).standard_normal((500, flow.dims)))
    except StudentCodeError:  # the check that asks for it says so
        return 0.0
    return condition if np.isfinite(t).all() and np.abs(t).max() < OVERFLOWS else np.inf


def shaped(rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    return np.ascontiguousarray(rows).reshape(len(rows), *shape)


def pair(student: Student, function: str, x: np.ndarray, *args, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(y, log_det) of a function of the notebook: y of x's shape, log_det (B,)."""
    y, log_det = two(student.call(function, x, *args, seed=seed), f"{function}(x)")
    return expect(y, x.shape, f"the first value of {function}"), expect(log_det, (len(x),), f"log_det of {function}")


def answer(student: Student, function: str, shape: tuple[int, ...], *args) -> np.ndarray:
    """What a function of the notebook returns, its shape checked."""
    return expect(student.call(function, *args), shape, function)


def mask(student: Student, kind: str, shape: tuple[int, int, int], keep: int) -> np.ndarray:
    """The student's mask, (C, H, W)."""
    return answer(student, f"{kind}_mask", shape, list(shape), keep).astype(np.float64)


def levels(n: int, shape: tuple[int, int, int], count: int, seed: int) -> np.ndarray:
    """n random images of integer levels 0 … count − 1, int64 (n, C, H, W)."""
    return np.random.default_rng(seed).integers(count, size=(n, *shape))


def to_reals(x: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer images as rows of reals, and the log-determinants of dequantization and logit: float32 (B, D), (B,)."""
    y = (x + np.random.default_rng(seed).random(x.shape)).reshape(len(x), -1) / count
    s = y * (1 - 2 * ALPHA) + ALPHA
    log_slopes = np.log(1 - 2 * ALPHA) - np.log(s) - np.log1p(-s) - np.log(count)
    return (np.log(s) - np.log1p(-s)).astype(np.float32), log_slopes.sum(axis=1)


def base_density(z: np.ndarray) -> np.ndarray:
    """log N(z; 0, I) of rows, (B, D) -> (B,)."""
    return (-0.5 * z.astype(np.float64) ** 2 - 0.5 * np.log(2 * np.pi)).sum(axis=1)


def log_det_finding(flow: ImageFlow, seed: int, n: int = 20) -> Finding:
    """log_det against the Jacobian, at random images."""
    t = flow.reals(n, seed)
    jacobian = flow.jacobian(t)
    found = flows.log_det_is_of_jacobian(flow.log_det(t), jacobian)
    return flows.is_the_slope(flow.latents, t, jacobian, seed) if found.passed else found


def inverse_findings(flow: ImageFlow, seed: int, n: int = 50) -> Iterator[Finding]:
    """There and back again, from both ends; z is that of images, where the flow is as good as its numbers are."""
    t = flow.reals(n, seed)
    yield flows.inverts(flow.latents, flow.inverse, t)
    yield flows.inverts(flow.latents, flow.inverse, flow.latents(flow.reals(n, seed + 1)), start="z")


def inverts(flow: ImageFlow, seed: int) -> bool:
    """Whether this flow's class has a right inverse: then that of the trained one must be right, too."""
    try:
        return all(found.passed for found in inverse_findings(flow, seed))
    except StudentCodeError:
        return False


def bits_of_trained(flow: ImageFlow, x: np.ndarray, seed: int, invertible: bool = True) -> float:
    """Bits per dimension of held-out images under a trained flow, counted by the grader.

    Noise, logit and base density are the grader's; z and log_det are the student's. That z comes from an invertible
    function and log_det is that of its Jacobian is required of one image of the same query, which one is not known
    beforehand: so the likelihood is that of a normalised density, whatever the student's own log_prob says.
    invertible: whether the class has a right inverse; one that is wrong or missing has a check of its own.
    """
    t, log_det, z, log_det_z = _asked(flow, x, seed)
    probed = int(np.random.default_rng(seed).integers(len(t)))
    if invertible:
        require(flows.inverts(lambda part: z[: len(part)], flow.inverse, t[:64]))
    jacobian = flow.jacobian(t[[probed]])
    require(flows.is_the_slope(flow.latents, t[[probed]], jacobian, seed))
    require(flows.log_det_is_of_jacobian(log_det_z[[probed]], jacobian))
    return _bits(flow, z, log_det + log_det_z)


def bits(flow: ImageFlow, x: np.ndarray, seed: int) -> float:
    """Bits per dimension by what the flow says, without proof."""
    _, log_det, z, log_det_z = _asked(flow, x, seed)
    return _bits(flow, z, log_det + log_det_z)


def _asked(flow: ImageFlow, x: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """(t, log_det of t, z, log_det of z) of images x."""
    t, log_det = to_reals(x, flow.levels, seed)
    asked = [flow.forward(part) for part in np.array_split(t, -(-len(t) // 100))]
    return t, log_det, *(np.concatenate(parts) for parts in zip(*asked, strict=True))


def _bits(flow: ImageFlow, z: np.ndarray, log_det: np.ndarray) -> float:
    base = max(base_density(z).mean(), fitted_base_density(z).mean())
    return float(-(base + log_det.mean()) / (flow.dims * np.log(2)))


def fitted_base_density(z: np.ndarray) -> np.ndarray:
    """log-density of rows under a normal with a mean and a spread for every number, fitted to the other half of them.

    To a flow with a learned prior this is its base; to one whose base is N(0, I) it is a little worse than that.
    """
    halves = np.array_split(z.astype(np.float64), 2)
    found = []
    for half, other in zip(halves, halves[::-1], strict=True):
        mean, spread = other.mean(axis=0), np.maximum(other.std(axis=0, ddof=1), 1e-3)
        found.append(base_density((half - mean) / spread) - np.log(spread).sum())
    return np.concatenate(found)


def baseline_bits(data) -> float:
    """The naive baseline: bits a number of independent pixels, each with its own frequencies."""
    x = data.sample(5000)
    counts = np.stack([(x == level).sum(axis=0) for level in range(data.levels)], axis=-1) + 0.5
    p = counts / counts.sum(axis=-1, keepdims=True)
    return float(-(p * np.log2(p)).sum() / x[0].size)


def samples_finding(flow: ImageFlow, data, fresh: np.ndarray, seed: int) -> Finding:
    """Samples lie nearer to fresh images than images whose pixels are drawn independently of each other."""
    rng = np.random.default_rng(seed)
    plain = rng.permuted(data.sample(len(fresh), seed=seed).reshape(len(fresh), -1), axis=0).reshape(fresh.shape)
    rows = [blocks(x / (data.levels - 1)) for x in (flow.sample(SAMPLES, seed), fresh, plain)]
    drawn, held_out, independent = rows
    return flows.samples_are_nearer_than(drawn, held_out, independent, NEARER, against="independent pixels")


def telling(flow: ImageFlow, seed: int, draws: int = 25) -> np.ndarray:
    """Of many images that one, (1, C, H, W), whose log_det is largest beside what the noise does to log_prob.

    Where it is next to nothing, or drowned in the noise, its sign does not show.
    """
    x = levels(CANDIDATES, flow.shape, flow.levels, seed)
    t, log_det = to_reals(x.repeat(draws, axis=0), flow.levels, seed)
    z, log_det_z = flow.forward(t)
    log_p = (base_density(z) + log_det + log_det_z).reshape(len(x), draws)
    size = np.abs(log_det_z.reshape(len(x), draws).mean(axis=1)) / (log_p.std(axis=1) + 1e-9)
    return x[[np.nan_to_num(size, posinf=0).argmax()]]


def log_prob_finding(flow: ImageFlow, student: Student, parts: tuple[str, ...], seed: int, n: int = 1500) -> Finding:
    """log_prob of an image, drawn many times, is distributed like log N(z; 0, I) + all log_dets.

    Those of the grader's own noise and logit; or, where the notebook has its own (parts: the names of dequantize and
    to_logits), of these: what is wrong with them has checks of its own.
    """
    x = telling(flow, seed).repeat(n, axis=0)
    asked, name, formula = flow.log_prob(x, seed), "log_prob", "log N(z; 0, I) + all log_dets"
    found = on_images.same_distribution(asked, flow.own_log_prob(x, seed + 1), name, formula)
    if found.passed or not parts:
        return found
    try:
        y, log_det_y = pair(student, parts[0], x, flow.levels, seed=seed + 1)
        t, log_det_t = pair(student, parts[1], y)
        z, log_det_z = flow.forward(t.reshape(len(t), -1))
    except StudentCodeError:
        return found
    wanted = base_density(z) + log_det_y + log_det_t + log_det_z
    if np.allclose(np.sort(asked), np.sort(wanted), rtol=1e-4, atol=1e-2):  # noise that is no noise: the same numbers
        return replace(found, share=1.0, value=1.0)
    own = on_images.same_distribution(asked, wanted, name, formula)
    return own if own.passed else found


def sampler_finding(flow: ImageFlow, seed: int, n: int = 2000) -> Finding:
    """Samples of a flow with random weights are distributed like draws of N(0, I) that the grader brings back."""
    z = np.random.default_rng(seed).standard_normal((n, flow.dims))
    asked = flow.sample(n, seed)
    found = hygiene.in_range(asked, flow.levels)
    if not found.passed:
        return found
    asked = asked.reshape(n, -1)
    y = brought_back(flow, z)
    found = on_images.samples_are_of(asked, to_levels(y, flow.levels), flow.levels, seed)
    if found.passed:
        return found
    floor = "sample rounds to the nearest level, and y = (x + u) / levels is rounded down"
    cold = (
        "It seems that z is drawn with a temperature, with less spread than N(0, I): then samples are not the model's."
    )
    answers = {
        f"{floor}: floor of y · levels.": lambda: np.round(y * flow.levels),
        f"{floor}: floor of y · levels, and not y · (levels − 1).": lambda: np.round(y * (flow.levels - 1)),
        cold: lambda: to_levels(brought_back(flow, nearest_temperature(flow, z, asked) * z), flow.levels),
        "The samples look like z itself: is the inverse missing?": lambda: to_levels(squashed(z), flow.levels),
        "The squeeze is not undone: y = (σ(t) − α) / (1 − 2α), not σ(t).": lambda: to_levels(
            ALPHA + (1 - 2 * ALPHA) * y, flow.levels
        ),
    }
    agrees = {
        slip: on_images.samples_are_of(asked, np.clip(wrong(), 0, flow.levels - 1), flow.levels, seed)
        for slip, wrong in answers.items()
    }
    likely = max(agrees, key=lambda slip: agrees[slip].value or 0.0)
    return replace(found, slip=likely) if agrees[likely].passed else found


def nearest_temperature(flow: ImageFlow, z: np.ndarray, asked: np.ndarray) -> float:
    """The temperature of z whose samples are spread most like those that came."""
    few = z[:500]
    spread = {T: to_levels(brought_back(flow, T * few), flow.levels).std() for T in np.arange(0.5, 1.0, 0.05)}
    return min(spread, key=lambda T: abs(spread[T] - asked.std()))


def brought_back(flow: ImageFlow, z: np.ndarray) -> np.ndarray:
    """y in [0, 1] of latents, or a little beyond."""
    return squashed(flow.inverse(z).astype(np.float64))


def squashed(t: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-np.clip(t, -50, 50))) - ALPHA) / (1 - 2 * ALPHA)


def to_levels(y: np.ndarray, count: int) -> np.ndarray:
    return np.clip(np.floor(y * count), 0, count - 1)


def blocks(x: np.ndarray) -> np.ndarray:
    """The means of blocks of 4 × 4 pixels: (B, C, H, W) -> (B, C · H/4 · W/4)."""
    B, C, H, W = x.shape
    return x.reshape(B, C, H // BLOCK, BLOCK, W // BLOCK, BLOCK).mean(axis=(3, 5)).reshape(B, -1)


# ---- the checks that every flow of images must pass ----------------------------------------------------

# (student, seed) -> flows with random weights, one after the other.
Flows = Callable[[Student, int], Iterable[ImageFlow]]

ONE_ROW = "forward takes reals (B, C, H, W) and gives z of the same shape and log_det (B,), one row an image."
ONE_EXAMPLE = "One image is a batch, too: forward takes (1, C, H, W) and gives as much, and log_det (1,)."


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Each method makes one check, which is worth so many points: `test_shapes = suite.shapes(0.5)`.

    exercise: its name, which is that of what it trains. of: the class that is asked for. data: the images. small:
    (student, seed) -> a flow of small images with random weights; (student, seed, sizes=…): with noise of these sizes.
    own: the names of the notebook's own dequantize and to_logits, if it has them. learned_prior: whether the base may
    have weights of its own. As it begins it is N(0, I), so that the flow is asked as it begins, too.
    """

    exercise: str
    of: str
    data: ImageSet
    small: Callable[..., ImageFlow]
    recipe: Recipe
    own: tuple[str, ...] = ()
    learned_prior: bool = False

    def shapes(
        self, worth: float, title: str = "Shapes", first: Callable[[Student, int], None] = lambda student, seed: None
    ) -> Callable:
        """first: what is required besides, before."""

        def shapes(student, seed):
            first(student, seed)
            flow = self.small(student, seed)
            t = flow.reals(50, seed)
            z, log_det = flow.forward(t)
            require(hygiene.finite(np.concatenate([z.ravel(), log_det]), "of random images"))
            require(hygiene.rows_are_independent(flow.latents, t))
            require(hygiene.rows_are_independent(flow.log_det, t))

        shapes.__name__ = f"test_{title.lower().replace(' ', '_')}"
        return points(worth, title)(hint(ONE_ROW)(shapes))

    def one_example(self, worth: float, layers: Flows) -> Callable:
        """Of a whole flow, and of the log_dets of its layers."""

        @points(worth, "Called with one example")
        @hint(ONE_EXAMPLE)
        def test_called_with_one_example(student, seed):
            flow = self.small(student, seed)
            require(hygiene.one_example(flow.latents, flow.reals(5, seed)))
            for part in (flow, *layers(student, seed)):
                require(hygiene.one_example(part.log_det, part.reals(5, seed)))

        return test_called_with_one_example

    def log_det(self, worth: float, why: str, parts: Flows) -> Callable:
        """Of every part, whole flows among them."""

        @points(worth, "log_det is that of the Jacobian")
        @hint(why)
        def test_log_det_is_that_of_the_jacobian(student, seed):
            for flow in parts(student, seed):
                require(log_det_finding(flow, seed))

        return test_log_det_is_that_of_the_jacobian

    def inverse(self, worth: float, why: str, parts: Flows) -> Callable:
        """Of every part, whole flows among them."""

        @points(worth, "inverse undoes forward")
        @hint(why)
        def test_inverse_undoes_forward(student, seed):
            for flow in parts(student, seed):
                for found in inverse_findings(flow, seed):
                    require(found)

        return test_inverse_undoes_forward

    def log_prob(self, worth: float, why: str, networks: int = 1) -> Callable:
        """networks: how many random ones are looked at."""

        @points(worth, "log_prob adds the base density and all log_dets")
        @hint(why)
        def test_log_prob_adds_base_and_all_log_dets(student, seed):
            for k in range(seed, seed + networks):
                found = log_prob_finding(self.small(student, k), student, self.own, k)
                if self.learned_prior and not found.passed:
                    found = log_prob_finding(self._as_it_begins(student, k), student, self.own, k)
                require(found)
            flow = self.small(student, seed)
            x = levels(100, flow.shape, flow.levels, seed)
            if self.own and not _is_random(student, self.own[0], x, flow.levels, seed):
                return  # that has a check of its own
            require(on_images.is_drawn_anew(flow.log_prob(x, seed), flow.log_prob(x, seed + 1), "log_prob"))

        return test_log_prob_adds_base_and_all_log_dets

    def samples(self, worth: float, why: str) -> Callable:
        @points(worth, "Samples follow the density")
        @hint(why)
        def test_samples_follow_the_density(student, seed):
            for flow in self._sampled(student, seed):
                require(sampler_finding(flow, seed))
            require_too(hygiene.drawn_anew(partial(flow.sample, 3), seed))

        return test_samples_follow_the_density

    def near_the_data(self, worth: float, why: str) -> Callable:
        """Samples of the trained flow."""

        @points(worth, "Samples look like the data")
        @hint(why)
        def test_samples_look_like_the_data(student, held_out, seed, rests):
            x = held_out(self.data, SAMPLES)
            rests(lambda: samples_finding(self._trained(student), self.data, x, seed))

        return test_samples_look_like_the_data

    def trained(self, worth: float, why: str) -> Callable:
        """Held-out images under the trained flow, between the reference and independent pixels; see bits_of_trained."""

        @points(worth, "Trained: bits per dimension")
        @hint(why)
        def test_trained_bits_per_dimension(student, graded, held_out, seed):
            invertible = inverts(self.small(student, seed), seed)
            x = held_out(self.data, HELD_OUT)
            graded(
                self.exercise,
                lambda: bits_of_trained(self._trained(student), x, seed, invertible),
                limit=None,
                baseline=baseline_bits(self.data),
                unit="bits/dim",
                recipe=self.recipe,
                few=lambda: bits(self._trained(student), x[:FEW], seed),
            )

        return test_trained_bits_per_dimension

    def _sampled(self, student: Student, seed: int) -> Iterator[ImageFlow]:
        """Flows whose samples we can draw as well."""
        if not self.learned_prior:
            yield self.small(student, seed)
            yield self.small(student, seed, sizes=GENTLE)
            return
        yield self._as_it_begins(student, seed)
        flow = self.small(student, seed)
        if has_a_normal_base(flow, student, seed):
            yield flow

    def _as_it_begins(self, student: Student, seed: int) -> ImageFlow:
        return self.small(student, seed, sizes=(0.0,))

    def _trained(self, student: Student) -> ImageFlow:
        return ImageFlow(student.trained(self.exercise, self.of), self.data.shape, self.data.levels)


def has_a_normal_base(flow: ImageFlow, student: Student, seed: int) -> bool:
    """Whether log_prob speaks of N(0, I), and not of a prior with weights of its own."""
    try:
        return log_prob_finding(flow, student, (), seed, n=500).passed
    except StudentCodeError:
        return False


def _is_random(student: Student, dequantize: str, x: np.ndarray, count: int, seed: int) -> bool:
    """Whether the notebook's own noise is another at another seed."""
    y, again = (student.call(dequantize, x, count, seed=seed + k) for k in (0, 1))
    return not np.array_equal(np.asarray(y[0]), np.asarray(again[0]))
