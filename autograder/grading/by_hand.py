"""What people gave by hand, as nbgrader's gradebook has it: points of written answers, and changes of other points."""

from collections import defaultdict
from dataclasses import dataclass

from autograder import assignments
from autograder.course import Course
from autograder.display import counted

OPEN, BY_HAND, NOT_ANSWERED = "to be graded", "by hand", "not answered"
AGAIN = "to be graded again: the submission has changed"  # since people gave its points
LATE = "late penalty"  # stands among the marks; no grade id has a space


@dataclass(frozen=True)
class Mark:
    """The points of one cell in the gradebook. auto: None if only people can give them; by_hand: None if nobody did.

    extra: credit beside them. to_do: whether somebody is to look at it.
    """

    auto: float | None
    by_hand: float | None
    extra: float
    most: float
    to_do: bool

    @property
    def points(self) -> float | None:
        """What counts; None as long as it is open."""
        given = self.auto if self.by_hand is None else self.by_hand
        return None if given is None else given + self.extra


def read(course: Course, assignment: str) -> dict[str, dict[str, Mark]]:
    """{student: {grade id: its mark}} of all submissions that the gradebook knows; LATE is what being late costs."""
    if not course.knows(assignment):
        return {}
    with course.gradebook() as gradebook:
        return of(gradebook, assignment)


def of(gradebook, assignment: str, student: str = "") -> dict[str, dict[str, Mark]]:
    """The same of an open gradebook; of one student, if one is named."""
    from nbgrader.api import Assignment, Grade, SubmittedAssignment, SubmittedNotebook

    grades = (
        gradebook.db.query(Grade, SubmittedAssignment.student_id)
        .join(SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id)
        .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        .filter(Assignment.name == assignment)
        .populate_existing()  # formgrader may have written since
    )
    if student:
        grades = grades.filter(SubmittedAssignment.student_id == student)
    found: dict[str, dict[str, Mark]] = defaultdict(dict)
    for grade, name in grades:
        found[name][grade.name] = Mark(
            grade.auto_score, grade.manual_score, grade.extra_credit or 0.0, grade.max_score, grade.needs_manual_grade
        )
    for name, penalty in _penalties(gradebook, assignment, student):
        if name in found:
            found[name][LATE] = Mark(-penalty, None, 0.0, 0.0, to_do=False)
    return found


def _penalties(gradebook, assignment: str, student: str) -> list[tuple[str, float]]:
    """(student, points) of those who lose some by being late."""
    from nbgrader.api import Assignment, SubmittedAssignment

    late = (
        gradebook.db.query(SubmittedAssignment.student_id, SubmittedAssignment.late_submission_penalty)
        .join(Assignment, SubmittedAssignment.assignment_id == Assignment.id)
        .filter(Assignment.name == assignment)
    )
    if student:
        late = late.filter(SubmittedAssignment.student_id == student)
    return [(name, penalty) for name, penalty in late if penalty]


def penalty(marks: dict[str, Mark]) -> float:
    """The points that a student loses by being late."""
    return -(marks[LATE].points or 0.0) if LATE in marks else 0.0


def written(assignment: str, marks: dict[str, Mark], answers: dict[str, str], scores: list[dict]) -> list[dict]:
    """Of each written question that has points: its number, outcome, points (None: open), and the text of the answer.

    The instructor's own cells that people grade are among them, under their grade ids. marks: of one student.
    answers: {grade id: text}, as far as they were given. scores: of all that has points otherwise.
    """
    here = assignments.get(assignment)
    numbers = {q.id: (q.number, q.exercise.name) for q in here.questions if q.id in marks}
    others = marks.keys() - {LATE} - {f"check-{e.name}" for e in here.exercises} - {s["exercise"] for s in scores}
    numbers |= {name: (name, "") for name in sorted(others - numbers.keys())}
    return [
        {
            "id": name,
            "exercise": exercise,
            "number": number,
            "outcome": _outcome(marks[name]),
            "points": marks[name].points,
            "max_points": marks[name].most,
            "answer": answers.get(name, ""),
        }
        for name, (number, exercise) in numbers.items()
    ]


def _outcome(mark: Mark) -> str:
    if mark.points is None:
        return OPEN
    return AGAIN if mark.to_do else NOT_ANSWERED if mark.by_hand is None else BY_HAND


def is_open(row: dict) -> bool:
    """Whether somebody has to give points, or to look at them again. row: of `written` or `changes`."""
    return row["points"] is None or row.get("outcome") == AGAIN


def changes(assignment: str, marks: dict[str, Mark], scores: list[dict]) -> list[dict]:
    """Where people gave a check other points than it had, or extra credit: the difference, exercise by exercise."""
    earned = {s["exercise"]: s["points"] for s in scores}
    names = {f"check-{e.name}": e.name for e in assignments.get(assignment).exercises}
    found = []
    for grade_id, mark in marks.items():
        name = names.get(grade_id, grade_id)
        if name not in earned or (mark.by_hand is None and not mark.extra):
            continue
        points = mark.points if mark.points is not None else earned[name] + mark.extra
        said = f"{counted(points, 'point')} by hand, {earned[name]:g} by the checks"
        outcome = AGAIN if mark.to_do else BY_HAND
        said += f"; {AGAIN}" if mark.to_do else ""
        row = {"id": grade_id, "exercise": name, "outcome": outcome, "said": said}
        found.append(row | {"points": round(points - earned[name], 3)})
    return found
