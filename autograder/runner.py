"""Runs an exercise's tests on a student, with pytest: live in a notebook, on a finished one, or to grade.

This module is the pytest plugin too (`-p autograder.runner`). `pytest autograder/assignments/hw1 --notebook FILE` runs
every check of an assignment on a finished notebook.
"""

import contextlib
import hashlib
import io
import json
import os
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from autograder import assignments, checks
from autograder.properties import loss, weights
from autograder.properties.finding import Finding
from autograder.score import CheckResult, Score
from autograder.student import Student
from autograder.workbench import StudentCodeError

LIVE_SALT = "live"
# The live check needs none of these, and some of them take hold of the notebook's own output and warnings.
UNUSED = (
    "cacheprovider",
    "terminal",
    "logging",
    "faulthandler",
    "warnings",
    "unraisableexception",
    "threadexception",
    "junitxml",
    "doctest",
    "stepwise",
    "pastebin",
)


def check(name: str, student: Student, salt: str = LIVE_SALT, only: str = "") -> Score:
    """Run the checks of exercise `name` on a student. Raises ValueError for a name that does not exist.

    salt: what seeds and held-out data are derived from; secret and new every term when grading. only: words of a
    title; those checks alone are run, with what they need. Raises ValueError for words that are in no title.
    """
    exercise = assignments.get_exercise(name)
    session = Session(student, salt, references(exercise.assignment.name), only)
    notes = student.notes(name)
    run(exercise, session)
    score = Score(exercise, session.results, student.take_printed(), left_out=session.left_out)
    if any(r.kind != "not implemented" for r in session.results):
        score.notes = notes + [
            f"{finding.measured}: look at what it is computed from." for finding in session.unfounded.values()
        ]
    return score


def run(exercise: assignments.Exercise, session: "Session") -> None:
    """Run one exercise's tests in this process, silently; the session holds the results afterwards."""
    options = ["-p", "autograder.runner", *(o for p in UNUSED for o in ("-p", f"no:{p}"))]
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink), _own_environment():
        code = pytest.main(
            [
                str(exercise.test_file),
                "-c",
                os.devnull,
                "--rootdir",
                str(assignments.ROOT),
                "--capture=no",
                "--assert=plain",
                "--import-mode=importlib",
                *options,
            ],
            plugins=[session, Terse()],
        )
    if session.interrupted:
        raise KeyboardInterrupt
    if session.no_title:
        raise ValueError(session.no_title)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not session.results:
        raise RuntimeError(f"the checks of {exercise} did not run (pytest: {code!r}) {sink.getvalue()}")
    session.withdraw()


class Terse:
    """Nobody reads the tracebacks that pytest would lay out here, and they take half of a quick check's time."""

    def pytest_configure(self, config):
        config.option.tbstyle = "value"


@contextlib.contextmanager
def _own_environment():
    """pytest's variables and what is done about warnings are somebody else's; plugins that are installed stay out."""
    kept = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith("PYTEST_")}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        with warnings.catch_warnings(), np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            warnings.simplefilter("ignore")
            yield
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        os.environ.update(kept)


@cache
def references(assignment: str) -> dict:
    """The calibrated reference losses of an assignment (`deepul calibrate` writes them)."""
    file = assignments.get(assignment).reference
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


