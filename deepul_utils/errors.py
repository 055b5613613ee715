"""Errors that a student meets."""


class KitError(Exception):
    """Something to put right, said in the words of the exercise; notebooks show it without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]
