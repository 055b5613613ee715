"""Where tensors live. The kit follows the device of the model that it is given, whatever torch's default device is."""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator

import torch
from torch import nn


def device() -> torch.device:
    """The fastest device of this machine: a CUDA GPU, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def of_model(model: nn.Module) -> torch.device:
    """Where a model's weights are; torch's default device for a model without any."""
    return next((t.device for t in (*model.parameters(), *model.buffers())), torch.get_default_device())


def of_function(function: Callable) -> torch.device:
    """Where a function of a model expects its points: `model.log_prob`, the model itself, `lambda x: model(x)[0]`.

    torch's default device for a function that names no model.
    """
    models = (value for value in _named_in(function) if isinstance(value, nn.Module))
    return next(map(of_model, models), torch.get_default_device())


def _named_in(function: Callable) -> Iterator[object]:
    """The function, what it is bound to, and what its code names."""
    yield function
    if isinstance(function, functools.partial):
        yield from _named_in(function.func)
    yield getattr(function, "__self__", None)
    if isinstance(function, types.FunctionType):
        names = inspect.getclosurevars(function)
        yield from (*names.nonlocals.values(), *names.globals.values())


def back_on(model: nn.Module, before: dict[str, torch.device]) -> None:
    """Move a model that was all on one device, as `of_tensors` said then, back to it."""
    if len(set(before.values())) == 1 and of_tensors(model) != before:
        model.to(next(iter(before.values())))


def of_tensors(model: nn.Module) -> dict[str, torch.device]:
    """The device of each of a model's tensors, by its name."""
    return {name: tensor.device for name, tensor in model.state_dict(keep_vars=True).items()}


def made_on_cpu() -> contextlib.AbstractContextManager:
    """For a while tensors are made on the CPU where nothing else is said, whatever set_default_device said."""
    # Only where it differs: it costs every call of torch a little.
    return contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
