"""The student's side of the door: runs beside the student's code, wherever that is.

`Workbench.handle` takes one request and answers it. Requests and replies are JSON values in which an
array stands as {"array": k}, the k-th of the arrays that travel beside it, so that the same messages
work within a process and between processes. No tensor, module or callable ever leaves.
"""

import copy
import linecache
import sysconfig
import traceback
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from deepul_utils.training import seeded

KIT = Path(__file__).resolve().parent.parent
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

    namespace: what the notebook defined. models: what it trained, by artifact name; samples: what it drew of them.
    """

    def __init__(self, namespace: dict, models: dict, samples: dict | None = None):
        self.namespace, self.models = namespace, models
        self.samples = {} if samples is None else samples
        self.objects: list = []

    def handle(self, request: dict, arrays: list[np.ndarray]) -> tuple[object, list[np.ndarray]]:
        """Answer one request. Raises StudentCodeError for what the student's code did wrong."""
        operation = getattr(self, f"do_{request['do']}")
        arguments = {k: v for k, v in request.items() if k != "do"}
        result = operation(**decode(arguments, arrays))
        with students_code("reading what came back"):
            return encode(result)

    def do_construct(self, name: str, args: list, kwargs: dict, seed: int, perturb: float, biases: float | None) -> int:
        """A new object of class `name`; weights then get noise of size `perturb` (0: none), biases of theirs."""
        cls = self._lookup(name)
        with seeded(seed), students_code(f"{name}({_shown(args, kwargs)})"):
            made = cls(*map(_as_tuple, args), **{k: _as_tuple(v) for k, v in kwargs.items()})
        if not isinstance(made, nn.Module):
            raise StudentCodeError("wrong type", f"{name} should be a torch.nn.Module, not {_type(made)}.")
        made = made.to("cpu")
        _perturb(made, perturb, perturb if biases is None else biases, seed)
        return self._keep(made)

    def do_trained(self, name: str) -> int:
        """The object that the notebook trained under `name`."""
        if name not in self.models:
            raise StudentCodeError(
                "untrained", f"nothing was trained under the name {name!r}: run the cell with trained({name!r}, …)."
            )
        return self._keep(self.models[name])

    def do_drawn(self, name: str):
        """The samples that the notebook drew of what it trained under `name`."""
        if name not in self.samples:
            raise StudentCodeError(
                "untrained", f"nothing was drawn under the name {name!r}: run the cell with drawn({name!r}, …)."
            )
        return self.samples[name]

    def do_call(
        self, target, method: str, args: list, kwargs: dict, seed: int, train: bool = False, differentiate: bool = False
    ):
        """target.method(*args), or the function `method` of the notebook where target is None.

        differentiate: it may take gradients on its way, as a penalty on them does.
        """
        with self._called(target, method, args, seed, train) as (function, args), torch.set_grad_enabled(differentiate):
            result = function(*args, **kwargs)
        return result

    def do_descend(self, target: int, steps: list, seed: int) -> tuple[dict, dict]:
        """{parameter: how far it moved} in steps of training, and {parameter: the gradient that they left or None}.

        Everything is put back as it was.

        steps: (method, part, rate, arguments, keywords) each; the method is called in training mode with its
        arguments and a plain optimiser, θ ← θ − rate · ∇θ, of the parameters of that part of the object.
        """
        made = self.objects[target]
        before = copy.deepcopy(made.state_dict())
        try:
            for method, part, rate, args, kwargs in steps:
                with self._called(target, method, args, seed, train=True) as (function, args), torch.enable_grad():
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
        self, target, method: str, args: list, kwargs: dict, seed: int, wrt: str, cotangent=None, argument: int = 0,
        output: int = 0,
    ):  # fmt: skip
        """Gradient of Σ cotangent · target.method(*args), by one of the arguments or by the parameters.

        wrt "input" returns an array like args[argument]; "parameters" returns {name: array, or None where none
        arrives}. output: which of its results, where it returns several.
        """
        with self._called(target, method, args, seed) as (function, args), torch.enable_grad():
            if wrt == "input":
                sources = {"input": args[argument].requires_grad_()}
                args = [a.clone() if k == argument else a for k, a in enumerate(args)]  # no leaf is worked on in place
            else:
                sources = {k: p for k, p in self.objects[target].named_parameters() if p.requires_grad}
                # What depends on the arguments alone has a gradient, too: none of it for the parameters.
                args = [a.requires_grad_().clone() if _is_real(a) else a for a in args]
            out = function(*args, **kwargs)
            out = _differentiable(_chosen(out, output, method), method, cotangent)
            weight = torch.ones_like(out) if cotangent is None else torch.tensor(cotangent).to(out)
            grads = torch.autograd.grad((out * weight).sum(), list(sources.values()), allow_unused=True)
        if wrt == "input":
            return torch.zeros_like(sources["input"]) if grads[0] is None else grads[0]
        return dict.fromkeys(self._names(target)) | dict(zip(sources, grads, strict=True))

    def do_parameters(self, target: int) -> dict:
        """{name: array} of the object's parameters."""
        return dict(self.objects[target].named_parameters())

    def _names(self, target: int) -> list[str]:
        return [name for name, _ in self.objects[target].named_parameters()]

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
            obj = self.objects[target]
            function, label = getattr(obj, method, None), f"{type(obj).__name__}.{method}"
            if function is None:
                raise StudentCodeError("missing", f"{type(obj).__name__} has no method {method}.")
        device = next((p.device for p in obj.parameters()), "cpu")
        # Copied, because an array that came through a buffer is read-only, and torch warns about such.
        args = [torch.tensor(a, device=device) if isinstance(a, np.ndarray) else a for a in args]
        with seeded(seed), _mode(obj, train), students_code(label):
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
            raise StudentCodeError("not implemented", str(error) or f"{label} is not implemented yet") from error
        raise StudentCodeError("raised", f"{label} raised {_described(error)}{_where(error)}") from error


