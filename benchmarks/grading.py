"""Grading speed against stock nbgrader and otter, in one run: python benchmarks/grading.py [--rounds 2]

The same complete submissions of hw1, with weights, go through this kit (sandbox on, one and two at a time, nothing
cached), through `nbgrader autograde` with its own Execute and the checks in the student's kernel, and through
`otter run`. Contestants alternate. Processor time is what the kernel accounts to a control group of each run, so that
killed processes count, too (where none can be made, it is not shown); memory is the sum over all processes alive,
sampled. `--scaling` grades 10, 50 and 200 small submissions instead, to show that time and memory grow no faster than
the class; `--whole` two submissions with every exercise of every assignment.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from autograder import assignments, demo
from autograder.assignments import ROOT
from autograder.course import Course
from autograder.grading import batch
from autograder.grading.sandbox import _descendants, _memory
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission

BIN = Path(sys.executable).parent
STOCK = "c = get_config()\nc.CourseDirectory.course_id = 'deepul'\nc.Execute.timeout = 900\n"


@dataclass
class Measured:
    seconds: float
    cpu: float  # NaN: not known here
    memory: int  # bytes, of all processes together at their peak
    main_memory: int  # bytes, of the process that was started
    parts: dict[str, float] = field(default_factory=dict)


def measure(command: list, folder: Path) -> Measured:
    """Run a command and measure it with everything that it starts. Raises RuntimeError if it fails."""
    with control_group() as (join, seconds_used):
        began = time.monotonic()
        process = subprocess.Popen(
            [*join, *map(str, command)],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        )
        peaks = {"all": 0, "main": 0}

        def watch() -> None:
            while process.poll() is None:
                peaks["main"] = max(peaks["main"], _memory(process.pid))
                peaks["all"] = max(peaks["all"], _memory(process.pid) + sum(map(_memory, _descendants(process.pid))))
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, errors = process.communicate()
        watcher.join()
        if process.returncode:
            said = " ".join(map(str, [BIN.joinpath(command[0]).name, *command[1:3]]))
            raise RuntimeError(f"{said} ended with exit code {process.returncode}: {errors[-1500:]}")
        return Measured(time.monotonic() - began, seconds_used(), peaks["all"], peaks["main"])


@contextlib.contextmanager
def control_group():
    """A new control group: (words before a command that make it join, the processor seconds used in it so far).

    The kernel's own account: time of processes that were killed, or whose parent never waited, is in it. Nothing else
    counts those, so where no group can be made, which needs root, the time is NaN.
    """
    v1, v2 = Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")
    group = (v1 if v1.exists() else v2) / f"deepul-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield [], lambda: float("nan")
        return

    def seconds_used() -> float:
        if v1.exists():
            return int((group / "cpuacct.usage").read_text()) / 1e9
        return int((group / "cpu.stat").read_text().split()[1]) / 1e6  # usage_usec

    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$0" "$@"'], seconds_used
    finally:
        while (group / "cgroup.procs").read_text().strip():  # stragglers of the command
            time.sleep(0.1)
        group.rmdir()


def kit(folder: Path, submissions: Path, jobs: int, assignment: str = "hw1") -> tuple[Measured, list[float]]:
    """`deepul grade -j jobs` on a fresh course that has its assignment, as stock nbgrader has it too."""
    batch.prepare(Course.at(folder), assignment)
    measured = measure([BIN / "deepul", "grade", assignment, submissions, "--course", folder, "-j", jobs], ROOT)
    for entry in (folder / ".deepul" / "cache").glob("*.json"):
        for part, seconds in json.loads(entry.read_text())["seconds"].items():
            measured.parts[part] = measured.parts.get(part, 0.0) + seconds
    return measured, scores(folder, assignment)


def stock(folder: Path, submissions: Path) -> tuple[Measured, list[float]]:
    """`nbgrader autograde` as it comes, with check(…) in the student's kernel."""
    course = Course(folder, folder / "source", folder / "release")
    release(course, "hw1", figures=False)
    (folder / "nbgrader_config.py").write_text(STOCK)
    for path in submissions.iterdir():
        shutil.copytree(path, folder / "submitted" / path.name / "hw1")
    return measure([BIN / "nbgrader", "autograde", "hw1", "--create"], folder), scores(folder)


