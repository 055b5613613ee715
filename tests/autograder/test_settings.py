"""course.toml: what it says, and what is said of every mistake in it."""

import re
import tomllib
import zoneinfo
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from autograder import assignments, settings
from autograder.assignments import ROOT
from autograder.grading import cache
from autograder.late import Amount, LatePolicy
from autograder.settings import AssignmentSettings, SettingsError
from deepul_utils import turn

WHOLE = """
title = "Deep Unsupervised Learning"
contact = "the forum"
collaboration = "Work alone."
time_zone = "Europe/Berlin"
turn = 2

[assignments.hw1]
due = 2027-02-12T23:59:00
written = "ungraded"

[assignments.hw2]
due = 2027-03-30T23:59:00-08:00
"""


@pytest.fixture
def written(tmp_path):
    """written(text): the settings of a course with this course.toml."""

    def read(text: str | bytes) -> settings.CourseSettings:
        (tmp_path / "course.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return settings.read(tmp_path)

    return read


def test_without_the_file_there_are_defaults(tmp_path):
    found = settings.read(tmp_path)
    assert found == settings.DEFAULTS
    assert found.of("hw1") == AssignmentSettings(due=None, written="points")
    assert found.collaboration
    assert not found.title


def test_everything_is_read(written):
    found = written(WHOLE)
    assert (found.title, found.contact, found.collaboration) == (
        "Deep Unsupervised Learning",
        "the forum",
        "Work alone.",
    )
    assert found.turn == 2
    assert found.of("hw1").due == datetime(2027, 2, 12, 23, 59, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert found.of("hw1").due.utcoffset() == timedelta(hours=1)
    assert found.of("hw1").written == "ungraded"
    assert found.of("hw2").due.astimezone(UTC) == datetime(2027, 3, 31, 7, 59, tzinfo=UTC)
    assert found.of("hw2").written == "points"
    assert found.of("hw3") == AssignmentSettings()


@pytest.mark.parametrize(
    "due", ["2027-02-12T23:59:00", '"2027-02-12T23:59"', '"2027-02-12 23:59:00"', '"2027-02-12T23:59:00+01:00"']
)
def test_a_moment_is_written_in_any_of_its_forms(written, due):
    found = written(WHOLE.replace("2027-02-12T23:59:00", due))
    assert found.of("hw1").due.astimezone(UTC) == datetime(2027, 2, 12, 22, 59, tzinfo=UTC)


def test_windows_begins_files_with_a_mark(written):
    assert written(b"\xef\xbb\xbf" + WHOLE.encode()).title == "Deep Unsupervised Learning"


@pytest.mark.parametrize(("text", "ours", "fits"), [("", 1, True), ("turn = 1", 1, True), ("turn = 0", 1, False)])
def test_a_course_is_used_with_the_data_that_it_was_given(written, monkeypatch, text, ours, fits):
    found = written(text)
    monkeypatch.setattr(turn, "number", lambda: ours)
    expected = (
        nullcontext()
        if fits
        else pytest.raises(SettingsError, match=r"has the data of turn 0, and the kit in .* has those of turn 1: what")
    )
    with expected, found.in_use():
        pass


def test_an_empty_text_says_nothing(written):
    assert written('collaboration = ""').collaboration == ""


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        ("title =", "titel =", "there is no titel. Did you mean title? Known keys: title, contact, kit, collaboration"),
        (
            "[assignments.hw1]",
            "[assignments.hw11]",
            "there is no assignments.hw11. Did you mean hw1? Known assignments",
        ),
        (
            "written =",
            "writen =",
            "there is no assignments.hw1.writen. Did you mean written? Known keys: due, written, late",
        ),
        ('"ungraded"', '"no"', 'assignments.hw1.written is \'no\'; it must be "points" or "ungraded".'),
        ('"ungraded"', "false", 'assignments.hw1.written is False; it must be "points" or "ungraded".'),
        ('"the forum"', '""', "contact is ''; it must be one line of text in quotes."),
        ('"the forum"', "7", "contact is 7; it must be a text in quotes."),
        ('"the forum"', '"a\\nb"', "it must be one line of text in quotes."),
        ('"Work alone."', "true", "collaboration is True; it must be a text in quotes."),
        (
            "Europe/Berlin",
            "Europe/Berlim",
            'it must be a time zone such as "Europe/Berlin". Did you mean Europe/Berlin?',
        ),
        ("Europe/Berlin", "Europe", "time_zone is 'Europe'; it must be a time zone"),
        ("Europe/Berlin", "../etc/passwd", "it must be a time zone"),
        (
            'time_zone = "Europe/Berlin"',
            "",
            "assignments.hw1.due is 2027-02-12 23:59:00, in no time zone; set time_zone",
        ),
        ("2027-02-12T23:59:00", "2027-02-12", "is 2027-02-12, a day without a time"),
        ("2027-02-12T23:59:00", '"2027-02-12"', "is 2027-02-12, a day without a time"),
        ("2027-02-12T23:59:00", "23:59:00", "is 23:59:00; it must be a date and time"),
        ("2027-02-12T23:59:00", '"Friday evening"', "is 'Friday evening'; it must be a date and time"),
        ("2027-02-12T23:59:00", "20270212", "is 20270212; it must be a date and time"),
        ("2027-02-12T23:59:00", "2027-03-28T02:30:00", "which clocks in Europe/Berlin never show"),
        ("2027-02-12T23:59:00", "2027-10-31T02:30:00", "which clocks in Europe/Berlin show twice"),
        ("turn = 2", "turn = 4", "turn is 4; it must be the turn of the data, from 0 to 3, as `deepul turn` says."),
        ("turn = 2", 'turn = "2"', "turn is '2'; it must be the turn of the data"),
        ("turn = 2", "turn = true", "turn is True; it must be the turn of the data"),
        ("[assignments.hw1]", "[[assignments.hw1]]", "assignments.hw1 is [{"),
        ("[assignments.hw1]", "[other]", "there is no other."),
        ("title = ", "title ", "cannot be read: "),
    ],
)
def test_every_mistake_is_said_with_what_is_allowed(written, tmp_path, find, replace, said):
    assert find in WHOLE
    with pytest.raises(SettingsError) as caught:
        written(WHOLE.replace(find, replace, 1))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(str(tmp_path / "course.toml"))
    assert said in line


