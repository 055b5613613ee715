"""What hostile and broken submissions do, one row each: attacks.md of the project, as real submissions.

`Attack.make` gets a folder that holds a submission (blank, complete with its weights, or wrong), and does to it what
the attacker does. `points` is what an honest grader gives; `told` is what the TA must read, `shown` what must, and
`hidden` what must not occur anywhere in the graded notebook. What is to fool a check starts from wrong code: a fooled
check would pay for it, and an honest one pays what the wrong code earns without the attack.
"""

import contextlib
import json
import os
import socket
import stat
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Attack:
    name: str
    stock: str  # what stock nbgrader and otter do, from attacks.md
    make: Callable[[Path], None]
    points: float | None = 0  # None: as many as the wrong submission earns
    complete: bool = False  # made from the complete solution rather than from the blank handout
    fools: bool = False  # made from wrong code, and fools a grader that runs beside it
    works: str = ""  # what its first cell prints where there is no sandbox: a pattern
    told: str = ""
    shown: str = ""
    hidden: str = ""
    not_graded: bool = False


def edit(folder: Path, change: Callable[[list[dict]], None]) -> None:
    """Change the cells of the notebook in `folder`."""
    file = folder / "hw1.ipynb"
    notebook = json.loads(file.read_text())
    change(notebook["cells"])
    file.write_text(json.dumps(notebook))


def code(text: str) -> Callable[[Path], None]:
    """A first cell that runs `text`."""
    source = textwrap.dedent(text).strip()
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
    return lambda folder: edit(folder, lambda cells: cells.insert(1, dict(cell, id="attack")))


def before_the_check(text: str) -> Callable[[Path], None]:
    """The same, right before the check of `made`: what is defined before it is defined."""

    def make(folder: Path) -> None:
        code(text)(folder)

        def later(cells: list[dict]) -> None:
            attack = cells.pop(1)
            at = next(k for k, c in enumerate(cells) if is_check(c) and '"made"' in "".join(c["source"]))
            cells.insert(at, attack)

        edit(folder, later)

    return make


def is_check(cell: dict) -> bool:
    about = cell["metadata"].get("nbgrader", {})
    return about.get("grade", False) and not about.get("solution", False)  # an answer is both


WRONG = ("edge-bins-are-inner-bins", "output-mask-not-strict")  # slips of both exercises that are handed in


def in_checks(text: str) -> Callable[[Path], None]:
    """`text` in the place of every grade cell."""
    return lambda folder: edit(folder, lambda cells: [c.update(source=text) for c in cells if is_check(c)])


def file(name: str, content: str | bytes = "raise SystemExit") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def weights(change: Callable[[dict], dict]) -> Callable[[Path], None]:
    """Every weights file, changed."""

    def make(folder: Path) -> None:
        from safetensors.numpy import load_file, save_file

        for path in sorted((folder / "artifacts").glob("*.safetensors")):
            save_file({k: np.ascontiguousarray(v) for k, v in change(load_file(path)).items()}, path)

    return make


def links(folder: Path) -> None:
    course = folder.parent.parent
    os.symlink(course / "gradebook.db", folder / "mine.db")
    os.symlink("/etc/passwd", folder / "passwd.txt")
    os.symlink(course, folder / "course")


def pickled(folder: Path) -> None:
    """A pickle that leaves a mark when it is loaded."""
    for path in (folder / "artifacts").glob("*.safetensors"):
        path.write_bytes(b"cposix\nsystem\n(S'touch /tmp/pickle-ran /student/pickle-ran'\ntR.")
    code_after = "import os; print('pickle ran:', os.path.exists('/student/pickle-ran'))"
    cell = {"cell_type": "code", "metadata": {}, "source": code_after, "outputs": [], "execution_count": None}
    edit(folder, lambda cells: cells.append(cell | {"id": "after"}))


def huge(folder: Path) -> None:
    for path in (folder / "artifacts").glob("*.safetensors"):
        with path.open("wb") as stream:
            stream.truncate(2 * 2**30)


