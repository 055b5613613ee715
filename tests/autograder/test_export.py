"""Grades go back into the file that a platform gave, read again as the platform would: every total, nothing else."""

import csv
import io
from pathlib import Path

import pytest

from autograder.course import Course, CourseError
from autograder.grading import export
from autograder.grading.export import Final
from autograder.roster import Roster, Student

NAMES = ("Lovelace, Ada", 'O"Neill, Zoë', "=SUM(A1), Eve", "Smith; Jr., Sean", "明, 李", "Two\nLines, Max")
IDS = [f"s{k}" for k in range(len(NAMES))]
ROSTER = Roster(
    Student(student, name, f"{student}@x.org", lms={"canvas_id": (str(500 + k),), "moodle_id": (str(700 + k),)})
    for k, (student, name) in enumerate(zip(IDS, NAMES, strict=True))
)
TOTALS = (100.0, 87.5, 0.0, 33.333, 99.9, 12.0)
KNOWN = [Final(student, total + 2, 2.0, 100.0) for student, total in zip(IDS, TOTALS, strict=True)]


def written(rows: list[list[str]], separator: str = ",", line_end: str = "\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=line_end).writerows(rows)
    return text.getvalue().encode()


def read(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def canvas(title: str = "hw1 (77)", most: str = "100.00") -> list[list[str]]:
    rows = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "hw10 (76)", title, "Final Score"],
        ["    Points Possible", "", "", "", "", "50", most, "(read only)"],
    ]
    rows += [[name, str(500 + k), "", f"{IDS[k]}@x.org", "A, B", "7", "", "1"] for k, name in enumerate(NAMES)]
    return [*rows, ["Student, Test", "999", "", "", "A, B", "", "", ""]]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_canvas_gets_its_own_file_back_with_one_column_filled(separator, line_end):
    before = canvas()
    filled = export.fill("canvas", b"\xef\xbb\xbf" + written(before, separator, line_end), "hw1", KNOWN, ROSTER)
    assert filled.text.startswith("\ufeffStudent")
    after = read(filled.text.removeprefix("\ufeff"), separator)
    assert [row[6] for row in after[2:-1]] == ["100", "87.5", "0", "33.33", "99.9", "12"]
    for old, new in zip(before, after, strict=True):
        kept = [c for k, c in enumerate(old) if k != 6]
        expected = [f"'{c}" if c.startswith("=") else c for c in kept]
        assert [c for k, c in enumerate(new) if k != 6] == expected
    assert (filled.filled, filled.left) == (6, [])
    assert filled.without == ["Student, Test: not known here"]
    assert export.fill("canvas", filled.text.encode(), "hw1", KNOWN, ROSTER).text == filled.text  # and once more


def test_who_is_excused_stays_so_and_who_has_no_grade_is_said():
    rows = canvas()
    rows[2][6] = "EX"
    known = [Final("s1", None, 0.0, 100.0, "2 answers are to be graded by hand (formgrader)"), KNOWN[0], KNOWN[5]]
    filled = export.fill("canvas", written(rows[:-2]), "hw1", known, ROSTER)
    assert [row[6] for row in read(filled.text)[2:]] == ["EX", "", "", "", ""]
    assert filled.without[:3] == [
        "Lovelace, Ada: excused",
        'O"Neill, Zoë: 2 answers are to be graded by hand (formgrader)',
        "=SUM(A1), Eve: handed in nothing",
    ]
    assert filled.left == ["s5"]


def test_a_column_that_is_not_plain_is_asked_for():
    rows = canvas("Autoregressive models (77)")
    assert export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER).filled == 6
    rows = canvas("Problem set A (77)")
    with pytest.raises(CourseError, match=r"no column is plainly that of hw1 .* “Problem set A \(77\)”"):
        export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER)
    assert export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER, column="Problem set A (77)").filled == 6
    rows[0][5] = "hw1 again (3)"
    rows[0][6] = "hw1 draft (4)"
    with pytest.raises(CourseError, match="several columns are plainly that of hw1"):
        export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER)


@pytest.mark.parametrize(
    "title", ["DUL hw1 (77)", "CS294-158 HW1: likelihoods", "HW 01 (2027)", "Homework 1", "Week 3 – homework #1 (9)"]
)
def test_a_title_that_has_the_name_among_its_words_is_the_assignments(title):
    rows = canvas(title)
    rows[0][5] = "Homework 11 (76)"
    filled = export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER)
    assert [row[5:7] for row in read(filled.text)[2:4]] == [["7", "100"], ["7", "87.5"]]


@pytest.mark.parametrize("title", ["hw10", "show1 (3)", "Autoregressive (2)", "1 hw"])
def test_a_title_of_another_assignment_is_not_taken(title):
    rows = canvas(title)
    with pytest.raises(CourseError, match="no column is plainly that of hw1"):
        export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER)


