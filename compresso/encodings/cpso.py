"""The stream of PyPI's ``compresso`` 3.x, which CloudVolume, Igneous and Neuroglancer read."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso import boundaries as model
from compresso.arrays import (
    Labels,
    Shape,
    check_fits,
    frozen,
    little_endian,
    native_slices,
)
from compresso.codec import Buffer, Encoding, Extent, Watch, ignore
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
from compresso.parallel import Span, on_threads, ranges

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

    limits = {"window": (1, 64), "index": (0, 1)}

    def __post_init__(self) -> None:
        super().__post_init__()
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


class SlabPart(NamedTuple):
    """The values that a slab adds to the stream, with the counts of each slice."""

    ids: Unsigned
    id_counts: NDArray[np.int64]
    locations: Unsigned
    location_counts: NDArray[np.int64]


def encode(
    volume: Labels,
    step: tuple[int, int, int],
    connectivity: int = 4,
    index: bool = True,
    threads: int = 1,
    watch: Watch = ignore,
) -> bytes:
    """Encode a volume in windows of ``step`` (z, y, x) voxels, at most 64.

    With an index, slices can be decoded one by one; it has no effect with connectivity 6. Raises
    EncodeError if a side exceeds 65535 voxels, and TooManyWindowsError.
    """
    from compresso.kernels import components, cpso

    shape, width = volume.shape, volume.dtype.itemsize
    if max(shape) > SIDE_LIMIT:
        raise EncodeError(
            f"a cpso stream holds at most {SIDE_LIMIT} voxels along an axis, not the {max(shape)} "
            f"of the shape {shape}. Encode the volume in pieces."
        )
    if not volume.size:
        return Header(0, width, shape, step, 0, 0, 0, connectivity).pack()
    deep = connectivity == 6
    version = int(index and not deep)

    def encode_range(span: Span) -> tuple[list[SlabPart], model.Windows]:
        """Encode slices z0..z1-1, all of them if ``deep``; z0 is a multiple of the window's z."""
        parts = []
        collector = model.WindowCollector((span[1] - span[0], *shape[1:]), step)
        slabs: Iterable[model.Slab] = (
            [_whole(volume, watch)] if deep else model.mark_boundaries(volume, span, step[0], watch)
        )
        for slab in slabs:
            component, first, counts = components.label_runs(slab.own_bits, shape[2])
            if deep:
                first = cpso.join(slab.bits, shape[2], component, first, counts)
            ids = slab.own_labels.reshape(-1)[first]
            parts.append(SlabPart(ids, counts, *_locations(slab, deep, not version)))
            collector.add(slab.own_bits)
        return parts, collector.finish()

    found = on_threads(encode_range, ranges(shape[0], 1 if deep else threads, step[0]), threads)
    values, entries = _squeezed([windows for _, windows in found], step, threads)
    parts = [part for of_range, _ in found for part in of_range]
    ids, locations = [part.ids for part in parts], [part.locations for part in parts]
    counts = sum(map(len, ids)), values.size, sum(map(len, locations))
    sections = [*ids, values, *locations, entries]
    if version:
        id_counts = np.concatenate([part.id_counts for part in parts])
        before = np.concatenate([[0], *(part.location_counts for part in parts)])[:-1]
        sections += [n.astype(index_type(shape)) for n in (id_counts, before)]
    header = Header(version, width, shape, step, *counts, connectivity)
    return b"".join([header.pack(), *map(little_endian, sections)])


