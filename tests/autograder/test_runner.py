"""Running checks: what becomes of every way in which one can end, and that nothing around it takes part."""

import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from autograder import assignments, runner
from autograder.assignments import ROOT
from autograder.properties import loss
from autograder.score import Score
from autograder.student import LocalStudent

HEAD = """
import pytest
from autograder.checks import hint, points, require
from autograder.properties.finding import Finding
from autograder.workbench import StudentCodeError

def found(share, measured="so much", **more):
    return Finding(share, measured, "all of it", plot={"kind": "bars", "x": "i", "series": {measured: [1]}}, **more)
"""


@pytest.fixture
def run(tmp_path):
    """run(tests) -> {check: its result}, of checks that are written on the spot."""

    def run(tests: str, student=None, salt: str = "salt", references: dict | None = None, only: str = "") -> dict:
        file = tmp_path / f"test_made_up_{len(list(tmp_path.iterdir()))}.py"
        file.write_text(HEAD + textwrap.dedent(tests), encoding="utf-8")
        session = runner.Session(student or LocalStudent({}, {}), salt, references or {}, only)
        runner.run(SimpleNamespace(test_file=file), session)
        return {r.name: r for r in session.results}

    return run


# ---- outcomes ------------------------------------------------------------------------------------------


def test_the_worst_finding_decides(run):
    results = run("""
        @points(4, "All hold")
        @hint("look here")
        def test_all_hold():
            require(found(1))
            require(found(1, "the last"))

        @points(4, "One holds in part")
        @hint("look here")
        def test_one_holds_in_part():
            require(found(1))
            require(found(0.25, "a quarter", slip="this slip"))
            require(found(0.5, "half"))

        @points(4, "One does not hold")
        @hint("look here")
        def test_one_does_not_hold():
            require(found(0.5))
            require(found(0, "nothing"))
            raise TypeError("never reached")
    """)
    all_hold, partly, none = results.values()
    assert (all_hold.outcome, all_hold.points, all_hold.measured) == ("passed", 4, "the last")
    assert (partly.outcome, partly.points, partly.measured, partly.hint) == ("partial", 1, "a quarter", "this slip")
    assert partly.plot["series"] == {"a quarter": [1]}
    assert (none.outcome, none.points, none.measured, none.hint) == ("failed", 0, "nothing", "look here")
    assert none.required == "all of it"


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_pytest_counts_what_holds_in_part_as_failed(run, monkeypatch, share):
    codes, main = [], pytest.main
    monkeypatch.setattr(pytest, "main", lambda *args, **options: codes.append(main(*args, **options)) or codes[0])
    run(f'@points(1, "One")\ndef test_one(): require(found({share}))')
    assert codes == [pytest.ExitCode.OK if share == 1 else pytest.ExitCode.TESTS_FAILED]


@pytest.mark.parametrize(
    "fault",
    [
        "raise TypeError('ours')",
        "raise ValueError('ours')",
        "raise KeyError('ours')",
        "assert 1 == 2, 'ours'",
        "raise RecursionError('ours')",
        "raise SystemExit('ours')",
        "raise pytest.fail.Exception('ours')",
        "raise ExceptionGroup('ours', [OSError()])",
        "found(float('nan'))",
    ],
)
def test_a_fault_of_ours_is_not_graded(run, fault):
    result = run(f"""
        @points(4, "One")
        @hint("look here")
        def test_one():
            require(found(0.5))
            {fault}
    """)["one"]
    assert (result.outcome, result.points, result.required, result.plot) == ("not graded", None, "", {})
    assert "not a mistake of yours" in result.measured
    assert "Traceback" in result.fault
    assert "ours" in result.fault or "between 0 and 1" in result.fault
    score = Score(assignments.get_exercise("made"), [result])
    assert float(score) == 0
    assert "could not be run" in score.headline


@pytest.mark.parametrize("code", ["-said", "said - said", "np.subtract(said, said)"])
def test_true_and_false_in_the_place_of_numbers_are_the_students(run, code):
    result = run(f"""
        import numpy as np

        @points(4, "One")
        def test_one():
            said = np.array([True, False])
            {code}
    """)["one"]
    assert (result.outcome, result.points) == ("failed", 0)
    assert "True and False came back where numbers are needed" in result.measured


def test_a_fault_before_the_check_starts_is_not_graded(run):
    result = run("""
        @pytest.fixture
        def broken():
            raise OSError("ours")

        @points(4, "One")
        def test_one(broken):
            require(found(1))
    """)["one"]
    assert (result.outcome, result.points) == ("not graded", None)