class Session:
    """One run of tests: the student, the salt, the references; collects the results.

    measured: {reference key: {"excess", "limit", "baseline"}} of what was graded; findings: what each check
    required, by its name. Both are for calibration.
    """

    def __init__(self, student: Student, salt: str, references: dict, only: str = ""):
        self.student, self.salt, self.references, self.only = student, salt, references, only
        student.salt = salt
        self.left_out, self.no_title = 0, ""
        self.results: list[CheckResult] = []
        self.measured: dict[str, dict] = {}
        self.findings: dict[str, list[Finding]] = {}
        self.unfounded: dict[str, Finding] = {}  # trained models that do not rest on their weights
        self.interrupted = False
        self._used: dict[str, set[str]] = {}
        self._findings: list = []

    def seed(self, what: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.salt}/{what}".encode()).digest()[:4], "big") >> 1

    def pytest_collection_modifyitems(self, items):
        """With `only`: the checks with these words in their title or name, and those that they need."""
        if not self.only:
            return
        words = self.only.casefold()
        by_name = {_name(item.function): item for item in items}
        chosen = [n for n, i in by_name.items() if words in i.function.title.casefold() or words in n.casefold()]
        if items and not chosen:  # where there are none, the file of the checks does not run
            titles = "”, “".join(item.function.title for item in items)
            self.no_title = f"No check here has “{self.only}” in its title. There are: “{titles}”."
        for name in chosen:  # grows as it goes: what is needed may need something, too
            chosen += [n for n in by_name[name].function.needs if n not in chosen]
        self.left_out = len(items) - len(chosen)
        items[:] = [item for name, item in by_name.items() if name in chosen]

    def pytest_runtest_setup(self, item):
        self._findings = checks.collect()
        self.student.used.clear()
        before = {r.name: r for r in self.results}
        unmet = [n for n in getattr(item.function, "needs", ()) if n not in before or before[n].outcome != "passed"]
        for name in unmet:
            if name in before and before[name].kind in ("not implemented", "untrained"):
                raise StudentCodeError(before[name].kind, before[name].measured)  # that is what it waits for, too
        if unmet:
            titles = {_name(other.function): other.function.title for other in item.session.items}
            pytest.skip(f"needs “{titles.get(unmet[0], unmet[0])}” first")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if call.when == "call" or (call.when == "setup" and call.excinfo):
            self.results.append(self._result(item, call))
            if call.excinfo is None and self.results[-1].outcome != "passed":
                report.outcome, report.longrepr = "failed", self.results[-1].measured
        return report

    def pytest_keyboard_interrupt(self, excinfo):
        self.interrupted = excinfo.type is KeyboardInterrupt  # pytest raises a kind of its own for other ends

    def founded(self, artifact: str, measure: Callable[[], float], share: Callable, baseline: float) -> Finding:
        """Whether what a trained model earns rests on its weights; noted if not. measure: its loss."""

        def with_weights(how: str, number: int) -> float:
            value = self.with_weights(how, number, measure)
            return np.nan if value is None else float(value)

        finding = weights.carry_it(with_weights, share, baseline, f"trained({artifact!r})")
        if not finding.passed:
            self.unfounded[artifact] = finding
        return finding

    def with_weights(self, how: str, number: int, measure: Callable):
        """measure() of models with other weights; None where they are no models with them, which they need not be."""
        with self.student.changed(how, number), checks.apart():
            try:
                return measure()
            except (StudentCodeError, checks.CheckFailed, ValueError, np.linalg.LinAlgError):
                if how not in weights.OTHERS:
                    raise
                return None

    def withdraw(self) -> None:
        """Whatever was earned by a model that does not rest on its weights is worth nothing.

        A check that earned nothing keeps its own words, which say more of what is wrong.
        """
        for result in self.results:
            for artifact in sorted(self._used.get(result.name, set()) & self.unfounded.keys()):
                if result.points:
                    found = self.unfounded[artifact]
                    result.outcome, result.points, result.plot = "failed", 0.0, None
                    result.measured, result.required, result.hint = found.measured, found.required, found.slip

    def _result(self, item, call) -> CheckResult:
        """What came of one check. What it required is kept beside, by its name."""
        test, findings = item.function, self._findings
        self.findings[_name(test)] = findings
        self._used[_name(test)] = set(self.student.used)
        error = call.excinfo.value if call.excinfo else None
        if error is None and not findings:
            error = RuntimeError("this check required nothing")
        seconds = round(call.duration, 3)
        result = CheckResult(
            name=_name(test), title=test.title, max_points=test.points, hint=test.hint, seconds=seconds
        )
        if error is None or isinstance(error, checks.CheckFailed):
            return _measured(result, findings)
        return _without_finding(result, error)


def _measured(result: CheckResult, findings: list[Finding]) -> CheckResult:
    """The result of a check that came to its findings: by the worst of them, the last of those that are as bad."""
    worst = min(reversed(findings), key=lambda finding: finding.share)
    return replace(
        result,
        outcome="passed" if worst.passed else "partial" if worst.share else "failed",
        points=result.max_points * worst.share,
        measured=worst.measured,
        required=worst.required,
        hint=worst.slip or result.hint,
        plot=worst.plot,
        statistic=worst.kind == "p-value",
    )


