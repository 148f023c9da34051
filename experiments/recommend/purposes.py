"""What people compress labels for, and which cell is the best for each purpose.

archive
    The smallest.
everyday
    The smallest of those that compress and decompress at ``DISK`` MB/s or more, so that neither
    waits longer than for a disk; where none does, the one that comes nearest. A cell counts only
    where it makes the labels ``PACKED`` times smaller than in their own dtype, unless none does.
interactive
    The labels are in memory soonest: their bytes over a line of ``LINE`` MB/s, and then to be
    decompressed. The smallest of those that take no more than ``ALIKE`` times the least.
random_access
    The smallest where every box of 64 x 64 x 64 voxels is compressed alone, of those that give one
    box within ``BLINK_S`` seconds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from compresso.arrays import Labels
from compresso.cli import digits
from compresso.volumes.volume import Box, format_box
from experiments.datasets import LoadedVolume
from experiments.measure import Method
from experiments.recommend import limits
from experiments.recommend.estimate import Bytes, estimate, exactly
from experiments.recommend.limits import ALIKE, DISK, LINE, packed
from experiments.recommend.measurer import Measurer
from experiments.recommend.sample import Sample
from experiments.recommend.standing import Standing
from experiments.records import Row

#: By what a speed may be wrong of which there is one run, beside another one of the same round.
DOUBT = 1.25
BLINK_S = 0.05
#: Cells whose ratio on the sample is so near the best one's are all estimated before one is named.
NEAR = 0.93


@dataclass(frozen=True)
class Alone:
    """What boxes take that are compressed alone: bytes and seconds of one, and the ratio."""

    bytes: float
    seconds: float
    ratio: float


@dataclass(frozen=True)
class Choice:
    """An answer, and why.

    Parameters
    ----------
    standing : Standing
    size : Bytes
        Of the whole volume in one piece.
    why : str
    alone : Alone, optional
        Where the purpose is to fetch boxes.
    """

    standing: Standing
    size: Bytes
    why: str
    alone: Alone | None = None


@dataclass
class Purposes:
    """Chooses among the cells that reached the end of the race.

    Parameters
    ----------
    sample : Sample
    described : LoadedVolume
        What the rows of boxes are of; its labels are not used.
    standing : sequence of Standing
    measurer : Measurer
    """

    sample: Sample
    described: LoadedVolume
    standing: Sequence[Standing]
    measurer: Measurer

    def __post_init__(self) -> None:
        self._sizes: dict[Method, Bytes] = {}
        self._boxes: dict[Method, Standing] = {}

    def choose(self) -> dict[str, Choice]:
        """The choice for each purpose, by its name; none for boxes that every cell refuses."""
        choices = {
            "archive": self._archive(),
            "everyday": self._everyday(),
            "interactive": self._interactive(),
            "random_access": self._random_access(),
        }
        return {purpose: choice for purpose, choice in choices.items() if choice}

    @property
    def failed(self) -> list[Standing]:
        """The cells that failed on a box, with the runs on boxes."""
        return [boxes for boxes in self._boxes.values() if boxes.failed]

    def size(self, one: Standing) -> Bytes:
        """The bytes of the whole volume, estimated once."""
        if one.cell not in self._sizes:
            self.measurer.announce(f"estimating {one.cell} of the whole")
            exact = exactly(one.rows[0]["compressed_bytes"])
            self._sizes[one.cell] = exact if self.sample.whole else estimate(one.cell, self.sample)
        return self._sizes[one.cell]

    def _smallest(self, cells: Sequence[Standing]) -> Standing:
        best = max(one.ratio for one in cells)
        near = [one for one in cells if one.ratio >= NEAR * best]
        return min(near, key=lambda one: (self.size(one).expected, -one.compress_speed))

    def _archive(self) -> Choice:
        one = self._smallest(self.standing)
        return self._choice(one, "the smallest of all")

    def _everyday(self) -> Choice:
        limit = limits.everyday(self.standing)
        cells = packed(self.standing, attrgetter("native_ratio"))
        fast = [one for one in cells if limit.is_met(one)]
        one = self._smallest(fast)
        if one.slower < DISK:
            why = f"none keeps up with a disk of {DISK:,.0f} MB/s both ways; this one comes nearest"
            return self._choice(one, why)
        why = f"the smallest of those that compress and decompress at {DISK:,.0f} MB/s or more"
        smaller = [other for other in cells if other not in fast and other.ratio > one.ratio]
        if smaller:
            next_ = min(smaller, key=lambda other: other.ratio)
            why += f" ({next_.cell.title}, at {digits(next_.slower)} MB/s the slower way, does not)"
        return self._choice(one, why)

    def _interactive(self) -> Choice:
        limit = limits.interactive(self.standing)
        alike = [one for one in self.standing if limit.is_met(one)]
        one = max(alike, key=lambda other: (other.ratio, other.decompress_speed))
        why = (
            f"its labels are in memory soon, {digits(1e9 * limit.seconds(one).median)} s a "
            f"gigavoxel over a line of {LINE:,.0f} MB/s, decompressing included"
        )
        others = [other.cell.title for other in alike if other is not one]
        if others:
            why += f"; the smallest of {len(alike)} within {ALIKE - 1:.0%} of the soonest"
            why += f" ({', '.join(others)})"
        return self._choice(one, why)

    def _random_access(self) -> Choice | None:
        found = [(one, alone) for one in self.standing if (alone := self.alone(one))]
        if not found:
            return None
        quick = [pair for pair in found if pair[1].seconds <= BLINK_S]
        one, alone = max(quick or found, key=lambda pair: pair[1].ratio)
        at_work = [pair for pair in found if not pair[0].raw] or found
        small = packed(at_work, lambda pair: pair[1].ratio * self._native)
        first, soonest = min(small, key=lambda pair: pair[1].seconds)
        box = " x ".join(map(str, reversed(self.sample.boxes[0][1].shape)))
        ratio = self._bases(lambda size: f"{alone.ratio * size / 8:,.1f} x")
        why = (
            f"the smallest where each box of {box} is compressed alone: {ratio}, "
            f"{alone.bytes:,.0f} bytes and {digits(1e3 * alone.seconds)} ms a box; soonest is "
            f"{first.cell.title}, "
            f"{soonest.bytes:,.0f} bytes and {digits(1e3 * soonest.seconds)} ms; "
            f"the volume in one piece: {self._ratio(one)}"
        )
        return Choice(one, self.size(one), why, alone)

    def alone(self, one: Standing) -> Alone | None:
        """What boxes take that are compressed alone, measured once; None where one failed."""
        if one.cell not in self._boxes:
            self.measurer.announce(f"{one.cell}, boxes alone")
            rows = [self._measure(one.cell, *box) for box in self.sample.boxes]
            self._boxes[one.cell] = Standing(one.cell, rows)
        boxes = self._boxes[one.cell]
        if boxes.failed:
            return None
        size = sum(row["compressed_bytes"] for row in boxes.rows)
        seconds = sum(row["decompress_s"] + row["decode_s"] for row in boxes.rows)
        count = len(boxes.rows)
        return Alone(size / count, seconds / count, sum(r["raw_bytes"] for r in boxes.rows) / size)

    def _measure(self, cell: Method, place: Box, labels: Labels) -> Row:
        box = replace(self.described, labels=labels, chunk=format_box(place))
        return self.measurer.measure(box, cell)

    @property
    def _native(self) -> float:
        """The bytes of a label in the volume's own dtype, by those of uint64."""
        return self.sample.volume.dtype.itemsize / 8

    def _ratio(self, one: Standing) -> str:
        found, voxels = self.size(one), self.sample.volume.voxels

        def ratio(size: int) -> str:
            text = f"{size * voxels / found.expected:,.1f} x"
            if not found.low < found.high:
                return text
            low, high = size * voxels / found.high, size * voxels / found.low
            return f"{text} (95% interval {low:,.1f} to {high:,.1f})"

        return "; ".join(filter(None, (self._bases(ratio), self.sample.unknown)))

    def _bases(self, ratio: Callable[[int], str]) -> str:
        """A ratio on each basis, given the bytes of a label there."""
        dtype = self.sample.volume.dtype
        native = f"{ratio(dtype.itemsize)} vs {dtype.name} (file)"
        return native if dtype.itemsize == 8 else f"{native}, {ratio(8)} vs uint64"

    def _choice(self, one: Standing, why: str) -> Choice:
        """An answer whose reason ends with what the cell reaches."""
        return Choice(one, self.size(one), f"{why}: {self._ratio(one)}; {_speeds(one)}")


def contenders(standing: Sequence[Standing], whole: bool, runs: int) -> list[Standing]:
    """The cells that a purpose may take once there are more runs; random access has its own.

    Parameters
    ----------
    standing : sequence of Standing
    whole : bool
        Whether their ratios are those of the volume, and not of a sample of it.
    runs : int
        That there are: the more, the less a speed may be wrong.
    """
    if not standing:
        return []
    near = 1.0 if whole else NEAR
    doubt = limits.within(DOUBT ** (1 / math.sqrt(runs)))
    smallest = max(one.ratio for one in standing)
    everyday, interactive = limits.everyday(standing, doubt), limits.interactive(standing, doubt)
    small = packed(standing, attrgetter("native_ratio"))
    sure = max((one.ratio for one in small if everyday.is_met(one)), default=0.0)
    return [
        one
        for one in standing
        if one.ratio >= near * smallest
        or (everyday.may_be_met(one) and one.ratio >= near * sure)
        or interactive.may_be_met(one)
    ]


def _speeds(one: Standing) -> str:
    if one.raw:
        return "raw labels have no speed"
    return (
        f"compresses at {digits(one.compress_speed)} and decompresses at "
        f"{digits(one.decompress_speed)} MB/s of 8 bytes per voxel"
    )
