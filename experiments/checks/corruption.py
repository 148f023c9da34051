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
from typing import Any, NamedTuple

import click
import h5py
import nibabel
import nrrd
import numpy as np
import tifffile

import compresso
from compresso import compressors, encodings, volumes
from compresso.arrays import Labels
from compresso.codec import Extent
from experiments.checks import Program
from experiments.datasets.synthetic import Phantom
from experiments.text import markdown

#: Ranges of bytes: start, and stop (exclusive).
Spans = list[tuple[int, int]]


PLAIN: Any = {"metadata": None}
IMAGEJ: Any = {"imagej": True, "metadata": {"axes": "ZYX"}}
OME: Any = {"ome": True, "metadata": {"axes": "ZYX"}}
GZIP: Any = {"compression": "gzip"}
ZLIB: Any = {"compression": "zlib"}
#: Kinds of files: the ending, whether the labels are under a checksum, and the writer's options.
SOURCES: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "npy": (".npy", False, {}),
    "npy-fortran": (".npy", False, {"order": "F"}),
    "nrrd-raw": (".nrrd", False, {"encoding": "raw"}),
    "nrrd-text": (".nrrd", False, {"encoding": "text"}),
    "nrrd-gzip": (".nrrd", True, {"encoding": "gzip"}),
    "nrrd-bz2": (".nrrd", True, {"encoding": "bz2"}),
    "nii": (".nii", False, {}),
    "nii-gz": (".nii.gz", True, {}),
    "h5": (".h5", False, {}),
    "h5-lzf": (".h5", False, {"compression": "lzf"}),
    "h5-gzip": (".h5", True, {"shuffle": True, **GZIP}),
    "h5-fletcher32": (".h5", True, {"fletcher32": True}),
    "h5-latest-gzip": (".h5", True, {"libver": "latest", **GZIP}),
    "tif": (".tif", False, PLAIN),
    "tif-imagej": (".tif", False, IMAGEJ),
    "tif-ome": (".ome.tif", False, OME),
    "tif-lzw": (".tif", False, {"compression": "lzw", **OME}),
    "tif-packbits": (".tif", False, {"compression": "packbits", "rowsperstrip": 5}),
    "tif-zlib": (".tif", True, PLAIN | ZLIB),
    "tif-tiles-zlib": (".tif", True, {"tile": (16, 16), **ZLIB}),
    "tif-imagej-zlib": (".tif", True, IMAGEJ | ZLIB),
    "tif-ome-zlib": (".ome.tif", True, OME | ZLIB),
    "tif-own": (".tiff", True, {}),
}


def write(path: Path, labels: Labels, options: dict[str, Any]) -> None:
    """Write labels to a file in the format of its ending; our own writer has ``.tiff``."""
    match path.suffix:
        case ".npy":
            np.save(path, labels.copy(**options))
        case ".nrrd":
            nrrd.write(str(path), labels, options, index_order="C")
        case ".nii" | ".gz":
            nibabel.Nifti1Image(labels.T, np.eye(4), dtype=labels.dtype).to_filename(path)
        case ".h5":
            packing = {"libver": "earliest", **options}
            with h5py.File(path, "w", libver=packing.pop("libver")) as file:
                chunks = (1, *labels.shape[1:]) if packing else None
                file.create_dataset("main", data=labels, chunks=chunks, **packing)
        case ".tif":
            tifffile.imwrite(path, labels, photometric="minisblack", **options)
        case _:
            volumes.write(path, volumes.of_array(labels))


def checked(path: Path) -> Spans:
    """The parts of a file that are under a checksum."""
    size = path.stat().st_size
    match path.suffix:
        case ".nrrd":
            return [(path.read_bytes().index(b"\n\n") + 2, size)]
        case ".gz":
            return [(10, size)]
        case ".h5":
            with h5py.File(path) as file:
                stored = file["main"].id
                chunks = [stored.get_chunk_info(i) for i in range(stored.get_num_chunks())]
                parts = [(chunk.byte_offset, chunk.size) for chunk in chunks]
        case _:
            with tifffile.TiffFile(path) as file:
                pairs = ((page.dataoffsets, page.databytecounts) for page in file.pages)
                parts = [part for pair in pairs for part in zip(*pair, strict=True)]
    return [(at, at + nbytes) for at, nbytes in parts]


TIMEOUT = 60.0  # seconds for one input
MEMORY = 12 << 30  # bytes of a worker, so that a bomb is a crash
#: The outcomes of a damaged input. ``unchecked`` is a wrong result that the format cannot notice,
#: because it has no checksum over the damaged bytes.
OUTCOMES = ("refused", "same", "wrong", "unchecked", "crash", "hang")
HEADS = ("", "inputs", "refused", "same", "WRONG", "wrong, no checksum there", "crash", "hang")


