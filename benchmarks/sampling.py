"""Sampling a PixelCNN with kept activations against a forward pass a pixel, in one run: python benchmarks/sampling.py

Both are the solution's (exercise 1.3), with the reference weights, on the same noise: the draws must be equal.
"""

import argparse
import contextlib
import io
import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from solved import defined

from autograder.assignments import ROOT

WEIGHTS = ROOT / "solutions" / "hw1" / "artifacts" / "pixelcnn.safetensors"


def timed(draw) -> tuple[torch.Tensor, float]:
    """(samples, seconds), always with the same noise."""
    torch.manual_seed(0)
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        samples = draw()
    return samples, time.perf_counter() - begun


@torch.no_grad()
def forward_pass_a_pixel(model, n: int) -> torch.Tensor:
    """The textbook's sampler: the whole image through the network for every pixel."""
    _, H, W = model.shape
    x, u = torch.zeros(n, 1, H, W, dtype=torch.long), torch.rand(n, 1, H, W)
    for i in range(H):
        for j in range(W):
            cdf = model.logits(x)[:, :, i, j].softmax(dim=-1).cumsum(dim=-1)
            x[:, :, i, j] = (cdf[..., :-1] < u[:, :, i, j, None]).sum(dim=-1)
    return x


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--side", type=int, default=32, help="pixels of an image's side")
    parser.add_argument("--small", action="store_true", help="two images of 8 × 8: only to see that it runs")
    given = parser.parse_args()
    batches, side = ([2], 8) if given.small else (given.batches, given.side)
    torch.set_num_threads(1)
    names = defined("hw1", "1.3")
    model = names["PixelCNN"]((1, side, side), levels=2)
    model.load_state_dict(load_file(WEIGHTS))
    model.to(memory_format=torch.channels_last)
    table = Table(
        "batch", "whole image a pixel, s", "rows so far, s", "kept activations, s", "times naive", "equal draws"
    )
    for n in batches:
        naive, naive_s = timed(lambda: forward_pass_a_pixel(model, n))  # noqa: B023 - called at once
        rows, rows_s = timed(lambda: model.sample(n))  # noqa: B023
        fast, fast_s = timed(lambda: names["fast_sample"](model, n))  # noqa: B023
        same = f"{(naive == fast).float().mean():.4%}, {(rows == fast).float().mean():.4%}"
        table.add_row(str(n), f"{naive_s:.2f}", f"{rows_s:.2f}", f"{fast_s:.2f}", f"{naive_s / fast_s:.0f}", same)
    Console().print(table)


if __name__ == "__main__":
    main()
