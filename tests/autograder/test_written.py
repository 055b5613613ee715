"""Written questions: from the source with its model answers to points that people give in the gradebook."""

import copy
import csv
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from autograder import assignments, cli, demo, homework, settings
from autograder.assignments import ROOT, Assignment
from autograder.course import Course, CourseError, SourceError
from autograder.grading import batch, by_hand, downloads, normalise, outputs, report
from autograder.grading.record import Recorder
from autograder.handout import build, source
from autograder.handout.submit import solution_cells, write_submission

ANSWER = "answer-made"
HARMFUL = (
    "Because of <script>alert(1)</script> and <img src=x onerror=alert(2)>, [see](javascript:alert(3))\n\n"
    "<iframe src='//evil'></iframe> $\\href{javascript:alert(4)}{x}$"
)


def grade_id(cell: dict) -> str | None:
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def text(cell: dict) -> str:
    return "".join(cell["source"])


def written(name: str, target: Path, settings: build.CourseSettings = build.DEFAULTS) -> list[dict]:
    """The cells of a source as nbgrader reads it."""
    build.write_source(name, target / f"{name}.ipynb", settings)
    return json.loads((target / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def ungraded(name: str) -> build.CourseSettings:
    from autograder.settings import AssignmentSettings, CourseSettings

    return CourseSettings(assignments={name: AssignmentSettings(written="ungraded")})


# In the source and in the handout.


@pytest.mark.parametrize("name", assignments.names())
def test_every_exercise_has_a_question_with_a_model_answer_and_a_rubric(name, tmp_path):
    here, cells = assignments.get(name), solution_cells(name)
    belongs = source.questions(here, cells)
    assert list(belongs.values()) == list(here.questions)
    assert {q.exercise for q in here.questions} == set(here.exercises)
    for place in belongs:
        answer, rubric = (" ".join(part.split()) for part in source.answer(cells[place]))
        assert 200 < len(answer) < 1500
        assert "2 points" in rubric
        assert "1 point" in rubric
    graded = {grade_id(c): c for c in written(name, tmp_path) if c["metadata"].get("deepul", {}).get("answer")}
    assert list(graded) == [q.id for q in here.questions]
    for q in here.questions:
        about = graded[q.id]["metadata"]["nbgrader"]
        assert (about["grade"], about["solution"], about["locked"], about["points"]) == (True, True, False, q.points)


def test_points_of_checks_and_ids_stay_as_they_were():
    frozen = json.loads((Path(__file__).parent / "frozen.json").read_text(encoding="utf-8"))["cells"]
    for name, cells in frozen.items():
        assert sum(points or 0 for points in cells.values()) == sum(e.points for e in assignments.get(name).exercises)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """(course, its handout of hw1)."""
    course = Course.at(tmp_path_factory.mktemp("course"))
    return course, build.release(course, "hw1", figures=False) / "hw1.ipynb"


def handout(released) -> dict:
    return json.loads(released[1].read_text(encoding="utf-8"))


def test_students_find_a_placeholder_and_no_line_of_an_answer(released):
    shown = {grade_id(c): text(c) for c in handout(released)["cells"]}
    for q in assignments.get("hw1").questions:
        assert shown[q.id] == q.placeholder
        assert not assignments.is_answered(shown[q.id], q.placeholder)
    everything = released[1].read_text(encoding="utf-8")
    cells = solution_cells("hw1")
    lines = {line for k in source.questions(assignments.get("hw1"), cells) for line in cells[k].source.splitlines()}
    assert len(lines) > 30
    assert not [line for line in lines if len(line) > 20 and json.dumps(line)[1:-1] in everything]
    assert "Rubric" not in everything
    assert "### Question 1.2 (2 points, graded by hand)" in everything


def test_a_question_of_the_courses_own_is_open_until_it_is_answered(tmp_path):
    more = '[[assignments.nice.questions]]\nexercise = "nice"\npoints = 3\ntext = "Why **two**?"\n'
    (tmp_path / "course.toml").write_text(more, encoding="utf-8")
    course = Course.at(tmp_path)
    file = build.release(course, "nice", figures=False) / "nice.ipynb"
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        cell["source"] = text(cell)
    with settings.read(tmp_path).in_use():
        here = assignments.get("nice")
        shown = {grade_id(c): text(c) for c in cells}
        assert [shown[q.id] for q in here.questions] == [q.placeholder for q in here.questions]
        assert batch._answers(cells, "nice") == {}
        found = homework.overview(here, file, tmp_path, lambda exercise: {"points": 0.0, "headline": "", "notes": []})
    assert found.written == "0 of 2 written questions answered (5 points, graded by hand)"


def test_without_points_they_are_plain_cells(tmp_path):
    cells = written("hw1", tmp_path, ungraded("hw1"))
    answers = [c for c in cells if "answer" in c["metadata"].get("deepul", {})]
    assert len(answers) == 5
    assert not [c for c in answers if "nbgrader" in c["metadata"]]
    assert [text(c) for c in answers] == [q.placeholder for q in assignments.get("hw1").questions]
    everything = json.dumps(cells)
    assert "Rubric" not in everything
    assert "### Question 1.2 (no points)" in everything
    assert "written |" not in everything


BEGIN, END = "# %% [markdown]\n# ### BEGIN SOLUTION\n", "# ### END SOLUTION\n"


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        (BEGIN, "# %% [markdown]\n", "ends what never began"),
        (END, "", "a solution begins and never ends"),
        (BEGIN, "# %% [markdown]\n# ### BEGIN SOLUTON\n", "looks like a marker and is none"),
        (BEGIN, "# %% [markdown]\n# ## Begin solution\n", "looks like a marker and is none"),
        (BEGIN, "# %% [markdown]\n# Begin Solution:\n", "looks like a marker and is none"),
        (END, "# # Solution\n" + END, "looks like a marker and is none"),
        (BEGIN, "# %% [markdown]\n# Some text.\n#\n# ### BEGIN SOLUTION\n", "begins with ### BEGIN SOLUTION and ends"),
        (END, END + "# More.\n", "begins with ### BEGIN SOLUTION and ends"),
        ("# **Rubric.**", "# **Points.**", "there is no model answer, or no rubric"),
        ("# ### Question 1.1\n", "# ### Question 1.2\n", "must hold the heading ### Question 1.1"),
        ("# ### Question 1.1\n", "# Well?\n", "must hold the heading ### Question 1.1"),
        (
            "# ### Question 1.1\n",
            "# ### Question 1.1\n#\n# ### Question 9.9\n",
            "### Question 9.9 belongs to no question",
        ),
        (
            BEGIN,
            BEGIN + "# An answer.\n#\n# **Rubric.** All.\n" + END + "\n" + BEGIN,
            "a question more than its exercise",
        ),
    ],
)
def test_a_source_out_of_order_is_refused_in_words(monkeypatch, tmp_path, find, replace, said):
    _solutions(monkeypatch, tmp_path, find, replace)
    with pytest.raises(SourceError, match=re.escape(said)):
        build.read_source("hw1")


