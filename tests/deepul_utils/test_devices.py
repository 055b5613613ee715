"""On a GPU, imitated: torch's `meta` device stands for one, whose tensors go together with no tensor of the CPU."""

import contextlib
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from autograder import assignments, runner
from autograder.handout.submit import solution_cells
from autograder.notebooks import section
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError, Workbench
from deepul_utils import devices, drawn, fit, play, plots, tensors, toy, trained, training
from deepul_utils.training import randomness
from tests.core import CORE

META, CPU = torch.device("meta"), torch.device("cpu")
QUICK = ("logistic_mixture", "made", "realnvp", "vae2d", "gan1d")  # an exercise of each family


@pytest.fixture(autouse=True)
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))


@pytest.fixture
def default_on_gpu():
    """As after torch.set_default_device("cuda"): whatever does not say where it is made is not on the CPU."""
    with META:
        yield


def untrained(exercise: assignments.Exercise) -> LocalStudent:
    """A notebook that holds the solution of one exercise, and has trained nothing."""
    cells = section(solution_cells(exercise.assignment.name), exercise.number)
    namespace: dict = {"display": lambda *values: None}
    for cell in cells:
        if cell.kind == "code" and ("BEGIN SOLUTION" in cell.source or "import" in cell.source):
            source = "\n".join("" if line.startswith("%") else line for line in cell.source.splitlines())
            with contextlib.suppress(NameError):  # of data that other cells make
                exec(compile(source, "<cell>", "exec"), namespace)
    return LocalStudent(namespace, {})


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(e.name, marks=[] if e.name in QUICK else [pytest.mark.slow])
        for a in CORE
        for e in assignments.get(a).exercises
    ],
)
def test_check_works_whatever_the_default_device_is(name):
    """`torch.set_default_device("cuda")` makes no check fail that passes without it, nor one of ours."""
    exercise = assignments.get_exercise(name)
    student = untrained(exercise)
    before = [(r.name, r.outcome, r.measured) for r in runner.check(name, student).results]
    with META:
        after = [(r.name, r.outcome, r.measured) for r in runner.check(name, student).results]
    assert after == before
    assert {outcome for _, outcome, _ in after} <= {"passed", "skipped"}
    assert sum(outcome == "passed" for _, outcome, _ in after) >= 2


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))

    def log_prob(self, x):
        return (self.w * x).sum(dim=-1)

    def loss(self, x):
        return ((self.w - x) ** 2).mean()


def descend(model, steps: int = 3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return fit(
        model,
        model.loss,
        np.ones((8, 1), np.float32),
        optimizer=optimizer,
        steps=steps,
        valid=np.ones((4, 1), np.float32),
    )


def test_fit_takes_its_batches_to_the_model_whatever_the_default_device_is(default_on_gpu):
    with CPU:
        model = Line()
    history = descend(model)
    assert len(history.train) == 3
    assert len(history.valid) == 3


class Players(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = Line(), Line()

    def discriminator_loss(self, x):
        return self.discriminator.loss(x)

    def generator_loss(self, n):
        return self.generator.loss(self.generator.w.new_ones(n, 1))


def test_a_game_and_its_film_too(default_on_gpu):
    with CPU:
        game = Players()
    optimizers = [torch.optim.SGD(player.parameters(), lr=0.1) for player in (game.discriminator, game.generator)]
    frame = lambda: {"w": game.generator.w}  # noqa: E731
    history = play(game, np.ones((8, 1), np.float32), optimizers=optimizers, rounds=3, frame=frame)
    assert history.frames["round"].device == CPU
    assert len(history.frames["w"]) == len(history.frames["round"])


def test_trained_gives_the_model_back_where_it_was_given(monkeypatch):
    """Later cells meet the same device, whether the weights were trained just now, on a GPU say, or loaded."""
    moves: list[torch.device] = []

    class Model(Line):
        def to(self, device):
            moves.append(torch.device(device))
            return super().to(device)

    elsewhere = {"w": META}
    model = Model()
    where = devices.of_tensors
    monkeypatch.setattr(devices, "of_tensors", lambda m: elsewhere if moved and not moves else where(m))
    moved: list[int] = []
    trained("demo", model, fit=lambda m: moved.append(1))
    assert moves == [CPU]
    assert trained("demo", Model(), fit=lambda m: None).w.device == CPU
    assert moves == [CPU], "what is loaded stays where it is"


def test_a_model_on_several_devices_stays_on_them():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).to(META))
    before = devices.of_tensors(model)
    devices.back_on(model, before)
    assert devices.of_tensors(model) == before
    assert set(before.values()) == {CPU, META}