def test_a_check_that_requires_nothing_is_a_fault(run):
    assert run('@points(4, "One")\ndef test_one(): pass')["one"].outcome == "not graded"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("not implemented", "skipped"),
        ("untrained", "skipped"),
        ("missing", "failed"),
        ("raised", "failed"),
        ("wrong shape", "failed"),
        ("wrong type", "failed"),
        ("time limit", "failed"),
        ("no gradient", "failed"),
    ],
)
def test_a_slip_in_the_students_code_is_said_and_earns_nothing(run, kind, outcome):
    result = run(f"""
        @points(4, "One")
        @hint("look here")
        def test_one():
            require(found(1, "before"))
            raise StudentCodeError({kind!r}, "what happened")
    """)["one"]
    assert (result.outcome, result.points, result.kind, result.measured) == (outcome, 0, kind, "what happened")
    assert (result.required, result.hint, result.plot) == ("", "", {})


def test_checks_wait_for_those_that_they_need(run):
    results = run("""
        @points(1, "In part")
        def test_in_part(): require(found(0.5))
        @points(1, "Second", needs=test_in_part)
        def test_second(): require(found(1))
        @points(1, "Third")
        def test_third(): require(found(1))
        @points(1, "Fourth", needs=test_third)
        def test_fourth(): require(found(1))
        @points(1, "Fifth", needs=(test_third, test_second))
        def test_fifth(): require(found(1))
    """)
    assert [r.outcome for r in results.values()] == ["partial", "skipped", "passed", "passed", "skipped"]
    assert results["second"].measured == "needs “In part” first"
    assert results["fifth"].measured == "needs “Second” first"
    assert [r.points for r in results.values()] == [0.5, 0, 1, 1, 0]


def test_what_a_needed_check_waits_for_is_what_its_dependents_wait_for(run):
    results = run("""
        @points(1, "First")
        def test_first(): raise StudentCodeError("not implemented", "`logits` (of MADE) is not implemented yet")
        @points(1, "Second", needs=test_first)
        def test_second(): require(found(1))
        @points(1, "Third", needs=test_second)
        def test_third(): require(found(1))
    """)
    assert {r.measured for r in results.values()} == {"`logits` (of MADE) is not implemented yet"}
    assert {(r.outcome, r.kind, r.points) for r in results.values()} == {("skipped", "not implemented", 0.0)}


@pytest.mark.parametrize("name", [e.name for a in assignments.every() for e in a.exercises])
def test_every_check_needs_what_comes_before_it(name):
    seen: set[str] = set()
    for check, test in vars(assignments.get_exercise(name).module).items():
        if check.startswith("test_"):
            assert set(test.needs) <= seen, check
            assert test.hint, check
            assert test.title, check
            assert not test.title.endswith("."), check
            seen.add(check.removeprefix("test_"))


THREE = """
    @points(1, "Mask A hides the centre")
    def test_first(): require(found(1))
    @points(2, "Probabilities sum to one", needs=test_first)
    def test_second(): require(found(1))
    @points(4, "Samples follow the density")
    def test_third(): require(found(0))
"""


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", ["first", "second", "third"]),
        ("mask a", ["first"]),
        ("SUM to", ["first", "second"]),
        ("third", ["third"]),
        ("s", ["first", "second", "third"]),
    ],
)
def test_some_checks_by_words_of_their_titles_with_what_they_need(run, words, names):
    assert list(run(THREE, only=words)) == names


def test_words_that_are_in_no_title(run):
    with pytest.raises(
        ValueError, match=r"No check here has “maks” in its title. There are: “Mask A hides the centre”, “P"
    ):
        run(THREE, only="maks")


def test_checks_that_cannot_be_collected_are_no_score(run):
    with pytest.raises(RuntimeError, match="did not run"):
        run("import nothing_of_this_name")
    with pytest.raises(RuntimeError, match="did not run"):
        run("import nothing_of_this_name", only="mask")
    with pytest.raises(RuntimeError, match="did not run"):
        run("")


def test_numpys_errors_in_a_notebook_are_none_of_our_arithmetic(run):
    """np.seterr(all="raise") is how a student looks for nan; our own e^−1000 is 0 all the same."""
    with np.errstate(all="raise"):
        results = run("""
            import numpy as np
            @points(1, "Underflow")
            def test_underflow(): require(found(float(np.exp(np.float64(-1000)) == 0)))
        """)
        with pytest.raises(FloatingPointError):
            np.exp(np.float64(-1000))
    assert results["underflow"].outcome == "passed"


def test_what_goes_without_saying_is_shown_where_it_does_not_hold(run):
    results = run("""
        from autograder.checks import require_too
        @points(1, "Holds")
        def test_holds():
            require(found(1, "the density"))
            require_too(found(1, "drawn anew"))
        @points(1, "Does not")
        def test_does_not():
            require(found(1, "the density"))
            require_too(found(0, "always the same"))
    """)
    assert results["holds"].measured == "the density"
    assert results["does_not"].measured == "always the same"
    assert results["does_not"].outcome == "failed"


def test_an_interrupt_is_an_interrupt(run):
    with pytest.raises(KeyboardInterrupt):
        run('@points(1, "One")\ndef test_one(): raise KeyboardInterrupt')


# ---- seeds, data, references ---------------------------------------------------------------------------

