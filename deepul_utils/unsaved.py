"""State of a model that its weights do not hold: a flag, a tensor that is no buffer. Saved and loaded, it is lost."""

import contextlib
import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

OF_TORCH = frozenset(vars(nn.Module()))
MOST = 8  # attributes that are tried out one by one
TOLERANCE = 1e-5  # of the loss: the same sums in the same order differ by nothing
ABSENT = object()

Place = tuple[str, str]  # the path of a module within the model, and the name of an attribute


def lost(model: nn.Module, fresh: nn.Module, probe: Callable[[], float] | None) -> list[str]:
    """What of a trained model a fresh one would not have that its weights are loaded into: ["ActNorm.initialised"].

    fresh: the model as it was before training. probe: a loss of the model on some data, the same at every call. What
    makes no difference to it (a counter, a result that is kept) is no loss. Without a probe, only a switch that was
    turned, and numbers that were there before and moved, count. The model is left as it was.
    """
    places = differing(model, fresh)
    if not places or probe is None:
        return _named(model, [place for place in places if _is_state(model, fresh, place)])
    as_trained = _measured(model, fresh, [], probe)
    if as_trained is None or _same(as_trained, _measured(model, fresh, places, probe)):
        return []
    kinds = _named(model, places)
    of_kind = {kind: [p for p in places if _named(model, [p]) == [kind]] for kind in kinds[:MOST]}
    alone = [k for k, own in of_kind.items() if not _same(as_trained, _measured(model, fresh, own, probe))]
    return alone or kinds


def differing(model: nn.Module, fresh: nn.Module) -> list[Place]:
    """The plain attributes of the model and of its submodules that are not the same in both."""
    others = dict(fresh.named_modules())
    return [
        (path, name)
        for path, module in model.named_modules()
        if path in others
        for name in sorted((_own(module) | _own(others[path])) - {"training"})
        if _differ(_get(module, name), _get(others[path], name))
    ]


def _own(module: nn.Module) -> set[str]:
    return (set(vars(module)) - OF_TORCH) | module._non_persistent_buffers_set


def _get(module: nn.Module, name: str):
    return module._buffers.get(name, vars(module).get(name, ABSENT))


def _named(model: nn.Module, places: Iterable[Place]) -> list[str]:
    modules = dict(model.named_modules())
    return sorted({f"{type(modules[path]).__name__}.{name}" for path, name in places})


def _differ(one, other) -> bool:
    """Whether two plain values differ; of anything else it is not known, and it does not count."""
    if isinstance(one, Tensor | np.ndarray) and isinstance(other, Tensor | np.ndarray):
        one, other = (np.asarray(v.detach().cpu() if isinstance(v, Tensor) else v) for v in (one, other))
        return one.shape != other.shape or not np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
    if isinstance(one, nn.Module) and isinstance(other, nn.Module):  # hidden in a list: no module of the model's
        return _differ(one.state_dict(), other.state_dict())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() != other.keys() or any(_differ(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) != len(other) or any(map(_differ, one, other))
    if _is_plain(one) and _is_plain(other):
        return one is not other and one != other and not (one != one and other != other)
    return (_is_plain(one) or _is_array(one)) and (_is_plain(other) or _is_array(other))


def _is_plain(value) -> bool:
    return value is None or value is ABSENT or type(value) in (bool, int, float, str)


def _is_array(value) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _is_state(model: nn.Module, fresh: nn.Module, place: Place) -> bool:
    path, name = place
    one, other = (_get(m.get_submodule(path), name) for m in (model, fresh))
    if isinstance(one, bool) and isinstance(other, bool):
        return True
    return _is_array(one) and _is_array(other) and one.shape == other.shape


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:  # it is not known: nothing is said
        return True
    return one == other or abs(one - other) <= TOLERANCE * (abs(one) + 1e-6)


def _measured(model: nn.Module, fresh: nn.Module, places: list[Place], probe: Callable[[], float]) -> float | None:
    """The probe in eval mode, with some attributes as they are in the fresh model. None where it fails."""
    with _left_as_it_was(model):
        try:
            for path, name in places:
                _set(model.get_submodule(path), name, _get(fresh.get_submodule(path), name))
            return float(probe())
        except Exception:  # whatever the student's code makes of it
            return None


def _set(module: nn.Module, name: str, value) -> None:
    where = module._buffers if name in module._buffers else vars(module)
    if value is ABSENT:
        where.pop(name, None)
    else:
        value, now = copy.deepcopy(value), where.get(name)
        if isinstance(value, Tensor) and isinstance(now, Tensor):
            value = value.to(now.device)  # the model may have been trained on another one
        where[name] = value


@contextlib.contextmanager
def _left_as_it_was(model: nn.Module):
    """In eval mode for a while; every attribute, weight, buffer and gradient is put back afterwards."""
    modules = [(module, dict(vars(module))) for module in model.modules()]
    containers = [(v, copy.copy(v)) for _, kept in modules for v in kept.values() if isinstance(v, dict | list | set)]
    tensors = [*model.parameters(), *model.buffers()]
    values, gradients = [t.detach().clone() for t in tensors], [t.grad for t in tensors]
    for module, _ in modules:
        module.training = False
    try:
        yield
    finally:
        for module, kept in modules:
            vars(module).clear()
            vars(module).update(kept)
        for container, content in containers:  # themselves, because somebody else may hold them too
            container.clear()
            container.extend(content) if isinstance(container, list) else container.update(content)
        for tensor, value, gradient in zip(tensors, values, gradients, strict=True):
            if not torch.equal(tensor.detach(), value):
                tensor.data.copy_(value)
            tensor.grad = gradient
