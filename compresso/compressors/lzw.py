"""LZW, our own: the textbook version that the paper measured."""

from dataclasses import dataclass

from compresso.compressors._dictionary import Coder, DictionaryCompressor


@dataclass(frozen=True)
class Lzw(DictionaryCompressor):
    """Welch 1984: each code is the longest known phrase, and the next byte makes a new one."""

    name = "lzw"

    def coder(self) -> Coder:
        """The kernels."""
        from compresso.kernels import dictionary

        return dictionary.encode_lzw, dictionary.decode_lzw