def test_other_points_are_scaled_only_where_that_is_said():
    with pytest.raises(CourseError, match="Canvas has 20 points for this, and the gradebook 100"):
        export.fill("canvas", written(canvas(most="20")), "hw1", KNOWN, ROSTER)
    filled = export.fill("canvas", written(canvas(most="20")), "hw1", KNOWN, ROSTER, scale=True)
    assert [row[6] for row in read(filled.text)[2:5]] == ["20", "17.5", "0"]


ENGLISH = (
    "Identifier",
    "Full name",
    "Email address",
    "Status",
    "Grade",
    "Maximum Grade",
    "Grade can be changed",
    "Last modified (submission)",
    "Last modified (grade)",
    "Feedback comments",
)
GERMAN = (
    "ID",
    "Vollständiger Name",
    "E-Mail-Adresse",
    "Status",
    "Bewertung",
    "Bestwertung",
    "Bewertung kann geändert werden",
    "Zuletzt geändert (Abgabe)",
    "Zuletzt geändert (Bewertung)",
    "Feedback als Kommentar",
)


@pytest.mark.parametrize(
    ("header", "who", "most", "first"),
    [
        (ENGLISH, "Participant ", "100.00", "87.5"),
        (GERMAN, "Teilnehmer/in", "100,00", "87,5"),
    ],
)
def test_moodle_gets_its_worksheet_back_in_any_language(header, who, most, first):
    rows = [
        [f"{who}{700 + k}", name, f"{IDS[k]}@x.org", "ok", "", most, "Yes", "-", "-", "a, “b”"]
        for k, name in enumerate(NAMES)
    ]
    filled = export.fill("moodle", written([list(header), *rows]), "hw1", KNOWN, ROSTER)
    after = read(filled.text)
    assert after[2][4] == first
    assert (filled.filled, filled.without, filled.left) == (6, [], [])
    assert [row[5:] for row in after[1:]] == [row[5:] for row in rows]


def test_without_a_roster_the_ids_of_the_download_are_enough():
    rows = [[f"Participant {700 + k}", name, "", "", "", "100.00"] for k, name in enumerate(NAMES)]
    known = [Final(f"{name}-{700 + k}", 50.0 + k, 0.0, 100.0) for k, name in enumerate(NAMES)]
    filled = export.fill("moodle", written([list(ENGLISH[:6]), *rows]), "hw1", known)
    assert [row[4] for row in read(filled.text)[1:]] == ["50", "51", "52", "53", "54", "55"]


def test_brightspace_and_gradescope_get_theirs():
    title = "hw1 Points Grade <Numeric MaxPoints:100>"
    rows = [["OrgDefinedId", "Username", title, "End-of-Line Indicator"]]
    rows += [[f"#{i}", f"#{i}@x.org", "", "#"] for i in IDS]
    filled = export.fill("brightspace", written(rows), "hw1", KNOWN, ROSTER)
    assert read(filled.text)[2] == ["#s1", "#s1@x.org", "87.5", "#"]
    rows = [["First Name", "Last Name", "SID", "Email", "Total Score", "Max Points", "Status"]]
    rows += [
        [*reversed(n.split(", ")), i, f"{i}@x.org", "", "100.0", "Missing"] for i, n in zip(IDS, NAMES, strict=True)
    ]
    filled = export.fill("gradescope", written(rows), "hw1", KNOWN, ROSTER)
    assert [row[4] for row in read(filled.text)[1:]] == ["100", "87.5", "0", "33.33", "99.9", "12"]


@pytest.mark.parametrize(
    ("platform", "match"),
    [
        ("canvas", "no grade file of Canvas: there is no column Student"),
        ("moodle", "no grading worksheet of Moodle"),
        ("brightspace", "no grade file of Brightspace"),
        ("gradescope", "there is no column Email"),
    ],
)
def test_another_file_is_said_in_the_platforms_words(platform, match):
    with pytest.raises(CourseError, match=match):
        export.fill(platform, b"a,b\n1,2\n3,4\n", "hw1", KNOWN, ROSTER)
    with pytest.raises(CourseError, match="no rows"):
        export.fill(platform, b"Student,ID\n", "hw1", KNOWN, ROSTER)
    with pytest.raises(CourseError, match="no UTF-8"):
        export.fill(platform, "Né,ID\n1,2".encode("latin-1"), "hw1", KNOWN, ROSTER)


