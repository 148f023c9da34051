"""The grid: every encoding x compressor asked for, on every dataset, into the CSV."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from compresso import Compressor, Encoding
from compresso.compressors import parse
from experiments import records
from experiments.datasets import Dataset, Volume
from experiments.errors import HarnessError
from experiments.measure import isolate
from experiments.measure.cell import Cell, describe, measure, warm_up
from experiments.measure.rounds import SEED, rounds
from experiments.records import Row, Status

Announce = Callable[[str], None]  # told what is being worked on, in a few words


def pairs(encodings: Sequence[Encoding], compressors: Sequence[Compressor]) -> list[Cell]:
    """Every encoding with every compressor; a scheme of its own once, without compressor."""
    alone = [Cell(encoding, parse("none")) for encoding in encodings if encoding.alone]
    return [Cell(e, c) for e in encodings if not e.alone for c in compressors] + alone


class Skip(Enum):
    """Which runs are not measured again, of those that the CSV has of the same labels."""

    NOTHING = 0
    SUCCESSES = 1
    ALL = 2  # the ones that failed, too

    @classmethod
    def of(cls, resume: bool, failed: bool) -> "Skip":
        """From what the command line says."""
        return cls.NOTHING if not resume else cls.ALL if failed else cls.SUCCESSES


@dataclass(frozen=True)
class Conditions:
    """How every cell is measured.

    Parameters
    ----------
    runs : int
        Rounds, in each of which every cell is measured once; each run is a row.
    slices : int, optional
        The first so many slices of each volume; all by default.
    threads : int
        Of a cell: groups of slices that are encoded and compressed at once, as in a frame.
    timeout : float, optional
        Seconds that a run may take; it then runs in a process of its own.
    isolated : bool
        Run every cell in a process of its own.
    seed : int
        Of the order of the cells in each round, where there are several.
    """

    runs: int = 1
    slices: int | None = None
    threads: int = 1
    timeout: float | None = None
    isolated: bool = False
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.apart and not isolate.available():
            raise HarnessError(
                "--timeout and --isolate need processes that fork; not on this system"
            )

    @property
    def apart(self) -> bool:
        """Whether cells run in processes of their own."""
        return self.isolated or self.timeout is not None


@dataclass(frozen=True)
class Grid:
    """What to measure, how, and into which CSV."""

    cells: Sequence[Cell]
    datasets: Sequence[Dataset]
    output: Path
    conditions: Conditions = Conditions()
    skip: Skip = Skip.NOTHING

    def __len__(self) -> int:
        """Number of runs to measure or to leave out."""
        return len(self.datasets) * len(self.cells) * self.conditions.runs

    def run(self, announce: Announce) -> Iterator[tuple[Row, bool]]:
        """Measure round after round; yield each row once it is safely in the CSV.

        Yields
        ------
        row : dict
        new : bool
            Whether it was measured now; otherwise it is from the CSV.
        """
        records.check(self.output)
        past = self.past()
        for dataset in self.datasets:
            announce(f"loading {dataset.name}")
            try:
                volume = dataset.load(self.conditions.slices)
            except Exception as error:  # whatever is wrong with a file costs only its own rows
                for cell in self._threaded:
                    for run in range(1, self.conditions.runs + 1):
                        yield self._record(unread(dataset, cell, run, error)), True
                continue
            given_up: dict[Cell, str] = {}
            for run, cell in self.order():
                announce(f"{volume.name} {cell}")
                kept = past.get(records.key(describe(volume, cell, run)))
                if kept:  # the CSV may call the same volume by another name
                    if isolate.hopeless(kept):
                        given_up[cell] = kept["status"]
                    yield kept | {"dataset": volume.name}, False
                else:
                    yield self._record(self._measure(volume, cell, run, given_up)), True

    def order(self) -> Iterator[tuple[int, Cell]]:
        """Every run of every cell on a dataset, in rounds."""
        return rounds(self._threaded, self.conditions.runs, self.conditions.seed)

    def past(self) -> dict[tuple[Any, ...], Row]:
        """The rows that the CSV has of runs that need not be measured again, by their keys."""
        if self.skip is Skip.NOTHING:
            return {}
        return records.measured(self.output, failed=self.skip is Skip.ALL)

    @property
    def _threaded(self) -> list[Cell]:
        return [replace(cell, threads=self.conditions.threads) for cell in self.cells]

    def _record(self, row: Row) -> Row:
        records.append(self.output, row)
        return row

    def _measure(self, volume: Volume, cell: Cell, run: int, given_up: dict[Cell, str]) -> Row:
        """Measure a run, unless one before it showed that no run of its cell ends."""
        if cell in given_up:
            return describe(volume, cell, run) | {"status": given_up[cell]}
        if not self.conditions.apart:
            warm_up(volume, cell)
            return measure(volume, cell, run)
        row = isolate.measure_apart(volume, cell, run, self.conditions.timeout)
        if isolate.hopeless(row):
            given_up[cell] = row["status"]
        return row


def unread(dataset: Dataset, cell: Cell, run: int, error: Exception) -> Row:
    """The row of a run whose labels cannot be read."""
    return {
        "time": records.now(),
        "dataset": dataset.name,
        "encoding": cell.encoding.spec,
        "compression": cell.compressor.spec,
        "run": run,
        "threads": cell.threads,
        "group": dataset.group,
        "status": str(Status.of(error)),
        **records.environment(),
    }
