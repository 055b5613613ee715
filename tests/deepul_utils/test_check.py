"""check(name): what a student sees, and what nbgrader makes of it."""

import json
import linecache
import os
import pickle
import random
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from autograder import assignments
from autograder.display import COLOURS
from autograder.grading.execute import shown
from autograder.handout.submit import solution_cells
from autograder.score import CheckResult, Score
from deepul_utils import check as live_check
from deepul_utils import training
from deepul_utils.errors import KitError
from deepul_utils.training import randomness

IMPORTS = (
    "import torch\nimport torch.nn.functional as F\nfrom torch import nn\nfrom deepul_utils import check, trained\n"
)
MADE = "\n".join(c.source for c in solution_cells("hw1") if c.source.startswith(("class MaskedLinear", "class MADE")))
STUB = 'raise NotImplementedError("Exercise 1.2 is not implemented yet: MADE.logits")'
POINTS_UNTRAINED = 16.0  # of 20: all that needs no trained model


@pytest.fixture(autouse=True)
def session(tmp_path, monkeypatch):
    """A notebook that has trained nothing."""
    monkeypatch.setattr(training, "session", training.Session(tmp_path))


def checked(source: str, *edits: tuple[str, str], name: str = "made"):
    """check(name) in a notebook that holds this source, with some edits."""
    for find, replace in edits:
        assert source.count(find) == 1, find
        source = source.replace(find, replace)
    namespace: dict = {}
    exec(IMPORTS, namespace)
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")
    exec(compile(source, "<cell>", "exec"), namespace)
    exec(f"score = check({name!r})", namespace)
    return namespace["score"]


def result(score, name: str):
    return next(r for r in score.results if r.name == name)


# ---- what it says --------------------------------------------------------------------------------------


def test_a_right_solution_before_training():
    score = checked(MADE)
    assert score == POINTS_UNTRAINED
    assert score.max_points == assignments.get_exercise("made").points
    *others, smiley, moons = score.results
    assert {r.outcome for r in others} == {"passed"}
    assert {r.outcome for r in (smiley, moons)} == {"skipped"}
    assert "run the cell with trained('made.smiley', …)" in smiley.measured
    found = f"{len(others)} of {len(others) + 2} checks hold"
    assert score.headline == f"{found}; still to do: training made.smiley, training made.moons."
    assert score.printed == ""


@pytest.mark.parametrize("stub", [STUB, "raise NotImplementedError", "raise NotImplementedError()"])
def test_what_is_not_implemented_is_said_so(stub):
    where = "self.dims, self.bins = dims, bins"
    score = checked(MADE, (where, f"{where}\n        {stub}"))
    assert score == 0
    assert score.headline == "Exercise 1.2 is not implemented yet."
    assert {r.outcome for r in score.results} == {"skipped"}
    assert score.headline in score._repr_html_()
    assert score.headline in " ".join(score.text().split())


@pytest.mark.parametrize("stub", [STUB, "raise NotImplementedError"])
def test_a_stub_costs_the_checks_that_call_it(stub):
    score = checked(MADE, ("return F.linear(x, self.weight * self.mask, self.bias)", stub))
    waiting = result(score, "each_output_depends_only_on_earlier_inputs")
    assert (waiting.outcome, waiting.measured) == ("skipped", "`forward` (of MaskedLinear) is not implemented yet")
    assert result(score, "every_layer_has_weights_of_its_own").outcome == "passed"  # nothing is computed for it
    assert "still to do: `forward`, training made.smiley" in score.headline


def test_an_exercise_that_is_half_written_is_no_longer_unwritten():
    written = CheckResult("a", "A", 1, 1.0, "passed")
    stub = CheckResult("b", "B", 1, 0.0, "skipped", "`sample` (of MADE) is not implemented yet", kind="not implemented")
    assert (
        Score(assignments.get_exercise("made"), [written, stub]).headline
        == "1 of 2 checks hold; still to do: `sample`."
    )
    wrong = CheckResult("c", "C", 1, 0.0, "failed")
    said = "1 of 3 checks hold, 1 found something wrong; still to do: `sample`. 2 other checks were not run."
    assert Score(assignments.get_exercise("made"), [written, stub, wrong], left_out=2).headline == said
    assert Score(assignments.get_exercise("made"), [written]).headline == "Everything holds."


