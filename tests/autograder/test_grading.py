"""Grading a class: whatever a TA's folder holds, every submission ends in a grade or in a reason."""

import contextlib
import csv
import errno
import functools
import gc
import io
import json
import math
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from autograder import assignments, cli, demo, roster
from autograder.course import Course, CourseError, reason, trouble
from autograder.grading import archives, batch, by_hand, downloads, export, nbgrader_steps, report, submissions, workers
from autograder.grading.execute import Execution
from autograder.grading.limits import Limits
from autograder.grading.normalise import checked, normalise
from autograder.grading.record import harmless
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission
from autograder.proof import changes, validate
from autograder.score import MIME
from tests.autograder import attacks


@pytest.fixture
def course(tmp_path):
    return Course.at(tmp_path / "course")


def notebook(path: Path, text: str = '{"cells": []}') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> tuple[dict[str, bytes], list[str]]:
    return submissions.read(submissions.Submission("ada", path), "hw1")


def test_finds_folders_zips_notebooks_and_nbgraders_own_layout(tmp_path):
    notebook(tmp_path / "ada" / "hw1.ipynb")
    notebook(tmp_path / "ben" / "hw1" / "hw1.ipynb")
    notebook(tmp_path / "hw1-cleo.ipynb")
    with zipfile.ZipFile(tmp_path / "hw1_dan.zip", "w") as archive:
        archive.writestr("hw1.ipynb", "{}")
    (tmp_path / "grades.csv").touch()
    (tmp_path / ".DS_Store").touch()
    found = downloads.find(tmp_path, "hw1").chosen()
    assert {s.student: s.path.name for s in found} == {
        "ada": "ada",
        "ben": "hw1",
        "cleo": "hw1-cleo.ipynb",
        "dan": "hw1_dan.zip",
    }


