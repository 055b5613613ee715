"""CONTRIBUTING's road for a new assignment, followed in a copy of the kit: from `deepul new` to a graded submission."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.assignments import ROOT
from autograder.proof import new

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROAD = re.search(r"## Adding an assignment.*?```sh\n(.*?)```", CONTRIBUTING, re.DOTALL)[1].splitlines()


def copied(target: Path) -> Path:
    """The kit, as git knows it and as it is now, with nothing that is generated but the handouts."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture
def copy(tmp_path) -> Path:
    return copied(tmp_path)


@pytest.fixture(scope="module")
def in_order(tmp_path_factory) -> Path:
    """A copy with a new assignment, for which lint has nothing to say: what is trained is there, if only by name."""
    folder = copied(tmp_path_factory.mktemp("kit"))
    assert deepul(folder, "new", "bent", "--family", "flows", "--number", "E99").returncode == 0
    (folder / "solutions/bent/artifacts").mkdir()
    (folder / "solutions/bent/artifacts/bent.safetensors").touch()
    (folder / "homeworks/bent/figures").mkdir(parents=True)
    (folder / "homeworks/bent/figures/bent.png").touch()
    reference = {"bent": {"mean": 0.7, "sd": 0.01, "runs": [0.7, 0.69, 0.71]}}
    (folder / "autograder/assignments/bent/reference.json").write_text(json.dumps(reference))
    assert "bent: in order" in deepul(folder, "lint", "bent").stdout
    return folder


TEST, SOURCE = "autograder/assignments/bent/test_bent.py", "solutions/bent/bent.py"
MUTANTS, TOML = "solutions/bent/mutants.py", "autograder/assignments/bent/assignment.toml"
REFERENCE = "autograder/assignments/bent/reference.json"
DEFINED = "\n\ndef test_more(student): ...\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "find", "replace", "said"),
    [
        (TEST, "suite.shapes(0.5)", "suite.shapes(0)", "test_shapes is worth 0 points; a check is worth more"),
        (TEST, "suite.shapes(0.5)", "suite.shapes(-1)", "test_shapes is worth -1 points"),
        (TEST, "suite.shapes(0.5)", f"suite.shapes(0.5)\n{DEFINED}", "test_more has no @points"),
        (TEST, "suite.samples(1, ", "suite.samples(1, '') or (", "test_samples_follow_the_density has no @hint"),
        (TEST, "test_shapes = ", "import nothing_like_this\ntest_shapes = ", "cannot be imported: ModuleNotFoundError"),
        (TEST, "test_shapes = ", "shapes = ", "names a check shapes, and there is none"),
        (MUTANTS, '"shapes", "should', '"called_with_one_example", "should', "no mutant is meant for the check “Sh"),
        (MUTANTS, '"shapes", "should', '"shape", "should', "the mutant column names a check shape, and there is none"),
        (MUTANTS, '" - 0.5 * math.log(2', '" - 0.7 * math.log(2', "occurs 0 times in the solution; it must occur once"),
        ("solutions/bent/variants.py", '"smooth", "bent"', '"smooth", "made"', "has 1 variant,"),
        ("solutions/bent/variants.py", "VARIANTS = (", "VARIANTS = ((", "variants.py cannot be read: SyntaxError"),
        (MUTANTS, "MUTANTS = (", "MUTANT = (", "mutants.py cannot be read: AttributeError"),
        (REFERENCE, ", 0.69, 0.71", "", "bent was trained under 1 seed; 3 at least"),
        (REFERENCE, '"bent"', '"else"', "has no reference losses: deepul calibrate"),
        (SOURCE, 'trained("bent"', 'trained("bent.more"', "no reference weights for bent.more: deepul calibrate bent"),
        (SOURCE, "figures/bent.png", "figures/more.png", "The figure more.png was not made yet: deepul release bent"),
        (SOURCE, "### END SOLUTION", "### END SOLUTON", "looks like a marker and is none"),
        (SOURCE, "## Exercise E99 · Bent", "## Exercise E3 · Bent", "The heading “## Exercise E3 · Bent” is not in"),
        (TOML, "order = 100", "order = 'last'", "needs order = …, a number"),
        (TOML, 'number = "E99"', 'number = "1.2"', "Exercise 1.2 has a number that made of hw1 has, too"),
        (TOML, 'number = "E99"', 'number = "first"', "the number 'first' is not like 1.2, 12 or E7.1"),
        (TOML, 'name = "bent"', 'name = "made"', "hw1 and bent both have an exercise called made"),
        (TOML, "title =", "title", "assignment.toml cannot be read"),
    ],
)
def test_lint_names_what_is_missing(in_order, file, find, replace, said):
    before = (in_order / file).read_text(encoding="utf-8")
    assert find in before
    try:
        (in_order / file).write_text(before.replace(find, replace, 1), encoding="utf-8")
        done = deepul(in_order, "lint", "bent")
    finally:
        (in_order / file).write_text(before, encoding="utf-8")
    assert done.returncode in (1, 2)
    assert said in re.sub(r"\s+", " ", done.stdout)
    assert "Traceback" not in done.stdout + done.stderr


