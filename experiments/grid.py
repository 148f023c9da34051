"""The grid: every encoding x compressor asked for, on every dataset, into the CSV."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compresso import CompressoError, Compressor, Encoding
from experiments import results
from experiments.datasets import Dataset, Volume
from experiments.errors import DatasetError
from experiments.measure import measure, warm_up

Row = dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """What to measure, and how often.

    Parameters
    ----------
    encodings, compressors, datasets
    runs : int
        Repetitions of each cell; each is a row.
    slices : int, optional
        The first so many slices of each volume; all by default.
    threads : int
        For the encodings.
    output : Path
        The CSV.
    """

    encodings: Sequence[Encoding]
    compressors: Sequence[Compressor]
    datasets: Sequence[Dataset]
    runs: int
    slices: int | None
    threads: int
    output: Path

    def __len__(self) -> int:
        """Number of rows that :meth:`run` yields."""
        return len(self.datasets) * len(self.encodings) * len(self.compressors) * self.runs

    def run(self, announce: Callable[[str], None]) -> Iterator[Row]:
        """Measure cell after cell; yield each row once it is safely in the CSV.

        Parameters
        ----------
        announce : callable
            Told what is being worked on, in a few words.
        """
        for dataset in self.datasets:
            announce(f"loading {dataset.name}")
            try:
                volume = dataset.load(self.slices)
            except DatasetError as error:
                yield from self._record(self._unread(dataset, error))
                continue
            yield from self._record(self._measure(volume, announce))

    def _record(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            results.append(self.output, row)
            yield row

    def _measure(self, volume: Volume, announce: Callable[[str], None]) -> Iterator[Row]:
        for encoding in self.encodings:
            for compressor in self.compressors:
                announce(f"{volume.name} {encoding} {compressor}")
                with suppress(CompressoError):  # the measurement meets it again, and records it
                    warm_up(volume, encoding, compressor, self.threads)
                for run in range(1, self.runs + 1):
                    yield measure(volume, encoding, compressor, run, self.threads)

    def _unread(self, dataset: Dataset, error: DatasetError) -> Iterator[Row]:
        for encoding in self.encodings:
            for compressor in self.compressors:
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
