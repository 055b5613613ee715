"""The student's side of the door: runs beside the student's code, wherever that is.

`Workbench.handle` takes one request and answers it. Requests and replies are JSON values in which an
array stands as {"array": k}, the k-th of the arrays that travel beside it, so that the same messages
work within a process and between processes. No tensor, module or callable ever leaves.
"""

import copy
import linecache
import re
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from deepul_utils import devices, places, tensors, training
from deepul_utils.training import seeded

KIT = Path(__file__).resolve().parent.parent
APART = 1_000_003  # between the seeds of several generators
LONGEST = 1500  # characters of an error's own text
AT_ONCE = 64  # rows of a Jacobian: more do not fit a cache
NOT_THE_STUDENTS = (str(KIT / "autograder"), str(KIT / "deepul_utils"), sysconfig.get_path("stdlib"), "<frozen ")


class StudentCodeError(Exception):
    """The student's code did something that the request did not expect; `kind` and `message` say what.

    kind: "missing", "not implemented", "untrained", "raised", "wrong type", "wrong shape", "no gradient" or
    "time limit".
    """

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind, self.message = kind, message


class Workbench:
    """Constructs the student's classes, calls their methods, and turns everything into arrays.

    namespace: what the notebook defined. models: what it trained, by artifact name; samples: what it drew of them;
    histories: how their training went. kept: what is graded of each, training.Kept; without it, the models as they are.
    """

    # What is done to every new object, before its weights are perturbed: the validation starts solutions from
    # initialisations that are not the reference's.
    initialise: Callable[[nn.Module, int], None] | None = None

    def __init__(
        self,
        namespace: dict,
        models: dict,
        samples: dict | None = None,
        histories: dict | None = None,
        kept: dict | None = None,
    ):
        self.namespace, self.models, self.kept = namespace, models, kept
        self.samples = {} if samples is None else samples
        self.histories = {} if histories is None else histories
        self.objects: list = []
        self.precise: set[int] = set()  # the numbers of the objects that run in double precision
        self.trained: set[int] = set()  # and of those that were trained
        self.accelerated: set[int | None] = set()  # and of those that run on the accelerator; None: functions
        self._default_device = torch.device("cpu")  # the notebook's own

    def handle(self, request: dict, arrays: list[np.ndarray]) -> tuple[object, list[np.ndarray]]:
        """Answer one request. Raises StudentCodeError for what the student's code did wrong."""
        operation = getattr(self, f"do_{request['do']}")
        arguments = {k: v for k, v in request.items() if k != "do"}
        self._default_device = torch.get_default_device()
        with devices.made_on_cpu():
            result = operation(**decode(arguments, arrays))
            with students_code("reading what came back"):
                try:
                    return encode(result)
                except StudentCodeError as error:
                    named = f"{request['method']}: " if "method" in request else ""
                    raise StudentCodeError(error.kind, f"{named}{error.message}") from None

    def do_construct(
        self,
        name: str,
        args: list,
        kwargs: dict,
        seed: int,
        noise: int,
        perturb: float,
        biases: float | None,
        precise: bool = False,
    ) -> int:
        """A new object of class `name`; weights then get noise of size `perturb` (0: none), biases of theirs.

        noise: its seed, another than the weights' own, or the two would go together. precise: in double precision, for
        as long as its code runs so.
        """
        cls = self._lookup(name)
        with seeded(seed), students_code(f"{name}({_shown(args, kwargs)})"):
            made = cls(*map(_as_tuple, args), **{k: _as_tuple(v) for k, v in kwargs.items()})
        if not isinstance(made, nn.Module):
            raise StudentCodeError("wrong type", f"{name} should be a torch.nn.Module, not {_type(made)}.")
        if "_modules" not in vars(made):  # nor is there one in what a dataclass makes
            raise StudentCodeError("raised", f"{name}.__init__ never calls super().__init__(), its first line.")
        with students_code(f"other weights for {name}({_shown(args, kwargs)})"):
            made = made.to("cpu")
            if self.initialise and perturb:  # without noise, what is asked about is the start itself
                self.initialise(made, seed)
            _perturb(made, perturb, perturb if biases is None else biases, noise)
            if precise:
                made.double()
        number = self._keep(made)
        if precise:
            self.precise.add(number)
        return number

    def do_trained(self, name: str, of: str = "") -> int:
        """The model that the notebook trained under `name` as it was made, without its weights: see `do_load`.

        of: the name of the class that it must be of.
        """
        model, why = self._made(name)
        if of and model is not None and not self._is_of(model, of):
            raise StudentCodeError(
                "wrong type", f"trained({name!r}, …) is given a {type(model).__name__}; the exercise asks for a {of}."
            )
        what = f"a copy of trained({name!r}, …)"
        if model is None:
            raise StudentCodeError(
                "raised", f"{what}: {why}. Keep in self what can be copied: modules, tensors, numbers."
            )
        with students_code(what):
            number = self._keep(training.copied(model).to("cpu"))
        self.trained.add(number)
        return number

    def _is_of(self, model: nn.Module, of: str) -> bool:
        """Whether a model is of the class that the notebook has under this name, or had: its cell may have run again.

        What torch.compile made of one is one, too.
        """
        kinds, now = type(getattr(model, "_orig_mod", model)).__mro__, self.namespace.get(of)
        return now in kinds or any(kind.__name__ == of for kind in kinds)

    def _made(self, name: str) -> tuple[nn.Module | None, str]:
        if name not in (self.models if self.kept is None else self.kept):
            raise StudentCodeError(
                "untrained",
                f"nothing was trained under the name {name!r}: run the cell with trained({name!r}, …); where it stops, "
                "its last line says why.",
            )
        return (self.models[name], "") if self.kept is None else (self.kept[name].fresh, self.kept[name].why)

    def do_weights(self, name: str) -> dict:
        """The weights in the file of `name`; those in memory where there is no file."""
        file = None if self.kept is None else self.kept[name].file
        if file is None or not file.exists():
            return dict(self.models[name].state_dict())
        from safetensors.torch import load_file

        with students_code(f"reading {places.shown(file)}"):
            return load_file(file)

    def do_load(self, target: int, weights: dict) -> None:
        """Give an object these weights, or some of its."""
        with students_code("the model that these weights are for"):
            self.objects[target].load_state_dict(
                {k: torch.tensor(v, device="cpu") for k, v in weights.items()}, strict=False
            )

    def do_refine(self, target: int) -> None:
        """Have an object in double precision, for as long as its code runs so."""
        with students_code("the model in double precision"):
            self.objects[target].double()
        self.precise.add(target)

    def do_drawn(self, name: str):
        """The samples that the notebook drew of what it trained under `name`."""
        if name not in self.samples:
            raise StudentCodeError(
                "untrained", f"nothing was drawn under the name {name!r}: run the cell with drawn({name!r}, …)."
            )
        return self.samples[name]

    def do_history(self, name: str) -> dict:
        """The settings of the training of `name`, as far as they are known."""
        return dict(getattr(self.histories.get(name), "settings", None) or {})

    def do_notes(self, name: str) -> list[str]:
        """What to know of the trained models behind exercise `name`: see training.notes."""
        return training.notes(name, self.models, self.namespace)

    def do_call(
        self, target, method: str, args: list, kwargs: dict, seed: int, train: bool = False, differentiate: bool = False
    ):
        """target.method(*args), or the function `method` of the notebook where target is None.

        differentiate: it may take gradients on its way, as a penalty on them does.
        """

        def call():
            called = self._called(target, method, args, seed, train)
            with called as (function, tensors), torch.set_grad_enabled(differentiate):
                return function(*tensors, **kwargs)

        return self._as_it_runs(target, call)

    def _as_it_runs(self, target, call: Callable):
        """call() on the CPU; where the code runs on the accelerator only (`.cuda()` in it), there from then on."""
        try:
            return self._in_its_precision(target, call)
        except StudentCodeError as error:
            there = self._accelerator
            if target in self.accelerated or there.type == "cpu" or not _is_of_devices(error):
                raise
        if target is not None:
            self.precise.discard(target)  # Apple's devices have no double precision
            self.objects[target].float().to(there)
        self.accelerated.add(target)
        return call()

    @property
    def _accelerator(self) -> torch.device:
        return training.device() if self._default_device.type == "cpu" else self._default_device

    def _in_its_precision(self, target, call: Callable):
        """call(), in double precision if the object has it; where its code does not run so, in single from then on."""
        if target not in self.precise:
            return call()
        before = torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float64)
            return call()
        except StudentCodeError as error:
            if error.kind == "not implemented":
                raise
        finally:
            torch.set_default_dtype(before)
        self.precise.discard(target)
        self.objects[target].float()
        return call()

    def do_descend(self, target: int, steps: list, seed: int, train: bool = True) -> tuple[dict, dict]:
        """{parameter: how far it moved} in steps of training, and {parameter: the gradient that they left or None}.

        Everything is put back as it was.

        steps: (method, part, rate, arguments, keywords) each; the method is called, in training mode or not, with its
        arguments and a plain optimiser, θ ← θ − rate · ∇θ, of the parameters of that part of the object.
        """
        return self._as_it_runs(target, lambda: self._descended(self.objects[target], target, steps, seed, train))

    def _descended(self, made: nn.Module, target: int, steps: list, seed: int, train: bool) -> tuple[dict, dict]:
        before = copy.deepcopy(made.state_dict())
        try:
            for method, part, rate, args, kwargs in steps:
                with self._called(target, method, args, seed, train) as (function, args), torch.enable_grad():
                    own = getattr(made, part, None)
                    if not isinstance(own, nn.Module):
                        raise StudentCodeError("missing", f"{type(made).__name__} should have a module self.{part}.")
                    function(*args, torch.optim.SGD(own.parameters(), lr=rate), **kwargs)
            parameters = dict(made.named_parameters())
            moved = {k: p.detach() - before[k] for k, p in parameters.items()}
            return moved, {k: None if p.grad is None else p.grad.clone() for k, p in parameters.items()}
        finally:
            made.load_state_dict(before)
            for p in made.parameters():
                p.grad = None

    def do_gradient(
        self,
        target,
        method: str,
        args: list,
        kwargs: dict,
        seed: int,
        wrt: str,
        cotangent=None,
        argument: int = 0,
        output: int = 0,
        train: bool = False,
    ):
        """Gradient of Σ cotangent · target.method(*args), by one of the arguments or by the parameters.

        wrt "input" returns an array like args[argument]; "parameters" returns {name: array, or None where none
        arrives}. output: which of its results, where it returns several. train: in training mode.
        """
        shape = args[argument].shape if wrt == "input" else ()

        def call():
            with self._called(target, method, args, seed, train) as (function, tensors), torch.enable_grad():
                if wrt == "input":
                    sources = {"input": tensors[argument].requires_grad_()}
                    # Copied: no leaf is worked on in place.
                    tensors = [a.clone() if k == argument else a for k, a in enumerate(tensors)]
                else:
                    sources = {k: p for k, p in self.objects[target].named_parameters() if p.requires_grad}
                    # What depends on the arguments alone has a gradient, too: none of it for the parameters.
                    tensors = [a.requires_grad_().clone() if _is_real(a) else a for a in tensors]
                out = function(*tensors, **kwargs)
                out = _differentiable(_chosen(out, output, method), method, cotangent)
                weight = torch.ones_like(out) if cotangent is None else torch.tensor(cotangent, device="cpu").to(out)
                grads = torch.autograd.grad((out * weight).sum(), list(sources.values()), allow_unused=True)
                return dict(zip(sources, grads, strict=True))

        grads = self._as_it_runs(target, call)
        if wrt == "input":
            return np.zeros(shape, dtype=np.float32) if grads["input"] is None else grads["input"]
        return dict.fromkeys(self._parameters(target)) | grads

    def do_jacobian(
        self, target: int, method: str, args: list, seed: int, output: int = 0, first: int = 0, last: int | None = None
    ):
        """∂z_i/∂x of every example for z = target.method(x), row by row: (D, B, *x.shape), D numbers in one z.

        One row of every example's Jacobian is a gradient, where an example's z depends on its own x alone. The method
        is called once, for all rows. first, last: rows first … last − 1 only.
        """

        def call():
            with self._called(target, method, args, seed) as (function, tensors), torch.enable_grad():
                x = tensors[0].requires_grad_()
                out = _differentiable(_chosen(function(x.clone(), *tensors[1:]), output, method), method, None)
                if out.shape[:1] != x.shape[:1]:
                    raise StudentCodeError("wrong shape", f"{method} should give one row an example of the batch.")
                directions = torch.eye(out[0].numel(), dtype=out.dtype, device=out.device)[first:last]
                rows = directions.view(-1, 1, *out.shape[1:]).expand(-1, *out.shape)
                return torch.cat([_pulled_back(out, x, part) for part in rows.split(AT_ONCE)])

        return self._as_it_runs(target, call)

    def do_parameters(self, target: int) -> dict:
        """{name: array} of the object's parameters."""
        return self._parameters(target)

    def _parameters(self, target: int) -> dict:
        with students_code(f"the parameters of {type(self.objects[target]).__name__}"):
            return dict(self.objects[target].named_parameters())

    def _keep(self, made) -> int:
        self.objects.append(made)
        return len(self.objects) - 1

    def _lookup(self, name: str):
        if name not in self.namespace:
            raise StudentCodeError("missing", f"the notebook defines no {name}.")
        return self.namespace[name]

    @contextmanager
    def _called(self, target, method, args, seed, train=False):
        """The function to call and its arguments as tensors on the object's device, under seed and mode."""
        if target is None:
            obj, function, label = nn.Module(), self._lookup(method), method
        else:
            obj, label = self.objects[target], f"{type(self.objects[target]).__name__}.{method}"
            with students_code(label):  # a property is computed by being asked for
                function = getattr(obj, method, None)
            if function is None:
                raise StudentCodeError("missing", f"{type(obj).__name__} has no method {method}.")
        # Copied, because an array that came through a buffer is read-only, and torch warns about such.
        args = [torch.tensor(a, device="cpu") if isinstance(a, np.ndarray) else a for a in args]
        if target is not None:  # a function of the notebook gets what it is given
            real = torch.float64 if target in self.precise else torch.float32
            args = [a.to(real) if _is_real(a) else a for a in args]
        away = target in self.accelerated
        if away:
            args = [_moved(a, self._accelerator) if isinstance(a, torch.Tensor) else a for a in args]
        kept = _left_alone(obj) if train and target in self.trained else nullcontext()
        apart = tensors.withheld() if target is None else nullcontext()
        default = self._default_device if away else nullcontext()
        with students_code(label), seeded(seed), apart, default:
            own = _own_generators((*self.namespace.values(), *_attributes(obj)), seed)
            with own, _mode(obj, train), kept:
                yield function, args


