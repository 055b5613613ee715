"""A whole homework at a glance: what each exercise earns, what is open, what is not trained, what is handed in."""

import ast
import html
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autograder import assignments, notebooks
from autograder.assignments import Assignment, Exercise, is_answered
from autograder.display import STYLE, counted, number, wrapped
from autograder.files import (
    MOST_BYTES,
    MOST_CELLS,
    MOST_FILE,
    MOST_FILES,
    MOST_NOTEBOOK,
    MOST_SOURCE,
    MOST_SOURCES,
    installed,
)
from autograder.notebooks import Cell

# Of the artifacts, what training keeps for itself (states to go on from, weights from before, half-written files), and
# the weights of the sections for a GPU, which nobody grades.
KEPT_BACK = re.compile(r"^\.|^bigger\.|\.checkpoint\.pt$|\.previous\.safetensors$")
DEEPEST = 4  # folders in each other
MOST_DATA = 16 * 2**20  # bytes of a file beside the notebook that its code names: tables and pictures, no data sets
NEVER = {"autograder", "deepul_utils", *sys.stdlib_module_names}  # modules that no file beside a notebook can be


@dataclass
class Row:
    """An exercise: its Score.to_json(), or why there is none; what its training left, and its written questions.

    answers: (number, whether it is answered, points; None where the course gives none).
    """

    exercise: Exercise
    score: dict | None = None
    error: str = ""
    training: list[str] = field(default_factory=list)
    answers: list[tuple[str, bool, float | None]] = field(default_factory=list)

    @property
    def points(self) -> float:
        return self.score["points"] if self.score else 0.0

    @property
    def said(self) -> str:
        """Where it stands, in a sentence or two."""
        return self.score["headline"] if self.score else f"It could not be checked: {self.error}"

    @property
    def notes(self) -> list[str]:
        """What to look at beside the checks: training that is missing, or that another version of the code made."""
        return self.training + (self.score["notes"] if self.score else [])


@dataclass
class Homework:
    """All exercises of an assignment. notebook: the saved file, None if there is none. files: {name: bytes} handed in.

    problems: what keeps it from being handed in as it is. notes: on files beside it that are not handed in.
    """

    assignment: Assignment
    rows: list[Row]
    notebook: Path | None = None
    files: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def points(self) -> float:
        return round(sum(row.points for row in self.rows), 3)

    @property
    def max_points(self) -> float:
        return sum(e.points for e in self.assignment.exercises)

    @property
    def size(self) -> int:
        """Bytes of what is handed in, before it is packed."""
        return sum(self.files.values())

    @property
    def written(self) -> str:
        """How many of the written questions are answered, and what they are worth."""
        answers = [answer for row in self.rows for answer in row.answers]
        done = sum(answered for _, answered, _ in answers)
        worth = sum(points or 0.0 for _, _, points in answers)
        graded = f" ({counted(worth, 'point')}, graded by hand)" if worth else " (no points)"
        return f"{done} of {counted(len(answers), 'written question')} answered{graded}" if answers else ""

    @property
    def footer(self) -> str:
        """One line about what is handed in."""
        if self.notebook is None:
            return self.written
        size = f"{counted(len(self.files), 'file')} to hand in, {self.size / 2**20:.1f} MB"
        return " · ".join(filter(None, (self.written, size)))

    def __repr__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return table(self)


def overview(
    assignment: Assignment,
    notebook: Path | None,
    folder: Path,
    score: Callable[[Exercise], dict],
    exercises: Callable[[tuple[Exercise, ...]], Iterator[Exercise]] = iter,
) -> Homework:
    """The homework as it stands: score(exercise) is Score.to_json(), and may raise. folder: of the artifacts.

    notebook: the file that is saved. exercises: goes through them, and may show how far it is. What goes wrong in one
    exercise is said in its row, and the others stand beside it.
    """
    cells = saved(notebook)
    rows = []
    for exercise in exercises(assignment.exercises):
        row = Row(exercise, training=_training(exercise, cells, folder), answers=_answers(exercise, notebook))
        try:
            row.score = score(exercise)
        except Exception as error:  # whatever it is, it is of this exercise alone
            row.error = f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error).strip() else '–'}"
        rows.append(row)
    found = handed_in(notebook, assignment, folder)
    files = {name: path.stat().st_size for name, path in found.items()}
    notes = beside(notebook)[1] if notebook else []
    return Homework(assignment, rows, notebook, files, list(too_much(found, cells)), notes)


