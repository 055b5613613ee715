"""A new assignment that runs: the simplest model of a family, to be replaced line by line."""

import builtins
import json
import keyword
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autograder import assignments
from autograder.assignments import Assignment

TEMPLATES = Path(__file__).parent / "templates"


def families() -> list[str]:
    """The families that an assignment can begin in."""
    return sorted(folder.name for folder in TEMPLATES.iterdir() if folder.is_dir())


def write(name: str, family: str, title: str = "", number: str = "") -> list[Path]:
    """Write both folders of an assignment of one exercise, and return its files.

    title: "Nice" for nice, if not given. number: of the exercise; E1, E2, … the next that is free, if not given.
    Raises ValueError where the name is none, or taken, or there is no such family; nothing is written then.
    """
    title = title.strip() or name.replace("_", " ").capitalize()
    _require_new(name, family, title, number)
    new, words = Assignment(name), _words(name, title, number)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / family), undefined=StrictUndefined, keep_trailing_newline=True
    )
    places = {
        "assignment.toml.j2": new.checks / "assignment.toml",
        "test.py.j2": new.checks / f"test_{name}.py",
        "source.py.j2": new.source,
        "mutants.py.j2": new.solution / "mutants.py",
        "variants.py.j2": new.solution / "variants.py",
    }
    for template, file in places.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(environment.get_template(template).render(words), encoding="utf-8")
    assignments.every.cache_clear()
    return list(places.values())


def _require_new(name: str, family: str, title: str, number: str) -> None:
    """Raises ValueError where the name is none, or taken, there is no such family, or a title or number is none."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name: a small letter, then small letters, digits and _, as in vqvae2.")
    if keyword.iskeyword(name):
        raise ValueError(f"{name!r} is a word of Python's, and the first function of an exercise is called after it.")
    if family not in families():
        raise ValueError(f"There is no family called {family!r}. Families: {', '.join(families())}.")
    if name in _used(family) | set(dir(builtins)):
        raise ValueError(f"{name!r} is the name of something that its own notebook uses: take another, as in {name}_2.")
    taken = {e.name for a in assignments.every() for e in a.exercises} | set(assignments.names())
    new = Assignment(name)
    if name in taken or new.checks.exists() or new.solution.exists():
        raise ValueError(f"There is an assignment or an exercise called {name} already.")
    if not title.isprintable():
        raise ValueError("A title is one line of letters.")
    if number and not assignments.NUMBER.fullmatch(number):
        raise ValueError(f"The number {number!r} is not like 1.2, 12 or E7.1.")
    if owner := next((e for a in assignments.every() for e in a.exercises if e.number == number), None):
        raise ValueError(f"{owner.name} of {owner.assignment} has the number {number}; {_next_number()} is free.")


def _used(family: str) -> set[str]:
    """The words in the code of a family's source, which the name of an assignment would hide."""
    lines = (TEMPLATES / family / "source.py.j2").read_text(encoding="utf-8").splitlines()
    code = (re.sub(r"{{.*?}}|\"[^\"]*\"", "", line) for line in lines if not line.startswith("#"))
    return {word for line in code for word in re.findall(r"\w+", line)}


def _words(name: str, title: str, number: str) -> dict[str, str]:
    """What the templates are filled with."""
    return {
        "name": name,
        "cls": "".join(part.capitalize() for part in name.split("_")),
        "title": title,
        "quoted_title": json.dumps(title, ensure_ascii=False),
        "number": number or _next_number(),
    }


def _next_number() -> str:
    used = {e.number for a in assignments.every() for e in a.exercises}
    return next(f"E{k}" for k in range(1, len(used) + 2) if f"E{k}" not in used)
