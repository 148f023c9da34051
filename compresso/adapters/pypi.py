"""PyPI's ``compresso`` 3.x: its functions with their names, arguments and results.

Arrays are ``[x, y, z]``, streams are ``cpso`` (docs/formats.md, section 7). If that
package crashes, these raise DecodeError or return the intended result. ``raw_windows`` omits the
index, ``raw_z_index`` returns it, and streams with windows of one byte are supported throughout.
"""

import gzip
import operator
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

import numpy as np

from compresso import container
from compresso.arrays import LIMIT, Labels, SliceError, array_protocol, split_index, unmasked
from compresso.codec import Buffer
from compresso.encodings import _cpso
from compresso.encodings.cpso import FALLBACK, TooManyWindowsError, decode, encode
from compresso.errors import DecodeError, EncodeError

__all__ = [
    "CompressoArray",
    "DecodeError",
    "EncodeError",
    "check_bounds",
    "check_compatibility",
    "clamp",
    "compress",
    "decompress",
    "header",
    "label_dtype",
    "labels",
    "load",
    "nbytes",
    "raw_header",
    "raw_ids",
    "raw_labels",
    "raw_locations",
    "raw_values",
    "raw_windows",
    "raw_z_index",
    "reify_slices",
    "remap",
    "save",
    "valid",
    "window_dtype",
    "zindex_byte_width",
]


class LabelTypeError(EncodeError, TypeError):
    """The stream holds arrays of at most three dimensions, of unsigned integers or bool."""


def compress(
    data: Labels,
    steps: Sequence[int] | None = None,
    connectivity: int = 4,
    random_access_z_index: bool = True,
) -> bytes:
    """Compress labels to a ``cpso`` stream.

    Parameters
    ----------
    data : (x, y, z) array of unsigned integers or bool
        Any memory layout; Fortran order is fastest. Missing dimensions are 1.
    steps : 3 int, optional
        Size of a window, x, y, z, at most 64 voxels. By default (4, 4, 1), or (8, 8, 1) if
        that gives too many different windows.
    connectivity : 4 or 6
        Connectivity of the components: 4 within each slice, 6 in the volume.
    random_access_z_index : bool
        Whether slices can be decoded one by one; ignored with connectivity 6.

    Raises
    ------
    EncodeError
        If the stream cannot hold the array; for its dtype or dimensions also a TypeError.

    Examples
    --------
    >>> labels = np.zeros((64, 64, 8), np.uint32, order="F")
    >>> len(compress(labels, steps=(8, 8, 1)))
    116
    """
    volume = _volume(data)
    if connectivity not in (4, 6):
        raise EncodeError(f"connectivity must be 4 or 6, not {connectivity}")
    options = int(connectivity), bool(random_access_z_index)  # 4.0 is right too
    x, y, z = (4, 4, 1) if steps is None else (int(step) for step in steps)
    if min(x, y, z) < 1 or x * y * z > 64:
        raise EncodeError(f"steps={x, y, z}: a window has at least 1 and at most 64 voxels")
    try:
        return encode(volume, (z, y, x), *options)
    except TooManyWindowsError:
        if steps is not None:
            raise
        return encode(volume, FALLBACK, *options)


def decompress(data: Buffer, z: int | Sequence[int] | None = None, *, limit: int = LIMIT) -> Labels:
    """Decompress a ``cpso`` stream to an (x, y, z) array in Fortran order.

    Parameters
    ----------
    data : bytes-like
    z : int or (start, stop), optional
        Decode only this slice or range, from a stream with an index. Raises ValueError for slices
        outside the volume.
    limit : int
        Refuse to make more bytes of labels than this; 16 GiB by default.

    Raises
    ------
    DecodeError
        If the bytes are not a whole stream, or ``z`` selects slices of a stream without index.

    Examples
    --------
    >>> labels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    >>> np.array_equal(decompress(compress(labels)), labels)
    True
    """
    if bytes(memoryview(data)[: len(container.MAGIC)]) == container.MAGIC:
        raise DecodeError("not a cpso stream but a compresso file. Read it with compresso.loads.")
    sections = _cpso.parse(data)
    nz, ny, nx = sections.header.shape
    z0, z1 = (0, nz) if z is None else _slices(z, nz)
    if sections.index is None and 0 < z1 - z0 < nz and sections.header.n_values:
        raise DecodeError("slices cannot be read one by one from a stream without index")
    size = sections.header.data_width * nx * ny * (z1 - z0)
    if size > limit:
        raise DecodeError(
            f"the stream claims {size} bytes of labels, more than {limit}. If that is right, "
            "raise the limit."
        )
    out = np.empty((z1 - z0, ny, nx), sections.header.label_type)
    decode(sections, out, z0)
    return out.T


