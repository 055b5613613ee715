"""The door to student code: arrays in, arrays out, and every slip said in the student's terms."""

import itertools
import json
import linecache
import os
import random
import signal
import time
import warnings
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autograder import student as module
from autograder.student import LocalStudent, TimeLimit, time_limit
from autograder.workbench import StudentCodeError, Workbench, decode, encode

NOTEBOOK = """
import random, time
import numpy as np
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, dims=3, rate=0.5):
        super().__init__()
        self.dims = dims
        self.scale = nn.Parameter(torch.zeros(dims))
        self.net = nn.Sequential(nn.Linear(dims, 4), nn.Tanh(), nn.Dropout(rate), nn.Linear(4, 1))
        self.unused = nn.Parameter(torch.ones(2))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def log_prob(self, x):
        return self.net(x).squeeze(1) + (self.scale * x).sum(dim=1)

    def both(self, x):
        return self.log_prob(x), x

    def swapped(self, x):
        return [x.sum(dim=1), self.log_prob(x)]

    def sample(self, n):
        return torch.randn(n, self.dims) + random.random() + np.random.rand()

    def column(self, x):
        return self.log_prob(x)[:, None]

    def nothing(self, x):
        self.log_prob(x)

    def in_place(self, x):
        x *= 2
        return x.sum(dim=1)

    def cut(self, x):
        return self.log_prob(x).detach()

    def mode(self, x):
        return torch.tensor([m.training for m in self.modules()]).float()

    def buffer(self, x):
        if not hasattr(self, "kept"):
            self.kept = torch.zeros(len(x))
        self.kept += 1
        return self.kept

    def broken(self, x):
        y = x @ torch.zeros(7, 7)
        return y

    def in_library(self, x):
        return random.choice([])

    def stub(self, x):
        raise NotImplementedError("Exercise 1.2 is not implemented yet: Model.stub")

    def give(self, what):
        return VALUES[what]

    def level(self, kind):
        return torch.tensor(VALUES[kind])

def double(x):
    return 2 * x

def product(a, b):
    b *= 1  # in place, which a leaf would forbid
    return a * b

def loop(seconds):
    end = time.time() + seconds
    while time.time() < end:
        pass

def sleep(seconds):
    time.sleep(seconds)

def stubborn(seconds):
    end = time.time() + seconds
    while time.time() < end:
        try:
            loop(seconds)
        except Exception:
            pass

def swallows(seconds):
    try:
        loop(seconds)
    except:
        pass
    loop(seconds)

class NotAModule:
    pass

def returns_none(*args):
    pass

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.LazyLinear(2)
        self.empty = nn.Parameter(torch.zeros(0, 3))
        self.whole = nn.Parameter(torch.zeros(3, dtype=torch.long), requires_grad=False)

    def log_prob(self, x):
        return self.net(x).sum(dim=1)

class OwnTrain(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def train(self, data):
        raise RuntimeError("this is my own training loop")

    def log_prob(self, x):
        return x.sum(dim=1) + self.w

class Wrong(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.a = undefined_name
"""


@pytest.fixture
def namespace():
    linecache.cache["<cell>"] = (len(NOTEBOOK), None, NOTEBOOK.splitlines(keepends=True), "<cell>")
    names: dict = {"VALUES": {}}
    exec(compile(NOTEBOOK, "<cell>", "exec"), names)
    return names


@pytest.fixture
def student(namespace):
    return LocalStudent(namespace, {})


@pytest.fixture
def model(student):
    return student.new("Model")


X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def slip(kind: str, match: str):
    """The student's mistake, of that kind, said with these words."""
    return pytest.raises(StudentCodeError, match=match, check=lambda error: error.kind == kind)


# ---- messages ------------------------------------------------------------------------------------------

numbers = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
keys = st.sampled_from(["array", "dict", "a", ""])
values = st.recursive(
    numbers, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)


@given(values)
@settings(deadline=None, derandomize=True)
def test_values_come_back_as_they_were(value):
    message, arrays = encode(value)
    assert decode(json.loads(json.dumps(message)), arrays) == value


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.array(2.5),
        np.array([True, False]),
        np.arange(6, dtype=np.uint8).reshape(2, 3)[:, ::-1],
        np.float32(1.5),
        np.int64(3),
        np.array([np.nan, np.inf]),
    ],
    ids=["empty", "0-d", "bool", "strided", "scalar", "integer", "nan"],
)
def test_arrays_come_back_as_they_were(array):
    message, arrays = encode({"array": [array, {"dict": (array, 1)}], "dict": array})
    back = decode(json.loads(json.dumps(message)), arrays)
    for got in (back["array"][0], back["array"][1]["dict"][0], back["dict"]):
        assert type(got) is np.ndarray
        assert got.dtype == array.dtype
        assert np.array_equal(got, array, equal_nan=got.dtype.kind == "f")
    assert back["array"][1]["dict"][1] == 1


