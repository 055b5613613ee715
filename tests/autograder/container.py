"""A container as Gradescope's are, made of this machine by bubblewrap: root without the right to make namespaces.

Docker's usual capabilities, and its usual filter of system calls as far as it matters here, are imitated; no image is
downloaded. It needs root.
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from autograder.grading import seccomp

# Of root in a Docker container, unless somebody says otherwise.
CAPABILITIES = (
    *("chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap", "setpcap"),
    *("net_bind_service", "sys_chroot", "kill", "audit_write"),
)
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
EMPTY = {"/tmp": "1777", "/var/tmp": "1777", "/run": "0755", "/root": "0700"}
# What Docker's filter refuses whom CAP_SYS_ADMIN is missing.
REFUSED = ("mount", "umount2", "pivot_root", "unshare", "setns", "open_tree", "move_mount", "fsopen", "mount_setattr")


def _filter(refused: tuple[str, ...]) -> bytes:
    """A program of seccomp that refuses some calls, and clone with namespaces."""
    column, name = seccomp.ARCHITECTURES[platform.machine()]
    steps = [seccomp._load(seccomp.ARCHITECTURE), *seccomp._unless(seccomp.EQUAL, name, seccomp._refuse(1))]
    steps += [seccomp._load(seccomp.NUMBER), *seccomp._if(seccomp.EQUAL, 435, seccomp._refuse(38))]
    for call in refused:
        steps += seccomp._if(seccomp.EQUAL, seccomp.NUMBERS[call][column], seccomp._refuse(1))
    clone = [seccomp._argument(0), seccomp._step(seccomp.AND, seccomp.NAMESPACES)]
    clone += [*seccomp._if(seccomp.EQUAL, 0, [seccomp._ALLOW]), *seccomp._refuse(1)]
    steps += seccomp._if(seccomp.EQUAL, seccomp.CLONE[column], clone)
    return b"".join([*steps, seccomp._ALLOW])


def run(
    command: list[str], binds: dict[Path, str], namespaces: bool = False, timeout: int = 170, **variables: str
) -> subprocess.CompletedProcess:
    """Run a command there, as root. binds: {folder here: where it lies there}. namespaces: whether it may make some."""
    words = ["bwrap", "--die-with-parent", "--unshare-ipc", "--unshare-uts", "--clearenv"]
    for place in SYSTEM:
        if os.path.islink(place):
            words += ["--symlink", os.readlink(place), place]
        elif os.path.exists(place):
            words += ["--ro-bind", place, place]
    ours = {sys.prefix, sys.base_prefix} - {"/usr"}
    for place, mode in EMPTY.items():
        inside = any(home.startswith(f"{place}/") for home in ours)
        words += ["--perms", "0755" if inside else mode, "--tmpfs", place]
    for parent in sorted({str(p) for place in {*ours, *binds.values()} for p in Path(place).parents[:-1]}):
        words += ["--perms", "0755", "--dir", parent]
    for place in ours:
        words += ["--ro-bind", place, place]
    # A /proc that is masked in places, as bubblewrap and Docker make it, can be mounted by nobody else again.
    words += ["--bind", "/proc", "/proc"] if namespaces else ["--unshare-pid", "--proc", "/proc"]
    words += ["--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]
    for here, there in binds.items():
        words += ["--bind", str(here), there]
    for name, value in {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **variables}.items():
        words += ["--setenv", name, value]
    if namespaces:
        return subprocess.run(
            [*words, "--cap-add", "ALL", *command], capture_output=True, text=True, check=False, timeout=timeout
        )
    words += ["--cap-drop", "ALL"]
    for name in CAPABILITIES:
        words += ["--cap-add", f"CAP_{name.upper()}"]
    with tempfile.TemporaryFile() as program:
        program.write(_filter(REFUSED))
        program.seek(0)
        words += ["--seccomp", str(program.fileno())]
        return subprocess.run(
            [*words, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            pass_fds=[program.fileno()],
        )
