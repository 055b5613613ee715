"""The course's total: every homework by its weight in course.toml, in per cent of what there was to earn."""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from autograder import assignments, settings
from autograder.course import Course, CourseError
from autograder.files import write_atomically
from autograder.grading import export, moved
from autograder.grading.batch import table_text
from autograder.roster import FILE, Roster, folded

MOST_NAMED = 3  # pairs, in a message

NO_HOMEWORK = ("id", "name", "together")  # columns


def rows(course: Course, roster: Roster | None = None) -> list[dict]:
    """A row for each student: id, name, the total of each homework, and together, in per cent.

    A homework that was not handed in counts as nothing; one of which nobody's work was graded does not count. together
    is empty as long as something of a student's is open. Raises CourseError where nothing was graded at all, and where
    one student seems to have another id in each homework.
    """
    own = settings.read(course.root)
    graded = {name: export.finals(course, name, roster) for name in assignments.names() if course.knows(name)}
    graded = {name: finals for name, finals in graded.items() if finals}
    if not graded:
        raise CourseError(f"Nothing was graded in {course.root} yet: `deepul grade` comes first.")
    _refuse_split({name: [f.student for f in finals] for name, finals in graded.items()}, roster)
    people = {s.id: s.name for s in roster.students} if roster else {}
    everyone = dict.fromkeys([*people, *(f.student for finals in graded.values() for f in finals)])
    weights = {name: own.of(name).weight for name in graded}
    most = {name: max(f.most for f in finals) for name, finals in graded.items()}
    by_student = {name: {f.student: f.total for f in finals} for name, finals in graded.items()}
    for points in by_student.values():  # what is graded by an old id only is not nothing
        points |= {new: None for new in moved.whose(points, roster).values() if new and new not in points}
    found = []
    for student in everyone:
        earned = {name: totals.get(student, 0.0) for name, totals in by_student.items()}
        found.append(
            {"id": student, "name": people.get(student, "")}
            | {name: "" if total is None else total for name, total in earned.items()}
            | {"together": _together(earned, most, weights)}
        )
    return found


def _refuse_split(graded: dict[str, list[str]], roster: Roster | None) -> None:
    """Raises CourseError where a name stands under one number in a homework, and under another in the next.

    Moodle numbers students anew in each, and without a roster nothing else is known of them.
    """
    told = {old for students in graded.values() for old, new in moved.whose(students, roster).items() if new}
    known = told | {s.id for s in roster.students} if roster else told
    homeworks: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # {name: {id: homeworks}}
    for homework, students in graded.items():
        for student in students:
            name, number = moved.parts(student)
            if number and student not in known:
                homeworks[folded(name)][student].add(homework)
    found = [
        f"{one} ({', '.join(sorted(mine[one]))}) and {other} ({', '.join(sorted(mine[other]))})"
        for mine in homeworks.values()
        for one, other in itertools.combinations(sorted(mine), 2)
        if not mine[one] & mine[other]
    ]
    if found:
        more = f", and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise CourseError(
            f"These seem to be the same student: {'; '.join(found[:MOST_NAMED])}{more}. Moodle has another number for "
            f"a student in each homework. Write {FILE} with the columns id and name into the course folder, run "
            "`deepul grade` again for each homework, and then this."
        )


def _together(points: dict[str, float | None], most: dict[str, float], weights: dict[str, float]) -> float | str:
    """Per cent of what there is, each homework by its weight; empty while one is open."""
    shares = [(weights[n], p / most[n]) for n, p in points.items() if p is not None and most[n]]
    if None in points.values() or not sum(weight for weight, _ in shares):
        return ""
    return round(100 * sum(weight * share for weight, share in shares) / sum(weight for weight, _ in shares), 2)


def nothing_counts(table: list[dict]) -> str:
    """Why somebody has no total of whom nothing is open, in a sentence; "" if nobody."""
    if all(row["together"] != "" or "" in [v for k, v in row.items() if k not in NO_HOMEWORK] for row in table):
        return ""
    names = [name for name in table[0] if name not in NO_HOMEWORK]
    return f"{', '.join(names)}: whatever was graded has weight = 0 in course.toml, so that there is no total."


def write(file: Path, table: Iterable[dict]) -> None:
    """Write the table, whole or not at all."""
    table = list(table)
    write_atomically(file, table_text(tuple(table[0]), table))
