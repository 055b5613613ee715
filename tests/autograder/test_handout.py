"""The handout: generated, byte-stable, and without one line of a solution."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from autograder import assignments
from autograder.assignments import ROOT, Assignment
from autograder.course import Course, SourceError
from autograder.handout import build, source
from autograder.handout.bundle import bundle
from autograder.handout.submit import solution_cells, without_markers
from autograder.proof import handouts, lint

CORE = ("hw1", "nice")  # the others: `deepul validate --kind handout`, where something changed
# Lines that every training loop has, the kit's own too.
IDIOMS = {"losses = []", "optimizer.zero_grad()", "optimizer.step()", "loss.backward()", "else:"}
IDIOMS |= {"return x", "return history", "for _ in range(discriminator_steps):"}


@pytest.fixture(scope="module", params=CORE)
def released(request, tmp_path_factory):
    """(assignment, folder of a fresh release, course), made from the source with nothing kept."""
    course = Course.at(tmp_path_factory.mktemp("course"))
    return request.param, build.release(course, request.param), course


def code_cells(notebook: Path) -> list[dict]:
    return [c for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def solution_lines(assignment: str) -> set[str]:
    """The lines inside solution regions that occur nowhere outside one, and say something."""
    inside, outside = set(), set()
    for cell in solution_cells(assignment):
        hidden = False
        for line in cell.source.splitlines():
            hidden = (hidden or "### BEGIN SOLUTION" in line) and "### END SOLUTION" not in line
            (inside if hidden else outside).add(line.strip())
    brackets = re.compile(r"\W*(# fmt: skip)?")
    return {line for line in inside - outside - IDIOMS if not brackets.fullmatch(line) and "### " not in line}


def test_committed_handouts_are_what_the_source_makes(released):
    assignment, folder, _ = released
    committed = ROOT / "homeworks" / assignment
    assert {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()} == {
        p.relative_to(committed) for p in committed.rglob("*") if p.is_file() and "artifacts" not in p.parts
    }
    made, kept = folder / f"{assignment}.ipynb", committed / f"{assignment}.ipynb"
    assert made.read_bytes() == kept.read_bytes(), "run make release and commit homeworks/"


def test_a_second_release_changes_nothing(released):
    assignment, folder, course = released
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    build.release(course, assignment)
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_notes_to_the_formatter_stay_with_the_source(tmp_path):
    build.write_source("hw3", tmp_path / "hw3.ipynb")
    assert "# fmt: skip" in assignments.get("hw3").source.read_text(encoding="utf-8")
    assert not [c for c in code_cells(tmp_path / "hw3.ipynb") if "fmt:" in "".join(c["source"])]


def test_no_solution_line_is_in_the_handout(released):
    assignment, folder, _ = released
    lines = solution_lines(assignment)
    assert len(lines) > 20, "the solution's lines were not found: this test would prove nothing"
    for file in folder.rglob("*"):
        if file.suffix in (".ipynb", ".py", ".md", ".json"):
            text = file.read_text(encoding="utf-8")
            given = {line.strip() for c in code_cells(file) for line in "".join(c["source"]).splitlines()}
            assert not lines & given
            assert "BEGIN SOLUTION" not in text


def test_no_solution_line_is_in_the_bundle_and_it_works_by_itself(released, tmp_path):
    assignment, _, _ = released
    with zipfile.ZipFile(bundle(assignment, tmp_path)) as archive:
        archive.extractall(tmp_path)
    lines = solution_lines(assignment)
    files = [p for p in (tmp_path / assignment).rglob("*") if p.is_file() and p.suffix not in (".png", ".zip")]
    assert len(files) > 20
    for file in files:
        given = {line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()}
        assert not lines & given, f"{file.name} gives away {lines & given}"
    tests = {p.parent.name for p in (tmp_path / assignment / "autograder" / "assignments").rglob("test_*.py")}
    assert tests == {assignment}
    assert handouts._by_itself(assignments.get(assignment), tmp_path / "alone") == []


def test_nbgrader_never_sees_the_percent_source(released):
    _, folder, course = released
    assert not list(course.source.rglob("*.py"))
    assert not list(folder.rglob("*.py"))
    assert not list(folder.rglob("*.safetensors")), "the reference weights are half a solution"
    kit = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    assert 'source_directory = "build/source"' in kit


def test_points_in_the_notebook_are_those_of_the_checks(released):
    assignment, folder, _ = released
    grades = {
        c["metadata"]["nbgrader"]["grade_id"]: c["metadata"]["nbgrader"]["points"]
        for c in code_cells(folder / f"{assignment}.ipynb")
        if c["metadata"].get("nbgrader", {}).get("grade")
    }
    assert grades == {f"check-{e.name}": e.points for e in assignments.get(assignment).exercises}
    text = (folder / f"{assignment}.ipynb").read_text(encoding="utf-8")
    for e in assignments.get(assignment).exercises:
        assert f"Exercise {e.number} · {e.title} ({e.points:g} points)" in text


def test_every_stub_names_its_exercise_and_what_is_to_be_written(released):
    assignment, folder, _ = released
    numbers = {e.name: e.number for e in assignments.get(assignment).exercises}
    stubs = 0
    for cell in code_cells(folder / f"{assignment}.ipynb"):
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
    assignment, folder, _ = released
    text = (folder / f"{assignment}.ipynb").read_text(encoding="utf-8")
    shown = re.findall(r'<img src=\\"figures/([\w.-]+)\\" alt=\\"([^"\\]{15,})\\" width=\\"(\d+)\\">', text)
    assert shown
    assert {name for name, _, _ in shown} == {p.name for p in (folder / "figures").iterdir()}
    assert "](figures/" not in text
    for name, _, width in shown:  # two pixels for each of the page's, as the notebook shows it live
        with Image.open(folder / "figures" / name) as picture:
            assert picture.width == pytest.approx(2 * int(width), abs=2)
            assert int(width) <= 990


@pytest.fixture
def written(monkeypatch, tmp_path):
    """written(find, replace): hw1's source with a change, in a folder of solutions of its own; nothing else changes."""

    def write(find: str, replace: str) -> Path:
        folder = tmp_path / "solutions" / "hw1"
        if not folder.exists():
            shutil.copytree(ROOT / "solutions" / "hw1", folder)
        text = (folder / "hw1.py").read_text(encoding="utf-8")
        assert find in text
        (folder / "hw1.py").write_text(text.replace(find, replace, 1), encoding="utf-8")
        monkeypatch.setattr(Assignment, "solution", folder)
        return folder

    return write


