"""HW5's checks on the reference solution. That they catch what they must is proved by `make validate`."""

import numpy as np
import pytest

from autograder import assignments, checks, runner
from autograder.families import diffusion as family
from autograder.families.diffusion import Denoiser, Model
from autograder.proof import changes
from autograder.properties import diffusion, flows
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError
from deepul_utils import toy

POINTS = {"score": 15, "ddpm": 25, "flow_matching": 25, "masked_diffusion": 15, "guided_dit": 20}
EXERCISES = [e.name for e in assignments.get("hw5").exercises]
# Nats above the limit (5.3), or above a perfect network with the same chain (5.2), that every seed keeps to.
NATS = {"flow_matching.smiley": 0.02, "flow_matching.moons": 0.05, "ddpm.smiley": 0.02, "ddpm.moons": 0.06}


def test_it_is_worth_a_hundred_points():
    assert {e.name: e.points for e in assignments.get("hw5").exercises} == POINTS
    assert sum(POINTS.values()) == 100


def test_there_are_enough_of_both_and_their_names_differ():
    mutants, variants = changes.mutants("hw5"), changes.variants("hw5")
    names = [(c.exercise, c.name) for c in (*mutants, *variants)]
    assert len(names) == len(set(names))
    for exercise in EXERCISES:
        assert sum(m.exercise == exercise for m in mutants) >= 8
        assert sum(v.exercise == exercise for v in variants) >= 3


@pytest.mark.parametrize("key", NATS)
def test_every_seed_ends_as_near_to_the_limit_as_is_promised(key):
    assert max(runner.references("hw5")[key]["runs"]) <= NATS[key]


# ---- the adapter to a student's network ----------------------------------------------------------------


class Exact:
    """A Model that answers without a student: what a perfect network gives, and something more."""

    dims, handle = 2, None

    def __init__(self, data: toy.Distribution, more: float = 0.0):
        self.data, self.more = diffusion.Mixture(data.weights, data.means, data.covariances), more

    def at(self, x, t):
        return self.data.noise(x, 1 - t, t) + self.more


@pytest.mark.parametrize("more", [0.0, 0.1])
def test_what_is_above_the_floor_is_measured_without_noise(more):
    data = toy.get("smiley")
    levels = [(t, 1 - t, t, 0.25) for t in (0.2, 0.4, 0.6, 0.8)]
    checks.collect()
    net = Denoiser(data, data.sample(300, seed=1).astype(float), levels, lambda: Exact(data, more), 0)
    assert net.excess() == pytest.approx(2 * more**2, abs=1e-4)  # points are rounded to single precision
    assert net.few() == pytest.approx(2 * more**2, abs=1e-4)
    assert 0 < net.floor() < 2
    assert net.baseline() > 0.05


def test_a_flow_has_the_density_of_its_velocities():
    """By differences of velocities alone: no gradient of the student's is believed."""
    data, x = diffusion.mixture(2, 0), diffusion.mixture(2, 0).draw(50, 0)
    namespace: dict = {}
    exec(LINEAR, namespace)
    model = Model(LocalStudent(namespace, {}).new("Shrinks", perturb=0.0, precise=True), 2)
    right = flows.base_log_density(x * np.exp(0.5), flows.NORMAL) + 2 * 0.5
    assert family.log_prob_of(model, x, 10) == pytest.approx(right, abs=1e-4)
    assert family.jacobian(model, x, np.zeros(50)) == pytest.approx(np.broadcast_to(-0.5 * np.eye(2), (50, 2, 2)))
    assert data.dims == model.dims


LINEAR = """
import torch
from torch import nn


class Shrinks(nn.Module):
    def forward(self, x, t):
        return -0.5 * x
"""


def test_a_given_class_that_is_gone_is_missed_by_name():
    with pytest.raises(StudentCodeError, match="no PerfectFlow: its cell is given"):
        family.perfect(LocalStudent({}, {}), "PerfectFlow", diffusion.mixture(2, 0))
