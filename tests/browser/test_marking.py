"""How a TA marks: a class of six in a real formgrader, a written answer graded there, its total, and the feedback."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import demo
from autograder.course import Course
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission
from tests.browser.conftest import Lab
from tests.browser.test_notebook import picture

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
ANSWERED, BLANK = ("ada", "ben", "cyd"), ("dov", "eda", "fay")
QUESTION = f"answer-{demo.QUICK[0]}"
COMMENT = "Say which term it is."


def grade(course: Course) -> None:
    command = [BIN / "deepul", "grade", "hw1", course.root / "in", "--course", course.root, "-j", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """Three who solved an exercise and answered its question, and three blank notebooks, graded."""
    course = Course.at(tmp_path_factory.mktemp("marking"))
    handout = release(course, "hw1", figures=False) / "hw1.ipynb"
    for student in (*ANSWERED, *BLANK):
        solved = demo.QUICK[:1] if student in ANSWERED else ()
        folder = course.root / "in" / student
        write_submission(handout, folder, solution_cells("hw1"), solved, solved)
        demo.show_figures(folder / "hw1.ipynb", handout.parent / "figures", solved)
    grade(course)
    return course


@pytest.fixture(scope="module")
def formgrader(browser, course):
    """A page in formgrader, which runs in the course's folder: `formgrader(path)` opens one of its places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        server = Lab(course.root)
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.route("**/*", lambda route: route.continue_() if "127.0.0.1" in route.request.url else route.abort())

    def opened(path: str):
        page.goto(f"{server.url}/formgrader/{path}", wait_until="load", timeout=60_000)
        return page

    yield opened
    page.close()
    server.stop()


def rows(page) -> dict[str, tuple[str, str]]:
    """{student: (status, points)} of the list of submissions."""
    page.wait_for_function("document.querySelectorAll('td.status .label').length == 6", timeout=30_000)
    found = page.locator("tbody tr").all()
    texts = [[row.locator(f"td.{name}").inner_text() for name in ("student-id", "status", "score")] for row in found]
    return {student: (status, points) for student, status, points in texts}


def test_a_written_answer_is_graded_and_its_points_are_everywhere(formgrader, course):
    listed = rows(formgrader("manage_submissions/hw1"))
    waiting = dict.fromkeys(ANSWERED, ("needs manual grading", "15 / 110"))
    assert listed == waiting | dict.fromkeys(BLANK, ("graded", "0 / 110"))

    page = formgrader("gradebook/hw1/hw1")  # by way of the list, as a TA goes
    waits = page.locator("tbody tr", has=page.locator("td.needs-manual-grade .glyphicon-ok"))
    waits.first.wait_for(timeout=30_000)
    assert waits.count() == len(ANSWERED)
    waits.first.locator("a.name-hidden").click()
    page.locator("input.score").first.wait_for(timeout=30_000)
    student = _whose(course, page.url)
    score = page.locator(f"input.score#{QUESTION}")
    page.wait_for_function(f"document.querySelector('#check-{demo.QUICK[0]}').placeholder == '15'", timeout=30_000)
    assert score.input_value() == ""
    with page.expect_response(lambda r: r.request.method == "PUT" and "/api/grade/" in r.url):
        score.fill("1.5")
        score.press("Tab")
    comment = page.locator(f"textarea#{QUESTION}-comment")
    with page.expect_response(lambda r: r.request.method == "PUT" and "/api/comment/" in r.url):
        comment.fill(COMMENT)
        comment.press("Tab")
    picture(page, "formgrader.png")

    page.reload()
    page.wait_for_function(f"document.querySelector('#{QUESTION}').value == '1.5'", timeout=30_000)
    listed = rows(formgrader("manage_submissions/hw1"))
    assert listed[student] == ("graded", "16.5 / 110")
    assert sorted(listed.values()).count(("needs manual grading", "15 / 110")) == 2
    assert course_total(course, student) == 16.5

    grade(course)  # the next run says what the gradebook says
    with (course.root / "reports" / "hw1" / "grades.csv").open(encoding="utf-8") as stream:
        totals = {row["student"]: float(row["total"]) for row in csv.DictReader(stream)}
    assert totals == dict.fromkeys(ANSWERED, 15.0) | dict.fromkeys(BLANK, 0.0) | {student: 16.5}
    assert "16.5" in (course.root / "reports" / "hw1" / "report" / "index.html").read_text(encoding="utf-8")


def _whose(course: Course, url: str) -> str:
    with course.gradebook() as gradebook:
        return gradebook.find_submission_notebook_by_id(re.search(r"submissions/(\w+)", url)[1]).student.id


def course_total(course: Course, student: str) -> float:
    with course.gradebook() as gradebook:
        return gradebook.find_submission("hw1", student).score


def test_the_feedback_page_has_points_comment_and_figures(browser, formgrader, course):
    """Made by formgrader's button, of the student who was graded by hand."""
    with course.gradebook() as gradebook:
        (student,) = [s for s in ANSWERED if gradebook.find_submission("hw1", s).score == 16.5]
    page = formgrader("manage_submissions/hw1")
    rows(page)
    row = page.locator("tbody tr", has=page.locator("td.student-id", has_text=student))
    with page.expect_response(lambda r: r.request.method == "POST" and "feedback" in r.url, timeout=90_000) as made:
        row.locator("td.generate-feedback a").click()
    assert made.value.json()["success"], made.value.text()[-2000:]

    feedback = browser.new_page(viewport={"width": 1100, "height": 1600})
    asked: list[str] = []
    feedback.on("request", lambda request: asked.append(request.url))
    feedback.route("**/*", lambda r: r.continue_() if r.request.url.startswith(("file:", "data:")) else r.abort())
    feedback.goto((course.root / "feedback" / student / "hw1" / "hw1.html").as_uri(), wait_until="load")
    assert "16.5 / 110.0" in feedback.inner_text("body")
    assert COMMENT in feedback.inner_text("body")
    assert feedback.locator(".deepul, table", has_text=re.compile(r"Check\s*Measured")).count() >= 5
    shown = feedback.evaluate("[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.src.slice(0, 60)])")
    assert len(shown) > 4, "the expected figures of the text, and the student's own"
    assert not [src for loaded, src in shown if not loaded]
    picture(feedback, "feedback.png")
    feedback.close()
