"""Pictures of a model while it trains, for whoever looks on: each in the place of the one before."""

import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from deepul_utils import fingerprint, training
from deepul_utils.errors import describe
from deepul_utils.training.randomness import _random_state, _set_random_state

SHARE = 0.2  # of the time since the training began, at most, that its pictures may take


class Pictures:
    """show(model), a figure, after every so many steps; nothing where nobody looks on."""

    def __init__(self, show: Callable[[Any], Any] | None, every: int):
        self.show, self.every = (show if _is_watched() else None), max(1, every)
        self._begun, self._spent, self._display = time.monotonic(), 0.0, None

    def look(self, model, step: int) -> None:
        """Show one, if it is due and there is time for it. Random numbers, mode and fingerprint stay what they were."""
        if self.show is None or step % self.every:
            return
        begun = time.monotonic()
        if self._spent > SHARE * (begun - self._begun):
            return
        figure = self._drawn(model)
        if figure is not None:
            self._put(figure)
        self._spent += time.monotonic() - begun

    def _drawn(self, model):
        """The figure; none any more after one that failed: that ends no training, and is said."""
        before, was_training = _random_state(), model.training
        model.eval()
        try:
            with torch.no_grad(), fingerprint.unseen():
                return self.show(model) if self.show else None
        except Exception as error:  # whatever the student's function raises
            print(f"show: {describe(error)}. It trains on without pictures.")
            self.show = None
            return None
        finally:
            model.train(was_training)
            _set_random_state(before)

    def _put(self, figure) -> None:
        from IPython.display import display

        if self._display is None:
            self._display = display(figure, display_id=True)
        else:
            self._display.update(figure)


def _is_watched() -> bool:
    """Whether there is a notebook to show pictures in, and a student before it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel") and not training.session.grading
