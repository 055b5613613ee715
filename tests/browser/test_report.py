"""What a TA sees: the report page in a real browser."""

import functools

import pytest

from autograder import assignments, demo
from autograder.grading import batch, report
from autograder.proof.validate import Case, score
from tests.browser.test_notebook import picture

pytestmark = pytest.mark.slow


@functools.cache
def solved(exercise: assignments.Exercise):
    return score(Case(exercise, "solution"))


def graded(student: str, change=None) -> batch.Graded:
    scores = [
        score(Case(e, "mutant", change)) if change and change.exercise == e.name else solved(e)
        for e in assignments.get("hw1").exercises
    ]
    return batch.Graded(student, [s.to_json() for s in scores])


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """The report of a class in which most are right, some made a slip, and one could not be graded."""
    from autograder.proof import changes

    slips = [m for m in changes.mutants("hw1") if m.weights == "reference"]
    slips = [m for k, m in enumerate(slips) if m.exercise in demo.QUICK or k % 6 == 0]
    results = [graded(f"student-{k:02d}", change) for k, change in enumerate([None, None, None, *slips])]
    lost = batch.without_grade("student-99", "hw1", "The submission could not be read: it is empty.")
    return report.write(tmp_path_factory.mktemp("report"), "hw1", [*results, lost])


def test_the_report_shows_the_class_and_opens_a_student(browser, page_file):
    page = browser.new_page(viewport={"width": 1100, "height": 1250})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(page_file.as_uri())
    assert "Grades of hw1" in page.inner_text("h1")
    assert "100 / 100" in page.locator("#student-00").inner_text()
    table = page.locator("#student-05 .deepul").first
    assert not table.is_visible()
    page.locator("#student-05 summary").first.click()
    assert table.is_visible()
    assert "not graded" in page.locator("#student-99").inner_text()
    assert errors == []
    page.locator("#student-05 summary").first.click()
    page.evaluate("scrollTo(0, 0)")
    picture(page, "report.png")
