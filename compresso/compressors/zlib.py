"""zlib, from the standard library."""

import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

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
    wbits: ClassVar[int] = 15  # a zlib container, for the library
    limits = {"level": (0, 9)}
    level: int = 6
    failures = (zlib.error,)

    def compressor(self) -> Any:
        return zlib.compressobj(self.level, wbits=self.wbits)

    def decompressor(self) -> Any:
        return zlib.decompressobj(wbits=self.wbits)
