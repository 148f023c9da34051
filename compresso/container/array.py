"""A compressed file as an array: shape and dtype at once, labels when they are indexed."""

import builtins
import io
import itertools
import math
import os
import weakref
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any, BinaryIO, Self, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compresso.arrays import LIMIT, Labels, array_protocol, split_index
from compresso.codec import Buffer
from compresso.container.description import Description
from compresso.container.reader import Reader
from compresso.errors import DecodeError, FileError, naming
from compresso.text import method_name

#: Everything that :func:`open` takes.
Openable = str | os.PathLike[str] | Buffer | BinaryIO


class CompressedArray:
    """The labels of a compressed file, indexed with integers, slices and ``...`` as in NumPy.

    :func:`open` makes it. Only the groups of slices that an index needs are read and decoded; the
    last one is kept, so that reading slice after slice decodes each group once. It may be used from
    several threads. An index raises DecodeError for slices that are damaged.

    Attributes
    ----------
    shape, dtype, ndim, size, nbytes
        As NumPy's, for the labels, which have 1 to 3 dimensions.
    description : Description
        The contents of the file's head: codecs, slices per group, metadata.
    """

    def __init__(self, file: Openable, threads: int = 1, limit: int = LIMIT) -> None:
        self._threads, self._limit = threads, limit
        self._origin, self._file = _opened(file)
        try:
            with self._naming():
                self._reader = Reader(self._file, limit=limit)
                self._reader.check_end()
        except BaseException:
            if isinstance(self._origin, str):
                self._file.close()
            raise
        self._kept: tuple[int, Labels] | None = None
        description = self._reader.description
        self.description: Description = description
        self.shape, self.ndim = description.shape, len(description.shape)
        self.dtype = np.dtype(description.dtype)
        self.size, self.nbytes = math.prod(self.shape), description.nbytes

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that was stored with the labels."""
        return dict(self.description.metadata or {})

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        what = method_name(self.description.encoding, self.description.compression)
        return f"<compresso.CompressedArray, shape {self.shape}, {self.dtype.name}, {what}>"

    def __getitem__(self, key: Any) -> Any:
        first, *rest = keys = split_index(key, self.shape)
        if self.ndim < 3:
            return self._whole()[tuple(keys)]
        with self._naming():
            if isinstance(first, slice):
                return self._slices(range(*first.indices(len(self))), tuple(rest))
            return self._slices(range(first, first + 1), tuple(rest))[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path of the file, or the bytes that were given, without decoded labels."""
        origin = self._origin
        if isinstance(origin, io.BytesIO):
            origin = origin.getvalue()
        if not isinstance(origin, str | bytes):
            kind = type(origin).__name__
            raise TypeError(
                f"cannot pickle an array opened from a {kind}. Open it by its path or from bytes."
            )
        return _reopened, (origin, self._threads, self._limit, self._reader.fingerprint)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Labels:
        return array_protocol(self._whole, dtype, copy)

    def labels(self) -> Labels:
        """The distinct labels, ascending, in the array's dtype."""
        return self._tally()[0]

    def counts(self) -> dict[int, int]:
        """The number of voxels of each label, by label, ascending."""
        labels, counts = self._tally()
        return dict(zip(labels.tolist(), counts.tolist(), strict=True))

    def close(self) -> None:
        """Close the file."""
        self._kept = None
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _naming(self) -> AbstractContextManager[None]:
        """Name the file in errors, if it has a name."""
        return naming(self._origin) if isinstance(self._origin, str) else nullcontext()

    def _whole(self) -> Labels:
        with self._naming():
            return self._reader.read(threads=self._threads).reshape(self.shape)

    def _groups(self, numbers: Sequence[int]) -> Generator[Labels, None, None]:
        """Several groups, in this order, each once."""
        kept = self._kept
        if kept is not None and numbers and kept[0] == numbers[0]:
            yield kept[1]
            numbers = numbers[1:]
        with closing(self._reader.groups(numbers, self._threads)) as groups:
            for number, group in zip(numbers, groups, strict=True):
                if isinstance(group, DecodeError):
                    raise group
                self._kept = number, group
                yield group

    def _slices(self, indices: range, rest: tuple[Any, ...]) -> Labels:
        """Slices in any order and step, each indexed by ``rest``."""
        plane = np.broadcast_to(np.zeros((), self.dtype), self.shape[1:])[rest].shape
        self._reader.check_size(len(indices) * math.prod(plane) * self.dtype.itemsize)
        out = np.empty((len(indices), *plane), self.dtype)
        if not out.size:
            return out
        depth = self.description.depth
        numbers = [number for number, _ in itertools.groupby(z // depth for z in indices)]
        at = 0
        with closing(self._groups(numbers)) as groups:
            for number, group in zip(numbers, groups, strict=True):
                while at < len(indices) and indices[at] // depth == number:
                    out[at] = group[indices[at] % depth][rest]
                    at += 1
        return out

    def _tally(self) -> tuple[Labels, NDArray[np.int64]]:
        """Labels, ascending, and the voxels of each."""
        labels, counts = np.empty(0, self.dtype), np.empty(0, np.int64)
        groups = self._groups(range(len(self.description.groups)))
        with self._naming(), closing(groups):
            for group in groups:
                flat = group.reshape(-1)
                starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))  # of runs
                lengths = np.concatenate([counts, np.diff(starts, append=flat.size)])
                labels = np.concatenate([labels, flat[starts]])
                labels, places = np.unique(labels, return_inverse=True)
                counts = np.zeros(labels.size, np.int64)
                np.add.at(counts, places, lengths)
        return labels.astype(self.dtype, copy=False), counts


