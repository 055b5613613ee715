"""A submission as it is graded: valid, bounded, with the course's own cells in their places.

Nothing is run here. Whatever was changed is said in words that student and TA both read.
"""

import copy
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import PurePosixPath

from autograder.course import CourseError
from autograder.grading import outputs, pictures
from autograder.grading.submissions import is_file_name, shown
from autograder.notebooks import CHECK_CALL, DRAWN, TRAINED

MOST_NOTEBOOK = 40 * 2**20  # bytes of a notebook, with the outputs that a student left in it
MOST_SOURCE = 2**18  # characters of one cell: thirty times the longest of the solutions
MOST_SOURCES = 2**21  # of all cells
MOST_CHANGES = 40  # said of one submission
MOST_CELLS = 2000
MOST_ACTIVE = 2**17  # characters of Markdown made HTML in one notebook: five times the text of an assignment
NOTEBOOK = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass
class Normalised:
    """notebook: nbformat 4 without outputs. files: what lies beside it. changes: what a reader should know.

    handed_in: {id of a cell that draws: what the student's own notebook showed there, cleaned}.
    """

    notebook: dict
    files: dict[str, bytes]
    changes: list[str] = field(default_factory=list)
    handed_in: dict[str, list[dict]] = field(default_factory=dict)


def normalise(files: dict[str, bytes], assignment: str, handout: dict, left_out: Iterable[str] = ()) -> Normalised:
    """The submission that will be graded. handout: the released notebook.

    Raises CourseError, in words for the TA, where there is no notebook to grade.
    """
    try:
        return _normalised(files, assignment, handout, [f"Left out {text}." for text in left_out])
    finally:
        for known in (_statements, _defined_names, _bound_names, _trained):
            known.cache_clear()  # what the next student wrote is something else


def _normalised(files: dict[str, bytes], assignment: str, handout: dict, changes: list[str]) -> Normalised:
    name, files = _notebook_of(files, assignment, changes)
    cells, shown_by = _cells(name, files.pop(name))
    handed_in = pictures.handed_in(cells, shown_by)
    files = _beside(files, PurePosixPath(name).parent, f"{assignment}.ipynb", changes)
    cells = _with_courses_cells(cells, handout["cells"], changes)
    _make_inert(cells, handout["cells"], changes)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:04d}"
    notebook = {"cells": cells, "metadata": copy.deepcopy(NOTEBOOK), "nbformat": 4, "nbformat_minor": 5}
    if len(changes) > MOST_CHANGES:
        changes[MOST_CHANGES:] = [f"… and {len(changes) - MOST_CHANGES:,} more of this kind."]
    return Normalised(notebook, files, changes, {c["id"]: handed_in[id(c)] for c in cells if id(c) in handed_in})


def _notebook_of(files: dict[str, bytes], assignment: str, changes: list[str]) -> tuple[str, dict[str, bytes]]:
    """The name of the notebook, wherever it lies and whatever it is called, and all files but other notebooks."""
    found = sorted(
        (n for n in files if n.lower().endswith(".ipynb") and not _is_hidden(n)), key=lambda n: (n.count("/"), n)
    )
    if not found:
        raise CourseError(f"there is no notebook in it (looked for {assignment}.ipynb).")
    named = [n for n in found if PurePosixPath(n).name == f"{assignment}.ipynb"]
    alike = [n for n in found if assignment in PurePosixPath(n).name.lower()]
    chosen = (named or alike or found)[0]
    if not named:
        changes.append(f"The notebook is called {shown(PurePosixPath(chosen).name)}; taken as {assignment}.ipynb.")
    others = [n for n in found if n != chosen]
    if others:
        listed = ", ".join(shown(n) for n in others)[:300]
        changes.append(f"There are {len(found)} notebooks; graded was {shown(chosen)}, left out: {listed}.")
    return chosen, {n: c for n, c in files.items() if n not in others}


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
    made = _made(cell["cell_type"], source.encode("utf-8", "replace").decode(), {"was": grade_id})
    return made | (
        {"attachments": outputs.attached(cell.get("attachments"))} if made["cell_type"] == "markdown" else {}
    )


