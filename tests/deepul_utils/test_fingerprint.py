"""Weights and samples know which code made them: what matters of it, and nothing else, is told when it changes."""

import ast
import itertools
import json
import linecache
import os
import subprocess
import sys
import textwrap

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from autograder import notebooks
from deepul_utils import fingerprint, training

IMPORTS = """
import torch
from torch import nn
from deepul_utils import drawn, fit, play, trained, training
"""
CODE = '''
WIDTH, RATE = 4, 0.01


def noisy(x):
    return x + 0.1


class Layer(nn.Linear):
    """A layer."""

    def forward(self, x):
        return super().forward(x) * 1.0


class Base(nn.Module):
    def log_prob(self, x):
        return -((self.net(x) - x) ** 2).sum(-1)

    def describe(self):
        return "a model"


class Model(Base):
    """A model."""

    bias = 1

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.net = nn.Sequential(Layer(1, width), nn.Tanh(), nn.Linear(width, 1))

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """−log p(x)."""
        # the mean
        self.rarely(x)
        return -self.log_prob(noisy(x)).mean()

    def rarely(self, x):
        if len(x) > 10_000:
            return self.at_last(x)

    def at_last(self, x):
        return 0

    def sample(self, n):
        return self.net(torch.randn(n, 1)).detach()


class Data:
    def sample(self, n):
        return torch.linspace(-1, 1, n)[:, None]


def train_model(data, steps=3, batch=5):
    def train(model):
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        return fit(model, model.loss, data.sample(20), optimizer=optimizer, steps=steps, batch_size=batch)

    return train
'''
TRAIN = 'model = trained("demo", Model(), fit=train_model(Data()))\n'
DRAW = 'samples = drawn("demo", lambda: model.sample(7))\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    return tmp_path


class Notebook:
    """Cells, run one after another as a kernel runs them: each with a source that can be looked up."""

    count = itertools.count()

    def __init__(self):
        self.names: dict = {"__name__": "__main__"}

    def run(self, source: str) -> None:
        file = f"<cell {next(self.count)}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec", dont_inherit=True), self.names)


def after(*edits: tuple[str, str], train: str = TRAIN, then: str = "", capsys) -> str:
    """What a notebook says that trains, is changed, starts afresh, and runs the same cells again."""
    first = Notebook()
    for cell in (IMPORTS, CODE, TRAIN, then):
        first.run(cell)
    training.session = training.Session(training.session.folder)
    changed = CODE
    for find, replace in edits:
        assert changed.count(find) == 1, find
        changed = changed.replace(find, replace)
    capsys.readouterr()
    second = Notebook()
    for cell in (IMPORTS, changed, train, then):
        second.run(cell)
    said = training.notes("demo", training.session.models, second.names)
    shown = capsys.readouterr().out
    trained_by = [line for line in shown.splitlines() if "loaded the weights" in line and "another version" in line]
    assert bool(trained_by) == any("weights were trained by another version" in note for note in said)
    return shown


@pytest.mark.parametrize(
    "edit",
    [
        ("        # the mean\n", "\n\n        # another comment\n"),
        ('"""−log p(x)."""', '"""The negative log-likelihood."""'),
        ("x: torch.Tensor) -> torch.Tensor:", "x):"),
        ("        self.rarely(x)\n", "        print(len(x))\n        self.rarely(x)\n"),
        ("return -self.log_prob(noisy(x)).mean()", "return (\n            -self.log_prob(noisy(x)).mean()\n        )"),
        ("self.net(torch.randn(n, 1)).detach()", "self.net(2 * torch.randn(n, 1)).detach()"),  # used after training
        ('return "a model"', 'return "another model"'),  # never used
        ('    """A model."""\n', ""),
    ],
    ids=["comment", "docstring", "annotations", "printing", "line breaks", "sample", "not used", "class docstring"],
)
def test_what_means_nothing_to_the_weights_is_not_told(edit, capsys):
    shown = after(edit, capsys=capsys)
    assert "loaded the weights trained before in 0 s (retrain=True trains anew)." in shown
    assert "another version" not in shown


