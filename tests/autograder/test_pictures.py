"""Cells that only show something are not run for a grade; what a grade rests on is, and whatever may be."""

import ast
import base64
import io
import json
import re

import pytest
from PIL import Image

from autograder import assignments, demo, notebooks
from autograder.grading import batch, outputs, pictures, report
from autograder.grading.execute import Grader
from autograder.grading.limits import Limits
from autograder.grading.normalise import normalise
from autograder.handout.submit import solution_cells, write_submission
from autograder.notebooks import TRAINED
from tests.core import CORE

FIRST = "from deepul_utils import plots, toy, trained\nimport torch\n%matplotlib inline"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()


def left_out(*cells: str, assignment: str = "hw1") -> list[str]:
    """Those of the cells, after one that imports, that are not run."""
    sources = [FIRST, *cells]
    return [sources[k] for k in sorted(pictures.only_pictures(sources, assignment))]


ONLY_SHOW = {
    "a plot": "plots.images(model.sample(64))",
    "several": "plots.images(x)\nplots.history(training.history('a'))",
    "a value for it": "with torch.no_grad():\n    seen = model.logits(x)\nplots.matrix(seen)",
    "a loop": "for data in (smiley, moons):\n    p = model.log_prob(data)\n    plots.pmf_2d(p=p)",
    "and a number": "p = model.pmf()\nprint(f'{p.sum():.3f}')\nplots.pmf_1d(p)",
    "a new object": "tiny = MADE(dims=4).eval()\nplots.matrix([tiny.logits(torch.ones(3)) for _ in range(3)])",
    "changes what is its own": "counts = torch.zeros(3)\ncounts = counts.index_put_((x,), x)\nplots.matrix(counts)",
    "a name that others give themselves": "x = torch.ones(3)\nplots.matrix(x)",
    "a name of another's loop": "name = torch.ones(3)\nplots.matrix(name)",
    "a name of another's comprehension": "part = torch.ones(3)\nplots.matrix(part)",
    "calls a method that is called as an optimizer's": "plots.matrix(Chain().step())",
    "calls what has a name of its own that is called as the kit's": "plots.matrix(f(torch.ones(3)))",
    "a new one, sorted": "w = np.sort(model.sample(3))\nplots.matrix(w)",
}


@pytest.mark.parametrize("cell", ONLY_SHOW.values(), ids=ONLY_SHOW)
def test_a_cell_that_only_shows_something_is_not_run(cell):
    others = (
        "def f(x):\n    drawn = x\n    return drawn",
        "class Chain:\n    def step(self):\n        return torch.ones(3)",
        "x = torch.zeros(3)\ny = x + 1",
        "class MADE:\n    def sample(s, seen): seen",
        "for name in 'ab':\n    part = name + '!'\n    print(part)",
        "y = [part for part in y if part]",
    )
    assert left_out(*others, cell) == [cell]


