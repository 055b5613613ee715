"""What is written about the kit agrees with it: docstrings, versions, and the places that the glossary names."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from autograder.assignments import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIBRARY = sorted((ROOT / "deepul_utils").rglob("*.py"))
# `make docs` makes pages of these.
DOCUMENTED = [
    *LIBRARY,
    *sorted((ROOT / "autograder" / "properties").glob("*.py")),
    ROOT / "autograder" / "checks.py",
    ROOT / "autograder" / "student.py",
]
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def public(tree: ast.Module | ast.ClassDef, before: str = "") -> Iterator[tuple[str, ast.AST]]:
    """(name, node) of every class, function and method whose names do not begin with an underscore."""
    for node in tree.body:
        if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
            yield before + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{before}{node.name}.")


def undocumented(source: str) -> list[str]:
    """What a module leaves without a docstring; "" is the module itself."""
    tree = ast.parse(source)
    return [name for name, node in [("", tree), *public(tree)] if not ast.get_docstring(node)]


@pytest.mark.parametrize("file", DOCUMENTED, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_everything_that_others_call_has_a_docstring(file):
    assert undocumented(file.read_text(encoding="utf-8")) == []


def test_a_docstring_that_is_missing_is_seen():
    assert undocumented('"""M."""\nclass A:\n    """A."""\n    def f(self): pass\n    def _g(self): pass') == ["A.f"]
    assert undocumented("def f():\n    def inner(): pass\nclass _B:\n    def g(self): pass") == ["", "f"]


def tags(docstring: str) -> list[str]:
    """What a browser would take for HTML, and not show: <name> outside of `code` and of listings."""
    prose = "\n".join(line for line in docstring.splitlines() if not line.startswith("    "))
    return re.findall(r"<[A-Za-z/!]\w*", re.sub(r"`[^`]*`", "", prose))


@pytest.mark.parametrize("file", DOCUMENTED, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_page_shows_all_of_a_docstring(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {name: tags(ast.get_docstring(node) or "") for name, node in [("", tree), *public(tree)]}
    assert {name: lost for name, lost in found.items() if lost} == {}


def test_a_placeholder_that_a_browser_would_swallow_is_seen():
    assert tags("the file <name>.part, x_{<i}, `<mirror>`, 1 < 2\n\n    <listing>") == ["<name", "<i"]


@pytest.mark.slow
def test_the_pages_are_made_without_a_warning(tmp_path):
    (tmp_path / "ready").touch()
    settings = [f"BIN={Path(sys.executable).parent}", f"READY={tmp_path / 'ready'}", f"DOCS={tmp_path / 'docs'}"]
    subprocess.run(["make", "-C", str(ROOT), "docs", *settings], check=True, capture_output=True, text=True)
    pages = {p.relative_to(tmp_path / "docs").with_suffix("").as_posix() for p in (tmp_path / "docs").rglob("*.html")}
    files = (f.relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__") for f in DOCUMENTED)
    assert pages - {"index"} == {name for name in files if not name.endswith("/__main__")}


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    assert yaml.safe_load(text("CITATION.cff"))["version"] == version
    assert re.search(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)[1] == version
    series = version.rpartition(".")[0]
    assert re.findall(r"^\| (\S+\.x) \| yes \|$", text("SECURITY.md"), re.MULTILINE) == [f"{series}.x"]


def test_the_licence_is_the_same_everywhere():
    assert yaml.safe_load(text("CITATION.cff"))["license"] == PROJECT["license"] == text("LICENSE").split()[0]


def test_what_lints_before_a_commit_is_what_lints_in_ci():
    (pinned,) = (r for r in PROJECT["optional-dependencies"]["dev"] if r.startswith("ruff=="))
    local = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert {tuple(hook["additional_dependencies"]) for hook in local} == {(pinned,)}


def test_hosted_ci_runs_pythons_that_are_promised():
    job = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]["check"]
    promised = SpecifierSet(PROJECT["requires-python"])
    assert all(promised.contains(python) for python in job["strategy"]["matrix"]["python"])
    assert job["steps"][-1]["run"] == ".ci/run"


def named(place: str) -> str:
    """Where a place of the glossary is, from the kit's folder."""
    folders = {"u/": "deepul_utils/", "g/": "autograder/grading/", "tests/": "tests/"}
    for short, folder in folders.items():
        if place.startswith(short):
            return folder + place.removeprefix(short)
    return "autograder/" + place


def test_the_glossary_names_places_that_exist():
    rows = [row.strip("| ").split(" | ") for row in text("docs/glossary.md").splitlines() if row.startswith("| ")]
    places = {named(place) for row in rows for place in re.findall(r"`([^`]+)`", row[-1])}
    assert len(places) > 20
    assert [place for place in places if not list(ROOT.glob(place))] == []


def test_security_names_files_that_exist():
    listed = re.findall(r"`([\w/]+\.py)`", text("SECURITY.md"))
    assert len(listed) > 10
    folders = ("", "autograder", "autograder/grading", "tests/autograder")
    assert [name for name in listed if not any((ROOT / f / name).exists() for f in folders)] == []
