"""Where submissions are graded: in processes beside this one, or on a Dask cluster. The same function in both."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.util import Finalize

from autograder import environment
from autograder.grading.course import CourseError
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised

TRIES = 2
CONNECT_SECONDS = 10
THREADS = dict(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

_lock = threading.Lock()  # a Dask worker may have several threads, and pytest is not made for that
_graders: dict[Limits, object] = {}


@dataclass(frozen=True)
class Job:
    """One submission with all that a worker anywhere needs to grade it."""

    key: str
    submission: Normalised
    homework: str
    salt: str
    limits: Limits
    kit_version: str


class Workers:
    """Where to grade. open: makes an executor. at_once: how many submissions to give it."""

    def __init__(self, open_executor: Callable[[], Executor], at_once: int):
        self._open, self.at_once = open_executor, at_once
        self._warm: Executor | None = None

    def warm_up(self, limits: Limits, number: int) -> None:
        """Let workers and their sandboxes start now; they take seconds, which others may use."""
        self._warm = self._open()
        for _ in range(number):
            self._warm.submit(_grader, limits)

    def executor(self) -> Executor:
        warm, self._warm = self._warm, None
        return warm or self._open()


def work(job: Job) -> dict:
    """Grade one submission in this process: Execution.to_json()."""
    from autograder.grading.cache import kit_version
    from autograder.grading.execute import Execution

    if kit_version() != job.kit_version:
        fault = "the worker has another version of the kit or of its packages than the grader: install the same there."
        return Execution(job.submission.notebook, fault=fault).to_json()
    _grader(job.limits)
    with _lock:
        return _graders[job.limits].grade(job.submission, job.homework, job.salt).to_json()


def _grader(limits: Limits) -> None:
    """Make this process's grader, with its sandbox under way, unless it has one."""
    from autograder.grading.execute import Grader

    with _lock:
        if limits not in _graders:
            _graders[limits] = Grader(limits)
            Finalize(None, _graders[limits].close, exitpriority=1)  # when this worker ends
            _graders[limits].warm_up()


def run(wanted: Iterable[tuple[str, Job | None, dict | None]], workers: Workers) -> Iterator:
    """(item, result) of each item (student, job, result), as they are done; those with a result pass through.

    Items are taken as workers become free, so that few are in memory, and no worker starts before one is needed. A
    worker that is lost takes its submissions with it; they are tried again once, and then come back as not graded.
    """
    wanted, again = iter(wanted), []
    executor, running, tries = None, {}, Counter()
    try:
        while True:
            while len(running) < workers.at_once and (item := again.pop() if again else next(wanted, None)):
                student, job, result = item
                if result is not None:
                    yield item, result
                    continue
                executor = executor or workers.executor()
                tries[student] += 1
                running[_submitted(executor, job)] = item
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(f.exception(), BrokenExecutor) for f in done):  # all that it ran fail together
                done, _ = wait(running)
                executor.shutdown(wait=False)
                executor = None
            for future in done:
                item, error = running.pop(future), future.exception()
                if error is None:
                    yield item, future.result()
                elif tries[item[0]] < TRIES:
                    again.append(item)
                else:
                    from autograder.grading.execute import Execution

                    fault = f"the worker was lost {TRIES} times ({type(error).__name__}: {error})"
                    yield item, Execution(item[1].submission.notebook, fault=fault).to_json()
    finally:
        for future in running:
            future.cancel()
        if executor:
            executor.shutdown(wait=False)


def _submitted(executor: Executor, job: Job) -> Future:
    try:
        return executor.submit(work, job)
    except BrokenExecutor as error:  # a worker was lost before it had anything to do
        lost = Future()
        lost.set_exception(error)
        return lost


@contextlib.contextmanager
def local(number: int) -> Iterator[Workers]:
    """Processes on this machine, forked from one that has imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["autograder.grading.execute"])
    with environment.variables(**THREADS):
        pool = lambda: ProcessPoolExecutor(number, mp_context=context, initializer=_die_with_the_grader)  # noqa: E731
        yield Workers(pool, number + 1)  # one waits, so that no worker does


def _die_with_the_grader() -> None:
    """If the grader is killed, no worker goes on without it; its sandbox ends with the worker."""

    def watch() -> None:
        multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """A Dask cluster. Raises CourseError if it does not answer, or if Dask is not installed."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise CourseError("--cluster needs Dask: pip install -e '.[cluster]', in the kit's folder.") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise CourseError(f"No Dask scheduler answers at {address}: {error}") from None
    with client:
        size = len(client.scheduler_info(n_workers=-1)["workers"])
        yield Workers(lambda: client.get_executor(pure=False), 2 * max(1, size))  # more may be on their way
