"""Compressors whose libraries pack whole buffers and do not record how long they were."""

import struct
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from compresso.codec import Buffer, Compressor
from compresso.errors import DecodeError, MissingPackageError


class BlockCompressor(Compressor):
    """Data cut into blocks (docs/formats.md, section 4).

    Each is stored as two little-endian uint64, its length and its packed length, and the packed
    bytes, or its own bytes if packing gains nothing.
    """

    block_bytes: ClassVar[int] = 1 << 30
    _lengths: ClassVar[struct.Struct] = struct.Struct("<QQ")

    @abstractmethod
    def pack(self, data: memoryview) -> Buffer | None:
        """Pack a block that is not empty; None if the library cannot make it smaller."""

    @abstractmethod
    def unpack(self, data: memoryview, size: int) -> Buffer:
        """Restore a block of ``size`` bytes; may raise whatever it likes on damaged data."""

    def compress(self, data: Buffer) -> bytes:
        view = memoryview(data).cast("B")
        parts: list[Buffer] = []
        for at in range(0, len(view), self.block_bytes):
            block = view[at : at + self.block_bytes]
            packed = self.pack(block)
            if packed is None or len(packed) >= len(block):
                packed = block
            parts += [self._lengths.pack(len(block), len(packed)), packed]
        return b"".join(parts)

    def decompress(self, data: Buffer, limit: int | None = None) -> Buffer:
        """Restore the bytes; raises DecodeError on damage, or before they exceed ``limit``."""
        size = sum(size for size, _ in self._blocks(data))
        if limit is not None and size > limit:
            raise DecodeError(f"{self.name}: the data holds more than the {limit} bytes allowed")
        return super().decompress(data)

    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        for size, packed in self._blocks(data):
            yield packed if len(packed) == size else self._unpack(packed, size)

    def _blocks(self, data: Buffer) -> Iterator[tuple[int, memoryview]]:
        """The length of each block and its packed bytes; raises DecodeError."""
        view = memoryview(data).cast("B")
        while len(view):
            if len(view) < self._lengths.size:
                raise DecodeError(f"{self.name}: the data ends too early")
            size, length = self._lengths.unpack_from(view)
            packed, view = view[16 : 16 + length], view[16 + length :]
            if len(packed) < length or not 0 < length <= size <= self.block_bytes:
                raise DecodeError(f"{self.name}: a block's length does not fit the data")
            yield size, packed

    def _unpack(self, packed: memoryview, size: int) -> Buffer:
        try:
            block = self.unpack(packed, size)
        except (MissingPackageError, MemoryError):
            raise
        except Exception as error:
            raise DecodeError(f"{self.name}: damaged data ({type(error).__name__})") from None
        if len(block) != size:
            raise DecodeError(f"{self.name}: damaged data ({len(block)} bytes, not {size})")
        return block
