"""What a notebook has trained and drawn so far, and where it keeps it."""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from deepul_utils.training.checkpoints import Checkpoint, _read_checkpoint
from deepul_utils.training.files import _atomic, _not_finite, _shapes
from deepul_utils.training.histories import History
from deepul_utils.training.runs import Run


@dataclass
class Unsaved:
    """A training that is done, and whose weights could not be written yet."""

    model: nn.Module
    history: History
    run: Run


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
        self.unsaved: dict[str, Unsaved] = {}
        self._training, self._stage = "", 0
        self.run: Run | None = None
        self.aim: float | None = None

    def begin(self, name: str, run: "Run | None" = None, aim: float | None = None) -> None:
        """From now on what `fit` and `play` train is artifact `name`.

        run: notes the code that has a part in it. aim: the loss to aim at, which the bars show.
        """
        self._training, self._stage, self.run, self.aim = name, 0, run, aim

    def end(self) -> None:
        """No artifact is being trained any more."""
        self._training, self.run, self.aim = "", None, None

    def next_checkpoint(self) -> "Checkpoint":
        """Where the next `fit` keeps its state: each of a training has its own. Outside `trained`: nowhere."""
        if not self._training:
            return Checkpoint()
        self._stage += 1
        return Checkpoint(self._unfinished(self._training, str(self._stage)), self._training, self.run)

    def keep_weights(self, name: str, model: nn.Module) -> None:
        """For a training loop written by hand, which keeps no state of its own: at least the weights."""
        if self._training and not self._stage and not _not_finite(model):
            weights = io.BytesIO()
            torch.save(model.state_dict(), weights)
            with _atomic(self._unfinished(name, "weights")) as temporary:
                temporary.write_bytes(weights.getbuffer())

    def restore_weights(self, name: str, model: nn.Module) -> None:
        """Load what `keep_weights` kept of an interrupted run, if it is of such a model, and say so."""
        file = self._unfinished(name, "weights")
        weights = _read_checkpoint(file, name) if file.exists() else {}
        if weights and _shapes(weights) == _shapes(model.state_dict()):  # of another model: it starts afresh
            model.load_state_dict(weights)
            print(f"{name}: starting from the weights of the interrupted run (retrain=True starts over).")

    def is_unfinished(self, name: str) -> bool:
        """Whether an interrupted training of `name` left a state to go on from."""
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
