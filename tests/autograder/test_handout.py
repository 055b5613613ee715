"""The handout: generated, byte-stable, and without one line of a solution."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import exercises
from autograder.exercises import ROOT
from autograder.grading.course import Course
from autograder.handout import build
from autograder.handout.bundle import bundle
from autograder.handout.submit import solution_cells, without_markers

HOMEWORKS = exercises.homeworks()
# Lines that every training loop has, the kit's own too.
IDIOMS = {"losses = []", "optimizer.zero_grad()", "optimizer.step()", "loss.backward()", "else:"}
IDIOMS |= {"return x", "return history", "for _ in range(discriminator_steps):"}


@pytest.fixture(scope="module", params=HOMEWORKS)
def released(request, tmp_path_factory):
    """(homework, folder of a fresh release, course), made from the source with nothing kept."""
    course = Course.at(tmp_path_factory.mktemp("course"))
    return request.param, build.release(course, request.param), course


def code_cells(notebook: Path) -> list[dict]:
    return [c for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def solution_lines(homework: str) -> set[str]:
    """The lines inside solution regions that occur nowhere outside one, and say something."""
    inside, outside = set(), set()
    for cell in solution_cells(homework):
        hidden = False
        for line in cell.source.splitlines():
            hidden = (hidden or "### BEGIN SOLUTION" in line) and "### END SOLUTION" not in line
            (inside if hidden else outside).add(line.strip())
    brackets = re.compile(r"\W*(# fmt: skip)?")
    return {line for line in inside - outside - IDIOMS if not brackets.fullmatch(line) and "### " not in line}


def test_committed_handouts_are_what_the_source_makes(released):
    homework, folder, _ = released
    committed = ROOT / "homeworks" / homework
    assert {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()} == {
        p.relative_to(committed) for p in committed.rglob("*") if p.is_file() and "artifacts" not in p.parts
    }
    made, kept = folder / f"{homework}.ipynb", committed / f"{homework}.ipynb"
    assert made.read_bytes() == kept.read_bytes(), "run make release and commit homeworks/"


def test_a_second_release_changes_nothing(released):
    homework, folder, course = released
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    build.release(course, homework)
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_no_solution_line_is_in_the_handout(released):
    homework, folder, _ = released
    lines = solution_lines(homework)
    assert len(lines) > 20, "the solution's lines were not found: this test would prove nothing"
    for file in folder.rglob("*"):
        if file.suffix in (".ipynb", ".py", ".md", ".json"):
            text = file.read_text(encoding="utf-8")
            given = {line.strip() for c in code_cells(file) for line in "".join(c["source"]).splitlines()}
            assert not lines & given
            assert "BEGIN SOLUTION" not in text


def test_no_solution_line_is_in_the_bundle_and_it_works_by_itself(released, tmp_path):
    homework, _, _ = released
    with zipfile.ZipFile(bundle(homework, tmp_path)) as archive:
        archive.extractall(tmp_path)
    lines = solution_lines(homework)
    files = [p for p in (tmp_path / "deepul").rglob("*") if p.is_file() and p.suffix not in (".png", ".zip")]
    assert len(files) > 20
    for file in files:
        given = {line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()}
        assert not lines & given, f"{file.name} gives away {lines & given}"
    script = f"from autograder import exercises, runner; import deepul_utils.plots; exercises.of_homework({homework!r})"
    subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {script}"],
                   cwd=tmp_path / "deepul", check=True)  # fmt: skip


def test_nbgrader_never_sees_the_percent_source(released):
    _, folder, course = released
    assert not list(course.source.rglob("*.py"))
    assert not list(folder.rglob("*.py"))
    assert not list(folder.rglob("*.safetensors")), "the reference weights are half a solution"
    kit = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    assert 'source_directory = "build/source"' in kit


def test_points_in_the_notebook_are_those_of_the_checks(released):
    homework, folder, _ = released
    grades = {
        c["metadata"]["nbgrader"]["grade_id"]: c["metadata"]["nbgrader"]["points"]
        for c in code_cells(folder / f"{homework}.ipynb")
        if c["metadata"].get("nbgrader", {}).get("grade")
    }
    assert grades == {f"check-{e.name}": e.points for e in exercises.of_homework(homework)}
    text = (folder / f"{homework}.ipynb").read_text(encoding="utf-8")
    for e in exercises.of_homework(homework):
        assert f"Exercise {e.number} · {e.title} ({e.points:g} points)" in text


def test_every_stub_names_its_exercise_and_what_is_to_be_written(released):
    homework, folder, _ = released
    numbers = {e.name: e.number for e in exercises.of_homework(homework)}
    stubs = 0
    for cell in code_cells(folder / f"{homework}.ipynb"):
        source = "".join(cell["source"])
        for message in re.findall(r"raise NotImplementedError\((.*)\)", source):
            stubs += 1
            expected = (
                rf'"Exercise {re.escape(numbers[cell["metadata"]["deepul"]["exercise"]])} is not implemented yet: \w+'
            )
            assert re.match(expected, message), message
        compile(source.replace("%matplotlib", "# "), "cell", "exec")
    assert stubs > 5


def test_the_figures_that_the_prose_shows_are_there(released):
    homework, folder, _ = released
    text = (folder / f"{homework}.ipynb").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(figures/([\w.-]+)\)", text))
    assert shown
    assert shown == {p.name for p in (folder / "figures").iterdir()}


def source_with(monkeypatch, tmp_path, homework: str, find: str, replace: str) -> None:
    text = build.source_file(homework).read_text(encoding="utf-8")
    assert find in text
    changed = tmp_path / f"{homework}.py"
    changed.write_text(text.replace(find, replace), encoding="utf-8")
    monkeypatch.setattr(build, "source_file", lambda _: changed)


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        ("## Exercise 1.2 · MADE", "## Exercise 1.7 · MADE", "not in the registry"),
        ('check("made")', 'check("logistic_mixture")', "stands under the heading of Exercise 1.2"),
        ('check("made")', 'print("made")', "no cell check(…) for: made"),
    ],
)
def test_a_source_out_of_order_is_refused_in_words(monkeypatch, tmp_path, find, replace, said):
    source_with(monkeypatch, tmp_path, "hw1", find, replace)
    with pytest.raises(build.SourceError, match=re.escape(said)):
        build.write_source("hw1", tmp_path / "hw1.ipynb")


def test_a_source_that_does_not_run_is_refused(monkeypatch, tmp_path):
    source_with(monkeypatch, tmp_path, "hw1", "seed_everything(0)", "seed_everything(zero)")
    cells = build.notebooks.section(build.notebooks.read(tmp_path / "hw1.py"), "1.1")  # has no weights there: trains
    with pytest.raises(build.SourceError, match="does not run: NameError: name 'zero' is not defined"):
        build.draw_figures("hw1", cells, tmp_path)


def test_a_figure_that_looks_the_same_is_kept_and_another_is_not(tmp_path):
    from deepul_utils import plots

    file = tmp_path / "figure.png"
    build._keep_figure(plots.matrix([[1, 0], [0, 1]]), file)
    first = file.read_bytes()
    file.write_bytes(first + b"\0")  # other bytes, the same picture
    build._keep_figure(plots.matrix([[1, 0], [0, 1]]), file)
    assert file.read_bytes() == first + b"\0"
    build._keep_figure(plots.matrix([[0, 1], [1, 0]]), file)
    assert file.read_bytes() != first + b"\0"


def test_solutions_hand_in_without_their_marks():
    source = "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n"
    assert without_markers(source) == "def f():\n    return 1\n"
