"""Assignments are found by their folders, whatever they are called and however they are numbered."""

import pytest

from autograder import assignments, sources
from autograder.assignments import ROOT, AssignmentError
from autograder.grading import cache, worth

TABLE = """
title = "{name} of the course"
order = {order}

[[exercises]]
name = "{name}_task"
number = "{number}"
title = "A task"
difficulty = 2
thinking = 45
training = 0.4
written = [2, 1.5]
"""


BEGUN = 'title = "A"\norder = 1\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A course of its own: write(name, order, number) adds an assignment."""
    monkeypatch.setattr(assignments, "FOLDER", tmp_path)
    monkeypatch.setattr(assignments, "ROOT", tmp_path)
    assignments.every.cache_clear()

    def write(name: str, order: float = 1, number: str = "1.1", text: str = TABLE) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "assignment.toml").write_text(text.format(name=name, order=order, number=number))
        assignments.every.cache_clear()

    yield write
    assignments.every.cache_clear()


def test_they_stand_in_their_order_and_those_of_one_order_by_their_names(folder):
    for name, order in (("hw10", 1), ("hw2", 1), ("nice", 100), ("Biva", 100), ("vqvae2", 100), ("intro", 0.5)):
        folder(name, order)
    assert assignments.names() == ["intro", "hw2", "hw10", "Biva", "nice", "vqvae2"]
    assert assignments.get("hw10").exercises[0].test_file.name == "test_hw10_task.py"
    assert assignments.get_exercise("nice_task.moons").assignment.name == "nice"


@pytest.mark.parametrize("number", ["1", "1.2", "12", "E7.1", "E12", "7.1.2"])
def test_any_numbering_goes(folder, number):
    folder("one", number=number)
    assert str(assignments.get_exercise("one_task")) == f"Exercise {number}"


@pytest.mark.parametrize("number", ["", "one", "1.", "E", "1 2", "e7", "../1"])
def test_what_is_no_number_is_said(folder, number):
    folder("one", number=number)
    with pytest.raises(AssignmentError, match=r"one/assignment\.toml, exercise 1: the number .* is not like 1\.2"):
        assignments.every()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("order = 1", "needs title = …, a text"),
        ('title = "A"\norder = "first"', "needs order = …, a number"),
        ('title = "A"\norder = 1', r"needs exercises = …, a list of \[\[exercises\]\]"),
        (
            'title = "A"\norder = 1\n[[exercises]]\nname = "a"\nnumber = "1"',
            'exercise 1 needs title = "…"',
        ),
        (
            'title = "A"\norder = 1\n[[exercises]]\nname = "a b"\nnumber = "1"\ntitle = "t"',
            "the name 'a b'",
        ),
        ("title = ", "cannot be read"),
        ("title = '\udcff'", "cannot be read"),
    ],
)
def test_a_table_that_is_not_in_order_is_said(folder, tmp_path, text, said):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "assignment.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assignments.every.cache_clear()
    with pytest.raises(AssignmentError, match=rf"one/assignment\.toml.*{said}"):
        assignments.every()


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("difficulty = 2\n", "", "needs difficulty = …, 1, 2 or 3"),
        ("difficulty = 2", "difficulty = 4", "needs difficulty = …, 1, 2 or 3"),
        ("difficulty = 2", "difficulty = true", "needs difficulty = …, 1, 2 or 3"),
        ("thinking = 45", 'thinking = "long"', "needs thinking = …, a number of minutes"),
        ("training = 0.4", "training = -1", "needs training = …, a number of minutes"),
        ("training = 0.4", "training = inf", "needs training = …, a number of minutes"),
        ("written = [2, 1.5]", "written = 2", "needs written = …, a list of the points"),
        ("written = [2, 1.5]", "written = [0]", "needs written = …, a list of the points"),
        ("written = [2, 1.5]", 'written = ["2"]', "needs written = …, a list of the points"),
    ],
)
def test_what_an_exercise_has_besides_is_looked_over(folder, line, instead, said):
    assert line in TABLE
    folder("one", text=TABLE.replace(line, instead))
    with pytest.raises(AssignmentError, match=rf"one/assignment\.toml, exercise 1 {said}"):
        assignments.every()


def test_written_questions_are_numbered_by_their_exercise(folder):
    folder("one")
    questions = assignments.get("one").questions
    assert [q.id for q in questions] == ["answer-one_task", "answer-one_task-2"]
    assert [str(q) for q in questions] == ["Question 1.1a", "Question 1.1b"]
    assert [q.points for q in questions] == [2, 1.5]
    assert len({q.placeholder for q in questions}) == 2
    folder("two", text=TABLE.replace("written = [2, 1.5]", ""))
    assert assignments.get("two").questions == ()
    folder("three", text=TABLE.replace("[2, 1.5]", "[2]"), number="3")
    assert [q.number for q in assignments.get("three").questions] == ["3"]
    assert assignments.get("three").minutes == 1


def test_two_that_share_an_exercise_and_names_that_are_no_modules_are_said(folder):
    folder("one", text=TABLE.replace("{name}_task", "task"))
    folder("two", text=TABLE.replace("{name}_task", "task"))
    with pytest.raises(AssignmentError, match="one and two both have an exercise called task"):
        assignments.every()
    folder("my-homework")
    with pytest.raises(AssignmentError, match="must be called by letters, digits and _ only"):
        assignments.every()


def test_what_is_not_there_is_said_with_what_is(folder):
    folder("one")
    with pytest.raises(ValueError, match=r"There is no assignment called 'two'\. Assignments: one\."):
        assignments.get("two")
    with pytest.raises(ValueError, match=r"no exercise called 'one_taks'\. Did you mean 'one_task'\?"):
        assignments.get_exercise("one_taks")
    folder("two")
    with pytest.raises(ValueError, match="two_task is an exercise of two, not of one"):
        assignments.get("one").chosen("two_task")


def test_a_grade_rests_on_its_own_assignment_and_on_no_other(monkeypatch):
    read: list[str] = []
    for module in (sources, worth):
        monkeypatch.setattr(module, "digest", lambda file: read.append(file.relative_to(ROOT).as_posix()) or b"")
    cache.kit_version.cache_clear()
    cache.kit_version("hw1")
    cache.kit_version.cache_clear()
    assert {
        "autograder/assignments/hw1/test_made.py",
        "autograder/families/autoregressive.py",
        "data/glyphs.png",
        "autograder/properties/weights.py",
        "autograder/grading/zygote.py",
    } <= set(read)
    others = (
        "autograder/assignments/hw2",
        "autograder/assignments/nice",
        "autograder/families/games.py",
        "autograder/proof",
        "deepul_utils/plots",
        "solutions",
    )
    assert not [name for name in read if name.startswith(others)]


def test_a_grade_rests_on_the_parts_of_the_library_that_its_notebook_names():
    def files(code: str) -> set[str]:
        notebook = {"cells": [{"cell_type": "code", "source": code}]}
        return {f.relative_to(ROOT).as_posix() for f in cache._library(notebook)}

    assert "deepul_utils/toy/mixture.py" in files("from deepul_utils import toy")
    assert not [f for f in files("from deepul_utils import toy") if "training" in f or "images" in f]
    assert "deepul_utils/training/loops.py" in files("from deepul_utils import training")
