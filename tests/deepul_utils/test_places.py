"""Where a notebook's artifacts go, wherever its platform starts the process."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from deepul_utils import places, training

HANDED_OUT = "hw1.ipynb"


@pytest.fixture
def started(tmp_path, monkeypatch):
    """started(folder, **names): this process is the kernel of a notebook, started in tmp_path / folder."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setattr(places, "HANDOUTS", tmp_path / "kit" / "homeworks")

    def start(folder: str, **names) -> Path:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shell = types.SimpleNamespace(kernel=True, starting_dir=str(tmp_path / folder), user_ns=names)
        monkeypatch.setattr(places, "_shell", lambda: shell)
        return tmp_path / folder

    return start


def write(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    return file


def test_jupyterlab_starts_in_the_folder_of_the_notebook(started, monkeypatch, tmp_path):
    folder = started("course/homeworks/hw1")
    write(folder / HANDED_OUT)
    monkeypatch.setenv("JPY_SESSION_NAME", str(write(tmp_path / "other.ipynb")))  # inherited from another notebook
    monkeypatch.chdir(tmp_path)
    assert places.notebook_folder() == folder


def test_a_server_that_starts_elsewhere_says_which_notebook_it_is(started, monkeypatch, tmp_path):
    start, file = started("home"), write(tmp_path / "work" / "my solution.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(file))
    assert places.notebook_folder() == file.parent
    monkeypatch.setenv("JPY_SESSION_NAME", "work/my solution.ipynb")  # from where, it does not say
    assert places.notebook_folder() == start


def test_vscode_says_where_the_notebook_is(started, tmp_path):
    file = write(tmp_path / "workspace" / "homeworks" / "hw1" / "copy.ipynb")
    workspace = started("workspace", __vsc_ipynb_file__=str(file))
    assert places.notebook_folder() == file.parent
    file.unlink()  # a path of another machine
    assert places.notebook_folder() == workspace


def test_on_colab_it_is_the_kits_own_notebook_that_runs(started, tmp_path):
    start = started("content")
    write(start / "sample_data" / "README.md")
    assert places.notebook_folder() == start
    file = write(tmp_path / "kit" / "homeworks" / "hw1" / HANDED_OUT)
    assert places.notebook_folder() == file.parent
    write(start / "mine.ipynb")  # a copy with another name, beside which it runs
    assert places.notebook_folder() == start


def test_a_kit_with_several_homeworks_does_not_guess(started, tmp_path):
    for name in ("hw1", "hw2"):
        write(tmp_path / "kit" / "homeworks" / name / f"{name}.ipynb")
    start = started("content")
    assert places.notebook_folder() == start


def test_on_kaggle_nothing_is_written_where_one_may_only_read(started, tmp_path, monkeypatch):
    write(tmp_path / "kit" / "homeworks" / "hw1" / HANDED_OUT)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    start = started("kaggle/working")
    assert places.notebook_folder() == start


def test_messages_give_full_paths_and_grades_none(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    assert places.shown(tmp_path / "made.safetensors") == str(tmp_path / "made.safetensors")
    training.session.grading = True
    assert places.shown(tmp_path / "made.safetensors") == "artifacts/made.safetensors"


CELLS = (
    "import os; os.chdir('/')",
    "import torch; from deepul_utils import trained, training\n"
    "model = trained('demo', torch.nn.Linear(1, 1), fit=lambda model: None)",
    "print(training.session.folder)",
)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["beside", "vscode"])
def test_a_real_kernel_keeps_its_artifacts_beside_the_notebook(tmp_path, how):
    """After os.chdir, too: even before the kit was imported."""
    file = tmp_path / "homeworks" / "hw1" / HANDED_OUT
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    if how == "vscode":
        notebook.cells.insert(0, nbformat.v4.new_code_cell(f"__vsc_ipynb_file__ = {str(file)!r}"))
    file.parent.mkdir(parents=True)
    nbformat.write(notebook, file)
    start = file.parent if how == "beside" else tmp_path
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(start)}})
    client.execute()
    assert notebook.cells[-1].outputs[0].text.strip() == str(file.parent / "artifacts")
    assert f"saved to {file.parent / 'artifacts' / 'demo.safetensors'}." in json.dumps(notebook.cells[-2].outputs)
    assert [f.name for f in (file.parent / "artifacts").iterdir()] == ["demo.safetensors"]


def test_a_plain_process_keeps_them_where_it_started(tmp_path):
    script = "import deepul_utils, os; os.chdir('/'); from deepul_utils import training; print(training.session.folder)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "artifacts"), done.stderr