def _without_finding(result: CheckResult, error: BaseException) -> CheckResult:
    """The result of a check that was ended: by another one, by the student's code, or by a fault of ours."""
    if isinstance(error, pytest.skip.Exception):
        return replace(result, outcome="skipped", measured=str(error.msg))
    if isinstance(error, TypeError) and "numpy boolean" in str(error):  # that is how numpy says it, of nothing else
        error = StudentCodeError("wrong type", "True and False came back where numbers are needed.")
    if isinstance(error, StudentCodeError):
        waits = error.kind in ("not implemented", "untrained")
        outcome = "skipped" if waits else "failed"
        return replace(result, outcome=outcome, kind=error.kind, measured=error.message, hint="")
    return replace(
        result,
        outcome="not graded",
        points=None,
        measured="the checker itself failed; this is not a mistake of yours",
        fault="".join(traceback.format_exception(error)),
    )


def _name(test: Callable) -> str:
    return test.__name__.removeprefix("test_")


def pytest_addoption(parser):
    parser.addoption("--notebook", help="the finished notebook (.ipynb or .py) that the checks run on")


def pytest_configure(config):
    if notebook := config.getoption("--notebook"):
        from autograder.notebooks import run_notebook

        try:
            student = run_notebook(Path(notebook).resolve()).student
        except (OSError, ValueError) as error:
            raise pytest.UsageError(f"--notebook: {error}") from None
        every = {key: value for assignment in assignments.names() for key, value in references(assignment).items()}
        config.pluginmanager.register(Session(student, LIVE_SALT, every))


@pytest.fixture(scope="session")
def session(request) -> Session:
    """The running Session."""
    running = next((p for p in request.config.pluginmanager.get_plugins() if isinstance(p, Session)), None)
    if running is None:
        raise pytest.UsageError("these are checks of a notebook: run pytest autograder/assignments/hw1 --notebook FILE")
    return running


@pytest.fixture(scope="session")
def student(session) -> Student:
    """The one door to the student's code."""
    return session.student


@pytest.fixture
def seed(session, request) -> int:
    """A seed of this check alone, derived from the salt."""
    return session.seed(request.node.name)


@pytest.fixture
def held_out(session, request) -> Callable[..., np.ndarray]:
    """held_out(distribution, n): fresh data of the test split, derived from the salt."""
    return lambda distribution, n: distribution.sample(n, seed=session.seed(request.node.name), split="test")


@pytest.fixture
def rests(session) -> Callable[[Callable[[], Finding]], None]:
    """rests(find): require find(), of a trained model; it may not hold as well with the model's weights shuffled."""

    def require(find: Callable[[], Finding]) -> None:
        finding = find()
        if finding.share:
            finding = weights.carry(finding, lambda number: session.with_weights("shuffled", number, find))
        checks.require(finding)

    return require


@pytest.fixture
def graded(session) -> Callable[..., None]:
    """graded(key, excess, limit, baseline): require a loss, excess(), as near to the limit as the reference.

    Where no limit is known, limit is None and excess is the loss itself, in its unit. examples: how many it is a
    share of. promised: what the notebook says is good enough. recipe: what the notebook's text says to do; a loss that
    is near is told where the training of `artifact` (the key, if not given) differs from it. few: the same loss of
    fewer examples; by it, the result must rest on the weights of the artifact.
    """

    def require(
        key: str,
        excess: Callable[[], float],
        *,
        limit: float | None,
        baseline: float,
        unit: str = "nats",
        examples: int | None = None,
        promised: float | None = None,
        recipe: checks.Recipe | None = None,
        artifact: str = "",
        few: Callable[[], float] | None = None,
    ) -> None:
        baseline, artifact = float(baseline), artifact or key

        def grade(value: float) -> Finding:
            return loss.graded(value, session.references[key], limit, baseline, unit, examples, promised)

        value = float(excess())
        session.measured[key] = dict(excess=value, limit=limit, baseline=baseline, unit=unit, promised=promised)
        finding = grade(value)
        if recipe and not finding.passed:
            advice = recipe.advice(session.student.settings(artifact))
            finding = replace(finding, slip=" ".join(filter(None, (finding.slip, advice))))
        checks.require(finding)
        if few is not None:
            # Of few examples a right loss may well lie below the limit.
            founded = session.founded(artifact, few, lambda value: grade(max(value, 0.0)).share, baseline)
            if not founded.passed:
                checks.require(founded)

    return require
