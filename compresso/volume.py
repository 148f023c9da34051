"""Any label array, seen as a volume ``[z, y, x]`` of unsigned integers."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike

from compresso.codec import Labels
from compresso.errors import DecodeError, EncodeError

#: Bytes of labels that are made without being told that so many are expected: 16 GiB.
LIMIT = 1 << 34

T = TypeVar("T")
R = TypeVar("R")


def as_volume(labels: Labels) -> Labels:
    """View an array as a 3-D one of unsigned integers of the same size, without a copy.

    A 1-D array is one row, a 2-D array one slice. Raises EncodeError for anything but 1 to 3
    dimensions of bool, signed or unsigned integers.
    """
    labels = np.asarray(labels)
    if not 1 <= labels.ndim <= 3:
        raise EncodeError(f"labels must have 1, 2 or 3 dimensions, not {labels.ndim}")
    if labels.dtype.kind not in "uib":
        raise EncodeError(
            f"labels must be integers or bool, not {labels.dtype}; convert them first"
        )
    unsigned = np.dtype(f"{labels.dtype.byteorder}u{labels.dtype.itemsize}".replace("|", ""))
    volume = labels.view(unsigned)
    return volume[(None,) * (3 - volume.ndim)]


def block(volume: Labels, z0: int, z1: int) -> Labels:
    """Slices z0..z1-1 in C order and native byte order; a view where they are so already."""
    return frozen(np.ascontiguousarray(volume[z0:z1], dtype=volume.dtype.newbyteorder("=")))


def frozen(array: Labels) -> Labels:
    """A read-only view. Kernels are compiled once more for each kind of input they meet, so what
    they only read always comes to them like this."""
    view = array.view()
    view.flags.writeable = False
    return view


def slab_depth(volume: Labels, multiple: int = 1, target: int = 1 << 22) -> int:
    """Number of slices, a multiple of ``multiple``, that hold about ``target`` bytes.

    Work goes slab by slab, so that what one stage has read is in the cache for the next.
    """
    slice_bytes = max(1, math.prod(volume.shape[1:]) * volume.dtype.itemsize)
    if not volume.flags.c_contiguous or not volume.dtype.isnative:
        target *= 16  # each slab is copied with one slice more on either side
    return max(1, round(target / slice_bytes / multiple)) * multiple


def ranges(nz: int, parts: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Split nz slices into at most ``parts`` ranges that begin at multiples of ``multiple``."""
    groups = -(-nz // multiple)
    parts = max(1, min(parts, groups))
    edges = [min(nz, groups * i // parts * multiple) for i in range(parts)] + [nz]
    return list(itertools.pairwise(edges))


def parallel(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """``[function(item) for item in items]``, on threads where more than one is wanted."""
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def check_shape(found: Sequence[int], expected: Sequence[int] | None) -> None:
    """Compare the shape a stream claims with the expected one; raises DecodeError.

    Where none is expected, the claim must stay below ``LIMIT``: nothing is allocated before.
    """
    if expected is None:
        if 8 * math.prod(max(n, 1) for n in found) > LIMIT:
            raise DecodeError(
                f"the stream claims a volume of shape {tuple(found)}, more than {LIMIT} bytes; "
                "if that is right, decode it with its shape given"
            )
        return
    expected = (1,) * (3 - len(expected)) + tuple(expected)
    if tuple(found) != expected:
        raise DecodeError(f"the stream holds a volume of shape {tuple(found)}, not {expected}")


def check_fits(labels: Labels, dtype: DTypeLike) -> None:
    """Check that decoded uint64 labels fit ``dtype``; raises DecodeError."""
    limit = np.iinfo(dtype).max
    if labels.size and int(labels.max()) > limit:
        raise DecodeError(f"label {int(labels.max())} does not fit {np.dtype(dtype)}; use uint64")
