"""The table of models: from the assignments' own data, in the README and in `deepul list`."""

import pytest
from typer.testing import CliRunner

from autograder import assignments, cli, runner
from autograder.assignments import ROOT, AssignmentError
from autograder.proof import models

ONE = """
title = "One"
order = 1

[[exercises]]
name = "one"
number = "1"
title = "One"
difficulty = 1
thinking = 1
training = 1

[exercises.model]
name = "a model"
paper = "Somebody 2020"
arxiv = "2001.00001"
data = "moons"
shows = "what it shows"
"""
REFERENCE = {"mean": 0.01234, "sd": 0.001, "unit": "nats above the limit", "limit": 2.5, "seconds": 10.0}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A course of one assignment: write(text, reference) makes it."""
    monkeypatch.setattr(assignments, "FOLDER", tmp_path)
    monkeypatch.setattr(assignments, "ROOT", tmp_path)
    known: dict = {}
    monkeypatch.setattr(runner, "references", lambda name: known)

    def write(text: str = ONE, **references) -> None:
        (tmp_path / "one").mkdir(exist_ok=True)
        (tmp_path / "one" / "assignment.toml").write_text(text, encoding="utf-8")
        known.update(references)
        assignments.every.cache_clear()
        assignments._read.cache_clear()

    yield write
    assignments.every.cache_clear()
    assignments._read.cache_clear()


def test_readme_has_the_table():
    assert models.table() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_core_exercise_and_extension_has_a_row():
    """Of the assignments that stand for all; each other one has as many as it names."""
    listed = {r.exercise.name for r in models.rows()}
    wanted = {
        e.name
        for a in assignments.every()
        for e in a.exercises
        if a.name in ("hw1", "hw2", "hw3", "hw4", "hw5", "nice")
    }
    assert wanted <= listed


def test_the_command_shows_every_model():
    shown = CliRunner().invoke(cli.app, ["list"])
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.output.splitlines())) <= 90  # and no word is cut off
    for row in models.rows():
        assert row.model in shown.output
        assert row.loss in shown.output


def test_a_row_is_made_of_the_assignment_and_its_reference(folder):
    folder(**{"one": REFERENCE, "one.other": REFERENCE | {"seconds": 5.4}, "other": REFERENCE})
    assert models.table().splitlines()[2] == (
        "| a model | [Somebody 2020](https://arxiv.org/abs/2001.00001) | one, 1 | moons | 0.012 above 2.500 nats | 15 "
        "| what it shows |"
    )
    folder(
        ONE.replace('arxiv = "2001.00001"\n', ""), one=REFERENCE | {"limit": None, "unit": "bits/dim", "seconds": 0.3}
    )
    assert "| Somebody 2020 | one, 1 | moons | 0.0123 bits/dim | 6 |" in models.table()


def test_what_is_not_calibrated_and_what_has_no_row(folder):
    folder()
    assert "| not trained yet |  |" in models.table()
    folder(ONE[: ONE.index("[exercises.model]")])
    assert models.rows() == []


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ('paper = "Somebody 2020"\n', "", r'needs paper = "…" in its \[exercises\.model\]'),
        ('shows = "what it shows"', "shows = 3", r'needs shows = "…" in its \[exercises\.model\]'),
        ('data = "moons"', 'data = ""', r'needs data = "…" in its \[exercises\.model\]'),
        ('arxiv = "2001.00001"', 'arxive = "2001.00001"', r"has arxive in its \[exercises\.model\]"),
        ("[exercises.model]\n", "model = 3\n[exercises.other]\n", r'needs name = "…" in its \[exercises\.model\]'),
    ],
)
def test_a_row_that_is_not_whole_is_said(folder, line, instead, said):
    assert line in ONE
    folder(ONE.replace(line, instead))
    with pytest.raises(AssignmentError, match=f"exercise 1 {said}"):
        assert assignments.every()[0].exercises
