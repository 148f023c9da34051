"""Compressors whose libraries have incremental objects, as Python's own ``bz2`` and ``lzma``."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from compresso.codec import Buffer, Compressor
from compresso.errors import DecodeError


class StreamCompressor(Compressor):
    """A compressor with the incremental objects of Python's own ``bz2`` and ``lzma``."""

    #: Errors that the decompressor raises for damaged data.
    failures: ClassVar[tuple[type[Exception], ...]] = (OSError, ValueError, EOFError)

    def compressor(self) -> Any:
        """Make an object with ``compress(data)`` and ``flush()``; or override ``compress``."""

    @abstractmethod
    def decompressor(self) -> Any:
        """Make an object with ``decompress(data, max_length)``, ``eof`` and ``unused_data``."""

    def compress(self, data: Buffer) -> bytes:
        stream = self.compressor()
        return b"".join([stream.compress(data), stream.flush()])

    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        stream = self.decompressor()
        while not stream.eof:
            try:
                piece = stream.decompress(data, piece_bytes)
            except self.failures as error:
                raise DecodeError(f"{self.name}: damaged data ({error})") from None
            data = getattr(stream, "unconsumed_tail", b"")  # bz2 and lzma keep it themselves
            if not piece and not data and not stream.eof:
                raise DecodeError(f"{self.name}: the data ends too early")
            yield piece
        if stream.unused_data:
            raise DecodeError(f"{self.name}: {len(stream.unused_data)} bytes follow the data's end")
