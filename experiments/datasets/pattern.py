"""Patterns: SYNTHETIC volumes that are nothing like tissue, the extremes for an encoder."""

import dataclasses
from collections.abc import Callable

import numpy as np

from compresso.arrays import Labels
from compresso.errors import SpecError
from compresso.plugins import Extent
from compresso.volumes.volume import Box, Shape, Volume, shape_of, slices_of
from experiments.datasets._base import Synthetic

#: What makes a box of a pattern of a shape.
Make = Callable[[Shape, Box], Labels]


def _noise(shape: Shape, box: Box) -> Labels:
    z, y, x = np.ogrid[slices_of(box)]
    return np.asarray(1 + x + shape[2] * (y + shape[1] * z), np.uint64)


def _checkerboard(_: Shape, box: Box) -> Labels:
    z, y, x = np.ogrid[slices_of(box)]
    return np.asarray((z + y + x) % 2, np.uint64)


def _coins(shape: Shape, box: Box) -> Labels:
    """Slice by slice, as each coin is tossed after the one before."""
    random = np.random.RandomState(0)
    (z0, z1), *across = box
    made = np.empty(shape_of(box), np.uint64)
    for z in range(z1):
        tossed = random.randint(2, size=shape[1:])
        if z >= z0:
            made[z - z0] = tossed[slices_of(tuple(across))]
    return made


def _blank(_: Shape, box: Box) -> Labels:
    return np.full(shape_of(box), 7, np.uint64)


KINDS: dict[str, Make] = {
    "noise": _noise,  # every voxel has a label of its own
    "checkerboard": _checkerboard,  # no voxel has its neighbour's
    "coins": _coins,  # one of two labels at random
    "blank": _blank,  # one label
}


@dataclasses.dataclass(frozen=True)
class Pattern(Synthetic):
    """A pattern as a dataset.

    Parameters
    ----------
    kind : str
        ``noise``, ``checkerboard``, ``coins`` or ``blank``.
    size : Extent
        x, y, z in voxels.
    """

    kind: str = "noise"
    size: Extent = Extent("512x512x32")

    name = "pattern"
    title = "pattern"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SpecError(f"pattern: kind={self.kind} is none of {', '.join(KINDS)}")

    def boxes(self) -> Volume:
        """Any box of it."""
        shape = self.size[::-1]

        def fetch(box: Box) -> Labels:
            return KINDS[self.kind](shape, box)

        return Volume(shape, np.dtype(np.uint64), fetch_box=fetch, chunk=(1, 1, 1))

    def status(self) -> str:
        """What there is, and its default size."""
        size = " x ".join(map(str, self.size))
        return f"synthetic, kind={'|'.join(KINDS)}, {size}; made on demand"
