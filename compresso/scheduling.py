"""Where tasks run: on threads of this process, or by dask.distributed on any machine.

A spec is ``threads:4``, ``processes:4``, or the address of a scheduler, ``tcp://host:8786``.
"""

import asyncio
import logging
import os
import re
import signal
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from compresso.errors import CompressoError, SpecError
from compresso.parallel import cores
from compresso.plugins import require

T = TypeVar("T")
R = TypeVar("R")
LOCAL = re.compile(r"(threads|processes)(?::(\d+))?")
ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://[^/\s]+:\d+")
#: Tasks that are sent for each that can run at once, so that no worker waits for the next one.
AHEAD = 8
#: What worker processes are started with. Dask would have them give memory back at once, and memory
#: that is touched anew may cost more than a codec.
ENVIRON = {"distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1}}
#: Seconds in which a scheduler must answer, and in which it must have a worker.
PATIENCE = 4.0
#: Seconds without any worker after which everything is given up.
DESERTED = 60.0


class SchedulerError(CompressoError):
    """A scheduler cannot be reached, has no workers, or lost too many of them."""


class Answer(NamedTuple, Generic[T, R]):
    """What became of an item, and which worker it was."""

    item: T
    value: R
    worker: str


class Scheduler(ABC):
    """Calls a function for many items, ``slots`` of them at a time."""

    slots: int
    #: How many of the slots are in one process, and share its memory.
    slots_a_process: int

    @abstractmethod
    def answers(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[Answer[T, R]]:
        """Yield an answer for each item, in the order in which they come.

        ``function`` and the items must be such that they can be pickled. An item whose worker
        dies is given to another one. Whatever ``function`` raises is raised here.
        """


@contextmanager
def open_scheduler(spec: str = "", threads: int = 1) -> Iterator[Scheduler]:
    """Start a scheduler, or find it; at the end what was started ends.

    Parameters
    ----------
    spec : str
        Empty for ``threads`` threads without dask; ``threads`` or ``processes`` without a number
        are as many as the cores that this process may use.
    threads : int
        1 beside a spec, which says itself how many there are.

    Raises
    ------
    SpecError
        For a spec that makes no sense, or a number of threads beside one.
    MissingPackageError
        Without dask.distributed.
    SchedulerError
        Where there is no scheduler at the address, or it has no workers.
    """
    found = LOCAL.fullmatch(spec)
    if spec and not (ADDRESS.fullmatch(spec) or (found and found[2] != "0")):
        raise SpecError(f"{spec!r} is no scheduler; give threads:4, processes:4 or tcp://host:8786")
    if spec and threads != 1:
        raise SpecError(f"{threads} threads beside the scheduler {spec}: leave out one of the two")
    if not spec:
        yield _Pool(threads)
        return
    distributed = require("distributed", "dask[distributed]", "a scheduler")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if found is None:
        silent = "no scheduler of Dask answers there"
        with _told(f"{spec}: {silent}"):  # a client that fails says so for ten seconds
            asyncio.run(asyncio.wait_for(_greet(distributed, spec), 2 * PATIENCE))
        with _client(distributed, spec, spec, silent) as client:
            yield _Dask(distributed, client, spec)
        return
    count = cores(int(found[2] or 0))
    apart = found[1] == "processes"
    with ExitStack() as opened:
        dask = require("dask", "dask[distributed]", "a scheduler")
        with _told(f"{spec}: cannot start workers"), _sigint_ignored(), dask.config.set(ENVIRON):
            cluster = distributed.LocalCluster(
                n_workers=count if apart else 1,
                threads_per_worker=1 if apart else count,
                processes=apart,
                dashboard_address=":0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        opened.enter_context(cluster)
        client = _client(distributed, cluster, spec, "does not answer")
        yield _Dask(distributed, opened.enter_context(client), spec)


@contextmanager
def _sigint_ignored() -> Iterator[None]:
    """Processes that are started now do not hear Ctrl-C, which is ours to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in one line what fails, and Dask's or the system's reason, whatever that is."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SchedulerError(f"{what} ({reason})") from error


@contextmanager
def _client(distributed: Any, cluster: Any, spec: str, silent: str) -> Iterator[Any]:
    """A client of a cluster or an address; ``silent`` is said of one that does not answer."""
    with _told(f"{spec}: {silent}"):
        client = distributed.Client(cluster, timeout=PATIENCE, set_as_default=False)
    try:
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=PATIENCE)
        if not client.nthreads():
            raise SchedulerError(f"{spec}: has no workers; start some: dask worker {spec}")
        yield client
    finally:
        client.close(timeout=PATIENCE)


async def _greet(distributed: Any, address: str) -> None:
    comm = await distributed.comm.core.connect(address, timeout=PATIENCE)
    await comm.close()


@dataclass
class _Pool(Scheduler):
    slots: int

    @property
    def slots_a_process(self) -> int:  # type: ignore[override]
        return self.slots

    def answers(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[Answer[T, R]]:
        """On threads; those at work end at their next :func:`check_wanted`."""
        todo = iter(items)
        if self.slots == 1:
            yield from (Answer(item, function(item), _me()) for item in todo)
            return
        ended = threading.Event()
        with ThreadPoolExecutor(self.slots, initializer=_set_ended, initargs=(ended,)) as pool:
            waiting: dict[Future[tuple[R, str]], T] = {}
            try:
                while True:
                    for item in islice(todo, AHEAD * self.slots - len(waiting)):
                        waiting[pool.submit(_called, function, item)] = item
                    if not waiting:
                        return
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        value, worker = future.result()
                        yield Answer(waiting.pop(future), value, worker)
            finally:
                ended.set()
                pool.shutdown(wait=False, cancel_futures=True)


_thread = threading.local()


def _set_ended(ended: threading.Event) -> None:
    """Tell a new thread where it sees that nobody waits for its tasks any more."""
    _thread.ended = ended


def check_wanted() -> None:
    """Raise SchedulerError where nobody waits for the task at work in this thread any more."""
    ended = getattr(_thread, "ended", None)
    if ended is not None and ended.is_set():
        raise SchedulerError("interrupted")


class _Dask(Scheduler):
    def __init__(self, distributed: Any, client: Any, spec: str) -> None:
        self._distributed, self._client, self._spec = distributed, client, spec
        workers = client.nthreads()
        self.slots = sum(workers.values())
        self.slots_a_process = max(workers.values())

    def answers(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[Answer[T, R]]:
        """By dask, a few tasks ahead of the workers; an interruption cancels them."""
        todo = iter(items)
        waiting: dict[Any, T] = {}
        try:
            while True:
                more = list(islice(todo, AHEAD * self.slots - len(waiting)))
                futures = self._client.map(partial(_called, function), more, pure=False)
                waiting |= dict(zip(futures, more, strict=True))
                if not waiting:
                    return
                for future in self._wait(waiting):
                    value, worker = self._result(future)
                    yield Answer(waiting.pop(future), value, worker)
        finally:
            with suppress(Exception):
                self._client.cancel(list(waiting), force=True)

    def _wait(self, waiting: Iterable[Any]) -> set[Any]:
        """Those that are done, at least one; raises SchedulerError where nobody works any more."""
        alone = 0.0
        while alone < DESERTED:
            try:
                with self._client.as_current():
                    done: set[Any] = self._distributed.wait(
                        list(waiting), timeout=PATIENCE, return_when="FIRST_COMPLETED"
                    ).done
                return done
            except TimeoutError:
                workers = {}
                with suppress(Exception):
                    workers = self._client.nthreads()
                alone = 0.0 if workers else alone + PATIENCE
            except self._distributed.client.FuturesCancelledError:
                break
        raise SchedulerError(f"{self._spec}: has no workers any more, or is gone itself")

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except self._distributed.scheduler.KilledWorker:
            raise SchedulerError(
                f"{self._spec}: a task ends every worker that has it, perhaps for want of memory"
            ) from None
        except ModuleNotFoundError as error:
            raise SchedulerError(
                f"{self._spec}: its workers have no {error.name}; install there what is here"
            ) from error
        except self._distributed.client.FutureCancelledError as error:
            raise SchedulerError(f"{self._spec}: a task is lost ({error})") from None


def _called(function: Callable[[T], R], item: T) -> tuple[R, str]:
    return function(item), _me()


def _me() -> str:
    """This worker's name: the machine, the process and the thread."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_native_id()}"
