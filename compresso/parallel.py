"""Work on several threads, processes or machines: ranges of slices, and maps over tasks.

Functions that run in threads must release the interpreter's lock, as all encodings and compressors
do (docs/performance.md). A :class:`Scheduler` also runs tasks on other machines, by
dask.distributed.
"""

import itertools
import logging
import math
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from compresso.codec import require
from compresso.errors import CompressoError, SpecError

if TYPE_CHECKING:
    from compresso.arrays import Labels

T = TypeVar("T")
R = TypeVar("R")
#: Slices z0..z1-1.
Span = tuple[int, int]
#: Called with the number of groups that are done, and of all groups.
Progress = Callable[[int, int], object]

SLAB_BYTES = 1 << 22
COPIED_SLAB_BYTES = 1 << 26  # a slab that is copied has one slice more on either side

LOCAL = re.compile(r"(threads|processes)(?::([1-9]\d*))?")
ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://[^/\s]+:\d+")
#: Tasks that are sent ahead for each that can run at once, so that no worker waits for its next.
AHEAD = 8
#: Seconds in which a scheduler must answer and have a worker.
TIMEOUT = 4.0
#: The environment of worker processes. By default Dask makes them return freed memory to the
#: system, and to get it back can take longer than a codec needs.
ENVIRONMENT = {"distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1}}
LOGGERS = ("distributed", "distributed.client", "tornado.application")


def cores(threads: int) -> int:
    """Return this number of threads; for 0, the number of cores that this process may use."""
    if threads:
        return threads
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; it knows of PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares(threads: int, parts: int) -> tuple[int, int]:
    """The number of parts to work on at once, and of threads for each; 0 is all cores."""
    threads = cores(threads)
    at_once = max(1, min(threads, parts))
    return at_once, -(-threads // at_once)


def ranges(nz: int, parts: int, multiple: int = 1) -> list[Span]:
    """Split nz slices into at most ``parts`` ranges that begin at multiples of ``multiple``."""
    groups = -(-nz // multiple)
    parts = max(1, min(parts, groups))
    edges = [min(nz, groups * i // parts * multiple) for i in range(parts)] + [nz]
    return list(itertools.pairwise(edges))


def slabs(z0: int, z1: int, depth: int) -> list[Span]:
    """Split slices z0..z1-1 into slabs of ``depth`` slices."""
    return [(s, min(s + depth, z1)) for s in range(z0, z1, depth)]


def slab_depth(volume: "Labels", multiple: int = 1) -> int:
    """Return the slices, a multiple, of a slab that stays in the cache between two passes."""
    slice_bytes = max(1, math.prod(volume.shape[1:]) * volume.dtype.itemsize)
    plain = volume.flags.c_contiguous and volume.dtype.isnative
    target = SLAB_BYTES if plain else COPIED_SLAB_BYTES
    return max(1, round(target / slice_bytes / multiple)) * multiple


def on_threads(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """``[function(item) for item in items]``, on several threads if ``threads`` is above 1."""
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def in_order(
    function: Callable[[T], R], items: Iterable[T], threads: int
) -> Generator[R, None, None]:
    """``map(function, items)`` on threads: the same results in the same order, or the same error.

    Items are taken in the caller's thread, as long as at most ``threads`` results are pending. The
    first error in the order of the items is raised after the results before it. By then, and when
    the caller closes the iterator, all threads have stopped.
    """
    if threads <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for future in _futures(lambda item: pool.submit(function, item), items):
            waiting.append(future)
            del future  # so that only the caller keeps its result
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _futures(submit: Callable[[T], Future[R]], items: Iterable[T]) -> Iterator[Future[R]]:
    """The submitted items; an error of the iterator is raised in its turn."""
    try:
        yield from map(submit, items)  # map keeps no item
    except Exception as error:
        failed: Future[R] = Future()
        failed.set_exception(error)
        yield failed


class SchedulerError(CompressoError):
    """A scheduler cannot be reached, has no workers, or failed."""


class Answer(NamedTuple, Generic[T, R]):
    """An item, the result of the function for it, and the worker that computed it."""

    item: T
    value: R
    worker: str


@dataclass(frozen=True)
class Scheduler:
    """Runs ``slots`` tasks at once, on an executor or in the calling thread.

    ``slots_per_process`` of them share the memory of a process. Errors begin with ``name``.
    """

    slots: int = 1
    slots_per_process: int = 1
    executor: Executor | None = None
    name: str = ""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[Answer[T, R]]:
        """Yield an answer for each item, as they are completed; items are taken as they are needed.

        The task of a worker that dies is given to another worker. An error of the function is
        raised here; one of the scheduler itself becomes a SchedulerError.
        """
        todo = iter(items)
        if self.executor is None:
            yield from (Answer(item, *_call(function, item)) for item in todo)
            return
        waiting: dict[Future[tuple[R, str]], T] = {}
        try:
            while True:
                for item in itertools.islice(todo, AHEAD * self.slots - len(waiting)):
                    waiting[self.executor.submit(_call, function, item)] = item
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield Answer(waiting.pop(future), *future.result())
        except CancelledError:
            raise SchedulerError(f"{self.name}: lost the connection to the scheduler") from None
        except Exception as error:
            if not type(error).__module__.startswith("distributed"):
                raise
            raise SchedulerError(f"{self.name}: {_first_sentence(error)}") from error
        finally:
            for future in waiting:
                future.cancel()


def _call(function: Callable[[T], R], item: T) -> tuple[R, str]:
    """The result, and the name of this worker: its machine, process and thread."""
    return function(item), f"{os.uname().nodename}:{os.getpid()}:{threading.get_native_id()}"


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0]


@contextmanager
def open_scheduler(name: str = "") -> Iterator[Scheduler]:
    """Start workers, or connect to a scheduler; workers that it started end with the context.

    ``name`` is ``threads:4``, ``processes:4`` (without a number: one per core) or an address such
    as ``tcp://host:8786``; by default, the calling thread works. Raises SpecError for another name,
    MissingPackageError without Dask, which threads do not need, and SchedulerError if the scheduler
    does not answer or has no workers.
    """
    local = LOCAL.fullmatch(name)
    if name and not (local or ADDRESS.fullmatch(name)):
        raise SpecError(
            f"not a scheduler: {name!r} (expected threads:4, processes:4 or tcp://host:8786)"
        )
    count = cores(int(local[2] or 0)) if local else 1
    if not name or name == "threads:1":
        yield Scheduler()
        return
    if local and local[1] == "threads":
        with ThreadPoolExecutor(count) as pool:
            yield Scheduler(count, count, pool)
        return
    distributed = require("distributed", "dask[distributed]", "a scheduler")
    for logger in LOGGERS:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    with ExitStack() as opened:
        try:
            where = name
            if local:
                where = opened.enter_context(_workers(distributed, count))
            client = distributed.Client(where, timeout=TIMEOUT, set_as_default=False)
            opened.enter_context(client)
            client.wait_for_workers(1, timeout=TIMEOUT)
            slots = client.nthreads().values()
        except Exception as error:  # of many types: Dask's, Tornado's and the system's
            raise SchedulerError(f"{name}: {_first_sentence(error)}") from error
        yield Scheduler(sum(slots), max(slots), client.get_executor(pure=False), name)


def _workers(distributed: Any, count: int) -> Any:
    """Start processes on this machine; they ignore Ctrl-C, which only this process handles."""
    dask = require("dask", "dask[distributed]", "a scheduler")
    main = threading.current_thread() is threading.main_thread()  # only it may have handlers
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        with dask.config.set(ENVIRONMENT):
            return distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address=":0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
