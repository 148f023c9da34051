"""The block encoding that Neuroglancer, TensorStore and CloudVolume read (docs/formats.md, 8)."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

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

        def encode_layer(z: int) -> tuple[NDArray[Any], NDArray[Any], Words]:
            """The number of labels of each block, the tables of all blocks, and their values."""
            counts = np.empty(n_blocks, np.int64)
            labels = native_slices(volume, z, z + step[0])
            return counts, *kernels.encode_layer(labels, step, counts)

        if not volume.size:
            return bytes(ONE_CHANNEL)
        layers = on_threads(encode_layer, range(0, volume.shape[0], step[0]), threads)
        counts, tables, values = map(np.concatenate, zip(*layers, strict=True))
        label_words = _label_words(volume.dtype)
        offsets, used = kernels.share_tables(tables, counts)
        tables_at = HEADER_WORDS * counts.size + label_words * offsets
        bits = BITS[np.searchsorted(COUNTS, counts)]
        sizes = -(-math.prod(step) * bits // 32)
        values_at = HEADER_WORDS * counts.size + label_words * used + np.cumsum(sizes) - sizes
        if tables_at.max() >= 1 << 24 or values_at.max() >= 1 << 32:
            raise EncodeError(
                f"compressed_segmentation: {used} labels in the blocks' tables are more than "
                "24-bit offsets can address. Encode the volume in smaller pieces."
            )
        headers = np.stack([tables_at | bits << 24, values_at], axis=1).astype(np.uint32)
        shared = tables[:used].astype(np.uint64 if label_words == 2 else np.uint32)
        return b"".join(map(little_endian, [ONE_CHANNEL, headers, shared, values]))

    def shape_of(self, stream: Buffer) -> None:
        """Return None: the stream does not store its shape."""

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode a stream of one channel, whose tables are as wide as ``out`` demands."""
        self.decode_part(stream, 0, out, out.shape, threads)

    def decode_part(self, stream: Buffer, z0: int, out: Labels, shape: Shape, threads: int) -> None:
        """Decode slices z0 and following, and no block that has none of them."""
        from compresso.kernels import compressed_segmentation as kernels

        words, step = _only_channel(stream), self.block.zyx
        if not out.size:
            return
        first = z0 // step[0] * step[0]
        whole = out if first == z0 else np.empty((z0 - first + len(out), *out.shape[1:]), out.dtype)
        grid = window_grid(whole.shape, step)
        start = HEADER_WORDS * math.prod(window_grid((first, *out.shape[1:]), step))
        headers = words[start : start + HEADER_WORDS * math.prod(grid)]
        if headers.size < HEADER_WORDS * math.prod(grid):
            raise DecodeError(
                f"{self.name} stream: {4 * words.size} bytes do not fit the shape {out.shape}"
            )
        fixed = headers, words, words if _label_words(out.dtype) == 2 else None, step
        bad = on_threads(
            lambda span: int(kernels.decode_lines(*fixed, *span, whole)),
            ranges(grid[0] * grid[1], threads),
            threads,
        )
        if max(bad) >= 0:
            raise DecodeError(f"{self.name} stream: block {max(bad)} points outside the stream")
        if min(bad) < -1:
            raise DecodeError(f"{self.name} stream: a label does not fit {out.dtype}. Use uint64.")
        if whole is not out:
            out[...] = whole[z0 - first :]


def _label_words(dtype: np.dtype[Any]) -> int:
    """Words of a label in a table."""
    return 2 if dtype.itemsize == 8 else 1


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
