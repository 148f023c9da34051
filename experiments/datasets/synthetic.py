"""SYNTHETIC volumes: a phantom that looks like tissue to an encoder, and extreme patterns.

In the phantom, neurites are tubes that wander through a stack of slices: each has a calibre, a
velocity, a life from one slice to another, and may branch; some are as thick as a neuron's body. A
slice cuts a neurite in a stretched disc, and a voxel belongs to the neurite with the nearest disc,
displaced by noise that makes the membranes irregular. It is deterministic, and its first slices do
not depend on the number of slices.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from compresso.arrays import Labels, Shape
from compresso.codec import Extent, Plugin, build, split_codec
from compresso.errors import SpecError
from compresso.volumes.volume import Box, Volume, shape_of, slices_of


@dataclass(frozen=True)
class Synthetic(Plugin):
    """A volume that is made, box by box."""

    title: ClassVar[str]

    @abstractmethod
    def volume(self) -> Volume:
        """Return the volume; a box is made when it is read."""

    def labels(self, slices: int | None = None) -> Labels:
        """Make the first ``slices`` slices, or all."""
        volume = self.volume()
        return volume.read(0, volume.shape[0] if slices is None else slices)


@dataclass(frozen=True)
class Phantom(Synthetic):
    """The phantom."""

    size: Extent = Extent("512x512x32")  # x, y, z in voxels
    seed: int = 0
    bits: int = 64  # of a label: 64, or 32 for a uint32 volume

    name = "phantom"
    title = "Phantom"

    def __post_init__(self) -> None:
        if self.bits not in (32, 64) or not 0 <= self.seed < 1 << 32:
            raise SpecError("phantom: bits must be 32 or 64, and seed 0 to 2**32-1")

    def volume(self) -> Volume:
        """Return the volume; a box costs little more than its own voxels."""
        from experiments.datasets._neurites import Neurites  # compiled code

        made = Neurites(self.size, self.seed, self.bits)
        return Volume(self.size[::-1], made.dtype, fetch_box=made.fetch, chunk=(1, 1, 1))


PATTERNS = ("noise", "checkerboard", "coins", "blank")


def _pattern(kind: str, shape: Shape, box: Box) -> Labels:
    """Make a box of a pattern of a shape."""
    made = np.full(shape_of(box), 7, np.uint64)  # blank
    z, y, x = np.ogrid[slices_of(box)]
    if kind == "noise":  # every voxel has a label of its own
        made[:] = 1 + x + shape[2] * (y + shape[1] * z)
    elif kind == "checkerboard":  # no voxel has the label of a neighbour
        made[:] = (z + y + x) % 2
    elif kind == "coins":  # one of two labels at random; each is tossed after the one before
        random = np.random.RandomState(0)
        (z0, z1), *across = box
        for number in range(z1):
            tossed = random.randint(2, size=shape[1:])
            if number >= z0:
                made[number - z0] = tossed[slices_of(tuple(across))]
    return made


@dataclass(frozen=True)
class Pattern(Synthetic):
    """A pattern that is nothing like tissue."""

    kind: str = "noise"  # one of PATTERNS
    size: Extent = Extent("512x512x32")  # x, y, z in voxels

    name = "pattern"
    title = "Pattern"

    def __post_init__(self) -> None:
        if self.kind not in PATTERNS:
            raise SpecError(f"pattern: kind must be one of {', '.join(PATTERNS)}, not {self.kind}")

    def volume(self) -> Volume:
        """Return the volume."""
        shape, dtype = self.size[::-1], np.dtype(np.uint64)
        fetch_box = partial(_pattern, self.kind, shape)
        return Volume(shape, dtype, fetch_box=fetch_box, chunk=(1, 1, 1))


KINDS: dict[str, type[Synthetic]] = {"phantom": Phantom, "pattern": Pattern}


def parse(spec: str) -> Synthetic:
    """Return the volume of a text such as ``phantom:size=64x64x8``; raises SpecError."""
    return build(KINDS[split_codec(spec)[0]], spec)
