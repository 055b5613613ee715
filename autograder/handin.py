"""Handing in: the saved notebook is run and checked by itself, and packed with what it trained into one zip."""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autograder import assignments, homework, notebooks
from autograder.assignments import Assignment, Exercise
from autograder.files import MANIFEST
from autograder.homework import Homework
from autograder.notebooks import Cell
from deepul_utils.errors import KitError, describe

STUDENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
MOST_STUDENT = 64  # characters
PACKAGES = ("deepul-kit", "torch", "numpy", "scipy", "safetensors")  # whose versions the manifest has
DATE = (1980, 1, 1, 0, 0, 0)  # of files from before: a zip knows no earlier day
CELL_SECONDS = 120.0  # what grading gives a cell, where the course says nothing else
MOST_SAID = 8  # of cells that did not run to their end
ALONE = (
    "The notebook was run in a folder that has only what is packed: its weights, the modules beside it that it "
    "imports, and files beside it that one string of its code names."
)


@dataclass
class Packed:
    """What was packed. homework: with what the checks said, if they were run. said: in sentences, the file first."""

    file: Path
    homework: Homework
    said: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return "\n".join([*self.said, "", repr(self.homework)])

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{'<br>'.join(map(escape, self.said))}</p>{self.homework._repr_html_()}"


def submit(notebook: Path, student: str, folder: Path | None = None, check: bool = True) -> Packed:
    """Check the saved notebook, and pack <assignment>-<student>.zip beside it. folder: of its artifacts.

    What is checked is a copy of what is packed, and nothing else. Raises ValueError, in words for the student, where
    nothing could be graded (no notebook of the course, an id that is none, more than a grader takes) or written.
    """
    student = student_id(student)
    here = _assignment(notebook)
    folder = folder or notebook.parent / "artifacts"
    target = notebook.parent / f"{here}-{student}.zip"
    try:
        with tempfile.TemporaryDirectory() as scratch:
            files = homework.handed_in(notebook, here, folder)
            if problems := list(homework.too_much(files, homework.saved(notebook))):
                raise ValueError("Nothing was packed. " + " ".join(problems))
            files = {name: _copied(path, Path(scratch, "packed", name)) for name, path in files.items()}
            with _Saved(here, Path(scratch)) as saved:
                overview = homework.overview(here, notebook, folder, saved.score if check else _not_checked)
            before = _pack(target, overview, files, student)
    except OSError as error:
        raise ValueError(
            f"{target.name} could not be packed: {error.strerror or error}. Make room on the disk, or see whether you "
            f"may write in {target.parent}, and hand in again."
        ) from None
    return Packed(target, overview, [*_said(target, before, overview, check), *saved.said])


def _copied(file: Path, copy: Path) -> Path:
    copy.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(file, copy))


def student_id(text: str) -> str:
    """An id that is the same in a file's name, on every disk and in every learning platform. Raises ValueError."""
    if isinstance(text, int | float):
        raise ValueError(f'Write your id in quotes: submit("{text}").')
    text = text.strip() if isinstance(text, str) else ""
    if text.upper().replace("_", "-") == "YOUR-ID" or not text:
        raise ValueError('Whose is it? Put your id, as the course knows you, in the place of YOUR-ID: submit("ada").')
    if not STUDENT.fullmatch(text) or len(text) > MOST_STUDENT:
        raise ValueError(
            f"{text[:80]!r} is no id: it may have the letters a to z, digits, and . - _ inside, and {MOST_STUDENT} "
            "characters at most. Of an e-mail address, take what stands before the @."
        )
    return text


def require_saved(notebook: Path, ran: list[str]) -> None:
    """Raises ValueError where the notebook in the browser has changes that its file does not have.

    ran: the cells that were run, as they were written, the last one last: it is in the file if everything is saved.
    """
    if not ran:  # no notebook's kernel
        return
    on_disk = {cell.source.strip() for cell in homework.saved(notebook)}
    if ran[-1].strip() not in on_disk:
        raise ValueError(
            f"{notebook.name} is not saved as you see it: the cell that you just ran is not in the file. Save it "
            "(Ctrl+S, or ⌘S), and run the cell again."
        )
    last: dict[str, str] = {}
    for source in ran:
        last |= dict.fromkeys(re.findall(r"^(?:class|def)[ \t]+(\w+)", source, re.MULTILINE), source.strip())
    other = sorted(name for name, source in last.items() if source not in on_disk and _defines(on_disk, name))
    if other:
        raise ValueError(
            f"{notebook.name} has another {', '.join(other[:4])} than the one that was run last. Run its cell, save "
            "the notebook (Ctrl+S, or ⌘S), and run this cell again."
        )


def _defines(sources: set[str], name: str) -> bool:
    return any(re.search(rf"^(?:class|def)[ \t]+{name}\b", source, re.MULTILINE) for source in sources)


