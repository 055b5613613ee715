"""What the image exercises measure, on cases whose answer is known."""

import numpy as np
import pytest
import safetensors.numpy
import torch

from autograder import notebooks
from autograder.assignments import ROOT
from autograder.assignments.hw1.test_color_pixelcnn import order_of_colours
from autograder.assignments.hw1.test_gated_pixelcnn import blind_spot, class_finding
from autograder.assignments.hw1.test_logistic_mixture import tails
from autograder.assignments.hw1.test_pixelcnn import neighbours_finding
from autograder.families import autoregressive as family
from autograder.families import image_samples
from autograder.handout.submit import solution_cells
from autograder.properties.finding import Finding
from autograder.workbench import StudentCodeError
from deepul_utils import images, toy, training


@pytest.fixture(scope="module")
def defined(tmp_path_factory) -> dict:
    """What the solutions of 1.3 to 1.5 define; nothing is trained."""
    cells = [c for n in ("1.3", "1.4", "1.5") for c in notebooks.section(solution_cells("hw1"), n)]
    cells = [c for c in cells if c.source.lstrip().startswith(("class ", "def ", "from ", "@torch"))]
    return notebooks.run_cells(cells, ROOT / "solutions" / "hw1", tmp_path_factory.mktemp("a"), "hw1").namespace


def test_rows_of_variables_go_pixel_by_pixel_and_back():
    x = np.arange(2 * 3 * 2 * 4).reshape(2, 3, 2, 4)  # B, C, H, W
    rows = family.as_rows(x.shape[1:], x)
    assert rows[0, :6].tolist() == [0, 8, 16, 1, 9, 17]  # R, G, B of the first pixel, then of the one right of it
    np.testing.assert_array_equal(family.as_examples(x.shape[1:], rows), x)


@pytest.mark.parametrize("shape", [(5,), (1, 3, 4), (3, 2, 4), (4, 3, 2, 5)])
def test_rows_of_sequences_images_and_videos_and_back(shape):
    x = np.random.default_rng(0).integers(9, size=(7, *shape))
    rows = family.as_rows(shape, x)
    assert rows.shape == (7, np.prod(shape))
    np.testing.assert_array_equal(family.as_examples(shape, rows), x)
    logits = np.stack([x, -x], axis=-1)  # what else belongs to a variable goes with it
    np.testing.assert_array_equal(family.as_rows(shape, logits), np.stack([rows, -rows], axis=-1))
    if len(shape) == 4:  # frame by frame, each of them as an image
        np.testing.assert_array_equal(rows[:, :30], family.as_rows(shape[1:], x[:, 0]))


def test_rows_in_the_order_in_which_they_are_drawn():
    order = np.array([0, 2, 4, 1, 3, 5])  # every second column first
    model = family.Model(None, (1, 1, 6), 3, order=order)
    x = np.arange(12).reshape(2, 1, 1, 6)
    assert model.rows(x)[0].tolist() == order.tolist()
    np.testing.assert_array_equal(model.examples(model.rows(x)), x)


def test_nats_of_independent_pixels():
    rng = np.random.default_rng(0)
    p = np.array([[0.1, 0.5], [0.9, 0.99]])
    exact = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    x = (rng.random((20_000, 1, 2, 2)) < p).astype(np.uint8)
    assert image_samples.bernoulli_nats(x, 2) == pytest.approx(exact, abs=0.02)
    assert image_samples.bernoulli_nats(np.zeros((1000, 1, 2, 2), dtype=np.uint8), 2) < 0.03


def test_nats_of_a_chain_of_pixels():
    """A pixel is its left neighbour's colour, or with a chance of 0.1 any of the 8 colours."""
    rng = np.random.default_rng(0)
    x = np.zeros((400, 3, 6, 20), dtype=np.uint8)
    x[..., 0] = rng.integers(2, size=(400, 3, 6))
    for j in range(1, 20):
        new = rng.random((400, 1, 6)) < 0.1
        x[..., j] = np.where(new, rng.integers(2, size=(400, 3, 6)), x[..., j - 1])
    stay = 0.95 * (0.9 + 0.1 / 8) + 0.05 / 8  # one pixel in twenty is the first of its row, and is any colour
    move = (1 - stay) / 7
    exact = -6 * 20 * (stay * np.log(stay) + 7 * move * np.log(move))
    assert image_samples.markov_nats(x, 2) == pytest.approx(exact, rel=0.02)
    assert image_samples.markov_nats(np.ones((9, 3, 4, 4), dtype=np.uint8), 4) == 0


