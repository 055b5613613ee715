"""What weights of one turn of the data earn under another: in a copy of the kit, with its data turned.

    python benchmarks/turns.py                              # two minutes; nothing is trained
    python benchmarks/turns.py --anew > docs/turns.md       # and what weights that are trained anew earn: half an hour

The weights are the solutions' own. Prints Markdown.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from autograder import assignments, notebooks, runner
from autograder.assignments import ROOT
from autograder.handout.submit import solution_cells
from autograder.proof import calibrate
from deepul_utils import turn

PARTS = ("autograder", "deepul_utils", "data", "solutions")


def graded(assignment: str, anew: bool) -> None:
    """Print a line of JSON for each exercise, in this process and on this kit's data: its solution's points."""
    with tempfile.TemporaryDirectory() as empty:
        for e in assignments.get(assignment).exercises:
            cells = notebooks.section(solution_cells(assignment), e.number)
            artifacts = Path(empty) if anew else e.assignment.artifacts
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                ran = notebooks.run_cells(cells, e.assignment.solution, artifacts, assignment)
            session = runner.Session(ran.student, "turns", runner.references(assignment))
            runner.run(e, session)
            lost = {r.title: r.max_points - r.points for r in session.results if r.points < r.max_points}
            print(json.dumps({"exercise": f"{e.number} `{e.name}`", "points": e.points, "lost": lost}), flush=True)


def asked(kit: Path, assignment: str, anew: bool) -> list[dict]:
    """What the kit in a folder gives to the solution of an assignment, one entry an exercise."""
    command = [sys.executable, Path(__file__).resolve(), "--grade", assignment, *["--anew"] * anew]
    environment = os.environ | {"PYTHONPATH": str(kit), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=kit, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turn", type=int, choices=range(turn.TURNS), default=(turn.number() + 1) % turn.TURNS)
    parser.add_argument("--anew", action="store_true", help="train the solutions on the turned data, too")
    parser.add_argument("--small", action="store_true", help="one assignment only")
    parser.add_argument("--grade", help=argparse.SUPPRESS)  # the assignment, in the copy
    options = parser.parse_args()
    if options.grade:
        graded(options.grade, options.anew)
        return
    print(f"# Weights of turn {turn.number()} under turn {options.turn}\n")
    print("Points of the solutions, and the checks in which they lose some (`python benchmarks/turns.py --anew`).\n")
    columns = ["exercise", "points", "with the other turn's weights", *["trained anew"] * options.anew, "loses in"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    with tempfile.TemporaryDirectory() as folder:
        kit = Path(folder)
        for part in PARTS:
            shutil.copytree(ROOT / part, kit / part, ignore=shutil.ignore_patterns("__pycache__", "cache"))
        (kit / "data" / "turn.txt").write_text(f"{options.turn}\n", encoding="utf-8")
        for name in ["nice"] if options.small else calibrate.on_turned_data():
            old = asked(kit, name, anew=False)
            new = asked(kit, name, anew=True) if options.anew else [None] * len(old)
            for before, after in zip(old, new, strict=True):
                cells = [
                    before["exercise"],
                    f"{before['points']:g}",
                    f"{before['points'] - sum(before['lost'].values()):.1f}",
                ]
                cells += [f"{after['points'] - sum(after['lost'].values()):.1f}"] if after else []
                print(f"| {' | '.join(cells)} | {'; '.join(before['lost'])} |", flush=True)


if __name__ == "__main__":
    main()
