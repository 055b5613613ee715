"""The other wall around a notebook, for containers in which bubblewrap cannot work: each one is a user of its own.

Root starts it, and it needs no namespaces, as in Gradescope's containers. What it keeps from a student's code, and how,
stands in separate_zygote.py. It is used where it is asked for, and never instead of bubblewrap without a word.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from autograder.assignments import ROOT
from autograder.course import SandboxError
from autograder.grading.limits import Limits
from autograder.grading.sandbox import ENVIRONMENT, FIRST_UID, Process, Sandbox, of_kit

OWN = ("autograder/grading/separate_zygote.py",)
USERS = 4096  # so many ids of users from FIRST_UID on; a container may have none over 65,535
CLAIMS = Path("/run/deepul-users")  # a file for each id, locked while it is used
# Says which of some folders whoever runs this can look into. That it runs at all says that they can use Python.
PROBE = "import os, sys; print(*(p for p in sys.argv[1:] if os.access(p, os.X_OK) or os.access(p, os.R_OK)), sep='\\n')"


class SeparateUser(Sandbox):
    """A warm process that forks kernels, each for another user. One at a time."""

    def __init__(self, limits: Limits):
        require([ROOT])
        self._claim: IO[str] | None = None
        super().__init__(limits)
        self.uid = None

    def start(self, files: dict[str, bytes], seed: int) -> Process:
        """A kernel that is a user of its own, in a folder that holds `files`, listening. Raises SandboxError."""
        if self._claim:
            self._claim.close()
        self.uid, self._claim = _claim(self.uid or FIRST_UID + os.getpid() % USERS)
        return super().start(files, seed)

    def close(self) -> None:
        super().close()
        if self._claim:
            self._claim.close()

    def _command(self) -> tuple[list[str], dict[str, str]]:
        kit, home = self.exchange / "kit", self.exchange / "home"
        _copy_of_kit(kit)
        home.mkdir(mode=0o755)
        words = [sys.executable, "-P", "-m", "autograder.grading.separate_zygote", str(self.exchange)]
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        # Not /tmp, as in bubblewrap: there a notebook could lay something that the next warm process, root, takes up.
        homes = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"), str(home))
        return words, ENVIRONMENT | homes | {"PATH": path, "PYTHONPATH": str(kit)}

    def _seen(self, own: Path) -> Path:
        return own


def _copy_of_kit(kit: Path) -> None:
    """What a notebook imports of the kit, for all to read and none to write."""
    mounts = [(Path(source), target.removeprefix("/kit/")) for _, source, target in of_kit()]
    for source, name in [*mounts, *((ROOT / name, name) for name in OWN)]:
        (kit / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, kit / name)
        else:
            shutil.copyfile(source, kit / name)
    for path in (kit, *kit.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _claim(after: int) -> tuple[int, IO[str]]:
    """(the next id of a user that is nobody's, the file that keeps it ours as long as it is open)."""
    CLAIMS.mkdir(mode=0o700, exist_ok=True)
    ids = [FIRST_UID + (after + k - FIRST_UID) % USERS for k in range(1, USERS + 1)]
    for uid in ids:
        if _is_somebody(uid):
            continue
        stream = (CLAIMS / str(uid)).open("a")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another grader's
            stream.close()
            continue
        return uid, stream
    raise SandboxError(f"All users from {FIRST_UID} to {FIRST_UID + USERS - 1} are taken on this machine.")


def _is_somebody(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def require(private: Iterable[Path]) -> None:
    """Raises SandboxError, saying what to do, where notebooks cannot run as users of their own.

    private: folders that such a user must not be able to look into.
    """
    if os.getuid():
        raise SandboxError("To run notebooks as users of their own the grader has to be root, as in a container.")
    wanted = [str(p.resolve()) for p in private]
    uid = FIRST_UID
    try:
        probe = [sys.executable, "-I", "-S", "-c", PROBE, *wanted]
        done = subprocess.run(
            probe, capture_output=True, text=True, check=False, user=uid, group=uid, extra_groups=[], cwd="/"
        )
    except OSError as error:  # no right to be another user, or Python is closed to them
        raise SandboxError(f"No notebook can run as another user here: {error}.") from None
    if done.returncode:
        raise SandboxError(f"No notebook can run as another user here: {sys.executable} fails. {done.stderr[-300:]}")
    if open_to_all := done.stdout.split():
        folders = " ".join(open_to_all)
        raise SandboxError(f"A notebook that runs as another user could look into these: chmod 700 {folders}")
