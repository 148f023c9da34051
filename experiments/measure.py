"""One cell of the grid: encode, compress, decompress and decode, timed, and a check."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np

from compresso import CompressoError, Compressor, Encoding, MissingPackageError
from experiments import results
from experiments.datasets import Volume

T = TypeVar("T")
CHUNK_BYTES = 1 << 30  # the most that is decompressed at a time where the format allows pieces


class Stopwatch:
    """Adds up the time that an iterator takes to make its items."""

    def __init__(self) -> None:
        self.ns = 0

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, the clock running only while they are made."""
        iterator = iter(items)
        while True:
            start = perf_counter_ns()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.ns += perf_counter_ns() - start
            yield item


def warm_up(volume: Volume, encoding: Encoding, compressor: Compressor, threads: int) -> None:
    """Run a cell once on a corner of the volume, to compile its kernels before they are timed."""
    corner = Volume(volume.name, volume.source, volume.group, volume.labels[:2, :64, :64])
    _round_trip(corner, encoding, compressor, threads)


def measure_runs(
    volume: Volume, encoding: Encoding, compressor: Compressor, runs: list[int], threads: int
) -> Iterator[dict[str, Any]]:
    """Warm a cell up and yield the rows of its runs."""
    with suppress(CompressoError):  # the measurement meets it again, and records it
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
        A row of the CSV. A codec that refuses the volume or is not installed, or a result that
        differs from the volume, is told in its ``status``.
    """
    row = describe(volume, encoding, compressor, run, threads)
    try:
        row |= _round_trip(volume, encoding, compressor, threads)
        row["status"] = results.OK if row["lossless"] else "error: decoded labels differ"
    except MissingPackageError as error:
        row["status"] = f"unavailable: {error}"
    except (CompressoError, MemoryError) as error:
        row["status"] = f"error: {error or 'out of memory'}"
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
        **results.environment(),
    }


def _round_trip(
    volume: Volume, encoding: Encoding, compressor: Compressor, threads: int
) -> dict[str, Any]:
    labels = volume.labels
    unsigned = np.dtype(f"u{labels.dtype.itemsize}")
    encode, decompress, decode = Stopwatch(), Stopwatch(), Stopwatch()
    encoded_bytes = 0

    def count(chunks: Iterable[Any]) -> Iterator[Any]:
        nonlocal encoded_bytes
        for chunk in chunks:
            encoded_bytes += memoryview(chunk).nbytes
            yield chunk

    start = perf_counter_ns()
    compressed = compressor.compress_chunks(
        count(encode.watch(encoding.encode_chunks(labels, threads)))
    )
    compress_ns = perf_counter_ns() - start - encode.ns

    pieces = decompress.watch(compressor.decompress_chunks(compressed, CHUNK_BYTES))
    groups = encoding.decode_chunks(pieces, labels.shape, unsigned, threads)
    lossless, z = True, 0
    for group in decode.watch(groups):
        for decoded in group.view(labels.dtype.newbyteorder("=")):
            lossless = lossless and z < len(labels) and np.array_equal(decoded, labels[z])
            z += 1
        del group
    return {
        "encoded_bytes": encoded_bytes,
        "compressed_bytes": memoryview(compressed).nbytes,
        "encode_s": encode.ns / 1e9,
        "compress_s": compress_ns / 1e9,
        "decompress_s": decompress.ns / 1e9,
        "decode_s": (decode.ns - decompress.ns) / 1e9,
        "lossless": lossless and z == len(labels),
    }
