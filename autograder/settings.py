"""A course's settings: course.toml in the course folder. Without the file, the defaults.

```toml
title = "Deep Unsupervised Learning, spring 2027"
contact = "the forum, https://forum.example.edu/dul"
kit = "https://git.example.edu/dul/homework.git"
time_zone = "America/Los_Angeles"

[assignments.hw1]
due = 2027-02-12T23:59:00
written = "ungraded"
```
"""

import difflib
import tomllib
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from pathlib import Path
from typing import Any

from autograder import assignments

NAME = "course.toml"
COLLABORATION = (
    "Talk about the exercises with whom you like, and write your code and your answers by yourself. You may ask an AI "
    "model to explain an idea or an error message, as you would ask a friend; do not let it write what you hand in. "
    "Say in your answers who and what helped you."
)
WRITTEN = ("points", "ungraded")


class SettingsError(ValueError):
    """course.toml is not in order: says where, what is wrong, and what is allowed; a line for each mistake."""


@dataclass(frozen=True)
class AssignmentSettings:
    """due: with its time zone; None if it is not set. written: whether written questions have points."""

    due: datetime | None = None
    written: str = "points"


@dataclass(frozen=True)
class CourseSettings:
    """title, contact: "" if not set. collaboration: Markdown; "" if nothing is to be said. kit: the git address of what
    students are given, unpacked, from which a notebook that stands alone, as on Colab, gets it; "" if there is none.

    assignments: of those that have settings of their own.
    """

    title: str = ""
    contact: str = ""
    kit: str = ""
    collaboration: str = COLLABORATION
    assignments: Mapping[str, AssignmentSettings] = field(default_factory=dict)

    def of(self, assignment: str) -> AssignmentSettings:
        """The settings of an assignment."""
        return self.assignments.get(assignment, AssignmentSettings())


DEFAULTS = CourseSettings()


def read(folder: Path) -> CourseSettings:
    """The settings of the course in a folder. Raises SettingsError with all that is wrong in its course.toml."""
    file = folder / NAME
    if not file.exists():
        return DEFAULTS
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))  # Windows' editor may begin it with a mark
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from None
    reader = _Reader(str(file))
    settings = reader.course(table)
    if reader.problems:
        raise SettingsError("\n".join(reader.problems))
    return settings


class _Wrong(Exception):
    """What is wrong with a value, and what is allowed, without where it stands."""


class _Reader:
    """Reads a table key by key, and collects what is wrong."""

    def __init__(self, file: str):
        self.file = file
        self.problems: list[str] = []

    def course(self, table: dict) -> CourseSettings:
        self._only(table, ("title", "contact", "kit", "collaboration", "time_zone", "assignments"))
        zone = self._value(table, "time_zone", _zone, UTC if "time_zone" in table else None)  # one mistake is said once
        return CourseSettings(
            title=self._value(table, "title", _line, ""),
            contact=self._value(table, "contact", _line, ""),
            kit=self._value(table, "kit", _address, ""),
            collaboration=self._value(table, "collaboration", _text, COLLABORATION),
            assignments=self._assignments(self._value(table, "assignments", _table, {}), zone),
        )

    def _assignments(self, table: dict, zone: tzinfo | None) -> dict[str, AssignmentSettings]:
        self._only(table, assignments.names(), "assignments.", "assignments")
        found = {}
        for name in table.keys() & set(assignments.names()):
            here = f"assignments.{name}"
            own = self._value(table, name, _table, {}, "assignments.")
            self._only(own, ("due", "written"), f"{here}.")
            found[name] = AssignmentSettings(
                due=self._value(own, "due", lambda value: _moment(value, zone), None, f"{here}."),
                written=self._value(own, "written", _one_of(WRITTEN), "points", f"{here}."),
            )
        return found

    def _only(self, table: dict, allowed: Iterable[str], where: str = "", what: str = "keys") -> None:
        """Name each key that there is not, with the nearest that there is."""
        for key in sorted(table.keys() - set(allowed)):
            near = difflib.get_close_matches(key, allowed, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            self.problems.append(f"{self.file}: there is no {where}{key}.{meant} Known {what}: {', '.join(allowed)}.")

    def _value(self, table: dict, key: str, parse: Callable[[Any], Any], default: Any, where: str = "") -> Any:
        if key not in table:
            return default
        try:
            return parse(table[key])
        except _Wrong as wrong:
            self.problems.append(f"{self.file}: {where}{key} {wrong}")
            return default


def _table(value: Any) -> dict:
    if not isinstance(value, dict):
        raise _Wrong(f"is {value!r}; it must be a table, as in [assignments.hw1].")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"is {value!r}; it must be a text in quotes.")
    return value.strip()


def _address(value: Any) -> str:
    text = _line(value)
    if "://" not in text:
        raise _Wrong(f"is {value!r}; it must be the address of a git repository, such as https://example.edu/hw.git.")
    return text


def _line(value: Any) -> str:
    text = _text(value)
    if not text or not text.isprintable():
        raise _Wrong(f"is {value!r}; it must be one line of text in quotes.")
    return text


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in allowed:
            raise _Wrong(f"is {value!r}; it must be " + " or ".join(f'"{a}"' for a in allowed) + ".")
        return value

    return parse


def _zone(value: Any) -> zoneinfo.ZoneInfo:
    name = _text(value)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones, or no name of a file
        known = zoneinfo.available_timezones()
        if not known:
            raise _Wrong("is not known: this machine has no list of time zones; pip install tzdata.") from None
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise _Wrong(f'is {value!r}; it must be a time zone such as "Europe/Berlin".{meant}') from None


def _moment(value: Any, zone: tzinfo | None) -> datetime:
    """A moment with its time zone. zone: of times that name none."""
    example = "a date and time such as 2027-02-12T23:59:00 or 2027-02-12T23:59:00-08:00"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > len("2027-02-12") else date.fromisoformat(value)
        except ValueError:
            raise _Wrong(f"is {value!r}; it must be {example}.") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        raise _Wrong(f"is {value}, a day without a time; it must be {example}.")
    if isinstance(value, time) or not isinstance(value, datetime):
        raise _Wrong(f"is {value}; it must be {example}.")
    if value.tzinfo:
        return value
    if zone is None:
        raise _Wrong(f'is {value}, in no time zone; set time_zone = "Europe/Berlin" at the top, or add +01:00 to it.')
    return _in_zone(value, zone)


def _in_zone(local: datetime, zone: tzinfo) -> datetime:
    """A local time in its zone, where the clocks show it once."""
    found = local.replace(tzinfo=zone)
    if found.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise _Wrong(f"is {local}, which clocks in {zone} never show: they are put forward then.")
    if found.utcoffset() != found.replace(fold=1).utcoffset():
        raise _Wrong(f"is {local}, which clocks in {zone} show twice: add the offset, such as +01:00.")
    return found
