"""The self-describing container: what it takes to get the very array back from bytes alone."""

import json
import struct
import zlib
from typing import Any

import numpy as np

from compresso import compressors, encodings
from compresso.codec import Buffer, Labels
from compresso.errors import DecodeError
from compresso.volume import as_volume

MAGIC = b"CPSOFRM\0"
VERSION = 0
HEAD = struct.Struct("<8sHHI")  # magic, version, unused, bytes of the description


def compress(
    array: Labels, encoding: str = "compresso", compression: str = "lzma", threads: int = 1
) -> bytes:
    """Compress a label array to a frame of bytes that :func:`decompress` restores exactly.

    Parameters
    ----------
    array : 1-, 2- or 3-D array of unsigned, signed or bool, at most 64 bits
        Any memory layout and byte order.
    encoding, compression : str
        Spec strings, such as ``compresso:window=4x4x1`` and ``zstd:level=19``.
    threads : int
        For the encoding.

    Raises
    ------
    SpecError
        For an unknown codec or parameter.
    EncodeError
        Where the encoding cannot hold the array.
    """
    first, second = encodings.parse(encoding), compressors.parse(compression)
    array = np.asarray(array)
    volume = as_volume(array)
    shift = _shift(array)
    if shift:
        volume = volume + np.uint64(shift)
    description = {
        "encoding": first.spec,
        "compression": second.spec,
        "dtype": array.dtype.str,
        "shape": array.shape,
        "shift": shift,
    }
    text = json.dumps(description).encode()
    body = second.compress(first.encode(volume, threads))
    head = HEAD.pack(MAGIC, VERSION, 0, len(text)) + text
    checks = struct.pack("<II", zlib.crc32(head), zlib.crc32(body))
    return b"".join([head, checks, body])


def decompress(data: Buffer, threads: int = 1) -> Labels:
    """Restore the array of a frame, with its dtype and shape; raises DecodeError."""
    view = memoryview(data).cast("B")
    description, start = _read_head(view)
    body = view[start:]
    if zlib.crc32(body) != struct.unpack_from("<I", view, start - 4)[0]:
        raise DecodeError("frame: the checksum of the compressed labels does not match")
    try:
        dtype = np.dtype(description["dtype"])
        shape = tuple(description["shape"])
        first = encodings.parse(description["encoding"])
        second = compressors.parse(description["compression"])
        shift = np.uint64(description["shift"])
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError(f"frame: its description is not understood ({error})") from None
    unsigned = np.dtype(f"u{dtype.itemsize}")
    grid = (1,) * (3 - len(shape)) + shape
    try:
        volume = first.decode(second.decompress(body), grid, unsigned, threads)
    except DecodeError as error:
        raise DecodeError(f"frame: {error}") from None
    if shift:
        volume -= shift
    labels: Labels = volume.reshape(shape).view(dtype.newbyteorder("="))
    return labels.astype(dtype, copy=False)


def _shift(array: Labels) -> int:
    """What to add, modulo 2**64, to keep negative 64-bit labels clear of the encodings' limits."""
    if array.dtype.kind != "i" or array.dtype.itemsize < 8 or array.size == 0:
        return 0
    return max(0, -int(array.min()))


def _read_head(view: memoryview) -> tuple[dict[str, Any], int]:
    """The description of a frame and where its body starts."""
    if len(view) < HEAD.size or view[:8] != MAGIC:
        raise DecodeError(
            "these bytes are no compresso frame; bare streams need their codec's own "
            "decompress, such as COMPRESSO.decompress"
        )
    _, version, _, length = HEAD.unpack_from(view)
    if version != VERSION:
        raise DecodeError(f"frame: version {version} is not known to this release")
    start = HEAD.size + length
    if len(view) < start + 8:
        raise DecodeError(f"frame: {len(view)} bytes are too few for its head of {start + 8}")
    if zlib.crc32(view[:start]) != struct.unpack_from("<I", view, start)[0]:
        raise DecodeError("frame: the checksum of its head does not match")
    description: dict[str, Any] = json.loads(bytes(view[HEAD.size : start]))
    return description, start + 8
