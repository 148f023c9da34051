"""The benchmark: our encodings, a memory copy and other packages, measured in the same rounds.

A machine that slows down slows everything in a round, so ratios are taken within each round.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from compresso import Encoding, compressors
from experiments.bench import processes, report
from experiments.bench.processes import Measurement
from experiments.bench.report import COPY, Results
from experiments.datasets import LoadedVolume
from experiments.measure import Clock, Method, measure, rounds
from experiments.records import OK, Row

__all__ = ["ours", "processes", "report", "run"]


def run(
    volume: LoadedVolume,
    encodings: Sequence[Encoding],
    count: int,
    threads: int,
    python: str | None,
    announce: Callable[[str], None],
) -> Results:
    """Measure everything ``count`` times, after an untimed round; what fails is left out.

    Parameters
    ----------
    volume : LoadedVolume
        Unsigned labels in C order.
    encodings : sequence of Encoding
    count : int
        Number of rounds.
    threads : int
        Measure the encodings with this number of threads, too.
    python : str, optional
        A Python interpreter that has other packages installed.
    announce : callable
        Called with messages about the progress.

    Returns
    -------
    dict
        The rows of each candidate by its title, in the order of the rounds.
    """
    with processes.connect(volume, python) as others:
        candidates = {COPY: partial(_copy, volume)} | ours(volume, encodings, threads)
        candidates |= others
        announce("warm-up")
        found: Results = {}
        for title, measurement in candidates.items():
            status = measurement(0)["status"]
            if status == OK:
                found[title] = []
            else:
                announce(f"{title} is left out: {status}")
        last = 0
        for number, title in rounds(list(found), count):
            if number > last:
                announce(f"round {number} of {count}")
            last = number
            found[title].append(candidates[title](number))
    return {title: rows for title, rows in found.items() if all(map(_succeeded, rows))}


def ours(
    volume: LoadedVolume, encodings: Sequence[Encoding], threads: int
) -> dict[str, Measurement]:
    """Each encoding, with one thread and with ``threads``."""
    found: dict[str, Measurement] = {}
    for encoding in encodings:
        for count in sorted({1, threads}):
            method = Method(encoding, compressors.parse("none"), count)
            title = f"{encoding}, {count} threads" if count > 1 else str(encoding)
            found[title] = partial(measure, volume, method, new_array=True)
    return found


def _copy(volume: LoadedVolume, run: int) -> Row:
    """Copy the labels to an array that has been written to, and to a new one."""
    labels, clock = volume.labels, Clock()
    target = clock.touched(labels.shape, labels.dtype)
    labels.max(initial=0)
    clock.time("decode", np.copyto, target, labels)
    clock.time("decode_new", labels.copy)
    return {"kind": "copy", "run": run, "status": OK} | clock.seconds


def _succeeded(row: Row) -> bool:
    return bool(row["status"] == OK)
