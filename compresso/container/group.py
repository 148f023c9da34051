"""Groups of slices: encoded, compressed and hashed together (docs/formats.md, section 6).

A compressed file and a chunk of a Zarr array are made of the same groups; only what surrounds them
differs. Hashes are XXH3-64 and do not depend on how an array lies in memory.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso import compressors, encodings
from compresso.arrays import Labels, as_volume, little_endian
from compresso.codec import DEFAULT_COMPRESSION, Buffer, Compressor, Encoding
from compresso.errors import DecodeError, EncodeError, LabelError
from compresso.parallel import Span
from compresso.text import method_name


@dataclass(frozen=True)
class Method:
    """An encoding, and the compressor that follows it."""

    encoding: Encoding
    compressor: Compressor

    @classmethod
    def parse(cls, encoding: str, compression: str | None = None) -> Self:
        """Make both from their codec strings; raises SpecError.

        Without ``compression`` it is zstd, or none after an encoding that gains nothing from one.
        """
        first = encodings.parse(encoding)
        if compression is None:
            compression = "none" if first.alone else DEFAULT_COMPRESSION
        return cls(first, compressors.parse(compression))

    def __str__(self) -> str:
        return method_name(*self.specs)

    @property
    def specs(self) -> tuple[str, str]:
        """The codec strings of both."""
        return self.encoding.spec, self.compressor.spec


@dataclass(frozen=True)
class Groups:
    """The groups that ``nz`` slices are cut into; the last one may have fewer than ``depth``."""

    nz: int
    depth: int

    def __len__(self) -> int:
        return -(-self.nz // self.depth)

    def __iter__(self) -> Iterator[Span]:
        return map(self.span, range(len(self)))

    def span(self, number: int) -> Span:
        """First and last slice (exclusive) of a group; raises IndexError."""
        if not 0 <= number < len(self):
            raise IndexError(f"group {number} of {len(self)}")
        return number * self.depth, min((number + 1) * self.depth, self.nz)

    def of(self, z0: int, z1: int) -> range:
        """The numbers of the groups that hold any of slices z0..z1-1."""
        return range(z0 // self.depth, -(-z1 // self.depth)) if self.nz and z0 < z1 else range(0)


class GroupRecord(NamedTuple):
    """Sizes and hashes of an encoded group."""

    stream_bytes: int
    body_bytes: int
    body_hash: int
    labels_hash: int


def encode_group(
    method: Method, labels: Labels, shift: int, threads: int = 1, z0: int = 0
) -> tuple[GroupRecord, Buffer]:
    """Encode and compress labels (nz, ny, nx); returns sizes and hashes, and the body.

    ``shift`` is added to the labels before encoding, modulo 2**64; see :func:`shift_of`. Raises
    EncodeError; a LabelError counts slices from ``z0`` on.
    """
    volume = as_volume(labels)
    hashes = _SliceHashes(volume)
    shifted = volume + np.uint64(shift) if shift else volume
    try:
        stream = method.encoding.encode_volume(shifted, threads, hashes.add)
    except LabelError as error:
        z, y, x = error.voxel
        raise LabelError(int(labels[z, y, x]), (z0 + z, y, x), error.reason) from None
    size = memoryview(stream).nbytes
    if size > _stream_limit(volume.shape):
        raise EncodeError(f"{method.encoding}: a stream of {size} bytes is too long for a group")
    body = method.compressor.compress(stream)
    body_size = memoryview(body).nbytes
    return GroupRecord(size, body_size, xxh3_64_intdigest(body), hashes.digest()), body


def decode_group(
    method: Method,
    group: GroupRecord,
    body: Buffer,
    span: Span,
    out: Labels,
    z0: int,
    shift: int,
    threads: int = 1,
) -> None:
    """Decode the group of the slices ``span`` to its place in ``out``, slices z0 and following.

    ``out`` (n, ny, nx) may hold only some of them. Raises DecodeError if a hash does not match or
    the stream contradicts itself; the contents of ``out`` are undefined then.
    """
    shape = (span[1] - span[0], *out.shape[1:])
    if group.stream_bytes > _stream_limit(shape):
        raise DecodeError("its lengths do not fit")
    if memoryview(body).nbytes != group.body_bytes or xxh3_64_intdigest(body) != group.body_hash:
        raise DecodeError("the hash of the compressed labels does not match")
    stream = method.compressor.decompress(body, limit=group.stream_bytes)
    low, high = max(span[0], z0), min(span[1], z0 + len(out))
    target = out[low - z0 : high - z0]
    labels = target if target.shape == shape else np.empty(shape, out.dtype)
    volume = as_volume(labels)
    hashes = _SliceHashes(volume, shift)
    method.encoding.decode_into(stream, volume, threads, hashes.add)
    digest = hashes.digest()
    if shift:
        volume -= np.uint64(shift)
    if digest != group.labels_hash:
        raise DecodeError("the hash of the labels does not match")
    if out.dtype == bool and volume.max(initial=0) > 1:
        raise DecodeError("a label is neither true nor false")
    if labels is not target:
        target[...] = labels[low - span[0] : high - span[0]]


def shift_of(dtype: np.dtype[Any], parts: Iterable[Labels]) -> int:
    """The number to add to signed 64-bit labels, modulo 2**64, so that none is negative.

    As unsigned numbers, negative labels would exceed the largest label of some encodings. Parts of
    other dtypes are not read.
    """
    if dtype.kind != "i" or dtype.itemsize < 8:
        return 0
    return max(0, -min((int(part.min(initial=0)) for part in parts), default=0))


def _stream_limit(shape: tuple[int, ...]) -> int:
    """The longest stream of a group that is written or read: more than any encoding needs."""
    return (1 << 20) + 8192 * shape[0] + 64 * math.prod(shape)


class _SliceHashes:
    """Hashes the slices of a volume, less ``shift``, one by one while they are in the cache."""

    def __init__(self, volume: Labels, shift: int = 0) -> None:
        self._volume, self._shift = volume, np.uint64(shift)
        self._hashes = np.zeros(volume.shape[0], "<u8")
        self._missing = np.ones(volume.shape[0], bool)
        in_order = volume.flags.c_contiguous and volume.dtype == volume.dtype.newbyteorder("<")
        self._plain = in_order and not shift  # finding it out takes longer than hashing a slice

    def add(self, z0: int, z1: int) -> None:
        """Hash slices z0..z1-1."""
        for z in range(z0, z1):
            labels = self._volume[z]
            if not self._plain:
                labels = little_endian(labels - self._shift if self._shift else labels)
            self._hashes[z] = xxh3_64_intdigest(labels)
            self._missing[z] = False

    def digest(self) -> int:
        """The hash of the hashes of all slices; slices that were not added are hashed now."""
        for z in np.flatnonzero(self._missing).tolist():
            self.add(z, z + 1)
        return xxh3_64_intdigest(self._hashes.data)