def _whole(volume: Labels, watch: Watch) -> model.Slab:
    """The whole volume as one slab, with the boundaries across slices."""
    from compresso.kernels import boundary, cpso

    nz, ny, nx = volume.shape
    watch(0, nz)
    labels = native_slices(volume, 0, nz)
    bits = np.empty((nz, ny, -(-nx // 64)), np.uint64)
    boundary.mark(labels, bits)
    cpso.mark_ahead(labels, bits)
    return model.Slab(0, labels, bits, 0, nz)


def _locations(slab: model.Slab, deep: bool, across: bool) -> tuple[Unsigned, NDArray[np.int64]]:
    """The entries for a slab's indeterminate voxels, and how many each slice has."""
    from compresso.kernels import boundary, cpso

    labels = slab.labels
    most = 2 * int(boundary.count_indeterminate(slab.own_bits, deep).sum())
    locations, counts = np.empty(most, labels.dtype), np.empty(slab.stop - slab.start, np.int64)
    largest = np.uint64(np.iinfo(labels.dtype).max)
    span = slab.start, slab.stop
    cpso.locate(labels, slab.bits, *span, across, deep, largest, locations, counts)
    return locations[: counts.sum()], counts


def _squeezed(
    parts: Sequence[model.Windows], step: Sequence[int], threads: int
) -> tuple[Unsigned, Unsigned]:
    """The distinct windows of all parts, and the entries of all windows."""
    from compresso.kernels import cpso

    merged = model.merge_windows(parts, threads)
    item = window_type(step)
    entries = np.empty(merged.indices.size, item)
    limit = np.iinfo(item).max // 2
    written = cpso.squeeze(merged.indices, limit, entries)
    if written < 0:
        z, y, x = step
        raise TooManyWindowsError(
            f"the volume has {merged.values.size} different windows of {x}x{y}x{z} voxels, more "
            f"than the {limit + 1} that a cpso stream can number. Use 8x8x1."
        )
    return merged.values.astype(item), entries[:written]


def decode(
    sections: Sections, out: Labels, z0: int = 0, threads: int = 1, watch: Watch = ignore
) -> None:
    """Decode slices z0 and following to ``out``; of streams without an index, all slices.

    ``out`` is in C order and native. Raises DecodeError if the stream contradicts itself, or a
    label does not fit.
    """
    if out.size == 0:
        return
    if out.dtype.itemsize < sections.header.data_width:
        wide = np.empty(out.shape, sections.header.label_type)
        decode(sections, wide, z0, threads)
        check_fits(wide, out.dtype)
        out[...] = wide
        return
    from compresso.kernels import boundary, cpso

    across, deep = sections.index is None, sections.header.connectivity == 6
    zstep = 1 if z0 else sections.header.step[0]
    if deep:  # one slab
        threads, zstep = 1, len(out)
    draw = _drawer(sections, z0, z0 + len(out))
    found = model.find_components(out, zstep, threads, draw)
    n_ids = int(found.counts.sum())
    if deep:
        # Components are joined, and numbered in the volume: no slice has a number to begin with.
        first_voxels = np.zeros(n_ids, np.int64)
        rows = found.bits, out.shape[2], found.component[0]
        n_ids = len(cpso.join(*rows, first_voxels, found.counts))
        found = dataclasses.replace(
            found,
            counts=np.zeros_like(found.counts),
            indeterminate=boundary.count_indeterminate(found.bits, True),
        )
    ids, entries, first = _stretch(sections, z0, found)
    if ids.size != n_ids:
        raise DecodeError(f"cpso stream: {ids.size} ids, but the boundary map needs {n_ids}")
    starts = np.empty(len(out) + 1, np.int64)
    if not cpso.location_starts(entries, found.indeterminate, starts):
        raise DecodeError(
            f"cpso stream: {entries.size} locations do not fit the {found.indeterminate.sum()} "
            "voxels that need one"
        )
    if sections.index is not None:  # it must agree with the locations where slices begin
        expected = np.cumsum(sections.index[1].astype(np.int64))[z0 : z0 + starts.size]
        if not np.array_equal(first + starts[: expected.size], expected):
            raise DecodeError("cpso stream: the index contradicts the locations")

    def resolve(z0: int, z1: int) -> None:
        own = frozen(entries[starts[z0] : starts[z1]])
        bad = cpso.resolve(found.bits, z0, z1, own, across, deep, out)
        if bad >= 0:
            raise DecodeError(
                f"cpso stream: location {first + starts[z0] + bad} points outside the volume, "
                "to a boundary voxel, or to another slice"
            )

    model.fill_labels(found, ids.astype(out.dtype), resolve, out, threads, watch)


def _drawer(sections: Sections, z0: int, z1: int) -> Callable[[int, NDArray[np.uint64]], None]:
    """A function that draws the boundary map of a slice of z0..z1-1, counted from z0."""
    from compresso.kernels import cpso, windows

    header, entries, values = sections.header, sections.windows, sections.values
    zstep, plane = header.step[0], math.prod(header.grid[1:])
    first = z0 // zstep
    layers = np.arange(first, -(-z1 // zstep) + 1)
    cursors = np.empty((layers.size, 2), np.int64)  # of each layer of windows
    bad = cpso.survey(entries, values.size, math.prod(header.grid), layers * plane, cursors)
    if bad >= 0:
        raise DecodeError(f"cpso stream: window entry {bad} contradicts the header")

    def draw(z: int, bits: NDArray[np.uint64]) -> None:
        """Write slices z..z+n-1 of the boundary map."""
        layer, skipped = divmod(z0 + z, zstep)  # slices of the first layer that come before
        n_layers = -(-(skipped + len(bits)) // zstep)
        packed = np.empty((n_layers, *header.grid[1:]), model.packed_type(header.step))
        cpso.expand(entries, values, cursors[layer - first].copy(), packed.reshape(-1))
        drawn = np.empty((skipped + len(bits), *bits.shape[1:]), np.uint64) if skipped else bits
        windows.unpack(packed, header.shape[2], header.step, drawn)
        if skipped:
            bits[:] = drawn[skipped:]

    return draw


def _stretch(
    sections: Sections, z0: int, components: model.Components
) -> tuple[Unsigned, Unsigned, int]:
    """The ids and the locations of some slices, and the number of the first location.

    Raises DecodeError if the index contradicts the slices' numbers of components.
    """
    if sections.index is None:
        return sections.ids, sections.locations, 0
    z1 = z0 + components.counts.size
    n_components, before = sections.index.astype(np.int64)
    if not np.array_equal(n_components[z0:z1], components.counts):
        raise DecodeError("cpso stream: the index contradicts the components of the boundary map")
    ids = np.concatenate([[0], np.cumsum(n_components)])
    locations = np.append(np.cumsum(before), sections.locations.size)
    end = None if z1 == n_components.size else ids[z1]
    own = sections.locations[locations[z0] : locations[z1]]
    return sections.ids[ids[z0] : end], own, int(locations[z0])
