"""The bundle is the student's: what is in it, how it is set up, and that it leads to full points."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autograder import assignments, cli, commands
from autograder.assignments import ROOT
from autograder.commands import STAFF
from autograder.course import Course
from autograder.grading import batch, downloads
from autograder.handout import bundle as bundles
from autograder.handout.bundle import bundle, changed, files, readme
from autograder.handout.submit import solution_cells, write_submission
from tests.core import CORE

# Of the staff's packages those that nothing brings along that a student installs, and what notebooks are written with.
HIDDEN = ("copydetect", "distributed", "jupytext", "nbconvert", "nbformat", "nbgrader", "nh3", "sqlalchemy")
# Runs a module as a student's Python would: nothing of the staff's is there, nor this folder.
STUDENTS = f"""
import runpy, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HIDDEN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path = [Hidden(), *(f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__"))]
sys.path = [".", *(p for p in sys.path if p != {str(ROOT)!r})]
"""
NOTEBOOK_FORM = """
from autograder import assignments, runner
from autograder.score import MIME
from autograder.student import LocalStudent
for exercise in assignments.get({name!r}).exercises:
    score = runner.check(exercise.name, LocalStudent({{}}, {{}}))
    shown = score._repr_mimebundle_()
    assert shown["text/html"].count("<tr class=") == len(score.results) == len(shown[MIME]["checks"]), exercise
    assert shown["text/plain"].count(" / ") > len(score.results), exercise
    assert {{r.outcome for r in score.results}} <= {{"failed", "skipped"}}, [r.fault for r in score.results]
"""


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory):
    """unzipped(assignment): the folder that a student has of it, made once."""
    made: dict[str, Path] = {}

    def unzip(assignment: str) -> Path:
        if assignment not in made:
            folder = tmp_path_factory.mktemp("student")
            with zipfile.ZipFile(bundle(assignment, folder)) as archive:
                archive.extractall(folder)
            made[assignment] = folder / assignment
        return made[assignment]

    return unzip


def run(folder: Path, script: str, *words: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", STUDENTS + script, *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def deepul(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return run(folder, 'sys.argv[0] = "deepul"; runpy.run_module("autograder", run_name="__main__")', *words)


def solve(assignment: str, folder: Path) -> Path:
    """Fill the solution in, with its weights, as a student would have written and trained it."""
    homework = folder / "homeworks" / assignment
    names = [e.name for e in assignments.get(assignment).exercises]
    write_submission(homework / f"{assignment}.ipynb", homework, solution_cells(assignment), names, names)
    return homework


# ---- what is in it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("assignment", CORE)
def test_nothing_of_the_staffs_is_in_it(assignment):
    inside = {f.relative_to(ROOT).as_posix() for f in files(assignments.get(assignment))}
    at_top = {p.split("/")[0] for p in inside}
    assert at_top == {
        "LICENSE",
        "autograder",
        "data",
        "deepul_utils",
        "homeworks",
        "pyproject.toml",
        "requirements-student.txt",
    }
    staffs = ("grading/", "proof/", "handout/", "cli.py", "course.py", "demo.py", "sources.py", "environment.py")
    assert not [p for p in inside if p.startswith(tuple(f"autograder/{part}" for part in staffs))]
    assert not [p for p in inside if "__pycache__" in p or "/artifacts/" in p or p.startswith("data/make_")]
    assert {p.split("/")[2] for p in inside if p.startswith("autograder/assignments/") and p.count("/") > 2} == {
        assignment
    }
    needed = {"autograder/runner.py", "autograder/templates/score.html.j2", "autograder/workbench.py"}
    assert needed | {"deepul_utils/places.py"} <= inside


def test_its_dates_are_those_of_its_last_change_and_its_bytes_the_same(tmp_path):
    first, second = (bundle("nice", tmp_path / name).read_bytes() for name in "ab")
    assert first == second
    with zipfile.ZipFile(tmp_path / "a" / "nice.zip") as archive:
        (date,) = {entry.date_time for entry in archive.infolist()}
    last = changed(assignments.get("nice"))
    assert date == (*last.timetuple()[:5], last.second // 2 * 2), "a zip counts every second second"
    assert datetime(2024, 1, 1, tzinfo=UTC) < last <= datetime.now(UTC)


def test_without_git_it_is_as_old_as_its_newest_file(monkeypatch):
    def no_git(*args, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    here = assignments.get("nice")
    newest = max(f.stat().st_mtime for f in files(here))
    assert changed(here) == datetime.fromtimestamp(newest, UTC)
    monkeypatch.setattr(os.path, "getmtime", lambda file: 0.0)
    assert changed(here).year == 1980, "a zip knows no earlier year"


# ---- its README --------------------------------------------------------------------------------------------


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """(the line before, its commands) of every block of code in a README, in their order."""
    found = re.findall(r"([^\n]*)\n\n```\w+\n(.*?)```", text, re.DOTALL)
    return [(before, commands.strip().splitlines()) for before, commands in found]


def test_three_commands_for_each_system():
    linux, mac, windows, hand_in = blocks(readme(assignments.get("hw2")))
    assert mac[0] == "On macOS:"
    assert windows[0] == "On Windows:"
    for _, lines in (linux, mac, windows):
        assert len(lines) == 3
        assert "venv .venv" in lines[0]
        assert "pip install -r requirements-student.txt" in lines[1]
        assert lines[2].replace("\\", "/").endswith("/jupyter lab homeworks/hw2/hw2.ipynb")
    assert linux[1][1].endswith("--extra-index-url https://download.pytorch.org/whl/cpu")
    assert "index" not in mac[1][1] + windows[1][1]
    assert all("/" not in line for line in windows[1])
    assert hand_in[1] == [".venv/bin/deepul submit --student your-id"]


def test_it_says_where_to_ask_if_the_course_does():
    here = assignments.get("hw1")
    assert "The forum: https://example.edu" in readme(here, "The forum: https://example.edu")
    assert "deepul info" in readme(here)
    assert "None" not in readme(here)


# ---- a student's commands ----------------------------------------------------------------------------------


def test_the_staffs_commands_are_those_that_a_student_is_told_of():
    ours = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    assert {"check", "info", "submit", *STAFF} == ours


@pytest.mark.parametrize("command", ["grade", "release"])
def test_a_command_of_the_staffs_is_said_to_be_one(unzipped, command):
    done = deepul(unzipped("nice"), command, "nice")
    assert (done.returncode, done.stderr) == (2, "")
    said = f"deepul: deepul {command} is for the course's staff, whose kit has the solutions."
    assert done.stdout.strip() == f"{said} Here there are: check, info, submit."


def test_what_is_missing_is_said_as_it_is(unzipped):
    """A package that is not installed is none of the instructor's."""
    script = "sys.modules['pytest'] = None; sys.argv[0] = 'deepul'; runpy.run_module('autograder', run_name='__main__')"
    done = run(unzipped("nice"), script, "check")
    assert done.returncode == 2
    said = f"the module pytest is missing: pip install -r requirements-student.txt in {unzipped('nice')}."
    assert said in done.stdout


def test_info_says_what_is_asked_for_when_something_does_not_work(unzipped):
    done = deepul(unzipped("nice"), "info")
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert {"kit", "Python", "system", "device", "torch", "numpy", "nice"} <= said.keys()
    assert str(unzipped("nice")) in said["kit"]
    assert said["nice"].startswith(str(unzipped("nice") / "homeworks" / "nice"))


def test_check_names_what_it_cannot_find(unzipped):
    folder = unzipped("nice")
    assert "There is no assignment called 'hw1'" in deepul(folder, "check", "hw1").stdout
    assert "There is no notebook" in deepul(folder, "check", "elsewhere.ipynb").stdout
    done = deepul(folder, "check", "--exercise", "made")
    assert done.returncode == 2
    assert "There is no exercise called 'made'" in done.stdout


def test_a_kit_with_several_asks_which_one(monkeypatch):
    for command in ("check", "submit"):
        with pytest.raises(ValueError, match=f"Which one: deepul {command} hw1 or hw2"):
            commands._file("", command)


@pytest.mark.parametrize("assignment", [a if a == "nice" else pytest.param(a, marks=pytest.mark.slow) for a in CORE])
def test_every_check_runs_without_a_package_of_the_staffs(unzipped, tmp_path, assignment):
    """In the notebook's form on a blank notebook, in the text's form on a finished one, which earns everything."""
    folder = unzipped(assignment)
    done = run(folder, NOTEBOOK_FORM.format(name=assignment))
    assert done.returncode == 0, done.stderr
    finished = shutil.copytree(folder, tmp_path / assignment)
    solve(assignment, finished)
    done = deepul(finished, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    for e in assignments.get(assignment).exercises:
        assert f"Exercise {e.number} · {e.title}: {e.points:g} / {e.points:g}." in " ".join(done.stdout.split())
    assert "The checker itself" not in done.stdout


def test_check_says_which_cell_stopped_and_that_points_are_missing(unzipped, tmp_path):
    folder = shutil.copytree(unzipped("nice"), tmp_path / "nice")
    done = deepul(folder, "check", "nice")
    assert done.returncode == 1
    assert "A cell stopped: NotImplementedError: Exercise E1 is not implemented yet" in done.stdout
    assert "0 of 10 points" in done.stdout


# ---- from the bundle to full points ------------------------------------------------------------------------


def follow(lines: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a README's commands in a folder; JupyterLab is left as soon as it shows its notebook."""
    for line in lines:
        if " lab " in line:
            _open_lab(f"exec {line} --no-browser --allow-root --port=0 --IdentityProvider.token=", folder, environment)
        else:
            done = subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def _open_lab(command: str, folder: Path, environment: dict[str, str]) -> None:
    log = folder / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, shell=True, cwd=folder, env=environment, stdout=out, stderr=out)
        try:
            notebook = re.search(r"(\w+\.ipynb)", command)[1]  # its folder is the server's root
            deadline = time.monotonic() + 60
            while not _shows(log.read_text(), notebook):
                assert server.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.2)
        finally:
            server.terminate()
            server.wait(20)
    log.unlink()


def _shows(log: str, notebook: str) -> bool:
    """Whether the server that writes this log answers, and has the notebook."""
    address = re.search(r"http://localhost:\d+/(?=lab)", log)
    try:
        with urllib.request.urlopen(f"{address[0]}api/contents/{notebook}?content=0", timeout=20) as reply:
            return json.load(reply)["type"] == "notebook"
    except (TypeError, urllib.error.URLError):  # it says no address yet, or does not listen there yet
        return False


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """An environment that the commands of one bundle's README made, and what they ran with."""
    place = tmp_path_factory.mktemp("installed")
    pinned = place / "constraints.txt"  # what this machine's index has a build for CPUs of
    pinned.write_text("".join(re.findall(r"^torch==.*\n", (ROOT / "requirements.txt").read_text(), re.MULTILINE)))
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"PIP_CONSTRAINT": str(pinned), "PIP_RETRIES": "0", "JUPYTER_CONFIG_DIR": str(place / "config")}
    with zipfile.ZipFile(bundle("nice", place)) as archive:
        archive.extractall(place)
    (_, set_up), *_ = blocks((place / "nice" / "README.md").read_text(encoding="utf-8"))
    follow(set_up, place / "nice", environment)
    return place / "nice" / ".venv", environment


@pytest.mark.slow
@pytest.mark.parametrize("assignment", CORE)
def test_its_readme_leads_to_full_points(installed, tmp_path, assignment):
    """A fresh folder, the README's commands and no others, then `deepul grade`.

    What its first two commands install is installed once, and is the same for all but the kit itself.
    """
    made, environment = installed
    with zipfile.ZipFile(bundle(assignment, tmp_path)) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / assignment
    (_, set_up), *_, (_, hand_in) = blocks((folder / "README.md").read_text(encoding="utf-8"))
    (folder / ".venv").symlink_to(made)
    assert [line.split()[1:3] for line in set_up[:2]] == [["-m", "venv"], ["install", "-r"]]
    own_kit = ".venv/bin/pip install --quiet --no-deps --editable ."
    follow([own_kit, *set_up[2:]], folder, environment)
    listed = subprocess.run([".venv/bin/pip", "list"], cwd=folder, env=environment, capture_output=True, text=True)
    assert not re.findall(rf"^({'|'.join({*HIDDEN} - {'nbconvert', 'nbformat'})})\b", listed.stdout, re.M | re.I)

    homework = solve(assignment, folder)
    run_all = f"../../.venv/bin/jupyter execute --inplace {assignment}.ipynb"
    follow([run_all], homework, environment)
    follow([line.replace("your-id", "ada") for line in hand_in], folder, environment)
    handed_in = tmp_path / "submissions"
    handed_in.mkdir()
    shutil.copy(homework / f"{assignment}-ada.zip", handed_in)
    (folder / ".venv").unlink()

    course = Course.at(tmp_path / "course")
    (graded,) = batch.grade(course, assignment, downloads.find(handed_in, assignment).chosen(), batch.Options(jobs=1))
    assert graded.problems == []
    for score in graded.scores:
        lost = [(c["title"], c["measured"]) for c in score["checks"] if c["points"] != c["max_points"]]
        assert score["points"] == score["max_points"], lost
    assert {s["exercise"] for s in graded.scores} == {e.name for e in assignments.get(assignment).exercises}


def test_only_what_is_imported_is_needed(tmp_path):
    """The bundle grows with what a student's commands import: nothing is listed by hand but where it begins."""
    from autograder import sources

    commands = [ROOT / "autograder" / name for name in bundles.COMMANDS]
    found = {f.name for f in sources.needed(commands, without=ROOT / "autograder" / "cli.py")}
    assert {"__init__.py", "runner.py", "notebooks.py", "display.py", "exercises.py", "check.py"} <= found
    assert not {"cli.py", "demo.py", "batch.py", "bundle.py"} & found
