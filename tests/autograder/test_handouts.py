"""Whether a committed handout is what its source makes is known by a key; what differs is found, and said."""

import json
import re
import shutil

import pytest

from autograder import assignments
from autograder.assignments import Assignment
from autograder.handout import bundle
from autograder.proof import handouts


@pytest.fixture
def nice(tmp_path, monkeypatch) -> Assignment:
    """An assignment whose solution and handout are copies, in which a test may write."""
    here = assignments.get("nice")
    copies = {name: shutil.copytree(getattr(here, name), tmp_path / name) for name in ("solution", "handout")}
    for name, folder in copies.items():
        monkeypatch.setattr(Assignment, name, folder)
    return here


def test_a_key_changes_with_all_that_a_handout_is_made_of(nice):
    keys = {handouts.key(nice)}
    for file in (
        nice.source,
        nice.handout / "nice.ipynb",
        nice.artifacts / "nice.safetensors",
        next((nice.handout / "figures").glob("*.png")),
    ):
        file.write_bytes(file.read_bytes() + b" ")
        keys.add(handouts.key(nice))
    assert len(keys) == 5
    (nice.solution / "mutants.py").write_text("")
    (nice.handout / "artifacts").mkdir()
    (nice.handout / "artifacts" / "nice.safetensors").write_bytes(b"trained while working on it")
    assert handouts.key(nice) in keys


def test_a_changed_handout_is_found_and_not_recorded_as_right(nice, monkeypatch):
    monkeypatch.setattr(handouts, "_by_itself", lambda *_: [])  # a bundle is made of the kit's own folders
    assert handouts.problems(nice) == []
    assert handouts.is_current(nice)
    notebook = nice.handout / "nice.ipynb"
    told = json.loads(notebook.read_text(encoding="utf-8"))
    told["cells"][0]["source"][0] = "# Another title"
    notebook.write_text(json.dumps(told), encoding="utf-8")
    (nice.handout / "notes.txt").write_text("for myself")
    assert not handouts.is_current(nice)
    assert handouts.problems(nice) == [
        "nice.ipynb is not what the source makes: deepul release nice, and commit it.",
        "notes.txt is not what the source makes: deepul release nice, and commit it.",
    ]
    assert not handouts.is_current(nice)


def test_a_bundle_that_lacks_something_is_found(tmp_path, monkeypatch):
    here = assignments.get("nice")
    assert handouts._by_itself(here, tmp_path / "whole") == []
    without = re.compile(f"autograder/families/|{bundle.LEFT_OUT.pattern}")
    monkeypatch.setattr(bundle, "LEFT_OUT", without)
    (problem,) = handouts._by_itself(here, tmp_path / "half")
    assert problem.startswith("The bundle of nice does not work by itself: ModuleNotFoundError")


def test_a_source_out_of_order_is_one_problem(nice):
    nice.source.write_text(nice.source.read_text().replace("### END SOLUTION", "### END SOLUTON", 1))
    (problem,) = handouts.problems(nice)
    assert "looks like a marker and is none" in problem
