"""Where submissions are graded: in processes beside this one, or on a Dask cluster. The same function in both."""

import contextlib
import faulthandler
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from autograder import environment
from autograder.course import CourseError
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised

if TYPE_CHECKING:
    from autograder.grading.execute import Grader

TRIES = 2
LONGER = 300.0  # seconds beyond all that a submission may take, for what the grader does itself; usually five
OVERDUE = "grading it took over {:.0f} min, which the limits of its own code do not explain: look at what it hands in."
CONNECT_SECONDS = 10
THREADS = dict(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

_lock = threading.Lock()  # a Dask worker may have several threads, and pytest is not made for that
_graders: dict[Limits, "Grader"] = {}


@dataclass(frozen=True)
class Job:
    """One submission with all that a worker anywhere needs to grade it. budget: seconds, if fewer than limits say."""

    key: str
    submission: Normalised
    assignment: str
    salt: str
    limits: Limits
    kit_version: str
    budget: float = math.inf


class Workers:
    """Where to grade. open: makes an executor. at_once: how many submissions to give it. far: on other machines."""

    def __init__(self, open_executor: Callable[[], Executor], at_once: int, far: bool = False):
        self._open, self.at_once, self.far = open_executor, at_once, far
        self._warm: Executor | None = None

    def warm_up(self, limits: Limits, number: int) -> None:
        """Let workers and their sandboxes start now; they take seconds, which others may use."""
        self._warm = self._open()
        for _ in range(number):
            self._warm.submit(_grader, limits)

    def executor(self) -> Executor:
        warm, self._warm = self._warm, None
        return warm or self._open()


class WorkerError(Exception):
    """What a worker did raised something, which is told by its words."""


class Overdue(Exception):
    """A worker was at one submission for longer than that can take, and was ended."""


class Lost(Exception):
    """A worker ended by itself, as when the machine has no memory left. seconds: how long it had been at it."""

    def __init__(self, why: str, seconds: float):
        super().__init__(why)
        self.seconds = seconds


def work(job: Job) -> dict:
    """Grade one submission in this process: Execution.to_json()."""
    _grader(job.limits)
    with _lock:
        grader = _graders[job.limits]
        return grader.grade_beside_others(job.submission, job.assignment, job.salt, job.budget).to_json()


def work_on_cluster(job: Job) -> dict:
    """`work` on a Dask worker, which ends itself where it takes too long: no line of Python has to run for that.

    Dask gives the job to another one then. Since when it is under way is kept with the scheduler, so that all of them
    together take no longer than one may.
    """
    from distributed import get_client

    from autograder.grading.cache import kit_version
    from autograder.grading.execute import Execution

    if kit_version(job.assignment) != job.kit_version:
        fault = "the worker has another version of the kit or of its packages than the grader: install the same there."
        return Execution(job.submission.notebook, fault=fault).to_json()
    client, place = get_client(), ["deepul", job.key]
    seconds = min(job.budget, job.limits.total) + LONGER
    began = client.get_metadata(place, default=None)
    if began is None:
        client.set_metadata(place, began := time.time())
    left = began + seconds - time.time()
    if left <= 0:
        return Execution(job.submission.notebook, fault=OVERDUE.format(seconds / 60)).to_json()
    faulthandler.dump_traceback_later(left, exit=True)
    try:
        return work(job)
    finally:
        faulthandler.cancel_dump_traceback_later()
        client.set_metadata(place, None)


def _grader(limits: Limits) -> None:
    """Make this process's grader, with its sandbox under way, unless it has one."""
    from autograder.grading.execute import Grader

    with _lock:
        if limits not in _graders:
            _graders[limits] = Grader(limits)
            Finalize(None, _graders[limits].close, exitpriority=1)  # when this worker ends
            _graders[limits].warm_up()


@dataclass(frozen=True)
class Item:
    """A student, with the job to be done for them, or with the result that there is already."""

    student: str
    job: Any  # a Job, where there is no result
    result: dict | None = None


def run(wanted: Iterable[Item], workers: Workers) -> Iterator[tuple[Item, dict]]:
    """(item, result) of each item, as they are done; those with a result pass through.

    Items are taken as workers become free, so that few are in memory, and no worker starts before one is needed. What
    a lost worker was at is tried once more, in what is left of its time. What the machine had no time for is graded
    once more at the end, when nothing else is, and only that result counts.
    """
    queue = _Queue(iter(wanted), workers)
    try:
        while queue.has_work:
            yield from queue.fill()
            yield from queue.finished()
    finally:
        queue.close()


class _Queue:
    """What is wanted, under way, and to be done once more."""

    def __init__(self, wanted: Iterator[Item], workers: Workers):
        self._wanted, self._workers = wanted, workers
        self._function = work_on_cluster if workers.far else work
        self._executor: Executor | None = None
        self._running: dict[Future, Item] = {}
        self._again: list[Item] = []  # their worker was lost
        self._alone: list[Item] = []  # they were starved, and wait until nothing else runs
        self._starved: dict[str, dict] = {}  # {student: the result that does not count}
        self._tries: Counter[str] = Counter()
        self.has_work = True

    def fill(self) -> Iterator[tuple[Item, dict]]:
        """Give work to all who are free, and pass on what has its result already."""
        while len(self._running) < self._workers.at_once and (item := self._next()):
            if item.result is not None:
                yield item, item.result
                continue
            self._tries[item.student] += 1
            self._start(item)
        if self._alone and not self._running:
            self._start(self._alone.pop())
        self.has_work = bool(self._running)

    def _next(self) -> Item | None:
        return self._again.pop() if self._again else next(self._wanted, None)

    def _start(self, item: Item) -> None:
        self._executor = self._executor or self._workers.executor()
        self._running[self._executor.submit(self._function, item.job)] = item

    def finished(self) -> Iterator[tuple[Item, dict]]:
        """Wait for one that is under way, and give the results that are there then."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in done:
            item = self._running.pop(future)
            result = self._result(item, future)
            if result is not None:
                yield item, result

    def _result(self, item: Item, future: Future) -> dict | None:
        """What counts of what came of an item; None if it is to be done once more."""
        error, student = future.exception(), item.student
        if error is not None:
            if isinstance(error, Overdue) or self._tries[student] >= TRIES:
                return _not_graded(item.job, error, self._tries[student])
            self._again.append(Item(student, replace(item.job, budget=_left(item.job, error))))
            return None
        result = future.result()
        if result["starved"] and student not in self._starved:
            self._starved[student] = result
            self._alone.append(item)
            return None
        return _final(self._starved.get(student), result)

    def close(self) -> None:
        for future in self._running:
            future.cancel()
        if self._executor:
            self._executor.shutdown(wait=False)


def _left(job: Job, error: BaseException) -> float:
    """What a submission may still take whose worker was lost."""
    return min(job.budget, job.limits.total) - (error.seconds if isinstance(error, Lost) else 0)


def _not_graded(job: Job, error: BaseException, tries: int) -> dict:
    from autograder.grading.execute import Execution

    often = "" if isinstance(error, Overdue) else f"{tries} times: "
    return Execution(job.submission.notebook, fault=f"{often}{error or type(error).__name__}").to_json()


def _final(first: dict | None, result: dict) -> dict:
    """A result with what is to be said of the one before it, if there was one."""
    from autograder.grading.execute import Execution, again_alone

    return again_alone(Execution(**first), Execution(**result)).to_json() if first else result


@contextlib.contextmanager
def local(number: int) -> Iterator[Workers]:
    """Processes on this machine, forked from one that has imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["autograder.grading.execute"])
    opened = []

    def pool() -> Executor:
        opened.append(_Processes(number, context))
        return opened[-1]

    with environment.variables(**THREADS):
        try:
            yield Workers(pool, number + 1)  # one waits, so that no worker does
        finally:
            for executor in opened:
                executor.shutdown(wait=False)


