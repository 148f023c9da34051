"""LZ78, our own: the textbook version that the paper measured."""

from dataclasses import dataclass

import numpy as np

from compresso.codec import Buffer
from compresso.compressors._block import BlockCompressor
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Lz78(BlockCompressor):
    """Ziv and Lempel 1978: each code is a phrase seen before and the byte that follows it.

    The dictionary is unbounded, and codes are integers of one width, 32 bits, or 64 where the
    dictionary outgrows them (docs/formats.md, section 4).
    """

    name = "lz78"

    def pack(self, data: memoryview) -> Buffer | None:
        """Pack a block."""
        from compresso.kernels import dictionary

        codes = dictionary.encode_lz78(np.frombuffer(data, np.uint8))
        return dictionary.narrow(codes).tobytes()

    def unpack(self, data: memoryview, size: int) -> Buffer:
        """Restore a block of ``size`` bytes."""
        from compresso.kernels import dictionary

        block = np.empty(size, np.uint8)
        if not dictionary.decode_lz78(dictionary.widen(data), block):
            raise DecodeError("lz78: a code contradicts the dictionary")
        return block.data
