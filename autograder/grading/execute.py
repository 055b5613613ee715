"""Grading one submission: its cells run in the sandbox, its checks here."""

import contextlib
import hashlib
import math
import time
from dataclasses import asdict, dataclass, field

from autograder import runner
from autograder.course import SandboxError
from autograder.grading import pictures
from autograder.grading.kernel import Kernel, KernelStudent, Ran, Stopped
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised, checked, is_grade
from autograder.grading.sandbox import Sandbox
from autograder.grading.separate_user import SeparateUser
from autograder.notebooks import DRAWN, TRAINED
from autograder.score import Score
from deepul_utils.check import explain_missing


@dataclass
class Execution:
    """What came of a submission.

    notebook: with its outputs, as a student would have seen them. scores: {exercise: Score.to_json()}.
    problems: what a TA should look at. stopped: what the student's code did that ended grading early, or "".
    fault: why it could not be graded through no fault of the student's, or "". unprotected: grade ids of cells
    whose points were given in the student's kernel. seconds: where the time went. starved: that a time limit was met
    while the machine was busy with other things, in words, or "": then it is no final result.
    """

    notebook: dict
    scores: dict[str, dict] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stopped: str = ""
    fault: str = ""
    unprotected: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    starved: str = ""

    def to_json(self) -> dict:
        return asdict(self)


def again_alone(first: Execution, second: Execution) -> Execution:
    """The second result, with what the TA should know of the first."""
    told = f"Graded again, alone: the first time a time limit was met, and {first.starved}."
    if second.starved:
        told += f" So it was the second time ({second.starved}): grade it again when the machine is quiet."
    second.problems.append(told)
    return second


