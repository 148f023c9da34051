"""Label volumes as images: what the schemes made for pictures and films share.

Their pixels are narrower than labels, so a volume is split into planes of 8 or 16 bits, as many
as its largest label needs; nothing is rounded or cut (docs/formats.md, section 5).
"""

import struct
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
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
    #: The numbers of a pixel: their type, and how many there are.
    number: ClassVar[type[np.unsignedinteger[Any]]] = np.uint16
    channels: ClassVar[int] = 1

    @abstractmethod
    def pack(self, plane: NDArray[Any]) -> list[bytes]:
        """Pack one plane of all slices, (nz, ny, nx, channels), to any number of pieces."""

    @abstractmethod
    def unpack(self, pieces: Iterator[memoryview], shape: Shape) -> NDArray[Any]:
        """Restore one plane from as many of the pieces as it was packed to."""

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode labels plane by plane, the lowest bits first."""
        bits = max(1, int(volume.max(initial=0)).bit_length())
        n_planes = -(-bits // self._plane_bits) if volume.size else 0
        numbers = self._numbers(np.ascontiguousarray(volume, "<u8"))
        parts = [HEADER.pack(*volume.shape, n_planes)]
        for at in range(0, n_planes * self.channels, self.channels):
            own = numbers[..., at : at + self.channels]
            plane = np.zeros((*volume.shape, self.channels), self.number)
            plane[..., : own.shape[-1]] = own
            for piece in self.pack(plane):
                parts += [LENGTH.pack(len(piece)), piece]
        return b"".join(parts)

    def shape_of(self, stream: Buffer) -> Shape:
        return as_shape(self._header(stream)[:3])

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        *shape, n_planes = self._header(stream)
        most = -(-64 // self._plane_bits)
        if max(shape) >= 1 << 31 or n_planes > most or (n_planes == 0) != (out.size == 0):
            raise DecodeError(f"{self.name} stream: {n_planes} planes of shape {tuple(shape)}")
        labels = np.zeros(out.shape, "<u8")
        numbers = self._numbers(labels)
        pieces = _pieces(memoryview(stream).cast("B")[HEADER.size :], self.name)
        for at in range(0, n_planes * self.channels, self.channels):
            own = numbers[..., at : at + self.channels]
            own[...] = self._unpacked(pieces, out.shape)[..., : own.shape[-1]]
        if next(pieces, None) is not None:
            raise DecodeError(f"{self.name} stream: bytes follow its end")
        check_fits(labels, out.dtype)
        out[...] = labels

    @property
    def _plane_bits(self) -> int:
        """Bits of a label that one plane holds."""
        return self.channels * 8 * np.dtype(self.number).itemsize

    def _numbers(self, labels: NDArray[np.uint64]) -> NDArray[Any]:
        """A view of little-endian labels as the numbers of all planes, the lowest bits first."""
        number = np.dtype(self.number).newbyteorder("<")
        return labels.view(number).reshape(*labels.shape, 8 // number.itemsize)

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


def _pieces(view: memoryview, name: str) -> Iterator[memoryview]:
    while len(view):
        end = LENGTH.size + int.from_bytes(view[: LENGTH.size], "little")
        if len(view) < end:
            raise DecodeError(f"{name} stream: it ends too early")
        yield view[LENGTH.size : end]
        view = view[end:]


class StillEncoding(ImageEncoding):
    """An image format of imagecodecs of 16-bit grey levels, with one image per slice."""

    packages = {"imagecodecs": "imagecodecs"}
    decoder: ClassVar[str]  # a function of imagecodecs

    @abstractmethod
    def pack_image(self, imagecodecs: Any, image: NDArray[np.uint16]) -> Any:
        """Pack one slice without loss, to bytes."""

    def pack(self, plane: NDArray[Any]) -> list[bytes]:
        imagecodecs = self.require("imagecodecs")
        return [self.pack_image(imagecodecs, image) for image in plane[..., 0]]

    def unpack(self, pieces: Iterator[memoryview], shape: Shape) -> NDArray[Any]:
        decode = getattr(self.require("imagecodecs"), self.decoder)
        plane = np.empty(shape, np.uint16)
        for image in plane:
            piece = next(pieces, None)
            if piece is None:
                raise DecodeError(f"{self.name} stream: it ends too early")
            decode(piece, out=image)
        return plane[..., np.newaxis]


@dataclass(frozen=True)
class Png(StillEncoding):
    """PNG images, one for each slice and each 16 bits of the labels.

    Parameters
    ----------
    level : int
        Level of zlib, 0 to 9. Default 6.
    """

    name, decoder = "png", "png_decode"
    limits = {"level": (0, 9)}
    level: int = 6

    def pack_image(self, imagecodecs: Any, image: NDArray[np.uint16]) -> Any:
        room = 2 * image.nbytes + 16 * len(image) + 1024  # the library's own guess can be too small
        return imagecodecs.png_encode(image, level=self.level, out=room)


@dataclass(frozen=True)
class Jpeg2000(StillEncoding):
    """Lossless JPEG 2000 images, one for each slice and each 16 bits of the labels."""

    name, decoder = "jpeg2000", "jpeg2k_decode"

    def pack_image(self, imagecodecs: Any, image: NDArray[np.uint16]) -> Any:
        return imagecodecs.jpeg2k_encode(image, level=0, reversible=True)
