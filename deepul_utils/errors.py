"""Errors that a student meets."""


class KitError(Exception):
    """Something to put right, said in the words of the exercise; notebooks show it without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def describe(error: BaseException) -> str:
    """One line about an error in a cell: its type, its message, and for a syntax error its line."""
    if isinstance(error, SyntaxError) and error.lineno:
        line = (error.text or "").strip()
        return f"{type(error).__name__} in line {error.lineno}: {error.msg}" + (f" — {line}" if line else "")
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a student's own, whose words fail themselves
        return type(error).__name__


class Interrupted(KitError):
    """Training was interrupted by the student; it can go on."""


class Diverged(KitError):
    """The loss or the weights became nan or infinite: nothing of this training is worth keeping."""


class NotSaved(KitError):
    """A file could not be written: the disk is full, or nothing may be written there."""


class CannotDraw(KitError, ValueError):
    """A figure was given what it cannot show: another shape, values outside their range, nan."""
