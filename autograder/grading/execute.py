"""Grading one submission: its cells run in the sandbox, its checks here."""

import contextlib
import hashlib
import math
import time
from dataclasses import asdict, dataclass, field

from autograder import assignments, runner
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

LINE = 60  # characters of a cell's first line, by which it is called


@dataclass
class Execution:
    """What came of a submission.

    notebook: with its outputs, as a student would have seen them. scores: {exercise: Score.to_json()}.
    problems: what a TA should look at. stopped: what the student's code did that ended grading early, or "".
    left_out: each cell or check that ended its kernel, and how; what follows went on in a fresh one without it.
    fault: why it could not be graded through no fault of the student's, or "". unprotected: grade ids of cells
    whose points were given in the student's kernel. seconds: where the time went. starved: that a time limit was met
    while the machine was busy with other things, in words, or "": then it is no final result.
    """

    notebook: dict
    scores: dict[str, dict] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stopped: str = ""
    left_out: list[str] = field(default_factory=list)
    fault: str = ""
    unprotected: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    starved: str = ""

    def to_json(self) -> dict:
        return asdict(self)

    @property
    def told(self) -> list[str]:
        """What a TA should look at, and how kernels ended."""
        return self.problems + endings(self.left_out, self.stopped)


def endings(left_out: list[str], stopped: str) -> list[str]:
    """How the kernels of a submission ended before its end, in a sentence each."""
    said = [f"It ended the kernel, and was left out: {one}. What follows ran in a fresh kernel." for one in left_out]
    early = f"Grading stopped early: {stopped}. What was graded until then counts."
    return said + ([early] if stopped else [])


def again_alone(first: Execution, second: Execution) -> Execution:
    """The second result, with what the TA should know of the first."""
    told = f"Graded again, alone: the first time a time limit was met, and {first.starved}."
    if second.starved:
        told += f" So it was the second time ({second.starved}): grade it again when the machine is quiet."
    second.problems.append(told)
    return second


def opened(limits: Limits) -> Sandbox:
    """A new sandbox of the kind that the limits say. Raises SandboxError."""
    return (SeparateUser if limits.separate_user else Sandbox)(limits)


