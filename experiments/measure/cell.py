"""One cell of the grid: encode, compress, decompress and decode, timed, and a check.

What is timed is a codec, not the system's memory: the kernels are compiled and have just run on a
corner, the labels have just been read, and the array to decode to is there, every page of it. What
a new array of that size costs is a column of its own, ``new_memory_s``. Memory that a codec asks
for itself, and the bytes that a compressor returns (of raw labels, all of them), are part of its
time.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from compresso import Compressor, Encoding
from compresso.arrays import Labels, as_volume, little
from compresso.codec import Buffer
from compresso.encodings.none import Raw
from experiments import records
from experiments.datasets import Volume
from experiments.measure.clock import Clock
from experiments.measure.surroundings import Surroundings
from experiments.records import OK, Outcome, Row, Status

CHUNK_BYTES = 1 << 30  # the most of raw labels that is restored at a time
DIFFERS = Status(Outcome.ERROR, "decoded labels differ")


@dataclass(frozen=True)
class Cell:
    """What the grid measures: an encoding, the compressor behind it, and threads for the first."""

    encoding: Encoding
    compressor: Compressor
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.encoding} {self.compressor}"


def warm_up(volume: Volume, cell: Cell) -> None:
    """Run a cell once on a corner of the volume: its kernels are compiled, and at hand.

    What goes wrong is left to the measurement, which meets it again and records it.
    """
    corner = volume.labels[:2, :64, :64].copy(order="K")  # kernels depend on the layout
    with suppress(Exception):
        _round_trip(corner, cell)


def measure(volume: Volume, cell: Cell, run: int = 1) -> Row:
    """Measure one run of a cell, which has just been warmed up.

    Returns
    -------
    dict
        A row of the CSV. A codec that refuses the volume, is not installed or has a bug, or a
        result that differs from the volume, is told in its ``status``.
    """
    row = describe(volume, cell, run)
    start = Surroundings.now()
    try:
        row |= _round_trip(volume.labels, cell)
        row |= start.until(Surroundings.now())
        row["status"] = str(OK if row["lossless"] else DIFFERS)
    except Exception as error:  # also a bug of a codec, perhaps the user's own, costs only its cell
        row["status"] = str(Status.of(error))
    return row


def describe(volume: Volume, cell: Cell, run: int) -> Row:
    """The columns of a row that are known before anything is measured."""
    return {
        "time": records.now(),
        "dataset": volume.name,
        "source": volume.source,
        "shape": "x".join(map(str, volume.labels.shape)),
        "dtype": str(volume.labels.dtype),
        "encoding": cell.encoding.spec,
        "compression": cell.compressor.spec,
        "run": run,
        "threads": cell.threads,
        "raw_bytes": 8 * volume.labels.size,
        "native_bytes": volume.labels.nbytes,
        "group": volume.group,
        "fingerprint": volume.fingerprint,
        "part": volume.part,
        "chunk": volume.chunk,
        **records.environment(),
    }


def _round_trip(labels: Labels, cell: Cell) -> Row:
    """Time the four stages; what is between two of them, and the comparison, is not timed.

    Each stage is one call of the codec. Only raw labels, which may be most of the memory, are
    restored and compared piece by piece where they are more than ``CHUNK_BYTES``. The array to
    decode to is made for each run, and is the only copy of the labels, in their own dtype.
    """
    encoding, compressor = cell.encoding, cell.compressor
    source = prepared(labels, encoding)
    source.max(initial=0)  # as much of it as fits is in the processor's caches, whatever was before
    clock = Clock()
    stream = clock.time("encode", encoding.encode_volume, source, cell.threads)
    encoded_bytes = memoryview(stream).nbytes
    compressed = clock.time("compress", compressor.compress, stream)
    del stream
    if isinstance(encoding, Raw):
        lossless = _restore_raw(source, compressor, compressed, clock)
    else:
        decoded = clock.touched(source.shape, source.dtype)
        data = clock.time("decompress", compressor.decompress, compressed)
        clock.time("decode", encoding.decode_into, data, decoded, cell.threads)
        lossless = all(map(np.array_equal, decoded, source))
    return {
        "encoded_bytes": encoded_bytes,
        "compressed_bytes": memoryview(compressed).nbytes,
        "lossless": lossless,
        **clock.seconds,
    }


def prepared(labels: Labels, encoding: Encoding) -> Labels:
    """The volume as the encoding is given it: raw labels are 64 bits wide before the clock runs."""
    source = as_volume(labels)
    if isinstance(encoding, Raw):
        return np.ascontiguousarray(source, "<u8")
    return source.astype(source.dtype.newbyteorder("="), copy=False)


def _restore_raw(source: Labels, compressor: Compressor, data: Buffer, clock: Clock) -> bool:
    """Restore raw labels, and compare them; they are decoded where they are."""
    expected, at = little(source), 0
    for start in range(0, len(expected), CHUNK_BYTES):  # what the compressor's own memory costs
        clock.touched((min(CHUNK_BYTES, len(expected) - start),), np.uint8)
    pieces = compressor.decompress_chunks(data, CHUNK_BYTES)
    while (piece := clock.time("decompress", next, pieces, None)) is not None:
        found = memoryview(piece).cast("B")
        if not np.array_equal(found, expected[at : at + len(found)]):
            return False
        at += len(found)
    clock.ns["decode"] = 0
    return at == len(expected)