def saved(notebook: Path | None) -> list[Cell]:
    """The cells of a notebook as it is saved; none where there is none that can be read."""
    try:
        return notebooks.read(notebook) if notebook else []
    except (OSError, ValueError):
        return []


def assignment_of(notebook: Path | None) -> Assignment | None:
    """The assignment that a notebook belongs to, by the exercises that its cells are marked with, or by its checks."""
    for cell in _raw_cells(notebook):
        name = _about(cell).get("exercise")
        found = name if isinstance(name, str) else notebooks.check_name(_source(cell))
        if found in {e.name for a in assignments.every() for e in a.exercises}:
            return assignments.get_exercise(found).assignment
    return None


def handed_in(notebook: Path | None, assignment: Assignment, folder: Path) -> dict[str, Path]:
    """{name in the zip: file}: the notebook, its artifacts, and what its code needs of what lies beside it; no links.

    folder: of the artifacts. Whatever else lies there (a student's home, perhaps) is left alone.
    """
    if notebook is None:
        return {}
    found = {f"{assignment}.ipynb": notebook}
    for path in sorted(folder.glob("*")):
        if not KEPT_BACK.search(path.name) and path.is_file() and not path.is_symlink():
            found[f"artifacts/{path.name}"] = path
    return found | beside(notebook)[0]


def beside(notebook: Path) -> tuple[dict[str, Path], list[str]]:
    """({name: file} of what a notebook's code needs beside it, what is to be said of what does not go with it).

    That is every module that it imports, a package as a whole, what these import in turn, and the files that a string
    of theirs names, or two that are a folder and a file in it, up to MOST_DATA.
    """
    folder, found, said = notebook.parent, dict[str, Path](), dict[str, None]()
    ask = [c.source for c in saved(notebook) if c.kind == "code"]
    while ask:
        modules, strings = _names_in(ask.pop())
        wanted = [path for name in sorted(modules) for path in _module(folder, name, said)]
        wanted += [path for text in sorted(_joined(folder, strings)) if (path := _file(folder, text, said))]
        for path in wanted:
            name = path.relative_to(folder).as_posix()
            if name not in found:
                found[name] = path
                ask += [path.read_text(encoding="utf-8", errors="replace")] if path.suffix == ".py" else []
    return dict(sorted(found.items())), list(said)


def _names_in(source: str) -> tuple[set[str], set[str]]:
    """(the modules that a source imports, by the first part of their names, its strings)."""
    tree = notebooks.syntax(source)
    parts = list(ast.walk(tree)) if tree else []
    modules = {alias.name for part in parts if isinstance(part, ast.Import) for alias in part.names}
    modules |= {part.module or "" for part in parts if isinstance(part, ast.ImportFrom) and not part.level}
    constants = (part.value for part in parts if isinstance(part, ast.Constant))
    return {m.split(".")[0] for m in modules}, {text for text in constants if isinstance(text, str)}


def _joined(folder: Path, strings: set[str]) -> set[str]:
    """Strings of a source, and what comes of names of folders and another one, as in Path("own") / "data" / "x.npy"."""
    names = {text for text in strings if 0 < len(text) < 256 and text.isprintable() and text[0] not in "./"}
    folders, inner = set[str](), {text for text in names - {"artifacts"} if _is_folder(folder / text)}
    while inner:
        folders |= inner
        joined = {f"{outer}/{text}" for outer in inner for text in names}
        inner = {path for path in joined if path.count("/") < DEEPEST and _is_folder(folder / path)} - folders
    return strings | {f"{outer}/{text}" for outer in folders for text in names}


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no name for one
        return False