def _make_inert(cells: list[dict], course: list[dict], changes: list[str]) -> None:
    """Text of the student's own that others will read does nothing in their browsers; the course's stays as it is."""
    ours, made, as_written = {_source(c) for c in course}, 0, 0
    for cell in cells:
        source, pictures = cell["source"], cell.pop("attachments", {})
        if cell["cell_type"] == "code" or source in ours:
            continue
        if cell["cell_type"] == "raw":
            cell["source"] = outputs.raw(source)
            continue
        made += outputs.length(source) if outputs.may_be_active(source) else 0
        if made > MOST_ACTIVE:
            cell["source"], as_written = outputs.as_written(source), as_written + 1
        else:
            cell["source"] = outputs.markdown(source, pictures)
    if as_written:
        changes.append(
            f"{as_written} of the text cells are shown as they were written: what is more than plain text has over "
            f"{MOST_ACTIVE:,} characters in this notebook."
        )


def _made(kind: str, source: str, metadata: dict) -> dict:
    cell = {"cell_type": kind, "metadata": metadata, "source": source}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def _beside(files: dict[str, bytes], folder: PurePosixPath, notebook: str, changes: list[str]) -> dict[str, bytes]:
    """What lies beside the notebook and may be seen by it."""
    kept: dict[str, bytes] = {}
    outside = []
    for name, content in files.items():
        path = PurePosixPath(name)
        if _is_hidden(name):
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
    return kept


def _shadows(name: str) -> str | None:
    """The installed module that a file would hide."""
    parts = PurePosixPath(name).parts
    if not re.search(r"\.(py|pyc|pyd|so|pth)$", name):
        return None
    top = parts[0].split(".")[0]
    return top if top in _installed() else None


@cache
def _installed() -> frozenset[str]:
    ours = {"deepul_utils", "autograder", "sitecustomize", "usercustomize"}
    return frozenset(ours | sys.stdlib_module_names | set(importlib.metadata.packages_distributions()))


def _with_courses_cells(cells: list[dict], course: list[dict], changes: list[str]) -> list[dict]:
    """The student's cells in the student's order, with the cells that nbgrader keeps account of as the course has them.

    A cell is recognised by its id in nbgrader's metadata, or else by what it holds, because other editors drop
    the metadata.
    """
    wanted = {name: c for c in course if (name := _grade_id(c))}
    mine: dict[str, dict] = {}
    kept = []
    for cell in cells:
        name = cell["metadata"].pop("was")
        if not isinstance(name, str) or name not in wanted:
            kept.append(cell)
            continue
        if name not in mine:
            mine[name] = cell
            kept.append(cell)
        elif _locked(wanted[name]):
            changes.append(f"The cell {name} occurs more than once: the first one counts, the copy was left out.")
        else:
            changes.append(f"The cell {name} occurs more than once: each copy was run, as in your notebook.")
            kept.append(cell)
    for name in wanted:
        if name not in mine and (found := _recognised(wanted[name], kept, mine)):
            mine[name] = found
    _put_back(kept, course, mine, changes)
    for name, cell in mine.items():
        _restore(cell, wanted[name], name, changes)
    _checks_after_solutions(kept, course, mine, changes)
    return kept


def _locked(cell: dict) -> bool:
    """nbgrader's own rule: a cell that is solution and grade is an answer that a TA reads, and stays as written."""
    about = cell["metadata"]["nbgrader"]
    return not about.get("solution") and bool(about.get("grade") or about.get("locked"))


def _recognised(wanted: dict, cells: list[dict], mine: dict[str, dict]) -> dict | None:
    """A cell that lost its metadata: a solution by the name that it defines, all else by its text."""
    taken = [id(c) for c in mine.values()]
    for cell in cells:
        if cell["cell_type"] == wanted["cell_type"] and id(cell) not in taken and _alike(cell["source"], wanted):
            return cell
    return None


def _alike(source: str, wanted: dict) -> bool:
    name = _defined(wanted)
    if name:
        return name in _defined_names(source)
    # A cell that does more than the course's own is the student's: its text must not be replaced.
    said, ours = _statements(source), _statements(_source(wanted))
    call = CHECK_CALL.match(_source(wanted))
    found = CHECK_CALL.match(said) if call and "\n" not in said else None
    return bool(said) and (said == ours or (found is not None and call is not None and found[1] == call[1]))


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
    in_lines = re.sub(r"\([^()]*\)", lambda found: found[0].replace("\n", " "), source)  # from a import (\n…\n)
    imports = re.findall(r"^(?:from[ \t]+\S+[ \t]+)?import\b([^\n]*)", in_lines, re.MULTILINE)
    return _defined_names(source).union(assigned, *(re.findall(r"\w+", names) for names in imports))


@lru_cache(MOST_CELLS)
def _trained(source: str) -> frozenset[str]:
    """The exercises for which a cell trains or draws something."""
    return frozenset(name.split(".")[0] for what in (TRAINED, DRAWN) for name in what.findall(source))