def labels(buf: Buffer) -> Labels:
    """The distinct labels of a stream, ascending, without decoding it.

    Examples
    --------
    >>> labels(compress(np.array([[[5, 5, 2]]], np.uint8)))
    array([2, 5], dtype=uint8)
    """
    return _cpso.unique(_cpso.parse(buf))


def remap(buf: Buffer, mapping: Mapping[int, int], preserve_missing_labels: bool = False) -> bytes:
    """Replace labels without decoding the stream.

    Labels missing from the mapping are kept, or raise KeyError. Raises OverflowError if a new label
    does not fit the stream's data width.

    Examples
    --------
    >>> stream = compress(np.array([[[5, 5, 2]]], np.uint8))
    >>> decompress(remap(stream, {5: 9}, preserve_missing_labels=True))
    array([[[9, 9, 2]]], dtype=uint8)
    """
    if not isinstance(mapping, Mapping):
        raise TypeError(f"mapping must be a dict, not {type(mapping).__name__}")
    sections = _cpso.parse(buf)
    old = _cpso.unique(sections)
    new = np.empty_like(old)
    for at, label in enumerate(old.tolist()):
        kept = preserve_missing_labels and label not in mapping
        new[at] = label if kept else int(mapping[label])
    return _cpso.renamed(sections, old, new).pack()


class CompressoArray:
    """A stream as an array, indexed as in NumPy; decodes only the indexed slices.

    Fastest for streams with an index, along the last axis.
    """

    def __init__(self, binary: Buffer) -> None:
        self.binary = binary

    def __len__(self) -> int:
        return memoryview(self.binary).nbytes

    @property
    def random_access_enabled(self) -> bool:
        """Whether the stream has an index."""
        return _cpso.Header.unpack(self.binary).version == 1

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self.nbytes // _cpso.Header.unpack(self.binary).data_width

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return nbytes(self.binary)

    @property
    def dtype(self) -> type[np.unsignedinteger[Any]]:
        """Type of the labels."""
        return label_dtype(header(self.binary))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        z, y, x = _cpso.Header.unpack(self.binary).shape
        return x, y, z

    def labels(self) -> Labels:
        """The distinct labels, ascending."""
        return labels(self.binary)

    def remap(
        self,
        buf: Buffer | Mapping[int, int],
        mapping: Mapping[int, int] | bool = False,
        preserve_missing_labels: bool = False,
    ) -> "CompressoArray":
        """:func:`remap` of a stream, by default this array's."""
        if isinstance(buf, Mapping):
            kept = bool(mapping) or preserve_missing_labels
            return CompressoArray(remap(self.binary, buf, kept))
        return CompressoArray(
            remap(buf, mapping, preserve_missing_labels)  # type: ignore[arg-type]
        )

    def __contains__(self, label: object) -> bool:
        return bool(np.isin(label, self.labels()))  # type: ignore[arg-type]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Labels:
        return array_protocol(lambda: decompress(self.binary), dtype, copy)

    def __getitem__(self, key: Any) -> Any:
        x, y, z = split_index(key, self.shape)
        if not self.random_access_enabled:
            return decompress(self.binary)[x, y, z]
        if not isinstance(z, slice):
            return decompress(self.binary, z)[x, y, 0]
        slices = range(*z.indices(self.shape[2]))
        low, high = (min(slices), max(slices) + 1) if slices else (0, 0)
        return decompress(self.binary, (low, high))[x, y, :: slices.step]


def header(buf: Buffer) -> dict[str, Any]:
    """The fields of a stream's header by name."""
    found = _cpso.Header.unpack(buf)
    return {
        "magic": _cpso.MAGIC,
        "format_version": found.version,
        "data_width": found.data_width,
        **dict(zip(("sz", "sy", "sx"), found.shape, strict=True)),
        **dict(zip(("zstep", "ystep", "xstep"), found.step, strict=True)),
        "id_size": found.n_ids,
        "value_size": found.n_values,
        "location_size": found.n_locations,
        "connectivity": found.connectivity,
    }


def valid(buf: Buffer) -> bool:
    """Whether header and length are those of a stream; the labels are not decoded."""
    try:
        _cpso.parse(buf)
    except DecodeError:
        return False
    return True


def nbytes(buf: Buffer) -> int:
    """Bytes of the decoded array."""
    found = _cpso.Header.unpack(buf)
    z, y, x = found.shape
    return x * y * z * found.data_width


