"""Reads ``cpso`` streams."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compresso.codec import Labels, Watch
from compresso.encodings._cpso import Sections, Unsigned, grid, slabs
from compresso.errors import DecodeError
from compresso.volume import check_fits, frozen, parallel, ranges, slab_depth


def paint(
    sections: Sections,
    out: Labels,
    z0: int = 0,
    threads: int = 1,
    watch: Watch | None = None,
) -> None:
    """Decode slices z0 and following to an array.

    Parameters
    ----------
    sections : Sections
    out : (nz, ny, nx) unsigned, C order, native, overwritten
        As many slices as are wanted; of streams without index, all of them.
    z0 : int
    threads : int
    watch : callable, optional
        Told of each slice of ``out`` that is complete.

    Raises
    ------
    DecodeError
        Where the stream contradicts itself, or a label does not fit ``out``.
    """
    if out.size == 0:
        return
    if out.dtype.itemsize < sections.header.data_width:
        wide = np.empty(out.shape, sections.header.label_type)
        paint(sections, wide, z0, threads, watch)
        check_fits(wide, out.dtype)
        out[...] = wide
        return
    bits = _boundary(sections, z0, z0 + out.shape[0], threads)
    Painter(sections, bits, z0, out, threads, watch).paint()


def _boundary(sections: Sections, z0: int, z1: int, threads: int) -> NDArray[np.uint64]:
    """The boundary map of slices z0..z1-1."""
    from compresso.kernels import cpso, windows

    header = sections.header
    zstep = header.step[0]
    _, ny, nx = header.shape
    low = z0 // zstep * zstep
    bits = np.empty((z1 - low, ny, -(-nx // 64)), np.uint64)
    n_windows = math.prod(header.grid)
    plane = n_windows // header.grid[0]
    spans = ranges(z1 - low, threads, zstep)
    starts = [(low + start) // zstep * plane for start, _ in spans] + [-(-z1 // zstep) * plane]
    cursors = np.empty((len(starts), 2), np.int64)
    entries, values = sections.windows, sections.values
    bad = cpso.survey(entries, values.size, n_windows, np.array(starts), cursors)
    if bad >= 0:
        raise DecodeError(f"cpso stream: window entry {bad} contradicts the header")

    def unpack(item: tuple[tuple[int, int], NDArray[np.int64]]) -> None:
        (start, stop), cursor = item
        for s0, s1 in slabs(start, stop, zstep * max(1, (1 << 17) // (plane * zstep))):
            packed = np.empty(grid((s1 - s0, ny, nx), header.step), np.uint64)
            cpso.expand(entries, values, cursor, packed.reshape(-1))
            windows.unpack(packed, nx, header.step, bits[s0:s1])

    parallel(unpack, zip(spans, cursors, strict=False), threads)
    return bits[z0 - low :]


class Painter:
    """Writes labels into the slices of a decoded volume, slab by slab, from any thread.

    Slices are counted from the first one of ``out``, which is slice z0 of the stream.
    """

    def __init__(
        self,
        sections: Sections,
        bits: NDArray[np.uint64],
        z0: int,
        out: Labels,
        threads: int,
        watch: Watch | None,
    ) -> None:
        from compresso.kernels import components, cpso

        nz, _, nx = out.shape
        self._deep = sections.header.connectivity == 6
        self._across = sections.index is None
        self._bits, self._out, self._threads, self._watch = bits, out, threads, watch
        depth = slab_depth(out)
        self._spans = [slabs(*span, depth) for span in ranges(nz, 1 if self._deep else threads)]
        edges = [slab for span in self._spans for slab in span]
        runs = parallel(lambda s: components.label_runs(bits[s[0] : s[1]], nx), edges, threads)
        self._components = {slab[0]: found[0] for slab, found in zip(edges, runs, strict=True)}
        counts = np.concatenate([found[2] for found in runs])
        n_ids = int(counts.sum())
        if self._deep:
            n_ids = self._join([found[0] for found in runs], [found[1] for found in runs], counts)
        at, end, location, stop = _stretch(sections, z0, nz, counts)
        _check_count("ids", end - at, n_ids)
        self._ids = sections.ids[at:end].astype(out.dtype)
        self._id_starts = np.zeros(nz, np.int64) if self._deep else np.cumsum(counts) - counts
        self._locations = sections.locations[location:stop]
        self._location_starts = np.empty(nz + 1, np.int64)
        needed = cpso.count_open(bits, self._deep)
        if not cpso.location_starts(self._locations, needed, self._location_starts):
            raise DecodeError(
                f"cpso stream: {self._locations.size} locations do not fit the {needed.sum()} "
                "voxels that need one"
            )
        if sections.index is not None:
            _check_index(sections.index[1], z0, location + self._location_starts)

    def _join(
        self,
        component: list[NDArray[np.uint32]],
        first: list[NDArray[np.int64]],
        counts: NDArray[np.int64],
    ) -> int:
        """Join the components of the slices to 6-connected ones; returns how many there are."""
        from compresso.kernels import cpso

        whole = np.concatenate(component)
        joined = cpso.join(self._bits, self._out.shape[2], whole, np.concatenate(first), counts)
        pieces = np.split(whole, np.cumsum([c.size for c in component])[:-1])
        self._components = dict(zip(self._components, pieces, strict=True))
        return len(joined)

    def paint(self) -> None:
        """Label every voxel."""
        parallel(self._paint_span, self._spans, self._threads)
        # The outermost slices of each span may copy labels from the span beside it.
        for z in sorted({z for span in self._spans for z in (span[0][0], span[-1][1] - 1)}):
            self._resolve(z, z + 1)

    def _paint_span(self, span: Sequence[tuple[int, int]]) -> None:
        from compresso.kernels import labels

        done = span[0][0] + 1
        for s0, s1 in span:
            labels.fill(
                self._bits[s0:s1],
                self._components.pop(s0),
                self._ids,
                self._id_starts[s0:s1],
                self._out[s0:s1],
            )
            self._resolve(done, s1 - 1)
            done = max(done, s1 - 1)

    def _resolve(self, z0: int, z1: int) -> None:
        """Finish slices z0..z1-1, whose neighbours are painted."""
        from compresso.kernels import cpso

        if z0 >= z1:
            return
        start, stop = self._location_starts[[z0, z1]]
        entries = self._locations[start:stop]
        bad = cpso.resolve(self._bits, z0, z1, frozen(entries), self._across, self._deep, self._out)
        if bad >= 0:
            raise DecodeError(
                f"cpso stream: location {start + bad} points outside the volume, to a boundary "
                "voxel, or to another slice"
            )
        if self._watch:
            self._watch(z0, z1)


def _stretch(
    sections: Sections, z0: int, nz: int, counts: NDArray[np.int64]
) -> tuple[int, int, int, int]:
    """Where the ids and the locations of nz slices from z0 on begin and end.

    Raises DecodeError where the index contradicts the slices' numbers of components.
    """
    if sections.index is None:
        return 0, sections.ids.size, 0, sections.locations.size
    components, before = sections.index.astype(np.int64)
    if not np.array_equal(components[z0 : z0 + nz], counts):
        raise DecodeError("cpso stream: the index contradicts the components of the boundary map")
    at = int(components[:z0].sum())
    location = int(before[: z0 + 1].sum())
    if z0 + nz == components.size:
        return at, sections.ids.size, location, sections.locations.size
    stop = location + int(before[z0 + 1 : z0 + nz + 1].sum())
    return at, at + int(counts.sum()), location, stop


def _check_index(before: Unsigned, z0: int, starts: NDArray[np.int64]) -> None:
    """Compare where the index and the locations themselves say that slices begin."""
    expected = np.cumsum(before.astype(np.int64))[z0 : z0 + starts.size]
    if not np.array_equal(starts[: expected.size], expected):
        raise DecodeError("cpso stream: the index contradicts the locations")


def _check_count(what: str, found: int, needed: int) -> None:
    if found != needed:
        raise DecodeError(f"cpso stream: {found} {what}, but the boundary map needs {needed}")
