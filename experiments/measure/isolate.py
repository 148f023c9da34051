"""A cell in a process of its own, so that a hang, a crash or a full memory costs only it."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
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


def measure_apart(
    volume: Volume, cell: Cell, runs: list[int], timeout: float | None
) -> Iterator[Row]:
    """Yield the rows of a cell's runs, each of which may take ``timeout`` seconds."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(os.getpid(), theirs, volume, cell, runs), daemon=True
    )
    process.start()
    theirs.close()

    def receive(seconds: float | None, what: str) -> Row | Status:
        """A row from the process, or why none comes any more."""
        try:
            if _poll(ours, seconds):
                row: Row = ours.recv()
                return row
        except EOFError:
            process.join()
            return Status(Outcome.ERROR, f"its process ended ({_reason(process.exitcode)})")
        return Status(Outcome.TIMEOUT, f"{what}more than {seconds:g} s")

    try:
        answer = receive(WARM_UP_S if timeout else None, "compiling its kernels took ")
        for run in runs:
            if not isinstance(answer, Status):
                answer = receive(timeout, "")
            if isinstance(answer, Status):
                yield describe(volume, cell, run) | {"status": str(answer)}
            else:
                yield answer
    finally:
        process.kill()
        process.join()
        ours.close()


def _poll(pipe: Any, seconds: float | None) -> bool:
    """Wait for the pipe, for ever where ``seconds`` is None; no number is too large."""
    end = None if seconds is None else monotonic() + seconds
    while True:
        left = 3600.0 if end is None else min(3600.0, end - monotonic())
        if pipe.poll(max(0.0, left)):
            return True
        if left <= 0:
            return False


def _work(parent: int, pipe: Any, volume: Volume, cell: Cell, runs: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _die_with(parent)
    warm_up(volume, cell)
    pipe.send({})  # the clock of the first run starts
    for run in runs:
        pipe.send(measure(volume, cell, run))


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
