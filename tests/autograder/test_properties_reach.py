"""Gradients that reach what a network is made of, and say by how much it changes."""

import numpy as np
import pytest
import torch
from torch import nn

from autograder.families import gradients
from autograder.properties import reach
from autograder.student import LocalStudent


def test_biases_and_zeros_do_not_count():
    told = {"a": np.array([[1.0, 0.0], [2.0, 3.0]]), "b": np.ones(5), "c": None}
    assert reach.reached(told) == 3
    assert reach.reaches(told, 3, "a layer", "three numbers", "Is it used?").passed
    found = reach.reaches(told, 4, "a layer", "four numbers", "Is it used?")
    assert not found.passed
    assert "Is it used? Or its gradient is cut" in found.slip


def test_derivatives_agree_to_a_part_of_their_size():
    said = np.array([1.0, -2.0, 3.0])
    assert reach.agree(said, said + 0.01, "log_prob").passed
    assert not reach.agree(said, said + np.array([0, 0, 1.0]), "log_prob").passed
    assert not reach.agree(said * np.nan, said, "log_prob").passed


class Layers(nn.Module):
    """log p(x) = −|W_2 tanh(W_1 x)|²."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 4), nn.Linear(4, 2)
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)

    def log_prob(self, x):
        h = self.frozen * torch.tanh(self.inner(x))
        return -self.outer(h).square().sum(dim=1)


class Mixed(Layers):
    """Of two uses of a layer one is detached."""

    def log_prob(self, x):
        h = torch.tanh(self.inner(x))
        return -self.outer(h + 2 * torch.tanh(self.inner(-2 * x)).detach()).square().sum(dim=1)


@pytest.mark.parametrize("precise", [True, False])
@pytest.mark.parametrize(("name", "right"), [("Layers", True), ("Mixed", False)])
def test_a_gradient_that_is_cut_in_part_is_seen(name, right, precise):
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    student = LocalStudent({"Layers": Layers, "Mixed": Mixed}, {})
    for seed in range(10):
        handle = student.new(name, seed=seed, precise=precise)
        before = handle.parameters()
        assert gradients.told(handle, x, seed=seed).passed is right
        assert all(np.allclose(values, before[k]) for k, values in handle.parameters().items())
