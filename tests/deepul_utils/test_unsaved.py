"""State that is not saved with the weights is found, and what makes no difference is no state."""

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from deepul_utils import training, unsaved
from deepul_utils.errors import KitError
from deepul_utils.training import fit, play, trained

DATA = 3 + torch.randn(60, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    return tmp_path


class ActNorm(nn.Module):
    """The flag that says whether it has seen data is a Python attribute, or a buffer."""

    def __init__(self, buffer: bool):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))
        if buffer:
            self.register_buffer("initialised", torch.tensor(False))
        else:
            self.initialised = False

    def forward(self, x):
        if not self.initialised:
            self.shift.data = x.mean(0)
            self.initialised = torch.tensor(True) if isinstance(self.initialised, torch.Tensor) else True
        return x - self.shift


class Flow(nn.Module):
    def __init__(self, buffer: bool = False):
        super().__init__()
        self.norm, self.again = ActNorm(buffer), ActNorm(buffer)

    def loss(self, x):
        return (self.again(self.norm(x)) ** 2).sum(1).mean()


class EMA(nn.Module):
    """A mean that is followed beside the optimiser: a plain tensor, or a buffer."""

    def __init__(self, kind: str):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        if kind == "tensor":
            self.mean = torch.zeros(2)
        else:
            self.register_buffer("mean", torch.zeros(2), persistent=kind == "buffer")

    def loss(self, x):
        if self.training:
            self.mean = self.mean * 0.5 + 0.5 * x.mean(0).detach()
        return ((x - self.mean) * self.weight).square().mean()


class Hidden(nn.Module):
    """Layers in a plain list, trained all the same."""

    def __init__(self):
        super().__init__()
        self.first, self.rest = nn.Linear(2, 2), [nn.Linear(2, 2)]

    def loss(self, x):
        return (self.rest[0](self.first(x)) - x).square().mean()

    def parameters(self, recurse=True):
        yield from self.first.parameters()
        yield from self.rest[0].parameters()


