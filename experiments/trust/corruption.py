"""Damages streams and source files at random and counts what decoding makes of them.

    python -m experiments.trust.corruption --count 3000

Each damaged input is decoded in a worker process, which is replaced when it dies or hangs, so that
a crash is counted and not fatal. With --peers PYTHON the same damage is done to other codecs there.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from compresso import compressors, encodings
from experiments.program import Program
from experiments.trust.sources import SOURCES

TIMEOUT = 60.0  # seconds for one batch
#: What can come of a damaged input; a wrong one is unchecked where its format has no checksum.
KEYS = ("refused", "same", "wrong", "unchecked", "crash", "hang")
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


def touched(stream: bytes, data: bytes) -> list[tuple[int, int]]:
    """Which bytes of a sound stream damage changed or took away, from and to before."""
    if len(stream) == len(data):
        return [(i, i + 1) for i in range(len(stream)) if stream[i] != data[i]]
    shorter = min(len(stream), len(data))
    first = next((i for i in range(shorter) if stream[i] != data[i]), shorter)
    backwards = range(1, shorter - first + 1)
    same = next((i - 1 for i in backwards if stream[-i] != data[-i]), shorter - first)
    return [(first, max(first + 1, len(stream) - same))]


def checked(name: str, stream: bytes, folder: Path) -> list[tuple[int, int]]:
    """Where a source file has checksums over its labels; of anything else, everywhere."""
    kind, _, name = name.partition(" ")
    if kind != "file":
        return [(0, len(stream))]
    source = SOURCES[name]
    path = folder / f"sound{source.ending}"
    path.write_bytes(stream)
    return source.checked(path) if source.checked else []


class Worker:
    """A process that decodes what it is sent."""

    def __init__(self, python: str, codec: str, volume: Path) -> None:
        self._command = [python, str(Path(__file__).with_name("victim.py")), codec, str(volume)]
        self._process: Any = None

    def stream(self) -> bytes:
        """The codec's own stream of the volume."""
        self._start()
        return self._first

    def decode(self, batch: list[bytes]) -> list[str]:
        """What became of each: same, refused, wrong, crash or hang."""
        results: list[str] = []
        while len(results) < len(batch):
            if self._process is None:
                self._start()
            try:
                results += self._ask(batch[len(results) :])
            except subprocess.TimeoutExpired:
                results.append("hang")
                self.stop()
        return results

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        self._first = bytes.fromhex(json.loads(self._process.stdout.readline())["stream"])

    def _ask(self, batch: list[bytes]) -> list[str]:
        import selectors

        results: list[str] = []
        for data in batch:
            try:
                self._process.stdin.write(data.hex().encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                pass  # it died; reading finds out
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                if not selector.select(TIMEOUT):
                    self.stop()
                    return [*results, "hang"]
            line = self._process.stdout.readline()
            if not line:
                self.stop()
                return [*results, "crash"]
            results.append(line.decode().strip())
        return results


@click.command(cls=Program)
@click.option(
    "--count",
    type=click.IntRange(1),
    default=3000,
    show_default=True,
    help="Damaged inputs for each codec.",
)
@click.option("--peers", metavar="PYTHON", help="Interpreter that has other codecs installed.")
@click.option("--seed", default=0, show_default=True)
@click.option("--only", help="Codecs and files whose names hold this.")
def main(count: int, peers: str | None, seed: int, only: str | None) -> None:
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
        np.save(folder / "narrow.npy", labels.astype(np.uint16))  # all that ImageJ can hold
        for python, name in _jobs(peers):
            if only and only not in name:
                continue
            tally = _count(python, name, folder, count, seed)
            numbers = (sum(tally.values()), *(tally[key] for key in KEYS))
            click.echo(f"| {name} | {' | '.join(map(str, numbers))} |")
            failed |= not name.startswith("peer") and tally["crash"] + tally["hang"] > 0
            failed |= name.startswith(("frame", "file")) and tally["wrong"] > 0
    sys.exit(1 if failed else 0)


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


def _count(python: str, name: str, folder: Path, count: int, seed: int) -> Counter[str]:
    """How often each of KEYS came of damage."""
    volume = "narrow.npy" if name.startswith("file") else "labels.npy"
    worker = Worker(python, name, folder / volume)
    stream = worker.stream()
    spans = checked(name, stream, folder)
    batch = list(damaged(stream, count, np.random.default_rng(seed)))
    tally: Counter[str] = Counter()
    for data, result in zip(batch, worker.decode(batch), strict=True):
        if result == "wrong":
            under = stream.startswith(data) or all(  # every format says how much there must be
                any(start <= first and last <= stop for start, stop in spans)
                for first, last in touched(stream, data)
            )
            result = "wrong" if under else "unchecked"
        tally[result] += 1
    worker.stop()
    return tally


if __name__ == "__main__":
    main()
