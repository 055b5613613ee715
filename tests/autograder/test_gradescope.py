"""The autograder for Gradescope: what is in its zip, what it does in a container like theirs, and what it keeps off."""

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from autograder import assignments, demo, desk
from autograder.assignments import ROOT
from autograder.course import Course, SandboxError
from autograder.grading import batch, gradescope, sandbox, separate_user, separate_zygote
from autograder.grading.execute import Execution
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised
from autograder.grading.submissions import Submission
from autograder.handout import gradescope as packing
from autograder.handout.submit import solution_cells, write_submission
from autograder.score import CheckResult
from tests.autograder import container

BIN = Path(sys.executable).parent
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make a container of this kind, and other users")
SALT = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    root = tmp_path_factory.mktemp("course")
    (root / ".deepul-salt").write_text(SALT)
    return Course.at(root)


@pytest.fixture(scope="module")
def notebook(course) -> dict:
    return batch.prepare(course, "hw1")


@pytest.fixture(scope="module")
def packed(notebook, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("packed") / "hw1.zip"
    return packing.pack(target, notebook, SALT, packing.settings(notebook, "hw1"))


# ---- what is uploaded --------------------------------------------------------------------------------------


def test_the_zip_has_what_gradescope_wants_at_its_top_and_nothing_of_the_solutions(packed):
    assert packed.stat().st_mode & 0o777 == 0o600, "it has the salt"
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
        programs = {n for n in names if archive.getinfo(n).external_attr >> 16 & 0o100}
        text = b"\n".join(archive.read(n) for n in names if n.endswith((".py", ".ipynb", ".json", ".toml")))
    assert programs == {"setup.sh", "run_autograder"}
    assert {n.split("/")[0] for n in names} == {
        *("setup.sh", "run_autograder", "requirements.txt", "constraints.txt", "autograder.json", "salt", "kit")
    }
    assert {n for n in names if "solutions/" in n} == {"kit/solutions/hw1/hw1.py"}, "its outline"
    assert not [n for n in names if "/artifacts/" in n or "mutants" in n or n.endswith("cli.py")]
    assert b"BEGIN SOLUTION" not in text
    others = {n for n in names if re.match("kit/autograder/assignments/(?!hw1/).+/", n)}
    assert {n.split("/")[-1] for n in others} == {"assignment.toml"}, "by these another homework is known"


def test_the_outline_of_a_source_has_no_line_of_a_solution_and_all_that_the_grader_asks():
    source = assignments.get("hw1").source.read_text(encoding="utf-8")
    made = packing.outline(source)
    solved = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", source, re.DOTALL)
    lines = {line.strip() for region in solved for line in region.splitlines() if not re.match(r"(class|def) ", line)}
    assert len(lines) > 100
    handed_out = (ROOT / "homeworks" / "hw1" / "hw1.ipynb").read_text(encoding="utf-8")
    private = {line for line in lines if json.dumps(line, ensure_ascii=False)[1:-1] not in handed_out}
    assert len(private) > 100
    assert not {line.strip() for line in made.splitlines()} & private
    names = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)
    assert names.findall(made) == names.findall(source)
    printing = [c for c in re.split(r"^(?=# %%)", source, flags=re.MULTILINE) if "print(" in c and "SOLUTION" not in c]
    assert [c for c in printing if c.startswith("# %%\n")]
    assert all(c in made for c in printing if c.startswith("# %%\n"))


@pytest.mark.parametrize("script", [packing.SETUP, packing.RUN])
def test_its_scripts_are_bash(script):
    assert script.startswith("#!/usr/bin/env bash\n")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_what_it_installs_is_enough_to_grade(packed, tmp_path):
    """Its modules are imported where nothing but its requirements, and what these bring along, can be."""
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path)
    code = (
        "import sys\nhidden = {'copydetect', 'jupytext', 'nbgrader', 'sqlalchemy', 'jupyterlab'}\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in hidden: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "sys.meta_path = [f for f in sys.meta_path if not getattr(f, '__module__', '').startswith('__editable__')]\n"
        "import autograder.grading.gradescope as g, autograder.grading.separate_zygote\n"
        "from autograder import assignments\n"
        "[e.module for e in assignments.get('hw1').exercises]\n"
        "print(g.__file__)"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "kit")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "kit" / "autograder" / "grading" / "gradescope.py")