Pair = namedtuple("Pair", "mean scale")


def test_tensors_come_back_as_arrays():
    grad = torch.ones(2, requires_grad=True)
    value = {
        "a": (grad * 2, [torch.tensor(1)]),
        "b": Pair(torch.zeros(1, dtype=torch.bfloat16), nn.Parameter(grad)),
        "c": OrderedDict(x=torch.Size([3])),
    }
    back = decode(*encode(value))
    assert back["a"][0].tolist() == [2, 2]
    assert back["b"][0].dtype == np.float32
    assert back["c"] == {"x": [3]}
    assert all(type(v) in (np.ndarray, list, dict) for v in (*back["a"], *back["b"], back["c"]))


class Number(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class Lying(dict):
    def items(self):
        raise RuntimeError("no")


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: 1,
        nn.Linear(1, 1),
        np.array([object()]),
        np.array(["text"]),
        np.array([1j]),
        torch.ones(1) * 1j,
        Number(3),
        1j,
        {1, 2},
        b"bytes",
        iter([1]),
        [[object()]],
        {"a": print},
        Lying(a=1),
        CYCLE,
        float,
        np.datetime64("2020"),
        torch.ones(2).to_sparse(),
        torch.ones(2, device="meta"),
        np.ma.masked_array([object()]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_but_numbers_comes_back(namespace, student, model, value):
    namespace["VALUES"]["it"] = value
    with pytest.raises(StudentCodeError, match=r"^give: |reading what came back"):
        model.call("give", "it")


def test_what_comes_back_is_a_copy(model):
    """A student may return the same buffer every time; and parameters go on to be trained."""
    first, second = model.call("buffer", X), model.call("buffer", X)
    assert first.tolist() == [1] * 5
    assert second.tolist() == [2] * 5
    parameters = model.parameters()
    before = parameters["scale"].copy()
    with torch.no_grad():
        model._student.bench.objects[0].scale.add_(1)
    assert np.array_equal(parameters["scale"], before)


def test_what_comes_back_cannot_be_written_into(model):
    """Over a wire it cannot either: a check that writes into an answer fails here, and not in grading only."""
    answers = [model.call("log_prob", np.ones((4, 3))), *model.parameters().values()]
    assert len(answers) > 3
    assert not any(a.flags.writeable for a in answers)


def test_what_goes_in_is_a_copy(model):
    x = X.copy()
    x.flags.writeable = False  # as arrays from a buffer are
    assert model.call("in_place", x) == pytest.approx(2 * X.sum(axis=1), rel=1e-5)
    assert np.array_equal(x, X)


def test_keyword_arguments_may_have_any_name(namespace, student):
    namespace["keyed"] = lambda array, dict, name="n": [array + 1, dict["array"], name]
    assert student.call("keyed", array=np.float64(1), dict={"array": 5}) == [2.0, 5, "n"]


def test_requests_are_json(namespace):
    """The same messages work between processes."""
    bench, sent = Workbench(namespace, {}), []

    class Wire(module.Student):
        def request(self, message, arrays, limit):
            sent.append(json.dumps(message))
            for array in arrays:
                array.flags.writeable = False  # as they come out of a buffer; torch warns about such
            reply, back = bench.handle(json.loads(sent[-1]), arrays)
            return json.loads(json.dumps(reply)), back

    model = Wire().new("Model", dims=3)
    assert model.log_prob(X).shape == (5,)
    assert model.gradient("log_prob", X).shape == X.shape
    assert len(sent) == 3


# ---- time limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["sleep", "loop", "stubborn", "swallows"])
def test_what_takes_too_long_is_stopped(student, function):
    begun = time.monotonic()
    with slip("time limit", rf"{function} took longer than 0.3 s\."):
        student.call(function, 30, limit=0.3)
    assert time.monotonic() - begun < 3
    assert student.call("double", np.ones(2)).tolist() == [2, 2]  # and everything works on


def test_a_timer_that_did_not_strike_is_gone(student):
    student.call("double", np.ones(2), limit=0.2)
    time.sleep(0.3)


@pytest.fixture
def interrupts():
    """A process that a shell has put into the background ignores interrupts; here they count."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_the_limit_without_alarms():
    """As on Windows."""
    with pytest.raises(TimeLimit), module._interrupt_main(0.2):
        sum(1 for _ in itertools.count())
    with module._interrupt_main(0.2):
        pass
    time.sleep(0.3)
    with pytest.raises(KeyboardInterrupt), module._interrupt_main(5):
        raise KeyboardInterrupt


def test_in_a_side_thread_there_is_no_limit():
    import threading

    done = []

    def work():
        with time_limit(0.05):
            time.sleep(0.1)
        done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]


# ---- randomness and modes ------------------------------------------------------------------------------


def draw() -> tuple:
    return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002


def test_seeds_make_it_repeatable_and_leave_the_callers_numbers_alone(student):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = draw()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    one, same, other = (student.new("Model", seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.log_prob(X), same.log_prob(X))
    assert not np.array_equal(one.log_prob(X), other.log_prob(X))
    assert np.array_equal(one.sample(4, 3, seed=5), one.sample(4, 3, seed=5))
    assert not np.array_equal(one.sample(4, 3, seed=5), one.sample(4, 3, seed=6))
    one.gradient("log_prob", X)
    with pytest.raises(StudentCodeError):
        one.call("broken", X)
    with pytest.raises(StudentCodeError):
        student.call("loop", 9, limit=0.05)
    assert draw() == expected


OWN_GENERATORS = """
G, R, L = torch.Generator().manual_seed(7), np.random.default_rng(7), np.random.RandomState(7)

class Lazy:
    @property
    def __class__(self):
        raise RuntimeError("nothing is behind it yet")

LAZY = Lazy()

class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = torch.Generator().manual_seed(7)

    def sample(self, n):
        of_numpy = torch.as_tensor(np.hstack([R.standard_normal((n, 1)), L.randn(n, 1)]))
        return torch.cat([torch.randn(n, 1, generator=G), torch.randn(n, 1, generator=self.own), of_numpy], dim=1)
"""


def test_generators_of_the_students_own_are_seeded_apart_and_put_back(namespace):
    exec(OWN_GENERATORS, namespace)
    student = LocalStudent(namespace, {})
    made = student.new("Drawing", perturb=0)
    first, again, other = (made.sample(501, 4, seed=s) for s in (5, 5, 6))  # legacy normals come in pairs
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).any()
    assert np.abs(np.corrcoef(first.T) - np.eye(4)).max() < 0.3, "four streams, and not one four times"
    assert torch.equal(
        torch.randn(3, generator=namespace["G"]), torch.randn(3, generator=torch.Generator().manual_seed(7))
    )
    assert np.array_equal(namespace["R"].random(3), np.random.default_rng(7).random(3))
    assert np.array_equal(namespace["L"].rand(3), np.random.RandomState(7).rand(3))


def test_values_are_given_to_an_object_and_stay(student):
    one, other = student.new("Model", seed=1), student.new("Model", seed=2)
    one.load(other.parameters())
    assert np.array_equal(one.log_prob(X), other.log_prob(X))
    with pytest.raises(StudentCodeError, match="size mismatch"):
        one.load({"scale": np.zeros(7, dtype=np.float32)})


def test_calls_run_in_eval_mode_unless_asked_and_the_mode_is_put_back(namespace, student):
    trained = namespace["Model"]()
    trained.train()
    trained.net[2].eval()
    student.bench.models["model"] = trained
    handle = student.trained("model")
    before = [m.training for m in trained.modules()]
    assert handle.call("mode", X).tolist() == [0] * 6
    assert handle.call("mode", X, train=True).tolist() == [1] * 6
    handle.gradient("log_prob", X)
    with pytest.raises(StudentCodeError):
        handle.call("broken", X, train=True)
    assert [m.training for m in trained.modules()] == before
    assert np.array_equal(handle.log_prob(X), handle.log_prob(X))
    assert not np.array_equal(
        handle.call("log_prob", X, train=True, seed=1), handle.call("log_prob", X, train=True, seed=2)
    )


def test_a_method_called_train_is_the_students_business(student):
    assert student.new("OwnTrain").log_prob(X).shape == (5,)


def test_nothing_needs_gradients_unless_asked(namespace, student, model):
    namespace["needs"] = lambda x: float(torch.is_grad_enabled())
    assert student.call("needs", X) == 0.0
    try:
        torch.set_grad_enabled(False)  # a student's leftover
        assert np.abs(model.gradient("log_prob", X)).max() > 0
    finally:
        torch.set_grad_enabled(True)


# ---- construction --------------------------------------------------------------------------------------


def test_perturb_moves_every_parameter_off_its_initial_value(student, namespace):
    plain, moved = (student.new("Model", seed=1, perturb=p).parameters() for p in (0.0, 1.0))
    assert (plain["scale"] == 0).all()
    for name in plain.keys() - {"frozen"}:
        assert (moved[name] != plain[name]).all(), name
        assert moved[name].dtype == plain[name].dtype
    again, other = (student.new("Model", seed=s).parameters() for s in (1, 2))
    assert all(np.array_equal(moved[k], again[k]) for k in moved)
    assert not any(np.array_equal(moved[k], other[k]) for k in moved if k != "frozen")


def test_frozen_parameters_are_the_students_own(student, namespace):
    class Masked(nn.Linear):
        def __init__(self):
            super().__init__(4, 3)
            self.mask = nn.Parameter(torch.tril(torch.ones(3, 4)), requires_grad=False)

    namespace["Masked"] = Masked
    for perturb in (0.5, 4.0):
        assert np.array_equal(student.new("Masked", perturb=perturb).parameters()["mask"], np.tril(np.ones((3, 4))))


def test_exact_zeros_stay_zero_but_a_tensor_of_zeros_does_not(student, namespace):
    class MaskedOnce(nn.Module):
        def __init__(self):
            super().__init__()
            self.kept = nn.Parameter(torch.tril(torch.randn(30, 30)))
            self.bias = nn.Parameter(torch.tensor([0.0, 1.0, 2.0]))
            self.zero, self.one = nn.Parameter(torch.zeros(30, 30)), nn.Parameter(torch.ones(30, 30))

    namespace["MaskedOnce"] = MaskedOnce
    after = student.new("MaskedOnce").parameters()
    assert np.array_equal(after["kept"] != 0, np.tril(np.ones((30, 30), dtype=bool)))
    assert after["bias"][0] == 0
    assert (after["bias"][1:] != [1, 2]).all()
    for name in ("zero", "one"):
        assert len(np.unique(after[name])) == 900


INITIALISATIONS = {
    "torch's own": lambda w: None,
    "Xavier": nn.init.xavier_normal_,
    "He": nn.init.kaiming_normal_,
    "orthogonal": nn.init.orthogonal_,
    "narrow": lambda w: nn.init.normal_(w, 0, 0.02),
    "wide": lambda w: nn.init.normal_(w, 0, 1),
    "zeros": nn.init.zeros_,
}


@pytest.mark.parametrize("start", INITIALISATIONS.values(), ids=INITIALISATIONS)
@pytest.mark.parametrize("shape", [(300, 400), (30, 20, 3, 3)])
def test_random_weights_are_of_one_size_whatever_they_start_from(student, namespace, start, shape):
    def made():
        module = nn.Module()
        module.weight = nn.Parameter(torch.empty(shape).uniform_(-1, 1))
        start(module.weight)
        return module

    namespace["Made"] = made
    fan_in = np.prod(shape[1:])
    wanted = ((start is not nn.init.zeros_) / 3 + 2.0**2) ** 0.5 / fan_in**0.5
    assert student.new("Made", perturb=2.0).parameters()["weight"].std() == pytest.approx(wanted, rel=0.05)


def test_biases_may_be_perturbed_by_another_size(student, namespace):
    namespace["Wide"] = lambda: nn.Linear(400, 300)
    weight, bias = (student.new("Wide", perturb=3.0, biases=0.2).parameters()[k] for k in ("weight", "bias"))
    assert weight.std() == pytest.approx((9 + 1 / 3) ** 0.5 / 20, rel=0.1)
    assert bias.std() == pytest.approx(0.2 / 2, rel=0.15)


# ---- precision -----------------------------------------------------------------------------------------


def test_double_precision_where_the_code_runs_in_it(student, namespace):
    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[0.1, 0.7], [0.3, 0.2]]))

        def forward(self, x):
            return x @ self.weight + torch.ones(2)

    namespace["Sums"] = Sums
    x = np.random.default_rng(0).normal(size=(5, 2))
    for precise, kind in ((True, np.float64), (False, np.float32)):
        made = student.new("Sums", precise=precise)
        assert made.call("forward", x).dtype == made.gradient("forward", x).dtype == kind
    weight = made.parameters()["weight"].astype(np.float64)
    assert student.new("Sums", precise=True).call("forward", x) == pytest.approx(x @ weight + 1, abs=1e-14)
    assert torch.get_default_dtype() == torch.float32


def test_code_that_insists_on_single_precision_runs_in_it(student, namespace):
    class Casts(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)

        def forward(self, x):
            return super().forward(x.float())

    namespace["Casts"] = Casts
    made = student.new("Casts", precise=True)
    for _ in range(2):
        assert made.call("forward", X[:, :2]).dtype == np.float32
    assert made.gradient("forward", X[:, :2].astype(np.float64)).dtype == np.float32


def test_a_call_in_training_mode_leaves_a_trained_model_as_it_is(namespace):
    class Norm(nn.BatchNorm1d):
        def __init__(self):
            super().__init__(3)

    model = Norm().eval()
    namespace["Norm"] = Norm
    student = LocalStudent(namespace, {"norm": model})
    x = 5 + X[:, :3]
    student.trained("norm").call("forward", x, train=True)
    assert not model.running_mean.any()
    assert not model.training
    fresh = student.new("Norm", perturb=0)
    fresh.call("forward", x, train=True)
    assert fresh.call("forward", x) != pytest.approx(x, abs=0.1), "what is new learns its statistics"


def test_an_error_in_both_precisions_is_said_once(student):
    with slip("raised", r"Model\.broken raised RuntimeError.*in broken, line \d+ of its cell: y = x @"):
        student.new("Model", precise=True).call("broken", X)
    with slip("not implemented", "stub"):
        student.new("Model", precise=True).call("stub", X)


def test_a_shape_arrives_as_a_tuple(student, namespace):
    class Shaped(nn.Module):
        def __init__(self, shape, levels):
            super().__init__()
            self.zeros = torch.zeros((2,) + shape)  # noqa: RUF005 - a list could not be added
            self.shape = shape

        def log_prob(self, x):
            return torch.tensor([isinstance(self.shape, tuple)] * len(x))

    namespace["Shaped"] = Shaped
    assert student.new("Shaped", (1, 2), levels=3).log_prob(X).all()
    assert student.new("Shaped", shape=(1, 2), levels=3).log_prob(X).all()


def test_samples_that_the_notebook_drew(namespace):
    drew = LocalStudent(namespace, {}, {"model": torch.arange(12).view(3, 2, 2)})
    assert drew.drawn("model", 2, 2).tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]]]
    with pytest.raises(StudentCodeError, match=r"drawn\('model', …\) should have shape \(3, 4\), got \(3, 2, 2\)"):
        drew.drawn("model", 4)
    with pytest.raises(StudentCodeError, match=r"nothing was drawn under the name 'made': run the cell with drawn"):
        drew.drawn("made", 2)


def test_parameters_that_have_no_values_yet_or_no_size(student):
    lazy = student.new("Lazy")
    assert lazy.log_prob(X).shape == (5,)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("Nothing", "missing", r"^the notebook defines no Nothing\.$"),
        ("NotAModule", "wrong type", "NotAModule should be a torch.nn.Module, not NotAModule"),
        ("returns_none", "wrong type", r"returns_none should be a torch.nn.Module, not None \(is a return missing\?\)"),
        ("NOTEBOOK", "missing", "defines no NOTEBOOK"),
        ("VALUES", "raised", r"VALUES\(\) raised TypeError: 'dict' object is not callable"),
    ],
)
def test_what_cannot_be_constructed(student, name, kind, said):
    with slip(kind, said):
        student.new(name)


OWN_WAYS = """
from dataclasses import dataclass
import torch
from torch import nn

class NoSuper(nn.Module):
    def __init__(self, dims=2):
        self.dims = dims

@dataclass
class Data(nn.Module):
    dims: int = 2

class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, 2).expand(2, 2))

