"""HW2's checks on the reference solution. That they catch what they must is proved by `make validate`."""

import numpy as np
import pytest
import torch

from autograder import checks, exercises, mutants, runner, variants
from autograder.exercises import ROOT
from autograder.hw2 import door, pictures
from autograder.notebooks import run_notebook
from autograder.properties import flows
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError
from deepul_utils import images, tensors, toy

MUTANTS, VARIANTS = mutants.of_homework("hw2"), variants.of_homework("hw2")
EXERCISES = [e.name for e in exercises.of_homework("hw2")]
IMAGES = ("realnvp_images", "glow")


@pytest.fixture(scope="module")
def solution():
    return run_notebook(ROOT / "solutions" / "hw2" / "hw2.py").student


def salts(exercise: str) -> list:
    """Six; of the image exercises, whose checks take seconds, all but the first among the slow tests."""
    return [pytest.param(exercise, k, marks=pytest.mark.slow if exercise in IMAGES and k else ()) for k in range(6)]


@pytest.mark.parametrize(("exercise", "salt"), [p for e in EXERCISES for p in salts(e)])
def test_the_solution_earns_everything_whatever_the_salt(solution, exercise, salt):
    score = runner.check(exercise, solution, salt=f"salt {salt}")
    assert score == score.max_points == exercises.get(exercise).points, score.text()


def test_the_points():
    assert [exercises.get(name).points for name in EXERCISES] == [15, 20, 25, 25, 15]


def test_there_are_enough_of_both_and_their_names_differ():
    names = [c.name for c in (*MUTANTS, *VARIANTS)]
    assert len(names) == len(set(names))
    for exercise in EXERCISES:
        assert sum(m.exercise == exercise for m in MUTANTS) >= 8
        assert sum(v.exercise == exercise for v in VARIANTS) >= 3


# ---- the door to a student's flow ----------------------------------------------------------------------


class Shift(torch.nn.Module):
    """z = x + b; `broken` says what it returns instead."""

    def __init__(self, broken: str = ""):
        super().__init__()
        self.b, self.broken = torch.nn.Parameter(torch.zeros(2)), broken

    def forward(self, x):
        z, log_det = x + self.b, torch.zeros(len(x))
        return {"": (z, log_det), "alone": z, "three": (z, log_det, z), "nothing": None,
                "column": (z, log_det[:, None]), "flat": (z[:, 0], log_det)}[self.broken]  # fmt: skip


def flow_of(broken: str) -> door.Flow:
    return door.Flow(LocalStudent({"Shift": Shift}, {}).new("Shift", broken), 2)


def test_a_flow_as_plain_functions():
    x = np.ones((3, 2), dtype=np.float32)
    z, log_det = flow_of("").forward(x)
    assert z.shape == (3, 2)
    assert log_det.tolist() == [0, 0, 0]
    assert flow_of("").jacobian(x).tolist() == [np.eye(2).tolist()] * 3


@pytest.mark.parametrize(("broken", "said"), [
    ("alone", "two values, (z, log_det), got one value"), ("three", "got 3 values"), ("nothing", "got None"),
    ("column", r"log_det of Shift.forward(x) should have shape (3,), got (3, 1)"),
    ("flat", r"z of Shift.forward(x) should have shape (3, 2), got (3,)"),
])  # fmt: skip
def test_what_is_no_flow_is_said(broken, said):
    with pytest.raises(StudentCodeError) as error:
        flow_of(broken).forward(np.ones((3, 2), dtype=np.float32))
    assert said in error.value.message


@pytest.mark.parametrize("name", ["skewed", "smiley", "moons"])
def test_the_baseline_is_the_cross_entropy_of_one_gaussian(name):
    data = toy.get(name)
    x = data.sample(100_000, seed=3)
    by_sampling = flows.excess_nats(data.log_prob(x), door.one_gaussian(data).log_prob(x))
    assert door.baseline_nats(data) == pytest.approx(by_sampling, abs=0.02)


def test_the_box_holds_the_data():
    for name in ("smiley", "moons"):
        assert flows.plane(toy.get(name).log_prob, door.BOX, door.CELLS).mass == pytest.approx(1, abs=1e-4)


# ---- the door to a student's flow of images ------------------------------------------------------------


class Logistic(torch.nn.Module):
    """t ↦ Φ⁻¹(σ(t) on the levels' range): to it, independent uniform levels are N(0, I). Its bits are known.

    broken: "sign" or "more" gives another log_det, "one way" another inverse.
    """

    def __init__(self, broken: str = ""):
        super().__init__()
        self.b, self.broken = torch.nn.Parameter(torch.zeros(1)), broken

    def forward(self, t):
        y = tensors.from_logits(t.double() + self.b).clamp(1e-9, 1 - 1e-9)
        z = torch.special.ndtri(y)
        slopes = torch.nn.functional.logsigmoid(t) + torch.nn.functional.logsigmoid(-t) - np.log(0.9)
        log_det = tensors.sum_except_batch(slopes - torch.distributions.Normal(0, 1).log_prob(z))
        wrong = {"sign": -log_det, "more": log_det + 30}
        return z.float(), wrong.get(self.broken, log_det).float()

    def inverse(self, z):
        t, _ = tensors.to_logits(torch.special.ndtr(z.double()))
        return (t + (self.broken == "one way")).float()


def logistic(broken: str) -> pictures.ImageFlow:
    return pictures.ImageFlow(
        LocalStudent({"Logistic": Logistic}, {}).new("Logistic", broken, perturb=0), (1, 8, 8), 16
    )


def test_bits_per_dimension_of_a_known_likelihood():
    checks.collect()
    x = pictures.levels(200, (1, 8, 8), 16, seed=0)  # uniform levels cost log2 16 bits, to this model exactly
    assert pictures.bits_of_trained(logistic(""), x, seed=1) == pytest.approx(4, abs=1e-3)


@pytest.mark.parametrize(("broken", "said"), [
    ("sign", "log_det is off"), ("more", "log_det is off"), ("one way", r"inverse\(forward\(x\)\) differs"),
])  # fmt: skip
def test_what_is_no_likelihood_is_not_counted(broken, said):
    x = pictures.levels(200, (1, 8, 8), 16, seed=0)
    checks.collect()
    with pytest.raises(checks.CheckFailed, match=said):
        pictures.bits_of_trained(logistic(broken), x, seed=1)


@pytest.mark.parametrize("name", IMAGES)
def test_a_trained_flow_of_whole_images_is_exact_in_float32(solution, name):
    flow = pictures.ImageFlow(solution.trained(name), (1, 32, 32), 16)
    x = images.get("digits32", levels=16).sample(64, split="test")
    t = tensors.to_reals(torch.as_tensor(x), 16)[0].flatten(1).numpy()
    assert np.abs(flow.inverse(flow.forward(t)[0]) - t).max() < 1e-4


def test_bits_of_independent_pixels_are_the_baseline():
    digits = images.get("digits32", levels=16)
    assert 1.0 < pictures.baseline_bits(digits) < 4.0
