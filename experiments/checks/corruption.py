"""Damage streams and source files at random, and count what decoding makes of them.

    python -m experiments.checks.corruption --count 3000

Each damaged input is decoded in a worker process. A worker that dies or hangs is replaced, so a
crash is counted and does not end the run.
"""

import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import numpy as np

import compresso
from compresso import compressors, encodings, volumes
from compresso.arrays import Labels
from experiments.checks import Program
from experiments.checks.sources import SOURCES, Spans

TIMEOUT = 60.0  # seconds for one input
MEMORY = 12 << 30  # bytes of a worker, so that a bomb is a crash
#: The outcomes of a damaged input. ``unchecked`` is a wrong result that the format cannot notice,
#: because it has no checksum over the damaged bytes.
OUTCOMES = ("refused", "same", "wrong", "unchecked", "crash", "hang")


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


def codec(
    name: str, labels: Labels, folder: Path
) -> tuple[Callable[[], bytes], Callable[[bytes], Labels], type[Exception]]:
    """How to encode and decode, and the one error that decoding may raise.

    Parameters
    ----------
    name : str
        ``container ENCODING COMPRESSION``, ``stream ENCODING`` or ``file KIND``.
    labels : (nz, ny, nx) integer
    folder : Path
        For the source file, which is read a few slices at a time.
    """
    kind, first, *rest = name.split()
    if kind == "container":
        (compression,) = rest
        encode = partial(compresso.dumps, labels, first, compression)
        return encode, compresso.loads, compresso.DecodeError
    if kind == "stream":
        encoding = encodings.parse(first)
        return (
            lambda: bytes(encoding.encode(labels)),
            lambda data: encoding.decode(data, labels.shape, labels.dtype),
            compresso.DecodeError,
        )
    path = folder / f"x{SOURCES[first].ending}"

    def write() -> bytes:
        SOURCES[first].write(path, labels)
        return path.read_bytes()

    def read(data: bytes) -> Labels:
        path.write_bytes(data)
        with volumes.open_file(path) as reader:
            depth = min(reader.shape[0], 99)  # a header may claim millions
            return np.concatenate([reader.read(z, z + 3) for z in range(0, depth, 3)])

    return write, read, compresso.FileError


def serve(name: str, labels: Labels, folder: Path, connection: Connection) -> None:
    """Decode inputs in a worker process: send the original stream, then an outcome for each."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    encode, decode, refusal = codec(name, labels, folder)
    stream = encode()
    decode(stream)
    connection.send_bytes(stream)
    while True:
        try:
            found = decode(connection.recv_bytes())
            connection.send("same" if np.array_equal(found, labels) else "wrong")
        except refusal:
            connection.send("refused")


class Worker:
    """A process that decodes inputs one by one; a new process replaces one that dies or hangs."""

    def __init__(self, name: str, labels: Labels, folder: Path) -> None:
        self._arguments = (name, labels, folder)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")  # kernels stay loaded
        self._pipe, other = context.Pipe()
        self.process: Any = context.Process(target=serve, args=(*self._arguments, other))
        self.process.start()
        other.close()
        self.stream = self._pipe.recv_bytes()

    def decode(self, data: bytes) -> str:
        """Decode an input; returns same, wrong, refused, crash or hang."""
        try:
            self._pipe.send_bytes(data)
            if self._pipe.poll(TIMEOUT):
                return str(self._pipe.recv())
            answer = "hang"
        except (EOFError, OSError):
            answer = "crash"
        self.stop()
        self._start()
        return answer

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()


def count(name: str, labels: Labels, number: int, seed: int) -> Counter[str]:
    """Damage one codec's stream, or one source file, and count the outcomes."""
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        worker = Worker(name, labels, folder)
        stream = worker.stream
        spans: Spans = [(0, len(stream))]
        if name.startswith("file "):
            source = SOURCES[name.removeprefix("file ")]
            path = folder / f"original{source.ending}"
            path.write_bytes(stream)
            spans = source.checked(path) if source.checked else []
        for data in damaged(stream, number, np.random.default_rng(seed)):
            outcome = worker.decode(data)
            noticeable = stream.startswith(data) or all(  # every format can notice a cut
                any(start <= first and last <= stop for start, stop in spans)
                for first, last in changes(stream, data)
            )
            tally["unchecked" if outcome == "wrong" and not noticeable else outcome] += 1
        worker.stop()
    return tally


def names() -> list[str]:
    """Everything that is damaged."""
    containers = [
        f"container {e} {c}" for e in encodings.installed() for c in ("none", "zstd", "lzma")
    ]
    containers += [f"container compresso {c}" for c in compressors.names()]
    streams = [f"stream {e}" for e in encodings.installed() if encodings.parse(e).robust]
    return list(dict.fromkeys([*containers, *streams, *(f"file {name}" for name in SOURCES)]))


@click.command(cls=Program)
@click.option(
    "--count",
    "number",
    type=click.IntRange(1),
    default=3000,
    show_default=True,
    help="Damaged inputs for each codec.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the damage.")
@click.option("--only", default="", help="Only codecs and files whose names contain this text.")
def main(number: int, seed: int, only: str) -> None:
    """Count what damaged streams and source files decode to, as a Markdown table."""
    from compresso.plugins import Extent
    from experiments.datasets.synthetic import Phantom

    labels = Phantom(Extent("64x64x4"), bits=32).labels()
    failed = False
    click.echo("| | inputs | refused | same | WRONG | wrong, no checksum there | crash | hang |")
    click.echo("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in filter(lambda name: only in name, names()):
        # ImageJ's files have at most 16 bits
        narrow = labels.astype(np.uint16) if name.startswith("file") else labels
        tally = count(name, narrow, number, seed)
        click.echo(f"| {name} | {tally.total()} | {' | '.join(str(tally[o]) for o in OUTCOMES)} |")
        failed |= tally["crash"] + tally["hang"] > 0
        failed |= not name.startswith("stream") and tally["wrong"] > 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
