"""Whose is what in the folder or archive that a learning platform gave a TA; every file of it is accounted for.

How platforms name files: nbgrader's and ilias2nbgrader's documentation, Canvas' `lib/content_zipper.rb`, Moodle's
`mod/assign/classes/downloader.php`, Gradescope's help pages.
"""

import json
import os
import re
import shutil
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path

from autograder.course import CourseError
from autograder.display import counted
from autograder.grading import archives
from autograder.grading.submissions import (
    MOST_NAME,
    STAMP,
    Part,
    Submission,
    is_file_name,
    is_ordinary,
    stamped,
    unusual,
)
from autograder.roster import FILE, Identity, Roster, student_id

MOST_CLASS = 50 * 2**30  # bytes of an unpacked class
ATTEMPTS = ("last", "first", "best")
MOST_DEPTH = 3  # folders and archives around a class
MARK = ".from.json"  # in a folder of ours, into which an archive was unpacked
HIDDEN = "its name begins with a dot: rename it, if it is a student's"
HIDDEN_TOOLS = (".ipynb_checkpoints", ".git", ".venv", ".cache", ".Trash", ".Trashes")  # which are nobody's work
UNCLEAR = "Nobody can say whose it is"
# What a course folder has in it: a file of these, and a folder of those.
OF_COURSE = (
    (".deepul-salt", "course.toml", "nbgrader_config.py"),
    ("autograded", "bundles", "homeworks", "release", "reports", "source"),
)
MOST_NAMED = 3  # files that are left aside, in a line on the screen; files.csv has all

RESUBMITTED = re.compile(r"^(?P<stem>.+?)-\d{1,2}(?P<ending>\.[^.]+(?:\.gz|\.bz2)?)$")


@dataclass(frozen=True)
class Entry:
    """Something in a download that a student handed in. name: what the student called it; "" for a folder.

    attempt: later ones are larger. adds: an attempt replaces the files that have the same name, and not all others.
    problem: why it cannot be graded.
    """

    path: Path
    who: Identity
    name: str = ""
    attempt: tuple = (0,)
    time: datetime | None = None
    late: bool = False
    adds: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Aside:
    """Something that is graded with nobody's work, and why. who: of whom it is, as its name says.

    is_text: it was entered in the platform, and is all the same something that was handed in.
    """

    path: Path
    why: str
    student: str = ""
    who: Identity | None = None
    is_text: bool = False


@dataclass
class Download:
    """platform: whose names were recognised. attempts: of each student, the earliest first. missing: ids of the roster
    of whom there is nothing to grade. strangers: ids that are not in the roster. said: what else a TA should know.
    """

    platform: str
    root: Path
    attempts: dict[str, list[Submission]]
    aside: list[Aside] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def only_texts(self) -> list[str]:
        """Those of the missing who entered a text or a link."""
        return [i for i in self.missing if any(a.is_text and a.student == i for a in self.aside)]

    def chosen(self, attempt: str = "last") -> list[Submission]:
        """One submission a student: the last or the first."""
        return [mine[0 if attempt == "first" else -1] for mine in self.attempts.values()]


def find(path: Path, assignment: str, roster: Roster | None = None, scratch: Path | None = None) -> Download:
    """The submissions in a folder, or in an archive of the whole class, as any platform names them.

    scratch: where archives of a class are unpacked. Raises CourseError where there is no submission, and for what
    cannot be read.
    """
    if not (path.is_file() or path.is_dir()):  # a pipe is neither
        raise CourseError(f"There is no folder {path}. Give the folder or the archive that holds the submissions.")
    root, listings, aside = _class(path, assignment, scratch or path.parent / f".{path.name}.unpacked")
    students: dict[str, list[Entry]] = defaultdict(list)
    platforms, said = [], []  # type: list[str], list[str]
    for listing in listings:
        platform, entries, others = _recognised(listing, assignment)
        if untimed := [e for e in entries if platform == "brightspace" and e.time is None]:
            said += [_untimed(untimed, assignment)]
        if several := {e.who.label: pieces for e in entries if (pieces := _several_folders(e, assignment))}:
            said += [_several_in(several)]
        aside += (each for one in others for each in _named(one, roster, platform))
        platforms += [platform] if platform else []
        for student, mine in _students(entries, roster, platform).items():
            students[student] += mine
    if not students:
        named = "; ".join(f"{archives.printable(a.path.name)}: {a.why}" for a in aside[:5])
        raise CourseError(
            f"{path} holds no submissions: no folders, no archives (.zip, .tar.gz) and no notebooks (.ipynb) of "
            f"students{f' ({named})' if named else ''}."
        )
    download = Download(", ".join(dict.fromkeys(platforms)), root, {}, aside, said=said)
    for student, mine in sorted(students.items()):
        download.attempts[student] = _attempts(student, mine, root, download.aside)
    if roster is not None:
        known = [s.id for s in roster.students]
        download.missing = [i for i in known if i not in download.attempts]
        download.strangers = [i for i in download.attempts if i not in set(known)]
    return download


