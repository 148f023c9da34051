"""Choose a sample: chunks that stand for a volume, which may be larger than any memory.

More positions than needed are looked at first, one slice of a chunk each, spread evenly over the
volume. They are sorted by the density of their labels, and one of every few is drawn. So each
density has its share of the sample, and a stack of the chunks is a small copy of the volume.

Most of a volume may have a single label. Chunks are then drawn from the rest, the content. Its
share of the volume is exact if the source lists its stored chunks, and otherwise estimated from the
positions.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compresso.arrays import Labels, Shape
from compresso.text import digits, extent
from compresso.volumes.volume import Box, Volume, boxes_of, of_array, slices_of
from experiments import SEED, DatasetError

#: The default chunk, z, y, x: several slices, as some encodings compare a slice with the one
#: before, and whole blocks of 8x8x8.
CHUNK = (16, 256, 256)
#: The box of a random access, z, y, x, and how many are measured.
BOX, BOXES = (64, 64, 64), 8
#: Voxels of the blocks that the first stages measure; the second one is used if the sample is at
#: least ``LEAST_FACTOR`` times as large.
BLOCKS, LEAST_FACTOR = (1 << 18, 1 << 21), 3
#: Chunks of a default sample, and its share of the volume.
DEFAULT_CHUNKS, DEFAULT_SHARE = (16, 64), 0.05
#: Chunks of any sample: fewer do not show what each doubling of the size saves.
LEAST_CHUNKS = 4
#: A smaller volume is measured whole, and so is one of which the sample would be a larger share.
SMALL_VOXELS, LARGEST_SHARE = 1 << 24, 0.25
#: Positions per chunk that are looked at, and how many times more if fewer than one in
#: ``LOOKS_PER_CHUNK`` has several labels.
LOOKS_PER_CHUNK, MORE_LOOKS = 4, 16
#: Positions without stored chunks are left out if they are at least this share.
LEAST_LEFT_OUT = 0.1
#: Longer lists of stored chunks or positions take too long.
LONGEST_LIST = 1 << 24

Announce = Callable[[str], None]


class Positions:
    """The boxes that a chunk may have; they cover the volume, the last of each axis overlaps."""

    def __init__(self, shape: Shape, chunk: Shape) -> None:
        self.shape, self.chunk = shape, chunk
        self.across = tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))
        #: The positions that may have several labels.
        self.numbers: Sequence[int] | NDArray[np.intp] = range(math.prod(self.across))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, at: int) -> Box:
        where = np.unravel_index(self.numbers[at], self.across)
        axes = zip(where, self.shape, self.chunk, strict=True)
        firsts = [min(int(i) * c, n - c) for i, n, c in axes]
        return tuple((a, a + c) for a, c in zip(firsts, self.chunk, strict=True))


@dataclass(frozen=True)
class Content:
    """The part of a volume that its sample stands for; all other voxels have one label."""

    joined: tuple[float, ...] = (0.0, 0.0, 0.0)  # share of chunks with a neighbour after them
    share: float = 1.0  # of the volume, and its 95% interval; 0 if only one label was found
    low: float = 1.0
    high: float = 1.0
    label: int = 0  # of the other voxels
    reason: str = ""  # how this is known; empty if the content is the whole volume
    weights: NDArray[np.float64] | float = 1.0  # factors for the bytes of each chunk


@dataclass(frozen=True)
class Sample:
    """Chunks of a volume, in the order of their positions, or one that is the whole volume."""

    volume: Volume
    chunks: list[Labels]
    boxes: list[tuple[Box, Labels]]  # what random access reads
    blocks: list[Labels]  # for the first stages, each larger than the one before
    seed: int | None = None  # None if the whole volume is measured
    #: For one slice of each chunk, the share of voxels that differ from their left neighbour.
    density: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    looked: int = 1  # positions with the same content that were looked at
    drawn_from: float = 1.0  # chunks that the content consists of, about
    content: Content = Content()

    @property
    def whole(self) -> bool:
        """Whether all of the volume is measured."""
        return self.seed is None

    @property
    def part(self) -> str:
        """Which part of the volume is measured, for rows; empty for all of it."""
        chunk = extent(self.chunks[0].shape).replace(" ", "")
        return "" if self.whole else f"{len(self.chunks)} chunks of {chunk}, seed {self.seed}"

    def describe(self) -> str:
        """Describe the measured part."""
        if self.whole:
            return "the whole volume"
        share, content = sum(map(np.size, self.chunks)) / self.volume.voxels, self.content
        shares = (share, content.low, content.share, content.high)
        measured, low, found, high = (f"{digits(100 * each)}%" for each in shares)
        text = f"{measured} of the volume ({self.part})"
        if not content.reason or not content.share:
            return text
        found += f" ({low} to {high})" if low != high else ""
        return (
            f"{text}. The sample represents the {found} of the volume with more than one label "
            f"({content.reason}). The rest is assumed to be label {content.label}"
        )


def plan(shape: Shape, share: float | None = None, chunk: Shape | None = None) -> tuple[Shape, int]:
    """Decide the shape of the chunks and their number, which is 0 to measure the whole volume.

    By default the share is 0.05, with 16 to 64 chunks of about 16 x 256 x 256, and whole rows if
    they are hardly longer. Raises DatasetError if the volume is empty.
    """
    if 0 in shape:
        raise DatasetError(f"the volume is empty ({extent(shape)} voxels). Choose another one.")
    if not chunk:  # the volume's side if it is hardly longer, else even parts of whole blocks
        sides = zip(shape, CHUNK, strict=True)
        chunk = tuple(n if n <= 1.5 * c else -(-n // round(n / c) // 8) * 8 for n, c in sides)
    chunk = tuple(map(min, chunk, shape))
    voxels, size = math.prod(shape), math.prod(chunk)
    count = max(LEAST_CHUNKS, math.ceil((share or DEFAULT_SHARE) * voxels / size))
    if share is None:
        count = 0 if voxels < SMALL_VOXELS else int(np.clip(count, *DEFAULT_CHUNKS))
    return chunk, 0 if count * size > LARGEST_SHARE * voxels else count


def draw(
    volume: Volume, chunk: Shape, count: int, seed: int = SEED, announce: Announce = lambda _: None
) -> Sample:
    """Read a sample, or the whole volume if ``count`` is 0."""
    random = np.random.default_rng(seed)
    if not count:
        announce("reading the volume")
        labels = read(volume, volume.box)
        return Sample(volume, [labels], *_parts(of_array(labels), [volume.box], [labels], random))
    positions = Positions(volume.shape, chunk)
    content = _stored(volume, positions, announce)
    for looked in (LOOKS_PER_CHUNK * count, MORE_LOOKS * LOOKS_PER_CHUNK * count):
        boxes = [positions[i] for i in _one_of_each(len(positions), looked, random)]
        looks = _look(volume, boxes, random, announce)
        rare = looks["varies"].mean() < 1 / LOOKS_PER_CHUNK
        if not rare or not content.share or len(looks) == len(positions):
            break
    rare = rare and looks["varies"].any()
    pool = looks[looks["varies"]] if rare else looks
    order = pool.sort_values("density", kind="stable")
    chosen = order.iloc[_one_of_each(len(pool), count, random)].sort_index()
    chunks = []
    for i, box in enumerate(chosen["box"]):
        announce(f"reading chunk {i + 1} of {len(chosen)}")
        chunks.append(read(volume, box))
    if content.share and not any(map(varies, chunks)):
        reason = f"at none of the {len(looks):,} positions that were looked at"
        label = int(looks["label"].iloc[0])
        content = replace(content, share=0.0, low=0.0, label=label, reason=reason)
    elif content.share and rare:
        content = _rare(content, len(positions), looks, chunks)
    return Sample(
        volume,
        chunks,
        *_parts(volume, chosen["box"], chunks, random),
        seed,
        chosen["density"].to_numpy(),
        len(pool),
        len(pool) * len(positions) / len(looks),
        content,
    )


def _stored(volume: Volume, positions: Positions, announce: Announce) -> Content:
    """Leave only positions that may have several labels, if the source lists its stored chunks."""
    joined = tuple(1 - c / n for n, c in zip(positions.shape, positions.chunk, strict=True))
    everywhere = Content(joined)
    if volume.stored is None or len(positions) > LONGEST_LIST:
        return everywhere
    announce("listing the stored chunks")
    stored = np.zeros(positions.across, bool)
    for number, box in enumerate(volume.stored()):
        if number == LONGEST_LIST:
            return everywhere
        sides = zip(box, positions.chunk, strict=True)
        stored[tuple(slice(a // c, (b - 1) // c + 1) for (a, b), c in sides)] = True
    share = float(stored.mean())
    if share > 1 - LEAST_LEFT_OUT:
        return everywhere
    other = positions[int(np.argmin(stored))]
    label = int(read(volume, tuple((a, a + 1) for a, _ in other)).item())
    if not share:
        return Content(joined, 0, 0, 0, label, "no chunk is stored")
    positions.numbers = np.flatnonzero(stored)
    pairs = (np.swapaxes(stored, 0, axis) for axis in range(3))
    joined = tuple(float((one[1:] & one[:-1]).sum()) / len(positions) for one in pairs)
    return Content(joined, share, share, share, label, "all else has no stored chunk")


def _look(
    volume: Volume, boxes: list[Box], random: np.random.Generator, announce: Announce
) -> pd.DataFrame:
    """Read one slice of each box, drawn at random: its density, whether it varies, its label."""
    slices = [int(random.integers(a, b)) for (a, b), *_ in boxes]
    rows = {}
    for done, i in enumerate(np.argsort(slices, kind="stable")):  # some files give whole slices
        announce(f"looking at position {done + 1} of {len(boxes)}")
        found = read(volume, ((slices[i], slices[i] + 1), *boxes[i][1:]))
        rows[i] = boxes[i], _density(found), varies(found), found.flat[0]
    ordered = (rows[i] for i in range(len(boxes)))
    return pd.DataFrame(ordered, columns=["box", "density", "varies", "label"])


def _rare(content: Content, positions: int, looks: pd.DataFrame, chunks: list[Labels]) -> Content:
    """The share of the volume that the chunks stand for, and the weight of each chunk's bytes.

    Positions with several labels are rare, and only such have been drawn. A chunk with several
    labels in n of its 16 slices was found with probability n / 16, so its bytes count 16 / n times.
    """
    from scipy import stats

    filled = np.array([np.mean([varies(plane) for plane in chunk]) for chunk in chunks])
    found, looked = int(looks["varies"].sum()), len(looks)
    share, bounds = found / looked, stats.binomtest(found, looked).proportion_ci()
    unseen = math.sqrt(max(0.0, 1 - looked / positions * float(filled.mean())))
    share, low, high = (content.share * share * (end / share) ** unseen for end in (share, *bounds))
    label, reason = content.label, f"{found:,} of {looked:,} positions that were looked at"
    if content.reason:
        reason = f"{content.reason}; {reason}"
    else:
        label = int(looks["label"][~looks["varies"]].mode().iloc[0])
    return Content(content.joined, share, low, high, label, reason, 1 / filled)


def _parts(
    volume: Volume, positions: Sequence[Box], chunks: Sequence[Labels], random: np.random.Generator
) -> tuple[list[tuple[Box, Labels]], list[Labels]]:
    """Boxes for random access, where chunks have several labels, and blocks for the first stages.

    The blocks are around the box of the median density.
    """
    side = tuple(map(min, BOX, volume.shape))
    found: dict[bool, list[Box]] = {True: [], False: []}
    for position, labels in zip(positions, chunks, strict=True):
        for part in boxes_of(labels.shape, side):
            box = tuple((a + at, b + at) for (a, b), (at, _) in zip(part, position, strict=True))
            found[varies(labels[slices_of(part)])].append(box)
    parts = found[True] or found[False]
    picked = [parts[i] for i in _one_of_each(len(parts), BOXES, random)]
    around = dict.fromkeys(_around(box, side, volume.shape) for box in picked)
    boxes = [(box, read(volume, box)) for box in around]
    middle, _ = sorted(boxes, key=lambda pair: _density(pair[1]))[len(boxes) // 2]
    blocks: list[Labels] = []
    for voxels in BLOCKS:
        if not blocks or sum(map(np.size, chunks)) >= LEAST_FACTOR * voxels:
            depth = min(volume.shape[0], round(voxels ** (1 / 3) / 4))
            rows = min(volume.shape[1], math.isqrt(voxels // depth))
            columns = min(volume.shape[2], voxels // depth // rows)
            blocks.append(read(volume, _around(middle, (depth, rows, columns), volume.shape)))
    return boxes, blocks


def _around(box: Box, side: Shape, shape: Shape) -> Box:
    """The box of a given size inside a volume that has the same centre, as far as possible."""
    axes = zip(box, side, shape, strict=True)
    first = [max(0, min((a + b - n) // 2, size - n)) for (a, b), n, size in axes]
    return tuple((at, at + n) for at, n in zip(first, side, strict=True))


def stack(chunks: Sequence[Labels]) -> Labels:
    """Join chunks along z."""
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def read(volume: Volume, box: Box) -> Labels:
    """The labels of a box, in C order."""
    return np.ascontiguousarray(volume.read_box(box))


def _one_of_each(total: int, count: int, random: np.random.Generator) -> list[int]:
    """One number from each of at most ``count`` equal parts of ``range(total)``."""
    count = min(count, total)
    edges = [total * i // count for i in range(count + 1)] if count else []
    return [int(random.integers(a, b)) for a, b in itertools.pairwise(edges)]


def varies(labels: Labels) -> bool:
    """Whether there are several labels."""
    return bool(labels.min() != labels.max())


def _density(labels: Labels) -> float:
    """The share of voxels whose label differs from their left neighbour's."""
    return float(np.count_nonzero(labels[..., 1:] != labels[..., :-1])) / labels.size
