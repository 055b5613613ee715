"""What is pinned can be installed together on every Python that the kit promises, as an ordinary user too."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from autograder.assignments import ROOT, every
from autograder.handout.bundle import files

PYTHONS = ("3.11.0", "3.11.2", "3.11.5", "3.12.0", "3.13.0", "3.14.0")  # Debian 12 has 3.11.2
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = list(map(Requirement, PROJECT["dependencies"]))
STAFF = list(map(Requirement, PROJECT["optional-dependencies"]["staff"]))
EXTRAS = [Requirement(r) for name, extra in PROJECT["optional-dependencies"].items() if name != "staff" for r in extra]


def requirements(file: str) -> list[Requirement]:
    """The lines of a requirements file that name a package."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if re.match(r"[A-Za-z0-9]", line)]


def pins() -> dict[str, str]:
    """{package: its version} of requirements.txt, constraints.txt and the extras of pyproject.toml."""
    found = {}
    for r in [*requirements("requirements.txt"), *requirements("constraints.txt"), *EXTRAS]:
        (specifier,) = r.specifier
        assert specifier.operator == "==", f"{r} is no pin"
        assert r.marker is None, f"{r}: one version for every Python is simpler than a marker"
        assert found.setdefault(canonicalize_name(r.name), specifier.version) == specifier.version, f"{r} and another"
    return found


PINS = pins()


# What a torch for GPUs, PyPI's on Linux, brings along: it names the versions itself, and no two machines need the same.
OF_GPU_BUILDS = ("nvidia-", "cuda-", "triton")


def refused(name: str, python: str) -> str:
    """Why `name` cannot be installed under `python`, by its own metadata; empty if it can."""
    wanted = distribution(name).metadata.get("Requires-Python") or ""
    return "" if SpecifierSet(wanted).contains(python) else f"{name} {PINS[name]} needs Python {wanted}, not {python}"


def resolve(python: str) -> tuple[set[str], list[str]]:
    """What pip installs on Linux under `python`, as pinned: (packages, what is wrong with them)."""
    version = ".".join(python.split(".")[:2])
    environment = default_environment() | {
        "python_full_version": python,
        "python_version": version,
        "implementation_version": python,
    }
    queue = [*requirements("requirements.txt"), *DEPENDENCIES, *STAFF, *EXTRAS]
    seen, wrong = set(), []
    while queue:
        r = queue.pop()
        name = canonicalize_name(r.name)
        if name not in PINS and name.startswith(OF_GPU_BUILDS):
            continue
        if name not in PINS:
            wrong.append(f"{r} is not pinned")
        elif not r.specifier.contains(PINS[name], prereleases=True):
            wrong.append(f"{r} does not allow {PINS[name]}")
        news = {(name, extra) for extra in ("", *r.extras)} - seen
        seen |= news
        if name not in PINS:
            continue
        for needed in map(Requirement, distribution(name).requires or []):
            if any(not needed.marker or needed.marker.evaluate(environment | {"extra": e}) for _, e in news):
                queue.append(needed)
    return {name for name, _ in seen}, wrong


def test_what_is_installed_here_is_what_is_pinned():
    """The other tests read the metadata of what is installed, so it had better be that."""
    installed = {name: distribution(name).version.split("+")[0] for name in PINS}
    assert installed == PINS, "run make setup"


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_can_be_installed(python):
    assert [r for name in PINS if (r := refused(name, python))] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_fit_together_and_nothing_is_left_to_chance(python):
    packages, wrong = resolve(python)
    assert wrong == []
    assert len(packages) > 100
    if python < "3.12":
        assert packages == set(PINS), "a constraint that nothing needs"


def test_a_pin_that_is_missing_or_does_not_fit_is_seen(monkeypatch):
    monkeypatch.delitem(PINS, "soupsieve")
    monkeypatch.setitem(PINS, "mistune", "9.0")
    _, wrong = resolve("3.12.0")
    assert any("soupsieve" in w and "is not pinned" in w for w in wrong)
    assert any("mistune" in w and "does not allow 9.0" in w for w in wrong)


def test_what_the_code_imports_is_pinned_by_the_file_that_the_staff_installs():
    named = {canonicalize_name(r.name) for r in requirements("requirements.txt")}
    assert named == {canonicalize_name(r.name) for r in [*DEPENDENCIES, *STAFF]}
    assert "--editable .[staff]" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()


# ---- what a student installs -----------------------------------------------------------------------------

