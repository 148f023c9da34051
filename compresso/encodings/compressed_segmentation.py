"""The block encoding that Neuroglancer, TensorStore and CloudVolume read (docs/formats.md, 8)."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, Shape, little_endian, native_endian, native_slices
from compresso.boundaries import window_grid
from compresso.codec import Buffer, Encoding, Extent, Watch
from compresso.errors import DecodeError, EncodeError
from compresso.parallel import on_threads, ranges

HEADER_WORDS = 2  # of a block: its table's offset and the bits of a value; its values' offset
#: Blocks of more labels than COUNTS[i] need BITS[i + 1] bits a value.
COUNTS = np.array([1, 2, 4, 16, 256, 65536])
BITS = np.array([0, 1, 2, 4, 8, 16, 32])
ONE_CHANNEL = np.ones(1, "<u4")  # the words of all channels' offsets

Words = NDArray[np.uint32]


class Layer(NamedTuple):
    """The blocks of one layer, along x, then y."""

    counts: NDArray[np.int64]  # labels of each block
    tables: NDArray[np.uint64]  # ascending, one block's after the other's
    values: Words


@dataclass(frozen=True)
class CompressedSegmentation(Encoding):
    """The stream that Neuroglancer reads: blocks with tables of labels.

    Tables have 64 bits per label if the labels have 64, and otherwise 32. The stream
    states neither dtype nor shape, so both must be given to decode it.

    Parameters
    ----------
    block : Extent
        Size of a block, x, y, z. Default 8x8x8, which readers take for granted.

    References
    ----------
    The format's own description, in Neuroglancer's repository under
    ``src/sliceview/compressed_segmentation``.
    """

    name = "compressed_segmentation"
    working_bytes = 2
    limits = {"block": (1, 1 << 21)}
    block: Extent = Extent("8x8x8")

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode labels: headers, then the tables, each once, then the values.

        Raises EncodeError for a volume whose tables are too many for a 24-bit offset.
        """
        from compresso.kernels import compressed_segmentation as kernels

        step = self.block.zyx
        n_blocks = math.prod(window_grid(volume.shape, step)[1:])

        def encode_layer(z: int) -> Layer:
            counts = np.empty(n_blocks, np.int64)
            labels = native_slices(volume, z, z + step[0])
            return Layer(counts, *kernels.encode_layer(labels, step, counts))

        starts = range(0, volume.shape[0] if volume.size else 0, step[0])
        layers = on_threads(encode_layer, starts, threads)
        return _assemble(layers, math.prod(step), _label_words(volume.dtype))

    def shape_of(self, stream: Buffer) -> None:
        """Return None: the stream does not store its shape."""

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode a stream of one channel, whose tables are as wide as ``out`` demands."""
        self._decode_layers(_only_channel(stream), 0, out, threads)

    def decode_part(self, stream: Buffer, z0: int, out: Labels, shape: Shape, threads: int) -> None:
        """Decode slices z0 and following, and no block that has none of them."""
        first = z0 // self.block.zyx[0] * self.block.zyx[0]
        layers = np.empty((z0 + len(out) - first, *out.shape[1:]), out.dtype)
        self._decode_layers(_only_channel(stream), first, layers, threads)
        out[...] = layers[z0 - first :]

    def _decode_layers(self, words: Words, z0: int, out: Labels, threads: int) -> None:
        """Decode slices z0 and following, the first ones of a layer of blocks."""
        from compresso.kernels import compressed_segmentation as kernels

        if not out.size:
            return
        grid = window_grid(out.shape, self.block.zyx)
        start = HEADER_WORDS * math.prod(window_grid((z0, *out.shape[1:]), self.block.zyx))
        headers = words[start : start + HEADER_WORDS * math.prod(grid)]
        if headers.size < HEADER_WORDS * math.prod(grid):
            raise DecodeError(
                f"{self.name} stream: {4 * words.size} bytes do not fit the shape {out.shape}"
            )
        fixed = headers, words, words if _label_words(out.dtype) == 2 else None, self.block.zyx
        bad = on_threads(
            lambda span: int(kernels.decode_lines(*fixed, *span, out)),
            ranges(grid[0] * grid[1], threads),
            threads,
        )
        if max(bad) >= 0:
            raise DecodeError(f"{self.name} stream: block {max(bad)} points outside the stream")
        if min(bad) < -1:
            raise DecodeError(f"{self.name} stream: a label does not fit {out.dtype}. Use uint64.")


def _label_words(dtype: np.dtype[Any]) -> int:
    """Words of a label in a table."""
    return 2 if dtype.itemsize == 8 else 1


def _assemble(layers: Sequence[Layer], voxels: int, label_words: int) -> bytes:
    """The stream of the layers of blocks, of the given voxels per block."""
    from compresso.kernels import compressed_segmentation as kernels

    counts = np.concatenate([layer.counts for layer in layers] or [np.empty(0, np.int64)])
    tables = np.concatenate([layer.tables for layer in layers] or [np.empty(0, np.uint64)])
    places, used = kernels.share_tables(tables, counts)
    tables_at = HEADER_WORDS * counts.size + label_words * places
    bits = BITS[np.searchsorted(COUNTS, counts)]
    sizes = -(-voxels * bits // 32)
    values_at = HEADER_WORDS * counts.size + label_words * used + np.cumsum(sizes) - sizes
    if tables_at.max(initial=0) >= 1 << 24 or values_at.max(initial=0) >= 1 << 32:
        raise EncodeError(
            f"compressed_segmentation: {used} labels in the blocks' tables are more than 24-bit "
            "offsets can address. Encode the volume in smaller pieces."
        )
    headers = np.empty((counts.size, HEADER_WORDS), np.uint32)
    headers[:, 0] = tables_at | bits << 24
    headers[:, 1] = values_at
    shared = tables[:used].astype(np.uint64 if label_words == 2 else np.uint32)
    values = [layer.values for layer in layers]
    return b"".join(map(little_endian, [ONE_CHANNEL, headers, shared, *values]))


def channel_of(stream: Buffer, number: int) -> bytes:
    """The stream of one channel of several, numbered from 0 on; raises DecodeError."""
    channels = _channels(stream)
    if not 0 <= number < len(channels):
        raise DecodeError(
            f"compressed_segmentation stream: it has {len(channels)} channels, not channel {number}"
        )
    return b"".join(map(little_endian, [ONE_CHANNEL, channels[number]]))


def _only_channel(stream: Buffer) -> Words:
    """The words of a stream's only channel; raises DecodeError if it has several."""
    channels = _channels(stream)
    if len(channels) > 1:
        raise DecodeError(
            f"compressed_segmentation stream: it has {len(channels)} channels. Choose one: "
            "channel_of(stream, 0) of compresso.encodings.compressed_segmentation"
        )
    return channels[0]


def _channels(stream: Buffer) -> list[Words]:
    """The words of each channel; raises DecodeError."""
    size = memoryview(stream).nbytes
    if size < 4 or size % 4:
        raise DecodeError(
            f"compressed_segmentation stream: {size} bytes are not a whole number of 32-bit words"
        )
    words = native_endian(np.frombuffer(stream, "<u4"))
    count = int(words[0])  # the first channel follows the channels' offsets
    edges = np.append(words[:count].astype(np.int64), words.size)
    if not 1 <= count <= words.size or not (edges[:-1] <= edges[1:]).all():
        raise DecodeError("compressed_segmentation stream: invalid offsets of channels")
    return [words[start:stop] for start, stop in itertools.pairwise(edges.tolist())]
