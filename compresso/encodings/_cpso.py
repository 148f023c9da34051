"""The layout of a ``cpso`` stream: its header, its sections, and the labels in them."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Shape, little_endian, native_endian
from compresso.boundaries import window_grid
from compresso.codec import Buffer
from compresso.errors import DecodeError

MAGIC = b"cpso"
LAYOUT = struct.Struct("<4sBBHHHBBBQIQB")
SIDE_LIMIT = (1 << 16) - 1  # voxels along each axis
WIDTHS = (1, 2, 4, 8)
#: Locations: an entry 6 says that the next one is the label; labels are shifted by 7.
LITERAL, CODES = 6, 7

Unsigned = NDArray[np.unsignedinteger[Any]]


class ShortStreamError(DecodeError, IndexError):
    """Not even the header is there; PyPI's package raises IndexError, too."""


@dataclass(frozen=True)
class Header:
    """The first 36 bytes; shape and step are z, y, x."""

    version: int  # 1 if the stream ends with an index of the slices
    data_width: int  # bytes of a label
    shape: Shape
    step: tuple[int, int, int]
    n_ids: int
    n_values: int
    n_locations: int
    connectivity: int

    def pack(self) -> bytes:
        """The header's bytes."""
        counts = self.n_ids, self.n_values, self.n_locations
        sizes = *self.shape[::-1], *self.step[::-1]
        return LAYOUT.pack(MAGIC, self.version, self.data_width, *sizes, *counts, self.connectivity)

    @classmethod
    def unpack(cls, stream: Buffer) -> "Header":
        """Read a header; raises DecodeError if it is invalid."""
        size = memoryview(stream).nbytes
        if size < LAYOUT.size:
            raise ShortStreamError(f"cpso stream: {size} bytes are too few for the header of 36")
        fields = LAYOUT.unpack_from(stream)
        magic, version, width, x, y, z, xs, ys, zs = fields[:9]
        ids, values, locations, connectivity = fields[9:]
        if magic != MAGIC:
            raise DecodeError(f"cpso stream: it begins with {magic!r}, not with {MAGIC!r}")
        known = version in (0, 1) and width in WIDTHS and 1 <= xs * ys * zs <= 64
        if not known or connectivity not in ((4,) if version else (4, 6)):
            raise DecodeError(
                f"cpso stream: version {version}, labels of {width} bytes, windows of "
                f"{xs}x{ys}x{zs} and connectivity {connectivity} do not exist together"
            )
        return cls(version, width, (z, y, x), (zs, ys, xs), ids, values, locations, connectivity)

    @property
    def label_type(self) -> np.dtype[Any]:
        """The dtype of ids and locations."""
        return np.dtype(f"u{self.data_width}")


@dataclass(frozen=True)
class Sections:
    """A stream taken apart; every count agrees with its length."""

    header: Header
    ids: Unsigned
    values: Unsigned
    locations: Unsigned
    windows: Unsigned
    index: Unsigned | None  # (2, nz): components, and entries of the slice before; version 1 only

    def pack(self) -> bytes:
        """The stream's bytes."""
        index = [] if self.index is None else [self.index]
        sections = self.ids, self.values, self.locations, self.windows, *index
        return b"".join([self.header.pack(), *map(little_endian, sections)])


def window_type(step: Sequence[int]) -> np.dtype[Any]:
    """The smallest type that holds a window."""
    return np.dtype(f"u{next(w for w in WIDTHS if 8 * w >= math.prod(step))}")


def index_type(shape: Sequence[int]) -> np.dtype[Any]:
    """The smallest type whose maximum exceeds twice the voxels of a slice."""
    most = 2 * math.prod(shape[1:])
    return np.dtype(f"u{next(w for w in WIDTHS if most < (1 << 8 * w) - 1)}")


def parse(stream: Buffer) -> Sections:
    """Take a stream apart; raises DecodeError if header and length disagree."""
    header = Header.unpack(stream)
    nz, size, at = header.shape[0], memoryview(stream).nbytes, LAYOUT.size
    label, window, item = header.label_type, window_type(header.step), index_type(header.shape)
    counts = [header.n_ids, header.n_values, header.n_locations, 0, 2 * nz * header.version]
    types = [label, window, label, window, item]
    rest = size - at - sum(n * t.itemsize for n, t in zip(counts, types, strict=True))
    counts[3], odd = divmod(rest, window.itemsize)
    n_windows = math.prod(window_grid(header.shape, header.step))
    if rest < 0 or odd or counts[3] > n_windows or (rest == 0) != (n_windows == 0):
        raise DecodeError(
            f"cpso stream: {size} bytes do not fit the header's shape {header.shape} and its "
            f"{header.n_ids} ids, {header.n_values} values and {header.n_locations} locations"
        )
    parts = []
    for count, dtype in zip(counts, types, strict=True):
        words = np.frombuffer(stream, dtype.newbyteorder("<"), count, at)
        parts.append(native_endian(words))
        at += words.nbytes
    ids, values, locations, windows, index = parts
    if n_windows == 0:
        if ids.size or values.size or locations.size:
            raise DecodeError("cpso stream: an empty volume has neither ids nor locations")
    elif ids.size < (nz if header.connectivity == 4 else 1) or values.size == 0:
        raise DecodeError(f"cpso stream: {ids.size} ids and {values.size} values for {nz} slices")
    if not (values[1:] > values[:-1]).all():
        raise DecodeError("cpso stream: the window values do not ascend")
    found = index.reshape(2, nz) if header.version else None
    return Sections(header, ids, values, locations, windows, found)


def unique(sections: Sections) -> Unsigned:
    """The distinct labels, ascending."""
    labels, _, _ = _located(sections.locations)
    return np.unique(np.concatenate([sections.ids, labels]))


def renamed(sections: Sections, old: Unsigned, new: Unsigned) -> Sections:
    """Give every label ``old``, ascending, the label ``new``, both of the stream's label type.

    Every entry keeps its form, shifted or literal. A new label that is too large to be shifted
    becomes literal.
    """
    labels, shifted, literal = _located(sections.locations)
    labels = new[np.searchsorted(old, labels)]
    locations = sections.locations.copy()
    where = np.flatnonzero(shifted | literal)
    shift = shifted[where]
    too_large = shift & (labels > np.iinfo(labels.dtype).max - CODES)
    locations[where] = labels
    locations[where[shift & ~too_large]] += labels.dtype.type(CODES)
    added = where[too_large]
    if added.size:
        locations = np.insert(locations, added, labels.dtype.type(LITERAL))
    index = sections.index
    if index is not None and added.size:
        slices = np.searchsorted(np.cumsum(index[1].astype(np.int64)), added, side="right") - 1
        more = np.bincount(slices, minlength=index.shape[1])[:-1]
        index = index.copy()
        index[1, 1:] += more.astype(index.dtype)
    header = replace(sections.header, n_locations=locations.size)
    ids = new[np.searchsorted(old, sections.ids)]
    return replace(sections, header=header, ids=ids, locations=locations, index=index)


def _located(locations: Unsigned) -> tuple[Unsigned, NDArray[np.bool_], NDArray[np.bool_]]:
    """The labels among the locations, and which entries have them: shifted, and literal."""
    from compresso.kernels import cpso

    shifted, literal = np.empty(locations.size, np.bool_), np.empty(locations.size, np.bool_)
    cpso.label_entries(locations, shifted, literal)
    labels = locations.copy()
    labels[shifted] -= labels.dtype.type(CODES)
    return labels[shifted | literal], shifted, literal
