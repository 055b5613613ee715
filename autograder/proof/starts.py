"""Other weights to begin with: what a right answer earns must not hang on its initialisation."""

import math
from collections.abc import Callable

import torch
from torch import nn

from autograder.proof.changes import Start

# name -> what is done to a matrix or kernel that is trained
WEIGHTS: dict[str, Callable[[torch.Tensor], object]] = {
    "torch's own": lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)),
    "xavier": nn.init.xavier_uniform_,
    "he-uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "he-normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
    "narrow": lambda w: nn.init.normal_(w, 0, 0.02),
    "zeros-filled": lambda w: None if w.any() else nn.init.xavier_normal_(w),
    "standard-normal": nn.init.normal_,
}


def of_exercise(exercise: str) -> list[Start]:
    """Every start, and two of them with frozen masks."""
    starts = [Start(name, exercise, name, False) for name in WEIGHTS]
    return starts + [Start(f"{name}, frozen masks", exercise, name, True) for name in ("torch's own", "he-normal")]


def initialise(start: Start) -> Callable[[nn.Module, int], None]:
    """What a Workbench does to every object that it makes."""

    def apply(module: nn.Module, seed: int) -> None:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed + 1)
            for p in module.parameters():
                if p.requires_grad and p.is_floating_point() and not isinstance(p, nn.UninitializedParameter):
                    _restart(p, start.start)
        if start.frozen:
            for part in module.modules():
                _freeze_masks(part)

    return apply


def _restart(p: nn.Parameter, start: str) -> None:
    """Zeros that are a mask's work stay; parameters of one dimension change where everything is N(0, 1)."""
    kept = (p != 0) | (p == 0).all()
    if p.ndim > 1:
        WEIGHTS[start](p)
        p.mul_(kept)
    elif start == "standard-normal":
        p.copy_(torch.randn_like(p) * kept)


def _freeze_masks(part: nn.Module) -> None:
    for name, buffer in list(part.named_buffers(recurse=False)):
        if buffer.is_floating_point() and buffer.ndim > 1 and ((buffer == 0) | (buffer == 1)).all():
            delattr(part, name)
            setattr(part, name, nn.Parameter(buffer, requires_grad=False))
