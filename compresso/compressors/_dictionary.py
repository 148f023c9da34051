"""The textbook compressors that the paper measured: codes of phrases in a growing dictionary."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.codec import Buffer
from compresso.compressors._block import BlockCompressor
from compresso.errors import DecodeError

Codes = NDArray[Any]
Coder = tuple[Callable[[Codes], Codes], Callable[[Codes, Codes], bool]]


class DictionaryCompressor(BlockCompressor):
    """A compressor whose dictionary is unbounded.

    Codes are integers of one width, 32 bits, or 64 if the dictionary outgrows them
    (docs/formats.md, section 4).
    """

    @abstractmethod
    def coder(self) -> Coder:
        """The kernels: bytes to codes, and codes to bytes, with a flag for valid codes."""

    def pack(self, data: memoryview) -> Buffer | None:
        """Pack a block."""
        from compresso.kernels import dictionary

        encode, _ = self.coder()
        return dictionary.narrow(encode(np.frombuffer(data, np.uint8))).tobytes()

    def unpack(self, data: memoryview, size: int) -> Buffer:
        """Restore a block of ``size`` bytes."""
        from compresso.kernels import dictionary

        _, decode = self.coder()
        block = np.empty(size, np.uint8)
        if not decode(dictionary.widen(data), block):
            raise DecodeError(f"{self.name}: a code contradicts the dictionary")
        return block.data
