"""The suite of models of small pictures: its loss is the nats above what the data are known to have."""

from types import SimpleNamespace

import numpy as np
import pytest

from autograder import checks
from autograder.checks import Recipe
from autograder.families import pictures as family
from autograder.families.autoregressive import as_examples, as_rows
from autograder.properties.finding import Finding
from deepul_utils import pictures

DATA = pictures.get("corners")


class Known:
    """A model that gives every level e^−off of its true probability, and the rest of it to none."""

    def __init__(self, off: float, sees_later: bool):
        self.off, self.sees_later = off, sees_later

    def rows(self, x):
        return as_rows(DATA.shape, x)

    def log_conditionals(self, x):
        with np.errstate(divide="ignore"):
            return np.log(as_rows(DATA.shape, DATA.conditionals(as_examples(DATA.shape, x)))) - self.off

    def hides_the_future(self, x, seed):
        yield Finding(float(not self.sees_later), "what is to come is seen", "it is not")


def grade(off: float, sees_later: bool = False, n: int = 50) -> dict:
    """What a trained model of the suite is graded by."""
    suite = family.Suite(
        exercise="made_up",
        of="Known",
        small=lambda *_: None,
        data=(DATA,),
        recipe=Recipe("Adam", 1e-2, 1, 1),
        says="so",
        adapter=lambda handle, shape, levels: handle,
    )
    student = SimpleNamespace(trained=lambda name, of: Known(off, sees_later))
    told = {}

    def graded(name, excess, **options):
        told.update(options, name=name, excess=excess())

    checks.collect()
    suite.trained(1, "why", baseline=lambda: DATA.repeated, held_out=n)(student, graded, 3)
    return told


def test_the_loss_is_nats_above_the_true_probability():
    """Chance does not move it: the same pictures are asked of both."""
    told = grade(0.25, n=20)
    assert told["excess"] == pytest.approx(0.25 * 64)  # at each of 64 pixels
    assert told["few"]() == pytest.approx(0.25 * 64)
    assert grade(0.0)["excess"] == pytest.approx(0)
    assert told["limit"] == DATA.entropy
    assert told["baseline"] == pytest.approx(9 * np.log(2))
    assert told["name"] == "made_up"


def test_a_model_that_sees_what_is_to_come_has_no_loss():
    with pytest.raises(checks.CheckFailed, match="what is to come is seen"):
        grade(0.0, sees_later=True)
