"""A class of thirty, as seven platforms give it to a TA: the same students, the same work, every file accounted for."""

import contextlib
import csv
import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest

from autograder import assignments
from autograder.assignments import ROOT
from autograder.course import Course, CourseError
from autograder.grading import archives, arrivals, batch, downloads, normalise, submissions
from autograder.grading.submissions import Submission
from autograder.roster import Identity, Roster, Student

FIRST = ("Ada", "José", "李", "Ольга", "Søren", "Μαρία", "Zoë", "Ngọc", "Anne-Marie", "Sean")
LAST = ("Lovelace", "Núñez", "明", "Иванова", "Ångström", "Παπαδοπούλου", "O'Neill", "Trần", "de la Cruz", "Smith")
PEOPLE = [(f"s{k:03d}", FIRST[k % 10], f"{LAST[k % 10]}{'' if k < 10 else ' ' + 'BC'[k // 10 - 1]}") for k in range(30)]
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def number(k: int) -> int:
    """A platform's own number of the k-th student: none of the course's ids."""
    return 40_000 + 7 * k


def work(k: int) -> dict[str, bytes]:
    """What the k-th student handed in."""
    text = json.dumps(NOTEBOOK | {"metadata": {"student": k}})
    return {"hw1.ipynb": text.encode(), "artifacts/made.smiley.safetensors": b"weights %d" % k}


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def canvas(root: Path) -> None:
    """Loose files, archives, late ones, a resubmission, and a text that was entered."""
    for k, (_, first, last) in enumerate(PEOPLE):
        name = "".join(c for c in f"{last}{first}".lower() if c.isalnum() or c == "_")
        before = f"{name}{'_LATE' if k % 5 == 0 else ''}_{number(k)}"
        if k % 3 == 0:
            put(root / f"{before}_{900 + k}_hw1-{PEOPLE[k][0]}.zip", packed(work(k)))
        else:
            again = "-1" if k % 3 == 1 else ""
            put(root / f"{before}_{900 + k}_hw1{again}.ipynb", work(k)["hw1.ipynb"])
            put(root / f"{before}_{950 + k}_made.smiley.safetensors", work(k)["artifacts/made.smiley.safetensors"])
            if again:
                put(root / f"{before}_{800 + k}_hw1.ipynb", b"an earlier one")
        if k == 3:
            put(root / f"{before}_999_text.html", b"<p>please be kind</p>")


def moodle(root: Path) -> None:
    for k, (_, first, last) in enumerate(PEOPLE):
        folder = root / f"{first} {last}_{number(k)}_assignsubmission_file{'_' if k % 2 else ''}"
        if k % 3 == 0:
            put(folder / "hw1.zip", packed({f"hw1/{n}": c for n, c in work(k).items()}))
        else:
            for name, content in work(k).items():
                put(folder / name, content)
        if k == 3:
            put(root / f"{first} {last}_{number(k)}_assignsubmission_onlinetext" / "onlinetext.html", b"<p>hi</p>")


def moodle_flat(root: Path) -> None:
    for k, (_, first, last) in enumerate(PEOPLE):
        put(root / f"{first} {last}_{number(k)}_assignsubmission_file_hw1.tar.gz", tarred(work(k)))


def blackboard(root: Path) -> None:
    for k, (login, first, last) in enumerate(PEOPLE):
        for day in ("01", "02") if k % 4 == 0 else ("02",):
            before = f"hw1 deep_{login}_attempt_2026-10-{day}-23-59-59"
            put(root / f"{before}.txt", f"Name: {first} {last} ({login})\nAssignment: hw1\nName: x (s001)\n".encode())
            put(root / f"{before}_hw1.zip", packed(work(k)) if day == "02" else b"damaged")


def brightspace(root: Path) -> None:
    put(root / "index.html", b"<html>")
    for k, (_, first, last) in enumerate(PEOPLE):
        for time in ("9 30 AM".replace(" ", "", 1), "1224 PM") if k % 4 == 0 else ("1224 PM",):
            folder = root / f"7001-{number(k)} - {first} {last} - May 18, 2025 {time}"
            put(folder / "hw1 (1).ipynb", work(k)["hw1.ipynb"] if "PM" in time else b"earlier")
            put(folder / "made.smiley.safetensors", work(k)["artifacts/made.smiley.safetensors"])


def ilias(root: Path) -> None:
    for k, (login, first, last) in enumerate(PEOPLE):
        folder = root / f"{last.replace(' ', '-')}_{first}_{login}_{number(k)}"
        stamped = "20261001120000_" if k % 2 else ""
        put(folder / f"{stamped}hw1.zip", packed(work(k)))
        if stamped and k % 3 == 0:
            put(folder / "20260930120000_hw1.zip", b"damaged")


def gradescope(root: Path) -> None:
    about = ["---"]
    for k, (login, first, last) in enumerate(PEOPLE):
        for name, content in work(k).items():
            put(root / "assignment_77_export" / f"submission_{number(k)}" / name, content)
        about += [
            f"submission_{number(k)}:",
            "  :submitters:",
            f"  - :name: {json.dumps(f'{first} {last}')}",
            f"    :sid: {json.dumps(login)}",
            "    :email: x@y.z",
            f"  :created_at: 2026-10-01 12:00:{k:02d} Z",
            "  :score: !ruby/object:BigDecimal 18:0.1e1",
        ]
    put(root / "assignment_77_export" / "submission_metadata.yml", "\n".join(about).encode())


def nbgrader(root: Path) -> None:
    for k, (login, _, _) in enumerate(PEOPLE):
        for name, content in work(k).items():
            put(root / "submitted" / login / "hw1" / name, content)
        put(root / "submitted" / login / "hw1" / "timestamp.txt", b"2026-10-01 12:00:00")
        put(root / "submitted" / login / "hw2" / "hw2.ipynb", b"{}")


def named(folder: Path, *names: str) -> None:
    for name in names:
        put(folder / name if name.endswith(".ipynb") else folder / name / "hw1.ipynb", b"{}")


SHAPES = (canvas, moodle, moodle_flat, blackboard, brightspace, ilias, gradescope, nbgrader)
JUNK = ("__MACOSX/._hw1.ipynb", ".DS_Store", "Thumbs.db")


def roster() -> Roster:
    return Roster(
        Student(student, f"{first} {last}", lms={"canvas_id": (str(number(k)),), "moodle_id": (str(number(k)),)})
        for k, (student, first, last) in enumerate(PEOPLE)
    )


def around(shape, folder: Path, form: str) -> Path:
    """The download as a folder, as one archive, as an archive in a folder, or inside one more folder."""
    whole = folder / "whole"
    shape(whole)
    for name in JUNK:
        put(whole / name, b"\x00\x05")
    if form == "folder":
        return whole
    if form == "one more folder":
        (folder / "more").mkdir()
        whole.rename(folder / "more" / "submissions")
        return folder / "more"
    files = {p.relative_to(whole).as_posix(): p.read_bytes() for p in whole.rglob("*") if p.is_file()}
    shutil.rmtree(whole)
    target = folder / ("submissions.tar.gz" if form == "tar" else "CS294 submissions.zip")
    put(target, (tarred if form == "tar" else packed)(files))
    if form == "zip in a folder":
        (folder / "in").mkdir()
        target.rename(folder / "in" / target.name)
        return folder / "in"
    return target


