"""Brotli, from the package brotli."""

from collections.abc import Iterator
from dataclasses import dataclass

from compresso.codec import Buffer, Compressor
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Brotli(Compressor):
    """Brotli.

    Parameters
    ----------
    quality : int
        0 (fastest) to 11 (smallest). Default 11, the library's.
    """

    name = "brotli"
    packages = {"brotli": "brotli"}
    limits = {"quality": (0, 11)}
    quality: int = 11

    def compress(self, data: Buffer) -> bytes:
        stream = self.require("brotli").Compressor(quality=self.quality)
        return b"".join([stream.process(memoryview(data).cast("B")), stream.finish()])

    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        brotli = self.require("brotli")
        stream = brotli.Decompressor()
        view = memoryview(data).cast("B")
        while not stream.is_finished():
            try:
                piece = stream.process(view, output_buffer_limit=min(piece_bytes, 1 << 62))
            except brotli.error:
                raise DecodeError("brotli: damaged data") from None
            if not piece and not stream.is_finished() and stream.can_accept_more_data():
                raise DecodeError("brotli: the data ends too early")
            view = view[len(view) :]
            yield piece
