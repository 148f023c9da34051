"""The base class of file formats, and the checks that they share."""

import errno
import math
import os
import warnings
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Shape, as_shape
from compresso.errors import CompressoError, DecodeError, EncodeError, FileError
from compresso.plugins import Plugin
from compresso.volumes._metadata import Metadata
from compresso.volumes.volume import Volume

#: Bytes that a byte of a deflate stream can stand for, at most.
DEFLATE = 1040


#: What the system says of a file, whatever is in it.
REFUSALS = (errno.EACCES, errno.EPERM, errno.EIO)


class Format(Plugin):
    """One kind of file. A class of this is one file in this folder; nothing else lists it.

    The packages behind it are imported only when a file needs them.
    """

    #: The endings of its files, in lower case.
    suffixes: ClassVar[tuple[str, ...]]
    #: How its files begin, if they all begin with some of these bytes.
    magic: ClassVar[tuple[bytes, ...]] = ()
    #: Whether a file can hold several volumes, of which one is named behind a colon.
    several: ClassVar[bool] = False
    #: Whether it holds volumes without voxels; elsewhere such a shape is damage.
    empty: ClassVar[bool] = False
    #: Whether it can be given arrays of one and two dimensions to write, in one part.
    any_shape: ClassVar[bool] = False

    @abstractmethod
    def open(self, path: Path, inner: str) -> AbstractContextManager[Volume]:
        """Open a file, or what is called ``inner`` inside of it.

        Whatever it or the reader raises is told as a FileError by the caller. It opens no other
        file than ``path``, and allocates nothing that the size of the file does not warrant.
        """

    def begins(self, head: bytes) -> bool:
        """Whether a file can begin with these bytes, the first MiB of a stream."""
        return not self.magic or head.startswith(self.magic)

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
    """Raise FileError for an empty volume or bool, which every .h5 and .npy file can hold."""
    what = "bool" if dtype.kind == "b" else "an empty volume" if 0 in shape else None
    if what:
        ending = "".join(path.suffixes[-2:]) if path.suffix.lower() == ".gz" else path.suffix
        raise FileError(f"{ending} files cannot hold {what}; write an .h5 or .npy file")


def bytes_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of a volume in memory; a Python integer, which does not overflow."""
    return math.prod(shape) * dtype.itemsize
