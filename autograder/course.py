"""A course folder: nbgrader's own layout, opened with the kit's configuration."""

import errno
import os
import re
import secrets
import sys
import textwrap
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograder.assignments import ROOT
from autograder.files import write_atomically

SECRET_LENGTH = 32  # characters of a course's secret, at least
LOCKED_SECONDS = 90  # the gradebook may be in use so long


class CourseError(Exception):
    """Something in the course folder is not in order; says what, where, and what to do."""


class SandboxError(Exception):
    """The sandbox itself does not work; says what to do. Never a fault of a submission."""


class SourceError(Exception):
    """The source notebook is not in order; says which cell, and what to do."""


CONFIGURATION = '''"""Written by deepul: nbgrader's own commands in this folder grade in the kit's sandbox."""

from pathlib import Path

import autograder

load_subconfig("nbgrader_config.py", path=str(Path(autograder.__file__).resolve().parent.parent))
c = get_config()
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "release"
'''


@dataclass(frozen=True)
class Course:
    """root: the folder that holds submitted/, autograded/, feedback/ and gradebook.db."""

    root: Path
    source: Path
    release: Path

    @classmethod
    def kit(cls) -> "Course":
        """The kit's own folder: its handouts are the committed ones."""
        return cls(ROOT, ROOT / "build" / "source", ROOT / "homeworks")

    @classmethod
    def at(cls, root: Path) -> "Course":
        """A course of its own in any folder."""
        root = root.resolve()
        return cls.kit() if root == ROOT else cls(root, root / "source", root / "release")

    def configure(self) -> None:
        """Let nbgrader's own commands in this folder grade in the sandbox, too.

        Without a configuration they would run a submission on this machine, and believe what it says of itself.

        Raises CourseError where there is another configuration, which does so.
        """
        file = self.root / "nbgrader_config.py"
        if not file.exists() or not file.read_bytes().strip():  # a full disk may have left an empty one
            write_atomically(file, CONFIGURATION)
        text = file.read_text(encoding="utf-8", errors="replace")
        if "load_subconfig(" not in text and "autograder.grading.nbgrader_steps.TrustedExecute" not in text:
            raise CourseError(
                f"{file} is a configuration of your own, with which `nbgrader autograde` would run submissions outside "
                f"the sandbox. Add this to its beginning, and run the command again:\n\n{CONFIGURATION}"
            )

    @property
    def salt(self) -> str:
        """The course's secret, from which grading seeds and held-out data are derived; made once.

        Raises CourseError where the file holds none: graded with it, nobody would have these grades again.
        """
        file = self.root / ".deepul-salt"
        if not file.exists():
            _make_secret(file)
        text = file.read_bytes().decode("ascii", "replace").strip()
        if len(text) < SECRET_LENGTH or not (text.isascii() and text.isprintable()):
            raise CourseError(
                f"{file} holds no secret: {SECRET_LENGTH} letters and digits, or more. Put the course's own back, of "
                "which you keep a copy. If nothing was graded yet, delete the file: the next command makes a new one."
            )
        return text

    def api(self):
        """nbgrader's programming interface on this folder."""
        from nbgrader.apps import NbGraderAPI
        from nbgrader.coursedir import CourseDirectory

        _quiet()
        # nbgrader calls `alembic` by name when it makes a gradebook.
        bin_folder = str(Path(sys.executable).parent)
        if bin_folder not in os.environ["PATH"].split(os.pathsep):
            os.environ["PATH"] = bin_folder + os.pathsep + os.environ["PATH"]
        config = self.config()
        self.root.mkdir(parents=True, exist_ok=True)
        return NbGraderAPI(coursedir=CourseDirectory(config=config), config=config)

    def config(self):
        """The kit's configuration of nbgrader, for this folder."""
        from traitlets.config import PyFileConfigLoader

        config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
        config.CourseDirectory.root = str(self.root)
        config.CourseDirectory.db_url = self.gradebook_url
        config.CourseDirectory.source_directory = str(self.source)
        config.CourseDirectory.release_directory = str(self.release)
        return config

    def knows(self, assignment: str) -> bool:
        """Whether the gradebook has the assignment."""
        from nbgrader.api import MissingEntry

        if not (self.root / "gradebook.db").exists():
            return False
        with self.gradebook() as gradebook:
            try:
                gradebook.find_assignment(assignment)
            except MissingEntry:
                return False
        return True

    def generate_assignment(self, assignment: str) -> None:
        """nbgrader generate_assignment. Raises CourseError with nbgrader's own reason."""
        result = self.api().generate_assignment(assignment, force=True)
        if not result["success"] and "Cannot add or remove cells" in str(result):
            raise CourseError(
                f"The gradebook has submissions of {assignment} already, and nbgrader adds no cells to it then, nor "
                "takes any away: keep exercises and written questions as they were (without, questions and written in "
                "course.toml), or move gradebook.db away and grade again, which loses what was given by hand."
            )
        if not result["success"]:
            raise CourseError(f"nbgrader could not make the handout of {assignment}: {reason(result)}")

    def gradebook(self):
        """nbgrader's gradebook, as a context manager."""
        from nbgrader import api

        _quiet()
        api.get_alembic_version = _newest_tables
        return api.Gradebook(self.gradebook_url, "deepul")

    @property
    def gradebook_url(self) -> str:
        """Of the gradebook; whoever writes to it waits for others that do, formgrader for example."""
        return f"sqlite:///{self.root / 'gradebook.db'}?timeout={LOCKED_SECONDS}"