def test_all_mistakes_are_said_at_once(written):
    with pytest.raises(SettingsError) as caught:
        written('titel = "a"\ncontact = 3\n[assignments.hw1]\ndue = 1')
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("content", [b"title = '\xff'", b"\x00"])
def test_a_file_that_is_no_text_is_said(written, content):
    with pytest.raises(SettingsError, match=r"course\.toml (is no UTF-8|cannot be read: )"):
        written(content)


def test_the_example_of_the_readme_is_in_order(written):
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    found, table = written(example), tomllib.loads(example)
    assert found.title == table["title"]
    assert found.of("hw1").due is not None


OF_A_TERM = """
[late]
per_day = "10 %"
grace = 15
days = 3
most = 50
free_days = 4

[assignments.hw1]
without = ["color_pixelcnn"]
points = { made = 31 }
excused = ["made.shapes_and_more", "made.every_example_for_itself"]
weight = 2

[[assignments.hw1.questions]]
exercise = "made"
text = "Why?"
points = 3

[assignments.hw2.late]
per_day = 5
"""
SHAPES = '"made.shapes_and_more", '


def test_late_policies_are_general_or_of_an_assignment(written):
    found = written(OF_A_TERM.replace(SHAPES, ""))
    general = LatePolicy(Amount(10, is_share=True), 15, 3, Amount(50), 4)
    assert found.late == found.of("hw1").late == found.of("hw3").late == general
    assert found.of("hw2").late == replace(general, per_day=Amount(5))


