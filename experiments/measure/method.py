"""Measure one method: encode, compress, decompress and decode, timed, and a comparison.

The times are of the codec, not of the system's memory. Before a run, the kernels run on a corner of
the volume, the labels are read once, and every page of the output array is written once. That takes
``new_memory_s``. A codec's time includes the memory that it allocates itself, and the bytes that a
compressor returns.

With one thread a volume is one stream, as in the paper. With several it is cut into groups of
slices, as a file is, and each thread encodes and compresses a group of its own.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter_ns

import numpy as np

from compresso import Compressor, Encoding, LabelError, compressors, container, volumes
from compresso.arrays import Labels, Shape, as_shape, as_volume, little_endian
from compresso.codec import Buffer, ignore
from compresso.encodings.none import Raw
from compresso.parallel import Span, shares
from compresso.text import file_size
from experiments import HarnessError, records
from experiments.datasets import LoadedVolume
from experiments.measure.clock import Clock, state, surroundings
from experiments.records import OK, Outcome, Row

PIECE_BYTES = 1 << 30  # of raw labels that are decompressed at a time, at most
SLAB_BYTES = 1 << 26  # that are touched at a time


@dataclass(frozen=True)
class Method(container.Method):
    """A method that processes ``threads`` groups of slices at the same time.

    Several threads share a group if there are fewer groups.
    """

    threads: int = 1

    def spans(self, shape: Shape) -> list[Span]:
        """Return the slices of each stream, the same for any number of threads above 1."""
        groups = container.describe(shape, np.uint64).groups if self.threads > 1 else ()
        return list(groups) or [(0, shape[0])]


def combine(
    encodings: Sequence[Encoding], others: Sequence[Compressor], threads: int = 1
) -> list[Method]:
    """Return every encoding with every compressor; encodings that stand alone without one."""
    none = compressors.parse("none")
    found = [Method(e, c, threads) for e in encodings if not e.alone for c in others]
    return found + [Method(e, none, threads) for e in encodings if e.alone]


def warm_up(volume: LoadedVolume, method: Method) -> None:
    """Run a method on a corner of the volume, so that its kernels are compiled and loaded.

    Errors are ignored, because the measurement meets them again and records them.
    """
    corner = volume.labels[:2, :64, :64].copy(order="K")  # kernels depend on the layout
    with suppress(Exception):
        _round_trip(corner, method, Clock())


def measure(
    volume: LoadedVolume,
    method: Method,
    run: int = 1,
    now: Callable[[], int] = perf_counter_ns,
    new_array: bool = False,
) -> Row:
    """Return a row of the CSV for one run of a method, which has just been warmed up.

    ``now`` returns nanoseconds. With ``new_array``, decode to a new array, too: ``decode_new_s``.
    """
    row = describe(volume, method, run)
    before = state()
    try:
        row |= _round_trip(volume.labels, method, Clock(now), new_array)
    except Exception as error:  # a bug of a codec, perhaps the user's own, costs only its row
        known = error.as_in(volume.labels.dtype) if isinstance(error, LabelError) else error
        return row | {"status": records.status_of(known)}
    differs = f"{Outcome.ERROR}: decoded labels differ"
    return row | surroundings(before, state()) | {"status": OK if row["lossless"] else differs}


def describe(volume: LoadedVolume, method: Method, run: int) -> Row:
    """The columns of a row that are known before the measurement."""
    (first, stop), *more = method.spans(as_shape(volume.labels.shape))
    return {
        **identify(method, run),
        "dataset": volume.dataset.name,
        "source": volume.dataset.source,
        "shape": "x".join(map(str, volume.labels.shape)),
        "dtype": volume.labels.dtype.name,
        "raw_bytes": 8 * volume.labels.size,
        "native_bytes": volume.labels.nbytes,
        "group": volume.dataset.group,
        "fingerprint": volume.fingerprint,
        "part": volume.part,
        "chunk": volume.chunk,
        "depth": str(stop - first) if more else "",
    }


def identify(method: Method, run: int) -> Row:
    """The columns of a row that do not depend on the volume."""
    return {
        "time": records.now(),
        "encoding": method.encoding.spec,
        "compression": method.compressor.spec,
        "run": run,
        "threads": method.threads,
        **records.environment(),
    }


def _round_trip(labels: Labels, method: Method, clock: Clock, new_array: bool = False) -> Row:
    """Time the four stages, each of which is one call of a codec per group.

    The array to decode into is the only copy of the labels; raw labels, which may fill most of the
    memory, are compared piece by piece as they are decompressed.
    """
    raw = isinstance(method.encoding, Raw)
    source = prepared(labels, method.encoding)
    source.max(initial=0)  # as much of it as fits is in the processor's caches
    spans = method.spans(source.shape)
    at_once, threads = shares(method.threads, len(spans))
    each = replace(method, threads=threads)
    streams = clock.share(partial(_pack, each, source), spans, at_once)
    packed = [(span, body) for span, (_, body) in zip(spans, streams, strict=True)]
    decoded = source if raw else clock.touched(source.shape, source.dtype)
    same = clock.share(partial(_unpack, each, decoded), packed, at_once)
    row: Row = {
        "encoded_bytes": sum(size for size, _ in streams),
        "compressed_bytes": sum(memoryview(body).nbytes for _, body in streams),
        "lossless": all(same) and (raw or all(map(np.array_equal, decoded, source))),
        **clock.seconds,
    }
    if new_array and not raw:
        del decoded  # so that only one of them is held
        again = Clock(clock.now)
        again.share(partial(_unpack, each, np.empty(source.shape, source.dtype)), packed, at_once)
        row["decode_new_s"] = again.seconds["decode_s"]
    return row


def prepared(labels: Labels, encoding: Encoding) -> Labels:
    """Return the volume as the encoding takes it: raw labels have 64 bits."""
    source = as_volume(labels)
    if not isinstance(encoding, Raw):
        return source.astype(source.dtype.newbyteorder("="), copy=False)
    needed, room = 8 * source.size, volumes.available()
    if source.dtype.itemsize < 8 and needed > room:
        raise HarnessError(
            f"raw labels of 64 bits need {file_size(needed)}; only {file_size(room)} are free. "
            "Use --chunks or --slices"
        )
    return np.ascontiguousarray(source, "<u8")


def _pack(method: Method, source: Labels, clock: Clock, span: Span) -> tuple[int, Buffer]:
    """Encode and compress a group; returns the encoded size, and the compressed bytes."""
    z0, z1 = span
    encode = method.encoding.encode_volume
    try:
        stream = clock.time("encode", encode, source[z0:z1], method.threads, ignore)
    except LabelError as error:
        raise error.moved((z0, 0, 0)) from None
    return memoryview(stream).nbytes, clock.time("compress", method.compressor.compress, stream)


def _unpack(method: Method, decoded: Labels, clock: Clock, packed: tuple[Span, Buffer]) -> bool:
    """Decompress and decode a group; for raw labels, whether they equal those in the array."""
    (z0, z1), body = packed
    if isinstance(method.encoding, Raw):
        return _unpack_raw(little_endian(decoded[z0:z1]), method.compressor, body, clock)
    stream = clock.time("decompress", method.compressor.decompress, body)
    clock.time("decode", method.encoding.decode_into, stream, decoded[z0:z1], method.threads)
    return True


def _unpack_raw(source: memoryview, compressor: Compressor, body: Buffer, clock: Clock) -> bool:
    """Decompress raw labels piece by piece, and compare each piece with the source."""
    for at in range(0, len(source), SLAB_BYTES):  # as much memory as the compressor allocates
        clock.touched((min(SLAB_BYTES, len(source) - at),), np.uint8)
    clock.ns["decode"] = 0
    pieces = compressor.decompress_pieces(body, PIECE_BYTES)
    start = 0
    while (piece := clock.time("decompress", next, pieces, None)) is not None:
        found = memoryview(piece).cast("B")
        stop = start + len(found)
        if not np.array_equal(found, source[start:stop]):
            return False
        start = stop
    return start == len(source)
