"""Measurements in other processes: packages of another Python interpreter, whole commands."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compresso import compressors, encodings
from compresso.arrays import Labels
from experiments import HarnessError
from experiments.datasets import LoadedVolume
from experiments.measure import Clock, Method, rounds
from experiments.measure.method import describe
from experiments.records import Outcome, Row
from experiments.records.intervals import interval
from experiments.text import markdown

#: Measures something once, in the round that it is given; the row's status says if that failed.
Measurement = Callable[[int], Row]


@contextmanager
def connect(volume: LoadedVolume, python: str | None) -> Iterator[dict[str, Measurement]]:
    """The packages that an interpreter has, by their titles; raises HarnessError without any."""
    if python is None:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.npy"
        np.save(path, volume.labels)
        command = [python, "-I", str(Path(__file__).with_name("other_codecs.py")), str(path)]
        try:
            process: Any = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise HarnessError(f"--peers {python}: cannot run it ({error.strerror})") from None
        try:
            titles = json.loads(process.stdout.readline() or "null")
            if titles is None:
                raise HarnessError(f"--peers {python}: it exited at once. Install NumPy there.")
            if not titles:
                raise HarnessError(
                    f"--peers {python}: no other codec is installed there. Install some: pip "
                    "install 'compresso<4' crackle-codec compressed-segmentation"
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
    method = Method(encodings.parse("none"), compressors.parse("none"))
    return describe(volume, method, run) | {"kind": "other", "encoding": title} | answer


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
        first = {command: _seconds(command, folder) for command in COMMANDS}
        later: dict[str, list[float]] = {command: [] for command in COMMANDS}
        for _, command in rounds(list(COMMANDS), count):
            later[command].append(_seconds(command, folder))
    rows = []
    for command, seconds in first.items():
        found = interval(later[command])
        speed = found.over(labels.size / 1e6).text("{:,.1f}".format)
        rows.append([f"`{command}`", f"{seconds:.2f}", found.text(), speed])
    heads = ["`python -m compresso`", "first run, s", "later runs, s", "Mvoxel/s"]
    yield from markdown(heads, rows)


def _seconds(command: str, folder: Path) -> float:
    """Run a command as a new process, whose compiled kernels are kept in the folder."""
    clock = Clock()
    own = {"NUMBA_CACHE_DIR": str(folder / "kernels"), "PYTHONPATH": str(ROOT)}
    done = clock.time(
        "command",
        lambda: subprocess.run(
            [sys.executable, "-m", "compresso", command, *COMMANDS[command]],
            cwd=folder,
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        ),
    )
    if done.returncode:
        raise HarnessError(f"python -m compresso {command}: {done.stderr.strip()}")
    return clock.seconds["command_s"]
