"""Late policies, due dates, extensions: from the course's files into nbgrader's gradebook, and out to everybody."""

import csv
import io
import json
import os
import sys
import zipfile
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from nbformat import v4
from traitlets.config import Config

from autograder import cli, late, settings, term
from autograder.course import Course, CourseError
from autograder.files import write_atomically
from autograder.grading import (
    batch,
    by_hand,
    export,
    feedback,
    moved,
    nbgrader_steps,
    penalties,
    report,
    showing,
    submissions,
    totals,
)
from autograder.late import Amount, LatePolicy
from autograder.roster import Roster, Student

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DUE = datetime(2027, 2, 12, 22, 59, tzinfo=UTC)


# A policy.


@pytest.mark.parametrize(
    ("behind", "days"),
    [
        (timedelta(0), 0),
        (timedelta(minutes=15), 0),
        (timedelta(minutes=16), 1),
        (DAY, 1),
        (DAY + HOUR, 2),
        (9 * DAY, 9),
    ],
)
def test_a_day_counts_as_soon_as_it_has_begun_and_the_grace_is_over(behind, days):
    assert LatePolicy(grace=15).days_late(behind) == days


@pytest.mark.parametrize(
    ("policy", "days", "free", "lost"),
    [
        (LatePolicy(), 9, 0, 0),
        (LatePolicy(per_day=Amount(5)), 3, 0, 15),
        (LatePolicy(per_day=Amount(10, is_share=True)), 2, 0, 22),  # of the 110 that there are
        (LatePolicy(per_day=Amount(5)), 3, 2, 5),
        (LatePolicy(per_day=Amount(5)), 3, 3, 0),
        (LatePolicy(per_day=Amount(5), most=Amount(12)), 9, 0, 12),
        (LatePolicy(per_day=Amount(5), most=Amount(50, is_share=True)), 30, 0, 55),
        (LatePolicy(per_day=Amount(50)), 9, 0, 80),  # nobody has less than nothing
        (LatePolicy(days=3), 3, 0, 0),
        (LatePolicy(days=3), 4, 0, 80),
        (LatePolicy(days=3), 5, 2, 0),
        (LatePolicy(days=3, most=Amount(12)), 4, 0, 80),
    ],
)
def test_what_is_lost(policy, days, free, lost):
    assert policy.penalty(days, free, score=80, most=110) == lost


@pytest.mark.parametrize(
    ("policy", "days", "score", "free"),
    [
        (LatePolicy(per_day=Amount(5)), 1, 80, 1),
        (LatePolicy(per_day=Amount(5)), 5, 80, 2),
        (LatePolicy(per_day=Amount(5)), 5, 0, 0),  # nothing to lose
        (LatePolicy(per_day=Amount(5), days=1), 14, 80, 0),  # lost in any case
        (LatePolicy(per_day=Amount(5), days=1), 3, 80, 2),
        (LatePolicy(days=3), 4, 80, 1),
        (LatePolicy(per_day=Amount(5), most=Amount(12)), 9, 80, 0),
        (LatePolicy(per_day=Amount(50)), 4, 80, 0),  # two days more than there are points for
        (LatePolicy(), 9, 80, 0),
    ],
)
def test_a_free_day_is_not_spent_where_it_saves_nothing(policy, days, score, free):
    assert policy.needed(days, 2, score, 110) == free


def test_free_days_are_said_in_one_and_in_many():
    free = (LatePolicy(per_day=Amount(5), free_days=n).text for n in (1, 2))
    assert [text.split(". ")[1] for text in free] == [
        "1 day of the term costs nothing, whichever you need.",
        "2 days of the term cost nothing, whichever you need.",
    ]


@pytest.mark.parametrize(
    ("text", "longer"),
    [
        ("3", 3 * DAY),
        ("3 days", 3 * DAY),
        ("+1 day", DAY),
        ("1,5 d", 1.5 * DAY),
        ("36h", 36 * HOUR),
        ("30 min", HOUR / 2),
        ("1 week", 7 * DAY),
        ("2027-02-14T22:59:00+00:00", 2 * DAY),
        ("2027-02-13 22:59", DAY),
        ("2027-02-12", timedelta(hours=1) - timedelta(microseconds=1)),
        ("2027-02-01", timedelta(0)),
    ],
)
def test_an_extension_is_a_length_or_a_moment(text, longer):
    assert late.extension(text, DUE, UTC) - longer in (timedelta(0), timedelta(minutes=1))


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "3 moons",
        "15.02.2027",
        "-2 days",
        "2027-02-30",
        "20270215",
        "367 days",
        "53 weeks",
        "9000 h",
        "99999999999 days",
        pytest.param("9" * 400, id="400 digits"),
        "2072-02-15",
        "9999-12-31 23:59",
    ],
)
def test_an_extension_that_is_none_is_said(text):
    with pytest.raises(ValueError, match=r"it must be such as .* no more than 366 days"):
        late.extension(text, DUE, UTC)


