"""HW2's checks on the reference solution. That they catch what they must is proved by `make validate`."""

import numpy as np
import pytest
import torch

from autograder import assignments, checks
from autograder.assignments import ROOT
from autograder.families import flows as family
from autograder.families import image_flows
from autograder.notebooks import run_notebook
from autograder.proof import changes
from autograder.properties import flows
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError
from deepul_utils import images, tensors, toy

MUTANTS, VARIANTS = changes.mutants("hw2"), changes.variants("hw2")
EXERCISES = [e.name for e in assignments.get("hw2").exercises]
IMAGES = ("realnvp_images", "glow")


@pytest.fixture(scope="module")
def solution():
    return run_notebook(ROOT / "solutions" / "hw2" / "hw2.py").student


def test_the_points():
    assert [assignments.get_exercise(name).points for name in EXERCISES] == [15, 20, 25, 25, 15]


def test_there_are_enough_of_both_and_their_names_differ():
    names = [(c.exercise, c.name) for c in (*MUTANTS, *VARIANTS)]
    assert len(names) == len(set(names))
    for exercise in EXERCISES:
        assert sum(m.exercise == exercise for m in MUTANTS) >= 8
        assert sum(v.exercise == exercise for v in VARIANTS) >= 3


# ---- the adapter to a student's flow -------------------------------------------------------------------


class Shift(torch.nn.Module):
    """z = x + b; `broken` says what it returns instead."""

    def __init__(self, broken: str = ""):
        super().__init__()
        self.b, self.broken = torch.nn.Parameter(torch.zeros(2)), broken

    def forward(self, x):
        z, log_det = x + self.b, torch.zeros(len(x))
        return {
            "": (z, log_det),
            "alone": z,
            "three": (z, log_det, z),
            "nothing": None,
            "column": (z, log_det[:, None]),
            "flat": (z[:, 0], log_det),
        }[self.broken]


def flow_of(broken: str) -> family.Flow:
    return family.Flow(LocalStudent({"Shift": Shift}, {}).new("Shift", broken, perturb=0), 2, flows.NORMAL)


def test_a_flow_as_plain_functions():
    x = np.ones((3, 2), dtype=np.float32)
    z, log_det = flow_of("").forward(x)
    assert z.shape == (3, 2)
    assert log_det.tolist() == [0, 0, 0]
    assert flow_of("").jacobian(x).tolist() == [np.eye(2).tolist()] * 3
    assert flow_of("").own_log_prob(x) == pytest.approx(np.full(3, -1 - np.log(2 * np.pi)))


@pytest.mark.parametrize("broken", ["alone", "three", "column"])
def test_what_needs_z_alone_does_not_mind_a_wrong_log_det(broken):
    x = np.ones((3, 2), dtype=np.float32)
    assert flow_of(broken).latents(x).tolist() == x.tolist()
    assert flow_of(broken).jacobian(x).tolist() == [np.eye(2).tolist()] * 3


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("alone", "two values, (z, log_det), got one value"),
        ("three", "got 3 values"),
        ("nothing", "got None"),
        ("column", r"log_det of Shift.forward(x) should have shape (3,), got (3, 1)"),
        ("flat", r"z of Shift.forward(x) should have shape (3, 2), got (3,)"),
    ],
)
def test_what_is_no_flow_is_said(broken, said):
    with pytest.raises(StudentCodeError) as error:
        flow_of(broken).forward(np.ones((3, 2), dtype=np.float32))
    assert said in error.value.message


@pytest.mark.parametrize("name", ["skewed", "smiley", "moons"])
def test_the_baseline_is_the_cross_entropy_of_one_gaussian(name):
    data = toy.get(name)
    x = data.sample(100_000, seed=3)
    by_sampling = flows.excess_nats(data.log_prob(x), family.one_gaussian(data).log_prob(x))
    assert family.baseline_nats(data) == pytest.approx(by_sampling, abs=0.02)


def test_the_box_holds_the_data():
    for name in ("smiley", "moons"):
        assert flows.plane(toy.get(name).log_prob, family.BOX, family.CELLS).mass == pytest.approx(1, abs=1e-4)


# ---- a trained density -----------------------------------------------------------------------------------


class Gauss(torch.nn.Module):
    """N(0, 4 I) of the plane; `broken` says what log_prob is instead."""

    def __init__(self, broken: str = ""):
        super().__init__()
        self.b, self.broken = torch.nn.Parameter(torch.zeros(2)), broken

    def forward(self, x):
        return (x + self.b) / 2, -2 * torch.log(torch.full((len(x),), 2.0))

    def log_prob(self, x):
        z, log_det = self(x)
        if self.broken == "raises":
            raise ValueError("not out there")
        log_p = (-0.5 * z**2 - 0.5 * np.log(2 * np.pi)).sum(dim=1) + log_det
        return log_p + {"": 0.0, "too much": 5.0, "too little": -5.0, "nan": float("nan")}[self.broken]


