"""Training that is never lost: whatever stops it, the next run goes on, bit for bit as if nothing had happened."""

import contextlib
import os
import pickle
import pty
import random
import re
import signal
import subprocess
import sys
import termios
import textwrap
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from deepul_utils import fingerprint, origins, training
from deepul_utils.errors import KitError
from deepul_utils.training import History, checkpoints, drawn, fit, histories, seed_everything, trained

STEPS = 12
DATA = torch.linspace(-1, 1, 50).unsqueeze(1)


class Net(nn.Module):
    """Dropout draws random numbers in every step, batch norm keeps state outside the optimiser."""

    def __init__(self, hidden: int = 4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, hidden), nn.BatchNorm1d(hidden), nn.Dropout(0.3), nn.Linear(hidden, 1))

    def loss(self, x):
        noise = random.gauss(0, 1) + np.random.normal()  # noqa: NPY002 - students draw from every source
        return ((self.net(x) - x * noise) ** 2).mean()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The artifacts of a notebook that has trained nothing yet."""
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    monkeypatch.delenv("DEEPUL_SEED", raising=False)
    return tmp_path


@pytest.fixture(params=["adam", "sgd", "adam with one cycle", "adamw with numpy's cosine", "no valid"])
def recipe(request):
    """fit(model), in the ways that students set it up."""
    return RECIPES[request.param]


def plain(model, loss=None, steps=STEPS, lr=1e-2, **options):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    options = dict(valid=DATA[:20], evaluations=4, batch_size=16) | options
    return fit(model, loss or model.loss, DATA, optimizer=optimizer, steps=steps, **options)


def sgd(model, loss):
    optimizer = torch.optim.SGD(model.parameters(), lr=np.float64(0.05), momentum=0.9)
    return fit(model, loss, DATA.numpy(), optimizer=optimizer, steps=STEPS, batch_size=999, valid=DATA[:7].numpy())


def one_cycle(model, loss):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=STEPS)
    return fit(model, loss, DATA, optimizer=optimizer, scheduler=schedule, steps=STEPS, batch_size=7, valid=DATA[:20])


def cosine(model, loss):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: np.cos(step / STEPS))
    return fit(model, loss, DATA, optimizer=optimizer, scheduler=schedule, steps=STEPS, batch_size=16, valid=DATA[:20])


RECIPES = {
    "adam": plain,
    "sgd": sgd,
    "adam with one cycle": one_cycle,
    "adamw with numpy's cosine": cosine,
    "no valid": lambda model, loss: plain(model, loss, valid=None),
}


def new(hidden: int = 4) -> Net:
    torch.manual_seed(1)
    return Net(hidden)


def interrupting(model: Net, at: set[int], times: int = 1):
    """The model's loss, which presses the stop button in its k-th calls; evaluations count too."""
    calls = 0

    def loss(x):
        nonlocal calls
        calls += 1
        if calls in at:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return model.loss(x)

    return loss


def run_through(name: str, train, at: set[int] = frozenset(), times: int = 1) -> tuple[Net, int]:
    """The trained model, and how often it was interrupted. Each run of the cell has the stop button pressed `at`."""
    for interrupts in range(100):
        model = new()
        try:
            return trained(name, model, fit=lambda m: train(m, interrupting(m, at, times))), interrupts
        except training.Interrupted:
            continue
    raise AssertionError("it never ends")


def assert_same(name: str, other: str, model: nn.Module, reference: nn.Module) -> None:
    for key, value in reference.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    one, two = training.history(name), training.history(other)
    assert (one.steps, one.train, one.valid_steps, one.valid) == (two.steps, two.train, two.valid_steps, two.valid)


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


# ---- trains once ---------------------------------------------------------------------------------------


def test_trains_once_and_loads_the_next_time(folder, capsys):
    calls = []
    first = trained("made.smiley", new(), fit=lambda m: calls.append(1) or plain(m))
    written = training.history("made.smiley")
    assert re.search(
        rf"made.smiley: trained in .* s, saved to {folder}/made.smiley.safetensors", capsys.readouterr().out
    )
    assert not first.training
    training.session = training.Session(folder)  # the notebook starts again
    second = trained("made.smiley", Net(), fit=lambda m: calls.append(1))
    assert "loaded the weights" in capsys.readouterr().out
    assert len(calls) == 1
    assert not second.training
    assert training.session.models["made.smiley"] is second
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value)
    loaded = training.history("made.smiley")
    assert loaded.train == pytest.approx(written.train, abs=1e-5)
    assert (loaded.steps, loaded.valid_steps) == (written.steps, written.valid_steps)
    assert left(folder) == ["made.smiley.safetensors"]


def test_a_history_that_is_not_there():
    with pytest.raises(KitError, match=r"Exercise 1\.2: nothing was trained under the name 'made.moons' yet"):
        training.history("made.moons")


@pytest.mark.parametrize(
    "result",
    [
        None,
        [2.0, 1.0],
        np.array([2.0, 1.0]),
        torch.tensor([2.0, 1.0]),
        [torch.tensor(2.0, requires_grad=True), 1],
        ([2.0, 1.0], [3.0]),
        {"train": [1.0]},
        3.0,
        "done",
        new(),
        torch.ones(2, 2),
        [None],
    ],
    ids=lambda r: type(r).__name__,
)
def test_no_return_value_of_the_training_function_loses_the_weights(folder, result):
    def train(model):
        plain(model)
        return result

    trained("demo", new(), fit=train)
    assert left(folder) == ["demo.safetensors"]
    assert training.history("demo").train in ([], [2.0, 1.0])
    assert len(training.history("demo").steps) == len(training.history("demo").train)


@pytest.mark.parametrize("number", [np.int64, torch.tensor, int], ids=["numpy", "torch", "python"])
def test_numbers_of_any_kind_are_trained_with_and_kept(folder, number):
    trained("demo", new(), fit=lambda m: plain(m, steps=number(STEPS), batch_size=number(10)))
    assert training.history("demo").settings["steps"] == STEPS
    trained("demo", new(), fit=None)
    assert training.history("demo").settings["batch"] == 10


