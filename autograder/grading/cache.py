"""Graded notebooks by what they were made from: the same submission under the same checks is graded once."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import sys
from functools import cache
from pathlib import Path

from autograder.exercises import ROOT
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised

PACKAGES = ("torch", "numpy", "scipy", "ipykernel", "safetensors")


def key(submission: Normalised, homework: str, salt: str, limits: Limits) -> str:
    """Changes with everything that a grade depends on: submission, checks, references, salt, limits, versions."""
    parts = [submission.notebook, submission.changes, submission.handed_in]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for name, content in sorted(submission.files.items()):
        digest.update(f"\0{name}\0".encode() + hashlib.sha256(content).digest())
    digest.update(f"{homework}/{salt}/{limits!r}/{kit_version()}".encode())
    return digest.hexdigest()


@cache
def kit_version() -> str:
    """A hash of the kit's own code and references, and of the versions that it runs on."""
    digest = hashlib.sha256(sys.version.encode())
    for package in PACKAGES:
        digest.update(importlib.metadata.version(package).encode())
    for folder in ("autograder", "deepul_utils"):
        for file in sorted((ROOT / folder).rglob("*")):
            proof = file.parent.name in ("mutants", "variants")  # of the checks; no grade rests on it
            if file.suffix in (".py", ".json", ".safetensors", ".npz") and not proof:
                digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()


class Cache:
    """JSON files in a folder, each written whole or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, name: str) -> dict | None:
        try:
            return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # one that is damaged or cannot be read is one that is not there
            return None

    def put(self, name: str, value: dict) -> None:
        write_atomically(self.folder / f"{name}.json", json.dumps(value))


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
