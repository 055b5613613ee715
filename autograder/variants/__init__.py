"""Right solutions written differently: every one must earn full marks."""

import importlib

from autograder.mutants import Variant


def of_homework(homework: str) -> list[Variant]:
    return list(importlib.import_module(f"autograder.variants.{homework}").VARIANTS)
