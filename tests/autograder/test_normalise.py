"""Submissions put in order: whatever a student hands in, the course's cells are in their places, and it is said."""

import copy
import json
import os
import pickle
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.assignments import ROOT
from autograder.course import CourseError
from autograder.grading import downloads, submissions
from autograder.grading import normalise as module
from autograder.grading.choice import AnotherAssignment
from autograder.grading.normalise import Normalised, normalise

HANDOUT = json.loads((ROOT / "homeworks" / "hw1" / "hw1.ipynb").read_text(encoding="utf-8"))
MADE, TRAIN, CHECK = "made-MADE", "made-train_made", "check-made"
FIRST = "logistic_mixture-DiscretizedLogisticMixture"
quick = settings(max_examples=200, deadline=None, derandomize=True)


def about(cell: dict) -> dict:
    return cell["metadata"].get("nbgrader", {})


def text(cell: dict) -> str:
    return "".join(cell["source"])


def grade_id(cell: dict) -> str | None:
    return about(cell).get("grade_id")


COURSES = {grade_id(c): c for c in HANDOUT["cells"] if grade_id(c)}


def place(notebook: dict, name: str) -> int:
    """Where the one cell with this grade id stands."""
    (found,) = [i for i, c in enumerate(notebook["cells"]) if grade_id(c) == name]
    return found


def texts(notebook: dict) -> list[str]:
    return [text(c) for c in notebook["cells"]]


def code(source: str, **metadata) -> dict:
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def handed_in(*edits: Callable[[list], object]) -> dict:
    notebook = copy.deepcopy(HANDOUT)
    for edit in edits:
        edit(notebook["cells"])
    return notebook


def order(notebook: object, handout: dict = HANDOUT, **files: bytes) -> Normalised:
    content = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
    return normalise({"hw1.ipynb": content, **files}, "hw1", handout)


def edited(*edits: Callable[[list], object], handout: dict = HANDOUT) -> Normalised:
    """The handout after a student's edits of its list of cells, put in order; in order in any case."""
    normal = order(handed_in(*edits), handout)
    in_order(normal, handout)
    return normal


def at(cells: list[dict], name: str) -> int:
    return place({"cells": cells}, name)


def delete(*names: str) -> Callable[[list], None]:
    return lambda cells: [cells.pop(at(cells, n)) for n in names]


def rewrite(name: str, source: object) -> Callable[[list], None]:
    return lambda cells: cells[at(cells, name)].update(source=source)


def forget(cells: list[dict]) -> None:
    """What Colab does: neither metadata nor ids."""
    for cell in cells:
        cell["metadata"] = {}
        cell.pop("id", None)


