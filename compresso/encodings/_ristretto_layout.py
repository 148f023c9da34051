"""The head of a ``ristretto`` stream: volume, pieces and label table."""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

from compresso.arrays import Shape
from compresso.codec import Buffer
from compresso.errors import DecodeError

MAGIC = b"rist"
VERSION = 1
EFFORTS = 3  # numbers of the efforts, from 1 on
STARTS = 1  # and of the trained starts
TILE = 4096  # voxels of a piece along x and y, at most
CHECK = struct.Struct("<I")


@dataclass(frozen=True)
class Tile:
    """The voxels ``[z0:z1, y0:y1, x0:x1]`` of a volume."""

    z0: int
    z1: int
    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def voxels(self) -> int:
        """Number of voxels in the tile."""
        return (self.z1 - self.z0) * (self.y1 - self.y0) * (self.x1 - self.x0)


@dataclass(frozen=True)
class Piece:
    """A tile that is coded on its own: its labels but 0, its bytes and their checksum."""

    box: Tile
    n_labels: int
    data: Buffer
    digest: int


@dataclass(frozen=True)
class Head:
    """The head of a stream.

    ``depth`` is the slices of a slab, ``n_labels`` the distinct labels but 0, ``table`` all labels
    and those of each piece in the order in which they occur.
    """

    effort: int
    start: int
    shape: Shape
    depth: int
    n_labels: int
    table: Buffer


def cut(shape: Shape, depth: int) -> Iterator[Tile]:
    """Yield the tiles of a volume, slab after slab; none if it is empty."""
    nz, ny, nx = shape
    if nz * ny * nx == 0:
        return
    for z in range(0, nz, depth):
        for y in range(0, ny, TILE):
            for x in range(0, nx, TILE):
                z1, y1, x1 = min(z + depth, nz), min(y + TILE, ny), min(x + TILE, nx)
                yield Tile(z, z1, y, y1, x, x1)


def check(data: Buffer) -> int:
    """The 32-bit checksum."""
    return xxh3_64_intdigest(data) & 0xFFFFFFFF


def write(head: Head, pieces: Sequence[Piece]) -> bytes:
    """Put a stream together."""
    numbers = [*head.shape, head.depth, head.n_labels, memoryview(head.table).nbytes]
    parts = [MAGIC, bytes([VERSION, head.effort, head.start]), *map(_varint, numbers)]
    for piece in pieces:
        parts += [_varint(piece.n_labels), _varint(len(piece.data)), CHECK.pack(piece.digest)]
    parts.append(bytes(head.table))
    start = b"".join(parts)
    return b"".join([start, CHECK.pack(check(start)), *(piece.data for piece in pieces)])


class _Reader:
    """Reads numbers and bytes of a stream, from its first byte on."""

    def __init__(self, stream: Buffer) -> None:
        self.view = memoryview(stream).cast("B")
        self.at = 0

    def take(self, size: int) -> memoryview:
        """The next bytes."""
        taken = self.view[self.at : self.at + size]
        if len(taken) < size:
            raise DecodeError(f"ristretto stream: it is cut off after {len(self.view)} bytes")
        self.at += size
        return taken

    def number(self) -> int:
        """The next varint, below 2**63."""
        number = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise DecodeError("ristretto stream: a number of its head is too large")


def _begin(reader: _Reader) -> tuple[int, int, Shape]:
    """Effort, start and shape."""
    if bytes(reader.take(4)) != MAGIC:
        raise DecodeError("not a ristretto stream")
    version, effort, start = reader.take(3)
    if version != VERSION or not 1 <= effort <= EFFORTS or start > STARTS:
        raise DecodeError(
            f"ristretto stream of version {version}, effort {effort}, start {start} (this program "
            f"reads version {VERSION}, efforts 1 to {EFFORTS}, starts 0 to {STARTS})"
        )
    return effort, start, (reader.number(), reader.number(), reader.number())


def read_shape(stream: Buffer) -> Shape:
    """The shape that a stream claims; raises DecodeError if it is not a ristretto stream."""
    return _begin(_Reader(stream))[2]


def read(stream: Buffer) -> tuple[Head, list[Piece]]:
    """Parse a stream of known shape, but not the bytes of its pieces.

    Raises DecodeError if it is damaged.
    """
    reader = _Reader(stream)
    effort, start, shape = _begin(reader)
    depth, n_labels, table_bytes = reader.number(), reader.number(), reader.number()
    sound = depth >= 1 and n_labels <= math.prod(shape)
    numbers = []
    # A tile takes at least six bytes, so a short stream cannot claim many.
    for box in cut(shape, depth) if sound else []:
        n_own, size, packed = reader.number(), reader.number(), reader.take(CHECK.size)
        sound = sound and n_own <= min(n_labels, box.voxels)
        numbers.append((box, n_own, size, CHECK.unpack(packed)[0]))
    if not sound:
        raise DecodeError("ristretto stream: its head is inconsistent")
    table = reader.take(table_bytes)
    digest = check(reader.view[: reader.at])
    if digest != CHECK.unpack(reader.take(CHECK.size))[0]:
        raise DecodeError("ristretto stream: its head is damaged")
    pieces = [Piece(box, n, reader.take(size), digest) for box, n, size, digest in numbers]
    if reader.at < len(reader.view):
        raise DecodeError(f"ristretto stream: trailing bytes: {len(reader.view) - reader.at}")
    return Head(effort, start, shape, depth, n_labels, table), pieces


def _varint(number: int) -> bytes:
    """Seven bits per byte, the lowest first; all bytes but the last have their top bit set."""
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
