"""The table of a score: whatever stands in it is text, in every place and picture."""

import re
from dataclasses import asdict

import pytest
from bs4 import BeautifulSoup

from autograder import display
from autograder.assignments import ROOT
from autograder.score import CheckResult

HOSTILE = "<img src=x onerror=x()>&'\""
BARS = {"kind": "bars", "x": HOSTILE, "series": {HOSTILE: [0.5, float("nan")], "data": [0.0, 1.0]}}
MATRIX = {"kind": "matrix", "x": HOSTILE, "y": HOSTILE, "values": [[1, 0, 0], [1, 1, 0]]}


def table(style: bool = True, **check) -> BeautifulSoup:
    """The page of a score with one check, which has `HOSTILE` for its words."""
    words = dict(title=HOSTILE, measured=HOSTILE, required=HOSTILE, hint=HOSTILE)
    result = CheckResult("it", max_points=2.0, **(words | check))
    score = dict(number="1.2", title=HOSTILE, headline=HOSTILE, printed=HOSTILE, notes=[HOSTILE])
    return BeautifulSoup(
        display.score_html(score | dict(points=0.5, max_points=2.0, checks=[asdict(result)]), style), "html.parser"
    )


@pytest.mark.parametrize("plot", [None, BARS, MATRIX])
@pytest.mark.parametrize("outcome", display.ICONS)
def test_nothing_in_a_table_is_markup(outcome, plot):
    page = table(outcome=outcome, plot=plot)
    assert not page.find_all("img")
    shown = outcome in ("failed", "partial")
    of_plot = {None: 0, "bars": 2, "matrix": 2}[plot and plot["kind"]] if shown else 0
    of_check = 2 + (outcome != "passed") + shown
    assert page.get_text().count(HOSTILE) == 4 + of_check + of_plot


def test_a_table_says_what_was_earned():
    assert [cell.get_text() for cell in table(points=None).select(".num")] == ["Points", "? / 2"]
    assert [cell.get_text() for cell in table(points=1.375).select(".num")] == ["Points", "1.38 / 2"]
    assert table().select_one(".bar i")["style"] == "width:25.0%"
    assert table().find("style")
    assert not table(style=False).find("style")


def test_a_picture_has_a_column_for_each_number_and_a_square_for_each_pair():
    columns = BeautifulSoup(display.svg(BARS), "html.parser").find_all("rect")
    assert [float(c["height"]) for c in columns] == [45.0, 0.0, 0.0, 90.0]
    squares = BeautifulSoup(display.svg(MATRIX), "html.parser").find_all("rect")
    own, other, none = display.COLOURS["failed"], display.SERIES[0], "#8883"
    assert [s["fill"] for s in squares] == [own, none, none, other, own, none]
    assert not re.search(r"\n\s*\n\s*\n", display.svg(MATRIX))


@pytest.mark.parametrize(
    ("value", "words", "said"),
    [
        (1, ("submission",), "1 submission"),
        (0, ("page",), "0 pages"),
        (2000, ("submission",), "2,000 submissions"),
        (1.0, ("point",), "1 point"),
        (1.5, ("point",), "1.5 points"),
        (1, ("answer is", "answers are"), "1 answer is"),
        (3, ("answer is", "answers are"), "3 answers are"),
    ],
)
def test_one_is_not_many(value, words, said):
    assert display.counted(value, *words) == said


MANY = "submissions|students|pages|points|files|answers|days|minutes|attempts|lines|seeds|processes|threads|questions"
# What is never one, or is said of more than one only.
NEVER_ONE = ("MOST_", "counted(", "’ points")


def test_what_the_staff_reads_is_counted_right():
    files = [*(ROOT / "autograder").glob("*.py"), *(ROOT / "autograder" / "grading").glob("*.*")]
    theirs = [f for f in files if f.stem not in ("score", "student", "workbench", "runner", "checks")]
    slips = [
        f"{file.name}: {line.strip()}"
        for file in theirs
        if file.suffix in (".py", ".j2", ".js")
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(rf"\}}\)? ({MANY})\b", line) and not any(words in line for words in NEVER_ONE)
    ]
    assert not slips, "say it with display.counted"