def _untimed(entries: list[Entry], assignment: str) -> str:
    many = counted(len(entries), "folder says", "folders say")
    return (
        f"{many} a time that is not understood ({archives.printable(entries[0].path.name)}): nobody of them is late. "
        f"Write when they came into submitted/STUDENT/{assignment}/timestamp.txt, and grade again"
    )


def _several_folders(entry: Entry, assignment: str) -> list[str]:
    """The folders with work in them of a student's folder, where there are several and nothing else."""
    pieces = _pieces_in(entry.path, assignment) if not (entry.problem or entry.who.numbers) else []
    return pieces if len(pieces) > 1 and all((entry.path / p).is_dir() for p in pieces) else []


def _several_in(folders: dict[str, list[str]]) -> str:
    shown = [f"{name} ({', '.join(pieces[:MOST_NAMED])})" for name, pieces in list(folders.items())[:MOST_NAMED]]
    return (
        f"{archives.printable(', '.join(shown))}{', …' * (len(folders) > MOST_NAMED)}: graded as one student, by the "
        "notebook in one of these folders. If they are several students, give that folder to a run of its own"
    )


def uses(
    download: Download, chosen: Iterable[Submission], failed: Mapping[str, str] = {}, left: Collection[Path] = ()
) -> list[dict]:
    """One row for every file of the download, and each student whose it is: {"file", "student", "use"}.

    failed: {student: why there is no grade}. left: notebooks beside the one that is graded.
    """
    used: dict[Path, dict[str, str]] = defaultdict(dict)  # {student: use}
    graded = {s.student: s for s in chosen}
    for student, attempts in download.attempts.items():
        for one in attempts:
            is_chosen = graded.get(student) == one
            use = failed.get(student, "graded") if is_chosen else f"another attempt ({one.attempt})"
            for part in (one.path, *(p.path for p in one.beside)):
                if is_chosen or student not in used[part]:
                    used[part][student] = use
    for one in reversed(download.aside):  # what was said last of something is what became of it
        if one.student not in used[one.path]:
            used[one.path][one.student] = one.why
    rows = []
    for file in _files(download.root):
        name = file.relative_to(download.root).as_posix() if file != download.root else file.name
        whose = next((used[p] for p in (file, *file.parents) if p in used), None)
        kind = unusual(file)
        for student, use in (whose or {"": "left behind by an operating system"}).items():
            use = "left out: another notebook is graded" if file in left and use == "graded" else use
            use = f"left out: {kind}" if kind and use == "graded" else use
            rows.append(dict(file=archives.printable(name), student=student, use=use))
    return rows


