"""Successive halving: every cell on little, the better ones on more, the best on all.

A cell drops out as soon as another one is smaller and faster both ways by a margin that covers what
more voxels may change; the margins shrink as the pieces grow. On the last piece only those are run
again that a purpose may take.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter_ns, process_time

import numpy as np

from compresso.arrays import Labels
from experiments.datasets import Volume
from experiments.measure import Cell, measure, rounds, warm_up
from experiments.recommend.purposes import contenders
from experiments.recommend.sample import Sample, stack
from experiments.recommend.standing import Standing, dominates
from experiments.records import Row

#: Voxels of the first two pieces, about.
PIECES = (1 << 18, 1 << 21)
#: By how much another cell must be smaller, and faster, once each piece is measured.
MARGINS = ((1.3, 1.5), (1.1, 1.2), (1.0, 1.0))
#: A piece is measured only where there is so many times as much: else it costs more than it saves.
WORTH = 8
#: Seconds after which no further run of a cell is made, on the processor: other work on the machine
#: costs no cell its runs. On the pieces before the last, and on the last.
IMPATIENCE_S, PATIENCE_S = 0.05, 1.0
#: Runs of each cell on the pieces before the last.
FEW = 2


@dataclass
class Race:
    """Lets cells race.

    Parameters
    ----------
    sample : Sample
    described : Volume
        What the rows are of; its labels are not used.
    runs : int
        On the last piece, of what a purpose may take, unless they take longer than ``PATIENCE_S``.
    announce : callable
        Told what is being worked on.
    record : callable
        Given each row as soon as it is measured.
    now : callable
        Tells the time, in nanoseconds.
    """

    sample: Sample
    described: Volume
    runs: int
    announce: Callable[[str], None]
    record: Callable[[Row], None]
    now: Callable[[], int] = perf_counter_ns
    _spent: dict[Cell, float] = field(init=False, default_factory=dict)

    def run(self, cells: Sequence[Cell]) -> Iterator[Standing]:
        """Yield the cells that failed as soon as they do, and those that reached the end."""
        standing = [Standing(cell) for cell in cells]
        stages = [*zip(pieces(self.sample), MARGINS, strict=False)]
        for number, (labels, margins) in enumerate(stages):
            last = number == len(stages) - 1
            runs, patience = (self.runs, PATIENCE_S) if last else (FEW, IMPATIENCE_S)
            piece = self._described(labels, last)
            standing = [Standing(one.cell) for one in standing]
            self._spent.clear()
            for run, order in itertools.groupby(rounds(cells, runs), lambda pair: pair[0]):
                again = standing
                if last and run > 1:
                    again = contenders(standing, self.sample.whole, run - 1)
                measured = {one.cell: one for one in standing}
                wanted = {one.cell for one in again}
                for _, cell in order:
                    if cell in wanted and self._spent.get(cell, 0.0) <= patience:
                        self.announce(f"{cell}, {labels.size:,} voxels, run {run} of {runs}")
                        measured[cell] = self._measure(measured[cell], piece, run)
                yield from (one for one in measured.values() if one.failed)
                standing = [one for one in measured.values() if not one.failed]
            margins = MARGINS[-1] if last else margins
            standing = [
                one for one in standing if not any(dominates(a, one, *margins) for a in standing)
            ]
        yield from standing

    def _described(self, labels: Labels, last: bool) -> Volume:
        part = self.sample.part if last else f"{labels.size:,} voxels of it"
        return replace(self.described, labels=labels, part=part)

    def _measure(self, one: Standing, piece: Volume, run: int) -> Standing:
        """One more run."""
        start = process_time()
        warm_up(piece, one.cell)
        row = measure(piece, one.cell, run, self.now)
        self.record(row)
        self._spent[one.cell] = self._spent.get(one.cell, 0.0) + process_time() - start
        return Standing(one.cell, (*one.rows, row))


def pieces(sample: Sample) -> Iterator[Labels]:
    """Labels to measure on, each more than the one before; the last are all of the sample."""
    crowded = [sample.chunks[i] for i in np.argsort(-sample.density, kind="stable")]
    every = sum(chunk.size for chunk in sample.chunks)
    for voxels in PIECES:
        if every >= WORTH * voxels:
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
