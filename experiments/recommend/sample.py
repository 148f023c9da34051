"""Chunks of a volume that may be larger than any memory, drawn so that they stand for all of it.

Some places more than are needed are looked at, one slice of a chunk each, spread evenly over the
volume. They are sorted by how dense the labels are there, from absent to crowded, and one of every
few is drawn: so each stratum of density has its share of the sample, and the chunks can be stacked
and taken for a small copy of the whole.

Most of a volume may hold one label only. If so, chunks are drawn from the remaining part, whose
share of the volume is known exactly where the source lists its stored chunks, and is otherwise
estimated from the places. The rest needs no sample, as its labels are known.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels
from compresso.volumes.volume import Box, Shape, Volume, grid, of_array, slices_of
from experiments.errors import DatasetError
from experiments.recommend.places import (
    FURTHER,
    LOOKS,
    Content,
    Places,
    list_places,
    look,
    one_of_each,
    read,
    varies,
    weigh,
)

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


@dataclass(frozen=True)
class Sample:
    """Chunks, or one that is the whole volume.

    Parameters
    ----------
    plan : Plan
    volume : Volume
        What it is of.
    chunks : list of (nz, ny, nx)
        In the order of their places.
    density : (n,) float
        In one slice of each: the share of voxels whose label differs from the one before.
    boxes : list of (Box, (nz, ny, nx))
        What random access fetches: where, and the labels.
    mean_density : float
        Of all places that were looked at.
    density_error : float
        The standard error of that.
    looked_at : int
        How many.
    drawn_from : float
        Chunks of that part, about.
    content : Content
        The part of the volume that the chunks stand for.
    """

    plan: Plan
    volume: Volume
    chunks: list[Labels]
    density: NDArray[np.float64]
    boxes: list[tuple[Box, Labels]]
    mean_density: float
    density_error: float
    looked_at: int
    drawn_from: float
    content: Content = Content()

    @property
    def whole(self) -> bool:
        """Whether all of the volume is measured."""
        return not self.plan.count

    @property
    def unknown(self) -> str:
        """Why nothing is known about the ratio's error; empty if it is known."""
        if self.content.share:
            return ""
        return f"no interval, as only one label was found ({self.content.source})"

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
        read = len(self.chunks) * math.prod(self.plan.chunk) / self.volume.voxels
        told = (
            f"a sample of {len(self.chunks)} chunks of {chunk} of {size} voxels, "
            f"{read:.2g} of the volume, drawn by density at "
            f"{self.looked_at} places, seed {self.plan.seed}"
        )
        found = self.content
        if not found.source or not found.share:
            return told
        span = "" if found.low == found.high else f" ({found.low:.2g} to {found.high:.2g})"
        return (
            f"{told}; they stand for the {found.share:.2g}{span} of the volume that may have "
            f"several labels ({found.source}), and the rest counts as label {found.label}"
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


def draw(volume: Volume, wanted: Plan, announce: Callable[[str], None]) -> Sample:
    """Read a sample, or the whole volume."""
    random = np.random.default_rng(wanted.seed)
    if not wanted.count:
        announce("reading the volume")
        labels = read(volume, volume.box)
        return Sample(
            wanted,
            volume,
            chunks=[labels],
            density=np.zeros(1),
            boxes=_boxes(of_array(labels), [volume.box], [labels], random),
            mean_density=0.0,
            density_error=0.0,
            looked_at=0,
            drawn_from=1,
        )
    places = Places(volume.shape, wanted.chunk)
    known = list_places(volume, places, random, announce)
    for count in (LOOKS * wanted.count, FURTHER * LOOKS * wanted.count):
        looks = look(volume, places, known, count, random, announce)
        if not looks.rare or not known.share or len(looks) == len(known.numbers):
            break
    pool = np.arange(len(looks))
    if looks.rare and looks.varies.any():
        pool = np.flatnonzero(looks.varies)
    order = pool[np.argsort(looks.density[pool], kind="stable")]
    chosen = sorted(order[one_of_each(len(pool), min(wanted.count, len(pool)), random)])
    chunks = []
    for i, at in enumerate(chosen):
        announce(f"reading chunk {i + 1} of {len(chosen)}")
        chunks.append(read(volume, looks.boxes[at]))
    drawn_from = len(known.numbers) * len(pool) / len(looks)
    density = looks.density[pool]
    return Sample(
        wanted,
        volume,
        chunks=chunks,
        density=looks.density[chosen],
        boxes=_boxes(volume, [looks.boxes[at] for at in chosen], chunks, random),
        mean_density=float(density.mean()),
        density_error=_error(density, 1 - len(looks) / len(known.numbers)),
        looked_at=len(looks),
        drawn_from=drawn_from,
        content=weigh(known, looks, chunks),
    )


def _error(density: NDArray[np.float64], missing: float) -> float:
    """The standard error of the mean density of places that were spread evenly."""
    if len(density) < 2:
        return 0.0
    return math.sqrt(missing * float((np.diff(density) ** 2).mean()) / 2 / len(density))


def _boxes(
    volume: Volume, places: Sequence[Box], chunks: Sequence[Labels], random: np.random.Generator
) -> list[tuple[Box, Labels]]:
    """What random access fetches, around parts of chunks that have several labels."""
    side = tuple(map(min, BOX, volume.shape))
    varied: list[Box] = []
    others: list[Box] = []
    for place, labels in zip(places, chunks, strict=True):
        for part in grid(labels.shape, side):
            box = tuple((a + at, b + at) for (a, b), (at, _) in zip(part, place, strict=True))
            (varied if varies(labels[slices_of(part)]) else others).append(box)
    found = varied or others
    picked = [found[i] for i in one_of_each(len(found), min(BOXES, len(found)), random)]
    around = dict.fromkeys(_around(box, side, volume.shape) for box in picked)
    return [(box, read(volume, box)) for box in around]


def _around(box: Box, side: Shape, shape: Shape) -> Box:
    """The box of a given size inside of a volume that has the same centre, as far as it fits."""
    first = [
        max(0, min((a + b - n) // 2, size - n))
        for (a, b), n, size in zip(box, side, shape, strict=True)
    ]
    return tuple((at, at + n) for at, n in zip(first, side, strict=True))


def stack(chunks: Sequence[Labels]) -> Labels:
    """Chunks of one shape as one volume, one behind the other."""
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
