"""Archives of strangers: listed and read, bounded, and never believed about where a file belongs."""

import bz2
import contextlib
import errno
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

from autograder.course import CourseError
from autograder.files import MOST_BYTES, MOST_FILES

MOST_DIRECTORY = 4 * 2**20  # bytes of an archive's list of contents: twice that of MOST_FILES with the longest names
MOST_HEADER = 2**16  # bytes of what a tar archive may say of one file
TAR = re.compile(r"\.(tar|tar\.gz|tgz|tar\.bz2|tbz2?)$", re.IGNORECASE)
ZIP = re.compile(r"\.zip$", re.IGNORECASE)
CLOSED = re.compile(r"\.(rar|7z|tar\.xz|txz|tar\.zst|tzst|xz|zst|gz|bz2|lzma|cab|iso|dmg|zipx)$", re.IGNORECASE)
# What is raised for archives that are damaged or made to break their reader. RuntimeError: encrypted, mostly.
# NotImplementedError: packed in a way that Python does not know. ValueError: a name that is no text.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
)
SAYS_UTF8 = 1 << 11  # in a zip, of a file's name
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")

Member = tuple[str, int, Callable[[], bytes]]  # its name, its size in bytes, and how to read it


def is_archive(name: str) -> bool:
    """Whether a file is a packed one, which may be opened here, by its name."""
    return bool(ZIP.search(name) or TAR.search(name) or CLOSED.search(name))


def stem(name: str) -> str:
    """A file's name without its ending: that of hw1.tar.gz is hw1."""
    for ending in (ZIP, TAR, CLOSED, re.compile(r"\.ipynb$", re.IGNORECASE)):
        if match := ending.search(name):
            return name[: match.start()]
    return name


def is_junk(name: str) -> bool:
    """Whether a file is what operating systems and editors leave behind."""
    parts = PurePosixPath(name).parts
    return any(p.startswith(".") or p in JUNK for p in parts)


@contextlib.contextmanager
def readable(name: str):
    """Says CourseError where an archive cannot be read, whatever is wrong with it."""
    try:
        yield
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault; without a number it is bz2's, and a seek to nowhere has EINVAL
        kind = "tar" if TAR.search(name) else "zip"
        reason = "it is encrypted" if "encrypted" in str(error) else "it is damaged"
        said = f"{printable(name)} is no readable {kind} file ({reason}); ask the student to send it again."
        raise CourseError(said) from None


def members(stream: BinaryIO, name: str, left_out: list[str], most: int = MOST_BYTES) -> Iterator[Member]:
    """The ordinary files of an archive, one after the other: each has to be read before the next is asked for.

    Raises CourseError for a kind that is not opened here, for a file outside the archive's own folder, and for
    archives that list or unpack far too much; `readable` says the rest.
    """
    is_zip, is_tar, ending = ZIP.search(name), TAR.search(name), PurePosixPath(name).suffix
    name = printable(name)
    if (is_zip or is_tar) and not stream.seek(0, 2):
        raise CourseError(f"{name} is empty (0 bytes); ask the student to send it again.")
    stream.seek(0)
    if is_zip:
        yield from _of_zip(stream, name, left_out)
    elif is_tar:
        yield from _of_tar(stream, name, left_out, most)
    else:
        raise CourseError(
            f"{name} is packed as {printable(ending)}, which is not opened here: ask the student for a .zip, or unpack "
            f"it (`7z x` or `unar`) into a folder of the same name, and take it away."
        )


def names(stream: BinaryIO, name: str) -> list[str]:
    """The names of the files in an archive; none, where it cannot be read."""
    try:
        with readable(name):
            return [member for member, _, _ in members(stream, name, [])]
    except CourseError:
        return []


def _outside(name: str) -> bool:
    pure = PurePosixPath(name)
    return ".." in pure.parts or pure.is_absolute() or bool(re.match(r"[A-Za-z]:", name))


def _of_zip(stream: BinaryIO, archive_name: str, left_out: list[str]) -> Iterator[Member]:
    if _directory_bytes(stream) > MOST_DIRECTORY:  # of which each takes ten times as much in memory, links too
        raise CourseError(f"{archive_name} lists far more than {MOST_FILES:,} files.")
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            name = _name(member).replace("\\", "/")
            if _outside(name):
                raise CourseError(f"{archive_name} holds a file outside its own folder: {printable(name)!r}.")
            if not name or member.is_dir():
                continue
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                left_out.append(f"{printable(name)}: a link or a device")
                continue
            yield str(PurePosixPath(name)), member.file_size, partial(archive.read, member)


def _name(member: zipfile.ZipInfo) -> str:
    """A file's name: many write it in UTF-8 and do not say so (Info-ZIP, macOS), and Python takes it for DOS'."""
    if member.flag_bits & SAYS_UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _directory_bytes(stream: BinaryIO) -> int:
    """How long the list of contents of a zip archive is, by its last record; 0 where there is none.

    Archives of 4 GB and more say it elsewhere, and 2³² − 1 here.
    """
    record, begins = 22, b"PK\5\6"
    size = stream.seek(0, 2)
    stream.seek(max(0, size - record - 2**16))
    end = stream.read()
    stream.seek(0)
    plain = end[-record:].startswith(begins) and end.endswith(b"\0\0")  # without a comment
    place = len(end) - record if plain else end.rfind(begins)
    return int.from_bytes(end[place + 12 : place + 16], "little") if place >= 0 else 0


class _Bounded:
    """What tarfile reads, counted: an archive of a few bytes may unpack to any number of them."""

    def __init__(self, stream, name: str, most: int):
        self.stream, self.name, self.left, self.most = stream, name, most + MOST_FILES * 1024, most

    def read(self, size: int) -> bytes:
        content = self.stream.read(min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise CourseError(f"{self.name} unpacks to more than {self.most // 2**20} MB.")
        return content


class _Header(tarfile.TarInfo):
    """A header that says more of a file than its name, and at most so much: it is read into memory."""

    def _proc_member(self, tar):
        extended = (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if self.type in extended and self.size > MOST_HEADER:
            raise tarfile.ReadError("a header of no reasonable size")
        return super()._proc_member(tar)


def _of_tar(stream: BinaryIO, archive_name: str, left_out: list[str], most: int) -> Iterator[Member]:
    magic = stream.read(3)
    stream.seek(0)
    opened: IO[bytes] = stream
    if magic[:2] == b"\x1f\x8b":
        opened = cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    elif magic[:2] == b"BZ":
        opened = bz2.BZ2File(stream)
    bounded = cast(IO[bytes], _Bounded(opened, archive_name, most))
    with tarfile.open(fileobj=bounded, mode="r|", tarinfo=_Header) as archive:
        for number, member in enumerate(archive):
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all
            name = member.name.replace("\\", "/")
            if number >= 2 * MOST_FILES:
                raise CourseError(f"{archive_name} lists far more than {MOST_FILES:,} files.")
            if _outside(name):
                raise CourseError(f"{archive_name} holds a file outside its own folder: {printable(name)!r}.")
            if member.isdir():
                continue
            if not member.isfile() or member.issparse():
                left_out.append(f"{printable(name)}: a link or a device")
                continue
            yield str(PurePosixPath(name)), member.size, partial(_content, archive, member)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def printable(name: str) -> str:
    """What a student called a file, fit for one line that others read."""
    short = name if len(name) <= 80 else f"{name[:40]}…{name[-39:]}"
    return "".join(c if c.isprintable() else "?" for c in short)
