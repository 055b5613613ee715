"""Reading one submission: bounded, and never following a link."""

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from autograder.course import CourseError
from autograder.files import MOST_BYTES, MOST_FILE, MOST_FILES
from autograder.grading import archives, choice
from autograder.grading.archives import Member
from autograder.grading.archives import printable as shown

STAMP, SECRET = "timestamp.txt", "submission_secret.txt"  # nbgrader's own, beside what a student handed in
MOST_NAME = 255  # bytes of one part of a name, as file systems have it
MOST_PATH = 1000  # bytes of a whole name; it stands behind the course folder's own
MOST_STAMP = 1000  # bytes of a timestamp.txt
TIME = re.compile(
    r"(?P<local>(?:19|20|21)\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)"
    r" ?(?:(?P<offset>Z|[+-]\d\d(?::?\d\d)?)|(?P<name>[A-Za-z][\w+/-]*))?",
    re.ASCII,
)


@dataclass(frozen=True)
class Part:
    """A file of a submission that lies among those of others: what it is, and what its student called it."""

    path: Path
    name: str


@dataclass(frozen=True)
class Submission:
    """path: a folder, an archive or a notebook. beside: more of the same student's, as a platform laid it side by side.

    arrived: when, as the platform says, for nbgrader's timestamp. late: whether the platform marked it so. attempt: in
    words, where there were several. problem: why it cannot be graded, whatever is in it; "" where nothing is known.
    """

    student: str
    path: Path
    beside: tuple[Part, ...] = ()
    name: str = ""  # of path, where its student called it otherwise
    arrived: datetime | None = None
    late: bool = False
    attempt: str = ""
    problem: str = ""


def unusual(path: Path) -> str:
    """What something is that is never opened, since opening it may hang or lead elsewhere; "" for files and folders."""
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):  # said by whoever opens it
        return ""
    if stat.S_ISLNK(mode):
        return "a link to somewhere else"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "no ordinary file"


def is_ordinary(path: Path) -> bool:
    """Whether something is a file that may be opened: no link, no pipe, no device."""
    return path.is_file() and not unusual(path)


def arrival(file: Path, zone: tzinfo) -> datetime | None:
    """When a submission came, in UTC, by its timestamp.txt; None without one. zone: of a time that names none.

    Raises CourseError where it says no time, or leaves open which one.
    """
    moment = stamped(file, zone)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment else None


def stamped(file: Path, zone: tzinfo | None = None) -> datetime | None:
    """The same as it is written: with its zone, or with none, for whoever knows the course's."""
    if kind := unusual(file):
        raise CourseError(f"{file} is {kind}, which says no time: put a file in its place.")
    try:
        with file.open("rb") as stream:
            text = stream.read(MOST_STAMP).decode("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{file} cannot be read: {error}") from None
    try:
        return _moment(text, zone) if text else None
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise CourseError(
            f"{file} says {text[:60]!r}, which is no time, or not one only: write it such as 2027-02-12 23:59:00, in "
            "the course's time zone, or 2027-02-12 23:59:00 UTC."
        ) from None


