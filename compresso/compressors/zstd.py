"""Zstandard, from the package zstandard."""

from collections.abc import Iterator
from dataclasses import dataclass

from compresso.codec import Buffer, Compressor
from compresso.errors import DecodeError


@dataclass(frozen=True)
class Zstd(Compressor):
    """Zstandard.

    Parameters
    ----------
    level : int
        -7 (fastest) to 22 (smallest). Default 3, as in the paper.
    """

    name = "zstd"
    packages = {"zstandard": "zstandard"}
    limits = {"level": (-7, 22)}
    level: int = 3

    def compress(self, data: Buffer) -> bytes:
        """Compress bytes as one frame that states its size."""
        zstandard = self.require("zstandard")
        compressed: bytes = zstandard.ZstdCompressor(level=self.level).compress(data)
        return compressed

    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        """Restore the bytes, at once if the frame states a size of at most ``piece_bytes``."""
        zstandard = self.require("zstandard")
        try:
            size = zstandard.frame_content_size(data)
            if 0 <= size <= piece_bytes:
                yield zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
                return
            stream = zstandard.ZstdDecompressor().decompressobj()
            step = 1 << 12  # compressed bytes at a time: they make 128 MiB at the very most
            view = memoryview(data).cast("B")
            for at in range(0, len(view), step):
                piece = stream.decompress(view[at : at + step])
                if piece:
                    yield piece
        except zstandard.ZstdError as error:
            raise DecodeError(f"zstd: damaged data ({error})") from None
        if not stream.eof:
            raise DecodeError("zstd: the data ends too early")
        if stream.unused_data:
            raise DecodeError(f"zstd: {len(stream.unused_data)} bytes follow the data's end")
