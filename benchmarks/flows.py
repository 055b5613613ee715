"""The flows of homework 2 against nflows, at equal training time, in one run: python benchmarks/flows.py [--seeds 1]

Ours are the reference solutions, trained as the notebook trains them. Then the peer (nflows, PyPI, installed beside in
build/nflows) gets the same data, as many seconds on the same threads, batches of the same size, Adam, and a learning
rate that falls along a cosine: its RealNVP with as many couplings and hidden units, and its MADE with mixtures of as
many Gaussians, which is the autoregressive flow under another name. Printed are nats above the exact limit on fresh
held-out data, and what more components buy.
"""

import argparse
import contextlib
import io
import math
import os
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table

from autograder import notebooks
from autograder.exercises import ROOT
from autograder.handout.submit import solution_cells
from autograder.properties.flows import excess_nats
from deepul_utils import toy

PEER = ROOT / "build" / "nflows"
SETS = ("smiley", "moons")
HELD_OUT = 100_000
BATCH = {"ar_flow": 1024, "realnvp": 1024}


def solution() -> dict:
    """What the solution of homework 2 defines; nothing is trained."""
    cells = [c for c in solution_cells("hw2") if not notebooks.TRAINED.search(c.source)]
    defining = [c for c in cells if c.source.lstrip().startswith(("class ", "def ", "from ", "@torch"))]
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


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    install()
    names, console = solution(), Console()
    table = Table("model", "data", "ours", "nflows", "seconds each", title="Nats above the limit, equal training time")
    for kind in ("ar_flow", "realnvp"):
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
