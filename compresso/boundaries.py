"""The paper's model of a volume (its section 2): boundary map, components, locations, windows.

To encode, :func:`mark_boundaries` walks over the volume slab by slab and :func:`encode_slabs` cuts
the boundary map into windows. To decode, :func:`window_drawer` puts the boundary map together,
:func:`find_components` finds its components, and :func:`fill_labels` gives every voxel its label.
Where a slab begins, which neighbouring slices it needs, and which slices are complete, is known
only here.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, Shape, frozen, native_slices
from compresso.codec import Watch
from compresso.errors import DecodeError
from compresso.parallel import Span, on_threads, ranges, slab_depth, slabs

T = TypeVar("T")


@dataclass(frozen=True)
class Slab:
    """Slices of a volume with their boundary map; the volume's slice z0 is the slab's ``start``.

    Slices start..stop-1 are its own. There is one more on either side if the volume has one.
    """

    z0: int
    labels: Labels  # C order, native byte order
    bits: NDArray[np.uint64]
    start: int
    stop: int

    @property
    def own_labels(self) -> Labels:
        """Labels of its own slices."""
        return self.labels[self.start : self.stop]

    @property
    def own_bits(self) -> NDArray[np.uint64]:
        """Boundary map of its own slices."""
        return self.bits[self.start : self.stop]


def mark_boundaries(volume: Labels, span: Span, multiple: int, watch: Watch) -> Iterator[Slab]:
    """Mark the boundaries of slices z0..z1-1 of a volume that is not empty, slab by slab.

    Slabs begin at multiples of ``multiple``, as z0 does. ``watch`` sees each slice before it is
    read.
    """
    from compresso.kernels import boundary

    nz, ny, nx = volume.shape
    z0, z1 = span
    low, high = max(z0 - 1, 0), min(z1 + 1, nz)
    bits = np.empty((high - low, ny, -(-nx // 64)), np.uint64)
    marked = low
    for s0, s1 in slabs(z0, z1, slab_depth(volume, multiple)):
        watch(s0, s1)
        b0, b1 = max(s0 - 1, 0), min(s1 + 1, nz)
        labels = native_slices(volume, b0, b1)
        boundary.mark(labels[marked - b0 :], bits[marked - low : b1 - low])
        marked = b1
        yield Slab(s0, labels, bits[b0 - low : b1 - low], s0 - b0, s1 - b0)


@dataclass(frozen=True)
class Components:
    """A boundary map and its components, before they have labels."""

    bits: NDArray[np.uint64]  # the boundary map, (nz, ny, words)
    ranges: Sequence[Sequence[Span]]  # the slabs of each thread's range
    #: The component of each run of non-boundary voxels, for the slab that begins at a slice.
    component: dict[int, NDArray[np.uint32]]
    counts: NDArray[np.int64]  # components of each slice
    first_marked: NDArray[np.int64]  # y and x of the first boundary voxel of each slice, or -1
    indeterminate: NDArray[np.int64]  # indeterminate voxels of each slice


def find_components(
    out: Labels, multiple: int, threads: int, draw: Callable[[int, NDArray[np.uint64]], None]
) -> Components:
    """Put the boundary map of ``out``, which is not empty, together, and find its components.

    Slabs begin at multiples of ``multiple``. ``draw(z0, bits)`` writes the boundary map of slices
    z0..z0+len(bits)-1.
    """
    from compresso.kernels import boundary, components

    nz, ny, nx = out.shape
    bits = np.empty((nz, ny, -(-nx // 64)), np.uint64)
    depth = slab_depth(out, multiple)
    spans = [slabs(*span, depth) for span in ranges(nz, threads, multiple)]
    counts, indeterminate = np.empty(nz, np.int64), np.empty(nz, np.int64)
    first_marked = np.empty((nz, 2), np.int64)
    component: dict[int, NDArray[np.uint32]] = {}

    def find(slabs_of_range: Sequence[Span]) -> None:
        for s0, s1 in slabs_of_range:
            here = bits[s0:s1]
            draw(s0, here)
            component[s0], _, counts[s0:s1] = components.label_runs(here, nx)
            first_marked[s0:s1] = boundary.first_marked(here)
            indeterminate[s0:s1] = boundary.count_indeterminate(here)

    on_threads(find, spans, threads)
    return Components(bits, spans, component, counts, first_marked, indeterminate)


class Locations(NamedTuple):
    """The locations of a stream's indeterminate voxels; see ``labels.locate`` for the rest."""

    entries: NDArray[Any]
    starts: NDArray[np.int64]  # the first of each slice, and the end of all
    codes: int
    across: bool = True
    deep: bool = False


