"""What is required of models of sequences: receptive fields, draws from uniform numbers, and what is kept."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder import runner
from autograder.families import sequences as family
from autograder.properties import sequences
from autograder.properties.autoregressive import log_conditionals
from autograder.student import LocalStudent

# ---- receptive fields ------------------------------------------------------------------------------------


def sees(lags: tuple[int, ...], dims: int = 8, levels: int = 3):
    """A model whose output t is a random function of the values so many places back."""
    weights = np.random.default_rng(0).normal(size=(dims, len(lags), levels, levels))

    def outputs(x: np.ndarray) -> np.ndarray:
        out = np.zeros((*x.shape, levels))
        for t in range(dims):
            for k, lag in enumerate(lags):
                if 0 <= t - lag < dims:
                    out[:, t] += weights[t, k][x[:, t - lag]]
        return out

    return outputs


def test_a_receptive_field_is_exactly_so_many_values():
    assert sequences.sees_exactly([sees((1, 2, 3))], 8, 3, window=3).passed
    assert sequences.sees_exactly([sees((1, 2)), sees((3,))], 8, 3, window=3).passed  # together


@pytest.mark.parametrize(
    ("lags", "said"),
    [
        ((1, 2, 3, 4), "outputs see up to 4 values back"),
        ((1, 2), "outputs see up to 2 values back"),
        ((1, 3), "output 3 does not see input 1"),
        ((0, 1, 2, 3), "output 1 sees input 1, its own or a later one"),
        ((-1, 1, 2, 3), "output 1 sees input 2, its own or a later one"),
        ((), "outputs see up to 0 values back"),
    ],
)
def test_another_receptive_field_is_said(lags, said):
    found = sequences.sees_exactly([sees(lags)], 8, 3, window=3)
    assert not found.passed
    assert said in found.measured


# ---- draws -----------------------------------------------------------------------------------------------


@pytest.fixture
def drawn():
    """(x, u, log_p) of a right sampler."""
    rng = np.random.default_rng(1)
    log_p = log_conditionals(rng.normal(size=(40, 6, 5), scale=2))
    u = rng.random((40, 6))
    x = (np.exp(log_p).cumsum(axis=-1)[..., :-1] < u[..., None]).sum(axis=-1)
    return x, u, log_p


def test_draws_are_the_levels_that_their_numbers_fall_into(drawn):
    x, u, log_p = drawn
    assert sequences.falls_into(x, u, log_p).passed
    assert sequences.falls_into(x, np.float32(u), log_p + 1e-6).passed  # rounding is no slip


def test_one_other_level_is_seen_and_where_it_began(drawn):
    x, u, log_p = drawn
    for wrong in (lambda v: (v + 1) % 5, lambda v: v - 9, lambda v: v + 9):
        changed = x.copy()
        changed[7, 3] = wrong(changed[7, 3])
        found = sequences.falls_into(changed, u, log_p, explain=lambda t: f"at {t}")
        assert not found.passed
        assert found.measured == "1 of 240 values are other levels, from value 4 on"
        assert found.slip == "at 4"


def test_numbers_of_another_order_are_seen(drawn):
    x, u, log_p = drawn
    assert not sequences.falls_into(x, u[:, ::-1], log_p).passed
    assert not sequences.falls_into(x, 1 - u, log_p).passed
    assert not sequences.falls_into(x, u, np.roll(log_p, 1, axis=1)).passed


def test_what_saves_no_work_is_said():
    assert sequences.saves_work(0.1, 1.0, least=4).passed
    found = sequences.saves_work(0.5, 1.0, least=4)
    assert not found.passed
    assert "2 times as fast" in found.measured


# ---- the suite -------------------------------------------------------------------------------------------

CHECKS = """
from autograder.checks import Recipe
from autograder.families import sequences as family
from autograder.families.autoregressive import Conditionals

def small(student, seed, length=4, **strength):
    made = student.new("Linear", length=length, seed=seed, **strength)
    return Conditionals(made, (length,), 3)

suite = family.Suite(
    exercise="made_up", of="Linear", small=small, data=(), recipe=Recipe("Adam", 1e-2, 1, 1), says="so",
    long=dict(length=12),
)
test_draws = suite.draws(1, "draws", explain=lambda t: f"wrong from {t} on")
test_speed = suite.speed(1, "speed", batch=4, least=3, length=40)
"""


class Linear(nn.Module):
    """Every value given the sum of all before it; what is kept is that sum. A pass takes a while."""

    slips: tuple[str, ...] = ()

    def __init__(self, length: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))

    def logits(self, x):
        time.sleep(2e-3)
        values = F.one_hot(x, 3).float() @ self.weight
        return F.pad(values.cumsum(dim=1)[:, :-1], (0, 0, 1, 0))

    @torch.no_grad()
    def draw(self, u):
        x, kept = torch.zeros(u.shape, dtype=torch.long), torch.zeros(len(u), 3)
        for t in range(u.shape[1]):
            logits = self.logits(x)[:, t] if "all again" in self.slips else kept
            cdf = logits.softmax(dim=-1).cumsum(dim=-1)
            x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)
            kept = kept * ("forgets" not in self.slips) + self.weight[x[:, t]]
        return x + 3 * ("outside" in self.slips)


@pytest.mark.parametrize(
    ("slips", "outcomes", "said"),
    [
        ((), ["passed", "passed"], ""),
        (("forgets",), ["failed", "passed"], "wrong from 3 on"),
        (("outside",), ["failed", "passed"], "wrong from 1 on"),
        (("all again",), ["passed", "failed"], "speed"),
    ],
)
def test_the_suite_passes_right_samplers_and_names_slips(tmp_path, slips, outcomes, said):
    file = tmp_path / "test_made_up.py"
    file.write_text(CHECKS, encoding="utf-8")
    student = LocalStudent({"Linear": type("Linear", (Linear,), {"slips": slips})}, {})
    session = runner.Session(student, "salt", {})
    runner.run(SimpleNamespace(test_file=file), session)
    assert [r.outcome for r in session.results] == outcomes, [(r.measured, r.fault) for r in session.results]
    assert not said or said in [r.hint for r in session.results]


class Uniform(nn.Module):
    """Knows nothing."""

    def logits(self, x):
        return torch.zeros(*x.shape, 6)


def test_a_loss_is_nats_a_value_above_the_entropy(monkeypatch):
    """Of the same sequences both are measured: chance moves their difference less than either."""
    from deepul_utils import sequences as data

    source = data.get("markov1")
    student = LocalStudent({}, {"markov": Uniform()})
    measured = {}

    def graded(key, excess, **details):
        measured.update(details | dict(key=key, excess=excess(), few=details["few"]()))

    def small(student, seed):
        raise NotImplementedError

    about = dict(exercise="markov", of="Uniform", data=(source,), parts=source.length, says="", long={})
    suite = family.Suite(small=small, recipe=None, **about)  # type: ignore[arg-type]  # no recipe is asked for
    suite._grade_held_out(student, graded, 3, source, lambda: 1.0, 400)
    assert measured["key"] == "markov"
    assert measured["limit"] == pytest.approx(source.entropy / 64)
    exact = np.log(6) - source.entropy / 64
    assert measured["excess"] == pytest.approx(exact, abs=0.02)
    assert measured["few"] == pytest.approx(exact, abs=0.1)
