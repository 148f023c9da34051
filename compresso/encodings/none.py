"""Raw labels, 8 bytes per voxel, as the paper counts them."""

import math
from dataclasses import dataclass

import numpy as np

from compresso.arrays import Labels, Shape, check_fits, little_endian
from compresso.codec import Buffer, Encoding, Watch
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Raw(Encoding):
    """Little-endian uint64 labels in C order, without a header.

    Labels that are stored like this already are not copied.
    """

    name = "none"
    working_bytes = 8

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> Buffer:
        return little_endian(volume.astype("<u8", order="C", copy=False))

    def shape_of(self, stream: Buffer) -> None:
        """Return None: the stream does not store its shape."""

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        self.decode_part(stream, 0, out, out.shape, threads)

    def decode_part(self, stream: Buffer, z0: int, out: Labels, shape: Shape, threads: int) -> None:
        size = memoryview(stream).nbytes
        if size != 8 * math.prod(shape):
            raise DecodeError(f"raw labels: {size} bytes are not 8 per voxel of shape {shape}")
        labels = np.frombuffer(stream, "<u8").reshape(shape)[z0 : z0 + len(out)]
        check_fits(labels, out.dtype)
        out[...] = labels