CHECK = '# %%\ncheck("made")'
BEGIN, END = "        ### BEGIN SOLUTION\n", "        ### END SOLUTION\n"
# The first and the last line of the first solution.
FIRST = "        self.pi_logits = nn.Parameter(torch.zeros(components))\n"
LAST = "        self.log_s = nn.Parameter(torch.full((components,), -2.0))\n"


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        ("# %% [markdown]\n# ---", "# %% [markdown] Text.\n# ---", "“Text.” stands on its line “# %%”"),
        ("# %%\nedges", "# %% First\nedges", "“First” stands on its line “# %%”"),
        ("def forward(self,", "def forward(self,,", "Python cannot read line"),
        ("Exercise 1.2 · MADE", "Exercise 1.7 · MADE", "“## Exercise 1.7 · MADE: a masked autoencoder” is not in"),
        ("Exercise 1.2 · MADE", "Exercise 1.7 · MADE", "“## Exercise 1.2 · MADE: a masked autoencoder” is missing"),
        (CHECK, CHECK.replace("made", "pixelcnn"), "stands under the heading of Exercise 1.2"),
        (CHECK, CHECK.replace("check", "print"), 'Exercise 1.2 has no cell check("made")'),
        ("# An autoregressive", "# ![](figures/first.png)\n# An", "The figure first.png stands before all code"),
        *(
            (marker, marker.replace(right, wrong), "looks like a marker and is none")
            for marker, right, wrong in (
                (BEGIN, "###", "##"),
                (BEGIN, "### ", "###"),
                (BEGIN, "BEGIN", "Begin"),
                (BEGIN, "SOLUTION", "SOLUTON"),
                (BEGIN, "BEGIN", "BEGING"),
                (BEGIN, "SOLUTION", "SOLUTIONS"),
                (BEGIN, "BEGIN SOLUTION", "BEGIN_SOLUTION"),
                (BEGIN, "### BEGIN SOLUTION", "# solution starts here"),
                (BEGIN, "### BEGIN SOLUTION", "#BEGIN"),
                (BEGIN, "### BEGIN SOLUTION", "# sol"),
                (BEGIN, "### BEGIN SOLUTION", "# start of the answer"),
                (END, "### END SOLUTION", "# end of the answer"),
                (BEGIN, "### BEGIN", "# the"),
                (BEGIN, "BEGIN SOLUTION", "BEGIN"),
                (BEGIN, "        ###", "        x = 1  ###"),
                (BEGIN, "\n", " \n"),
                (END, "### END SOLUTION", "#END SLOUTION"),
                (END, "        ", "\t\t"),
                (END, "O", "О"),
                (END, "###", "#"),
                (END, "END", "END OF"),
                (END, "SOLUTION", "SOLUTION."),
                (END, "END", "end"),
            )
        ),
        (BEGIN, "", "ends what never began"),
        (END, "", "### BEGIN SOLUTION stands inside of a solution"),
        (BEGIN, BEGIN + BEGIN, "stands inside of a solution"),
        (END, END + END, "ends what never began"),
        (END, END + "\n    ### BEGIN SOLUTION\n    bins = 4\n    ### END SOLUTION\n", "stands in no function"),
        (BEGIN, BEGIN + END + BEGIN, "there is no code between its ### BEGIN SOLUTION and ### END SOLUTION"),
        (LAST + END, END + LAST, f"{LAST.strip()!r} stands behind a solution and would be given to students"),
        (BEGIN + FIRST, "        x = (\n" + BEGIN + "        1)\n" + FIRST, "a marker divides a statement"),
        (CHECK, "# %%\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n\n" + CHECK, "stands in no function"),
    ],
)
def test_a_source_out_of_order_is_refused_in_words(written, tmp_path, find, replace, said):
    written(find, replace)
    course, before = Course.at(tmp_path / "course"), tmp_path / "course" / "release" / "hw1" / "hw1.ipynb"
    before.parent.mkdir(parents=True)
    before.write_text('{"cells": []}')
    with pytest.raises(SourceError, match=re.escape(said)):
        build.release(course, "hw1", figures=False)
    assert before.read_text() == '{"cells": []}', "the handout from before stays"