def test_the_kits_own_table_has_everyone_and_no_formula():
    rows = list(csv.DictReader(io.StringIO(export.own_table(KNOWN[:-1], ROSTER), newline="")))
    assert [r["total"] for r in rows] == ["100.0", "87.5", "0.0", "33.333", "99.9", ""]
    assert rows[2]["name"] == "'=SUM(A1), Eve"
    assert [r["name"] for r in rows if r["id"] != "s2"] == [n for n in NAMES if not n.startswith("=")]
    assert rows[-1]["why_none"] == "handed in nothing"


def test_a_number_that_contradicts_a_name_fills_nothing():
    rows = [["Participant 701", NAMES[0], "", "", "", "100.00"], ["Participant 9", NAMES[1], "", "", "", "100.00"]]
    filled = export.fill("moodle", written([list(ENGLISH[:6]), *rows]), "hw1", KNOWN, ROSTER)
    assert [row[4] for row in read(filled.text)[1:]] == ["", "87.5"]
    assert filled.without == [f"{NAMES[0]}: in the roster, the number 701 is s1, and the name {NAMES[0]} is s0"]


@pytest.mark.parametrize("old", ["100.00", "0.00", "70.00"])
@pytest.mark.parametrize("students", [1, 6])
def test_old_grades_of_moodle_that_are_all_the_same_are_no_maximum(old, students):
    header = [*ENGLISH[:2], "ID number", *ENGLISH[2:]]
    rows = [
        [f"Participant {700 + k}", name, "2027", f"{IDS[k]}@x.org", "Submitted", old, "100.00", "Yes", "-", "-", "5"]
        for k, name in enumerate(NAMES[:students])
    ]
    filled = export.fill("moodle", written([header, *rows]), "hw1", KNOWN[:students], ROSTER)
    after = read(filled.text)[1:]
    assert [row[5] for row in after] == ["100", "87.5", "0", "33.33", "99.9", "12"][:students]
    for row in (*rows, *after):
        row[1], row[5] = row[1].strip("'"), ""
    assert after == rows


def test_a_worksheet_in_which_two_columns_may_be_the_grades_is_asked_about():
    header = [
        "Identifier",
        "Full name",
        "ID number",
        "Phone",
        "Status",
        "Grade",
        "Maximum Grade",
        "Grade can be changed",
    ]
    rows = [["Participant 700", NAMES[0], "17", "555", "Submitted", "", "100.00", "Yes"]]
    with pytest.raises(CourseError, match=r"may be the grades: “ID number”, “Grade”\. Say which with --column"):
        export.fill("moodle", written([header, *rows]), "hw1", KNOWN[:1], ROSTER)
    filled = export.fill("moodle", written([header, *rows]), "hw1", KNOWN[:1], ROSTER, column="Grade")
    assert read(filled.text)[1] == [*rows[0][:5], "100", *rows[0][6:]]


def test_a_comma_in_another_column_of_canvas_makes_no_decimal_comma():
    rows = canvas()
    rows[3][5] = "12,5"
    assert [r[6] for r in read(export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER).text)[2:4]] == ["100", "87.5"]
    rows[1][5] = "50,00"
    assert read(export.fill("canvas", written(rows), "hw1", KNOWN, ROSTER).text)[3][6] == "87,5"


def test_the_line_of_excel_and_a_mark_stay():
    before = "sep=;\r\n" + written(canvas(), ";", "\r\n").decode()
    after = export.fill("canvas", before.encode(), "hw1", KNOWN, ROSTER).text
    assert after.splitlines()[0] == "sep=;"
    assert read(after.partition("\n")[2], ";")[3][6] == "87.5"
    wide = export.fill("canvas", before.encode("utf-16"), "hw1", KNOWN, ROSTER).text
    assert wide == "\ufeff" + after


@pytest.mark.parametrize("options", [dict(file=Path("no.csv")), dict(column="Grade"), dict(scale=True)])
def test_the_kits_own_table_takes_no_options_of_a_platforms(options, tmp_path):
    with pytest.raises(CourseError, match="--to csv writes the kit's own table"):
        export.write(Course.at(tmp_path), "hw1", "csv", options.pop("file", None), tmp_path / "x.csv", None, **options)


def test_a_number_of_canvas_that_is_somebodys_id_in_the_course_is_not_that_student():
    rows = [*canvas()[:1], ["Lovelace, Ada", "s1", "", "", "", "", "", ""], ["Nobody", "s2", "", "", "", "", "", ""]]
    known = Roster([Student("s0", "Ada Lovelace"), Student("s1", "Bob Smith"), Student("s2", "Eve")])
    assert [r[6] for r in read(export.fill("canvas", written(rows), "hw1", KNOWN, known).text)[1:]] == ["100", ""]
    known = [Final("s2", 7.0, 0.0, 100.0), Final("lovelaceada-s1", 9.0, 0.0, 100.0)]
    assert [r[6] for r in read(export.fill("canvas", written(rows), "hw1", known).text)[1:]] == ["9", "7"]