@pytest.mark.parametrize(
    ("edit", "unit"),
    [
        (("-self.log_prob(noisy(x)).mean()", "-self.log_prob(noisy(x)).sum()"), "Model.loss"),
        (("(self.net(x) - x) ** 2", "(self.net(x) - x).abs()"), "Base.log_prob"),
        (("* 1.0", "* 2.0"), "Layer.forward"),
        (("x + 0.1", "x + 0.2"), "noisy"),
        (("RATE = 4, 0.01", "RATE = 4, 0.02"), "RATE"),
        (("nn.Tanh()", "nn.ReLU()"), "Model.__init__"),
        (("    bias = 1\n", "    bias = 2\n"), "Model"),
        (("batch_size=batch", "batch_size=batch + 1"), "train_model"),
        (("return 0\n", "return 1\n"), "Model.at_last"),  # not called in the first steps
        (("def noisy(x)", "def noisy(y)"), "noisy"),
        (("class Model(Base)", "class Model(Base, object)"), "Model"),
    ],
    ids=lambda e: e if isinstance(e, str) else "",
)
def test_what_made_the_weights_is_told_when_it_changes(edit, unit, capsys):
    shown = after(edit, capsys=capsys)
    assert f"by another version of your code ({unit} changed); retrain=True trains anew." in shown


def test_several_changes_are_listed(capsys):
    shown = after(("* 1.0", "* 2.0"), ("x + 0.1", "x + 0.2"), capsys=capsys)
    assert "(Layer.forward, noisy changed)" in shown


def test_other_arguments_of_the_training_function_are_told(capsys):
    shown = after(train=TRAIN.replace("Data()", "Data(), steps=4"), capsys=capsys)
    assert "(train_model(…) changed)" in shown


def test_retraining_makes_it_the_code_of_the_weights(capsys):
    after(("* 1.0", "* 2.0"), train=TRAIN.replace("))\n", "), retrain=True)\n"), capsys=capsys)
    notebook = Notebook()
    for cell in (IMPORTS, CODE.replace("* 1.0", "* 2.0"), TRAIN):
        notebook.run(cell)
    assert "another version" not in capsys.readouterr().out


# ---- samples -------------------------------------------------------------------------------------------


def test_samples_are_drawn_anew_by_a_corrected_sampler(capsys):
    shown = after(("torch.randn(n, 1)", "torch.zeros(n, 1)"), then=DRAW, capsys=capsys)
    assert "the samples were drawn by another version of your code (Model.sample changed), and are drawn anew" in shown
    assert "drew 7 samples" in shown
    drawn = training.session.samples["demo"]
    assert torch.allclose(drawn, drawn[:1], rtol=1e-5)  # a processor may round the rows of one batch differently


@pytest.mark.parametrize(
    "edit", [("(noisy(x)).mean()", "(noisy(x)).sum()"), ('return "a model"', 'return "b"')], ids=["loss", "not used"]
)
def test_samples_stay_where_their_code_did(edit, capsys):
    assert "loaded 7 samples drawn before" in after(edit, then=DRAW, capsys=capsys)


def test_at_grading_samples_that_were_handed_in_stay_and_a_note_says_what_they_are(monkeypatch, capsys):
    begin = training.Session.__init__

    def graded(self, folder):
        begin(self, folder)
        self.grading = True

    first = Notebook()
    for cell in (IMPORTS, CODE, TRAIN, DRAW):
        first.run(cell)
    monkeypatch.setattr(training.Session, "__init__", graded)
    training.session = training.Session(training.session.folder)
    second = Notebook()
    for cell in (IMPORTS, CODE.replace("torch.randn(n, 1)", "torch.zeros(n, 1)"), TRAIN, DRAW):
        second.run(cell)
    assert "loaded 7 samples drawn before" in capsys.readouterr().out
    assert training.notes("demo", training.session.models, second.names) == [
        "demo: its samples were drawn by another version of your code (Model.sample changed); "
        "drawn(…, redraw=True) draws anew."
    ]


# ---- the live notebook ---------------------------------------------------------------------------------


