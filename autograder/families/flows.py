"""A student's flow as plain functions of arrays, with every shape checked, and models whose numbers can be trusted."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.properties import flows, hygiene
from autograder.properties.finding import Finding
from autograder.properties.flows import LOGISTIC, NORMAL, UNIFORM
from autograder.student import Handle, Student, expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

BOX = ((-6.0, 6.0), (-6.0, 6.0))  # beyond it none of the 2-D sets has any mass to speak of
CELLS = 320  # steps of 0.04, a third of the sets' finest width
# Random weights are drawn again, and smaller, where numbers overflow or rounding would grow this much.
SIZES, WORST_CONDITION = (0.5, 0.5, 0.25, 0.25, 0.12, 0.06), 1e4
ENOUGH = 40  # points in the middle of the base, where a CDF has a slope
AT_ONCE = 10_000  # points of a grid in one call
LOST = 30.0  # nats: farther off no point is counted where models are only compared
AGREE = 0.01  # nats between a trained model's own log_prob and z with its Jacobian


class Flow:
    """forward: x -> (z, log_det), and each of them alone; inverse: z -> x; jacobian; log_prob and sample.

    base: what z is to be distributed like. What only needs z asks for z only: a log_det of another shape, or none, is
    the business of the checks that need it.
    """

    def __init__(self, handle: Handle, dims: int, base: str):
        self.handle, self.dims, self.base = handle, dims, base
        self.inverse, self.log_prob = handle.verb("inverse", dims), handle.log_prob

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, log_det = two(self.handle.call("forward", x), f"{self.handle.label}.forward(x)")
        return self._z(z, x), expect(log_det, (len(x),), f"log_det of {self.handle.label}.forward(x)")

    def latents(self, x: np.ndarray) -> np.ndarray:
        out = self.handle.call("forward", x)
        return self._z(out[0] if isinstance(out, list) and out else out, x)

    def log_det(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)[1]

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """∂z_i/∂x_j at every point, float64 (B, D, D)."""
        rows = self.handle.jacobian("forward", x)
        return expect(rows, (self.dims, *x.shape), f"∂z/∂x of {self.handle.label}.forward").transpose(1, 0, 2)

    def own_log_prob(self, x: np.ndarray) -> np.ndarray:
        """log p(x) from z and its Jacobian, whatever log_prob and log_det say; in parts, because calls are timed."""
        log_p = []
        for part in np.array_split(x, -(-len(x) // AT_ONCE)):
            jac = self.jacobian(part).astype(np.float64)
            with np.errstate(divide="ignore"):
                log_slope = np.linalg.slogdet(jac).logabsdet
            log_p.append(flows.base_log_density(self.latents(part), self.base) + log_slope)
        return np.concatenate(log_p)

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        return self.handle.sample(n, self.dims, seed=seed)

    def _z(self, z, x: np.ndarray) -> np.ndarray:
        return expect(z, x.shape, f"z of {self.handle.label}.forward(x)")


def two(out, what: str) -> tuple:
    """(z, log_det) that a function should return."""
    if not isinstance(out, list) or len(out) != 2:
        got = f"{len(out)} values" if isinstance(out, list) else "None" if out is None else "one value"
        raise StudentCodeError("wrong type", f"{what} should return two values, (z, log_det), got {got}.")
    return out[0], out[1]


# ---- random weights ------------------------------------------------------------------------------------


def drawn(student: Student, name: str, dims: int, base: str, seed: int, **kwargs) -> Flow:
    """A small flow with random weights, in double precision where its code runs so.

    Drawn again, and smaller, until its numbers are finite and an error would not grow much on the way there and back;
    the best of them, if none is good.
    """
    best, least = None, np.inf
    for k, size in enumerate(SIZES):
        handle = student.new(name, seed=seed + 1009 * k, perturb=size, precise=True, **kwargs)
        flow = Flow(handle, dims, base)
        condition = _condition(flow, seed)
        if best is None or condition < least:
            best, least = flow, condition
        if condition <= WORST_CONDITION:
            break
    return best  # type: ignore[return-value]  # one was tried at least


def _condition(flow: Flow, seed: int) -> float:
    """How badly conditioned a flow is where it will be looked at; infinite where it is not finite."""
    x = inner(flow, seed)
    if len(x) < ENOUGH:
        return np.inf
    try:
        jac = flow.jacobian(x)
    except StudentCodeError:  # another check says so
        return 0.0
    if flow.base == UNIFORM:  # each row by its own size: a CDF may be flat, and is inverted by bisection
        jac = jac / np.maximum(np.abs(jac).max(axis=2, keepdims=True), 1e-300)
    return flows.condition(jac)


def inner(flow: Flow, seed: int, n: int = 200) -> np.ndarray:
    """Random points, near and farther out, whose latents are in the middle of the base: float64 (≤ n, D).

    In the tails of a CDF no precision sees a slope, and a density may be anything that rounds to zero.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40 * n, flow.dims)) * rng.choice([0.3, 1.0, 3.0, 10.0], (40 * n, 1))
    x = x if flow.base == UNIFORM else x[: 2 * n]
    x = x.astype(np.float32).astype(np.float64)
    z = flow.latents(x).astype(np.float64)
    low, high = (flows.INSIDE, 1 - flows.INSIDE) if flow.base == UNIFORM else (-1e3, 1e3)
    with np.errstate(invalid="ignore"):
        return x[((z > low) & (z < high)).all(axis=1)][:n]