class _Processes(ThreadPoolExecutor):
    """Each thread waits for a process of its own, and ends it when it is at something for too long.

    So one that is lost takes nothing of the others with it.
    """

    def __init__(self, number: int, context: "multiprocessing.context.ForkServerContext"):
        super().__init__(number)
        self._context, self._own = context, threading.local()
        self._all: list[_Worker] = []

    def submit(self, function, about, /) -> Future:  # type: ignore[override]  # with one argument
        """`function` of a Job, or of Limits, somewhere else."""
        return super().submit(self._elsewhere, function, about)

    def _elsewhere(self, function, about):
        limits, budget = (about.limits, about.budget) if isinstance(about, Job) else (about, math.inf)
        worker = getattr(self._own, "worker", None)
        if worker is None or not worker.alive:
            worker = self._own.worker = _Worker(self._context)
            self._all.append(worker)
        return worker.do(function, about, min(budget, limits.total) + LONGER)

    def shutdown(self, wait=True, *, cancel_futures=False) -> None:
        """End the processes: those at work at once, the others in order."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._all:
            worker.close()


class _Worker:
    """A process that does one thing at a time."""

    def __init__(self, context: "multiprocessing.context.ForkServerContext"):
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,))
        self._process.start()
        theirs.close()
        self._at_work = False

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def do(self, function, about, seconds: float):
        """What function(about) returns there. Raises Overdue, Lost, or WorkerError for what it raised."""
        late, began = threading.Event(), time.monotonic()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon, self._at_work = True, True
        timer.start()
        try:
            self._pipe.send((function, about))
            returned, value = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            if late.is_set():
                raise Overdue(OVERDUE.format(seconds / 60)) from None
            how = f"the worker was lost (exit code {self._process.exitcode})"
            raise Lost(how, time.monotonic() - began) from None
        finally:
            timer.cancel()
            self._at_work = False
        if not returned:
            raise WorkerError(value)
        return value

    def close(self) -> None:
        if self._at_work:
            self._process.kill()
        self._pipe.close()  # one that waits for work goes home


def _serve(pipe: multiprocessing.connection.Connection) -> None:
    """The life of a worker: what comes is done, and what came of it goes back."""
    _end_with_the_grader()
    with contextlib.suppress(EOFError, BrokenPipeError):  # nobody wants anything any more
        while True:
            function, about = pipe.recv()
            try:
                answer = True, function(about)
            except Exception as error:  # told to the TA, with the place
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{os.path.basename(place.filename)}, line {place.lineno}"
                answer = False, f"{type(error).__name__}: {error} ({where})"
            pipe.send(answer)


def _end_with_the_grader() -> None:
    """If the grader is killed, this worker is, too, and its sandbox with it.

    By the system: whatever the worker is at, no line of Python has to run here for that.
    """
    import fcntl

    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has one"
    grader = parent.sentinel
    fcntl.fcntl(grader, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(grader, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(grader, fcntl.F_SETFL, fcntl.fcntl(grader, fcntl.F_GETFL) | os.O_ASYNC)
    if multiprocessing.connection.wait([grader], timeout=0):  # it ended before that
        os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """A Dask cluster. Raises CourseError if it does not answer, or if Dask is not installed."""
    try:
        from distributed import Client
        from distributed.comm import get_address_host_port, normalize_address
    except ModuleNotFoundError:
        raise CourseError("--cluster needs Dask: pip install -e '.[cluster]', in the kit's folder.") from None
    try:
        get_address_host_port(normalize_address(address), strict=True)  # a client that has none waits when it ends
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise CourseError(f"No Dask scheduler answers at {address}: {error}") from None
    with client:
        size = len(client.scheduler_info(n_workers=-1)["workers"])
        yield Workers(lambda: client.get_executor(pure=False), 2 * max(1, size), far=True)  # more may be on their way
