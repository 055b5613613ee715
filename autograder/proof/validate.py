"""Grading the grader: what does each check make of solutions that are known to be right or wrong?

The reference solution must earn everything, the blank handout nothing, every mutant must be caught by the check
meant for it, with words that help, and costs no more than the checks whose theorems it breaks; every variant must
earn everything, and so must the solution from whatever weights it starts; a stub, the solution with one method left as
it is handed out, costs the checks that call it; a cheat earns no point of what is trained. All of this under several
salts: a verdict that hangs on the salt is a lottery. What was found is kept in
`solutions/<name>/verdicts.json`, with a key of all that it rests on: only what changed is run again.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from autograder import assignments, notebooks, runner, sources
from autograder.assignments import ROOT, Exercise
from autograder.files import write_atomically
from autograder.grading.pictures import only_pictures
from autograder.handout.submit import solution_cells
from autograder.notebooks import Cell
from autograder.proof import chance, changes, cheats, starts, stubs
from autograder.score import CheckResult, Score
from autograder.student import LocalStudent
from deepul_utils import origins

KINDS = ("solution", "blank", "stub", "mutant", "variant", "start", "cheat")
RIGHT_KINDS = ("solution", "variant", "start")
RUNS = ("solution", "variant", "cheat")  # no cell of these may stop
SALTS = ("live", *(f"salt {k}" for k in range(1, 20)))
STALE = "not judged since it changed"  # in the place of a key
# Under how many of them: a wrong solution (the check meant for it only), a right one, one that starts elsewhere.
WRONG, RIGHT, STARTED = 5, 20, 8
# Of a check that is a statistic, so many may miss under a salt.
STATISTIC = 0.05
LOOPS = ROOT / "deepul_utils" / "training" / "loops.py"  # what trains, and its progress bar
FEWEST = 5  # different strains, to say from them how often a check fails by chance


@dataclass(frozen=True)
class Case:
    """A notebook with one exercise to be graded. kind: one of KINDS."""

    exercise: Exercise
    kind: str
    change: Any = None  # a Mutant, Variant or Start of `changes`, a Stub or a Cheat, as the kind says

    @property
    def name(self) -> str:
        return self.change.name if self.change else self.kind

    @property
    def weights(self) -> str:
        return self.change.weights if self.change else "none" if self.kind == "blank" else "reference"

    def cells(self) -> list[Cell]:
        """The cells of the exercise. Raises ValueError if the change does not match the solution any more."""
        assignment = self.exercise.assignment.name
        if self.kind == "blank":
            return notebooks.section(_handout_cells(assignment), self.exercise.number)
        if self.kind == "stub":
            return stubs.cells(self.change)
        if self.kind == "cheat":
            return cheats.cells(self.change, self.exercise)
        cells = solution_cells(assignment)
        changed = changes.apply(self.change, cells) if self.kind in ("mutant", "variant") else cells
        return notebooks.section(changed, self.exercise.number)

    def code(self) -> list[str]:
        """The sources of its code cells."""
        return [c.source for c in self.cells() if c.kind == "code"]


@dataclass
class Verdict:
    """What came of a case. problem: "" where it came out as it must. outcomes: {check: outcome}.

    lost: points. meant: points of the check that is meant for a mutant. salts: under how many it came out so.
    strain: of a right answer, {check: how far its statistic went at most to its bound, which is 1}.
    """

    exercise: str
    kind: str
    name: str
    problem: str
    points: float = 0.0
    outcomes: dict[str, str] = field(default_factory=dict)
    said: str = ""  # what a student reads with the check meant for the mutant
    lost: float = 0.0
    meant: float = 0.0
    salts: int = 0
    strain: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    key: str = ""


def cases(assignment: str, exercise: str = "") -> list[Case]:
    """All cases of an assignment, or of one of its exercises."""
    every = []
    for e in assignments.get(assignment).chosen(exercise):
        every += [Case(e, "solution"), Case(e, "blank")]
        every += [Case(e, "stub", s) for s in stubs.of_exercise(e.name)]
        every += [Case(e, "mutant", m) for m in changes.mutants(assignment) if m.exercise == e.name]
        every += [Case(e, "variant", v) for v in changes.variants(assignment) if v.exercise == e.name]
        every += [Case(e, "start", s) for s in starts.of_exercise(e.name)]
        every += [Case(e, "cheat", c) for c in cheats.of_exercise(e)]
    return every


@contextlib.contextmanager
def student_of(case: Case) -> Iterator[LocalStudent]:
    """The student of a case, its cells run. Raises ValueError for a change that does not match, RuntimeError if a right
    solution does not run."""
    cells, assignment = case.cells(), case.exercise.assignment.name
    if case.weights == "none":  # nothing is trained: cells that would train, and those that rest on them, are left
        cells = [c for c in cells if not (notebooks.TRAINED.search(c.source) or notebooks.DRAWN.search(c.source))]
    folder = case.exercise.assignment.solution
    with _artifacts(case) as artifacts:
        ran = notebooks.run_cells(cells, folder, artifacts, assignment)
        if ran.errors and case.kind in RUNS and case.weights != "none":
            raise RuntimeError(f"it does not run: {next(iter(ran.errors.values()))}")
        if case.kind == "start":
            ran.student.bench.initialise = starts.initialise(case.change)
        yield ran.student


@contextlib.contextmanager
def _artifacts(case: Case) -> Iterator[Path]:
    """Where the notebook of a case has its weights: what it trains is kept, as long as what trains it is the same."""
    if case.weights == "trained":
        kept = ROOT / "build" / "validate" / f"{case.exercise.name}-{_training_key(case)}"
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as scratch:
        for file in _reference_artifacts(case):  # copies: a change may train or draw anew
            shutil.copy(file, scratch)
        yield Path(scratch)


def _training_key(case: Case) -> str:
    code = _without_pictures(case)
    digest = hashlib.sha256("\0".join([*code, importlib.metadata.version("torch")]).encode())
    used = {f for source in code for file in sources.imported(source) for f in sources.closure(file)}
    for file in sorted(f for f in used if f.is_relative_to(ROOT / "deepul_utils")):
        digest.update(sources.digest(file))
    return digest.hexdigest()[:16]


def score(case: Case) -> Score:
    """The score of a case, as its notebook would show it."""
    with student_of(case) as student:
        return runner.check(case.exercise.name, student)


def judge(case: Case, earned: Score) -> Verdict:
    """Whether the score is what the case must get."""
    outcomes = {r.name: r.outcome for r in earned.results}
    lost = sum(r.max_points - (r.points or 0) for r in earned.results)
    verdict = Verdict(case.exercise.name, case.kind, case.name, "", float(earned), outcomes, lost=round(lost, 3))
    broken = [r for r in earned.results if r.outcome == "not graded"]
    # Without weights, what is asked of a trained model waits, and the rest must hold.
    wrong = [r for r in earned.results if r.outcome != "passed" and not (case.weights == "none" and _untrained(r))]
    if broken:
        verdict.problem = f"“{broken[0].title}” could not be graded: {broken[0].fault.strip().splitlines()[-1]}"
    elif case.kind in RIGHT_KINDS and wrong:
        said = f"“{wrong[0].title}” says {wrong[0].measured}"
        verdict.problem = f"earns {earned:g} of {earned.max_points:g}: {said}"
    elif case.kind == "blank" and (earned or "passed" in outcomes.values()):
        verdict.problem = f"earns {earned:g} points for nothing"
    elif case.kind == "stub":
        verdict.problem = stubs.problem(case.change, earned)
    elif case.kind == "mutant":
        _judge_mutant(case.change, earned, verdict)
    return verdict


def _untrained(result: CheckResult) -> bool:
    return result.kind == "untrained"


def _judge_mutant(mutant: changes.Mutant, earned: Score, verdict: Verdict) -> None:
    meant = next((r for r in earned.results if r.name == mutant.caught_by), None)
    if meant is None:
        verdict.problem = f"is to be caught by {mutant.caught_by}, and there is no such check"
        return
    verdict.said, verdict.meant = " · ".join(filter(None, (meant.measured, meant.hint))), meant.max_points
    # A check that measured something wrong, or met an error in what it calls, found its own theorem broken. One that
    # was not run because another failed is a cascade, which has to be meant.
    cascade = [r for r in earned.results if r.outcome == "skipped" and not r.kind and r.name not in mutant.also]
    if meant.outcome not in ("failed", "partial"):
        others = [r.title for r in earned.results if r.outcome in ("failed", "partial")]
        by = f"only by “{'”, “'.join(others)}”, not meant for it" if others else "by nothing"
        verdict.problem = f"is caught {by}; “{meant.title}”: {meant.outcome}"
    elif mutant.hint not in verdict.said:
        verdict.problem = f"is caught, but the student does not read “{mutant.hint}”: {verdict.said}"
    elif cascade:
        points = sum(r.max_points for r in cascade)
        verdict.problem = f"costs {points:g} points more than it breaks: “{cascade[0].title}” {cascade[0].measured}"


def _under_salts(case: Case, student: LocalStudent) -> Verdict:
    """The verdict on a case under all its salts, or under those up to the first that has a problem."""
    verdict = Verdict(case.exercise.name, case.kind, case.name, "")
    for salt in SALTS[: salts_of(case)]:
        if salt != SALTS[0] and case.kind == "mutant":
            problem = _missed(case, student, salt)
        else:
            session = runner.Session(student, salt, runner.references(case.exercise.assignment.name))
            runner.run(case.exercise, session)
            judged = judge(case, Score(case.exercise, session.results))
            problem = judged.problem
            if salt == SALTS[0]:
                verdict = judged
            if case.kind in RIGHT_KINDS:
                _note(verdict.strain, session)
        verdict.salts += 1
        if problem:
            where = "" if salt == SALTS[0] else f"under another salt ({salt}) it "
            verdict.problem = where + problem
            break
    return verdict


def _of_cheat(case: Case, student: LocalStudent) -> Verdict:
    problem = cheats.problem(case.change, student, case.exercise)
    return Verdict(case.exercise.name, case.kind, case.name, problem, salts=len(cheats.SALTS))


def salts_of(case: Case) -> int:
    """Under how many salts a case is judged."""
    few = {"blank": 1, "stub": 1, "mutant": WRONG, "start": STARTED, "cheat": len(cheats.SALTS)}
    return few.get(case.kind, RIGHT)


def _note(strain: dict[str, float], session: runner.Session) -> None:
    for check, findings in session.findings.items():
        nearest = chance.largest(findings)
        if nearest is not None:
            strain[check] = max(strain.get(check, 0.0), float(f"{nearest:.3g}"))


def _missed(case: Case, student: LocalStudent, salt: str) -> str:
    """ "" where the check that is meant for the mutant catches it under this salt; a statistic, under nearly all."""
    meant = _meant(case, student, salt)
    if _is_seen(meant):
        return ""
    missed = [s for s in SALTS if not _is_seen(_meant(case, student, s))]
    if meant.statistic and len(missed) <= STATISTIC * len(SALTS):
        return ""
    return f"is not caught by “{meant.title}”, nor under {len(missed) - 1} others of {len(SALTS)}"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _is_seen(result: CheckResult) -> bool:
    """The check found it; or was not run, because one that it rests on found something."""
    return result.outcome in ("failed", "partial") or (result.outcome == "skipped" and not result.kind)


def _meant(case: Case, student: LocalStudent, salt: str) -> CheckResult:
    results = runner.check(case.exercise.name, student, salt, only=case.change.caught_by).results
    return next(r for r in results if r.name == case.change.caught_by)


def evaluate(case: Case) -> Verdict:
    """Run a case and judge it; what goes wrong with it is its problem, and stops no other."""
    began = time.monotonic()
    try:
        with _silence(), student_of(case) as student:
            verdict = _of_cheat(case, student) if case.kind == "cheat" else _under_salts(case, student)
    except (ValueError, RuntimeError) as error:
        verdict = Verdict(case.exercise.name, case.kind, case.name, str(error))
    origins._origins.clear()  # they hold on to notebooks, whose data are gigabytes after a hundred
    verdict.seconds = round(time.monotonic() - began, 1)
    return verdict


def validate(
    assignment: str,
    exercise: str = "",
    jobs: int = 1,
    force: bool = False,
    done: Callable = lambda verdict, fresh: None,
    kinds: Container[str] = KINDS,
    training: bool = True,
) -> list[Verdict]:
    """The verdict on every case of these kinds, in order; done(verdict, fresh) is called for each as it is known.

    training: False leaves cases that have to be trained, and changed since, with the verdict that they had.

    Only what changed since the record was written is run, or everything with `force`. The record is written after
    every case: an interruption loses nothing.
    """
    listed, record = [c for c in cases(assignment, exercise) if c.kind in kinds], _read_record(assignment)
    verdicts: dict[tuple, Verdict] = {}
    todo = []
    for case in listed:
        known = record.get(_id(case))
        if known and not force and is_current(known, case):
            verdicts[_id(case)] = known
            done(known, False)
        elif training or case.weights != "trained":
            todo.append(case)
        else:
            verdicts[_id(case)] = Verdict(*_id(case), "", outcomes=known.outcomes if known else {}, key=STALE)
            done(verdicts[_id(case)], False)
    todo.sort(key=lambda c: (c.weights != "trained", -(record[_id(c)].seconds if _id(c) in record else 0)))
    fresh: dict[tuple, Verdict] = {}
    for case, verdict in _evaluated(todo, jobs):
        verdict.key = key(case)
        verdicts[_id(case)] = fresh[_id(case)] = verdict
        _write_record(assignment, _read_record(assignment) | fresh)  # another run may have written meanwhile
        done(verdict, True)
    _write_record(assignment, _read_record(assignment) | fresh)
    return [verdicts[_id(c)] for c in listed]


def _evaluated(todo: list[Case], jobs: int) -> Iterator[tuple[Case, Verdict]]:
    if jobs <= 1 or len(todo) <= 1:
        yield from ((case, evaluate(case)) for case in todo)
        return
    import multiprocessing

    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        running = {pool.submit(evaluate, case): case for case in todo}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def weaknesses(assignment: str, verdicts: list[Verdict]) -> list[str]:
    """What the verdicts leave unproved: checks that are meant for no mutant, or that right answers fail by chance."""
    weak = []
    for exercise in assignments.get(assignment).exercises:
        here = [v for v in verdicts if v.exercise == exercise.name]
        if not here:
            continue
        meant = {m.caught_by for m in changes.mutants(assignment) if m.exercise == exercise.name}
        checks = next(v.outcomes for v in here if v.kind == "solution")
        weak += [f"{exercise.name}: no mutant is meant for the check {c}" for c in checks if c not in meant]
        weak += [
            f"{exercise.name}: a right answer fails the check {c} by chance once in {1 / often:.0f}"
            for c, often in false_failures(here).items()
            if often > chance.TARGET
        ]
    return weak


def false_failures(verdicts: list[Verdict]) -> dict[str, float]:
    """{check: how often a right answer fails it by chance}, over the designs and salts of an exercise's verdicts.

    Designs that draw the very same numbers under a salt are one draw: an equal strain counts once. What takes fewer
    than FEWEST values, such as a count of latents, is no statistic of the draw, and is left out.
    """
    strains: dict[str, dict[float, int]] = {}
    for verdict in verdicts:
        for check, strain in verdict.strain.items():
            strains.setdefault(check, {}).setdefault(strain, verdict.salts)
    return {check: chance.rate(list(r), list(r.values())) for check, r in strains.items() if len(r) >= FEWEST}


def is_current(verdict: Verdict, case: Case) -> bool:
    """It has no problem, is of as many salts as are asked today, and nothing that it rests on has changed."""
    return not verdict.problem and verdict.salts >= salts_of(case) and verdict.key == key(case)


def key(case: Case) -> str:
    """Changes with everything that the verdict rests on."""
    assignment = case.exercise.assignment.name
    code = _deciding(case)
    parts = [repr((case.kind, case.weights, case.change)), *code]
    parts += [importlib.metadata.version(p) for p in ("torch", "numpy", "scipy")]
    reference = runner.references(assignment)
    parts += [
        repr(
            sorted((k, v["mean"], v["sd"], v.get("recipe")) for k, v in reference.items() if _belongs(k, case.exercise))
        )
    ]
    digest = hashlib.sha256("\0".join(parts).encode())
    rests_on = {case.exercise.test_file, Path(runner.__file__), ROOT / "deepul_utils" / "__init__.py"}
    rests_on |= {Path(starts.__file__)} if case.kind == "start" else set()
    files = {f for file in rests_on for f in sources.closure(file)} | set(sources.data())
    files |= {f for source in code for f in sources.imported(source)}
    files -= set() if case.weights == "trained" else {LOOPS}
    for file in [*sorted(files), *_reference_artifacts(case)]:
        digest.update(sources.digest(file))
    return digest.hexdigest()[:16]


def _deciding(case: Case) -> list[str]:
    """The code cells that the verdict rests on. A cell that only shows something must run in every right notebook; what
    it shows of a wrong one decides nothing."""
    return case.code() if case.kind in RUNS else _without_pictures(case)


def _without_pictures(case: Case) -> list[str]:
    """The code cells but for those that only show something."""
    code = case.code()
    shown = only_pictures(code, case.exercise.assignment.name)
    return [source for k, source in enumerate(code) if k not in shown]


def _reference_artifacts(case: Case) -> list[Path]:
    """The reference weights and samples that the case starts from."""
    folder = case.exercise.assignment.artifacts
    return [
        f
        for f in sorted(folder.glob("*.safetensors"))
        if case.weights == "reference" and _belongs(f.stem, case.exercise)
    ]


def _belongs(name: str, exercise: Exercise) -> bool:
    return name.split(".")[0] == exercise.name


@cache
def _handout_cells(assignment: str) -> list[Cell]:
    return notebooks.read(assignments.get(assignment).handout / f"{assignment}.ipynb")


def _id(case: Case) -> tuple[str, str, str]:
    return case.exercise.name, case.kind, case.name


def _record_file(assignment: str) -> Path:
    return assignments.get(assignment).verdicts


def _read_record(assignment: str) -> dict[tuple, Verdict]:
    file = _record_file(assignment)
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return {(r["exercise"], r["kind"], r["name"]): Verdict(**r) for r in rows}


def _write_record(assignment: str, record: dict[tuple, Verdict]) -> None:
    """Of the cases that still exist, in their order."""
    rows = [asdict(record[_id(c)]) for c in cases(assignment) if _id(c) in record]
    write_atomically(_record_file(assignment), json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
