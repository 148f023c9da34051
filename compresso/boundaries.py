"""The paper's model of a volume (its section 2): boundary map, components, locations, windows.

To encode, :func:`mark_boundaries` walks over the volume slab by slab and :class:`WindowCollector`
cuts the boundary map into windows. To decode, :func:`find_components` has the boundary map put
together and finds its components, and :func:`fill_labels` gives every voxel its label. Where a slab
begins, which neighbouring slices it needs, and which slices are complete, is known only here.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, native_slices
from compresso.codec import Watch
from compresso.parallel import Span, on_threads, ranges, slab_depth, slabs


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


#: Labels the indeterminate voxels of slices z0..z1-1, whose neighbours have their labels.
Resolve = Callable[[int, int], None]


def fill_labels(
    found: Components, ids: Labels, resolve: Resolve, out: Labels, threads: int, watch: Watch
) -> None:
    """Give every voxel its label.

    ``ids`` are the labels of the components, slice after slice. ``watch`` sees each finished block
    of slices.
    """
    from compresso.kernels import labels

    id_starts = np.cumsum(found.counts) - found.counts

    def finish(z0: int, z1: int) -> None:
        if z0 < z1:
            resolve(z0, z1)
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


class Windows(NamedTuple):
    """The windows of consecutive slices: the distinct ones, ascending, and each one's index."""

    values: NDArray[np.uint64]
    indices: NDArray[np.uint32]


class WindowCollector:
    """Cuts the boundary map of consecutive slabs into windows, and numbers them at the end.

    ``shape`` is that of all slabs together, and ``step`` the size of a window, both z, y, x.
    """

    def __init__(self, shape: Sequence[int], step: tuple[int, int, int]) -> None:
        self._nx, self._step = shape[2], step
        self._count = math.prod(window_grid(shape, step))
        self._small = packed_type(step) == np.uint16
        # Room for every window; the pages that blank ones leave unused are never touched.
        self._keys = np.empty(self._count, np.uint16 if self._small else np.uint64)
        self._places = np.empty(0 if self._small else self._count, np.uint32)
        self._n_keys = self._n_packed = 0

    def add(self, bits: NDArray[np.uint64]) -> None:
        """Take the next slab's boundary map, (n, ny, words); n is a multiple of the window's z."""
        from compresso.kernels import windows

        cover = window_grid((*bits.shape[:2], self._nx), self._step)
        done = self._n_packed + math.prod(cover)
        if self._small:
            packed = self._keys[self._n_packed : done].reshape(cover)
            windows.pack(bits, self._nx, self._step, packed)
        else:
            packed = np.empty(cover, np.uint64)
            windows.pack(bits, self._nx, self._step, packed)
            self._n_keys = windows.collect(
                packed.reshape(-1), self._n_packed, self._keys, self._places, self._n_keys
            )
        self._n_packed = done

    def finish(self) -> Windows:
        """Number the windows of all slabs."""
        from compresso.kernels import windows

        if self._small:
            indices = np.empty(self._count, np.uint32)
            return Windows(windows.rank_small(self._keys, indices), indices)
        keys, places = windows.sort(self._keys[: self._n_keys], self._places[: self._n_keys])
        indices = np.zeros(self._count, np.uint32)
        return Windows(windows.rank(keys, places, indices), indices)


def merge_windows(parts: Sequence[Windows], threads: int) -> Windows:
    """The windows of all parts, one after the other, numbered together."""
    from compresso.kernels import windows

    if len(parts) == 1:
        return parts[0]
    values = np.unique(np.concatenate([part.values for part in parts]))
    on_threads(lambda p: windows.renumber(p.indices, p.values, values), parts, threads)
    return Windows(values, np.concatenate([part.indices for part in parts]))


def unpack_windows(
    indices: NDArray[np.uint32],
    values: NDArray[np.uint64],
    step: tuple[int, int, int],
    nx: int,
    bits: NDArray[np.uint64],
) -> None:
    """Put a slab's boundary map (n, ny, words) together from its windows on their grid (z, y, x).

    ``values`` are the distinct windows, ``step`` is z, y, x, and ``nx`` the length of a row.
    """
    from compresso.kernels import windows

    packed = np.empty(indices.shape, packed_type(step))
    windows.look_up(indices.reshape(-1), values, packed.reshape(-1))
    windows.unpack(packed, nx, step, bits)