@pytest.mark.parametrize("form", ["folder", "one more folder", "zip", "zip in a folder", "tar"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_student_is_found_under_their_own_id_with_their_own_work(shape, form, tmp_path):
    download = downloads.find(around(shape, tmp_path, form), "hw1", roster(), tmp_path / "scratch")
    assert not download.missing
    assert not download.strangers
    assert list(download.attempts) == [student for student, _, _ in PEOPLE]
    for k, one in enumerate(download.chosen()):
        files, _ = submissions.read(one, "hw1")
        contents = {c for n, c in files.items() if not n.endswith(".txt")}
        assert contents == set(work(k).values()), one
    rows = downloads.uses(download, download.chosen())
    inside = [p for p in download.root.rglob("*") if p.is_file()]
    assert len(rows) == len(inside)
    assert {r["use"] for r in rows if not r["student"]} <= {
        "left behind by an operating system",
        "Brightspace's list of what is in the download",
        "Blackboard's receipt",
        "Gradescope's list of whose submissions these are",
        "a text or a link that was entered at Canvas, no file",
        "entered at Moodle (onlinetext), no file",
    }
    assert {r["student"] for r in rows if r["use"] == "graded"} == {student for student, _, _ in PEOPLE}


def test_without_a_roster_nobody_is_mixed_up(tmp_path):
    for shape in SHAPES:
        download = downloads.find(around(shape, tmp_path / shape.__name__, "folder"), "hw1")
        assert len(download.attempts) == 30, shape
        assert len({one.path for one in download.chosen()}) == 30


def test_of_several_attempts_the_last_counts_unless_the_first_is_asked_for(tmp_path):
    blackboard(tmp_path / "b")
    download = downloads.find(tmp_path / "b", "hw1", roster())
    first, last = (download.chosen(which)[0] for which in ("first", "last"))
    assert (first.attempt, last.attempt) == ("1 of 2", "2 of 2")
    assert str(first.arrived) == "2026-10-01 23:59:59"
    assert [r["use"] for r in downloads.uses(download, [last]) if r["student"] == "s000"] == [
        "another attempt (1 of 2)",
        "graded",
    ]
    canvas(tmp_path / "c")
    download = downloads.find(tmp_path / "c", "hw1", roster())
    assert [len(download.attempts[s]) for s in ("s000", "s001", "s002")] == [1, 2, 1]
    assert download.attempts["s000"][0].late


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("ada_17_100_hw1-2.ipynb", "ada_17_200_hw1.ipynb"),
        ("ada_17_100_hw1-42.zip", "ada_17_150_hw1-42-1.zip"),
        ("ada_17_100_team-7.zip", "ada_17_99150_team-7-1.zip"),
        ("ada_17_100_hw1-1.ipynb", "ada_17_150_hw1-2.ipynb"),
    ],
)
def test_of_canvas_files_the_later_attachment_counts(older, newer, tmp_path):
    put(tmp_path / older, b"older")
    put(tmp_path / newer, b"newer")
    download = downloads.find(tmp_path, "hw1")
    first, last = download.attempts["ada-17"]
    assert (first.path.name, last.path.name) == (older, newer)
    uses = {r["file"]: r["use"] for r in downloads.uses(download, [last])}
    assert uses == {older: "another attempt (1 of 2)", newer: "graded"}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("9 mai 2026 12h24", "18 mai 2026 12h24"),
        ("9 févr. 2026 9:05", "18 févr. 2026 0905"),
        ("9. Mai 2026 1224", "18. Mai 2026 1224"),
        ("29. März 2026 1224", "1. Oktober 2026 1224"),
        ("9 de mayo de 2026 12h24", "18 de mayo de 2026 12h24"),
        ("9 maggio 2026 1224", "18 maggio 2026 1224"),
        ("9 de maio de 2026 12h24", "18 de maio de 2026 12h24"),
        ("9 mei 2026 1224", "18 mei 2026 1224"),
        ("9 Dec, 2026 2359", "1 Jan, 2027 0000"),
        ("May 9, 2026 1224 AM", "May 9, 2026 130 AM"),
        ("May 9, 2026 1159 AM", "May 9, 2026 1200 PM"),
    ],
)
def test_brightspace_says_times_in_several_languages(earlier, later, tmp_path):
    named(tmp_path, f"1-3 - Bob L - {later}", f"1-3 - Bob L - {earlier}")
    download = downloads.find(tmp_path, "hw1")
    assert [one.path.name for one in download.attempts["Bob L-3"]] == [f"1-3 - Bob L - {t}" for t in (earlier, later)]
    assert downloads.notes(download) == ["1 handed in several times, 1 other attempt"]


def test_a_time_that_is_not_understood_is_said_and_decides_nothing(tmp_path):
    named(tmp_path, "1-3 - Bob L - 18 toukok 2026 12h24", "1-3 - Bob L - 9 toukok 2026 12h24")
    named(tmp_path, "1-4 - Eve M - 9 toukok 2026 12h24", "1-5 - Ada L - May 41, 2026 1224 PM")
    download = downloads.find(tmp_path, "hw1")
    assert {s: bool(a[-1].problem) for s, a in download.attempts.items()} == {
        "Ada L-5": False,
        "Bob L-3": True,
        "Eve M-4": False,
    }
    (said,) = downloads.notes(download)
    assert said.startswith("4 folders say a time that is not understood (1-3 - Bob L - 18 toukok 2026 12h24): nobody")


def test_no_name_means_two_months():
    from babel.dates import get_month_names

    for language in downloads.LANGUAGES:
        for width, use in itertools.product(("wide", "abbreviated"), ("format", "stand-alone")):
            for number, name in get_month_names(width, use, language).items():
                assert downloads._months()[name.casefold().strip(".")] == number


def test_a_copy_and_the_assignment_in_capitals_are_no_students_names(tmp_path):
    for name in ("HW1-ada.zip", "Copy of ben.zip", "cleo - Copy.zip", "Hw1_dan (1).ipynb"):
        put(tmp_path / name, packed(work(0)))
    assert list(downloads.find(tmp_path, "hw1").attempts) == ["ada", "ben", "cleo", "dan"]
    put(tmp_path / "ben.zip", packed(work(1)))
    assert "nothing says which is the later one" in downloads.find(tmp_path, "hw1").attempts["ben"][0].problem


def test_who_is_missing_and_who_is_not_in_the_roster_is_said(tmp_path):
    put(tmp_path / "ada.zip", packed(work(0)))
    put(tmp_path / "stranger.zip", packed(work(1)))
    put(tmp_path / "notes.docx", b"")
    download = downloads.find(tmp_path, "hw1", Roster([Student("ada"), Student("ben")]))
    assert (download.missing, download.strangers) == (["ben"], ["stranger"])
    assert downloads.notes(download) == [
        "1 left aside (notes.docx): no folder, no archive and no notebook",
        "not in the roster: stranger",
        "handed in nothing: ben",
    ]
    unread = batch.without_grade("stranger", "hw1", "The submission could not be read: it is damaged.")
    arrivals.write(tmp_path / "files.csv", "hw1", download, download.chosen(), [batch.Graded("ada"), unread])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "files.csv").read_text(encoding="utf-8"))))
    assert {(r["file"], r["student"], r["use"]) for r in rows} == {
        ("ada.zip", "ada", "graded"),
        ("stranger.zip", "stranger", "not graded: The submission could not be read: it is damaged."),
        ("", "ben", "handed in nothing"),
        ("notes.docx", "", "no folder, no archive and no notebook"),
    }


def test_a_blank_beside_a_filled_notebook_is_not_called_graded(tmp_path):
    """In a folder of its own, or loose among those of others, as Canvas lays them."""
    handout = (assignments.get("hw1").handout / "hw1.ipynb").read_bytes()
    filled = handout.replace(b"raise NotImplementedError", b"return 3  # ")
    assert filled != handout
    for name, content in (("hw1.ipynb", handout), ("old/hw1 (1).ipynb", filled), ("notes.txt", b"")):
        put(tmp_path / "folders" / "ada" / name, content)
    put(tmp_path / "folders" / "ben" / "hw1.ipynb", handout)
    for name, content in (("lovelaceada_51_9_hw1.ipynb", handout), ("lovelaceada_51_10_hw1 (1).ipynb", filled)):
        put(tmp_path / "loose" / name, content)
    assert _uses(tmp_path / "folders") == {
        "ada/hw1.ipynb": "left out: another notebook is graded",
        "ada/notes.txt": "graded",
        "ada/old/hw1 (1).ipynb": "graded",
        "ben/hw1.ipynb": "graded",
    }
    assert _uses(tmp_path / "loose") == {
        "lovelaceada_51_10_hw1 (1).ipynb": "graded",
        "lovelaceada_51_9_hw1.ipynb": "left out: another notebook is graded",
    }