def test_copies_of_images_of_the_data_are_found_wherever_they_are_put():
    data = images.get("glyphs32", levels=2)
    training, validation = data.sample(500), data.sample(50, split="validation")
    fresh = data.sample(40, split="test").astype(np.int64)
    assert image_samples.no_copies(fresh, training, validation).passed
    fresh[7] = training[123]
    assert not (finding := image_samples.no_copies(fresh, training, validation)).passed
    assert finding.measured == "1 of 40 samples are training images"
    fresh[8], fresh[9] = np.roll(training[5], (1, -2), axis=(1, 2)), np.roll(validation[3], -1, axis=2)
    finding = image_samples.no_copies(fresh, training, validation)
    assert finding.measured == "2 of 40 samples are training images and 1 of 40 samples are validation images"


def test_new_images_of_the_data_are_told_from_draws_of_a_model():
    data = images.get("glyphs32", levels=2)
    training, fresh = data.sample(5000), data.sample(200, seed=1, split="test")
    passed = [
        image_samples.farther_than_the_data(data.sample(64, seed=k), fresh, training).passed for k in range(2, 42)
    ]
    assert sum(passed) <= 2  # one in a hundred, by chance
    moved = np.roll(data.sample(64, seed=50), 2, axis=3)
    assert not image_samples.farther_than_the_data(moved, fresh, training).passed
    drawn = safetensors.numpy.load_file(ROOT / "solutions" / "hw1" / "artifacts" / "pixelcnn.samples.safetensors")[
        "samples"
    ]
    finding = image_samples.farther_than_the_data(drawn, fresh, training)
    assert finding.passed
    assert finding.value < 1e-9
    # A much better model than any here: every second of its images is perfect.
    better = np.concatenate([drawn[:32], data.sample(32, seed=51)])
    assert image_samples.farther_than_the_data(better, fresh, training).passed


def test_an_image_in_the_corner_is_the_same_wherever_it_was():
    rng, picture = np.random.default_rng(0), np.zeros((1, 9, 8), dtype=np.uint8)
    picture[0, 3:6, 2:6] = rng.integers(2, size=(3, 4))
    picture[0, 3, 3] = picture[0, 4, 2] = 1
    moved = np.roll(picture, (2, -1), axis=(1, 2))
    np.testing.assert_array_equal(image_samples.to_the_corner(picture), image_samples.to_the_corner(moved))
    assert image_samples.to_the_corner(picture).sum() == picture.sum()
    np.testing.assert_array_equal(image_samples.to_the_corner(0 * picture), 0 * picture)


def test_pictures_of_the_shapes_and_those_with_a_flaw():
    data = images.get("shapes32", levels=4)
    x = data.sample(60, split="test").astype(np.int64)
    assert image_samples.is_a_shape(x, data).all()
    assert image_samples.is_a_shape(np.roll(data.render(np.array([[0, 0, 5, 5, 0, 0]])), 2, axis=3), data).all()
    flawed = x.copy()
    flawed[:, 0, 20, 20] = (flawed[:, 0, 20, 20] + 1) % 4
    assert not image_samples.is_a_shape(flawed, data).any()
    assert not image_samples.is_a_shape(np.zeros((1, 3, 32, 32), dtype=np.int64), data).any()
    assert not image_samples.is_a_shape(3 - x, data).all()


def test_more_perfect_pictures_than_the_model_makes_are_no_draws_of_it():
    data, rng = images.get("shapes32", levels=4), np.random.default_rng(0)
    x = data.sample(36, split="test").astype(np.int64)
    spoiled = x.copy()
    spoiled[:, 0, 20, 20] = (spoiled[:, 0, 20, 20] + 1) % 4
    for together in (0.1, 0.5, 1.0):  # the probability of all perfect pictures under the model
        log_q = -data.entropy + np.log(together) + rng.normal(scale=0.5, size=60) - 0.125
        own = np.where((rng.random(36) < together)[:, None, None, None], x, spoiled)
        assert image_samples.as_flawed(own, data, log_q).passed
        assert image_samples.as_flawed(spoiled, data, log_q).passed
        assert image_samples.as_flawed(x, data, log_q).passed == (together == 1.0)