def middle(flow: Flow, seed: int) -> np.ndarray:
    """`inner` points; some others where there are none, so that what is wrong with z is measured and said."""
    x = inner(flow, seed)
    return x if len(x) else np.random.default_rng(seed).normal(size=(50, flow.dims))


# ---- what is required of a density ---------------------------------------------------------------------


def density_finding(flow: Flow, seed: int, onto: Callable[[Flow], Finding], box: Callable[[Flow], tuple]) -> Finding:
    """A density: that of a map onto the base's whole space, log p = log base + log|det ∂z/∂x|; and it falls far out.

    onto: whether z covers the base. Where it is not that density, or z is none, an integral says what it is: also
    such a one is right if it is 1. box: in which to integrate.
    """
    x = middle(flow, seed)
    log_p = flow.log_prob(x)
    try:
        finding = flows.density_is_that_of_the_flow(log_p, flow.latents(x), flow.jacobian(x), flow.base)
        finding = finding if not finding.passed else min(finding, onto(flow), key=lambda f: f.share)
    except StudentCodeError as error:  # of forward: log_prob may be right by itself
        finding = Finding(0.0, error.message, "log p = log base + log|det ∂z/∂x|")
    falls = _far_out(flow, seed)
    if not falls.passed:
        return falls
    if finding.passed:
        return finding
    try:
        integral, known = box(flow)
    except StudentCodeError:
        return finding
    if not known:
        return finding
    if integral.passed:
        return integral
    return Finding(
        0.0,
        f"{integral.measured}; {finding.measured}",
        integral.required,
        integral.value,
        integral.bound,
        slip=finding.slip or integral.slip,
    )


def _far_out(flow: Flow, seed: int) -> Finding:
    """Whether log p falls; where it cannot be computed far out, that is the business of another check."""
    try:
        return flows.falls_far_out(flow.log_prob, flow.dims, seed)
    except StudentCodeError:
        return Finding(1.0, "log p cannot be computed far away", "log p falls far away")


# ---- trained models ------------------------------------------------------------------------------------


def one_gaussian(data: toy.Distribution, n: int = 100_000) -> toy.GaussianMixture:
    """The naive baseline: the Gaussian with the data's mean and covariance."""
    x = data.sample(n, seed=0, split="validation").astype(np.float64)
    covariance = np.cov(x.T).reshape(1, data.dims, data.dims)
    return toy.GaussianMixture([1.0], x.mean(axis=0)[None], covariance, name=f"one Gaussian for {data.name}")


