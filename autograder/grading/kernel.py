"""The grader's side of a sandboxed kernel: runs cells, and asks the student's code for arrays.

Cells go by Jupyter's protocol over ipc, requests by a socket of their own (kernel_side.py). Everything that arrives is
untrusted: frames are bounded before they are read, replies belong to the request that asked or are dropped, and every
wait has an end.
"""

import json
import math
import re
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zmq
from jupyter_client.session import Session

from autograder.course import SandboxError
from autograder.grading import outputs, wire
from autograder.grading.sandbox import Process, Sandbox
from autograder.student import Student
from autograder.workbench import StudentCodeError

HALF = re.compile(rb"\\u[dD]")
NO_ANSWER = "the notebook answered with something that is no answer."
KIT = "kit"  # kind of an error in the kit's own part of a kernel, as the kernel says
GRACE = 3.0  # seconds a kernel has to heed an interrupt, and to answer beyond a request's own limit
MOST_FRAME = 80 * 2**20  # bytes of one frame of an answer
MOST_HEAD = 8 * 2**20  # bytes of an answer without its arrays
MOST_OUTPUT = 8 * 2**20  # bytes of one message of output, and of all output of a cell
MOST_OUTPUTS = 24 * 2**20  # bytes of all output of a notebook; the solutions have two or three
MOST_ERROR = 20_000  # characters of an error's message, and of each line of its traceback
MOST_LINES = 200  # of a traceback
EXECUTE = {  # Jupyter's request to run a cell, but for its code
    "silent": False,
    "store_history": True,
    "user_expressions": {},
    "allow_stdin": False,
    "stop_on_error": False,
}


@dataclass
class Ran:
    """What came of a cell: outputs as in a notebook; error is "" or one line."""

    outputs: list[dict] = field(default_factory=list)
    error: str = ""


class Stopped(Exception):
    """The kernel is gone; says why, in the words of the course."""


