"""Measure one method: encode, compress, decompress and decode, timed, and a comparison.

The times are those of a codec and not of the system's memory. The kernels are compiled and have
just run on a corner of the volume, the labels have just been read, and every page of the array to
decode into has been written to. What such a new array costs is a column of its own,
``new_memory_s``. Memory that a codec allocates itself, and the bytes that a compressor returns (of
raw labels, all of them), are part of its time.

With one thread a volume is one stream, as in the paper. With several it is cut into groups of
slices, as a file is, and each thread works on a group of its own, in both stages.

Raw labels have 64 bits. If that is more than their own width, and the volume more than
``PIECE_BYTES``, they are widened, compressed and compared slab by slab, so that no wide copy of the
volume is needed: the most memory is that of the other encodings, labels and decoded labels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter_ns

import numpy as np

from compresso import Compressor, Encoding, LabelError, compressors, container
from compresso.arrays import Labels, Shape, as_shape, as_volume, little
from compresso.codec import Buffer
from compresso.compressors.none import Store
from compresso.encodings.none import Raw
from compresso.parallel import Span, shares, slabs
from experiments import records
from experiments.datasets import LoadedVolume
from experiments.measure.clock import Clock
from experiments.measure.surroundings import Surroundings
from experiments.records import OK, Outcome, Row, Status

PIECE_BYTES = 1 << 30  # of raw labels that are widened or restored at a time, at most
SLAB_BYTES = 1 << 26  # of a slab of larger volumes
DIFFERS = Status(Outcome.ERROR, "decoded labels differ")


@dataclass(frozen=True)
class Method:
    """A way to compress labels: an encoding, followed by a compressor, on some threads.

    Parameters
    ----------
    encoding : Encoding
    compressor : Compressor
    threads : int
        Groups of slices that are worked on at the same time; several threads share a group if
        there are fewer groups.
    """

    encoding: Encoding
    compressor: Compressor
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.encoding} {self.compressor}"

    @property
    def title(self) -> str:
        """The method in a sentence: an encoding, and the compressor if there is one."""
        return f"{self.encoding} + {self.compressor}".removesuffix(" + none")

    def spans(self, shape: Shape) -> list[Span]:
        """The slices of each stream. Those of groups do not depend on the number of threads."""
        groups = container.describe(shape, np.uint64).groups if self.threads > 1 else ()
        return list(groups) or [(0, shape[0])]


def combine(
    encodings: Sequence[Encoding], others: Sequence[Compressor], threads: int = 1
) -> list[Method]:
    """Every encoding with every compressor; encodings that stand alone once, with none."""
    none = compressors.parse("none")
    pairs = [(e, c) for e in encodings if not e.alone for c in others]
    pairs += [(e, none) for e in encodings if e.alone]
    return [Method(encoding, compressor, threads) for encoding, compressor in pairs]


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
    """Measure one run of a method, which has just been warmed up.

    Parameters
    ----------
    volume : LoadedVolume
    method : Method
    run : int
    now : callable
        Returns the time in nanoseconds.
    new_array : bool
        Also decode to a new array; its seconds are ``decode_new_s``.

    Returns
    -------
    dict
        A row of the CSV. Its ``status`` says if a codec refuses the volume, is not installed or
        has a bug, and if the result differs from the volume.
    """
    row = describe(volume, method, run)
    start = Surroundings.now()
    try:
        row |= _round_trip(volume.labels, method, Clock(now), new_array)
        row |= start.until(Surroundings.now())
        row["status"] = str(OK if row["lossless"] else DIFFERS)
    except LabelError as error:
        row["status"] = str(Status.of(error.as_in(volume.labels.dtype)))
    except Exception as error:  # a bug of a codec, perhaps the user's own, costs only its row
        row["status"] = str(Status.of(error))
    return row


def describe(volume: LoadedVolume, method: Method, run: int) -> Row:
    """The columns of a row that are known before the measurement."""
    (first, stop), *more = method.spans(as_shape(volume.labels.shape))
    return {
        **identify(method, run),
        "dataset": volume.name,
        "source": volume.source,
        "shape": "x".join(map(str, volume.labels.shape)),
        "dtype": volume.labels.dtype.name,
        "raw_bytes": 8 * volume.labels.size,
        "native_bytes": volume.labels.nbytes,
        "group": volume.group,
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
    """Time the four stages. What lies between two of them, and the comparison, is not timed.

    Each stage is one call of the codec per group. The array to decode into is the only copy of the
    labels, in their own dtype. Raw labels, which may fill most of the memory, have no copy.
    """
    raw = isinstance(method.encoding, Raw)
    source = as_volume(labels) if raw else prepared(labels, method.encoding)
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
        "compressed_bytes": sum(
            size if body is None else memoryview(body).nbytes for size, body in streams
        ),
        "lossless": all(same) and (raw or all(map(np.array_equal, decoded, source))),
        **clock.seconds,
    }
    if new_array and not raw:
        del decoded  # so that only one of them is held
        again = Clock(clock.now)
        again.share(partial(_unpack, each, np.empty(source.shape, source.dtype)), packed, at_once)
        row["decode_new_s"] = again.seconds["decode_s"]
    return row


def _pack(method: Method, source: Labels, clock: Clock, span: Span) -> tuple[int, Buffer | None]:
    """Encode and compress a group; returns the bytes after the first stage, and the result.

    The result is None for raw labels without a compressor: nothing is done to them.
    """
    z0, z1 = span
    if isinstance(method.encoding, Raw):
        return _pack_raw(method, source[z0:z1], clock)
    try:
        stream = clock.time("encode", method.encoding.encode_volume, source[z0:z1], method.threads)
    except LabelError as error:
        raise error.moved((z0, 0, 0)) from None
    return memoryview(stream).nbytes, clock.time("compress", method.compressor.compress, stream)


def _pack_raw(method: Method, source: Labels, clock: Clock) -> tuple[int, Buffer | None]:
    """As :func:`_pack`, for raw labels, which have 64 bits before the clock starts."""
    encoding, compressor, size = method.encoding, method.compressor, 8 * source.size
    if isinstance(compressor, Store):
        clock.time("encode", bytes)
        clock.time("compress", bytes)
        return size, None
    plain = source.dtype == np.dtype("<u8") and source.flags.c_contiguous
    if plain or size <= PIECE_BYTES:
        stream = clock.time("encode", encoding.encode_volume, prepared(source, encoding))
        return size, clock.time("compress", compressor.compress, stream)
    clock.time("encode", bytes)
    pieces = clock.pausing(_widened(source))
    return size, clock.time("compress", compressor.compress_pieces, pieces, size)


def _widened(source: Labels) -> Iterator[memoryview]:
    """The bytes of raw labels, slab by slab, without a copy if they have 64 bits."""
    plane = 8 * math.prod(source.shape[1:])
    for z0, z1 in slabs(0, len(source), max(1, SLAB_BYTES // max(1, plane))):
        yield little(prepared(source[z0:z1], Raw()))


def _unpack(
    method: Method, decoded: Labels, clock: Clock, packed: tuple[Span, Buffer | None]
) -> bool:
    """Decompress and decode a group; of raw labels, whether they equal those in the array."""
    (z0, z1), body = packed
    if isinstance(method.encoding, Raw):
        return _restore_raw(decoded[z0:z1], method.compressor, body, clock)
    assert body is not None
    stream = clock.time("decompress", method.compressor.decompress, body)
    clock.time("decode", method.encoding.decode_into, stream, decoded[z0:z1], method.threads)
    return True


def prepared(labels: Labels, encoding: Encoding) -> Labels:
    """The volume as the encoding takes it: raw labels have 64 bits before the clock starts."""
    source = as_volume(labels)
    if isinstance(encoding, Raw):
        return np.ascontiguousarray(source, "<u8")
    return source.astype(source.dtype.newbyteorder("="), copy=False)


def _restore_raw(source: Labels, compressor: Compressor, data: Buffer | None, clock: Clock) -> bool:
    """Decompress raw labels piece by piece, and compare each piece with the source."""
    size = 8 * source.size
    for start in range(0, size, SLAB_BYTES):  # what the compressor's own memory costs
        clock.touched((min(SLAB_BYTES, size - start),), np.uint8)
    clock.ns["decode"] = 0
    if data is None:
        clock.time("decompress", bytes)
        return True
    expected, rest = memoryview(b""), _widened(source)
    pieces = compressor.decompress_pieces(data, PIECE_BYTES)
    while (piece := clock.time("decompress", next, pieces, None)) is not None:
        found = memoryview(piece).cast("B")
        while len(found):
            expected = expected or next(filter(len, rest), expected)
            common = min(len(found), len(expected))
            if not common or not np.array_equal(found[:common], expected[:common]):
                return False
            found, expected = found[common:], expected[common:]
    return not expected and not any(map(len, rest))