def fill_labels(
    found: Components, ids: Labels, locations: Locations, out: Labels, threads: int, watch: Watch
) -> None:
    """Give every voxel its label.

    ``ids`` are the labels of the components, slice after slice. ``watch`` sees each finished block
    of slices. Raises DecodeError if a location cannot be right.
    """
    from compresso.kernels import labels

    id_starts = np.cumsum(found.counts) - found.counts
    entries, starts, codes, across, deep = locations

    def finish(z0: int, z1: int) -> None:
        if z0 >= z1:
            return
        own = frozen(entries[starts[z0] : starts[z1]])
        if labels.resolve(found.bits, z0, z1, own, np.uint64(codes), across, deep, out) >= 0:
            raise DecodeError(
                "a location of the stream points outside the volume, to a boundary voxel, or to "
                "another slice"
            )
        watch(z0, z1)

    def fill_range(slabs_of_range: Sequence[Span]) -> None:
        """Label consecutive slabs, except the indeterminate voxels of the outermost slices."""
        finished = slabs_of_range[0][0] + 1
        for s0, s1 in slabs_of_range:
            component = found.component.pop(s0)
            labels.fill(found.bits[s0:s1], component, ids, id_starts[s0:s1], out[s0:s1])
            # The last slice may copy from the next slab, which is not painted yet.
            finish(finished, s1 - 1)
            finished = max(finished, s1 - 1)

    on_threads(fill_range, found.ranges, threads)
    # The outermost slices of each range may copy labels from the neighbouring range.
    for z in sorted({z for span in found.ranges for z in (span[0][0], span[-1][1] - 1)}):
        finish(z, z + 1)


