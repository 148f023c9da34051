"""The phantom: a SYNTHETIC label volume that looks like an EM segmentation to an encoder.

Neurites are tubes that wander through a stack of slices: each has a calibre, a velocity, a life
from one slice to another, and may branch; here and there one is as thick as a cell body. A slice
cuts a neurite in a stretched disc; a voxel belongs to the neurite whose disc is nearest, seen
through a warp of noise that makes the membranes irregular. It is deterministic, and its first
slices do not depend on how many are made.
"""

from dataclasses import dataclass

from compresso.errors import SpecError
from compresso.plugins import Extent
from compresso.volumes.volume import Volume
from experiments.datasets._base import Synthetic


@dataclass(frozen=True)
class Phantom(Synthetic):
    """The phantom as a dataset.

    Parameters
    ----------
    size : Extent
        x, y, z in voxels.
    seed : int
        Another seed, another brain.
    bits : int
        Of an id: 64, or 32 for a uint32 volume.
    """

    size: Extent = Extent("512x512x32")
    seed: int = 0
    bits: int = 64

    name = "phantom"
    title = "phantom"

    def __post_init__(self) -> None:
        if self.bits not in (32, 64) or not 0 <= self.seed < 1 << 32:
            raise SpecError("phantom: bits must be 32 or 64, and seed in 0..2**32-1")

    @property
    def source(self) -> str:
        """The seed, too."""
        return f"synthetic (seed {self.seed})"

    def boxes(self) -> Volume:
        """Any box of it, which costs little more than itself."""
        from experiments.datasets._neurites import Neurites  # compiled code

        made = Neurites(self.size, self.seed, self.bits)
        return Volume(self.size[::-1], made.dtype, fetch_box=made.fetch, chunk=(1, 1, 1))

    def status(self) -> str:
        """What it is, and its default size."""
        return f"synthetic, {' x '.join(map(str, self.size))}; made on demand"