# In a gradebook.

POLICY = """
time_zone = "Europe/Berlin"
[late]
per_day = 4
grace = 30
free_days = 2
[assignments.hw1]
due = 2027-02-12T23:59:00
[assignments.hw2]
due = 2027-03-12T23:59:00
"""
NAMES = ("ada", "ben", "cleo")


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """A gradebook with two assignments of 20 points and three students, each with 12 and 3 of them."""
    course = Course.at(tmp_path_factory.mktemp("course"))
    course.api()  # finds the tool that makes a gradebook
    with course.gradebook() as gradebook:
        for name in ("hw1", "hw2"):
            gradebook.add_assignment(name)
            gradebook.add_notebook(name, name)
            gradebook.add_grade_cell("check-made", name, name, max_score=15, cell_type="code")
            gradebook.add_grade_cell("answer-made", name, name, max_score=5, cell_type="markdown")
            for student in NAMES:
                gradebook.update_or_create_student(student)
                gradebook.add_submission(name, student)
                for cell, points in (("check-made", 12), ("answer-made", 3)):
                    grade = gradebook.find_grade(cell, name, name, student)
                    grade.auto_score, grade.needs_manual_grade = points, False
        gradebook.db.commit()
    return (course.root / "gradebook.db").read_bytes()


@pytest.fixture
def course(blank, tmp_path) -> Course:
    (tmp_path / "gradebook.db").write_bytes(blank)
    (tmp_path / "course.toml").write_text(POLICY, encoding="utf-8")
    return Course.at(tmp_path)


def came(course: Course, student: str, when: str, assignment: str = "hw1") -> None:
    file = course.root / "submitted" / student / assignment / "timestamp.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(when, encoding="utf-8")


def lost(course: Course, assignment: str = "hw1", roster: Roster | None = None) -> dict[str, float]:
    """{student: points lost} after the course's files were applied; the marks and the export say the same."""
    penalties.bring_up_to_date(course, roster)
    with course.gradebook() as gradebook:
        found = {s: gradebook.find_submission(assignment, s).late_submission_penalty for s in NAMES}
    marks = by_hand.read(course, assignment)
    assert {s: by_hand.penalty(marks[s]) for s in NAMES} == found
    totals = {f.student: f.total for f in export.finals(course, assignment, roster)}
    assert totals == {s: 15 - found[s] for s in NAMES}
    return {s: p for s, p in found.items() if p}


def edit(course: Course, find: str, replace: str) -> None:
    file = course.root / "course.toml"
    text = file.read_text(encoding="utf-8")
    assert find in text
    file.write_text(text.replace(find, replace), encoding="utf-8")


def test_who_is_late_loses_points_behind_the_free_days_of_the_term(course):
    came(course, "ada", "2027-02-13 00:20:00 +0100")  # within the grace
    came(course, "ben", "2027-02-15 12:00:00 UTC")  # three days, of which two are free
    came(course, "cleo", "2027-02-13 12:00:00")  # one day
    came(course, "cleo", "2027-03-15 12:00:00 UTC", "hw2")  # three, of which one is free still
    assert lost(course) == {"ben": 4}
    assert lost(course, "hw2") == {"cleo": 8}
    with course.gradebook() as gradebook:
        assert gradebook.find_assignment("hw1").duedate == DUE.replace(tzinfo=None)


def test_a_free_day_that_saves_nothing_is_left_for_the_next_homework(course):
    with course.gradebook() as gradebook:
        gradebook.find_grade("check-made", "hw1", "hw1", "cleo").auto_score = 0
        gradebook.find_grade("answer-made", "hw1", "hw1", "cleo").auto_score = 0
        gradebook.db.commit()
    came(course, "cleo", "2027-02-14 12:00:00 UTC")  # a blank one, two days late
    came(course, "cleo", "2027-03-14 12:00:00 UTC", "hw2")
    penalties.bring_up_to_date(course)
    with course.gradebook() as gradebook:
        assert gradebook.find_submission("hw2", "cleo").late_submission_penalty == 0


