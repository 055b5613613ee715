"""Runs inside the sandbox: a process with everything imported, which forks one kernel for each submission.

Importing torch takes longer than most submissions do, so it is done once. What is forked shares nothing with
its neighbours: before a line of the student's runs, the child has its own user, process, mount and IPC
namespaces, a root of its own that holds only what a notebook needs (an empty /student, /tmp and /dev/shm of bounded
size, and not the place where submissions come in), no privileges in any thread, a filter of system calls
(seccomp.py), and limits on what it may use. The wall to the rest of the machine is bubblewrap's, around all of it
(see sandbox.py).

Commands come as JSON lines on stdin, answers go to stdout, each with the number of its command. Nothing of the
student's runs in this process, and what is forked has none of its descriptors.
"""

import contextlib
import ctypes
import functools
import json
import os
import platform
import resource
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from autograder.grading import seccomp

EXCHANGE = Path("/exchange")
STUDENT_ID = 1000  # the student's uid, as the student sees it
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
NOSUID, NODEV, NOEXEC, RDONLY, REMOUNT, BIND, RECURSIVE = 2, 4, 8, 1, 32, 4096, 16384
DETACH = 2
NICER = 5  # the grader's own processes go before the students'
# What stands in the root of a notebook, besides what the sandbox shows of the system and the kit.
NEW = ("proc", "student", "tmp", "exchange")
MOST_FILES = 20_000
SET_DUMPABLE, CAPBSET_DROP, NO_NEW_PRIVS = 4, 24, 38
CAPABILITY_VERSION_3 = 0x20080522

libc = ctypes.CDLL(None, use_errno=True)


def main(keep: Callable[..., NoReturn], prepare: Callable[[], None]) -> None:
    """Import everything, say so, then serve commands until stdin closes.

    keep: what the child does that `start` forks, as `keep_in_namespaces`. prepare: what is done before all imports.
    """
    commands, answers = sys.stdin, os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    prepare()
    _warm_up()
    known: dict[str, Callable[..., dict]] = {
        "start": functools.partial(do_start, keep),
        "signal": do_signal,
        "ended": do_ended,
    }
    print(json.dumps({"number": 0}), file=answers, flush=True)
    for line in commands:
        command = json.loads(line)
        number = command.pop("number")
        try:
            answer = known[command.pop("do")](**command)
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer | {"number": number}), file=answers, flush=True)


def _hide_origins() -> None:
    """A mount tells where on the host it comes from: let the packages be an overlay, and the kit a copy, of themselves.

    Where there are no overlays for ordinary users (before Linux 5.11), only the packages' place can be read.
    """
    if os.getuid():
        uid, gid = os.getuid(), os.getgid()
        call(libc.unshare, NEWUSER | NEWNS)
        _map_ids(uid, uid, gid, gid)
    for place in {sys.prefix, sys.base_prefix} - {"/usr"}:
        with contextlib.suppress(OSError):
            _mount("overlay", Path(place), RDONLY | NOSUID | NODEV, f"lowerdir={place}:/student")
    copy = Path("/tmp/kit")
    copy.mkdir()
    _mount("tmpfs", copy, NOSUID | NODEV, "mode=0755")
    shutil.copytree("/kit", copy, dirs_exist_ok=True)
    for path in copy.rglob("*"):  # the kit may be closed to all but root, who started this
        path.chmod(0o755 if path.is_dir() else 0o644)
    _bind(copy, Path("/kit"))
    _read_only(Path("/kit"))
    call(libc.umount2, str(copy).encode(), DETACH)


def _warm_up() -> None:
    """What notebooks and kernels import. No thread may start here: it would not survive the fork."""
    import torch

    import deepul_utils
    from autograder import student  # noqa: F401

    torch.set_num_threads(1)  # the same result on every machine and under any load
    for name in ("plots", "tensors", "toy"):
        getattr(deepul_utils, name)
    _rehearse()


def _rehearse() -> None:
    """What loads only when it is first used, once here instead of in every notebook: a figure, a step of training."""
    import io

    import safetensors.torch
    import torch
    from IPython.core.interactiveshell import InteractiveShell  # noqa: F401
    from matplotlib.figure import Figure

    weight = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(weight.parameters())
    torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)
    weight(torch.zeros(3, 2)).sum().backward()
    optimizer.step()
    safetensors.torch.save(weight.state_dict())
    figure = Figure()  # not by pyplot, which would settle on a backend before there is a notebook to show figures in
    axes = figure.subplots()
    image = axes.imshow([[0.0, 1.0]])
    axes.set_xlabel("$x_1$")
    axes.plot([0, 1], label="line")
    axes.legend()
    figure.colorbar(image)
    figure.savefig(io.BytesIO(), format="png", bbox_inches="tight")


