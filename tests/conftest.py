"""For all tests."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interrupts_interrupt():
    """A shell that starts tests in the background has them ignore interrupts, and some tests send one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