def _module(folder: Path, name: str, said: dict[str, None]) -> list[Path]:
    """The files of a module, or of a package with all that is in it."""
    package = folder / name
    inside = [] if package.is_symlink() else sorted(package.rglob("*.py"))
    files = [p for p in (folder / f"{name}.py", *inside) if p.is_file() and not p.is_symlink()]
    if files and name in installed():
        said[
            f"{files[0].relative_to(folder).as_posix()} has the name of a module that is installed, {name}, and the "
            "grader may leave it out. Give it another name."
        ] = None
    return [] if name in NEVER else files


def _file(folder: Path, text: str, said: dict[str, None]) -> Path | None:
    """The file beside the notebook that a string names."""
    parts = Path(text).parts if 0 < len(text) < 256 and text.isprintable() else ()
    if not parts or parts[0] == "artifacts" or any(part.startswith(".") for part in parts):
        return None
    path = folder / text
    try:
        own = path.is_file() and path.resolve() == folder.resolve() / path.relative_to(folder)
        size = path.stat().st_size if own else 0
    except (OSError, ValueError):  # no name for a file, or in another folder
        return None
    if not own or path.suffix == ".ipynb":
        return None
    if Path(text).is_absolute():
        said[f"{text} is where it is on this machine alone: name it as {path.relative_to(folder).as_posix()}."] = None
    elif size > MOST_DATA:
        said[
            f"{text} has {size / 2**20:.0f} MB and is not packed: with a notebook go files of {MOST_DATA // 2**20} MB "
            "at most, besides its weights."
        ] = None
    else:
        return path
    return None


def too_much(files: dict[str, Path], cells: list[Cell]) -> Iterator[str]:
    """What no grader takes, of the files that are handed in and the notebook's cells."""
    yield from _too_large({name: path.stat().st_size for name, path in files.items()})
    yield from _too_long(cells)


def _too_large(files: dict[str, int]) -> Iterator[str]:
    for name, size in files.items():
        if name.endswith(".ipynb") and size > MOST_NOTEBOOK:
            yield (
                f"{name} has {size / 2**20:.0f} MB; a grader takes notebooks of {MOST_NOTEBOOK // 2**20} MB at most. "
                "Clear its outputs (Edit → Clear Outputs of All Cells), save it, and hand in again."
            )
        elif size > MOST_FILE:
            yield f"{name} has {size / 2**20:.0f} MB; a grader takes files of {MOST_FILE // 2**20} MB at most."
    if (total := sum(files.values())) > MOST_BYTES:
        yield f"All files together have {total / 2**20:.0f} MB; a grader takes {MOST_BYTES // 2**20} MB at most."
    if len(files) > MOST_FILES:
        yield f"There are {len(files):,} files; a grader takes {MOST_FILES:,} at most."


def _too_long(cells: list[Cell]) -> Iterator[str]:
    """As the grader counts what a notebook says."""
    if len(cells) > MOST_CELLS:
        yield f"The notebook has {len(cells):,} cells; a grader takes {MOST_CELLS:,} at most."
    for cell in cells:
        if cell.kind == "code" and len(cell.source) > MOST_SOURCE:
            yield (
                f"The cell “{cell.called}” has {len(cell.source):,} characters; a grader takes {MOST_SOURCE:,} at most."
            )
    # Of a text the grader cuts what is too long, a picture mostly.
    lengths = [len(c.source) if c.kind == "code" else min(len(c.source), MOST_SOURCE) for c in cells]
    if (total := sum(lengths)) > MOST_SOURCES:
        yield f"The notebook's cells have {total:,} characters; a grader takes {MOST_SOURCES:,} at most."