def _files(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
    for where, folders, names in os.walk(root):
        folders.sort()
        yield from (Path(where, n) for n in sorted(names))
        yield from (Path(where, n) for n in folders if Path(where, n).is_symlink())


# ---- from what a TA has to a folder of a class ---------------------------------------------------------


def _class(path: Path, assignment: str, scratch: Path) -> tuple[Path, list[list[Path]], list[Aside]]:
    """(the folder of the class, what lies in it, what is aside): through one folder, or one archive, around it all.

    Where several downloads of classes lie there side by side, folders or archives: what lies in each.
    """
    aside: list[Aside] = []
    files, folders = ([n for n in names if (path / n).exists()] for names in OF_COURSE)
    if files and folders and not (path / "submitted").is_dir():
        raise CourseError(
            f"{path} is a course folder, no download: it has {files[0]} and {folders[0]}/ in it. Give the folder or "
            "the archive that the platform gave you."
        )
    for depth in range(MOST_DEPTH):
        if path.is_file():
            if not archives.is_archive(path.name) or not _is_class(_names_in(path), assignment):
                break
            path = _unpacked(path, scratch.with_name(f"{scratch.name}-in-{depth}") if depth else scratch, aside)
        inside = _seen(path, aside)
        if (path / "submitted").is_dir():
            path = path / "submitted"
        elif len(inside) == 1 and not inside[0].is_symlink() and _is_around(inside[0], assignment):
            path = inside[0]
        else:
            break
    if path.is_file():
        return path, [[path]], list(dict.fromkeys(aside))
    listing = _seen(path, aside)
    if (path / f"{assignment}.ipynb").is_file() and (path / "artifacts").is_dir():
        raise CourseError(
            f"{path} is one submission, not a class: it has {assignment}.ipynb and artifacts/ in it. Give the folder "
            f"that holds the students' submissions."
        )
    listings = [listing]
    work = [p for p in listing if p.is_dir() or _is_work(p.name)]
    # One archive among others is a student's, whatever is in it.
    if (work and all(_is_class_archive(p) or _of_several(p) for p in work)) or _are_sections(work, assignment):
        for number, one in enumerate(work):
            if one.is_dir():
                opened = _of_several(one) or one
            else:
                opened = _unpacked(one, scratch.with_name(f"{scratch.name}-{number}"), aside)
                aside.append(Aside(one, "unpacked: it holds the submissions of several students"))
            listing.remove(one)
            listings.append(_seen(opened, aside))
    return path, listings, list(dict.fromkeys(aside))


def _of_several(folder: Path) -> Path | None:
    """The folder, in this one or in the only one in it, with work of several students in a platform's words."""
    for _ in range(MOST_DEPTH):
        if not folder.is_dir() or folder.is_symlink() or _platform_of(folder.name):
            return None
        inside = [p for p in folder.iterdir() if not archives.is_junk(p.name)]
        users = {_user_in(p.name) for p in inside if p.is_dir() or _is_work(p.name)}
        if len(users) > 1 and "" not in users:
            return folder
        if len(inside) != 1:
            return None
        folder = inside[0]
    return None


def _seen(folder: Path, aside: list[Aside]) -> list[Path]:
    """What lies in a folder, without what is left behind by tools and systems; `aside`: hidden work."""
    inside = sorted(folder.iterdir())
    aside += [Aside(p, HIDDEN) for p in inside if _is_hidden_work(p)]
    return [p for p in inside if not archives.is_junk(p.name)]


def _is_hidden_work(path: Path) -> bool:
    """Whether something with a dot before its name may be a student's all the same."""
    if not path.name.startswith(".") or path.name.startswith("._") or path.name in HIDDEN_TOOLS:
        return False
    if not path.is_dir() or path.is_symlink():
        return _is_work(path.name)
    return not (path / MARK).exists() and any(_is_work(f.name) and not f.name.startswith("._") for f in _files(path))


def _is_class_archive(path: Path) -> bool:
    return not _platform_of(path.name) and any(map(_platform_of, _tops(_names_in(path))))


def _is_around(path: Path, assignment: str) -> bool:
    """Whether the only thing in a download is the class, not one student's work."""
    if path.is_file():
        return archives.is_archive(path.name) and not _platform_of(path.name) and _is_class(_names_in(path), assignment)
    names = [f.relative_to(path).as_posix() for f in _files(path)]
    return path.is_dir() and not _platform_of(path.name) and _is_class(names, assignment)


def _is_class(names: list[str], assignment: str) -> bool:
    """Whether files of these names are a class: something in a platform's words, or work of several in folders."""
    names = [n for n in names if not archives.is_junk(n)]
    tops = _tops(names)
    if "submitted" in tops or any(map(_platform_of, tops)):
        return True
    if len(tops) == 1 and all("/" in n for n in names):
        return _is_class([n.partition("/")[2] for n in names], assignment)
    return len(_pieces(names, assignment)) > 1


def _pieces(names: list[str], assignment: str) -> list[str]:
    """What is work, or has work in it, at the top of files of these names; nothing where they are one submission."""
    own = [n for n in names if "/" not in n]
    if any(n.lower() == f"{assignment}.ipynb" for n in own) or {"artifacts", assignment} & set(_tops(names)):
        return []
    return list(dict.fromkeys(n.partition("/")[0] for n in names if _is_work(n) and not archives.is_junk(n)))


def _pieces_in(folder: Path, assignment: str) -> list[str]:
    """The same of a folder that no platform named; nothing where it is something else."""
    if not folder.is_dir() or folder.is_symlink() or _platform_of(folder.name):
        return []
    return _pieces([f.relative_to(folder).as_posix() for f in _files(folder)], assignment)


def _are_sections(folders: list[Path], assignment: str) -> bool:
    """Whether each of these folders has work of several, and what lies in one is called as nothing in the others."""
    inside = [_pieces_in(folder, assignment) for folder in folders]
    names = [name for one in inside for name in one]
    return len(folders) > 1 and all(len(one) > 1 for one in inside) and len(set(names)) == len(names)


def _tops(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(n.partition("/")[0] for n in names if not archives.is_junk(n)))


def _names_in(path: Path) -> list[str]:
    if not is_ordinary(path) or not archives.is_archive(path.name):
        return []
    with path.open("rb") as stream:
        return archives.names(stream, path.name)


def _is_work(name: str) -> bool:
    return name.lower().endswith(".ipynb") or archives.is_archive(name)


def _unpacked(path: Path, scratch: Path, aside: list[Aside]) -> Path:
    """The contents of an archive of a class, in a folder that is made once; `aside`: what cannot be written."""
    about = path.stat()
    mark, version = scratch / MARK, json.dumps([str(path.resolve()), about.st_size, about.st_mtime_ns])
    folder = scratch / "class"
    if mark.exists() and mark.read_text(encoding="utf-8") == version:
        return folder
    shutil.rmtree(scratch, ignore_errors=True)
    total, left_out = 0, []  # type: int, list[str]
    with path.open("rb") as stream, archives.readable(path.name):
        for name, size, content in archives.members(stream, path.name, left_out, MOST_CLASS):
            total += size
            if total > MOST_CLASS:
                raise CourseError(
                    f"{archives.printable(path.name)} unpacks to more than {MOST_CLASS // 2**30} GB: that is no class."
                )
            name = name.encode("utf-8", "replace").decode()
            target = folder / name
            if not is_file_name(name):
                left_out.append(f"{archives.printable(name)}: no name for a file")
            elif target.is_dir() or any(p.is_file() for p in target.parents if p != folder):
                left_out.append(f"{archives.printable(name)}: a file and a folder have one name")
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content())
    folder.mkdir(parents=True, exist_ok=True)
    aside += [Aside(path, f"in it, {text}") for text in left_out]
    mark.write_text(version, encoding="utf-8")
    return folder


