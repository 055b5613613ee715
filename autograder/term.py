"""A new term: a course folder of its own, with due dates, a new secret, and nothing that git or students could get."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path

from autograder import assignments, settings, words
from autograder.course import Course, CourseError
from autograder.display import counted
from autograder.files import write_atomically
from deepul_utils import turn

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DUE = re.compile(
    r"(?m)^(?P<key>[ \t]*due[ \t]*=[ \t]*\"?)(?P<day>\d{4}-\d{2}-\d{2})(?P<time>[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)"
    r"(?P<offset> ?(?:[Zz]|[+-]\d\d:\d\d))?"
)
TURN = re.compile(r"(?m)^([ \t]*turn[ \t]*=[ \t]*)\d+")
TIME_ZONE = re.compile(r"(?m)^([ \t]*time_zone[ \t]*=[ \t]*)(?:\"[^\"\n]*\"|'[^'\n]*')")
EVERY = timedelta(weeks=2)  # from one due date to the next, where no earlier term says otherwise
# Students' work and grades, and the secret, are never committed: of a course's folder only what these name.
GITIGNORE = "*\n!.gitignore\n!course.toml\n!words.toml\n"


def make(folder: Path, first: date, zone: str = "", like: Path | None = None) -> Course:
    """Make a course's folder for a term, and return it.

    first: the day on which the first homework is due. zone: of the times; if it is not given, UTC, or that of the
    earlier term. like: the folder of an earlier term, whose course.toml is taken over, every due date moved by as many
    days as the first one, and its words.toml. Its turn is that of the kit's data. Raises CourseError where the folder
    is there, or the earlier one says nothing; SettingsError where what comes out is not in order.
    """
    if not NAME.fullmatch(folder.name):
        raise CourseError(
            f"{folder.name!r} is no name for a term: letters, digits, and . - _ inside, like 2027-spring."
        )
    if folder.exists() and any(folder.iterdir()):
        raise CourseError(f"{folder} is there already, and stays as it is. Give the new term another name.")
    if first.year not in settings.YEARS:
        raise CourseError(f"The first homework is due on {first}, in a year that is no course's: --first 2027-02-12.")
    texts = {
        settings.NAME: _moved(like, folder.name, first, zone) if like else _fresh(folder.name, first, zone or "UTC")
    }
    if like and (like / words.NAME).is_file():
        texts[words.NAME] = (like / words.NAME).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    try:
        settings.read(folder)
    except settings.SettingsError:
        for name in texts:
            (folder / name).unlink()
        folder.rmdir()
        raise
    write_atomically(folder / ".gitignore", GITIGNORE)
    course = Course.at(folder)
    _ = course.salt  # it is made by being asked for
    return course


def _fresh(name: str, first: date, zone: str) -> str:
    """A course.toml with all homeworks in their order, an exercise of each extension aside."""
    given = [a for a in assignments.every() if a.name.startswith("hw")]
    dues = [
        f"[assignments.{a}]\ndue = {datetime.combine(first + k * EVERY, datetime.min.time()):%Y-%m-%dT}23:59:00\n"
        for k, a in enumerate(given)
    ]
    head = f'title = "Deep Unsupervised Learning, {name}"\ntime_zone = "{zone}"\n{_turn()}\n'
    late = (
        "# What being late costs; delete what you do not want.\n[late]\n"
        'per_day = "10 %" # of the points that there are, each day that has begun\n'
        "grace = 15       # minutes that are no delay\n"
        "days = 3         # what comes later has no points\n"
        "free_days = 4    # of the whole term, at no cost\n"
    )
    return "\n".join([head, late, *dues])


def _turn() -> str:
    return f"turn = {turn.number()} # of the data that its students are given"


def _moved(like: Path, name: str, first: date, zone: str) -> str:
    """The course.toml of an earlier term, with all due dates moved, and the new term's name where its title has the
    old one; everything else, comments too, as it was.

    zone: of the new term, if it is another. A due date with an offset becomes a time of the zone, which knows when
    clocks change.
    """
    file = like / settings.NAME
    if not file.is_file():
        raise CourseError(f"There is no {file}: give the folder of an earlier term.")
    before, text = settings.read(like), file.read_text(encoding="utf-8-sig")
    dues = [own.due for own in before.assignments.values() if own.due]
    if not dues:
        raise CourseError(f"{file} has no due dates to move: there is nothing to take over.")
    had_zone = TIME_ZONE.search(text) is not None
    if not (zone or had_zone) and any(due.utcoffset() for due in dues):
        raise CourseError(f"{file} has due dates with an offset and no time_zone: say it, as in --zone Europe/Berlin.")
    shift = first - min((due.astimezone(before.zone) if had_zone else due).date() for due in dues)

    def moved(found: re.Match) -> str:
        day, time, offset = date.fromisoformat(found["day"]), found["time"], found["offset"] or ""
        if offset and had_zone:
            local = datetime.fromisoformat(f"{day}{time}{offset.strip()}").astimezone(before.zone)
            day, time = local.date(), f"{local:T%H:%M:%S}"
        return f"{found['key']}{day + shift}{time}{'' if zone or had_zone else offset}"

    text, count = DUE.subn(moved, text)
    if count != len(dues):
        raise CourseError(
            f"{file}: {counted(len(dues), 'due date')}, of which {count} stand on a line of their own as due = …"
        )
    if zone and had_zone:
        text = TIME_ZONE.sub(lambda found: f'{found[1]}"{zone}"', text, count=1)
    elif zone:
        text = f'time_zone = "{zone}"\n{text}'
    had_turn = TURN.search(text) is not None
    text = TURN.sub(rf"\g<1>{turn.number()}", text, count=1) if had_turn else f"{_turn()}\n{text}"
    old = rf"\b{re.escape(like.resolve().name)}\b"
    return re.sub(rf"(?m)^([ \t]*title[ \t]*=.*?){old}", lambda found: found[1] + name, text, count=1)