def in_order(normal: Normalised, handout: dict = HANDOUT) -> None:
    """What holds for every submission: valid, the course's cells are the course's, and again changes nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbformat.validate(nbformat.from_dict(normal.notebook))
    for name, original in {grade_id(c): c for c in handout["cells"] if grade_id(c)}.items():
        cell = normal.notebook["cells"][place(normal.notebook, name)]
        assert cell["metadata"] == original["metadata"]
        assert cell["cell_type"] == original["cell_type"]
        if about(original)["grade"] and not about(original)["solution"]:
            assert cell["source"] == text(original)
    ours = {grade_id(c) for c in handout["cells"]}
    assert all(not c["metadata"] for c in normal.notebook["cells"] if grade_id(c) not in ours)
    again = order(normal.notebook, handout)
    assert again.notebook == normal.notebook
    assert again.changes == []
    for change in normal.changes:
        assert change.encode().decode().isprintable()
        assert change.endswith(".")
        assert len(change) < 600


def refused(notebook: object, match: str) -> None:
    """A CourseError in one line that names the file and can be printed anywhere."""
    with pytest.raises(CourseError, match=match) as caught:
        order(notebook)
    said = str(caught.value)
    assert said.startswith("hw1.ipynb ")
    assert said.encode().decode().isprintable()
    assert len(said) < 500


# ---- nothing to do -------------------------------------------------------------------------------------


def test_an_untouched_handout_comes_through_as_it_is():
    normal = edited()
    assert normal.changes == []
    assert normal.files == {}
    assert texts(normal.notebook) == texts(HANDOUT)
    assert [about(c) for c in normal.notebook["cells"]] == [about(c) for c in HANDOUT["cells"]]
    assert (
        len([c for c in normal.notebook["cells"] if about(c)])
        == len(COURSES)
        == sum(bool(about(c)) for c in HANDOUT["cells"])
    )


def test_a_students_own_work_comes_through_as_it_is():
    solved = "class MADE(nn.Module):\n    pass\n"
    normal = edited(rewrite(MADE, solved), lambda cells: cells.insert(3, code("mine = 1")))
    assert normal.changes == []
    assert normal.notebook["cells"][place(normal.notebook, MADE)]["source"] == solved
    assert texts(normal.notebook)[3] == "mine = 1"
    assert len(normal.notebook["cells"]) == len(HANDOUT["cells"]) + 1


def test_only_the_courses_metadata_stays_and_no_outputs():
    def decorate(cells):
        for cell in cells:
            cell["metadata"] |= {"tags": ["skip-execution"], "collapsed": True, "trusted": True, "x": {"y": 1}}
            cell["attachments"] = {"a.png": {"image/png": "AA=="}}
            if cell["cell_type"] == "code":
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "35 of 35 points"}]
                cell["execution_count"] = 7
        cells[at(cells, CHECK)]["metadata"]["nbgrader"]["points"] = 1000
        cells[at(cells, MADE)]["metadata"]["nbgrader"]["locked"] = True
        cells[0]["metadata"]["nbgrader"] = {"grade_id": "mine", "grade": True, "points": 99, "solution": False}

    notebook = handed_in(decorate)
    notebook["metadata"] = {"kernelspec": {"name": "sos"}, "celltoolbar": "x"}
    normal = order(notebook)
    in_order(normal)
    assert "skip-execution" not in json.dumps(normal.notebook)
    assert "35 of 35" not in json.dumps(normal.notebook)
    assert normal.notebook["metadata"] == module.NOTEBOOK
    assert all(
        set(c) <= {"id", "cell_type", "metadata", "source", "outputs", "execution_count"}
        for c in normal.notebook["cells"]
    )
    assert {c["execution_count"] for c in normal.notebook["cells"] if c["cell_type"] == "code"} == {None}


# ---- the course's cells --------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["20", 'check("made")\n20', "", '    check("made")', 'check("logistic_mixture")'])
def test_a_check_that_was_edited_is_put_back(source):
    normal = edited(rewrite(CHECK, source))
    assert texts(normal.notebook) == texts(HANDOUT)
    said = [f"The text of the cell {CHECK} was changed, and was put back as it was handed out."]
    assert normal.changes == (said if source.strip() != 'check("made")' else [])


@pytest.mark.parametrize("names", [[n] for n in COURSES] + [list(COURSES), ["check-logistic_mixture", CHECK]])
@pytest.mark.parametrize("forgotten", [False, True])
def test_cells_that_were_deleted_are_put_back_in_their_places(names, forgotten):
    normal = edited(delete(*names), *([forget] if forgotten else []))
    assert texts(normal.notebook) == texts(HANDOUT)
    assert normal.changes == [
        f"The cell {n} was missing and was put back as it was handed out." for n in COURSES if n in names
    ]


def test_a_check_is_put_back_behind_the_training_that_it_grades():
    """The student's cells about it are all others; what was trained must be there when the check runs."""

    def rewritten(cells):
        cells[:] = [c for c in cells if c["cell_type"] == "code"]
        for cell in cells:
            if not grade_id(cell):
                cell["source"] = text(cell) + "\n# mine"

    normal = edited(delete("check-logistic_mixture", CHECK), rewritten)
    trained = next(i for i, t in enumerate(texts(normal.notebook)) if 'trained(\n    "logistic_mixture"' in t)
    first = place(normal.notebook, "check-logistic_mixture")
    assert trained < first < place(normal.notebook, "made-MaskedLinear")
    last = max(i for i, t in enumerate(texts(normal.notebook)) if 'trained("made.' in t)
    assert last < place(normal.notebook, CHECK) < place(normal.notebook, "pixelcnn-MaskedConv2d")


def test_a_copy_of_the_prose_further_up_is_no_place_for_a_check():
    copied = copy.deepcopy(HANDOUT["cells"][15])
    normal = edited(delete("check-logistic_mixture"), lambda cells: cells.insert(0, copied))
    assert texts(normal.notebook)[1:] == texts(HANDOUT)


def test_a_solution_written_in_a_cell_of_its_own_is_taken():
    mine = "import torch\n\nclass MADE(nn.Module):\n    mine = True"
    normal = edited(delete(MADE), lambda cells: cells.insert(19, code(mine)))
    assert normal.changes == []
    assert normal.notebook["cells"][place(normal.notebook, MADE)]["source"] == mine
    assert sum("class MADE(" in t for t in texts(normal.notebook)) == 1


def merge(cells: list[dict]) -> None:
    """Jupyter's “merge cells”: the first keeps its metadata, the second is gone."""
    second = cells.pop(at(cells, MADE))
    first = cells[at(cells, "made-MaskedLinear")]
    first["source"] = text(first) + "\n\n" + text(second)


