"""Compressors whose libraries have incremental objects, as Python's own ``bz2`` and ``lzma``."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from compresso.codec import Buffer, Compressor
from compresso.errors import DecodeError

Failures = tuple[type[Exception], ...]


class StreamCompressor(Compressor):
    """A compressor with the incremental objects of Python's own ``bz2`` and ``lzma``."""

    #: Errors that the decompressor raises for damaged data.
    failures: ClassVar[Failures] = (OSError, ValueError, EOFError)

    @abstractmethod
    def compressor(self) -> Any:
        """Make an object with ``compress(data)`` and ``flush()``."""

    @abstractmethod
    def decompressor(self) -> Any:
        """Make an object with ``decompress(data, max_length)``, ``eof`` and ``unused_data``."""

    def compress(self, data: Buffer) -> bytes:
        stream = self.compressor()
        return b"".join([stream.compress(data), stream.flush()])

    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        return restore(self.name, self.decompressor(), self.failures, data, piece_bytes)


def restore(
    name: str, stream: Any, failures: Failures, data: Buffer, piece_bytes: int
) -> Iterator[Buffer]:
    """Feed a decompressor of the standard library; raises DecodeError in the name of a codec."""
    while not stream.eof:
        try:
            piece = stream.decompress(data, piece_bytes)
        except failures as error:
            raise DecodeError(f"{name}: damaged data ({error})") from None
        data = getattr(stream, "unconsumed_tail", b"")  # bz2 and lzma keep it themselves
        if not piece and not data and not stream.eof:
            raise DecodeError(f"{name}: the data ends too early")
        yield piece
    if stream.unused_data:
        raise DecodeError(f"{name}: {len(stream.unused_data)} bytes follow the data's end")