@contextmanager
def students_code(label: str):
    """What goes wrong in here went wrong in the student's code, and is said in its terms."""
    try:
        yield
    except StudentCodeError:
        raise
    except (Exception, SystemExit) as error:
        if _is_stub(error):
            raise StudentCodeError("not implemented", f"{_stub(error, label)} is not implemented yet") from error
        raise StudentCodeError("raised", f"{label} raised {_described(error)}{_where(error)}") from error


def _attributes(module: nn.Module) -> list:
    """What the student keeps in a module and in the modules in it."""
    return [value for part in module.modules() for value in vars(part).values()]


@contextmanager
def _own_generators(values: Sequence, seed: int):
    """Generators of the student's own start from a seed of theirs, too, and are put back afterwards."""
    # By their types: to ask a student's object for its class may run its code.
    own = [v for v in values if type(v) in SEEDED]
    before = [SEEDED[type(v)](v) for v in own]
    kinds: dict[type, int] = {}
    for generator in own:
        kind = type(generator)
        kinds[kind] = kinds.get(kind, 0) + 1
        at = (seed + kinds[kind] * APART) % 2**32
        if kind is torch.Generator:
            generator.manual_seed(at)
        elif kind is np.random.RandomState:
            generator.seed(at)
        else:
            generator.bit_generator.state = type(generator.bit_generator)(at).state
    try:
        yield
    finally:
        for put_back in before:
            put_back()


