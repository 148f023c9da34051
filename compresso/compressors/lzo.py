"""LZO, from the package lzallright."""

from dataclasses import dataclass

from compresso.codec import Buffer
from compresso.compressors._block import BlockCompressor


@dataclass(frozen=True)
class Lzo(BlockCompressor):
    """LZO1X, which is fast and has no levels."""

    name = "lzo"
    packages = {"lzallright": "lzallright"}

    def pack(self, data: memoryview) -> Buffer | None:
        packed: bytes = self.require("lzallright").LZOCompressor().compress(data)
        return packed

    def unpack(self, data: memoryview, size: int) -> Buffer:
        block: bytes = self.require("lzallright").LZOCompressor().decompress(data, size)
        return block
