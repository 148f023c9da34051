"""One cell of the grid: encode, compress, decompress and decode, timed, and a check.

What is timed is a codec, not the system's memory: the kernels are compiled and have just run on a
corner, the labels have just been read, and the array to decode to is there, every page of it. What
a new array of that size costs is a column of its own, ``new_memory_s``. Memory that a codec asks
for itself, and the bytes that a compressor returns (of raw labels, all of them), are part of its
time.

With one thread a volume is one stream, as in the paper. With several it is cut into groups of
slices as a frame is, and each thread has a group of its own, for both stages.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter_ns

import numpy as np

from compresso import Compressor, Encoding, LabelError, container
from compresso.arrays import Labels, Shape, as_shape, as_volume, little
from compresso.codec import Buffer
from compresso.encodings.none import Raw
from compresso.parallel import Span, shares
from experiments import records
from experiments.datasets import Volume
from experiments.measure.clock import Clock
from experiments.measure.surroundings import Surroundings
from experiments.records import OK, Outcome, Row, Status

PIECE_BYTES = 1 << 30  # the most of raw labels that is restored at a time
DIFFERS = Status(Outcome.ERROR, "decoded labels differ")


@dataclass(frozen=True)
class Cell:
    """What the grid measures: an encoding, the compressor behind it, and how many threads.

    Parameters
    ----------
    encoding : Encoding
    compressor : Compressor
    threads : int
        Groups of slices that are worked on at once; where there are fewer, each has several.
    whole : bool
        The volume is one stream for several threads too, which are then the encoding's.
    """

    encoding: Encoding
    compressor: Compressor
    threads: int = 1
    whole: bool = False

    def __str__(self) -> str:
        return f"{self.encoding} {self.compressor}"

    @property
    def told(self) -> str:
        """The cell in a sentence: an encoding, and the compressor behind it where there is one."""
        return f"{self.encoding} + {self.compressor}".removesuffix(" + none")

    def spans(self, shape: Shape) -> list[Span]:
        """The slices of each stream; those of groups do not depend on the number of threads."""
        if self.whole or self.threads == 1:
            return [(0, shape[0])]
        return container.describe(shape, np.uint64).groups or [(0, shape[0])]


def warm_up(volume: Volume, cell: Cell) -> None:
    """Run a cell once on a corner of the volume: its kernels are compiled, and at hand.

    What goes wrong is left to the measurement, which meets it again and records it.
    """
    corner = volume.labels[:2, :64, :64].copy(order="K")  # kernels depend on the layout
    with suppress(Exception):
        _round_trip(corner, cell, Clock())


def measure(
    volume: Volume, cell: Cell, run: int = 1, now: Callable[[], int] = perf_counter_ns
) -> Row:
    """Measure one run of a cell, which has just been warmed up.

    Parameters
    ----------
    volume : Volume
    cell : Cell
    run : int
    now : callable
        Tells the time, in nanoseconds.

    Returns
    -------
    dict
        A row of the CSV. A codec that refuses the volume, is not installed or has a bug, or a
        result that differs from the volume, is told in its ``status``.
    """
    row = describe(volume, cell, run)
    start = Surroundings.now()
    try:
        row |= _round_trip(volume.labels, cell, Clock(now))
        row |= start.until(Surroundings.now())
        row["status"] = str(OK if row["lossless"] else DIFFERS)
    except Exception as error:  # also a bug of a codec, perhaps the user's own, costs only its cell
        row["status"] = str(Status.of(error))
    return row


def describe(volume: Volume, cell: Cell, run: int) -> Row:
    """The columns of a row that are known before anything is measured."""
    (first, stop), *more = cell.spans(as_shape(volume.labels.shape))
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
        "depth": str(stop - first) if more else "",
        **records.environment(),
    }


def _round_trip(labels: Labels, cell: Cell, clock: Clock) -> Row:
    """Time the four stages; what is between two of them, and the comparison, is not timed.

    Each stage is one call of the codec, for each group where there are several. The array to decode
    to is made for each run, and is the only copy of the labels, in their own dtype; raw labels,
    which may be most of the memory, have none.
    """
    source = prepared(labels, cell.encoding)
    source.max(initial=0)  # as much of it as fits is in the processor's caches, whatever was before
    spans = cell.spans(source.shape)
    at_once, threads = shares(cell.threads, len(spans))
    each = replace(cell, threads=threads)
    raw = isinstance(cell.encoding, Raw)
    packed = clock.share(partial(_pack, each, source), spans, at_once)
    sizes, bodies = zip(*packed, strict=True)
    decoded = source if raw else clock.touched(source.shape, source.dtype)
    same = clock.share(
        partial(_unpack, each, decoded), list(zip(spans, bodies, strict=True)), at_once
    )
    return {
        "encoded_bytes": sum(sizes),
        "compressed_bytes": sum(memoryview(body).nbytes for body in bodies),
        "lossless": all(same) and (raw or all(map(np.array_equal, decoded, source))),
        **clock.seconds,
    }


def _pack(cell: Cell, source: Labels, clock: Clock, span: Span) -> tuple[int, Buffer]:
    """The bytes that a group is encoded to, and what is left of them."""
    z0, z1 = span
    try:
        stream = clock.time("encode", cell.encoding.encode_volume, source[z0:z1], cell.threads)
    except LabelError as error:
        raise error.moved((z0, 0, 0)) from None
    return memoryview(stream).nbytes, clock.time("compress", cell.compressor.compress, stream)


def _unpack(cell: Cell, decoded: Labels, clock: Clock, packed: tuple[Span, Buffer]) -> bool:
    """Restore a group in its place; of raw labels, whether they are what is there already."""
    (z0, z1), body = packed
    if isinstance(cell.encoding, Raw):
        return _restore_raw(decoded[z0:z1], cell.compressor, body, clock)
    stream = clock.time("decompress", cell.compressor.decompress, body)
    clock.time("decode", cell.encoding.decode_into, stream, decoded[z0:z1], cell.threads)
    return True


def prepared(labels: Labels, encoding: Encoding) -> Labels:
    """The volume as the encoding is given it: raw labels are 64 bits wide before the clock runs."""
    source = as_volume(labels)
    if isinstance(encoding, Raw):
        return np.ascontiguousarray(source, "<u8")
    return source.astype(source.dtype.newbyteorder("="), copy=False)


def _restore_raw(source: Labels, compressor: Compressor, data: Buffer, clock: Clock) -> bool:
    """Restore raw labels piece by piece, and compare them; they are decoded where they are."""
    expected, at = little(source), 0
    for start in range(0, len(expected), PIECE_BYTES):  # what the compressor's own memory costs
        clock.touched((min(PIECE_BYTES, len(expected) - start),), np.uint8)
    pieces = compressor.decompress_pieces(data, PIECE_BYTES)
    while (piece := clock.time("decompress", next, pieces, None)) is not None:
        found = memoryview(piece).cast("B")
        if not np.array_equal(found, expected[at : at + len(found)]):
            return False
        at += len(found)
    clock.ns["decode"] = 0
    return at == len(expected)
