"""What the command says to people, to programs, and to its log file."""

import json
import re
import sys

import pytest

from autograder import cli, desk
from autograder.grading import batch, log, report
from autograder.grading.limits import LEAST, Limits
from tests.autograder import classes
from tests.autograder.test_grading import NUMBERS, command, made, made_once, notebook  # noqa: F401


def test_a_program_reads_what_came_of_a_run(made, monkeypatch, capsys):  # noqa: F811
    notebook(made / "in" / "eve" / "hw1.ipynb", "{")
    monkeypatch.setattr(sys, "argv", _arguments(made, "--json"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    monkeypatch.setattr(cli.console, "stderr", False)
    printed = capsys.readouterr()
    assert ended.value.code == 1
    told = json.loads(printed.out)
    assert (told["assignment"], told["submissions"]) == ("hw1", 4)
    assert [told[k] for k in ("graded", "unchanged", "not_graded", "incomplete")] == [3, 0, 1, 0]
    students = {s["student"]: s for s in told["students"]}
    assert {s: students[s]["total"] for s in NUMBERS} == {s: 5 * points for s, points in NUMBERS.items()}
    assert students["eve"]["state"] == "not graded"
    assert "total" not in students["eve"]
    assert "is not a Jupyter notebook" in students["eve"]["problems"][0]
    for what in ("grades", "checks", "report", "log"):
        assert (made / "course" / "reports" / "hw1" / told["files"][what]).is_file(), what
    assert "4 submissions: 3 graded in" in printed.err
    lines = [line.strip() for line in printed.err.splitlines()]
    assert [line for line in lines if line.endswith("done")] == [f"{k} of 4 done" for k in (1, 2, 3, 4)]
    monkeypatch.setattr(sys, "argv", _arguments(made, "--json"))
    with pytest.raises(SystemExit):
        cli.main()
    monkeypatch.setattr(cli.console, "stderr", False)
    again = json.loads(capsys.readouterr().out)
    assert (again["graded"], again["unchanged"]) == (0, 3)


def _arguments(made, *options: str) -> list[str]:  # noqa: F811
    return ["deepul", "grade", "hw1", str(made / "in"), "--course", str(made / "course"), *options]


def test_a_program_reads_why_nothing_was_graded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["deepul", "grade", "hw1", "nowhere", "--course", str(tmp_path), "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    monkeypatch.setattr(cli.console, "stderr", False)
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert json.loads(printed.out)["problem"].startswith("There is no folder nowhere")
    assert "There is no folder nowhere" in printed.err


@pytest.mark.parametrize(("name", "said"), [("mistyped", "is not there"), ("a-file", "is a file, no course folder")])
def test_a_mistyped_course_is_no_new_one(name, said, tmp_path, monkeypatch, capsys):
    (tmp_path / "a-file").write_text("", encoding="utf-8")
    for words in (["release", "hw1"], ["grade", "hw1", str(tmp_path)], ["totals"], ["gradescope", "hw1"]):
        monkeypatch.setattr(sys, "argv", ["deepul", *words, "--course", str(tmp_path / name)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        assert said in " ".join(capsys.readouterr().out.split())
    assert [p.name for p in tmp_path.iterdir()] == ["a-file"]


def test_a_run_leaves_a_log(made, monkeypatch, capsys):  # noqa: F811
    notebook(made / "in" / "eve" / "hw1.ipynb", "{")
    command(monkeypatch, capsys, made, "--limit", "cell=60")
    [file] = (made / "course" / "reports" / "hw1" / "logs").glob("*.log")
    text = file.read_text(encoding="utf-8")
    for said in (
        "called as: deepul grade hw1",
        "60 s a cell",
        "ada: 15 of 100 points",
        "eve: not graded",
        "eve: The submission could not be read",
        "4 submissions: 3 graded in",
    ):
        assert said in text, said


def test_logs_are_bounded_and_the_oldest_go(tmp_path, monkeypatch):
    for k in range(log.MOST_RUNS + 5):
        (tmp_path / f"2020-01-01-{k:06d}.log").write_text("old")
    monkeypatch.setattr(log, "MOST_BYTES", 5000)
    with log.Log(tmp_path) as written:
        for _ in range(100):
            written.say("x\x1b[31m\n" * 100)
    kept = sorted(tmp_path.glob("*.log"))
    assert len(kept) == log.MOST_RUNS
    assert kept[-1] == written.file
    assert written.file.stat().st_size < 5000 + log.MOST_LINE
    assert written.file.read_text().endswith("… and more, which is left out\n")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with log.Log(tmp_path / "logs") as written:
        written.say("x")
    with pytest.raises(ZeroDivisionError), log.Log(tmp_path / "more") as ended:
        raise ZeroDivisionError("why")
    assert "ended by ZeroDivisionError: why" in ended.file.read_text()


def test_counts_add_up():
    whole, partly, same, lost = (batch.Graded(name) for name in ("a", "b", "c", "d"))
    partly.incomplete, same.fresh, lost.not_graded = True, False, True
    said = desk.counts([whole, partly, same, lost], 12.4)
    assert said == "4 submissions: 2 graded in 12 s, 1 had not changed, 1 could not be graded, 1 not in full."
    assert desk.counts([whole], 1.0) == "1 submission: 1 graded in 1 s."


def test_the_table_fits_eighty_columns(capsys):
    from rich.console import Console

    desk.show_table(Console(width=80), "hw1", classes.made(12))
    printed = capsys.readouterr().out.split("Where points")[0]
    assert max(map(len, printed.splitlines())) <= 80
    assert "not graded" in printed
    assert printed.count("\n") < 25


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ("memory=6 GiB", "memory", 6 * 2**30),
        ("memory=6GB", "memory", 6 * 2**30),
        ("disk=1.5gib", "disk", 3 * 2**29),
        ("file=64 MiB", "file", 2**26),
        ("memory=1000000000", "memory", 10**9),
        ("cell=60", "cell", 60.0),
        ("processes=4", "processes", 4),
    ],
)
def test_limits_are_written_as_people_write_them(change, name, value):
    assert getattr(Limits.parse([change]), name) == value


@pytest.mark.parametrize("change", ["memory=much", "memory=4 parsecs", "cell=1 GiB", "tea=4", "memory", "file=GiB"])
def test_limits_that_are_none_are_said_with_those_there_are(change):
    with pytest.raises(
        ValueError, match=r"give one of cell=120, .*memory=4 GiB, .*file=256 MiB, disk=512 MiB"
    ) as error:
        Limits.parse([change])
    assert "e+09" not in str(error.value)


def test_the_version_is_said(monkeypatch, capsys):
    from importlib.metadata import version

    monkeypatch.setattr(sys, "argv", ["deepul", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"deepul-kit {version('deepul-kit')}\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("memory=6", "it must be 512 MiB or more, such as memory=4GiB; without a unit, a size is in bytes."),
        ("memory=0", "it must be 512 MiB or more"),
        ("memory=0.1 GiB", "it must be 512 MiB or more"),
        ("disk=1", "it must be 64 MiB or more, such as disk=512MiB;"),
        ("file=1KB", "it must be 16 MiB or more, such as file=256MiB;"),
        ("processes=0", "it must be 4 or more, such as processes=32."),
        ("threads=1", "it must be 32 or more, such as threads=256."),
        ("open_files=-1", "it must be 256 or more"),
        ("cpu=1", "it must be 60 or more"),
        ("total=0", "it must be 60 or more"),
        *((f"{name}=0", "it must be 5 or more, such as") for name in ("cell", "training")),
        ("cell=-5", "it must be 5 or more, such as cell=120."),
        *((f"exercise={value}", "it must be 5 or more, such as") for value in ("nan", "inf", "-inf", "1e-9", "1e999")),
    ],
)
def test_a_limit_with_which_nobody_could_be_graded_is_said_with_the_least(change, said):
    with pytest.raises(ValueError, match=f"^--limit {re.escape(change)}: {re.escape(said)}"):
        Limits.parse([change])


def test_every_limit_has_a_least_one_below_the_usual():
    usual = {name: value for name, value in Limits().to_json().items() if not isinstance(value, bool)}
    assert LEAST.keys() == usual.keys()
    assert all(LEAST[name] <= value for name, value in usual.items())
    for name, value in LEAST.items():
        assert getattr(Limits.parse([f"{name}={value}"]), name) == value
    for change in ("memory=inf GiB", "memory=nan", "processes=inf", f"memory={'9' * 400} GiB"):
        with pytest.raises(ValueError, match="give one of"):
            Limits.parse([change])


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_an_extension_that_is_none_is_said_before_anything_is_graded(made, monkeypatch, capsys, options):  # noqa: F811
    (made / "course" / "roster.csv").write_text("id,extension\nada,20270215\n", encoding="utf-8")
    code, said = command(monkeypatch, capsys, made, *options)
    assert code == 2
    assert "the extension of ada is '20270215'; it must be such as" in said


def test_who_had_no_grade_or_has_none_any_more_is_one_line_of_what_changed(capsys):
    from rich.console import Console

    whole, lost, other = classes.made(2)[0], batch.without_grade("ben", "hw1", "why"), classes.made(3, seed=2)[1]
    regained = batch.Graded("ben", whole.scores)
    changed = report.changes([lost, whole, other], [regained, batch.without_grade(whole.student, "hw1", "why"), other])
    assert len(changed) > 20
    part = dict(student="cleo", exercise="made", check="The masks", before=1.0, now=0.5, max_points=1, measured="")
    desk.show_changed(Console(width=80), "Changed:", [*changed, part])
    printed = capsys.readouterr().out
    assert f"  ben: not graded → {whole.points:g} points" in printed
    assert f"  {whole.student}: {whole.points:g} points → not graded" in printed
    assert "made: The masks 1 → 0.5" in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.count("\n") < 12
