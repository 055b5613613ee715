"""What `fit`, `play`, `trained` and `drawn` are called with: what they cannot take is said in words, at once."""

import functools
import inspect
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from deepul_utils.errors import KitError
from deepul_utils.exercises import exercise_of

TRAINED = 'trained("name", model, fit=…)'
HISTORY = 'training.history("name")'
DRAWN = 'drawn("name", lambda: model.sample(…))'
FIT = "fit(model, loss, x, optimizer=…, steps=…)"
PLAY = "play(model, x, optimizers=(…, …), rounds=…)"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # of a file in artifacts/


def called_as(usage: str) -> Callable:
    """A function whose call with an argument missing, unknown or too much is a KitError, which shows `usage`."""

    def decorated(function: Callable) -> Callable:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def called(*args, **kwargs):
            __tracebackhide__ = True
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise KitError(f"It is called as {usage}; here: {error}.") from None
            return function(*args, **kwargs)

        return called

    return decorated


def require_artifact(name: Any, model: Any) -> None:
    """Raises KitError for what `trained` cannot keep: under a name that is no file's, or no model."""
    require_name(name, TRAINED)
    _require_module(model, TRAINED, f"{exercise_of(name)}: ")
    for key, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor):
            raise KitError(
                f"{exercise_of(name)}: only tensors are kept of a model, and state_dict() has {key!r}, "
                f"{_kind(value)}. Keep it as a tensor, by register_buffer, or leave it out."
            )


def require_trains(name: str, fit: Any) -> None:
    """Raises KitError for what is no function, such as the History of one that was called."""
    if not callable(fit):
        raise KitError(
            f"{exercise_of(name)}: fit is the function that trains, by its name, fit=train; got {_kind(fit)}. If you "
            f"called it, leave out its parentheses: {TRAINED}."
        )


def require_aim(name: str, aim: Any) -> None:
    """Raises KitError for what is no number, nor None."""
    if aim is not None and not isinstance(aim, int | float | np.number):
        raise KitError(f"{exercise_of(name)}: aim is the loss to aim at, a number; got {aim!r}.")


def require_samples(name: str, samples: Any) -> None:
    """Raises KitError for what is no tensor of samples, a row each, of real numbers."""
    if isinstance(samples, Tensor) and samples.ndim and not samples.is_complex():
        return
    raise KitError(f"{exercise_of(name)}: draw() should give a tensor of samples, a row each; got {_kind(samples)}.")


def require_draws(name: str, draw: Any) -> None:
    """Raises KitError for samples in the place of what draws them."""
    if not callable(draw):
        raise KitError(
            f"{exercise_of(name)}: what draws is a function, which is not called yet; got {_kind(draw)}: {DRAWN}."
        )


def require_name(name: Any, usage: str) -> None:
    """Raises KitError for what is no name of a file in artifacts/."""
    if not isinstance(name, str):
        raise KitError(f"The name comes first, in quotes; got {_kind(name)}: {usage}.")
    if not NAME.fullmatch(name):
        raise KitError(
            f"{name!r} is no name for a file: it may have letters, digits, '.', '-' and '_'. Take the one that was "
            f"handed out: {usage}."
        )


def require_model(model: Any, usage: str) -> None:
    """Raises KitError for what has no parameters to train."""
    _require_module(model, usage)
    if next(model.parameters(), None) is None:
        raise KitError(
            f"{type(model).__name__} has no parameters to train. Layers and nn.Parameters count when __init__ gives "
            "them to self, after super().__init__(); of a list of layers make an nn.ModuleList."
        )


def _require_module(model: Any, usage: str, where: str = "") -> None:
    if isinstance(model, type):
        made = f"{model.__name__}(…)"
        raise KitError(f"{where}{model.__name__} is a class. Make a model of it first, {made}: {usage}.")
    if not isinstance(model, nn.Module):
        raise KitError(f"{where}The model is a torch.nn.Module; got {_kind(model)}: {usage}.")


def require_data(data: Any, name: str, usage: str) -> None:
    """Raises KitError for what is no data set of `fit`: tensors or arrays, examples first, or a tuple of such."""
    parts = data if isinstance(data, tuple) else (data,)
    for part in parts or (None,):
        if not _has_examples(part):
            raise KitError(
                f"{name} must be a tensor or an array, examples first, or a tuple of such, as (images, labels); got "
                f"{_kind(part)}. {_advice(part, usage)}"
            )
        if len(part) == 0:
            raise KitError(f"{name} has no examples.")


def _has_examples(part: Any) -> bool:
    """Whether torch makes a tensor of it, with one dimension at least."""
    if isinstance(part, Tensor | np.ndarray):
        return part.ndim > 0 and (isinstance(part, Tensor) or part.dtype.kind in "biufc")
    if isinstance(part, Dataset | DataLoader):  # torch would ask these for one example after the other
        return False
    try:
        return torch.as_tensor(part).ndim > 0
    except (TypeError, ValueError, RuntimeError):
        return False


