"""Random numbers, of every source that a notebook uses: where they start, and where they stand."""

import contextlib
import os
import random

import numpy as np
import torch

from deepul_utils.devices import device


def seed_everything(seed: int) -> None:
    """Start Python's, NumPy's and torch's random numbers from `seed`.

    The environment variable DEEPUL_SEED is added: calibration trains every notebook under many seeds.
    """
    _seed(seed + _extra_seed())


def _extra_seed() -> int:
    return int(os.environ.get("DEEPUL_SEED") or 0)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - students may use the legacy generator
    # torch.manual_seed takes milliseconds, and memory for good: it formats its caller's stack for every kind of
    # accelerator that is not in use yet. A check seeds thousands of times.
    if device().type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int):
    """Every usual source of randomness starts from `seed`, and is put back afterwards."""
    before = _random_state()
    _seed(seed)
    try:
        yield
    finally:
        _set_random_state(before)


def _random_state() -> dict:
    """Where every usual source of randomness stands, in plain values."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - students may use either
    state = {
        "python": random.getstate(),
        "numpy": [kind, keys.tolist(), *rest],  # type: ignore[attr-defined]  # get_state() gives a tuple
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def _set_random_state(state: dict) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    # A training that was interrupted may go on where there are fewer GPUs, or none.
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