def do_start(keep: Callable[..., NoReturn], name: str, uid: int | None, limits: dict, seed: int) -> dict:
    """Fork a kernel for the submission in <exchange>/<name>; answers with its process ids here and its own."""
    ready, tell = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(ready)
        keep(name, uid, limits, seed, tell)
    os.close(tell)
    with os.fdopen(ready, "rb") as stream:
        said = stream.read()
    answer: dict = {"keeper": keeper}
    for line in said.splitlines():
        answer |= json.loads(line)
    if "pid" not in answer:
        os.waitpid(keeper, 0)
        answer.setdefault("error", "the kernel ended before it was ready")
    return answer


def do_signal(pid: int, signal: int) -> dict:
    """Send a signal to a kernel."""
    os.kill(pid, signal)
    return {}


def do_ended(keeper: int) -> dict:
    """How a kernel ended: an exit code, or minus the number of a signal; waits for the end."""
    _, status = os.waitpid(keeper, 0)
    return {"code": _from_byte(os.waitstatus_to_exitcode(status))}


# How a kernel ended is handed on by the exit code of its keeper, which is one byte: the end by a signal is negative, in
# two's complement.


def to_byte(code: int) -> int:
    return code % 256


def _from_byte(byte: int) -> int:
    return byte - 256 if byte > 128 else byte


def keep_in_namespaces(name: str, uid: int | None, limits: dict, seed: int, tell: int) -> NoReturn:
    """Become an ordinary user in namespaces of its own, fork the kernel, and end as it ends."""
    disconnect_all_but(tell)
    try:
        if uid is not None:  # started by root: limits bind only an ordinary user
            become(uid)
        uid, gid = os.getuid(), os.getgid()
        call(libc.unshare, NEWUSER | NEWNS | NEWPID | NEWIPC | NEWUTS)
        _map_ids(STUDENT_ID, uid, STUDENT_ID, gid)
        kernel = _start_kernel(name, limits, seed, tell)
    except OSError as error:
        tell_grader(tell, error=f"no sandbox of its own: {error}")
        os._exit(1)
    os.close(tell)
    _, status = os.waitpid(kernel, 0)
    os._exit(to_byte(os.waitstatus_to_exitcode(status)))


def become(uid: int) -> None:
    """Be this user, and nobody else, from now on."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)


def _map_ids(uid: int, outer_uid: int, gid: int, outer_gid: int) -> None:
    """Who this process is in its new namespace of users, where there is nobody else."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def _start_kernel(name: str, limits: dict, seed: int, tell: int) -> int:
    """Fork the kernel, and tell its process id when it listens."""
    bound, tell_bound = os.pipe()
    kernel = os.fork()
    if kernel == 0:
        os.close(bound)
        _become_kernel(name, limits, seed, tell, tell_bound)
    os.close(tell_bound)
    if os.read(bound, 1):
        # The kernel's sockets are there, and it has no privileges any more: this process still has them, and takes
        # away what the kernel need not see from now on.
        call(libc.umount2, str(EXCHANGE).encode(), DETACH)
        tell_grader(tell, pid=kernel)
    return kernel


def _become_kernel(name: str, limits: dict, seed: int, tell: int, tell_bound: int) -> NoReturn:
    code = 1
    try:
        app = _walled_off_kernel(name, limits, seed, tell)
        os.write(tell_bound, b"1")
        os.close(tell_bound)
        os.close(tell)
        app.start()
        code = 0
    finally:
        os._exit(code)


def _walled_off_kernel(name: str, limits: dict, seed: int, tell: int):
    """A kernel that listens, and has no privileges; what keeps it from that is told."""
    try:
        _wall_off(EXCHANGE / name, limits)
        silence()
        give_up_privileges(limits)  # before there is a second thread, which would keep them
        return listening_kernel(EXCHANGE / "connection.json", seed)
    except BaseException as error:
        tell_grader(tell, error=f"{type(error).__name__}: {error}")
        raise


def tell_grader(pipe: int, **said) -> None:
    """One line of the answer to `start`; lines as short as these are never torn apart."""
    os.write(pipe, json.dumps(said).encode() + b"\n")


def _wall_off(own: Path, limits: dict) -> None:
    """A root of its own, with the submission's files in /student; all that can be written has one bounded size."""
    root = Path("/tmp")
    _mount("tmpfs", root, NOSUID | NODEV, "size=1m,mode=0755")
    for entry in Path("/").iterdir():
        here = root / entry.name
        if entry.is_symlink():
            here.symlink_to(entry.readlink())
        elif entry.is_dir():
            here.mkdir()
            if entry.name not in NEW:
                _bind(entry, here)
    _mount("proc", root / "proc", NOSUID | NODEV | NOEXEC)
    _bind(own, root / "exchange")
    _writable(root, limits["disk"])
    _bind(Path("/dev/null"), root / "dev/zero")  # a shared mapping of zeros is memory that belongs to no process
    _become_root(root)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    Path("/proc/self/oom_score_adj").write_text("1000")  # if the machine runs out of memory: this one first
    shutil.copytree(EXCHANGE / "files", "/student", dirs_exist_ok=True)
    os.chdir("/student")
    os.setsid()
    os.nice(NICER)


