"""Exercise 2.5: ActNorm starts from its data, the 1 × 1 convolution has the determinant of its LU form."""

import numpy as np

from autograder.checks import Recipe, hint, points, require
from autograder.families import image_flows as family
from autograder.families.image_flows import ImageFlow
from autograder.properties import images as on_images
from autograder.properties import layers as on_layers
from autograder.properties.finding import Finding
from autograder.student import expect
from autograder.workbench import StudentCodeError
from deepul_utils import images

DATA = images.get("digits32", levels=16)
TINY, WIDE = (1, 4, 4), (6, 4, 4)
LEVELS, CHANNELS = 16, 6


def layer(student, name: str, *args, seed: int, begin=lambda flow: None) -> ImageFlow:
    """One layer of images of 4 × 4 pixels and six channels, with random weights."""
    return family.drawn(student, name, WIDE, LEVELS, seed, CHANNELS, *args, begin=begin)


def act_norm(student, seed: int) -> ImageFlow:
    """An ActNorm that has seen its first batch: of channels with other means and spreads."""
    return layer(student, "ActNorm", seed=seed, begin=lambda flow: flow.handle.call("forward", batch(seed), train=True))


def small(student, seed: int, scales: int = 2, sizes: tuple[float, ...] = family.SIZES) -> ImageFlow:
    """A small Glow with random weights that has seen its first batch."""

    def begin(flow: ImageFlow) -> None:
        flow.handle.call("forward", family.shaped(flow.reals(64, seed + 9), TINY), train=True)

    kwargs = dict(shape=TINY, levels=LEVELS, scales=scales, steps=2, width=8)
    return family.drawn(student, "Glow", TINY, LEVELS, seed, begin=begin, sizes=sizes, **kwargs)


def layers(student, seed: int) -> list[ImageFlow]:
    """One of each kind."""
    made = [act_norm(student, seed), layer(student, "InvertibleConv", seed=seed)]
    return [*made, layer(student, "ChannelCoupling", 8, seed=seed)]


def batch(seed: int, n: int = 64) -> np.ndarray:
    """Images whose channels differ in mean and spread, float32 (n, 6, 4, 4)."""
    rng = np.random.default_rng(seed)
    mean, spread = rng.normal(scale=3, size=(2, CHANNELS, 1, 1))
    return (mean + np.exp(spread / 3) * rng.normal(size=(n, *WIDE))).astype(np.float32)


def parts(student, seed: int) -> list[ImageFlow]:
    """Every layer, and flows of one scale and of two."""
    return [*layers(student, seed), small(student, seed, scales=1), small(student, seed, scales=2)]


suite = family.Suite(
    exercise="glow",
    of="Glow",
    data=DATA,
    small=small,
    recipe=Recipe(optimizer="Adam", lr=5e-3, steps=1500, batch=32),
    learned_prior=True,
)


def has_its_layers(student, seed: int) -> None:
    require(on_layers.grows(parameters(student, steps=1), parameters(student, steps=2), "Glow", "steps"))
    require(on_layers.grows(parameters(student, scales=1), parameters(student, scales=2), "Glow", "scales"))
    flow = small(student, seed, scales=1)
    require(on_images.mixes_and_bends(flow.jacobian(flow.reals(3, seed))))
    require(starts_from_its_data(student, seed))


def parameters(student, steps: int = 1, scales: int = 1) -> int:
    """How many numbers a Glow of so many steps and scales has as its parameters."""
    made = student.new("Glow", shape=TINY, levels=LEVELS, scales=scales, steps=steps, width=8)
    return sum(values.size for values in made.parameters().values())


def starts_from_its_data(student, seed: int) -> Finding:
    """The first batch in training mode changes what is kept: ActNorm is among the layers."""
    made = student.new("Glow", shape=TINY, levels=LEVELS, scales=1, steps=1, width=8, seed=seed, perturb=0.5)
    x, required = np.random.default_rng(seed).normal(size=(32, *TINY)).astype(np.float32), "it starts from its data"
    before = made.call("state_dict")
    made.call("forward", x, train=True)
    after = made.call("state_dict")
    if isinstance(before, dict) and isinstance(after, dict):
        moved = [k for k in after if k not in before or not np.array_equal(before[k], after[k])]
        if not moved:
            slip = "Is ActNorm among the layers? Its first batch in training mode sets b and l."
            return Finding(0.0, "the first batch in training mode changes nothing", required, slip=slip)
    return Finding(1.0, required, required)