def test_what_an_attempt_would_lose_is_what_it_loses_once_it_is_graded(course):
    came(course, "ben", "2027-02-13 12:00:00")
    (course.root / "roster.csv").write_text("id,extension_hw2\ncleo,1 day\n", encoding="utf-8")
    penalties.bring_up_to_date(course)
    for student, when in (("ada", "2027-03-16 12:00"), ("ben", "2027-03-16 12:00"), ("cleo", "2027-03-16 12:00")):
        with course.gradebook() as gradebook:
            arrived, deadlines = datetime.fromisoformat(when), penalties.Deadlines(course)
            expected = deadlines.would_lose(gradebook, "hw2", student, arrived, 15)
            assert deadlines.would_lose(gradebook, "hw2", student, None, 15) == 0
        came(course, student, when, "hw2")
        penalties.bring_up_to_date(course)
        with course.gradebook() as gradebook:
            assert gradebook.find_submission("hw2", student).late_submission_penalty == expected
        assert expected == {"ada": 8, "ben": 12, "cleo": 4}[student]


def test_a_change_of_due_date_policy_time_or_extension_counts_the_next_time(course):
    came(course, "ben", "2027-02-16 12:00:00 UTC")
    assert lost(course) == {"ben": 8}
    edit(course, "per_day = 4", 'per_day = "10 %"')
    assert lost(course) == {"ben": 4}
    edit(course, "due = 2027-02-12T23:59:00", "due = 2027-02-11T23:59:00")
    assert lost(course) == {"ben": 6}
    (course.root / "roster.csv").write_text("id,extension_hw1\nben,2 days\n", encoding="utf-8")
    assert lost(course) == {"ben": 2}
    assert lost(course, roster=Roster([Student("ben", extension="9 d")])) == {}
    (course.root / "roster.csv").write_text("id,extension_hw1\nben,\n", encoding="utf-8")
    assert lost(course) == {"ben": 6}
    came(course, "ben", "2027-02-11 12:00:00 UTC")
    assert lost(course) == {}
    came(course, "ben", "2027-02-18 12:00:00 UTC")
    edit(course, "[late]", "[assignments.hw1.late]\ndays = 1\n[late]")
    assert lost(course) == {"ben": 15}
    (course.root / "course.toml").write_text("", encoding="utf-8")
    assert lost(course) == {}
    with course.gradebook() as gradebook:
        assert gradebook.find_assignment("hw1").duedate is None


def test_what_somebody_has_set_in_the_gradebook_stays_where_no_file_says_anything(course):
    (course.root / "course.toml").unlink()
    with course.gradebook() as gradebook:
        gradebook.find_assignment("hw1").duedate = DUE.replace(tzinfo=None)
        gradebook.find_submission("hw1", "ada").notebooks[0].late_submission_penalty = 5
        gradebook.find_submission("hw1", "ada").extension = DAY
        gradebook.db.commit()
    assert lost(course) == {"ada": 5}
    with course.gradebook() as gradebook:
        submission = gradebook.find_submission("hw1", "ada")
        assert (submission.extension, submission.duedate) == (DAY, DUE.replace(tzinfo=None) + DAY)


def test_points_by_hand_are_lost_too_and_never_more_than_there_are(course):
    edit(course, "per_day = 4", "per_day = 40")
    came(course, "ben", "2027-02-18 12:00:00 UTC")
    assert lost(course) == {"ben": 15}
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("answer-made", "hw1", "hw1", "ben")
        grade.manual_score, grade.extra_credit = 4, 2
        gradebook.db.commit()
    penalties.bring_up_to_date(course)
    marks = by_hand.read(course, "hw1")["ben"]
    graded = batch.Graded("ben", scores=[batch.blank("made", "1.2", "MADE", 15, "passed", 12.0, "fine")])
    shown = graded.with_marks("hw1", marks)
    assert (shown.points, shown.points_written, shown.penalty, shown.total) == (12, 6, 18, 0)
    assert sum(row["points"] for row in batch.rows("hw1", [shown])) == 0


def test_what_is_no_time_and_no_extension_is_said_with_its_place(course):
    came(course, "ben", "yesterday evening")
    with pytest.raises(CourseError, match=r"ben/hw1/timestamp\.txt says 'yesterday evening', which is no time"):
        penalties.bring_up_to_date(course)
    (course.root / "roster.csv").write_text("id,extension\nben,soon\n", encoding="utf-8")
    with pytest.raises(CourseError, match=r"roster\.csv: the extension of ben is 'soon'; it must be such as"):
        penalties.bring_up_to_date(course)