class Kernel:
    """A running kernel of one submission, ready when made; `close` it, or use it in a `with`.

    deadline: until when (time.monotonic()) it may be used, if that is sooner than its limits say. starved: that a time
    limit was met while the machine had no time for it, in words, or "". Raises SandboxError if it does not come up.
    """

    def __init__(self, sandbox: Sandbox, files: dict[str, bytes], seed: int, deadline: float = math.inf):
        self.limits = sandbox.limits
        self._deadline = min(deadline, time.monotonic() + self.limits.total)
        self.starved = ""
        self.process: Process = sandbox.start(files, seed)
        self._began = self.process.mark()
        self._room = MOST_OUTPUTS
        connection = self.process.connection
        self._session = Session(key=connection["key"].encode(), signature_scheme=connection["signature_scheme"])
        self._session.check_pid = False
        self._context = zmq.Context()
        self._shell = self._socket(zmq.DEALER, "shell", MOST_FRAME, 16)
        self._iopub = self._socket(zmq.SUB, "iopub", MOST_OUTPUT, 64)
        self._iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self._poller = zmq.Poller()
        self._poller.register(self._shell, zmq.POLLIN)
        self._poller.register(self._iopub, zmq.POLLIN)
        self._requests = self._socket(zmq.DEALER, "requests", MOST_FRAME, 16)
        self._between_cells = zmq.Poller()
        self._between_cells.register(self._requests, zmq.POLLIN)
        self._between_cells.register(self._iopub, zmq.POLLIN)
        self._is_answering = False  # requests, and no cells
        self._number = 0  # of the last request
        self.ended = ""  # why the kernel is gone
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Kernel":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _socket(self, kind: int, channel: str, most: int, waiting: int):
        connection = self.process.connection
        socket = self._context.socket(kind)
        for option, value in ((zmq.LINGER, 0), (zmq.MAXMSGSIZE, most), (zmq.RCVHWM, waiting), (zmq.RECONNECT_IVL, 20)):
            socket.setsockopt(option, value)
        socket.connect(f"ipc://{connection['ip']}-{connection[f'{channel}_port']}")
        return socket

    def _wait_until_ready(self) -> None:
        """Until an answer to a message of ours arrives on the channel of outputs, so that none is missed."""
        end = time.monotonic() + 60
        while time.monotonic() < end and not self.process.stopped:
            sent = self._send("kernel_info_request", {})
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                channel, message = self._receive(until)
                if channel is self._iopub and message and message["parent_header"].get("msg_id") == sent:
                    return
        raise SandboxError(f"the kernel did not come up. {self.process.stopped}")

    def execute(self, source: str, limit: float) -> Ran:
        """Run a cell. Raises Stopped if the kernel is gone, or has to go because of this cell."""
        if self._is_answering:
            self._requests.send(b"")
            self._is_answering = False
        request = self._send("execute_request", EXECUTE | {"code": source})
        cell = _Running(limit, min(MOST_OUTPUT, self._room), self.process.mark(), time.monotonic() + limit)
        while not cell.is_complete:
            now = time.monotonic()
            if now > self._deadline:
                self._stop_at_the_end()
            if now > cell.outputs_due:
                break  # an output that was too large took the end of the cell with it
            if now > cell.reply_due:
                self._overdue(cell)
            channel, message = self._receive(min(cell.reply_due, cell.outputs_due))
            if message is None or message["parent_header"].get("msg_id") != request:
                continue
            if channel is self._shell:
                cell.take_reply(message["content"])
            else:
                cell.take_output(message)
        self._room -= min(cell.size, cell.room)
        return cell.result()

    def _overdue(self, cell: "_Running") -> None:
        """A cell that has not ended in time is interrupted; one that was, and goes on, ends its kernel."""
        if cell.interrupted:
            self._stop(f"time limit of {cell.limit:g} s a cell")
        cell.interrupted, cell.reply_due = True, time.monotonic() + GRACE
        self._note(cell.mark)
        self.process.interrupt()

    def request(self, message: dict, arrays: list[np.ndarray], limit: float) -> tuple[object, list[np.ndarray], str]:
        """One request to the student's code: (result, arrays, what it printed).

        Raises StudentCodeError, Stopped, or RuntimeError for a fault of ours.
        """
        heads, buffers = wire.buffers(arrays)
        if not self._is_answering:
            self._send("deepul_requests", {})
            self._is_answering = True
        self._number += 1
        head = {"number": self._number, "message": message, "arrays": heads, "limit": limit}
        self._requests.send_multipart([json.dumps(head).encode(), *buffers], copy=False)
        end, began = time.monotonic() + limit + GRACE, self.process.mark()
        while True:
            now = time.monotonic()
            if now > self._deadline:
                self._stop_at_the_end()
            if now > end:
                self._note(began)
                self._stop(f"time limit of {limit:g} s a call, in {message.get('name') or message.get('method')}")
            if not (frames := self._answered(min(end, self._deadline))):
                continue
            try:
                head = _head(frames[0].buffer)
                if head.get("number") == self._number:
                    return _unpacked(head, frames[1:])
            except StudentCodeError as error:
                if error.kind == "time limit":
                    self._note(began)
                raise

    def close(self) -> None:
        self._context.destroy(linger=0)
        self.ended = self.process.close()

    def _note(self, began: tuple) -> None:
        """A time limit was met, by what began at that mark."""
        self.starved = self.starved or self.process.starved(began)

    def _stop_at_the_end(self) -> None:
        self._note(self._began)
        self._stop(f"time limit of {self.limits.total / 60:g} min for the whole notebook")

    def _stop(self, why: str) -> None:
        self.process.stop(why)
        raise Stopped(why)

    def _send(self, kind: str, content: dict, buffers: list | None = None) -> str:
        if self.process.stopped:
            raise Stopped(self.process.stopped)
        message = self._session.msg(kind, content)
        self._session.send(self._shell, message, buffers=buffers)
        return message["header"]["msg_id"]

    def _receive(self, end: float):
        """(channel, message) or (None, None) when nothing came in a tenth of a second or by `end`."""
        ready = dict(self._poller.poll(_wait(end)))
        for socket in (self._iopub, self._shell):  # outputs first: they were sent before the reply
            if socket in ready:
                frames = socket.recv_multipart(copy=False)
                try:
                    return socket, self._understood(frames)
                except (ValueError, TypeError, KeyError, RecursionError):
                    return socket, None  # not a message of the protocol: as if it had not come
        if self.process.stopped:
            raise Stopped(self.process.stopped)
        return None, None

    def _answered(self, end: float) -> list:
        """The frames of what came from the side of requests, or [] when nothing did in a tenth of a second."""
        ready = dict(self._between_cells.poll(_wait(end)))
        if self._iopub in ready:  # of no cell: a thread that goes on showing things may not fill the way
            self._iopub.recv_multipart(copy=False)
        if self._requests in ready:
            return self._requests.recv_multipart(copy=False)
        if self.process.stopped:
            raise Stopped(self.process.stopped)
        return []

    def _understood(self, frames: list) -> dict:
        _, parts = self._session.feed_identities(frames, copy=False)
        message = self._session.deserialize(parts, copy=False)
        body: Any = parts[4]  # a frame of zmq, not copied
        message["content"] = _whole(message["content"], body.buffer)
        if not isinstance(message["parent_header"], dict):
            raise ValueError("no message of the protocol")
        if not isinstance(message["content"], dict):
            message["content"] = {"status": "error", "ename": "Error", "evalue": NO_ANSWER}
        return message | {"size": sum(len(f) for f in frames)}