def scores(folder: Path, assignment: str = "hw1") -> list[float]:
    with Course.at(folder).gradebook() as gradebook:
        return [s.score for s in gradebook.assignment_submissions(assignment)]


def otter(folder: Path, submissions: Path) -> tuple[Measured, list[float]]:
    """`otter run` on each submission, in an environment of its own; its tests call check(…) in its kernel."""
    environment = ROOT / "build" / "otter"
    if not (environment / "bin" / "otter").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        packages = next((Path(sys.prefix) / "lib").glob("python3*/site-packages"))
        own = next((environment / "lib").glob("python3*/site-packages"))
        (own / "kit.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")
        install = [environment / "bin" / "pip", "install", "-q", "otter-grader==7.0.0"]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"otter-grader could not be installed: {done.stderr.strip().splitlines()[-1]}")
    tests = folder / "tests"
    tests.mkdir(parents=True)
    for name in demo.QUICK:
        points = assignments.get_exercise(name).points
        case = f">>> from deepul_utils import check\\n>>> float(check({name!r})) == {points}\\nTrue"
        suite = {
            "cases": [{"code": case.replace("\\n", "\n")}],
            "scored": True,
            "setup": "",
            "teardown": "",
            "type": "doctest",
        }
        test = {"name": name, "points": assignments.get_exercise(name).points, "suites": [suite]}
        (tests / f"{name}.py").write_text(f"OK_FORMAT = True\ntest = {test!r}\n")
    archive = folder / "autograder.zip"
    run = environment / "bin" / "otter"
    # otter takes one notebook, not what lies beside it: the weights, the same in all, come with the tests.
    shutil.copytree(next(submissions.iterdir()) / "artifacts", folder / "artifacts")
    files = [f"artifacts/{p.name}" for p in (folder / "artifacts").iterdir()]
    generate = [run, "generate", "-t", tests, "-o", archive, "--no-environment", *files]
    made = subprocess.run(generate, cwd=folder, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"otter generate failed: {(made.stderr or made.stdout).strip().splitlines()[-1]}")
    total, points = Measured(0.0, 0.0, 0, 0), []
    for path in sorted(submissions.iterdir()):
        (folder / path.name).mkdir()
        one = measure([run, "run", "-a", archive, "-o", folder / path.name, path / "hw1.ipynb"], path)
        result = json.loads((folder / path.name / "results.json").read_text())
        points.append(sum(t.get("score", 0) for t in result["tests"]))
        total.seconds, total.cpu = total.seconds + one.seconds, total.cpu + one.cpu
        total.memory, total.main_memory = max(total.memory, one.memory), max(total.main_memory, one.main_memory)
    return total, points


def write(folder: Path, number: int, solved: tuple[str, ...], assignment: str = "hw1") -> Path:
    """So many submissions, none equal to another."""
    handout = release(Course.at(folder / "maker"), assignment, figures=False) / f"{assignment}.ipynb"
    for k in range(number):
        write_submission(
            handout,
            folder / "handed_in" / f"student{k:03d}",
            solution_cells(assignment),
            solved,
            solved,
            change=lambda source, k=k: f"# student {k}\n{source}",
        )
    return folder / "handed_in"