def _advice(part: Any, usage: str) -> str:
    """What to do in the place of giving that."""
    if isinstance(part, DataLoader):
        return "Batches are made for you: give the tensors that the loader reads from."
    if isinstance(getattr(part, "tensors", None), tuple):
        return "Its tensors are what is asked for: dataset.tensors."
    if isinstance(part, Dataset):
        return "Stack its examples into one tensor first: torch.stack([…])."
    if isinstance(part, list):
        return "Put several parts into a tuple, and the examples of one part into one tensor: torch.stack([…])."
    if callable(getattr(part, "sample", None)):
        return "Draw from it first: .sample(10_000)."
    return f"The order is {usage}."


def require_loss(loss: Any, parts: tuple) -> None:
    """Raises KitError for what cannot be called with a batch of each of the parts of a data set."""
    if not callable(loss):
        raise KitError(
            f"The loss is a function of a batch, as lambda x: model.loss(x).mean(); got {_kind(loss)}. "
            f"The order is {FIT}."
        )
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # written in C: what it takes is not known
        return
    try:
        signature.bind(*parts)
    except TypeError:
        what = "x, a batch" if len(parts) == 1 else f"{len(parts)} arguments, a batch of each part of the data"
        raise KitError(f"The loss is called with {what}, but it takes ({', '.join(signature.parameters)}).") from None


def require_valid(valid: tuple, train: tuple) -> None:
    """Raises KitError unless both have as many parts."""
    if len(valid) != len(train):
        raise KitError(f"valid has {len(valid)} parts and the training data {len(train)}: both are given to the loss.")


def require_one_part(parts: tuple) -> None:
    """Raises KitError for images with labels: games know none."""
    if len(parts) != 1:
        raise KitError(f"play takes the data as one tensor; got a tuple of {len(parts)}.")


def require_optimizer(optimizer: Any, model: nn.Module) -> None:
    """Raises KitError for what is no optimiser, or one that moves nothing of the model."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise KitError(
            "The optimiser is made of the parameters that it moves, torch.optim.Adam(model.parameters(), lr=1e-3); got "
            f"{_kind(optimizer)}."
        )
    if isinstance(optimizer, torch.optim.LBFGS):
        raise KitError("LBFGS asks for the loss many times a step, which nothing here gives it. Take Adam or SGD.")
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise KitError(
            "The optimiser moves no parameter of this model: it was made of another one's. Make it anew, of "
            "model.parameters()."
        )


def require_scheduler(scheduler: Any, optimizers: tuple, steps: int, unit: str = "steps") -> None:
    """Raises KitError for what is no schedule of these optimisers, or one that ends too early."""
    if isinstance(scheduler, type) or not callable(getattr(scheduler, "step", None)):
        raise KitError(
            "The scheduler is made of the optimiser whose rate it sets, as CosineAnnealingLR(optimizer, steps); got "
            f"{_kind(scheduler)}."
        )
    if not all(callable(getattr(scheduler, name, None)) for name in ("state_dict", "load_state_dict")):
        raise KitError(
            f"{_kind(scheduler)} has no state_dict() and load_state_dict(), by which an interrupted training goes on. "
            "torch makes a schedule of any function: LambdaLR(optimizer, lambda step: …), the factor of the rate."
        )
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise KitError("ReduceLROnPlateau waits for a loss to be told; take a schedule of steps, as CosineAnnealingLR.")
    if all(getattr(scheduler, "optimizer", optimizer) is not optimizer for optimizer in optimizers):
        raise KitError(
            "The scheduler sets the rate of another optimiser than the one given. Make it anew, of this one."
        )
    last, total = getattr(scheduler, "last_epoch", 0), getattr(scheduler, "total_steps", None)
    if total is not None and last + steps > total:
        used = f", of which {last:,} are used up" if last else ""
        raise KitError(
            f"The schedule has total_steps={total:,}{used}, and {steps:,} {unit} are to be taken. Make it anew before "
            f"every training, with total_steps={steps}."
        )


def require_count(value: Any, name: str, least: int = 1) -> None:
    """Raises KitError for what is no whole number, or less than `least`."""
    try:
        fits = operator.index(value) >= least
    except TypeError:
        fits = False
    if not fits:
        raise KitError(f"{name} must be a whole number from {least} on; got {value!r}.")


def _kind(value: Any) -> str:
    """What it is, for a sentence: "a DataLoader", "the class Adam", "a function"."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.isroutine(value):
        return "a function"
    if isinstance(value, Tensor | np.ndarray):
        return f"a {type(value).__name__} of shape {tuple(value.shape)} and type {value.dtype}"
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