@pytest.mark.parametrize("exercise", ["made", "logistic_mixture", "gan2d", "masked_diffusion"])
def test_where_no_cell_has_run_nothing_is_wrong(exercise):
    """As right after a restart of the kernel."""
    namespace = {"check": live_check}
    exec(f"score = check({exercise!r})", namespace)
    said = r"There is nothing to check yet: \w+(, \w+)* (is|are) not defined\."
    assert re.fullmatch(said, namespace["score"].headline)


def test_a_name_that_is_missing_is_nothing_that_was_found_wrong():
    right = CheckResult("a", "A", 1, 1.0, "passed")
    missing = CheckResult("b", "B", 1, 0.0, "failed", "MADE is not defined: run the cell that …", kind="missing")
    other = CheckResult("c", "C", 1, 0.0, "failed", "MADE has no method sample.", kind="missing")
    made = assignments.get_exercise("made")
    assert Score(made, [right, missing]).headline == "1 of 2 checks hold; not defined: MADE."
    assert Score(made, [other]).headline == "0 of 1 checks hold, 1 found something wrong."


def test_only_wants_words():
    with pytest.raises(KitError, match=r"wants words of a check's title, in quotes: check\(\"made\", only="):
        live_check("made", only=3)


def test_a_slip_that_torch_calls_not_implemented_is_a_slip():
    """torch raises NotImplementedError for a log-softmax of integers."""
    score = checked(MADE, ("F.log_softmax(self.logits(x), dim=-1)", "F.log_softmax(self.logits(x).long(), dim=-1)"))
    first = result(score, "probabilities_sum_to_one")
    assert (first.outcome, first.kind) == ("failed", "raised")
    line = MADE[: MADE.index("F.log_softmax")].count("\n") + 1
    assert f"not implemented for 'Long' — in log_prob, line {line} of its cell: log_p = F.log_soft" in first.measured
    assert "not implemented yet" not in score.headline


def test_a_wrong_shape_names_the_expected_and_the_got():
    score = checked(MADE, ("squeeze(-1).sum(dim=1)\n", "squeeze(-1).sum(dim=1, keepdim=True)\n"))
    row = result(score, "probabilities_sum_to_one")
    assert row.measured == "MADE.log_prob(x) should have shape (27,), got (27, 1)."
    assert row.measured in score._repr_html_()
    assert row.measured in " ".join(score.text().split())
    for unconcerned in ("each_output_depends_only_on_earlier_inputs", "samples_follow_the_density"):
        assert result(score, unconcerned).outcome == "passed"


def test_a_class_that_is_missing():
    score = checked("")
    row = result(score, "probabilities_sum_to_one")
    assert (row.kind, row.outcome) == ("missing", "failed")
    assert row.measured == "MADE is not defined: run the cell that defines it (Run → Run All Above)."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("maed", "There is no exercise called 'maed'. Did you mean 'made'?"),
        ("xyz", "There is no exercise called 'xyz'. Exercises:"),
    ],
)
def test_an_exercise_that_does_not_exist(name, said):
    with pytest.raises(KitError) as error:
        checked(MADE, name=name)
    assert str(error.value).startswith(said)
    assert "logistic_mixture, made" in str(error.value)


def test_an_exercise_without_its_quotes():
    with pytest.raises(KitError, match=r'in quotes: check\("made"\)'):
        live_check(torch.nn.Linear(1, 1))


def test_an_interrupt_stops_the_check():
    stop = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    with pytest.raises(KeyboardInterrupt):
        checked(MADE, ("one_hot = F", f"{stop}\n        one_hot = F"))


@pytest.mark.parametrize("leave", ["raise SystemExit(0)", "import sys; sys.exit()", "exit()"])
def test_code_that_exits_is_the_students_slip(leave):
    score = checked(MADE, ("one_hot = F", f"{leave}\n        one_hot = F"))
    assert result(score, "each_output_depends_only_on_earlier_inputs").measured.startswith(
        "MADE.logits raised SystemExit"
    )


