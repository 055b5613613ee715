"""Drawing from what was kept against a whole pass for every value, in one run: python benchmarks/sampling.py

The solutions' samplers of 1.3 PixelCNN, 1.4 gated PixelCNN, E5 WaveNet and E10 GPT, with the reference weights, on the
same noise: the draws must be equal. How many times fewer multiplications they take is counted (by torch's FLOP
counter); how many times less time is measured, and is less where calling a layer costs more than what it computes.
"""

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from solved import defined
from torch.utils.flop_counter import FlopCounterMode

from autograder.assignments import ROOT
from deepul_utils import sequences, signals
from deepul_utils.sequences import SequenceSet

SMALL, OF_SMALL = 8, 12  # pixels of a side, and values of a sequence: only to see that it runs


@dataclass(frozen=True)
class Sampler:
    """naive, kept: of so many examples -> the draws."""

    name: str
    naive: Callable[[int], torch.Tensor]
    kept: Callable[[int], torch.Tensor]


def timed(draw: Callable[[int], torch.Tensor], n: int) -> tuple[torch.Tensor, float]:
    """(samples, seconds), always with the same noise."""
    torch.manual_seed(0)
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        samples = draw(n)
    return samples, time.perf_counter() - begun


def multiplications(draw: Callable[[int], torch.Tensor]) -> int:
    """What one draw takes."""
    with FlopCounterMode(display=False) as counter, contextlib.redirect_stdout(io.StringIO()):
        draw(1)
    return counter.get_total_flops() // 2


def weights(assignment: str, name: str) -> dict[str, torch.Tensor]:
    """The reference weights."""
    return load_file(ROOT / "solutions" / assignment / "artifacts" / f"{name}.safetensors")


def pixelcnn(side: int) -> Sampler:
    """1.3: all activations of the layers are kept."""
    names = defined("hw1", "1.3")
    model = names["PixelCNN"]((1, side, side), levels=2)
    model.load_state_dict(weights("hw1", "pixelcnn"))

    @torch.no_grad()
    def naive(n: int) -> torch.Tensor:
        x, u = torch.zeros(n, 1, side, side, dtype=torch.long), torch.rand(n, 1, side, side)
        for i in range(side):
            for j in range(side):
                cdf = model.logits(x)[:, :, i, j].softmax(dim=-1).cumsum(dim=-1)
                x[:, :, i, j] = (cdf[..., :-1] < u[:, :, i, j, None]).sum(dim=-1)
        return x

    return Sampler("1.3 PixelCNN", naive, lambda n: names["fast_sample"](model, n))


def gated_pixelcnn(side: int) -> Sampler:
    """1.4: the vertical stack is computed once a row."""
    model = defined("hw1", "1.4")["GatedPixelCNN"]((1, side, side), levels=2, classes=10)
    model.load_state_dict(weights("hw1", "gated_pixelcnn"))

    def labels(n: int) -> torch.Tensor:
        return torch.arange(n) % 10

    @torch.no_grad()
    def naive(n: int) -> torch.Tensor:
        x = torch.zeros(n, 1, side, side, dtype=torch.long)
        for i in range(side):
            for j in range(side):
                p = model.logits(x, labels(n))[:, 0, i, j].softmax(dim=-1)
                x[:, 0, i, j] = torch.multinomial(p, 1).squeeze(-1)
        return x

    return Sampler("1.4 gated PixelCNN", naive, lambda n: model.sample(labels(n)))


def sequence(assignment: str, number: str, kind: str, data: SequenceSet, length: int | None) -> Sampler:
    """E5, E10: every layer keeps what it needs of the past. length: of a draw, the data's if None."""
    model = defined(assignment, number)[kind](data.length, data.levels)
    model.load_state_dict(weights(assignment, assignment))
    T = length or data.length

    @torch.no_grad()
    def naive(n: int) -> torch.Tensor:
        x, u = torch.zeros(n, T, dtype=torch.long), torch.rand(n, T)
        for t in range(T):
            cdf = model.logits(x)[:, t].softmax(dim=-1).cumsum(dim=-1)
            x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)
        return x

    return Sampler(f"{number} {kind}", naive, lambda n: model.draw(torch.rand(n, T)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--small", action="store_true", help="two small examples of each: only to see that it runs")
    given = parser.parse_args()
    side, length = (SMALL, OF_SMALL) if given.small else (32, None)
    torch.set_num_threads(1)
    samplers = (
        pixelcnn(side),
        gated_pixelcnn(side),
        sequence("wavenet", "E5", "WaveNet", signals.get("echo"), length),
        sequence("gpt", "E10", "GPT", sequences.get("text"), length),
    )
    table = Table(
        "sampler", "batch", "a pass a value, s", "kept, s", "times as fast", "times fewer operations", "equal draws"
    )
    for sampler in samplers:
        fewer = multiplications(sampler.naive) / multiplications(sampler.kept)
        for n in [2] if given.small else given.batches:
            (naive, naive_s), (kept, kept_s) = timed(sampler.naive, n), timed(sampler.kept, n)
            same = f"{(naive == kept).float().mean():.4%}"
            faster = f"{naive_s / kept_s:.1f}"
            table.add_row(sampler.name, str(n), f"{naive_s:.2f}", f"{kept_s:.2f}", faster, f"{fewer:.0f}", same)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
