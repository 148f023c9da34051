"""The Neuroglancer-style encoding that the paper measured (docs/formats.md, section 2)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, Shape, as_shape, little_endian, native_endian, native_slices
from compresso.boundaries import window_grid
from compresso.codec import Buffer, Encoding, Watch
from compresso.errors import DecodeError
from compresso.parallel import Span, on_threads, ranges

SIDE = 64  # voxels along a chunk
SHAPE_WORDS = 3


@dataclass(frozen=True)
class Neuroglancer(Encoding):
    """Blocks of 8 x 8 x 8 voxels with tables of labels, as measured in the paper.

    The paper's own 64-bit stream in chunks of 64 x 64 x 64, not the ``compressed_segmentation``
    that Neuroglancer reads today.
    """

    name = "neuroglancer"
    working_bytes = 2

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode labels, to the bytes that the published program writes."""
        from compresso.kernels import neuroglancer

        words: list[NDArray[np.uint64]] = [np.array(volume.shape, np.uint64)]
        if volume.size:
            spans = ranges(math.prod(_grid(volume.shape)[1:]), threads)
            for z in range(0, volume.shape[0], SIDE):
                layer = native_slices(volume, z, z + SIDE)

                def encode(span: Span, layer: Labels = layer) -> Any:
                    return neuroglancer.encode_chunks(layer, SIDE, *span)

                words += on_threads(encode, spans, threads)
        return b"".join(map(little_endian, words))

    def shape_of(self, stream: Buffer) -> Shape:
        size = memoryview(stream).nbytes
        if size < 8 * SHAPE_WORDS or size % 8:
            raise DecodeError(f"neuroglancer stream: {size} bytes are not a whole number of words")
        return as_shape([int(n) for n in np.frombuffer(stream, "<u8", SHAPE_WORDS)])

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        from compresso.kernels import neuroglancer

        shape = self.shape_of(stream)
        words = native_endian(np.frombuffer(stream, "<u8", offset=8 * SHAPE_WORDS))
        grid = _grid(shape)
        n_chunks = math.prod(grid)
        # A chunk of one block takes ten words, so a small stream cannot claim a large volume.
        if max(shape) >= 1 << 31 or n_chunks > words.size or (n_chunks == 0) != (words.size == 0):
            raise DecodeError(
                f"neuroglancer stream: {words.nbytes} bytes do not fit the shape {shape}"
            )
        offsets = neuroglancer.chunk_offsets(words, n_chunks)
        if offsets[-1] != words.size:
            first = n_chunks if offsets[-1] >= 0 else int(np.argmin(offsets)) - 1
            raise DecodeError(f"neuroglancer stream: the length of chunk {first} does not fit")
        bad = on_threads(
            lambda span: int(neuroglancer.decode_bands(words, offsets, SIDE, *span, out)),
            ranges(grid[0] * grid[1] if n_chunks else 0, threads),
            threads,
        )
        if max(bad) >= 0:
            raise DecodeError(f"neuroglancer stream: chunk {max(bad)} contradicts its header")
        if min(bad) < -1:
            raise DecodeError(f"neuroglancer stream: a label does not fit {out.dtype}. Use uint64.")


def _grid(shape: Shape) -> tuple[int, ...]:
    """How many chunks cover a volume, z, y, x."""
    return window_grid(shape, (SIDE, SIDE, SIDE))
