"""Who is in the course: roster.csv, by which the names that platforms give become the course's own ids."""

import csv
import difflib
import hashlib
import io
import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from autograder.course import CourseError

FILE = "roster.csv"
ID = ("id", "student_id", "student", "orgdefinedid", "sis_user_id")
NAME, FIRST, LAST = ("name", "full_name"), ("first_name", "firstname"), ("last_name", "lastname", "surname")
EMAIL, GROUP, EXTENSION = ("email", "e_mail", "mail", "email_address"), ("group", "team"), ("extension", "extended_to")
PLATFORMS = ("canvas", "moodle", "blackboard", "brightspace", "ilias", "gradescope")
OF_ONE = re.compile(r"extension_(\w+)")  # a column with the extensions of one assignment
KNOWN = (*ID, *NAME, *FIRST, *LAST, *EMAIL, *GROUP, *EXTENSION)
NEAR = 0.8  # of difflib, from where on a name is a misspelt one
OF_MANY = re.compile(r"section|course|group|team|class|term|role|type|status|last|date|time|count")  # no ids
TOLD = re.compile(r"sep=([,;\t])[ \r]*(?:\n|$)")  # the line that Excel puts before a table, with what separates it
NO_ID = ("", "-", "–", "—", "?", "na", "none", "null", "nan", "unknown")  # what people write where there is none
OF_A_PLATFORM = re.compile(rf"lms|login|user|sid$|_id$|{'|'.join(PLATFORMS)}")
MOST_BYTES = 2**22
MOST_STUDENT = 120  # bytes of a student's id: files are called after it


def student_id(label: str) -> str:
    """What a student is called, as every table can show and every disk can write it.

    Composed and decomposed letters are one, marks that turn the direction of writing are none, nothing is a tag or a
    pattern of file names, by which nbgrader looks for files, and a long one keeps its beginning, with a hash of the
    whole.
    """
    text = unicodedata.normalize("NFC", label.encode("utf-8", "replace").decode())
    plain = "".join(
        "" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else "_" if c in '<>"&/[]*?' else c for c in text
    )
    plain = plain.strip().lstrip(".") or "no-name-" + _digest(text)  # files that begin with a point are ours
    if len(plain.encode()) <= MOST_STUDENT:
        return plain
    return plain.encode()[: MOST_STUDENT - 11].decode("utf-8", "ignore") + "…" + _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Identity:
    """What the name of something handed in says of its student.

    label: an id of our own, where there is no roster. ids: a login, a student number, an e-mail address. numbers: what
    only the platform's own tables know. names: as people write them. group: of several students.
    """

    label: str
    ids: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Student:
    """A row of the roster. lms: {column: the ids in it}. extension: of all due dates, as it is written there;
    extensions: {assignment: that of its own}.
    """

    id: str
    name: str = ""
    email: str = ""
    group: str = ""
    extension: str = ""
    lms: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    extensions: dict[str, str] = field(default_factory=dict, hash=False)