def _wait(end: float) -> int:
    """Milliseconds until then, a tenth of a second at most."""
    return int(1000 * max(0.0, min(end - time.monotonic(), 0.1)))


def _head(raw: memoryview) -> dict:
    """What stands at the beginning of an answer. Raises StudentCodeError for what is none."""
    if len(raw) > MOST_HEAD:
        raise StudentCodeError("wrong type", f"the notebook answered with more than {MOST_HEAD // 2**20} MB of text.")
    try:
        head = _whole(json.loads(bytes(raw)), raw)
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise StudentCodeError("wrong type", NO_ANSWER)
    return head


def _whole(content, raw: memoryview):
    """What was read from `raw`, without half characters, which nothing can write."""
    if not HALF.search(raw):
        return content
    return json.loads(outputs.readable(json.dumps(content, ensure_ascii=False)))


def _unpacked(content: dict, buffers: list) -> tuple[object, list[np.ndarray], str]:
    printed = content.get("printed")
    printed = printed[-wire.MOST_PRINTED :] if isinstance(printed, str) else ""
    error = content.get("error")
    if isinstance(error, list) and len(error) == 2 and all(isinstance(e, str) for e in error):
        raise StudentCodeError(error[0][:40], error[1][:4000])
    if "fault" in content:  # the kit's own code there failed, or so the notebook says: a TA has to look
        last = str(content["fault"])[-4000:].strip().splitlines()[-1:] or ["nothing"]
        raise StudentCodeError(KIT, f"the kit's own part of the notebook's kernel failed: “{last[0][:300]}”.")
    try:
        return content.get("result"), wire.arrays(content.get("arrays"), buffers), printed
    except wire.WireError as error:
        raise StudentCodeError("wrong type", f"the notebook answered with {error}.") from None


def _described(name: str, text: str) -> str:
    """One line about the error of a cell; IPython names a file that nobody knows, where a line is of use."""
    end = text[-300:]  # nothing is sought in the whole of it, which may be megabytes
    place = re.search(r" \([^()\n]*, line (\d{1,9})\)\Z", end)
    said = text[: len(text) - len(end) + place.start()] if place else text
    return (f"{name} in line {place[1]}: {said}" if place else f"{name}: {said}")[:1000]


class _Outputs:
    """The outputs of a cell, as a notebook keeps them."""

    def __init__(self):
        self.outputs: list[dict] = []
        self._clear = False

    def add(self, kind: str, content: dict) -> None:
        if kind == "clear_output":
            self._clear = True
            if not content.get("wait"):
                self._take_clear()
            return
        output = _output(kind, content)
        if output is None:
            return
        self._take_clear()
        last = self.outputs[-1] if self.outputs else {}
        if kind == "stream" and last.get("output_type") == "stream" and last["name"] == output["name"]:
            last["text"] += output["text"]
        else:
            self.outputs.append(output)

    def _take_clear(self) -> None:
        if self._clear:
            self.outputs, self._clear = [], False


