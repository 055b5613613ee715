"""What an instructor uploads to Gradescope: a zip whose container grades as `deepul grade` does.

It is private: it has the course's salt, and the checks as they grade. Solutions and reference weights are not in it.
"""

import json
import os
import re
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from autograder import assignments, sources, words
from autograder.assignments import ROOT, Assignment
from autograder.handout.bundle import LEFT_OUT, toml

VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")
LEAST_MINUTES, MOST_MINUTES = 3, 24 * 60
SANDBOXES = ("auto", "bubblewrap", "separate-user")
RUNS = ("autograder/grading/gradescope.py", "autograder/grading/zygote.py", "autograder/grading/separate_zygote.py")
RUNS_TOO = ("autograder/grading/kernel_side.py",)  # by its name
PARTS = ("deepul_utils", "autograder/templates", "data", "LICENSE")
# Of the staff's packages those that only other commands import, and what opens notebooks.
NOT_NEEDED = re.compile(r"(babel|copydetect|jupyter|jupytext|nbgrader|PyYAML|SQLAlchemy)==|--editable|--constraint|#")

SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq bubblewrap python3 python3-venv
fits='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'
for python in python3 python3.14 python3.13 python3.12 python3.11 none; do
    if command -v $python >/dev/null && $python -c "$fits"; then break; fi
done
if [ $python = none ]; then
    echo "This image has no Python 3.11 to 3.14. Choose a newer one on Gradescope's page Configure Autograder:" \\
        "Ubuntu 24.04." >&2
    exit 1
fi
# Not below /autograder, which is closed to the user that a notebook runs as.
$python -m venv /opt/deepul/venv
/opt/deepul/venv/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --requirement requirements.txt \\
    --constraint constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu
chmod -R go-rwx .
"""
RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission, as root. Nobody else may look into /autograder.
set -euo pipefail
chmod 700 /autograder
cd /autograder
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec env -i PATH=$path HOME=/root LANG=C.UTF-8 OMP_NUM_THREADS=1 PYTHONPATH=/autograder/source/kit \\
    /opt/deepul/venv/bin/python -P -m autograder.grading.gradescope /autograder
"""


@dataclass(frozen=True)
class Settings:
    """What the container is told. points: of the checks; written: of the written questions. minutes: after so many
    Gradescope ends it, as its own settings say. visibility: of each check. leaderboard: whether points are listed
    there. sandbox: one of SANDBOXES, of which auto is bubblewrap where it works there. excused: checks whose points
    everybody has."""

    assignment: str
    points: float
    written: float
    minutes: float = 10.0
    visibility: str = "visible"
    leaderboard: bool = False
    sandbox: str = "auto"
    excused: tuple[str, ...] = ()


def settings(notebook: dict, assignment: str, **chosen) -> Settings:
    """Of a released notebook, whose written questions may have no points. Raises ValueError for what there is not."""
    here = assignments.get(assignment)
    marked = [c["metadata"]["nbgrader"] for c in notebook["cells"] if "nbgrader" in c["metadata"]]
    ours = {q.id for q in here.questions}
    written = sum(about["points"] for about in marked if about["grade_id"] in ours and about["grade"])
    made = Settings(assignment, sum(e.points for e in here.exercises), float(written), **chosen)
    if not LEAST_MINUTES <= made.minutes <= MOST_MINUTES:
        raise ValueError(f"--minutes {made.minutes:g}: there are {LEAST_MINUTES} to {MOST_MINUTES}, of a day.")
    for name, value, known in (("visibility", made.visibility, VISIBILITIES), ("sandbox", made.sandbox, SANDBOXES)):
        if value not in known:
            raise ValueError(f"--{name} {value}: there are {', '.join(known)}.")
    return made


def pack(target: Path, notebook: dict, salt: str, chosen: Settings) -> Path:
    """Write the zip, which only its owner may read, and return its path. notebook: as it was released."""
    here = assignments.get(chosen.assignment)
    released = f"kit/homeworks/{here.name}/{here.name}.ipynb"
    contents = {f"kit/{p.relative_to(ROOT).as_posix()}": p.read_bytes() for p in files(here)}
    if here.given is not None:  # its exercises as the course gives them, and what they are worth
        contents[f"kit/{(here.checks / 'assignment.toml').relative_to(ROOT).as_posix()}"] = toml(here).encode()
    if said := words.current():
        contents[f"kit/{words.NAME}"] = said.text().encode()
    contents |= {
        "setup.sh": SETUP.encode(),
        "run_autograder": RUN.encode(),
        "requirements.txt": requirements().encode(),
        "constraints.txt": (ROOT / "constraints.txt").read_bytes(),
        "autograder.json": json.dumps(asdict(chosen), indent=1).encode(),
        "salt": salt.encode("ascii"),
        released: json.dumps(notebook).encode(),
        f"kit/solutions/{here.name}/{here.name}.py": outline(here.source.read_text(encoding="utf-8")).encode(),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with (
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name)
            is_program = name in ("setup.sh", "run_autograder")
            entry.external_attr = (0o755 if is_program else 0o644) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return target


def files(assignment: Assignment) -> list[Path]:
    """The kit's files in it, in order: what grades, and what a notebook imports."""
    kit = {p for part in PARTS for p in ([ROOT / part] if (ROOT / part).is_file() else (ROOT / part).rglob("*"))}
    kit |= {p for p in assignment.checks.rglob("*") if p.is_file()}
    # Of the others what they are called, and their exercises: one that is handed in here is known by them.
    kit |= {assignments.get(name).checks / "assignment.toml" for name in assignments.names()}
    kit |= sources.needed([*kit, *(ROOT / name for name in (*RUNS, *RUNS_TOO))], without=ROOT / "autograder/cli.py")
    return sorted(p for p in kit if p.is_file() and not LEFT_OUT.match(p.relative_to(ROOT).as_posix()))


def outline(source: str) -> str:
    """A source without a line of its solutions, for what the grader asks of it: which cells are the course's own as
    students have them, and the names of what the others define."""
    cells = [cell for cell in re.split(r"^(?=# %%)", source, flags=re.MULTILINE) if cell.startswith("# %%\n")]
    return "\n" + "".join(cell if "### BEGIN SOLUTION" not in cell else _names(cell) for cell in cells)


def _names(cell: str) -> str:
    return "# %%\n" + "".join(f"{name}\n" for name in re.findall(r"^(?:class|def) \w+", cell, re.MULTILINE)) + "\n"


def requirements() -> str:
    """What has to be installed for it, of the versions that grade elsewhere."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return "".join(f"{line}\n" for line in lines if line and not NOT_NEEDED.match(line))
