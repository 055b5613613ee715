"""Which version of a student's code made something: a digest of every function and method that had a part in it.

Weights and samples carry these digests. A digest compares what matters: comments, blank lines, docstrings, annotations
and printing do not count. Where there is no source (code typed at a bare prompt), there is no digest, and nothing is
ever said.
"""

import ast
import contextlib
import functools
import hashlib
import inspect
import linecache
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

from torch import nn

KIT = Path(__file__).resolve().parent.parent
NOT_THE_STUDENTS = (str(KIT / "autograder"), str(KIT / "deepul_utils"), sysconfig.get_path("stdlib"), "<frozen ")
MOST_CALLS = 300_000  # after so many it is known what is called; a tenth of a second
IGNORED = ("ctx", "type_comment", "kind", "annotation", "returns", "type_params")
MEANS_NOTHING_TO_WEIGHTS = ("print", "display")

if TYPE_CHECKING:
    Definition = ast.FunctionDef | ast.Lambda | ast.ClassDef


class Watch:
    """Notes, while it is entered, which functions of the student's are called: `codes`, {code: its globals}.

    receivers: {code: the name of its first argument}, where that is a model. Where somebody else profiles the
    program already, it notes nothing.
    """

    def __init__(self):
        self.codes: dict[CodeType, dict] = {}
        self.receivers: dict[CodeType, str] = {}
        self._left = MOST_CALLS

    def __enter__(self) -> "Watch":
        if sys.getprofile() is None:
            sys.setprofile(self._event)
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing more is noted: what is called later was called before."""
        if sys.getprofile() == self._event:
            sys.setprofile(None)

    def _event(self, frame, event, argument) -> None:
        self._left -= 1
        if self._left <= 0:
            self.stop()
        code = frame.f_code
        if event == "call" and code not in self.codes and _is_students(code):
            self.codes[code] = frame.f_globals
            first = code.co_varnames[0] if code.co_argcount else ""
            if isinstance(frame.f_locals.get(first), nn.Module):
                self.receivers[code] = first


@contextlib.contextmanager
def unseen():
    """What is called in here is not noted by a Watch."""
    before = sys.getprofile()
    if isinstance(getattr(before, "__self__", None), Watch):
        sys.setprofile(None)
        try:
            yield
        finally:
            sys.setprofile(before)
    else:
        yield


def made(watch: Watch, model: nn.Module, function: Callable | None) -> dict[str, str]:
    """Code.made; {} where the student's code is so strange that it cannot be told: nothing is lost by it."""
    try:
        return Code(model, function).made(watch)
    except Exception:  # a fingerprint is no reason to lose a training
        return {}


def changed(
    before: dict[str, str], model: nn.Module, function: Callable | None, namespace: dict | None = None
) -> list[str]:
    """Code.changed; [] where it cannot be told."""
    try:
        return Code(model, function, namespace).changed(before) if before else []
    except Exception:  # nor to refuse weights
        return []