def deepul(folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from autograder.cli import main; main()", *words]
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    """What people write, and what is generated for them, by name."""
    kinds = (".py", ".toml", ".json", ".md", ".ipynb", ".safetensors")
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*.*") if f.suffix in kinds}


@pytest.mark.slow
@pytest.mark.parametrize("family", new.families())
def test_a_new_assignment_as_contributing_says(copy, family):
    before = contents(copy)
    for line in ROAD:
        words = re.sub(r"\s+#.*", "", line).replace("NAME", "bent").replace("flows", family).split()
        assert words[0] == "deepul"
        # The whole proof of one family; of the others that a right answer earns everything, which is quicker.
        words += ["--kind", "solution"] if words[1] == "validate" and family != "flows" else []
        done = deepul(copy, *words[1:])
        said = done.stdout + done.stderr
        # Before anything is trained, lint has something to say; that is what it is there for.
        assert done.returncode == (1 if words[1] == "lint" and "calibrate" in said else 0), f"{line}\n{said}"
    assert f"from autograder.families import {family} as family" in (copy / TEST).read_text(encoding="utf-8")
    assert ("2 of 2 earn everything" if family == "flows" else "1 of 1 earn everything") in said
    assert "bent: in order" in deepul(copy, "lint", "bent").stdout
    own = ("autograder/assignments/bent/", "solutions/bent/", "homeworks/bent/", "docs/results.md", "build/")
    after = contents(copy)
    touched = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert not [name for name in sorted(touched) if not name.startswith(own)]
    script = (
        "from pathlib import Path; from autograder.handout.submit import solution_cells, write_submission; "
        "handout, solved = Path('homeworks/bent/bent.ipynb'), ['bent']; "
        "write_submission(handout, Path('class/ada'), solution_cells('bent'), solved, solved)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=copy, check=True, env=os.environ | {"PYTHONPATH": str(copy)})
    (copy / "course").mkdir()
    graded = deepul(copy, "grade", "bent", "class", "--course", "course")
    assert graded.returncode == 0, graded.stdout + graded.stderr
    table = (copy / "course" / "reports" / "bent" / "checks.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert {row["outcome"] for row in rows if not row["check"].startswith("answer-")} == {"passed"}
    assert sum(float(row["points"] or 0) for row in rows) == 10


def test_what_cannot_be_new_is_said_and_writes_nothing(copy):
    before = sorted(copy.rglob("*"))
    for words, said in (
        (("hw1", "--family", "flows"), "an assignment or an exercise called hw1 already"),
        (("made", "--family", "flows"), "an assignment or an exercise called made already"),
        (("x", "--family", "trees"), "There is no family called 'trees'. Families: "),
        (("Two Words", "--family", "flows"), "'Two Words' is no name"),
        (("class", "--family", "flows"), "'class' is a word of Python's"),
        (("torch", "--family", "flows"), "'torch' is the name of something that its own notebook uses"),
        (("../up", "--family", "flows"), "'../up' is no name"),
        (("O'Brien", "--family", "flows"), '"O\'Brien" is no name'),
        (("another", "--family", "flows", "--title", "two\nlines"), "A title is one line"),
        (("another", "--family", "flows", "--number", '1.2"'), "is not like 1.2, 12 or E7.1"),
        (("another", "--family", "flows", "--number", "1.1"), "logistic_mixture of hw1 has the number 1.1; E"),
    ):
        done = deepul(copy, "new", *words)
        assert done.returncode == 2
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    assert [f for f in sorted(copy.rglob("*")) if "__pycache__" not in f.as_posix()] == before


def test_a_title_may_have_quotes_and_letters_of_any_kind(copy):
    title = """A "β-VAE's" \\ title, \'\'\' and \"\"\" in it"""
    assert deepul(copy, "new", "quoted", "--family", "flows", "--title", title).returncode == 0
    said = deepul(copy, "lint", "quoted").stdout
    assert "no reference weights for quoted" in said
    assert "3 to put right" in said, "what every new assignment lacks, and nothing else"
