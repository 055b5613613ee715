"""Is the committed handout what its source makes? Looked at again only if something changed that it rests on."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from autograder import settings, sources
from autograder.assignments import ROOT, Assignment
from autograder.course import Course, SourceError
from autograder.files import write_atomically
from autograder.handout import build
from autograder.handout.bundle import bundle

# Alone, in the folder that students get: the checks are there, and all that they import. What is installed here in
# development mode would fill the gaps.
BY_ITSELF = """
import sys; sys.path.insert(0, ".")
sys.meta_path = [f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__")]
from autograder import assignments, runner
import deepul_utils.plots
print(sum(e.points for e in assignments.get({name!r}).exercises))
"""


def is_current(assignment: Assignment) -> bool:
    """Whether it was right when it was looked at last, and nothing changed since."""
    file = _record(assignment)
    return file.exists() and json.loads(file.read_text(encoding="utf-8")) == {"key": key(assignment)}


def problems(assignment: Assignment) -> list[str]:
    """What differs between the committed handout and what the source makes, and whether its bundle works by itself.

    The record is written where nothing does.
    """
    with tempfile.TemporaryDirectory() as scratch:
        course = Course.at(Path(scratch) / "course")
        if _settings().exists():
            course.root.mkdir(parents=True)
            shutil.copy(_settings(), course.root)
        try:
            fresh = build.release(course, assignment.name)
        except (SourceError, settings.SettingsError) as error:
            return [str(error)]
        differences = _differences(assignment, fresh)
        if not differences:
            differences = _by_itself(assignment, Path(scratch) / "bundle")
    if not differences:
        write_atomically(_record(assignment), json.dumps({"key": key(assignment)}) + "\n")
    return differences


def _differences(assignment: Assignment, fresh: Path) -> list[str]:
    here, there = _contents(fresh), _contents(assignment.handout)
    names = [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]
    return [f"{name} is not what the source makes: deepul release {assignment}, and commit it." for name in names]


def _contents(folder: Path) -> dict[str, bytes]:
    """Of all files but the weights that somebody trained there. Figures that look alike are kept by a release."""
    return {
        f.relative_to(folder).as_posix(): f.read_bytes()
        for f in folder.rglob("*")
        if f.is_file() and "artifacts" not in f.relative_to(folder).parts
    }


def _by_itself(assignment: Assignment, target: Path) -> list[str]:
    with zipfile.ZipFile(bundle(assignment.name, target)) as archive:
        archive.extractall(target)
    command = [sys.executable, "-I", "-c", BY_ITSELF.format(name=assignment.name)]
    done = subprocess.run(command, cwd=target / assignment.name, capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"The bundle of {assignment} does not work by itself: {done.stderr.strip().splitlines()[-1]}"]
    return []


def key(assignment: Assignment) -> str:
    """Changes with all that a handout and its bundle are made of."""
    made_by = sources.closure(ROOT / "autograder" / "handout" / "build.py")
    made_by |= sources.closure(ROOT / "autograder" / "handout" / "bundle.py")
    plots = (ROOT / "deepul_utils" / "plots").rglob("*.py")
    tests = {f for e in assignment.exercises for f in sources.closure(e.test_file)}
    digest = hashlib.sha256(_settings().read_bytes() if _settings().exists() else b"")
    for file in sorted({*made_by, *plots, *tests, *sources.data()}):
        digest.update(sources.digest(file))
    own = [
        assignment.source,
        *assignment.artifacts.rglob("*.safetensors"),
        *assignment.checks.glob("*.*"),
        *(f for f in assignment.handout.rglob("*") if "artifacts" not in f.parts),
    ]
    for file in sorted(f for f in own if f.is_file()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _settings() -> Path:
    """Of the kit's own course, whose handouts are the committed ones."""
    return ROOT / settings.NAME


def _record(assignment: Assignment) -> Path:
    return assignment.solution / "handout.json"
