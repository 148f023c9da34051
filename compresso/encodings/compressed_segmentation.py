"""The block encoding that Neuroglancer, TensorStore and CloudVolume read (docs/formats.md, 8)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compresso.arrays import Labels, as_shape, block, label_dtype, little, native
from compresso.codec import Buffer, Encoding, Extent, Watch, unwatched
from compresso.errors import DecodeError, EncodeError, SpecError
from compresso.parallel import parallel, ranges

HEADER_WORDS = 2  # of a block: its table's offset and the bits of a value; its values' offset
BLOCK_LIMIT = 1 << 21  # voxels
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
    block: Extent = Extent("8x8x8")

    def __post_init__(self) -> None:
        if math.prod(self.block) > BLOCK_LIMIT:
            raise SpecError(
                f"{self.name}: a block of {self.block} has more than {BLOCK_LIMIT} voxels"
            )

    def encode_volume(self, volume: Labels, threads: int = 1, watch: Watch = unwatched) -> bytes:
        """Encode labels: headers, then the tables, each once, then the values.

        Raises EncodeError for a volume whose tables are too many for a 24-bit offset.
        """
        from compresso.kernels import compressed_segmentation as kernels

        n_blocks = math.prod(self._grid(volume.shape)[1:])

        def encode_layer(z: int) -> Layer:
            layer = block(volume, z, z + self._step[0])
            counts = np.empty(n_blocks, np.int64)
            return Layer(counts, *kernels.encode_layer(layer, self._step, counts))

        starts = range(0, volume.shape[0], self._step[0]) if volume.size else range(0)
        layers = parallel(encode_layer, starts, threads)
        return _assemble(layers, math.prod(self._step), _label_words(volume.dtype))

    def shape_of(self, stream: Buffer) -> None:
        """Return None: the stream does not store its shape."""

    def decode_volume(
        self, stream: Buffer, out: Labels, threads: int = 1, watch: Watch = unwatched
    ) -> None:
        """Decode a stream of one channel, whose tables are as wide as ``out`` demands."""
        words = _channel(stream)
        n_headers = HEADER_WORDS * math.prod(self._grid(out.shape))
        self._decode_layers(words[:n_headers], words, out, threads)

    def decode(
        self,
        stream: Buffer,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
        channel: int | None = None,
    ) -> Labels:
        """Decode a channel of a stream; raises DecodeError if it contradicts itself.

        Parameters
        ----------
        stream : bytes-like
        shape : sequence of int
            Shape of the volume (z, y, x), which the stream does not state.
        dtype : unsigned dtype
            That of the labels which were encoded; one of 64 bits has wider tables than the others.
        threads : int
        channel : int, optional
            Number of the channel, from 0 on; needed if the stream has several.
        """
        if channel is not None:
            stream = ONE_CHANNEL.tobytes() + _channel(stream, channel).tobytes()
        return super().decode(stream, shape, dtype, threads)

    def decode_slices(
        self,
        stream: Buffer,
        z0: int,
        z1: int,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Decode slices z0..z1-1, and no block that has none of them."""
        if shape is None:
            return super().decode_slices(stream, z0, z1, shape, dtype, threads)
        nz, ny, nx = as_shape(shape)
        start, stop, _ = slice(z0, z1).indices(nz)
        words = _channel(stream)
        depth = self._step[0]
        first = start // depth * depth
        out = np.empty((max(0, stop - first), ny, nx), label_dtype(dtype))
        skip = HEADER_WORDS * math.prod(self._grid((first, ny, nx)))
        n_headers = HEADER_WORDS * math.prod(self._grid(out.shape))
        self._decode_layers(words[skip : skip + n_headers], words, out, threads)
        return out[start - first :].astype(dtype, copy=False)

    def _decode_layers(self, headers: Words, words: Words, out: Labels, threads: int) -> None:
        """Decode the layers of blocks that have these headers."""
        from compresso.kernels import compressed_segmentation_reader as kernels

        if not out.size:
            return
        grid = self._grid(out.shape)
        if headers.size < HEADER_WORDS * math.prod(grid):
            raise DecodeError(
                f"{self.name} stream: {4 * words.size} bytes do not fit the shape {out.shape}"
            )
        high = words if _label_words(out.dtype) == 2 else None
        bad = parallel(
            lambda span: int(kernels.decode_lines(headers, words, high, self._step, *span, out)),
            ranges(grid[0] * grid[1], threads),
            threads,
        )
        if max(bad) >= 0:
            raise DecodeError(f"{self.name} stream: block {max(bad)} points outside the stream")
        if min(bad) < -1:
            raise DecodeError(f"{self.name} stream: a label does not fit {out.dtype}. Use uint64.")

    @property
    def _step(self) -> tuple[int, int, int]:
        x, y, z = self.block
        return z, y, x

    def _grid(self, shape: Sequence[int]) -> tuple[int, ...]:
        """How many blocks cover the volume, z, y, x."""
        return tuple(-(-n // step) for n, step in zip(shape, self._step, strict=True))


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
    return b"".join(map(little, [ONE_CHANNEL, headers, shared, *values]))


def _channel(stream: Buffer, channel: int | None = None) -> Words:
    """The words of a channel; raises DecodeError if it is missing, or not the only one."""
    size = memoryview(stream).nbytes
    if size < 4 or size % 4:
        raise DecodeError(
            f"compressed_segmentation stream: {size} bytes are not a whole number of 32-bit words"
        )
    words = native(np.frombuffer(stream, "<u4"))
    count = int(words[0])  # the first channel follows the channels' offsets
    starts = words[:count].astype(np.int64)
    ends = np.append(starts[1:], words.size)
    if not 1 <= count <= words.size or not (starts <= ends).all():
        raise DecodeError("compressed_segmentation stream: invalid offsets of channels")
    if channel is None and count > 1:
        raise DecodeError(
            f"compressed_segmentation stream: it has {count} channels. Name one, such as channel=0"
        )
    channel = channel or 0
    if not 0 <= channel < count:
        raise DecodeError(
            f"compressed_segmentation stream: it has {count} channels, not channel {channel}"
        )
    return words[starts[channel] : ends[channel]]
