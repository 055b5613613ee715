"""What a submission may use while it is graded."""

import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

SIZES = ("memory", "file", "disk")  # in bytes
UNITS = {"": 1, "B": 1, "KIB": 2**10, "KB": 2**10, "MIB": 2**20, "MB": 2**20, "GIB": 2**30, "GB": 2**30}

# With less than this, a right solution is not graded, or loses points: whoever writes it meant something else.
LEAST = dict(
    cell=5,
    training=5,
    exercise=5,
    total=60,
    cpu=60,
    memory=2**29,
    processes=4,
    threads=32,
    file=2**24,
    disk=2**26,
    open_files=256,
)


@dataclass(frozen=True)
class Limits:
    """Times in seconds of wall clock unless said otherwise, sizes in bytes.

    cell: one cell. training: a cell that calls trained(…) without weights handed in. exercise: the student's code in
    all checks of one exercise. total: the notebook with its checks, and a second try if the first failed by no fault
    of the student's. cpu: seconds of processor of one process. memory: of all processes together, and the most one
    process may ask for. processes, threads: at one time. file: the largest file. disk: all files, which are memory,
    too. figures: whether they are drawn, which decides no grade and takes as long as all that does. separate_user:
    whether it runs as another user of this machine (separate_user.py), not in bubblewrap; `disk` binds nothing there.
    """

    cell: float = 120.0
    training: float = 900.0
    exercise: float = 300.0
    total: float = 2700.0
    cpu: int = 3600
    memory: int = 4 * 2**30
    processes: int = 32
    threads: int = 256
    file: int = 256 * 2**20
    disk: int = 512 * 2**20
    open_files: int = 1024
    figures: bool = False
    separate_user: bool = False

    @classmethod
    def parse(cls, changes: list[str]) -> "Limits":
        """The usual limits with changes such as "cell=60". Raises ValueError naming the limits there are, or the least
        that one may be.
        """
        values = {}
        for change in changes:
            name, _, value = change.partition("=")
            kinds: dict[str, Any] = {f.name: f.type for f in fields(cls) if f.type is not bool}
            try:
                values[name] = kinds[name](_number(value, is_size=name in SIZES))
            except (KeyError, ValueError, OverflowError):
                known = ", ".join(f"{k}={_shown(k, v)}" for k, v in cls().to_json().items() if k in kinds)
                raise ValueError(f"--limit {change}: give one of {known} with a number of yours.") from None
            if not (math.isfinite(values[name]) and values[name] >= LEAST[name]):
                least, usual = _shown(name, LEAST[name]), _shown(name, getattr(cls(), name)).replace(" ", "")
                unit = "; without a unit, a size is in bytes" if name in SIZES else ""
                raise ValueError(f"--limit {change}: it must be {least} or more, such as {name}={usual}{unit}.")
        return cls(**values)

    def to_json(self) -> dict:
        return asdict(self)

    def __str__(self) -> str:
        from autograder.display import counted

        files = "files" if self.separate_user else f"{self.disk // 2**20} MB of files"
        return (
            f"{self.cell:g} s a cell ({self.training:g} s to train), {self.exercise:g} s for the checks of an "
            f"exercise, {self.total / 60:g} min in all, "
            f"{self.memory / 2**30:g} GiB of memory, {counted(self.processes, 'process', 'processes')}, "
            f"{counted(self.threads, 'thread')}, "
            f"{files} ({self.file // 2**20} MB each), {counted(self.open_files, 'open file')}, "
            f"1 MB of text a cell, no network"
        )


def _number(text: str, is_size: bool) -> float | str:
    """A number as it was written; a size may have a unit: "6 GiB", "6GB". Raises ValueError for another unit."""
    found = re.fullmatch(r"\s*([\d.]+)\s*([A-Za-z]+)\s*", text)
    if not found or not is_size:
        return text
    if found[2].upper() not in UNITS:
        raise ValueError(text)
    return float(found[1]) * UNITS[found[2].upper()]


def _shown(name: str, value: float) -> str:
    """A limit as people write it: memory=4 GiB."""
    if name not in SIZES:
        return f"{value:g}"
    return f"{value / 2**30:g} GiB" if value >= 2**30 else f"{value / 2**20:g} MiB"
