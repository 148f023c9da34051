"""Writes ``cpso`` streams."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso import outlines, windows
from compresso.arrays import Labels, block, little
from compresso.codec import Watch, unwatched
from compresso.encodings._cpso import SIDE_LIMIT, Header, Unsigned, index_type, window_type
from compresso.errors import EncodeError
from compresso.outlines import Slab
from compresso.parallel import Span, parallel, ranges
from compresso.windows import Windows


class TooManyWindowsError(EncodeError):
    """The window's type cannot number all different windows of the volume."""


class Part(NamedTuple):
    """What one range of slices adds to the stream; counts are those of each slice."""

    ids: list[Unsigned]
    id_counts: list[NDArray[np.int64]]
    locations: list[Unsigned]
    location_counts: list[NDArray[np.int64]]
    windows: Windows


def encode(
    volume: Labels,
    step: tuple[int, int, int],
    connectivity: int = 4,
    index: bool = True,
    threads: int = 1,
    watch: Watch = unwatched,
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
    watch : callable

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
    encode_range = partial(_encode_range, volume, step, deep, not version, watch)
    parts = parallel(encode_range, ranges(nz, 1 if deep else threads, step[0]), threads)
    values, entries = _squeezed([part.windows for part in parts], step, threads)
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
    return b"".join([header.pack(), *map(little, sections)])


def _encode_range(
    volume: Labels,
    step: tuple[int, int, int],
    deep: bool,
    across: bool,
    watch: Watch,
    span: Span,
) -> Part:
    """Encode slices z0..z1-1, all of them where components are ``deep``; z0 is a multiple of the
    window's z size. With ``across`` locations may name neighbours in other slices."""
    from compresso.kernels import components, cpso

    ids, id_counts, locations, location_counts = [], [], [], []
    collector = windows.Collector((span[1] - span[0], *volume.shape[1:]), step)
    slabs: Iterable[Slab] = (
        [_whole(volume, watch)] if deep else outlines.trace(volume, span, step[0], watch)
    )
    for slab in slabs:
        component, first, counts = components.label_runs(slab.own_bits, volume.shape[2])
        if deep:
            first = cpso.join(slab.bits, volume.shape[2], component, first, counts)
        ids.append(slab.own_labels.reshape(-1)[first])
        id_counts.append(counts)
        entries, counts = _locations(slab, deep, across)
        locations.append(entries)
        location_counts.append(counts)
        collector.add(slab.own_bits)
    return Part(ids, id_counts, locations, location_counts, collector.finish())


def _whole(volume: Labels, watch: Watch) -> Slab:
    """The whole volume as one slab, with the boundaries across slices."""
    from compresso.kernels import boundary, cpso

    nz, ny, nx = volume.shape
    watch(0, nz)
    labels = block(volume, 0, nz)
    bits = np.empty((nz, ny, -(-nx // 64)), np.uint64)
    boundary.mark(labels, bits)
    cpso.mark_ahead(labels, bits)
    return Slab(0, labels, bits, 0, nz)


def _locations(slab: Slab, deep: bool, across: bool) -> tuple[Unsigned, NDArray[np.int64]]:
    """The entries for a slab's indeterminate voxels, and how many each slice has."""
    from compresso.kernels import cpso

    labels = slab.labels
    most = 2 * int(cpso.count_open(slab.own_bits, deep).sum())
    locations, counts = np.empty(most, labels.dtype), np.empty(slab.stop - slab.start, np.int64)
    largest = np.uint64(np.iinfo(labels.dtype).max)
    span = slab.start, slab.stop
    cpso.locate(labels, slab.bits, *span, across, deep, largest, locations, counts)
    return locations[: counts.sum()], counts


def _squeezed(
    parts: Sequence[Windows], step: Sequence[int], threads: int
) -> tuple[Unsigned, Unsigned]:
    """The distinct windows of all parts, and the entries that spell all windows."""
    from compresso.kernels import cpso_runs

    merged = windows.merge(parts, threads)
    item = window_type(step)
    entries = np.empty(merged.indices.size, item)
    limit = np.iinfo(item).max // 2
    written = cpso_runs.squeeze(merged.indices, limit, entries)
    if written < 0:
        z, y, x = step
        raise TooManyWindowsError(
            f"the volume has {merged.values.size} different windows of {x}x{y}x{z} voxels, more "
            f"than the {limit + 1} that a cpso stream can number; use 8x8x1"
        )
    return merged.values.astype(item), entries[:written]
