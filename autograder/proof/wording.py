"""The words of checks, collected for translators from the tests and the sources that they import."""

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder import assignments, sources, words
from autograder.assignments import ROOT, Assignment
from autograder.words import Catalogue

# Who speaks, beside the sources of checks: the score's headline, and what a course excuses.
SPEAKERS = [ROOT / "autograder" / name for name in ("score.py", "weights.py", "student.py", "workbench.py")]
PROSE = re.compile(r"[A-Za-zμσφ|][\w’',)|]* +[\w(“{]")  # two words at least
TEMPLATE = re.compile(r"\{\w*(?:[:!][^{}]*)?\}")


def collected(chosen: Iterable[Assignment]) -> dict[str, dict[str, str]]:
    """{"titles", "hints", "messages": {English: ""}} of the assignments, each text once."""
    tests = [t for a in chosen for e in a.exercises for n, t in vars(e.module).items() if n.startswith("test_")]
    exercises = [e.title for a in chosen for e in a.exercises]
    titles = dict.fromkeys([*exercises, *(t.title for t in tests)], "")
    hints = dict.fromkeys((t.hint for t in tests if t.hint), "")
    said = (m for file in _files(chosen) for m in messages(file.read_text(encoding="utf-8")))
    return {"titles": titles, "hints": hints, "messages": {m: "" for m in said if m not in titles and m not in hints}}


def _files(chosen: Iterable[Assignment]) -> list[Path]:
    tests = {file for a in chosen for e in a.exercises for file in sources.closure(Path(str(e.module.__file__)))}
    ours = {f for f in tests if f.is_relative_to(ROOT / "autograder")}
    return sorted(ours | set(SPEAKERS))


def messages(source: str) -> Iterator[str]:
    """The sentences in a source, with {1}, {2}, … where a value is put in; none of its documentation."""
    yield from _inside(ast.parse(source))


def _inside(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr | ast.Constant):
        text = _pattern(node)
        if PROSE.search(words.GAP.sub("", text)) and "\n" not in text and text == text.strip():
            yield text
    for child in ast.iter_child_nodes(node):
        is_documentation = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        is_part = isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
        if not is_documentation and not is_part:
            yield from _inside(child.value if isinstance(child, ast.FormattedValue) else child)


def _pattern(node: ast.JoinedStr | ast.Constant) -> str:
    """A text as the catalogue has it; "" for what is no text."""
    if isinstance(node, ast.Constant):
        numbers = itertools.count(1)  # of a template that is filled in later
        return TEMPLATE.sub(lambda _: f"{{{next(numbers)}}}", node.value) if isinstance(node.value, str) else ""
    number, parts = 0, []
    for part in node.values:
        number += isinstance(part, ast.FormattedValue)
        parts.append(f"{{{number}}}" if isinstance(part, ast.FormattedValue) else part.value)  # type: ignore[attr-defined]
    return "".join(parts) if number < 10 else ""


def write(file: Path, chosen: Iterable[Assignment]) -> tuple[int, int]:
    """Write or extend a catalogue; what is translated stays, also where no check says it any more.

    Returns (texts, those that are not translated yet). Raises WordsError for a file that is not in order.
    """
    chosen = list(chosen) or list(assignments.every())
    before = Catalogue.read(file).entries if file.exists() else {}
    tables = {name: {e: before.get(e, "") for e in texts} for name, texts in collected(chosen).items()}
    now = {english: said for texts in tables.values() for english, said in texts.items()}
    if others := {english: said for english, said in before.items() if said and english not in now}:
        tables["of others"] = others
    file.write_text(words.written(tables), encoding="utf-8")
    return len(now), sum(not said for said in now.values())