@contextmanager
def _mode(module: nn.Module, train: bool):
    """Train or eval mode for a while. The flags are set by hand: a student may have a method called `train`."""
    before = [(m, m.training) for m in module.modules()]
    for m, _ in before:
        m.training = train
    try:
        yield
    finally:
        for m, training in before:
            m.training = training


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


def _as_tuple(value):
    """A shape was a tuple before it travelled as JSON."""
    return tuple(value) if isinstance(value, list) else value


def _is_stub(error: BaseException) -> bool:
    """torch raises NotImplementedError too, for a type that an operation does not take."""
    return isinstance(error, NotImplementedError) and (not str(error) or str(error).startswith("Exercise "))


def _described(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(error: BaseException) -> str:
    """The last line of the student's own code on the way to the error."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__)
        if not f.filename.startswith(NOT_THE_STUDENTS) and "site-packages" not in f.filename
    ]  # fmt: skip
    if not frames:
        return ""
    last = frames[-1]
    line = last.line or linecache.getline(last.filename, last.lineno).strip()
    return f" — in {last.name}, line {last.lineno} of its cell: {line}" if line else ""


def _shown(args: list, kwargs: dict) -> str:
    return ", ".join([*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())])


def _type(value) -> str:
    return "None (is a return missing?)" if value is None else type(value).__name__


def _perturb(module: nn.Module, weights: float, biases: float, seed: int) -> None:
    """Add noise as large as a default initialisation, so that nothing starts out as zero or identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            size = weights if p.ndim > 1 else biases
            if size and not isinstance(p, nn.UninitializedParameter) and p.is_floating_point():
                fan_in = max(1, p.shape[1:].numel()) if p.ndim > 1 else 4
                p += size * fan_in**-0.5 * torch.randn(p.shape, generator=generator, dtype=p.dtype)


def encode(value, arrays: list | None = None) -> tuple[object, list[np.ndarray]]:
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
            return arrays[value["array"]]
        inner = value["dict"] if set(value) == {"dict"} else value
        return {k: decode(v, arrays) for k, v in inner.items()}
    if isinstance(value, list):
        return [decode(v, arrays) for v in value]
    return value
