"""Dividing a volume's slices: ranges for threads, and slabs that fit the cache."""

import itertools
import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from compresso.arrays import Labels

T = TypeVar("T")
R = TypeVar("R")
#: Slices z0..z1-1.
Span = tuple[int, int]

SLAB_BYTES = 1 << 22
COPIED_SLAB_BYTES = 1 << 26  # a slab that is copied has one slice more on either side


def cores(threads: int) -> int:
    """So many threads, or, for 0, one for each core that this process may run on."""
    if threads:
        return threads
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; it knows of PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ranges(nz: int, parts: int, multiple: int = 1) -> list[Span]:
    """Split nz slices into at most ``parts`` ranges that begin at multiples of ``multiple``."""
    groups = -(-nz // multiple)
    parts = max(1, min(parts, groups))
    edges = [min(nz, groups * i // parts * multiple) for i in range(parts)] + [nz]
    return list(itertools.pairwise(edges))


def slabs(z0: int, z1: int, depth: int) -> list[Span]:
    """Split slices z0..z1-1 into slabs of ``depth`` slices."""
    return [(s, min(s + depth, z1)) for s in range(z0, z1, depth)]


def slab_depth(volume: Labels, multiple: int = 1) -> int:
    """Slices of a slab, a multiple of ``multiple``: what one stage has read of it is in the cache
    for the next."""
    slice_bytes = max(1, math.prod(volume.shape[1:]) * volume.dtype.itemsize)
    plain = volume.flags.c_contiguous and volume.dtype.isnative
    target = SLAB_BYTES if plain else COPIED_SLAB_BYTES
    return max(1, round(target / slice_bytes / multiple)) * multiple


def parallel(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """``[function(item) for item in items]``, on threads where more than one is wanted."""
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))
