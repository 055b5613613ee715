"""Reference losses: train the solutions under several seeds.

Beside the solution, which may know tricks, stands the variant RECIPE of an exercise: the plainest right network,
trained as the notebook's text says. The wider of the two spreads decides, since who does what the text says is to
earn everything.

Thresholds follow from what is written here: see properties/loss.py, which is the one place that turns a mean and a
standard deviation into points.
"""

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autograder import assignments, environment, notebooks, runner
from autograder.assignments import ROOT, Assignment, Exercise
from autograder.course import SourceError
from autograder.files import write_atomically
from autograder.handout.submit import solution_cells
from autograder.proof import changes
from autograder.properties import loss

RESULTS = ROOT / "docs" / "results.md"
SEEDS = 5  # of a new exercise; more where so few leave its threshold too near to what right solutions reach
RECIPE, RECIPE_SEEDS = "stated-recipe", 3


class _Open(dict):
    """References while there are none: every loss is measured, none is judged."""

    def __missing__(self, key):
        return {"mean": 0.0, "sd": 0.0}


@dataclass(frozen=True)
class Measurement:
    """The loss of one training: in `unit`, above `limit` where one is known. promised: what is said to be enough."""

    excess: float
    limit: float | None
    baseline: float
    unit: str
    promised: float | None
    seconds: float


def calibrate(
    assignment: str,
    seeds: int,
    exercise: str = "",
    progress: Callable[[str], None] = lambda text: None,
    recipes_only: bool = False,
) -> dict:
    """Train `assignment`'s solutions under seeds 0 … seeds − 1; write reference.json and return it.

    seeds: 0 for as many as last time. exercise: this one only; the others' references stay as they are. The weights of
    seed 0 become the reference artifacts. recipes_only: train what the text states, and leave all else as it is.
    Raises SourceError if a solution does not run, or loses a structural check: a reference must be right first.
    """
    file = assignments.get(assignment).reference
    reference = dict(runner.references(assignment))
    for e in assignments.get(assignment).chosen(exercise):
        if not recipes_only:
            reference |= _train(e, seeds or last_time(reference, e), progress)
        _recipe(e, reference, progress)
    if not recipes_only:
        under = f" --seeds {seeds}" if seeds else ""
        reference["_made_by"] = {"command": f"deepul calibrate {assignment}{under}", **_versions()}
    write_atomically(file, json.dumps(reference, indent=2, sort_keys=True) + "\n")
    runner.references.cache_clear()
    write_atomically(RESULTS, results())
    return reference


def _recipe(exercise: Exercise, reference: dict, progress: Callable[[str], None]) -> None:
    """Note what the stated recipe of an exercise reaches: {"mean", "sd", "runs", "seconds"}."""
    variants = changes.variants(exercise.assignment.name)
    stated = next((v for v in variants if (v.exercise, v.name) == (exercise.name, RECIPE)), None)
    if stated is None:
        return
    for key, summary in _train(exercise, RECIPE_SEEDS, progress, stated).items():
        entry = reference[key]
        entry["recipe"] = {k: summary[k] for k in ("mean", "sd", "runs", "seconds")}
        if "promised" in summary:
            entry["promised"] = summary["promised"]


def seeds_needed(reference: dict, most: int = 100) -> int:
    """Under how many seeds to train, so that uncertainty of the reference widens no threshold (loss.one_more); `most`
    where no number is enough."""
    room = loss.SEED_SPREAD * reference["sd"] + loss.SLACK * (reference["baseline"] - reference["mean"])
    room = max(room, reference.get("promised", -np.inf) - reference["mean"])
    return next((n for n in range(2, most) if reference["sd"] * loss.one_more(n) <= room), most)


def full_up_to(reference: dict) -> float:
    """Up to which loss points are full; a share that is counted is allowed a little more."""
    promised = reference.get("promised")
    return max(loss.threshold(reference, reference["baseline"]), -np.inf if promised is None else promised)


def of_exercise(reference: dict, exercise: Exercise) -> dict[str, dict]:
    """The references of one exercise among those of its assignment."""
    return {key: entry for key, entry in reference.items() if key.split(".")[0] == exercise.name}


def last_time(reference: dict, exercise: Exercise) -> int:
    """How many seeds the references of an exercise are of; SEEDS for a new one."""
    return max((len(entry["runs"]) for entry in of_exercise(reference, exercise).values()), default=SEEDS)


def results() -> str:
    """What the solutions of all homeworks reach, as a page in Markdown."""
    head = (
        "# What the solutions reach\n\nMeans over seeds on held-out data, with their standard deviation; thresholds "
        "follow from them\n(`autograder/properties/loss.py`). The baseline is a naive model's loss, where points end. "
        "Seconds are those of one training\non a single thread. Written by `deepul calibrate`; from the "
        "references as they are by `python -m autograder.proof.calibrate`.\n"
    )
    lines = [line for name in assignments.names() for line in _section(assignments.get(name))]
    return "\n".join([head, *lines]) + "\n"