@pytest.mark.parametrize(
    ("when", "utc"),
    [
        ("2026-11-20 23:30", "22:30:00"),  # in the course's time zone, where it names none
        ("2026-11-20T23:30:00", "22:30:00"),
        ("2026-11-20 23:30:00 CET", "22:30:00"),
        ("2026-07-20 23:30:00.123456 CEST", "21:30:00.123456"),  # as nbgrader writes it
        ("2026-10-25 02:30 CEST", "00:30:00"),
        ("2026-10-25 02:30 CET", "01:30:00"),
        ("2026-11-20 23:30:00 UTC", "23:30:00"),
        ("2026-11-20T23:30:00Z", "23:30:00"),
        ("2026-11-20 23:30:00 -0800", "07:30:00"),
        ("2026-11-20 23:30:00+05:30", "18:00:00"),
        ("2026-11-20 23:30 America/Los_Angeles", "07:30:00"),
    ],
)
def test_a_time_of_arrival_is_in_the_courses_zone_unless_it_names_one(when, utc, tmp_path):
    (tmp_path / "timestamp.txt").write_text(f"{when}\n", encoding="utf-8")
    assert submissions.arrival(tmp_path / "timestamp.txt", ZoneInfo("Europe/Berlin")).time().isoformat() == utc


@pytest.mark.parametrize(
    "when",
    [
        "10.11.2026 23:00",
        "11/10/2026 23:00",
        "2026-11-20",
        "20 Nov 2026 23:00",
        "2026-11-31 23:00",
        "2026-11-20 23:30 XYZ",
        "2026-11-20 23:30 PST",
        "2026-11-20 23:30 ../etc/passwd",
        "2026-11-20 23:30 +9999",
        "2026-11-20 25:30",
        "2026-10-25 02:30",  # which clocks show twice
        "2026-03-29 02:30",  # and which they never show
        "9999-12-31 23:59 -0800",
    ],
)
def test_a_time_of_arrival_in_another_form_is_refused(when, tmp_path):
    (tmp_path / "timestamp.txt").write_text(when, encoding="utf-8")
    with pytest.raises(CourseError, match="which is no time, or not one only: write it such as 2027-02-12 23:59:00"):
        submissions.arrival(tmp_path / "timestamp.txt", ZoneInfo("Europe/Berlin"))


def test_a_time_that_is_none_costs_nobody_else_a_deadline(course):
    came(course, "ben", "2027-02-16 12:00:00 UTC")
    came(course, "cleo", "2027-02-16 12:00:00 UTC")
    ada = course.root / "submitted" / "ada" / "hw1" / "timestamp.txt"
    ada.parent.mkdir(parents=True)
    os.mkfifo(ada)
    with pytest.raises(CourseError, match=r"ada/hw1/timestamp\.txt is no ordinary file"):
        penalties.bring_up_to_date(course)
    ada.unlink()
    came(course, "ada", "soon")
    with pytest.raises(CourseError, match="which is no time"):
        penalties.bring_up_to_date(course)
    with course.gradebook() as gradebook:
        late = {s: gradebook.find_submission("hw1", s).late_submission_penalty for s in NAMES}
    assert late == {"ada": 0, "ben": 8, "cleo": 8}


def test_what_the_kit_has_written_is_known_and_written_once(course):
    came(course, "ben", "2027-02-16 12:00:00 UTC")
    lost(course)
    file = course.root / ".deepul" / "penalties.json"
    assert json.loads(file.read_text(encoding="utf-8"))["penalty/hw1/ben"] == 8
    before = file.stat().st_mtime_ns
    lost(course)
    assert file.stat().st_mtime_ns == before


def test_the_course_has_one_total_of_homeworks_by_their_weights(course, tmp_path):
    edit(course, "[assignments.hw2]", "[assignments.hw2]\nweight = 3")
    came(course, "ben", "2027-02-16 12:00:00 UTC")
    penalties.bring_up_to_date(course)
    with course.gradebook() as gradebook:
        gradebook.find_grade("answer-made", "hw2", "hw2", "cleo").needs_manual_grade = True
        gradebook.db.commit()
    roster = Roster([Student("ada", "Ada L"), Student("dan", "=Dan")])
    table = {row["id"]: row for row in totals.rows(course, roster)}
    assert table["ada"] == {"id": "ada", "name": "Ada L", "hw1": 15, "hw2": 15, "together": 75}
    assert (table["ben"]["hw1"], table["ben"]["together"]) == (7, 65)  # a quarter of 35 %, three quarters of 75 %
    assert (table["cleo"]["hw2"], table["cleo"]["together"]) == ("", ""), "something is open"
    assert (table["dan"]["hw1"], table["dan"]["together"]) == (0, 0), "nothing was handed in"
    totals.write(tmp_path / "course.csv", table.values())
    assert "'=Dan" in (tmp_path / "course.csv").read_text(encoding="utf-8")
    with pytest.raises(CourseError, match="Nothing was graded in"):
        totals.rows(Course.at(tmp_path / "empty"))