def test_samples_are_where_the_model_is_whether_drawn_or_loaded(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *where, **how: asked.append(where) or self)
    training.session.models["demo"] = model = Line()
    for _ in range(2):
        drawn("demo", lambda: torch.zeros(2, 1))
        assert (devices.of_model(model),) in asked
        asked.clear()


@pytest.mark.parametrize(
    "ask",
    [
        lambda model: model.log_prob,
        lambda model: lambda x: model.log_prob(x),
        lambda model: partial(model.log_prob),
    ],
)
def test_a_function_is_asked_where_its_model_is(ask):
    model = Line().to(META)
    function = ask(model)
    assert devices.of_function(function) == META
    assert function(torch.zeros(3, 1, device=devices.of_function(function))).device == META


def test_a_function_of_no_model_is_asked_on_the_default_device(default_on_gpu):
    assert devices.of_function(lambda x: 2 * x) == META
    assert devices.of_function(torch.exp) == META
    assert devices.of_model(nn.ReLU()) == META


def test_plots_and_receptive_fields_follow_the_model(default_on_gpu):
    """The model is on the CPU, and everything else would be elsewhere."""
    with CPU:
        model, conv = Line(), nn.Conv2d(1, 1, 3, padding=1, bias=False)
    assert plots.given.asked(model.log_prob, np.zeros((5, 2)), "log_prob").shape == (5,)
    with torch.no_grad():
        seen = tensors.receptive_field(lambda x: conv(x.float())[..., None], (1, 4, 4), at=(1, 1))
    assert seen.device == CPU
    assert int((seen > 0).sum()) == 9


def test_numbers_of_half_precision_become_arrays():
    assert toy.as_array(torch.ones(2, dtype=torch.bfloat16)).tolist() == [1, 1]


# ---- checks of code that runs on the GPU only -------------------------------------------------------------


class OnGpu(Line):
    """Code with `.cuda()` in it: it fails as torch would as long as its weights are on the CPU."""

    where = "cpu"

    def to(self, device):
        self.where = str(device)
        return self  # this machine has no such device

    def log_prob(self, x):
        if self.where == "cpu":
            raise RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cpu!")
        assert x.dtype == self.w.dtype == torch.float32
        return super().log_prob(x)


@pytest.fixture
def gpu(monkeypatch):
    """A device that is called an accelerator, where tensors can be calculated with."""

    class Device:
        type = "mps"

        def __str__(self):
            return "mps"

    monkeypatch.setattr(training, "device", Device)
    monkeypatch.setattr("autograder.workbench._moved", lambda x, there: x.float())


def test_code_that_runs_on_the_gpu_only_is_checked_there_in_single_precision(gpu):
    bench = Workbench({"OnGpu": OnGpu}, {})
    number, _ = bench.handle(
        dict(do="construct", name="OnGpu", args=[], kwargs={}, seed=0, noise=1, perturb=0.0, biases=None, precise=True),
        [],
    )
    ask = dict(do="call", target=number, method="log_prob", args=[{"array": 0}], kwargs={}, seed=0)
    for _ in range(2):
        _, (found,) = bench.handle(ask, [np.ones((3, 1))])
        assert found.dtype == np.float32
        assert found.tolist() == [1, 1, 1]
    assert bench.objects[number].where == "mps"
    gradient = dict(
        do="gradient", target=number, method="log_prob", args=[{"array": 0}], kwargs={}, seed=0, wrt="input"
    )
    assert bench.handle(gradient, [np.ones((3, 1))])[1][0].tolist() == [[1], [1], [1]]


def test_other_mistakes_are_not_tried_again(gpu):
    called = []

    def wrong(x):
        called.append(1)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    bench = Workbench({"wrong": wrong}, {})
    with pytest.raises(StudentCodeError, match="cannot be multiplied"):
        bench.handle(dict(do="call", target=None, method="wrong", args=[1.0], kwargs={}, seed=0), [])
    assert called == [1]


def test_without_an_accelerator_nothing_is_tried_again():
    bench = Workbench({"OnGpu": OnGpu}, {})
    number, _ = bench.handle(
        dict(do="construct", name="OnGpu", args=[], kwargs={}, seed=0, noise=1, perturb=0.0, biases=None), []
    )
    with pytest.raises(StudentCodeError, match="same device"):
        bench.handle(
            dict(do="call", target=number, method="log_prob", args=[{"array": 0}], kwargs={}, seed=0), [np.ones((3, 1))]
        )


def test_a_run_that_was_interrupted_on_a_gpu_goes_on_without_one(monkeypatch):
    state = randomness._random_state() | {"cuda": [torch.zeros(16, dtype=torch.uint8)]}
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda states: pytest.fail("there is no GPU"))
    randomness._set_random_state(state)
