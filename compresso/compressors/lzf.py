"""LZF, from the package imagecodecs."""

from dataclasses import dataclass

from compresso.codec import Buffer
from compresso.compressors._block import BlockCompressor


@dataclass(frozen=True)
class Lzf(BlockCompressor):
    """LibLZF, which is fast and has no levels."""

    name = "lzf"
    packages = {"imagecodecs": "imagecodecs"}

    def pack(self, data: memoryview) -> Buffer | None:
        imagecodecs = self.require("imagecodecs")
        try:
            packed: bytes = imagecodecs.lzf_encode(data)
        except imagecodecs.LzfError:  # the library's way to say that it would not shrink
            return None
        return packed

    def unpack(self, data: memoryview, size: int) -> Buffer:
        block: bytes = self.require("imagecodecs").lzf_decode(data, out=size)
        return block
