"""LZF, from the package imagecodecs."""

from dataclasses import dataclass
from typing import Any

from compresso.compressors._block import BlockCompressor


@dataclass(frozen=True)
class Lzf(BlockCompressor):
    """LibLZF, which is fast and has no levels."""

    name = "lzf"
    packages = {"imagecodecs": "imagecodecs"}

    def pack(self, data: memoryview) -> Any:
        imagecodecs = self.require("imagecodecs")
        try:
            return imagecodecs.lzf_encode(data)
        except imagecodecs.LzfError:  # the library's way to say that it would not shrink
            return None

    def unpack(self, data: memoryview, size: int) -> Any:
        return self.require("imagecodecs").lzf_decode(data, out=size)
