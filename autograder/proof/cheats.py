"""What earns trained points without training: cells that are run after the solution's own, and must earn none.

Each overrides methods of the class that is graded, so that its results are the exact density or the data, a constant,
something memorised, or a gradient that is not that of what is computed. They stand in `solutions/<name>/cheats.py`.
One more needs no text of its own, and is made for every exercise: models and samples put into the session.
"""

import contextlib
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from unittest import mock

from autograder import assignments, notebooks, runner
from autograder.assignments import Exercise
from autograder.families import autoregressive as autoregressive_family
from autograder.families import flows as flow_family
from autograder.handout.submit import solution_cells
from autograder.notebooks import Cell
from autograder.properties import flows, weights
from autograder.properties.finding import Finding
from autograder.student import Student

KINDS = ("exact", "constant", "memorised", "gradient")  # of a catalogue
SESSION = "session"
SALTS = ("a salt", "another", "a third")
# Theorems that hold of a model however it is trained: a generator is a function of its noise, and no copy of an image;
# bounds come in their order.
OTHERS = ("the_generator_is_a_function_of_its_noise", "no_training_image_is_copied", "bounds_come_in_their_order")
BEGIN = """
import numpy as np, torch
from torch import nn
from deepul_utils import images, toy, training


class Fake(torch.autograd.Function):  # some value, with the gradient of an honest one
    @staticmethod
    def forward(ctx, honest, wanted):
        return wanted.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None
"""
# All that is trained, and drawn, is so in a session apart. What it made is put into the session that is graded, as
# copies of which nothing is known, and its files are gone.
APART = """
from deepul_utils import training as _training

_own, _training.session = _training.session, _training.Session(_training.session.folder)
"""
PUT_IN = """
import copy, shutil

shutil.rmtree(_own.folder)
_own.models.update(copy.deepcopy(_training.session.models))
_own.samples.update(copy.deepcopy(_training.session.samples))
_training.session = _own
"""


@dataclass(frozen=True)
class Cheat:
    """kind: one of KINDS, or SESSION. works: it would earn points if nothing asked where its results come from, which
    proves that the defence is what stops it."""

    exercise: str
    kind: str
    code: str
    works: bool = True
    weights: str = "reference"

    @property
    def name(self) -> str:
        return self.kind


@cache
def of_assignment(assignment: str) -> list[Cheat]:
    """Those of an assignment; an extension may leave them to its family's suite."""
    file = assignments.get(assignment).solution / "cheats.py"
    return list(runpy.run_path(str(file))["CHEATS"]) if file.exists() else []


def of_exercise(exercise: Exercise) -> list[Cheat]:
    """Those of its catalogue, and the one of every exercise."""
    of_its_own = [c for c in of_assignment(exercise.assignment.name) if c.exercise == exercise.name]
    return [*of_its_own, Cheat(exercise.name, SESSION, PUT_IN, works=False)]


def cells(cheat: Cheat, exercise: Exercise) -> list[Cell]:
    """The cells of the exercise as the solution has them, and the cheat's."""
    honest = notebooks.section(solution_cells(exercise.assignment.name), exercise.number)
    if cheat.kind == SESSION:
        return [Cell("code", APART), *honest, Cell("code", cheat.code)]
    return [*honest, Cell("code", BEGIN + cheat.code)]


def trained_points(student: Student, exercise: Exercise, salt: str = SALTS[0]) -> dict[str, float]:
    """{check: points} of those that asked something of a trained model."""
    session = runner.Session(student, salt, runner.references(exercise.assignment.name))
    runner.run(exercise, session)
    return {r.name: r.points or 0.0 for r in session.results if session._used[r.name] and r.name not in OTHERS}


def problem(cheat: Cheat, student: Student, exercise: Exercise) -> str:
    """ "" where it earns no trained point under any salt, and would have earned one."""
    for salt in SALTS:
        earned = {check: points for check, points in trained_points(student, exercise, salt).items() if points}
        if earned:
            return f"earns {sum(earned.values()):g} points of what is trained, with {', '.join(earned)}"
    if cheat.kind == SESSION and not any("put there by hand" in note for note in student.notes(exercise.name)):
        return "is not said: no note on the models that were put into the session"
    with undefended():
        if cheat.works and not any(trained_points(student, exercise).values()):
            return "would earn nothing where nothing is asked, and so proves no defence"
    return ""


@contextlib.contextmanager
def undefended() -> Iterator[None]:
    """Nothing asks where a result comes from."""
    passes = Finding(1.0, "not asked", "nothing")
    with contextlib.ExitStack() as patches:
        for owner, name, replacement in (
            (weights, "carry_it", lambda *_: passes),
            (weights, "carry", lambda found, again: found),
            (flow_family, "AGREE", float("inf")),
            (flows, "is_the_slope", lambda *_: passes),
            (autoregressive_family, "sees_no_later", lambda *_: passes),
        ):
            patches.enter_context(mock.patch.object(owner, name, replacement))
        yield