# ---- what platforms' names say -------------------------------------------------------------------------

CANVAS = re.compile(r"^(?P<name>\w*?)(?P<late>_LATE)?_(?P<user>\d+)_(?P<attachment>\d+)_(?P<file>.+)$")
CANVAS_TEXT = re.compile(
    r"^(?:anon_(?P<anonymous>[A-Za-z0-9]+)(?:_LATE)?|(?P<name>\w*?)(?:_LATE)?_(?P<user>\d+))_(?:text|link)\.html$"
)
CANVAS_BLIND = re.compile(
    r"^anon_(?P<anonymous>[A-Za-z0-9]+)(?P<late>_LATE)?(?:_(?P<user>\d+))?_(?P<attachment>\d+)_(?P<file>.+)$"
)
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?$", re.DOTALL)
MOODLE_BLIND = re.compile(r"^Participant[_ ](?P<id>\d+)$")
BLACKBOARD = re.compile(
    r"^(?P<before>.+?)_attempt_(?P<time>\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)(?:_(?P<file>.+)|(?P<receipt>\.txt))$"
)
BLACKBOARD_TIME = "%Y-%m-%d-%H-%M-%S"
RECEIPT = re.compile(r"^Name:\s*(?P<name>.*?)\s*\((?P<id>[^()]+)\)\s*$", re.MULTILINE)
BRIGHTSPACE = re.compile(r"^(?P<unit>\d+)-(?P<user>\d+) ?- (?P<name>.+?) ?- (?P<time>.*\d{4}.*)$")
# May 18, 2025 1224 PM; 18 mai 2026 12h24; 18 de mayo de 2026 12:24.
BRIGHTSPACE_TIME = re.compile(
    r"^(?:(?P<first>[^\W\d]+)\.? (?P<late_day>\d{1,2})|(?P<day>\d{1,2})\.? (?:de )?(?P<month>[^\W\d]+)\.?),? (?:del? )?"
    r"(?P<year>\d{4}),? (?P<hour>\d{1,2})[h:.]?(?P<minute>\d\d)(?: ?(?P<half>[ap])\.? ?m\.?)?$"
)
# In these no name means two months.
LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "tr")
ILIAS = re.compile(r"^(?P<last>[^_]+)_(?P<first>[^_]+)_(?P<login>.+)_(?P<id>\d+)$")
ILIAS_FILE, ILIAS_TIME = re.compile(r"^(?P<time>\d{14})_(?P<file>.+)$"), "%Y%m%d%H%M%S"
GRADESCOPE, GRADESCOPE_ABOUT = re.compile(r"^submission_(?P<id>\d+)$"), "submission_metadata.yml"

Found = dict[Path, Entry | list[Entry] | Aside]


def _platform_of(name: str) -> str:
    """The platform that names something so, of those whose names are like nobody else's."""
    return _matched(name)[0]


def _user_in(name: str) -> str:
    """Whose something is, as a platform's name has it; "" where no platform names things so."""
    platform, groups = _matched(name)
    return next((f"{platform} {groups[key]}" for key in ("user", "id", "anonymous", "before") if groups.get(key)), "")


def _matched(name: str) -> tuple[str, dict[str, str]]:
    """(the platform that names something so, the parts of the name)."""
    known: dict[str, tuple[Callable[[str], re.Match | None], ...]] = dict(
        moodle=(MOODLE.match, MOODLE_BLIND.match),
        blackboard=(_of_blackboard,),
        brightspace=(BRIGHTSPACE.match,),
        gradescope=(GRADESCOPE.match,),
        canvas=(CANVAS_BLIND.match, CANVAS.match),
    )
    if len(name) > MOST_NAME:  # in an archive; no disk has it
        return "", {}
    found = ((platform, one) for platform, matches in known.items() for match in matches if (one := match(name)))
    return next(((platform, one.groupdict()) for platform, one in found), ("", {}))


def _moment(text: str, form: str) -> datetime | None:
    """The time that a name says; None where its digits are none."""
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _of_blackboard(name: str) -> re.Match | None:
    """The parts of a name as Blackboard gives it, if what stands for its time is one."""
    one = BLACKBOARD.match(name)
    return one if one and _moment(one["time"], BLACKBOARD_TIME) else None