class Property(nn.Module):
    @property
    def log_prob(self, x):
        return x.sum(dim=1)

class Own(nn.Module):
    def to(self):
        return self
    def log_prob(self, x):
        return x.sum(dim=1)

class Named(Own):
    to = nn.Module.to
    def named_parameters(self):
        return 3

class Modules(Own):
    to = nn.Module.to
    def modules(self):
        return None
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NoSuper", r"NoSuper.__init__ never calls super\(\).__init__\(\)"),
        ("Data", r"Data.__init__ never calls super\(\).__init__\(\)"),
        ("Shared", r"other weights for Shared\(\) raised RuntimeError"),
        ("Property", r"Property.log_prob raised TypeError: Property.log_prob\(\) missing"),
        ("Own", r"other weights for Own\(\) raised TypeError"),
        ("Named", "raised TypeError"),
        ("Modules", "raised TypeError"),
    ],
)
def test_what_torch_makes_of_a_strange_module_is_the_students_doing(name, said):
    namespace: dict = {}
    exec(OWN_WAYS, namespace)
    with slip("raised", said):
        made = LocalStudent(namespace, {}).new(name, perturb=1.0)
        made.call("log_prob", X)
        made.parameters()
        made.gradient("log_prob", X, wrt="parameters")


def test_what_was_not_trained(student):
    with slip("untrained", r"nothing was trained under the name 'made.x': run the cell with trained\('made.x', …\)"):
        student.trained("made.x")


