"""What a training shows, and what it says when a disk is full."""

import functools
import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import IPython
import pytest
import torch
from torch import nn

from deepul_utils import training
from deepul_utils.errors import NotSaved
from deepul_utils.training import fit, loops, play, progress, trained
from deepul_utils.training.pictures import Pictures

ROOT = Path(__file__).resolve().parents[2]
DATA = torch.randn(64, 1, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path / "artifacts"))
    return training.session


@pytest.fixture
def watched(monkeypatch):
    """A student before a notebook: the text of the bars."""
    text = io.StringIO()
    text.isatty = lambda: True
    monkeypatch.setattr(loops, "sys", SimpleNamespace(stdout=text))
    monkeypatch.setattr(loops, "progress", functools.partial(progress, mininterval=0))
    return text


@pytest.fixture
def notebook(monkeypatch):
    """A live notebook: the figures that it was shown, each with whether it was in the place of another."""
    shown = []

    def display(figure, display_id):
        shown.append(("new", figure))
        return SimpleNamespace(update=lambda figure: shown.append(("instead", figure)))

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr("IPython.display.display", display)
    return shown


def line(model=None, steps: int = 20, **options):
    model = model or nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return fit(model, lambda x: (model(x) ** 2).mean(), DATA, optimizer=optimizer, steps=steps, batch_size=8, **options)


def test_the_bar_shows_time_left_losses_and_the_one_to_aim_at(watched):
    trained("line", nn.Linear(1, 1), fit=lambda m: line(m, valid=DATA), aim=0.0314159)
    assert " left, loss " in watched.getvalue()
    assert ", valid " in watched.getvalue()
    assert ", aim 0.03142" in watched.getvalue()
    assert training.session.aim is None


def test_a_loop_written_by_hand_has_the_number_too(watched):
    def by_hand(model):
        for _ in loops.progress(range(3), "mine"):
            pass

    trained("mine", nn.Linear(1, 1), fit=by_hand, aim=2.5)
    assert "0/3, ? left, aim 2.5" in watched.getvalue()
    list(loops.progress(iter([1, 2])))  # nobody knows how many: then no time is left over either
    assert "2it [" in watched.getvalue()


def test_the_aim_goes_with_the_history_and_not_into_the_file(session):
    trained("line", nn.Linear(1, 1), fit=line, aim=1.5)
    assert training.history("line").aim == 1.5
    trained("line", nn.Linear(1, 1), fit=line)
    assert training.history("line").aim is None


def test_references_are_those_of_the_checks(session):
    known = training.reference("made.smiley")
    assert known == pytest.approx(4.383574 + 0.002695, abs=0.01)
    assert training.reference("pixelcnn") == pytest.approx(0.0755, abs=0.01)
    assert training.reference("pixelcnn", dims=1024) == pytest.approx(training.reference("pixelcnn") * 709.78, rel=1e-4)
    assert training.reference("vae32", dims=1024) == training.reference("vae32") > 900
    assert training.reference("nobody") is None
    session.grading = True
    assert training.reference("made.smiley") is None


def test_pictures_are_shown_one_in_the_place_of_the_other_and_change_nothing(notebook, monkeypatch):
    monkeypatch.setattr("deepul_utils.training.pictures.SHARE", 1e9)
    modes = []

    def show(model):
        modes.append((model.training, torch.is_grad_enabled()))
        torch.randn(5)
        return f"after {len(modes)}"

    weights = []
    for options in ({}, dict(show=show, every=5)):
        torch.manual_seed(0)
        model = nn.Linear(1, 1)
        line(model, **options)
        weights.append(model.weight.item())
    assert weights[0] == weights[1]
    assert notebook == [("new", "after 1"), *(("instead", f"after {k}") for k in (2, 3, 4))]
    assert modes == 4 * [(False, False)]


