"""A submission as it is graded: valid, bounded, with the course's own cells in their places.

Nothing is run here. Whatever was changed is said in words that student and TA both read.
"""

import copy
import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath

from autograder.assignments import is_answered
from autograder.course import CourseError
from autograder.files import MANIFEST, MOST_CELLS, MOST_NOTEBOOK, MOST_SOURCE, MOST_SOURCES, installed
from autograder.grading import choice, outputs, pictures
from autograder.grading.submissions import SECRET, STAMP, is_file_name, shown
from autograder.notebooks import CHECK_CALL, DRAWN, TRAINED

MOST_ANSWER = 20_000  # characters of a written answer: ten pages
MOST_CHANGES = 40  # said of one submission
MOST_REASONS, MOST_REASON = 3, 200  # why there is no notebook; characters of each
RENAMED = "The notebook is called"
MOST_ACTIVE = 2**17  # characters of Markdown made HTML in one notebook: five times the text of an assignment
NO_WORK = (MANIFEST, STAMP, SECRET)  # which `deepul submit` and nbgrader write, or somebody else
NOTEBOOK = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass
class Normalised:
    """notebook: nbformat 4 without outputs. files: what lies beside it. changes: what a reader should know.

    handed_in: {id of a cell that draws: what the student's own notebook showed there, cleaned}. usual: those of the
    changes that browsers and platforms cause, by the names that they give to files; nobody has to look at them.
    """

    notebook: dict
    files: dict[str, bytes]
    changes: list[str] = field(default_factory=list)
    handed_in: dict[str, list[dict]] = field(default_factory=dict)
    usual: list[str] = field(default_factory=list)


def normalise(files: dict[str, bytes], assignment: str, handout: dict, left_out: Iterable[str] = ()) -> Normalised:
    """The submission that will be graded. handout: the released notebook.

    Raises CourseError, in words for the TA, where there is no notebook to grade.
    """
    try:
        return _normalised(files, assignment, handout, list(left_out))
    finally:
        for known in (_statements, _defined_names, _bound_names, _trained):
            known.cache_clear()  # what the next student wrote is something else


def accepted(files: dict[str, bytes], assignment: str, handout: dict) -> dict[str, bytes]:
    """The files of a submission as nbgrader finds them: its notebook under its own name, the weights beside it.

    All stay as they came where there is no notebook to grade, or only one that is none.
    """
    try:
        name, others, _ = _notebook_of(files, assignment, handout)
    except CourseError:
        return files
    folder = PurePosixPath(name).parent
    rest, _ = choice.with_weights({n: c for n, c in files.items() if n != name and n not in others}, folder, assignment)
    return {f"{assignment}.ipynb": files[name]} | _beside(rest, folder, f"{assignment}.ipynb")[0]


def notebook_of(files: dict[str, bytes], assignment: str, handout: dict, left_out: Iterable[str] = ()) -> str:
    """The name of the notebook that would be graded. Raises CourseError where none could be, as grading does."""
    name, _, _ = _notebook_of(files, assignment, handout, left_out)
    choice.refuse_another(files[name], name, assignment)
    _cells(name, files[name])
    return name


def _normalised(files: dict[str, bytes], assignment: str, handout: dict, left_out: list[str]) -> Normalised:
    name, others, misnamed = _notebook_of(files, assignment, handout, left_out)
    choice.refuse_another(files[name], name, assignment)
    cells, shown_by = _cells(name, files[name])
    handed_in = pictures.handed_in(cells, shown_by)
    folder = PurePosixPath(name).parent
    rest = {n: content for n, content in files.items() if n != name and n not in others}
    rest, moved = choice.with_weights(rest, folder, assignment)
    beside, misplaced = _beside(rest, folder, f"{assignment}.ipynb")
    merged = _Merged(cells, handout["cells"])
    as_written = _make_inert(merged.cells, handout["cells"])
    for number, cell in enumerate(merged.cells):
        cell["id"] = f"cell-{number:04d}"
    notebook = {"cells": merged.cells, "metadata": copy.deepcopy(NOTEBOOK), "nbformat": 4, "nbformat_minor": 5}
    outputs_of = {c["id"]: handed_in[id(c)] for c in merged.cells if id(c) in handed_in}
    changes = [*(f"Left out {text}." for text in left_out), *misnamed, *moved, *misplaced, *merged.changes, *as_written]
    renamed = [said for said in misnamed if said.startswith(RENAMED)]
    return Normalised(notebook, beside, _first(changes), outputs_of, [*renamed, *moved])