# ---- what it leaves alone ------------------------------------------------------------------------------

CHATTER = """
        import logging, sys, warnings
        print("printed")
        print("complained", file=sys.stderr)
        warnings.warn("a warning")
        warnings.warn("deprecated", DeprecationWarning)
        logging.getLogger("mine").propagate = False  # past pytest's own handler
        logging.getLogger("mine").warning("logged")
        """


def test_code_that_prints_and_warns_loses_nothing_and_nothing_reaches_stderr(capfd):
    score = checked(MADE, ("one_hot = F", f"{CHATTER.strip()}\n        one_hot = F"))
    shown = capfd.readouterr()
    assert score == POINTS_UNTRAINED
    assert (shown.out, shown.err) == ("", "")
    for said in ("printed", "complained", "logged"):
        assert said in score.printed
        assert said in score._repr_html_()


def test_the_next_check_does_not_show_what_this_one_printed():
    assert "printed" in checked(MADE, ("one_hot = F", 'print("printed")\n        one_hot = F')).printed
    assert checked(MADE).printed == ""


def test_a_check_leaves_the_notebook_as_it_was(monkeypatch):
    def state():
        return (
            dict(os.environ),
            list(sys.path),
            os.getcwd(),
            list(warnings.filters),
            random.getstate(),
            randomness._random_state()["numpy"],
            torch.get_rng_state().tolist(),
            sys.stdout,
            sys.stderr,
            torch.is_grad_enabled(),
            list(sys.meta_path),
            sys.excepthook,
            torch.get_num_threads(),
        )

    checked(MADE)  # imports what it needs
    before = state()
    checked(MADE)
    assert state() == before


# ---- what nbgrader makes of it -------------------------------------------------------------------------


def cell_with(output) -> object:
    from nbformat.v4 import new_code_cell, new_output

    cell = new_code_cell("check('made')", outputs=[new_output("execute_result", data=output)])
    cell.metadata["nbgrader"] = dict(grade=True, solution=False, locked=True, points=20, grade_id="check-made")
    return cell


@pytest.mark.parametrize("solved", [0, 1])
def test_nbgrader_reads_it_as_partial_credit(solved, monkeypatch):
    """In its own `nbgrader autograde`, and where the kit's graders write the cell's output."""
    from IPython.core.interactiveshell import InteractiveShell
    from nbgrader.utils import determine_grade

    score = checked(MADE if solved else "")
    assert determine_grade(cell_with(shown(score)["data"])) == (float(score), 20.0)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    data, _ = InteractiveShell().display_formatter.format(score)
    assert data["text/plain"] == ("16.0" if solved else "0.0")
    assert data["text/html"].startswith("<style>")
    assert determine_grade(cell_with(data)) == (float(score), 20.0)


def test_the_text_form_is_the_table_in_eighty_columns():
    """What VS Code without its renderer, a terminal and nbconvert show."""
    from IPython.core.interactiveshell import InteractiveShell

    score = checked(MADE, ("(u > v) if is_output else (u >= v)", "u >= v"))
    data, _ = InteractiveShell().display_formatter.format(score)
    assert data["text/plain"] == repr(score) == str(score) == score.text()
    lines = str(score).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"Exercise 1.2 · {score.exercise.title}: {float(score):g} / 20.")
    flat = " ".join(str(score).split())
    for row in score.results:
        assert row.title in flat
        assert " ".join(row.measured.split()) in flat
    wrong = result(score, "each_output_depends_only_on_earlier_inputs")
    assert f"✗ 0 / 4 {wrong.title} {wrong.measured} required: {wrong.required} → {wrong.hint}" in flat


def test_colours_of_the_table_stand_out_from_light_and_dark_pages():
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    for colour in COLOURS.values():
        for page in ("#ffffff", "#111111", "#1f1f1f"):  # JupyterLab's dark page, VS Code's
            dark, light = sorted((luminance(colour), luminance(page)))
            assert (light + 0.05) / (dark + 0.05) >= 3, (colour, page)


