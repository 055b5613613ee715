"""What happened in one run of the grader, in a file that stays when the terminal is gone."""

import contextlib
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from autograder.display import counted
from autograder.grading.batch import Graded

MOST_RUNS = 20  # whose files are kept
MOST_BYTES = 2**20  # of one of them: a class of a thousand
MOST_LINE = 2000  # characters of what is said of one submission


class Log:
    """A file in a folder, called after the time; the oldest ones go. What it cannot write, it leaves out."""

    def __init__(self, folder: Path):
        self.file = folder / f"{time.strftime('%Y-%m-%d-%H%M%S')}.log"
        self._stream: TextIO | None = None
        self._room = MOST_BYTES

    def __enter__(self) -> "Log":
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            for old in sorted(self.file.parent.glob("*.log"))[: 1 - MOST_RUNS]:
                old.unlink()
            self._stream = self.file.open("a", encoding="utf-8", errors="replace")
        self.say(f"deepul-kit {version('deepul-kit')}, Python {platform.python_version()}, {platform.platform()}")
        self.say("called as: " + " ".join(sys.argv))
        return self

    def __exit__(self, kind, error, _) -> None:
        if error is not None:
            self.say(f"ended by {kind.__name__}: {error}")
        if self._stream:
            with contextlib.suppress(OSError):  # a full disk: what was to be written is lost, and nothing else
                self._stream.close()

    def say(self, text: str) -> None:
        """Write a line, with the time; a last one where there is no more room."""
        line = f"{time.strftime('%H:%M:%S')} {' '.join(text.split())[:MOST_LINE]}\n"
        if self._stream is None or self._room <= 0:
            return
        self._room -= len(line.encode("utf-8", "replace"))
        with contextlib.suppress(OSError):
            self._stream.write(line if self._room > 0 else "… and more, which is left out\n")
            self._stream.flush()

    def graded(self, result: Graded) -> None:
        """What came of one submission."""
        for line in _lines(result):
            self.say(line)


def _lines(result: Graded) -> Iterator[str]:
    seconds = ", ".join(f"{what} {took:.1f} s" for what, took in result.seconds.items())
    earned = "not graded" if result.not_graded else f"{result.points:g} of {counted(result.max_points, 'point')}"
    yield f"{result.student}: {earned}{'' if result.fresh else ', not changed'}{f' ({seconds})' if seconds else ''}"
    for problem in result.problems:
        yield f"{result.student}: {problem}"