test_shapes_and_parameters = suite.shapes(0.5, "Shapes and parameters", first=has_its_layers)
test_called_with_one_example = suite.one_example(0.5, layers)


@points(2, "ActNorm starts from its first batch")
@hint(
    "In training mode the first batch sets b = −mean and l = −log(standard deviation) of each channel, over batch, "
    "rows and columns. Later batches change nothing: remember that it has happened."
)
def test_act_norm_starts_from_its_first_batch(student, seed):
    made = student.new("ActNorm", CHANNELS, seed=seed, perturb=0.5)
    first, second = batch(seed), batch(seed + 1)
    z = [trained_on(made, x) for x in (first, first, second)]
    require(on_images.is_standardised(z[0]))
    require(on_images.is_exactly(z[1], z[0], "z of the same batch again", "z of the first call"))
    require(on_images.is_one_map_a_channel(np.stack([first, second]), np.stack([z[0], z[2]])))
    require(is_remembered(student, made, second, seed))
    require(weighs_every_pixel(made, first))
    looked = student.new("ActNorm", CHANNELS, seed=seed, perturb=0.5)
    try:
        looked.call("forward", second)
    except StudentCodeError:  # it need not work before it has seen anything
        return
    require(begins_in_training(trained_on(looked, first)))


def is_remembered(student, made, x: np.ndarray, seed: int) -> Finding:
    """One with the same parameters and buffers, as a file gives them back, does with x what the first one does."""
    again = student.new("ActNorm", CHANNELS, seed=seed + 1, perturb=0.5)
    state = made.call("state_dict")
    again.load({k: v for k, v in state.items() if isinstance(v, np.ndarray)} if isinstance(state, dict) else {})
    found = on_images.is_exactly(
        trained_on(again, x), trained_on(made, x), "z of a layer that is loaded", "z as before"
    )
    if found.passed:
        return found
    slip = (
        "Whether it has begun is not saved with the weights: keep it in a buffer, self.register_buffer(…), not in an "
        "attribute; b and l are parameters."
    )
    return Finding(0.0, "loaded from its file, the layer begins anew with the next batch", found.required, slip=slip)


def weighs_every_pixel(made, x: np.ndarray) -> Finding:
    """log_det of images of half the width is half as large."""
    whole, half = (family.two(made.call("forward", part), "ActNorm.forward(x)")[1] for part in (x, x[..., :2]))
    what = "log_det of ActNorm.forward(x)"
    half, whole = expect(half, (len(x),), what), expect(whole, (len(x),), what)
    return on_images.is_exactly(2 * half, whole, "log_det of 4 × 2 pixels", "H · W · Σ l, half of that of 4 × 4")


def trained_on(made, x: np.ndarray) -> np.ndarray:
    """z of a batch in training mode."""
    z, _ = family.two(made.call("forward", x, train=True), "ActNorm.forward(x)")
    return expect(z, x.shape, "z of ActNorm.forward(x)")


def begins_in_training(z: np.ndarray) -> Finding:
    """A batch that was seen in eval mode before has set nothing: z of the first one in training is standardised."""
    found = on_images.is_standardised(z)
    if found.passed:
        return found
    measured, required = "a batch seen in eval mode has set b and l", "the first batch in training mode sets them"
    slip = (
        "In eval mode ActNorm changes nothing: ask for self.training, too. Else a look at samples, or a validation, "
        "before the training sets it to whatever was looked at."
    )
    return Finding(0.0, measured, required, slip=slip)


@points(2, "The 1 × 1 convolution has the determinant of its matrix")
@hint(
    "Every pixel is multiplied by the same matrix W = P L (U + diag(s)), and log_det is H · W · Σ log|s|: once for "
    "every pixel. Masks keep L's diagonal at one and U's at s, whatever training does to the other entries."
)
def test_convolution_has_the_determinant_of_its_matrix(student, seed):
    for k in range(2):
        made = layer(student, "InvertibleConv", seed=seed + k)
        x = batch(seed + k, 8).astype(np.float64)
        matrix, (z, log_det) = weight(made), made.forward(x.reshape(8, -1))
        before = student.new("InvertibleConv", CHANNELS, seed=seed + k, perturb=0, precise=True)
        require(follows(matrix, weight(ImageFlow(before, WIDE, LEVELS)), x, z))
        require(on_images.is_exactly(z, by_pixel(matrix, x), "z", "W x at every pixel"))
        known = np.full(8, 16 * np.linalg.slogdet(matrix).logabsdet)
        require(on_images.is_exactly(log_det, known, "log_det", "H · W · log|det W|", 1e-3))
        require(keeps_its_determinant(made, matrix, x))


