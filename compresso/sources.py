"""Any source of labels, a box at a time: a store of chunks, or a file."""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from compresso import formats, stores
from compresso.arrays import Labels
from compresso.boxes import Box, Boxes, shape_of
from compresso.errors import FileError


@contextmanager
def open_boxes(text: str, memory: int, strict: bool = False) -> Iterator[Boxes]:
    """Open a volume.

    Parameters
    ----------
    text : str
        A file of a known format, ``my.h5:/labels``, or a store, ``gs://bucket/seg|zarr3:``.
    memory : int
        Bytes that whole slices of a file may take, where it must be read by them, beside the box.
    strict : bool
        A chunk that a store lacks is an error, and not its fill value.

    Raises
    ------
    FileError, SpecError, MissingPackageError
        As :func:`compresso.stores.open_volume` and :func:`compresso.formats.open_volume`.
    """
    if stores.names_store(text):
        yield stores.open_array(text, strict)
        return
    path, inner = formats.split(text)
    if not path.exists():
        raise FileError(f"{path}: no such file")
    with formats.open_volume(path, inner) as volume:
        yield of_file(text, volume, memory, "; give it more with --memory")


def of_file(text: str, volume: formats.Reader, memory: int, advice: str = "") -> Boxes:
    """Any box of a volume in a file, read by ``memory`` bytes of whole slices where it must be.

    ``advice`` ends the error of a slice that does not fit.
    """
    fetch = _FileBoxes(text, volume, memory, advice).fetch
    chunk = tuple(max(1, n) for n in volume.chunk or (1, *volume.shape[1:]))
    lost = tuple(volume.lost)
    return Boxes(volume.shape, volume.dtype, chunk, fetch, volume.metadata, lost, volume.own)


def absolute(text: str) -> str:
    """A volume's name that means the same in another folder."""
    if "://" in text or "|" in text:
        return text
    return os.path.abspath(text)


@dataclass
class _FileBoxes:
    """Boxes of a volume that is read by whole slices, so many at a time as the memory holds.

    Where its format gives boxes, these alone are read.
    """

    text: str
    volume: formats.Reader
    memory: int
    advice: str
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
                f"{self.text}: a slice of {stores.spelled(plane)} does not fit the "
                f"{stores.spelled(self.memory)} for reading{self.advice}"
            )
        with self._lock:
            parts = [
                self.volume.read(z, min(z + depth, z1))[:, y0:y1, x0:x1].copy()
                for z in range(z0, z1, depth)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