def _stands(get: Callable, put: Callable) -> Callable:
    """generator -> what puts it back to where it stands now."""

    def now(generator) -> Callable[[], None]:
        state = get(generator)
        return lambda: put(generator, state)

    return now


SEEDED: dict[type, Callable] = {
    torch.Generator: _stands(lambda g: g.get_state(), lambda g, s: g.set_state(s)),
    np.random.RandomState: _stands(lambda g: g.get_state(), lambda g, s: g.set_state(s)),
    np.random.Generator: _stands(lambda g: g.bit_generator.state, lambda g, s: setattr(g.bit_generator, "state", s)),
}


@contextmanager
def _mode(module: nn.Module, train: bool):
    """Train or eval mode for a while. The flags are set by hand: a student may have a method called `train`."""
    before = [(m, m.training) for m in module.modules() if m.training != train]
    for m, _ in before:
        _set_mode(m, train)
    try:
        yield
    finally:
        for m, training in before:
            _set_mode(m, training)


def _set_mode(module: nn.Module, train: bool) -> None:
    """Past nn.Module's own __setattr__, which takes a tenth of a check; what is compiled keeps it elsewhere."""
    if "training" in vars(module):
        vars(module)["training"] = train
    else:
        module.training = train


@contextmanager
def _left_alone(module: nn.Module):
    """Training mode moves running statistics: those of a trained model are put back as they were."""
    before = {k: v.clone() for k, v in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(before)


def _is_of_devices(error: StudentCodeError) -> bool:
    """Whether the code failed because some of its tensors were on another device than the rest."""
    return error.kind == "raised" and re.search(r"\bdevices?\b|cuda|\bmps\b|\bxpu\b", error.message, re.I) is not None


def _moved(x: torch.Tensor, there: torch.device) -> torch.Tensor:
    """On another device; in single precision where it has no double."""
    return (x.float() if there.type == "mps" and x.dtype == torch.float64 else x).to(there)


def _is_real(value) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _chosen(out, output: int, method: str):
    """One of several results; where there is one only, that."""
    if not isinstance(out, tuple | list):
        return out
    if output >= len(out):
        raise StudentCodeError("wrong type", f"{method} should return at least {output + 1} values, got {len(out)}.")
    return out[output]


def _differentiable(out, method: str, cotangent) -> torch.Tensor:
    if not isinstance(out, torch.Tensor):
        raise StudentCodeError("wrong type", f"{method} should return a tensor, not {_type(out)}.")
    if cotangent is not None and out.shape != cotangent.shape:
        got = tuple(out.shape)
        raise StudentCodeError("wrong shape", f"{method} should have shape {cotangent.shape}, got {got}.")
    if not out.requires_grad:
        raise StudentCodeError("no gradient", f"no gradient flows through {method}: is something under no_grad?")
    return out


def _pulled_back(out: torch.Tensor, x: torch.Tensor, cotangents: torch.Tensor) -> torch.Tensor:
    """The gradient of Σ cotangent · out by x for every one of the cotangents: (R, *out.shape) -> (R, *x.shape)."""

    def pulled(cotangent, batched):
        grad = torch.autograd.grad(out, x, cotangent, retain_graph=True, is_grads_batched=batched, allow_unused=True)[0]
        return x.new_zeros(*cotangent.shape[: int(batched)], *x.shape) if grad is None else grad

    try:
        return pulled(cotangents, batched=True)
    except RuntimeError:  # an operation that knows no batches of gradients
        return torch.stack([pulled(cotangent, batched=False) for cotangent in cotangents])


def _as_tuple(value):
    """A shape was a tuple before it travelled as JSON."""
    return tuple(value) if isinstance(value, list) else value


def _is_stub(error: BaseException) -> bool:
    """torch raises NotImplementedError too, for a type that an operation does not take."""
    return isinstance(error, NotImplementedError) and (not str(error) or str(error).startswith("Exercise "))


def _described(error: BaseException) -> str:
    text = str(error).strip()
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _students_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The student's own functions on the way to the error, outermost first."""
    return [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if not f.filename.startswith(NOT_THE_STUDENTS) and "site-packages" not in f.filename
    ]


def _where(error: BaseException, most: int = 3) -> str:
    """The lines of the student's own code that led to the error: where it happened, and who called that."""
    said = []
    for frame in _students_frames(error)[::-1][:most]:
        line = frame.line or linecache.getline(frame.filename, frame.lineno).strip()  # type: ignore[arg-type]
        if line:
            said.append(f"in {frame.name}, line {frame.lineno} of its cell: {line[:200]}")
    return f" — {', called '.join(said)}" if said else ""


def _stub(error: BaseException, label: str) -> str:
    """Which method or function is still a stub: `sample` (of MADE)."""
    tb = error.__traceback__  # type: Any
    while tb.tb_next:
        tb = tb.tb_next
    code = tb.tb_frame.f_code
    if code.co_filename.startswith(NOT_THE_STUDENTS) or "site-packages" in code.co_filename:
        return f"`{label}`"
    owner, _, name = code.co_qualname.replace("<locals>.", "").rpartition(".")
    return f"`{owner}.{name}`" if name == "__init__" else f"`{name}`" + (f" (of {owner})" if owner else "")


def _shown(args: list, kwargs: dict) -> str:
    return ", ".join([*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())])


