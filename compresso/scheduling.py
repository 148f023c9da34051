"""Run tasks on threads of this process, or on any machines by dask.distributed.

A scheduler is written as ``threads:4``, as ``processes:4``, or as the address of a Dask scheduler,
``tcp://host:8786``.
"""

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
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
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from compresso.errors import CompressoError, SpecError
from compresso.parallel import cores
from compresso.plugins import require

T = TypeVar("T")
R = TypeVar("R")
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


class SchedulerError(CompressoError):
    """A scheduler cannot be reached, has no workers, or failed."""


class Answer(NamedTuple, Generic[T, R]):
    """An item, the result of the function for it, and the worker that computed it."""

    item: T
    value: R
    worker: str


@dataclass(frozen=True)
class Scheduler:
    """Calls a function for many items, some of them at the same time.

    Parameters
    ----------
    slots : int
        How many tasks run at the same time.
    slots_per_process : int
        How many of them share the memory of one process.
    executor : Executor, optional
        Runs the tasks; by default the calling thread does.
    name : str
        The scheduler as the user wrote it, for errors.
    """

    slots: int = 1
    slots_per_process: int = 1
    executor: Executor | None = None
    name: str = ""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[Answer[T, R]]:
        """Yield an answer for each item, as they are completed.

        Items are taken as they are needed. With worker processes, the function and the items must
        be picklable. The task of a worker that dies is given to another worker. An error of the
        function is raised here; one of the scheduler itself becomes a SchedulerError.
        """
        todo = iter(items)
        if self.executor is None:
            yield from (Answer(item, *_call(function, item)) for item in todo)
            return
        waiting: dict[Future[tuple[R, str]], T] = {}
        try:
            while True:
                for item in islice(todo, AHEAD * self.slots - len(waiting)):
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
    return function(item), f"{socket.gethostname()}:{os.getpid()}:{threading.get_native_id()}"


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0]


@contextmanager
def open_scheduler(name: str = "", threads: int = 1) -> Iterator[Scheduler]:
    """Start workers, or connect to a scheduler; workers that it started end with the context.

    Parameters
    ----------
    name : str
        By default ``threads`` threads of this process, without Dask. ``threads`` and ``processes``
        without a number are one for each core that this process may use.
    threads : int
        Must be 1 with a name, which says itself how many there are.

    Raises
    ------
    SpecError
        For an unknown name, or a number of threads next to a name.
    MissingPackageError
        Without dask.distributed.
    SchedulerError
        If the scheduler does not answer or has no workers.
    """
    if not name:
        if threads == 1:
            yield Scheduler()
        else:
            with ThreadPoolExecutor(threads) as pool:
                yield Scheduler(threads, threads, pool)
        return
    local = LOCAL.fullmatch(name)
    if not (local or ADDRESS.fullmatch(name)):
        raise SpecError(
            f"not a scheduler: {name!r} (expected threads:4, processes:4 or tcp://host:8786)"
        )
    if threads != 1:
        raise SpecError(f"cannot combine {threads} threads with the scheduler {name}. Omit one.")
    distributed = require("distributed", "dask[distributed]", "a scheduler")
    for logger in LOGGERS:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    with ExitStack() as opened:
        try:
            where = name
            if local:
                where = opened.enter_context(_workers(distributed, local[1], int(local[2] or 0)))
            client = distributed.Client(where, timeout=TIMEOUT, set_as_default=False)
            opened.enter_context(client)
            client.wait_for_workers(1, timeout=TIMEOUT)
            slots = client.nthreads().values()
        except Exception as error:  # of many types: Dask's, Tornado's and the system's
            raise SchedulerError(f"{name}: {_first_sentence(error)}") from error
        yield Scheduler(sum(slots), max(slots), client.get_executor(pure=False), name)


def _workers(distributed: Any, kind: str, count: int) -> Any:
    """Start workers on this machine; processes ignore Ctrl-C, which only this process handles."""
    dask = require("dask", "dask[distributed]", "a scheduler")
    count, processes = cores(count), kind == "processes"
    main = threading.current_thread() is threading.main_thread()  # only it may have handlers
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        with dask.config.set(ENVIRONMENT):
            return distributed.LocalCluster(
                n_workers=count if processes else 1,
                threads_per_worker=1 if processes else count,
                processes=processes,
                dashboard_address=":0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
