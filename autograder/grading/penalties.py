"""Due dates, extensions and late penalties in nbgrader's gradebook: as course.toml and roster.csv say now."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from autograder import assignments, late, settings
from autograder.course import Course, CourseError
from autograder.files import write_atomically
from autograder.grading.submissions import STAMP, arrival
from autograder.roster import Roster, Student


class Deadlines:
    """Keeps the gradebook at what the course's files say, without grading anything again.

    What course.toml and roster.csv leave open stays as somebody has set it in the gradebook: a due date that is in no
    course.toml, an extension where the roster has no column for it, a penalty where no policy is written.
    """

    def __init__(self, course: Course, roster: Roster | None = None):
        """roster: None: that of the course's folder. Raises CourseError and SettingsError: what is wrong in a file."""
        self.root, self.settings = course.root, settings.read(course.root)
        roster = roster or Roster.of_course(course.root)
        self._students = {s.id: s for s in roster.students} if roster else {}
        self._own = _Given(course.root / ".deepul" / "penalties.json")
        for student in self._students.values():
            if unknown := sorted(student.extensions.keys() - set(assignments.names())):
                there = ", ".join(f"extension_{n}" for n in assignments.names())
                raise CourseError(f"roster.csv: extension_{unknown[0]} is of no assignment. There are: {there}.")
            for name in assignments.names():
                self._extension(student, name)

    def apply(self, gradebook: Any, students: Collection[str] = ()) -> None:
        """Write due dates, extensions, times and penalties of these students, or of all; only what differs.

        Raises CourseError for a time that is none, when those of all others are written, and what a gradebook in use
        raises.
        """
        left: dict[str, int] = defaultdict(lambda: self.settings.late.free_days)
        wrong: list[CourseError] = []
        try:
            for assignment in gradebook.assignments:
                self._assignment(assignment)
            for assignment in sorted(gradebook.assignments, key=_order):
                for submission in self._submissions(gradebook, assignment, students):
                    try:
                        self._submission(submission, left)
                    except CourseError as error:
                        wrong.append(error)
            gradebook.db.commit()
        except BaseException:
            gradebook.db.rollback()
            raise
        self._own.keep()
        if wrong:
            raise wrong[0]

    def policy(self, assignment: str) -> late.LatePolicy:
        return self.settings.of(assignment).late

    def _assignment(self, assignment) -> None:
        """Its due date, in UTC, as nbgrader keeps it."""
        due = self.settings.of(assignment.name).due
        if due or self._own.get("due", assignment.name):
            wanted = due.astimezone(UTC).replace(tzinfo=None) if due else None
            if assignment.duedate != wanted:
                assignment.duedate = wanted
            self._own.put(bool(due), "due", assignment.name)

    def _submissions(self, gradebook, assignment, students: Collection[str]) -> Iterator[Any]:
        """With what is needed of all: a score, which takes long to add up, is read of those who are late."""
        from nbgrader.api import SubmittedAssignment
        from sqlalchemy.orm import load_only

        one = SubmittedAssignment
        needed = load_only(one.student_id, one.assignment_id, one.timestamp, one.extension, one.late_submission_penalty)
        found = gradebook.db.query(one).filter(one.assignment_id == assignment.id).options(needed)
        if students:
            found = found.filter(one.student_id.in_(list(students)))
        yield from found.populate_existing()  # formgrader may have written since

    def _submission(self, submission, left: dict[str, int]) -> None:
        """When it came, how much longer its student had, and what it loses. left: {student: free days}."""
        student, name = submission.student_id, submission.assignment.name
        arrived = arrival(self.root / "submitted" / student / name / STAMP, self.settings.zone)
        if arrived and arrived != submission.timestamp:
            submission.timestamp = arrived
        is_due = submission.assignment.duedate is not None  # else there is nothing to extend
        has_one = is_due and student in self._students
        longer = self._extension(self._students[student], name) if has_one else timedelta(0)
        if longer or self._own.get("extension", name, student) or (is_due and _is_beyond_all_dates(submission)):
            submission.extension = longer or None
            self._own.put(bool(longer), "extension", name, student)
        policy, before = self.policy(name), submission.late_submission_penalty or 0.0
        penalty, free = self._lost(submission, left[student])
        left[student] -= free
        if policy == late.LatePolicy() and before != (self._own.get("penalty", name, student) or 0.0):
            return  # somebody else's
        if penalty != before:
            for number, notebook in enumerate(submission.notebooks):
                notebook.late_submission_penalty = penalty if penalty and not number else None
        self._own.put(penalty, "penalty", name, student)

    def _lost(self, submission, left: int) -> tuple[float, int]:
        """(the points that a submission loses, the free days that it takes of those that are left)."""
        is_due, policy = submission.assignment.duedate is not None, self.policy(submission.assignment.name)
        days = policy.days_late(timedelta(seconds=submission.total_seconds_late if is_due else 0))
        if not days:
            return 0.0, 0
        free = policy.needed(days, left, submission.score, submission.max_score)
        return policy.penalty(days, free, submission.score, submission.max_score), free

    def would_lose(self, gradebook: Any, name: str, student: str, arrived: datetime | None, score: float) -> float:
        """The points that a submission of an assignment would lose that came then; none where nobody knows when.

        The gradebook is up to date. score: what its checks earn.
        """
        from nbgrader.api import MissingEntry

        assignment = gradebook.find_assignment(name)
        if arrived is None or assignment.duedate is None:
            return 0.0
        left, longer = self.settings.late.free_days, timedelta(0)
        for other in takewhile(lambda a: a is not assignment, sorted(gradebook.assignments, key=_order)):
            with contextlib.suppress(MissingEntry):
                left -= self._lost(gradebook.find_submission(other.name, student), left)[1]
        with contextlib.suppress(MissingEntry):
            longer = gradebook.find_submission(name, student).extension or longer
        if student in self._students:
            longer = self._extension(self._students[student], name) or longer
        came = arrived if arrived.tzinfo else arrived.replace(tzinfo=self.settings.zone)
        policy = self.policy(name)
        days = policy.days_late(came - assignment.duedate.replace(tzinfo=UTC) - longer)
        return policy.penalty(days, policy.needed(days, left, score, assignment.max_score), score, assignment.max_score)

    def _extension(self, student: Student, name: str) -> timedelta:
        """How much longer a student has for an assignment: by its own column, or by that of all."""
        text = student.extensions.get(name, student.extension)
        if not text:
            return timedelta(0)
        try:
            return late.extension(text, self.settings.of(name).due, self.settings.zone)
        except ValueError as error:
            raise CourseError(f"roster.csv: the extension of {student.id} is {text!r}; {error}.") from None


