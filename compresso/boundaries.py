"""The paper's model of a volume (its section 2): boundary map, components, locations, windows.

To encode, :func:`mark_boundaries` walks over the volume slab by slab and :class:`WindowCollector`
cuts the boundary map into windows. To decode, :func:`unpack_windows` puts the boundary map together
again, :func:`find_components` finds its components, and :func:`fill_labels` gives every voxel its
label. Where a slab begins, which neighbouring slices it needs, and which slices are complete, is
known only here.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, block
from compresso.codec import Watch
from compresso.errors import DecodeError
from compresso.parallel import Span, parallel, ranges, slab_depth, slabs


@dataclass(frozen=True)
class Slab:
    """Some slices of a volume with their boundary map, and their neighbouring slices.

    Parameters
    ----------
    z0 : int
        The volume's slice that is the slab's first own one.
    labels : (n, ny, nx) unsigned, C order, native byte order
        Its own slices, and one more on either side if the volume has one.
    bits : (n, ny, words) uint64
        The boundary map of the same slices.
    start, stop : int
        Which of them are its own.
    """

    z0: int
    labels: Labels
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
    """Mark the boundaries of slices z0..z1-1, slab by slab, each slice once.

    Parameters
    ----------
    volume : (nz, ny, nx) unsigned, not empty
    span : (int, int)
        z0, a multiple of ``multiple``, and z1.
    multiple : int
        Slabs begin at multiples of it.
    watch : callable
        Called with the range of each block of slices before it is read.
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
        labels = block(volume, b0, b1)
        boundary.mark(labels[marked - b0 :], bits[marked - low : b1 - low])
        marked = b1
        yield Slab(s0, labels, bits[b0 - low : b1 - low], s0 - b0, s1 - b0)


@dataclass(frozen=True)
class Components:
    """A boundary map and its components, before they have labels.

    Parameters
    ----------
    bits : (nz, ny, words) uint64
        The boundary map.
    ranges : sequence of sequences of (int, int)
        The slabs of each thread's range.
    component : dict of int to (n_runs,) uint32
        The component of each run of non-boundary voxels, for the slab that begins at a slice.
    counts : (nz,) int64
        Components of each slice.
    first_marked : (nz, 2) int64
        y and x of the first boundary voxel of each slice, or -1.
    indeterminate : (nz,) int64
        Indeterminate voxels of each slice.
    """

    bits: NDArray[np.uint64]
    ranges: Sequence[Sequence[Span]]
    component: dict[int, NDArray[np.uint32]]
    counts: NDArray[np.int64]
    first_marked: NDArray[np.int64]
    indeterminate: NDArray[np.int64]


def find_components(
    out: Labels, multiple: int, threads: int, draw: Callable[[int, NDArray[np.uint64]], None]
) -> Components:
    """Put a boundary map together and find its components.

    Parameters
    ----------
    out : (nz, ny, nx), not empty
        What will be painted; only its shape, layout and dtype matter.
    multiple : int
        Slabs begin at multiples of it.
    threads : int
    draw : callable
        Given a slice z0 and a boundary map (n, ny, words), writes slices z0..z0+n-1 to it.
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

    parallel(find, spans, threads)
    return Components(bits, spans, component, counts, first_marked, indeterminate)


#: Labels the indeterminate voxels of slices z0..z1-1, whose neighbours have their labels.
Resolve = Callable[[int, int], None]


def resolver(found: Components, locations: NDArray[np.uint64], out: Labels) -> Resolve:
    """Give indeterminate voxels their labels by the paper's locations.

    Parameters
    ----------
    found : Components
    locations : (n_indeterminate,) uint64
        For each indeterminate voxel in raster order: 0 to 5, the neighbour x-1, x+1, y-1, y+1, z-1,
        z+1 to copy from, else its label + 6.
    out : (nz, ny, nx) unsigned, C order, changed

    Returns
    -------
    callable
        Raises DecodeError if a location points outside the volume or to a boundary voxel.
    """
    from compresso.kernels import labels

    starts = np.concatenate([[0], np.cumsum(found.indeterminate)])

    def resolve(z0: int, z1: int) -> None:
        low, high = max(z0 - 1, 0), min(z1 + 1, len(out))
        start, stop = starts[[z0, z1]]
        bad = labels.resolve(
            found.bits[low:high], z0 - low, z1 - low, locations[start:stop], out[low:high]
        )
        if bad >= 0:
            raise DecodeError(
                f"location {start + bad} points outside the volume or to a boundary voxel"
            )

    return resolve


def fill_labels(
    found: Components, ids: Labels, resolve: Resolve, out: Labels, threads: int, watch: Watch
) -> None:
    """Give every voxel its label.

    Parameters
    ----------
    found : Components
    ids : (n_components,) of the dtype of ``out``
        Label of each component, slice after slice.
    resolve : callable
        Labels the indeterminate voxels of some slices of ``out``.
    out : (nz, ny, nx) unsigned, C order, overwritten
    threads : int
    watch : callable
        Called with the range of each finished block of slices.
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

    parallel(fill_range, found.ranges, threads)
    # The outermost slices of each range may copy labels from the neighbouring range.
    for z in sorted({z for span in found.ranges for z in (span[0][0], span[-1][1] - 1)}):
        finish(z, z + 1)


def window_grid(shape: Sequence[int], step: Sequence[int]) -> tuple[int, ...]:
    """How many windows of ``step`` voxels cover a volume; both are z, y, x."""
    return tuple(-(-n // s) for n, s in zip(shape, step, strict=True))


def packed_type(step: Sequence[int]) -> type[np.unsignedinteger[Any]]:
    """What windows of ``step`` voxels are packed in."""
    return np.uint16 if math.prod(step) <= 16 else np.uint64


@dataclass(frozen=True)
class Windows:
    """The windows of consecutive slices.

    Parameters
    ----------
    values : (n_values,) uint64
        The distinct windows, ascending.
    indices : (n_windows,) uint32
        Each window's place in ``values``, in raster order.
    """

    values: NDArray[np.uint64]
    indices: NDArray[np.uint32]


class WindowCollector:
    """Cuts the boundary map of consecutive slabs into windows, and numbers them at the end.

    Parameters
    ----------
    shape : tuple of int
        Shape of all slabs together, z, y, x.
    step : tuple of int
        Size of a window, z, y, x.
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
    parallel(lambda p: windows.renumber(p.indices, p.values, values), parts, threads)
    return Windows(values, np.concatenate([part.indices for part in parts]))


def unpack_windows(
    indices: NDArray[np.uint32],
    values: NDArray[np.uint64],
    step: tuple[int, int, int],
    nx: int,
    bits: NDArray[np.uint64],
) -> None:
    """Put a slab's boundary map together, the inverse of :class:`WindowCollector`.

    Parameters
    ----------
    indices : (z, y, x) uint32
        The windows of the slab, on their grid.
    values : (n_values,) uint64
    step : tuple of int
        Size of a window, z, y, x.
    nx : int
        Row length in voxels.
    bits : (n, ny, words) uint64, overwritten
    """
    from compresso.kernels import windows

    packed = np.empty(indices.shape, packed_type(step))
    windows.look_up(indices.reshape(-1), values, packed.reshape(-1))
    windows.unpack(packed, nx, step, bits)
