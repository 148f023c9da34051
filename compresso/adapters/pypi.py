"""PyPI's ``compresso`` 3.x: its functions with their names, arguments and results.

Arrays are ``[x, y, z]``, streams are ``cpso`` (docs/formats.md, section 7). Where that package
crashes these raise DecodeError, or do what was meant; and ``raw_windows`` leaves out the index,
``raw_z_index`` reads it, and windows of one byte have labels and parts too.

Besides, ``compress`` and ``decompress`` make and know frames, this library's checked container.
"""

import gzip
import io
import operator
import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from compresso import frame
from compresso.adapters._pypi_fields import (
    check_bounds,
    check_compatibility,
    clamp,
    header,
    label_dtype,
    nbytes,
    raw_header,
    raw_ids,
    raw_labels,
    raw_locations,
    raw_values,
    raw_windows,
    raw_z_index,
    valid,
    window_dtype,
    zindex_byte_width,
)
from compresso.arrays import LIMIT, Labels, unmasked
from compresso.codec import Buffer
from compresso.encodings import _cpso_labels
from compresso.encodings._cpso import Header, parse
from compresso.encodings._cpso_reader import paint
from compresso.encodings._cpso_writer import TooManyWindowsError, encode
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

DEFAULT, FALLBACK = (4, 4, 1), (8, 8, 1)


class LabelTypeError(EncodeError, TypeError):
    """The stream holds arrays of at most three dimensions, of unsigned integers or bool."""


class SliceError(IndexError, ValueError):
    """A slice is outside the volume."""


def compress(
    data: Labels,
    steps: Sequence[int] | str | None = None,
    connectivity: int | str = 4,
    random_access_z_index: bool = True,
    *,
    encoding: str | None = None,
    compression: str | None = None,
    threads: int | None = None,
    depth: int | None = None,
    metadata: dict[str, Any] | None = None,
) -> bytes:
    """Compress labels to a ``cpso`` stream; with any of the keyword arguments, to a frame.

    Parameters
    ----------
    data : (x, y, z) array of unsigned integers or bool
        Any memory layout, quickest in Fortran order; missing dimensions are 1.
    steps : 3 int, optional
        Size of a window, x, y, z, at most 64 voxels. By default (4, 4, 1), and (8, 8, 1) where
        that has too many different windows.
    connectivity : 4 or 6
        Of the components, in each slice or in the volume.
    random_access_z_index : bool
        Whether slices can be decoded one by one; of no effect with connectivity 6.
    encoding, compression, threads, depth, metadata
        Those of :func:`compresso.dumps`, whose arrays are [z, y, x] of 1 to 3 dimensions. The
        first two may also be given as strings in the second and third place.

    Raises
    ------
    EncodeError
        Where the stream cannot hold the array; a TypeError too where its dtype or its number of
        dimensions is why.
    """
    if isinstance(steps, str):
        encoding, steps = steps, None
    if isinstance(connectivity, str):
        compression, connectivity = connectivity, 4
    of_frame = {
        "encoding": encoding,
        "compression": compression,
        "threads": threads,
        "depth": depth,
        "metadata": metadata,
    }
    if given := {name: value for name, value in of_frame.items() if value is not None}:
        return frame.dumps(data, **given)  # type: ignore[arg-type]
    volume = _volume(data)
    if connectivity not in (4, 6):
        raise EncodeError(f"connectivity must be 4 or 6, not {connectivity}")
    rest = int(connectivity), bool(random_access_z_index)  # 4.0 is right too
    if steps is not None:
        return encode(volume, _step(steps), *rest)
    try:
        return encode(volume, _step(DEFAULT), *rest)
    except TooManyWindowsError:
        return encode(volume, _step(FALLBACK), *rest)


