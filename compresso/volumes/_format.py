"""The base class of file formats, and what their readers share: checks, streams and memory."""

import bz2
import errno
import gzip
import io
import math
import os
import shlex
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import psutil

from compresso.arrays import Labels, Shape, as_shape
from compresso.codec import find_classes
from compresso.errors import CompressoError, DecodeError, EncodeError, FileError
from compresso.volumes._metadata import Metadata, geometry_of, leaves, listed
from compresso.volumes.volume import Volume

#: The largest number of bytes that a byte of a deflate stream can stand for.
DEFLATE = 1040
#: The same for each packing of a :func:`stream`.
RATIOS = {"raw": 1, "gzip": DEFLATE, "bz2": 1 << 21}
#: System errors that do not depend on the content of a file.
REFUSALS = (errno.EACCES, errno.EPERM, errno.EIO)
#: The memory limit of a container, on Linux, and the memory in use.
CGROUP = Path("/sys/fs/cgroup")


class Format(ABC):
    """A file format. A subclass is one file in this folder and is not listed anywhere.

    Packages that a format needs are imported when a file is opened or written.
    """

    #: Its name in messages.
    name: ClassVar[str]
    #: The endings of its files, in lower case.
    suffixes: ClassVar[tuple[str, ...]]
    #: The first bytes of its files; every file begins with one of these.
    magic: ClassVar[tuple[bytes, ...]] = ()
    #: The name of its own fields in the metadata.
    key: ClassVar[str] = ""
    #: Those of its fields that the geometry contains, if there is one.
    geometry_fields: ClassVar[Collection[str]] = ()
    #: Values of its fields that need no mention.
    default_values: ClassVar[dict[str, tuple[Any, ...]]] = {}
    #: Whether a file can hold several volumes, one of which is named after a colon.
    holds_several: ClassVar[bool] = False
    #: The kinds of dtypes that it can hold, as in ``dtype.kind``.
    kinds: ClassVar[str] = "uib"
    #: Whether it can hold volumes without voxels; in other formats such a shape is damage.
    empty: ClassVar[bool] = False
    #: Whether it can be given arrays of one and two dimensions to write, in one part.
    any_shape: ClassVar[bool] = False

    @abstractmethod
    def open(self, path: Path, inner: str) -> AbstractContextManager[Volume]:
        """Open a file, or its volume ``inner``.

        The caller turns every exception into a FileError. Only the :meth:`files` of ``path`` may
        be opened, and nothing may be allocated that is larger than the file can justify.
        """

    def begins(self, head: bytes) -> bool:
        """Whether a file can begin with these bytes, the first MiB of a stream."""
        return not self.magic or head.startswith(self.magic)

    def files(self, path: Path) -> tuple[Path, ...]:
        """Return all files of a file's volume, itself first; raises as :meth:`open` does."""
        return (path,)

    def sliced(self, fields: Metadata, z0: int, z1: int) -> Metadata:
        """Return its own fields for slices z0..z1-1, without the geometry."""
        return fields

    def check(self, volume: Volume) -> None:
        """Raise FileError for an empty volume or a dtype, if its files cannot hold them."""
        what = ""
        if volume.dtype.kind not in self.kinds:
            what = f"labels of {volume.dtype.name}"
        elif 0 in volume.shape and not self.empty:
            what = f"an empty volume of shape {volume.shape}"
        if what:
            raise FileError(f"{self.name} files cannot hold {what}. Write an .h5 or .npy file.")

    @abstractmethod
    def write(self, path: Path, volume: Volume, parts: Iterable[Labels]) -> list[str]:
        """Write a volume whose labels come in parts, from the first slice to the last.

        Returns the names of the metadata that the format cannot hold. Raises FileError for labels
        that it cannot hold, and OSError.
        """

    def lost_fields(self, metadata: Metadata) -> list[str]:
        """Return the names of the other formats' fields, which its files lose."""
        geometry = geometry_of(metadata)
        lost = [] if self.key or not geometry else ["the geometry"]
        formats_by_key = {format.key: format for format in formats()}
        for path, value in leaves(metadata):
            format = formats_by_key.get(path[0], Format)
            usual = value in format.default_values.get(path[-1], ())
            placed = geometry and not set(format.geometry_fields).isdisjoint(path[1:])
            if path[0] != self.key and not usual and not placed:
                lost.append(" ".join(path))
        return lost


@cache
def formats() -> list[type[Format]]:
    """Return all formats."""
    found = find_classes("compresso.volumes", Format, "format")  # type: ignore[type-abstract]
    return list(found.values())


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever the libraries raise for a file into a FileError of one line."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except MemoryError as error:
        raise FileError(f"{path}: its labels do not fit the memory") from error
    except Exception as error:
        if isinstance(error, CompressoError) and not isinstance(error, DecodeError):
            raise
        if isinstance(error, OSError) and error.errno in REFUSALS:
            reason = os.strerror(error.errno)
            raise FileError(f"{path}: cannot be read ({reason})") from error
        expected = isinstance(error, OSError | EOFError | ValueError) and str(error)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        line = " ".join(text.split())[:300]
        raise FileError(f"{path}: not readable as {kind} ({line})") from error


