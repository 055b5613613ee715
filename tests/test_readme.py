"""README's sections for TAs and instructors, followed word for word in a copy of the kit, in shells of their own.

What `make setup` installs is there (that it does install it is seen in every fresh clone, where CI begins with it).
"""

import contextlib
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import pytest
import typer

from autograder import cli, demo
from autograder.assignments import ROOT
from autograder.handout.submit import solution_cells, write_submission
from tests.test_authors_road import copied

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def section(title: str) -> str:
    """A section of the README, with those below it."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)[1]


def blocks(text: str, language: str = "sh") -> list[str]:
    return [code for name, code in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.M) if name == language]


TA, INSTRUCTOR = section("For TAs"), section("For instructors")
*AT_THE_DESK, GRADESCOPE, CONTAINER = blocks(TA)  # grade, export, feedback, …
(COMMANDS,) = blocks(INSTRUCTOR)


# ---- every command that is written down is one ---------------------------------------------------------------


def commands(text: str) -> list[str]:
    """The `deepul …` of a page, in code and in blocks."""
    code = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    lines = [re.sub(r"\s+#.*", "", line) for block in blocks(text) for line in block.splitlines()]
    return [c for c in (*code, *lines) if re.match(r"deepul [a-z]", c) and "…" not in c]


def unknown(command: str) -> str:
    """What the command line would not understand of a command, or ""."""
    group = typer.main.get_command(cli.app)
    name, *words = shlex.split(command)[1:]
    if name not in group.commands:
        return f"{command}: there is no such command"
    with contextlib.suppress(click.exceptions.Exit):
        try:
            group.commands[name].make_context(name, words)
        except click.exceptions.UsageError as error:
            if "Missing argument" not in error.message and "Missing option" not in error.message:
                return f"{command}: {error.message}"
        except Exception as error:  # typer has a copy of click's exceptions of its own
            said = str(getattr(error, "message", error))
            if "issing" not in type(error).__name__ + said:
                return f"{command}: {said}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_understood(page):
    assert [said for c in commands(page.read_text(encoding="utf-8")) if (said := unknown(c))] == []


def test_a_command_that_is_none_is_seen():
    assert len(commands(README)) > 12
    assert unknown("deepul grad hw1")
    assert "--onyl" in unknown("deepul grade hw1 --onyl ada")
    assert not unknown("deepul grade hw1 --only ada -j 4")


def test_every_option_that_the_section_for_tas_names_is_one():
    named = set(re.findall(r"`(--?[a-z][a-z-]*)", TA))
    known = {o for c in typer.main.get_command(cli.app).commands.values() for p in c.params for o in p.opts}
    of_others = {
        "--cap-add",
        "--security-opt",
        "--submissions",
        "--whole",
        "--scaling",
    }  # of docker, and of benchmarks/grading.py
    assert len(named) > 10
    assert named - known - of_others == set()


# ---- the container -------------------------------------------------------------------------------------------


def test_the_container_is_the_one_that_the_command_uses():
    build, run = map(shlex.split, CONTAINER.strip().splitlines())
    recipe = (ROOT / build[build.index("-f") + 1]).read_text(encoding="utf-8")
    tag = build[build.index("-t") + 1]
    mounted = run[run.index("-v") + 1].partition(":")[2]
    assert build[:2] == ["docker", "build"]
    assert f"WORKDIR {mounted}\n" in recipe
    assert 'ENTRYPOINT ["deepul"]' in recipe
    assert "chmod 700 /root" in recipe
    assert mounted.startswith("/root/")
    words = run[run.index(tag) + 1 :]
    assert unknown(shlex.join(["deepul", *words])) == ""
    assert "--separate-user" in words


def test_the_container_is_made_by_the_makefile_of_what_the_kit_names():
    recipe = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert re.search(r"^RUN make setup VENV=(\S+)", recipe, re.MULTILINE)[1] + "/bin" in recipe
    copied_files = {w for line in re.findall(r"^COPY (.*) \S+$", recipe, re.MULTILINE) for w in line.split()}
    needed = {"requirements.txt", "constraints.txt", "pyproject.toml"}  # of make setup
    assert needed <= copied_files
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied_files, "what is copied is sent to the builder, and nothing else"
    assert all((ROOT / name).exists() for name in copied_files)
    for package in ("bubblewrap", "make", "python3-venv"):
        assert re.search(rf"apt-get install .*\b{package}\b", recipe)


# ---- followed word for word ----------------------------------------------------------------------------------


def set_up(folder: Path) -> None:
    """What `make setup` leaves: this very environment, and the mark that it is ready."""
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / ".ready").touch()


def follow(folder: Path, script: str) -> str:
    """What a shell of somebody who types all this says."""
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if p != str(Path(sys.executable).parent))
    environment = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> Path:
    folder = copied(tmp_path_factory.mktemp("kit"))
    set_up(folder)
    return folder


def hand_in(kit: Path) -> None:
    """A download of Canvas: a zip of Ada's, whom the README's roster knows."""
    work = kit / "work" / "hw1"
    write_submission(kit / "homeworks/hw1/hw1.ipynb", work, solution_cells("hw1"), demo.QUICK[:1], demo.QUICK[:1])
    _leave_answers_open(work / "hw1.ipynb", kit / "homeworks/hw1/hw1.ipynb")
    (kit / "path/to/download").mkdir(parents=True)
    shutil.make_archive(str(kit / "path/to/download/lovelaceada_40017_98_hw1"), "zip", work)


def _leave_answers_open(file: Path, handout: Path) -> None:
    """Nobody has to grade one then, and the total is final."""
    own, given = (json.loads(f.read_text(encoding="utf-8")) for f in (file, handout))
    blank = {c["id"]: c["source"] for c in given["cells"] if c["metadata"].get("deepul", {}).get("answer") is not None}
    assert blank
    for cell in own["cells"]:
        cell["source"] = blank.get(cell["id"], cell["source"])
    file.write_text(json.dumps(own), encoding="utf-8")


CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,hw1 (12)
Points Possible,,,,,98
"Lovelace, Ada",40017,,ada,A,
"""


