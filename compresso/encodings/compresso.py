"""Compresso, the stream of the MICCAI 2017 paper (docs/formats.md, section 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compresso.codec import Buffer, Encoding, Labels, Watch
from compresso.errors import DecodeError, EncodeError, SpecError
from compresso.spec import Extent
from compresso.volume import (
    as_volume,
    block,
    check_fits,
    check_shape,
    frozen,
    parallel,
    ranges,
    slab_depth,
)

HEADER_WORDS = 9
ENTRY_LIMIT = 1 << 31  # window indices and zero runs are stored doubled, in 32 bits


class Part(NamedTuple):
    """What one range of slices adds to the stream."""

    ids: list[NDArray[np.uint64]]
    locations: list[NDArray[np.uint64]]
    values: NDArray[np.uint64]  # distinct windows, ascending
    indices: NDArray[np.uint32]  # of each window, into values


@dataclass(frozen=True)
class Compresso(Encoding):
    """Compresso: boundary windows, one id a component, and the exceptions.

    Parameters
    ----------
    window : Extent
        Size of a window, x, y, z, at most 64 voxels together. Default 8x8x1, as in the paper.

    References
    ----------
    Matejek et al., "Compresso: Efficient Compression of Segmentation Data for Connectomics",
    MICCAI 2017, section 2.
    """

    name = "compresso"
    window: Extent = Extent("8x8x1")

    def __post_init__(self) -> None:
        if math.prod(self.window) > 64:
            raise SpecError(f"compresso: a window of {self.window} has more than 64 voxels")

    @property
    def _step(self) -> tuple[int, int, int]:
        x, y, z = self.window
        return z, y, x

    def encode(self, labels: Labels, threads: int = 1) -> bytes:
        """Encode labels, to the bytes that the published program writes.

        Raises EncodeError for a label that the stream cannot hold: 2**64 - 1 as an id, or one
        above 2**64 - 7 that has to be spelled out as a location.
        """
        return self.encode_watched(as_volume(labels), threads)

    def encode_watched(self, volume: Labels, threads: int = 1, watch: Watch | None = None) -> bytes:
        """Encode a volume slab by slab, and tell ``watch`` of each."""
        spans = ranges(volume.shape[0], threads, self._step[0]) if volume.size else []
        parts = parallel(lambda span: self._encode_range(volume, *span, watch), spans, threads)
        values, indices = _merge_windows(parts, threads)
        ids = [piece for part in parts for piece in part.ids]
        locations = [piece for part in parts for piece in part.locations]
        counts = [sum(map(len, ids)), values.size, sum(map(len, locations))]
        header = np.array([*volume.shape, *counts, *self._step], np.uint64)
        words = [_little(section) for section in (header, *ids, values, *locations)]
        return b"".join([*words, _little(indices)])

    def _encode_range(self, volume: Labels, z0: int, z1: int, watch: Watch | None) -> Part:
        """Encode slices z0..z1-1, slab by slab; z0 is a multiple of the window's z size."""
        from compresso.kernels import boundary, components, labels, windows

        nz, ny, nx = volume.shape
        low, high = max(z0 - 1, 0), min(z1 + 1, nz)  # with the neighbours that locations look at
        bits = np.empty((high - low, ny, -(-nx // 64)), np.uint64)
        step = self._step
        n_windows = math.prod(_grid((z1 - z0, ny, nx), step))
        # Room for every window; the pages that blank ones leave unused are never touched.
        keys, places = np.empty(n_windows, np.uint64), np.empty(n_windows, np.uint32)
        n_keys = n_packed = 0
        ids, locations = [], []
        marked = low
        for s0, s1 in _slabs(z0, z1, slab_depth(volume, step[0])):
            if watch:
                watch(s0, s1)
            b0, b1 = max(s0 - 1, 0), min(s1 + 1, nz)
            slab = block(volume, b0, b1)
            boundary.mark(slab[marked - b0 :], bits[marked - low : b1 - low])
            marked = b1
            own = bits[s0 - low : s1 - low]

            _, first, counts = components.label_runs(own, nx)
            ids.append(
                labels.identify(slab[s0 - b0 : s1 - b0], first, counts, boundary.first_marked(own))
            )
            if not ids[-1].all():
                raise _label_error(volume[s0:s1], s0, 2**64 - 1, "an id is label + 1")

            locations.append(np.empty(boundary.count_indeterminate(own).sum(), np.uint64))
            around = bits[b0 - low : b1 - low]
            bad = labels.locate(slab, around, s0 - b0, s1 - b0, locations[-1])
            if bad >= 0:
                label = slab.reshape(-1)[bad]
                raise _label_error(volume[s0:s1], s0, label, "a location is label + 6")

            packed = np.empty(_grid((*own.shape[:2], nx), step), np.uint64)
            windows.pack(own, nx, step, packed)
            n_keys = windows.collect(packed.reshape(-1), n_packed, keys, places, n_keys)
            n_packed += packed.size
        del bits, around, own
        keys, places = windows.sort(keys[:n_keys], places[:n_keys])
        indices = np.zeros(n_windows, np.uint32)
        return Part(ids, locations, windows.rank(keys, places, indices), indices)

    def decode(
        self,
        stream: Buffer,
        shape: Sequence[int] | None = None,
        dtype: DTypeLike = np.uint64,
        threads: int = 1,
    ) -> Labels:
        """Decode a stream of any window size; the stream's own header says which."""
        sections = _parse(stream, shape)
        out = np.empty(sections.shape, np.dtype(dtype).newbyteorder("="))
        _paint(sections, out, threads)
        return out.astype(dtype, copy=False)

    def _decode_plain(self, stream: Buffer, out: Labels, threads: int, watch: Watch | None) -> None:
        _paint(_parse(stream, out.shape), out, threads, watch)


class Sections(NamedTuple):
    """A stream taken apart; every count agrees with its length."""

    shape: tuple[int, int, int]
    step: tuple[int, int, int]
    ids: NDArray[np.uint64]
    values: NDArray[np.uint64]
    locations: NDArray[np.uint64]
    entries: NDArray[np.uint32]


class Outline(NamedTuple):
    """The components of one slab, before they have labels."""

    component: NDArray[np.uint32]  # of each run of non-boundary voxels
    counts: NDArray[np.int64]  # components of each slice
    marked: NDArray[np.int64]  # y, x of the first boundary voxel of each slice, or -1
    indeterminate: NDArray[np.int64]  # indeterminate voxels of each slice


def _paint(sections: Sections, out: Labels, threads: int, watch: Watch | None = None) -> None:
    """Decode a stream to a volume, C order, of its shape."""
    if out.size == 0:
        return
    check_fits(sections.ids - np.uint64(1), out.dtype)
    check_fits(sections.locations[sections.locations >= 6] - np.uint64(6), out.dtype)
    nz, ny, nx = out.shape
    bits = np.empty((nz, ny, -(-nx // 64)), np.uint64)
    depth = slab_depth(out, sections.step[0])
    spans = [_slabs(*span, depth) for span in ranges(nz, threads, sections.step[0])]
    painter = Painter(sections, bits, out, _outlines(sections, bits, spans), watch)
    parallel(painter.paint, spans, threads)
    # The outermost slices of each range may copy labels from the range beside it.
    for z in sorted({z for slabs in spans for z in (slabs[0][0], slabs[-1][1] - 1)}):
        painter.resolve(z, z + 1)


class Painter:
    """Writes labels into the decoded volume, slab by slab, from any thread."""

    def __init__(
        self,
        sections: Sections,
        bits: NDArray[np.uint64],
        out: Labels,
        outlines: Sequence[Outline],
        watch: Watch | None,
    ) -> None:
        counts = np.concatenate([o.counts for o in outlines])
        marked = np.concatenate([o.marked for o in outlines])
        indeterminate = np.concatenate([o.indeterminate for o in outlines])
        extra = int((marked[:, 0] >= 0).sum())
        _check_count("ids", sections.ids.size, int(counts.sum()) + extra)
        _check_count("locations", sections.locations.size, int(indeterminate.sum()))
        at = _boundary_entries(counts, marked) + np.arange(extra)
        self._ids = (np.delete(sections.ids, at) - np.uint64(1)).astype(out.dtype)
        self._id_starts = np.cumsum(counts) - counts
        self._locations = sections.locations
        self._location_starts = np.concatenate([[0], np.cumsum(indeterminate)])
        depths = [o.counts.size for o in outlines]
        self._components = dict(
            zip(np.cumsum([0, *depths]).tolist(), [o.component for o in outlines], strict=False)
        )
        self._bits, self._out, self._watch = bits, out, watch

    def paint(self, slabs: Sequence[tuple[int, int]]) -> None:
        """Label consecutive slabs, except the indeterminate voxels of the outermost slices."""
        from compresso.kernels import labels

        done = slabs[0][0] + 1
        for s0, s1 in slabs:
            labels.fill(
                self._bits[s0:s1],
                self._components.pop(s0),
                self._ids,
                self._id_starts[s0:s1],
                self._out[s0:s1],
            )
            self.resolve(done, s1 - 1)
            done = max(done, s1 - 1)

    def resolve(self, z0: int, z1: int) -> None:
        """Label the indeterminate voxels of slices z0..z1-1, whose neighbours are painted."""
        from compresso.kernels import labels

        if z0 >= z1:
            return
        low, high = max(z0 - 1, 0), min(z1 + 1, self._out.shape[0])
        start, stop = self._location_starts[[z0, z1]]
        bad = labels.resolve(
            self._bits[low:high],
            z0 - low,
            z1 - low,
            self._locations[start:stop],
            self._out[low:high],
        )
        if bad >= 0:
            raise DecodeError(
                f"compresso stream: location {start + bad} points outside the volume or to a "
                "boundary voxel"
            )
        if self._watch:
            self._watch(z0, z1)


def _slabs(z0: int, z1: int, depth: int) -> list[tuple[int, int]]:
    """Split slices z0..z1-1 into slabs."""
    return [(s, min(s + depth, z1)) for s in range(z0, z1, depth)]


def _grid(shape: Sequence[int], step: Sequence[int]) -> tuple[int, ...]:
    """How many windows cover the volume, z, y, x."""
    return tuple(-(-n // s) for n, s in zip(shape, step, strict=True))


def _little(section: NDArray[np.unsignedinteger]) -> memoryview:
    """The bytes of an array, little-endian."""
    return (
        np.ascontiguousarray(section, section.dtype.newbyteorder("<"))
        .reshape(-1)
        .view(np.uint8)
        .data
    )


def _native(section: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Little-endian numbers as the machine's own."""
    return frozen(section.astype(section.dtype.newbyteorder("="), copy=False))


def _boundary_entries(counts: NDArray[np.int64], marked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Before which component's id each slice with boundary voxels has its extra one.

    All voxels before the first boundary voxel are one component, if there are any.
    """
    starts = np.cumsum(counts) - counts
    return (starts + (marked.any(axis=1)))[marked[:, 0] >= 0]


def _merge_windows(
    parts: Sequence[Part], threads: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """The distinct windows of all parts, ascending, and the run-length coded indices into them."""
    from compresso.kernels import windows

    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.uint32)
    values, indices = parts[0].values, parts[0].indices
    if len(parts) > 1:
        values = np.sort(np.concatenate([p.values for p in parts]))
        values = values[np.append(True, values[1:] != values[:-1])]
        parallel(lambda p: windows.renumber(p.indices, p.values, values), parts, threads)
        indices = np.concatenate([p.indices for p in parts])
    written = windows.squeeze(indices, ENTRY_LIMIT)
    if written < 0:
        raise EncodeError(
            f"{indices.size} windows are more than the stream's 32-bit entries can count; "
            "encode the volume in pieces"
        )
    return values, indices[:written]


def _label_error(slab: Labels, z0: int, label: int, reason: str) -> EncodeError:
    """The error for a label of a slab that begins at slice z0."""
    z, y, x = (int(i) for i in np.argwhere(slab == label)[0])
    return EncodeError(
        f"label {slab[z, y, x]} at voxel (z, y, x) = {(z0 + z, y, x)} does not fit the compresso "
        f"stream ({reason}, in 64 bits); use the encoding 'neuroglancer' or 'none', or relabel "
        "the volume"
    )


def _parse(stream: Buffer, expected: Sequence[int] | None = None) -> Sections:
    """Take a stream apart; raises DecodeError where header and length disagree."""
    size = memoryview(stream).nbytes
    if size < 8 * HEADER_WORDS:
        raise DecodeError(f"compresso stream: {size} bytes are too few for the header of 72")
    header = [int(word) for word in np.frombuffer(stream, "<u8", HEADER_WORDS)]
    shape, counts, step = header[:3], header[3:6], header[6:]
    if min(step) < 1 or math.prod(step) > 64:
        raise DecodeError(f"compresso stream: the header's window {step} is none")
    check_shape(shape, expected)
    rest = size - 8 * (HEADER_WORDS + sum(counts))
    n_windows = math.prod(_grid(shape, step))
    if rest < 0 or rest % 4 or rest // 4 > n_windows or max(shape) >= 1 << 31:
        raise DecodeError(
            f"compresso stream: {size} bytes do not fit the header's shape {shape} and "
            f"{counts} ids, values and locations"
        )
    if counts[0] < (shape[0] if n_windows else 0):
        raise DecodeError(f"compresso stream: {counts[0]} ids for {shape[0]} slices")
    if (n_windows == 0) != (counts[1] == 0):
        raise DecodeError(f"compresso stream: {counts[1]} window values for {n_windows} windows")
    words = _native(np.frombuffer(stream, "<u8", sum(counts), 8 * HEADER_WORDS))
    ids, values, locations = np.split(words, np.cumsum(counts)[:2])
    entries = _native(np.frombuffer(stream, "<u4", rest // 4, size - rest))
    if not ids.all() or not (values[1:] > values[:-1]).all():
        raise DecodeError("compresso stream: an id is 0, or the window values do not ascend")
    return Sections(
        (shape[0], shape[1], shape[2]), (step[0], step[1], step[2]), ids, values, locations, entries
    )


def _expand_windows(sections: Sections) -> NDArray[np.uint32]:
    """The index of every window, on the grid of windows."""
    from compresso.kernels import windows

    grid = _grid(sections.shape, sections.step)
    indices = np.empty(math.prod(grid), np.uint32)
    bad = windows.expand(sections.entries, sections.values.size, indices)
    if bad >= 0:
        raise DecodeError(f"compresso stream: window entry {bad} contradicts the header")
    return indices.reshape(grid)


def _outlines(
    sections: Sections, bits: NDArray[np.uint64], spans: Sequence[Sequence[tuple[int, int]]]
) -> list[Outline]:
    """Put the boundary map together and find its components, each span of slabs on a thread."""
    indices = _expand_windows(sections)

    def outline(slabs: Sequence[tuple[int, int]]) -> list[Outline]:
        return [_outline(sections, indices, bits[s0:s1], s0) for s0, s1 in slabs]

    return [o for part in parallel(outline, spans, len(spans)) for o in part]


def _outline(
    sections: Sections, indices: NDArray[np.uint32], bits: NDArray[np.uint64], s0: int
) -> Outline:
    """Put the boundary map of one slab together, from slice s0 on, and find its components."""
    from compresso.kernels import boundary, components, windows

    zstep = sections.step[0]
    nx = sections.shape[2]
    rows = indices[s0 // zstep : -(-(s0 + bits.shape[0]) // zstep)]
    packed = np.empty(rows.shape, np.uint64)
    windows.spell(rows.reshape(-1), sections.values, packed.reshape(-1))
    windows.unpack(packed, nx, sections.step, bits)
    component, _, counts = components.label_runs(bits, nx)
    marked = boundary.first_marked(bits)
    return Outline(component, counts, marked, boundary.count_indeterminate(bits))


def _check_count(what: str, found: int, needed: int) -> None:
    if found != needed:
        raise DecodeError(f"compresso stream: {found} {what}, but the boundary map needs {needed}")
