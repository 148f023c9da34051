"""Boxes of a volume: what gives them, and what is reckoned with them."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from compresso.arrays import Labels

if TYPE_CHECKING:  # a format's reader gives boxes itself
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
    own : tuple of int, optional
        The shape of the source's array, if it does not have three axes.
    """

    shape: Shape
    dtype: np.dtype[Any]
    chunk: Shape
    fetch: Callable[[Box], Labels]
    metadata: "Metadata" = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    own: Shape = ()

    @property
    def voxels(self) -> int:
        """Voxels of the whole volume."""
        return math.prod(self.shape)

    @property
    def box(self) -> Box:
        """The box that is all of it."""
        return tuple((0, n) for n in self.shape)


def of_array(labels: Labels) -> Boxes:
    """Any box of what is in memory."""

    def fetch(box: Box) -> Labels:
        return labels[slices_of(box)]

    return Boxes(labels.shape, labels.dtype, labels.shape, fetch)


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
