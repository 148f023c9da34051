"""LZMA, from the standard library."""

import lzma
from dataclasses import dataclass
from typing import Any

from compresso.compressors._stream import StreamCompressor


@dataclass(frozen=True)
class Lzma(StreamCompressor):
    """LZMA2 in an .xz container with a CRC64.

    Parameters
    ----------
    preset : int
        0 (fastest) to 9 (smallest, 674 MiB of memory). Default 6, as in the paper.
    """

    name = "lzma"
    limits = {"preset": (0, 9)}
    preset: int = 6
    failures = (lzma.LZMAError,)

    def compressor(self) -> Any:
        return lzma.LZMACompressor(preset=self.preset)

    def decompressor(self) -> Any:
        return lzma.LZMADecompressor()
