"""The suite of autoregressive models, on models of every kind that it is for: it passes right ones and names slips."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder import runner
from autograder.families import autoregressive as family
from autograder.student import LocalStudent

CHECKS = """
import numpy as np
from autograder.checks import Recipe
from autograder.families import autoregressive as family

SHAPE, ORDER, CLASSES = {shape}, {order}, {classes}

def places(shape):
    return np.arange(int(np.prod(shape)))[::-1] if ORDER else None

def small(student, seed, y=0, shape=SHAPE, **strength):
    made = student.new("Ordered", shape=shape, levels=2, reverse=ORDER, classes=CLASSES, seed=seed, **strength)
    return family.Conditionals(made, shape, 2, y if CLASSES else None, places(shape))

LARGE = (12, *SHAPE[1:]) if len(SHAPE) != 3 else (*SHAPE[:2], 12)
suite = family.Suite(
    exercise="made_up", of="Ordered", small=small, data=(), recipe=Recipe("Adam", 1e-2, 1, 1), says="so",
    classes=CLASSES, tall=dict(shape=LARGE, **family.STRONG), whole=dict(shape=LARGE),
)
test_causal = suite.causal(1, "causal")
test_whole_past = suite.whole_past(1, "whole past")
test_no_blind_spot = suite.no_blind_spot(1, "blind spot", networks=2)
test_own_layers = suite.own_layers(1)
test_every_example = suite.every_example(1)
test_one_example = suite.one_example(1)
test_chain_rule = suite.chain_rule(1, "chain rule")
test_exact_far = suite.exact_far(1)
test_sums_to_one = suite.sums_to_one(1, "sum")
test_samples = suite.samples(1, "samples", count=3000, networks=3)
"""


class Ordered(nn.Module):
    """Every variable given all that are drawn before it, in raster order or from the end: logits that are linear in it.

    shape: of an example, as in family.as_rows. slips: what the model does wrong.
    """

    slips: tuple[str, ...] = ()

    def __init__(self, shape: tuple[int, ...], levels: int, reverse: bool = False, classes: int = 0):
        super().__init__()
        self.shape, self.levels, self.reverse, self.dims = shape, levels, reverse, int(np.prod(shape))
        seen = torch.ones(self.dims, self.dims).tril(0 if "sees itself" in self.slips else -1)
        if "sees the last only" in self.slips:
            seen = seen.triu(-1)
        self.register_buffer("seen", seen)
        self.weight = nn.Parameter(torch.randn(self.dims, self.dims, levels, levels))
        self.bias = nn.Parameter(torch.randn(max(1, classes), self.dims, levels))

    def logits(self, x, y=None):
        rows = torch.as_tensor(family.as_rows(self.shape, x.numpy()).copy())
        rows = rows.flip(1) if self.reverse else rows
        bias = self.bias[0] if y is None else self.bias[y]
        out = torch.einsum("ij,bjk,ijkl->bil", self.seen, F.one_hot(rows, self.levels).float(), self.weight) + bias
        out = out.flip(1) if self.reverse else out
        levels = [family.as_examples(self.shape, of.detach().numpy()) for of in out.unbind(-1)]
        return torch.stack([torch.as_tensor(of) for of in levels], dim=-1)

    def log_prob(self, x, *y):
        log_p = F.log_softmax(self.logits(x, *y), dim=-1).gather(-1, x[..., None]).flatten(1)
        return log_p.mean(dim=1) if "averaged" in self.slips else log_p.sum(dim=1)

    def sample(self, n):
        y = (n,) if isinstance(n, torch.Tensor) else ()
        x = torch.zeros(len(n) if y else n, self.dims, dtype=torch.long)
        for i in reversed(range(self.dims)) if self.reverse != ("other order" in self.slips) else range(self.dims):
            logits = self.logits(torch.as_tensor(family.as_examples(self.shape, x.numpy())), *y).numpy()
            p = torch.as_tensor(family.as_rows(self.shape, logits)[:, i].copy()).softmax(dim=-1)
            x[:, i] = torch.multinomial(p, 1).squeeze(-1)
        return torch.as_tensor(family.as_examples(self.shape, x.numpy()))


@pytest.fixture
def results(tmp_path):
    """results(shape, …) -> {check: its result}, of a model with these slips."""

    def results(shape, order: bool = False, classes: int = 0, slips: tuple[str, ...] = (), only: str = "") -> dict:
        file = tmp_path / "test_made_up.py"
        file.write_text(CHECKS.format(shape=shape, order=order, classes=classes), encoding="utf-8")
        student = LocalStudent({"Ordered": type("Ordered", (Ordered,), {"slips": slips})}, {})
        session = runner.Session(student, "salt", {}, only)
        runner.run(SimpleNamespace(test_file=file), session)
        return {r.name: r for r in session.results}

    return results


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize(
    ("shape", "classes"), [((5,), 0), ((5,), 2), ((1, 2, 3), 0), ((3, 1, 2), 0), ((2, 1, 1, 3), 0)]
)
def test_right_models_of_every_kind_pass(results, shape, classes, order):
    earned = results(shape, order, classes)
    assert len(earned) == 10
    assert {r.outcome for r in earned.values()} == {"passed"}, [(r.name, r.measured, r.fault) for r in earned.values()]


@pytest.mark.parametrize("shape", [(5,), (2, 1, 1, 3)])
@pytest.mark.parametrize(
    ("slip", "failing"),
    [
        ("sees itself", "each_pixel_depends_only_on_earlier_pixels"),
        ("sees the last only", "each_pixel_depends_on_all_earlier_pixels"),
        ("averaged", "probabilities_sum_to_one"),
        ("other order", "samples_follow_the_density"),
    ],
)
def test_a_slip_is_found_by_its_check(results, shape, slip, failing):
    for order in (False, True):
        found = results(shape, order, slips=(slip,), only=failing)[failing]
        assert found.outcome == "failed", (order, found.measured)
