"""Training that is never lost: `trained` keeps weights, `fit` is a plain loop that survives an interrupt."""

import contextlib
import copy
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from deepul_utils import fingerprint, origins, unsaved
from deepul_utils.errors import KitError

CHECKPOINT_SECONDS = 10.0  # at most this much training is lost when the machine goes down
STEPS_WATCHED = 50  # by then everything that a training calls was called

notes = origins.notes  # what to know of the trained models behind a check


@dataclass
class History:
    """Losses of a training run: `train` at `steps`, `valid` at `valid_steps`, all in the loss's own unit.

    Of a game, `train` is the discriminator's loss, `generator` the generator's; frames: what a Film took.
    settings: how it was trained, as far as it is known, for hints: optimizer (its name), lr (the largest), last_lr,
    betas, weight_decay, batch, steps. Of a game: rounds for steps, discriminator_steps, and generator_lr (its largest).
    valid_error: the standard error of `valid`, by the chance of which examples are in it; 0 where it is not known.
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


class Film:
    """Pictures of a training under way, closer together at its beginning, where more happens.

    frame: () -> {name: tensor}, taken `count` times in so many rounds. `frames` has them stacked, {name: (F, …)},
    with "round", int64 (F,).
    """

    def __init__(self, rounds: int, frame: Callable[[], dict[str, Tensor]], count: int = 8):
        self.frame, self.frames = frame, {}
        self.at = {round(rounds * (k / (count - 1)) ** 2) for k in range(count)}

    @torch.no_grad()
    def look(self, rounds: int) -> None:
        """Take a picture, if one is due after so many rounds. The players' random numbers are not touched."""
        if rounds not in self.at or rounds in self.frames.get("round", ()):
            return
        before = _random_state()
        with fingerprint.unseen():  # what takes the pictures has no part in the weights
            taken = {"round": torch.tensor(rounds)} | {k: v.detach().cpu() for k, v in self.frame().items()}
        _set_random_state(before)
        so_far = self.frames
        self.frames = {k: torch.cat([so_far[k], v[None]]) if so_far else v[None] for k, v in taken.items()}


@dataclass
class Kept:
    """What is graded of a training: the student's class as it was made, and the file with its weights.

    fresh: a copy of the model from before it was trained or loaded; None where it cannot be copied, and why.
    """

    fresh: nn.Module | None
    file: Path
    why: str = ""


class Session:
    """Where a notebook keeps its artifacts, and what it has trained so far.

    The folder is taken once, when the notebook starts, so that a later os.chdir loses nothing. grading: weights
    that were handed in are what is graded, also where a retrain=True was left in the notebook. keeps_samples: samples
    that belong to the weights stay, whatever code drew them.
    """

    def __init__(self, folder: Path):
        self.folder, self.grading, self.keeps_samples = folder, False, False
        self.models: dict[str, nn.Module] = {}
        self.histories: dict[str, History] = {}
        self.samples: dict[str, Tensor] = {}
        self.kept: dict[str, Kept] = {}
        self._training, self._stage = "", 0
        self.run: Run | None = None

    def begin(self, name: str, run: "Run | None" = None) -> None:
        self._training, self._stage, self.run = name, 0, run

    def end(self) -> None:
        self._training, self.run = "", None

    def next_checkpoint(self) -> "Checkpoint":
        """Where the next `fit` keeps its state: each of a training has its own. Outside `trained`: nowhere."""
        if not self._training:
            return Checkpoint()
        self._stage += 1
        return Checkpoint(self._unfinished(self._training, str(self._stage)), self._training, self.run)

    def keep_weights(self, name: str, model: nn.Module) -> None:
        """For a training loop written by hand, which keeps no state of its own: at least the weights."""
        if self._training and not self._stage and not _not_finite(model.state_dict()):
            with _atomic(self._unfinished(name, "weights")) as temporary:
                torch.save(model.state_dict(), temporary)

    def restore_weights(self, name: str, model: nn.Module) -> None:
        file = self._unfinished(name, "weights")
        weights = _read_checkpoint(file, name) if file.exists() else {}
        if weights and _shapes(weights) == _shapes(model.state_dict()):  # of another model: it starts afresh
            model.load_state_dict(weights)
            print(f"{name}: starting from the weights of the interrupted run (retrain=True starts over).")

    def is_unfinished(self, name: str) -> bool:
        return any(file.suffix == ".pt" for file in self._left(name))

    def forget(self, name: str) -> None:
        """Delete what unfinished training left."""
        for file in self._left(name):
            file.unlink(missing_ok=True)

    def _unfinished(self, name: str, part: str) -> Path:
        return self.folder / f"{name}.{part}.checkpoint.pt"

    def _left(self, name: str) -> list[Path]:
        """The checkpoints of `name`, and the temporaries of a process that was killed while it wrote."""
        checkpoint = rf"{re.escape(name)}\.(\d+|weights)\.checkpoint\.pt"
        ours = re.compile(rf"{checkpoint}|\.({checkpoint}|{re.escape(name)}(\.frames)?\.safetensors)\.\d+")
        return [file for file in self.folder.glob("*") if ours.fullmatch(file.name)]


