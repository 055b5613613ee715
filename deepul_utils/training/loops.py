"""Loops that train: plain, and gone on with after an interrupt."""

import operator
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepul_utils import devices, training
from deepul_utils.errors import Diverged, KitError
from deepul_utils.training import arguments
from deepul_utils.training.checkpoints import _settings
from deepul_utils.training.histories import Film, History, _note_settings
from deepul_utils.training.interrupts import _deferred_interrupt, get_ready
from deepul_utils.training.pictures import Pictures

BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt}, {remaining} left{postfix}"


def progress(iterable: Iterable | None, description: str = "", **options):
    """A progress bar on standard output, with the time that is left and, within `trained`, the loss to aim at.

    Where nobody watches (a log file, or within a check), none.
    """
    from tqdm import tqdm

    watched = sys.stdout.isatty() or hasattr(sys.stdout, "pub_thread")  # a terminal, or a notebook's own stream
    defaults = dict(file=sys.stdout, leave=False, mininterval=0.3, disable=not watched, ncols=100, desc=description)
    defaults |= dict(bar_format=BAR, postfix=_beside(""))
    bar = tqdm(iterable, **(defaults | options))
    if bar.total is None:  # no end, so nobody knows what is left
        bar.bar_format = options.get("bar_format")
    return bar


def _beside(losses: str) -> str:
    """What a bar shows beside these losses: the one to aim at, if it is known."""
    aim = training.session.aim
    return losses if aim is None else f"{losses}{', ' if losses else ''}aim {aim:.4g}"


