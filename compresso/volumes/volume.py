"""A label volume of which any part can be read, and arithmetic with its boxes."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compresso.arrays import Labels, Shape
from compresso.atomic import Stamp
from compresso.errors import FileError
from compresso.volumes._metadata import Metadata

#: The start and the stop (exclusive) along z, y and x.
Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Volume:
    """A label volume in a file, in a store or in memory, of which any part can be read.

    Parameters
    ----------
    shape : (int, int, int)
        Slices, rows, columns.
    dtype : integer or bool dtype
    fetch : callable, optional
        Returns slices start..stop-1 for 0 <= start < stop <= shape[0]; thread-safe.
    metadata : dict
        The other fields of the source, as JSON (docs/formats.md, Metadata).
    lost : sequence of str
        The names of fields that the metadata cannot hold.
    fetch_box : callable, optional
        Returns the labels of a box; thread-safe. At least one of ``fetch`` and ``fetch_box`` is
        given.
    chunk : (int, int, int), optional
        The chunk that is read for one voxel, counted from the first voxel; by default a slice.
    own : tuple of int, optional
        The shape of the source's array, if it does not have three axes.
    stored : callable, optional
        Lists the stored chunks, if some may be missing; all other voxels have one fill value.
    paths : sequence of Path
        The local files that hold the volume, or the folder of a store; empty for all others.
    stamp : tuple of int, optional
        The sizes and times of the files before they were opened; None for all other sources.
    whole : bool
        True if one checksum covers all labels, so that only reading the last slice checks the rest.

    Examples
    --------
    >>> import numpy as np
    >>> volume = of_array(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    >>> volume.read(1, 2).shape
    (1, 3, 4)
    >>> volume.read_box(((0, 1), (0, 1), (2, 4)))
    array([[[2, 3]]], dtype=uint8)
    """

    shape: Shape
    dtype: np.dtype[Any]
    fetch: Callable[[int, int], Labels] | None = None
    metadata: Metadata = field(default_factory=dict)
    lost: Sequence[str] = ()
    fetch_box: Callable[[Box], Labels] | None = None
    chunk: Shape = ()
    own: Shape = ()
    stored: Callable[[], Iterable[Box]] | None = None
    paths: Sequence[Path] = ()
    stamp: Stamp | None = None
    whole: bool = False

    @property
    def voxels(self) -> int:
        """The number of voxels."""
        return math.prod(self.shape)

    @property
    def box(self) -> Box:
        """The box of the whole volume."""
        return tuple((0, n) for n in self.shape)

    def read(self, start: int, stop: int) -> Labels:
        """Return slices ``[start:stop]``, clamped as Python does.

        Slices may be read in any order; reading forwards is fastest. Checksums and lengths are
        checked if the format has them; the read of the last slice checks the end of the file.

        Raises
        ------
        FileError
        """
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        box = ((start, max(start, stop)), *self.box[1:])
        if self.fetch is None or 0 in shape_of(box):
            return self.read_box(box)
        return self._checked(self.fetch(start, stop), shape_of(box))

    def read_box(self, box: Box) -> Labels:
        """Return the labels of a box that lies inside, checked as those of :meth:`read`.

        Without ``fetch_box``, its slices are read completely and all at once.

        Raises
        ------
        FileError
        """
        if 0 in shape_of(box):
            return np.empty(shape_of(box), self.dtype)
        if self.fetch_box is None:
            (z0, z1), (y0, y1), (x0, x1) = box
            return self.read(z0, z1)[:, y0:y1, x0:x1]
        return self._checked(self.fetch_box(box), shape_of(box))

    def _checked(self, labels: Labels, shape: Shape) -> Labels:
        if labels.shape != shape or labels.dtype != self.dtype:
            raise FileError(f"read {labels.dtype} {labels.shape} instead of {self.dtype} {shape}")
        return labels


def of_array(labels: Labels, metadata: Metadata | None = None) -> Volume:
    """Return an array in memory as a volume."""
    return Volume(
        labels.shape,
        labels.dtype,
        metadata=metadata or {},
        fetch_box=lambda box: labels[slices_of(box)],
        chunk=labels.shape,
    )


def boxes_of(shape: Shape, step: Shape) -> Iterator[Box]:
    """Yield the boxes of a regular grid, x fastest; those at the end may be smaller."""
    axes = [
        [(at, min(at + by, size)) for at in range(0, size, by)]
        for size, by in zip(shape, step, strict=True)
    ]
    yield from itertools.product(*axes)


def slices_of(box: Box, origin: Box | None = None) -> tuple[slice, ...]:
    """Return a box as an index of an array that begins at the corner of ``origin``."""
    first = [0 if origin is None else low for low, _ in origin or box]
    return tuple(slice(a - at, b - at) for (a, b), at in zip(box, first, strict=True))


def around(boxes: list[Box]) -> Box:
    """Return the smallest box that contains all of these."""
    axes = zip(*boxes, strict=True)
    return tuple((min(a for a, _ in axis), max(b for _, b in axis)) for axis in axes)


def shape_of(box: Box) -> Shape:
    """Return slices, rows and columns of a box."""
    return tuple(high - low for low, high in box)


def format_box(box: Box) -> str:
    """Return a box as text, x y z: ``0-512x0-512x0-64``."""
    return "x".join(f"{low}-{high}" for low, high in reversed(box))
