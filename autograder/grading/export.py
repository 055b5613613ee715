"""Points as a platform takes them back: its own grade file, filled in, and nothing else changed in it.

What the files look like: Canvas' `lib/gradebook_importer.rb`, Moodle's `mod/assign/feedback/offline`, Brightspace's
documentation of grade imports.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autograder import assignments
from autograder.course import Course, CourseError
from autograder.display import counted
from autograder.files import write_atomically
from autograder.grading import moved, report
from autograder.grading.batch import FORMULA, table_text
from autograder.grading.penalties import Deadlines
from autograder.roster import TOLD, Identity, Roster, Student, folded, lines_of

OWN = ("id", "name", "email", "points", "max_points", "late_penalty", "total", "why_none")
EXCUSED = "EX"
POINTS_POSSIBLE = "Points Possible"
MOST_BYTES = 2**25


@dataclass(frozen=True)
class Final:
    """What a student has in the end. total: points without the penalty of a late submission; None: there is none, why
    says the reason.
    """

    student: str
    points: float | None
    penalty: float
    most: float
    why: str = ""

    @property
    def total(self) -> float | None:
        return None if self.points is None else max(0.0, round(self.points - self.penalty, 3))


@dataclass
class Filled:
    """A grade file, filled in. without: rows that got nothing, and why. left: students without a row."""

    text: str
    filled: int = 0
    without: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def finals(course: Course, assignment: str, roster: Roster | None = None) -> list[Final]:
    """What the gradebook says of every student who handed in: by checks, by hand, and late; and who has no grade.

    Who stands there twice, as the roster came later, is there by the id of the roster only.
    """
    if not course.knows(assignment):
        raise CourseError(
            f"Nothing of {assignment} was graded in {course.root}: `deepul grade {assignment}` comes first."
        )
    with course.gradebook() as gradebook:
        Deadlines(course, roster).apply(gradebook)
        found = [_final(s.student.id, s) for s in gradebook.assignment_submissions(assignment)]
    everyone = [*found, *_without_grade(course, assignment, found)]
    old = moved.left_out([f.student for f in everyone], roster)
    return sorted((f for f in everyone if f.student not in old), key=lambda f: f.student)


def _without_grade(course: Course, assignment: str, recorded: Collection[Final]) -> Iterator[Final]:
    """Who handed in what could not be graded: the gradebook has nothing of them, and they did not hand in nothing."""
    most = max((f.most for f in recorded), default=0.0)
    for student in sorted({*report.earlier_students(course, assignment)} - {f.student for f in recorded}):
        last = report.earlier_result(course, assignment, student)
        why = " ".join(last.problems) if last else f"`deepul grade {assignment}` again"
        yield Final(student, None, 0.0, most, f"could not be graded: {why}")


def _final(student: str, submission) -> Final:
    grades = [g for n in submission.notebooks for g in n.grades]
    open_ones = [g for g in grades if g.auto_score is None and g.manual_score is None and g.max_score]
    why = ""
    if any(g.name.startswith("check-") for g in open_ones):
        why = "could not be graded"
    elif to_do := [g for g in grades if g in open_ones or g.needs_manual_grade]:
        many = counted(len(to_do), "answer is", "answers are")
        again = "" if open_ones else ", again: the submission has changed"
        why = f"{many} to be graded by hand (formgrader){again}"
    points = None if why else submission.score
    return Final(student, points, submission.late_submission_penalty or 0.0, submission.max_score, why)


def own_table(known: list[Final], roster: Roster | None) -> str:
    """The kit's own table: a row for everyone in the roster, and for everyone else who handed in."""
    people = {s.id: s for s in roster.students} if roster else {}
    by_id = {f.student: f for f in known}
    rows = []
    for student in dict.fromkeys([*people, *by_id]):
        person, final = people.get(student, Student(student)), by_id.get(student)
        row: dict[str, object] = dict(id=student, name=person.name, email=person.email, why_none="handed in nothing")
        if final:
            row |= dict(max_points=final.most, late_penalty=final.penalty, why_none=final.why)
            row |= {} if final.points is None else dict(points=final.points, total=final.total)
        rows.append(row)
    return table_text(OWN, rows)


