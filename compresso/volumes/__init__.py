"""Label volumes in files and stores: one way to open, read and write all of them.

:func:`open` understands every source that the commands take and returns a :class:`Volume`. A file
format is one file of this folder with a class derived from ``Format`` (``_format.py``); a kind of
store is one file with a class derived from ``Kind`` (``_kind.py``). Nothing else lists them.
"""

import itertools
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from compresso.arrays import Labels
from compresso.atomic import STANDARD, seekable
from compresso.errors import FileError
from compresso.volumes._files import (
    Writer,
    any_shape,
    files,
    find_format,
    head,
    open_file,
    sliced,
    split,
    suffixes,
    writer,
)
from compresso.volumes._folder import Folder, folder
from compresso.volumes._format import Format, reshaped
from compresso.volumes._location import UNFINISHED, holds, local, names_store, short, what_is
from compresso.volumes._memory import available, format_size
from compresso.volumes._metadata import Metadata, fit, summary, tell
from compresso.volumes._stores import open_store
from compresso.volumes.volume import Box, Volume, of_array, shape_of

__all__ = [
    "UNFINISHED",
    "Folder",
    "Format",
    "Metadata",
    "Volume",
    "Writer",
    "absolute",
    "any_shape",
    "available",
    "files",
    "fit",
    "folder",
    "format_size",
    "holds",
    "local",
    "named",
    "names_store",
    "of_array",
    "open",
    "open_file",
    "open_store",
    "reshaped",
    "short",
    "sliced",
    "split",
    "suffixes",
    "summary",
    "tell",
    "what_is",
    "with_boxes",
    "writer",
]


@contextmanager
def open(  # as the built-in function, for volumes
    text: str, memory: int | None = None, strict: bool = False, form: str = "", advice: str = ""
) -> Iterator[Volume]:
    """Open a volume, of which any part can be read.

    Parameters
    ----------
    text : str
        A file of a known format, ``my.h5:/labels``, or a store, ``gs://bucket/seg|zarr3:``; ``-``
        is the standard input.
    memory : int, optional
        Approximate memory in bytes for reading, without the returned labels; by default a quarter
        of the free memory.
    strict : bool
        Refuse chunks that were never written; by default they have the fill value.
    form : str
        The file ending of the format, such as ``nii.gz``, if the file's name does not have it.
    advice : str
        The end of the error message for a file of unknown format.

    Raises
    ------
    FileError, SpecError, MissingPackageError
        If there is no such file or store, or it is not a volume of labels.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     np.save(f"{parent}/a.npy", np.ones((4, 5, 6), np.uint16))
    ...     with open(f"{parent}/a.npy") as volume:
    ...         volume.shape, volume.read_box(((1, 2), (0, 5), (2, 4))).shape
    ((4, 5, 6), (1, 5, 2))
    """
    if names_store(text):
        with open_store(text, memory, strict) as volume:
            yield volume
        return
    path, inner = split(text)
    if path != STANDARD and not path.exists():
        raise FileError(f"{path}: no such file")
    ending = named(path, form, advice)
    name = Path(ending or path)
    begin = head(path, name)
    with seekable(path, ending, begin) as file, open_file(file, inner, name) as volume:
        room = available() // 4 if memory is None else memory
        found = with_boxes(text, volume, room, "; give it more with --memory")
        yield _strict(text, found) if strict else found


def named(path: Path, form: str, advice: str = "") -> str:
    """Return a file name that has the ending ``form``; empty if the path's own name decides.

    Raises FileError if that is not the ending of a known format.
    """
    if not form and not path.is_dir():
        find_format(path, advice)
    return f"volume.{form.lstrip('.')}" if form else ""


def with_boxes(text: str, volume: Volume, memory: int, advice: str = "") -> Volume:
    """Return a volume any box of which can be read, also if its format has only whole slices.

    At most ``memory`` bytes of slices are read at a time; ``advice`` ends the error message if one
    slice does not fit.
    """
    fetch = _Boxes(text, volume, memory, advice).fetch
    chunk = tuple(max(1, n) for n in volume.chunk or (1, *volume.shape[1:]))
    return replace(volume, fetch_box=fetch, chunk=chunk)


def _strict(text: str, volume: Volume) -> Volume:
    """The same volume, but a box with a chunk that was never written raises FileError."""
    if volume.stored is None:
        return volume
    stored = {tuple(low for low, _ in box) for box, _ in volume.stored()}

    def fetch(box: Box) -> Labels:
        steps = zip(box, volume.chunk, strict=True)
        for at in itertools.product(*(range(a - a % by, b, by) for (a, b), by in steps)):
            if at not in stored:
                raise FileError(f"{text}: its chunk at voxel (z, y, x) = {at} was never written")
        return volume.read_box(box)

    return replace(volume, fetch=None, fetch_box=fetch)


def absolute(text: str) -> str:
    """A volume's name that means the same in another folder."""
    if "://" in text or "|" in text:
        return text
    return os.path.abspath(text)


@dataclass
class _Boxes:
    """Reads boxes, by whole slices if the format has no boxes, as many as the memory holds."""

    text: str
    volume: Volume
    memory: int
    advice: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: tuple[int, Labels] | None = None  # a slice, of which more boxes may be wanted

    def fetch(self, box: Box) -> Labels:
        if self.volume.fetch_box:
            with self._lock:
                return self.volume.read_box(box)
        (z0, z1), (y0, y1), (x0, x1) = box
        plane = math.prod(self.volume.shape[1:]) * self.volume.dtype.itemsize
        depth = self.memory // max(1, plane)
        if shape_of(box)[1:] == self.volume.shape[1:]:
            depth = z1 - z0
        if depth < 1:
            raise FileError(
                f"{self.text}: a slice of {format_size(plane)} does not fit the "
                f"{format_size(self.memory)} for reading{self.advice}"
            )
        with self._lock:
            if z1 - z0 == 1:
                if self._last is None or self._last[0] != z0:
                    self._last = z0, self.volume.read(z0, z1)
                return self._last[1][:, y0:y1, x0:x1].copy()
            parts = [
                self.volume.read(z, min(z + depth, z1))[:, y0:y1, x0:x1].copy()
                for z in range(z0, z1, depth)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
