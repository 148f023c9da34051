"""The two protocols: an encoding turns labels into bytes, a compressor bytes into fewer bytes.

Both are plug-ins (:mod:`compresso.plugins`): frozen dataclasses whose fields are their parameters,
one per file in ``encodings/`` or ``compressors/``.
"""

import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from compresso.arrays import Labels, Shape, as_shape, as_volume, check_shape, label_dtype
from compresso.errors import DecodeError, EncodeError, LabelError
from compresso.plugins import Plugin

Buffer = bytes | bytearray | memoryview
#: Called with the range z0, z1 of each block of slices, once per block, in any order and from any
#: thread. The slices are about to be read or have just been written, so reading them costs little.
#: They must not be changed.
Watch = Callable[[int, int], object]


def unwatched(z0: int, z1: int) -> None:
    """No-op callback."""


class Encoding(Plugin):
    """Turns an array of labels into a stream of bytes, and back, without loss.

    An encoding is three methods, :meth:`encode_volume`, :meth:`shape_of` and :meth:`decode_volume`;
    the others, which are for its users, follow from them.
    """

    #: True if a compressor does not help.
    alone: ClassVar[bool] = False
    #: Whether any bytes decode to a volume or raise DecodeError; another's package may crash. This
    #: is a declaration; it switches nothing on or off. Tests and measurements damage the streams of
    #: encodings that declare it.
    robust: ClassVar[bool] = True

    @abstractmethod
    def encode_volume(self, volume: Labels, threads: int = 1, watch: Watch = unwatched) -> Buffer:
        """Encode a volume as a stream without a container.

        Parameters
        ----------
        volume : (nz, ny, nx) unsigned, any layout and byte order
        threads : int
        watch : callable
            Called with the range of each block of slices before it is read, unless the encoding
            reads all at once.

        Raises
        ------
        EncodeError
            If the stream cannot hold the volume.
        """

    @abstractmethod
    def shape_of(self, stream: Buffer) -> Shape | None:
        """The shape (z, y, x) that a stream claims; None if streams do not state it.

        Raises DecodeError if the stream has no readable header.
        """

    @abstractmethod
    def decode_volume(
        self, stream: Buffer, out: Labels, threads: int = 1, watch: Watch = unwatched
    ) -> None:
        """Decode a stream.

        Parameters
        ----------
        stream : bytes-like
        out : (nz, ny, nx) unsigned, C order, native byte order, overwritten
            An array of the shape that :meth:`shape_of` returns, unless that is None.
        threads : int
        watch : callable
            May be called with the range of each finished block of slices.

        Raises
        ------
        DecodeError
            If the stream contradicts itself, or a label does not fit the dtype of ``out``.
            The contents of ``out`` are undefined then.
        """

    def encode(self, labels: Labels, threads: int = 1) -> bytes:
        """Encode a 1-, 2- or 3-D integer or bool array ``[z, y, x]``, without a container.

        Signed labels are stored as the unsigned integers of the same bits.
        Raises EncodeError if the stream cannot hold the array.
        """
        volume = as_volume(labels)
        try:
            stream = self.encode_volume(volume, threads)
        except LabelError as error:
            raise error.as_in(np.asarray(labels).dtype) from None
        return stream if isinstance(stream, bytes) else bytes(stream)

    def decode(
        self,
        stream: Buffer,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Decode a stream; raises DecodeError if it contradicts itself.

        Parameters
        ----------
        stream : bytes-like
        shape : sequence of int, optional
            The shape to expect, 1 to 3 dimensions; a stream's own is checked against it.
        dtype : integer dtype
            The dtype of the result. Streams hold unsigned labels, negative ones as large ones.
            DecodeError is raised if one does not fit, or the dtype is not an integer type.
        threads : int

        Returns
        -------
        array of ``shape``, or (nz, ny, nx) if none is given
        """
        found = self.shape_of(stream)
        if found is None:
            if shape is None:
                raise DecodeError(f"{self.name}: the stream has no shape. Pass shape=")
            found = as_shape(shape)
        check_shape(found, shape)
        out = np.empty(found, label_dtype(dtype))
        self.decode_volume(stream, out, threads)
        return out.reshape(found if shape is None else shape).astype(dtype, copy=False)

    def decode_into(
        self, stream: Buffer, out: Labels, threads: int = 1, watch: Watch = unwatched
    ) -> None:
        """Decode to an existing volume ``[z, y, x]``, whose pages need no clearing.

        Parameters
        ----------
        stream : bytes-like
        out : (nz, ny, nx) unsigned, any layout and byte order, overwritten
            Its contents are undefined if DecodeError is raised.
        threads : int
        watch : callable
            Called with the range of each finished block of slices.
        """
        found = self.shape_of(stream)
        if found is not None:
            check_shape(found, out.shape)
        if out.flags.c_contiguous and out.dtype.isnative:
            self.decode_volume(stream, out, threads, watch)
        else:
            plain = np.empty(out.shape, out.dtype.newbyteorder("="))
            self.decode_volume(stream, plain, threads)
            out[...] = plain

    def decode_slices(
        self,
        stream: Buffer,
        z0: int,
        z1: int,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Decode slices z0..z1-1 (clipped as Python clips) of a stream, (n, ny, nx).

        An encoding whose streams can be entered anywhere decodes no more than it must.
        """
        volume = self.decode(stream, None if shape is None else as_shape(shape), dtype, threads)
        return volume[z0:z1]

    def __call__(self, labels: Labels, compress: bool = False) -> bytes:
        """Encode, as the published program's README has it: ``COMPRESSO(array, compress=False)``.

        Raises EncodeError for ``compress=True``, because the caller chooses the compressor.
        """
        if compress:
            raise EncodeError(
                f"{self.name}: the caller chooses the compressor, e.g. "
                f"LZMA.compress({self.name.upper()}(labels))"
            )
        return self.encode(labels)

    def compress(self, labels: Labels) -> bytes:
        """Encode, by the name that the published program gave it."""
        return self.encode(labels)

    def decompress(self, stream: Buffer) -> Labels:
        """Decode to uint64, by the name that the published program gave it."""
        return self.decode(stream)


class Compressor(Plugin):
    """Makes bytes smaller, and restores them."""

    @abstractmethod
    def compress(self, data: Buffer) -> Buffer:
        """Compress bytes (or any C-contiguous buffer)."""

    @abstractmethod
    def decompress_pieces(self, data: Buffer, piece_bytes: int) -> Iterator[Buffer]:
        """Restore the bytes in pieces of at most ``piece_bytes``, if the format can.

        Raises DecodeError if ``data`` is damaged, cut short or followed by other bytes.
        """

    def decompress(self, data: Buffer, limit: int | None = None) -> Buffer:
        """Restore the bytes; raises DecodeError as above, or if they exceed ``limit``."""
        pieces: list[Buffer] = []
        size = 0
        for piece in self.decompress_pieces(data, sys.maxsize if limit is None else limit + 1):
            size += memoryview(piece).nbytes
            if limit is not None and size > limit:
                raise DecodeError(
                    f"{self.name}: the data holds more than the {limit} bytes allowed"
                )
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
