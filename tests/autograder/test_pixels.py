"""What the image exercises measure, on cases whose answer is known."""

import numpy as np
import pytest
import torch

from autograder import notebooks
from autograder.exercises import ROOT
from autograder.handout.submit import solution_cells
from autograder.hw1 import pixels
from autograder.hw1.test_gated_pixelcnn import class_finding
from autograder.hw1.test_pixelcnn import neighbours_finding
from autograder.workbench import StudentCodeError
from deepul_utils import images, training


@pytest.fixture(scope="module")
def defined(tmp_path_factory) -> dict:
    """What the solutions of 1.3 to 1.5 define; nothing is trained."""
    cells = [c for n in ("1.3", "1.4", "1.5") for c in notebooks.section(solution_cells("hw1"), n)]
    cells = [c for c in cells if c.source.lstrip().startswith(("class ", "def ", "from ", "@torch"))]
    return notebooks.run_cells(cells, ROOT / "solutions" / "hw1", tmp_path_factory.mktemp("a"), "hw1").namespace


def test_rows_of_variables_go_pixel_by_pixel_and_back():
    x = np.arange(2 * 3 * 2 * 4).reshape(2, 3, 2, 4)  # B, C, H, W
    rows = pixels.as_rows(x)
    assert rows[0, :6].tolist() == [0, 8, 16, 1, 9, 17]  # R, G, B of the first pixel, then of the one right of it
    np.testing.assert_array_equal(pixels.as_images((3, 2, 4), rows), x)


def test_nats_of_independent_pixels():
    rng = np.random.default_rng(0)
    p = np.array([[0.1, 0.5], [0.9, 0.99]])
    exact = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    x = (rng.random((20_000, 1, 2, 2)) < p).astype(np.uint8)
    assert pixels.bernoulli_nats(x, 2) == pytest.approx(exact, abs=0.02)
    assert pixels.bernoulli_nats(np.zeros((1000, 1, 2, 2), dtype=np.uint8), 2) < 0.03


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
    assert pixels.markov_nats(x, 2) == pytest.approx(exact, rel=0.02)
    assert pixels.markov_nats(np.ones((9, 3, 4, 4), dtype=np.uint8), 4) == 0


def test_copies_of_training_images_are_found():
    data = images.get("glyphs32", levels=2)
    training, fresh = data.sample(500), data.sample(40, split="test").astype(np.int64)
    assert pixels.no_copies(fresh, training).passed
    fresh[7] = training[123]
    assert not (finding := pixels.no_copies(fresh, training)).passed
    assert "1 of 40" in finding.measured


def test_labels_covered_by_digits_and_not_by_one_of_them():
    x, y = images.get("glyphs32", levels=2).sample_labelled(400, split="test")
    assert pixels.covers_the_labels(x[:64], 2).passed
    assert not pixels.covers_the_labels(x[y == 3], 2).passed
    assert (pixels.digits_in(x, 2) == y).mean() > 0.98


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

    data = images.get("glyphs32", levels=2)
    assert len(pixels.saved(Student(), "pixelcnn", data, fewest=3)) == 3
    with pytest.raises(StudentCodeError, match="holds 3 samples; at least 4"):
        pixels.saved(Student(), "pixelcnn", data, fewest=4)


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