# ---- slips ---------------------------------------------------------------------------------------------


def line_of(text: str) -> int:
    return NOTEBOOK[: NOTEBOOK.index(text)].count("\n") + 1


def test_an_error_names_the_line_of_the_students_cell(student, model):
    line = line_of("y = x @")
    with slip("raised", rf"Model.broken raised RuntimeError: .* — in broken, line {line} of its cell: y = x @ torch"):
        model.call("broken", X)
    with slip(
        "raised", rf"^Wrong\(dims=2\) raised NameError: .* — in __init__, line {line_of('self.a = undefined')} of"
    ):
        student.new("Wrong", dims=2)


def test_an_error_inside_a_library_names_the_students_line_all_the_same(model):
    line = line_of("return random.choice")
    with slip("raised", rf"IndexError: .* — in in_library, line {line} of its cell: return random.choice\(\[\]\)"):
        model.call("in_library", X)


def test_wrong_arguments_name_no_line_of_ours(model):
    with slip("raised", r"^Model.log_prob raised TypeError: .*takes 2 positional arguments but 3 were given$"):
        model.call("log_prob", X, X)


def test_a_stub_is_not_implemented(namespace, model):
    with slip("not implemented", r"^`stub` \(of Model\) is not implemented yet$"):
        model.call("stub", X)
    namespace["Model"].stub = lambda self, x: (_ for _ in ()).throw(NotImplementedError)
    with slip("not implemented", "is not implemented yet$"):
        model.call("stub", X)