def test_every_name_of_a_submission_gives_a_student(tmp_path):
    notebook(tmp_path / "hw1-.ipynb")
    notebook(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")) / "hw1.ipynb")
    assert set(downloads.find(tmp_path, "hw1").attempts) == {"hw1-", "caf_"}


def test_says_what_is_wrong_with_the_folder(tmp_path):
    with pytest.raises(CourseError, match="There is no folder"):
        downloads.find(tmp_path / "nowhere", "hw1")
    with pytest.raises(CourseError, match="holds no submissions"):
        downloads.find(tmp_path, "hw1")


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/outside.txt", "a/../../outside.txt", "..\\outside.txt", "C:x"]
)
def test_refuses_an_archive_that_reaches_outside(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(CourseError, match="outside its own folder"):
        read(tmp_path / "ada.zip")


def test_refuses_what_is_no_zip_and_what_is_too_big(tmp_path, monkeypatch):
    (tmp_path / "ada.zip").write_bytes(b"not a zip")
    with pytest.raises(CourseError, match="no readable zip"):
        read(tmp_path / "ada.zip")
    with zipfile.ZipFile(tmp_path / "ada.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("hw1.ipynb", "0" * 10_000)
    whole = (tmp_path / "ada.zip").read_bytes()
    (tmp_path / "ada.zip").write_bytes(whole[:20] + bytes(20) + whole[40:])  # damaged inside
    with pytest.raises(CourseError, match="no readable zip"):
        read(tmp_path / "ada.zip")
    (tmp_path / "ada.zip").write_bytes(whole)
    monkeypatch.setattr(submissions, "MOST_BYTES", 5_000)
    with pytest.raises(CourseError, match="unpacks to more than"):
        read(tmp_path / "ada.zip")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "ada.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(5):
            archive.writestr(f"{k}.bin", bytes(submissions.MOST_FILE))
    with pytest.raises(CourseError, match="unpacks to more than"):
        read(tmp_path / "ada.zip")


def test_what_is_too_large_or_no_ordinary_file_is_left_out_and_said(tmp_path):
    secret = notebook(tmp_path / "secret.txt", "solutions")
    folder = tmp_path / "ada"
    notebook(folder / "hw1.ipynb")
    os.symlink(secret, folder / "stolen.txt")
    os.symlink(tmp_path, folder / "folder")
    os.mkfifo(folder / "pipe")
    with (folder / "huge.safetensors").open("wb") as file:
        file.truncate(2 * 2**30)  # two gigabytes that take no disk
    files, left_out = read(folder)
    assert set(files) == {"hw1.ipynb"}
    assert sorted(left_out) == [
        "folder: a link to somewhere else",
        "huge.safetensors: it has 2,048 MB, the most is 64 MB",
        "pipe: no ordinary file",
        "stolen.txt: a link to somewhere else",
    ]


def test_a_link_inside_a_zip_is_left_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.writestr("hw1.ipynb", "{}")
        link = zipfile.ZipInfo("stolen.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    files, left_out = read(tmp_path / "ada.zip")
    assert set(files) == {"hw1.ipynb"}
    assert left_out == ["stolen.txt: a link or a device"]


def test_a_submission_is_kept_as_it_came_but_for_the_time_it_claims(course, tmp_path):
    notebook(tmp_path / "ada" / "hw1.ipynb")
    submission = submissions.Submission("ada", tmp_path / "ada")
    target = course.root / "submitted" / "ada" / "hw1"
    notebook(target / "old.txt", "old")
    batch._keep_submitted(course, "hw1", submission, {"hw1.ipynb": b"{}", "timestamp.txt": b"1999", "a/b": b"c"})
    assert {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()} == {"hw1.ipynb", "a/b"}
    submission = submissions.Submission("ada", target)  # nbgrader's own layout: nothing to copy
    batch._keep_submitted(course, "hw1", submission, {})
    assert (target / "hw1.ipynb").exists()


def test_the_salt_is_made_once_and_differs_between_courses(course, tmp_path):
    assert course.salt == course.salt
    assert len(course.salt) == 32
    assert course.salt != Course.at(tmp_path / "other").salt


def test_the_report_shows_everybody_and_escapes_what_students_write(tmp_path):
    result = batch.Graded("<b>eve</b>", problems=["<script>alert(1)</script>"], not_graded=True)
    fine = batch.Graded("ada", scores=[batch.blank("made", "1.2", "MADE", 20, "passed", 20.0, "<i>fine</i>")])
    page = report.write(tmp_path, "hw1", [result, fine]).read_text(encoding="utf-8")
    pages = [(tmp_path / report.address(r.student)).read_text(encoding="utf-8") for r in (result, fine)]
    for text in (page, *pages):
        assert "<script>alert" not in text
        assert "<b>eve" not in text
        assert "<i>fine" not in text
    assert "not graded" in page
    assert ">ada<" in page
    assert "&lt;script&gt;alert(1)" in pages[0]


@pytest.mark.slow
def test_plain_nbgrader_autograde_gives_partial_credit(course):
    """What a TA who knows nbgrader types; formgrader's button does the same."""
    handout = release(course, "hw1", figures=False) / "hw1.ipynb"
    cells = changes.apply(changes.mutant("hw1", "argmax-sampling"), solution_cells("hw1"))
    handed_in = course.root / "submitted" / "ada" / "hw1"
    write_submission(handout, handed_in, cells, demo.QUICK, demo.QUICK)
    # Hostile too: nothing of this may be run outside the sandbox, copied, or change a grade.
    os.symlink("/etc/passwd", handed_in / "stolen.txt")
    notebook(handed_in / "torch" / "__init__.py", "raise SystemExit")
    attacks.code("import os; print('sandboxed:', os.getpid())")(handed_in)
    command = [Path(sys.executable).parent / "nbgrader", "autograde", "hw1"]
    done = subprocess.run(command, cwd=course.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with course.gradebook() as gradebook:
        assert gradebook.find_submission("hw1", "ada").score == 32
    graded = course.root / "autograded" / "ada" / "hw1"
    assert "sandboxed: 1" in (graded / "hw1.ipynb").read_text()
    assert not (graded / "stolen.txt").exists()
    assert not (graded / "torch").exists()


def test_no_folder_of_a_course_is_graded_outside_the_sandbox(course):
    course.configure()
    course.configure()  # ours is left as it is
    file = course.root / "nbgrader_config.py"
    file.write_text(f"# my own settings\n{file.read_text()}\nc.CourseDirectory.course_id = 'mine'\n")
    course.configure()
    assert "'mine'" in file.read_text()
    file.write_text("c = get_config()\n")
    for use in (course.configure, lambda: release(course, "hw1", figures=False), lambda: batch.prepare(course, "hw1")):
        with pytest.raises(CourseError, match="outside the sandbox") as caught:
            use()
        assert "load_subconfig" in str(caught.value), "what to add"


def test_one_that_cannot_be_recorded_stops_no_other(course, tmp_path, monkeypatch):
    handout = release(course, "hw1", figures=False) / "hw1.ipynb"
    for student in ("ada", "ben", "cleo"):
        write_submission(handout, tmp_path / "in" / student, solution_cells("hw1"), (), ())
    record, reasons = batch.Recorder._grades, iter([OSError(28, "No space left on device"), None])

    def failing(self, student, *rest):
        if student != "cleo" and (error := next(reasons)):
            raise error
        record(self, student, *rest)

    monkeypatch.setattr(batch.Recorder, "_grades", failing)
    found = downloads.find(tmp_path / "in", "hw1").chosen()
    results = {r.student: r for r in batch.grade(course, "hw1", found)}
    assert len(results) == 3
    (lost,) = [r for r in results.values() if r.incomplete]
    assert "Graded, but not recorded in the gradebook" in lost.problems[0]
    assert "No space left on device" in lost.problems[0]
    with course.gradebook() as gradebook:
        recorded = {s.student.id for s in gradebook.assignment_submissions("hw1")}
    assert recorded | {lost.student} == set(results)
    monkeypatch.setattr(batch.Recorder, "_grades", record)
    assert not any(r.incomplete for r in batch.grade(course, "hw1", found))
    with course.gradebook() as gradebook:
        assert len(gradebook.assignment_submissions("hw1")) == 3


def test_a_name_is_one_that_every_table_and_disk_takes(tmp_path):
    for name, student in (
        ('Ada <b>&"x"', "Ada _b___x_"),
        ("O'Brien", "O'Brien"),
        ("e\u0301ve", "\u00e9ve"),
        ("a\u202eb\u200fc", "abc"),
        ("李 明", "李 明"),
        (".x", "x"),
        ("a/b", "a_b"),
    ):
        assert roster.student_id(name) == student
    long = [roster.student_id("é" * 120 + end) for end in ("a", "b")]
    assert long[0] != long[1]
    assert max(len(name.encode()) for name in long) <= roster.MOST_STUDENT
    assert roster.student_id("\u200b").startswith("no-name-")
    notebook(tmp_path / "e\u0301ve" / "hw1.ipynb")
    notebook(tmp_path / "\u00e9ve" / "hw1.ipynb")
    (only,) = downloads.find(tmp_path, "hw1").chosen()
    assert "both belong to \u00e9ve" in only.problem


@pytest.mark.parametrize("begins", ["=1+1", "+1", "-2+3", "@x", "\t=1", "\r=1", "\n=1"])
def test_no_cell_of_the_table_is_a_formula(tmp_path, begins):
    graded = batch.without_grade("ada", "hw1", begins)
    batch.write_csv(tmp_path / "grades.csv", "hw1", [graded])
    with (tmp_path / "grades.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["measured"] for row in csv.DictReader(stream)} == {f"'{begins}"}


def test_the_secret_of_a_course_is_made_once_and_nobody_else_may_read_it(tmp_path):
    salt = Course.at(tmp_path).salt
    assert Course.at(tmp_path).salt == salt
    assert len(salt) == 32
    assert stat.S_IMODE((tmp_path / ".deepul-salt").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", "gehe\u00edm".encode() * 8, b"\xff" * 40, b"0" * 20 + b"\0" * 20]
)
def test_a_secret_that_is_none_is_said_with_its_file(content, tmp_path):
    (tmp_path / ".deepul-salt").write_bytes(content)
    with pytest.raises(CourseError, match=r"\.deepul-salt holds no secret: 32 letters and digits, or more\. Put"):
        _ = Course.at(tmp_path).salt


def test_a_full_disk_leaves_no_half_a_secret_and_no_half_a_configuration(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    course = Course.at(tmp_path / "course")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        for use in (course.configure, lambda: course.salt):
            with pytest.raises(OSError, match="No space left") as caught:
                use()
            assert Path(caught.value.filename).parent == course.root
        assert list(course.root.iterdir()) == []
    course.configure()
    assert len(course.salt) == 32
    (course.root / "nbgrader_config.py").write_text("")
    course.configure()
    assert "load_subconfig" in (course.root / "nbgrader_config.py").read_text()


def test_a_secret_is_made_where_the_file_system_knows_no_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    salt = Course.at(tmp_path).salt
    assert len(salt) == 32
    assert Course.at(tmp_path).salt == salt
    assert [f.name for f in tmp_path.iterdir()] == [".deepul-salt"]


FROZEN = json.loads((Path(__file__).parent / "frozen.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("assignment", FROZEN["cells"])
def test_the_cells_of_a_handout_keep_their_ids_and_points(assignment):
    """A gradebook knows them by these, and so do submissions that are under way."""
    handout = json.loads((assignments.get(assignment).handout / f"{assignment}.ipynb").read_text(encoding="utf-8"))
    marked = [c["metadata"]["nbgrader"] for c in handout["cells"] if "nbgrader" in c["metadata"]]
    points = {cell["grade_id"]: cell.get("points") for cell in marked}
    answers = {q.id: q.points for q in assignments.get(assignment).questions}
    assert points == FROZEN["cells"][assignment] | answers


@pytest.mark.slow
def test_the_demo_class_is_graded_as_it_should_be(tmp_path):
    """The main job, end to end: what each submission earns, and on which checks it loses points."""
    course, found = demo.prepare(tmp_path / "demo", "hw1", tell=print)
    broken = notebook(tmp_path / "broken" / "hw1.ipynb", "this is no notebook")
    found.append(submissions.Submission("broken", broken.parent))
    results = batch.grade(course, "hw1", found)
    by_student = {r.student: r for r in results}
    points = {s: r.points for s, r in by_student.items() if s != "broken"}
    assert points == {
        "complete": 100,
        "only_1_1": 15,
        "wrong_mask": pytest.approx(24.4, abs=0.3),  # it trains with its leak, and comes near to the limit
        "edge_bins": 28,
        "blank": 0,
        "syntax_error": 15,
    }

    # The same submissions earn the same, check by check, as they did before assignments became folders of their own.
    for student, frozen in FROZEN["points"].items():
        earned = {s["exercise"]: {c["name"]: c["points"] for c in s["checks"]} for s in by_student[student].scores}
        assert earned == {e: pytest.approx(checks, abs=0.3) for e, checks in frozen.items()}, student

    def failed(student: str) -> set[str]:
        return {c["name"] for s in by_student[student].scores for c in s["checks"] if c["outcome"] == "failed"}

    assert failed("wrong_mask") == {"each_output_depends_only_on_earlier_inputs", "probabilities_sum_to_one"}
    assert failed("edge_bins") == {"probabilities_sum_to_one"}
    assert not failed("complete") | failed("blank") | failed("only_1_1")
    shown = json.dumps(by_student["syntax_error"].scores)
    assert "MADE is not defined: its cell stopped with SyntaxError in line 1: expected ':'" in shown
    assert by_student["broken"].not_graded

    # Seeds come from the course's salt, not from the live one that every student can see. What is measured is rounded,
    # so one text may be the same by chance, in one of some hundred courses; not both.
    sampled = {
        s["exercise"]: c["measured"]
        for s in by_student["complete"].scores
        if s["exercise"] in demo.QUICK
        for c in s["checks"]
        if "samples_follow" in c["name"]
    }
    live = {
        e: r.measured
        for e in demo.QUICK
        for r in validate.score(validate.Case(assignments.get_exercise(e), "solution")).results
        if "samples_follow" in r.name
    }
    assert sampled.keys() == live.keys()
    assert len(live) == 2
    assert sampled != live

    batch.write_csv(tmp_path / "grades.csv", "hw1", results)
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text(encoding="utf-8").splitlines()))
    assert tuple(rows[0]) == batch.COLUMNS
    complete = [r for r in rows if r["student"] == "complete"]
    assert sum(float(r["points"] or 0) for r in complete) == 100
    assert all(r["points"] == "" for r in rows if r["outcome"] == "not graded")

    with course.gradebook() as gradebook:  # nbgrader's own record says the same
        recorded = {s.student.id: s.score for s in gradebook.assignment_submissions("hw1")}
    assert {s: p for s, p in recorded.items() if s != "broken"} == pytest.approx(points)

    # A submission that was graded once and is broken now keeps no old score.
    blank = next(s for s in found if s.student == "complete")
    notebook(course.root / "handed_in" / "complete" / "hw1.ipynb", "{")
    assert (course.root / "autograded" / "complete" / "hw1").exists()
    assert batch.grade(course, "hw1", [blank])[0].not_graded
    with course.gradebook() as gradebook:
        assert "complete" not in {s.student.id for s in gradebook.assignment_submissions("hw1")}
    assert not (course.root / "autograded" / "complete" / "hw1").exists()


# What a disk and a gradebook may refuse. Nothing is run here: every submission earns the points that its name says.

NUMBERS = {"ada": 3.0, "ben": 5.0, "cleo": 7.0}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory) -> Path:
    """A course with its assignment, and three submissions."""
    root = tmp_path_factory.mktemp("made")
    batch.prepare(Course.at(root / "course"), "hw1")
    for student in NUMBERS:
        notebook(
            root / "in" / student / "hw1.ipynb",
            json.dumps(
                {
                    "cells": [
                        {"cell_type": "code", "metadata": {}, "source": f"# {student}\nx = 1"},
                    ]
                }
            ),
        )
    return root


@pytest.fixture
def made(made_once, tmp_path, monkeypatch) -> Path:
    """A copy of these, with workers that grade by name."""
    for name in ("course", "in"):
        shutil.copytree(made_once / name, tmp_path / name)
    monkeypatch.setattr(batch.workers, "run", _by_name)
    monkeypatch.setattr(batch.workers.Workers, "warm_up", lambda *_: None)
    monkeypatch.setattr("autograder.grading.sandbox.require", lambda: None)
    return tmp_path


GRADED: list[str] = []  # who was not known already


def _by_name(wanted, _):
    for item in wanted:
        if item.result is not None:
            yield item, item.result
        else:
            GRADED.append(item.student)
            yield item, _result(item.student, item.job)


def _result(student: str, job, missing: str = "") -> dict:
    """A result in which each exercise has the student's number of points, and `missing` none, by a fault of ours."""
    scores = {}
    for e in assignments.get("hw1").exercises:
        gone = e.name == missing
        score = batch.blank(
            e.name,
            e.number,
            e.title,
            e.points,
            "not graded" if gone else "partial",
            None if gone else NUMBERS[student],
            "measured",
        )
        score["checks"][0]["fault"] = "ZeroDivisionError: ours" if gone else ""
        scores[e.name] = score
    written = json.loads(json.dumps(job.submission.notebook))
    for cell in written["cells"]:
        if name := checked(cell):
            data = {"text/plain": str(scores[name]["points"]), MIME: scores[name]}
            cell["outputs"] = [{"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 1}]
    return Execution(written, scores, fault="ZeroDivisionError: ours" if missing else "").to_json()


def command(monkeypatch, capsys, made: Path, *options: str) -> tuple[int, str]:
    """`deepul grade` in this process: (exit code, what was printed, in one line)."""
    monkeypatch.setattr(cli, "console", Console(width=10_000))
    arguments = ["deepul", "grade", "hw1", str(made / "in"), "--course", str(made / "course"), *options]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return ended.value.code, " ".join(printed.out.split())


def table(made: Path) -> dict[str, float]:
    """{student: points} in checks.csv."""
    with (made / "course" / "reports" / "hw1" / "checks.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    checks = [r for r in rows if not r["check"].startswith("answer-")]
    assert len(checks) == 5 * len({r["student"] for r in rows}), "a row for every exercise of everybody"
    return {s: sum(float(r["points"]) for r in rows if r["student"] == s) for s in {r["student"] for r in rows}}


def recorded(made: Path) -> dict[str, float]:
    with Course.at(made / "course").gradebook() as gradebook:
        return {s.student.id: s.score for s in gradebook.assignment_submissions("hw1")}


ALL = {student: 5 * points for student, points in NUMBERS.items()}


def refuse(monkeypatch, folder: Path, number: int) -> None:
    """Let the system refuse to write anything under a folder, as a full or read-only disk does."""

    def refusing(original, is_writing=lambda *_: True):
        def call(path, *rest, **named):
            inside = not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(folder)
            if inside and is_writing(*rest, *named.values()):
                raise OSError(number, os.strerror(number), os.fsdecode(path))
            return original(path, *rest, **named)

        return call

    for name in ("replace", "rename", "mkdir", "unlink"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    monkeypatch.setattr(io, "open", refusing(io.open, lambda *rest: any(set(str(r)) & set("wax+") for r in rest[:1])))


WORDS = {errno.ENOSPC: "the disk is full", errno.EROFS: "allow writing there", errno.EACCES: "allow writing there"}


@pytest.mark.parametrize("number", WORDS)
@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("reports", 1, "the tables could not all be written in"),
        ("submitted", 1, "not kept in submitted/"),
        ("autograded", 1, "not recorded in the gradebook"),
        (".deepul/cache", 1, "the result could not be kept"),
        (".deepul/traces", 1, "not compared with other submissions"),
        (".deepul/results", 1, "the tables could not all be written in"),
        (".deepul", 2, ""),
        ("", 2, ""),
    ],
)
def test_what_a_disk_refuses_is_said_and_costs_no_grade(made, monkeypatch, capsys, where, code, said, number):
    with monkeypatch.context() as patch:
        refuse(patch, made / "course" / where, number)
        ended, printed = command(patch, capsys, made)
    assert ended == code, printed
    assert said in printed
    assert WORDS[number] in printed
    assert str(made / "course" / where) in printed, "where"
    assert "again" in printed, "what to do then"
    if code == 1 and where != "autograded":
        assert recorded(made) == ALL
    if code == 1 and where not in ("reports", ".deepul/results"):
        assert table(made) == ALL
    GRADED.clear()
    ended, printed = command(monkeypatch, capsys, made)
    assert (ended, table(made), recorded(made)) == (0, ALL, ALL), printed
    assert bool(GRADED) == (code == 2 or where == ".deepul/cache"), "what was graded is not graded again"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("left", [40, 300, 600, 1400, None])
def test_on_a_real_disk_too(made, monkeypatch, capsys, left):
    """left: so many KiB are free on it; None: it is read-only."""
    small = made / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "none", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no mounting here")
    try:
        (made / "course").rename(made / "whole")
        for path in ("nbgrader_config.py", "gradebook.db", ".deepul", ".deepul-salt", "release"):
            there = made / "whole" / path
            if there.exists():
                (shutil.copytree if there.is_dir() else shutil.copy)(there, small / path)
        os.symlink(small, made / "course")
        used = shutil.disk_usage(small).used // 1024
        options = "remount,ro" if left is None else f"remount,size={used + left}k"
        subprocess.run(["mount", "-o", options, str(small)], check=True)
        ended, printed = command(monkeypatch, capsys, made)
        assert ended in ((2,) if left is None else (0, 1, 2)), (used, printed)
        assert ended == 0 or "full" in printed or "allow writing" in printed, printed
        subprocess.run(["mount", "-o", "remount,rw,size=20m", str(small)], check=True)
        ended, printed = command(monkeypatch, capsys, made)
        assert (ended, table(made), recorded(made)) == (0, ALL, ALL), printed
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_gradebook_that_is_in_use_or_broken_is_said(made, monkeypatch, capsys):
    monkeypatch.setattr("autograder.course.LOCKED_SECONDS", 0.2)
    file = made / "course" / "gradebook.db"
    with contextlib.closing(sqlite3.connect(file)) as formgrader:
        formgrader.execute("BEGIN EXCLUSIVE")
        ended, printed = command(monkeypatch, capsys, made)
        assert ended == 2
        assert "gradebook.db is in use by another program" in printed
    file.rename(made / "kept.db")
    file.write_bytes(b"no gradebook" * 1000)
    ended, printed = command(monkeypatch, capsys, made)
    assert ended == 2
    assert "gradebook.db is damaged: put back a copy" in printed
    file.unlink()
    (made / "kept.db").rename(file)
    assert command(monkeypatch, capsys, made)[0] == 0
    assert recorded(made) == ALL


def test_a_grade_that_cannot_be_taken_out_is_said_and_stops_no_other(made, monkeypatch, capsys):
    assert command(monkeypatch, capsys, made)[0] == 0
    monkeypatch.setattr("autograder.course.LOCKED_SECONDS", 0.2)
    (made / "in" / "ada" / "hw1.ipynb").write_text("{")  # sent again, and broken
    changed = made / "in" / "ben" / "hw1.ipynb"
    changed.write_text(changed.read_text().replace("x = 1", "x = 2"))
    remove = batch.Recorder.remove

    def remove_while_in_use(self, student):
        with contextlib.closing(sqlite3.connect(made / "course" / "gradebook.db")) as formgrader:
            formgrader.execute("BEGIN IMMEDIATE")
            remove(self, student)

    with monkeypatch.context() as patch:
        patch.setattr(batch.Recorder, "remove", remove_while_in_use)
        ended, printed = command(patch, capsys, made)
    assert ended == 1, printed
    assert "An older grade may stand in the gradebook: gradebook.db is in use" in printed
    assert "1 graded" in printed
    assert "ben: Graded, but not" not in printed
    assert recorded(made) == ALL
    assert command(monkeypatch, capsys, made)[0] == 1
    assert set(recorded(made)) == {"ben", "cleo"}


def test_the_table_is_whole_after_every_student_and_keeps_who_was_graded_before(made, monkeypatch, capsys):
    monkeypatch.setattr(report, "PAGE_SHARE", math.inf)
    seen = []
    original = report.Report.add

    def looking(self, graded):
        original(self, graded)
        seen.append((table(made), (made / "course/reports/hw1/report/index.html").read_text(encoding="utf-8")))

    monkeypatch.setattr(report.Report, "add", looking)
    assert command(monkeypatch, capsys, made)[0] == 0
    assert [set(t) for t, _ in seen] == [{"ada"}, {"ada", "ben"}, {"ada", "ben", "cleo"}]
    assert all(page.rstrip().endswith("</html>") and page.count("<tr data-is=") == len(t) for t, page in seen)
    seen.clear()
    command(monkeypatch, capsys, made, "--only", "ben", "--force")
    assert [t for t, _ in seen] == [ALL]
    assert seen[0][1].count("<tr data-is=") == 3
    monkeypatch.setattr(report, "PAGE_SHARE", 1e-9)  # a page takes so long that there is only one more
    seen.clear()
    command(monkeypatch, capsys, made, "--force")
    assert {page for _, page in seen} == {seen[0][1]}
    shutil.rmtree(made / "in" / "ada")
    said = "1 student of earlier runs not among these, in the tables as graded before: ada"
    assert said in command(monkeypatch, capsys, made)[1]
    assert table(made) == ALL


def test_a_second_download_adds_to_the_tables(made, monkeypatch, capsys):
    (made / "in" / "cleo").rename(made / "late")
    ended, printed = command(monkeypatch, capsys, made)
    assert (ended, "of earlier runs" in printed) == (0, False)
    shutil.rmtree(made / "in")
    (made / "in").mkdir()
    (made / "late").rename(made / "in" / "cleo")
    ended, printed = command(monkeypatch, capsys, made)
    assert (ended, table(made), recorded(made)) == (0, ALL, ALL)
    assert "2 students of earlier runs not among these, in the tables as graded before: ada, ben" in printed
    page = (made / "course/reports/hw1/report/index.html").read_text(encoding="utf-8")
    assert page.count("<tr data-is=") == 3


@pytest.mark.parametrize(
    ("first", "second", "policy", "counts"),
    [
        (2.4, 3, 'per_day = "50 %"', 1),  # what was late has nothing left
        (3, 3, 'per_day = "50 %"', 1),
        (3, 3, "", 1),
        (2.4, 3, "", 2),
        (2.4, 3, "per_day = 2", 2),
        (2.4, 3, "per_day = 4", 1),
        (2.4, 3, 'per_day = "50 %"\nfree_days = 1', 2),
        (2.4, 3, 'per_day = "50 %"\ngrace = 3000', 2),
    ],
)
def test_the_best_attempt_is_the_one_with_most_points_after_the_late_penalty(
    first, second, policy, counts, made, monkeypatch
):
    zone = 'time_zone = "Europe/Berlin"\n'
    due = f"{zone}[assignments.hw1]\ndue = 2026-11-20T23:59:00\n[late]\n{policy}\n"
    (made / "course" / "course.toml").write_text(due, encoding="utf-8")
    attempts = []
    for number, (day, points) in enumerate(((19, first), (21, second)), 1):
        name = f"{number} of 2"
        file = made / "in" / "ada" / "hw1.ipynb" if number == 1 else made / "in" / "ben" / "hw1.ipynb"
        attempts.append(submissions.Submission("ada", file, arrived=datetime(2026, 11, day, 10), attempt=name))
        monkeypatch.setitem(NUMBERS, f"ada ({name})", points)
    cleo = submissions.Submission("cleo", made / "in" / "cleo")
    chosen = batch.best(Course.at(made / "course"), "hw1", {"ada": attempts, "cleo": [cleo]}, batch.Options())
    assert chosen == [attempts[counts - 1], cleo]


def test_equal_submissions_of_a_first_run_are_graded_and_not_unchanged(made, monkeypatch, capsys):
    shutil.copy(made / "in" / "ada" / "hw1.ipynb", made / "in" / "ben" / "hw1.ipynb")
    assert "3 submissions: 3 graded in" in command(monkeypatch, capsys, made)[1]
    printed = command(monkeypatch, capsys, made)[1]
    assert re.search(r"3 submissions: 0 graded in \d+ s, 3 had not changed\.", printed)
    assert "alike.csv: once the same text, weights or code" in printed
    shutil.copytree(made / "in" / "ada", made / "in" / "dan")  # handed in later
    monkeypatch.setitem(NUMBERS, "dan", NUMBERS["ada"])
    notebook(made / "in" / "eve" / "hw1.ipynb", "{")
    ended, printed = command(monkeypatch, capsys, made)
    assert re.search(r"5 submissions: 1 graded in \d+ s, 3 had not changed, 1 could not be graded\.", printed)
    assert ended == 1


@pytest.mark.parametrize("attempt", ["last", "first", "best"])
def test_two_things_of_one_student_are_said_and_everybody_else_is_graded(attempt, made, monkeypatch, capsys):
    assert command(monkeypatch, capsys, made)[0] == 0
    shutil.copy(made / "in" / "ben" / "hw1.ipynb", made / "in" / "ben.ipynb")
    said = "ben and ben.ipynb both belong to ben, and nothing says which is the later one: keep one of them."
    ended, printed = command(monkeypatch, capsys, made, "--dry-run", "--attempt", attempt)
    assert (ended, f"not: {said}" in printed) == (0, True)
    ended, printed = command(monkeypatch, capsys, made, "--attempt", attempt)
    assert ended == 1
    assert f"The submission could not be read: {said}" in printed
    assert "2 had not changed, 1 could not be graded" in printed
    assert set(recorded(made)) == {"ada", "cleo"}, "no old grade stands in its place"
    (made / "in" / "ben.ipynb").unlink()
    assert command(monkeypatch, capsys, made, "--attempt", attempt)[0] == 0
    assert recorded(made) == ALL


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "text"])
def test_a_timestamp_that_is_none_costs_nobody_else_a_grade(kind, made, monkeypatch, capsys):
    assert command(monkeypatch, capsys, made)[0] == 0
    course = Course.at(made / "course")
    stamp = course.root / "submitted" / "ben" / "hw1" / "timestamp.txt"
    if kind == "pipe":
        os.mkfifo(stamp)
    elif kind == "text":
        stamp.write_text("soon")
    else:
        stamp.symlink_to(kind)
    results = batch.grade(course, "hw1", downloads.find(course.root / "submitted", "hw1").chosen())
    (ben,) = [r for r in results if r.incomplete or r.not_graded]
    assert ben.student == "ben"
    assert re.search(r"ben/hw1/timestamp\.txt (is no ordinary|is a link to|says 'soon', which is no)", ben.problems[0])
    assert recorded(made) == ALL


def test_a_notebook_is_written_through_no_link(course, tmp_path):
    target = course.root / "submitted" / "ada" / "hw1"
    target.mkdir(parents=True)
    (target / "hw1.ipynb").symlink_to(tmp_path / "elsewhere")
    batch._keep_submitted(course, "hw1", submissions.Submission("ada", target), {"hw1.ipynb": b"{}"})
    assert not (tmp_path / "elsewhere").exists()


def test_a_fault_of_ours_is_no_score_in_any_table(made, monkeypatch, capsys):
    assert command(monkeypatch, capsys, made)[0] == 0
    partly = functools.partial(_partly, _result)
    monkeypatch.setattr(sys.modules[__name__], "_result", partly)
    (made / "in" / "ben" / "hw1.ipynb").write_text("{")  # sent again, and broken
    ended, printed = command(monkeypatch, capsys, made, "--force")
    assert ended == 1
    assert "12+?" in printed, "three of the other exercises, and one that is not known"
    with (made / "course/reports/hw1/checks.csv").open(encoding="utf-8", newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if not r["check"].startswith("answer-")]
    points = {(r["student"], r["exercise"]): r["points"] for r in rows}
    assert points["ada", "made"] == ""
    assert points["ben", "made"] == ""
    assert points["cleo", "made"] == "7.0"
    with Course.at(made / "course").gradebook() as gradebook:
        grade = gradebook.find_grade("check-made", "hw1", "hw1", "ada")
        assert (grade.auto_score, grade.needs_manual_grade) == (None, True)
        assert gradebook.find_grade("check-pixelcnn", "hw1", "hw1", "ada").auto_score == 3
        gradebook.add_student("=gone", last_name='O"Brien, x')
    assert exported(made) == {"ada": "", "ben": "", "cleo": "35.0", "'=gone": "0.0"}
    with Course.at(made / "course").gradebook() as gradebook:  # a TA gives the points by hand
        gradebook.find_grade("check-made", "hw1", "hw1", "ada").manual_score = 2
        gradebook.db.commit()
    assert exported(made)["ada"] == "14.0"


def test_what_a_busy_machine_cut_short_is_graded_again_the_next_time(made, monkeypatch, capsys):
    """Twice it had no time: the result is given, with a sentence, and is not final."""
    asked = []
    monkeypatch.setattr(sys.modules[__name__], "_result", functools.partial(_starved, _result, asked))
    for _ in range(2):
        assert command(monkeypatch, capsys, made)[0] == 0
    assert sorted(asked) == ["ada", "ada", "ben", "cleo"]


def _starved(whole, asked: list[str], student: str, job) -> dict:
    asked.append(student)
    return whole(student, job) | {"starved": "it got 1 s of 20" if student == "ada" else ""}


def _partly(whole, student: str, job) -> dict:
    return whole(student, job, "made" if student == "ada" else "")


def exported(made: Path) -> dict[str, str]:
    """{student: score} of `nbgrader export`."""
    done = subprocess.run(
        [Path(sys.executable).parent / "nbgrader", "export", "--to", "out.csv"],
        cwd=made / "course",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with (made / "course" / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(r["score"] == r["raw_score"] for r in rows)
    return {r["student_id"]: r["score"] for r in rows if r["assignment"] == "hw1"}


def test_what_a_student_wrote_costs_the_class_no_table(made, monkeypatch, capsys):
    plain = _result

    def odd(student, job):
        result = plain(student, job)
        if student == "ada":
            check = result["scores"]["made"]["checks"][0]
            check["measured"], check["required"] = "\ud800 half", "\x00\x1b[31m"
            result["problems"], result["stopped"] = ["\udfff", "x" * 10**6], "[/red] \x1b[31m \ud800 \u202e"
            outputs = result["notebook"]["cells"][-1].setdefault("outputs", [])
            result["notebook"]["cells"][-1]["cell_type"] = "code"
            outputs.append({"output_type": "display_data", "metadata": {}, "data": {"image/png": "no base64!"}})
        if student == "ben":
            result["notebook"]["metadata"]["x"] = float("nan")
        return result

    monkeypatch.setattr(sys.modules[__name__], "_result", odd)
    ended, printed = command(monkeypatch, capsys, made)
    assert ended == 1, "the one with NaN is no notebook, and cannot be recorded"
    assert "ben: Graded, but not recorded" in printed
    assert "stopped: [/red] [31m ?" in printed
    assert not {"\x1b", "\u202e"} & set(printed)
    assert table(made) == ALL
    page = (made / "course/reports/hw1/report/index.html").read_text(encoding="utf-8")
    assert all(f'href="students/{student}.html"' in page for student in NUMBERS)
    assert {"ada", "cleo"} <= set(recorded(made))


def test_sixty_thousand_links_are_a_few_lines(tmp_path):
    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.writestr("hw1.ipynb", '{"cells": []}')
        for k in range(60_000):
            link = zipfile.ZipInfo(f"{k}")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
    began = time.process_time()
    files, left_out = read(tmp_path / "ada.zip")
    normal = normalise(files, "hw1", {"cells": []}, left_out)
    assert time.process_time() - began < 6
    assert len(normal.changes) < 50
    assert "more of this kind" in normal.changes[-1]


def test_an_archive_that_lists_millions_of_files_is_not_read(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.comment = b"a comment"
        archive.writestr("hw1.ipynb", '{"cells": []}')
    assert set(read(tmp_path / "ada.zip")[0]) == {"hw1.ipynb"}
    with zipfile.ZipFile(tmp_path / "ben.zip", "w") as archive:
        for k in range(300):
            archive.writestr(f"{k}", "")
    monkeypatch.setattr(archives, "MOST_DIRECTORY", 10_000)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(CourseError, match="lists far more than 2,000 files"):
        read(tmp_path / "ben.zip")
    (tmp_path / "cleo.zip").write_bytes(b"PK")
    with (tmp_path / "cleo.zip").open("rb") as stream:
        assert archives._directory_bytes(stream) == 0


def test_files_beside_a_graded_notebook_are_shown_not_followed():
    files = dict.fromkeys(
        (
            "a.html",
            "b/c.SVG",
            "d.xhtml",
            "e.xml",
            "f.pdf",
            "g.mht",
            "h.js",
            "i.html.gz",
            "j.svg",
            "j.svg.txt",
            "k.png",
            "l.csv",
            "m.safetensors",
            "n.py",
            "o.npz",
            "p.docx",
            "q",
            "r.ipynb",
            f"{'x' * 252}.js",
        ),
        b"x",
    )
    assert set(harmless(files)) == {
        "a.html.txt",
        "b/c.SVG.txt",
        "d.xhtml.txt",
        "e.xml.txt",
        "f.pdf.txt",
        "g.mht.txt",
        "h.js.txt",
        "i.html.gz.txt",
        "j.svg.txt",
        "k.png",
        "l.csv",
        "m.safetensors",
        "n.py",
        "o.npz",
        "p.docx",
        "q",
        "r.ipynb",
    }


def test_nbgrader_autograde_leaves_no_old_score_where_it_could_not_grade(made, monkeypatch):
    shutil.copytree(made / "in" / "ada", made / "course" / "submitted" / "ada" / "hw1")
    faults = iter(["", "ZeroDivisionError: ours"])

    class Fake:
        def __init__(self, limits):
            pass

        def grade(self, normal, assignment, salt):
            job = workers.Job("", normal, assignment, salt, Limits(), "")
            return Execution(**_result("ada", job) | {"fault": next(faults)})

        def close(self):
            pass

    monkeypatch.setattr(nbgrader_steps, "Grader", Fake)
    monkeypatch.setattr(nbgrader_steps, "_graders", {})
    api = Course.at(made / "course").api()
    first = api.autograde("hw1", "ada")
    assert first["success"], first
    assert recorded(made) == {"ada": 15}
    done = api.autograde("hw1", "ada")
    assert not done["success"]
    assert "through no fault of theirs" in done["log"]
    assert recorded(made) == {}
    assert not (made / "course" / "autograded" / "ada" / "hw1").exists()


@pytest.mark.slow
def test_a_gradebook_that_is_in_use_for_a_minute_is_waited_for(made, monkeypatch, capsys):
    lock = (
        f"import sqlite3, time; c = sqlite3.connect({str(made / 'course' / 'gradebook.db')!r}); "
        "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", lock], stdout=subprocess.PIPE) as formgrader:
        assert formgrader.stdout.readline() == b"locked\n"
        began = time.monotonic()
        ended, printed = command(monkeypatch, capsys, made)
        assert time.monotonic() - began > 55
    assert (ended, table(made), recorded(made)) == (0, ALL, ALL), printed


def stopped(source: str, ename: str, evalue: str) -> dict:
    return {"source": source, "outputs": [{"output_type": "error", "ename": ename, "evalue": evalue}]}


def test_nothing_is_odd_about_what_is_not_written_yet():
    stub = stopped("class MADE: ...", "NotImplementedError", "Exercise 1.2 is not implemented yet: MADE")
    follow = [
        stopped("tiny = MADE()", "NameError", "name 'MADE' is not defined"),
        stopped("drawn('made', f)", "KitError", "Exercise 1.2: nothing was trained under the name 'made' yet."),
    ]
    assert batch._oddities([stub, *follow]) == []
    odd = stopped("1 / 0", "ZeroDivisionError", "division by zero")
    assert batch._oddities([stub, odd, *follow]) == [
        "The cell “1 / 0” stopped with ZeroDivisionError: division by zero"
    ]
    assert len(batch._oddities(follow)) == 1  # the first of them has no stub before it


def test_what_is_exported_is_what_the_gradebook_says(made, monkeypatch, capsys):
    command(monkeypatch, capsys, made)
    expected = recorded(made)
    options = ["--course", str(made / "course"), "--output", str(made / "out.csv")]
    (made / "moodle.csv").write_text(
        "Identifier,Full name,Email address,Status,Grade,Maximum Grade\n"
        + "".join(f"Participant {k},{student},,,,110.00\n" for k, student in enumerate(expected)),
        encoding="utf-8",
    )
    for platform, column, more in (("csv", "total", []), ("moodle", "Grade", ["--file", str(made / "moodle.csv")])):
        monkeypatch.setattr(sys, "argv", ["deepul", "export", "hw1", "--to", platform, *options, *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0, capsys.readouterr().out
        rows = list(csv.DictReader((made / "out.csv").read_text(encoding="utf-8").splitlines()))
        name = "id" if platform == "csv" else "Full name"
        assert {r[name]: float(r[column]) for r in rows} == expected
    with Course.at(made / "course").gradebook() as gradebook:
        gradebook.find_grade("check-made", "hw1", "hw1", "ada").auto_score = None  # a fault of ours
        gradebook.db.commit()
    monkeypatch.setattr(sys, "argv", ["deepul", "export", "hw1", "--to", "csv", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "ada: could not be graded" in capsys.readouterr().out


@pytest.mark.parametrize("cell", ["answer-made", "check-made"])
def test_what_waits_to_be_looked_at_again_is_open_in_everything_that_is_written(made, monkeypatch, capsys, cell):
    command(monkeypatch, capsys, made)
    with Course.at(made / "course").gradebook() as gradebook:
        grade = gradebook.find_grade(cell, "hw1", "hw1", "ada")
        grade.manual_score, grade.needs_manual_grade = 3.0, True  # as a new answer leaves it
        gradebook.db.commit()
    _, said = command(monkeypatch, capsys, made)
    assert f" {recorded(made)['ada']:g}+? " in said
    assert "to be graded again: the submission has changed (" in said
    reports = made / "course" / "reports" / "hw1"
    rows = list(csv.DictReader((reports / "grades.csv").read_text(encoding="utf-8").splitlines()))
    assert [r["state"] for r in rows] == ["to be graded", "graded", "graded"]
    rows = list(csv.DictReader((reports / "checks.csv").read_text(encoding="utf-8").splitlines()))
    assert [(r["student"], r["check"]) for r in rows if r["outcome"] == by_hand.AGAIN] == [("ada", cell)]
    whole = (reports / "report" / "index.html").read_text(encoding="utf-8")
    assert len(re.findall('data-is="[^"]*open "', whole)) == 1
    assert '<b>1</b><span><a href="#only=open">to be graded by hand' in whole
    assert by_hand.AGAIN in (reports / "report" / "students" / "ada.html").read_text(encoding="utf-8")
    [ada] = [f for f in export.finals(Course.at(made / "course"), "hw1") if f.student == "ada"]
    assert ada.why.endswith("again: the submission has changed")


def test_a_new_gradebook_is_as_nbgrader_itself_makes_one(tmp_path):
    """nbgrader's own commands, and its upgrades, find the revision there that they would have written."""
    (tmp_path / "ours").mkdir()
    with Course.at(tmp_path / "ours").gradebook():
        pass
    folder = tmp_path / "theirs"
    folder.mkdir()
    program = "import sys; from nbgrader.api import Gradebook; Gradebook(sys.argv[1], 'deepul').close()"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts a program of this environment
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, f"sqlite:///{folder}/gradebook.db"],
        check=True,
        env=os.environ | {"PATH": path},
    )

    def tables(file: Path) -> tuple[list, list]:
        with contextlib.closing(sqlite3.connect(file)) as database:
            made = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
            return made, database.execute("SELECT * FROM alembic_version").fetchall()

    assert tables(tmp_path / "ours" / "gradebook.db") == tables(folder / "gradebook.db")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("[ERROR] Traceback …\nOSError: [Errno 28] No space left on device: 'x'", "the disk is full: make room"),
        ("[ERROR] …\nsqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database", "is damaged"),
        ("OSError: [Errno 30] Read-only file system: 'a'", "the course folder is read-only: allow writing there"),
        ("PermissionError: [Errno 13] Permission denied: 'a'", "not yours to write"),
        (
            "[ERROR] There was an error processing it\nTraceback (most recent call last):\n  x\nValueError: at 3",
            "ValueError: at 3",
        ),
        (
            "[ERROR] Please see the the above traceback\nnbgrader.api.MissingEntry: no hw1\nKeyError: 'a'",
            "KeyError: 'a'",
        ),
        ("nothing that we know", "nothing that we know"),
    ],
)
def test_why_a_call_of_nbgraders_failed_is_told_from_its_log(log, said):
    told = reason({"log": log})
    assert said in told
    assert "raceback" not in told


def test_a_folder_in_the_place_of_a_file_is_said_so(tmp_path):
    assert trouble(IsADirectoryError(21, "Is a directory", "reports")) == "reports is a folder: give the name of a file"
    assert trouble(FileExistsError(17, "File exists", "figures")).startswith("figures is there already")


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path):
    said = "is not there: look whether its name is right, and the folders above it"
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "x", Path("/proc/x")):
        with pytest.raises(OSError, match="x") as caught:
            place.mkdir()
        assert trouble(caught.value) == f"{place} {said}"


def test_a_full_disk_under_many_files_is_said_whole(tmp_path, monkeypatch):
    (tmp_path / "figures").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "figures" / f"{name * 60}.png").touch()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "figures", tmp_path / "copy", copy_function=full)
    assert trouble(caught.value) == "the disk is full: make room"
    assert trouble(ValueError("word " * 100)).endswith("word …")


@pytest.mark.parametrize("address", ["nowhere", "foo://x:1", "tcp://127.0.0.1", ""])
def test_a_cluster_whose_address_is_none_is_said_at_once(address):
    began = time.monotonic()
    with pytest.raises(CourseError, match=f"No Dask scheduler answers at {address}: "), workers.cluster(address):
        pass
    gc.collect()  # a client that was half made would wait for 20 s
    assert time.monotonic() - began < 10