def _first(changes: list[str]) -> list[str]:
    """As many as anybody reads, and how many more there are."""
    more = len(changes) - MOST_CHANGES
    return changes if more <= 0 else [*changes[:MOST_CHANGES], f"… and {more:,} more of this kind."]


def _notebook_of(
    files: dict[str, bytes], assignment: str, handout: dict, left_out: Iterable[str] = ()
) -> tuple[str, list[str], list[str]]:
    """(its name, wherever it lies and whatever it is called, those of other notebooks, what is to be said of that)."""
    notebooks = [n for n in files if n.lower().endswith(".ipynb") and not _is_hidden(n)]
    notebooks.sort(key=lambda n: (n.count("/"), n))
    if not notebooks:
        raise CourseError(f"there is no notebook in it (looked for {assignment}.ipynb){_why_none(files, left_out)}.")
    chosen = choice.notebook(notebooks, files, assignment, handout) if len(notebooks) > 1 else notebooks[0]
    everything = list(notebooks)
    same = [n for n in notebooks if n != chosen and files[n] == files[chosen]]
    if chosen == f"{assignment}.ipynb" and same:
        chosen = same[0]  # a copy of it, which has the right name for nbgrader
        notebooks.remove(f"{assignment}.ipynb")
    others = [n for n in everything if n != chosen]
    changes = []
    if PurePosixPath(chosen).name != f"{assignment}.ipynb":
        changes.append(f"{RENAMED} {shown(PurePosixPath(chosen).name)}; taken as {assignment}.ipynb.")
    if left := [n for n in notebooks if n != chosen]:
        listed = ", ".join(shown(n) for n in left)[:300]
        changes.append(f"There are {len(notebooks)} notebooks; graded was {shown(chosen)}, left out: {listed}.")
    return chosen, others, changes


def _why_none(files: dict[str, bytes], left_out: Iterable[str]) -> str:
    """Why there is no notebook among files, as far as it is known: a notebook that was left out, or is hidden."""
    hidden = [n for n in files if n.lower().endswith(".ipynb") and not PurePosixPath(n).name.startswith("._")]
    reasons = [*left_out, *(f"{shown(n)}: a name in it begins with a dot" for n in hidden)]
    reasons.sort(key=lambda text: ".ipynb" not in text.lower())
    if not reasons:
        return "" if files else ": it is empty"
    return f"; left out: {'; '.join(text[:MOST_REASON].rstrip('.') for text in reasons[:MOST_REASONS])}"


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or any(p.startswith(".") for p in parts)