# -- checks ---------------------------------------------------------------------------------------


def volume_shape(
    path: Path | str, shape: Sequence[int], dtype: np.dtype[Any], others: Collection[int] = ()
) -> Shape:
    """Return the shape [z, y, x] of an array of integers; raises FileError for any other array."""
    if dtype.kind not in "uib" or dtype.itemsize > 8 or min(shape, default=0) < 0:
        raise FileError(
            f"{path}: the dtype is {dtype.name} (shape {tuple(shape)}), but labels must be "
            'integers of at most 64 bits. Convert them first, such as labels.astype("uint32")'
        )
    try:
        return as_shape(shape, others)
    except EncodeError as error:
        raise FileError(f"{path}: {error}") from None


def several(path: Path, problem: str, names: Sequence[str], example: object) -> FileError:
    """Return an error that lists the volumes of a file, and shows how to name one."""
    choice = shlex.quote(f"{path}:{example}")
    return FileError(f"{path}: {problem}: {listed(names)}. Choose one, e.g. {choice}")


def check_room(promised: int, stored: int, ratio: int) -> None:
    """Raise EOFError if a file is too small for its labels, before they are allocated.

    Each of the ``stored`` bytes stands for at most ``ratio`` of the ``promised`` bytes of labels.
    """
    if promised > stored * ratio:
        raise EOFError(f"its header promises {promised} bytes of labels; the file has {stored}")


def bytes_of(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Return the bytes of a volume in memory, as a Python integer, which does not overflow."""
    return math.prod(map(int, shape)) * dtype.itemsize


# -- memory ---------------------------------------------------------------------------------------


def available() -> int:
    """Return about how many bytes can be allocated without swapping."""
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # there is no limit, or it is "max"
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        words = (CGROUP / "memory.stat").read_text().split()
        cached = int(words[words.index("inactive_file") + 1])  # freed when memory is needed
        free = min(free, max(0, limit - used + cached))
    return free


# -- slices that follow one another in a file -----------------------------------------------------


@contextmanager
def stream(
    path: Path,
    shape: Shape,
    dtype: np.dtype[Any],
    packing: str = "raw",
    start: int = 0,
    skip: int = 0,
    last: bool = True,
) -> Iterator[Callable[[int, int], Labels]]:
    """Open a file that may be compressed; the result returns slices start..stop-1, in C order.

    The labels follow ``start`` bytes of the file and ``skip`` unpacked bytes. Nothing is read twice
    as long as slices are in order. After the last slice, the end is checked: nothing may follow if
    the labels are the ``last`` bytes. gzip has a checksum and a length, and only zeros may follow
    it. bzip2 has a checksum per block; bytes that follow are ignored, as by its own program.
    """
    plane = bytes_of(shape[1:], dtype)
    stored = max(0, path.stat().st_size - start)
    check_room(bytes_of(shape, dtype) + skip, stored, RATIOS[packing])
    with ExitStack() as opened:
        file: Any = None
        at = -1  # the next slice of the file; -1 until a read succeeds

        def fetch(first: int, stop: int) -> Labels:
            nonlocal file, at
            labels = np.empty((stop - first, *shape[1:]), dtype)
            if not 0 <= at <= first:
                opened.close()
                file, at = opened.enter_context(unpacked(path, packing, start)), 0
                file.seek(skip, io.SEEK_CUR)
            file.seek((first - at) * plane, io.SEEK_CUR)
            at = -1
            view = labels.view(np.uint8).data.cast("B")
            while view:
                count = file.readinto(view)
                if not count:
                    raise EOFError(f"it ends before slice {stop - len(view) // plane}")
                view = view[count:]
            if last and stop == shape[0] and file.read(1):
                raise ValueError("there are more bytes than its header says")
            at = stop
            return labels

        yield fetch


@contextmanager
def unpacked(path: Path, packing: str, start: int = 0) -> Iterator[Any]:
    """Open a file at byte ``start`` and unpack the rest: ``raw``, ``gzip`` or ``bz2``."""
    openers: dict[str, Any] = {"raw": nullcontext, "gzip": gzip.open, "bz2": bz2.open}
    with path.open("rb") as file:
        file.seek(start)
        with openers[packing](file) as content:
            yield content


def packer(file: BinaryIO, packed: bool = True) -> AbstractContextManager[Any]:
    """Return a file that packs all bytes with gzip on their way to this file, or this file."""
    return gzip.GzipFile("", "wb", 6, file, mtime=0) if packed else nullcontext(file)
