"""Patterns: SYNTHETIC volumes that are nothing like tissue, the extremes for an encoder."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compresso.errors import SpecError
from compresso.plugins import Extent
from experiments.datasets._base import Synthetic, Volume, first

Shape = tuple[int, int, int]


def _noise(shape: Shape) -> NDArray[np.uint64]:
    return np.arange(1, math.prod(shape) + 1, dtype=np.uint64).reshape(shape)


def _checkerboard(shape: Shape) -> NDArray[np.uint64]:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    board: NDArray[np.uint64] = ((z + y + x) % 2).astype(np.uint64)
    return board


def _coins(shape: Shape) -> NDArray[np.uint64]:
    return np.random.RandomState(0).randint(2, size=shape).astype(np.uint64)


def _blank(shape: Shape) -> NDArray[np.uint64]:
    return np.full(shape, 7, np.uint64)


KINDS: dict[str, Callable[[Shape], NDArray[np.uint64]]] = {
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

    def load(self, slices: int | None = None) -> Volume:
        """Make the volume, or its first ``slices`` slices."""
        x, y, z = self.size
        z, part = first(slices, z)
        return Volume(self.spec, "synthetic", self.group, KINDS[self.kind]((z, y, x)), part)

    def status(self) -> str:
        """What there is, and its default size."""
        size = " x ".join(map(str, self.size))
        return f"synthetic, kind={'|'.join(KINDS)}, {size}; made on demand"
