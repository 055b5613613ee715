"""The flows of assignment 2 against nflows and zuko, at equal processor time on one thread: python benchmarks/flows.py

Ours are the reference solutions, trained as the notebook trains them. Then two peers (PyPI, installed beside in build/)
get the same data, as many seconds of processor time, and Adam:

- nflows, the same class of model: its RealNVP with as many couplings and hidden units, and its MADE with mixtures of as
  many Gaussians, which is the autoregressive flow under another name; batches as ours, the best of three learning
  rates, falling along a cosine;
- zuko, the stronger class: a neural spline flow, autoregressive, of three transforms with 16 bins and hidden layers
  (64, 64), a learning rate of 1e-2 that falls to zero, on data scaled by one half, so that they lie where splines bend.

Printed are nats above the exact limit on fresh held-out data; what the model class costs, ours less zuko's at the same
time; and what more components buy.

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

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from solved import defined
from tqdm import tqdm

from autograder.assignments import ROOT
from autograder.properties.flows import excess_nats
from deepul_utils import toy

PEERS = {"nflows": ("nflows==0.14", "umnn==1.71"), "zuko": ("zuko==1.6.0",)}
SETS = ("smiley", "moons")
POINTS = ("ar_flow", "realnvp")
IMAGES = {"realnvp_images": "ImageRealNVP", "glow": "Glow"}
HELD_OUT = 100_000
BATCH = 1024
SCALE = 0.5  # of the data that zuko gets
SMALL_STEPS, SMALL_HELD_OUT = 20, 2000

LogProb = Callable[[torch.Tensor], torch.Tensor]


def excess(log_prob: LogProb, data: toy.Distribution, n: int) -> float:
    """Nats above the limit on n held-out points."""
    x = data.sample(n, seed=1, split="test")
    with torch.no_grad():
        log_p = torch.cat([log_prob(part) for part in torch.as_tensor(x).split(10_000)])
    return excess_nats(data.log_prob(x), log_p.numpy())


def trained(names: dict, kind: str, data: toy.Distribution, seed: int, components: int = 5) -> tuple[LogProb, float]:
    """(log_prob, processor seconds of training) of a reference solution."""
    torch.manual_seed(zlib.crc32(f"{kind}.{data.name}".encode()) + seed)
    model = names["RealNVP"](couplings=6) if kind == "realnvp" else names["ARFlow"](components=components)
    train, began = names[f"train_{kind}"](data), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        train(model)
    return model.eval().log_prob, time.process_time() - began


def race(model: torch.nn.Module, log_prob: LogProb, data: toy.Distribution, rate: float, seconds: float) -> None:
    """Maximise log_prob for so many seconds of processor time, the learning rate falling along a cosine."""
    began = time.process_time()  # ours draws its data in this time, too
    points = torch.as_tensor(data.sample(500_000, seed=0))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    while (share := (time.process_time() - began) / seconds) < 1:
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * share))
        loss = -log_prob(points[torch.randint(len(points), (BATCH,))]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def of_nflows(kind: str, data: toy.Distribution, seed: int, seconds: float, n: int) -> float:
    """Nats above the limit of the same class of model in nflows; the best of three learning rates."""
    from nflows.distributions.mixture import MADEMoG
    from nflows.flows.realnvp import SimpleRealNVP

    found = []
    for rate in (1e-3, 3e-3, 1e-2):
        torch.manual_seed(seed)
        if kind == "realnvp":
            model = SimpleRealNVP(features=2, hidden_features=64, num_layers=6, num_blocks_per_layer=1)
        else:
            model = MADEMoG(features=2, hidden_features=64, context_features=None, num_mixture_components=5)
        race(model, model.log_prob, data, rate, seconds)
        found.append(excess(model.log_prob, data, n))
    return min(found)


def of_zuko(data: toy.Distribution, seed: int, seconds: float, n: int) -> float:
    """Nats above the limit of zuko's neural spline flow."""
    import zuko

    torch.manual_seed(seed)
    model = zuko.flows.NSF(features=2, transforms=3, bins=16, hidden_features=(64, 64))

    def log_prob(x: torch.Tensor) -> torch.Tensor:
        return model().log_prob(SCALE * x) + x.shape[1] * math.log(SCALE)

    race(model, log_prob, data, 1e-2, seconds)
    return excess(log_prob, data, n)


