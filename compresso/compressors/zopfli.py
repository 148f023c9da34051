"""Zopfli, from the package imagecodecs."""

import zlib
from dataclasses import dataclass
from typing import Any

from compresso.codec import Buffer
from compresso.compressors._stream import StreamCompressor


@dataclass(frozen=True)
class Zopfli(StreamCompressor):
    """The smallest DEFLATE in a zlib container, at a hundredth of the speed of zlib."""

    name = "zopfli"
    packages = {"imagecodecs": "imagecodecs"}
    failures = (zlib.error,)

    def compress(self, data: Buffer) -> Any:
        return self.require("imagecodecs").zopfli_encode(data)

    def decompressor(self) -> Any:
        return zlib.decompressobj()