@pytest.mark.parametrize(
    "edit",
    [
        merge,
        *[
            lambda cells, line=line: (cells.pop(at(cells, MADE)), cells.insert(2, code(line)))
            for line in (
                "from my_layers import MADE",
                "from my_layers import (\n    Masked,\n    MADE,\n)",
                "import mine as MADE",
                "MADE = build()",
                "MADE: type = build()",
                "from my_layers import Made as MADE, other",
            )
        ],
    ],
)
def test_what_a_student_defined_elsewhere_is_never_overwritten(edit):
    normal = edited(edit)
    assert normal.changes == [f"The cell {MADE} was missing and was put back empty, because another cell makes MADE."]
    assert normal.notebook["cells"][place(normal.notebook, MADE)]["source"] == ""


@pytest.mark.parametrize(
    "line",
    [
        "x = MADE",
        "MADE == 2",
        "MADES = 2",
        "# from my_layers import MADE",
        "import torch",
        "class MADES:\n    def MADE(self): pass",
        "print('class MADE')",
    ],
)
def test_a_name_that_is_only_mentioned_is_not_defined(line):
    normal = edited(delete(MADE), lambda cells: cells.insert(2, code(line)))
    assert normal.changes == [f"The cell {MADE} was missing and was put back as it was handed out."]


def test_a_check_that_occurs_twice_counts_once():
    normal = edited(lambda cells: cells.append({**copy.deepcopy(COURSES[CHECK]), "source": "1000"}))
    assert texts(normal.notebook) == texts(HANDOUT)
    assert normal.changes == [f"The cell {CHECK} occurs more than once: the first one counts, the copy was left out."]


def test_a_solution_that_occurs_twice_is_run_twice():
    copied = {**copy.deepcopy(COURSES[MADE]), "source": ["class MADE(nn.Module):\n", "    second = 1"]}
    normal = edited(lambda cells: cells.insert(at(cells, MADE) + 1, copied))
    here = place(normal.notebook, MADE)
    assert texts(normal.notebook)[here : here + 2] == [text(COURSES[MADE]), text(copied)]
    assert normal.changes == [f"The cell {MADE} occurs more than once: each copy was run, as in your notebook."]


@pytest.mark.parametrize("kind", ["markdown", "raw"])
@pytest.mark.parametrize("name", [MADE, CHECK])
def test_a_cell_of_another_type_is_made_code_again(name, kind):
    normal = edited(lambda cells: cells[at(cells, name)].update(cell_type=kind))
    assert texts(normal.notebook) == texts(HANDOUT)
    assert normal.changes == [f"The cell {name} was a {kind} cell; made a code cell again."]


def test_without_any_metadata_cells_are_known_by_what_they_hold():
    mine = "# my words\nclass MADE(nn.Module):\n    mine = True"
    normal = edited(rewrite(MADE, mine), rewrite(CHECK, "# done\ncheck('made')\n"), forget)
    assert normal.changes == [f"The text of the cell {CHECK} was changed, and was put back as it was handed out."]
    assert [grade_id(c) for c in normal.notebook["cells"]] == [grade_id(c) for c in HANDOUT["cells"]]
    assert normal.notebook["cells"][place(normal.notebook, MADE)]["source"] == mine


@pytest.mark.parametrize("source", ['loss = 1\ncheck("made")', 'check("made")\nlearned = 2'])
def test_no_work_is_lost_where_a_check_was_merged_into_it(source):
    normal = edited(delete(CHECK), lambda cells: cells.append(code(source[: module.MOST_SOURCE])))
    assert source in texts(normal.notebook)
    assert normal.changes == [f"The cell {CHECK} was missing and was put back as it was handed out."]


def test_a_check_that_stands_before_what_it_checks_goes_behind_it():
    normal = edited(lambda cells: cells.insert(0, cells.pop(at(cells, CHECK))))
    assert texts(normal.notebook) == texts(HANDOUT)
    assert normal.changes == [f"The cell {CHECK} stood before what it checks, and was moved behind it."]


def test_a_check_goes_behind_the_training_too():
    """Behind the last solution, but before the model is trained: as if it had not been."""
    first = "check-logistic_mixture"
    normal = edited(
        lambda cells: cells.insert(
            at(cells, "logistic_mixture-train_logistic_mixture") + 1, cells.pop(at(cells, first))
        )
    )
    assert texts(normal.notebook) == texts(HANDOUT)
    assert normal.changes == [f"The cell {first} stood before what it checks, and was moved behind it."]


# ---- an instructor's own cells -------------------------------------------------------------------------