@pytest.mark.parametrize("before", ["yan_18_20{}_", "Yan Li_18_assignsubmission_file_/", "yan/", "yan/{}/"])
def test_two_archives_with_a_notebook_are_named_and_not_graded(before, tmp_path):
    handout = (assignments.get("hw1").handout / "hw1.ipynb").read_bytes()
    names = [before.format(k) + name for k, name in enumerate(("hw1-yan.zip", "hw1-yan-old.zip"))]
    files = {names[0]: {"hw1.ipynb": handout}, names[1]: {"hw1/hw1.ipynb": handout.replace(b"Error", b"Mistake")}}
    for name, content in files.items():
        put(tmp_path / "in" / name, packed(content))
    put(tmp_path / "in" / names[0].replace("hw1-yan", "weights"), packed({"made.smiley.safetensors": b"1"}))
    hw2 = (assignments.get("hw2").handout / "hw2.ipynb").read_bytes()
    put(tmp_path / "in" / names[0].replace("hw1-yan", "hw2-yan"), packed({"hw2.ipynb": hw2}))
    if before.startswith("yan/"):
        named(tmp_path / "in", "ada")
    one = downloads.find(tmp_path / "in", "hw1").chosen()[-1]
    with pytest.raises(
        CourseError, match=r"hw1-yan(-old)?\.zip and .*hw1-yan(-old)?\.zip both hold a notebook, and nothing"
    ):
        submissions.read(one, "hw1")
    put(tmp_path / "in" / names[1], packed({"hw1.ipynb": handout}))  # the same: it does not matter
    files, left_out = submissions.read(one, "hw1")
    assert not left_out
    assert {Path(n).name for n in files} == {"hw1.ipynb", "hw2.ipynb", "made.smiley.safetensors"}


def test_an_archive_beside_the_notebook_that_is_graded_is_not_called_graded(tmp_path):
    handout = (assignments.get("hw1").handout / "hw1.ipynb").read_bytes()
    for name, content in (("yan_18_1_hw1.ipynb", handout), ("yan_18_2_old.zip", packed({"hw1.ipynb": b"{}"}))):
        put(tmp_path / "in" / name, content)
    put(tmp_path / "in" / "yan_18_3_weights.zip", packed({"made.smiley.safetensors": b"1"}))
    assert _uses(tmp_path / "in") == {
        "yan_18_1_hw1.ipynb": "graded",
        "yan_18_2_old.zip": "left out: another notebook is graded",
        "yan_18_3_weights.zip": "graded",
    }
    (one,) = downloads.find(tmp_path / "in", "hw1").chosen()
    assert submissions.read(one, "hw1")[0]["hw1.ipynb"] == handout


def _uses(folder: Path) -> dict[str, str]:
    download = downloads.find(folder, "hw1")
    results = [batch.Graded(student) for student in download.attempts]
    arrivals.write(folder.with_suffix(".csv"), "hw1", download, download.chosen(), results)
    rows = csv.DictReader(io.StringIO(folder.with_suffix(".csv").read_text(encoding="utf-8")))
    return {r["file"]: r["use"] for r in rows}


def test_a_group_hands_in_once_and_each_member_is_graded(tmp_path):
    put(tmp_path / "Team A_17_assignsubmission_file_" / "hw1.ipynb", b"{}")
    put(tmp_path / "Cleo Smith_18_assignsubmission_file_" / "hw1.ipynb", b"{}")
    known = Roster([Student("ada", group="Team A"), Student("ben", group="team a"), Student("cleo", "Cleo Smith")])
    download = downloads.find(tmp_path, "hw1", known)
    assert list(download.attempts) == ["ada", "ben", "cleo"]
    assert download.attempts["ada"][0].path == download.attempts["ben"][0].path


def test_each_member_of_a_group_has_a_row_for_its_file(tmp_path):
    put(tmp_path / "in" / "Team A_17_assignsubmission_file_" / "hw1.ipynb", b"{}")
    put(tmp_path / "in" / "Team A_17_assignsubmission_onlinetext" / "onlinetext.html", b"hi")
    put(tmp_path / "in" / "Ben_19_assignsubmission_file_hw1.ipynb", b"{}")
    known = Roster([Student("ada", group="Team A"), Student("cleo", group="team a"), Student("ben", "Ben")])
    download = downloads.find(tmp_path / "in", "hw1", known)
    unread = batch.without_grade("cleo", "hw1", "no luck")
    arrivals.write(tmp_path / "files.csv", "hw1", download, download.chosen(), [unread])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "files.csv").read_text(encoding="utf-8"))))
    assert {(r["file"].split("_")[-1], r["student"], r["use"]) for r in rows} == {
        ("/hw1.ipynb", "ada", "graded"),
        ("/hw1.ipynb", "cleo", "not graded: no luck"),
        ("hw1.ipynb", "ben", "graded"),
        ("onlinetext/onlinetext.html", "ada", "entered at Moodle (onlinetext), no file"),
        ("onlinetext/onlinetext.html", "cleo", "entered at Moodle (onlinetext), no file"),
    }
    (said,) = downloads.notes(download)
    assert said.startswith("1 left aside (Team A_17_assignsubmission_onlinetext): entered at Moodle")


@pytest.mark.parametrize(
    "text",
    [
        "lovelaceada_40015_text.html",
        "lovelaceada_LATE_40015_text.html",
        "lovelaceada_40015_77_text.html",
        "lovelaceada_40015_link.html",
        "x_40015_text.html",
        "anon_ada_text.html",
        "Ada Lovelace_40015_assignsubmission_onlinetext/onlinetext.html",
        "Ada Lovelace_40015_assignsubmission_onlinetext_onlinetext.html",
    ],
)
def test_who_entered_a_text_has_not_handed_in_nothing(text, tmp_path):
    put(tmp_path / "in" / text, b"<p>please</p>")
    is_moodle = "assign" in text
    put(tmp_path / "in" / ("Ben Bo_2_assignsubmission_file_hw1.ipynb" if is_moodle else "boben_2_9_hw1.ipynb"), b"{}")
    lms = {"moodle_id" if is_moodle else "canvas_id": ("40015",)}
    known = Roster([Student("ada", "Ada Lovelace", lms=lms), Student("ben", "Ben Bo"), Student("cleo", "Cleo")])
    download = downloads.find(tmp_path / "in", "hw1", known)
    assert (list(download.attempts), download.missing, download.only_texts) == (["ben"], ["ada", "cleo"], ["ada"])
    assert downloads.notes(download)[1:] == ["handed in a text, no file: ada", "handed in nothing: cleo"]
    arrivals.write(tmp_path / "files.csv", "hw1", download, download.chosen(), [batch.Graded("ben")])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "files.csv").read_text(encoding="utf-8"))))
    assert [r["student"] for r in rows if r["file"] == text] == ["ada"]
    missing = {r["student"]: r["use"] for r in rows if not r["file"]}
    assert missing == {"ada": "handed in a text, no file", "cleo": "handed in nothing"}


def test_a_file_that_a_student_called_text_is_a_file(tmp_path):
    put(tmp_path / "lovelaceada_40015_77_my_text.html", b"")
    put(tmp_path / "lovelaceada_40015_79_x_40016_text.html", b"")
    put(tmp_path / "lovelaceada_40015_78_hw1.ipynb", b"{}")
    (one,) = downloads.find(tmp_path, "hw1").chosen()
    assert set(submissions.read(one, "hw1")[0]) == {"my_text.html", "x_40016_text.html", "hw1.ipynb"}


# ---- several classes side by side ----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["folder", "zip", "folder of zips", "zip of zips", "one more folder"])
@pytest.mark.parametrize("shapes", [(moodle, moodle), (canvas, canvas), (gradescope, gradescope), (blackboard, moodle)])
def test_sections_side_by_side_are_one_class(shapes, form, tmp_path):
    """Each student in one of two sections, as the platform gave each section."""
    whole = tmp_path / "whole"
    for section, shape in enumerate(shapes):
        shape(tmp_path / str(section))
        top = tmp_path / str(section)
        top = top / "assignment_77_export" if shape is gradescope else top
        for path in sorted(top.iterdir()):
            k = next(
                (k for k in range(30) if re.search(rf"(?<!\d)({number(k)}|{PEOPLE[k][0]})(?!\d)", path.name)), None
            )
            if k is None or (k < 15) == (section == 0):
                (whole / f"sec{section}").mkdir(parents=True, exist_ok=True)
                path.rename(whole / f"sec{section}" / path.name)
    if "zips" in form:
        for folder in sorted(whole.iterdir()):
            files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
            put(whole / f"{folder.name}.zip", packed(files))
            shutil.rmtree(folder)
    (tmp_path / "x").mkdir()
    path = around(whole.rename, tmp_path / "x", form if "zips" not in form else form.split()[0])
    download = downloads.find(path, "hw1", roster(), tmp_path / "scratch")
    assert sorted(download.attempts) == [student for student, _, _ in PEOPLE]
    for k, (student, _, _) in enumerate(PEOPLE):
        files, _ = submissions.read(download.attempts[student][-1], "hw1")
        assert {c for n, c in files.items() if not n.endswith(".txt")} == set(work(k).values()), student