@arguments.called_as(arguments.FIT)
def fit(
    model: nn.Module,
    loss: Callable[..., Tensor],
    train,
    *,
    optimizer: torch.optim.Optimizer,
    steps: int,
    batch_size: int = 256,
    valid=None,
    scheduler=None,
    clip: float = 1.0,
    evaluations: int = 20,
    show: Callable[[Any], Any] | None = None,
    every: int = 200,
) -> History:
    """Minimise `loss` over mini-batches of `train`, drawn in a new order every epoch.

    loss: batch -> scalar mean over the batch. train, valid: arrays or tensors, examples first, or tuples of such,
    as (images, labels): then the loss takes as many arguments. scheduler: stepped after every step. clip: largest
    norm of the gradient. valid is evaluated `evaluations` times. show: model -> figure, as
    `lambda model: plots.images(model.sample(24))`, to look on while it trains: drawn after `every` steps, in a fifth of
    the time at most, and without a part in what is trained.
    Inside `trained`, an interrupted run goes on where it stopped. Raises KitError for arguments that do not fit
    together, as an optimiser of another model, if the loss is no finite scalar, or if an interrupted run had other
    settings.
    """
    _require_all(model, loss, train, valid, optimizer, scheduler, steps, batch_size, evaluations)
    steps, batch_size, evaluations = map(operator.index, (steps, batch_size, evaluations))  # NumPy's and torch's, too
    get_ready()
    train = _tensors(train)
    batches = _Batches(len(train[0]), batch_size)
    checkpoint = training.session.next_checkpoint()
    parts = dict(model=model, optimizer=optimizer, scheduler=scheduler, batches=batches)
    start, history = checkpoint.resume(parts, _settings(optimizer, scheduler, steps, batch_size, len(train[0])))
    stretch, begun = max(1, steps // evaluations), time.monotonic() - history.seconds
    pictures = Pictures(show, every)
    where = devices.of_model(model)
    bar = progress(range(start, steps), checkpoint.name, initial=start, total=steps)
    history.settings |= dict(steps=steps, batch=batches.size)
    with _deferred_interrupt() as interrupted:
        for step in bar:
            model.train()
            chosen = batches.next()
            value = loss(*(part[chosen].to(where) for part in train))
            _require_scalar(value, step)
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            _note_settings(history.settings, optimizer)
            if scheduler:
                scheduler.step()
            history.steps.append(step + 1)
            history.train.append(value.item())
            if valid is not None and ((step + 1) % stretch == 0 or step + 1 == steps):
                history.valid_steps.append(step + 1)
                history.valid.append(evaluate(model, loss, valid))
            held_out = f", valid {history.valid[-1]:.3f}" if history.valid else ""
            bar.set_postfix_str(_beside(f"loss {history.train[-1]:.3f}{held_out}"), refresh=False)
            pictures.look(model, step + 1)
            history.seconds = time.monotonic() - begun
            stop = bool(interrupted)  # asked once: what comes later waits for the next step
            if stop or step + 1 == steps or checkpoint.due():
                checkpoint.save(parts, step + 1, history)
            if stop:
                break
    if valid is not None:
        history.valid_error = _standard_error(history.train, batches.size, len(_tensors(valid)[0]))
    if training.session.run and steps > start:
        training.session.run.probe = lambda: loss(*(part[chosen].to(where) for part in train))
    return history


def _require_all(model, loss, train, valid, optimizer, scheduler, steps, batch_size, evaluations) -> None:
    """Raises KitError, before a step is taken, for arguments of `fit` that would end in an error later."""
    arguments.require_model(model, arguments.FIT)
    arguments.require_data(train, "The data of fit", arguments.FIT)
    arguments.require_loss(loss, _tensors(train))
    if valid is not None:
        arguments.require_data(valid, "valid", arguments.FIT)
        arguments.require_valid(_tensors(valid), _tensors(train))
    for value, name, least in (steps, "steps", 0), (batch_size, "batch_size", 1), (evaluations, "evaluations", 1):
        arguments.require_count(value, name, least)
    arguments.require_optimizer(optimizer, model)
    if scheduler is not None:
        arguments.require_scheduler(scheduler, (optimizer,), steps)


def _standard_error(losses: list[float], batch: int, examples: int, last: int = 200) -> float:
    """Of a mean over so many examples, from how much the means over batches scatter: σ̂/√n with σ̂ = s √B.

    s comes from the differences of neighbours, which know nothing of a slow fall.
    """
    end = np.asarray(losses[-last:])
    scatter = np.diff(end).std() / 2**0.5 if len(end) > 10 else 0.0
    return float(scatter * (batch / examples) ** 0.5)


@arguments.called_as(arguments.PLAY)
def play(
    model: Any,
    data,
    *,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    rounds: int,
    batch_size: int = 128,
    discriminator_steps: int = 1,
    schedulers: tuple = (),
    frame: Callable[[], dict[str, Tensor]] | None = None,
    show: Callable[[Any], Any] | None = None,
    every: int = 100,
) -> History:
    """A game of two: in every round some steps of the discriminator, each on a new batch, then one of the generator.

    model: has discriminator_loss(x) of a batch of data and generator_loss(n) of so many samples, both to be
    minimised. optimizers: the discriminator's, then the generator's. schedulers: stepped after every round. frame:
    what a Film takes of it. show, every: pictures to look on, as for `fit`, after so many rounds.
    Inside `trained`, an interrupted game goes on where it stopped. Raises KitError for arguments that do not fit
    together, if a loss is no finite scalar, if the optimisers are in the wrong order, or if an interrupted game had
    other settings.
    """
    _require_game(model, data, optimizers, schedulers, rounds, batch_size, discriminator_steps)
    rounds, batch_size, discriminator_steps = map(operator.index, (rounds, batch_size, discriminator_steps))
    get_ready()
    (data,) = _tensors(data)
    of_discriminator, of_generator = optimizers
    batches, checkpoint = _Batches(len(data), batch_size), training.session.next_checkpoint()
    parts = dict(model=model, discriminator=of_discriminator, generator=of_generator, batches=batches)
    parts |= {f"scheduler {k}": scheduler for k, scheduler in enumerate(schedulers)}
    settings = [_settings(o, None, rounds, batch_size, len(data), discriminator_steps) for o in optimizers]
    start, history = checkpoint.resume(parts, " and ".join(settings))
    film, pictures = Film(rounds, frame or dict), Pictures(show, every)
    film.frames, begun = history.frames, time.monotonic() - history.seconds
    where = devices.of_model(model)
    bar = progress(range(start, rounds), checkpoint.name, initial=start, total=rounds)
    film.look(start)
    history.settings |= dict(rounds=rounds, batch=batches.size, discriminator_steps=discriminator_steps)
    with _deferred_interrupt() as interrupted:
        for r in bar:
            model.train()
            for _ in range(discriminator_steps):
                x = data[batches.next()].to(where)
                loss = _descend(model.discriminator_loss(x), of_discriminator, "discriminator", r)
            history.train.append(loss)
            history.generator.append(_descend(model.generator_loss(batch_size), of_generator, "generator", r))
            _note_settings(history.settings, of_discriminator)
            _note_settings(history.settings, of_generator, "generator_")
            for scheduler in schedulers:
                scheduler.step()
            history.steps.append(r + 1)
            film.look(r + 1)
            pictures.look(model, r + 1)
            bar.set_postfix_str(f"D {history.train[-1]:.3f}, G {history.generator[-1]:.3f}", refresh=False)
            history.seconds, history.frames = time.monotonic() - begun, film.frames
            stop = bool(interrupted)
            if stop or r + 1 == rounds or checkpoint.due():
                checkpoint.save(parts, r + 1, history)
            if stop:
                break
    if training.session.run and rounds > start:
        training.session.run.probe = lambda: model.discriminator_loss(x) + model.generator_loss(len(x))
    return history


def _require_game(model, data, optimizers, schedulers, rounds, batch_size, discriminator_steps) -> None:
    """Raises KitError, before a round is played, for arguments of `play` that would end in an error later."""
    arguments.require_model(model, arguments.PLAY)
    arguments.require_data(data, "The data of play", arguments.PLAY)
    arguments.require_one_part(_tensors(data))
    for name in ("discriminator_loss", "generator_loss"):
        if not callable(getattr(model, name, None)):
            raise KitError(f"{type(model).__name__} has no {name}: play asks the model for both losses.")
    if not isinstance(optimizers, tuple | list) or len(optimizers) != 2:
        raise KitError("play takes two optimisers, the discriminator's and the generator's: optimizers=(…, …).")
    for optimizer in optimizers:
        arguments.require_optimizer(optimizer, model)
    arguments.require_count(rounds, "rounds", 0)
    arguments.require_count(batch_size, "batch_size")
    arguments.require_count(discriminator_steps, "discriminator_steps")
    if not isinstance(schedulers, tuple | list):
        raise KitError("play takes its schedulers as a tuple, one for each optimiser: schedulers=(…, …).")
    for scheduler in schedulers:
        arguments.require_scheduler(scheduler, tuple(optimizers), rounds, "rounds")


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer, player: str, step: int) -> float:
    """One step of one player."""
    _require_scalar(loss, step)
    optimizer.zero_grad()
    loss.backward()
    own = [p for group in optimizer.param_groups for p in group["params"]]
    if all(p.grad is None for p in own):
        raise KitError(
            f"The {player}'s loss does not depend on what its optimiser moves. The optimisers are the discriminator's "
            "first, then the generator's: optimizers=(…, …)."
        )
    optimizer.step()
    return loss.item()


