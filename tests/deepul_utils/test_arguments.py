"""What `fit` and `play` cannot take is said in a sentence, before a step is taken."""

import re

import pytest
import torch
from torch import nn
from torch.optim import Adam, lr_scheduler
from torch.utils.data import DataLoader, Dataset, TensorDataset

from deepul_utils import toy, training
from deepul_utils.errors import KitError
from deepul_utils.training import drawn, fit, play, trained

X = torch.linspace(-1, 1, 40)[:, None]


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(1, 1)

    def loss(self, x):
        return ((self.net(x) - 2 * x) ** 2).mean()


class Empty(nn.Module):
    """A list of layers is no part of a module: it has no parameters."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(1, 1)]

    def loss(self, x):
        return self.layers[0](x).mean()


class Game(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = nn.Linear(1, 1), nn.Linear(1, 1)

    def discriminator_loss(self, x):
        return self.discriminator(self.generator(x).detach()).mean() - self.discriminator(x).mean()

    def generator_loss(self, n):
        return -self.discriminator(self.generator(torch.randn(n, 1))).mean()


class Noted(Line):
    def get_extra_state(self):
        return {"note": 3}

    def set_extra_state(self, state):
        pass


class Steps:
    def step(self):
        pass


class Pictures(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return torch.zeros(1)


@pytest.fixture(autouse=True)
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))


def call(model=None, loss=None, x=X, **options):
    """`fit` as it is right, but for what is given."""
    model = model or Line()
    options.setdefault("optimizer", Adam(model.parameters(), lr=0.1))
    return fit(model, model.loss if loss is None else loss, x, **(dict(steps=3, batch_size=10) | options))


def of_another(model):
    optimizer = Adam(model.parameters(), lr=0.1)
    return lr_scheduler.CosineAnnealingLR(Adam(Line().parameters()), 3), optimizer


def half_used(optimizer):
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=4)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    return schedule


WRONG_OF_FIT = {
    "data before the loss": (lambda m: call(m, X, m.loss), "got a function. The order is fit(model, loss, x"),
    "a data set": (lambda m: call(m, x=TensorDataset(X)), "got a TensorDataset. Its tensors are what is asked for"),
    "a data set of its own": (lambda m: call(m, x=Pictures()), "got a Pictures. Stack its examples"),
    "a loader": (lambda m: call(m, x=DataLoader(TensorDataset(X))), "got a DataLoader. Batches are made for you"),
    "a distribution": (lambda m: call(m, x=toy.get("moons")), "Draw from it first: .sample(10_000)"),
    "a list of parts": (lambda m: call(m, x=[X, X]), "got a list. Put several parts into a tuple"),
    "nothing": (lambda m: call(m, x=None), "got None"),
    "an empty tuple": (lambda m: call(m, x=()), "got None"),
    "one number": (lambda m: call(m, x=torch.tensor(1.0)), "got a Tensor of shape ()"),
    "an array of words": (lambda m: call(m, x=X.numpy().astype(str)), "got a ndarray of shape (40, 1)"),
    "no examples": (lambda m: call(m, x=X[:0]), "The data of fit has no examples"),
    "valid is a loader": (lambda m: call(m, valid=DataLoader(TensorDataset(X))), "valid must be a tensor"),
    "valid has labels": (lambda m: call(m, valid=(X, X)), "valid has 2 parts and the training data 1"),
    "the loss is a value": (lambda m: call(m, m.loss(X)), "The loss is a function of a batch"),
    "the loss takes labels": (lambda m: call(m, lambda x, y: m.loss(x)), "called with x, a batch, but it takes (x, y)"),
    "the loss takes one part of two": (
        lambda m: call(m, lambda x: m.loss(x), (X, X)),
        "called with 2 arguments, a batch of each part of the data, but it takes (x)",
    ),
    "a vector": (
        lambda m: call(m, lambda x: m.net(x)[:, 0]),
        "must be one number, the mean over the batch; got shape (10,): end it in .mean()",
    ),
    "a class": (
        lambda m: fit(Line, m.loss, X, optimizer=Adam(m.parameters()), steps=3),
        "Line is a class. Make a model",
    ),
    "no model": (lambda m: fit(m.loss, m.loss, X, optimizer=Adam(m.parameters()), steps=3), "got a function"),
    "no parameters": (
        lambda m: fit(Empty(), Empty().loss, X, optimizer=Adam(m.parameters()), steps=3),
        "Empty has no parameters to train",
    ),
    "another's optimiser": (
        lambda m: call(m, optimizer=Adam(Line().parameters())),
        "The optimiser moves no parameter of this model",
    ),
    "an optimiser's class": (lambda m: call(m, optimizer=Adam), "got the class Adam"),
    "an optimiser's name": (lambda m: call(m, optimizer="adam"), "got a str"),
    "another's schedule": (
        lambda m: call(m, scheduler=of_another(m)[0], optimizer=of_another(m)[1]),
        "sets the rate of another optimiser",
    ),
    "a schedule's class": (lambda m: call(m, scheduler=lr_scheduler.CosineAnnealingLR), "got the class Cosine"),
    "a rate as a schedule": (lambda m: call(m, scheduler=0.1), "got a float"),
    "a schedule that keeps nothing": (
        lambda m: call(m, scheduler=Steps()),
        "a Steps has no state_dict() and load_state_dict()",
    ),
    "an optimiser that asks again": (
        lambda m: call(m, optimizer=torch.optim.LBFGS(m.parameters())),
        "Take Adam or SGD",
    ),
    "a number of another kind": (lambda m: call(m, steps=2.5e3), "steps must be a whole number from 0 on; got 2500.0"),
    "a negative number": (lambda m: call(m, steps=-1), "steps must be a whole number from 0 on; got -1"),
    "no batch": (lambda m: call(m, batch_size=0), "batch_size must be a whole number from 1 on; got 0"),
    "no evaluation": (lambda m: call(m, evaluations=0), "evaluations must be a whole number from 1 on; got 0"),
    "no steps": (
        lambda m: fit(m, m.loss, X, optimizer=Adam(m.parameters())),
        "fit(model, loss, x, optimizer=…, steps=…)",
    ),
    "a word that is none": (lambda m: call(m, batchsize=3), "unexpected keyword argument 'batchsize'"),
    "by position": (lambda m: fit(m, m.loss, X, Adam(m.parameters()), 3), "too many positional arguments"),
}


@pytest.mark.parametrize("slip", WRONG_OF_FIT)
def test_what_fit_cannot_take_is_said(slip):
    wrong, said = WRONG_OF_FIT[slip]
    model = Line()
    before = model.net.weight.item()
    with pytest.raises(KitError) as error:
        wrong(model)
    assert said in str(error.value)
    assert model.net.weight.item() == before


@pytest.mark.parametrize(
    "make", [lr_scheduler.ReduceLROnPlateau, lambda o: lr_scheduler.OneCycleLR(o, 0.1, 2), half_used]
)
def test_a_schedule_that_cannot_be_stepped_to_the_end_is_said_at_the_beginning(make):
    model = Line()
    optimizer = Adam(model.parameters(), lr=0.1)
    scheduler, before = make(optimizer), model.net.weight.item()
    with pytest.raises(KitError, match=r"ReduceLROnPlateau waits|total_steps=2, and 3 steps|of which 2 are used up"):
        call(model, optimizer=optimizer, scheduler=scheduler)
    assert model.net.weight.item() == before


def both(game):
    return Adam(game.discriminator.parameters()), Adam(game.generator.parameters())


def game(model, x=X, **options):
    return play(model, x, **(dict(optimizers=both(model), rounds=2, batch_size=10) | options))


WRONG_OF_PLAY = {
    "no game": (lambda g: play(Line(), X, optimizers=both(g), rounds=2), "Line has no discriminator_loss"),
    "a class": (lambda g: play(Game, X, optimizers=both(g), rounds=2), "Game is a class"),
    "one optimiser": (lambda g: game(g, optimizers=both(g)[0]), "play takes two optimisers"),
    "another's optimisers": (lambda g: game(g, optimizers=both(Game())), "moves no parameter of this model"),
    "one schedule": (
        lambda g: game(g, schedulers=lr_scheduler.CosineAnnealingLR(both(g)[0], 2)),
        "schedulers as a tuple",
    ),
    "another's schedules": (
        lambda g: game(g, schedulers=(lr_scheduler.CosineAnnealingLR(both(Game())[0], 2),)),
        "sets the rate of another optimiser",
    ),
    "a loader": (lambda g: game(g, DataLoader(TensorDataset(X))), "got a DataLoader"),
    "labels": (lambda g: game(g, (X, X)), "one tensor; got a tuple of 2"),
    "half a round": (lambda g: game(g, rounds=1.5), "rounds must be a whole number"),
    "no step": (lambda g: game(g, discriminator_steps=0), "discriminator_steps must be a whole number from 1 on"),
    "no rounds": (lambda g: play(g, X, optimizers=both(g)), "play(model, x, optimizers=(…, …), rounds=…)"),
}


@pytest.mark.parametrize("slip", WRONG_OF_PLAY)
def test_what_play_cannot_take_is_said(slip):
    wrong, said = WRONG_OF_PLAY[slip]
    with pytest.raises(KitError) as error:
        wrong(Game())
    assert said in str(error.value)


def test_what_is_right_in_other_ways_still_trains():
    """Lists of numbers, whole numbers of NumPy, extra parameters in the optimiser, a module as the loss."""
    model, other = Line(), Line()
    optimizer = Adam([*model.parameters(), *other.parameters()], lr=0.1)
    steps = X.numpy().shape[0] * torch.ones(1, dtype=torch.int64).numpy()[0]
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=int(steps))
    history = fit(
        model, lambda x: model.loss(x.float()), X.tolist(), optimizer=optimizer, scheduler=schedule, steps=steps
    )
    assert history.train[-1] < history.train[0]

    class Loss(nn.Module):
        def forward(self, x, y):
            return ((model.net(x) - y) ** 2).mean()

    assert call(model, Loss(), (X, 2 * X)).train


def train(model):
    return [1.0]


NOT_TRAINED = {
    "swapped": (lambda: trained(Line(), "made", fit=train), "The name comes first, in quotes; got a Line"),
    "no fit": (lambda: trained("made", Line()), "missing a required argument: 'fit'"),
    "a word too much": (lambda: trained("made", Line(), fit=train, steps=3), "unexpected keyword argument 'steps'"),
    "a class": (lambda: trained("made", Line, fit=train), "Exercise 1.2: Line is a class"),
    "no model": (
        lambda: trained("made", [Line()], fit=train),
        "Exercise 1.2: The model is a torch.nn.Module; got a list",
    ),
    "trained already": (lambda: trained("made", Line(), fit=train(Line())), "Exercise 1.2: fit is the function"),
    "a History": (
        lambda: trained(
            "made", Line(), fit=fit(line := Line(), line.loss, X, optimizer=Adam(line.parameters()), steps=1)
        ),
        "got a History",
    ),
    "a path": (lambda: trained("../made", Line(), fit=train), "'../made' is no name for a file"),
    "a hidden file": (lambda: trained(".made", Line(), fit=train), "'.made' is no name for a file"),
    "nothing": (lambda: trained("", Line(), fit=train), "'' is no name for a file"),
    "a line": (lambda: trained("made\n", Line(), fit=train), "is no name for a file"),
    "what is no tensor": (
        lambda: trained("made", Noted(), fit=train),
        "only tensors are kept of a model, and state_dict() has '_extra_state', a dict",
    ),
    "an aim that is a word": (
        lambda: trained("made", Line(), fit=train, aim="0.1"),
        "aim is the loss to aim at, a number",
    ),
    "the history of nothing": (lambda: training.history(None), 'training.history("name")'),
    "drawn of a model": (lambda: drawn(Line(), train), "The name comes first, in quotes; got a Line"),
    "nothing that draws": (lambda: drawn("made"), "missing a required argument: 'draw'"),
}


@pytest.mark.parametrize(("call", "said"), NOT_TRAINED.values(), ids=NOT_TRAINED)
def test_what_trained_and_drawn_cannot_take_is_said_and_leaves_nothing(call, said, tmp_path):
    with pytest.raises(KitError, match=re.escape(said)):
        call()
    assert not training.session.models
    assert not [f for f in tmp_path.rglob("*") if f.is_file()]


@pytest.mark.parametrize("samples", [torch.tensor(3), torch.ones(2, dtype=torch.complex64), [1, 2], None], ids=repr)
def test_what_is_no_tensor_of_samples_is_said_and_not_kept(samples, tmp_path):
    trained("made", Line(), fit=train)
    with pytest.raises(KitError, match="should give a tensor of samples, a row each"):
        drawn("made", lambda: samples)
    assert not list(tmp_path.glob("*.samples.*"))


def test_samples_in_the_place_of_what_draws_them_are_said(capsys):
    trained("made", Line(), fit=train)
    with pytest.raises(KitError, match=r"Exercise 1\.2: what draws is a function"):
        drawn("made", torch.zeros(3))
    assert drawn("made", lambda: torch.zeros(3)).shape == (3,)


def test_weights_that_are_there_are_loaded_whatever_would_train_them():
    trained("made", Line(), fit=train)
    assert isinstance(trained("made", Line(), fit=None), Line)
    with pytest.raises(KitError, match=r"Exercise 1\.2: fit is the function that trains"):
        trained("made", Line(), fit=None, retrain=True)


class Counted(nn.Module):
    """Right, and without a parameter: what it counts is kept in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("counts", torch.zeros(3))


@pytest.mark.parametrize("name", ["made", "made.smiley", "my_own-2", "2d"])
def test_any_module_is_trained_under_any_name_of_a_file(name):
    def count(model):
        model.counts += 1

    assert trained(name, Counted(), fit=count).counts.tolist() == [1, 1, 1]
    assert trained(name, Counted(), fit=count).counts.tolist() == [1, 1, 1]  # from its file