def test_who_is_in_two_sections_and_a_class_beside_a_student_are_said(tmp_path):
    for section in ("sec1", "sec2"):
        put(tmp_path / "in" / section / "Ada_40000_assignsubmission_file_" / "hw1.ipynb", section.encode())
        put(tmp_path / "in" / section / f"Ben_{section[3]}_assignsubmission_file_" / "hw1.ipynb", b"{}")
    download = downloads.find(tmp_path / "in", "hw1")
    assert {s: bool(a[-1].problem) for s, a in download.attempts.items()} == {
        "Ada-40000": True,
        "Ben-1": False,
        "Ben-2": False,
    }
    assert download.attempts["Ada-40000"][0].problem.startswith("sec1/Ada_40000_assignsubmission_file_ and sec2/Ada")
    put(tmp_path / "in" / "eve" / "hw1.ipynb", b"{}")
    download = downloads.find(tmp_path / "in", "hw1")
    assert {s: a[0].problem[:5] for s, a in download.attempts.items()} == {"eve": "", "sec1": "sec1 ", "sec2": "sec2 "}
    assert "holds the submissions of several students" in download.attempts["sec1"][0].problem


SECTIONS = dict(
    a=("ada/hw1.ipynb", "bob/x.ipynb"), b=("cy.zip", "hw1-dan.zip"), c=("eve.ipynb", "students/fay/hw1.ipynb")
)


@pytest.mark.parametrize(("sections", "students"), [("ab", "ada bob cy dan"), ("abc", "ada bob cy dan eve students")])
def test_sections_of_plain_folders_are_one_class(sections, students, tmp_path):
    for section in sections:
        for name in SECTIONS[section]:
            put(tmp_path / "in" / f"Section {section}" / name, packed(work(0)) if name.endswith("zip") else b"{}")
    download = downloads.find(tmp_path / "in", "hw1")
    assert list(download.attempts) == students.split()
    assert not downloads.notes(download)
    assert all(r["use"] == "graded" for r in downloads.uses(download, download.chosen()))


@pytest.mark.parametrize("other", ["eve/hw1.ipynb", "eve.zip", "Section B/old/hw1.ipynb", "Section B/bob/hw1.ipynb"])
def test_a_folder_that_may_be_of_several_is_said(other, tmp_path):
    named(tmp_path / "in" / "Section A", "ada", "bob")
    put(tmp_path / "in" / other, packed(work(0)) if other.endswith(".zip") else b"{}")
    download = downloads.find(tmp_path / "in", "hw1")
    assert len(download.attempts) == 2
    assert downloads.notes(download) == [
        "Section A (ada, bob): graded as one student, by the notebook in one of these folders. If they are several "
        "students, give that folder to a run of its own"
    ]


def test_a_course_folder_is_no_download(tmp_path):
    put(tmp_path / "course.toml", b"")
    for name in ("release/hw1/hw1.ipynb", "source/hw1/hw1.ipynb", "bundles/hw1.zip", "download/ada/hw1.ipynb"):
        put(tmp_path / name, b"{}")
    with pytest.raises(CourseError, match="is a course folder, no download"):
        downloads.find(tmp_path, "hw1")
    assert list(downloads.find(tmp_path / "download", "hw1").attempts) == ["ada"]
    put(tmp_path / "submitted" / "ben" / "hw1" / "hw1.ipynb", b"{}")
    assert list(downloads.find(tmp_path, "hw1").attempts) == ["ben"]


# ---- who would be somebody else ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("eve_40001_5_ada_40000_6_hw1.ipynb", "eve-40001"),
        ("Eve Moss_40001_assignsubmission_file_Ada Lovelace_40000_assignsubmission_file_hw1.ipynb", "Eve Moss-40001"),
        ("hw1_eve_attempt_2026-10-01-10-00-00_hw1_ada_attempt_2026-10-02-10-00-00_hw1.ipynb", "eve"),
    ],
)
def test_a_students_file_name_makes_it_nobody_elses(name, whose, tmp_path):
    put(tmp_path / name, b"{}")
    assert list(downloads.find(tmp_path, "hw1").attempts) == [whose]


def test_a_students_archive_is_no_class_whatever_is_in_it(tmp_path):
    forged = {f"Ada Lovelace_{number(0)}_assignsubmission_file_/hw1.ipynb": b"forged", "submission_1/hw1.ipynb": b"x"}
    put(tmp_path / "eve.zip", packed(forged))
    put(tmp_path / "Ada Lovelace.zip", packed(work(0)))
    download = downloads.find(tmp_path, "hw1", roster(), tmp_path / "scratch")
    assert submissions.read(download.attempts["s000"][0], "hw1")[0] == work(0)
    assert download.strangers == ["eve"]


def test_what_two_of_the_roster_could_be_is_neither(tmp_path):
    twins = Roster(
        [Student("a", "Kim Lee", lms={"canvas_id": ("1",)}), Student("b", "Lee Kim", lms={"canvas_id": ("2",)})]
    )
    put(tmp_path / "kimlee_3_5_hw1.ipynb", b"{}")
    put(tmp_path / "kimlee_2_6_hw1.ipynb", b"{}")
    assert set(downloads.find(tmp_path, "hw1", twins).attempts) == {"b", "kimlee-3"}


def test_a_number_of_the_platform_is_no_id_of_the_course():
    known = Roster([Student("101", "Ada"), Student("102", "Ben")])
    assert known.student(Identity("ben-101", numbers=("101",), names=("Ben",)), "canvas").id == "102"


MOODLE_IDS = [
    Student("s1", "Ada Lovelace", lms={"moodle_id": ("101",)}),
    Student("s2", "Bob Smith", lms={"moodle_id": ("102",)}),
]


def test_a_number_that_contradicts_the_name_makes_nobody_somebody_else(tmp_path):
    named(tmp_path, "Ada Lovelace_102_assignsubmission_file_", "Bob Smith_103_assignsubmission_file_")
    named(tmp_path, "Eve Moss_101_assignsubmission_file_")
    download = downloads.find(tmp_path, "hw1", Roster(MOODLE_IDS))
    problems = {s: a[-1].problem for s, a in download.attempts.items()}
    assert problems.pop("s2") == ""
    assert problems["Ada Lovelace-102"].startswith(
        "Nobody can say whose it is: in the roster, the number 102 is s2, and the name Ada Lovelace is s1."
    )
    assert "the number 101 is s1, Ada Lovelace, and nobody is called Eve Moss" in problems["Eve Moss-101"]
    assert downloads.notes(download) == [
        "nobody can say whose, and not graded: Ada Lovelace-102, Eve Moss-101",
        "handed in nothing: s1",
    ]


@pytest.mark.parametrize("name", ["Lovelace, Ada King", "Ada", "lovelaceada", "ada lovelace k", "Adá  Lovelace"])
def test_a_number_counts_with_another_form_of_the_name(name, tmp_path):
    named(tmp_path, f"{name}_101_assignsubmission_file_")
    assert list(downloads.find(tmp_path, "hw1", Roster(MOODLE_IDS)).attempts) == ["s1"]


@pytest.mark.parametrize(
    ("name", "other"), [("李华", "李明"), ("明", "李华"), ("Al Bo", "Cy Bo"), ("E", "Ada Lovelace")]
)
def test_a_number_with_another_name_counts_for_nobody(name, other, tmp_path):
    named(tmp_path, f"{name}_101_assignsubmission_file_")
    known = Roster([Student("s1", other, lms={"moodle_id": ("101",)})])
    assert list(downloads.find(tmp_path, "hw1", known).attempts) == [f"{name}-101"]


def test_a_number_of_a_group_is_no_students(tmp_path):
    known = Roster(
        Student(student, name, group=group, lms={"moodle_id": (number,)})
        for student, name, group, number in (
            ("s1", "Ada", "Team A", "2"),
            ("s2", "Bob", "team a", "3"),
            ("s3", "Cleo", "Team B", "4"),
        )
    )
    named(tmp_path, "Team A_2_assignsubmission_file_", "Team B_3_assignsubmission_file_")
    download = downloads.find(tmp_path, "hw1", known)
    assert {s: a[0].path.name[:6] for s, a in download.attempts.items()} == {
        "s1": "Team A",
        "s2": "Team A",
        "s3": "Team B",
    }


