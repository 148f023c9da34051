"""Reads ``cpso`` streams."""

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from compresso import outlines
from compresso.arrays import Labels, check_fits, frozen
from compresso.codec import Watch, unwatched
from compresso.encodings._cpso import Sections, Unsigned
from compresso.errors import DecodeError
from compresso.outlines import Outline, Settle
from compresso.windows import packed_type


def paint(
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
        Told of slices of ``out`` that are complete.

    Raises
    ------
    DecodeError
        Where the stream contradicts itself, or a label does not fit ``out``.
    """
    if out.size == 0:
        return
    if out.dtype.itemsize < sections.header.data_width:
        wide = np.empty(out.shape, sections.header.label_type)
        paint(sections, wide, z0, threads)
        check_fits(wide, out.dtype)
        out[...] = wide
        return
    deep = sections.header.connectivity == 6
    draw = _Draw(sections, z0, z0 + len(out))
    outline = outlines.outline(out, 1 if z0 else draw.zstep, 1 if deep else threads, draw)
    outline, n_ids = _joined(outline, out) if deep else (outline, int(outline.counts.sum()))
    at, end, location, stop = _stretch(sections, z0, outline)
    if end - at != n_ids:
        raise DecodeError(f"cpso stream: {end - at} ids, but the boundary map needs {n_ids}")
    ids = sections.ids[at:end].astype(out.dtype)
    settle = _settler(sections, z0, outline, location, stop, out)
    outlines.paint(outline, ids, settle, out, 1 if deep else threads, watch)


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


def _joined(outline: Outline, out: Labels) -> tuple[Outline, int]:
    """Join the components of the slices to 6-connected ones, and count those.

    They are numbered in the volume: no slice has a number of its own to begin with.
    """
    from compresso.kernels import cpso

    starts = sorted(outline.component)
    pieces = [outline.component[z] for z in starts]
    whole = np.concatenate(pieces)
    first = np.zeros(int(outline.counts.sum()), np.int64)
    joined = cpso.join(outline.bits, out.shape[2], whole, first, outline.counts)
    parts = np.split(whole, np.cumsum([piece.size for piece in pieces])[:-1])
    volume = dataclasses.replace(
        outline,
        component=dict(zip(starts, parts, strict=True)),
        counts=np.zeros_like(outline.counts),
        indeterminate=cpso.count_open(outline.bits, True),
    )
    return volume, len(joined)


def _stretch(sections: Sections, z0: int, outline: Outline) -> tuple[int, int, int, int]:
    """Where the ids and the locations of the outline's slices begin and end.

    Raises DecodeError where the index contradicts the slices' numbers of components.
    """
    if sections.index is None:
        return 0, sections.ids.size, 0, sections.locations.size
    z1 = z0 + outline.counts.size
    components, before = sections.index.astype(np.int64)
    if not np.array_equal(components[z0:z1], outline.counts):
        raise DecodeError("cpso stream: the index contradicts the components of the boundary map")
    ids = np.concatenate([[0], np.cumsum(components)])
    locations = np.append(np.cumsum(before), sections.locations.size)
    end = sections.ids.size if z1 == components.size else ids[z1]
    return int(ids[z0]), int(end), int(locations[z0]), int(locations[z1])


def _settler(
    sections: Sections, z0: int, outline: Outline, location: int, stop: int, out: Labels
) -> Settle:
    """What gives indeterminate voxels their labels, by the entries location..stop-1."""
    from compresso.kernels import cpso

    entries = sections.locations[location:stop]
    starts = np.empty(outline.indeterminate.size + 1, np.int64)
    if not cpso.location_starts(entries, outline.indeterminate, starts):
        raise DecodeError(
            f"cpso stream: {entries.size} locations do not fit the {outline.indeterminate.sum()} "
            "voxels that need one"
        )
    if sections.index is not None:
        _check_index(sections.index[1], z0, location + starts)
    across, deep = sections.index is None, sections.header.connectivity == 6

    def settle(z0: int, z1: int) -> None:
        own = frozen(entries[starts[z0] : starts[z1]])
        bad = cpso.resolve(outline.bits, z0, z1, own, across, deep, out)
        if bad >= 0:
            raise DecodeError(
                f"cpso stream: location {location + starts[z0] + bad} points outside the volume, "
                "to a boundary voxel, or to another slice"
            )

    return settle


def _check_index(before: Unsigned, z0: int, starts: NDArray[np.int64]) -> None:
    """Compare where the index and the locations themselves say that slices begin."""
    expected = np.cumsum(before.astype(np.int64))[z0 : z0 + starts.size]
    if not np.array_equal(starts[: expected.size], expected):
        raise DecodeError("cpso stream: the index contradicts the locations")
