"""Compiled kernels: plain functions over arrays that know nothing of codecs or files.

A *slice* is one z of a volume ``[z, y, x]``. A boundary map has one bit per voxel,
``bits[z, y, word]`` (uint64, voxel x at bit ``x % 64`` of word ``x // 64``, the bits past the
row's end are 0), so that everything after the first comparison works on 64 voxels at a time.
The volumes ``labels`` and ``out`` are unsigned and in C order; ``nx`` is the row length in voxels.

Set ``COMPRESSO_PORTABLE=1`` to run without the LLVM intrinsics of :mod:`compresso.kernels.words`.
"""

import os
from typing import Any

import numba
import numpy as np

from compresso.kernels._cache import Cache

INTERPRETED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]
PORTABLE = bool(int(os.environ.get("COMPRESSO_PORTABLE", "0"))) or INTERPRETED
#: 2**64 / golden ratio: the upper bits of a product with it are a hash.
SPREAD = np.uint64(0x9E3779B97F4A7C15)
#: Kernels release the interpreter's lock, and are called from Python and other kernels only.
OPTIONS: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True}


def kernel(function: Any) -> Any:
    """Compile a function when it is first called, and keep the machine code for the next process.

    If nothing can be written or the kept code is damaged, it is compiled without a message.
    """
    compiled: Any = numba.njit(**OPTIONS)(function)
    if not INTERPRETED:
        compiled._cache = Cache(function, PORTABLE)
    return compiled


@kernel
def with_room(array, used, room):
    """``array``, or a longer copy of its ``used`` items that has room for more."""
    if used + room <= array.size:
        return array
    longer = np.empty(max(used + room, 2 * array.size), array.dtype)
    longer[:used] = array[:used]
    return longer
