"""From the one source to what students get: solutions/hwN/hwN.py -> homeworks/hwN/.

The source stays plain: cells with solution regions, cells that are one `check("…")`, prose. What nbgrader
needs beside that (cell ids, kinds, points) is derived here, so that nobody keeps it by hand.
"""

import contextlib
import html
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbgrader import utils
from nbgrader.preprocessors import ClearSolutions

from autograder import assignments, notebooks, settings
from autograder.assignments import Assignment, Exercise, Question
from autograder.course import Course, SourceError
from autograder.display import counted
from autograder.handout import chosen, opening, source
from autograder.notebooks import Cell
from autograder.settings import DEFAULTS, AssignmentSettings, CourseSettings

# Two renderings of the same figure differ by less than this (root mean square over pixels of 0 … 1): one
# sample more or less in a bin, on a processor that rounds otherwise.
SAME_PICTURE = 0.02
OPENING, CLOSING = "opening", "hand-in"  # the ids of cells that a release adds end so
FOR_AUTHORS = re.compile(rf"(?:  # fmt: skip|{source.GIVEN})$", re.MULTILINE)  # it says nothing to a student


def problems(assignment: Assignment) -> list[str]:
    """What a handout of it needs and lacks, in its source and its tests: a sentence each."""
    try:
        cells = notebooks.read(assignment.source)
    except OSError:
        return [f"There is no source: {assignment.source.relative_to(assignments.ROOT)}."]
    titles = source.titles(assignment.source.read_text(encoding="utf-8")) if assignment.source.suffix == ".py" else ()
    of_tests = (p for e in assignment.exercises for p in _of_tests(e))
    return [*titles, *_numbers(assignment), *source.problems(assignment, cells), *of_tests]


def _numbers(assignment: Assignment) -> Iterator[str]:
    """Numbers of exercises that another assignment has, too."""
    others = {e.number: e for a in assignments.every() for e in a.exercises if a.name != assignment.name}
    for exercise in assignment.exercises:
        if other := others.get(exercise.number):
            yield f"{exercise} has a number that {other.name} of {other.assignment} has, too: give it another."


def _of_tests(exercise: Exercise) -> Iterator[str]:
    """Of the tests of an exercise: each has points, a hint, and needs no check but those beside it."""
    file = exercise.test_file.relative_to(assignments.ROOT)
    try:
        tests = tests_of(exercise)
    except FileNotFoundError:
        yield f"{exercise} has no tests: {file}."
        return
    except Exception as error:
        yield f"{file} cannot be imported: {type(error).__name__}: {error}."
        return
    names = [t.__name__ for t in tests]
    for test in tests:
        worth = getattr(test, "points", None)
        if worth is None:
            yield f"{file}: {test.__name__} has no @points."
        elif not worth > 0:
            yield f"{file}: {test.__name__} is worth {worth:g} points; a check is worth more than nothing."
        if worth is not None and not test.hint:
            yield f"{file}: {test.__name__} has no @hint."
        for name in getattr(test, "needs", ()):
            if f"test_{name}" not in names[: names.index(test.__name__)]:
                yield f"{file}: {test.__name__} needs {name}, which is no check above it."
    if not tests:
        yield f"{file} has no checks."


def tests_of(exercise: Exercise) -> list[Any]:
    """The checks of an exercise, in their order. Raises FileNotFoundError, and whatever their module raises."""
    if not exercise.test_file.exists():
        raise FileNotFoundError(exercise.test_file)
    return [value for name, value in vars(exercise.module).items() if name.startswith("test_")]


def read_source(assignment: str) -> list[Cell]:
    """The cells of the source. Raises SourceError with all that is wrong in it or in the tests, a line each."""
    here = Assignment(assignment)  # as it is without a course's settings
    faults = problems(here)
    if faults:
        raise SourceError("\n".join([f"{assignment} is not in order, and nothing was released:", *faults]))
    return notebooks.read(here.source)


def release(course: Course, assignment: str, figures: bool = True) -> Path:
    """Write the handout of `assignment` through nbgrader into the course's release folder, and return it.

    It is made aside, looked over, and swapped in: where anything fails, the one from before stays as it is. The
    course's gradebook learns the assignment and its points. figures: draw the expected figures anew from the reference
    artifacts; without, those already released are kept. Raises SourceError, SettingsError and CourseError.
    """
    own = settings.read(course.root)
    with own.in_use():
        return _release(course, assignment, own, figures)


