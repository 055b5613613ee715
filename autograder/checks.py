"""What an exercise's tests are written with: points, a hint, and `require`."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from autograder.properties.finding import Finding

_findings: ContextVar[list[Finding]] = ContextVar("findings")


class CheckFailed(AssertionError):
    """A required finding does not hold, or holds in part only."""


@dataclass(frozen=True)
class Recipe:
    """How the notebook's text says to train: what a loss that is near its goal is compared with.

    steps: of training (rounds, of a game), each on `batch` examples. lr: the largest learning rate; of a game the
    discriminator's. generator_lr: the generator's, if it is another. falls: whether the rate falls towards the end.
    """

    optimizer: str
    lr: float
    steps: int
    batch: int
    falls: bool = True
    generator_lr: float | None = None
    discriminator_steps: int = 1

    def advice(self, settings: dict) -> str:
        """What to try, for a training with these settings (as in its history): never what it did already."""
        if not settings:
            return ""
        differences = [text for text in self._comparisons(settings) if text]
        if not differences:
            return "This was trained as the text says, and is short of what that recipe reaches: look at the network."
        return "The recipe in the text differs from this training: " + "; ".join(differences) + "."

    def _comparisons(self, settings: dict) -> Iterator[str]:
        """Of each setting what the recipe says and what was done; "" where they agree."""
        value = settings.get
        yield self._other("optimiser", value("optimizer"), self.optimizer)
        yield self._number("learning rate", value("lr"), self.lr)
        yield self._number("learning rate of the generator", value("generator_lr"), self.generator_lr)
        yield self._falling(settings)
        yield self._number("number of steps", value("steps", value("rounds")), self.steps)
        yield self._number("batch size", value("batch"), self.batch)
        yield self._number("discriminator’s steps a round", value("discriminator_steps"), self.discriminator_steps)

    def _other(self, name: str, got, wanted) -> str:
        return f"{name} {wanted}, here {str(got)[:40]}" if got is not None and got != wanted else ""

    def _number(self, name: str, got, wanted) -> str:
        """A number that is far from the recipe's: by a third and more."""
        if wanted is None or isinstance(got, bool) or not isinstance(got, int | float):
            return ""
        near = wanted / 1.5 <= got <= wanted * 1.5
        return "" if near else f"{name} {wanted:,g}, here {got:,.3g}"

    def _falling(self, settings: dict) -> str:
        top, last = settings.get("lr"), settings.get("last_lr")  # type: Any, Any
        known = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (top, last))
        return "a learning rate that falls towards the end" if self.falls and known and last > 0.3 * top else ""


def points(number: float, title: str, needs: Callable | tuple[Callable, ...] = ()) -> Callable:
    """What the check is worth, what it is called, and what must hold before its result means anything.

    title: as a student reads it. needs: checks that must pass first; rare, since what is skipped costs its points, and
    a slip is to cost no more than the checks whose theorems it breaks.
    """
    needed = (needs,) if callable(needs) else needs

    def mark(test: Any) -> Any:
        test.points, test.hint, test.title = float(number), getattr(test, "hint", ""), title
        test.needs = tuple(check.__name__.removeprefix("test_") for check in needed)
        return test

    return mark


def hint(text: str) -> Callable:
    """The likely slip, shown with the check when it fails."""

    def mark(test: Any) -> Any:
        test.hint = text
        return test

    return mark


def require(finding: Finding) -> None:
    """Note the finding. Raises CheckFailed if nothing of it holds: what follows would say nothing."""
    _findings.get().append(finding)
    if finding.share <= 0:
        raise CheckFailed(f"{finding.measured}; required: {finding.required}")


def require_too(finding: Finding) -> None:
    """The same of what goes without saying: where it holds, a student is shown what was found before."""
    if not finding.passed:
        require(finding)


@contextlib.contextmanager
def apart():
    """For a while findings are noted elsewhere, and forgotten: of models that are not the student's as it is."""
    token = _findings.set([])
    try:
        yield
    finally:
        _findings.reset(token)


def collect() -> list[Finding]:
    """A fresh list that `require` will fill from now on."""
    findings: list[Finding] = []
    _findings.set(findings)
    return findings
