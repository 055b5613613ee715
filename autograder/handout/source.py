"""The source notebook of an assignment: is it in order, before anything is made of it?

The one mistake that must never happen is a solution in a handout, by a mistyped marker for example. So what looks like
a marker and is none is named; and what comes out in the end is compared with the source, line by line.
"""

import ast
import difflib
import re
from collections.abc import Iterator
from itertools import pairwise

from autograder import notebooks
from autograder.assignments import Assignment, Question
from autograder.notebooks import Cell

HEADING = re.compile(r"^## Exercise (\S+) · (.+)$", re.MULTILINE)
# A figure in the prose, as the source has it and as the handout does.
FIGURE = re.compile(r'(?:!\[[^\]]*\]\(|<img src=")figures/([\w.-]+\.png)')
QUESTION = re.compile(r"^### Question (\S+)$", re.MULTILINE)
RUBRIC = re.compile(r"^\*\*Rubric", re.MULTILINE)
MARKER = re.compile(r"^[ ]*### (BEGIN|END) SOLUTION$")
COMMENT = re.compile(r"(#+)\s*([^#]*)$")
ALIKE = 0.75  # how much of a marker a short comment must have, or one of its words of "solution", to be mistyped
SHORT = 30  # characters
# A short comment alone on its line with one of these words may be a marker in other words.
MARKS = {"begin", "beginning", "begins", "start", "starts", "end", "ends", "stop", "stops"}
MARKS |= {"answer", "answers", "sol", "soln", "solved"}
REGION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
GIVEN = "  # given"  # ends a line behind a solution that students are given, though they reach it only with that
STUB = re.compile(r"^\s*raise NotImplementedError\(.*\)$")
NOT_IMPLEMENTED = re.compile(r'raise NotImplementedError\("Exercise \S+ is not implemented yet: ([\w.]+)"\)')


def problems(assignment: Assignment, cells: list[Cell]) -> list[str]:
    """What is not in order in these cells of its source: a sentence each."""
    return [
        *(list(_markers(cells)) or _misplaced(cells, _given_before(assignment))),
        *_not_python(cells),
        *_headings(assignment, cells),
        *_checks(assignment, cells),
        *_questions(assignment, cells),
        *_figures(cells),
    ]


def titles(text: str) -> Iterator[str]:
    """What stands on the line that begins a cell is its title, which no notebook shows: a sentence each."""
    import jupytext

    for number, cell in enumerate(jupytext.reads(text, fmt="py:percent").cells):
        if title := cell.metadata.get("title"):
            yield (
                f"Cell {number}: “{title[:60]}” stands on its line “# %%”, where nobody sees it: a line of its own, "
                "below, is text of the cell."
            )


def _not_python(cells: list[Cell]) -> Iterator[str]:
    """Code that Python cannot read; what begins with % or ! is for Jupyter."""
    for number, cell in enumerate(cells):
        if cell.kind != "code" or cell.source.lstrip().startswith("%%"):
            continue
        try:
            _parsed(cell.source)
        except SyntaxError as error:
            line = (cell.source.splitlines()[(error.lineno or 1) - 1 :] or [""])[0].strip()
            yield f"{_where(number, cell)}: Python cannot read line {error.lineno}, {line[:60]!r}: {error.msg}."


def _parsed(source: str) -> ast.Module:
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))


def _misplaced(cells: list[Cell], given: set[str]) -> Iterator[str]:
    """Markers on a wrong line: nothing between them, half a statement, or code behind a stub, which nothing reaches.

    given: what students have there already.
    """
    for number, cell in enumerate(cells):
        if cell.kind != "code" or any(_not_python([cell])):
            continue
        where, lines = _where(number, cell), cell.source.splitlines()
        for solution in REGION.finditer(cell.source):
            if all(line.lstrip()[:1] in ("", "#") for line in solution[2].splitlines()):
                yield f"{where}: there is no code between its ### BEGIN SOLUTION and ### END SOLUTION."
        try:
            behind = _behind_stubs(_parsed(REGION.sub(_stub, cell.source)))
        except SyntaxError as error:
            yield f"{where}: a marker divides a statement; line {error.lineno} would be no Python without the solution."
            continue
        for line in behind:
            if not (lines[line - 1].endswith(GIVEN) or lines[line - 1].strip() in given):
                yield (
                    f"{where}: {lines[line - 1].strip()!r} stands behind a solution and would be given to students. "
                    "### END SOLUTION belongs below it; if it is to be given, end the line in two blanks and # given."
                )


