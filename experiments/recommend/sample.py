"""Chunks of a volume that may be larger than any memory, drawn so that they stand for all of it.

Some places more than are needed are looked at, one slice of a chunk each, spread evenly over the
volume. They are sorted by how dense the labels are there, from absent to crowded, and one of every
few is drawn: so each stratum of density has its share of the sample, and the chunks can be stacked
and taken for a small copy of the whole.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels, as_volume
from compresso.boxes import Box, Boxes, Shape, of_array
from experiments.datasets import Dataset
from experiments.errors import DatasetError

#: What a chunk is by default, about, z, y, x: deep enough for encodings that look at the slice
#: before, and whole blocks of 8x8x8.
CHUNK = (16, 256, 256)
#: What is fetched alone at random access, z, y, x.
BOX = (64, 64, 64)
BOXES = 8
#: Chunks of a sample by default: at least, and at most.
FEWEST, MOST = 16, 64
SHARE = 0.05
#: Whatever the share: fewer tell nothing of what each doubling saves.
LEAST = 4
#: Of each chunk that is drawn so many places are looked at.
LOOKS = 4
#: A volume of which the sample would be a larger share than this, or that has fewer voxels than
#: this, is measured whole.
LARGEST_SHARE = 0.25
SMALL = 1 << 24


@dataclass(frozen=True)
class Plan:
    """What is read.

    Parameters
    ----------
    chunk : (int, int, int)
        The shape of each.
    count : int
        Chunks of the sample; 0 where the whole volume is measured.
    seed : int
    """

    chunk: Shape
    count: int
    seed: int

    def share(self, shape: Shape) -> float:
        """The part of the volume that is drawn."""
        return self.count * math.prod(self.chunk) / math.prod(shape) if self.count else 1.0


@dataclass(frozen=True)
class Sample:
    """Chunks, or one that is the whole volume.

    Parameters
    ----------
    plan : Plan
    volume : Boxes
        What it is of.
    chunks : list of (nz, ny, nx)
        In the order of their places.
    density : (n,) float
        At the first slice of each: the share of voxels whose label differs from the one before.
    boxes : list of (Box, (nz, ny, nx))
        What random access fetches: where, and the labels.
    mean_density : float
        Of all places that were looked at.
    density_error : float
        The standard error of that.
    looked_at : int
        How many.
    drawn_from : int
        Chunks that the volume has.
    """

    plan: Plan
    volume: Boxes
    chunks: list[Labels]
    density: NDArray[np.float64]
    boxes: list[tuple[Box, Labels]]
    mean_density: float
    density_error: float
    looked_at: int
    drawn_from: int

    @property
    def whole(self) -> bool:
        """Whether all of the volume is measured."""
        return not self.plan.count

    @property
    def part(self) -> str:
        """Which part of the volume is measured, in a few words; empty for all of it."""
        chunk = "x".join(map(str, reversed(self.plan.chunk)))
        return "" if self.whole else f"{len(self.chunks)} chunks of {chunk}, seed {self.plan.seed}"

    def told(self) -> str:
        """What was read, in words."""
        size = " x ".join(map(str, reversed(self.volume.shape)))
        if self.whole:
            return f"the whole volume, {size} voxels, is measured"
        chunk = " x ".join(map(str, reversed(self.plan.chunk)))
        return (
            f"a sample of {len(self.chunks)} chunks of {chunk} of {size} voxels, "
            f"{self.plan.share(self.volume.shape):.2g} of the volume, drawn by density at "
            f"{self.looked_at} places, seed {self.plan.seed}"
        )


def plan(shape: Shape, share: float | None, chunk: Shape | None, seed: int) -> Plan:
    """Decide what to read of a volume.

    Parameters
    ----------
    shape : (int, int, int)
    share : float, optional
        Of the volume, but 4 chunks at least; by default 0.05, but 16 to 64 chunks.
    chunk : (int, int, int), optional
        By default about 16 x 256 x 256, in whole rows where they are hardly longer.
    seed : int

    Raises DatasetError for a volume that is empty.
    """
    if 0 in shape:
        size = " x ".join(map(str, reversed(shape)))
        raise DatasetError(f"the volume is empty ({size} voxels): there is nothing to recommend")
    cut = chunk or tuple(map(_side, shape, CHUNK))
    cut = tuple(map(min, cut, shape))
    voxels = math.prod(shape)
    wanted = (SHARE if share is None else share) * voxels / math.prod(cut)
    count = max(LEAST, math.ceil(wanted))
    if share is None:
        count = min(MOST, max(FEWEST, count))
    small = share is None and voxels < SMALL
    if small or count * math.prod(cut) > LARGEST_SHARE * voxels:
        count = 0
    return Plan(cut, count, seed)


def _side(size: int, wanted: int) -> int:
    """A chunk's side: all of it where it is hardly longer, else even parts of whole blocks."""
    if size <= wanted * 3 // 2:
        return size
    return min(size, -(-size // round(size / wanted) // 8) * 8)


@contextmanager
def opened(dataset: Dataset) -> Iterator[tuple[str, Boxes]]:
    """Open a dataset: its source, and boxes of it as encodings take them.

    Raises what reading it raises.
    """
    with dataset.boxes() as (source, boxes):

        def fetch(box: Box) -> Labels:
            return as_volume(boxes.fetch(box))

        dtype = as_volume(np.empty((0, 0, 0), boxes.dtype)).dtype
        yield source, replace(boxes, dtype=dtype, fetch=fetch)


def draw(volume: Boxes, wanted: Plan, announce: Callable[[str], None]) -> Sample:
    """Read a sample, or the whole volume."""
    random = np.random.default_rng(wanted.seed)
    if not wanted.count:
        announce("reading the volume")
        labels = _read(volume, volume.box)
        boxes = _boxes(of_array(labels), random)
        return Sample(
            wanted,
            volume,
            chunks=[labels],
            density=np.zeros(1),
            boxes=boxes,
            mean_density=0.0,
            density_error=0.0,
            looked_at=0,
            drawn_from=1,
        )
    places = Places(volume.shape, wanted.chunk)
    looked = places.spread(LOOKS * wanted.count, random)
    density = np.empty(len(looked))
    for i, ((z, _), *across) in enumerate(looked):
        announce(f"looking at place {i + 1} of {len(looked)}")
        density[i] = _density(_read(volume, ((z, z + 1), *across)))
    order = np.argsort(density, kind="stable")
    chosen = sorted(order[_one_of_each(len(looked), wanted.count, random)])
    chunks = []
    for i, at in enumerate(chosen):
        announce(f"reading chunk {i + 1} of {len(chosen)}")
        chunks.append(_read(volume, looked[at]))
    missing = 1 - len(looked) / len(places)
    error = math.sqrt(missing * float((np.diff(density) ** 2).mean()) / 2 / len(looked))
    return Sample(
        wanted,
        volume,
        chunks=chunks,
        density=density[chosen],
        boxes=_boxes(volume, random),
        mean_density=float(density.mean()),
        density_error=error,
        looked_at=len(looked),
        drawn_from=len(places),
    )


def _read(volume: Boxes, box: Box) -> Labels:
    return np.ascontiguousarray(volume.fetch(box))


@dataclass(frozen=True)
class Places:
    """The boxes of a volume's chunks, all of one shape: the last of each axis are moved inside."""

    shape: Shape
    chunk: Shape

    @property
    def _across(self) -> Shape:
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    def __len__(self) -> int:
        return math.prod(self._across)

    def __getitem__(self, number: int) -> Box:
        if not 0 <= number < len(self):
            raise IndexError(number)
        box = []
        for across, n, c in reversed(list(zip(self._across, self.shape, self.chunk, strict=True))):
            number, i = divmod(number, across)
            at = min(i * c, n - c)
            box.append((at, at + c))
        return tuple(reversed(box))

    def spread(self, count: int, random: np.random.Generator) -> list[Box]:
        """So many places at most, spread evenly over the volume, in their order."""
        return [self[i] for i in _one_of_each(len(self), min(count, len(self)), random)]


def _one_of_each(total: int, count: int, random: np.random.Generator) -> list[int]:
    """One number of each of ``count`` equal parts of ``range(total)``."""
    edges = [total * i // count for i in range(count + 1)]
    return [int(random.integers(a, b)) for a, b in itertools.pairwise(edges)]


def _boxes(volume: Boxes, random: np.random.Generator) -> list[tuple[Box, Labels]]:
    side = tuple(map(min, BOX, volume.shape))
    places = Places(volume.shape, side).spread(BOXES, random)
    return [(box, _read(volume, box)) for box in places]


def _density(labels: Labels) -> float:
    """The share of voxels of a slice whose label differs from the one before in its row."""
    return float(np.count_nonzero(labels[..., 1:] != labels[..., :-1])) / labels.size


def stack(chunks: Sequence[Labels]) -> Labels:
    """Chunks of one shape as one volume, one behind the other."""
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
