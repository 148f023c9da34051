"""Raw labels, 8 bytes per voxel, as the paper counts them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from compresso.arrays import Labels, check_fits, little
from compresso.codec import Buffer, Encoding, Watch, unwatched
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Raw(Encoding):
    """Little-endian uint64 labels in C order, without a header.

    Labels that are stored like this already are not copied.
    """

    name = "none"

    def encode_volume(self, volume: Labels, threads: int = 1, watch: Watch = unwatched) -> Buffer:
        """Widen the labels to uint64."""
        return little(volume.astype("<u8", order="C", copy=False))

    def shape_of(self, stream: Buffer) -> None:
        """Return None: the stream does not store its shape."""

    def decode(
        self,
        stream: Buffer,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Narrow the labels to ``dtype``, a view if it is uint64; one row without a shape."""
        labels = _labels(stream, shape)
        check_fits(labels, dtype)
        return labels.astype(dtype, copy=False)

    def decode_volume(
        self, stream: Buffer, out: Labels, threads: int = 1, watch: Watch = unwatched
    ) -> None:
        """Narrow the labels to the dtype of ``out``."""
        labels = _labels(stream, out.shape)
        check_fits(labels, out.dtype)
        out[...] = labels


def _labels(stream: Buffer, shape: Sequence[int] | None) -> Labels:
    """The labels of a stream; raises DecodeError if it has another length."""
    size = memoryview(stream).nbytes
    count = size // 8 if shape is None else math.prod(shape)
    if size != 8 * count:
        raise DecodeError(f"raw labels: {size} bytes are not 8 per voxel of shape {shape}")
    return np.frombuffer(stream, "<u8").reshape(count if shape is None else shape)
