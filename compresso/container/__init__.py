"""The compressed file: a checked, self-describing container (docs/formats.md, section 6).

A volume is cut into groups of slices, and each group is encoded, compressed and hashed on its own.
Damage is therefore located, other groups stay readable, slices can be read without the rest, each
thread has its own group, and memory holds one group per thread and the next.

``layout`` packs and unpacks the bytes, ``writer`` and ``reader`` process the groups, ``array``
indexes a file like an array, and ``chunk`` is the container of a Zarr chunk.
"""

import io
from typing import Any

from compresso.arrays import LIMIT, Labels, as_volume, unmasked
from compresso.codec import DEFAULT_ENCODING, Buffer
from compresso.container.array import CompressedArray, open
from compresso.container.description import METADATA_LIMIT, depth_within, describe
from compresso.container.group import Method, shift_of
from compresso.container.layout import MAGIC
from compresso.container.reader import Damage, Reader
from compresso.container.writer import write

__all__ = [
    "MAGIC",
    "METADATA_LIMIT",
    "CompressedArray",
    "Damage",
    "Method",
    "Reader",
    "depth_within",
    "describe",
    "dumps",
    "loads",
    "open",
    "shift_of",
    "write",
]


def dumps(
    labels: Labels,
    encoding: str = DEFAULT_ENCODING,
    compression: str | None = None,
    threads: int = 1,
    depth: int | None = None,
    metadata: dict[str, Any] | None = None,
) -> bytes:
    """Compress a label array to bytes that :func:`loads` restores exactly.

    Parameters
    ----------
    labels : array of unsigned, signed or bool, at most 64 bits
        Any memory layout and byte order. If there are more than three axes, those of length one
        are dropped (:func:`compresso.arrays.space_axes`).
    encoding, compression : str
        Codec strings, such as ``compresso:window=4x4x1`` and ``zstd:level=19``. The compression is
        by default zstd, or none after ristretto.
    threads : int
        Groups that are encoded at once; if there are fewer groups, each uses several threads.
        0: all cores. The bytes do not depend on it.
    depth : int, optional
        Slices that are encoded and checked together; about 16 million voxels by default.
    metadata : dict, optional
        Any JSON object to store with the labels, at most 4 MiB.

    Returns
    -------
    bytes
        Always the same for the same labels and parameters.

    Raises
    ------
    SpecError
        For an unknown codec or parameter.
    EncodeError
        If the encoding cannot hold the array, or the depth or the metadata are invalid.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((16, 64, 64), np.uint64)
    >>> labels[4:9, 10:50, 20:40] = 7
    >>> data = dumps(labels, encoding="compresso", compression="zstd")
    >>> len(data) < labels.nbytes / 100
    True
    """
    array = unmasked(labels)
    volume = as_volume(array)
    shift = shift_of(array.dtype, [array])
    shape = array.shape if array.ndim <= 3 else volume.shape
    description = describe(shape, array.dtype, encoding, compression, depth, shift, metadata)
    file = io.BytesIO()
    write(file, description, lambda z0, z1: volume[z0:z1], threads)
    return file.getvalue()


def loads(data: Buffer, threads: int = 1, limit: int = LIMIT) -> Labels:
    """Restore the array that :func:`dumps` compressed, with its dtype and shape.

    Parameters
    ----------
    data : bytes-like
    threads : int
        Groups that are decoded at once, as in :func:`dumps`. 0: all cores.
    limit : int
        Refuse to make more bytes of labels than this; 16 GB by default.

    Raises
    ------
    DecodeError
        If the bytes are not a whole, undamaged compressed file.

    Examples
    --------
    >>> import numpy as np
    >>> loads(dumps(np.array([[3, 3, 5], [3, 5, 5]], np.int16), "none", "zlib"))
    array([[3, 3, 5],
           [3, 5, 5]], dtype=int16)
    """
    reader = Reader(io.BytesIO(data), limit=limit)
    volume = reader.read(threads=threads)
    reader.check_end()
    return volume.reshape(reader.description.shape)
