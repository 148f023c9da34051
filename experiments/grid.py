"""The grid: every encoding x compressor asked for, on every dataset, into the CSV."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compresso import Compressor, Encoding
from compresso.compressors import parse
from compresso.errors import FileError
from experiments import isolate, results
from experiments.datasets import Dataset, Volume
from experiments.errors import DatasetError, HarnessError
from experiments.measure import measure_runs

Row = dict[str, Any]
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
        Leave out the runs that the CSV has already, of the same volume and settings.
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

    def __post_init__(self) -> None:
        if (self.timeout or self.isolated) and not isolate.available():
            raise HarnessError(
                "--timeout and --isolate need processes that fork; not on this system"
            )

    def __len__(self) -> int:
        """Number of runs to measure or to leave out."""
        return len(self.datasets) * len(self.cells) * self.runs

    def run(self, announce: Callable[[str], None]) -> Iterator[Row | None]:
        """Measure cell after cell; yield each row once it is safely in the CSV.

        None stands for a run that the CSV has already.

        Parameters
        ----------
        announce : callable
            Told what is being worked on, in a few words.
        """
        done = results.done(self.output) if self.resume else set()
        for dataset in self.datasets:
            todo = self._todo(dataset, done)
            yield from [None] * (len(self.cells) * self.runs - sum(len(r) for _, r in todo))
            if not todo:
                continue
            announce(f"loading {dataset.name}")
            try:
                volume = dataset.load(self.slices)
            except (DatasetError, FileError) as error:
                yield from self._record(self._unread(dataset, error))
                continue
            yield from self._record(self._measure(volume, todo, announce))

    def _todo(self, dataset: Dataset, done: set[tuple[Any, ...]]) -> list[tuple[Cell, list[int]]]:
        """The cells of a dataset that are not in the CSV, and which of their runs."""
        shape = ""
        if done:
            try:
                z, y, x = dataset.shape()
                shape = f"{min(z, self.slices or z)}x{y}x{x}"
            except (DatasetError, FileError):
                pass  # loading it meets the error again, and records it
        todo = []
        for encoding, compressor in self.cells:
            key = (dataset.name, shape, encoding.spec, compressor.spec, self.threads)
            runs = [run for run in range(1, self.runs + 1) if (*key, run) not in done]
            if runs:
                todo.append(((encoding, compressor), runs))
        return todo

    def _record(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            results.append(self.output, row)
            yield row

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
            for run in range(1, self.runs + 1):
                yield {
                    "time": results.now(),
                    "dataset": dataset.name,
                    "encoding": encoding.spec,
                    "compression": compressor.spec,
                    "run": run,
                    "threads": self.threads,
                    "group": dataset.group,
                    "status": f"error: {error}",
                    **results.environment(),
                }
