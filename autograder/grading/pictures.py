"""Which cells of a notebook do nothing but show something, and what the student handed in of what they show.

A picture decides no grade, and drawing them takes as long as all else. So a cell whose only purpose is one is not run,
unless it is asked for, and the reader sees the student's own outputs, cleaned and called theirs. So is a cell that the
course wrote and that only prints; what students print themselves is run. Nothing is run here: what a cell would do is
read from its syntax, and wherever that leaves a doubt the cell is run.
"""

import ast
import re
import symtable
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache

from autograder import assignments
from autograder.grading import outputs
from autograder.sources import closure

LABEL = "The student's own output, as it was handed in: pictures are not drawn again for a grade."
NOTHING = "Not run for a grade: this cell only shows something, and was handed in without its output."
NOT_DRAWN = "[a figure, which is not drawn for a grade]"  # what deepul_utils.plots gives in its place
MOST_READ = 400_000  # characters of all cells: ten times those of the solutions; with more, every cell is run
MOST_SHOWN = 24 * 2**20  # characters of all outputs that are kept of those handed in
MOST_PRINTED = 20_000  # characters of a text among them

PLOTS = re.compile(r"\bplots\b")
SHOWS = re.compile(r"\b(plots|print)\b")
CHECKS = assignments.ROOT / "autograder"
NAME = re.compile(r"[^\W\d]\w*")
STRING = re.compile(r"""(?<=["'])[^\W\d]\w*(?=["'])""")  # of nothing but a name
MAGIC = re.compile(r"^[ \t]*[%!?].*$", re.MULTILINE)  # IPython's own lines, which are no Python
# What trains, keeps, or reaches beyond the notebook: functions, and methods of anything. A cell that comes to one of
# these is run.
TRAINS = {
    "trained",
    "drawn",
    "fit",
    "play",
    ".trained",
    ".drawn",
    ".fit",
    ".play",
    ".backward",
    ".step",
    ".zero_grad",
    ".load_state_dict",
}
SEEDS = {"seed_everything", ".manual_seed"}
REBINDS = {"setattr", "delattr", "__import__", "import_module", "global"}
REACHES_OUT = {"check", "open", "input", ".save", ".savefig", ".write", ".system", ".Popen"}
ACTS = TRAINS | SEEDS | REBINDS | REACHES_OUT
# Methods that change the object they are called on, which may be one of another cell.
CHANGES_LIST = {"append", "extend", "insert", "pop", "popleft", "remove", "clear", "sort", "reverse"}
CHANGES_DICT_OR_SET = {"update", "setdefault", "popitem", "add", "discard"}
CHANGES_MODULE = {"train", "register_buffer", "register_parameter", "register_module", "add_module"}
CHANGES = CHANGES_LIST | CHANGES_DICT_OR_SET | CHANGES_MODULE | {"send", "close"}
# With one of these, a notebook may use names that its syntax does not show: every cell is run.
HIDDEN = {"exec", "eval", "globals", "locals", "vars", "get_ipython", "__main__"}
LIBRARIES = {"np", "torch", "F"}  # whose functions of these names make something new
COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")
NO_GRAD = ("torch.no_grad()", "torch.inference_mode()")


@dataclass
class _Cell:
    """What a cell's syntax says. tree: None where IPython has to read it, or nobody can.

    needs: names that it takes from others. binds: names that it gives. replaces_plots: `plots` is the student's own.
    """

    tree: ast.Module | None = None
    needs: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    replaces_plots: bool = False


def only_pictures(sources: list[str], assignment: str, run: Collection[int] = ()) -> set[int]:
    """Which of these cells, all code cells of a notebook in their order, need not be run to grade it.

    Their statements are calls of the kit's plots (of the course's own cells: or prints), and values for them under
    names that no cell that runs, and no check of the assignment, asks for. run: those that are run whatever they hold.
    """
    if sum(map(len, sources)) > MOST_READ:
        return set()
    cells = [_read(source) for source in sources]
    if any(cell.needs & HIDDEN or cell.replaces_plots for cell in cells):
        return set()
    functions = _functions(cells)
    chosen = set()
    for k, (source, cell) in enumerate(zip(sources, cells, strict=True)):
        of_course = _is_courses(source, assignment)
        shows = PLOTS.search(source) or (of_course and SHOWS.search(source))
        if shows and k not in run and _only_shows(cell, functions, of_course) and not cell.binds & _graded(assignment):
            chosen.add(k)
    while True:  # what a cell that runs takes from one of these makes that one run, too
        needed = {name for k, cell in enumerate(cells) if k not in chosen for name in cell.needs}
        run = {k for k in chosen if cells[k].binds & needed}
        if not run:
            return chosen
        chosen -= run


