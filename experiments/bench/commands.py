"""How long whole commands take, from the shell's prompt to the next one."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compresso.arrays import Labels
from experiments.errors import HarnessError
from experiments.measure import Clock, rounds
from experiments.records.intervals import interval

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "compress": ["labels.npy", "labels.cps", "--force"],
    "decompress": ["labels.cps", "again.npy", "--force"],
}


def table(labels: Labels, count: int) -> Iterator[str]:
    """One line per command: its first run, which compiles kernels, and ``count`` later ones."""
    yield "| `python -m compresso` | first run, s | later runs, s | Mvoxel/s |"
    yield "|---|---:|---:|---:|"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "labels.npy", labels)
        first = {command: _seconds(command, folder) for command in COMMANDS}
        later: dict[str, list[float]] = {command: [] for command in COMMANDS}
        for _, command in rounds(list(COMMANDS), count):
            later[command].append(_seconds(command, folder))
    for command, seconds in first.items():
        found = interval(later[command])
        speed = found.over(labels.size / 1e6).text("{:,.1f}".format)
        yield f"| `{command}` | {seconds:.2f} | {found.text()} | {speed} |"


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