def test_written_questions_without_points_are_no_points_of_anybodys(notebook):
    assert packing.settings(notebook, "hw1").written == 10
    ungraded = json.loads(json.dumps(notebook))
    for cell in ungraded["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("grade_id", "").startswith("answer-"):
            about.update(grade=False)
    assert packing.settings(ungraded, "hw1").written == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("visibility", "later"),
        ("sandbox", "none"),
        ("minutes", math.inf),
        ("minutes", math.nan),
        ("minutes", 10000),
    ],
)
def test_what_there_is_not_is_named(notebook, name, value):
    with pytest.raises(ValueError, match=f"--{name} {value}: there are "):
        packing.settings(notebook, "hw1", **{name: value})


# ---- results.json ------------------------------------------------------------------------------------------

CHECKS = [
    CheckResult("one", "It sums to one", 5.0, 5.0, "passed", "1.0", "1"),
    CheckResult("two", "It \x1b[31msamples", 10.0, 2.5, "partial", "\x1b[31m0.1", "0", "Look at the ‮mask."),
]
SCORE = dict(
    exercise="made", number="1.2", title="MADE", points=7.5, max_points=15.0, headline="", printed="", notes=[]
)
SETTINGS = dict(
    assignment="hw1", points=100.0, written=10.0, minutes=10, visibility="visible", leaderboard=False, excused=[]
)


def content(changes: dict | None = None, result: dict | None = None) -> dict:
    about = {"nbgrader": {"grade_id": "answer-made", "grade": True, "solution": True}}
    answer = dict(cell_type="markdown", source="Because.", metadata=about)
    normal = Normalised({"cells": [answer]}, {}, ["A file was left out."])
    execution = Execution({"cells": []}, {"made": SCORE | {"checks": [vars(c) for c in CHECKS]}}, **(result or {}))
    return gradescope.results(SETTINGS | (changes or {}), normal, execution)


def test_results_have_a_test_for_each_check_and_its_text():
    found = content()
    assert found.keys() == {"score", "output", "visibility", "stdout_visibility", "tests"}
    assert found["score"] == 7.5 == sum(t.get("score", 0) for t in found["tests"])
    first, second, answer = found["tests"]
    assert first == {
        "number": "1.2.1",
        "name": "1.2 MADE: It sums to one",
        "score": 5.0,
        "max_score": 5.0,
        "status": "passed",
        "output": "measured: 1.0\nrequired: 1",
        "tags": ["made", "passed"],
    }
    assert (second["score"], second["status"]) == (2.5, "failed")
    assert "hint: Look at the mask." in second["output"]
    assert "\x1b" not in json.dumps(found["tests"], ensure_ascii=False)
    assert answer["output"] == "Because."
    assert "score" not in answer, "people give its points"
    assert "10 points) are graded by people" in found["output"]
    assert "- A file was left out." in found["output"]


def test_a_result_that_is_shown_later_says_no_points_before():
    found = content({"visibility": "after_published"})
    assert found["visibility"] == "after_published"
    assert "7.5" not in found["output"]
    assert found["stdout_visibility"] == "hidden"


def test_points_and_excused_checks_are_those_of_the_course():
    exercises = [replace(e, worth=30.0 if e.name == "made" else None) for e in assignments.get("hw1").exercises]
    with assignments.given({"hw1": replace(assignments.get("hw1"), given=tuple(exercises))}):
        factor = 30 / exercises[1].points_of_checks
        found = content({"excused": ["made.two"]})
        assert [t["score"] for t in found["tests"][:2]] == [5 * factor, 10 * factor]
        assert found["score"] == 15 * factor
        assert packing.toml(assignments.get("hw1")).count("worth = 30.0") == 1


def test_the_zip_has_the_exercises_that_the_course_gives(notebook, tmp_path):
    chosen = tuple(e for e in assignments.get("hw1").exercises if e.name != "color_pixelcnn")
    with assignments.given({"hw1": replace(assignments.get("hw1"), given=chosen)}):
        made = packing.settings(notebook, "hw1")
        archive = packing.pack(tmp_path / "hw1.zip", notebook, SALT, made)
    assert made.points == sum(e.points for e in chosen)
    with zipfile.ZipFile(archive) as opened:
        assert b"color_pixelcnn" not in opened.read("kit/autograder/assignments/hw1/assignment.toml")


