"""Finding submissions in whatever folder a TA has, and reading one: bounded, and never following a link."""

import errno
import hashlib
import lzma
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autograder.course import CourseError

MOST_BYTES = 200 * 2**20  # of one unpacked submission; an assignment with its weights has a few
MOST_FILES = 2000
MOST_FILE = 64 * 2**20  # the largest weights of the course have a tenth
MOST_DIRECTORY = 4 * 2**20  # bytes of an archive's list of contents: twice that of MOST_FILES with the longest names
MOST_NAME = 255  # bytes of one part of a name, as file systems have it
MOST_STUDENT = 120  # bytes of a student's name: files are called after it
MOST_PATH = 1000  # bytes of a whole name; it stands behind the course folder's own
# What zipfile raises for archives that are damaged or made to break it. RuntimeError: encrypted, mostly.
# NotImplementedError: packed in a way that Python does not know. ValueError: a name that is no text.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, ValueError)


@dataclass(frozen=True)
class Submission:
    student: str
    path: Path  # a folder, a zip file or a notebook


def find(folder: Path, assignment: str) -> list[Submission]:
    """The submissions in `folder`, by student: folders, zip files and notebooks lying in it.

    nbgrader's own layout (student/hw1/hw1.ipynb) works too. Raises CourseError if there is none, or if two
    belong to one student.
    """
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}. Give the folder that holds the students' submissions.")
    by_student: dict[str, Submission] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in (".zip", ".ipynb")):
            continue
        student = student_id(path, assignment)
        if student in by_student:
            raise CourseError(
                f"{path.name} and {by_student[student].path.name} both belong to {student}: keep one of them in "
                f"{folder}."
            )
        nested = path / assignment
        by_student[student] = Submission(student, nested if nested.is_dir() and not path.is_symlink() else path)
    if not by_student:
        raise CourseError(f"{folder} holds no submissions: no folders, no .zip and no .ipynb files.")
    return list(by_student.values())


def student_id(path: Path, assignment: str) -> str:
    """ "ada" for ada/, ada.zip, hw1-ada.zip and hw1_ada.ipynb.

    One that every table can show and every disk can write: composed and decomposed letters are one, marks that turn the
    direction of writing are none, nothing is a tag, and a long one keeps its beginning, with a hash of the whole.
    """
    name = path.stem if path.is_file() else path.name
    short = re.sub(rf"^{re.escape(assignment)}[-_ ]", "", name) or name
    text = unicodedata.normalize("NFC", short.encode("utf-8", "replace").decode())
    plain = "".join("" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else "_" if c in '<>"&' else c for c in text)
    plain = plain.strip().lstrip(".") or "no-name-" + _digest(text)  # files that begin with a point are ours
    if len(plain.encode()) <= MOST_STUDENT:
        return plain
    return plain.encode()[: MOST_STUDENT - 11].decode("utf-8", "ignore") + "…" + _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def read(submission: Submission, assignment: str) -> tuple[dict[str, bytes], list[str]]:
    """({name: content} of all regular files, what was left out and why). Raises CourseError for what is unreadable."""
    path = submission.path
    left_out: list[str] = []
    if path.is_symlink():
        raise CourseError(f"{path.name} is a link to somewhere else, not a submission.")
    if path.is_dir():
        members = _in_folder(path, left_out)
    elif path.suffix.lower() == ".zip":
        members = _in_archive(path, left_out)
    else:
        members = iter([(f"{assignment}.ipynb", path.stat().st_size, path.read_bytes)])
    try:
        return _contents(path, members, left_out), left_out
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault; without a number it is bz2's, and a seek to nowhere has EINVAL
        reason = "it is encrypted" if "encrypted" in str(error) else "it is damaged"
        raise CourseError(
            f"{path.name} is no readable zip file ({reason}); ask the student to send it again."
        ) from None


def _contents(path: Path, members: Iterator, left_out: list[str]) -> dict[str, bytes]:
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
        if size > MOST_FILE:
            left_out.append(f"{shown(name)}: it has {size / 2**20:,.0f} MB, the most is {MOST_FILE // 2**20} MB")
            continue
        total += size
        if total > MOST_BYTES:
            raise CourseError(f"{path.name} unpacks to more than {MOST_BYTES // 2**20} MB.")
        if len(files) >= MOST_FILES:
            raise CourseError(f"{path.name} holds more than {MOST_FILES:,} files.")
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


def shown(name: str) -> str:
    """What a student called a file, fit for one line that others read."""
    short = name if len(name) <= 80 else f"{name[:40]}…{name[-39:]}"
    return "".join(c if c.isprintable() else "?" for c in short)


def _in_folder(folder: Path, left_out: list[str]) -> Iterator:
    for where, folders, names in os.walk(folder):
        for name in sorted(folders):
            if os.path.islink(os.path.join(where, name)):
                left_out.append(f"{shown(name)}: a link to somewhere else")
        for name in sorted(names):
            path = Path(where, name)
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode):
                kind = "a link to somewhere else" if stat.S_ISLNK(mode) else "no ordinary file"
                left_out.append(f"{shown(str(path.relative_to(folder)))}: {kind}")
                continue
            yield path.relative_to(folder).as_posix(), path.lstat().st_size, path.read_bytes


def _in_archive(path: Path, left_out: list[str]) -> Iterator:
    if _directory_bytes(path) > MOST_DIRECTORY:  # of which each takes ten times as much in memory, links too
        raise CourseError(f"{path.name} lists far more than {MOST_FILES:,} files.")
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.replace("\\", "/")
            pure = PurePosixPath(name)
            if ".." in pure.parts or pure.is_absolute() or re.match(r"[A-Za-z]:", name):
                raise CourseError(f"{path.name} holds a file outside its own folder: {member.filename!r}.")
            if not name or member.is_dir():
                continue
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                left_out.append(f"{shown(name)}: a link or a device")
                continue
            yield str(pure), member.file_size, lambda member=member: archive.read(member)


def _directory_bytes(path: Path) -> int:
    """How long the list of contents of a zip archive is, by its last record; 0 where there is none.

    Archives of 4 GB and more say it elsewhere, and 2³² − 1 here.
    """
    record, begins = 22, b"PK\5\6"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - record - 2**16))
        end = file.read()
    plain = end[-record:].startswith(begins) and end.endswith(b"\0\0")  # without a comment
    place = len(end) - record if plain else end.rfind(begins)
    return int.from_bytes(end[place + 12 : place + 16], "little") if place >= 0 else 0
