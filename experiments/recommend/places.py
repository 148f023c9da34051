"""Which places of a volume have several labels: what its source says, and what a look finds."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compresso.arrays import Labels
from compresso.volumes.volume import Box, Shape, Volume, shape_of

#: For each chunk that is drawn, this many places are looked at.
LOOKS = 4
#: If fewer than one of ``LOOKS`` places has several labels, this many times as many are looked at.
FURTHER = 16
#: Places that the source says to be blank are set aside if they are at least this share.
SET_ASIDE = 0.1
#: Places that are read to check that the smallest stored chunks hold one label each.
CHECKED = 8
#: Chunks that a source may list, and places of a volume, at most: more take too long.
LONGEST = 1 << 24


@dataclass(frozen=True)
class Places:
    """The boxes of a volume's chunks, all of one shape: the last of each axis are moved inside."""

    shape: Shape
    chunk: Shape

    @property
    def across(self) -> Shape:
        """How many there are along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    def __len__(self) -> int:
        return math.prod(self.across)

    def __getitem__(self, number: int) -> Box:
        if not 0 <= number < len(self):
            raise IndexError(number)
        box = []
        for across, n, c in reversed(list(zip(self.across, self.shape, self.chunk, strict=True))):
            number, i = divmod(number, across)
            at = min(i * c, n - c)
            box.append((at, at + c))
        return tuple(reversed(box))

    @property
    def joined(self) -> tuple[float, ...]:
        """The share of them that the volume continues behind, along each axis."""
        return tuple(1 - c / n for n, c in zip(self.shape, self.chunk, strict=True))

    def touching(self, box: Box) -> tuple[slice, ...]:
        """The places that share a voxel with a box, as an index of their grid."""
        found = []
        for (a, b), across, n, c in zip(box, self.across, self.shape, self.chunk, strict=True):
            last = across - 1 if b > n - c else (b - 1) // c  # the last one is moved inside
            found.append(slice(a // c, last + 1))
        return tuple(found)


@dataclass(frozen=True)
class Known:
    """What a source says about the places of a volume before any is read.

    Parameters
    ----------
    numbers : sequence of int
        The places that may have several labels; all places if none does.
    share : float
        How many of all places may have several labels.
    label : int
        The label of the others.
    source : str
        How this is known; empty if the source does not say.
    joined : (float, float, float)
        The share of the places that are followed by another one along each axis.
    """

    numbers: Sequence[int] | NDArray[np.intp]
    joined: tuple[float, ...]
    share: float = 1.0
    label: int = 0
    source: str = ""


@dataclass(frozen=True)
class Looks:
    """What was found at some places, in one slice of each.

    Parameters
    ----------
    boxes : list of Box
    density : (n,) float
        The share of voxels whose label differs from the one before.
    varies : (n,) bool
        Whether there are several labels.
    labels : list of int
        The first label.
    """

    boxes: list[Box]
    density: NDArray[np.float64]
    varies: NDArray[np.bool_]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def rare(self) -> bool:
        """Whether few have several labels."""
        return bool(self.varies.mean() < 1 / LOOKS)


@dataclass(frozen=True)
class Content:
    """The part of a volume that its sample stands for; all other voxels have one label.

    Parameters
    ----------
    joined : (float, float, float)
        The share of its chunks that are followed by another one along each axis.
    share : float
        The part of the volume; 0 if no place with several labels was found.
    low, high : float
        The bounds of the 95% interval of ``share``.
    label : int
        The label of the other voxels.
    source : str
        How the share is known; empty if it is the whole volume.
    weights : (n,) float, optional
        By how much the bytes of each chunk of the sample are multiplied.
    """

    joined: tuple[float, ...] = (0.0, 0.0, 0.0)
    share: float = 1.0
    low: float = 1.0
    high: float = 1.0
    label: int = 0
    source: str = ""
    weights: NDArray[np.float64] | None = None


def list_places(
    volume: Volume, places: Places, random: np.random.Generator, announce: Callable[[str], None]
) -> Known:
    """Find the places that may have several labels from the source's list of stored chunks.

    In a list of packed chunks those of one shape that are all as small as the smallest one, while
    others are larger, hold one label each. Some are read to check that.
    """
    everything = Known(range(len(places)), places.joined)
    if volume.stored is None or len(places) > LONGEST:
        return everything
    announce("listing the stored chunks")
    sizes: dict[Shape, tuple[int, int, int]] = {}  # of each shape the least, how often, the most
    for number, (box, size) in enumerate(volume.stored()):
        if number == LONGEST:
            return everything
        least, often, most = sizes.get(shape_of(box), (size, 0, size))
        often = often + 1 if size == least else often if size > least else 1
        sizes[shape_of(box)] = min(least, size), often, max(most, size)
    packed = {shape: least for shape, (least, n, most) in sizes.items() if least < most and n > 1}
    level = np.zeros(places.across, np.int8)  # 1 for stored, 2 for stored and not the smallest
    for box, size in volume.stored():
        at = places.touching(box)
        level[at] = np.maximum(level[at], 1 if packed.get(shape_of(box)) == size else 2)
    flat = level.ravel()
    numbers, source = np.flatnonzero(flat), "all others have no stored chunk"
    small = np.flatnonzero(flat == 1)
    some = small[one_of_each(len(small), min(CHECKED, len(small)), random)]
    if len(some) and not any(varies(read(volume, places[number])) for number in some):
        numbers = np.flatnonzero(flat == 2)
        source = "all others have no stored chunk, or one of the smallest size"
    if len(numbers) > (1 - SET_ASIDE) * len(places):
        return everything
    other = int(np.setdiff1d(np.arange(len(places)), numbers)[0])
    label = int(read(volume, tuple((a, a + 1) for a, _ in places[other])).item())
    if not len(numbers):
        return replace(everything, share=0.0, label=label, source="no chunk is stored")
    stored = np.zeros(places.across, bool)
    stored.flat[numbers] = True
    pairs = (np.swapaxes(stored, 0, axis) for axis in range(3))
    joined = tuple(float((one[1:] & one[:-1]).sum()) / len(numbers) for one in pairs)
    return Known(numbers, joined, len(numbers) / len(places), label, source)


def look(
    volume: Volume,
    places: Places,
    known: Known,
    count: int,
    random: np.random.Generator,
    announce: Callable[[str], None],
) -> Looks:
    """Look at one slice, drawn at random, of places that are spread evenly over the known ones."""
    numbers = known.numbers
    picked = one_of_each(len(numbers), min(count, len(numbers)), random)
    boxes = [places[int(numbers[i])] for i in picked]
    slices = [int(random.integers(a, b)) for (a, b), *_ in boxes]
    density, several = np.empty(len(boxes)), np.empty(len(boxes), bool)
    labels = [0] * len(boxes)
    for done, i in enumerate(np.argsort(slices, kind="stable")):  # some files give whole slices
        announce(f"looking at place {done + 1} of {len(boxes)}")
        found = read(volume, ((slices[i], slices[i] + 1), *boxes[i][1:]))
        density[i], several[i], labels[i] = _density(found), varies(found), int(found.flat[0])
    return Looks(boxes, density, several, labels)


def weigh(known: Known, looks: Looks, chunks: Sequence[Labels]) -> Content:
    """What the chunks of a sample stand for, and by how much the bytes of each are multiplied.

    If places with several labels are rare, only such places have been drawn. A chunk with several
    labels in n of its 16 slices was found with a probability of n / 16, so its bytes count 16 / n
    times.
    """
    found = Content(known.joined, known.share, known.share, known.share, known.label, known.source)
    if not known.share:
        return found
    if not any(map(varies, chunks)):
        source = f"at none of the {len(looks):,} places that were looked at"
        return replace(found, share=0.0, low=0.0, label=looks.labels[0], source=source)
    if not (looks.rare and looks.varies.any()):
        return found
    from scipy import stats

    filled = np.array([np.mean([varies(plane) for plane in chunk]) for chunk in chunks])
    count = int(looks.varies.sum())
    share, bounds = count / len(looks), stats.binomtest(count, len(looks)).proportion_ci()
    unseen = math.sqrt(max(0.0, 1 - len(looks) / len(known.numbers) * float(filled.mean())))
    ends = [known.share * share * (end / share) ** unseen for end in (share, *bounds)]
    label, source = known.label, f"{count:,} of {len(looks):,} places that were looked at"
    if known.source:
        source = f"{known.source}; {source}"
    else:
        others = [looks.labels[i] for i in np.flatnonzero(~looks.varies)]
        label = max(set(others), key=others.count)
    return Content(known.joined, ends[0], ends[1], ends[2], label, source, 1 / filled)


def read(volume: Volume, box: Box) -> Labels:
    """The labels of a box, in C order."""
    return np.ascontiguousarray(volume.read_box(box))


def one_of_each(total: int, count: int, random: np.random.Generator) -> list[int]:
    """One number of each of ``count`` equal parts of ``range(total)``."""
    edges = [total * i // count for i in range(count + 1)] if count else []
    return [int(random.integers(a, b)) for a, b in itertools.pairwise(edges)]


def varies(labels: Labels) -> bool:
    """Whether there are several labels."""
    return bool(labels.min() != labels.max())


def _density(labels: Labels) -> float:
    """The share of voxels of a slice whose label differs from the one before in its row."""
    return float(np.count_nonzero(labels[..., 1:] != labels[..., :-1])) / labels.size