session = Session(Path.cwd() / os.environ.get("DEEPUL_ARTIFACTS", "artifacts"))


def seed_everything(seed: int) -> None:
    """Start Python's, NumPy's and torch's random numbers from `seed`.

    The environment variable DEEPUL_SEED is added: calibration trains every notebook under many seeds.
    """
    _seed(seed + _extra_seed())


def _extra_seed() -> int:
    return int(os.environ.get("DEEPUL_SEED") or 0)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - students may use the legacy generator
    # torch.manual_seed takes milliseconds, and memory for good: it formats its caller's stack for every kind of
    # accelerator that is not in use yet. A check seeds thousands of times.
    if device().type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def device() -> torch.device:
    """The fastest device of this machine: a CUDA GPU, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def progress(iterable: Iterable, description: str = "", **options):
    """A progress bar on standard output; where nobody watches (a log file, or within a check), none."""
    from tqdm import tqdm

    watched = sys.stdout.isatty() or hasattr(sys.stdout, "pub_thread")  # a terminal, or a notebook's own stream
    defaults = dict(file=sys.stdout, leave=False, mininterval=0.3, disable=not watched, ncols=88, desc=description)
    return tqdm(iterable, **(defaults | options))


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
) -> History:
    """Minimise `loss` over mini-batches of `train`, drawn in a new order every epoch.

    loss: batch -> scalar mean over the batch. train, valid: arrays or tensors, examples first, or tuples of such,
    as (images, labels): then the loss takes as many arguments. scheduler: stepped after every step. clip: largest
    norm of the gradient. valid is evaluated `evaluations` times.
    Inside `trained`, an interrupted run goes on where it stopped. Raises KitError if the loss is no finite
    scalar, or if an interrupted run had other settings.
    """
    get_ready()
    train = _tensors(train)
    batches = _Batches(len(train[0]), batch_size)
    checkpoint = session.next_checkpoint()
    parts = dict(model=model, optimizer=optimizer, scheduler=scheduler, batches=batches)
    start, history = checkpoint.resume(parts, _settings(optimizer, scheduler, steps, batch_size, len(train[0])))
    every, begun = max(1, steps // evaluations), time.monotonic() - history.seconds
    where = next(model.parameters()).device
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
            if valid is not None and ((step + 1) % every == 0 or step + 1 == steps):
                history.valid_steps.append(step + 1)
                history.valid.append(evaluate(model, loss, valid))
                bar.set_postfix_str(f"loss {history.train[-1]:.3f}, valid {history.valid[-1]:.3f}", refresh=False)
            history.seconds = time.monotonic() - begun
            stop = bool(interrupted)  # asked once: what comes later waits for the next step
            if stop or step + 1 == steps or checkpoint.due():
                checkpoint.save(parts, step + 1, history)
            if stop:
                break
    if valid is not None:
        history.valid_error = _standard_error(history.train, batches.size, len(_tensors(valid)[0]))
    if session.run and steps > start:
        session.run.probe = lambda: loss(*(part[chosen].to(where) for part in train))
    return history


def _standard_error(losses: list[float], batch: int, examples: int, last: int = 200) -> float:
    """Of a mean over so many examples, from how much the means over batches scatter: σ̂/√n with σ̂ = s √B.

    s comes from the differences of neighbours, which know nothing of a slow fall.
    """
    end = np.asarray(losses[-last:])
    scatter = np.diff(end).std() / 2**0.5 if len(end) > 10 else 0.0
    return float(scatter * (batch / examples) ** 0.5)


def play(
    model: nn.Module,
    data,
    *,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    rounds: int,
    batch_size: int = 128,
    discriminator_steps: int = 1,
    schedulers: tuple = (),
    frame: Callable[[], dict[str, Tensor]] | None = None,
) -> History:
    """A game of two: in every round some steps of the discriminator, each on a new batch, then one of the generator.

    model: has discriminator_loss(x) of a batch of data and generator_loss(n) of so many samples, both to be
    minimised. optimizers: the discriminator's, then the generator's. schedulers: stepped after every round. frame:
    what a Film takes of it.
    Inside `trained`, an interrupted game goes on where it stopped. Raises KitError if a loss is no finite scalar, if
    the optimisers are in the wrong order, or if an interrupted game had other settings.
    """
    get_ready()
    (data,) = _tensors(data)
    of_discriminator, of_generator = optimizers
    batches, checkpoint = _Batches(len(data), batch_size), session.next_checkpoint()
    parts = dict(model=model, discriminator=of_discriminator, generator=of_generator, batches=batches)
    parts |= {f"scheduler {k}": scheduler for k, scheduler in enumerate(schedulers)}
    settings = [_settings(o, None, rounds, batch_size, len(data), discriminator_steps) for o in optimizers]
    start, history = checkpoint.resume(parts, " and ".join(settings))
    film = Film(rounds, frame or dict)
    film.frames, begun = history.frames, time.monotonic() - history.seconds
    where = next(model.parameters()).device
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
            bar.set_postfix_str(f"D {history.train[-1]:.3f}, G {history.generator[-1]:.3f}", refresh=False)
            history.seconds, history.frames = time.monotonic() - begun, film.frames
            stop = bool(interrupted)
            if stop or r + 1 == rounds or checkpoint.due():
                checkpoint.save(parts, r + 1, history)
            if stop:
                break
    if session.run and rounds > start:
        session.run.probe = lambda: model.discriminator_loss(x) + model.generator_loss(len(x))
    return history


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


_ready = False


def get_ready() -> None:
    """Import what torch imports when the first optimiser is made, half of itself; it takes a second.

    An interrupt is heeded afterwards, however often it comes: torch would stay broken for as long as the kernel lives.
    """
    global _ready
    if _ready:
        return
    with _deferred_interrupt(patient=True):
        import safetensors.torch
        import tqdm  # noqa: F401

        theta = nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.Adam([theta])
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        theta.sum().backward()
        nn.utils.clip_grad_norm_([theta], 1.0)
        optimizer.step()
        safetensors.torch.save({"theta": theta.detach()})
        _ready = True


@contextlib.contextmanager
def _deferred_interrupt(patient: bool = False):
    """A list that an interrupt fills. It is raised at the end, so that a step is finished before it counts.

    A second interrupt acts at once; patient: it waits too.
    """
    interrupts: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def note(signum, frame):
        interrupts.append(signum)
        if not patient:
            signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt


@torch.no_grad()
def evaluate(model: nn.Module, loss: Callable[..., Tensor], data, batch_size: int = 1024) -> float:
    """Mean loss over `data`, in eval mode; data as `fit` takes it."""
    model.eval()
    data = _tensors(data)
    where = next(model.parameters()).device
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
    frozen = isinstance(data, np.ndarray) and not data.flags.writeable
    return torch.tensor(data) if frozen else torch.as_tensor(data)


def _require_scalar(value, step: int) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
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


class _Batches:
    """Indices of mini-batches, in a new order every epoch; its state can be saved."""

    def __init__(self, n: int, size: int):
        self.n, self.size = n, min(size, n)
        self.order, self.at = torch.randperm(n), 0

    def next(self) -> Tensor:
        if self.at + self.size > self.n:
            self.order, self.at = torch.randperm(self.n), 0
        self.at += self.size
        return self.order[self.at - self.size : self.at]

    def state_dict(self) -> dict:
        return {"order": self.order, "at": self.at}

    def load_state_dict(self, state: dict) -> None:
        self.order, self.at = state["order"], state["at"]


def _settings(optimizer: torch.optim.Optimizer, scheduler, *numbers: int) -> str:
    """What must stay the same for a run to go on: with anything else it would be another run."""
    groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    return repr((type(optimizer).__name__, groups, type(scheduler).__name__, *numbers))


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


class Checkpoint:
    """The state of one `fit` on disk, until everything is trained. Without a path it keeps nothing."""

    def __init__(self, path: Path | None = None, name: str = "", run: "Run | None" = None):
        self.path, self.name, self.run, self.settings = path, name, run, ""
        self._saved = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def resume(self, parts: dict, settings: str) -> tuple[int, History]:
        """(step to go on from, history so far); loads the state of `parts`. Raises KitError if it does not fit."""
        self.settings = settings
        if self.path is None or not self.path.exists():
            return 0, History()
        state = _read_checkpoint(self.path, self.name)
        fits = state.get("settings") == settings
        try:
            for name, part in parts.items():
                if fits and part is not None:
                    part.load_state_dict(state[name])
        except (RuntimeError, ValueError):
            fits = False
        if not fits:
            raise KitError(
                f"{exercise_of(self.name)}: an interrupted run of {self.name!r} was made by another model, "
                "optimiser, data or number of steps. Put back what you changed to go on, or train from the start "
                f"with trained({self.name!r}, …, retrain=True)."
            )
        _set_random_state(state["random"])
        changed = self.run.go_on(state.get("code", {})) if self.run else []
        but = f"your code has changed since then: {fingerprint.listed(changed)}; " if changed else ""
        print(f"{self.name}: going on from step {state['step']:,} ({but}retrain=True starts over).")
        return state["step"], History(**state["history"])

    def save(self, parts: dict, step: int, history: History) -> None:
        self._saved = time.monotonic()
        if self.path is None:
            return
        state = {k: _plain(p.state_dict()) for k, p in parts.items() if p is not None}
        state |= dict(step=step, settings=self.settings, history=asdict(history), random=_random_state())
        state |= dict(code=self.run.code() if self.run else {})
        with _atomic(self.path) as temporary:
            torch.save(state, temporary)


def _read_checkpoint(file: Path, name: str) -> dict:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the reader makes of a damaged file
        raise KitError(
            f"{exercise_of(name)}: artifacts/{file.name}, kept from an interrupted run, cannot be read "
            f"({type(error).__name__}). Train from the start with trained({name!r}, …, retrain=True)."
        ) from None


def _plain(value):
    """NumPy's numbers as Python's (a learning rate may be one): a file of weights alone takes no others."""
    if type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value


def trained(name: str, model: nn.Module, fit: Callable, retrain: bool = False) -> nn.Module:
    """`model` with trained weights: loaded from artifacts/<name>.safetensors, or trained by `fit(model)` and saved.

    fit: trains the model in place, and may return its History, or a list of losses. retrain: train from the
    start although weights exist; the old ones stay beside the new as <name>.previous.safetensors. An interrupt
    loses nothing: run the cell again. Returns the model in eval mode. Raises KitError for weights that do not
    fit the model, and if the training diverged.
    """
    __tracebackhide__ = True
    file = session.folder / f"{name}.safetensors"
    retrain, kept = retrain and not session.grading, _kept(model, file)
    if retrain:
        session.forget(name)
    goes_on = session.is_unfinished(name) and not session.grading
    if file.exists() and not retrain and not goes_on:
        history = _load(name, file, model)
        origin = origins.remember(name, file, model, fit)
        changed = fingerprint.changed(origin.code, model, fit)
        said = f"{origins.by_other(changed)}; retrain=True trains anew" if changed else "(retrain=True trains anew)"
        print(f"{name}: loaded the weights trained before in {history.seconds:.0f} s {said}.")
    else:
        try:
            history, run = _train(name, model, fit, retrain)
            _save(name, file, model, history, run)
        except Diverged:
            session.forget(name)  # to go on from there would be to diverge again
            raise
        session.forget(name)
        origin = origins.remember(name, file, model, fit)
        print(f"{name}: trained in {history.seconds:.1f} s, saved to artifacts/{file.name}.")
        if origin.lost:
            print(f"{name}: {origins.not_saved(origin.lost)}")
    session.models[name], session.histories[name], session.kept[name] = model.eval(), history, kept
    return model


def _kept(model: nn.Module, file: Path) -> Kept:
    try:
        return Kept(copied(model), file)
    except Exception as error:  # whatever the student keeps in it; it is said where the copy is asked for
        return Kept(None, file, f"{type(error).__name__}: {error}")


def copied(model: nn.Module) -> nn.Module:
    """A copy of its own; of results that it keeps as attributes, without how they were computed."""
    results = (v for part in model.modules() for v in vars(part).values() if isinstance(v, Tensor) and not v.is_leaf)
    return copy.deepcopy(model, {id(v): v.detach().clone() for v in results})


def drawn(name: str, draw: Callable[[], Tensor], redraw: bool = False) -> Tensor:
    """Samples of the model trained under `name`: loaded, if they were drawn from these very weights, or draw()n.

    They are kept in artifacts/<name>.samples.safetensors: images take a forward pass a pixel, and are measured when
    the notebook is graded. redraw: draw anew although they exist. Raises KitError if nothing was trained under the
    name, or if draw() gives no tensor.
    """
    __tracebackhide__ = True
    if name not in session.models:
        raise KitError(f"{exercise_of(name)}: nothing was trained under the name {name!r} yet.")
    model, file = session.models[name], session.folder / f"{name}.samples.safetensors"
    origin = origins.of(model, name)
    weights = origin.weights if origin and not origins.changed_since(model, origin) else origins.digest(model)
    samples, code = (None, {}) if redraw and not session.grading else _read_samples(file, weights)
    changed = fingerprint.changed(code, model, draw)
    if changed and not (session.grading or session.keeps_samples):
        print(f"{name}: the samples were drawn {origins.by_other(changed)}, and are drawn anew.")
        samples = None
    if samples is None:
        begun = time.monotonic()
        with fingerprint.Watch() as watch:
            samples = draw()
        if not isinstance(samples, Tensor):
            raise KitError(
                f"{exercise_of(name)}: draw() should give a tensor of samples, got {type(samples).__name__}."
            )
        code = fingerprint.made(watch, model, draw)
        _save_samples(file, samples, weights, code)
        print(
            f"{name}: drew {len(samples)} samples in {time.monotonic() - begun:.1f} s, saved to artifacts/{file.name}."
        )
    else:
        print(f"{name}: loaded {len(samples)} samples drawn before (redraw=True draws anew).")
    if origin:
        origin.drawn = {unit: digest for unit, digest in code.items() if unit != "<lambda>"}
    session.samples[name] = samples if samples.is_floating_point() else samples.long()
    return session.samples[name]


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
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    with _atomic(file) as temporary:
        metadata = {"weights": weights, "code": json.dumps(code)}
        save_file({"samples": _small(samples.detach().cpu())}, temporary, metadata=metadata)


def _small(samples: Tensor) -> Tensor:
    """Levels below 256 as bytes: samples travel by mail, too."""
    levels = not samples.is_floating_point() and samples.numel() and samples.min() >= 0 and samples.max() < 256
    return samples.to(torch.uint8).contiguous() if levels else samples.contiguous()


def history(name: str) -> History:
    """How the training of `name` went, also when its weights were loaded. Raises KitError if it was not trained."""
    if name not in session.histories:
        raise KitError(f"{exercise_of(name)}: nothing was trained under the name {name!r} yet.")
    return session.histories[name]


def exercise_of(name: str) -> str:
    """The exercise that an artifact belongs to: "made.smiley" to "Exercise 1.2"; its own name outside the course."""
    from autograder import exercises

    try:
        return str(exercises.get(name))
    except ValueError:
        return repr(name)


class Interrupted(KitError):
    """Training was interrupted by the student; it can go on."""


class Diverged(KitError):
    """The loss or the weights became nan or infinite: nothing of this training is worth keeping."""


class Run:
    """A training under way: which code makes it, what its optimisers do, and what is lost when it is saved."""

    def __init__(self, model: nn.Module, fit: Callable):
        self.model, self.fit = model, fit
        self.probe: Callable[[], Tensor] | None = None  # a loss on the last batch
        self._watch, self._known = fingerprint.Watch(), -1
        self._code, self._before = {}, {}
        self._players: list[tuple[torch.optim.Optimizer, dict]] = []
        try:
            self._fresh = copy.deepcopy(model)
        except Exception:  # whatever the student keeps in it
            self._fresh = None

    @contextlib.contextmanager
    def followed(self):
        """While it trains: note what it calls in its first steps, and every step of every optimiser."""
        following = register_optimizer_step_post_hook(lambda optimizer, *_: self._note(optimizer))
        try:
            with self._watch:
                yield
        finally:
            following.remove()

    def _note(self, optimizer: torch.optim.Optimizer) -> None:
        settings = next((s for o, s in self._players if o is optimizer), None)
        if settings is None:
            settings = {"steps": 0}
            self._players.append((optimizer, settings))
        settings["steps"] += 1
        _note_settings(settings, optimizer)
        if settings["steps"] == STEPS_WATCHED:
            self._watch.stop()

    def code(self) -> dict[str, str]:
        """The code that made the weights so far; of what has changed since the training began, as it was then."""
        if len(self._watch.codes) > self._known:  # checkpoints ask for it again and again
            self._known = len(self._watch.codes)
            self._code = fingerprint.made(self._watch, self.model, self.fit)
        return self._code | self._before

    def go_on(self, code: dict[str, str]) -> list[str]:
        """Take over the code of an interrupted run; what of it has changed since."""
        self._before = code | self._before
        return fingerprint.changed(code, self.model, self.fit)

    def settings(self) -> dict:
        """The settings of a loop that was written by hand, as its optimisers show them."""
        players = [settings for _, settings in self._players]
        moves_generator = [self._moves_generator(optimizer) for optimizer, _ in self._players]
        if sorted(moves_generator) != [False, True]:
            return max(players, key=lambda settings: settings["steps"], default={})
        of_generator, of_discriminator = (players[moves_generator.index(which)] for which in (True, False))
        steps, rounds = of_discriminator.pop("steps"), of_generator.pop("steps")
        theirs = {f"generator_{key}": value for key, value in of_generator.items()}
        return of_discriminator | theirs | dict(rounds=rounds, discriminator_steps=round(steps / rounds))

    def _moves_generator(self, optimizer: torch.optim.Optimizer) -> bool:
        generator = getattr(self.model, "generator", None)
        own = set(map(id, generator.parameters())) if isinstance(generator, nn.Module) else set()
        return {id(p) for group in optimizer.param_groups for p in group["params"]} <= own

    def lost(self) -> list[str]:
        """What of the trained model will not be there when its weights are loaded."""
        if self._fresh is None:
            return []
        try:
            self._fresh.load_state_dict(self.model.state_dict())
            return unsaved.lost(self.model, self._fresh, self._measure if self.probe else None)
        except Exception:  # a message is no reason to lose a training
            return []

    def _measure(self) -> float:
        with seeded(0):
            try:
                with torch.no_grad():
                    return float(self.probe())
            except RuntimeError:  # a loss that takes gradients on its way
                return float(self.probe())


def _train(name: str, model: nn.Module, fit: Callable, retrain: bool) -> tuple[History, Run]:
    __tracebackhide__ = True
    begun = time.monotonic()
    session.folder.mkdir(parents=True, exist_ok=True)
    try:
        get_ready()
        run = Run(model, fit)
        session.begin(name, run)
        with seeded(zlib.crc32(name.encode()) + _extra_seed()):
            session.restore_weights(name, model)
            with run.followed():
                result = fit(model)
    except KeyboardInterrupt:
        session.keep_weights(name, model)
        again = "again, without retrain=True," if retrain else "again"
        raise Interrupted(f"{name}: training was interrupted. Run this cell {again} to go on.") from None
    finally:
        session.end()
    if callable(result) and not isinstance(result, nn.Module):
        raise KitError(f"{exercise_of(name)}: `fit` trained nothing, it made a function. Call it: fit=train(…).")
    history = _as_history(result)
    history.seconds = history.seconds or time.monotonic() - begun
    history.settings = history.settings or run.settings()
    return history, run


def _as_history(result) -> History:
    """What a training function returned: its History, a list of losses, or something that says nothing of them."""
    if isinstance(result, History):
        return result
    try:
        losses = [float(v.item() if hasattr(v, "item") else v) for v in result]
    except (TypeError, ValueError, RuntimeError):  # whatever it is, the weights are worth keeping
        losses = []
    return History(steps=list(range(1, len(losses) + 1)), train=losses)


def _not_finite(weights: dict) -> list[str]:
    return [k for k, v in weights.items() if v.is_floating_point() and not torch.isfinite(v).all()]


def _save(name: str, file: Path, model: nn.Module, history: History, run: Run) -> None:
    from safetensors.torch import save_file

    weights = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    bad = _not_finite(weights)
    if bad:
        raise Diverged(
            f"{exercise_of(name)}: training ended with nan or infinite values in {_listed(bad)}; not saved. "
            "Lower the learning rate, or look for a log of zero."
        )
    if history.frames:
        with _atomic(_frames_file(file)) as temporary:
            save_file({k: v.contiguous() for k, v in history.frames.items()}, temporary)
    metadata = dict(name=name, history=json.dumps(_thinned(history)), code=json.dumps(run.code()))
    if lost := run.lost():
        metadata["lost"] = json.dumps(lost)
    with _atomic(file) as temporary:
        save_file(weights, temporary, metadata=metadata)
        if file.exists():
            shutil.copyfile(file, file.with_name(f"{name}.previous.safetensors"))


def _thinned(history: History, most: int = 400) -> dict:
    """The history with at most so many training losses, each a mean over its stretch: weights travel by mail."""
    stretch = -(-len(history.train) // most) or 1

    def means(losses: list[float]) -> list[float]:
        return [round(float(np.mean(losses[i : i + stretch])), 5) for i in range(0, len(losses), stretch)]

    steps = [history.steps[min(i + stretch, len(history.steps)) - 1] for i in range(0, len(history.steps), stretch)]
    kept = asdict(history) | dict(train=means(history.train), generator=means(history.generator), steps=steps)
    return {k: v for k, v in kept.items() if k != "frames"}


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


def _load(name: str, file: Path, model: nn.Module) -> History:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stored:
            weights = {k: stored.get_tensor(k) for k in stored.keys()}  # noqa: SIM118 - not a dict
            metadata = stored.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise KitError(
            f"{exercise_of(name)}: artifacts/{file.name} is no readable weights file ({error}). "
            f"Train it anew with trained({name!r}, …, retrain=True)."
        ) from None
    _require_fit(name, file, weights, model.state_dict())
    model.load_state_dict(weights)
    try:
        return History(**json.loads(metadata.get("history", "{}")), frames=_read_frames(file))
    except (ValueError, TypeError):  # the weights are good without it
        return History()


def _require_fit(name: str, file: Path, stored: dict, wanted: dict) -> None:
    shapes = [f"{k} is {tuple(stored[k].shape)}, should be {tuple(wanted[k].shape)}"
              for k in stored.keys() & wanted.keys() if stored[k].shape != wanted[k].shape]  # fmt: skip
    problems = {
        "missing": sorted(wanted.keys() - stored.keys()),
        "unexpected": sorted(stored.keys() - wanted.keys()),
        "of another shape": sorted(shapes),
    }
    said = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
    if said:
        raise KitError(
            f"{exercise_of(name)}: the weights in artifacts/{file.name} do not fit your model ({said}). "
            f"They were trained with another version of your class. Train anew with "
            f"trained({name!r}, …, retrain=True); the old weights are kept beside the new."
        )


def _shapes(weights: dict) -> dict:
    return {k: v.shape for k, v in weights.items()}


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@contextlib.contextmanager
def _atomic(file: Path):
    """A temporary name beside `file` that takes its place when everything is written, or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())  # or a power cut could leave the new name without its content
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def seeded(seed: int):
    """Every usual source of randomness starts from `seed`, and is put back afterwards."""
    before = _random_state()
    _seed(seed)
    try:
        yield
    finally:
        _set_random_state(before)


def _random_state() -> dict:
    """Where every usual source of randomness stands, in plain values."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - students may use either
    state = {"python": random.getstate(), "numpy": [kind, keys.tolist(), *rest], "torch": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state_all()} if torch.cuda.is_initialized() else {})


def _set_random_state(state: dict) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