class Grader:
    """Grades submissions one after another in one sandbox, which it makes when needed and replaces when broken."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._sandbox: Sandbox | None = None

    def warm_up(self) -> None:
        """Start the sandbox now. That it cannot be started is said when something is graded."""
        with contextlib.suppress(SandboxError):
            self._sandbox = self._sandbox or opened(self.limits)

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
        run = Run(submission, assignment, salt, self.limits)
        try:
            began = time.monotonic()
            if self._sandbox is None or not self._sandbox.alive:
                self._sandbox = opened(self.limits)
            run.seconds["warm"] = time.monotonic() - began
            run.grade(self._sandbox, end)
        except SandboxError as error:
            run.result.fault = str(error)
        return run.result

    def close(self) -> None:
        if self._sandbox:
            self._sandbox.close()
            self._sandbox = None


class Run:
    """One submission's way through the sandbox: its cells, and its checks, in their order.

    A cell or a check that ends its kernel costs itself: what follows goes on in a fresh kernel, in which all cells
    before it were run but that one. So often as there are exercises; then grading stops early.
    """

    def __init__(self, submission: Normalised, assignment: str, salt: str, limits: Limits):
        self.files, self.assignment, self.salt, self.limits = submission.files, assignment, salt, limits
        self.handed_in = submission.handed_in
        self.result = Execution(submission.notebook)
        self.seconds = self.result.seconds
        self.cells = [c for c in self.result.notebook["cells"] if c["cell_type"] == "code" and c["source"].strip()]
        self.failed_cells: dict[str, str] = {}
        self.count = 0
        self._fresh_kernels = len(assignments.get(assignment).exercises)
        self._lost: set[int] = set()  # cells that ended a kernel
        self.is_done = False  # nothing more is wanted

    def grade(self, sandbox: Sandbox, end: float) -> None:
        """Run everything, within what is left until `end` (time.monotonic()). Raises SandboxError."""
        self.seconds |= {"start": 0.0, "cells": 0.0, "checks": 0.0}
        number: int | None = 0
        while number is not None:
            with self._kernel(sandbox, end) as kernel:
                number = self._go_on(kernel, number, end)
            self.result.starved = self.result.starved or kernel.starved
            self._say_how_it_ended(kernel)
        self.result.fault = "\n".join(
            c["fault"] for s in self.result.scores.values() for c in s["checks"] if c["outcome"] == "not graded"
        )

    def _kernel(self, sandbox: Sandbox, end: float) -> Kernel:
        began = time.monotonic()
        seed = int.from_bytes(hashlib.sha256(self.salt.encode()).digest()[:4], "big") >> 1
        kernel = Kernel(sandbox, self.files, seed, end)
        self.seconds["start"] += time.monotonic() - began
        return kernel

    def _go_on(self, kernel: Kernel, first: int, end: float) -> int | None:
        """Run what is before `first` once more, and everything from there on.

        The number of the cell to go on with in a fresh kernel; None where all is done, or no kernel is to follow.
        """
        left_out = self._only_pictures(kernel)
        for number, cell in enumerate(self.cells):
            if number in left_out:
                if number >= first:
                    cell["outputs"] = pictures.labelled(self.handed_in.get(cell["id"], []))
            elif number >= first:
                self._cell(cell, kernel)
            else:
                self._once_more(number, kernel)
            if self.is_done:
                break
            if kernel.process.stopped and self._may_go_on(number, end):
                return self._without(number, kernel, first)
        return None

    def _once_more(self, number: int, kernel: Kernel) -> None:
        """A cell that ran before, in a fresh kernel; what it shows is known. One that ends this kernel is lost, too."""
        cell = self.cells[number]
        if number not in self._lost and not checked(cell):
            with contextlib.suppress(Stopped):  # which the caller sees
                kernel.execute(cell["source"], self._limit(cell["source"]))

    def _may_go_on(self, number: int, end: float) -> bool:
        """Whether a check follows, and there is time and a kernel left for it."""
        to_come = any(checked(cell) for cell in self.cells[number + 1 :])
        return to_come and self._fresh_kernels > 0 and time.monotonic() < end

    def _without(self, number: int, kernel: Kernel, first: int) -> int:
        """Leave out the cell that ended a kernel; where to go on."""
        self._fresh_kernels -= 1
        self._lost.add(number)
        source = self.cells[number]["source"]
        self.result.left_out.append(_where(kernel.process.stopped, source))
        self.result.stopped = ""
        return max(first, number + 1)

    def _say_how_it_ended(self, kernel: Kernel) -> None:
        """What is known of a kernel's end when it is closed, in place of what was known before."""
        if not kernel.ended:
            return
        known = kernel.ended.split(" (")[0]
        if self.result.stopped:
            self.result.stopped = self.result.stopped.replace(known, kernel.ended)
        elif self.result.left_out and kernel.ended not in self.result.left_out[-1]:
            self.result.left_out[-1] = self.result.left_out[-1].replace(known, kernel.ended)

    def _only_pictures(self, kernel: Kernel) -> set[int]:
        """Which cells are not run because they only show something; none where figures are asked for."""
        if self.limits.figures:
            with contextlib.suppress(Stopped):  # then no cell runs, and each says so
                kernel.execute("__import__('deepul_utils.plots').plots.for_grades = True", self.limits.cell)
            return set()
        graded = {k for k, cell in enumerate(self.cells) if is_grade(cell)}
        return pictures.only_pictures([c["source"] for c in self.cells], self.assignment, graded)

    def _cell(self, cell: dict, kernel: Kernel) -> None:
        began, name = time.monotonic(), checked(cell)
        if name:
            self._check(cell, name, kernel)
            if kernel.process.stopped and not self.result.stopped:  # said of this cell, not of the one that is next
                self.result.stopped = _where(kernel.process.stopped, cell["source"])
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
        try:
            ran = kernel.execute(source, self._limit(source))
        except Stopped as error:
            self.result.stopped = _where(error, source)
            ran = Ran([_error("Stopped", self.result.stopped)], str(error))
        own = self.handed_in.get(cell.get("id"), [])  # type: ignore[arg-type]  # None is no cell's id
        cell["outputs"] = pictures.completed(ran.outputs, own)
        if ran.error:
            self.failed_cells[source] = ran.error

    def _limit(self, source: str) -> float:
        """Seconds of a cell: more where it trains what was not handed in."""
        wanted = [f"{n}.safetensors" for n in TRAINED.findall(source)]
        wanted += [f"{n}.samples.safetensors" for n in DRAWN.findall(source)]
        missing = [name for name in wanted if f"artifacts/{name}" not in self.files]
        return self.limits.training if missing else self.limits.cell

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


def _where(stopped: object, source: str) -> str:
    return f"{stopped}, in the cell “{_first_line(source)}”"


def _first_line(source: str) -> str:
    return source.strip().splitlines()[0][:LINE]


def _is_grade(text: object, points: float) -> bool:
    try:
        value = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        return False
    return 0 <= value <= points


def _error(name: str, text: str) -> dict:
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}
