"""A numcodecs codec, for Zarr v2 and other users of numcodecs (docs/zarr-codec.md).

Once this package is installed, numcodecs finds it::

    numcodecs.get_codec({"id": "compresso", "encoding": "cpso", "compression": "zstd"})
"""

import math
import struct
from typing import Any, ClassVar

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray, ensure_ndarray, ndarray_copy
from numcodecs.registry import register_codec
from xxhash import xxh3_64_intdigest

from compresso.arrays import LIMIT, Labels
from compresso.codec import DEFAULT_ENCODING
from compresso.container.chunk import CHECK, ChunkCodec, ChunkFormat
from compresso.errors import DecodeError, EncodeError

#: Mark, flags, number of axes, kind and bytes of the dtype. The shape, uint64, and a hash follow.
PREFIX = struct.Struct("<4sBB1sB")
MARK = b"CPN1"
FORTRAN, BIG_ENDIAN = 1, 2  # the flags
AXES_LIMIT = 32


class CompressoCodec(Codec):  # type: ignore[misc]
    """A codec for labels; its output has hashes, and damage raises DecodeError.

    Parameters
    ----------
    encoding, compression : str
        Codec strings, such as ``"cpso"`` and ``"zstd:level=19"``. Others raise SpecError.
    """

    codec_id: ClassVar[str] = "compresso"

    def __init__(self, encoding: str = DEFAULT_ENCODING, compression: str | None = None) -> None:
        self._codec = ChunkCodec(encoding, compression)
        self.encoding, self.compression = self._codec.encoding, self._codec.compression

    def encode(self, buf: Any) -> bytes:
        """Encode an array of integers or bool, with its shape, dtype, byte and axis order.

        Bytes are encoded as uint8. Raises EncodeError.
        """
        array = buf if isinstance(buf, np.ndarray) else ensure_ndarray(buf)
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        plain = array.T if fortran else array
        kind, size = plain.dtype.kind.encode(), plain.dtype.itemsize
        if plain.ndim > AXES_LIMIT:
            raise EncodeError(f"{plain.ndim} axes are more than {AXES_LIMIT}")
        chunk = ChunkFormat(self._codec, plain.shape, plain.dtype.newbyteorder("<")).encode(plain)
        flags = (FORTRAN if fortran else 0) | (BIG_ENDIAN if plain.dtype.str[0] == ">" else 0)
        prefix = PREFIX.pack(MARK, flags, plain.ndim, kind, size)
        prefix += struct.pack(f"<{plain.ndim}Q", *plain.shape)
        return prefix + CHECK.pack(xxh3_64_intdigest(prefix)) + chunk

    def decode(self, buf: Any, out: Any = None) -> Labels:
        """Decode to an array of the encoded shape, dtype, byte and axis order.

        If ``out`` has the same shape and dtype, labels are copied by index; to any other ``out``,
        byte by byte, as numcodecs does. Raises DecodeError.
        """
        view = memoryview(ensure_contiguous_ndarray(buf)).cast("B")
        if len(view) < PREFIX.size or bytes(view[:4]) != MARK:
            raise DecodeError("not a chunk of the codec compresso (other first bytes)")
        _, flags, ndim, kind, size = PREFIX.unpack_from(view)
        start = PREFIX.size + 8 * ndim
        check = CHECK.pack(xxh3_64_intdigest(view[:start]))
        known = kind in b"uib" and size in (1, 2, 4, 8) and ndim <= AXES_LIMIT
        if view[start : start + CHECK.size] != check or flags > FORTRAN | BIG_ENDIAN or not known:
            raise DecodeError("chunk: its prefix is damaged")
        shape = struct.unpack_from(f"<{ndim}Q", view, PREFIX.size)
        dtype = np.dtype("?" if kind == b"b" else f"{kind.decode()}{size}")
        if dtype.itemsize * math.prod(max(n, 1) for n in shape) > LIMIT:
            raise DecodeError(f"chunk: the shape {shape} is more than {LIMIT} bytes")
        labels = ChunkFormat(self._codec, shape, dtype).decode(view[start + CHECK.size :])
        if flags & BIG_ENDIAN:
            labels = labels.astype(dtype.newbyteorder(">"))
        labels = labels.T if flags & FORTRAN else labels
        if isinstance(out, np.ndarray) and (out.shape, out.dtype) == (labels.shape, labels.dtype):
            np.copyto(out, labels)
            return out
        return labels if out is None else ndarray_copy(labels, out)


register_codec(CompressoCodec)