def test_both_markers_forgotten_are_noticed_by_the_handout_from_before(written, tmp_path):
    course = Course.at(tmp_path / "course")
    handout = build.release(course, "hw1", figures=False) / "hw1.ipynb"
    before = handout.read_bytes()
    (handout.parent / "artifacts").mkdir()
    (handout.parent / "artifacts" / "made.safetensors").write_bytes(b"a week of training")
    written(BEGIN, "        # the mixture:\n")
    written(END, "")
    with pytest.raises(SourceError, match=r"DiscretizedLogisticMixture(\.__init__)? was for students to write"):
        build.release(course, "hw1", figures=False)
    assert handout.read_bytes() == before
    written("        # the mixture:\n", BEGIN)
    source = ROOT / "solutions" / "hw1" / "hw1.py"
    shutil.copy(source, tmp_path / "solutions" / "hw1")
    assert build.release(course, "hw1", figures=False) == handout.parent
    assert handout.read_bytes() == before
    assert (handout.parent / "artifacts" / "made.safetensors").read_bytes() == b"a week of training"


def test_both_markers_forgotten_are_noticed_in_a_new_course(written, tmp_path):
    assert lint.problems("hw1") == []
    written(BEGIN, "")
    written(END, "")
    said = "DiscretizedLogisticMixture is to be written in the handout, and has no ### BEGIN SOLUTION in the source."
    assert said in lint.problems("hw1")
    with pytest.raises(SourceError, match=r"was for students to write .* delete .*/homeworks/hw1/hw1\.ipynb"):
        build.release(Course.at(tmp_path / "course"), "hw1", figures=False)
    assert not (tmp_path / "course" / "release" / "hw1").exists()


