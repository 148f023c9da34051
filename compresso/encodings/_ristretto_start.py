"""Trained starts of ``ristretto``: what its counters know before the first voxel.

A start is a file of xz: uint32 little-endian, the number of counters, and 63 more, levels, which
are probabilities in 2**22; then a byte a counter, 0 for one that knows nothing, else 1 + its level.
"""

import lzma
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

#: Starts by their number in a stream; 0 knows nothing. One that is published is never changed.
FILES = (None, "ristretto-start-1.xz")
OBSERVATIONS = np.uint32(6)  # that a trained counter counts for
LEVELS = 63

Counters = NDArray[np.uint32]


@lru_cache(maxsize=2)
def counters(number: int) -> Counters:
    """The counters of a start, which must not be changed."""
    from compresso.kernels.ristretto.coder import FRESH
    from compresso.kernels.ristretto.start import COUNTERS

    fresh = np.full(COUNTERS, FRESH, np.uint32)
    file = FILES[number]
    if file:
        packed = resources.files("compresso.encodings").joinpath(file).read_bytes()
        codes = unpack(packed)
        fresh[: codes.size] = codes
    fresh.flags.writeable = False
    return fresh


def pack(trained: Counters, least: int) -> bytes:
    """A start's file, of the counters that made ``least`` observations or more."""
    # Levels are even in the logarithm of the odds, from 2**-12 to 2**12 to one.
    odds = 2.0 ** (np.arange(-31, 32) * 12 / 31)
    levels = np.round((1 << 22) * odds / (1 + odds)).astype("<u4")
    edges = (levels[1:].astype(np.int64) + levels[:-1]) // 2
    codes = 1 + np.searchsorted(edges, trained >> np.uint32(10)).astype(np.uint8)
    codes[trained & np.uint32(1023) < least] = 0
    plain = np.array([codes.size], "<u4").tobytes() + levels.tobytes() + codes.tobytes()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0}]
    return lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)


def unpack(packed: bytes) -> Counters:
    """The counters of a start's file."""
    from compresso.kernels.ristretto.coder import FRESH

    plain = lzma.decompress(packed, lzma.FORMAT_XZ)
    numbers = np.frombuffer(plain, "<u4", 1 + LEVELS)
    codes = np.frombuffer(plain, np.uint8, offset=numbers.nbytes)
    known = np.empty(1 + LEVELS, np.uint32)
    known[0] = FRESH
    known[1:] = numbers[1:] << np.uint32(10) | OBSERVATIONS
    return known[codes]
