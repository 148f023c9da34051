"""Successive halving: every cell on little, the better ones on more, the best on all.

A cell drops out as soon as another one is smaller and faster both ways by a margin that covers what
more voxels may change; the margins shrink as the parts grow. On the last part only those are run
again that a purpose may take.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import process_time

import numpy as np

from compresso.arrays import Labels
from experiments.datasets import LoadedVolume
from experiments.measure import Method, rounds
from experiments.recommend.estimate import blank, rest
from experiments.recommend.measurer import Measurer
from experiments.recommend.purposes import contenders
from experiments.recommend.sample import Sample, stack
from experiments.recommend.standing import Rest, Standing, dominates

#: Voxels of the first two parts, about.
PARTS = (1 << 18, 1 << 21)
#: By how much another cell must be smaller, and faster, once each part is measured.
MARGINS = ((1.3, 1.5), (1.1, 1.2), (1.0, 1.0))
#: A part is measured only where there is so many times as much: else it costs more than it saves.
WORTH = 8
#: Seconds after which no further run of a cell is made, on the processor: other work on the machine
#: costs no cell its runs. On the parts before the last, and on the last.
IMPATIENCE_S, PATIENCE_S = 0.05, 1.0
#: Runs of each cell on the parts before the last.
FEW = 2


@dataclass(frozen=True)
class Rung:
    """What cells are measured on, and how long.

    Parameters
    ----------
    part : LoadedVolume
        Of the sample, or all of it.
    margins : (float, float)
        By how much another cell must be smaller, and faster, for one to drop out at the end.
    runs : int
        Of each cell.
    patience : float
        Seconds after which no further run of a cell is made.
    last : bool
        Only those are run again that a purpose may take.
    """

    part: LoadedVolume
    margins: tuple[float, float]
    runs: int = FEW
    patience: float = IMPATIENCE_S
    last: bool = False


@dataclass
class Race:
    """Lets cells race.

    Parameters
    ----------
    sample : Sample
    described : LoadedVolume
        What the rows are of; its labels are not used.
    runs : int
        On the last part, of what a purpose may take, unless they take longer than ``PATIENCE_S``.
    measurer : Measurer
    """

    sample: Sample
    described: LoadedVolume
    runs: int
    measurer: Measurer

    def __post_init__(self) -> None:
        self._rests: dict[Method, Rest] = {}

    def run(self, cells: Sequence[Method]) -> Iterator[Standing]:
        """Yield the cells that failed on a part once it is measured, then those that are left."""
        for rung in self._rungs():
            standing = self._run(rung, cells)
            yield from (one for one in standing if one.failed)
            standing = _left([one for one in standing if not one.failed], rung.margins)
            cells = [one.cell for one in standing]
        yield from standing

    def _rungs(self) -> list[Rung]:
        *first, last = parts(self.sample)
        rungs = [
            Rung(self._described(labels, f"{labels.size:,} voxels of it"), margins)
            for labels, margins in zip(first, MARGINS, strict=False)
        ]
        whole = self._described(last, self.sample.part)
        return [*rungs, Rung(whole, MARGINS[-1], self.runs, PATIENCE_S, last=True)]

    @cached_property
    def _blank(self) -> LoadedVolume | None:
        """A piece of the part that is not sampled, as it has one label; None if there is none."""
        if self.sample.content.share == 1:
            return None
        return self._described(blank(self.sample), f"a piece of label {self.sample.content.label}")

    def _rest(self, cell: Method) -> Rest | None:
        """What a cell makes of that part, found out once; its runs are still to be made."""
        if self._blank is None:
            return None
        if cell not in self._rests:
            share, voxels = 1 - self.sample.content.share, self.sample.volume.voxels
            self.measurer.announce(f"{cell}, pieces of one label")
            try:
                found = rest(cell, self.sample).expected / (share * voxels)
            except Exception:  # its runs meet it again, and record it
                found = math.nan
            self._rests[cell] = Rest(share, found)
        return self._rests[cell]

    def _described(self, labels: Labels, part: str) -> LoadedVolume:
        return replace(self.described, labels=labels, part=part)

    def _run(self, rung: Rung, cells: Sequence[Method]) -> list[Standing]:
        """What each cell reaches on a rung."""
        reached = {cell: Standing(cell, rest=self._rest(cell)) for cell in cells}
        spent = dict.fromkeys(cells, 0.0)
        size = f"{rung.part.labels.size:,} voxels"
        for run, order in itertools.groupby(rounds(cells, rung.runs), lambda pair: pair[0]):
            running = [one for one in reached.values() if not one.failed]
            if rung.last and run > 1:
                running = contenders(running, self.sample.whole, run - 1)
            wanted = {one.cell for one in running if spent[one.cell] <= rung.patience}
            for _, cell in order:
                if cell in wanted:
                    self.measurer.announce(f"{cell}, {size}, run {run} of {rung.runs}")
                    start = process_time()
                    other = None
                    if self._blank:
                        other = self.measurer.measure(self._blank, cell, run)
                    row = self.measurer.measure(rung.part, cell, run)
                    reached[cell] = reached[cell].with_row(row, other)
                    spent[cell] += process_time() - start
        return list(reached.values())


def _left(standing: Sequence[Standing], margins: tuple[float, float]) -> list[Standing]:
    """Those that no other one dominates."""
    return [one for one in standing if not any(dominates(a, one, *margins) for a in standing)]


def parts(sample: Sample) -> Iterator[Labels]:
    """Labels to measure on, each more than the one before; the last are all of the sample."""
    crowded = [sample.chunks[i] for i in np.argsort(-sample.density, kind="stable")]
    every = sum(chunk.size for chunk in sample.chunks)
    for voxels in PARTS:
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
