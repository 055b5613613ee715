"""What a TA sees of a download before anything is graded: whose it is, what is missing, how long it would train."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from autograder import assignments
from autograder.course import CourseError, trouble
from autograder.files import write_atomically
from autograder.grading import archives, choice, normalise, submissions
from autograder.grading.batch import Graded, table_text
from autograder.grading.downloads import Download, uses
from autograder.grading.submissions import Part, Submission

COLUMNS = ("file", "student", "use")


def write(file: Path, assignment: str, download: Download, chosen: list[Submission], results: Sequence[Graded]) -> None:
    """files.csv: what became of every file of a download; a line without a file for who handed in nothing."""
    uses_of = dict.fromkeys(download.missing, "handed in nothing")
    uses_of |= dict.fromkeys(download.only_texts, "handed in a text, no file")
    missing = [dict(file="", student=student, use=use) for student, use in uses_of.items()]
    left = set().union(*(_left_out(one, assignment) for one in chosen))
    failed = {r.student: f"not graded: {' '.join(r.problems)}" for r in results if r.not_graded}
    write_atomically(file, table_text(COLUMNS, [*uses(download, chosen, failed, left), *missing]))


def _left_out(one: Submission, assignment: str) -> set[Path]:
    """The notebooks, and archives with one, that lie beside the one that is graded; none where it is one archive."""
    parts = [Part(one.path, one.name or f"{assignment}{one.path.suffix}"), *one.beside]
    places = {part.name: part.path for part in parts if part.path.is_file()}
    places |= {p.relative_to(one.path).as_posix(): p for p in one.path.rglob("*") if p.is_file()}
    notebooks = {name: place for name, place in places.items() if name.lower().endswith(".ipynb")}
    if notebooks:
        notebooks |= {name: place for name, place in places.items() if _holds_notebook(place)}
    if len(notebooks) < 2:
        return set()
    try:
        graded = _graded_notebook(*submissions.read(one, assignment), assignment)
    except (CourseError, OSError):  # said where it is graded: there is no grade then
        return set()
    return {place for name, place in notebooks.items() if name != graded}


def _holds_notebook(place: Path) -> bool:
    """Whether a file is an archive, which can be opened, with a notebook in it."""
    if not archives.is_archive(place.name) or not submissions.is_ordinary(place):
        return False
    try:
        with place.open("rb") as stream:
            return any(n.lower().endswith(".ipynb") for n in archives.names(stream, place.name))
    except (CourseError, OSError):
        return False


def table(assignment: str, chosen: list[Submission]) -> Table:
    """One row a student: what would be graded, which weights are missing, and how long they train."""
    reference = json.loads(assignments.get(assignment).reference.read_text(encoding="utf-8"))
    needed = {name: r["seconds"] for name, r in reference.items() if not name.startswith("_") and r["seconds"]}
    shown = Table("student", "graded would be", "when", "weights missing", box=SIMPLE_HEAD)
    shown.add_column("trains about", justify="right")
    for one in chosen:
        what, missing = _looked_into(one, assignment, list(needed))
        when = ", ".join(filter(None, (str(one.arrived or ""), "late" if one.late else "", one.attempt)))
        listed = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        takes = f"{sum(needed[m] for m in missing):.0f} s" if missing else ""
        shown.add_row(escape(one.student), escape(what), when, listed, takes)
    return shown


def changed(rows: list[dict]) -> Table:
    """One row for each student whose points changed: old → new, and where. rows: of `report.changes`."""
    shown = Table("student", box=SIMPLE_HEAD)
    shown.add_column("change", justify="right", no_wrap=True)
    shown.add_column("where")
    for student in dict.fromkeys(r["student"] for r in rows):
        mine = [r for r in rows if r["student"] == student]
        difference = sum((r["now"] or 0) - (r["before"] or 0) for r in mine)
        where = "\n".join(f"{r['exercise']}: {r['check']} {_or_none(r['before'])} → {_or_none(r['now'])}" for r in mine)
        shown.add_row(escape(student), f"{difference:+g}", escape(where))
    return shown


def _or_none(points) -> str:
    return "none" if points == "" else f"{points:g}"


def _graded_notebook(files: dict[str, bytes], left_out: list[str], assignment: str) -> str:
    handout = assignments.get(assignment).handout / f"{assignment}.ipynb"
    return normalise.notebook_of(files, assignment, json.loads(handout.read_text(encoding="utf-8")), left_out)


def _looked_into(one: Submission, assignment: str, artifacts: list[str]) -> tuple[str, list[str]]:
    """(what would be graded, or why nothing can be; the artifacts that are missing)."""
    try:
        files, left_out = submissions.read(one, assignment)
        here = assignments.get(assignment)
        chosen = _graded_notebook(files, left_out, assignment)
    except CourseError as error:
        return f"not: {error}", []
    except OSError as error:
        return f"not: {trouble(error)}", []
    handed_in = {PurePosixPath(n).name for n in choice.with_weights(files, PurePosixPath(), assignment)[0]}
    open_ones = choice.unwritten(files[chosen])
    written = {e.name for e in here.exercises if e.number not in open_ones}
    missing = [a for a in artifacts if a.split(".")[0] in written and f"{a}.safetensors" not in handed_in]
    return archives.printable(chosen), missing
