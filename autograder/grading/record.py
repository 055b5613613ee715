"""The one writer of nbgrader's gradebook: what was graded becomes nbgrader's own record."""

import contextlib
import json
import mimetypes
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from autograder.course import Course
from autograder.files import write_atomically
from autograder.grading import by_hand
from autograder.grading.normalise import checked
from autograder.grading.penalties import Deadlines
from autograder.grading.submissions import STAMP, is_file_name, is_ordinary
from autograder.roster import Roster
from autograder.score import MIME


class Recorder:
    """Writes grades of one assignment into the gradebook, and notebooks into autograded/. A context manager.

    What was recorded from which result is kept beside, so that a run that was killed goes on where it was, and
    one that changes nothing writes nothing.
    """

    def __init__(self, course: Course, assignment: str, roster: Roster | None = None):
        """roster: who has an extension; None: that of the course's folder. Raises CourseError where one is none."""
        self.course, self.assignment = course, assignment
        self._deadlines = Deadlines(course, roster)
        self._gradebook = course.gradebook()
        self._known = {s.student.id for s in self._gradebook.assignment_submissions(assignment)}

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_) -> None:
        self._gradebook.close()

    def is_recorded(self, student: str, key: str, worth: str = "") -> bool:
        """Whether the record is of this result; worth: and of these points, if they are given."""
        mark = self._mark(student)
        if student not in self._known or not mark.exists():
            return False
        recorded, _, points = mark.read_text(encoding="ascii").partition(" ")
        return recorded == key and (not worth or points == worth)

    def record(
        self, student: str, key: str, worth: str, notebook: dict, files: dict[str, bytes], changes: list[str]
    ) -> None:
        """Make `notebook`, a graded one, the student's record: of a result, and of what it is worth."""
        self._mark(student).unlink(missing_ok=True)  # whatever happens from here on: the old record is no longer whole
        text = json.dumps(with_note(notebook, changes), indent=1, allow_nan=False)
        whole = harmless(files) | {f"{self.assignment}.ipynb": text.encode("utf-8", "replace")}
        stamp = self.course.root / "submitted" / student / self.assignment / STAMP
        whole |= {STAMP: stamp.read_bytes()} if is_ordinary(stamp) else {}
        folder = self.course.root / "autograded" / student / self.assignment
        before = _sources(folder / f"{self.assignment}.ipynb")
        write_beside(folder, whole)
        try:
            self._grades(student, notebook, before)
        except BaseException:
            self._gradebook.db.rollback()  # the next student's grades are none of this one's trouble
            raise
        self._known.add(student)
        write_atomically(self._mark(student), f"{key} {worth}")

    def marks_of(self, student: str) -> dict[str, by_hand.Mark]:
        """What the gradebook has of a student, brought up to date, people's points with it: {grade id: Mark}."""
        self.bring_up_to_date([student])
        return by_hand.of(self._gradebook, self.assignment, student).get(student, {})

    def bring_up_to_date(self, students: Collection[str] = ()) -> None:
        """Due dates, extensions and penalties as the course's files say now, of all students if none are named."""
        self._deadlines.apply(self._gradebook, students)

    @property
    def late_costs(self) -> bool:
        """Whether who is late loses points."""
        return bool(self._deadlines.policy(self.assignment).text)

    def arrived(self, student: str) -> bool:
        """Whether it is known when a submission came."""
        return is_ordinary(self.course.root / "submitted" / student / self.assignment / STAMP)

    def remove(self, student: str) -> None:
        """There is no grade: an older one must not stand in its place. A TA's manual grades and comments stay."""
        self._mark(student).unlink(missing_ok=True)
        shutil.rmtree(self.course.root / "autograded" / student / self.assignment, ignore_errors=True)
        try:
            self._remove_grades(student)
        except BaseException:
            self._gradebook.db.rollback()
            raise
        self._known.discard(student)

    def _remove_grades(self, student: str) -> None:
        from nbgrader.api import MissingEntry

        with contextlib.suppress(MissingEntry):  # never graded before
            submission = self._gradebook.find_submission(self.assignment, student)
            grades = [g for n in submission.notebooks for g in n.grades]
            by_hand = any(g.manual_score is not None or g.extra_credit for g in grades)
            if by_hand or any(c.manual_comment for n in submission.notebooks for c in n.comments):
                for grade in grades:
                    grade.auto_score, grade.needs_manual_grade = None, True
                self._gradebook.db.commit()
            else:
                self._gradebook.remove_submission(self.assignment, student)

    def _mark(self, student: str) -> Path:
        return marks(self.course, self.assignment) / student

    def _grades(self, student: str, notebook: dict, before: dict[str, str]) -> None:
        """nbgrader's own reading of the cells, then what it cannot know: a check of ours that failed is no 0, and what
        somebody has graded by hand is to be looked at again only where it has changed. before: {grade id: its text}.
        """
        from nbformat import from_dict
        from nbgrader.preprocessors import SaveAutoGrades

        gradebook = self._gradebook
        gradebook.update_or_create_student(student)
        gradebook.update_or_create_submission(self.assignment, student)
        saver = SaveAutoGrades()
        saver.gradebook, saver.notebook_id = gradebook, self.assignment
        saver.assignment_id, saver.student_id = self.assignment, student
        graded = from_dict(notebook)
        submission = gradebook.find_submission(self.assignment, student)
        grades = {g.name: g for n in submission.notebooks for g in n.grades}
        settled = {
            name: g.auto_score for name, g in grades.items() if g.manual_score is not None and not g.needs_manual_grade
        }
        for number, cell in enumerate(graded.cells):
            saver.preprocess_cell(cell, {}, number)
            name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            if _has_fault(cell):  # no score, rather than the points of the other checks
                grades[name].auto_score, grades[name].needs_manual_grade = None, True
            elif name in settled and (grades[name].auto_score, cell.source) == (settled[name], before.get(name)):
                grades[name].needs_manual_grade = False
        gradebook.db.commit()