def test_a_course_gives_an_assignment_as_it_wants(written):
    found = written(OF_A_TERM.replace(SHAPES, ""))
    given, kit = found.assignment("hw1"), assignments.get("hw1")
    assert [e.name for e in given.exercises] == [e.name for e in kit.exercises][:-1]
    made = given.exercises[1]
    assert (made.points, made.points_of_checks, made.written) == (31, 20, (2, 3))
    assert [q.number for q in made.questions] == ["1.2a", "1.2b"]
    assert found.of("hw1").excused == ("made.every_example_for_itself",)
    assert found.assignment("hw2").exercises == assignments.get("hw2").exercises
    with found.in_use():
        assert assignments.get("hw1").exercises == given.exercises
        assert assignments.get_exercise("made").points == 31
        assert assignments.get_exercise("color_pixelcnn").points == 20
    assert assignments.get("hw1").exercises == kit.exercises


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        (SHAPES, SHAPES, "'made.shapes_and_more' is no check. There are: made.each_output"),
        (SHAPES, '"mad.shapes", ', "'mad.shapes' is no check. There are: logistic_mixture.…, made.…"),
        ('"10 %"', '"110 %"', "late.per_day is '110 %'; it must be a number of points, such as 5, or a share of them"),
        ('"10 %"', "-5", "late.per_day is -5; it must be a number of points"),
        ('"10 %"', '"ten"', "late.per_day is 'ten'; it must be"),
        ("grace = 15", "grace = true", "late.grace is True; it must be a number, 0 or more: minutes."),
        ("free_days = 4", "free_days = 0.5", "late.free_days is 0.5; it must be a whole number, 0 or more: days."),
        ("days = 3\n", "dayz = 3\n", "there is no late.dayz. Did you mean days?"),
        ("per_day = 5", "free_days = 5", "assignments.hw2.late.free_days are of the whole term: set them in [late]."),
        ('"color_pixelcnn"', '"colour"', "'colour' is none of logistic_mixture, made"),
        ('"color_pixelcnn"', '"made"', "there is no assignments.hw1.points.made."),
        ("made = 31", "made = 0", "assignments.hw1.points.made is 0; it must be a number of points, more than 0."),
        ("made = 31", "mad = 31", "there is no assignments.hw1.points.mad. Did you mean made?"),
        ("weight = 2", 'weight = "2"', "assignments.hw1.weight is '2'; it must be a number, 0 or more"),
        ('text = "Why?"', "", "assignments.hw1.questions, number 1: text is missing."),
        ('text = "Why?"', 'text = " "', "assignments.hw1.questions, number 1: text is empty"),
        ('text = "Why?"', 'text = """Why?\n### BEGIN SOLUTION"""', "number 1: text has SOLUTION in capital letters"),
        ("points = 3", "points = -3", "assignments.hw1.questions, number 1: points is -3"),
        ('exercise = "made"', 'exercise = "mad"', "assignments.hw1.questions, number 1: exercise is 'mad'"),
        ("[[assignments.hw1.questions]]", "[assignments.hw1.questions]", "it must be tables, as in [[assignments."),
    ],
)
def test_mistakes_in_what_a_term_sets_are_said(written, find, replace, said):
    text = OF_A_TERM if find == SHAPES else OF_A_TERM.replace(SHAPES, "")
    assert find in text
    with pytest.raises(SettingsError, match=re.escape(said)):
        written(text.replace(find, replace, 1))


def test_the_example_of_the_terms_page_is_in_order(written):
    example, _ = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "terms.md").read_text(encoding="utf-8"), re.DOTALL)
    found = written('time_zone = "Europe/Berlin"\n' + example)
    assert found.of("hw1").weight == 2


def test_settings_may_be_read_again_while_they_are_in_use(written):
    """A release reads them, when a command has them in use already."""
    text = '[assignments.hw1]\nwithout = ["color_pixelcnn"]\npoints = { made = 30 }\n'
    first = written(text)
    with first.in_use():
        assert written(text) == first


def test_a_worker_who_knows_of_no_course_has_the_same_version(written):
    """Else nobody is graded where a course leaves an exercise out."""
    cache.kit_version.cache_clear()
    with written('[assignments.hw1]\nwithout = ["color_pixelcnn"]\n').in_use():
        of_the_course = cache.kit_version("hw1")
    cache.kit_version.cache_clear()
    assert cache.kit_version("hw1") == of_the_course


@pytest.mark.parametrize("due", ["9999-12-31T23:59:59", "0001-01-01T00:00:00"])
def test_a_due_date_at_the_end_of_the_calendar_is_said(written, due):
    with pytest.raises(SettingsError, match="in a year that is no course's"):
        written(f'time_zone = "America/Los_Angeles"\n[assignments.hw1]\ndue = {due}\n')
