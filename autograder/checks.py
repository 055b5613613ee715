"""What an exercise's tests are written with: points, a hint, and `require`."""

from collections.abc import Callable
from contextvars import ContextVar

from autograder.properties.finding import Finding

_findings: ContextVar[list[Finding]] = ContextVar("findings")


class CheckFailed(AssertionError):
    """A required finding does not hold, or holds in part only."""


def points(number: float, needs: str | tuple[str, ...] = ()) -> Callable:
    """What the check is worth, and the checks (test names without "test_") that must pass before it says much."""

    def mark(test: Callable) -> Callable:
        test.points, test.hint = float(number), getattr(test, "hint", "")
        test.needs = (needs,) if isinstance(needs, str) else needs
        return test

    return mark


def hint(text: str) -> Callable:
    """The likely slip, shown with the check when it fails."""

    def mark(test: Callable) -> Callable:
        test.hint = text
        return test

    return mark


def require(finding: Finding) -> None:
    """Note the finding. Raises CheckFailed if nothing of it holds: what follows would say nothing."""
    _findings.get().append(finding)
    if finding.share <= 0:
        raise CheckFailed(f"{finding.measured}; required: {finding.required}")


def collect() -> list[Finding]:
    """A fresh list that `require` will fill from now on."""
    findings: list[Finding] = []
    _findings.set(findings)
    return findings
