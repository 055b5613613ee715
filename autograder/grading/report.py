"""What a TA reads of a graded class: grades.csv, alike.csv, and a page with the students' figures."""

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from autograder import assignments, display, notebooks
from autograder.course import Course, trouble
from autograder.files import write_atomically
from autograder.grading import batch, by_hand
from autograder.grading.batch import Graded
from autograder.grading.copies import Alike
from autograder.handout import source

BINS = 10
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
        self._page = Page(folder / "report", assignment)
        self._lines: dict[str, str] = {}
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
        self._lines[graded.student] = batch.csv_lines(self.assignment, graded)
        self.write(lambda: self._page.add(graded))

    def _write_all(self) -> None:
        self._page.order = [s for s in self.students if s in self._lines]
        text = batch.HEADER + "".join(self._lines[s] for s in self._page.order)
        self.write(lambda: write_atomically(self.folder / "grades.csv", text))
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
    """Write index.html into `folder` and return its path."""
    page = Page(folder, assignment, alike)
    for result in results:
        page.add(result)
    return page.write()


class Page:
    """index.html in a folder, with the figures beside it. A student's part is made once; the whole is cheap then."""

    def __init__(self, folder: Path, assignment: str, alike: Sequence[Alike] = ()):
        self.folder, self.assignment, self.alike = folder, assignment, alike
        self.order: list[str] = []
        self._results: dict[str, Graded] = {}
        self._parts: dict[str, str] = {}

    def add(self, result: Graded) -> None:
        """Take a student in, or a newer result of one. Raises OSError where a figure cannot be written."""
        student = result.student
        if student not in self._results:
            self.order.append(student)
        self._results[student] = result
        mine = [found for found in self.alike if student in found.students]
        self._parts[student] = Markup(self._template("student").render(result=result, alike=mine))
        for exercise, png in result.figures.items():
            file = self.folder / _figure(student, exercise)
            content = base64.b64decode(png)
            if not file.exists() or file.read_bytes() != content:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def write(self) -> Path:
        """Write the page as it is now, whole or not at all."""
        results = [self._results[s] for s in self.order]
        graded = [r for r in results if not r.not_graded]
        page = self._template("report").render(
            assignment=self.assignment,
            exercises=assignments.get(self.assignment).exercises,
            open=sum(w["outcome"] == by_hand.OPEN for r in graded for w in r.written),
            most_written=max((r.most_written for r in graded), default=0),
            rubrics=rubrics(self.assignment),
            results=results,
            graded=graded,
            students=[self._parts[s] for s in self.order],
            alike=self.alike,
            bars=distribution(graded),
            checks=failing_checks(graded),
            mean=sum(r.points for r in graded) / len(graded) if graded else 0.0,
            most=max((r.max_points for r in results), default=0),
        )
        write_atomically(self.folder / "index.html", page)
        return self.folder / "index.html"

    def _template(self, name: str):
        return self._environment.get_template(f"{name}.html.j2")

    @cached_property
    def _environment(self):
        environment = display.templates(Path(__file__).parent)
        environment.filters["anchor"] = lambda student: quote(student, safe="")
        environment.filters["table"] = lambda score: Markup(display.score_html(score, style=False))
        environment.globals |= dict(figure=_figure, colours=display.COLOURS, style=Markup(display.STYLE))
        return environment


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
        dict(group=group, what=found.what, share=round(found.share, 3), detail=found.detail, student=student)
        for group, found in enumerate(alike, 1)
        for student in found.students
    )
    write_atomically(file, batch.table_text(ALIKE, rows))


def _figure(student: str, exercise: str) -> str:
    return f"figures/{student}-{exercise}.png"


def distribution(graded: list[Graded]) -> list[dict]:
    """How many students lie in each tenth of the points: {"label", "count", "height" in percent}."""
    tenths = Counter(min(BINS - 1, int(BINS * r.points / r.max_points)) for r in graded if r.max_points)
    most = max(tenths.values(), default=1)
    return [
        {"label": f"{100 * k // BINS}–{100 * (k + 1) // BINS} %", "count": tenths[k], "height": 100 * tenths[k] / most}
        for k in range(BINS)
    ]


def failing_checks(graded: list[Graded]) -> list[dict]:
    """For each check how many students met each outcome, in the notebook's order."""
    found: dict[tuple, dict] = {}
    for result in graded:
        for score in result.scores:
            for check in score["checks"]:
                if not check["name"]:
                    continue
                key = (score["number"], check["title"])
                row = found.setdefault(key, {"exercise": score["number"], "title": check["title"], "counts": Counter()})
                row["counts"][check["outcome"]] += 1
    return [found[k] for k in sorted(found, key=lambda k: k[0])]