def test_the_leaderboard_is_there_on_request():
    assert content({"leaderboard": True})["leaderboard"] == [
        {"name": "points", "value": 7.5},
        {"name": "1.2 MADE", "value": 7.5},
    ]


def test_all_stays_within_the_time_that_gradescope_gives():
    limits = gradescope._limits(SETTINGS | {"minutes": 10})
    assert limits.total == 540
    assert limits.training == 540
    assert gradescope._limits(SETTINGS | {"minutes": 40}).training == Limits().training


# ---- users of their own ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uid", "advice"), [(0, "--separate-user"), (1000, "Run as root")])
def test_where_namespaces_are_denied_it_says_what_helps_whom(monkeypatch, uid, advice):
    monkeypatch.setattr(os, "getuid", lambda: uid)
    assert advice in sandbox.explained("bwrap: Creating new namespace failed: Operation not permitted")


@as_root
def test_a_folder_that_everybody_may_look_into_is_named(tmp_path):
    for name, mode in (("open", 0o755), ("closed", 0o700)):
        (tmp_path / name).mkdir(mode=mode)
    binds = {tmp_path / "open": "/open", tmp_path / "closed": "/closed", ROOT: "/kit"}
    done = container.run([sys.executable, "-c", REQUIRE, "/open", "/closed"], binds, PYTHONPATH="/kit")
    assert done.stdout == "A notebook that runs as another user could look into these: chmod 700 /open\n", done.stderr


REQUIRE = """
import sys
from pathlib import Path
from autograder.course import SandboxError
from autograder.grading import separate_user
try:
    separate_user.require(map(Path, sys.argv[1:]))
except SandboxError as error:
    print(error)
"""


def test_only_root_can_make_users(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(SandboxError, match="the grader has to be root"):
        separate_user.require([])


def test_nothing_is_graded_so_unless_it_is_asked_for():
    assert not Limits().separate_user
    assert not Limits.parse([]).separate_user
    with pytest.raises(ValueError, match="give one of"):
        Limits.parse(["separate_user=1"])
    assert replace(Limits(), separate_user=True) != Limits(), "it is another grader, and another result of the cache"


def test_the_folders_that_every_user_may_write_to_are_found(tmp_path):
    modes = {"a": 0o755, "a/open": 0o1777, "a/open/own": 0o755, "a/closed": 0o700, "a/closed/open": 0o777, "a/b": 0o777}
    for name, mode in modes.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "closed")
    (tmp_path / "a" / "file").touch(0o666)
    found = separate_zygote.folders_open_to_all(tmp_path / "a")
    assert {f.relative_to(tmp_path).as_posix() for f in found} == {"a/open", "a/b"}


@pytest.mark.parametrize("separate", [True, False])
def test_deepul_grade_asks_for_the_wall_that_was_chosen(course, monkeypatch, separate, tmp_path):
    """Where notebooks are users of their own, neither kit nor course nor download may be open to them."""
    asked: list = []
    monkeypatch.setattr(separate_user, "require", lambda private: asked.append(set(private)))
    monkeypatch.setattr(sandbox, "require", lambda: asked.append("bubblewrap"))
    options = batch.Options(limits=replace(Limits(), separate_user=separate))
    desk.require_sandbox(course, [Submission("ada", tmp_path / "download" / "ada")], options)
    assert asked == [{ROOT, course.root, tmp_path / "download"} if separate else "bubblewrap"]


# ---- in a container ----------------------------------------------------------------------------------------

APT = '#!/bin/sh\necho "$@" >> /autograder/apt.log\n'


