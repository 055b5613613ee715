"""What a notebook's exercises are called, in the words of the student's errors."""

import tomllib
from functools import cache

from deepul_utils.places import ASSIGNMENTS


def exercise_of(name: str) -> str:
    """The exercise that an artifact belongs to: "made.smiley" to "Exercise 1.2"; its own name outside the course."""
    number = _numbers().get(name.split(".")[0])
    return f"Exercise {number}" if number else repr(name)


@cache
def _numbers() -> dict[str, str]:
    """The number of each exercise, by its name, as the assignments that are here say."""
    tables = (tomllib.loads(file.read_text(encoding="utf-8")) for file in ASSIGNMENTS.glob("*/assignment.toml"))
    return {e["name"]: e["number"] for table in tables for e in table["exercises"]}
