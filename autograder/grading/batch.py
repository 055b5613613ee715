"""Grading a class: read, normalise, grade what is new in parallel, record in one place, whatever happens."""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from autograder import assignments, settings, sources, weights
from autograder.assignments import is_answered
from autograder.course import Course, CourseError, trouble
from autograder.display import counted
from autograder.files import write_atomically
from autograder.grading import by_hand, copies, outputs, submissions, workers, worth
from autograder.grading.cache import Cache, key, kit_version
from autograder.grading.execute import endings
from autograder.grading.kernel import KIT
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised, accepted, checked, is_answer, normalise
from autograder.grading.penalties import Deadlines
from autograder.grading.record import Recorder, marks, write_beside
from autograder.grading.submissions import SECRET, STAMP, Submission, is_ordinary
from autograder.grading.workers import Item, Job
from autograder.roster import Roster
from autograder.score import CheckResult

COLUMNS = ("student", "assignment", "exercise", "check", "outcome", "points", "max_points", "measured", "required")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may take a cell for that begins so
NO_TIME = (
    "The platform marks it late, and does not say by how much: no points are taken off. Write the time into "
    "submitted/{}/{}/timestamp.txt, such as 2027-02-12 23:59:00 UTC, and grade again."
)
MOST_SHOWN = 300  # characters of an answer in the table
MOST_CODE = 20_000  # characters of a cell in the report
DEFINES = re.compile(r"^\s*(?:class|def|async def) ", re.MULTILINE)
BUILD = assignments.ROOT / "autograder" / "handout" / "build.py"  # what makes a handout
AUDIT_DIFFERENCE = 0.05  # of all points: two trainings of one right solution differ by less