def test_torchs_own_not_implemented_is_a_slip(namespace, model):
    namespace["Model"].stub = lambda self, x: nn.functional.log_softmax(x.long(), dim=-1)
    with slip("raised", "not implemented for 'Long'"):
        model.call("stub", X)
    namespace["Model"].stub = nn.Module.forward
    with slip("raised", "is missing the required"):
        model.call("stub", X)


@pytest.mark.parametrize(
    "error", [SystemExit(3), StopIteration(), RecursionError(), MemoryError(), AssertionError("mine")]
)
def test_any_error_is_the_students(namespace, model, error):
    def fail(self, x):
        raise error

    namespace["Model"].stub = fail
    with slip("raised", rf"Model.stub raised {type(error).__name__}"):
        model.call("stub", X)


def test_a_long_error_is_cut(namespace, model):
    def fail(self, x):
        raise ValueError("x" * 100_000)

    namespace["Model"].stub = fail
    with pytest.raises(StudentCodeError, match=r"xx … \(100,000 characters\)") as error:
        model.call("stub", X)
    assert len(error.value.message) < 2500


def test_an_interrupt_is_nobodys_slip(namespace, model):
    def stop(self, x):
        raise KeyboardInterrupt

    namespace["Model"].stub = stop
    with pytest.raises(KeyboardInterrupt):
        model.call("stub", X)