def test_a_class_that_was_changed_since_is_told_to_the_check(capsys):
    """The model in memory is of the old class; new objects are of the new."""
    notebook = Notebook()
    for cell in (IMPORTS, CODE, TRAIN):
        notebook.run(cell)
    assert training.notes("demo", training.session.models, notebook.names) == []
    notebook.run(CODE)  # the same again
    assert training.notes("demo", training.session.models, notebook.names) == []
    notebook.run(CODE.replace("(self.net(x) - x) ** 2", "(self.net(x) - x).abs()").replace("def describe", "def tell"))
    assert training.notes("demo", training.session.models, notebook.names) == [
        "demo: its weights were trained by another version of your code (Base.log_prob changed); "
        "retrain=True trains anew."
    ]
    assert training.notes("other", training.session.models, notebook.names) == []


def test_a_number_that_the_next_exercise_sets_anew_is_not_told_to_a_later_check(capsys):
    notebook = Notebook()
    for cell in (IMPORTS, CODE.replace("lr=RATE", "lr=RATE * factor"), "factor = 1", TRAIN, "factor = 2; RATE = 0.01"):
        notebook.run(cell)
    assert training.notes("demo", training.session.models, notebook.names) == []
    notebook.run("RATE = 0.02")
    assert "(RATE changed)" in training.notes("demo", training.session.models, notebook.names)[0]
    notebook.run(TRAIN)  # where it is loaded again, the number counts
    assert "(RATE, factor changed)" in capsys.readouterr().out


def test_weights_without_a_fingerprint_say_nothing(folder, capsys):
    """The reference weights, and weights of an older kit."""
    first = Notebook()
    for cell in (IMPORTS, CODE, TRAIN):
        first.run(cell)
    file = folder / "demo.safetensors"
    for metadata in ({}, {"code": "nonsense"}, {"code": "[1]"}, {"code": '{"Model": 3}'}):
        safetensors.torch.save_file(safetensors.torch.load_file(file), file, metadata=metadata)
        second = Notebook()
        for cell in (IMPORTS, CODE.replace("* 1.0", "* 2.0"), TRAIN):
            second.run(cell)
        assert training.notes("demo", training.session.models, second.names) == []
    assert "another version" not in capsys.readouterr().out


def test_code_without_a_source_has_no_fingerprint(folder, capsys):
    names: dict = {"__name__": "__main__"}
    exec(IMPORTS + CODE + TRAIN, names)
    exec(CODE.replace("* 1.0", "* 2.0") + TRAIN, names)
    assert "loaded" in capsys.readouterr().out
    assert training.notes("demo", training.session.models, names) == []
    with safetensors.safe_open(folder / "demo.safetensors", framework="pt") as stored:
        code = json.loads(stored.metadata()["code"])
    assert set(code) <= {"RATE", "WIDTH", "train_model(…)"}, "what is known without a source: constants"


def test_an_interrupted_training_remembers_the_code_that_it_began_with(capsys):
    stop = CODE.replace("self.rarely(x)", "import signal; signal.raise_signal(signal.SIGINT)")
    first = Notebook()
    first.run(IMPORTS)
    first.run(stop)
    with pytest.raises(training.Interrupted):
        first.run(TRAIN)
    first.run(CODE)
    first.run(TRAIN)
    assert "going on from step 1 (your code has changed since then: Model.loss; " in capsys.readouterr().out
    assert "(Model.loss changed)" in training.notes("demo", training.session.models, first.names)[0]


def test_another_profiler_is_left_alone():
    seen = []
    sys.setprofile(lambda frame, event, argument: seen.append(event))
    try:
        with fingerprint.Watch() as watch:
            torch.zeros(1)
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert seen
    assert watch.codes == {}


def test_watching_ends_by_itself_and_sees_no_pictures(monkeypatch):
    def called():
        pass

    def pictured():
        pass

    with fingerprint.Watch() as watch:
        called()
        with fingerprint.unseen():
            pictured()
    assert called.__code__ in watch.codes
    assert pictured.__code__ not in watch.codes
    assert sys.getprofile() is None
    monkeypatch.setattr(fingerprint, "MOST_CALLS", 3)
    with fingerprint.Watch() as watch:
        len([]), len([]), len([])
        called()
        assert sys.getprofile() is None
    assert called.__code__ not in watch.codes