DRAWN = """
from deepul_utils import toy
@points(1, "One")
def test_one(seed, held_out):
    require(found(1, f"{seed} {held_out(toy.get('moons'), 3).tolist()}"))
@points(1, "Two")
def test_two(seed, held_out):
    require(found(1, f"{seed} {held_out(toy.get('moons'), 3).tolist()}"))
"""


def test_seeds_and_held_out_data_follow_from_salt_and_check(run):
    first, again, other = run(DRAWN, salt="a"), run(DRAWN, salt="a"), run(DRAWN, salt="b")
    assert first["one"].measured == again["one"].measured
    assert len({r.measured for r in (*first.values(), *other.values())}) == 4


def test_a_loss_is_graded_by_its_reference(run):
    tests = """
        @points(2, "One")
        def test_one(graded):
            graded("made.moons", lambda: 0.3, limit=4.0, baseline=0.5)
    """
    reference = {"made.moons": {"mean": 0.1, "sd": 0.0}}
    expected = loss.graded(0.3, reference["made.moons"], 4.0, 0.5).share
    assert run(tests, references=reference)["one"].points == pytest.approx(2 * expected)
    assert run(tests)["one"].outcome == "not graded"  # no reference: our fault


class Trained(LocalStudent):
    """One whose trained model is worth the same whatever its weights are."""

    def trained(self, name, of="", precise=False):
        self.used.add(name)

    def weights(self, name):
        return {}


def test_what_a_model_without_foundation_earned_is_withdrawn_and_what_failed_anyway_keeps_its_own_words(run):
    results = run(
        """
        @points(2, "The loss")
        def test_loss(student, graded):
            student.trained("made.moons")
            graded("made.moons", lambda: 0.3, limit=4.0, baseline=0.5, few=lambda: 0.3)
        @points(4, "Earned in part")
        def test_partly(student):
            student.trained("made.moons")
            require(found(0.5, "half"))
        @points(4, "Failed of itself")
        @hint("look here")
        def test_failed(student):
            student.trained("made.moons")
            require(found(0, "nothing of it"))
        @points(1, "Not gradable")
        def test_fault(student):
            student.trained("made.moons")
            raise TypeError("ours")
        @points(1, "Of another model")
        def test_other(student):
            student.trained("made.smiley")
            require(found(1, "good"))
    """,
        student=Trained({}, {}),
        references={"made.moons": {"mean": 0.1, "sd": 0.0}},
    )
    assert sum(r.points or 0 for r in results.values()) == results["other"].points == 1
    for name in ("loss", "partly"):
        assert results[name].outcome == "failed"
        assert results[name].measured.endswith("is as good with the weights that it begins with")
        assert "does not come from the trained weights" in results[name].hint
    failed, fault = results["failed"], results["fault"]
    assert (failed.outcome, failed.measured, failed.hint) == ("failed", "nothing of it", "look here")
    assert failed.plot["series"] == {"nothing of it": [1]}
    assert (fault.outcome, fault.points) == ("not graded", None)


# ---- what is around it ---------------------------------------------------------------------------------


def test_output_and_environment_are_left_alone(run, capfd, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    before = dict(os.environ)
    warnings.simplefilter("error")  # as a student's notebook may
    results = run("""
        import sys, warnings

        @points(1, "One")
        def test_one():
            print("x")
            print("x", file=sys.stderr)
            warnings.warn("x")
            require(found(1))
    """)
    assert results["one"].outcome == "passed"
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")


def test_what_lies_in_the_students_folder_takes_no_part(run, tmp_path, monkeypatch):
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "conftest.py").write_text("raise RuntimeError('mine')")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --collect-only")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only")  # nor beside the checks
    monkeypatch.chdir(folder)
    assert run('@points(1, "One")\ndef test_one(): require(found(1))')["one"].outcome == "passed"


def pytest_on(notebook: Path, exercise: str = "logistic_mixture") -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "pytest",
        f"autograder/assignments/hw1/test_{exercise}.py",
        "--notebook",
        notebook,
        "-q",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_pytest_on_a_finished_notebook_whatever_its_name(tmp_path):
    source = (ROOT / "solutions" / "hw1" / "hw1.py").read_text(encoding="utf-8").split("# ## Exercise 1.2")[0]
    (tmp_path / "artifacts").symlink_to(ROOT / "solutions" / "hw1" / "artifacts")
    (tmp_path / "ada.py").write_text(source.replace("torch.round(", "torch.floor("), encoding="utf-8")
    done = pytest_on(tmp_path / "ada.py")
    assert done.returncode == 1
    assert "samples misplaced" in done.stdout
    assert re.search(r"1 failed, \d+ passed", done.stdout)


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("{}", "is not a Jupyter notebook")])
def test_pytest_on_what_is_no_notebook(tmp_path, content, said):
    notebook = tmp_path / "ada.ipynb"
    if content:
        notebook.write_text(content)
    done = pytest_on(notebook)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --notebook: {'' if content is None else notebook.name}" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