def test_a_method_that_is_missing(model):
    with slip("missing", "Model has no method logits"):
        model.call("logits", X)
    with slip("raised", r"Model.dims raised TypeError: 'int' object is not callable"):
        model.call("dims", X)


@pytest.mark.parametrize(
    ("method", "kind", "said"),
    [
        ("column", "wrong shape", r"^Model.column\(x\) should have shape \(5,\), got \(5, 1\)\.$"),
        ("nothing", "wrong type", r"^Model.nothing\(x\) returned None: is a return missing\?$"),
        ("both", "wrong type", r"^Model.both\(x\) should be one array of shape \(5,\), got a list\.$"),
    ],
)
def test_wrong_results(model, method, kind, said):
    with slip(kind, said):
        model.verb(method)(X)


@pytest.mark.parametrize("value", [3, 2.5, True, "text", {"a": 1}, np.zeros((5, 5))], ids=str)
def test_what_is_no_array_of_the_shape(value):
    with pytest.raises(StudentCodeError, match="should"):
        module.expect(value, (5,), "it")


# ---- samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drawn",
    [
        [[0, 2], [1, 1]],
        [[0.0, 2.0], [1.0, 1.0]],
        [[True, False], [True, True]],
        np.array([[0, 2], [1, 1]], dtype=np.uint8),
        np.array([[0, 2], [1, 1]], dtype=np.int8),
        np.array([[0, 2], [1, 1]], dtype=np.float16),
    ],
    ids=["int", "float", "bool", "uint8", "int8", "half"],
)
def test_whole_numbers_of_any_type_are_levels(namespace, model, drawn):
    namespace["Model"].sample = lambda self, n: torch.tensor(drawn)
    levels = model.sample(2, 2, integer=True)
    assert np.issubdtype(levels.dtype, np.signedinteger)
    assert np.array_equal(levels, drawn)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -np.inf, 1e-3])
def test_fractions_are_no_levels(namespace, model, value):
    namespace["Model"].sample = lambda self, n: torch.tensor([[0.0, value]])
    with slip("wrong type", r"Model.sample\(1\) should be integer levels, got float32 fractions"):
        model.sample(1, 2, integer=True)
    assert model.sample(1, 2).shape == (1, 2)


