"""A run over a class, as a TA sees it: the progress, the table, what is to be looked at, and where everything lies."""

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from autograder import assignments
from autograder.course import Course, CourseError
from autograder.display import counted, number
from autograder.grading import arrivals, batch, by_hand, downloads, moved, report, sandbox, separate_user
from autograder.grading.batch import Graded
from autograder.grading.copies import Alike
from autograder.grading.log import Log
from autograder.grading.penalties import Deadlines
from autograder.grading.submissions import Submission
from autograder.roster import Roster

SHOWN = 10  # names in a line
LINES = 10  # of a run whose output goes into a file: how often it says how far it is
ROOM = 120  # columns of a terminal, from which on the table of a class says where points were lost, too
INTERRUPTED = 130  # exit code of who was interrupted


@dataclass
class Run:
    """Grading submissions of a class. folder: for grades.csv, checks.csv, the report and the log.

    everyone: the students who stand in the table, those who are graded and others who were earlier. files: writes down
    what became of the files of a download.
    """

    console: Console
    course: Course
    assignment: str
    folder: Path
    options: batch.Options = field(default_factory=batch.Options)
    everyone: Sequence[str] = ()
    files: Callable[[list[Submission], list[Graded]], object] | None = None
    summary: dict = field(default_factory=dict)  # of the last run, for programs

    def grade(self, found: list[Submission]) -> int:
        """Grade, show how it goes, and write everything. The exit code."""
        require_sandbox(self.course, found, self.options)
        with Log(self.folder / "logs") as log:
            log.say(f"{counted(len(found), 'submission')} of {self.assignment}; each may use: {self.options.limits}")
            self.console.print(f"Each submission may use: {self.options.limits}.", style="dim", highlight=False)
            everyone = list(self.everyone) or [s.student for s in found]
            written = report.Report(self.course, self.assignment, self.folder, everyone)
            begun = time.monotonic()
            try:
                results = self._graded(found, written, log)
            except KeyboardInterrupt:
                log.say("interrupted")
                self.console.print("Interrupted. What was graded is kept: the same command goes on from here.")
                return INTERRUPTED
            seconds = time.monotonic() - begun
            alike = batch.alike(self.course, self.assignment, everyone)
            written.finish(results, alike)
            if self.files:
                written.write(partial(self.files, found, results))
            self.summary = self._summed_up(results, seconds, written, alike, log)
            self._show(results, seconds, written, alike)
            log.say(f"{counts(results, seconds)} {written.problem}")
        return int(bool(written.problem) or any(r.not_graded or r.incomplete for r in results))

    def _graded(self, found: list[Submission], written: report.Report, log: Log) -> list[Graded]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        of_all, often = len(found), -(-len(found) // LINES)
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("preparing the assignment", total=of_all)

            def done(graded: Graded) -> None:
                log.graded(graded)
                written.add(graded)
                bar.update(task, advance=1, description=f"graded {escape(graded.student)}")
                count = int(bar.tasks[0].completed)
                if not self.console.is_terminal and count % often == 0:  # in a file there is no bar
                    self._say(f"  {count} of {of_all} done")

            return batch.grade(self.course, self.assignment, found, self.options, done)

    def _show(self, results: list[Graded], seconds: float, written: report.Report, alike: list[Alike]) -> None:
        show_table(self.console, self.assignment, results)
        if changes := written.changes:
            show_changed(self.console, "Changed since the last run:", changes)
        show_counts(self.console, results, seconds)
        if alike:
            times = "once" if len(alike) == 1 else counted(len(alike), "time")
            said = f"{times} the same text, weights or code, to look at; no points change"
            self._say(f"  alike   {relative(self.folder / 'alike.csv')}: {said}")
        if written.problem:
            self.console.print(
                f"[red]deepul:[/red] the tables could not all be written in {escape(relative(self.folder))}: "
                f"{escape(written.problem)}. Then run the same command again: no grade is lost.",
                highlight=False,
            )
            return
        self._say(f"  table   {relative(self.folder / 'grades.csv')}; every check: checks.csv beside it")
        self._say(f"  report  {relative(self.folder / 'report')}/index.html")

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    def _summed_up(
        self, results: list[Graded], seconds: float, written: report.Report, alike: list[Alike], log: Log
    ) -> dict:
        """The run for programs: what the table says, and where everything lies."""
        graded = [r for r in results if not r.not_graded]
        files = {"grades": "grades.csv", "checks": "checks.csv", "alike": "alike.csv", "report": "report/index.html"}
        return {
            "assignment": self.assignment,
            "submissions": len(results),
            "graded": sum(r.fresh for r in graded),
            "unchanged": sum(not r.fresh for r in graded),
            "not_graded": len(results) - len(graded),
            "incomplete": sum(r.incomplete for r in graded),
            "seconds": round(seconds, 1),
            "students": [batch.totals(r) | {"problems": r.problems, "notes": r.notes} for r in results],
            "changes": written.changes,
            "alike": [{"what": a.what, "students": list(a.students), "share": a.share} for a in alike],
            "files": {what: str(self.folder / name) for what, name in files.items()} | {"log": str(log.file)},
            "problem": written.problem,
        }

    def as_json(self) -> str:
        return json.dumps(self.summary, indent=1, ensure_ascii=False)


@dataclass
class Arrived:
    """What a class handed in. attempt: which one counts, of several.

    everyone: those who stand in the table: they, and who was graded before and is not among them.
    """

    course: Course
    assignment: str
    download: downloads.Download
    everyone: list[str]
    attempt: str
    is_whole: bool  # not of some students only

    def say(self, console: Console) -> None:
        """What was left aside, who is missing."""
        for note in downloads.notes(self.download):
            console.print(f"  {escape(note)}", style="dim", highlight=False)
        others = [student for student in self.everyone if student not in self.download.attempts]
        if self.is_whole and others:
            more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
            console.print(
                f"  {counted(len(others), 'student')} of earlier runs not among these, in the tables as graded before: "
                f"{escape(', '.join(others[:SHOWN]))}{more}",
                style="dim",
                highlight=False,
            )

    def show(self, console: Console, options: batch.Options) -> None:
        """What would be graded, and what that would change. Nothing is recorded."""
        Deadlines(self.course, options.roster)  # says which extension is none
        chosen = self.download.chosen(self.attempt)
        console.print(arrivals.table(self.assignment, chosen))
        show_changes(console, self.course, self.assignment, chosen, options)

    def chosen(self, options: batch.Options) -> list[Submission]:
        """One submission a student."""
        if self.attempt == "best":
            return batch.best(self.course, self.assignment, self.download.attempts, options)
        return self.download.chosen(self.attempt)

    def run(self, console: Console, options: batch.Options) -> Run:
        """What grades them, and writes down what became of every file of the whole class."""
        folder = self.course.root / "reports" / self.assignment
        files = partial(arrivals.write, folder / "files.csv", self.assignment, self.download) if self.is_whole else None
        return Run(console, self.course, self.assignment, folder, options, self.everyone, files)


def arrived(
    course: Course, assignment: str, path: Path | None, roster: Roster | None, only: Collection[str], attempt: str
) -> Arrived:
    """What lies at a path, or else in submitted/ of the course. only: of these students; none: of all.

    Raises CourseError where nothing is there, or of one of these students.
    """
    if attempt not in downloads.ATTEMPTS:
        raise CourseError(f"--attempt {attempt}: there are {', '.join(downloads.ATTEMPTS)}.")
    scratch = course.root / ".deepul" / "downloads" / assignment
    download = downloads.find(path or course.root / "submitted", assignment, roster, scratch)
    everyone = list(download.attempts)
    download.attempts = downloads.of(download, only or everyone)
    earlier = [student for student in report.earlier_students(course, assignment) if student not in everyone]
    old = moved.left_out([*everyone, *earlier], roster)
    everyone += [student for student in earlier if student not in old]
    return Arrived(course, assignment, download, everyone, attempt, not only)


def require_sandbox(course: Course, found: list[Submission], options: batch.Options) -> None:
    """Raises SandboxError, saying what to do, where submissions cannot be walled off as `options` say."""
    if options.cluster:
        return
    if options.limits.separate_user:
        separate_user.require({assignments.ROOT, course.root, *(s.path.parent for s in found)})
    else:
        sandbox.require()


def show_changes(
    console: Console, course: Course, assignment: str, chosen: list[Submission], options: batch.Options
) -> None:
    """What grading again would change for those who were graded before. Nothing is recorded."""
    before = [e for s in chosen if (e := report.earlier_result(course, assignment, s.student))]
    graded = {e.student for e in before}
    if not graded:
        return
    require_sandbox(course, chosen, options)
    now = batch.rehearse(course, assignment, [s for s in chosen if s.student in graded], options)
    if rows := report.changes(before, now):
        show_changed(console, "Grading would change:", rows)
    else:
        console.print(f"Grading would change nothing for the {len(graded)} who were graded before.", highlight=False)


def show_changed(console: Console, title: str, rows: list[dict]) -> None:
    """What changed, check by check; in one line of who had no grade, or has none any more. rows: `report.changes`."""
    console.print(title)
    others, lines = [], []
    for student in dict.fromkeys(r["student"] for r in rows):
        mine = [r for r in rows if r["student"] == student]
        before, now = ([r[when] for r in mine if r[when] != ""] for when in ("before", "now"))
        if before and now:
            others += mine
        else:
            texts = [counted(round(sum(p), 3), "point") if p else "not graded" for p in (before, now)]
            lines.append(f"  {student}: {' → '.join(texts)}")
    if others:
        console.print(arrivals.changed(others))
    for line in lines:
        console.print(line, highlight=False, markup=False)


def counts(results: list[Graded], seconds: float) -> str:
    """How many were graded, how many of these not in full, how many had not changed, how many have no grade."""
    graded = [r for r in results if not r.not_graded]
    fresh, partly = sum(r.fresh for r in graded), sum(r.incomplete for r in graded)
    parts = [f"{fresh} graded in {seconds:.0f} s"]
    parts += [f"{len(graded) - fresh} had not changed"] if fresh < len(graded) else []
    parts += [f"{len(results) - len(graded)} could not be graded"] if len(graded) < len(results) else []
    parts += [f"{partly} not in full"] if partly else []
    return f"{counted(len(results), 'submission')}: {', '.join(parts)}."


def show_counts(console: Console, results: list[Graded], seconds: float) -> None:
    """How many were graded; what audits gave, what was not kept."""
    console.print(counts(results, seconds), highlight=False)
    for result in results:
        if result.audited:
            console.print(f"  audit of {escape(result.student)}: {result.audited}", highlight=False)
        for problem in result.problems if result.incomplete and not result.not_graded else ():
            console.print(f"  {escape(result.student)}: {escape(problem)}", highlight=False)


def show_table(console: Console, assignment: str, results: list[Graded]) -> None:
    """A row a student: points by exercise and in all; where points were lost, beside it or below."""
    wide = console.width >= ROOM
    table = _empty_table(assignment, results, wide)
    below: list[str] = []
    written, late = any(r.most_written for r in results), any(r.penalty for r in results)
    for result in results:
        where = _where_lost(result)
        cells = _cells(result, assignment, written, late)
        table.add_row(escape(result.student), *cells, *([escape("\n".join(where))] if wide else []))
        below += [f"  {result.student}: {'; '.join(where)}"] if where else []
    console.print(table)
    if below and not wide:
        console.print("Where points were lost:\n" + "\n".join(below), highlight=False, markup=False)


def _empty_table(assignment: str, results: list[Graded], wide: bool) -> Table:
    most = {s["exercise"]: s["max_points"] for r in results for s in r.scores}
    written = max((r.most_written for r in results), default=0.0)
    table = Table(Column("student", no_wrap=True, min_width=14), box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    titles = [f"{e.number}\nof {most[e.name]:g}" for e in assignments.get(assignment).exercises]
    titles += [f"checks\nof {sum(most.values()):g}", f"written\nof {written:g}"] if written else []
    titles += ["late"] if any(r.penalty for r in results) else []
    for title in (*titles, f"total\nof {sum(most.values()) + written:g}"):
        table.add_column(title, justify="right", no_wrap=True)
    if wide:
        table.add_column("where points were lost")
    return table


def _cells(result: Graded, assignment: str, written: bool, late: bool) -> list[str]:
    scores = {s["exercise"]: s for s in result.scores}
    cells = [_earned([scores[e.name]]) for e in assignments.get(assignment).exercises]
    cells += [_earned(result.scores, result.changed), _written(result)] if written else []
    cells += [f"−{result.penalty:g}" if result.penalty else "–"] if late else []
    return [*cells, "[yellow]not graded[/yellow]" if result.not_graded else f"[bold]{_total(result)}[/bold]"]


def _where_lost(result: Graded) -> list[str]:
    """Which checks cost points, or what waits, or why there is no grade."""
    lost = [
        f"{s['number']} {c['title']}"
        for s in result.scores
        for c in s["checks"]
        if c["outcome"] in ("failed", "partial", "not graded")
    ]
    if result.not_graded:
        lost = result.problems
    if result.stopped:
        lost = [f"stopped: {result.stopped}", *lost]
    return [*(lost or _waiting(result)), *_again(result)]


def _again(result: Graded) -> list[str]:
    """What people gave points for, and have to look at again."""
    rows = [*result.written, *result.changed]
    names = [r.get("number") or r["id"] for r in rows if r.get("outcome") == by_hand.AGAIN]
    return [f"{by_hand.AGAIN} ({', '.join(names)})"] if names else []


def _waiting(result: Graded) -> list[str]:
    """Why a student has not all points of whom no check failed."""
    headlines = {s["headline"]: s["number"] for s in result.scores if s["points"] < s["max_points"]}
    blank = [number for said, number in headlines.items() if said == f"Exercise {number} is not implemented yet."]
    others = sorted(said for said, number in headlines.items() if number not in blank)
    return [*([f"not implemented yet: {', '.join(blank)}"] if blank else []), *others]


def _earned(scores: list[dict], changed: Sequence[dict] = ()) -> str:
    """The points of exercises; what was not graded has none. changed: what people changed in them."""
    checks = [c for score in scores for c in score["checks"]]
    missing = sum(c["points"] is None for c in checks)
    points = number(sum(s["points"] for s in (*scores, *changed)))
    is_open = missing or any(map(by_hand.is_open, changed))
    return "–" if missing == len(checks) and not changed else f"{points}+?" if is_open else points


def _written(result: Graded) -> str:
    """The points of written answers; "?" for those that somebody has to grade, or again."""
    if not result.written:
        return "–"
    points = number(sum(w["points"] or 0.0 for w in result.written))
    return f"{points}+?" if any(map(by_hand.is_open, result.written)) else points


def _total(result: Graded) -> str:
    return number(result.total) + ("+?" if result.is_open else "")


def relative(path: Path) -> str:
    """A path as seen from here, if it is below."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