def _solutions(monkeypatch, tmp_path, find: str, replace: str) -> None:
    """hw1's source with a change, in a folder of its own."""
    folder = tmp_path / "solutions" / "hw1"
    folder.mkdir(parents=True)
    whole = (ROOT / "solutions" / "hw1" / "hw1.py").read_text(encoding="utf-8")
    assert find in whole
    (folder / "hw1.py").write_text(whole.replace(find, replace, 1), encoding="utf-8")
    monkeypatch.setattr(Assignment, "solution", folder)


def test_both_markers_forgotten_leave_a_question_without_its_cell(monkeypatch, tmp_path):
    whole = (ROOT / "solutions" / "hw1" / "hw1.py").read_text(encoding="utf-8")
    cell = whole[whole.index(BEGIN) : whole.index(END) + len(END)]
    _solutions(monkeypatch, tmp_path, cell, cell.replace("# ### BEGIN SOLUTION\n", "").replace(END, ""))
    with pytest.raises(SourceError, match=r"Question 1\.1 of assignment\.toml has no cell with a model answer"):
        build.read_source("hw1")


def test_no_answer_goes_out_even_if_what_takes_it_out_fails(monkeypatch, tmp_path):
    def only_the_markers(self, cell, language):
        had = "BEGIN SOLUTION" in cell.source
        cell.source = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", cell.source, flags=re.MULTILINE)
        return had

    original = build.ClearToStubs._replace_solution_region
    clear = lambda self, cell, language: (  # noqa: E731
        only_the_markers(self, cell, language) if cell.cell_type == "markdown" else original(self, cell, language)
    )
    monkeypatch.setattr(build.ClearToStubs, "_replace_solution_region", clear)
    with pytest.raises(SourceError, match=r"would give away \d+ lines, and was not released; the first: 'The loss is"):
        build.release(Course.at(tmp_path), "hw1", figures=False)


