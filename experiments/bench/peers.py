"""Other packages, which are measured in a process of another Python interpreter."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compresso import compressors, encodings
from experiments.datasets import LoadedVolume
from experiments.errors import HarnessError
from experiments.measure import Method
from experiments.measure.method import describe
from experiments.records import Outcome, Row, Status

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
    answer: Row = {"status": str(Status(Outcome.CRASH, "its process ended"))}
    try:
        process.stdin.write(json.dumps(title) + "\n")
        process.stdin.flush()
        if line := process.stdout.readline():
            answer = json.loads(line)
    except BrokenPipeError:
        pass
    method = Method(encodings.parse("none"), compressors.parse("none"))
    return describe(volume, method, run) | {"kind": "other", "encoding": title} | answer
