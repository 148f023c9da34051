"""LZ4, from the package imagecodecs."""

from dataclasses import dataclass

from compresso.codec import Buffer
from compresso.compressors._block import BlockCompressor


@dataclass(frozen=True)
class Lz4(BlockCompressor):
    """LZ4 blocks.

    Parameters
    ----------
    level : int
        1 (fastest) to 12 (smallest, LZ4-HC from 2 on). Default 1.
    """

    name = "lz4"
    packages = {"imagecodecs": "imagecodecs"}
    limits = {"level": (1, 12)}
    level: int = 1

    def pack(self, data: memoryview) -> Buffer | None:
        packed: bytes = self.require("imagecodecs").lz4_encode(data, level=self.level)
        return packed

    def unpack(self, data: memoryview, size: int) -> Buffer:
        block: bytes = self.require("imagecodecs").lz4_decode(data, out=size)
        return block