def test_a_history_with_tensors_in_it_loses_no_weights(folder):
    def train(model):
        plain(model)
        loss = model.loss(DATA)
        settings = {"lr": np.float32(1), "betas": (0.9, 0.99), "what": object(), "rates": np.ones(3)}
        return History(
            train=[loss, 2.0], steps=[torch.tensor(1), np.int64(2)], valid=[loss.detach()], settings=settings
        )

    trained("demo", new(), fit=train)
    trained("demo", new(), fit=None)
    history = training.history("demo")
    assert len(history.train) == 2
    assert history.steps == [1, 2]
    assert len(history.valid) == 1
    assert history.settings == {"lr": 1.0, "betas": [0.9, 0.99]}


class Masked(nn.Module):
    """What a causal network keeps: −∞ where nothing may be seen, and a buffer whose rows are one place in memory."""

    def __init__(self):
        super().__init__()
        self.net = nn.LazyLinear(1)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(4, device="cpu"))
        self.register_buffer("rows", torch.ones(1, 3).expand(2, 3))

    def loss(self, x):
        return (self.net(x) ** 2).mean() + self.rows.sum()


def test_masks_of_minus_infinity_lazy_layers_and_expanded_buffers_are_saved_and_loaded(folder):
    def started() -> Masked:
        model = Masked()
        model.net(DATA[:1])
        return model

    first = trained("demo", started(), fit=plain)
    again = trained("demo", Masked(), fit=None)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())


def test_a_buffer_of_nan_is_refused(folder):
    def to_nan(model):
        plain(model)
        model.net[1].running_mean[0] = torch.nan

    with pytest.raises(KitError, match=r"nan or infinite values in net\.1.running_mean"):
        trained("demo", new(), fit=to_nan)


def test_an_array_that_was_turned_round_is_data():
    plain(new(), steps=1)
    model = new()
    fit(model, model.loss, DATA.numpy()[::-1], optimizer=torch.optim.Adam(model.parameters()), steps=2)


def test_a_training_function_that_was_not_called_is_said(folder):
    """fit=train_made where fit=train_made(smiley) was meant."""

    def train_made(data):
        return lambda model: plain(model)

    with pytest.raises(KitError, match=r"Exercise 1\.2: `fit` trained nothing, it made a function"):
        trained("made.smiley", new(), fit=train_made)
    assert left(folder) == []


def test_history_is_thinned_to_means_over_stretches(folder):
    losses = np.arange(2500, dtype=float)
    trained("demo", new(), fit=lambda m: losses.tolist())
    trained("demo", new(), fit=None)
    history = training.history("demo")
    assert len(history.train) == len(history.steps) == 358  # 2500 losses in stretches of 7, at most 400
    assert history.steps[:2] == [7, 14]
    assert history.steps[-1] == 2500
    assert history.train[:2] == [3.0, 10.0]
    assert history.train[-1] == 2499.0


@pytest.mark.parametrize("length", [0, 1, 400, 401])
def test_thinning_keeps_short_histories(length):
    history = History(steps=list(range(1, length + 1)), train=[0.5] * length)
    thinned = histories._thinned(history)
    assert len(thinned["train"]) == len(thinned["steps"]) == (length if length <= 400 else 201)
    assert thinned["steps"][-1:] == history.steps[-1:]


# ---- weights that do not fit ---------------------------------------------------------------------------


def test_missing_unexpected_and_misshapen_weights_are_named(folder):
    trained("made.smiley", new(), fit=plain)
    file = folder / "made.smiley.safetensors"
    weights = safetensors.torch.load_file(file)
    weights["net.7.bias"] = weights.pop("net.0.bias")
    weights["net.3.weight"] = torch.zeros(2, 4)
    safetensors.torch.save_file(weights, file)
    model, before = Net(), None
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(KitError) as error:
        trained("made.smiley", model, fit=plain)
    said = str(error.value)
    assert said.startswith(f"Exercise 1.2: the weights in {file.parent}/made.smiley.safetensors do not fit your model")
    assert "missing: net.0.bias;" in said
    assert "unexpected: net.7.bias;" in said
    assert "net.3.weight is (2, 4), should be (1, 4)" in said
    assert "trained('made.smiley', …, retrain=True)" in said
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert "made.smiley" not in training.session.models or training.session.models["made.smiley"] is not model


def test_a_long_list_of_missing_weights_stays_readable(folder):
    safetensors.torch.save_file({"x": torch.zeros(1)}, folder / "demo.safetensors")
    with pytest.raises(KitError, match=r"net.1.num_batches_tracked, .* and 1 more; unexpected: x"):
        trained("demo", new(), fit=plain)


class Malice:
    def __reduce__(self):
        return (Path(os.environ["MALICE"]).touch, ())


def write_damaged(file: Path, how: str) -> None:
    content = {
        "empty": b"",
        "text": b"hello",
        "truncated": file.read_bytes()[:200] if file.exists() else b"PK",
        "pickle": pickle.dumps(Malice()),
    }[how]
    file.write_bytes(content)


damage = pytest.mark.parametrize("how", ["empty", "text", "truncated", "pickle", "torch.save"])


@damage
def test_a_damaged_artifact_is_said_in_words(folder, monkeypatch, how):
    monkeypatch.setenv("MALICE", str(folder / "malice"))
    file = folder / "made.smiley.safetensors"
    trained("made.smiley", new(), fit=plain)
    torch.save(Malice(), file) if how == "torch.save" else write_damaged(file, how)
    with pytest.raises(
        KitError, match=rf"Exercise 1\.2: {folder}/made.smiley.safetensors is no readable .*retrain=True"
    ):
        trained("made.smiley", new(), fit=plain)
    trained("made.smiley", new(), fit=plain, retrain=True)
    assert not (folder / "malice").exists()


@pytest.mark.parametrize("metadata", [{}, {"history": "nonsense"}, {"history": '{"losses": 3}'}, {"history": "[]"}])
def test_weights_without_a_history_are_weights(folder, metadata):
    model = new()
    safetensors.torch.save_file(model.state_dict(), folder / "demo.safetensors", metadata=metadata)
    trained("demo", Net(), fit=None)
    assert training.history("demo") == History()