def decompress(
    data: Buffer,
    z: int | Sequence[int] | None = None,
    *,
    threads: int = 1,
    limit: int = LIMIT,
) -> Labels:
    """Decompress a ``cpso`` stream, or a frame.

    Parameters
    ----------
    data : bytes-like
    z : int or (start, stop), optional
        Only this slice, or these, of a stream with an index, or of a frame, along its first axis.
    threads : int
    limit : int
        Refuse to make more bytes of labels than this, 16 GiB unless told otherwise.

    Returns
    -------
    (x, y, z) array in Fortran order; of a frame, the array that it was made of

    Raises
    ------
    DecodeError
        For anything but a whole stream, and for a part of it where there is no index.
    ValueError
        Where a slice is outside the volume.
    """
    if bytes(memoryview(data)[: len(frame.MAGIC)]) == frame.MAGIC:
        return _decompress_frame(data, z, threads, limit)
    sections = parse(data)
    nz, ny, nx = sections.header.shape
    z0, z1 = (0, nz) if z is None else _slices(z, nz)
    if sections.index is None and 0 < z1 - z0 < nz and sections.header.n_values:
        raise DecodeError("slices cannot be read one by one from a stream without index")
    size = sections.header.data_width * nx * ny * (z1 - z0)
    if size > limit:
        raise DecodeError(
            f"the stream claims {size} bytes of labels, more than {limit}; if that is right, "
            "raise the limit"
        )
    out = np.empty((z1 - z0, ny, nx), sections.header.label_type)
    paint(sections, out, z0, threads)
    return out.T


def labels(buf: Buffer) -> Labels:
    """The distinct labels of a stream, ascending, without decoding it."""
    return _cpso_labels.unique(parse(buf))


def remap(buf: Buffer, mapping: Mapping[int, int], preserve_missing_labels: bool = False) -> bytes:
    """Give labels other ones without decoding the stream.

    Parameters
    ----------
    buf : bytes-like
    mapping : dict of int to int
    preserve_missing_labels : bool
        Whether labels that the mapping lacks are kept; else they raise KeyError.

    Raises
    ------
    KeyError
    OverflowError
        Where a new label does not fit the stream's data width.
    """
    if not isinstance(mapping, Mapping):
        raise TypeError(f"mapping must be a dict, not {type(mapping).__name__}")
    sections = parse(buf)
    old = _cpso_labels.unique(sections)
    new = np.empty_like(old)
    for at, label in enumerate(old.tolist()):
        kept = preserve_missing_labels and label not in mapping
        new[at] = label if kept else int(mapping[label])
    return _cpso_labels.renamed(sections, old, new).pack()


class CompressoArray:
    """A stream as an array that decodes the slices that are asked for.

    Parameters
    ----------
    binary : bytes-like
        Indexed as NumPy does; quickest with an index, and along the last axis.
    """

    def __init__(self, binary: Buffer) -> None:
        self.binary = binary

    def __len__(self) -> int:
        return memoryview(self.binary).nbytes

    @property
    def random_access_enabled(self) -> bool:
        """Whether the stream has an index."""
        return Header.unpack(self.binary).version == 1

    @property
    def size(self) -> int:
        """Number of voxels."""
        return self.nbytes // Header.unpack(self.binary).data_width

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
        z, y, x = Header.unpack(self.binary).shape
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
        """:func:`remap` of a stream, or, where it is left out, of this one."""
        if isinstance(buf, Mapping):
            kept = bool(mapping) or preserve_missing_labels
            return CompressoArray(remap(self.binary, buf, kept))
        return CompressoArray(
            remap(buf, mapping, preserve_missing_labels)  # type: ignore[arg-type]
        )

    def __contains__(self, label: object) -> bool:
        return bool(np.isin(label, self.labels()))  # type: ignore[arg-type]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Labels:
        if copy is False:
            raise ValueError("the labels of a stream cannot be had without decoding them")
        array = decompress(self.binary)
        return array if dtype is None else array.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        x, y, z = _keys(key)
        nz = self.shape[2]
        if not self.random_access_enabled:
            return decompress(self.binary)[x, y, z]
        if isinstance(z, slice):
            wanted = range(*z.indices(nz))
            low, high = (min(wanted), max(wanted) + 1) if wanted else (0, 0)
            return decompress(self.binary, (low, high))[x, y, :: wanted.step]
        return decompress(self.binary, z + nz if z < 0 else z)[x, y, 0]


