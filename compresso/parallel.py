"""Ranges of a volume's slices for threads, slabs that fit the cache, and maps over threads.

Functions that run in threads must release the interpreter's lock, as all encodings and compressors
do (docs/performance.md).
"""

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from compresso.arrays import Labels

T = TypeVar("T")
R = TypeVar("R")
#: Slices z0..z1-1.
Span = tuple[int, int]
#: Called with the number of groups that are done, and of all groups.
Progress = Callable[[int, int], object]

SLAB_BYTES = 1 << 22
COPIED_SLAB_BYTES = 1 << 26  # a slab that is copied has one slice more on either side


def cores(threads: int) -> int:
    """Return this number of threads; for 0, the number of cores that this process may use."""
    if threads:
        return threads
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; it knows of PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ignore(*_: object) -> None:
    """Do nothing: the default of callbacks."""


def ranges(nz: int, parts: int, multiple: int = 1) -> list[Span]:
    """Split nz slices into at most ``parts`` ranges that begin at multiples of ``multiple``."""
    groups = -(-nz // multiple)
    parts = max(1, min(parts, groups))
    edges = [min(nz, groups * i // parts * multiple) for i in range(parts)] + [nz]
    return list(itertools.pairwise(edges))


def slabs(z0: int, z1: int, depth: int) -> list[Span]:
    """Split slices z0..z1-1 into slabs of ``depth`` slices."""
    return [(s, min(s + depth, z1)) for s in range(z0, z1, depth)]


def slab_depth(volume: "Labels", multiple: int = 1) -> int:
    """Return the slices of a slab that stays in the cache between two passes over it.

    It is a multiple of ``multiple``.
    """
    slice_bytes = max(1, math.prod(volume.shape[1:]) * volume.dtype.itemsize)
    plain = volume.flags.c_contiguous and volume.dtype.isnative
    target = SLAB_BYTES if plain else COPIED_SLAB_BYTES
    return max(1, round(target / slice_bytes / multiple)) * multiple


def parallel(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """``[function(item) for item in items]``, on several threads if ``threads`` is above 1."""
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def shares(threads: int, parts: int) -> tuple[int, int]:
    """The number of parts to work on at once, and of threads for each; 0 is all cores.

    If there are fewer parts than threads, each part has several threads.
    """
    threads = cores(threads)
    at_once = max(1, min(threads, parts))
    return at_once, -(-threads // at_once)


def in_order(
    function: Callable[[T], R], items: Iterable[T], threads: int
) -> Generator[R, None, None]:
    """``map(function, items)`` on threads: the same results in the same order, or the same error.

    Items are taken in the caller's thread, as long as at most ``threads`` results are pending. The
    first error in the order of the items is raised after the results before it. By then, and when
    the caller closes the iterator, all threads have stopped.
    """
    if threads <= 1:
        yield from map(function, items)
        return
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for future in _futures(lambda item: pool.submit(function, item), items):
            waiting.append(future)
            del future  # so that only the caller keeps its result
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _futures(submit: Callable[[T], Future[R]], items: Iterable[T]) -> Iterator[Future[R]]:
    """The submitted items; an error of the iterator is raised in its turn."""
    try:
        yield from map(submit, items)  # map keeps no item
    except Exception as error:
        failed: Future[R] = Future()
        failed.set_exception(error)
        yield failed