# ---- retraining, and training that fails ---------------------------------------------------------------


def test_retrain_keeps_the_old_weights_beside_the_new(folder):
    trained("made.smiley", new(), fit=plain)
    old = (folder / "made.smiley.safetensors").read_bytes()
    with (folder / "made.smiley.safetensors").open("rb") as reader:  # somebody is reading it
        trained("made.smiley", new(), fit=lambda m: plain(m, lr=0.1), retrain=True)
        assert reader.read() == old
    assert left(folder) == ["made.smiley.previous.safetensors", "made.smiley.safetensors"]
    assert (folder / "made.smiley.previous.safetensors").read_bytes() == old
    assert (folder / "made.smiley.safetensors").read_bytes() != old


def spoil(model):
    """Trains to the end with a finite loss, and leaves a nan all the same."""
    plain(model)
    with torch.no_grad():
        model.net[0].bias[1] = torch.nan


def diverge(model):
    return plain(model, loss=lambda x: model.loss(x) * (torch.nan if model.training else 1))


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        (spoil, r"Exercise 1\.2: training ended with nan or infinite values in net.0.bias; not saved"),
        (diverge, r"The loss became nan at step 1\. .* lower the learning rate"),
    ],
)
def test_nan_is_refused_and_nothing_is_saved(folder, monkeypatch, fails, said):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0)
    with pytest.raises(KitError, match=said):
        trained("made.smiley", new(), fit=fails)
    assert left(folder) == []
    trained("made.smiley", new(), fit=plain)
    good = (folder / "made.smiley.safetensors").read_bytes()
    with pytest.raises(KitError, match=said):
        trained("made.smiley", new(), fit=fails, retrain=True)
    assert left(folder) == ["made.smiley.safetensors"]
    assert (folder / "made.smiley.safetensors").read_bytes() == good


