"""Graded notebooks by what they were made from: the same submission under the same checks is graded once."""

import hashlib
import importlib.metadata
import json
import re
import sys
from functools import cache
from pathlib import Path

from autograder import assignments, runner, sources
from autograder.assignments import ROOT
from autograder.files import write_atomically
from autograder.grading import worth
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised

WORD = re.compile(r"\w+")
PACKAGES = ("torch", "numpy", "scipy", "ipykernel", "safetensors")


def key(submission: Normalised, assignment: str, salt: str, limits: Limits) -> str:
    """Changes with all that a result depends on: submission, checks, references, salt, limits, versions; not points."""
    parts = [worth.bare(submission.notebook), submission.changes, submission.handed_in]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for name, content in sorted(submission.files.items()):
        digest.update(f"\0{name}\0".encode() + hashlib.sha256(content).digest())
    digest.update(f"{assignment}/{salt}/{limits!r}/{kit_version(assignment)}".encode())
    for file in _library(submission.notebook):
        digest.update(sources.digest(file))
    return digest.hexdigest()


def _library(notebook: dict) -> list[Path]:
    """The files of the students' library that a notebook may use: of each part whose name occurs in its code."""
    words = {word for c in notebook["cells"] if c["cell_type"] == "code" for word in WORD.findall(c["source"])}
    parts = [p for p in (ROOT / "deepul_utils").iterdir() if p.stem in words]
    files = [f for part in parts for f in ([part] if part.is_file() else part.rglob("*.py"))]
    return sorted({f for file in files for f in sources.closure(file)})


@cache
def kit_version(assignment: str) -> str:
    """A hash of what grades an assignment: its checks, all that they and the grader import, its references, the data,
    and the versions that all of it runs on."""
    digest = hashlib.sha256(sys.version.encode())
    for package in PACKAGES:
        digest.update(importlib.metadata.version(package).encode())
    here = assignments.Assignment(assignment)  # as the kit has it: a worker knows of no course that leaves some out
    used = [*(e.test_file for e in here.exercises), Path(runner.__file__), *Path(__file__).parent.glob("*.py")]
    files = {f for file in used for f in sources.closure(file)} | set(sources.data())
    tests = {e.test_file for e in here.exercises}
    for file in sorted(files):
        content = worth.digest(file) if file in tests else sources.digest(file)
        digest.update(str(file.relative_to(ROOT)).encode() + content)
    if here.reference.exists():
        digest.update(here.reference.read_bytes())
    return digest.hexdigest()


class Cache:
    """JSON files in a folder, each written whole or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, name: str) -> dict | None:
        try:
            return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # one that is damaged or cannot be read is one that is not there
            return None

    def put(self, name: str, value: dict) -> None:
        write_atomically(self.folder / f"{name}.json", json.dumps(value))