def test_a_marker_a_line_too_low_is_noticed_by_the_handout_from_before(written, tmp_path):
    written(BEGIN + FIRST, FIRST + BEGIN)
    with pytest.raises(
        SourceError, match=re.escape(f"would have a line that was not in the handout before: {FIRST.strip()!r}")
    ):
        build.release(Course.at(tmp_path / "course"), "hw1", figures=False)


def test_a_line_behind_a_solution_may_be_given_if_it_says_so(written, tmp_path):
    written(LAST + END, END + LAST.replace("\n", "  # given\n"))
    assert build.problems(assignments.get("hw1")) == []
    build.write_source("hw1", tmp_path / "hw1.ipynb")
    assert "# given" not in (tmp_path / "hw1.ipynb").read_text(encoding="utf-8")


def test_a_line_behind_a_solution_that_students_have_already_stays_given():
    (line,) = source._given_before(assignments.get("hw4"))
    assert line.startswith("d_losses, g_losses = ")
    assert build.problems(assignments.get("hw4")) == []


def test_no_line_of_a_solution_goes_out_even_if_what_takes_them_out_fails(monkeypatch, tmp_path):
    def only_the_markers(self, cell, language):
        cell.source = without_markers(cell.source)

    monkeypatch.setattr(build.ClearToStubs, "_replace_solution_region", only_the_markers)
    with pytest.raises(SourceError, match=r"would give away \d+ lines, and was not released"):
        build.release(Course.at(tmp_path), "hw1", figures=False)
    assert not (tmp_path / "release" / "hw1").exists()


def test_a_release_reads_the_solutions_and_never_trains(written, tmp_path):
    folder = written("seed_everything(0)", "seed_everything(1)")
    cells = build.notebooks.section(build.read_source("hw1"), "1.2")
    before = {f.name: (f.stat().st_mtime_ns, f.read_bytes()) for f in (folder / "artifacts").iterdir()}
    (tmp_path / "figures").mkdir()
    build.draw_figures("hw1", cells, tmp_path / "figures")
    assert {f.name: (f.stat().st_mtime_ns, f.read_bytes()) for f in (folder / "artifacts").iterdir()} == before
    (folder / "artifacts" / "made.moons.safetensors").unlink()
    with pytest.raises(SourceError, match=r"no reference weights for made\.moons: run deepul calibrate hw1 first"):
        build.draw_figures("hw1", cells, tmp_path / "figures")


def test_a_source_that_does_not_run_is_refused(written, tmp_path):
    written("seed_everything(0)", "seed_everything(zero)")
    cells = build.notebooks.section(build.read_source("hw1"), "1.1")
    with pytest.raises(SourceError, match="does not run: NameError: name 'zero' is not defined"):
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


def test_a_bundle_has_a_readme_of_its_own_whose_every_path_is_there(released, tmp_path):
    assignment, _, _ = released
    with zipfile.ZipFile(bundle(assignment, tmp_path)) as archive:
        archive.extractall(tmp_path)
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == [assignment]
    folder = tmp_path / assignment
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {assignments.get(assignment).title}\n")
    for e in assignments.get(assignment).exercises:
        assert f"- {e.number} {e.title} ({e.points:g} points)" in text
    named = {word.strip("`") for word in re.findall(r"[\w.:/-]*/[\w./-]+|[\w-]+\.txt", text)}
    made = {"artifacts/", f"homeworks/{assignment}/{assignment}-your-id.zip"}  # by what the README says to do
    paths = {name for name in named if not name.startswith((".venv", "https:"))} - made
    assert paths == {
        f"homeworks/{assignment}/{assignment}.ipynb",
        "requirements-student.txt",
    }
    assert all((folder / path).exists() for path in paths)
    for other in set(assignments.names()) - {assignment}:
        assert not list(folder.rglob(f"*{other}*"))
    assert "hw" not in "".join(p.name for p in folder.rglob("*")).replace(assignment, "")