MAY_DECIDE = {
    "no plot": "print(model.sample(64))",
    "another picture": "plt.plot(x)\nplots.matrix(x)",
    "trains": "m = trained('made', M(), fit=f)\nplots.history(h)",
    "trains in a function": ("def go(m):\n    loss(m).backward()", "losses = go(m)\nplots.curves(losses)"),
    "trains two functions deep": (
        "def a(m):\n    o.step()",
        "class M:\n    def b(self):\n        a(self)",
        "plots.curves(m.b())",
    ),
    "trains by the library's own name": "m = training.trained('made', M(), fit=f)\nplots.history(h)",
    "trains under another name": (
        "from deepul_utils import trained as learnt",
        "m = learnt('made', M(), fit=f)\nplots.history(h)",
    ),
    "trains under a name that was given to it": (
        "learnt = trained",
        "m = learnt('made', M(), fit=f)\nplots.history(h)",
    ),
    "trains under the same name": ("trained = training.trained", "m = trained('made', M(), fit=f)\nplots.history(h)"),
    "trains in a function of the same name": (
        "def trained(m):\n    return training.trained('made', m, fit=f)",
        "plots.history(trained(M()))",
    ),
    "trains, beside a gradient of its own": (
        "class Floor(torch.autograd.Function):\n    def backward(ctx, g):\n        return g",
        "def go(m):\n    loss(m).backward()",
        "plots.curves(go(m))",
    ),
    "trains in a lambda": ("go = lambda m: fit(m, loss, x)", "h = go(m)\nplots.history(h)"),
    "trains in a step of its own": (
        "class Chain:\n    def step(self):\n        self.loss().backward()",
        "plots.matrix(Chain().step())",
    ),
    "trains where it is made": ("class M:\n    def __init__(self):\n        fit(self)", "plots.matrix(M())"),
    "trains in a method of its base": (
        "class A:\n    def __init__(self):\n        fit(self)",
        "class B(A): pass",
        "plots.matrix(B())",
    ),
    "hands on what trains": ("def go(m):\n    o.step()", "plots.curves(list(map(go, ms)))"),
    "draws samples that are kept": "s = drawn('made', m.sample)\nplots.images(s)",
    "writes a global": ("def f():\n    global K\n    K = 3", "plots.curves(f())"),
    "defines": "def f():\n    return 1\nplots.curves(f())",
    "imports": "import math\nplots.curves(math.pi)",
    "sets an attribute": "m.mask = 0\nplots.matrix(m.mask)",
    "sets an element": "w[0] = 1\nplots.matrix(w)",
    "adds in place": "w += 1\nplots.matrix(w)",
    "changes a list of another": "plots.curves(losses.append(3))",
    "changes weights in place": "plots.matrix(m.weight.mul_(2))",
    "changes a part of another's": "plots.matrix(m['a'].net[0].zero_())",
    "gives a name by the way": "plots.matrix(w := torch.ones(3))",
    "gives what a check asks for": "MADE = other()\nplots.matrix(1)",
    "is asked for later": ("w = torch.ones(3)\nplots.matrix(w)", "z = w + 1"),
    "is asked for by a function": ("def f():\n    return w", "w = torch.ones(3)\nplots.matrix(w)"),
    "is asked for in a comprehension": ("w = torch.ones(3)\nplots.matrix(w)", "z = [w for _ in range(3)]"),
    "is asked for after a loop": ("w = torch.ones(3)\nplots.matrix(w)", "for w in []:\n    pass\nprint(w)"),
    "is asked for by a loop's next round": (
        "w = torch.ones(3)\nplots.matrix(w)",
        "for k in 'ab':\n    v = w\n    w = k",
    ),
    "is what a comprehension is over": ("w = torch.ones(3)\nplots.matrix(w)", "z = [w for w in w]"),
    "is asked for in a comprehension's function": (
        "w = torch.ones(3)\nplots.matrix(w)",
        "w_of = [lambda: w for _ in range(3)]\nw = 2",
    ),
    "initialises weights": "plots.matrix(torch.nn.init.zeros_(m.weight))",
    "is asked for by a default": ("w = torch.ones(3)\nplots.matrix(w)", "def f(x=w):\n    return x"),
    "is asked for by a decorator": ("w = torch.ones(3)\nplots.matrix(w)", "@w\ndef f(x):\n    return x"),
    "is asked for by a loop before it is set": ("w = torch.ones(3)\nplots.matrix(w)", "for k in w:\n    w = k"),
    "is asked for by what is no Python": ("w = torch.ones(3)\nplots.matrix(w)", "!echo {w}"),
    "is asked for by a cell that is wrong": ("w = torch.ones(3)\nplots.matrix(w)", "print(w"),
    "is asked for by what deletes it": ("w = torch.ones(3)\nplots.matrix(w)", "del w"),
    "a magic": "%time plots.matrix(w)",
    "a way around": ("w = torch.ones(3)\nplots.matrix(w)", "name = 'w'\neval(name)"),
    "may be skipped by nobody": "if w:\n    plots.matrix(w)",
    "catches": "try:\n    plots.matrix(w)\nexcept Exception:\n    ok = False",
    "opens a file": "plots.matrix(open('weights').read())",
    "plots of the student's own": ("class plots:\n    images = train", "plots.images(m)"),
    "asserts": "assert w\nplots.matrix(w)",
}