def raw_header(buf: Buffer) -> Labels:
    """The bytes of the header."""
    _cpso.parse(buf)
    return np.frombuffer(buf, np.uint8, _cpso.LAYOUT.size)


def raw_ids(buf: Buffer) -> Labels:
    """The label of each component."""
    return _cpso.parse(buf).ids


def raw_labels(buf: Buffer) -> Labels:
    """:func:`raw_ids`, by its other name."""
    return raw_ids(buf)


def raw_values(buf: Buffer) -> Labels:
    """The distinct windows."""
    return _cpso.parse(buf).values


def raw_locations(buf: Buffer) -> Labels:
    """The entries for boundary voxels whose label does not follow from their neighbours."""
    return _cpso.parse(buf).locations


def raw_windows(buf: Buffer) -> Labels:
    """The run-length coded windows, without the index that may follow them."""
    return _cpso.parse(buf).windows


def raw_z_index(buf: Buffer) -> Labels | None:
    """The index, (2, sz): the number of ids of each slice, and of locations of the one before."""
    index = _cpso.parse(buf).index
    return None if index is None else index.astype(np.uint64)


def label_dtype(info: Mapping[str, Any]) -> type[np.unsignedinteger[Any]]:
    """The type of a stream's labels, given its header."""
    return np.dtype(f"u{info['data_width']}").type


def window_dtype(info: Mapping[str, Any]) -> type[np.unsignedinteger[Any]]:
    """The type of a stream's windows, given its header."""
    return _cpso.window_type([info[f"{axis}step"] for axis in "zyx"]).type


def zindex_byte_width(sx: int, sy: int) -> int:
    """Bytes of a number of the index."""
    return _cpso.index_type((1, sy, sx)).itemsize


def check_compatibility(buf: Buffer) -> None:
    """Raise DecodeError if the stream's header cannot be read."""
    _cpso.Header.unpack(buf)


def clamp(val: float, low: float, high: float) -> float:
    """The nearest number in low..high."""
    return max(low, min(val, high))


def check_bounds(val: float, low: float, high: float) -> float:
    """Return the number; raises ValueError if it is not in low..high."""
    if not low <= val <= high:
        raise ValueError(f"{val} is not in {low}..{high}")
    return val


def reify_slices(slices: Any, sx: int, sy: int, sz: int) -> list[slice]:
    """Three slices with start, stop and step for any index of an array (sx, sy, sz)."""
    found = []
    for key, size in zip(split_index(slices, (sx, sy, sz)), (sx, sy, sz), strict=True):
        given = key if isinstance(key, slice) else slice(key, key + 1)
        found.append(slice(*given.indices(size)))
        if found[-1].step < 0:
            raise ValueError(f"a step must not be negative, as in {key}")
    return found


def load(filelike: str | os.PathLike[str] | IO[bytes]) -> Labels:
    """Decompress a file or a path; a path that ends in .gz is gunzipped first."""
    with _opened(filelike, "rb") as file:
        return decompress(file.read())


def save(labels: Labels, filelike: str | os.PathLike[str] | IO[bytes]) -> None:
    """Compress labels to a file or a path; a path that ends in .gz is gzipped, too."""
    stream = compress(labels)
    with _opened(filelike, "wb") as file:
        file.write(stream)


def _opened(filelike: Any, mode: str) -> AbstractContextManager[Any]:
    """A path as an open file; a file as it is, which stays open."""
    if not isinstance(filelike, str | bytes | os.PathLike):
        return nullcontext(filelike)
    zipped = os.fspath(filelike)[-3:] in (".gz", b".gz")
    return gzip.open(filelike, mode) if zipped else open(filelike, mode)


def _volume(data: Labels) -> Labels:
    """An array [x, y, z] as a volume [z, y, x], without a copy; raises LabelTypeError."""
    array = unmasked(data)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim > 3 or array.dtype.kind not in "ub":
        raise LabelTypeError(
            "a cpso stream holds unsigned integers or bool in at most three dimensions, not "
            f"{array.dtype.name} in {array.ndim}. Convert the labels, or use compresso.dumps"
        )
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    return array.reshape(*array.shape, *(1,) * (3 - array.ndim)).T


def _slices(z: int | Sequence[int], nz: int) -> tuple[int, int]:
    """First and last slice (exclusive); raises SliceError outside 0..nz."""
    if np.ndim(z):
        z0, z1 = (int(edge) for edge in z[:2])  # type: ignore[index]
    else:
        z0 = operator.index(z)  # type: ignore[arg-type]
        z1 = z0 + 1
    if not 0 <= z0 <= z1 <= nz:
        raise SliceError(f"slices {z0} to {z1} (exclusive) are not in 0..{nz}")
    return z0, z1