def _stub(solution: re.Match) -> str:
    """What stands in the place of a solution, with as many lines."""
    return f"{solution[1]}raise NotImplementedError" + "\n" * solution[0].count("\n")


def _given_before(assignment: Assignment) -> set[str]:
    """The lines behind stubs in the handout that there is."""
    handout = assignment.handout / f"{assignment}.ipynb"
    cells = notebooks.read(handout) if handout.exists() else []
    with_stubs = [c.source for c in cells if NOT_IMPLEMENTED.search(c.source) and not any(_not_python([c]))]
    return {s.splitlines()[line - 1].strip() for s in with_stubs for line in _behind_stubs(_parsed(s))}


def _is_stub(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Raise) and ast.unparse(statement).startswith("raise NotImplementedError")


def _behind_stubs(tree: ast.Module) -> Iterator[int]:
    """The lines of the statements that follow a stub in its own block."""
    for node in ast.walk(tree):
        for _, block in ast.iter_fields(node):
            statements = block if isinstance(block, list) else []
            for one, following in pairwise(statements):
                if _is_stub(one):
                    yield following.lineno


def _markers(cells: list[Cell]) -> Iterator[str]:
    for number, cell in enumerate(cells):
        where, begun = _where(number, cell), False
        for line in cell.source.splitlines():
            marker = MARKER.match(line)
            if not marker:
                if _is_near_marker(line, cell.kind):
                    yield (
                        f"{where}: {line.strip()!r} looks like a marker and is none; a marker is ### BEGIN SOLUTION "
                        "or ### END SOLUTION, letter by letter."
                    )
                continue
            if begun == (marker[1] == "BEGIN"):
                what = "stands inside of a solution." if begun else "ends what never began."
                yield f"{where}: {line.strip()} {what}"
            begun = marker[1] == "BEGIN"
        if begun:
            yield f"{where}: a solution begins and never ends: ### END SOLUTION is missing."
        if notebooks.CHECK_CALL.search(cell.source) and "SOLUTION" in cell.source:
            yield f"{where}: the cell with check(…) must hold no solution."


def _is_near_marker(line: str, kind: str) -> bool:
    """Whether a line that is no marker was to be one: a comment of code, a heading or a short line of text."""
    if kind == "code":
        comment = COMMENT.search(line)
        return comment is not None and _is_mistyped(comment[1], comment[2], line.lstrip().startswith("#"))
    words = _words(line)
    if len(words) >= SHORT:
        return False
    heading = line.lstrip().startswith("#") and any(_are_alike(w, "solution") for w in words.split())
    return heading or _are_alike(words, "begin solution", "end solution")


def _is_mistyped(hashes: str, comment: str, alone: bool) -> bool:
    """Three hashes begin nothing but a marker, and no short comment of the course's speaks of a solution.

    alone: whether nothing stands before it on its line; then it does not say begin, end or answer either.
    """
    words = _words(comment)
    if len(hashes) == 3 or len(words) >= SHORT:
        return len(hashes) == 3
    if alone and MARKS & set(words.split()):
        return True
    return _are_alike(words, "begin solution", "end solution") or any(_are_alike(w, "solution") for w in words.split())


