"""No first stage: the labels themselves, 8 bytes a voxel, as the paper counts them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from compresso.codec import Buffer, Encoding, Labels
from compresso.errors import DecodeError
from compresso.volume import as_volume, check_fits

CHUNK_BYTES = 1 << 30  # a volume that is wider than this as uint64 goes in pieces


@dataclass(frozen=True)
class Raw(Encoding):
    """Little-endian uint64 labels in C order, without a header."""

    name = "none"

    def encode(self, labels: Labels, threads: int = 1) -> bytes:
        """Widen the labels to uint64."""
        return as_volume(labels).astype("<u8").tobytes()

    def decode(
        self,
        stream: Buffer,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Narrow the labels to ``dtype``; without a shape they come back as one row."""
        size = memoryview(stream).nbytes
        count = size // 8 if shape is None else math.prod(shape)
        if size != 8 * count:
            raise DecodeError(f"raw labels: {size} bytes are not 8 a voxel of shape {shape}")
        labels = np.frombuffer(stream, "<u8").reshape(count if shape is None else shape)
        check_fits(labels, dtype)
        return labels.astype(dtype)

    def encode_chunks(self, labels: Labels, threads: int = 1) -> Iterator[Buffer]:
        """Widen groups of slices that are at most 1 GiB each, where a slice is."""
        volume = as_volume(labels)
        depth = _depth(volume.shape)
        for z in range(0, volume.shape[0], depth):
            yield _widen(volume[z : z + depth])

    def decode_chunks(
        self, chunks: Iterable[Buffer], shape: Sequence[int], dtype: DTypeLike, threads: int = 1
    ) -> Iterator[Labels]:
        """Decode pieces of any length to whole slices."""
        slice_bytes = 8 * math.prod(shape[1:])
        rest = b""
        for chunk in chunks:
            data = memoryview(b"".join([rest, chunk]) if rest else chunk).cast("B")
            depth = len(data) // slice_bytes if slice_bytes else shape[0]
            rest = bytes(data[depth * slice_bytes :])
            if depth:
                yield self.decode(data[: depth * slice_bytes], (depth, *shape[1:]), dtype)
        if rest:
            raise DecodeError(f"raw labels: {len(rest)} bytes are left behind the last whole slice")


def _depth(shape: Sequence[int]) -> int:
    """Slices that fit a chunk, at least one."""
    return max(1, CHUNK_BYTES // max(1, 8 * math.prod(shape[1:])))


def _widen(labels: Labels) -> memoryview:
    """The bytes of labels as little-endian uint64, without a copy where they are that already."""
    return np.ascontiguousarray(labels, "<u8").reshape(-1).view(np.uint8).data