class Code:
    """The student's code as it is now: that of a model's classes, of a function, and of a notebook's names.

    namespace: where functions and constants are looked up, and classes, which may be newer there than the model's own.
    """

    def __init__(self, model: nn.Module, function: Callable | None = None, namespace: dict | None = None):
        self.function = _plain_function(function)
        own = [base for module in model.modules() for base in type(module).__mro__]
        self.classes = {cls.__name__: cls for cls in own if _a_method(cls)}
        self.namespace = (getattr(self.function, "__globals__", {}) if namespace is None else namespace) or {}

    def made(self, watch: Watch) -> dict[str, str]:
        """{unit: digest} of all that was called, and of how the model's classes are set up.

        A unit is a function, a method "MADE.logits", what stands in a class besides its methods "MADE", a number or
        string of the notebook that one of these uses, and "train_made(…)": with what a function was made.
        """
        names = {_unit(code) for code in watch.codes}
        names |= {unit for name in self.classes for unit in (name, f"{name}.__init__")}
        if self.function is not None:
            names |= {_unit(self.function.__code__), f"{_unit(self.function.__code__)}(…)"}
        for code, receiver in watch.receivers.items():
            names |= self._called_on(receiver, _definition(code))
        self._spread(names)
        setting_up = [vars(cls)["__init__"] for cls in self.classes.values() if _defines(cls, "__init__")]
        for code, where in [*watch.codes.items(), *((f.__code__, f.__globals__) for f in setting_up)]:
            names |= {n for n in _names(_definition(code)) if _is_constant(where.get(n))}
        return {name: digest for name in sorted(names) if (digest := self.digest(name))}

    def changed(self, before: dict[str, str]) -> list[str]:
        """The units that are others now; one whose source cannot be found is not among them."""
        now = {name: self.digest(name) for name in before}
        return [name for name, digest in now.items() if digest is not None and digest != before[name]]

    def digest(self, name: str) -> str | None:
        """The digest of a unit; "" where there is no such thing any more, None where its source is not known."""
        if name.endswith("(…)"):
            return _digest_of(_arguments(self.function)) if name == self._arguments_unit() else None
        owner, _, method = name.partition(".")
        cls = self._class(owner)
        if cls is not None:
            node = _class_definition(cls)
            if node is None:
                return None
            code = _method(node, method) if method else _without_methods(node)
            return _digest_of(code) if code is not None else ""
        value = self.namespace.get(name)
        if value is None and self.function is not None and name == _unit(self.function.__code__):
            return _digest_of(_top(self.function.__code__))
        if value is None:
            return "" if self.namespace else None
        if _is_constant(value):
            return _digest_of(repr(value))
        function = _plain_function(value)
        return _digest_of(_top(function.__code__)) if function is not None else None

    def _class(self, name: str) -> type | None:
        newest = self.namespace.get(name)
        return newest if isinstance(newest, type) and _a_method(newest) else self.classes.get(name)

    def _arguments_unit(self) -> str:
        return f"{_unit(self.function.__code__)}(…)" if self.function is not None else ""

    def _called_on(self, receiver: str, node: ast.AST | None) -> set[str]:
        """Methods of the model's classes that are called as receiver.method(…), also if not in the first steps."""
        called = {n.attr for n in _walk(node) if isinstance(n, ast.Attribute) and _is_name(n.value, receiver)}
        every = ((name, method) for name, cls in self.classes.items() for method in called if _defines(cls, method))
        return {f"{name}.{method}" for name, method in every}

    def _spread(self, names: set[str]) -> None:
        """And what these methods call on self, and so on."""
        todo = list(names)
        while todo:
            owner, _, method = todo.pop().partition(".")
            if owner in self.classes and method:
                node = _class_definition(self.classes[owner])
                new = self._called_on("self", _method(node, method) if node else None) - names
                names |= new
                todo += new


def listed(units: Iterable[str]) -> str:
    """Units in words: "MADE.logits, train_made"."""
    units = [unit.replace("<lambda>", "the lambda") for unit in units]
    return ", ".join(units[:5]) + (f" and {len(units) - 5} more" if len(units) > 5 else "")


# ---- from code to its source ---------------------------------------------------------------------------


def _is_students(code: CodeType) -> bool:
    name = code.co_filename
    return not name.startswith(NOT_THE_STUDENTS) and "site-packages" not in name and name != "<string>"


def _unit(code: CodeType) -> str:
    """The function at the top level of the notebook, or the method of such a class, that a piece of code stands in."""
    return code.co_qualname.partition(".<locals>")[0]


def _plain_function(function) -> FunctionType | None:
    """The student's function behind a bound method, a partial or a decorator's wrapper."""
    for _ in range(10):
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(function) and hasattr(function, "__wrapped__"):
            function = function.__wrapped__
    return function if inspect.isfunction(function) and _is_students(function.__code__) else None


def _a_method(cls: type) -> FunctionType | None:
    """Any method that the student wrote in this very class: it knows where the class stands."""
    if cls.__module__.partition(".")[0] in ("torch", "builtins"):  # most classes: they are many, with many methods
        return None
    functions = (getattr(v, "fget", None) or getattr(v, "__func__", None) or v for v in vars(cls).values())
    plain = (inspect.unwrap(f) for f in functions if inspect.isfunction(f))
    own = (f for f in plain if f.__qualname__.startswith(f"{cls.__qualname__}.") and _is_students(f.__code__))
    return next(own, None)


def _defines(cls: type, method: str) -> bool:
    return inspect.isfunction(vars(cls).get(method))


