"""What an instructor gives to students: one zip with the handout and all it needs, and no solution."""

import zipfile
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from autograder import assignments
from autograder.assignments import ROOT, Assignment

# Of the kit, everything that a notebook and its checks import.
PARTS = (
    "deepul_utils",
    "autograder",
    "data",
    "requirements.txt",
    "constraints.txt",
    "pyproject.toml",
    "nbgrader_config.py",
    "LICENSE",
)
# What is of use to the staff only, and what is made.
LEFT_OUT = ("autograder/proof", "autograder/demo.py", "data/cache")
MADE = ("__pycache__", "artifacts", ".ipynb_checkpoints")
DATE = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is made


def bundle(assignment: str, target: Path) -> Path:
    """Write <target>/<assignment>.zip, a folder of that name, and return its path. It must have been released before.

    It has the tests and references of this assignment, and a README of its own.
    """
    here = assignments.get(assignment)
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{assignment}.zip"
    contents = {p.relative_to(ROOT).as_posix(): p.read_bytes() for p in files(here)}
    contents["README.md"] = readme(here).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(f"{assignment}/{path}", DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return file


def files(assignment: Assignment) -> list[Path]:
    """The kit's files in its bundle, in order."""
    parts = [*(ROOT / part for part in PARTS), assignment.handout]
    found = (p for part in parts for p in ([part] if part.is_file() else part.rglob("*")))
    return sorted(p for p in found if p.is_file() and _belongs(p, assignment))


def _belongs(file: Path, assignment: Assignment) -> bool:
    path = file.relative_to(ROOT)
    others = file.is_relative_to(assignments.FOLDER) and file.parent not in (assignments.FOLDER, assignment.checks)
    return not (others or set(path.parts) & set(MADE) or path.as_posix().startswith(LEFT_OUT))


def readme(assignment: Assignment) -> str:
    """How a student sets it up, works on it and hands it in."""
    folder = Environment(loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True)
    return folder.get_template("readme.md.j2").render(assignment=assignment)