def _recognised(listing: list[Path], assignment: str) -> tuple[str, list[Entry], list[Aside]]:
    """(platform, what was handed in, what is aside): of the platform that has a name for most."""
    readings = {name: read(listing, assignment) for name, read in READERS.items()}
    platform = max(readings, key=lambda name: len(readings[name]))
    found = readings[platform]
    if 2 * len(found) < sum(not _is_other(p) for p in listing) or not found:
        platform, found = "", {}
    entries: list[Entry] = []
    aside: list[Aside] = []
    for path in listing:
        one = found.get(path) or _plain(path, assignment)
        for each in one if isinstance(one, list) else [one]:
            (aside if isinstance(each, Aside) else entries).append(each)  # type: ignore[arg-type]
    return platform, entries, aside


def _is_other(path: Path) -> bool:
    """Whether something is no work by its name. A link without an ending may stand for a folder, wherever it leads."""
    may_be_a_folder = path.is_symlink() and not path.is_file() and not path.suffix
    return not path.is_dir() and not _is_work(path.name) and not may_be_a_folder


def _plain(path: Path, assignment: str) -> Entry | list[Entry] | Aside:
    """ "ada" for ada/, ada.zip, hw1-ada.zip and hw1_ada.ipynb; nbgrader's own layout (ada/hw1/hw1.ipynb) works too."""
    if _is_other(path):
        return Aside(path, unusual(path) or "no folder, no archive and no notebook")
    if path.is_symlink() or not path.is_dir():
        label, number = _without_copy(archives.stem(path.name))
    else:
        label, number = path.name, 0
    short = re.sub(rf"^{re.escape(assignment)}[-_ ]", "", label, flags=re.IGNORECASE) or label
    of_a_group = re.sub(r"_\d+$", "", short)
    who = Identity(short, ids=(short,), names=(short,), group=of_a_group)
    nested = path / assignment
    if _of_several(path):
        said = f"{archives.printable(path.name)} holds the submissions of several students: give it to a run of its own"
        return Entry(path, who, problem=f"{said}, or take everything else away.")
    if nested.is_dir() and not path.is_symlink():
        return Entry(nested, who, time=_timestamp(nested))
    if path.parent.name == "submitted" and path.is_dir() and not path.is_symlink() and not _holds_work(path):
        return Aside(path, f"nothing for {assignment}", student_id(short))  # nbgrader's folder, of other assignments
    return Entry(path, who, attempt=(number,))


def _holds_work(folder: Path) -> bool:
    return any(_is_work(p.name) and p.is_file() for p in folder.iterdir())


def _without_copy(stem: str) -> tuple[str, int]:
    """("ada", 1) of "ada (1)": what browsers make of a file that is there already; ("ada", 0) of "Copy of ada"."""
    stem = re.sub(r"^Copy of (?=.)|(?<=.) - Copy$", "", stem, flags=re.IGNORECASE)
    found = re.match(r"^(.+?) ?\((\d{1,3})\)$", stem)
    return (found[1], int(found[2])) if found else (stem, 0)


def _timestamp(folder: Path) -> datetime | None:
    """When nbgrader says that it came, with its zone if it names one; None where it says nothing, or no time."""
    try:
        return stamped(folder / STAMP)
    except CourseError:
        return None


def _canvas(listing: list[Path], assignment: str) -> Found:
    found: Found = {}
    for path in listing:
        # A text last: the name of a student's own file may end so.
        one = CANVAS_BLIND.match(path.name) or CANVAS.match(path.name) or CANVAS_TEXT.match(path.name)
        if one is None or path.is_dir():
            continue
        about = one.groupdict()
        anonymous, user = about.get("anonymous"), about["user"] or ""
        label = "-".join(filter(None, (anonymous or about["name"], user)))
        who = Identity(
            label,
            ids=(anonymous,) if anonymous else (),
            numbers=(user,) if user else (),
            names=() if anonymous else (about["name"],),
        )
        if about.get("file", "text.html") in ("text.html", "link.html"):
            why = "a text or a link that was entered at Canvas, no file"
            found[path] = Aside(path, why, who=who, is_text=True)
            continue
        # Attachments are numbered as they come, whatever they are called.
        attempt = (int(about["attachment"]), path.name)
        found[path] = Entry(path, who, about["file"], attempt, late=bool(about["late"]), adds=True)
    entries = [e for e in found.values() if isinstance(e, Entry)]
    names = defaultdict(set)
    for entry in entries:
        names[entry.who].add(entry.name)
    return found | {e.path: replace(e, name=_first_name(e.name, names[e.who])) for e in entries}


def _first_name(name: str, others: Collection[str]) -> str:
    """ "hw1.ipynb" of "hw1-2.ipynb", as Canvas calls it when it comes again.

    A student's own "team-7.zip" keeps its number where it came again itself, as "team-7-1.zip".
    """
    return name if any(_without_number(n) == name for n in others if n != name) else _without_number(name)


