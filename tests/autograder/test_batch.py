"""A class through the real command: killed and resumed, on a cluster, cached, audited, and always the same grades."""

import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import pytest

from autograder import demo
from autograder.assignments import ROOT
from autograder.course import Course
from autograder.grading import batch, normalise, submissions
from autograder.grading.execute import Grader
from autograder.grading.limits import Limits
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission

pytestmark = [pytest.mark.slow, pytest.mark.alone]
DEEPUL = Path(sys.executable).parent / "deepul"
STUDENTS = ("ada", "ben", "cleo", "dan", "eve", "finn")


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory) -> Path:
    """Six submissions, none equal to another: every other one has solved both exercises."""
    root = tmp_path_factory.mktemp("handed-in")
    handout = release(Course.at(root / "maker"), "hw1", figures=False) / "hw1.ipynb"
    for number, student in enumerate(STUDENTS):
        solved = demo.QUICK if number % 2 else demo.QUICK[:1]
        write_submission(
            handout,
            root / "all" / student,
            solution_cells("hw1"),
            solved,
            demo.QUICK,
            change=lambda source, student=student: f"# {student}\n{source}",
        )
    return root / "all"


def command(course: Path, handed_in: Path, *options: str) -> list:
    course.mkdir(exist_ok=True)
    return [DEEPUL, "grade", "hw1", handed_in, "--course", course, "-j", "2", *options]


def grade(course: Path, handed_in: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(course, handed_in, *options), capture_output=True, text=True, check=False, timeout=300
    )


def grades(course: Path) -> tuple[list[dict], dict[str, float]]:
    """(checks.csv, {student: score in nbgrader's gradebook})."""
    with (course / "reports" / "hw1" / "checks.csv").open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    with Course.at(course).gradebook() as gradebook:
        return table, {s.student.id: s.score for s in gradebook.assignment_submissions("hw1")}


@pytest.fixture(scope="module")
def undisturbed(handed_in, tmp_path_factory) -> Path:
    """A course in which the class was graded in one go."""
    course = tmp_path_factory.mktemp("undisturbed")
    done = grade(course, handed_in)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 submissions: 6 graded" in done.stdout
    return course


def same_secret(course: Path, undisturbed: Path) -> Path:
    """A fresh course with the same salt, so that grades can be compared bit for bit."""
    course.mkdir()
    shutil.copy(undisturbed / ".deepul-salt", course)
    return course


