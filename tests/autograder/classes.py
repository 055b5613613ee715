"""Classes of made-up results, as large as a test wants them: real checks and titles, outcomes by chance."""

import base64
import io
import random
from datetime import datetime, timedelta
from functools import cache

from autograder import assignments
from autograder.grading.batch import Graded
from autograder.properties import loss

NAMES = (
    "ada",
    "Émile Ångström",
    "李小龙",
    "محمد",
    "Ὀδυσσεύς",
    "o'brien; rm -rf",
    "100% #1?.png",
    "Владимир",
    "zoë=1+1",
)
CODE = """class MADE(nn.Module):
    def __init__(self, dims, bins):
        super().__init__()
        self.dims, self.bins = dims, bins
        self.net = nn.Sequential(MaskedLinear(dims, 64), nn.ReLU(), MaskedLinear(64, dims * bins))

    def logits(self, x):
        return self.net(x).view(len(x), self.dims, self.bins)

    def log_prob(self, x):
        chosen = self.logits(x.float()).log_softmax(-1).gather(-1, x)
        return chosen.sum(-1)"""
RAISED = (
    "MADE.log_prob raised RuntimeError: gather(): wrong size — in log_prob, line 11 of its cell: chosen = self.logits"
)
SLIPS = (
    ("p sums to 1.0432 over all 81 states", "1 within 0.001", "Over all states p sums to one. Does a mask leak?"),
    ("output 2 sees input 2 and 3 others", "no output sees its own input or a later one", "Compare degrees with >."),
    (RAISED, "", ""),
)


def student(number: int) -> str:
    return NAMES[number] if number < len(NAMES) else f"student-{number:03d}"


def made(size: int, assignment: str = "hw1", seed: int = 1) -> list[Graded]:
    """That many students; the last one could not be graded, where there are more than two."""
    from autograder.grading.batch import without_grade

    chance = random.Random(seed)
    results = [_graded(student(k), assignment, chance) for k in range(size)]
    if size > 2:
        results[-1] = without_grade("student-unread", assignment, "The submission could not be read: it is empty.")
    return results


def _graded(name: str, assignment: str, chance: random.Random) -> Graded:
    skill = chance.betavariate(4, 1.6)
    here = assignments.get(assignment)
    graded = Graded(name, [_score(e, skill, chance) for e in here.exercises])
    graded.figures = {
        e.name: own(picture(chance.randrange(12)), f"{name} {e}") for e in here.exercises if chance.random() < 0.95
    }
    graded.code = {e.name: [CODE + "\n# my own attempt" * chance.randrange(30)] for e in here.exercises}
    graded.seconds = {"cells": chance.uniform(1, 9), "checks": chance.uniform(2, 6)}
    graded.arrived = f"{datetime(2027, 2, 12, 23) + timedelta(minutes=chance.randrange(-4000, 400)):%Y-%m-%d %H:%M}"
    graded.late = graded.arrived > "2027-02-12 23:59"
    graded.attempt = chance.choice(("", "", "attempt 2 of 2"))
    graded.problems = ["The cell “x = 1” stopped with ZeroDivisionError: <b>division</b>"] * (chance.random() < 0.08)
    return graded


def _score(exercise: assignments.Exercise, skill: float, chance: random.Random) -> dict:
    tests = [(n.removeprefix("test_"), t) for n, t in vars(exercise.module).items() if n.startswith("test_")]
    rows = [_check(name, test, chance.random() < skill**0.4, skill, chance) for name, test in tests]
    points = round(sum(r["points"] for r in rows), 3)
    held = sum(r["outcome"] == "passed" for r in rows)
    said = f"{held} of {len(rows)} checks hold."
    about = dict(exercise=exercise.name, number=exercise.number, title=exercise.title, headline=said, printed="")
    return about | dict(points=points, max_points=exercise.points, checks=rows, notes=[])


def _check(name: str, test, passed: bool, skill: float, chance: random.Random) -> dict:
    measured, required, hint = ("holds for 5 random models", "", "") if passed else chance.choice(SLIPS)
    share = float(passed)
    if "trained" in name:
        found = loss.graded(0.4 * chance.expovariate(2 + 20 * skill), dict(mean=0.03, sd=0.004), 1.234, 0.9)
        measured, required, hint, share = found.measured, found.required, found.slip, found.share
    outcome = "passed" if share == 1 else "partial" if share else "failed"
    row = dict(name=name, title=test.title, max_points=test.points, points=round(test.points * share, 3))
    told = dict(measured=measured, required=required, hint=hint or test.hint, plot=None)
    return row | told | dict(outcome=outcome, seconds=0.1, kind="", statistic=False, fault="")


def own(png: str, name: str) -> str:
    """The same picture in a file that nobody else has."""
    return base64.b64encode(base64.b64decode(png) + name.encode()).decode()


@cache
def picture(number: int) -> str:
    """Something like a figure of samples, base64 PNG."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=110)
    x = np.random.default_rng(number).normal(size=(2, 900))
    figure.subplots().scatter(x[0], x[1] + 0.4 * x[0] ** 2, s=3)
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return base64.b64encode(target.getvalue()).decode()
