"""Exercise 5.3: straight lines and their mean velocity, solvers by their order, and the density of a flow."""

from functools import partial

import numpy as np

from autograder.checks import Recipe, hint, points, require, require_too
from autograder.families import diffusion as family
from autograder.families.diffusion import Model, squares
from autograder.families.flows import LOST, baseline_nats
from autograder.properties import diffusion, flows, hygiene
from autograder.student import Student, expect
from autograder.workbench import StudentCodeError
from deepul_utils import toy

FIRST_STEPS = {"euler": 16, "heun": 16, "rk4": 8}  # doubled twice
ORDERS = {"euler": 1, "heun": 2, "rk4": 4}
FOLLOWED = 100  # points
EXACT = {"euler": 32, "heun": 32, "rk4": 64}  # steps of our own Runge–Kutta: a sixteenth of their error is the most
SMOOTH = 0.7  # the narrowest width of a mixture whose flow is followed in a few steps
NATS = 0.01  # between log_prob with 50 steps of Runge–Kutta and the density, in the mean
MASS = 0.02
MANY = 400  # draws of a loss at a time, where its noise is larger than what is looked for
STEPS = 12  # of Runge–Kutta, of a small network
HELD_OUT, SOLVED = 1500, 16  # points of a trained flow, and steps of its solver
TWICE = "x_0 is drawn twice: the line and its velocity begin at the same noise."


def small(student: Student, seed: int, dims: int = 2, size: float = 1.0, draw: int = 0) -> Model:
    """A small flow with random weights."""
    return family.small(student, "FlowMatching", dims=dims, seed=seed, size=size, draw=draw)


def perfect(student: Student, data: diffusion.Mixture) -> Model:
    return family.perfect(student, "PerfectFlow", data)


def places(seed: int, n: int = 40, dims: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, D) and times (n,)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dims)), rng.random(n)


def asked(model: Model, method: str, x: np.ndarray, *arguments) -> np.ndarray:
    """What a method gives that differentiates on its way: (B,)."""
    got = model.handle.call(method, x, *arguments, differentiate=True)
    return expect(got, (len(x),), f"{model.handle.label}.{method}({'x' if method == 'log_prob' else 'x, t'})")


@points(0.5, "Shapes")
@hint("forward takes (B, D) and (B,) and gives (B, D); loss, divergence and log_prob give (B,), one number an example.")
def test_shapes(student, seed):
    for dims in (1, 2):
        x, t = places(seed, dims=dims)
        model = small(student, seed, dims)
        family.shapes(model, t, x)
        require(hygiene.finite(asked(model, "log_prob", x, 3), "of log_prob"))


@points(0.5, "Called with one example")
@hint(
    "One example is a batch, too: forward, integrate and sample give (1, D), loss, divergence and log_prob give (1,)."
)
def test_called_with_one_example(student, seed):
    model, (x, t) = small(student, seed), places(seed, n=5)
    family.one_example(model, t, x)
    require(hygiene.one_example(lambda rows: asked(model, "log_prob", rows, 3), x))
    require(hygiene.finite(asked(model, "divergence", x[:1], t[:1]), "of the divergence at one point"))
    require(hygiene.finite(model.handle.sample(1, 2), "in one sample"))


@points(1.5, "Lines from noise to data")
@hint("x_t = (1 − t) x_0 + t x_1 is noise at t = 0 and data at t = 1; its derivative by t is x_1 − x_0, at every t.")
def test_lines_from_noise_to_data(student, seed):
    rng = np.random.default_rng(seed)
    (x_0, x_1), t = rng.normal(size=(2, 40, 3)), np.append([0.0, 1.0], rng.random(38))
    got = student.call("interpolate", x_0, x_1, t)
    if not isinstance(got, list) or len(got) != 2:
        raise StudentCodeError("wrong type", "interpolate(…) should return two values, (x_t, velocity).")
    x_t, velocity = (expect(g, x_0.shape, f"{n} of interpolate(…)") for g, n in zip(got, ("x_t", "dx/dt"), strict=True))
    w = t[:, None]
    turned = {"Time runs the other way: here t = 0 is noise, and t = 1 is data.": w * x_0 + (1 - w) * x_1}
    require(diffusion.agrees("x_t", x_t, (1 - w) * x_0 + w * x_1, "(1 − t) x_0 + t x_1", turned))
    slips = {
        "The sign: it leads from noise to data.": x_0 - x_1,
        "It is the velocity of the whole line, and not what is left of it.": (1 - w) * (x_1 - x_0),
    }
    require(diffusion.agrees("dx/dt", velocity, x_1 - x_0, "x_1 − x_0", slips))