@pytest.mark.parametrize("cells", MAY_DECIDE.values(), ids=MAY_DECIDE)
def test_what_may_decide_something_is_run(cells):
    assert left_out(*([cells] if isinstance(cells, str) else cells)) == []


def test_of_the_courses_own_cells_more_is_known_than_of_those_that_a_student_wrote():
    """One that defines, chooses and fills what is its own shows something only; changed by a letter, it is run."""
    sources = [c.source for c in solution_cells("hw5") if c.kind == "code"]
    chosen = {sources[k] for k in pictures.only_pictures(sources, "hw5")}
    for what in ("\ndef ", "def shares(", "\nif ", "features[w] ="):
        of_it = [s for s in chosen if what in f"\n{s}"]
        assert of_it, what
        for cell in of_it:
            changed = [s.replace("\n", "  # mine\n", 1) if s == cell else s for s in sources]
            k = sources.index(cell)
            assert changed[k] != cell
            assert k not in pictures.only_pictures(changed, "hw5")


def test_a_model_that_only_the_course_makes_and_trains_is_not_trained_for_a_grade():
    sources = [c.source for c in solution_cells("hw1") if c.kind == "code"]
    (k,) = [k for k, s in enumerate(sources) if s.startswith("class Independent")]
    assert k in pictures.only_pictures(sources, "hw1")
    assert k not in pictures.only_pictures([*sources, "later = independent"], "hw1")
    theirs = sources[k].replace("fit(\n    independent,", "fit(\n    made,")
    assert theirs != sources[k]
    tree = pictures._read(theirs)
    assert not pictures._trains_its_own(list(ast.walk(tree.tree)), tree.binds)


def test_a_cell_that_gives_to_one_that_is_not_run_either_is_not_run():
    cells = ("codes = model.encode(x)\nplots.images(codes)", "again = codes + 1\nplots.images(again)")
    assert left_out(*cells) == list(cells)
    assert left_out(*cells, "print(again)") == []  # one after the other


def test_what_is_run_in_any_case_counts_as_run():
    sources = [FIRST, "w = torch.ones(3)\nplots.matrix(w)", "plots.matrix(w)"]
    assert pictures.only_pictures(sources, "hw1", run={2}) == set()


@pytest.mark.parametrize("assignment", CORE)
def test_of_the_solutions_what_trains_runs_and_a_good_part_does_not(assignment):
    sources = [c.source for c in solution_cells(assignment) if c.kind == "code"]
    chosen = pictures.only_pictures(sources, assignment)
    assert len(chosen) >= 4
    for k in chosen:
        assert re.search(r"^ *(plots\.|print\()", sources[k], re.MULTILINE)
        assert not re.search(r"^(check|import|from) ?|BEGIN SOLUTION", sources[k], re.MULTILINE)
        assert not TRAINED.search(sources[k])


@pytest.mark.parametrize("assignment", CORE)
def test_the_solutions_run_without_the_cells_that_are_left_out(assignment, tmp_path, monkeypatch):
    """No cell of those that stay misses a name, and everything is trained and drawn as before."""
    from deepul_utils import plots

    monkeypatch.setattr(plots.common, "_draws", lambda: False)
    cells = [c for c in solution_cells(assignment) if c.kind == "code"]
    chosen = pictures.only_pictures([c.source for c in cells], assignment)
    folder = assignments.ROOT / "solutions" / assignment
    stay = [c for k, c in enumerate(cells) if k not in chosen]
    ran = notebooks.run_cells(stay, folder, folder / "artifacts", assignment)
    assert ran.errors == {}
    wanted = {n for c in cells for n in TRAINED.findall(c.source)}
    assert set(ran.session.models) == {n for n in wanted if ".full" not in n and not n.startswith("bigger.")}


NESTED = {
    "minus": "-" * 100_000 + "1",
    "calls": "f" + "()" * 100_000,
    "attributes": "a" + ".b" * 100_000,
    "sums": "1" + "+1" * 100_000,
    "sums that can be read": "1" + "+1" * 2000,
    "brackets": "(" * 100_000,
    "lambdas": "lambda:" * 30_000 + "1",
    "a zero byte": "\0",
    "a surrogate": "'\ud800'",
}


