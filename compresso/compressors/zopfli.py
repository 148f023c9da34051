"""Zopfli, from the package imagecodecs."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from compresso.codec import Buffer, Compressor
from compresso.compressors._stream import restore


@dataclass(frozen=True)
class Zopfli(Compressor):
    """The smallest DEFLATE in a zlib container, at a hundredth of the speed of zlib."""

    name = "zopfli"
    packages = {"imagecodecs": "imagecodecs"}

    def compress(self, data: Buffer) -> bytes:
        packed: bytes = self.require("imagecodecs").zopfli_encode(data)
        return packed

    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        return restore(self.name, zlib.decompressobj(), (zlib.error,), data, piece_bytes)