class Harmless(nn.Module):
    """Counters, kept results, tables made when they are first needed, records: all of no consequence."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.calls, self.losses, self.table, self.last, self.cache, self.note = 0, [], None, torch.zeros(1), {}, "new"

    def loss(self, x):
        self.calls += 1
        if self.table is None:
            self.table = torch.ones(2)
        self.cache.setdefault(len(x), torch.ones(2))
        out = self.linear(x * self.table * self.cache[len(x)])
        self.last, self.note = out, f"called {self.calls} times"
        value = (out - x).square().mean() if self.calls < 1e6 else 0
        self.losses.append(value.item())
        return value


def train(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return fit(model, model.loss, DATA, optimizer=optimizer, steps=8, batch_size=20, valid=DATA)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Flow, "ActNorm.initialised is not saved with the weights"),
        (lambda: EMA("tensor"), "EMA.mean is not saved"),
        (lambda: EMA("no buffer"), "EMA.mean is not saved"),
        (Hidden, "Hidden.rest is not saved"),
    ],
    ids=["flag", "tensor", "buffer that is not saved", "list of layers"],
)
def test_what_is_lost_is_told_at_once_and_stays_with_the_file(make, said, folder, capsys):
    model = trained("demo", make(), fit=train)
    assert f"demo: {said}" in capsys.readouterr().out
    (note,) = training.notes("demo", {"demo": model}, {})
    assert said in note
    assert "self.register_buffer" in note
    training.session = training.Session(folder)
    loaded = trained("demo", make(), fit=train)
    assert training.notes("demo", {"demo": loaded}, {}) == [note]
    assert loaded.loss(DATA).item() != pytest.approx(model.loss(DATA).item(), rel=1e-3)  # it is really lost


@pytest.mark.parametrize(
    "make",
    [lambda: Flow(buffer=True), lambda: EMA("buffer"), Harmless, lambda: nn.BatchNorm1d(2)],
    ids=["flag in a buffer", "mean in a buffer", "harmless", "batch norm"],
)
def test_what_is_saved_or_means_nothing_is_not_told(make, folder, capsys):
    model = make()
    if not hasattr(model, "loss"):
        model.loss = lambda x: (model(x) - x).square().mean()
    trained("demo", model, fit=train)
    assert "not saved" not in capsys.readouterr().out
    assert training.notes("demo", training.session.models, {}) == []
    with safetensors.safe_open(folder / "demo.safetensors", framework="pt") as stored:
        assert "lost" not in stored.metadata()


def test_looking_for_it_leaves_the_model_as_it_was(folder):
    model = Flow()
    trained("demo", model, fit=train)
    stored = safetensors.torch.load_file(folder / "demo.safetensors")
    assert stored.keys() == model.state_dict().keys()
    assert all(torch.equal(v, stored[k]) for k, v in model.state_dict().items())
    assert model.norm.initialised
    assert model.again.initialised
    harmless = Harmless()
    losses = harmless.losses
    trained("other", harmless, fit=train)
    assert harmless.calls == len(losses) == 16, "8 steps and 8 evaluations"
    assert harmless.losses is losses


def by_hand(model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model.loss(DATA).backward()
        optimizer.step()


def test_in_a_loop_by_hand_a_switch_counts_and_a_counter_does_not(capsys):
    trained("demo", Flow(), fit=by_hand)
    assert "ActNorm.initialised is not saved" in capsys.readouterr().out
    trained("other", EMA("tensor"), fit=by_hand)
    assert "EMA.mean is not saved" in capsys.readouterr().out

    class Counting(nn.Linear):
        calls, seen = 0, None

        def loss(self, x):
            self.calls += 1
            self.seen = x.mean()
            return self(x).square().mean()

    trained("counting", Counting(2, 2), fit=by_hand)
    assert "not saved" not in capsys.readouterr().out


class Game(nn.Module):
    def __init__(self):
        super().__init__()
        self.discriminator, self.generator, self.norm = nn.Linear(2, 1), nn.Linear(2, 2), ActNorm(False)

    def discriminator_loss(self, x):
        fake = self.generator(torch.randn(len(x), 2)).detach()
        return (self.discriminator(self.norm(x)) - self.discriminator(fake)).mean() ** 2

    def generator_loss(self, n):
        return self.discriminator(self.generator(torch.randn(n, 2))).mean()


def test_a_game_too(capsys):
    def train(game):
        both = tuple(torch.optim.Adam(p.parameters()) for p in (game.discriminator, game.generator))
        return play(game, DATA, optimizers=both, rounds=3, batch_size=20)

    trained("demo", Game(), fit=train)
    shown = capsys.readouterr().out
    # After three rounds of a game nobody trains the shift; that it would be set again by other data is seen.
    assert "ActNorm.initialised is not saved" in shown


def test_what_cannot_be_looked_at_is_no_reason_to_fail(capsys):
    class Strange(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.stream, self.flag = (x for x in ()), False  # a generator cannot be copied

        def loss(self, x):
            self.flag = True
            return self(x).square().mean()

    trained("demo", Strange(), fit=train)

    class Moody(nn.Linear):
        """Its loss fails after training."""

        def __init__(self):
            super().__init__(2, 2)
            self.calls = 0

        def loss(self, x):
            self.calls += 1
            if self.calls > 8:
                raise KitError("enough")
            return self(x).square().mean()

    def without_valid(model):
        optimizer = torch.optim.Adam(model.parameters())
        return fit(model, model.loss, DATA, optimizer=optimizer, steps=8, batch_size=20)

    trained("moody", Moody(), fit=without_valid)
    assert "not saved" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (1, 1, False),
        (1, 2, True),
        (None, 1, True),
        (float("nan"), float("nan"), False),
        ("a", "a", False),
        (torch.ones(2), torch.ones(2), False),
        (torch.ones(2), torch.ones(3), True),
        (np.ones(2), np.zeros(2), True),
        (torch.tensor([torch.nan]), torch.tensor([torch.nan]), False),
        ([1, [2]], [1, [3]], True),
        ([1], [1, 2], True),
        ({"a": 1}, {"a": 1}, False),
        ({"a": 1}, {"b": 1}, True),
        (None, torch.ones(1), True),
        (object(), object(), False),
        (len, None, False),
        (torch.ones(1), object(), False),
        (torch.arange(2), torch.arange(2), False),
        (nn.Linear(1, 1), nn.Linear(1, 1), True),
    ],
    ids=lambda value: "object" if type(value) is object else str(value),  # an address would differ in every process
)
def test_which_values_differ(one, other, differ):
    assert unsaved._differ(one, other) is differ


def test_what_is_tried_out_is_tried_on_the_models_own_device():
    """A fresh copy is from before the training, which may have moved the model to a GPU."""
    module = nn.Module()
    module.scale = torch.ones(2, device="meta")
    unsaved._set(module, "scale", torch.zeros(2))
    assert module.scale.device.type == "meta"
    unsaved._set(module, "scale", 3.0)
    assert module.scale == 3.0