def test_the_number_of_samples_is_checked(model):
    with slip("wrong shape", r"Model.sample\(7\) should have shape \(7, 2\), got \(7, 3\)"):
        model.sample(7, 2)


# ---- gradients -----------------------------------------------------------------------------------------


def differences(function, x: np.ndarray, step: float = 1e-2) -> np.ndarray:
    """Central differences of Σ function(x) in every entry of x."""
    grad = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        grad[index] = (function(up).astype(np.float64).sum() - function(down).astype(np.float64).sum()) / (2 * step)
    return grad


def test_the_gradient_by_the_input(model):
    weight = np.array([1, -2, 0, 0.5, 3], dtype=np.float32)
    assert model.gradient("log_prob", X) == pytest.approx(differences(model.log_prob, X), abs=2e-3)
    by_hand = differences(lambda x: weight * model.log_prob(x), X)
    assert model.gradient("log_prob", X, cotangent=weight) == pytest.approx(by_hand, abs=2e-3)
    assert model.gradient("both", X) == pytest.approx(model.gradient("log_prob", X))  # the first of a tuple


def test_the_gradient_of_one_of_several_results(model):
    assert model.gradient("swapped", X, output=1) == pytest.approx(model.gradient("log_prob", X))
    assert model.gradient("swapped", X) == pytest.approx(np.ones_like(X))
    with slip("wrong type", "at least 3 values, got 2"):
        model.gradient("swapped", X, output=2)


def test_what_depends_on_the_arguments_alone_gives_the_parameters_nothing(model):
    assert set(model.gradient("swapped", X, wrt="parameters").values()) == {None}
    assert any(grad is not None for grad in model.gradient("swapped", X, wrt="parameters", output=1).values())


def test_the_gradient_of_a_function_by_each_argument(student):
    a, b = X, X[::-1].copy()
    assert student.gradient("product", a, b) == pytest.approx(b)
    assert student.gradient("product", a, b, argument=1) == pytest.approx(a)
    assert student.gradient("product", a, b, argument=1, cotangent=2 * np.ones_like(a)) == pytest.approx(2 * a)


def test_the_gradient_by_the_parameters(namespace, student, model):
    grads, parameters = model.gradient("log_prob", X, wrt="parameters"), model.parameters()
    assert list(grads) == list(parameters)
    assert grads["unused"] is None
    assert grads["frozen"] is None
    module = student.bench.objects[0]
    for name in ("scale", "net.0.weight", "net.3.bias"):
        tensor = module.get_parameter(name)

        def at(values, tensor=tensor):
            with torch.no_grad():
                tensor.copy_(torch.tensor(values))
            return model.log_prob(X)

        before = parameters[name]
        assert grads[name] == pytest.approx(differences(at, before), abs=3e-3)
        at(before)
    assert all(p.grad is None for p in module.parameters())


def test_gradients_that_do_not_flow(model):
    with slip("no gradient", "no gradient flows through cut"):
        model.gradient("cut", X)
    with slip("wrong type", "nothing should return a tensor, not None"):
        model.gradient("nothing", X)
    with slip("wrong shape", r"column should have shape \(5,\), got \(5, 1\)"):
        model.gradient("column", X, cotangent=np.ones(5, dtype=np.float32))
    with slip("missing", "has no method"):
        model.gradient("logits", X)


def test_code_that_works_in_place_on_its_input_has_a_gradient(model):
    assert model.gradient("in_place", X) == pytest.approx(np.full(X.shape, 2.0))


def test_an_input_that_is_not_used_has_gradient_zero(namespace, model):
    namespace["Model"].constant = lambda self, x: self.scale.sum().expand(len(x))
    assert np.array_equal(model.gradient("constant", X), np.zeros_like(X))


# ---- output --------------------------------------------------------------------------------------------


def test_what_students_print_is_kept_and_goes_nowhere(namespace, student, capfd):
    def chatty(x):
        print("hello")
        print("oh", file=__import__("sys").stderr)
        warnings.warn("a warning", stacklevel=1)
        return x

    namespace["chatty"] = chatty
    student.call("chatty", X)
    assert capfd.readouterr() == ("", "")
    assert student.take_printed() == "hello\noh\n"
    assert student.take_printed() == ""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        student.call("chatty", X)
        warnings.warn("ours", stacklevel=1)
    assert [str(w.message) for w in seen] == ["ours"]


def test_the_door_needs_no_signal_where_there_is_none(monkeypatch, student):
    monkeypatch.delattr(module.signal, "setitimer")
    assert student.call("double", np.ones(1), limit=5).tolist() == [2]
    with slip("time limit", "loop took longer than 0.2 s"):
        student.call("loop", 30, limit=0.2)
    assert os.getpid()


