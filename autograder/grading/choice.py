"""Which of the files that a student handed in are the notebook and the weights, by what is in them."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from autograder import assignments
from autograder.course import CourseError
from autograder.grading import archives
from autograder.grading.archives import printable
from autograder.notebooks import CHECK_CALL, DRAWN, TRAINED

MOST_LOOKED_INTO = 20  # notebooks of one submission
MOST_BYTES = 40 * 2**20
STUB = re.compile(r"""raise NotImplementedError\(["']Exercise ([\w.]+)""")
DEFINED = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)


def notebook(names: list[str], files: dict[str, bytes], assignment: str, handout: dict) -> str:
    """Of several notebooks the one to grade: of this assignment, with most of it written, then by its name.

    A blank beside one that was filled in never counts, whatever they are called.
    """
    stubs = _definitions([c for c in handout["cells"] if c["metadata"].get("nbgrader", {}).get("solution")])

    def rank(name: str) -> tuple:
        cells = _cells(files[name]) if name in looked_into else []
        written = sum(text != stubs[what] for what, text in _definitions(cells).items() if what in stubs)
        base = PurePosixPath(name).name
        is_ours = not cells or not _others(cells, assignment)
        return (
            not is_ours,
            -written,
            base != f"{assignment}.ipynb",
            assignment not in base.lower(),
            name.count("/"),
            name,
        )

    looked_into = set(names[:MOST_LOOKED_INTO])
    return min(names, key=rank)


def unwritten(content: bytes) -> set[str]:
    """The numbers of the exercises of which a notebook still has a stub."""
    return {number for cell in _cells(content) for number in STUB.findall(_source(cell))}


class AnotherAssignment(CourseError):
    """A notebook is that of another assignment. args: the file, what it is, and as what it was handed in."""

    def __str__(self) -> str:
        name, other, assignment = self.args
        return (
            f"{name} is {other}, handed in as {assignment}. Ask the student for {assignment}, or grade this one with "
            f"`deepul grade {other}`."
        )


def refuse_another(content: bytes, name: str, assignment: str) -> None:
    """Raises AnotherAssignment where a notebook is that of another one, by its exercises."""
    if others := other(content, assignment):
        raise AnotherAssignment(printable(name), others, assignment)


def other(content: bytes, assignment: str) -> str:
    """The assignment that a notebook is of, where it is of another one."""
    return _others(_cells(content), assignment)


def with_weights(files: dict[str, bytes], folder: PurePosixPath, assignment: str) -> tuple[dict[str, bytes], list[str]]:
    """(the files, with weights of the assignment that lie elsewhere in artifacts/ beside the notebook; which moved)."""
    ours = {e.name for e in assignments.get(assignment).exercises}
    kept, moved = dict(files), []  # type: dict[str, bytes], list[str]
    for name in sorted(n for n in files if n.endswith(".safetensors")):
        path = PurePosixPath(name)
        base = re.sub(r" ?\(\d+\)(?=\.safetensors$)", "", path.name)  # what browsers make of a second download
        wanted = folder / "artifacts" / base
        hidden = archives.is_junk(name)
        elsewhere = path.parent.name in assignments.names() and path.parent.name != assignment
        elsewhere |= path.parent.parent.name in assignments.names() and path.parent.parent.name != assignment
        if hidden or elsewhere or base.split(".")[0] not in ours or str(wanted) in kept:
            continue
        kept[str(wanted)] = kept.pop(name)
        moved.append(f"{printable(name)} was taken as artifacts/{printable(base)}.")
    return kept, moved


def _others(cells: Iterable[dict], assignment: str) -> str:
    """The assignment that a notebook is of, if it is of another; "" where it is of this one, or nothing says so."""
    owner = {e.name: name for name in assignments.names() for e in assignments.get(name).exercises}
    counts = Counter(owner[n] for n in set(_exercises(cells)) if n in owner)
    if not counts or counts[assignment]:
        return ""
    return counts.most_common(1)[0][0]


def _exercises(cells: Iterable[dict]) -> Iterable[str]:
    for cell in cells:
        if cell.get("cell_type") != "code":
            continue
        source = _source(cell)
        yield from (call[1] for line in source.splitlines() if (call := CHECK_CALL.match(line.strip())))
        yield from (name.split(".")[0] for what in (TRAINED, DRAWN) for name in what.findall(source))


def _definitions(cells: Iterable[dict]) -> dict[str, str]:
    """{class or function: the lines of its cell that say something}."""
    definitions: dict[str, str] = {}
    for cell in cells:
        if cell.get("cell_type") == "code":
            source = _source(cell)
            lines = (line.strip() for line in source.splitlines())
            text = "\n".join(line for line in lines if line and not line.startswith("#"))
            definitions |= dict.fromkeys(DEFINED.findall(source), text)
    return definitions


def _cells(content: bytes) -> list[dict]:
    """The cells of a notebook; none of what is no notebook, which is said when it is read."""
    try:
        cells = json.loads(content)["cells"] if len(content) <= MOST_BYTES else []
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return [c for c in cells if isinstance(c, dict)] if isinstance(cells, list) else []


def _source(cell: dict) -> str:
    source = cell.get("source")
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""
