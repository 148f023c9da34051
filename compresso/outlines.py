"""The paper's model of a volume (its section 2): a boundary map, components, ids and locations.

To encode, :func:`trace` walks over the volume slab by slab. To decode, :func:`outline` finds the
components of a boundary map, and :func:`paint` gives every voxel its label. Where a slab begins,
which slices beside it are looked at, and what has been painted already, is known only here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, block
from compresso.codec import Watch
from compresso.errors import DecodeError
from compresso.parallel import Span, parallel, ranges, slab_depth, slabs


@dataclass(frozen=True)
class Slab:
    """Some slices of a volume with their boundary map, and the slices beside them.

    Parameters
    ----------
    z0 : int
        The volume's slice that is the slab's first own one.
    labels : (n, ny, nx) unsigned, C order, native byte order
        Its own slices, and one more on either side where the volume has one.
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
        """Labels without those of the slices beside it."""
        return self.labels[self.start : self.stop]

    @property
    def own_bits(self) -> NDArray[np.uint64]:
        """Boundary map without that of the slices beside it."""
        return self.bits[self.start : self.stop]


def trace(volume: Labels, span: Span, multiple: int, watch: Watch) -> Iterator[Slab]:
    """Mark the boundaries of slices z0..z1-1, slab by slab, each slice once.

    Parameters
    ----------
    volume : (nz, ny, nx) unsigned, not empty
    span : (int, int)
        z0, a multiple of ``multiple``, and z1.
    multiple : int
        Slabs begin at multiples of it.
    watch : callable
        Told of the slices of each slab before it is read.
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
class Outline:
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


def outline(
    out: Labels, multiple: int, threads: int, draw: Callable[[int, NDArray[np.uint64]], None]
) -> Outline:
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
    return Outline(bits, spans, component, counts, first_marked, indeterminate)


#: Labels the indeterminate voxels of slices z0..z1-1, whose neighbours have their labels.
Settle = Callable[[int, int], None]


def settler(shape: Outline, locations: NDArray[np.uint64], out: Labels) -> Settle:
    """Give indeterminate voxels their labels by the paper's locations.

    Parameters
    ----------
    shape : Outline
    locations : (n_indeterminate,) uint64
        Of each indeterminate voxel in raster order: 0 to 5, the neighbour x-1, x+1, y-1, y+1, z-1,
        z+1 to copy from, else its label + 6.
    out : (nz, ny, nx) unsigned, C order, changed

    Returns
    -------
    callable
        Raises DecodeError where a location points outside the volume or to a boundary voxel.
    """
    from compresso.kernels import labels

    starts = np.concatenate([[0], np.cumsum(shape.indeterminate)])

    def settle(z0: int, z1: int) -> None:
        low, high = max(z0 - 1, 0), min(z1 + 1, len(out))
        start, stop = starts[[z0, z1]]
        bad = labels.resolve(
            shape.bits[low:high], z0 - low, z1 - low, locations[start:stop], out[low:high]
        )
        if bad >= 0:
            raise DecodeError(
                f"location {start + bad} points outside the volume or to a boundary voxel"
            )

    return settle


def paint(
    shape: Outline, ids: Labels, settle: Settle, out: Labels, threads: int, watch: Watch
) -> None:
    """Give every voxel its label.

    Parameters
    ----------
    shape : Outline
    ids : (n_components,) of the dtype of ``out``
        Label of each component, slice after slice.
    settle : callable
        Labels the indeterminate voxels of some slices of ``out``.
    out : (nz, ny, nx) unsigned, C order, overwritten
    threads : int
    watch : callable
        Told of slices that are complete.
    """
    from compresso.kernels import labels

    id_starts = np.cumsum(shape.counts) - shape.counts

    def finish(z0: int, z1: int) -> None:
        if z0 < z1:
            settle(z0, z1)
            watch(z0, z1)

    def paint_range(slabs_of_range: Sequence[Span]) -> None:
        """Label consecutive slabs, except the indeterminate voxels of the outermost slices."""
        finished = slabs_of_range[0][0] + 1
        for s0, s1 in slabs_of_range:
            component = shape.component.pop(s0)
            labels.fill(shape.bits[s0:s1], component, ids, id_starts[s0:s1], out[s0:s1])
            # The last slice may copy from the next slab, which is not painted yet.
            finish(finished, s1 - 1)
            finished = max(finished, s1 - 1)

    parallel(paint_range, shape.ranges, threads)
    # The outermost slices of each range may copy labels from the range beside it.
    for z in sorted({z for span in shape.ranges for z in (span[0][0], span[-1][1] - 1)}):
        finish(z, z + 1)