@pytest.mark.parametrize(
    "names",
    [
        ("smithrob_7_5_hw1.ipynb", "smithbob_8_6_hw1.ipynb"),
        ("7001-7 - Rob S - May 18, 2025 1224 PM", "7001-8 - Bob Smith - May 19, 2025 1224 PM"),
        ("Smith_Bob_bs_7", "Smith_Bob_bsm_8"),
    ],
)
def test_two_people_of_a_platform_are_never_one_student(names, tmp_path):
    named(tmp_path, *names)
    known = Roster(
        [Student("s1", "Bob Smith", lms={"canvas_id": ("7",), "brightspace_id": ("7",)}), Student("s2", "Eve")]
    )
    (one,) = downloads.find(tmp_path, "hw1", known).attempts["s1"]
    assert "both lead to s1, and the platform has them as two people" in one.problem


@pytest.mark.parametrize("start", ["Homework 1_", "Homework_1_"])
@pytest.mark.parametrize("receipts", [0, 1, 3])
def test_a_login_may_have_underscores(start, receipts, tmp_path):
    logins = ("ada_smith", "bob_smith", "smith")
    for k, login in enumerate(logins):
        put(tmp_path / f"{start}{login}_attempt_2026-11-19-10-00-00_hw1.ipynb", b"{}")
        if k < receipts:
            put(tmp_path / f"{start}{login}_attempt_2026-11-19-10-00-00.txt", f"Name: A B ({login})".encode())
    for known in (None, Roster(map(Student, logins))):
        download = downloads.find(tmp_path, "hw1", known)
        assert list(download.attempts) == list(logins)
        assert all(len(mine) == 1 and not mine[0].problem for mine in download.attempts.values())


def test_a_login_of_which_nobody_knows_where_it_begins_is_nobody_elses(tmp_path):
    put(tmp_path / "Homework 1_ada_smith_attempt_2026-11-19-10-00-00_hw1.ipynb", b"{}")
    assert list(downloads.find(tmp_path, "hw1").attempts) == ["ada_smith"]
    assert list(downloads.find(tmp_path, "hw1", Roster([Student("smith")])).attempts) == ["smith"]
    two = Roster([Student("smith"), Student("ada_smith")])
    assert "ada_smith is ada_smith, and smith is smith" in downloads.find(tmp_path, "hw1", two).chosen()[0].problem


def test_an_id_and_a_name_that_are_of_two_are_said(tmp_path):
    named(tmp_path, "Lovelace_Ada_bob_17", "Smith_Bob_x_18")
    download = downloads.find(tmp_path, "hw1", Roster([Student("ada", "Ada Lovelace"), Student("bob", "Bob Smith")]))
    assert "bob is bob, and the name Ada Lovelace is ada" in download.attempts["bob"][0].problem


def test_ids_that_differ_in_punctuation_are_two(tmp_path):
    known = Roster([Student("a-b", email="a.b@x.org", lms={"login": ("a.b",)}), Student("ab", email="ab@x.org")])
    for who, student in (
        ("a-b", "a-b"),
        ("ab", "ab"),
        ("AB", "ab"),
        ("a.b@x.org", "a-b"),
        ("a.b", "a-b"),
        ("A-B", "a-b"),
    ):
        assert known.student(Identity(who)).id == student
    assert Roster([Student("a-b"), Student("ab")]).student(Identity("a_b")) is None
    put(tmp_path / "roster.csv", b"id,login,email,group\n1,a-b,a.b@x.org,T-1\n2,ab,ab@x.org,T1\n")
    known = Roster.read(tmp_path / "roster.csv")
    assert [s.id for s in known.members("T1")] == ["2"]
    assert known.members("t 1") == list(known.students)


def test_no_id_is_a_pattern(tmp_path):
    named(tmp_path, "ada[1]", "b*b?", "cleo")
    assert list(downloads.find(tmp_path, "hw1").attempts) == ["ada_1_", "b_b_", "cleo"]


# ---- what is never opened ------------------------------------------------------------------------------


@pytest.fixture
def hurry():
    """A test that waits for a pipe ends."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits, or reads without an end"))
    signal.alarm(30)
    yield
    signal.alarm(0)


def odd(path: Path, kind: str) -> None:
    """A pipe, a socket, or a link to what has no end, to a file, to a folder or to nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)  # a whole path would be too long
    else:
        path.symlink_to(kind)


ODD = ("pipe", "socket", "/dev/zero", "/etc/passwd", "/etc", "/nowhere")


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("eve.zip", "ben.ipynb"),
        ("eve.tar.gz", "ben.ipynb"),
        ("eve.ipynb", "ben.ipynb"),
        ("eve_33_905_hw1.ipynb", "ben_34_906_hw1.ipynb"),
        ("Eve Moss_33_assignsubmission_file_hw1.zip", "Ben Bo_34_assignsubmission_file_hw1.ipynb"),
        ("hw1_eve_attempt_2026-10-01-10-00-00_hw1.ipynb", "hw1_ben_attempt_2026-10-01-10-00-00_hw1.ipynb"),
        ("submitted/eve/hw1/hw1.ipynb", "submitted/ben/hw1/hw1.ipynb"),
        ("Moss_Eve_eve_33/20260101000000_hw1.ipynb", "Bo_Ben_ben_34/20260101000000_hw1.ipynb"),
    ],
)
def test_what_is_no_file_is_said_and_never_opened(name, others, kind, tmp_path, hurry):
    put(tmp_path / "in" / others, work(0)["hw1.ipynb"])
    odd(tmp_path / "in" / name, kind)
    download = downloads.find(tmp_path / "in", "hw1", None, tmp_path / "scratch")
    said = "a link to somewhere else" if kind.startswith("/") else "no ordinary file"
    results = []
    for one in download.chosen():
        try:
            files, left_out = submissions.read(one, "hw1")
        except CourseError as error:
            assert "eve" in one.student.lower()
            files, left_out = {}, [str(error)]
        assert bool(files) == ("ben" in one.student.lower())
        assert files or said in left_out[0]
        results.append(batch.Graded(one.student))
        if not files:
            results[-1] = batch.without_grade(one.student, "hw1", left_out[0])
    arrivals.write(tmp_path / "files.csv", "hw1", download, download.chosen(), results)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "files.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 2
    assert [said in r["use"] for r in rows] == ["eve" in r["file"].lower() for r in rows]
    assert "eve" in str(arrivals.table("hw1", download.chosen()).columns[0]._cells).lower()


@pytest.mark.parametrize("kind", ODD)
def test_what_a_platform_writes_is_never_opened_where_it_is_no_file(kind, tmp_path, hurry):
    before = "hw1_eve_attempt_2026-10-01-10-00-00"
    put(tmp_path / "b" / f"{before}_hw1.ipynb", b"{}")
    put(tmp_path / "g" / "submission_7" / "hw1.ipynb", b"{}")
    put(tmp_path / "n" / "submitted" / "eve" / "hw1" / "hw1.ipynb", b"{}")
    put(tmp_path / "p" / "eve.ipynb", b"{}")
    for name in (f"b/{before}.txt", "g/submission_metadata.yml", "n/submitted/eve/hw1/timestamp.txt", "p/notes.txt"):
        if kind != "/etc" or name.startswith("n"):  # a link to a folder may be a student's
            odd(tmp_path / name, kind)
    for folder, student in (("b", "eve"), ("g", "submission_7"), ("n", "eve"), ("p", "eve")):
        download = downloads.find(tmp_path / folder, "hw1")
        assert list(download.attempts) == [student]
        assert submissions.read(download.chosen()[0], "hw1")[0] == {"hw1.ipynb": b"{}"}
        rows = downloads.uses(download, download.chosen())
        if kind != "/etc" or folder == "n":
            said = "a link to somewhere else" if kind.startswith("/") else "no ordinary file"
            assert next(r["use"] for r in rows if r["file"].endswith((".txt", ".yml"))).endswith(said)
    with pytest.raises(CourseError, match=r"timestamp\.txt is (no ordinary file|a link to somewhere else)"):
        submissions.stamped(tmp_path / "n" / "submitted" / "eve" / "hw1" / "timestamp.txt")


