"""bzip2, from the standard library."""

import bz2
from dataclasses import dataclass
from typing import Any

from compresso.compressors._stream import StreamCompressor


@dataclass(frozen=True)
class Bz2(StreamCompressor):
    """Burrows-Wheeler compression (bzip2).

    Parameters
    ----------
    level : int
        Block size in 100 kB, 1 to 9. Default 9, as in the paper.
    """

    name = "bz2"
    limits = {"level": (1, 9)}
    level: int = 9

    def compressor(self) -> Any:
        return bz2.BZ2Compressor(self.level)

    def decompressor(self) -> Any:
        return bz2.BZ2Decompressor()