def _order(assignment) -> tuple[datetime, str]:
    """In which order assignments take the free days."""
    return assignment.duedate or datetime.max, assignment.name


def _is_beyond_all_dates(submission) -> bool:
    """Whether an extension in the gradebook is one that no calendar has: it says nothing of what anybody meant."""
    try:
        return submission.duedate is None
    except OverflowError:
        return True


class _Given:
    """What this kit has written into the gradebook, so that it takes back nothing that somebody else did."""

    def __init__(self, file: Path):
        self._file, self._changed = file, False
        try:
            self._values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # nothing was written yet
            self._values = {}

    def get(self, *what: str) -> Any:
        """What was written: (kind, assignment, and of whom); None if nothing."""
        return self._values.get("/".join(what))

    def put(self, value: Any, *what: str) -> None:
        """Remember it; nothing if there is no value."""
        if (value or None) == self.get(*what):
            return
        self._changed = True
        self._values |= {"/".join(what): value}
        if not value:
            del self._values["/".join(what)]

    def keep(self) -> None:
        """Write it down, if it has changed."""
        if self._changed:
            write_atomically(self._file, json.dumps(self._values, indent=1, sort_keys=True))
            self._changed = False


def bring_up_to_date(course: Course, roster: Roster | None = None) -> None:
    """Apply deadlines to the whole gradebook of a course, if it has one."""
    if (course.root / "gradebook.db").exists():
        with course.gradebook() as gradebook:
            Deadlines(course, roster).apply(gradebook)