def open(file: Openable, threads: int = 1, limit: int = LIMIT) -> CompressedArray:
    """Open a compressed file as an array that decodes only the parts that are indexed.

    Parameters
    ----------
    file : path, bytes-like, or binary file that can seek
        From a path or from bytes it can be pickled, and another process opens it again.
    threads : int
        Groups that are decoded at once, as in :func:`dumps`. 0: all cores.
    limit : int
        Refuse to make more bytes of labels than this at once; 16 GB by default.

    Returns
    -------
    CompressedArray
        With ``shape``, ``dtype``, ``a[10:20]``, ``numpy.asarray(a)``, ``labels()``, ``counts()``;
        a context manager.

    Raises
    ------
    DecodeError
        If it is not a whole compressed file.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import compresso, numpy as np
    >>> labels = np.arange(24, dtype=np.uint32).reshape(4, 2, 3)
    >>> with open(compresso.dumps(labels, "none", "zlib")) as array:
    ...     array.shape, array[1, 0]
    ((4, 2, 3), array([6, 7, 8], dtype=uint32))
    """
    return CompressedArray(file, threads, limit)


def _opened(file: Openable) -> tuple[str | bytes | BinaryIO, BinaryIO]:
    """A file, and the argument that opens it again: an absolute path, bytes, or the file itself."""
    if isinstance(file, str | os.PathLike):
        path = os.path.abspath(os.fsdecode(file))
        if os.path.isdir(path):
            raise IsADirectoryError(
                f"{path}: a folder, not a .cps file. Open a Zarr array with zarr.open_array."
            )
        return path, builtins.open(path, "rb")
    if hasattr(file, "seek") and not isinstance(file, io.TextIOBase):
        stream = cast(BinaryIO, file)
        return stream, stream
    try:
        data = bytes(memoryview(file))
    except (TypeError, ValueError):
        kind = type(file).__name__
        raise TypeError(
            f"cannot open an object of type {kind}. Give a path, bytes or a binary file."
        ) from None
    return data, io.BytesIO(data)


def _reopened(origin: str | bytes, threads: int, limit: int, fingerprint: int) -> CompressedArray:
    """Open a pickled array again; raises FileError if the file has changed since."""
    array = CompressedArray(origin, threads, limit)
    if array._reader.fingerprint != fingerprint:
        array.close()
        raise FileError(f"{origin!s}: not the file that was pickled. Open it by its path again.")
    weakref.finalize(array, array._file.close)  # dask, which unpickles it, does not close it
    return array