class Grader:
    """Grades submissions one after another in one sandbox, which it makes when needed and replaces when broken."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._sandbox: Sandbox | None = None

    def warm_up(self) -> None:
        """Start the sandbox now. That it cannot be started is said when something is graded."""
        with contextlib.suppress(SandboxError):
            self._sandbox = self._sandbox or self._new()

    def _new(self) -> Sandbox:
        return (SeparateUser if self.limits.separate_user else Sandbox)(self.limits)

    def grade(self, submission: Normalised, assignment: str, salt: str) -> Execution:
        """Grade one submission when nothing else is graded. What the machine had no time for is tried again once."""
        first = self.grade_beside_others(submission, assignment, salt)
        if not first.starved:
            return first
        return again_alone(first, self.grade_beside_others(submission, assignment, salt))

    def grade_beside_others(
        self, submission: Normalised, assignment: str, salt: str, budget: float = math.inf
    ) -> Execution:
        """Grade one submission within `budget` seconds, or those of its limits; see Execution.starved.

        A fault of the sandbox is tried again once, in what is left of that time, and never thrown at a student.
        """
        end = time.monotonic() + min(budget, self.limits.total)
        first = self._grade(submission, assignment, salt, end)
        if not first.fault or time.monotonic() > end:
            return first
        self.close()  # a fresh sandbox for the second time
        second = self._grade(submission, assignment, salt, end)
        second.problems.append(f"Graded twice: the first time failed ({first.fault.strip().splitlines()[-1]}).")
        return second

    def _grade(self, submission: Normalised, assignment: str, salt: str, end: float) -> Execution:
        run = _Run(submission, assignment, salt, self.limits)
        try:
            began = time.monotonic()
            if self._sandbox is None or not self._sandbox.alive:
                self._sandbox = self._new()
            run.seconds["warm"] = time.monotonic() - began
            run.grade(self._sandbox, end)
        except SandboxError as error:
            run.result.fault = str(error)
        return run.result

    def close(self) -> None:
        if self._sandbox:
            self._sandbox.close()
            self._sandbox = None


class _Run:
    def __init__(self, submission: Normalised, assignment: str, salt: str, limits: Limits):
        self.files, self.assignment, self.salt, self.limits = submission.files, assignment, salt, limits
        self.handed_in = submission.handed_in
        self.result = Execution(submission.notebook)
        self.seconds = self.result.seconds
        self.failed_cells: dict[str, str] = {}
        self.count = 0

    def grade(self, sandbox: Sandbox, end: float) -> None:
        began = time.monotonic()
        seed = int.from_bytes(hashlib.sha256(self.salt.encode()).digest()[:4], "big") >> 1
        with Kernel(sandbox, self.files, seed, end) as kernel:
            self.seconds |= {"start": time.monotonic() - began, "cells": 0.0, "checks": 0.0}
            cells = [c for c in self.result.notebook["cells"] if c["cell_type"] == "code" and c["source"].strip()]
            left_out = self._only_pictures(cells, kernel)
            for number, cell in enumerate(cells):
                if number in left_out:
                    cell["outputs"] = pictures.labelled(self.handed_in.get(cell["id"], []))
                else:
                    self._cell(cell, kernel)
        self.result.starved = kernel.starved
        if self.result.stopped and kernel.ended:
            self.result.stopped = self.result.stopped.replace(kernel.ended.split(" (")[0], kernel.ended)
        self.result.fault = "\n".join(
            c["fault"] for s in self.result.scores.values() for c in s["checks"] if c["outcome"] == "not graded"
        )

    def _only_pictures(self, cells: list[dict], kernel: Kernel) -> set[int]:
        """Which cells are not run because they only show something; none where figures are asked for."""
        if self.limits.figures:
            with contextlib.suppress(Stopped):  # then no cell runs, and each says so
                kernel.execute("__import__('deepul_utils.plots').plots.for_grades = True", self.limits.cell)
            return set()
        graded = {k for k, cell in enumerate(cells) if is_grade(cell)}
        return pictures.only_pictures([c["source"] for c in cells], self.assignment, graded)

    def _cell(self, cell: dict, kernel: Kernel) -> None:
        began, name = time.monotonic(), checked(cell)
        if name:
            self._check(cell, name, kernel)
        elif self.result.stopped:
            cell["outputs"] = [_error("NotRun", f"not run: {self.result.stopped}")]
        else:
            self._run(cell, kernel)
            if is_grade(cell):
                self._unprotected(cell)
        self.count += 1
        cell["execution_count"] = self.count
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result":
                output["execution_count"] = self.count
        self.seconds["checks" if name else "cells"] += time.monotonic() - began

    def _check(self, cell: dict, name: str, kernel: Kernel) -> None:
        score = runner.check(name, KernelStudent(kernel, self.files), self.salt)
        explain_missing(score.results, self.failed_cells)
        self.result.scores[name] = score.to_json()
        cell["outputs"] = [shown(score)]

    def _run(self, cell: dict, kernel: Kernel) -> None:
        source = cell["source"]
        wanted = [f"{n}.safetensors" for n in TRAINED.findall(source)]
        wanted += [f"{n}.samples.safetensors" for n in DRAWN.findall(source)]
        missing = [name for name in wanted if f"artifacts/{name}" not in self.files]
        limit = self.limits.training if missing else self.limits.cell
        try:
            ran = kernel.execute(source, limit)
        except Stopped as error:
            line = source.strip().splitlines()[0][:60]
            self.result.stopped = f"{error}, in the cell “{line}”"
            ran = Ran([_error("Stopped", self.result.stopped)], str(error))
        own = self.handed_in.get(cell.get("id"), [])  # type: ignore[arg-type]  # None is no cell's id
        cell["outputs"] = pictures.completed(ran.outputs, own)
        if ran.error:
            self.failed_cells[source] = ran.error

    def _unprotected(self, cell: dict) -> None:
        """An instructor's own asserts: graded as in nbgrader, but a number that is no grade counts as 0."""
        grade_id, points = cell["metadata"]["nbgrader"]["grade_id"], cell["metadata"]["nbgrader"]["points"]
        self.result.unprotected.append(grade_id)
        for output in cell["outputs"]:
            if output["output_type"] == "execute_result" and not _is_grade(output["data"].get("text/plain"), points):
                output["data"] = {"text/plain": "0.0"}
                self.result.problems.append(f"The cell {grade_id} ended in a value that is no grade: counted as 0.")


def shown(score: Score) -> dict:
    """A score as the output of its cell; nbgrader reads the points in its plain text."""
    data = score._repr_mimebundle_() | {"text/plain": score.figure}
    return {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": None}


def _is_grade(text: object, points: float) -> bool:
    try:
        value = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        return False
    return 0 <= value <= points


def _error(name: str, text: str) -> dict:
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}