def test_why_there_is_no_total_is_said_where_nothing_counts(course, monkeypatch, capsys):
    edit(course, "[assignments.hw1]", "[assignments.hw1]\nweight = 0")
    assert totals.nothing_counts(totals.rows(course)) == ""
    edit(course, "[assignments.hw2]", "[assignments.hw2]\nweight = 0")
    monkeypatch.setattr(sys, "argv", ["deepul", "totals", "--course", str(course.root)])
    with pytest.raises(SystemExit):
        cli.main()
    printed = " ".join(capsys.readouterr().out.split())
    assert "hw1, hw2: whatever was graded has weight = 0 in course.toml, so that there is no total." in printed
    assert "3 without a total: ada, ben, cleo" in printed


# A term.


def test_a_term_has_due_dates_and_a_secret_that_git_does_not_see(tmp_path):
    made = term.make(tmp_path / "2027-spring", date(2027, 2, 12), "Europe/Berlin")
    found = settings.read(made.root)
    assert [found.of(f"hw{k}").due.date() for k in (1, 2)] == [date(2027, 2, 12), date(2027, 2, 26)]
    assert found.late.text
    assert (made.root / ".gitignore").read_text(encoding="utf-8").splitlines()[0] == "*"
    assert (made.root / ".deepul-salt").stat().st_mode & 0o077 == 0
    with pytest.raises(CourseError, match="is there already, and stays as it is"):
        term.make(made.root, date(2027, 2, 12), "UTC")
    later = term.make(tmp_path / "2028", date(2028, 2, 11), like=made.root)
    assert settings.read(later.root).of("hw2").due.astimezone(UTC).isoformat() == "2028-02-25T22:59:00+00:00"
    assert later.salt != made.salt
    assert settings.read(later.root).title == "Deep Unsupervised Learning, 2028"


ZONE = 'time_zone = "Europe/Berlin" # ours\n'
OFFSET = "[assignments.hw1]\ndue = 2027-02-12T23:59:00+01:00 # a Friday\n"


@pytest.mark.parametrize(
    ("before", "zone", "due"),
    [
        (ZONE + OFFSET, "", "2027-09-10T23:59:00+02:00"),  # in summer
        (ZONE + OFFSET.replace("+01:00", ""), "", "2027-09-10T23:59:00+02:00"),
        (ZONE + OFFSET.replace("23:59:00+01:00", "14:59:00-08:00"), "", "2027-09-10T23:59:00+02:00"),
        (ZONE + OFFSET, "Asia/Tokyo", "2027-09-10T23:59:00+09:00"),
        (OFFSET, "Europe/Berlin", "2027-09-10T23:59:00+02:00"),
        (OFFSET.replace("+01:00", "Z"), "", "2027-09-10T23:59:00+00:00"),
        (ZONE + OFFSET.replace("= 2", '= "2').replace("+01:00", '+01:00"'), "", "2027-09-10T23:59:00+02:00"),
    ],
)
def test_a_term_like_another_is_due_at_the_same_time_of_day(before, zone, due, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "course.toml").write_text(before, encoding="utf-8")
    (tmp_path / "old" / "words.toml").write_text('[titles]\n"Shapes" = "Formen"\n', encoding="utf-8")
    made = term.make(tmp_path / "2027-fall", date(2027, 9, 10), zone, like=tmp_path / "old")
    assert settings.read(made.root).of("hw1").due.isoformat() == due
    assert "# a Friday" in (made.root / "course.toml").read_text(encoding="utf-8")
    assert settings.read(made.root).words.entries["Shapes"] == "Formen"
    assert "!words.toml" in (made.root / ".gitignore").read_text(encoding="utf-8")


def test_a_term_that_cannot_be_made_leaves_nothing(tmp_path):
    with pytest.raises(CourseError, match="is no name for a term"):
        term.make(tmp_path / "spring term", date(2027, 2, 12), "UTC")
    with pytest.raises(settings.SettingsError, match="it must be a time zone"):
        term.make(tmp_path / "2027", date(2027, 2, 12), "Berlin")
    (tmp_path / "old").mkdir()
    with pytest.raises(CourseError, match=r"There is no .*/old/course\.toml"):
        term.make(tmp_path / "2027", date(2027, 2, 12), like=tmp_path / "old")
    (tmp_path / "old" / "course.toml").write_text('title = "old"\n', encoding="utf-8")
    with pytest.raises(CourseError, match="has no due dates to move"):
        term.make(tmp_path / "2027", date(2027, 2, 12), like=tmp_path / "old")
    text = 'time_zone = "Europe/Berlin"\n[assignments.hw1]\ndue = 2027-02-12T02:30:00\n'
    (tmp_path / "old" / "course.toml").write_text(text, encoding="utf-8")
    with pytest.raises(settings.SettingsError, match="never show"):  # half past two of the night of the change
        term.make(tmp_path / "2027", date(2027, 3, 28), like=tmp_path / "old")
    (tmp_path / "old" / "course.toml").write_text(OFFSET, encoding="utf-8")
    with pytest.raises(CourseError, match="due dates with an offset and no time_zone: say it, as in --zone Europe"):
        term.make(tmp_path / "2027", date(2027, 3, 28), like=tmp_path / "old")
    for like in (tmp_path / "old", None):
        with pytest.raises(CourseError, match="is due on 9999-12-31, in a year that is no course's"):
            term.make(tmp_path / "2027", date(9999, 12, 31), "UTC", like=like)
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