def test_labels_covered_by_digits_and_not_by_one_of_them():
    x, y = images.get("glyphs32", levels=2).sample_labelled(400, split="test")
    assert image_samples.covers_the_labels(x[:64], 2).passed
    assert not image_samples.covers_the_labels(x[y == 3], 2).passed
    assert (image_samples.digits_in(x, 2) == y).mean() > 0.98


def test_one_pixel_that_loses_a_neighbour_is_found():
    moved = np.tri(9, k=-1, dtype=bool)
    assert neighbours_finding(moved).passed
    moved[4, 3] = False
    assert "1 of 8" in neighbours_finding(moved).measured
    assert not neighbours_finding(moved).passed


def test_the_class_must_move_every_pixel():
    first = np.random.default_rng(0).normal(size=(5, 6, 2))
    second = first + 0.1
    assert class_finding(first, second).passed
    second[:, 0] = first[:, 0]
    assert not class_finding(first, second).passed


def test_samples_of_another_shape_or_too_few_are_said_in_words():
    class Student:
        def drawn(self, name: str, *shape: int) -> np.ndarray:
            return np.zeros((3, *shape))

    assert len(family.saved(Student(), "pixelcnn", (1, 8, 8), fewest=3)) == 3
    with pytest.raises(StudentCodeError, match="holds 3 samples; at least 4"):
        family.saved(Student(), "pixelcnn", (1, 8, 8), fewest=4)


@torch.no_grad()
def strong(model: torch.nn.Module) -> torch.nn.Module:
    """Conditionals that depend strongly on the past."""
    for p in model.parameters():
        p += 0.3 * torch.randn_like(p)
    return model


@pytest.mark.parametrize("seed", range(3))
def test_fast_sampling_draws_what_sampling_pixel_by_pixel_draws(defined, seed):
    torch.manual_seed(seed)
    model = strong(defined["PixelCNN"]((1, 12, 14), levels=3, width=6, depth=5))
    torch.manual_seed(seed)
    slow = model.sample(8)
    torch.manual_seed(seed)
    fast = defined["fast_sample"](model, 8)
    torch.testing.assert_close(fast, slow, rtol=0, atol=0)
    assert len(slow.unique()) == 3


def test_sampling_by_stacks_draws_what_whole_forward_passes_draw(defined):
    torch.manual_seed(0)
    model = strong(defined["GatedPixelCNN"]((1, 24, 9), levels=2, classes=3, width=6, depth=4))  # it reaches 10 rows up
    y = torch.arange(6) % 3
    torch.manual_seed(1)
    by_stacks = model.sample(y)
    torch.manual_seed(1)
    x = torch.zeros_like(by_stacks)
    with torch.no_grad():
        for i in range(24):
            for j in range(9):
                x[:, 0, i, j] = torch.multinomial(model.logits(x, y)[:, 0, i, j].softmax(dim=-1), 1).squeeze(-1)
    torch.testing.assert_close(by_stacks, x, rtol=0, atol=0)


