"""From the one source to what students get: solutions/hwN/hwN.py -> homeworks/hwN/.

The source stays plain: cells with solution regions, cells that are one `check("…")`, prose. What nbgrader
needs beside that (cell ids, kinds, points) is derived here, so that nobody keeps it by hand.
"""

import contextlib
import io
import re
import shutil
from pathlib import Path

from nbgrader.preprocessors import ClearSolutions

from autograder import exercises, notebooks
from autograder.exercises import ROOT, Exercise
from autograder.grading.course import Course, SourceError

HEADING = re.compile(r"^## Exercise (\d+\.\d+) · (.+)$", re.MULTILINE)
FIGURE = re.compile(r"!\[[^\]]*\]\(figures/([\w.-]+\.png)\)")
# Two renderings of the same figure differ by less than this (root mean square over pixels of 0 … 1): one
# sample more or less in a bin, on a processor that rounds otherwise.
SAME_PICTURE = 0.02


def source_file(homework: str) -> Path:
    exercises.of_homework(homework)
    return ROOT / "solutions" / homework / f"{homework}.py"


def release(course: Course, homework: str, figures: bool = True) -> Path:
    """Write the handout of `homework` through nbgrader into the course's release folder, and return it.

    The course's gradebook learns the assignment and its points. figures: draw the expected figures anew
    from the reference artifacts; without, those already released are kept.
    """
    course.configure()
    cells = notebooks.read(source_file(homework))
    folder = course.source / homework
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "figures").mkdir(parents=True)
    kept = ROOT / "homeworks" / homework / "figures"
    if kept.exists():
        shutil.copytree(kept, folder / "figures", dirs_exist_ok=True)
    if figures:
        draw_figures(homework, cells, folder / "figures")
    write_source(homework, folder / f"{homework}.ipynb")
    course.generate_assignment(homework)
    return course.release / homework


def write_source(homework: str, target: Path) -> None:
    """The source as nbgrader reads it: an .ipynb with its metadata, the same bytes every time."""
    import jupytext
    import nbformat

    notebook = jupytext.read(source_file(homework), fmt="py:percent")
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    exercise = None
    seen: set[str] = set()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{homework}-{number:03d}"
        exercise = _heading(cell, homework) or exercise
        if cell.cell_type == "code":
            own = cell.metadata.get("nbgrader")  # a grade cell of the instructor's own, without check(…)
            cell.metadata = _metadata(cell.source, exercise, number) or ({"nbgrader": own} if own else {})
            if name := check_name(cell.source):
                seen.add(name)
    missing = [e.name for e in exercises.of_homework(homework) if e.name not in seen]
    if missing:
        raise SourceError(f"{homework}.py has no cell check(…) for: {', '.join(missing)}.")
    nbformat.write(notebook, target)


def check_name(source: str) -> str | None:
    found = notebooks.CHECK_CALL.search(source)
    return found[1] if found else None


def _heading(cell, homework: str) -> Exercise | None:
    """The exercise whose heading this cell holds; its points are written into the heading."""
    found = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
    if not found:
        return None
    known = {e.number: e for e in exercises.of_homework(homework)}
    exercise = known.get(found[1])
    if exercise is None or exercise.title != found[2]:
        raise SourceError(
            f"The heading “{found[0]}” in {homework}.py is not in the registry (autograder/exercises.py): "
            f"{', '.join(f'{e.number} · {e.title}' for e in known.values())}."
        )
    cell.source = cell.source.replace(found[0], f"{found[0]} ({exercise.points:g} points)")
    return exercise


def _metadata(source: str, exercise: Exercise | None, number: int) -> dict:
    """nbgrader's metadata of a code cell: a solution, a check, or (none) one that students may change freely."""
    name = check_name(source)
    solution = "### BEGIN SOLUTION" in source
    if not name and not solution:
        return {}
    if exercise is None or (name and name != exercise.name):
        raise SourceError(f"Cell {number} ({source.splitlines()[0]!r}) stands under the heading of {exercise}.")
    common = {"schema_version": 3, "task": False, "locked": bool(name), "solution": solution, "grade": bool(name)}
    if name:
        common |= {"grade_id": f"check-{name}", "points": exercise.points}
    else:
        defined = re.search(r"^(?:class|def) (\w+)", source, re.MULTILINE)
        if not defined:
            raise SourceError(f"The solution in cell {number} defines no class and no function to stub.")
        common["grade_id"] = f"{exercise.name}-{defined[1]}"
    return {"deletable": False, "nbgrader": common, "deepul": {"exercise": exercise.name}}


class ClearToStubs(ClearSolutions):
    """nbgrader's ClearSolutions, with stubs that name the exercise and what is to be written."""

    def _replace_solution_region(self, cell, language: str) -> bool:
        if "### BEGIN SOLUTION" not in cell.source:
            return False
        exercise = exercises.get(cell.metadata["deepul"]["exercise"])
        self.code_stub = self.code_stub | {language: "raise NotImplementedError(@)"}
        replaced = super()._replace_solution_region(cell, language)
        cell.source = "\n".join(_named_stubs(cell.source.splitlines(), exercise))
        return replaced


def _named_stubs(lines: list[str], exercise: Exercise) -> list[str]:
    """Every stub's message names the exercise, and the class and function it stands in."""
    result, scope = [], {}
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if found := re.match(r"\s*(?:class|def) (\w+)", line):
            scope = {i: n for i, n in scope.items() if i < indent} | {indent: found[1]}
        if line.lstrip() == "raise NotImplementedError(@)":
            where = ".".join(n for i, n in sorted(scope.items()) if i < indent and n != "__init__")
            line = line.replace("@", f'"{exercise} is not implemented yet: {where}"')
        result.append(line)
    return result


def draw_figures(homework: str, cells: list[notebooks.Cell], folder: Path) -> None:
    """Run the source on its reference artifacts; keep the figures that the prose shows as expected.

    A figure is what the nearest code cell before the prose ends in. One that looks the same as the file
    already there is left alone. Raises SourceError where the notebook fails or shows no figure.
    """
    source = source_file(homework)
    with contextlib.redirect_stdout(io.StringIO()):
        ran = notebooks.run_cells(cells, source.parent, source.parent / "artifacts", homework)
    if ran.errors:
        raise SourceError(f"{source.name} does not run: {next(iter(ran.errors.values()))}")
    expected = {name for cell in cells if cell.kind == "markdown" for name in FIGURE.findall(cell.source)}
    for stale in set(folder.iterdir()) - {folder / name for name in expected}:
        stale.unlink()
    for number, cell in enumerate(cells):
        for name in FIGURE.findall(cell.source) if cell.kind == "markdown" else ():
            before = next(i for i in reversed(range(number)) if cells[i].kind == "code")
            figure = ran.values[before]
            if not hasattr(figure, "savefig"):
                raise SourceError(f"{source.name}: the cell before the figure {name} does not end in a figure.")
            _keep_figure(figure, folder / name)


def _keep_figure(figure, file: Path) -> None:
    new = io.BytesIO()
    figure.savefig(new, format="png", dpi=80, metadata={"Software": None})
    if not (file.exists() and _look_alike(new, file)):
        file.write_bytes(new.getvalue())


def _look_alike(new: io.BytesIO, file: Path) -> bool:
    import numpy as np
    from PIL import Image

    new.seek(0)
    a, b = (np.asarray(Image.open(f).convert("RGB"), dtype=float) / 255 for f in (new, file))
    return a.shape == b.shape and float(np.sqrt(((a - b) ** 2).mean())) < SAME_PICTURE