def _cells(name: str, content: bytes) -> tuple[list[dict], list]:
    """The cells, with nothing in them but kind, source and metadata; and the outputs of each, whatever they are."""
    name = shown(name)
    if len(content) > MOST_NOTEBOOK:
        raise CourseError(
            f"{name} has {len(content) / 2**20:.0f} MB; the most is {MOST_NOTEBOOK // 2**20} MB. Ask the student to "
            "clear the outputs (Edit → Clear Outputs of All Cells) and send it again."
        )
    if not content.strip():
        raise CourseError(f"{name} is empty; ask the student to send it again.")
    try:
        notebook = json.loads(content)
        if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
            if isinstance(notebook, dict) and "worksheets" in notebook:
                version = shown(str(notebook.get("nbformat")))
                raise CourseError(
                    f"{name} has the format of 2014 (nbformat {version}). Opening and saving it in "
                    "JupyterLab converts it."
                )
            raise ValueError("no list of cells")
        if len(notebook["cells"]) > MOST_CELLS:
            raise CourseError(f"{name} has {len(notebook['cells']):,} cells; the most is {MOST_CELLS:,}.")
        cells = [_cell(c) for c in notebook["cells"]]
        if (longest := max((len(c["source"]) for c in cells if c["cell_type"] == "code"), default=0)) > MOST_SOURCE:
            raise CourseError(f"{name} has a cell of {longest:,} characters; the most is {MOST_SOURCE:,}.")
        if (total := sum(len(c["source"]) for c in cells)) > MOST_SOURCES:
            raise CourseError(f"{name} has {total:,} characters in its cells; the most is {MOST_SOURCES:,}.")
        return cells, [c.get("outputs") for c in notebook["cells"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CourseError(
            f"{name} is not a Jupyter notebook ({type(error).__name__}: {str(error)[:200]}). Ask the student to send "
            "it again."
        ) from None


def _cell(cell: dict) -> dict:
    source = cell["source"]
    source = "".join(source) if isinstance(source, list) else source
    if not isinstance(source, str) or cell["cell_type"] not in ("code", "markdown", "raw"):
        raise ValueError("a cell without source")
    if len(source) > MOST_SOURCE and cell["cell_type"] != "code":  # a picture in the text, mostly
        source = f"{source[:MOST_SOURCE]}\n\n[cut here: the cell has {len(source):,} characters]"
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    new = _new_cell(cell["cell_type"], source.encode("utf-8", "replace").decode(), {"was": grade_id})
    if new["cell_type"] == "markdown":
        new["attachments"] = outputs.attached(cell.get("attachments"))
    return new


def _make_inert(cells: list[dict], course: list[dict]) -> list[str]:
    """Text of the student's own that others will read does nothing in their browsers; the course's stays as it is.

    What is to be said of that is returned.
    """
    ours, active, as_written = {_source(c) for c in course}, 0, 0
    for cell in cells:
        source, attachments = cell["source"], cell.pop("attachments", {})
        if cell["cell_type"] == "code" or source in ours:
            continue
        if cell["cell_type"] == "raw":
            cell["source"] = outputs.raw(source)
            continue
        active += outputs.length(source) if outputs.may_be_active(source) else 0
        if active > MOST_ACTIVE:
            cell["source"], as_written = outputs.as_written(source), as_written + 1
        else:
            cell["source"] = outputs.markdown(source, attachments)
    if not as_written:
        return []
    return [
        f"{as_written} of the text cells are shown as they were written: what is more than plain text has over "
        f"{MOST_ACTIVE:,} characters in this notebook."
    ]


def _new_cell(kind: str, source: str, metadata: dict) -> dict:
    cell = {"cell_type": kind, "metadata": metadata, "source": source}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def _beside(files: dict[str, bytes], folder: PurePosixPath, notebook: str) -> tuple[dict[str, bytes], list[str]]:
    """(what lies beside the notebook and may be seen by it, what is to be said of the rest)."""
    kept: dict[str, bytes] = {}
    changes, outside = [], []
    for name, content in files.items():
        path = PurePosixPath(name)
        if _is_hidden(name) or path in (folder / own for own in NO_WORK):
            continue
        if not path.is_relative_to(folder):
            outside.append(shown(name))
            continue
        short = str(path.relative_to(folder))
        if not is_file_name(short):
            changes.append(f"Left out {shown(short)}: no name for a file.")
        elif short == notebook or short.startswith(notebook + "/"):
            changes.append(f"Left out {shown(short)}: it would stand in the place of the notebook.")
        elif shadowed := _shadows(short):
            changes.append(f"Left out {shown(short)}: it would stand in the place of the module {shadowed}.")
        else:
            kept[short] = content
    if outside:
        listed = ", ".join(outside)[:300]
        changes.append(f"Left out what does not lie in the folder of the notebook ({shown(str(folder))}): {listed}.")
    return kept, changes


def _shadows(name: str) -> str | None:
    """The installed module that a file would hide."""
    parts = PurePosixPath(name).parts
    if not re.search(r"\.(py|pyc|pyd|so|pth)$", name):
        return None
    top = parts[0].split(".")[0]
    return top if top in installed() else None


class _Merged:
    """The student's cells in the student's order, with the cells that nbgrader keeps account of as the course has them.

    A cell is recognised by its id in nbgrader's metadata, or else by what it holds, because other editors drop
    the metadata. cells: the notebook's. changes: what was done to them, in words.
    """

    def __init__(self, cells: list[dict], course: list[dict]):
        self._course = course
        self._wanted = {name: c for c in course if (name := _grade_id(c))}
        self._own: dict[str, dict] = {}  # {id: the student's cell that has it}
        self.changes: list[str] = []
        self.cells = [cell for cell in cells if self._stays(cell)]
        self._recognise()
        self._put_back()
        for name, cell in self._own.items():
            self._restore(name, cell)
        self._move_checks()

    def _stays(self, cell: dict) -> bool:
        """Whether it does; the first cell with an id of the course's is taken for the course's cell."""
        name = cell["metadata"].pop("was")
        if not isinstance(name, str) or name not in self._wanted:
            return True
        if name not in self._own:
            self._own[name] = cell
            return True
        if is_answer(self._wanted[name]):
            _join(self._own[name], cell, self._wanted[name])
            self.changes.append(f"The cell {name} occurs more than once: the texts were put together, as one answer.")
            return False
        locked = _locked(self._wanted[name])
        copies = "the first one counts, the copy was left out" if locked else "each copy was run, as in your notebook"
        self.changes.append(f"The cell {name} occurs more than once: {copies}.")
        return not locked

    def _recognise(self) -> None:
        """Cells that lost their metadata: a solution by the name that it defines, all else by its text."""
        for name, wanted in self._wanted.items():
            if name in self._own:
                continue
            taken = {id(cell) for cell in self._own.values()}
            for cell in self.cells:
                same_kind = cell["cell_type"] == wanted["cell_type"]
                if same_kind and id(cell) not in taken and _alike(cell["source"], wanted):
                    self._own[name] = cell
                    break
            else:
                if is_answer(wanted) and (cell := self._below_question(name, taken)):
                    self._own[name] = cell

    def _below_question(self, name: str, taken: set[int]) -> dict | None:
        """An answer that lost its metadata: the student's text right below the question as it was handed out."""
        place = next(i for i, cell in enumerate(self._course) if _grade_id(cell) == name)
        question, ours = _source(self._course[place - 1]).strip(), {_source(c).strip() for c in self._course}
        for asked, cell in itertools.pairwise(self.cells):
            if asked["source"].strip() == question and cell["cell_type"] == "markdown":
                return None if id(cell) in taken or cell["source"].strip() in ours else cell
        return None

    def _put_back(self) -> None:
        """Deleted cells, in the place that they have in the handout."""
        before = -1  # the place of the cell that comes before in the handout
        for name, original in self._wanted.items():
            if name not in self._own:
                source, said = _source(original), "as it was handed out"
                defined = _defined(original)
                if defined and self._is_bound(defined):
                    source, said = "", f"empty, because another cell makes {defined}"
                self._own[name] = _new_cell(original["cell_type"], source, {})
                self.cells.insert(self._place(name, before), self._own[name])
                self.changes.append(f"The cell {name} was missing and was put back {said}.")
            before = self._index(self._own[name])

    def _is_bound(self, name: str) -> bool:
        """Whether some cell gives this name a value."""
        return any(c["cell_type"] == "code" and name in _bound_names(c["source"]) for c in self.cells)

    def _place(self, name: str, after: int) -> int:
        """Where a cell belongs: before the first that follows it in the handout and still stands behind `after`.

        So a check comes behind the training that it grades, also where the student's text between is another.
        """
        texts: dict[str | None, int] = {}
        for i, cell in enumerate(self.cells):
            if i > after:
                texts.setdefault(cell["source"].strip(), i)
        for following in self._following(name):
            own = self._own.get(_grade_id(following) or "")
            place = self._index(own) if own else texts.get(_source(following).strip() or None, -1)
            if place > after:
                return place
        return len(self.cells)

    def _following(self, name: str) -> list[dict]:
        """The cells of the handout behind one of them."""
        here = next(i for i, cell in enumerate(self._course) if _grade_id(cell) == name)
        return self._course[here + 1 :]

    def _index(self, cell: dict) -> int:
        """Where this very cell stands; others may be equal to it."""
        return next(i for i, c in enumerate(self.cells) if c is cell)

    def _restore(self, name: str, cell: dict) -> None:
        """The course's metadata for every such cell; its kind and text too where students should change nothing."""
        original = self._wanted[name]
        was, kind = cell["cell_type"], original["cell_type"]
        if was != kind:
            self.changes.append(f"The cell {name} was a {was} cell; made a {kind} cell again.")
        source = cell["source"]
        if _locked(original):
            if source.strip() != _source(original).strip():
                self.changes.append(f"The text of the cell {name} was changed, and was put back as it was handed out.")
            source = _source(original)
        restored = _new_cell(kind, source, copy.deepcopy(original["metadata"]))
        if is_answer(original):
            restored |= self._answer(name, source, cell.get("attachments", {}))
        cell.clear()
        cell.update(restored)

    def _answer(self, name: str, text: str, attachments: dict) -> dict:
        """An answer as somebody will read it: bounded; an empty one is one that was not given."""
        placeholder, length = _source(self._wanted[name]), outputs.length(text)
        if not is_answered(text, placeholder):
            return {"source": placeholder}
        if length > MOST_ANSWER:
            text = f"{text[:MOST_ANSWER]}\n\n[cut here: the answer has {length:,} characters]"
            self.changes.append(
                f"The answer {name} has {length:,} characters; the first {MOST_ANSWER:,} of them are kept."
            )
        return {"source": text, "attachments": attachments}

    def _move_checks(self) -> None:
        """A check that was moved before the cells that it checks goes back to its place behind them."""
        for name, check in self._own.items():
            if not is_grade(check) or not _exercise(check):
                continue
            last = max(self._checked(name, _exercise(check)), default=-1)
            if self._index(check) < last:
                del self.cells[self._index(check)]
                self.cells.insert(self._place(name, last - 1), check)
                self.changes.append(f"The cell {name} stood before what it checks, and was moved behind it.")

    def _checked(self, name: str, exercise: str) -> list[int]:
        """Where the cells stand that are of an exercise, or train for it, and that the handout has before a check."""
        behind = {_source(c).strip() for c in self._following(name)}
        return [
            place
            for place, cell in enumerate(self.cells)
            if not is_grade(cell)
            and not is_answer(cell)
            and (_exercise(cell) == exercise or _trains(cell, exercise))
            and (_grade_id(cell) or cell["source"].strip() not in behind)
        ]


def _locked(cell: dict) -> bool:
    """nbgrader's own rule: a cell that is solution and grade is an answer that a TA reads, and stays as written."""
    about = cell["metadata"]["nbgrader"]
    return not about.get("solution") and bool(about.get("grade") or about.get("locked"))


def _join(first: dict, second: dict, original: dict) -> None:
    """The texts of an answer that was split into two cells, or copied: what says nothing is left out."""
    texts = [c["source"] for c in (first, second) if is_answered(c["source"], _source(original))]
    first["source"] = "\n\n".join(dict.fromkeys(texts)) or _source(original)
    first["attachments"] = {**second.get("attachments", {}), **first.get("attachments", {})}


def _alike(source: str, wanted: dict) -> bool:
    name = _defined(wanted)
    if name:
        return name in _defined_names(source)
    # A cell that does more than the course's own is the student's: its text must not be replaced.
    said, ours = _statements(source), _statements(_source(wanted))
    call = CHECK_CALL.match(_source(wanted))
    own_call = CHECK_CALL.match(said) if call and "\n" not in said else None
    return bool(said) and (said == ours or (own_call is not None and call is not None and own_call[1] == call[1]))


# A cell is compared with each of the course's: what has to be known of its text is found once.


@lru_cache(MOST_CELLS)
def _statements(source: str) -> str:
    """The lines without space around them, and without those that say nothing to Python."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


@lru_cache(MOST_CELLS)
def _defined_names(source: str) -> frozenset[str]:
    """The classes and functions that a cell defines."""
    return frozenset(re.findall(r"^(?:async[ \t]+)?(?:class|def)[ \t]+(\w+)", source, re.MULTILINE))


@lru_cache(MOST_CELLS)
def _bound_names(source: str) -> frozenset[str]:
    """The names to which a cell gives a value: it defines, assigns or imports them."""
    assigned = re.findall(r"^(\w+)[ \t]*(?::[^=\n]*)?=(?!=)", source, re.MULTILINE)
    in_lines = re.sub(r"\([^()]*\)", lambda brackets: brackets[0].replace("\n", " "), source)  # from a import (\n…\n)
    imports = re.findall(r"^(?:from[ \t]+\S+[ \t]+)?import\b([^\n]*)", in_lines, re.MULTILINE)
    return _defined_names(source).union(assigned, *(re.findall(r"\w+", names) for names in imports))


@lru_cache(MOST_CELLS)
def _trained(source: str) -> frozenset[str]:
    """The exercises for which a cell trains or draws something."""
    return frozenset(name.split(".")[0] for what in (TRAINED, DRAWN) for name in what.findall(source))


def _defined(wanted: dict) -> str | None:
    """The name that a solution cell of the course defines."""
    definition = None if _locked(wanted) else re.search(r"^(?:class|def) (\w+)", _source(wanted), re.MULTILINE)
    return definition[1] if definition else None


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _grade_id(cell: dict) -> str | None:
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def _exercise(cell: dict) -> str:
    return cell["metadata"].get("deepul", {}).get("exercise", "")


def _trains(cell: dict, exercise: str) -> bool:
    """Whether a cell trains something of this exercise."""
    return cell["cell_type"] == "code" and exercise in _trained(cell["source"])


def checked(cell: dict) -> str | None:
    """The exercise that a grade cell checks; None for every other cell. The course's text, never the student's."""
    call = CHECK_CALL.search(cell["source"]) if is_grade(cell) else None
    return call[1] if call else None


def is_answer(cell: dict) -> bool:
    """Whether a cell of the course's is the answer to a written question: text that people grade."""
    about = cell["metadata"].get("nbgrader", {})
    return cell["cell_type"] == "markdown" and bool(about.get("grade") and about.get("solution"))


def is_grade(cell: dict) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get("grade")) and cell["cell_type"] == "code"
