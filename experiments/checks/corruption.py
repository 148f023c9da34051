"""Damage streams and source files at random, and count what decoding makes of them.

    python -m experiments.checks.corruption --count 3000

Each damaged input is decoded in a worker process. A worker that dies or hangs is replaced, so a
crash is counted and does not end the run.
"""

import importlib
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Source:
    """One kind of file.

    Parameters
    ----------
    ending : str
        The end of the file name.
    write : callable
        Writes labels to a path.
    checked : callable, optional
        Returns the ranges of bytes that are under a checksum; by default none is.
    """

    ending: str
    write: Callable[[Path, Labels], object]
    checked: Callable[[Path], Spans] | None = None


def _npy(order: Any) -> Callable[[Path, Labels], object]:
    return lambda path, labels: np.save(path, np.asarray(labels, order=order))


def _nrrd(encoding: str) -> Callable[[Path, Labels], object]:
    def write(path: Path, labels: Labels) -> None:
        import nrrd

        nrrd.write(str(path), labels, {"encoding": encoding}, index_order="C")

    return write


def _after_header(path: Path) -> Spans:
    data = path.read_bytes()
    return [(data.index(b"\n\n") + 2, len(data))]


def _nifti(path: Path, labels: Labels) -> None:
    nibabel: Any = importlib.import_module("nibabel")
    nibabel.Nifti1Image(labels.T, np.eye(4), dtype=labels.dtype).to_filename(path)


def _after_gzip_header(path: Path) -> Spans:
    return [(10, path.stat().st_size)]


def _h5(version: str = "earliest", **packing: Any) -> Callable[[Path, Labels], object]:
    def write(path: Path, labels: Labels) -> None:
        import h5py

        chunks = (1, *labels.shape[1:]) if packing else None
        with h5py.File(path, "w", libver=version) as file:
            file.create_dataset("main", data=labels, chunks=chunks, **packing)

    return write


def _h5_chunks(path: Path) -> Spans:
    import h5py

    spans: Spans = []
    with h5py.File(path) as file:
        file["main"].id.chunk_iter(
            lambda chunk: spans.append((chunk.byte_offset, chunk.byte_offset + chunk.size))
        )
    return spans


def _tiff(**options: Any) -> Callable[[Path, Labels], object]:
    def write(path: Path, labels: Labels) -> None:
        import tifffile

        tifffile.imwrite(path, labels, photometric="minisblack", **options)

    return write


def _tiff_strips(path: Path) -> Spans:
    import tifffile

    with tifffile.TiffFile(path) as file:
        return [
            (at, at + size)
            for page in file.pages
            for at, size in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]


def _own(path: Path, labels: Labels) -> None:
    from compresso import volumes

    volumes.write(path, volumes.of_array(labels))


ZYX = {"axes": "ZYX"}
SOURCES = {
    "npy": Source(".npy", _npy("C")),
    "npy-fortran": Source(".npy", _npy("F")),
    "nrrd-raw": Source(".nrrd", _nrrd("raw")),
    "nrrd-text": Source(".nrrd", _nrrd("text")),
    "nrrd-gzip": Source(".nrrd", _nrrd("gzip"), _after_header),
    "nrrd-bz2": Source(".nrrd", _nrrd("bz2"), _after_header),
    "nii": Source(".nii", _nifti),
    "nii-gz": Source(".nii.gz", _nifti, _after_gzip_header),
    "h5": Source(".h5", _h5()),
    "h5-lzf": Source(".h5", _h5(compression="lzf")),
    "h5-gzip": Source(".h5", _h5(compression="gzip", shuffle=True), _h5_chunks),
    "h5-fletcher32": Source(".h5", _h5(fletcher32=True), _h5_chunks),
    "h5-latest-gzip": Source(".h5", _h5("latest", compression="gzip"), _h5_chunks),
    "tif": Source(".tif", _tiff(metadata=None)),
    "tif-imagej": Source(".tif", _tiff(imagej=True, metadata=ZYX)),
    "tif-ome": Source(".ome.tif", _tiff(ome=True, metadata=ZYX)),
    "tif-lzw": Source(".tif", _tiff(ome=True, metadata=ZYX, compression="lzw")),
    "tif-packbits": Source(".tif", _tiff(compression="packbits", rowsperstrip=5)),
    "tif-zlib": Source(".tif", _tiff(metadata=None, compression="zlib"), _tiff_strips),
    "tif-tiles-zlib": Source(".tif", _tiff(compression="zlib", tile=(16, 16)), _tiff_strips),
    "tif-imagej-zlib": Source(
        ".tif", _tiff(imagej=True, metadata=ZYX, compression="zlib"), _tiff_strips
    ),
    "tif-ome-zlib": Source(
        ".ome.tif", _tiff(ome=True, metadata=ZYX, compression="zlib"), _tiff_strips
    ),
    "tif-own": Source(".tif", _own, _tiff_strips),
}


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
    from compresso.codec import Extent
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