def graded(name: str, source: str, kind: str = "code", **flags) -> dict:
    """A cell as nbgrader's Create Assignment makes it."""
    flags = {"grade": True, "locked": True, "solution": False, "task": False, "points": 2, "schema_version": 3} | flags
    cell = code(source, nbgrader=flags | {"grade_id": name, "cell_type": kind, "checksum": "0"})
    return cell if kind == "code" else {k: cell[k] for k in ("metadata", "source")} | {"cell_type": kind}


ASSERTS = graded("tests-1", "model = MADE(2, 3)\nassert model.bins == 3\n0.5")
MORE = graded("tests-2", "def f():\n    return 1\n\nassert f()") | {"id": "more"}
ANSWER = graded("answer", "YOUR ANSWER HERE", "markdown", solution=True, locked=False)
TEXT = graded("read-only", "Read this.", "markdown", grade=False)
for _cell in (ASSERTS, MORE):
    _cell["metadata"]["deepul"] = {"exercise": "made"}
OWN = HANDOUT | {"cells": [*HANDOUT["cells"], ASSERTS, MORE, ANSWER, TEXT]}


def own(*edits: Callable[[list], object]) -> Normalised:
    return edited(lambda cells: cells.extend(copy.deepcopy(OWN["cells"][-4:])), *edits, handout=OWN)


def test_an_instructors_own_cells_come_through():
    assert own().changes == []
    assert own(forget).changes == []  # known by their text


@pytest.mark.parametrize("name", ["tests-1", "tests-2", "read-only"])
def test_an_instructors_own_cells_are_put_back(name):
    assert own(rewrite(name, "2")).changes == [
        f"The text of the cell {name} was changed, and was put back as it was handed out."
    ]
    assert own(delete(name)).changes == [f"The cell {name} was missing and was put back as it was handed out."]
    for normal in (own(rewrite(name, "2")), own(delete(name))):
        assert texts(normal.notebook) == texts(OWN)


def test_an_answer_that_a_ta_will_read_stays_as_it_was_written():
    normal = own(rewrite("answer", "Because of Bayes."))
    assert normal.changes == []
    assert normal.notebook["cells"][place(normal.notebook, "answer")]["source"] == "Because of Bayes."


def test_an_instructors_tests_do_not_take_a_students_function():
    """A helper of the same name in a cell of the student's own is no copy of the test cell."""
    normal = own(delete("tests-2"), lambda cells: cells.insert(2, code("def f():\n    return 'mine'")))
    assert texts(normal.notebook)[2] == "def f():\n    return 'mine'"
    assert normal.changes == ["The cell tests-2 was missing and was put back as it was handed out."]


def test_two_cells_that_grade_one_exercise_both_go_behind_it():
    def first(cells):
        for name in ("tests-2", "tests-1"):
            cells.insert(0, cells.pop(at(cells, name)))

    normal = own(first)
    assert texts(normal.notebook) == texts(OWN)
    assert len(normal.changes) == 2


# ---- files ---------------------------------------------------------------------------------------------

NOTEBOOK = json.dumps(HANDOUT).encode()


def test_finds_a_renamed_notebook():
    normal = normalise({"Ada's hw1 (1).ipynb": NOTEBOOK}, "hw1", HANDOUT)
    assert normal.changes == ["The notebook is called Ada's hw1 (1).ipynb; taken as hw1.ipynb."]
    assert normalise({"HW1.IPYNB": NOTEBOOK}, "hw1", HANDOUT).changes[0].startswith("The notebook is called HW1.IPYNB")


def test_of_two_notebooks_the_one_of_the_right_name_counts():
    files = {"a.ipynb": b"no notebook", "hw1.ipynb": NOTEBOOK, "old/hw1.ipynb": b"{"}
    normal = normalise(files, "hw1", HANDOUT)
    assert normal.changes == ["There are 3 notebooks; graded was hw1.ipynb, left out: a.ipynb, old/hw1.ipynb."]
    assert normal.files == {}
    normal = normalise({"a.ipynb": b"no notebook", "my_hw1_final.ipynb": NOTEBOOK}, "hw1", HANDOUT)
    assert normal.changes[0] == "The notebook is called my_hw1_final.ipynb; taken as hw1.ipynb."


def solved_notebook(handout: dict, exercises=("logistic_mixture",)) -> bytes:
    """A copy of the handout in which one definition is written."""
    cells = [dict(c) for c in handout["cells"]]
    for cell in cells:
        if "class DiscretizedLogisticMixture" in "".join(cell["source"]):
            cell["source"] = "class DiscretizedLogisticMixture(nn.Module):\n    levels = 3\n"
    return json.dumps(handout | {"cells": cells}).encode()