def _without_number(name: str) -> str:
    found = RESUBMITTED.match(name)
    return found["stem"] + found["ending"] if found else name


def _moodle(listing: list[Path], assignment: str) -> Found:
    found: Found = {}
    for path in listing:
        blind, one = MOODLE_BLIND.match(path.name), MOODLE.match(path.name)
        if blind:
            who = Identity(f"Participant {blind['id']}", numbers=(blind["id"],))
            found[path] = Entry(path, who)
        if one is None:
            continue
        name = one["name"].replace("_", " ")
        is_blind = name == "Participant"
        who = Identity(
            f"{name} {one['id']}" if is_blind else f"{name}-{one['id']}",
            numbers=(one["id"],),
            names=() if is_blind else (name,),
            group="" if is_blind else name,
        )
        if (kind := one["kind"]) != "file":
            why = f"entered at Moodle ({kind}), no file"
            found[path] = Aside(path, why, who=who, is_text=kind == "onlinetext")
            continue
        file = "" if path.is_dir() else one["file"] or ""
        found[path] = Entry(path, who, file, adds=True)
    return found


def _blackboard(listing: list[Path], assignment: str) -> Found:
    found: Found = {}
    named = {p: m for p in listing if (m := _of_blackboard(p.name)) and not p.is_dir()}
    receipts: dict[str, Identity] = {}
    for path, one in named.items():
        if not one["receipt"]:
            continue
        found[path] = Aside(path, f"Blackboard's receipt{_unread(path)}")
        if not is_ordinary(path):
            continue
        with path.open("rb") as stream:
            said = RECEIPT.search(stream.read(2**16).decode("utf-8-sig", "replace"))
        if said:
            receipts[one["before"]] = Identity(said["id"], ids=(said["id"],), names=(said["name"],))
    logins = _logins({one["before"] for one in named.values()}, receipts)
    for path, one in named.items():
        if one["receipt"]:
            continue
        time = _moment(one["time"], BLACKBOARD_TIME)
        who = receipts.get(one["before"]) or logins[one["before"]]
        found[path] = Entry(path, who, one["file"], (str(time),), time)
    return found


def _logins(names: Collection[str], receipts: Mapping[str, Identity]) -> dict[str, Identity]:
    """{assignment_login: whose login it may be}; either may have a _ in it.

    The assignment is what receipts leave of a name, else what all have in common up to a _. Where it may end at
    several, each of the logins may be it.
    """
    told = {n.removesuffix(who.label) for n, who in receipts.items() if n.endswith(f"_{who.label}")}
    parts = {name: [name[: k + 1] for k, c in enumerate(name[:-1]) if c == "_"] for name in names}
    found = {}
    for name, mine in parts.items():
        shared = [start for start in mine if (start in told if told else all(start in p for p in parts.values()))]
        before = shared or mine
        logins = tuple(name.removeprefix(s) for s in before) or (name,)
        found[name] = Identity(logins[-1 if shared and len(names) > 1 else 0], ids=logins)
    return found


def _unread(path: Path) -> str:
    """To be said of what a platform writes, where it is not opened."""
    kind = unusual(path)
    return f", not read: {kind}" if kind else ""


def _brightspace(listing: list[Path], assignment: str) -> Found:
    found: Found = {}
    for path in listing:
        one = BRIGHTSPACE.match(path.name)
        if one and path.is_dir():
            who = Identity(f"{one['name']}-{one['user']}", numbers=(one["user"],), names=(one["name"],))
            time = _brightspace_time(one["time"])
            found[path] = Entry(path, who, attempt=(str(time),) if time else (0,), time=time)
        elif one is None and path.name.lower() == "index.html":
            found[path] = Aside(path, "Brightspace's list of what is in the download")
    return found if any(isinstance(e, Entry) for e in found.values()) else {}


def _brightspace_time(text: str) -> datetime | None:
    """The time that a name says in one of our languages; None for all others."""
    one = BRIGHTSPACE_TIME.match(unicodedata.normalize("NFKC", text).casefold().strip())
    if one is None:
        return None
    month = _months().get(one["first"] or one["month"])
    hour = int(one["hour"]) % 12 + 12 * (one["half"] == "p") if one["half"] else int(one["hour"])
    day = int(one["late_day"] or one["day"])
    try:
        return datetime(int(one["year"]), month, day, hour, int(one["minute"])) if month else None
    except ValueError:
        return None


@cache
def _months() -> dict[str, int]:
    """{name of a month, whole or cut short, by itself or in a date: its number}, in all of our languages."""
    from babel import Locale

    forms = [m for language in LANGUAGES for m in Locale(language).months.values()]
    names = [form[width] for form in forms for width in ("wide", "abbreviated")]
    return {name.casefold().strip("."): number for months in names for number, name in months.items()}


