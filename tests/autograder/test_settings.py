"""course.toml: what it says, and what is said of every mistake in it."""

import re
import tomllib
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest

from autograder import settings
from autograder.assignments import ROOT
from autograder.settings import AssignmentSettings, SettingsError

WHOLE = """
title = "Deep Unsupervised Learning"
contact = "the forum"
collaboration = "Work alone."
time_zone = "Europe/Berlin"

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
    with pytest.raises(SettingsError, match=r"course\.toml cannot be read: "):
        written(content)


def test_the_example_of_the_readme_is_in_order(written):
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    found, table = written(example), tomllib.loads(example)
    assert found.title == table["title"]
    assert found.of("hw1").due is not None
