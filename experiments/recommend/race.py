"""Successive halving: every cell on little, the better ones on more, the best on all.

A cell drops out as soon as another one is smaller and faster both ways by a margin that covers what
more voxels, or more runs, may change; the margins shrink as the pieces grow.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import process_time

import numpy as np

from compresso.arrays import Labels
from experiments.datasets import Volume
from experiments.measure import Cell, measure, rounds, warm_up
from experiments.recommend.sample import Sample, stack
from experiments.records import OK, Row
from experiments.records.intervals import Interval, interval

#: Voxels of the first two pieces, about.
PIECES = (1 << 18, 1 << 21)
#: By how much another cell must be smaller, and faster, once each piece is measured.
MARGINS = ((1.3, 1.5), (1.1, 1.2), (1.0, 1.0))
#: The same on the last piece while runs are missing: what it takes is known, but not the speed.
UNTIL_THEN = (1.0, 1.5)
#: Seconds after which no further run of a cell is made, on the processor: other work on the machine
#: costs no cell its runs.
PATIENCE_S = 1.5
#: Runs of each cell on the pieces before the last.
FEW = 2


@dataclass(frozen=True)
class Standing:
    """What a cell has reached on the piece that was measured last."""

    cell: Cell
    rows: Sequence[Row] = ()

    @property
    def failed(self) -> bool:
        """Whether a run failed."""
        return any(row["status"] != str(OK) for row in self.rows)

    @property
    def ratio(self) -> float:
        """8 bytes a voxel by the compressed bytes."""
        return float(self.rows[0]["raw_bytes"] / self.rows[0]["compressed_bytes"])

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
        voxels = self.rows[0]["raw_bytes"] / 8
        runs = [max(1e-9, sum(row[stage] for stage in stages)) / voxels for row in self.rows]
        found = interval(runs)
        if np.isnan(found.low):  # one run: nobody knows; a factor of 1.5 is usual
            return Interval(found.median, found.median / 1.5, found.median * 1.5)
        return found


def dominates(a: Standing, b: Standing, smaller: float, faster: float) -> bool:
    """Whether ``a`` is better than ``b`` in all three respects, by these margins."""
    return a is not b and (
        a.ratio >= smaller * b.ratio
        and a.compress_speed >= faster * b.compress_speed
        and a.decompress_speed >= faster * b.decompress_speed
    )


@dataclass
class Race:
    """Lets cells race.

    Parameters
    ----------
    sample : Sample
    volume : Volume
        Describes what the rows are of; its labels are not used.
    runs : int
        On the last piece, unless they take longer than ``PATIENCE_S``.
    announce : callable
        Told what is being worked on.
    record : callable
        Given each row as soon as it is measured.
    """

    sample: Sample
    volume: Volume
    runs: int
    announce: Callable[[str], None]
    record: Callable[[Row], None]
    _spent: dict[Cell, float] = field(default_factory=dict)

    def run(self, cells: Sequence[Cell]) -> Iterator[Standing]:
        """Yield the cells that failed as soon as they do, and those that reached the end."""
        standing = [Standing(cell) for cell in cells]
        stages = [*zip(pieces(self.sample), MARGINS, strict=False)]
        for number, (labels, margins) in enumerate(stages):
            last = number == len(stages) - 1
            runs = self.runs if last else FEW
            piece = self._described(labels, last)
            standing = [Standing(one.cell) for one in standing]
            self._spent.clear()
            for run, order in itertools.groupby(rounds(cells, runs), lambda pair: pair[0]):
                measured = {one.cell: one for one in standing}
                for _, cell in order:
                    if cell in measured:
                        measured[cell] = self._measure(measured[cell], piece, run, runs)
                yield from (one for one in measured.values() if one.failed)
                standing = [one for one in measured.values() if not one.failed]
                if run == runs:
                    standing = _left(standing, MARGINS[-1] if last else margins)
                elif last:
                    standing = _left(standing, UNTIL_THEN)
        yield from standing

    def _described(self, labels: Labels, last: bool) -> Volume:
        part = self.sample.part if last else f"{labels.size:,} voxels of it"
        return replace(self.volume, labels=labels, part=part)

    def _measure(self, one: Standing, piece: Volume, run: int, runs: int) -> Standing:
        """One more run, unless the ones before took all patience."""
        if self._spent.get(one.cell, 0.0) > PATIENCE_S:
            return one
        self.announce(f"{one.cell}, {piece.labels.size:,} voxels, run {run} of {runs}")
        start = process_time()
        warm_up(piece, one.cell)
        row = measure(piece, one.cell, run)
        self.record(row)
        self._spent[one.cell] = self._spent.get(one.cell, 0.0) + process_time() - start
        return Standing(one.cell, (*one.rows, row))


def _left(standing: Sequence[Standing], margins: tuple[float, float]) -> list[Standing]:
    """Those that no other one dominates."""
    return [one for one in standing if not any(dominates(a, one, *margins) for a in standing)]


def pieces(sample: Sample) -> Iterator[Labels]:
    """Labels to measure on, each more than the one before; the last are all of the sample."""
    crowded = [sample.chunks[i] for i in np.argsort(-sample.density, kind="stable")]
    every = sum(chunk.size for chunk in sample.chunks)
    for voxels in PIECES:
        if every > 2 * voxels:
            yield _about(crowded, voxels)
    yield stack(sample.chunks)


def _about(chunks: list[Labels], voxels: int) -> Labels:
    """Chunks of about so many voxels, or a part from the middle of the first one."""
    first = chunks[0]
    if first.size <= voxels:
        return stack(chunks[: max(1, voxels // first.size)])
    deep = max(1, round(voxels / (first.shape[1] * first.shape[2])))
    deep = min(len(first), max(deep, min(16, len(first))))
    wide = max(1, voxels // deep)
    rows = min(first.shape[1], max(1, int(wide**0.5)))
    columns = min(first.shape[2], max(1, wide // rows))
    index = []
    for n, wanted in zip(first.shape, (deep, rows, columns), strict=True):
        start = (n - wanted) // 2
        index.append(slice(start, start + wanted))
    return np.ascontiguousarray(first[tuple(index)])
