"""A course's own points: in a student's hands, in a graded notebook, and in the handout's cells."""

from dataclasses import replace

import pytest

from autograder import assignments, settings, weights
from autograder.course import SourceError
from autograder.handout import chosen
from autograder.notebooks import Cell
from autograder.score import MIME, CheckResult, Score


def result(name: str, most: float, points: float | None) -> CheckResult:
    outcome = "not graded" if points is None else "passed" if points == most else "failed"
    return CheckResult(name, name, most, points, outcome, "measured", "required", "a hint")


def score(worth: float | None, *checks: CheckResult) -> Score:
    return Score(replace(assignments.get_exercise("nice"), worth=worth), list(checks), "printed")


CHECKS = (result("a", 3, 3.0), result("b", 3, 1.5), result("c", 3, None), result("d", 1, 0.0))


@pytest.mark.parametrize("worth", [20, 7, 1, 1.001, 33.333, 100 / 3])
def test_points_are_scaled_and_add_up_to_the_thousandth(worth):
    before = score(worth, *CHECKS)
    after = weights.of_course(before)
    assert after.max_points == pytest.approx(round(worth, 3), abs=1e-9)
    assert float(after) == pytest.approx(0.45 * worth, abs=2e-3)
    assert float(after) == pytest.approx(sum(r.points or 0 for r in after.results), abs=1e-9)
    assert [r.points for r in after.results][2:] == [None, 0]
    assert (after.printed, after.exercise) == ("printed", before.exercise)


def test_without_other_points_a_score_stays_the_very_same():
    before = score(None, *CHECKS)
    assert weights.of_course(before) is before


def graded(before: Score) -> dict:
    output = {"output_type": "execute_result", "data": before._repr_mimebundle_(), "metadata": {}, "execution_count": 1}
    cells = [{"cell_type": "code", "source": "1", "outputs": []}, {"cell_type": "code", "outputs": [output]}]
    return {"scores": {"nice": before.to_json()}, "notebook": {"cells": cells, "nbformat": 4}}


def test_a_graded_notebook_shows_what_the_gradebook_reads():
    found = graded(score(None, *CHECKS))
    after = weights.weigh(found, [replace(assignments.get_exercise("nice"), worth=20)], ["nice.b", "made.d"])
    assert after["scores"]["nice"]["points"] == 12
    data = after["notebook"]["cells"][1]["outputs"][0]["data"]
    assert (data["text/plain"], data[MIME]["points"]) == ("12.0", 12)
    assert "12 / 20" in " ".join(data["text/html"].split())
    excused = after["scores"]["nice"]["checks"][1]
    assert (excused["points"], excused["outcome"], excused["hint"]) == (6, "passed", "")
    assert excused["measured"] == "Excused by the course: everybody has its points. measured"
    assert found == graded(score(None, *CHECKS)), "what is kept of a result does not change"


def test_what_could_not_be_graded_can_be_excused():
    after = weights.weigh(graded(score(None, *CHECKS)), [assignments.get_exercise("nice")], ["nice.c"])
    assert after["scores"]["nice"]["points"] == 7.5


def test_nothing_changes_where_a_course_says_nothing():
    found = graded(score(None, *CHECKS))
    assert weights.weigh(found, [assignments.get_exercise("nice")]) is found


# Which cells are handed out.

PARTS = (
    ("markdown", "# Homework 1"),
    ("code", "import torch"),
    ("markdown", "## Exercise 1.1 · A mixture"),
    ("code", "class Mixture:\n    def log_p(self, MADE):\n        x = MADE\n        return torch.zeros(x)"),
    ("markdown", "## Exercise 1.2 · MADE"),
    ("code", "%time 1\nclass MADE:\n    pass\nmodel = MADE()"),
    ("markdown", "## Go bigger"),
    ("code", "MADE()"),
    ("markdown", "## The end"),
)


def given(without: str, cells=PARTS) -> list[int]:
    own = settings.AssignmentSettings(without=(without, "pixelcnn", "gated_pixelcnn", "color_pixelcnn"))
    here = settings.CourseSettings(assignments={"hw1": own}).assignment("hw1")
    return chosen.cells(here, [Cell(*c) for c in cells])


def test_sections_that_rest_on_what_is_left_out_go_with_it():
    assert given("made") == [0, 1, 2, 3, 8]
    assert given("logistic_mixture") == [0, 1, 4, 5, 6, 7, 8]


def test_an_exercise_that_rests_on_what_is_left_out_is_refused():
    cells = [*PARTS[:5], ("code", "class MADE(Mixture):\n    pass"), *PARTS[6:]]
    with pytest.raises(
        SourceError, match=r"Exercise 1\.2 of hw1 uses Mixture, of an exercise that course\.toml leaves"
    ):
        given("logistic_mixture", cells)