@dataclass
class Graded:
    """One student's submission: a score (Score.to_json()) for each exercise, or the reason why there is none.

    problems: what the TA should look at, in words. changes: what was put in order before grading. not_graded: there
    is no grade, through our fault or because nothing could be read. incomplete: some checks of ours failed.
    stopped: what the student's code did that ended grading early. figures: the last one of each exercise, as base64
    PNG. audited: what training from scratch gave. fresh: new in this run; False where the gradebook had this very
    submission before. answers: to written questions, {grade id: text}. written, changed: what people gave by hand, see
    by_hand.written and by_hand.changes. penalty: the points that are lost by being late. notes: what was put in order
    as for many, and nobody has to look at. code: {exercise: what the student wrote for it, cell by cell}. arrived,
    late, attempt: as the platform says; "" where it says nothing.
    """

    student: str
    scores: list[dict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    not_graded: bool = False
    incomplete: bool = False
    stopped: str = ""
    figures: dict[str, str] = field(default_factory=dict)
    audited: str = ""
    fresh: bool = True
    seconds: dict[str, float] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    written: list[dict] = field(default_factory=list)
    changed: list[dict] = field(default_factory=list)
    penalty: float = 0.0
    notes: list[str] = field(default_factory=list)
    code: dict[str, list[str]] = field(default_factory=dict)
    arrived: str = ""
    late: bool = False
    attempt: str = ""

    @property
    def points(self) -> float:
        """Of the checks, with what people changed in them."""
        return round(sum(s["points"] for s in (*self.scores, *self.changed)), 3)

    @property
    def max_points(self) -> float:
        return sum(s["max_points"] for s in self.scores)

    @property
    def total(self) -> float:
        """Of everything, as the gradebook has it, without what is lost by being late."""
        return max(0.0, round(self.points + self.points_written - self.penalty, 3))

    @property
    def points_written(self) -> float:
        return round(sum(w["points"] or 0.0 for w in self.written), 3)

    @property
    def most_written(self) -> float:
        return sum(w["max_points"] for w in self.written)

    @property
    def is_open(self) -> bool:
        """Whether points are still to be given, or to be looked at again."""
        by_checks = (c["points"] is None for s in self.scores for c in s["checks"])
        return any(by_checks) or any(map(by_hand.is_open, (*self.written, *self.changed)))

    def with_marks(self, assignment: str, marks: dict[str, by_hand.Mark]) -> "Graded":
        """The same with what the gradebook says by now. marks: {grade id: Mark} of this student."""
        if self.not_graded:
            return self
        written = by_hand.written(assignment, marks, self.answers, self.scores)
        changed = by_hand.changes(assignment, marks, self.scores)
        return replace(self, written=written, changed=changed, penalty=by_hand.penalty(marks))


@dataclass(frozen=True)
class Options:
    """How a class is graded. audit: this share is trained from scratch too, and compared. force: forget the cache.

    roster: who has an extension; None: that of the course's folder.
    """

    limits: Limits = field(default_factory=Limits)
    force: bool = False
    audit: float = 0.0
    jobs: int = 0  # 0: as many as there are cores
    cluster: str = ""
    roster: Roster | None = None

    @property
    def number(self) -> int:
        return self.jobs or len(os.sched_getaffinity(0))

    def workers(self) -> AbstractContextManager[workers.Workers]:
        """Where to grade."""
        return workers.cluster(self.cluster) if self.cluster else workers.local(self.number)


def prepare(course: Course, assignment: str) -> dict:
    """The assignment's released notebook, and the course's gradebook knowing it; made anew if the source is new."""
    from autograder.handout.build import release

    course.configure()
    if not is_prepared(course, assignment):
        release(course, assignment, figures=False)
        write_atomically(_prepared_mark(course, assignment), _source_version(course, assignment))
    return json.loads((course.release / assignment / f"{assignment}.ipynb").read_text(encoding="utf-8"))


def recorded(course: Course, assignment: str) -> int:
    """How many submissions were recorded before; fewer than there are: some are to be graded."""
    folder = marks(course, assignment)
    return len(list(folder.iterdir())) if folder.exists() and is_prepared(course, assignment) else 0


def is_prepared(course: Course, assignment: str) -> bool:
    """Whether handout and gradebook are those of the source as it is now."""
    mark, notebook = _prepared_mark(course, assignment), course.release / assignment / f"{assignment}.ipynb"
    current = mark.exists() and mark.read_text(encoding="ascii") == _source_version(course, assignment)
    return current and notebook.exists() and course.knows(assignment)


def _prepared_mark(course: Course, assignment: str) -> Path:
    return course.root / ".deepul" / "released" / assignment


def _source_version(course: Course, assignment: str) -> str:
    """Of all that a handout is made of: source, settings, points, and what makes it."""
    here, made_by = assignments.get(assignment), [sources.digest(f) for f in sorted(sources.closure(BUILD))]
    own = [here.source, here.checks / "assignment.toml", course.root / settings.NAME]
    texts = [f.read_bytes() if f.exists() else b"" for f in own]
    texts.append(json.dumps([e.points for e in here.exercises]).encode())
    return hashlib.sha256(b"\0".join([*texts, *made_by])).hexdigest()


def grade(
    course: Course,
    assignment: str,
    found: list[Submission],
    options: Options = Options(),
    done: Callable[[Graded], None] = lambda graded: None,
) -> list[Graded]:
    """Grade submissions, in the order of `found`. One bad one stops no other; `done` is told of each when recorded."""
    with settings.read(course.root).in_use(), _only_one(course), options.workers() as opened:
        if not options.cluster and (options.force or recorded(course, assignment) < len(found)):
            opened.warm_up(options.limits, min(options.number, len(found)))
        handout = prepare(course, assignment)
        with Recorder(course, assignment, options.roster) as recorder:
            with contextlib.suppress(SQLAlchemyError, CourseError):  # of each student of this run it is said below
                recorder.bring_up_to_date()
            run = _Class(course, assignment, handout, options, opened)
            results = {}
            late = {s.student for s in found if s.late and not s.arrived and recorder.late_costs}
            about = {s.student: s for s in found}
            for graded in run.grade(found, recorder):
                graded = _as_handed_in(graded, about[graded.student])
                results[graded.student] = _with_marks(graded, assignment, recorder)
                if graded.student in late and not recorder.arrived(graded.student):
                    results[graded.student].problems.append(NO_TIME.format(graded.student, assignment))
                done(results[graded.student])
            if options.audit:
                run.audit(results, found)
    return [results[s.student] for s in found]


def _as_handed_in(graded: Graded, submission: Submission) -> Graded:
    """With when and how often it was handed in, as far as the platform says so."""
    arrived = f"{submission.arrived:%Y-%m-%d %H:%M}" if submission.arrived else ""
    return replace(graded, arrived=arrived, late=submission.late, attempt=submission.attempt)


def rehearse(course: Course, assignment: str, found: list[Submission], options: Options) -> list[Graded]:
    """What grading would give, of which nothing is recorded; results are kept, so that grading is quick afterwards."""
    with settings.read(course.root).in_use(), _only_one(course), options.workers() as opened:
        run = _Class(course, assignment, prepare(course, assignment), options, opened)
        return [
            read_scores(student, assignment, result, job.submission.changes, job.submission.usual)
            for student, job, result in run.results(found)
            if job and (result["scores"] or not result["fault"])
        ]


def best(course: Course, assignment: str, attempts: dict[str, list[Submission]], options: Options) -> list[Submission]:
    """Of each student's attempts the one that earns most after the late penalty, the earlier of equals.

    Nothing of them is recorded.
    """
    several = [replace(s, student=f"{s.student} ({s.attempt})") for a in attempts.values() if len(a) > 1 for s in a]
    if not several:
        return [mine[0] for mine in attempts.values()]
    points: dict[str, float] = {}
    with settings.read(course.root).in_use(), _only_one(course), options.workers() as opened:
        run = _Class(course, assignment, prepare(course, assignment), options, opened)
        for student, job, result in run.results(several):
            earned = sum(s["points"] for s in result["scores"].values()) if job and result["scores"] else -1.0
            points[student] = earned
    with course.gradebook() as gradebook:
        deadlines = Deadlines(course, options.roster)
        with contextlib.suppress(CourseError):  # a time that is none: of who is graded it is said there
            deadlines.apply(gradebook)

        def left(one: Submission) -> float:
            earned = points[f"{one.student} ({one.attempt})"]
            return earned - deadlines.would_lose(gradebook, assignment, one.student, one.arrived, earned)

        return [max(mine, key=left) if len(mine) > 1 else mine[0] for mine in attempts.values()]


def _with_marks(graded: Graded, assignment: str, recorder: Recorder) -> Graded:
    """With what people gave by hand, and what being late costs, if the gradebook can be read."""
    try:
        return graded.with_marks(assignment, recorder.marks_of(graded.student))
    except (SQLAlchemyError, CourseError) as error:
        said = str(error) if isinstance(error, CourseError) else f"{trouble(error)}."
        problem = f"Points given by hand, or lost by being late, could not be read: {said} Then grade again."
        return replace(graded, incomplete=True, problems=[problem, *graded.problems])


def alike(course: Course, assignment: str, students: Iterable[str]) -> list[copies.Alike]:
    """What a TA may look at: submissions of these students that are alike."""
    handout = json.loads((course.release / assignment / f"{assignment}.ipynb").read_text(encoding="utf-8"))
    return copies.alike(course, assignment, students, handout)


class _only_one:
    """Two graders on one course would undo each other's work: the second is told so."""

    def __init__(self, course: Course):
        self.file = course.root / ".deepul" / "lock"

    def __enter__(self) -> None:
        import fcntl

        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.stream = self.file.open("a")
        try:
            fcntl.flock(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CourseError(f"Another `deepul grade` is at work in {self.file.parent.parent}: wait for it.") from None
        for left in self.file.parent.rglob(".*.json.[0-9]*"):  # what one that was killed had half written
            left.unlink(missing_ok=True)

    def __exit__(self, *_) -> None:
        self.stream.close()  # the lock goes with it, also when the process is killed


class _Class:
    """One run over a class: what is known comes from the cache, the rest from workers, all in one place."""

    def __init__(self, course: Course, assignment: str, handout: dict, options: Options, opened: workers.Workers):
        self.workers = opened
        self.course, self.assignment, self.handout, self.options = course, assignment, handout, options
        self.cache = Cache(course.root / ".deepul" / "cache")
        self.own = settings.read(course.root).of(assignment)
        self.not_written: dict[str, list[str]] = defaultdict(list)

    def grade(self, found: list[Submission], recorder: Recorder) -> Iterator[Graded]:
        """Yields students as they are recorded."""
        for student, job, result in self._results(found, self._read):
            if job is None or (result["fault"] and not result["scores"]):
                yield self._without_grade(student, job is not None, result["fault"], recorder)
            else:
                yield self._recorded(student, job, result, recorder)

    def results(self, found: list[Submission]) -> Iterator[tuple[str, Job | None, dict]]:
        """What submissions earn, of which nothing is kept but the results."""

        def read(submission: Submission) -> Normalised:
            files, left_out = submissions.read(submission, self.assignment)
            return normalise(files, self.assignment, self.handout, left_out)

        return self._results(found, read)

    def _without_grade(self, student: str, was_read: bool, fault: str, recorder: Recorder) -> Graded:
        problem = f"could not be graded: {fault}" if was_read else f"could not be read: {fault}"
        graded = without_grade(student, self.assignment, f"The submission {problem}")
        try:
            recorder.remove(student)
        except (OSError, ValueError, SQLAlchemyError) as error:  # nbgrader's InvalidEntry is a ValueError
            graded.problems.append(f"An older grade may stand in the gradebook: {trouble(error)}. Then grade again.")
        return graded

    def _recorded(self, student: str, job: Job, result: dict, recorder: Recorder) -> Graded:
        graded = read_scores(student, self.assignment, result, job.submission.changes, job.submission.usual)
        graded.fresh = self.options.force or not recorder.is_recorded(student, job.key)
        normal = job.submission
        points = worth.signature(normal.notebook, result["scores"])
        if graded.fresh or not recorder.is_recorded(student, job.key, points):
            try:
                recorder.record(student, job.key, points, result["notebook"], normal.files, normal.changes)
            except (OSError, ValueError, RecursionError, SQLAlchemyError) as error:  # this one; others go on
                self._not_written(student, f"Graded, but not recorded in the gradebook: {trouble(error)}")
        for problem in self.not_written.pop(student, []):
            graded.incomplete = True
            graded.problems.insert(0, problem)
        return graded

    def _not_written(self, student: str, problem: str) -> None:
        """Something beside a student's grade is missing; the grade is not."""
        self.not_written[student].append(f"{problem}. Then grade again.")

    def audit(self, graded: dict[str, Graded], found: list[Submission]) -> None:
        """Train a random share from scratch, and tell where that gives other points than the weights handed in."""
        chosen = [s for s in found if self._is_audited(s.student) and not graded[s.student].not_graded]
        for student, job, result in self._results(chosen, lambda s: _without_weights(self._read(s))):
            was = graded[student]
            if job is None or result["fault"]:
                was.problems.append(f"Audit: training from scratch failed: {result['fault'].strip().splitlines()[-1]}")
                continue
            new = sum(s["points"] for s in result["scores"].values())
            was.audited = (
                f"{new:g} of {counted(was.max_points, 'point')} trained from scratch, {was.points:g} as handed in"
            )
            if abs(new - was.points) > AUDIT_DIFFERENCE * was.max_points:
                was.problems.append(f"Audit disagrees: {was.audited}. {result['stopped']}".strip())

    def _results(self, found: list[Submission], read: Callable) -> Iterator[tuple[str, Job | None, dict]]:
        """(student, job, result); without a job where nothing could be read."""
        for item, result in workers.run(self._wanted(found, read), self.workers):
            if item.job and not item.result and not result["fault"] and not result["starved"]:
                try:
                    self.cache.put(item.job.key, result)
                except OSError as error:
                    self._not_written(item.student, f"Graded, but the result could not be kept: {trouble(error)}")
            if item.job:
                result = weights.weigh(result, assignments.get(self.assignment).exercises, self.own.excused)
            yield item.student, item.job, result

    def _wanted(self, found: list[Submission], read: Callable) -> Iterator[Item]:
        """What is to be graded, with the result where there is no need to; read one by one."""
        for submission in found:
            try:
                normal = read(submission)
            except (CourseError, OSError) as error:
                reason = trouble(error) if isinstance(error, OSError) else str(error)
                yield Item(submission.student, None, {"fault": reason})
                continue
            options, salt = self.options, self.course.salt
            name = key(normal, self.assignment, salt, options.limits)
            job = Job(name, normal, self.assignment, salt, options.limits, kit_version(self.assignment))
            known = None if options.force else self.cache.get(name)
            known = worth.applied(known, normal.notebook, self.assignment) if known else None
            yield Item(submission.student, job, known)

    def _read(self, submission: Submission) -> Normalised:
        files, left_out = submissions.read(submission, self.assignment)
        student = submission.student
        try:
            _keep_submitted(self.course, self.assignment, submission, accepted(files, self.assignment, self.handout))
        except OSError as error:
            self._not_written(student, f"Graded, but not kept in submitted/: {trouble(error)}")
        normal = normalise(files, self.assignment, self.handout, left_out)
        try:
            copies.keep(self.course, self.assignment, student, normal, self.handout)
        except OSError as error:
            self._not_written(student, f"Graded, but not compared with other submissions: {trouble(error)}")
        return normal

    def _is_audited(self, student: str) -> bool:
        digest = hashlib.sha256(f"{self.course.salt}/audit/{self.assignment}/{student}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < self.options.audit * 2**32


def _without_weights(normal: Normalised) -> Normalised:
    return replace(normal, files={n: c for n, c in normal.files.items() if not n.startswith("artifacts/")})


def _keep_submitted(course: Course, assignment: str, submission: Submission, files: dict[str, bytes]) -> None:
    """The submission as it was accepted, in nbgrader's own place. When it came is not the student's to write.

    What nbgrader wrote there stays. Where submissions are handed in at that very place, nothing of them is changed: a
    notebook of another name gets its right name beside.
    """
    target = course.root / "submitted" / submission.student / assignment
    if submission.path.resolve() == target.resolve():
        name = f"{assignment}.ipynb"
        if name in files and not os.path.lexists(target / name):
            (target / name).write_bytes(files[name])
        return
    kept = {name: content for name, content in files.items() if name != STAMP}
    theirs = [submission.path / SECRET] if is_ordinary(submission.path / STAMP) else []  # where nbgrader collected it
    for file in (target / STAMP, target / SECRET, *theirs):
        kept |= {file.name: file.read_bytes()} if is_ordinary(file) else {}
    if submission.arrived:
        local = submission.arrived.tzinfo is None  # as the platform shows it
        when = submission.arrived.replace(tzinfo=settings.read(course.root).zone) if local else submission.arrived
        kept[STAMP] = f"{when}\n".encode()
    write_beside(target, kept)


def without_grade(student: str, assignment: str, problem: str) -> Graded:
    """A student without a grade, and why."""
    scores = [
        blank(e.name, e.number, e.title, e.points, "not graded", None, problem)
        for e in assignments.get(assignment).exercises
    ]
    return Graded(student, scores, [problem], not_graded=True)


def read_scores(student: str, assignment: str, result: dict, changes: list[str], usual: Sequence[str] = ()) -> Graded:
    """What a TA sees of a graded notebook. result: Execution.to_json(). usual: changes that nobody has to look at."""
    cells = result["notebook"]["cells"]
    graded = Graded(student, outputs.plain(list(result["scores"].values())), list(result["problems"]), changes)
    graded.seconds, graded.figures, graded.stopped = result["seconds"], figures(cells), outputs.plain(result["stopped"])
    graded.incomplete = bool(result["fault"])
    graded.answers = outputs.plain(_answers(cells, assignment))
    for exercise in assignments.get(assignment).exercises:
        if exercise.name not in result["scores"]:
            raise RuntimeError(f"{exercise} has no score: the handout has no check for it")
    for grade_id in result["unprotected"]:
        graded.scores.append(_unprotected(grade_id, cells))
        graded.problems.append(
            f"Not protected: the points of the cell {grade_id} were given in the student's own kernel, where a line of "
            "the student's code can change them. Cells with check(…) are graded outside it."
        )
    graded.problems += endings(result["left_out"], result["stopped"])
    odd = [said for said in changes if said not in usual]
    graded.problems = outputs.plain(graded.problems + odd + _faults(graded) + _oddities(cells))
    graded.notes, graded.code = outputs.plain(list(usual)), outputs.plain(_code(cells))
    return graded


def _code(cells: list[dict]) -> dict[str, list[str]]:
    """{exercise: the cells in which a student defined something for it}, bounded."""
    found: dict[str, list[str]] = {}
    waiting: list[str] = []  # those before the check of their exercise
    for cell in cells:
        name = checked(cell)
        if name:
            found[name], waiting = waiting, []
        elif cell["cell_type"] == "code" and DEFINES.search(cell["source"]):
            waiting.append(cell["source"][:MOST_CODE])
    return found


def _answers(cells: list[dict], assignment: str) -> dict[str, str]:
    """{grade id: text} of the written questions that were answered."""
    placeholders = {q.id: q.placeholder for q in assignments.get(assignment).questions}
    return {
        _grade_id(c): c["source"]
        for c in filter(is_answer, cells)
        if is_answered(c["source"], placeholders.get(_grade_id(c), ""))
    }


def _unprotected(grade_id: str, cells: list[dict]) -> dict:
    """The score of an instructor's own grade cell, by nbgrader's rule."""
    from nbformat import from_dict
    from nbgrader.utils import determine_grade

    cell = next(c for c in cells if _grade_id(c) == grade_id)
    points, most = determine_grade(from_dict(cell))
    outcome = "passed" if points == most else "partial" if points else "failed"
    return blank(grade_id, "", f"Cell {grade_id} (not protected)", most, outcome, points or 0.0, "nbgrader's own rule")


def _grade_id(cell: dict) -> str:
    return cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", "")


def _faults(graded: Graded) -> list[str]:
    """Checks of ours that failed; the student loses nothing by them without a word."""
    return [
        f"“{c['title']}” could not be run, through no fault of the student's: {c['fault'].strip().splitlines()[-1]}"
        for s in graded.scores
        for c in s["checks"]
        if c["outcome"] == "not graded" and c["fault"]
    ] + [
        f"“{c['title']}” got no answer: {c['measured']} The notebook says so, and can say anything: run it by hand, "
        "and give the points if the fault is ours."
        for s in graded.scores
        for c in s["checks"]
        if c["kind"] == KIT
    ]


def _oddities(cells: list[dict]) -> list[str]:
    """Cells that stopped with an error that a TA would want to look at."""
    found, failed = [], False
    for cell in cells:
        for output in cell.get("outputs", []):
            # What is not written yet is no oddity, and neither are the names that are missing because of it.
            said = output.get("ename") in ("NotRun", "Stopped")
            stub = output.get("ename") == "NotImplementedError" and output["evalue"].startswith("Exercise ")
            follows = stub or said or (failed and _is_missing(output))
            if output["output_type"] == "error":
                failed = True
                if not follows:
                    line = cell["source"].strip().splitlines()[0][:60]
                    found.append(f"The cell “{line}” stopped with {output['ename']}: {output['evalue']}"[:300])
    return found


def _is_missing(output: dict) -> bool:
    """Whether a cell stopped because something was not made before: a name, or a model to draw from."""
    untrained = output.get("ename") == "KitError" and "nothing was trained under the name" in output["evalue"]
    return untrained or output.get("ename") == "NameError"


def figures(cells: list[dict]) -> dict[str, str]:
    """{exercise: the last figure before its check, a base64 PNG} of a graded notebook."""
    last, found = None, {}
    for cell in cells:
        for output in cell.get("outputs", []):
            shown = outputs.inert({"image/png": output.get("data", {}).get("image/png")})
            last = shown.get("image/png", last)
        if _grade_id(cell).startswith("check-"):
            if last:
                found[_grade_id(cell).removeprefix("check-")] = last
            last = None
    return found


def blank(name: str, number: str, title: str, most: float, outcome: str, points: float | None, why: str) -> dict:
    """A score that stands for a whole exercise: one row, and a reason."""
    check = asdict(CheckResult("", "The exercise as a whole", most, points, outcome, why))
    return {
        "exercise": name,
        "number": number,
        "title": title,
        "points": points or 0.0,
        "max_points": most,
        "headline": why,
        "printed": "",
        "checks": [check],
    }


def rows(assignment: str, results: Iterable[Graded]) -> list[dict]:
    """One row a student and check, in the order of COLUMNS. Points of what was not graded are empty.

    Written answers follow, and what people changed by hand, as a difference: a student's points sum to the gradebook's.
    """
    return [
        dict(
            student=r.student,
            assignment=assignment,
            exercise=s["exercise"],
            check=c["name"],
            outcome=c["outcome"],
            points="" if c["points"] is None else round(c["points"], 3),
            max_points=c["max_points"],
            measured=c["measured"],
            required=c["required"],
        )
        for r in results
        for s in r.scores
        for c in s["checks"]
    ] + [row for r in results for row in _rows_by_hand(assignment, r)]


def _rows_by_hand(assignment: str, graded: Graded) -> Iterator[dict]:
    """The rows of a student's written answers, and of what people changed: the difference."""
    about = dict(student=graded.student, assignment=assignment, required="")
    for w in graded.written:
        points, answer = "" if w["points"] is None else w["points"], w["answer"][:MOST_SHOWN]
        row = dict(exercise=w["exercise"], check=w["id"], outcome=w["outcome"], points=points, measured=answer)
        yield about | row | dict(max_points=w["max_points"])
    for c in graded.changed:
        outcome = c.get("outcome", by_hand.BY_HAND)
        row = dict(exercise=c["exercise"], check=c["id"], outcome=outcome, points=c["points"])
        yield about | row | dict(max_points=0.0, measured=c["said"])
    if graded.penalty:
        row = dict(exercise="", check=by_hand.LATE, outcome="late", points=-graded.penalty, max_points=0.0)
        yield (
            about | row | dict(measured=f"{counted(graded.penalty, 'point is', 'points are')} lost by handing in late")
        )


def write_csv(file: Path, assignment: str, results: Iterable[Graded]) -> None:
    """Write the table of all checks, whole or not at all."""
    write_atomically(file, HEADER + "".join(csv_lines(assignment, r) for r in results))


HEADER = ",".join(COLUMNS) + "\r\n"


def csv_lines(assignment: str, graded: Graded) -> str:
    """A student's lines of the table."""
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS).writerows(map(no_formula, rows(assignment, [graded])))
    return text.getvalue()


def totals_columns(assignment: str) -> tuple[str, ...]:
    """Of grades.csv: a column for each exercise, called after it."""
    names = (e.name for e in assignments.get(assignment).exercises)
    return ("student", *names, "checks", "written", "late", "total", "max_points", "state", "handed_in", "attempt")


def totals(graded: Graded) -> dict:
    """A student's row of grades.csv, as the gradebook has it. What was not graded is empty, never 0."""
    if graded.not_graded:
        return dict(student=graded.student, state="not graded", handed_in=graded.arrived, attempt=graded.attempt)
    by_exercise = {s["exercise"]: s["points"] for s in graded.scores}
    for changed in graded.changed:
        by_exercise[changed["exercise"]] = round(by_exercise.get(changed["exercise"], 0.0) + changed["points"], 3)
    return by_exercise | dict(
        student=graded.student,
        checks=graded.points,
        written=graded.points_written if graded.written else "",
        late=-graded.penalty if graded.penalty else "",
        total=graded.total,
        max_points=graded.max_points + graded.most_written,
        state=by_hand.OPEN if graded.is_open else "graded",
        handed_in=graded.arrived,
        attempt=graded.attempt,
    )


def table_text(columns: Sequence[str], rows: Iterable[dict]) -> str:
    """A CSV table with a header, in which nothing is a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(map(no_formula, rows))
    return text.getvalue()


def no_formula(row: dict) -> dict:
    """A row whose cells a spreadsheet will not take for formulas, whatever a student wrote."""
    return {k: "'" + v if isinstance(v, str) and v.startswith(FORMULA) else v for k, v in row.items()}
