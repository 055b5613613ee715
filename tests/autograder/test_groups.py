"""Control groups, on a folder that behaves as cgroup v2's does, and on a systemd that answers as it should or does not.

The real thing needs a kernel that lets us (groups.py says where); what is asked of it is the same.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autograder.grading import groups
from autograder.grading.limits import Limits

pytestmark = pytest.mark.alone

LIMITS = Limits()


@pytest.fixture(autouse=True)
def anew():
    """What was found out of this machine before is not known here, nor is this afterwards."""
    known = groups._parent, groups._systemd
    for answer in known:
        answer.cache_clear()
    yield
    for answer in known:
        answer.cache_clear()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree of groups: a new folder has the files of a group, and goes away with them."""

    def appear(folder: Path) -> None:
        for name, text in (
            ("cgroup.controllers", " ".join(sorted(controllers))),
            ("cgroup.procs", ""),
            ("cgroup.subtree_control", ""),
            ("memory.max", "max"),
            ("cpu.weight", "100"),
            ("pids.max", "max"),
            ("memory.swap.max", "max"),
        ):
            (folder / name).write_text(text)

    make, remove = Path.mkdir, Path.rmdir
    controllers = {"cpu", "memory", "pids", "io"}

    def mkdir(self, *words, **named):
        make(self, *words, **named)
        if self.is_relative_to(tmp_path):
            appear(self)

    def rmdir(self):
        shutil.rmtree(self) if self.is_relative_to(tmp_path) else remove(self)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", rmdir)
    monkeypatch.setattr(groups, "ROOT", tmp_path)
    monkeypatch.setattr(groups.os, "getuid", lambda: 0)
    appear(tmp_path)
    own = tmp_path / "grader" / "own"
    own.mkdir(parents=True)
    monkeypatch.setattr(groups, "_of", lambda pid: own)
    return tmp_path, controllers


def test_root_makes_one_beside_its_own_with_a_share_and_room_for_one(tree):
    folder, _ = tree
    group = groups.make(LIMITS)
    (made,) = (folder / "grader").glob("deepul-*")
    assert (made / "cpu.weight").read_text() == "100"
    assert int((made / "memory.max").read_text()) == LIMITS.memory + LIMITS.disk + groups.WARM
    assert (made / "memory.swap.max").read_text() == "0"
    assert int((made / "pids.max").read_text()) >= LIMITS.threads
    assert set((folder / "grader" / "cgroup.subtree_control").read_text().replace("+", "").split()) == groups.WANTED
    said = subprocess.run([*group.enter, "sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    assert (made / "cgroup.procs").read_text() == said.stdout, "what runs has joined it before it began"
    group.close()
    assert not made.exists()
    assert not list(folder.rglob("deepul-probe-*"))


def test_where_a_controller_is_missing_there_is_none(tree, monkeypatch):
    folder, controllers = tree
    controllers.remove("memory")
    monkeypatch.setattr(groups.shutil, "which", lambda name: None)
    assert groups.make(LIMITS) is None
    assert not list(folder.rglob("deepul-*"))


def test_where_groups_cannot_be_made_there_is_none(tree, monkeypatch):
    monkeypatch.setattr(groups, "_hand_down", lambda parent: (_ for _ in ()).throw(PermissionError("read-only")))
    monkeypatch.setattr(groups.shutil, "which", lambda name: None)
    assert groups.make(LIMITS) is None


def test_what_the_kernel_killed_for_its_memory_is_known(tree):
    folder, _ = tree
    group = groups.make(LIMITS)
    assert group.killed(os.getpid()) == 0
    (folder / "grader" / "own" / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\n")
    assert group.killed(os.getpid()) == 2


@pytest.mark.parametrize(("said", "usable"), [("1073741824\n90", True), ("max\n100", False), ("", False)])
def test_systemd_is_taken_at_what_it_does_and_not_at_its_word(tmp_path, monkeypatch, said, usable):
    program = tmp_path / "systemd-run"
    program.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(groups, "_parent", lambda: None)
    monkeypatch.setattr(groups.shutil, "which", lambda name: str(program))
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/run/systemd/system" or exists(self))
    group = groups.make(LIMITS)
    assert (group is not None) == usable
    if usable:
        assert group.enter[0] == str(program)
        assert f"--property=MemoryMax={LIMITS.memory + LIMITS.disk + groups.WARM}" in group.enter
        assert "--property=CPUWeight=100" in group.enter
        assert group.enter[-1] == "--"
        group.close()
