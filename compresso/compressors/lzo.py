"""LZO, from the package lzallright."""

from dataclasses import dataclass
from typing import Any

from compresso.compressors._block import BlockCompressor


@dataclass(frozen=True)
class Lzo(BlockCompressor):
    """LZO1X, which is fast and has no levels."""

    name = "lzo"
    packages = {"lzallright": "lzallright"}

    def pack(self, data: memoryview) -> Any:
        return self.require("lzallright").LZOCompressor().compress(data)

    def unpack(self, data: memoryview, size: int) -> Any:
        return self.require("lzallright").LZOCompressor().decompress(data, size)