def test_after_diverging_a_lower_learning_rate_starts_over(folder, monkeypatch, capsys):
    """The checkpoint of a run that diverged holds the learning rate that made it diverge."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0)

    def train(model, lr):
        calls = []

        def loss(x):
            calls.append(1)
            return model.loss(x) * (torch.nan if lr > 0.1 and len(calls) > 5 else 1)

        return plain(model, loss, lr=lr, valid=None)

    with pytest.raises(KitError, match="The loss became nan at step 6"):
        trained("demo", new(), fit=lambda m: train(m, 1.0))
    trained("demo", new(), fit=lambda m: train(m, 1e-3))
    assert "going on" not in capsys.readouterr().out
    assert len(training.history("demo").train) == STEPS


def test_an_error_in_the_training_function_keeps_what_was_trained(folder, capsys):
    """A slip after ten minutes of training costs no second ten minutes."""

    def train(model, right):
        history = plain(model)
        return history if right else undefined  # noqa: F821

    with pytest.raises(NameError):
        trained("demo", new(), fit=lambda m: train(m, False))
    calls = []
    trained("demo", new(), fit=lambda m: calls.append(m.loss) or train(m, True))
    assert f"going on from step {STEPS}" in capsys.readouterr().out
    assert left(folder) == ["demo.safetensors"]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda m, x: m.net(x), r"must be one number, the mean over the batch; got shape \(16, 1\)"),
        (lambda m, x: None, "must be one number, the mean over the batch; got NoneType"),
        (lambda m, x: m.loss(x).item(), "must be one number, the mean over the batch; got float"),
        (lambda m, x: m.loss(x).detach(), "does not depend on the model's parameters"),
        (lambda m, x: m.loss(x) / 0, "The loss became inf at step 1"),
        (lambda m, x: m.loss(x) - torch.inf, "The loss became -inf at step 1"),
    ],
)
def test_a_loss_that_is_none_is_said_in_words(loss, said):
    model = new()
    with pytest.raises(KitError, match=said):
        plain(model, loss=lambda x: loss(model, x))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_failure_in_the_middle_of_writing_leaves_the_old_file(folder, monkeypatch, restarted):
    trained("demo", new(), fit=plain)
    old, write = (folder / "demo.safetensors").read_bytes(), Path.write_bytes

    def half(path, content):
        write(path, b"half" if ".safetensors." in path.name else content)
        if ".safetensors." in path.name:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(KitError, match="No space left"):
            trained("demo", new(), fit=plain, retrain=True)
    assert (folder / "demo.safetensors").read_bytes() == old
    assert left(folder) == ["demo.1.checkpoint.pt", "demo.safetensors"]
    if restarted:
        training.session.unsaved.clear()
    trained("demo", new(), fit=plain)  # with room again, nothing is trained twice
    assert left(folder) == ["demo.previous.safetensors", "demo.safetensors"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before_and_ends_no_training(folder, monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0)
    write, kept = Path.write_bytes, []

    def third_fails(path, content):
        if ".checkpoint." in path.name:
            kept.append(left(folder))
            if len(kept) == 3:
                write(path, b"half")
                raise OSError(28, "No space left on device")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", third_fails)
        model = trained("demo", new(), fit=plain)
    assert kept[3] == ["demo.1.checkpoint.pt"]
    assert "No space left on device). It trains on" in capsys.readouterr().out
    assert_same("demo", "other", model, trained("other", new(), fit=as_if_called("demo")))


def as_if_called(name: str):
    """`plain` under the random numbers that training under that name would see."""
    return lambda model: reseeded(name, lambda: plain(model))


def reseeded(name: str, run):
    with training.seeded(zlib.crc32(name.encode())):
        return run()


# ---- interrupts ----------------------------------------------------------------------------------------


@pytest.fixture
def uninterrupted(recipe):
    """The model of an undisturbed run, under the name "demo", and its history under "reference"."""
    model, interrupts = run_through("demo", recipe)
    assert interrupts == 0
    training.session.histories["reference"] = training.session.histories.pop("demo")
    for file in training.session.folder.iterdir():
        file.unlink()
    return model


@pytest.mark.parametrize("at", [{1}, {2}, {4}, {7}], ids=str)
def test_a_resumed_run_equals_an_uninterrupted_one(recipe, uninterrupted, at, folder):
    model, interrupts = run_through("demo", recipe, at)
    assert interrupts >= 1
    assert_same("demo", "reference", model, uninterrupted)
    assert left(folder) == ["demo.safetensors"]


def test_a_second_interrupt_acts_at_once(recipe, uninterrupted, folder):
    reached = []

    def train(model, loss):
        def watched(x):
            value = loss(x)
            reached.append(1)
            return value

        return recipe(model, watched)

    with pytest.raises(training.Interrupted):
        trained("demo", new(), fit=lambda m: train(m, interrupting(m, at={4}, times=2)))
    assert len(reached) == 3
    model, _ = run_through("demo", recipe)
    assert_same("demo", "reference", model, uninterrupted)


@pytest.mark.parametrize("at", range(1, 4))
def test_an_interrupt_while_a_checkpoint_is_written(recipe, uninterrupted, folder, monkeypatch, at):
    """It comes too late for this step; the next one, or the end of the loop, heeds it."""
    save, calls = training.Checkpoint.save, []
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0 if at < 3 else 1e9)

    def interrupted_save(self, *arguments):
        save(self, *arguments)
        calls.append(1)
        if len(calls) == (1 if at == 3 else at):  # 3: the last step's is the only one
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(training.Checkpoint, "save", interrupted_save)
        with pytest.raises(training.Interrupted):
            trained("demo", new(), fit=lambda m: recipe(m, m.loss))
    model, _ = run_through("demo", recipe)
    assert_same("demo", "reference", model, uninterrupted)


def test_an_interrupt_just_before_the_decision_to_stop(monkeypatch, capsys):
    calls = []

    def due(self):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    monkeypatch.setattr(training.Checkpoint, "due", due)
    with pytest.raises(training.Interrupted):
        trained("demo", new(), fit=plain)
    trained("demo", new(), fit=plain)
    assert "going on from step 4" in capsys.readouterr().out


def two_stages(model, loss):
    """Two fits in one training function, with random numbers drawn between them."""
    first = plain(model, loss, steps=5)
    torch.rand(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01 + 0.01 * random.random())
    second = fit(model, loss, DATA, optimizer=optimizer, steps=6, batch_size=10)
    return History(train=first.train + second.train, steps=list(range(11)), seconds=1)


def test_two_fits_in_one_training_function(folder, capsys):
    reference, _ = run_through("demo", two_stages)
    training.session.histories["reference"] = training.session.histories["demo"]
    (folder / "demo.safetensors").unlink()
    model, interrupts = run_through("demo", two_stages, at={2})
    assert interrupts >= 5
    assert_same("demo", "reference", model, reference)
    assert "going on from step 5" in capsys.readouterr().out
    assert left(folder) == ["demo.safetensors"]


def test_the_message_of_an_interrupt_says_how_to_go_on():
    def train(model):
        return plain(model, interrupting(model, at={3}))

    with pytest.raises(KitError, match=r"^demo: training was interrupted\. Run this cell again to go on\.$"):
        trained("demo", new(), fit=train)
    with pytest.raises(KitError, match=r"Run this cell again, without retrain=True, to go on"):
        trained("demo", new(), fit=train, retrain=True)


def test_an_interrupted_retraining_goes_on_and_loses_neither_weights(folder, capsys):
    trained("demo", new(), fit=plain)
    old = (folder / "demo.safetensors").read_bytes()
    with pytest.raises(training.Interrupted):
        trained("demo", new(), fit=lambda m: plain(m, interrupting(m, at={3}), lr=0.1), retrain=True)
    assert (folder / "demo.safetensors").read_bytes() == old
    trained("demo", new(), fit=lambda m: plain(m, lr=0.1))
    assert "going on from step" in capsys.readouterr().out
    assert (folder / "demo.safetensors").read_bytes() != old
    assert (folder / "demo.previous.safetensors").read_bytes() == old
    assert len(left(folder)) == 2


def test_what_an_interrupted_retraining_left_is_told_and_not_gone_on_with_at_grading(folder, capsys):
    """It would meet the time limit, and the weights that were handed in are what is graded."""
    model = trained("demo", new(), fit=plain)
    with pytest.raises(training.Interrupted):
        trained("demo", new(), fit=lambda m: plain(m, interrupting(m, at={3}), lr=0.1), retrain=True)
    (note,) = training.notes("demo", {"demo": model}, {})
    assert note == (
        "demo: its training anew was interrupted, and the weights from before are graded: run its cell to go on."
    )
    training.session = training.Session(folder)
    training.session.grading = True
    capsys.readouterr()
    trained("demo", new(), fit=plain)
    assert "loaded the weights" in capsys.readouterr().out
    training.session = training.Session(folder)
    trained("demo", new(), fit=lambda m: plain(m, lr=0.1))
    assert "going on from step" in capsys.readouterr().out
    assert training.notes("demo", training.session.models, {}) == []


def by_hand(model, loss):
    """As in Exercise 1.1, where students write the loop."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in training.progress(range(STEPS)):
        value = loss(DATA)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def test_an_interrupted_loop_by_hand_keeps_its_weights(folder, capsys):
    model = new()
    with pytest.raises(training.Interrupted):
        trained("demo", model, fit=lambda m: by_hand(m, interrupting(m, at={8})))
    assert left(folder) == ["demo.weights.checkpoint.pt"]
    seen = []
    trained("demo", new(), fit=lambda m: seen.append({k: v.clone() for k, v in m.state_dict().items()}))
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in seen[0].items())
    assert "starting from the weights of the interrupted run" in capsys.readouterr().out
    assert left(folder) == ["demo.safetensors"]


def test_weights_of_another_model_or_with_nan_are_not_started_from(folder, capsys):
    with pytest.raises(training.Interrupted):
        trained("demo", new(hidden=6), fit=lambda m: by_hand(m, interrupting(m, at={8})))
    fresh, seen = new(), []
    trained("demo", new(), fit=lambda m: seen.append({k: v.clone() for k, v in m.state_dict().items()}))
    assert all(torch.equal(v, fresh.state_dict()[k]) for k, v in seen[0].items())

    def to_nan(model):
        with torch.no_grad():
            model.net[0].weight[0] = torch.nan
        by_hand(model, interrupting(model, at={1}))

    with pytest.raises(training.Interrupted):
        trained("other", new(), fit=to_nan)
    assert left(folder) == ["demo.safetensors"]
    assert "starting from" not in capsys.readouterr().out