# Feedback.


def test_pictures_of_the_handout_are_put_into_a_page_and_no_other_files(tmp_path):
    folder = tmp_path / "release" / "hw1" / "figures"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"picture")
    (tmp_path / "secret.png").write_bytes(b"secret")
    texts = [
        '<img src="figures/a.png" width="3">',
        "![a](figures/a.png)",
        "![b](figures/../../../secret.png)",
        "figures/a.png",
    ]
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(text) for text in texts])
    config = Config({"CourseDirectory": {"root": str(tmp_path), "release_directory": "release"}})
    after, _ = nbgrader_steps.Figures(config=config).preprocess(notebook, {"nbgrader": {"assignment": "hw1"}})
    data = "data:image/png;base64,cGljdHVyZQ=="
    assert [c.source for c in after.cells] == [f'<img src="{data}" width="3">', f"![a]({data})", *texts[2:]]


def test_pages_are_laid_out_by_id(tmp_path):
    page = tmp_path / "hw1.html"
    page.write_text("page", encoding="utf-8")
    feedback.lay_out({"ada": page, "明 [x]": page}, tmp_path / "back")
    assert (tmp_path / "back" / "明 [x]" / "hw1.html").read_text(encoding="utf-8") == "page"
    for _ in range(2):
        feedback.lay_out({"ada": page}, tmp_path / "zips", zipped=True)
    with zipfile.ZipFile(tmp_path / "zips" / "ada.zip") as archive:
        assert archive.namelist() == ["hw1.html"]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_page_that_was_laid_out_goes_with_its_grade_and_nothing_else_does(course, monkeypatch, capsys, zipped):
    page, back = course.root / "hw1.html", course.root / "back"
    page.write_text("of an older grade", encoding="utf-8")
    feedback.lay_out(dict.fromkeys(["ben", "cleo", "eve"], page), back, zipped)
    (back / "cleo").mkdir(exist_ok=True)
    (back / "cleo" / "letter.txt").write_text("a TA's own", encoding="utf-8")
    with zipfile.ZipFile(back / "ada.zip", "w") as archive:
        archive.writestr("hw2.html", "of another homework")
    options = ["hw1", "--course", str(course.root), "--to", str(back), *(["--zip"] if zipped else [])]
    monkeypatch.setattr(sys, "argv", ["deepul", "feedback", *options])
    with pytest.raises(SystemExit) as ended:  # nobody has a graded notebook here
        cli.main()
    assert ended.value.code == 1
    said = "".join(capsys.readouterr().out.split())
    gone = ("ben.zip", "cleo.zip") if zipped else ("ben/hw1.html", "cleo/hw1.html")
    for name in gone:
        assert f"removed:{back / name},ofanearliergrade" in said
    kept = {p.relative_to(back).as_posix() for p in back.rglob("*") if p.is_file()}
    assert kept == {"ada.zip", "cleo/letter.txt", "eve.zip" if zipped else "eve/hw1.html"}
    assert not (back / "ben").exists()


def test_who_has_no_whole_grade_has_no_page_and_is_told_why(course):
    with course.gradebook() as gradebook:
        gradebook.find_grade("answer-made", "hw1", "hw1", "ben").needs_manual_grade = True
        gradebook.find_grade("check-made", "hw1", "hw1", "cleo").auto_score = None
        gradebook.db.commit()
    stale = course.root / "feedback" / "cleo" / "hw1" / "hw1.html"
    stale.parent.mkdir(parents=True)
    stale.write_text("of an older grade", encoding="utf-8")
    made = feedback.make(course, "hw1")
    assert made.pages == {}
    assert "its graded notebook is missing in autograded/" in made.without["ada"]
    assert "graded by hand" in made.without["ben"]
    assert made.without["cleo"] == "could not be graded"
    assert not stale.exists()
    with pytest.raises(CourseError, match=r"Nothing of eve was graded\. There are: ada, ben, cleo"):
        feedback.make(course, "hw1", only=["eve"])