def _require_scalar(value, step: int) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        many = isinstance(value, Tensor)
        got = f"shape {tuple(value.shape)}: end it in .mean()" if many else type(value).__name__
        raise KitError(f"The loss must be one number, the mean over the batch; got {got}.")
    if not value.requires_grad:
        raise KitError(
            "The loss does not depend on the model's parameters: is it under no_grad, detached, or the loss of "
            "another model?"
        )
    if not torch.isfinite(value):
        raise Diverged(
            f"The loss became {value.item()} at step {step + 1}. Look for a log or a division of zero, "
            "or lower the learning rate."
        )


@torch.no_grad()
def evaluate(model: nn.Module, loss: Callable[..., Tensor], data, batch_size: int = 1024) -> float:
    """Mean loss over `data`, in eval mode; data as `fit` takes it."""
    model.eval()
    data = _tensors(data)
    where = devices.of_model(model)
    batches = zip(*(part.split(batch_size) for part in data), strict=True)
    return sum(loss(*(part.to(where) for part in batch)).item() * len(batch[0]) for batch in batches) / len(data[0])


def _tensors(data) -> tuple[Tensor, ...]:
    """A data set as a tuple of tensors. Raises KitError if they are not as many examples each."""
    parts = tuple(_tensor(part) for part in data) if isinstance(data, tuple) else (_tensor(data),)
    if len({len(part) for part in parts}) > 1:
        raise KitError(f"The parts of a data set are as many examples each; got {[len(part) for part in parts]}.")
    return parts


def _tensor(data) -> Tensor:
    """As a tensor that shares its memory if it may: torch warns about arrays that are read-only."""
    if isinstance(data, Tensor):
        return data  # where it is
    if isinstance(data, np.ndarray) and min(data.strides) < 0:  # turned round: torch knows no such strides
        data = data.copy()
    frozen = isinstance(data, np.ndarray) and not data.flags.writeable
    return torch.tensor(data, device="cpu") if frozen else torch.as_tensor(data, device="cpu")


class _Batches:
    """Indices of mini-batches, in a new order every epoch; its state can be saved."""

    def __init__(self, n: int, size: int):
        self.n, self.size = n, min(size, n)
        self.order, self.at = torch.randperm(n, device="cpu"), 0

    def next(self) -> Tensor:
        if self.at + self.size > self.n:
            self.order, self.at = torch.randperm(self.n, device="cpu"), 0
        self.at += self.size
        return self.order[self.at - self.size : self.at]

    def state_dict(self) -> dict:
        return {"order": self.order, "at": self.at}

    def load_state_dict(self, state: dict) -> None:
        self.order, self.at = state["order"], state["at"]