def _release(course: Course, assignment: str, own: CourseSettings, figures: bool) -> Path:
    course.configure()
    cells = read_source(assignment)
    folder = course.source / assignment
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "figures").mkdir(parents=True)
    kept = assignments.get(assignment).handout / "figures"
    if kept.exists():
        shutil.copytree(kept, folder / "figures", dirs_exist_ok=True)
    if figures:
        draw_figures(assignment, cells, folder / "figures")
    write_source(assignment, folder / f"{assignment}.ipynb", own)
    shown = source.FIGURE.findall("\n".join(c.source for c in notebooks.read(folder / f"{assignment}.ipynb")))
    for picture in {*(folder / "figures").iterdir()} - {folder / "figures" / name for name in shown}:
        picture.unlink()  # of an exercise that the course leaves out
    with tempfile.TemporaryDirectory(dir=_beside(course.release), prefix=".aside-") as aside:
        replace(course, release=Path(aside)).generate_assignment(assignment)
        made = Path(aside) / assignment
        added = f"{opening.first_cell(own)}\n{opening.closing(assignments.get(assignment))[1]}"
        before = dict.fromkeys((course.release / assignment, Assignment(assignment).handout))
        _look_over(assignment, cells, added, made, list(before))
        _swap(made, course.release / assignment)
    return course.release / assignment


def _beside(folder: Path) -> Path:
    """A folder on the same disk."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def _look_over(assignment: str, cells: list[Cell], added: str, made: Path, before: list[Path]) -> None:
    """Raises SourceError for a handout that gives away a line of a solution. added: code that the release adds.

    before: the folders of handouts that there may be already.
    """
    handout = notebooks.read(made / f"{assignment}.ipynb")
    lines = source.leaks([Cell(c.kind, FOR_AUTHORS.sub("", c.source)) for c in cells], handout, added)
    if lines:
        raise SourceError(
            f"The handout of {assignment} would give away {counted(len(lines), 'line')}, and was not released; the "
            f"first: {lines[0]!r}."
        )
    for earlier in (folder / f"{assignment}.ipynb" for folder in before):
        if earlier.exists() and (given := _newly_given(notebooks.read(earlier), handout)):
            raise SourceError(
                f"{given} Is a marker missing, or on the wrong line? If it is to be so, delete {earlier} and release "
                "again."
            )


def _newly_given(before: list[Cell], handout: list[Cell]) -> str:
    """What students had to write in the handout from before, and would be given now: a sentence; "" if nothing."""
    stubs = source.stubs(handout)
    lost = [name for name in sorted(source.stubs(before) - stubs) if defines(handout, name)]
    if lost:
        return (
            f"{', '.join(lost)} was for students to write in the handout from before, and would be given to them now."
        )
    had = {line.strip() for cell in before for line in cell.source.splitlines()}
    for name, line in source.beside_stubs(handout):
        if line not in had and name in source.stubs(before):
            return (
                f"{name} is for students to write, and would have a line that was not in the handout before: {line!r}."
            )
    return ""


def defines(handout: list[Cell], name: str) -> bool:
    """Whether a name such as "MADE.sample" is still defined there."""
    *owner, function = name.split(".")
    inside = rf"^class {owner[0]}\b.*?" if owner else ""
    pattern = re.compile(rf"{inside}^\s*(?:def|class) {function}\b", re.MULTILINE | re.DOTALL)
    return any(pattern.search(cell.source) for cell in handout if cell.kind == "code")


def _swap(made: Path, target: Path) -> None:
    """Put a new handout in the place of an old one; weights that were trained there stay."""
    old = made.with_name("before")
    if target.exists():
        target.rename(old)
        if (old / "artifacts").exists():
            (old / "artifacts").rename(made / "artifacts")
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)


def write_source(assignment: str, target: Path, own: CourseSettings = DEFAULTS) -> None:
    """The source as nbgrader reads it: an .ipynb with its metadata, the same bytes every time.

    own: the course's settings: what the notebook says of it, and whether written questions have points.
    """
    import jupytext
    import nbformat

    here = own.assignment(assignment)
    notebook = jupytext.read(here.source, fmt="py:percent")
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{assignment}-{number:03d}"
    notebook.cells = [notebook.cells[k] for k in chosen.cells(here, _plain(notebook.cells))]
    answers = source.questions(here, _plain(notebook.cells))
    has_points = own.of(assignment).written == "points"
    exercise = None
    for number, cell in enumerate(notebook.cells):
        exercise = _heading(cell, here) or exercise
        if cell.cell_type == "markdown":
            cell.source = _sized(cell.source, target.parent)
        if number in answers:
            _answer_cell(cell, answers[number], has_points)
        elif number + 1 in answers:
            cell.source = source.QUESTION.sub(_asked(answers[number + 1], has_points), cell.source)
        elif cell.cell_type == "code":
            grade = cell.metadata.get("nbgrader")  # a grade cell of the instructor's own, without check(…)
            cell.metadata = _metadata(cell.source, exercise) or ({"nbgrader": grade} if grade else {})
            cell.source = FOR_AUTHORS.sub("", cell.source)
    _add_questions(notebook.cells, here, own.of(assignment), answers)
    first = _made("code", opening.first_cell(own), f"{assignment}-{OPENING}-code")
    first.metadata["jupyter"] = {"source_hidden": True}  # folded: no student has to read it
    notebook.cells[1:1] = [_made("markdown", opening.opening(here, own), f"{assignment}-{OPENING}"), first]
    text, code = opening.closing(here)
    notebook.cells.append(_made("markdown", text, f"{assignment}-{CLOSING}"))
    notebook.cells.append(_made("code", code, f"{assignment}-{CLOSING}-code"))
    nbformat.write(notebook, target)


def _plain(cells) -> list[Cell]:
    return [Cell(c.cell_type, c.source) for c in cells]


def _asked(question: Question, has_points: bool) -> str:
    worth = f"{counted(question.points, 'point')}, graded by hand" if has_points else "no points"
    return f"### Question {question.number} ({worth})"


def _add_questions(cells: list, here: Assignment, own: AssignmentSettings, answers: dict[int, Question]) -> None:
    """The questions of the course's own, each behind those that its exercise has, or at its end."""
    ends = chosen.ends(here, _plain(cells))
    ends |= {q.exercise.name: place + 1 for place, q in answers.items()}
    for exercise in sorted(here.exercises, key=lambda e: ends[e.name], reverse=True):
        texts = [q.text for q in own.questions if q.exercise == exercise.name]
        new = []
        for text, question in zip(texts, exercise.questions[len(exercise.questions) - len(texts) :], strict=True):
            asked = f"{_asked(question, own.written == 'points')}\n\n{text}"
            new.append(_made("markdown", asked, f"{here}-{question.id}-asked"))
            new.append(_made("markdown", question.placeholder, f"{here}-{question.id}"))
            _answer_cell(new[-1], question, own.written == "points")
            new[-1].metadata["deepul"]["made"] = True
        cells[ends[exercise.name] : ends[exercise.name]] = new


