"""The sandboxed kernel: what runs in it, what it cannot do, and what the grader hears of it."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autograder import assignments, runner
from autograder.assignments import ROOT
from autograder.course import SandboxError
from autograder.grading import sandbox
from autograder.grading.kernel import Kernel, KernelStudent, Stopped, stored
from autograder.grading.limits import Limits
from autograder.grading.sandbox import Sandbox
from autograder.handout.submit import solution_cells, without_markers
from autograder.workbench import StudentCodeError
from tests.autograder.machine import OF_TORCH
from tests.core import CORE

LIMITS = Limits(cell=3, total=60, memory=(3 << 29) + OF_TORCH)


@pytest.fixture(scope="module")
def box():
    made = Sandbox(LIMITS)
    yield made
    made.close()


@pytest.fixture
def kernel(box):
    with Kernel(box, {"notes/hello.txt": b"hello"}, seed=1) as made:
        yield made


def printed(ran) -> str:
    return "".join(o.get("text", "") for o in ran.outputs)


def test_cells_run_and_show_what_jupyter_would_show(kernel):
    ran = kernel.execute("print(open('notes/hello.txt').read())\n1 + 1", 3)
    assert printed(ran) == "hello\n"
    assert ran.outputs[-1]["data"]["text/plain"] == "2"
    ran = kernel.execute("from matplotlib import pyplot as plt\nplt.plot([1, 2]);", 10)
    assert "image/png" in ran.outputs[-1]["data"]
    ran = kernel.execute("1 / 0", 3)
    assert ran.error == "ZeroDivisionError: division by zero"
    ran = kernel.execute("def f(:", 3)
    assert ran.error.startswith("SyntaxError in line 1: ")
    ran = kernel.execute("from IPython.display import clear_output\nprint(1)\nclear_output()\nprint(2)", 3)
    assert printed(ran) == "2\n"


def test_modules_beside_the_notebook_are_imported_after_pythons_own(box):
    with Kernel(box, {"beside/deep.py": b"made = 3", "random.py": b"made = 4"}, seed=1) as kernel:
        ran = kernel.execute("import random\nfrom beside import deep\ndeep.made, hasattr(random, 'made')", 3)
    assert ran.outputs[-1]["data"]["text/plain"] == "(3, False)", ran.error


MADE_BY = """
import torch
from torch import nn
from deepul_utils import drawn, fit, trained

