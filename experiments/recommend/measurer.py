"""How cells are measured for a recommendation: warmed up, by one clock, each row kept at once."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

from experiments.datasets import LoadedVolume
from experiments.measure import Method, measure, warm_up
from experiments.records import Row


def _ignore(_: object) -> None:
    """For who wants to know nothing."""


@dataclass(frozen=True)
class Measurer:
    """Measures cells.

    Parameters
    ----------
    announce : callable
        Told what is being worked on.
    record : callable
        Given each row as soon as it is measured.
    now : callable
        Tells the time, in nanoseconds.
    """

    announce: Callable[[str], None] = _ignore
    record: Callable[[Row], None] = _ignore
    now: Callable[[], int] = perf_counter_ns

    def measure(self, volume: LoadedVolume, cell: Method, run: int = 1) -> Row:
        """Measure one run of a cell."""
        warm_up(volume, cell)
        row = measure(volume, cell, run, self.now)
        self.record(row)
        return row