def test_killed_at_any_point_and_run_again_it_ends_in_the_same_grades(handed_in, undisturbed, tmp_path):
    course = same_secret(tmp_path / "killed", undisturbed)
    recorded = course / ".deepul" / "recorded" / "hw1"

    def count(folder: Path) -> int:
        return len([p for p in folder.glob("*") if not p.name.startswith(".")])

    moments = [
        lambda: (course / "gradebook.db").exists(),  # while the assignment is made
        lambda: count(course / ".deepul" / "cache") >= 1,  # between the first result and its record
        lambda: (course / "autograded").exists() and count(course / "autograded") > count(recorded),  # while recording
        lambda: count(recorded) >= 3,
    ]
    for moment in moments:
        process = subprocess.Popen(
            command(course, handed_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MARK": str(course)},
        )
        while not moment() and process.poll() is None:
            time.sleep(0.002)
        assert process.poll() is None, "it was to be killed before its end"
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = count(recorded)
    done = grade(course, handed_in)
    assert done.returncode == 0, done.stdout + done.stderr
    assert before >= 3
    assert "had not changed" in done.stdout
    assert grades(course) == grades(undisturbed)
    assert not _left_of(course)


KILLS, COURSES = 30, 3


def test_killed_at_thirty_random_moments_it_ends_in_the_same_grades(handed_in, undisturbed, tmp_path):
    """Every few kills a course is finished, and a new one begun; what lies there after a kill is whole. Two courses are
    graded at a time: each is killed as often while it waits for the other as while it works."""
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        courses = [same_secret(tmp_path / str(number), undisturbed) for number in range(COURSES)]
        for _ in pool.map(_kill_and_finish, courses, repeat(handed_in), repeat(undisturbed), range(COURSES)):
            pass  # what a thread raises is raised here
    print(f"{KILLS} kills in {time.monotonic() - began:.0f} s")


def _kill_and_finish(course: Path, handed_in: Path, undisturbed: Path, seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(KILLS // COURSES):
        process = subprocess.Popen(
            command(course, handed_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MARK": str(course)},
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0.5, 9))
        process.kill()
        process.wait()
        _is_whole(course / "reports" / "hw1")
    done = grade(course, handed_in)
    assert done.returncode == 0, done.stdout + done.stderr
    assert grades(course) == grades(undisturbed)
    assert not list((course / ".deepul").rglob(".*.json.*")), "nothing half written is left"
    assert not _left_of(course)


def _is_whole(reports: Path) -> None:
    """Table and page, where there are any, end where they should, and hold the same students."""
    table, page = reports / "checks.csv", reports / "report" / "index.html"
    if page.exists():
        text = page.read_text(encoding="utf-8")
        assert text.rstrip().endswith("</html>")
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert all(row["required"] is not None for row in rows)
        students = {row["student"] for row in rows}
        assert len(students) >= text.count("<tr data-is="), "the table is written first"


def _left_of(course: Path) -> list[str]:
    """Workers of graders that were killed; they have ten seconds to notice."""
    for _ in range(100):
        left = [p for p in Path("/proc").glob("[0-9]*/environ") if f"MARK={course}\0".encode() in _read(p)]
        if not left:
            return []
        time.sleep(0.1)
    return [str(_read(p.with_name("cmdline"))) for p in left]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended
        return b""


def test_what_has_not_changed_is_not_graded_again(handed_in, undisturbed, tmp_path):
    before = grades(undisturbed)
    done = grade(undisturbed, handed_in)
    assert "6 submissions: 0 graded" in done.stdout
    assert grades(undisturbed) == before

    changed = tmp_path / "changed"
    shutil.copytree(handed_in, changed)
    notebook = changed / "ben" / "hw1.ipynb"
    notebook.write_text(notebook.read_text().replace("# ben", "# Ben"))
    course = tmp_path / "course"
    shutil.copytree(undisturbed, course)
    assert "6 submissions: 1 graded" in grade(course, changed).stdout
    assert "1 submission: 1 graded" in grade(course, changed, "--only", "ada", "--force").stdout


def test_exit_codes_and_words_for_wrong_calls(handed_in, undisturbed, tmp_path):
    wrong = grade(undisturbed, handed_in, "--only", "nobody")
    assert wrong.returncode == 2
    assert "There is no submission of nobody" in wrong.stdout
    wrong = grade(undisturbed, handed_in, "--limit", "speed=1")
    assert wrong.returncode == 2
    assert "give one of cell=120" in wrong.stdout
    broken = tmp_path / "broken"
    shutil.copytree(handed_in / "ada", broken / "ada")
    (broken / "zed").mkdir()
    course = tmp_path / "course"
    shutil.copytree(undisturbed, course)
    done = grade(course, broken)
    assert done.returncode == 1
    assert "there is no notebook in it" in " ".join(done.stdout.split())
    for printed in (wrong, done):
        assert "Traceback" not in printed.stdout + printed.stderr


def test_two_graders_on_one_course_do_not_mix(handed_in, undisturbed, tmp_path):
    course = same_secret(tmp_path / "both", undisturbed)
    first = subprocess.Popen(command(course, handed_in), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (course / ".deepul" / "lock").exists() and first.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)
    second = grade(course, handed_in)
    assert second.returncode == 2
    assert "Another `deepul grade` is at work" in second.stdout
    assert first.wait() == 0
    assert grades(course) == grades(undisturbed)


def test_a_lost_worker_costs_nobody_a_grade(handed_in, undisturbed, tmp_path):
    course = same_secret(tmp_path / "lost", undisturbed)
    process = subprocess.Popen(command(course, handed_in), stdout=subprocess.PIPE, text=True)
    killed = False
    while not killed and process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            if b"grading.zygote" in (text := _read(path)) and text.startswith(b"/usr/bin/bwrap"):
                worker = int((path.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if b"bwrap" not in _read(Path(f"/proc/{worker}/cmdline")):
                    time.sleep(1.0)  # let it be at work
                    os.kill(worker, signal.SIGKILL)
                    killed = True
                    break
        time.sleep(0.01)
    printed, _ = process.communicate(timeout=200)
    assert killed
    assert process.returncode == 0, printed
    assert grades(course) == grades(undisturbed)


def test_a_cluster_gives_the_same_grades_also_when_it_loses_a_worker(handed_in, undisturbed, tmp_path):
    course = same_secret(tmp_path / "cluster", undisturbed)
    contact = tmp_path / "scheduler.json"
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(module: str, *options: str) -> subprocess.Popen:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"distributed.cli.{module}",
                "--scheduler-file",
                contact,
                "--no-dashboard",
                *options,
            ],
            **quiet,
        )

    scheduler = start("dask_scheduler", "--port", "0", "--host", "127.0.0.1")
    workers = [start("dask_worker", "--no-nanny", "--nthreads", "1", "--name", f"w{k}") for k in range(2)]
    try:
        while not contact.exists():
            time.sleep(0.1)
        address = json.loads(contact.read_text())["address"]
        process = subprocess.Popen(
            [*command(course, handed_in), "--cluster", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        cache = course / ".deepul" / "cache"
        while not (cache.exists() and list(cache.glob("*.json"))) and process.poll() is None:
            time.sleep(0.05)
        workers[0].kill()
        printed = process.communicate(timeout=200)
        assert process.returncode == 0, printed
        assert "6 submissions: 6 graded" in printed[0]
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
    assert grades(course) == grades(undisturbed)


def test_a_cluster_that_is_not_there_is_said(handed_in, tmp_path):
    done = grade(tmp_path / "course", handed_in, "--cluster", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in " ".join(done.stdout.split())


def test_the_same_grade_bit_for_bit_twenty_times_under_load(handed_in):
    stop = threading.Event()
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    handout = json.loads((ROOT / "homeworks" / "hw1" / "hw1.ipynb").read_text())
    files, left_out = submissions.read(submissions.Submission("ben", handed_in / "ben"), "hw1")
    grader, seen = Grader(Limits()), set()
    try:
        for _ in range(20):
            result = grader.grade(normalise.normalise(dict(files), "hw1", handout, left_out), "hw1", "a salt")
            for score in result.scores.values():
                for check in score["checks"]:
                    del check["seconds"]
            seen.add(json.dumps(result.scores, sort_keys=True))
    finally:
        stop.set()
        grader.close()
        for process in load:
            process.kill()
            process.wait()
    assert len(seen) == 1
    assert sum(s["points"] for s in json.loads(seen.pop()).values()) == 35


def test_an_audit_trains_from_scratch_and_tells_who_handed_in_weights_of_another(handed_in, undisturbed, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(handed_in / "ben", mixed / "ben")
    shutil.copytree(handed_in / "dan", mixed / "dan")
    notebook = mixed / "dan" / "hw1.ipynb"
    text = notebook.read_text()
    shorter, changes = re.subn(r"(steps(: int)?) = \d+", r"\1 = 20", text)
    assert changes == 2
    notebook.write_text(shorter)  # such training cannot have given these weights
    done = grade(tmp_path / "course", mixed, "--retrain", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = tmp_path / "course" / "reports" / "hw1" / "report" / "students"
    ben, dan = ((pages / f"{s}.html").read_text(encoding="utf-8") for s in ("ben", "dan"))
    assert "Audit disagrees" in dan
    assert "Audit disagrees" not in ben
    assert re.search(r"audit of ben: 35 of \d+ points trained from scratch, 35 as handed in", done.stdout), done.stdout


def test_an_instructors_own_grade_cell_counts_and_is_called_not_protected(tmp_path):
    course = Course.at(tmp_path)
    folder = release(course, "hw1", figures=False)
    handout = json.loads((folder / "hw1.ipynb").read_text())
    cells = handout["cells"]
    own = dict(schema_version=3, task=False, locked=True, solution=False, grade=True, grade_id="own-asserts", points=3)
    cells.append({"cell_type": "code", "id": "own", "metadata": {"nbgrader": own}, "source": ""})
    write_submission(folder / "hw1.ipynb", tmp_path / "ada", solution_cells("hw1"), demo.QUICK, demo.QUICK)
    executor = Grader(Limits())
    files, left_out = submissions.read(submissions.Submission("ada", tmp_path / "ada"), "hw1")
    for change, points in (("", 3.0), ("float('inf')", 0.0), ("None", 3.0)):
        cells[-1]["source"] = f"assert MADE is not None\n{change}"
        normal = normalise.normalise(dict(files), "hw1", handout, left_out)
        assert normal.changes == ["The cell own-asserts was missing and was put back as it was handed out."]
        graded = batch.read_scores("ada", "hw1", executor.grade(normal, "hw1", "salt").to_json(), normal.changes)
        assert graded.points == 35 + points
        assert any("Not protected: the points of the cell own-asserts" in p for p in graded.problems)
    executor.close()


def test_of_several_attempts_the_best_is_graded_where_the_course_says_so(handed_in, tmp_path):
    """Of three attempts the second has most points; the gradebook has it, and when it arrived."""
    for student, day in (("ada", 1), ("ben", 2), ("blank", 3)):
        folder = tmp_path / "in" / f"7-{100} - Ada Lovelace - May {day}, 2026 900 AM"
        if student != "blank":
            shutil.copytree(handed_in / student, folder)
        else:
            write_submission(ROOT / "homeworks" / "hw1" / "hw1.ipynb", folder, solution_cells("hw1"), (), ())
    course = tmp_path / "course"
    for attempt, day, exercises in (("last", 3, 0), ("first", 1, 1), ("best", 2, 2)):
        done = grade(course, tmp_path / "in", "--attempt", attempt)
        assert done.returncode == 0, done.stdout + done.stderr
        table, scores = grades(course)
        assert len({r["exercise"] for r in table if r["outcome"] == "passed"}) == exercises
        assert list(scores) == ["Ada Lovelace-100"]
        stamp = course / "submitted" / "Ada Lovelace-100" / "hw1" / "timestamp.txt"
        assert stamp.read_text(encoding="utf-8").startswith(f"2026-05-0{day} 09:00:00")
    with (course / "reports" / "hw1" / "files.csv").open(encoding="utf-8") as stream:
        uses = {r["use"] for r in csv.DictReader(stream)}
    assert uses == {"graded", "another attempt (1 of 3)", "another attempt (3 of 3)"}


def test_what_a_regrade_changes_is_said_before_and_after(handed_in, tmp_path):
    course, folder = tmp_path / "course", tmp_path / "in"
    for student in ("ada", "ben"):
        shutil.copytree(handed_in / student, folder / student)
    first = grade(course, folder)
    assert "Changed since the last run" not in first.stdout
    before = grades(course)[1]
    nothing = grade(course, folder, "--dry-run")
    assert "Grading would change nothing for the 2 who were graded before" in " ".join(nothing.stdout.split())
    shutil.rmtree(folder / "ada")
    shutil.copytree(handed_in / "ben", folder / "ada")
    dry = grade(course, folder, "--dry-run")
    assert "Grading would change:" in dry.stdout
    assert re.search(r"ada +\+", dry.stdout)
    assert "ben +" not in dry.stdout.partition("Grading would change:")[2]
    assert grades(course)[1] == before  # nothing was recorded
    done = grade(course, folder)
    assert "Changed since the last run:" in done.stdout
    scores = grades(course)[1]
    assert scores["ada"] == scores["ben"] > before["ada"]
    with (course / "reports" / "hw1" / "changes.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {(r["student"], r["exercise"]) for r in rows} == {("ada", "made")}
    difference = sum(float(r["now"] or 0) - float(r["before"] or 0) for r in rows)
    assert difference == pytest.approx(scores["ada"] - before["ada"])
