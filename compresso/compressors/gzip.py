"""gzip, by the standard library's zlib."""

from dataclasses import dataclass

from compresso.compressors.zlib import Zlib


@dataclass(frozen=True)
class Gzip(Zlib):
    """DEFLATE in a gzip container with a CRC32.

    Parameters
    ----------
    level : int
        0 (stored) to 9 (smallest). Default 6.
    """

    name = "gzip"
    wbits = 31
