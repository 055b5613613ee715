"""A control group (cgroup v2) around each sandbox, where the system lets us make one.

It counts memory of every kind, and shares processors between sandboxes and not between processes: a submission with
many gets no more than its neighbour with one. Root makes it itself; else systemd is asked for a scope. Elsewhere (a
container whose /sys/fs/cgroup is read-only, an older system) there is none, and sandbox.py holds a submission to its
limits by other means.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path

from autograder.grading.limits import Limits

ROOT = Path("/sys/fs/cgroup")
WANTED = {"cpu", "memory", "pids"}
WARM = 2 * 2**30  # bytes that the warm process and what it shares with kernels may have, beside the student's
LOOKS = 50  # at a group that is still ending, a second in all
SPARE = 64  # processes and threads of the sandbox's own
# Let the process that reads this into the group named by its first word, then be the command that follows.
ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'

SHOW = """g=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup); cat "$g/memory.max" "$g/cpu.weight\""""


class Group:
    """One sandbox's group. enter: the beginning of the command line of what is to run in it."""

    def __init__(self, enter: list[str], folder: Path | None):
        self.enter, self._folder = enter, folder

    def killed(self, pid: int) -> int:
        """How many processes of the group that `pid` is in were killed because it had used up its memory."""
        with contextlib.suppress(OSError, ValueError, StopIteration):
            events = (_of(pid) / "memory.events").read_text().split()
            return int(events[events.index("oom_kill") + 1])
        return 0

    def close(self) -> None:
        """Remove it, once all in it has ended. systemd removes its own."""
        for _ in range(LOOKS):
            if self._folder is None or not self._folder.exists():
                return
            with contextlib.suppress(OSError):  # something in it is still ending
                self._folder.rmdir()
                return
            time.sleep(0.02)


def make(limits: Limits) -> Group | None:
    """A group with a share of the processors like any other's, and room for one submission; None where it cannot be."""
    memory = limits.memory + limits.disk + WARM
    values = {"memory.max": memory, "memory.swap.max": 0, "pids.max": limits.threads + SPARE, "cpu.weight": 100}
    if (parent := _parent()) is not None:
        folder = parent / f"deepul-{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir()
        for name, value in values.items():
            with contextlib.suppress(FileNotFoundError):  # where the kernel knows no swap
                (folder / name).write_text(str(value))
        return Group(["sh", "-c", ENTER, str(folder)], folder)
    if asked := _systemd():
        words = [
            f"--property={name}={value}"
            for name, value in (
                ("MemoryMax", memory),
                ("MemorySwapMax", 0),
                ("TasksMax", values["pids.max"]),
                ("CPUWeight", 100),
            )
        ]
        return Group([*asked, *words, "--"], None)
    return None


@cache
def _parent() -> Path | None:
    """Where this process may make a group with all that is wanted: beside its own, or at the root."""
    if os.getuid() or not (ROOT / "cgroup.controllers").exists():
        return None
    for parent in (_of(os.getpid()).parent, ROOT):
        probe = parent / f"deepul-probe-{os.getpid()}"
        try:
            _hand_down(parent)
            probe.mkdir()
        except OSError:
            continue
        try:
            enough = set((probe / "cgroup.controllers").read_text().split()) >= WANTED
            enter = ["sh", "-c", ENTER, str(probe), "true"]
            if enough and subprocess.run(enter, capture_output=True, check=False).returncode == 0:
                return parent
        finally:
            Group([], probe).close()
    return None


def _hand_down(parent: Path) -> None:
    """Let groups in `parent` have what is wanted."""
    missing = WANTED - set((parent / "cgroup.subtree_control").read_text().split())
    if missing:
        (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))


@cache
def _systemd() -> list[str] | None:
    """How to ask systemd for a scope, where what it says of memory and processors is then so."""
    program = shutil.which("systemd-run")
    if not program or not Path("/run/systemd/system").exists():
        return None
    words = [program, *(["--user"] if os.getuid() else []), "--scope", "--quiet", "--collect"]
    show = [*words, "--property=MemoryMax=1G", "--property=CPUWeight=90", "--", "sh", "-c", SHOW]
    try:
        said = subprocess.run(show, capture_output=True, text=True, timeout=10, check=False, env=environment())
    except subprocess.TimeoutExpired:  # no bus answers
        return None
    return words if said.stdout.split() == [str(2**30), "90"] else None


def environment() -> dict[str, str]:
    """By what systemd is found."""
    return {name: os.environ[name] for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if name in os.environ}


def _of(pid: int) -> Path:
    """The group of a process."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return ROOT / next(line[3:] for line in lines if line.startswith("0::")).lstrip("/")