EARLY = """
import os, signal, sys, tempfile
from pathlib import Path
import torch
from torch import nn
from deepul_utils import training

assert "torch._dynamo" not in sys.modules  # or there is nothing to break
data = torch.linspace(-1, 1, 50).unsqueeze(1)
imports, moments = [0], set()

def press(event, arguments):  # the stop button, at the k-th import after the training began
    if event == "import":
        imports[0] += 1
        if imports[0] in moments:
            os.kill(os.getpid(), signal.SIGINT)

def with_fit(model):
    optimizer = torch.optim.Adam(model.parameters())
    return training.fit(model, lambda x: (model(x) - x).square().mean(), data, optimizer=optimizer, steps=20)

def by_hand(model):
    optimizer = torch.optim.Adam(model.parameters())
    for _ in training.progress(range(20)):
        optimizer.zero_grad()
        (model(data) - data).square().mean().backward()
        optimizer.step()

def lesson(loop, *at):
    training.session = training.Session(Path(tempfile.mkdtemp()))
    moments.update(at)
    interrupted = 0
    while True:
        try:
            training.trained("demo", nn.Linear(1, 1), fit=loop)
            break
        except training.Interrupted:
            interrupted += 1
    by_hand(nn.Linear(1, 1))  # a kernel that is whole
    print("interrupted", interrupted, "imports", imports[0], flush=True)

sys.addaudithook(press)
"""
FORKS = """
for loop, *at in ((with_fit, 1), (with_fit, 400), (with_fit, 401, 402, 500), (by_hand, 600), (by_hand, 400, 800)):
    child = os.fork()
    if child == 0:
        lesson(loop, *at)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, at
"""


def test_an_interrupt_in_the_first_second_of_the_first_training_breaks_nothing(tmp_path):
    """torch imports half of itself when the first optimiser is made; cut short, it stays broken for good."""
    done = subprocess.run([sys.executable, "-c", EARLY + FORKS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("interrupted")]
    assert len(told) == 5
    assert all(int(imports) > 800 for *_, imports in told), "the moments are within what is imported"
    assert all(count == "1" for _, count, *_ in told), "however often the button is pressed"


def test_outside_trained_an_interrupt_is_an_interrupt(folder):
    model = new()
    with pytest.raises(KeyboardInterrupt):
        plain(model, interrupting(model, at={3}))
    assert left(folder) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fit_works_in_a_side_thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(plain(new())))
    thread.start()
    thread.join()
    assert len(done[0].train) == STEPS


# ---- checkpoints ---------------------------------------------------------------------------------------


def interrupt(name: str, train=plain, hidden: int = 4) -> None:
    with pytest.raises(training.Interrupted):
        trained(name, new(hidden), fit=lambda m: train(m, interrupting(m, at={3})))


def adam(parameters) -> dict:
    return dict(optimizer=torch.optim.Adam(parameters, lr=1e-2), steps=STEPS, batch_size=16)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: plain(m, lr=0.5),
        lambda m: plain(m, steps=99),
        lambda m: plain(m, batch_size=4),
        lambda m: sgd(m, m.loss),
        lambda m: one_cycle(m, m.loss),
        lambda m: fit(m, m.loss, DATA[:-1], **adam(m.parameters())),
        lambda m: fit(m, m.loss, DATA, **adam(m.net[3].parameters())),
    ],
    ids=["learning rate", "steps", "batch size", "optimiser", "schedule", "data", "parameters"],
)
def test_other_settings_do_not_go_on_silently(folder, change, capsys):
    """A student who stops a run and lowers the learning rate would otherwise go on with the old one."""
    interrupt("made.smiley")
    with pytest.raises(
        KitError, match=r"Exercise 1\.2: an interrupted run of 'made.smiley' was made by .*retrain=True"
    ):
        trained("made.smiley", new(), fit=change)
    trained("made.smiley", new(), fit=plain)  # what was put back goes on
    assert "going on from step" in capsys.readouterr().out
    interrupt("other")
    trained("other", new(), fit=change, retrain=True)
    assert "going on" not in capsys.readouterr().out


def test_another_schedule_is_another_setting():
    def train(model, loss, schedule=torch.optim.lr_scheduler.CosineAnnealingLR):
        options = adam(model.parameters())
        return fit(model, loss, DATA, **options, scheduler=schedule(options["optimizer"], 20))

    interrupt("demo", train)
    with pytest.raises(KitError, match="was made by another"):
        trained("demo", new(), fit=lambda m: train(m, m.loss, torch.optim.lr_scheduler.StepLR))


def test_a_checkpoint_of_another_model_is_said_in_words():
    interrupt("made.smiley")
    with pytest.raises(KitError, match="was made by another model"):
        trained("made.smiley", new(hidden=8), fit=plain)


@damage
@pytest.mark.parametrize("part", ["1", "weights"])
def test_a_damaged_checkpoint_is_said_in_words(folder, monkeypatch, how, part):
    monkeypatch.setenv("MALICE", str(folder / "malice"))
    interrupt("made.smiley", plain if part == "1" else by_hand)
    file = folder / f"made.smiley.{part}.checkpoint.pt"
    torch.save(Malice(), file) if how == "torch.save" else write_damaged(file, how)
    with pytest.raises(KitError, match=rf"Exercise 1\.2: {folder}/made.smiley.{part}.checkpoint.pt.* cannot be read"):
        trained("made.smiley", new(), fit=plain)
    trained("made.smiley", new(), fit=plain, retrain=True)
    assert left(folder) == ["made.smiley.safetensors"]


