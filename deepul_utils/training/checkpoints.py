"""The state of a training under way, kept on disk until everything is trained."""

import io
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from deepul_utils import fingerprint, places
from deepul_utils.errors import KitError, NotSaved
from deepul_utils.exercises import exercise_of
from deepul_utils.training.files import _atomic
from deepul_utils.training.histories import History
from deepul_utils.training.randomness import _random_state, _set_random_state
from deepul_utils.training.runs import Run

CHECKPOINT_SECONDS = 10.0  # at most this much training is lost when the machine goes down


class Checkpoint:
    """The state of one `fit` on disk, until everything is trained. Without a path it keeps nothing."""

    def __init__(self, path: Path | None = None, name: str = "", run: "Run | None" = None):
        self.path, self.name, self.run, self.settings = path, name, run, ""
        self._saved, self._failed = time.monotonic(), False

    def due(self) -> bool:
        """Whether the last `save` is longer ago than CHECKPOINT_SECONDS."""
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
        """Write the state of `parts` after `step` steps, with that of the random streams; whole or not at all.

        A disk that is full ends no training; it is said once.
        """
        self._saved = time.monotonic()
        if self.path is None:
            return
        state = {k: _plain(p.state_dict()) for k, p in parts.items() if p is not None}
        state |= dict(step=step, settings=self.settings, history=asdict(history), random=_random_state())
        state |= dict(code=self.run.code() if self.run else {})
        written = io.BytesIO()  # torch's own words for a full disk say nothing of one
        torch.save(state, written)
        try:
            with _atomic(self.path) as temporary:
                temporary.write_bytes(written.getbuffer())
        except NotSaved as error:
            if not self._failed:
                print(f"{self.name}: {error} It trains on, but an interrupt would lose what it has learned.")
            self._failed = True


def _read_checkpoint(file: Path, name: str) -> dict:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the reader makes of a damaged file
        raise KitError(
            f"{exercise_of(name)}: {places.shown(file)}, kept from an interrupted run, cannot be read "
            f"({type(error).__name__}). Train from the start with trained({name!r}, …, retrain=True)."
        ) from None


def _plain(value):
    """NumPy's numbers as Python's (a learning rate may be one): a file of weights alone takes no others."""
    if type(value) is dict:
        return {k: _plain(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(v) for v in value)
    return value.item() if isinstance(value, np.generic) else value


def _settings(optimizer: torch.optim.Optimizer, scheduler, *numbers: int) -> str:
    """What must stay the same for a run to go on: with anything else it would be another run."""
    groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    return repr((type(optimizer).__name__, groups, type(scheduler).__name__, *numbers))
