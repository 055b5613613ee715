"""The sandbox: bubblewrap around a warm process that forks one kernel for each submission.

Inside there is no network; the system, Python and the packages can be read and not written; of the kit there is
only what a notebook imports and the grader's end of the wire. The course, the gradebook, homes and everybody
else's submissions do not exist there.
"""

import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from autograder import assignments
from autograder.assignments import ROOT
from autograder.course import SandboxError
from autograder.display import counted
from autograder.grading import groups
from autograder.grading.limits import Limits

MOST_ANSWER = 2**16  # bytes of one answer of the warm process
START_SECONDS = 120  # a warm process imports torch; a machine under load takes its time
VISIBLE = (
    "deepul_utils",
    "data",
    *(f"autograder/{name}.py" for name in ("__init__", "student", "workbench")),
    *(f"autograder/grading/{name}.py" for name in ("__init__", "zygote", "seccomp", "kernel_side", "wire")),
)
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/fonts",
    "/etc/localtime",
    "/etc/alternatives",
)
ISOLATE = (
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
)
ENVIRONMENT = {
    "PYTHONPATH": "/kit",
    "HOME": "/tmp",
    "USER": "student",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLCONFIGDIR": "/tmp",
    "IPYTHONDIR": "/tmp/ipython",
    "JUPYTER_CONFIG_DIR": "/tmp",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
FIRST_UID = 60_000  # started by root, each sandbox gets an ordinary user of its own from here on
WATCH = 0.1  # seconds between two looks at what a kernel uses
GREEDY = 5  # so many looks in a row at which more threads ran, or could have run, than it has a share for
CLOSE_LOOK = 1.0  # seconds that a close look at memory may take; one at 16 processes takes 0.05
STARVED = 0.2  # of a wait: so long something could have run, and had no processor
MOST_GROWTH = 768 * 2**20  # of the grader's own memory while one submission is graded
HOW_TO_INSTALL = (
    "Submissions are untrusted code, and are graded only in a sandbox. It needs bubblewrap, which needs Linux: "
    "sudo apt install bubblewrap (Debian, Ubuntu) or sudo dnf install bubblewrap (Fedora); on macOS and Windows "
    "grade in a Linux container or virtual machine."
)


class Sandbox:
    """A warm process in bubblewrap. `start` gives a kernel for one submission; one at a time."""

    def __init__(self, limits: Limits):
        self.limits = limits
        # Sockets have short names: not below $TMPDIR, which may be anywhere.
        _sweep()
        self.exchange = Path(tempfile.mkdtemp(prefix=f"deepul-{os.getpid()}-", dir="/tmp"))
        self.exchange.chmod(0o711)
        self.uid = FIRST_UID + os.getpid() % 5000 if os.getuid() == 0 else None
        self._lock = threading.Lock()
        self.group = groups.make(limits)
        words, environment = self._command()
        self._process = subprocess.Popen(
            [*(self.group.enter if self.group else []), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=groups.environment() | environment,
        )
        self._asked = 0
        try:
            self._answer(START_SECONDS)
        except SandboxError:
            self.close()
            raise
        self._known = set(_descendants(self._process.pid))

    def _command(self) -> tuple[list[str], dict[str, str]]:
        """The command line of the warm process, and variables that it needs."""
        return command(self.exchange), {}

    def _seen(self, own: Path) -> Path:
        """Where a kernel sees its folder of the exchange."""
        return Path("/exchange")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, files: dict[str, bytes], seed: int) -> "Process":
        """A kernel whose /student holds `files` ({relative name: content}), listening. Raises SandboxError."""
        name = secrets.token_hex(4)
        own = self.exchange / name
        own.mkdir(mode=0o700)
        (own / "files").mkdir()
        for file, content in files.items():
            (own / "files" / file).parent.mkdir(parents=True, exist_ok=True)
            (own / "files" / file).write_bytes(content)
        channels = ("shell", "iopub", "stdin", "control", "hb", "requests")  # the last is the grader's own
        ports = {f"{channel}_port": k for k, channel in enumerate(channels, 1)}
        connection = {
            "transport": "ipc",
            "ip": str(self._seen(own) / "k"),
            "key": secrets.token_hex(16),
            "signature_scheme": "hmac-sha256",
            **ports,
        }
        (own / "connection.json").write_text(json.dumps(connection))
        if self.uid is not None:
            for path in (own, *own.rglob("*")):
                os.chown(path, self.uid, self.uid)
        started = self._ask(START_SECONDS, do="start", name=name, uid=self.uid, limits=self.limits.to_json(), seed=seed)
        return Process(self, own, connection | {"ip": str(own / "k")}, started)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        """stdin, stdout and stderr of the warm process."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        return process.stdin, process.stdout, process.stderr

    def _ask(self, seconds: float, **command) -> dict:
        stdin, _, _ = self._pipes()
        with self._lock:
            self._asked += 1
            try:
                stdin.write(json.dumps(command | {"number": self._asked}).encode() + b"\n")
            except OSError:
                raise SandboxError("the sandbox ended by itself") from None
            return self._answer(seconds)

    def _answer(self, seconds: float) -> dict:
        """The answer to what was asked last. Whatever else comes is a fault of this sandbox, which ends with it."""
        line = self._line(time.monotonic() + seconds)
        try:
            answer = json.loads(line)
            known = answer["number"] == self._asked
        except (ValueError, TypeError, KeyError, RecursionError):
            known = False
        if not known:
            self._process.kill()
            _, _, stderr = self._pipes()
            os.set_blocking(stderr.fileno(), False)  # something else may hold its other end
            said = (stderr.read() or b"")[-600:].decode("utf-8", "replace").strip()
            what = "answered out of turn" if line else "did not start or stopped answering"
            raise SandboxError(f"the sandbox {what}. {explained(said)}")
        if "error" in answer:
            raise SandboxError(explained(answer["error"]))
        return answer

    def _line(self, end: float) -> bytes:
        """One line of the answers; what there is of it by `end`, or when it grows too long."""
        line = b""
        _, stream, _ = self._pipes()
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while not line.endswith(b"\n") and len(line) < MOST_ANSWER:
                more = os.read(stream.fileno(), MOST_ANSWER) if selector.select(max(0, end - time.monotonic())) else b""
                if not more:
                    return b""
                line += more
        return line

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in self._pipes():
            with contextlib.suppress(OSError):  # what was still to be written goes nowhere now
                stream.close()
        if self.group:
            self.group.close()
        shutil.rmtree(self.exchange, ignore_errors=True)


class Process:
    """The process of one kernel, watched from outside. `stopped` says why it had to end, or ""."""

    def __init__(self, sandbox: Sandbox, folder: Path, connection: dict, started: dict):
        self.connection = connection
        self._sandbox, self._folder = sandbox, folder
        self._keeper, self._pid = started["keeper"], started["pid"]
        self.stopped = ""
        self._closing = threading.Event()
        self._own_memory = _memory(os.getpid())
        self._killed = self._killed_by_group()
        self._use = _Use(_tasks(self._processes()))
        self._greedy = 0
        self._held_to: set[int] = set()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def interrupt(self) -> None:
        with contextlib.suppress(SandboxError):  # it ended meanwhile: nothing left to interrupt
            self._sandbox._ask(10, do="signal", pid=self._pid, signal=int(signal.SIGINT))

    def stop(self, why: str) -> None:
        """End it and all that it started."""
        self.stopped = self.stopped or why
        with contextlib.suppress(SandboxError):
            self._sandbox._ask(10, do="signal", pid=self._pid, signal=int(signal.SIGKILL))

    def mark(self) -> tuple[float, float, float]:
        """Now, for `starved`."""
        return time.monotonic(), self._use.ran, self._use.waited

    def starved(self, since: tuple[float, float, float]) -> str:
        """What to say if the machine had no time for it since that mark, or "".

        Whoever starts many processes waits for processors, too; one that had most of one had its share.
        """
        seconds, ran, waited = (now - then for now, then in zip(self.mark(), since, strict=True))
        if waited < STARVED * seconds or ran > (1 - STARVED) * seconds:
            return ""
        return f"it got {ran:.3g} s of a processor in {seconds:.3g} s, the machine being busy with other things"

    def _watch(self) -> None:
        limits = self._sandbox.limits
        while not self._closing.wait(WATCH):
            # A process that has ended and waits to be asked how has no memory any more.
            used = {p: memory for p in self._processes() if (memory := _memory(p))}
            if not used:
                killed = self._killed_by_group() > self._killed
                self.stopped = self.stopped or (self._over_memory() if killed else "the notebook ended its own kernel")
                return
            if len(used) > limits.processes:
                self.stop(f"process limit: it started over {counted(limits.processes, 'process', 'processes')}")
            elif self._uses_too_much(used):
                self.stop(self._over_memory())
            elif _memory(os.getpid()) - self._own_memory > MOST_GROWTH:
                self.stop("output limit: it sent more than the grader takes")
            tasks = _tasks(used)
            self._use.look(tasks)
            if not self._sandbox.group:
                self._share(tasks)

    def _processes(self) -> list[int]:
        return [p for p in _descendants(self._sandbox._process.pid) if p not in self._sandbox._known]

    def _uses_too_much(self, used: dict[int, int]) -> bool:
        """Whether they hold more than they may, where what they share counts once.

        That is seen only closely, which takes milliseconds; with those that do nothing but fork it takes seconds, and
        they are stopped as if they shared nothing.
        """
        most, began, close = self._sandbox.limits.memory, time.monotonic(), 0
        if sum(used.values()) <= most:
            return False
        for process in used:
            close += _own_memory(process)
            if close > most or time.monotonic() - began > CLOSE_LOOK:
                return True
        return False

    def _over_memory(self) -> str:
        return f"memory limit: it used over {self._sandbox.limits.memory / 2**30:g} GiB"

    def _killed_by_group(self) -> int:
        return self._sandbox.group.killed(self._sandbox._process.pid) if self._sandbox.group else 0

    def _share(self, tasks: list[int]) -> None:
        """Hold it to its share of the processors if it has more to do for some time; it cannot leave them again."""
        allowed, all_of_them = sorted(os.sched_getaffinity(0)), sorted(Path("/tmp").glob("deepul-*-*"))
        share = max(1, len(allowed) // max(1, len(all_of_them)))
        self._greedy = self._greedy + 1 if sum(map(_is_running, tasks)) > share else 0
        if self._greedy == GREEDY and not self._held_to and share < len(allowed):
            first = share * all_of_them.index(self._sandbox.exchange) % len(allowed)
            self._held_to = set(allowed[first : first + share])
        for task in tasks if self._held_to else ():
            with contextlib.suppress(OSError):  # it ended while we looked
                if os.sched_getaffinity(task) != self._held_to:
                    os.sched_setaffinity(task, self._held_to)

    def close(self) -> str:
        """End it, and say why it had ended before, if it had."""
        ended_before = self.stopped
        self._closing.set()
        self._watcher.join()
        self.stop("")
        with contextlib.suppress(SandboxError):
            code = self._sandbox._ask(30, do="ended", keeper=self._keeper)["code"]
            if ended_before == "the notebook ended its own kernel":
                ended_before += f" ({_ending(code)})"
        shutil.rmtree(self._folder, ignore_errors=True)
        return ended_before


class _Use:
    """What threads have used of the processors since this was made, in seconds. waited: could have run, and had none.

    Linux counts for each thread; what one did in its last moments is missed.
    """

    def __init__(self, tasks: list[int]):
        self.ran = self.waited = 0.0
        self._seen = {task: _scheduled(task) for task in tasks}

    def look(self, tasks: list[int]) -> None:
        scheduled = {task: _scheduled(task) for task in tasks}
        for task, (ran, waited) in scheduled.items():
            ran_before, waited_before = self._seen.get(task, (0.0, 0.0))
            self.ran += max(0.0, ran - ran_before)
            self.waited += max(0.0, waited - waited_before)
        self._seen = scheduled


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    names: dict[int, str] = {
        signal.SIGXCPU: "limit of processor time",
        signal.SIGSEGV: "it crashed: segmentation fault",
        signal.SIGKILL: "killed; the machine may have run out of memory",
    }
    if -code in names:
        return names[-code]
    try:
        return signal.Signals(-code).name
    except ValueError:  # exit codes over 128 look like signals
        return f"exit code {256 + code}"


def command(exchange: Path) -> list[str]:
    """The command line of a sandbox. Raises SandboxError where bubblewrap is missing."""
    bwrap = shutil.which("bwrap")
    if not bwrap:
        raise SandboxError(HOW_TO_INSTALL)
    in_venv = sys.prefix != sys.base_prefix
    python = f"/venv/{Path(sys.executable).relative_to(sys.prefix)}" if in_venv else sys.executable
    words = [bwrap, *ISOLATE]
    words += ["--cap-add", "ALL"] if os.getuid() == 0 else ["--unshare-user"]
    words += _mount_words([*_of_system(in_venv), *of_kit(), *_of_its_own(exchange)])
    words += ["--remount-ro", "/", "--remount-ro", "/dev", "--chdir", "/student"]
    for name, value in {"PATH": f"{Path(python).parent}:/usr/bin:/bin", **ENVIRONMENT}.items():
        words += ["--setenv", name, value]
    return [*words, python, "-P", "-m", "autograder.grading.zygote"]


Mount = tuple[str, ...]  # the kind, from where if from anywhere, and to where


def _of_system(in_venv: bool) -> list[Mount]:
    """The system's programs and libraries, Python, and its packages."""
    mounts: list[Mount] = [("ro-bind", p, p) for p in SYSTEM if os.path.exists(p) and not os.path.islink(p)]
    mounts += [("symlink", os.readlink(p), p) for p in SYSTEM if os.path.islink(p)]
    if Path(sys.base_prefix) != Path("/usr"):
        mounts.append(("ro-bind", sys.base_prefix, sys.base_prefix))
    if in_venv:
        mounts.append(("ro-bind", sys.prefix, "/venv"))
    return mounts


def of_kit() -> list[Mount]:
    """What a notebook imports of the kit, and the titles of exercises, for errors' words."""
    titles = [str((a.checks / "assignment.toml").relative_to(ROOT)) for a in assignments.every()]
    return [("ro-bind", str(ROOT / f), f"/kit/{f}") for f in (*VISIBLE, *titles) if (ROOT / f).exists()]


def _of_its_own(exchange: Path) -> list[Mount]:
    return [
        ("bind", "/proc", "/proc"),
        ("dev", "/dev"),
        ("tmpfs", "/tmp"),
        ("dir", "/student"),
        ("bind", str(exchange), "/exchange"),
    ]


def _mount_words(mounts: list[Mount]) -> list[str]:
    """The mounts in bubblewrap's words, each behind the folders that it lies in, which everybody may read."""
    words: list[str] = []
    seen: set[Path] = {Path("/")}
    for kind, *places in mounts:
        place = Path(places[-1])
        for parent in reversed(place.parents):
            if parent not in seen:
                seen.add(parent)
                words += ["--perms", "0755", "--dir", str(parent)]
        words += [f"--{kind}", *places]
        seen.add(place)
    return words


def explained(said: str) -> str:
    """What bubblewrap or the kernel said, with what to do about it."""
    if "ermission denied" in said or "not permitted" in said:
        if os.getuid() == 0:
            return (
                f"{said}. Root may not make namespaces here, as in most containers: give this one the rights that "
                "README.md names (In a container), or let each notebook be a user of its own: --separate-user"
            )
        return (
            f"{said} This machine does not let ordinary users make namespaces. Run as root, or allow it: "
            "sudo sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
        )
    return said


def _sweep() -> None:
    """Remove what graders that were killed left behind."""
    for folder in Path("/tmp").glob("deepul-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def _descendants(pid: int) -> list[int]:
    """The processes that `pid` started, and theirs."""
    descendants, pending = [], [pid]
    while pending:
        parent = pending.pop()
        with contextlib.suppress(OSError):  # it ended while we looked
            for task in os.listdir(f"/proc/{parent}/task"):
                with contextlib.suppress(OSError):
                    children = [int(c) for c in Path(f"/proc/{parent}/task/{task}/children").read_text().split()]
                    descendants += children
                    pending += children
    return descendants


def _tasks(processes: Iterable[int]) -> list[int]:
    """The threads of some processes."""
    tasks: list[int] = []
    for process in processes:
        with contextlib.suppress(OSError):  # it ended while we looked
            tasks += map(int, os.listdir(f"/proc/{process}/task"))
    return tasks


def _scheduled(task: int) -> tuple[float, float]:
    """(seconds that a thread ran, seconds that it waited for a processor), where Linux counts them."""
    try:
        ran, waited, _ = Path(f"/proc/{task}/schedstat").read_text().split()
    except (OSError, ValueError):
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9


def _memory(pid: int) -> int:
    """Resident bytes of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _is_running(task: int) -> bool:
    """Whether a thread runs, or could."""
    try:
        return Path(f"/proc/{task}/stat").read_text().rpartition(") ")[2].startswith("R")
    except OSError:
        return False


def _own_memory(pid: int) -> int:
    """Bytes of a process, where what it shares with others, such as the warm process, counts once for all of them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))
    except (OSError, StopIteration):  # not ours to read in some containers
        return _memory(pid)


def require() -> None:
    """Raises SandboxError, saying what to do, where no sandbox can be made."""
    with tempfile.TemporaryDirectory() as exchange:
        words = command(Path(exchange))
        probe = [*words[: words.index("-P") - 1], "/usr/bin/env", "true"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(f"No sandbox can be made here. {explained(done.stderr.strip())}")