def _writable(root: Path, size: int) -> None:
    """/student, /tmp and /dev/shm, together of that size: they are memory, and no process's."""
    files = root / "student"
    _mount("tmpfs", files, NOSUID | NODEV, f"size={size},nr_inodes={MOST_FILES},mode=0700")
    for name, place in (("student", "student"), ("tmp", "tmp"), ("shm", "dev/shm")):
        (files / name).mkdir(mode=0o700)
        if place != "student":
            _bind(files / name, root / place)
    _bind(files / "student", files)  # last: it hides the others


def _become_root(root: Path) -> None:
    """Make `root` this namespace's root, and let go of the one before."""
    os.chdir(root)
    number = {"x86_64": 155, "aarch64": 41}[platform.machine()]
    call(libc.syscall, ctypes.c_long(number), b".", b".")  # pivot_root
    call(libc.umount2, b".", DETACH)
    os.chdir("/")
    _read_only(Path("/"))


def disconnect_all_but(pipe: int) -> None:
    """Pipes and sockets that were inherited lead nowhere: by one of them a notebook could answer for its neighbours.

    They are not closed. An object of the warm process that closes its own later, when it is collected, would close
    what has that number by then: a socket of the kernel's. Files that are read, such as fonts, stay.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # that of the listing itself
            if number > 2 and number not in (pipe, nowhere) and not stat.S_ISREG(os.fstat(number).st_mode):
                os.dup2(nowhere, number)


def silence() -> None:
    """What goes past Python to the process's own streams goes nowhere: a full pipe would stop the kernel."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


def listening_kernel(connection_file: Path, seed: int, home: Path = Path("/student")):
    """An IPython kernel that listens, its files in `home`; it answers the grader's requests beside Jupyter's own."""
    import zmq
    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    import deepul_utils.training as training

    config = Config()
    config.IPKernelApp.connection_file = str(connection_file)
    config.IPKernelApp.outstream_class = "autograder.grading.kernel_side.BoundedStream"
    config.IPKernelApp.capture_fd_output = False
    config.IPKernelApp.log_level = 50
    config.HistoryManager.enabled = False
    config.InteractiveShell.cache_size = 0  # Out[…] would keep every tensor that a cell ends in
    app = IPKernelApp.instance(config=config)
    app.initialize(["--IPKernelApp.quiet=True"])
    _import_from_here()
    training.session = training.Session(home / "artifacts")
    training.session.grading = True
    training.seed_everything(seed)
    from autograder.grading import kernel_side

    assert app.context is not None, "it listens"
    requests = app.context.socket(zmq.DEALER)
    requests.bind(f"ipc://{app.ip}-{json.loads(connection_file.read_text())['requests_port']}")
    kernel_side.serve(app.kernel, training.session, requests)
    return app


def _import_from_here() -> None:
    """Modules beside the notebook are found, after Python's own, as IPython has it; with -P it leaves that out."""
    first = next((k for k, path in enumerate(sys.path) if path.endswith("-packages")), 0)
    if "" not in sys.path:
        sys.path.insert(first, "")


def give_up_privileges(limits: dict, sockets: seccomp.Families = seccomp.FAMILIES) -> None:
    """No capability, none to come, no call that a notebook does not need, and limits that cannot be raised again."""
    for capability in range(64):
        libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)  # those beyond the last known one do not exist
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    call(libc.capset, ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))
    call(libc.prctl, NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp.install(sockets)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_DATA, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["file"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_NPROC, limits["threads"]),
    ):
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is an error, not the end


def _mount(kind: str, where: Path, flags: int, data: str = "") -> None:
    call(libc.mount, kind.encode(), str(where).encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())


def _bind(what: Path, where: Path) -> None:
    """Show a file or folder, with all that is mounted in it, in another place too."""
    call(libc.mount, str(what).encode(), str(where).encode(), None, ctypes.c_ulong(BIND | RECURSIVE), None)


def _read_only(where: Path) -> None:
    flags = REMOUNT | BIND | RDONLY | NOSUID | NODEV
    call(libc.mount, None, str(where).encode(), None, ctypes.c_ulong(flags), None)


def call(function, *arguments) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)}")


if __name__ == "__main__":
    main(keep_in_namespaces, _hide_origins)