def _made(kind: str, text: str, name: str):
    """A cell that is in no source."""
    from nbformat import v4

    make = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
    return make(text, id=name, metadata={"deepul": {"made": True}})


def _answer_cell(cell, question: Question, has_points: bool) -> None:
    """The cell of a written question's answer: nbgrader's manually graded answer, or a plain one without points."""
    cell.metadata = {"deletable": False, "deepul": {"exercise": question.exercise.name, "answer": question.id}}
    if has_points:
        cell.metadata["nbgrader"] = {
            "schema_version": 3,
            "task": False,
            "locked": False,
            "solution": True,
            "grade": True,
            "grade_id": question.id,
            "points": question.points,
        }
    else:
        cell.source = question.placeholder


def _sized(text: str, folder: Path) -> str:
    """Its figures as large as the notebook shows them: the pictures have more pixels than the page, to be sharp."""

    def tag(figure: re.Match) -> str:
        file = folder / figure[2]
        width = f' width="{width_of(file)}"' if file.exists() else ""  # a release without figures, before the first
        return f'<img src="{figure[2]}" alt="{html.escape(figure[1])}"{width}>'

    return re.sub(r"!\[([^\]]*)\]\((figures/[\w.-]+\.png)\)", tag, text)


def width_of(file: Path) -> int:
    """The width of a picture in pixels of the page: by the pixels an inch that stand in it."""
    from PIL import Image

    from deepul_utils import plots

    with Image.open(file) as picture:
        density = picture.info.get("dpi", (plots.DPI, plots.DPI))[0]
        return round(picture.width * plots.DPI / density)


def _heading(cell, here: Assignment) -> Exercise | None:
    """The exercise whose heading this cell holds; its points are written into the heading."""
    heading = source.HEADING.search(cell.source) if cell.cell_type == "markdown" else None
    if not heading:
        return None
    exercise = next(e for e in here.exercises if e.number == heading[1])
    cell.source = cell.source.replace(heading[0], f"{heading[0]} ({counted(exercise.points, 'point')})")
    return exercise


