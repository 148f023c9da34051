"""The grid: every method on every dataset, in this process or by workers, into the CSV.

A task is one run of a method on a whole volume, or all runs on one chunk of a volume, which is then
read once. Workers read the labels themselves, so that only rows travel.
"""

import math
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from xxhash import xxh3_64_hexdigest

from compresso.codec import Extent
from compresso.parallel import Scheduler, open_scheduler
from compresso.text import counted
from compresso.volumes.volume import Box, Volume, boxes_of, format_box
from experiments import SEED, records
from experiments.datasets import Dataset, LoadedVolume
from experiments.measure import isolate
from experiments.measure.clock import rounds
from experiments.measure.method import Method, describe, identify, measure, warm_up
from experiments.records import BYTES, OK, SECONDS, SURROUNDINGS, Outcome, Row

#: A run, as :func:`records.key` returns it.
Key = tuple[Any, ...]
_loading = threading.Lock()


@dataclass(frozen=True)
class Grid:
    """The methods and datasets to measure, the settings, and the CSV for the rows."""

    methods: Sequence[Method]
    datasets: Sequence[Dataset]
    output: Path
    runs: int = 1  # rounds, in each of which every method is measured once
    first: int = 0  # this number of methods is measured once on all datasets before all others
    slices: int | None = None  # use only the first N of each volume
    seed: int = SEED  # of the order in each round, if there are several
    resume: bool = False  # skip the runs that the CSV has for the same labels, unless they failed
    keep_failed: bool = False  # with ``resume``, skip failed runs, too
    timeout: float | None = None  # seconds of a run, which then has a process of its own
    patience: float = math.inf  # a method of which a run took more seconds is not repeated
    isolated: bool = False  # run every method in a process of its own
    scheduler: str = ""  # as in :mod:`compresso.parallel`; by default in this process
    chunks: Extent | None = None  # measure chunk by chunk, and add the rows up

    def __len__(self) -> int:
        """Number of rows, including those of totals and of runs that are skipped."""
        rows = sum(len(boxes) + (boxes != [None]) for _, boxes in self._divided)
        return rows * len(self.methods) * self.runs

    def run(self, announce: Callable[[str], None]) -> Iterator[tuple[Row, bool]]:
        """Measure; yield each row once it is in the CSV, and whether it was measured now.

        Totals of chunks follow the rows of their dataset.
        """
        records.check_csv(self.output)
        announce("starting workers" if self.scheduler else "loading")
        past = records.measured(self.output, failed=self.keep_failed) if self.resume else {}
        first = [(1, method) for method in self.methods[: self.first]]
        others = [one for one in rounds(self.methods, self.runs, self.seed) if one not in first]
        orders = filter(None, (first, others))
        with open_scheduler(self.scheduler) as scheduler:
            for order, (dataset, boxes) in product(orders, self._divided):
                try:
                    for row, new in self._run(scheduler, dataset, boxes, order, past, announce):
                        if new:
                            records.append(self.output, row)
                        yield row, new
                finally:  # nothing must keep a volume in memory, after an error or Ctrl-C either
                    _loaded.cache_clear()
                    _opened.cache_clear()

    def _run(
        self,
        scheduler: Scheduler,
        dataset: Dataset,
        boxes: Sequence[Box | None],
        order: Sequence[tuple[int, Method]],
        past: Mapping[Key, Row],
        announce: Callable[[str], None],
    ) -> Iterator[tuple[Row, bool]]:
        """The rows of one dataset."""
        known: dict[str, list[Key]] = defaultdict(list)  # by chunk
        for key, row in past.items():
            known[row["chunk"]].append(key)
        given_up: dict[Method, str] = {}
        slow: set[Method] = set()
        by_run: dict[tuple[int, Method], list[Row]] = defaultdict(list)

        def tasks() -> Iterator[Task]:
            settings, token = replace(self, datasets=()), secrets.token_hex(8)
            for box in boxes:
                chunk = _chunk(box)
                keys = frozenset(known[chunk])
                for runs in [order] if box else [[one] for one in order]:
                    if not box and runs[0][1] in slow:
                        continue
                    what = chunk if self.chunks or self.scheduler else runs[0][1]
                    announce(f"{dataset.name} {what}".strip())
                    yield Task(settings, dataset, box, runs, keys, dict(given_up), token)

        for task, rows, worker in scheduler.map(work, tasks()):
            for (run, method), row in zip(task.runs, rows, strict=True):
                new = "status" in row
                if not new:  # the CSV may have the same volume under another name
                    row = past[records.key(row)] | {"dataset": dataset.name}
                elif self.scheduler or self.chunks:
                    row |= {"worker": worker, "session": records.environment()["session"]}
                if row["status"].partition(":")[0] in (Outcome.TIMEOUT, Outcome.CRASH):
                    given_up[method] = row["status"]
                if sum(row.get(name) or 0 for name in SECONDS) > self.patience:
                    slow.add(method)
                if task.box:
                    by_run[run, method].append(row)
                yield row, new
        for (run, method), rows in by_run.items():
            shape = "x".join(str(stop) for _, stop in boxes[-1] or ())
            row = self._total(rows) | identify(method, run) | {"shape": shape}
            kept = past.get(records.key(row))
            yield kept or row, not kept

    def _total(self, rows: Sequence[Row]) -> Row:
        """Add the rows of a run's chunks up; seconds too, so that speeds are one worker's."""
        good = [row for row in rows if row["status"] == OK]
        failed = [row["status"] for row in rows if row["status"] != OK]
        reason = f"{len(failed)} of {len(rows)} chunks failed: {failed[0]}" if failed else ""
        prints = sorted((row["chunk"], row["fingerprint"]) for row in good)
        workers = len({row.get("worker", "") for row in rows})
        return {
            **(good or rows)[0],
            **{name: sum(int(row[name]) for row in good) for name in BYTES},
            **{name: sum(row[name] for row in good) for name in (*SECONDS, "new_memory_s")},
            **dict.fromkeys(SURROUNDINGS, ""),  # each chunk has its own
            "fingerprint": xxh3_64_hexdigest(f"{self.chunks} {prints}".encode()),
            "part": f"in chunks of {self.chunks}",
            "chunk": "",
            "depth": "",
            "worker": counted(workers, "worker"),
            "lossless": not failed,
            "status": f"{Outcome.ERROR}: {reason}" if failed else OK,
        }

    @cached_property
    def _divided(self) -> list[tuple[Dataset, Sequence[Box | None]]]:
        """Each dataset and its chunks; None is the whole dataset."""
        found: list[tuple[Dataset, Sequence[Box | None]]] = []
        for dataset in self.datasets:
            boxes: list[Box | None] = [None]
            if self.chunks:
                with suppress(Exception), dataset.open() as volume:  # a worker records the error
                    depth, *across = volume.shape
                    shape = (min(self.slices or depth, depth), *across)
                    boxes = list(boxes_of(shape, self.chunks[::-1]))
            found.append((dataset, boxes))
        return found


