"""Reference losses: train the solutions under several seeds, and write down how they end."""

import contextlib
import io
import json
import os
import platform
import shutil
import statistics
import tempfile
from pathlib import Path

from autograder import environment, exercises, notebooks, runner
from autograder.exercises import ROOT


class _Open(dict):
    """References while there are none: every loss is measured, none is judged."""

    def __missing__(self, key):
        return {"mean": 0.0, "sd": 0.0}


def calibrate(homework: str, seeds: int, progress=lambda text: None) -> dict:
    """Train `homework`'s solutions under seeds 0 … seeds − 1; write reference.json and return it.

    The weights of seed 0 become the reference artifacts. Raises RuntimeError if a solution loses a structural
    check: a reference must be right before it is a reference.
    """
    source = ROOT / "solutions" / homework / f"{homework}.py"
    runs: dict[str, list[dict]] = {}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder, environment.variables(DEEPUL_SEED=str(seed)):
            progress(f"{homework}: training with seed {seed}")
            measured, seconds = _one_run(homework, source, Path(folder))
            if seed == 0:
                _keep_artifacts(Path(folder), source.parent / "artifacts")
        for key, values in measured.items():
            runs.setdefault(key, []).append(values | {"seconds": seconds[key]})
            progress(f"  {key}: {values['excess']:.4f} nats above the limit in {seconds[key]:.1f} s")
    reference = {key: _summary(values) for key, values in runs.items()}
    reference["_made_by"] = {"command": f"deepul calibrate {homework} --seeds {seeds}", **_versions()}
    text = json.dumps(reference, indent=2, sort_keys=True) + "\n"
    (ROOT / "autograder" / homework / "reference.json").write_text(text, encoding="utf-8")
    runner.references.cache_clear()
    return reference


def _one_run(homework: str, source: Path, artifacts: Path) -> tuple[dict, dict]:
    with contextlib.redirect_stdout(io.StringIO()):
        ran = notebooks.run_notebook(source, artifacts)
    if ran.errors:
        raise RuntimeError(f"{source.name} does not run: {next(iter(ran.errors.values()))}")
    measured: dict[str, dict] = {}
    for exercise in exercises.of_homework(homework):
        session = runner.Session(ran.student, f"calibrate-{os.environ['DEEPUL_SEED']}", _Open())
        runner.run(exercise, session)
        wrong = [r for r in session.results if r.outcome in ("failed", "skipped", "not graded")]
        if wrong:
            raise RuntimeError(
                f"the solution of {exercise} fails “{wrong[0].title}”: {wrong[0].measured}{wrong[0].fault}"
            )
        measured |= session.measured
    return measured, {name: history.seconds for name, history in ran.session.histories.items()}


def _summary(runs: list[dict]) -> dict:
    excess = [r["excess"] for r in runs]
    return {
        "mean": round(statistics.fmean(excess), 6),
        "sd": round(statistics.stdev(excess), 6) if len(excess) > 1 else 0.0,
        "runs": [round(e, 6) for e in excess],
        "limit": round(runs[0]["limit"], 6),
        "baseline": round(runs[0]["baseline"], 6),
        "seconds": round(statistics.median(r["seconds"] for r in runs), 1),
        "unit": "nats above the limit",
    }


def _versions() -> dict:
    import numpy
    import torch

    return {"torch": torch.__version__, "numpy": numpy.__version__, "python": platform.python_version()}


def _keep_artifacts(made: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in made.glob("*.safetensors"):
        shutil.copyfile(file, target / file.name)