@cache
def _newest_tables() -> str:
    """The revision of a new gradebook's tables.

    nbgrader starts `alembic heads` to learn it, which takes two seconds, and a program that need not be on the path.
    """
    from alembic.script import ScriptDirectory
    from nbgrader.dbutil import ALEMBIC_DIR

    return str(ScriptDirectory(ALEMBIC_DIR).get_current_head())


def _quiet() -> None:
    """A mapping of nbgrader's that SQLAlchemy 2.1 grumbles about is harmless, and not for a TA to read."""
    warnings.filterwarnings("ignore", message="Object of type <Submitted")


def reason(result: dict) -> str:
    """Why one of nbgrader's calls failed, by its log: what we know in our words, else how its last traceback ends."""
    log = "\n".join(str(result.get(part) or "") for part in ("log", "error"))
    for words, meaning in (*GRADEBOOK, *DISK):
        if words in log:
            return meaning
    raised = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Invalid)\b: .*", log, re.MULTILINE)
    errors = [line for line in log.splitlines() if line.startswith("[ERROR]") and "raceback" not in line]
    return " ".join([*errors, *raised[-1:]]) or log.strip()[-500:]


def _make_secret(file: Path) -> None:
    """Write a new secret, whole or not at all, for its owner alone, unless another grader has just made one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(SECRET_LENGTH // 2))  # who reads it can predict what is held out
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, file)
        except FileExistsError:
            pass
        except OSError:  # a file system that knows no links
            if not file.exists():
                os.replace(temporary, file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None  # a full disk does not say where
    finally:
        temporary.unlink(missing_ok=True)


FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
# What SQLite says, and what it means: (its words, in ours).
GRADEBOOK = (
    ("database is locked", "gradebook.db is in use by another program (formgrader, perhaps, that is saving): close it"),
    ("disk is full", "gradebook.db cannot grow, the disk is full: make room"),
    ("readonly database", "gradebook.db is read-only, or its folder: allow writing there"),
    ("unable to open database file", "gradebook.db cannot be opened: allow reading and writing in the course folder"),
    ("disk I/O error", "gradebook.db cannot be read or written, the disk is full or failing: make room, or look at it"),
    ("not a database", "gradebook.db is damaged: put back a copy, or move it away to begin a new one"),
    ("malformed", "gradebook.db is damaged: put back a copy, or move it away to begin a new one"),
)


DISK = (  # what the system says, in the log of another program
    ("No space left on device", "the disk is full: make room"),
    ("Disk quota exceeded", "the disk is full: make room"),
    ("Read-only file system", "the course folder is read-only: allow writing there"),
    ("Permission denied", "a file or folder of the course is not yours to write: allow writing there"),
)


def trouble(error: Exception) -> str:
    """Why something could not be read or written: what, where, and what to do, in one line."""
    said = str(error)
    if isinstance(error, OSError) and error.errno in FULL:
        where = f": {error.filename}" if error.filename else ""
        return f"the disk is full ({error.strerror}{where}): make room"
    if isinstance(error, OSError) and error.errno in CLOSED:
        return f"{error.filename or 'a file'} cannot be written, it is read-only or not yours: allow writing there"
    if isinstance(error, IsADirectoryError):
        return f"{error.filename} is a folder: give the name of a file"
    if isinstance(error, FileExistsError):
        return f"{error.filename} is there already and cannot be replaced: allow writing there, or move it away"
    if isinstance(error, FileNotFoundError | NotADirectoryError) and error.filename:
        return f"{error.filename} is not there: look whether its name is right, and the folders above it"
    for words, meaning in (*GRADEBOOK, *DISK):  # of several files at once, a system's words are all that there is
        if words in said:
            return meaning
    first = textwrap.shorten(said.splitlines()[0] if said else "no reason given", 200, placeholder=" …")
    return f"{type(error).__name__}: {first}"
