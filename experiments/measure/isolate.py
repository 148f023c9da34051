"""Measure a method in a process of its own, so that a hang or a crash costs only its row."""

import math
import multiprocessing
import os
import signal
import threading
from time import monotonic, sleep
from typing import Any

from compresso.cli import SIGNALS
from experiments.datasets import LoadedVolume
from experiments.measure.method import Method, describe, measure, warm_up
from experiments.records import Outcome, Row

WARM_UP_S = 600.0  # for compiling kernels, which does not count as part of any run
LONGEST_S = 1e6  # that the system can wait; it is eleven days


def measure_isolated(volume: LoadedVolume, method: Method, run: int, timeout: float | None) -> Row:
    """Measure one run of a method in a new process, for at most ``timeout`` seconds.

    The status of the row says if the process took too long or ended early.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    arguments = (os.getpid(), theirs, volume, method, run)
    process = context.Process(target=_work, args=arguments, daemon=True)
    process.start()
    theirs.close()
    row = describe(volume, method, run)
    # The process reports the end of each step by its seconds and its columns.
    steps = [(WARM_UP_S if timeout else None, "compiling its kernels took "), (timeout, "")]
    try:
        for limit, what in steps:
            took, found = math.inf, {}
            if ours.poll(limit and min(limit, LONGEST_S)):
                took, found = ours.recv()
            if limit and took > limit:
                return row | {"status": f"{Outcome.TIMEOUT}: {what}more than {limit:g} s"}
            row |= found
    except EOFError:
        process.join()
        code = process.exitcode or 0
        reason = f"exit code {code}"
        if code < 0:
            reason = f"{signal.Signals(-code).name}, perhaps out of memory"
        row["status"] = f"{Outcome.CRASH}: its process ended ({reason})"
    finally:
        process.kill()
        process.join()
        ours.close()
    return row


def _work(parent: int, pipe: Any, volume: LoadedVolume, method: Method, run: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    warm_up(volume, method)
    pipe.send((0.0, {}))  # the time of the run starts
    start = monotonic()
    row = measure(volume, method, run)
    pipe.send((monotonic() - start, row))


def _end_with(parent: int) -> None:
    """End this process soon after its parent has ended, even by SIGKILL."""
    while os.getppid() == parent:
        sleep(1)
    os._exit(1)
