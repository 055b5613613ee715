"""Training that is never lost: `trained` keeps weights, `fit` is a plain loop that survives an interrupt."""

from deepul_utils import origins, places
from deepul_utils.devices import device
from deepul_utils.errors import Diverged, Interrupted
from deepul_utils.exercises import exercise_of
from deepul_utils.references import reference
from deepul_utils.training.artifacts import copied, drawn, history, trained
from deepul_utils.training.checkpoints import CHECKPOINT_SECONDS, Checkpoint
from deepul_utils.training.histories import Film, History
from deepul_utils.training.interrupts import get_ready
from deepul_utils.training.loops import evaluate, fit, play, progress
from deepul_utils.training.randomness import seed_everything, seeded
from deepul_utils.training.runs import STEPS_WATCHED, Run
from deepul_utils.training.sessions import Kept, Session

__all__ = [
    "CHECKPOINT_SECONDS",
    "STEPS_WATCHED",
    "Checkpoint",
    "Diverged",
    "Film",
    "History",
    "Interrupted",
    "Kept",
    "Run",
    "Session",
    "copied",
    "device",
    "drawn",
    "evaluate",
    "exercise_of",
    "fit",
    "get_ready",
    "history",
    "notes",
    "play",
    "progress",
    "reference",
    "seed_everything",
    "seeded",
    "session",
    "trained",
]

notes = origins.notes  # what to know of the trained models behind a check

# Whoever runs a notebook puts another one here, so the modules of this package ask for `training.session` each time.
session = Session(places.artifacts())
