"""How long a purpose waits for a cell, and how long it may: once as measured, once with doubt.

Who chooses takes the seconds as they were measured. Who leaves a cell out, or says that another one
was the best, asks what they may be wrong by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

from experiments.recommend.standing import Standing
from experiments.records.intervals import Interval

DISK = 500.0  # MB/s: a SATA SSD; 8 bytes a voxel
LINE = 125.0  # MB/s: a line of one gigabit a second
#: By how many times as long as for the soonest one waits for a smaller one.
ALIKE = 1.1
#: Labels are called packed if they take this many times fewer bytes than in their own dtype: raw
#: ones keep up with any disk.
PACKED = 2.0

T = TypeVar("T")
#: Makes of some seconds the interval that they may lie in.
Doubt = Callable[[Interval], Interval]


def within(factor: float) -> Doubt:
    """The doubt that the median may be wrong by a factor, either way."""
    return lambda found: found.within(factor)


AS_MEASURED = within(1.0)


@dataclass(frozen=True)
class Limit:
    """What a purpose waits for, and how long it may be.

    Parameters
    ----------
    seconds : callable
        Of a cell.
    most : Interval
        The seconds that it waits at most.
    """

    seconds: Callable[[Standing], Interval]
    most: Interval

    def may_be_met(self, one: Standing) -> bool:
        """Whether a cell may be fast enough, in the worst case for the others."""
        return self.seconds(one).low <= self.most.high

    def is_met(self, one: Standing) -> bool:
        """Whether it is, in the worst case for itself."""
        return self.seconds(one).high <= self.most.low


def packed(cells: Sequence[T], ratio: Callable[[T], float]) -> Sequence[T]:
    """The cells that make labels ``PACKED`` times smaller, or all where none does."""
    return [one for one in cells if ratio(one) >= PACKED] or cells


def everyday(standing: Sequence[Standing], doubt: Doubt = AS_MEASURED) -> Limit:
    """Seconds a voxel, the slower way: a disk's, or where none keeps up those of the nearest."""

    def seconds(one: Standing) -> Interval:
        return _each(max, [doubt(one.compress_s), doubt(one.decompress_s)])

    nearest = min(packed(standing, attrgetter("native_ratio")), key=lambda one: seconds(one).median)
    most = max(8e-6 / DISK, seconds(nearest).median)
    return Limit(seconds, Interval(most, most, most))


def interactive(standing: Sequence[Standing], doubt: Doubt = AS_MEASURED) -> Limit:
    """Seconds a voxel until labels that come over the line are in memory: those of the soonest."""

    def seconds(one: Standing) -> Interval:
        line, back = 8e-6 / one.ratio / LINE, doubt(one.decompress_s)
        return Interval(line + back.median, line + back.low, line + back.high)

    least = _each(min, [seconds(one) for one in standing])
    return Limit(seconds, Interval(ALIKE * least.median, ALIKE * least.low, ALIKE * least.high))


def _each(pick: Callable[[list[float]], float], found: Sequence[Interval]) -> Interval:
    """The least, or the most, of the medians and of either bound."""
    median, low, high = (
        pick([getattr(one, end) for one in found]) for end in ("median", "low", "high")
    )
    return Interval(median, low, high)
