"""Signals by name, in 256 levels: Gaussian processes of known entropy, tones and chirps.

    echo = signals.get("echo")
    x = echo.sample(1000, seed=0, split="train")   # uint8 (1000, 128)
    echo.entropy, echo.entropy_rate                # nats: of a signal, and of one value
    echo.above_limit(window=8)                     # nats a value that who sees 8 values only must lose

    tones = signals.get("tones")
    x, y = tones.sample_labelled(1000)             # y int64 (1000,): the pitch
    tones.waves(1000)                              # float32 (1000, 128) in [−1, 1], not cut into levels

`python -m deepul_utils.signals` prints the table of all sets.
"""

from functools import cache

from deepul_utils.sequences.sequence_set import closest
from deepul_utils.sequences.sequence_set import table as _table
from deepul_utils.signals.processes import Process, echo, resonance
from deepul_utils.signals.tones import Chirps, Tones

__all__ = ["Chirps", "Process", "Tones", "get", "names", "table"]

SETS = {"resonance": resonance, "echo": echo, "tones": Tones, "chirps": Chirps}


@cache
def get(name: str, length: int = 128):
    """The set called `name`, of signals of so many values. Raises ValueError for an unknown name, with the closest."""
    if name not in SETS:
        raise closest(name, SETS, "signals")
    return SETS[name](length)


def names() -> list[str]:
    """The names of all sets."""
    return list(SETS)


def table() -> str:
    """All sets as a Markdown table."""
    return _table(map(get, SETS))
