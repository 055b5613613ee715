"""The trusted grader as steps of nbgrader's own: `nbgrader autograde hw1` and formgrader's button use them.

nbgrader_config.py names them. Normalise stands first, before anything of the student's is run; TrustedExecute stands
in the place of nbgrader's Execute, LatePenalties in that of AssignLatePenalties, Export in that of `nbgrader export`'s
own table; Figures is one more step of `nbgrader generate_feedback`.
"""

import atexit
import base64
import csv
import io
import json
import re
from pathlib import Path

from nbformat import from_dict
from nbgrader.api import MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import ExportPlugin
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Dict

from autograder import settings, weights
from autograder.course import Course
from autograder.files import write_atomically
from autograder.grading import submissions
from autograder.grading.batch import no_formula
from autograder.grading.execute import Grader
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised, normalise
from autograder.grading.penalties import Deadlines
from autograder.grading.record import Recorder, harmless, with_note, write_beside

_graders: dict[Limits, Grader] = {}


def course_of(config) -> Course:
    """The course that nbgrader is at work in, wherever it was started."""
    folders = CourseDirectory(config=config)
    root = Path(folders.root)
    return Course(root, root / folders.source_directory, root / folders.release_directory)


class _Step(NbGraderPreprocessor):
    def _course(self) -> Course:
        return course_of(self.config)

    def _submission(self, resources) -> Normalised:
        """The submission as the student sent it, put in order."""
        course, about = self._course(), resources["nbgrader"]
        assignment = about["assignment"]
        folder = course.root / "submitted" / about["student"] / assignment
        handout = json.loads((course.release / assignment / f"{assignment}.ipynb").read_text(encoding="utf-8"))
        files, left_out = submissions.read(submissions.Submission(about["student"], folder), assignment)
        return normalise(files, assignment, handout, left_out)


class Normalise(_Step):
    """Put a submission in order before it is graded; see autograder.grading.normalise."""

    def preprocess(self, nb, resources):
        """(the notebook in order, resources); what nbgrader copied beside it is put in order too."""
        normal = self._submission(resources)
        for change in normal.changes:
            self.log.warning("%s: %s", resources["nbgrader"]["student"], change)
        about = resources["nbgrader"]
        folder = self._course().root / "autograded" / about["student"] / about["assignment"]
        write_beside(folder, harmless(normal.files))
        return from_dict(normal.notebook), resources


class TrustedExecute(_Step):
    """Run a notebook in the sandbox and its checks outside it; see autograder.grading.execute."""

    limits = Dict(help="What a submission may use, e.g. {'cell': 60, 'memory': 2**30}; see Limits.").tag(config=True)

    def preprocess(self, nb, resources):
        """(the notebook with its outputs and scores, resources). Raises RuntimeError if it could not be graded."""
        about, limits = resources["nbgrader"], Limits(**self.limits)
        if limits not in _graders:
            _graders[limits] = Grader(limits)
            atexit.register(_graders[limits].close)
        own = settings.read(self._course().root)
        own.require_turn()
        normal = self._submission(resources)
        result = _graders[limits].grade(normal, about["assignment"], self._course().salt)
        if result.fault:
            with Recorder(self._course(), about["assignment"]) as recorder:
                recorder.remove(about["student"])  # an older grade is none of this submission
            # Raised, so that nbgrader records no grade where there is none.
            raise RuntimeError(f"{about['student']} could not be graded, through no fault of theirs: {result.fault}")
        for problem in result.told:
            self.log.warning("%s: %s", about["student"], problem)
        for grade_id in result.unprotected:
            self.log.warning("%s: the points of the cell %s are not protected", about["student"], grade_id)
        given = own.assignment(about["assignment"]).exercises
        weighed = weights.weigh(result.to_json(), given, own.of(about["assignment"]).excused)
        return from_dict(with_note(weighed["notebook"], normal.changes)), resources


class LatePenalties(NbGraderPreprocessor):
    """What a submission loses by being late, as the course's files say: in the place of nbgrader's own step."""

    def preprocess(self, nb, resources):
        """(the notebook, resources) as they are; the gradebook is brought up to date. Raises CourseError."""
        course = course_of(self.config)
        with course.gradebook() as gradebook:
            Deadlines(course).apply(gradebook, [resources["nbgrader"]["student"]])
        return nb, resources


FIGURE = re.compile(r"""(?<=src=["'])figures/([\w.-]+\.png)(?=["'])|(?<=\]\()figures/([\w.-]+\.png)(?=\))""")


class Figures(_Step):
    """In feedback, the pictures that the handout's text shows are part of the page, which is handed back alone."""

    def preprocess(self, nb, resources):
        """(the notebook with the handout's pictures as data, resources)."""
        folder = self._course().release / resources["nbgrader"]["assignment"] / "figures"

        def shown(found: re.Match) -> str:
            file = folder / (found[1] or found[2])
            return (
                f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}" if file.is_file() else found[0]
            )

        for cell in nb.cells:
            if cell.cell_type == "markdown":
                cell.source = FIGURE.sub(shown, cell.source)
        return nb, resources


class Export(ExportPlugin):
    """`nbgrader export` with nbgrader's columns; what could not be graded has no score, where nbgrader writes 0."""

    COLUMNS = (
        "assignment",
        "duedate",
        "timestamp",
        "student_id",
        "last_name",
        "first_name",
        "email",
        "raw_score",
        "late_submission_penalty",
        "score",
        "max_score",
    )

    def export(self, gradebook) -> None:
        """Write the table, to grades.csv if --to says nothing else."""
        Deadlines(course_of(self.config)).apply(gradebook)
        text = io.StringIO()
        writer = csv.DictWriter(text, self.COLUMNS)
        writer.writeheader()
        for assignment in gradebook.assignments:
            for student in gradebook.students:
                named = (assignment.name in self.assignment or not self.assignment) and (
                    student.id in self.student or not self.student
                )
                if named:
                    writer.writerow(no_formula(self._row(gradebook, assignment, student)))
        write_atomically(Path(self.to or "grades.csv"), text.getvalue())

    def _row(self, gradebook, assignment, student) -> dict:
        row = dict(
            assignment=assignment.name,
            duedate=assignment.duedate,
            student_id=student.id,
            last_name=student.last_name,
            first_name=student.first_name,
            email=student.email,
            max_score=assignment.max_score,
        )
        try:
            submission = gradebook.find_submission(assignment.name, student.id)
        except MissingEntry:
            folders = CourseDirectory(config=self.config)
            handed_in = Path(folders.root, folders.submitted_directory, student.id, assignment.name).exists()
            none = "" if handed_in else 0.0
            return row | dict(timestamp="", raw_score=none, late_submission_penalty=none, score=none)
        penalty = submission.late_submission_penalty
        row |= dict(timestamp=submission.timestamp, late_submission_penalty=penalty)
        if any(_is_missing(g) for n in submission.notebooks for g in n.grades):
            return row | dict(raw_score="", score="")
        return row | dict(raw_score=submission.score, score=max(0.0, submission.score - penalty))


def _is_missing(grade) -> bool:
    """Whether a check of ours failed here, and nobody has given points by hand."""
    return grade.name.startswith("check-") and grade.auto_score is None and grade.manual_score is None