class Roster:
    """The students of a course, found by whatever a platform calls them."""

    def __init__(self, students: Iterable[Student]):
        self.students = tuple(students)

    def __len__(self) -> int:
        return len(self.students)

    @classmethod
    def read(cls, file: Path) -> "Roster":
        """A CSV file with a header: `id`, and, as far as they are known, `name` (or `first_name` and `last_name`),
        `email`, `group`, `extension` (of all due dates; `extension_hw1`: of one), and a column for the ids of a
        platform: `canvas_id`, `login`, `moodle`, …

        Raises CourseError: what is wrong, in which line, and what to do.
        """
        rows = _rows(file)
        students: dict[str, Student] = {}
        _no_misspelt_column(file, list(rows[0][1]) if rows else [])
        for line, row in rows:
            student = _student(row)
            if not student.id:
                raise CourseError(f"{file}, line {line}: there is no id. Every student needs one of their own.")
            if set(student.id) & set("\r\n"):
                raise CourseError(
                    f'{file}, line {line}: the id {student.id[:40]!r} goes over lines. Is a " not closed?'
                )
            # As files are called after them: of two that differ in small letters only, nobody can say which is meant.
            student = replace(student, id=student_id(student.id))
            if other := students.get(student.id.casefold()):
                raise CourseError(f"{file}, line {line}: the id {other.id} stands there twice.")
            students[student.id.casefold()] = student
        if not students:
            raise CourseError(f"{file} has a header and no students.")
        known = cls(students.values())
        known._no_id_of_two(file)
        return known

    @classmethod
    def of_course(cls, folder: Path, file: Path | None = None) -> "Roster | None":
        """That of a course: the file that is named, or roster.csv in its folder; None where there is none."""
        listed = file or folder / FILE
        return cls.read(listed) if file or listed.exists() else None

    def members(self, group: str) -> list[Student]:
        """The students of a group; none where no group is called so."""
        groups = Table()
        for student in self.students:
            if student.group:
                groups.add(student.group, student)
        return sorted(groups.find(group), key=self.students.index)

    def has(self, platform: str) -> bool:
        """Whether there is a column of a platform's ids."""
        return any(platform in column for column in self._columns)

    def student(self, who: Identity, platform: str = "") -> Student | None:
        """Whom an identity means; None where nobody does, or several do."""
        return None if self.contradiction(who, platform) else next(iter(self._told(who, platform).values()), None)

    def contradiction(self, who: Identity, platform: str = "") -> str:
        """What an identity says of two people, in words; "" where it says nothing of the kind.

        A number of Moodle's is of one assignment, and may be anybody's in the next: it has to be of who has the name.
        """
        told = list(self._told(who, platform).items())
        for (what, one), (other, another) in itertools.pairwise(told):
            if one != another:
                return f"in the roster, {what} is {one.id}, and {other} is {another.id}"
        if told and platform == "moodle" and told[0][0].startswith("the number") and len(told) == 1:
            what, one = told[0]
            if who.names and one.name and not any(_alike(name, one.name) for name in who.names):
                return f"in the roster, {what} is {one.id}, {one.name}, and nobody is called {who.names[0]}"
        return ""

    def _told(self, who: Identity, platform: str) -> dict[str, Student]:
        """{what of an identity: whom it means}: its number, its ids, and its name where that is not one of these."""
        column = next((c for c in self._columns if platform and platform in c), "")
        tables = [self._by_column[column]] if column else list(self._by_column.values())
        told = {}
        for number in who.numbers:
            if found := _one(table.find(number) for table in tables):
                told[f"the number {number}"] = found
        for key in who.ids:
            if found := self._by_id_of(key, tables):
                told[key] = found
        for name in who.names if not told or not set(who.names) & set(who.ids) else ():
            if found := self._named(name):
                told[f"the name {name}"] = found
        if not told and (found := self._by_id_of(who.label, tables) or self._named(who.label)):
            told[who.label] = found
        return told

    def _by_id_of(self, key: str, tables: list["Table"]) -> Student | None:
        return _one([self._by_id.find(key)]) or _one(table.find(key) for table in tables)

    def _named(self, name: str) -> Student | None:
        found = (_one([self._by_name.get(v, ())]) for v in (folded(name), *sorted(variants(name))))
        return next(filter(None, found), None)

    def _no_id_of_two(self, file: Path) -> None:
        """Raises CourseError where a platform's id is that of two students: what it means could be either's.

        A column in which most stand several times has no ids, but sections or roles, say.
        """
        mails = Table()
        for student in self.students:
            mails.add(student.email, student)
        for column, table in {**self._by_column, "e-mail address": mails}.items():
            ids = table.exact
            several = sorted((key, sorted(s.id for s in who)) for key, who in ids.items() if len(who) > 1)
            several = [(key, who) for key, who in several if not {key, folded(key)} & set(NO_ID)]
            if several and not OF_MANY.search(column) and 2 * len(ids) >= sum(map(len, ids.values())):
                key, who = several[0]
                raise CourseError(f"{file}: the {column} {key} is that of {' and '.join(who)}. Whose is it?")

    @cached_property
    def _columns(self) -> list[str]:
        return list(dict.fromkeys(column for s in self.students for column in s.lms))

    @cached_property
    def _by_column(self) -> dict[str, "Table"]:
        tables = {c: Table() for c in self._columns}
        for student in self.students:
            for column, ids in student.lms.items():
                for one in ids:
                    tables[column].add(one, student)
        return tables

    @cached_property
    def _by_id(self) -> "Table":
        """By id and e-mail address; by what stands before the @ where that is nobody's id."""
        table, short = Table(), Table()
        for student in self.students:
            table.add(student.id, student)
            if student.email:
                table.add(student.email, student)
                short.add(student.email.partition("@")[0], student)
        table.exact, table.near = short.exact | table.exact, short.near | table.near
        return table

    @cached_property
    def _by_name(self) -> dict:
        table = defaultdict(set)
        for student in self.students:
            for variant in variants(student.name):
                table[variant].add(student)
        return table


