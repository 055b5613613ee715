"""The grader's end inside a sandboxed kernel: answers requests to the student's code, bounds what is printed."""

import traceback

import numpy as np
from ipykernel.iostream import OutStream

from autograder.grading import wire
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError

MOST_PRINTED = 1_000_000  # characters a cell


class BoundedStream(OutStream):
    """stdout or stderr of a cell: after MOST_PRINTED characters the rest is dropped, with a note."""

    left = MOST_PRINTED

    def write(self, text: str) -> int:
        if len(text) <= self.left:
            self.left -= len(text)
            return super().write(text)
        if self.left >= 0:
            super().write(text[: self.left] + f"\n… cut here: the cell printed over {MOST_PRINTED:,} characters.\n")
            self.left = -1
        return len(text)


def serve(kernel, session) -> None:
    """Let a kernel answer `deepul_request` messages about what its notebook defined and trained."""
    import sys

    student = LocalStudent(kernel.shell.user_ns, session.models, session.samples)
    streams = (sys.stdout, sys.stderr)

    def fresh_cell(*_):
        for stream in streams:
            stream.left = MOST_PRINTED

    def answer(stream, ident, parent):
        content, buffers = _answer(student, parent["content"], parent["buffers"])
        kernel.session.send(stream, "deepul_reply", content, parent, ident=ident, buffers=buffers)

    kernel.shell.events.register("pre_execute", fresh_cell)
    kernel.shell_handlers["deepul_request"] = answer


def _answer(student: LocalStudent, content: dict, buffers: list) -> tuple[dict, list]:
    try:
        arrays = wire.arrays(content["arrays"], buffers)
        result, out = student.request(content["message"], arrays, content["limit"])
        heads, out = wire.buffers([np.ascontiguousarray(a) for a in out])
        return {"result": result, "arrays": heads, "printed": student.take_printed()[-wire.MOST_PRINTED :]}, out
    except StudentCodeError as error:
        return {"error": [error.kind, error.message], "printed": student.take_printed()[-wire.MOST_PRINTED :]}, []
    except (Exception, KeyboardInterrupt):
        return {"fault": traceback.format_exc()[-4000:]}, []