def _ilias(listing: list[Path], assignment: str) -> Found:
    found: Found = {}
    for path in listing:
        one = ILIAS.match(path.name)
        if one is None or not path.is_dir() or path.is_symlink():
            continue
        name = f"{one['first']} {one['last']}"
        who = Identity(one["login"], ids=(one["login"],), numbers=(one["id"],), names=(name,))
        found[path] = [
            Entry(p, who, m["file"], (str(time),), time, adds=True)
            for p in sorted(path.iterdir())
            if (m := ILIAS_FILE.match(p.name)) and p.is_file() and (time := _moment(m["time"], ILIAS_TIME))
        ] or Entry(path, who)
    return found


def _gradescope(listing: list[Path], assignment: str) -> Found:
    about = next((p for p in listing if p.name == GRADESCOPE_ABOUT and not p.is_dir()), None)
    if about is None:
        return {}
    known = _metadata(about) if is_ordinary(about) else {}
    found: Found = {about: Aside(about, f"Gradescope's list of whose submissions these are{_unread(about)}")}
    for path in listing:
        one = GRADESCOPE.match(path.name)
        if one is None or not path.is_dir():
            continue
        whose = known.get(path.name)
        whose = whose if isinstance(whose, dict) else {}
        listed = whose.get("submitters")
        submitters = [s for s in listed if isinstance(s, dict)] if isinstance(listed, list) else []
        time = whose.get("created_at")
        time = time if isinstance(time, datetime) else None
        people = [_submitter(s) for s in submitters] or [Identity(path.name)]
        found[path] = [Entry(path, who, time=time, attempt=(str(time or ""), int(one["id"]))) for who in people]
    return found


def _submitter(about: dict) -> Identity:
    name, sid, email = (str(about.get(k) or "") for k in ("name", "sid", "email"))
    return Identity(sid or email or name, ids=tuple(filter(None, (sid, email))), names=(name,) if name else ())


def _metadata(file: Path) -> dict:
    """{submission: what is said of it}, as Gradescope writes it: with Ruby's symbols for keys, and its own types."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Of types that Python does not know: their plain content."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    Loader.add_multi_constructor("tag:ruby", lambda loader, suffix, node: None)
    if file.stat().st_size > 2**25:
        raise CourseError(f"{file} has more than 32 MB: that is no list of submissions.")
    try:
        read = yaml.load(file.read_text(encoding="utf-8"), Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise CourseError(f"{file} cannot be read ({str(error).splitlines()[0][:100]}): export again.") from None
    return _plain_keys(read) if isinstance(read, dict) else {}


def _plain_keys(value):
    if isinstance(value, dict):
        return {str(k).lstrip(":"): _plain_keys(v) for k, v in value.items()}
    return [_plain_keys(v) for v in value] if isinstance(value, list) else value


READERS: dict[str, Callable[[list[Path], str], Found]] = dict(
    moodle=_moodle,
    blackboard=_blackboard,
    brightspace=_brightspace,
    gradescope=_gradescope,
    canvas=_canvas,
    ilias=_ilias,
)


# ---- students and their attempts -----------------------------------------------------------------------


def _students(entries: list[Entry], roster: Roster | None, platform: str) -> dict[str, list[Entry]]:
    """{id: what is the student's}. Of a group's work each member has a copy."""
    students: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if roster and (why := roster.contradiction(_of_group(entry.who, roster), platform)):
            numbers = f" (Moodle's numbers are others in each homework, {FILE} needs none)" * (platform == "moodle")
            entry = replace(entry, problem=f"{UNCLEAR}: {why}. Set {FILE} right{numbers}, and grade again.")
        for student in _ids(entry.who, roster, platform):
            students[student].append(entry)
    return students


def _ids(who: Identity, roster: Roster | None, platform: str) -> list[str]:
    """The ids of whom an identity means: of one, or of the members of a group."""
    known = roster.student(_of_group(who, roster), platform) if roster else None
    members = roster.members(who.group) if roster and known is None and who.group else []
    return [student_id(label) for label in [s.id for s in members] or [known.id if known else who.label]]


def _of_group(who: Identity, roster: Roster) -> Identity:
    """The same without its number where it is called as a group of the roster: it is the group's, and no student's."""
    return replace(who, numbers=()) if who.group and roster.members(who.group) else who


def _named(aside: Aside, roster: Roster | None, platform: str) -> list[Aside]:
    """The same under the ids of those whose it is, as far as its name says so."""
    return [replace(aside, student=i) for i in _ids(aside.who, roster, platform)] if aside.who else [aside]


def _attempts(student: str, entries: list[Entry], root: Path, aside: list[Aside]) -> list[Submission]:
    """A student's attempts, the earliest first. What only an earlier one holds is said in `aside`."""
    if problem := next((e.problem for e in entries if e.problem), ""):
        return [replace(_submission(student, entries, 1, 1), problem=problem)]
    if len({person for e in entries if (person := _person(e.who))}) > 1:
        why = f"the platform has them as two people: give each a row of their own in {FILE}, and grade again"
        return [_unsettled(_submission(student, entries, 1, 1), entries, root, f"lead to {student}, and {why}.")]
    alike = Counter(e.name or e.path.name for e in entries if e.attempt == (0,))
    if alike and max(alike.values()) > 1:  # in two downloads of one class
        return [_unsettled(_submission(student, entries, 1, 1), entries, root)]
    if len(entries) > 1 and all(e.adds for e in entries):
        return _of_single_files(student, entries, aside)
    if len({tuple(map(type, e.attempt)) for e in entries}) > 1:  # a platform says when, and the other name does not
        return [_unsettled(_submission(student, entries, 1, 1), entries, root)]
    numbers = sorted({e.attempt for e in entries})
    attempts = []
    for k, number in enumerate(numbers, 1):
        same = [e for e in entries if e.attempt == number]
        apart = [e for e in same if not e.name]  # folders, or files of which each is a submission
        one = _submission(student, same, k, len(numbers))
        attempts.append(_unsettled(one, apart, root) if len(apart) > 1 else one)
    return attempts


def _person(who: Identity) -> tuple[str, ...]:
    """What a platform tells people apart by; nothing where no platform named it."""
    return who.numbers or (who.ids if who.ids != who.names else ())


def _unsettled(one: Submission, entries: list[Entry], root: Path, why: str = "") -> Submission:
    """A submission that is one of several things, and nobody but a person can say which."""
    paths = [e.path.relative_to(root) if e.path.is_relative_to(root) else e.path for e in entries]
    *others, last = (archives.printable(str(p)) for p in paths)
    both = "both" if len(paths) == 2 else "all"
    why = why or f"belong to {one.student}, and nothing says which is the later one: keep one of them."
    return replace(one, problem=f"{', '.join(others)} and {last} {both} {why}")


def _of_single_files(student: str, entries: list[Entry], aside: list[Aside]) -> list[Submission]:
    """Attempts of a platform that lays files side by side: the k-th has the k-th of every name, or its newest."""
    versions: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda e: e.attempt):
        versions[entry.name or entry.path.name].append(entry)
    number = max(map(len, versions.values()))
    aside += [Aside(e.path, "a file of the same name came later", student) for v in versions.values() for e in v[:-1]]
    return [
        _submission(student, [same[min(k, len(same) - 1)] for same in versions.values()], k + 1, number)
        for k in range(number)
    ]


