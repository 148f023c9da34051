"""What a user waits for: whole commands, from the shell's prompt to the next one."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from experiments.bench.entries import Labels
from experiments.errors import HarnessError
from experiments.measure import Clock
from experiments.measure import rounds as in_rounds
from experiments.records.intervals import interval

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "--version": ["--version"],
    "compress": ["compress", "labels.npy", "labels.cps", "--force"],
    "info": ["info", "labels.cps"],
    "verify": ["verify", "labels.cps"],
    "decompress": ["decompress", "labels.cps", "again.npy", "--force"],
}


def commands(labels: Labels, rounds: int) -> list[str]:
    """A line a command: its first time, when kernels are compiled, and ever after.

    Each is a new process. The files are in the folder for temporary ones, and after the first
    round in the system's cache, as are the programs.
    """
    lines = [
        "What a user waits for, each a new process:",
        "",
        "| `python -m compresso` | the very first time, s | later, s | MVx/s |",
        "|---|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "labels.npy", labels)
        first = {verb: _seconds(verb, folder) for verb in COMMANDS}
        later: dict[str, list[float]] = {verb: [] for verb in COMMANDS}
        for _, verb in in_rounds(list(COMMANDS), rounds):
            later[verb].append(_seconds(verb, folder))
    for verb in COMMANDS:
        found = interval(later[verb])
        reads = verb not in ("--version", "info")
        speed = found.over(labels.size / 1e6).spelled(",.1f") if reads else ""
        lines.append(f"| `{verb}` | {first[verb]:.2f} | {found.spelled()} | {speed} |")
    return lines


def _seconds(verb: str, folder: Path) -> float:
    """Run a command, whose compiled kernels are kept in the folder."""
    clock = Clock()
    kept = {"NUMBA_CACHE_DIR": str(folder / "kernels"), "PYTHONPATH": str(ROOT)}
    done = clock.time(
        "command",
        lambda: subprocess.run(
            [sys.executable, "-m", "compresso", *COMMANDS[verb]],
            cwd=folder,
            env=os.environ | kept,
            capture_output=True,
            text=True,
            check=False,
        ),
    )
    if done.returncode:
        raise HarnessError(f"python -m compresso {verb}: {done.stderr.strip()}")
    return clock.seconds["command_s"]
