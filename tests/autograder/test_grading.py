"""Grading a class: whatever a TA's folder holds, every submission ends in a grade or in a reason."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import demo, mutants, validate
from autograder.exercises import ROOT
from autograder.grading import batch, report, submissions
from autograder.grading.course import Course, CourseError
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission


@pytest.fixture
def course(tmp_path):
    return Course.at(tmp_path / "course")


def notebook(path: Path, text: str = '{"cells": []}') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def laid_out(course: Course, path: Path) -> Path:
    submission = submissions.Submission("ada", path)
    submissions.lay_out(submission, "hw1", course)
    return course.root / "submitted" / "ada" / "hw1"


def test_finds_folders_zips_notebooks_and_nbgraders_own_layout(tmp_path):
    notebook(tmp_path / "ada" / "hw1.ipynb")
    notebook(tmp_path / "ben" / "hw1" / "hw1.ipynb")
    notebook(tmp_path / "hw1-cleo.ipynb")
    with zipfile.ZipFile(tmp_path / "hw1_dan.zip", "w") as archive:
        archive.writestr("hw1.ipynb", "{}")
    (tmp_path / "grades.csv").touch()
    (tmp_path / ".DS_Store").touch()
    found = submissions.find(tmp_path, "hw1")
    assert {s.student: s.path.name for s in found} == {
        "ada": "ada", "ben": "hw1", "cleo": "hw1-cleo.ipynb", "dan": "hw1_dan.zip",
    }  # fmt: skip


def test_says_what_is_wrong_with_the_folder(tmp_path):
    with pytest.raises(CourseError, match="There is no folder"):
        submissions.find(tmp_path / "nowhere", "hw1")
    with pytest.raises(CourseError, match="holds no submissions"):
        submissions.find(tmp_path, "hw1")
    notebook(tmp_path / "ada" / "hw1.ipynb")
    notebook(tmp_path / "hw1-ada.ipynb")
    with pytest.raises(CourseError, match="both belong to ada"):
        submissions.find(tmp_path, "hw1")


def test_unpacks_a_zip_whose_notebook_lies_deep_and_is_renamed(course, tmp_path):
    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.writestr("my homework/final (2).ipynb", '{"cells": [], "n": 1}')
        archive.writestr("my homework/artifacts/made.smiley.safetensors", "weights")
    folder = laid_out(course, tmp_path / "ada.zip")
    assert (folder / "hw1.ipynb").read_text() == '{"cells": [], "n": 1}'
    assert (folder / "artifacts" / "made.smiley.safetensors").read_text() == "weights"


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/outside.txt", "a/../../outside.txt", "..\\outside.txt"])
def test_refuses_an_archive_that_reaches_outside(course, tmp_path, name):
    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(CourseError, match="outside its own folder"):
        laid_out(course, tmp_path / "ada.zip")
    assert not list(tmp_path.rglob("outside.txt"))


def test_refuses_what_is_no_zip_what_is_too_big_and_what_has_no_notebook(course, tmp_path, monkeypatch):
    (tmp_path / "ada.zip").write_bytes(b"not a zip")
    with pytest.raises(CourseError, match="no readable zip"):
        laid_out(course, tmp_path / "ada.zip")
    with zipfile.ZipFile(tmp_path / "ada.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("hw1.ipynb", "0" * 10_000)
    monkeypatch.setattr(submissions, "MOST_BYTES", 5_000)
    with pytest.raises(CourseError, match="unpacks to more than"):
        laid_out(course, tmp_path / "ada.zip")
    with pytest.raises(CourseError, match="is not a Jupyter notebook"):
        laid_out(course, notebook(tmp_path / "hw1-ada.ipynb", '{"cells": 1'))
    (tmp_path / "ada").mkdir()
    with pytest.raises(CourseError, match="no notebook"):
        laid_out(course, tmp_path / "ada")


def test_links_are_not_followed(course, tmp_path):
    secret = notebook(tmp_path / "secret.txt", "solutions")
    notebook(tmp_path / "ada" / "hw1.ipynb")
    os.symlink(secret, tmp_path / "ada" / "stolen.txt")
    os.symlink(tmp_path, tmp_path / "ada" / "folder")
    folder = laid_out(course, tmp_path / "ada")
    assert {p.name for p in folder.iterdir()} == {"hw1.ipynb"}


def test_a_new_submission_replaces_the_old_one_whole(course, tmp_path):
    notebook(tmp_path / "ada" / "hw1.ipynb")
    notebook(tmp_path / "ada" / "old.txt", "old")
    laid_out(course, tmp_path / "ada")
    (tmp_path / "ada" / "old.txt").unlink()
    assert {p.name for p in laid_out(course, tmp_path / "ada").iterdir()} == {"hw1.ipynb"}


def test_the_salt_is_made_once_and_differs_between_courses(course, tmp_path):
    assert course.salt == course.salt
    assert len(course.salt) == 32
    assert course.salt != Course.at(tmp_path / "other").salt


def graded_notebook(tmp_path, outputs: list[dict]) -> Path:
    def cell(name: str, outputs: list[dict]) -> dict:
        return {"cell_type": "code", "source": [f'check("{name}")'], "outputs": outputs,
                "metadata": {"nbgrader": {"grade_id": f"check-{name}", "grade": True}}}  # fmt: skip

    cells = [cell("logistic_mixture", outputs), cell("made", [])]
    return notebook(tmp_path / "hw1.ipynb", json.dumps({"cells": cells}))


def test_a_check_that_stopped_or_gave_nothing_is_told_and_earns_nothing(tmp_path):
    error = {"output_type": "error", "ename": "CellTimeoutError", "evalue": "no reply"}
    result = batch.read_scores(graded_notebook(tmp_path, [error]), "hw1", batch.Graded("ada"))
    assert result.points == 0
    assert result.max_points == 35
    assert any("CellTimeoutError: no reply" in p for p in result.problems)
    assert any("the check's cell is missing or gave no score" in p for p in result.problems)


def test_the_report_shows_everybody_and_escapes_what_students_write(tmp_path):
    result = batch.Graded("<b>eve</b>", problems=["<script>alert(1)</script>"], not_graded=True)
    fine = batch.Graded("ada", scores=[batch._blank(batch.exercises.get("made"), "passed", 20.0, "<i>fine</i>")])
    page = report.write(tmp_path, "hw1", [result, fine]).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<i>fine" not in page
    assert "not graded" in page
    assert ">ada<" in page


@pytest.mark.slow
def test_plain_nbgrader_autograde_gives_partial_credit(course):
    """What a TA who knows nbgrader types; formgrader's button does the same."""
    handout = release(course, "hw1", figures=False) / "hw1.ipynb"
    cells = mutants.apply(mutants.by_name("hw1", "argmax-sampling"), solution_cells("hw1"))
    write_submission(handout, course.root / "submitted" / "ada" / "hw1", cells, demo.ALL, demo.WEIGHTS)
    folders = {"root": course.root, "source_directory": course.source, "release_directory": course.release}
    options = [f"--CourseDirectory.{name}={folder}" for name, folder in folders.items()]
    command = [Path(sys.executable).parent / "nbgrader", "autograde", "hw1", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with course.gradebook() as gradebook:
        assert gradebook.find_submission("hw1", "ada").score == 32


@pytest.mark.slow
def test_the_demo_class_is_graded_as_it_should_be(tmp_path):
    """The main job, end to end: what each submission earns, and on which checks it loses points."""
    course, found = demo.prepare(tmp_path / "demo", "hw1", tell=print)
    batch.prepare(course, "hw1")
    broken = notebook(tmp_path / "broken" / "hw1.ipynb", "this is no notebook")
    found.append(submissions.Submission("broken", broken.parent))
    results = batch.grade(course, "hw1", found)
    by_student = {r.student: r for r in results}
    points = {s: r.points for s, r in by_student.items() if s != "broken"}
    assert points == {"complete": 35, "only_1_1": 15, "wrong_mask": 19, "edge_bins": 23, "blank": 0, "syntax_error": 15}

    def failed(student: str) -> set[str]:
        return {c["name"] for s in by_student[student].scores for c in s["checks"] if c["outcome"] == "failed"}

    assert failed("wrong_mask") == {"each_output_depends_only_on_earlier_inputs", "probabilities_sum_to_one"}
    assert failed("edge_bins") == {"probabilities_sum_to_one"}
    assert not failed("complete") | failed("blank") | failed("only_1_1")
    shown = json.dumps(by_student["syntax_error"].scores)
    assert "MADE is not defined: its cell stopped with SyntaxError in line 1: expected ':'" in shown
    assert by_student["broken"].not_graded

    # Seeds come from the course's salt, not from the live one that every student can see.
    sampled = {c["measured"] for s in by_student["complete"].scores for c in s["checks"] if "samples" in c["name"]}
    live = {r.measured for e in demo.ALL for r in validate.score("hw1", e).results if "samples" in r.name}
    assert len(sampled) == len(live) == 2
    assert not sampled & live

    batch.write_csv(tmp_path / "grades.csv", "hw1", results)
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text(encoding="utf-8").splitlines()))
    assert tuple(rows[0]) == batch.COLUMNS
    complete = [r for r in rows if r["student"] == "complete"]
    assert sum(float(r["points"]) for r in complete) == 35
    assert all(r["points"] == "" for r in rows if r["outcome"] == "not graded")

    with course.gradebook() as gradebook:  # nbgrader's own record says the same
        recorded = {s.student.id: s.score for s in gradebook.assignment_submissions("hw1")}
    assert {s: p for s, p in recorded.items() if s != "broken"} == pytest.approx(points)

    # A submission that was graded once and is broken now keeps no old score.
    blank = next(s for s in found if s.student == "complete")
    notebook(course.root / "handed_in" / "complete" / "hw1.ipynb", "{")
    assert batch.grade(course, "hw1", [blank])[0].not_graded
    with course.gradebook() as gradebook:
        assert "complete" not in {s.student.id for s in gradebook.assignment_submissions("hw1") if s.score}