def fill(
    platform: str,
    content: bytes,
    assignment: str,
    known: list[Final],
    roster: Roster | None = None,
    column: str = "",
    scale: bool = False,
) -> Filled:
    """A platform's own grade file with the totals in it. column: the header of theirs, where it is not plain.

    Raises CourseError where the file is not one of the platform's, or the column is not known, or its points differ
    and are not to be scaled.
    """
    table = _table(content, platform)
    sheet = SHEETS[platform](table, assignment, column)
    roster = roster or _roster_of(known)
    most = max((f.most for f in known), default=0.0)
    factor = _factor(sheet.most, most, platform, scale)
    by_id = {f.student: f for f in known}
    filled, used = Filled(""), set()
    for number in sheet.rows:
        row = table.rows[number]
        who = sheet.who(row)
        student = roster.student(who, platform)
        final = by_id.get(student.id) if student else None
        name = who.names[0] if who.names else who.label
        if row[sheet.column].strip().upper() == EXCUSED:
            filled.without.append(f"{name}: excused")
        elif final is None:
            unknown = roster.contradiction(who, platform) or "not known here"
            filled.without.append(f"{name}: {'handed in nothing' if student else unknown}")
        elif final.total is None:
            filled.without.append(f"{name}: {final.why}")
        else:
            row[sheet.column] = _number(final.total * factor, sheet.comma)
            filled.filled += 1
        used |= {student.id} if student else set()
        for cell in sheet.texts:  # a spreadsheet that opens the file takes no name for a formula
            row[cell] = f"'{row[cell]}" if row[cell].startswith(FORMULA) else row[cell]
    filled.left = [f.student for f in known if f.student not in used]
    filled.text = table.written()
    return filled


def _roster_of(known: list[Final]) -> Roster:
    """Without a roster: by the ids that a download gave, which are a name and the platform's number."""
    students = []
    for final in known:
        name, number = moved.parts(final.student)
        students.append(Student(final.student, name, lms={"lms": (number or final.student,)}))
    return Roster(students)


def _factor(theirs: float | None, ours: float, platform: str, scale: bool) -> float:
    if not theirs or not ours or theirs == ours:
        return 1.0
    if not scale:
        raise CourseError(
            f"{platform.title()} has {counted(theirs, 'point')} for this, and the gradebook {ours:g}. Change one of "
            f"them, or add --scale: then {counted(ours, 'point')} here are {theirs:g} there."
        )
    return theirs / ours


def _number(value: float, comma: bool) -> str:
    text = f"{round(value, 2):g}" if abs(value) < 1e5 else f"{value:.2f}"
    return text.replace(".", ",") if comma else text


# ---- the files of platforms ----------------------------------------------------------------------------


@dataclass
class Table:
    """A CSV file, which is written as it was read: its separator, its line ends, its byte order mark.

    told: the line before the header that names the separator, as Excel puts it there. What was UTF-16 becomes UTF-8
    with a mark, which every platform takes.
    """

    header: list[str]
    rows: list[list[str]]
    separator: str
    line_end: str
    mark: bool
    told: str = ""

    def written(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.separator, lineterminator=self.line_end)
        writer.writerows([self.header, *self.rows])
        return ("\ufeff" if self.mark else "") + self.told + text.getvalue()


@dataclass
class Sheet:
    """Where things stand in a grade file. rows: of students. who: what a row says of its student. most: the points that
    the platform has for it. texts: columns of names.
    """

    column: int
    rows: list[int]
    who: Callable[[list[str]], Identity]
    texts: list[int]
    most: float | None = None
    comma: bool = False


def _table(content: bytes, platform: str) -> Table:
    if len(content) > MOST_BYTES:
        raise CourseError(f"The file has {len(content) / 2**20:.0f} MB: that is no grade file.")
    is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if is_wide else "utf-8")
    except UnicodeDecodeError:
        where = platform.title()
        raise CourseError(
            f"The file is no UTF-8: export it from {where} again, and do not save it elsewhere."
        ) from None
    mark = is_wide or text.startswith("\ufeff")
    text = text.removeprefix("\ufeff")
    told = TOLD.match(text)
    first = text.lstrip("\r\n").partition("\n")[0]
    separator = told[1] if told else max(",;\t", key=first.count)
    rows = [row for _, row in lines_of(text, f"The file of {platform.title()}")]
    if len(rows) < 2:
        raise CourseError("The file has no rows: export it from the platform, with its students in it.")
    width = max(map(len, rows))
    header, *others = [r + [""] * (width - len(r)) for r in rows]
    return Table(header, others, separator, "\r\n" if first.endswith("\r") else "\n", mark, told[0] if told else "")


def _find(table: Table, names: tuple[str, ...], what: str, platform: str) -> int:
    """The column with one of these headers. Raises CourseError."""
    wanted = [folded(n) for n in names]
    for number, title in enumerate(table.header):
        if folded(title) in wanted:
            return number
    raise CourseError(
        f"This is no grade file of {platform}: there is no column {what}. Its columns: {_listed(table.header)}. "
        f"Export it from {platform}, and give it with --file."
    )


