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

from autograder import assignments, environment, notebooks, runner, sources
from autograder.assignments import ROOT, Assignment, Exercise
from autograder.course import SourceError
from autograder.files import write_atomically
from autograder.handout.submit import solution_cells
from autograder.proof import changes
from autograder.properties import loss
from deepul_utils import turn

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


def weights(assignment: str, exercise: str = "", progress: Callable[[str], None] = lambda text: None) -> None:
    """Train `assignment`'s solutions under seed 0: the reference artifacts; the references stay as they are.

    For data that are equivalent. Raises SourceError where the solution does not earn everything under these references:
    then it is to be calibrated.
    """
    for e in assignments.get(assignment).chosen(exercise):
        progress(f"{e.name}: training with seed 0")
        cells = notebooks.section(solution_cells(assignment), e.number)
        folder = _kept(e, cells) / "0"
        session = runner.Session(_run(e, cells, folder, 0).student, "weights", runner.references(assignment))
        runner.run(e, session)
        if lost := [r for r in session.results if r.outcome != "passed"]:
            raise SourceError(
                f"{e}, trained anew, loses “{lost[0].title}” ({lost[0].measured}; {lost[0].required}) under the "
                f"references of {assignment}: they are not those of these data. Run deepul calibrate {assignment}."
            )
        _keep_artifacts(folder, e.assignment.artifacts)


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


def on_turned_data() -> list[str]:
    """The assignments that train on sets which `deepul turn` turns: points and pictures; the others get other draws."""
    turned = {ROOT / "deepul_utils" / name / "__init__.py" for name in ("toy", "images")}
    given = [a for a in map(assignments.get, assignments.names()) if a.source.exists()]
    return [a.name for a in given if turned & set(sources.imported(a.source.read_text(encoding="utf-8")))]


def seconds(assignment: str) -> float:
    """How long one training of all its models takes on one thread, as it was measured."""
    return sum(entry["seconds"] for key, entry in runner.references(assignment).items() if not key.startswith("_"))


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
    return [
        f"\n## {assignment.name}: {seconds(assignment.name) / 60:.1f} minutes of training\n",
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

    What was trained is kept in build/calibrate as long as the section's code and the data are the same: a calibration
    that was interrupted goes on.
    """
    cells = solution_cells(exercise.assignment.name)
    cells = notebooks.section(changes.apply(variant, cells) if variant else cells, exercise.number)
    kept = _kept(exercise, cells)
    what = f"{exercise.name}, {variant.name}" if variant else exercise.name
    runs: dict[str, list[Measurement]] = {}
    for seed in range(seeds):
        folder = kept / str(seed)
        progress(f"{what}: training with seed {seed}")
        measured = _one_run(exercise, cells, folder, seed)
        if seed == 0 and not variant:
            _keep_artifacts(folder, exercise.assignment.artifacts)
        for key, run in measured.items():
            runs.setdefault(key, []).append(run)
            took = f" in {run.seconds:.1f} s" if run.seconds else ""
            progress(f"  {key}: {run.excess:.4f} {run.unit}{took}")
    return {key: _summary(of_key) for key, of_key in runs.items()}


def _kept(exercise: Exercise, cells: list[notebooks.Cell]) -> Path:
    """Where what these cells train is kept, in a folder for each seed."""
    rests_on = [*(c.source for c in cells if c.kind == "code"), importlib.metadata.version("torch")]
    rests_on += [str(turn.number())] if turn.number() else []
    digest = hashlib.sha256("\0".join(rests_on).encode()).hexdigest()[:12]
    return ROOT / "build" / "calibrate" / f"{exercise.name}-{digest}"


def _run(exercise: Exercise, cells: list[notebooks.Cell], artifacts: Path, seed: int) -> notebooks.Ran:
    """Train under one seed, or read what was trained."""
    with contextlib.redirect_stdout(io.StringIO()), environment.variables(DEEPUL_SEED=str(seed)):
        ran = notebooks.run_cells(cells, exercise.assignment.solution, artifacts, exercise.assignment.name)
    if ran.errors:
        raise SourceError(f"the solution of {exercise} does not run: {next(iter(ran.errors.values()))}")
    return ran


def _one_run(exercise: Exercise, cells: list[notebooks.Cell], artifacts: Path, seed: int) -> dict[str, Measurement]:
    """{reference key: what it reached}, of one seed."""
    ran = _run(exercise, cells, artifacts, seed)
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