def duplicated(cells: list[dict]) -> None:
    cells += [dict(c, id=f"copy-{k}") for k, c in enumerate(cells) if c["cell_type"] == "code"]


def moved(cells: list[dict]) -> None:
    checks = [c for c in cells if is_check(c)]
    cells[:] = [*checks, *(c for c in cells if not is_check(c))]


def retyped(cells: list[dict]) -> None:
    for cell in filter(is_check, cells):
        cell["cell_type"] = "markdown"
        del cell["outputs"], cell["execution_count"]


LOOK = """
import os, glob, pathlib
places = [r"{course}", r"{kit}/solutions", r"{kit}/autograder/assignments/hw1", r"{kit}/tests",
          "/kit/autograder/assignments/*/*.py", "/kit/autograder/assignments/*/*.json",
          "/kit/autograder/proof", "/kit/solutions", r"{home}", "/exchange/*", "/tmp/deepul-*",
          "/proc/1/root{course}",
          "/proc/[0-9]*/root/exchange/*", "/etc/shadow", "/etc/passwd", "/var", "/home/*", "/root/.ssh"]
seen = []
for place in places:
    for found in glob.glob(place):
        try:
            seen += [f"{{found}}/{{n}}" for n in os.listdir(found)] if os.path.isdir(found) else [found]
        except PermissionError:
            pass
seen = [s for s in seen if "site-packages" not in s and not s.startswith("{base}") and s != "{outer}"]
print("seen:", seen)
print("salt:", [k for k in os.environ if "SALT" in k])
"""

SQL = """
import glob, sqlite3
for found in glob.glob("/**/gradebook.db", recursive=True) + [r"{course}/gradebook.db"]:
    try:
        sqlite3.connect(found).execute("UPDATE grade SET auto_score = 999, manual_score = 999")
    except sqlite3.Error as error:
        print("no gradebook:", error)
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4242)"], start_new_session=True)
"""

SOURCES = """
import sys, inspect
class MADE:
    def __init__(self, *a, **k):
        text = []
        frame = sys._getframe()
        while frame:
            text.append(frame.f_code.co_filename)
            try: text.append(inspect.getsource(frame.f_code))
            except OSError: pass
            text.append(repr(frame.f_locals)[:3000])
            frame = frame.f_back
        raise ValueError("LEAK " + " ".join(text)[-20000:])
"""

FLOOD = """
import zmq
from ipykernel.kernelapp import IPKernelApp
socket = IPKernelApp.instance().kernel.shell_stream
import threading, os
import ipykernel
app = IPKernelApp.instance()
frame = b"x" * 50_000_000
for k in range(400):
    app.iopub_socket.send_multipart([b"id", b"<IDS|MSG>", b"", b"{}", b"{}", b"{}", b"{}"] + [frame] * 40)
"""

# Every family that there is, to listeners that the test opens on the host.
NETWORK = """
import os, socket
tried = {{"INET": (socket.AF_INET, ("127.0.0.1", {port})), "INET6": (socket.AF_INET6, ("::1", {port6})),
          "UNIX": (socket.AF_UNIX, r"{listener}"), "abstract": (socket.AF_UNIX, "\\0{abstract}"),
          "VSOCK": (getattr(socket, "AF_VSOCK", 40), (2, 22))}}
reached = []
for name, (family, address) in tried.items():
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried_socket:
            tried_socket.settimeout(2)
            tried_socket.connect(address)
            reached.append(name)
    except OSError:
        pass
for family in (socket.AF_PACKET, socket.AF_INET):
    try:
        socket.socket(family, socket.SOCK_RAW, 1).close()
        reached.append("raw")
    except OSError:
        pass
print("reached:", reached)
print("interfaces:", [n for _, n in socket.if_nameindex()])
"""

