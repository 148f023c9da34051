"""The Neuroglancer-style encoding that the paper measured (docs/formats.md, section 2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, Shape, as_shape, block, little, native
from compresso.codec import Buffer, Encoding, Watch
from compresso.errors import DecodeError
from compresso.parallel import parallel, ranges

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
        nz, ny, nx = volume.shape
        words: list[NDArray[np.uint64]] = [np.array(volume.shape, np.uint64)]
        if volume.size:
            spans = ranges(-(-ny // SIDE) * -(-nx // SIDE), threads)
            for z in range(0, nz, SIDE):
                layer = block(volume, z, min(z + SIDE, nz))
                words += parallel(partial(_encode_chunks, layer), spans, threads)
        return b"".join(map(little, words))

    def shape_of(self, stream: Buffer) -> Shape:
        """The header's shape."""
        return _shape(stream)

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode all chunks."""
        _decode_chunks(_chunks(stream), out, threads)


def _shape(stream: Buffer) -> Shape:
    """The header's shape; raises DecodeError."""
    size = memoryview(stream).nbytes
    if size < 8 * SHAPE_WORDS or size % 8:
        raise DecodeError(f"neuroglancer stream: {size} bytes are not a whole number of words")
    return as_shape([int(n) for n in np.frombuffer(stream, "<u8", SHAPE_WORDS)])


def _chunks(stream: Buffer) -> NDArray[np.uint64]:
    """All chunks of a stream; raises DecodeError if there are too few for its shape."""
    shape = _shape(stream)
    words = native(np.frombuffer(stream, "<u8", offset=8 * SHAPE_WORDS))
    n_chunks = _count_chunks(shape)
    # A chunk of one block takes ten words, so a small stream cannot claim a large volume.
    if max(shape) >= 1 << 31 or n_chunks > words.size or (n_chunks == 0) != (words.size == 0):
        raise DecodeError(f"neuroglancer stream: {words.nbytes} bytes do not fit the shape {shape}")
    return words


def _count_chunks(shape: Sequence[int]) -> int:
    return math.prod(-(-n // SIDE) for n in shape)


def _decode_chunks(words: NDArray[np.uint64], out: Labels, threads: int) -> None:
    """Decode all chunks to a volume, C order, of their shape."""
    from compresso.kernels import neuroglancer

    n_chunks = _count_chunks(out.shape)
    offsets = neuroglancer.chunk_offsets(words, n_chunks)
    if offsets[-1] != words.size:
        first = n_chunks if offsets[-1] >= 0 else int(np.argmin(offsets)) - 1
        raise DecodeError(f"neuroglancer stream: the length of chunk {first} does not fit")
    bands = -(-out.shape[0] // SIDE) * -(-out.shape[1] // SIDE) if n_chunks else 0
    bad = parallel(
        lambda span: int(neuroglancer.decode_bands(words, offsets, SIDE, *span, out)),
        ranges(bands, threads),
        threads,
    )
    if max(bad) >= 0:
        raise DecodeError(f"neuroglancer stream: chunk {max(bad)} contradicts its header")
    if min(bad) < -1:
        raise DecodeError(f"neuroglancer stream: a label does not fit {out.dtype}. Use uint64.")


def _encode_chunks(layer: Labels, span: tuple[int, int]) -> NDArray[np.uint64]:
    """Encode chunks span[0]..span[1]-1 of a layer of chunks."""
    from compresso.kernels import neuroglancer

    words: NDArray[np.uint64] = neuroglancer.encode_chunks(layer, SIDE, *span)
    return words