# ---- steps of training ---------------------------------------------------------------------------------

GAME = """
from torch import nn
class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 1), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    def step(self, x, optimizer, clear=True, sign=1.0):
        loss = sign * (self.a(self.b(x)) ** 2).mean()
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss
    def fails(self, x, optimizer):
        self.step(x, optimizer)
        raise RuntimeError("half way")
    def slope(self, x):
        x = x.clone().requires_grad_()
        import torch
        return torch.autograd.grad((self.a(x) ** 2).sum(), x)[0]
"""


@pytest.fixture
def two():
    namespace = {}
    exec(GAME, namespace)
    student = LocalStudent(namespace, {})
    return student, student.new("Two")


def test_a_step_moves_a_part_by_its_gradient_and_is_undone(two):
    student, game = two
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    made = student.bench.objects[0]
    before = {k: v.clone() for k, v in made.state_dict().items()}
    moved, left = game.descend(["step", "a", 0.5, [x], {}])
    made.zero_grad()
    made.train()
    (made.a(made.b(torch.tensor(x))) ** 2).mean().backward()
    np.testing.assert_allclose(moved["a.weight"], -0.5 * made.a.weight.grad, rtol=1e-4, atol=1e-6)
    assert not moved["b.0.weight"].any()
    assert left["b.0.weight"].any()  # what the loss left there
    made.load_state_dict(before)


def test_steps_follow_each_other_and_leave_nothing_behind(two):
    student, game = two
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    made = student.bench.objects[0]
    before = {k: v.clone() for k, v in made.state_dict().items()}
    first = ["step", "b", 0.0, [x], {}]
    alone, _ = game.descend(["step", "a", 0.1, [x], {}])
    cleared, _ = game.descend(first, ["step", "a", 0.1, [x], {}])
    heaped, _ = game.descend(first, ["step", "a", 0.1, [x], {"clear": False}])
    np.testing.assert_allclose(cleared["a.weight"], alone["a.weight"], rtol=1e-4)
    np.testing.assert_allclose(heaped["a.weight"], 2 * alone["a.weight"], rtol=1e-4)
    with slip("raised", "half way"):
        game.descend(["fails", "a", 0.1, [x], {}])
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())
    assert all(p.grad is None for p in made.parameters())


def test_a_part_that_is_not_there_is_said(two):
    with slip("missing", "self.critic"):
        two[1].descend(["step", "critic", 0.1, [np.zeros((3, 2), dtype=np.float32)], {}])


def test_a_method_may_differentiate_if_asked(two):
    x = np.ones((3, 2), dtype=np.float32)
    with slip("raised", "grad"):
        two[1].call("slope", x)
    assert two[1].call("slope", x, differentiate=True).shape == (3, 2)


# ---- a notebook whose answers are none of our workbench's ------------------------------------------------


class Forged(module.Student):
    """Answers everything with one thing."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def request(self, message, arrays, limit):
        return encode(self.answer)


NO_OBJECTS = [None, "x", [], [1], {}, -1, 2**40, True, 1.0, np.zeros(2)]
NO_GRADIENTS = [None, "x", [], {}, 3, np.zeros(()), np.zeros((3, 5)), np.zeros((0, 3)), [X]]
NO_WEIGHTS = [None, "x", [], 3, {"w": None}, {"w": "x"}, {"w": [1]}, np.zeros(3)]


@pytest.mark.parametrize("answer", NO_OBJECTS, ids=repr)
def test_an_answer_that_is_no_object_is_the_notebooks_doing(answer):
    for ask in (lambda s: s.new("Model"), lambda s: s.trained("made")):
        with pytest.raises(StudentCodeError, match=r"answered with something that is no object|by their names"):
            ask(Forged(answer))


@pytest.mark.parametrize("answer", NO_GRADIENTS, ids=repr)
def test_an_answer_that_is_no_gradient_is_the_notebooks_doing(answer):
    student = Forged(answer)
    model = module.Handle(student, 0, "Model")
    for ask in (
        lambda: model.gradient("log_prob", X),
        lambda: student.gradient("loss", X, X, argument=1),
        lambda: model.jacobian("forward", X),
    ):
        with pytest.raises(StudentCodeError, match=r"should|returned None"):
            ask()


@pytest.mark.parametrize("answer", NO_WEIGHTS, ids=repr)
def test_answers_that_are_no_weights_and_no_samples_are_the_notebooks_doing(answer):
    with pytest.raises(StudentCodeError, match="should be arrays"):
        Forged(answer).weights("made")
    with pytest.raises(StudentCodeError):
        Forged(answer).drawn("made", 3)


def test_half_precision_comes_as_single():
    assert Forged(np.ones(5, dtype=np.float16)).call("f").dtype == np.float32
