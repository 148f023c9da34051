"""The benchmark: our encodings, a memory copy and other packages, measured in the same rounds.

A machine that slows down slows everything in a round, so ratios are taken within each round.
Packages of another Python interpreter, and whole commands, are measured in other processes.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import itemgetter
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from compresso import Encoding
from compresso.arrays import Labels
from experiments import HarnessError
from experiments.bench import report
from experiments.bench.report import COPY, Results
from experiments.datasets import LoadedVolume
from experiments.measure import Clock, Method, measure, rounds
from experiments.measure.method import describe
from experiments.records import OK, Outcome, Row
from experiments.records.intervals import interval
from experiments.text import markdown

__all__ = ["connect", "report", "run", "whole_commands"]

#: Measures something once, in the round that it is given; the row's status says if that failed.
Measurement = Callable[[int], Row]
RAW = Method.parse("none", "none")


def run(
    volume: LoadedVolume,
    chosen: Sequence[Encoding],
    count: int,
    threads: int,
    python: str | None,
    announce: Callable[[str], None],
) -> Results:
    """Measure everything in ``count`` rounds, after an untimed one; failing codecs are left out.

    The labels are unsigned and in C order. Each encoding is measured with one thread and with
    ``threads``; ``python`` is an interpreter that has other packages installed.
    """
    candidates: dict[str, Measurement] = {COPY: partial(_copy, volume)}
    for encoding in chosen:
        for number in sorted({1, threads}):
            method = Method(encoding, RAW.compressor, number)
            title = f"{encoding}, {number} threads" if number > 1 else str(encoding)
            candidates[title] = partial(measure, volume, method, new_array=True)
    found: Results = {}
    with ExitStack() as opened:
        if python:
            candidates |= opened.enter_context(connect(volume, python))
        announce("warm-up")
        for title, measurement in candidates.items():
            status = measurement(0)["status"]
            if status == OK:
                found[title] = []
            else:
                announce(f"{title} is left out: {status}")
        for number, order in itertools.groupby(rounds(list(found), count), itemgetter(0)):
            announce(f"round {number} of {count}")
            for _, title in order:
                found[title].append(candidates[title](number))
    return {t: rows for t, rows in found.items() if all(row["status"] == OK for row in rows)}


def _copy(volume: LoadedVolume, run: int) -> Row:
    """Copy the labels to an array that has been written to, and to a new one."""
    labels, clock = volume.labels, Clock()
    target = clock.touched(labels.shape, labels.dtype)
    labels.max(initial=0)
    clock.time("decode", np.copyto, target, labels)
    clock.time("decode_new", labels.copy)
    return {"kind": "copy", "run": run, "status": OK} | clock.seconds


@contextmanager
def connect(volume: LoadedVolume, python: str) -> Iterator[dict[str, Measurement]]:
    """The packages that an interpreter has, by their titles; raises HarnessError without any."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.npy"
        np.save(path, volume.labels)
        command = [python, "-I", str(Path(__file__).with_name("other_codecs.py")), str(path)]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        try:
            process: Any = subprocess.Popen(command, **pipes)
        except OSError as error:
            raise HarnessError(f"--peers {python}: cannot run it ({error.strerror})") from None
        try:
            titles = json.loads(process.stdout.readline() or "[]")
            if not titles:
                raise HarnessError(
                    f"--peers {python}: no NumPy or no other codec is installed there. Run: pip "
                    "install numpy 'compresso<4' crackle-codec compressed-segmentation"
                )
            yield {title: partial(_measure, process, volume, title) for title in titles}
        finally:
            process.kill()
            process.communicate()  # which closes the pipes


def _measure(process: Any, volume: LoadedVolume, title: str, run: int) -> Row:
    """Have a package measured; its row has the columns of every other row."""
    answer: Row = {"status": f"{Outcome.CRASH}: its process ended"}
    try:
        process.stdin.write(json.dumps(title) + "\n")
        process.stdin.flush()
        if line := process.stdout.readline():
            answer = json.loads(line)
    except BrokenPipeError:
        pass
    return describe(volume, RAW, run) | {"kind": "other", "encoding": title} | answer


ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "compress": ["labels.npy", "labels.cps", "--force"],
    "decompress": ["labels.cps", "again.npy", "--force"],
}


def whole_commands(labels: Labels, count: int) -> Iterator[str]:
    """One line per command: its first run, which compiles kernels, and ``count`` later ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "labels.npy", labels)
        seconds = {command: [_seconds(command, folder)] for command in COMMANDS}
        for _, command in rounds(list(COMMANDS), count):
            seconds[command].append(_seconds(command, folder))
    rows = []
    for command, (first, *later) in seconds.items():
        found = interval(later)
        speed = found.over(labels.size / 1e6).text("{:,.1f}".format)
        rows.append([f"`{command}`", f"{first:.2f}", found.text(), speed])
    heads = ["`python -m compresso`", "first run, s", "later runs, s", "Mvoxel/s"]
    yield from markdown(heads, rows)


def _seconds(command: str, folder: Path) -> float:
    """Run a command as a new process, whose compiled kernels are kept in the folder."""
    own = {"NUMBA_CACHE_DIR": str(folder / "kernels"), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "compresso", command, *COMMANDS[command]]
    start = perf_counter()
    done = subprocess.run(words, cwd=folder, env=os.environ | own, capture_output=True, text=True)
    if done.returncode:
        raise HarnessError(f"python -m compresso {command}: {done.stderr.strip()}")
    return perf_counter() - start
