"""Runs beside the grader, as root, where no namespaces can be made: zygote.py with a wall of another kind.

Each kernel is a user of its own, who owns nothing but its own folder: what is not open to all it can neither read nor
write, and no process but its own can it see into, signal or trace. It has no way to any privilege, a filter of system
calls that leaves it no network, and the limits that all kernels have. When it ends, all that its user still runs ends
with it, and what this user left in places where anybody may write is removed.

What bubblewrap does besides, and this does not, stands in SECURITY.md.
"""

import contextlib
import functools
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from autograder.grading.zygote import (
    NICER,
    become,
    call,
    disconnect_all_but,
    give_up_privileges,
    libc,
    listening_kernel,
    main,
    silence,
    tell_grader,
    to_byte,
)

# UNIX, and of NETLINK what names interfaces, which zmq asks for: nothing else on this machine or elsewhere is reached.
SOCKETS = {1: None, 16: 0}
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
NOT_FILES = ("/proc", "/sys")


def keep_as_user(
    exchange: Path, open_to_all: list[Path], name: str, uid: int, limits: dict, seed: int, tell: int
) -> NoReturn:
    """Fork a kernel that is the user `uid`, and end as it ends, when nothing of this user is left.

    open_to_all: folders in which that user may leave files.
    """
    disconnect_all_but(tell)
    warm = os.getppid()
    try:
        call(libc.prctl, SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what loses its parent stays below this process
        _end_all(uid)  # of a grader that was killed
        bound, tell_bound = os.pipe()
        kernel = os.fork()
        if kernel == 0:
            os.close(bound)
            _become_kernel(exchange / name, uid, limits, seed, tell, tell_bound)
        os.close(tell_bound)
        # If the warm process is killed, so is the kernel, by this one.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(kernel, signal.SIGKILL))
        call(libc.prctl, SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != warm:
            os.kill(kernel, signal.SIGKILL)
        if os.read(bound, 1):
            tell_grader(tell, pid=kernel)
    except OSError as error:
        tell_grader(tell, error=f"no user of its own: {error}")
        os._exit(1)
    os.close(tell)
    code = _ending(kernel)
    _end_all(uid)
    for folder in open_to_all:
        _remove_all(uid, folder)
    os._exit(to_byte(code))


def _ending(kernel: int) -> int:
    """How the kernel ended, when it has. What it left without a parent is collected meanwhile."""
    while True:
        pid, status = os.wait()
        if pid == kernel:
            return os.waitstatus_to_exitcode(status)


def _end_all(uid: int) -> None:
    """End all processes of a user, and collect them. One signal reaches all, those that are being forked, too."""
    if os.fork() == 0:
        try:
            become(uid)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    with contextlib.suppress(ChildProcessError):  # no more of them
        while True:
            os.wait()


def _remove_all(uid: int, folder: Path) -> None:
    """Remove what a user, of whom nothing runs any more, has left in a folder."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_uid != uid:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


def folders_open_to_all(top: Path = Path("/")) -> Iterator[Path]:
    """The folders in which every user of this machine may make files, /tmp for example."""
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                continue  # nobody else gets in, nor below
            if mode & stat.S_IWOTH:
                yield folder
            with os.scandir(folder) as entries:
                pending += [
                    Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and e.path not in NOT_FILES
                ]
        except OSError:  # it is gone, or belongs to a disk that does not answer: a user cannot write there either
            continue


def _become_kernel(own: Path, uid: int, limits: dict, seed: int, tell: int, tell_bound: int) -> NoReturn:
    """Be the kernel: the user `uid`, without a privilege, in the folder `own`, listening; whatever fails is told."""
    code = 1
    try:
        os.setsid()
        os.nice(NICER)
        Path("/proc/self/oom_score_adj").write_text("1000")  # if the machine runs out of memory: this one first
        become(uid)
        call(libc.prctl, SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _settle(own)
        silence()
        give_up_privileges(limits, SOCKETS)
        app = listening_kernel(own / "connection.json", seed, own / "files")
        os.write(tell_bound, b"1")
        os.close(tell_bound)
        os.close(tell)
        app.start()
        code = 0
    except BaseException as error:
        with contextlib.suppress(OSError):  # it listened before, and the pipe is closed
            tell_grader(tell, error=f"{type(error).__name__}: {error}")
        raise
    finally:
        os._exit(code)


def _settle(own: Path) -> None:
    """Work in the folder of the submission's files, and keep everything else beside it."""
    os.umask(0o077)
    (own / "tmp").mkdir()
    os.environ |= {name: str(own / "tmp") for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "JUPYTER_CONFIG_DIR")}
    os.environ["IPYTHONDIR"] = str(own / "tmp" / "ipython")
    tempfile.tempdir = None  # it is found again when it is asked for
    os.chdir(own / "files")


if __name__ == "__main__":
    places = list(folders_open_to_all())
    main(functools.partial(keep_as_user, Path(sys.argv[1]), places), prepare=lambda: None)