def _type(value) -> str:
    return "None (is a return missing?)" if value is None else type(value).__name__


def _perturb(module: nn.Module, weights: float, biases: float, seed: int) -> None:
    """Weights as random as a default initialisation and more, whichever one the student's code begins with.

    A matrix or kernel is brought to the spread that torch's default initialisation would give it, and gets noise of
    `weights`/√fan_in besides; what has one dimension gets noise of `biases`/2. Nothing starts out as zero or identity,
    and what a check sees does not hang on the student's choice of an initialisation. Frozen parameters stay as they
    are, and so do exact zeros, which are a mask's work, unless the whole tensor is one value.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    for p in module.parameters():
        size = weights if p.ndim > 1 else biases
        if isinstance(p, nn.UninitializedParameter) or not (size and p.requires_grad and p.is_floating_point()):
            continue
        p.data.copy_(_randomised(p.data, size, generator))


def _randomised(values: torch.Tensor, size: float, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(values.shape, generator=generator, dtype=values.dtype, device="cpu").to(values.device)
    if values.ndim <= 1:
        live = (values != 0) | (values == values.mean()).all()
        return values + 0.5 * size * noise * live
    fan_in = max(1, values.shape[1:].numel())
    if not values.numel():
        return values
    if (values == values.flatten()[0]).all():
        return values + size * fan_in**-0.5 * noise
    live = values != 0
    mean, spread = values[live].mean(), values[live].std(correction=0).clamp_min(1e-12)
    default = (3 * fan_in) ** -0.5  # the standard deviation of U(−1/√fan_in, 1/√fan_in)
    return torch.where(live, mean + (values - mean) * default / spread + size * fan_in**-0.5 * noise, values)


def encode(value, arrays: list | None = None) -> tuple[Any, list[np.ndarray]]:
    """(JSON value, arrays) of a student's result. Raises StudentCodeError for what is no array or number."""
    arrays = [] if arrays is None else arrays
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, np.ndarray | np.generic):
        array = np.array(value)  # a copy: the student's code may go on to change its own
        if array.dtype.kind not in "biuf":
            raise StudentCodeError("wrong type", f"an array of type {array.dtype} came back; numbers are needed.")
        arrays.append(array)
        return {"array": len(arrays) - 1}, arrays
    if value is None or type(value) in (bool, int, float, str):
        return value, arrays
    if isinstance(value, tuple | list):
        return [encode(v, arrays)[0] for v in value], arrays
    if isinstance(value, dict):
        return {"dict": {str(k): encode(v, arrays)[0] for k, v in value.items()}}, arrays
    raise StudentCodeError("wrong type", f"a {type(value).__name__} came back; an array is needed.")


def decode(value, arrays: list[np.ndarray]):
    """The value that `encode` made: numpy arrays in their places."""
    if isinstance(value, dict):
        if set(value) == {"array"}:
            array = arrays[value["array"]]
            return array.astype(np.float32) if array.dtype == np.float16 else array  # not much can compute with halves
        inner = value["dict"] if set(value) == {"dict"} else value
        return {k: decode(v, arrays) for k, v in inner.items()}
    if isinstance(value, list):
        return [decode(v, arrays) for v in value]
    return value