def install() -> None:
    """Both peers, and what they need beside torch, in folders of their own: nothing of the kit's changes."""
    for name, packages in PEERS.items():
        folder = ROOT / "build" / name
        if not (folder / name).exists():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *packages]
            done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{name} could not be installed into {folder}: {done.stderr.strip().splitlines()[-1]}")
        sys.path.append(str(folder))


def compare(names: dict, sets: tuple[str, ...], seeds: int, n: int, console: Console) -> None:
    """Print ours and both peers after as many processor seconds."""
    table = Table(
        "model",
        "data",
        "ours",
        "nflows, same class",
        "zuko, splines",
        "the class costs",
        "CPU s each",
        title="Nats above the limit, equal processor time on one thread",
    )
    for kind in POINTS:
        for data in map(toy.get, sets):
            runs = [trained(names, kind, data, seed) for seed in range(seeds)]
            ours, seconds = [excess(f, data, n) for f, _ in runs], statistics.fmean(s for _, s in runs)
            same = [of_nflows(kind, data, seed, seconds, n) for seed in range(seeds)]
            splines = [of_zuko(data, seed, seconds, n) for seed in range(seeds)]
            costs = f"{statistics.fmean(ours) - statistics.fmean(splines):+.4f}"
            table.add_row(kind, data.name, spread(ours), spread(same), spread(splines), costs, f"{seconds:.1f}")
    console.print(table)


def components(names: dict, numbers: list[int], n: int, console: Console) -> None:
    """Print what more components of the autoregressive flow buy."""
    title = "ar_flow: what more components buy (nats above the limit)"
    table = Table("components", *SETS, title=title, min_width=len(title) + 4)
    for number in numbers:
        found = (excess(trained(names, "ar_flow", toy.get(s), 0, number)[0], toy.get(s), n) for s in SETS)
        table.add_row(str(number), *(f"{e:.4f}" for e in found))
    console.print(table)


def stable(seeds: int, only: str | None, console: Console) -> None:
    """Train every flow under `seeds` seeds and print how many ended in finite numbers."""
    names = defined("hw2", change=steps(150))
    table = Table("model", "data", "finite", "mean ± sd", "worst", "unit", title=f"Trained under {seeds} seeds")
    for kind in (k for k in POINTS if only in (None, k)):
        for data in map(toy.get, SETS):
            ends = [excess(trained(names, kind, data, seed)[0], data, HELD_OUT) for seed in tqdm(range(seeds), kind)]
            _row(table, kind, data.name, ends, "nats above the limit")
    for kind in (k for k in IMAGES if only in (None, k)):
        ends = []
        for seed in tqdm(range(seeds), kind):
            torch.manual_seed(seed)
            history = names[f"train_{kind}"](names[IMAGES[kind]]((1, 32, 32), levels=16))
            ends.append(history.valid[-1])
        _row(table, kind, "digits32", ends, "bits/dim, 150 steps")
    console.print(table)


def steps(number: int, points: bool = False) -> Callable[[str], str]:
    """A change of the solutions' source: so many steps of training, of images, or of points, too."""
    pattern = r"^( +)steps = \d+" if points else r"^(    )steps = \d+"
    return lambda source: re.sub(pattern, rf"\1steps = {number}", source, flags=re.M)


def _row(table: Table, kind: str, data: str, ends: list[float], unit: str) -> None:
    finite = sum(map(math.isfinite, ends))
    table.add_row(kind, data, f"{finite} of {len(ends)}", spread(ends), f"{max(ends):.4f}", unit)


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.4f}" + (f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--stable", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--only", choices=(*POINTS, *IMAGES), help="with --stable: this model only")
    parser.add_argument("--small", action="store_true", help="a few steps of each: only to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    if options.stable:
        stable(options.stable, options.only, console)
        return
    install()
    names = defined("hw2", change=steps(SMALL_STEPS, points=True) if options.small else lambda source: source)
    n = SMALL_HELD_OUT if options.small else HELD_OUT
    compare(names, SETS[1:] if options.small else SETS, options.seeds, n, console)
    components(names, [1] if options.small else [1, 2, 5, 10, 20], n, console)


if __name__ == "__main__":
    main()
