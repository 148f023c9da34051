"""The stream of PyPI's ``compresso`` 3.x, which CloudVolume, Igneous and Neuroglancer read."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import (
    Labels,
    Shape,
    block,
    check_fits,
    frozen,
    little,
)
from compresso.boundaries import (
    Components,
    Resolve,
    Slab,
    WindowCollector,
    Windows,
    fill_labels,
    find_components,
    mark_boundaries,
    merge_windows,
    packed_type,
)
from compresso.codec import Buffer, Encoding, Extent, Watch, unwatched
from compresso.encodings._cpso import (
    SIDE_LIMIT,
    Header,
    Sections,
    Unsigned,
    index_type,
    parse,
    window_type,
)
from compresso.errors import DecodeError, EncodeError, SpecError
from compresso.parallel import Span, parallel, ranges

FALLBACK = (1, 8, 8)  # z, y, x: the window if 4x4x1 has too many values


@dataclass(frozen=True)
class Cpso(Encoding):
    """The stream of PyPI's compresso 3.x: as ``compresso``, with labels of their own width.

    Parameters
    ----------
    window : Extent
        Size of a window, x, y, z, at most 64 voxels together. A volume that has more different
        windows than the stream can number at 4x4x1, the default, is written at 8x8x1.
    connectivity : int
        Connectivity of the components: 4, in each slice, or 6, in the volume.
    index : int
        1 to add an index by which a slice is decoded without the others (version 1 of the
        stream); 0, and connectivity 6, write version 0.

    References
    ----------
    https://github.com/seung-lab/compresso
    """

    name = "cpso"
    working_bytes = 2
    window: Extent = Extent("4x4x1")
    connectivity: int = 4
    index: int = 1

    limits = {"index": (0, 1)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.prod(self.window) > 64:
            raise SpecError(f"cpso: a window of {self.window} has more than 64 voxels")
        if self.connectivity not in (4, 6):
            raise SpecError(f"cpso: connectivity={self.connectivity} is neither 4 nor 6")

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode labels, to the bytes that PyPI's package writes.

        Raises EncodeError if a side exceeds 65535 voxels, or a volume has more different
        windows than the stream can number.
        """
        rest = self.connectivity, bool(self.index), threads
        try:
            return encode(volume, self.window.zyx, *rest, watch)
        except TooManyWindowsError:
            if self.window != Extent("4x4x1"):
                raise
            return encode(volume, FALLBACK, *rest)  # the watch has seen every slice

    def shape_of(self, stream: Buffer) -> Shape:
        """The header's shape."""
        return Header.unpack(stream).shape

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode a stream of any version, window and connectivity; its header says which."""
        decode(parse(stream), out, threads=threads, watch=watch)

    def decode_part(self, stream: Buffer, z0: int, out: Labels, shape: Shape, threads: int) -> None:
        """Decode slices z0 and following; with an index, without the others."""
        sections = parse(stream)
        if sections.index is None:
            super().decode_part(stream, z0, out, shape, threads)
        else:
            decode(sections, out, z0, threads)


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
        If a side exceeds 65535 voxels.
    TooManyWindowsError
        If there are more distinct windows than the stream can number.
    """
    nz, ny, nx = volume.shape
    if max(volume.shape) > SIDE_LIMIT:
        raise EncodeError(
            f"a cpso stream holds at most {SIDE_LIMIT} voxels along an axis, not the "
            f"{max(volume.shape)} of the shape {volume.shape}. Encode the volume in pieces."
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
    """Encode slices z0..z1-1, all of them if components are ``deep``; z0 is a multiple of the
    window's z size. With ``across`` locations may name neighbours in other slices."""
    from compresso.kernels import components, cpso

    ids, id_counts, locations, location_counts = [], [], [], []
    collector = WindowCollector((span[1] - span[0], *volume.shape[1:]), step)
    slabs: Iterable[Slab] = (
        [_whole(volume, watch)] if deep else mark_boundaries(volume, span, step[0], watch)
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
    """The distinct windows of all parts, and the entries of all windows."""
    from compresso.kernels import cpso_runs

    merged = merge_windows(parts, threads)
    item = window_type(step)
    entries = np.empty(merged.indices.size, item)
    limit = np.iinfo(item).max // 2
    written = cpso_runs.squeeze(merged.indices, limit, entries)
    if written < 0:
        z, y, x = step
        raise TooManyWindowsError(
            f"the volume has {merged.values.size} different windows of {x}x{y}x{z} voxels, more "
            f"than the {limit + 1} that a cpso stream can number. Use 8x8x1."
        )
    return merged.values.astype(item), entries[:written]


def decode(
    sections: Sections, out: Labels, z0: int = 0, threads: int = 1, watch: Watch = unwatched
) -> None:
    """Decode slices z0 and following to an array.

    Parameters
    ----------
    sections : Sections
    out : (nz, ny, nx) unsigned, C order, native, overwritten
        As many slices as are wanted; of streams without index, all of them.
    z0 : int
    threads : int
    watch : callable
        Called with the range of each finished block of slices of ``out``.

    Raises
    ------
    DecodeError
        If the stream contradicts itself, or a label does not fit ``out``.
    """
    if out.size == 0:
        return
    if out.dtype.itemsize < sections.header.data_width:
        wide = np.empty(out.shape, sections.header.label_type)
        decode(sections, wide, z0, threads)
        check_fits(wide, out.dtype)
        out[...] = wide
        return
    deep = sections.header.connectivity == 6
    draw = _Draw(sections, z0, z0 + len(out))
    components = find_components(out, 1 if z0 else draw.zstep, 1 if deep else threads, draw)
    components, n_ids = (
        _joined(components, out) if deep else (components, int(components.counts.sum()))
    )
    at, end, location, stop = _stretch(sections, z0, components)
    if end - at != n_ids:
        raise DecodeError(f"cpso stream: {end - at} ids, but the boundary map needs {n_ids}")
    ids = sections.ids[at:end].astype(out.dtype)
    resolve = _resolver(sections, z0, components, location, stop, out)
    fill_labels(components, ids, resolve, out, 1 if deep else threads, watch)


class _Draw:
    """Draws the boundary map of any of the slices z0..z1-1, counted from z0."""

    def __init__(self, sections: Sections, z0: int, z1: int) -> None:
        from compresso.kernels import cpso_runs

        grid = sections.header.grid
        self.zstep = sections.header.step[0]
        self._sections, self._z0 = sections, z0
        self._first = z0 // self.zstep
        layers = np.arange(self._first, -(-z1 // self.zstep) + 1)
        self._cursors = np.empty((layers.size, 2), np.int64)  # of each layer of windows
        n_values, plane = sections.values.size, math.prod(grid[1:])
        entries = sections.windows
        bad = cpso_runs.survey(entries, n_values, math.prod(grid), layers * plane, self._cursors)
        if bad >= 0:
            raise DecodeError(f"cpso stream: window entry {bad} contradicts the header")

    def __call__(self, z: int, bits: NDArray[np.uint64]) -> None:
        """Write slices z..z+n-1 of the boundary map."""
        from compresso.kernels import cpso_runs, windows

        header = self._sections.header
        skipped = (self._z0 + z) % self.zstep  # slices of the first layer that come before
        layer = (self._z0 + z) // self.zstep - self._first
        n_layers = -(-(skipped + len(bits)) // self.zstep)
        packed = np.empty((n_layers, *header.grid[1:]), packed_type(header.step))
        cursor = self._cursors[layer].copy()
        cpso_runs.expand(self._sections.windows, self._sections.values, cursor, packed.reshape(-1))
        drawn = np.empty((skipped + len(bits), *bits.shape[1:]), np.uint64) if skipped else bits
        windows.unpack(packed, header.shape[2], header.step, drawn)
        if skipped:
            bits[:] = drawn[skipped:]


def _joined(components: Components, out: Labels) -> tuple[Components, int]:
    """Join the components of the slices to 6-connected ones, and count those.

    They are numbered in the volume: no slice has a number of its own to begin with.
    """
    from compresso.kernels import cpso

    starts = sorted(components.component)
    pieces = [components.component[z] for z in starts]
    whole = np.concatenate(pieces)
    first = np.zeros(int(components.counts.sum()), np.int64)
    joined = cpso.join(components.bits, out.shape[2], whole, first, components.counts)
    parts = np.split(whole, np.cumsum([piece.size for piece in pieces])[:-1])
    volume = dataclasses.replace(
        components,
        component=dict(zip(starts, parts, strict=True)),
        counts=np.zeros_like(components.counts),
        indeterminate=cpso.count_open(components.bits, True),
    )
    return volume, len(joined)


def _stretch(sections: Sections, z0: int, components: Components) -> tuple[int, int, int, int]:
    """Where the ids and the locations of the components's slices begin and end.

    Raises DecodeError if the index contradicts the slices' numbers of components.
    """
    if sections.index is None:
        return 0, sections.ids.size, 0, sections.locations.size
    z1 = z0 + components.counts.size
    n_components, before = sections.index.astype(np.int64)
    if not np.array_equal(n_components[z0:z1], components.counts):
        raise DecodeError("cpso stream: the index contradicts the components of the boundary map")
    ids = np.concatenate([[0], np.cumsum(n_components)])
    locations = np.append(np.cumsum(before), sections.locations.size)
    end = sections.ids.size if z1 == n_components.size else ids[z1]
    return int(ids[z0]), int(end), int(locations[z0]), int(locations[z1])


def _resolver(
    sections: Sections, z0: int, components: Components, location: int, stop: int, out: Labels
) -> Resolve:
    """What gives indeterminate voxels their labels, by the entries location..stop-1."""
    from compresso.kernels import cpso

    entries = sections.locations[location:stop]
    starts = np.empty(components.indeterminate.size + 1, np.int64)
    if not cpso.location_starts(entries, components.indeterminate, starts):
        raise DecodeError(
            f"cpso stream: {entries.size} locations do not fit the "
            f"{components.indeterminate.sum()} voxels that need one"
        )
    if sections.index is not None:
        _check_index(sections.index[1], z0, location + starts)
    across, deep = sections.index is None, sections.header.connectivity == 6

    def resolve(z0: int, z1: int) -> None:
        own = frozen(entries[starts[z0] : starts[z1]])
        bad = cpso.resolve(components.bits, z0, z1, own, across, deep, out)
        if bad >= 0:
            raise DecodeError(
                f"cpso stream: location {location + starts[z0] + bad} points outside the volume, "
                "to a boundary voxel, or to another slice"
            )

    return resolve


def _check_index(before: Unsigned, z0: int, starts: NDArray[np.int64]) -> None:
    """Compare where the index and the locations themselves say that slices begin."""
    expected = np.cumsum(before.astype(np.int64))[z0 : z0 + starts.size]
    if not np.array_equal(starts[: expected.size], expected):
        raise DecodeError("cpso stream: the index contradicts the locations")
