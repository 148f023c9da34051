"""Label volumes as images: what the schemes made for pictures and films share.

Their pixels are narrower than labels, so a volume is split into planes of 8 or 16 bits, as many
as its largest label needs; nothing is rounded or cut (docs/formats.md, section 5).
"""

import struct
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, Shape, as_shape, check_fits
from compresso.codec import Buffer, Encoding, Watch
from compresso.errors import DecodeError, MissingPackageError

HEADER = struct.Struct("<4Q")  # z, y, x, number of planes
LENGTH = struct.Struct("<Q")


class ImageEncoding(Encoding):
    """An encoding of planes; measured without a compressor, as in the paper."""

    alone = True
    #: Bits of a label that one plane holds, as numbers of ``plane_dtype`` in a last axis.
    plane_bits: ClassVar[int]
    plane_dtype: ClassVar[type[np.unsignedinteger]]

    @abstractmethod
    def pack(self, plane: NDArray[Any]) -> list[bytes]:
        """Pack one plane of all slices, (nz, ny, nx, channels), to any number of pieces."""

    @abstractmethod
    def unpack(self, pieces: Iterator[memoryview], shape: Shape) -> NDArray[Any]:
        """Restore one plane from as many of the pieces as it was packed to."""

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode labels plane by plane, the lowest bits first."""
        top = int(volume.max(initial=0))
        n_planes = max(1, -(-top.bit_length() // self.plane_bits)) if volume.size else 0
        parts = [HEADER.pack(*volume.shape, n_planes)]
        for number in range(n_planes):
            for piece in self.pack(self._plane(volume, number)):
                parts += [LENGTH.pack(len(piece)), piece]
        return b"".join(parts)

    def shape_of(self, stream: Buffer) -> Shape:
        """The header's shape."""
        return as_shape(self._header(stream)[:3])

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode a stream plane by plane."""
        *shape, n_planes = self._header(stream)
        most = -(-64 // self.plane_bits)
        if max(shape) >= 1 << 31 or n_planes > most or (n_planes == 0) != (out.size == 0):
            raise DecodeError(f"{self.name} stream: {n_planes} planes of shape {tuple(shape)}")
        labels = np.zeros(out.shape, np.uint64)
        pieces = _pieces(memoryview(stream).cast("B")[HEADER.size :], self.name)
        for number in range(n_planes):
            plane = self._unpacked(pieces, out.shape)
            for channel, shift in enumerate(self._shifts(number)):
                labels |= plane[..., channel].astype(np.uint64) << np.uint64(shift)
        if next(pieces, None) is not None:
            raise DecodeError(f"{self.name} stream: bytes follow its end")
        check_fits(labels, out.dtype)
        out[...] = labels

    def _header(self, stream: Buffer) -> tuple[int, ...]:
        """z, y, x, and the number of planes; raises DecodeError."""
        view = memoryview(stream).cast("B")
        if len(view) < HEADER.size:
            raise DecodeError(f"{self.name} stream: {len(view)} bytes are too few for the header")
        return HEADER.unpack_from(view)

    def _unpacked(self, pieces: Iterator[memoryview], shape: Shape) -> NDArray[Any]:
        """The next plane; raises DecodeError whatever the library raises."""
        try:
            plane = self.unpack(pieces, as_shape(shape))
        except (DecodeError, MissingPackageError, MemoryError):
            raise
        except Exception as error:
            raise DecodeError(
                f"{self.name} stream: damaged image ({type(error).__name__})"
            ) from None
        if plane.shape[:3] != shape:
            raise DecodeError(f"{self.name} stream: an image has another size than the header")
        return plane

    def _shifts(self, number: int) -> range:
        """Where the channels of a plane are in a label, in bits."""
        first = self.plane_bits * number
        return range(
            first, min(64, first + self.plane_bits), 8 * np.dtype(self.plane_dtype).itemsize
        )

    def _plane(self, volume: Labels, number: int) -> NDArray[Any]:
        channels = self.plane_bits // (8 * np.dtype(self.plane_dtype).itemsize)
        plane = np.zeros((*volume.shape, channels), self.plane_dtype)
        for channel, shift in enumerate(self._shifts(number)):
            if shift < 8 * volume.dtype.itemsize:
                # The cast drops the bits above the channel's.
                plane[..., channel] = (volume >> volume.dtype.type(shift)).astype(self.plane_dtype)
        return plane


def _pieces(view: memoryview, name: str) -> Iterator[memoryview]:
    while len(view):
        if len(view) < LENGTH.size:
            raise DecodeError(f"{name} stream: it ends too early")
        (length,) = LENGTH.unpack_from(view)
        piece, view = view[8 : 8 + length], view[8 + length :]
        if len(piece) < length:
            raise DecodeError(f"{name} stream: it ends too early")
        yield piece


class StillEncoding(ImageEncoding):
    """An image format of 16-bit grey levels, an image a slice."""

    plane_bits = 16
    plane_dtype = np.uint16

    @abstractmethod
    def pack_image(self, image: NDArray[np.uint16]) -> bytes:
        """Pack one slice without loss."""

    @abstractmethod
    def unpack_image(self, data: memoryview, out: NDArray[np.uint16]) -> None:
        """Restore one slice of a known size."""

    def pack(self, plane: NDArray[Any]) -> list[bytes]:
        """Pack the slices of a plane."""
        return [self.pack_image(image) for image in plane[..., 0]]

    def unpack(self, pieces: Iterator[memoryview], shape: Shape) -> NDArray[Any]:
        """Restore the slices of a plane."""
        plane = np.empty(shape, np.uint16)
        for image in plane:
            piece = next(pieces, None)
            if piece is None:
                raise DecodeError(f"{self.name} stream: it ends too early")
            self.unpack_image(piece, image)
        return plane[..., np.newaxis]