def _listed(titles: list[str]) -> str:
    return ", ".join(f"“{t}”" for t in titles if t.strip())[:400]


def _grade_column(table: Table, assignment: str, column: str, candidates: list[int], platform: str) -> int:
    """The assignment's column: the one that is asked for, or the only one that is called like it."""
    titles = {k: table.header[k] for k in candidates}
    if column:
        found = [k for k, title in titles.items() if column.strip() in (title, title.strip())]
    else:
        plain = {k: re.sub(r"\(\d+\)\s*$|Points Grade.*$", "", title) for k, title in titles.items()}
        found = _called(plain, assignment)
    if len(found) != 1:
        many = "several columns are" if found else "no column is"
        raise CourseError(
            f"{many} {'called ' + column if column else 'plainly that of ' + assignment} in this file of {platform}. "
            f"Say which with --column; there are: {_listed(list(titles.values()))}."
        )
    return found[0]


def _called(titles: dict[int, str], assignment: str) -> list[int]:
    """Which of these titles are the assignment's name or its title; where none is, which have it among their words."""
    names = [_words(assignment), _words(assignments.get(assignment).title)]
    if numbered := re.fullmatch(r"hw(\d+)", assignment):
        names.append(["homework", numbered[1]])
    words = {k: _words(title) for k, title in titles.items()}
    return [k for k, w in words.items() if w in names] or [
        k for k, w in words.items() if any(w[i : i + len(n)] == n for n in names for i in range(len(w)))
    ]


def _words(title: str) -> list[str]:
    """Its words and numbers, apart from each other: hw, 1 of “HW-01”."""
    parts = re.findall(r"\d+|[^\W\d_]+", unicodedata.normalize("NFKC", title).casefold())
    return [str(int(part)) if part.isdecimal() else part for part in parts]


def _value(text: str) -> float | None:
    try:
        return float(text.strip().strip("()").replace(",", "."))
    except ValueError:
        return None


def _canvas(table: Table, assignment: str, column: str) -> Sheet:
    student = _find(table, ("Student", "Student Name"), "Student", "Canvas")
    number = _find(table, ("ID",), "ID", "Canvas")
    last = next((k for k, t in enumerate(table.header) if folded(t) == "section"), number)
    ids = [k for k in range(last) if k not in (student, number) and re.search(r"SIS|Login", table.header[k])]
    chosen = _grade_column(table, assignment, column, list(range(last + 1, len(table.header))), "Canvas")
    heads = [k for k, row in enumerate(table.rows) if row[student].strip().startswith(POINTS_POSSIBLE)]
    rows = [k for k, row in enumerate(table.rows) if k not in heads and row[number].strip()]
    most = _value(table.rows[heads[0]][chosen]) if heads else None
    numbers = [row[chosen] for row in table.rows] + [cell for k in heads for cell in table.rows[k][last + 1 :]]
    comma = any(re.fullmatch(r"\s*\d+,\d+\s*", cell) for cell in numbers)

    def who(row: list[str]) -> Identity:
        return Identity(row[student], tuple(row[k] for k in ids if row[k]), (row[number],), (row[student],))

    return Sheet(chosen, rows, who, [student], most, comma)


def _moodle(table: Table, assignment: str, column: str) -> Sheet:
    """The headers are in the site's language: columns are known by what stands in them.

    The grade stands before the maximum grade, and that before whether a grade can be changed.
    """
    cells = list(zip(*table.rows, strict=True))
    identifiers = [k for k, c in enumerate(cells) if all(re.fullmatch(r"\D+\d+", text.strip()) for text in c)]
    limits = [k for k in range(1, len(cells)) if _is_maximum(cells, k)]
    if not identifiers or not (limits or column):
        raise CourseError(
            "This is no grading worksheet of Moodle: there is no column of identifiers (Participant 123), or none with "
            f"the maximum grade. Its columns: {_listed(table.header)}. Download it at “Submissions → Download grading "
            "worksheet”, and give it with --file."
        )
    identifier = identifiers[0]
    if column:
        chosen = _grade_column(table, assignment, column, list(range(len(table.header))), "Moodle")
    elif len(limits) == 1:
        chosen = limits[0] - 1
    else:
        may_be = _listed([table.header[k - 1] for k in limits])
        raise CourseError(f"Several columns of this file may be the grades: {may_be}. Say which with --column.")
    mails = [k for k, c in enumerate(cells) if any("@" in t for t in c)]
    names = [k for k in range(identifier + 1, chosen) if k not in mails][:1]
    limits = [k for k in limits if k == chosen + 1]
    most = _value(cells[limits[0]][0]) if limits else None
    comma = any("," in cells[k][0] for k in limits)

    def who(row: list[str]) -> Identity:
        found = re.search(r"\d+", row[identifier])
        number = found[0] if found else ""
        return Identity(
            row[identifier], tuple(row[k] for k in mails if row[k]), (number,), tuple(row[k] for k in names)
        )

    return Sheet(chosen, list(range(len(table.rows))), who, names, most, comma)


