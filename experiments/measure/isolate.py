"""A cell in a process of its own, so that a hang, a crash or a full memory costs only it."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic, sleep
from typing import Any

from compresso.cli import SIGNALS
from experiments.datasets import Volume
from experiments.measure.cell import Cell, describe, measure, warm_up
from experiments.records import Outcome, Row, Status

WARM_UP_S = 600.0  # for the kernels to be compiled, which no run is charged for


def available() -> bool:
    """Whether processes can share the volume without copying it."""
    return "fork" in multiprocessing.get_all_start_methods()


def measure_apart(volume: Volume, cell: Cell, run: int, timeout: float | None) -> Row:
    """Measure one run of a cell, which may take ``timeout`` seconds; returns its row.

    What never came back is told in the row's status: :func:`hopeless` knows it.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(os.getpid(), theirs, volume, cell, run), daemon=True
    )
    with _sigint_held_back():
        process.start()
    theirs.close()

    def receive(seconds: float | None, what: str) -> tuple[float, Row] | Status:
        """What the process sends and how long it took, or why nothing comes."""
        limit = inf if seconds is None else seconds
        late = Status(Outcome.TIMEOUT, f"{what}more than {limit:g} s")
        try:
            if not _poll(ours, limit):
                return late
            took, row = ours.recv()
            return late if took > limit else (took, row)
        except EOFError:
            process.join()
            return Status(Outcome.CRASH, f"its process ended ({_reason(process.exitcode)})")

    try:
        answer = receive(WARM_UP_S if timeout else None, "compiling its kernels took ")
        if not isinstance(answer, Status):
            answer = receive(timeout, "")
        if isinstance(answer, Status):
            return describe(volume, cell, run) | {"status": str(answer)}
        return answer[1]
    finally:
        process.kill()
        process.join()
        ours.close()


def hopeless(row: Row) -> bool:
    """Whether a run took too long or ended its process, as any other of its cell would."""
    return Status.parse(row["status"]).outcome in (Outcome.TIMEOUT, Outcome.CRASH)


@contextmanager
def _sigint_held_back() -> Iterator[None]:
    """Answer a Ctrl-C that comes meanwhile afterwards: what it raises in ``fork`` is swallowed.

    Its handler is replaced, and not only its signal blocked, as any other thread may receive it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread only
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _poll(pipe: Any, seconds: float) -> bool:
    """Wait for the pipe, for ever where ``seconds`` is infinite; no number is too large."""
    end = monotonic() + seconds
    while True:
        left = min(3600.0, end - monotonic())
        if pipe.poll(max(0.0, left)):
            return True
        if left <= 0:
            return False


def _work(parent: int, pipe: Any, volume: Volume, cell: Cell, run: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _die_with(parent)
    warm_up(volume, cell)
    pipe.send((0.0, {}))  # the clock of the run starts
    start = monotonic()
    row = measure(volume, cell, run)
    pipe.send((monotonic() - start, row))


def _die_with(parent: int) -> None:
    """End this process when its parent ends, even by SIGKILL."""
    if sys.platform == "linux":
        death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it ended before it could be watched
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        sleep(1)
    os._exit(1)


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f"{signal.Signals(-code).name}, perhaps out of memory"
    return f"exit code {code}"
