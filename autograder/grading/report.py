"""What a TA reads of a graded class: grades.csv, checks.csv, alike.csv, and pages, of the class and of each student."""

import base64
import hashlib
import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from autograder import assignments, display, notebooks, runner
from autograder.course import Course, trouble
from autograder.files import write_atomically
from autograder.grading import batch, by_hand, listings, overview, thumbnails
from autograder.grading.batch import Graded
from autograder.grading.copies import Alike
from autograder.handout import source

PAGE_SHARE = 0.1  # of the time that passes may go into writing the page: that of a large class has many megabytes
CHANGED = ("student", "exercise", "check", "before", "now", "max_points", "measured")
ALIKE = ("group", "what", "share", "student", "detail")


class Report:
    """The tables and the page, whole at every moment: written anew, aside, as each student's result comes.

    The page of a large class waits for several, so that it does not take the time of grading. Of students who are not
    graded now the earlier results stand, which are kept in the course's own folder. What cannot be written stops
    nothing; `problem` says what it was.
    """

    def __init__(self, course: Course, assignment: str, folder: Path, students: Sequence[str]):
        self.folder, self.assignment, self.students = folder, assignment, students
        self.problem = ""
        self._kept = kept(course, assignment)
        self._course = course
        self._before = {s: earlier for s in students if (earlier := earlier_result(course, assignment, s))}
        self._page = Page(folder / "report", assignment, course=course, most=len(students))
        self._lines: dict[str, str] = {}
        self._shown: dict[str, Graded] = {}
        self._now: dict[str, Graded] = {}
        self._page_again = 0.0  # not before this time
        self._show_earlier()

    def _show_earlier(self) -> None:
        """Those who are not graded now, with what the gradebook says by now."""
        marks = by_hand.read(self._course, self.assignment)
        for student, earlier in self._before.items():
            if student not in self._now:
                self._show(earlier.with_marks(self.assignment, marks.get(student, {})))

    @property
    def changes(self) -> list[dict]:
        """What the last results differ in from those of the run before: a row for each check, of COLUMNS `CHANGED`."""
        return changes(self._before.values(), self._now.values())

    def add(self, graded: Graded) -> None:
        """Write everything anew, with one student's result."""
        self._take(graded)
        self._write_all()

    def finish(self, results: list[Graded], alike: list[Alike]) -> None:
        """Write everything a last time, with what is known only at the end."""
        self.problem, self._page.alike = "", alike
        self.write(lambda: self._page.again({s for group in alike for s in group.students}))
        for graded in results:
            self._take(graded)
        self._show_earlier()
        self.write(lambda: _write_alike(self.folder / "alike.csv", alike))
        if self._before:
            self.write(lambda: write_atomically(self.folder / "changes.csv", batch.table_text(CHANGED, self.changes)))
        self._page_again = 0.0
        self._write_all()

    def _take(self, graded: Graded) -> None:
        self._now[graded.student] = graded
        self.write(lambda: write_atomically(self._kept / f"{graded.student}.json", json.dumps(asdict(graded))))
        self._show(graded)

    def _show(self, graded: Graded) -> None:
        self._shown[graded.student] = graded
        self._lines[graded.student] = batch.csv_lines(self.assignment, graded)
        self.write(lambda: self._page.add(graded))

    def _write_all(self) -> None:
        self._page.order = [s for s in self.students if s in self._lines]
        text = batch.HEADER + "".join(self._lines[s] for s in self._page.order)
        totals = batch.table_text(
            batch.totals_columns(self.assignment), [batch.totals(self._shown[s]) for s in self._page.order]
        )
        self.write(lambda: write_atomically(self.folder / "grades.csv", totals))
        self.write(lambda: write_atomically(self.folder / "checks.csv", text))
        began = time.monotonic()
        if began >= self._page_again:
            self.write(self._page.write)
            self._page_again = time.monotonic() + (time.monotonic() - began) / PAGE_SHARE

    def write(self, write: Callable[[], object]) -> None:
        """Write something; what hinders it becomes `problem`."""
        try:
            write()
        except OSError as error:
            self.problem = trouble(error)


def write(folder: Path, assignment: str, results: list[Graded], alike: Sequence[Alike] = ()) -> Path:
    """Write index.html into `folder`, with all that it links, and return its path."""
    page = Page(folder, assignment, alike, most=len(results))
    for result in results:
        page.add(result)
    return page.write()


