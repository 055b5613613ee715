"""What a student sees: the assignment in JupyterLab, in a real browser.

Pictures of it are left in build/pictures; `make pictures` puts those that the README shows into docs/.
"""

import json
import shutil
from pathlib import Path

import pytest

from autograder import assignments, demo
from autograder.assignments import ROOT
from autograder.handout.submit import solution_cells, write_submission
from autograder.proof import changes
from tests.browser.conftest import run_all
from tests.core import CORE

pytestmark = pytest.mark.slow
HOMEWORKS = ROOT / "homeworks"
HANDOUT = HOMEWORKS / "hw1"
ALL = tuple(e.name for e in assignments.get("hw1").exercises)
TALL = 30_000  # the whole notebook at once: JupyterLab draws no cell that is out of sight


def hand_in(folder: Path, assignment: str = "hw1", change=None, artifacts=None, until: str = "") -> None:
    """A solved notebook in a folder of its own. until: the number of an exercise; it and those after it are cut off."""
    cells, names = solution_cells(assignment), tuple(e.name for e in assignments.get(assignment).exercises)
    if change:
        cells = changes.apply(changes.mutant(assignment, change), cells)
    handout = HOMEWORKS / assignment
    write_submission(handout / f"{assignment}.ipynb", folder / assignment, cells, names, artifacts or names)
    shutil.copytree(handout / "figures", folder / assignment / "figures")
    if until:
        file = folder / assignment / f"{assignment}.ipynb"
        notebook = json.loads(file.read_text(encoding="utf-8"))
        begins = [f"## Exercise {until} " in "".join(cell["source"]) for cell in notebook["cells"]]
        notebook["cells"] = notebook["cells"][: begins.index(True)]
        file.write_text(json.dumps(notebook), encoding="utf-8")


def picture(locator, name: str) -> None:
    folder = ROOT / "build" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    locator.screenshot(path=folder / name)


def plots_in(notebook: Path) -> int:
    """How many of its cells draw something."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = ["".join(cell["source"]).splitlines() for cell in cells if cell["cell_type"] == "code"]
    return sum(any(line.startswith("plots.") for line in cell) for cell in lines)


def shown_errors(page) -> list[str]:
    selector = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error'], [data-mime-type*='stderr']"
    return page.locator(selector).all_inner_texts()


@pytest.mark.parametrize("assignment", CORE)
def test_a_finished_notebook_runs_clean_and_shows_full_marks(browser, jupyter, assignment):
    hand_in(jupyter.folder, assignment)
    page = jupyter.open(browser, f"{assignment}/{assignment}.ipynb", height=TALL)
    run_all(page)
    tables = page.locator(".deepul")
    for text, e in zip(tables.all_inner_texts(), assignments.get(assignment).exercises, strict=True):
        assert f"{e.points:g} / {e.points:g}" in text
        assert "Your code printed" not in text
    assert shown_errors(page) == []
    assert page.locator(".jp-RenderedImage img").count() >= plots_in(HOMEWORKS / assignment / f"{assignment}.ipynb") > 4
    picture(page.locator(".jp-WindowedPanel-viewport").first, f"{assignment}.png")


def test_training_shows_a_bar_and_writes_nothing_to_stderr(browser, jupyter):
    images = ALL[len(demo.QUICK) :]
    hand_in(jupyter.folder, artifacts=images, until="1.3")
    given = {p.name for p in (jupyter.folder / "hw1" / "artifacts").iterdir()}
    page = jupyter.open(browser, "hw1/hw1.ipynb", height=TALL)
    run_all(page)
    assert shown_errors(page) == []
    assert "made.smiley: trained in" in page.locator(".jp-Notebook").inner_text()
    made = {p.name for p in (jupyter.folder / "hw1" / "artifacts").iterdir()} - given
    assert made == {"logistic_mixture.safetensors", "made.smiley.safetensors", "made.moons.safetensors"}


def test_a_wrong_mask_is_explained(browser, jupyter):
    hand_in(jupyter.folder, change="mask-transposed", until="1.3")
    page = jupyter.open(browser, "hw1/hw1.ipynb", height=TALL)
    run_all(page)
    table = page.locator(".deepul").nth(1)
    assert "outputs 2, 3, 4 move when their own input changes" in table.inner_text()
    assert "Some output sees its own input" in table.inner_text()
    picture(table, "check.png")


def test_a_blank_handout_says_what_is_missing_without_the_kits_own_traceback(browser, jupyter):
    shutil.copytree(HANDOUT, jupyter.folder / "hw1", ignore=shutil.ignore_patterns("artifacts"))
    page = jupyter.open(browser, "hw1/hw1.ipynb", height=TALL)
    run_all(page)  # stops at the first stub, as Jupyter does
    assert any("NotImplementedError: Exercise 1.1 is not implemented yet" in e for e in shown_errors(page))
    for source in ("class MaskedLinear", "class MADE", 'check("made")'):
        page.locator(".jp-CodeCell", has_text=source).first.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
    table = page.locator(".deepul").first
    table.wait_for(timeout=30_000)
    assert "Exercise 1.2 is not implemented yet." in table.inner_text()
    assert not any("/autograder/" in e or "/deepul_utils/" in e for e in shown_errors(page))