def _section(assignment: Assignment) -> list[str]:
    """What the solutions of one assignment reach: a heading and a table."""
    reference = runner.references(assignment.name)
    seconds = sum(entry["seconds"] for key, entry in reference.items() if not key.startswith("_"))
    return [
        f"\n## {assignment.name}: {seconds / 60:.1f} minutes of training\n",
        "| exercise | mean ± sd | seeds | stated recipe | full points up to | unit | limit, nats | baseline "
        "| seconds |\n|---|---|---|---|---|---|---|---|---|",
        *(_row(e, key, entry) for e in assignment.exercises for key, entry in of_exercise(reference, e).items()),
    ]


def _row(exercise: Exercise, key: str, entry: dict) -> str:
    cells = (
        f"{exercise.number} `{key}`",
        f"{entry['mean']:.4f} ± {entry['sd']:.4f}",
        len(entry["runs"]),
        "{mean:.4f} ± {sd:.4f}".format_map(entry["recipe"]) if "recipe" in entry else "",
        f"{full_up_to(entry):.4f}",
        entry["unit"].replace("|", "\\|"),
        "" if entry["limit"] is None else f"{entry['limit']:.4f}",
        f"{entry['baseline']:.4f}",
        entry["seconds"] or "",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _train(
    exercise: Exercise, seeds: int, progress: Callable[[str], None], variant: changes.Variant | None = None
) -> dict[str, dict]:
    """{reference key: its summary}, of the solution or of a variant of it.

    What was trained is kept in build/calibrate as long as the section's code is the same: a calibration that was
    interrupted goes on.
    """
    cells = solution_cells(exercise.assignment.name)
    cells = notebooks.section(changes.apply(variant, cells) if variant else cells, exercise.number)
    code = [c.source for c in cells if c.kind == "code"]
    digest = hashlib.sha256("\0".join([*code, importlib.metadata.version("torch")]).encode()).hexdigest()[:12]
    kept = ROOT / "build" / "calibrate" / f"{exercise.name}-{digest}"
    what = f"{exercise.name}, {variant.name}" if variant else exercise.name
    runs: dict[str, list[Measurement]] = {}
    for seed in range(seeds):
        folder = kept / str(seed)
        progress(f"{what}: training with seed {seed}")
        with environment.variables(DEEPUL_SEED=str(seed)):
            measured = _one_run(exercise, cells, folder, seed)
        if seed == 0 and not variant:
            _keep_artifacts(folder, exercise.assignment.artifacts)
        for key, run in measured.items():
            runs.setdefault(key, []).append(run)
            took = f" in {run.seconds:.1f} s" if run.seconds else ""
            progress(f"  {key}: {run.excess:.4f} {run.unit}{took}")
    return {key: _summary(of_key) for key, of_key in runs.items()}


def _one_run(exercise: Exercise, cells: list[notebooks.Cell], artifacts: Path, seed: int) -> dict[str, Measurement]:
    """Train under one seed, or read what was trained: {reference key: what it reached}."""
    folder = exercise.assignment.solution
    with contextlib.redirect_stdout(io.StringIO()):
        ran = notebooks.run_cells(cells, folder, artifacts, exercise.assignment.name)
    if ran.errors:
        raise SourceError(f"the solution of {exercise} does not run: {next(iter(ran.errors.values()))}")
    session = runner.Session(ran.student, f"calibrate-{seed}", _Open())
    runner.run(exercise, session)
    wrong = [r for r in session.results if r.outcome in ("failed", "skipped", "not graded")]
    if wrong:
        raise SourceError(f"the solution of {exercise} fails “{wrong[0].title}”: {wrong[0].measured}{wrong[0].fault}")
    seconds = {name: history.seconds for name, history in ran.session.histories.items()}
    return {key: Measurement(**values, seconds=seconds.get(key, 0.0)) for key, values in session.measured.items()}


def _summary(runs: list[Measurement]) -> dict:
    """Of several seeds, as it stands in reference.json."""
    first, excess = runs[0], [run.excess for run in runs]
    summary = {
        "mean": _rounded(statistics.fmean(excess)),
        "sd": _rounded(statistics.stdev(excess)) if len(excess) > 1 else 0.0,
        "runs": [_rounded(e) for e in excess],
        "limit": None if first.limit is None else _rounded(first.limit),
        "baseline": _rounded(first.baseline),
        "seconds": round(statistics.median(run.seconds for run in runs), 1),
        "unit": first.unit + ("" if first.limit is None else " above the limit"),
    }
    return summary if first.promised is None else summary | {"promised": first.promised}


def _rounded(value: float) -> float:
    return round(value, 6) + 0.0  # and no -0.0


def _versions() -> dict:
    import torch

    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def _keep_artifacts(trained: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in trained.glob("*.safetensors"):
        if ".previous." not in file.name:
            shutil.copyfile(file, target / file.name)


if __name__ == "__main__":
    write_atomically(RESULTS, results())
