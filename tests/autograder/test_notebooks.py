"""Notebooks that are read, and run in this process as a kernel runs them."""

import json
import sys

import pytest

from autograder import notebooks
from autograder.notebooks import Cell


@pytest.fixture
def run(tmp_path):
    """run(sources): what came of a notebook with these code cells."""
    return lambda *sources, **options: notebooks.run_cells(
        [Cell("code", source) for source in sources], tmp_path, tmp_path / "artifacts", **options
    )


RIGHT = {  # {what a cell may have: (cells, what the last one ends in)}
    "a check as its last line": (["made = 1\ncheck('made')", "made"], 1),
    "a check of some, indented": (["made = 1\nif made:\n    check('made', only='earlier')", "made"], 1),
    "the whole homework, and handing it in": (["made = 1\ncheck()\nsubmit('ada')\nmade = 2", "made"], 2),
    "a check between": (["check('made')\n3"], 3),
    "figures": (["%matplotlib inline\nmade = 1", "made"], 1),
    "figures, indented": (["made = 1\nif made:\n    %matplotlib inline\nmade"], 1),
    "figures, asked in Python": (["get_ipython().run_line_magic('matplotlib', 'inline')\n1"], 1),
    "a command": (["!true\nmade = 1\nmade"], 1),
    "the output of a command": (["out = !echo 3\nint(out[0])"], 3),
    "a question": (["made = 1\nmade?\nmade"], 1),
    "a time": (["%%time\nclass MADE: pass", "%time made = MADE.__name__", "made"], "MADE"),
    "output that is caught": (["%%capture out\nprint(4)", "int(out.stdout)"], 4),
    "something to wait for": (["import asyncio\nmade = await asyncio.sleep(0, 5)\nmade"], 5),
    "a class that is pickled": (["import pickle\nclass C: pass\ntype(pickle.loads(pickle.dumps(C()))) is C"], True),
    "its own module": (["made = 1", "import __main__\n__main__.made"], 1),
    "a file to import": (["%%writefile beside.py\nmade = 6", "import beside\nbeside.made"], 6),
    "a percent sign in a text": (["text = '''\n%matplotlib inline'''\ntext"], "\n%matplotlib inline"),
    "a display with options": (["display(1, metadata={})\n1"], 1),
    "a shell that is imported": (["from IPython import get_ipython\nget_ipython().user_ns['__name__']"], "__main__"),
}


@pytest.mark.parametrize(("cells", "ends"), RIGHT.values(), ids=RIGHT)
def test_what_a_kernel_runs_is_run(run, cells, ends):
    ran = run(*cells)
    assert (ran.values[-1], ran.errors) == (ends, {})


def test_nothing_of_it_stays(run):
    before = sys.modules["__main__"], sys.path.copy()
    run("import IPython\nget_ipython()", "import sys\nsys.path.insert(0, 'mine')")
    assert (sys.modules["__main__"], sys.path) == before
    assert sys.modules["IPython"].get_ipython() is None


STOPS = {
    "an error without words": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
    "an end": "raise SystemExit",
    "an interrupt": "raise KeyboardInterrupt",
    "no Python": "def f(:",
    "no command": "%nothing_of_the_kind",
}


@pytest.mark.parametrize("cell", STOPS.values(), ids=STOPS)
def test_a_cell_that_stops_costs_no_other(run, cell):
    ran = run(cell, "made = 1\nmade", grading=True)
    assert (list(ran.errors), ran.values) == ([cell], [None, 1])


def test_an_interrupt_is_the_readers_where_nothing_is_handed_in(run):
    with pytest.raises(KeyboardInterrupt):
        run("raise KeyboardInterrupt")


def test_code_that_is_called_later_finds_its_folder_and_its_modules(run, tmp_path):
    ran = run(
        "def seen():\n    import beside\n    return beside.made, Path('table').read_text(), pickle.loads(KEPT).made",
        "import pickle\nfrom pathlib import Path\nclass C: made = 2\nKEPT = pickle.dumps(C())",
    )
    (tmp_path / "beside.py").write_text("made = 1")
    (tmp_path / "table").write_text("3")
    sys.modules.pop("beside", None)
    with ran.entered():
        assert ran.namespace["seen"]() == (1, "3", 2)


def test_what_is_trained_is_what_is_called():
    cells = [
        "# trained('made.no')\nif False:\n    trained('made.never')\ntrained('made.yes')\ndrawn('made.yes')",
        "%%time\ntrained('made.timed')\n!ls\n# drawn('made.no')",
        "trained('made.broken'\nthis is no Python",
    ]
    cells = [Cell("code", source) for source in cells]
    assert notebooks.trained(cells) == ["made.yes", "made.timed", "made.broken"]
    assert notebooks.drawn(cells) == ["made.yes"]


CONTENTS = json.dumps({"cells": [{"cell_type": "code", "source": ["x = '\ud83d'\n", "é"]}]}, ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_notebooks_are_read_as_in_grading(tmp_path, encoding):
    file = tmp_path / "hw1.ipynb"
    file.write_bytes(CONTENTS.replace("\ud83d", "\\ud83d").encode(encoding))
    assert notebooks.read(file) == [Cell("code", "x = '?'\né")]


def test_a_merge_conflict_is_named(tmp_path):
    (tmp_path / "hw1.ipynb").write_text('{"cells": [\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> theirs\n]}')
    with pytest.raises(ValueError, match=r"marks of a merge conflict, the first in line 2: .*git checkout --ours"):
        notebooks.read(tmp_path / "hw1.ipynb")