class MADE(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def loss(self, x):
        self.weight.data *= torch.tril(torch.ones(2, 2))
        return (self(x) - x).square().mean()

    def sample(self, n):
        self.loss(torch.ones(n, 2))
        return torch.zeros(n, 2)

def train(model):
    optimizer = torch.optim.Adam(model.parameters())
    return fit(model, model.loss, torch.ones(9, 2), optimizer=optimizer, steps=3, batch_size=3)
"""
CELL_OF_TRAINING = """
model = trained("made.smiley", MADE(), fit=train)
samples = drawn("made.smiley", lambda: model.sample(4))
"""


def test_the_grader_hears_by_which_code_weights_and_samples_were_made(kernel):
    """And samples stay those of their weights, though a forward pass lays a mask over these in place."""
    student = KernelStudent(kernel)
    for cell in (MADE_BY, CELL_OF_TRAINING):
        assert kernel.execute(cell, 10).error == ""
    assert student.notes("made") == []
    assert kernel.execute(MADE_BY.replace("torch.zeros(n, 2)", "torch.ones(n, 2)"), 3).error == ""
    ran = kernel.execute(CELL_OF_TRAINING, 3)  # what was handed in is graded
    assert "loaded the weights" in printed(ran)
    assert "loaded 4 samples drawn before" in printed(ran)
    said = "by another version of your code"
    assert student.notes("made") == [
        f"made.smiley: its samples were drawn {said} (MADE.sample changed); drawn(…, redraw=True) draws anew."
    ]
    assert kernel.execute(MADE_BY.replace(".square()", ".abs()"), 3).error == ""
    ran = kernel.execute(CELL_OF_TRAINING, 3)
    assert f"{said} (MADE.loss changed); retrain=True trains anew" in printed(ran)
    assert student.notes("made")[0] == (
        f"made.smiley: its weights were trained {said} (MADE.loss changed); retrain=True trains anew."
    )


@pytest.mark.parametrize("assignment", CORE)
def test_every_check_runs_on_a_sandboxed_notebook(assignment):
    """The very tests that run live, unchanged: full marks for the solution."""
    folder = ROOT / "solutions" / assignment / "artifacts"
    files = {f"artifacts/{p.name}": p.read_bytes() for p in folder.iterdir()}
    box = Sandbox(replace(LIMITS, total=400))  # the whole assignment
    with (
        contextlib.closing(box),
        Kernel(box, files, seed=1) as kernel,
    ):
        for cell in solution_cells(assignment):
            if cell.kind == "code" and "check(" not in cell.source:
                assert kernel.execute(without_markers(cell.source), 60).error == ""
        for exercise in assignments.get(assignment).exercises:
            score = runner.check(exercise.name, KernelStudent(kernel, files), "a salt")
            assert score == score.max_points, score.text()


def test_errors_come_back_in_the_words_of_the_exercise(kernel):
    student = KernelStudent(kernel)
    with pytest.raises(StudentCodeError, match="the notebook defines no Nothing"):
        student.new("Nothing")
    kernel.execute("def f(x):\n    print('seen')\n    return x['no']", 3)
    with pytest.raises(StudentCodeError, match=r"f raised .* line 3 of its cell: return x\['no'\]"):
        student.call("f", np.zeros(3))
    kernel.execute("def f(x):\n    print('seen')\n    return x", 3)
    student.call("f", np.zeros(3))
    assert student.take_printed() == "seen\n"


@pytest.mark.parametrize("shape", [(), (1,), (2, 0), (2, 3)])
def test_an_array_comes_back_in_its_shape(kernel, shape):
    """A loss is one number: (), and not (1,)."""
    kernel.execute("def f(x): return x + 1", 3)
    came = KernelStudent(kernel).call("f", np.zeros(shape, dtype=np.float32))
    np.testing.assert_array_equal(came, np.ones(shape, dtype=np.float32), strict=True)


def test_twenty_round_trips_of_most_of_a_megabyte_take_less_than_a_second(kernel):
    kernel.execute("def f(x): return x + 1", 3)
    student, x = KernelStudent(kernel), np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    began = time.monotonic()
    for _ in range(20):
        y = student.call("f", x)
    assert time.monotonic() - began < 1.0  # measured: 0.09 s
    np.testing.assert_array_equal(y, x + 1)


def test_a_call_that_takes_too_long_is_stopped_and_the_kernel_goes_on(kernel):
    kernel.execute("def slow(x):\n    while True: pass\ndef f(x): return x", 3)
    student = KernelStudent(kernel)
    with pytest.raises(StudentCodeError, match="slow took longer than 1 s"):
        student.call("slow", np.zeros(1), limit=1)
    assert student.call("f", np.zeros(1)).shape == (1,)


def test_a_call_that_will_not_stop_ends_the_kernel_and_later_calls_say_why(kernel):
    kernel.execute(
        "import signal\ndef f(x):\n    signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass",
        3,
    )
    student = KernelStudent(kernel)
    for _ in range(2):
        with pytest.raises(StudentCodeError, match="grading of this notebook stopped: time limit of 1 s a call"):
            student.call("f", np.zeros(1), limit=1)


def forge(kernel, frames: str) -> None:
    """Let a notebook answer requests itself: the frames of an answer, of `head`, the request's own."""
    forged = (
        "import json\nfrom autograder.grading import kernel_side\n"
        "head_of = lambda head, said: {'number': head['number'], **said} if isinstance(said, dict) else said\n"
        f"kernel_side._answer = lambda student, head, buffers: {frames}"
    )
    assert kernel.execute(forged, 3).error == ""


@pytest.mark.parametrize(
    "reply",
    [
        "None",
        "{}",
        "{'result': {'array': 0}, 'arrays': []}",
        "{'result': 1, 'arrays': 7}",
        "{'result': {'array': 0}, 'arrays': [{'dtype': '|O', 'shape': [1]}]}",
        "{'result': {'array': 0}, 'arrays': [{'dtype': '<f8', 'shape': [1 << 60]}]}",
        "{'result': {'array': 5}, 'arrays': [{'dtype': '<f8', 'shape': [1]}]}",
        "{'result': {'array': []}, 'arrays': [{'dtype': '<f8', 'shape': [1]}]}",
        "{'result': " + "[" * 50 + "]" * 50 + ", 'arrays': [{'dtype': '<f8', 'shape': [1]}]}",
    ],
)
def test_a_reply_that_is_none_is_the_students_and_never_the_graders_error(kernel, reply):
    forge(kernel, f"[json.dumps(head_of(head, {reply})).encode(), b'12345678']")
    score = runner.check("made", KernelStudent(kernel))
    assert score == 0
    assert {r.outcome for r in score.results} <= {"failed", "skipped"}, [r.fault for r in score.results]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("b'no json'", "something that is no answer"),
        ("b''", "something that is no answer"),
        ("b'\\xff\\xfe'", "something that is no answer"),
        ("b'[' * 100_000", "something that is no answer"),
        ("b'7'", "something that is no answer"),
        ("b' ' * (9 << 20)", "more than 8 MB of text"),
        ("json.dumps({'number': head['number'], 'error': ['x', '\\ud800']}).encode()", "^\\?$"),
        ("json.dumps({'number': head['number'], 'result': 1, 'arrays': [{}]}).encode()", "which arrays it holds"),
    ],
)
def test_an_answer_that_cannot_be_read_is_said_at_once(kernel, frame, said):
    forge(kernel, f"[{frame}]")
    began = time.monotonic()
    with pytest.raises(StudentCodeError, match=said):
        KernelStudent(kernel).call("anything", limit=20)
    assert time.monotonic() - began < 10


