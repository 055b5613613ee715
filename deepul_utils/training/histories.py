"""How a training went: its losses and settings, and pictures of it."""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from deepul_utils import fingerprint
from deepul_utils.errors import KitError
from deepul_utils.training.randomness import _random_state, _set_random_state


@dataclass
class History:
    """Losses of a training run: `train` at `steps`, `valid` at `valid_steps`, all in the loss's own unit.

    Of a game, `train` is the discriminator's loss, `generator` the generator's; frames: what a Film took.
    settings: how it was trained, as far as it is known, for hints: optimizer (its name), lr (the largest), last_lr,
    betas, weight_decay, batch, steps. Of a game: rounds for steps, discriminator_steps, and generator_lr (its largest).
    valid_error: the standard error of `valid`, by the chance of which examples are in it; 0 where it is not known.
    aim: the loss to aim at, as `trained` was told; it is not kept with the weights.
    """

    steps: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    valid_steps: list[int] = field(default_factory=list)
    valid: list[float] = field(default_factory=list)
    seconds: float = 0.0
    generator: list[float] = field(default_factory=list)
    frames: dict[str, Tensor] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    valid_error: float = 0.0
    aim: float | None = None


class Film:
    """Pictures of a training under way, closer together at its beginning, where more happens.

    frame: () -> {name: tensor}, taken `count` times in so many rounds. `frames` has them stacked, {name: (F, …)},
    with "round", int64 (F,).
    """

    def __init__(self, rounds: int, frame: Callable[[], dict[str, Tensor]], count: int = 8):
        self.frame, self.frames = frame, {}  # type: Callable[[], dict[str, Tensor]], dict[str, Tensor]
        self.at = {round(rounds * (k / (count - 1)) ** 2) for k in range(count)}

    @torch.no_grad()
    def look(self, rounds: int) -> None:
        """Take a picture, if one is due after so many rounds. The players' random numbers are not touched."""
        if rounds not in self.at or rounds in self.frames.get("round", ()):
            return
        before = _random_state()
        with fingerprint.unseen():  # what takes the pictures has no part in the weights
            frame = self.frame()
        _set_random_state(before)
        if not isinstance(frame, dict) or not all(isinstance(v, Tensor | np.ndarray) for v in frame.values()):
            raise KitError('frame gives a picture as {name: tensor}, as lambda: {"samples": model.sample(200)}.')
        taken = {k: (v if isinstance(v, Tensor) else torch.as_tensor(v, device="cpu")) for k, v in frame.items()}
        taken = {k: v.detach().cpu() for k, v in taken.items()} | {"round": torch.tensor(rounds, device="cpu")}
        goes_on = {k: v.shape[1:] for k, v in self.frames.items()} == {k: v.shape for k, v in taken.items()}
        # Of another frame than that of an interrupted game: it begins here.
        self.frames = {k: torch.cat([self.frames[k], v[None]]) if goes_on else v[None] for k, v in taken.items()}


def _as_history(result) -> History:
    """What a training function returned: its History, a list of losses, or something that says nothing of them."""
    if not isinstance(result, History):
        losses = _numbers(result)
        return History(steps=list(range(1, len(losses) + 1)), train=losses)
    for name in ("train", "valid", "generator", "steps", "valid_steps"):  # one of a loop of the student's
        setattr(result, name, _numbers(getattr(result, name), int if "steps" in name else float))
    result.settings = {k: _number(v) for k, v in result.settings.items() if _is_plain(_number(v))}
    return result


def _numbers(values, kind: type = float) -> list:
    """Python's numbers of tensors, arrays or numbers; none where they are something else: weights are worth keeping."""
    try:
        return [kind(_number(v)) for v in values]
    except (TypeError, ValueError, RuntimeError):
        return []


def _number(value):
    size = value.numel() if isinstance(value, Tensor) else getattr(value, "size", 0)
    return value.item() if isinstance(value, Tensor | np.ndarray | np.generic) and size == 1 else value


def _is_plain(value) -> bool:
    return isinstance(value, str | int | float) or (isinstance(value, list | tuple) and all(map(_is_plain, value)))


def _thinned(history: History, most: int = 400) -> dict:
    """The history with at most so many training losses, each a mean over its stretch: weights travel by mail."""
    stretch = -(-len(history.train) // most) or 1

    def means(losses: list[float]) -> list[float]:
        return [round(float(np.mean(losses[i : i + stretch])), 5) for i in range(0, len(losses), stretch)]

    steps = [history.steps[min(i + stretch, len(history.steps)) - 1] for i in range(0, len(history.steps), stretch)]
    kept = asdict(history) | dict(train=means(history.train), generator=means(history.generator), steps=steps)
    return {k: v for k, v in kept.items() if k not in ("frames", "aim")}


def _note_settings(settings: dict, optimizer: torch.optim.Optimizer, player: str = "") -> None:
    """Note what a step was made with: the largest and the last learning rate, and the rest as it was at first."""
    groups = optimizer.param_groups
    with contextlib.suppress(KeyError, TypeError, ValueError):  # an optimiser of the student's may have no rate
        rate = max(float(group["lr"]) for group in groups)
        settings[f"{player}lr"] = max(settings.get(f"{player}lr", 0.0), rate)
        settings[f"{player}last_lr"] = rate
    if f"{player}optimizer" in settings:
        return
    settings[f"{player}optimizer"] = type(optimizer).__name__
    with contextlib.suppress(KeyError, TypeError, ValueError):
        settings[f"{player}weight_decay"] = float(groups[0]["weight_decay"])
        settings[f"{player}betas"] = [float(beta) for beta in groups[0]["betas"]]
