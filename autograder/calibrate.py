"""Reference losses, and how often a right solution fails by chance: train the solutions under several seeds.

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

from autograder import environment, exercises, mutants, notebooks, runner, variants
from autograder.exercises import ROOT, Exercise
from autograder.grading.cache import write_atomically
from autograder.grading.course import SourceError
from autograder.handout.submit import solution_cells
from autograder.properties import loss
from autograder.properties.finding import Finding

RESULTS = ROOT / "docs" / "results.md"
SEEDS = 5  # of a new exercise; more where so few leave its threshold too near to what right solutions reach
RECIPE, RECIPE_SEEDS = "stated-recipe", 3
TARGET = 1e-3  # a right solution may lose a check by chance this often
TAIL = 0.25  # share of the draws that a tail is fitted to


class _Open(dict):
    """References while there are none: every loss is measured, none is judged."""

    def __missing__(self, key):
        return {"mean": 0.0, "sd": 0.0}


def calibrate(
    homework: str, seeds: int, draws: int, exercise: str = "", progress: Callable[[str], None] = lambda text: None,
    recipes_only: bool = False,
) -> dict:  # fmt: skip
    """Train `homework`'s solutions under seeds 0 … seeds − 1; write reference.json and return it.

    seeds: 0 for as many as last time. exercise: this one only; the others' references stay as they are. draws: how
    often every check is run, spread over the trained models, to estimate its false failures. The weights of seed 0
    become the reference artifacts. recipes_only: train what the text states, and leave all else as it is.
    Raises SourceError if a solution does not run, or loses a structural check: a reference must be right first.
    """
    file = ROOT / "autograder" / homework / "reference.json"
    reference = dict(runner.references(homework))
    for e in exercises.of_homework(homework, exercise):
        if recipes_only:
            _recipe(e, reference, progress)
            continue
        made, students = _train(e, seeds or last_time(reference, e), progress)
        reference |= made
        students += _recipe(e, reference, progress)
        progress(f"{e.name}: running every check {draws} times")
        rates = reference.setdefault("_false_failures", {})
        rates[e.name] = _false_failures(e, students, draws, reference)
        for check, row in rates[e.name].items():
            if row["rate"] > TARGET or row["failures"]:
                progress(f"  too often: {check} failed {row['failures']} of {draws}, estimated {row['rate']:.2g}")
    if not recipes_only:
        under = f" --seeds {seeds}" if seeds else ""
        reference["_made_by"] = {"command": f"deepul calibrate {homework}{under} --draws {draws}", **_versions()}
    write_atomically(file, json.dumps(reference, indent=2, sort_keys=True) + "\n")
    runner.references.cache_clear()
    write_atomically(RESULTS, results())
    return reference


def _recipe(exercise: Exercise, reference: dict, progress: Callable[[str], None]) -> list:
    """Note what the stated recipe of an exercise reaches, {"mean", "sd", "runs"}; its students, one a seed."""
    stated = [v for v in variants.of_homework(exercise.homework) if (v.exercise, v.name) == (exercise.name, RECIPE)]
    if not stated:
        return []
    made, students = _train(exercise, RECIPE_SEEDS, progress, stated[0])
    for key, summary in made.items():
        reference[key]["recipe"] = {k: summary[k] for k in ("mean", "sd", "runs", "seconds")}
        reference[key] |= {k: v for k, v in summary.items() if k == "promised"}
    return students


def seeds_needed(reference: dict, most: int = 100) -> int:
    """Under how many seeds to train, so that one more model stays within its threshold but for one in 1 / TARGET.

    The mean and the spread of n models are estimates: what one more model differs from them by is √(1 + 1/n) times
    Student's t with n − 1 degrees of freedom. `most` where no number is enough.
    """
    from scipy.stats import t

    room = _full(reference) - reference["mean"]
    if not reference["sd"]:
        return 2
    n = np.arange(2, most)
    enough = t.sf(room / (reference["sd"] * np.sqrt(1 + 1 / n)), n - 1) < TARGET
    return int(n[enough.argmax()]) if enough.any() else most


def _full(reference: dict) -> float:
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
        "references as they are by `python -m autograder.calibrate`.\n"
    ]
    for homework in exercises.homeworks():
        reference = runner.references(homework)
        seconds = sum(r["seconds"] for k, r in reference.items() if not k.startswith("_"))
        parts += [
            f"\n## {homework}: {seconds / 60:.1f} minutes of training\n",
            "| exercise | mean ± sd | seeds | stated recipe | full points up to | unit | limit, nats | baseline "
            "| seconds |\n|---|---|---|---|---|---|---|---|---|",
        ]
        for exercise in exercises.of_homework(homework):
            for key, r in reference.items():
                if key.split(".")[0] == exercise.name:
                    limit = "" if r["limit"] is None else f"{r['limit']:.4f}"
                    unit = r["unit"].replace("|", "\\|")
                    recipe = f"{r['recipe']['mean']:.4f} ± {r['recipe']['sd']:.4f}" if "recipe" in r else ""
                    found = f"{r['mean']:.4f} ± {r['sd']:.4f} | {len(r['runs'])} | {recipe} | {_full(r):.4f} | {unit}"
                    row = f"{exercise.number} `{key}` | {found} | {limit} | {r['baseline']:.4f} | {r['seconds'] or ''}"
                    parts.append(f"| {row} |")
    return "\n".join(parts) + "\n"


def _train(
    exercise: Exercise, seeds: int, progress: Callable[[str], None], variant: mutants.Variant | None = None
) -> tuple[dict, list]:
    """({reference key: its summary}, the student of every seed), of the solution or of a variant of it.

    What was trained is kept in build/calibrate as long as the section's code is the same: a calibration that was
    interrupted goes on, and checks are measured again without training again.
    """
    runs: dict[str, list[dict]] = {}
    students = []
    cells = solution_cells(exercise.homework)
    cells = notebooks.section(mutants.apply(variant, cells) if variant else cells, exercise.number)
    code = [c.source for c in cells if c.kind == "code"]
    digest = hashlib.sha256("\0".join([*code, importlib.metadata.version("torch")]).encode()).hexdigest()[:12]
    kept = ROOT / "build" / "calibrate" / f"{exercise.name}-{digest}"
    what = f"{exercise.name}, {variant.name}" if variant else exercise.name
    for seed in range(seeds):
        folder = kept / str(seed)
        with environment.variables(DEEPUL_SEED=str(seed)):
            progress(f"{what}: training with seed {seed}")
            student, measured, seconds = _one_run(exercise, cells, folder, seed)
        students.append(student)
        if seed == 0 and not variant:
            _keep_artifacts(folder, ROOT / "solutions" / exercise.homework / "artifacts")
        for key, values in measured.items():
            runs.setdefault(key, []).append(values | {"seconds": seconds.get(key, 0.0)})
            took = f" in {seconds[key]:.1f} s" if key in seconds else ""
            progress(f"  {key}: {values['excess']:.4f} {values['unit']}{took}")
    return {key: _summary(values) for key, values in runs.items()}, students


def _one_run(exercise: Exercise, cells: list[notebooks.Cell], artifacts: Path, seed: int) -> tuple:
    folder = ROOT / "solutions" / exercise.homework
    with contextlib.redirect_stdout(io.StringIO()):
        ran = notebooks.run_cells(cells, folder, artifacts, exercise.homework)
    if ran.errors:
        raise SourceError(f"the solution of {exercise} does not run: {next(iter(ran.errors.values()))}")
    session = runner.Session(ran.student, f"calibrate-{seed}", _Open())
    runner.run(exercise, session)
    wrong = [r for r in session.results if r.outcome in ("failed", "skipped", "not graded")]
    if wrong:
        raise SourceError(f"the solution of {exercise} fails “{wrong[0].title}”: {wrong[0].measured}{wrong[0].fault}")
    return ran.student, session.measured, {name: history.seconds for name, history in ran.session.histories.items()}


def _false_failures(exercise: Exercise, students: list, draws: int, reference: dict) -> dict:
    """{check: how often it failed in `draws` runs, and how often it would at its threshold}, new seeds every run."""
    strains: dict[str, list[float]] = {}
    losses: dict[str, dict[int, list[Finding]]] = {}
    failures: dict[str, int] = {}
    for draw in range(draws):
        session = runner.Session(students[draw % len(students)], f"draw {draw}", reference)
        runner.run(exercise, session)
        for result in session.results:
            failures[result.name] = failures.get(result.name, 0) + (result.outcome != "passed")
        for check, findings in session.findings.items():
            measured = [f for f in findings if f.value is not None and f.bound is not None]
            for k, finding in enumerate(f for f in measured if f.kind == "loss"):
                losses.setdefault(check, {}).setdefault(k, []).append(finding)
            others = [strain(f) for f in measured if f.kind != "loss"]
            if others:
                strains.setdefault(check, []).append(max(others))
    rows = {}
    for check, failed in failures.items():
        rate = tail(strains[check]) if check in strains else 0.0
        rate += sum(loss_tail(found, len(students)) for found in losses.get(check, {}).values())
        kind = "statistic" if check in strains else "trained" if check in losses else "exact"
        rows[check] = {"draws": draws, "failures": failed, "rate": float(f"{rate:.2g}"), "kind": kind}
    return rows


def strain(finding: Finding) -> float:
    """How much of the way to its bound a statistic went: beyond 1 it fails. Its tail is close to exponential."""
    value, bound = finding.value, finding.bound
    if finding.kind == "p-value":
        return float(np.log(max(value, 1e-300)) / np.log(bound))
    return float(bound / max(value, 1e-300) if finding.kind == "at least" else value / bound)


def tail(strains: list[float]) -> float:
    """P(strain > 1), from an exponential fitted to the upper quarter of what was seen (peaks over threshold).

    Exact for p-values of an exact test; for lighter tails, such as a normal one, it says too much rather than too
    little.
    """
    drawn = np.asarray(strains)
    threshold = np.quantile(drawn, 1 - TAIL)
    beyond = drawn[drawn > threshold] - threshold
    if threshold >= 1:
        return float((drawn > 1).mean())
    if not len(beyond) or beyond.mean() <= 0:
        return 0.0
    return float(TAIL * np.exp(-(1 - threshold) / beyond.mean()))


def loss_tail(findings: list[Finding], models: int) -> float:
    """P(the loss of one more trained model loses points), by Student's t on those that were trained.

    findings: one a draw, of the models in turn. The loss of a model differs from draw to draw (other held-out data)
    and from model to model; the two variances add, and so do their degrees of freedom, by Welch and Satterthwaite.
    """
    from scipy.stats import t

    values, bound = np.array([f.value for f in findings]), findings[0].bound
    of_model = [values[k::models] for k in range(models)]
    between = np.var([v.mean() for v in of_model], ddof=1) * (1 + 1 / models)
    within = sum(((v - v.mean()) ** 2).sum() for v in of_model) / max(len(values) - models, 1)
    if not between + within:
        return float(values.mean() > bound)
    freedom = (between + within) ** 2 / (between**2 / (models - 1) + within**2 / max(len(values) - models, 1))
    return float(t.sf((bound - values.mean()) / np.sqrt(between + within), freedom))


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
        "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version(),
        "threads": torch.get_num_threads(), "cores": os.cpu_count(),
    }  # fmt: skip


def _keep_artifacts(made: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in made.glob("*.safetensors"):
        if ".previous." not in file.name:
            shutil.copyfile(file, target / file.name)


if __name__ == "__main__":
    write_atomically(RESULTS, results())