def handed_in(cells: list[dict], raw: list) -> dict[int, list[dict]]:
    """{id() of a cell that shows: the text and pictures that it was handed in with, cleaned}; bounded in all.

    raw: for each cell whatever the student's notebook has under "outputs".
    """
    shown_by: dict[int, list[dict]] = {}
    room = MOST_SHOWN
    for cell, listed in zip(cells, raw, strict=True):
        if cell["cell_type"] != "code" or not isinstance(listed, list) or not SHOWS.search(cell["source"]):
            continue
        for output in listed:
            shown = _shown(output) if isinstance(output, dict) and room > 0 else None
            if shown and _size(shown) <= room:
                room -= _size(shown)
                shown_by.setdefault(id(cell), []).append(shown)
    return shown_by


def labelled(own: list[dict]) -> list[dict]:
    """Outputs as they were handed in, under a line that says whose they are."""
    return [{"output_type": "stream", "name": "stdout", "text": f"{LABEL if own else NOTHING}\n"}, *own]


def completed(ran: list[dict], own: list[dict]) -> list[dict]:
    """The outputs of a cell that was run, with the student's own pictures where it drew none."""
    drawn, own = [o for o in ran if not _is_not_drawn(o)], [o for o in own if _is_picture(o)]
    return drawn + labelled(own) if own and len(drawn) < len(ran) else ran


def _is_not_drawn(output: dict) -> bool:
    return output.get("data", {}).get("text/plain") == NOT_DRAWN


def _is_picture(output: dict) -> bool:
    return bool(output.get("data", {}).keys() & outputs.PICTURES.keys())


def _shown(output: dict) -> dict | None:
    """One output as it was handed in; None for what is not shown again: errors, and what nothing can be read of."""
    kind = output.get("output_type")
    if kind == "stream":
        text = output.get("text")
        text = "".join(text) if isinstance(text, list) and all(isinstance(t, str) for t in text) else text
        if isinstance(text, str):
            return {"output_type": "stream", "name": "stdout", "text": outputs.readable(text[:MOST_PRINTED])}
    elif kind in ("display_data", "execute_result") and isinstance(output.get("data"), dict):
        pictures = {k: v for k, v in output["data"].items() if k in outputs.PICTURES or k == "text/plain"}
        size = outputs.size(output.get("metadata"))
        return {"output_type": "display_data", "data": outputs.inert(pictures), "metadata": size} if pictures else None
    return None


def _size(output: dict) -> int:
    return len(output.get("text", "")) + sum(map(len, output.get("data", {}).values()))


@cache
def _graded(assignment: str) -> frozenset[str]:
    """The functions and classes of the assignment's own source that its checks may ask for by name."""
    tests = [e.test_file for e in assignments.Assignment(assignment).exercises]
    asking = {file for test in tests for file in closure(test) if file.is_relative_to(CHECKS)}
    strings = {word for file in asking for word in STRING.findall(file.read_text(encoding="utf-8"))}
    return frozenset(strings & set(re.findall(r"^(?:class|def) (\w+)", _written(assignment), re.MULTILINE)))


def _is_courses(source: str, assignment: str) -> bool:
    """Whether a cell stands in the assignment's own source, as it is: what it does and shows is known."""
    return f"\n# %%\n{source.strip()}\n\n" in _written(assignment)


@cache
def _written(assignment: str) -> str:
    return assignments.get(assignment).source.read_text(encoding="utf-8")


# ---- what the syntax says ------------------------------------------------------------------------------