FORGE = """
import itertools, json
from autograder.grading import kernel_side
forged = itertools.cycle(({{"result": 1, "arrays": []}},
                          {{"result": {{"array": 0}}, "arrays": [{{"dtype": "|O", "shape": [1]}}]}},
                          {{"result": {{"array": 0}}, "arrays": [{{"dtype": "<f4", "shape": [1 << 40]}}]}},
                          [1], "x", None))
def answer(student, head, buffers):
    said = next(forged)
    said = dict(said, number=head["number"]) if isinstance(said, dict) else said
    return [json.dumps(said).encode(), b"12345678"]
kernel_side._answer = answer
"""


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as tried:
            tried.bind(("::1", 0))
        return True
    except OSError:
        return False


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[dict[str, object]]:
    """Listeners on this machine for `NETWORK`, and what to call them."""
    with contextlib.ExitStack() as open_sockets:
        names = {"listener": str(folder / "listener"), "abstract": f"deepul-{os.getpid()}"}
        addresses = (
            (socket.AF_INET, ("127.0.0.1", 0)),
            (socket.AF_INET6, ("::1", 0)),
            (socket.AF_UNIX, names["listener"]),
            (socket.AF_UNIX, "\0" + names["abstract"]),
        )
        for (family, address), port in zip(addresses, ("port", "port6", "", ""), strict=True):
            if family == socket.AF_INET6 and not _has_ipv6():
                names[port] = 1
                continue
            listener = open_sockets.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.bind(address)
            listener.listen(50)
            if port:
                names[port] = listener.getsockname()[1]
        os.chmod(names["listener"], 0o777)
        yield names


