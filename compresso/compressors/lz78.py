"""LZ78, our own: the textbook version that the paper measured."""

from dataclasses import dataclass

from compresso.compressors._dictionary import Coder, DictionaryCompressor


@dataclass(frozen=True)
class Lz78(DictionaryCompressor):
    """Ziv and Lempel 1978: each code is a known phrase and the byte that follows it."""

    name = "lz78"

    def coder(self) -> Coder:
        """The kernels."""
        from compresso.kernels import dictionary

        return dictionary.encode_lz78, dictionary.decode_lz78
