"""The flows of homework 2 against nflows, at equal training time, in one run: python benchmarks/flows.py [--seeds 1]

Ours are the reference solutions, trained as the notebook trains them. Then the peer (nflows, PyPI, installed beside in
build/nflows) gets the same data, as many seconds on the same threads, batches of the same size, Adam, and a learning
rate that falls along a cosine: its RealNVP with as many couplings and hidden units, and its MADE with mixtures of as
many Gaussians, which is the autoregressive flow under another name. Printed are nats above the exact limit on fresh
held-out data, and what more components buy.

--stable 20 [--only realnvp] trains under that many seeds instead, and says how many ended in finite numbers: the flows
of points as the notebook does, those of images for 150 steps, up to the notebook's learning rate and down again.
"""

import argparse
import contextlib
import io
import math
import os
import re
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from autograder import notebooks
from autograder.exercises import ROOT
from autograder.handout.submit import solution_cells
from autograder.properties.flows import excess_nats
from deepul_utils import toy

PEER = ROOT / "build" / "nflows"
SETS = ("smiley", "moons")
POINTS = ("ar_flow", "realnvp")
IMAGES = {"realnvp_images": "ImageRealNVP", "glow": "Glow"}
HELD_OUT = 100_000
BATCH = {"ar_flow": 1024, "realnvp": 1024}


def solution(change: Callable[[str], str] = lambda source: source) -> dict:
    """What the solution of homework 2 defines, its cells changed by `change`; nothing is trained."""
    cells = [c for c in solution_cells("hw2") if not notebooks.TRAINED.search(c.source)]
    defines = re.compile(r"^(class |def |from |digits = )", flags=re.M)
    defining = [replace(c, source=change(c.source)) for c in cells if defines.search(c.source)]
    with contextlib.redirect_stdout(io.StringIO()):
        return notebooks.run_cells(defining, ROOT / "solutions" / "hw2", Path("unused"), "hw2").namespace


def excess(log_prob, data: toy.Distribution) -> float:
    """Nats above the limit on held-out data."""
    x = data.sample(HELD_OUT, seed=1, split="test")
    with torch.no_grad():
        log_p = torch.cat([log_prob(part) for part in torch.as_tensor(x).split(10_000)])
    return excess_nats(data.log_prob(x), log_p.numpy())


def ours(names: dict, kind: str, data: toy.Distribution, seed: int, components: int = 5) -> tuple[float, float]:
    """(nats above the limit, seconds of training) of a reference solution."""
    torch.manual_seed(zlib.crc32(f"{kind}.{data.name}".encode()) + seed)
    model = names["RealNVP"](couplings=6) if kind == "realnvp" else names["ARFlow"](components=components)
    seconds = names[f"train_{kind}"](data)(model).seconds
    return excess(model.eval().log_prob, data), seconds


def peer(kind: str, data: toy.Distribution, seed: int, seconds: float) -> tuple[float, int]:
    """(nats above the limit, steps) of nflows after `seconds` of training; the best of three learning rates."""
    from nflows.distributions.mixture import MADEMoG
    from nflows.flows.realnvp import SimpleRealNVP

    best = (math.inf, 0)
    for rate in (1e-3, 3e-3, 1e-2):
        torch.manual_seed(seed)
        if kind == "realnvp":
            model = SimpleRealNVP(features=2, hidden_features=64, num_layers=6, num_blocks_per_layer=1)
        else:
            model = MADEMoG(features=2, hidden_features=64, context_features=None, num_mixture_components=5)
        data_points = torch.as_tensor(data.sample(500_000, seed=0))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        began, steps = time.monotonic(), 0
        while (share := (time.monotonic() - began) / seconds) < 1:
            optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * share))
            x = data_points[torch.randint(len(data_points), (BATCH[kind],))]
            loss = -model.log_prob(x).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            steps += 1
        model.eval()
        best = min(best, (excess(model.log_prob, data), steps))
    return best


def install() -> None:
    """nflows and what it needs beside torch, into a folder of their own: nothing of the kit's changes."""
    if not (PEER / "nflows").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", PEER, "nflows", "umnn"]
        subprocess.run([*map(str, command)], check=True)
    sys.path.append(str(PEER))


def stable(seeds: int, only: str | None, console: Console) -> None:
    """Train every flow under `seeds` seeds and print how many ended in finite numbers."""
    names = solution(lambda source: re.sub(r"^    steps = \d+", "    steps = 150", source, flags=re.M))
    table = Table("model", "data", "finite", "mean ± sd", "worst", "unit", title=f"Trained under {seeds} seeds")
    for kind in (k for k in POINTS if only in (None, k)):
        for data in map(toy.get, SETS):
            ends = [ours(names, kind, data, seed)[0] for seed in tqdm(range(seeds), kind)]
            _row(table, kind, data.name, ends, "nats above the limit")
    for kind in (k for k in IMAGES if only in (None, k)):
        ends = []
        for seed in tqdm(range(seeds), kind):
            torch.manual_seed(seed)
            history = names[f"train_{kind}"](names[IMAGES[kind]]((1, 32, 32), levels=16))
            ends.append(history.valid[-1])
        _row(table, kind, "digits32", ends, "bits/dim, 150 steps")
    console.print(table)


def _row(table: Table, kind: str, data: str, ends: list[float], unit: str) -> None:
    finite = sum(map(math.isfinite, ends))
    table.add_row(kind, data, f"{finite} of {len(ends)}", spread(ends), f"{max(ends):.4f}", unit)


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stable", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--only", choices=(*POINTS, *IMAGES), help="with --stable: this model only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    if options.stable:
        stable(options.stable, options.only, console)
        return
    install()
    names = solution()
    table = Table("model", "data", "ours", "nflows", "seconds each", title="Nats above the limit, equal training time")
    for kind in POINTS:
        for data in map(toy.get, SETS):
            runs = [ours(names, kind, data, seed) for seed in range(options.seeds)]
            seconds = statistics.fmean(s for _, s in runs)
            theirs = [peer(kind, data, seed, seconds)[0] for seed in range(options.seeds)]
            table.add_row(kind, data.name, spread([e for e, _ in runs]), spread(theirs), f"{seconds:.1f}")
    console.print(table)
    table = Table("components", *SETS, title="ar_flow: what more components buy (nats above the limit)")
    for components in (1, 2, 5, 10, 20):
        table.add_row(str(components), *(f"{ours(names, 'ar_flow', toy.get(s), 0, components)[0]:.4f}" for s in SETS))
    console.print(table)


if __name__ == "__main__":
    main()
