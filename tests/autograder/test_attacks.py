"""A class in which most are hostile or broken, graded by the real command beside honest neighbours."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder import demo
from autograder.exercises import ROOT
from autograder.grading.course import Course
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission
from tests.autograder.attacks import Attack, table

pytestmark = pytest.mark.slow
HONEST = {"aaa": 35, "mmm": 15, "zzz": 35}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """(course, attacks, what the command printed) after grading them all in one go."""
    course = Course.at(tmp_path_factory.mktemp("class"))
    attacks = table(course.root, ROOT)
    handout, cells = release(course, "hw1", figures=False) / "hw1.ipynb", solution_cells("hw1")
    for student, points in HONEST.items():
        solved = demo.QUICK if points == 35 else demo.QUICK[:1]
        write_submission(handout, course.root / "handed_in" / student, cells, solved, demo.QUICK)
    for attack in attacks:
        folder = course.root / "handed_in" / attack.name
        write_submission(handout, folder, cells, demo.QUICK if attack.complete else (), demo.QUICK)
        attack.make(folder)
    done = subprocess.run(
        [Path(sys.executable).parent / "deepul", "grade", "hw1", course.root / "handed_in", "--course", course.root,
         "-j", "2", "--limit", "cell=5", "--limit", "training=60"],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    print(done.stdout[-3000:], done.stderr[-3000:])
    return course, attacks, done


@pytest.fixture(scope="module")
def grades(graded) -> dict[str, float]:
    """{student: points} from grades.csv."""
    course, _, _ = graded
    totals: dict[str, float] = {}
    with (course.root / "reports" / "hw1" / "grades.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            totals[row["student"]] = totals.get(row["student"], 0.0) + float(row["points"] or 0)
    return totals


def test_the_batch_is_finished_and_says_which_two_could_not_be_graded(graded):
    _, attacks, done = graded
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.count("not graded") == sum(a.not_graded for a in attacks)


def test_honest_neighbours_have_their_points(graded, grades):
    course, _, _ = graded
    assert {s: grades[s] for s in HONEST} == HONEST
    with course.gradebook() as gradebook:
        assert {s: gradebook.find_submission("hw1", s).score for s in HONEST} == HONEST


def test_every_attack_gets_what_an_honest_grader_gives(graded, grades):
    course, attacks, _ = graded
    got = {a.name: grades[a.name] for a in attacks}
    assert got == {a.name: a.points for a in attacks}
    with course.gradebook() as gradebook:
        recorded = {s.student.id: s.score for s in gradebook.assignment_submissions("hw1")}
    assert {a.name: recorded.get(a.name) for a in attacks if not a.not_graded} == {
        a.name: a.points for a in attacks if not a.not_graded
    }
    assert not {a.name for a in attacks if a.not_graded} & set(recorded)


def test_student_and_ta_are_told(graded):
    course, attacks, _ = graded
    report = (course.root / "reports" / "hw1" / "report" / "index.html").read_text(encoding="utf-8")
    for attack in attacks:
        section = report[report.index(f'id="{attack.name}"') :].split("</details>")[0]
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
    return f"{grades[attack.name]:g} of 35, {honest}" + (f"; told: “{attack.told}”" if attack.told else "")


def _contains(path: Path, needle: bytes) -> bool:
    try:
        return needle in path.read_bytes()
    except OSError:  # it ended
        return False
