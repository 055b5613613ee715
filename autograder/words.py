"""What checks say, in another language: a catalogue, words.toml, in a course's folder or in a student's kit.

The English words are the key, as with gettext, and no source names them: they are collected from the syntax
(`proof/wording.py`). What was measured stands in them as {1}, {2}, …, which a translation may put in another order.
What a catalogue lacks stays English.
"""

import contextlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

NAME = "words.toml"
KIT = Path(__file__).resolve().parent.parent  # a student's kit has its course's catalogue there
GAP = re.compile(r"\{\d\}")
SENTENCES = re.compile(r"(?<=[.?!:]) ")
OF_CHECK, OF_SCORE = ("title", "measured", "required", "hint"), ("title", "headline")


class WordsError(ValueError):
    """words.toml is not in order: says where, and what is wrong."""


@dataclass(frozen=True)
class Catalogue:
    """entries: {English: in the other language}, "" where it is not translated yet."""

    entries: Mapping[str, str]

    @classmethod
    def read(cls, file: Path) -> "Catalogue":
        """A catalogue in TOML, in tables of any names. Raises WordsError."""
        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError:
            raise WordsError(f"{file} is no UTF-8: save it as UTF-8 in your editor.") from None
        except tomllib.TOMLDecodeError as error:
            raise WordsError(f"{file} cannot be read: {error}") from None
        entries: dict[str, str] = {}
        for name, table in tables.items():
            if not isinstance(table, dict) or not all(isinstance(said, str) for said in table.values()):
                raise WordsError(f'{file}: {name} must be a table of texts, "English" = "translation".')
            entries |= table
        for english, said in entries.items():
            if said and sorted(GAP.findall(said)) != sorted(GAP.findall(english)):
                raise WordsError(f"{file}: {english[:60]!r}: the translation must have the same {{1}}, {{2}}, … in it.")
        return cls(entries)

    def said(self, text: str) -> str:
        """A text in the other language: as a whole, with gaps, or sentence by sentence."""
        if not text.strip():
            return text
        if whole := self._whole(text):
            return whole
        sentences = SENTENCES.split(text)
        return " ".join(self._whole(s) or s for s in sentences) if len(sentences) > 1 else text

    def _whole(self, text: str) -> str:
        """The translation of a text; "" where there is none."""
        if exact := self.entries.get(text):
            return exact
        for pattern, order, translation in self._patterns:
            if found := pattern.fullmatch(text):
                for name, part in zip(order, found.groups(), strict=True):
                    translation = translation.replace(name, self.said(part))
                return translation
        return ""

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern, list[str], str]]:
        """(what a text looks like, its gaps in their order, the translation): those with most words first."""
        found = []
        for english, said in sorted(self.entries.items(), key=lambda entry: -len(GAP.sub("", entry[0]))):
            order = GAP.findall(english)
            if said and order:
                parts = map(re.escape, GAP.split(english))
                found.append((re.compile("(.+?)".join(parts), re.DOTALL), order, said))
        return found

    def of_score(self, score: dict) -> dict:
        """A score, `Score.to_json()`, in the other language. Its numbers and names are as they were."""
        checks = [c | {what: self.said(c[what]) for what in OF_CHECK} for c in score["checks"]]
        said = {what: self.said(score[what]) for what in OF_SCORE if what in score}
        return score | said | {"checks": checks, "notes": [self.said(n) for n in score.get("notes", ())]}

    def text(self) -> str:
        """As a file of what is translated."""
        return written({"words": {english: said for english, said in self.entries.items() if said}})


def written(tables: Mapping[str, Mapping[str, str]]) -> str:
    """Tables of words as TOML."""
    lines = []
    for name, words in tables.items():
        quoted = (f"{_quoted(english)} = {_quoted(said)}" for english, said in words.items())
        lines += [f"[{_quoted(name)}]", *quoted, ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_in_use: list[Catalogue] = []
_of_kit: dict[Path, Catalogue | None] = {}


def current() -> Catalogue | None:
    """The catalogue in use: that of the course, or else the one that the kit came with; None: all is English."""
    if _in_use:
        return _in_use[-1]
    if KIT not in _of_kit:
        _of_kit[KIT] = Catalogue.read(KIT / NAME) if (KIT / NAME).exists() else None
    return _of_kit[KIT]


@contextlib.contextmanager
def use(catalogue: Catalogue | None) -> Iterator[None]:
    """Inside of it checks speak as a catalogue has it, if there is one."""
    if catalogue is None:
        yield
        return
    _in_use.append(catalogue)
    try:
        yield
    finally:
        _in_use.pop()


def of_score(score: dict) -> dict:
    """A score in the language that is in use."""
    catalogue = current()
    return catalogue.of_score(score) if catalogue else score