def test_a_blank_beside_a_filled_notebook_never_counts():
    filled = solved_notebook(HANDOUT)
    for name in ("hw1 (1).ipynb", "Copy of hw1.ipynb", "sub/mine.ipynb"):
        normal = normalise({"hw1.ipynb": NOTEBOOK, name: filled}, "hw1", HANDOUT)
        assert "levels = 3" in json.dumps(normal.notebook), name
        assert f"graded was {name}, left out: hw1.ipynb" in "\n".join(normal.changes)
    normal = normalise({"hw1.ipynb": filled, "zz/hw1.ipynb": NOTEBOOK}, "hw1", HANDOUT)
    assert "levels = 3" in json.dumps(normal.notebook)


def test_another_assignment_is_no_wrong_answer_of_this_one():
    other = json.loads((ROOT / "homeworks" / "hw2" / "hw2.ipynb").read_text(encoding="utf-8"))
    with pytest.raises(CourseError, match=r"hw1\.ipynb is hw2, handed in as hw1\. Ask the student for hw1"):
        normalise({"hw1.ipynb": json.dumps(other).encode()}, "hw1", HANDOUT)
    normal = normalise({"hw1.ipynb": json.dumps(other).encode(), "b.ipynb": NOTEBOOK}, "hw1", HANDOUT)
    assert "graded was b.ipynb" in "\n".join(normal.changes)


@pytest.mark.parametrize(
    "name",
    [
        "made.smiley.safetensors",
        "weights/made.smiley.safetensors",
        "made.smiley (1).safetensors",
        "../artifacts/made.smiley.safetensors",
    ],
)
def test_weights_are_found_wherever_they_lie(name):
    files = {"in/hw1.ipynb": NOTEBOOK, str(PurePosixPath("in") / name).replace("in/../", ""): b"w"}
    normal = normalise(files, "hw1", HANDOUT)
    assert normal.files == {"artifacts/made.smiley.safetensors": b"w"}
    assert any("was taken as artifacts/made.smiley.safetensors" in c for c in normal.changes)


@pytest.mark.parametrize("name", ["hw2/artifacts/made.smiley.safetensors", "other.safetensors"])
def test_weights_of_something_else_are_none(name):
    normal = normalise({"hw1.ipynb": NOTEBOOK, "artifacts/made.smiley.safetensors": b"w", name: b"x"}, "hw1", HANDOUT)
    assert normal.files["artifacts/made.smiley.safetensors"] == b"w"
    assert "artifacts/other.safetensors" not in normal.files


def test_a_nested_folder_is_the_folder_and_what_is_outside_is_said():
    files = {"ada/hw1/hw1.ipynb": NOTEBOOK, "ada/hw1/artifacts/made.safetensors": b"w", "ada/hw10/b.txt": b"b"}
    normal = normalise(files, "hw1", HANDOUT)
    assert normal.files == {"artifacts/made.safetensors": b"w"}
    assert normal.changes == ["Left out what does not lie in the folder of the notebook (ada/hw1): ada/hw10/b.txt."]


def test_what_a_mac_adds_is_nobodys_business():
    junk = [
        "__MACOSX/._hw1.ipynb",
        "__MACOSX/hw1.ipynb",
        ".DS_Store",
        "artifacts/.DS_Store",
        ".git/config",
        ".ipynb_checkpoints/hw1-checkpoint.ipynb",
        "._hw1.ipynb",
    ]
    normal = normalise({"hw1.ipynb": NOTEBOOK} | dict.fromkeys(junk, b"\x00\x05"), "hw1", HANDOUT)
    assert normal.changes == []
    assert normal.files == {}
    with pytest.raises(CourseError, match=r"there is no notebook in it \(looked for hw1\.ipynb\)"):
        normalise(dict.fromkeys(junk, NOTEBOOK), "hw1", HANDOUT)


@pytest.mark.parametrize(
    "name",
    [
        "torch/__init__.py",
        "deepul_utils.py",
        "numpy.so",
        "json.py",
        "sitecustomize.py",
        "usercustomize.py",
        "autograder/__init__.py",
        "autograder/grading/wire.py",
        "matplotlib/pyplot.py",
        "random.pyc",
        "scipy.cpython-311-x86_64-linux-gnu.so",
        "IPython/__init__.py",
        "ipykernel.py",
    ],
)
def test_a_file_in_the_place_of_a_module_is_left_out_and_said(name):
    normal = order(HANDOUT, **{name: b"raise SystemExit"})
    assert normal.files == {}
    top = name.split("/")[0].split(".")[0]
    assert normal.changes == [f"Left out {name}: it would stand in the place of the module {top}."]


@pytest.mark.parametrize(
    "name", ["my_layers.py", "helpers/nets.py", "torch_tricks.py", "artifacts/torch.py.txt", "json.txt", "data/a.npz"]
)
def test_a_students_own_files_are_kept(name):
    normal = order(HANDOUT, **{name: b"x"})
    assert normal.files == {name: b"x"}
    assert normal.changes == []