def baseline_nats(data: toy.Distribution) -> float:
    """Nats above the limit of the best single Gaussian: its cross-entropy is its own entropy."""
    return one_gaussian(data).entropy - data.entropy


@dataclass
class Trained:
    """The KL to the exact density of `data`, in nats, of a flow that was trained as `name`, on fresh data x.

    of: its class. box, cells: the grid on which no density may have mass too much.
    """

    student: Student
    name: str
    of: str
    data: toy.Distribution
    base: str
    x: np.ndarray
    seed: int
    box: tuple
    cells: int

    def excess(self) -> float:
        """log p is asked for on the grid and at held-out points in one shuffled query: no code can tell which count.

        The student's own log_prob counts where it is the density of the flow; else z and its Jacobian do, which is what
        was trained: what is wrong with log_prob has a check of its own.
        """
        exact, few = self._flow(precise=True), self.x[:200]
        own, counted, errors = None, [], []
        with contextlib.suppress(StudentCodeError):  # of forward; then log_prob says what is wrong with it
            require(flows.is_the_slope(exact.latents, few, exact.jacobian(few), self.seed))
            own = exact.own_log_prob(few)
        for log_prob in (self._flow().log_prob, exact.own_log_prob):
            try:
                asked = flows.plane(log_prob, self.box, self.cells, self.seed, extra=self.x)
            except StudentCodeError as error:
                errors.append(error)
                continue
            if own is not None and not np.abs(own - asked.extra[: len(few)]).mean() <= AGREE:
                continue  # it is not that of the flow
            no_more = asked.holds_no_more_than_one()
            counted.append((no_more, flows.excess_nats(self.data.log_prob(self.x), asked.extra)))
            if no_more.passed:
                return counted[-1][1]
        if not counted:
            raise errors[0] if errors else StudentCodeError("raised", f"trained({self.name!r}) has no finite density.")
        require(counted[0][0])
        return np.inf

    def of_few(self) -> float:
        """The same of fewer points, without a grid: for comparison with other weights.

        Where z is clipped its slope is zero, and a single point would count for infinitely much.
        """
        few = self.x[:1000]
        over = self.data.log_prob(few) - self._flow(precise=True).own_log_prob(few)
        return float(np.clip(np.nan_to_num(over, nan=LOST), -LOST, LOST).mean())

    def _flow(self, precise: bool = False) -> Flow:
        return Flow(self.student.trained(self.name, self.of, precise=precise), self.data.dims, self.base)


def around(data: toy.Distribution, n: int, seed: int) -> np.ndarray:
    """Points where the data are, and as many where they are not: float32 (2n, D)."""
    rng = np.random.default_rng(seed)
    anywhere = np.stack([rng.uniform(low, high, n) for low, high in data.support], axis=1)
    return np.concatenate([data.sample(n, seed=seed, split="test"), anywhere]).astype(np.float32)


# ---- the checks that every flow of points must pass ----------------------------------------------------

