"""`deepul show`: one check of one student, with what was measured, arrays, figures, and the code at the line."""

import base64
import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from autograder import assignments
from autograder.course import Course, CourseError
from autograder.display import ICONS, number, wrapped
from autograder.files import write_atomically
from autograder.grading import report
from autograder.grading.again import Call, Check, Shown
from autograder.grading.listings import Listing
from autograder.grading.submissions import Submission

MOST_CALLS = 12  # of them in a terminal; the page has all
MOST_CODE = 40  # lines of one listing there


def checks(assignment: str) -> list[Check]:
    """All checks of an assignment, in their order."""
    return [
        Check(e, name.removeprefix("test_"), test.title)
        for e in assignments.get(assignment).exercises
        for name, test in vars(e.module).items()
        if name.startswith("test_")
    ]


def find(assignment: str, words: str) -> Check:
    """The check that is meant: an exercise's name or number, a point, and words of a check's name or title.

    Raises CourseError naming the near ones where there is none, or more than one.
    """
    every = checks(assignment)
    names = {key: e for e in assignments.get(assignment).exercises for key in (e.name, e.number)}
    key = max((k for k in names if words == k or words.startswith(f"{k}.")), key=len, default="")
    if not key:
        known = list(dict.fromkeys(c.exercise.name for c in every))
        exercise = words.split(".")[0]
        raise CourseError(f"{assignment} has no exercise {exercise!r}.{_near(exercise, known)}")
    here, wanted = [c for c in every if c.exercise is names[key]], _plain(words.removeprefix(key))
    found = [c for c in here if _plain(c.name) == wanted] or [
        c for c in here if wanted in _plain(c.name) or wanted in _plain(c.title)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise CourseError(f"--check {words} may be any of these, give more of its name: {_listed(map(str, found))}.")
    raise CourseError(f"There is no check {words!r}.{_near(words, [str(c) for c in here])}")


def _plain(words: str) -> str:
    return re.sub(r"[\W_]+", " ", words).casefold().strip()


def _near(word: str, known: list[str]) -> str:
    """The names that are like a word, as a sentence; all of them where none is."""
    lower = {name.casefold(): name for name in known}
    close = [lower[low] for low in difflib.get_close_matches(word.casefold(), lower, 3, 0.5)]
    inside = [name for low, name in lower.items() if word and (word.casefold() in low or low in word.casefold())]
    near = list(dict.fromkeys([*close, *inside]))[:3]
    return f" Did you mean {' or '.join(near)}?" if near else f" There are: {_listed(known)}."


def _listed(names: Iterable[str], most: int = 40) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def submission(course: Course, assignment: str, student: str) -> Submission:
    """What a student handed in, as grading kept it. Raises CourseError naming the near ones where there is nothing."""
    folder = course.root / "submitted"
    known = sorted(p.parent.name for p in folder.glob(f"*/{assignment}") if not p.parent.name.startswith("."))
    last = report.earlier_result(course, assignment, student)
    if last and last.not_graded and student not in known:
        raise CourseError(f"{student} has no grade: {' '.join(last.problems)}")
    if not known:
        raise CourseError(f"No {assignment} was graded in {course.root} yet: deepul grade {assignment} DOWNLOAD.")
    if student not in known:
        raise CourseError(f"There is no submission of {student!r} for {assignment}.{_near(student, known)}")
    return Submission(student, folder / student / assignment)


def graded(course: Course, assignment: str, student: str) -> str:
    """The checks of a student, as the last grade had them, each called as --check calls it. Raises CourseError."""
    earlier = report.earlier_result(course, assignment, student)
    if earlier is None:
        raise CourseError(
            f"{student} has no result of this version of the kit yet: deepul grade {assignment} DOWNLOAD."
        )
    lines = []
    for score in earlier.scores:
        lines.append(f"{score['number']} {score['title']}: {number(score['points'])} of {number(score['max_points'])}")
        for c in score["checks"]:
            lines += wrapped(f"{score['exercise']}.{c['name']}", f"  {_points(c)}  ")
    return "\n".join(lines)


def _points(check: dict) -> str:
    earned = "?" if check["points"] is None else number(check["points"])
    return f"{ICONS[check['outcome']]} {earned:>4} of {number(check['max_points']):<4}"


def text(shown: Shown) -> str:
    """All of it for a terminal, in 80 columns but for the student's own lines; the page has every call."""
    result = shown.result
    lines = [f"{shown.check} of {shown.student}, seed {shown.seed}", ""]
    lines += wrapped(result["title"], f"{_points(result)}  ")
    hint = "hint" if result["outcome"] in ("failed", "partial") else ""
    for what in filter(None, ("measured", "required", hint)):
        lines += wrapped(result[what], f"  {what:9} ") if result[what] else []
    lines += ["", *_compared(shown)]
    for note in shown.told:
        lines += wrapped(note, "  ! ")
    calls = shown.calls[:MOST_CALLS]
    lines += ["", "What the student's code was asked, and answered:"] if calls else []
    for call in calls:
        lines += _call(call)
    lines += [f"  … and {len(shown.calls) - len(calls)} more: on the page"] if len(shown.calls) > len(calls) else []
    for listing in shown.code:
        lines += ["", f"{listing.title}, lines of its cell:", *_code(listing)]
    if shown.printed.strip():
        lines += ["", "Its code printed:", *(f"  | {line}" for line in shown.printed.strip().splitlines()[-10:])]
    return "\n".join(lines)


def _compared(shown: Shown) -> Iterator[str]:
    """Whether it is what the grade says."""
    if shown.before is None:
        yield "There is no grade to compare with."
    elif shown.agrees:
        yield "The grade says the same."
    else:
        yield from wrapped(f"The grade gave {_points(shown.before)}: {shown.before['measured']}", "  ! ")
        yield from wrapped("The code differs from run to run, or the checks changed since: grade again.", "  ! ")
    if shown.alone:
        said = (
            f"By itself it gave {_points(shown.alone)} ({shown.alone['measured']}); this is with its exercise’s others."
        )
        yield from wrapped(said, "  ! ")


def _call(call: Call) -> list[str]:
    often = f" (so {call.times} times)" if call.times > 1 else ""
    return [*wrapped(call.asked, "  "), *(wrapped(call.answered + often, "    → ") if call.answered else [])]


def _code(listing: Listing) -> Iterator[str]:
    rows = listing.numbered
    if listing.marked and len(rows) > MOST_CODE:
        rows = [row for row in rows if abs(row[0] - listing.marked) <= MOST_CODE // 2]
    for place, line, is_meant in rows[:MOST_CODE]:
        yield f"{'→' if is_meant else ' '} {place:4} {line}"
    if len(rows) > MOST_CODE:
        yield "       …"


def write(folder: Path, shown: Shown) -> list[Path]:
    """Write a page, and the arrays and the student's own figure beside it, into a folder; the files, page first."""
    files = [folder / "index.html"]
    folder.mkdir(parents=True, exist_ok=True)
    if arrays := _arrays(shown.calls):
        files.append(folder / "arrays.npz")
        np.savez_compressed(files[-1], **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    if shown.figure:
        files.append(folder / "figure.png")
        files[-1].write_bytes(base64.b64decode(shown.figure))
    template = report.environment().get_template("show.html.j2")
    page = template.render(shown=shown, compared=list(_compared(shown)), files=[file.name for file in files[1:]])
    write_atomically(files[0], page)
    return files


def _arrays(calls: list[Call]) -> dict[str, np.ndarray]:
    """{a name for a file of NumPy, such as "003_MADE_sample_answered_0": the array} of all calls."""
    named = (
        (f"{k:03d} {c.asked.split('(')[0]} {what}", a) for k, c in enumerate(calls) for what, a in c.arrays.items()
    )
    return {re.sub(r"\W+", "_", name): array for name, array in named}


def place(course: Course, assignment: str, shown: Shown) -> Path:
    """The folder for what is shown of a student's check."""
    return course.root / "reports" / assignment / "show" / shown.student / str(shown.check)