class Autograder:
    """/autograder as Gradescope lays it out, and what else its image has."""

    def __init__(self, root: Path, archive: Path):
        self.root, self.opt, self.stubs = root / "autograder", root / "opt", root / "stubs"
        self.packages: dict[Path, str] = {}
        for folder in ("source", "submission", "results"):
            (self.root / folder).mkdir(parents=True)
        self.opt.mkdir()
        self.stubs.mkdir()
        (self.stubs / "apt-get").write_text(APT)
        (self.stubs / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        for stub in self.stubs.iterdir():
            stub.chmod(0o755)
        subprocess.run(["unzip", "-q", archive, "-d", self.root / "source"], check=True)
        shutil.copy(self.root / "source" / "run_autograder", self.root)
        self.root.chmod(0o755)

    def run(self, command: list[str], namespaces: bool = False, path: str = "", **variables):
        binds = {self.root: "/autograder", self.opt: "/opt/deepul", self.stubs: "/stubs", **self.packages}
        search = f"{path}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return container.run(command, binds, namespaces, **{"PATH": search, "HOME": "/root", **variables})

    def grade(self, folder: Path, namespaces: bool = False, sandbox: str = "auto"):
        """(what run_autograder did, results.json or None)."""
        shutil.rmtree(self.root / "submission")
        shutil.copytree(folder, self.root / "submission")
        (self.root / "submission_metadata.json").write_text(json.dumps(METADATA))
        settings = self.root / "source" / "autograder.json"
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"sandbox": sandbox}))
        done = self.run(["/autograder/run_autograder"], namespaces)
        results = self.root / "results" / "results.json"
        return done, json.loads(results.read_text()) if results.exists() else None


METADATA = {
    "id": 7,
    "created_at": "2027-02-11T10:00:00.000000-08:00",
    "users": [{"email": "ada@example.org", "id": 1, "name": "Ada"}],
    "assignment": {"due_date": "2027-02-12T23:59:00.000000-08:00", "total_points": "110.0", "title": "HW1"},
    "previous_submissions": [],
}