def _assignment(notebook: Path) -> Assignment:
    if not notebook.is_file():
        raise ValueError(f"There is no notebook {notebook}.")
    try:
        notebooks.read(notebook)
    except (OSError, ValueError) as error:
        raise ValueError(f"{notebook} cannot be read: {error}") from None
    assignment = homework.assignment_of(notebook)
    if assignment is None:
        raise ValueError(f"{notebook} is no homework of this kit: it has none of {', '.join(assignments.names())}.")
    return assignment


def _not_checked(exercise: Exercise) -> dict:
    return {"points": 0.0, "max_points": exercise.points, "headline": "Not checked.", "notes": []}


# The check of the saved notebook: in a process of its own, which sees nothing of what is in memory here, and whose end,
# whatever the notebook does, is not ours.


class _Saved:
    """The notebook as it is packed, run from top to bottom without training, and checked.

    It runs in a copy of <scratch>/packed: what is not packed, it does not find. A cell that ends its process, or takes
    longer than CELL_SECONDS, is left out, and a fresh process begins, as in grading.
    """

    def __init__(self, here: Assignment, scratch: Path):
        self._here, self._scratch = here, scratch
        self._child: _Child | None = None
        self._cell: dict = {}  # that runs now: its number among all, and how it is called
        self._left_out: dict[int, str] = {}
        self._stopped: list[str] = []
        self._over = ""
        self._bar: Any = None

    def __enter__(self) -> "_Saved":
        return self

    def __exit__(self, *_) -> None:
        self._end()
        if self._bar is not None:
            self._bar.close()

    @property
    def said(self) -> list[str]:
        """What is to be said of cells that did not run as they should."""
        said = [*self._left_out.values(), *self._stopped]
        if any(re.search(r" stopped with (ModuleNotFound|FileNotFound)Error", one) for one in said):
            said.insert(0, ALONE)
        more = len(said) - MOST_SAID
        return said[:MOST_SAID] + ([f"… and so did {more} more cells."] if more > 0 else [])

    def score(self, exercise: Exercise) -> dict:
        """What the checks of an exercise say; they are asked in order. Raises RuntimeError if none could be run."""
        while not self._over:
            if self._child is None:
                self._begin(exercise)
            answer = self._answer(exercise)
            if answer and "error" in answer:
                raise RuntimeError(answer["error"])
            if answer:
                return answer
        raise RuntimeError(f"the run of the notebook ended early ({self._over})")

    def _begin(self, first: Exercise) -> None:
        """Run the notebook, without the cells that are known to end it, and the checks from an exercise on."""
        exercises = [e.name for e in self._here.exercises]
        asked = {"left_out": [*self._left_out], "exercises": exercises[exercises.index(first.name) :]}
        folder = self._scratch / f"run{len(self._left_out)}-{first.name}"
        shutil.copytree(self._scratch / "packed", folder)
        self._cell, self._stopped = {}, []
        self._show("starting", 0, 0)
        arguments = [str(folder / f"{self._here}.ipynb"), json.dumps(asked)]
        self._child = _Child(arguments, folder.with_suffix(".errors"))

    def _answer(self, exercise: Exercise) -> dict | None:
        """The score of an exercise, or an error; None if a cell has ended the process before."""
        assert self._child is not None
        while True:
            try:
                line = self._child.lines.get(timeout=CELL_SECONDS if self._cell else None)
                why = "" if line else f"it ended the run, {self._child.ending()}"
            except queue.Empty:
                why = f"it ran longer than the {CELL_SECONDS:.0f} s that grading gives a cell"
            if why:
                self._end()
                if not self._cell:
                    return {"error": f"its checks could not be run: {why}"}
                self._leave_out(why)
                return None
            message = json.loads(line)
            if "cell" in message:
                self._cell = message
                self._show(f"running “{message['called'][:40]}”", message["cell"], message["cells"])
            elif "stopped" in message:
                self._cell = {}
                self._stopped = [f"The cell “{called}” stopped with {error}" for called, error in message["stopped"]]
            elif "checking" in message:
                self._show(f"checking {exercise.number}", message["checking"], message["exercises"])
            else:
                return message

    def _leave_out(self, why: str) -> None:
        """The cell that runs now; if that is done too often, it is the end."""
        if len(self._left_out) < len(self._here.exercises):
            self._left_out[self._cell["cell"]] = f"The cell “{self._cell['called']}” was left out: {why}."
        else:
            self._over = f"the cell “{self._cell['called']}”: {why}"

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _show(self, doing: str, done: int, of: int) -> None:
        from deepul_utils import training

        if self._bar is None:
            self._bar = training.progress(None, bar_format="{desc} ({n_fmt}/{total_fmt}, {elapsed})", total=1)
        self._bar.n, self._bar.total = done, of
        self._bar.set_description_str(doing)


class _Child:
    """A process that runs this module; `lines` has what it says, "" at the end. errors: a file for its complaints."""

    def __init__(self, arguments: list[str], errors: Path):
        path = os.pathsep.join(filter(None, (str(assignments.ROOT), os.environ.get("PYTHONPATH", ""))))
        environment = os.environ | {"PYTHONPATH": path, "MPLBACKEND": "agg", "PYTHONIOENCODING": "utf-8"}
        self._errors = errors
        with errors.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "autograder.handin", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                encoding="utf-8",
            )
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                self.lines.put(line)
        self.lines.put("")

    def ending(self) -> str:
        """How it ended, with what it said last."""
        code = self._process.wait()
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"exit code {code}" + (f": {lines[-1][:200]}" if lines else "")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(1)