def _is_maximum(cells: list[tuple[str, ...]], k: int) -> bool:
    """Whether a column has one number, before it numbers or nothing, and behind it the site's words for yes and no."""
    same = len({_value(text) for text in cells[k]}) == 1 and _value(cells[k][0]) is not None
    before = all(not text.strip() or _value(text) is not None for text in cells[k - 1])
    behind = {text.strip() for text in cells[k + 1]} if k + 1 < len(cells) else set()
    return same and before and len(behind) <= 2 and all(text and _value(text) is None for text in behind)


def _brightspace(table: Table, assignment: str, column: str) -> Sheet:
    keys = [k for k, t in enumerate(table.header) if folded(t) in ("orgdefinedid", "username", "email")]
    if not keys or "endoflineindicator" not in map(folded, table.header):
        raise CourseError(
            "This is no grade file of Brightspace: it needs OrgDefinedId or Username, and an End-of-Line Indicator. "
            f"Its columns: {_listed(table.header)}. Export it there, and give it with --file."
        )
    grades = [k for k, t in enumerate(table.header) if "Points Grade" in t]
    chosen = _grade_column(table, assignment, column, grades, "Brightspace")
    limit = re.search(r"MaxPoints:\s*([\d.]+)", table.header[chosen])
    first = [k for k, t in enumerate(table.header) if folded(t) in ("firstname", "lastname")]

    def who(row: list[str]) -> Identity:
        ids = tuple(row[k].removeprefix("#") for k in keys if row[k].removeprefix("#"))
        name = " ".join(row[k] for k in sorted(first, key=lambda k: folded(table.header[k]))).strip()
        return Identity(ids[0] if ids else name, ids, ids, (name,) if name else ())

    most = float(limit[1]) if limit else None
    return Sheet(chosen, list(range(len(table.rows))), who, first, most)


def _gradescope(table: Table, assignment: str, column: str) -> Sheet:
    mail = _find(table, ("Email",), "Email", "Gradescope")
    sid = [k for k, t in enumerate(table.header) if folded(t) in ("sid", "studentid")]
    names = [k for k, t in enumerate(table.header) if folded(t) in ("firstname", "lastname", "name")]
    grades = [k for k, t in enumerate(table.header) if k not in (mail, *sid, *names)]
    total = [k for k in grades if folded(table.header[k]) in ("totalscore", "score")]
    chosen = total[0] if total and not column else _grade_column(table, assignment, column, grades, "Gradescope")
    limit = [k for k, t in enumerate(table.header) if folded(t) == "maxpoints"]
    values = {_value(row[limit[0]]) for row in table.rows} - {None} if limit else set()

    def who(row: list[str]) -> Identity:
        name = " ".join(row[k] for k in sorted(names, key=lambda k: folded(table.header[k])))
        return Identity(row[mail], tuple(row[k] for k in (*sid, mail) if row[k]), (), (name,) if name else ())

    return Sheet(chosen, list(range(len(table.rows))), who, names, values.pop() if len(values) == 1 else None)


SHEETS = dict(canvas=_canvas, moodle=_moodle, brightspace=_brightspace, gradescope=_gradescope)
PLATFORMS = ("csv", *SHEETS)


def write(
    course: Course,
    assignment: str,
    platform: str,
    file: Path | None,
    target: Path,
    roster: Roster | None,
    column: str = "",
    scale: bool = False,
) -> Filled:
    """Write the grade file that a platform takes. Raises CourseError."""
    if platform == "csv" and (file or column or scale):
        raise CourseError(
            "--to csv writes the kit's own table, of the gradebook's points: it takes no --file, no --column and "
            "no --scale. Leave them out, or say which platform's file is to be filled in."
        )
    known = finals(course, assignment, roster)
    if platform == "csv":
        filled = Filled(
            own_table(known, roster),
            sum(f.total is not None for f in known),
            [f"{f.student}: {f.why}" for f in known if f.total is None],
        )
    elif file is None:
        raise CourseError(
            f"{platform.title()} takes its own file, filled in: export its grades there, and give that with --file."
        )
    else:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CourseError(f"{file} cannot be read: {error.strerror}.") from None
        filled = fill(platform, content, assignment, known, roster, column, scale)
    write_atomically(target, filled.text)
    return filled
