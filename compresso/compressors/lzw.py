"""LZW, our own: the textbook version that the paper measured."""

from dataclasses import dataclass

import numpy as np

from compresso.codec import Buffer
from compresso.compressors._block import BlockCompressor
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Lzw(BlockCompressor):
    """Welch 1984: each code is the longest phrase seen before; the next byte makes a new one.

    The dictionary is unbounded, and codes are integers of one width, 32 bits, or 64 where the
    dictionary outgrows them (docs/formats.md, section 4).
    """

    name = "lzw"

    def pack(self, data: memoryview) -> Buffer | None:
        """Pack a block."""
        from compresso.kernels import dictionary

        codes = dictionary.encode_lzw(np.frombuffer(data, np.uint8))
        return dictionary.narrow(codes).tobytes()

    def unpack(self, data: memoryview, size: int) -> Buffer:
        """Restore a block of ``size`` bytes."""
        from compresso.kernels import dictionary

        block = np.empty(size, np.uint8)
        if not dictionary.decode_lzw(dictionary.widen(data), block):
            raise DecodeError("lzw: a code contradicts the dictionary")
        return block.data