@pytest.mark.parametrize("name", ["a\x00b", "é" * 128, "/".join(["abcdefg"] * 130), "a\udcffb", "hw1.ipynb/x"])
def test_a_name_that_no_disk_takes_is_left_out_and_said(name):
    normal = order(HANDOUT, **{name: b"x"})
    in_order(normal)
    assert normal.files == {}
    assert len(normal.changes) == 1
    assert normal.changes[0].startswith("Left out ")
    assert normal.changes[0].encode().decode().isprintable()


def test_names_are_said_in_one_printable_line():
    files = {"old\n\udcff.ipynb": b"", "a\nb/hw1\udcff.ipynb": b"", "c\x00/hw1.ipynb": NOTEBOOK, "\x1b[2J": b""}
    normal = normalise(files, "hw1", HANDOUT)
    assert len(normal.changes) == 2
    assert all(c.encode().decode().isprintable() for c in normal.changes)
    with pytest.raises(CourseError, match=r"^hw1\?\?\.ipynb is empty"):
        normalise({"hw1\n\udcff.ipynb": b""}, "hw1", HANDOUT)


# ---- reading -------------------------------------------------------------------------------------------


def read(path, name: str = "ada") -> tuple[dict[str, bytes], list[str]]:
    return submissions.read(submissions.Submission(name, path), "hw1")


def test_a_name_in_any_bytes_is_read_and_written(tmp_path):
    (tmp_path / "hw1").mkdir()
    with open(os.fsencode(tmp_path / "hw1") + b"/\xdcbung.ipynb", "wb") as file:
        file.write(NOTEBOOK)
    files, left_out = read(tmp_path / "hw1")
    assert files == {"?bung.ipynb": NOTEBOOK}
    assert left_out == []


