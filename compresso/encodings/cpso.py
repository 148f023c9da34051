"""The stream of PyPI's ``compresso`` 3.x, which CloudVolume, Igneous and Neuroglancer read."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compresso import boundaries as model
from compresso.arrays import (
    Labels,
    Shape,
    check_fits,
    little_endian,
    native_slices,
)
from compresso.codec import Buffer, Encoding, Extent, Watch, ignore
from compresso.encodings._cpso import (
    CODES,
    SIDE_LIMIT,
    Header,
    Sections,
    index_type,
    parse,
    window_type,
)
from compresso.errors import DecodeError, EncodeError, SpecError
from compresso.parallel import Span

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

    def cut(span: Span) -> Iterable[model.Slab]:
        if deep:
            return [_whole(volume, watch)]
        return model.mark_boundaries(volume, span, step[0], watch)

    def encode_slab(slab: model.Slab) -> Sequence[Any]:
        component, first, counts = components.label_runs(slab.own_bits, shape[2])
        if deep:
            first = cpso.join(slab.bits, shape[2], component, first, counts)
        ids = slab.own_labels.reshape(-1)[first]
        locations, entries, _ = model.locate(slab, CODES, slab.labels.dtype, not version, deep)
        return ids, locations, counts, entries

    parts, values, indices = model.encode_slabs(
        shape, step, cut, encode_slab, 1 if deep else threads
    )
    item = window_type(step)
    entries = model.squeeze(indices, item)
    if entries is None:
        z, y, x = step
        raise TooManyWindowsError(
            f"the volume has {values.size} different windows of {x}x{y}x{z} voxels, more than the "
            f"{np.iinfo(item).max // 2 + 1} that a cpso stream can number. Use 8x8x1."
        )
    ids, locations, n_ids, n_locations = map(np.concatenate, zip(*parts, strict=True))
    sections = [ids, values.astype(item), locations, entries]
    if version:
        before = np.concatenate([[0], n_locations[:-1]])
        sections += [n.astype(index_type(shape)) for n in (n_ids, before)]
    counts = ids.size, values.size, locations.size
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


def decode(
    sections: Sections, out: Labels, z0: int = 0, threads: int = 1, watch: Watch = ignore
) -> None:
    """Decode slices z0 and following to ``out``; of streams without an index, all slices.

    ``out`` is in C order and native. Raises DecodeError if the stream contradicts itself, or a
    label does not fit.
    """
    header, index = sections.header, sections.index
    if out.size == 0:
        return
    if out.dtype.itemsize < header.data_width:
        wide = np.empty(out.shape, header.label_type)
        decode(sections, wide, z0, threads)
        check_fits(wide, out.dtype)
        out[...] = wide
        return
    from compresso.kernels import boundary, cpso

    across, deep = sections.index is None, header.connectivity == 6
    zstep = 1 if z0 else header.step[0]
    if deep:  # one slab
        threads, zstep = 1, len(out)
    draw = model.window_drawer(
        sections.windows, sections.values, header.shape, header.step, z0, z0 + len(out)
    )
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
    ids, entries, first = sections.ids, sections.locations, 0
    if index is not None:  # which of them are those of these slices
        z1 = z0 + len(out)
        if not np.array_equal(index[0, z0:z1], found.counts):
            raise DecodeError("cpso stream: the index contradicts the boundary map's components")
        id_starts = np.append(0, np.cumsum(index[0].astype(np.int64)))
        ids = ids[id_starts[z0] : None if z1 == header.shape[0] else id_starts[z1]]
        location_starts = np.append(np.cumsum(index[1].astype(np.int64)), entries.size)
        first = int(location_starts[z0])
        entries = entries[first : location_starts[z1]]
    if ids.size != n_ids:
        raise DecodeError(f"cpso stream: {ids.size} ids, but the boundary map needs {n_ids}")
    starts = np.empty(len(out) + 1, np.int64)
    if not cpso.location_starts(entries, found.indeterminate, starts):
        raise DecodeError(
            f"cpso stream: {entries.size} locations do not fit the {found.indeterminate.sum()} "
            "voxels that need one"
        )
    if index is not None and not np.array_equal(first + starts, location_starts[z0 : z1 + 1]):
        raise DecodeError("cpso stream: the index contradicts the locations")

    sources = model.Locations(entries, starts, CODES, across, deep)
    model.fill_labels(found, ids.astype(out.dtype), sources, out, threads, watch)
