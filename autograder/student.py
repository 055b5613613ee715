"""The one door to student code: arrays in, arrays out, a time limit on every call.

Tests see a `Student` and the `Handle`s it gives out, and never a tensor, a module or a callable of the
student's. How a request reaches the student's code is the one method that differs: `LocalStudent` runs it
in this process.
"""

import contextlib
import hashlib
import io
import signal
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch

from autograder.workbench import StudentCodeError, Workbench, decode, encode

TIME_LIMIT = 20.0  # seconds a call; the slowest check of a right solution needs a tenth of it
MOST_SENT = 32 * 2**20  # bytes of weights in one message


class TimeLimit(BaseException):
    """The student's code ran too long. Not an Exception, so that a broad `except` does not swallow it."""


class Student(ABC):
    """What a notebook defined and trained.

    salt: what the seeds that its code gets to see are derived from, apart from all others: none of them says which
    numbers the grader draws. used: names of trained models that were asked about; the caller empties it.
    """

    salt = ""

    def __init__(self):
        self.used: set[str] = set()
        self._change = ("", 0)  # how the weights of trained models are changed at present
        self._numbers: dict[tuple, int] = {}
        self._weights: dict[str, dict[str, np.ndarray]] = {}

    @abstractmethod
    def request(self, message: object, arrays: list[np.ndarray], limit: float) -> tuple[object, list[np.ndarray]]:
        """Carry one request to the student's `Workbench` and bring its reply, within `limit` seconds.

        Raises StudentCodeError for what the student's code did; anything else is a fault of ours.
        """

    def take_printed(self) -> str:
        """What the student's code printed since this was last asked."""
        return ""

    def ask(self, limit: float = TIME_LIMIT, **request):
        """The reply to one request (see Workbench.handle), as arrays and plain values.

        Raises StudentCodeError, also for a reply that cannot be read.
        """
        if "seed" in request:
            request["seed"] = self._apart("seed", request["seed"])
        message, arrays = encode(request)
        result, out = self.request(message["dict"], arrays, limit)
        for array in out:  # as those that came over a wire: a check that writes into an answer fails everywhere
            array.flags.writeable = False
        try:
            return decode(result, out)
        except (LookupError, TypeError, ValueError, RecursionError):  # the other side need not be ours any more
            raise StudentCodeError("wrong type", "the notebook answered with something that is no array.") from None

    def new(
        self,
        name: str,
        *args,
        seed: int = 0,
        perturb: float = 1.0,
        biases: float | None = None,
        precise: bool = False,
        **kwargs,
    ) -> "Handle":
        """A new object of the student's class `name`, in eval mode, with random weights.

        A fresh model may be constant or the identity, and would satisfy any theorem: its weights are brought to the
        spread of a default initialisation, and get noise of size `perturb` besides (see workbench._perturb). 0 leaves
        them as they are. `biases`, if given, is that size for all parameters with one dimension: large weights and
        small biases make outputs depend strongly on the inputs.
        precise: in double precision, if the student's code runs in it: float32's rounding is no slip.
        """
        answer = self.ask(
            do="construct",
            name=name,
            args=list(args),
            kwargs=kwargs,
            seed=seed,
            noise=self._apart("noise", seed),
            perturb=perturb,
            biases=biases,
            precise=precise,
        )
        return Handle(self, _number(answer), name)

    def _apart(self, use: str, seed: int) -> int:
        """A seed for one use, that tells nothing of the one that it is made of, nor of those for other uses."""
        return int.from_bytes(hashlib.sha256(f"{self.salt}/{use}/{seed}".encode()).digest()[:4], "big") >> 1

    def trained(self, name: str, of: str = "", precise: bool = False) -> "Handle":
        """What the notebook trained as `trained(name, …)`: its class, made anew, with the weights of the file.

        of: the class that the exercise asks for, by its name. precise: as in `new`.
        """
        self.used.add(name)
        known = (name, precise, *self._change)
        if known not in self._numbers:
            self._numbers[known] = self._rebuilt(name, of, precise)
        return Handle(self, self._numbers[known], f"trained({name!r})")

    @contextlib.contextmanager
    def changed(self, how: str, seed: int):
        """For a while all trained models have other weights: see weights.changed."""
        before, self._change = self._change, (how, seed)
        try:
            yield
        finally:
            self._change = before

    def _rebuilt(self, name: str, of: str, precise: bool) -> int:
        number, (how, seed) = _number(self.ask(do="trained", name=name, of=of)), self._change
        if name not in self._weights:
            self._weights[name] = self.weights(name)
        sent = self._weights[name]
        if how:
            from autograder.properties import weights  # no check is to be found beside the student's code

            names = Handle(self, number, f"trained({name!r})").parameters()
            sent = weights.changed(sent, names, how, self._apart("weights", seed))
        for part in _parts(sent):
            self.ask(do="load", target=number, weights=part)
        if precise:
            self.ask(do="refine", target=number)
        return number

    def weights(self, name: str) -> dict[str, np.ndarray]:
        """The weights of what was trained under `name`, as its file holds them."""
        what = f"the weights of trained({name!r})"
        found = _named(self.ask(do="weights", name=name), what)
        if any(values is None for values in found.values()):
            raise StudentCodeError("wrong type", f"{what} should be arrays, all of them.")
        return found

    def settings(self, name: str) -> dict:
        """How `name` was trained, as far as its weights file tells: {"lr": …, "steps": …, …}, and only such."""
        said = self.ask(do="history", name=name)
        return {k: v for k, v in said.items() if isinstance(v, int | float | str)} if isinstance(said, dict) else {}

    def notes(self, name: str, most: int = 8) -> list[str]:
        """What to know of the trained models behind an exercise, in the words of whoever's side they live on."""
        try:
            said = self.ask(do="notes", name=name)
        except StudentCodeError:  # no check, and nothing to be graded by
            return []
        return [note[:500] for note in said[:most] if isinstance(note, str)] if isinstance(said, list) else []

    def drawn(self, name: str, *shape: int) -> np.ndarray:
        """The samples that `drawn(name, …)` gave in the notebook: integer levels or reals, (n, *shape)."""
        samples, what = self.ask(do="drawn", name=name), f"drawn({name!r}, …)"
        number = len(samples) if isinstance(samples, np.ndarray) and samples.ndim else 1
        if not number:
            raise StudentCodeError("wrong shape", f"{what} holds no samples.")
        return expect(samples, (number, *shape), what)

    def call(self, function: str, *args, seed: int = 0, limit: float = TIME_LIMIT, **kwargs):
        """The result of a function of the notebook, as arrays."""
        return self.ask(limit, do="call", target=None, method=function, args=list(args), kwargs=kwargs, seed=seed)

    def gradient(self, function: str, *args, argument: int = 0, cotangent=None, seed: int = 0, **kwargs) -> np.ndarray:
        """Gradient of Σ cotangent · function(*args) by one of its arguments, for a function of the notebook."""
        answer = self.ask(
            do="gradient",
            target=None,
            method=function,
            args=list(args),
            kwargs=kwargs,
            seed=seed,
            wrt="input",
            cotangent=cotangent,
            argument=argument,
        )
        return expect(answer, np.shape(args[argument]), f"the gradient of {function}")