def archive(path, members: list[tuple[str, bytes]], how: int = zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", how) as target:
        for name, content in members:
            target.writestr(zipfile.ZipInfo(name), content, how)
    return path


def test_files_of_an_archive_that_no_disk_takes_are_left_out_and_said(tmp_path):
    members = [("hw1.ipynb", b"{}"), ("a", b"1"), ("a/b", b"2"), ("c/d", b"3"), ("c", b"4"), ("x" * 300, b"5")]
    files, left_out = read(archive(tmp_path / "ada.zip", members))
    assert files == {"hw1.ipynb": b"{}", "a": b"1", "c/d": b"3"}
    assert left_out == [
        "a/b: a file and a folder have one name",
        "c: a file and a folder have one name",
        f"{'x' * 40}…{'x' * 39}: no name for a file",
    ]


def test_a_name_in_an_archive_that_is_no_text_is_said(tmp_path):
    path = archive(tmp_path / "ada.zip", [("höheres.txt", b"x")])
    path.write_bytes(path.read_bytes().replace("ö".encode(), b"\xff\xff"))
    with pytest.raises(CourseError, match=r"ada\.zip is no readable zip file \(it is damaged\)"):
        read(path)


def test_a_damaged_archive_never_stops_a_class(tmp_path):
    """Every byte of small archives changed once, in each way of packing."""
    outcomes = set()
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        whole = archive(tmp_path / "ada.zip", [("hw1.ipynb", b"{}" * 40), ("ä/b", b"x")], how).read_bytes()
        for i in range(len(whole)):
            for value in (0x00, 0xFF, whole[i] ^ 0x01):
                (tmp_path / "ada.zip").write_bytes(whole[:i] + bytes([value]) + whole[i + 1 :])
                try:
                    read(tmp_path / "ada.zip")
                    outcomes.add("read")
                except CourseError as error:
                    outcomes.add(str(error)[:32])
    assert "read" in outcomes
    assert "ada.zip is no readable zip file " in outcomes


def test_endings_in_capitals_are_found_and_a_link_is_not_followed(tmp_path):
    folder, secret = tmp_path / "class", tmp_path / "secret"
    folder.mkdir()
    (secret / "hw1").mkdir(parents=True)
    (secret / "hw1" / "hw1.ipynb").write_text("solutions")
    archive(folder / "ADA.ZIP", [("hw1.ipynb", NOTEBOOK)])
    os.symlink(secret, folder / "eve")
    found = {s.student: s for s in downloads.find(folder, "hw1").chosen()}
    assert set(found) == {"ADA", "eve"}
    assert read(found["ADA"].path)[0] == {"hw1.ipynb": NOTEBOOK}
    with pytest.raises(CourseError, match="eve is a link to somewhere else"):
        read(found["eve"].path)


# ---- what is no notebook -------------------------------------------------------------------------------


def with_cell(cell: object) -> dict:
    return HANDOUT | {"cells": [*HANDOUT["cells"], cell]}


@pytest.mark.parametrize(
    ("notebook", "match"),
    [
        (b"", "is empty; ask the student"),
        (b" \n\t ", "is empty; ask the student"),
        (b"this is no notebook", "is not a Jupyter notebook"),
        (NOTEBOOK[:-20], "is not a Jupyter notebook"),
        (b"\xff\xfe\x00\xd8", "is not a Jupyter notebook"),
        (b"\x89PNG\r\n\x1a\n\x00", "is not a Jupyter notebook"),
        (b"[]", "is not a Jupyter notebook"),
        (b"null", "is not a Jupyter notebook"),
        (b"1e999", "is not a Jupyter notebook"),
        (b"9" * 5000, "is not a Jupyter notebook"),
        (b"[" * 200_000, "is not a Jupyter notebook"),
        (b'{"cells": ' + b"[" * 200_000, "is not a Jupyter notebook"),
        ({}, "is not a Jupyter notebook"),
        ({"cells": {}}, "is not a Jupyter notebook"),
        ({"cells": None}, "is not a Jupyter notebook"),
        ({"nbformat": 3, "worksheets": [{"cells": []}]}, r"nbformat 3\)\. Opening and saving it in JupyterLab"),
        ({"nbformat": "\ud800\n" * 5000, "worksheets": []}, "Opening and saving it in JupyterLab"),
        (with_cell(None), "is not a Jupyter notebook"),
        (with_cell("x"), "is not a Jupyter notebook"),
        (with_cell([]), "is not a Jupyter notebook"),
        (with_cell({"cell_type": "code"}), "is not a Jupyter notebook"),
        (with_cell({"source": "x"}), "is not a Jupyter notebook"),
        (with_cell(code(1)), "is not a Jupyter notebook"),
        (with_cell(code(None)), "is not a Jupyter notebook"),
        (with_cell(code([1, 2])), "is not a Jupyter notebook"),
        (with_cell(code({"a": "b"})), "is not a Jupyter notebook"),
        (with_cell(code("x") | {"cell_type": "heading"}), "is not a Jupyter notebook"),
        (with_cell(code("x") | {"cell_type": ["code"]}), "is not a Jupyter notebook"),
        (with_cell(code("x") | {"cell_type": {}}), "is not a Jupyter notebook"),
        (with_cell(code("x" * (module.MOST_SOURCE + 1))), "has a cell of 262,145 characters; the most is 262,144"),
        ({"cells": [code("x" * module.MOST_SOURCE)] * 9}, "has 2,359,296 characters in its cells; the most is"),
        ({"cells": [code("x")] * 3000}, "has 3,000 cells; the most is 2,000"),
        (b" " * (module.MOST_NOTEBOOK + 1), r"has 40 MB; the most is 40 MB.*Clear Outputs"),
    ],
    ids=lambda v: repr(v)[:30] if isinstance(v, bytes) else None,
)
def test_what_is_no_notebook_is_said(notebook, match):
    refused(notebook, match)


GARBAGE = [None, "x", 1, 1e308, True, [], ["x"], {}, {"nbgrader": 1}, "\ud800", {"grade_id": {}}]


@pytest.mark.parametrize("garbage", [*GARBAGE, float("nan"), 10**4000], ids=lambda g: repr(g)[:20])
def test_metadata_of_any_kind_is_no_reason_to_stop(garbage):
    def metadata(cells):
        made, train, check = (cells[at(cells, n)] for n in (MADE, TRAIN, CHECK))
        made["metadata"]["nbgrader"]["grade_id"] = garbage
        train["metadata"]["nbgrader"] = garbage
        for cell in (check, *cells[:2]):
            cell["metadata"] = garbage
        for cell in cells:
            cell["id"] = cell["outputs"] = cell["attachments"] = garbage

    notebook = handed_in(metadata) | {"metadata": garbage, "nbformat": garbage, "nbformat_minor": garbage}
    normal = order(notebook)
    in_order(normal)
    assert texts(normal.notebook) == texts(HANDOUT)
    assert normal.changes == []


def test_metadata_may_be_missing():
    normal = edited(lambda cells: [c.pop("metadata") for c in cells])
    assert normal.changes == []
    assert texts(normal.notebook) == texts(HANDOUT)


def test_half_a_character_becomes_a_question_mark():
    normal = edited(lambda cells: cells.insert(2, code("x = '\ud800'")), rewrite(MADE, ["a\udfff", "b"]))
    assert texts(normal.notebook)[2] == "x = '?'"
    assert normal.notebook["cells"][place(normal.notebook, MADE)]["source"] == "a?b"
    json.dumps(normal.notebook, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "source",
    [
        "\n" * 300_000,
        "check(" * 50_000,
        'check("made"' + " " * 300_000,
        "import " * 50_000,
        "from a import (\n" * 20_000,
        "MADE: " * 50_000,
        "class " + " " * 300_000,
        "trained(" * 50_000,
        "# " * 200_000,
    ],
    ids=lambda s: repr(s[:10]),
)
def test_no_text_takes_long_to_look_through(source):
    began = time.process_time()
    edited(lambda cells: cells.clear(), lambda cells: cells.append(code(source[: module.MOST_SOURCE])))
    assert time.process_time() - began < 5


# ---- anything at all -----------------------------------------------------------------------------------

PLACES = st.integers(0, len(HANDOUT["cells"]) - 1)
IDS = st.sampled_from([*COURSES, "mine", None, 1, [], {}])
SOURCES = st.sampled_from(
    [
        "",
        "x = 1",
        'check("made")',
        "class MADE:\n    pass",
        "MADE = 2",
        'trained("made.moons")',
        text(COURSES[MADE]),
        "\ud800",
        "\n",
        ["a", "b"],
        1,
        [1],
        None,
    ]
)
METADATA = st.sampled_from(GARBAGE) | st.builds(lambda i: {"nbgrader": {"grade_id": i, "grade": True}}, IDS)
KINDS = st.sampled_from(["code", "code", "markdown", "raw", "heading", 1])
MUTATIONS = st.one_of(
    st.tuples(st.just("delete"), PLACES, st.none()),
    st.tuples(st.just("copy"), PLACES, PLACES),
    st.tuples(st.just("move"), PLACES, PLACES),
    st.tuples(st.just("source"), PLACES, SOURCES),
    st.tuples(st.just("cell_type"), PLACES, KINDS),
    st.tuples(st.just("metadata"), PLACES, METADATA),
    st.tuples(st.just("forget"), PLACES, st.none()),
    st.tuples(st.sampled_from(["new", "new", "garbage"]), PLACES, SOURCES),
)


def outcome(notebook: object, handout: dict) -> tuple[Normalised | None, str]:
    """(the notebook in order, "") or (None, why there is none)."""
    try:
        return order(notebook, handout), ""
    except CourseError as error:
        return None, str(error)


def mutate(cells: list, what: str, where: int, value: object) -> None:
    where = min(where, len(cells) - 1)
    if what == "new" or where < 0:
        cells.insert(max(where, 0), code(value))
    elif what == "garbage":
        cells[where] = value
    elif what == "delete":
        del cells[where]
    elif what == "copy":
        cells.insert(value, copy.deepcopy(cells[where]))
    elif what == "move":
        cells.insert(value, cells.pop(where))
    elif not isinstance(cells[where], dict):
        cells[where] = code("x")
    elif what == "forget":
        cells[where]["metadata"] = {}
    else:
        cells[where][what] = value


@given(st.lists(MUTATIONS, max_size=12), st.booleans(), st.booleans())
@quick
def test_any_notebook_is_put_in_order_or_refused_in_words(mutations, all_forgotten, instructors):
    handout = OWN if instructors else HANDOUT
    cells = copy.deepcopy(handout["cells"])
    if all_forgotten:
        forget(cells)
    for mutation in mutations:
        mutate(cells, *mutation)
    normal, said = outcome(HANDOUT | {"cells": cells}, handout)
    if normal is None:
        assert said.startswith("hw1.ipynb is not a Jupyter notebook (")
        assert any(m[0] in ("garbage", "new", "source", "cell_type") for m in mutations)
        return
    in_order(normal, handout)
    for exercise in ("logistic_mixture", "made"):  # what is checked stands before its check
        names = [i for i, c in COURSES.items() if c["metadata"]["deepul"]["exercise"] == exercise]
        assert max(place(normal.notebook, n) for n in names) == place(normal.notebook, f"check-{exercise}")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda s: (
            st.lists(s, max_size=3)
            | st.dictionaries(
                st.sampled_from(["cells", "cell_type", "source", "metadata", "nbgrader", "grade_id", "worksheets"]),
                s,
                max_size=4,
            )
        ),
    )
)
@quick
def test_any_json_is_put_in_order_or_refused_in_words(notebook):
    normal, said = outcome(notebook, HANDOUT)
    if normal:
        in_order(normal)
    else:
        assert said.startswith("hw1.ipynb ")


def test_another_homework_is_said_by_a_worker_too():
    """What a worker raises travels to the grader as bytes, and is made anew there."""
    error = pickle.loads(pickle.dumps(AnotherAssignment("hw1.ipynb", "nice", "hw1")))
    assert str(error).startswith("hw1.ipynb is nice, handed in as hw1. Ask the student for hw1, or grade this one with")