def _run(notebook: Path, left_out: list[int], exercises: list[str]) -> None:
    """In the child: run the notebook without what would train, check it, and say where it is, a line at a time."""
    from deepul_utils import training

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # whatever the notebook prints, also from C

    def say(**message) -> None:
        print(json.dumps(message), file=answers, flush=True)

    cells = notebooks.read(notebook)
    for number in left_out:
        cells[number] = Cell("markdown", "")
    artifacts = notebook.parent / "artifacts"
    training.trained = _only_loaded(training.trained, artifacts, ".safetensors", "trained")
    training.drawn = _only_loaded(training.drawn, artifacts, ".samples.safetensors", "drawn")
    notebook.unlink()  # beside a notebook that is graded, there is none
    ran = notebooks.run_cells(
        cells,
        notebook.parent,
        artifacts,
        notebook.stem,
        keeps_samples=False,
        grading=True,
        begins=lambda number: say(cell=number, called=cells[number].called, cells=len(cells)),
    )
    say(stopped=[(Cell("code", source).called, error) for source, error in ran.errors.items()])
    for number, name in enumerate(exercises):
        say(checking=number, exercises=len(exercises))
        with ran.entered():
            answer = _answer(assignments.get_exercise(name), ran)
        say(**answer)


def _only_loaded(function: Callable, artifacts: Path, ending: str, done: str) -> Callable:
    """`trained` or `drawn`, where nothing is made that was not made before."""

    @functools.wraps(function)
    def loaded(*arguments, **options):
        name = options.get("name", *arguments[:1])
        if isinstance(name, str) and not (artifacts / f"{name}{ending}").exists():
            raise KitError(f"{name} is not {done} yet, and nothing is while you hand in: run its cell first.")
        return function(*arguments, **options)

    return loaded


def _answer(exercise: Exercise, ran: notebooks.Ran) -> dict:
    from autograder import runner, weights
    from deepul_utils.check import explain_missing

    try:
        score = weights.of_course(runner.check(exercise.name, ran.student))
        explain_missing(score.results, ran.errors)
        return score.to_json()
    except Exception as error:
        return {"error": describe(error)}


# Packing.


def _pack(target: Path, overview: Homework, files: dict[str, Path], student: str) -> Path | None:
    """Write the zip, whole or not at all, and return what an older one of its name is called from now on."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    contents = {}
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in files.items():
                content = path.read_bytes()
                contents[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                entry = zipfile.ZipInfo(name, max(time.localtime(path.stat().st_mtime)[:6], DATE))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
            archive.writestr(MANIFEST, json.dumps(_manifest(overview, contents, student), indent=1))
        before = _set_aside(target)
        os.replace(temporary, target)
        return before
    finally:
        temporary.unlink(missing_ok=True)


def _set_aside(target: Path) -> Path | None:
    """Give an older zip a number."""
    if not target.exists():
        return None
    number = 1
    while (before := target.with_name(f"{target.stem}.{number}.zip")).exists():
        number += 1
    return target.rename(before)


def _manifest(overview: Homework, contents: dict[str, dict], student: str) -> dict:
    """What the zip is, for whoever looks into it. No grade rests on it."""
    return {
        "assignment": overview.assignment.name,
        "student": student,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "platform": platform.platform(),
        "files": contents,
        "points": {r.exercise.name: r.points for r in overview.rows if r.score and "checks" in r.score},
        "answered": {name: done for r in overview.rows for name, done, _ in r.answers},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _said(target: Path, before: Path | None, overview: Homework, checked: bool) -> Iterator[str]:
    yield f"Packed {target} ({target.stat().st_size / 2**20:.1f} MB): hand in this file."
    if before:
        yield f"The zip from before is called {before.name} now."
    assert overview.notebook is not None
    saved = overview.notebook.stat().st_mtime
    when, ago = time.strftime("%H:%M", time.localtime(saved)), max(0, round((time.time() - saved) / 60))
    yield f"It has {overview.notebook.name} as it was saved at {when}, {ago} min ago."
    is_open = [str(r.exercise.number) for r in overview.rows if r.points < r.exercise.points] if checked else []
    if is_open:
        yield f"Not all points yet: {', '.join(is_open)}."
    noted = [r.exercise.number for r in overview.rows if r.notes]
    if noted:
        yield f"Something is missing, or was made by other code than the notebook has: {', '.join(noted)}. See below."
    unanswered = [name for r in overview.rows for name, done, _ in r.answers if not done]
    if unanswered:
        yield f"Not answered yet: question {', '.join(unanswered)}."


if __name__ == "__main__":
    _run(Path(sys.argv[1]), **json.loads(sys.argv[2]))