@functools.lru_cache(maxsize=256)
def _definitions_in(source: str) -> list["Definition"]:
    """Every def, lambda and class of a source, outer ones first; none where it cannot be read."""
    try:
        nodes = ast.walk(ast.parse(source))
    except (SyntaxError, ValueError):
        return []
    return [n for n in nodes if isinstance(n, ast.FunctionDef | ast.Lambda | ast.ClassDef)]


def _definitions(code: CodeType, name: str) -> list["Definition"]:
    """The definitions of that name within which a piece of code stands; outer ones first."""
    linecache.checkcache(code.co_filename)
    every = _definitions_in("".join(linecache.getlines(code.co_filename)))
    named = [node for node in every if getattr(node, "name", "<lambda>") == name]
    return [node for node in named if _first_line(node) <= code.co_firstlineno <= (node.end_lineno or 0)]


def _first_line(node: "Definition") -> int:
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])


def _definition(code: CodeType) -> "Definition | None":
    """The def or lambda of a piece of code. None where its source is not known, or two lambdas share the line."""
    definitions = [node for node in _definitions(code, code.co_name) if _first_line(node) == code.co_firstlineno]
    return definitions[0] if len(definitions) == 1 else None


def _top(code: CodeType) -> "Definition | None":
    """The definition of the unit that the code stands in."""
    if code.co_qualname == "<lambda>":
        return _definition(code)
    owner, _, method = _unit(code).partition(".")
    outermost = next(iter(_definitions(code, owner)), None)
    # What has a method is a class.
    return _method(outermost, method) if method and outermost is not None else outermost  # type: ignore[arg-type]


def _class_definition(cls: type) -> ast.ClassDef | None:
    definitions = _definitions(_a_method(cls).__code__, cls.__name__)  # type: ignore[union-attr]  # it has one
    return next((node for node in definitions if isinstance(node, ast.ClassDef)), None)


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((n for n in reversed(node.body) if isinstance(n, ast.FunctionDef) and n.name == name), None)


def _without_methods(node: ast.ClassDef) -> ast.ClassDef:
    body = [n for n in node.body if not isinstance(n, ast.FunctionDef)]
    return ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)


# ---- what matters of it --------------------------------------------------------------------------------


def _walk(node: ast.AST | None):
    """All below a node but what stands in functions within it."""
    for child in ast.iter_child_nodes(node) if node is not None else ():
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from _walk(child)


def _names(node: ast.AST | None) -> set[str]:
    """The names that a function reads and does not set itself."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)] if node is not None else []
    own = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
    own |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)} if node is not None else set()
    return {n.id for n in names} - own


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_constant(value) -> bool:
    if isinstance(value, tuple):  # no lists: losses are collected in such
        return len(value) <= 20 and all(_is_constant(v) for v in value)
    return type(value) in (int, float, str, bool) and len(repr(value)) < 200


def is_variable(unit: str, namespace: dict) -> bool:
    """Whether a unit is a number or string of the notebook, and not written as a constant, in capitals."""
    return not unit.isupper() and _is_constant(namespace.get(unit))


def _arguments(function: FunctionType | None) -> str | None:
    """With what a function was made by another: the numbers and strings that it has kept."""
    if function is None:
        return None
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    constant, kept = _names(_definition(function.__code__)), {}
    for name, cell in cells:
        with contextlib.suppress(ValueError):  # a variable that has no value yet
            if name in constant and _is_constant(cell.cell_contents):
                kept[name] = cell.cell_contents
    return repr(sorted(kept.items())) if kept else None


def _digest_of(what: ast.AST | str | None) -> str | None:
    if what is None:
        return None
    text = what if isinstance(what, str) else _canonical(what)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _canonical(node) -> str:
    """A piece of source without what means nothing: the same in every version of Python, unlike ast.dump."""
    if isinstance(node, list):
        return "[" + ",".join(_canonical(n) for n in node if not _is_idle(n)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in IGNORED)
    said = (f"{name}={_canonical(value)}" for name, value in fields if value is not None and value != [])
    return f"{type(node).__name__}({','.join(said)})"


def _is_idle(node) -> bool:
    """A docstring or another lone constant, `pass`, or printing."""
    if isinstance(node, ast.Pass):
        return True
    if not isinstance(node, ast.Expr):
        return False
    call = node.value
    if isinstance(call, ast.Call):
        return isinstance(call.func, ast.Name) and call.func.id in MEANS_NOTHING_TO_WEIGHTS
    return isinstance(call, ast.Constant)
