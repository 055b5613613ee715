"""The whole homework at a glance, and the zip that is handed in."""

import errno
import hashlib
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from autograder import assignments, cli, demo, handin, homework
from autograder.files import MANIFEST, MOST_FILE
from autograder.grading import downloads, execute, normalise, submissions
from autograder.grading.limits import Limits
from autograder.handout import build
from autograder.handout.submit import solution_cells, write_submission
from deepul_utils import check, submit, training
from deepul_utils.errors import KitError

HW1 = assignments.get("hw1")


def full(exercise) -> dict:
    """A score as Score.to_json() has it."""
    return {
        "points": exercise.points,
        "max_points": exercise.points,
        "headline": "Everything holds.",
        "notes": [],
        "checks": [],
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """hw1 as nbgrader reads it; its solutions are in it."""
    file = tmp_path_factory.mktemp("source") / "hw1.ipynb"
    build.write_source("hw1", file)
    return file


@pytest.fixture
def folder(source, tmp_path) -> Path:
    """A student's folder: 1.1 solved, trained and answered; the rest is as it is handed out, or nearly so."""
    blank = json.loads(source.read_text(encoding="utf-8"))
    for cell in blank["cells"]:
        about, nbgrader = cell["metadata"].get("deepul", {}), cell["metadata"].get("nbgrader", {})
        if "answer" in about:
            cell["source"] = next(q.placeholder for q in HW1.questions if q.id == about["answer"])
        elif nbgrader.get("solution"):
            cell["source"] = "raise NotImplementedError"
    file = tmp_path / "blank" / "hw1.ipynb"
    file.parent.mkdir()
    file.write_text(json.dumps(blank), encoding="utf-8")
    write_submission(file, tmp_path / "ada", solution_cells("hw1"), demo.QUICK[:1], demo.QUICK[:1])
    return tmp_path / "ada"


def overview(folder: Path, score=full) -> homework.Homework:
    return homework.overview(HW1, folder / "hw1.ipynb", folder / "artifacts", score)


# At a glance.


def test_everything_is_in_the_table(folder):
    found = overview(folder)
    assert (found.points, found.max_points) == (100, 100)
    assert found.rows[0].answers == [("1.1", True, 2)]
    assert found.rows[1].answers == [("1.2", False, 2)]
    assert found.written == "1 of 5 written questions answered (10 points, graded by hand)"
    assert found.size == sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    for shown in (repr(found), found._repr_html_()):
        assert "Everything holds." in shown
        for e in HW1.exercises:
            assert e.title in shown
        assert "100 / 100" in shown
        assert "2 files to hand in" in " ".join(shown.split())
    assert max(map(len, repr(found).splitlines())) <= 80


def test_a_failure_of_one_exercise_hides_no_other(folder):
    def score(exercise):
        if exercise.name == "made":
            raise RuntimeError("<b>it broke</b>")
        return full(exercise)

    found = overview(folder, score)
    assert found.points == 80
    assert found.rows[1].said == "It could not be checked: RuntimeError: <b>it broke</b>"
    assert "it broke" in repr(found)
    assert "<b>it broke" not in found._repr_html_()


def test_an_interrupt_is_no_failure(folder):
    def score(exercise):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        overview(folder, score)


def test_what_is_not_trained_or_not_finished_is_named(folder):
    notes = {row.exercise.name: row.notes for row in overview(folder).rows}
    assert notes["logistic_mixture"] == []
    assert notes["made"] == [
        f"{name} is not trained: artifacts/{name}.safetensors is missing. Run its cell."
        for name in ("made.smiley", "made.moons")
    ]
    (folder / "artifacts" / "logistic_mixture.1.checkpoint.pt").touch()
    (note,) = overview(folder).rows[0].notes
    assert "a training was interrupted; the weights from before count" in note
    assert note in " ".join(repr(overview(folder)).split())


def test_samples_that_are_missing_are_named(folder):
    (folder / "artifacts" / "pixelcnn.safetensors").touch()
    assert overview(folder).rows[2].notes == ["pixelcnn: no samples are drawn yet. Run its cell."]


def test_notes_of_the_checks_stand_with_their_exercise(folder):
    found = overview(folder, lambda e: full(e) | {"notes": ["its weights were trained by another version"]})
    assert repr(found).count("another version") == 5
    assert found._repr_html_().count("another version") == 5


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": 3}', '{"cells": [3, {"metadata": 3, "source": 3}]}'])
def test_a_notebook_that_cannot_be_read_costs_no_exercise(folder, content):
    (folder / "hw1.ipynb").write_text(content)
    found = overview(folder)
    assert found.points == 100
    assert found.written == ""
    assert homework.assignment_of(folder / "hw1.ipynb") is None


def test_without_points_the_questions_are_counted_all_the_same(folder):
    notebook = json.loads((folder / "hw1.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "answer" in cell["metadata"].get("deepul", {}):
            del cell["metadata"]["nbgrader"]
    (folder / "hw1.ipynb").write_text(json.dumps(notebook))
    assert overview(folder).written == "1 of 5 written questions answered (no points)"


def test_check_without_a_name_shows_the_homework_of_the_notebook(folder, monkeypatch):
    monkeypatch.setattr("deepul_utils.places.notebook", lambda: folder / "hw1.ipynb")
    monkeypatch.setattr(training, "session", training.Session(folder / "artifacts"))
    found = check()
    assert found.assignment == HW1
    assert found.points == 0
    assert [row.said for row in found.rows if "not checked" in row.said] == []
    assert len(found.rows) == 5
    assert check("hw1").points == 0
    with pytest.raises(KitError, match="only=…"):
        check(only="samples")
    monkeypatch.setattr("deepul_utils.places.notebook", lambda: None)
    with pytest.raises(KitError, match=r'Which homework\? check\("hw1"\)'):
        check()


def test_nothing_is_done_while_a_notebook_is_graded(monkeypatch, folder, capsys):
    monkeypatch.setattr("deepul_utils.places.notebook", lambda: folder / "hw1.ipynb")
    session = training.Session(folder / "artifacts")
    session.grading = True
    monkeypatch.setattr(training, "session", session)
    before = sorted(folder.rglob("*"))
    assert check() is None
    assert submit("ada") is None
    assert sorted(folder.rglob("*")) == before
    assert capsys.readouterr().out == ""


# Packing.


@pytest.mark.parametrize("name", ["ada", "a1b2", "1234567", "ada.lovelace", "a-b_c", "X", "a" * 64])
def test_ids_that_survive_everywhere(name):
    assert handin.student_id(f" {name}\n") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ada lovelace",
        "ada@uni.edu",
        "ада",
        "é",
        "../ada",
        "a/b",
        "a\\b",
        ".ada",
        "-ada",
        "ada.",
        "a" * 65,
        "a\nb",
        "YOUR-ID",
        "your_id",
        None,
        7,
    ],
)
def test_ids_that_do_not(name):
    with pytest.raises(ValueError, match=r"is no id|Put your id|in quotes: submit\("):
        handin.student_id(name)


def with_cells(folder: Path, *sources: str, before: str = "class DiscretizedLogisticMixture") -> Path:
    """The notebook with cells of the student's own before one of its cells."""
    file = folder / "hw1.ipynb"
    notebook = json.loads(file.read_text(encoding="utf-8"))
    place = next(k for k, c in enumerate(notebook["cells"]) if "".join(c["source"]).startswith(before))
    empty = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"][place:place] = [empty | {"source": source} for source in sources]
    file.write_text(json.dumps(notebook), encoding="utf-8")
    return file


def packed(folder: Path, student: str = "ada", **options) -> tuple[handin.Packed, dict[str, bytes]]:
    result = handin.submit(folder / "hw1.ipynb", student, check=False, **options)
    with zipfile.ZipFile(result.file) as archive:
        return result, {name: archive.read(name) for name in archive.namelist()}


def test_the_zip_has_what_is_graded_and_a_manifest(folder):
    for name in (
        "made.previous.safetensors",
        "made.1.checkpoint.pt",
        ".made.safetensors.123",
        ".DS_Store",
        "bigger.dcgan.safetensors",
    ):
        (folder / "artifacts" / name).write_bytes(b"kept back")
    for name in ("private.txt", "other.ipynb", "hw1-bob.zip", ".hidden"):
        (folder / name).write_text("not handed in")
    (folder / "artifacts" / "link.safetensors").symlink_to("/etc/passwd")
    result, contents = packed(folder)
    assert result.file == folder / "hw1-ada.zip"
    assert contents.keys() == {"hw1.ipynb", "artifacts/logistic_mixture.safetensors", MANIFEST}
    manifest = json.loads(contents.pop(MANIFEST))
    assert manifest["files"] == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    assert (manifest["assignment"], manifest["student"]) == ("hw1", "ada")
    assert {"python", "torch", "deepul-kit"} <= manifest["versions"].keys()
    assert manifest["answered"]["1.1"] is True


def test_modules_that_the_notebook_imports_go_with_it(folder):
    notebook = json.loads((folder / "hw1.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][2]["source"] = "import mine\nfrom tools.deep import thing\nimport torch"
    (folder / "hw1.ipynb").write_text(json.dumps(notebook))
    (folder / "tools").mkdir()
    for name in ("mine.py", "tools/deep.py", "tools/notes.txt", "unused.py"):
        (folder / name).write_text("")
    assert {"mine.py", "tools/deep.py"} == packed(folder)[1].keys() - {
        "hw1.ipynb",
        "artifacts/logistic_mixture.safetensors",
        MANIFEST,
    }


def test_what_these_import_and_small_files_that_the_code_names_go_with_it(folder, monkeypatch):
    monkeypatch.setattr(homework, "MOST_DATA", 9)
    with_cells(
        folder,
        "import math, first\nfrom layers.masked import mask\n!ls\nopen('data/small.csv'), open('large.csv')",
        f"import random\nfrom . import never\nopen('hw1.ipynb'), open({str(folder / 'whole.csv')!r}), open('../x.csv')",
        "open('artifacts/made.1.checkpoint.pt'), open('linked.csv'), open('.hidden'), open('x' * 2000), open('a\\0')",
    )
    for name, text in {
        "first.py": "import second, third  # third is none of ours",
        "second.py": "from fourth import x\nwith open('named.txt') as file: pass",
        "fourth.py": "this is no Python",
        "layers/__init__.py": "",
        "layers/masked/__init__.py": "from ..other import x",
        "layers/other.py": "import fifth",
        "fifth.py": "",
        "layers/data.bin": "not named",
        "data/small.csv": "1,2,3",
        "named.txt": "small",
        "large.csv": "0123456789",
        "random.py": "",
        "never.py": "",
        "whole.csv": "",
        "../x.csv": "",
        ".hidden": "",
        "artifacts/made.1.checkpoint.pt": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "linked.csv").symlink_to(folder / "named.txt")
    result, contents = packed(folder)
    modules = {"first.py", "second.py", "fourth.py", "fifth.py", "layers/other.py"}
    packages = {"layers/__init__.py", "layers/masked/__init__.py"}
    assert contents.keys() - {"hw1.ipynb", "artifacts/logistic_mixture.safetensors", MANIFEST} == (
        modules | packages | {"data/small.csv", "named.txt"}
    )
    shown = " ".join(repr(result).split())
    assert "large.csv has 0 MB and is not packed" in shown
    assert "random.py has the name of a module that is installed, random" in shown
    assert "whole.csv is where it is on this machine alone: name it as whole.csv." in shown


def test_a_notebook_of_another_name_is_packed_under_its_own(folder):
    (folder / "hw1.ipynb").rename(folder / "my homework (1).ipynb")
    result = handin.submit(folder / "my homework (1).ipynb", "ada", check=False)
    with zipfile.ZipFile(result.file) as archive:
        assert "hw1.ipynb" in archive.namelist()


def test_a_zip_from_before_is_kept_and_said(folder):
    first = packed(folder)[0].file.read_bytes()
    second, _ = packed(folder)
    third, _ = packed(folder)
    assert "The zip from before is called hw1-ada.1.zip now." in second.said
    assert "The zip from before is called hw1-ada.2.zip now." in third.said
    assert (folder / "hw1-ada.1.zip").read_bytes() == first
    assert not [f for f in folder.iterdir() if f.name.startswith(".")]


def test_a_zip_that_could_not_be_written_leaves_the_one_from_before(folder, monkeypatch):
    first = packed(folder)[0].file.read_bytes()
    monkeypatch.setattr(handin, "_manifest", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        packed(folder)
    assert (folder / "hw1-ada.zip").read_bytes() == first
    assert [f.name for f in folder.iterdir() if "zip" in f.name] == ["hw1-ada.zip"]


def test_what_is_missing_is_said(folder):
    result, _ = packed(folder)
    shown = repr(result)
    assert "Not answered yet: question 1.2, 1.3, 1.4, 1.5." in shown
    assert "Something is missing, or was made by other code than the notebook has: 1.2, 1.3, 1.4, 1.5." in shown
    assert "made.moons is not trained" in shown
    assert "as it was saved at" in shown
    assert "made.moons" in result._repr_html_()


def test_what_no_grader_takes_is_not_packed(folder):
    with (folder / "artifacts" / "made.moons.safetensors").open("wb") as file:
        file.truncate(MOST_FILE + 1)
    with pytest.raises(ValueError, match=r"Nothing was packed\. artifacts/made\.moons\.safetensors has 64 MB"):
        packed(folder)
    assert not list(folder.glob("*.zip"))


@pytest.mark.parametrize(
    ("limit", "most", "said"),
    [
        ("MOST_NOTEBOOK", 2**10, r"hw1\.ipynb has 0 MB; a grader takes notebooks of 0 MB at most\. Clear its outputs"),
        ("MOST_CELLS", 3, r"cells; a grader takes 3 at most"),
        ("MOST_SOURCE", 1000, r"The cell “class DiscretizedLogisticMixture.*” has .* a grader takes 1,000 at most"),
        ("MOST_SOURCES", 1000, r"The notebook's cells have .* a grader takes 1,000 at most"),
    ],
)
def test_what_no_grader_reads_of_a_notebook_is_not_packed(folder, monkeypatch, limit, most, said):
    assert getattr(homework, limit) == getattr(normalise, limit)
    monkeypatch.setattr(homework, limit, most)
    with pytest.raises(ValueError, match=rf"Nothing was packed\. {said}|{said}"):
        packed(folder)
    assert not list(folder.glob("*.zip"))


def test_a_notebook_with_a_byte_order_mark_is_packed_as_it_is(folder):
    file = folder / "hw1.ipynb"
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig")
    result, contents = packed(folder)
    assert contents["hw1.ipynb"] == file.read_bytes()
    assert "1 of 5 written questions answered" in repr(result)


def test_a_full_disk_is_said_in_a_sentence(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    monkeypatch.setattr("deepul_utils.places.notebook", lambda: folder / "hw1.ipynb")
    monkeypatch.setattr(training, "session", training.Session(folder / "artifacts"))
    with pytest.raises(KitError, match=r"hw1-ada\.zip could not be packed: No space left on device\. Make room"):
        submit("ada", check=False)
    assert not list(folder.glob("*.zip*"))


@pytest.mark.parametrize(("given", "said"), [((), "Put your id"), ((12345,), r'in quotes: submit\("12345"\)')])
def test_an_id_that_is_left_out_or_a_number_is_asked_for(folder, monkeypatch, given, said):
    monkeypatch.setattr("deepul_utils.places.notebook", lambda: folder / "hw1.ipynb")
    with pytest.raises(KitError, match=said):
        submit(*given)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "There is no notebook"), ("", "cannot be read"), ('{"cells": []}', "is no homework")]
)
def test_what_is_no_notebook_is_said(folder, content, said):
    if content is None:
        (folder / "hw1.ipynb").unlink()
    else:
        (folder / "hw1.ipynb").write_text(content)
    with pytest.raises(ValueError, match=said):
        packed(folder)


def test_what_the_browser_has_and_the_file_does_not_is_said(folder):
    file = folder / "hw1.ipynb"
    sources = [c.source for c in homework.saved(file) if c.kind == "code"]
    handin.require_saved(file, [])
    handin.require_saved(file, [*sources, sources[-1]])
    with pytest.raises(ValueError, match=r"not saved as you see it: the cell that you just ran is not in the file"):
        handin.require_saved(file, [*sources, 'submit("ada")'])
    (solved,) = [s for s in sources if s.startswith("class DiscretizedLogisticMixture")]
    with pytest.raises(ValueError, match="has another DiscretizedLogisticMixture than the one that was run last"):
        handin.require_saved(file, [*sources, solved + "\n    # newer", sources[-1]])
    handin.require_saved(file, [solved + "\n    # older", *sources])


def test_submit_in_a_notebook_wants_it_saved(folder, monkeypatch):
    monkeypatch.setattr("deepul_utils.places.notebook", lambda: folder / "hw1.ipynb")
    monkeypatch.setattr(training, "session", training.Session(folder / "artifacts"))
    module = sys.modules["deepul_utils.check"]  # the package has its function under this name
    monkeypatch.setattr(module, "_ran", lambda: ['submit("ada")'])
    with pytest.raises(KitError, match="is not saved"):
        submit("ada")
    monkeypatch.setattr(module, "_ran", list)
    assert submit("ada", check=False).file == folder / "hw1-ada.zip"
    with pytest.raises(KitError, match="is no id"):
        submit("a b")
    monkeypatch.setattr("deepul_utils.places.notebook", lambda: None)
    with pytest.raises(KitError, match="The file of this notebook is not found"):
        submit("ada")


@pytest.mark.slow
def test_the_saved_notebook_is_checked_by_itself(folder):
    """What it prints, and where it ends, is not ours."""
    notebook = json.loads((folder / "hw1.ipynb").read_text(encoding="utf-8"))
    notebook["cells"].insert(
        2,
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": "print('{}'); import os; os.write(1, b'noise\\n')\ncheck()",
        },
    )
    (folder / "hw1.ipynb").write_text(json.dumps(notebook))
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    result = CliRunner().invoke(cli.app, ["submit", str(folder / "hw1.ipynb"), "--student", "ada"])
    assert result.exit_code == 0, result.output
    assert "15 / 15" in result.output
    assert "Autoregressive models: 15 / 100" in result.output
    assert {f: f.stat().st_mtime_ns for f in before if f != folder} == {f: t for f, t in before.items() if f != folder}
    notebook["cells"][2]["source"] = "import os; os._exit(3)"
    (folder / "hw1.ipynb").write_text(json.dumps(notebook))
    result = CliRunner().invoke(cli.app, ["submit", str(folder / "hw1.ipynb"), "--student", "ada"])
    assert result.exit_code == 0
    said = "The cell “import os; os._exit(3)” was left out: it ended the run, exit code 3."
    assert said in " ".join(result.output.split())
    assert "15 / 15" in result.output
    assert "The zip from before is called hw1-ada.1.zip now." in result.output


def submitted(file: Path) -> tuple[dict[str, dict], str, list[str]]:
    """(what the table says of each exercise, what stands above it, the names in the zip)."""
    result = handin.submit(file, "ada")
    with zipfile.ZipFile(result.file) as archive:
        return {r.exercise.name: r.score for r in result.homework.rows}, "\n".join(result.said), archive.namelist()


@pytest.mark.slow
def test_what_a_kernel_runs_is_run(folder):
    """A right answer has its points, whatever stands beside it: what the grader's kernel does is done here too."""
    file = with_cells(
        folder,
        "import math, more\nfrom layers.masked import mask\n%matplotlib inline\n!echo hello\nmath?",
        "import asyncio, pickle\nclass Config: pass\nawait asyncio.sleep(0)\npickle.loads(pickle.dumps(Config()))",
        "# t = trained('made.try', MADE(2, 25), fit=…)\nraise KeyboardInterrupt",
        "class Strange(Exception):\n    def __str__(self): raise ValueError\nraise Strange",
        "if False:\n    trained('made.wide', 3)\nSEEN = mask and more.deep",
        "import numpy\nfrom pathlib import Path\nTABLE = numpy.load(Path('own') / 'data' / 'table.npy')",
        "import os\nos.kill(os.getpid(), 9)",
        "trained('made.moons', None, None)",
    )
    with_cells(folder, "assert SEEN == 7 and len(TABLE) == 3, 'they are not there'\ncheck('made')\nSEEN = 8")
    cells = json.loads(file.read_text(encoding="utf-8"))
    for cell in cells["cells"]:
        source = "".join(cell["source"])
        if source.startswith("class DiscretizedLogisticMixture"):
            cell["source"] = f"assert SEEN == 8\n{source}\ncheck('logistic_mixture', only='bins')"
    file.write_text(json.dumps(cells), encoding="utf-8")
    (folder / "layers" / "masked").mkdir(parents=True)
    (folder / "layers" / "masked" / "__init__.py").write_text("mask = True")
    (folder / "more.py").write_text("from deeper import deep")
    (folder / "deeper.py").write_text("deep = 7")
    (folder / "own" / "data").mkdir(parents=True)
    np.save(folder / "own" / "data" / "table.npy", np.arange(3))
    scores, said, names = submitted(file)
    assert scores["logistic_mixture"]["points"] == 15, said
    assert "The cell “import os” was left out: it ended the run, exit code -9." in said
    assert "The cell “# t = trained('made.try', MADE(2, 25), fit=…)” stopped with KeyboardInterrupt" in said
    assert "The cell “trained('made.moons', None, None)” stopped with KitError: made.moons is not trained yet," in said
    assert {"more.py", "deeper.py", "layers/masked/__init__.py", "own/data/table.npy"} <= set(names)
    files, left_out = submissions.read(submissions.Submission("ada", folder / "hw1-ada.zip"), "hw1")
    handout = json.loads((folder.parent / "blank" / "hw1.ipynb").read_text(encoding="utf-8"))
    grader = execute.Grader(Limits(training=5))
    graded = grader.grade(normalise.normalise(files, "hw1", handout, left_out), "hw1", "salt")
    grader.close()
    assert {name: s["points"] for name, s in graded.scores.items()} == {name: s["points"] for name, s in scores.items()}


@pytest.mark.slow
def test_what_is_not_packed_is_missing_in_the_check(folder, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(handin, "CELL_SECONDS", 10.0)
    monkeypatch.setattr(handin._Saved, "_show", lambda self, doing, done, of: shown.append(f"{doing} {done} {of}"))
    (folder / "secret.npy").write_bytes(b"not named as one string")
    file = with_cells(folder, "open('secret' + '.npy')\nfrom os import path", "while True: pass", before="from deepul")
    with_cells(folder, "path.join('never reached')")
    scores, said, names = submitted(file)
    assert "The cell “open('secret' + '.npy')” stopped with FileNotFoundError" in said
    assert "The cell “while True: pass” was left out: it ran longer than the 10 s that grading gives a cell." in said
    assert "run in a folder that has only what is packed" in said
    assert "secret.npy" not in names
    cells = len(json.loads(file.read_text(encoding="utf-8"))["cells"])
    assert any(re.fullmatch(rf"running “while True: pass” \d+ {cells}", text) for text in shown)
    assert shown[-1] == "checking 1.5 4 5"
    assert scores["logistic_mixture"]["points"] == 15


# What becomes of it in grading.


def test_a_zip_is_graded_as_a_folder_and_no_manifest_changes_it(folder, tmp_path):
    handout = json.loads((folder / "hw1.ipynb").read_text(encoding="utf-8"))
    result, contents = packed(folder)

    def graded(path: Path) -> normalise.Normalised:
        files, left_out = submissions.read(submissions.Submission("ada", path), "hw1")
        return normalise.normalise(files, "hw1", handout, left_out)

    as_folder, as_zip = graded(folder), graded(result.file)
    assert as_zip.notebook == as_folder.notebook
    assert as_zip.files == {n: c for n, c in as_folder.files.items() if not n.endswith(".zip")}
    assert as_zip.changes == as_folder.changes == []
    (tmp_path / "class").mkdir()
    shutil.copy(result.file, tmp_path / "class")
    assert [s.student for s in downloads.find(tmp_path / "class", "hw1").chosen()] == ["ada"]
    for forged in (b'{"points": {"made": 1000}, "student": "eve"}', b"\xff not even text", b""):
        other = tmp_path / "hw1-ada.zip"
        with zipfile.ZipFile(other, "w") as archive:
            for name, content in (contents | {MANIFEST: forged}).items():
                archive.writestr(name, content)
        assert graded(other) == as_zip