def _moment(text: str, zone: tzinfo | None) -> datetime:
    """A time with its zone: that of its offset, its name (CEST, as nbgrader writes it), or the course's, if given.

    Raises ValueError where it is none, or clocks show it twice or never.
    """
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    if found["offset"]:
        return datetime.fromisoformat(f"{found['local']}{found['offset']}")
    local, name = datetime.fromisoformat(found["local"]), found["name"]
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if name == "UTC":
        return local.replace(tzinfo=UTC)
    if not name and zone is None:
        return local
    if name in (first.tzname(), second.tzname()):
        return first if name == first.tzname() else second
    if name:
        first, second = (local.replace(tzinfo=ZoneInfo(name), fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise ValueError(text)
    return first


def read(submission: Submission, assignment: str) -> tuple[dict[str, bytes], list[str]]:
    """({name: content} of all regular files, what was left out and why). Raises CourseError for what is unreadable.

    Archives among them are opened, where the notebook or weights are in them.
    """
    if submission.problem:
        raise CourseError(submission.problem)
    left_out: list[str] = []
    first = Part(submission.path, submission.name or f"{assignment}{submission.path.suffix}")
    files: dict[str, bytes] = {}
    for part in (first, *submission.beside):
        kind = unusual(part.path)
        if kind and submission.beside:
            left_out.append(f"{shown(part.name)}: {kind}")
            continue
        if kind:
            raise CourseError(f"{shown(part.path.name)} is {kind}, not a submission.")
        files |= _read(part, left_out, is_alone=not submission.beside)
        _bounded(submission.path.name, files)
    return _opened(submission.path, files, left_out, assignment), left_out


def _read(part: Part, left_out: list[str], is_alone: bool) -> dict[str, bytes]:
    path = part.path
    if path.is_dir():
        return _contents(path.name, _in_folder(path, left_out), left_out)
    if is_alone and archives.is_archive(path.name):
        with path.open("rb") as stream:
            return _unpacked(stream, path.name, left_out)
    return _contents(path.name, iter([(part.name, path.stat().st_size, path.read_bytes)]), left_out)


def _unpacked(stream: BinaryIO, name: str, left_out: list[str]) -> dict[str, bytes]:
    with archives.readable(name):
        return _contents(name, archives.members(stream, name, left_out), left_out)


def _bounded(name: str, files: dict[str, bytes]) -> None:
    name = shown(name)
    if sum(map(len, files.values())) > MOST_BYTES:
        raise CourseError(f"{name} unpacks to more than {MOST_BYTES // 2**20} MB.")
    if len(files) > MOST_FILES:
        raise CourseError(f"{name} holds more than {MOST_FILES:,} files.")


def _opened(path: Path, files: dict[str, bytes], left_out: list[str], assignment: str) -> dict[str, bytes]:
    """With the contents of archives inside: of all, where no notebook lies beside them; else of those with weights.

    Raises CourseError where two of them hold a notebook.
    """
    packed = [n for n in files if archives.is_archive(n) and not archives.is_junk(n)]
    has_notebook = _has(files, ".ipynb")
    inside: dict[str, bytes] = {}
    notebooks: dict[str, set[bytes]] = {}  # of this assignment, in each archive
    for name in packed:
        said: list[str] = []
        try:
            content = _unpacked(io.BytesIO(files[name]), PurePosixPath(name).name, said)
        except CourseError as error:
            if not has_notebook and len(packed) == 1:
                raise
            left_out.append(f"{shown(name)}: {error}")
            continue
        if has_notebook and (_has(content, ".ipynb") or not _has(content, ".safetensors")):
            continue  # another copy, or something else: it stays a file
        if mine := {c for n, c in content.items() if _has([n], ".ipynb") and not choice.other(c, assignment)}:
            notebooks[name] = mine
        inside |= {str(PurePosixPath(name).parent / n): c for n, c in content.items()}
        left_out += said
        del files[name]
    if len({frozenset(mine) for mine in notebooks.values()}) > 1:
        *others, last = map(shown, notebooks)
        raise CourseError(
            f"{', '.join(others)} and {last} {'all' if others[1:] else 'both'} hold a notebook, and nothing says which "
            "is the later one: keep one of them."
        )
    if not has_notebook and not _has(inside, ".ipynb"):
        deep = [n for n in inside if archives.is_archive(n) and not archives.is_junk(n)]
        left_out += [f"{shown(n)}: nested too deep to be opened, ask the student for one archive" for n in deep]
    whole = (inside | files).items()
    members = ((name, len(content), lambda content=content: content) for name, content in whole)
    return _contents(path.name, members, left_out)


def _has(files: Iterable[str], ending: str) -> bool:
    return any(n.lower().endswith(ending) and not archives.is_junk(n) for n in files)


def _contents(whose: str, members: Iterator[Member], left_out: list[str]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    folders: set[str] = set()
    total = 0
    for name, size, content in members:
        name = name.encode("utf-8", "replace").decode()  # Linux takes any bytes for a name
        if not is_file_name(name):
            left_out.append(f"{shown(name)}: no name for a file")
            continue
        above = {str(p) for p in PurePosixPath(name).parents}
        if name in folders or above & files.keys():
            left_out.append(f"{shown(name)}: a file and a folder have one name")
            continue
        most = MOST_BYTES if archives.is_archive(name) else MOST_FILE
        if size > most:
            left_out.append(f"{shown(name)}: it has {size / 2**20:,.0f} MB, the most is {most // 2**20} MB")
            continue
        total += size
        if total > MOST_BYTES:
            raise CourseError(f"{shown(whose)} unpacks to more than {MOST_BYTES // 2**20} MB.")
        if len(files) >= MOST_FILES:
            raise CourseError(f"{shown(whose)} holds more than {MOST_FILES:,} files.")
        files[name] = content()
        folders |= above
    return files


def is_file_name(name: str) -> bool:
    """Whether a relative name can be written on any disk of ours."""
    try:
        parts = [p.encode() for p in PurePosixPath(name).parts]
    except UnicodeEncodeError:
        return False
    long = len(name.encode()) > MOST_PATH or any(len(p) > MOST_NAME for p in parts)
    return bool(parts) and "\x00" not in name and b".." not in parts and not long


def _in_folder(folder: Path, left_out: list[str]) -> Iterator:
    for where, folders, names in os.walk(folder):
        for name in sorted(folders):
            if os.path.islink(os.path.join(where, name)):
                left_out.append(f"{shown(name)}: a link to somewhere else")
        for name in sorted(names):
            path = Path(where, name)
            if kind := unusual(path):
                left_out.append(f"{shown(str(path.relative_to(folder)))}: {kind}")
                continue
            yield path.relative_to(folder).as_posix(), path.lstat().st_size, path.read_bytes