def test_an_extension_of_no_assignment_is_said(course):
    (course.root / "roster.csv").write_text("id,extension_hw17\nada,3 days\n", encoding="utf-8")
    with pytest.raises(
        CourseError, match=r"roster\.csv: extension_hw17 is of no assignment\. There are: extension_hw1,"
    ):
        penalties.Deadlines(course)


def test_a_date_without_its_dashes_is_said_also_where_nothing_is_due(course):
    (course.root / "roster.csv").write_text("id,extension\nben,20270215\n", encoding="utf-8")
    for text in (POLICY, ""):
        (course.root / "course.toml").write_text(text, encoding="utf-8")
        with pytest.raises(CourseError, match=r"roster\.csv: the extension of ben is '20270215'; it must be such as"):
            penalties.Deadlines(course)


@pytest.mark.parametrize(("extension", "points"), [("1 day", {"ben": 4}), ("", {"ben": 8})])
def test_an_extension_beyond_all_dates_in_the_gradebook_is_replaced(course, extension, points):
    came(course, "ben", "2027-02-16 12:00:00 UTC")
    with course.gradebook() as gradebook:
        gradebook.find_submission("hw1", "ben").extension = 2_930_000 * DAY
        gradebook.db.commit()
    (course.root / "roster.csv").write_text(f"id,extension\nben,{extension}\n", encoding="utf-8")
    assert lost(course) == points


def test_an_extension_where_nothing_is_due_extends_nothing(course):
    (course.root / "course.toml").write_text("[late]\nper_day = 4\n", encoding="utf-8")
    (course.root / "roster.csv").write_text("id,extension\nben,3 days\n", encoding="utf-8")
    came(course, "ben", "2027-02-16 12:00:00 UTC")
    assert lost(course) == {}
    with course.gradebook() as gradebook:
        assert gradebook.find_submission("hw1", "ben").extension is None
        gradebook.find_submission("hw1", "ben").extension = DAY  # by hand
        gradebook.db.commit()
    assert lost(course) == {}


def test_an_id_that_no_file_can_have_keeps_its_extension(course):
    (course.root / "roster.csv").write_text("id,extension\n.ada,3 days\nben,\n", encoding="utf-8")
    came(course, "ada", "2027-02-16 22:59:00 UTC")  # as the grader calls .ada
    came(course, "ben", "2027-02-16 22:59:00 UTC")
    assert lost(course) == {"ben": 8}


def test_what_could_not_be_graded_is_neither_nothing_nor_a_zero(course):
    why = "The submission could not be read: it is damaged."
    unread = batch.without_grade("dora", "hw1", why)
    write_atomically(report.kept(course, "hw1") / "dora.json", json.dumps(asdict(unread)))
    roster = Roster([Student("ada"), Student("dora"), Student("eve")])
    dora = next(f for f in export.finals(course, "hw1", roster) if f.student == "dora")
    assert (dora.total, dora.why) == (None, f"could not be graded: {why}")
    rows = {r["id"]: r for r in csv.DictReader(io.StringIO(export.own_table(export.finals(course, "hw1"), roster)))}
    assert rows["dora"]["why_none"] == f"could not be graded: {why}"
    assert (rows["dora"]["total"], rows["eve"]["why_none"]) == ("", "handed in nothing")
    together = {r["id"]: r["together"] for r in totals.rows(course, roster)}
    assert (together["dora"], together["eve"], together["ada"]) == ("", 0.0, 75.0)
    with pytest.raises(CourseError, match=f"dora has no grade: {why}"):
        showing.submission(course, "hw1", "dora")


# A roster that came later.

HOPPER = Student("s2", "Grace Hopper", lms={"canvas_id": ("40002",)})


@pytest.mark.parametrize(
    ("students", "told"),
    [
        (["hopper-40002"], {"hopper-40002": "s2"}),
        (["somebody 40002", "s2", "ada"], {"somebody 40002": "s2"}),
        (["gracehopper"], {"gracehopper": "s2"}),
        (["gracehopper-7"], {"gracehopper-7": ""}),  # of that name, and with another number
        (["adalovelace-7"], {"adalovelace-7": "ada"}),
        (["adalovelace-7", "adalovelace-8"], {"adalovelace-7": "", "adalovelace-8": ""}),
        (["eve", "eve-9"], {"eve": "", "eve-9": ""}),
    ],
)
def test_whom_the_roster_calls_otherwise_is_told_by_number_or_by_a_name_of_one(students, told):
    roster = Roster([HOPPER, Student("ada", "Ada Lovelace")])
    assert moved.whose(students, roster) == told
    roster = Roster([*roster.students, Student("bob", "Bob Smith", lms={"moodle_id": ("3",)})])
    assert moved.whose(["Ada Lovelace-3", "Eve Moss-3", "Bob Smith-3", *students], roster) == told | {
        "Ada Lovelace-3": "",
        "Eve Moss-3": "",
        "Bob Smith-3": "bob",
    }
    roster = Roster(roster.students[:-1])
    assert moved.whose(students, None) == {}
    assert moved.left_out(students, roster) == {old: new for old, new in told.items() if new in students}