def _read(source: str) -> _Cell:
    """A cell that is no Python may need every word in it."""
    code = MAGIC.sub("pass", source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape, say, is the student's
            tree, table = ast.parse(code), symtable.symtable(code, "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deep
        return _Cell(None, set(NAME.findall(source)))
    cell = _Cell(None if code != source else tree)
    for words in MAGIC.findall(source):
        cell.needs |= set(NAME.findall(words))
    cell.needs |= _of_scopes_within(table) | _taken(tree.body, set())
    bound = [s for s in table.get_symbols() if s.is_assigned()]
    cell.binds = {s.get_name() for s in bound}
    cell.replaces_plots = any(s.get_name() == "plots" and not s.is_imported() for s in bound)
    return cell


def _of_scopes_within(table: symtable.SymbolTable) -> set[str]:
    """Names of the notebook that functions and classes take, whenever they run."""
    names, scopes = set(), [(inner, inner.get_name() in COMPREHENSIONS) for inner in table.get_children()]
    while scopes:
        inner, at_once = scopes.pop()  # a comprehension of the cell itself is run with it
        names |= set() if at_once else {s.get_name() for s in inner.get_symbols() if s.is_global()}
        scopes += [(deeper, at_once and deeper.get_name() in COMPREHENSIONS) for deeper in inner.get_children()]
    return names


def _taken(body: list[ast.stmt], bound: set[str]) -> set[str]:
    """Names that statements take before they have given them a value themselves; `bound` grows by those they give."""
    taken: set[str] = set()
    for statement in body:
        match statement:
            case ast.With(items=items, body=inner):
                taken |= {n for item in items for n in _loaded(item)} - bound | _taken(inner, bound)
            case ast.For(target=target, iter=over, body=inner, orelse=after):
                # Perhaps it does not run once, so the names that it gives cannot be counted on.
                taken |= (_loaded(over) | _loaded(target)) - bound
                taken |= _taken(inner, bound | _names(target)) | _taken(after, set(bound))
            case _:
                taken |= _loaded(statement) - bound
        if isinstance(statement, ast.Assign):
            bound |= {name for target in statement.targets for name in _names(target)}
    return taken


def _names(target: ast.expr) -> set[str]:
    return {t.id for t in _targets(target) if isinstance(t, ast.Name)}


def _loaded(node: ast.AST) -> set[str]:
    """Names that a statement takes when it is run itself, without those that functions take when they are called."""
    loaded: set[str] = set()
    pending = [node]
    while pending:  # no recursion: a long sum is a deep tree
        node = pending.pop()
        match node:
            case ast.Name():
                loaded |= set() if isinstance(node.ctx, ast.Store) else {node.id}
            case ast.AugAssign(target=ast.Name(id=name)):
                loaded.add(name)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                loaded |= _of_comprehension(node)
        pending += _run_with(node)
    return loaded


def _run_with(node: ast.AST) -> Iterable[ast.AST]:
    """The parts of a node that are run when it is; a comprehension is looked at by itself."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*_defaults(node.args), *node.decorator_list]
        case ast.Lambda():
            return _defaults(node.args)
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *node.keywords]
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return ()
    return ast.iter_child_nodes(node)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    """What is computed when a function is defined."""
    return [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]


def _of_comprehension(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> set[str]:
    """What the first iterable takes comes from outside, and so do other names, but for those that it binds itself."""
    first = node.generators[0]
    own = {name for generator in node.generators for name in _names(generator.target)}
    within = [n for n in ast.iter_child_nodes(node) if n is not first]
    return _loaded(first.iter) | {n for part in (*within, first.target, *first.ifs) for n in _loaded(part)} - own


def _targets(target: ast.expr) -> list[ast.expr]:
    return [t for e in target.elts for t in _targets(e)] if isinstance(target, ast.Tuple | ast.List) else [target]


def _functions(cells: list[_Cell]) -> dict[str, set[str]]:
    """{name of a function, class or method of the notebook, or another name of one: what it mentions}."""
    mentions: dict[str, set[str]] = {}
    for cell in cells:
        for node in ast.walk(cell.tree) if cell.tree else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                mentions.setdefault(node.name, set()).update(_mentioned(node) - _own(node))
            elif isinstance(node, ast.ClassDef):  # its methods count when they are called; made, it calls this one
                mentions.setdefault(node.name, set()).update({".__init__"}, *map(_mentioned, node.bases))
            elif isinstance(node, ast.Import | ast.ImportFrom):  # one that is called otherwise here
                for alias in node.names:
                    if alias.asname and alias.asname != alias.name:
                        mentions.setdefault(alias.asname, set()).add(alias.name)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute | ast.Lambda):
                for name in (n for target in node.targets for n in _names(target)):
                    mentions.setdefault(name, set()).update(_mentioned(node.value))
    return mentions


def _mentioned(node: ast.AST) -> set[str]:
    """Names in a piece of code that may be called there or handed on to be called, methods as `.name`."""
    names = set()
    for n in ast.walk(node):
        if isinstance(n, ast.Name):
            names.add(n.id)
        elif isinstance(n, ast.Attribute):
            names.add(f".{n.attr}")
        elif isinstance(n, ast.Global | ast.Nonlocal):
            names.add("global")
    return names


def _own(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names of values that a function is given or gives to names of its own."""
    nodes = list(ast.walk(function))
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names | {n.arg for n in nodes if isinstance(n, ast.arg)}


def _comes_to(names: Collection[str], functions: dict[str, set[str]]) -> set[str]:
    """All names that the calls of these may come to."""
    reached, pending = set(), list(names)
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += functions.get(name.removeprefix("."), ())
    return reached


def _only_shows(cell: _Cell, functions: dict[str, set[str]], of_course: bool) -> bool:
    """Whether a cell's statements show something and change nothing that was there before."""
    if cell.tree is None or not all(_is_harmless(s, of_course, cell.binds) for s in cell.tree.body):
        return False
    nodes = list(ast.walk(cell.tree))
    if not any(_is_plot(n) or _is_print(n) for n in nodes) or any(_changes(n, cell.binds) for n in nodes):
        return False
    written = {".step"} if "step" in functions else set()  # of the notebook's own: it does what its body says
    harmless = SEEDS | ({"fit"} if _trains_its_own(nodes, cell.binds) else set()) if of_course else set()
    return not _comes_to(_mentioned(cell.tree), functions) & ACTS - written - harmless


def _trains_its_own(nodes: list[ast.AST], own: set[str]) -> bool:
    """Whether what a cell trains with `fit` are models that it makes, under names of its own."""
    calls = [n for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "fit"]
    return all(call.args and isinstance(call.args[0], ast.Name) and call.args[0].id in own for call in calls)


def _is_plot(statement: ast.AST) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "plots"


def _is_print(statement: ast.AST) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return True
    return False


def _is_seed(statement: ast.Expr) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="seed_everything"))):
            return True
    return False


