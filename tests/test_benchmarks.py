"""Every benchmark runs, small: what it measures is for its full size, and for a quiet machine."""

import subprocess
import sys

import pytest

from autograder.assignments import ROOT

BENCHMARKS = ROOT / "benchmarks"
# {benchmark: words of its last table}
SAY = {
    "flows": "what more components buy",
    "frechet": "| DCGAN of 4.3, seeds: 1 |",
    "grading": "start and",
    "sample_statistics": "| `no_copies` | 50 beside 200 |",
    "sampling": "100.0000%",
    "turns": "| E1 `nice` | 10 | 9.0 |",
    "tricks": "## 4.3 `dcgan`, 1 seeds",
    "wheels": "2 of 2 wheels are there",
}
NOT_HERE = ("could not be installed", "The package index does not answer")  # no network, which is no benchmark's fault


def run(name: str, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, BENCHMARKS / f"{name}.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAY)
def test_runs_small(name):
    done = run(name, "--small")
    if done.returncode and any(words in done.stderr for words in NOT_HERE):
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr[-2000:]
    assert SAY[name] in done.stdout


def test_all_are_run():
    scripts = {f.stem for f in BENCHMARKS.glob("*.py") if "__main__" in f.read_text(encoding="utf-8")}
    assert scripts == SAY.keys()


def test_what_a_solution_defines_is_there_and_what_stops_is_said():
    import solved

    names = solved.defined("hw1", "1.3")
    assert {"PixelCNN", "fast_sample", "train_pixelcnn"} <= names.keys()
    assert "DiscretizedLogisticMixture" not in names  # of another exercise
    with pytest.raises(RuntimeError, match=r"1\.3: the cell “class MaskedConv2d.*NameError: name 'wrong'"):
        solved.defined("hw1", "1.3", change=lambda s: s.replace("MaskedConv2d(nn.Conv2d)", "MaskedConv2d(wrong)"))


def test_what_grades_builds_no_parsers_of_addresses():
    """That takes longer than to import torch, and each grader, worker and sandbox would do it."""
    code = (
        "import sys; import autograder.grading.batch, autograder.grading.execute, nbformat\n"
        "assert not sys.modules['rfc3987_syntax']\n"
        "cell = nbformat.v4.new_code_cell('1')\n"
        "nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