class Table:
    """Students by what they are called: as it is written, else by its letters and digits."""

    def __init__(self) -> None:
        self.exact: dict[str, set[Student]] = defaultdict(set)
        self.near: dict[str, set[Student]] = defaultdict(set)

    def add(self, text: str, student: Student) -> None:
        self.exact[_plain(text)].add(student)
        self.near[folded(text)].add(student)

    def find(self, text: str) -> set[Student]:
        return self.exact.get(_plain(text)) or self.near.get(folded(text)) or set()


def _one(sets) -> Student | None:
    """The only student in these sets."""
    everyone = set().union(*sets)
    return next(iter(everyone)) if len(everyone) == 1 else None


def _plain(text: str) -> str:
    """A text in small letters."""
    return unicodedata.normalize("NFKC", _whole(text)).casefold().strip()


def folded(text: str) -> str:
    """A text by its letters and digits only, in small letters."""
    plain = _plain(text)
    return "".join(c for c in plain if c.isalnum() or unicodedata.combining(c)) or plain


def _whole(text: str) -> str:
    """A number as it was before a spreadsheet took it for a decimal: 40001 of 40001.0."""
    return re.sub(r"^\s*(\d+)[.,]0+\s*$", r"\1", text)


def variants(name: str) -> set[str]:
    """How platforms write a name: first name first or last, as one word, without marks, in ASCII only."""
    words = [w for part in reversed(name.split(",")) for w in part.replace("_", " ").split()]
    orders = {" ".join(words[k:] + words[:k]) for k in range(len(words))} | {name}
    plain = {folded(order) for order in orders}
    bare = {"".join(c for c in unicodedata.normalize("NFKD", p) if not unicodedata.combining(c)) for p in plain}
    ascii_only = {re.sub(r"[^a-z0-9]", "", p) for p in plain}
    return {v for v in plain | bare | ascii_only if len(v) > 1 or not v.isascii()}


def _alike(one: str, other: str) -> bool:
    """Whether two names are one person's as far as can be told: the words of one are among those of the other."""
    return any(_is_of_words(a, b) for a, b in ((one, other), (other, one)))