# Put in order.


def in_order(released, edit) -> normalise.Normalised:
    """A submission of hw1 whose cells were edited: edit(cells)."""
    notebook = copy.deepcopy(handout(released))
    edit(notebook["cells"])
    return normalise.normalise({"hw1.ipynb": json.dumps(notebook).encode()}, "hw1", handout(released))


def answer_of(normal: normalise.Normalised, name: str = ANSWER) -> dict:
    (cell,) = [c for c in normal.notebook["cells"] if grade_id(c) == name]
    return cell


def put(cells: list[dict], answer, name: str = ANSWER) -> dict:
    (cell,) = [c for c in cells if grade_id(c) == name]
    cell["source"] = answer
    return cell


def placeholder(name: str = ANSWER) -> str:
    return next(q.placeholder for q in assignments.get("hw1").questions if q.id == name)


def test_an_answer_stays_as_it_was_written_and_nothing_is_said(released):
    normal = in_order(released, lambda cells: put(cells, "Both orders *can*."))
    assert answer_of(normal)["source"] == "Both orders *can*."
    assert normal.changes == []


@pytest.mark.parametrize("empty", ["", " \n\t", None])
def test_an_empty_answer_is_one_that_was_not_given(released, empty):
    normal = in_order(released, lambda cells: put(cells, f" {placeholder()} \n" if empty is None else empty))
    assert answer_of(normal)["source"] == placeholder()


def test_an_answer_above_its_placeholder_is_an_answer(released):
    normal = in_order(released, lambda cells: put(cells, f"Both.\n\n{placeholder()}"))
    assert answer_of(normal)["source"].startswith("Both.")


def test_what_an_answer_holds_does_nothing_in_a_browser(released):
    shown = answer_of(in_order(released, lambda cells: put(cells, HARMFUL)))["source"]
    for active in ("<script", "onerror", "(javascript:", '"javascript:', "<iframe", "\\href"):
        assert active not in shown
    assert "Because of" in shown


def test_a_picture_in_an_answer_is_kept(released):
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

    def edit(cells):
        put(cells, "![mine](attachment:a.png)")["attachments"] = {"a.png": {"image/png": png}}

    assert png in answer_of(in_order(released, edit))["source"]


def test_an_answer_has_a_length(released):
    normal = in_order(released, lambda cells: put(cells, "very long " * 5_000))
    assert len(answer_of(normal)["source"]) < normalise.MOST_ANSWER + 100
    assert "[cut here: the answer has 50,000 characters]" in answer_of(normal)["source"]
    assert normal.changes == [f"The answer {ANSWER} has 50,000 characters; the first 20,000 of them are kept."]


