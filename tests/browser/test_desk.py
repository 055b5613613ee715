"""The way of a student through JupyterLab: a blank handout, three slips, a zip handed in, and the grade of it.

Also how the same pages look in the dark and in a narrow window. Pictures are left in build/pictures.
"""

import csv
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.assignments import ROOT
from autograder.handout.submit import solution_cells, without_markers
from autograder.proof import changes
from tests.browser.conftest import run_all
from tests.browser.test_notebook import TALL, hand_in, picture, shown_errors

pytestmark = pytest.mark.slow
DEEPUL = Path(sys.executable).parent / "deepul"
MODEL, TRAINING = "class DiscretizedLogisticMixture", "def train_logistic_mixture"


def solution(begins: str, change: str = "") -> str:
    """The cell of the solution that begins so, with a known slip."""
    cells = solution_cells("hw1")
    if change:
        cells = changes.apply(changes.mutant("hw1", change), cells)
    return without_markers(next(c.source for c in cells if c.kind == "code" and begins in c.source))


def code_cell(page, text: str):
    return page.locator(".jp-CodeCell", has_text=text).first


def edit(page, text: str, source: str) -> None:
    """Put `source` into the cell with `text`, as by pasting it."""
    code_cell(page, text).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(source)


def write(page, text: str, source: str) -> None:
    """`edit`, and run it."""
    edit(page, text, source)
    run(page, source.splitlines()[0])


def save(page) -> None:
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)


def run(page, text: str, seconds: int = 120) -> str:
    """Run the cell with `text`, and what it shows."""
    cell = code_cell(page, text)
    cell.locator(".cm-content").click()
    before = cell.locator(".jp-InputPrompt").inner_text()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        """([cell, before]) => { const said = cell.querySelector('.jp-InputPrompt').textContent;
                                 return /\\d/.test(said) && !said.includes('*') && said.trim() !== before.trim(); }""",
        arg=[cell.element_handle(), before],
        timeout=seconds * 1000,
    )
    page.wait_for_timeout(500)
    outputs = cell.locator(".jp-OutputArea-output")
    return "\n".join(outputs.all_inner_texts())


def test_from_a_blank_handout_over_three_slips_to_the_grade(browser, jupyter, tmp_path):
    shutil.copytree(ROOT / "homeworks" / "hw1", jupyter.folder / "hw1", ignore=shutil.ignore_patterns("artifacts"))
    page = jupyter.open(browser, "hw1/hw1.ipynb", height=TALL)
    run(page, "seed_everything(0)")
    run(page, 'edges = toy.discrete("edges"')
    run(page, MODEL)
    assert "Exercise 1.1 is not implemented yet" in run(page, 'check("logistic_mixture")')

    write(page, MODEL, solution(MODEL).replace("def sample(self, n: int)", "def sample(self, n: int", 1))  # a bracket
    assert any("SyntaxError" in e for e in shown_errors(page))
    write(page, MODEL, solution(MODEL, "edge-bins-are-inner-bins"))  # what the prose warns of
    said = run(page, 'check("logistic_mixture")')
    assert "sum" in said
    assert "edge" in said
    write(page, MODEL, solution(MODEL))
    write(page, TRAINING, solution(TRAINING))
    run(page, "mixture = trained(", seconds=240)
    assert "15 / 15" in run(page, 'check("logistic_mixture")')

    edit(page, "# check()", 'from deepul_utils import submit\n\nsubmit("YOUR-ID")')  # the id is forgotten
    assert "hw1.ipynb is not saved as you see it" in run(page, 'submit("YOUR-ID")')
    save(page)
    assert "Put your id" in run(page, 'submit("YOUR-ID")')
    edit(page, 'submit("YOUR-ID")', 'from deepul_utils import submit\n\nsubmit("ada")')
    save(page)
    said = run(page, 'submit("ada")', seconds=300)
    assert "hand in this file" in said
    assert "Not all points yet: 1.2, 1.3, 1.4, 1.5" in said
    assert "Not answered yet: question 1.1" in said
    assert not any("/autograder/" in e or "/deepul_utils/" in e for e in shown_errors(page))

    packed = jupyter.folder / "hw1" / "hw1-ada.zip"
    with zipfile.ZipFile(packed) as archive:
        assert any(re.search(r"artifacts/logistic_mixture\.safetensors$", name) for name in archive.namelist())
    (tmp_path / "download").mkdir()
    shutil.copy(packed, tmp_path / "download")
    course = tmp_path / "course"
    course.mkdir()
    done = subprocess.run(
        [DEEPUL, "grade", "hw1", tmp_path / "download", "--course", course, "-j", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with (course / "reports" / "hw1" / "checks.csv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if r["exercise"] == "logistic_mixture" and r["check"]]
    assert {r["student"] for r in rows} == {"ada"}
    assert sum(float(r["points"] or 0) for r in rows) == 15


@pytest.mark.parametrize(("theme", "width"), [("JupyterLab Light", 640), ("JupyterLab Dark", 1280)])
def test_the_page_reads_well_in_the_dark_and_in_a_narrow_window(browser, jupyter, theme, width):
    hand_in(jupyter.folder, until="1.3")
    page = jupyter.open(browser, "hw1/hw1.ipynb", height=TALL)
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    run_all(page)
    assert shown_errors(page) == []
    page.set_viewport_size({"width": width, "height": TALL})
    page.wait_for_timeout(1500)
    table = page.locator(".deepul").first
    notebook = page.locator(".jp-WindowedPanel-viewport").first
    picture(notebook, f"hw1-{theme.split()[1].lower()}-{width}.png")
    box, outer = table.bounding_box(), notebook.bounding_box()
    assert box["x"] + box["width"] <= outer["x"] + outer["width"] + 1  # nothing of the table is cut off
    words, icons = page.evaluate(CONTRAST, table.element_handle())
    assert words >= 4.5  # WCAG 2.2, level AA: of text, and of what is a picture
    assert icons >= 3.0


# The least contrast between the words of an element, and its icons, and what lies behind them.
CONTRAST = """root => {
    const part = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
    const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3]));
    const behind = e => {
        const layers = [];
        for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const least = [21, 21];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const e = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !e.getClientRects().length) continue;
        const back = behind(e), text = rgba(getComputedStyle(e).color);
        for (let at = e; at; at = at.parentElement) text[3] *= Number(getComputedStyle(at).opacity);
        const [a, b] = [light(over(text, back)), light(back)];
        const kind = e.closest(".icon") ? 1 : 0;
        least[kind] = Math.min(least[kind], (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
    }
    return least;
}"""
