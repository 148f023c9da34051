"""Compresso, the stream of the MICCAI 2017 paper (docs/formats.md, section 1)."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compresso import boundaries as model
from compresso.arrays import Labels, Shape, check_fits, little_endian, native_endian
from compresso.codec import Buffer, Encoding, Extent, Watch
from compresso.errors import DecodeError, EncodeError, LabelError
from compresso.parallel import Span, on_threads, ranges

HEADER_WORDS = 9
ENTRY_LIMIT = 1 << 31  # window indices and zero runs are stored doubled, in 32 bits
CODES = 6  # a location below it names a neighbour; a label is stored past it

Words = NDArray[np.uint64]


class Sections(NamedTuple):
    """A stream taken apart; every count agrees with its length."""

    shape: Shape
    step: tuple[int, int, int]
    ids: Words
    values: Words
    locations: Words
    entries: NDArray[np.uint32]


@dataclass(frozen=True)
class Compresso(Encoding):
    """The stream of the paper: windows of the boundary map, and one id per component.

    Parameters
    ----------
    window : Extent
        Size of a window, x, y, z, at most 64 voxels. Default 8x8x1, as in the paper.

    References
    ----------
    Matejek et al., "Compresso: Efficient Compression of Segmentation Data for Connectomics",
    MICCAI 2017, section 2.
    """

    name = "compresso"
    working_bytes = 2
    limits = {"window": (1, 64)}
    window: Extent = Extent("8x8x1")

    def encode_volume(self, volume: Labels, threads: int, watch: Watch) -> bytes:
        """Encode labels, to the bytes that the published program writes.

        Raises EncodeError for a label that the stream cannot hold: 2**64 - 1 as an id, or one
        above 2**64 - 7 that has to be stored literally as a location.
        """
        step = self.window.zyx

        def encode_range(span: Span) -> tuple[list[Words], list[Words], model.Windows]:
            """Encode slices z0..z1-1 slab by slab; z0 is a multiple of the window's z size."""
            ids, locations = [], []
            collector = model.WindowCollector((span[1] - span[0], *volume.shape[1:]), step)
            for slab in model.mark_boundaries(volume, span, step[0], watch):
                ids.append(_ids(slab))
                locations.append(_locations(slab))
                collector.add(slab.own_bits)
            return ids, locations, collector.finish()

        spans = ranges(volume.shape[0], threads, step[0]) if volume.size else []
        parts = on_threads(encode_range, spans, threads)
        ids = [piece for part in parts for piece in part[0]]
        locations = [piece for part in parts for piece in part[1]]
        values, entries = _squeezed([part[2] for part in parts], threads)
        counts = [sum(map(len, ids)), values.size, sum(map(len, locations))]
        header = np.array([*volume.shape, *counts, *step], np.uint64)
        sections: list[Labels] = [header, *ids, values, *locations, entries]
        return b"".join(map(little_endian, sections))

    def shape_of(self, stream: Buffer) -> Shape:
        return _header(stream)[0]

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode a stream of any window size; the stream's own header says which."""
        from compresso.kernels import labels, windows

        sections = _parse(stream)
        if out.size == 0:
            return
        locations, step = sections.locations, sections.step
        check_fits(sections.ids - np.uint64(1), out.dtype)
        check_fits(np.maximum(locations, CODES) - np.uint64(CODES), out.dtype)
        indices = np.empty(model.window_grid(out.shape, step), np.uint32)
        bad = windows.expand(sections.entries, sections.values.size, indices.reshape(-1))
        if bad >= 0:
            raise DecodeError(f"compresso stream: window entry {bad} contradicts the header")

        def draw(z0: int, bits: Words) -> None:
            rows = indices[z0 // step[0] : -(-(z0 + len(bits)) // step[0])]
            model.unpack_windows(rows, sections.values, step, out.shape[2], bits)

        found = model.find_components(out, step[0], threads, draw)
        ids = _component_ids(sections, found).astype(out.dtype)
        starts = np.concatenate([[0], np.cumsum(found.indeterminate)])

        def resolve(z0: int, z1: int) -> None:
            low, high = max(z0 - 1, 0), min(z1 + 1, len(out))
            own = locations[starts[z0] : starts[z1]]
            bad = labels.resolve(found.bits[low:high], z0 - low, z1 - low, own, out[low:high])
            if bad >= 0:
                raise DecodeError(
                    f"location {starts[z0] + bad} points outside the volume or to a boundary voxel"
                )

        model.fill_labels(found, ids, resolve, out, threads, watch)


def _ids(slab: model.Slab) -> Words:
    """The ids of a slab's components and, for each slice, of its first boundary voxel."""
    from compresso.kernels import boundary, components, labels

    _, first, counts = components.label_runs(slab.own_bits, slab.labels.shape[2])
    first_marked = boundary.first_marked(slab.own_bits)
    ids: Words = labels.identify(slab.own_labels, first, counts, first_marked)
    if not ids.all():
        raise _label_error(slab, 2**64 - 1, "an id is label + 1")
    return ids


def _locations(slab: model.Slab) -> Words:
    """The locations of a slab's indeterminate voxels."""
    from compresso.kernels import boundary, labels

    locations = np.empty(boundary.count_indeterminate(slab.own_bits).sum(), np.uint64)
    bad = labels.locate(slab.labels, slab.bits, slab.start, slab.stop, locations)
    if bad >= 0:
        raise _label_error(slab, slab.labels.reshape(-1)[bad], "a location is label + 6")
    return locations


def _label_error(slab: model.Slab, label: int, reason: str) -> LabelError:
    """The error for a label of a slab."""
    z, y, x = (int(i) for i in np.argwhere(slab.own_labels == label)[0])
    return LabelError(
        label,
        (slab.z0 + z, y, x),
        f"the compresso stream ({reason}, in 64 bits). Use the encoding cpso, or relabel the "
        "volume",
    )


def _squeezed(parts: list[model.Windows], threads: int) -> tuple[Words, NDArray[np.uint32]]:
    """The distinct windows of all parts, and the run-length coded indices into them."""
    from compresso.kernels import windows as kernels

    if not parts:
        return np.empty(0, np.uint64), np.empty(0, np.uint32)
    merged = model.merge_windows(parts, threads)
    entries = merged.indices
    written = kernels.squeeze(entries, ENTRY_LIMIT)
    if written < 0:
        raise EncodeError(
            f"{entries.size} windows are more than the stream's 32-bit entries can count. "
            "Encode the volume in pieces."
        )
    return merged.values, entries[:written]


def _header(stream: Buffer) -> tuple[Shape, list[int], tuple[int, int, int]]:
    """Shape, number of ids, values and locations, and window; raises DecodeError."""
    size = memoryview(stream).nbytes
    if size < 8 * HEADER_WORDS:
        raise DecodeError(f"compresso stream: {size} bytes are too few for the header of 72")
    header = [int(word) for word in np.frombuffer(stream, "<u8", HEADER_WORDS)]
    z, y, x = header[:3]
    zstep, ystep, xstep = header[6:]
    if min(header[6:]) < 1 or math.prod(header[6:]) > 64:
        raise DecodeError(f"compresso stream: a window of {header[6:]} voxels (z, y, x)")
    return (z, y, x), header[3:6], (zstep, ystep, xstep)


def _parse(stream: Buffer) -> Sections:
    """Take a stream apart; raises DecodeError if header and length disagree."""
    shape, counts, step = _header(stream)
    size = memoryview(stream).nbytes
    rest = size - 8 * (HEADER_WORDS + sum(counts))
    n_windows = math.prod(model.window_grid(shape, step))
    if rest < 0 or rest % 4 or rest // 4 > n_windows or max(shape) >= 1 << 31:
        raise DecodeError(
            f"compresso stream: {size} bytes do not fit the header's shape {shape} and "
            f"{counts} ids, values and locations"
        )
    if counts[0] < (shape[0] if n_windows else 0):
        raise DecodeError(f"compresso stream: {counts[0]} ids for {shape[0]} slices")
    if (n_windows == 0) != (counts[1] == 0):
        raise DecodeError(f"compresso stream: {counts[1]} window values for {n_windows} windows")
    words = native_endian(np.frombuffer(stream, "<u8", sum(counts), 8 * HEADER_WORDS))
    ids, values, locations = np.split(words, np.cumsum(counts)[:2])
    entries = native_endian(np.frombuffer(stream, "<u4", rest // 4, size - rest))
    if not ids.all() or not (values[1:] > values[:-1]).all():
        raise DecodeError("compresso stream: an id is 0, or the window values do not ascend")
    return Sections(shape, step, ids, values, locations, entries)


def _component_ids(sections: Sections, components: model.Components) -> Words:
    """The label of each component, without the extra id of each slice that has boundary voxels.

    All voxels before a slice's first boundary voxel are one component, if there are any: the extra
    id comes first where that voxel is the slice's first, else after one other. Raises DecodeError
    if the stream has more or fewer ids or locations than the boundary map needs.
    """
    counts, first = components.counts, components.first_marked
    extra = first[:, 0] >= 0
    for what, found, needed in (
        ("ids", sections.ids.size, counts.sum() + extra.sum()),
        ("locations", sections.locations.size, components.indeterminate.sum()),
    ):
        if found != needed:
            raise DecodeError(
                f"compresso stream: {found} {what}, but the boundary map needs {needed}"
            )
    before = (np.cumsum(counts) - counts + first.any(axis=1))[extra]
    return np.delete(sections.ids, before + np.arange(before.size)) - np.uint64(1)