@pytest.mark.slow
def test_the_section_for_tas(kit):
    """A roster, a download, grading, an export and an autograder for Gradescope, with the README's own files."""
    (roster,) = [block for block in blocks(TA, "") if block.startswith("id,")]
    (kit / "roster.csv").write_text(roster, encoding="utf-8")
    (settings,) = blocks(INSTRUCTOR, "toml")
    (kit / "course.toml").write_text(settings, encoding="utf-8")
    (kit / "Grades.csv").write_text(CANVAS, encoding="utf-8")
    hand_in(kit)
    follow(kit, "".join(AT_THE_DESK) + GRADESCOPE)

    assert "12 February 2027" in (kit / "homeworks/hw1/hw1.ipynb").read_text(encoding="utf-8"), "course.toml is read"
    with (kit / "reports/hw1/grades.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["student"], float(row["total"])) for row in rows] == [("s017", 15.0)]
    assert (kit / "reports/hw1/files.csv").exists()
    with (kit / "reports/hw1/canvas.csv").open(encoding="utf-8") as stream:
        assert list(csv.reader(stream))[-1] == ["Lovelace, Ada", "40017", "", "ada", "A", "15"]
    assert (kit / re.search(r"# (\S+)", GRADESCOPE)[1]).exists()
    with zipfile.ZipFile(kit / "back" / "s017.zip") as archive:
        assert any(name.endswith("hw1.html") for name in archive.namelist())


@pytest.mark.slow
def test_the_section_for_instructors(kit):
    """The new assignment is calibrated, released and proved. The others are put away before that: they take hours."""
    before, make = re.split(r"^(?=make )", COMMANDS, maxsplit=1, flags=re.MULTILINE)
    names = [folder.name for folder in (kit / "solutions").iterdir()]
    others = " ".join(f"{f}/{a}" for a in names for f in ("solutions", "autograder/assignments", "homeworks"))
    said = follow(kit, f"{before}rm -rf {others} course.toml build\n{make}")
    assert "hw1: in order" in said
    assert (kit / "build/bundles/bent.zip").exists()
    assert (kit / "build/validate/bent.html").exists()
    assert "bent: the handout is what the source makes, and works by itself" in said
