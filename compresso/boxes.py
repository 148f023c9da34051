"""Any volume, a box at a time: a store of chunks, or a file that is read by slices."""

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compresso import formats, stores
from compresso.arrays import Labels
from compresso.errors import FileError
from compresso.formats import Metadata

#: From and to before, along z, y and x.
Box = tuple[tuple[int, int], ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Boxes:
    """A volume that gives any box of it; threads may ask at the same time.

    Parameters
    ----------
    shape : (int, int, int)
        Slices, rows, columns.
    dtype : integer or bool dtype
    chunk : (int, int, int)
        What is read at once, whatever is asked for, counted from the first voxel.
    fetch : callable
        Gives the labels of a box; raises FileError.
    metadata : dict
        What else the source says, as JSON (docs/formats.md, Metadata).
    lost : sequence of str
        The names of what it says too, and the metadata cannot hold.
    """

    shape: Shape
    dtype: np.dtype[Any]
    chunk: Shape
    fetch: Callable[[Box], Labels]
    metadata: Metadata = field(default_factory=dict)
    lost: tuple[str, ...] = ()


@contextmanager
def open_boxes(text: str, memory: int, strict: bool = False) -> Iterator[Boxes]:
    """Open a volume.

    Parameters
    ----------
    text : str
        A file of a known format, ``my.h5:/labels``, or a store, ``gs://bucket/seg|zarr3:``.
    memory : int
        Bytes that reading the slices of a file may take, beside the box itself.
    strict : bool
        A chunk that a store lacks is an error, and not its fill value.

    Raises
    ------
    FileError, SpecError, MissingPackageError
        As :func:`compresso.stores.open_volume` and :func:`compresso.formats.open_volume`.
    """
    if stores.names_store(text):
        yield Boxes(*stores.open_array(text, strict))
        return
    path, inner = formats.split(text)
    if not path.exists():
        raise FileError(f"{path}: no such file")
    with formats.open_volume(path, inner) as volume:
        yield of_slices(text, volume, memory)


def of_slices(text: str, volume: formats.Reader, memory: int) -> Boxes:
    """Any box of a volume that is read by slices, ``memory`` bytes of them at a time."""
    fetch, chunk = _Slices(text, volume, memory).fetch, (1, *volume.shape[1:])
    return Boxes(volume.shape, volume.dtype, chunk, fetch, volume.metadata, tuple(volume.lost))


def grid(shape: Shape, step: Shape) -> Iterator[Box]:
    """The boxes of a regular grid, x fastest; those at the end may be smaller."""
    axes = [
        [(at, min(at + by, size)) for at in range(0, size, by)]
        for size, by in zip(shape, step, strict=True)
    ]
    yield from itertools.product(*axes)


def slices_of(box: Box, origin: Box | None = None) -> tuple[slice, ...]:
    """A box as an index, of an array that begins where ``origin`` does."""
    first = [0 if origin is None else low for low, _ in origin or box]
    return tuple(slice(a - at, b - at) for (a, b), at in zip(box, first, strict=True))


def around(boxes: list[Box]) -> Box:
    """The smallest box that holds all of these."""
    axes = zip(*boxes, strict=True)
    return tuple((min(a for a, _ in axis), max(b for _, b in axis)) for axis in axes)


def shape_of(box: Box) -> Shape:
    """Slices, rows and columns of a box."""
    return tuple(high - low for low, high in box)


def spelled(box: Box) -> str:
    """A box as the stores spell it: x, y and z, ``0-512x0-512x0-64``."""
    return "x".join(f"{low}-{high}" for low, high in reversed(box))


def absolute(text: str) -> str:
    """A volume's name that means the same in another folder."""
    if "://" in text or "|" in text:
        return text
    return os.path.abspath(text)


@dataclass
class _Slices:
    """Boxes of a volume that is read by whole slices, so many at a time as the memory holds."""

    text: str
    volume: formats.Reader
    memory: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, box: Box) -> Labels:
        (z0, z1), (y0, y1), (x0, x1) = box
        plane = math.prod(self.volume.shape[1:]) * self.volume.dtype.itemsize
        depth = self.memory // max(1, plane)
        if shape_of(box)[1:] == self.volume.shape[1:]:
            depth = z1 - z0
        if depth < 1:
            raise FileError(
                f"{self.text}: one slice is {stores.spelled(plane)}; give it more with --memory"
            )
        with self._lock:
            parts = [
                self.volume.read(z, min(z + depth, z1))[:, y0:y1, x0:x1].copy()
                for z in range(z0, z1, depth)
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