def test_the_score_is_a_plain_float_and_its_data_are_plain_json():
    score = checked(MADE, ("(u > v) if is_output else (u >= v)", "u >= v"))  # has a plot
    assert isinstance(score, float)
    assert f"{score:g}" == f"{float(score):g}"
    assert type(pickle.loads(pickle.dumps(score))) is float
    assert json.loads(json.dumps(score)) == score
    bundle = score._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.deepul.score+json"}
    data = bundle["application/vnd.deepul.score+json"]
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["points"] == score
    assert data["max_points"] == 20
    plot = next(c["plot"] for c in data["checks"] if c["plot"] and c["outcome"] == "failed")
    sees = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]  # no hidden unit has degree 4
    assert plot["values"] == sees


def test_points_are_no_binary_fractions():
    results = [CheckResult("a", "A", 1, p) for p in (0.1, 0.2, None)]
    assert Score(assignments.get_exercise("made"), results).figure == "0.3"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32("nan"), np.array([1.0, np.nan])])
def test_what_json_cannot_say_is_null(value):
    plot = {"kind": "bars", "x": "state", "series": {"p": [value], "q": np.array([0.5])}}
    score = Score(assignments.get_exercise("made"), [CheckResult("a", "A", 1, np.float64(0.5), plot=plot)])
    assert type(score + 0) is float
    data = json.loads(json.dumps(score.to_json(), allow_nan=False))
    assert "null" in json.dumps(data["checks"][0]["plot"]["series"]["p"])
    assert data["checks"][0]["points"] == 0.5


# ---- in a notebook's shell -----------------------------------------------------------------------------

