"""Groups of slices: encoded, compressed and hashed together (docs/formats.md, section 6).

A compressed file and a chunk of a Zarr array are made of the same groups; only what surrounds them
differs. Hashes are XXH3-64 and do not depend on how an array lies in memory.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from xxhash import xxh3_64_intdigest

from compresso import compressors, encodings
from compresso.arrays import Labels, as_volume, little
from compresso.codec import DEFAULT_COMPRESSION, Buffer, Compressor, Encoding
from compresso.errors import DecodeError, EncodeError, LabelError


class Codec(NamedTuple):
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


class Group(NamedTuple):
    """Sizes and hashes of an encoded group."""

    stream_bytes: int
    body_bytes: int
    body_hash: int
    labels_hash: int


def encode_group(
    codec: Codec, labels: Labels, shift: int = 0, threads: int = 1
) -> tuple[Group, Buffer]:
    """Encode and compress the labels of a group.

    Parameters
    ----------
    codec : Codec
    labels : (nz, ny, nx) integer or bool
    shift : int
        Added to the labels before encoding, modulo 2**64; see :func:`shift_of`.
    threads : int

    Returns
    -------
    Group, bytes-like
        The group's sizes and hashes, and its compressed stream, the body.

    Raises
    ------
    EncodeError
        If the encoding cannot hold the labels; LabelError counts voxels from the group's first.
    """
    volume = as_volume(labels)
    hashes = _SliceHashes(volume)
    shifted = volume + np.uint64(shift) if shift else volume
    try:
        stream = codec.encoding.encode_volume(shifted, threads, hashes.add)
    except LabelError as error:
        z, y, x = error.voxel
        raise LabelError(int(labels[z, y, x]), error.voxel, error.reason) from None
    size = memoryview(stream).nbytes
    if size > _stream_limit(volume.shape):
        raise EncodeError(f"{codec.encoding}: a stream of {size} bytes is too long for a group")
    body = codec.compressor.compress(stream)
    body_size = memoryview(body).nbytes
    return Group(size, body_size, xxh3_64_intdigest(body), hashes.digest()), body


def decode_group(
    codec: Codec, group: Group, body: Buffer, out: Labels, shift: int = 0, threads: int = 1
) -> None:
    """Decompress and decode a group, and check both hashes.

    Parameters
    ----------
    codec : Codec
    group : Group
    body : bytes-like
    out : (nz, ny, nx) integer or bool, overwritten
        Undefined if DecodeError is raised.
    shift : int
        As it was encoded with.
    threads : int

    Raises
    ------
    DecodeError
        If a hash does not match, or the stream contradicts itself.
    """
    if group.stream_bytes > _stream_limit(out.shape):
        raise DecodeError("its lengths do not fit")
    if memoryview(body).nbytes != group.body_bytes or xxh3_64_intdigest(body) != group.body_hash:
        raise DecodeError("the hash of the compressed labels does not match")
    stream = codec.compressor.decompress(body, limit=group.stream_bytes)
    volume = as_volume(out)
    hashes = _SliceHashes(volume, shift)
    codec.encoding.decode_into(stream, volume, threads, hashes.add)
    digest = hashes.digest()
    if shift:
        volume -= np.uint64(shift)
    if digest != group.labels_hash:
        raise DecodeError("the hash of the labels does not match")
    if out.dtype == bool and volume.max(initial=0) > 1:
        raise DecodeError("a label is neither true nor false")


def shift_of(dtype: np.dtype[Any], parts: Iterable[Labels]) -> int:
    """The number that makes signed 64-bit labels small and not negative, added modulo 2**64.

    Negative labels would otherwise exceed the largest label of some encodings.

    Parameters
    ----------
    dtype : dtype
    parts : iterable of arrays
        All parts of the array; read only if the dtype is signed and of 64 bits.
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
        little_endian = volume.dtype == volume.dtype.newbyteorder("<")
        # Slices that lie in memory as they are hashed: finding that out takes longer than hashing.
        self._plain = volume.flags.c_contiguous and little_endian and not shift

    def add(self, z0: int, z1: int) -> None:
        """Hash slices z0..z1-1."""
        for z in range(z0, z1):
            labels = self._volume[z]
            if not self._plain:
                labels = little(labels - self._shift if self._shift else labels)
            self._hashes[z] = xxh3_64_intdigest(labels)
            self._missing[z] = False

    def digest(self) -> int:
        """The hash of the hashes of all slices; slices that were not added are hashed now."""
        for z in np.flatnonzero(self._missing).tolist():
            self.add(z, z + 1)
        return xxh3_64_intdigest(self._hashes.data)
