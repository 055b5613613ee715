"""Spectral normalisation: kernels read off a layer, and the slips that they betray."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from autograder.properties import spectral

W = np.random.default_rng(0).normal(size=(6, 3, 4, 4))
SIGMA = np.linalg.svd(W.reshape(6, -1), compute_uv=False)[0]


def test_a_kernel_is_read_off_a_layer_with_its_bias():
    def forward(x):
        return F.conv2d(torch.tensor(x), torch.tensor(W).float(), bias=torch.arange(6.0)).numpy()

    np.testing.assert_allclose(spectral.kernel_of(forward, 3, 4), W, atol=1e-5)


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (W / SIGMA, ""),
        (W, "not divided by anything"),
        (W / np.linalg.norm(W), "Frobenius"),
        (W / SIGMA**2, "divided by σ²"),
        (W * SIGMA, "multiplied by σ"),
        (W / np.linalg.svd(W.swapaxes(0, 1).reshape(3, -1), compute_uv=False)[0], "another matrix"),
        (W / np.linalg.svd(W.sum(axis=(2, 3)), compute_uv=False)[0], "another matrix"),
        (W / SIGMA + 0.1, ""),
        (W * np.nan, ""),
    ],
)
def test_kernels(used, said):
    found = spectral.is_the_kernel_over_its_norm(used, W)
    assert found.passed == (used is W / SIGMA or np.allclose(used, W / SIGMA))
    assert said in found.slip


def test_evaluation_keeps_the_kernel_and_training_moves_it():
    assert spectral.stays([W, W, W]).passed
    assert not spectral.stays([W, W, 1.01 * W]).passed
    assert spectral.moves(W, 1.01 * W).passed
    assert not spectral.moves(W, W).passed
    assert spectral.moves(W / SIGMA, W / SIGMA).passed  # exact from the first call on: nothing has to move


def gradient(constant: bool) -> np.ndarray:
    """Of a random function of W / σ(W), with σ known to it or taken for a constant."""
    kernel = torch.tensor(W, requires_grad=True)
    sigma = torch.linalg.matrix_norm(kernel.flatten(1), ord=2)
    weights = torch.tensor(np.random.default_rng(1).normal(size=W.shape))
    (weights * kernel / (sigma.detach() if constant else sigma)).sum().backward()
    return kernel.grad.numpy()


def test_a_gradient_that_knows_sigma_does_not_point_along_the_kernel():
    assert spectral.knows_sigma(gradient(constant=False), W).passed
    assert "taken for a constant" in spectral.knows_sigma(gradient(constant=True), W).slip
    assert not spectral.knows_sigma(np.zeros_like(W), W).passed


def test_twice_as_large_kernels_say_the_same_where_all_are_normalised():
    kernels, said = {"a": W, "b": W}, np.arange(8.0)
    known = {"a": gradient(False), "b": gradient(False)}
    assert spectral.stretching_changes_nothing(said, said, known, kernels).passed
    constant = spectral.stretching_changes_nothing(said, said, {"a": gradient(True), "b": None}, kernels)
    assert constant.passed  # σ taken for a constant of the gradient is another slip
    found = spectral.stretching_changes_nothing(said, 2 * said, known | {"b": gradient(True)}, kernels)
    assert not found.passed
    assert found.slip.startswith("b is not divided")
    assert not spectral.stretching_changes_nothing(said, np.full(8, np.nan), known, kernels).passed
