"""A training under way, followed: which code makes it, and what its optimisers do."""

import contextlib
import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from deepul_utils import fingerprint, unsaved
from deepul_utils.training.histories import _note_settings
from deepul_utils.training.randomness import seeded

STEPS_WATCHED = 50  # by then everything that a training calls was called


class Run:
    """A training under way: which code makes it, what its optimisers do, and what is lost when it is saved."""

    def __init__(self, model: nn.Module, fit: Callable):
        self.model, self.fit = model, fit
        self.probe: Callable[[], Tensor] | None = None  # a loss on the last batch
        self._watch, self._known = fingerprint.Watch(), -1
        self._code, self._before = {}, {}  # type: dict[str, str], dict[str, str]
        self._players: list[tuple[torch.optim.Optimizer, dict]] = []
        try:
            self._fresh = copy.deepcopy(model)  # type: nn.Module | None
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
                    return float(self.probe())  # type: ignore[misc]  # asked where there is one
            except RuntimeError:  # a loss that takes gradients on its way
                return float(self.probe())  # type: ignore[misc]  # asked where there is one
