"""Students of the gradebook whom the roster, added or completed later, calls otherwise: nothing of them is deleted."""

import re
from collections import Counter
from collections.abc import Collection

from autograder import assignments
from autograder.course import Course
from autograder.grading import by_hand
from autograder.roster import Identity, Roster, Student


def parts(student: str) -> tuple[str, str]:
    """(name, number) of an id that a download gave without a roster: "hopper-40002"; "" for no number."""
    named = re.match(r"^(.*)[- ](\w+)$", student, re.DOTALL)
    number = named[2] if named and any(c.isdigit() for c in named[2]) else ""
    return (named[1], number) if named and number else (student, "")


def whose(students: Collection[str], roster: Roster | None) -> dict[str, str]:
    """{who is not in the roster: their id there, "" if nobody can tell it}.

    A platform's number tells it, or a name that is of nobody else; not a name that comes with another number.
    """
    if roster is None:
        return {}
    strangers = sorted(set(students) - {s.id for s in roster.students})
    by_number: dict[str, Student | None] = {}
    by_name: dict[str, Student | None] = {}
    for student in strangers:
        name, number = parts(student)
        who = Identity("", numbers=(number,) if number else (), names=(name,))
        if roster.contradiction(who) or (roster.has("moodle") and roster.contradiction(who, "moodle")):
            by_name[student] = None
            continue
        by_number[student] = roster.student(Identity("", numbers=(number,))) if number else None
        found = roster.student(Identity(student, names=(name,)))
        by_name[student] = None if found and number and found.lms else found
    often = Counter(found.id for found in by_name.values() if found)
    sure = {s: found if found and often[found.id] == 1 else None for s, found in by_name.items()}
    told = {s: by_number.get(s) or sure[s] for s in strangers}
    return {s: found.id if found else "" for s, found in told.items()}


def left_out(students: Collection[str], roster: Roster | None) -> dict[str, str]:
    """Those of `whose` who are among these students under their new id, too: one of the two is to count."""
    return {old: new for old, new in whose(students, roster).items() if new in students}


def notes(course: Course, roster: Roster | None) -> list[str]:
    """What to do about each of them, in words; empty where there is nobody."""
    if roster is None or not (course.root / "gradebook.db").exists():
        return []
    graded = {name: by_hand.read(course, name) for name in assignments.names()}
    # Of each homework by itself: Moodle gives a student another number in the next one.
    found = dict(sorted(pair for students in graded.values() for pair in whose(students, roster).items()))
    strangers = [old for old, new in found.items() if not new]
    said = [f"graded, and not in the roster: {', '.join(strangers)}"] if strangers else []
    for old, new in ((old, new) for old, new in found.items() if new):
        mine = {name: marks[old] for name, marks in graded.items() if old in marks}
        twice = [name for name in mine if new in graded[name]]
        given = [name for name, marks in mine.items() if any(m.by_hand is not None or m.extra for m in marks.values())]
        text = f"{old} is {new} in the roster by now."
        if twice:
            text += f" Of {', '.join(twice)} that of {new} counts, and that of {old} is left out."
        if only_old := [name for name in mine if name not in twice]:
            text += f" {', '.join(only_old)} is graded as {old} only: run `deepul grade {only_old[0]}` again."
        if given:
            text += f" Points that {old} has by hand ({', '.join(given)}) stay there: give them to {new} in formgrader."
        said.append(text)
    return said