@points(3.5, "The flow-matching loss")
@hint("‖v(x_t, t) − (x_1 − x_0)‖², summed over the dimensions: x_1 are the data, x_0 ~ N(0, I) and t ~ U[0, 1] fresh.")
def test_flow_matching_loss(student, seed):
    model, (x, _) = small(student, seed), places(seed)
    outputs = [model.at(x, t) for t in (0.1, 0.5, 0.9)]
    require(diffusion.uses("v(x, t)", "t", outputs, "Is t given to the network, as it came to forward?"))
    required = f"‖v(x_t, t) − (x_1 − x_0)‖² of fresh t and x_0 (p > {diffusion.P_VALUE:g})"
    for k in range(2):
        new = partial(small, student, seed + k, 2)
        require(family.loss_finding(new, family.example(seed + k), kinds_of_loss, required, seed + 10 * k, TWICE, MANY))


def kinds_of_loss(model: Model, x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Draws of the right loss of data x, (B, D), and of what it may be in its place."""
    rng = np.random.default_rng(seed)
    t, x_0, uniform = rng.random(len(x)), rng.normal(size=x.shape), rng.random(x.shape)
    w = t[:, None]
    x_t, velocity = (1 - w) * x_0 + w * x, x - x_0
    v = model.at(x_t, t)
    return {
        "": squares(v - velocity),
        "It is the mean over the dimensions: sum over them.": squares(v - velocity) / x.shape[1],
        TWICE: squares(v - (x - rng.normal(size=x.shape))),
        "The network is given x_1 in the place of x_t.": squares(model.at(x, t) - velocity),
        "The network is given x_0 in the place of x_t.": squares(model.at(x_0, t) - velocity),
        "The target is turned round: it leads from noise to data.": squares(v + velocity),
        "The target is x_1, and not x_1 − x_0.": squares(v - x),
        "The target is x_0, the noise.": squares(v - x_0),
        "Time runs the other way: here t = 0 is noise, and t = 1 is data.": squares(
            model.at(w * x_0 + (1 - w) * x, t) - velocity
        ),
        "The network is given another time than that of x_t.": squares(model.at(x_t, 1 - t) - velocity),
        "x_0 is drawn from U[0, 1]: it is normal, torch.randn.": squares(
            model.at((1 - w) * uniform + w * x, t) - (x - uniform)
        ),
    }


def order(student: Student, seed: int, method: str) -> None:
    """The error of a solver, forwards and backwards, on the perfect flow of a random mixture."""
    data = diffusion.mixture(2, seed, narrowest=SMOOTH)
    model, x = perfect(student, data), np.random.default_rng(seed).normal(size=(FOLLOWED, 2))
    rounding = diffusion.ROUNDING if family.nudge_of(model) > 1e-5 else 1e-11
    for start, end in ((0.0, 0.9), (0.9, 0.1)):
        exact = diffusion.solved(model.at, x, start, end, EXACT[method])
        errors = []
        for k in range(3):
            steps = FIRST_STEPS[method] * 2**k
            got = model.ask("integrate", len(x), x, start, end, steps, method)
            errors.append(np.sqrt(((got - exact) ** 2).mean()))
        way = f"{method}, from t = {start:g} to {end:g}"
        require(diffusion.order_is(np.array(errors), ORDERS[method], way, rounding))


@points(1.5, "Euler is of first order")
@hint("x + h v(x, t), with h = (end − start)/steps and t = start + k h: the error halves when the steps double.")
def test_euler_is_of_first_order(student, seed):
    order(student, seed, "euler")


@points(1.5, "Heun is of second order")
@hint("x + h/2 (k1 + k2) with k2 = v(x + h k1, t + h): the error falls four-fold when the steps double.")
def test_heun_is_of_second_order(student, seed):
    order(student, seed, "heun")


@points(2, "Runge–Kutta is of fourth order")
@hint("(k1 + 2 k2 + 2 k3 + k4) h/6, k2 and k3 half way, k3 from k2 and k4 from k3: the error falls sixteen-fold.")
def test_runge_kutta_is_of_fourth_order(student, seed):
    order(student, seed, "rk4")


@points(2, "The divergence is the trace of the Jacobian")
@hint("Σ_i ∂v_i/∂x_i: the gradient of the i-th output, summed over the batch, and of that the i-th column.")
def test_divergence_is_the_trace(student, seed):
    for dims in (1, 2, 4):
        model, (x, t) = small(student, seed, dims), places(seed, dims=dims)
        got = asked(model, "divergence", x, t)
        require(diffusion.divergence_is(got, family.jacobian(model, x, t), "the divergence"))


@points(2, "Hutchinson’s estimator, over all signs, is the trace")
@hint("sᵀ J s for the signs that are given: the gradient of Σ s · v by x, times s, summed over the dimensions.")
def test_hutchinson_over_all_signs_is_the_trace(student, seed):
    for dims in (2, 3):
        model, (x, t) = small(student, seed, dims), places(seed, n=10, dims=dims)
        every = diffusion.signs(dims)
        got = [asked(model, "hutchinson", x, t, np.broadcast_to(s, x.shape).copy()) for s in every]
        require(diffusion.estimates_the_trace(np.array(got), every, family.jacobian(model, x, t)))


@points(3.5, "log_prob is the density of the flow")
@hint("log N(x_0; 0, I) − ∫_0^1 ∇·v dt, along the path that ends in x at t = 1 and begins in x_0 at t = 0.")
def test_log_prob_is_the_density_of_the_flow(student, seed):
    """Of the perfect flow of a random mixture it is the density of that mixture; of any other it sums to one."""
    for k, dims in enumerate((2, 1)):
        data = diffusion.mixture(dims, seed + k)
        x = data.draw(150, seed + k)
        got = asked(perfect(student, data), "log_prob", x, 50)
        x_0 = diffusion.solved(data.velocity, x, 1.0, 0.0, 30)
        require(diffusion.is_the_density(got, data.log_prob(x), flows.base_log_density(x_0, flows.NORMAL), NATS))


@points(1.5, "The plane sums to one")
@hint("Whatever the network, the flow moves mass and makes none: log_prob takes −∇·v along the same path as x.")
def test_the_plane_sums_to_one(student, seed):
    """∫ p = E_q[p / q], with q the density that the student's velocities have by our own solver, and its draws."""
    for k in range(4):  # of a single one the volume may hardly change
        model, noise = small(student, seed + k), np.random.default_rng(seed + k).normal(size=(400, 2))
        x = diffusion.solved(model.at, noise, 0.0, 1.0, STEPS)
        log_p, log_q = asked(model, "log_prob", x, STEPS), family.log_prob_of(model, x, STEPS)
        require(diffusion.mass_is_one(float(np.exp(np.minimum(log_p - log_q, 50)).mean()), MASS))


@points(1.5, "Samples are noise, carried to the data")
@hint("x_0 ~ N(0, I) at t = 0, and integrate to t = 1, with the steps and the method that are asked for.")
def test_samples_are_noise_carried_to_the_data(student, seed):
    data = diffusion.mixture(2, seed)
    drawn = perfect(student, data).ask("sample", 1500, 1500, 40, "heun", seed=seed)
    back = diffusion.solved(data.velocity, drawn.astype(np.float64), 1.0, 0.0, 60)
    require(flows.latents_are(back, flows.NORMAL))
    require_too(hygiene.drawn_anew(lambda k: perfect(student, data).ask("sample", 3, 3, 4, "heun", seed=k), seed))


def above_the_limit(made, data: toy.Distribution, held_out, seed: int) -> dict:
    """The KL to the exact density, in nats, of the flow of the trained velocity; by our own solver."""
    x = held_out(data, HELD_OUT).astype(np.float64)
    true = data.log_prob(x)

    def excess(n: int = HELD_OUT, steps: int = SOLVED) -> float:
        found = family.log_prob_of(made(), x[:n], steps)
        return float(np.clip(true[:n] - found, -LOST, LOST).mean())

    few = partial(excess, 200, 6)
    return {"excess": excess, "few": few, "limit": data.entropy, "baseline": baseline_nats(data)}


trained = family.Trained(
    exercise="flow_matching",
    of="FlowMatching",
    samples_of=("smiley", "moons"),
    goal="the limit",
    recipe=Recipe(optimizer="Adam", lr=5e-3, steps=7000, batch=512),
    measured=above_the_limit,
    precise=True,
)
LONGER = "Train longer, with a learning rate that rises first and falls to zero."

test_samples_look_like_the_data = trained.samples(
    0.5, "Samples of the trained flow miss the data: was it trained on the data as they are, and long enough?"
)
test_trained_close_to_the_limit_on_smiley = trained.close(1.5, LONGER, on="smiley")
test_trained_close_to_the_limit_on_moons = trained.close(1.5, LONGER, on="moons")
