"""Writes ``cpso`` streams."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso.codec import Labels, Watch
from compresso.encodings._cpso import (
    SIDE_LIMIT,
    Header,
    Unsigned,
    grid,
    index_type,
    slabs,
    window_type,
)
from compresso.errors import EncodeError
from compresso.volume import block, parallel, ranges, slab_depth


class TooManyWindowsError(EncodeError):
    """The window's type cannot number all different windows of the volume."""


class Part(NamedTuple):
    """What one range of slices adds to the stream."""

    ids: list[Unsigned]
    id_counts: list[NDArray[np.int64]]  # of each slice
    locations: list[Unsigned]
    location_counts: list[NDArray[np.int64]]  # of each slice
    values: NDArray[np.uint64]  # distinct windows, ascending
    indices: NDArray[np.uint32]  # of each window, into values


def encode(
    volume: Labels,
    step: tuple[int, int, int],
    connectivity: int = 4,
    index: bool = True,
    threads: int = 1,
    watch: Watch | None = None,
) -> bytes:
    """Encode a volume.

    Parameters
    ----------
    volume : (nz, ny, nx) unsigned, any layout
    step : tuple of int
        Window size z, y, x, at most 64 voxels.
    connectivity : 4 or 6
    index : bool
        Whether slices can be decoded one by one; of no effect with connectivity 6.
    threads : int
    watch : callable, optional

    Returns
    -------
    bytes

    Raises
    ------
    EncodeError
        Where a side exceeds 65535 voxels.
    TooManyWindowsError
        Where there are more different windows than the stream can number.
    """
    nz, ny, nx = volume.shape
    if max(volume.shape) > SIDE_LIMIT:
        raise EncodeError(
            f"a cpso stream holds at most {SIDE_LIMIT} voxels along an axis, not the "
            f"{max(volume.shape)} of the shape {volume.shape}; encode the volume in pieces"
        )
    deep = connectivity == 6
    version = int(index and not deep and volume.size > 0)
    if not volume.size:
        return Header(0, volume.dtype.itemsize, (nz, ny, nx), step, 0, 0, 0, connectivity).pack()
    spans = ranges(nz, 1 if deep else threads, step[0])
    parts = parallel(
        lambda span: _encode_range(volume, step, deep, not version, span, watch), spans, threads
    )
    values, entries = _merge_windows(parts, window_type(step), step)
    ids = [piece for part in parts for piece in part.ids]
    locations = [piece for part in parts for piece in part.locations]
    counts = sum(map(len, ids)), values.size, sum(map(len, locations))
    header = Header(version, volume.dtype.itemsize, (nz, ny, nx), step, *counts, connectivity)
    sections = [*ids, values, *locations, entries]
    if version:
        item = index_type(volume.shape)
        located = np.concatenate([c for part in parts for c in part.location_counts])
        sections += [c.astype(item) for part in parts for c in part.id_counts]
        sections.append(np.concatenate([[0], located[:-1]]).astype(item))
    return b"".join([header.pack(), *map(_little, sections)])


def _encode_range(
    volume: Labels,
    step: tuple[int, int, int],
    deep: bool,
    across: bool,
    span: tuple[int, int],
    watch: Watch | None,
) -> Part:
    """Encode a range of slices, which begins at a multiple of the window's z size.

    It goes slab by slab, unless components reach through them (``deep``); with ``across``
    locations look at the slices beside each slab.
    """
    from compresso.kernels import boundary, components, cpso, windows

    z0, z1 = span
    nz, ny, nx = volume.shape
    reach = int(across)
    low, high = max(z0 - reach, 0), min(z1 + reach, nz)
    bits = np.empty((high - low, ny, -(-nx // 64)), np.uint64)
    n_windows = math.prod(grid((z1 - z0, ny, nx), step))
    # Room for every window; the pages that blank ones leave unused are never touched.
    keys, places = np.empty(n_windows, np.uint64), np.empty(n_windows, np.uint32)
    n_keys = n_packed = 0
    ids, id_counts, locations, location_counts = [], [], [], []
    marked = low
    depth = nz if deep else slab_depth(volume, step[0])
    for s0, s1 in slabs(z0, z1, depth):
        if watch:
            watch(s0, s1)
        b0, b1 = max(s0 - reach, 0), min(s1 + reach, nz)
        slab = block(volume, b0, b1)
        marked = max(marked, b0)
        boundary.mark(slab[marked - b0 :], bits[marked - low : b1 - low])
        if deep:
            cpso.mark_ahead(slab, bits)
        marked = b1
        own = bits[s0 - low : s1 - low]

        component, first, counts = components.label_runs(own, nx)
        if deep:
            first = cpso.join(own, nx, component, first, counts)
        ids.append(slab[s0 - b0 : s1 - b0].reshape(-1)[first])
        id_counts.append(counts)

        found = np.empty(2 * int(cpso.count_open(own, deep).sum()), slab.dtype)
        located = np.empty(s1 - s0, np.int64)
        around = bits[b0 - low : b1 - low]
        largest = np.uint64(np.iinfo(slab.dtype).max)
        cpso.locate(slab, around, s0 - b0, s1 - b0, across, deep, largest, found, located)
        locations.append(found[: located.sum()])
        location_counts.append(located)

        packed = np.empty(grid((*own.shape[:2], nx), step), np.uint64)
        windows.pack(own, nx, step, packed)
        n_keys = windows.collect(packed.reshape(-1), n_packed, keys, places, n_keys)
        n_packed += packed.size
    del bits, around, own
    keys, places = windows.sort(keys[:n_keys], places[:n_keys])
    indices = np.zeros(n_windows, np.uint32)
    values = windows.rank(keys, places, indices)
    return Part(ids, id_counts, locations, location_counts, values, indices)


def _merge_windows(
    parts: Sequence[Part], item: np.dtype[Any], step: Sequence[int]
) -> tuple[Unsigned, Unsigned]:
    """The distinct windows of all parts, ascending, and the entries that spell all windows."""
    from compresso.kernels import cpso, windows

    values = np.unique(np.concatenate([part.values for part in parts]))
    if len(parts) > 1:
        for part in parts:
            windows.renumber(part.indices, part.values, values)
    indices = np.concatenate([part.indices for part in parts]) if parts[1:] else parts[0].indices
    entries = np.empty(indices.size, item)
    limit = np.iinfo(item).max // 2
    written = cpso.squeeze(indices, limit, entries)
    if written < 0:
        z, y, x = step
        raise TooManyWindowsError(
            f"the volume has {values.size} different windows of {x}x{y}x{z} voxels, more than the "
            f"{limit + 1} that a cpso stream can number; use 8x8x1"
        )
    return values.astype(item), entries[:written]


def _little(section: Unsigned) -> memoryview:
    """The bytes of an array, little-endian."""
    little = np.ascontiguousarray(section, section.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data