OPENS_NOTEBOOKS = {"ipywidgets", "jupyterlab"}  # which Colab, Kaggle and VS Code have of their own


def test_a_student_installs_what_the_kit_imports_and_what_opens_a_notebook():
    listed = {str(r) for r in requirements("requirements-student.txt") if r.name not in OPENS_NOTEBOOKS}
    assert listed == {str(r) for r in DEPENDENCIES}
    names = {r.name for r in requirements("requirements-student.txt")}
    assert names >= OPENS_NOTEBOOKS
    assert not {canonicalize_name(r.name) for r in STAFF} & names - OPENS_NOTEBOOKS
    assert "--editable ." in (ROOT / "requirements-student.txt").read_text(encoding="utf-8").splitlines()


def test_every_range_has_both_ends_and_holds_the_version_that_is_tested():
    for r in requirements("requirements-student.txt"):
        assert {s.operator for s in r.specifier} == {">=", "<"}, f"{r}: a range, no pin"
        assert r.specifier.contains(PINS[canonicalize_name(r.name)]), f"{r} is without the version of requirements.txt"


def test_the_ranges_name_all_that_a_students_kit_imports():
    """The distributions of every module that the bundle's code imports, and no other."""
    sources = {f for a in every() for f in files(a) if f.suffix == ".py"}
    imported = {name for file in sources for name in _imports(file)} - sys.stdlib_module_names
    imported -= {"autograder", "deepul_utils", "jupytext"}  # which reads sources, and no student has one
    imported -= {"IPython", "ipywidgets", "traitlets"}  # of the notebook itself, where there is one
    owners = packages_distributions()
    assert {canonicalize_name(owners[name][0]) for name in imported} == {r.name for r in DEPENDENCIES}


def _imports(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    direct = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    direct |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in direct}


def test_the_same_pythons_are_promised_everywhere():
    promised = SpecifierSet(PROJECT["requires-python"])
    assert all(promised.contains(python) for python in PYTHONS)
    assert not promised.contains("3.10.14")
    assert not promised.contains("3.15.0")
    for file in ("README.md", "Makefile", "requirements.txt", "requirements-student.txt"):
        assert "Python 3.11 to 3.14" in (ROOT / file).read_text(encoding="utf-8"), file


@pytest.fixture
def make(tmp_path):
    """make(target, python=script): runs it as an ordinary user of a bare machine, without apt-get or bubblewrap."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "make", "test", "mkdir", "rm", "echo"):
        (tools / tool).symlink_to(shutil.which(tool))

    def run(target: str, python: str) -> subprocess.CompletedProcess:
        for name, script in {"id": "echo 1000", "python3": python}.items():
            (tools / name).write_text(f"#!{shutil.which('sh')}\n{script}\n")
            (tools / name).chmod(0o755)
        environment = {"PATH": str(tools), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        command = ["make", "-C", str(ROOT), target, f"VENV={tmp_path / 'venv'}"]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


def python_of(version: tuple, otherwise: str = "exit 9") -> str:
    """A python3 that says it is of that version, and does nothing else but `otherwise`."""
    before = f"import sys; sys.version_info = {version}; exec(sys.argv.pop(1))"
    return f"""[ "$1" = -c ] && exec {sys.executable} -c '{before}' "$2"\n{otherwise}"""


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 13), (3, 15, 0)])
def test_another_python_is_refused_and_said(make, version):
    result = make("setup", python_of(version))
    assert result.returncode != 0
    assert "Python 3.11 to 3.14 is needed" in result.stdout


def test_a_debian_without_venv_says_what_to_install(make, tmp_path):
    result = make("setup", python_of((3, 12, 1), otherwise=f"mkdir -p {tmp_path}/venv/bin; exit 1"))
    assert result.returncode != 0
    assert "sudo apt install python3.12-venv, then run make again" in result.stdout
    assert not (tmp_path / "venv").exists(), "a half-made environment would be taken for a whole one"


def test_tests_that_share_what_their_file_makes_stay_in_one_process():
    """pytest-xdist 3.8 installs beside pytest 9.2 without a word, and all groups are ignored then; so they are where
    tests/conftest.py names them too late."""
    two = ["-k", "a_command_of_the_staffs_is_said", "tests/autograder/test_bundle.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", *two]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    processes = re.findall(r"\[(gw\d)\] .* PASSED .*@tests/autograder/test_bundle.py", done.stdout)
    assert len(processes) == 2, done.stdout
    assert len(set(processes)) == 1, done.stdout