def compare(rounds: int, number: int, contestants: dict[str, Callable], console: Console) -> None:
    found, failures = defaultdict(list), {}
    with tempfile.TemporaryDirectory() as scratch:
        submissions = write(Path(scratch) / "made", number, demo.QUICK)
        for k in range(rounds):
            for name, run in contestants.items():
                if name in failures:
                    continue
                console.print(f"round {k + 1}: {name} …", style="dim")
                try:
                    result = run(Path(scratch) / f"{k}-{name.replace(' ', '')}", submissions)
                    found[name].append(result)
                except (RuntimeError, OSError, ValueError, KeyError) as error:
                    failures[name] = str(error)
    table = Table(
        "", "s / submission", "CPU s / submission", "peak MB, all", "peak MB, grader", "points", "throughput", "CPU"
    )
    mean = {
        n: tuple(sum(getattr(m, a) for m, _ in runs) / len(runs) / number for a in ("seconds", "cpu"))
        for n, runs in found.items()
    }
    base = mean.get("stock nbgrader")
    for name, runs in found.items():
        seconds, cpu = mean[name]
        ratios = (f"{base[0] / seconds:.2f} ×", f"{cpu / base[1]:.2f} ×") if base else ("", "")
        table.add_row(
            name,
            f"{seconds:.2f}",
            f"{cpu:.2f}",
            *(f"{max(getattr(m, a) for m, _ in runs) / 2**20:.0f}" for a in ("memory", "main_memory")),
            f"{sum(runs[-1][1]):g}",
            *ratios,
        )
    console.print(table)
    for name, why in failures.items():
        console.print(f"{name} could not be run here: {why}", highlight=False)
    for name, runs in found.items():
        parts = "  ".join(f"{part} {seconds / number:.2f}" for part, seconds in runs[-1][0].parts.items())
        if parts:
            console.print(f"{name}, seconds a submission inside the workers: {parts}", highlight=False)


def scale(numbers: Sequence[int], console: Console) -> None:
    table = Table("submissions", "seconds", "s / submission", "peak MB, grader", "peak MB, all")
    for number in numbers:
        with tempfile.TemporaryDirectory() as scratch:
            submissions = write(Path(scratch) / "made", number, ("logistic_mixture",))
            m, _ = kit(Path(scratch) / "course", submissions, 2)
            table.add_row(
                str(number),
                f"{m.seconds:.0f}",
                f"{m.seconds / number:.2f}",
                f"{m.main_memory / 2**20:.0f}",
                f"{m.memory / 2**20:.0f}",
            )
    console.print(table)


def whole(solved: dict[str, tuple[str, ...]], number: int, console: Console) -> None:
    table = Table(
        f"{number} submissions of",
        "points",
        "s / submission",
        "CPU s / submission",
        "start and warm-up, s",
        "cells, s",
        "checks, s",
        "peak MB, all",
    )
    for assignment, names in solved.items():
        with tempfile.TemporaryDirectory() as scratch:
            submissions = write(Path(scratch) / "made", number, names, assignment)
            m, points = kit(Path(scratch) / "course", submissions, 1, assignment)
            parts = {part: seconds / number for part, seconds in m.parts.items()}
            begun = m.seconds / number - parts["cells"] - parts["checks"]
            table.add_row(
                assignment,
                " and ".join(f"{p:g}" for p in points),
                f"{m.seconds / number:.1f}",
                f"{m.cpu / number:.1f}",
                f"{begun:.1f}",
                f"{parts['cells']:.1f}",
                f"{parts['checks']:.1f}",
                f"{m.memory / 2**20:.0f}",
            )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--submissions", type=int, default=12)
    parser.add_argument("--only", nargs="+", default=[], metavar="WHO", help="these contestants, such as 'kit -j 2'")
    parser.add_argument("--scaling", action="store_true", help="10, 50 and 200 small submissions")
    parser.add_argument("--whole", action="store_true", help="two submissions with every exercise of each assignment")
    parser.add_argument("--small", action="store_true", help="the kit's parts on one submission: to see that they run")
    options, console = parser.parse_args(), Console(width=120)
    ours = {"kit -j 1": lambda *a: kit(*a, 1), "kit -j 2": lambda *a: kit(*a, 2)}
    with contextlib.redirect_stderr(open(os.devnull, "w")):  # nbgrader's log
        if options.small:
            compare(1, 1, {"kit -j 1": ours["kit -j 1"]}, console)
            scale([1], console)
            whole({"hw1": demo.QUICK}, 1, console)
        elif options.scaling:
            scale([10, 50, 200], console)
        elif options.whole:
            every = {h: tuple(e.name for e in assignments.get(h).exercises) for h in assignments.names()}
            whole(every, 2, console)
        else:
            others = {"stock nbgrader": stock, "otter run": otter}
            contestants = ours | others
            if unknown := set(options.only) - contestants.keys():
                parser.error(f"{', '.join(unknown)}: there are {', '.join(contestants)}")
            chosen = {name: run for name, run in contestants.items() if name in (options.only or contestants)}
            compare(options.rounds, options.submissions, chosen, console)


if __name__ == "__main__":
    main()