def test_an_answer_to_another_request_is_none(kernel):
    kernel.execute("def one(): return torch.ones(())", 3)
    forge(kernel, "[json.dumps({'number': head['number'] - 1, 'result': 7, 'arrays': []}).encode()]")
    with pytest.raises(StudentCodeError, match="time limit of 1 s a call, in one"):
        KernelStudent(kernel).call("one", limit=1)


def test_cells_and_requests_follow_each_other_as_they_come(kernel):
    student = KernelStudent(kernel)
    for k in range(3):
        assert not kernel.execute(f"import torch\ndef number(): return torch.tensor({k})", 3).error
        assert [int(student.call("number")) for _ in range(2)] == [k, k]
    assert printed(kernel.execute("print(int(number()))", 3)) == "2\n"


def test_what_a_thread_shows_between_cells_takes_no_later_output(kernel):
    noise = (
        "import threading, time\ndef on():\n  for k in range(4000): display(k); time.sleep(0.0005)\n"
        "import torch\ndef late(): time.sleep(2.5); return torch.zeros(())\n"
        "from IPython.display import display\nthreading.Thread(target=on, daemon=True).start()"
    )
    assert not kernel.execute(noise, 3).error
    KernelStudent(kernel).call("late", limit=10)
    assert printed(kernel.execute("print('here')", 3)) == "here\n"


def test_samples_that_were_drawn_reach_the_checks(box):
    with Kernel(box, {}, seed=1) as kernel:
        ran = kernel.execute(
            "import torch\nfrom deepul_utils import drawn, trained\n"
            "trained('line', torch.nn.Linear(1, 1), fit=lambda model: None)\n"
            "drawn('line', lambda: torch.arange(6).view(3, 2));",
            30,
        )
        assert not ran.error, ran.error
        assert KernelStudent(kernel).drawn("line", 2).tolist() == [[0, 1], [2, 3], [4, 5]]


def test_too_many_processes_end_a_kernel():
    box = Sandbox(Limits(processes=4))
    sleepers = "import os, time\nfor k in range(6):\n  if os.fork() == 0: time.sleep(60)\ntime.sleep(60)"
    with Kernel(box, {}, seed=1) as kernel, pytest.raises(Stopped, match="process limit: it started over 4 processes"):
        kernel.execute(sleepers, 30)
    box.close()


@pytest.mark.alone
@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import os; os._exit(7)", "ended its own kernel (exit code 7)"),
        ("import ctypes; ctypes.string_at(0)", "segmentation fault"),
        ("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", "limit: it "),
        ("import signal\nsignal.signal(2, signal.SIG_IGN)\nwhile True: pass", "time limit of 1 s a cell"),
        (f"import os\nfor k in range(3): os.fork()\nx = b'x' * {LIMITS.memory // 3}\nwhile True: pass", "memory limit"),
    ],
)
def test_what_ends_a_kernel_is_said(box, source, why):
    began = time.monotonic()
    with Kernel(box, {}, seed=1) as kernel, pytest.raises(Stopped):
        kernel.execute(source, 1 if why.startswith("time limit") else 10)
    assert why in kernel.ended
    assert time.monotonic() - began < 12


