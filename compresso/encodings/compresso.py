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

HEADER_WORDS = 9
RUN_LIMIT = (1 << 31) - 1  # window indices and zero runs are stored doubled, in 32 bits
CODES = 6  # a location below it names a neighbour; a label is stored past it

Words = NDArray[np.uint64]


class Sections(NamedTuple):
    """A stream taken apart; every count agrees with its length."""

    shape: Shape
    step: tuple[int, int, int]
    ids: Words
    values: Words
    locations: Words
    entries: NDArray[np.uint32]  # of all windows


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
        if not volume.size:
            return bytes(little_endian(np.array([*volume.shape, 0, 0, 0, *step], np.uint64)))
        parts, values, indices = model.encode_slabs(
            volume.shape,
            step,
            lambda span: model.mark_boundaries(volume, span, step[0], watch),
            _encode_slab,
            threads,
        )
        entries = model.squeeze(indices, np.dtype(np.uint32))
        if entries is None or indices.size > RUN_LIMIT:
            raise EncodeError(
                f"{indices.size} windows are more than the stream's 32-bit entries can count. "
                "Encode the volume in pieces."
            )
        if entries.size and entries[-1] & 1:
            entries = entries[:-1]  # the last run of zeros
        ids, locations = zip(*parts, strict=True)
        counts = [sum(map(len, ids)), values.size, sum(map(len, locations))]
        header = np.array([*volume.shape, *counts, *step], np.uint64)
        sections: list[Labels] = [header, *ids, values, *locations, entries]
        return b"".join(map(little_endian, sections))

    def shape_of(self, stream: Buffer) -> Shape:
        return _header(stream)[0]

    def decode_volume(self, stream: Buffer, out: Labels, threads: int, watch: Watch) -> None:
        """Decode a stream of any window size; the stream's own header says which."""
        sections = _parse(stream)
        if out.size == 0:
            return
        locations, step = sections.locations, sections.step
        check_fits(sections.ids - np.uint64(1), out.dtype)
        check_fits(np.maximum(locations, CODES) - np.uint64(CODES), out.dtype)
        windows = sections.entries, sections.values
        draw = model.window_drawer(*windows, out.shape, step, 0, len(out))
        found = model.find_components(out, step[0], threads, draw)
        ids = _component_ids(sections, found).astype(out.dtype)
        starts = np.append(0, np.cumsum(found.indeterminate))
        model.fill_labels(
            found, ids, model.Locations(locations, starts, CODES), out, threads, watch
        )


def _encode_slab(slab: model.Slab) -> tuple[Words, Words]:
    """The ids of a slab's components and first boundary voxels, and the locations of its voxels."""
    from compresso.kernels import boundary, components, labels

    _, first, counts = components.label_runs(slab.own_bits, slab.labels.shape[2])
    first_marked = boundary.first_marked(slab.own_bits)
    ids = labels.identify(slab.own_labels, first, counts, first_marked)
    if not ids.all():
        raise _label_error(slab, 2**64 - 1, "an id is label + 1")
    locations, _, bad = model.locate(slab, CODES, np.dtype(np.uint64))
    if bad >= 0:
        raise _label_error(slab, slab.labels.reshape(-1)[bad], "a location is label + 6")
    return ids, locations


def _label_error(slab: model.Slab, label: int, reason: str) -> LabelError:
    """The error for a label of a slab."""
    z, y, x = (int(i) for i in np.argwhere(slab.own_labels == label)[0])
    return LabelError(
        label,
        (slab.z0 + z, y, x),
        f"the compresso stream ({reason}, in 64 bits). Use the encoding cpso, or relabel the "
        "volume",
    )


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
    fits = rest >= 0 and rest % 4 == 0 and rest // 4 <= n_windows and max(shape) < 1 << 31
    enough = counts[0] >= (shape[0] if n_windows else 0) and (n_windows == 0) == (counts[1] == 0)
    if not fits or not enough:
        raise DecodeError(
            f"compresso stream: {size} bytes do not fit the header's shape {shape} and "
            f"{counts} ids, values and locations"
        )
    words = native_endian(np.frombuffer(stream, "<u8", sum(counts), 8 * HEADER_WORDS))
    ids, values, locations = np.split(words, np.cumsum(counts)[:2])
    entries = native_endian(np.frombuffer(stream, "<u4", rest // 4, size - rest))
    missing = n_windows - int(np.where(entries & 1, entries >> 1, 1).sum())
    if missing > 0:  # the last run of zeros
        runs = [*[RUN_LIMIT] * (missing // RUN_LIMIT), missing % RUN_LIMIT]
        last = np.array([2 * run + 1 for run in runs if run], np.uint32)
        entries = np.concatenate([entries, last])
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
