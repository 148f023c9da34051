"""The frame: a checked, self-describing container (docs/formats.md, section 6).

A volume is cut into groups of slices; each is encoded, compressed and checked by itself, so that
damage is located, intact groups stay readable, slices can be read without the rest, and neither
writing nor reading needs more memory than a group.
"""

import io
import json
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike
from xxhash import xxh3_64_intdigest

from compresso import compressors, encodings
from compresso.arrays import LIMIT, Labels, as_volume
from compresso.codec import Buffer, unwatched
from compresso.errors import DecodeError, EncodeError

MAGIC = b"CPSOFRM\0"
VERSION = 2  # version 1, which is still read, hashed the labels of a group in one go
HEAD = struct.Struct("<8sHHI")  # magic, version, 0, bytes of the description
GROUP = struct.Struct("<4sIQQQQ")  # mark, number, stream and body bytes, hashes of body and labels
CHECK = struct.Struct("<Q")  # XXH3-64
MARK = b"GRP\0"
DESCRIPTION_LIMIT = 1 << 16
#: What the parts of a description raise that are of another type, or of no known name.
NONSENSE = (TypeError, ValueError, KeyError, AttributeError, RecursionError, OverflowError)
GROUP_VOXELS = 1 << 25  # in a group, about, where the writer is not told otherwise