def marks(course: Course, assignment: str) -> Path:
    """The folder with a file for each student whose record is whole."""
    return course.root / ".deepul" / "recorded" / assignment


def _sources(notebook: Path) -> dict[str, str]:
    """{grade id: text of its cell} of what was recorded before; empty if nothing was."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return {}
    return {about["grade_id"]: "".join(c["source"]) for c in cells if (about := c["metadata"].get("nbgrader"))}


def _has_fault(cell: dict) -> bool:
    """Whether a check of ours failed in this cell. Only the grader itself writes the outputs of such a cell."""
    if not checked(cell):
        return False
    scores = [o["data"][MIME] for o in cell["outputs"] if MIME in o.get("data", {})]
    return any(c["outcome"] == "not graded" for score in scores for c in score["checks"])


# Media types of files in which a browser does what is written.
ACTIVE = re.compile(r"html|[/+]xml|svg|xsl|script|pdf|flash|manifest|^(message|multipart)/", re.IGNORECASE)


def harmless(files: dict[str, bytes]) -> dict[str, bytes]:
    """A submission's files as they may lie beside its graded notebook: a page among them is made text, by its ending.

    formgrader serves them from where grades are changed: a page, opened by a link, would act in the TA's name.
    """
    kept: dict[str, bytes] = {}
    for name, content in files.items():
        safe = f"{name}.txt" if ACTIVE.search(mimetypes.guess_type(name, strict=False)[0] or "") else name
        if is_file_name(safe) and (safe == name or safe not in files):
            kept[safe] = content
    return kept


def write_beside(folder: Path, files: dict[str, bytes]) -> None:
    """Make `files` the whole content of a folder: the old one stands until the new one is complete."""
    if _holds(folder, files):
        return
    new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        new.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise OSError(error.errno, error.strerror, str(folder)) from None
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def _holds(folder: Path, files: dict[str, bytes]) -> bool:
    """Whether a folder has these files, and no others."""
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}
    return there.keys() == files.keys() and all(
        path.is_file() and path.stat().st_size == len(files[name]) and path.read_bytes() == files[name]
        for name, path in there.items()
    )


def with_note(notebook: dict, changes: list[str]) -> dict:
    """The notebook with a first cell that tells its reader what was changed before grading."""
    if not changes:
        return notebook
    text = "**Before grading, this notebook was put in order:**\n\n" + "\n".join(f"- {c}" for c in changes)
    note = {"cell_type": "markdown", "id": "what-was-changed", "metadata": {}, "source": text}
    return notebook | {"cells": [note, *notebook["cells"]]}