def test_a_pipe_in_the_place_of_a_class_is_said(tmp_path, hurry):
    os.mkfifo(tmp_path / "class.zip")
    with pytest.raises(CourseError, match="There is no folder"):
        downloads.find(tmp_path / "class.zip", "hw1")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-10-01 23:30:00", "2026-10-01T23:30:00"),  # in the course's zone, which is not known here
        ("2026-10-01 23:30:00 UTC", "2026-10-01T23:30:00+00:00"),
        ("2026-10-01 23:30:00+02:00", "2026-10-01T23:30:00+02:00"),
    ],
)
def test_a_timestamp_without_a_zone_is_no_time_of_greenwich(written, read, tmp_path):
    put(tmp_path / "submitted" / "eve" / "hw1" / "hw1.ipynb", b"{}")
    put(tmp_path / "submitted" / "eve" / "hw1" / "timestamp.txt", written.encode())
    (one,) = downloads.find(tmp_path, "hw1").chosen()
    assert one.arrived.isoformat() == read


def test_a_timestamp_is_read_so_far_only(tmp_path):
    put(tmp_path / "timestamp.txt", b"")
    with (tmp_path / "timestamp.txt").open("wb") as file:
        file.truncate(2**33)  # that take no disk
    with pytest.raises(CourseError, match="which is no time"):
        submissions.stamped(tmp_path / "timestamp.txt")
    put(tmp_path / "timestamp.txt", b"6:5109999999999999999997999999999999999999")
    with pytest.raises(CourseError, match="which is no time"):
        submissions.stamped(tmp_path / "timestamp.txt")


# ---- archives ------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[dict[str, bytes], list[str]]:
    return submissions.read(Submission("ada", path), "hw1")


def test_a_tar_and_an_archive_in_a_folder_and_one_in_another_are_opened(tmp_path):
    put(tmp_path / "ada.tar.gz", tarred(work(0)))
    put(tmp_path / "in" / "homework.zip", packed(work(0)))
    put(tmp_path / "two.zip", packed({"mine/hw1.zip": packed(work(0))}))
    put(tmp_path / "weights" / "hw1.ipynb", work(0)["hw1.ipynb"])
    put(tmp_path / "weights" / "w.zip", packed({"artifacts/made.smiley.safetensors": b"weights 0"}))
    for path in sorted(tmp_path.iterdir()):
        files, left_out = read(path)
        assert {n.removeprefix("mine/"): c for n, c in files.items()} == work(0), path
        assert not left_out


def unflagged(files: dict[str, bytes], coding: str) -> bytes:
    """A zip with names in this coding, which does not say so; all in one coding have equal lengths in ASCII."""
    names = {name: f"{k:03d}".ljust(len(name.encode(coding)), "x") for k, name in enumerate(files)}
    content = packed({names[name]: content for name, content in files.items()})
    for name, plain in names.items():
        content = content.replace(plain.encode(), name.encode(coding))
    return content


def test_names_in_utf8_are_read_where_a_zip_does_not_say_that_they_are(tmp_path):
    folders = ("José Núñez", "e\u0301mile", "李 明", "Ольга", "plain", "O'Neill")
    put(tmp_path / "class.zip", unflagged({f"{name}/hw1.ipynb": name.encode() for name in folders}, "utf-8"))
    download = downloads.find(tmp_path / "class.zip", "hw1", None, tmp_path / "scratch")
    assert set(download.attempts) == {"José Núñez", "émile", "李 明", "Ольга", "plain", "O'Neill"}
    assert submissions.read(download.attempts["émile"][0], "hw1")[0] == {"hw1.ipynb": "e\u0301mile".encode()}
    for coding in ("cp437", "utf-8"):
        put(tmp_path / "ada.zip", unflagged({"é/hw1.ipynb": b"1", "ñü.txt": b"2", "xyz": b"3"}, coding))
        assert read(tmp_path / "ada.zip")[0] == {"é/hw1.ipynb": b"1", "ñü.txt": b"2", "xyz": b"3"}
    put(tmp_path / "ada.zip", packed({"├⌐/hw1.ipynb": b"1"}))  # which says that it is UTF-8
    assert read(tmp_path / "ada.zip")[0] == {"├⌐/hw1.ipynb": b"1"}
    put(tmp_path / "ada.zip", unflagged({"é/../../hw1.ipynb": b"1"}, "utf-8"))
    with pytest.raises(CourseError, match="outside its own folder"):
        read(tmp_path / "ada.zip")


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar", ".ipynb"])
def test_an_empty_file_is_called_empty_and_no_message_has_what_a_terminal_obeys(ending, tmp_path):
    put(tmp_path / f"e\x1b[31mve{ending}", b"")
    with pytest.raises(CourseError, match="is empty") as error:
        normalise.notebook_of(read(tmp_path / f"e\x1b[31mve{ending}")[0], "hw1", NOTEBOOK)
    assert str(error.value).isprintable()
    put(tmp_path / f"e\x1b[31mve{ending}", b"no such thing")
    with pytest.raises(CourseError, match="is no") as error:
        normalise.notebook_of(read(tmp_path / f"e\x1b[31mve{ending}")[0], "hw1", NOTEBOOK)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", ["ada.rar", "ada.7z", "ada.tar.xz"])
def test_what_is_not_opened_here_says_what_to_do(name, tmp_path):
    put(tmp_path / name, b"Rar!")
    assert list(downloads.find(tmp_path, "hw1").attempts) == ["ada"]
    with pytest.raises(CourseError, match=r"not opened here: ask the student for a \.zip, or unpack it"):
        read(tmp_path / name)


def test_a_tar_that_is_made_to_do_harm_is_refused_or_left_out(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "ada.tar.gz", "w:gz") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("hw1.ipynb")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
    assert read(tmp_path / "ada.tar.gz") == (
        {"hw1.ipynb": b"{}"},
        [f"{n}: a link or a device" for n in ("link", "hard", "pipe")],
    )
    put(tmp_path / "ada.tar.gz", tarred({"../x": b""}))
    with pytest.raises(CourseError, match="outside its own folder"):
        read(tmp_path / "ada.tar.gz")
    put(tmp_path / "ada.tar.gz", tarred(work(0))[:-30])
    with pytest.raises(CourseError, match="no readable tar file"):
        read(tmp_path / "ada.tar.gz")
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    put(tmp_path / "ada.tar.gz", tarred({f"{k}": b"" for k in range(9)}))
    with pytest.raises(CourseError, match="lists far more than"):
        read(tmp_path / "ada.tar.gz")


def test_a_tar_that_unpacks_to_far_too_much_takes_no_memory(tmp_path):
    stream = io.BytesIO()
    huge = tarfile.TarInfo("x")
    huge.size = archives.MOST_BYTES + 10 * 2**20
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.addfile(huge, io.BytesIO(bytes(huge.size)))
    put(tmp_path / "ada.tar.gz", stream.getvalue())
    with pytest.raises(CourseError, match="unpacks to more than 200 MB"):
        read(tmp_path / "ada.tar.gz")
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**26
    stream = io.BytesIO(header.tobuf() + bytes(2**26))
    put(tmp_path / "ada.tar", stream.getvalue())
    with pytest.raises(CourseError, match="no readable tar file"):
        read(tmp_path / "ada.tar")


# ---- what is wrong is said -----------------------------------------------------------------------------


def test_a_submission_in_the_place_of_a_class_is_said(tmp_path):
    for name, content in work(0).items():
        put(tmp_path / "ada" / name, content)
    with pytest.raises(CourseError, match="is one submission, not a class"):
        downloads.find(tmp_path / "ada", "hw1")
    assert list(downloads.find(tmp_path, "hw1").attempts) == ["ada"]
    put(tmp_path / "ben.zip", packed(work(1)))
    assert list(downloads.find(tmp_path / "ben.zip", "hw1").attempts) == ["ben"]


def test_a_class_of_one_with_more_in_the_folder_is_one_student(tmp_path):
    put(tmp_path / "late" / "ada" / "hw1" / "hw1.ipynb", b"{}")
    put(tmp_path / "late" / "ada" / "old" / "hw1.ipynb", b"{}")
    assert list(downloads.find(tmp_path / "late", "hw1").attempts) == ["ada"]