class Task(NamedTuple):
    """The work of a worker."""

    settings: Grid  # without datasets
    dataset: Dataset
    box: Box | None  # the chunk; None is the whole dataset
    runs: Sequence[tuple[int, Method]]  # in the order of the measurements
    known: frozenset[Key]  # are not measured again, if the labels are still the same
    given_up: Mapping[Method, str]  # the status of methods that took too long or crashed
    token: str  # of a call of :meth:`Grid.run`, which reads the labels anew


def work(task: Task) -> list[Row]:
    """Return a row for each run of a task; a known run has only the columns that describe it."""
    settings, dataset, rows = task.settings, task.dataset, []
    try:
        volume = _volume(task)
    except Exception as error:  # a damaged file or chunk costs only its own rows
        about = {"dataset": dataset.name, "group": dataset.group, "chunk": _chunk(task.box)}
        about["status"] = records.status_of(error)
        return [identify(method, run) | about for run, method in task.runs]
    for run, method in task.runs:
        row = describe(volume, method, run)
        if records.key(row) not in task.known:
            if method in task.given_up:
                row["status"] = task.given_up[method]
            elif settings.isolated or settings.timeout:
                row = isolate.measure_isolated(volume, method, run, settings.timeout)
            else:
                warm_up(volume, method)
                row = measure(volume, method, run)
        rows.append(row)
    return rows


def _chunk(box: Box | None) -> str:
    return format_box(box) if box else ""


def _volume(task: Task) -> LoadedVolume:
    """The labels of a task."""
    dataset, box = task.dataset, task.box
    with _loading:  # two threads that open it would keep one, and close the other while it is read
        if not box:
            loaded = _loaded(dataset, task.settings.slices, task.token)
            if isinstance(loaded, Exception):
                raise loaded
            return loaded
        opened, _ = _opened(dataset, task.token)
    return LoadedVolume(dataset, np.ascontiguousarray(opened.read_box(box)), chunk=_chunk(box))


@lru_cache(maxsize=1)
def _loaded(dataset: Dataset, slices: int | None, token: str) -> LoadedVolume | Exception:
    """A whole volume, or why it cannot be read; it is kept for the next tasks."""
    try:
        volume = dataset.load(slices)
        volume.fingerprint  # noqa: B018  (computed once, and kept)
    except Exception as error:
        return error
    return volume


@lru_cache(maxsize=2)
def _opened(dataset: Dataset, token: str) -> tuple[Volume, ExitStack]:
    """A dataset's volume, and the context that keeps it open."""
    opened = ExitStack()
    return opened.enter_context(dataset.open()), opened