def _metadata(text: str, exercise: Exercise | None) -> dict:
    """nbgrader's metadata of a code cell: a solution, a check, or (none) one that students may change freely."""
    name, solution = notebooks.check_name(text), "### BEGIN SOLUTION" in text
    if not name and not solution:
        return {}
    assert exercise is not None, "such a cell stands below the heading of its exercise"
    common: dict[str, Any] = {"schema_version": 3, "task": False, "locked": bool(name), "solution": solution}
    common["grade"] = bool(name)
    if name:
        common |= {"grade_id": f"check-{name}", "points": exercise.points}
    else:
        defined = re.search(r"^(?:class|def) (\w+)", text, re.MULTILINE)
        assert defined is not None, "what is left for students to write is in a class or a function"
        common["grade_id"] = f"{exercise.name}-{defined[1]}"
    return {"deletable": False, "nbgrader": common, "deepul": {"exercise": exercise.name}}


class ClearToStubs(ClearSolutions):
    """nbgrader's ClearSolutions, with stubs that name the exercise and what is to be written."""

    code_stub: dict[str, str]

    def _replace_solution_region(self, cell, language: str) -> bool:
        answer = cell.metadata.get("deepul", {}).get("answer")
        if answer and utils.is_solution(cell):  # to a question of the course's own, too
            questions = assignments.get_exercise(cell.metadata["deepul"]["exercise"]).questions
            cell.source = next(q.placeholder for q in questions if q.id == answer)
            return True
        if "### BEGIN SOLUTION" not in cell.source:
            return False
        exercise = assignments.get_exercise(cell.metadata["deepul"]["exercise"])
        self.code_stub = self.code_stub | {language: "raise NotImplementedError(@)"}
        replaced = super()._replace_solution_region(cell, language)
        cell.source = "\n".join(_named_stubs(cell.source.splitlines(), exercise))
        return replaced


def _named_stubs(lines: list[str], exercise: Exercise) -> list[str]:
    """Every stub's message names the exercise, and the class and function it stands in."""
    result: list[str] = []
    scope: dict[int, str] = {}
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if head := re.match(r"\s*(?:class|def) (\w+)", line):
            scope = {i: n for i, n in scope.items() if i < indent} | {indent: head[1]}
        if line.lstrip() == "raise NotImplementedError(@)":
            where = ".".join(n for i, n in sorted(scope.items()) if i < indent and n != "__init__")
            line = line.replace("@", f'"{exercise} is not implemented yet: {where}"')
        result.append(line)
    return result


def draw_figures(assignment: str, cells: list[notebooks.Cell], folder: Path) -> None:
    """Run the source on its reference artifacts; keep the figures that the prose shows as expected.

    A figure is what the nearest code cell before the prose ends in. One that looks the same as the file
    already there is left alone. Raises SourceError where the notebook fails or shows no figure.
    """
    here = assignments.get(assignment)
    untrained = [name for name in notebooks.trained(cells) if not (here.artifacts / f"{name}.safetensors").exists()]
    if untrained:
        raise SourceError(
            f"There are no reference weights for {', '.join(untrained)}: run deepul calibrate {assignment} first, or "
            "release without figures (--no-figures)."
        )
    with tempfile.TemporaryDirectory() as aside, contextlib.redirect_stdout(io.StringIO()):
        artifacts = Path(shutil.copytree(here.artifacts, Path(aside) / "artifacts"))  # solutions/ is only read
        ran = notebooks.run_cells(cells, here.solution, artifacts, assignment)
    if ran.errors:
        raise SourceError(f"{here.source.name} does not run: {next(iter(ran.errors.values()))}")
    expected = {name for cell in cells if cell.kind == "markdown" for name in source.FIGURE.findall(cell.source)}
    for stale in set(folder.iterdir()) - {folder / name for name in expected}:
        stale.unlink()
    for number, cell in enumerate(cells):
        for name in source.FIGURE.findall(cell.source) if cell.kind == "markdown" else ():
            before = next(i for i in reversed(range(number)) if cells[i].kind == "code")
            figure = ran.values[before]
            if not (hasattr(figure, "savefig") or hasattr(figure, "_repr_png_")):
                raise SourceError(f"{here.source.name}: the cell before the figure {name} does not end in a figure.")
            _keep_figure(figure, folder / name)


def _keep_figure(figure, file: Path) -> None:
    """Keep the very picture that the notebook shows: the kit's figures and sliders know how they are shown."""
    new = io.BytesIO()
    if hasattr(figure, "_repr_png_"):
        new.write(figure._repr_png_()[0])
    else:
        figure.savefig(new, format="png", metadata={"Software": None})
    if not (file.exists() and _look_alike(new, file)):
        file.write_bytes(new.getvalue())


def _look_alike(new: io.BytesIO, file: Path) -> bool:
    import numpy as np
    from PIL import Image

    new.seek(0)
    a, b = (np.asarray(Image.open(f).convert("RGBA"), dtype=float) / 255 for f in (new, file))
    return a.shape == b.shape and float(np.sqrt(((a - b) ** 2).mean())) < SAME_PICTURE
