"""The last cell of each homework, for a GPU: off unless a student switches it on, and right when it is on."""

import ast
import re

import numpy as np
import pytest
import torch

from autograder import assignments, notebooks
from deepul_utils import images, training
from deepul_utils.images.originals import Cifar10, Mnist32

HOMEWORKS = ["hw1", "hw2", "hw3", "hw4", "hw5"]
EXAMPLES = {"cifar10": {"train": 45_000, "validation": 5_000}, "mnist32": {"train": 54_000, "validation": 6_000}}
TRAINED = {
    "hw1": ["bigger.color_pixelcnn"],
    "hw2": ["bigger.glow"],
    "hw3": ["bigger.vqvae", "bigger.vqvae.prior"],
    "hw4": ["bigger.dcgan"],
    "hw5": ["bigger.guided_dit"],
}
SMALLER = [  # (what stands in the cell, what the test runs): the same code in seconds
    (r"GO_BIGGER = False", "GO_BIGGER = True"),
    (r"(STEPS|ROUNDS) = [\d_]+", r"\1 = 2"),
    (r"STAGES = .*", "STAGES = (1, 2)"),
    (r"width=\d+", "width=12"),
    (r"depth=\d+", "depth=1"),
    (r"\bsteps=\d+", "steps=1"),
    (r"sample\((12|36|48|84)\)", "sample(2)"),
]


def standing_in(cls):
    class StandIn(cls):
        """A downloaded set without its download: noise, and never more images than the set has."""

        def _draw(self, n, rng, split):
            assert n <= EXAMPLES[cls.name][split], f"{cls.name} has fewer {split} images"
            n = min(n, 20)
            return rng.integers(self.levels, size=(n, *self.shape), dtype=np.uint8), np.zeros(n, dtype=np.int64)

    return StandIn


@pytest.fixture(autouse=True)
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    for cls in (Cifar10, Mnist32):
        monkeypatch.setitem(images.SETS, cls.name, standing_in(cls))
    images._get.cache_clear()
    yield training.session
    images._get.cache_clear()


def cells_of(homework: str) -> list[str]:
    return [cell.source for cell in notebooks.read(assignments.get(homework).source) if cell.kind == "code"]


def defined(cells: list[str]) -> dict:
    """What the notebook imports and defines, without running what it trains and shows."""
    names: dict = {"__name__": "__main__"}
    for cell in cells:
        parts = ast.parse(notebooks.MAGIC.sub("pass", cell)).body
        kept = [
            part for part in parts if isinstance(part, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef)
        ]
        exec(compile(ast.Module(kept, type_ignores=[]), "<cell>", "exec"), names)
    return names


@pytest.mark.parametrize("homework", HOMEWORKS)
def test_it_is_off_and_does_nothing_while_grading(homework, session):
    *_, cell = cells_of(homework)
    assert "\nGO_BIGGER = False\n" in f"\n{cell}"
    session.grading = True
    for source in (cell, cell.replace("GO_BIGGER = False", "GO_BIGGER = True")):
        names = {"training": training}
        exec(source, names)
        assert {type(value) for key, value in names.items() if key.isupper()} <= {bool, int, tuple}
        assert not session.models


@pytest.mark.slow
@pytest.mark.parametrize("homework", HOMEWORKS)
def test_it_trains_the_students_own_classes(homework, session):
    """At the smallest sizes, on noise, with the solution's classes."""
    *cells, bigger = cells_of(homework)
    for pattern, smaller in SMALLER:
        bigger = re.sub(pattern, smaller, bigger)
    exec(bigger, defined(cells))
    assert list(session.models) == TRAINED[homework]
    for name in TRAINED[homework]:
        assert (session.folder / f"{name}.safetensors").exists()
        assert all(torch.isfinite(p).all() for p in session.models[name].parameters())