@pytest.mark.parametrize("source", ["exit", "quit()", "if True:\n    exit()", "get_ipython().ask_exit()"])
def test_exit_ends_nothing_behind_the_back_of_the_next_cell(kernel, source):
    assert not kernel.execute(source, 10).error
    time.sleep(0.5)
    ran = kernel.execute("print('goes on')", 10)
    assert "goes on" in str(ran.outputs)
    assert not kernel.process.stopped


@pytest.mark.parametrize(
    "source", ["torch.set_default_device('cuda')", "torch.set_default_device(torch.device('mps'))"]
)
def test_a_default_device_that_is_not_here_is_the_cpu(kernel, source):
    assert not kernel.execute(f"import torch\n{source}", 10).error
    ran = kernel.execute("print(torch.ones(2).device, torch.get_default_device())", 10)
    assert "cpu cpu" in str(ran.outputs)


DESCRIPTORS = """
import os
for fd in os.listdir("/proc/self/fd"):
    try:
        print(fd, os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        pass  # that of the listing itself
"""


def test_a_notebook_has_no_descriptor_of_the_warm_process(box, kernel):
    there = {fd: os.readlink(f"/proc/{box._process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{box._process.pid}/fd")}
    pipes = {target for target in there.values() if target.startswith("pipe:")}
    assert pipes, "the warm process has pipes to the grader"
    found = dict(line.split(" ", 1) for line in printed(kernel.execute(DESCRIPTORS, 3)).splitlines())
    assert not pipes & set(found.values())
    files = [target for target in found.values() if target.startswith("/") and target != "/dev/null"]
    assert not [f for f in files if f.startswith(("/exchange", "/kit", "/tmp"))], "of the system's own at most"
    ours = [target for target in found.values() if target.startswith("pipe:")]
    assert all(ours.count(target) == 2 for target in ours), "both ends are its own"


WRITES = """
import os
for fd in range(3, 64):
    try:
        os.write(fd, b"{}\\n" * 3)
    except OSError:
        pass
"""


def test_a_notebook_that_writes_to_all_its_descriptors_reaches_nobody(box):
    with contextlib.suppress(Stopped), Kernel(box, {}, seed=1) as kernel:  # it may spoil its own connection
        kernel.execute(WRITES, 3)
    for _ in range(3):
        with Kernel(box, {}, seed=1) as neighbour:
            assert printed(neighbour.execute("print(1)", 3)) == "1\n"


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"3\n",
        b"[]\n",
        b"not json\n",
        b'{"number": 7}\n',
        b"[" * 100_000 + b"\n",
        b"x" * 2**20,
        b"\xff\n",
    ],
)
def test_an_answer_out_of_turn_is_a_fault_of_the_sandbox(monkeypatch, tmp_path, line):
    (tmp_path / "answer").write_bytes(line)
    program = f"""echo '{{"number": 0}}'; read command; cat {tmp_path / "answer"}; cat"""
    monkeypatch.setattr(sandbox, "command", lambda exchange: ["sh", "-c", program])
    made = Sandbox(LIMITS)
    try:
        with pytest.raises(SandboxError, match="the sandbox answered out of turn"):
            made.start({}, seed=1)
        made._process.wait(5)
        assert not made.alive
    finally:
        made.close()


def test_a_fault_that_a_notebook_claims_is_its_own_word_and_no_fault_of_ours(kernel):
    """Whatever comes from the kernel is the student's doing: it is quoted, and no check is “not graded” by it."""
    forge(kernel, "[json.dumps(head_of(head, {'fault': 'give this exercise full marks by hand'})).encode()]")
    score = runner.check("made", KernelStudent(kernel), "a salt")
    assert float(score) == 0
    assert {r.outcome for r in score.results} <= {"failed", "skipped"}
    said = next(r for r in score.results if r.kind == "kit")
    assert said.measured.endswith("kernel failed: “give this exercise full marks by hand”.")


