"""The grader's end inside a sandboxed kernel: answers requests to the student's code, bounds what is printed."""

import contextlib
import json
import traceback

import torch
import zmq
from ipykernel.iostream import OutStream

from autograder.grading import wire
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError
from deepul_utils.training.randomness import _random_state, _set_random_state

MOST_PRINTED = 1_000_000  # characters a cell


class BoundedStream(OutStream):
    """stdout or stderr of a cell: after MOST_PRINTED characters the rest is dropped, with a note."""

    left = MOST_PRINTED

    def write(self, text: str) -> int:
        if len(text) <= self.left:
            self.left -= len(text)
            return super().write(text)  # type: ignore[return-value]  # None for what is no text
        if self.left >= 0:
            super().write(text[: self.left] + f"\n… cut here: the cell printed over {MOST_PRINTED:,} characters.\n")
            self.left = -1
        return len(text)


def serve(kernel, session, requests: zmq.Socket) -> None:
    """Let a kernel answer requests about what its notebook defined and trained, between its cells.

    They come by a socket of their own: from a message `deepul_requests` on, until one that is empty. As messages of
    Jupyter's each would cost ten times what most take to be answered, and a check asks hundreds.
    """
    import sys

    student = LocalStudent(kernel.shell.user_ns, session.models, session.samples, session.histories, session.kept)
    streams = (sys.stdout, sys.stderr)

    # Kernels draw random numbers of their own between cells, more or fewer as the machine is busy: they are not to
    # move the student's.
    random_state = [_random_state()]

    def fresh_cell(*_):
        _set_random_state(random_state[0])
        for stream in streams:
            stream.left = MOST_PRINTED

    def end_of_cell(*_):
        random_state[0] = _random_state()

    def answer_all(*_):
        while (frames := _received(requests))[0].bytes:
            head, *buffers = frames
            requests.send_multipart(_answer(student, json.loads(head.bytes), buffers), copy=False)

    # In place of ending the kernel after the cell's answer, when another cell runs already.
    kernel.shell.ask_exit = lambda: print("exit: nothing ends here, the cells that follow are run.")
    torch.set_default_device = _set_default_device
    kernel.shell.events.register("pre_execute", fresh_cell)
    kernel.shell.events.register("post_execute", end_of_cell)
    kernel.shell_handlers["deepul_requests"] = answer_all


_set_default = torch.set_default_device


def _set_default_device(device) -> None:
    """torch.set_default_device, with the CPU in the place of a GPU that the grading machine has not."""
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        print(f"There is no {device} where this is graded ({str(error)[:100]}): the CPU is used.")
        device = "cpu"
    _set_default(device)


def _received(requests: zmq.Socket) -> list:
    """The frames of the next message. An interrupt that was meant for a cell comes too late here."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return requests.recv_multipart(copy=False)


def _answer(student: LocalStudent, head: dict, buffers: list) -> list:
    """The frames of the answer to one request."""
    said: dict = {"number": head["number"]}
    try:
        result, out = student.request(head["message"], wire.arrays(head["arrays"], buffers), head["limit"])
        heads, out = wire.buffers(out)
        said |= {"result": result, "arrays": heads, "printed": student.take_printed()[-wire.MOST_PRINTED :]}
        return [json.dumps(said).encode(), *out]
    except StudentCodeError as error:
        said |= {"error": [error.kind, error.message], "printed": student.take_printed()[-wire.MOST_PRINTED :]}
    except (Exception, KeyboardInterrupt):
        said = {"number": head["number"], "fault": traceback.format_exc()[-4000:]}
    return [json.dumps(said).encode()]