@pytest.mark.parametrize("source", NESTED.values(), ids=NESTED)
def test_source_that_no_parser_takes_stops_nothing(source):
    cell = "w = torch.ones(3)\nplots.matrix(w)"
    assert left_out(cell, source) == [cell]
    assert left_out(cell, f"plots.matrix(w)\n{source}") == []


def test_a_notebook_that_is_too_long_to_read_is_run_as_a_whole():
    assert left_out("plots.matrix(1)", "#" * pictures.MOST_READ) == []


# ---- what was handed in --------------------------------------------------------------------------------


def code(source: str = "plots.matrix(1)") -> dict:
    return {"cell_type": "code", "source": source}


def kept(*listed: object, source: str = "plots.matrix(1)") -> list[dict]:
    cell = code(source)
    return pictures.handed_in([cell], [list(listed)]).get(id(cell), [])


def test_pictures_and_text_are_kept_as_displayed():
    data = {"image/png": [PNG], "text/plain": "<Figure>"}
    png = {"output_type": "execute_result", "data": data, "metadata": {"a": 1}}
    text = {"output_type": "stream", "name": "stderr", "text": ["one\n", "two\n"]}
    assert kept(png, text) == [
        {"output_type": "display_data", "data": {"image/png": PNG, "text/plain": "<Figure>"}, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": "one\ntwo\n"},
    ]
    assert kept(png, source="model.sample(3)") == []  # what runs shows its own


def test_what_the_course_prints_is_not_run_and_what_students_print_is():
    cells = [c.source for c in solution_cells("hw1") if c.kind == "code"]
    prints = next(c for c in cells if "images classified right" in c)
    assert left_out(prints) == [prints]
    assert left_out(prints.replace("60 images", "61 images")) == []
    assert left_out(prints.splitlines()[-1]) == []  # a part of one is no cell
    assert left_out(prints, assignment="hw2") == []
    assert left_out("print(1)") == left_out("print(model.sample(3))\nplots") == []


def test_only_what_does_nothing_is_kept():
    active = {"text/html": "<script>steal()</script>", "application/javascript": "steal()", "image/svg+xml": "<svg/>"}
    assert kept({"output_type": "display_data", "data": active}) == []
    fake = {"output_type": "display_data", "data": {"image/png": base64.b64encode(b"<script>").decode()}}
    assert not any(o["data"].keys() & outputs.PICTURES.keys() for o in kept(fake))
    assert kept({"output_type": "error", "ename": "E", "evalue": "", "traceback": []}) == []


@pytest.mark.parametrize(
    "raw",
    [
        None,
        3,
        "x",
        {},
        [None, 3, []],
        [{"output_type": "stream", "text": [3]}],
        [{"output_type": "display_data", "data": [1]}],
        [{"output_type": ["a"]}],
        [{"output_type": "display_data", "data": {"image/png": 3}}],
    ],
)
def test_outputs_that_are_none_stop_nothing(raw):
    cell = code()
    assert not any(
        o.get("data", {}).keys() & outputs.PICTURES.keys() for o in pictures.handed_in([cell], [raw]).get(id(cell), [])
    )


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_SHOWN", 100)
    small = {"output_type": "stream", "text": "x" * 40}
    assert len(kept(*[small] * 10)) == 2
    assert len(kept({"output_type": "stream", "text": "\ud800" * 10**6}, small)) == 1
    monkeypatch.undo()
    assert len(kept({"output_type": "stream", "text": "\ud800" * 10**6})[0]["text"]) == pictures.MOST_PRINTED


def test_a_figure_that_was_not_drawn_gives_way_to_the_students_own():
    from deepul_utils import plots

    own = [
        {"output_type": "stream", "name": "stdout", "text": "loss 3"},
        {"output_type": "display_data", "data": {"image/png": PNG}, "metadata": {}},
    ]
    printed = {"output_type": "stream", "name": "stdout", "text": "loss 2"}
    stand_in = {"output_type": "execute_result", "data": {"text/plain": repr(plots.NotDrawn())}, "metadata": {}}
    shown = pictures.completed([printed, stand_in], own)
    assert shown[0] == printed  # what was printed comes from this run
    assert pictures.LABEL in shown[1]["text"]
    assert shown[2:] == own[1:]
    assert pictures.completed([printed, stand_in], own[:1]) == [printed, stand_in]  # there was none
    assert pictures.completed([printed], own) == [printed]  # nothing was to be drawn


def test_own_outputs_are_called_theirs():
    own = [{"output_type": "display_data", "data": {"image/png": PNG}, "metadata": {}}]
    assert "student's own" in pictures.labelled(own)[0]["text"]
    assert "without its output" in pictures.labelled([])[0]["text"]


# ---- in the sandbox ------------------------------------------------------------------------------------

CELLS = [
    "from deepul_utils import plots\nprint('begun')",
    "plots.matrix([[0, 1]])\nprint('run')",
    "kept = 3\nplots.matrix([[0, 1]])",
    "print('kept', kept)",
]


def graded(figures: bool, show: list[dict]) -> list[list[dict]]:
    """The outputs of each of CELLS, handed in with `show` in those that draw."""
    raw = {"cells": [code(s) | {"outputs": show, "metadata": {}} for s in CELLS]}
    normal = normalise({"hw1.ipynb": json.dumps(raw).encode()}, "hw1", {"cells": []})
    grader = Grader(Limits(figures=figures))
    try:
        result = grader.grade(normal, "hw1", "salt")
    finally:
        grader.close()
    assert not result.fault
    return [c["outputs"] for c in result.notebook["cells"]]


def images(listed: list[dict]) -> list[str]:
    return [o["data"]["image/png"] for o in listed if "image/png" in o.get("data", {})]


def printed(listed: list[dict]) -> str:
    return "".join(o["text"] for o in listed if o["output_type"] == "stream")


def test_a_graded_notebook_shows_the_students_own_pictures_and_draws_none():
    own = [
        {"output_type": "display_data", "data": {"image/png": PNG}, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": "as handed in"},
    ]
    first, shows, decides, last = graded(False, own)
    assert printed(first) == "begun\n"
    assert printed(shows) == f"{pictures.LABEL}\nas handed in"
    assert images(shows) == images(decides) == [PNG]
    assert printed(decides) == f"{pictures.LABEL}\n"
    assert printed(last) == "kept 3\n"


def test_figures_are_drawn_anew_where_they_are_asked_for():
    own = [{"output_type": "display_data", "data": {"image/png": PNG}, "metadata": {}}]
    _, shows, decides, _ = graded(True, own)
    assert printed(shows) == "run\n"
    for listed in (shows, decides):
        assert len(images(listed)) == (listed is decides)  # of a plot that no cell ends in, nothing is shown
        assert PNG not in images(listed)


def test_the_report_says_whose_the_figures_are(tmp_path):
    score = batch.blank("made", "1.2", "MADE", 20, "passed", 20.0, "fine")
    stream = io.BytesIO()
    Image.new("RGB", (40, 30)).save(stream, "PNG")
    for figures in ({}, {"made": base64.b64encode(stream.getvalue()).decode()}):
        graded = batch.Graded("ada", scores=[score], figures=figures)
        page = report.write(tmp_path, "hw1", [graded]).parent / report.address("ada")
        assert ("The student’s own figure, as handed in" in page.read_text(encoding="utf-8")) == bool(figures)


def test_the_demo_hands_in_what_its_students_saw(tmp_path):
    handout = assignments.ROOT / "homeworks" / "hw1"
    write_submission(handout / "hw1.ipynb", tmp_path, solution_cells("hw1"), ("made",))
    demo.show_figures(tmp_path / "hw1.ipynb", handout / "figures", ("made",))
    files = {"hw1.ipynb": (tmp_path / "hw1.ipynb").read_bytes()}
    normal = normalise(files, "hw1", json.loads((handout / "hw1.ipynb").read_text(encoding="utf-8")))
    found = batch.figures([c | {"outputs": normal.handed_in.get(c["id"], [])} for c in normal.notebook["cells"]])
    assert set(found) == {"made"}
    assert base64.b64decode(found["made"]) in [f.read_bytes() for f in (handout / "figures").glob("made*.png")]