@pytest.fixture(scope="module")
def autograder(packed, tmp_path_factory) -> Autograder:
    """Set up by its own setup.sh: pip finds all that it is told to install in this environment, which stands in the new
    one's place afterwards, and apt-get writes down what it would do.
    """
    made = Autograder(tmp_path_factory.mktemp("gradescope"), packed)
    here = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    done = made.run(["bash", "/autograder/source/setup.sh"], path="/stubs:", PYTHONPATH=here, PIP_NO_INDEX="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (made.opt / "venv" / "bin" / "python").exists()
    made.packages = {Path(sys.prefix): "/opt/deepul/venv"}
    return made


@pytest.fixture(scope="module")
def honest(course, notebook, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("in") / "ada"
    write_submission(course.release / "hw1" / "hw1.ipynb", folder, solution_cells("hw1"), demo.QUICK, demo.QUICK)
    return folder


@as_root
@pytest.mark.slow
def test_setup_installs_bubblewrap_and_what_is_pinned_where_users_can_use_it(autograder):
    installed = (autograder.root / "apt.log").read_text()
    assert "bubblewrap" in installed
    assert (autograder.root / "source" / "salt").stat().st_mode & 0o077 == 0


@as_root
@pytest.mark.slow
def test_a_submission_is_graded_as_deepul_grades_it(autograder, honest, course):
    """Behind either wall, check by check; and it says which wall it was."""
    command = [BIN / "deepul", "grade", "hw1", honest.parent, "--course", course.root, "-j", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with (course.root / "reports" / "hw1" / "checks.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if not row["check"].startswith("answer-")]
    wanted = [(float(r["points"]), float(r["max_points"]), r["outcome"], r["measured"]) for r in rows]
    assert sum(points for points, *_ in wanted) == 35
    for namespaces, wall in ((False, "a user of its own"), (True, "bubblewrap")):
        done, found = autograder.grade(honest, namespaces)
        assert done.returncode == 0, done.stdout + done.stderr
        assert found["extra_data"] == {"sandbox": wall}
        assert ("bubblewrap does not work here" in done.stdout) == (not namespaces)
        assert "Submission 7 of Ada" in done.stdout
        assert "It should be" not in done.stdout
        graded = [t for t in found["tests"] if "score" in t]
        assert len(graded) == len(wanted)
        for test, (points, most, outcome, measured) in zip(graded, wanted, strict=True):
            assert (test["score"], test["max_score"], test["tags"][1]) == (points, most, outcome), test
            assert measured in test["output"] or measured == ""
        assert found["score"] == 35
        assert len([t for t in found["tests"] if "graded by people" in t["name"]]) == 2


@as_root
@pytest.mark.slow
def test_without_a_wall_that_works_there_is_no_result_and_no_older_one_stands(autograder, honest):
    (autograder.root / "results" / "results.json").write_text('{"score": 100}')
    done, found = autograder.grade(honest, sandbox="bubblewrap")
    assert (done.returncode, found) == (1, None)
    assert "Not graded: No sandbox can be made here." in done.stdout
    assert "Traceback" not in done.stderr


@as_root
@pytest.mark.slow
def test_what_holds_no_notebook_is_told_to_the_student(autograder, tmp_path):
    (tmp_path / "essay.txt").write_text("I forgot the notebook.")
    done, found = autograder.grade(tmp_path)
    assert done.returncode == 0, done.stderr
    assert found["score"] == 0
    assert "there is no notebook in it" in found["output"]
    assert found["visibility"] == "visible"


@as_root
@pytest.mark.slow
@pytest.mark.parametrize("other", ["nice", "hw5"])
def test_another_homework_is_named_to_the_student(autograder, tmp_path, other):
    shutil.copy(ROOT / "homeworks" / other / f"{other}.ipynb", tmp_path / "my work.ipynb")
    done, found = autograder.grade(tmp_path)
    assert done.returncode == 0, done.stderr
    assert found["score"] == 0
    assert f"my work.ipynb is {other}, and this is where hw1 is handed in: submit hw1 here." in found["output"]


# What student's code tries behind the wall of a user of its own, each in a kernel of its own, one after another.
READS = """
import glob, os
private = ["/autograder", "/autograder/source/salt", "/autograder/submission", "/autograder/results",
           "/autograder/source/kit/autograder/assignments/hw1/test_made.py", "/etc/shadow",
           *glob.glob("/tmp/deepul-*/????????"), "/run/deepul-users"]
others = [p for p in os.listdir("/proc") if p.isdigit() and os.stat(f"/proc/{p}").st_uid != os.getuid()]
of_others = ("environ", "mem", "root/autograder/source/salt", "cwd/source/salt", "fd")
private += [f"/proc/{p}/{what}" for p in others for what in of_others]
seen = []
for place in private:
    try:
        os.listdir(place) if os.path.isdir(place) else open(place, "rb").read(1)
        seen.append(place)
    except OSError:
        pass
print("asked:", len(private) > 20, "read:", seen)
print("salt:", [v for v in os.environ.values() if "0123456789abcdef" in v])
"""
WRITES = """
import os, sys, deepul_utils, torch
done = []
exchange = os.path.dirname(os.path.dirname(os.getcwd()))
for place in ("/autograder/results/results.json", "/autograder/results/other", "/autograder/x", "/usr/x", "/etc/x",
              "/run/x", "/opt/deepul/x", deepul_utils.__file__, torch.__file__, exchange + "/x"):
    try:
        open(place, "a").write("x")
        done.append(place)
    except OSError:
        pass
print("written:", done)
"""
KILLS = """
import os, signal, ctypes
reached = []
for pid in [int(p) for p in os.listdir("/proc") if p.isdigit()]:
    if os.stat(f"/proc/{pid}").st_uid != os.getuid():
        for how in (signal.SIGKILL, signal.SIGSTOP, 0):
            try:
                os.kill(pid, how)
                reached.append(pid)
            except PermissionError:
                pass
libc = ctypes.CDLL(None, use_errno=True)
print("reached:", reached, "traced:", libc.ptrace(16, os.getppid(), 0, 0))
print("namespaces:", libc.unshare(0x10000000), libc.unshare(0x40000000), libc.mount(b"none", b"/tmp", b"tmpfs", 0, 0))
for become in (os.setuid, os.setgid, lambda n: os.setgroups([n])):
    try:
        become(0)
        print("became root")
    except OSError:
        pass
print("capabilities:", [l.split()[1] for l in open("/proc/self/status") if l.startswith(("CapEff", "NoNewPrivs"))])
"""
NETWORK = """
import socket
reached = []
for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_STREAM), (40, 1),
                     (socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET, socket.SOCK_RAW), (socket.AF_PACKET, 3)):
    try:
        made = socket.socket(family, kind)
        reached.append(family)
        made.connect(("127.0.0.1", PORT))
        reached.append("connected")
    except OSError:
        pass
print("reached:", reached)
"""
LEAVES = """
import os, signal, subprocess, sys, ctypes
for folder in ("/tmp", "/var/tmp", "/dev/shm"):
    os.makedirs(f"{folder}/left/deep", exist_ok=True)
    open(f"{folder}/left/deep/answers", "w").write("x")
    os.chmod(f"{folder}/left/deep", 0)
    os.symlink("/autograder", f"{folder}/link")
libc = ctypes.CDLL(None, use_errno=True)
print("shared:", libc.shmget(7, 4096, 0o1666), libc.mq_open(b"/left", 0o102, 0o666, None))
for k in range(3):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork():
            os._exit(0)
        while True:
            signal.pause()
print("left", sorted(os.listdir("/tmp/left")))
"""
FORKS = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
AFTER = """
import os
others = [p for p in os.listdir("/proc") if p.isdigit() and 60000 <= os.stat(f"/proc/{p}").st_uid != os.getuid()]
found = [e.path for f in ("/tmp", "/var/tmp", "/dev/shm") for e in os.scandir(f)
         if e.name != "tmp" and 60000 <= e.stat(follow_symlinks=False).st_uid]
print("processes:", others, "files:", found)
"""
TRIES = dict(reads=READS, writes=WRITES, kills=KILLS, network=NETWORK, leaves=LEAVES, forks=FORKS, after=AFTER)
DRIVER = """
import json, os, socket, sys
from autograder.grading.kernel import Kernel, Stopped
from autograder.grading.limits import Limits
from autograder.grading.separate_user import SeparateUser

listener = socket.create_server(("127.0.0.1", 0))
box = SeparateUser(Limits(cell=20, total=60))
said, users = {}, []
for name, source in json.loads(sys.argv[1]).items():
    with Kernel(box, {"notes.txt": b"mine"}, seed=1) as kernel:
        users.append(box.uid)
        try:
            ran = kernel.execute(source.replace("PORT", str(listener.getsockname()[1])), 3 if name == "forks" else 20)
            said[name] = "".join(o.get("text", "") for o in ran.outputs) + ran.error
        except Stopped as stopped:
            said[name] = f"stopped: {stopped}"
    mine = [p for p in os.listdir("/proc") if p.isdigit() and os.stat(f"/proc/{p}").st_uid == box.uid]
    said[name] += f"still there: {mine}"
box.close()
said["users"] = len(set(users)) == len(users)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def tried(autograder) -> dict:
    autograder.root.chmod(0o700)
    (autograder.root / "results" / "results.json").write_text("{}")
    done = autograder.run(
        ["/opt/deepul/venv/bin/python", "-P", "-c", DRIVER, json.dumps(TRIES)],
        PYTHONPATH="/autograder/source/kit",
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) | {"results": (autograder.root / "results" / "results.json").read_text()}


@as_root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reads", "asked: True read: []\nsalt: []\n"),
        ("writes", "written: []\n"),
        (
            "kills",
            "reached: [] traced: -1\nnamespaces: -1 -1 -1\ncapabilities: ['0000000000000000', '1']\n",
        ),
        ("network", "reached: []\n"),
        ("leaves", "shared: -1 -1\nleft ['deep']\n"),
        ("after", "processes: [] files: []\n"),
    ],
)
def test_a_notebook_that_is_a_user_of_its_own_reaches_nothing(tried, name, said):
    assert tried[name] == said + "still there: []"


@as_root
@pytest.mark.slow
def test_a_fork_bomb_ends_with_its_notebook(tried):
    assert tried["forks"].endswith("still there: []")
    assert "limit" in tried["forks"]
    assert tried["users"], "each notebook is another user"
    assert tried["results"] == "{}"


@pytest.mark.parametrize(
    "text", ["[]", "no JSON", '{"users": null}', '{"users": [], "assignment": null}', '{"users": ["ada"]}',
             '{"users": [], "assignment": {"total_points": "many"}}'],
)  # fmt: skip
def test_metadata_of_another_form_is_said_and_costs_no_grade(text, tmp_path, capsys):
    file = tmp_path / "submission_metadata.json"
    file.write_text(text)
    gradescope._say_whose(file, {"points": 10, "written": 0})
    assert "does not say whose submission it is" in capsys.readouterr().out