def _defined(wanted: dict) -> str | None:
    """The name that a solution cell of the course defines."""
    found = None if _locked(wanted) else re.search(r"^(?:class|def) (\w+)", _source(wanted), re.MULTILINE)
    return found[1] if found else None


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _put_back(cells: list[dict], course: list[dict], mine: dict[str, dict], changes: list[str]) -> None:
    """Deleted cells, in the place that they have in the handout."""
    before = -1  # the place of the cell that comes before in the handout
    for original in course:
        name = _grade_id(original)
        if name is None:
            continue
        if name not in mine:
            source, said = _source(original), "as it was handed out"
            defined = _defined(original)
            if defined and any(c["cell_type"] == "code" and defined in _bound_names(c["source"]) for c in cells):
                source, said = "", f"empty, because another cell makes {defined}"
            mine[name] = _made(original["cell_type"], source, {})
            cells.insert(_place(cells, course, name, mine, before), mine[name])
            changes.append(f"The cell {name} was missing and was put back {said}.")
        before = _index(cells, mine[name])


def _place(cells: list[dict], course: list[dict], name: str, mine: dict[str, dict], after: int) -> int:
    """Where a cell belongs: before the first cell that follows it in the handout and still stands behind `after`.

    So a check comes behind the training that it grades, also where the student's text between is another.
    """
    here = next(i for i, c in enumerate(course) if _grade_id(c) == name)
    texts: dict[str | None, int] = {}
    for i, cell in enumerate(cells):
        if i > after:
            texts.setdefault(cell["source"].strip(), i)
    for following in course[here + 1 :]:
        own = mine.get(_grade_id(following) or "")
        place = _index(cells, own) if own else texts.get(_source(following).strip() or None, -1)
        if place > after:
            return place
    return len(cells)


def _index(cells: list[dict], cell: dict) -> int:
    """Where this very cell stands; others may be equal to it."""
    return next(i for i, c in enumerate(cells) if c is cell)


def _grade_id(cell: dict) -> str | None:
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def _restore(cell: dict, original: dict, name: str, changes: list[str]) -> None:
    """The course's metadata for every such cell; its kind and text too where students should change nothing."""
    if cell["cell_type"] != original["cell_type"]:
        changes.append(f"The cell {name} was a {cell['cell_type']} cell; made a {original['cell_type']} cell again.")
    source = cell["source"]
    if _locked(original):
        if source.strip() != _source(original).strip():
            changes.append(f"The text of the cell {name} was changed, and was put back as it was handed out.")
        source = _source(original)
    restored = _made(original["cell_type"], source, copy.deepcopy(original["metadata"]))
    cell.clear()
    cell.update(restored)


def _checks_after_solutions(cells: list[dict], course: list[dict], mine: dict[str, dict], changes: list[str]) -> None:
    """A check that was moved before the cells that it checks goes back to its place behind them."""
    for name, check in mine.items():
        exercise = _exercise(check)
        if not _is_grade(check) or not exercise:
            continue
        here = next(i for i, c in enumerate(course) if _grade_id(c) == name)
        extras = {_source(c).strip() for c in course[here + 1 :]}  # the handout itself has them behind the check
        checked = [
            c
            for c in cells
            if not _is_grade(c)
            and (_exercise(c) == exercise or _trains(c, exercise))
            and (_grade_id(c) or c["source"].strip() not in extras)
        ]
        last = max((_index(cells, c) for c in checked), default=-1)
        if _index(cells, check) < last:
            del cells[_index(cells, check)]
            cells.insert(_place(cells, course, name, mine, last - 1), check)
            changes.append(f"The cell {name} stood before what it checks, and was moved behind it.")


def _exercise(cell: dict) -> str:
    return cell["metadata"].get("deepul", {}).get("exercise", "")


def _is_grade(cell: dict) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get("grade"))


def _trains(cell: dict, exercise: str) -> bool:
    """Whether a cell trains something of this exercise."""
    return cell["cell_type"] == "code" and exercise in _trained(cell["source"])


def checked(cell: dict) -> str | None:
    """The exercise that a grade cell checks; None for every other cell. The course's text, never the student's."""
    found = CHECK_CALL.search(cell["source"]) if is_grade(cell) else None
    return found[1] if found else None


def is_grade(cell: dict) -> bool:
    return bool(cell["metadata"].get("nbgrader", {}).get("grade")) and cell["cell_type"] == "code"
