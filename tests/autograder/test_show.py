"""`deepul show`: the very check of the grade, with the student's code at the line."""

import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from autograder import assignments, cli, demo
from autograder.course import Course, CourseError
from autograder.grading import again, batch, downloads, showing
from autograder.grading.limits import Limits
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission

BROKEN = ("k = torch.multinomial(", "k = torch.multinomia1(")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("made.samples", "made.samples_follow_the_density"),
        ("made.Samples follow", "made.samples_follow_the_density"),
        ("1.2.samples_follow", "made.samples_follow_the_density"),
        ("made.test_exact", None),
        ("made.trained_close_to_the_limit_on_moons", "made.trained_close_to_the_limit_on_moons"),
        ("pixelcnn.sums", None),
    ],
)
def test_a_check_is_found_by_words_of_it(words, name):
    if name:
        assert str(showing.find("hw1", words)) == name
    else:
        with pytest.raises(CourseError, match="There is no check"):
            showing.find("hw1", words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("made.sampels_folow", "Did you mean made.samples_follow_the_density"),
        ("mode.samples", "hw1 has no exercise 'mode'. Did you mean made?"),
        ("made.trained", "may be any of these, give more of its name: made.trained_close_to_the_limit_on_smiley, "),
        ("glow.shapes", "hw1 has no exercise 'glow'. There are: logistic_mixture, made, "),
        ("made", "may be any of these, give more of its name: made.each_output"),
        ("made.", "may be any of these"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_near(words, said):
    with pytest.raises(CourseError) as error:
        showing.find("hw1", words)
    assert said in str(error.value)


def test_a_student_who_is_not_there_is_said_with_those_who_are_near(tmp_path):
    course = Course.at(tmp_path)
    with pytest.raises(CourseError, match="No hw1 was graded"):
        showing.submission(course, "hw1", "ada")
    for student in ("ada.lovelace", "Émile", "ben"):
        (tmp_path / "submitted" / student / "hw1").mkdir(parents=True)
    assert showing.submission(course, "hw1", "Émile").path == tmp_path / "submitted" / "Émile" / "hw1"
    with pytest.raises(CourseError, match=r"no submission of 'adalovelace' for hw1\. Did you mean ada\.lovelace\?"):
        showing.submission(course, "hw1", "adalovelace")
    with pytest.raises(CourseError, match=r"There are: ada\.lovelace, ben, Émile|There are: ada\.lovelace, ben, É"):
        showing.submission(course, "hw1", "zzz")


def test_values_in_a_few_words():
    assert again.summary(np.array([[1.0, np.nan], [3.0, np.inf]])) == (
        "float64 (2, 2), from 1 to 3, mean 2, 2 of 4 nan or infinite"
    )
    assert again.summary(np.zeros((0, 3), np.float32)) == "float32 (0, 3)"
    assert again.summary(np.array(2, np.int64)) == "int64, 2"


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """Two who solved the first exercise; the sampler of one raises. They are graded."""
    root = tmp_path_factory.mktemp("show")
    opened = Course.at(root / "course")
    handout = release(opened, "hw1", figures=False) / "hw1.ipynb"
    for student, change in (("ada", str), ("ben", lambda source: source.replace(*BROKEN))):
        solved = demo.QUICK[:1]
        write_submission(handout, root / "in" / student, solution_cells("hw1"), solved, solved, change=change)
    batch.grade(opened, "hw1", downloads.find(root / "in", "hw1").chosen(), batch.Options(jobs=1))
    return opened


def shown(course: Course, student: str, words: str) -> again.Shown:
    handed_in = showing.submission(course, "hw1", student)
    return again.ask(course, "hw1", handed_in, showing.find("hw1", words), Limits())


@pytest.mark.slow
def test_one_check_comes_out_as_it_was_graded(course, tmp_path, monkeypatch, capsys):
    results = {
        g.student: g for g in batch.grade(course, "hw1", [showing.submission(course, "hw1", s) for s in ("ada", "ben")])
    }
    mine = shown(course, "ada", "logistic_mixture.samples")
    score = next(s for s in results["ada"].scores if s["exercise"] == "logistic_mixture")
    graded = next(c for c in score["checks"] if c["name"] == "samples_follow_the_density")
    assert mine.result["measured"] == graded["measured"], "the very seeds: the same number, a statistic"
    assert mine.result["points"] == graded["points"] == 3
    assert mine.calls[1].asked == "DiscretizedLogisticMixture.sample(4000)"
    assert mine.calls[1].arrays["answered_0"].shape == (4000, 1)
    assert {listing.title for listing in mine.code} >= {"DiscretizedLogisticMixture.sample"}
    files = showing.write(tmp_path / "ada", mine)
    kept = np.load(files[1])
    assert kept["001_DiscretizedLogisticMixture_sample_answered_0"].shape == (4000, 1)
    assert str(mine.seed) in files[0].read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_line_that_raised_is_shown(course, monkeypatch, capsys):
    raised = shown(course, "ben", "logistic_mixture.samples")
    assert raised.result["outcome"] == "failed"
    first = raised.code[0]
    assert first.title == "sample"
    assert next(line.strip() for _, line, meant in first.numbered if meant).startswith("k = torch.multinomia1(")
    said = showing.text(raised)
    assert any(line.startswith("→") and "multinomia1" in line for line in said.splitlines())
    assert all(len(line) <= 80 for line in said.splitlines() if "multinomia1" not in line and "    " not in line)
    monkeypatch.setattr(cli, "console", Console(width=200))
    arguments = ["deepul", "show", "hw1", "ben", "--course", str(course.root)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--check", "logistic_mixture.samples"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr().out
    assert ended.value.code == 1
    page = next(Path(line.split(maxsplit=1)[1]) for line in printed.splitlines() if line.startswith("  index"))
    assert "multinomia1" in page.read_text(encoding="utf-8")
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert "logistic_mixture.samples_follow_the_density" in capsys.readouterr().out


def test_every_check_of_every_exercise_can_be_named():
    for name in assignments.names():
        for check in showing.checks(name):
            assert showing.find(name, str(check)) == check
