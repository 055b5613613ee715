"""A class in which most are hostile or broken, graded by the real command beside honest neighbours."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbgrader.utils import determine_grade, is_grade

from autograder import demo
from autograder.assignments import ROOT
from autograder.course import Course
from autograder.grading import report
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission
from autograder.proof import changes
from tests.autograder.attacks import WRONG, Attack, listening, table

pytestmark = [pytest.mark.slow, pytest.mark.alone]
HONEST = {"aaa": 35, "mmm": 15, "zzz": 35}


class Class:
    """A course with its handout, and what is handed in there."""

    def __init__(self, folder: Path):
        self.course = Course.at(folder)
        self.handout = release(self.course, "hw1", figures=False) / "hw1.ipynb"
        self.right = self.wrong = solution_cells("hw1")
        for name in WRONG:
            self.wrong = changes.apply(changes.mutant("hw1", name), self.wrong)

    def hand_in(self, student: str, cells, solved) -> Path:
        folder = self.course.root / "handed_in" / student
        write_submission(self.handout, folder, cells, solved, demo.QUICK)
        return folder

    def honest(self) -> None:
        for student, points in HONEST.items():
            self.hand_in(student, self.right, demo.QUICK if points == 35 else demo.QUICK[:1])
        self.hand_in("wrong", self.wrong, demo.QUICK)

    def attacked(self, attack: Attack) -> Path:
        folder = self.hand_in(
            attack.name,
            self.wrong if attack.fools else self.right,
            demo.QUICK if attack.complete or attack.fools else (),
        )
        attack.make(folder)
        return folder

    def grade(self) -> subprocess.CompletedProcess:
        root = self.course.root
        done = subprocess.run(
            [
                Path(sys.executable).parent / "deepul",
                "grade",
                "hw1",
                root / "handed_in",
                "--course",
                root,
                "-j",
                "2",
                "--limit",
                "cell=5",
                "--limit",
                "training=60",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        print(done.stdout[-3000:], done.stderr[-3000:])
        return done

    def reported(self, student: str) -> str:
        """What the page says of a student, but for times."""
        page = page_of(self.course, student)
        page = re.sub(r'<div class="flag">Alike: .*?</div>', "", page)  # who else is in the class is another matter
        return re.sub(r"[\d.]+ (s|min)\b", "", page)

    def points(self) -> dict[str, float]:
        """{student: points} from checks.csv."""
        totals: dict[str, float] = {}
        with (self.course.root / "reports" / "hw1" / "checks.csv").open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                totals[row["student"]] = totals.get(row["student"], 0.0) + float(row["points"] or 0)
        return totals


def page_of(course: Course, student: str) -> str:
    """What the report says of a student."""
    return (course.root / "reports" / "hw1" / "report" / report.address(student)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Class:
    """The honest among themselves, graded."""
    made = Class(tmp_path_factory.mktemp("honest"))
    made.honest()
    assert made.grade().returncode == 0
    return made


@pytest.fixture(scope="module")
def everyone(alone, tmp_path_factory) -> Iterator[tuple[Class, list[Attack]]]:
    """The honest and the attackers, handed in; under the salt of the honest alone."""
    made = Class(tmp_path_factory.mktemp("class"))
    shutil.copy(alone.course.root / ".deepul-salt", made.course.root)
    with listening(made.course.root) as listeners:
        attacks = table(made.course.root, ROOT, listeners)
        made.honest()
        for attack in attacks:
            made.attacked(attack)
        yield made, attacks


@pytest.fixture(scope="module")
def graded(everyone):
    """(course, attacks, what the command printed) after grading them all in one go."""
    made, attacks = everyone
    return made.course, attacks, made.grade()


@pytest.fixture(scope="module")
def grades(graded, everyone) -> dict[str, float]:
    return everyone[0].points()


def test_the_batch_is_finished_and_says_which_two_could_not_be_graded(graded):
    _, attacks, done = graded
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert f"{sum(a.not_graded for a in attacks)} could not be graded" in done.stdout


def test_honest_neighbours_have_their_points(graded, grades):
    course, _, _ = graded
    assert {s: grades[s] for s in HONEST} == HONEST
    with course.gradebook() as gradebook:
        assert {s: gradebook.find_submission("hw1", s).score for s in HONEST} == HONEST


def test_honest_neighbours_are_told_what_they_are_told_among_themselves(graded, grades, everyone, alone):
    """Points, every word of the report, and no flag more."""
    for student in (*HONEST, "wrong"):
        assert grades[student] == alone.points()[student]
        assert everyone[0].reported(student) == alone.reported(student), student


def test_every_attack_gets_what_an_honest_grader_gives(graded, grades):
    course, attacks, _ = graded
    wrong = grades["wrong"]
    assert 10 < wrong < 30, "wrong code that earns nothing, or all, shows nothing"
    wanted = {a.name: wrong if a.points is None else a.points for a in attacks}
    assert {a.name: grades[a.name] for a in attacks} == wanted
    with course.gradebook() as gradebook:
        recorded = {s.student.id: s.score for s in gradebook.assignment_submissions("hw1")}
    assert {a.name: recorded.get(a.name) for a in attacks if not a.not_graded} == {
        a.name: wanted[a.name] for a in attacks if not a.not_graded
    }
    assert not {a.name for a in attacks if a.not_graded and recorded.get(a.name) is not None}


NOBODY = dict(port=0, port6=0, listener="", abstract="")
FOOLING = [a.name for a in table(Path("/"), ROOT, NOBODY) if a.fools]


@pytest.fixture(scope="module")
def plain_score(alone, tmp_path_factory) -> float:
    """What the wrong code earns there by itself."""
    folder = tmp_path_factory.mktemp("plain")
    write_submission(alone.handout, folder, alone.wrong, demo.QUICK, demo.QUICK)
    return stock_score(folder / "hw1.ipynb")


@pytest.mark.parametrize("name", FOOLING)
def test_it_fools_a_grader_whose_checks_run_beside_it(name, alone, plain_score, tmp_path):
    """The same submission, run in a kernel with its checks, as stock graders do: it earns more than its code."""
    attack = next(a for a in table(tmp_path, ROOT, NOBODY) if a.name == name)
    write_submission(alone.handout, tmp_path, alone.wrong, demo.QUICK, demo.QUICK)
    attack.make(tmp_path)
    score = stock_score(tmp_path / "hw1.ipynb")
    assert score > plain_score or score < 0  # or the class has no sum any more


def stock_score(file: Path) -> float:
    """What nbgrader gives the first two exercises when their notebook is run as it is; −1 where it fails altogether."""
    notebook = nbformat.read(file, as_version=4)
    last = max(k for k, c in enumerate(notebook.cells) if c.cell_type == "code" and '"made' in c.source) + 1
    end = next((k for k, c in enumerate(notebook.cells) if c.source.startswith("## Exercise 1.3")), last)
    notebook.cells = notebook.cells[:end]
    for cell in filter(is_grade, notebook.cells):  # stock takes a number, and no table
        cell.source = re.sub(r"^check\((.*)\)$", r"float(check(\1))", cell.source, flags=re.MULTILINE)
    client = NotebookClient(notebook, timeout=60, allow_errors=True, resources={"metadata": {"path": str(file.parent)}})
    client.execute()
    try:
        return sum(determine_grade(c)[0] or 0.0 for c in notebook.cells if is_grade(c))  # answers have none yet
    except ValueError:  # more points than there are
        return -1.0


@pytest.mark.parametrize("name", ["network", "reads_everything"])
def test_it_works_without_a_sandbox(name, everyone, tmp_path):
    _, attacks = everyone
    attack = next(a for a in attacks if a.name == name)
    made = Class(tmp_path)
    cells = json.loads((made.attacked(attack) / "hw1.ipynb").read_text())["cells"]
    source = next(c["source"] for c in cells if c.get("id") == "attack")
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=120)
    assert re.search(attack.works, done.stdout), done.stdout[-2000:]


def test_student_and_ta_are_told(graded):
    course, attacks, _ = graded
    for attack in attacks:
        section = page_of(course, attack.name)
        assert attack.told in section, (attack.name, section[:3000])
        if not attack.not_graded:
            notebook = (course.root / "autograded" / attack.name / "hw1" / "hw1.ipynb").read_text(encoding="utf-8")
            assert attack.shown in notebook, (
                attack.name,
                [o for c in json.loads(notebook)["cells"][:4] for o in c.get("outputs", [])],
            )
            assert not attack.hidden or attack.hidden not in notebook, attack.name


def test_nothing_outside_was_touched(graded):
    course, _, _ = graded
    assert not Path("/tmp/pickle-ran").exists()
    for folder in ("submitted", "autograded"):
        assert not [p for p in (course.root / folder).rglob("*") if p.is_symlink()]
        assert not list((course.root / folder).rglob("passwd*"))
    sizes = [p.stat().st_size for p in (course.root / "autograded").rglob("*.ipynb")]
    assert max(sizes) < 10 * 2**20


def test_no_process_and_no_file_is_left(graded):
    for _ in range(50):
        left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if _contains(p, b"time.sleep(4242)")]
        # Folders of sandboxes carry the process that made them. Those of other graders on this machine may be in use;
        # those of another user are that user's to sweep.
        mine = [p for p in Path("/tmp").glob("deepul-*-*") if p.stat().st_uid == os.getuid()]
        owners = [p.name.split("-")[1] for p in mine]
        left += [o for o in owners if not Path(f"/proc/{o}").exists()]
        if not left:
            break
        time.sleep(0.1)
    assert not left


def test_table_of_attacks(graded, grades):
    """The table for people: build/attacks.md."""
    _, attacks, _ = graded
    rows = [f"| {a.name.replace('_', ' ')} | {a.stock} | {_outcome(a, grades)} |" for a in attacks]
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "attacks.md").write_text(
        "| submission | stock | here |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )
    assert len(rows) == len({a.name for a in attacks})


def _outcome(attack: Attack, grades: dict[str, float]) -> str:
    if attack.not_graded:
        return f"not graded, said why: “{attack.told}”"
    honest = "as the right answers in it earn" if attack.points else "as the honest score"
    if attack.fools:
        honest = "as its wrong code earns"
    return f"{grades[attack.name]:g} of 35, {honest}" + (f"; told: “{attack.told}”" if attack.told else "")


def _contains(path: Path, needle: bytes) -> bool:
    try:
        return needle in path.read_bytes()
    except OSError:  # it ended
        return False