def test_an_answer_that_was_split_or_copied_is_put_together(released):
    def edit(cells):
        first = put(cells, "The first half.")
        second = copy.deepcopy(first) | {"source": "The second half."}
        third = copy.deepcopy(first) | {"source": placeholder()}
        place = cells.index(first)
        cells[place + 1 : place + 1] = [second, third]

    normal = in_order(released, edit)
    assert answer_of(normal)["source"] == "The first half.\n\nThe second half."
    assert "the texts were put together, as one answer" in normal.changes[0]


def test_answers_that_lost_their_metadata_are_found_below_their_questions(released):
    def edit(cells):
        put(cells, "Mine.")
        put(cells, "Mine, too.", "answer-pixelcnn")
        for cell in cells:
            cell["metadata"] = {}

    normal = in_order(released, edit)
    assert answer_of(normal)["source"] == "Mine."
    assert answer_of(normal, "answer-pixelcnn")["source"] == "Mine, too."
    assert answer_of(normal, "answer-gated_pixelcnn")["source"] == placeholder("answer-gated_pixelcnn")
    assert normal.changes == []


def test_a_deleted_answer_is_put_back_and_said(released):
    normal = in_order(released, lambda cells: cells.remove(put(cells, "")))
    assert answer_of(normal)["source"] == placeholder()
    assert normal.changes == [f"The cell {ANSWER} was missing and was put back as it was handed out."]


def test_an_answer_made_code_is_text_again(released):
    def edit(cells):
        cell = put(cells, "print('an answer')")
        cell["cell_type"] = "code"
        cell |= {"outputs": [], "execution_count": None}

    normal = in_order(released, edit)
    assert answer_of(normal)["cell_type"] == "markdown"
    assert "was a code cell; made a markdown cell again" in normal.changes[0]


def test_a_check_is_not_moved_for_an_answer_below_it(released):
    def edit(cells):
        (check,) = [c for c in cells if grade_id(c) == "check-made"]
        cells.remove(check)
        cells.insert(cells.index(put(cells, "Mine.")), check)

    assert in_order(released, edit).changes == []