@pytest.mark.parametrize(
    ("names", "student"),
    [
        (("ada/hw1.ipynb", "ada.ipynb"), "ada"),
        (("ada/hw1.ipynb", "hw1-ada.zip", "ada.ipynb"), "ada"),
        (("K/hw1.ipynb", "\u212a.ipynb"), "K"),
        (("e\u0301ve/hw1.ipynb", "\u00e9ve/hw1.ipynb"), "\u00e9ve"),
        (("x\x1b[31m\n/hw1.ipynb", "x[31m.ipynb"), "x_31m"),
        (("hw1_eve_attempt_2026-10-01-10-00-00_hw1.ipynb", "eve.ipynb"), "eve"),
    ],
)
def test_two_things_of_one_student_cost_nobody_else_a_grade(names, student, tmp_path):
    for name in (*names, "ben/hw1.ipynb"):
        put(tmp_path / name, b"{}")
    if "attempt" in names[0]:
        put(tmp_path / "hw1_moss_attempt_2026-10-01-10-00-00_hw1.ipynb", b"{}")
    download = downloads.find(tmp_path, "hw1")
    said = f"belong to {student}, and nothing says which is the later one: keep one of them"
    for one in download.chosen():
        if one.student != student:
            assert read(one.path)[0]
            continue
        with pytest.raises(CourseError) as error:
            submissions.read(one, "hw1")
        assert said in str(error.value)
        assert str(error.value).isprintable()
    unread = [batch.without_grade(student, "hw1", f"The submission could not be read: {error.value}")]
    arrivals.write(tmp_path.with_suffix(".csv"), "hw1", download, download.chosen(), unread)
    rows = list(csv.DictReader(io.StringIO(tmp_path.with_suffix(".csv").read_text(encoding="utf-8"))))
    of_student = [r["use"] for r in rows if r["student"] == student]
    assert len(of_student) == len(names)
    assert all(said in use for use in of_student)
    assert {r["use"] for r in rows if r["student"] == "ben"} == {"graded"}


@pytest.mark.parametrize("form", ["folder", "one more folder", "zip", "tar"])
def test_hidden_work_is_no_rubbish(form, tmp_path):
    def shape(root: Path) -> None:
        for name in (
            ".bob/hw1.ipynb",
            "..x/hw1/hw1.ipynb",
            ".cleo.zip",
            ".dan.ipynb",
            "ada/hw1.ipynb",
            "eve/hw1.ipynb",
        ):
            put(root / name, b"{}")
        for name in (".ipynb_checkpoints/hw1.ipynb", ".Trashes/hw1.zip", "._eve.ipynb", ".idea/x.txt"):
            put(root / name, b"")

    download = downloads.find(around(shape, tmp_path, form), "hw1", None, tmp_path / "scratch")
    assert list(download.attempts) == ["ada", "eve"]
    (said,) = downloads.notes(download)
    assert said.startswith("4 left aside (..x, .bob, .cleo.zip, …): its name begins with a dot: rename it, if")
    rows = {r["file"]: r["use"] for r in downloads.uses(download, download.chosen())}
    assert rows[".bob/hw1.ipynb"] == rows["..x/hw1/hw1.ipynb"] == rows[".dan.ipynb"] == downloads.HIDDEN
    assert rows[".idea/x.txt"] == rows[".Trashes/hw1.zip"] == "left behind by an operating system"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({".old/hw1.ipynb": b"{}"}, r"left out: \.old/hw1\.ipynb: a name in it begins with a dot\."),
        ({"a.zip": packed({"b.zip": packed({"hw1.ipynb": b"{}"})})}, "left out: b.zip: nested too deep to be opened"),
        ({"x/a.zip": packed({"b.tar.gz": tarred({"c.zip": b""})})}, "left out: x/b.tar.gz: nested too deep"),
        ({"a.zip": b""}, r"a\.zip is empty"),
        ({"a.zip": b"", "b.zip": packed({})}, r"left out: a\.zip: a\.zip is empty"),
        ({"hw1.ipynb": b" "}, r"hw1\.ipynb is empty"),
        ({"hw1.ipynb": bytes(submissions.MOST_FILE + 1)}, r"left out: hw1\.ipynb: it has 64 MB"),
        ({}, r"\(looked for hw1\.ipynb\): it is empty\."),
        ({"notes.txt": b""}, r"\(looked for hw1\.ipynb\)\."),
    ],
)
def test_why_there_is_no_notebook_is_said(files, said, tmp_path):
    (tmp_path / "ada").mkdir()
    for name, content in files.items():
        put(tmp_path / "ada" / name, content)
    for put_together in (lambda: read(tmp_path / "ada"), lambda: read(tmp_path / "ada.zip")):
        with pytest.raises(CourseError, match=said):
            normalise.normalise(*_swapped(put_together()))
        with pytest.raises(CourseError, match=said):
            normalise.notebook_of(*_swapped(put_together()))
        put(tmp_path / "ada.zip", packed(files))
        if "x/a.zip" in files or "a.zip" in files:
            break


def _swapped(came: tuple) -> tuple:
    return came[0], "hw1", NOTEBOOK, came[1]


@pytest.mark.parametrize("kind", ["pipe", "/etc/passwd"])
def test_the_only_notebook_that_is_none_is_named(kind, tmp_path):
    odd(tmp_path / "ada" / "hw1.ipynb", kind)
    odd(tmp_path / "ada" / "a.txt", kind)
    put(tmp_path / "ada" / "b.txt", b"")
    said = "a link to somewhere else" if kind.startswith("/") else "no ordinary file"
    with pytest.raises(CourseError, match=rf"looked for hw1\.ipynb\); left out: hw1\.ipynb: {said}; a\.txt: {said}\."):
        normalise.normalise(*_swapped(read(tmp_path / "ada")))


def test_of_two_things_the_one_with_a_number_is_later(tmp_path):
    put(tmp_path / "ada" / "hw1.ipynb", b"{}")
    put(tmp_path / "ada (1).zip", packed(work(0)))
    download = downloads.find(tmp_path, "hw1")
    assert [one.path.name for one in download.attempts["ada"]] == ["ada", "ada (1).zip"]
    put(tmp_path / "ada.ipynb", b"{}")  # of the first two nobody knows; the last is the last
    first, last = downloads.find(tmp_path, "hw1").attempts["ada"]
    assert (bool(first.problem), bool(last.problem)) == (True, False)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name,email\nAda,a@b.c\n", "has no column `id`"),
        ("id,name\nada,A\nada,B\n", "line 3: the id ada stands there"),
        ("id,name\n,A\n", "line 2: there is no id"),
        ("id\n", "a header and no students"),
        ("id,name,name\na,b,c\n", "two columns"),
        ("id\nada\nADA\n", "line 3: the id ada stands there twice"),
        ("id\n\u00e9\ne\u0301\n", "line 3: the id é stands there twice"),
        ("id\na/b\na_b\n", "line 3: the id a_b stands there twice"),
        ('id,name\n"ada,A\nben,B\n', "line 2: this is no table"),
        ('id,name,email\nada,A,\nben,"Bo, B,b@x.org\ncleo,C,\n', r'line 3: this is no table .* Is a " not closed'),
        ('id,name,email\nada,"A,a@x.org\nben,B"\ncleo,C,\n', "a cell goes over lines, with others in it"),
        ('id,name\n"ada\nben",B\n', "goes over lines"),
        ("id,name,email\nada,Lovelace, Ada,a@x.org\n", "line 2: 4 cells, and the header has 3. Is a comma in a name"),
        ("id;name\nada;A\nben;B;;b@x.org\n", "line 3: 4 cells, and the header has 2"),
        ("id,canvas_id\nada,17\nben,18\ncleo,17\n", "the canvas_id 17 is that of ada and cleo"),
        ("id,login\nada,x\nben,X\n", "the login x is that of ada and ben"),
        ("id,email\nada,a@x.org\nben,b@x.org\ncleo,A@x.org\n", "e-mail address a@x.org is that of ada and cleo"),
        ("id,canvas_id\nada,17\nben,17.0\n", "the canvas_id 17 is that of ada and ben"),
        ("id\n40001\n40001.0\n", "line 3: the id 40001 stands there twice"),
        ("id,extention\nada,3 days\n", "a column extention, which nothing reads. Is it to be extension"),
        ("id,extensions\nada,3 days\n", "a column extensions, which nothing reads. Is it to be extension"),
        ("id,extention_hw1\nada,3 days\n", "a column extention_hw1, which nothing reads"),
        ("id,hw1 extension\nada,3 days\n", "a column hw1_extension, which nothing reads"),
        ("id,extnesion\nada,3 days\n", "a column extnesion, which nothing reads"),
        ("id,grup\nada,A\n", "a column grup, which nothing reads. Is it to be group"),
        ("id,emial\nada,a@x.org\n", "a column emial, which nothing reads. Is it to be email"),
        (f'id,name\n"{"x" * 140_000}\n', "line 2: this is no table"),
    ],
)
def test_a_roster_that_is_not_in_order_is_said(text, match, tmp_path):
    put(tmp_path / "roster.csv", text.encode())
    with pytest.raises(CourseError, match=match):
        Roster.read(tmp_path / "roster.csv")
    put(tmp_path / "roster.csv", "id,name\n1,José".encode("latin-1"))
    with pytest.raises(CourseError, match="save it as “CSV UTF-8”"):
        Roster.read(tmp_path / "roster.csv")