def test_who_stands_in_the_gradebook_twice_counts_once_and_loses_nothing(course, monkeypatch, capsys):
    with course.gradebook() as gradebook:
        for student, names in (("hopper-40002", ("hw1", "hw2")), ("s2", ("hw1",)), ("eve", ("hw1",))):
            gradebook.update_or_create_student(student)
            for name in names:
                gradebook.add_submission(name, student)
                for cell in ("check-made", "answer-made"):
                    grade = gradebook.find_grade(cell, name, name, student)
                    grade.auto_score, grade.needs_manual_grade = 2.0, False
        gradebook.find_grade("answer-made", "hw1", "hw1", "hopper-40002").manual_score = 1.5
        gradebook.db.commit()
    rows = "ada,,\nben,,\ncleo,,\ns2,Grace Hopper,40002\n"
    (course.root / "roster.csv").write_text(f"id,name,canvas_id\n{rows}", encoding="utf-8")
    roster = Roster.of_course(course.root)
    assert [f.student for f in export.finals(course, "hw1", roster)] == [*NAMES, "eve", "s2"]
    assert "hopper-40002" in [f.student for f in export.finals(course, "hw2", roster)], "graded under no other id"
    for words in (["totals"], ["export", "hw1", "--to", "csv"], ["feedback", "hw1"]):
        monkeypatch.setattr(sys, "argv", ["deepul", *words, "--course", str(course.root)])
        with pytest.raises(SystemExit):
            cli.main()
        said = " ".join(capsys.readouterr().out.split())
        assert "graded, and not in the roster: eve" in said, words
        assert "hopper-40002 is s2 in the roster by now. Of hw1 that of s2 counts" in said, words
        assert "hw2 is graded as hopper-40002 only: run `deepul grade hw2` again" in said, words
        assert "Points that hopper-40002 has by hand (hw1) stay there: give them to s2" in said, words
    table = {row["id"]: row for row in totals.rows(course, roster)}
    assert (table["s2"]["hw2"], table["s2"]["together"]) == ("", ""), "what is graded by the old id only is not nothing"
    page = course.root / "old.html"
    page.write_text("of the old id", encoding="utf-8")
    feedback.lay_out({"hopper-40002": page}, course.root / "back", zipped=False)
    (course.root / "back" / "hopper-40002" / "old.html").rename(course.root / "back" / "hopper-40002" / "hw1.html")
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--to", str(course.root / "back")])
    with pytest.raises(SystemExit):
        cli.main()
    assert not (course.root / "back" / "hopper-40002").exists()
    with course.gradebook() as gradebook:
        assert gradebook.find_submission("hw1", "hopper-40002").score == 3.5, "no grade is deleted"


def test_who_has_another_number_in_each_homework_is_not_two_in_the_totals(course):
    def hand_in(*pairs: tuple[str, str]) -> None:
        with course.gradebook() as gradebook:
            for student, name in pairs:
                gradebook.update_or_create_student(student)
                gradebook.add_submission(name, student)
                for cell in ("check-made", "answer-made"):
                    grade = gradebook.find_grade(cell, name, name, student)
                    grade.auto_score, grade.needs_manual_grade = 2.0, False
            gradebook.db.commit()

    hand_in(("Ben Bo-1", "hw1"), ("Ben Bo-2", "hw1"), ("Ben Bo-2", "hw2"))  # two people of one name, at Canvas
    assert {row["id"] for row in totals.rows(course)} >= {"Ben Bo-1", "Ben Bo-2"}
    hand_in(("Ada Lovelace-102", "hw1"), ("Ada Lovelace-205", "hw2"))
    said = r"the same student: Ada Lovelace-102 \(hw1\) and Ada Lovelace-205 \(hw2\)\. Moodle has another number"
    with pytest.raises(CourseError, match=said):
        totals.rows(course)
    roster = Roster([Student("s1", "Ada Lovelace", lms={}), Student("s3", "Ben Bo")])
    assert {row["id"]: row["together"] for row in totals.rows(course, roster)}["s1"] == ""
    assert any(
        "Ada Lovelace-102 is s1 in the roster by now. hw1 is graded as" in n for n in moved.notes(course, roster)
    )
    hand_in(("s1", "hw1"), ("s1", "hw2"))
    table = {row["id"]: row for row in totals.rows(course, roster)}
    assert table["s1"]["together"] != ""
    assert not [student for student in table if student.startswith("Ada")]
