"""The first cell of a notebook: how it finds the kit on every machine."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import assignments, notebooks, settings
from autograder.assignments import ROOT
from autograder.handout import build, opening, source
from autograder.settings import CourseSettings
from tests.core import CORE

# Where Colab and Kaggle put things, below a folder of the test's; pip only says what it was asked for.
PLATFORM = """
import subprocess, sys
sys.meta_path = [f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__")]
sys.path = [p for p in sys.path if p != {root!r}]
ran, run = [], subprocess.run
def note(words, **options):
    ran.append(words)
    if words[0] == "git":
        import shutil
        shutil.copytree({repository!r}, words[-1])
subprocess.run = note
"""
AFTER = """
import deepul_utils
print(json.dumps({"kit": deepul_utils.__file__, "first": sys.path[0], "ran": ran}))
"""


def write_kit(folder: Path) -> Path:
    """As much of a kit as is looked for."""
    (folder / "deepul_utils").mkdir(parents=True)
    for name in ("__init__.py", "check.py"):
        (folder / "deepul_utils" / name).touch()
    (folder / "pyproject.toml").write_text('[project]\ndependencies = ["numpy>=1.26,<3"]\n')
    return folder


@pytest.fixture
def run(tmp_path):
    """run(folder, kit=""): the first cell, in this folder of a machine on which no kit is installed."""

    def cell(folder: Path, kit: str = "") -> subprocess.CompletedProcess:
        text = opening.first_cell(CourseSettings(kit=kit))
        for host in ("/content", "/kaggle"):
            text = text.replace(f'"{host}"', repr(str(tmp_path / host[1:])))
        before = PLATFORM.format(root=str(ROOT), repository=str(tmp_path / "repository"))
        script = f"{before}\n{text}\nimport json{AFTER}"
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return subprocess.run([sys.executable, "-c", script], cwd=folder, env=env, capture_output=True, text=True)

    return cell


def found(done: subprocess.CompletedProcess) -> dict:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (said,) = done.stdout.splitlines()
    return json.loads(said)


def test_locally_it_is_silent_and_finds_the_kit_above(run, tmp_path):
    kit = write_kit(tmp_path / "hw1")
    folder = kit / "homeworks" / "hw1"
    folder.mkdir(parents=True)
    for here in (kit, folder):
        said = found(run(here))
        assert Path(said["kit"]).is_relative_to(kit)
        assert said["ran"] == [], "nothing is installed"


def test_the_kit_above_goes_before_one_that_is_installed(run, tmp_path, monkeypatch):
    """Two homeworks in one environment: each has its own checks."""
    kit, other = write_kit(tmp_path / "hw1"), write_kit(tmp_path / "hw2")
    text = f"import sys; sys.path.append({str(other)!r})\n{opening.FIRST_CELL}\nimport json; ran = []{AFTER}"
    done = subprocess.run([sys.executable, "-c", text], cwd=kit, capture_output=True, text=True)
    assert Path(found(done)["kit"]).is_relative_to(kit)


@pytest.mark.parametrize(
    "where", ["content/hw1", "content/drive/MyDrive/hw1", "content/drive/MyDrive/Courses/hw1", "kaggle/input/hw1/hw1"]
)
def test_on_colab_and_kaggle_an_uploaded_folder_is_found_and_what_is_missing_installed(run, tmp_path, where):
    kit, working = write_kit(tmp_path / where), tmp_path / where.split("/")[0]
    said = found(run(working))
    assert Path(said["kit"]).is_relative_to(kit)
    assert said["first"] == str(kit)
    assert [words[1:] for words in said["ran"]] == [["-m", "pip", "install", "--quiet", "numpy>=1.26,<3"]]


def test_on_colab_a_zip_is_unpacked_once_and_never_over_work(run, tmp_path):
    kit, content = write_kit(tmp_path / "elsewhere" / "hw1"), tmp_path / "content"
    content.mkdir()
    with zipfile.ZipFile(content / "hw1.zip", "w") as archive:
        for file in kit.rglob("*.*"):
            archive.write(file, file.relative_to(kit.parent))
    with zipfile.ZipFile(content / "photos.zip", "w") as archive:
        archive.writestr("photos/one.png", "")
    assert Path(found(run(content))["kit"]).is_relative_to(content / "hw1")
    assert not (content / "photos").exists()
    (content / "hw1" / "pyproject.toml").write_text('[project]\ndependencies = ["mine"]\n')
    assert found(run(content))["ran"][0][-1] == "mine"


def test_a_path_or_a_git_address_leads_to_it(run, tmp_path):
    kit, desk = write_kit(tmp_path / "disk" / "course" / "hw1"), tmp_path / "desk"
    desk.mkdir()
    assert Path(found(run(desk, str(tmp_path / "disk")))["kit"]).is_relative_to(kit)
    write_kit(tmp_path / "repository")
    for clones in (1, 0):
        said = found(run(desk, "https://example.edu/course/kit.git"))
        assert Path(said["kit"]).is_relative_to(desk / "kit")
        assert sum(words[0] == "git" for words in said["ran"]) == clones


def test_where_there_is_none_it_says_what_to_do(run, tmp_path):
    done = run(tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ModuleNotFoundError: The kit is not here. Open the notebook in its unzipped folder, or set KIT above."
    )


@pytest.mark.parametrize("assignment", CORE)
def test_every_handout_begins_with_it_folded_away_and_no_source_has_it(assignment):
    here = assignments.get(assignment)
    handout = json.loads((here.handout / f"{assignment}.ipynb").read_text(encoding="utf-8"))["cells"]
    first, second = [c for c in handout if c["cell_type"] == "code"][:2]
    assert "".join(first["source"]) == opening.FIRST_CELL
    assert first["metadata"] == {"deepul": {"made": True}, "jupyter": {"source_hidden": True}}
    assert second["metadata"] == {}
    sources = [c.source.rstrip() for c in notebooks.read(here.source)]
    assert opening.FIRST_CELL not in sources


def test_the_address_of_the_course_goes_into_the_handout(tmp_path):
    (tmp_path / "course.toml").write_text('kit = "https://example.edu/kit.git"')
    build.write_source("nice", tmp_path / "nice.ipynb", settings.read(tmp_path))
    first = next(c for c in notebooks.read(tmp_path / "nice.ipynb") if c.kind == "code")
    assert 'KIT = "https://example.edu/kit.git"' in first.source
    assert source.leaks([], [first], first.source) == []
    build.write_source("nice", tmp_path / "nice.ipynb")
    assert next(c for c in notebooks.read(tmp_path / "nice.ipynb") if c.kind == "code").source == opening.FIRST_CELL


def test_an_address_that_is_none_is_said(tmp_path):
    (tmp_path / "course.toml").write_text('kit = "the shared folder"')
    with pytest.raises(settings.SettingsError, match="kit is 'the shared folder'; it must be the address of a git rep"):
        settings.read(tmp_path)
