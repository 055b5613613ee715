"""What a homework notebook imports: data, plots, training, and `check`."""

import importlib
import os

# Threads that wait for each other in a busy loop make small models up to 50 times slower as soon as anything
# else runs on the machine (measured: 45 ms instead of 2 ms a step, two cores). OpenMP reads this when torch
# loads it, so it stands before every import of torch, and notebooks import the kit first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from deepul_utils import places  # noqa: F401 - notes where the process started, before a cell calls os.chdir
from deepul_utils.check import check, submit

__all__ = [
    "History",
    "check",
    "classifier",
    "device",
    "drawn",
    "fit",
    "images",
    "play",
    "plots",
    "progress",
    "seed_everything",
    "submit",
    "tensors",
    "toy",
    "trained",
]
MODULES = ("classifier", "images", "plots", "tensors", "toy", "training")
OF_TRAINING = ("History", "device", "drawn", "fit", "play", "progress", "seed_everything", "trained")


def __getattr__(name: str):
    """Everything loads when it is first used: torch would take a second, and matplotlib half of one."""
    if name in MODULES:
        return importlib.import_module(f"deepul_utils.{name}")
    if name in OF_TRAINING:
        return getattr(importlib.import_module("deepul_utils.training"), name)
    raise AttributeError(f"deepul_utils has no {name!r}")