def weight(made: ImageFlow) -> np.ndarray:
    return made.ask("weight", (CHANNELS, CHANNELS)).astype(np.float64)


def by_pixel(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """W x at every pixel, as rows."""
    return np.einsum("ij,bjhw->bihw", matrix, x).reshape(len(x), -1)


def follows(matrix: np.ndarray, first: np.ndarray, x: np.ndarray, z: np.ndarray) -> Finding:
    """W is that of the parameters as they are now, and not the one that the object began with."""
    required = "W follows its parameters"
    slip = "W was computed once and kept. Training changes L, U and s: compute W from them at every call."
    for what, old in (("weight()", matrix), ("forward", None)):
        wanted = first if old is not None else by_pixel(first, x)
        if np.allclose(old if old is not None else z, wanted, atol=1e-5):
            return Finding(0.0, f"{what} has the first W still, though L, U and s have changed", required, slip=slip)
    return Finding(1.0, required, required)


def keeps_its_determinant(made: ImageFlow, matrix: np.ndarray, x: np.ndarray) -> Finding:
    """∂ log_det/∂θ = H W ∂ log|det W|/∂θ for every parameter θ: log_det stays right wherever training goes."""
    required = "log_det changes with every parameter as H · W · log|det W| does"
    try:
        of_matrix = made.handle.gradient("weight", wrt="parameters", cotangent=16 * np.linalg.inv(matrix).T)
        of_log_det = made.handle.gradient("forward", x[:1], wrt="parameters", cotangent=np.ones(1), output=1)
    except StudentCodeError:  # weight() may be of no use to autograd
        return Finding(1.0, "weight() has no gradient", required)
    for name, grad in of_log_det.items():
        got, wanted = (np.zeros(1) if g is None else np.asarray(g, np.float64) for g in (grad, of_matrix[name]))
        error = float(np.nan_to_num(np.abs(got - wanted), nan=np.inf).max())
        if error > 1e-3 * (1 + np.abs(wanted).max()):
            measured = f"where training moves {name}, log_det is no longer H · W · log|det W| ({error:.2g} per unit)"
            return Finding(0.0, measured, required)
    return Finding(1.0, required, required)


@points(1, "The 1 × 1 convolution starts as a rotation")
@hint("Begin with a random rotation: the Q of torch.linalg.qr of a random matrix, taken apart by torch.linalg.lu.")
def test_convolution_starts_as_a_rotation(student, seed):
    made = student.new("InvertibleConv", CHANNELS, seed=seed, perturb=0)
    require(on_images.is_a_rotation(weight(ImageFlow(made, WIDE, LEVELS))))


@points(1, "A coupling keeps one half of the channels")
@hint("A coupling hands one half of the channels on as they are, and changes the other by amounts that depend on it.")
def test_coupling_keeps_one_half_of_the_channels(student, seed):
    made = layer(student, "ChannelCoupling", 8, seed=seed)
    require(on_images.keeps_half_the_channels(made.latents, made.reals(30, seed), WIDE))


test_log_det_is_that_of_the_jacobian = suite.log_det(
    3,
    "ActNorm: H · W · Σ l. Convolution: H · W · Σ log|s|. Coupling: the sum of log σ. A squeeze has 0, and those of a "
    "composition add.",
    parts,
)
test_inverse_undoes_forward = suite.inverse(
    2,
    "Each layer is undone by its own inverse, the last one first: (z − μ) ∘ exp(−log σ), the inverse matrix, "
    "z ∘ exp(−l) − b; and a squeeze where forward has an unsqueeze.",
    parts,
)
test_log_prob_adds_base_and_all_log_dets = suite.log_prob(
    1, "log p(x) = log N(z; 0, I) + the log_det of to_reals + that of forward, each once; sums over the image, in nats."
)
test_trained_bits_per_dimension = suite.trained(
    1, "Train longer, let the learning rate rise first and fall to zero, or take more steps and wider networks."
)
test_samples_follow_the_density = suite.samples(0.5, "Draw z from N(0, I), then inverse, then tensors.to_levels.")
test_samples_look_like_the_data = suite.near_the_data(
    0.5, "Samples of the trained flow are no digits yet: was it trained long enough, and on the data as they are?"
)
