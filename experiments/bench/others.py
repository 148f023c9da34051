"""Other codecs, each timed in a process of another Python."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bench.entries import Entry, Labels, Numbers
from experiments.errors import HarnessError


class PeerError(HarnessError):
    """Another codec failed on the volume."""


@contextmanager
def peers(labels: Labels, python: str | None) -> Iterator[list[Entry]]:
    """Entries whose work is done by a process of another Python."""
    if python is None:
        yield []
        return
    script = Path(__file__).with_name("peers.py")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.npy"
        np.save(path, labels)
        try:
            process: Any = subprocess.Popen(
                [python, "-I", str(script), str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise HarnessError(f"--peers {python}: cannot be run ({error.strerror})") from None
        with process:

            def ask(name: str, task: str) -> dict[str, float]:
                process.stdin.write(json.dumps([name, task]) + "\n")
                process.stdin.flush()
                answer: Any = json.loads(
                    process.stdout.readline() or '{"error": "its process ended"}'
                )
                if "error" in answer:
                    raise PeerError(f"{name} cannot {task} this volume: {answer['error']}")
                found: dict[str, float] = answer
                return found

            def measure(name: str, _: int) -> Numbers:
                encoded, decoded = ask(name, "encode"), ask(name, "decode")
                return {
                    "encode_s": encoded["seconds"],
                    "decode_new_s": decoded["seconds"],
                    "bytes": encoded["bytes"],
                }

            try:
                names = json.loads(process.stdout.readline() or "null")
                if names is None:
                    raise HarnessError(f"--peers {python}: it ended at once; has it numpy?")
                if not names:
                    raise HarnessError(
                        f"--peers {python}: has no other codec; install some there: pip install "
                        "compresso crackle-codec compressed-segmentation"
                    )
                yield [Entry(name, "peer", partial(measure, name)) for name in names]
            finally:
                process.stdin.close()