def test_the_cell_for_a_gpu_runs_as_it_stands(defined, monkeypatch, tmp_path):
    """At small sizes: 256 levels, images that were downloaded, the device of this machine."""

    class Cifar:
        shape = (3, 32, 32)

        def sample(self, n: int) -> np.ndarray:
            return np.random.default_rng(0).integers(256, size=(n // 10_000, 3, 32, 32), dtype=np.uint8)

    source = next(c.source for c in solution_cells("hw1") if 'scale == "full"' in c.source)
    small = {'scale = "small"': 'scale = "full"', "width=192, depth=12": "width=6, depth=1", "steps=100_000": "steps=2"}
    for large, little in small.items():
        assert source.count(large) == 1
        source = source.replace(large, little)
    monkeypatch.setattr(images, "get", {"cifar10": Cifar()}.get)
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    exec(source, dict(defined))
    assert (tmp_path / "color_pixelcnn.full.safetensors").exists()


def test_a_colour_window_is_as_good_as_the_whole_image(defined):
    torch.manual_seed(0)
    model = strong(defined["ColorPixelCNN"]((3, 20, 5), levels=4, width=12, depth=3))
    x = torch.randint(4, (2, 3, 20, 5))
    with torch.no_grad():
        whole = model.logits(x)[:, :, -1]
        window = model.logits(x[:, :, -1 - model.reach :])[:, :, -1]
        shorter = model.logits(x[:, :, -model.reach :])[:, :, -1]
    torch.testing.assert_close(window, whole)
    assert not torch.allclose(shorter, whole)  # the reach is not larger than it must be


def test_tails_that_fall_on_and_those_that_a_floor_stops():
    """Logistic tails of several widths; on a floor all of them stop at the same height."""
    falling = [-width * np.arange(400.0) for width in (0.05, 0.2, 1.0, 3.0)]
    assert tails(falling).passed
    assert not tails([np.log(np.exp(log_p) + 1e-8) for log_p in falling]).passed
    finding = tails([np.maximum(log_p, np.log(1e-12)) for log_p in falling])
    assert finding.measured == "in several mixtures log P stops falling at -27.6"
    wide = [np.maximum(log_p, height) for log_p, height in zip(falling, (-16, -17, -18, -19), strict=True)]
    assert tails(wide).passed  # components that are wider than anything: each at a height of its own
    endless = [np.where(log_p < -16.6, -np.inf, log_p) for log_p in falling]
    assert tails(endless).passed  # that is another check's


def test_what_a_blind_spot_looks_like_says_where_it_comes_from():
    past, pixel = np.tri(20, k=-1, dtype=bool), np.arange(20)
    row, column = np.divmod(pixel, 5)
    right = past & (row[None] < row[:, None]) & (column[None] > column[:, None])
    assert "above and to the right" in blind_spot(right)
    far = past & (row[:, None] - row[None] == 1) & (abs(column[None] - column[:, None]) == 4)
    assert "kind A in every layer" in blind_spot(far)
    assert blind_spot(past & (row[None] < row[:, None])) == ""


def test_colours_in_another_order_are_half_right():
    def of(places):
        """Colours, each of which sees those of a smaller place."""
        sees = np.array(places)[:, None] > np.array(places)[None]
        return lambda x: np.where(sees, x[:, None, :], 0)  # (B, 3, 3)

    failed = Finding(0.0, "missing", "all")
    found = order_of_colours([of([2, 1, 0])], failed, 0)
    assert (found.share, found.measured) == (0.5, "colours see each other in the order blue, green, red")
    assert order_of_colours([of([0, 1, 1])], failed, 0) is failed
    assert order_of_colours([lambda x: np.repeat(x[:, None, :], 3, axis=1)], failed, 0) is failed


class Chain(family.Conditionals):
    """Values of two levels, each like the one before with probability 0.9; `draw` is what its sampler thinks."""

    def __init__(self, draw: float = 0.9, shape: tuple[int, ...] = (1, 4, 3)):
        super().__init__(None, shape, 2)
        self.draw = draw

    def logits(self, x: np.ndarray, *labels: np.ndarray) -> np.ndarray:
        before = np.concatenate([np.zeros((len(x), 1), dtype=int), x[:, :-1]], axis=1)
        return np.log(np.where(np.arange(2) == before[..., None], 0.9, 0.1))

    def sample(self, n: int, seed: int, *labels: np.ndarray) -> np.ndarray:
        turns = np.random.default_rng(seed).random((n, self.dims)) > self.draw
        return turns.cumsum(axis=1) % 2


@pytest.mark.parametrize("seed", range(4))
def test_samplers_of_several_models_are_judged_together(seed):
    assert family.samplers_of([Chain(), Chain()], 200, seed).passed
    found = family.samplers_of([Chain(0.8), Chain()], 200, seed)
    assert not found.passed
    assert found.measured.startswith("of 4 × 3 pixels, samples are")
    assert "row by row" in found.slip


def test_a_sampler_of_sequences_is_told_of_values_and_not_of_rows():
    found = family.samplers_of([Chain(0.8, (12,)), Chain(0.9, (12,))], 200, 0)
    assert found.measured.startswith("of 12 values, samples are")
    assert "all values before" in found.slip


class Density(family.Model):
    """The chain, of which nobody is told the conditionals."""

    def __init__(self, draw: float = 0.9):
        super().__init__(None, (12,), 2)
        self.chain = Chain(draw, (12,))

    def asked(self, method: str, arguments: tuple[np.ndarray, ...], *shape: int) -> np.ndarray:
        assert method == "log_prob"
        return self.chain.density(arguments[0])

    def sample(self, n: int, seed: int, *labels: np.ndarray) -> np.ndarray:
        return self.chain.sample(n, seed)


def test_what_tells_no_conditionals_is_judged_by_its_density():
    """The chain rule's and log_prob's sums agree; samples of another model are none of this one."""
    x = Chain(shape=(12,)).sample(300, seed=1)
    np.testing.assert_allclose(Density().densities(x), Chain(shape=(12,)).densities(x))
    assert not list(Density().hides_the_future(x, 0))
    for seed in range(5):
        (own,) = Density().has_drawn(Chain(shape=(12,)).sample(300, seed=100 + seed), seed)
        (other,) = Density().has_drawn(Chain(0.7, (12,)).sample(300, seed=100 + seed), seed)
        assert own.passed
        assert not other.passed
    assert not Density().functions[1:]


@pytest.mark.parametrize("shape", [(5, 1, 3, 3), (5, 1, 3, 3, 1)])
def test_one_logit_a_pixel_is_told_how_it_becomes_two(shape):
    class Handle:
        label = "PixelCNN"

        def call(self, method: str, *arguments):
            return np.zeros(shape)

    def logits(shape: tuple[int, int, int], levels: int) -> np.ndarray:
        return family.Conditionals(Handle(), shape, levels).logits(np.zeros((5, np.prod(shape))))

    with pytest.raises(StudentCodeError, match=r"of its two levels are 0 and l"):
        logits((1, 3, 3), 2)
    for other in (((1, 4, 4), 2), ((1, 3, 3), 3)):  # another size, and levels that no Bernoulli has
        with pytest.raises(StudentCodeError, match=r"got \(5, 1, 3, 3(, 1)?\)\.$"):
            logits(*other)


def suite_of(model: family.Model, classes: int = 0, data: tuple = (images.get("glyphs32", levels=2),)) -> family.Suite:
    """Whatever is asked for is this model."""
    return family.Suite(
        exercise="made_up",
        of="MadeUp",
        small=lambda *_, **__: model,
        data=data,
        recipe=None,
        says="so",
        classes=classes,
    )


def test_a_check_is_called_by_the_words_of_its_title():
    suite = suite_of(Chain())
    check = suite.own_samples(2, "look", fewest=3, title="Saved samples are the model’s own")
    assert check.__name__ == "test_saved_samples_are_the_models_own"
    check = suite.trained(2, "look", lambda: 1.0, title="Trained: well on held out glyphs", needs=check)
    assert check.__name__ == "test_trained_well_on_held_out_glyphs"
    assert (check.points, check.hint, check.needs) == (2, "look", ("saved_samples_are_the_models_own",))
    assert suite.sums_to_one(1, "look").title == "Probabilities sum to one"
    assert suite_of(Chain(), classes=2).sums_to_one(1, "look").title == "Probabilities sum to one in every class"


def test_a_check_of_logits_says_so_where_a_model_has_none():
    suite = suite_of(Density())
    for check in (
        suite.causal(1, "look"),
        suite.whole_past(1, "look"),
        suite.no_blind_spot(1, "look", networks=2),
        suite.chain_rule(1, "look"),
        suite.exact_far(1),
    ):
        with pytest.raises(TypeError, match="is about logits: `small` of made_up must give Conditionals"):
            check(None, 0)


def test_of_several_sets_each_has_weights_of_its_own():
    sets = (toy.discrete("smiley", bins=25), toy.discrete("moons", bins=25))
    asked = []

    class Student:
        def trained(self, name: str, of: str) -> None:
            asked.append((name, of))

    for data in (sets, sets[:1]):
        suite = suite_of(Chain(), data=data)
        model = suite._trained(Student(), suite._data(data[-1].name))
        assert (model.shape, model.levels) == ((2,), 25)
    assert asked == [("made_up.moons", "MadeUp"), ("made_up", "MadeUp")]


def test_an_author_is_told_of_a_baseline_and_of_data_that_are_not_there():
    with pytest.raises(ValueError, match="trained of made_up needs a baseline"):
        suite_of(Chain()).trained(1, "look")
    with pytest.raises(ValueError, match=r"made_up is not trained on 'moon'. Its data: smiley, moons\."):
        suite_of(Chain(), data=(toy.discrete("smiley", bins=9), toy.discrete("moons", bins=9))).trained(
            1, "", on="moon"
        )


def test_some_states_of_a_small_model_are_all_or_about_a_hundred():
    for shape, levels, number in (((4,), 3, 81), ((1, 3, 3), 2, 57), ((8,), 3, 81)):
        x = family.some_states(family.Model(None, shape, levels))
        assert x.shape == (number, np.prod(shape))
        assert len(np.unique(x, axis=0)) == number
        assert set(np.unique(x)) == set(range(levels))