@dataclass(frozen=True)
class Description:
    """What a frame says of itself."""

    encoding: str
    compression: str
    dtype: str
    shape: tuple[int, ...]
    shift: int  # added to labels before encoding, modulo 2**64
    depth: int  # slices of a group

    @property
    def grid(self) -> tuple[int, int, int]:
        """The shape as z, y, x."""
        z, y, x = (1,) * (3 - len(self.shape)) + self.shape
        return z, y, x

    @property
    def groups(self) -> list[tuple[int, int]]:
        """First and last slice (exclusive) of each group; none where the volume is empty."""
        if not math.prod(self.shape):
            return []
        z = self.grid[0]
        return [(start, min(start + self.depth, z)) for start in range(0, z, self.depth)]

    @property
    def nbytes(self) -> int:
        """Bytes of the labels."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Damage:
    """Slices z0..z1-1 of a frame that cannot be read, and why."""

    z0: int
    z1: int
    reason: str


class SliceHashes:
    """Hashes the slices of a volume, less ``shift``, one by one while they are in the cache."""

    def __init__(self, volume: Labels, shift: int = 0) -> None:
        self._volume, self._shift = volume, np.uint64(shift)
        self._hashes = np.zeros(volume.shape[0], "<u8")
        self._missing = np.ones(volume.shape[0], bool)

    def add(self, z0: int, z1: int) -> None:
        """Hash slices z0..z1-1."""
        for z in range(z0, z1):
            labels = self._volume[z] - self._shift if self._shift else self._volume[z]
            self._hashes[z] = _hash_labels(labels)
            self._missing[z] = False

    def digest(self) -> int:
        """The hash of the hashes of all slices; those that nobody told of are hashed now."""
        for z in np.flatnonzero(self._missing).tolist():
            self.add(z, z + 1)
        return xxh3_64_intdigest(self._hashes.data)


class Writer:
    """Writes a frame to a file, group by group.

    Parameters
    ----------
    file : binary file
    shape : tuple of int
        Of the array, 1 to 3 dimensions.
    dtype : dtype
    encoding, compression : str
        Spec strings.
    threads : int
        For the encoding.
    depth : int, optional
        Slices of a group; by default as many as make about 32 million voxels.
    shift : int
        Added to labels before encoding; for signed 64-bit labels.
    """

    def __init__(
        self,
        file: BinaryIO,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        encoding: str = "compresso",
        compression: str = "lzma",
        threads: int = 1,
        depth: int | None = None,
        shift: int = 0,
    ) -> None:
        self._encoding = encodings.parse(encoding)
        self._compressor = compressors.parse(compression)
        plane = math.prod(shape[-2:]) if shape else 1
        self.description = Description(
            self._encoding.spec,
            self._compressor.spec,
            np.dtype(dtype).str,
            tuple(int(n) for n in shape),
            shift,
            depth or max(1, round(GROUP_VOXELS / max(1, plane))),
        )
        self._file, self._threads, self._next = file, threads, 0
        text = json.dumps(vars(self.description)).encode()
        head = HEAD.pack(MAGIC, VERSION, 0, len(text)) + text
        file.write(head + CHECK.pack(xxh3_64_intdigest(head)))

    def write(self, labels: Labels) -> None:
        """Write the next group: exactly the slices that it holds, [z, y, x] in the dtype."""
        z0, z1 = self.description.groups[self._next]
        volume = as_volume(labels)
        if volume.shape != (z1 - z0, *self.description.grid[1:]):
            raise EncodeError(f"group {self._next} holds slices {z0} to {z1 - 1}, not these")
        hashes = SliceHashes(volume)
        shifted = volume
        if self.description.shift:
            shifted = volume + np.uint64(self.description.shift)
        stream = self._encoding.encode_volume(shifted, self._threads, hashes.add)
        if len(stream) > _stream_limit(volume.shape):
            raise EncodeError(f"{self.description.encoding}: {len(stream)} bytes are too many")
        body = self._compressor.compress(stream)
        sizes = len(stream), len(body)
        head = GROUP.pack(MARK, self._next, *sizes, xxh3_64_intdigest(body), hashes.digest())
        self._file.write(head + CHECK.pack(xxh3_64_intdigest(head)))
        self._file.write(body)
        self._next += 1

    @property
    def pending(self) -> tuple[int, int] | None:
        """The slices that the next group holds; None where the frame is complete."""
        groups = self.description.groups
        return groups[self._next] if self._next < len(groups) else None


class Reader:
    """Reads a frame from a file that can seek; nothing is decoded before it is asked for.

    Parameters
    ----------
    file : binary file

    Raises
    ------
    DecodeError
        Where the head is damaged, or of another version, or makes no sense.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0, io.SEEK_END)
        self._size = file.tell()
        self._version, self.description, self._start = self._read_head()
        self._groups: dict[int, tuple[int, int, int, int, int]] = {}  # those found so far
        self._walked = self._start

    def read(self, z0: int = 0, z1: int | None = None, threads: int = 1) -> Labels:
        """Slices z0..z1-1, [z, y, x] in the array's dtype; decodes only the groups they are in.

        Raises DecodeError, which names the slices that are damaged.
        """
        depth = self.description.grid[0]
        z0, z1, _ = slice(z0, z1).indices(depth)
        out = np.empty((max(0, z1 - z0), *self.description.grid[1:]), self._native)
        for number, (start, stop) in enumerate(self.description.groups):
            low, high = max(start, z0), min(stop, z1)
            if low >= high:
                continue
            here = out[low - z0 : high - z0]
            if (low, high) == (start, stop):
                self._group_into(number, here, threads)
            else:
                here[...] = self.group(number, threads)[low - start : high - start]
        return out.astype(self._dtype, copy=False)

    def group(self, number: int, threads: int = 1) -> Labels:
        """Decode one group; raises DecodeError, which names its slices."""
        z0, z1 = self.description.groups[number]
        out = np.empty((z1 - z0, *self.description.grid[1:]), self._native)
        self._group_into(number, out, threads)
        return out.astype(self._dtype, copy=False)

    def damage(self, threads: int = 1) -> Iterator[Damage]:
        """Decode everything and tell which slices cannot be read."""
        for number, (z0, z1) in enumerate(self.description.groups):
            try:
                self.group(number, threads)
            except DecodeError as error:
                yield Damage(z0, z1, str(error))
        try:
            self.check_end()
        except DecodeError as error:
            yield Damage(0, 0, str(error))

    def check_end(self) -> None:
        """Raise DecodeError where bytes follow the last group."""
        rest = self._size - self._end()
        if rest:
            raise DecodeError(f"frame: {rest} bytes follow its end")

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(self.description.dtype)

    @property
    def _native(self) -> np.dtype[Any]:
        return self._dtype.newbyteorder("=")

    def _group_into(self, number: int, out: Labels, threads: int) -> None:
        z0, z1 = self.description.groups[number]
        try:
            self._decode(number, out, threads)
        except DecodeError as error:
            raise DecodeError(f"frame: slices {z0} to {z1 - 1} are damaged: {error}") from None

    def _decode(self, number: int, out: Labels, threads: int) -> None:
        found = self._find(number)
        if found is None:
            raise DecodeError("its head is missing or damaged")
        at, stream_bytes, body_bytes, body_hash, labels_hash = found
        if body_bytes > self._size - at or stream_bytes > _stream_limit(out.shape):
            raise DecodeError("its lengths do not fit")
        body = self._at(at, body_bytes)
        if xxh3_64_intdigest(body) != body_hash:
            raise DecodeError("the hash of the compressed labels does not match")
        compressor = compressors.parse(self.description.compression)
        stream = compressor.decompress(body, limit=stream_bytes)
        volume = as_volume(out)
        shift = self.description.shift
        hashes = SliceHashes(volume, shift)
        encoding = encodings.parse(self.description.encoding)
        watch = hashes.add if self._version > 1 else unwatched
        encoding.decode_into(stream, volume, threads, watch)
        digest = hashes.digest() if self._version > 1 else 0  # of the labels as they are shifted
        if shift:
            volume -= np.uint64(shift)
        if self._version == 1:
            digest = _hash_labels(volume)
        if digest != labels_hash:
            raise DecodeError("the hash of the labels does not match")
        if out.dtype == bool and volume.max(initial=0) > 1:
            raise DecodeError("a label is neither true nor false")

    def _find(self, number: int) -> tuple[int, int, int, int, int] | None:
        """Where a group's body is, and what its head says; None where its head is not found.

        Heads are walked from one to the next, once; behind a damaged one the next is searched for.
        """
        while number not in self._groups and self._walked < self._size:
            head = self._group_head(self._walked)
            if head is None:
                self._walked = self._search(self._walked + 1)
                continue
            body = self._walked + GROUP.size + CHECK.size
            self._groups.setdefault(head[0], (body, *head[1:]))
            self._walked = body + head[2]
        return self._groups.get(number)

    def _group_head(self, at: int) -> tuple[int, int, int, int, int] | None:
        data = self._at(at, GROUP.size + CHECK.size)
        if len(data) < GROUP.size + CHECK.size:
            return None
        mark, *head = GROUP.unpack_from(data)
        (check,) = CHECK.unpack_from(data, GROUP.size)
        if mark != MARK or check != xxh3_64_intdigest(data[: GROUP.size]):
            return None
        number, stream_bytes, body_bytes, body_hash, labels_hash = head
        return number, stream_bytes, body_bytes, body_hash, labels_hash

    def _search(self, at: int) -> int:
        """Where the next mark is, or the file's end."""
        step = 1 << 20
        while at < self._size:
            found = self._at(at, step + len(MARK)).find(MARK)
            if found >= 0:
                return at + found
            at += step
        return self._size

    def _end(self) -> int:
        """Where the last group ends, as far as it is found."""
        groups = self.description.groups
        if not groups:
            return self._start
        found = self._find(len(groups) - 1)
        return self._size if found is None else found[0] + found[2]

    def _at(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def _read_head(self) -> tuple[int, Description, int]:
        """The version, the description, and where the first group begins."""
        data = self._at(0, HEAD.size)
        if len(data) < HEAD.size or not data.startswith(MAGIC):
            raise DecodeError(
                "these bytes are no compresso frame; a bare stream needs its codec's own "
                "decompress, such as COMPRESSO.decompress"
            )
        _, version, zero, length = HEAD.unpack(data)
        if not 1 <= version <= VERSION or zero or length > DESCRIPTION_LIMIT:
            raise DecodeError(f"frame: version {version} is not known to this release")
        data = self._at(0, HEAD.size + length + CHECK.size)
        end = HEAD.size + length
        if len(data) < end + CHECK.size:
            raise DecodeError("frame: it ends inside its head")
        if CHECK.unpack_from(data, end)[0] != xxh3_64_intdigest(data[:end]):
            raise DecodeError("frame: the hash of its head does not match")
        try:
            fields = json.loads(data[HEAD.size : end])
            description = Description(**fields | {"shape": tuple(fields["shape"])})
            _check(description)
        except NONSENSE as error:
            raise DecodeError(f"frame: its description makes no sense ({error})") from None
        n_groups = -(-description.grid[0] // description.depth)
        if description.nbytes and n_groups * GROUP.size > self._size:
            raise DecodeError(f"frame: {self._size} bytes cannot hold its {n_groups} groups")
        return version, description, end + CHECK.size


def _check(description: Description) -> None:
    """Raise ValueError for a description that no writer makes."""
    dtype = np.dtype(description.dtype)
    sizes = (*description.shape, description.depth, description.shift)
    if dtype.kind not in "uib" or not 1 <= len(description.shape) <= 3:
        raise ValueError(f"{dtype} of shape {description.shape}")
    if not all(type(n) is int and 0 <= n < 1 << 64 for n in sizes) or description.depth < 1:
        raise ValueError(f"sizes {sizes}")
    if math.prod(max(n, 1) for n in description.shape) * dtype.itemsize >= 1 << 62:
        raise ValueError(f"shape {description.shape}")
    if description.shift and dtype.itemsize < 8:
        raise ValueError(f"shift {description.shift}")
    encodings.parse(description.encoding)
    compressors.parse(description.compression)


def _hash_labels(labels: Labels) -> int:
    """The hash of labels, little-endian and in C order: a slice's, or in version 1 a group's."""
    little = np.ascontiguousarray(labels, labels.dtype.newbyteorder("<"))
    return xxh3_64_intdigest(little.reshape(-1).view(np.uint8).data)


def _stream_limit(shape: tuple[int, ...]) -> int:
    """The longest stream of a group that is written, or read: more than any encoding needs."""
    return (1 << 20) + 8192 * shape[0] + 64 * math.prod(shape)


def compress(
    array: Labels,
    encoding: str = "compresso",
    compression: str = "lzma",
    threads: int = 1,
    depth: int | None = None,
) -> bytes:
    """Compress a label array to a frame of bytes that :func:`decompress` restores exactly.

    Parameters
    ----------
    array : 1-, 2- or 3-D array of unsigned, signed or bool, at most 64 bits
        Any memory layout and byte order.
    encoding, compression : str
        Spec strings, such as ``compresso:window=4x4x1`` and ``zstd:level=19``.
    threads : int
        For the encoding.
    depth : int, optional
        Slices that are encoded and checked together; about 32 million voxels by default.

    Raises
    ------
    SpecError
        For an unknown codec or parameter.
    EncodeError
        Where the encoding cannot hold the array.
    """
    array = np.asarray(array)
    volume = as_volume(array)
    file = io.BytesIO()
    shift = shift_of(array.dtype, [array])
    writer = Writer(file, array.shape, array.dtype, encoding, compression, threads, depth, shift)
    while writer.pending:
        z0, z1 = writer.pending
        writer.write(volume[z0:z1])
    return file.getvalue()


def decompress(data: Buffer, threads: int = 1, limit: int = LIMIT) -> Labels:
    """Restore the array of a frame, with its dtype and shape.

    Parameters
    ----------
    data : bytes-like
    threads : int
        For the encoding.
    limit : int
        Refuse a frame whose labels are more bytes than this, 16 GiB unless told otherwise.

    Raises
    ------
    DecodeError
        For anything but a whole and undamaged frame.
    """
    reader = Reader(io.BytesIO(data))
    description = reader.description
    if description.nbytes > limit:
        raise DecodeError(
            f"frame: its labels are {description.nbytes} bytes, more than the limit of {limit}; "
            "raise the limit if that is right"
        )
    volume = reader.read(threads=threads)
    reader.check_end()
    return volume.reshape(description.shape)


def shift_of(dtype: np.dtype[Any], parts: Iterable[Labels]) -> int:
    """What to add, modulo 2**64, to keep negative 64-bit labels clear of the encodings' limits.

    ``parts`` of the array are looked at only where the dtype needs it.
    """
    if dtype.kind != "i" or dtype.itemsize < 8:
        return 0
    return max(0, -min((int(part.min(initial=0)) for part in parts), default=0))