# ---- where the source comes from -----------------------------------------------------------------------


def test_cells_that_the_grader_runs_have_a_source(folder, capsys):
    def run(code: str):
        cells = [notebooks.Cell("code", source) for source in (IMPORTS, code, TRAIN, DRAW)]
        ran = notebooks.run_cells(cells, folder, folder / "artifacts", "graded")
        assert ran.errors == {}
        return training.notes("demo", ran.session.models, ran.namespace)

    assert run(CODE) == []
    assert "(Layer.forward changed)" in run(CODE.replace("* 1.0", "* 2.0"))[0]
    capsys.readouterr()
    assert "(Model.sample changed)" in run(CODE.replace("torch.randn(n, 1)", "torch.zeros(n, 1)"))[0]
    assert "loaded 7 samples" in capsys.readouterr().out, "known wrong answers share the solution's samples"


SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
imports, code, train = {cells!r}
same, other = code.replace("# the mean", "# mean"), code.replace("* 1.0", "* 2.0")
for source in (imports, code, train, same, train, other, train):
    result = shell.run_cell(source, store_history=True)
    result.raise_error()
"""


def test_cells_of_ipython_have_a_source(folder):
    script = SHELL.format(cells=(IMPORTS, CODE, TRAIN))
    env = os.environ | {"DEEPUL_ARTIFACTS": str(folder)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trained, same, other = [line for line in done.stdout.splitlines() if line.startswith("demo: ")]
    assert "trained in" in trained
    assert "another version" not in same
    assert "(Layer.forward changed)" in other


@pytest.mark.parametrize(
    "decorated",
    ["@property\n    def net2(self):", "@torch.no_grad()\n    def net2(self):", "@staticmethod\n    def net2():"],
)
def test_decorated_methods_are_found(decorated):
    notebook = Notebook()
    notebook.run(IMPORTS + f"class Model(nn.Module):\n    {decorated}\n        return 1\n")
    code = fingerprint.Code(notebook.names["Model"]())
    assert code.digest("Model.net2")
    assert code.digest("Model.net3") == ""


def test_canonical_source_is_the_same_in_every_python():
    """ast.dump is not: 3.13 leaves empty lists out, 3.12 adds type_params."""
    source = textwrap.dedent("""
        def f(x, *, y: int = 2) -> int:
            '''Doc.'''
            print(x)
            pass
            return [f"{x:.2f}", "a", lambda z: -z][y]
    """)
    assert fingerprint._canonical(ast.parse(source).body) == (
        "[FunctionDef(name='f',args=arguments(args=[arg(arg='x')],kwonlyargs=[arg(arg='y')],"
        "kw_defaults=[Constant(value=2)]),body=[Return(value=Subscript(value=List(elts=[JoinedStr(values=["
        "FormattedValue(value=Name(id='x'),conversion=-1,format_spec=JoinedStr(values=[Constant(value='.2f')]))]),"
        "Constant(value='a'),Lambda(args=arguments(args=[arg(arg='z')]),body=UnaryOp(op=USub(),operand=Name(id='z')))]),"
        "slice=Name(id='y')))])]"
    )


def test_a_model_without_classes_of_ones_own():
    code = fingerprint.Code(nn.Linear(1, 1), None, {})
    with fingerprint.Watch() as watch:
        pass
    assert code.made(watch) == {}
    assert code.changed({"Linear.forward": "0"}) == []


def test_what_a_training_counts_and_collects_is_no_argument():
    def outer(rate):
        losses, count = [], 0

        def inner():
            nonlocal count
            count += 1
            losses.append(rate)

        return inner

    function = outer(0.1)
    before = fingerprint._arguments(function)
    function()
    assert before == fingerprint._arguments(function) == "[('rate', 0.1)]"
    assert fingerprint._arguments(outer(0.2)) != before