class Page:
    """index.html of a class, a page for each student in students/, and their pictures, small, in figures/.

    A student's page is written once; that of the class is cheap then. course: where notebooks and feedback lie, if they
    are linked. most: students that there will be, who share the room for pictures.
    """

    def __init__(
        self, folder: Path, assignment: str, alike: Sequence[Alike] = (), course: Course | None = None, most: int = 1
    ):
        self.folder, self.assignment, self.alike, self._course = folder, assignment, alike, course
        self.order: list[str] = []
        self._results: dict[str, Graded] = {}
        self._figures: dict[str, dict[str, str]] = {}
        self._picture_bytes = thumbnails.budget(most * len(assignments.get(assignment).exercises))

    def add(self, result: Graded) -> None:
        """Take a student in, or a newer result of one. Raises OSError where a page or picture cannot be written."""
        student = result.student
        if student not in self._results:
            self.order.append(student)
        self._results[student] = result
        self._figures[student] = {
            exercise: name
            for exercise, png in result.figures.items()
            if (name := thumbnails.write(self.folder / "figures", base64.b64decode(png), self._picture_bytes))
        }
        self._write_student(result)

    def _write_student(self, result: Graded) -> None:
        page = (
            environment()
            .get_template("student.html.j2")
            .render(
                assignment=assignments.get(self.assignment),
                result=result,
                alike=[group for group in self.alike if result.student in group.students],
                figures=self._figures[result.student],
                links=self._links(result),
                seed=_Seeds(self._course.salt).seed if self._course else None,
                places=listings.of_errors,
                whole=listings.whole,
            )
        )
        _write_if_new(self.folder / address(result.student), page)

    def _links(self, result: Graded) -> dict[str, tuple[str, bool]]:
        """{what: (its address, seen from a student's page, and whether it is there by now)}."""
        if not self._course:
            return {}
        root, name, own = self._course.root, self.assignment, result.student
        files = {
            "graded notebook": root / "autograded" / own / name / f"{name}.ipynb",
            "feedback": root / "feedback" / own / name / f"{name}.html",
            "as handed in": root / "submitted" / own / name,
        }
        here = (self.folder / address(own)).parent.resolve()
        return {what: (quote(os.path.relpath(file, here)), file.exists()) for what, file in files.items()}

    def write(self) -> Path:
        """Write the page of the class as it is now, whole or not at all, and remove pictures that nobody has."""
        here = assignments.get(self.assignment)
        results = [self._results[s] for s in self.order]
        graded = [r for r in results if not r.not_graded]
        checks, spreads = overview.checks(graded), overview.exercises(graded)
        page = (
            environment()
            .get_template("report.html.j2")
            .render(
                assignment=here,
                results=results,
                graded=graded,
                open=sum(by_hand.is_open(row) for r in graded for row in (*r.written, *r.changed)),
                most_written=max((r.most_written for r in graded), default=0),
                most=max((r.max_points for r in results), default=0),
                totals=overview.totals(graded),
                bars=overview.distribution(graded),
                exercises=[
                    (e, spreads.get(e.name, overview.Spread()), _worth(results, e.name)) for e in here.exercises
                ],
                checks=checks,
                losses=overview.losses(graded),
                rubrics=rubrics(self.assignment),
                alike=self.alike,
                figures=self._figures,
                lost={r.student: [c.number for c in checks if r.student in c.lost] for r in results},
                is_alike={s for group in self.alike for s in group.students},
            )
        )
        _write_if_new(self.folder / "report.css", _beside("report.css"))
        _write_if_new(self.folder / "index.html", page)
        self._sweep()
        return self.folder / "index.html"

    def again(self, students: Iterable[str]) -> None:
        """Write the pages of these students anew, with what is known by now."""
        for student in students:
            if student in self._results:
                self._write_student(self._results[student])

    def _sweep(self) -> None:
        wanted = {name for names in self._figures.values() for name in names.values()}
        for file in (self.folder / "figures").glob("*"):
            if file.name not in wanted:
                file.unlink(missing_ok=True)


class _Seeds(runner.Session):
    """Says what seed a check gets under a salt; runs nothing."""

    def __init__(self, salt: str):
        self.salt = salt


