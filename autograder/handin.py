"""Handing in: the saved notebook is run and checked by itself, and packed with what it trained into one zip."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from autograder import assignments, homework, notebooks
from autograder.assignments import Assignment, Exercise
from autograder.files import MANIFEST
from autograder.homework import Homework

STUDENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
MOST_STUDENT = 64  # characters
PACKAGES = ("deepul-kit", "torch", "numpy", "scipy", "safetensors")  # whose versions the manifest has
DATE = (1980, 1, 1, 0, 0, 0)  # of files from before: a zip knows no earlier day


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


def submit(
    notebook: Path,
    student: str,
    folder: Path | None = None,
    check: bool = True,
    progress: Callable[[tuple[Exercise, ...]], Iterator[Exercise]] | None = None,
) -> Packed:
    """Check the saved notebook, and pack <assignment>-<student>.zip beside it. folder: of its artifacts.

    progress: goes through the exercises, and shows how far it is. Raises ValueError, in words for the student, where
    nothing could be graded: no notebook of the course, an id that is none, more than a grader takes.
    """
    student = student_id(student)
    here = _assignment(notebook)
    folder = folder or notebook.parent / "artifacts"
    if check:
        overview = _checked(here, notebook, folder, progress or _with_bar)
    else:
        overview = homework.overview(here, notebook, folder, _not_checked)
    if overview.problems:
        raise ValueError("Nothing was packed. " + " ".join(overview.problems))
    target = notebook.parent / f"{here}-{student}.zip"
    before = _pack(target, overview, homework.handed_in(notebook, here, folder), student)
    return Packed(target, overview, list(_said(target, before, overview, check)))


def student_id(text: str) -> str:
    """An id that is the same in a file's name, on every disk and in every learning platform. Raises ValueError."""
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


def _with_bar(exercises: tuple[Exercise, ...]) -> Iterator[Exercise]:
    from deepul_utils import training

    return iter(training.progress(exercises, "checking what is saved"))


# The check of the saved notebook: in a process of its own, which sees nothing of what is in memory here, and whose end,
# whatever the notebook does, is not ours.


def _checked(here: Assignment, notebook: Path, folder: Path, progress) -> Homework:
    """The homework as its saved notebook earns it, run from top to bottom without training."""
    command = [sys.executable, "-m", "autograder.handin", str(notebook), str(folder), here.name]
    path = os.pathsep.join(filter(None, (str(assignments.ROOT), os.environ.get("PYTHONPATH", ""))))
    environment = os.environ | {"PYTHONPATH": path, "MPLBACKEND": "agg", "PYTHONIOENCODING": "utf-8"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
        ) as child,
    ):
        assert child.stdout is not None
        answers = child.stdout

        def score(exercise: Exercise) -> dict:
            line = answers.readline()
            if not line:
                child.wait()
                raise RuntimeError(f"the run of the notebook ended early (exit code {child.returncode}){_last(errors)}")
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return answer

        try:
            return homework.overview(here, notebook, folder, score, progress)
        finally:
            child.kill()


def _last(errors) -> str:
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""


def _run(notebook: Path, folder: Path, assignment: str) -> None:
    """In the child: run the saved notebook without what would train, check it, and print a line an exercise."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # whatever the notebook prints, also from C
    cells = [c for c in notebooks.read(notebook) if _artifacts_there(c.source, folder)]
    with tempfile.TemporaryDirectory() as scratch:
        for file in folder.glob("*.safetensors"):
            shutil.copy(file, scratch)  # what is drawn anew stays here
        ran = notebooks.run_cells(
            cells, notebook.parent, Path(scratch), notebook.stem, keeps_samples=False, grading=True
        )
        for exercise in assignments.get(assignment).exercises:
            print(json.dumps(_answer(exercise, ran)), file=answers, flush=True)


def _artifacts_there(source: str, folder: Path) -> bool:
    """Whether all is there that a cell would train or draw: nothing is trained while handing in."""
    wanted = [f"{name}.safetensors" for name in notebooks.TRAINED.findall(source)]
    wanted += [f"{name}.samples.safetensors" for name in notebooks.DRAWN.findall(source)]
    return all((folder / name).exists() for name in wanted)


def _answer(exercise: Exercise, ran: notebooks.Ran) -> dict:
    from autograder import runner, weights
    from deepul_utils.check import explain_missing

    try:
        score = weights.of_course(runner.check(exercise.name, ran.student))
        explain_missing(score.results, ran.errors)
        return score.to_json()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


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
    _run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
