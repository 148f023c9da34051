"""gzip, by the standard library's zlib."""

import zlib
from dataclasses import dataclass
from typing import Any

from compresso.compressors._stream import StreamCompressor


@dataclass(frozen=True)
class Gzip(StreamCompressor):
    """DEFLATE in a gzip container with a CRC32.

    Parameters
    ----------
    level : int
        0 (stored) to 9 (smallest). Default 6.
    """

    name = "gzip"
    limits = {"level": (0, 9)}
    level: int = 6
    failures = (zlib.error,)

    def compressor(self) -> Any:
        """Make a gzip compression object."""
        return zlib.compressobj(self.level, wbits=31)

    def decompressor(self) -> Any:
        """Make a gzip decompression object."""
        return zlib.decompressobj(wbits=31)