def test_a_game_shows_pictures_too(notebook, monkeypatch):
    monkeypatch.setattr("deepul_utils.training.pictures.SHARE", 1e9)

    class Game(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator, self.discriminator = nn.Linear(1, 1), nn.Linear(1, 1)

        def discriminator_loss(self, x):
            return self.discriminator(x).mean() ** 2

        def generator_loss(self, n):
            return self.generator(torch.ones(n, 1)).mean() ** 2

    game = Game()
    optimizers = [torch.optim.SGD(p.parameters(), lr=0.1) for p in (game.discriminator, game.generator)]
    play(game, DATA, optimizers=optimizers, rounds=6, batch_size=8, show=lambda model: "picture", every=3)
    assert [kind for kind, _ in notebook] == ["new", "instead"]


def test_pictures_take_a_fifth_of_the_time_at_most(notebook, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("deepul_utils.training.pictures.time.monotonic", lambda: now[0])

    def slow(model):
        now[0] += 10
        return "picture"

    pictures = Pictures(slow, every=1)
    for step in range(1, 201):
        now[0] += 1
        pictures.look(nn.Linear(1, 1), step)
    assert 3 <= len(notebook) <= 6
    assert 10 * len(notebook) < 0.2 * now[0] + 10


def test_a_picture_that_fails_ends_no_training(notebook, capsys):
    def show(model):
        raise ValueError("no such thing")

    line(show=show, every=1)
    assert capsys.readouterr().out == "show: ValueError: no such thing. It trains on without pictures.\n"


def test_no_pictures_where_nobody_looks_on(notebook, session, monkeypatch):
    session.grading = True
    line(show=lambda model: pytest.fail("drawn"), every=1)
    session.grading = False
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    line(show=lambda model: pytest.fail("drawn"), every=1)


def full(*_):
    raise OSError(28, os.strerror(28))


def test_a_full_disk_is_said_and_the_trained_model_is_saved_later(session, monkeypatch, capsys):
    monkeypatch.setattr(Path, "write_bytes", full)
    first = nn.Linear(1, 1)
    with pytest.raises(NotSaved, match=r"line: .*line.safetensors could not be written \(No space left") as said:
        trained("line", first, fit=line)
    assert "run this cell again" in str(said.value)
    assert not [f for f in session.folder.iterdir() if f.stat().st_size]
    out = capsys.readouterr().out
    assert out.count("It trains on, but an interrupt would lose") == 1
    monkeypatch.undo()
    monkeypatch.setattr(training, "session", session)
    again = trained("line", nn.Linear(1, 1), fit=lambda model: pytest.fail("trained twice"))
    assert torch.equal(again.weight, first.weight)
    assert (session.folder / "line.safetensors").exists()
    assert session.unsaved == {}


def test_what_could_not_be_saved_is_dropped_for_another_model_and_for_retrain(session, monkeypatch):
    for other, options in ((nn.Linear(1, 2), {}), (nn.Linear(1, 1), {"retrain": True})):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(NotSaved):
                trained("line", nn.Linear(1, 1), fit=line)
        calls = []
        trained("line", other, fit=lambda model, calls=calls: calls.append(1), **options)
        assert calls == [1]
        (session.folder / "line.safetensors").unlink()


def test_a_file_system_that_is_really_full_is_said(tmp_path):
    """Files of at most so many bytes, as the kernel enforces it: more than a bar, less than the weights."""
    code = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from torch import nn
        from deepul_utils import training
        training.get_ready()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            training.trained("wide", nn.Linear(100, 100), fit=lambda model: None)
        except training.artifacts.NotSaved as error:
            print(error)
        training.session.models["wide"] = nn.Linear(1, 1)
        try:
            training.drawn("wide", lambda: __import__("torch").zeros(9999))
        except training.artifacts.NotSaved as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.startswith(f"wide: {tmp_path}/artifacts/wide.safetensors could not be written (File too large).")
    assert second.startswith(f"{tmp_path}/artifacts/wide.samples.safetensors could not be written (File too large)")
    assert done.stderr == ""
    assert list((tmp_path / "artifacts").iterdir()) == []
