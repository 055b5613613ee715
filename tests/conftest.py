"""For all tests."""

import os
import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interrupts_interrupt():
    """A shell that starts tests in the background has them ignore interrupts, and some tests send one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """nbgrader leaves NBGRADER_EXECUTION behind where its conversion ends with an error, as in some tests it does."""
    os.environ.pop("NBGRADER_EXECUTION", None)
