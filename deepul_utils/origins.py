"""Where a model's weights come from: which file, which code, and whether they are still what is in memory.

What is graded is the file; what a live check sees is the model in memory, and the classes as they are now. Where these
are not the same, `notes` says so.
"""

import hashlib
import json
import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from deepul_utils import fingerprint, places


@dataclass
class Origin:
    """Where the weights of a model in memory come from.

    file, content: the file that holds them, and a digest of all of it. weights: a digest of them alone. versions: of
    each tensor in memory, which object it was and how often it had been changed in place by then. code: what made
    them, as fingerprint.Code.made tells it; drawn: the same of the samples in memory; {} where it is not known.
    lost: state of the trained model that is not in the file. fit: the function that trained or would have trained.
    """

    file: Path
    content: str
    weights: str
    versions: dict[str, tuple[int, int]]
    code: dict[str, str]
    lost: list[str]
    fit: Callable | None
    drawn: dict[str, str] = field(default_factory=dict)


PUT_BY_HAND = "the model under this name was put there by hand. What is graded is the one that trained(…) was given."

_origins: "weakref.WeakKeyDictionary[nn.Module, dict[str, Origin]]" = weakref.WeakKeyDictionary()


def of(model: nn.Module, name: str) -> Origin | None:
    """Where a model's weights come from, as far as they were trained or loaded under this name."""
    try:
        return _origins.get(model, {}).get(name)
    except TypeError:  # what a notebook puts among its models by itself may be anything
        return None


def remember(name: str, file: Path, model: nn.Module, fit: Callable | None) -> Origin:
    """Note that the model in memory is what this file holds: it was just loaded from it, or saved to it."""
    metadata = _metadata(file)
    origin = Origin(
        file,
        _content(file),
        digest(model),
        _versions(model),
        own_metadata(metadata, "code", dict),
        own_metadata(metadata, "lost", list),
        fit,
    )
    _origins.setdefault(model, {})[name] = origin
    return origin


def _metadata(file: Path) -> dict:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as stored:
        return stored.metadata() or {}


def own_metadata(metadata: dict, key: str, kind: type):
    """What a file says of itself, if it says it in the form that is ours: files come from anywhere."""
    try:
        value = json.loads(metadata.get(key, "null"))
    except (ValueError, RecursionError):
        return kind()
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    return value if isinstance(value, kind) and all(isinstance(v, str) for v in inner) else kind()


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _versions(model: nn.Module) -> dict[str, tuple[int, int]]:
    return {k: (id(v), -1 if v.is_inference() else v._version) for k, v in model.state_dict(keep_vars=True).items()}


def changed_since(model: nn.Module, origin: Origin, buffers: bool = False) -> bool:
    """Whether a model's parameters have become others since they were loaded or saved. buffers: or its buffers, much.

    Masks that a forward pass lays over the weights in place change nothing: entries that have become zero do not count,
    nor does what goes past autograd, by `.data`, which no optimiser does.
    """
    now, tensors = _versions(model), model.state_dict(keep_vars=True)
    if now.keys() != origin.versions.keys():
        return True
    parameters = {k for k, v in tensors.items() if isinstance(v, nn.Parameter)}
    asked = {k for k in parameters if now[k] != origin.versions[k]}
    if buffers:  # batch normalisation moves its own without a trace
        asked |= {k for k in tensors.keys() - parameters if tensors[k].is_floating_point()}
    if not asked:
        return False
    from safetensors import SafetensorError, safe_open

    try:
        if _content(origin.file) != origin.content:
            return True
        with safe_open(origin.file, framework="pt") as stored:
            before = {k: stored.get_tensor(k) for k in asked}
    except (SafetensorError, OSError):
        return True
    weights = {k: tensors[k].detach().cpu() for k in asked}
    return any(_moved(weights[k], before[k].to(weights[k].dtype), k in parameters) for k in asked)


def _moved(now: Tensor, before: Tensor, parameter: bool) -> bool:
    if now.shape != before.shape:
        return parameter
    if parameter:
        return bool(((now != before) & (now != 0)).any())
    return bool((now - before).norm() > 0.01 * before.norm() + 1e-6)


def by_other(changed: list[str]) -> str:
    """That something was made by other code than the notebook has now, in words. changed: units of Code.changed."""
    return f"by another version of your code ({fingerprint.listed(changed)} changed)"


def not_saved(lost: list[str]) -> str:
    """That attributes of a model are in no weights file, in words, with what to do. lost: their names."""
    listed, are = ", ".join(lost), "is" if len(lost) == 1 else "are"
    return (
        f"{listed} {are} not saved with the weights, and without it the loaded model is another one, which is "
        "what is graded. Keep it in a buffer: self.register_buffer(…)."
    )


def notes(name: str, models: dict[str, nn.Module], namespace: dict) -> list[str]:
    """What to know of the trained models behind a check of exercise `name`: sentences for the student and for the TA.

    models: by the name of their artifacts; namespace: what the notebook defines now.
    """
    ours = ((k, m, of(m, k)) for k, m in models.items() if k.split(".")[0] == name.split(".")[0])
    said = {k: _notes(model, origin, namespace) if origin else [PUT_BY_HAND] for k, model, origin in ours}
    return [f"{k}: {note}" for k, notes in said.items() for note in notes]


def _notes(model: nn.Module, origin: Origin, namespace: dict) -> list[str]:
    said, file = [], places.shown(origin.file)
    if not origin.file.exists():
        said.append(f"{file} is gone, and the file is what is graded: run its cell again.")
    elif _content(origin.file) != origin.content:
        said.append(f"{file} holds other weights by now than this notebook: run its cell again to load them.")
    elif changed_since(model, origin, buffers=True):
        said.append(
            f"the model in this notebook was changed after its weights were saved to {file}, and the file is what "
            "is graded: run its cell again."
        )
    if _is_unfinished(origin.file):
        said.append("its training anew was interrupted, and the weights from before are graded: run its cell to go on.")
    changed = fingerprint.changed(origin.code, model, origin.fit, namespace)
    # A number such as `steps` is set anew by the next exercise; where it was set for this one, `trained` compares it.
    changed = [unit for unit in changed if not fingerprint.is_variable(unit, namespace)]
    if changed:
        said.append(f"its weights were trained {by_other(changed)}; retrain=True trains anew.")
    redefined = fingerprint.changed(origin.drawn, model, None, namespace)
    if redefined:
        said.append(f"its samples were drawn {by_other(redefined)}; drawn(…, redraw=True) draws anew.")
    return said + ([not_saved(origin.lost)] if origin.lost else [])


def _is_unfinished(file: Path) -> bool:
    """Whether a training that was to replace these weights was interrupted."""
    left = re.compile(rf"{re.escape(file.stem)}\.(\d+|weights)\.checkpoint\.pt")
    return any(left.fullmatch(other.name) for other in file.parent.glob("*.pt"))


def digest(model: nn.Module) -> str:
    """Of a model's weights and buffers."""
    read = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        read.update(key.encode() + value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return read.hexdigest()
