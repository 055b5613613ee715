"""What a notebook makes once and loads ever after: trained models, and samples drawn of them."""

import copy
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from deepul_utils import devices, fingerprint, origins, places, training
from deepul_utils.errors import Diverged, Interrupted, KitError, NotSaved
from deepul_utils.exercises import exercise_of
from deepul_utils.training import arguments
from deepul_utils.training.files import (
    _load,
    _read_samples,
    _save,
    _save_samples,
    _shapes,
    _with_memory_of_its_own,
)
from deepul_utils.training.histories import History, _as_history
from deepul_utils.training.interrupts import get_ready
from deepul_utils.training.randomness import _extra_seed, seeded
from deepul_utils.training.runs import Run
from deepul_utils.training.sessions import Kept, Unsaved


@arguments.called_as(arguments.TRAINED)
def trained(name: str, model: nn.Module, fit: Callable, retrain: bool = False, aim: float | None = None) -> nn.Module:
    """`model` with trained weights: loaded from `artifacts/<name>.safetensors`, or trained by `fit(model)` and saved.

    fit: trains the model in place, and may return its History, or a list of losses. retrain: train from the
    start although weights exist; the old ones stay beside the new as `<name>.previous.safetensors`. aim: the loss to
    aim at, which the bar shows and the plot of its history marks, such as training.reference(name). An interrupt
    loses nothing: run the cell again. Returns the model in eval mode, on the device on which it was given, whichever
    `fit` trained it on. Raises KitError for weights that do not fit the model, if the training diverged, and NotSaved
    if they cannot be written: then it keeps them in memory.
    """
    __tracebackhide__ = True
    arguments.require_artifact(name, model)
    arguments.require_aim(name, aim)
    _with_memory_of_its_own(model)
    file = training.session.folder / f"{name}.safetensors"
    retrain, kept = retrain and not training.session.grading, _kept(model, file)
    given_on = devices.of_tensors(model)
    if retrain:
        training.session.forget(name)
    unfinished = training.session.is_unfinished(name) or name in training.session.unsaved
    goes_on = unfinished and not training.session.grading
    if file.exists() and not retrain and not goes_on:
        history = _load(name, file, model)
        origin = origins.remember(name, file, model, fit)
        changed = fingerprint.changed(origin.code, model, fit)
        said = f"{origins.by_other(changed)}; retrain=True trains anew" if changed else "(retrain=True trains anew)"
        print(f"{name}: loaded the weights trained before in {history.seconds:.0f} s {said}.")
    else:
        try:
            history, run = _unsaved(name, model, retrain) or _train(name, model, fit, retrain, aim)
            _save(name, file, model, history, run)
            devices.back_on(model, given_on)
        except NotSaved as error:
            training.session.unsaved[name] = Unsaved(model, history, run)
            raise NotSaved(
                f"{name}: {error} The trained model is kept as long as this notebook's kernel runs: make room, and run "
                "this cell again."
            ) from None
        except Diverged:
            training.session.forget(name)  # to go on from there would be to diverge again
            raise
        training.session.forget(name)
        origin = origins.remember(name, file, model, fit)
        print(f"{name}: trained in {history.seconds:.1f} s, saved to {places.shown(file)}.")
        if origin.lost:
            print(f"{name}: {origins.not_saved(origin.lost)}")
    history.aim, session = aim, training.session
    session.models[name], session.histories[name], session.kept[name] = model.eval(), history, kept
    return model


def _unsaved(name: str, model: nn.Module, retrain: bool) -> tuple[History, Run] | None:
    """A training that only could not be written: its weights go into `model`, if it is of the same shapes."""
    done = training.session.unsaved.pop(name, None)
    if done is None or retrain or _shapes(done.model.state_dict()) != _shapes(model.state_dict()):
        return None
    model.load_state_dict(done.model.state_dict())
    return done.history, done.run


