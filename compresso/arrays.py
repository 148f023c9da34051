"""Any label array, seen as a volume ``[z, y, x]`` of unsigned integers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compresso.errors import DecodeError, EncodeError

Labels = NDArray[Any]
#: Slices, rows and columns of a volume.
Shape = tuple[int, int, int]

#: Bytes of labels that are made without being told that so many are expected: 16 GiB.
LIMIT = 1 << 34


def as_volume(labels: Labels) -> Labels:
    """View an array as a 3-D one of unsigned integers of the same size, without a copy.

    A 1-D array is one row, a 2-D array one slice. Raises EncodeError for anything but 1 to 3
    dimensions of bool, signed or unsigned integers.
    """
    labels = unmasked(labels)
    if not 1 <= labels.ndim <= 3:
        raise EncodeError(f"labels must have 1, 2 or 3 dimensions, not {labels.ndim}")
    if labels.dtype.kind not in "uib":
        raise EncodeError(
            f"labels must be integers or bool, not {labels.dtype}; convert them first"
        )
    unsigned = np.dtype(f"{labels.dtype.byteorder}u{labels.dtype.itemsize}".replace("|", ""))
    return labels.view(unsigned).reshape(as_shape(labels.shape))


def unmasked(labels: Labels) -> Labels:
    """Labels as an array; raises EncodeError for a masked one, whose mask would be lost."""
    if isinstance(labels, np.ma.MaskedArray):
        raise EncodeError("labels must not be masked; fill them first: labels.filled(0)")
    return np.asarray(labels)


def as_shape(shape: Sequence[int]) -> Shape:
    """The shape of :func:`as_volume` of an array of this shape."""
    z, y, x = (1,) * (3 - len(shape)) + tuple(shape)
    return z, y, x


def label_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The dtype of decoded labels, in native byte order.

    Raises DecodeError for one that is not of integers.
    """
    wanted = np.dtype(dtype)
    if wanted.kind not in "ui":
        raise DecodeError(f"labels are integers, not {wanted}; decode them to an unsigned dtype")
    return wanted.newbyteorder("=")


def block(volume: Labels, z0: int, z1: int) -> Labels:
    """Slices z0..z1-1 in C order and native byte order; a view where they are so already."""
    return frozen(np.ascontiguousarray(volume[z0:z1], dtype=volume.dtype.newbyteorder("=")))


def frozen(array: Labels) -> Labels:
    """A read-only view: kernels are compiled anew for each kind of input, and get only this one."""
    view = array.view()
    view.flags.writeable = False
    return view


def little(section: Labels) -> memoryview:
    """The bytes of an array, little-endian and in C order; a view where they are so already."""
    packed = np.ascontiguousarray(section, section.dtype.newbyteorder("<"))
    return packed.reshape(-1).view(np.uint8).data


def native(section: Labels) -> Labels:
    """Numbers of any byte order as the machine's own, read-only."""
    return frozen(section.astype(section.dtype.newbyteorder("="), copy=False))


def check_shape(found: Shape, expected: Sequence[int] | None) -> None:
    """Compare the shape a stream claims with the expected one; raises DecodeError.

    Where none is expected, the claim must stay below ``LIMIT``: nothing is allocated before.
    """
    if expected is None:
        if 8 * math.prod(max(n, 1) for n in found) > LIMIT:
            raise DecodeError(
                f"the stream claims a volume of shape {found}, more than {LIMIT} bytes; "
                "if that is right, decode it with its shape given"
            )
    elif found != as_shape(expected):
        raise DecodeError(f"the stream holds a volume of shape {found}, not {as_shape(expected)}")


def check_fits(labels: Labels, dtype: DTypeLike) -> None:
    """Check that decoded uint64 labels fit ``dtype``; raises DecodeError."""
    limit = np.iinfo(label_dtype(dtype)).max
    if labels.size and int(labels.max()) > limit:
        raise DecodeError(f"label {int(labels.max())} does not fit {np.dtype(dtype)}; use uint64")