def _write_if_new(file: Path, text: str) -> None:
    """Write a page, unless it stands there: each writing waits for the disk."""
    content = text.encode("utf-8", "replace").decode()
    try:
        same = file.read_text(encoding="utf-8") == content
    except (OSError, ValueError):
        same = False
    if not same:
        write_atomically(file, content)


def address(student: str) -> str:
    """Where a student's page lies, from that of the class: a name that every disk, archive and browser takes."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", student.casefold()).strip("-")[:60]
    digest = "" if plain == student else f"-{hashlib.sha256(student.encode('utf-8', 'replace')).hexdigest()[:10]}"
    return f"students/{plain or 'student'}{digest}.html"


def _worth(results: Iterable[Graded], exercise: str) -> float:
    return max((s["max_points"] for r in results for s in r.scores if s["exercise"] == exercise), default=0.0)


@cache
def environment() -> Environment:
    """The templates of this folder, with what they use."""
    made, script = display.templates(Path(__file__).parent), _beside("report.js")
    made.filters["shell"] = shlex.quote
    made.tests["open_row"] = by_hand.is_open
    made.globals |= dict(
        icons=display.ICONS,
        colours=display.COLOURS,
        address=address,
        style=Markup(_beside("report.css")),
        script=Markup(script),
        policy=POLICY.format(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),
        svg=lambda plot: Markup(display.svg(plot)),
        tenth=overview.tenth,
    )
    return made


# What a page may do: show what lies beside it, and run the one script that is ours, by its hash.
POLICY = (
    "default-src 'none'; img-src 'self' file: data:; style-src 'self' file: 'unsafe-inline'; script-src 'sha256-{}'; "
    "base-uri 'none'; form-action 'none'"
)


def _beside(name: str) -> str:
    """A file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def rubrics(assignment: str) -> list[tuple[str, str, str]]:
    """(number, model answer, rubric) of each written question, as the source has them, if it is there."""
    here = assignments.get(assignment)
    if not here.source.exists():
        return []
    cells = notebooks.read(here.source)
    return [(q.number, *source.answer(cells[k])) for k, q in source.questions(here, cells).items()]


def kept(course: Course, assignment: str) -> Path:
    """Where the results of a class are kept, a file a student."""
    return course.root / ".deepul" / "results" / assignment


def earlier_students(course: Course, assignment: str) -> list[str]:
    """Who was graded before, whatever is graded now."""
    return sorted(file.stem for file in kept(course, assignment).glob("[!.]*.json"))


def earlier_result(course: Course, assignment: str, student: str) -> Graded | None:
    """What the last run gave a student; None where there was none, or one of another version of the kit."""
    try:
        return Graded(**json.loads((kept(course, assignment) / f"{student}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def changes(before: Iterable[Graded], now: Iterable[Graded]) -> list[dict]:
    """The checks whose points changed, and those that are new or gone; empty points: not graded, or no such check."""
    earlier = {g.student: _points(g) for g in before}
    rows = []
    for graded in now:
        if graded.student not in earlier:
            continue
        old, new = earlier[graded.student], _points(graded)
        for key in dict.fromkeys([*new, *old]):
            was, (points, most, measured) = old.get(key, NOTHING)[0], new.get(key, NOTHING)
            if was != points:
                row = dict(zip(CHANGED, (graded.student, *key, was, points, most, measured), strict=True))
                rows.append({k: "" if v is None else v for k, v in row.items()})
    return rows


NOTHING: tuple[float | None, float, str] = (None, 0.0, "")


def _points(graded: Graded) -> dict[tuple[str, str], tuple[float | None, float, str]]:
    checks = [(s["exercise"], c) for s in graded.scores for c in s["checks"]]
    return {
        (exercise, c["title"]): (None if c["points"] is None else round(c["points"], 3), c["max_points"], c["measured"])
        for exercise, c in checks
    }


def _write_alike(file: Path, alike: list[Alike]) -> None:
    """One line a student of each group."""
    rows = (
        dict(group=number, what=group.what, share=round(group.share, 3), detail=group.detail, student=student)
        for number, group in enumerate(alike, 1)
        for student in group.students
    )
    write_atomically(file, batch.table_text(ALIKE, rows))
