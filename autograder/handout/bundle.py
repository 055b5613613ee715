"""What an instructor gives to students: one zip with the handout and all it needs, and no solution."""

import json
import os
import re
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from autograder import assignments, sources, words
from autograder.assignments import ROOT, Assignment
from autograder.display import counted

# Beside the handout, and what of the kit its notebook and a student's commands import.
PARTS = ("deepul_utils", "autograder/templates", "data", "requirements-student.txt", "pyproject.toml", "LICENSE")
COMMANDS = ("__main__.py", "commands.py")
# What makes the data, and what is made.
LEFT_OUT = re.compile(r"data/cache/|data/\w+\.py$|(.*/)?(__pycache__|artifacts|\.ipynb_checkpoints)/")


def bundle(assignment: str, target: Path, contact: str = "", handout: Path | None = None) -> Path:
    """Write <target>/<assignment>.zip, a folder of that name, and return its path. It must have been released before.

    It has the tests and references of this assignment, and a README of its own. contact: where students ask, in
    Markdown. handout: the released folder, if it is not the kit's own. The same files make the same bytes.
    """
    here = assignments.get(assignment)
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{assignment}.zip"
    contents = {p.relative_to(ROOT).as_posix(): p.read_bytes() for p in files(here)}
    if handout is not None:
        ours = here.handout.relative_to(ROOT)
        contents = {p: c for p, c in contents.items() if not Path(p).is_relative_to(ours)}
        released = {(ours / p.relative_to(handout)).as_posix(): p for p in handout.rglob("*") if p.is_file()}
        contents |= {name: p.read_bytes() for name, p in released.items() if not LEFT_OUT.match(name)}
    if here.given is not None:  # what is asked, and what it is worth, stands there
        contents[(here.checks / "assignment.toml").relative_to(ROOT).as_posix()] = toml(here).encode()
    if said := words.current():
        contents[words.NAME] = said.text().encode()
    contents["README.md"] = readme(here, contact).encode()
    date = changed(here)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(f"{assignment}/{path}", date.timetuple()[:6])
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return file


def files(assignment: Assignment) -> list[Path]:
    """The kit's files in its bundle, in order."""
    parts = [*(ROOT / part for part in PARTS), assignment.handout, assignment.checks]
    kit = {p for part in parts for p in ([part] if part.is_file() else part.rglob("*")) if p.is_file()}
    commands = [ROOT / "autograder" / name for name in COMMANDS]
    kit |= sources.needed([*commands, *kit], without=ROOT / "autograder" / "cli.py")
    return sorted(p for p in kit if not LEFT_OUT.match(p.relative_to(ROOT).as_posix()))


def toml(assignment: Assignment) -> str:
    """An assignment.toml as a course gives it."""
    lines = [f"title = {json.dumps(assignment.title, ensure_ascii=False)}", f"order = {assignment.order}"]
    for e in assignment.exercises:
        own = {k: getattr(e, k) for k in ("name", "number", "title", "difficulty", "thinking", "training", "worth")}
        texts = {k: json.dumps(v, ensure_ascii=False) for k, v in own.items() if v is not None}
        lines += ["", "[[exercises]]", *(f"{k} = {v}" for k, v in texts.items()), f"written = {list(e.written)}"]
    return "\n".join(lines) + "\n"


def changed(assignment: Assignment) -> datetime:
    """When what is in its bundle was committed last, in UTC: a date that is the same for the same files.

    Where the kit is no git repository, the date of its newest file. A zip's dates begin in 1980.
    """
    listed = files(assignment)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct", "--", *map(str, listed)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        said = ""
    seconds = float(said) if said else max(os.path.getmtime(file) for file in listed)
    return max(datetime.fromtimestamp(seconds, UTC), datetime(1980, 1, 1, tzinfo=UTC))


def readme(assignment: Assignment, contact: str = "") -> str:
    """How a student sets it up, works on it and hands it in. contact: where to ask, in Markdown."""
    folder = Environment(loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True)
    folder.filters["counted"] = counted
    return folder.get_template("readme.md.j2").render(assignment=assignment, contact=contact)
