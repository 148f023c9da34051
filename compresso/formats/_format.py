"""What a file format is, what a reader promises, and how damage is told."""

import errno
import math
import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Shape, as_shape
from compresso.boxes import Box, shape_of
from compresso.errors import CompressoError, DecodeError, EncodeError, FileError
from compresso.formats._metadata import Metadata
from compresso.plugins import Plugin

#: Bytes that a byte of a deflate stream can stand for, at most.
DEFLATE = 1040


@dataclass(frozen=True)
class Reader:
    """A volume in an open file.

    Parameters
    ----------
    shape : (int, int, int)
        Slices, rows, columns.
    dtype : integer or bool dtype
    fetch : callable
        Gives slices start..stop-1 for 0 <= start < stop <= shape[0].
    metadata : dict
        What else the file says, as JSON (docs/formats.md, Metadata).
    lost : sequence of str
        The names of what it says too, and the metadata cannot hold.
    fetch_box : callable, optional
        Gives a box of the volume, where that takes less than its whole slices.
    chunk : (int, int, int), optional
        What is read for a box of one voxel; by default a slice.
    own : tuple of int, optional
        The shape of the array in the file, if it does not have three axes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fetch: Callable[[int, int], NDArray[Any]]
    metadata: Metadata = field(default_factory=dict)
    lost: Sequence[str] = ()
    fetch_box: Callable[[Box], NDArray[Any]] | None = None
    chunk: tuple[int, ...] = ()
    own: tuple[int, ...] = ()

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Slices ``[start:stop]``, clamped as Python does, in any order.

        Forwards, a read costs no more than its own slices. Whatever the format can check of them is
        checked: that all their bytes are there, and their checksums. Where it has one checksum for
        the whole volume, or bytes that must not follow, the read of the last slice checks them.
        Raises FileError.
        """
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        shape = (max(0, stop - start), *self.shape[1:])
        if 0 in shape:
            return np.empty(shape, self.dtype)
        return self._checked(self.fetch(start, stop), shape)

    def read_box(self, box: Box) -> NDArray[Any]:
        """The labels of a box that lies inside, checked as those of :meth:`read`.

        Without ``fetch_box`` its slices are read whole, and all at once. Raises FileError.
        """
        if self.fetch_box is None:
            (z0, z1), (y0, y1), (x0, x1) = box
            return self.read(z0, z1)[:, y0:y1, x0:x1]
        if 0 in shape_of(box):
            return np.empty(shape_of(box), self.dtype)
        return self._checked(self.fetch_box(box), shape_of(box))

    def _checked(self, labels: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        if labels.shape != shape or labels.dtype != self.dtype:
            raise FileError(f"read {labels.dtype} {labels.shape} instead of {self.dtype} {shape}")
        return labels


#: What the system says of a file, whatever is in it.
REFUSALS = (errno.EACCES, errno.EPERM, errno.EIO)


class Format(Plugin):
    """One kind of file. A class of this is one file in this folder; nothing else lists it.

    The packages behind it are imported only when a file needs them.
    """

    #: The endings of its files, in lower case.
    suffixes: ClassVar[tuple[str, ...]]
    #: Whether a file can hold several volumes, of which one is named behind a colon.
    several: ClassVar[bool] = False
    #: Whether it holds volumes without voxels; elsewhere such a shape is damage.
    empty: ClassVar[bool] = False
    #: Whether it can be given arrays of one and two dimensions to write, in one part.
    any_shape: ClassVar[bool] = False

    @abstractmethod
    def open(self, path: Path, inner: str) -> AbstractContextManager[Reader]:
        """Open a file, or what is called ``inner`` inside of it.

        Whatever it or the reader raises is told as a FileError by the caller. It opens no other
        file than ``path``, and allocates nothing that the size of the file does not warrant.
        """

    def files(self, path: Path) -> tuple[Path, ...]:
        """All files that hold a file's volume, itself first; raises as :meth:`open` does."""
        return (path,)

    @abstractmethod
    def write(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Iterable[NDArray[Any]],
        metadata: Metadata,
    ) -> list[str]:
        """Write a volume (z, y, x) that comes in parts, from the first slice to the last.

        Returns the names of what of the metadata the format cannot hold. Raises FileError for
        labels that it cannot hold, and OSError.
        """


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Tell whatever a file makes the libraries raise as a FileError of one line, and no more."""
    try:
        with warnings.catch_warnings():
            for category in (RuntimeWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            yield
    except DecodeError as error:
        raise FileError(f"{path}: not readable as {kind} ({error})") from error
    except CompressoError:
        raise
    except MemoryError as error:
        raise FileError(f"{path}: its labels do not fit the memory") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in REFUSALS:
            told = os.strerror(error.errno)
            raise FileError(f"{path}: cannot be read ({told})") from error
        expected = isinstance(error, OSError | EOFError | ValueError) and str(error)
        reason = error if expected else f"{type(error).__name__}: {error}"
        line = " ".join(str(reason).split())[:300]
        raise FileError(f"{path}: not readable as {kind} ({line})") from error


def volume_shape(
    path: Path | str, shape: Sequence[int], dtype: np.dtype[Any], others: Collection[int] = ()
) -> Shape:
    """Return the shape [z, y, x] of an array in a file.

    The parameters are those of :func:`compresso.arrays.as_shape`, which has the rule for arrays
    that do not have three axes. Raises FileError for an array that is not a volume of integers.
    """
    if dtype.kind not in "uib" or dtype.itemsize > 8 or min(shape, default=0) < 0:
        raise FileError(
            f"{path}: holds {dtype.name} of shape {tuple(shape)}; labels must be integers of at "
            'most 64 bits. Convert them first, such as labels.astype("uint32")'
        )
    try:
        return as_shape(shape, others)
    except EncodeError as error:
        raise FileError(f"{path}: {error}") from None


def reshaped(where: object, own: tuple[int, ...], shape: tuple[int, ...]) -> list[str]:
    """Return one line if an array's own shape is not that of the volume, else none."""
    return [f"{where}: the array of shape {own} is read as {shape}"] * (own not in ((), shape))


def check_room(promised: int, stored: int, ratio: int) -> None:
    """Raise EOFError where the file is too small for its labels, before they are allocated.

    Parameters
    ----------
    promised : int
        Bytes of the labels.
    stored : int
        Bytes of the file that can hold them.
    ratio : int
        Bytes that one of these can stand for, at most.
    """
    if promised > stored * ratio:
        raise EOFError(f"it promises {promised} bytes of labels, and has {stored} for them")


def check_writable(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise FileError for what only .h5 and .npy hold: empty volumes, and bool."""
    what = "bool" if dtype.kind == "b" else "an empty volume" if 0 in shape else None
    if what:
        ending = "".join(path.suffixes[-2:]) if path.suffix.lower() == ".gz" else path.suffix
        raise FileError(f"{ending} files cannot hold {what}; write an .h5 or .npy file")


def bytes_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of a volume in memory; a Python integer, which does not overflow."""
    return math.prod(shape) * dtype.itemsize
