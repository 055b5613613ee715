"""The student door holds across processes: every check runs unchanged on a notebook that lives elsewhere.

The transport here is a pipe with JSON and .npy frames; what matters is that requests and replies are nothing
but JSON values and arrays, and that no test notices.
"""

import io
import json
import struct
import subprocess
import sys

import numpy as np
import pytest

from autograder import assignments, runner
from autograder.assignments import ROOT
from autograder.student import Student
from autograder.workbench import StudentCodeError

SERVER = """
import sys
from pathlib import Path
from autograder.notebooks import run_notebook
from autograder.workbench import StudentCodeError
from tests.autograder.test_other_process import receive, send

channel, sys.stdout = sys.stdout.buffer, sys.stderr
bench = run_notebook(Path(sys.argv[1])).student.bench
while (frame := receive(sys.stdin.buffer)) is not None:
    try:
        send(channel, *bench.handle(*frame))
    except StudentCodeError as error:
        send(channel, {"error": [error.kind, error.message]}, [])
"""


def send(stream, message, arrays: list[np.ndarray]) -> None:
    parts = [json.dumps(message).encode()]
    for array in arrays:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        parts.append(buffer.getvalue())
    stream.write(struct.pack("<I", len(parts)))
    for part in parts:
        stream.write(struct.pack("<Q", len(part)) + part)
    stream.flush()


def receive(stream):
    head = stream.read(4)
    if not head:
        return None
    parts = [stream.read(struct.unpack("<Q", stream.read(8))[0]) for _ in range(struct.unpack("<I", head)[0])]
    return json.loads(parts[0]), [np.load(io.BytesIO(p), allow_pickle=False) for p in parts[1:]]


class PipeStudent(Student):
    """A student whose notebook runs in another process."""

    def __init__(self, notebook):
        super().__init__()
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, notebook],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def request(self, message, arrays, limit):
        send(self.process.stdin, message, arrays)
        reply, arrays = receive(self.process.stdout)
        if isinstance(reply, dict) and "error" in reply:
            raise StudentCodeError(*reply["error"])
        return reply, arrays

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def elsewhere():
    student = PipeStudent(ROOT / "solutions" / "hw1" / "hw1.py")
    yield student
    student.close()


@pytest.mark.parametrize("exercise", [e.name for e in assignments.get("hw1").exercises])
def test_every_check_runs_on_a_notebook_in_another_process(elsewhere, exercise):
    score = runner.check(exercise, elsewhere)
    assert score == score.max_points, score.text()


def test_errors_come_back_in_the_words_of_the_exercise(elsewhere):
    with pytest.raises(StudentCodeError, match="the notebook defines no Nothing"):
        elsewhere.new("Nothing")
    with pytest.raises(StudentCodeError, match=r"MADE.log_prob raised .*"):
        elsewhere.new("MADE", dims=2, bins=3).log_prob(np.full((1, 2), 7))