def _is_harmless(statement: ast.stmt, of_course: bool, own: set[str]) -> bool:
    """Whether a statement shows something, or gives new values to names. of_course: the cell is the course's, which may
    also define functions and classes, choose, and fill what is its own. own: names that the cell binds."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
        case ast.Expr():
            return _is_plot(statement) or _is_print(statement) or (of_course and _is_seed(statement))
        case ast.Assign():
            filled = own if of_course else set()
            return all(_is_new(t, filled) for target in statement.targets for t in _targets(target))
        case ast.FunctionDef() | ast.ClassDef():
            return of_course
        case ast.If():
            return of_course and all(_is_harmless(s, True, own) for s in statement.body + statement.orelse)
        case ast.With():
            inner = all(_is_harmless(s, of_course, own) for s in statement.body)
            return inner and all(map(_is_no_grad, statement.items))
        case ast.For(orelse=[]):
            names = all(isinstance(n, ast.Name) for n in _targets(statement.target))
            return names and all(_is_harmless(s, of_course, own) for s in statement.body)
    return False


def _is_new(target: ast.expr, filled: set[str]) -> bool:
    """A name that is bound, or an entry of something under one of the names `filled`."""
    match target:
        case ast.Name():
            return True
        case ast.Subscript(value=ast.Name(id=name)):
            return name in filled
    return False


def _is_no_grad(item: ast.withitem) -> bool:
    return item.optional_vars is None and ast.unparse(item.context_expr) in NO_GRAD


def _changes(node: ast.AST, own: set[str]) -> bool:
    """Whether a piece of a cell changes an object that may be another's: by a method that does, or by a walrus."""
    if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
        return True
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    name, on = node.func.attr, node.func.value
    if not (name in CHANGES or (name.endswith("_") and not name.endswith("__"))):
        return False
    while isinstance(on, ast.Attribute | ast.Subscript):
        on = on.value
    if isinstance(on, ast.Name) and on.id in LIBRARIES and name in CHANGES:
        return False
    return not isinstance(on, ast.Call) and not (isinstance(on, ast.Name) and on.id in own)