def _train(name: str, model: nn.Module, fit: Callable, retrain: bool, aim: float | None = None) -> tuple[History, Run]:
    __tracebackhide__ = True
    arguments.require_trains(name, fit)
    begun = time.monotonic()
    try:
        get_ready()
        run = Run(model, fit)
        training.session.begin(name, run, aim)
        with seeded(zlib.crc32(name.encode()) + _extra_seed()):
            training.session.restore_weights(name, model)
            with run.followed():
                result = fit(model)
    except KeyboardInterrupt:
        training.session.keep_weights(name, model)
        again = "again, without retrain=True," if retrain else "again"
        raise Interrupted(f"{name}: training was interrupted. Run this cell {again} to go on.") from None
    finally:
        training.session.end()
    if callable(result) and not isinstance(result, nn.Module):
        raise KitError(f"{exercise_of(name)}: `fit` trained nothing, it made a function. Call it: fit=train(…).")
    history = _as_history(result)
    history.seconds = history.seconds or time.monotonic() - begun
    history.settings = history.settings or run.settings()
    return history, run


def _kept(model: nn.Module, file: Path) -> Kept:
    try:
        return Kept(copied(model), file)
    except Exception as error:  # whatever the student keeps in it; it is said where the copy is asked for
        return Kept(None, file, f"{type(error).__name__}: {error}")


def copied(model: nn.Module) -> nn.Module:
    """A copy of its own; of results that it keeps as attributes, without how they were computed."""
    results = (v for part in model.modules() for v in vars(part).values() if isinstance(v, Tensor) and not v.is_leaf)
    return copy.deepcopy(model, {id(v): v.detach().clone() for v in results})


@arguments.called_as(arguments.DRAWN)
def drawn(name: str, draw: Callable[[], Tensor], redraw: bool = False) -> Tensor:
    """Samples of the model trained under `name`: loaded, if they were drawn from these very weights, or draw()n.

    They are kept in `artifacts/<name>.samples.safetensors`: images take a forward pass a pixel, and are measured when
    the notebook is graded. redraw: draw anew although they exist. Raises KitError if nothing was trained under the
    name, or if draw() gives no tensor.
    """
    __tracebackhide__ = True
    arguments.require_name(name, arguments.DRAWN)
    if name not in training.session.models:
        raise KitError(f"{exercise_of(name)}: nothing was trained under the name {name!r} yet.")
    model, file = training.session.models[name], training.session.folder / f"{name}.samples.safetensors"
    origin = origins.of(model, name)
    weights = origin.weights if origin and not origins.changed_since(model, origin) else origins.digest(model)
    samples, code = (None, {}) if redraw and not training.session.grading else _read_samples(file, weights)
    changed = fingerprint.changed(code, model, draw)
    if changed and not (training.session.grading or training.session.keeps_samples):
        print(f"{name}: the samples were drawn {origins.by_other(changed)}, and are drawn anew.")
        samples = None
    if samples is None:
        arguments.require_draws(name, draw)
        begun = time.monotonic()
        with fingerprint.Watch() as watch:
            samples = draw()
        arguments.require_samples(name, samples)
        code = fingerprint.made(watch, model, draw)
        _save_samples(file, samples, weights, code)
        print(
            f"{name}: drew {len(samples)} samples in {time.monotonic() - begun:.1f} s, saved to {places.shown(file)}."
        )
    else:
        print(f"{name}: loaded {len(samples)} samples drawn before (redraw=True draws anew).")
    if origin:
        origin.drawn = {unit: digest for unit, digest in code.items() if unit != "<lambda>"}
    samples = samples.to(devices.of_model(model))  # the same whether they were drawn or loaded
    training.session.samples[name] = samples if samples.is_floating_point() else samples.long()
    return training.session.samples[name]


def history(name: str) -> History:
    """How the training of `name` went, also when its weights were loaded. Raises KitError if it was not trained."""
    arguments.require_name(name, arguments.HISTORY)
    if name not in training.session.histories:
        raise KitError(f"{exercise_of(name)}: nothing was trained under the name {name!r} yet.")
    return training.session.histories[name]