def reify_slices(slices: Any, sx: int, sy: int, sz: int) -> list[slice]:
    """Three slices with start, stop and step for any index of an array (sx, sy, sz)."""
    found = []
    for key, size in zip(_keys(slices), (sx, sy, sz), strict=True):
        if isinstance(key, slice):
            found.append(slice(*key.indices(size)))
        else:
            at = key + size if key < 0 else key
            found.append(slice(at, at + 1, 1))
        if found[-1].step < 0:
            raise ValueError(f"a step must not be negative, as in {key}")
    return found


def load(filelike: str | os.PathLike[str] | IO[bytes]) -> Labels:
    """Decompress a file, or a path; one that ends in .gz is unpacked first."""
    if isinstance(filelike, str | bytes | os.PathLike):
        opened = gzip.open if os.fspath(filelike)[-3:] in (".gz", b".gz") else open
        with opened(filelike, "rb") as file:
            return decompress(file.read())
    return decompress(filelike.read())


def save(labels: Labels, filelike: str | os.PathLike[str] | IO[bytes]) -> None:
    """Compress labels to a file, or a path; one that ends in .gz is packed, too."""
    stream = compress(labels)
    if isinstance(filelike, str | bytes | os.PathLike):
        opened = gzip.open if os.fspath(filelike)[-3:] in (".gz", b".gz") else open
        with opened(filelike, "wb") as file:
            file.write(stream)
    else:
        filelike.write(stream)


def _volume(data: Labels) -> Labels:
    """An array [x, y, z] as a volume [z, y, x], without a copy; raises LabelTypeError."""
    array = unmasked(data)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim > 3:
        raise LabelTypeError(f"labels must have at most three dimensions, not {array.ndim}")
    if array.dtype.kind not in "ub":
        raise LabelTypeError(
            f"a cpso stream holds unsigned integers or bool, not {array.dtype}; convert the "
            "labels, or use compresso.dumps"
        )
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    return array.reshape(*array.shape, *(1,) * (3 - array.ndim)).T


def _step(steps: Sequence[int]) -> tuple[int, int, int]:
    """A window x, y, z as z, y, x; raises EncodeError where it has no voxel or more than 64."""
    x, y, z = (int(step) for step in steps)
    if min(x, y, z) < 1 or x * y * z > 64:
        raise EncodeError(f"steps={x, y, z}: a window has at least 1 and at most 64 voxels")
    return z, y, x


def _slices(z: int | Sequence[int], nz: int) -> tuple[int, int]:
    """First slice and the one behind the last; raises SliceError outside 0..nz."""
    if np.ndim(z):
        z0, z1 = (int(edge) for edge in z[:2])  # type: ignore[index]
    else:
        z0 = operator.index(z)  # type: ignore[arg-type]
        z1 = z0 + 1
    if not 0 <= z0 <= z1 <= nz:
        raise SliceError(f"slices {z0} to {z1} (exclusive) are not in 0..{nz}")
    return z0, z1


def _keys(key: Any) -> list[Any]:
    """An index as one integer or slice an axis; raises IndexError."""
    keys = list(key) if isinstance(key, tuple) else [key]
    gaps = [i for i, k in enumerate(keys) if k is ...]
    if len(gaps) > 1 or len(keys) - len(gaps) > 3:
        raise IndexError(f"too many indices for an array of three dimensions: {key!r}")
    gap = gaps[0] if gaps else len(keys)
    keys[gap : gap + 1] = [slice(None)] * (3 - len(keys) + len(gaps))
    return [k if isinstance(k, slice) else operator.index(k) for k in keys]


def _decompress_frame(
    data: Buffer, z: int | Sequence[int] | None, threads: int, limit: int
) -> Labels:
    """The array of a frame, or some slices of it."""
    if z is None:
        return frame.loads(data, threads, limit)
    array = frame.open(io.BytesIO(data), threads, limit)
    z0, z1 = _slices(z, len(array))
    part: Labels = array[z0:z1]
    return part
