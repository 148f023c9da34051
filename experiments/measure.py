"""One cell of the grid: encode, compress, decompress and decode, timed, and a check."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np

from compresso import Compressor, Encoding
from compresso.arrays import Labels, as_volume, little
from compresso.codec import Buffer
from compresso.encodings.none import Raw
from experiments import results
from experiments.datasets import Volume
from experiments.status import OK, Outcome, Status

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


def warm_up(volume: Volume, encoding: Encoding, compressor: Compressor, threads: int) -> None:
    """Run a cell once on a corner of the volume, to compile its kernels before they are timed.

    What goes wrong is left to the measurement, which meets it again and records it.
    """
    corner = volume.labels[:2, :64, :64].copy(order="K")  # kernels depend on the layout
    with suppress(Exception):
        _round_trip(dataclasses.replace(volume, labels=corner), encoding, compressor, threads)


def measure_runs(
    volume: Volume, encoding: Encoding, compressor: Compressor, runs: list[int], threads: int
) -> Iterator[dict[str, Any]]:
    """Warm a cell up and yield the rows of its runs."""
    warm_up(volume, encoding, compressor, threads)
    for run in runs:
        yield measure(volume, encoding, compressor, run, threads)


def measure(
    volume: Volume, encoding: Encoding, compressor: Compressor, run: int, threads: int
) -> dict[str, Any]:
    """Measure one run of a cell.

    Returns
    -------
    dict
        A row of the CSV. A codec that refuses the volume, is not installed or has a bug, or a
        result that differs from the volume, is told in its ``status``.
    """
    row = describe(volume, encoding, compressor, run, threads)
    try:
        row |= _round_trip(volume, encoding, compressor, threads)
        row["status"] = str(OK if row["lossless"] else DIFFERS)
    except Exception as error:  # also a bug of a codec, perhaps the user's own, costs only its cell
        row["status"] = str(Status.of(error))
    return row


def describe(
    volume: Volume, encoding: Encoding, compressor: Compressor, run: int, threads: int
) -> dict[str, Any]:
    """The columns of a row that are known before anything is measured."""
    return {
        "time": results.now(),
        "dataset": volume.name,
        "source": volume.source,
        "shape": "x".join(map(str, volume.labels.shape)),
        "dtype": str(volume.labels.dtype),
        "encoding": encoding.spec,
        "compression": compressor.spec,
        "run": run,
        "threads": threads,
        "raw_bytes": 8 * volume.labels.size,
        "native_bytes": volume.labels.nbytes,
        "group": volume.group,
        "fingerprint": volume.fingerprint,
        "part": volume.part,
        **results.environment(),
    }


def _round_trip(
    volume: Volume, encoding: Encoding, compressor: Compressor, threads: int
) -> dict[str, Any]:
    """Time the four stages; what is between two of them, and the comparison, is not timed.

    Each stage is one call of the codec. Only raw labels, which may be most of the memory, are
    restored and compared piece by piece where they are more than ``CHUNK_BYTES``.
    """
    source = _prepared(volume.labels, encoding)
    clock = Clock()
    stream = clock.time("encode", encoding.encode_volume, source, threads)
    encoded_bytes = memoryview(stream).nbytes
    compressed = clock.time("compress", compressor.compress, stream)
    del stream
    if isinstance(encoding, Raw):
        lossless = _restore_raw(source, compressor, compressed, clock)
    else:
        data = clock.time("decompress", compressor.decompress, compressed)
        decoded = clock.time("decode", encoding.decode, data, source.shape, source.dtype, threads)
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
