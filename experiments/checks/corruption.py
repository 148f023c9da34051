"""Damage streams and source files at random, and count what decoding makes of them.

    python -m experiments.checks.corruption --count 3000

Each damaged input is decoded in a worker process. A worker that dies or hangs is replaced, so a
crash is counted and does not end the run. With ``--peers PYTHON`` the same damage is done to the
codecs that are installed for another interpreter.
"""

import select
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import numpy as np

from compresso import compressors, encodings
from experiments.checks import Program
from experiments.checks.sources import SOURCES, Spans
from experiments.errors import HarnessError

TIMEOUT = 60.0  # seconds for one input
#: What can come of a damaged input. ``unchecked`` is a wrong result that the format cannot notice,
#: because it has no checksum over the damaged bytes.
OUTCOMES = ("refused", "same", "wrong", "unchecked", "crash", "hang")
ROOT = Path(__file__).resolve().parents[2]


def damaged(stream: bytes, count: int, random: np.random.Generator) -> Iterator[bytes]:
    """Yield ``count`` variants: a bit flipped, bytes replaced, cut off or out, doubled, swapped."""
    size = len(stream)
    for number in range(count):
        data = bytearray(stream)
        at, length = int(random.integers(size)), int(random.integers(1, 33))
        match number % 6:
            case 0:
                data[at] ^= 1 << int(random.integers(8))
            case 1:
                del data[at:]
            case 2:
                data[at : at + length] = random.bytes(length)
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                other = int(random.integers(size))
                data[at], data[other] = data[other], data[at]
        if bytes(data) != stream:
            yield bytes(data)


def changes(stream: bytes, data: bytes) -> Spans:
    """Where a damaged stream differs from the original: ranges of the original's bytes."""
    if len(stream) == len(data):
        return [(i, i + 1) for i in range(len(stream)) if stream[i] != data[i]]
    shorter = min(len(stream), len(data))
    first = next((i for i in range(shorter) if stream[i] != data[i]), shorter)
    backwards = range(1, shorter - first + 1)
    same = next((i - 1 for i in backwards if stream[-i] != data[-i]), shorter - first)
    return [(first, max(first + 1, len(stream) - same))]


def protected(name: str, stream: bytes, folder: Path) -> Spans:
    """The bytes under a checksum: some of a source file, and all of everything else."""
    kind, _, name = name.partition(" ")
    if kind != "file":
        return [(0, len(stream))]
    source = SOURCES[name]
    path = folder / f"original{source.ending}"
    path.write_bytes(stream)
    return source.checked(path) if source.checked else []


class Worker:
    """A process that decodes inputs one by one; a new process replaces one that dies or hangs."""

    def __init__(self, python: str, codec: str, volume: Path) -> None:
        script = Path(__file__).with_name("corruption_worker.py")
        self._command = [python, str(script), codec, str(volume)]
        self._process: Any = None
        self._start()

    def decode(self, data: bytes) -> str:
        """Decode an input; returns same, wrong, refused, crash or hang."""
        with suppress(BrokenPipeError):  # it died, which the empty answer shows
            self._process.stdin.write(data.hex().encode() + b"\n")
            self._process.stdin.flush()
        output = self._process.stdout
        ready, _, _ = select.select([output], [], [], TIMEOUT)
        answer: str = output.readline().decode().strip() if ready else "hang"
        if answer in ("", "hang"):
            self.stop()
            self._start()
        return answer or "crash"

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        self.stream = bytes.fromhex(self._process.stdout.readline().decode())
        if not self.stream:
            self.stop()
            python, _, codec, _ = self._command
            raise HarnessError(f"{python}: cannot run {codec!r}. Install its package there.")


def count(python: str, name: str, folder: Path, number: int, seed: int) -> Counter[str]:
    """Damage one codec's stream, or one source file, and count the outcomes."""
    volume = "narrow.npy" if name.startswith("file") else "labels.npy"
    worker = Worker(python, name, folder / volume)
    stream = worker.stream
    spans = protected(name, stream, folder)
    tally: Counter[str] = Counter()
    for data in damaged(stream, number, np.random.default_rng(seed)):
        outcome = worker.decode(data)
        noticeable = stream.startswith(data) or all(  # every format can notice a cut
            any(start <= first and last <= stop for start, stop in spans)
            for first, last in changes(stream, data)
        )
        tally["unchecked" if outcome == "wrong" and not noticeable else outcome] += 1
    worker.stop()
    return tally


def _jobs(peers: str | None) -> list[tuple[str, str]]:
    """The interpreter and the name of everything that is damaged."""
    frames = [f"frame {e} {c}" for e in encodings.installed() for c in ("none", "zstd", "lzma")]
    frames += [f"frame compresso {c}" for c in compressors.names()]
    bare = [f"bare {e} none" for e in encodings.installed() if encodings.parse(e).robust]
    files = [f"file {name}" for name in SOURCES]
    jobs = [(sys.executable, name) for name in dict.fromkeys(frames + bare + files)]
    if peers:
        for name in ("compresso", "crackle", "compressed_segmentation"):
            jobs.append((peers, f"peer {name}"))
    return jobs


@click.command(cls=Program)
@click.option(
    "--count",
    "number",
    type=click.IntRange(1),
    default=3000,
    show_default=True,
    help="Damaged inputs for each codec.",
)
@click.option("--peers", metavar="PYTHON", help="Interpreter that has other codecs installed.")
@click.option("--seed", default=0, show_default=True, help="Random seed of the damage.")
@click.option("--only", default="", help="Only codecs and files whose names contain this text.")
def main(number: int, peers: str | None, seed: int, only: str) -> None:
    """Count what damaged streams and source files decode to, as a Markdown table."""
    from compresso.plugins import Extent
    from experiments.datasets.phantom import Phantom

    labels = Phantom(Extent("64x64x4"), bits=32).load().labels
    failed = False
    click.echo("| | inputs | refused | same | WRONG | wrong, no checksum there | crash | hang |")
    click.echo("|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        np.save(folder / "labels.npy", labels)
        np.save(folder / "narrow.npy", labels.astype(np.uint16))  # ImageJ holds no more
        for python, name in _jobs(peers):
            if only not in name:
                continue
            tally = count(python, name, folder, number, seed)
            numbers = (tally.total(), *(tally[outcome] for outcome in OUTCOMES))
            click.echo(f"| {name} | {' | '.join(map(str, numbers))} |")
            failed |= not name.startswith("peer") and tally["crash"] + tally["hang"] > 0
            failed |= name.startswith(("frame", "file")) and tally["wrong"] > 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
