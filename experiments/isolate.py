"""A cell in a process of its own, so that a hang, a crash or a full memory costs only it."""

import multiprocessing
import signal
from collections.abc import Iterator
from typing import Any

from compresso import Compressor, Encoding
from experiments import measure
from experiments.datasets import Volume

Row = dict[str, Any]


def available() -> bool:
    """Whether processes can share the volume without copying it."""
    return "fork" in multiprocessing.get_all_start_methods()


def measure_apart(
    volume: Volume,
    encoding: Encoding,
    compressor: Compressor,
    runs: list[int],
    threads: int,
    timeout: float | None,
) -> Iterator[Row]:
    """Yield the rows of a cell's runs, each of which may take ``timeout`` seconds."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(theirs, volume, encoding, compressor, runs, threads), daemon=True
    )
    process.start()
    theirs.close()
    failure = None
    try:
        for run in runs:
            if failure is None:
                try:
                    if ours.poll(timeout):
                        yield ours.recv()
                        continue
                    failure = f"timeout: more than {timeout:g} s"
                except EOFError:
                    process.join()
                    failure = f"error: its process ended ({_reason(process.exitcode)})"
            row = measure.describe(volume, encoding, compressor, run, threads)
            yield row | {"status": failure}
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(
    pipe: Any,
    volume: Volume,
    encoding: Encoding,
    compressor: Compressor,
    runs: list[int],
    threads: int,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for row in measure.measure_runs(volume, encoding, compressor, runs, threads):
        pipe.send(row)


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f"{signal.Signals(-code).name}, perhaps out of memory"
    return f"exit code {code}"
