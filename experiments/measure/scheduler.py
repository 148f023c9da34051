"""A grid on a scheduler: cells, and the chunks of volumes that are larger than any memory.

A task is a run of a cell on a whole volume, or all runs of all cells on one chunk, which is then
read once. Workers read the labels themselves, from the source; only rows travel. A worker measures
one task a thread at a time.
"""

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from compresso.boxes import Box, Boxes, grid, spelled
from compresso.plugins import Extent
from compresso.scheduling import Scheduler, open_scheduler
from experiments import records
from experiments.datasets import Dataset, Volume
from experiments.measure.cell import Cell, describe, measure, warm_up
from experiments.measure.grid import Announce, Grid, unread
from experiments.measure.totals import Totals
from experiments.records import Row

#: A run, by ``records.key``.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Task:
    """What a worker is given.

    Parameters
    ----------
    dataset : Dataset
    slices : int, optional
        The first so many slices of it.
    box : Box, optional
        The chunk that is meant; all of the dataset without.
    runs : sequence of (int, Cell)
        In the order in which they are measured.
    past : set of Key
        The runs that are in the CSV already, if the labels are still the same.
    token : str
        Tells this grid from every other, so that each reads its labels anew.
    """

    dataset: Dataset
    slices: int | None
    box: Box | None
    runs: Sequence[tuple[int, Cell]]
    past: frozenset[Key]
    token: str


@dataclass(frozen=True)
class Spread:
    """A grid whose runs are measured where a scheduler has them measured.

    Parameters
    ----------
    grid : Grid
    scheduler : str
        Its spec (:mod:`compresso.scheduling`); empty for this process.
    chunks : Extent, optional
        Measure chunk by chunk, and add up.
    """

    grid: Grid
    scheduler: str = ""
    chunks: Extent | None = None

    @property
    def output(self) -> Path:
        """The CSV."""
        return self.grid.output

    def __len__(self) -> int:
        """Number of runs to measure or to leave out, and of totals."""
        rows = sum(len(boxes) + (boxes != [None]) for _, _, boxes in self._divided)
        return rows * len(self.grid.cells) * self.grid.conditions.runs

    def run(self, announce: Announce) -> Iterator[tuple[Row, bool]]:
        """Measure; yield each row, whether it is new, once it is in the CSV; totals come last."""
        records.check(self.output)
        announce("starting workers" if self.scheduler else "loading")
        try:
            with open_scheduler(self.scheduler) as scheduler:
                for dataset, shape, boxes in self._divided:
                    announce(dataset.name)
                    tasks = self._tasks(dataset, boxes)
                    yield from self._dataset(scheduler, dataset, shape, tasks)
        finally:  # an error or Ctrl-C must not keep a volume, either
            for cached in (_loaded, _opened):
                cached.cache_clear()

    def _dataset(
        self, scheduler: Scheduler, dataset: Dataset, shape: Sequence[int], tasks: Iterator[Task]
    ) -> Iterator[tuple[Row, bool]]:
        session = records.environment()["session"]
        totals = Totals(shape, self.chunks)
        for answer in scheduler.map(work, tasks):
            task = answer.item
            for (run, cell), row in zip(task.runs, answer.value, strict=True):
                new = "status" in row
                if new:
                    row |= {"worker": answer.worker, "session": session}
                    records.append(self.output, row)
                else:
                    row = self._past[records.key(row)] | {"dataset": dataset.name}
                if task.box is not None:
                    totals.add(cell, run, row)
                yield row, new
        for row in totals.rows():
            kept = self._past.get(records.key(row))
            if not kept:
                records.append(self.output, row)
            yield kept or row, not kept

    def _tasks(self, dataset: Dataset, boxes: Sequence[Box | None]) -> Iterator[Task]:
        """The tasks of a dataset, the cells in the rounds of the grid."""
        conditions, order = self.grid.conditions, list(self.grid.order())
        token = secrets.token_hex(8)
        for box in boxes:
            parts = [order] if box is not None else [[one] for one in order]
            past = self._known.get(spelled(box) if box else "", frozenset())
            for runs in parts:
                yield Task(dataset, conditions.slices, box, runs, past, token)

    @cached_property
    def _divided(self) -> list[tuple[Dataset, Sequence[int], Sequence[Box | None]]]:
        """Each dataset, its shape and its chunks; None is all of it, or one that cannot be read."""
        found: list[tuple[Dataset, Sequence[int], Sequence[Box | None]]] = []
        for dataset in self.grid.datasets:
            shape: tuple[int, ...] = ()
            boxes: list[Box | None] = [None]
            if self.chunks:
                try:
                    with dataset.boxes() as (_, volume):
                        depth = self.grid.conditions.slices or volume.shape[0]
                        shape = (min(depth, volume.shape[0]), *volume.shape[1:])
                        boxes = list(grid(shape, self.chunks[::-1]))
                except Exception:  # the workers meet it again, and tell
                    pass
            found.append((dataset, shape, boxes))
        return found

    @cached_property
    def _past(self) -> dict[Key, Row]:
        return self.grid.past()

    @cached_property
    def _known(self) -> dict[str, frozenset[Key]]:
        """Their keys, by chunk."""
        found: dict[str, set[Key]] = {}
        for key, row in self._past.items():
            found.setdefault(row["chunk"], set()).add(key)
        return {chunk: frozenset(keys) for chunk, keys in found.items()}


def work(task: Task) -> list[Row]:
    """The row of each run of a task; of one that is in the CSV already, only what describes it."""
    rows = []
    try:
        volume = _volume(task)
    except Exception as error:  # whatever is wrong with a chunk costs only its own rows
        chunk = {"chunk": _chunk(task)}
        return [unread(task.dataset, cell, run, error) | chunk for run, cell in task.runs]
    for run, cell in task.runs:
        row = describe(volume, cell, run)
        if records.key(row) not in task.past:
            warm_up(volume, cell)
            row = measure(volume, cell, run)
        rows.append(row)
    return rows


def _volume(task: Task) -> Volume:
    """The labels of a task; raises whatever reading them raises."""
    if task.box is None:
        with _loading:
            return _loaded(task.dataset, task.slices, task.token)
    boxes, source, _ = _opened(task.dataset, task.token)
    labels = np.ascontiguousarray(boxes.fetch(task.box))
    dataset = task.dataset
    return Volume(dataset.name, source, dataset.group, labels, "", _chunk(task))


def _chunk(task: Task) -> str:
    return spelled(task.box) if task.box else ""


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _loaded(dataset: Dataset, slices: int | None, _: str) -> Volume:
    """A whole volume, which the next tasks need, too; again for another grid."""
    volume = dataset.load(slices)
    volume.fingerprint  # noqa: B018  (computed once, and kept)
    return volume


@lru_cache(maxsize=2)
def _opened(dataset: Dataset, _: str) -> tuple[Boxes, str, ExitStack]:
    """A dataset's boxes, its source, and what keeps it open as long as it is kept here."""
    opened = ExitStack()
    source, boxes = opened.enter_context(dataset.boxes())
    return boxes, source, opened