def _submission(student: str, entries: list[Entry], number: int, of: int) -> Submission:
    # A notebook or a folder before loose files, for what is said of it.
    first, *others = sorted(entries, key=lambda e: (_is_other(e.path), e.name, e.path.name))
    times = [e.time for e in entries if e.time]
    return Submission(
        student,
        first.path,
        tuple(Part(e.path, e.name or e.path.name) for e in others),
        first.name,
        max(times, default=None),
        any(e.late for e in entries),
        f"{number} of {of}" if of > 1 else "",
        first.problem,
    )


def of(download: Download, students: Iterable[str]) -> dict[str, list[Submission]]:
    """The attempts of these students. Raises CourseError naming those of whom there is none, and who there is."""
    unknown = sorted(set(students) - set(download.attempts))
    if unknown:
        there = ", ".join(download.attempts)
        raise CourseError(f"There is no submission of {', '.join(unknown)}. There are: {there}.")
    return {student: mine for student, mine in download.attempts.items() if student in set(students)}


def notes(download: Download) -> list[str]:
    """What a TA reads of a download before it is graded, in a few lines."""
    said = []
    aside = dict.fromkeys((a.path, a.why) for a in download.aside)  # of a group's, each member has one
    counts = Counter(why for _, why in aside)
    for why, n in counts.most_common():
        named = [archives.printable(path.name) for path, other in aside if other == why][:MOST_NAMED]
        said.append(f"{n} left aside ({', '.join(named)}{', …' * (n > len(named))}): {why}")
    several = {s: len(a) for s, a in download.attempts.items() if len(a) > 1}
    if several:
        others = counted(sum(several.values()) - len(several), "other attempt")
        said.append(f"{len(several)} handed in several times, {others}")
    said += download.said
    unclear = [s for s, mine in download.attempts.items() if mine[-1].problem.startswith(UNCLEAR)]
    if unclear:
        said.append(f"nobody can say whose, and not graded: {', '.join(unclear)}")
    if strangers := [s for s in download.strangers if s not in unclear]:
        said.append(f"not in the roster: {', '.join(strangers)}")
    if texts := download.only_texts:
        said.append(f"handed in a text, no file: {', '.join(texts)}")
    if nothing := [i for i in download.missing if i not in texts]:
        said.append(f"handed in nothing: {', '.join(nothing)}")
    return said