def _is_of_words(name: str, other: str) -> bool:
    """Whether a name is words of the other one, written together or apart, but for one initial."""
    whole, *words = (
        "".join(c for c in unicodedata.normalize("NFKD", folded(text)) if not unicodedata.combining(c))
        for text in (name, *re.split(r"[\W_]+", unicodedata.normalize("NFC", other)))
    )
    rest = whole
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "", 1)
    return not rest or (len(rest) == 1 and rest.isascii() and len(whole) > 3)


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    """(line, {column: text}) of a table, whatever separates its columns."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CourseError(f"{file} cannot be read: {error.strerror}.") from None
    if len(content) > MOST_BYTES:
        raise CourseError(f"{file} has {len(content) / 2**20:.0f} MB: that is no roster.")
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise CourseError(f"{file} is no UTF-8: save it as “CSV UTF-8” in your spreadsheet.") from None
    (_, header), *rows = lines_of(text, str(file), strict=True) or [(0, [])]
    columns = [_column(c) for c in header]
    if not set(columns) & set(ID):
        there = ", ".join(header) or "nothing"
        raise CourseError(f"{file} has no column `id`. Its first line names the columns; there is: {there[:200]}.")
    if twice := {c for c in columns if c and columns.count(c) > 1}:
        raise CourseError(f"{file} has two columns {', '.join(sorted(twice))}: rename one.")
    for line, row in rows:
        _no_other_shape(file, line, row, len(columns))
    return [(line, dict(zip(columns, map(str.strip, row), strict=False))) for line, row in rows]


def _no_other_shape(file: Path, line: int, row: list[str], width: int) -> None:
    """Raises CourseError for a row that is longer than the header, or has others in one of its cells.

    Cells without anything in them may be more or fewer: spreadsheets write them, and leave them out.
    """
    filled = max((k for k, cell in enumerate(row, 1) if cell.strip()), default=0)
    if filled > width:
        raise CourseError(
            f"{file}, line {line}: {filled} cells, and the header has {width}. Is a comma in a name without quotes? "
            'A name with one in it stands in quotes: "Lovelace, Ada".'
        )
    if any(re.search(r"\n.*[,;\t]", cell) for cell in row):
        raise CourseError(f'{file}, line {line}: a cell goes over lines, with others in it. Is a " not closed?')


def _no_misspelt_column(file: Path, columns: list[str]) -> None:
    """Raises CourseError for a column that nothing reads, and that is called nearly like one that is read."""
    for column in columns:
        plain, meant = re.sub(r"_?\d+$|s$", "", column), ""  # email_2, and groups, are called so on purpose
        if column in KNOWN or OF_ONE.fullmatch(column):
            continue
        if "exten" in column or difflib.get_close_matches(column.split("_")[0], EXTENSION, 1, NEAR):
            meant = "extension (or extension_hw1 for one assignment)"
        elif plain not in KNOWN and not OF_A_PLATFORM.search(column):
            near = difflib.get_close_matches(plain, [name for name in KNOWN if len(name) > 4], 1, NEAR)
            meant = near[0] if near else ""
        if meant:
            raise CourseError(f"{file} has a column {column}, which nothing reads. Is it to be {meant}? Rename it.")


def lines_of(text: str, file: str, strict: bool = False) -> list[tuple[int, list[str]]]:
    """(line, its cells) of a table, whatever separates them, without empty lines and the one that Excel puts first.

    strict: a quote has to be closed. Raises CourseError for what is no table.
    """
    first = text.lstrip("\r\n").partition("\n")[0]
    told = TOLD.match(text.lstrip("\r\n"))
    separator = told[1] if told else max(",;\t", key=first.count)
    reader, rows, line = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict), [], 0
    try:
        for row in reader:
            rows += [(reader.line_num, row)] if any(c.strip() for c in row) else []
            line = reader.line_num
    except csv.Error as error:  # in the row that begins there
        raise CourseError(f'{file}, line {line + 1}: this is no table ({error}). Is a " not closed?') from None
    return rows[1:] if told else rows


def _column(header: str | None) -> str:
    return re.sub(r"[^a-z0-9]+", "_", (header or "").strip().lower()).strip("_")


def _student(row: dict[str, str]) -> Student:
    def cell(columns: tuple[str, ...]) -> str:
        return next((row[c] for c in columns if row.get(c)), "")

    name = cell(NAME) or " ".join(filter(None, (cell(FIRST), cell(LAST))))
    extensions = {found[1]: text for c, text in row.items() if text and (found := OF_ONE.fullmatch(c))}
    used = {c for columns in (ID, NAME, FIRST, LAST, EMAIL, GROUP, EXTENSION) for c in columns}
    own = next(c for c in ID if c in row)
    lms = {
        c: tuple(re.split(r"[;\s]+", text)) if "lms" in c else (text,)
        for c, text in row.items()
        if text and (c not in used or (c in ID and c != own)) and not OF_ONE.fullmatch(c) and OF_A_PLATFORM.search(c)
    }
    return Student(_whole(row.get(own, "")), name, cell(EMAIL), cell(GROUP), cell(EXTENSION), lms, extensions)
