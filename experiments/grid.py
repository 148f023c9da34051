"""The grid: every encoding x compressor asked for, on every dataset, into the CSV."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compresso import Compressor, Encoding
from compresso.compressors import parse
from experiments import isolate, results
from experiments.datasets import Dataset, Volume
from experiments.errors import HarnessError
from experiments.measure import describe, measure_runs
from experiments.results import Row
from experiments.status import Status

Cell = tuple[Encoding, Compressor]


def pairs(encodings: Sequence[Encoding], compressors: Sequence[Compressor]) -> list[Cell]:
    """Every encoding with every compressor; a scheme of its own once, without compressor."""
    alone = [(encoding, parse("none")) for encoding in encodings if encoding.alone]
    return [(e, c) for e in encodings if not e.alone for c in compressors] + alone


@dataclass(frozen=True)
class Grid:
    """What to measure, and how often.

    Parameters
    ----------
    cells : sequence of (Encoding, Compressor)
    datasets : sequence of Dataset
    runs : int
        Repetitions of each cell; each is a row.
    slices : int, optional
        The first so many slices of each volume; all by default.
    threads : int
        For the encodings.
    output : Path
        The CSV.
    timeout : float, optional
        Seconds that a run may take; it then runs in a process of its own.
    isolated : bool
        Run every cell in a process of its own.
    resume : bool
        Leave out the runs that succeeded before, by the CSV, on the same labels.
    keep_failed : bool
        Leave out the ones that failed, too.
    """

    cells: Sequence[Cell]
    datasets: Sequence[Dataset]
    runs: int
    slices: int | None
    threads: int
    output: Path
    timeout: float | None = None
    isolated: bool = False
    resume: bool = False
    keep_failed: bool = False

    def __post_init__(self) -> None:
        if (self.timeout or self.isolated) and not isolate.available():
            raise HarnessError(
                "--timeout and --isolate need processes that fork; not on this system"
            )

    def __len__(self) -> int:
        """Number of runs to measure or to leave out."""
        return len(self.datasets) * len(self.cells) * self.runs

    def run(self, announce: Callable[[str], None]) -> Iterator[tuple[Row, bool]]:
        """Measure cell after cell; yield each row once it is safely in the CSV.

        Parameters
        ----------
        announce : callable
            Told what is being worked on, in a few words.

        Yields
        ------
        row : dict
        new : bool
            Whether it was measured now; otherwise it is from the CSV.
        """
        results.check(self.output)
        past = results.measured(self.output, self.keep_failed) if self.resume else {}
        for dataset in self.datasets:
            announce(f"loading {dataset.name}")
            try:
                volume = dataset.load(self.slices)
            except Exception as error:  # whatever is wrong with a file costs only its own rows
                yield from self._record(self._unread(dataset, error))
                continue
            todo = []
            for cell in self.cells:
                rows = [past.get(self._key(volume, cell, run)) for run in self._runs()]
                # The CSV may call the same volume by another name.
                yield from ((row | {"dataset": volume.name}, False) for row in rows if row)
                if not all(rows):
                    todo.append((cell, [r for r in self._runs() if not rows[r - 1]]))
            yield from self._record(self._measure(volume, todo, announce))

    def _runs(self) -> range:
        return range(1, self.runs + 1)

    def _key(self, volume: Volume, cell: Cell, run: int) -> tuple[Any, ...]:
        row = describe(volume, *cell, run, self.threads)
        return tuple(row[name] for name in results.KEY)

    def _record(self, rows: Iterator[Row]) -> Iterator[tuple[Row, bool]]:
        for row in rows:
            results.append(self.output, row)
            yield row, True

    def _measure(
        self,
        volume: Volume,
        todo: list[tuple[Cell, list[int]]],
        announce: Callable[[str], None],
    ) -> Iterator[Row]:
        for (encoding, compressor), runs in todo:
            announce(f"{volume.name} {encoding} {compressor}")
            if self.timeout or self.isolated:
                yield from isolate.measure_apart(
                    volume, encoding, compressor, runs, self.threads, self.timeout
                )
            else:
                yield from measure_runs(volume, encoding, compressor, runs, self.threads)

    def _unread(self, dataset: Dataset, error: Exception) -> Iterator[Row]:
        for encoding, compressor in self.cells:
            for run in self._runs():
                yield {
                    "time": results.now(),
                    "dataset": dataset.name,
                    "encoding": encoding.spec,
                    "compression": compressor.spec,
                    "run": run,
                    "threads": self.threads,
                    "group": dataset.group,
                    "status": str(Status.of(error)),
                    **results.environment(),
                }
