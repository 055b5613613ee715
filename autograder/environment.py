"""Environment variables for a while."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def variables(**values: str | None) -> Iterator[None]:
    """Set environment variables (None: remove) and put back what was there before, whatever happens."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
