"""zlib, from the standard library."""

import zlib
from dataclasses import dataclass
from typing import Any

from compresso.compressors._stream import StreamCompressor


@dataclass(frozen=True)
class Zlib(StreamCompressor):
    """DEFLATE in a zlib container.

    Parameters
    ----------
    level : int
        0 (stored) to 9 (smallest). Default 6, as in the paper.
    """

    name = "zlib"
    limits = {"level": (0, 9)}
    level: int = 6
    failures = (zlib.error,)

    def compressor(self) -> Any:
        """Make a zlib compression object."""
        return zlib.compressobj(self.level)

    def decompressor(self) -> Any:
        """Make a zlib decompression object."""
        return zlib.decompressobj()