def _training(exercise: Exercise, cells: list[Cell], folder: Path) -> list[str]:
    """What the notebook trains or draws for an exercise and is not there, or not finished."""
    said = []
    of_exercise = [c for c in notebooks.section(cells, exercise.number) if c.kind == "code"]
    for name in (n for n in notebooks.trained(of_exercise) if n.split(".")[0] == exercise.name):
        if not (folder / f"{name}.safetensors").exists():
            said.append(f"{name} is not trained: artifacts/{name}.safetensors is missing. Run its cell.")
        elif list(folder.glob(f"{name}.*.checkpoint.pt")):
            said.append(f"{name}: a training was interrupted; the weights from before count. Run its cell to go on.")
    for name in sorted(n for n in notebooks.drawn(of_exercise) if n.split(".")[0] == exercise.name):
        if (folder / f"{name}.safetensors").exists() and not (folder / f"{name}.samples.safetensors").exists():
            said.append(f"{name}: no samples are drawn yet. Run its cell.")
    return said


def _answers(exercise: Exercise, notebook: Path | None) -> list[tuple[str, bool, float | None]]:
    """(number, whether it is answered in the saved notebook, points) of each written question."""
    texts: dict[str, list[str]] = {}
    graded: set[str] = set()
    for cell in _raw_cells(notebook):
        name = _about(cell).get("answer")
        if isinstance(name, str):
            texts.setdefault(name, []).append(_source(cell))
            if "nbgrader" in cell["metadata"]:
                graded.add(name)
    return [
        (q.number, any(is_answered(t, q.placeholder) for t in texts[q.id]), q.points if q.id in graded else None)
        for q in exercise.questions
        if q.id in texts
    ]


def _raw_cells(notebook: Path | None) -> list[dict]:
    try:
        cells = json.loads(notebook.read_bytes())["cells"] if notebook else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [c for c in cells if isinstance(c, dict)] if isinstance(cells, list) else []


def _about(cell: dict) -> dict:
    metadata = cell.get("metadata")
    found = metadata.get("deepul") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _source(cell: dict) -> str:
    source = cell.get("source")
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def _shown_answers(row: Row) -> str:
    return ", ".join(f"{name} {'answered' if done else 'open'}" for name, done, _ in row.answers)


def table(homework: Homework) -> str:
    """HTML in the colours of the page: dark themes have others."""
    share = homework.points / homework.max_points if homework.max_points else 0
    rows = "".join(_row(row) for row in homework.rows)
    problems = "".join(
        f"<div class='hint'>{html.escape(problem)}</div>" for problem in homework.problems + homework.notes
    )
    return (
        f"{STYLE}<div class='deepul'><div class='head'><b>{html.escape(homework.assignment.title)}</b>"
        f"<span>{html.escape(homework.footer)}</span>"
        f"<span class='pts'>{number(homework.points)} / {number(homework.max_points)}</span></div>"
        f"<div class='bar'><i style='width:{100 * share:.1f}%'></i></div>{problems}"
        "<table><tr><th>Exercise</th><th>Where it stands</th><th>Written</th><th class='num'>Points</th></tr>"
        f"{rows}</table></div>"
    )


def _row(row: Row) -> str:
    notes = "".join(f"<div class='hint'>{html.escape(note)}</div>" for note in row.notes)
    name = html.escape(f"{row.exercise.number} {row.exercise.title}")
    call = html.escape(f'check("{row.exercise.name}")')
    return (
        f"<tr><td class='name'>{name}<div class='req'><code>{call}</code></div></td>"
        f"<td>{html.escape(row.said)}{notes}</td><td>{html.escape(_shown_answers(row))}</td>"
        f"<td class='num'>{number(row.points)} / {number(row.exercise.points)}</td></tr>"
    )


def text(homework: Homework) -> str:
    """The same for a terminal, in 80 columns."""
    earned = f"{number(homework.points)} / {number(homework.max_points)}"
    lines = wrapped(f"{homework.assignment.title}: {earned}")
    for row in homework.rows:
        name = f"{row.exercise.number} {row.exercise.title}"
        lines += wrapped(name, f"  {number(row.points):>5} / {number(row.exercise.points):<4}  ")
        below = [row.said, *(f"! {note}" for note in row.notes)]
        below += [f"written: {_shown_answers(row)}"] if row.answers else []
        lines += [line for said in below for line in wrapped(said, " " * 16)]
    lines += [line for problem in homework.problems + homework.notes for line in wrapped(problem, "  ! ")]
    return "\n".join([*lines, *wrapped(homework.footer)])
