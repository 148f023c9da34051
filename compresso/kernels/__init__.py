"""Compiled kernels: plain functions over arrays that know nothing of codecs or files.

A *slice* is one z of a volume ``[z, y, x]``. A boundary map is held as one bit a voxel,
``bits[z, y, word]`` (uint64, voxel x at bit ``x % 64`` of word ``x // 64``, the bits past the
row's end are 0), so that everything after the first comparison works on 64 voxels at a time.

Set ``COMPRESSO_PORTABLE=1`` to run without the LLVM intrinsics of :mod:`compresso.kernels.words`.
"""

import os

import numba

PORTABLE = bool(int(os.environ.get("COMPRESSO_PORTABLE", "0"))) or bool(
    numba.config.DISABLE_JIT  # type: ignore[attr-defined]
)

# Cached machine code does not remember which of the two it was built from, so only one is cached.
kernel = numba.njit(nogil=True, cache=not PORTABLE)