def table(course: Path, kit: Path, listeners: dict[str, object]) -> list[Attack]:
    """All rows. course: the folder that the class is graded in. listeners: of `listening`."""
    import sys

    names = listeners | dict(course=course, kit=kit, home=Path.home(), base=sys.base_prefix)
    home = next((p for p in (sys.base_prefix, str(kit)) if p.startswith(str(Path.home()) + "/")), "")
    names["outer"] = str(Path.home() / Path(home).relative_to(Path.home()).parts[0]) if home else ""

    def formed(text: str) -> Callable[[Path], None]:
        return code(text.format(**names))

    return [
        # Fooling what compares.
        *(Attack(name, stock, make, None, fools=True) for name, stock, make in (
            ("patched_compare", "full marks", code("""
                import numpy, torch
                torch.allclose = torch.equal = lambda *a, **k: True
                numpy.testing.assert_allclose = lambda *a, **k: None
                numpy.abs = numpy.absolute = lambda *a, **k: numpy.zeros(1)
                import deepul_utils.check
                deepul_utils.check.check = check = lambda name: 100.0
            """)),
            ("patched_checks", "full marks", code("""
                from dataclasses import replace
                from autograder import checks, runner, score
                checks.require = lambda finding: None
                score.Score.__new__ = lambda cls, *a, **k: float.__new__(cls, 20.0)
            """)),
            ("shadowed_builtins", "full marks", code("""
                import builtins
                builtins.sum = lambda *a, **k: 20.0
                builtins.round = lambda *a: 20.0
            """)),
            ("input_transformer", "6 of 6", before_the_check("""
                get_ipython().input_transformers_post.append(lambda lines: [])
            """)),
            ("ast_transformer", "6 of 6", before_the_check("""
                import ast
                class Strip(ast.NodeTransformer):
                    def visit_Expr(self, node): return ast.Expr(ast.Constant(20.0))
                get_ipython().ast_transformers.append(Strip())
            """)),
            ("replaced_do_execute", "6 of 6", before_the_check("""
                from ipykernel.ipkernel import IPythonKernel
                async def do_execute(self, *a, **k):
                    return {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}
                IPythonKernel.do_execute = do_execute
                get_ipython().run_cell = lambda *a, **k: None
            """)),
            ("skip_execution_tag", "6 of 6", lambda folder: edit(
                folder, lambda cells: [c["metadata"].update(tags=["skip-execution"]) for c in cells if is_check(c)])),
        )),
        *(Attack(f"grade_is_{name}", stock, in_checks(text), None, fools=True, told="was changed, and was put back")
          for name, text, stock in (
            ("numpy_zero", "import numpy as np\nnp.float64(0)", "full marks"),
            ("nan", "float('nan')", "full marks"),
            ("none", "None", "full marks"),
            ("negative", "-1", "full marks"),
            ("string", "'0'", "full marks"),
            ("too_much", "1000.0", "whole submission fails"),
            ("infinite", "float('inf')", "whole submission fails"),
        )),
        # Reading and writing what is not the student's.
        Attack("reads_everything", "all readable", formed(LOOK), shown="seen: []\\nsalt: []",
               works=r"seen: .*gradebook\.db.*solutions/hw1"),
        Attack("symlinks", "copied into autograded/ and feedback", links, told="a link to somewhere else"),
        Attack("writes_its_own_score", "sticks", formed(SQL)),
        Attack("network", "allowed", formed(NETWORK), shown="reached: []\\ninterfaces: ['lo']",
               works="reached: .*'INET'.*'UNIX', 'abstract'"),
        Attack("writes_outside", "allowed", code("""
            import os
            done = []
            for place in ("/kit/deepul_utils/check.py", "/usr/x", "/x", "/venv/x", "/exchange/x", "/dev/x",
                          "/proc/sys/x"):
                try:
                    open(place, "a").write("x")
                    done.append(place)
                except OSError:
                    pass
            print("written:", done)
        """), shown="written: []"),
        Attack("leaks_test_source", "hidden test leaks", lambda folder: edit(folder, lambda cells: [
            c.update(source=SOURCES) for c in cells if c["metadata"].get("nbgrader", {}).get("grade_id") == "made-MADE"
        ]), shown="LEAK", hidden="is_strict_order"),
        Attack("forged_replies", "not tried", lambda folder: formed(FORGE)(folder)),
        Attack("looks_at_neighbours", "not tried", code("""
            import os
            print("processes:", sorted(int(p) for p in os.listdir("/proc") if p.isdigit()), "uid", os.getuid())
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            print("namespace:", libc.unshare(0x10000000), "unmount:", libc.umount(b"/exchange"), libc.umount(b"/proc"))
            print("root:", os.system("id -u >/dev/null; test $(id -u) = 0"))
            try:
                os.setuid(0)
                print("became root")
            except OSError:
                print("stays a student")
        """), shown="processes: [1] uid 1000\\nnamespace: -1 unmount: -1 -1\\nroot: 256\\nstays a student"),
        # Using up what there is.
        Attack("endless_loop", "38 s, submission dropped", code("while True: pass"), told="limit: stopped after 5 s"),
        Attack("endless_loop_that_will_not_stop", "38 s, submission dropped", code("""
            import signal
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            while True:
                try:
                    while True: pass
                except KeyboardInterrupt: pass
        """), told="time limit of 5 s a cell"),
        Attack("sleeps", "38 s, submission dropped", code("import time\ntime.sleep(3600)"),
               told="limit: stopped after 5 s"),
        Attack("exits", "no grade", code("import os\nos._exit(0)"), told="ended its own kernel (exit code 0)"),
        Attack("kills_its_parent", "grader killed, later students ungraded", code("""
            import os, signal
            for target in (os.getppid(), 0, -1, 1, os.getpid()):
                try: os.kill(target, signal.SIGKILL)
                except OSError: pass
            print("still here")
        """), shown="still here"),
        Attack("crashes", "no grade", code("import ctypes\nctypes.string_at(0)"), told="segmentation fault"),
        Attack("one_huge_line", "659 MB peak", code("print('x' * 100_000_000)"),
               shown="cut here: the cell printed over"),
        Attack("two_million_lines", "25 s", code("for k in range(2_000_000): print(k)"),
               shown="cut here: the cell printed over"),
        Attack("flood_of_messages", "not tried", code(FLOOD), told="It ended the kernel, and was left out: "),
        Attack("fork_bomb", "no limit", code("""
            import os
            while True:
                try: os.fork()
                except OSError: pass
        """), told="It ended the kernel, and was left out: "),
        Attack("thread_storm", "no limit", code("""
            import threading, time
            started = 0
            try:
                while started < 5000:
                    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
                    started += 1
            except RuntimeError:
                pass
            print("under 300 threads:", started < 300)
        """), shown="under 300 threads: True"),
        Attack("memory_bomb", "no limit", code("x = bytearray(8 * 2**30)"), told="MemoryError"),
        Attack("memory_bomb_in_processes", "no limit", code("""
            import os, time
            for k in range(4):
                if os.fork() == 0:
                    hold = [bytearray(b"x" * 100_000_000) for _ in range(20)]
                    time.sleep(60)
            time.sleep(60)
        """), told="memory limit: it used over 4 GiB"),
        Attack("disk_filler", "no limit", code("""
            import os
            total = 0
            try:
                for k in range(100):
                    with open(f"/student/{k}", "wb") as stream:
                        for _ in range(20): total += stream.write(bytes(10_000_000))
            except OSError as error:
                print("stopped:", error.strerror, total < 600_000_000)
        """), shown="stopped: No space left on device True"),
        Attack("open_files", "no limit", code("""
            kept = []
            try:
                while True: kept.append(open("/dev/null"))
            except OSError as error:
                print("stopped:", error.strerror)
            del kept
        """), shown="stopped: Too many open files"),
        # Modules and files.
        Attack("shadows_torch", "shadows the real one", file("torch/__init__.py"), 35, complete=True,
               told="in the place of the module torch"),
        Attack("shadows_the_kit", "shadows the real one", file("deepul_utils.py"), 35, complete=True,
               told="in the place of the module deepul_utils"),
        Attack("pickle_for_weights", "code runs", pickled, 26, complete=True, shown="pickle ran: False",
               told="no readable weights file"),
        Attack("weights_of_wrong_shape", "crash", weights(lambda w: {k: v.repeat(2, -1) for k, v in w.items()}), 26,
               complete=True, told="do not fit your model"),
        Attack("weights_with_nan", "crash", weights(lambda w: {k: np.full_like(v, np.nan) for k, v in w.items()}), 26,
               complete=True),
        Attack("two_gigabytes_of_weights", "crash", huge, 35, complete=True, told="2,048 MB"),
        # Broken notebooks.
        Attack("cells_deleted", "aborts the batch", lambda folder: edit(
            folder, lambda cells: cells.__setitem__(slice(None), [c for c in cells if not is_check(c)])), 35,
            complete=True, told="was missing and was put back"),
        Attack("cells_duplicated", "aborts the batch", lambda folder: edit(folder, duplicated), 35, complete=True,
               told="occurs more than once"),
        Attack("cells_moved", "0 or aborts", lambda folder: edit(folder, moved), 35, complete=True,
               told="was moved behind it"),
        Attack("cells_of_another_type", "aborts the batch", lambda folder: edit(folder, retyped), 35, complete=True,
               told="made a code cell again"),
        Attack("old_schema", "aborts the batch", lambda folder: edit(folder, lambda cells: [
            c["metadata"]["nbgrader"].update(schema_version=1) for c in cells if "nbgrader" in c["metadata"]]), 35,
            complete=True),
        Attack("invalid_json", "aborts the batch", lambda folder: (folder / "hw1.ipynb").write_text('{"cells": ['),
               not_graded=True, told="is not a Jupyter notebook"),
        Attack("empty_file", "aborts the batch", lambda folder: (folder / "hw1.ipynb").write_text(""),
               not_graded=True, told="hw1.ipynb is empty"),
        Attack("renamed", "no grade", lambda folder: (folder / "hw1.ipynb").rename(folder / "HW1 final (2).ipynb"), 35,
               complete=True, told="taken as hw1.ipynb"),
        # A right answer that stock nbgrader gives 0.
        Attack("warns", "0", code("""
            import sys, warnings
            warnings.warn("careful")
            print("to stderr", file=sys.stderr)
        """), 35, complete=True),
    ]  # fmt: skip  # code stands in it, which brackets on lines of their own would tear apart


def is_device(path: Path) -> bool:
    return not stat.S_ISREG(path.lstat().st_mode)