# In the gradebook.


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """(course, what was found, results, {student: results of a second run} after points were given by hand)."""
    course = Course.at(tmp_path_factory.mktemp("class"))
    file = build.release(course, "hw1", figures=False) / "hw1.ipynb"
    folder = course.root / "in"
    write_submission(file, folder / "ada", solution_cells("hw1"), demo.QUICK[:1], demo.QUICK[:1])
    write_submission(file, folder / "bob", solution_cells("hw1"), (), ())
    notebook = json.loads((folder / "bob" / "hw1.ipynb").read_text(encoding="utf-8"))
    put(notebook["cells"], HARMFUL)
    (folder / "bob" / "hw1.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    found = downloads.find(folder, "hw1").chosen()
    first = batch.grade(course, "hw1", found, batch.Options(jobs=1))
    before = {r.student: scores(course, r.student) for r in first}
    with course.gradebook() as gradebook:
        for name, points in (("answer-logistic_mixture", 1.5), ("check-logistic_mixture", 12)):
            grade = gradebook.find_grade(name, "hw1", "hw1", "ada")
            grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.db.commit()
    second = batch.grade(course, "hw1", found, batch.Options(jobs=1, force=True))
    return course, first, before, second


def scores(course: Course, student: str) -> tuple[float, float, bool]:
    with course.gradebook() as gradebook:
        submission = gradebook.find_submission("hw1", student)
        return submission.score, submission.max_score, submission.needs_manual_grade


@pytest.mark.slow
def test_answers_wait_for_somebody_and_what_was_not_answered_does_not(graded):
    _, (ada, bob), before, _ = graded
    assert (ada.points, ada.max_points, ada.most_written) == (15, 100, 10)
    outcomes = {w["number"]: (w["outcome"], w["points"]) for w in ada.written}
    assert outcomes["1.1"] == (by_hand.OPEN, None)
    assert outcomes["1.2"] == (by_hand.NOT_ANSWERED, 0)
    assert [w["number"] for w in bob.written if w["outcome"] == by_hand.OPEN] == ["1.2"]
    assert before == {"ada": (15, 110, True), "bob": (0, 110, True)}


@pytest.mark.slow
def test_points_given_by_hand_stay_and_are_the_same_everywhere(graded, tmp_path):
    course, _, _, (ada, bob) = graded
    assert scores(course, "ada")[0] == 13.5
    assert (ada.points, ada.total) == (12, 13.5)
    assert ada.changed[0]["said"] == "12 points by hand, 15 by the checks"
    batch.write_csv(tmp_path / "grades.csv", "hw1", [ada, bob])
    with (tmp_path / "grades.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    sums = {s: sum(float(r["points"] or 0) for r in rows if r["student"] == s) for s in ("ada", "bob")}
    assert sums == {"ada": 13.5, "bob": 0}
    assert {r["outcome"] for r in rows if r["check"] == "answer-logistic_mixture"} == {
        by_hand.BY_HAND,
        by_hand.NOT_ANSWERED,
    }
    page = report.write(tmp_path / "report", "hw1", [ada, bob])
    own = (page.parent / report.address("ada")).read_text(encoding="utf-8")
    assert "12 / 100 + 1.5 / 10 written" in own
    assert "12 points by hand, 15 by the checks" in own
    assert "model answer and rubric" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_course_with_open_answers_has_no_totals_yet(graded, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["deepul", "totals", "--course", str(graded[0].root)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "1 without a total: bob" in capsys.readouterr().out


@pytest.mark.slow
def test_what_was_graded_by_hand_is_looked_at_again_only_if_it_has_changed(graded, tmp_path):
    aside = Course.at(Path(shutil.copytree(graded[0].root, tmp_path / "course")))
    kept = json.loads((aside.root / "autograded" / "ada" / "hw1" / "hw1.ipynb").read_text(encoding="utf-8"))
    kept["cells"] = [c for c in kept["cells"] if c["id"] != "what-was-changed"]

    def open_ones() -> set[str]:
        with Recorder(aside, "hw1") as recorder:
            recorder.record("ada", "key", "worth", copy.deepcopy(kept), {}, [])
        with aside.gradebook() as gradebook:
            grades = gradebook.find_submission("hw1", "ada").notebooks[0].grades
            return {g.name for g in grades if g.needs_manual_grade and g.manual_score is not None}

    assert open_ones() == set()
    put(kept["cells"], "Another answer.", "answer-logistic_mixture")
    assert open_ones() == {"answer-logistic_mixture"}


@pytest.mark.slow
def test_the_pages_show_answers_that_do_nothing(graded, tmp_path):
    course, _, _, results = graded
    written = report.write(tmp_path / "report", "hw1", results)
    page = written.read_text(encoding="utf-8") + (written.parent / report.address("bob")).read_text(encoding="utf-8")
    recorded = (course.root / "autograded" / "bob" / "hw1" / "hw1.ipynb").read_text(encoding="utf-8")
    answers = [text(c) for c in json.loads(recorded)["cells"] if grade_id(c) == ANSWER]
    assert outputs.clean(answers[0]).strip() == answers[0].strip(), "cleaned again it is the same"
    for harmful in ("<script>alert", "onerror=alert(2)", "(javascript:alert", "\\href"):
        assert harmful not in page
        assert harmful not in answers[0]


@pytest.mark.slow
def test_a_gradebook_with_submissions_says_why_it_takes_no_other_questions(graded, tmp_path):
    course = graded[0]
    aside = Course.at(Path(shutil.copytree(course.root, tmp_path / "course")))
    (aside.root / "course.toml").write_text('[assignments.hw1]\nwritten = "ungraded"\n')
    with pytest.raises(CourseError, match="The gradebook has submissions of hw1 already, and nbgrader adds no cells"):
        build.release(aside, "hw1", figures=False)
