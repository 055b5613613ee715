"""Files: what a grader takes of them, and writing them so that nothing is ever half written."""

import contextlib
import importlib.metadata
import os
import sys
from functools import cache
from pathlib import Path

# What a grader takes of one submission.
MOST_BYTES = 200 * 2**20  # unpacked; an assignment with its weights has a few
MOST_FILE = 64 * 2**20  # the largest weights of the course have a tenth
MOST_FILES = 2000
MOST_NOTEBOOK = 40 * 2**20  # bytes of a notebook, with the outputs that a student left in it
MOST_SOURCE = 2**18  # characters of one cell: thirty times the longest of the solutions
MOST_SOURCES = 2**21  # of all cells
MOST_CELLS = 2000
MANIFEST = "deepul-manifest.json"  # of a zip that `deepul submit` packed


@cache
def installed() -> frozenset[str]:
    """The modules that are here already: a file of such a name beside a notebook is never what is imported."""
    ours = {"deepul_utils", "autograder", "sitecustomize", "usercustomize"}
    return frozenset(ours | sys.stdlib_module_names | set(importlib.metadata.packages_distributions()))


def write_atomically(file: Path, text: str) -> None:
    """Write a file so that a kill at any moment, or a full disk, leaves the old content or the new.

    Half a character, which a student may have written, becomes a question mark.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, error.strerror, str(file)) from None  # a full disk does not say where