CELLS = {
    "import": IMPORTS + "from deepul_utils import fit, toy, plots, training",
    "syntax": "class MADE(nn.Module)\n    pass",
    "check syntax": "check('made')",
    "name": "class MADE(nn.Modul):\n    pass",
    "check name": "check('made')",
    "typo": "check('maed')",
    "never trained": "training.history('made.smiley')",
    "interrupted": "def stop(model):\n    raise KeyboardInterrupt\ntrained('made.smiley', nn.Linear(1, 1), fit=stop)",
    "define": MADE,
    "check": "check('made')",
    "in a function": "def look():\n    return check('made')\nlook()",
    "last": "float(_)",
    "broken": MADE.replace("class MADE(nn.Module)", "class MADE(nn.Modul)"),
    "check broken": "check('made')",
    "part broken": MADE + "\nclass MaskedLinear(nn.Linear)\n",
    "check part": "check('made')",
    "stops behind it": MADE + "\nundefined",
    "check behind": "check('made')",
    "other broken": "class Other(nn.Modul):\n    pass",
    "check other": "check('made')",
    "train": "def train(model):\n    return fit(model, lambda x: -model.log_prob(x).mean(), torch.zeros(9, 2).long(), "
    "optimizer=torch.optim.Adam(model.parameters()), steps=2)\n"
    "trained('made.smiley', MADE(dims=2, bins=25), fit=train)",
    "check trained": "check('made')",
    "change": MADE.replace("return F.linear(x, self.weight * self.mask", "return F.linear(x, self.mask * self.weight"),
    "check change": "check('made')",
    "load": "trained('made.smiley', MADE(dims=2, bins=25), fit=train)",
}
SHELL = f"""
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
shown = {{}}
for name, source in {CELLS!r}.items():
    with capture_output() as captured:
        result = shell.run_cell(source, store_history=True).result
    data, _ = shell.display_formatter.format(result)
    shown[name] = dict(out=captured.stdout, err=captured.stderr, data=data)
print(json.dumps(shown))
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> dict:
    """{cell: what a real IPython shell showed for it}."""
    folder = tmp_path_factory.mktemp("notebook")
    done = subprocess.run([sys.executable, "-c", SHELL], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def first_measured(cell: dict) -> str:
    return cell["data"]["application/vnd.deepul.score+json"]["checks"][0]["measured"]


def test_a_cell_that_stopped_is_named_where_its_class_is_missed(shell):
    said = "MADE is not defined: its cell stopped with "
    assert first_measured(shell["check syntax"]) == f"{said}SyntaxError in line 1: expected ':' — class MADE(nn.Module)"
    assert first_measured(shell["check name"]).startswith(f"{said}AttributeError: module 'torch.nn' has no attribute")
    assert shell["check"]["data"]["text/plain"].count(": 16 / 20.") == 1


def notes(cell: dict) -> list[str]:
    return cell["data"]["application/vnd.deepul.score+json"]["notes"]


def test_a_class_whose_cell_has_since_failed_is_told(shell):
    """What is checked is not what stands there to read."""
    assert notes(shell["check"]) == []
    (note,) = notes(shell["check broken"])
    assert note.startswith("MADE: its cell stopped with AttributeError: module 'torch.nn' has no attribute 'Modul'")
    assert note.endswith("What is checked is the MADE from before.")
    assert note.split(":")[0] in shell["check broken"]["data"]["text/html"]
    both = notes(shell["check part"])
    assert [note.split(":")[0] for note in both] == ["MADE", "MaskedLinear"]
    assert "SyntaxError in line" in both[1]


def test_a_cell_that_stops_behind_a_class_has_defined_it(shell):
    assert notes(shell["check behind"]) == []
    assert notes(shell["check other"]) == [], "it has nothing to do with this exercise"


def test_weights_of_another_version_are_told(shell):
    assert notes(shell["check trained"]) == []
    said = "trained by another version of your code (MaskedLinear.forward changed); retrain=True trains anew."
    assert notes(shell["check change"]) == [f"made.smiley: its weights were {said}"]
    assert "by another version of your code (MaskedLinear.forward changed)" in shell["load"]["out"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("typo", "KitError: There is no exercise called 'maed'. Did you mean 'made'?"),
        ("never trained", "KitError: Exercise 1.2: nothing was trained under the name 'made.smiley' yet."),
        ("interrupted", "Interrupted: made.smiley: training was interrupted. Run this cell again to go on."),
    ],
)
def test_an_error_of_the_kit_shows_one_line_and_no_traceback(shell, cell, said):
    shown = shell[cell]["out"].strip()
    assert shown.startswith(said)
    assert "Traceback" not in shown
    assert ".py" not in shown
    assert "\n" not in shown
    assert shell[cell]["err"] == ""


def test_the_shell_shows_the_score(shell):
    assert ": 16 / 20." in shell["in a function"]["data"]["text/plain"].splitlines()[0]
    assert shell["last"]["data"]["text/plain"] == "16.0"
    assert all(shown["err"] == "" for shown in shell.values())


# ---- how long it takes ---------------------------------------------------------------------------------


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_kit_loads_nothing_that_a_notebook_may_not_need():
    names = "print(*{name.split('.')[0] for name in sys.modules})"
    loaded = run(f"import sys; from deepul_utils import check, trained; {names}").split()
    assert "torch" in loaded
    others = {"matplotlib", "pytest", "_pytest", "nbformat", "scipy", "jupytext", "nbgrader", "pandas", "autograder"}
    assert others.isdisjoint(loaded)
    assert not {"torch", "numpy"} & set(run(f"import sys, deepul_utils; {names}").split())


def test_the_library_stands_alone():
    """Of the autograder it knows nothing but that `check` calls it, and where the losses to aim at are written."""
    kit = assignments.ROOT / "deepul_utils"
    knows = re.compile(r"^\s*(from|import) autograder\b", re.MULTILINE)
    found = {f.name for f in kit.rglob("*.py") if knows.search(f.read_text(encoding="utf-8"))}
    assert found == {"check.py", "references.py"}


def test_a_check_is_quick():
    """Design: an answer in three seconds. Printed rather than asserted tightly: test machines are busy."""
    twice = (
        "import time\nfor _ in range(2):\n    begun = time.time()\n    check('made')\n    print(time.time() - begun)"
    )
    first, second = map(float, run(f"{IMPORTS}{MADE}\n{twice}").split())
    print(f"check('made'): {first:.2f} s the first time, {second:.2f} s the second")
    assert first < 30


def test_check_is_the_same_by_either_name():
    import deepul_utils

    assert deepul_utils.check is live_check