ONE_ROW = "forward takes (B, {D}) and gives z (B, {D}) and log_det (B,), one row an example."
ONE_EXAMPLE = "One example is a batch, too: forward takes (1, {D}) and gives (1, {D}) and (1,), log_prob gives (1,)."
LIKE = {UNIFORM: "uniform", NORMAL: "normal", LOGISTIC: "logistic"}
LATENTS = 1000  # enough to see a wrong latent, and too few to see the last hundredth of a nat
SAMPLES = 2500
# Samples of a trained flow lie this much nearer to the data than those of one Gaussian. Energy distance hardly sees
# the thin sheets between parts of the data, which no such flow is without.
NEARER = 0.4


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Each method makes one check, which is worth so many points: `test_shapes = suite.shapes(0.5)`.

    exercise: its name, which is that of what it trains; with a suffix for each of `sets`, names of toy data, if there
    are several. of: the class that is asked for. base: what z is distributed like. small: (student, seed) -> a Flow
    with random weights; parts: the same, of a list of all flows that it is made of, itself among them. networks: how
    many random ones each check looks at. places: (flow, seed) -> points (n, D) to look at. box, cells: a grid that
    holds the data.
    """

    exercise: str
    of: str
    base: str
    small: Callable[[Student, int], Flow]
    sets: tuple[str, ...]
    recipe: Recipe
    parts: Callable[[Student, int], list[Flow]] | None = None
    networks: int = 3
    places: Callable[[Flow, int], np.ndarray] = middle
    box: tuple = BOX
    cells: int = CELLS

    @property
    def dims(self) -> int:
        return toy.get(self.sets[0]).dims

    def shapes(self, worth: float) -> Callable:
        @points(worth, "Shapes")
        @hint(ONE_ROW.format(D=self.dims))
        def test_shapes(student, seed):
            flow = self.small(student, seed)
            x = self.places(flow, seed)
            z, log_det = flow.forward(x)
            require(hygiene.finite(np.concatenate([z.ravel(), log_det]), "at ordinary points"))
            require(hygiene.rows_are_independent(flow.latents, x))
            require(hygiene.rows_are_independent(flow.log_det, x))

        return test_shapes

    def one_example(self, worth: float) -> Callable:
        @points(worth, "Called with one example")
        @hint(ONE_EXAMPLE.format(D=self.dims))
        def test_called_with_one_example(student, seed):
            flow = self.small(student, seed)
            x = self.places(flow, seed)[:5]
            require(hygiene.one_example(flow.latents, x))
            for part in self._parts(student, seed):
                require(hygiene.one_example(part.log_det, x))
            require(hygiene.one_example(flow.log_prob, x))

        return test_called_with_one_example

    def log_det(self, worth: float, why: str) -> Callable:
        @points(worth, "log_det is that of the Jacobian")
        @hint(why)
        def test_log_det_is_that_of_the_jacobian(student, seed):
            for k in range(self.networks):
                for flow in self._parts(student, seed + k):
                    x = self.places(flow, seed)
                    jacobian = flow.jacobian(x)
                    require(flows.log_det_is_of_jacobian(flow.log_det(x), jacobian))
                    require(flows.is_the_slope(flow.latents, x, jacobian, seed))

        return test_log_det_is_that_of_the_jacobian

    def density(
        self, worth: float, why: str, onto: Callable[[Flow], Finding] | None = None, box: Callable | None = None
    ) -> Callable:
        """onto, box: see density_finding; needed where the base is U[0, 1]."""

        @points(worth, "The density integrates to one")
        @hint(why)
        def test_density_integrates_to_one(student, seed):
            for k in range(self.networks):
                require(density_finding(self.small(student, seed + k), seed, onto or _onto, box or _integral))

        return test_density_integrates_to_one

    def of_base(self, worth: float, why: str) -> Callable:
        """log p is that of z under this very base: another one may give a density, too, which is not asked for."""
        like = LIKE[self.base]

        def of_base(student, seed):
            for k in range(self.networks):
                flow = self.small(student, seed + k)
                x = self.places(flow, seed)
                jacobian = flow.jacobian(x)
                require(flows.density_is_that_of_the_flow(flow.log_prob(x), flow.latents(x), jacobian, self.base))

        of_base.__name__ = f"test_the_base_is_{like}"
        return points(worth, f"The base is {like}")(hint(why)(of_base))

    def inverse(self, worth: float, why: str, first: Callable = lambda student, seed: None) -> Callable:
        """From latents and back; where z runs through all reals, from points and back, too.

        first: (student, seed) -> what is required besides, before.
        """

        @points(worth, "inverse undoes forward")
        @hint(why)
        def test_inverse_undoes_forward(student, seed):
            first(student, seed)
            z = flows.draws(self.base, 200, self.dims, seed)
            for k in range(self.networks):
                for flow in self._parts(student, seed + k):
                    if self.base != UNIFORM:  # far from the middle a CDF is flat
                        require(flows.inverts(flow.latents, flow.inverse, self.places(flow, seed)))
                    require(flows.inverts(flow.latents, flow.inverse, z, start="z"))

        return test_inverse_undoes_forward

    def samples(self, worth: float, why: str) -> Callable:
        @points(worth, "Samples follow the density")
        @hint(why)
        def test_samples_follow_the_density(student, seed):
            for k in range(self.networks):
                flow = self.small(student, seed + k)
                require(flows.latents_are(flow.latents(flow.sample(2000, seed + k)), self.base))
            require_too(hygiene.drawn_anew(partial(flow.sample, 3), seed))

        return test_samples_follow_the_density

    def latents(self, worth: float, why: str) -> Callable:
        """Of held-out data under the trained flow."""
        like = LIKE[self.base]

        def latents_of_held_out_data(student, held_out, rests):
            def find(name: str, x: np.ndarray) -> Finding:
                return flows.latents_are(self._trained(student, name).latents(x), self.base)

            for name in self.sets:
                rests(partial(find, name, held_out(toy.get(name), LATENTS)))

        latents_of_held_out_data.__name__ = f"test_latents_of_held_out_data_are_{like}"
        return points(worth, f"Latents of held-out data are {like}")(hint(why)(latents_of_held_out_data))

    def near_the_data(self, worth: float, why: str) -> Callable:
        """Samples of the trained flow."""

        @points(worth, "Samples look like the data")
        @hint(why)
        def test_samples_look_like_the_data(student, held_out, seed, rests):
            def find(name: str, x: np.ndarray) -> Finding:
                plain = one_gaussian(toy.get(name)).draw(SAMPLES, np.random.default_rng(seed))
                drawn = self._trained(student, name).sample(SAMPLES, seed)
                return flows.samples_are_nearer_than(drawn, x, plain, NEARER)

            for name in self.sets:
                rests(partial(find, name, held_out(toy.get(name), SAMPLES)))

        return test_samples_look_like_the_data

    def trained(self, worth: float, why: str, on: str = "") -> Callable:
        """The KL to the exact density on fresh data, between the reference and one Gaussian. on: one of the sets."""
        data, artifact = toy.get(on or self.sets[0]), self._artifact(on or self.sets[0])

        def trained_close_to_the_limit(student, graded, held_out, seed):
            x = held_out(data, 20_000)
            loss = Trained(student, artifact, self.of, data, self.base, x, seed, self.box, self.cells)
            graded(
                artifact,
                loss.excess,
                limit=data.entropy,
                baseline=baseline_nats(data),
                recipe=self.recipe,
                few=loss.of_few,
            )

        trained_close_to_the_limit.__name__ = "test_trained_close_to_the_limit" + (f"_on_{on}" if on else "")
        title = "Trained: close to the limit" + (f" on {on}" if on else "")
        return points(worth, title)(hint(why)(trained_close_to_the_limit))

    def _parts(self, student: Student, seed: int) -> list[Flow]:
        return self.parts(student, seed) if self.parts else [self.small(student, seed)]

    def _artifact(self, name: str) -> str:
        return f"{self.exercise}.{name}" if len(self.sets) > 1 else self.exercise

    def _trained(self, student: Student, name: str) -> Flow:
        return Flow(student.trained(self._artifact(name), self.of), self.dims, self.base)


def _onto(flow: Flow) -> Finding:
    return flows.covers_the_base(flow.latents, flow.dims, flow.base)


def _integral(flow: Flow) -> tuple[Finding, bool]:
    """Over the box whose latents hold all but a millionth of the base."""
    low, high = flows.REACH[flow.base]
    return flows.integral_is_one(flow.log_prob, flows.box_of(flow.latents, low, high))
