"""For all tests."""

import os
import signal

import numpy as np
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


@pytest.fixture(autouse=True)
def _the_same_draws_in_any_order(request: pytest.FixtureRequest) -> None:
    """What a file's RNG draws in a test does not hang on which tests ran before it, in this process."""
    module = getattr(request, "module", None)
    if isinstance(rng := getattr(module, "RNG", None), np.random.Generator):
        rng.bit_generator.state = _STARTS.setdefault(module.__name__, rng.bit_generator.state)


_STARTS: dict[str, object] = {}  # {test module: its RNG's state before its first test}


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist's, which takes the groups as they are then
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes (pytest-xdist), tests that share what their file makes once, such as a graded class, stay
    in one of them, and so do those that drive the one browser; all others go wherever there is time."""
    for item in items:
        if item.get_closest_marker("alone"):
            continue
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.xdist_group("browser"))
        elif isinstance(item, pytest.Function) and _shared(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


def _shared(test: pytest.Function) -> bool:
    """It uses a fixture of a file or folder that is made once for several tests."""
    fixtures = [f for found in test._fixtureinfo.name2fixturedefs.values() for f in found]
    return any(f.scope != "function" and f.baseid.startswith("tests/") for f in fixtures)