def window_grid(shape: Sequence[int], step: Sequence[int]) -> tuple[int, ...]:
    """How many windows of ``step`` voxels cover a volume; both are z, y, x."""
    return tuple(-(-n // s) for n, s in zip(shape, step, strict=True))


def packed_type(step: Sequence[int]) -> type[np.unsignedinteger[Any]]:
    """The dtype that windows of ``step`` voxels are packed in."""
    return np.uint16 if math.prod(step) <= 16 else np.uint64


def encode_slabs(
    shape: Shape,
    step: tuple[int, int, int],
    cut: Callable[[Span], Iterable[Slab]],
    encode: Callable[[Slab], T],
    threads: int,
) -> tuple[list[T], NDArray[np.uint64], NDArray[np.uint32]]:
    """Encode the slabs that ``cut(span)`` makes of slices z0..z1-1, and cut them into windows.

    Returns the results, the distinct windows, ascending, and the index of each window. A slab's
    slices are a multiple of the window's z, unless it is the last.
    """
    from compresso.kernels import windows

    small = packed_type(step) == np.uint16

    def encode_range(span: Span) -> tuple[list[T], NDArray[np.uint64], NDArray[np.uint32]]:
        encoded = []
        count = math.prod(window_grid((span[1] - span[0], *shape[1:]), step))
        # Room for every window; the pages that blank ones leave unused are never touched.
        keys, positions = np.empty(count, packed_type(step)), np.empty(count, np.uint32)
        done = n_keys = 0
        for slab in cut(span):
            encoded.append(encode(slab))
            cover = window_grid((slab.stop - slab.start, *shape[1:]), step)
            size = math.prod(cover)
            packed = keys[done : done + size] if small else np.empty(size, np.uint64)
            windows.pack(slab.own_bits, shape[2], step, packed.reshape(cover))
            if not small:
                n_keys = windows.collect(packed, done, keys, positions, n_keys)
            done += size
        indices = np.zeros(count, np.uint32)
        if small:
            return encoded, windows.rank_small(keys, indices), indices
        found = windows.sort(keys[:n_keys], positions[:n_keys])
        return encoded, windows.rank(*found, indices), indices

    found = on_threads(encode_range, ranges(shape[0], threads, step[0]), threads)
    results, every_values, every_indices = zip(*found, strict=True)
    values = every_values[0]
    if len(found) > 1:
        values = np.unique(np.concatenate(every_values))
        on_threads(lambda part: windows.renumber(part[2], part[1], values), found, threads)
    return list(itertools.chain(*results)), values, np.concatenate(every_indices)


def squeeze(indices: NDArray[np.uint32], item: np.dtype[Any]) -> NDArray[Any] | None:
    """Run-length code the indices of windows; None if an entry of type ``item`` cannot hold one."""
    from compresso.kernels import windows

    entries = np.empty(indices.size, item)
    written = windows.squeeze(indices, np.iinfo(item).max // 2, entries)
    return None if written < 0 else entries[:written]


def locate(
    slab: Slab, codes: int, item: np.dtype[Any], across: bool = True, deep: bool = False
) -> tuple[NDArray[Any], NDArray[np.int64], int]:
    """The locations of a slab's indeterminate voxels, and how many each slice has.

    The third result is the flat position of a label that cannot be a location, or -1.
    """
    from compresso.kernels import boundary, labels

    room = 2 * int(boundary.count_indeterminate(slab.own_bits, deep).sum())
    locations, counts = np.empty(room, item), np.zeros(slab.stop - slab.start, np.int64)
    rest = slab.start, slab.stop, np.uint64(codes), across, deep, locations, counts
    bad = labels.locate(slab.labels, slab.bits, *rest)
    return locations[: counts.sum()], counts, bad


def window_drawer(
    entries: NDArray[Any], values: NDArray[Any], shape: Shape, step: Shape, z0: int, z1: int
) -> Callable[[int, NDArray[np.uint64]], None]:
    """A function that draws the boundary map of slices of z0..z1-1, counted from z0.

    ``entries`` are the run-length coded windows of a volume of this shape, and ``values`` the
    distinct ones. Raises DecodeError if they contradict each other or the shape.
    """
    from compresso.kernels import windows

    grid, zstep = window_grid(shape, step), step[0]
    values = values.astype(packed_type(step))
    first = z0 // zstep
    layers = np.arange(first, -(-z1 // zstep) + 1)
    cursors = np.empty((layers.size, 2), np.int64)  # of each layer of windows
    marks = layers * math.prod(grid[1:])
    bad = windows.survey(entries, values.size, math.prod(grid), marks, cursors)
    if bad >= 0:
        raise DecodeError(f"window entry {bad} of the stream contradicts its header")

    def draw(z: int, bits: NDArray[np.uint64]) -> None:
        layer, skipped = divmod(z0 + z, zstep)  # slices of the first layer that come before
        n_layers = -(-(skipped + len(bits)) // zstep)
        packed = np.empty((n_layers, *grid[1:]), values.dtype)
        windows.expand(entries, values, cursors[layer - first].copy(), packed.reshape(-1))
        drawn = np.empty((skipped + len(bits), *bits.shape[1:]), np.uint64) if skipped else bits
        windows.unpack(packed, shape[2], step, drawn)
        if skipped:
            bits[:] = drawn[skipped:]

    return draw
