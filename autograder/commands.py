"""The `deepul` command in a student's hands: check, submit, info. The staff's commands, in cli.py, come on top."""

import contextlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from autograder import assignments
from autograder.assignments import ROOT, Assignment
from autograder.display import counted
from deepul_utils.errors import KitError

app = typer.Typer(
    help="The homework kit for Deep Unsupervised Learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

# What a bug report should say of this machine.
PACKAGES = ("torch", "numpy", "scipy", "matplotlib", "pytest", "ipykernel", "jupyterlab")
# The commands of cli.py, which a student's kit does not have.
STAFF = (
    *("list", "release", "new", "lint", "grade", "show", "demo", "export", "gradescope"),
    *("feedback", "totals", "term", "turn", "words", "calibrate", "validate"),
)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"deepul-kit {_version('deepul-kit')}")
        raise typer.Exit


@app.callback()
def _commands(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which kit this is, and end.")
    ] = False,
) -> None:
    """A command of its own, so that a kit with a single command still asks for its name."""


@app.command()
def check(
    notebook: Annotated[str, typer.Argument(help="An assignment, e.g. hw1, or a notebook's file.")] = "",
    exercise: Annotated[str, typer.Option(help="This exercise only, e.g. made.")] = "",
):
    """Run a notebook from top to bottom, as grading does, and show the table of each exercise.

    What is trained already is loaded. Exit code: 0 all points, 1 not all, 2 it could not be run.
    """
    os.environ.setdefault("MPLBACKEND", "agg")  # nothing is shown
    from autograder import notebooks, runner, weights

    file = _file(notebook, "check")
    here = _assignment(file, exercise)
    chosen = here.chosen(exercise)
    cells = notebooks.read(file)
    if exercise:
        cells = notebooks.section(cells, chosen[0].number)
    ran = notebooks.run_cells(cells, file.parent, file.parent / "artifacts", file.stem, keeps_samples=False)
    for source, error in ran.errors.items():
        called = notebooks.Cell("code", source).called
        console.print(f"[yellow]A cell stopped:[/yellow] {escape(f'{error} (“{called}”)')}", highlight=False)
    with ran.entered():
        scores = [weights.of_course(runner.check(e.name, ran.student)) for e in chosen]
    for score in scores:
        print(f"{score}\n")
    earned, most = sum(scores), sum(score.max_points for score in scores)
    console.print(f"[bold]{earned:g} of {counted(most, 'point')}[/bold] for {escape(str(file))}", highlight=False)
    if earned < most:
        raise typer.Exit(1)


def _file(notebook: str, command: str) -> Path:
    """The notebook that is meant. Raises ValueError where there is none."""
    if not notebook:
        names = [a.name for a in assignments.every() if (a.handout / f"{a}.ipynb").exists()]
        if len(names) != 1:
            raise ValueError(f"Which one: deepul {command} {' or '.join(names) or 'PATH/TO/NOTEBOOK.ipynb'}?")
        notebook = names[0]
    file = Path(notebook)
    if file.suffix != ".ipynb":
        here = assignments.get(notebook)
        file = here.handout / f"{here}.ipynb"
    if not file.exists():
        raise ValueError(f"There is no notebook {file.resolve()}.")
    return file.resolve()


def _assignment(file: Path, exercise: str) -> Assignment:
    """The assignment that a notebook is of: by the exercise that is asked for, its checks, or its name."""
    from autograder import notebooks

    if exercise:
        return assignments.get_exercise(exercise).assignment
    calls = [notebooks.CHECK_CALL.search(cell.source) for cell in notebooks.read(file) if cell.kind == "code"]
    for found in filter(None, calls):
        with contextlib.suppress(ValueError):  # a check of another course's
            return assignments.get_exercise(found[1]).assignment
    return assignments.get(file.stem)


@app.command()
def submit(
    notebook: Annotated[str, typer.Argument(help="An assignment, e.g. hw1, or a notebook's file.")] = "",
    student: Annotated[str, typer.Option(help="Your id, as the course knows you.", prompt="Your id")] = "",
    check: Annotated[bool, typer.Option(help="Run the saved notebook and its checks first.")] = True,
):
    """Pack the zip that you hand in, and say what is missing in it. Nothing is trained."""
    from autograder import handin

    print(handin.submit(_file(notebook, "submit"), student, check=check))


@app.command()
def info():
    """What is installed here and where: what the course's staff asks for when something does not work."""
    from deepul_utils import devices

    rows = {"kit": f"{_version('deepul-kit')}, {ROOT}", "Python": f"{platform.python_version()}, {sys.executable}"}
    rows |= {"system": platform.platform(), "device": str(devices.device())}
    rows |= {name: _version(name) for name in PACKAGES}
    for here in assignments.every():
        weights = len(list((here.handout / "artifacts").glob("*.safetensors")))
        if here.handout.exists():
            rows[here.name] = f"{here.handout}, {counted(weights, 'file')} in artifacts"
    for name, value in rows.items():
        console.print(f"{name:12}{value}", highlight=False, markup=False, soft_wrap=True)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Run a command of a student's kit; what went wrong is said in a sentence, and the exit code is 2."""
    readable_output()
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if wanted in STAFF:
        ours = ", ".join(sorted(command.callback.__name__ for command in app.registered_commands if command.callback))
        fail(f"deepul {wanted} is for the course's staff, whose kit has the solutions. Here there are: {ours}.")
    try:
        app()
    except ModuleNotFoundError as error:
        fail(f"the module {error.name} is missing: pip install -r requirements-student.txt in {ROOT}.")
    except (KitError, ValueError, OSError) as error:
        fail(str(error))


def readable_output() -> None:
    """A name that the terminal has no letters for stops nothing."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # they are files, or what replaces them has it


def fail(said: str) -> None:
    """Say it, and end with exit code 2."""
    console.print(f"[red]deepul:[/red] {escape(said)}", highlight=False, soft_wrap=True)
    sys.exit(2)