class Handle:
    """An object in the student's hands."""

    def __init__(self, student: Student, number: int, label: str):
        self._student, self._number, self.label = student, number, label

    def call(
        self,
        method: str,
        *args,
        seed: int = 0,
        limit: float = TIME_LIMIT,
        train: bool = False,
        differentiate: bool = False,
        **kwargs,
    ):
        """The result of one of its methods, as arrays (tuples arrive as lists).

        train: in training mode. differentiate: the method takes gradients on its way.
        """
        return self._student.ask(
            limit,
            do="call",
            target=self._number,
            method=method,
            args=list(args),
            kwargs=kwargs,
            seed=seed,
            train=train,
            differentiate=differentiate,
        )

    def descend(self, *steps: tuple, seed: int = 0, train: bool = True) -> tuple[dict, dict]:
        """{parameter: how far it moved} and {parameter: the gradient left, or None}, after steps of training.

        A step is (method, part, rate, arguments, keywords): `method(*arguments, optimizer, **keywords)` is called with
        a plain optimiser, θ ← θ − rate · ∇θ, of the parameters of self.part. Afterwards everything is as it was.
        train: in training mode.
        """
        answer = self._student.ask(
            do="descend", target=self._number, steps=[list(s) for s in steps], seed=seed, train=train
        )
        what = f"what the steps of {self.label} moved"
        if not isinstance(answer, list) or len(answer) != 2:
            raise StudentCodeError("wrong type", f"{what} should be two dictionaries.")
        return _named(answer[0], what), _named(answer[1], what)

    def verb(self, method: str, *shape: int, seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
        """`method` as a plain function of a batch: (B, …) -> (B, *shape), its shape checked."""

        def function(x: np.ndarray) -> np.ndarray:
            return expect(self.call(method, x, seed=seed), (len(x), *shape), f"{self.label}.{method}(x)")

        return function

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats, one number an example: (B, …) -> (B,)."""
        return self.verb("log_prob")(x)

    def sample(self, n: int, *shape: int, seed: int = 0, limit: float = TIME_LIMIT, integer: bool = False):
        """`n` draws, (n, *shape). With `integer`, whole numbers of any type are taken as int64."""
        what = f"{self.label}.sample({n})"
        drawn = expect(self.call("sample", n, seed=seed, limit=limit), (n, *shape), what)
        return whole(drawn, what) if integer else drawn

    def gradient(
        self,
        method: str,
        *args,
        wrt: str = "input",
        cotangent=None,
        seed: int = 0,
        output: int = 0,
        train: bool = False,
        **kwargs,
    ):
        """Gradient of Σ cotangent · method(*args) by its first argument, or {name: gradient} by "parameters".

        output: which of its results, where it returns several. train: in training mode.
        """
        answer = self._student.ask(
            do="gradient",
            target=self._number,
            method=method,
            args=list(args),
            kwargs=kwargs,
            seed=seed,
            wrt=wrt,
            cotangent=cotangent,
            output=output,
            train=train,
        )
        if wrt == "parameters":
            return _named(answer, f"the gradients of {self.label}.{method}")
        return expect(answer, np.shape(args[0]), f"the gradient of {self.label}.{method}")

    def jacobian(
        self, method: str, x: np.ndarray, seed: int = 0, output: int = 0, first: int = 0, last: int | None = None
    ) -> np.ndarray:
        """∂z_i/∂x of every example for z = method(x), row by row: (D, B, *x.shape), D numbers in one z.

        first, last: rows first … last − 1 only.
        """
        answer = self._student.ask(
            do="jacobian",
            target=self._number,
            method=method,
            args=[x],
            seed=seed,
            output=output,
            first=first,
            last=last,
        )
        rows = len(answer) if isinstance(answer, np.ndarray) and answer.ndim else 0
        return expect(answer, (rows, *np.shape(x)), f"the Jacobian of {self.label}.{method}")

    def load(self, values: dict[str, np.ndarray]) -> None:
        """Give it these values, by name, in the place of those of its parameters and buffers."""
        self._student.ask(do="load", target=self._number, weights=values)

    def parameters(self) -> dict[str, np.ndarray]:
        """{name: values} of its parameters."""
        return _named(self._student.ask(do="parameters", target=self._number), f"the parameters of {self.label}")


def _parts(arrays: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Weights in messages that are not too large."""
    parts, room = [], 0  # type: list[dict[str, np.ndarray]], int
    for name, values in arrays.items():
        if not parts or values.nbytes > room:
            parts.append({})
            room = MOST_SENT
        parts[-1][name] = values
        room -= values.nbytes
    return parts


def _number(value) -> int:
    """The number of an object in the student's hands. Raises StudentCodeError: the other side need not be ours."""
    if type(value) is not int or not 0 <= value < 2**31:
        raise StudentCodeError("wrong type", "the notebook answered with something that is no object of its own.")
    return value


def _named(value, what: str) -> dict[str, np.ndarray]:
    """{name: array, or None} as it should come back. Raises StudentCodeError: the other side need not be ours."""
    if not isinstance(value, dict) or any(not isinstance(v, np.ndarray | None) for v in value.values()):
        raise StudentCodeError("wrong type", f"{what} should be arrays by their names, got a {type(value).__name__}.")
    return value


def listed(value, what: str) -> np.ndarray:
    """`value` as an array of one dimension, however long. Raises StudentCodeError."""
    return expect(value, (len(value),) if isinstance(value, np.ndarray) and value.ndim else (1,), what)


def whole(values: np.ndarray, what: str) -> np.ndarray:
    """Whole numbers of any type as int64. Raises StudentCodeError for fractions, and numbers beyond int64."""
    values = expect(values, np.shape(values) if isinstance(values, np.ndarray) else (), what)
    if values.dtype.kind not in "iu" and not (np.isfinite(values) & (values == np.trunc(values))).all():
        raise StudentCodeError("wrong type", f"{what} should be integer levels, got {values.dtype} fractions.")
    if values.size and not -(2.0**62) < values.min() <= values.max() < 2.0**62:
        raise StudentCodeError("wrong type", f"{what} should be integer levels, got {values.max():.3g} among them.")
    return values.astype(np.int64)


def expect(value, shape: tuple[int, ...], what: str) -> np.ndarray:
    """`value` as an array of that shape. Raises StudentCodeError naming the expected and the got."""
    if value is None:
        raise StudentCodeError("wrong type", f"{what} returned None: is a return missing?")
    if isinstance(value, list | dict | str):
        got = type(value).__name__
        raise StudentCodeError("wrong type", f"{what} should be one array of shape {shape}, got a {got}.")
    array = np.asarray(value)
    if array.shape != shape:
        raise StudentCodeError("wrong shape", f"{what} should have shape {shape}, got {array.shape}.")
    return array


class LocalStudent(Student):
    """A notebook's namespace in this very process: for the live check, and for pytest on trusted notebooks."""

    def __init__(
        self,
        namespace: dict,
        models: dict,
        samples: dict | None = None,
        histories: dict | None = None,
        kept: dict | None = None,
    ):
        super().__init__()
        self.bench = Workbench(namespace, models, samples, histories, kept)
        self.printed = io.StringIO()

    def take_printed(self) -> str:
        """What the student's code printed since this was last asked."""
        printed, self.printed = self.printed.getvalue(), io.StringIO()
        return printed

    def request(self, message, arrays, limit):
        """Answer one request here, within `limit` seconds. Raises StudentCodeError."""
        printed, gradients = self.printed, torch.is_grad_enabled()
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            warnings.simplefilter("ignore")
            try:
                with time_limit(limit):
                    return self.bench.handle(message, arrays)
            except TimeLimit:
                torch.set_grad_enabled(gradients)  # the alarm may have rung while it was being put back
                what = message.get("name") or message.get("method")
                raise StudentCodeError("time limit", f"{what} took longer than {limit:g} s.") from None


@contextlib.contextmanager
def time_limit(seconds: float):
    """Raises TimeLimit in this code after so many seconds. In a side thread there is no limit to set."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    limited = _alarm if hasattr(signal, "setitimer") else _interrupt_main  # Windows has no alarm
    with limited(seconds):
        yield


@contextlib.contextmanager
def _alarm(seconds: float):
    def stop(signum, frame):
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again and again: a bare `except:` swallows one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _interrupt_main(seconds: float):
    import _thread

    expired = threading.Event()

    def stop():
        expired.set()
        _thread.interrupt_main()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if expired.is_set():
            raise TimeLimit from None
        raise
    finally:
        timer.cancel()
