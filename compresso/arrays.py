"""Any label array, seen as a volume ``[z, y, x]`` of unsigned integers."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compresso.errors import DecodeError, EncodeError

Labels = NDArray[Any]
#: Slices, rows and columns of a volume.
Shape = tuple[int, ...]

#: Bytes of labels that are decoded without an explicit limit: 16 GB.
LIMIT = 16 * 10**9


def as_volume(labels: Labels) -> Labels:
    """View an array as a 3-D one of unsigned integers, without a copy; raises EncodeError."""
    labels = unmasked(labels)
    shape = as_shape(labels.shape)
    if labels.dtype.kind not in "uib":
        raise EncodeError(
            f"labels must be integers or bool, not {labels.dtype.name}. Convert them first."
        )
    unsigned = np.dtype(f"{labels.dtype.byteorder}u{labels.dtype.itemsize}".replace("|", ""))
    return labels.view(unsigned).reshape(shape)


def unmasked(labels: Labels) -> Labels:
    """Labels as an array; raises EncodeError for a masked one, whose mask would be lost."""
    if isinstance(labels, np.ma.MaskedArray):
        raise EncodeError("labels must not be masked. Fill them first: labels.filled(0)")
    return np.asarray(labels)


def space_axes(shape: Sequence[int], others: Collection[int] = ()) -> tuple[int, ...]:
    """Choose the axes of an array that are slices, rows and columns.

    This is the only rule for arrays that do not have three axes. While there are more, an axis of
    length one is dropped: the last one, which is often a channel, or else the first such axis.
    ``others`` are known to be something else, such as time, and are dropped first. Raises
    EncodeError if a longer axis would have to be dropped, or if there are no axes.
    """
    axes = [axis for axis in range(len(shape)) if axis not in others]
    while len(axes) > 3 and (short := [axis for axis in (axes[-1], *axes) if shape[axis] == 1]):
        axes.remove(short[0])
    extra = sorted(axes, key=lambda axis: shape[axis])[: max(0, len(axes) - 3)]
    extra += [axis for axis in others if shape[axis] != 1]
    if extra:
        index = ", ".join("0" if axis in extra else ":" for axis in range(len(shape)))
        raise EncodeError(
            f"shape {tuple(shape)} is not that of one volume. Choose a part: labels[{index}]"
        )
    if not axes:
        raise EncodeError("a single number is not a volume. Make it an array of one axis or more.")
    return tuple(axes)


def as_shape(shape: Sequence[int], others: Collection[int] = ()) -> Shape:
    """Return the shape [z, y, x] of an array's :func:`space_axes`; a single one becomes a row."""
    kept = tuple(shape[axis] for axis in space_axes(shape, others))
    return (1,) * (3 - len(kept)) + kept


def label_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The dtype of decoded labels, in native byte order; raises DecodeError if not of integers."""
    found = np.dtype(dtype)
    if found.kind not in "ui":
        raise DecodeError(
            f"labels are integers, not {found.name}. Decode them to an integer dtype."
        )
    return found.newbyteorder("=")


def native_slices(volume: Labels, z0: int, z1: int) -> Labels:
    """Slices z0..z1-1 in C order and native byte order; a view if possible."""
    return frozen(np.ascontiguousarray(volume[z0:z1], dtype=volume.dtype.newbyteorder("=")))


def frozen(array: Labels) -> Labels:
    """Return a read-only view.

    Numba compiles a kernel once per argument type, so kernels get only read-only arrays.
    """
    view = array.view()
    view.flags.writeable = False
    return view


def little_endian(section: Labels) -> memoryview:
    """The bytes of an array, little-endian and in C order; a view if possible."""
    packed = np.ascontiguousarray(section, section.dtype.newbyteorder("<"))
    return packed.reshape(-1).view(np.uint8).data


def native_endian(section: Labels) -> Labels:
    """Numbers in native byte order, read-only."""
    return frozen(section.astype(section.dtype.newbyteorder("="), copy=False))


def check_shape(found: Shape, expected: Sequence[int] | None) -> None:
    """Raise DecodeError if a stream claims another shape than expected, or more than ``LIMIT``."""
    if expected is None:
        if 8 * math.prod(max(n, 1) for n in found) > LIMIT:
            raise DecodeError(
                f"the stream claims a volume of shape {found}, more than {LIMIT} bytes. "
                "If that is right, pass its shape to decode it."
            )
    elif found != as_shape(expected):
        raise DecodeError(f"the stream holds a volume of shape {found}, not {as_shape(expected)}")


def check_fits(labels: Labels, dtype: DTypeLike) -> None:
    """Check that decoded uint64 labels fit ``dtype``; raises DecodeError."""
    limit = np.iinfo(label_dtype(dtype)).max
    if labels.size and int(labels.max()) > limit:
        raise DecodeError(
            f"label {int(labels.max())} does not fit {np.dtype(dtype).name}. Use uint64."
        )


class SliceError(IndexError, ValueError):
    """An index or a range of slices is outside the volume."""


def split_index(key: Any, shape: Sequence[int]) -> list[Any]:
    """Split an array's index into a slice, or an integer from 0 on, per axis; raises IndexError."""
    keys = list(key) if isinstance(key, tuple) else [key]
    gaps = [i for i, k in enumerate(keys) if k is ...]
    if len(gaps) > 1 or len(keys) - len(gaps) > len(shape):
        raise IndexError(f"too many indices: {len(keys) - len(gaps)} for {len(shape)} dimensions")
    gap = gaps[0] if gaps else len(keys)
    keys[gap : gap + 1] = [slice(None)] * (len(shape) - len(keys) + len(gaps))
    for axis, (k, size) in enumerate(zip(keys, shape, strict=True)):
        if isinstance(k, slice):
            continue
        if isinstance(k, bool) or not isinstance(k, int | np.integer):
            what = f"an array of {k.dtype}" if isinstance(k, np.ndarray) else repr(k)
            raise IndexError(
                f"indices must be integers, slices and ..., not {what}; "
                "for other indices use numpy.asarray of the array, or of a part"
            )
        if not -size <= k < size:
            raise SliceError(f"index {k} is out of bounds for axis {axis} with size {size}")
        keys[axis] = int(k) % size
    return keys


def array_protocol(
    decode: Callable[[], Labels], dtype: DTypeLike | None, copy: bool | None
) -> Labels:
    """Return what ``__array__`` of compressed labels does; raises ValueError without a copy."""
    if copy is False:
        raise ValueError("compressed labels cannot be used without a copy. Leave out copy=False.")
    labels = decode()
    return labels if dtype is None else labels.astype(dtype, copy=False)
