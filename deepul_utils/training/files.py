"""Weights, frames and samples as they stand on disk."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from deepul_utils import origins, places
from deepul_utils.errors import Diverged, KitError, NotSaved
from deepul_utils.exercises import exercise_of
from deepul_utils.training.histories import History, _thinned
from deepul_utils.training.runs import Run


def _save(name: str, file: Path, model: nn.Module, history: History, run: Run) -> None:
    from safetensors.torch import save

    weights = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    if bad := _not_finite(model):
        raise Diverged(
            f"{exercise_of(name)}: training ended with nan or infinite values in {_listed(bad)}; not saved. "
            "Lower the learning rate, or look for a log of zero."
        )
    if history.frames:
        with _atomic(_frames_file(file)) as temporary:
            temporary.write_bytes(save({k: v.contiguous() for k, v in history.frames.items()}))
    metadata = dict(name=name, history=json.dumps(_thinned(history)), code=json.dumps(run.code()))
    if lost := run.lost():
        metadata["lost"] = json.dumps(lost)
    with _atomic(file) as temporary:
        temporary.write_bytes(save(weights, metadata=metadata))
        if file.exists():
            shutil.copyfile(file, file.with_name(f"{name}.previous.safetensors"))


def _not_finite(model: nn.Module) -> list[str]:
    """The names of parameters that are nan or infinite, and of buffers that are nan: a mask may well be −∞."""
    parameters = {k for k, _ in model.named_parameters(remove_duplicate=False)}
    real = {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor) and v.is_floating_point()}
    return [k for k, v in real.items() if not torch.isfinite(v).all() and (k in parameters or v.isnan().any())]


def _with_memory_of_its_own(model: nn.Module) -> None:
    """Buffers that were made by `expand` are copied: nothing can be written into them, as loading does."""
    for part in model.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None and any(s == 0 and n > 1 for s, n in zip(buffer.stride(), buffer.shape, strict=True)):
                part._buffers[name] = buffer.clone(memory_format=torch.contiguous_format)


def _load(name: str, file: Path, model: nn.Module) -> History:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stored:
            weights = {k: stored.get_tensor(k) for k in stored.keys()}  # noqa: SIM118 - not a dict
            metadata = stored.metadata() or {}
    except (SafetensorError, OSError, LookupError, AttributeError) as error:  # the last two: of a type unknown to torch
        raise KitError(
            f"{exercise_of(name)}: {places.shown(file)} is no readable weights file ({error}). "
            f"Train it anew with trained({name!r}, …, retrain=True)."
        ) from None
    _require_fit(name, file, weights, model.state_dict())
    model.load_state_dict(weights)
    try:
        return History(**json.loads(metadata.get("history", "{}")), frames=_read_frames(file))
    except (ValueError, TypeError, RecursionError):  # the weights are good without it
        return History()


def _require_fit(name: str, file: Path, stored: dict, wanted: dict) -> None:
    shapes = [
        f"{k} is {tuple(stored[k].shape)}, should be {tuple(wanted[k].shape)}"
        for k in stored.keys() & wanted.keys()
        if not is_lazy(wanted[k]) and stored[k].shape != wanted[k].shape
    ]
    problems = {
        "missing": sorted(wanted.keys() - stored.keys()),
        "unexpected": sorted(stored.keys() - wanted.keys()),
        "of another shape": sorted(shapes),
    }
    said = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
    if said:
        raise KitError(
            f"{exercise_of(name)}: the weights in {places.shown(file)} do not fit your model ({said}). "
            f"They were trained with another version of your class. Train anew with "
            f"trained({name!r}, …, retrain=True); the old weights are kept beside the new."
        )


def _shapes(weights: dict) -> dict:
    return {k: v.shape for k, v in weights.items() if not is_lazy(v)}


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _frames_file(file: Path) -> Path:
    """Where the frames are that belong to a file of weights."""
    return file.with_suffix(".frames.safetensors")


def _read_frames(file: Path) -> dict[str, Tensor]:
    """The frames of a training; none where there are none that can be read: the weights are good without them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(_frames_file(file))
    except (SafetensorError, OSError):
        return {}


def _read_samples(file: Path, weights: str) -> tuple[Tensor | None, dict[str, str]]:
    """Samples that were drawn from these weights, and by which code; None where there are none that can be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("weights") == weights:
                return stored.get_tensor("samples"), origins.own_metadata(metadata, "code", dict)
    except (SafetensorError, OSError):  # what cannot be read is drawn again
        pass
    return None, {}


def _save_samples(file: Path, samples: Tensor, weights: str, code: dict[str, str]) -> None:
    from safetensors.torch import save

    metadata = {"weights": weights, "code": json.dumps(code)}
    with _atomic(file) as temporary:
        temporary.write_bytes(save({"samples": _small(samples.detach().cpu())}, metadata=metadata))


def _small(samples: Tensor) -> Tensor:
    """Levels below 256 as bytes: samples travel by mail, too."""
    levels = not samples.is_floating_point() and samples.numel() and samples.min() >= 0 and samples.max() < 256
    return samples.to(torch.uint8).contiguous() if levels else samples.contiguous()


@contextlib.contextmanager
def _atomic(file: Path):
    """A temporary name beside `file` that takes its place when everything is written, or not at all.

    Its folder is made where there is none. Raises NotSaved where the disk is full, or may not be written to.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())  # or a power cut could leave the new name without its content
        os.replace(temporary, file)
    except OSError as error:
        raise NotSaved(f"{file} could not be written ({error.strerror or error}).") from None
    finally:
        with contextlib.suppress(OSError):  # of a folder that may not be written to
            temporary.unlink(missing_ok=True)