def trained(student, data, x) -> float:
    return family.Trained(student, "gauss", "Gauss", data, flows.NORMAL, x, 0, family.BOX, 100).excess()


@pytest.mark.parametrize("broken", ["", "too much", "too little", "nan", "raises"])
def test_what_is_wrong_with_log_prob_does_not_change_what_was_trained(broken):
    checks.collect()
    student, data = LocalStudent({}, {"gauss": Gauss(broken)}), toy.get("rotated_gaussian")
    x = data.sample(2000, seed=0, split="test")
    wanted = flows.excess_nats(data.log_prob(x), toy.GaussianMixture([1.0], [[0, 0]], [4 * np.eye(2)]).log_prob(x))
    excess = trained(student, data, x)
    assert excess == pytest.approx(wanted, abs=1e-4)


def test_what_has_too_much_mass_is_not_counted():
    class Folded(Gauss):  # two x for every z, whose Jacobian knows nothing of it
        def forward(self, x):
            z, log_det = super().forward(x)
            return z.abs() + 0 * self.b, log_det

    checks.collect()
    student, data = LocalStudent({}, {"gauss": Folded("too much")}), toy.get("rotated_gaussian")
    wide = toy.GaussianMixture([1.0], [[0, 0]], [np.eye(2)]).draw(500, np.random.default_rng(0)).astype(np.float32)
    assert trained(student, data, wide) > -1

    class Lying(Folded):
        def forward(self, x):
            z, log_det = super().forward(x)
            return z * torch.tensor([4.0, 4.0]) % 2.0, log_det  # sixteen x for a z, and more

    student = LocalStudent({}, {"gauss": Lying("too much")})
    with pytest.raises(checks.CheckFailed, match="integrates to"):
        trained(student, data, wide)


# ---- the adapter to a student's flow of images ---------------------------------------------------------


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


def logistic(broken: str) -> image_flows.ImageFlow:
    return image_flows.ImageFlow(
        LocalStudent({"Logistic": Logistic}, {}).new("Logistic", broken, perturb=0), (1, 8, 8), 16
    )


def test_bits_per_dimension_of_a_known_likelihood():
    checks.collect()
    x = image_flows.levels(200, (1, 8, 8), 16, seed=0)  # uniform levels cost log2 16 bits, to this model exactly
    assert image_flows.bits_of_trained(logistic(""), x, seed=1) == pytest.approx(4, abs=1e-3)


def test_an_inverse_that_is_wrong_has_a_check_of_its_own():
    checks.collect()
    x = image_flows.levels(200, (1, 8, 8), 16, seed=0)
    assert image_flows.bits_of_trained(logistic("one way"), x, seed=1, invertible=False) == pytest.approx(4, abs=1e-3)


def test_a_learned_prior_is_the_base_that_was_fitted():
    """z = 3 t + 1 in place of t: the same likelihood, for whoever knows the spread of z."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400, 50))
    assert image_flows.fitted_base_density(z).mean() == pytest.approx(image_flows.base_density(z).mean(), abs=1)
    moved = image_flows.fitted_base_density(3 * z + 1).mean() + 50 * np.log(3)
    assert moved == pytest.approx(image_flows.fitted_base_density(z).mean(), abs=1e-6)
    assert image_flows.base_density(3 * z + 1).mean() + 50 * np.log(3) < moved - 100


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("sign", "log_det is off"),
        ("more", "log_det is off"),
        ("one way", r"inverse\(forward\(x\)\) differs"),
    ],
)
def test_what_is_no_likelihood_is_not_counted(broken, said):
    x = image_flows.levels(200, (1, 8, 8), 16, seed=0)
    checks.collect()
    with pytest.raises(checks.CheckFailed, match=said):
        image_flows.bits_of_trained(logistic(broken), x, seed=1)


@pytest.mark.parametrize("name", IMAGES)
def test_a_trained_flow_of_whole_images_is_exact_in_float32(solution, name):
    flow = image_flows.ImageFlow(solution.trained(name), (1, 32, 32), 16)
    x = images.get("digits32", levels=16).sample(64, split="test")
    t = tensors.to_reals(torch.as_tensor(x), 16)[0].flatten(1).numpy()
    assert np.abs(flow.inverse(flow.forward(t)[0]) - t).max() < 1e-4


def test_bits_of_independent_pixels_are_the_baseline():
    digits = images.get("digits32", levels=16)
    assert 1.0 < image_flows.baseline_bits(digits) < 4.0
