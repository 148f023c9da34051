"""LZ78 and LZW, our own: the textbook versions that the paper measured."""

from dataclasses import dataclass

import numpy as np

from compresso.codec import Buffer
from compresso.compressors._block import BlockCompressor
from compresso.errors import DecodeError


class DictionaryCompressor(BlockCompressor):
    """Codes of phrases in a dictionary that grows without a bound.

    Codes are integers of one width, 32 bits, or 64 if the dictionary outgrows them
    (docs/formats.md, section 4). The kernels have the compressor's name.
    """

    def pack(self, data: memoryview) -> Buffer:
        from compresso.kernels import dictionary

        encode = getattr(dictionary, f"encode_{self.name}")
        return dictionary.narrow(encode(np.frombuffer(data, np.uint8))).tobytes()

    def unpack(self, data: memoryview, size: int) -> Buffer:
        from compresso.kernels import dictionary

        block = np.empty(size, np.uint8)
        if not getattr(dictionary, f"decode_{self.name}")(dictionary.widen(data), block):
            raise DecodeError(f"{self.name}: a code contradicts the dictionary")
        return block.data


@dataclass(frozen=True)
class Lz78(DictionaryCompressor):
    """Ziv and Lempel 1978: each code is a known phrase and the byte that follows it."""

    name = "lz78"


@dataclass(frozen=True)
class Lzw(DictionaryCompressor):
    """Welch 1984: each code is the longest known phrase, and the next byte makes a new one."""

    name = "lzw"
