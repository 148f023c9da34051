"""One cell of the grid: encode, compress, decompress and decode, timed, and a check."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np

from compresso import Compressor, Encoding
from compresso.arrays import Labels, as_volume, little
from compresso.codec import Buffer
from compresso.encodings.none import Raw
from experiments import records
from experiments.datasets import Volume
from experiments.records import OK, Outcome, Row, Status

T = TypeVar("T")
CHUNK_BYTES = 1 << 30  # the most of raw labels that is restored at a time
DIFFERS = Status(Outcome.ERROR, "decoded labels differ")


class Clock:
    """Adds up the nanoseconds of each stage."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}

    def time(self, stage: str, work: Callable[..., T], *arguments: Any) -> T:
        """Do the work, the clock running."""
        start = perf_counter_ns()
        result = work(*arguments)
        self.ns[stage] = self.ns.get(stage, 0) + perf_counter_ns() - start
        return result


@dataclass(frozen=True)
class Cell:
    """What the grid measures: an encoding, the compressor behind it, and threads for the first."""

    encoding: Encoding
    compressor: Compressor
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.encoding} {self.compressor}"


def warm_up(volume: Volume, cell: Cell) -> None:
    """Run a cell once on a corner of the volume, to compile its kernels before they are timed.

    What goes wrong is left to the measurement, which meets it again and records it.
    """
    corner = volume.labels[:2, :64, :64].copy(order="K")  # kernels depend on the layout
    with suppress(Exception):
        _round_trip(corner, cell)


def measure(volume: Volume, cell: Cell, run: int = 1) -> Row:
    """Measure one run of a cell.

    Returns
    -------
    dict
        A row of the CSV. A codec that refuses the volume, is not installed or has a bug, or a
        result that differs from the volume, is told in its ``status``.
    """
    row = describe(volume, cell, run)
    try:
        row |= _round_trip(volume.labels, cell)
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
        **records.environment(),
    }


def _round_trip(labels: Labels, cell: Cell) -> Row:
    """Time the four stages; what is between two of them, and the comparison, is not timed.

    Each stage is one call of the codec. Only raw labels, which may be most of the memory, are
    restored and compared piece by piece where they are more than ``CHUNK_BYTES``.
    """
    encoding, compressor = cell.encoding, cell.compressor
    source = _prepared(labels, encoding)
    clock = Clock()
    stream = clock.time("encode", encoding.encode_volume, source, cell.threads)
    encoded_bytes = memoryview(stream).nbytes
    compressed = clock.time("compress", compressor.compress, stream)
    del stream
    if isinstance(encoding, Raw):
        lossless = _restore_raw(source, compressor, compressed, clock)
    else:
        data = clock.time("decompress", compressor.decompress, compressed)
        shape, dtype = source.shape, source.dtype
        decoded = clock.time("decode", encoding.decode, data, shape, dtype, cell.threads)
        lossless = all(map(np.array_equal, decoded, source))
    return {
        "encoded_bytes": encoded_bytes,
        "compressed_bytes": memoryview(compressed).nbytes,
        "lossless": lossless,
        **{f"{stage}_s": ns / 1e9 for stage, ns in clock.ns.items()},
    }


def _prepared(labels: Labels, encoding: Encoding) -> Labels:
    """The volume as the encoding is given it: raw labels are 64 bits wide before the clock runs."""
    source = as_volume(labels)
    if isinstance(encoding, Raw):
        return np.ascontiguousarray(source, "<u8")
    return source.astype(source.dtype.newbyteorder("="), copy=False)


def _restore_raw(source: Labels, compressor: Compressor, data: Buffer, clock: Clock) -> bool:
    """Restore raw labels, and compare them; they are decoded where they are."""
    expected, at = little(source), 0
    pieces = compressor.decompress_chunks(data, CHUNK_BYTES)
    while (piece := clock.time("decompress", next, pieces, None)) is not None:
        found = memoryview(piece).cast("B")
        if not np.array_equal(found, expected[at : at + len(found)]):
            return False
        at += len(found)
    clock.ns["decode"] = 0
    return at == len(expected)
