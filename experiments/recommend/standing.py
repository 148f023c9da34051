"""What a cell has reached, and whether another one beats it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from experiments.errors import HarnessError
from experiments.measure import Method
from experiments.records import OK, Outcome, Row, Status
from experiments.records.intervals import Interval, interval
from experiments.records.results import is_raw

#: By what a speed may be wrong of which there are one run or few.
MAY_BE = 1.5


@dataclass(frozen=True)
class Rest:
    """What a cell makes of the part of a volume that has one label.

    Parameters
    ----------
    share : float
        The part of the volume.
    bytes : float
        Per voxel.
    rows : sequence of Row
        One for each run.
    """

    share: float
    bytes: float
    rows: Sequence[Row] = ()


@dataclass(frozen=True)
class Standing:
    """What a cell has reached on the part that was measured last, and on the rest if there is one.

    All ratios and speeds are of both together.
    """

    cell: Method
    rows: Sequence[Row] = ()
    rest: Rest | None = None

    def with_row(self, row: Row, other: Row | None = None) -> "Standing":
        """The same after one more run, and one on the rest."""
        rest = self.rest
        if rest and other:
            rest = replace(rest, rows=(*rest.rows, other))
        return Standing(self.cell, (*self.rows, row), rest)

    @property
    def failure(self) -> str:
        """The status of the first run that failed; empty where none did."""
        rows = (*self.rows, *(self.rest.rows if self.rest else ()))
        return next((row["status"] for row in rows if row["status"] != str(OK)), "")

    @property
    def failed(self) -> bool:
        """Whether a run failed."""
        return bool(self.failure)

    @property
    def refused(self) -> bool:
        """Whether its encoding cannot hold a label: it was never an answer."""
        return Status.parse(self.failure).outcome is Outcome.REFUSED

    @property
    def raw(self) -> bool:
        """Whether it leaves labels as they are, and so has no speed."""
        return bool(is_raw(self.cell.encoding.spec, self.cell.compressor.spec))

    @property
    def ratio(self) -> float:
        """8 bytes per voxel by the compressed bytes."""
        row = self.rows[0]
        other = self.rest.bytes if self.rest else 0.0
        return float(8 / self._mixed(8 * row["compressed_bytes"] / row["raw_bytes"], other))

    @property
    def native_ratio(self) -> float:
        """The volume's own bytes by the compressed bytes."""
        return float(self.ratio * self.rows[0]["native_bytes"] / self.rows[0]["raw_bytes"])

    @property
    def slower(self) -> float:
        """MB/s of the slower way."""
        return min(self.compress_speed, self.decompress_speed)

    @cached_property
    def compress_s(self) -> Interval:
        """Seconds a voxel, both stages."""
        return self._seconds("encode_s", "compress_s")

    @cached_property
    def decompress_s(self) -> Interval:
        """Seconds a voxel, both stages."""
        return self._seconds("decompress_s", "decode_s")

    @property
    def compress_speed(self) -> float:
        """MB/s, 8 bytes a voxel."""
        return 8e-6 / self.compress_s.median

    @property
    def decompress_speed(self) -> float:
        """MB/s, 8 bytes a voxel."""
        return 8e-6 / self.decompress_s.median

    def _seconds(self, *stages: str) -> Interval:
        def each(row: Row) -> float:
            return float(max(1e-9, sum(row[stage] for stage in stages)) / (row["raw_bytes"] / 8))

        others = self.rest.rows if self.rest else self.rows
        runs = [self._mixed(each(a), each(b)) for a, b in zip(self.rows, others, strict=True)]
        found = interval(runs)
        if np.isnan(found.low):  # one run: nobody knows
            return found.within(MAY_BE)
        return found

    def _mixed(self, measured: float, other: float) -> float:
        """What a voxel takes on average, by what one of either part takes."""
        share = self.rest.share if self.rest else 0.0
        return (1 - share) * measured + share * other


def sifted(name: str, found: Sequence[Standing]) -> tuple[list[Standing], list[Standing]]:
    """The cells of a volume that stand, and those that failed; raises HarnessError if all did."""
    failed = [one for one in found if one.failed]
    if len(failed) == len(found):
        raise HarnessError(f"{name}: every cell failed, {found[0].cell} first")
    return [one for one in found if not one.failed], failed


def dominates(a: Standing, b: Standing, smaller: float, faster: float) -> bool:
    """Whether ``a`` beats ``b`` in all three respects by these margins, and is not its equal."""
    mine, its = ((c.ratio, c.compress_speed, c.decompress_speed) for c in (a, b))
    margins = (smaller, faster, faster)
    return mine != its and all(m >= by * i for m, by, i in zip(mine, margins, its, strict=True))
