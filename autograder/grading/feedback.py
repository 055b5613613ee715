"""Feedback for students: nbgrader's own pages, made again where anything in them has changed, and laid out by id."""

import contextlib
import glob
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from autograder.course import Course, CourseError, reason, trouble
from autograder.files import write_atomically
from autograder.grading import by_hand, export
from autograder.grading.export import Final
from autograder.roster import Roster

DATE = (1980, 1, 1, 0, 0, 0)  # in a zip: the same page is the same file


@dataclass
class Made:
    """pages: {student: page}. fresh: those that were made now. without: who has none, and why."""

    pages: dict[str, Path] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    without: dict[str, str] = field(default_factory=dict)


def make(
    course: Course,
    assignment: str,
    only: Collection[str] = (),
    unfinished: bool = False,
    roster: Roster | None = None,
    done: Callable[[int, int], None] = lambda number, of: None,
) -> Made:
    """A page for everyone whose grade is whole, or for these students, in feedback/ of the course.

    unfinished: also of those with answers that nobody has graded, which show as 0. A page whose grade is gone goes with
    it. done: is told how many of how many were looked at. Raises CourseError where nothing was graded, or a student is
    not known.
    """
    finals = {f.student: f for f in export.finals(course, assignment, roster)}
    if unknown := sorted(set(only) - finals.keys()):
        raise CourseError(f"Nothing of {', '.join(unknown)} was graded. There are: {', '.join(finals)}.")
    made, versions = Made(), _versions(course, assignment)
    api = course.api()
    api.coursedir.ignore = [*api.coursedir.ignore, "artifacts"]  # nbgrader copies what lies beside a notebook
    chosen = [f for s, f in finals.items() if not only or s in only]
    for number, final in enumerate(chosen, 1):
        page = course.root / "feedback" / final.student / assignment / f"{assignment}.html"
        notebook = course.root / "autograded" / final.student / assignment / f"{assignment}.ipynb"
        made.without |= _why_not(final, notebook, unfinished)
        if final.student in made.without:
            _forget(course, assignment, final.student)
        else:
            version = hashlib.sha256(notebook.read_bytes() + versions.get(final.student, b"")).hexdigest()
            _page(course, api, assignment, final.student, page, version, made)
        done(number, len(chosen))
    return made


def _why_not(final: Final, notebook: Path, unfinished: bool) -> dict[str, str]:
    """{student: why there is no page}; empty if there is to be one."""
    is_open = final.points is None and "could not be graded" not in final.why
    if final.points is None and not (is_open and unfinished):
        return {final.student: final.why}
    if not notebook.is_file():
        return {final.student: "its graded notebook is missing in autograded/: grade it again with --force"}
    return {}


def _page(course: Course, api, assignment: str, student: str, page: Path, version: str, made: Made) -> None:
    """Make a student's page, if it is not there as it would be made."""
    mark = _mark(course, assignment, student)
    if not (page.is_file() and mark.is_file() and mark.read_text(encoding="ascii") == version):
        mark.unlink(missing_ok=True)
        result = api.generate_feedback(assignment, glob.escape(student), force=True)
        if not result["success"] or not page.is_file():
            made.without[student] = _problem(result)
            return
        write_atomically(mark, version)
        made.fresh.append(student)
    made.pages[student] = page


def _problem(result: dict) -> str:
    """Why nbgrader made no page, in a sentence."""
    return trouble(Exception(reason(result))).removeprefix("Exception: ")


def _mark(course: Course, assignment: str, student: str) -> Path:
    return course.root / ".deepul" / "feedback" / assignment / student


def _forget(course: Course, assignment: str, student: str) -> None:
    """No page is handed out whose grade is gone, or is not whole any more."""
    _mark(course, assignment, student).unlink(missing_ok=True)
    shutil.rmtree(course.root / "feedback" / student / assignment, ignore_errors=True)


def _versions(course: Course, assignment: str) -> dict[str, bytes]:
    """{student: all that the gradebook has for a page: points, comments, and what being late costs}."""
    from nbgrader.api import Assignment, Comment, SubmittedAssignment, SubmittedNotebook

    with course.gradebook() as gradebook:
        marks = by_hand.of(gradebook, assignment)
        comments = (
            gradebook.db.query(SubmittedAssignment.student_id, Comment)
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Comment, Comment.notebook_id == SubmittedNotebook.id)
            .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
            .filter(Assignment.name == assignment)
        )
        said: dict[str, list] = {}
        for student, comment in comments:
            said.setdefault(student, []).append([comment.name, comment.comment])
    return {
        student: json.dumps([sorted((n, str(m)) for n, m in mine.items()), sorted(said.get(student, []))]).encode()
        for student, mine in marks.items()
    }


def take_back(assignment: str, students: Collection[str], target: Path) -> list[Path]:
    """Remove the pages that `lay_out` put there earlier of these students, who have none now; which they were.

    A zip with anything else in it stays, be it of another assignment or somebody else's.
    """
    name, removed = f"{assignment}.html", []
    for student in students:
        page, archive = target / student / name, target / f"{student}.zip"
        if page.is_file():
            page.unlink()
            removed.append(page)
            with contextlib.suppress(OSError):  # there is more in the folder
                page.parent.rmdir()
        if archive.is_file() and _names_in(archive) == [name]:
            archive.unlink()
            removed.append(archive)
    return removed


def _names_in(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    except (OSError, zipfile.BadZipFile):
        return []


def lay_out(pages: dict[str, Path], target: Path, zipped: bool = False) -> None:
    """Put pages where they are handed back from: a folder for each student, called by the id, or a zip.

    What stood there of these students is replaced; nothing else is touched.
    """
    target.mkdir(parents=True, exist_ok=True)
    for student, page in pages.items():
        if not zipped:
            (target / student).mkdir(exist_ok=True)
            shutil.copyfile(page, target / student / page.name)
            continue
        with zipfile.ZipFile(target / f"{student}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(page.name, DATE), page.read_bytes(), zipfile.ZIP_DEFLATED)