def test_success_deletes_what_was_left_of_this_training_alone(folder):
    for name in (
        ".demo.1.checkpoint.pt.99",
        ".demo.weights.checkpoint.pt.7",
        ".demo.safetensors.12",
        "demo.3.checkpoint.pt",
    ):
        (folder / name).touch()
    others = [
        "demo.moons.1.checkpoint.pt",
        "demo.previous.safetensors",
        "demo_2.1.checkpoint.pt",
        "notes.checkpoint.pt",
    ]
    for name in others:
        (folder / name).touch()
    trained("demo", new(), fit=plain)
    assert left(folder) == sorted([*others, "demo.safetensors"])


def test_checkpoints_are_kept_every_few_seconds(monkeypatch):
    saved, clock, save = [], [0.0], training.Checkpoint.save
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(training.Checkpoint, "save", lambda self, *a: saved.append(a[1]) or save(self, *a))

    def loss(x):
        clock[0] += 3.0
        return model.loss(x)

    model = new()
    plain(model, loss, valid=None)
    assert checkpoints.CHECKPOINT_SECONDS == 10.0
    assert saved == [4, 8, 12]


LESSON = """
import os, signal, sys, time
import torch
from torch import nn
from deepul_utils import training

def lesson(kill_at=None):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(1, 3), nn.Dropout(0.2), nn.Linear(3, 1))
    data, calls = torch.linspace(-1, 1, 50).unsqueeze(1), []
    def loss(x):
        calls.append(1)
        if kill_at:
            time.sleep(0.02)
            if len(calls) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return (model(x) - x).square().mean()
    def train(model):
        optimizer = torch.optim.Adam(model.parameters())
        return training.fit(model, loss, data, optimizer=optimizer, steps=60, batch_size=20)
    training.trained("demo", model, fit=train)
    return model
"""


def test_a_killed_process_loses_only_what_came_after_its_last_checkpoint(folder, tmp_path_factory, monkeypatch, capsys):
    script = LESSON + "training.checkpoints.CHECKPOINT_SECONDS = 0.2\nlesson(kill_at=50)\n"
    env = os.environ | {"DEEPUL_ARTIFACTS": str(folder)}
    killed = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    here: dict = {}
    exec(LESSON, here)
    resumed = here["lesson"]()
    step = int(re.search(r"going on from step (\d+)", capsys.readouterr().out)[1])
    assert step >= 50 - 0.2 / 0.02 - 2  # each step takes 0.02 s at least
    monkeypatch.setattr(training, "session", training.Session(tmp_path_factory.mktemp("other")))
    undisturbed = here["lesson"]()
    assert all(torch.equal(v, undisturbed.state_dict()[k]) for k, v in resumed.state_dict().items())
    assert left(folder) == ["demo.safetensors"]


# ---- randomness ----------------------------------------------------------------------------------------


def draw() -> tuple:
    return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002


def test_later_cells_see_the_same_numbers_whether_weights_were_trained_or_loaded(capsys):
    seed_everything(3)
    expected = draw()
    for said in ("trained in", "loaded"):
        model = new()
        seed_everything(3)
        trained("demo", model, fit=plain)
        assert said in capsys.readouterr().out
        assert draw() == expected
    seed_everything(3)
    interrupt("other")
    assert draw() == pytest.approx(draw_after(interrupted_model=True))


def draw_after(interrupted_model: bool) -> tuple:
    """What comes after `new()` alone: a model is made in the cell itself."""
    seed_everything(3)
    new()
    return draw()


def test_training_does_not_depend_on_what_ran_before(folder):
    one = trained("demo", new(), fit=plain)
    seed_everything(77)
    draw()
    two = trained("demo", new(), fit=plain, retrain=True)
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())
    assert training.history("demo").train != []


def test_seed_everything_and_the_course_seed(monkeypatch):
    seed_everything(5)
    first = draw()
    seed_everything(5)
    assert draw() == first
    seed_everything(4)
    assert draw() != first
    monkeypatch.setenv("DEEPUL_SEED", "1")
    seed_everything(4)
    assert draw() == first
    one = trained("demo", new(), fit=plain).state_dict()["net.0.weight"].clone()
    monkeypatch.setenv("DEEPUL_SEED", "2")
    two = trained("demo", new(), fit=plain, retrain=True).state_dict()["net.0.weight"]
    assert not torch.equal(one, two)
    monkeypatch.setenv("DEEPUL_SEED", "")
    seed_everything(5)
    assert draw() == first


def test_seeded_puts_every_source_back_even_after_an_error():
    seed_everything(3)
    expected = draw()
    seed_everything(3)
    with pytest.raises(ZeroDivisionError), training.seeded(9):
        _ = 1 / (0 * draw()[0])
    assert draw() == expected
    with training.seeded(9):
        inside = draw()
    with training.seeded(9):
        assert draw() == inside


# ---- the plain loop ------------------------------------------------------------------------------------


def test_fit_learns_and_sees_every_example_once_an_epoch():
    model, seen = nn.Linear(1, 1), []

    def loss(x):
        if model.training:
            seen.append(x.flatten())
        return (model(x) - 3 * x).square().mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    history = fit(model, loss, DATA, optimizer=optimizer, steps=200, batch_size=10, valid=DATA, evaluations=4)
    assert history.steps == list(range(1, 201))
    assert history.valid_steps == [50, 100, 150, 200]
    assert history.valid[-1] < 0.05 * history.valid[0]
    for epoch in range(0, 200, 5):
        assert torch.equal(torch.cat(seen[epoch : epoch + 5]).sort().values, DATA.flatten())
    assert not torch.equal(torch.cat(seen[:5]), torch.cat(seen[5:10]))


def test_the_gradient_is_clipped():
    model = nn.Linear(1, 1, bias=False)
    before = model.weight.item()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    fit(model, lambda x: 1e6 * model.weight.sum(), DATA, optimizer=optimizer, steps=1, clip=0.25)
    assert before - model.weight.item() == pytest.approx(0.25, rel=1e-4)


def test_evaluate_is_the_mean_over_all_examples_in_eval_mode():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1))
    data = torch.randn(10, 1)
    modes = []

    def loss(x):
        modes.append(model.training or torch.is_grad_enabled())
        return (model(x) ** 2).mean()

    value = training.evaluate(model, loss, data, batch_size=4)
    assert value == pytest.approx((model(data) ** 2).mean().item())
    assert modes == [False] * 3


