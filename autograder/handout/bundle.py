"""What an instructor gives to students: one zip with the handout and all it needs, and no solution."""

import zipfile
from pathlib import Path

from autograder import exercises
from autograder.exercises import ROOT

# Of the kit, everything that a notebook and its checks import. What is left out holds pieces of solutions
# (mutants, variants, solutions) or is of no use to students.
PARTS = (
    "deepul_utils",
    "autograder",
    "data",
    "requirements.txt",
    "constraints.txt",
    "pyproject.toml",
    "nbgrader_config.py",
    "README.md",
    "LICENSE",
)
LEFT_OUT = (
    "autograder/mutants", "autograder/variants", "autograder/demo.py", "autograder/validate.py",
    "autograder/calibrate.py", "autograder/matrix.py", "autograder/matrix.html.j2", "data/cache",
)  # fmt: skip
DATE = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is made


def bundle(homework: str, target: Path) -> Path:
    """Write <target>/<homework>.zip and return its path. The handout must have been released before."""
    exercises.of_homework(homework)
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{homework}.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files(homework):
            entry = zipfile.ZipInfo(f"deepul/{path.relative_to(ROOT).as_posix()}", DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return file


def files(homework: str) -> list[Path]:
    """The files of the bundle, in order."""
    parts = [ROOT / part for part in (*PARTS, f"homeworks/{homework}")]
    found = (p for part in parts for p in ([part] if part.is_file() else part.rglob("*")))
    return sorted(p for p in found if p.is_file() and _belongs(p.relative_to(ROOT).as_posix()))


def _belongs(path: str) -> bool:
    generated = "__pycache__" in path or "/artifacts/" in path or ".ipynb_checkpoints" in path
    return not generated and not path.startswith(LEFT_OUT)