@pytest.mark.parametrize(
    "text",
    [
        "id,name,email\nada\nben,B,b@x.org,,,\n",  # cells that a spreadsheet left out, or put behind
        "id,name,\nada,A,seen\n",
        'id,notes\nada,"late,\nonce"\n',
        "id,section_id,user_role\nada,1,student\nben,1,student\ncleo,2,student\n",
        "id,login\nada,n/a\nben,n/a\ncleo,-\ndan,-\n",
        "id,email,email_2,groups,seat,hand\nada,a@x.org,ada@y.org,A B,4,left\n",
        "id,Student Name,extension,extension_hw1\nada,Ada,3 days,\n",
        'id,name\nada,Ada "the first" L\n',
    ],
)
def test_a_roster_may_be_as_spreadsheets_and_platforms_write_it(text, tmp_path):
    put(tmp_path / "roster.csv", text.encode())
    assert Roster.read(tmp_path / "roster.csv").students[0].id == "ada"


def test_a_number_that_a_spreadsheet_took_for_a_decimal_is_the_number(tmp_path):
    put(tmp_path / "roster.csv", b"id,canvas_id\n40001.0,17.0\nb.0,x\n")
    known = Roster.read(tmp_path / "roster.csv")
    assert [s.id for s in known.students] == ["40001", "b.0"]
    for who in (Identity("40001"), Identity("40001.0"), Identity("", numbers=("17",)), Identity("", ids=("17.0",))):
        assert known.student(who, "canvas").id == "40001"
    assert known.student(Identity("400010")) is None


def test_an_id_of_the_roster_is_written_as_files_are_called_after_it(tmp_path):
    put(tmp_path / "roster.csv", "sep=;\r\n\r\nid;name\r\na/b;Ada\r\ne\u0301mile;Émile\r\n".encode())
    known = Roster.read(tmp_path / "roster.csv")
    assert [s.id for s in known.students] == ["a_b", "émile"]
    assert known.student(Identity("a/b")).id == "a_b"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_roster_is_read_as_a_spreadsheet_writes_it(separator, tmp_path):
    lines = [
        "ID First-Name Last_name E-Mail Group Canvas-ID Seat",
        "ada Ada Lovelace ada@x.org A 17 4",
        "ben Ben Bo b@x.org B 18 5",
    ]
    text = "\r\n".join(line.replace(" ", separator) for line in lines)
    put(tmp_path / "roster.csv", text.encode("utf-8-sig"))
    known = Roster.read(tmp_path / "roster.csv")
    assert known.students[0] == Student("ada", "Ada Lovelace", "ada@x.org", "A", "", {"canvas_id": ("17",)})
    for who in (
        Identity("", numbers=("17",)),
        Identity("", names=("lovelaceada",)),
        Identity("ADA@x.org"),
        Identity("ada"),
    ):
        assert known.student(who, "canvas").id == "ada"
    assert known.student(Identity("4", numbers=("4",))) is None


def test_a_course_has_a_place_to_unpack(tmp_path):
    path = around(moodle, tmp_path, "zip")
    course = Course.at(tmp_path / "course")
    scratch = course.root / ".deepul" / "downloads" / "hw1"
    before = downloads.find(path, "hw1", None, scratch).chosen()
    (before[0].path / "mark").touch()
    assert (downloads.find(path, "hw1", None, scratch).chosen()[0].path / "mark").exists()  # not unpacked again
    put(path, path.read_bytes() + b"\0")
    assert not (downloads.find(path, "hw1", None, scratch).chosen()[0].path / "mark").exists()


def test_a_dry_run_says_what_would_be_graded_and_how_long_it_trains(tmp_path, capsys):
    from rich.console import Console

    handed_in = {name: (ROOT / "homeworks" / name / f"{name}.ipynb").read_bytes() for name in ("hw1", "hw2")}
    filled = handed_in["hw1"].replace(b"raise NotImplementedError(", b"return str(")
    put(tmp_path / "blank" / "hw1.ipynb", handed_in["hw1"])
    put(tmp_path / "filled" / "hw1.ipynb", filled)
    put(tmp_path / "filled" / "made.moons.safetensors", b"")
    put(tmp_path / "other" / "hw2.ipynb", handed_in["hw2"])
    put(tmp_path / "empty" / "notes.txt", b"")
    put(tmp_path / "rar.rar", b"")
    table = arrivals.table("hw1", downloads.find(tmp_path, "hw1").chosen())
    Console(width=300).print(table)
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert said["blank"].split() == ["blank", "hw1.ipynb"]
    assert "logistic_mixture and 2 more" in said["filled"]
    assert said["filled"].split()[-1] == "s"
    assert "hw2.ipynb is hw2, handed in as hw1" in said["other"]
    assert "no notebook in it" in said["empty"]
    assert "not opened here" in said["rar"]


# ---- names that anybody may have chosen ----------------------------------------------------------------

DIGITS = ("0", "9" * 4, "2027", "13", "9" * 60, "٢٠٢٧", "２０", "²", "००", "-1", "1e9", "")
PIECES = (
    *("eve_33_905_", "eve_LATE_33_905_", "anon_x1_33_905_", "Eve_33_assignsubmission_file_", "Participant_33"),
    *("hw1_eve_attempt_", "2027-02-30-10-00-00", "2027-13-41-99-00-00", "0000-00-00-00-00-00", "_hw1.ipynb", ".txt"),
    *("7001-33 - Eve Moss - ", "May 18, 2025 1224 PM", "May 99, 9999 9999 PM", " - ", "submission_", "_", "-", "."),
    *("Moss_Eve_eve_33", "20279999999999_", "20270101101010_", "hw1-", " (1)", " (999)", ".zip", "-1.tar.gz", "\n"),
)


def odd_names(count: int) -> list[str]:
    """Names that are made of what platforms write, with digits that are no numbers or no times."""
    chance = random.Random(1)
    names = set()
    while len(names) < count:
        name = "".join(chance.choice(chance.choice((PIECES, PIECES, DIGITS))) for _ in range(chance.randrange(1, 6)))
        for digits in re.findall(r"\d+", name):
            name = name.replace(digits, chance.choice(DIGITS), 1) if chance.random() < 0.2 else name
        if name.strip(".") and len(name.encode()) < 200:
            names.add(name)
    return sorted(names)


def test_no_name_stops_a_class(tmp_path):
    """Of a file or a folder, alone and beside others, and of a file in a folder."""
    for number, name in enumerate(odd_names(250)):
        put(tmp_path / "files" / name, b"{}")
        put(tmp_path / "folders" / name / "hw1.ipynb", b"{}")
        put(tmp_path / "alone" / str(number) / name / name, b"{}")
        put(tmp_path / "in" / f"Moss_Eve_eve_{number}" / name, b"{}")
    for folder in (tmp_path / "files", tmp_path / "folders", tmp_path / "in"):
        listing = sorted(folder.iterdir())
        for platform, reader in downloads.READERS.items():
            assert isinstance(reader(listing, "hw1"), dict), platform
        download = downloads.find(folder, "hw1", roster())
        assert len(downloads.uses(download, download.chosen())) == len(listing)
        assert downloads.notes(download) is not None
    for folder in (tmp_path / "alone").iterdir():
        with contextlib.suppress(CourseError):
            downloads.find(folder, "hw1")


def test_a_name_that_holds_no_time_is_none_of_blackboards(tmp_path):
    put(tmp_path / "moss_33_904_hw1.ipynb", b"{}")
    put(tmp_path / "eve_33_905_hw1_x_attempt_2027-13-41-99-00-00_hw1.ipynb", b"{}")
    put(tmp_path / "eve_34_906_hw1_x_attempt_2027-02-30-10-00-00.txt", b"Name: Ada (ada)")
    assert list(downloads.find(tmp_path, "hw1").attempts) == ["eve-33", "eve-34", "moss-33"]
