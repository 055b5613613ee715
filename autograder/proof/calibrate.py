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
from pathlib import Path

import numpy as np

from autograder import assignments, environment, notebooks, runner
from autograder.assignments import ROOT, Exercise
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
    for stated in changes.variants(exercise.assignment.name):
        if (stated.exercise, stated.name) == (exercise.name, RECIPE):
            for key, summary in _train(exercise, RECIPE_SEEDS, progress, stated).items():
                reference[key]["recipe"] = {k: summary[k] for k in ("mean", "sd", "runs", "seconds")}
                reference[key] |= {k: v for k, v in summary.items() if k == "promised"}


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


def last_time(reference: dict, exercise: Exercise) -> int:
    """How many seeds the references of an exercise are of; SEEDS for a new one."""
    runs = [len(r["runs"]) for k, r in reference.items() if k.split(".")[0] == exercise.name]
    return max(runs, default=SEEDS)


def results() -> str:
    """What the solutions of all homeworks reach, as a page in Markdown."""
    parts = [
        "# What the solutions reach\n\nMeans over seeds on held-out data, with their standard deviation; thresholds "
        "follow from them\n(`autograder/properties/loss.py`). The baseline is a naive model's loss, where points end. "
        "Seconds are those of one training\non a single thread. Written by `deepul calibrate`; from the "
        "references as they are by `python -m autograder.proof.calibrate`.\n"
    ]
    for assignment in assignments.names():
        reference = runner.references(assignment)
        seconds = sum(r["seconds"] for k, r in reference.items() if not k.startswith("_"))
        parts += [
            f"\n## {assignment}: {seconds / 60:.1f} minutes of training\n",
            "| exercise | mean ± sd | seeds | stated recipe | full points up to | unit | limit, nats | baseline "
            "| seconds |\n|---|---|---|---|---|---|---|---|---|",
        ]
        for exercise in assignments.get(assignment).exercises:
            for key, r in reference.items():
                if key.split(".")[0] == exercise.name:
                    limit = "" if r["limit"] is None else f"{r['limit']:.4f}"
                    unit = r["unit"].replace("|", "\\|")
                    recipe = f"{r['recipe']['mean']:.4f} ± {r['recipe']['sd']:.4f}" if "recipe" in r else ""
                    found = (f"{r['mean']:.4f} ± {r['sd']:.4f}", len(r["runs"]), recipe, f"{full_up_to(r):.4f}", unit)
                    ends = (limit, f"{r['baseline']:.4f}", r["seconds"] or "")
                    row = " | ".join(str(v) for v in (f"{exercise.number} `{key}`", *found, *ends))
                    parts.append(f"| {row} |")
    return "\n".join(parts) + "\n"


def _train(
    exercise: Exercise, seeds: int, progress: Callable[[str], None], variant: changes.Variant | None = None
) -> dict:
    """{reference key: its summary}, of the solution or of a variant of it.

    What was trained is kept in build/calibrate as long as the section's code is the same: a calibration that was
    interrupted goes on.
    """
    runs: dict[str, list[dict]] = {}
    cells = solution_cells(exercise.assignment.name)
    cells = notebooks.section(changes.apply(variant, cells) if variant else cells, exercise.number)
    code = [c.source for c in cells if c.kind == "code"]
    digest = hashlib.sha256("\0".join([*code, importlib.metadata.version("torch")]).encode()).hexdigest()[:12]
    kept = ROOT / "build" / "calibrate" / f"{exercise.name}-{digest}"
    what = f"{exercise.name}, {variant.name}" if variant else exercise.name
    for seed in range(seeds):
        folder = kept / str(seed)
        with environment.variables(DEEPUL_SEED=str(seed)):
            progress(f"{what}: training with seed {seed}")
            measured, seconds = _one_run(exercise, cells, folder, seed)
        if seed == 0 and not variant:
            _keep_artifacts(folder, exercise.assignment.artifacts)
        for key, values in measured.items():
            runs.setdefault(key, []).append(values | {"seconds": seconds.get(key, 0.0)})
            took = f" in {seconds[key]:.1f} s" if key in seconds else ""
            progress(f"  {key}: {values['excess']:.4f} {values['unit']}{took}")
    return {key: _summary(values) for key, values in runs.items()}


def _one_run(exercise: Exercise, cells: list[notebooks.Cell], artifacts: Path, seed: int) -> tuple:
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
    return session.measured, {name: history.seconds for name, history in ran.session.histories.items()}


def _summary(runs: list[dict]) -> dict:
    excess = [r["excess"] for r in runs]
    return {
        "mean": round(statistics.fmean(excess), 6),
        "sd": round(statistics.stdev(excess), 6) if len(excess) > 1 else 0.0,
        "runs": [round(e, 6) for e in excess],
        "limit": None if runs[0]["limit"] is None else round(runs[0]["limit"], 6),
        "baseline": round(runs[0]["baseline"], 6),
        "seconds": round(statistics.median(r["seconds"] for r in runs), 1),
        "unit": runs[0]["unit"] + ("" if runs[0]["limit"] is None else " above the limit"),
    } | ({} if runs[0].get("promised") is None else {"promised": runs[0]["promised"]})


def _versions() -> dict:
    import torch

    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def _keep_artifacts(made: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in made.glob("*.safetensors"):
        if ".previous." not in file.name:
            shutil.copyfile(file, target / file.name)


if __name__ == "__main__":
    write_atomically(RESULTS, results())