def damaged(
    stream: bytes, count: int, random: np.random.Generator
) -> Iterator[tuple[bytes, Spans]]:
    """Yield ``count`` variants: a bit flipped, bytes replaced, cut off or out, doubled, swapped.

    Each comes with the ranges of the original that differ.
    """
    size = len(stream)
    for number in range(count):
        data = bytearray(stream)
        at, length = int(random.integers(size)), int(random.integers(1, 33))
        spans = [(at, at + 1)]
        match number % 6:
            case 0:
                data[at] ^= 1 << int(random.integers(8))
            case 1:
                del data[at:]
            case 2:
                data[at : at + length] = random.bytes(length)
                spans = [(at, min(at + length, size))]
            case 3:
                del data[at : at + length]
                spans = [(at, min(at + length, size))]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                other = int(random.integers(size))
                data[at], data[other] = data[other], data[at]
                spans.append((other, other + 1))
        if bytes(data) != stream:
            yield bytes(data), spans


class Input(NamedTuple):
    """Labels as bytes, and how to decode them."""

    stream: bytes
    decode: Callable[[bytes], Labels]
    refusal: type[Exception]  # the one error that decoding may raise
    checked: Spans  # the bytes whose damage can be noticed


def encoded(name: str, labels: Labels, folder: Path) -> Input:
    """Encode labels; the name is ``container ENCODING COMPRESSION`` or ``stream ENCODING``.

    It may also be ``file KIND``.
    """
    kind, first, *rest = name.split()
    if kind == "container":
        stream = compresso.dumps(labels, first, rest[0])
        return Input(stream, compresso.loads, compresso.DecodeError, [(0, len(stream))])
    if kind == "stream":
        encoding = encodings.parse(first)
        stream = bytes(encoding.encode(labels))
        decode = partial(encoding.decode, shape=labels.shape, dtype=labels.dtype)
        return Input(stream, decode, compresso.DecodeError, [(0, len(stream))])
    ending, sound, options = SOURCES[first]
    path = folder / f"x{ending}"
    write(path, labels, options)

    def read(data: bytes) -> Labels:
        path.write_bytes(data)
        with volumes.open(path) as reader:
            depth = min(reader.shape[0], 99)  # a header may claim millions
            return np.concatenate([reader.read(z, z + 3) for z in range(0, depth, 3)])

    spans = checked(path) if sound else []
    return Input(path.read_bytes(), read, compresso.FileError, spans)


def serve(name: str, labels: Labels, folder: Path, connection: Connection) -> None:
    """Decode inputs in a worker process: send the original, then an outcome for each."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    original = encoded(name, labels, folder)
    original.decode(original.stream)
    connection.send((original.stream, original.checked))
    while True:
        try:
            found = original.decode(connection.recv_bytes())
            connection.send("same" if np.array_equal(found, labels) else "wrong")
        except original.refusal:
            connection.send("refused")


class Worker:
    """A process that decodes inputs one by one; a new process replaces one that dies or hangs."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments  # of serve
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")  # kernels stay loaded
        self._pipe, other = context.Pipe()
        self.process: Any = context.Process(target=serve, args=(*self._arguments, other))
        self.process.start()
        other.close()
        self.stream, self.checked = self._pipe.recv()

    def decode(self, data: bytes) -> str:
        """Decode an input; returns same, wrong, refused, crash or hang."""
        answer = "hang"
        try:
            self._pipe.send_bytes(data)
            if self._pipe.poll(TIMEOUT):
                return str(self._pipe.recv())
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
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(name, labels, Path(folder))
        stream, checked = worker.stream, worker.checked
        for data, changes in damaged(stream, number, np.random.default_rng(seed)):
            outcome = worker.decode(data)
            checks = ((a <= first and last <= b for a, b in checked) for first, last in changes)
            noticeable = stream.startswith(data) or all(map(any, checks))  # any cut is noticed
            tally["unchecked" if outcome == "wrong" and not noticeable else outcome] += 1
        worker.stop()
    return tally


def names() -> list[str]:
    """Everything that is damaged."""
    known = encodings.installed()
    found = [f"container {e} {c}" for e in known for c in ("none", "zstd", "lzma")]
    found += [f"container compresso {c}" for c in compressors.names()]
    found += [f"stream {e}" for e in known if encodings.parse(e).robust]
    return list(dict.fromkeys([*found, *(f"file {name}" for name in SOURCES)]))


@click.command(cls=Program)
@click.option(
    "--count", "number", type=click.IntRange(1), default=3000, help="Inputs for each codec."
)
@click.option("--seed", default=0, help="Random seed of the damage.")
@click.option("--only", default="", help="Only codecs and files whose names contain this text.")
def main(number: int, seed: int, only: str) -> None:
    """Count what damaged streams and source files decode to, as a Markdown table."""
    labels = Phantom(Extent("64x64x4"), bits=32).labels()
    bad = 0

    def lines() -> Iterator[list[object]]:
        nonlocal bad
        for name in filter(lambda name: only in name, names()):
            # ImageJ's files have at most 16 bits
            narrow = labels.astype(np.uint16) if name.startswith("file") else labels
            tally = count(name, narrow, number, seed)
            yield [name, tally.total(), *(tally[outcome] for outcome in OUTCOMES)]
            bad += tally["crash"] + tally["hang"]
            bad += 0 if name.startswith("stream") else tally["wrong"]

    for line in markdown(HEADS, lines()):
        click.echo(line)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