@dataclass
class _Running:
    """A cell under way: what it may do, and what has come of it so far.

    limit: seconds. room: bytes of its output that are kept. mark: of the process, as the cell began. reply_due: when it
    has to have ended: after its limit, or, interrupted, after some grace. outputs_due: when all that it has shown must
    be here, once it has ended. size: bytes of output that came.
    """

    limit: float
    room: int
    mark: tuple
    reply_due: float
    outputs_due: float = math.inf
    interrupted: bool = False
    is_idle: bool = False
    reply: dict = field(default_factory=dict)
    size: int = 0
    outputs: _Outputs = field(default_factory=_Outputs)

    @property
    def is_complete(self) -> bool:
        return self.is_idle and bool(self.reply)

    def take_reply(self, content: dict) -> None:
        """It has ended. A reply without a word is none."""
        if content:
            self.reply = content
            self.outputs_due = min(self.reply_due, time.monotonic() + GRACE)

    def take_output(self, message: dict) -> None:
        kind = message["header"]["msg_type"]
        if kind == "status":
            self.is_idle = message["content"].get("execution_state") == "idle"
            return
        self.size += message["size"]
        if self.size <= self.room:
            self.outputs.add(kind, message["content"])

    def result(self) -> Ran:
        shown = self.outputs.outputs
        if not self.is_idle or self.size > self.room:
            most = f"over {MOST_OUTPUT // 2**20} MB a cell or {MOST_OUTPUTS // 2**20} MB in all"
            shown.append(_text(f"[the rest of the output, {most}, was left out]\n"))
        if self.interrupted:
            error = f"time limit: stopped after {self.limit:g} s"
            shown.append({"output_type": "error", "ename": "TimeLimit", "evalue": error, "traceback": [error]})
            return Ran(shown, error)
        if self.reply.get("status") == "error":
            return Ran(shown, _described(str(self.reply.get("ename")), str(self.reply.get("evalue"))))
        return Ran(shown)


def _output(kind: str, content: dict) -> dict | None:
    """One message of output as a notebook keeps it; None for what is none. Only strings and plain JSON get in."""
    if kind == "stream":
        return _text(str(content.get("text", "")), "stderr" if content.get("name") == "stderr" else "stdout")
    if kind in ("display_data", "execute_result") and isinstance(content.get("data"), dict):
        shown = {
            "output_type": kind,
            "data": outputs.inert(content["data"]),
            "metadata": outputs.size(content.get("metadata")),
        }
        return shown | ({"execution_count": None} if kind == "execute_result" else {})
    if kind == "error":
        told = content.get("traceback")
        lines = told if isinstance(told, list) else []
        return {
            "output_type": "error",
            "ename": _short(content.get("ename"), 200),
            "evalue": _short(content.get("evalue"), MOST_ERROR),
            "traceback": [_short(line, MOST_ERROR) for line in lines[-MOST_LINES:]],
        }
    return None


def _text(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": outputs.readable(text)}


def _short(value: object, most: int) -> str:
    text = outputs.readable(value if isinstance(value, str) else str(type(value).__name__))
    return text if len(text) <= most else f"{text[:most]} …"


# What safetensors and torch say of types of numbers that one of them does not know, or cannot compute with.
UNKNOWN_KINDS = (ValueError, LookupError, TypeError, AttributeError, RuntimeError)


def stored(content: bytes, name: str) -> dict[str, np.ndarray]:
    """The weights of a file."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        real = {k: v.float() if v.dtype.itemsize < 4 and v.is_floating_point() else v for k, v in tensors.items()}
        return {k: v.numpy() for k, v in real.items()}
    except (SafetensorError, *UNKNOWN_KINDS) as error:
        raise StudentCodeError("raised", f"artifacts/{name}.safetensors cannot be read: {error}") from None


class KernelStudent(Student):
    """A notebook in a sandboxed kernel, for the checks of one exercise, which have a limit of time together.

    When the kernel is gone, every further request says why.
    """

    def __init__(self, kernel: Kernel, files: dict[str, bytes] | None = None):
        super().__init__()
        self.kernel, self.files = kernel, files or {}
        self._left = kernel.limits.exercise
        self._printed: list[str] = []

    def weights(self, name):
        """Of the file that was handed in, which nothing in the notebook can change."""
        content = self.files.get(f"artifacts/{name}.safetensors")
        return super().weights(name) if content is None else stored(content, name)

    def take_printed(self) -> str:
        printed, self._printed = "".join(self._printed), []
        return printed

    def request(self, message, arrays, limit):
        if self._left <= 0:
            used = f"the {self.kernel.limits.exercise:g} s that all checks of an exercise have together are used up."
            raise StudentCodeError("time limit", used)
        began = time.monotonic()
        try:
            result, out, printed = self.kernel.request(message, arrays, min(limit, self._left))
        except Stopped as error:
            raise StudentCodeError("stopped", f"grading of this notebook stopped: {error}.") from None
        finally:
            self._left -= time.monotonic() - began
        self._printed.append(printed)
        return result, out