def _words(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower()


def _are_alike(words: str, *others: str) -> bool:
    return any(difflib.SequenceMatcher(None, words, other).ratio() > ALIKE for other in others)


def _headings(assignment: Assignment, cells: list[Cell]) -> Iterator[str]:
    known = {e.number: e for e in assignment.exercises}
    headings = [h for c in cells if c.kind == "markdown" for h in HEADING.findall(c.source)]
    for number, title in headings:
        if number not in known or known[number].title != title:
            listed = "”, “".join(f"## Exercise {e.number} · {e.title}" for e in known.values())
            yield f"The heading “## Exercise {number} · {title}” is not in its assignment.toml, which has “{listed}”."
    for number in known.keys() - {number for number, _ in headings}:
        yield f"The heading “## Exercise {number} · {known[number].title}” is missing."


def _checks(assignment: Assignment, cells: list[Cell]) -> Iterator[str]:
    seen, solved, here = set(), set(), None
    by_number = {e.number: e for e in assignment.exercises}
    for number, cell in enumerate(cells):
        heading = HEADING.search(cell.source) if cell.kind == "markdown" else None
        here = by_number.get(heading[1], here) if heading else here
        if cell.kind != "code":
            continue
        name = notebooks.CHECK_CALL.search(cell.source)
        if name or "### BEGIN SOLUTION" in cell.source:
            if here is None or (name and name[1] != here.name):
                yield f"{_where(number, cell)} stands under the heading of {here or 'no exercise'}."
            elif name:
                seen.add(here)
            else:
                solved.add(here)
        if "### BEGIN SOLUTION" in cell.source and not all(_stand_in_functions(cell.source)):
            yield (
                f"{_where(number, cell)}: a solution in it stands in no function, and would leave a cell that stops; "
                "what it defines needs a line def …: outside of the markers."
            )
    for exercise in assignment.exercises:
        if exercise not in seen:
            yield f'{exercise} has no cell check("{exercise.name}").'
        if exercise not in solved:
            yield f"{exercise} has no solution: nothing stands between ### BEGIN SOLUTION and ### END SOLUTION."


def _stand_in_functions(source: str) -> Iterator[bool]:
    """Of each solution in a cell, whether it is what a function does, and leaves one that can be called."""
    around: dict[int, str] = {}  # indentation: what begins there, "class" or "def"
    for line in source.splitlines():
        indent = len(line) - len(line.lstrip())
        if begun := re.match(r"\s*(?:async )?(class|def) \w+", line):
            around = {i: kind for i, kind in around.items() if i < indent} | {indent: begun[1]}
        elif line.lstrip() == "### BEGIN SOLUTION":
            outer = [i for i in around if i < indent]
            yield bool(outer) and around[max(outer)] == "def"


def is_answer(cell: Cell) -> bool:
    """Whether a cell of the source holds the model answer to a written question."""
    return cell.kind == "markdown" and any(map(MARKER.match, cell.source.splitlines()))


def answer(cell: Cell) -> tuple[str, str]:
    """(the model answer, its rubric) of such a cell."""
    text = "\n".join(line for line in cell.source.splitlines() if not MARKER.match(line)).strip()
    rubric = RUBRIC.search(text)
    place = rubric.start() if rubric else len(text)
    return text[:place].strip(), text[place:].strip()


def questions(assignment: Assignment, cells: list[Cell]) -> dict[int, Question]:
    """The question that each answer cell belongs to, by the place of the cell: by exercise, in their order."""
    by_number, here = {}, None
    left: dict[str, list[Question]] = {e.number: list(e.questions) for e in assignment.exercises}
    for number, cell in enumerate(cells):
        heading = HEADING.search(cell.source) if cell.kind == "markdown" else None
        here = heading[1] if heading else here
        if is_answer(cell) and left.get(here or ""):
            by_number[number] = left[here or ""].pop(0)
    return by_number


def _questions(assignment: Assignment, cells: list[Cell]) -> Iterator[str]:
    """Each written question has its heading, and behind it a cell with nothing but a model answer and its rubric."""
    belongs = questions(assignment, cells)
    for number, cell in enumerate(cells):
        if not is_answer(cell):
            continue
        where = _where(number, cell)
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if not (MARKER.match(lines[0]) and MARKER.match(lines[-1])) or len(lines) < 3:
            yield f"{where}: the cell of an answer begins with ### BEGIN SOLUTION and ends with ### END SOLUTION."
        elif not all(answer(cell)):
            yield f"{where}: there is no model answer, or no rubric: a paragraph that begins with **Rubric."
        if number not in belongs:
            yield f"{where} answers a question more than its exercise has by written = […] in assignment.toml."
            continue
        asked = QUESTION.findall(cells[number - 1].source) if cells[number - 1].kind == "markdown" else []
        if asked != [belongs[number].number]:
            wanted = f"### Question {belongs[number].number}"
            yield f"{where}: the cell before it must hold the heading {wanted}, and no other question's."
    for question in assignment.questions:
        if question not in belongs.values():
            yield f"{question} of assignment.toml has no cell with a model answer under the heading of its exercise."
    headings = [n for c in cells if c.kind == "markdown" for n in QUESTION.findall(c.source)]
    for name in sorted(set(headings) - {q.number for q in assignment.questions}):
        yield f"The heading ### Question {name} belongs to no question of assignment.toml (written = […])."


def _figures(cells: list[Cell]) -> Iterator[str]:
    """A figure that the prose shows is what the nearest code cell before it ends in."""
    for number, cell in enumerate(cells):
        for name in FIGURE.findall(cell.source) if cell.kind == "markdown" else ():
            if all(c.kind != "code" for c in cells[:number]):
                yield f"The figure {name} stands before all code, and no cell makes it."


def _where(number: int, cell: Cell) -> str:
    first = next(iter(cell.source.strip().splitlines()), "")
    return f"Cell {number} ({first[:60]!r})"


def leaks(source: list[Cell], handout: list[Cell], added: str = "") -> list[str]:
    """Lines of a handout that are in no part of the source that is given to students. added: code that a release adds.

    Made from a source in order there is none: what the code of a handout has, stands outside of the solutions, or is a
    stub; and its text has no line of a model answer.
    """
    given = {line.strip() for cell in source for line in _outside(cell)}
    given |= {line.strip() for line in added.splitlines()}
    answers = {line.strip() for cell in source if is_answer(cell) for line in cell.source.splitlines()} - given
    return [
        line.strip()
        for cell in handout
        for line in cell.source.splitlines()
        if "SOLUTION" in line or (_is_new(line, given) if cell.kind == "code" else line.strip() in answers)
    ]


def _is_new(line: str, given: set[str]) -> bool:
    return line.strip() not in given and not STUB.match(line)


def _outside(cell: Cell) -> Iterator[str]:
    inside = False
    for line in cell.source.splitlines():
        marker = MARKER.match(line)
        inside = marker[1] == "BEGIN" if marker else inside
        if not (inside or marker):
            yield line


def stubs(handout: list[Cell]) -> set[str]:
    """What a handout asks for: names such as "MADE.sample"."""
    return {name for cell in handout if cell.kind == "code" for name in NOT_IMPLEMENTED.findall(cell.source)}


def to_write(cells: list[Cell]) -> set[str]:
    """What the handout of a source in order will ask for: names such as "MADE.sample"."""
    found = set()

    def visit(node: ast.AST, owners: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            if _is_stub(child):
                found.add(".".join(name for name in owners if name != "__init__"))
            visit(child, (*owners, child.name) if isinstance(child, ast.ClassDef | ast.FunctionDef) else owners)

    for cell in cells:
        if cell.kind == "code" and REGION.search(cell.source):
            visit(_parsed(REGION.sub(_stub, cell.source)), ())
    return found


def beside_stubs(handout: list[Cell]) -> Iterator[tuple[str, str]]:
    """(what a handout asks for, a line of code that stands in the same function already), line by line."""
    for cell in handout:
        if cell.kind != "code" or not NOT_IMPLEMENTED.search(cell.source):
            continue
        lines = cell.source.splitlines()
        for function in (n for n in ast.walk(_parsed(cell.source)) if isinstance(n, ast.FunctionDef)):
            asked = [n for k in function.body for n in NOT_IMPLEMENTED.findall("\n".join(_lines_of(k, lines)))]
            for statement in function.body[ast.get_docstring(function) is not None :] if asked else ():
                for line in map(str.strip, _lines_of(statement, lines)):
                    if line and not line.startswith("#") and not STUB.match(line):
                        yield asked[0], line


def _lines_of(statement: ast.stmt, lines: list[str]) -> list[str]:
    return lines[statement.lineno - 1 : statement.end_lineno]