def test_read_only_arrays_give_no_warning():
    data = DATA.numpy().copy()
    data.flags.writeable = False
    plain_data = dict(optimizer=None, steps=2, batch_size=16, valid=data)
    model = new()
    plain_data["optimizer"] = torch.optim.Adam(model.parameters())
    fit(model, model.loss, data, **plain_data)


# ---- output --------------------------------------------------------------------------------------------

CELL = LESSON + textwrap.dedent("""
    from deepul_utils import check, toy
    model = lesson()
    lesson()                                       # loads
    training.trained("demo", model, fit=lambda m: None, retrain=True)
    check("logistic_mixture")
    check("made")
    for step in training.progress(range(3), "by hand"):
        time.sleep(0.4)
""")


def run_cell(folder: Path, stdout: int) -> subprocess.Popen:
    env = os.environ | {"DEEPUL_ARTIFACTS": str(folder)}
    command = [sys.executable, "-W", "default", "-c", CELL]
    return subprocess.Popen(command, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_nothing_goes_to_stderr_where_nobody_watches(folder):
    process = run_cell(folder, subprocess.PIPE)
    shown, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert "\r" not in shown  # no bar in a log file
    assert shown.count("\n") == 3


def test_nothing_goes_to_stderr_in_a_terminal(folder):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 100))
    process = run_cell(folder, theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert b"by hand" in shown
    assert b"demo: trained in" in shown


def test_nothing_goes_to_stderr_in_this_process(folder, capfd):
    trained("demo", new(), fit=plain)
    trained("demo", new(), fit=plain)
    interrupt("other")
    trained("other", new(), fit=plain)
    assert capfd.readouterr().err == ""


def test_the_session_survives_a_change_of_folder(tmp_path):
    script = """
import importlib, os
from deepul_utils import training
for given in (None, "weights", "/elsewhere"):
    os.environ.pop("DEEPUL_ARTIFACTS", None)
    if given:
        os.environ["DEEPUL_ARTIFACTS"] = given
    importlib.reload(training)
    here = os.getcwd()
    os.chdir("/")
    print(training.session.folder)
    os.chdir(here)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == [str(tmp_path / "artifacts"), str(tmp_path / "weights"), "/elsewhere"]


def test_device_is_one_of_this_machines():
    assert torch.zeros(1, device=training.device()).sum() == 0


def linear() -> nn.Module:
    return trained("line", nn.Linear(1, 1), fit=lambda model: None)


def test_drawn_samples_are_kept_beside_the_weights_and_loaded(folder, capsys):
    model, calls = linear(), []

    def draw():
        calls.append(1)
        return torch.randint(2, (3, 1, 4, 4))

    first = drawn("line", draw)
    again = drawn("line", draw)
    assert len(calls) == 1
    assert torch.equal(first, again)
    assert first.dtype == again.dtype == torch.int64
    assert "loaded 3 samples" in capsys.readouterr().out
    assert safetensors.torch.load_file(folder / "line.samples.safetensors")["samples"].dtype == torch.uint8
    drawn("line", draw, redraw=True)
    assert len(calls) == 2
    with torch.no_grad():
        model.weight += 1  # other weights: the samples are not theirs
    drawn("line", draw)
    assert len(calls) == 3
    real = drawn("line", lambda: torch.randn(2, 3), redraw=True)
    assert torch.equal(drawn("line", draw), real)


class InPlace(nn.Linear):
    """As in ten of fifteen public repositories: the mask is laid over the weights in every forward pass."""

    def __init__(self, how: str = "data"):
        super().__init__(4, 4)
        self.how = how
        self.register_buffer("mask", torch.tril(torch.ones(4, 4)))

    def forward(self, x):
        if self.how == "data":
            self.weight.data *= self.mask
        elif self.how == "anew":
            self.weight.data = self.weight.data * self.mask
        elif self.how == "no_grad":
            with torch.no_grad():
                self.weight *= self.mask
        else:
            self.weight.data /= self.weight.data.norm()
        return super().forward(x)

    def loss(self, x):
        return (self(x.expand(-1, 4)) - x).square().mean()


@pytest.mark.parametrize("how", ["data", "anew", "no_grad", "norm"])
def test_samples_belong_to_weights_that_a_forward_pass_changes_in_place(how, folder, capsys):
    def run(draws):
        model = trained("demo", InPlace(how), fit=lambda m: plain(m, valid=None))
        drawn("demo", lambda: draws.append(1) or model(torch.ones(3, 4)).detach())
        model(torch.ones(3, 4))
        assert training.notes("demo", {"demo": model}, {}) == []
        drawn("demo", lambda: draws.append(1) or model(torch.ones(3, 4)).detach())
        return model

    first: list = []
    model = run(first)
    assert len(first) == 1
    stored = safetensors.torch.load_file(folder / "demo.safetensors")["weight"]
    assert not torch.equal(model.weight, stored), "the model in memory is another than its file"
    for grading in (False, True):
        training.session = training.Session(folder)
        training.session.grading = grading
        again: list = []
        run(again)
        assert again == []
    with torch.no_grad():
        training.session.models["demo"].weight += 0.1
    training.session.grading = False
    drawn("demo", lambda: again.append(1) or torch.ones(1))
    assert again == [1], "other weights than those of the file"


# ---- where weights come from ---------------------------------------------------------------------------


def notes() -> list[str]:
    return training.notes("demo", training.session.models, {})


def test_a_model_that_its_file_does_not_hold_is_told(folder):
    model = trained("demo", new(), fit=plain)
    file = folder / "demo.safetensors"
    plain(model)  # outside of trained: it is not saved
    (note,) = notes()
    assert note.startswith(
        f"demo: the model in this notebook was changed after its weights were saved to {folder}/demo.s"
    )
    trained("demo", model, fit=plain)
    assert notes() == []
    trained("other", new(), fit=plain)
    (folder / "other.safetensors").rename(file)
    (note,) = notes()
    assert note.startswith(f"demo: {file} holds other weights by now")
    file.unlink()
    (note,) = notes()
    assert note.startswith(f"demo: {file} is gone, and the file is what is graded")


def test_statistics_that_moved_are_told_and_a_counter_is_not(folder):
    model = trained("demo", new(), fit=plain)
    model.net[1].num_batches_tracked += 1
    assert notes() == []
    model.train()
    model.net(DATA + 5)
    (note,) = notes()
    assert "was changed after its weights were saved" in note


def test_a_copy_on_another_device_or_in_eval_mode_is_no_change(folder):
    model = trained("demo", new(), fit=plain)
    model.train().eval().to("cpu").requires_grad_(False)
    model.double().float()
    assert notes() == []


def test_of_what_was_put_among_the_models_by_hand_it_is_said_that_it_does_not_count():
    assert training.notes("made", {"demo": new()}, {}) == []
    for models in ({"demo": new()}, {"demo": 3, "demo.list": [], "demo.none": None}):
        assert training.notes("demo", models, {}) == [f"{name}: {origins.PUT_BY_HAND}" for name in models]


def test_one_model_under_two_names(folder):
    model = trained("demo.first", new(), fit=plain)
    trained("demo.second", model, fit=plain)
    (note,) = training.notes("demo", training.session.models, {})
    assert note.startswith("demo.first: the model in this notebook was changed")


# ---- how it was trained --------------------------------------------------------------------------------


def settings(model, train) -> dict:
    """As they come back from the file."""
    trained("demo", model, fit=train, retrain=True)
    written = training.history("demo").settings
    trained("demo", model, fit=train)
    assert training.history("demo").settings == written
    return written


def test_settings_are_kept_with_the_weights():
    assert settings(new(), plain) == dict(
        optimizer="Adam", lr=0.01, last_lr=0.01, betas=[0.9, 0.999], weight_decay=0.0, batch=16, steps=STEPS
    )
    cycle = settings(new(), lambda m: one_cycle(m, m.loss))
    assert (cycle["lr"], cycle["batch"]) == (pytest.approx(1e-2, rel=0.02), 7)
    assert cycle["last_lr"] < 1e-5
    momentum = settings(new(), lambda m: sgd(m, m.loss))
    assert (momentum["optimizer"], momentum["lr"], momentum["batch"]) == ("SGD", 0.05, len(DATA))
    assert "betas" not in momentum


def test_settings_of_a_loop_by_hand():
    found = settings(new(), lambda m: by_hand(m, m.loss))
    assert (found["optimizer"], found["lr"], found["steps"]) == ("Adam", 1e-2, STEPS)
    assert settings(new(), lambda m: None) == {}


def test_a_strange_optimiser_trains_all_the_same():
    class Strange(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, dict(weight_decay=None))

        def step(self):
            for p in self.param_groups[0]["params"]:
                p.data -= 0.1 * p.grad

    def train(model):
        return fit(model, model.loss, DATA, optimizer=Strange(model.parameters()), steps=3, batch_size=16)

    assert settings(new(), train) == dict(optimizer="Strange", steps=3, batch=16)


def test_code_that_cannot_be_told_loses_no_training(folder, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("a slip of ours")

    for name in ("made", "changed", "digest"):
        monkeypatch.setattr(fingerprint.Code, name, broken)
    run_through("demo", plain, at={5})
    model = trained("demo", new(), fit=plain)
    drawn("demo", lambda: torch.ones(1))
    assert training.notes("demo", {"demo": model}, globals()) == []


def test_the_largest_rate_survives_an_interrupt():
    def train(model, loss):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)
        return fit(model, loss, DATA, optimizer=optimizer, scheduler=falling, steps=STEPS, batch_size=16)

    run_through("demo", train, at={5})
    assert training.history("demo").settings["lr"] == 0.01
    assert training.history("demo").settings["last_lr"] == pytest.approx(0.01 / STEPS)


def test_the_standard_error_of_the_validation_loss():
    """σ/√n of a loss whose scatter is known, though the loss falls all the while."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    data, valid = torch.randn(40_000, 1), torch.randn(900, 1)
    steps: list = []

    def loss(x):
        steps.append(1)
        return 2.0 * x.mean() + 0 * model.weight.sum() - 0.005 * len(steps)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = dict(optimizer=optimizer, steps=400, batch_size=100)
    history = fit(model, loss, data, valid=valid, **options)
    assert history.valid_error == pytest.approx(2 / 900**0.5, rel=0.15)
    assert fit(model, loss, data, **options).valid_error == 0


def test_samples_that_cannot_be_read_are_drawn_again(folder):
    linear()
    (folder / "line.samples.safetensors").write_bytes(b"cut off")
    assert drawn("line", lambda: torch.ones(2, 2)).shape == (2, 2)


def test_what_is_wrong_with_drawing_is_said(folder):
    with pytest.raises(KitError, match="nothing was trained under the name 'made'"):
        drawn("made", lambda: torch.ones(1))
    linear()
    with pytest.raises(KitError, match=r"'line': draw\(\) should give a tensor of samples, a row each; got a list"):
        drawn("line", lambda: [1, 2])
    assert not (folder / "line.samples.safetensors").exists()


def test_when_graded_samples_that_were_handed_in_are_not_drawn_again(folder):
    linear()
    kept = drawn("line", lambda: torch.zeros(2, 2))
    training.session.grading = True
    assert torch.equal(drawn("line", lambda: torch.ones(2, 2), redraw=True), kept)


def test_fit_takes_images_with_their_labels():
    torch.manual_seed(0)
    x, y = torch.randn(400, 2), torch.randint(3, (400,))
    x[:, 0] += 3.0 * y
    model = nn.Linear(2, 3)
    history = fit(
        model,
        lambda a, b: nn.functional.cross_entropy(model(a), b),
        (x, y.numpy()),
        steps=200,
        batch_size=50,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.1),
        valid=(x, y),
    )
    assert history.valid[-1] < 0.35 < history.valid[0]
    assert (model(x).argmax(1) == y).float().mean() > 0.85
    with pytest.raises(KitError, match=r"as many examples each; got \[400, 3\]"):
        fit(model, lambda a, b: a.sum(), (x, y[:3]), steps=1, optimizer=torch.optim.Adam(model.parameters()))
