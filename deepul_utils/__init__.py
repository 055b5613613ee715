"""What a homework notebook imports: data, plots, training, and `check`."""

import importlib

from deepul_utils.check import check
from deepul_utils.training import History, device, fit, progress, seed_everything, trained

__all__ = [
    "History", "check", "device", "fit", "plots", "progress", "seed_everything", "tensors", "toy", "trained",
]  # fmt: skip


def __getattr__(name: str):
    """The modules themselves load when they are first used: matplotlib alone would take half a second."""
    if name in ("plots", "tensors", "toy"):
        return importlib.import_module(f"deepul_utils.{name}")
    raise AttributeError(f"deepul_utils has no {name!r}")
