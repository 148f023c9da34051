"""No compressor."""

from collections.abc import Iterator
from dataclasses import dataclass

from compresso.codec import Buffer, Compressor


@dataclass(frozen=True)
class NoCompressor(Compressor):
    """Bytes as they are."""

    name = "none"

    def compress(self, data: Buffer) -> Buffer:
        return data

    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        if memoryview(data).nbytes <= piece_bytes:
            yield data
            return
        view = memoryview(data).cast("B")
        for at in range(0, len(view), piece_bytes):
            yield view[at : at + piece_bytes]
