"""Parameters that are made and not used, and gradients that are none, are found; what is right is let be."""

import numpy as np
import pytest

from autograder.properties import parameters, slopes

ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("some", "more", "wanted"),
    [
        ({"W": ONES}, {"W": 2 * ONES}, {"W"}),
        ({"W": ONES}, {"W": ONES}, set()),  # frozen
        ({"b": ONES[0]}, {"b": 2 * ONES[0]}, set()),  # a bias may be of no effect
        ({}, {"W": ONES, "V": None}, set()),
    ],
)
def test_what_noise_moves_is_trained(some, more, wanted):
    assert parameters.trainable(some, more) == wanted


def test_a_parameter_that_moves_one_model_is_used():
    dead, alive = {"W": 0 * ONES, "V": ONES}, {"W": ONES, "V": None}
    assert parameters.are_all_used([dead, alive], {"W", "V"}, "f").passed


def test_a_parameter_that_moves_none_is_named():
    found = parameters.are_all_used([{"W": 0 * ONES, "V": None}] * 2, {"W", "V"}, "f")
    assert not found.passed
    assert found.measured == "f does not move with V and 1 more"


def square(changed: dict, own: dict) -> float:
    return float(sum((np.asarray(v) ** 2).sum() for v in (own | changed).values()))


@pytest.mark.parametrize(("scale", "passes"), [(1.0, True), (0.8, False), (1.3, False)])
def test_gradients_are_compared_with_slopes(scale, passes):
    own = {"W": np.random.default_rng(0).normal(size=(2, 3)), "V": ONES}
    told = {"W": scale * 2 * own["W"], "V": 2 * ONES}
    assert slopes.gradient_is_the_slope(lambda changed: square(changed, own), own, told, "f").passed == passes


def test_what_a_forward_puts_back_to_zero_is_left_out():
    own = {"W": np.array([[1.0, 0.0]])}

    def value(changed: dict) -> float:
        return float((own | changed)["W"][0, 0] ** 2)

    assert slopes.gradient_is_the_slope(value, own, {"W": np.array([[2.0, 5.0]])}, "f").passed