def test_an_exit_code_is_called_one(box):
    with Kernel(box, {}, seed=1) as kernel, pytest.raises(Stopped):
        kernel.execute("import os; os._exit(200)", 3)
    assert kernel.ended == "the notebook ended its own kernel (exit code 200)"


def test_all_outputs_of_a_notebook_have_a_limit_together(kernel, monkeypatch):
    monkeypatch.setattr(kernel, "_room", 2_000_000)
    shown = [printed(kernel.execute("print('x' * 900_000)", 5)) for _ in range(4)]
    assert sum(map(len, shown)) < 2_000_000
    assert "was left out" in shown[-1]
    assert "was left out" not in shown[0]


def test_after_a_kernel_the_next_one_is_as_new(box):
    leave = "import torch; torch.left = 1\nfor p in ('/tmp', '/dev/shm', '/student'): open(f'{p}/left', 'w').close()"
    look = "import glob, torch\nprint(glob.glob('/*/left') + glob.glob('/*/*/left'), hasattr(torch, 'left'))"
    with Kernel(box, {"secret.txt": b"mine"}, seed=1) as kernel:
        assert kernel.execute(leave, 3).error == ""
    with Kernel(box, {}, seed=1) as kernel:
        assert printed(kernel.execute(look, 3)) == "[] False\n"


def test_the_same_numbers_in_every_kernel(box):
    """Students who set no seed are graded on the same random numbers each time."""
    source = "import random, numpy, torch\nprint(random.random(), numpy.random.rand(), torch.rand(1).item(), hash('a'))"
    drawn = []
    for _ in range(5):
        with Kernel(box, {}, seed=5) as kernel:
            first, broken, second = (kernel.execute(s, 3) for s in (source, "1 / 0", source))
            assert broken.error
            drawn.append((printed(first), printed(second)))
    assert len(set(drawn)) == 1
    first, second = (text.split()[:3] for text in drawn[0])
    assert not set(first) & set(second), "a cell goes on where the one before it ended"
    assert first[0] == str(random.Random(5).random()), "nothing but the cells draws from the student's numbers"


def test_a_check_in_a_students_own_cell_is_left_to_the_grader(kernel):
    ran = kernel.execute("from deepul_utils import check\ncheck('made')", 3)
    assert ran.error == ""
    assert "graded" in printed(ran)


def test_without_bubblewrap_nothing_is_graded_and_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(SandboxError, match="sudo apt install bubblewrap"):
        sandbox.require()


def test_a_sandbox_that_cannot_be_made_says_why(monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: "/bin/false")
    with pytest.raises(SandboxError, match="No sandbox can be made here"):
        sandbox.require()


def test_what_killed_graders_left_is_swept(tmp_path):
    left = Path("/tmp/deepul-999999999-left")
    left.mkdir()
    made = Sandbox(LIMITS)
    assert not left.exists()
    assert made.exchange.name.startswith(f"deepul-{os.getpid()}-")
    made.close()
    assert not made.exchange.exists()


def test_a_killed_grader_takes_its_sandbox_along():
    source = (
        "from autograder.grading.sandbox import Sandbox\nfrom autograder.grading.limits import Limits\nimport time\n"
        "made = Sandbox(Limits())\nprint(made._process.pid, flush=True)\ntime.sleep(60)"
    )
    grader = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    inside = Path(f"/proc/{int(grader.stdout.readline())}")
    assert inside.exists()
    grader.kill()
    grader.communicate()
    for _ in range(100):
        if not inside.exists():
            break
        time.sleep(0.05)
    assert not inside.exists()


def test_limits_are_given_by_name():
    assert Limits.parse(["cell=60", "memory=1000000000"]) == Limits(cell=60, memory=1_000_000_000)
    for wrong in ("cell", "cell=long", "speed=3"):
        with pytest.raises(ValueError, match="give one of cell=120, training=900"):
            Limits.parse([wrong])


def _of_type(kind: str, size: int) -> bytes:
    """A weights file of eight numbers of a type, as safetensors lays it out."""
    header = json.dumps({"w": {"dtype": kind, "shape": [8], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


@pytest.mark.parametrize(("kind", "size"), [("F8_E8M0", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("MINE", 8)])
def test_weights_of_types_that_nobody_computes_with_are_refused_in_words(kind, size):
    with pytest.raises(StudentCodeError, match=r"artifacts/made\.safetensors cannot be read"):
        stored(_of_type(kind, size), "made")
