"""The table that a notebook opens with, and the cell that it ends in."""

import json

import pytest

from autograder import assignments, settings
from autograder.course import Course
from autograder.grading import batch
from autograder.handout import build, opening

HW1 = assignments.get("hw1")
SETTINGS = """
title = "A course"
contact = "the forum"
collaboration = "Alone."
time_zone = "America/Los_Angeles"
[assignments.hw1]
due = 2027-02-12T23:59:00
"""


def of(tmp_path, text: str) -> str:
    (tmp_path / "course.toml").write_text(text)
    return opening.opening(HW1, settings.read(tmp_path))


def test_every_exercise_is_in_the_table_with_its_points_and_time():
    text = opening.opening(HW1, settings.DEFAULTS)
    for e in HW1.exercises:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {e.number} ")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[:3] == [f"{e.number} {e.title}", f"{e.points:g}", "2"]
        assert cells[3].count("●") == e.difficulty
        assert cells[4] == f"{e.thinking} min"
    assert "| **together** | **100** | **10** |" in text
    assert settings.COLLABORATION in text
    assert "due on" not in text
    assert "Questions?" not in text


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ("2027-02-12T23:59:00", "Friday, 12 February 2027, 23:59 (America/Los_Angeles, UTC-08:00)"),
        ("2027-07-01T08:00:00", "Thursday, 1 July 2027, 08:00 (America/Los_Angeles, UTC-07:00)"),
        ("2027-02-12T23:59:00+05:30", "Friday, 12 February 2027, 23:59 (UTC+05:30)"),
        ("2027-02-12T23:59:00Z", "Friday, 12 February 2027, 23:59 (UTC)"),
    ],
)
def test_what_the_course_sets_is_said(tmp_path, due, said):
    text = of(tmp_path, SETTINGS.replace("2027-02-12T23:59:00", due))
    assert f"It is due on **{said}**." in text
    assert text.startswith("*A course*\n\n| exercise |")
    assert "**Working together.** Alone." in text
    assert "**Questions?** the forum" in text


@pytest.mark.parametrize("end", ["", ".git", "/"])
def test_a_kit_on_github_can_be_opened_in_colab(tmp_path, end):
    text = of(tmp_path, f'kit = "https://github.com/owner/dul.2027-hw{end}"')
    link = "https://colab.research.google.com/github/owner/dul.2027-hw/blob/main/homeworks/hw1/hw1.ipynb"
    assert f"[open this notebook in Colab]({link})" in text


@pytest.mark.parametrize("kit", ["", "https://git.example.edu/owner/dul.git", "https://github.com.example.edu/o/dul"])
def test_no_other_kit_has_a_link_to_colab(tmp_path, kit):
    assert "Colab" not in of(tmp_path, f'kit = "{kit}"' if kit else "")


def test_questions_without_points_have_no_column(tmp_path):
    text = of(tmp_path, SETTINGS + 'written = "ungraded"\n')
    assert "| **together** | **100** |  |" in text
    assert "The written questions have no points" in text


def test_the_notebook_has_it_behind_its_title_and_ends_in_the_cell_to_hand_in(tmp_path):
    for name in ("one.ipynb", "two.ipynb"):
        build.write_source("hw1", tmp_path / name)
    assert (tmp_path / "one.ipynb").read_bytes() == (tmp_path / "two.ipynb").read_bytes()
    cells = json.loads((tmp_path / "one.ipynb").read_text(encoding="utf-8"))["cells"]
    assert "".join(cells[1]["source"]) == opening.opening(HW1, settings.DEFAULTS)
    assert "".join(cells[-1]["source"]) == opening.closing(HW1)[1]
    assert all(line.startswith(("#", "from deepul_utils")) or not line for line in opening.closing(HW1)[1].splitlines())
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_a_change_of_the_settings_makes_the_handout_anew(tmp_path):
    course = Course.at(tmp_path)
    before = batch._source_version(course, "hw1")
    assert batch._source_version(course, "hw1") == before
    (tmp_path / "course.toml").write_text(SETTINGS)
    assert batch._source_version(course, "hw1") != before
